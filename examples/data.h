/* data -- handwritten digits to train with and digits held out, for the examples */
#ifndef EXAMPLES_DATA_H
#define EXAMPLES_DATA_H

#include <autograd/autograd.h>

enum { DIGITS_TRAINING = 1437, DIGITS_HELD_OUT = 360, DIGITS_PIXELS = 64, DIGITS_CLASSES = 10 };

typedef struct samples {
    ag_tensor *images; /* (N,64) of f32, 0 for paper to 1 for ink */
    ag_tensor *labels; /* (N) of i64 */
} samples;

/* digits.csv in a random order, always the same; errors are the tape's. */
void digits_read(ag_tape *tape, samples *training, samples *held_out);

/* The chosen rows. */
samples samples_at(samples all, int64_t n, const int64_t rows[]);

/* A number from 0 to n−1, from a small generator of its own: the same everywhere. */
int64_t random_below(int64_t n, uint64_t *state);

/* Fisher and Yates's shuffle. */
void shuffle(int64_t n, int64_t order[], uint64_t *state);

#endif
