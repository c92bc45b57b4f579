/* dataset -- datasets as the loader sees them, checked */
#ifndef AG_NN_DATASET_H
#define AG_NN_DATASET_H

#include "nn/random.h"
#include "nn/refuse.h"

/* NULL if the dataset is valid and on this tape; else nil, after an error. Its index is not looked at. */
ag_tensor *ag__dataset_wrong(const char *name, ag_tape *tape, const ag_dataset *d);

/* The index, each of its numbers checked; NULL if there is none, or after an error. */
const int64_t *ag__dataset_index(const char *name, const ag_dataset *d);

/* The class of each of the dataset's samples, all of which strata list; NULL if there are none, or after an error. */
const int64_t *ag__dataset_classes(const char *name, ag_tape *tape, const ag_dataset *d, ag_tensor *strata);

/* Whether a comes before b. */
typedef bool ag__before(const void *context, int64_t a, int64_t b);

/* Sort n numbers, stably, with room for as many. */
void ag__sort(int64_t n, int64_t number[], int64_t room[], ag__before *before, const void *context);

/* Numbers by the class of each. */
bool ag__class_before(const void *classes, int64_t a, int64_t b);

#endif
