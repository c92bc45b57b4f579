/* dlpack -- tensors of other libraries in the same process, and ours for them
 *
 * The structs are those of the DLPack specification, 0.8 (without a version) and 1.0 (with one): a binary interface,
 * so they are declared here and not taken from a package. */
#include "autograd/eval/eval.h"
#include "autograd/tape/op.h"
#include "io/elements.h"
#include "io/exchange.h"

#include <string.h>

enum { CPU = 1, INTEGER = 0, UNSIGNED = 1, FLOAT = 2, BFLOAT = 4, BOOLEAN = 6, READ_ONLY = 1 };

typedef struct dl_tensor {
    void *data;
    struct {
        int32_t type, id;
    } device;
    int32_t ndim;
    struct {
        uint8_t code, bits;
        uint16_t lanes;
    } dtype;
    int64_t *shape, *strides; /* strides in elements; NULL: row-major */
    uint64_t byte_offset;
} dl_tensor;

struct DLManagedTensor {
    dl_tensor dl_tensor;
    void *manager_ctx;
    void (*deleter)(struct DLManagedTensor *self);
};

struct DLManagedTensorVersioned {
    struct {
        uint32_t major, minor;
    } version;
    void *manager_ctx;
    void (*deleter)(struct DLManagedTensorVersioned *self);
    uint64_t flags;
    dl_tensor dl_tensor;
};

/* ---- From others ---- */

typedef struct incoming {
    ag_tape *tape;
    const char *call;
    const dl_tensor *from;
    ag__owner owner;
    ag__kind kind;
    ag_shape shape;
    int64_t stride[AG_MAX_RANK];
    int64_t size;
    const char *data;
} incoming;

static bool wrong(const incoming *in, ag_status status, const char *what, long long number, const char *wanted) {
    ag__fail_on(in->tape, in->call, status, "the tensor's %s is %lld: %s is wanted", what, number, wanted);
    return false;
}

static bool find_kind(incoming *in) {
    static const struct {
        uint8_t code, bits;
        ag__kind kind;
    } known[] = {
        {INTEGER, 8, AG__I8},   {INTEGER, 16, AG__I16},  {INTEGER, 32, AG__I32},  {INTEGER, 64, AG__I64},
        {UNSIGNED, 8, AG__U8},  {UNSIGNED, 16, AG__U16}, {UNSIGNED, 32, AG__U32}, {UNSIGNED, 64, AG__U64},
        {FLOAT, 16, AG__F16},   {FLOAT, 32, AG__F32},    {FLOAT, 64, AG__F64},    {BFLOAT, 16, AG__BF16},
        {BOOLEAN, 8, AG__BOOL},
    };
    const dl_tensor *t = in->from;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].code == t->dtype.code && known[i].bits == t->dtype.bits && t->dtype.lanes == 1) {
            in->kind = known[i].kind;
            return true;
        }
    ag__fail_on(
        in->tape, in->call, AG_ERR_DTYPE,
        "the tensor's dtype has code %d, %d bits and %d lanes: a bool, integer, f16, bf16, f32 or f64 is wanted",
        t->dtype.code, t->dtype.bits, t->dtype.lanes);
    return false;
}

static bool take_shape(incoming *in) {
    const dl_tensor *t = in->from;
    const char *why;
    if (t->ndim < 0 || t->ndim > AG_MAX_RANK) return wrong(in, AG_ERR_SHAPE, "rank", t->ndim, "0 to 8");
    if (t->ndim > 0 && !t->shape) {
        ag__fail_on(in->tape, in->call, AG_ERR_NULL, "the tensor's shape is NULL");
        return false;
    }
    in->shape.rank = t->ndim;
    for (int i = 0; i < t->ndim; i++) in->shape.extent[i] = t->shape[i];
    if (ag__shape_valid(&in->shape, &in->size, &why)) return true;
    ag__fail_on(in->tape, in->call, AG_ERR_SHAPE, "the shape has %s", why);
    return false;
}

/* The strides, and that all elements lie within what can be addressed: no sum of steps overflows. Without elements they
 * mean nothing, and are not looked at. */
static bool take_strides(incoming *in) {
    const int64_t most = INT64_MAX / 16;
    int64_t step = 1, reach = 0;
    for (int i = in->shape.rank - 1; i >= 0 && in->size > 0; i--) {
        int64_t extent = in->shape.extent[i], s = in->from->strides ? in->from->strides[i] : step;
        step *= extent;
        in->stride[i] = extent > 1 ? s : 0;
        if (extent <= 1) continue;
        int64_t length = s < 0 ? -(s + 1) : s;
        if (length > (most - reach) / (extent - 1)) return wrong(in, AG_ERR_RANGE, "stride", s, "a smaller one");
        reach += length * (extent - 1);
    }
    return true;
}

static bool take(incoming *in) {
    const dl_tensor *t = in->from;
    if (t->device.type != CPU) return wrong(in, AG_ERR_RANGE, "device", t->device.type, "1, the CPU,");
    if (!find_kind(in) || !take_shape(in) || !take_strides(in)) return false;
    if (!t->data && in->size > 0) {
        ag__fail_on(in->tape, in->call, AG_ERR_NULL, "the tensor's data is NULL");
        return false;
    }
    if (in->size > 0) in->data = (const char *)t->data + t->byte_offset;
    return true;
}

/* Steps to the next element in row-major order. index: of this one, all zeros at first. The offset is in elements. */
static int64_t next_offset(const incoming *in, int64_t index[], int64_t offset) {
    for (int i = in->shape.rank - 1; i >= 0; i--) {
        offset += in->stride[i];
        if (++index[i] < in->shape.extent[i]) break;
        offset -= in->stride[i] * in->shape.extent[i];
        index[i] = 0;
    }
    return offset;
}

/* Whether all are 0 or 1. Repeated elements may be more than can be looked at: axes of stride 0 count once, and where
 * others overlap, it is the memory from the first to the last byte that is looked at. */
static bool bools_tidy(const incoming *in) {
    if (in->kind != AG__BOOL || in->size == 0) return true;
    incoming once = *in;
    int64_t index[AG_MAX_RANK] = {0}, span = 1, size = 1, first = 0;
    for (int i = 0; i < in->shape.rank; i++) {
        if (in->stride[i] == 0) once.shape.extent[i] = 1;
        const int64_t last = in->stride[i] * (once.shape.extent[i] - 1);
        span += last < 0 ? -last : last;
        if (last < 0) first += last;
        size *= once.shape.extent[i];
    }
    if (size > span) {
        once.shape = AG_SHAPE(span);
        once.stride[0] = 1;
        size = span;
    } else first = 0;
    for (int64_t i = 0, at = first; i < size; i++, at = next_offset(&once, index, at))
        if ((unsigned char)in->data[at] > 1) return false;
    return true;
}

static bool shareable(const incoming *in) {
    ag_dtype dtype = ag__kind_dtype(in->kind);
    return in->kind == ag__kind_of(dtype) && (uintptr_t)in->data % ag_dtype_size(dtype) == 0 && bools_tidy(in);
}

static ag_tensor *converted(const incoming *in) {
    ag_dtype dtype = ag__kind_dtype(in->kind);
    size_t own = ag_dtype_size(dtype), bytes = (size_t)ag__kind_bytes(in->kind);
    ag__buffer *b = ag__buffer_new(in->tape, ag__times((uint64_t)in->size, own));
    if (!b) return ag__fail_on(in->tape, in->call, AG_ERR_MEMORY, "out of memory (%lld elements)", (long long)in->size);
    int64_t index[AG_MAX_RANK] = {0};
    for (int64_t i = 0, at = 0; i < in->size; i++, at = next_offset(in, index, at)) {
        const char *from = in->data + at * (int64_t)bytes;
        if (ag__element_decode(in->kind, from, (char *)b->data + (size_t)i * own)) continue;
        ag__buffer_drop(in->tape, b);
        return ag__fail_on(in->tape, in->call, AG_ERR_RANGE, "element %lld of the tensor does not fit i64",
                           (long long)i);
    }
    return ag__constant_with(in->tape, dtype, &in->shape, b);
}

static ag_tensor *from(incoming *in) {
    if (!take(in)) return ag__nil_of(in->tape);
    if (shareable(in))
        return ag__adopt(in->call, in->tape, ag__kind_dtype(in->kind), &in->shape, in->size > 0 ? in->stride : NULL,
                         in->data, in->owner);
    ag_tensor *x = converted(in);
    if (!ag_is_nil(x)) in->owner.release(in->owner.context);
    return x;
}

static bool usable(ag_tape *tape, const char *call, const void *tensor) {
    if (tape && tensor) return ag__in_order(tape, call);
    ag__fail_on(tape, call, AG_ERR_NULL, "the %s is NULL", tape ? "tensor" : "tape");
    return false;
}

static void delete_tensor(void *context) {
    struct DLManagedTensor *t = context;
    if (t->deleter) t->deleter(t);
}

static void delete_versioned(void *context) {
    struct DLManagedTensorVersioned *t = context;
    if (t->deleter) t->deleter(t);
}

ag_tensor *ag_from_dlpack(ag_tape *tape, struct DLManagedTensor *tensor) {
    static const char call[] = "from_dlpack";
    if (!usable(tape, call, tensor)) return ag__nil_of(tape);
    return from(&(incoming){.tape = tape, .call = call, .from = &tensor->dl_tensor, .owner = {delete_tensor, tensor}});
}

ag_tensor *ag_from_dlpack_versioned(ag_tape *tape, struct DLManagedTensorVersioned *tensor) {
    static const char call[] = "from_dlpack_versioned";
    if (!usable(tape, call, tensor)) return ag__nil_of(tape);
    incoming in = {.tape = tape, .call = call, .from = &tensor->dl_tensor, .owner = {delete_versioned, tensor}};
    if (tensor->version.major == 1) return from(&in);
    wrong(&in, AG_ERR_RANGE, "major version of DLPack", tensor->version.major, "1");
    return ag__nil_of(tape);
}

/* ---- For others ---- */

/* Both forms, of which one is used. */
typedef struct outgoing {
    struct DLManagedTensor plain;
    struct DLManagedTensorVersioned versioned;
    ag_allocator allocator;
    ag__loan *loan;
    int64_t shape[AG_MAX_RANK], stride[AG_MAX_RANK];
} outgoing;

/* Any thread may call it, perhaps after the tape has gone. */
static void take_back(outgoing *o) {
    ag_allocator a = o->allocator;
    ag__return_loan(o->loan);
    a.resize(a.ctx, o, sizeof *o, 0);
}

static void delete_ours(struct DLManagedTensor *self) {
    if (self) take_back(self->manager_ctx);
}

static void delete_ours_versioned(struct DLManagedTensorVersioned *self) {
    if (self) take_back(self->manager_ctx);
}

/* A copy in a block of its own: small blocks share their memory, which ends with the tape. */
static ag__buffer *apart(ag_tensor *x) {
    ag__buffer *b = ag__buffer_new_apart(x->tape, ag__value_bytes(x));
    ag_array values = ag__array_of(x);
    if (b) ag__pack(b->data, &values, 0, x->layout->size);
    return b;
}

static void describe(outgoing *o, const ag_tensor *x, void *data, const int64_t *stride) {
    static const dl_tensor dtypes[] = {[AG_BOOL] = {.dtype = {BOOLEAN, 8, 1}},
                                       [AG_I64] = {.dtype = {INTEGER, 64, 1}},
                                       [AG_F32] = {.dtype = {FLOAT, 32, 1}},
                                       [AG_F64] = {.dtype = {FLOAT, 64, 1}}};
    ag_shape shape = ag_shape_of(x);
    int64_t step = 1;
    for (int i = shape.rank - 1; i >= 0; i--) {
        o->shape[i] = shape.extent[i];
        o->stride[i] = stride ? stride[i] : step;
        step *= shape.extent[i] > 0 ? shape.extent[i] : 1;
    }
    dl_tensor t = dtypes[ag_dtype_of(x)];
    t.data = data;
    t.device.type = CPU;
    t.ndim = shape.rank;
    t.shape = o->shape;
    t.strides = o->stride;
    o->plain = (struct DLManagedTensor){t, o, delete_ours};
    o->versioned = (struct DLManagedTensorVersioned){
        .version = {1, 0}, .manager_ctx = o, .deleter = delete_ours_versioned, .flags = READ_ONLY, .dl_tensor = t};
}

/* Whether no axis runs backwards: PyTorch and others have no negative strides. */
static bool runs_forwards(const ag__layout *l) {
    for (int i = 0; i < l->rank; i++)
        if (ag__strides(l)[i] < 0) return false;
    return true;
}

/* Lend the buffer of x, or a copy's. */
static bool lend(outgoing *o, ag_tensor *x) {
    bool as_it_is = ag__lendable(x->buffer) && runs_forwards(x->layout);
    ag__buffer *b = as_it_is ? x->buffer : apart(x);
    o->loan = b ? ag__lend(x->tape, b) : NULL;
    if (o->loan)
        describe(o, x, as_it_is ? (void *)(uintptr_t)ag__values(x) : b->data, as_it_is ? ag__strides(x->layout) : NULL);
    if (!as_it_is) ag__buffer_drop(x->tape, b);
    if (!as_it_is) ag__release_unneeded(x);
    return o->loan;
}

static outgoing *to(const char *call, ag_tensor *x) {
    ag_tensor *nil;
    if (!ag__inputs_usable(call, 1, &x, &nil)) return NULL;
    ag_tape *tape = x->tape;
    ag__collect_loans(tape);
    if (!(x = ag__current(x)) || !ag__evaluate(tape, 1, &x)) return NULL;
    outgoing *o = ag__allocate_apart(tape, sizeof *o);
    if (o) o->allocator = tape->allocator;
    bool good = o && lend(o, x);
    if (!good) ag__fail_on(tape, call, AG_ERR_MEMORY, "out of memory (a tensor for another library)");
    if (o && !good) o->allocator.resize(o->allocator.ctx, o, sizeof *o, 0);
    return good ? o : NULL;
}

struct DLManagedTensor *ag_to_dlpack(ag_tensor *x) {
    int line;
    const char *file = ag__here_file(&line);
    outgoing *o = to("to_dlpack", x);
    ag__leave(ag_tape_of(x), file, line);
    return o ? &o->plain : NULL;
}

struct DLManagedTensorVersioned *ag_to_dlpack_versioned(ag_tensor *x) {
    int line;
    const char *file = ag__here_file(&line);
    outgoing *o = to("to_dlpack_versioned", x);
    ag__leave(ag_tape_of(x), file, line);
    return o ? &o->versioned : NULL;
}
