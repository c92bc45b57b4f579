/* rows -- short rows: turned into columns, folded, and one element repeated along each */
#include "autograd/eval/rows.h"

#include <string.h>

#ifdef __GNUC__
#define PREFETCH(p) __builtin_prefetch(p)
#else
#define PREFETCH(p) (void)(p)
#endif

/* Rows come from memory in sequence, but the shuffles keep the processor too busy to ask for them early enough. */
static inline void ask_for(const void *x, size_t bytes) {
    enum { AHEAD = 2048 };
    for (size_t i = 0; i < bytes; i += AG__LINE) PREFETCH((const char *)x + AHEAD + i);
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

#define FEW_COLUMNS(turn, interleave, collect, type, WIDTH)                                                            \
    SHUFFLING static void turn(type *restrict y, const type *restrict x, int64_t rows) {                               \
        for (int64_t i = 0; i < rows;) {                                                                               \
            const int64_t end = ag__lesser(i + SOME, rows);                                                            \
            ask_for(x + i * WIDTH, SOME * WIDTH * sizeof *x);                                                          \
            for (; i < end; i++) AG__UNROLLED for (int j = 0; j < WIDTH; j++) y[j * rows + i] = x[i * WIDTH + j];      \
        }                                                                                                              \
    }                                                                                                                  \
    SHUFFLING static void interleave(type *restrict y, const type *restrict x, int64_t rows, int64_t stride) {         \
        for (int64_t i = 0; i < rows; i++)                                                                             \
            AG__UNROLLED for (int j = 0; j < WIDTH; j++) y[i * WIDTH + j] = x[i + j * stride];                         \
    }                                                                                                                  \
    static void collect(type *restrict y, const type *restrict x, int64_t rows, int64_t across, int64_t stride) {      \
        for (int64_t i = 0; i < rows; i++, x += across)                                                                \
            AG__UNROLLED for (int j = 0; j < WIDTH; j++) y[i * WIDTH + j] = x[j * stride];                             \
    }
FEW_COLUMNS(turn_2_of_4, interleave_2_of_4, collect_2_of_4, ag__word_4, 2)
FEW_COLUMNS(turn_3_of_4, interleave_3_of_4, collect_3_of_4, ag__word_4, 3)
FEW_COLUMNS(turn_4_of_4, interleave_4_of_4, collect_4_of_4, ag__word_4, 4)
FEW_COLUMNS(turn_2_of_8, interleave_2_of_8, collect_2_of_8, ag__word_8, 2)
FEW_COLUMNS(turn_3_of_8, interleave_3_of_8, collect_3_of_8, ag__word_8, 3)
FEW_COLUMNS(turn_4_of_8, interleave_4_of_8, collect_4_of_8, ag__word_8, 4)

enum { MOST_KNOWN = 4 };

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
    if (columns < 2 || columns > MOST_KNOWN || bytes < 4 || (across == 1 && !shuffles())) return false;
    if (bytes == 4 && across == 1) of_4[columns]((void *)y, (const void *)x, rows, stride);
    else if (across == 1) of_8[columns]((void *)y, (const void *)x, rows, stride);
    else if (bytes == 4) apart_4[columns]((void *)y, (const void *)x, rows, across, stride);
    else apart_8[columns]((void *)y, (const void *)x, rows, across, stride);
    return true;
}

/* ---- More columns: tiles of as many rows as columns, transposed in registers ---- */

#if defined __has_builtin && defined __GNUC__
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLES 1
#endif
#endif

#ifdef SHUFFLES
enum { TILE_4 = 8, TILE_8 = 4 };
typedef uint32_t vector_4 __attribute__((vector_size(32)));
typedef uint64_t vector_8 __attribute__((vector_size(32)));
#define PAIR __builtin_shufflevector

/* y[j·beside + i] = x[i·across + j] for i < 8, j < columns; reads x for all j < 8. Columns that are not stored are not
 * shuffled either, if their number is known. */
static inline __attribute__((always_inline)) void turn_tile_4(ag__word_4 *y, int64_t beside, const ag__word_4 *x,
                                                              int64_t across, int columns) {
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
        vector_4 high = PAIR(c[j], c[j + 4], 4, 5, 6, 7, 12, 13, 14, 15);
        if (j < columns) memcpy(y + j * beside, &low, sizeof low);
        if (j + 4 < columns) memcpy(y + (j + 4) * beside, &high, sizeof high);
    }
}

static inline __attribute__((always_inline)) void turn_tile_8(ag__word_8 *y, int64_t beside, const ag__word_8 *x,
                                                              int64_t across, int columns) {
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
    AG__UNROLLED for (int j = 0; j < columns; j++) memcpy(y + j * beside, &c[j], sizeof *c);
}

/* y[j·beside + i] = x[i·across + j], of two tiles in each direction or one and two, one line of y after the other. */
#define TURN_SQUARE(name, turn_tile, type, TILE)                                                                       \
    SHUFFLING static void name(type *y, int64_t beside, const type *x, int64_t across, int64_t rows) {                 \
        for (int k = 0; k < 4; k++) {                                                                                  \
            const int i = k % 2 * TILE, j = k / 2 * TILE;                                                              \
            if (i < rows) turn_tile(y + j * beside + i, beside, x + i * across + j, across, TILE);                     \
        }                                                                                                              \
    }
TURN_SQUARE(turn_square_4, turn_tile_4, ag__word_4, TILE_4)
TURN_SQUARE(turn_square_8, turn_tile_8, ag__word_8, TILE_8)

#define TURN_TILES(turn_tile, TILE, columns_of_tile)                                                                   \
    for (; i + TILE + spare <= rows; i += TILE) {                                                                      \
        if (ahead) ask_for(from + i * columns, TILE * (size_t)columns * sizeof *from);                                 \
        turn_tile(to + i, rows, from + i * columns, columns, columns_of_tile);                                         \
    }                                                                                                                  \
    return i;
#define COLUMNS_4(n) TURN_TILES(turn_tile_4, TILE_4, n)
#define COLUMNS_8(n) TURN_TILES(turn_tile_8, TILE_8, n)

/* Some columns of all rows; returns how many rows are done. The last ones are not, whose vectors would reach beyond
 * the array. */
SHUFFLING static int64_t turn_tiles_4(ag__word_4 *to, const ag__word_4 *from, int64_t rows, int64_t columns, int n,
                                      bool ahead) {
    const int64_t spare = (TILE_4 - n + columns - 1) / columns;
    int64_t i = 0;
    switch (n) {
    case 1: COLUMNS_4(1)
    case 2: COLUMNS_4(2)
    case 3: COLUMNS_4(3)
    case 4: COLUMNS_4(4)
    case 8: COLUMNS_4(8)
    default: COLUMNS_4(n)
    }
}

SHUFFLING static int64_t turn_tiles_8(ag__word_8 *to, const ag__word_8 *from, int64_t rows, int64_t columns, int n,
                                      bool ahead) {
    const int64_t spare = (TILE_8 - n + columns - 1) / columns;
    int64_t i = 0;
    switch (n) {
    case 1: COLUMNS_8(1)
    case 2: COLUMNS_8(2)
    case 3: COLUMNS_8(3)
    default: COLUMNS_8(4)
    }
}
#endif

#define TURN(name, type, tiles, TILE)                                                                                  \
    static void name(type *y, const type *x, int64_t rows, int64_t columns) {                                          \
        for (int64_t j = 0, n; j < columns; j += n) {                                                                  \
            n = ag__lesser(columns - j, TILE);                                                                         \
            int64_t i = shuffles() ? tiles(y + j * rows, x + j, rows, columns, (int)n, j == 0) : 0;                    \
            for (; i < rows; i++)                                                                                      \
                for (int64_t k = j; k < j + n; k++) y[k * rows + i] = x[i * columns + k];                              \
        }                                                                                                              \
    }
static inline int64_t no_tiles(void *to, const void *from, int64_t rows, int64_t columns, int n, bool ahead) {
    return (void)to, (void)from, (void)rows, (void)columns, (void)n, (void)ahead, 0;
}
#ifdef SHUFFLES
TURN(turn_4, ag__word_4, turn_tiles_4, TILE_4)
TURN(turn_8, ag__word_8, turn_tiles_8, TILE_8)
#else
TURN(turn_4, ag__word_4, no_tiles, columns)
TURN(turn_8, ag__word_8, no_tiles, columns)
#endif
TURN(turn_1, uint8_t, no_tiles, columns)

bool ag__turn_square(void *y, int64_t beside, const void *x, int64_t across, int64_t rows, size_t bytes) {
#ifdef SHUFFLES
    if (bytes == 1 || !shuffles()) return false;
    if (bytes == 4) turn_square_4(y, beside, x, across, rows);
    else turn_square_8(y, beside, x, across, rows);
    return true;
#else
    return (void)y, (void)beside, (void)x, (void)across, (void)rows, (void)bytes, false;
#endif
}

void ag__turn(char *y, const char *x, int64_t rows, int64_t columns, size_t bytes) {
    typedef void words(ag__word_4 *, const ag__word_4 *, int64_t);
    typedef void long_words(ag__word_8 *, const ag__word_8 *, int64_t);
    static words *const of_4[] = {[2] = turn_2_of_4, turn_3_of_4, turn_4_of_4};
    static long_words *const of_8[] = {[2] = turn_2_of_8, turn_3_of_8, turn_4_of_8};
    const bool known = columns >= 2 && columns <= MOST_KNOWN && shuffles();
    if (bytes == 4 && known) of_4[columns]((void *)y, (const void *)x, rows);
    else if (bytes == 8 && known) of_8[columns]((void *)y, (const void *)x, rows);
    else if (bytes == 4) turn_4((void *)y, (const void *)x, rows, columns);
    else if (bytes == 8) turn_8((void *)y, (const void *)x, rows, columns);
    else turn_1((void *)y, (const void *)x, rows, columns);
}

/* ---- Folds ---- */

void ag__fold_short(const ag_reduction *op, int dtype, int64_t rows, int64_t columns, char *y, const char *x) {
    _Alignas(64) char column[AG__STRIP * AG__MOST_BYTES];
    const int64_t bytes = (int64_t)ag_dtype_size((ag_dtype)dtype), most = AG__STRIP / columns;
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
