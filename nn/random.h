/* random -- random numbers that follow from seed, epoch and sample, and orders that follow from seed and epoch */
#ifndef AG_NN_RANDOM_H
#define AG_NN_RANDOM_H

#define AG_NO_LOCATION
#include "nn/data.h"

/* The purposes of random bits, each with counters of its own: the highest bits of the number of the draw. The tape's
 * own draws have 0 there. */
typedef enum ag__purpose { AG__OF_SAMPLE = 8, AG__OF_ORDER, AG__OF_SPLIT, AG__OF_STREAM, AG__OF_CLASSES } ag__purpose;

/* The numbers of a sample in an epoch. */
ag_random ag__random_of(int64_t seed, int64_t epoch, int64_t number);

/* Change the order of n numbers, at random, as ag_loader_open says. */
void ag__shuffle(int64_t seed, ag__purpose purpose, int64_t epoch, int64_t n, int64_t number[]);

/* Add normal numbers of this deviation. */
void ag__add_normal_f32(ag_random *random, int64_t n, float x[], double deviation);
void ag__add_normal_f64(ag_random *random, int64_t n, double x[], double deviation);

#endif
