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

/* The same where there is no tensor yet. A NULL tape is reported as such instead. */
ag_tensor *ag__refuse_on(ag_tape *tape, const char *name, ag_status status, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 4, 5)))
#endif
    ;

#endif
