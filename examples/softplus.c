/* softplus -- an operation of one's own, next to the library's: y = ln(1 + e^x), in two kernels and one line of calculus
 *
 * docs/adding-an-op.md walks through this file. */
#include <autograd/autograd.h>
#include <math.h>
#include <stdio.h>

/* max(x, 0) + ln(1 + e^(−|x|)): the exponential cannot overflow. */
static void softplus_f32(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    float *out = y;
    const float *in = x[0];
    for (int64_t i = 0; i < n; i++) out[i] = fmaxf(in[i], 0) + log1pf(expf(-fabsf(in[i])));
}

static void softplus_f64(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    double *out = y;
    const double *in = x[0];
    for (int64_t i = 0; i < n; i++) out[i] = fmax(in[i], 0) + log1p(exp(-fabs(in[i])));
}

/* x̄ = ȳ·σ(x) */
static ag_tensor *softplus_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag_strong_mul(g, ag_sigmoid(ag_input(y, i)));
}

static const ag_op softplus_op = {
    .name = "softplus",
    .kind = AG_KIND_ELEMENTWISE,
    .arity = 1,
    .block = {[AG_F32] = softplus_f32, [AG_F64] = softplus_f64},
    .vjp = softplus_vjp,
};

static ag_tensor *softplus(ag_tensor *x) { return ag_apply(&softplus_op, 1, &x, NULL, 0); }

static ag_tensor *checked(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    return softplus(x[0]);
}

int main(void) {
    double values[] = {-800, -2, 0, 3, 800};
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(5), values), *dx, *d2x;
    ag_tensor *y = ag_sum(softplus(x));
    ag_grad(y, 1, &x, &dx);
    ag_grad(ag_sum(dx), 1, &x, &d2x);
    for (int i = 0; i < 5; i++)
        printf("x %6g   slope %.6f   curvature %.6f\n", ag_element(x, i), ag_element(dx, i), ag_element(d2x, i));

    ag_gradcheck_report report;
    ag_gradcheck(checked, NULL, 1, &x, &(ag_gradcheck_options){.order = 2}, &report);
    printf("%s\n%s", report.message, ag_tape_error(tape));
    ag_tape_free(tape);
    return report.passed ? 0 : 1;
}
