/* autograd/autograd.h, Checking: a function against finite differences */
#include <autograd/autograd.h>
#include <stdio.h>

static ag_tensor *smooth(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    return ag_mul(ag_tanh(x[0]), ag_exp(x[0]));
}

/* The second factor is constant to gradients: a mistake. */
static ag_tensor *detached(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    return ag_sum(ag_mul(ag_tanh(x[0]), ag_stop_gradient(ag_exp(x[0]))));
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    double values[] = {-1, 0.5, 2};
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(3), values);
    ag_gradcheck_report report;
    ag_gradcheck_options options = {.order = 2};
    ag_status status = ag_gradcheck(smooth, NULL, 1, &x, &options, &report);
    printf("%s, %d comparisons\n", ag_status_name(status), (int)report.checked);
    status = ag_gradcheck(detached, NULL, 1, &x, NULL, &report);
    printf("%s: expected %.3f, got %.3f\n", ag_status_name(status), report.expected, report.got);
    ag_tape_free(tape);
}
/* It prints:
 * AG_OK, 6 comparisons
 * AG_ERR_GRADIENT: expected -0.126, got 0.154
 */
