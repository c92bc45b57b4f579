/* slices -- parts of a tensor at regular places, and tensors put back at such places; each is the other's gradient
 *
 * slice and embed do so along one axis, slices and pad along several. A slice's ends are clamped to its axis when it is
 * recorded. */
#include "autograd/eval/eval.h"
#include "autograd/eval/pack.h"
#include "autograd/eval/stream.h"
#include "ops/copying.h"
#include "ops/rules.h"
#include "ops/shaping.h"

#include <stdlib.h>
#include <string.h>

/* ---- slice, flip, embed: each is the other's gradient ---- */

typedef struct range { /* indices start, start+step, … on `axis` of the longer of x and y */
    int64_t axis, start, step;
    int64_t extent; /* of y */
} range;

/* Whether m indices from `start` on lie within an axis of extent n. */
static bool inside(int64_t start, int64_t step, int64_t m, int64_t n) {
    if (m < 0 || step == 0) return false;
    if (m == 0) return true;
    if (start < 0 || start >= n) return false;
    uint64_t ahead = (uint64_t)(step > 0 ? n - 1 - start : start);
    uint64_t magnitude = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    return (uint64_t)(m - 1) <= ahead / magnitude;
}

/* The stride between m indices. With one index the step is unused, and may be too large to multiply. */
static int64_t stride_of(int64_t step, int64_t m, int64_t stride) { return m > 1 ? stride * step : stride; }

/* Refuse m indices that are not all on an axis of extent n. */
static bool reject_outside(const ag_infer *r, int64_t start, int64_t step, int64_t m, int axis, int64_t n) {
    return ag_reject(r, AG_ERR_RANGE, "%lld indices from %lld, step %lld, are not all on axis %d with extent %lld",
                     (long long)m, (long long)start, (long long)step, axis, (long long)n);
}

/* The layout of that part of x: shape and strides, which are those of x before; and where it begins in x. */
static int64_t take_part(const range *p, ag_shape *shape, int64_t *stride) {
    const int64_t from = p->extent > 0 ? p->start * stride[p->axis] : 0;
    stride[p->axis] = stride_of(p->step, p->extent, stride[p->axis]);
    shape->extent[p->axis] = p->extent;
    return from;
}

static bool slice_infer(ag_infer *r) {
    const range *p = r->attributes;
    const ag_tensor *x = r->x[0];
    if (p->axis < 0 || p->axis >= r->shape.rank || !inside(p->start, p->step, p->extent, r->shape.extent[p->axis]))
        return ag_reject(r, AG_ERR_RANGE, "%lld indices from %lld, step %lld, are not all on axis %lld",
                         (long long)p->extent, (long long)p->start, (long long)p->step, (long long)p->axis);
    memcpy(r->stride, ag__strides(x->layout), (size_t)r->shape.rank * sizeof(int64_t));
    r->offset = x->offset + take_part(p, &r->shape, r->stride);
    return true;
}

/* The vjp of slice and of embed: each is the other. */
static ag_tensor *range_vjp(ag_tensor *y, ag_tensor *g, int i) {
    range p = *(const range *)ag_attributes(y);
    p.extent = ag_extent(ag_input(y, i), (int)p.axis);
    return ag_apply(y->op == &ag__op_embed ? &ag__op_slice : &ag__op_embed, 1, &g, &p, sizeof p);
}

const ag_op ag__op_slice = {.name = "slice",
                            .notation = "slice_{i0}({0}, {i1}, {i2}, {i3})",
                            .kind = AG_KIND_VIEW,
                            .arity = 1,
                            .attribute_bytes = sizeof(range),
                            .infer = slice_infer,
                            .vjp = range_vjp};

/* `at`, counted from the end if negative, clamped to 0 … n forwards and to −1 … n−1 backwards. */
static int64_t cut(int64_t at, int64_t n, bool backwards) {
    int64_t low = backwards ? -1 : 0, high = backwards ? n - 1 : n;
    if (at < 0) at += n;
    return at < low ? low : at > high ? high : at;
}

static range work_out_slice(int axis, int64_t n, int64_t start, int64_t stop, int64_t step) {
    bool backwards = step < 0;
    int64_t from = start != AG_END ? cut(start, n, backwards) : backwards ? n - 1 : 0;
    int64_t to = stop != AG_END ? cut(stop, n, backwards) : backwards ? -1 : n;
    int64_t ahead = backwards ? from - to : to - from;
    uint64_t magnitude = backwards ? 0 - (uint64_t)step : (uint64_t)step;
    if (ahead <= 0) return (range){axis, 0, 1, 0};
    int64_t m = (int64_t)((uint64_t)(ahead - 1) / magnitude) + 1;
    return (range){axis, from, m > 1 ? step : 1, m};
}

static ag_tensor *record_slice(const char *name, ag_tensor *x, int axis, int64_t start, int64_t stop, int64_t step) {
    ag_tensor *nil;
    if (!ag__inputs_usable(name, 1, &x, &nil)) return nil;
    int a = ag__axis(axis, x->layout->rank);
    if (a < 0) return ag__no_axis(name, x, axis);
    if (step == 0) return ag__fail(name, 1, &x, AG_ERR_RANGE, "step 0 leads nowhere");
    range p = work_out_slice(a, x->layout->extent[a], start, stop, step);
    if (p.extent == x->layout->extent[a] && p.start == 0 && p.step == 1) return ag__unchanged(x);
    if (p.extent == 0 || x->layout->size == 0) return ag_apply(&ag__op_slice, 1, &x, &p, sizeof p);
    ag_shape shape = ag__layout_shape(x->layout);
    int64_t stride[AG_MAX_RANK];
    memcpy(stride, ag__strides(x->layout), (size_t)shape.rank * sizeof *stride);
    const int64_t from = take_part(&p, &shape, stride);
    return ag__record_view(&ag__op_slice, x, ag__layout_new(x->tape, &shape, stride), from, &p, sizeof p);
}

ag_tensor *ag_slice(ag_tensor *x, int axis, int64_t start, int64_t stop, int64_t step) {
    return record_slice("slice", x, axis, start, stop, step);
}

ag_tensor *ag_flip(ag_tensor *x, int axis) { return record_slice("flip", x, axis, -1, AG_END, -1); }

/* ---- The same along several axes ---- */

typedef struct box { /* indices start, start+step, … on each axis of the longer of x and y; 0 beyond their rank */
    double value;    /* elsewhere */
    int64_t start[AG_MAX_RANK], step[AG_MAX_RANK];
    int64_t extent[AG_MAX_RANK]; /* of y */
} box;

static void copy_extents(int64_t *to, const ag_tensor *x) {
    memcpy(to, x->layout->extent, (size_t)x->layout->rank * sizeof *to);
}

static bool slices_infer(ag_infer *r) {
    const box *b = r->attributes;
    const ag_tensor *x = r->x[0];
    r->offset = x->offset;
    for (int i = 0; i < r->shape.rank; i++) {
        const int64_t m = b->extent[i], n = r->shape.extent[i], stride = ag__strides(x->layout)[i];
        if (!inside(b->start[i], b->step[i], m, n)) return reject_outside(r, b->start[i], b->step[i], m, i, n);
        r->offset += m > 0 ? b->start[i] * stride : 0;
        r->stride[i] = stride_of(b->step[i], m, stride);
        r->shape.extent[i] = m;
    }
    return true;
}

/* The vjp of slices and of pad: around a cotangent there are zeros, whatever pad's value is. */
static ag_tensor *box_vjp(ag_tensor *y, ag_tensor *g, int i) {
    box b = *(const box *)ag_attributes(y);
    copy_extents(b.extent, ag_input(y, i));
    b.value = 0;
    return ag_apply(y->op == &ag__op_pad ? &ag__op_slices : &ag__op_pad, 1, &g, &b, sizeof b);
}

const ag_op ag__op_slices = {.name = "slices",
                             .kind = AG_KIND_VIEW,
                             .arity = 1,
                             .attribute_bytes = sizeof(box),
                             .infer = slices_infer,
                             .vjp = box_vjp};

int64_t ag__cut_extent(const ag__cut *cut, int64_t n, int64_t *first, int64_t *step) {
    const range p = work_out_slice(0, n, cut->start, cut->stop, cut->step);
    *first = p.start, *step = p.step;
    return p.extent;
}

ag_tensor *ag__slices(const char *name, ag_tensor *x, const ag__cut *cut) {
    box b = {.value = 0};
    const int rank = x->layout->rank;
    int axis = -1, count = 0;
    for (int i = 0; i < rank; i++) {
        const int64_t n = x->layout->extent[i];
        const range p = work_out_slice(i, n, cut[i].start, cut[i].stop, cut[i].step);
        b.start[i] = p.start, b.step[i] = p.step, b.extent[i] = p.extent;
        if (p.extent != n || p.start != 0 || p.step != 1) axis = i, count++;
    }
    if (count > 1) return ag_apply(&ag__op_slices, 1, &x, &b, sizeof b);
    return axis < 0 ? ag__unchanged(x) : record_slice(name, x, axis, cut[axis].start, cut[axis].stop, cut[axis].step);
}

/* ---- Writing x into a box, and a value around it ---- */

/* Without axes of extent 1; an axis along which nothing is added is joined with the one before, where x allows it. y is
 * row-major, so what is around an index of an axis is one run. */
enum {
    LONG_ROW = AG__LIMIT(1024, 64),
    TOGETHER = AG__LIMIT(32 * 1024, 256)
}; /* bytes: of rows that are written by themselves; of what is put together */

typedef struct padding {
    int rank;
    int64_t extent[AG_MAX_RANK], start[AG_MAX_RANK], inner[AG_MAX_RANK]; /* of y; of x within it */
    int64_t to[AG_MAX_RANK], from[AG_MAX_RANK];                          /* strides in bytes */
    size_t bytes;
    char value[AG__MOST_BYTES];
    bool zeros;       /* the value's bytes */
    bool past;        /* y is written past the caches, */
    int put_together; /* and each index of this axis is put together before; −1: rows are long */
    char *y;
    const char *x;
} padding;

static void prepare(padding *p, const ag_call *call, const box *b) {
    const ag_array *x = &call->x[0], *y = &call->y;
    p->bytes = ag_dtype_size(y->dtype), p->x = x->data, p->rank = 0;
    ag__put_element(y->dtype, p->value, 0, b->value);
    p->zeros = memcmp(p->value, (char[AG__MOST_BYTES]){0}, p->bytes) == 0;
    p->past = ag__goes_past((x->size + y->size) * (int64_t)p->bytes);
    for (int i = 0; i < y->rank; i++) {
        const int64_t e = y->shape[i], m = x->shape[i], from = x->stride[i] * (int64_t)p->bytes;
        const int64_t start = m > 0 ? b->start[i] : 0; /* of no index it may be any number, too large to multiply */
        if (e == 1 && m == 1) continue;
        const int last = p->rank - 1;
        const bool joins = last >= 0 && m == e && (p->from[last] == from * e || p->inner[last] == 1);
        const int n = joins ? last : p->rank++;
        const int64_t times = joins ? e : 1;
        p->extent[n] = joins ? p->extent[n] * times : e;
        p->start[n] = joins ? p->start[n] * times : start;
        p->inner[n] = joins ? p->inner[n] * times : m;
        p->from[n] = from;
    }
    int64_t step = (int64_t)p->bytes; /* not y's: an axis of extent 1 may have any stride */
    for (int n = p->rank - 1; n >= 0; step *= p->extent[n--]) p->to[n] = step;
    p->put_together = -1;
    for (int n = p->rank - 2; p->past && n >= 0 && p->inner[p->rank - 1] < LONG_ROW / (int64_t)p->bytes; n--)
        if (p->to[n] <= TOGETHER) p->put_together = n;
}

static void pad_axis(const padding *p, int axis, char *to, const char *from, int64_t low, int64_t high);

static void put_together(const padding *p, int axis, char *to, const char *from) {
    double memory[TOGETHER / sizeof(double)];
    pad_axis(p, axis + 1, (char *)memory, from, 0, p->extent[axis + 1]);
    ag__copy_past(to, memory, (size_t)p->to[axis], 0);
}

/* n elements, n < 1 included. Mostly one or two at the ends of a row: without a call. */
static void fill(const padding *p, char *to, int64_t n) {
    if (n < 1) return;
    if (n <= 4 && p->bytes == 4)
        for (int64_t i = 0; i < n; i++) memcpy(to + i * 4, p->value, 4);
    else if (n <= 4 && p->bytes == 8)
        for (int64_t i = 0; i < n; i++) memcpy(to + i * 8, p->value, 8);
    else if (p->zeros) memset(to, 0, (size_t)n * p->bytes);
    else if (p->bytes == 1) memset(to, p->value[0], (size_t)n);
    else ag__copy_run(n, p->bytes, to, (int64_t)p->bytes, p->value, 0);
}

static bool has_few_columns(const padding *p) { return p->extent[p->rank - 1] <= AG__FEW_COPIED; }

/* The rows of the last axis, all of which x has: as in pad_axis, without its decisions; few columns one by one. Behind
 * a row is what follows it, and what the next one begins with. */
static void pad_rows(const padding *p, char *to, const char *from, int64_t rows) {
    const int axis = p->rank - 1;
    const int64_t step = p->to[axis], start = p->start[axis], inner = p->inner[axis], all = p->extent[axis];
    for (int64_t j = 0; j < all && has_few_columns(p); j++) {
        const bool has = j >= start && j < start + inner;
        ag__copy_run(rows, p->bytes, to + j * step, all * step, has ? from + (j - start) * p->from[axis] : p->value,
                     has ? p->from[axis - 1] : 0);
    }
    if (has_few_columns(p)) return;
    ag__copy_rows(to + start * step, all * step, from, p->from[axis - 1], rows, inner * step);
    fill(p, to, start);
    for (to += (start + inner) * step; rows > 0; rows--, to += all * step)
        fill(p, to, all - inner - (rows > 1 ? 0 : start));
}

/* Indices low … high−1 of an axis; to: of its index 0; from: of x's. */
static void pad_axis(const padding *p, int axis, char *to, const char *from, int64_t low, int64_t high) {
    const int64_t start = p->start[axis], end = start + p->inner[axis], first = low > start ? low : start;
    const int64_t step = p->to[axis], elements = step / (int64_t)p->bytes, last = ag__lesser(high, end);
    if (first >= last) {
        fill(p, to + low * step, (high - low) * elements);
        return;
    }
    fill(p, to + low * step, (first - low) * elements);
    from += (first - start) * p->from[axis];
    if (axis == p->rank - 2 && p->inner[axis + 1] > 0 &&
        (p->from[axis + 1] == (int64_t)p->bytes || has_few_columns(p)) &&
        (!p->past || (p->put_together >= 0 && p->put_together < axis)))
        pad_rows(p, to + first * step, from, last - first);
    else if (axis == p->rank - 1 && p->from[axis] == step)
        ag__copy_row(to + first * step, from, (size_t)((last - first) * step),
                     p->past && p->put_together<0, axis> 0 ? p->from[axis - 1] : 0);
    else if (axis == p->rank - 1) ag__copy_run(last - first, p->bytes, to + first * step, step, from, p->from[axis]);
    else
        for (int64_t i = first; i < last; i++, from += p->from[axis])
            if (axis == p->put_together) put_together(p, axis, to + i * step, from);
            else pad_axis(p, axis + 1, to + i * step, from, 0, p->extent[axis + 1]);
    fill(p, to + last * step, (high - last) * elements);
}

static void pad_share(void *p_, int i, int n) {
    const padding *p = p_;
    pad_axis(p, 0, p->y, p->x, ag__share_start(p->extent[0], i, n), ag__share_start(p->extent[0], i + 1, n));
    if (p->past) ag__copied_past();
}

/* An x without elements has no run: y is the value alone, which is written at once. */
static bool is_one_run(const ag_array *x, const box *b) {
    bool run = x->size > 0;
    for (int i = 0; i < x->rank; i++) run = run && (b->step[i] == 1 || x->shape[i] <= 1);
    return run;
}

/* x's elements to their places in `to`, which is laid out as y; or added to what is there. */
static void put_inside(const ag_call *call, const box *b, char *to, bool adds) {
    const ag_array *x = &call->x[0], *y = &call->y;
    int64_t stride[AG_MAX_RANK];
    if (x->size == 0) return;
    for (int i = 0; i < y->rank; i++) {
        to += b->start[i] * y->stride[i] * (int64_t)ag_dtype_size(y->dtype);
        stride[i] = stride_of(b->step[i], x->shape[i], y->stride[i]);
    }
    if (adds) ag__add_to(to, stride, x);
    else ag__copy(to, stride, x, call->threads, false);
}

/* y = x in its box and the value around it. */
static void pad_into(const ag_call *call, const box *b, char *to) {
    padding p;
    prepare(&p, call, b);
    p.y = to;
    if (!is_one_run(&call->x[0], b)) {
        fill(&p, to, call->y.size);
        put_inside(call, b, to, false);
    } else if (p.rank == 0) {
        ag__copy_run(call->y.size, p.bytes, to, (int64_t)p.bytes, p.x, 0);
    } else {
        ag__parallel(ag__worthwhile(call->y.size, call->threads), pad_share, &p);
    }
}

static bool place(const ag_call *call, const box *b) {
    const ag_array *y = &call->y;
    if (y->size == 0) return true;
    if (!call->accumulate) {
        pad_into(call, b, y->data);
    } else if (b->value == 0) {
        put_inside(call, b, y->data, true);
    } else {
        ag_array padded = *y;
        padded.data = ag_call_scratch(call, ag__times((uint64_t)y->size, ag_dtype_size(y->dtype)));
        if (!padded.data) return false;
        pad_into(call, b, padded.data);
        ag__add_to(y->data, y->stride, &padded);
    }
    return true;
}

/* ---- pad ---- */

static bool pad_infer(ag_infer *r) {
    const box *b = r->attributes;
    if (!ag__fits(b->value, r->dtype))
        return ag_reject(r, AG_ERR_RANGE, "%s cannot hold %g", ag_dtype_name(r->dtype), b->value);
    for (int i = 0; i < r->shape.rank; i++) {
        const int64_t m = r->shape.extent[i], n = b->extent[i];
        if (!inside(b->start[i], b->step[i], m, n)) return reject_outside(r, b->start[i], b->step[i], m, i, n);
        r->shape.extent[i] = n;
    }
    return true;
}

static bool pad_eval(const ag_call *call) { return place(call, call->attributes); }

const ag_op ag__op_pad = {.name = "pad",
                          .kind = AG_KIND_OPAQUE,
                          .flags = AG_OP_HIDES_NOTHING | AG_OP_ACCUMULATES,
                          .arity = 1,
                          .attribute_bytes = sizeof(box),
                          .infer = pad_infer,
                          .eval = pad_eval,
                          .vjp = box_vjp};

ag_tensor *ag__pad(ag_tensor *x, const int64_t *before, const int64_t *after, double value) {
    box b = {.value = value};
    bool any = false;
    for (int i = 0; i < x->layout->rank; i++) {
        b.start[i] = before[i], b.step[i] = 1;
        b.extent[i] = x->layout->extent[i] + before[i] + after[i];
        any = any || b.extent[i] != x->layout->extent[i];
    }
    return any ? ag_apply(&ag__op_pad, 1, &x, &b, sizeof b) : ag__unchanged(x);
}

/* ---- embed ---- */

static bool embed_infer(ag_infer *r) {
    const range *p = r->attributes;
    if (p->axis < 0 || p->axis >= r->shape.rank)
        return ag_reject(r, AG_ERR_AXIS, "axis %lld is out of range", (long long)p->axis);
    if (!inside(p->start, p->step, r->shape.extent[p->axis], p->extent))
        return reject_outside(r, p->start, p->step, r->shape.extent[p->axis], (int)p->axis, p->extent);
    r->shape.extent[p->axis] = p->extent;
    return true;
}

static bool embed_eval(const ag_call *call) {
    const range *p = call->attributes;
    box b;
    b.value = 0;
    for (int i = 0; i < call->y.rank; i++)
        b.start[i] = i == p->axis ? p->start : 0, b.step[i] = i == p->axis ? p->step : 1;
    return place(call, &b);
}

/* ---- Sums of embedded tensors ---- */

typedef struct piece { /* an embedded tensor: its place along the axis */
    int64_t start, extent;
    int number;
    ag_tensor *x;
} piece;

static int by_place(const void *a, const void *b) {
    const piece *p = a, *q = b;
    if (p->start != q->start) return p->start < q->start ? -1 : 1;
    if (p->extent != q->extent) return p->extent < q->extent ? -1 : 1;
    return p->number < q->number ? -1 : p->number > q->number;
}

/* List the pieces among y that are in neighbouring indices of this axis, in order; returns how many. */
static int pieces_of(int n, ag_tensor *const y[], int64_t axis, piece *to) {
    int count = 0;
    for (int i = 0; i < n; i++) {
        const range *p = ag__attributes(y[i]);
        const int64_t m = y[i]->input[0]->layout->extent[axis];
        if (p->axis == axis && m > 0 && (m == 1 || p->step == 1)) to[count++] = (piece){p->start, m, i, y[i]->input[0]};
    }
    qsort(to, (size_t)count, sizeof *to, by_place);
    return count;
}

/* Add up pieces at one place, and drop those that begin within another; returns how many are left. `taken`: of y. */
static int set_apart(piece *p, int n, bool *taken) {
    int count = 0;
    for (int i = 0; i < n; i++) {
        piece *last = count > 0 ? &p[count - 1] : NULL;
        bool beyond = !last || p[i].start >= last->start + last->extent;
        bool same = last && p[i].start == last->start && p[i].extent == last->extent;
        taken[p[i].number] = beyond || same;
        if (same) last->x = ag_add(last->x, p[i].x);
        else if (beyond) p[count++] = p[i];
    }
    return count;
}

static ag_tensor *zeros_between(const ag_tensor *y, int64_t axis, int64_t extent) {
    ag_shape shape = ag__layout_shape(y->layout);
    shape.extent[axis] = extent;
    return ag_zeros(y->tape, (ag_dtype)y->dtype, shape);
}

/* The pieces, and zeros in between, as one tensor like y; `all` has room for 2·n + 1. */
static ag_tensor *joined(int n, const piece *p, const ag_tensor *y, int64_t axis, ag_tensor **all) {
    int count = 0;
    int64_t end = 0;
    for (int i = 0; i < n; end = p[i].start + p[i].extent, i++) {
        if (p[i].start > end) all[count++] = zeros_between(y, axis, p[i].start - end);
        all[count++] = p[i].x;
    }
    if (end < y->layout->extent[axis]) all[count++] = zeros_between(y, axis, y->layout->extent[axis] - end);
    return ag_concat(count, all, (int)axis);
}

/* Whether joining them writes less than adding each in its place: to zeros, or to `rest`. */
static bool worth_joining(int n, const piece *p, const ag_tensor *y, int64_t axis, const ag_tensor *rest) {
    int64_t covered = 0;
    for (int i = 0; i < n; i++) covered += p[i].extent;
    return n > 1 && (!rest || 2 * covered >= y->layout->extent[axis]);
}

/* Slices of one tensor, each with a cotangent: those that are apart become one concatenation, without a tensor of
 * zeros for each. */
static ag_tensor *embed_sum(int n, ag_tensor *const y[], ag_tensor *rest) {
    const int64_t axis = ((const range *)ag__attributes(y[0]))->axis;
    const size_t each = sizeof(piece) + 2 * sizeof(ag_tensor *) + sizeof(bool);
    ag__buffer *memory = ag__buffer_new(y[0]->tape, ag__plus(ag__times((uint64_t)n, each), sizeof(ag_tensor *)));
    bool *taken = NULL;
    if (memory) {
        piece *p = memory->data;
        ag_tensor **all = (ag_tensor **)(void *)(p + n);
        taken = memset(all + 2 * n + 1, false, (size_t)n);
        int count = set_apart(p, pieces_of(n, y, axis, p), taken);
        if (worth_joining(count, p, y[0], axis, rest)) {
            ag_tensor *one = joined(count, p, y[0], axis, all);
            rest = rest ? ag_add(rest, one) : one;
        } else {
            taken = NULL;
        }
    }
    for (int i = 0; i < n; i++)
        if (!taken || !taken[i]) rest = rest ? ag_add(rest, y[i]) : y[i];
    ag__buffer_drop(y[0]->tape, memory);
    return rest;
}

const ag_op ag__op_embed = {.name = "embed",
                            .notation = "embed_{i0}({0}, {i1}, {i2}, {i3})",
                            .kind = AG_KIND_OPAQUE,
                            .flags = AG_OP_HIDES_NOTHING | AG_OP_ACCUMULATES,
                            .arity = 1,
                            .attribute_bytes = sizeof(range),
                            .infer = embed_infer,
                            .eval = embed_eval,
                            .vjp = range_vjp,
                            .sum = embed_sum};

int64_t ag__spread_axis(const ag_tensor *g, int64_t *step) {
    const range *p = ag__attributes(g);
    if (g->op != &ag__op_embed || p->start != 0 || p->step < 1) return -1;
    const int64_t m = g->input[0]->layout->extent[p->axis];
    *step = p->step;
    return m > 1 && m == (p->extent - 1) / p->step + 1 ? p->axis : -1;
}

ag_tensor *ag_embed(ag_tensor *x, int axis, int64_t n, int64_t start, int64_t step) {
    ag_tensor *nil;
    if (!ag__inputs_usable("embed", 1, &x, &nil)) return nil;
    int a = ag__axis(axis, x->layout->rank);
    if (a < 0) return ag__no_axis("embed", x, axis);
    if (step == 0) return ag__fail("embed", 1, &x, AG_ERR_RANGE, "step 0 leads nowhere");
    range p = {a, start, step, n};
    return ag_apply(&ag__op_embed, 1, &x, &p, sizeof p);
}
