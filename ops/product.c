/* product -- kernels for matrix products: AVX-512, AVX2, and one for any other processor
 *
 * y is computed in panels: all its rows by as many columns as two vectors have lanes, over a block of k. Large
 * operands are packed, both of them. Otherwise a panel of b is read where it is if its columns are contiguous and
 * its rows do not evict each other from the cache, or else copied to the stack; and a is read where it is, whatever
 * its strides, because its elements are broadcast to all lanes one by one. The bits are the same either way. */
#include "ops/product.h"
#include "autograd/tape/limits.h"
#include "autograd/tape/thread.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined __GNUC__ && defined __x86_64__
#include <immintrin.h>
#endif
#if defined __GNUC__ && defined __aarch64__
#include <arm_neon.h>
#endif

#ifdef __GNUC__
#define INLINE static inline __attribute__((always_inline))
#define PREFETCH __builtin_prefetch /* address, whether to write, how near */
#ifdef __clang__
#define UNROLLED _Pragma("clang loop unroll(full)")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif
#define VECTOR(type, lanes) __attribute__((vector_size((lanes) * sizeof(type))))
#define VECTOR_ANYWHERE(type, lanes)                                                                                   \
    __attribute__((vector_size((lanes) * sizeof(type)), aligned(sizeof(type)), may_alias))
/* Keeps p in memory: other variables need the registers. */
static inline void *in_memory(void *p) {
    __asm__("" : "+r"(p) : : "memory");
    return p;
}
#define IN_MEMORY in_memory
#else
#define IN_MEMORY(p) (p)
#define INLINE static inline
#define PREFETCH(p, write, near) (void)0
#define UNROLLED
#define VECTOR(type, lanes)
#define VECTOR_ANYWHERE(type, lanes)
#endif

/* ---- Panels ---- */

enum { LOW = 4 }; /* rows of a low tile */

static inline int64_t ceiling(int64_t x, int64_t of) { return (x + of - 1) / of * of; }

/* The rows of the next tile, of so many that are left: as few rows as possible of the low tiles are empty, and as few
 * tiles as possible are low. */
INLINE int64_t height_of_tile(int64_t rows, int64_t high, int64_t middle) {
    if (rows < high || (middle > LOW && rows == 2 * middle)) return rows >= middle ? middle : LOW;
    const int64_t rest = rows - high;
    const bool emptier = rest < high && high + ceiling(rest, LOW) > ceiling(rows, LOW);
    return emptier ? LOW : high;
}

/* ---- A matrix and a vector ---- */

enum {
    MOST_DOTS = 8,                    /* rows at a time */
    CHAIN_STEPS = AG__LIMIT(16, 2),   /* vectors of a segment */
    DOT_LEVELS = AG__LIMIT(8, 4) + 1, /* levels of the tree of segments: how often AG__DOT_F32 can be halved */
};

/* y[j] = Σ x[p]·b[j·step + p] for j < n, or Σ x[p]·b[p·step + j]. */
typedef struct dots {
    bool add;
    int64_t n, k, step;
    const void *x, *b;
    void *y;
} dots;

#if defined __GNUC__ && defined __x86_64__
/* Add up the lanes of each vector, halves to halves. */
#define ON __attribute__((target("avx2")))
ON INLINE void join_f32_avx2(const __m256 s[8], float *to) {
    UNROLLED for (int i = 0; i < 8; i += 4, to += 4) {
        const __m256 low = _mm256_hadd_ps(s[i], s[i + 1]), high = _mm256_hadd_ps(s[i + 2], s[i + 3]);
        const __m256 both = _mm256_hadd_ps(low, high);
        _mm_storeu_ps(to, _mm_add_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps(both, 1)));
    }
}

ON INLINE void join_f64_avx2(const __m256d s[8], double *to) {
    UNROLLED for (int i = 0; i < 8; i += 4, to += 4) {
        const __m256d low = _mm256_hadd_pd(s[i], s[i + 1]), high = _mm256_hadd_pd(s[i + 2], s[i + 3]);
        _mm256_storeu_pd(to, _mm256_add_pd(_mm256_blend_pd(low, high, 12), _mm256_permute2f128_pd(low, high, 0x21)));
    }
}
#undef ON

#define ON __attribute__((target("avx512f")))
ON INLINE void join_f32_avx512(const __m512 s[8], float *to) {
    __m256 half[8];
    UNROLLED for (int i = 0; i < 8; i++) {
        const __m512d all = _mm512_castps_pd(s[i]);
        half[i] = _mm256_castpd_ps(_mm512_extractf64x4_pd(all, 1)) + _mm512_castps512_ps256(s[i]);
    }
    join_f32_avx2(half, to);
}

ON INLINE void join_f64_avx512(const __m512d s[8], double *to) {
    __m256d half[8];
    UNROLLED for (int i = 0; i < 8; i++) half[i] = _mm512_castpd512_pd256(s[i]) + _mm512_extractf64x4_pd(s[i], 1);
    join_f64_avx2(half, to);
}
#undef ON
#endif

#if defined __GNUC__ && defined __x86_64__
#define ON __attribute__((target("avx512f")))
#define MASK __mmask16
#define HIGH 12
#define MIDDLE 8
#define PACKED_HIGH 12
#define MASKS 1
#define FRUGAL 0

#define PANEL panel_f32_avx512
#define SOME_ROWS some_rows_f32_avx512
#define TILE tile_f32_avx512
#define PACKED_PANEL packed_f32_avx512
#define PUT_PART put_part_f32_avx512
#define PUT_TILE put_tile_f32_avx512
#define PACKED_TILE packed_tile_f32_avx512
#define PACKED_STEP packed_step_f32_avx512
#define DOTS dots_f32_avx512
#define SOME_DOTS some_dots_f32_avx512
#define CHAINS chains_f32_avx512
#define LINES lines_f32_avx512
#define ADD_LINES add_lines_f32_avx512
#define JOIN join_f32_avx512
#define CHAIN AG__CHAIN_F32
#define REAL float
#define LANES 16
#define MASK_OF(n) (__mmask16)((1u << (n)) - 1)
#define LOAD_PART(p, mask) _mm512_maskz_loadu_ps(mask, p)
#define STORE_PART _mm512_mask_storeu_ps
#define MULTIPLY_ADD _mm512_fmadd_ps
#include "ops/product_tile.h"

#define PANEL panel_f64_avx512
#define SOME_ROWS some_rows_f64_avx512
#define TILE tile_f64_avx512
#define PACKED_PANEL packed_f64_avx512
#define PUT_PART put_part_f64_avx512
#define PUT_TILE put_tile_f64_avx512
#define PACKED_TILE packed_tile_f64_avx512
#define PACKED_STEP packed_step_f64_avx512
#define DOTS dots_f64_avx512
#define SOME_DOTS some_dots_f64_avx512
#define CHAINS chains_f64_avx512
#define LINES lines_f64_avx512
#define ADD_LINES add_lines_f64_avx512
#define JOIN join_f64_avx512
#define CHAIN AG__CHAIN_F64
#define REAL double
#define LANES 8
#define MASK_OF(n) (__mmask8)((1u << (n)) - 1)
#define LOAD_PART(p, mask) _mm512_maskz_loadu_pd((__mmask8)(mask), p)
#define STORE_PART(p, mask, x) _mm512_mask_storeu_pd(p, (__mmask8)(mask), x)
#define MULTIPLY_ADD _mm512_fmadd_pd
#include "ops/product_tile.h"

#undef ON
#undef MASK
#undef HIGH
#undef MIDDLE
#undef PACKED_HIGH
#undef MASKS
#undef FRUGAL

/* A mask of n lanes: read from n before the middle. */
static const int32_t lanes_f32[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
static const int64_t lanes_f64[8] = {-1, -1, -1, -1};

#define ON __attribute__((target("avx2,fma")))
#define MASK __m256i
#define HIGH 6
#define MIDDLE LOW
#define PACKED_HIGH 6
#define MASKS 1
#define FRUGAL 0

#define PANEL panel_f32_avx2
#define SOME_ROWS some_rows_f32_avx2
#define TILE tile_f32_avx2
#define PACKED_PANEL packed_f32_avx2
#define PUT_PART put_part_f32_avx2
#define PUT_TILE put_tile_f32_avx2
#define PACKED_TILE packed_tile_f32_avx2
#define PACKED_STEP packed_step_f32_avx2
#define DOTS dots_f32_avx2
#define SOME_DOTS some_dots_f32_avx2
#define CHAINS chains_f32_avx2
#define LINES lines_f32_avx2
#define ADD_LINES add_lines_f32_avx2
#define JOIN join_f32_avx2
#define CHAIN AG__CHAIN_F32
#define REAL float
#define LANES 8
#define MASK_OF(n) _mm256_loadu_si256((const __m256i *)(const void *)(lanes_f32 + 8 - (n)))
#define LOAD_PART _mm256_maskload_ps
#define STORE_PART _mm256_maskstore_ps
#define MULTIPLY_ADD _mm256_fmadd_ps
#include "ops/product_tile.h"

#define PANEL panel_f64_avx2
#define SOME_ROWS some_rows_f64_avx2
#define TILE tile_f64_avx2
#define PACKED_PANEL packed_f64_avx2
#define PUT_PART put_part_f64_avx2
#define PUT_TILE put_tile_f64_avx2
#define PACKED_TILE packed_tile_f64_avx2
#define PACKED_STEP packed_step_f64_avx2
#define DOTS dots_f64_avx2
#define SOME_DOTS some_dots_f64_avx2
#define CHAINS chains_f64_avx2
#define LINES lines_f64_avx2
#define ADD_LINES add_lines_f64_avx2
#define JOIN join_f64_avx2
#define CHAIN AG__CHAIN_F64
#define REAL double
#define LANES 4
#define MASK_OF(n) _mm256_loadu_si256((const __m256i *)(const void *)(lanes_f64 + 4 - (n)))
#define LOAD_PART(p, mask) _mm256_maskload_pd(p, mask)
#define STORE_PART _mm256_maskstore_pd
#define MULTIPLY_ADD _mm256_fmadd_pd
#include "ops/product_tile.h"

#undef ON
#undef MASK
#undef HIGH
#undef MIDDLE
#undef PACKED_HIGH
#undef MASKS
#undef FRUGAL
#endif

/* Vectors of 16 bytes, the smallest of any processor; without GNU's extensions, of one element. */
#ifdef __GNUC__
enum { LANES_F32 = 4, LANES_F64 = 2 };
#else
enum { LANES_F32 = 1, LANES_F64 = 1 };
#endif
typedef VECTOR(float, LANES_F32) float vector_f32;
typedef VECTOR(double, LANES_F64) double vector_f64;

/* The first n lanes, and zeros; not part of the loops that they end, which would be twice as large. */
static AG__NEVER_INLINE vector_f32 load_part_f32_plain(const float *from, int64_t n) {
    vector_f32 x = {0};
    memcpy(&x, from, (size_t)n * sizeof *from);
    return x;
}

static AG__NEVER_INLINE vector_f64 load_part_f64_plain(const double *from, int64_t n) {
    vector_f64 x = {0};
    memcpy(&x, from, (size_t)n * sizeof *from);
    return x;
}

INLINE void join_f32_plain(const vector_f32 s[8], float *to) {
    float lane[8][LANES_F32];
    memcpy(lane, s, sizeof lane);
    for (int i = 0; i < 8; i++, to++) {
        *to = lane[i][0];
        for (int l = 1; l < LANES_F32; l++) *to += lane[i][l];
    }
}

INLINE void join_f64_plain(const vector_f64 s[8], double *to) {
    double lane[8][LANES_F64];
    memcpy(lane, s, sizeof lane);
    for (int i = 0; i < 8; i++, to++) {
        *to = lane[i][0];
        for (int l = 1; l < LANES_F64; l++) *to += lane[i][l];
    }
}

/* Hardly any processor is left that needs it: so it is small rather than fast. */
#if defined __GNUC__ && !defined __clang__ && defined __x86_64__
#define ON __attribute__((cold))
#else
#define ON
#endif
#define MASK int64_t
#define MASKS 0
#if defined __GNUC__ && defined __aarch64__
#define HIGH 8
#define MIDDLE LOW
#define PACKED_HIGH 8
#define FRUGAL 0
#define MULTIPLY_ADD_F32(a, b, sum) vfmaq_f32(sum, a, b)
#define MULTIPLY_ADD_F64(a, b, sum) vfmaq_f64(sum, a, b)
#else
#define HIGH LOW
#define MIDDLE LOW
#if defined __GNUC__ && defined __x86_64__
#define PACKED_HIGH LOW
#define FRUGAL 1
#else
#define PACKED_HIGH 5
#define FRUGAL 0
#endif
#define MULTIPLY_ADD_F32(a, b, sum) ((a) * (b) + (sum))
#define MULTIPLY_ADD_F64(a, b, sum) ((a) * (b) + (sum))
#endif

#define PANEL panel_f32_plain
#define SOME_ROWS some_rows_f32_plain
#define TILE tile_f32_plain
#define PACKED_PANEL packed_f32_plain
#define PUT_PART put_part_f32_plain
#define PUT_TILE put_tile_f32_plain
#define PACKED_TILE packed_tile_f32_plain
#define PACKED_STEP packed_step_f32_plain
#define DOTS dots_f32_plain
#define SOME_DOTS some_dots_f32_plain
#define CHAINS chains_f32_plain
#define LINES lines_f32_plain
#define ADD_LINES add_lines_f32_plain
#define JOIN join_f32_plain
#define CHAIN AG__CHAIN_F32
#define REAL float
#define LANES LANES_F32
#define MASK_OF(n) (n)
#define LOAD_PART load_part_f32_plain
#define MULTIPLY_ADD MULTIPLY_ADD_F32
#include "ops/product_tile.h"

#define PANEL panel_f64_plain
#define SOME_ROWS some_rows_f64_plain
#define TILE tile_f64_plain
#define PACKED_PANEL packed_f64_plain
#define PUT_PART put_part_f64_plain
#define PUT_TILE put_tile_f64_plain
#define PACKED_TILE packed_tile_f64_plain
#define PACKED_STEP packed_step_f64_plain
#define DOTS dots_f64_plain
#define SOME_DOTS some_dots_f64_plain
#define CHAINS chains_f64_plain
#define LINES lines_f64_plain
#define ADD_LINES add_lines_f64_plain
#define JOIN join_f64_plain
#define CHAIN AG__CHAIN_F64
#define REAL double
#define LANES LANES_F64
#define MASK_OF(n) (n)
#define LOAD_PART load_part_f64_plain
#define MULTIPLY_ADD MULTIPLY_ADD_F64
#include "ops/product_tile.h"

/* ---- Copying a panel of b ---- */

/* 16 bytes of rows become 16 bytes of columns: 4 by 4 elements of 4 bytes, or 2 by 2 of 8. */
static void turn(size_t size, char *to, int64_t to_row, const char *from, int64_t from_row) {
#if defined __has_builtin && defined __GNUC__
#if __has_builtin(__builtin_shufflevector)
#define TURNS 1
#endif
#endif
#ifdef TURNS
    if (size == 4) {
        vector_f32 x[4], y[4];
        UNROLLED for (int i = 0; i < 4; i++) memcpy(&x[i], from + i * from_row, 16);
        UNROLLED for (int i = 0; i < 2; i++) {
            y[i] = __builtin_shufflevector(x[2 * i], x[2 * i + 1], 0, 4, 1, 5);
            y[i + 2] = __builtin_shufflevector(x[2 * i], x[2 * i + 1], 2, 6, 3, 7);
        }
        UNROLLED for (int i = 0; i < 4; i += 2) {
            x[i] = __builtin_shufflevector(y[i], y[i + 1], 0, 1, 4, 5);
            x[i + 1] = __builtin_shufflevector(y[i], y[i + 1], 2, 3, 6, 7);
        }
        UNROLLED for (int i = 0; i < 4; i++) memcpy(to + i * to_row, &x[i], 16);
    } else {
        vector_f64 x, y;
        memcpy(&x, from, 16);
        memcpy(&y, from + from_row, 16);
        vector_f64 low = __builtin_shufflevector(x, y, 0, 2), high = __builtin_shufflevector(x, y, 1, 3);
        memcpy(to, &low, 16);
        memcpy(to + to_row, &high, 16);
    }
#else
    for (size_t i = 0; i < 16 / size; i++)
        for (size_t j = 0; j < 16 / size; j++)
            memcpy(to + (int64_t)i * to_row + j * size, from + (int64_t)j * from_row + i * size, size);
#endif
}

/* n elements, `step` bytes from each other. */
static void copy_line(size_t size, char *to, const char *from, int64_t step, int64_t n) {
    int64_t i = 0;
    for (; size == 4 && i + 4 <= n; i += 4, from += 4 * step)
        UNROLLED for (int64_t l = 0; l < 4; l++) memcpy(to + (i + l) * 4, from + l * step, 4);
    for (; size == 8 && i + 4 <= n; i += 4, from += 4 * step)
        UNROLLED for (int64_t l = 0; l < 4; l++) memcpy(to + (i + l) * 8, from + l * step, 8);
    for (; i < n; i++, from += step) memcpy(to + i * (int64_t)size, from, size);
}

/* While long columns become rows, those after the next ones are fetched, line by line: a processor follows few columns
 * by itself (products of 1024×1024 by a transposed matrix take 0.96 of the time). */
void ag__copy_matrix(size_t size, void *to_, int64_t to_row, const void *from_, int64_t row, int64_t column,
                     int64_t rows, int64_t columns) {
    enum { LONG = AG__LIMIT(200, 12), GROUPS = 4 }; /* rows; groups in a line of the cache */
    const int64_t each = (int64_t)size, group = 16 / each, some = rows > LONG ? GROUPS * group : rows;
    if (columns == 1 && to_row == each) { /* a column becomes a row */
        copy_line(size, to_, from_, row, rows);
        return;
    }
    if (column != each && llabs(column) < llabs(row)) { /* the rows of b have the smaller stride */
        for (int64_t i = 0; i < rows; i++)
            copy_line(size, (char *)to_ + i * to_row, (const char *)from_ + i * row, column, columns);
        return;
    }
    for (int64_t j = 0; j < columns;) {
        char *to = (char *)to_ + j * each;
        const char *from = (const char *)from_ + j * column;
        const bool whole = j + group <= columns;
        int64_t i = 0;
        if (whole && column == each)
            for (; i < rows; i++) memcpy(to + i * to_row, from + i * row, 16);
        else if (whole && row == each)
            for (int64_t end; i + group <= rows;) {
                end = ag__lesser(i + some, rows - group + 1);
                for (int64_t k = 2 * group; k < 3 * group; k++) PREFETCH(from + k * column + i * row, 0, 3);
                for (; i < end; i += group) turn(size, to + i * to_row, to_row, from + i * row, column);
            }
        for (int64_t left = whole ? group : 1; left > 0; left--, j++, to += each, from += column) {
            if (size == 4)
                for (int64_t p = i; p < rows; p++) memcpy(to + p * to_row, from + p * row, 4);
            else
                for (int64_t p = i; p < rows; p++) memcpy(to + p * to_row, from + p * row, 8);
        }
    }
}

/* ---- Units ---- */

typedef struct unit {
    void (*panel[2])(ag__panel *);        /* f32, f64 */
    void (*packed[2])(const ag__panel *); /* for packed operands */
    void (*dots[2])(const dots *);
    void (*lines[2])(const dots *);
    int64_t row;  /* bytes of a row of a panel: two vectors */
    int64_t high; /* rows of a high tile of packed operands */
    bool padded;
} unit;

enum { MOST_ROW = 128, FEW_ROWS = AG__LIMIT(128, 16) };

static const unit units[AG__UNITS] = {
#if defined __GNUC__ && defined __x86_64__
    [AG__AVX512] = {{panel_f32_avx512, panel_f64_avx512},
                    {packed_f32_avx512, packed_f64_avx512},
                    {dots_f32_avx512, dots_f64_avx512},
                    {lines_f32_avx512, lines_f64_avx512},
                    128,
                    12,
                    false},
    [AG__AVX2] = {{panel_f32_avx2, panel_f64_avx2},
                  {packed_f32_avx2, packed_f64_avx2},
                  {dots_f32_avx2, dots_f64_avx2},
                  {lines_f32_avx2, lines_f64_avx2},
                  64,
                  6,
                  false},
#endif
    [AG__BASELINE] = {{panel_f32_plain, panel_f64_plain},
                      {packed_f32_plain, packed_f64_plain},
                      {dots_f32_plain, dots_f64_plain},
                      {lines_f32_plain, lines_f64_plain},
                      2 * sizeof(vector_f32),
                      PACKED_HIGH,
                      true},
};

/* The features that processor and system support; the vendor does not matter. */
unsigned ag__features(void) {
#if defined __GNUC__ && defined __x86_64__
    return ag__processor;
#else
    return 0;
#endif
}

static bool suffice(unsigned features, int u) {
    const unsigned needs[AG__UNITS] = {[AG__AVX512] = AG__HAS_AVX512F, [AG__AVX2] = AG__HAS_AVX2 | AG__HAS_FMA};
    return units[u].row && (features & needs[u]) == needs[u];
}

int ag__unit_of(unsigned features, const char *wish) {
    static const char *const name[AG__UNITS] = {[AG__AVX512] = "avx512", [AG__AVX2] = "avx2", [AG__BASELINE] = "plain"};
    for (int u = 0; wish && u < AG__UNITS; u++)
        if (strcmp(wish, name[u]) == 0 && suffice(features, u)) return u;
    int u = 0;
    while (!suffice(features, u)) u++;
    return u;
}

bool ag__has_unit(int u) { return u >= 0 && u < AG__UNITS && suffice(ag__features(), u); }

int64_t ag__panel_columns(int u, ag_dtype dtype) { return units[u].row / (int64_t)ag_dtype_size(dtype); }

void ag__multiply_panel_on(int u, ag_dtype dtype, ag__panel *t) { units[u].panel[dtype == AG_F64](t); }

/* ---- A product ---- */

typedef struct running {
    const unit *unit;
    const ag__product *p;
    int64_t size, row, columns; /* bytes of an element, and of a panel's row; columns of a panel but the last */
    int64_t block;              /* of k, but the last */
    bool copied;                /* every panel of b is */
    char *copy, *some;          /* memory for that, a block by a row; and for FEW_ROWS rows of y */
} running;

/* Whether few rows of b stay in the cache together, and they are read often enough for a copy to pay. */
static bool crowded(const ag__product *p, int64_t size) {
    const int64_t step = (p->b_row < 0 ? -p->b_row : p->b_row) * size;
    if (step >= 4096) return p->m >= 48;
    return p->m >= 128 && (step % 512 == 0 || (p->a_column != 1 && p->n >= 96));
}

int64_t ag__block_of(int64_t k) {
    const int64_t blocks = (k - 1) / AG__BLOCK + 1;
    return ceiling((k - 1) / blocks + 1, AG__CHAIN_F32);
}

static void start(running *r, const unit *u, const ag__product *p) {
    r->unit = u;
    r->p = p;
    r->block = ag__block_of(p->k);
    r->size = p->dtype == AG_F32 ? 4 : 8;
    r->row = u->row;
    r->columns = p->dtype == AG_F32 ? u->row / 4 : u->row / 8;
    r->copied = p->b_column != 1 || crowded(p, r->size);
}

/* t: rows i … of y, by columns j …, over the block of k that begins at q; m, y and y_row are set. */
static void multiply_panel(running *r, ag__panel *t, int64_t q, int64_t i, int64_t j) {
    const ag__product *p = r->p;
    t->add = p->add || q > 0;
    t->k = t->first = ag__lesser(p->k - q, r->block);
    t->chain = p->dtype == AG_F32 ? AG__CHAIN_F32 : AG__CHAIN_F64;
    t->width = p->n - j < r->columns ? p->n - j : r->columns;
    t->a = (const char *)p->a + (i * p->a_row + q * p->a_column) * r->size;
    t->a_row = p->a_row;
    t->a_column = p->a_column;
    t->b = (const char *)p->b + (q * p->b_row + j * p->b_column) * r->size;
    t->b_row = p->b_row;
    const bool padded = r->unit->padded && t->width < r->columns;
    if (r->copied || padded) {
        if (padded) memset(r->copy, 0, (size_t)(t->k * r->row));
        ag__copy_matrix((size_t)r->size, r->copy, r->row, t->b, p->b_row * r->size, p->b_column * r->size, t->k,
                        t->width);
        t->b = r->copy;
        t->b_row = r->columns;
    }
    r->unit->panel[p->dtype == AG_F64](t);
}

static void multiply_straight(running *r) {
    const ag__product *p = r->p;
    ag__panel t = {.m = p->m, .y_row = p->y_row};
    for (int64_t q = 0; q < p->k; q += r->block)
        for (int64_t j = 0; j < p->n; j += r->columns) {
            t.y = (char *)p->y + j * r->size;
            multiply_panel(r, &t, q, 0, j);
        }
}

/* p is yᵀ = bᵀ·aᵀ: computed some rows and a panel at a time. The additions to an element are the same, in the same
 * order. */
static void multiply_turned(running *r) {
    char *some = r->some;
    const ag__product *p = r->p;
    const size_t size = (size_t)r->size;
    const int64_t row = r->row, each = r->size, y_row = p->y_row * each;
    ag__panel t = {.y = some, .y_row = r->columns};
    for (int64_t j = 0; j < p->n; j += r->columns)
        for (int64_t i = 0; i < p->m; i += FEW_ROWS) {
            t.m = p->m - i < FEW_ROWS ? p->m - i : FEW_ROWS;
            const int64_t n = p->n - j < r->columns ? p->n - j : r->columns;
            char *y = (char *)p->y + j * y_row + i * each;
            if (p->add) ag__copy_matrix(size, some, row, y, each, y_row, t.m, n);
            for (int64_t q = 0; q < p->k; q += r->block) multiply_panel(r, &t, q, i, j);
            ag__copy_matrix(size, y, y_row, some, each, row, n, t.m);
        }
}

/* Whether transposing y, and a if needed, is less work than copying b. */
static bool better_turned(const ag__product *p) {
    if (p->m == 1 || p->b_column == 1) return false;
    const double m = (double)p->m, n = (double)p->n, k = (double)p->k;
    return m * n + (p->a_row == 1 ? 0 : m * k) < n * k;
}

static ag__product turned(const ag__product *p, int64_t y_row) {
    return (ag__product){.dtype = p->dtype,
                         .add = p->add,
                         .m = p->n,
                         .n = p->m,
                         .k = p->k,
                         .a = p->b,
                         .b = p->a,
                         .y = p->y,
                         .a_row = p->b_column,
                         .a_column = p->b_row,
                         .b_row = p->a_column,
                         .b_column = p->a_row,
                         .y_row = y_row};
}

/* In panels whose rows have so many bytes. */
static void multiply_in(int u, const ag__product *p, int64_t row, char *copy, char *some) {
    running r;
    ag__product t;
    const bool is_turned = better_turned(p);
    if (is_turned) t = turned(p, p->y_row);
    else if (p->n == 1 && p->y_row == 1) t = turned(p, p->m); /* the column y is a row as well */
    else t = *p;
    start(&r, &units[u], &t);
    r.row = row;
    r.columns = row / r.size;
    r.copy = copy;
    r.some = some;
    if (is_turned) multiply_turned(&r);
    else multiply_straight(&r);
}

/* A panel's row where memory is short, of at most eight numbers; the least that any unit has. */
enum { SHORT_ROW = 32 };

#ifdef __GNUC__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wframe-larger-than="
#endif
AG__NEVER_INLINE static void multiply_in_wide_panels(int u, const ag__product *p) {
    _Alignas(64) char copy[AG__BLOCK * MOST_ROW], some[FEW_ROWS * MOST_ROW];
    multiply_in(u, p, units[u].row, copy, some);
}
#ifdef __GNUC__
#pragma GCC diagnostic pop
#endif

AG__NEVER_INLINE static void multiply_in_little_memory(int u, const ag__product *p, int64_t row) {
    _Alignas(64) char copy[AG__BLOCK * SHORT_ROW], some[FEW_ROWS * MOST_ROW];
    multiply_in(u, p, row, copy, some);
}

/* The bits do not depend on the panels' width. */
void ag__multiply_on(int u, const ag__product *p) {
    const int64_t row = units[u].row;
    if (ag__lesser(p->k, AG__BLOCK) * row <= AG__BLOCK * SHORT_ROW) multiply_in_little_memory(u, p, row);
    else if (ag__stack_is_short()) multiply_in_little_memory(u, p, SHORT_ROW);
    else multiply_in_wide_panels(u, p);
}

void ag__multiply_some_on(int u, const ag__product *p, int64_t count, int64_t a_next, int64_t b_next) {
    _Alignas(64) char copy[AG__SMALL_SUM * MOST_ROW];
    running r;
    start(&r, &units[u], p);
    const int64_t each = r.size, length = p->k * r.row, most = (int64_t)sizeof copy / length;
    const bool padded = r.unit->padded && p->n < r.columns, copied = p->b_column != 1 || padded;
    ag__panel t = {.m = p->m, .width = p->n, .k = p->k, .first = p->k, .add = p->add};
    t.chain = p->dtype == AG_F32 ? AG__CHAIN_F32 : AG__CHAIN_F64;
    t.a_row = p->a_row;
    t.a_column = p->a_column;
    t.b_row = copied ? r.columns : p->b_row;
    t.y_row = p->y_row;
    t.a_next = a_next;
    t.b_next = copied ? p->k * r.columns : b_next;
    const char *b = p->b;
    if (padded) memset(copy, 0, sizeof copy);
    for (int64_t i = 0, some; i < count; i += some) {
        some = copied ? ag__lesser(count - i, most) : count;
        for (int64_t j = 0; copied && j < some; j++, b += b_next * each)
            ag__copy_matrix((size_t)each, copy + j * length, r.row, b, p->b_row * each, p->b_column * each, p->k, p->n);
        t.more = some - 1;
        t.a = (const char *)p->a + i * a_next * each;
        t.b = copied ? copy : b;
        t.y = (char *)p->y + i * p->m * p->y_row * each;
        r.unit->panel[p->dtype == AG_F64](&t);
    }
}

/* ---- Packed operands ----
 *
 * Over a block of k, all of b is packed panel by panel, and as many rows of a as the second-level cache holds, tile by
 * tile: then the kernels read everything in sequence. */

/* The bytes of a that are packed at a time: less than half of the second-level cache, with room for b and y. */
static int64_t most_cached(void) {
    static _Atomic int64_t known; /* 0: not yet */
    enum { LEAST = 128 * 1024, MOST = 768 * 1024, USUAL = 512 * 1024 };
    if (known == 0) {
        int64_t cache = USUAL;
#ifdef _SC_LEVEL2_CACHE_SIZE
        const long found = sysconf(_SC_LEVEL2_CACHE_SIZE);
        if (found > 0) cache = found;
#endif
        cache = cache * 3 / 8;
        known = cache < LEAST ? LEAST : ag__lesser(cache, MOST);
    }
    return known;
}

static int64_t bytes_of_b(const running *r) {
    return ceiling(r->p->n * r->size, r->unit->row) * ag__lesser(r->p->k, r->block);
}

/* Rows of a that are packed at a time: whole tiles. They are to take no more than b does, if that is not little: the
 * fewer they are, the more often b is read again. */
static int64_t rows_packed(const running *r) {
    enum { LITTLE = 256 * 1024 };
    const int64_t high = r->unit->high, b = bytes_of_b(r), some = ag__lesser(most_cached(), b > LITTLE ? b : LITTLE),
                  most = some / (r->block * r->size) / high * high;
    return ag__lesser(ceiling(r->p->m, high), AG_TINY_LIMITS ? 2 * high : most);
}

/* The last rows may be in low tiles; the last of these is padded. */
static int64_t bytes_of_a(const running *r) {
    return ceiling((rows_packed(r) + LOW) * ag__lesser(r->p->k, r->block) * r->size, MOST_ROW);
}

size_t ag__packed_bytes(int u, const ag__product *p) {
    running r;
    start(&r, &units[u], p);
    return (size_t)(bytes_of_a(&r) + bytes_of_b(&r));
}

/* Rows q … q+k−1 of b. */
static void pack_b(const running *r, char *to, int64_t q, int64_t k) {
    const ag__product *p = r->p;
    const int64_t size = r->size, row = r->unit->row, across = p->b_row * size, along = p->b_column * size;
    for (int64_t j = 0; j < p->n; j += r->columns, to += k * row) {
        const int64_t width = ag__lesser(p->n - j, r->columns);
        const char *from = (const char *)p->b + q * across + j * along;
        if (width == r->columns && p->b_column == 1 && row == MOST_ROW) {
            for (int64_t i = 0; i < k; i++) memcpy(to + i * MOST_ROW, from + i * across, MOST_ROW);
        } else if (width == r->columns && p->b_column == 1) {
            for (int64_t i = 0; i < k; i++) memcpy(to + i * row, from + i * across, (size_t)row);
        } else {
            if (width < r->columns) memset(to, 0, (size_t)(k * row));
            ag__copy_matrix((size_t)size, to, row, from, across, along, k, width);
        }
    }
}

/* A copy of few bytes, a multiple of 4. */
INLINE void copy_few(char *to, const char *from, int64_t bytes) {
    int64_t i = 0;
    for (; i + 16 <= bytes; i += 16) memcpy(to + i, from + i, 16);
    for (; i < bytes; i += 4) memcpy(to + i, from + i, 4);
}

/* Some tiles of contiguous columns of a, k of them and `along` bytes apart, side by side: so each line is read once. */
static void pack_columns(char *to, int64_t bytes, int64_t tiles, const char *from, int64_t along, int64_t k) {
    for (int64_t p = 0; p < k; p++, from += along, to += bytes)
        for (int64_t t = 0; t < tiles; t++) copy_few(to + t * k * bytes, from + t * bytes, bytes);
}

/* Rows i … i+m−1 of a, columns q … q+k−1. */
static void pack_a(const running *r, char *to, int64_t i, int64_t m, int64_t q, int64_t k) {
    enum { SIDE_BY_SIDE = AG__LIMIT(16, 2) };
    const ag__product *p = r->p;
    const int64_t size = r->size, across = p->a_row * size, along = p->a_column * size, high = r->unit->high;
    for (int64_t rows, height; m > 0; m -= rows, i += rows, to += height * k * size) {
        const char *from = (const char *)p->a + i * across + q * along;
        if (across == size && m >= high) {
            const int64_t tiles = ag__lesser(m / high, SIDE_BY_SIDE);
            rows = height = tiles * high;
            pack_columns(to, high * size, tiles, from, along, k);
            continue;
        }
        height = m < high ? LOW : high;
        rows = ag__lesser(m, height);
        ag__copy_matrix((size_t)size, to, height * size, from, along, across, k, rows);
    }
}

/* t: rows i … of y, all columns, over a block of k for which a and b are packed. */
static void multiply_rows(const running *r, ag__panel t, int64_t i, const char *b) {
    const ag__product *p = r->p;
    const int64_t chain = p->dtype == AG_F32 ? AG__CHAIN_F32 : AG__CHAIN_F64;
    const int64_t chains = (t.k - 1) / chain + 1, tiles = (t.m - 1) / r->unit->high + 1;
    t.b_row = r->columns;
    t.y_row = p->y_row;
    t.lines = (t.k * r->unit->row / AG__LINE - 1) / (chains * tiles) + 1;
    for (int64_t j = 0; j < p->n; j += r->columns, b += t.k * r->unit->row) {
        t.b = b;
        t.y = (char *)p->y + (i * p->y_row + j) * r->size;
        t.width = ag__lesser(p->n - j, r->columns);
        r->unit->packed[p->dtype == AG_F64](&t);
    }
}

void ag__multiply_packed_on(int u, const ag__product *p, void *area) {
    running r;
    start(&r, &units[u], p);
    const int64_t rows = rows_packed(&r);
    char *a = area, *b = a + bytes_of_a(&r);
    for (int64_t q = 0; q < p->k; q += r.block) {
        ag__panel t = {.k = ag__lesser(p->k - q, r.block), .a = a, .add = p->add || q > 0};
        pack_b(&r, b, q, t.k);
        for (int64_t i = 0; i < p->m; i += rows) {
            t.m = ag__lesser(p->m - i, rows);
            pack_a(&r, a, i, t.m, q, t.k);
            multiply_rows(&r, t, i, b);
        }
    }
}

/* ---- A matrix and a vector ----
 *
 * y (n) = Bᵀ·x, for B (k,n): y[j] = Σₚ x[p]·b[p·row + j·column]. */

typedef struct vector_product {
    dots d;              /* without the stride */
    int64_t size, along; /* bytes of an element; stride of b along y */
    int64_t down;        /* and along the sum */
} vector_product;

static vector_product vector_product_of(const ag__product *p, bool one_row, char *room) {
    const int64_t size = p->dtype == AG_F32 ? 4 : 8, x_step = one_row ? p->a_column : p->b_row;
    vector_product v = {.d = {.add = p->add,
                              .n = one_row ? p->n : p->m,
                              .k = p->k,
                              .x = one_row ? p->a : p->b,
                              .b = one_row ? p->b : p->a,
                              .y = p->y},
                        .size = size,
                        .along = one_row ? p->b_column : p->a_row,
                        .down = one_row ? p->b_row : p->a_column};
    if (x_step != 1) { /* made contiguous */
        ag__copy_matrix((size_t)size, room, size, v.d.x, x_step * size, size, p->k, 1);
        v.d.x = room;
    }
    return v;
}

/* Rows whose elements are apart are made contiguous one by one; so is the row of b of a part with one column. */
void ag__multiply_dots_on(int u, const ag__product *p) {
    _Static_assert(AG__DOT_F64 * 8 <= AG__DOT_F32 * 4, "room for a vector of either dtype");
    _Alignas(64) char room[AG__DOT_F32 * 4], line[AG__DOT_F32 * 4];
    const vector_product v = vector_product_of(p, p->m == 1 && (p->n > 1 || p->b_row == 1), room);
    void (*const multiply)(const dots *) = units[u].dots[p->dtype == AG_F64];
    dots d = v.d;
    d.step = v.along;
    if (v.down == 1) {
        multiply(&d);
        return;
    }
    d.n = 1;
    d.b = line;
    for (int64_t j = 0; j < v.d.n; j++) {
        const char *from = (const char *)v.d.b + j * v.along * v.size;
        ag__copy_matrix((size_t)v.size, line, v.size, from, v.down * v.size, v.size, d.k, 1);
        d.y = (char *)v.d.y + j * v.size;
        multiply(&d);
    }
}

/* Parts of a group of rows are made contiguous if their elements are apart. */
void ag__multiply_lines_on(int u, const ag__product *p) {
    enum { WIDTH = AG__LIMIT(128, 8) };
    _Alignas(64) char room[AG__STRIP * 8], lines[AG__ROWS_A_GROUP * WIDTH * 8];
    const vector_product v = vector_product_of(p, p->m == 1, room);
    void (*const multiply)(const dots *) = units[u].lines[p->dtype == AG_F64];
    const int64_t size = v.size;
    dots d = v.d;
    d.step = v.down;
    if (v.along == 1) {
        multiply(&d);
        return;
    }
    d.b = lines;
    d.step = WIDTH;
    for (int64_t q = 0; q < v.d.k; q += AG__ROWS_A_GROUP)
        for (int64_t j = 0; j < v.d.n; j += WIDTH) {
            d.k = ag__lesser(v.d.k - q, AG__ROWS_A_GROUP);
            d.n = ag__lesser(v.d.n - j, WIDTH);
            d.add = v.d.add || q > 0;
            d.x = (const char *)v.d.x + q * size;
            d.y = (char *)v.d.y + j * size;
            const char *from = (const char *)v.d.b + (q * v.down + j * v.along) * size;
            ag__copy_matrix((size_t)size, lines, WIDTH * size, from, v.down * size, v.along * size, d.k, d.n);
            multiply(&d);
        }
}
