/* product_tile -- the inner part of a matrix product, for one dtype and one kind of processor
 *
 * Included by product.c once for each, with these names defined; it undefines those of a dtype at its end:
 *
 *   PANEL, SOME_ROWS, TILE  the function that is to be defined, and its inner parts
 *   PUT_TILE      what both store with
 *   PACKED_PANEL, PACKED_TILE, PACKED_STEP, PUT_PART  those for packed operands
 *   REAL, LANES   an element, and how many of them a vector has
 *   MULTIPLY_ADD  a·b + sum, of vectors
 *   MASK_OF, LOAD_PART, STORE_PART  the mask for so many lanes; memory under it, the last one only if there are masks
 *   ON            the attribute that lets a function use the processor's instructions
 *   MASK          the type of a mask
 *   CHAIN         multiply-adds before their sum is added to y
 *   HIGH, MIDDLE  rows of a high tile, and of one of middle height; a low one has LOW
 *   PACKED_HIGH   the same where both operands are packed
 *   MASKS         1: there are masks; 0: b is padded with zeros to two vectors
 *   FRUGAL        1: a smaller code rather than a faster one: fewer forms of each loop
 *
 * A tile is `height` rows by one or two vectors of y. An element's sum over CHAIN steps of k is a chain of
 * multiply-adds in a register; the sums of the chains are added up, and in the end to y. So its bits do not depend
 * on its tile, and rounding errors do not add up. */

#if !MASKS /* never used */
#define STORE_PART(p, mask, x) (void)(x)
#endif

#include "ops/product_vector.h"

/* A tile's sums become its part of y, or are added to it. Only `rows` rows of a low tile are there. Whether they are
 * added is asked once: a compiler would read it again after each store to y. */
ON INLINE void PUT_TILE(const int height, const int vectors, const bool part, const bool add, const MASK mask,
                        VECTOR(REAL, LANES) REAL sum[][2], REAL *y, const int64_t y_row, int64_t rows) {
    typedef VECTOR_ANYWHERE(REAL, LANES) REAL anywhere;
    const int last = vectors - 1;
    const REAL *old = y;
    UNROLLED for (int i = 0; add && i < height; i++, old += y_row) {
        if (height == LOW && i == rows) break;
        UNROLLED for (int v = 0; v < vectors; v++) {
            if (part && v == last) sum[i][v] += LOAD_PART(old + v * LANES, mask);
            else sum[i][v] += *(const anywhere *)(const void *)(old + v * LANES);
        }
    }
    UNROLLED for (int i = 0; i < height; i++, y += y_row) {
        if (height == LOW && i == rows) return;
        UNROLLED for (int v = 0; v < vectors; v++) {
            if (part && v == last) STORE_PART(y + v * LANES, mask, sum[i][v]);
            else *(anywhere *)(void *)(y + v * LANES) = sum[i][v];
        }
    }
}

/* part: the last vector has a mask. In a low tile, rows beyond the last one repeat it and are not stored. */
ON INLINE void TILE(const int height, const int vectors, const bool part, const ag__panel *t, const REAL *a, REAL *y,
                    int64_t rows) {
    typedef VECTOR(REAL, LANES) REAL vector;
    typedef VECTOR_ANYWHERE(REAL, LANES) REAL anywhere;
    const bool high = height > LOW, padded = !MASKS;
    const int last = vectors - 1;
    const MASK mask = MASK_OF(t->width - last * LANES);
    const int64_t row = t->a_row, column = t->a_column, b_row = t->b_row, y_row = t->y_row;
    const REAL *b = t->b, *from[4]; /* of a: each row's, or every third row's */
    vector sum[HIGH][2], room[HIGH][2], *total = IN_MEMORY(room[0]);
    UNROLLED for (int i = 0; i < 4; i++) from[i] = a + (high ? 3 * i : i < rows ? i : rows - 1) * row;
    const int64_t *jump = t->jump;
    int64_t left = t->k, run = t->first, p;
    do {
        UNROLLED for (int i = 0; i < height; i++) UNROLLED for (int v = 0; v < vectors; v++) sum[i][v] = (vector){0};
        const bool first = left == t->k;
        const int64_t most = run | t->beyond, whole = most < t->chain ? most : t->chain;
        int64_t chain = left < whole ? left : whole;
        left -= chain;
        do {
            p = chain < run ? chain : run;
            chain -= p;
            run -= p;
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
            if (run == 0 && left + chain > 0) {
                UNROLLED for (int i = 0; i < 4; i++) from[i] += *jump;
                jump++;
                run = t->run;
            }
        } while (chain > 0);
        if (!first)
            UNROLLED for (int i = 0; i < height; i++) UNROLLED for (int v = 0; v < vectors; v++) sum[i][v] +=
                total[2 * i + v];
        if (left > 0)
            UNROLLED for (int i = 0; i < height; i++) UNROLLED for (int v = 0; v < vectors; v++) total[2 * i + v] =
                sum[i][v];
    } while (left > 0);
    REAL all[HIGH][2 * LANES];
    UNROLLED for (int i = 0; padded && i < height; i++) memcpy(all[i], sum[i], sizeof all[i]);
    for (int64_t i = 0; padded && i < height && i < rows; i++)
        for (int64_t j = 0; j < t->width; j++) y[i * y_row + j] = t->add ? y[i * y_row + j] + all[i][j] : all[i][j];
    if (!padded) PUT_TILE(height, vectors, part, t->add, mask, sum, y, y_row, rows);
}

/* Tiles of middle height keep the processor as busy, so there are no higher ones with a mask. */
ON INLINE void SOME_ROWS(const int vectors, const bool part, const ag__panel *t) {
    const int highest = part && MIDDLE > LOW ? MIDDLE : HIGH;
    const REAL *a = t->a;
    REAL *y = t->y;
    int64_t height;
    for (int64_t rows = t->m; rows > 0; rows -= height, a += height * t->a_row, y += height * t->y_row) {
        height = height_of_tile(rows, highest, MIDDLE);
        if (highest > LOW && height == highest) TILE(highest, vectors, part, t, a, y, rows);
        else if (MIDDLE > LOW && height == MIDDLE) TILE(MIDDLE, vectors, part, t, a, y, rows);
        else TILE(LOW, vectors, part, t, a, y, rows);
    }
}

ON static void PANEL(ag__panel *t) {
    for (;; t->more--) {
        if (!MASKS || t->width == 2 * LANES) SOME_ROWS(2, false, t);
        else if (t->width > LANES) SOME_ROWS(2, true, t);
        else
            SOME_ROWS(1, true,
                      t); /* also of a whole vector: the mask costs less than a third form of the tiles takes */
        if (t->more <= 0) return;
        t->a = (const REAL *)t->a + t->a_next;
        t->b = (const REAL *)t->b + t->b_next;
        t->y = (REAL *)t->y + t->m * t->y_row;
    }
}

#if !FRUGAL
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

/* y (rows, the panel's columns) is `all`, added to it if the panel is. */
ON INLINE void PUT_PART(const ag__panel *t, VECTOR(REAL, LANES) REAL all[PACKED_HIGH][2], REAL *y, int64_t rows) {
    typedef VECTOR(REAL, LANES) REAL vector;
    const int64_t width = t->width;
    const MASK mask[2] = {MASK_OF(width < LANES ? width : LANES), MASK_OF(width < LANES ? 0 : width - LANES)};
    for (int64_t i = 0; i < rows; i++, y += t->y_row) {
        UNROLLED for (int v = 0; v < 2 && MASKS; v++) {
            vector sum = all[i][v];
            if (t->add) sum += LOAD_PART(y + v * LANES, mask[v]);
            STORE_PART(y + v * LANES, mask[v], sum);
        }
        REAL row[2 * LANES];
        memcpy(row, all[i], sizeof row);
        for (int64_t j = 0; j < width && !MASKS; j++) y[j] = t->add ? y[j] + row[j] : row[j];
    }
}

/* Only `rows` rows of a low tile are stored, and the panel's columns. Meanwhile some lines of the next panel of b, from
 * *next on, and the y of the next tile come into the second-level cache. */
ON INLINE void PACKED_TILE(const int height, const ag__panel *t, const REAL *a, REAL *y, int64_t rows,
                           const char **next) {
    typedef VECTOR(REAL, LANES) REAL vector;
    enum { STEPS = 2, AHEAD = 512, LINE = AG__LINE };
    const int64_t y_row = t->y_row;
    const REAL *b = t->b, *below = y + (rows > height ? height * y_row : 0);
    vector sum[PACKED_HIGH][2], room[PACKED_HIGH][2], *total = IN_MEMORY(room[0]);
    UNROLLED for (int i = 0; i < height; i++) {
        PREFETCH(y + i * y_row, 1, 3);
        PREFETCH(y + i * y_row + LANES, 1, 3);
    }
    int64_t left = t->k, p;
    do {
        UNROLLED for (int i = 0; i < height; i++) sum[i][0] = sum[i][1] = (vector){0};
        for (int64_t lines = t->lines; lines > 0; lines--, *next += LINE) PREFETCH(*next, 0, 2);
        for (int i = 0; left <= CHAIN && i < height; i++, below += y_row) {
            PREFETCH(below, 1, 2);
            PREFETCH(below + LANES, 1, 2);
        }
        for (p = left < CHAIN ? left : CHAIN; p >= STEPS; p -= STEPS, a += STEPS * height, b += STEPS * 2 * LANES) {
            PREFETCH((const char *)a + AHEAD, 0, 3);
            if (STEPS * height * (int)sizeof(REAL) > LINE) PREFETCH((const char *)a + AHEAD + LINE, 0, 3);
            UNROLLED for (int s = 0; s < STEPS; s++) PACKED_STEP(height, a + s * height, b + s * 2 * LANES, sum);
        }
        for (; p > 0; p--, a += height, b += 2 * LANES) PACKED_STEP(height, a, b, sum);
        if (left < t->k)
            UNROLLED for (int i = 0; i < height; i++) UNROLLED for (int v = 0; v < 2; v++) sum[i][v] +=
                total[2 * i + v];
        if (left > CHAIN)
            UNROLLED for (int i = 0; i < height; i++) UNROLLED for (int v = 0; v < 2; v++) total[2 * i + v] = sum[i][v];
    } while ((left -= CHAIN) > 0);
    if (t->width == 2 * LANES) {
        PUT_TILE(height, 2, false, t->add, MASK_OF(LANES), sum, y, y_row, rows);
    } else {
        UNROLLED for (int i = 0; i < height; i++) UNROLLED for (int v = 0; v < 2; v++) total[2 * i + v] = sum[i][v];
        PUT_PART(t, room, y, rows < height ? rows : height);
    }
}

ON static void PACKED_PANEL(const ag__panel *t) {
    const REAL *a = t->a;
    const char *next = (const char *)t->b + t->k * 2 * LANES * (int64_t)sizeof(REAL);
    REAL *y = t->y;
    for (int64_t height, rows = t->m; rows > 0; rows -= height, a += height * t->k, y += height * t->y_row) {
        height = rows < PACKED_HIGH ? LOW : PACKED_HIGH;
        if (PACKED_HIGH == LOW || rows < PACKED_HIGH) PACKED_TILE(LOW, t, a, y, rows, &next);
        else PACKED_TILE(PACKED_HIGH, t, a, y, rows, &next);
    }
}
#else
/* Each tile is a panel with contiguous columns of a. */
ON static void PACKED_PANEL(const ag__panel *t) {
    ag__panel tile = *t;
    REAL *y = t->y;
    const REAL *a = t->a;
    tile.first = t->k;
    tile.chain = CHAIN;
    tile.a_row = 1;
    tile.a_column = PACKED_HIGH;
    for (int64_t rows = t->m; rows > 0; rows -= PACKED_HIGH, a += PACKED_HIGH * t->k, y += PACKED_HIGH * t->y_row) {
        tile.m = rows < PACKED_HIGH ? rows : PACKED_HIGH;
        tile.a = a;
        tile.y = y;
        PANEL(&tile);
    }
}
#endif

#undef PACKED_STEP
#undef PACKED_TILE
#undef PUT_PART
#undef PUT_TILE
#undef PACKED_PANEL
#undef PANEL
#undef SOME_ROWS
#undef TILE
#undef REAL
#undef LANES
#undef CHAIN
#undef MULTIPLY_ADD
#undef MASK_OF
#undef LOAD_PART
#undef STORE_PART
