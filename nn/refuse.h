/* refuse -- errors of layers, losses and optimisers, raised with the public interface alone */
#ifndef AG_NN_REFUSE_H
#define AG_NN_REFUSE_H

#define AG_NO_LOCATION
#include "nn/nn.h"

bool ag__real(const ag_tensor *x); /* of a real dtype */
bool ag__is_variable(const ag_tensor *x);
bool ag__has_shape(const ag_tensor *x, const ag_shape *shape);

/* Raise an error: the message follows the function's name and its inputs' shapes. Returns nil. A NULL or nil input
 * is reported instead. */
ag_tensor *ag__refuse(const char *name, int n, ag_tensor *const x[], ag_status status, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 5, 6), returns_nonnull))
#endif
    ;

/* The same without a tensor; with tape NULL the error is the thread's. */
ag_tensor *ag__refuse_on(ag_tape *tape, const char *name, ag_status status, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 4, 5), returns_nonnull))
#endif
    ;

/* The error of a layer that is NULL, applied to x. */
ag_tensor *ag__no_layer(const char *name, ag_tensor *x);

/* NULL if a layer can be initialised; else nil, after an error: layer or tape NULL, dtype not real or, unless
 * `good`, numbers out of range, which the message describes. */
ag_tensor *ag__init_wrong(const char *name, const void *layer, ag_tape *tape, ag_dtype dtype, bool good,
                          const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 6, 7)))
#endif
    ;

/* NULL if x has the dtype of `part`, a real one, or `part` is NULL; else nil, after an error. An operation inside a
 * layer would report shapes that the caller has never seen. */
ag_tensor *ag__dtype_wrong(const char *name, ag_tensor *x, ag_tensor *part);

/* NULL if a linear layer takes `in` features, and its parts have x's dtype and belong together; else nil, after an
 * error. */
ag_tensor *ag__linear_wrong(const char *name, const ag_linear *layer, ag_tensor *x, int64_t in);

/* Functions that take indices: ag_gather's error would name shapes that the caller has never seen. */
typedef enum ag__indices {
    AG__EMBEDDING,
    AG__CROSS_ENTROPY,
    AG__NLL,
    AG__HINGE,
    AG__CTC,
    AG__CTC_LENGTHS, /* numbers of steps or labels */
    AG__RNN_LENGTHS,
    AG__UNPOOL
} ag__indices;

/* The index, of i64; its evaluation fails unless 0 <= index < count, with an error of the function that was called,
 * which says where in the caller's index. */
ag_tensor *ag__indices_in_range(ag__indices what, ag_tensor *index, int64_t count);

#endif
