/* copying -- copying between strided arrays, and adding one to another */
#include "ops/copying.h"

#include "autograd/eval/stream.h"
#include "autograd/tape/limits.h"
#include "autograd/tape/size.h"
#include "ops/rules.h"

#include <string.h>

/* ---- Copying ---- */

/* bytes of a row that are worth writing past the caches: its ends are not; of what is read soon */
enum { LEAST_ROW = 4 * AG__LINE, PAGE = AG__LIMIT(4096, 128) };

bool ag__goes_past(int64_t bytes) { return bytes >= AG__PAST_CACHES && ag__can_copy_past(); }

void ag__copy_row(char *to, const char *from, size_t n, bool past, int64_t soon) {
    if (past && n >= LEAST_ROW) ag__copy_past(to, from, n, n > PAGE ? PAGE : soon);
    else memcpy(to, from, n);
}

typedef struct copying { /* without axes of extent 1; neighbouring axes joined where both sides allow */
    int rank;
    int64_t extent[AG_MAX_RANK], to[AG_MAX_RANK], from[AG_MAX_RANK]; /* strides in bytes */
    size_t bytes;
    bool past; /* the caches */
} copying;

AG__SHORT static void prepare(copying *c, const ag_array *x, const int64_t *to_stride) {
    c->rank = 0, c->bytes = ag_dtype_size(x->dtype);
    for (int i = 0; i < x->rank; i++) {
        int64_t e = x->shape[i], to = to_stride[i] * (int64_t)c->bytes, from = x->stride[i] * (int64_t)c->bytes;
        if (e == 1) continue;
        int n = c->rank;
        bool joins = n > 0 && c->to[n - 1] == to * e && c->from[n - 1] == from * e;
        c->extent[n - joins] = joins ? c->extent[n - 1] * e : e;
        c->to[n - joins] = to;
        c->from[n - joins] = from;
        c->rank += !joins;
    }
}

void ag__copy_run(int64_t n, size_t bytes, char *to, int64_t ts, const char *from, int64_t fs) {
    const int64_t together = (int64_t)bytes;
    if (ts == together && fs == together) memcpy(to, from, (size_t)n * bytes);
    else if (bytes == 4)
        for (int64_t i = 0; i < n; i++) memcpy(to + i * ts, from + i * fs, 4);
    else if (bytes == 8)
        for (int64_t i = 0; i < n; i++) memcpy(to + i * ts, from + i * fs, 8);
    else
        for (int64_t i = 0; i < n; i++) to[i * ts] = from[i * fs];
}

/* Rows of few elements along the last axis: as columns, or in two pieces each, which may overlap, without the call and
 * the decisions of memcpy. */
static void copy_short_rows(const copying *c, char *to, const char *from) {
    const int last = c->rank - 1, above = c->rank - 2;
    const int64_t rows = c->extent[above], ts = c->to[above], fs = c->from[above];
    const size_t width = (size_t)c->extent[last] * c->bytes;
    if (c->to[last] == (int64_t)c->bytes && c->from[last] == (int64_t)c->bytes && width >= 16 && width <= 32) {
        for (int64_t i = 0; i < rows; i++, to += ts, from += fs) {
            memcpy(to, from, 16);
            memcpy(to + width - 16, from + width - 16, 16);
        }
        return;
    }
    for (int64_t j = 0; j < c->extent[last]; j++)
        ag__copy_run(rows, c->bytes, to + j * c->to[last], ts, from + j * c->from[last], fs);
}

static void copy_axis(const copying *c, int axis, char *to, const char *from) {
    if (axis >= c->rank - 1) {
        if (c->to[axis] == (int64_t)c->bytes && c->from[axis] == (int64_t)c->bytes)
            ag__copy_row(to, from, (size_t)c->extent[axis] * c->bytes, c->past, axis > 0 ? c->from[axis - 1] : 0);
        else ag__copy_run(c->extent[axis], c->bytes, to, c->to[axis], from, c->from[axis]);
        return;
    }
    if (axis == c->rank - 2 && c->extent[axis + 1] <= AG__FEW_COPIED && c->extent[axis] > c->extent[axis + 1]) {
        copy_short_rows(c, to, from);
        return;
    }
    for (int64_t i = 0; i < c->extent[axis]; i++)
        copy_axis(c, axis + 1, to + i * c->to[axis], from + i * c->from[axis]);
}

typedef struct outermost {
    const copying *c;
    char *to;
    const char *from;
} outermost;

static void copy_share(void *o_, int i, int n) {
    const outermost *o = o_;
    const copying *c = o->c;
    const int64_t end = ag__share_start(c->extent[0], i + 1, n);
    for (int64_t k = ag__share_start(c->extent[0], i, n); k < end; k++)
        copy_axis(c, 1, o->to + k * c->to[0], o->from + k * c->from[0]);
    if (c->past) ag__copied_past();
}

void ag__copy(char *to, const int64_t *to_stride, const ag_array *x, int threads, bool past) {
    if (x->size == 0) return;
    copying c;
    prepare(&c, x, to_stride);
    c.past = past;
    const char *from = x->data;
    threads = ag__worthwhile(x->size, threads);
    if (c.rank == 0) {
        memcpy(to, from, c.bytes);
    } else if (c.rank > 1 && threads > 1) {
        ag__parallel(threads, copy_share, &(outermost){&c, to, from});
    } else {
        copy_axis(&c, 0, to, from);
        if (past) ag__copied_past();
    }
}

/* ---- Adding ---- */

/* Add a row of x to a row of y: n elements at strides. */
static void add_row(ag_dtype dtype, int64_t n, void *y, int64_t y_step, const void *x, int64_t x_step) {
    int64_t *y_i64 = y;
    const int64_t *x_i64 = x;
    float *y_f32 = y;
    const float *x_f32 = x;
    double *y_f64 = y;
    const double *x_f64 = x;
    if (y_step == 1 && x_step == 1) {
        ag__reduction_sum.combine[dtype](n, y, x);
        return;
    }
    switch (dtype) {
    case AG_I64:
        for (int64_t i = 0; i < n; i++)
            y_i64[i * y_step] = (int64_t)((uint64_t)y_i64[i * y_step] + (uint64_t)x_i64[i * x_step]);
        break;
    case AG_F32:
        for (int64_t i = 0; i < n; i++) y_f32[i * y_step] += x_f32[i * x_step];
        break;
    default:
        for (int64_t i = 0; i < n; i++) y_f64[i * y_step] += x_f64[i * x_step];
        break;
    }
}

AG__SHORT void ag__add_to(char *to, const int64_t *stride, const ag_array *x) {
    const int last = x->rank - 1;
    int64_t at[AG_MAX_RANK] = {0}, bytes = (int64_t)ag_dtype_size(x->dtype);
    const char *from = x->data;
    if (last < 0) add_row(x->dtype, 1, to, 1, from, 1);
    while (last >= 0) {
        add_row(x->dtype, x->shape[last], to, stride[last], from, x->stride[last]);
        int i = last - 1;
        for (; i >= 0; i--) {
            int64_t by = ++at[i] < x->shape[i] ? 1 : 1 - x->shape[i];
            to += by * stride[i] * bytes;
            from += by * x->stride[i] * bytes;
            if (by == 1) break;
            at[i] = 0;
        }
        if (i < 0) return;
    }
}
