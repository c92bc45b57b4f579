/* nn/positions.h: attention without parameters, turned features, a recurrent layer */
#include <nn/nn.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = ag_reshape(ag_arange(tape, AG_F64, 6), AG_SHAPE(1, 1, 3, 2));
    ag_tensor *same = ag_zeros(tape, AG_F64, AG_SHAPE(1, 1, 3, 2));
    show("means of all so far", ag_scaled_dot_attention(same, same, x, &(ag_attention_options){.causal = true}));
    show("the first two positions", ag_sinusoidal_positions(tape, AG_F64, 2, 2));
    show("turned by 0, 1, 2", ag_rotary(ag_ones(tape, AG_F64, AG_SHAPE(3, 2)), NULL, 10000, false));
    ag_rnn gru;
    ag_rnn_init(&gru, tape, AG_F64, &(ag_rnn){.cell = AG_CELL_GRU, .in = 2, .hidden = 4, .layers = 1}, NULL);
    ag_tensor *y = ag_rnn_apply(&gru, ag_ones(tape, AG_F64, AG_SHAPE(5, 1, 2)), NULL, NULL, true);
    printf("(%d,%d,%d)%s\n", (int)ag_extent(y, 0), (int)ag_extent(y, 1), (int)ag_extent(y, 2), ag_tape_error(tape));
    ag_tape_free(tape);
}
/* It prints:
 * means of all so far: 0 1 1 2 2 3
 * the first two positions: 0 1 0.8415 0.5403
 * turned by 0, 1, 2: 1 1 -0.3012 1.382 -1.325 0.4932
 * (5,1,4)
 */
