/* refuse -- failing from a layer, a loss or an optimiser with the public interface alone */
#ifndef AG_NN_REFUSE_H
#define AG_NN_REFUSE_H

#define AG_NO_LOCATION
#include "nn/nn.h"

/* Fail with a message that follows the function's name and its inputs' shapes; returns nil. A NULL or nil input is
 * reported as such instead. */
ag_tensor *ag__refuse(const char *name, int n, ag_tensor *const x[], ag_status status, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 5, 6)))
#endif
    ;

/* The same where there is no tensor yet; where there is no tape either, the error is the thread's. */
ag_tensor *ag__refuse_on(ag_tape *tape, const char *name, ag_status status, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 4, 5)))
#endif
    ;

/* NULL if a layer can be initialised; else the nil that its tensors become, after an error: that the layer or the tape is
 * NULL, that the dtype is not real, or, unless the numbers are good, that they are out of range. */
ag_tensor *ag__init_wrong(const char *name, const void *layer, ag_tape *tape, ag_dtype dtype, bool good,
                          const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 6, 7)))
#endif
    ;

/* NULL if x, `what`, has the dtype of part of a layer; else the nil after an error. Otherwise some operation inside would
 * complain, of shapes that the caller has never seen. */
ag_tensor *ag__dtype_wrong(const char *name, const char *what, ag_tensor *x, ag_tensor *part);

/* Who takes indices: what gathers their values by itself would speak of shapes that the caller has never seen. */
typedef enum ag__indices { AG__EMBEDDING, AG__CROSS_ENTROPY, AG__HINGE } ag__indices;

/* The index, of i64, which fails when it is evaluated unless 0 <= index < count: in the words of the function that was
 * called, with the place in the caller's index. */
ag_tensor *ag__indices_in_range(ag__indices what, ag_tensor *index, int64_t count);

#endif
