/* test_shape -- rearranging, padding, indexing, constructors: against plain loops, on random shapes and items
 *
 * The oracle of x[…] says for each element of the result which element of x it is, one coordinate after the other, as
 * NumPy's manual describes it; what is read and what is written follows from that. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/tape/limits.h"
#include "tests/support.h"

enum { MOST_ITEMS = 20, MOST_ELEMENTS = 4096 };

static uint64_t state;

static uint64_t draw(void) { /* xorshift: Marsaglia (2003) */
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state >> 11;
}

static int64_t below(int64_t n) { return n < 1 ? 0 : (int64_t)(draw() % (uint64_t)n); }
static bool chance(int percent) { return below(100) < percent; }

static int runs(int usual) { return small_run() ? usual / 10 : usual; }

/* ---- Random tensors ---- */

static ag_shape some_shape(int rank) {
    ag_shape s = {.rank = rank};
    int64_t size = 1;
    for (int i = 0; i < rank; i++) {
        s.extent[i] = chance(4) ? 0 : 1 + below(size > 200 ? 1 : rank > 4 ? 2 : 4);
        size *= s.extent[i] ? s.extent[i] : 1;
    }
    return s;
}

/* Numbers 0, 1, … in row-major order, laid out in another: permuted, backwards, or every other one of more. */
static ag_tensor *numbered(ag_dtype dtype, ag_shape s) {
    ag_axes order = {.count = s.rank}, back = {.count = s.rank};
    ag_shape laid = {.rank = s.rank};
    int64_t n = shape_size(&s);
    double *values = malloc((size_t)(n ? n : 1) * sizeof *values);
    for (int64_t i = 0; i < n; i++) values[i] = (double)i;
    ag_tensor *x = tensor_of(tape, dtype, s, values);
    free(values);
    for (int i = 0; i < s.rank; i++) {
        int j = (int)below(i + 1);
        order.axis[i] = order.axis[j], order.axis[j] = i;
    }
    for (int i = 0; i < s.rank; i++) back.axis[order.axis[i]] = i;
    (void)laid;
    if (chance(60)) x = ag_permute(ag_contiguous(ag_permute(x, order)), back);
    for (int i = 0; i < s.rank; i++)
        if (chance(20)) x = ag_flip(ag_contiguous(ag_flip(x, i)), i);
    return x;
}

static double *read(ag_tensor *x) {
    const void *data = ag_data(x);
    expect_ok(tape);
    double *values = malloc((size_t)(ag_size(x) ? ag_size(x) : 1) * sizeof *values);
    for (int64_t i = 0; i < ag_size(x); i++) values[i] = element_at(ag_dtype_of(x), data, i);
    return values;
}

/* ---- The oracle of x[…] ---- */

typedef struct index_list { /* the elements of an index */
    ag_shape shape;
    int64_t value[64];
} index_list;

typedef struct x_axis { /* of x: 's' slice, 'i' integer, 'l' list */
    char kind;
    int64_t start, step, count, at;
    const index_list *list;
} x_axis;

typedef struct oracle {
    int axes;
    x_axis axis[AG_MAX_RANK]; /* of x */
    ag_shape block;
    bool first;   /* the lists' axes come first */
    int position; /* before so many slices and new axes otherwise */
    int kept;
    int from[2 * AG_MAX_RANK]; /* of the slices and new axes, in order: x's axis, or −1 */
    ag_shape result;
    bool too_many; /* axes */
} oracle;

static int64_t number_at(const ag_shape *s, const int64_t *at) {
    int64_t n = 0;
    for (int i = 0; i < s->rank; i++) n = n * s->extent[i] + at[i];
    return n;
}

/* The coordinates of x of the result's element at these coordinates. */
static void coordinates(const oracle *o, const int64_t *at, int64_t *to) {
    const int begin = o->first ? 0 : o->position;
    const int64_t *block = at + begin;
    for (int k = 0; k < o->kept; k++) {
        const int r = k < begin ? k : k + o->block.rank, a = o->from[k];
        if (a >= 0) to[a] = o->axis[a].start + at[r] * o->axis[a].step;
    }
    for (int a = 0; a < o->axes; a++) {
        const x_axis *x = &o->axis[a];
        if (x->kind == 'i') to[a] = x->at;
        if (x->kind != 'l') continue;
        int64_t own[AG_MAX_RANK];
        for (int i = 0; i < x->list->shape.rank; i++) {
            const int64_t c = block[o->block.rank - x->list->shape.rank + i];
            own[i] = x->list->shape.extent[i] == 1 ? 0 : c;
        }
        to[a] = x->list->value[number_at(&x->list->shape, own)];
    }
}

/* ---- Random items ---- */

typedef struct sample {
    ag_shape shape;
    int n;
    ag_subscript item[MOST_ITEMS];
    index_list lists[AG_MAX_RANK];
    int count; /* of lists */
    oracle o;
} sample;

static void add_kept(oracle *o, int a) { o->from[o->kept++] = a; }

static void add_slice(sample *s, int a) {
    const int64_t n = s->shape.extent[a], step = (int64_t[]){1, 1, 1, 2, -1, -2, 3, -3}[below(8)];
    const int64_t start = chance(40) ? AG_END : below(n + 3) - (chance(40) ? n + 1 : 0);
    const int64_t stop = chance(40) ? AG_END : below(n + 3) - (chance(40) ? n + 1 : 0);
    x_axis *x = &s->o.axis[a];
    *x = (x_axis){.kind = 's', .step = step};
    s->item[s->n++] = AG_RANGE(start, stop, step);
    /* Python: clamped first, then counted one by one */
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    int64_t from = start == AG_END ? (step < 0 ? high : low) : start < 0 ? start + n : start;
    int64_t to = stop == AG_END ? (step < 0 ? low : high) : stop < 0 ? stop + n : stop;
    from = from < low ? low : from > high ? high : from;
    to = to < low ? low : to > high ? high : to;
    x->start = from;
    for (int64_t i = from; step > 0 ? i < to : i > to; i += step) x->count++;
    add_kept(&s->o, a);
}

/* A list of indices that is broadcast to the block: the block's extents, or 1, and perhaps fewer axes. */
static void add_list(sample *s, int a) {
    index_list *l = &s->lists[s->count++];
    const int gone = (int)below(s->o.block.rank + 1) * chance(40);
    const int64_t n = s->shape.extent[a];
    l->shape.rank = s->o.block.rank - gone;
    for (int i = 0; i < l->shape.rank; i++) l->shape.extent[i] = chance(25) ? 1 : s->o.block.extent[gone + i];
    int64_t wrapped[64];
    for (int64_t i = 0; i < shape_size(&l->shape); i++) {
        l->value[i] = below(n);
        wrapped[i] = l->value[i] - (chance(25) ? n : 0);
    }
    s->o.axis[a] = (x_axis){.kind = 'l', .list = l};
    s->item[s->n++] = AG_BY(ag_from(tape, AG_I64, l->shape, wrapped));
}

/* Extents of the block that no list has are 1. */
static void settle_block(sample *s) {
    ag_shape b = {0};
    for (int k = 0; k < s->count; k++)
        if (s->lists[k].shape.rank > b.rank) b.rank = s->lists[k].shape.rank;
    for (int i = 0; i < b.rank; i++) b.extent[i] = 1;
    for (int k = 0; k < s->count; k++) {
        const ag_shape *l = &s->lists[k].shape;
        for (int i = 0; i < l->rank; i++)
            if (l->extent[i] != 1) b.extent[b.rank - l->rank + i] = l->extent[i];
    }
    s->o.block = b;
}

static void settle_result(sample *s) {
    oracle *o = &s->o;
    ag_shape *r = &o->result;
    const int begin = o->first ? 0 : o->position;
    o->too_many = o->kept + o->block.rank > AG_MAX_RANK;
    for (int k = 0; k <= o->kept && !o->too_many; k++) {
        for (int i = 0; k == begin && i < o->block.rank; i++) r->extent[r->rank++] = o->block.extent[i];
        if (k < o->kept) r->extent[r->rank++] = o->from[k] < 0 ? 1 : o->axis[o->from[k]].count;
    }
}

/* An item for each axis of x, or "…" for some; new axes between. */
static void make_sample(sample *s, bool with_lists) {
    memset(s, 0, sizeof *s);
    const int rank = (int)below(AG_MAX_RANK + 1);
    s->shape = some_shape(rank);
    s->o.axes = rank;
    s->o.block = (ag_shape){(int)below(3), {1 + below(3), 1 + below(3)}};
    int runs_of_lists = 0, rest = chance(50) ? (int)below(rank + 1) : -1,
        all = rank - (int)below(rank + 1) * chance(30);
    bool in_run = false, listed = false;
    for (int a = 0; a <= rank; a++) {
        if (chance(10) && s->o.kept + rank - a < 9 && (a <= all || rest >= 0)) {
            s->item[s->n++] = AG_NEW;
            add_kept(&s->o, -1);
            in_run = false;
        }
        if (a == rest) {
            s->item[s->n++] = AG_REST;
            in_run = false;
            const int end = a + (int)below(rank - a + 1);
            for (; a < end; a++) {
                s->o.axis[a] = (x_axis){.kind = 's', .step = 1, .count = s->shape.extent[a]};
                add_kept(&s->o, a);
            }
            rest = -1, all = rank;
        }
        if (a >= rank) break;
        const int64_t n = s->shape.extent[a];
        if (a >= all && rest < 0) {
            s->o.axis[a] = (x_axis){.kind = 's', .step = 1, .count = n};
            add_kept(&s->o, a);
            continue;
        }
        const bool list = with_lists && n > 0 && s->count < 4 && chance(30), integer = !list && n > 0 && chance(25);
        if (list || integer) {
            if (!in_run) runs_of_lists++;
            if (runs_of_lists == 1 && !in_run) s->o.position = s->o.kept;
            in_run = true, listed = listed || list;
        } else {
            in_run = false;
        }
        if (list) {
            add_list(s, a);
        } else if (integer) {
            s->o.axis[a] = (x_axis){.kind = 'i', .at = below(n)};
            s->item[s->n++] = AG_AT(s->o.axis[a].at - (chance(30) ? n : 0));
        } else {
            add_slice(s, a);
        }
    }
    s->o.first = listed && runs_of_lists > 1;
    if (!listed) s->o.position = 0;
    settle_block(s);
    settle_result(s);
}

/* The number of x's element at element i of the result. */
static int64_t element_of(const sample *s, int64_t i) {
    int64_t at[AG_MAX_RANK] = {0}, to[AG_MAX_RANK] = {0};
    for (int k = s->o.result.rank - 1; k >= 0; i /= s->o.result.extent[k--]) at[k] = i % s->o.result.extent[k];
    coordinates(&s->o, at, to);
    return number_at(&s->shape, to);
}

static void expect_elements(const sample *s, ag_tensor *y, const char *what) {
    double *got = read(y);
    for (int64_t i = 0; i < ag_size(y); i++)
        ck_assert_msg(got[i] == (double)element_of(s, i), "%s: element %lld is %g, not %lld", what, (long long)i,
                      got[i], (long long)element_of(s, i));
    free(got);
}

/* The function records what fits without asking the operation. */
START_TEST(broadcasts_that_do_not_fit_are_refused) {
    ag_tensor *x = ag_zeros(tape, AG_F32, AG_SHAPE(2, 3)), *ones = ag_zeros(tape, AG_F32, AG_SHAPE(1, 1, 3));
    ag_broadcast_to(x, AG_SHAPE(4, 3));
    expect_error(tape, AG_ERR_SHAPE, "broadcast_to: x f32 (2,3): extent 2 of axis 0 cannot become 4");
    ag_broadcast_to(x, AG_SHAPE(2, 4));
    expect_error(tape, AG_ERR_SHAPE, "broadcast_to: x f32 (2,3): extent 3 of axis 1 cannot become 4");
    ag_broadcast_to(ones, AG_SHAPE(3));
    expect_error(tape, AG_ERR_SHAPE, "broadcast_to: x f32 (1,1,3): the new shape has 1 axes: at least 3 are wanted");
    ck_assert_int_eq(ag_rank(ag_broadcast_to(x, AG_SHAPE(4, 2, 3))), 3);
    ck_assert_int_eq(ag_tape_status(tape), AG_OK);
}
END_TEST

START_TEST(reading_is_as_in_numpy) {
    static const ag_dtype dtypes[] = {AG_F32, AG_F64, AG_I64};
    static sample s;
    state = 88172645463325252u + (uint64_t)_i;
    int refused = 0, whole = 0;
    for (int k = 0; k < runs(1500); k++) {
        make_sample(&s, _i > 0);
        ag_mark mark = ag_tape_mark(tape);
        ag_tensor *x = numbered(dtypes[k % 3], s.shape), *y = ag_index(x, s.n, s.item);
        if (s.o.too_many) {
            expect_error(tape, AG_ERR_SHAPE, "index", "at most 8");
            refused++;
        } else {
            expect_ok(tape);
            expect_shape(y, s.o.result);
            expect_elements(&s, y, "index");
            whole += ag_size(y) > 0;
            if (_i == 0) ck_assert(y == x || ag_op_of(y)->kind == AG_KIND_VIEW);
        }
        ag_tape_rewind(tape, mark);
    }
    ck_assert_int_gt(whole, runs(1500) / 3);
    ck_assert(_i == 0 || refused > 0 || small_run());
}
END_TEST

/* The same writing, value by value; winner: the number of the value that was put last in a place. */
static void write_plainly(const sample *s, ag_put how, double *x, const double *values, int64_t n, int64_t *winner) {
    for (int64_t i = 0; i < n; i++) {
        double *to = &x[element_of(s, i)];
        winner[element_of(s, i)] = i;
        *to = how == AG_PUT_SET   ? values[i]
              : how == AG_PUT_ADD ? *to + values[i]
              : how == AG_PUT_MAX ? fmax(*to, values[i])
                                  : fmin(*to, values[i]);
    }
}

START_TEST(writing_is_as_in_numpy) {
    static sample s;
    const ag_put how = (ag_put)_i;
    state = 362436069u + (uint64_t)_i;
    for (int k = 0; k < runs(800); k++) {
        make_sample(&s, true);
        const int64_t size = shape_size(&s.shape), n = shape_size(&s.o.result);
        if (s.o.too_many || size > MOST_ELEMENTS || n > MOST_ELEMENTS) continue;
        ag_mark mark = ag_tape_mark(tape);
        ag_tensor *x = ag_parameter_from(numbered(AG_F64, s.shape));
        ag_tensor *values = ag_parameter_from(ag_scale(numbered(AG_F64, s.o.result), 1.5));
        ag_tensor *y = ag_index_put(x, s.n, s.item, values, how), *in[] = {x, values}, *dx[2];
        double *want = read(ag_add_scalar(x, 0)), *v = read(ag_add_scalar(values, 0)), *got = read(y);
        int64_t *winner = malloc((size_t)(size ? size : 1) * sizeof *winner);
        for (int64_t i = 0; i < size; i++) winner[i] = -1;
        write_plainly(&s, how, want, v, n, winner);
        for (int64_t i = 0; i < size; i++)
            ck_assert_msg(got[i] == want[i], "element %lld is %g, not %g", (long long)i, got[i], want[i]);
        ag_tensor *g = ag_add_scalar(numbered(AG_F64, s.shape), 1);
        ag_vjp(1, &y, &g, 2, in, dx, 0);
        double *by_x = read(dx[0]), *by_values = read(dx[1]);
        for (int64_t i = 0; how == AG_PUT_SET && i < size; i++)
            ck_assert(by_x[i] == (winner[i] < 0 ? (double)i + 1 : 0));
        for (int64_t i = 0; how == AG_PUT_SET && i < n; i++)
            ck_assert(by_values[i] == (winner[element_of(&s, i)] == i ? (double)element_of(&s, i) + 1 : 0));
        double given = 0, taken = 0; /* nothing of a cotangent is lost, nor counted twice */
        for (int64_t i = 0; i < size; i++) given += (double)i + 1, taken += by_x[i];
        for (int64_t i = 0; i < n; i++) taken += by_values[i];
        if (how != AG_PUT_ADD) ck_assert(fabs(given - taken) <= 1e-9 * given);
        free(want), free(v), free(got), free(winner), free(by_x), free(by_values);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* A mask is the list of its places. */
START_TEST(masks_are_lists_of_places) {
    state = 521288629u;
    for (int k = 0; k < runs(400); k++) {
        ag_mark mark = ag_tape_mark(tape);
        const int rank = 1 + (int)below(4), first = (int)below(rank), axes = 1 + (int)below(rank - first);
        ag_shape s = some_shape(rank), m = {.rank = axes};
        memcpy(m.extent, s.extent + first, sizeof(int64_t) * (size_t)axes);
        double bits[512], where[AG_MAX_RANK][512];
        int64_t n = shape_size(&m), count = 0;
        if (n > 512) continue;
        for (int64_t i = 0; i < n; i++) bits[i] = chance(40);
        for (int64_t i = 0; i < n; i++) {
            int64_t rest = i;
            for (int a = axes - 1; a >= 0 && bits[i] != 0; rest /= m.extent[a--])
                where[a][count] = (double)(rest % m.extent[a]);
            count += bits[i] != 0;
        }
        ag_tensor *x = numbered(AG_F64, s), *mask = tensor_of(tape, AG_BOOL, m, bits);
        ag_subscript by_mask[AG_MAX_RANK], by_lists[AG_MAX_RANK];
        for (int a = 0; a < first; a++) by_mask[a] = by_lists[a] = AG_ALL;
        by_mask[first] = AG_BY(mask);
        for (int a = 0; a < axes; a++) by_lists[first + a] = AG_BY(tensor_of(tape, AG_I64, AG_SHAPE(count), where[a]));
        expect_same(ag_index(x, first + 1, by_mask), ag_index(x, first + axes, by_lists));
        ag_tensor *places = ag_nonzero(mask);
        expect_shape(places, AG_SHAPE(count, axes));
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* ---- Text ---- */

static void expect_text(ag_tensor *x, const char *text, ag_tensor *want) {
    expecting(text);
    ag_tensor *y = ag_at(x, text);
    expect_ok(tape);
    expect_same(y, want);
    expecting("");
}

START_TEST(texts_are_read) {
    ag_tensor *x = numbered(AG_F64, AG_SHAPE(4, 3, 5));
    expect_text(x, "3, :, ::-1, None", ag_index(x, AG_ITEMS(AG_AT(3), AG_ALL, AG_RANGE(AG_END, AG_END, -1), AG_NEW)));
    expect_text(x, "...", x);
    expect_text(x, "…,0", ag_index(x, AG_ITEMS(AG_REST, AG_AT(0))));
    expect_text(x, " -1 ,\t+1:\n", ag_index(x, AG_ITEMS(AG_AT(-1), AG_RANGE(1, AG_END, 1))));
    expect_text(x, "newaxis,1:3,", ag_index(x, AG_ITEMS(AG_NEW, AG_RANGE(1, 3, 1))));
    expect_text(x, "::", x);
    expect_text(x, ":2:", ag_slice(x, 0, AG_END, 2, 1));
    expect_text(x, "-3::2", ag_slice(x, 0, -3, AG_END, 2));
    expect_text(x, "-9223372036854775807:9223372036854775807", x);
    expect_text(x, "0,0,0", ag_index(x, AG_ITEMS(AG_AT(0), AG_AT(0), AG_AT(0))));
    ag_tensor *i = ag_from(tape, AG_I64, AG_SHAPE(2), (int64_t[]){1, -1});
    expect_same(ag_at_with(x, "%, :, %", 2, (ag_tensor *[]){i, i}), ag_index(x, AG_ITEMS(AG_BY(i), AG_ALL, AG_BY(i))));
    expect_same(ag_at_with(x, "1", 0, NULL), ag_at(x, "1"));
    expect_same(ag_put_at(x, "0", 0, NULL, ag_scalar(tape, AG_F64, 7), AG_PUT_SET),
                ag_index_put(x, AG_ITEMS(AG_AT(0)), ag_scalar(tape, AG_F64, 7), AG_PUT_SET));
}
END_TEST

START_TEST(other_texts_are_refused) {
    static const struct {
        const char *text, *message;
    } of[] = {
        {"", "is wanted at position 0 of \"\""},
        {" ", "is wanted at position 1 of"},
        {",", "is wanted at position 0"},
        {"1,,2", "is wanted at position 2"},
        {"1 2", "a comma is wanted at position 2"},
        {"1:2:3:4", "a comma is wanted at position 5"},
        {"::0", "step 0 at position 0"},
        {"1.5", "a comma is wanted at position 1"},
        {"1e3", "a number must end at position 1"},
        {"--1", "a digit is wanted at position 1"},
        {"+", "a digit is wanted at position 1"},
        {"99999999999999999999", "a number is too large at position 0"},
        {"9223372036854775808", "a number is too large at position 0"},
        {"0, :18446744073709551616", "a number is too large at position 4"},
        {"Nonesuch", "is wanted at position 0"},
        {"none", "is wanted at position 0"},
        {"[1]", "is wanted at position 0"},
        {"....", "a comma is wanted at position 3"},
        {"%", "no tensor is given for the % at position 0"},
        {"1, \x1b[31m", "at position 3 of \"1, ?[31m\""},
        {"\xff\xfe", "at position 0"},
    };
    ag_tensor *x = numbered(AG_F64, AG_SHAPE(4, 3, 5)), *i = ag_zeros(tape, AG_I64, AG_SHAPE(2));
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        const int64_t nodes = ag_tape_memory(tape).nodes;
        expecting(of[k].text);
        ck_assert(ag_is_nil(ag_at(x, of[k].text)));
        expect_error(tape, AG_ERR_RANGE, "at: x (4,3,5): ", of[k].message, "test_shape.c:");
        ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
    }
    expecting("");
    ag_at_with(x, "%", 2, (ag_tensor *[]){i, i});
    expect_error(tape, AG_ERR_RANGE, "at_with", "a tensor too many is given", "position 1");
    ag_at(x, NULL);
    expect_error(tape, AG_ERR_NULL, "at", "the text is NULL");
    ag_at_with(x, "%", 1, NULL);
    expect_error(tape, AG_ERR_NULL, "at_with", "the tensors are NULL");
    ag_at_with(x, "%", -1, NULL);
    expect_error(tape, AG_ERR_RANGE, "at_with", "-1 tensors");
    ag_at(x, "0,0,0,None,0");
    expect_error(tape, AG_ERR_AXIS, "at", "4 axes are indexed: x has 3");
    ag_at(x, "..., 0, ...");
    expect_error(tape, AG_ERR_AXIS, "at", "item 2 is a second");
    ag_at(x, "0, 3");
    expect_error(tape, AG_ERR_RANGE, "at", "index 3 is out of range for axis 1 with extent 3");
    ag_at(x, "..., -6");
    expect_error(tape, AG_ERR_RANGE, "at", "index -6 is out of range for axis 2 with extent 5");
    ag_at(x, "None,None,None,None,None,None");
    expect_error(tape, AG_ERR_SHAPE, "at", "the result would have 9 axes: at most 8 are wanted");
    char many[256] = "None";
    for (int k = 0; k < 40; k++) strcat(many, ",None");
    ag_at(x, many);
    expect_error(tape, AG_ERR_RANGE, "at", "more than 32 items at position");
    ag_subscript new[33];
    for (int k = 0; k < 33; k++) new[k] = AG_NEW;
    for (int n = 31; n <= 32; n++) { /* as many items are read, but the result may not have as many axes */
        ag_index(x, n, new);
        expect_error(tape, AG_ERR_SHAPE, "the result would have", "at most 8 are wanted");
    }
    ag_index(x, 33, new);
    expect_error(tape, AG_ERR_RANGE, "33 items: 0 to 32 are wanted");
}
END_TEST

/* Any bytes: refused with a position, or for what the items mean, or read. Pieces of items make long texts likely. */
START_TEST(any_text_is_read_or_refused) {
    static const char *const pieces[] = {
        "1",    "-2", ":",  "::", ",",  ", ",  "...", "…",  "None",     "newaxis", "%", "0", "+3",
        "::-1", "1:", ":2", " ",  "\t", "999", "Non", "..", "\xe2\x80", "abc",     "(", "-", "9223372036854775807",
        "\x01"};
    state = 88675123u;
    int read_well = 0, refused = 0, texts = runs(100000);
    ag_tensor *x = numbered(AG_F32, AG_SHAPE(3, 1, 4)), *i = ag_zeros(tape, AG_I64, AG_SHAPE(2)), *both[] = {i, i};
    const ag_mark mark = ag_tape_mark(tape);
    for (int k = 0; k < texts; k++) {
        char text[128] = "";
        size_t bytes = 0;
        for (int64_t n = below(8); n >= 0 && bytes < 100; n--) {
            if (chance(85))
                bytes += (size_t)snprintf(text + bytes, 28, "%s", pieces[below(sizeof pieces / sizeof *pieces)]);
            else text[bytes++] = (char)(1 + below(255));
            text[bytes] = '\0';
        }
        const int tensors = (int)below(3);
        ag_tensor *y = chance(50) ? ag_at_with(x, text, tensors, both)
                                  : ag_put_at(x, text, tensors, both, ag_scalar(tape, AG_F32, 1), AG_PUT_SET);
        const char *error = ag_tape_error(tape);
        if (ag_is_nil(y))
            refused += strstr(error, " at position ") || strstr(error, "axes") || strstr(error, "axis") ||
                       strstr(error, "second");
        else read_well += ag_size(y) <= 24 * 4;
        ag_clear_error(tape);
        if (!ag_is_nil(y) && k % 16 == 0) ag_eval(y);
        ag_tape_rewind(tape, mark);
    }
    ck_assert_int_eq(refused + read_well, texts);
    ck_assert_int_gt(read_well, texts / 100);
}
END_TEST

/* ---- Adjoints: ⟨A x, y⟩ = ⟨x, Aᵀ y⟩, on integers, so that sums are exact ---- */

typedef ag_tensor *linear(ag_tensor *x);

static ag_tensor *l_pad(ag_tensor *x) { return ag_pad(x, AG_AXES(0, -1), AG_SHAPE(1, -1), AG_SHAPE(2, 3)); }
static ag_tensor *l_reflect(ag_tensor *x) {
    return ag_pad_with(x, AG_AXES(1, 0), AG_SHAPE(5, 1), AG_SHAPE(0, 9), AG_PAD_REFLECT, 0);
}
static ag_tensor *l_replicate(ag_tensor *x) {
    return ag_pad_with(x, AG_AXES(1, 2), AG_SHAPE(2, 70), AG_SHAPE(1, 80), AG_PAD_REPLICATE, 0);
}
static ag_tensor *l_circular(ag_tensor *x) {
    return ag_pad_with(x, AG_ALL_AXES, AG_SHAPE(4, 5, 1), AG_SHAPE(0, -1, 9), AG_PAD_CIRCULAR, 0);
}
static ag_tensor *l_roll(ag_tensor *x) { return ag_roll_over(x, AG_SHAPE(2, -3), AG_AXES(0, 2)); }
static ag_tensor *l_tile(ag_tensor *x) { return ag_tile(x, AG_SHAPE(2, 2, 1, 3)); }
static ag_tensor *l_repeat(ag_tensor *x) { return ag_repeat_interleave(x, 4, 1); }
static ag_tensor *l_slices(ag_tensor *x) { return ag_at(x, "::-1, 1:, ::2"); }
static ag_tensor *l_diagonal(ag_tensor *x) { return ag_diagonal(x, 1, 2, 0); }
static ag_tensor *l_diag_embed(ag_tensor *x) { return ag_diag_embed(x, -2, 1, -1); }
static ag_tensor *l_tril(ag_tensor *x) { return ag_tril(x, 1); }
static ag_tensor *l_rot90(ag_tensor *x) { return ag_rot90(x, 3, AG_AXES(2, 0)); }
static ag_tensor *l_select(ag_tensor *x) {
    return ag_index_select(x, ag_from(ag_tape_of(x), AG_I64, AG_SHAPE(5), (int64_t[]){0, 2, -1, 2, 2}), 0);
}
static ag_tensor *l_stack(ag_tensor *x) { return ag_stack(2, (ag_tensor *[]){x, ag_scale(x, 2)}, 1); }
static ag_tensor *l_dstack(ag_tensor *x) { return ag_dstack(2, (ag_tensor *[]){x, x}); }

static double dot(ag_tensor *a, ag_tensor *b) { return ag_item(ag_sum(ag_mul(a, b))); }

START_TEST(adjoints_are_exact) {
    static linear *const all[] = {l_pad,  l_reflect, l_replicate, l_circular, l_roll,
                                  l_tile, l_repeat,  l_slices,    l_diagonal, l_diag_embed,
                                  l_tril, l_rot90,   l_select,    l_stack,    l_dstack};
    linear *const f = all[_i];
    state = 5783321u + (uint64_t)_i;
    ag_tensor *x = ag_parameter_from(ag_cast(numbered(AG_I64, AG_SHAPE(3, 4, 5)), AG_F64));
    ag_tensor *y = f(x), *g = ag_add_scalar(numbered(AG_F64, ag_shape_of(y)), -7), *dx, *ddx;
    ag_vjp(1, &y, &g, 1, &x, &dx, 0);
    ck_assert(dot(y, g) == dot(x, dx));
    ag_tensor *v = ag_parameter_from(g), *z = f(x); /* and the adjoint of the adjoint is f itself */
    ag_vjp(1, &z, &v, 1, &x, &dx, 0);
    ag_tensor *w = ag_add_scalar(numbered(AG_F64, ag_shape_of(x)), 3);
    ag_vjp(1, &dx, &w, 1, &v, &ddx, 0);
    expect_same(ddx, f(w));
    expect_ok(tape);
}
END_TEST

/* ---- Plain calls ---- */

/* A transpose is copied by tiles, of which those at the ends overlap others; within wider rows, too, and where these have
 * the same place in a cache. */
START_TEST(a_transpose_of_any_size_is_copied) {
    enum { MOST = 132, FAR = 512 };
    static const int64_t extent[] = {1,  2,  3,  4,  7,  8,  9,  11, 12, 15, 16, 17, 23,  24,  25,  31,
                                     32, 33, 40, 47, 48, 49, 63, 64, 65, 72, 79, 80, 127, 128, 129, 131};
    enum { EXTENTS = sizeof extent / sizeof *extent };
    static double values[MOST * MOST];
    const ag_dtype d = (ag_dtype)_i;
    for (int i = 0; i < MOST * MOST; i++) values[i] = d == AG_BOOL ? i * 7 % 5 < 2 : i;
    ag_tensor *all = tensor_of(tape, d, AG_SHAPE(MOST, MOST), values);
    ag_tensor *far = ag_keep(ag_concat(2, (ag_tensor *[]){all, ag_zeros(tape, d, AG_SHAPE(MOST, FAR - MOST))}, 1));
    ag_eval(far);
    for (int k = 0; k < EXTENTS * EXTENTS; k++) {
        const int64_t rows = extent[k / EXTENTS], columns = extent[k % EXTENTS];
        const ag_mark mark = ag_tape_mark(tape);
        for (int apart = 0; apart < 3; apart++) {
            ag_tensor *part = ag_slice(ag_slice(apart == 2 ? far : all, 0, 0, rows, 1), 1, 0, columns, 1);
            ag_tensor *y = ag_contiguous(ag_transpose(apart ? part : ag_contiguous(part), 0, 1));
            for (int64_t i = 0; i < columns * rows; i++)
                ck_assert_msg(ag_element(y, i) == values[i % rows * MOST + i / rows], "element %d of (%d,%d)", (int)i,
                              (int)columns, (int)rows);
        }
        ag_tape_rewind(tape, mark);
    }
    expect_ok(tape);
}
END_TEST

/* Windows of a vector, of which each shows some elements from a first one on: a gradient that looks like one of dilated
 * windows, or nearly so. All numbers are small and whole. */
START_TEST(parts_of_windows_have_gradients) {
    enum { N = 23, MOST = 9 };
    for (int64_t size = 1; size <= MOST; size++)
        for (int64_t stride = 1; stride <= 3; stride++)
            for (int64_t start = 0; start < size; start++)
                for (int64_t step = 1; step <= size + 1; step++) {
                    const ag_mark mark = ag_tape_mark(tape);
                    double want[N] = {0};
                    ag_tensor *x = numbered(AG_F64, AG_SHAPE(N)), *dx, *w;
                    ag_tensor *all = ag_windows(x, AG_ALL_AXES, AG_SHAPE(size), AG_SHAPE(stride));
                    ag_tensor *y = start == 0 && step == 1 ? all : ag_slice(all, 1, start, size, step);
                    const int64_t windows = ag_extent(y, 0), each = ag_extent(y, 1);
                    w = ag_add_scalar(numbered(AG_F64, AG_SHAPE(windows, each)), 1);
                    ag_grad(ag_sum(ag_mul(y, w)), 1, &x, &dx);
                    for (int64_t i = 0; i < windows; i++)
                        for (int64_t k = 0; k < each; k++)
                            want[i * stride + start + k * step] += (double)(i * each + k + 1);
                    for (int64_t i = 0; i < N; i++)
                        ck_assert_msg(ag_element(dx, i) == want[i], "size %d, stride %d, %d::%d: %g at %d, not %g",
                                      (int)size, (int)stride, (int)start, (int)step, ag_element(dx, i), (int)i,
                                      want[i]);
                    ag_tape_rewind(tape, mark);
                }
    expect_ok(tape);
}
END_TEST

/* A cotangent of which one element of each window is not 0, with a step that leads beyond the window. */
START_TEST(single_elements_of_windows_have_gradients) {
    enum { N = 11 };
    for (int64_t size = 1; size <= 4; size++) {
        ag_tensor *x = numbered(AG_F64, AG_SHAPE(N)), *all = ag_windows(x, AG_ALL_AXES, AG_SHAPE(size), AG_SHAPE(2)),
                  *dx;
        const int64_t windows = ag_extent(all, 0);
        ag_tensor *g = ag_embed(ag_ones(tape, AG_F64, AG_SHAPE(windows, 1)), 1, size, 0, size + 4);
        ag_vjp(1, &all, &g, 1, &x, &dx, 0);
        for (int64_t i = 0; i < N; i++) ck_assert_double_eq(ag_element(dx, i), i % 2 == 0 && i / 2 < windows);
    }
    expect_ok(tape);
}
END_TEST

/* Many tensors along a new last axis are turned, some elements of each at a time: threads, and inputs of any strides. */
START_TEST(many_stacked_last_are_a_transpose) {
    enum { MOST = 21 };
    for (int round = 0; round < 24; round++) {
        const int n = 8 + round * 5 % (MOST - 7), d = round % AG_DTYPES;
        const int64_t rows = round % 3 == 0 ? 3 : 101, columns = 1 + round * 7 % 60;
        ag_tensor *x = ag_cast(ag_remainder(numbered(AG_I64, AG_SHAPE(n, rows, columns)),
                                            ag_scalar(tape, AG_I64, d == AG_BOOL ? 2 : 1000003)),
                               (ag_dtype)d);
        ag_tensor *of[MOST], *turned = ag_contiguous(ag_transpose(x, 1, 2));
        for (int i = 0; i < n; i++)
            of[i] = i % 2 ? ag_transpose(ag_squeeze(ag_slice(turned, 0, i, i + 1, 1), AG_AXES(0)), 0, 1)
                          : ag_squeeze(ag_slice(x, 0, i, i + 1, 1), AG_AXES(0));
        ag_tape_set_threads(tape, 1 + round % 3);
        expect_same(ag_stack(n, of, -1), ag_permute(x, AG_AXES(1, 2, 0)));
    }
    expect_ok(tape);
}
END_TEST

/* Rows of the inputs that are joined along another axis are taken some at a time, around their number. */
START_TEST(joined_rows_are_taken_some_at_a_time) {
    static const int64_t rows[] = {7, 8, 9, 15, 16, 17, 33};
    for (int i = 0; i < 7; i++)
        for (int64_t width = 2; width <= 4; width++) {
            const int64_t half = AG__JOINED / width / 3;
            ag_tensor *x = ag_contiguous(numbered(AG_F32, AG_SHAPE(rows[i], 3 * half)));
            ag_tensor *of[] = {
                ag_slice(x, 1, 0, half, 1), ag_slice(x, 1, half, 2 * half, 1),
                ag_transpose(ag_contiguous(ag_transpose(ag_slice(x, 1, 2 * half, 3 * half, 1), 0, 1)), 0, 1)};
            expect_same(ag_concat(3, of, 1), x);
        }
    expect_ok(tape);
}
END_TEST

START_TEST(parts_make_the_whole) {
    ag_tensor *x = numbered(AG_I64, AG_SHAPE(3, 12)), *y[12];
    ck_assert_int_eq(ag_split(x, -1, 4, y), AG_OK);
    expect_same(ag_concat(4, y, 1), ag_contiguous(x));
    ck_assert_int_eq(ag_split_sizes(x, 1, 4, (int64_t[]){5, 0, 1, 6}, y), AG_OK);
    expect_shape(y[1], AG_SHAPE(3, 0));
    expect_same(ag_concat(4, y, 1), ag_contiguous(x));
    ck_assert_int_eq(ag_chunk(x, 1, 5, y), AG_OK); /* of 3, 3, 3, 3 and none */
    expect_shape(y[3], AG_SHAPE(3, 3));
    expect_shape(y[4], AG_SHAPE(3, 0));
    ck_assert_int_eq(ag_chunk(x, 0, 2, y), AG_OK);
    expect_shape(y[0], AG_SHAPE(2, 12));
    expect_shape(y[1], AG_SHAPE(1, 12));
    ag_tensor *lists[] = {ag_arange(tape, AG_F64, 2), ag_arange(tape, AG_F64, 3)}, *grid[2];
    ck_assert_int_eq(ag_meshgrid(2, lists, true, grid), AG_OK);
    expect_shape(grid[0], AG_SHAPE(3, 2));
    expect_list(grid[0], 0, 1, 0, 1, 0, 1);
    expect_list(grid[1], 0, 0, 1, 1, 2, 2);
    ck_assert_int_eq(ag_broadcast_tensors(2, (ag_tensor *[]){grid[0], lists[0]}, y), AG_OK);
    expect_list(y[1], 0, 1, 0, 1, 0, 1);
}
END_TEST

static void expect_nils(int n, ag_tensor *y[]) {
    for (int i = 0; i < n; i++) ck_assert(y[i] && ag_is_nil(y[i]));
}

START_TEST(refused_parts_are_nil) {
    ag_tensor *x = numbered(AG_F64, AG_SHAPE(3, 4)), *y[4] = {NULL}, *two[] = {x, numbered(AG_F64, AG_SHAPE(5))};
    const int64_t nodes = ag_tape_memory(tape).nodes;
    ck_assert_int_eq(ag_split(x, 0, 2, y), AG_ERR_SHAPE);
    expect_error(tape, AG_ERR_SHAPE, "split: x (3,4): axis 0 with extent 3 has no 2 equal parts", "test_shape.c:");
    expect_nils(2, y);
    ck_assert_int_eq(ag_split(x, 2, 2, y), AG_ERR_AXIS);
    expect_error(tape, AG_ERR_AXIS, "split", "axis 2");
    ck_assert_int_eq(ag_split(x, 0, 0, y), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "split", "0 parts");
    ck_assert_int_eq(ag_split(x, 0, 3, NULL), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "split", "NULL");
    ck_assert_int_eq(ag_split_sizes(x, 0, 2, (int64_t[]){4, -1}, y), AG_ERR_SHAPE);
    expect_error(tape, AG_ERR_SHAPE, "split_sizes", "extent 3");
    expect_nils(2, y);
    ck_assert_int_eq(ag_split_sizes(x, 0, 2, (int64_t[]){INT64_MAX, INT64_MAX}, y), AG_ERR_SHAPE);
    ag_clear_error(tape);
    ck_assert_int_eq(ag_split_sizes(x, 0, 2, NULL, y), AG_ERR_NULL);
    ag_clear_error(tape);
    ck_assert_int_eq(ag_chunk(x, 0, -1, y), AG_ERR_RANGE);
    ag_clear_error(tape);
    ck_assert_int_eq(ag_chunk(NULL, 0, 2, y), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "chunk");
    ck_assert_int_eq(ag_meshgrid(2, two, false, y), AG_ERR_SHAPE);
    expect_error(tape, AG_ERR_SHAPE, "meshgrid", "input 0 has 2 axes");
    expect_nils(2, y);
    ck_assert_int_eq(ag_meshgrid(9, (ag_tensor *[9]){x, x, x, x, x, x, x, x, x}, false, NULL), AG_ERR_RANGE);
    ag_clear_error(tape);
    ck_assert_int_eq(ag_broadcast_tensors(2, two, y), AG_ERR_SHAPE);
    expect_error(tape, AG_ERR_SHAPE, "broadcast_tensors: a (3,4) and b (5)", "4 and 5 cannot be broadcast");
    expect_nils(2, y);
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
}
END_TEST

/* The call is refused with this status and these words, and nothing stays recorded. */
#define refused(call, status, ...)                                                                                     \
    do {                                                                                                               \
        const int64_t before = ag_tape_memory(tape).nodes;                                                             \
        ck_assert(ag_is_nil(call));                                                                                    \
        expect_error(tape, status, __VA_ARGS__, "test_shape.c:");                                                      \
        ck_assert_int_eq(ag_tape_memory(tape).nodes, before);                                                          \
    } while (0)

START_TEST(wrong_calls_are_refused) {
    ag_tensor *x = numbered(AG_F64, AG_SHAPE(3, 4)), *b = ag_zeros(tape, AG_BOOL, AG_SHAPE(3)), *two[] = {x, b};
    ag_tensor *e = ag_reshape(x, AG_SHAPE(1, 3, 1, 1, 4, 1, 1, 1)), *i = ag_arange(tape, AG_I64, 3),
              *none = ag_zeros(tape, AG_F64, AG_SHAPE(0, 2));
    ag_tensor *alike[] = {x, ag_transpose(x, 0, 1)}, *eights[] = {e, e}, *s = ag_scalar(tape, AG_F64, 1);
    ag_tensor *less = ag_add_scalar(i, -1);
    refused(ag_stack(2, alike, 0), AG_ERR_SHAPE, "stack: ", "the shape of input 1 differs");
    refused(ag_stack(2, two, 0), AG_ERR_DTYPE, "stack: ", "f64 and bool differ");
    refused(ag_stack(2, eights, 0), AG_ERR_SHAPE, "stack: ", "9 axes");
    refused(ag_stack(1, alike, 3), AG_ERR_AXIS, "stack: ", "axis 3 is out of range for a result of 3 axes");
    refused(ag_vstack(2, two), AG_ERR_DTYPE, "vstack: ");
    refused(ag_vstack(2, alike), AG_ERR_SHAPE, "concat: ", "axis 1 has extent 3");
    refused(ag_expand_as(x, i), AG_ERR_SHAPE, "expand_as: ", "(3,4) cannot be broadcast to (3)");
    refused(ag_movedim(x, AG_AXES(0), AG_AXES(0, 1)), AG_ERR_AXIS, "movedim: ");
    refused(ag_movedim(x, AG_AXES(0, 0), AG_AXES(0, 1)), AG_ERR_AXIS, "movedim: ", "given twice");
    refused(ag_swapaxes(x, 0, 2), AG_ERR_AXIS, "swapaxes: ", "axis 2");
    refused(ag_flatten(x, 1, 0), AG_ERR_AXIS, "flatten: ", "axes 1 to 0");
    refused(ag_unflatten(x, 1, AG_SHAPE(3, -1)), AG_ERR_SHAPE,
            "unflatten: ", "axis 1 with extent 4 has no such factors");
    refused(ag_unflatten(x, 1, AG_SHAPE(-1, -1)), AG_ERR_SHAPE, "unflatten: ");
    refused(ag_unflatten(e, 1, AG_SHAPE(3, 1)), AG_ERR_SHAPE, "unflatten: ", "9 axes");
    refused(ag_unflatten(x, 1, (ag_shape){.rank = INT_MAX}), AG_ERR_SHAPE, "unflatten: ", "2147483647 axes");
    refused(ag_unflatten(x, 1, (ag_shape){.rank = INT_MIN}), AG_ERR_SHAPE, "unflatten: ");
    refused(ag_rot90(x, 1, AG_AXES(0)), AG_ERR_AXIS, "rot90: ", "2 are wanted");
    refused(ag_roll(x, 1, 2), AG_ERR_AXIS, "roll: ", "axis 2");
    refused(ag_roll_over(x, AG_SHAPE(1), AG_AXES(0, 1)), AG_ERR_SHAPE, "roll: ", "1 shifts are given for 2 axes");
    refused(ag_tile(x, AG_SHAPE(-1)), AG_ERR_RANGE, "tile: ", "-1 times");
    refused(ag_tile(x, AG_SHAPE(INT64_MAX)), AG_ERR_SHAPE, "tile: ", "more elements than can be counted");
    refused(ag_tile(none, AG_SHAPE(INT64_C(1) << 40, INT64_C(1) << 40)), AG_ERR_SHAPE, "tile: ", "can be counted");
    /* The other extents of a tensor without elements count. */
    const int64_t much = INT64_C(1) << 40;
    ag_tensor *wide = ag_zeros(tape, AG_F32, AG_SHAPE(0, 1, much)), *row = ag_zeros(tape, AG_F32, AG_SHAPE(1, much));
    ag_tensor *turned = ag_transpose(wide, 1, 2), *empty = ag_zeros(tape, AG_F32, AG_SHAPE(much, 0));
    refused(ag_tile(wide, AG_SHAPE(much, 1, 1)), AG_ERR_SHAPE, "tile: ", "can be counted");
    refused(ag_repeat(wide, AG_SHAPE(1, much, 1)), AG_ERR_SHAPE, "repeat: ", "can be counted");
    refused(ag_unflatten(wide, 0, AG_SHAPE(0, much)), AG_ERR_SHAPE, "unflatten: ", "can be counted");
    refused(ag_diag_embed(empty, 1 << 28, 0, 1), AG_ERR_SHAPE, "diag_embed: ", "can be counted");
    refused(ag_inner(turned, turned), AG_ERR_SHAPE, "inner: ", "can be counted");
    refused(ag_pad_with(wide, AG_AXES(0, 2), AG_SHAPE(1 << 30, -1), AG_SHAPE(0, 0), AG_PAD_CONSTANT, 0), AG_ERR_SHAPE,
            "pad: ", "can be counted");
    refused(ag_repeat_interleave(wide, much, 2), AG_ERR_SHAPE, "repeat_interleave: ", "can be counted");
    refused(ag_matmul(turned, row), AG_ERR_SHAPE, "matmul: ", "can be counted");
    refused(ag_outer(row, row), AG_ERR_SHAPE, "outer: ", "can be counted");
    refused(ag_einsum("aij,bik->abjk", 2, (ag_tensor *[]){wide, wide}), AG_ERR_SHAPE, "einsum: ", "can be counted");
    refused(ag_einsum("aji,ik->ajk", 2, (ag_tensor *[]){turned, row}), AG_ERR_SHAPE, "einsum: ", "can be counted");
    refused(ag_tile(x, ag_shape_from(9, NULL)), AG_ERR_SHAPE, "tile: ");
    refused(ag_repeat(x, AG_SHAPE(2)), AG_ERR_SHAPE, "repeat: ", "at least 2 are wanted");
    refused(ag_repeat_interleave(x, -2, 0), AG_ERR_RANGE, "repeat_interleave: ", "-2 times");
    refused(ag_repeat_interleave_by(x, i, 1), AG_ERR_SHAPE,
            "repeat_interleave_by: ", "each of the 4 elements of axis 1");
    refused(ag_repeat_interleave_by(x, less, 0), AG_ERR_RANGE, "count -1 at element 0");
    refused(ag_pad(x, AG_AXES(0), AG_SHAPE(1, 2), AG_SHAPE(1)), AG_ERR_SHAPE, "pad: ", "2 numbers before and 1 after");
    refused(ag_pad(x, AG_AXES(0), AG_SHAPE(-2), AG_SHAPE(-2)), AG_ERR_RANGE,
            "pad: ", "-2 before and -2 after do not fit axis 0 with extent 3");
    refused(ag_pad(x, AG_AXES(0), AG_SHAPE(INT64_MIN), AG_SHAPE(0)), AG_ERR_RANGE, "pad: ");
    refused(ag_pad(x, AG_AXES(0), AG_SHAPE(INT64_MAX / 4), AG_SHAPE(INT64_MAX / 4)), AG_ERR_SHAPE, "pad: ");
    refused(ag_pad_with(x, AG_AXES(0), AG_SHAPE(1), AG_SHAPE(1), (ag_padding)7, 0), AG_ERR_RANGE,
            "pad: ", "no padding");
    refused(ag_pad_with(i, AG_AXES(0), AG_SHAPE(1), AG_SHAPE(1), AG_PAD_CONSTANT, 0.5), AG_ERR_RANGE,
            "pad: ", "i64 cannot hold 0.5");
    refused(ag_pad_with(none, AG_AXES(0), AG_SHAPE(1), AG_SHAPE(1), AG_PAD_REFLECT, 0), AG_ERR_SHAPE,
            "pad: ", "axis 0 has no elements");
    refused(ag_diagonal(x, 0, 1, 1), AG_ERR_AXIS, "diagonal: ", "axes 1 and 1 are not two of 2");
    refused(ag_diag_embed(s, 0, 0, 1), AG_ERR_AXIS, "diag_embed: ");
    refused(ag_diag_embed(x, INT64_MIN, 0, 1), AG_ERR_SHAPE, "diag_embed: ");
    refused(ag_diag(e, 0), AG_ERR_SHAPE, "diag: ", "a list or a matrix");
    refused(ag_tril(i, 0), AG_ERR_SHAPE, "tril: ", "two axes");
    refused(ag_eye(tape, AG_F64, -1, 2, 0), AG_ERR_SHAPE, "eye: ", "negative extent -1");
    refused(ag_eye(tape, AG_F64, INT64_MAX, INT64_MAX, 0), AG_ERR_SHAPE, "eye: ");
    refused(ag_arange_with(tape, AG_F64, 0, 1, 0), AG_ERR_RANGE, "arange_with: ", "step 0");
    refused(ag_arange_with(tape, AG_F64, 0, (double)INFINITY, 1), AG_ERR_RANGE, "arange_with: ", "finite");
    refused(ag_arange_with(tape, AG_I64, 0.5, 3, 1), AG_ERR_RANGE, "arange_with: ", "integers");
    refused(ag_arange_with(tape, AG_F64, 0, 1e300, 1), AG_ERR_SHAPE, "arange_with: ", "1e+300 elements");
    refused(ag_linspace(tape, AG_I64, 0, 1, 3), AG_ERR_DTYPE, "linspace: ", "i64");
    refused(ag_linspace(tape, AG_F32, 0, 1e300, 3), AG_ERR_RANGE, "arange: ", "finite in f32");
    refused(ag_linspace(tape, AG_F64, 0, 1, -3), AG_ERR_SHAPE, "arange: ");
    refused(ag_logspace(tape, AG_F64, 0, 1, 3, -2), AG_ERR_RANGE, "logspace: ", "-2");
    refused(ag_one_hot(i, -1, AG_F64), AG_ERR_SHAPE, "one_hot: ");
    refused(ag_one_hot(x, 4, AG_F64), AG_ERR_DTYPE, "one_hot: ", "f64");
    refused(ag_one_hot(i, 4, (ag_dtype)9), AG_ERR_DTYPE, "one_hot: ");
}
END_TEST

START_TEST(wrong_indices_are_refused) {
    ag_tensor *x = numbered(AG_F64, AG_SHAPE(3, 4)), *i = ag_arange(tape, AG_I64, 3), *j = ag_arange(tape, AG_I64, 2);
    ag_tensor *mask = ag_zeros(tape, AG_BOOL, AG_SHAPE(4)), *m = ag_reshape(i, AG_SHAPE(3, 1)),
              *f = ag_zeros(tape, AG_F32, AG_SHAPE(3, 4));
    ag_tensor *bools = ag_zeros(tape, AG_BOOL, AG_SHAPE(3, 4)), *one = ag_scalar(tape, AG_BOOL, 1),
              *s = ag_scalar(tape, AG_F64, 1);
    ag_tensor *row = ag_reshape(j, AG_SHAPE(1, 2)), *square = ag_full(tape, AG_F64, AG_SHAPE(3, 3), 1);
    ag_tensor *all = ag_ones(tape, AG_BOOL, AG_SHAPE(3, 4));
    refused(ag_index(x, AG_ITEMS(AG_BY(i), AG_BY(j))), AG_ERR_SHAPE, "index: ", "extents 3 and 2 cannot be broadcast");
    refused(ag_index(x, AG_ITEMS(AG_BY(x))), AG_ERR_DTYPE, "index: ", "not f64");
    refused(ag_index(x, AG_ITEMS(AG_BY(mask))), AG_ERR_SHAPE, "index: ", "axis 0 has extent 3, and 4 in the mask");
    refused(ag_index(x, AG_ITEMS(AG_BY(one))), AG_ERR_SHAPE, "index: ", "a mask must have an axis");
    refused(ag_index(x, AG_ITEMS(AG_BY(NULL))), AG_ERR_NULL, "index: ");
    refused(ag_index(x, AG_ITEMS(AG_RANGE(0, 1, 0))), AG_ERR_RANGE, "index: ", "step 0 leads nowhere on axis 0");
    refused(ag_index(x, -1, NULL), AG_ERR_RANGE, "index: ", "-1 items");
    refused(ag_index(x, 2, NULL), AG_ERR_NULL, "index: ", "the items are NULL");
    refused(ag_index(x, AG_ITEMS({(ag_subscript_kind)9, 0, 0, 0, NULL})), AG_ERR_RANGE, "index: ", "invalid kind 9");
    refused(ag_index_put(x, AG_ITEMS(AG_ALL), i, AG_PUT_SET), AG_ERR_DTYPE, "index_put: ", "f64 and i64 differ");
    refused(ag_index_put(x, AG_ITEMS(AG_ALL), s, (ag_put)4), AG_ERR_RANGE, "index_put: ", "number 4");
    refused(ag_index_put(x, AG_ITEMS(AG_BY(j), AG_NEW), x, AG_PUT_SET), AG_ERR_SHAPE,
            "index_put: ", "(3,4) cannot be broadcast to (2,1,4)");
    refused(ag_index_put(bools, AG_ITEMS(AG_ALL), bools, AG_PUT_MAX), AG_ERR_DTYPE, "index_put: ", "bool");
    refused(ag_index_select(x, m, 0), AG_ERR_SHAPE, "index_select: ", "one axis, or none");
    refused(ag_index_select(x, x, 0), AG_ERR_DTYPE, "index_select: ");
    refused(ag_index_select(s, i, 0), AG_ERR_AXIS, "index_select: ");
    refused(ag_index_add(x, i, f, 0), AG_ERR_DTYPE, "index_add: ", "f64 and f32 differ");
    refused(ag_index_add(x, j, x, 0), AG_ERR_SHAPE, "index_add: ", "(3,4) cannot be broadcast to (2,4)");
    refused(ag_take_along_axis(x, i, 0), AG_ERR_SHAPE, "take_along_axis: ", "the index must have 2 axes, not 1");
    refused(ag_scatter(x, m, f, 1), AG_ERR_DTYPE, "scatter: ");
    refused(ag_scatter(x, row, square, 1), AG_ERR_SHAPE, "scatter: ", "extents 2 and 3 cannot be broadcast");
    refused(ag_scatter_max(bools, m, bools, 1), AG_ERR_DTYPE, "scatter_max: ", "bool");
    refused(ag_put_along_axis(x, m, x, 1, (ag_put)-1), AG_ERR_RANGE, "put_along_axis: ");
    refused(ag_masked_fill(i, mask, 0.5), AG_ERR_RANGE, "masked_fill: ", "i64 cannot hold 0.5");
    refused(ag_masked_fill(x, x, 1), AG_ERR_DTYPE, "masked_fill: ", "f64");
    refused(ag_masked_select(x, i), AG_ERR_DTYPE, "masked_select: ", "i64");
    refused(ag_masked_scatter(x, all, s), AG_ERR_SHAPE, "masked_scatter: ", "12 places are true: the source has 1");
}
END_TEST

/* The operation, the index and its place, when it is evaluated. */
START_TEST(indices_out_of_range_are_found_in_the_data) {
    ag_tensor *x = numbered(AG_F64, AG_SHAPE(3, 4)), *bad = ag_from(tape, AG_I64, AG_SHAPE(3), (int64_t[]){0, -4, 5});
    ag_tensor *good = ag_zeros(tape, AG_I64, AG_SHAPE(3));
    ag_eval(ag_index(x, AG_ITEMS(AG_BY(bad))));
    expect_error(tape, AG_ERR_RANGE, "index: ", "index -4 at element 1 is out of range for axis 0 with extent 3",
                 "test_shape.c:");
    ag_eval(ag_index(x, AG_ITEMS(AG_BY(good), AG_BY(bad))));
    expect_error(tape, AG_ERR_RANGE,
                 "index: ", "index 5 at element 2 of input 2 is out of range for axis 1 with extent 4");
    ag_eval(ag_index_add(x, bad, x, 0));
    expect_error(tape, AG_ERR_RANGE, "index_add: ", "index -4 at element 1 is out of range for axis 0");
    ag_eval(ag_index_put(x, AG_ITEMS(AG_ALL, AG_BY(bad)), ag_scalar(tape, AG_F64, 1), AG_PUT_MIN));
    expect_error(tape, AG_ERR_RANGE, "index_put: ", "index 5 at element 2 is out of range for axis 1 with extent 4");
    ag_eval(ag_one_hot(bad, 5, AG_F32));
    expect_error(tape, AG_ERR_RANGE, "one_hot: ", "index -4 at element 1 is out of range for axis 1 with extent 5");
    ag_eval(ag_index(ag_zeros(tape, AG_F64, AG_SHAPE(0, 4)), AG_ITEMS(AG_BY(good))));
    expect_error(tape, AG_ERR_RANGE, "index 0 at element 0 is out of range for axis 0 with extent 0");
    expect_list(
        ag_index(ag_arange(tape, AG_I64, 3), AG_ITEMS(AG_BY(ag_from(tape, AG_I64, AG_SHAPE(2), (int64_t[]){-3, -1})))),
        0, 2);
}
END_TEST

/* A mask's and a choice's unused places never leak. */
START_TEST(unused_places_do_not_leak) {
    ag_tensor *x = ag_parameter(tape, AG_F64, AG_SHAPE(4), (double[]){1, NAN, INFINITY, 4}), *dx;
    ag_tensor *y = ag_sum(ag_square(ag_at(x, "::3")));
    ag_grad(y, 1, &x, &dx);
    expect_list(dx, 2, 0, 0, 8);
    ag_tensor *mask = ag_from(tape, AG_BOOL, AG_SHAPE(4), (unsigned char[]){0, 1, 1, 0});
    y = ag_sum(ag_square(ag_masked_fill(x, mask, 0)));
    ag_grad(y, 1, &x, &dx);
    expect_list(dx, 2, 0, 0, 8);
    y = ag_sum(ag_square(ag_put_at(x, "1:3", 0, NULL, ag_scalar(tape, AG_F64, 2), AG_PUT_SET)));
    ag_grad(y, 1, &x, &dx);
    expect_list(dx, 2, 0, 0, 8);
    ag_tensor *m = ag_parameter(tape, AG_F64, AG_SHAPE(2, 2), (double[]){1, NAN, 3, 4});
    y = ag_sum(ag_square(ag_tril(m, 0)));
    ag_grad(y, 1, &m, &dx);
    expect_list(dx, 2, 0, 6, 8);
    ag_tensor *largest = ag_scatter_max(x, ag_zeros(tape, AG_I64, AG_SHAPE(1)), ag_scalar(tape, AG_F64, 1), 0);
    ck_assert(ag_is_nil(largest)); /* of other rank */
    ag_clear_error(tape);
    ag_tensor *values = ag_parameter(tape, AG_F64, AG_SHAPE(3), (double[]){1, 1, NAN}), *in[] = {x, values}, *d[2];
    ag_tensor *index = ag_from(tape, AG_I64, AG_SHAPE(3), (int64_t[]){0, 0, 3});
    y = ag_scatter_max(x, index, values, 0);
    expect_list(y, 1, NAN, INFINITY, NAN);
    ag_tensor *ones = ag_ones(tape, AG_F64, AG_SHAPE(4));
    ag_vjp(1, &y, &ones, 2, in, d, 0);
    expect_near(d[0], 4, ((double[]){1.0 / 3, NAN, 1, NAN}), 1, 0); /* ties share; NaN is not hidden */
    expect_near(d[1], 3, ((double[]){1.0 / 3, 1.0 / 3, NAN}), 1, 0);
}
END_TEST

/* Whether y is recorded by these operations, the first one of x itself. */
static bool is_made_by(const ag_tensor *y, const ag_tensor *x, int n, const char *const names[]) {
    for (int k = n - 1; k >= 0; k--, y = ag_input(y, 0))
        if (!ag_op_of(y) || strcmp(ag_op_of(y)->name, names[k]) != 0) return false;
    return y == x;
}

/* A shape that strides can express is not copied: axes of extent 1 are nowhere in the way, and axes that follow each other are one. */
START_TEST(views_are_not_copied) {
    ag_tensor *turned = ag_transpose(numbered(AG_F64, AG_SHAPE(3, 2)), 0, 1), *x = ag_unsqueeze(turned, -1);
    ck_assert(is_made_by(ag_reshape(x, AG_SHAPE(2, 3)), x, 1, (const char *[]){"reshape"}));
    x = ag_unsqueeze(turned, 0);
    ck_assert(is_made_by(ag_reshape(x, AG_SHAPE(2, 3)), x, 1, (const char *[]){"reshape"}));
    x = ag_slice(ag_zeros(tape, AG_F64, AG_SHAPE(2, 3, 5)), 2, 0, 4, 1);
    ck_assert(is_made_by(ag_reshape(x, AG_SHAPE(6, 4)), x, 1, (const char *[]){"reshape"}));
    ck_assert_ptr_eq(ag_permute(x, AG_AXES(0, 1, 2)), x);
}
END_TEST

enum { LINES = 40, KINDS = 7 };

/* Indices in short lines and longer ones, of several layouts: read, and added to. */
START_TEST(short_lines_of_indices) {
    static const int64_t widths[] = {1, 2, 3, 4, 23, 24, 25, 26, 40};
    const ag_dtype d = (ag_dtype[]){AG_F32, AG_F64, AG_I64}[_i % 3];
    ag_tensor *x = ag_contiguous(ag_cast(numbered(AG_I64, AG_SHAPE(LINES, KINDS)), d));
    for (int i = 0; i < 9; i++)
        for (int layout = 0; layout < 4; layout++) {
            const int64_t n = widths[i];
            int64_t number[LINES * 40];
            double sum[LINES * KINDS];
            for (int64_t k = 0; k < LINES * n; k++) number[k] = (k * k + k / 3) % KINDS;
            for (int64_t k = n; k < LINES * n && layout == 2; k++) number[k] = number[k % n]; /* as broadcast below */
            ag_tensor *at = ag_from(tape, AG_I64, AG_SHAPE(LINES, n), number);
            if (layout == 1) at = ag_transpose(ag_contiguous(ag_transpose(at, 0, 1)), 0, 1);
            if (layout == 2) at = ag_broadcast_to(ag_slice(at, 0, 0, 1, 1), AG_SHAPE(LINES, n));
            if (layout == 3) at = ag_slice(ag_contiguous(ag_embed(at, 1, 2 * n, 0, 2)), 1, 0, 2 * n, 2);
            ag_tensor *v = ag_cast(numbered(AG_I64, AG_SHAPE(LINES, n)), d), *y = ag_take_along_axis(x, at, 1);
            ag_tensor *z = ag_put_along_axis(x, at, v, 1, AG_PUT_ADD), *deep[3] = {x, at, v};
            for (int k = 0; k < 3; k++)
                deep[k] = ag_permute(ag_reshape(deep[k], AG_SHAPE(5, 8, k == 0 ? KINDS : n)), AG_AXES(1, 0, 2));
            for (int64_t k = 0; k < LINES * KINDS; k++) sum[k] = ag_element(x, k);
            for (int64_t k = 0; k < LINES * n; k++) {
                ck_assert_double_eq(ag_element(y, k), ag_element(x, k / n * KINDS + number[k]));
                sum[k / n * KINDS + number[k]] += ag_element(v, k);
            }
            for (int64_t k = 0; k < LINES * KINDS; k++) ck_assert_double_eq(ag_element(z, k), sum[k]);
            expect_same(ag_permute(ag_take_along_axis(deep[0], deep[1], -1), AG_AXES(1, 0, 2)),
                        ag_reshape(y, AG_SHAPE(5, 8, n)));
            expect_same(ag_permute(ag_put_along_axis(deep[0], deep[1], deep[2], -1, AG_PUT_ADD), AG_AXES(1, 0, 2)),
                        ag_reshape(z, AG_SHAPE(5, 8, KINDS)));
            expect_ok(tape);
            number[layout == 2 ? n - 1 : LINES * n - 1] = KINDS;
            at = ag_from(tape, AG_I64, AG_SHAPE(LINES, n), number);
            if (layout == 1) at = ag_transpose(ag_contiguous(ag_transpose(at, 0, 1)), 0, 1);
            for (int how = -1; how < 2; how++) {
                y = how < 0 ? ag_take_along_axis(x, at, 1) : ag_put_along_axis(x, at, v, 1, (ag_put)how);
                ck_assert_ptr_null(ag_data(y));
                expect_error(tape, AG_ERR_RANGE, "index 7 at element");
                ag_clear_error(tape);
            }
        }
}
END_TEST

/* Rounding errors are kept where many f32 numbers are added to one element; not where they are many in all rows, but few
 * in each: then they are added in sequence. */
START_TEST(additions_are_counted_in_each_line) {
    enum { ROWS = 90 };
    static float table[ROWS * 2], term[ROWS * 200];
    static int64_t number[ROWS * 200];
    for (int64_t n = 100; n <= 200; n += 100)
        for (int64_t span = 2; span <= 20000; span += 19998) {
            for (int64_t k = 0; k < ROWS * n; k++) {
                number[k] = k % 2;
                term[k] = 1 + (float)(k * 37 % 101) / 128.f / 3;
            }
            memset(table, 0, sizeof table);
            double exact[ROWS * 2] = {0};
            for (int64_t k = 0; k < ROWS * n; k++) {
                table[k / n * 2 + k % 2] += term[k];
                exact[k / n * 2 + k % 2] += (double)term[k];
            }
            ag_tensor *at = ag_from(tape, AG_I64, AG_SHAPE(ROWS, n), number);
            ag_tensor *y = ag_put_along_axis(ag_zeros(tape, AG_F32, AG_SHAPE(ROWS, span)), at,
                                             ag_from(tape, AG_F32, AG_SHAPE(ROWS, n), term), 1, AG_PUT_ADD);
            int rounded = 0;
            for (int64_t k = 0; k < ROWS * 2; k++) {
                const double got = ag_element(y, k / 2 * span + k % 2);
                rounded += (double)table[k] != (double)(float)exact[k];
                ck_assert_double_eq(got, n / 2 > 2 * AG__ROWS_A_GROUP ? (double)(float)exact[k] : (double)table[k]);
            }
            ck_assert_int_gt(rounded, 0);
        }
    expect_ok(tape);
}
END_TEST

/* The sum of extents of joined tensors without elements may be the largest number, and not more. */
START_TEST(extents_that_are_joined_do_not_overflow) {
    enum { N = 17 };
    ag_tensor *in[N];
    for (int i = 0; i < N; i++) in[i] = ag_zeros(tape, AG_F64, AG_SHAPE(i < N - 1 ? INT64_MAX / 16 : 15, 0));
    refused(ag_concat(N, in, 0), AG_ERR_SHAPE, "more elements than can be counted");
    in[N - 1] = ag_zeros(tape, AG_F64, AG_SHAPE(16, 0));
    refused(ag_concat(N, in, 0), AG_ERR_SHAPE, "the sum of the extents is too large");
}
END_TEST

/* The gradient of a broadcast is one sum, in place if no axis is new, and another shape only if one is left over. */
START_TEST(gradients_of_broadcasts_are_one_sum) {
    static const struct {
        ag_shape from, to;
        int n;
        const char *made[2];
    } rows[] = {{{1, {3}}, {2, {2, 3}}, 1, {"sum"}},
                {{2, {1, 3}}, {2, {2, 3}}, 1, {"sum"}},
                {{1, {3}}, {2, {1, 3}}, 1, {"reshape"}},
                {{1, {3}}, {3, {2, 1, 3}}, 2, {"sum", "reshape"}},
                {{2, {1, 3}}, {3, {2, 2, 3}}, 2, {"sum", "reshape"}},
                {{0, {0}}, {2, {2, 3}}, 1, {"sum"}}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        ag_tensor *x = ag_parameter_from(ag_zeros(tape, AG_F64, rows[k].from)), *dx;
        ag_tensor *y = ag_broadcast_to(x, rows[k].to), *g = scattered(tape, AG_F64, rows[k].to, 3);
        ag_vjp(1, &y, &g, 1, &x, &dx, 0);
        ck_assert_msg(is_made_by(dx, g, rows[k].n, rows[k].made), "row %d", (int)k);
    }
}
END_TEST

/* The same bits for any number of threads, where work is divided. */
START_TEST(threads_do_not_change_bits) {
    const int64_t n = small_run() ? 300 : 3000, w = 65;
    ag_tensor *results[2][7];
    int64_t *at = malloc((size_t)n * sizeof *at);
    state = 77;
    for (int64_t i = 0; i < n; i++) at[i] = below(200) - (chance(30) ? 200 : 0);
    for (int pass = 0; pass < 2; pass++) {
        ag_tape_set_threads(tape, pass ? 7 : 1);
        ag_tensor *x = scattered(tape, AG_F32, AG_SHAPE(200, w), 1), *s = scattered(tape, AG_F32, AG_SHAPE(n, w), 2);
        ag_tensor *i = ag_from(tape, AG_I64, AG_SHAPE(n), at), *wide = ag_transpose(s, 0, 1);
        ag_tensor **r = results[pass];
        r[0] = ag_index_select(x, i, 0);
        r[1] = ag_index_add(x, i, s, 0);
        r[2] = ag_index_put(x, AG_ITEMS(AG_BY(i)), s, AG_PUT_SET);
        r[3] = ag_index_put(ag_transpose(x, 0, 1), AG_ITEMS(AG_ALL, AG_BY(i)), wide, AG_PUT_MAX);
        r[4] = ag_pad_with(s, AG_ALL_AXES, AG_SHAPE(3, 1), AG_SHAPE(0, 2), AG_PAD_CONSTANT, 5);
        r[5] = ag_pad_with(wide, AG_ALL_AXES, AG_SHAPE(3, 1), AG_SHAPE(0, 2), AG_PAD_REFLECT, 0);
        r[6] = ag_index_put(x, AG_ITEMS(AG_BY(i), AG_RANGE(AG_END, AG_END, -1)), s, AG_PUT_ADD);
        ag_eval_all(7, r);
        expect_ok(tape);
    }
    for (int k = 0; k < 7; k++) expect_same(results[0][k], results[1][k]);
    free(at);
}
END_TEST

/* Around no elements there is the value alone, in rows of one element too; the gradient of no elements is 0. */
START_TEST(padding_of_nothing) {
    ag_tensor *x = ag_parameter_from(ag_full(tape, AG_F32, AG_SHAPE(300, 1), 2)), *dx;
    ag_tensor *none = ag_slice(x, 1, 0, 0, 1), *down = ag_slice(x, 0, 300, 300, 1), *g = ag_zeros_like(none);
    expect_same(ag_pad(none, AG_AXES(1), AG_SHAPE(2), AG_SHAPE(1)), ag_zeros(tape, AG_F32, AG_SHAPE(300, 3)));
    expect_same(ag_pad_with(down, AG_AXES(0), AG_SHAPE(2), AG_SHAPE(5), AG_PAD_CONSTANT, 1.5),
                ag_full(tape, AG_F32, AG_SHAPE(7, 1), 1.5));
    ck_assert_int_eq(ag_vjp(1, &none, &g, 1, &x, &dx, 0), AG_OK);
    expect_same(dx, ag_zeros_like(x));
    expect_ok(tape);
}
END_TEST

/* Results that are written past the caches, row by row, put together first, and in whole blocks. */
START_TEST(large_results_are_whole) {
    const int64_t m = small_run() ? 40 : 2100, n = 1051;
    const ag_shape shape = AG_SHAPE(m, n);
    ag_tensor *row = ag_arange(tape, AG_F32, n), *column = ag_reshape(ag_arange(tape, AG_F32, m), AG_SHAPE(m, 1));
    ag_tensor *x = ag_contiguous(ag_add(ag_scale(column, 4), ag_scale(row, 0.25)));
    ag_tensor *index = ag_reshape(ag_arange_with(tape, AG_I64, (double)m - 1, -1, -1), AG_SHAPE(m, 1));
    ag_tensor *back = ag_arange_with(tape, AG_I64, (double)n - 1, -1, -1);
    ag_tensor *y[] = {ag_pad(x, AG_AXES(1, 0), AG_SHAPE(2, 1), AG_SHAPE(1, 0)),
                      ag_pad(ag_reshape(x, AG_SHAPE(m * n, 1)), AG_AXES(1), AG_SHAPE(1), AG_SHAPE(1)),
                      ag_roll(x, 5, 1),
                      ag_stack(2, (ag_tensor *[]){x, x}, -1),
                      ag_tile(x, AG_SHAPE(1, 2)),
                      ag_repeat_interleave(x, 2, 0),
                      ag_index_select(x, ag_reshape(index, AG_SHAPE(m)), 0),
                      ag_take_along_axis(x, ag_contiguous(ag_broadcast_to(back, shape)), 1)};
    const float *of[8], *from = ag_data(x);
    ag_eval_all(8, y);
    for (int k = 0; k < 8; k++) of[k] = ag_data(y[k]);
    expect_ok(tape);
    bool good[8] = {true, true, true, true, true, true, true, true};
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            const float v = from[i * n + j];
            good[0] = good[0] && of[0][(i + 1) * (n + 3) + j + 2] == v;
            good[1] = good[1] && of[1][3 * (i * n + j) + 1] == v && of[1][3 * (i * n + j)] == 0;
            good[2] = good[2] && of[2][i * n + (j + 5) % n] == v;
            good[3] = good[3] && of[3][2 * (i * n + j)] == v && of[3][2 * (i * n + j) + 1] == v;
            good[4] = good[4] && of[4][2 * i * n + j] == v && of[4][(2 * i + 1) * n + j] == v;
            good[5] = good[5] && of[5][2 * i * n + j] == v && of[5][(2 * i + 1) * n + j] == v;
            good[6] = good[6] && of[6][(m - 1 - i) * n + j] == v;
            good[7] = good[7] && of[7][i * n + n - 1 - j] == v;
        }
    for (int64_t j = 0; j < n + 3; j++) good[0] = good[0] && of[0][j] == 0;
    for (int k = 0; k < 8; k++) ck_assert_msg(good[k], "result %d is wrong", k);
}
END_TEST

/* Many additions to one place are as exact as those of ag_scatter_add. */
START_TEST(many_additions_are_exact) {
    enum { MANY = 100000 };
    ag_tensor *zeros = ag_zeros(tape, AG_F32, AG_SHAPE(3, 2)), *i = ag_ones(tape, AG_I64, AG_SHAPE(MANY));
    ag_tensor *tenth = ag_full(tape, AG_F32, AG_SHAPE(1), 0.1);
    ag_tensor *one = ag_index_put(zeros, AG_ITEMS(AG_BY(i)), tenth, AG_PUT_ADD);
    ag_tensor *two = ag_index_put(zeros, AG_ITEMS(AG_BY(i), AG_BY(i)), tenth, AG_PUT_ADD);
    const double want = (double)0.1f * MANY;
    ck_assert(fabs(ag_element(one, 2) - want) <= 1e-6 * want);
    ck_assert(fabs(ag_element(two, 3) - want) <= 1e-6 * want);
    ck_assert(ag_element(two, 2) == 0);
}
END_TEST

/* ---- Constructors ---- */

START_TEST(shapes_and_axes_from_lists) {
    const int64_t extent[] = {2, 3};
    const int axis[] = {1, 0};
    ag_tensor *x = numbered(AG_F64, AG_SHAPE(3, 2));
    expect_shape(ag_reshape(x, ag_shape_from(2, extent)), AG_SHAPE(2, 3));
    expect_shape(ag_permute(x, ag_axes_from(2, axis)), AG_SHAPE(2, 3));
    expect_shape(ag_sum_over(x, ag_axes_from(0, NULL), false), AG_SHAPE(3, 2));
    ck_assert_int_eq(ag_shape_from(0, NULL).rank, 0);
    ag_clear_error(NULL);
    ag_shape none = ag_shape_from(9, extent);
    expect_error(NULL, AG_ERR_SHAPE, "shape_from", "rank 9: 0 to 8 is wanted");
    refused(ag_reshape(x, none), AG_ERR_SHAPE, "reshape");
    refused(ag_zeros(tape, AG_F64, none), AG_ERR_SHAPE, "full");
    ag_shape_from(2, NULL);
    expect_error(NULL, AG_ERR_NULL, "shape_from");
    ag_shape_from(-1, extent);
    expect_error(NULL, AG_ERR_SHAPE, "shape_from", "rank -1");
    ag_axes nothing = ag_axes_from(9, axis);
    expect_error(NULL, AG_ERR_AXIS, "axes_from", "9 axes: 0 to 8 are wanted");
    refused(ag_sum_over(x, nothing, false), AG_ERR_AXIS, "sum");
    refused(ag_permute(x, nothing), AG_ERR_AXIS, "permute");
    ag_axes_from(1, NULL);
    expect_error(NULL, AG_ERR_NULL, "axes_from");
    ag_axes_from(-1, axis); /* not AG_ALL_AXES */
    expect_error(NULL, AG_ERR_AXIS, "axes_from");
}
END_TEST

START_TEST(progressions_end_where_they_should) {
    expect_list(ag_arange_with(tape, AG_I64, 5, -4, -3), 5, 2, -1);
    expect_list(ag_arange_with(tape, AG_F64, 0, 1, 0.25), 0, 0.25, 0.5, 0.75);
    ck_assert_int_eq(ag_size(ag_arange_with(tape, AG_F32, 1, 0, 1)), 0);
    ag_tensor *x = ag_linspace(tape, AG_F64, 0.1, 0.7, 101);
    ck_assert(ag_element(x, 0) == 0.1 && ag_element(x, 100) == 0.7);
    ag_tensor *wide = ag_linspace(tape, AG_F64, -1.7e308, 1.7e308, 5);
    expect_near(wide, 5, ((double[]){-1.7e308, -0.85e308, 0, 0.85e308, 1.7e308}), 1, 1e300);
    expect_list(ag_logspace(tape, AG_F32, 0, 3, 4, 2), 1, 2, 4, 8);
    ag_tensor *y = ag_full_like(numbered(AG_I64, AG_SHAPE(2, 2)), 7);
    expect_list(y, 7, 7, 7, 7);
    expect_list(ag_zeros_like(y), 0, 0, 0, 0);
    expect_list(ag_ones_like(y), 1, 1, 1, 1);
    expect_list(ag_eye(tape, AG_BOOL, 2, 3, 1), 0, 1, 0, 0, 0, 1);
}
END_TEST

/* Bits, so that the sign of 0 counts. */
static void expect_steps(ag_dtype dtype, double start, double step, double stop, int64_t half, int64_t n,
                         ag_tensor *y) {
    const void *data = ag_data(y);
    for (int64_t i = 0; i < n; i++) {
        const double wide = i < half ? fma((double)i, step, start) : fma(-(double)(n - 1 - i), step, stop);
        const float narrow = (float)wide;
        if (dtype == AG_F64) ck_assert_mem_eq((const double *)data + i, &wide, sizeof wide);
        else ck_assert_mem_eq((const float *)data + i, &narrow, sizeof narrow);
    }
}

START_TEST(elements_of_progressions_are_rounded_once) {
    const int64_t n = AG__STRIP * 2 + 3;
    for (ag_dtype dtype = AG_F32; dtype <= AG_F64; dtype++) {
        const double step = 0.1, low = -0.3, high = low + step * (double)(n - 1);
        ag_tensor *y = ag_arange_with(tape, dtype, low, low + step * (double)n, step);
        expect_steps(dtype, low, step, 0, n, ag_size(y), y);
        expect_steps(dtype, low, (high - low) / (double)(n - 1), high, n / 2, n,
                     ag_linspace(tape, dtype, low, high, n));
        expect_steps(dtype, -0.0, 1 / (double)(n - 1), 1, n / 2, n, ag_linspace(tape, dtype, -0.0, 1, n));
        expect_steps(dtype, -1, 1 / (double)(n - 1), -0.0, n / 2, n, ag_linspace(tape, dtype, -1, -0.0, n));
        expect_steps(dtype, 0, -1, 0, n, n, ag_arange_with(tape, dtype, -0.0, -(double)n, -1));
    }
}
END_TEST

/* ---- Memory ---- */

static ag_status whole_program(ag_tape *t) {
    const double values[] = {1, 2, 3, 4, 5, 6};
    ag_tensor *x = ag_parameter(t, AG_F64, AG_SHAPE(2, 3), values), *y[2], *dx;
    ag_tensor *mask = ag_from(t, AG_BOOL, AG_SHAPE(2, 3), (unsigned char[]){1, 0, 1, 0, 1, 0});
    ag_split(x, 0, 2, y);
    ag_tensor *stacked = ag_stack(2, y, 0),
              *chosen = ag_index(stacked, AG_ITEMS(AG_REST, AG_BY(ag_arange(t, AG_I64, 2))));
    ag_tensor *put = ag_put_at(x, "%", 1, &mask, ag_masked_select(x, mask), AG_PUT_ADD);
    ag_tensor *counted = ag_repeat_interleave_by(x, ag_from(t, AG_I64, AG_SHAPE(2), (int64_t[]){2, 1}), 0);
    ag_tensor *padded = ag_pad_with(x, AG_AXES(0), AG_SHAPE(2), AG_SHAPE(1), AG_PAD_CIRCULAR, 0);
    ag_tensor *sum = ag_add(ag_add(ag_sum(chosen), ag_sum(put)), ag_add(ag_sum(counted), ag_sum(padded)));
    ag_grad(ag_square(sum), 1, &x, &dx);
    ag_data(dx);
    return ag_tape_status(t);
}

/* A padded value is added to another that nothing else reads, without a copy. */
START_TEST(padded_and_added) {
    enum { M = 40, N = 300, BEFORE = 7, AFTER = 3, ALL = BEFORE + N + AFTER };
    static const ag_dtype dtypes[] = {AG_I64, AG_F32, AG_F64};
    for (int d = 0; d < 3; d++)
        for (int value = 0; value < 2; value++) {
            ag_tensor *x = ag_cast(ag_reshape(ag_arange(tape, AG_I64, M * N), AG_SHAPE(M, N)), dtypes[d]);
            ag_tensor *u = ag_cast(ag_reshape(ag_arange(tape, AG_I64, M * ALL), AG_SHAPE(M, ALL)), dtypes[d]);
            ag_tensor *padded = ag_pad_with(x, AG_AXES(1), AG_SHAPE(BEFORE), AG_SHAPE(AFTER), AG_PAD_CONSTANT, value);
            const double *y = ag_data(ag_cast(ag_add(ag_scale(u, 2), padded), AG_F64));
            ck_assert_ptr_nonnull(y);
            for (int i = 0; i < M; i++)
                for (int k = 0; k < ALL; k++) {
                    const bool inside = k >= BEFORE && k < BEFORE + N;
                    const int wanted = 2 * (i * ALL + k) + (inside ? i * N + k - BEFORE : value);
                    ck_assert_double_eq(y[i * ALL + k], wanted);
                }
        }
}
END_TEST

START_TEST(every_allocation_may_fail) { with_each_allocation_failing(whole_program); }
END_TEST

int main(void) {
    Suite *suite = suite_create("shape");
    TCase *index = tape_group(suite, "index"), *text = tape_group(suite, "text"), *rest = tape_group(suite, "rest");
    tcase_set_timeout(index, 120);
    tcase_set_timeout(text, 120);
    tcase_add_loop_test(index, reading_is_as_in_numpy, 0, 2);
    tcase_add_loop_test(index, writing_is_as_in_numpy, 0, 4);
    tcase_add_test(index, broadcasts_that_do_not_fit_are_refused);
    tcase_add_test(index, masks_are_lists_of_places);
    tcase_add_test(index, wrong_indices_are_refused);
    tcase_add_test(index, indices_out_of_range_are_found_in_the_data);
    tcase_add_test(text, texts_are_read);
    tcase_add_test(text, other_texts_are_refused);
    tcase_add_test(text, any_text_is_read_or_refused);
    tcase_add_test(rest, joined_rows_are_taken_some_at_a_time);
    tcase_add_loop_test(index, short_lines_of_indices, 0, 3);
    tcase_add_test(index, additions_are_counted_in_each_line);
    tcase_add_loop_test(rest, adjoints_are_exact, 0, 15);
    tcase_add_loop_test(rest, a_transpose_of_any_size_is_copied, 0, AG_DTYPES);
    tcase_add_test(rest, many_stacked_last_are_a_transpose);
    tcase_add_test(rest, parts_make_the_whole);
    tcase_add_test(rest, refused_parts_are_nil);
    tcase_add_test(rest, wrong_calls_are_refused);
    tcase_add_test(rest, unused_places_do_not_leak);
    tcase_add_test(rest, views_are_not_copied);
    tcase_add_test(rest, extents_that_are_joined_do_not_overflow);
    tcase_add_test(rest, gradients_of_broadcasts_are_one_sum);
    tcase_add_test(rest, threads_do_not_change_bits);
    tcase_add_test(rest, padding_of_nothing);
    tcase_add_test(rest, large_results_are_whole);
    tcase_add_test(rest, many_additions_are_exact);
    tcase_add_test(rest, shapes_and_axes_from_lists);
    tcase_add_test(rest, progressions_end_where_they_should);
    tcase_add_test(rest, elements_of_progressions_are_rounded_once);
    tcase_add_test(rest, padded_and_added);
    tcase_add_test(rest, parts_of_windows_have_gradients);
    tcase_add_test(rest, single_elements_of_windows_have_gradients);
    tcase_add_test(rest, every_allocation_may_fail);
    return run_suite(suite);
}
