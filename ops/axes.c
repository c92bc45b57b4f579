/* axes -- inputs as several reductions and scans take them: several axes as one, bools as numbers, elements as f64 */
#include "ops/rules.h"

#include <string.h>

ag_tensor *ag__as_number(ag_tensor *x) { return ag_dtype_of(x) == AG_BOOL ? ag_cast(x, AG_I64) : x; }

ag_tensor *ag__axes_together(ag_tensor *x, uint32_t mask, int *axis) {
    const int rank = ag_rank(x);
    ag_axes order = {0, {0}};
    ag_shape shape = {0, {0}};
    int64_t n = 1;
    *axis = 0;
    while (*axis < rank && mask != 1u << *axis) ++*axis;
    if (*axis < rank) return x;
    for (int i = 0; i < rank; i++)
        if (!(mask & 1u << i)) shape.extent[shape.rank++] = ag_extent(x, i), order.axis[order.count++] = i;
    for (int chosen = 0; chosen < rank; chosen++)
        if (mask & 1u << chosen) n *= ag_extent(x, chosen), order.axis[order.count++] = chosen;
    shape.extent[ *axis = shape.rank++] = n;
    return ag__reshape(ag__permute(x, &order), &shape);
}

ag_tensor *ag__axes_apart(ag_tensor *y, const ag_shape *shape, uint32_t mask) {
    ag_shape permuted = {shape->rank, {0}};
    ag_axes back = {shape->rank, {0}};
    int k = 0;
    for (int chosen = 0; chosen < 2; chosen++)
        for (int i = 0; i < shape->rank; i++)
            if ((mask >> i & 1u) == (unsigned)chosen) permuted.extent[k] = shape->extent[i], back.axis[i] = k++;
    return (mask & (mask - 1)) != 0 || mask == 0 ? ag__permute(ag__reshape(y, &permuted), &back) : y;
}

#define CONVERSION(name, to, from)                                                                                     \
    AG_BLOCK_KERNEL(void, name, (int64_t n, void *y_, const void *x_), (n, y_, x_)) {                                  \
        to *y = y_;                                                                                                    \
        const from *x = x_;                                                                                            \
        AG_SIMD                                                                                                        \
        for (int64_t i = 0; i < n; i++) y[i] = (to)x[i];                                                               \
    }
CONVERSION(f64_from_f32, double, float)
CONVERSION(f64_from_i64, double, int64_t)
CONVERSION(f32_from_f64, float, double)

void ag__widen(ag_dtype from, int64_t n, double *y, const void *x) {
    if (from == AG_F64) memcpy(y, x, (size_t)n * sizeof *y);
    else (from == AG_F32 ? f64_from_f32 : f64_from_i64)(n, y, x);
    ag__leave_vectors();
}

void ag__narrow(int64_t n, float *y, const double *x) {
    f32_from_f64(n, y, x);
    ag__leave_vectors();
}
