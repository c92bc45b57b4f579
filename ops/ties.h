/* ties -- the shares of equal extremes in a cotangent, added up where windows overlap */
#ifndef AG_OPS_TIES_H
#define AG_OPS_TIES_H

#include "ops/rules.h"

/* x̄ = ȳ/n at the n elements of x that equal their extreme y, and 0 at the others; NaN at all where y is NaN and ȳ is
 * not 0. The axes of y and ȳ are kept. */
ag_tensor *ag__shares(ag_tensor *x, ag_tensor *y, ag_tensor *g);

/* Adds what `call`, a call of that operation, would compute to elements at `to`, place by place. Along the axes of
 * `view`, a view of all of that, these elements are so many `step` apart; places along `overlapping` axes have some in
 * common, which `offsets` of the same axes tell apart. False if it would not be in the order of the view, or after an
 * error, without memory. */
bool ag__add_shares(const ag_call *call, char *to, const ag_array *view, const int64_t step[], uint32_t overlapping,
                    uint32_t offsets);

#endif
