/* test_linalg -- products by their names, and einsum against plain loops
 *
 * What a single case states is in cases_linalg.c. */
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- einsum against plain loops ---- */

enum { MOST_OPERANDS = 9, MOST_ELEMENTS = 200000 };

/* A program of einsum: its operands' labels are 0 to 5, written as letters, or axes of "..." as 6 and up. */
typedef struct spec {
    int n, rank[MOST_OPERANDS], label[MOST_OPERANDS][AG_MAX_RANK];
    int out_rank, out[AG_MAX_RANK];
    int64_t extent[16], shape[MOST_OPERANDS][AG_MAX_RANK];
    bool dots, implied;
    char text[160];
} spec;

enum { LABELS = 6, FIRST_DOT = 6, DOTS = 2 };

static uint64_t state;

static int draw(int n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int)((state >> 33) % (uint64_t)n);
}

static char letter(int label) { return "bBxAzQ"[label]; }

static void write_labels(char **at, int rank, const int label[]) {
    bool dotted = false;
    for (int i = 0; i < rank; i++) {
        if (draw(8) == 0) *(*at)++ = ' ';
        if (label[i] < FIRST_DOT) *(*at)++ = letter(label[i]);
        else if (!dotted) *at += sprintf(*at, "..."), dotted = true;
    }
}

/* Letters, with "..." among them for the last `dots` of the two axes that it stands for. */
static int draw_labels(int label[AG_MAX_RANK], int letters, int dots) {
    int rank = 0, at = draw(letters + 1);
    for (int i = 0; i <= letters; i++) {
        for (int d = 0; i == at && d < dots; d++) label[rank++] = FIRST_DOT + DOTS - dots + d;
        if (i < letters) label[rank++] = draw(LABELS);
    }
    return rank;
}

/* The number of times that a letter occurs in the operands. */
static int uses(const spec *s, int label) {
    int n = 0;
    for (int k = 0; k < s->n; k++)
        for (int i = 0; i < s->rank[k]; i++) n += s->label[k][i] == label;
    return n;
}

static void draw_output(spec *s, int dots) {
    s->out_rank = 0;
    if (s->implied) {
        for (int d = DOTS - dots; d < DOTS; d++) s->out[s->out_rank++] = FIRST_DOT + d;
        for (char c = 'A'; c <= 'z'; c++)
            for (int label = 0; label < LABELS; label++)
                if (letter(label) == c && uses(s, label) == 1) s->out[s->out_rank++] = label;
        return;
    }
    const int at = draw(3);
    for (int i = 0, start = draw(LABELS); i < LABELS; i++) {
        const int label = (start + 5 * i) % LABELS;
        for (int d = DOTS - dots; i == at && d < DOTS; d++) s->out[s->out_rank++] = FIRST_DOT + d;
        if (uses(s, label) > 0 && draw(2) && s->out_rank + dots < AG_MAX_RANK - 2) s->out[s->out_rank++] = label;
    }
}

static void draw_spec(spec *s) {
    int dots = 0;
    *s = (spec){.n = 1 + draw(draw(6) ? 4 : MOST_OPERANDS), .implied = draw(3) == 0, .dots = draw(3) == 0};
    for (int i = 0; i < FIRST_DOT + DOTS; i++) s->extent[i] = draw(12) == 0 ? 1 : draw(40) == 0 ? 0 : 1 + draw(3);
    for (int k = 0; k < s->n; k++) {
        const int own = s->dots ? draw(DOTS + 1) : 0;
        s->rank[k] = draw_labels(s->label[k], draw(s->n > 4 ? 3 : 4), own);
        if (own > dots) dots = own;
    }
    draw_output(s, dots);
    char *at = s->text;
    for (int k = 0; k < s->n; k++) {
        if (k > 0) *at++ = ',';
        write_labels(&at, s->rank[k], s->label[k]);
    }
    if (!s->implied) {
        at += sprintf(at, "->");
        write_labels(&at, s->out_rank, s->out);
    }
    *at = 0;
    for (int k = 0; k < s->n; k++)
        for (int i = 0; i < s->rank[k]; i++) {
            int once = 0;
            for (int j = 0; j < s->rank[k]; j++) once += s->label[k][j] == s->label[k][i];
            const bool one = once == 1 && draw(10) == 0;
            s->shape[k][i] = one ? 1 : s->extent[s->label[k][i]];
        }
}

/* The extent of a label is 1 if it is so in every operand. */
static void settle_extents(spec *s) {
    for (int label = 0; label < FIRST_DOT + DOTS; label++) {
        s->extent[label] = 1;
        for (int k = 0; k < s->n; k++)
            for (int i = 0; i < s->rank[k]; i++)
                if (s->label[k][i] == label && s->shape[k][i] != 1) s->extent[label] = s->shape[k][i];
    }
}

static int64_t places(const spec *s, int labels[], int *count) {
    int64_t n = 1;
    *count = 0;
    for (int label = 0; label < FIRST_DOT + DOTS; label++) {
        if (uses(s, label) == 0) continue;
        labels[(*count)++] = label;
        n *= s->extent[label];
    }
    return n;
}

/* The result, and the sum of the magnitudes of its terms, by a loop over all values of all labels. */
static void oracle(const spec *s, const double *x[], double *y, double *magnitude) {
    int labels[16], count;
    const int64_t all = places(s, labels, &count);
    for (int64_t p = 0; p < all; p++) {
        int64_t index[16] = {0}, rest = p, to = 0;
        double product = 1;
        for (int i = count - 1; i >= 0; i--)
            index[labels[i]] = rest % s->extent[labels[i]], rest /= s->extent[labels[i]];
        for (int k = 0; k < s->n; k++) {
            int64_t at = 0;
            for (int i = 0; i < s->rank[k]; i++)
                at = at * s->shape[k][i] + (s->shape[k][i] == 1 ? 0 : index[s->label[k][i]]);
            product *= x[k][at];
        }
        for (int i = 0; i < s->out_rank; i++) to = to * s->extent[s->out[i]] + index[s->out[i]];
        y[to] += product;
        magnitude[to] += fabs(product);
    }
}

static void compare_with_oracle(spec *s, uint64_t seed) {
    static double y[MOST_ELEMENTS], magnitude[MOST_ELEMENTS];
    const double *values[MOST_OPERANDS];
    ag_tensor *x[MOST_OPERANDS];
    int labels[16], count;
    settle_extents(s);
    if (places(s, labels, &count) > MOST_ELEMENTS) return;
    for (int k = 0; k < s->n; k++) {
        ag_shape shape = {.rank = s->rank[k]};
        memcpy(shape.extent, s->shape[k], sizeof shape.extent);
        x[k] = scattered(tape, AG_F64, shape, seed * 1000 + 100 * (uint64_t)k);
        if (s->rank[k] >= 2 && draw(3) == 0) x[k] = ag_transpose(ag_contiguous(ag_transpose(x[k], 0, -1)), 0, -1);
        values[k] = ag_data(ag_contiguous(x[k]));
    }
    ag_tensor *got = ag_einsum(s->text, s->n, x);
    const double *data = ag_data(got);
    if (!data && strstr(ag_tape_error(tape), "intermediate result")) { /* only many operands can need it */
        ck_assert_msg(s->n > 2, "%s: %s", s->text, ag_tape_error(tape));
        ag_clear_error(tape);
        return;
    }
    ck_assert_msg(data || ag_size(got) == 0, "seed %d, %s: %s", (int)seed, s->text, ag_tape_error(tape));
    int64_t size = 1;
    ck_assert_msg(ag_rank(got) == s->out_rank, "%s: %d axes", s->text, ag_rank(got));
    for (int i = 0; i < s->out_rank; i++) {
        ck_assert_msg(ag_extent(got, i) == s->extent[s->out[i]], "%s: axis %d", s->text, i);
        size *= ag_extent(got, i);
    }
    memset(y, 0, (size_t)size * sizeof *y);
    memset(magnitude, 0, (size_t)size * sizeof *y);
    if (size > 0) oracle(s, values, y, magnitude);
    for (int64_t i = 0; i < size; i++)
        ck_assert_msg(fabs(data[i] - y[i]) <= 1e-13 * magnitude[i], "seed %d, %s: element %d is %g, not %g", (int)seed,
                      s->text, (int)i, data[i], y[i]);
}

START_TEST(einsum_is_a_sum_over_all_indices) {
    const int programs = small_run() ? 150 : 1500;
    for (int i = 0; i < programs; i++) {
        const ag_mark mark = ag_tape_mark(tape);
        spec s;
        state = (uint64_t)i * 77 + 5;
        draw_spec(&s);
        compare_with_oracle(&s, (uint64_t)i);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* ---- einsum: errors ---- */

typedef struct bad {
    const char *text, *message;
    int n, rank[3];
    int64_t extent[3][3];
    ag_status status;
} bad;

static const bad bads[] = {
    {"ij;jk",
     "einsum: x f32 (2,3): neither a letter nor \"...\" nor a comma nor \"->\" at character 3 of \"ij;jk\"",
     1,
     {2},
     {{2, 3}},
     AG_ERR_SHAPE},
    {"i1",
     "neither a letter nor \"...\" nor a comma nor \"->\" at character 2 of \"i1\"",
     1,
     {2},
     {{2, 3}},
     AG_ERR_SHAPE},
    {"ij-", "at character 3 of", 1, {2}, {{2, 3}}, AG_ERR_SHAPE},
    {"ij->ij->i", "something is behind the result at character 7", 1, {2}, {{2, 3}}, AG_ERR_SHAPE},
    {"ij->i,j", "something is behind the result at character 6", 1, {2}, {{2, 3}}, AG_ERR_SHAPE},
    {"i..j", "\"...\" is incomplete at character 2", 1, {2}, {{2, 3}}, AG_ERR_SHAPE},
    {"...i...", "\"...\" is there twice at character 5", 1, {2}, {{2, 3}}, AG_ERR_SHAPE},
    {"ij", "an operand is missing at character 3", 2, {2, 2}, {{2, 3}, {3, 2}}, AG_ERR_SHAPE},
    {"ij,jk,kl", "there are more operands than tensors at character 6", 2, {2, 2}, {{2, 3}, {3, 2}}, AG_ERR_SHAPE},
    {"ij,jk", "j has 4 elements at character 4 of \"ij,jk\", and 3 before", 2, {2, 2}, {{2, 3}, {4, 5}}, AG_ERR_SHAPE},
    {"ii", "i has 3 elements at character 2 of \"ii\", and 2 before", 1, {2}, {{2, 3}}, AG_ERR_SHAPE},
    {"ii,i", "i has 3 elements at character 2 of \"ii,i\", and 1 before", 2, {2, 1}, {{1, 3}, {3}}, AG_ERR_SHAPE},
    {"...i,...i",
     "\"...\" has 4 elements at character 6 of \"...i,...i\", and 2 before",
     2,
     {2, 2},
     {{2, 3}, {4, 3}},
     AG_ERR_SHAPE},
    {"ijk", "operand 0 has 2 axes, and 3 letters from character 1 of \"ijk\" on", 1, {2}, {{2, 3}}, AG_ERR_SHAPE},
    {"i j k ...", "operand 0 has 2 axes, and 3 letters from character 1", 1, {2}, {{2, 3}}, AG_ERR_SHAPE},
    {"ij, k", "operand 1 has 2 axes, and 1 letters from character 5", 2, {2, 2}, {{2, 3}, {4, 5}}, AG_ERR_SHAPE},
    {"ij->ik", "no operand has the result's k at character 6", 1, {2}, {{2, 3}}, AG_ERR_SHAPE},
    {"ij->jj", "the result has twice j at character 6", 1, {2}, {{2, 3}}, AG_ERR_SHAPE},
    {"...j->j", "the result lacks the axes of \"...\" at character 7", 1, {2}, {{2, 3}}, AG_ERR_SHAPE},
    {"abcdefghi", "more than 8 axes at character 9", 1, {2}, {{2, 3}}, AG_ERR_SHAPE},
    {"ij\x01", "at character 3 of \"ij?\"", 1, {2}, {{2, 3}}, AG_ERR_SHAPE},
    {"abc,def,ghi",
     "the result would have more than 8 axes",
     3,
     {3, 3, 3},
     {{1, 1, 1}, {1, 1, 1}, {1, 1, 1}},
     AG_ERR_SHAPE},
    {NULL, "the text is NULL", 1, {2}, {{2, 3}}, AG_ERR_NULL},
};

START_TEST(einsum_says_where_the_text_is_wrong) {
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        const bad *b = &bads[i];
        ag_tensor *x[3];
        for (int k = 0; k < b->n; k++) {
            ag_shape shape = {.rank = b->rank[k]};
            memcpy(shape.extent, b->extent[k], sizeof b->extent[k]);
            x[k] = scattered(tape, AG_F32, shape, 1);
        }
        ck_assert(ag_is_nil(ag_einsum(b->text, b->n, x)));
        expecting(b->text ? b->text : "NULL");
        expect_error(tape, b->status, "einsum: ", b->message, "test_linalg.c:");
    }
    expecting("");
    ag_tensor *x[40], *y[2] = {scattered(tape, AG_F32, AG_SHAPE(2), 1), scattered(tape, AG_F64, AG_SHAPE(2), 1)};
    for (int i = 0; i < 40; i++) x[i] = y[0];
    ag_einsum("i,i", 2, y);
    expect_error(tape, AG_ERR_DTYPE, "einsum: ", "all must be i64, f32 or f64, and the same");
    y[0] = ag_less(y[1], y[1]);
    ag_einsum("i->", 1, y);
    expect_error(tape, AG_ERR_DTYPE, "einsum: ", "all must be i64, f32 or f64, and the same");
    ck_assert(ag_is_nil(ag_einsum("i", 0, x)) && ag_is_nil(ag_einsum("i", 33, x)) &&
              ag_is_nil(ag_einsum("i", 1, NULL)));
    ag_tensor *wide[2];
    for (int i = 0; i < 2; i++) wide[i] = scattered(tape, AG_F64, AG_SHAPE(1, 1, 1, 1, 1, 1, 1, 1), 1);
    expect_ok(tape);
    ag_einsum("abcdefgh,ijklmnop->", 2, wide);
    expect_ok(tape);
    ag_einsum("abcdefgh,ijklmnop->ai", 2, wide);
    expect_ok(tape);
    wide[0] = scattered(tape, AG_I64, AG_SHAPE(1, 1, 1, 1, 2, 2, 2, 2), 1);
    wide[1] = wide[0];
    ag_einsum("abcdefgh,ijkmefgh->abcdijkm", 2, wide);
    expect_error(tape, AG_ERR_SHAPE,
                 "einsum: ", "\"abcdefgh,ijkmefgh->abcdijkm\" needs an intermediate result of more than 8 axes");
}
END_TEST

/* The elements of the largest product that y is computed from. */
static int64_t largest_product_below(ag_tensor *y) {
    ag_tensor *stack[200];
    int64_t largest = 0;
    int depth = 0;
    stack[depth++] = y;
    while (depth > 0) {
        ag_tensor *t = stack[--depth];
        for (int i = 0; i < ag_inputs(t); i++) stack[depth++] = ag_input(t, i);
        if (t != y && strcmp(ag_op_of(t)->name, "tensordot") == 0 && ag_size(t) > largest) largest = ag_size(t);
    }
    return largest;
}

/* A chain of matrices that is cheap in one order only: (1,n)·(n,n)·(n,n)… from the left. */
START_TEST(einsum_takes_the_cheap_order) {
    ag_tensor *x[8] = {scattered(tape, AG_F64, AG_SHAPE(1, 40), 1)};
    for (int i = 1; i < 8; i++) x[i] = scattered(tape, AG_F64, AG_SHAPE(40, 40), (uint64_t)i * 1600);
    for (int n = 3; n <= 8; n++) {
        char text[64], *at = text;
        for (int i = n - 1; i >= 0; i--) at += sprintf(at, "%s%c%c", i < n - 1 ? "," : "", 'a' + i, 'b' + i);
        sprintf(at, "->a%c", 'a' + n);
        ag_tensor *reversed[8], *y;
        for (int i = 0; i < n; i++) reversed[i] = x[n - 1 - i];
        y = ag_einsum(text, n, reversed);
        const int64_t largest = largest_product_below(y);
        ck_assert_msg(largest == 40, "%s: an intermediate result of %d elements", text, (int)largest);
    }
}
END_TEST

/* ---- The other products ---- */

START_TEST(wrong_products) {
    ag_tensor *a = scattered(tape, AG_F32, AG_SHAPE(2, 3), 1), *b = scattered(tape, AG_F32, AG_SHAPE(2, 4), 1);
    ag_tensor *d = scattered(tape, AG_F64, AG_SHAPE(2, 3), 1), *v = scattered(tape, AG_F32, AG_SHAPE(4), 1);
    ag_tensor *w = scattered(tape, AG_F32, AG_SHAPE(1, 1, 1, 1, 1, 3), 1), *s = scattered(tape, AG_F32, AG_SCALAR, 1);
    ag_matmul(a, v);
    expect_error(tape, AG_ERR_SHAPE, "matmul: a f32 (2,3) and b f32 (4): inner axes 3 and 4 differ");
    ag_matmul(v, a);
    expect_error(tape, AG_ERR_SHAPE, "matmul: a f32 (4) and b f32 (2,3): inner axes 4 and 2 differ");
    ag_matmul(a, s);
    expect_error(tape, AG_ERR_SHAPE, "matmul: a f32 (2,3) and b f32 (): both must have an axis or more");
    ag_dot(a, b);
    expect_error(tape, AG_ERR_SHAPE, "dot: a f32 (2,3) and b f32 (2,4): inner axes 3 and 2 differ");
    ag_dot(a, d);
    expect_error(tape, AG_ERR_DTYPE, "dot: a f32 (2,3) and b (2,3): both must be f32, or both f64");
    ag_inner(a, b);
    expect_error(tape, AG_ERR_SHAPE, "inner: a f32 (2,3) and b f32 (2,4): inner axes 3 and 4 differ");
    ag_inner(w, w);
    expect_error(tape, AG_ERR_SHAPE, "inner: ", "the result would have 10 axes, not 0 to 8");
    ag_vdot(a, b);
    expect_error(tape, AG_ERR_SHAPE, "vdot: a f32 (2,3) and b f32 (2,4): 6 and 8 elements differ");
    ag_outer(a, d);
    expect_error(tape, AG_ERR_DTYPE, "outer: ", "both must be i64, f32 or f64, and the same");
    ag_cross(a, b, -1);
    expect_error(tape, AG_ERR_SHAPE, "cross: a f32 (2,3) and b f32 (2,4): both must have 3 elements along axis -1");
    ag_cross(a, a, 2);
    expect_error(tape, AG_ERR_AXIS, "cross: ", "axis 2 is out of range for rank 2");
    ag_cross(a, scattered(tape, AG_F32, AG_SHAPE(1), 1), 0);
    expect_error(tape, AG_ERR_SHAPE, "cross: ", "both must have 3 elements along axis 0");
    ag_tensordot_over(a, b, AG_AXES(1), AG_AXES(1));
    expect_error(tape, AG_ERR_SHAPE,
                 "tensordot: a f32 (2,3) and b f32 (2,4): axis 1 of a has 3 elements, and axis 1 of b 4");
    ag_tensordot_over(a, b, AG_AXES(0, 1), AG_AXES(0));
    expect_error(tape, AG_ERR_AXIS, "tensordot: a f32 (2,3) and b f32 (2,4): 2 axes of a and 1 of b are given");
    ag_tensordot_over(a, b, AG_AXES(0, 0), AG_AXES(0, 1));
    expect_error(tape, AG_ERR_AXIS, "tensordot: ");
    ag_tensordot_over(w, w, AG_AXES(0), AG_AXES(0));
    expect_error(tape, AG_ERR_SHAPE, "tensordot: ", "the result would have 10 axes, not 0 to 8");
    ag_matrix_trace(v);
    expect_error(tape, AG_ERR_SHAPE, "matrix_trace: x f32 (4): needs two axes or more");
    ag_matrix_trace_over(a, 0, 0, 2);
    expect_error(tape, AG_ERR_AXIS, "matrix_trace: x f32 (2,3): axis 2 is out of range for rank 2");
    ag_matrix_trace_over(a, 0, 1, -1);
    expect_error(tape, AG_ERR_AXIS, "matrix_trace: x f32 (2,3): axis -1 is given twice");
    ag_tensor *huge = ag_zeros(tape, AG_F32, AG_SHAPE(INT64_C(1) << 31, 1));
    ag_kron(huge, huge);
    expect_error(tape, AG_ERR_SHAPE, "kron: ", "the result would have too many elements");
    ag_matrix_trace_over(a, INT64_MAX, 0, 1);
    ag_matrix_trace_over(a, INT64_MIN, 0, 1);
    expect_ok(tape);
}
END_TEST

static ag_status products(ag_tape *t) {
    ag_tensor *a = scattered(t, AG_F64, AG_SHAPE(2, 3, 3), 1), *b = scattered(t, AG_F64, AG_SHAPE(2, 3, 3), 20);
    ag_tensor *x[] = {a, b, a}, *y = ag_einsum("bij,bjk,bkk->bi", 3, x);
    ag_tensor *z = ag_add(ag_sum(y), ag_add(ag_sum(ag_kron(a, b)), ag_sum(ag_matrix_trace_over(a, 0, 1, 2))));
    ag_grad(ag_add(z, ag_sum(ag_cross(a, b, 2))), 1, &(ag_tensor *){a}, &y);
    return ag_data(y) ? ag_tape_status(t) : ag_tape_status(t);
}

START_TEST(products_without_memory) { with_each_allocation_failing(products); }
END_TEST

int main(void) {
    Suite *suite = suite_create("linalg");
    TCase *group = tape_group(suite, "products");
    tcase_add_test(group, einsum_is_a_sum_over_all_indices);
    tcase_add_test(group, einsum_says_where_the_text_is_wrong);
    tcase_add_test(group, einsum_takes_the_cheap_order);
    tcase_add_test(group, wrong_products);
    group = plain_group(suite, "memory");
    tcase_add_test(group, products_without_memory);
    return run_suite(suite);
}
