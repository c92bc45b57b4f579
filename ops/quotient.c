/* quotient -- kernels of remainders and whole quotients
 *
 * A remainder with the sign of a is exact, so the same on every processor. If the quotient is not large it is a − q·b,
 * one multiply-add, with a q that is at most one off; other elements are left to C's fmod. */
#include "ops/quotient.h"

#include <math.h>

/* ---- Real numbers ---- */

/* REMAINDERS(ag__rests_f32, float, f) defines it: y = fmod(a, b) of n elements. */
#define REMAINDERS(name, type, F, most)                                                                                \
    AG_BLOCK_KERNEL(bool, name##_of_small, (int64_t n, type * y, const type *a, const type *b), (n, y, a, b)) {        \
        int32_t large = 0;                                                                                             \
        AG_SIMD for (int64_t i = 0; i < n; i++) {                                                                      \
            const type x = fabs##F(a[i]), d = fabs##F(b[i]), q = trunc##F(x / d);                                      \
            type r = fma##F(-q, d, x);                                                                                 \
            r = r < 0 ? r + d : r;                                                                                     \
            y[i] = copysign##F(r >= d ? r - d : r, a[i]);                                                              \
            large |= !(q < (most)) | !(d < (type)INFINITY);                                                            \
        }                                                                                                              \
        return !large;                                                                                                 \
    }                                                                                                                  \
    void name(int64_t n, void *y_, const void *a_, const void *b_) {                                                   \
        type *y = y_;                                                                                                  \
        const type *a = a_, *b = b_;                                                                                   \
        if (name##_of_small(n, y, a, b)) return;                                                                       \
        for (int64_t i = 0; i < n; i++)                                                                                \
            if (!(trunc##F(fabs##F(a[i]) / fabs##F(b[i])) < (most) && fabs##F(b[i]) < (type)INFINITY))                 \
                y[i] = fmod##F(a[i], b[i]);                                                                            \
    }
REMAINDERS(ag__rests_f32, float, f, 0x1p22F)
REMAINDERS(ag__rests_f64, double, , 0x1p51)
#undef REMAINDERS

/* r = a − q·b for a whole q, moved to the sign of b. */
#define MOVED(name, type, F, rests)                                                                                    \
    void name(int64_t n, void *y_, const void *a, const void *b_) {                                                    \
        type *y = y_;                                                                                                  \
        const type *b = b_;                                                                                            \
        rests(n, y, a, b);                                                                                             \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const type same = copysign##F(y[i], b[i]);                                                                 \
            y[i] = y[i] == same ? same : y[i] + b[i];                                                                  \
        }                                                                                                              \
    }
MOVED(ag__moved_f32, float, f, ag__rests_f32)
MOVED(ag__moved_f64, double, , ag__rests_f64)
#undef MOVED

/* (a − r)/b, which only rounding keeps from being whole, and one too many if r moves; in the place of r. The rounding
 * of both steps can be as much as 1 where quotients have no fractions: then a − q·b, exact, is one b away from r. */
#define WHOLE_QUOTIENTS(name, type, F)                                                                                 \
    AG_BLOCK_KERNEL(void, name, (int64_t n, type * y, const type *a, const type *b), (n, y, a, b)) {                   \
        AG_SIMD for (int64_t i = 0; i < n; i++) {                                                                      \
            const type r = y[i], moves = ((r != 0) & ((r < 0) != (b[i] < 0))) ? 1 : 0;                                 \
            const type over = a[i] / b[i], near = rint##F((a[i] - r) / b[i]), e = fma##F(-near, b[i], a[i]) - r;       \
            const type off = 2 * fabs##F(e) > fabs##F(b[i]) ? copysign##F(1, e) * copysign##F(1, b[i]) : 0;            \
            const type q = near + (off - moves);                                                                       \
            y[i] = b[i] == 0 ? over : q == 0 ? copysign##F(0, over) : q;                                               \
        }                                                                                                              \
    }
WHOLE_QUOTIENTS(wholes_f32, float, f)
WHOLE_QUOTIENTS(wholes_f64, double, )
#undef WHOLE_QUOTIENTS

void ag__floors_f32(int64_t n, void *y, const void *a, const void *b) {
    ag__rests_f32(n, y, a, b);
    wholes_f32(n, y, a, b);
}
void ag__floors_f64(int64_t n, void *y, const void *a, const void *b) {
    ag__rests_f64(n, y, a, b);
    wholes_f64(n, y, a, b);
}

/* ---- Whole numbers: none by 0, and −2⁶³ by −1 wraps around ---- */

void ag__rests_i64(int64_t n, void *y_, const void *a_, const void *b_) {
    int64_t *y = y_;
    const int64_t *a = a_, *b = b_;
    for (int64_t i = 0; i < n; i++) y[i] = b[i] == 0 || b[i] == -1 ? 0 : a[i] % b[i];
}
void ag__moved_i64(int64_t n, void *y_, const void *a, const void *b_) {
    int64_t *y = y_;
    const int64_t *b = b_;
    ag__rests_i64(n, y, a, b);
    for (int64_t i = 0; i < n; i++)
        if (y[i] != 0 && (y[i] < 0) != (b[i] < 0)) y[i] += b[i];
}
void ag__floors_i64(int64_t n, void *y_, const void *a_, const void *b_) {
    int64_t *y = y_;
    const int64_t *a = a_, *b = b_;
    for (int64_t i = 0; i < n; i++) {
        const bool whole = b[i] == 0 || b[i] == -1;
        const int64_t q = b[i] == 0 ? 0 : whole ? (int64_t)(0 - (uint64_t)a[i]) : a[i] / b[i];
        y[i] = q - (!whole && a[i] % b[i] != 0 && (a[i] < 0) != (b[i] < 0));
    }
}
