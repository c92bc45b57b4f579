/* quotient -- kernels of remainders and whole quotients
 *
 * A remainder with the sign of a is exact, so the same on every processor. If the quotient is not large it is a − q·b,
 * one multiply-add, with a q that is at most one off; other elements are left to C's fmod. */
#include "ops/quotient.h"

#include <math.h>
#include <string.h>

/* ---- Real numbers ---- */

enum { FEW = 256 };

/* REMAINDERS(rests_f32, float, f) defines it: y = fmod(a, b) of n <= FEW elements; elsewhere than in a and b. */
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
    static void name(int64_t n, type *y, const type *a, const type *b) {                                               \
        if (name##_of_small(n, y, a, b)) return;                                                                       \
        for (int64_t i = 0; i < n; i++)                                                                                \
            if (!(trunc##F(fabs##F(a[i]) / fabs##F(b[i])) < (most) && fabs##F(b[i]) < (type)INFINITY))                 \
                y[i] = fmod##F(a[i], b[i]);                                                                            \
    }
REMAINDERS(rests_f32, float, f, 0x1p22F)
REMAINDERS(rests_f64, double, , 0x1p51)
#undef REMAINDERS

/* QUOTIENT(ag__fmod_f32, float, rests_f32, r) defines that ag_block: `expression` of a, b, and r, which rests_f32 makes
 * of them. */
#define QUOTIENT(name, type, rests, expression)                                                                        \
    void name(int64_t n, void *y_, const void *const x[], const void *attributes) {                                    \
        type rest[FEW];                                                                                                \
        (void)attributes;                                                                                              \
        for (int64_t k = 0; k < n; k += FEW) {                                                                         \
            const int64_t count = n - k < FEW ? n - k : FEW;                                                           \
            const type *a_ = (const type *)x[0] + k, *b_ = (const type *)x[1] + k;                                     \
            rests(count, rest, a_, b_);                                                                                \
            type *y = (type *)y_ + k;                                                                                  \
            for (int64_t i = 0; i < count; i++) {                                                                      \
                const type a = a_[i], b = b_[i], r = rest[i];                                                          \
                (void)a, (void)b;                                                                                      \
                y[i] = (expression);                                                                                   \
            }                                                                                                          \
        }                                                                                                              \
    }

/* r, moved to the sign of b. */
#define MOVED(F) (r == 0 ? copysign##F(r, b) : (r < 0) != (b < 0) ? r + b : r)

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

static void floors_f32(int64_t n, float *y, const float *a, const float *b) {
    rests_f32(n, y, a, b);
    wholes_f32(n, y, a, b);
}
static void floors_f64(int64_t n, double *y, const double *a, const double *b) {
    rests_f64(n, y, a, b);
    wholes_f64(n, y, a, b);
}

QUOTIENT(ag__fmod_f32, float, rests_f32, r)
QUOTIENT(ag__fmod_f64, double, rests_f64, r)
QUOTIENT(ag__remainder_f32, float, rests_f32, MOVED(f))
QUOTIENT(ag__remainder_f64, double, rests_f64, MOVED())
QUOTIENT(ag__floor_divide_f32, float, floors_f32, r)
QUOTIENT(ag__floor_divide_f64, double, floors_f64, r)

/* ---- Whole numbers: none by 0, and −2⁶³ by −1 wraps around ---- */

static void rests_i64(int64_t n, int64_t *y, const int64_t *a, const int64_t *b) {
    for (int64_t i = 0; i < n; i++) y[i] = b[i] == 0 || b[i] == -1 ? 0 : a[i] % b[i];
}
static int64_t floor_i64(int64_t a, int64_t b, int64_t r) {
    const int64_t q = b == 0 ? 0 : b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
    return q - (r != 0 && (r < 0) != (b < 0));
}
QUOTIENT(ag__fmod_i64, int64_t, rests_i64, r)
QUOTIENT(ag__remainder_i64, int64_t, rests_i64, r != 0 && (r < 0) != (b < 0) ? r + b : r)
QUOTIENT(ag__floor_divide_i64, int64_t, rests_i64, floor_i64(a, b, r))
