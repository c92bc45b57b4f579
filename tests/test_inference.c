/* test_inference -- calls that are nearly valid: what is inferred, or the exact message
 *
 *     test_inference --list FILE   writes golden/inference.h
 *
 * The valid calls are those of the table of cases, of operations that have an infer: their inputs' shapes and dtypes, and
 * their attributes. One thing of each is then changed: an extent, a rank, a dtype, a number among the attributes. All that
 * comes of it is compared with a list: refusals word for word; dtypes, shapes, and the elements of views. */
#include "autograd/tape/limits.h"
#include "autograd/tape/node.h"
#include "tests/cases.h"

#include <float.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/golden/inference.h"

enum { INPUTS = 6, WORDS = 64, LINE = 1 << 12, LINES = 256, BASES = 2, SHOWN = 24 };

/* A call of an operation by its entry. */
typedef struct call {
    const ag_op *op;
    int n;
    ag_shape shape[INPUTS];
    ag_dtype dtype[INPUTS];
    ag_dtype ydtype; /* of a source, as the next */
    ag_shape yshape;
    int32_t word[WORDS]; /* the attributes */
    size_t bytes;
} call;

/* The lines of a call: the changes that have the same outcome, and that. The first is the outcome without a change, and of
 * all changes that are not listed. */
static struct lines {
    int count;
    char changes[LINES][LINE], outcome[LINES][LINE];
} lines;

static void note(const char *change, const char *outcome) {
    int k = 0;
    while (k < lines.count && strcmp(lines.outcome[k], outcome) != 0) k++;
    if (k == lines.count) {
        ck_assert_int_lt(lines.count++, LINES);
        lines.changes[k][0] = 0;
        snprintf(lines.outcome[k], LINE, "%s", outcome);
    }
    size_t used = strlen(lines.changes[k]);
    if (k > 0) snprintf(lines.changes[k] + used, LINE - used, "%s%s", used ? ", " : "", change);
}

/* ---- One call ---- */

static ag_tensor *input(ag_tape *t, ag_dtype dtype, const ag_shape *shape) {
    ag_tensor *x = ag_reshape(ag_arange(t, AG_I64, shape_size(shape)), *shape);
    return ag_cast(x, dtype);
}

static size_t print_shape(char *to, size_t size, const ag_shape *shape) {
    size_t used = (size_t)snprintf(to, size, "(");
    for (int i = 0; i < shape->rank && used < size; i++)
        used += (size_t)snprintf(to + used, size - used, i ? ",%" PRId64 : "%" PRId64, shape->extent[i]);
    return used + (size_t)snprintf(to + used, size - used, ")");
}

/* The error; or the dtype and shape, and of a small view its elements: they are those of the input's numbers. */
static void outcome(const call *c, char text[LINE]) {
    ag_tape *t = ag_tape_new();
    ag_tensor *x[INPUTS];
    for (int i = 0; i < c->n; i++) x[i] = input(t, c->dtype[i], &c->shape[i]);
    ck_assert_int_eq(ag_tape_status(t), AG_OK);
    ag_tensor *y = c->op->kind == AG_KIND_SOURCE ? ag_apply_source(c->op, t, c->ydtype, c->yshape, c->word, c->bytes)
                                                 : ag_apply(c->op, c->n, x, c->word, c->bytes);
    if (ag_tape_status(t) != AG_OK) {
        snprintf(text, LINE, "%d %s", (int)ag_tape_status(t), ag_tape_error(t));
        text[strcspn(text, "\n")] = 0;
    } else {
        const ag_shape shape = ag_shape_of(y);
        size_t used = (size_t)snprintf(text, LINE, "%s ", ag_dtype_name(ag_dtype_of(y)));
        used += print_shape(text + used, LINE - used, &shape);
        for (int64_t i = 0; c->op->kind == AG_KIND_VIEW && i < shape_size(&shape) && i < SHOWN; i++)
            used += (size_t)snprintf(text + used, LINE - used, i ? " %g" : ": %g", ag_element(y, i));
    }
    for (char *p = strstr(text, "-nan"); p; p = strstr(p, "-nan")) memmove(p, p + 1, strlen(p)); /* its sign is any */
    ag_tape_free(t);
}

static void try(const call *c, const char *format, ...) {
    static char text[LINE];
    char change[64];
    va_list args;
    va_start(args, format);
    vsnprintf(change, sizeof change, format, args);
    va_end(args);
    outcome(c, text);
    note(change, text);
}

/* ---- Its changes ---- */

static void change_shapes(const call *c, int i) {
    const ag_shape s = c->shape[i];
    for (int k = 0; k < s.rank; k++)
        for (int64_t by = -1; by <= 1; by++) {
            call other = *c;
            other.shape[i].extent[k] = by ? s.extent[k] + by : 0;
            if (other.shape[i].extent[k] >= 0) try(&other, "x%d.%d=%" PRId64, i, k, other.shape[i].extent[k]);
        }
    for (int rank = 0; rank <= AG_MAX_RANK; rank += rank < s.rank + 1 ? 1 : AG_MAX_RANK - s.rank - 1) {
        call other = *c;
        if (rank == s.rank) continue;
        other.shape[i] = (ag_shape){.rank = rank};
        for (int k = 0; k < rank; k++) {
            const int from = k - rank + s.rank;
            other.shape[i].extent[k] = from >= 0 ? s.extent[from] : 1;
        }
        try(&other, "x%d.rank=%d", i, rank);
        if (rank > s.rank && s.rank + 1 == AG_MAX_RANK) break;
    }
}

static void change_dtypes(const call *c, int i) {
    for (int d = 0; d < AG_DTYPES; d++) {
        call other = *c;
        other.dtype[i] = (ag_dtype)d;
        if (other.dtype[i] != c->dtype[i]) try(&other, "x%d is %s", i, ag_dtype_name((ag_dtype)d));
    }
}

/* All that have the dtype of the first input have another. */
static void change_dtype(const call *c) {
    for (int d = 0; c->n > 1 && d < AG_DTYPES; d++) {
        call other = *c;
        for (int i = 0; i < c->n; i++)
            if (c->dtype[i] == c->dtype[0]) other.dtype[i] = (ag_dtype)d;
        if (other.dtype[0] != c->dtype[0]) try(&other, "all are %s", ag_dtype_name((ag_dtype)d));
    }
}

/* Attributes that are no whole number of numbers are bytes. */
static void change_bytes(const call *c) {
    static const unsigned char to[] = {0, 1, 2, 3, 4, 8, 9, 255};
    for (size_t k = 0; c->bytes % sizeof(int32_t) != 0 && k < c->bytes; k++)
        for (size_t i = 0; i < sizeof to; i++) {
            call other = *c;
            unsigned char *byte = (unsigned char *)other.word + k;
            if (*byte == to[i]) continue;
            *byte = to[i];
            try(&other, "b%d=%d", (int)k, to[i]);
        }
}

/* The ends of ranges. */
static const struct extreme {
    int64_t number;
    const char *shown;
} extremes[] = {{INT64_MIN, "min"},         {INT64_MAX, "max"},        {INT32_MAX, "2^31-1"},
                {(int64_t)1 << 31, "2^31"}, {INT64_MAX / 8, "2^60-1"}, {INT64_MAX / 8 + 1, "2^60"}};

/* A number of 64 bits is two words. */
static void change_number(const call *c, int k, int64_t v, const char *shown) {
    call other = *c;
    memcpy(&other.word[2 * k], &v, sizeof v);
    if (memcmp(other.word, c->word, sizeof other.word) != 0) try(&other, "W%d=%s", k, shown);
}

static void change_attributes(const call *c) {
    const int words = (int)(c->bytes / sizeof *c->word);
    for (int k = 0; k < words; k++)
        for (int v = -1; v <= (k % 2 ? 2 : 5); v++) { /* every other word is likely to be half a number */
            call other = *c;
            other.word[k] = v;
            if (v != c->word[k]) try(&other, "w%d=%d", k, v);
        }
    for (int k = 0; k < words / 2; k++) {
        if (c->word[2 * k + 1]) change_number(c, k, 0, "0");
        change_number(c, k, -1, "-1");
        for (size_t i = 0; i < sizeof extremes / sizeof *extremes; i++)
            change_number(c, k, extremes[i].number, extremes[i].shown);
    }
    for (int by = -8; by <= 8; by += 16) {
        call other = *c;
        if ((int)c->bytes + by < 0) continue;
        other.bytes = (size_t)((int)c->bytes + by);
        if (c->bytes > 0) try(&other, "%d bytes", by);
    }
}

static void change(const call *c) {
    lines.count = 0;
    try(c, "as it is");
    for (int i = 0; i < c->n; i++) change_shapes(c, i), change_dtypes(c, i);
    change_dtype(c);
    change_bytes(c);
    if (c->bytes % sizeof(int32_t) == 0) change_attributes(c);
}

/* ---- The valid calls ---- */

static const ag_tensor *find(const ag_tensor *y, const char *op) {
    if (ag_op_of(y) && strcmp(ag_op_of(y)->name, op) == 0) return y;
    const ag_tensor *found = NULL;
    for (int i = 0; i < ag_inputs(y) && !found; i++) found = find(ag_input(y, i), op);
    return found;
}

/* The call of its operation that a case records; false if it records none. */
static bool call_of(const op_case *c, call *found) {
    ag_tensor *x[CASE_INPUTS];
    ag_dtype d = AG_F64;
    while (d > 0 && !case_accepts(c, d)) d = (ag_dtype)(d - 1);
    if (!c->op || c->variant[0] || !case_accepts(c, d)) return false;
    case_inputs(c, d, tape, x);
    const ag_tensor *y = find(case_call(c, tape, d, x), c->op);
    if (!y || !ag_op_of(y)->infer || ag_inputs(y) > INPUTS || y->attribute_bytes > sizeof found->word - 8) return false;
    *found = (call){.op = ag_op_of(y), .n = ag_inputs(y), .ydtype = ag_dtype_of(y), .yshape = ag_shape_of(y)};
    for (int i = 0; i < found->n; i++)
        found->shape[i] = ag_shape_of(ag_input(y, i)), found->dtype[i] = ag_dtype_of(ag_input(y, i));
    found->bytes = y->attribute_bytes;
    if (found->bytes > 0) memcpy(found->word, ag_attributes(y), found->bytes);
    return true;
}

/* Whether few cases before this one are of its operation. */
static bool is_base(int i) {
    const op_case c = case_at(i);
    int before = 0;
    for (int k = 0; k < i && c.op; k++) {
        const op_case other = case_at(k);
        before += other.op && strcmp(other.op, c.op) == 0 && !other.variant[0];
    }
    return before < BASES;
}

/* Numbers among the attributes are in the order of these processors. */
static bool usual_layout(void) {
    const int32_t one = 1;
    return *(const char *)&one == 1 && sizeof(void *) == 8;
}

static const char *title(const op_case *c) {
    static char text[128];
    return snprintf(text, sizeof text, "= %s", c->name), text;
}

static const char *line(int i) {
    static char text[2 * LINE];
    return snprintf(text, sizeof text, "%s%s%s", lines.changes[i], i ? ": " : "", lines.outcome[i]), text;
}

START_TEST(calls_that_are_nearly_valid_are_as_listed) {
    const op_case c = case_at(_i);
    call base;
    if (!is_base(_i) || !call_of(&c, &base) || !usual_layout()) return;
    if (AG_TINY_LIMITS && strcmp(c.name, "distinct") == 0) return; /* its output has the extent of a limit */
    size_t k = 0;
    while (golden_inference[k] && strcmp(golden_inference[k], title(&c)) != 0) k++;
    ck_assert_msg(golden_inference[k], "%s is not in the list: run test_inference --list", c.name);
    change(&base);
    for (int i = 0; i < lines.count; i++) {
        const char *want = golden_inference[++k];
        ck_assert_msg(want && strcmp(line(i), want) == 0, "%s: %s\n%s", c.name, line(i), want ? want : "");
    }
    ck_assert(!golden_inference[k + 1] || golden_inference[k + 1][0] == '=');
}
END_TEST

/* ---- Beyond the cases ---- */

static const ag_op *named(const char *name) {
    int i = 0;
    while (ag_op_at(i) && strcmp(ag_op_at(i)->name, name) != 0) i++;
    return ag_op_at(i);
}

/* Calls that no public function makes, or whose shapes and numbers are at an end of what is accepted. */
/* clang-format off */
static const struct {
    const char *op;
    int n;
    ag_dtype dtype[3];
    ag_shape shape[3];
    size_t count; /* of the numbers */
    int64_t number[22];
    const char *outcome;
} calls[] = {
    {"matmul", 2, {AG_F64, AG_F64}, {{2, {2, 3}}, {1, {3}}}, 0, {0},
     "2 matmul: a (2,3) and b (3): both must have two axes or more"},
    {"matmul", 2, {AG_F64, AG_F64}, {{1, {3}}, {2, {3, 2}}}, 0, {0},
     "2 matmul: a (3) and b (3,2): both must have two axes or more"},
    {"multinomial", 2, {AG_F64, AG_I64}, {{1, {3}}, {1, {2}}}, 2, {4},
     "5 multinomial: a (3) and b i64 (2): 4 samples of 3"},
    {"multinomial", 2, {AG_F64, AG_I64}, {{3, {2, 4, 3}}, {1, {2}}}, 2, {4},
     "5 multinomial: a (2,4,3) and b i64 (2): 4 samples of 3"},
    {"multinomial", 2, {AG_F64, AG_I64}, {{2, {0, 0}}, {1, {2}}}, 2, {1, 1},
     "2 multinomial: a (0,0) and b i64 (2): there are no weights"},
    {"multinomial", 2, {AG_F64, AG_I64}, {{2, {2, 1}}, {1, {2}}}, 2, {1}, "i64 (2,1)"},
    {"depthwise", 2, {AG_F64, AG_F64}, {{5, {1, 2, 2, 2, 1}}, {4, {1, 1, 1, 1}}}, 22,
     {3, 2, 0, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1}, "f64 (1,2,2,2,1)"},
    {"depthwise", 2, {AG_F64, AG_F64}, {{3, {1, 2, 1}}, {2, {1, 1}}}, 22,
     {1, 2, 8, 2, 0, 0, 2, 0, 0, 1, 0, 0, 1, 0, 0, 1}, "5 depthwise: a (1,2,1) and b (1,1): the attributes are out of range"},
    {"lu", 1, {AG_F32}, {{2, {16777216, 0}}}, 0, {0}, "f32 (16777216,1)"},
    {"lu", 1, {AG_F32}, {{2, {16777217, 0}}}, 0, {0},
     "2 lu: x f32 (16777217,0): 16777217 rows are too many to be numbered in this dtype"},
    {"lu", 1, {AG_F32}, {{3, {1, 16777217, 0}}}, 0, {0},
     "2 lu: x f32 (1,16777217,0): 16777217 rows are too many to be numbered in this dtype"},
    {"lu", 1, {AG_F64}, {{2, {9007199254740992, 0}}}, 0, {0}, "f64 (9007199254740992,1)"},
    {"lu", 1, {AG_F64}, {{2, {9007199254740993, 0}}}, 0, {0},
     "2 lu: x (9007199254740993,0): 9007199254740993 rows are too many to be numbered in this dtype"},
    {"index", 3, {AG_F64, AG_I64, AG_I64}, {{3, {2, 2, 2}}, {1, {2}}, {1, {2}}}, 3, {1 << 16, 0x20201000000},
     "4 index: a (2,2,2), b i64 (2) and c i64 (2): each axis must be indexed once, or be an axis of the result"},
    {"index_put", 3, {AG_BOOL, AG_BOOL, AG_I64}, {{1, {3}}, {1, {2}}, {1, {2}}}, 3, {1 << 16 | AG_PUT_SET, 1 << 24}, "bool (3)"},
    {"index_put", 3, {AG_BOOL, AG_BOOL, AG_I64}, {{1, {3}}, {1, {2}}, {1, {2}}}, 3, {1 << 16 | AG_PUT_MAX, 1 << 24},
     "3 index_put: a bool (3), b bool (2) and c i64 (2): the dtype bool is not supported"},
    {"qr", 1, {AG_F64}, {{2, {3000000000, 0}}}, 0, {0}, "2 qr: x (3000000000,0): the matrices are too large for LAPACK"},
    {"svd", 1, {AG_F64}, {{3, {1, 0, 3000000000}}}, 0, {0}, "2 svd: x (1,0,3000000000): the matrices are too large for LAPACK"},
    {"slice", 1, {AG_F64}, {{1, {3}}}, 4, {1, 0, 1, 0}, "5 slice: x (3): 0 indices from 0, step 1, are not all on axis 1"},
    {"slice", 1, {AG_F64}, {{2, {3, 2}}}, 4, {0, INT64_MAX, 1, 0}, "f64 (0,2)"},
    {"argsort", 1, {AG_F32}, {{2, {0, UINT32_MAX - 1}}}, 2, {0}, "i64 (0,4294967294)"},
    {"argsort", 1, {AG_F32}, {{2, {0, UINT32_MAX}}}, 2, {0},
     "2 argsort: x f32 (0,4294967295): the axis has 2³² − 1 elements or more"},
    {"argsort", 1, {AG_F64}, {{2, {0, UINT32_MAX}}}, 2, {0}, "i64 (0,4294967295)"},
    {"correlation", 2, {AG_F64, AG_F64}, {{3, {1, INT64_MAX / 32, 0}}, {3, {1, 1, 0}}}, 22,
     {1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 32}, "2 correlation: a (1,288230376151711743,0) and b (1,1,0): the result would have more elements than can be counted, with "
     "extent 9223372036854775776 at axis 2"},
    {"correlation", 2, {AG_F64, AG_F64}, {{3, {1, INT64_MAX / 32 + 1, 0}}, {3, {1, 1, 0}}}, 22,
     {1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 32}, "2 correlation: a (1,288230376151711744,0) and b (1,1,0): (N,L…,C) and (K…,C/G,K) are wanted, or (N,O…,K) with the "
     "places of windows, and channels that are multiples of the groups"},
    {"gammainc_slope", 2, {AG_F64, AG_F64}, {{0, {0}}, {0, {0}}}, 1, {0x3fe0000000000000}, "5 gammainc_slope: a () and b (): the derivative must have a number from 1 to 2"},
    {"gammainc_slope", 2, {AG_F64, AG_F64}, {{0, {0}}, {0, {0}}}, 1, {0x3ff0000000000000}, "f64 ()"},
    {"gammainc_slope", 2, {AG_F64, AG_F64}, {{0, {0}}, {0, {0}}}, 1, {0x3ff8000000000000}, "5 gammainc_slope: a () and b (): the derivative must have a number from 1 to 2"},
    {"gammainc_slope", 2, {AG_F64, AG_F64}, {{0, {0}}, {0, {0}}}, 1, {0x4000000000000000}, "f64 ()"},
    {"gammainc_slope", 2, {AG_F64, AG_F64}, {{0, {0}}, {0, {0}}}, 1, {0x4008000000000000}, "5 gammainc_slope: a () and b (): the derivative must have a number from 1 to 2"},
    {"betainc_slope", 3, {AG_F64, AG_F64, AG_F64}, {{0, {0}}, {0, {0}}, {0, {0}}}, 1, {0x3ff0000000000000}, "f64 ()"},
    {"betainc_slope", 3, {AG_F64, AG_F64, AG_F64}, {{0, {0}}, {0, {0}}, {0, {0}}}, 1, {0x4014000000000000}, "f64 ()"},
    {"betainc_slope", 3, {AG_F64, AG_F64, AG_F64}, {{0, {0}}, {0, {0}}, {0, {0}}}, 1, {0x4018000000000000}, "5 betainc_slope: a (), b () and c (): the derivative must have a number from 1 to 5"},
    {"betainc_slope", 3, {AG_F64, AG_F64, AG_F32}, {{0, {0}}, {0, {0}}, {0, {0}}}, 1, {0x3ff0000000000000}, "3 betainc_slope: a (), b () and c f32 (): dtypes f64 and f32 differ"},
    {"betainc_slope", 3, {AG_F64, AG_F32, AG_F64}, {{0, {0}}, {0, {0}}, {0, {0}}}, 1, {0x3ff0000000000000}, "3 betainc_slope: a (), b f32 () and c (): dtypes f64 and f32 differ"},
    {"permute", 1, {AG_F64}, {{3, {1, 2, 2}}}, 1, {0x10100}, "4 permute: x (1,2,2): each axis must be given once"},
    {"solve_triangular", 2, {AG_F64, AG_F64}, {{4, {2, 3, 4, 4}}, {4, {2, 3, 4, 1}}}, 3, {0}, "f64 (2,3,4,1)"},
    {"solve_triangular", 2, {AG_F64, AG_F64}, {{1, {4}}, {2, {4, 1}}}, 3, {0},
     "2 solve_triangular: a (4) and b (4,1): needs two axes or more"},
    {"rfft", 1, {AG_F64}, {{8, {1, 1, 1, 1, 1, 1, 1, 4}}}, 5, {0x3ff0000000000000, 1, 128, 1, 4},
     "2 rfft: x (1,1,1,1,1,1,1,4): the result would have 9 axes, not 0 to 8"},
};
/* clang-format on */

START_TEST(calls_at_an_end_are_as_said) {
    static char text[LINE];
    call c = {.op = named(calls[_i].op), .n = calls[_i].n, .bytes = calls[_i].count * sizeof(int64_t)};
    if (case_is_left_out(calls[_i].op) || !usual_layout()) return;
    memcpy(c.shape, calls[_i].shape, sizeof calls[_i].shape);
    memcpy(c.dtype, calls[_i].dtype, sizeof calls[_i].dtype);
    memcpy(c.word, calls[_i].number, sizeof calls[_i].number);
    outcome(&c, text);
    ck_assert_str_eq(text, calls[_i].outcome);
}
END_TEST

/* The same of random numbers and progressions: three numbers, and how many are wanted. */
static const struct {
    const char *op;
    ag_dtype dtype;
    int64_t n;
    double number[3];
    const char *outcome;
} sources[] = {
    {"arange", AG_F64, 1, {DBL_MAX, DBL_MAX, DBL_MAX}, "f64 (1)"},
    {"arange", AG_I64, 1, {0x1p53, -1, 0x1p53}, "i64 (1)"},
    {"arange", AG_I64, 2, {0x1p53 - 2, 1, 0x1p53 - 1}, "i64 (2)"},
    {"arange",
     AG_I64,
     4,
     {0x1p53 - 2, 2, 0x1p53 + 4},
     "5 arange: 9.0072e+15 and 2 must be integers, here and at the end"},
    {"arange", AG_I64, 2, {0, 0.5, 0.5}, "5 arange: 0 and 0.5 must be integers, here and at the end"},
    {"arange", AG_I64, 2, {0.5, 1, 1.5}, "5 arange: 0.5 and 1 must be integers, here and at the end"},
    {"uniform", AG_F64, 1, {-DBL_MAX, DBL_MAX}, "f64 (1)"},
    {"uniform", AG_F32, 1, {-FLT_MAX, FLT_MAX}, "f32 (1)"},
    {"uniform", AG_F32, 1, {-FLT_MAX, 1e39}, "5 uniform: -3.40282e+38 and 1e+39 must both be finite in f32"},
};

START_TEST(sources_at_an_end_are_as_said) {
    static char text[LINE];
    call c = {.op = named(sources[_i].op), .ydtype = sources[_i].dtype, .yshape = {1, {sources[_i].n}}, .bytes = 32};
    memcpy(c.word, sources[_i].number, sizeof sources[_i].number);
    outcome(&c, text);
    ck_assert_str_eq(text, sources[_i].outcome);
}
END_TEST

/* ---- */

static FILE *written;

static void write_text(const char *text) {
    fprintf(written, "    \"");
    for (const char *p = text; *p; p++) fprintf(written, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
    fprintf(written, "\",\n");
}

START_TEST(the_list_is_written) {
    const op_case c = case_at(_i);
    call base;
    if (!is_base(_i) || !call_of(&c, &base)) return;
    change(&base);
    write_text(title(&c));
    for (int k = 0; k < lines.count; k++) write_text(line(k));
    fflush(written);
}
END_TEST

static int list(const char *path) {
    written = fopen(path, "w");
    if (!written) return perror(path), 2;
    fprintf(written, "/* Written by test_inference --list: of each call its outcome, and changes with theirs. */\n"
                     "static const char *const golden_inference[] = {\n");
    fflush(written);
    Suite *suite = suite_create("list");
    tcase_add_loop_test(tape_group(suite, "calls"), the_list_is_written, 0, case_count());
    const int failed = run_suite(suite);
    fprintf(written, "    NULL};\n");
    return fclose(written) || failed;
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--list") == 0) return list(argv[2]);
    Suite *suite = suite_create("inference");
    tcase_add_loop_test(tape_group(suite, "calls"), calls_that_are_nearly_valid_are_as_listed, 0, case_count());
    tcase_add_loop_test(tape_group(suite, "ends"), calls_at_an_end_are_as_said, 0, sizeof calls / sizeof *calls);
    tcase_add_loop_test(tape_group(suite, "sources"), sources_at_an_end_are_as_said, 0,
                        sizeof sources / sizeof *sources);
    return run_suite(suite);
}
