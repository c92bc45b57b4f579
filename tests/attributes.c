/* attributes -- see attributes.h
 *
 * A third of the inputs are of any shape, the others of one that the operation takes; sizes of results are bounded only where
 * they would be computed. */
#include "tests/attributes.h"

#include "tests/cases.h"

#include <math.h>
#include <string.h>

enum { BYTES = 264, NUMBERS = 32, MODEST = 20000 };

static lots lot; /* of the call that is being made */

static uint64_t draw(void) { return lot.bits(lot.context); }
static int below(int n) { return lot.below(lot.context, n); }

/* ---- Attributes ---- */

static int64_t number(void) {
    static const int64_t extreme[] = {-1,
                                      INT64_MAX,
                                      INT64_MIN,
                                      INT64_MAX - 1,
                                      INT32_MAX,
                                      INT32_MIN,
                                      (int64_t)1 << 32,
                                      7,
                                      8,
                                      9,
                                      16,
                                      (int64_t)1 << 31,
                                      UINT32_MAX,
                                      (int64_t)1 << 59,
                                      (int64_t)1 << 60,
                                      (int64_t)1 << 61,
                                      255,
                                      INT64_MIN / 2,
                                      -2,
                                      -8,
                                      ((int64_t)1 << 32) + 1,
                                      100};
    double d;
    int64_t bits;
    switch (below(6)) {
    case 0: return extreme[below((int)(sizeof extreme / sizeof *extreme))];
    case 1: return (int64_t)(draw() << 40 ^ draw());
    case 2: d = below(2) ? (double)NAN : below(2) ? 1e300 : below(2) ? -(double)INFINITY : 0.5; break;
    default: return below(5);
    }
    memcpy(&bits, &d, sizeof bits);
    return bits;
}

/* The attributes of a valid call of some operation; returns their bytes. */
static size_t sensible(int64_t a[NUMBERS], const ag_op *op) {
    static const struct {
        const char *name;
        int64_t a[25];
    } table[] = {
        {"argmax", {1, 1}},
        {"betainc_slope", {0x3ff0000000000000}},
        {"broadcast_to", {3, 2, 3, 4}},
        {"cast", {2}},
        {"correlation", {1, 1, 0, 3, 0, 0, 3, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1}},
        {"depthwise", {1, 1, 0, 3, 0, 0, 3, 0, 0, 1, 0, 0, 1, 0, 0, 1}},
        {"concat", {0}},
        {"embed", {0, 1, 2, 9}},
        {"fft", {0x3ff0000000000000, 0, 1, 1}},
        {"fold", {1, 0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 6, 0, 0, 0, 1}},
        {"gather", {0}},
        {"gammainc_slope", {0x3ff0000000000000}},
        {"interpolate", {1, 1, 0, 0, 3, 0, 0, 5}},
        {"irfft", {0x3ff0000000000000, 2, 2, 0, 4}},
        {"lstsq", {0x3e80000000000000}},
        {"permute", {0x0001}},
        {"reshape", {2, 4, 3}},
        {"rfft", {0x3ff0000000000000, 1, 2, 1, 4}},
        {"solve", {0}},
        {"solve_triangular", {0}},
        {"unique", {2}},
        {"diagonal", {0, 0, 1}},
        {"one_hot", {5, 3}},
        {"index", {0x200020000, 0x1000000}},
        {"index_add", {0x200020000, 0x1000000}},
        {"index_put", {0x200020000, 0x1000000}},
        {"pad", {0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 5, 4}},
        {"slices", {0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4}},
        {"scatter_add", {0}},
        {"slice", {0, 0, 2, 2}},
        {"windows", {1, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 1}},
    };
    memset(a, 0, NUMBERS * sizeof *a);
    a[0] = below(2) ? 1 : (int64_t)1 << 32 | 1; /* of a reduction: axis 0, kept or not */
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, op->name) == 0) memcpy(a, table[i].a, sizeof table[i].a);
    return strcmp(op->name, "reshape") == 0 || strcmp(op->name, "broadcast_to") == 0 ? (size_t)(1 + a[0]) * 8
           : op->kind == AG_KIND_REDUCTION                                           ? sizeof(ag_axes_set)
                                                                                     : op->attribute_bytes;
}

static size_t attributes_of(const ag_op *op, unsigned char *to) {
    int64_t a[NUMBERS];
    size_t bytes = sensible(a, op);
    int how = below(10);
    if (how == 0)
        for (size_t i = 0; i < NUMBERS * sizeof *a; i++) ((unsigned char *)a)[i] = (unsigned char)draw();
    else if (how <= 3)
        for (int i = 0; i < NUMBERS; i++) a[i] = number();
    else if (how == 4) ((unsigned char *)a)[below((int)bytes + 1)] = (unsigned char)draw();
    else if (how <= 6) a[below((int)(bytes + 7) / 8 + 1)] = number();
    if (below(5) == 0) bytes = (size_t)below(BYTES - 8);
    memcpy(to, a, NUMBERS * sizeof *a);
    return bytes;
}

/* ---- Inputs ---- */

/* Whether input i is an index. */
static bool is_index(const ag_op *op, int i) {
    static const struct {
        const char *name;
        int i;
    } of[] = {{"gather", 1}, {"index", 1}, {"index_add", 2}, {"index_put", 2}, {"one_hot", 0}, {"scatter_add", 1}};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++)
        if (strcmp(of[k].name, op->name) == 0) return of[k].i == i;
    return false;
}

/* The shapes of the inputs of operations that no others fit; NULL: any will do. */
static const ag_shape *shapes_of(const ag_op *op) {
    static const struct {
        const char *name;
        ag_shape shape[3];
    } of[] = {
        {"cholesky", {{2, {4, 4}}}},
        {"cofactor", {{2, {4, 4}}}},
        {"det", {{2, {4, 4}}, {2, {4, 5}}}},
        {"eigh", {{2, {4, 4}}}},
        {"fft", {{3, {3, 4, 2}}}},
        {"interpolate", {{3, {2, 3, 4}}}},
        {"inverse", {{2, {4, 4}}, {2, {4, 5}}}},
        {"irfft", {{3, {4, 3, 2}}}},
        {"lstsq", {{2, {3, 4}}, {2, {3, 8}}, {2, {3, 2}}}},
        {"matrix_exp", {{2, {4, 4}}}},
        {"rfft", {{2, {3, 4}}}},
        {"shares", {{3, {2, 3, 4}}, {3, {2, 1, 4}}, {3, {2, 1, 4}}}},
        {"slogdet", {{2, {4, 4}}, {2, {4, 5}}}},
        {"solve", {{2, {4, 4}}, {2, {4, 5}}, {2, {4, 3}}}},
        {"solve_triangular", {{2, {4, 4}}, {2, {4, 3}}}},
        {"strong_matmul", {{2, {3, 4}}, {2, {4, 3}}}},
        {"unique", {{1, {4}}, {1, {4}}}},
    };
    for (size_t k = 0; k < sizeof of / sizeof *of; k++)
        if (strcmp(of[k].name, op->name) == 0) return of[k].shape;
    return NULL;
}

static bool is_bool(const ag_op *op, int i) {
    return strcmp(op->name, "where") == 0 ? i == 0 : strcmp(op->name, "unique") == 0 && i == 1;
}

/* The diagonal of a 4×4 matrix is larger than the rest, so that it has an inverse and is positive definite; and a 4×5
 * matrix is right as the result of an elimination: in its last column are the numbers of rows. */
static ag_tensor *input_of(ag_tape *t, const ag_op *op, int i) {
    double z[24];
    int64_t whole[24];
    unsigned char bools[24];
    const ag_shape *usual = shapes_of(op);
    for (int k = 0; k < 24; k++) z[k] = k / 4.0, whole[k] = k % 2, bools[k] = (unsigned char)(k % 2);
    static const ag_shape shapes[] = {{2, {3, 4}}, {2, {4, 3}}, {1, {4}}, {0, {0}}, {3, {2, 3, 4}}, {2, {0, 3}}};
    ag_shape shape = below(3) == 0 ? shapes[below(6)] : usual ? usual[i] : shapes[0];
    bool index = is_index(op, i);
    bool condition = is_bool(op, i);
    for (int k = 0; k < 4 && usual && shape.rank == 2 && shape.extent[0] == 4; k++) {
        z[k * (shape.extent[1] + 1)] += 16;
        if (shape.extent[1] == 5) z[k * 5 + 4] = k;
    }
    if (index) return ag_from(t, AG_I64, shape, whole);
    if (condition) return ag_from(t, AG_BOOL, shape, bools);
    if (i == op->arity - 1 && (strncmp(op->name, "draw_", 5) == 0 || strcmp(op->name, "multinomial") == 0))
        return ag_from(t, AG_I64, AG_SHAPE(2), whole);
    int dtype = below(6);
    if (dtype == 0) return ag_from(t, AG_I64, shape, whole);
    if (dtype == 1) return ag_from(t, AG_BOOL, shape, bools);
    if (dtype == 2) return ag_cast(ag_from(t, AG_F64, shape, z), AG_F32);
    ag_tensor *x = ag_parameter(t, AG_F64, shape, z);
    return dtype == 3 && shape.rank == 2 ? ag_transpose(x, 0, 1) : x;
}

/* ---- One call ---- */

static void expect_told(const ag_op *op, const ag_tape *t) {
    if (ag_tape_status(t) == AG_OK) return;
    const char *error = ag_tape_error(t);
    if (strncmp(error, op->name, strlen(op->name)) != 0 || strlen(error) < strlen(op->name) + 6)
        ck_abort_msg("%s: the error is \"%s\"", op->name, error);
}

/* Evaluate, differentiate and write y: each must succeed or be refused. */
static void use(ag_tape *t, ag_tensor *y, int n, ag_tensor *const x[]) {
    ag_tensor *dx[4], *real[4];
    int reals = 0;
    ag_data(y);
    ag_clear_error(t);
    for (int i = 0; i < n; i++)
        if (ag_dtype_of(x[i]) >= AG_F32) real[reals++] = x[i];
    if (ag_dtype_of(y) >= AG_F32 && reals > 0 && ag_grad(ag_sum(y), reals, real, dx) == AG_OK) ag_eval_all(reals, dx);
    ag_clear_error(t);
    ag_formula(y, NULL);
    ag_clear_error(t);
    ag_formula(y, &(ag_formula_options){.style = AG_STYLE_MATHML});
    ag_clear_error(t);
}

bool attributes_apply(const ag_op *op, const lots *from, const ag_allocator *allocator) {
    unsigned char memory[BYTES];
    lot = *from;
    unsigned char *attributes = memory + below(8); /* aligned or not */
    size_t bytes = attributes_of(op, attributes);
    ag_tape *t = ag_tape_new_with(allocator);
    int n = op->kind == AG_KIND_SOURCE ? 0 : op->arity < 0 ? 1 + below(4) : op->arity;
    ag_tensor *x[4], *y;
    for (int i = 0; i < n; i++) x[i] = i > 0 && !shapes_of(op) && below(3) ? x[0] : input_of(t, op, i);
    for (int i = 1; i < n; i++)
        if (is_index(op, i) && ag_op_of(x[i]) == ag_op_of(x[0])) x[i] = input_of(t, op, i);
    int64_t nodes = ag_tape_memory(t).nodes;
    y = op->kind == AG_KIND_SOURCE
            ? ag_apply_source(op, t, below(2) ? AG_F64 : (ag_dtype)below(5), AG_SHAPE(3, 4), attributes, bytes)
            : ag_apply(op, n, x, attributes, bytes);
    bool recorded = !ag_is_nil(y);
    expect_told(op, t);
    if (recorded != (ag_tape_status(t) == AG_OK)) ck_abort_msg("%s: nil without an error", op->name);
    if (!recorded && ag_tape_memory(t).nodes > nodes + n) /* versions of parameters at most */
        ck_abort_msg("%s: a refused call leaves nodes", op->name);
    if (recorded && ag_size(y) <= MODEST) use(t, y, n, x);
    ag_tape_free(t);
    return recorded;
}
