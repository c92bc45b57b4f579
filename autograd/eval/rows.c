/* rows -- short rows: turned into columns, folded, and one element repeated along each */
#include "autograd/eval/rows.h"

#include <string.h>

#ifdef __GNUC__
#define PREFETCH(p) __builtin_prefetch(p)
#else
#define PREFETCH(p) (void)(p)
#endif

/* Rows come from memory in sequence, but the shuffles keep the processor too busy to ask for them early enough. Where
 * they only pass through registers, that has to be the earlier. */
enum { AHEAD = 2048, FAR_AHEAD = 12288 };
static inline void ask_for(const void *x, size_t bytes, size_t ahead) {
    for (size_t i = 0; i < bytes; i += AG__LINE) PREFETCH((const char *)x + ahead + i);
}

enum { SOME = 32 }; /* rows */

/* Vectors of 32 bytes; without them on x86-64, shuffles are long, and loops are smaller. */
#if AG_HAVE_TARGETS
#define SHUFFLING __attribute__((target("avx2")))
static bool shuffles(void) { return ag__processor_has(AG__HAS_AVX2); }
#else
#define SHUFFLING
static bool shuffles(void) { return true; }
#endif

/* ---- Two, three, four columns: the compiler, which knows how many, shuffles whole vectors ---- */

#define FEW_COLUMNS(interleave, collect, type, WIDTH)                                                                  \
    SHUFFLING static void interleave(type *restrict y, const type *restrict x, int64_t rows, int64_t stride) {         \
        for (int64_t i = 0; i < rows; i++)                                                                             \
            AG__UNROLLED for (int j = 0; j < WIDTH; j++) y[i * WIDTH + j] = x[i + j * stride];                         \
    }                                                                                                                  \
    static void collect(type *restrict y, const type *restrict x, int64_t rows, int64_t across, int64_t stride) {      \
        for (int64_t i = 0; i < rows; i++, x += across)                                                                \
            AG__UNROLLED for (int j = 0; j < WIDTH; j++) y[i * WIDTH + j] = x[j * stride];                             \
    }
FEW_COLUMNS(interleave_2_of_4, collect_2_of_4, ag__word_4, 2)
FEW_COLUMNS(interleave_3_of_4, collect_3_of_4, ag__word_4, 3)
FEW_COLUMNS(interleave_4_of_4, collect_4_of_4, ag__word_4, 4)
FEW_COLUMNS(interleave_2_of_8, collect_2_of_8, ag__word_8, 2)
FEW_COLUMNS(interleave_3_of_8, collect_3_of_8, ag__word_8, 3)
FEW_COLUMNS(interleave_4_of_8, collect_4_of_8, ag__word_8, 4)

bool ag__interleave(char *y, const char *x, int64_t rows, int64_t columns, int64_t across, int64_t stride,
                    size_t bytes) {
    typedef void words(ag__word_4 *, const ag__word_4 *, int64_t, int64_t);
    typedef void long_words(ag__word_8 *, const ag__word_8 *, int64_t, int64_t);
    typedef void words_apart(ag__word_4 *, const ag__word_4 *, int64_t, int64_t, int64_t);
    typedef void long_words_apart(ag__word_8 *, const ag__word_8 *, int64_t, int64_t, int64_t);
    static words *const of_4[] = {[2] = interleave_2_of_4, interleave_3_of_4, interleave_4_of_4};
    static long_words *const of_8[] = {[2] = interleave_2_of_8, interleave_3_of_8, interleave_4_of_8};
    static words_apart *const apart_4[] = {[2] = collect_2_of_4, collect_3_of_4, collect_4_of_4};
    static long_words_apart *const apart_8[] = {[2] = collect_2_of_8, collect_3_of_8, collect_4_of_8};
    if (columns < 2 || columns > 4 || bytes < 4 || (across == 1 && !shuffles())) return false;
    if (bytes == 4 && across == 1) of_4[columns]((void *)y, (const void *)x, rows, stride);
    else if (across == 1) of_8[columns]((void *)y, (const void *)x, rows, stride);
    else if (bytes == 4) apart_4[columns]((void *)y, (const void *)x, rows, across, stride);
    else apart_8[columns]((void *)y, (const void *)x, rows, across, stride);
    return true;
}

/* ---- Rows turned into columns: tiles that are transposed in registers ---- */

#if defined __has_builtin && defined __GNUC__
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLES 1
#endif
#endif

#ifdef SHUFFLES
enum { TILE_4 = 8, TILE_8 = 4, PART_4 = 4, PART_8 = 2 }; /* rows of a tile, and columns */
typedef uint32_t vector_4 __attribute__((vector_size(32)));
typedef uint32_t half_4 __attribute__((vector_size(16)));
typedef uint64_t vector_8 __attribute__((vector_size(32)));
typedef uint64_t half_8 __attribute__((vector_size(16)));
#define PAIR __builtin_shufflevector

/* c[j][i] = x[i·across + j] for i < 8, j < 4. Halves of vectors are loaded to where they are wanted: that takes no
 * shuffles. Of rows of two and three, which are `few` if they are next to each other, whole vectors take less. */
static inline __attribute__((always_inline)) void columns_4(vector_4 *c, const ag__word_4 *x, int64_t across, int few) {
    vector_4 a[4], b[4];
    if (few == 2 || few == 3) {
        AG__UNROLLED for (int i = 0; i < few; i++) memcpy(&a[i], x + 8 * i, sizeof *a);
    } else {
        AG__UNROLLED for (int i = 0; i < 4; i++) {
            half_4 low, high;
            memcpy(&low, x + i * across, sizeof low);
            memcpy(&high, x + (i + 4) * across, sizeof high);
            a[i] = PAIR(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
        }
    }
    if (few == 2) {
        b[0] = PAIR(a[0], a[1], 0, 2, 8, 10, 4, 6, 12, 14);
        b[1] = PAIR(a[0], a[1], 1, 3, 9, 11, 5, 7, 13, 15);
        AG__UNROLLED for (int j = 0; j < 2; j++) c[j] = PAIR(b[j], b[j], 0, 1, 4, 5, 2, 3, 6, 7);
    } else if (few == 3) { /* the elements of each column are in different places of the three vectors */
        b[0] = PAIR(PAIR(a[0], a[1], 0, 9, 2, 3, 12, 5, 6, 15), a[2], 0, 1, 10, 3, 4, 13, 6, 7);
        b[1] = PAIR(PAIR(a[0], a[1], 0, 1, 10, 3, 4, 13, 6, 7), a[2], 8, 1, 2, 11, 4, 5, 14, 7);
        b[2] = PAIR(PAIR(a[0], a[1], 8, 1, 2, 11, 4, 5, 14, 7), a[2], 0, 9, 2, 3, 12, 5, 6, 15);
        c[0] = PAIR(b[0], b[0], 0, 3, 6, 1, 4, 7, 2, 5);
        c[1] = PAIR(b[1], b[1], 1, 4, 7, 2, 5, 0, 3, 6);
        c[2] = PAIR(b[2], b[2], 2, 5, 0, 3, 6, 1, 4, 7);
    } else {
        AG__UNROLLED for (int i = 0; i < 4; i += 2) { /* pairs of rows: columns 0 and 1, 2 and 3 */
            b[i] = PAIR(a[i], a[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
            b[i + 1] = PAIR(a[i], a[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
        }
        AG__UNROLLED for (int k = 0; k < 2; k++) {
            c[2 * k] = PAIR(b[k], b[k + 2], 0, 1, 8, 9, 4, 5, 12, 13);
            c[2 * k + 1] = PAIR(b[k], b[k + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    }
}

/* The same for i < 4, j < 2. */
static inline __attribute__((always_inline)) void columns_8(vector_8 *c, const ag__word_8 *x, int64_t across, int few) {
    vector_8 a[2];
    (void)few;
    AG__UNROLLED for (int i = 0; i < 2; i++) {
        half_8 low, high;
        memcpy(&low, x + i * across, sizeof low);
        memcpy(&high, x + (i + 2) * across, sizeof high);
        a[i] = PAIR(low, high, 0, 1, 2, 3);
    }
    c[0] = PAIR(a[0], a[1], 0, 4, 2, 6);
    c[1] = PAIR(a[0], a[1], 1, 5, 3, 7);
}

/* y[j·rows + i] = x[i·columns + j] for the rows of a tile and all columns; the last ones are in a part with some of
 * those before. */
#define TURN_TILE(name, columns_of, type, vector, PART)                                                                \
    static inline __attribute__((always_inline)) void name(type *y, int64_t rows, const type *x, int64_t columns,      \
                                                           int few) {                                                  \
        for (int64_t j = 0; j < columns; j += PART) {                                                                  \
            const int64_t at = j + PART <= columns || columns < PART ? j : columns - PART;                             \
            vector c[PART];                                                                                            \
            columns_of(c, x + at, columns, few);                                                                       \
            AG__UNROLLED for (int k = 0; k < PART; k++) {                                                              \
                if (k < columns) memcpy(y + (at + k) * rows, &c[k], sizeof *c);                                        \
            }                                                                                                          \
        }                                                                                                              \
    }
TURN_TILE(turn_tile_4, columns_4, ag__word_4, vector_4, PART_4)
TURN_TILE(turn_tile_8, columns_8, ag__word_8, vector_8, PART_8)

/* Tiles down the rows; the last ones are left, whose vectors would reach beyond the array. There are loops of their own
 * for few columns, which the compiler then knows. Returns how many rows are done. */
#define TURN_EACH(tile, TILE, n, few)                                                                                  \
    for (; i + TILE + spare <= rows; i += TILE, x += TILE * n) {                                                       \
        ask_for(x, TILE *(size_t)(n) * sizeof *x, AHEAD);                                                              \
        tile(y + i, rows, x, n, few);                                                                                  \
    }
#define TURN_TILES(name, tile, type, TILE, PART)                                                                       \
    SHUFFLING static int64_t name(type *y, const type *x, int64_t rows, int64_t columns) {                             \
        const int64_t spare = columns == 1 ? PART - 1 : 0;                                                             \
        int64_t i = 0;                                                                                                 \
        switch (columns) {                                                                                             \
        case 2: TURN_EACH(tile, TILE, 2, 2) break;                                                                     \
        case 3: TURN_EACH(tile, TILE, 3, 3) break;                                                                     \
        case 4: TURN_EACH(tile, TILE, 4, 4) break;                                                                     \
        default: TURN_EACH(tile, TILE, columns, 0) break;                                                              \
        }                                                                                                              \
        return i;                                                                                                      \
    }
TURN_TILES(turn_tiles_4, turn_tile_4, ag__word_4, TILE_4, PART_4)
TURN_TILES(turn_tiles_8, turn_tile_8, ag__word_8, TILE_8, PART_8)

/* y[j·beside + i] = x[i·across + j] for i, j < 8. */
static inline __attribute__((always_inline)) void square_4(ag__word_4 *y, int64_t beside, const ag__word_4 *x,
                                                           int64_t across) {
    vector_4 a[8], b[8], c[8];
    AG__UNROLLED for (int i = 0; i < 8; i++) memcpy(&a[i], x + i * across, sizeof *a);
    AG__UNROLLED for (int i = 0; i < 8; i += 2) { /* pairs of rows: columns 0, 1, 4, 5, and 2, 3, 6, 7 */
        b[i] = PAIR(a[i], a[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        b[i + 1] = PAIR(a[i], a[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    AG__UNROLLED for (int i = 0; i < 8; i += 4)
        AG__UNROLLED for (int k = 0; k < 2; k++) { /* four rows: columns k and k + 4 */
        c[i + 2 * k] = PAIR(b[i + k], b[i + k + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        c[i + 2 * k + 1] = PAIR(b[i + k], b[i + k + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    AG__UNROLLED for (int j = 0; j < 4; j++) {
        vector_4 low = PAIR(c[j], c[j + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        memcpy(y + j * beside, &low, sizeof low);
    }
    AG__UNROLLED for (int j = 0; j < 4; j++) {
        vector_4 high = PAIR(c[j], c[j + 4], 4, 5, 6, 7, 12, 13, 14, 15);
        memcpy(y + (j + 4) * beside, &high, sizeof high);
    }
}

static inline __attribute__((always_inline)) void square_8(ag__word_8 *y, int64_t beside, const ag__word_8 *x,
                                                           int64_t across) {
    vector_8 a[4], b[4], c[4];
    AG__UNROLLED for (int i = 0; i < 4; i++) memcpy(&a[i], x + i * across, sizeof *a);
    AG__UNROLLED for (int i = 0; i < 4; i += 2) {
        b[i] = PAIR(a[i], a[i + 1], 0, 4, 2, 6);
        b[i + 1] = PAIR(a[i], a[i + 1], 1, 5, 3, 7);
    }
    AG__UNROLLED for (int k = 0; k < 2; k++) {
        c[k] = PAIR(b[k], b[k + 2], 0, 1, 4, 5);
        c[k + 2] = PAIR(b[k], b[k + 2], 2, 3, 6, 7);
    }
    AG__UNROLLED for (int j = 0; j < 4; j++) memcpy(y + j * beside, &c[j], sizeof *c);
}

/* y[j·beside + i] = x[i·across + j]; the last tiles have elements of others. */
#define TURN_BLOCK(name, square, type, TILE)                                                                           \
    SHUFFLING static void name(type *y, int64_t beside, int64_t columns, const type *x, int64_t across,                \
                               int64_t rows) {                                                                         \
        for (int64_t j1 = 0; j1 < columns; j1 += TILE)                                                                 \
            for (int64_t i1 = 0; i1 < rows; i1 += TILE) {                                                              \
                const int64_t i = ag__lesser(i1, rows - TILE), j = ag__lesser(j1, columns - TILE);                     \
                square(y + j * beside + i, beside, x + i * across + j, across);                                        \
            }                                                                                                          \
    }
TURN_BLOCK(turn_block_4, square_4, ag__word_4, TILE_4)
TURN_BLOCK(turn_block_8, square_8, ag__word_8, TILE_8)
#endif

#define TURN(name, type, tiles)                                                                                        \
    static void name(type *y, const type *x, int64_t rows, int64_t columns) {                                          \
        for (int64_t i = shuffles() ? tiles(y, x, rows, columns) : 0; i < rows; i++)                                   \
            for (int64_t j = 0; j < columns; j++) y[j * rows + i] = x[i * columns + j];                                \
    }
static inline int64_t no_tiles(void *y, const void *x, int64_t rows, int64_t columns) {
    return (void)y, (void)x, (void)rows, (void)columns, 0;
}
#ifdef SHUFFLES
TURN(turn_4, ag__word_4, turn_tiles_4)
TURN(turn_8, ag__word_8, turn_tiles_8)
#else
TURN(turn_4, ag__word_4, no_tiles)
TURN(turn_8, ag__word_8, no_tiles)
#endif
TURN(turn_1, uint8_t, no_tiles)

bool ag__turn_block(void *y, int64_t beside, int64_t columns, const void *x, int64_t across, int64_t rows,
                    size_t bytes) {
#ifdef SHUFFLES
    const int64_t least = ag__lesser(rows, columns);
    if (bytes == 1 || least < (bytes == 4 ? TILE_4 : TILE_8) || !shuffles()) return false;
    if (bytes == 4) turn_block_4(y, beside, columns, x, across, rows);
    else turn_block_8(y, beside, columns, x, across, rows);
    return true;
#else
    return (void)y, (void)beside, (void)columns, (void)x, (void)across, (void)rows, (void)bytes, false;
#endif
}

void ag__turn(char *y, const char *x, int64_t rows, int64_t columns, size_t bytes) {
    if (bytes == 4) turn_4((void *)y, (const void *)x, rows, columns);
    else if (bytes == 8) turn_8((void *)y, (const void *)x, rows, columns);
    else turn_1((void *)y, (const void *)x, rows, columns);
}

/* ---- Folds ---- */

/* Sums: the columns of a tile are added up in registers. Of the last part some columns are beyond a row. */
#ifdef SHUFFLES
typedef float real_4 __attribute__((vector_size(32)));
typedef double real_8 __attribute__((vector_size(32)));
#define SUM_TILE(name, columns_of, word, added, vector, PART)                                                          \
    static inline __attribute__((always_inline)) void name(void *y, const void *x, int64_t columns, int few) {         \
        added sum = {0};                                                                                               \
        for (int64_t j = 0; j < columns; j += PART) {                                                                  \
            vector c[PART];                                                                                            \
            columns_of(c, (const word *)x + j, columns, few);                                                          \
            sum = j == 0 ? (added)c[0] : sum + (added)c[0];                                                            \
            AG__UNROLLED for (int k = 1; k < PART; k++) {                                                              \
                if (j + k < columns) sum += (added)c[k];                                                               \
            }                                                                                                          \
        }                                                                                                              \
        memcpy(y, &sum, sizeof sum);                                                                                   \
    }
#define SUM_EACH(tile, TILE, n, few)                                                                                   \
    for (; i + TILE + spare <= rows; i += TILE, x += TILE * n) {                                                       \
        ask_for(x, TILE *(size_t)(n) * sizeof *x, FAR_AHEAD);                                                          \
        tile(y + i, x, n, few);                                                                                        \
    }
#define SUM_TILES(name, tile, type, TILE, PART)                                                                        \
    SHUFFLING static void name(int64_t rows, int64_t columns, void *y_, const void *x_) {                              \
        type *y = y_;                                                                                                  \
        const type *x = x_;                                                                                            \
        const int64_t beyond = (PART - columns % PART) % PART, spare = (beyond + columns - 1) / columns;               \
        int64_t i = 0;                                                                                                 \
        switch (columns) {                                                                                             \
        case 2: SUM_EACH(tile, TILE, 2, 2) break;                                                                      \
        case 3: SUM_EACH(tile, TILE, 3, 3) break;                                                                      \
        case 4: SUM_EACH(tile, TILE, 4, 4) break;                                                                      \
        default: SUM_EACH(tile, TILE, columns, 0) break;                                                               \
        }                                                                                                              \
        for (; i < rows; i++, x += columns) {                                                                          \
            type sum = x[0];                                                                                           \
            for (int64_t j = 1; j < columns; j++) sum += x[j];                                                         \
            y[i] = sum;                                                                                                \
        }                                                                                                              \
    }
SUM_TILE(tile_f32, columns_4, ag__word_4, real_4, vector_4, PART_4)
SUM_TILE(tile_f64, columns_8, ag__word_8, real_8, vector_8, PART_8)
SUM_TILE(tile_i64, columns_8, ag__word_8, vector_8, vector_8, PART_8)
SUM_TILES(sum_f32, tile_f32, float, TILE_4, PART_4)
SUM_TILES(sum_f64, tile_f64, double, TILE_8, PART_8)
SUM_TILES(sum_i64, tile_i64, uint64_t, TILE_8, PART_8)

static bool sum_short(const ag_reduction *op, int dtype, int64_t rows, int64_t columns, char *y, const char *x) {
    if (!op->join || !(op->join->flags & AG_OP_ADDS) || !shuffles()) return false;
    if (dtype == AG_F32) sum_f32(rows, columns, y, x);
    else if (dtype == AG_F64) sum_f64(rows, columns, y, x);
    else sum_i64(rows, columns, y, x);
    return true;
}
#else
static bool sum_short(const ag_reduction *op, int dtype, int64_t rows, int64_t columns, char *y, const char *x) {
    return (void)op, (void)dtype, (void)rows, (void)columns, (void)y, (void)x, false;
}
#endif

void ag__fold_short(const ag_reduction *op, int dtype, int64_t rows, int64_t columns, char *y, const char *x) {
    _Alignas(64) char column[AG__STRIP * AG__MOST_BYTES];
    enum { WHOLE = 8 }; /* rows that a kernel combines, and tiles turn, without any left over, whatever their dtype */
    const int64_t bytes = (int64_t)ag_dtype_size((ag_dtype)dtype), room = AG__STRIP / columns;
    const int64_t most = room > WHOLE ? room - room % WHOLE : room;
    if (sum_short(op, dtype, rows, columns, y, x)) return;
    for (int64_t i = 0, n; i < rows; i += n) {
        n = ag__lesser(rows - i, most);
        ag__turn(column, x + i * columns * bytes, n, columns, (size_t)bytes);
        for (int64_t j = 1; j < columns; j++) op->combine[dtype](n, column, column + j * n * bytes);
        memcpy(y + i * bytes, column, (size_t)(n * bytes));
    }
}

/* ---- One element for each row ---- */

/* A row is stored as a whole vector, whose rest the next row overwrites. */
#define SPREAD(name, type)                                                                                             \
    SHUFFLING static void name(type *y, const type *x, int64_t rows, int64_t columns) {                                \
        enum { LANES = 64 / sizeof(type) };                                                                            \
        const int64_t last = rows - (LANES + columns - 1) / columns;                                                   \
        int64_t i = 0;                                                                                                 \
        for (; columns < LANES && i <= last; i++) {                                                                    \
            const type value = x[i];                                                                                   \
            for (int j = 0; j < LANES; j++) y[i * columns + j] = value;                                                \
        }                                                                                                              \
        for (; i < rows; i++) {                                                                                        \
            const type value = x[i];                                                                                   \
            for (int64_t j = 0; j < columns; j++) y[i * columns + j] = value;                                          \
        }                                                                                                              \
    }
SPREAD(spread_1, uint8_t)
SPREAD(spread_4, ag__word_4)
SPREAD(spread_8, ag__word_8)

static void spread_by_loops(char *y, const char *x, int64_t rows, int64_t columns, size_t bytes) {
    for (int64_t i = 0; i < rows; i++, x += bytes)
        for (int64_t j = 0; j < columns; j++, y += bytes) {
            if (bytes == 4) memcpy(y, x, 4);
            else if (bytes == 8) memcpy(y, x, 8);
            else *y = *x;
        }
}

void ag__spread(char *y, const char *x, int64_t rows, int64_t columns, size_t bytes) {
    if (ag__interleave(y, x, rows, columns, 1, 0, bytes)) return;
    if (!shuffles()) spread_by_loops(y, x, rows, columns, bytes);
    else if (bytes == 4) spread_4((void *)y, (const void *)x, rows, columns);
    else if (bytes == 8) spread_8((void *)y, (const void *)x, rows, columns);
    else spread_1((void *)y, (const void *)x, rows, columns);
}
