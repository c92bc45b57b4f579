/* record -- appending to the tape, the one way in for every operation
 *
 * ag_apply does the checks common to all operations, broadcasts elementwise inputs, lets the operation decide shape
 * and dtype, and appends a node. Nothing is appended unless everything is valid. */
#include "autograd/tape/basis.h"
#include "autograd/tape/replay.h"
#include "autograd/tape/tape.h"

#include <string.h>

enum { FEW = AG__MOST_INPUTS, MOST_INPUTS = UINT16_MAX, MOST_ATTRIBUTES = UINT16_MAX };

/* ---- Broadcasting elementwise inputs ---- */

bool ag__common_shape(int n, ag_tensor *const x[], ag_shape *shape, int *clash, int64_t extents[2]) {
    *shape = ag__layout_shape(x[0]->layout);
    for (int j = 1; j < n; j++) {
        const ag__layout *l = x[j]->layout;
        if (l->rank > shape->rank) { /* make room for new leading axes */
            int more = l->rank - shape->rank;
            memmove(shape->extent + more, shape->extent, (size_t)shape->rank * sizeof(int64_t));
            for (int i = 0; i < more; i++) shape->extent[i] = 1;
            shape->rank = l->rank;
        }
        for (int i = 1; i <= l->rank; i++) {
            int64_t *e = &shape->extent[shape->rank - i], f = l->extent[l->rank - i];
            if (*e == 1) *e = f;
            if (f == 1 || f == *e) continue;
            *clash = -i, extents[0] = *e, extents[1] = f;
            return false;
        }
    }
    return true;
}

bool ag__share_shape(const char *name, int n, ag_tensor *const x[], ag_shape *shape, ag_tensor **nil) {
    int clash;
    int64_t extents[2], size;
    const char *why;
    if (!ag__common_shape(n, x, shape, &clash, extents))
        *nil = ag__fail(name, n, x, AG_ERR_SHAPE, "axis %d: the extents %lld and %lld cannot be broadcast", clash,
                        (long long)extents[0], (long long)extents[1]);
    else if (!ag__shape_valid(shape, &size, &why))
        *nil = ag__fail(name, n, x, AG_ERR_SHAPE, "the result would have %s", why);
    else return true;
    return false;
}

bool ag__shape_fits(const char *name, int n, ag_tensor *const x[], const ag_shape *shape, ag_tensor **nil) {
    int64_t size;
    const char *why;
    if (ag__shape_valid(shape, &size, &why)) return true;
    *nil = ag__fail(name, n, x, AG_ERR_SHAPE, "the result would have %s", why);
    return false;
}

static bool have_one_shape(int n, ag_tensor *const x[]) {
    for (int i = 1; i < n; i++)
        if (!ag__layouts_equal(x[i]->layout, x[0]->layout)) return false;
    return true;
}

static bool broadcast_inputs(const ag_op *op, int n, ag_tensor **x) {
    ag_shape shape;
    ag_tensor *nil;
    if (!ag__share_shape(op->name, n, x, &shape, &nil)) return false;
    for (int i = 0; i < n; i++) {
        if (ag__layout_is(x[i]->layout, &shape)) continue;
        x[i] = ag__broadcast(x[i], &shape);
        if (x[i]->flags & AG__NIL) return false;
        x[i]->flags |= AG__IMPLIED;
    }
    return true;
}

/* ---- Checking an operation's decisions ---- */

static const ag__layout *contiguous_layout(const ag_infer *r) {
    for (int i = 0; i < r->n; i++) { /* share the layout of an input of the same shape */
        const ag__layout *l = r->x[i]->layout;
        if (l->contiguous && ag__layout_is(l, &r->shape)) return l;
    }
    return ag__layout_new(r->tape, &r->shape, NULL);
}

/* The lowest and highest element that a layout reaches. */
static bool reach(int rank, const int64_t *extent, const int64_t *stride, int64_t offset, int64_t *low, int64_t *high) {
    const int64_t most = INT64_MAX / 16, few = 1 << 29; /* these are not divided by */
    *low = *high = offset;
    if (offset < 0 || offset > most) return false;
    for (int i = 0; i < rank; i++) {
        const int64_t s = stride[i], last = extent[i] - 1;
        if (s < -most || s > most) return false;
        const int64_t step = s < 0 ? -s : s;
        if (last > 0 && (step | last) >= few && step > most / last) return false;
        *(s < 0 ? low : high) += s * last;
    }
    return true;
}

/* A view must stay within its input: a user's operation may be wrong about that. */
static bool view_inside(const ag_infer *r, int64_t size) {
    const ag_tensor *x = r->x[0];
    int64_t low, high, least, most;
    if (r->dtype != (ag_dtype)x->dtype) return ag_reject(r, AG_ERR_DTYPE, "a view must have the dtype of its input");
    if (size == 0) return true;
    if (x->layout->size == 0 || !reach(r->shape.rank, r->shape.extent, r->stride, r->offset, &low, &high) ||
        !reach(x->layout->rank, x->layout->extent, ag__strides(x->layout), x->offset, &least, &most) || low < least ||
        high > most)
        return ag_reject(r, AG_ERR_RANGE, "the view reaches beyond its input");
    return true;
}

static bool dtype_accepted(const ag_infer *r) {
    const ag_op *op = r->op;
    const ag_dtype dtype = (ag_dtype)r->x[r->n - 1]->dtype;
    if (op->kind == AG_KIND_ELEMENTWISE && ag__accepts(op, (int)dtype)) return true;
    if (op->kind == AG_KIND_REDUCTION && op->reduction->fold[dtype] && op->reduction->combine[dtype]) return true;
    return ag_reject(r, AG_ERR_DTYPE, "the dtype %s is not supported", ag_dtype_name(dtype));
}

/* Call infer. It may overwrite its arguments, which are restored; the present nodes must stay. */
static bool call_infer(ag_infer *r) {
    const ag_op *op = r->op;
    const int n = r->n;
    ag_tensor *const *x = r->x;
    const void *attributes = r->attributes;
    const size_t bytes = r->attribute_bytes;
    ag_tape *tape = r->tape;
    ag__position floor = ag__position_now(tape);
    ag__within former = ag__enter(tape, AG__INFER, op->name, &floor);
    bool good = op->infer(r);
    ag__return(tape, former);
    r->op = op, r->n = n, r->x = x, r->tape = tape;
    r->attributes = attributes, r->attribute_bytes = bytes;
    return good;
}

/* Call infer for an operation whose shape is fixed. */
static bool infer_keeps_shape(ag_infer *r) {
    ag_shape shape = r->shape;
    if (!r->op->infer) return true;
    if (!call_infer(r)) return false;
    if (shape.rank == r->shape.rank && ag__same_numbers(shape.rank, shape.extent, r->shape.extent)) return true;
    return ag_reject(r, AG_ERR_SHAPE, "infer must not decide the shape of such an operation");
}

static double scalar_of(const void *attributes) {
    double s;
    memcpy(&s, attributes, sizeof s);
    return s;
}

static bool scalar_accepted(const ag_infer *r) {
    ag_dtype dtype = (ag_dtype)r->x[r->n - 1]->dtype;
    if (!(r->op->flags & AG_OP_SCALAR) || ag__fits(scalar_of(r->attributes), dtype)) return true;
    return ag_reject(r, AG_ERR_RANGE, "%s cannot hold %g", ag_dtype_name(dtype), scalar_of(r->attributes));
}

static bool infer_elementwise(ag_infer *r) {
    if (r->op->infer) return infer_keeps_shape(r) && dtype_accepted(r) && scalar_accepted(r);
    for (int i = 1; i < r->n; i++)
        if (r->x[i]->dtype != r->x[0]->dtype)
            return ag_reject(r, AG_ERR_DTYPE, "dtypes %s and %s differ", ag_dtype_name((ag_dtype)r->x[0]->dtype),
                             ag_dtype_name((ag_dtype)r->x[i]->dtype));
    if (r->op->flags & AG_OP_PREDICATE) r->dtype = AG_BOOL;
    return dtype_accepted(r) && scalar_accepted(r);
}

static bool infer_reduction(ag_infer *r) {
    if (!r->op->reduction || r->n != 1) return ag_reject(r, AG_ERR_RANGE, "the operation's descriptor is incomplete");
    const ag_axes_set *set = r->attributes;
    unsigned char keepdims = 0; /* as a byte: it may not be a valid bool */
    if (r->attribute_bytes == sizeof *set) memcpy(&keepdims, &set->keepdims, 1);
    if (r->attribute_bytes != sizeof *set || keepdims > 1 || set->mask >> r->shape.rank)
        return ag_reject(r, AG_ERR_AXIS, "a reduction's attributes must be axes of its input");
    int rank = 0;
    for (int i = 0; i < r->shape.rank; i++)
        if (!(set->mask & 1u << i)) r->shape.extent[rank++] = r->shape.extent[i];
        else if (keepdims) r->shape.extent[rank++] = 1;
    r->shape.rank = rank;
    return infer_keeps_shape(r) && dtype_accepted(r);
}

static bool infer_other(ag_infer *r) {
    bool complete = r->op->kind == AG_KIND_VIEW                                           ? r->n == 1
                    : r->op->kind == AG_KIND_CONTRACTION || r->op->kind == AG_KIND_OPAQUE ? r->op->eval != NULL
                                                                                          : false;
    if (!r->op->infer || !complete) return ag_reject(r, AG_ERR_RANGE, "the operation's descriptor is incomplete");
    return call_infer(r);
}

/* Check the shape and dtype that infer decided; it may also have failed and returned true all the same. */
static bool decision_valid(const ag_infer *r, int64_t *size) {
    const char *why;
    if (r->tape->status != AG_OK) return false;
    if ((unsigned)r->dtype >= AG_DTYPES)
        return ag_reject(r, AG_ERR_DTYPE, "the result's dtype %d is invalid", (int)r->dtype);
    return ag__shape_valid(&r->shape, size, &why) || ag_reject(r, AG_ERR_SHAPE, "the result would have %s", why);
}

/* Whether the elements can be computed: without a kernel the trace must be valid. */
static bool computable(const ag_infer *r) {
    const ag_dtype last = (ag_dtype)r->x[r->n - 1]->dtype;
    ag_status why = AG_OK;
    if (r->op->kind != AG_KIND_ELEMENTWISE || ag__kernel(r->tape, r->op, (int)last)) return true;
    if (ag__replay_make(r->tape, r->op, r->n, ag__dtypes(r->n, r->x, r->dtype), &why)) return true;
    return why == AG_ERR_MEMORY
               ? ag_reject(r, why, "out of memory (another operation)")
               : ag_reject(r, why, "of %s there is no kernel, and the trace is invalid", ag_dtype_name(last));
}

static const ag__layout *decide(ag_infer *r) {
    ag_kind kind = r->op->kind;
    bool good = kind == AG_KIND_ELEMENTWISE ? infer_elementwise(r)
                : kind == AG_KIND_REDUCTION ? infer_reduction(r)
                                            : infer_other(r);
    int64_t size;
    if (!good || !decision_valid(r, &size) || (kind == AG_KIND_VIEW && !view_inside(r, size))) return NULL;
    if (!computable(r)) return NULL;
    if (size == 0) r->offset = 0; /* an empty view may have any offset */
    const ag__layout *l =
        kind == AG_KIND_VIEW && size != 0 ? ag__layout_new(r->tape, &r->shape, r->stride) : contiguous_layout(r);
    if (!l) ag_reject(r, AG_ERR_MEMORY, "out of memory (another tensor)");
    return l;
}

static const ag__layout *decide_at_length(const ag_op *op, int n, ag_tensor **x, const void *attributes, size_t bytes,
                                          ag_dtype *dtype, int64_t *offset) {
    const ag__layout *l = x[0]->layout;
    ag_infer r; /* set in parts: gcc clears the whole by one instruction, which takes as long as the rest */
    r.op = op, r.n = n, r.x = x, r.tape = x[0]->tape;
    r.attributes = attributes, r.attribute_bytes = bytes;
    r.dtype = (ag_dtype)x[n - 1]->dtype, r.offset = 0;
    r.shape = (ag_shape){.rank = l->rank};
    memset(r.stride, 0, sizeof r.stride);
    for (int i = 0; i < l->rank; i++) r.shape.extent[i] = l->extent[i];
    l = decide(&r);
    if (!l) ag_reject(&r, AG_ERR_SHAPE, "the operation refused its inputs"); /* unless it has given a reason */
    *dtype = r.dtype;
    *offset = r.offset;
    return l;
}

/* ---- Most calls ---- */

static ag_tensor *finished(ag_tensor *t) {
    ag_tape *tape = t->tape;
    return tape->on_record && !(t->flags & AG__NIL) && !tape->on_record(tape, t) ? tape->nil : t;
}

/* An elementwise operation on usable inputs of one dtype and one shape, the first contiguous, needs no inference: its
 * result has the first one's layout. This function returns NULL for any other call. */
static ag_tensor *apply_plain(const ag_op *op, int n, ag_tensor *const x[], const void *attributes, size_t bytes) {
    enum { NOT_USABLE = AG__NIL | AG__STALE };
    ag_tensor *in[FEW];
    bool contiguous = true;
    if (op->kind != AG_KIND_ELEMENTWISE || op->infer || n < 1 || n > FEW || op->arity != n || !x[0]) return NULL;
    const ag_tensor *first = x[0];
    for (int i = 0; i < n; i++) {
        ag_tensor *t = x[i];
        if (!t || t->flags & NOT_USABLE || t->tape != first->tape || t->dtype != first->dtype ||
            !ag__layouts_equal(t->layout, first->layout))
            return NULL;
        if (t->flags & AG__VARIABLE && !(t = ag__ready_version(t))) return NULL;
        contiguous = contiguous && t->layout->contiguous;
        in[i] = t;
    }
    if (op->flags & AG_OP_SCALAR && first->dtype == AG_I64 && !ag__fits(scalar_of(attributes), AG_I64)) return NULL;
    if (first->tape->status != AG_OK || !first->layout->contiguous) return NULL;
    ag_dtype dtype = op->flags & AG_OP_PREDICATE ? AG_BOOL : (ag_dtype)first->dtype;
    if (!ag__kernel(first->tape, op, first->dtype) && !ag__replay_of(first->tape, op, ag__dtypes(n, x, dtype)))
        return NULL;
    ag_tensor *t = ag__record(op, first->tape, dtype, first->layout, n, in, attributes, bytes);
    if (!(t->flags & AG__NIL)) t->plain = contiguous;
    return finished(t);
}

/* The library's own entries of one and two inputs are known to be of this kind. The functions for them have no calls
 * in them but those of ag_apply, which is left to do whatever is not usual, also where a slab or a segment ends. */

/* An input, or its version if it is a variable. */
AG__ALWAYS_INLINE ag_tensor *ready(ag_tensor *x) {
    if (!x || x->flags & (AG__NIL | AG__STALE)) return NULL;
    return x->flags & AG__VARIABLE ? ag__ready_version(x) : x;
}

AG__ALWAYS_INLINE ag_tensor *append_plain(const ag_op *op, const ag_tensor *like, int n, size_t bytes) {
    ag_tape *tape = like->tape;
    if (tape->status != AG_OK || tape->on_record || !like->layout->contiguous) return NULL;
    if (!ag__kernel(tape, op, like->dtype)) return NULL;
    ag_tensor **input = ag__arena_rest(tape, (size_t)n * sizeof *input + bytes);
    if (!input) return NULL;
    ag_dtype dtype = op->flags & AG_OP_PREDICATE ? AG_BOOL : (ag_dtype)like->dtype;
    ag_tensor *t = ag__append(op, tape, dtype, like->layout, n, bytes, input);
    t->plain = true;
    return t;
}

AG__ALWAYS_INLINE void take_input(ag_tensor *t, int i, ag_tensor *x) {
    t->input[i] = x;
    x->readers++;
}

AG__ALWAYS_INLINE ag_tensor *apply1(const ag_op *op, ag_tensor *x, const double *s) {
    if (!(x = ready(x)) || (s && x->dtype == AG_I64)) return NULL;
    ag_tensor *t = append_plain(op, x, 1, s ? sizeof *s : 0);
    if (!t) return NULL;
    take_input(t, 0, x);
    if (s) memcpy(ag__attributes(t), s, sizeof *s);
    t->flags = ag__flags_of(t->tape, op, (ag_dtype)t->dtype, x->flags);
    return t;
}

AG__NEVER_INLINE static ag_tensor *long_way1(const ag_op *op, ag_tensor *x, const double *s) {
    return ag_apply(op, 1, &x, s, s ? sizeof *s : 0);
}

ag_tensor *ag__apply1(const ag_op *op, ag_tensor *x) {
    ag_tensor *t = apply1(op, x, NULL);
    return t ? t : long_way1(op, x, NULL);
}

ag_tensor *ag__apply1_s(const ag_op *op, ag_tensor *x, double s) {
    ag_tensor *t = apply1(op, x, &s);
    return t ? t : long_way1(op, x, &s);
}

AG__NEVER_INLINE static ag_tensor *long_way2(const ag_op *op, ag_tensor *a, ag_tensor *b) {
    return ag_apply(op, 2, (ag_tensor *[]){a, b}, NULL, 0);
}

ag_tensor *ag__apply2(const ag_op *op, ag_tensor *a, ag_tensor *b) {
    ag_tensor *x = ready(a), *y = ready(b);
    if (!x || !y || x->tape != y->tape || x->dtype != y->dtype || x->layout != y->layout) return long_way2(op, a, b);
    ag_tensor *t = append_plain(op, x, 2, 0);
    if (!t) return long_way2(op, a, b);
    take_input(t, 0, x);
    take_input(t, 1, y);
    t->flags = ag__flags_of(t->tape, op, (ag_dtype)t->dtype, (unsigned)x->flags | y->flags);
    return t;
}

/* ---- Views that the library decides ---- */

ag_tensor *ag__record_view(const ag_op *op, ag_tensor *x, const ag__layout *layout, int64_t from,
                           const void *attributes, size_t bytes) {
    ag_tape *tape = x->tape;
    if (!(x = ag__current(x))) return tape->nil;
    if (!layout) return ag__fail(op->name, 1, &x, AG_ERR_MEMORY, "out of memory (another tensor)");
    ag_tensor *t = ag__record(op, tape, (ag_dtype)x->dtype, layout, 1, &x, attributes, bytes);
    if (!(t->flags & AG__NIL)) t->offset = x->offset + from;
    return finished(t);
}

/* ---- Results of calls that change nothing ---- */

bool ag__unchanged_infer(ag_infer *r) {
    memcpy(r->stride, ag__strides(r->x[0]->layout), (size_t)r->shape.rank * sizeof *r->stride);
    r->offset = r->x[0]->offset;
    return true;
}

static ag_tensor *unchanged_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, g; }

static const ag_op unchanged_entry = {.name = "unchanged",
                                      .notation = "{0}",
                                      .kind = AG_KIND_VIEW,
                                      .flags = AG_OP_HIDES_NOTHING,
                                      .arity = 1,
                                      .infer = ag__unchanged_infer,
                                      .vjp = unchanged_vjp};

static ag_tensor *view_of(ag_tensor *x) { return ag__record_view(&unchanged_entry, x, x->layout, 0, NULL, 0); }

/* A view while recording is off: x itself would not be constant later. */
ag_tensor *ag__unchanged(ag_tensor *x) {
    ag_tensor *y = ag__current(x);
    if (!y) return ag__nil_of(x->tape);
    return x->tape->recording ? y : view_of(y);
}

AG__SHORT ag_tensor *ag__as_result(ag_tensor *g) { return ag__is_unheld(g) ? view_of(g) : ag__unchanged(g); }

/* ---- Public ---- */

static ag_tensor *decide_and_record(const ag_op *op, int n, ag_tensor **x, const void *attributes, size_t bytes) {
    ag_tape *tape = x[0]->tape; /* after a failure x may be a broadcast that is released */
    const ag__position before = ag__position_now(tape);
    ag_dtype dtype;
    int64_t offset;
    const ag__layout *layout = NULL;
    if (op->kind != AG_KIND_ELEMENTWISE || have_one_shape(n, x)) {
        layout = decide_at_length(op, n, x, attributes, bytes, &dtype, &offset);
    } else if (broadcast_inputs(op, n, x)) {
        ag_tensor *plain = apply_plain(op, n, x, attributes, bytes);
        if (plain) return plain;
        layout = decide_at_length(op, n, x, attributes, bytes, &dtype, &offset);
    }
    if (!layout) { /* the broadcasts recorded for it go, too */
        ag__truncate(tape, &before);
        return tape->nil;
    }
    ag_tensor *t = ag__record(op, tape, dtype, layout, n, x, attributes, bytes);
    if (op->kind == AG_KIND_VIEW && !(t->flags & AG__NIL)) t->offset = offset;
    return finished(t);
}

static size_t fewest_attributes(const ag_op *op) {
    bool more = op->flags & (AG_OP_SCALAR | AG_OP_CONSTANT) && op->attribute_bytes < sizeof(double);
    return more ? sizeof(double) : op->attribute_bytes;
}

static bool attributes_fit(const ag_op *op, size_t bytes) {
    return bytes >= fewest_attributes(op) && bytes <= MOST_ATTRIBUTES;
}

/* Say how many bytes are wanted. Without inputs: about the tape. */
static ag_tensor *refuse_attributes(const ag_op *op, ag_tape *tape, int n, ag_tensor *const x[], size_t bytes) {
    static const char format[] = "the attributes have %zu bytes: %s %zu are wanted";
    const bool few = bytes < fewest_attributes(op);
    const char *bound = few ? "at least" : "at most";
    const size_t wanted = few ? fewest_attributes(op) : MOST_ATTRIBUTES;
    return n > 0 ? ag__fail(op->name, n, x, AG_ERR_RANGE, format, bytes, bound, wanted)
                 : ag__fail_on(tape, op->name, AG_ERR_RANGE, format, bytes, bound, wanted);
}

/* The attributes, aligned for infer to read numbers; NULL after an error, if a copy runs out of memory. */
static const void *aligned(const ag_op *op, ag_tape *tape, const void *attributes, size_t bytes) {
    if ((uintptr_t)attributes % sizeof(int64_t) == 0 || bytes == 0) return bytes ? attributes : "";
    void *copy = ag__arena(tape, bytes);
    if (copy) return memcpy(copy, attributes, bytes);
    ag__fail_on(tape, op->name, AG_ERR_MEMORY, "out of memory (another tensor)");
    return NULL;
}

static bool count_fits(const ag_op *op, int n, ag_tensor *const x[], ag_tensor **nil) {
    const int most = op->kind == AG_KIND_ELEMENTWISE ? AG__MOST_INPUTS : MOST_INPUTS, arity = op->arity;
    if (n >= 1 && n <= most && (arity < 0 || n == arity)) return true;
    const int shown = n < 0 ? 0 : n;
    if (arity == 0 || arity > most)
        *nil = ag__fail(op->name, shown, x, AG_ERR_RANGE,
                        "the arity of the operation's descriptor is %d: 1 to %d is wanted, or -1", arity, most);
    else if (arity > 0)
        *nil = ag__fail(op->name, shown, x, AG_ERR_RANGE, "the number of inputs is %d: %d is wanted", n, arity);
    else *nil = ag__fail(op->name, shown, x, AG_ERR_RANGE, "the number of inputs is %d: 1 to %d is wanted", n, most);
    return false;
}

ag_tensor *ag_apply(const ag_op *op, int n, ag_tensor *const x[], const void *attributes, size_t bytes) {
    if (!op || !op->name || (n > 0 && !x) || (bytes && !attributes))
        return ag__fail(op && op->name ? op->name : "apply", x && n > 0 ? n : 0, x, AG_ERR_NULL,
                        "the operation, its name, the inputs or the attributes are NULL");
    ag_tensor *nil, *few[FEW], **in = few;
    const bool fit = attributes_fit(op, bytes);
    ag_tensor *plain = fit ? apply_plain(op, n, x, attributes, bytes) : NULL;
    if (plain) return plain;
    if (!count_fits(op, n, x, &nil) || !ag__inputs_usable(op->name, n, x, &nil)) return nil;
    if (!fit) return refuse_attributes(op, NULL, n, x, bytes);
    ag_tape *tape = x[0]->tape;
    if (!(attributes = aligned(op, tape, attributes, bytes))) return tape->nil;
    if (n > FEW && !(in = ag__arena(tape, (size_t)n * sizeof *in)))
        return ag__fail(op->name, n, x, AG_ERR_MEMORY, "out of memory (another tensor)");
    for (int i = 0; i < n; i++)
        if (!(in[i] = ag__current(x[i]))) return tape->nil;
    return decide_and_record(op, n, in, attributes, bytes);
}

ag_tensor *ag_apply_source(const ag_op *op, ag_tape *tape, ag_dtype dtype, ag_shape shape, const void *attributes,
                           size_t bytes) {
    if (!op || !op->name || !tape || (bytes && !attributes))
        return ag__fail_on(tape, op && op->name ? op->name : "apply_source", AG_ERR_NULL,
                           tape ? "the operation, its name or the attributes are NULL" : "the tape is NULL");
    if (!ag__in_order(tape, op->name)) return tape->nil;
    int64_t size;
    const char *why;
    if ((unsigned)dtype >= AG_DTYPES)
        return ag__fail_on(tape, op->name, AG_ERR_DTYPE, "the dtype %d is invalid", (int)dtype);
    if (!ag__shape_valid(&shape, &size, &why))
        return ag__fail_on(tape, op->name, AG_ERR_SHAPE, "the shape has %s", why);
    if (!attributes_fit(op, bytes)) return refuse_attributes(op, tape, 0, NULL, bytes);
    if (op->kind != AG_KIND_SOURCE || !op->eval)
        return ag__fail_on(tape, op->name, AG_ERR_RANGE, "the operation's descriptor is incomplete");
    if (!(attributes = aligned(op, tape, attributes, bytes))) return tape->nil;
    ag_infer r = {
        .op = op, .attributes = attributes, .attribute_bytes = bytes, .dtype = dtype, .shape = shape, .tape = tape};
    if (op->infer && (!call_infer(&r) || !decision_valid(&r, &size))) {
        ag_reject(&r, AG_ERR_SHAPE, "the operation refused"); /* unless it has given a reason */
        return tape->nil;
    }
    const ag__layout *layout = ag__layout_new(tape, &r.shape, NULL);
    if (!layout) return ag__fail_on(tape, op->name, AG_ERR_MEMORY, "out of memory (another tensor)");
    return finished(ag__record(op, tape, r.dtype, layout, 0, NULL, attributes, bytes));
}
