/* product_vector -- products of a matrix and a vector, for one dtype and one kind of processor
 *
 * Included by product_tile.h, whose names it uses. product.c defines these, and this file undefines them:
 *
 *   DOTS, SOME_DOTS, CHAINS  the function to define for a matrix whose rows lie along the sum; its inner parts
 *   LINES, ADD_LINES         the same for one whose rows are added up
 *   JOIN                     adds up the lanes of each of `rows` vectors, to y
 *
 * A dot product is cut into segments of CHAIN_STEPS vectors. A segment's sum is a chain of multiply-adds in a
 * register; such sums are joined pairwise as vectors, and their lanes are added up in the end. So its bits do not
 * depend on how many are computed side by side. */

/* sum[i] = Σ x[i·x_step + p]·b[i·b_step + p], over n elements, in lanes. */
ON INLINE void CHAINS(const int rows, int64_t n, const REAL *x, const int64_t x_step, const REAL *b, int64_t b_step,
                      VECTOR(REAL, LANES) REAL sum[MOST_DOTS]) {
    typedef VECTOR(REAL, LANES) REAL vector;
    typedef VECTOR_ANYWHERE(REAL, LANES) REAL anywhere;
    const REAL *from[3] = {b, b + 3 * b_step, b + 6 * b_step}; /* every third row's */
    int64_t p = 0;
    UNROLLED for (int i = 0; i < rows; i++) sum[i] = (vector){0};
    for (; p + LANES <= n; p += LANES) UNROLLED for (int i = 0; i < rows; i++) {
            const vector left = *(const anywhere *)(const void *)(x + i * x_step + p);
            const vector right = *(const anywhere *)(const void *)(from[i / 3] + i % 3 * b_step + p);
            sum[i] = MULTIPLY_ADD(left, right, sum[i]);
        }
    if (p == n) return;
    const MASK mask = MASK_OF(n - p);
    UNROLLED for (int i = 0; i < rows; i++) {
        const REAL *left = x + i * x_step + p, *right = from[i / 3] + i % 3 * b_step + p;
        const vector u = LOAD_PART(left, mask), v = LOAD_PART(right, mask);
        sum[i] = MULTIPLY_ADD(u, v, sum[i]);
    }
}

/* `rows` (1 or MOST_DOTS) of the dot products; waiting[l]: the sum of 2^l segments that is still to be joined. */
ON INLINE void SOME_DOTS(const int rows, const dots *d, const REAL *b, REAL *y) {
    typedef VECTOR(REAL, LANES) REAL vector;
    enum { SEGMENT = CHAIN_STEPS * LANES };
    _Static_assert((SEGMENT << (DOT_LEVELS - 1)) >= AG__DOT_F32, "the sums of so many segments have a level each");
    const REAL *x = d->x;
    vector waiting[DOT_LEVELS][MOST_DOTS], sum[MOST_DOTS];
    int64_t q = 0, segments = 0, least_level, level, rest;
    for (; q < d->k; q += SEGMENT << least_level, segments += (int64_t)1 << least_level) {
        const int64_t left = d->k - q;
        least_level = FRUGAL || rows > 1 || left < 2 * SEGMENT ? 0 : left < 8 * SEGMENT ? 1 : 3;
        if (rows == 1 && least_level == 3) {
            CHAINS(8, SEGMENT, x + q, SEGMENT, b + q, SEGMENT, sum);
            sum[0] = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
        } else if (rows == 1 && least_level == 1) {
            CHAINS(2, SEGMENT, x + q, SEGMENT, b + q, SEGMENT, sum);
            sum[0] = sum[0] + sum[1];
        } else CHAINS(rows, left < SEGMENT ? left : SEGMENT, x + q, 0, b + q, d->step, sum);
        for (level = least_level, rest = segments >> level; rest & 1; rest >>= 1, level++)
            UNROLLED for (int i = 0; i < rows; i++) sum[i] = waiting[level][i] + sum[i];
        UNROLLED for (int i = 0; i < rows; i++) waiting[level][i] = sum[i];
    }
    for (level = 0, rest = segments; !(rest & 1); rest >>= 1) level++;
    UNROLLED for (int i = 0; i < rows; i++) sum[i] = waiting[level][i];
    while (level++, rest >>= 1)
        if (rest & 1) UNROLLED for (int i = 0; i < rows; i++) sum[i] = waiting[level][i] + sum[i];
    REAL joined[MOST_DOTS];
    UNROLLED for (int i = rows; i < MOST_DOTS; i++) sum[i] = (vector){0};
    JOIN(sum, joined);
    UNROLLED for (int i = 0; i < rows; i++) y[i] = d->add ? y[i] + joined[i] : joined[i];
}

ON static void DOTS(const dots *d) {
    const REAL *b = d->b;
    REAL *y = d->y;
    int64_t j = 0;
    for (; !FRUGAL && j + MOST_DOTS <= d->n; j += MOST_DOTS) SOME_DOTS(MOST_DOTS, d, b + j * d->step, y + j);
    for (; j < d->n; j++) SOME_DOTS(1, d, b + j * d->step, y + j);
}

/* sum[j] += Σ x[i]·b[i·row + j] for i < rows. */
ON INLINE void ADD_LINES(const int rows, int64_t n, const REAL *x, const REAL *b, int64_t row, REAL *sum) {
    typedef VECTOR(REAL, LANES) REAL vector;
    typedef VECTOR_ANYWHERE(REAL, LANES) REAL anywhere;
    const REAL *from[3] = {b, b + 3 * row, b + 6 * row};
    vector across[MOST_DOTS];
    int64_t j = 0;
    UNROLLED for (int i = 0; i < rows; i++) across[i] = x[i] - (vector){0};
    for (; j + LANES <= n; j += LANES) {
        vector s = *(const vector *)(const void *)(sum + j);
        UNROLLED for (int i = 0; i < rows; i++) {
            const vector v = *(const anywhere *)(const void *)(from[i / 3] + i % 3 * row + j);
            s = MULTIPLY_ADD(across[i], v, s);
        }
        *(vector *)(void *)(sum + j) = s;
    }
    if (j == n) return;
    const MASK mask = MASK_OF(n - j);
    vector s = *(const vector *)(const void *)(sum + j);
    UNROLLED for (int i = 0; i < rows; i++) {
        const REAL *right = from[i / 3] + i % 3 * row + j;
        const vector v = LOAD_PART(right, mask);
        s = MULTIPLY_ADD(across[i], v, s);
    }
    *(vector *)(void *)(sum + j) = s;
}

/* Rows are added up in groups, one by one, and the groups to y. */
ON static void LINES(const dots *d) {
    typedef VECTOR(REAL, LANES) REAL vector;
    typedef VECTOR_ANYWHERE(REAL, LANES) REAL anywhere;
    enum { COLUMNS = AG__LIMIT(8192, 128) / sizeof(REAL), HALF = MOST_DOTS / 2 };
    _Alignas(64) REAL sum[COLUMNS];
    for (int64_t q = 0; q < d->k; q += AG__ROWS_A_GROUP)
        for (int64_t j = 0; j < d->n; j += COLUMNS) {
            const int64_t width = d->n - j < COLUMNS ? d->n - j : COLUMNS, row = d->step;
            const int64_t height = d->k - q < AG__ROWS_A_GROUP ? d->k - q : AG__ROWS_A_GROUP;
            const REAL *x = (const REAL *)d->x + q, *b = (const REAL *)d->b + q * row + j;
            REAL *y = (REAL *)d->y + j;
            int64_t i = 0;
            memset(sum, 0, (size_t)((width + LANES - 1) / LANES * LANES) * sizeof(REAL));
            for (; !FRUGAL && i + MOST_DOTS <= height; i += MOST_DOTS)
                ADD_LINES(MOST_DOTS, width, x + i, b + i * row, row, sum);
            for (; !FRUGAL && i + HALF <= height; i += HALF) ADD_LINES(HALF, width, x + i, b + i * row, row, sum);
            for (; i < height; i++) ADD_LINES(1, width, x + i, b + i * row, row, sum);
            const bool add = d->add || q > 0;
            int64_t l = 0;
            for (; l + LANES <= width; l += LANES) {
                vector s = *(const vector *)(const void *)(sum + l);
                if (add) s = *(const anywhere *)(const void *)(y + l) + s;
                *(anywhere *)(void *)(y + l) = s;
            }
            for (; l < width; l++) y[l] = add ? y[l] + sum[l] : sum[l];
        }
}

#undef DOTS
#undef SOME_DOTS
#undef CHAINS
#undef LINES
#undef ADD_LINES
#undef JOIN
