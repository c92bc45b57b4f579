/* ops/linalg.h: an equation, and what is known of its matrix */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *a = ag_from(tape, AG_F64, AG_SHAPE(2, 2), (double[]){4, 2, 2, 3});
    ag_tensor *b = ag_from(tape, AG_F64, AG_SHAPE(2), (double[]){8, 8});
    show("a·x = b", ag_solve(a, b));
    show("inverse", ag_inverse(a));
    show("determinant", ag_det(a));
    show("a = l·lᵀ", ag_cholesky(a));
    show("a³", ag_matrix_power(a, 3));
    ag_tensor *p = ag_parameter(tape, AG_F64, AG_SHAPE(2, 2), (double[]){4, 2, 2, 3}), *slope;
    ag_grad(ag_log(ag_det(p)), 1, &p, &slope);
    show("slope of ln det", slope);
    ag_tape_free(tape);
}
/* It prints:
 * a·x = b: 1 2
 * inverse: 0.375 -0.25 -0.25 0.5
 * determinant: 8
 * a = l·lᵀ: 2 0 1 1.414
 * a³: 108 82 82 67
 * slope of ln det: 0.375 -0.25 -0.25 0.5
 */
