/* nn/data.h, Datasets: of a callback, split, loaded in batches by threads, and changed on the way */
#include <nn/nn.h>
#include <stdio.h>

/* Sample i is a picture of 4 by 4 pixels of value i, and the label i mod 2. Threads call this at once. */
static bool fill(void *context, ag_sample *sample) {
    (void)context;
    for (int i = 0; i < 16; i++) ((float *)sample->data[0])[i] = (float)sample->number;
    *(int64_t *)sample->data[1] = sample->number % 2;
    return true;
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_dataset all = {
        .samples = 100, .parts = 2, .part = {{AG_F32, AG_SHAPE(4, 4)}, {AG_I64, AG_SCALAR}}, .fill = fill};
    ag_dataset part[2];
    ag_dataset_split(part, tape, &all, 2, (double[]){0.8, 0.2}, NULL);

    ag_image_shift shift = {.rows = 1, .columns = 1, .fill = -1};
    ag_augmentation list[] = {{ag_augment_shift, &shift}};
    ag_loader_options options = {.workers = 2, .augmentations = 1, .augmentation = list};
    ag_loader loader;
    ag_tensor *batch[2];
    ag_loader_open(&loader, tape, &part[0], 32, &options);
    ag_mark mark = ag_tape_mark(tape);
    while (ag_loader_next(&loader, batch)) {
        printf("%d samples\n", (int)ag_extent(batch[0], 0));
        ag_tape_rewind(tape, mark);
    }
    printf("epoch %d begins%s\n", (int)loader.epoch, ag_tape_error(tape));
    ag_loader_close(&loader);
    ag_tape_free(tape);
}
/* It prints:
 * 32 samples
 * 32 samples
 * 16 samples
 * epoch 1 begins
 */
