/* autograd/entry.h: an operation of one's own, with its gradient */
#include <autograd/autograd.h>
#include <stdio.h>

static void cube(int64_t n, void *y, const void *const x[], const void *attributes) {
    const double *a = x[0];
    (void)attributes;
    for (int64_t i = 0; i < n; i++) ((double *)y)[i] = a[i] * a[i] * a[i];
}

static ag_tensor *cube_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag_mul(g, ag_scale(ag_square(ag_input(y, i)), 3));
}

static const ag_op op_cube = {
    .name = "cube", .kind = AG_KIND_ELEMENTWISE, .arity = 1, .block = {[AG_F64] = cube}, .vjp = cube_vjp};

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = ag_parameter_from(ag_add_scalar(ag_arange(tape, AG_F64, 3), -1)), *dx;
    ag_tensor *y = ag_apply(&op_cube, 1, &x, NULL, 0);
    show("y", y);
    ag_grad(ag_sum(y), 1, &x, &dx);
    show("dx", dx);
    ag_tape_free(tape);
}
/* It prints:
 * y: -1 0 1
 * dx: 3 0 3
 */
