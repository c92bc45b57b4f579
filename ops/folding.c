/* folding -- the kernels of reductions
 *
 * A fold's order depends only on the number of elements: LANES running folds side by side, then the lanes pairwise.
 * So the result has the same bits for any vector width. The evaluator joins the folds of blocks, pairwise too. */
#include "autograd/tape/limits.h"
#include "ops/rules.h"

#include <math.h>
#include <string.h>

enum { LANES = AG__LANES, AHEAD = 512 /* elements, that are fetched before they are needed */ };

/* y[i] = y[i] ∘ x[i]. */
#define COMBINE(name, type, formula)                                                                                   \
    AG_BLOCK_KERNEL(void, name, (int64_t n, void *y_, const void *x_), (n, y_, x_)) {                                  \
        type *y = y_;                                                                                                  \
        const type *x = x_;                                                                                            \
        AG_SIMD                                                                                                        \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const type a = y[i], b = x[i];                                                                             \
            y[i] = formula;                                                                                            \
        }                                                                                                              \
    }

/* lane[l] = x ∘ y for `count` lanes. */
#define LANES_OF(count, type, formula, x, y)                                                                           \
    AG_SIMD                                                                                                            \
    for (int64_t l = 0; l < (count); l++) {                                                                            \
        const type a = (x), b = (y);                                                                                   \
        lane[l] = formula;                                                                                             \
    }

/* y[0] = the fold of x[0…n) by a ∘ b = formula. Lanes begin as results, not as copies, which GCC makes of narrower
 * vectors than it then reads: that waits for the stores. */
#define FOLD(name, type, formula)                                                                                      \
    AG_BLOCK_KERNEL(void, name, (int64_t n, void *y_, const void *x_), (n, y_, x_)) {                                  \
        const type *x = x_;                                                                                            \
        type lane[LANES];                                                                                              \
        if (n < LANES) {                                                                                               \
            type a = x[0];                                                                                             \
            for (int64_t i = 1; i < n; i++) {                                                                          \
                const type b = x[i];                                                                                   \
                a = formula;                                                                                           \
            }                                                                                                          \
            *(type *)y_ = a;                                                                                           \
            return;                                                                                                    \
        }                                                                                                              \
        if (n == LANES) {                                                                                              \
            LANES_OF(LANES / 2, type, formula, x[l], x[l + LANES / 2])                                                 \
        } else {                                                                                                       \
            int64_t i = n < 2 * LANES ? LANES : 2 * LANES;                                                             \
            if (n < 2 * LANES) memcpy(lane, x, sizeof lane);                                                           \
            else {                                                                                                     \
                LANES_OF(LANES, type, formula, x[l], x[l + LANES])                                                     \
            }                                                                                                          \
            for (; i + LANES <= n; i += LANES) {                                                                       \
                LANES_OF(LANES, type, formula, lane[l], x[i + l])                                                      \
            }                                                                                                          \
            for (int64_t l = 0; i + l < n; l++) {                                                                      \
                const type a = lane[l], b = x[i + l];                                                                  \
                lane[l] = formula;                                                                                     \
            }                                                                                                          \
            LANES_OF(LANES / 2, type, formula, lane[l], lane[l + LANES / 2])                                           \
        }                                                                                                              \
        AG__UNROLLED                                                                                                   \
        for (int half = LANES / 4; half > 0; half /= 2) {                                                              \
            LANES_OF(half, type, formula, lane[l], lane[l + half])                                                     \
        }                                                                                                              \
        *(type *)y_ = lane[0];                                                                                         \
    }

/* The same by the kernel of y[i] = y[i] ∘ x[i], for folds that machine code mostly stands in for: it takes a call for
 * each LANES elements. */
static void fold_by(void (*combine)(int64_t n, void *y, const void *x), size_t bytes, int64_t n, void *y,
                    const char *x) {
    _Alignas(64) char lane[LANES * AG__MOST_BYTES];
    const int64_t width = ag__lesser(n, LANES);
    memcpy(lane, x, (size_t)width * bytes);
    for (int64_t i = width; i < n; i += LANES) combine(ag__lesser(n - i, LANES), lane, x + (size_t)i * bytes);
    if (n >= LANES)
        for (int64_t half = LANES / 2; half > 0; half /= 2) combine(half, lane, lane + (size_t)half * bytes);
    else
        for (int64_t l = 1; l < n; l++) combine(1, lane, lane + (size_t)l * bytes);
    memcpy(y, lane, bytes);
}
#define FOLD_BY(fold, combine, type)                                                                                   \
    static void fold(int64_t n, void *y, const void *x) { fold_by(combine, sizeof(type), n, y, x); }

/* ---- Sums, means ---- */

FOLD(sum_fold_f32, float, a + b)
FOLD(sum_fold_f64, double, a + b)
COMBINE(sum_combine_i64, uint64_t, a + b)
FOLD_BY(sum_fold_i64, sum_combine_i64, uint64_t)
COMBINE(sum_combine_f32, float, a + b)
COMBINE(sum_combine_f64, double, a + b)

const ag_reduction ag__reduction_sum = {
    .identity = 0,
    .fold = {[AG_I64] = sum_fold_i64, [AG_F32] = sum_fold_f32, [AG_F64] = sum_fold_f64},
    .combine = {[AG_I64] = sum_combine_i64, [AG_F32] = sum_combine_f32, [AG_F64] = sum_combine_f64},
    .join = &ag__op_add};

static void mean_finish_f32(int64_t n, void *y_, int64_t count) {
    float *y = y_;
    for (int64_t i = 0; i < n; i++) y[i] /= (float)count;
}

static void mean_finish_f64(int64_t n, void *y_, int64_t count) {
    double *y = y_;
    for (int64_t i = 0; i < n; i++) y[i] /= (double)count;
}

const ag_reduction ag__reduction_mean = {.identity = 0,
                                         .fold = {[AG_F32] = sum_fold_f32, [AG_F64] = sum_fold_f64},
                                         .combine = {[AG_F32] = sum_combine_f32, [AG_F64] = sum_combine_f64},
                                         .finish = {[AG_F32] = mean_finish_f32, [AG_F64] = mean_finish_f64},
                                         .join = &ag__op_add};

/* ---- Products ---- */

COMBINE(prod_combine_i64, uint64_t, a *b)
FOLD_BY(prod_fold_i64, prod_combine_i64, uint64_t)
COMBINE(prod_combine_f32, float, a *b)
FOLD_BY(prod_fold_f32, prod_combine_f32, float)
COMBINE(prod_combine_f64, double, a *b)
FOLD_BY(prod_fold_f64, prod_combine_f64, double)

const ag_reduction ag__reduction_prod = {
    .identity = 1,
    .fold = {[AG_I64] = prod_fold_i64, [AG_F32] = prod_fold_f32, [AG_F64] = prod_fold_f64},
    .combine = {[AG_I64] = prod_combine_i64, [AG_F32] = prod_combine_f32, [AG_F64] = prod_combine_f64},
    .join = &ag__op_mul};

/* ---- Truth ---- */

COMBINE(all_combine, uint8_t, a &b)
FOLD_BY(all_fold, all_combine, uint8_t)
COMBINE(any_combine, uint8_t, a | b)
FOLD_BY(any_fold, any_combine, uint8_t)

const ag_reduction ag__reduction_all = {
    .identity = 1, .fold = {[AG_BOOL] = all_fold}, .combine = {[AG_BOOL] = all_combine}};
const ag_reduction ag__reduction_any = {
    .identity = 0, .fold = {[AG_BOOL] = any_fold}, .combine = {[AG_BOOL] = any_combine}};

/* ---- The Euclidean norm ---- */

/* Lanes of squares, in double: of f32 they can neither overflow nor lose digits, and are not scaled. They are added in
 * two halves, so that less of them is in registers at a time than there are. */
#define SQUARES(kernel, name, type, scaled)                                                                            \
    kernel(double, name, (int64_t n, const type *x, double by), (n, x, by)) {                                          \
        double lane[LANES] = {0};                                                                                      \
        int64_t i = 0;                                                                                                 \
        (void)by;                                                                                                      \
        for (; i + LANES <= n; i += LANES) {                                                                           \
            for (int64_t l = 0; l < LANES; l += AG__LINE / (int64_t)sizeof *x) ag__fetch(x + i + AHEAD + l);           \
            AG_SIMD                                                                                                    \
            for (int64_t l = 0; l < LANES / 2; l++)                                                                    \
                lane[l] = fma((double)x[i + l] scaled, (double)x[i + l] scaled, lane[l]);                              \
            AG_SIMD                                                                                                    \
            for (int64_t l = LANES / 2; l < LANES; l++)                                                                \
                lane[l] = fma((double)x[i + l] scaled, (double)x[i + l] scaled, lane[l]);                              \
        }                                                                                                              \
        for (int64_t l = 0; i + l < n; l++) lane[l] = fma((double)x[i + l] scaled, (double)x[i + l] scaled, lane[l]);  \
        for (int64_t half = LANES / 2; half > 0; half /= 2) {                                                          \
            AG_SIMD                                                                                                    \
            for (int64_t l = 0; l < half; l++) lane[l] += lane[l + half];                                              \
        }                                                                                                              \
        return lane[0];                                                                                                \
    }
SQUARES(AG_KERNEL, squares_f32, float, ) /* f64 wait for memory with narrower vectors too */
SQUARES(AG_BLOCK_KERNEL, squares_f64, double, *by)

/* y[i] = √(y[i]² + x[i]²), of numbers brought into the middle of the range. */
#define HYPOT(combine, finish, type, root, large, down, small, up)                                                     \
    AG_BLOCK_KERNEL(void, combine, (int64_t n, void *y_, const void *x_), (n, y_, x_)) {                               \
        type *y = y_;                                                                                                  \
        const type *x = x_;                                                                                            \
        AG_SIMD                                                                                                        \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const type a = y[i] < 0 ? -y[i] : y[i], b = x[i] < 0 ? -x[i] : x[i], most = a > b ? a : b;                 \
            const type by = most > large ? down : most < small ? up : 1;                                               \
            const type back = most > large ? 1 / down : most < small ? 1 / up : 1;                                     \
            y[i] = root((a * by) * (a * by) + (b * by) * (b * by)) * back;                                             \
        }                                                                                                              \
    }                                                                                                                  \
    static void finish(int64_t n, void *y_, int64_t count) {                                                           \
        type *y = y_;                                                                                                  \
        for (int64_t i = 0; i < n && count == 1; i++) y[i] = y[i] < 0 ? -y[i] : y[i];                                  \
    }
HYPOT(norm_combine_f32, norm_finish_f32, float, sqrtf, 0x1p60f, 0x1p-70f, 0x1p-50f, 0x1p100f)
HYPOT(norm_combine_f64, norm_finish_f64, double, sqrt, 0x1p500, 0x1p-600, 0x1p-450, 0x1p600)

/* Few are combined one after the other, as columns of few are. */
static bool norm_of_few(int64_t n, size_t bytes, void *y, const char *x,
                        void (*combine)(int64_t n, void *y, const void *x)) {
    if (n >= LANES) return false;
    memcpy(y, x, bytes);
    for (int64_t i = 1; i < n; i++) combine(1, y, x + (size_t)i * bytes);
    return true;
}

static void norm_fold_f32(int64_t n, void *y, const void *x) {
    if (!norm_of_few(n, sizeof(float), y, x, norm_combine_f32)) *(float *)y = (float)sqrt(squares_f32(n, x, 1));
}

/* A sum of squares that has left the middle of the range is taken again, of numbers brought there by a power of two. */
static void norm_fold_f64(int64_t n, void *y, const void *x) {
    if (norm_of_few(n, sizeof(double), y, x, norm_combine_f64)) return;
    const double sum = squares_f64(n, x, 1), by = sum > 1 ? 0x1p-600 : 0x1p600;
    *(double *)y = sum > 0x1p-900 && sum < 0x1p1000 ? sqrt(sum) : sqrt(squares_f64(n, x, by)) / by;
}

const ag_reduction ag__reduction_norm = {.identity = 0,
                                         .fold = {[AG_F32] = norm_fold_f32, [AG_F64] = norm_fold_f64},
                                         .combine = {[AG_F32] = norm_combine_f32, [AG_F64] = norm_combine_f64},
                                         .finish = {[AG_F32] = norm_finish_f32, [AG_F64] = norm_finish_f64}};

/* ---- The largest and the smallest ---- */

/* Comparisons with NaN are false, so it is tested for; once found, it stays. */
COMBINE(max_combine_i64, int64_t, a > b ? a : b)
FOLD_BY(max_fold_i64, max_combine_i64, int64_t)
COMBINE(max_combine_f32, float, a > b || a != a ? a : b)
FOLD_BY(max_fold_f32, max_combine_f32, float)
COMBINE(max_combine_f64, double, a > b || a != a ? a : b)
FOLD_BY(max_fold_f64, max_combine_f64, double)

const ag_reduction ag__reduction_max = {
    .identity = -INFINITY,
    .fold = {[AG_I64] = max_fold_i64, [AG_F32] = max_fold_f32, [AG_F64] = max_fold_f64},
    .combine = {[AG_I64] = max_combine_i64, [AG_F32] = max_combine_f32, [AG_F64] = max_combine_f64},
    .join = &ag__op_maximum};

COMBINE(min_combine_i64, int64_t, a < b ? a : b)
FOLD_BY(min_fold_i64, min_combine_i64, int64_t)
COMBINE(min_combine_f32, float, a < b || a != a ? a : b)
FOLD_BY(min_fold_f32, min_combine_f32, float)
COMBINE(min_combine_f64, double, a < b || a != a ? a : b)
FOLD_BY(min_fold_f64, min_combine_f64, double)

const ag_reduction ag__reduction_min = {
    .identity = INFINITY,
    .fold = {[AG_I64] = min_fold_i64, [AG_F32] = min_fold_f32, [AG_F64] = min_fold_f64},
    .combine = {[AG_I64] = min_combine_i64, [AG_F32] = min_combine_f32, [AG_F64] = min_combine_f64},
    .join = &ag__op_minimum};
