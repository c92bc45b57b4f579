/* product_tile -- the inner part of a matrix product, for one dtype and one kind of processor
 *
 * Included by product.c once for each, with these names defined; it undefines those of a dtype at its end:
 *
 *   PANEL, TILE   the function that is to be defined, and its inner part
 *   PACKED_PANEL, PACKED_TILE, PACKED_STEP  those for packed operands
 *   REAL, LANES   an element, and how many of them a vector has
 *   MULTIPLY_ADD  a·b + sum, of vectors
 *   MASK_OF, LOAD_PART, STORE_PART  the mask for so many lanes; memory under it
 *   ON            the attribute that lets a function use the processor's instructions
 *   MASK          the type of a mask
 *   CHAIN         multiply-adds before their sum is added to y
 *   HIGH          rows of a high tile; a low one has 4
 *   PACKED_HIGH   the same where both operands are packed
 *   WIDTHS        the kinds of tiles by width: 4; 2, both with a mask; or 1, without masks: then b is padded with zeros
 *                 to two vectors
 *
 * A tile is `height` rows by one or two vectors of y. An element's sum over CHAIN steps of k is a chain of
 * multiply-adds in a register; the sums of the chains are added up, and in the end to y. So its bits do not depend
 * on its tile, and rounding errors do not add up. */

#if WIDTHS == 1 /* never used */
#define MASK int
#define MASK_OF(n) 0
#define LOAD_PART(p, mask) ((void)(mask), (vector){0})
#define STORE_PART(p, mask, x) (void)(x)
#endif

#include "ops/product_vector.h"

/* part: the last vector has a mask. In a low tile, rows beyond the last one repeat it and are not stored. */
ON INLINE void TILE(const int height, const int vectors, const bool part, const panel *t, const REAL *a,
                    const REAL *old, REAL *y, int64_t rows) {
    typedef VECTOR(REAL, LANES) REAL vector;
    typedef VECTOR_ANYWHERE(REAL, LANES) REAL anywhere;
    const bool high = height > 4, padded = WIDTHS == 1;
    const int last = vectors - 1;
    const MASK mask = MASK_OF(t->width - last * LANES);
    const int64_t row = t->a_row, column = t->a_column, b_row = t->b_row, y_row = t->y_row, old_row = t->old_row;
    const REAL *b = t->b, *from[4]; /* of a: each row's, or every third row's */
    vector sum[HIGH][2], room[HIGH][2], *total = IN_MEMORY(room[0]);
    UNROLLED for (int i = 0; i < 4; i++) from[i] = a + (high ? 3 * i : i < rows ? i : rows - 1) * row;
    int64_t left = t->k, p;
    do {
        UNROLLED for (int i = 0; i < height; i++) UNROLLED for (int v = 0; v < vectors; v++) sum[i][v] = (vector){0};
        p = left < CHAIN ? left : CHAIN;
        do {
            vector across[2];
            UNROLLED for (int v = 0; v < vectors; v++) {
                if (part && v == last) across[v] = LOAD_PART(b + v * LANES, mask);
                else across[v] = *(const anywhere *)(const void *)(b + v * LANES);
            }
            UNROLLED for (int i = 0; i < height; i++) {
                const vector x = (high ? from[i / 3][i % 3 * row] : *from[i]) - (vector){0};
                UNROLLED for (int v = 0; v < vectors; v++) sum[i][v] = MULTIPLY_ADD(x, across[v], sum[i][v]);
            }
            UNROLLED for (int i = 0; i < 4; i++) from[i] += column;
            b += b_row;
        } while (--p > 0);
        if (left < t->k)
            UNROLLED for (int i = 0; i < height; i++) UNROLLED for (int v = 0; v < vectors; v++) sum[i][v] +=
                total[2 * i + v];
        if (left > CHAIN)
            UNROLLED for (int i = 0; i < height; i++) UNROLLED for (int v = 0; v < vectors; v++) total[2 * i + v] =
                sum[i][v];
    } while ((left -= CHAIN) > 0);
    REAL all[HIGH][2 * LANES];
    UNROLLED for (int i = 0; padded && i < height; i++) memcpy(all[i], sum[i], sizeof all[i]);
    for (int64_t i = 0; padded && i < height && i < rows; i++)
        for (int64_t j = 0; j < t->width; j++) y[i * y_row + j] = old[i * old_row + j] + all[i][j];
    UNROLLED for (int i = 0; !padded && i < height; i++, y += y_row, old += old_row) {
        if (!high && i == rows) return;
        UNROLLED for (int v = 0; v < vectors; v++) {
            if (part && v == last) {
                sum[i][v] += LOAD_PART(old + v * LANES, mask);
                STORE_PART(y + v * LANES, mask, sum[i][v]);
            } else {
                sum[i][v] += *(const anywhere *)(const void *)(old + v * LANES);
                *(anywhere *)(void *)(y + v * LANES) = sum[i][v];
            }
        }
    }
}

ON static void PANEL(const panel *t) {
    const REAL *a = t->a, *old = t->old;
    REAL *y = t->y;
    const bool wide = WIDTHS == 1 || t->width > LANES, whole = WIDTHS == 4 && t->width == (wide ? 2 : 1) * LANES;
    int64_t height, high = HIGH > 4 && (wide || WIDTHS < 4) ? rows_in_high(t->m, HIGH) : 0;
    for (int64_t rows = t->m; rows > 0; rows -= height, high -= height) {
        height = HIGH > 4 && high > 0 ? HIGH : 4;
        if (HIGH > 4 && high > 0) {
            if (whole) TILE(HIGH, 2, false, t, a, old, y, rows);
            else if (WIDTHS == 4 || wide) TILE(HIGH, 2, WIDTHS > 1, t, a, old, y, rows);
            else TILE(HIGH, 1, true, t, a, old, y, rows);
        } else if (wide) {
            if (whole) TILE(4, 2, false, t, a, old, y, rows);
            else TILE(4, 2, WIDTHS > 1, t, a, old, y, rows);
        } else {
            if (whole) TILE(4, 1, false, t, a, old, y, rows);
            else TILE(4, 1, true, t, a, old, y, rows);
        }
        a += height * t->a_row;
        old += height * t->old_row;
        y += height * t->y_row;
    }
}

/* ---- Packed operands ----
 *
 * The rows of a tile of a are contiguous, and so are the two vectors of b, both over all of k. */

ON INLINE void PACKED_STEP(const int height, const REAL *a, const REAL *b,
                           VECTOR(REAL, LANES) REAL sum[PACKED_HIGH][2]) {
    typedef VECTOR(REAL, LANES) REAL vector;
    const vector left = *(const vector *)(const void *)b, right = *(const vector *)(const void *)(b + LANES);
    UNROLLED for (int i = 0; i < height; i++) {
        const vector x = a[i] - (vector){0};
        sum[i][0] = MULTIPLY_ADD(x, left, sum[i][0]);
        sum[i][1] = MULTIPLY_ADD(x, right, sum[i][1]);
    }
}

/* Only `rows` rows of a low tile are stored. */
ON INLINE void PACKED_TILE(const int height, const panel *t, const REAL *a, const REAL *old, REAL *y, int64_t rows) {
    typedef VECTOR(REAL, LANES) REAL vector;
    typedef VECTOR_ANYWHERE(REAL, LANES) REAL anywhere;
    enum { STEPS = 2 };
    const int64_t y_row = t->y_row;
    const REAL *b = t->b;
    vector sum[PACKED_HIGH][2], room[PACKED_HIGH][2], *total = IN_MEMORY(room[0]);
    UNROLLED for (int i = 0; i < height; i++) {
        PREFETCH(y + i * y_row);
        PREFETCH(y + i * y_row + LANES);
    }
    int64_t left = t->k, p;
    do {
        UNROLLED for (int i = 0; i < height; i++) sum[i][0] = sum[i][1] = (vector){0};
        for (p = left < CHAIN ? left : CHAIN; p >= STEPS; p -= STEPS, a += STEPS * height, b += STEPS * 2 * LANES)
            UNROLLED for (int s = 0; s < STEPS; s++) PACKED_STEP(height, a + s * height, b + s * 2 * LANES, sum);
        for (; p > 0; p--, a += height, b += 2 * LANES) PACKED_STEP(height, a, b, sum);
        if (left < t->k)
            UNROLLED for (int i = 0; i < height; i++) UNROLLED for (int v = 0; v < 2; v++) sum[i][v] +=
                total[2 * i + v];
        if (left > CHAIN)
            UNROLLED for (int i = 0; i < height; i++) UNROLLED for (int v = 0; v < 2; v++) total[2 * i + v] = sum[i][v];
    } while ((left -= CHAIN) > 0);
    UNROLLED for (int i = 0; i < height; i++, y += y_row, old += t->old_row) {
        if (height < PACKED_HIGH && i == rows) return;
        UNROLLED for (int v = 0; v < 2; v++) * (anywhere *)(void *)(y + v * LANES) =
            sum[i][v] + *(const anywhere *)(const void *)(old + v * LANES);
    }
}

ON static void PACKED_PANEL(const panel *t) {
    const REAL *a = t->a, *old = t->old;
    REAL *y = t->y;
    for (int64_t height, rows = t->m; rows > 0; rows -= height) {
        height = rows < PACKED_HIGH ? LOW : PACKED_HIGH;
        if (rows < PACKED_HIGH) PACKED_TILE(LOW, t, a, old, y, rows);
        else PACKED_TILE(PACKED_HIGH, t, a, old, y, rows);
        a += height * t->k;
        old += height * t->old_row;
        y += height * t->y_row;
    }
}

#undef PACKED_STEP
#undef PACKED_TILE
#undef PACKED_PANEL
#undef PANEL
#undef TILE
#undef REAL
#undef LANES
#undef CHAIN
#undef MULTIPLY_ADD
#undef MASK_OF
#undef LOAD_PART
#undef STORE_PART
#if WIDTHS == 1
#undef MASK
#endif
