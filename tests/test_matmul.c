/* test_matmul -- matrix products: every kernel, shape and stride against plain loops, accumulation, threads
 *
 * First the kernels alone, on operands whose blocks of memory end with them, so that a sanitizer sees a read beyond;
 * the gaps between elements hold NaN. Then the operation, around the sizes where its kernels change. */
#include "autograd/eval/eval.h"
#include "ops/product.h"
#include "ops/rules.h"
#include "tests/support.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const ag_dtype dtypes[] = {AG_F32, AG_F64};

static void *room(int64_t count, size_t bytes) {
    void *p = malloc((size_t)count * bytes);
    ck_assert_ptr_nonnull(p);
    return p;
}

/* ---- Operands ---- */

enum { ROWS, COLUMNS, ROWS_INSIDE, COLUMNS_INSIDE, STEPPED, BACKWARDS, ONE_ROW, ONE_COLUMN, CROWDED, LAYOUTS };

typedef struct operand {
    void *block, *first;
    int64_t row, column;
    double *value; /* rows·columns, row-major */
} operand;

static void choose_strides(operand *o, int layout, int64_t rows, int64_t columns) {
    const int64_t stride[LAYOUTS][2] = {{columns, 1},  {1, rows},        {columns + 3, 1},
                                        {1, rows + 5}, {2 * columns, 2}, {-columns, -1},
                                        {0, 1},        {1, 0},           {(columns / 128 + 1) * 128, 1}};
    o->row = stride[layout][0];
    o->column = stride[layout][1];
}

/* The values are number(i), rounded to the dtype. */
static operand operand_of(ag_dtype d, int layout, int64_t rows, int64_t columns, double (*number)(uint64_t),
                          uint64_t from) {
    operand o;
    choose_strides(&o, layout, rows, columns);
    const int64_t last = (rows - 1) * o.row + (columns - 1) * o.column, span = (last < 0 ? -last : last) + 1;
    const int64_t start = last < 0 ? -last : 0;
    o.block = room(span, ag_dtype_size(d));
    o.value = room(rows * columns, sizeof *o.value);
    o.first = (char *)o.block + start * (int64_t)ag_dtype_size(d);
    for (int64_t i = 0; i < span; i++) element_put(d, o.block, i, NAN);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            const int64_t at = start + i * o.row + j * o.column;
            element_put(d, o.block, at, number(from + (uint64_t)(i * columns + j)));
            o.value[i * columns + j] = element_at(d, o.block, at);
        }
    for (int64_t i = 0; i < rows * columns; i++) /* with stride 0, the last one written counts */
        o.value[i] = element_at(d, o.block, start + i / columns * o.row + i % columns * o.column);
    return o;
}

static void drop(const operand *o) {
    free(o->block);
    free(o->value);
}

static double fraction(uint64_t i) { return scatter(i) + scatter(i + 500) * 1e-4; }

/* Small integers, with some infinities and NaN. */
static double odd_one(uint64_t i) {
    const double s = scatter(i * 7 + 3);
    return s > 0.97 ? INFINITY : s < -0.97 ? -INFINITY : s > 0.94 ? NAN : s > 0.8 ? 0 : floor(s * 4);
}

/* ---- The kernels alone ---- */

static const char *const unit_name[AG__UNITS] = {"AVX-512", "AVX2", "plain"};

/* A product and y, which has GAP more columns than n, which must not be written. */
enum { GAP = 2 };

typedef struct trial {
    int unit, layout[2];
    ag_dtype d;
    bool add;
    int64_t m, n, k;
    operand a, b;
    void *y, *before;
    ag__product p;
} trial;

static void set_up(trial *t, double (*number)(uint64_t)) {
    const int64_t all = t->m * (t->n + GAP) - GAP;
    t->a = operand_of(t->d, t->layout[0], t->m, t->k, number, 1);
    t->b = operand_of(t->d, t->layout[1], t->k, t->n, number, 77);
    t->y = room(all, ag_dtype_size(t->d));
    t->before = room(all, ag_dtype_size(t->d));
    for (int64_t i = 0; i < all; i++) element_put(t->d, t->y, i, t->add ? scatter((uint64_t)i) : NAN);
    memcpy(t->before, t->y, (size_t)all * ag_dtype_size(t->d));
    t->p = (ag__product){.dtype = t->d, .add = t->add, .m = t->m, .n = t->n, .k = t->k, .y = t->y, .y_row = t->n + GAP};
    t->p.a = t->a.first;
    t->p.b = t->b.first;
    t->p.a_row = t->a.row;
    t->p.a_column = t->a.column;
    t->p.b_row = t->b.row;
    t->p.b_column = t->b.column;
}

static void tear_down(trial *t) {
    drop(&t->a);
    drop(&t->b);
    free(t->y);
    free(t->before);
}

static _Noreturn void wrong(const trial *t, int64_t i, int64_t j, double got, double want) {
    ck_abort_msg("%s %s (%d,%d)·(%d,%d), layouts %d and %d%s: element (%d,%d) is %.17g, not %.17g", unit_name[t->unit],
                 ag_dtype_name(t->d), (int)t->m, (int)t->k, (int)t->k, (int)t->n, t->layout[0], t->layout[1],
                 t->add ? ", added" : "", (int)i, (int)j, got, want);
    abort();
}

/* Each addition may add a rounding error, to this sum and to the plain one; NaN and infinities must agree. */
/* A row at a time, for whole rows of b are read then. */
static void check_elements(const trial *t) {
    const double epsilon = t->d == AG_F32 ? (double)FLT_EPSILON : DBL_EPSILON;
    double *want = room(t->n, sizeof *want), *size = room(t->n, sizeof *size);
    for (int64_t i = 0; i < t->m; i++) {
        for (int64_t j = 0; j < t->n; j++) {
            want[j] = t->add ? element_at(t->d, t->before, i * (t->n + GAP) + j) : 0;
            size[j] = fabs(want[j]);
        }
        for (int64_t p = 0; p < t->k; p++) {
            const double a = t->a.value[i * t->k + p], *b = t->b.value + p * t->n;
            for (int64_t j = 0; j < t->n; j++) {
                want[j] += a * b[j];
                size[j] += fabs(a * b[j]);
            }
        }
        for (int64_t j = 0; j < t->n; j++) {
            const double got = element_at(t->d, t->y, i * (t->n + GAP) + j);
            const bool special = !isfinite(want[j]) || !isfinite(got);
            const bool same = isnan(want[j]) ? isnan(got) : got == want[j];
            const double most = (double)(t->k + 2) * epsilon * size[j];
            if (special ? !same : fabs(got - want[j]) > most) wrong(t, i, j, got, want[j]);
        }
    }
    free(want);
    free(size);
}

static void check_trial(trial *t, double (*number)(uint64_t)) {
    set_up(t, number);
    ag__multiply_on(t->unit, &t->p);
    check_elements(t);
    const size_t bytes = ag_dtype_size(t->d);
    for (int64_t i = 1; i < t->m; i++) { /* the gaps between rows */
        const int64_t at = (i * (t->n + GAP) - GAP) * (int64_t)bytes;
        if (memcmp((char *)t->y + at, (char *)t->before + at, GAP * bytes) != 0) ck_abort_msg("beyond row %d", (int)i);
    }
    tear_down(t);
}

/* Choose the next combination of layouts and accumulation: all take their turn. */
static void vary(trial *t, unsigned turn) {
    t->layout[0] = (int)(turn % LAYOUTS);
    t->layout[1] = (int)(turn / LAYOUTS % LAYOUTS);
    t->add = turn / (LAYOUTS * LAYOUTS) % 2;
}

/* With packed operands the bits are the same, and the gaps between the rows of y are not written. */
static void check_packed(trial *t) {
    const size_t bytes = (size_t)(t->m * (t->n + GAP) - GAP) * ag_dtype_size(t->d);
    void *plain = room((int64_t)bytes, 1),
         *memory = aligned_alloc(64, (ag__packed_bytes(t->unit, &t->p) + 63) / 64 * 64);
    ck_assert_ptr_nonnull(memory);
    ag__multiply_on(t->unit, &t->p);
    memcpy(plain, t->y, bytes);
    memcpy(t->y, t->before, bytes);
    ag__multiply_packed_on(t->unit, &t->p, memory);
    if (memcmp(plain, t->y, bytes) != 0)
        ck_abort_msg("%s %s (%d,%d)·(%d,%d), layouts %d and %d%s: other bits packed", unit_name[t->unit],
                     ag_dtype_name(t->d), (int)t->m, (int)t->k, (int)t->k, (int)t->n, t->layout[0], t->layout[1],
                     t->add ? ", added" : "");
    free(memory);
    free(plain);
}

START_TEST(packed_products_have_the_same_bits) {
    trial t = {.unit = _i / 2, .d = dtypes[_i % 2]};
    unsigned turn = 0;
    if (!ag__has_unit(t.unit)) return;
    for (t.m = 1; t.m <= 30; t.m += by_length(7, 3, 1))
        for (t.n = 1; t.n <= 70; t.n += by_length(11, 5, 3))
            for (t.k = 1 + (t.m * 7 + t.n) % 50; t.k <= 330; t.k += 97) {
                vary(&t, turn++);
                set_up(&t, fraction);
                check_packed(&t);
                tear_down(&t);
            }
    t.m = 700, t.n = 33, t.k = 300; /* more rows than are packed at a time */
    for (int layout = 0; layout < 2 * LAYOUTS * LAYOUTS; layout += (int)by_length(61, 41, 13)) {
        vary(&t, (unsigned)layout);
        set_up(&t, fraction);
        check_packed(&t);
        tear_down(&t);
    }
}
END_TEST

/* All m and n, each with every fourth k. */
START_TEST(every_small_shape) {
    trial t = {.unit = _i / 2, .d = dtypes[_i % 2]};
    const int64_t step = by_length(37, 13, 4);
    unsigned turn = 0;
    if (!ag__has_unit(t.unit)) return;
    for (t.m = 1; t.m <= 40; t.m++)
        for (t.n = 1; t.n <= 40; t.n++)
            for (t.k = 1 + (t.m * 7 + t.n) % step; t.k <= 40; t.k += step) {
                vary(&t, turn++);
                check_trial(&t, fraction);
            }
}
END_TEST

/* Several blocks of k, several parts of a transposed y, copies of rows that evict each other from the cache. */
static const int64_t larger[][3] = {{5, 3, 191},   {16, 17, 193},  {33, 34, 256},   {7, 129, 257}, {13, 260, 300},
                                    {70, 5, 513},  {129, 128, 64}, {150, 100, 200}, {4, 300, 600}, {300, 6, 385},
                                    {2, 65, 1000}, {1, 33, 700},   {33, 1, 700},    {1, 1, 1025},  {140, 33, 1},
                                    {31, 520, 40}, {128, 1100, 9}};
enum { LARGER = sizeof larger / sizeof *larger };

START_TEST(larger_shapes) {
    trial t = {.unit = _i / 2, .d = dtypes[_i % 2]};
    if (!ag__has_unit(t.unit)) return;
    for (unsigned turn = 0; turn < 4 * LAYOUTS * LAYOUTS; turn += (unsigned)by_length(19, 5, 1)) {
        const int64_t *s = larger[turn % LARGER];
        t.m = s[0], t.n = s[1], t.k = s[2];
        vary(&t, turn / 2);
        check_trial(&t, fraction);
    }
}
END_TEST

START_TEST(infinities_and_nan) {
    trial t = {.unit = _i / 2, .d = dtypes[_i % 2]};
    unsigned turn = 0;
    if (!ag__has_unit(t.unit)) return;
    for (t.m = 1; t.m <= 14; t.m++)
        for (t.n = 1; t.n <= 34; t.n++)
            for (t.k = 1 + t.n % 3; t.k <= 5; t.k += 3) {
                vary(&t, turn++);
                check_trial(&t, odd_one);
            }
}
END_TEST

/* ---- A matrix and a vector ---- */

/* The kernels for vectors, for which y is contiguous. */
static void multiply_vector(const trial *t, bool dots) {
    ag__product p = t->p;
    char *column = room(p.m, 8);
    const size_t size = ag_dtype_size(t->d);
    const int64_t each = (int64_t)size, gap = p.y_row * each;
    if (p.n == 1) {
        ag__copy_matrix(size, column, each, p.y, gap, each, p.m, 1);
        p.y = column;
        p.y_row = 1;
    }
    (dots ? ag__multiply_dots_on : ag__multiply_lines_on)(t->unit, &p);
    if (p.n == 1) ag__copy_matrix(size, t->p.y, gap, column, each, each, p.m, 1);
    free(column);
}

/* Again, one element or two at a time: the same bits. */
static void check_vector_parts(const trial *t, bool dots) {
    const size_t bytes = (size_t)(t->m * (t->n + GAP) - GAP) * ag_dtype_size(t->d);
    void *whole = room((int64_t)bytes, 1);
    memcpy(whole, t->y, bytes);
    memcpy(t->y, t->before, bytes);
    for (int64_t i = 0; i < t->m; i += 2)
        for (int64_t j = 0; j < t->n; j += 3) {
            trial part = *t;
            part.p = ag__part_of(&t->p, i, t->m - i < 2 ? t->m - i : 2, j, t->n - j < 3 ? t->n - j : 3);
            multiply_vector(&part, dots);
        }
    if (memcmp(whole, t->y, bytes) != 0)
        ck_abort_msg("%s %s (%d,%d)·(%d,%d) by %s: other bits in parts", unit_name[t->unit], ag_dtype_name(t->d),
                     (int)t->m, (int)t->k, (int)t->k, (int)t->n, dots ? "dots" : "lines");
    free(whole);
}

/* The matrix is contiguous along the kernel's axis, with or without gaps, or its elements are apart; the vector has
 * any stride. */
static void check_vector(trial *t, unsigned turn, double (*number)(uint64_t)) {
    static const int matrix[2][4] = {{COLUMNS, COLUMNS_INSIDE, BACKWARDS, STEPPED},
                                     {ROWS, ROWS_INSIDE, CROWDED, STEPPED}};
    static const int vector[] = {ROWS, COLUMNS, STEPPED, BACKWARDS, COLUMNS_INSIDE, ROWS_INSIDE};
    const bool one_row = t->m == 1, dots = turn % 2, along = one_row == !dots;
    t->layout[one_row] = matrix[along][turn / 2 % 4];
    t->layout[!one_row] = vector[turn / 8 % 6];
    t->add = turn / 48 % 2;
    set_up(t, number);
    multiply_vector(t, dots);
    check_elements(t);
    for (int64_t i = 1; i < t->m; i++) {
        const int64_t at = i * (t->n + GAP) - GAP;
        const size_t from = (size_t)at * ag_dtype_size(t->d);
        ck_assert(memcmp((char *)t->y + from, (char *)t->before + from, GAP * ag_dtype_size(t->d)) == 0);
    }
    if (number == fraction) check_vector_parts(t, dots); /* NaN may have any bits */
    tear_down(t);
}

START_TEST(vectors) {
    static const int64_t length[] = {1,  2,  3,  5,   7,   8,   9,    15,   16,   17,
                                     31, 33, 64, 100, 257, 700, 1100, 1500, 2100, 4001};
    enum { LENGTHS = sizeof length / sizeof *length };
    trial t = {.unit = _i / 2, .d = dtypes[_i % 2]};
    unsigned turn = 0;
    if (!ag__has_unit(t.unit)) return;
    for (int64_t n = 1; n <= 40; n++)
        for (int i = 0; i < LENGTHS; i++)
            for (int column = 0; column < 2; column++, turn += 5) {
                const int64_t most = turn % 2 ? AG__DOT_F64 : AG__STRIP; /* dots, or lines */
                if ((n + i) % by_length(4, 3, 1) != 0) continue;
                t.m = column ? n : 1, t.n = column ? 1 : n, t.k = length[i] < most ? length[i] : most;
                check_vector(&t, turn, (n + i) % 5 ? fraction : odd_one);
            }
    for (int i = 0; i < 96; i++, turn++) { /* long lines */
        t.m = i % 3 ? 1 : 4100, t.n = i % 3 ? 2100 : 1, t.k = 1 + i * 13 % AG__ROWS_A_GROUP;
        check_vector(&t, turn, fraction);
    }
}
END_TEST

/* The four quarters of y, one after the other. */
static void multiply_quarters(const trial *t, int64_t row, int64_t column) {
    const int64_t bytes = (int64_t)ag_dtype_size(t->d);
    for (int quarter = 0; quarter < 4; quarter++) {
        const int64_t i = quarter / 2 ? row : 0, j = quarter % 2 ? column : 0;
        ag__product p = t->p;
        p.m = quarter / 2 ? p.m - row : row;
        p.n = quarter % 2 ? p.n - column : column;
        p.a = (const char *)p.a + i * p.a_row * bytes;
        p.b = (const char *)p.b + j * p.b_column * bytes;
        p.y = (char *)p.y + (i * p.y_row + j) * bytes;
        if (p.m > 0 && p.n > 0) ag__multiply_on(t->unit, &p);
    }
}

START_TEST(parts_have_the_bits_of_the_whole) {
    trial t = {.unit = _i / 2, .d = dtypes[_i % 2]};
    if (!ag__has_unit(t.unit)) return;
    for (unsigned turn = 0; turn < 2 * LAYOUTS * LAYOUTS; turn += (unsigned)by_length(19, 5, 1)) {
        const int s = (int)turn % LARGER;
        t.m = larger[s][0], t.n = larger[s][1], t.k = larger[s][2];
        vary(&t, turn);
        set_up(&t, fraction);
        const size_t bytes = (size_t)(t.m * (t.n + GAP) - GAP) * ag_dtype_size(t.d);
        void *whole = room((int64_t)bytes, 1);
        ag__multiply_on(t.unit, &t.p);
        memcpy(whole, t.y, bytes);
        memcpy(t.y, t.before, bytes);
        multiply_quarters(&t, t.m / 3, t.n / 2);
        ck_assert_msg(memcmp(whole, t.y, bytes) == 0, "%s %s, shape %d, layouts %d and %d: other bits in parts",
                      unit_name[t.unit], ag_dtype_name(t.d), s, t.layout[0], t.layout[1]);
        free(whole);
        tear_down(&t);
    }
}
END_TEST

START_TEST(there_is_a_kernel) {
    ck_assert(ag__has_unit(AG__BASELINE));
    ck_assert(!ag__has_unit(AG__UNITS));
    ck_assert(!ag__has_unit(-1));
}
END_TEST

/* The best kernels for the processor's features are chosen, whatever its vendor; an impossible choice is ignored. */
START_TEST(every_processor_has_its_best_kernels) {
    enum { AVX2 = AG__HAS_AVX2 | AG__HAS_FMA, AVX512 = AVX2 | AG__HAS_AVX512F };
    static const struct {
        unsigned features;
        const char *wish;
        int unit;
    } table[] = {{0, NULL, AG__BASELINE},         {AG__HAS_AVX2, NULL, AG__BASELINE}, {AG__HAS_FMA, NULL, AG__BASELINE},
                 {AVX2, NULL, AG__AVX2},          {AVX512, NULL, AG__AVX512},         {AVX512, "avx2", AG__AVX2},
                 {AVX512, "plain", AG__BASELINE}, {AVX512, "avx512", AG__AVX512},     {AVX2, "avx512", AG__AVX2},
                 {0, "avx2", AG__BASELINE},       {AVX2, "plain", AG__BASELINE},      {AVX512, "", AG__AVX512},
                 {AVX512, "0", AG__AVX512},       {AVX2, "AVX512", AG__AVX2},         {AVX2, "avx2 ", AG__AVX2},
                 {AVX512, "-1", AG__AVX512},      {AVX512, "generic", AG__AVX512}};
    if (ag__unit_of(AVX512, NULL) == AG__BASELINE) return; /* another architecture */
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        ck_assert_msg(ag__unit_of(table[i].features, table[i].wish) == table[i].unit, "%x and %s: %s",
                      table[i].features, table[i].wish ? table[i].wish : "no wish",
                      unit_name[ag__unit_of(table[i].features, table[i].wish)]);
}
END_TEST

/* ---- Long sums ---- */

/* Equal numbers are the hardest: every addition to a running sum is rounded the same way. The relative error is at
 * most `most`, for products of (m,k) and (k,n), transposed or not, in each way of computing them. */
static void check_long(ag_tape *to, int64_t m, int64_t k, int64_t n, double number, double most) {
    const ag_mark mark = ag_tape_mark(to);
    const double want = (double)(float)number * (double)k;
    for (int view = 0; view < 4; view++) {
        ag_tensor *a = ag_contiguous(ag_full(to, AG_F32, view & 1 ? AG_SHAPE(k, m) : AG_SHAPE(m, k), number));
        ag_tensor *b = ag_contiguous(ag_ones(to, AG_F32, view & 2 ? AG_SHAPE(n, k) : AG_SHAPE(k, n)));
        ag_tensor *y = ag_matmul(view & 1 ? ag_transpose(a, 0, 1) : a, view & 2 ? ag_transpose(b, 0, 1) : b);
        const float *got = ag_data(y);
        ck_assert_msg(got != NULL, "%s", ag_tape_error(to));
        for (int64_t i = 0; i < m * n; i++)
            if (!(fabs((double)got[i] / want - 1) <= most))
                ck_abort_msg("%.9g in (%d,%d)·(%d,%d), view %d: element %d is %.9g, not %.9g: off by %.2g", number,
                             (int)m, (int)k, (int)k, (int)n, view, (int)i, (double)got[i], want,
                             (double)got[i] / want - 1);
        ag_tape_rewind(to, mark);
    }
}

START_TEST(long_sums_are_right) {
    static const int64_t shape[][2] = {{1, 1}, {1, 2}, {1, 8}, {1, 20}, {5, 1}, {20, 1}, {3, 4}, {70, 66}};
    const int64_t *s = shape[_i];
    const int64_t longest = s[0] * s[1] > 1000 ? 9000 : small_run() ? 20000 : s[0] * s[1] > 8 ? 400000 : 5000000;
    for (int64_t k = 200; k <= longest; k = k * 5 + 1)
        for (int i = 0; i < 3; i++) check_long(tape, s[0], k, s[1], (double[]){0.1, 1.37, 1.999}[i], 1.01e-6);
}
END_TEST

/* A running f32 sum of ones stops at 2²⁴. */
START_TEST(the_longest_sum_is_right) {
    if (small_run()) return;
    const int64_t k = (1 << 25) + 5;
    ag_tensor *a = ag_contiguous(ag_ones(tape, AG_F32, AG_SHAPE(1, k)));
    ck_assert_double_eq(ag_item(ag_matmul(a, ag_transpose(a, 0, 1))), (double)(float)k);
}
END_TEST

/* Numbers of either sign against sums in f64. */
START_TEST(long_sums_of_scattered_numbers_are_right) {
    const int64_t k = small_run() ? 6000 : 70000, m = _i ? 1 : 9, n = 7;
    ag_tensor *a = scattered(tape, AG_F32, AG_SHAPE(m, k), 1), *b = scattered(tape, AG_F32, AG_SHAPE(k, n), 5);
    const float *p = ag_data(a), *q = ag_data(b), *y = ag_data(ag_matmul(a, b));
    ck_assert(p && q && y);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0, size = 0;
            for (int64_t l = 0; l < k; l++) {
                const double x = (double)p[i * k + l] * (double)q[l * n + j];
                sum += x;
                size += fabs(x);
            }
            if (!(fabs((double)y[i * n + j] - sum) <= 3e-7 * size)) ck_abort_msg("(%d,%d)", (int)i, (int)j);
        }
}
END_TEST

/* ---- Memory ---- */

/* Large products with memory refused from the k-th call on: an error, or the right product; and nothing else
 * changes. */
typedef struct refusing {
    int64_t left;
} refusing;

static void *refusing_resize(void *ctx, void *p, size_t old_bytes, size_t new_bytes) {
    refusing *r = ctx;
    if (new_bytes == 0) return free(p), NULL;
    if (r->left-- <= 0) return NULL;
    void *q = aligned_alloc(64, (new_bytes + 63) / 64 * 64);
    if (q && p) memcpy(q, p, old_bytes < new_bytes ? old_bytes : new_bytes), free(p);
    return q;
}

START_TEST(lacking_memory_is_an_error) {
    static const int64_t shape[][3] = {{200, 300, 210}, {200, 3700, 210}, {1, 600000, 2}};
    const int64_t m = shape[_i / 2][0], k = shape[_i / 2][1], n = shape[_i / 2][2];
    for (int64_t most = 0, done = 0; !done; most++) {
        refusing r = {1000000};
        ag_tape *t = ag_tape_new_with(&(ag_allocator){refusing_resize, &r});
        ck_assert_ptr_nonnull(t);
        ag_tape_set_threads(t, 1 + _i % 2);
        ag_tensor *a = ag_contiguous(ag_ones(t, AG_F32, AG_SHAPE(m, k))),
                  *b = ag_contiguous(ag_ones(t, AG_F32, AG_SHAPE(k, n)));
        ck_assert_int_eq(ag_eval(a), AG_OK);
        ck_assert_int_eq(ag_eval(b), AG_OK);
        ag_tensor *y = ag_matmul(a, b);
        r.left = most;
        const float *data = ag_data(y);
        done = data != NULL;
        if (data) ck_assert(data[0] == (float)k && data[m * n - 1] == (float)k);
        else ck_assert_int_eq(ag_tape_status(t), AG_ERR_MEMORY);
        ag_tape_free(t);
        ck_assert_int_lt((int)most, 100);
    }
}
END_TEST

/* ---- Accumulating into y ---- */

/* y = z + a·b, by matmul's kernel with `accumulate` set. */
static bool add_infer(ag_infer *r) {
    ag_infer inner = *r;
    inner.n = 2;
    if (!ag__op_matmul.infer(&inner)) return false;
    r->shape = inner.shape;
    return true;
}

static bool add_eval(const ag_call *call) {
    memcpy(call->y.data, call->x[2].data, (size_t)call->y.size * ag_dtype_size(call->y.dtype));
    ((ag_call *)(uintptr_t)call)->accumulate = true; /* the evaluator's own call, which is not constant */
    return ag__op_matmul.eval(call);
}

static const ag_op add_product = {.name = "add product",
                                  .kind = AG_KIND_CONTRACTION,
                                  .arity = 3,
                                  .flags = AG_OP_NOT_DIFFERENTIABLE,
                                  .infer = add_infer,
                                  .eval = add_eval};

static ag_tensor *integers(ag_tape *to, ag_dtype d, ag_shape shape, uint64_t first) {
    const int64_t n = shape_size(&shape);
    double *value = room(n, sizeof *value);
    for (int64_t i = 0; i < n; i++) value[i] = floor(scatter(first + (uint64_t)i) * 4);
    ag_tensor *x = tensor_of(to, d, shape, value);
    free(value);
    return x;
}

/* x as a view: unchanged, transposed, inside another, with steps, backwards. */
enum { VIEWS = 5 };

static ag_tensor *viewed(ag_tensor *x, int view) {
    const int64_t rows = ag_extent(x, -2), columns = ag_extent(x, -1);
    switch (view) {
    case 0: return x;
    case 1: return ag_transpose(ag_contiguous(ag_transpose(x, -1, -2)), -1, -2);
    case 2: {
        ag_tensor *wide = ag_embed(x, -1, columns + 7, 3, 1), *all = ag_embed(wide, -2, rows + 2, 1, 1);
        return ag_slice(ag_slice(ag_contiguous(all), -1, 3, 3 + columns, 1), -2, 1, 1 + rows, 1);
    }
    case 3: return ag_slice(ag_contiguous(ag_embed(x, -1, 2 * columns, 0, 2)), -1, 0, AG_END, 2);
    default: return ag_flip(ag_flip(ag_contiguous(ag_flip(ag_flip(x, -1), -2)), -1), -2);
    }
}

/* a·b, where b is (k,n). */
static double *product_of(ag_tensor *a, ag_tensor *b) {
    const int64_t k = ag_extent(a, -1), rows = ag_size(a) / k, n = ag_extent(b, -1);
    const ag_dtype d = ag_dtype_of(a);
    const void *p = ag_data(a), *q = ag_data(b);
    ck_assert_msg(p && q, "%s", ag_tape_error(tape));
    double *product = room(rows * n, sizeof *product), *row = room(k * n, sizeof *row);
    for (int64_t i = 0; i < k * n; i++) row[i] = element_at(d, q, i);
    for (int64_t i = 0; i < rows; i++) {
        double *sum = product + i * n;
        for (int64_t j = 0; j < n; j++) sum[j] = 0;
        for (int64_t l = 0; l < k; l++) {
            const double x = element_at(d, p, i * k + l);
            for (int64_t j = 0; j < n; j++) sum[j] += x * row[l * n + j];
        }
    }
    free(row);
    return product;
}

/* y = product + z. All are integers, so that every order gives the same sum. */
static void check_exactly(ag_tensor *y, const double *product, ag_tensor *z) {
    const int64_t n = ag_extent(y, -1);
    const ag_dtype d = ag_dtype_of(y);
    const void *got = ag_data(y), *old = z ? ag_data(z) : NULL;
    ck_assert_msg(got && !old == !z, "%s", ag_tape_error(tape));
    for (int64_t i = 0; i < ag_size(y); i++) {
        const double want = product[i] + (old ? element_at(d, old, i) : 0);
        if (element_at(d, got, i) != want)
            ck_abort_msg("%s, to %d columns: element (%d,%d) is %g, not %g", ag_dtype_name(d), (int)n, (int)(i / n),
                         (int)(i % n), element_at(d, got, i), want);
    }
}

static void check_product(ag_tensor *a, ag_tensor *b, ag_tensor *z, int view, const double *product) {
    ag_mark mark = ag_tape_mark(tape);
    ag_tensor *x[] = {viewed(a, view % VIEWS), viewed(b, view / VIEWS), z};
    check_exactly(ag_matmul(x[0], x[1]), product, NULL);
    check_exactly(ag_apply(&add_product, 3, x, NULL, 0), product, z);
    expect_ok(tape);
    ag_tape_rewind(tape, mark);
}

/* Sizes at which the way of computing changes: cubes, flat and tall ones, vectors. */
static const int64_t around[][3] = {
    {8, 8, 8},       {160, 160, 160}, {161, 160, 160}, {176, 176, 176}, {176, 177, 176}, {208, 208, 208},
    {208, 208, 209}, {256, 256, 256}, {257, 256, 256}, {24, 900, 800},  {25, 900, 800},  {900, 800, 24},
    {900, 800, 25},  {50, 40, 2100},  {1, 512, 1},     {1, 513, 1},     {1, 20, 25},     {1, 30, 40},
    {25, 20, 1},     {40, 30, 1},     {1, 1, 700},     {700, 1, 1},     {3, 1, 4},       {65, 300, 300},
    {64, 300, 300},  {300, 300, 65},  {1, 5000, 70},   {70, 5000, 1},   {66, 3600, 67},  {100, 7000, 80},
    {1, 9000, 2},    {2, 9000, 1},    {1, 100000, 1},  {1025, 4100, 1}, {1, 4100, 2049}};
enum { AROUND = sizeof around / sizeof *around };

START_TEST(around_the_sizes_where_kernels_change) {
    const int64_t *s = around[_i / 2];
    const bool large = s[0] * s[1] * s[2] > 1000000;
    if (small_run() && large) return;
    const ag_dtype d = dtypes[_i % 2];
    ag_tensor *a = integers(tape, d, AG_SHAPE(s[0], s[1]), 0), *b = integers(tape, d, AG_SHAPE(s[1], s[2]), 99);
    ag_tensor *z = integers(tape, d, AG_SHAPE(s[0], s[2]), 5);
    double *product = product_of(a, b);
    for (int view = 0; view < VIEWS * VIEWS; view += large ? 12 : (int)by_length(5, 2, 1))
        check_product(a, b, z, view, product);
    free(product);
}
END_TEST

START_TEST(batches) {
    const ag_dtype d = dtypes[_i % 2];
    const int64_t m = _i / 2 ? 40 : 9, k = _i / 2 ? 70 : 11, n = _i / 2 ? 50 : 10, few = 3, more = 2;
    ag_tensor *a = integers(tape, d, AG_SHAPE(few, more, m, k), 3), *one = integers(tape, d, AG_SHAPE(k, n), 8);
    ag_tensor *many = ag_broadcast_to(one, AG_SHAPE(few, more, k, n));
    ag_tensor *z = ag_contiguous(integers(tape, d, AG_SHAPE(few, more, m, n), 1));
    double *product = product_of(a, one);
    for (int view = 0; view < VIEWS * VIEWS; view++) { /* b shared, and b with a matrix for each */
        ag_tensor *shared = ag_broadcast_to(viewed(one, view / VIEWS), AG_SHAPE(few, more, k, n));
        ag_tensor *shown =
            ag_permute(viewed(ag_contiguous(ag_permute(a, AG_AXES(1, 0, 2, 3))), view % VIEWS), AG_AXES(1, 0, 2, 3));
        ag_tensor *x[] = {shown, shared, z}, *y[] = {shown, viewed(ag_contiguous(many), view / VIEWS), z};
        check_exactly(ag_matmul(x[0], x[1]), product, NULL);
        check_exactly(ag_matmul(y[0], y[1]), product, NULL);
        check_exactly(ag_apply(&add_product, 3, x, NULL, 0), product, z);
        check_exactly(ag_apply(&add_product, 3, y, NULL, 0), product, z);
    }
    free(product);
    expect_ok(tape);
}
END_TEST

/* Small products are computed many at a time: with the bits that each has by itself, below and above all limits. Bits
 * are compared since the numbers are no whole ones. */
START_TEST(products_of_a_batch_have_the_bits_of_each) {
    enum { FEW = 2, LINE = AG__SMALL_SUM + 5 }; /* more than are copied at a time */
    static const int64_t sizes[][3] = {{1, 1, 1},
                                       {2, 3, 2},
                                       {4, 4, 4},
                                       {8, 8, 8},
                                       {8, 9, 8},
                                       {3, AG__SMALL_SUM, 1},
                                       {3, AG__SMALL_SUM + 1, 1},
                                       {2, 5, 8},
                                       {2, 5, 9},
                                       {2, 3, 4},
                                       {2, 2, 5},
                                       {3, 3, 16},
                                       {2, 2, 17},
                                       {2, 3, 32},
                                       {2, 2, 33},
                                       {5, 3, 7},
                                       {13, 4, 2},
                                       {1, 5, 6},
                                       {7, 6, 1},
                                       {1, 30, 1},
                                       {12, 1, 1}};
    const ag_dtype d = dtypes[_i % 2];
    const size_t each = ag_dtype_size(d);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int view = _i / 2; view < VIEWS * VIEWS; view += (int)by_length(6, 2, 2)) {
            const int64_t m = sizes[s][0], k = sizes[s][1], n = sizes[s][2];
            ag_mark mark = ag_tape_mark(tape);
            ag_tensor *a = viewed(scattered(tape, d, AG_SHAPE(FEW, LINE, m, k), 3), view % VIEWS);
            ag_tensor *b = viewed(scattered(tape, d, AG_SHAPE(LINE, k, n), 8), view / VIEWS);
            ag_tensor *z = scattered(tape, d, AG_SHAPE(FEW, LINE, m, n), 1);
            if (view % 3 == 1) a = ag_flip(a, 1);
            if (view % 3 == 2) b = ag_broadcast_to(ag_slice(b, 0, 0, 1, 1), AG_SHAPE(LINE, k, n));
            b = ag_broadcast_to(b, AG_SHAPE(FEW, LINE, k, n));
            const char *y = ag_data(ag_matmul(a, b)),
                       *sum = ag_data(ag_apply(&add_product, 3, (ag_tensor *[]){a, b, z}, NULL, 0));
            ck_assert_msg(y && sum, "%s", ag_tape_error(tape));
            for (int64_t i = 0; i < FEW; i++)
                for (int64_t j = 0; j < LINE; j += j == 3 ? LINE - 7 : 1) {
                    ag_tensor *x[] = {a, b, z};
                    for (int l = 0; l < 3; l++)
                        x[l] = ag_squeeze(ag_slice(ag_slice(x[l], 0, i, i + 1, 1), 1, j, j + 1, 1), AG_AXES(0, 1));
                    const size_t bytes = (size_t)(m * n) * each, at = (size_t)(i * LINE + j) * bytes;
                    ck_assert_msg(memcmp(y + at, ag_data(ag_matmul(x[0], x[1])), bytes) == 0 &&
                                      memcmp(sum + at, ag_data(ag_apply(&add_product, 3, x, NULL, 0)), bytes) == 0,
                                  "(%d,%d) of %dx%dx%d, view %d", (int)i, (int)j, (int)m, (int)k, (int)n, view);
                }
            ag_tape_rewind(tape, mark);
        }
}
END_TEST

START_TEST(nothing_to_sum) {
    for (int i = 0; i < 2; i++) {
        ag_tensor *a = ag_zeros(tape, dtypes[i], AG_SHAPE(2, 0)), *b = ag_zeros(tape, dtypes[i], AG_SHAPE(0, 3));
        ag_tensor *z = tensor_of(tape, dtypes[i], AG_SHAPE(2, 3), (double[]){1, 2, 3, 4, NAN, 6}), *x[] = {a, b, z};
        expect_list(ag_matmul(a, b), 0, 0, 0, 0, 0, 0);
        expect_list(ag_apply(&add_product, 3, x, NULL, 0), 1, 2, 3, 4, NAN, 6);
    }
    ck_assert_uint_eq(ag__op_matmul.flags, AG_OP_HIDES_NOTHING | AG_OP_ACCUMULATES);
}
END_TEST

/* Without accumulation the old y has no influence, even NaN. */
START_TEST(old_values_do_not_show) {
    for (int i = 0; i < 2; i++)
        for (int64_t n = 4; n <= 300; n += 148) {
            ag_mark mark = ag_tape_mark(tape);
            ag_item(ag_sum(ag_full(tape, dtypes[i], AG_SHAPE(n, n), NAN)));
            ag_tape_rewind(tape, mark);
            ag_tensor *ones = ag_ones(tape, dtypes[i], AG_SHAPE(n, n)), *y = ag_matmul(ones, ones);
            ck_assert_double_eq(ag_item(ag_max(y)), (double)n);
            ck_assert_double_eq(ag_item(ag_min(y)), (double)n);
        }
}
END_TEST

/* ---- Threads ---- */

typedef struct job {
    int64_t batch, m, k, n;
    int view;
    bool add;
} job;

static const job jobs[] = {{1, 40, 41, 42, 0, false},     {1, 150, 300, 100, 1, true}, {1, 100, 300, 150, 5, false},
                           {1, 300, 140, 101, 6, true},   {1, 255, 251, 253, 5, true}, {1, 700, 400, 20, 0, false},
                           {1, 20, 500, 900, 0, true},    {1, 290, 300, 310, 6, true}, {1, 3000, 900, 1, 0, true},
                           {1, 1, 900, 3000, 5, false},   {5, 130, 129, 131, 0, true}, {2, 170, 160, 150, 5, true},
                           {200, 32, 64, 33, 7, true},    {9000, 5, 7, 8, 7, true},    {3, 300, 280, 300, 1, false},
                           {1, 1, 4000, 1000, 0, true},   {1, 97, 7500, 90, 0, true},  {1, 1, 40000, 9, 0, false},
                           {3, 121, 3500, 75, 1, true},   {1, 1, 600000, 1, 0, true},  {1, 1, 500000, 1, 18, false},
                           {1, 3, 1, 1, 0, false},        {1, 1, 90000, 20, 0, true},  {2, 20, 70000, 1, 15, true},
                           {1, 1, 41000, 41, 20, true},   {1, 25, 90001, 1, 10, true}, {1, 300, 2000, 1, 3, true},
                           {1, 1009, 1000, 1013, 5, true}};
enum { JOBS = sizeof jobs / sizeof *jobs };

static void *bits_of(const job *j, ag_dtype d, int threads, size_t *bytes) {
    ag_tape *t = ag_tape_new();
    ck_assert_int_eq(ag_tape_set_threads(t, threads), threads);
    ag_tensor *a = scattered(t, d, AG_SHAPE(j->batch, j->m, j->k), 0), *b = scattered(t, d, AG_SHAPE(j->k, j->n), 9);
    ag_tensor *z = scattered(t, d, AG_SHAPE(j->batch, j->m, j->n), 4), *every = viewed(b, j->view / VIEWS);
    every = ag_broadcast_to(every, AG_SHAPE(j->batch, j->k, j->n));
    ag_tensor *x[] = {ag_scale(viewed(a, j->view % VIEWS), 1. / 3), every, z};
    x[0] = viewed(ag_contiguous(x[0]), j->view % VIEWS);
    ag_tensor *y = j->add ? ag_apply(&add_product, 3, x, NULL, 0) : ag_matmul(x[0], x[1]);
    const void *data = ag_data(y);
    ck_assert_msg(data != NULL, "%s", ag_tape_error(t));
    *bytes = (size_t)ag_size(y) * ag_dtype_size(d);
    void *copy = room((int64_t)*bytes, 1);
    memcpy(copy, data, *bytes);
    ag_tape_free(t);
    return copy;
}

START_TEST(threads_change_no_bit) {
    const job *j = &jobs[_i / 2];
    size_t bytes;
    if (small_run() && j->batch * j->m * j->k * j->n > 3000000) return;
    void *one = bits_of(j, dtypes[_i % 2], 1, &bytes);
    for (int threads = 2; threads <= 3; threads++) {
        void *several = bits_of(j, dtypes[_i % 2], threads, &bytes);
        ck_assert_msg(memcmp(one, several, bytes) == 0, "job %d, %s: other bits on %d threads", _i / 2,
                      ag_dtype_name(dtypes[_i % 2]), threads);
        free(several);
    }
    free(one);
}
END_TEST

/* ---- BLIS ---- */

#if AG_HAVE_BLIS
enum { LARGE_SIDE = AG__LIMIT(1000, 12) }; /* BLIS computes cubes from this side on */

/* BLIS and our kernels: whole, and in parts, the last with one row or column. */
START_TEST(products_by_blis) {
    trial t = {.d = AG_F64, .add = _i / 4, .m = LARGE_SIDE + 1, .n = LARGE_SIDE + 1, .k = LARGE_SIDE};
    if (small_run() && !AG_TINY_LIMITS) return;
    t.layout[0] = _i % 4;
    t.layout[1] = (_i + _i / 4) % 4;
    set_up(&t, fraction);
    const size_t bytes = (size_t)(t.m * (t.n + GAP) - GAP) * sizeof(double);
    double *whole = room((int64_t)bytes, 1);
    ck_assert(ag__blis_takes(&t.p, 1));
    ag__multiply(&t.p, AG__BY_BLIS, NULL);
    memcpy(whole, t.y, bytes);
    memcpy(t.y, t.before, bytes);
    for (int part = 0; part < 4; part++) {
        const bool low = part / 2, right = part % 2;
        const ag__product p =
            ag__part_of(&t.p, low ? t.m - 1 : 0, low ? 1 : t.m - 1, right ? t.n - 1 : 0, right ? 1 : t.n - 1);
        ag__multiply(&p, AG__BY_BLIS, NULL);
    }
    ck_assert_msg(memcmp(whole, t.y, bytes) == 0, "layouts %d and %d: other bits in parts", t.layout[0], t.layout[1]);
    memcpy(t.y, t.before, bytes);
    ag__multiply_on(AG__BASELINE, &t.p);
    for (int64_t i = 0; i < t.m; i++)
        for (int64_t j = 0; j < t.n; j++) {
            const int64_t at = i * (t.n + GAP) + j;
            if (!(fabs(whole[at] - ((double *)t.y)[at]) <= 1e-12 * LARGE_SIDE))
                wrong(&t, i, j, whole[at], ((double *)t.y)[at]);
        }
    free(whole);
    tear_down(&t);
}
END_TEST

/* Large products of f64 whose operands are contiguous along an axis and do not overlap; no others. */
START_TEST(what_blis_takes) {
    enum { N = LARGE_SIDE };
    static const struct {
        ag_dtype d;
        int64_t m, n, k, a_row, a_column, b_row, b_column;
        bool taken;
    } table[] = {{AG_F64, N, N, N, N, 1, N, 1, true},      {AG_F64, N, N, N, 1, N, 1, N + 3, true},
                 {AG_F32, N, N, N, N, 1, N, 1, false},     {AG_F64, N, N, N, N - 1, 1, N, 1, false},
                 {AG_F64, N, N, N, N, 1, 1, N - 1, false}, {AG_F64, N, N, N, 0, 1, N, 1, false},
                 {AG_F64, N, N, N, N, 1, 0, 0, false},     {AG_F64, N, N, N, 2 * N, 2, N, 1, false},
                 {AG_F64, N, N, N, N, 1, -N, -1, false},   {AG_F64, 2, N * N, N, N, 1, N * N, 1, false},
                 {AG_F64, N * N, N, 2, 2, 1, N, 1, false}, {AG_F64, N / 2, N / 2, N / 2, N, 1, N, 1, false}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        ag__product p = {.dtype = table[i].d, .m = table[i].m, .n = table[i].n, .k = table[i].k, .y_row = table[i].n};
        p.a_row = table[i].a_row, p.a_column = table[i].a_column;
        p.b_row = table[i].b_row, p.b_column = table[i].b_column;
        ck_assert_msg(ag__blis_takes(&p, 1) == table[i].taken, "row %d", (int)i);
    }
}
END_TEST

/* BLIS_ARCH_TYPE is a name or number, if BLIS has the kernels and they run here; else the best run. BLIS itself would end the process. */
START_TEST(kernels_of_blis) {
    static const char *const none[] = {"",     " ",   "x",      "-1", "99", "4294967296", "99999999999999999999",
                                       "skx ", "1e0", "power9", "bgq"};
    const int best = ag__blis_kernels(NULL);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) ck_assert_int_eq(ag__blis_kernels(none[i]), best);
    if (!ag__has_unit(AG__AVX2)) return;
    ck_assert_int_ge(best, 0);
    const int haswell = ag__blis_kernels("haswell");
    ck_assert_int_ge(haswell, 0);
    ck_assert_int_eq(ag__blis_kernels((char[]){(char)('0' + haswell / 10), (char)('0' + haswell % 10), 0}), haswell);
    ck_assert_int_ne(ag__blis_kernels("generic"), best);
    if (!ag__has_unit(AG__AVX512)) ck_assert_int_eq(ag__blis_kernels("skx"), best);
}
END_TEST

static ag_status large_product(ag_tape *t, int threads) {
    const int64_t n = LARGE_SIDE;
    ag_tape_set_threads(t, threads);
    ag_tensor *a = ag_contiguous(ag_ones(t, AG_F64, AG_SHAPE(n, n)));
    const double least = ag_item(ag_min(ag_matmul(a, a)));
    return ag_tape_status(t) == AG_OK && least != (double)n ? AG_ERR_RANGE : ag_tape_status(t);
}

/* The user's environment variable is restored. */
START_TEST(wrong_kernels_for_blis) {
    static const char *const wish[] = {"99", "-1", "no such kernels", "power9", "generic", "haswell"};
    setenv("BLIS_ARCH_TYPE", wish[_i], 1);
    ck_assert_int_eq(large_product(tape, 1), AG_OK);
    ck_assert_str_eq(getenv("BLIS_ARCH_TYPE"), wish[_i]);
    unsetenv("BLIS_ARCH_TYPE");
}
END_TEST

/* The limit on the address space grows, so that memory is refused everywhere in turn: an error, or the product. */
static void multiply_in(int64_t more) {
    ag_tape *t = ag_tape_new();
    struct rlimit limit;
    long pages = 0;
    FILE *sizes = fopen("/proc/self/statm", "r");
    if (!t || !sizes || fscanf(sizes, "%ld", &pages) != 1) _exit(2);
    fclose(sizes);
    limit.rlim_cur = limit.rlim_max = (rlim_t)(pages * sysconf(_SC_PAGESIZE) + more);
    if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(2);
    const ag_status status = large_product(t, 2);
    _exit(status == AG_OK || status == AG_ERR_MEMORY ? 0 : 1);
}

START_TEST(memory_that_blis_would_lack) {
    if (small_run() || under_asan() || AG_TINY_LIMITS) return;
    for (int64_t more = 0; more < 100 << 20; more += 3 << 20) {
        const pid_t child = begin_child();
        if (child == 0) multiply_in(more);
        end_child(child);
    }
}
END_TEST
#endif

int main(void) {
    Suite *suite = suite_create("matmul");
    TCase *kernels = plain_group(suite, "kernels"), *products = tape_group(suite, "products");
    tcase_add_test(kernels, there_is_a_kernel);
    tcase_add_test(kernels, every_processor_has_its_best_kernels);
    tcase_add_loop_test(kernels, packed_products_have_the_same_bits, 0, 2 * AG__UNITS);
    tcase_add_loop_test(kernels, every_small_shape, 0, 2 * AG__UNITS);
    tcase_add_loop_test(kernels, larger_shapes, 0, 2 * AG__UNITS);
    tcase_add_loop_test(kernels, infinities_and_nan, 0, 2 * AG__UNITS);
    tcase_add_loop_test(kernels, vectors, 0, 2 * AG__UNITS);
    tcase_add_loop_test(kernels, parts_have_the_bits_of_the_whole, 0, 2 * AG__UNITS);
    tcase_add_loop_test(products, around_the_sizes_where_kernels_change, 0, 2 * AROUND);
    tcase_add_loop_test(products, batches, 0, 4);
    tcase_add_loop_test(products, long_sums_are_right, 0, 8);
    tcase_add_test(products, the_longest_sum_is_right);
    tcase_add_loop_test(products, long_sums_of_scattered_numbers_are_right, 0, 2);
    tcase_add_loop_test(plain_group(suite, "memory"), lacking_memory_is_an_error, 0, 6);
    tcase_add_loop_test(products, products_of_a_batch_have_the_bits_of_each, 0, 4);
    tcase_add_test(products, nothing_to_sum);
    tcase_add_test(products, old_values_do_not_show);
    tcase_add_loop_test(plain_group(suite, "threads"), threads_change_no_bit, 0, 2 * JOBS);
#if AG_HAVE_BLIS
    TCase *blis = tape_group(suite, "blis");
    tcase_add_loop_test(blis, wrong_kernels_for_blis, 0, 6);
    tcase_add_test(blis, memory_that_blis_would_lack);
    tcase_add_test(blis, kernels_of_blis);
    tcase_add_test(blis, what_blis_takes);
    tcase_add_loop_test(blis, products_by_blis, 0, 8);
#endif
    return run_suite(suite);
}
