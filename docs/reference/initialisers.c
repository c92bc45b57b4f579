/* nn/initialisers.h: orthogonal weights, and a layer without bias */
#include <nn/nn.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *w = ag_init_orthogonal(tape, AG_F64, AG_SHAPE(3, 3), 0);
    ag_tensor *product = ag_matmul(ag_transpose(w, 0, 1), w); /* wᵀ·w is the identity */
    printf("%.3f on the diagonal, %.3f beside it\n", ag_element(product, 0),
           ag_item(ag_abs(ag_slice(ag_slice(product, 0, 0, 1, 1), 1, 1, 2, 1))));
    ag_linear layer;
    ag_layer_options options = {.name = "encoder.0", .unbiased = true, .weight = {ag_init_he_normal, 0}};
    ag_linear_init_with(&layer, tape, AG_F32, 64, 32, &options);
    printf("%s%s\n", ag_label_of(layer.weight), layer.bias ? " and a bias" : "");
    ag_tape_free(tape);
}
/* It prints:
 * 1.000 on the diagonal, 0.000 beside it
 * encoder.0.weight
 */
