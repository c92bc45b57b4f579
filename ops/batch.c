/* batch -- the products of two tensors' matrices, by threads; and which tensors have such products
 *
 * A product's bits depend only on its shape and strides, which choose how it is computed (multiply.c); not on the
 * number of threads: each computes a part of y, or some products of a batch. */
#include "autograd/eval/eval.h"
#include "ops/product.h"

#include <math.h>
#include <string.h>

typedef struct batch {
    ag__product p; /* the first product */
    int way;
    int64_t count;
    const ag_array *y;        /* if there are several products */
    const int64_t *stride[2]; /* in elements; of the leading axes */
    int tall, wide;           /* the parts that y is divided into: down and across */
    char *memory;             /* `bytes` for each thread */
    size_t bytes;
} batch;

static double work_of(const ag__product *p) { return (double)p->m * (double)p->n * (double)p->k; }

/* If all products have one matrix b, its columns are apart and it will not be packed: make it contiguous once. */
static bool share(const ag_call *call, batch *b) {
    ag__product *p = &b->p;
    if (b->count == 1 || b->way != AG__BY_TILES || p->b_column == 1) return true;
    for (int axis = b->y->rank - 3; axis >= 0; axis--)
        if (b->stride[1][axis] != 0 && b->y->shape[axis] != 1) return true;
    size_t size = ag_dtype_size(p->dtype);
    const int64_t each = (int64_t)size;
    char *together = ag_call_scratch(call, ag__times(ag__times((uint64_t)p->k, (size_t)p->n), size));
    if (!together) return false;
    ag__copy_matrix(size, together, p->n * each, p->b, p->b_row * each, p->b_column * each, p->k, p->n);
    p->b = together;
    p->b_row = p->n;
    p->b_column = 1;
    return true;
}

/* One product of a batch after the other; at: its index along each leading axis. */
typedef struct walk {
    const batch *b;
    ag__product p;
    int64_t at[AG_MAX_RANK];
} walk;

static void step(walk *w, int axis, int64_t steps) {
    const int64_t size = (int64_t)ag_dtype_size(w->p.dtype);
    w->p.a = (const char *)w->p.a + steps * w->b->stride[0][axis] * size;
    w->p.b = (const char *)w->p.b + steps * w->b->stride[1][axis] * size;
    w->at[axis] += steps;
}

/* `some` products further on, at most to the end of the last axis. */
static void advance(walk *w, int64_t some) {
    w->p.y = (char *)w->p.y + some * w->p.m * w->p.n * (int64_t)ag_dtype_size(w->p.dtype);
    for (int axis = w->b->y->rank - 3; axis >= 0; axis--, some = 1) {
        step(w, axis, some);
        if (w->at[axis] < w->b->y->shape[axis]) return;
        step(w, axis, -w->at[axis]);
    }
}

static walk product_at(const batch *b, int64_t i) {
    walk w = {.b = b, .p = b->p};
    if (i == 0) return w;
    w.p.y = (char *)w.p.y + i * w.p.m * w.p.n * (int64_t)ag_dtype_size(w.p.dtype);
    for (int axis = b->y->rank - 3; axis >= 0; i /= b->y->shape[axis--]) step(&w, axis, i % b->y->shape[axis]);
    return w;
}

/* ---- Threads ---- */

/* Shares of rows or columns are multiples of these, which make whole tiles in every kernel. */
enum { WHOLE_ROWS = AG__LIMIT(24, 2), WHOLE_COLUMNS = AG__LIMIT(32, 3) };

static int64_t share_of(int64_t all, int n, int64_t whole) { return ((all + n - 1) / n + whole - 1) / whole * whole; }

/* Divide y into parts that together read as few rows of a and columns of b as possible. */
static void divide(batch *b, int threads) {
    double fewest = INFINITY;
    for (int tall = 1; tall <= threads; tall++) {
        if (threads % tall != 0) continue;
        const int wide = threads / tall;
        const double reads = (double)b->p.m * wide + (double)b->p.n * tall;
        if (reads < fewest) fewest = reads, b->tall = tall, b->wide = wide;
    }
}

/* Part i of y; false if it is empty. */
static bool part_at(const batch *b, const ag__product *p, int i, ag__product *part) {
    const int64_t rows = share_of(p->m, b->tall, WHOLE_ROWS), columns = share_of(p->n, b->wide, WHOLE_COLUMNS);
    const int64_t row = i % b->tall * rows, column = i / b->tall * columns;
    if (row >= p->m || column >= p->n) return false;
    *part = ag__part_of(p, row, p->m - row < rows ? p->m - row : rows, column,
                        p->n - column < columns ? p->n - column : columns);
    return true;
}

/* Scratch memory for share i; NULL: it needs none. */
static void *memory_of(const batch *b, int i) { return b->memory ? b->memory + (size_t)i * b->bytes : NULL; }

typedef struct dividing {
    const batch *b;
    ag__product p;
} dividing;

static void multiply_part(void *d_, int i, int n) {
    const dividing *d = d_;
    ag__product part;
    if (part_at(d->b, &d->p, i, &part)) ag__multiply(&part, d->b->way, memory_of(d->b, i));
    (void)n;
}

static void multiply_some(void *b_, int i, int n) {
    const batch *b = b_;
    const int64_t end = ag__share_start(b->count, i + 1, n);
    int64_t k = ag__share_start(b->count, i, n);
    walk w = product_at(b, k);
    const int last = b->y->rank - 3;
    const bool small = last >= 0 && ag__is_small(&b->p, b->way);
    for (int64_t some = 1; k < end; k += some) {
        if (small) {
            some = ag__lesser(end - k, b->y->shape[last] - w.at[last]);
            ag__multiply_some_on(ag__product_unit(), &w.p, some, b->stride[0][last], b->stride[1][last]);
        } else ag__multiply(&w.p, b->way, memory_of(b, i));
        if (k + some < end) advance(&w, some);
    }
}

/* The multiplications that are worth a thread; products with a vector are bound by memory. */
static double least_work(const batch *b) {
    return b->way == AG__BY_DOTS || b->way == AG__BY_LINES ? AG__LEAST_VECTOR : AG__LEAST_PRODUCT;
}

/* How many threads are useful, each with at least so much work. */
static int useful_threads(double work, double least, int threads) {
    const double most = work / least;
    return most < 2 ? 1 : most < threads ? (int)most : threads;
}

/* ---- A long sum for few elements of y: threads compute pieces of it ---- */

static bool has_few_outputs(const batch *b, int threads) {
    return (b->way == AG__BY_DOTS || b->way == AG__BY_LINES) &&
           b->p.m * b->p.n < (int64_t)threads * 2 * WHOLE_COLUMNS && ag__pieces(&b->p, b->way) >= 2 * threads;
}

static void multiply_pieces(void *d_, int i, int n) {
    const dividing *d = d_;
    const int64_t count = ag__pieces(&d->p, d->b->way), end = ag__share_start(count, i + 1, n);
    for (int64_t k = ag__share_start(count, i, n); k < end; k++) ag__multiply_piece(&d->p, d->b->way, k, d->b->memory);
}

static bool multiply_in_pieces(const ag_call *call, batch *b, int threads) {
    const uint64_t pieces = (uint64_t)ag__pieces(&b->p, b->way) - 1;
    const size_t outputs = (size_t)(b->p.m * b->p.n);
    b->memory = ag_call_scratch(call, ag__times(ag__times(pieces, outputs), ag_dtype_size(b->p.dtype)));
    if (!b->memory) return false;
    for (int64_t i = 0; i < b->count; i++) {
        dividing d = {b, product_at(b, i).p};
        ag__parallel(threads, multiply_pieces, &d);
        ag__join_pieces(&d.p, b->way, b->memory);
    }
    return true;
}

/* Threads take whole products of a batch if there are enough of them, or if they are small. */
static bool multiply_all(const ag_call *call, batch *b) {
    const double work = work_of(&b->p), worth = least_work(b);
    if (b->count == 1 && work < 2 * worth && ag__multiply_bytes(&b->p, b->way) == 0) {
        ag__multiply(&b->p, b->way, NULL);
        return true;
    }
    int threads = useful_threads(work * (double)b->count, worth, call->threads);
    const bool whole = threads == 1 || b->count >= threads || work < 2 * worth;
    ag__product first = b->p;
    if (whole && b->count < threads) threads = (int)b->count;
    if (!whole && has_few_outputs(b, threads)) return multiply_in_pieces(call, b, threads);
    if (!whole) {
        divide(b, threads);
        part_at(b, &first, 0, &first);
    }
    if (b->way == AG__BY_PACKING && ag__blis_takes(&b->p, threads)) b->way = AG__BY_BLIS;
    b->bytes = ag__multiply_bytes(&first, b->way);
    if (b->bytes > 0 && !(b->memory = ag_call_scratch(call, b->bytes * (size_t)threads))) return false;
    if (whole) {
        ag__parallel(threads, multiply_some, b);
        return true;
    }
    for (int64_t i = 0; i < b->count; i++) ag__parallel(threads, multiply_part, &(dividing){b, product_at(b, i).p});
    return true;
}

ag__product ag__first_product(const ag_call *call) {
    const ag_array *x = call->x, *y = &call->y;
    const int last = y->rank - 1;
    const int64_t m = y->shape[last - 1], n = y->shape[last], k = x[0].shape[last];
    ag__product p = {.dtype = y->dtype, .add = call->accumulate, .m = m, .n = n, .k = k, .y_row = n};
    p.a = x[0].data;
    p.b = x[1].data;
    p.y = y->data;
    p.a_row = m == 1 ? k : x[0].stride[last - 1]; /* a single element's stride means nothing */
    p.a_column = k == 1 ? 1 : x[0].stride[last];
    p.b_row = k == 1 ? n : x[1].stride[last - 1];
    p.b_column = n == 1 ? 1 : x[1].stride[last];
    return p;
}

bool ag__matmul_eval(const ag_call *call) {
    const ag_array *x = call->x, *y = &call->y;
    const int last = y->rank - 1;
    const int64_t m = y->shape[last - 1], n = y->shape[last], k = x[0].shape[last];
    if (k == 0 && !call->accumulate) memset(y->data, 0, (size_t)y->size * ag_dtype_size(y->dtype));
    if (k == 0 || y->size == 0) return true;
    batch b = {.p = ag__first_product(call), .y = y, .count = y->rank == 2 ? 1 : y->size / (m * n)};
    b.stride[0] = x[0].stride;
    b.stride[1] = x[1].stride;
    b.way = ag__way_of(&b.p);
    return share(call, &b) && multiply_all(call, &b);
}

bool ag__matmul_infer(ag_infer *r) {
    const ag__layout *a = r->x[0]->layout, *b = r->x[1]->layout;
    if (!ag__is_real(r->x[0]->dtype) || r->x[0]->dtype != r->x[1]->dtype)
        return ag_reject(r, AG_ERR_DTYPE, "both must be f32, or both f64");
    if (a->rank < 1 || b->rank < 1) return ag_reject(r, AG_ERR_SHAPE, "both must have an axis or more");
    int64_t k = a->extent[a->rank - 1], b_k = b->extent[b->rank == 1 ? 0 : b->rank - 2];
    if (k != b_k) return ag_reject(r, AG_ERR_SHAPE, "inner axes %lld and %lld differ", (long long)k, (long long)b_k);
    if (a->rank < 2 || b->rank < 2) return ag_reject(r, AG_ERR_SHAPE, "both must have two axes or more");
    if (a->rank != b->rank || memcmp(a->extent, b->extent, (size_t)(a->rank - 2) * sizeof(int64_t)) != 0)
        return ag_reject(r, AG_ERR_SHAPE, "the leading axes cannot be broadcast to each other");
    r->shape.extent[r->shape.rank - 1] = b->extent[b->rank - 1];
    return true;
}
