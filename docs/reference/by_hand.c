/* autograd/autograd.h, Checking: a function in plain C, and the gradient that was derived by hand */
#include <autograd/autograd.h>
#include <math.h>
#include <stdio.h>

/* y = ln(1 + x0²) + x0·x1 */
static void value(void *context, const void *x, void *y) {
    const double *at = x;
    (void)context;
    *(double *)y = log(1 + at[0] * at[0]) + at[0] * at[1];
}

/* The second element has a wrong sign. */
static void gradient(void *context, const void *x, const void *ybar, void *to) {
    const double *at = x;
    (void)context, (void)ybar;
    ((double *)to)[0] = 2 * at[0] / (1 + at[0] * at[0]) + at[1];
    ((double *)to)[1] = -at[0];
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    double x[] = {0.5, 2};
    ag_c_functions f = {.dtype = AG_F64, .inputs = 2, .value = value, .gradient = gradient};
    ag_gradcheck_report report;
    ag_gradcheck_c(tape, &f, x, NULL, &report);
    printf("%s\n", report.message);
    ag_tape_free(tape);
}
/* It prints:
 * the gradient is wrong: x[1]: expected 0.5, got -0.5, 2e+06 times the tolerance
 */
