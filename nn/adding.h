/* adding -- a layer added to a sequence, of which nothing is left if that fails */
#ifndef AG_NN_ADDING_H
#define AG_NN_ADDING_H

#include "nn/refuse.h"

/* From ag__adding_begin to ag__adding_end, labels have the layer's name before them, and errors too. */
typedef struct ag__adding {
    ag_sequence *model; /* NULL: it cannot be added to */
    ag_tensor *part;    /* that stands for the layer; or nil */
    ag_tensor *former;  /* the part before */
    ag_mark before;
    char number[24];  /* the layer's, as text */
    const char *file; /* the caller's location; NULL: none */
    int line;
} ag__adding;

/* Begin; `name` may be NULL. */
ag__adding ag__adding_begin(const char *call, ag_sequence *model, const char *name);

/* End: the layer, with a copy of its state, is in the sequence, unless the tape is in error, whose status is returned.
 * With 0 bytes the state itself is taken. */
ag_status ag__adding_end(const ag__adding *a, const ag_layer_kind *kind, void *state, size_t bytes);

/* NULL, unless the sequence cannot be used; then nil, after an error. */
ag_tensor *ag__sequence_wrong(const char *call, const ag_sequence *model);

/* The layers one after the other. */
ag_tensor *ag__sequence_run(const ag_sequence *model, ag_tensor *x, bool training);

#endif
