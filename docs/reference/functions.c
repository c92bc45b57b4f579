/* ops/elementwise.h, Functions: and their slopes */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    double values[] = {-2, 0, 0.5};
    ag_tensor *x = ag_parameter(tape, AG_F64, AG_SHAPE(3), values), *dx;
    ag_tensor *y[] = {ag_exp(x), ag_tanh(x), ag_sigmoid(x), ag_relu(x), ag_sin(x)};
    for (int i = 0; i < 5; i++) {
        show(ag_op_of(y[i])->name, y[i]);
        ag_grad(ag_sum(y[i]), 1, &x, &dx);
        show("  slope", dx);
    }
    ag_tape_free(tape);
}
/* It prints:
 * exp: 0.1353 1 1.649
 *   slope: 0.1353 1 1.649
 * tanh: -0.964 0 0.4621
 *   slope: 0.07065 1 0.7864
 * sigmoid: 0.1192 0.5 0.6225
 *   slope: 0.105 0.25 0.235
 * relu: 0 0 0.5
 *   slope: 0 0 1
 * sin: -0.9093 0 0.4794
 *   slope: -0.4161 1 0.8776
 */
