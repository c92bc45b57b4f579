/* data -- see data.h */
#include "examples/data.h"

#include <io/io.h>

#ifndef AG_EXAMPLES_DIR
#define AG_EXAMPLES_DIR "examples"
#endif

enum { ALL = DIGITS_TRAINING + DIGITS_HELD_OUT };

int64_t random_below(int64_t n, uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((*state >> 33) % (uint64_t)n);
}

void shuffle(int64_t n, int64_t order[], uint64_t *state) {
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = random_below(i + 1, state), held = order[i];
        order[i] = order[j];
        order[j] = held;
    }
}

samples samples_at(samples all, int64_t n, const int64_t rows[]) {
    ag_tensor *index = ag_from(ag_tape_of(all.images), AG_I64, AG_SHAPE(n), rows);
    return (samples){ag_gather(all.images, ag_unsqueeze(index, 1), 0), ag_gather(all.labels, index, 0)};
}

void digits_read(ag_tape *tape, samples *training, samples *held_out) {
    int64_t order[ALL];
    uint64_t state = 1;
    for (int64_t i = 0; i < ALL; i++) order[i] = i;
    shuffle(ALL, order, &state);

    /* A row is 64 grey levels from 0 to 16, and then the digit. */
    ag_tensor *table = ag_csv_read(tape, AG_EXAMPLES_DIR "/digits.csv", AG_F32, NULL);
    ag_tensor *images = ag_scale(ag_slice(table, 1, 0, DIGITS_PIXELS, 1), 1.0 / 16);
    ag_tensor *labels = ag_squeeze(ag_cast(ag_slice(table, 1, DIGITS_PIXELS, AG_END, 1), AG_I64), AG_AXES(1));
    samples all = {images, labels};
    *training = samples_at(all, DIGITS_TRAINING, order);
    *held_out = samples_at(all, DIGITS_HELD_OUT, order + DIGITS_TRAINING);
    ag_eval_all(4, (ag_tensor *[]){training->images, training->labels, held_out->images, held_out->labels});
}
