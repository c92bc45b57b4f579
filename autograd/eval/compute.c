/* compute -- the value of one node, by the reference's loops or by the operation's own code */
#include "autograd/eval/eval.h"
#include "autograd/tape/basis.h"

/* A running call, and its scratch buffers. */
typedef struct running {
    ag_call call; /* first, so that the address of the ag_call is that of the struct */
    ag__buffer *scratch;
} running;

bool ag__no_memory(const ag_tensor *t, size_t bytes) {
    ag__fail_on(t->tape, t->op->name, AG_ERR_MEMORY, "out of memory (%zu bytes)", bytes);
    ag__locate(t->tape, ag__about(t)->file, ag__about(t)->line);
    return false;
}

void *ag_call_scratch(const ag_call *call, size_t bytes) {
    if (!call || !call->node) return NULL;
    running *r = (running *)(uintptr_t)call;
    ag__buffer *b = ag__buffer_new(call->node->tape, ag__plus(bytes, 64));
    if (!b) {
        ag__no_memory(call->node, bytes);
        return NULL;
    }
    b->next = r->scratch;
    r->scratch = b;
    return (void *)(((uintptr_t)b->data + 63) & ~(uintptr_t)63);
}

static void drop_scratch(running *r) {
    for (ag__buffer *b = r->scratch, *next; b; b = next) {
        next = b->next;
        ag__buffer_drop(r->call.node->tape, b);
    }
}

/* Replace an input by a contiguous copy. */
static bool make_contiguous(running *r, ag_array *x) {
    char *memory = ag_call_scratch(
        &r->call, ag__plus(AG_MAX_RANK * sizeof(int64_t), ag__times((uint64_t)x->size, ag_dtype_size(x->dtype))));
    if (!memory) return false;
    int64_t *stride = (int64_t *)(void *)memory, step = 1;
    for (int i = x->rank - 1; i >= 0; step *= x->shape[i--]) stride[i] = step;
    ag__pack(memory + AG_MAX_RANK * sizeof(int64_t), x, 0, x->size);
    x->data = memory + AG_MAX_RANK * sizeof(int64_t);
    x->stride = stride;
    return true;
}

static void begin_call(ag_call *call, const ag_tensor *t, bool accumulate) {
    call->node = t, call->attributes = ag__attributes(t), call->n = t->arity;
    call->x = NULL, call->y = ag__array_of(t);
    call->threads = ag__threads_now(t->tape);
    call->accumulate = accumulate;
}

/* No other thread is at work. */
static inline void begin_failing(ag_tape *tape) { atomic_store_explicit(&tape->failing, false, memory_order_relaxed); }

/* The end of a call that was `good`, or not; an error is raised if it raised none. */
static bool end_call(running *r, bool good) {
    ag_tape *tape = r->call.node->tape;
    tape->inside.name = "an operation";
    ag__leave_vectors();
    drop_scratch(r);
    if (good || tape->status != AG_OK) return good;
    begin_failing(tape);
    return ag_call_fail(&r->call, AG_ERR_RANGE, "the evaluation failed");
}

static bool run_call(ag_tensor *t, bool accumulate) {
    enum { FEW = AG__LIMIT(8, 2) };
    ag_array few[FEW], *x = few;
    running r;
    r.scratch = NULL;
    begin_call(&r.call, t, accumulate);
    bool good = t->arity <= FEW || (x = ag_call_scratch(&r.call, t->arity * sizeof *x)) != NULL;
    for (int i = 0; good && i < t->arity; i++) {
        x[i] = ag__array_of(t->input[i]);
        if (t->op->flags & AG_OP_CONTIGUOUS && !t->input[i]->layout->contiguous) good = make_contiguous(&r, &x[i]);
    }
    r.call.x = x;
    begin_failing(t->tape);
    t->tape->inside.name = t->op->name;
    return end_call(&r, good && t->op->eval(&r.call) && t->tape->status == AG_OK);
}

static bool compute_into_buffer(ag_tensor *t) {
    size_t lacking;
    switch (t->op->kind) {
    case AG_KIND_ELEMENTWISE: ag__run_elementwise(t); return true;
    case AG_KIND_REDUCTION: lacking = ag__run_reduction(t); return lacking == 0 || ag__no_memory(t, lacking);
    default: return run_call(t, false);
    }
}

bool ag__compute(ag_tensor *t) {
    if (t->op->kind == AG_KIND_VIEW) { /* of its last input, which for a version is the assigned value */
        t->buffer = t->input[t->arity - 1]->buffer;
        t->buffer->refs++;
        return true;
    }
    size_t bytes = ag__value_bytes(t);
    t->buffer = ag__buffer_new(t->tape, bytes);
    if (!t->buffer) return ag__no_memory(t, bytes);
    if (compute_into_buffer(t)) return true;
    ag__buffer_drop(t->tape, t->buffer);
    t->buffer = NULL;
    return false;
}

AG__SHORT bool ag__compute_by_parts(ag_tensor *t, ag_tensor *product) {
    const size_t bytes = ag__value_bytes(t);
    t->buffer = ag__buffer_new(t->tape, bytes);
    if (!t->buffer) return ag__no_memory(t, bytes);
    running r, inner;
    r.scratch = inner.scratch = NULL;
    begin_call(&r.call, t, false);
    begin_call(&inner.call, product, false);
    const ag_array x = ag__array_of(t->input[0]);
    ag_array operand[AG__MOST_INPUTS];
    for (int i = 0; i < product->arity; i++) operand[i] = ag__array_of(product->input[i]);
    r.call.x = &x;
    inner.call.x = operand;
    begin_failing(t->tape);
    t->tape->inside.name = t->op->name;
    bool good = ag__eval_by_parts(&r.call, &inner.call, t->input[0]->offset) && t->tape->status == AG_OK;
    drop_scratch(&inner);
    if (end_call(&r, good)) return true;
    ag__buffer_drop(t->tape, t->buffer);
    t->buffer = NULL;
    return false;
}

/* ---- Rows of products ---- */

typedef struct product_call {
    ag_call call;
    ag_array x[2];
} product_call;

/* The call that would compute t; its x are to be set. */
AG__SHORT static product_call product_call_of(const ag_tensor *t) {
    product_call p = {.x = {ag__array_of(t->input[0]), ag__array_of(t->input[1])}};
    begin_call(&p.call, t, false);
    return p;
}

bool ag__can_compute_rows(const ag_tensor *t) {
    product_call p = product_call_of(t);
    p.call.x = p.x;
    return ag__rows_usable(&p.call);
}

size_t ag__rows_memory(const ag_tensor *t, int64_t most) {
    product_call p = product_call_of(t);
    p.call.x = p.x;
    return ag__rows_bytes(&p.call, most);
}

void ag__compute_rows(const ag_tensor *t, int64_t most, int64_t first, int64_t rows, void *y, void *memory) {
    product_call p = product_call_of(t);
    p.call.x = p.x;
    ag__eval_rows(&p.call, most, first, rows, y, memory);
}

bool ag__accumulate(ag_tensor *t, ag__buffer *onto) {
    t->buffer = onto;
    bool good = run_call(t, true);
    t->buffer = NULL;
    return good;
}
