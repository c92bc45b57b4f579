/* test_linalg -- einsum against plain loops; identities of factorisations, equations and transforms; their errors
 *
 * What a single case states is in cases_linalg.c. */
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The library's own, whose headers would take the callers' lines away. */
bool ag__has_lapack(void);
bool ag__has_fftw(void);

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

/* A dot product whose elements lie differently is a sum of products, without a copy: then its bits are those of it. */
START_TEST(einsum_adds_up_products_of_what_lies_apart) {
    ag_tensor *x[] = {scattered(tape, AG_F32, AG_SHAPE(20, 21, 22), 1),
                      scattered(tape, AG_F32, AG_SHAPE(22, 21, 20), 7)};
    ag_tensor *turned = ag_permute(x[1], AG_AXES(2, 1, 0)), *flat[2];
    ag_tensor *together[] = {x[0], ag_contiguous(turned)};
    flat[0] = ag_reshape(x[0], AG_SHAPE(20 * 21 * 22));
    flat[1] = ag_reshape(together[1], AG_SHAPE(20 * 21 * 22));
    expect_same(ag_einsum("abc,cba->", 2, x), ag_sum(ag_mul(x[0], turned)));
    expect_same(ag_einsum("abc,abc->", 2, together), ag_dot(flat[0], flat[1]));
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
    for (int n = 3; n <= 8; n++)
        for (int turned = 0; turned < 2; turned++) {
            char text[64], *at = text;
            ag_tensor *operand[8];
            for (int k = 0; k < n; k++) {
                const int i = turned ? n - 1 - k : k;
                operand[k] = x[i];
                at += sprintf(at, "%s%c%c", k > 0 ? "," : "", 'a' + i, 'b' + i);
            }
            sprintf(at, "->a%c", 'a' + n);
            const int64_t largest = largest_product_below(ag_einsum(text, n, operand));
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
    expect_error(tape, AG_ERR_SHAPE, "kron: ", "more elements than can be counted");
    ag_kron(ag_zeros(tape, AG_F32, AG_SHAPE(0, INT64_C(1) << 30)), huge);
    expect_error(tape, AG_ERR_SHAPE, "kron: ", "more elements than can be counted");
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

/* ---- Factorisations ---- */

static ag_tensor *turned(ag_tensor *x) { return ag_transpose(x, -2, -1); }

/* The largest magnitude of a − b, relative to the largest of b. */
static double distance(ag_tensor *a, ag_tensor *b) {
    if (ag_size(b) == 0) return 0;
    return ag_item(ag_max(ag_abs(ag_sub(a, b)))) / fmax(ag_item(ag_max(ag_abs(b))), 1e-30);
}

#define expect_close(a, b, units) expect_close_at(__LINE__, a, b, units)
static void expect_close_at(int line, ag_tensor *a, ag_tensor *b, double units) {
    const double unit = ag_dtype_of(a) == AG_F32 ? 0x1p-23 : 0x1p-52, d = distance(a, b);
    ck_assert_msg(ag_tape_status(tape) == AG_OK, "line %d: %s", line, ag_tape_error(tape));
    ck_assert_msg(d <= units * unit, "line %d, %s of %d columns: off by %.3g units of the last place", line,
                  ag_dtype_name(ag_dtype_of(a)), (int)ag_extent(b, -1), d / unit);
}

/* x + 2 on the diagonal of a scattered matrix, divided by its size: far from singular. */
static ag_tensor *regular(ag_dtype dtype, int64_t batch, int64_t n, uint64_t first) {
    ag_tensor *x = ag_div_scalar(scattered(tape, dtype, AG_SHAPE(batch, n, n), first), (double)(n > 0 ? n : 1));
    return ag_add(x, ag_scale(ag_matrix_power(x, 0), 2));
}

static const int64_t sizes[] = {0, 1, 2, 3, 15, 16, 17, 33, 64, 100, 300};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void check_regular(ag_dtype dtype, int64_t n, int64_t k) {
    ag_tensor *a = regular(dtype, n < 100 ? 3 : 1, n, 7), *one = ag_matrix_power(a, 0);
    ag_tensor *b = scattered(tape, dtype, AG_SHAPE(n, k), 11), *x = ag_solve(a, b), *p, *l, *u, *sign, *logarithm;
    expect_close(ag_matmul(a, x), ag_broadcast_to(b, ag_shape_of(x)), 60);
    expect_close(ag_matmul(a, ag_inverse(a)), one, 30);
    ag_lu(a, &p, &l, &u);
    expect_close(ag_matmul(p, ag_matmul(l, u)), a, 10);
    if (n > 0) ck_assert(ag_item(ag_max(ag_abs(l))) <= 1);
    ag_slogdet(a, &sign, &logarithm);
    if (n < 100) expect_close(ag_mul(sign, ag_exp(logarithm)), ag_det(a), 200);
    ag_tensor *s = ag_matmul(a, turned(a)), *c = ag_cholesky(s);
    expect_close(ag_matmul(c, turned(c)), s, 20);
    for (int upper = 0; upper < 2; upper++)
        for (int unit = 0; unit < 2; unit++) {
            ag_tensor *t = upper ? turned(c) : c;
            if (unit)
                t = ag_add(ag_scale(t, 0.25), ag_where(ag_greater(one, ag_scale(one, 0.5)),
                                                       ag_sub(one, ag_scale(t, 0.25)), ag_scale(one, 0)));
            ag_tensor *y = ag_solve_triangular(t, b, upper, unit);
            expect_close(ag_matmul(t, y), ag_broadcast_to(b, ag_shape_of(y)), 500);
        }
    ag_tensor *e = ag_matrix_exp(a);
    expect_close(ag_matmul(e, ag_matrix_exp(ag_neg(a))), one, 400);
    expect_close(ag_matrix_exp(ag_scale(a, 2)), ag_matmul(e, e), 400);
}

START_TEST(equations_and_factors_multiply_back) {
    for (int d = AG_F32; d <= AG_F64; d++) check_regular((ag_dtype)d, sizes[_i], 1 + (sizes[_i] % 3) * 9);
}
END_TEST

static void check_orthogonal(ag_dtype dtype, int64_t m, int64_t n) {
    ag_tensor *a = scattered(tape, dtype, AG_SHAPE(m > 60 ? 1 : 2, m, n), 5), *q, *r, *u, *s, *vt, *w, *v;
    const int64_t k = m < n ? m : n;
    ag_tensor *gram = ag_matmul(a, turned(a)),
              *one = ag_matrix_power(ag_slice(ag_slice(gram, -1, 0, k, 1), -2, 0, k, 1), 0);
    const double units = 60;
    ck_assert_int_eq(ag_qr(a, &q, &r), AG_OK);
    expect_close(ag_matmul(q, r), a, units);
    expect_close(ag_matmul(turned(q), q), one, units);
    ck_assert_int_eq(ag_svd(a, &u, &s, &vt), AG_OK);
    expect_close(ag_matmul(ag_mul(u, ag_unsqueeze(s, -2)), vt), a, units);
    expect_close(ag_matmul(turned(u), u), one, units);
    expect_close(ag_matmul(vt, turned(vt)), one, units);
    expect_same(s, ag_abs(s));
    expect_same(s, ag_svdvals(ag_parameter_from(a)));
    ck_assert_int_eq(ag_eigh(gram, &w, &v), AG_OK);
    expect_close(ag_matmul(ag_mul(v, ag_unsqueeze(w, -2)), turned(v)), gram, units);
    ag_tensor *squares = ag_flip(ag_slice(w, -1, m - k, m, 1), -1);
    expect_close(ag_square(s), squares, 100);
    ag_tensor *plus = ag_pinv(a, -1);
    expect_close(ag_matmul(a, ag_matmul(plus, a)), a, 2000);
    expect_close(ag_lstsq(a, a, -1), ag_matmul(plus, a), 4000);
    expect_close(ag_matrix_norm(a, AG_NORM_FROBENIUS, false), ag_sqrt(ag_sum_over(ag_square(s), AG_AXES(-1), false)),
                 20);
}

START_TEST(orthogonal_factors_multiply_back) {
    static const int64_t shapes[][2] = {{1, 1},   {2, 2},     {3, 5},    {5, 3}, {17, 16},
                                        {16, 40}, {100, 100}, {300, 20}, {0, 3}, {4, 0}};
    for (int d = AG_F32; d <= AG_F64 && ag__has_lapack(); d++)
        check_orthogonal((ag_dtype)d, shapes[_i][0], shapes[_i][1]);
}
END_TEST

/* ---- Matrices without an inverse, and other failures while values are computed ---- */

static ag_tensor *ones_in_place_of(ag_tensor *x, int64_t item) {
    ag_tensor *first = ag_slice(x, 0, 0, item, 1), *rest = ag_slice(x, 0, item + 1, AG_END, 1);
    ag_tensor *ones = ag_ones(tape, ag_dtype_of(x), AG_SHAPE(1, ag_extent(x, 1), ag_extent(x, 2)));
    return ag_concat(3, (ag_tensor *[]){first, ones, rest}, 0);
}

#define expect_refusal(x, status, ...)                                                                                 \
    do {                                                                                                               \
        ck_assert_ptr_null(ag_data(x));                                                                                \
        expect_error(tape, status, __VA_ARGS__, "test_linalg.c:");                                                     \
    } while (0)

/* There are too many to look at each. */
START_TEST(systems_without_elements_take_no_time) {
    const int64_t many = INT64_C(1) << 40;
    ag_tensor *a = ag_zeros(tape, AG_F64, AG_SHAPE(many, 0, 0)), *b = ag_zeros(tape, AG_F64, AG_SHAPE(many, 0, 3));
    ag_tensor *none = ag_zeros(tape, AG_F64, AG_SHAPE(many, 2, 0)), *one = ag_eye(tape, AG_F64, 2, 2, 0);
    ag_tensor *y[] = {ag_solve(a, b),
                      ag_solve(one, none),
                      ag_solve_triangular(a, b, true, false),
                      ag_solve_triangular(one, none, false, true),
                      ag_inverse(a),
                      ag_lstsq(a, b, 0),
                      ag_cholesky(a)};
    for (size_t i = 0; i < sizeof y / sizeof *y; i++) {
        ag_tensor *ones = ag_ones_like(y[i]), *da = NULL;
        ck_assert_ptr_nonnull(ag_data(y[i]));
        ck_assert_int_eq(ag_vjp(1, &y[i], &ones, 1, &a, &da, 0), AG_OK);
        ck_assert_ptr_nonnull(ag_data(da));
    }
}
END_TEST

/* Also where nothing is solved for, and once for all of its copies. */
START_TEST(singular_matrices_without_columns_are_named) {
    const int64_t many = INT64_C(1) << 40;
    double x[3][2][2] = {{{1, 0}, {0, 1}}, {{2, 0}, {0, 2}}, {{1, 0}, {0, 0}}};
    ag_tensor *three = ag_from(tape, AG_F64, AG_SHAPE(3, 1, 2, 2), x),
              *one = ag_from(tape, AG_F64, AG_SHAPE(2, 2), x[2]);
    ag_tensor *none = ag_zeros(tape, AG_F64, AG_SHAPE(many, 2, 0)), *few = ag_zeros(tape, AG_F64, AG_SHAPE(3, 5, 2, 0));
    expect_refusal(ag_solve(one, none), AG_ERR_SINGULAR, "solve: ", "is singular: a pivot is 0");
    expect_refusal(ag_solve(three, few), AG_ERR_SINGULAR, "solve: ", "the matrix at [2,0] is singular");
    expect_refusal(ag_solve_triangular(one, none, true, false), AG_ERR_SINGULAR, "solve_triangular: ", "is singular");
    expect_refusal(ag_solve_triangular(three, few, false, false), AG_ERR_SINGULAR,
                   "solve_triangular: ", "the matrix at [2,0] is singular");
    ck_assert_ptr_nonnull(ag_data(ag_solve_triangular(one, none, true, true)));
    ck_assert_ptr_nonnull(ag_data(ag_solve(one, ag_zeros(tape, AG_F64, AG_SHAPE(0, 2, 0)))));
}
END_TEST

START_TEST(singular_matrices_are_named) {
    for (int d = AG_F32; d <= AG_F64; d++) {
        ag_tensor *a = ones_in_place_of(regular((ag_dtype)d, 5, 3, 1), 2),
                  *b = ag_ones(tape, (ag_dtype)d, AG_SHAPE(3, 1));
        ag_tensor *deep = ag_reshape(a, AG_SHAPE(1, 5, 1, 3, 3)),
                  *single = ag_reshape(ag_slice(a, 0, 2, 3, 1), AG_SHAPE(3, 3));
        expect_refusal(ag_solve(a, b), AG_ERR_SINGULAR, "solve: ", "the matrix at [2] is singular: a pivot is 0");
        expect_refusal(ag_inverse(deep), AG_ERR_SINGULAR,
                       "inverse: ", "the matrix at [0,2,0] is singular: a pivot is 0");
        expect_refusal(ag_inverse(single), AG_ERR_SINGULAR, "inverse: ", ": the matrix is singular: a pivot is 0");
        expect_refusal(ag_cholesky(ag_neg(a)), AG_ERR_SINGULAR,
                       "cholesky: ", "the matrix at [0] is not positive definite");
        expect_refusal(ag_solve_triangular(ag_sub(a, a), b, true, false), AG_ERR_SINGULAR,
                       "solve_triangular: ", "the matrix at [0] is singular: there is a 0 on its diagonal");
        ck_assert_ptr_nonnull(ag_data(ag_solve_triangular(ag_sub(a, a), b, true, true)));
        ag_tensor *sign, *logarithm;
        ag_slogdet(a, &sign, &logarithm);
        ck_assert(ag_element(sign, 2) == 0 && ag_element(logarithm, 2) == -(double)INFINITY &&
                  ag_element(sign, 1) == 1);
        ck_assert(ag_element(ag_det(a), 2) == 0);
        expect_ok(tape);
    }
}
END_TEST

/* The determinant's gradient where there is no inverse: cofactors. */
START_TEST(cofactors_of_singular_matrices) {
    const double two[] = {1, 2, 3, 2, 4, 6, 1, 0, 1}, one[] = {1, 2, 3, 2, 4, 6, 3, 6, 9}, none[9] = {0};
    ag_tensor *a = ag_parameter(tape, AG_F64, AG_SHAPE(3, 3), two), *da;
    ag_grad(ag_det(a), 1, &a, &da);
    expect_near(da, 9, ((const double[]){4, 4, -4, -2, -2, 2, 0, 0, 0}), 8, 4);
    a = ag_parameter(tape, AG_F64, AG_SHAPE(3, 3), one);
    ag_grad(ag_det(a), 1, &a, &da);
    expect_near(da, 9, none, 8, 4);
    a = ag_parameter(tape, AG_F64, AG_SHAPE(3, 3), none);
    ag_grad(ag_det(a), 1, &a, &da);
    expect_near(da, 9, none, 0, 0);
}
END_TEST

enum { SIDE = 37 };

/* As in ops/dense.h, which this file does not include: then errors would not name its lines. */
bool ag__lu_complete(ag_dtype dtype, int64_t n, void *a, int64_t *row, int64_t *column);

/* Elimination with complete pivoting in plain loops; numbers of f32 are rounded after each step. */
static bool eliminate(ag_dtype d, int64_t n, double *a, int64_t *row, int64_t *column) {
    bool even = true;
    for (int64_t i = 0; i < n; i++) row[i] = column[i] = i;
    for (int64_t j = 0; j < n; j++) {
        int64_t p = j, q = j;
        double most = -1;
        for (int64_t i = j; i < n; i++) /* the first row that has the largest element, and its first place there */
            for (int64_t c = j; c < n; c++)
                if (fabs(a[i * n + c]) > most) most = fabs(a[i * n + c]), p = i, q = c;
        if (isnan(a[p * n + j])) q = j;
        for (int64_t c = 0; c < n; c++) {
            const double x = a[j * n + c];
            a[j * n + c] = a[p * n + c], a[p * n + c] = x;
        }
        for (int64_t i = 0; i < n; i++) {
            const double x = a[i * n + j];
            a[i * n + j] = a[i * n + q], a[i * n + q] = x;
        }
        const int64_t r = row[j], s = column[j];
        row[j] = row[p], row[p] = r;
        column[j] = column[q], column[q] = s;
        even ^= (p != j) ^ (q != j);
        for (int64_t i = j + 1; i < n && a[j * n + j] != 0; i++) {
            const double factor = a[i * n + j] / a[j * n + j];
            a[i * n + j] = d == AG_F32 ? (double)(float)factor : factor;
            for (int64_t c = j + 1; c < n; c++) {
                const double part = a[i * n + j] * a[j * n + c], rounded = d == AG_F32 ? (double)(float)part : part;
                const double x = a[i * n + c] - rounded;
                a[i * n + c] = d == AG_F32 ? (double)(float)x : x;
            }
        }
    }
    return even;
}

/* At each number of columns that vectors leave over; every third matrix has few distinct elements, so that many are the
 * largest; one has not the full rank, and one a NaN. */
START_TEST(complete_pivoting_is_as_in_plain_loops) {
    const ag_dtype d = _i ? AG_F64 : AG_F32;
    double expected[SIDE * SIDE];
    union {
        float f32[SIDE * SIDE];
        double f64[SIDE * SIDE];
    } a;
    int64_t row[2][SIDE], column[2][SIDE];
    uint32_t number = 1;
    for (int64_t n = 1; n <= SIDE; n++)
        for (int kind = 0; kind < 4; kind++) {
            for (int64_t i = 0; i < n * n; i++) {
                number = number * 1664525u + 1013904223u;
                const double x = (double)(number >> 8) * 0x1p-23 - 1;
                expected[i] = kind == 1 ? floor(2 * x) : kind == 2 && i >= n ? expected[i % n] : x;
                if (kind == 3 && i == n * n / 2) expected[i] = NAN;
                if (d == AG_F32) expected[i] = (double)(a.f32[i] = (float)expected[i]);
                else a.f64[i] = expected[i];
            }
            const bool even = eliminate(d, n, expected, row[0], column[0]);
            ck_assert_int_eq(ag__lu_complete(d, n, &a, row[1], column[1]), even);
            ck_assert_mem_eq(row[1], row[0], (size_t)n * sizeof **row);
            ck_assert_mem_eq(column[1], column[0], (size_t)n * sizeof **column);
            for (int64_t i = 0; i < n * n; i++) {
                const double x = d == AG_F32 ? (double)a.f32[i] : a.f64[i];
                ck_assert_msg(x == expected[i] || (isnan(x) && isnan(expected[i])), "side %d, kind %d, element %d",
                              (int)n, kind, (int)i);
            }
        }
}
END_TEST

/* The elements above l's diagonal are 0 whatever a is: a cotangent there has no influence, even if it is NaN. */
START_TEST(cotangents_above_the_diagonal_are_not_looked_at) {
    ag_tensor *a = ag_parameter(tape, AG_F64, AG_SHAPE(3, 3), (double[]){4, 2, 0, 2, 5, 2, 0, 2, 6}),
              *l = ag_cholesky(a);
    ag_tensor *g = tensor_of(tape, AG_F64, AG_SHAPE(3, 3), (double[]){1, NAN, INFINITY, 2, 3, NAN, 4, 5, 6}), *da[2];
    ag_tensor *below = ag_tril(g, 0);
    ag_vjp(1, &l, &g, 1, &a, &da[0], 0);
    ag_vjp(1, &l, &below, 1, &a, &da[1], 0);
    for (int64_t k = 0; k < 9; k++) ck_assert_double_eq(ag_element(da[0], k), ag_element(da[1], k));
}
END_TEST

/* Only the first row of a has a part in the first element of u. */
START_TEST(infinite_cotangents_of_factors_reach_what_they_depend_on) {
    ag_tensor *a = ag_parameter(tape, AG_F64, AG_SHAPE(3, 3), (double[]){4, 2, 1, 2, 5, 2, 1, 2, 6}), *p, *l, *u,
              *da[2];
    ag_lu(a, &p, &l, &u);
    for (int i = 0; i < 2; i++) {
        double weights[9] = {i ? (double)INFINITY : 1, 2, 3, 4, 5, 6, 7, 8, 9};
        ag_tensor *g = tensor_of(tape, AG_F64, AG_SHAPE(3, 3), weights);
        ag_vjp(1, &u, &g, 1, &a, &da[i], 0);
    }
    ck_assert(!isfinite(ag_element(da[1], 0)));
    for (int64_t k = 3; k < 9; k++) ck_assert_double_eq(ag_element(da[1], k), ag_element(da[0], k));
}
END_TEST

START_TEST(determinants_neither_overflow_nor_vanish) {
    ag_tensor *one = ag_matrix_power(ag_zeros(tape, AG_F64, AG_SHAPE(40, 40)), 0),
              *number = ag_unsqueeze(ag_arange(tape, AG_F64, 40), 1);
    ag_tensor *huge = ag_mul(one, ag_where(ag_less(number, ag_scalar(tape, AG_F64, 20)),
                                           ag_scalar(tape, AG_F64, 0x1p1000), ag_scalar(tape, AG_F64, 0x1p-1000)));
    expect_item(ag_det(huge), 1);
    ag_tensor *sign, *logarithm;
    ag_slogdet(ag_neg(ag_slice(ag_slice(huge, 0, 0, 19, 1), 1, 0, 19, 1)), &sign, &logarithm);
    expect_item(sign, -1);
    ck_assert(fabs(ag_item(logarithm) - 19000 * 0.69314718055994530942) < 1e-9);
}
END_TEST

START_TEST(elements_that_are_not_finite) {
    double values[] = {1, NAN, 0, 1};
    ag_tensor *a = ag_from(tape, AG_F64, AG_SHAPE(2, 2), values), *b = ag_ones(tape, AG_F64, AG_SHAPE(2)), *q, *r;
    ck_assert(isnan(ag_element(ag_solve(a, b), 0)) &&
              isnan(ag_item(ag_det(ag_transpose(ag_add(a, ag_transpose(a, 0, 1)), 0, 1)))));
    ck_assert(isnan(ag_element(ag_matrix_exp(a), 0)));
    expect_refusal(ag_cholesky(a), AG_ERR_SINGULAR, "cholesky: ", "the matrix is not positive definite");
    if (!ag__has_lapack()) return;
    expect_refusal(ag_eigvalsh(a), AG_ERR_SINGULAR, "eigh: ", "the matrix has NaN or infinity");
    expect_refusal(ag_svdvals(a), AG_ERR_SINGULAR, "svd: ", "the matrix has NaN or infinity");
    ag_qr(a, &q, &r);
    ck_assert(isnan(ag_element(q, 0)) && isnan(ag_element(r, 0)));
}
END_TEST

START_TEST(wrong_matrices) {
    ag_tensor *m = scattered(tape, AG_F64, AG_SHAPE(2, 3), 1), *v = scattered(tape, AG_F64, AG_SHAPE(3), 1), *q, *r, *s;
    ag_tensor *a = scattered(tape, AG_F64, AG_SHAPE(2, 3, 3), 1), *i = ag_cast(a, AG_I64), *f = ag_cast(a, AG_F32);
    ag_inverse(m);
    expect_error(tape, AG_ERR_SHAPE, "inverse: x (2,3): needs square matrices, not of 2 rows and 3 columns");
    ag_cholesky(m);
    expect_error(tape, AG_ERR_SHAPE, "cholesky: x (2,3): needs square matrices, not of 2 rows and 3 columns");
    ag_matrix_exp(v);
    expect_error(tape, AG_ERR_SHAPE, "matrix_exp: x (3): needs two axes or more");
    ag_solve(a, m);
    expect_error(tape, AG_ERR_SHAPE, "solve: a (2,3,3) and b (2,3): b must have 3 rows, not 2");
    ag_solve(a, scattered(tape, AG_F64, AG_SHAPE(3, 3, 1), 1));
    expect_error(tape, AG_ERR_SHAPE,
                 "solve: a (2,3,3) and b (3,3,1): the leading axes cannot be broadcast to each other");
    ag_solve(a, scattered(tape, AG_F64, AG_SCALAR, 1));
    expect_error(tape, AG_ERR_SHAPE, "solve: a (2,3,3) and b (): b must have an axis or more");
    ag_solve(a, f);
    expect_error(tape, AG_ERR_DTYPE, "solve: ", "both must be f32, or both f64");
    ag_det(i);
    expect_error(tape, AG_ERR_DTYPE, "det: x i64 (2,3,3): needs f32 or f64, not i64");
    ck_assert_int_eq(ag_lu(a, &q, NULL, &r), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "lu: x (2,3,3): a place for a result is NULL");
    ck_assert_int_eq(ag_slogdet(a, &q, NULL), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "slogdet: x (2,3,3): a place for a result is NULL");
    ck_assert_int_eq(ag_slogdet(v, &q, &r), AG_ERR_SHAPE);
    ck_assert(ag_is_nil(q) && ag_is_nil(r));
    expect_error(tape, AG_ERR_SHAPE, "slogdet: x (3): needs two axes or more");
    ag_matrix_norm(a, (ag_matrix_norm_kind)8, false);
    expect_error(tape, AG_ERR_RANGE, "matrix_norm: x (2,3,3): there is no kind 8");
    ag_matrix_norm(scattered(tape, AG_F64, AG_SHAPE(0, 3), 1), AG_NORM_1, false);
    expect_error(tape, AG_ERR_SHAPE, "matrix_norm: x (0,3): a matrix without elements has no such norm");
    if (!ag__has_lapack()) return;
    ag_lstsq(a, m, -1);
    expect_error(tape, AG_ERR_SHAPE, "lstsq: a (2,3,3) and b (2,3): b must have 3 rows, not 2");
    ag_lstsq(a, scattered(tape, AG_F64, AG_SHAPE(3, 3, 1), 1), -1);
    expect_error(tape, AG_ERR_SHAPE, "lstsq: a (2,3,3) and b (3,3,1): the leading axes cannot be broadcast");
    ck_assert_int_eq(ag_eigh(a, NULL, &q), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "eigh: x (2,3,3): a place for a result is NULL");
    ag_pinv(a, (double)NAN);
    expect_error(tape, AG_ERR_RANGE, "pinv: x (2,3,3): rcond is NaN");
    ck_assert_int_eq(ag_svd(i, &q, &s, &r), AG_ERR_DTYPE);
    expect_error(tape, AG_ERR_DTYPE, "svd: x i64 (2,3,3): needs f32 or f64, not i64");
    ag_tensor *huge = ag_zeros(tape, AG_F64, AG_SHAPE(40000, 40000));
    ag_svdvals(huge);
    expect_error(tape, AG_ERR_SHAPE, "svd: x (40000,40000): the matrices are too large for LAPACK");
}
END_TEST

/* A build without a library says so, under the name that was called; one with it has no such error. */
START_TEST(missing_libraries_are_named) {
    ag_tensor *a = scattered(tape, AG_F64, AG_SHAPE(2, 2), 1), *q, *r, *s;
    ag_pinv(a, -1);
    if (!ag__has_lapack()) {
        expect_error(tape, AG_ERR_LIBRARY, "pinv: x (2,2): there is no LAPACK, which computes it");
        ck_assert_int_eq(ag_qr(a, &q, &r), AG_ERR_LIBRARY);
        expect_error(tape, AG_ERR_LIBRARY, "qr: x (2,2): there is no LAPACK, which computes it");
        ck_assert_int_eq(ag_eigh(a, &q, &r), AG_ERR_LIBRARY);
        expect_error(tape, AG_ERR_LIBRARY, "eigh: ", "no LAPACK");
        ck_assert_int_eq(ag_svd(a, &q, &s, &r), AG_ERR_LIBRARY);
        expect_error(tape, AG_ERR_LIBRARY, "svd: ", "no LAPACK");
        ag_lstsq(a, a, -1);
        expect_error(tape, AG_ERR_LIBRARY, "lstsq: ", "no LAPACK");
        ag_matrix_rank(a, -1);
        expect_error(tape, AG_ERR_LIBRARY, "matrix_rank: ", "no LAPACK");
        ag_matrix_norm(a, AG_NORM_2, false);
        expect_error(tape, AG_ERR_LIBRARY, "matrix_norm: ", "no LAPACK");
    }
    expect_ok(tape);
    ag_tensor *y = ag_fft(a, 0);
    if (!ag__has_fftw()) {
        expect_error(tape, AG_ERR_LIBRARY, "fft: x (2,2): there is no FFTW, which computes it");
        ag_rfft(a, 0);
        expect_error(tape, AG_ERR_LIBRARY, "rfft: ", "no FFTW");
        ag_irfft(a, 2, 0);
        expect_error(tape, AG_ERR_LIBRARY, "irfft: ", "no FFTW");
    } else ck_assert_ptr_nonnull(ag_data(y));
    expect_ok(tape);
}
END_TEST

/* ---- Values without vectors, where no gradient is wanted ---- */

static bool has_vectors(ag_tensor *values) {
    while (ag_op_of(values)->kind == AG_KIND_VIEW) values = ag_input(values, 0);
    return ag_attributes(values) == NULL;
}

/* The gradient of Σ w² for the gradient w of the values, weighted: each of them has the vectors. */
static ag_tensor *second_gradient(ag_tensor *values, ag_tensor *x, ag_tensor **first) {
    ag_tensor *g = ag_contiguous(ag_add_scalar(ag_square(ag_stop_gradient(values)), 1)), *second;
    ag_vjp(1, &values, &g, 1, &x, first, 0);
    ag_grad(ag_sum(ag_square(ag_add(*first, x))), 1, &x, &second);
    return second;
}

START_TEST(values_alone_are_those_beside_vectors) {
    static const int64_t shapes[][2] = {{1, 1}, {5, 5}, {40, 40}, {3, 7}, {7, 3}};
    for (int k = 0; k < 10 && ag__has_lapack(); k++) {
        const ag_dtype d = k % 2 ? AG_F64 : AG_F32;
        const int64_t m = shapes[k / 2][0], n = shapes[k / 2][1];
        ag_tensor *x = scattered(tape, d, AG_SHAPE(2, m, n), 5), *p = ag_parameter_from(x), *u, *v, *s, *first[2];
        for (int square = 0; square <= (m == n); square++) {
            ag_tensor *alone = square ? ag_eigvalsh(x) : ag_svdvals(x),
                      *beside = square ? ag_eigvalsh(p) : ag_svdvals(p);
            ck_assert(!has_vectors(alone) && has_vectors(beside));
            ag_status status = square ? ag_eigh(x, &s, &v) : ag_svd(x, &u, &s, &v);
            ck_assert_int_eq(status, AG_OK);
            expect_close(alone, s, 100);
            expect_close(beside, s, 0);
            ag_tensor *second = second_gradient(alone, x, &first[0]), *want = second_gradient(beside, p, &first[1]);
            expect_close(first[0], first[1], 1000);
            expect_close(second, want, 200000);
        }
    }
    expect_ok(tape);
}
END_TEST

/* ---- Gradients where eigenvalues or singular values meet ---- */

START_TEST(values_that_meet) {
    if (!ag__has_lapack()) return;
    const double values[] = {2, 0, 0, 0, 2, 0, 0, 0, 1};
    ag_tensor *a = ag_parameter(tape, AG_F64, AG_SHAPE(3, 3), values), *da, *w, *v;
    ag_grad(ag_sum(ag_eigvalsh(a)), 1, &a, &da); /* the trace */
    expect_near(da, 9, ((const double[]){1, 0, 0, 0, 1, 0, 0, 0, 1}), 4, 1);
    ag_grad(ag_matrix_norm(a, AG_NORM_NUCLEAR, false), 1, &a, &da);
    expect_near(da, 9, ((const double[]){1, 0, 0, 0, 1, 0, 0, 0, 1}), 4, 1);
    ag_eigh(a, &w, &v);
    ag_grad(ag_sum(ag_mul(v, scattered(tape, AG_F64, AG_SHAPE(3, 3), 4))), 1, &a, &da);
    int finite = 0;
    for (int i = 0; i < 9; i++) finite += isfinite(ag_element(da, i));
    ck_assert_int_lt(finite, 9);
    a = ag_parameter(tape, AG_F64, AG_SHAPE(3, 3), (const double[9]){0});
    ag_grad(ag_matrix_norm(a, AG_NORM_FROBENIUS, false), 1, &a, &da);
    expect_near(da, 9, ((const double[9]){0}), 0, 0);
    ag_grad(ag_sum(ag_svdvals(ag_matmul(a, a))), 1, &a, &da);
    expect_near(da, 9, ((const double[9]){0}), 0, 0);
}
END_TEST

static ag_tensor *squares_of_vectors(void *context, int n, ag_tensor *const x[]) {
    (void)n;
    ag_tensor *p[3];
    ag_svd(x[0], &p[0], &p[1], &p[2]);
    return ag_square(p[*(const int *)context]);
}

/* A singular value that is 0 is no matter where no vectors are left over. */
START_TEST(vectors_of_a_singular_matrix_have_slopes) {
    if (!ag__has_lapack()) return;
    ag_tensor *a = ag_parameter(tape, AG_F64, AG_SHAPE(2, 2), (double[]){1, 3, 0.1, 0.3});
    for (int which = 0; which <= 2; which += 2) {
        ag_gradcheck_report report;
        ag_gradcheck(squares_of_vectors, &which, 1, &a, NULL, &report);
        ck_assert_msg(report.passed, "%d: %s", which, report.message);
    }
}
END_TEST

/* ---- Linear operations and their adjoints: ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ ---- */

typedef ag_tensor *linear(ag_tensor *x);

static ag_tensor *by_solve(ag_tensor *x) { return ag_solve(regular(ag_dtype_of(x), 2, 5, 3), x); }
static ag_tensor *by_solve_turned(ag_tensor *x) { return ag_solve(turned(regular(ag_dtype_of(x), 2, 5, 3)), x); }
static ag_tensor *by_triangle(ag_tensor *x) {
    return ag_solve_triangular(regular(ag_dtype_of(x), 2, 5, 3), x, true, false);
}
static ag_tensor *by_lstsq(ag_tensor *x) { return ag_lstsq(scattered(tape, ag_dtype_of(x), AG_SHAPE(5, 3), 8), x, -1); }
static ag_tensor *by_fft(ag_tensor *x) { return ag_fft(x, 0); }
static ag_tensor *by_ifft(ag_tensor *x) { return ag_ifft_over(x, AG_AXES(0), AG_FFT_ORTHO); }
static ag_tensor *by_rfft(ag_tensor *x) { return ag_rfft_over(x, AG_AXES(1, 0), AG_FFT_FORWARD); }
static ag_tensor *by_irfft(ag_tensor *x) { return ag_irfft(x, 8, 0); }
static ag_tensor *by_irfft_odd(ag_tensor *x) { return ag_irfft(x, 9, 0); }
static ag_tensor *by_einsum(ag_tensor *x) {
    ag_tensor *in[] = {x, scattered(tape, ag_dtype_of(x), AG_SHAPE(2, 5, 4), 2)};
    return ag_einsum("ij,kil->lkj", 2, in);
}

static const struct {
    const char *name;
    linear *call;
    int library; /* 1: LAPACK; 2: FFTW */
} linears[] = {{"solve", by_solve, 0},
               {"solve turned", by_solve_turned, 0},
               {"solve_triangular", by_triangle, 0},
               {"lstsq", by_lstsq, 1},
               {"fft", by_fft, 2},
               {"ifft", by_ifft, 2},
               {"rfft", by_rfft, 2},
               {"irfft", by_irfft, 2},
               {"irfft of odd", by_irfft_odd, 2},
               {"einsum", by_einsum, 0}};

START_TEST(gradients_are_adjoints) {
    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++)
        for (int d = AG_F32; d <= AG_F64; d++) {
            if ((linears[i].library == 1 && !ag__has_lapack()) || (linears[i].library == 2 && !ag__has_fftw()))
                continue;
            ag_tensor *x = scattered(tape, (ag_dtype)d, AG_SHAPE(5, 2), 60), *y = linears[i].call(x), *back;
            ag_tensor *g = scattered(tape, (ag_dtype)d, ag_shape_of(y), 90);
            ag_vjp(1, &y, &g, 1, &x, &back, 0);
            const double there = ag_item(ag_vdot(y, g)), here = ag_item(ag_vdot(x, back));
            expect_ok(tape);
            ck_assert_msg(fabs(there - here) <= (d == AG_F32 ? 2e-5 : 2e-14) * (1 + fabs(there)), "%s: %.17g and %.17g",
                          linears[i].name, there, here);
        }
}
END_TEST

/* ---- Fourier transforms ---- */

/* Axes 0 and 1, whose elements are far apart. */
static ag_tensor *by_far_fft(ag_tensor *x) { return ag_fft(x, 0); }
static ag_tensor *by_far_ifft(ag_tensor *x) { return ag_ifft_over(x, AG_AXES(0), AG_FFT_BACKWARD); }
static ag_tensor *by_far_ffts(ag_tensor *x) { return ag_fft_over(x, AG_AXES(1, 0), AG_FFT_ORTHO); }
static ag_tensor *by_far_rfft(ag_tensor *x) { return ag_rfft_over(x, AG_AXES(0), AG_FFT_FORWARD); }
static ag_tensor *by_far_rffts(ag_tensor *x) { return ag_rfft_over(x, AG_AXES(0, 1), AG_FFT_ORTHO); }
static ag_tensor *by_far_irfft(ag_tensor *x) { return ag_irfft(x, 254, 0); }
static ag_tensor *by_far_irffts(ag_tensor *x) { return ag_irfft_over(x, 255, AG_AXES(1, 0), AG_FFT_FORWARD); }

/* y's first columns along axis 2 are the transform of x's, which are near each other; and so are gradients. */
static void check_far_axes(ag_dtype dtype, bool pairs, linear *call) {
    const int64_t few = 3;
    ag_tensor *x = scattered(tape, dtype, pairs ? AG_SHAPE(128, 160, 64, 2) : AG_SHAPE(128, 160, 64), 1), *dx, *dz;
    ag_tensor *y = call(x), *first = ag_contiguous(ag_slice(x, 2, 0, few, 1)), *z = call(first);
    expect_close(ag_slice(y, 2, 0, few, 1), z, 16);
    ag_tensor *g = scattered(tape, dtype, ag_shape_of(y), 5), *h = ag_contiguous(ag_slice(g, 2, 0, few, 1));
    ag_vjp(1, &y, &g, 1, &x, &dx, 0);
    ag_vjp(1, &z, &h, 1, &first, &dz, 0);
    expect_close(ag_slice(dx, 2, 0, few, 1), dz, 16);
}

START_TEST(axes_whose_elements_are_far_apart) {
    static const struct {
        linear *call;
        bool pairs;
    } calls[] = {{by_far_fft, true},    {by_far_ifft, true},  {by_far_ffts, true},  {by_far_rfft, false},
                 {by_far_rffts, false}, {by_far_irfft, true}, {by_far_irffts, true}};
    if (!ag__has_fftw()) return;
    const ag_mark mark = ag_tape_mark(tape);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        for (int d = AG_F32; d <= AG_F64; d++) {
            check_far_axes((ag_dtype)d, calls[i].pairs, calls[i].call);
            ag_tape_rewind(tape, mark);
        }
}
END_TEST

START_TEST(transforms_and_their_inverses) {
    if (!ag__has_fftw()) return;
    static const int64_t lengths[] = {1, 2, 3, 4, 5, 8, 12, 97, 128, 1000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int d = AG_F32; d <= AG_F64; d++)
            for (int norm = AG_FFT_BACKWARD; norm <= AG_FFT_FORWARD; norm++) {
                const int64_t n = lengths[i];
                ag_tensor *x = scattered(tape, (ag_dtype)d, AG_SHAPE(3, n, 2), 1),
                          *r = scattered(tape, (ag_dtype)d, AG_SHAPE(n, 3), 1);
                const ag_fft_norm k = (ag_fft_norm)norm;
                expect_close(ag_ifft_over(ag_fft_over(x, AG_ALL_AXES, k), AG_ALL_AXES, k), x, 16);
                expect_close(ag_irfft_over(ag_rfft_over(r, AG_AXES(1, 0), k), n, AG_AXES(1, 0), k), r, 16);
                ag_tensor *whole = ag_fft(ag_complex(r, ag_sub(r, r)), 0);
                expect_close(ag_rfft(r, 0), ag_slice(whole, 0, 0, n / 2 + 1, 1), 16);
            }
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(2, 3), 1), *c = scattered(tape, AG_F64, AG_SHAPE(4, 2), 1);
    ag_fft(x, 0);
    expect_error(tape, AG_ERR_SHAPE, "fft: x (2,3): needs complex numbers: a last axis of 2 elements");
    ag_fft(c, 1);
    expect_error(tape, AG_ERR_AXIS, "fft: x (4,2): axis 1 is out of range for 1 axes");
    ag_fft_over(c, AG_AXES(0, -1), AG_FFT_ORTHO);
    expect_error(tape, AG_ERR_AXIS, "fft: ", "2 axes are given: 0 to 1 are wanted");
    ag_ifft_over(scattered(tape, AG_F64, AG_SHAPE(3, 4, 2), 1), AG_AXES(0, -2), AG_FFT_ORTHO);
    expect_error(tape, AG_ERR_AXIS, "ifft: ", "axis -2 is given twice");
    ag_fft_over(c, AG_ALL_AXES, (ag_fft_norm)3);
    expect_error(tape, AG_ERR_RANGE, "fft: ", "there is no norm 3");
    ag_irfft(c, -1, 0);
    expect_error(tape, AG_ERR_RANGE, "irfft: x (4,2): -1 real numbers cannot be made");
    ag_rfft(scattered(tape, AG_F64, AG_SHAPE(0), 1), 0);
    expect_error(tape, AG_ERR_SHAPE, "rfft: x (0): an axis has no elements");
    ag_rfft_over(x, (ag_axes){0, {0}}, AG_FFT_ORTHO);
    expect_error(tape, AG_ERR_AXIS, "rfft: x (2,3): an axis is wanted");
    ag_complex_mul(x, x);
    expect_error(tape, AG_ERR_SHAPE,
                 "complex_mul: a (2,3) and b (2,3): needs complex numbers: a last axis of 2 elements");
    ag_complex(x, c);
    expect_error(tape, AG_ERR_SHAPE, "complex: a (2,3) and b (4,2): axis -1 has 3 and 2 elements");
}
END_TEST

START_TEST(complex_magnitudes) {
    const double values[] = {3e200, 4e200, 3e-200, -4e-200, 0, 0, INFINITY, 1};
    ag_tensor *x = ag_parameter(tape, AG_F64, AG_SHAPE(4, 2), values), *y = ag_complex_abs(x), *dx;
    expect_near(y, 4, ((const double[]){5e200, 5e-200, 0, INFINITY}), 2, 0);
    ag_grad(ag_sum(ag_slice(y, 0, 0, 3, 1)), 1, &x, &dx);
    expect_near(ag_slice(dx, 0, 0, 3, 1), 6, ((const double[]){0.6, 0.8, 0.6, -0.8, 0, 0}), 4, 0);
}
END_TEST

/* ---- Threads, memory ---- */

static ag_tensor *everything(ag_tape *t) {
    ag_tensor *x = scattered(t, AG_F64, AG_SHAPE(6, 20, 20), 1), *one = ag_matrix_power(x, 0), *p, *q, *r;
    ag_tensor *a = ag_add(ag_scale(x, 0.05), one), *s = ag_matmul(a, turned(a));
    ag_tensor *all = ag_add(ag_add(ag_solve(a, x), ag_inverse(a)), ag_add(ag_cholesky(s), ag_matrix_exp(a)));
    ag_lu(x, &p, &q, &r);
    all = ag_add(all, ag_add(ag_matmul(p, q), r));
    all = ag_add(all, ag_unsqueeze(ag_unsqueeze(ag_det(a), -1), -1));
    if (ag__has_lapack()) {
        ag_qr(a, &p, &q);
        all = ag_add(all, ag_add(ag_square(p), ag_square(q)));
        ag_eigh(s, &p, &q);
        all = ag_add(all, ag_add(ag_unsqueeze(p, -1), ag_lstsq(a, x, -1)));
    }
    if (ag__has_fftw()) all = ag_add(all, ag_complex_abs(ag_fft(ag_complex(x, a), -1)));
    return all;
}

START_TEST(threads_do_not_change_bits) {
    ag_tensor *first = NULL;
    ag_tape *t[4];
    for (int i = 0; i < 4; i++) {
        t[i] = ag_tape_new();
        ag_tape_set_threads(t[i], i + 1);
        ag_tensor *y = everything(t[i]);
        ck_assert_msg(ag_data(y) != NULL, "%s", ag_tape_error(t[i]));
        if (!first) first = y;
        ck_assert(memcmp(ag_data(first), ag_data(y), (size_t)ag_size(y) * sizeof(double)) == 0);
    }
    for (int i = 0; i < 4; i++) ag_tape_free(t[i]);
}
END_TEST

static ag_status all_without_memory(ag_tape *t) {
    ag_tensor *x = scattered(t, AG_F64, AG_SHAPE(2, 3, 3), 1), *a = ag_add(ag_scale(x, 0.2), ag_matrix_power(x, 0));
    ag_tensor *y = ag_add(ag_add(ag_solve(a, x), ag_cholesky(a)), ag_add(ag_matrix_exp(a), ag_inverse(a))), *dy, *q, *r;
    y = ag_add(y, ag_unsqueeze(ag_unsqueeze(ag_det(a), -1), -1));
    if (ag__has_lapack()) ag_qr(a, &q, &r), y = ag_add(y, ag_add(ag_matmul(q, r), ag_pinv(a, -1)));
    if (ag__has_fftw()) y = ag_add(y, ag_irfft(ag_rfft(a, 1), 3, 1));
    ag_tensor *g = ag_ones(t, AG_F64, ag_shape_of(y));
    if (ag_vjp(1, &y, &g, 1, &x, &dy, 0) == AG_OK) ag_data(dy);
    return ag_tape_status(t);
}

START_TEST(matrices_without_memory) { with_each_allocation_failing(all_without_memory); }
END_TEST

int main(void) {
    Suite *suite = suite_create("linalg");
    TCase *group = tape_group(suite, "products");
    tcase_add_test(group, einsum_is_a_sum_over_all_indices);
    tcase_add_test(group, einsum_adds_up_products_of_what_lies_apart);
    tcase_add_test(group, einsum_says_where_the_text_is_wrong);
    tcase_add_test(group, einsum_takes_the_cheap_order);
    tcase_add_test(group, wrong_products);
    group = tape_group(suite, "matrices");
    tcase_add_loop_test(group, equations_and_factors_multiply_back, 0, SIZES);
    tcase_add_loop_test(group, orthogonal_factors_multiply_back, 0, 10);
    tcase_add_test(group, systems_without_elements_take_no_time);
    tcase_add_test(group, singular_matrices_without_columns_are_named);
    tcase_add_test(group, singular_matrices_are_named);
    tcase_add_test(group, cofactors_of_singular_matrices);
    tcase_add_loop_test(group, complete_pivoting_is_as_in_plain_loops, 0, 2);
    tcase_add_test(group, infinite_cotangents_of_factors_reach_what_they_depend_on);
    tcase_add_test(group, cotangents_above_the_diagonal_are_not_looked_at);
    tcase_add_test(group, determinants_neither_overflow_nor_vanish);
    tcase_add_test(group, elements_that_are_not_finite);
    tcase_add_test(group, wrong_matrices);
    tcase_add_test(group, missing_libraries_are_named);
    tcase_add_test(group, values_alone_are_those_beside_vectors);
    tcase_add_test(group, values_that_meet);
    tcase_add_test(group, vectors_of_a_singular_matrix_have_slopes);
    tcase_add_test(group, gradients_are_adjoints);
    group = tape_group(suite, "transforms");
    tcase_add_test(group, transforms_and_their_inverses);
    tcase_add_test(group, axes_whose_elements_are_far_apart);
    tcase_add_test(group, complex_magnitudes);
    group = plain_group(suite, "memory and threads");
    tcase_add_test(group, threads_do_not_change_bits);
    tcase_add_test(group, products_without_memory);
    tcase_add_test(group, matrices_without_memory);
    return run_suite(suite);
}
