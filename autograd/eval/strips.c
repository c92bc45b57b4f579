/* strips -- plain loops of elementwise operations
 *
 * Work is divided into strips of a fixed length, whatever the number of threads. Kernels only get contiguous
 * elements: strided inputs are packed into a strip first. */
#include "autograd/eval/pack.h"
#include "autograd/tape/limits.h"
#include "autograd/tape/replay.h"

typedef struct elementwise {
    const ag_tensor *node;
    int n;
    char *y;
    int64_t size;
    size_t y_bytes;
    struct {
        const char *data;
        size_t bytes;
        bool contiguous;
        ag__walk walk;
    } x[AG__MOST_INPUTS];
} elementwise;

static void prepare(elementwise *e, const ag_tensor *t) {
    e->node = t;
    e->n = t->arity;
    e->y = ag__values(t);
    e->size = t->layout->size;
    e->y_bytes = ag__bytes(t);
    for (int i = 0; i < e->n; i++) {
        const ag_tensor *x = t->input[i];
        e->x[i].data = ag__values(x);
        e->x[i].bytes = ag__bytes(x);
        e->x[i].contiguous = x->layout->contiguous;
        if (!x->layout->contiguous)
            ag__walk_set(&e->x[i].walk, x->layout->rank, x->layout->extent, ag__strides(x->layout));
    }
}

/* Elements that are computed at a time: a strip's memory is for all inputs that are packed, so that a small stack is
 * enough. */
static int64_t piece_of(const elementwise *e) {
    int strided = 0;
    for (int i = 0; i < e->n; i++) strided += !e->x[i].contiguous;
    return AG__STRIP / (strided > 4 ? AG__MOST_INPUTS : strided > 2 ? 4 : strided > 1 ? 2 : 1);
}

static void run_piece(const elementwise *e, int64_t start, int64_t count) {
    _Alignas(64) char packed[AG__STRIP * AG__MOST_BYTES], *to = packed;
    const void *x[AG__MOST_INPUTS];
    for (int i = 0; i < e->n; i++) {
        x[i] = e->x[i].data + start * (int64_t)e->x[i].bytes;
        if (e->x[i].contiguous) continue;
        x[i] = to;
        ag__pack_walk(to, e->x[i].data, &e->x[i].walk, start, count, e->x[i].bytes);
        to += count * AG__MOST_BYTES;
    }
    ag__map(e->node, count, e->y + start * (int64_t)e->y_bytes, x);
}

static void run_pieces(void *e_, int i, int n) {
    const elementwise *e = e_;
    const int64_t piece = piece_of(e), pieces = (e->size + piece - 1) / piece, end = ag__share_start(pieces, i + 1, n);
    for (int64_t k = ag__share_start(pieces, i, n); k < end; k++)
        run_piece(e, k * piece, ag__lesser(e->size - k * piece, piece));
}

typedef struct copying {
    ag__walk walk;
    int64_t size, piece; /* elements, and how many at a time */
    size_t bytes;
    const char *x;
    char *y;
} copying;

static void copy_pieces(void *c_, int i, int n) {
    const copying *c = c_;
    const int64_t pieces = (c->size + c->piece - 1) / c->piece, end = ag__share_start(pieces, i + 1, n) * c->piece;
    for (int64_t start = ag__share_start(pieces, i, n) * c->piece; start < end; start += c->piece)
        ag__pack_walk(c->y + start * (int64_t)c->bytes, c->x, &c->walk, start, ag__lesser(c->size - start, c->piece),
                      c->bytes);
}

/* Whether the entry says so, and it can be true. */
static bool only_copies(const ag_tensor *t) {
    return t->op->flags & AG_OP_COPIES && t->arity == 1 && t->dtype == t->input[0]->dtype;
}

/* A copy is packed directly into its result, in pieces of many rows, so that a transpose has tiles. */
static void copy_all(ag_tensor *t) {
    const ag__layout *l = t->input[0]->layout;
    copying c = {.walk = ag__walk_over(l->rank, l->extent, ag__strides(l)),
                 .size = l->size,
                 .bytes = ag__bytes(t),
                 .x = ag__values(t->input[0]),
                 .y = ag__values(t)};
    c.piece = AG__ROWS_COPIED * (c.walk.rank > 0 ? c.walk.extent[c.walk.rank - 1] : 1);
    if (c.piece < AG__LEAST_COPIED) c.piece = AG__LEAST_COPIED;
    ag__parallel(ag__worthwhile_on(t->tape, c.size), copy_pieces, &c);
}

void ag__run_elementwise(ag_tensor *t) {
    int64_t size = t->layout->size;
    bool contiguous = true;
    const void *x[AG__MOST_INPUTS];
    if (only_copies(t)) {
        copy_all(t);
        return;
    }
    for (int i = 0; i < t->arity; i++) {
        contiguous = contiguous && t->input[i]->layout->contiguous;
        x[i] = ag__values(t->input[i]);
    }
    if (contiguous && size <= AG__STRIP) { /* most nodes of a small model */
        ag__map(t, size, ag__values(t), x);
        return;
    }
    elementwise e;
    prepare(&e, t);
    if (size > 0 && size <= piece_of(&e)) run_piece(&e, 0, size);
    else ag__parallel(ag__worthwhile_on(t->tape, size), run_pieces, &e);
}
