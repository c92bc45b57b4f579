/* cases -- see cases.h
 *
 * Input values are exact in f32, so that both dtypes compute the same thing, and far enough apart from each other and
 * from zero for finite differences. */
#include "ops/fftw.h"
#include "ops/lapack.h"
#include "ops/rules.h"

#include "tests/case_rows.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- The families ---- */

#define NAMED(name) &cases_##name,
static const case_family *const families[] = {CASE_FAMILIES(NAMED)};
#undef NAMED

enum { FAMILIES = sizeof families / sizeof *families };

/* ---- Rows from the list of operations ---- */

typedef struct listed {
    const ag_op *op;
    ag_tensor *(*unary)(ag_tensor *x);
    ag_tensor *(*binary)(ag_tensor *a, ag_tensor *b);
} listed;

#define LISTED_UNARY(name) {&ag__op_##name, ag_##name, NULL},
#define LISTED_BINARY(name) {&ag__op_##name, NULL, ag_##name},
#define LISTED_NUMBER(name)
#define LISTED_NUMBER_FIRST(name)
#define LISTED_INNER(name)
#define LISTED_OTHER(name)
#define LISTED(kind, name) LISTED_##kind(name)

static const listed plain[] = {AG_OPS(LISTED)};

/* Functions that are no single instruction may be two units in the last place from the reference. */
static op_case row_of(const listed *l) {
    const ag_op *op = l->op;
    const bool compares = op->flags & AG_OP_PREDICATE, differentiable = !(op->flags & AG_OP_NOT_DIFFERENTIABLE);
    op_case c = {
        .name = op->name, .op = op->name, .unary = l->unary, .binary = l->binary, .n = op->arity, .variant = ""};
    for (int d = 0; d < AG_DTYPES; d++) c.dtypes |= (unsigned)ag__accepts(op, d) << d;
    c.flags = ELEMENTWISE | (differentiable ? GRAD : 0);
    c.ulps = op->flags & AG_OP_CHEAP ? 0 : 2;
    for (int i = 0; i < c.n; i++) {
        const ag_domain inside = op->domain[i];
        const domain d = inside.above < inside.below ? INSIDE : inside.nonzero ? NONZERO : ANY;
        c.x[i] = (case_input){.domain = compares ? TIES : d, .rank = 2, .extent = {2, 3}, .inside = inside};
    }
    if (compares) c.x[0].extent[0] = 3, c.x[0].extent[1] = 1, c.x[1].extent[0] = 3, c.x[1].rank = 1;
    for (int f = 0; f < FAMILIES; f++)
        for (const case_exception *e = families[f]->exceptions; e->name; e++)
            if (strcmp(e->name, op->name) == 0) c.ulps = e->ulps, c.flags |= e->flags;
    return c;
}

/* ---- The cases of a row ---- */

enum { PLAIN = sizeof plain / sizeof *plain, VARIANTS = 5 };

/* Row number `row`, from 0 on: those of the families, then those of the list. */
static bool row_at(int row, op_case *c) {
    for (int f = 0; f < FAMILIES; f++)
        for (const op_case *r = families[f]->rows; r->name; r++)
            if (row-- == 0) return *c = *r, true;
    if (row >= PLAIN) return false;
    return *c = row_of(&plain[row]), true;
}

static const char *const variants[VARIANTS] = {"", "scalar", "empty", "broadcast", "special"};

/* The shape of input i in a variant, for rows of one input and for others. */
static void vary(case_input *x, int variant, int n, int i) {
    static const struct {
        int rank;
        int64_t extent[3];
    } one[VARIANTS] = {{0, {0}}, {0, {0}}, {3, {2, 0, 3}}, {0, {0}}, {1, {16}}},
      several[VARIANTS][3] = {{{0, {0}}},
                              {{0, {0}}, {0, {0}}, {0, {0}}},
                              {{3, {2, 0, 3}}, {2, {1, 3}}, {0, {0}}},
                              {{3, {2, 1, 3}}, {2, {4, 1}}, {1, {1}}},
                              {{2, {10, 1}}, {1, {10}}, {3, {2, 10, 1}}}};
    int rank = n == 1 ? one[variant].rank : several[variant][i].rank;
    const int64_t *extent = n == 1 ? one[variant].extent : several[variant][i].extent;
    if (variant == 4 && x->domain != MASK) x->domain = SPECIAL;
    x->rank = rank;
    for (int k = 0; k < rank; k++) x->extent[k] = extent[k];
}

static bool has_variant(const op_case *row, int variant) {
    return variant == 0 || (row->flags & ELEMENTWISE && (variant != 3 || row->n > 1));
}

static op_case variant_of(const op_case *row, int variant) {
    op_case c = *row;
    c.variant = variants[variant];
    for (int i = 0; variant && i < c.n; i++) vary(&c.x[i], variant, c.n, i);
    if (variant == 4 && c.flags & GRAD) c.flags = (c.flags & ~(unsigned)GRAD) | (c.n == 1 ? SUBGRAD : 0);
    return c;
}

enum { MOST_CASES = 4096 };

/* The cases are worked out once: each test asks for one of them, and they are thousands. */
static struct {
    op_case at[MOST_CASES];
    int count;
} table;

/* Whether the build has the library that a row needs. */
static bool can_run(const op_case *row) {
    return (ag__has_lapack() || !(row->flags & LAPACK)) && (ag__has_fftw() || !(row->flags & FFTW));
}

static void work_out(void) {
    op_case c;
    for (int row = 0; row_at(row, &c); row++)
        for (int v = 0; v < VARIANTS; v++) {
            if (!has_variant(&c, v) || !can_run(&c)) continue;
            if (table.count == MOST_CASES) ck_abort_msg("there are more than %d cases", MOST_CASES);
            table.at[table.count++] = variant_of(&c, v);
        }
}

bool case_is_left_out(const char *op) {
    op_case c;
    for (int row = 0; row_at(row, &c); row++)
        if (c.op && strcmp(c.op, op) == 0 && !can_run(&c)) return true;
    return false;
}

int case_count(void) {
    if (!table.count) work_out();
    return table.count;
}

op_case case_at(int i) { return i < case_count() ? table.at[i] : (op_case){.name = "none"}; }

bool case_accepts(const op_case *c, ag_dtype dtype) { return c->dtypes >> dtype & 1; }

const char *case_title(const op_case *c, ag_dtype dtype) {
    static char title[4][96];
    static int next;
    char *text = title[next++ % 4];
    snprintf(text, sizeof title[0], "%s%s%s %s", c->name, *c->variant ? "/" : "", c->variant, ag_dtype_name(dtype));
    return text;
}

/* ---- Inputs ---- */

ag_dtype case_dtype(const op_case *c, ag_dtype dtype, int i) {
    return c->x[i].domain == INDEX ? AG_I64 : c->x[i].domain == MASK ? AG_BOOL : dtype;
}

ag_shape case_shape(const op_case *c, int i) {
    ag_shape shape = {c->x[i].rank, {0}};
    memcpy(shape.extent, c->x[i].extent, sizeof shape.extent);
    return shape;
}

static int64_t common_divisor(int64_t a, int64_t b) { return b ? common_divisor(b, a % b) : a; }

/* Number k of a permutation of 0…n-1. */
static int64_t shuffled(int64_t k, int64_t n) {
    int64_t step = 5;
    while (common_divisor(step, n) != 1) step += 2;
    return (k * step + n / 3) % n;
}

static double special_real(ag_dtype dtype, int64_t k) {
    double least = dtype == AG_F32 ? 0x1p-149 : 0x1p-1074, tiny = dtype == AG_F32 ? (double)FLT_MIN : DBL_MIN,
           most = dtype == AG_F32 ? (double)FLT_MAX : DBL_MAX;
    double values[] = {1, -0.0, INFINITY, NAN, -INFINITY, 0, -2, 3, least, -0.5, most, -most, tiny, -least, -1, 0.5};
    return values[k % 16];
}

static double special_value(ag_dtype dtype, int64_t k) {
    if (dtype == AG_BOOL) return (double)(k % 2);
    return dtype == AG_I64 ? (double)(k * 7 % 11 - 5) : special_real(dtype, k);
}

static double integer_value(domain d, int64_t k, int64_t n, int64_t limit) {
    if (d == INDEX) return (double)((k * 5 + 1 + k / limit) % limit);
    if (d == TIES) return (double)(k * 2 % 3 - 1);
    return (double)(shuffled(k, n) - n / 2);
}

/* Number k of n in an open interval, exact in f32 if its ends are short: at a distance from one end or from 0, or between. */
static double inside_value(ag_domain inside, int64_t k, int64_t n, double shift) {
    const double low = (double)inside.above, high = (double)inside.below,
                 distance = 0.25 + (double)shuffled(k, n) / 8 + shift;
    double parts = 4;
    if (isinf(high)) return fmax(low, 0) + distance;
    if (isinf(low)) return fmin(high, 0) - distance;
    while (parts < (double)n + 2) parts *= 2;
    return low + (high - low) * ((double)shuffled(k, n) + 1 + shift) / parts;
}

/* From −½ to ½ beside the diagonals. */
static double matrix_value(const case_input *x, int64_t k, int64_t n) {
    const int64_t columns = x->extent[x->rank - 1], row = k / columns % x->extent[x->rank - 2];
    return (double)(shuffled(k, n) % 17 - 8) / 16 + (row == k % columns ? 3 + (double)row : 0);
}

/* Inputs are moved against each other by 1/64 so that they never tie. */
static double real_value(const case_input *x, int64_t k, int64_t n, int i) {
    const domain d = x->domain;
    double shift = i / 64.0, place = (double)shuffled(k, n) / 8;
    if (d == INSIDE) return inside_value(x->inside, k, n, shift);
    if (d == TIES) return (double)(k * 2 % 3 - 1);
    if (d == POSITIVE) return 0.25 + place + shift;
    if (d == NONZERO) return (k % 2 ? -1 : 1) * (0.25 + place + shift);
    if (d == MATRIX) return matrix_value(x, k, n) + shift / 4;
    return place - (double)(n / 2) / 8 + 0.03125 + shift;
}

void case_values(const op_case *c, ag_dtype dtype, int i, double values[CASE_ELEMENTS]) {
    ag_shape shape = case_shape(c, i);
    ag_dtype own = case_dtype(c, dtype, i);
    domain d = c->x[i].domain;
    int64_t n = shape_size(&shape);
    if (n > CASE_ELEMENTS) ck_abort_msg("%s: inputs are too large", c->name);
    for (int64_t k = 0; k < n; k++)
        values[k] = d == SPECIAL     ? special_value(own, k)
                    : own == AG_BOOL ? (double)(k % 3 != 1)
                    : own == AG_I64  ? integer_value(d, k, n, c->x[i].limit)
                                     : real_value(&c->x[i], k, n, i);
}

void case_inputs(const op_case *c, ag_dtype dtype, ag_tape *t, ag_tensor *x[CASE_INPUTS]) {
    double values[CASE_ELEMENTS];
    for (int i = 0; i < c->n; i++) {
        case_values(c, dtype, i, values);
        x[i] = tensor_of(t, case_dtype(c, dtype, i), case_shape(c, i), values);
    }
}

ag_tensor *case_call(const op_case *c, ag_tape *t, ag_dtype dtype, ag_tensor *const x[]) {
    return c->unary ? c->unary(x[0]) : c->binary ? c->binary(x[0], x[1]) : c->build(t, dtype, x);
}

/* ---- For the golden values ---- */

double case_cotangent(int64_t j) { return (double)((j * 7 + 3) % 11 - 5) / 4 + 0.125; }

/* FNV-1a over the bytes of each number, the lowest first, whatever this machine's byte order. */
static uint64_t mix(uint64_t sum, const void *data, int64_t numbers) {
    for (int64_t i = 0; i < numbers; i++) {
        uint64_t bits;
        memcpy(&bits, (const char *)data + i * (int64_t)sizeof bits, sizeof bits);
        for (int k = 0; k < 8; k++, bits >>= 8) sum = (sum ^ (bits & 0xff)) * 0x100000001b3u;
    }
    return sum;
}

uint64_t case_checksum(const op_case *c, ag_dtype dtype) {
    uint64_t sum = 0xcbf29ce484222325u;
    double values[CASE_ELEMENTS];
    for (int i = 0; i < c->n; i++) {
        ag_shape shape = case_shape(c, i);
        case_values(c, dtype, i, values);
        for (int64_t k = 0; k < shape_size(&shape); k++)
            if (isnan(values[k])) values[k] = 12345; /* the bits of a NaN depend on the machine */
        sum = mix(sum, shape.extent, shape.rank);
        sum = mix(sum, values, shape_size(&shape));
    }
    return sum;
}

static void list_input(const op_case *c, ag_dtype dtype, int i) {
    double values[CASE_ELEMENTS];
    ag_shape shape = case_shape(c, i);
    case_values(c, dtype, i, values);
    printf("x\t%s\t", ag_dtype_name(case_dtype(c, dtype, i)));
    for (int k = 0; k < shape.rank; k++) printf("%s%lld", k ? "," : "", (long long)shape.extent[k]);
    printf("\t");
    for (int64_t k = 0; k < shape_size(&shape); k++) printf("%s%a", k ? " " : "", values[k]);
    printf("\n");
}

void case_list(void) {
    static const ag_dtype dtypes[] = {AG_F64, AG_F32, AG_I64, AG_BOOL};
    for (int number = 0; number < case_count(); number++) {
        op_case c = case_at(number);
        for (int k = 0; k < 4; k++) {
            if (!case_accepts(&c, dtypes[k]) || c.flags & NO_GOLDEN) continue;
            printf("case\t%s\t%s\t%s\t%d\t%llx\n", c.name, c.variant, ag_dtype_name(dtypes[k]),
                   (c.flags & (GRAD | SUBGRAD)) && dtypes[k] == AG_F64,
                   (unsigned long long)case_checksum(&c, dtypes[k]));
            for (int i = 0; i < c.n; i++) list_input(&c, dtypes[k], i);
        }
    }
}

/* ---- Functions of one real number ---- */

static real_function function_of(const listed *l) {
    const op_case row = row_of(l);
    real_function f = {.name = row.name, .call = row.unary, .ulps = row.ulps};
    f.units = l->op->flags & AG_OP_CHEAP ? 0.501 : 1.5;
    for (int k = 0; k < FAMILIES; k++)
        for (const case_reference *r = families[k]->references; r->name; r++)
            if (strcmp(r->name, f.name) == 0) f.units = r->units, f.narrow = r->narrow, f.wide = r->wide;
    return f;
}

/* A real number of a real number. */
static bool is_function(const listed *l) {
    return l->unary && !(l->op->flags & AG_OP_PREDICATE) && ag__accepts(l->op, AG_F32) && ag__accepts(l->op, AG_F64);
}

int real_function_count(void) {
    int count = 0;
    for (size_t k = 0; k < sizeof plain / sizeof *plain; k++) count += is_function(&plain[k]);
    return count;
}

real_function real_function_at(int i) {
    size_t k = 0;
    while (!is_function(&plain[k]) || i-- > 0) k++;
    return function_of(&plain[k]);
}
