/* folding -- the kernels of reductions
 *
 * A fold's order depends only on the number of elements: LANES running folds side by side, then the lanes pairwise.
 * So the result has the same bits for any vector width. The evaluator joins the folds of blocks, pairwise too. */
#include "autograd/tape/basis.h"
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

/* y = the fold of x[0…n) by the kernel of y[i] = y[i] ∘ x[i]: it takes a call for each LANES elements. */
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

/* ---- Lanes in registers: vectors of 32 bytes ---- */

#ifdef __GNUC__
#if AG__CHOOSES
#define ON_VECTORS __attribute__((target("arch=x86-64-v3")))
#else
#define ON_VECTORS
#endif
typedef float wide_f32 __attribute__((vector_size(32)));
typedef double wide_f64 __attribute__((vector_size(32)));
typedef uint64_t words __attribute__((vector_size(32)));

/* y = the fold of x[0…n), n >= LANES, by a ∘ b = joined, where elements are read times `by`, and what they leave of the
 * last lanes is neutral. False: one was noted as odd, and y is wrong. */
#define IN_VECTORS(name, type, vector, neutral, by, note, joined)                                                      \
    ON_VECTORS static bool name(int64_t n, type *y, const type *x, type sign) {                                        \
        enum { WIDTH = sizeof(vector) / sizeof(type), VECTORS = LANES / WIDTH };                                       \
        vector lane[VECTORS];                                                                                          \
        words odd = {0};                                                                                               \
        type at[LANES];                                                                                                \
        (void)sign;                                                                                                    \
        AG__UNROLLED for (int v = 0; v < VECTORS; v++) lane[v] = (neutral) - (vector){0};                              \
        for (int64_t i = 0; i < n; i += LANES) {                                                                       \
            const type *from = x + i;                                                                                  \
            if (i + LANES > n) {                                                                                       \
                for (int64_t l = 0; l < LANES; l++) at[l] = (neutral)by;                                               \
                from = memcpy(at, from, (size_t)(n - i) * sizeof *at);                                                 \
            }                                                                                                          \
            AG__UNROLLED for (int v = 0; v < VECTORS; v++) {                                                           \
                vector a = lane[v], b;                                                                                 \
                memcpy(&b, from + v * WIDTH, sizeof b);                                                                \
                b = b by;                                                                                              \
                note;                                                                                                  \
                lane[v] = joined(vector, a, b);                                                                        \
            }                                                                                                          \
        }                                                                                                              \
        AG__UNROLLED for (int half = VECTORS / 2; half > 0; half /= 2) AG__UNROLLED for (int v = 0; v < half; v++)     \
            lane[v] = joined(vector, lane[v], lane[v + half]);                                                         \
        memcpy(at, lane, sizeof *lane);                                                                                \
        AG__UNROLLED for (int half = WIDTH / 2; half > 0; half /= 2) AG__UNROLLED for (int l = 0; l < half; l++)       \
            at[l] = joined(type, at[l], at[l + half]);                                                                 \
        *y = at[0] by;                                                                                                 \
        return (odd[0] | odd[1] | odd[2] | odd[3]) == 0;                                                               \
    }
#define LANES_OF(name, n, y, x, by) (n >= LANES && ag__has_avx2() && name(n, y, x, by))
#else
#define IN_VECTORS(name, type, vector, neutral, by, note, joined)
#define LANES_OF(name, n, y, x, by) false
#endif

/* ---- Sums, means ---- */

COMBINE(sum_combine_i64, uint64_t, a + b)
AG_BLOCK_KERNEL(void, sum_fold_i64, (int64_t n, void *y, const void *x_), (n, y, x_)) {
    const ag__word_8 *x = x_, *half = x + n / 2;
    uint64_t sum = n % 2 ? x[n - 1] : 0, other = 0; /* neither waits for the other */
    for (int64_t i = 0; i < n / 2; i++) {
        sum += x[i];
        other += half[i];
    }
    *(ag__word_8 *)y = sum + other;
}
COMBINE(sum_combine_f32, float, a + b)
COMBINE(sum_combine_f64, double, a + b)

/* −0 changes no number that it is added to, 0 would change −0. */
#define PLUS(type, a, b) ((a) + (b))
#define FOLD_SUM(name, type, vector, combine, lanes)                                                                   \
    IN_VECTORS(lanes, type, vector, -(type)0, , (void)odd, PLUS)                                                       \
    static void name(int64_t n, void *y, const void *x_) {                                                             \
        const type *x = x_;                                                                                            \
        if (LANES_OF(lanes, n, y, x, 1)) return;                                                                       \
        if (n >= LANES) fold_by(combine, sizeof *x, n, y, x_);                                                         \
        else {                                                                                                         \
            type sum = x[0];                                                                                           \
            for (int64_t i = 1; i < n; i++) sum += x[i];                                                               \
            *(type *)y = sum;                                                                                          \
        }                                                                                                              \
    }
FOLD_SUM(sum_fold_f32, float, wide_f32, sum_combine_f32, sum_lanes_f32)
FOLD_SUM(sum_fold_f64, double, wide_f64, sum_combine_f64, sum_lanes_f64)

/* Rows of one to eight vectors are added in registers: a sum in memory can be added to only when it has been stored.
 * The last elements are in a vector with some of those before, which is read before any of these is stored. */
#ifdef __GNUC__
#define ADD_ROWS(name, type, vector)                                                                                   \
    ON_VECTORS static void name(int64_t n, type *y, const type *x, int64_t rows, int64_t across) {                     \
        enum { WIDTH = sizeof(vector) / sizeof(type) };                                                                \
        vector sum, last;                                                                                              \
        memcpy(&last, y + n - WIDTH, sizeof last);                                                                     \
        for (int64_t j = 0; j < n; j += WIDTH) {                                                                       \
            if (j + WIDTH <= n) memcpy(&sum, y + j, sizeof sum);                                                       \
            else j = n - WIDTH, sum = last;                                                                            \
            const char *from = (const char *)(x + j);                                                                  \
            for (int64_t i = 0; i < rows; i++, from += across) {                                                       \
                vector b;                                                                                              \
                memcpy(&b, from, sizeof b);                                                                            \
                sum += b;                                                                                              \
            }                                                                                                          \
            memcpy(y + j, &sum, sizeof sum);                                                                           \
        }                                                                                                              \
    }
ADD_ROWS(add_rows_f32, float, wide_f32)
ADD_ROWS(add_rows_f64, double, wide_f64)
#endif

void ag__combine_rows(void (*combine)(int64_t, void *, const void *), int64_t n, void *y, const void *x, int64_t rows,
                      int64_t across) {
#ifdef __GNUC__
    const bool narrow = n >= 8 && n <= 64 && ag__has_avx2();
    if (narrow && combine == sum_combine_f32) add_rows_f32(n, y, x, rows, across);
    else if (narrow && combine == sum_combine_f64) add_rows_f64(n, y, x, rows, across);
    else
#endif
        for (const char *from = x; rows > 0; rows--, from += across) combine(n, y, from);
}

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
COMBINE(prod_combine_f64, double, a *b)
FOLD_BY(prod_fold_f64, prod_combine_f64, double)

#define TIMES(type, a, b) ((a) * (b))
IN_VECTORS(prod_lanes_f32, float, wide_f32, 1.0f, , (void)odd, TIMES)
static void prod_fold_f32(int64_t n, void *y, const void *x) {
    if (!LANES_OF(prod_lanes_f32, n, y, x, 1)) fold_by(prod_combine_f32, sizeof(float), n, y, x);
}

const ag_reduction ag__reduction_prod = {
    .identity = 1,
    .fold = {[AG_I64] = prod_fold_i64, [AG_F32] = prod_fold_f32, [AG_F64] = prod_fold_f64},
    .combine = {[AG_I64] = prod_combine_i64, [AG_F32] = prod_combine_f32, [AG_F64] = prod_combine_f64},
    .join = &ag__op_mul};

/* ---- Truth ---- */

COMBINE(all_combine, uint8_t, a &b)
static void all_fold(int64_t n, void *y, const void *x) { *(uint8_t *)y = memchr(x, 0, (size_t)n) == NULL; }
COMBINE(any_combine, uint8_t, a | b)
static void any_fold(int64_t n, void *y, const void *x) { *(uint8_t *)y = memchr(x, 1, (size_t)n) != NULL; }

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
COMBINE(max_combine_f64, double, a > b || a != a ? a : b)
COMBINE(min_combine_f32, float, a < b || a != a ? a : b)
COMBINE(min_combine_f64, double, a < b || a != a ? a : b)

/* The largest, where NaN is noted, which would not stay in a vector. The smallest is the largest times −1. */
#define GREATER_float(a, b) ((a) > (b) ? (a) : (b))
#define GREATER_double GREATER_float
#if AG__CHOOSES || defined __AVX__
#define GREATER_wide_f32(a, b) __builtin_ia32_maxps256(a, b)
#define GREATER_wide_f64(a, b) __builtin_ia32_maxpd256(a, b)
#else
#define GREATER_OF(vector, is, a, b) (vector)(((words)(a) & (words)(is)) | ((words)(b) & ~(words)(is)))
#define GREATER_wide_f32(a, b) GREATER_OF(wide_f32, (a) > (b), a, b)
#define GREATER_wide_f64(a, b) GREATER_OF(wide_f64, (a) > (b), a, b)
#endif
#define GREATER(type, a, b) GREATER_##type(a, b)
#define FOLD_EXTREMES(greatest, least, type, vector, combine_greater, combine_less, lanes)                             \
    IN_VECTORS(lanes, type, vector, -(type)INFINITY, *sign, odd |= (words)(b != b), GREATER)                           \
    static void greatest(int64_t n, void *y, const void *x) {                                                          \
        if (!LANES_OF(lanes, n, y, x, 1)) fold_by(combine_greater, sizeof(type), n, y, x);                             \
    }                                                                                                                  \
    static void least(int64_t n, void *y, const void *x) {                                                             \
        if (!LANES_OF(lanes, n, y, x, -1)) fold_by(combine_less, sizeof(type), n, y, x);                               \
    }
FOLD_EXTREMES(max_fold_f32, min_fold_f32, float, wide_f32, max_combine_f32, min_combine_f32, extreme_f32)
FOLD_EXTREMES(max_fold_f64, min_fold_f64, double, wide_f64, max_combine_f64, min_combine_f64, extreme_f64)

const ag_reduction ag__reduction_max = {
    .identity = -INFINITY,
    .fold = {[AG_I64] = max_fold_i64, [AG_F32] = max_fold_f32, [AG_F64] = max_fold_f64},
    .combine = {[AG_I64] = max_combine_i64, [AG_F32] = max_combine_f32, [AG_F64] = max_combine_f64},
    .join = &ag__op_maximum};

COMBINE(min_combine_i64, int64_t, a < b ? a : b)
FOLD_BY(min_fold_i64, min_combine_i64, int64_t)

const ag_reduction ag__reduction_min = {
    .identity = INFINITY,
    .fold = {[AG_I64] = min_fold_i64, [AG_F32] = min_fold_f32, [AG_F64] = min_fold_f64},
    .combine = {[AG_I64] = min_combine_i64, [AG_F32] = min_combine_f32, [AG_F64] = min_combine_f64},
    .join = &ag__op_minimum};
