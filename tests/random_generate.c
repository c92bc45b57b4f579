/* random_generate -- a program from a seed
 *
 * Each line is recorded on a tape of the generator's own as soon as it is drawn, and computed by the reference
 * evaluator: so shapes are inferred only once, and the next draw depends on the magnitudes, so that the values of a
 * long program stay finite (unless it is a wild one). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/tape/limits.h"
#include "tests/random_program.h"
#include "tests/support.h"

enum { PALETTE = 5, MOST_RANK = AG_MAX_RANK };

typedef struct value {
    ag_tensor *tensor; /* NULL: the line has none */
    ag_dtype dtype;
    ag_shape shape;
    int64_t size;
    double low, high, least; /* of all elements; least in magnitude */
    bool finite;
} value;

typedef struct generator {
    program *p;
    ag_tape *tape;
    uint64_t random;
    int64_t most; /* elements of one value */
    int64_t extent[PALETTE];
    ag_shape base;  /* most values have this shape, or one that is broadcast to it */
    ag_dtype dtype; /* most real values have this one */
    bool ties, quiet;
    value value[MOST_LINES];
} generator;

/* ---- Drawing ---- */

static uint64_t draw(generator *g) {
    uint64_t z = g->random += 0x9E3779B97F4A7C15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static int64_t below(generator *g, int64_t n) { return (int64_t)(draw(g) % (uint64_t)n); }
static int pick(generator *g, int n) { return (int)below(g, n); }
static bool chance(generator *g, int percent) { return pick(g, 100) < percent; }

/* An axis of so many, counted from the end at times. */
static int either_way(generator *g, int axis, int rank) { return chance(g, 30) ? axis - rank : axis; }

/* A scalar for scalar forms: often the identity element. */
static double some_scalar(generator *g, ag_dtype dtype) {
    static const double values[] = {0, 1, -1, 2, 3, 0.5, -0.25, 1.5, 0.1, 1, 2};
    double s = values[pick(g, (int)(sizeof values / sizeof *values))];
    return dtype == AG_I64 ? floor(s) : s;
}

/* ---- Lines ---- */

static void measure(generator *g, value *v) {
    const void *data = ag_data(v->tensor);
    if (!data) return;
    v->low = INFINITY, v->high = -INFINITY, v->least = INFINITY, v->finite = true;
    for (int64_t i = 0; i < v->size; i++) {
        double e = element_at(v->dtype, data, i);
        v->finite = v->finite && isfinite(e);
        v->low = fmin(v->low, e);
        v->high = fmax(v->high, e);
        v->least = fmin(v->least, fabs(e));
    }
    if (v->size == 0) v->low = v->high = v->least = 1;
    (void)g;
}

/* Appends a line; returns its number. */
static int append(generator *g, const line *l) {
    int number = g->p->count;
    if (number == MOST_LINES) ck_abort_msg("too many lines");
    ag_tensor *tensors[MOST_LINES];
    for (int i = 0; i < number; i++) tensors[i] = g->value[i].tensor;
    g->p->line[g->p->count++] = *l;
    value *v = &g->value[number];
    memset(v, 0, sizeof *v);
    ag_tensor *y = line_record(l, g->tape, tensors);
    if (line_has_value(l)) {
        *v = (value){.tensor = y, .dtype = ag_dtype_of(y), .shape = ag_shape_of(y), .size = ag_size(y)};
        g->p->line[number].y_dtype = v->dtype;
        g->p->line[number].y_shape = v->shape;
        measure(g, v);
    }
    if (ag_tape_status(g->tape) != AG_OK) {
        program_print(stderr, g->p);
        ck_abort_msg("seed %llu gives an invalid program: %s", (unsigned long long)g->p->seed, ag_tape_error(g->tape));
    }
    return number;
}

static line line_of(const char *name) { return (line){.form = form_named(name)}; }

static int x_line(generator *g, const char *name, int x) {
    line l = line_of(name);
    l.operands = 1, l.x[0] = x;
    return append(g, &l);
}

static int ab_line(generator *g, const char *name, int a, int b) {
    line l = line_of(name);
    l.operands = 2, l.x[0] = a, l.x[1] = b;
    return append(g, &l);
}

static int abc_line(generator *g, const char *name, int a, int b, int c) {
    line l = line_of(name);
    l.operands = 3, l.x[0] = a, l.x[1] = b, l.x[2] = c;
    return append(g, &l);
}

static int scalar_line(generator *g, const char *name, int x, double s) {
    line l = line_of(name);
    l.operands = 1, l.x[0] = x, l.scalar[0] = s;
    return append(g, &l);
}

static int axis_line(generator *g, const char *name, int x, int axis, bool keep) {
    line l = line_of(name);
    l.operands = 1, l.x[0] = x, l.number[0] = axis, l.keep = keep;
    return append(g, &l);
}

static int axes_line(generator *g, const char *name, int x, ag_axes axes, bool keep) {
    line l = line_of(name);
    l.operands = 1, l.x[0] = x, l.axes = axes, l.keep = keep;
    return append(g, &l);
}

static int shape_line(generator *g, const char *name, int x, ag_shape shape) {
    line l = line_of(name);
    l.operands = 1, l.x[0] = x, l.shape = shape;
    return append(g, &l);
}

static int cast_line(generator *g, int x, ag_dtype dtype) {
    line l = line_of("ag_cast");
    l.operands = 1, l.x[0] = x, l.dtype = dtype;
    return append(g, &l);
}

static int slice_line(generator *g, const char *name, int x, int axis, int64_t a, int64_t b, int64_t c) {
    line l = line_of(name);
    l.operands = 1, l.x[0] = x;
    l.number[0] = axis, l.number[1] = a, l.number[2] = b, l.number[3] = c;
    return append(g, &l);
}

static int leaf_line(generator *g, const char *name, ag_dtype dtype, ag_shape shape, domain d) {
    line l = line_of(name);
    l.dtype = dtype, l.shape = shape, l.domain = d, l.data = draw(g) >> 32;
    return append(g, &l);
}

static int index_line(generator *g, ag_shape shape, int64_t bound) {
    line l = line_of("ag_from");
    l.dtype = AG_I64, l.shape = shape, l.domain = INDICES, l.number[1] = bound, l.data = draw(g) >> 32;
    return append(g, &l);
}

static void statement(generator *g, const char *name, int x) {
    line l = line_of(name);
    l.operands = 1, l.x[0] = x;
    append(g, &l);
}

/* ---- Shapes ---- */

static domain some_domain(generator *g) {
    if (g->p->wild && chance(g, 40)) return SPECIAL;
    return g->ties ? TIES : chance(g, 15) ? POSITIVE : ORDINARY;
}

/* A shape that broadcasts to `shape`: without leading axes, others 1. */
static ag_shape narrowed(generator *g, ag_shape shape) {
    int gone = chance(g, 40) && shape.rank > 0 ? pick(g, shape.rank + 1) : 0;
    ag_shape s = {.rank = shape.rank - gone};
    for (int i = 0; i < s.rank; i++) s.extent[i] = chance(g, 30) ? 1 : shape.extent[i + gone];
    return s;
}

/* Elements, counting extents of 0 as 1, as after a sum over that axis. */
static int64_t room_of(const ag_shape *shape) {
    int64_t n = 1;
    for (int i = 0; i < shape->rank; i++) n *= shape->extent[i] > 1 ? shape->extent[i] : 1;
    return n;
}

static ag_shape some_shape(generator *g) {
    if (chance(g, 50)) return g->base;
    if (chance(g, 75)) return narrowed(g, g->base);
    ag_shape s = {.rank = pick(g, 4)};
    for (int i = 0; i < s.rank; i++) s.extent[i] = g->extent[pick(g, PALETTE)];
    while (room_of(&s) > g->most) s.extent[pick(g, s.rank)] = 2;
    return s;
}

static bool broadcasts(const ag_shape *a, const ag_shape *b, ag_shape *y) {
    *y = a->rank >= b->rank ? *a : *b;
    for (int i = 1; i <= a->rank && i <= b->rank; i++) {
        int64_t e = a->extent[a->rank - i], f = b->extent[b->rank - i];
        if (e != f && e != 1 && f != 1) return false;
        y->extent[y->rank - i] = e == 1 ? f : e;
    }
    return true;
}

static bool same_shape(const ag_shape *a, const ag_shape *b) {
    for (int i = 0; i < a->rank; i++)
        if (a->rank != b->rank || a->extent[i] != b->extent[i]) return false;
    return a->rank == b->rank;
}

/* ---- Operands ---- */

/* Clearly inside, and not so far out that a derivative would be next to nothing. */
static bool inside(const value *v, ag_domain d) {
    const double margin = 1.0 / 64, far = 1e3;
    if (d.nonzero && v->least < margin) return false;
    if (!(d.above < d.below)) return true;
    return v->low >= fmax((double)d.above + margin, -far) && v->high <= fmin((double)d.below - margin, far);
}

static bool fits(const generator *g, const value *v, need n) {
    bool number = v->dtype != AG_BOOL;
    if (g->p->wild || !number) return true;
    if (!v->finite) return false;
    const double far = n.modest ? 16 : 1e6;
    return v->high <= far && v->low >= -far && inside(v, n.domain);
}

/* A number of any sign as one of the domain: between two ends, or a distance from one end, or from 0. */
static int moved_into(generator *g, int x, ag_domain d) {
    const double low = (double)d.above, high = (double)d.below;
    if (low < high && isfinite(low) && isfinite(high)) {
        int share = scalar_line(g, "ag_scale", x_line(g, "ag_sigmoid", x), 0.875 * (high - low));
        return scalar_line(g, "ag_add_scalar", share, low + (high - low) / 16);
    }
    int distance = scalar_line(g, "ag_add_scalar", x_line(g, chance(g, 50) ? "ag_square" : "ag_abs", x), 0.25);
    if (low < high && isinf(low)) return scalar_line(g, "ag_rsub_scalar", distance, fmin(high, 0));
    return low < high && low > 0 ? scalar_line(g, "ag_add_scalar", distance, low) : distance;
}

/* x, brought into the domain `n` by further lines. */
static int fixed(generator *g, int x, need n) {
    const value *v = &g->value[x];
    if (fits(g, v, n)) return x;
    if (v->dtype == AG_I64) { /* without logarithm and quotient */
        int y = scalar_line(g, "ag_minimum_scalar", x, 15);
        return scalar_line(g, "ag_maximum_scalar", y, -9);
    }
    static const char *const modest[] = {"ag_tanh", "ag_sin", "ag_sigmoid", "user_softsign"};
    bool anywhere = !(n.domain.above < n.domain.below) && !n.domain.nonzero;
    int y = !v->finite || v->high > 1e3 || v->low < -1e3 || anywhere ? x_line(g, modest[pick(g, 4)], x) : x;
    if (fits(g, &g->value[y], n)) return y;
    if (!g->value[y].finite) { /* it has NaN all the same: an empty mean */
        int zero = scalar_line(g, "ag_add_scalar", x, 0), mask = ab_line(g, "ag_equal", zero, x);
        line l = line_of("ag_zeros");
        l.dtype = g->value[x].dtype, l.shape = g->value[x].shape;
        int zeros = append(g, &l), bounded = abc_line(g, "ag_where", mask, x, zeros);
        y = x_line(g, "ag_tanh", bounded);
    }
    return anywhere ? y : moved_into(g, y, n.domain);
}

static bool has_dtype(const value *v, unsigned dtypes) { return v->tensor && dtypes >> v->dtype & 1; }

/* A value of one of these dtypes, late ones more often, so that programs become deep; −1: there is no such value. */
static int drawn_operand(generator *g, unsigned dtypes) {
    int n = g->p->count;
    for (int tries = 0; tries < 12; tries++) {
        int from = chance(g, 50) && n > 6 ? n - 6 : 0, i = from + pick(g, n - from);
        if (has_dtype(&g->value[i], dtypes)) return i;
    }
    return -1;
}

static ag_dtype some_dtype(generator *g, unsigned dtypes) {
    if (dtypes >> g->dtype & 1 && chance(g, 80)) return g->dtype;
    ag_dtype d;
    do d = (ag_dtype)pick(g, AG_DTYPES);
    while (!(dtypes >> d & 1));
    return d;
}

static int operand(generator *g, unsigned dtypes, need n) {
    int i = chance(g, 92) ? drawn_operand(g, dtypes) : -1;
    if (i < 0)
        i = leaf_line(g, chance(g, 70) ? "ag_from" : "ag_wrap", some_dtype(g, dtypes), some_shape(g), some_domain(g));
    return fixed(g, i, n);
}

/* A value of that dtype that broadcasts with x. */
static int partner(generator *g, int x, need n) {
    ag_shape y;
    for (int tries = 0; tries < 12 && !chance(g, 10); tries++) {
        int i = drawn_operand(g, 1u << g->value[x].dtype);
        if (i < 0 || !broadcasts(&g->value[x].shape, &g->value[i].shape, &y) || room_of(&y) > g->most) continue;
        return fixed(g, i, n);
    }
    return fixed(g, leaf_line(g, "ag_from", g->value[x].dtype, narrowed(g, g->value[x].shape), some_domain(g)), n);
}

/* A value of exactly that dtype and shape. */
static int twin(generator *g, int x) {
    for (int tries = 0; tries < 8; tries++) {
        int i = drawn_operand(g, 1u << g->value[x].dtype);
        if (i >= 0 && same_shape(&g->value[i].shape, &g->value[x].shape)) return i;
    }
    return leaf_line(g, "ag_from", g->value[x].dtype, g->value[x].shape, some_domain(g));
}

static int mask_for(generator *g, int x) {
    ag_shape y;
    for (int tries = 0; tries < 6; tries++) {
        int i = drawn_operand(g, 1u << AG_BOOL);
        if (i >= 0 && broadcasts(&g->value[x].shape, &g->value[i].shape, &y) && room_of(&y) <= g->most) return i;
    }
    if (chance(g, 50)) return ab_line(g, chance(g, 50) ? "ag_less" : "ag_equal", x, partner(g, x, ANYTHING_GOES));
    return leaf_line(g, "ag_from", AG_BOOL, narrowed(g, g->value[x].shape), ORDINARY);
}

/* ---- Calls by kind ---- */

enum { REALS = 1 << AG_F32 | 1 << AG_F64, NUMBERS = REALS | 1 << AG_I64, ALL = NUMBERS | 1 << AG_BOOL };

static const form *some_form(generator *g, kind k) {
    const form *found = NULL;
    for (int i = 0, seen = 0; i < form_count; i++)
        if (form_kind(&forms[i]) == k && pick(g, ++seen) == 0) found = &forms[i];
    return found;
}

static void some_unary(generator *g) {
    const form *f = some_form(g, KIND_UNARY);
    line l = {.form = f, .operands = 1, .x = {operand(g, form_dtypes(f), form_need(f, 0))}};
    append(g, &l);
}

static bool same_need(need a, need b) {
    return a.domain.above == b.domain.above && a.domain.below == b.domain.below &&
           a.domain.nonzero == b.domain.nonzero && a.modest == b.modest;
}

static void some_binary(generator *g, kind k) {
    const form *f = some_form(g, k);
    need first = form_need(f, 0), second = form_need(f, 1);
    int a = operand(g, form_dtypes(f), first), b = chance(g, 8) ? fixed(g, a, second) : partner(g, a, second);
    bool swapped = same_need(first, second) && chance(g, 30);
    line l = {.form = f, .operands = 2, .x = {swapped ? b : a, swapped ? a : b}};
    append(g, &l);
}

static void some_scalar_form(generator *g) {
    const form *f = some_form(g, KIND_SCALAR);
    line l = {.form = f, .operands = 1};
    l.x[0] = operand(g, form_dtypes(f), form_need(f, 0));
    l.scalar[0] = some_scalar(g, g->value[l.x[0]].dtype);
    if (strcmp(f->name, "ag_div_scalar") == 0 && l.scalar[0] == 0) l.scalar[0] = 4;
    if (f->signature == SIG_X_SS) {
        l.scalar[0] = -0.5 * pick(g, 3);
        l.scalar[1] = 0.25 * pick(g, 4);
    }
    append(g, &l);
}

static ag_axes some_axes(generator *g, int rank) {
    ag_axes axes = {0};
    if (chance(g, 15)) return AG_ALL_AXES;
    for (int i = 0; i < rank; i++)
        if (chance(g, rank > 1 ? 45 : 80)) axes.axis[axes.count++] = either_way(g, i, rank);
    return axes;
}

static bool empty_along(const generator *g, int x) { return g->value[x].size == 0; }

static void some_reduction(generator *g) {
    static const char *const whole[] = {"ag_sum", "ag_mean", "ag_max", "ag_min", "ag_var"};
    if (chance(g, 20)) {
        int which = pick(g, 5);
        const form *f = form_named(whole[which]);
        int x = operand(g, form_dtypes(f), ANYTHING_GOES);
        if (which == 2 || which == 3 ? empty_along(g, x) : which != 0 && g->value[x].size < 2) return;
        scalar_line(g, f->name, x, which == 4 && chance(g, 50));
        return;
    }
    const form *f = some_form(g, KIND_REDUCTION);
    line l = {.form = f, .operands = 1, .keep = chance(g, 50)};
    l.x[0] = operand(g, form_dtypes(f), form_need(f, 0));
    if (empty_along(g, l.x[0]) && f->call.x_axes_keep != ag_sum_over) return;
    const int rank = g->value[l.x[0]].shape.rank;
    l.axes = some_axes(g, rank);
    if (rank == AG_MAX_RANK && l.axes.count == 0) l.axes = AG_AXES(-1); /* a median of no axis wants one more */
    int64_t n = l.axes.count < 0 ? g->value[l.x[0]].size : 1;
    for (int i = 0; i < l.axes.count; i++) n *= g->value[l.x[0]].shape.extent[(l.axes.axis[i] + rank) % rank];
    l.scalar[0] = f->call.x_axes_s_keep == user_reduced ? pick(g, REDUCED_WAYS) : n > 1 && chance(g, 30);
    append(g, &l);
}

static void some_along(generator *g) {
    const form *f = some_form(g, KIND_ALONG);
    int x = operand(g, form_dtypes(f), ANYTHING_GOES), rank = g->value[x].shape.rank;
    if (rank == 0 || empty_along(g, x)) return;
    axis_line(g, f->name, x, either_way(g, pick(g, rank), rank), chance(g, 50));
}

static void some_source(generator *g) {
    const form *f = some_form(g, KIND_SOURCE);
    line l = {.form = f, .dtype = some_dtype(g, form_dtypes(f)), .shape = some_shape(g)};
    l.number[0] = g->base.rank ? g->base.extent[g->base.rank - 1] : 3;
    l.scalar[0] = f->signature == SIG_TDS_SS ? -0.5 : some_scalar(g, l.dtype);
    l.scalar[1] = 0.75;
    append(g, &l);
}

static void some_choice(generator *g) {
    int a = operand(g, ALL, ANYTHING_GOES), b = partner(g, a, ANYTHING_GOES);
    ag_shape s, y;
    int m = mask_for(g, a);
    broadcasts(&g->value[a].shape, &g->value[m].shape, &s);
    if (!broadcasts(&s, &g->value[b].shape, &y) || room_of(&y) > g->most) return;
    abc_line(g, "ag_where", m, a, b);
}

static void some_cast(generator *g) {
    int x = operand(g, ALL, ANYTHING_GOES);
    cast_line(g, x, chance(g, 60) ? (ag_dtype)(AG_F32 + pick(g, 2)) : (ag_dtype)pick(g, AG_DTYPES));
}

/* ---- Views ---- */

static int permuted(generator *g, int x) {
    int rank = g->value[x].shape.rank;
    ag_axes order = {.count = rank};
    for (int i = 0; i < rank; i++) {
        int j = pick(g, i + 1);
        order.axis[i] = order.axis[j];
        order.axis[j] = either_way(g, i, rank);
    }
    return axes_line(g, "ag_permute", x, order, false);
}

static int transposed(generator *g, int x) {
    int rank = g->value[x].shape.rank;
    line l = line_of("ag_transpose");
    l.operands = 1, l.x[0] = x;
    l.number[0] = either_way(g, pick(g, rank), rank), l.number[1] = either_way(g, pick(g, rank), rank);
    if (rank > 1 && chance(g, 60)) l.number[0] = -1, l.number[1] = -2;
    return append(g, &l);
}

static int sliced(generator *g, int x) {
    static const int64_t steps[] = {1, 1, 2, 3, -1, -1, -2, -3};
    int rank = g->value[x].shape.rank, axis = pick(g, rank);
    int64_t n = g->value[x].shape.extent[axis], step = steps[pick(g, 8)];
    int64_t start = chance(g, 40) ? AG_END : below(g, n + 1) - (chance(g, 30) ? n : 0);
    int64_t stop = chance(g, 40) ? AG_END : below(g, n + 1) - (chance(g, 30) ? n : 0);
    return slice_line(g, "ag_slice", x, either_way(g, axis, rank), start, stop, step);
}

/* Extents of the same product: two axes joined, or one split. */
static int reshaped(generator *g, int x) {
    ag_shape s = g->value[x].shape;
    int rank = s.rank, i = rank ? pick(g, rank) : 0;
    if (chance(g, 20) && g->value[x].size > 0) {
        s = AG_SHAPE(-1);
    } else if (rank > 1 && i + 1 < rank && chance(g, 60)) {
        s.extent[i] *= s.extent[i + 1];
        for (int k = i + 1; k + 1 < rank; k++) s.extent[k] = s.extent[k + 1];
        s.rank--;
    } else if (rank > 0 && rank < MOST_RANK) {
        int64_t e = s.extent[i], factor = e % 2 == 0 && e ? 2 : e % 3 == 0 && e ? 3 : 1;
        for (int k = rank; k > i; k--) s.extent[k] = s.extent[k - 1];
        s.extent[i] = e / factor;
        s.extent[i + 1] = factor;
        s.rank++;
    }
    return shape_line(g, "ag_reshape", x, s);
}

static int broadcast(generator *g, int x) {
    ag_shape s = g->value[x].shape, y;
    if (!broadcasts(&s, &g->base, &y) || room_of(&y) > g->most) y = s;
    if (y.rank < MOST_RANK && chance(g, 40) && room_of(&y) * 2 <= g->most) {
        memmove(y.extent + 1, y.extent, (size_t)y.rank * sizeof *y.extent);
        y.extent[0] = 1 + pick(g, 2);
        y.rank++;
    }
    return shape_line(g, "ag_broadcast_to", x, y);
}

static int some_view_of(generator *g, int x) {
    int rank = g->value[x].shape.rank, which = pick(g, 10);
    if (which < 2) return reshaped(g, x);
    if (which == 2) return broadcast(g, x);
    if (which == 3 && rank < MOST_RANK)
        return axis_line(g, "ag_unsqueeze", x, either_way(g, pick(g, rank + 1), rank + 1), false);
    if (which == 4) {
        ag_axes axes = chance(g, 50) ? AG_ALL_AXES : (ag_axes){0};
        for (int i = 0; i < rank && axes.count >= 0; i++)
            if (g->value[x].shape.extent[i] == 1 && chance(g, 60)) axes.axis[axes.count++] = either_way(g, i, rank);
        return axes_line(g, "ag_squeeze", x, axes, false);
    }
    if (rank == 0) return x;
    if (which == 5) return permuted(g, x);
    if (which == 6) return transposed(g, x);
    if (which == 7) return axis_line(g, "ag_flip", x, either_way(g, pick(g, rank), rank), false);
    return sliced(g, x);
}

static void some_view(generator *g) {
    int x = operand(g, ALL, ANYTHING_GOES);
    for (int n = 1 + pick(g, 3); n > 0; n--) x = some_view_of(g, x);
}

static void some_windows(generator *g) {
    if (chance(g, 20)) {
        int row = operand(g, REALS, MODEST);
        if (g->value[row].size > 0) x_line(g, chance(g, 50) ? "user_depthwise" : "user_resized", row);
        return;
    }
    int x = operand(g, REALS, ANYTHING_GOES), rank = g->value[x].shape.rank;
    if (rank > 0 && rank < MOST_RANK && g->value[x].size > 0 && 2 * g->value[x].size <= g->most)
        axis_line(g, "user_windows", x, pick(g, rank), false);
}

/* A line of windows of x along one axis or two, and one that folds them back; false if they do not fit. */
static bool windows_of(generator *g, int x, line *l, line *back) {
    int rank = g->value[x].shape.rank, n = 1 + (rank > 1 && chance(g, 30));
    if (rank == 0 || rank + n > AG_MAX_RANK - 1 || empty_along(g, x)) return false;
    *l = line_of("ag_windows"), *back = line_of("ag_fold");
    int first = pick(g, rank - n + 1);
    l->operands = back->operands = 1, l->x[0] = x;
    l->axes.count = n, l->shape.rank = l->shape2.rank = n;
    int64_t room = g->value[x].size;
    back->shape.rank = n;
    for (int i = 0; i < n; i++) {
        int64_t e = back->shape.extent[i] = g->value[x].shape.extent[first + i], most = e < 4 ? e : 4;
        l->axes.axis[i] = first + i;
        room *= l->shape.extent[i] = 1 + below(g, most);
        l->shape2.extent[i] = 1 + below(g, 3);
    }
    back->axes = l->axes, back->shape2 = l->shape2;
    return room <= g->most;
}

/* The largest elements of windows, whose last axis comes behind them, as the channels of images do. */
static void some_pooling(generator *g) {
    line l, back;
    if (!windows_of(g, operand(g, REALS, MODEST), &l, &back)) return;
    const int y = append(g, &l), rank = g->value[y].shape.rank, last = rank - l.axes.count - 1;
    ag_axes order = {.count = rank}, over = {.count = l.axes.count};
    for (int i = 0; i < rank; i++) order.axis[i] = i < last ? i : i < rank - 1 ? i + 1 : last;
    for (int i = 0; i < over.count; i++) over.axis[i] = last + i;
    const int windows = axes_line(g, "ag_permute", y, order, false);
    const int most = axes_line(g, chance(g, 50) ? "ag_max_over" : "ag_min_over", windows, over, chance(g, 50));
    if (chance(g, 70)) x_line(g, "ag_square", most);
}

/* Windows, an operation on them, and perhaps folded back. */
static void some_folding(generator *g) {
    line l, back;
    if (chance(g, 30)) {
        some_pooling(g);
        return;
    }
    if (!windows_of(g, operand(g, ALL, ANYTHING_GOES), &l, &back)) return;
    int y = append(g, &l);
    if (g->value[y].dtype == AG_BOOL || chance(g, 30)) return;
    back.x[0] = chance(g, 60) ? scalar_line(g, "ag_add_scalar", y, 1) : y;
    append(g, &back);
}

/* A function of a small matrix, and mostly something that depends on all of it. */
static void some_linear_algebra(generator *g) {
    int y = axis_line(g, "user_linear", operand(g, REALS, MODEST), pick(g, LINEAR_WAYS), false);
    if (chance(g, 70)) x_line(g, "ag_sum", y);
}

static void some_running(generator *g) {
    int x = operand(g, REALS, ANYTHING_GOES);
    if (g->value[x].shape.rank > 0) x_line(g, "user_running", x);
}

/* ---- Several inputs ---- */

static void some_concat(generator *g) {
    line l = line_of("ag_concat");
    int x = operand(g, ALL, ANYTHING_GOES), rank = g->value[x].shape.rank, axis;
    if (rank == 0) return;
    l.number[0] = either_way(g, axis = pick(g, rank), rank);
    for (int n = 1 + pick(g, 3); n > 0; n--) {
        int y = chance(g, 30) ? x : twin(g, x);
        int64_t most = g->value[y].shape.extent[axis];
        if (chance(g, 30)) y = slice_line(g, "ag_slice", y, axis, below(g, most + 1), AG_END, 1);
        l.x[l.operands++] = y;
    }
    if (g->value[x].size * l.operands <= g->most) append(g, &l);
}

static void some_embed(generator *g) {
    int x = operand(g, ALL, ANYTHING_GOES), rank = g->value[x].shape.rank;
    if (rank == 0) return;
    int axis = pick(g, rank);
    int64_t m = g->value[x].shape.extent[axis], step = 1 + below(g, 2), before = below(g, 3);
    int64_t n = before + (m ? (m - 1) * step + 1 : 0) + below(g, 3);
    if (g->value[x].size / (m ? m : 1) * n > g->most) return;
    bool back = chance(g, 30) && m > 0;
    slice_line(g, "ag_embed", x, either_way(g, axis, rank), n, back ? before + (m - 1) * step : before,
               back ? -step : step);
}

/* ---- Padding, repeating, diagonals ---- */

static int n_line(generator *g, const char *name, int x, int64_t n, int axis) {
    line l = line_of(name);
    l.operands = 1, l.x[0] = x, l.number[0] = n, l.number[1] = axis;
    return append(g, &l);
}

static void some_pad(generator *g) {
    int x = operand(g, ALL, ANYTHING_GOES), rank = g->value[x].shape.rank;
    line l = line_of("ag_pad");
    l.operands = 1, l.x[0] = x;
    int64_t room = 1;
    for (int i = 0; i < rank; i++) {
        const int64_t n = g->value[x].shape.extent[i];
        int64_t before = pick(g, 3), after = pick(g, 3);
        if (n > 2 && chance(g, 20)) before = -1;
        if (chance(g, 40)) before = after = 0;
        l.axes.axis[i] = either_way(g, i, rank);
        l.shape.extent[i] = before, l.shape2.extent[i] = after;
        room *= n + before + after;
    }
    l.axes.count = l.shape.rank = l.shape2.rank = rank;
    if (room <= g->most) append(g, &l);
}

static void some_repetition(generator *g) {
    int x = operand(g, ALL, ANYTHING_GOES), rank = g->value[x].shape.rank;
    if (rank == 0 || 6 * g->value[x].size > g->most) return;
    int axis = either_way(g, pick(g, rank), rank);
    if (chance(g, 40)) {
        n_line(g, "ag_repeat_interleave", x, below(g, 4), axis);
        return;
    }
    ag_shape times = {.rank = rank < MOST_RANK ? rank + pick(g, 3) - 1 : rank};
    if (times.rank == 0) times.rank = 1;
    for (int i = 0; i < times.rank; i++) times.extent[i] = 1;
    times.extent[pick(g, times.rank)] = below(g, 4);
    times.extent[pick(g, times.rank)] = 2;
    shape_line(g, "ag_tile", x, times);
}

static void some_rearranging(generator *g) {
    int x = operand(g, ALL, ANYTHING_GOES), rank = g->value[x].shape.rank, which = pick(g, 4);
    if (rank == 0) return;
    if (which == 0) x_line(g, "user_corner", x);
    else if (which == 1) n_line(g, "ag_roll", x, below(g, 9) - 4, either_way(g, pick(g, rank), rank));
    else if (which == 2 && rank > 1) n_line(g, "ag_tril", x, below(g, 5) - 2, 0);
    else if (rank == 2 || (rank == 1 && (g->value[x].size + 1) * (g->value[x].size + 1) <= g->most))
        n_line(g, "ag_diag", x, rank == 1 ? pick(g, 2) : below(g, 5) - 2, 0);
}

/* A shape with extent n along the axis; elsewhere that of x, or 1. */
static ag_shape index_shape(generator *g, ag_shape shape, int axis, int64_t n) {
    for (int i = 0; i < shape.rank; i++)
        if (i != axis && chance(g, 40)) shape.extent[i] = 1;
    shape.extent[axis] = n;
    return shape;
}

/* Indices of m elements, perhaps counted from the end. */
static int from_the_end(generator *g, int index, int64_t m) {
    return chance(g, 30) ? scalar_line(g, "ag_add_scalar", index, (double)-m) : index;
}

static void some_gather(generator *g) {
    int x = operand(g, ALL, ANYTHING_GOES);
    ag_shape s = g->value[x].shape;
    if (s.rank == 0 || g->value[x].size == 0) return;
    int axis = pick(g, s.rank);
    int64_t m = s.extent[axis], n = below(g, 2 * m + 1);
    if (g->value[x].size / m * n > g->most) n = m;
    line l = line_of(chance(g, 70) ? "ag_gather" : chance(g, 50) ? "ag_index_select" : "ag_take_along_axis");
    l.operands = 2, l.x[0] = x, l.number[0] = either_way(g, axis, s.rank);
    if (l.form->call.ab_axis == ag_index_select) l.x[1] = index_line(g, AG_SHAPE(n), m);
    else if (chance(g, 25) && s.rank > 1 && g->value[x].dtype != AG_BOOL)
        l.x[1] = axis_line(g, "ag_argmax", fixed(g, twin(g, x), ANYTHING_GOES), axis, true);
    else l.x[1] = index_line(g, index_shape(g, s, axis, n), m);
    if (g->value[l.x[1]].dtype != AG_I64) return;
    if (l.form->call.ab_axis != ag_gather) l.x[1] = from_the_end(g, l.x[1], m);
    append(g, &l);
}

static void some_scatter(generator *g) {
    int x = operand(g, NUMBERS, ANYTHING_GOES);
    ag_shape s = g->value[x].shape;
    if (s.rank == 0 || g->value[x].size == 0) return;
    int axis = pick(g, s.rank);
    int64_t n = below(g, 2 * s.extent[axis] + 1);
    if (g->value[x].size / s.extent[axis] * n > g->most) n = 1;
    static const char *const scatters[] = {"ag_scatter_add", "ag_scatter_add", "ag_index_add", "ag_scatter",
                                           "ag_scatter_max"};
    line l = line_of(scatters[pick(g, 5)]);
    const bool list = l.form->call.abc_axis == ag_index_add;
    int index = index_line(g, list ? AG_SHAPE(n) : index_shape(g, s, axis, n), s.extent[axis]);
    if (l.form->call.abc_axis != ag_scatter_add) index = from_the_end(g, index, s.extent[axis]);
    int source = leaf_line(g, "ag_from", g->value[x].dtype, index_shape(g, s, axis, n), some_domain(g));
    if (chance(g, 50)) source = x_line(g, "ag_neg", source);
    l.operands = 3, l.x[0] = x, l.x[1] = index, l.x[2] = source, l.number[0] = either_way(g, axis, s.rank);
    append(g, &l);
}

static void some_layer(generator *g) {
    const form *f = some_form(g, KIND_LAYER);
    line l = {.form = f, .operands = 2, .number = {below(g, 1 << 30)}};
    l.x[0] = operand(g, form_dtypes(f), form_need(f, 0));
    const int b = drawn_operand(g, 1u << g->value[l.x[0]].dtype);
    l.x[1] = b < 0 ? l.x[0] : fixed(g, b, form_need(f, 1));
    append(g, &l);
}

static void some_one_hot(generator *g) { x_line(g, "user_one_hot", index_line(g, narrowed(g, AG_SHAPE(2, 3)), 9)); }

static void some_placing(generator *g) {
    static void (*const places[])(generator *) = {some_embed, some_pad, some_repetition, some_rearranging,
                                                  some_one_hot};
    places[pick(g, 5)](g);
}

static void some_user(generator *g) {
    line l = line_of("user_weighted");
    int x = operand(g, REALS, ANYTHING_GOES), which = pick(g, 5);
    if (which == 0) {
        static const char *const three[] = {"user_blend", "ag_lerp", "ag_clamp_between", "user_incomplete"};
        abc_line(g, three[pick(g, 4)], x, twin(g, x), x);
    } else if (which == 1) {
        for (int n = 1 + pick(g, MOST_OPERANDS); n > 0; n--) l.x[l.operands++] = twin(g, x);
        append(g, &l);
    } else if (which == 2) {
        x_line(g, "user_is_small", x);
    } else if (which == 3) {
        some_windows(g);
    } else {
        some_running(g);
    }
}

/* ---- Products ---- */

enum { MOST_WORK = 1 << 20 };

/* A (…,k,n) to multiply x (…,m,k) by: x transposed, another value, a leaf, or a transposed view. */
static int factor(generator *g, int x) {
    ag_shape s = g->value[x].shape;
    int64_t k = s.extent[s.rank - 1], n = chance(g, 30) ? s.extent[s.rank - 2] : 1 + below(g, 9);
    for (int tries = 0; tries < 6; tries++) {
        int i = drawn_operand(g, 1u << g->value[x].dtype);
        if (i < 0 || !fits(g, &g->value[i], MODEST)) continue;
        ag_shape t = g->value[i].shape, y, a = s, b = t;
        if (t.rank < 2) continue;
        bool as_it_is = t.extent[t.rank - 2] == k;
        a.rank -= 2, b.rank -= 2;
        if (!broadcasts(&a, &b, &y)) continue;
        if (room_of(&y) * s.extent[s.rank - 2] * t.extent[t.rank - 1 - !as_it_is] > g->most) continue;
        if (as_it_is) return i;
        if (t.extent[t.rank - 1] == k) return slice_line(g, "ag_transpose", i, -2, -1, 0, 0);
    }
    ag_shape t = s;
    bool turned = chance(g, 40), alone = chance(g, 50);
    t.extent[s.rank - 2] = turned ? n : k;
    t.extent[s.rank - 1] = turned ? k : n;
    if (alone) t = turned ? AG_SHAPE(n, k) : AG_SHAPE(k, n);
    if (room_of(&t) > g->most) return -1;
    int y = leaf_line(g, "ag_from", g->value[x].dtype, t, g->ties ? TIES : ORDINARY);
    return turned ? slice_line(g, "ag_transpose", y, -1, -2, 0, 0) : y;
}

static int64_t work_of(const generator *g, int a, int b) {
    ag_shape t = g->value[b].shape;
    return g->value[a].size * t.extent[t.rank - 1];
}

/* A product; missing axes are added; −1 if it would be too large. */
static int product(generator *g, int x) {
    while (g->value[x].shape.rank < 2) x = axis_line(g, "ag_unsqueeze", x, chance(g, 50) ? 0 : -1, false);
    int y = factor(g, x);
    if (y < 0 || work_of(g, x, y) > MOST_WORK) return -1;
    return ab_line(g, "ag_matmul", x, y);
}

/* A product over some axes of x, which mostly is a view of windows, and of a leaf; often over what is within a window,
 * as in a convolution. With the mean of x as a factor the leaf has a gradient. */
static int contraction(generator *g, int x) {
    line l, back, product = line_of("ag_tensordot");
    int mean = chance(g, 60) ? x_line(g, "ag_mean", x) : -1;
    bool windows = chance(g, 75) && windows_of(g, x, &l, &back), plain = windows && chance(g, 60);
    int behind = windows ? g->value[x].shape.rank - 1 - l.axes.axis[l.axes.count - 1] : 0;
    if (windows) x = append(g, &l);
    if (!plain && chance(g, 50)) x = permuted(g, x);
    ag_shape s = g->value[x].shape, t = {0};
    int axes = pick(g, (s.rank < 4 ? s.rank : 4) + 1), more = pick(g, 3), first = plain || chance(g, 65);
    if (plain) axes = l.axes.count + behind;
    if (s.rank - axes + more > AG_MAX_RANK) return -1;
    for (int i = 0; i < axes; i++) t.extent[(first ? 0 : more) + i] = s.extent[first ? s.rank - axes + i : i];
    for (int i = 0; i < more; i++) t.extent[(first ? axes : 0) + i] = 1 + below(g, chance(g, 80) ? 5 : 20);
    t.rank = axes + more;
    int64_t summed = 1, columns = 1;
    for (int i = 0; i < axes; i++) summed *= t.extent[(first ? 0 : more) + i];
    for (int i = 0; i < more; i++) columns *= t.extent[(first ? axes : 0) + i];
    int64_t y_size = summed ? g->value[x].size / summed * columns : columns;
    if (room_of(&t) > g->most || y_size > g->most || g->value[x].size * columns > MOST_WORK) return -1;
    int other = leaf_line(g, "ag_from", g->value[x].dtype, t, g->ties ? TIES : ORDINARY);
    if (mean >= 0) other = ab_line(g, "ag_mul", other, mean);
    product.operands = 2, product.x[!first] = x, product.x[first] = other, product.number[0] = axes;
    return append(g, &product);
}

static void some_contraction(generator *g) {
    int y = contraction(g, operand(g, REALS, MODEST));
    if (y < 0 || chance(g, 40)) return;
    y = ab_line(g, "ag_add", y, partner(g, y, ANYTHING_GOES));
    if (chance(g, 50)) x_line(g, "ag_relu", y);
}

/* Several products of one shape summed, and a bias. */
static void some_products(generator *g) {
    int x = operand(g, REALS, MODEST), y = product(g, x);
    if (y < 0 || chance(g, 30)) return;
    for (int n = pick(g, 3); n > 0; n--) {
        int like = g->p->line[y].form == form_named("ag_matmul") ? y : -1;
        if (like < 0) break;
        int a = twin(g, g->p->line[like].x[0]), b = twin(g, g->p->line[like].x[1]);
        if (!fits(g, &g->value[a], MODEST) || !fits(g, &g->value[b], MODEST)) break;
        int z = ab_line(g, "ag_matmul", a, b);
        y = chance(g, 50) ? ab_line(g, "ag_add", y, z) : ab_line(g, chance(g, 50) ? "ag_sub" : "ag_add", z, y);
    }
    if (chance(g, 50)) y = ab_line(g, "ag_add", y, partner(g, y, ANYTHING_GOES));
    if (chance(g, 40)) y = x_line(g, chance(g, 50) ? "ag_relu" : "ag_tanh", y);
    if (chance(g, 20)) scalar_line(g, "ag_scale", y, 0.5);
}

static void some_dot(generator *g) {
    int a = operand(g, REALS, MODEST);
    if (g->value[a].shape.rank == 0) return;
    int y = ab_line(g, "user_dot", a, fixed(g, twin(g, a), MODEST));
    if (chance(g, 30)) return;
    int other = x_line(g, "ag_sin", twin(g, y));
    ab_line(g, "ag_add", chance(g, 50) ? y : other, chance(g, 80) ? other : y);
}

/* ---- Motifs ---- */

/* Operations that change nothing, or undo each other: also of a view, and seen through a view. */
static void some_identity(generator *g) {
    int x = operand(g, REALS, ANYTHING_GOES), y;
    if (chance(g, 40)) x = some_view_of(g, x);
    ag_dtype d = g->value[x].dtype;
    int rank = g->value[x].shape.rank;
    line l = line_of(chance(g, 50) ? "ag_ones" : "ag_zeros");
    l.dtype = d, l.shape = narrowed(g, g->value[x].shape);
    switch (pick(g, 14)) {
    case 0: y = scalar_line(g, "ag_scale", x, 1); break;
    case 1: y = scalar_line(g, "ag_add_scalar", x, 0); break;
    case 2: y = x_line(g, "ag_neg", x_line(g, "ag_neg", x)); break;
    case 3: y = scalar_line(g, "ag_div_scalar", x, 1); break;
    case 4: y = scalar_line(g, "ag_pow_scalar", x, 1); break;
    case 5: y = cast_line(g, cast_line(g, x, AG_F64), d); break;
    case 6: y = cast_line(g, x, d); break;
    case 7:
        y = append(g, &l);
        y = ab_line(g, l.form == form_named("ag_ones") ? "ag_mul" : chance(g, 50) ? "ag_add" : "ag_sub", x, y);
        break;
    case 8: y = ab_line(g, "ag_maximum", x, x); break;
    case 9: y = rank ? axis_line(g, "ag_flip", axis_line(g, "ag_flip", x, 0, false), 0, false) : x; break;
    case 10:
        y = rank > 1 ? slice_line(g, "ag_transpose", x, 0, -1, 0, 0) : x;
        y = rank > 1 ? slice_line(g, "ag_transpose", y, 0, -1, 0, 0) : x;
        break;
    case 11: y = shape_line(g, "ag_reshape", reshaped(g, x), g->value[x].shape); break;
    case 12: y = ab_line(g, "ag_sub", x, x); break;
    default: y = scalar_line(g, "ag_scale", scalar_line(g, "ag_scale", x, -1), -1);
    }
    if (chance(g, 40)) y = some_view_of(g, y);
    if (chance(g, 30)) x_line(g, "ag_sin", y);
}

/* An existing line repeated; a chain of repeated lines, each using the last. */
static void some_duplicate(generator *g) {
    int from = pick(g, g->p->count), copy[MOST_LINES];
    for (int i = 0; i < from; i++) copy[i] = i;
    for (int i = from, end = g->p->count; i < end && i < from + 3; i++) {
        line l = g->p->line[i];
        copy[i] = i;
        if (!line_has_value(&l) || l.form->signature < SIG_X || l.form->signature == SIG_GRADIENT) continue;
        for (int k = 0; k < l.operands; k++) l.x[k] = copy[l.x[k]];
        copy[i] = append(g, &l);
    }
}

/* Two equal sources, which may differ in a variation of the program; a value that depends on both is read. */
static void some_twins(generator *g) {
    int x = operand(g, REALS, MODEST);
    line l = {.form = form_named("user_ramp"), .dtype = g->value[x].dtype, .shape = g->value[x].shape};
    l.scalar[0] = some_scalar(g, l.dtype);
    int one = append(g, &l), other = append(g, &l), between = ab_line(g, "ag_sub", one, other);
    line look = line_of("ag_eval"); /* its value is compared */
    look.operands = 1, look.x[0] = ab_line(g, "ag_add", x, between);
    append(g, &look);
}

static int keepdims_line(generator *g, const char *name, int x, int axis) {
    return axes_line(g, name, x, AG_AXES(axis), true);
}

/* Normalised along an axis as batchnorm and layer norm are, with gain and bias. */
static void some_norm(generator *g) {
    int x = operand(g, REALS, MODEST), rank = g->value[x].shape.rank;
    if (rank == 0 || empty_along(g, x)) return;
    int axis = chance(g, 50) ? 0 : rank - 1;
    int centred = ab_line(g, "ag_sub", x, keepdims_line(g, "ag_mean_over", x, axis));
    int var = keepdims_line(g, "ag_mean_over", x_line(g, "ag_square", centred), axis);
    int scale = x_line(g, "ag_rsqrt", scalar_line(g, "ag_add_scalar", var, 0.01));
    int y = ab_line(g, "ag_mul", centred, scale);
    y = ab_line(g, "ag_mul", y, partner(g, y, MODEST));
    ab_line(g, "ag_add", y, partner(g, y, ANYTHING_GOES));
}

static void some_softmax(generator *g) {
    int x = operand(g, REALS, MODEST), rank = g->value[x].shape.rank;
    if (rank == 0 || empty_along(g, x)) return;
    int axis = pick(g, rank), most = x_line(g, "ag_stop_gradient", keepdims_line(g, "ag_max_over", x, axis));
    int e = x_line(g, "ag_exp", ab_line(g, "ag_sub", x, most)), sum = keepdims_line(g, "ag_sum_over", e, axis);
    if (chance(g, 50)) ab_line(g, "ag_div", e, sum);
    else ab_line(g, "ag_add", x_line(g, "ag_log", sum), most);
}

static void some_gelu(generator *g) {
    int x = operand(g, REALS, MODEST), cube = ab_line(g, "ag_mul", x_line(g, "ag_square", x), x);
    int inner = ab_line(g, "ag_add", x, scalar_line(g, "ag_scale", cube, 0.044715));
    int t = x_line(g, "ag_tanh", scalar_line(g, "ag_scale", inner, 0.7978845608));
    ab_line(g, "ag_mul", scalar_line(g, "ag_scale", x, 0.5), scalar_line(g, "ag_add_scalar", t, 1));
}

/* −mean of the log-probability of a label for each row. */
static void some_cross_entropy(generator *g) {
    int x = operand(g, REALS, MODEST);
    ag_shape s = g->value[x].shape;
    if (s.rank < 2 || empty_along(g, x)) return;
    int64_t classes = s.extent[s.rank - 1];
    s.extent[s.rank - 1] = 1;
    line l = line_of("ag_gather");
    l.operands = 2, l.number[0] = -1;
    l.x[0] = axis_line(g, "ag_log_softmax", x, -1, false), l.x[1] = index_line(g, s, classes);
    x_line(g, "ag_neg", x_line(g, "ag_mean", append(g, &l)));
}

static void some_attention(generator *g) {
    int q = operand(g, REALS, MODEST);
    ag_shape s = g->value[q].shape;
    if (s.rank < 2 || empty_along(g, q) || g->value[q].size * s.extent[s.rank - 2] > MOST_WORK / 4 ||
        g->value[q].size / s.extent[s.rank - 1] * s.extent[s.rank - 2] > g->most)
        return;
    int k = fixed(g, twin(g, q), MODEST), v = fixed(g, twin(g, q), MODEST);
    int scores = ab_line(g, "ag_matmul", q, slice_line(g, "ag_transpose", k, -1, -2, 0, 0));
    int weights = axis_line(g, "ag_softmax", scalar_line(g, "ag_scale", scores, 0.5), -1, false);
    ab_line(g, "ag_matmul", weights, v);
}

/* Gates sliced from one tensor. */
static void some_gates(generator *g) {
    int x = operand(g, REALS, MODEST), rank = g->value[x].shape.rank;
    if (rank == 0) return;
    int64_t n = g->value[x].shape.extent[rank - 1] / 2;
    if (n == 0) return;
    int gate = x_line(g, "ag_sigmoid", slice_line(g, "ag_slice", x, -1, 0, n, 1));
    int held = x_line(g, "ag_tanh", slice_line(g, "ag_slice", x, -1, n, 2 * n, 1));
    int kept = ab_line(g, "ag_mul", gate, held);
    ab_line(g, "ag_add", kept, ab_line(g, "ag_mul", scalar_line(g, "ag_rsub_scalar", gate, 1), held));
}

static void some_motif(generator *g) {
    static void (*const motifs[])(generator *) = {some_identity,  some_identity, some_duplicate,     some_duplicate,
                                                  some_norm,      some_softmax,  some_cross_entropy, some_gelu,
                                                  some_attention, some_gates,    some_twins};
    motifs[pick(g, (int)(sizeof motifs / sizeof *motifs))](g);
}

/* ---- Statements and intermediate gradients ---- */

static int some_variable(generator *g, unsigned dtypes) {
    int found = -1;
    for (int i = 0, seen = 0; i < g->p->count; i++)
        if (line_is_variable(&g->p->line[i]) && has_dtype(&g->value[i], dtypes) && pick(g, ++seen) == 0) found = i;
    return found;
}

static void assign(generator *g, int v, int x) {
    line l = line_of("ag_assign");
    l.operands = 2, l.x[0] = v, l.x[1] = x;
    append(g, &l);
}

static int gradient(generator *g, const char *name, int y, int x) {
    line l = line_of(name);
    l.operands = 2, l.x[0] = y, l.x[1] = x, l.data = draw(g) >> 32;
    return append(g, &l);
}

/* A product with variable v, so that its gradient is one too; −1: there is none. */
static int product_with(generator *g, int v) {
    if (v < 0 || g->value[v].shape.rank != 2 || g->value[v].size == 0) return -1;
    const int64_t rows = 1 + pick(g, 9), *n = g->value[v].shape.extent;
    if (rows * n[0] > g->most || rows * n[1] > g->most) return -1;
    int x = leaf_line(g, "ag_from", g->value[v].dtype, AG_SHAPE(rows, n[0]), some_domain(g));
    int y = ab_line(g, "ag_matmul", x, v);
    return chance(g, 50) ? x_line(g, "ag_relu", y) : y;
}

/* v ← v − 0.1·m/(√s + ε), with m and s running means of a gradient and of its square, as Adam does. */
static void some_update(generator *g) {
    int v = some_variable(g, REALS), y = chance(g, 40) ? product_with(g, v) : drawn_operand(g, REALS);
    if (v < 0 || y < 0 || g->value[y].size * 2 > g->most) return;
    int dx = gradient(g, "ag_vjp", y, v), m = twin(g, v), s = twin(g, v);
    if (!g->value[dx].finite && !g->p->wild) return;
    int new_m = ab_line(g, "ag_add", scalar_line(g, "ag_scale", m, 0.9), scalar_line(g, "ag_scale", dx, 0.1));
    int old_s = scalar_line(g, "ag_scale", x_line(g, "ag_abs", s), 0.99);
    int new_s =
        ab_line(g, "ag_add", old_s, scalar_line(g, "ag_scale", x_line(g, "ag_square", x_line(g, "ag_tanh", dx)), 0.01));
    int root = scalar_line(g, "ag_add_scalar", x_line(g, "ag_sqrt", new_s), 0.1);
    int step = ab_line(g, "ag_div", x_line(g, "ag_tanh", new_m), root);
    if (line_is_variable(&g->p->line[m]) && m != v) assign(g, m, new_m);
    if (line_is_variable(&g->p->line[s]) && s != v && s != m) assign(g, s, new_s);
    assign(g, v, ab_line(g, "ag_sub", v, scalar_line(g, "ag_scale", step, 0.1)));
}

/* Assign a value that fits, another variable, or two variables to each other. */
static void some_assignment(generator *g) {
    int v = some_variable(g, ALL);
    if (v < 0) return;
    int x = twin(g, v);
    assign(g, v, x);
    if (line_is_variable(&g->p->line[x]) && chance(g, 70)) assign(g, x, v);
}

static void some_slope(generator *g) {
    int y = operand(g, REALS, ANYTHING_GOES), x = drawn_operand(g, REALS);
    if (x >= 0) fixed(g, gradient(g, chance(g, 70) ? "ag_vjp" : "ag_jvp", y, x), ANYTHING_GOES);
}

/* A parameter is frozen, or no longer. */
static void some_freezing(generator *g) {
    const int v = some_variable(g, REALS);
    if (v < 0 || g->p->line[v].form->call.leaf != ag_parameter) return;
    line l = line_of("ag_freeze");
    l.operands = 1, l.x[0] = v, l.keep = !ag_is_frozen(g->value[v].tensor);
    append(g, &l);
}

static void some_statement(generator *g) {
    int which = pick(g, 100), x = drawn_operand(g, ALL);
    if (x < 0) return;
    if (which < 12) statement(g, "ag_keep", x);
    else if (which < 32) statement(g, "ag_eval", x);
    else if (which < 50) some_assignment(g);
    else if (which < 63) some_update(g);
    else if (which < 84) some_slope(g);
    else if (which < 90) some_freezing(g);
    else {
        line l = line_of("ag_tape_set_recording");
        l.keep = g->quiet;
        g->quiet = !g->quiet;
        append(g, &l);
    }
}

/* ---- Whole programs ---- */

/* The order in which many elements are added matters. */
static void some_fold(generator *g) {
    static void (*const folds[])(generator *) = {some_reduction, some_reduction, some_along, some_norm, some_softmax};
    folds[pick(g, 5)](g);
}

static void some_lines(generator *g) {
    int which = pick(g, 100);
    if (g->p->size != SMALL && chance(g, 25)) {
        some_fold(g);
        return;
    }
    if (which < 14) some_unary(g);
    else if (which < 16) some_linear_algebra(g);
    else if (which < 32) some_binary(g, KIND_BINARY);
    else if (which < 34) some_layer(g);
    else if (which < 40) some_scalar_form(g);
    else if (which < 44) some_binary(g, KIND_COMPARE);
    else if (which < 48) some_choice(g);
    else if (which < 58) some_reduction(g);
    else if (which < 61) some_along(g);
    else if (which < 70) some_view(g);
    else if (which < 72) some_products(g);
    else if (which < 75) some_contraction(g);
    else if (which < 78) some_gather(g);
    else if (which < 80) some_scatter(g);
    else if (which < 81) some_concat(g);
    else if (which < 83) some_placing(g);
    else if (which < 84) some_folding(g);
    else if (which < 86) some_cast(g);
    else if (which < 88) some_source(g);
    else if (which < 91) some_user(g);
    else if (which < 92) some_dot(g);
    else if (which < 97) some_motif(g);
    else some_statement(g);
}

extent program_extent(uint64_t seed) {
    int lot = (int)((seed ^ seed >> 31) * 0x9E3779B97F4A7C15u >> 40) % 200;
    return lot < 2 ? LARGE : lot < 24 ? MEDIUM : lot < 48 ? BROAD : SMALL;
}

/* ---- Broad programs: extents at the boundaries of the division of work ---- */

static int64_t beside(generator *g, int64_t edge) { return edge > 1 ? edge - 1 + pick(g, 3) : edge; }

static int64_t edge_of_extents(generator *g) {
    static const int edges[] = {1,
                                2,
                                4,
                                AG__FEWEST_COLUMNS,
                                AG__ROWS_A_GROUP,
                                AG__LANES,
                                2 * AG__LANES,
                                AG__LONG_ROW / 8,
                                AG__LONG_ROW / 4,
                                AG__STRIP / 2,
                                AG__STRIP,
                                2 * AG__STRIP,
                                3 * AG__STRIP,
                                AG__MOST_ROW};
    return chance(g, 30) ? 1 + pick(g, 9) : beside(g, edges[pick(g, (int)(sizeof edges / sizeof *edges))]);
}

static int64_t edge_of_sizes(generator *g) {
    static const int edges[] = {AG__WORTH_BYTES / 8,    AG__WORTH_BYTES / 4,  AG__LITTLE,           AG__AT_ONCE,
                                2 * AG__STEPS_A_THREAD, AG__SECOND_LEVEL / 8, AG__SECOND_LEVEL / 4, AG__LARGE,
                                AG__MEMORY / 8};
    return edges[pick(g, (int)(sizeof edges / sizeof *edges))];
}

/* Two or three extents at edges; the longest usually such that their product is at an edge too. */
static void choose_broad_extents(generator *g) {
    int lot = pick(g, 100);
    g->base.rank = lot < 10 ? 1 : lot < 65 ? 2 : lot < 95 ? 3 : 4;
    g->most = lot % 50 == 0 ? AG__LIMIT(600000, 3000) : lot % 5 == 0 ? AG__LIMIT(90000, 1500) : AG__LIMIT(24000, 800);
    for (int i = 0; i < g->base.rank; i++)
        g->base.extent[i] = i < 2 ? edge_of_extents(g) : 1 + pick(g, AG__FEWEST_COLUMNS + 2);
    for (int i = g->base.rank; i-- > 1;) { /* the short ones may be anywhere */
        int j = pick(g, i + 1);
        int64_t e = g->base.extent[i];
        g->base.extent[i] = g->base.extent[j];
        g->base.extent[j] = e;
    }
    while (room_of(&g->base) > g->most) g->base.extent[pick(g, g->base.rank)] = 1 + pick(g, 5);
    int longest = 0;
    for (int i = 0; i < g->base.rank; i++)
        if (g->base.extent[i] > g->base.extent[longest]) longest = i;
    int64_t others = room_of(&g->base) / g->base.extent[longest], size = edge_of_sizes(g);
    if (chance(g, 60) && size <= g->most && size / others > 0) g->base.extent[longest] = beside(g, size / others);
    g->most = g->most < room_of(&g->base) ? room_of(&g->base) : g->most;
    for (int i = 0; i < PALETTE; i++) g->extent[i] = g->base.extent[pick(g, g->base.rank)];
}

/* A shape with some axes of extent 1; seldom without the leading axes. */
static ag_shape mixed(generator *g) {
    ag_shape s = g->base;
    for (int i = 0; i < s.rank; i++)
        if (chance(g, 45)) s.extent[i] = 1;
    if (chance(g, 25)) {
        int gone = pick(g, s.rank + 1);
        s.rank -= gone;
        memmove(s.extent, s.extent + gone, (size_t)s.rank * sizeof *s.extent);
    }
    return s;
}

static void some_broad_leaves(generator *g) {
    static const char *const names[] = {"ag_parameter", "ag_parameter", "ag_parameter", "ag_variable", "ag_from"};
    leaf_line(g, "ag_parameter", g->dtype, g->base, some_domain(g));
    for (int n = 2 + pick(g, 4); n > 0; n--) leaf_line(g, names[pick(g, 5)], g->dtype, mixed(g), some_domain(g));
}

/* Reduced along one axis or several adjacent ones, usually keeping them, to broadcast again. */
static void some_broad_fold(generator *g) {
    static const char *const names[] = {"ag_sum_over", "ag_sum_over", "ag_mean_over", "ag_max_over"};
    int x = operand(g, REALS, ANYTHING_GOES), rank = g->value[x].shape.rank;
    if (rank == 0 || empty_along(g, x)) return;
    ag_axes axes = {0};
    int first = pick(g, rank), n = chance(g, 70) ? 1 : 1 + pick(g, rank - first);
    for (int i = 0; i < n; i++) axes.axis[axes.count++] = first + i;
    axes_line(g, names[pick(g, 4)], x, axes, chance(g, 75));
}

/* A vector with an element for each row becomes a column. */
static void some_column(generator *g) {
    int x = operand(g, REALS, ANYTHING_GOES), rank = g->value[x].shape.rank;
    if (rank < g->base.rank && rank < MOST_RANK) x = axis_line(g, "ag_unsqueeze", x, rank, false);
    ag_shape y;
    if (chance(g, 50) || !broadcasts(&g->value[x].shape, &g->base, &y) || room_of(&y) > g->most) return;
    shape_line(g, "ag_broadcast_to", x, y);
}

static void some_broad_lines(generator *g) {
    int which = pick(g, 100);
    if (which < 34) some_binary(g, KIND_BINARY);
    else if (which < 46) some_unary(g);
    else if (which < 53) some_scalar_form(g);
    else if (which < 72) some_broad_fold(g);
    else if (which < 79) some_column(g);
    else if (which < 83) some_view(g);
    else if (which < 87) some_norm(g);
    else if (which < 90) some_softmax(g);
    else if (which < 92) some_choice(g);
    else some_lines(g);
}

static void choose_extents(generator *g) {
    static const int64_t small[] = {1, 2, 2, 3, 3, 4, 5, 7, 8, 9, 16, 17, 33};
    static const int64_t medium[] = {1, 3, 31, 32, 33, 40, 64, 1023, 1024, 1025, 2049};
    static const int64_t large[] = {2, 3, 300, 257, 1025, 40000, 66000};
    extent size = g->p->size;
    const int64_t *from = size == LARGE ? large : size == MEDIUM ? medium : small;
    int n = size == LARGE ? 7 : size == MEDIUM ? 11 : 13;
    g->most = size == LARGE ? 300000 : size == MEDIUM ? 12000 : 1200;
    for (int i = 0; i < PALETTE; i++) g->extent[i] = from[pick(g, n)];
    if (chance(g, 5)) g->extent[pick(g, PALETTE)] = 0;
    g->base.rank = size != SMALL ? 1 + pick(g, 3) : chance(g, 4) ? 5 + pick(g, MOST_RANK - 4) : pick(g, 5);
    for (int i = 0; i < g->base.rank; i++) g->base.extent[i] = g->extent[pick(g, PALETTE)];
    while (room_of(&g->base) > g->most / 3) g->base.extent[pick(g, g->base.rank)] = 1 + pick(g, 3);
}

/* Variables, parameters and constants that outlive a rewind. */
static void some_leaves(generator *g) {
    static const char *const names[] = {"ag_parameter", "ag_parameter", "ag_variable", "ag_from", "ag_wrap"};
    leaf_line(g, "ag_parameter", g->dtype, chance(g, 50) ? g->base : narrowed(g, g->base), some_domain(g));
    for (int n = 1 + pick(g, 4); n > 0; n--) {
        const char *name = names[pick(g, 5)];
        ag_dtype d = some_dtype(g, form_dtypes(form_named(name)));
        leaf_line(g, name, d, chance(g, 60) ? g->base : some_shape(g), some_domain(g));
    }
}

static bool is_read(const program *p, int i) {
    for (int j = i + 1; j < p->count; j++)
        for (int k = 0; k < p->line[j].operands; k++)
            if (p->line[j].x[k] == i) return true;
    return false;
}

/* The last real value, and some others, mostly ones without readers. */
static void some_outputs(generator *g) {
    int last = -1, wanted = 1 + pick(g, 4), end = g->p->count;
    for (int i = end; i-- > 0 && last < 0;)
        if (has_dtype(&g->value[i], REALS)) last = i;
    statement(g, "output", last);
    for (int i = end; i-- > 0 && wanted > 0;) {
        if (i == last || !g->value[i].tensor || g->p->line[i].form->signature == SIG_LEAF) continue;
        if (!chance(g, is_read(g->p, i) ? 5 : 75)) continue;
        statement(g, "output", i);
        wanted--;
    }
}

static int some_length(generator *g) {
    if (g->p->size == BROAD) return 6 + pick(g, 9);
    if (g->p->size == LARGE) return 5 + pick(g, 6);
    if (g->p->size == MEDIUM) return 6 + pick(g, 16);
    return chance(g, 3) ? 70 + pick(g, 80) : 6 + pick(g, 30);
}

void program_generate(program *p, uint64_t seed) {
    generator g = {.p = p, .random = seed, .tape = ag_tape_new()};
    memset(p, 0, sizeof *p);
    p->seed = seed;
    p->size = program_extent(seed);
    ag_tape_set_evaluator(g.tape, AG_EVALUATOR_REFERENCE);
    ag_tape_set_threads(g.tape, 1);
    ag_tape_seed(g.tape, seed);
    p->wild = chance(&g, 6);
    p->together = chance(&g, 50);
    p->backward = chance(&g, 25);
    g.ties = chance(&g, 10);
    g.dtype = chance(&g, 50) ? AG_F64 : AG_F32;
    bool broad = p->size == BROAD;
    (broad ? choose_broad_extents : choose_extents)(&g);
    (broad ? some_broad_leaves : some_leaves)(&g);
    int length = some_length(&g);
    p->order = length > 40 || p->size == LARGE ? pick(&g, 2) : chance(&g, 15) ? pick(&g, 2) : 2;
    if (broad) p->order = chance(&g, 70) ? 1 : p->order;
    while (p->count < length) (broad ? some_broad_lines : some_lines)(&g);
    some_outputs(&g);
    ag_tape_free(g.tape);
}
