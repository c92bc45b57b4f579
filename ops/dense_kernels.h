/* dense_kernels -- the innermost loops of dense.c, for one type of number: REAL, with the names of its functions
 *
 * Matrices are row-major, `ld` elements from one row to the next. Rows are what vectors of the processor go along. */

/* Factor w columns of m rows by Gaussian elimination; pivot[j]: the row that was exchanged with row j. */
AG_BLOCK_KERNEL(void, LU_PANEL, (int64_t m, int64_t w, REAL *a, int64_t ld, int64_t *pivot), (m, w, a, ld, pivot)) {
    for (int64_t j = 0; j < w && j < m; j++) {
        REAL most = ABSOLUTE(a[j * ld + j]);
        pivot[j] = j;
        for (int64_t i = j + 1; i < m; i++) {
            const REAL x = ABSOLUTE(a[i * ld + j]);
            if (x > most) most = x, pivot[j] = i;
        }
        REAL *top = a + j * ld, *chosen = a + pivot[j] * ld;
        for (int64_t c = 0; c < w; c++) {
            const REAL x = top[c];
            top[c] = chosen[c];
            chosen[c] = x;
        }
        const REAL d = top[j];
        if (d == 0) continue;
        for (int64_t i = j + 1; i < m; i++) {
            REAL *row = a + i * ld;
            const REAL s = row[j] /= d;
            AG_SIMD
            for (int64_t c = j + 1; c < w; c++) row[c] -= s * top[c];
        }
    }
}

/* b = t⁻¹·b for a triangle of n rows with any strides, and k columns of b. */
AG_BLOCK_KERNEL(void, SOLVE_TRIANGLE,
                (int64_t n, const REAL *t, int64_t t_row, int64_t t_column, bool lower, bool unit, int64_t k, REAL *b,
                 int64_t ld),
                (n, t, t_row, t_column, lower, unit, k, b, ld)) {
    for (int64_t step = 0; step < n; step++) {
        const int64_t i = lower ? step : n - 1 - step;
        REAL *row = b + i * ld;
        for (int64_t before = 0; before < step; before++) {
            const int64_t j = lower ? before : n - 1 - before;
            const REAL s = t[i * t_row + j * t_column];
            const REAL *other = b + j * ld;
            AG_SIMD
            for (int64_t c = 0; c < k; c++) row[c] -= s * other[c];
        }
        const REAL d = t[i * t_row + i * t_column];
        if (unit) continue;
        AG_SIMD
        for (int64_t c = 0; c < k; c++) row[c] /= d;
    }
}

/* The upper triangle of a becomes r, with a = rᵀ·r; the first row whose pivot is not positive, or −1. */
AG_BLOCK_KERNEL(int64_t, CHOLESKY_BLOCK, (int64_t n, REAL *a, int64_t ld), (n, a, ld)) {
    for (int64_t j = 0; j < n; j++) {
        REAL *top = a + j * ld;
        if (!(top[j] > 0)) return j;
        const REAL d = ROOT(top[j]);
        top[j] = d;
        AG_SIMD
        for (int64_t c = j + 1; c < n; c++) top[c] /= d;
        for (int64_t i = j + 1; i < n; i++) {
            REAL *row = a + i * ld;
            const REAL s = top[i];
            AG_SIMD
            for (int64_t c = i; c < n; c++) row[c] -= s * top[c];
        }
    }
    return -1;
}

/* One step of the elimination of m rows; a row that then has the largest element, the first of such, NaNs aside. */
AG_BLOCK_KERNEL(int64_t, LU_STEP, (int64_t m, REAL *a, int64_t ld), (m, a, ld)) {
    REAL most = -1;
    int64_t which = 1;
    for (int64_t i = 1; i < m && a[0] != 0; i++) { /* where the pivot is 0, so is all that is left */
        REAL *row = a + i * ld, largest = 0;
        const REAL s = row[0] /= a[0];
        AG_SIMD_MOST(largest)
        for (int64_t c = 1; c < m; c++) {
            const REAL x = row[c] - s * a[c], size = ABSOLUTE(x);
            row[c] = x;
            largest = size > largest ? size : largest;
        }
        if (largest > most) most = largest, which = i;
    }
    return which;
}

/* Factor a square matrix with the largest of all remaining elements as pivot: a = P·L·U·Q. row[i], column[j]: the
 * row and column of a that became i and j. False if their exchanges are an odd number. */
static bool LU_COMPLETE(int64_t n, REAL *a, int64_t *row, int64_t *column) {
    bool even = true;
    int64_t p = 0;
    REAL most = 0;
    for (int64_t i = 0; i < n * n; i++)
        if (ABSOLUTE(a[i]) > most) most = ABSOLUTE(a[i]), p = i / n;
    for (int64_t i = 0; i < n; i++) row[i] = column[i] = i;
    for (int64_t j = 0; j < n; j++) {
        int64_t q = j;
        for (int64_t c = j; c < n; c++)
            if (ABSOLUTE(a[p * n + c]) > ABSOLUTE(a[p * n + q])) q = c;
        for (int64_t c = 0; c < n && p != j; c++) {
            const REAL x = a[j * n + c];
            a[j * n + c] = a[p * n + c];
            a[p * n + c] = x;
        }
        for (int64_t i = 0; i < n && q != j; i++) {
            const REAL x = a[i * n + j];
            a[i * n + j] = a[i * n + q];
            a[i * n + q] = x;
        }
        const int64_t r = row[j], s = column[j];
        row[j] = row[p], row[p] = r;
        column[j] = column[q], column[q] = s;
        even ^= (p != j) ^ (q != j);
        p = j + LU_STEP(n - j, a + j * (n + 1), n);
        ag__leave_vectors();
    }
    return even;
}

/* Rows of the upper triangle a divided by their diagonals, where these are not 0. */
static void UNIT_ROWS(int64_t n, REAL *a) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n && a[i * (n + 1)] != 0; j++) a[i * n + j] /= a[i * (n + 1)];
}

/* Rows of the lower triangle a times numbers. */
static void SCALE_ROWS(int64_t n, REAL *a, const REAL *by) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) a[i * n + j] *= by[i];
}

/* y[row[i],column[j]] = a[i,j]. */
static void PLACE(int64_t n, REAL *y, const int64_t *row, const int64_t *column, const REAL *a) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) y[row[i] * n + column[j]] = a[i * n + j];
}

/* to (m,k) = −from, any strides. */
static void NEGATE(int64_t m, int64_t k, REAL *to, const REAL *from, int64_t row, int64_t column) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < k; j++) to[i * k + j] = -from[i * row + j * column];
}

/* y = Σ c[i]·x[i], which may be y, or that added to y. */
AG_BLOCK_KERNEL(void, COMBINE_THREE, (int64_t n, REAL *y, const void *const x[3], const double c[3], bool add),
                (n, y, x, c, add)) {
    const REAL *p = x[0], *q = x[1], *r = x[2];
    const double by_p = c[0], by_q = c[1], by_r = c[2];
    AG_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] = (REAL)((add ? (double)y[i] : 0) + by_p * (double)p[i] + by_q * (double)q[i] + by_r * (double)r[i]);
}

#undef LU_PANEL
#undef SOLVE_TRIANGLE
#undef CHOLESKY_BLOCK
#undef LU_COMPLETE
#undef LU_STEP
#undef UNIT_ROWS
#undef SCALE_ROWS
#undef PLACE
#undef NEGATE
#undef COMBINE_THREE
#undef REAL
#undef ABSOLUTE
#undef ROOT
