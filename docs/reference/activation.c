/* ops/activation.h: of a negative number, 0 and a positive one */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(3), (double[]){-1, 0, 2});
    show("softplus", ag_softplus(x));
    show("silu", ag_silu(x));
    show("leaky_relu", ag_leaky_relu(x, 0.1));
    show("elu", ag_elu(x, 1));
    show("hardtanh", ag_hardtanh(x, -1, 1));
    show("hardsigmoid", ag_hardsigmoid(x));
    ag_tape_free(tape);
}
/* It prints:
 * softplus: 0.3133 0.6931 2.127
 * silu: -0.2689 0 1.762
 * leaky_relu: -0.1 0 2
 * elu: -0.6321 0 2
 * hardtanh: -1 0 1
 * hardsigmoid: 0.3333 0.5 0.8333
 */
