/* nn/images.h: an image of 3·3 pixels and one channel */
#include <nn/nn.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = ag_reshape(ag_arange(tape, AG_F64, 9), AG_SHAPE(1, 3, 3, 1));
    ag_tensor *box = ag_ones(tape, AG_F64, AG_SHAPE(2, 2, 1, 1));
    show("sums of 2·2", ag_convolve(x, box, NULL, NULL));
    show("the largest of each", ag_max_pool(x, AG_SHAPE(2), &(ag_pool_options){.stride = {1}}));
    show("mean", ag_global_avg_pool(x));
    show("pixels as channels", ag_pixel_unshuffle(ag_slice(ag_slice(x, 1, 0, 2, 1), 2, 0, 2, 1), 2));
    ag_tape_free(tape);
}
/* It prints:
 * sums of 2·2: 8 12 20 24
 * the largest of each: 4 5 7 8
 * mean: 4
 * pixels as channels: 0 1 3 4
 */
