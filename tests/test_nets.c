/* test_nets -- convolution, pooling, resampling, normalisation, attention and recurrent layers: against PyTorch, against
 * plain loops for random configurations, against finite differences, and refused calls */
#include "nn/nn.h"
#include "ops/resizing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/golden/nets.h"
#include "tests/support.h"

static const double ROUNDING = 64;

/* ---- Shared ---- */

/* The same numbers in every run. */
static uint64_t drawn = 1;

static int64_t draw(int64_t least, int64_t most) {
    drawn = drawn * 6364136223846793005u + 1442695040888963407u;
    return least + (int64_t)((drawn >> 33) % (uint64_t)(most - least + 1));
}

static ag_tensor *noise(ag_dtype dtype, ag_shape shape) { return scattered(tape, dtype, shape, drawn); }

/* Both orders, for every element of x. */
static void expect_gradcheck(ag_function *f, void *context, int n, ag_tensor *const x[]) {
    ag_gradcheck_report report;
    for (int order = 1; order <= 2; order++)
        ck_assert_msg(ag_gradcheck(f, context, n, x, &(ag_gradcheck_options){.order = order}, &report) == AG_OK,
                      "%s %s", report.message, ag_tape_error(tape));
}

static double at(ag_tensor *x, int64_t i) { return element_at(ag_dtype_of(x), ag_data(x), i); }

/* ⟨a, b⟩ */
static double inner(ag_tensor *a, ag_tensor *b) { return ag_item(ag_sum(ag_mul(a, b))); }

/* ---- Convolutions and poolings in plain loops, over three spatial axes ---- */

/* Missing axes have extent 1, and windows of 1. */
typedef struct plainly {
    int axes;
    int64_t n, in[3], out[3], size[3], stride[3], dilation[3], before[3], after[3], groups, c, k;
    int64_t output_padding[3];
} plainly;

static ag_shape with_ends(const plainly *p, int64_t first, const int64_t middle[3], int64_t last) {
    ag_shape s = {.rank = p->axes + 2, .extent = {first}};
    for (int i = 0; i < p->axes; i++) s.extent[i + 1] = middle[i];
    s.extent[p->axes + 1] = last;
    return s;
}

static ag_shape weight_shape(const plainly *p) {
    ag_shape s = {.rank = p->axes + 2};
    for (int i = 0; i < p->axes; i++) s.extent[i] = p->size[i];
    s.extent[p->axes] = p->c / p->groups;
    s.extent[p->axes + 1] = p->k;
    return s;
}

/* Calls f for each place, element of its window within the image or not, and channels of one group: numbers of
 * elements of x, of w and of y, −1 for an element of x in the padding. */
static void each_product(const plainly *p, void (*f)(void *to, int64_t x, int64_t w, int64_t y), void *to) {
    int64_t o[3], u[3];
    const int64_t cg = p->c / p->groups, kg = p->k / p->groups;
    for (int64_t n = 0; n < p->n; n++)
        for (o[0] = 0; o[0] < p->out[0]; o[0]++)
            for (o[1] = 0; o[1] < p->out[1]; o[1]++)
                for (o[2] = 0; o[2] < p->out[2]; o[2]++)
                    for (u[0] = 0; u[0] < p->size[0]; u[0]++)
                        for (u[1] = 0; u[1] < p->size[1]; u[1]++)
                            for (u[2] = 0; u[2] < p->size[2]; u[2]++) {
                                int64_t x = n, w = 0, y = n;
                                bool inside = true;
                                for (int i = 0; i < 3; i++) {
                                    int64_t a = o[i] * p->stride[i] - p->before[i] + u[i] * p->dilation[i];
                                    inside = inside && a >= 0 && a < p->in[i];
                                    x = x * p->in[i] + a;
                                    w = w * p->size[i] + u[i];
                                    y = y * p->out[i] + o[i];
                                }
                                for (int64_t k = 0; k < p->k; k++)
                                    for (int64_t c = 0; c < cg; c++)
                                        f(to, inside ? x * p->c + k / kg * cg + c : -1, (w * cg + c) * p->k + k,
                                          y * p->k + k);
                            }
}

typedef struct sums {
    ag_tensor *x, *w, *y;
    double *to;
} sums;

static void add_forward(void *to, int64_t x, int64_t w, int64_t y) {
    const sums *s = to;
    if (x >= 0) s->to[y] += at(s->x, x) * at(s->w, w);
}

static void add_back(void *to, int64_t x, int64_t w, int64_t y) {
    const sums *s = to;
    if (x >= 0) s->to[x] += at(s->y, y) * at(s->w, w);
}

static void add_weight(void *to, int64_t x, int64_t w, int64_t y) {
    const sums *s = to;
    if (x >= 0) s->to[w] += at(s->x, x) * at(s->y, y);
}

static int64_t reach(const plainly *p, int i) { return (p->size[i] - 1) * p->dilation[i] + 1; }

/* Numbers with remainders, groups, and sizes down to a batch of none. */
static plainly draw_configuration(ag_conv_options *o) {
    plainly p = {.axes = (int)draw(1, 3), .n = draw(0, 2)};
    p.groups = draw(1, 3);
    const bool depthwise = draw(0, 2) == 0, same = draw(0, 3) == 0, wide = draw(0, 3) == 0;
    p.c = p.groups * (depthwise ? 1 : wide ? draw(7, 18) : draw(1, 3));
    p.k = p.groups * (wide ? draw(7, 18) : draw(1, 2));
    *o = (ag_conv_options){.groups = p.groups, .same = same};
    for (int i = 0; i < 3; i++) {
        const bool there = i < p.axes;
        p.size[i] = there ? draw(1, 3) : 1;
        p.stride[i] = there ? draw(1, 3) : 1;
        p.dilation[i] = there ? draw(1, 2) : 1;
        p.before[i] = there && !same ? draw(0, 2) : 0;
        p.after[i] = there && !same ? draw(0, 2) : 0;
        const int64_t least = reach(&p, i) - p.before[i] - p.after[i];
        p.in[i] = there ? draw(least < 1 ? 1 : least, 6) : 1;
        if (p.in[i] < least) p.in[i] = least;
        if (same && there) {
            const int64_t places = (p.in[i] + p.stride[i] - 1) / p.stride[i];
            int64_t all = (places - 1) * p.stride[i] + reach(&p, i) - p.in[i];
            if (all < 0) all = 0;
            p.before[i] = all / 2, p.after[i] = all - all / 2;
        }
        const int64_t over = p.in[i] + p.before[i] + p.after[i] - reach(&p, i);
        p.out[i] = over / p.stride[i] + 1;
        p.output_padding[i] = over % p.stride[i];
        if (!there) continue;
        o->stride[i] = p.stride[i], o->dilation[i] = p.dilation[i];
        o->padding[i][0] = same ? 7 : p.before[i], o->padding[i][1] = same ? 7 : p.after[i];
    }
    return p;
}

static void expect_sums(const plainly *p, void (*add)(void *, int64_t, int64_t, int64_t), sums s, ag_tensor *got,
                        const char *what) {
    static double to[30000];
    ck_assert_int_le(ag_size(got), 30000);
    memset(to, 0, sizeof to);
    s.to = to;
    each_product(p, add, &s);
    expecting(what);
    expect_near(got, ag_size(got), to, ROUNDING, 8);
    expecting("");
}

START_TEST(convolutions_are_what_loops_compute) {
    for (int trial = 0; trial < 150; trial++) {
        ag_conv_options o;
        ag_mark mark = ag_tape_mark(tape);
        const plainly p = draw_configuration(&o);
        const ag_dtype dtype = trial % 2 ? AG_F32 : AG_F64;
        char what[200];
        snprintf(what, sizeof what, "trial %d: %d axes, %lld to %lld channels in %lld groups:", trial, p.axes,
                 (long long)p.c, (long long)p.k, (long long)p.groups);
        sums s = {.x = noise(dtype, with_ends(&p, p.n, p.in, p.c)), .w = noise(dtype, weight_shape(&p))};
        ag_tensor *y = ag_convolve(s.x, s.w, NULL, &o), *x[] = {s.x, s.w}, *d[2];
        expect_ok(tape);
        expect_shape(y, with_ends(&p, p.n, p.out, p.k));
        expect_sums(&p, add_forward, s, y, what);
        s.y = noise(dtype, ag_shape_of(y));
        ag_vjp(1, &y, &s.y, 2, x, d, 0);
        expect_sums(&p, add_back, s, d[0], what);
        expect_sums(&p, add_weight, s, d[1], what);
        ag_conv_options back = o; /* the transposed one is the adjoint */
        for (int i = 0; i < p.axes; i++) {
            back.padding[i][0] = p.before[i], back.padding[i][1] = p.after[i];
            back.output_padding[i] = p.output_padding[i];
        }
        back.same = false;
        ag_tensor *z = ag_convolve_transposed(s.y, s.w, NULL, &back);
        expect_ok(tape);
        expect_shape(z, ag_shape_of(s.x));
        expect_sums(&p, add_back, s, z, what);
        ag_tensor *back_of[] = {s.y, s.w};
        ag_vjp(1, &z, &s.x, 2, back_of, d, 0);
        expect_sums(&p, add_forward, s, d[0], what);
        expect_sums(&p, add_weight, s, d[1], what);
        if (dtype == AG_F64) ck_assert_double_eq_tol(inner(y, s.y), inner(s.x, z), 1e-12);
        expect_ok(tape);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* Sums of so many terms differ by their order. */
static void expect_close(ag_tensor *a, ag_tensor *b, const char *what) {
    expecting(what);
    const double most = ag_item(ag_max(ag_abs(b)));
    ck_assert_double_le(ag_item(ag_max(ag_abs(ag_sub(a, b)))), most * (ag_dtype_of(a) == AG_F32 ? 1e-6 : 1e-14));
    expecting("");
}

/* Below, at and above the sizes at which pieces of a correlation end. */
START_TEST(correlations_of_any_size_are_products_of_windows) {
    static const int64_t sizes[][6] = {
        /* samples, length, taps, channels, channels out, stride */
        {1, 40, 3, 7, 9, 1},     {1, 40, 3, 8, 8, 1},    {2, 23, 2, 9, 31, 2},    {2, 24, 2, 16, 32, 1},
        {2, 25, 2, 17, 33, 1},   {1, 15, 1, 191, 8, 1},  {1, 15, 1, 192, 8, 1},   {1, 15, 1, 193, 15, 1},
        {1, 15, 3, 128, 16, 1},  {1, 15, 3, 129, 17, 1}, {1, 383, 1, 8, 8, 1},    {1, 384, 1, 8, 8, 1},
        {1, 385, 1, 8, 8, 1},    {3, 128, 5, 9, 8, 1},   {1, 3455, 2, 8, 8, 1},   {1, 3457, 2, 8, 8, 1},
        {4, 1000, 1, 12, 10, 1}, {2, 6200, 4, 8, 12, 3}, {1, 40, 4, 200, 200, 1}, {30, 7, 3, 160, 300, 1},
        {3, 900, 2, 70, 40, 1},  {1, 1, 1, 8, 8, 1},     {1, 3, 3, 8, 8, 1},      {65, 9, 3, 24, 24, 1},
    };
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        const int64_t *n = sizes[i / 2], places = (n[1] - n[2]) / n[5] + 1;
        const ag_dtype dtype = i % 2 ? AG_F32 : AG_F64;
        const ag_mark mark = ag_tape_mark(tape);
        char what[100];
        snprintf(what, sizeof what, "sizes %zu, %s:", i / 2, ag_dtype_name(dtype));
        ag_tensor *x = noise(dtype, AG_SHAPE(n[0], n[1], n[3])), *w = noise(dtype, AG_SHAPE(n[2], n[3], n[4]));
        ag_tensor *y[2] = {ag_correlation(x, w, 1, AG_SHAPE(places), AG_SHAPE(n[5]), AG_SHAPE(1), AG_SHAPE(0))},
                  *d[2][2];
        ag_tensor *windows = ag_windows(x, AG_AXES(1), AG_SHAPE(n[2]), AG_SHAPE(n[5]));
        y[1] = ag_tensordot(ag_permute(windows, AG_AXES(0, 1, 3, 2)), w, 2);
        ag_tensor *g = noise(dtype, ag_shape_of(y[0]));
        for (int k = 0; k < 2; k++) ag_vjp(1, &y[k], &g, 2, (ag_tensor *[]){x, w}, d[k], 0);
        expect_ok(tape);
        expect_close(y[0], y[1], what);
        for (int k = 0; k < 2; k++) expect_close(d[0][k], d[1][k], what);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

START_TEST(transposed_same_is_the_adjoint_of_same) {
    for (int64_t stride = 1; stride <= 4; stride++) {
        ag_conv_options o = {.stride = {stride}, .same = true};
        ag_tensor *w = noise(AG_F64, AG_SHAPE(3, 2, 4)), *y = noise(AG_F64, AG_SHAPE(2, 5, 4));
        ag_tensor *z = ag_convolve_transposed(y, w, NULL, &o), *x = noise(AG_F64, AG_SHAPE(2, 5 * stride, 2));
        expect_shape(z, ag_shape_of(x));
        ck_assert_double_eq_tol(inner(z, x), inner(y, ag_convolve(x, w, NULL, &o)), 1e-12);
    }
    expect_ok(tape);
}
END_TEST

/* ---- Poolings ---- */

static ag_pool_options pool_options(const plainly *p, const ag_conv_options *o) {
    ag_pool_options q = {.same = o->same};
    for (int i = 0; i < p->axes; i++) {
        q.stride[i] = o->stride[i], q.dilation[i] = o->dilation[i];
        q.padding[i][0] = o->padding[i][0], q.padding[i][1] = o->padding[i][1];
    }
    return q;
}

typedef struct pooled {
    ag_tensor *x;
    double *largest, *sum, *norm, *count, *inside;
    int64_t *where;
} pooled;

static void pool_one(void *to, int64_t x, int64_t w, int64_t y) {
    const pooled *s = to;
    (void)w;
    s->count[y]++;
    if (x < 0) return;
    s->inside[y]++;
    s->sum[y] += at(s->x, x);
    s->norm[y] += pow(fabs(at(s->x, x)), 3);
    if (at(s->x, x) > s->largest[y]) s->largest[y] = at(s->x, x), s->where[y] = x;
}

START_TEST(poolings_are_what_loops_compute) {
    static double room[5][4000];
    static int64_t where[4000];
    for (int trial = 0; trial < 200; trial++) {
        ag_conv_options o;
        ag_mark mark = ag_tape_mark(tape);
        plainly p = draw_configuration(&o);
        p.k = p.c, p.groups = p.c; /* each channel by itself */
        bool usable = true;
        for (int i = 0; i < p.axes; i++)
            usable = usable && p.before[i] < reach(&p, i) && p.after[i] < reach(&p, i) && p.in[i] >= p.dilation[i];
        if (!usable) continue;
        const ag_dtype dtype = trial % 2 ? AG_F32 : AG_F64;
        ag_pool_options q = pool_options(&p, &o);
        pooled s = {.x = noise(dtype, with_ends(&p, p.n, p.in, p.c)), .where = where};
        double **list[] = {&s.largest, &s.sum, &s.norm, &s.count, &s.inside};
        memset(room, 0, sizeof room);
        for (int i = 0; i < 5; i++) *list[i] = room[i];
        for (int i = 0; i < 4000; i++) s.largest[i] = -(double)INFINITY;
        each_product(&p, pool_one, &s);
        ag_shape size = {.rank = p.axes}, shape = with_ends(&p, p.n, p.out, p.c);
        for (int i = 0; i < p.axes; i++) size.extent[i] = p.size[i];
        const int64_t n = shape_size(&shape), area = p.in[0] * p.in[1] * p.in[2];
        ag_tensor *y = ag_max_pool(s.x, size, &q), *index, *indexed = ag_max_pool_indices(s.x, size, &q, &index);
        expect_shape(y, shape);
        expect_near(y, n, s.largest, 0, 0);
        expect_same(indexed, y);
        for (int64_t i = 0; i < n; i++) ck_assert_int_eq((int64_t)at(index, i), where[i] / p.c % area);
        for (int64_t i = 0; i < n; i++) s.largest[i] = s.sum[i] / s.count[i];
        expect_near(ag_avg_pool(s.x, size, &q), n, s.largest, 8, 1);
        for (int64_t i = 0; i < n; i++) s.largest[i] = s.sum[i] / s.inside[i], s.norm[i] = cbrt(s.norm[i]);
        q.without_padding = true;
        expect_near(ag_avg_pool(s.x, size, &q), n, s.largest, 8, 1);
        expect_near(ag_lp_pool(s.x, 3, size, &q), n, s.norm, 16, 1);
        expect_ok(tape);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* ---- Gradients of images ---- */

typedef struct image_case {
    const char *name;
    ag_tensor *(*apply)(const struct image_case *c, ag_tensor *const x[]);
    ag_shape shape, weight;
    ag_conv_options conv;
    ag_pool_options pool;
    ag_shape size;
    int inputs;
} image_case;

static ag_tensor *by_conv(const image_case *c, ag_tensor *const x[]) { return ag_convolve(x[0], x[1], x[2], &c->conv); }

static ag_tensor *by_transposed(const image_case *c, ag_tensor *const x[]) {
    return ag_convolve_transposed(x[0], x[1], x[2], &c->conv);
}

static ag_tensor *by_max(const image_case *c, ag_tensor *const x[]) { return ag_max_pool(x[0], c->size, &c->pool); }
static ag_tensor *by_avg(const image_case *c, ag_tensor *const x[]) { return ag_avg_pool(x[0], c->size, &c->pool); }
static ag_tensor *by_lp(const image_case *c, ag_tensor *const x[]) { return ag_lp_pool(x[0], 3, c->size, &c->pool); }
static ag_tensor *by_most(const image_case *c, ag_tensor *const x[]) {
    return ag_lp_pool(x[0], (double)INFINITY, c->size, &c->pool);
}

static ag_tensor *by_indices(const image_case *c, ag_tensor *const x[]) {
    ag_tensor *index, *y = ag_max_pool_indices(x[0], c->size, &c->pool, &index);
    return ag_max_unpool(ag_square(y), index, AG_SHAPE(6));
}

static ag_tensor *by_adaptive_max(const image_case *c, ag_tensor *const x[]) {
    return ag_adaptive_max_pool(x[0], c->size);
}

static ag_tensor *by_adaptive_avg(const image_case *c, ag_tensor *const x[]) {
    return ag_adaptive_avg_pool(x[0], c->size);
}

static ag_tensor *by_global(const image_case *c, ag_tensor *const x[]) {
    (void)c;
    return ag_mul(ag_global_max_pool(x[0]), ag_global_avg_pool(x[0]));
}

static ag_tensor *of_case(void *context, int n, ag_tensor *const x[]) {
    const image_case *c = context;
    ag_tensor *all[] = {x[0], n > 1 ? x[1] : NULL, n > 2 ? x[2] : NULL};
    return ag_sum(ag_sin(c->apply(c, all)));
}

START_TEST(images_pass_gradcheck_twice_over) {
    const ag_conv_options two = {.stride = {2, 1}, .dilation = {1, 2}, .padding = {{1, 0}, {2, 1}}};
    ag_conv_options groups = two, depthwise = two, longer = two;
    groups.groups = 2, depthwise.groups = 4;
    longer.output_padding[0] = 1;
    longer.output_padding[1] = 1;
    const ag_pool_options p = {.stride = {2}, .padding = {{1, 0}}, .ceil = true};
    const image_case cases[] = {
        {"conv", by_conv, AG_SHAPE(2, 4, 4, 2), AG_SHAPE(2, 2, 2, 3), two, p, AG_SCALAR, 3},
        {"groups", by_conv, AG_SHAPE(1, 4, 4, 4), AG_SHAPE(2, 2, 2, 4), groups, p, AG_SCALAR, 3},
        {"depthwise", by_conv, AG_SHAPE(1, 4, 4, 4), AG_SHAPE(2, 2, 1, 8), depthwise, p, AG_SCALAR, 3},
        {"volume", by_conv, AG_SHAPE(1, 3, 3, 3, 2), AG_SHAPE(2, 2, 2, 2, 2), {.stride = {2}}, p, AG_SCALAR, 3},
        {"transposed", by_transposed, AG_SHAPE(1, 3, 2, 3), AG_SHAPE(2, 2, 2, 3), longer, p, AG_SCALAR, 2},
        {"depthwise back", by_transposed, AG_SHAPE(1, 3, 3, 8), AG_SHAPE(2, 2, 1, 8), depthwise, p, AG_SCALAR, 2},
        {"max", by_max, AG_SHAPE(1, 6, 2), AG_SCALAR, two, p, AG_SHAPE(3), 1},
        {"avg", by_avg, AG_SHAPE(1, 6, 2), AG_SCALAR, two, p, AG_SHAPE(3), 1},
        {"norm", by_lp, AG_SHAPE(1, 6, 2), AG_SCALAR, two, p, AG_SHAPE(3), 1},
        {"largest", by_most, AG_SHAPE(1, 6, 2), AG_SCALAR, two, p, AG_SHAPE(3), 1},
        {"indices", by_indices, AG_SHAPE(1, 6, 2), AG_SCALAR, two, p, AG_SHAPE(3), 1},
        {"adaptive max", by_adaptive_max, AG_SHAPE(1, 5, 4, 2), AG_SCALAR, two, p, AG_SHAPE(3, 2), 1},
        {"adaptive avg", by_adaptive_avg, AG_SHAPE(1, 5, 4, 2), AG_SCALAR, two, p, AG_SHAPE(3, 2), 1},
        {"global", by_global, AG_SHAPE(2, 3, 2, 2), AG_SCALAR, two, p, AG_SCALAR, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const image_case *c = &cases[i];
        const int64_t out = c->inputs == 3 ? c->weight.extent[c->weight.rank - 1] : 1;
        ag_tensor *x[] = {noise(AG_F64, c->shape), noise(AG_F64, c->weight), noise(AG_F64, AG_SHAPE(out))};
        expecting(c->name);
        image_case own = *c;
        expect_gradcheck(of_case, &own, c->inputs, x);
    }
    expecting("");
}
END_TEST

/* ---- Against PyTorch ---- */

enum { MOST_INPUTS = 19 };

typedef struct golden_case {
    const char *name;
    ag_tensor *(*apply)(ag_tensor *const x[]);
    const double *values; /* y, then the gradient of each input */
    int64_t count;
    int inputs;
    ag_shape shape[MOST_INPUTS];
} golden_case;

#define GOLDEN(name, ...)                                                                                              \
    { #name, of_##name, name, sizeof name / sizeof *name, SHAPES(__VA_ARGS__) }

static ag_tensor *of_conv1d(ag_tensor *const x[]) {
    return ag_convolve(x[0], x[1], x[2], &(ag_conv_options){.stride = {2}, .padding = {{1, 1}}});
}
static ag_tensor *of_conv2d(ag_tensor *const x[]) {
    return ag_convolve(
        x[0], x[1], x[2],
        &(ag_conv_options){.stride = {1, 2}, .padding = {{2, 2}, {1, 1}}, .dilation = {2, 1}, .groups = 2});
}
static ag_tensor *of_conv_depthwise(ag_tensor *const x[]) {
    return ag_convolve(x[0], x[1], x[2], &(ag_conv_options){.padding = {{0, 0}, {1, 1}}, .groups = 3});
}
static ag_tensor *of_conv_same(ag_tensor *const x[]) {
    return ag_convolve(x[0], x[1], x[2], &(ag_conv_options){.same = true});
}
static ag_tensor *of_conv3d(ag_tensor *const x[]) {
    return ag_convolve(x[0], x[1], x[2], &(ag_conv_options){.stride = {1, 2, 1}, .padding = {{0, 0}, {1, 1}, {0, 0}}});
}
static ag_tensor *of_convt1d(ag_tensor *const x[]) {
    return ag_convolve_transposed(x[0], x[1], x[2],
                                  &(ag_conv_options){.stride = {2}, .padding = {{1, 1}}, .output_padding = {1}});
}
static ag_tensor *of_convt2d(ag_tensor *const x[]) {
    return ag_convolve_transposed(
        x[0], x[1], x[2],
        &(ag_conv_options){
            .stride = {2, 1}, .padding = {{1, 1}, {0, 0}}, .output_padding = {1, 1}, .dilation = {1, 2}, .groups = 2});
}
/* A layer made for it. */
static ag_tensor *of_convt3d(ag_tensor *const x[]) {
    ag_conv layer;
    ag_conv_init_with(&layer, tape, AG_F64, 2, 3, AG_SHAPE(2, 2, 2), &(ag_conv_options){.stride = {2}}, true, NULL);
    expect_shape(layer.weight, ag_shape_of(x[1]));
    layer.weight = x[1], layer.bias = x[2];
    return ag_conv_apply(&layer, x[0]);
}

static ag_tensor *of_max_pool(ag_tensor *const x[]) {
    return ag_max_pool(x[0], AG_SHAPE(3), &(ag_pool_options){.stride = {2}, .padding = {{1, 1}, {1, 1}}});
}
static ag_tensor *of_max_pool_ceil(ag_tensor *const x[]) {
    return ag_max_pool(x[0], AG_SHAPE(3), &(ag_pool_options){.dilation = {2}, .padding = {{1, 1}}, .ceil = true});
}
static ag_tensor *of_max_pool3d(ag_tensor *const x[]) {
    return ag_max_pool(x[0], AG_SHAPE(2), &(ag_pool_options){.padding = {{1, 1}, {1, 1}, {1, 1}}});
}
static const ag_pool_options ragged = {.stride = {2, 3}, .padding = {{1, 1}, {1, 1}}, .ceil = true};
static ag_tensor *of_avg_pool(ag_tensor *const x[]) { return ag_avg_pool(x[0], AG_SHAPE(3, 2), &ragged); }
static ag_tensor *of_avg_pool_within(ag_tensor *const x[]) {
    ag_pool_options within = ragged;
    within.without_padding = true;
    return ag_avg_pool(x[0], AG_SHAPE(3, 2), &within);
}
static ag_tensor *of_lp_pool(ag_tensor *const x[]) {
    return ag_lp_pool(x[0], 2, AG_SHAPE(3), &(ag_pool_options){.stride = {2}});
}
static ag_tensor *of_adaptive_max(ag_tensor *const x[]) { return ag_adaptive_max_pool(x[0], AG_SHAPE(3, 2)); }
static ag_tensor *of_adaptive_avg(ag_tensor *const x[]) { return ag_adaptive_avg_pool(x[0], AG_SHAPE(3, 5)); }
static ag_tensor *of_unpool(ag_tensor *const x[]) {
    ag_tensor *index, *y = ag_max_pool_indices(x[0], AG_SHAPE(2), NULL, &index);
    return ag_max_unpool(y, index, AG_SHAPE(4, 6));
}

static ag_tensor *of_bilinear_linear(ag_tensor *const x[]) {
    return ag_interpolate(x[0], AG_SHAPE(3, 7), AG_LINEAR, false);
}
static ag_tensor *of_bilinear_aligned(ag_tensor *const x[]) {
    return ag_interpolate(x[0], AG_SHAPE(3, 7), AG_LINEAR, true);
}
static ag_tensor *of_bicubic_linear(ag_tensor *const x[]) {
    return ag_interpolate(x[0], AG_SHAPE(7, 3), AG_CUBIC, false);
}
static ag_tensor *of_bicubic_aligned(ag_tensor *const x[]) {
    return ag_interpolate(x[0], AG_SHAPE(7, 3), AG_CUBIC, true);
}
static ag_tensor *of_trilinear_linear(ag_tensor *const x[]) {
    return ag_interpolate(x[0], AG_SHAPE(3, 2, 4), AG_LINEAR, false);
}
static ag_tensor *of_trilinear_aligned(ag_tensor *const x[]) {
    return ag_interpolate(x[0], AG_SHAPE(3, 2, 4), AG_LINEAR, true);
}
static ag_tensor *of_nearest(ag_tensor *const x[]) { return ag_interpolate(x[0], AG_SHAPE(6, 2), AG_NEAREST, false); }
static ag_tensor *of_nearest_exact(ag_tensor *const x[]) {
    return ag_interpolate(x[0], AG_SHAPE(7, 2), AG_NEAREST_EXACT, false);
}
static ag_tensor *of_shuffled(ag_tensor *const x[]) { return ag_pixel_shuffle(x[0], 2); }
static ag_tensor *of_unshuffled(ag_tensor *const x[]) { return ag_pixel_unshuffle(x[0], 2); }

#define OF_GRID(name, mode, beyond, align)                                                                             \
    static ag_tensor *of_##name(ag_tensor *const x[]) {                                                                \
        return ag_grid_sample(x[0], ag_scale(x[1], 2.5), mode, beyond, align);                                         \
    }
OF_GRID(grid_bilinear_zeros_0, AG_LINEAR, AG_BEYOND_ZEROS, false)
OF_GRID(grid_bilinear_zeros_1, AG_LINEAR, AG_BEYOND_ZEROS, true)
OF_GRID(grid_bilinear_border_0, AG_LINEAR, AG_BEYOND_BORDER, false)
OF_GRID(grid_bilinear_border_1, AG_LINEAR, AG_BEYOND_BORDER, true)
OF_GRID(grid_bilinear_reflection_0, AG_LINEAR, AG_BEYOND_REFLECTION, false)
OF_GRID(grid_bilinear_reflection_1, AG_LINEAR, AG_BEYOND_REFLECTION, true)
OF_GRID(grid_nearest_zeros_0, AG_NEAREST, AG_BEYOND_ZEROS, false)
OF_GRID(grid_nearest_zeros_1, AG_NEAREST, AG_BEYOND_ZEROS, true)
OF_GRID(grid_nearest_border_0, AG_NEAREST, AG_BEYOND_BORDER, false)
OF_GRID(grid_nearest_border_1, AG_NEAREST, AG_BEYOND_BORDER, true)
OF_GRID(grid_nearest_reflection_0, AG_NEAREST, AG_BEYOND_REFLECTION, false)
OF_GRID(grid_nearest_reflection_1, AG_NEAREST, AG_BEYOND_REFLECTION, true)
static ag_tensor *of_grid_bicubic_zeros_0(ag_tensor *const x[]) {
    return ag_grid_sample(x[0], ag_scale(x[1], 1.25), AG_CUBIC, AG_BEYOND_ZEROS, false);
}
static ag_tensor *of_grid_bicubic_zeros_1(ag_tensor *const x[]) {
    return ag_grid_sample(x[0], ag_scale(x[1], 1.25), AG_CUBIC, AG_BEYOND_ZEROS, true);
}
static ag_tensor *of_grid_bicubic_border_0(ag_tensor *const x[]) {
    return ag_grid_sample(x[0], ag_scale(x[1], 1.25), AG_CUBIC, AG_BEYOND_BORDER, false);
}
static ag_tensor *of_grid_bicubic_border_1(ag_tensor *const x[]) {
    return ag_grid_sample(x[0], ag_scale(x[1], 1.25), AG_CUBIC, AG_BEYOND_BORDER, true);
}
static ag_tensor *of_grid_bicubic_reflection_0(ag_tensor *const x[]) {
    return ag_grid_sample(x[0], ag_scale(x[1], 1.25), AG_CUBIC, AG_BEYOND_REFLECTION, false);
}
static ag_tensor *of_grid_bicubic_reflection_1(ag_tensor *const x[]) {
    return ag_grid_sample(x[0], ag_scale(x[1], 1.25), AG_CUBIC, AG_BEYOND_REFLECTION, true);
}
static ag_tensor *of_grid_volume(ag_tensor *const x[]) {
    return ag_grid_sample(x[0], ag_scale(x[1], 1.5), AG_LINEAR, AG_BEYOND_ZEROS, false);
}

static ag_tensor *of_batch_rows(ag_tensor *const x[]) {
    ag_batchnorm layer;
    ag_batchnorm_init(&layer, tape, ag_dtype_of(x[0]), ag_extent(x[0], -1));
    layer.gamma = x[1], layer.beta = x[2], layer.epsilon = 1e-3;
    return ag_batchnorm_apply(&layer, x[0], true);
}
#define of_batch_sequence of_batch_rows
#define of_batch_image of_batch_rows
#define of_batch_volume of_batch_rows
static ag_tensor *of_group_norm(ag_tensor *const x[]) {
    return ag_groupnorm_apply(&(ag_groupnorm){x[1], x[2], 2, 1e-3}, x[0]);
}
static ag_tensor *of_instance_norm(ag_tensor *const x[]) {
    ag_tensor *y = ag_groupnorm_apply(&(ag_groupnorm){x[1], x[2], 2, 1e-3}, x[0]);
    ag_tensor *same = ag_add(ag_mul(ag_normalise(x[0], AG_AXES(1, 2), 1e-3), x[1]), x[2]);
    ck_assert_double_le(ag_item(ag_max(ag_abs(ag_sub(y, same)))), 1e-5);
    return y;
}
static ag_tensor *of_layer_norm_2(ag_tensor *const x[]) {
    return ag_layernorm_apply(&(ag_layernorm){x[1], x[2], 1e-3, 2}, x[0]);
}
static ag_tensor *of_rms_norm(ag_tensor *const x[]) { return ag_rmsnorm_apply(&(ag_rmsnorm){x[1], 1e-3}, x[0]); }
static ag_tensor *of_weight_norm(ag_tensor *const x[]) { return ag_weight_norm(x[0], x[1], -1); }

static ag_tensor *of_attend(ag_tensor *const x[]) { return ag_scaled_dot_attention(x[0], x[1], x[2], NULL); }
#define of_attend_groups of_attend
static ag_tensor *of_attend_causal(ag_tensor *const x[]) {
    return ag_scaled_dot_attention(x[0], x[1], x[2], &(ag_attention_options){.causal = true});
}
static ag_tensor *of_attend_mask(ag_tensor *const x[]) {
    static const bool seen[] = {1, 1, 0, 1, 0, 1, 0, 0, 0, 0};
    const ag_attention_options o = {.mask = ag_from(tape, AG_BOOL, AG_SHAPE(2, 1, 1, 5), seen)};
    return ag_scaled_dot_attention(x[0], x[1], x[2], &o);
}
static ag_tensor *of_attend_added(ag_tensor *const x[]) {
    return ag_scaled_dot_attention(x[0], x[1], x[2], &(ag_attention_options){.mask = x[3]});
}
static ag_tensor *of_cross(ag_tensor *const x[]) {
    ag_attention layer;
    const ag_attention_sizes sizes = {.features = 4, .heads = 2, .groups = 1, .memory = 3};
    ag_attention_init_sizes(&layer, tape, ag_dtype_of(x[0]), &sizes, &(ag_layer_options){.unbiased = true});
    ag_linear *const parts[] = {&layer.query, &layer.key, &layer.value, &layer.output};
    for (int i = 0; i < 4; i++) {
        expect_shape(parts[i]->weight, ag_shape_of(x[2 + i]));
        parts[i]->weight = x[2 + i];
    }
    return ag_attention_apply_with(&layer, x[0], x[1], NULL);
}
static ag_tensor *of_rotary(ag_tensor *const x[]) { return ag_rotary(x[0], NULL, 10000, false); }
static ag_tensor *of_rotary_halves(ag_tensor *const x[]) {
    return ag_rotary(x[0], ag_arange(tape, AG_I64, 3), 10000, true);
}

/* y, the last hidden state and the last cell state, one after the other. */
static ag_tensor *of_rnn(ag_tensor *const x[], ag_cell cell) {
    static const int64_t lengths[] = {4, 1, 3};
    const ag_rnn sizes = {.cell = cell, .in = 2, .hidden = 3, .layers = 2, .bidirectional = true};
    ag_rnn layer;
    ag_rnn_init(&layer, tape, ag_dtype_of(x[0]), &sizes, NULL);
    const int each = cell == AG_CELL_GRU ? 4 : 3;
    for (int i = 0; i < 4; i++) {
        ag_tensor *const *w = x + 3 + i * each;
        layer.parts[i] = (ag_rnn_part){w[0], w[1], w[2], each == 4 ? w[3] : NULL};
    }
    ag_rnn_state state = {x[1], cell == AG_CELL_LSTM ? x[2] : NULL};
    ag_tensor *y = ag_rnn_apply(&layer, x[0], ag_from(tape, AG_I64, AG_SHAPE(3), lengths), &state, true);
    ag_tensor *c = state.cell ? state.cell : ag_zeros(tape, ag_dtype_of(x[0]), AG_SHAPE(4, 3, 3));
    ag_tensor *all[] = {y, state.hidden, c};
    for (int i = 0; i < 3; i++) all[i] = ag_reshape(all[i], AG_SHAPE(ag_size(all[i])));
    return ag_concat(3, all, 0);
}
static ag_tensor *of_rnn_tanh(ag_tensor *const x[]) { return of_rnn(x, AG_CELL_TANH); }
static ag_tensor *of_rnn_relu(ag_tensor *const x[]) { return of_rnn(x, AG_CELL_RELU); }
static ag_tensor *of_rnn_gru(ag_tensor *const x[]) { return of_rnn(x, AG_CELL_GRU); }
static ag_tensor *of_rnn_lstm(ag_tensor *const x[]) { return of_rnn(x, AG_CELL_LSTM); }

#define S(...)                                                                                                         \
    {                                                                                                                  \
        (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), { __VA_ARGS__ }                                     \
    }
#define QKV S(2, 2, 3, 4), S(2, 2, 5, 4), S(2, 2, 5, 3)
#define RNN_PART(in, g) S(in, g), S(3, g), S(g)
#define RNN_OF(g) S(3, 4, 2), S(4, 3, 3), S(4, 3, 3), RNN_PART(2, g), RNN_PART(2, g), RNN_PART(6, g), RNN_PART(6, g)
#define GRU_PART(in) RNN_PART(in, 9), S(3)
#define SHAPES(...)                                                                                                    \
    (int)(sizeof((ag_shape[]){__VA_ARGS__}) / sizeof(ag_shape)), { __VA_ARGS__ }

static const golden_case golden_cases[] = {
    GOLDEN(conv1d, S(2, 7, 3), S(3, 3, 2), S(2)),
    GOLDEN(conv2d, S(1, 5, 6, 4), S(3, 2, 2, 6), S(6)),
    GOLDEN(conv_depthwise, S(1, 4, 5, 3), S(2, 3, 1, 6), S(6)),
    GOLDEN(conv_same, S(1, 5, 2), S(4, 2, 2), S(2)),
    GOLDEN(conv3d, S(1, 3, 4, 3, 2), S(2, 2, 2, 2, 3), S(3)),
    GOLDEN(convt1d, S(2, 4, 3), S(3, 2, 3), S(2)),
    GOLDEN(convt2d, S(1, 3, 3, 4), S(3, 2, 3, 4), S(6)),
    GOLDEN(convt3d, S(1, 2, 2, 2, 2), S(2, 2, 2, 3, 2), S(3)),
    GOLDEN(max_pool, S(2, 6, 5, 2)),
    GOLDEN(max_pool_ceil, S(1, 8, 2)),
    GOLDEN(max_pool3d, S(1, 4, 3, 5, 2)),
    GOLDEN(avg_pool, S(1, 5, 6, 2)),
    GOLDEN(avg_pool_within, S(1, 5, 6, 2)),
    GOLDEN(lp_pool, S(1, 6, 2)),
    GOLDEN(adaptive_max, S(1, 7, 5, 2)),
    GOLDEN(adaptive_avg, S(1, 7, 2, 2)),
    GOLDEN(unpool, S(1, 4, 6, 2)),
    GOLDEN(bilinear_linear, S(1, 4, 3, 2)),
    GOLDEN(bilinear_aligned, S(1, 4, 3, 2)),
    GOLDEN(bicubic_linear, S(1, 4, 5, 1)),
    GOLDEN(bicubic_aligned, S(1, 4, 5, 1)),
    GOLDEN(trilinear_linear, S(1, 2, 3, 2, 1)),
    GOLDEN(trilinear_aligned, S(1, 2, 3, 2, 1)),
    GOLDEN(nearest, S(1, 4, 3, 2)),
    GOLDEN(nearest_exact, S(1, 4, 3, 2)),
    GOLDEN(shuffled, S(1, 2, 3, 8)),
    GOLDEN(unshuffled, S(1, 4, 6, 2)),
    GOLDEN(grid_bilinear_zeros_0, S(1, 3, 4, 2), S(1, 4, 3, 2)),
    GOLDEN(grid_bilinear_zeros_1, S(1, 3, 4, 2), S(1, 4, 3, 2)),
    GOLDEN(grid_bilinear_border_0, S(1, 3, 4, 2), S(1, 4, 3, 2)),
    GOLDEN(grid_bilinear_border_1, S(1, 3, 4, 2), S(1, 4, 3, 2)),
    GOLDEN(grid_bilinear_reflection_0, S(1, 3, 4, 2), S(1, 4, 3, 2)),
    GOLDEN(grid_bilinear_reflection_1, S(1, 3, 4, 2), S(1, 4, 3, 2)),
    GOLDEN(grid_nearest_zeros_0, S(1, 3, 4, 2), S(1, 4, 3, 2)),
    GOLDEN(grid_nearest_zeros_1, S(1, 3, 4, 2), S(1, 4, 3, 2)),
    GOLDEN(grid_nearest_border_0, S(1, 3, 4, 2), S(1, 4, 3, 2)),
    GOLDEN(grid_nearest_border_1, S(1, 3, 4, 2), S(1, 4, 3, 2)),
    GOLDEN(grid_nearest_reflection_0, S(1, 3, 4, 2), S(1, 4, 3, 2)),
    GOLDEN(grid_nearest_reflection_1, S(1, 3, 4, 2), S(1, 4, 3, 2)),
    GOLDEN(grid_bicubic_zeros_0, S(1, 3, 4, 2), S(1, 4, 3, 2)),
    GOLDEN(grid_bicubic_zeros_1, S(1, 3, 4, 2), S(1, 4, 3, 2)),
    GOLDEN(grid_bicubic_border_0, S(1, 3, 4, 2), S(1, 4, 3, 2)),
    GOLDEN(grid_bicubic_border_1, S(1, 3, 4, 2), S(1, 4, 3, 2)),
    GOLDEN(grid_bicubic_reflection_0, S(1, 3, 4, 2), S(1, 4, 3, 2)),
    GOLDEN(grid_bicubic_reflection_1, S(1, 3, 4, 2), S(1, 4, 3, 2)),
    GOLDEN(grid_volume, S(1, 2, 3, 3, 2), S(1, 2, 2, 2, 3)),
    GOLDEN(batch_rows, S(4, 3), S(3), S(3)),
    GOLDEN(batch_sequence, S(2, 4, 3), S(3), S(3)),
    GOLDEN(batch_image, S(2, 2, 3, 3), S(3), S(3)),
    GOLDEN(batch_volume, S(1, 2, 2, 2, 3), S(3), S(3)),
    GOLDEN(group_norm, S(2, 2, 3, 4), S(4), S(4)),
    GOLDEN(instance_norm, S(2, 2, 3, 2), S(2), S(2)),
    GOLDEN(layer_norm_2, S(2, 3, 4), S(4), S(4)),
    GOLDEN(rms_norm, S(3, 5), S(5)),
    GOLDEN(weight_norm, S(2, 3, 4), S(4)),
    GOLDEN(attend, QKV),
    GOLDEN(attend_causal, QKV),
    GOLDEN(attend_mask, QKV),
    GOLDEN(attend_added, QKV, S(3, 5)),
    GOLDEN(attend_groups, S(1, 4, 3, 2), S(1, 2, 5, 2), S(1, 2, 5, 3)),
    GOLDEN(cross, S(2, 3, 4), S(2, 5, 3), S(4, 4), S(3, 2), S(3, 2), S(4, 4)),
    GOLDEN(rotary, S(2, 3, 4)),
    GOLDEN(rotary_halves, S(2, 3, 4)),
    GOLDEN(rnn_tanh, RNN_OF(3)),
    GOLDEN(rnn_relu, RNN_OF(3)),
    GOLDEN(rnn_gru, S(3, 4, 2), S(4, 3, 3), S(4, 3, 3), GRU_PART(2), GRU_PART(2), GRU_PART(6), GRU_PART(6)),
    GOLDEN(rnn_lstm, RNN_OF(12)),
};
enum { GOLDEN_CASES = sizeof golden_cases / sizeof *golden_cases };

static void expect_golden_case(const golden_case *c, ag_dtype dtype) {
    ag_tensor *x[MOST_INPUTS], *d[MOST_INPUTS], *y;
    for (int i = 0; i < c->inputs; i++) x[i] = scattered(tape, dtype, c->shape[i], 1000 * (uint64_t)i);
    expecting(c->name);
    y = c->apply(x);
    expect_ok(tape);
    ag_tensor *g = scattered(tape, dtype, ag_shape_of(y), 9000);
    ag_vjp(1, &y, &g, c->inputs, x, d, 0);
    const double *at = c->values;
    expect_near(y, ag_size(y), at, ROUNDING, 1);
    at += ag_size(y);
    for (int i = 0; i < c->inputs; at += ag_size(x[i++])) expect_near(d[i], ag_size(x[i]), at, ROUNDING, 4);
    ck_assert_int_eq(at - c->values, c->count);
    expect_ok(tape);
    expecting("");
}

START_TEST(results_are_pytorchs) {
    for (int i = 0; i < GOLDEN_CASES; i++) expect_golden_case(&golden_cases[i], AG_F64);
}
END_TEST

START_TEST(results_are_pytorchs_in_f32) {
    for (int i = 0; i < GOLDEN_CASES; i++) /* a transposed layer is made in f64 */
        if (strcmp(golden_cases[i].name, "convt3d") != 0) expect_golden_case(&golden_cases[i], AG_F32);
}
END_TEST

/* The sum of sines of a case's result, of smaller inputs where there are many. */
static ag_tensor *of_golden(void *context, int n, ag_tensor *const x[]) {
    const golden_case *c = context;
    ck_assert_int_eq(n, c->inputs);
    return ag_sum(ag_sin(c->apply(x)));
}

static bool begins_with(const char *text, const char *part) { return strncmp(text, part, strlen(part)) == 0; }

START_TEST(gradients_pass_gradcheck_twice_over) {
    for (int i = 0; i < GOLDEN_CASES; i++) {
        golden_case c = golden_cases[i];
        ag_mark mark = ag_tape_mark(tape);
        ag_tensor *x[MOST_INPUTS];
        for (int k = 0; k < c.inputs; k++) x[k] = scattered(tape, AG_F64, c.shape[k], 1000 * (uint64_t)k);
        if (begins_with(c.name, "conv") || begins_with(c.name, "rnn")) continue; /* see below, and above */
        expecting(c.name);
        expect_gradcheck(of_golden, &c, c.inputs, x);
        ag_tape_rewind(tape, mark);
    }
    expecting("");
}
END_TEST

/* ---- NaN in places that are hidden ---- */

static ag_tensor *with_nan(ag_tensor *x, ag_tensor *where_) {
    return ag_where(where_, ag_scalar(tape, ag_dtype_of(x), NAN), x);
}

static ag_tensor *bools(ag_shape shape, const bool v[]) { return ag_from(tape, AG_BOOL, shape, v); }

/* y and the gradients of x[…], with NaN in x where `bad` holds, are those with anything else there; 0 there. */
static void expect_no_leak(ag_tensor *(*f)(ag_tensor *const x[]), int n, ag_tensor *const x[], ag_tensor *const bad[]) {
    ag_tensor *poisoned[4], *d[4], *e[4], *y, *z, *g;
    for (int i = 0; i < n; i++) poisoned[i] = bad[i] ? with_nan(x[i], bad[i]) : x[i];
    y = f(x), z = f(poisoned);
    expect_same(y, z);
    g = scattered(tape, ag_dtype_of(y), ag_shape_of(y), 77);
    ag_vjp(1, &y, &g, n, x, d, 0);
    ag_vjp(1, &z, &g, n, poisoned, e, 0);
    for (int i = 0; i < n; i++) {
        expect_same(d[i], e[i]);
        ag_tensor *zero = ag_scalar(tape, ag_dtype_of(x[i]), 0);
        if (bad[i]) expect_item(ag_sum(ag_abs(ag_where(bad[i], e[i], zero))), 0);
    }
    /* and at second order */
    ag_tensor *s[2] = {ag_sum(ag_sin(d[0])), ag_sum(ag_sin(e[0]))}, *dd[4], *ee[4];
    ag_vjp(1, &s[0], NULL, n, x, dd, 0);
    ag_vjp(1, &s[1], NULL, n, poisoned, ee, 0);
    for (int i = 0; i < n; i++) expect_same(dd[i], ee[i]);
    expect_ok(tape);
}

static const bool key_padding[] = {0, 0, 1, 0, 1, 0, 1, 1, 1, 1}; /* two samples, five keys */

static ag_tensor *attend_unpadded(ag_tensor *const x[]) {
    ag_tensor *hidden = ag_reshape(bools(AG_SHAPE(2, 5), key_padding), AG_SHAPE(2, 1, 1, 5));
    const ag_attention_options o = {.mask = ag_equal(hidden, ag_scalar(tape, AG_BOOL, 0))};
    return ag_scaled_dot_attention(x[0], x[1], x[2], &o);
}

static ag_tensor *attend_unpadded_added(ag_tensor *const x[]) {
    ag_tensor *hidden = ag_reshape(bools(AG_SHAPE(2, 5), key_padding), AG_SHAPE(2, 1, 1, 5));
    const ag_dtype dtype = ag_dtype_of(x[0]);
    const ag_attention_options o = {
        .mask = ag_where(hidden, ag_scalar(tape, dtype, -(double)INFINITY), ag_scalar(tape, dtype, 0.5))};
    return ag_scaled_dot_attention(x[0], x[1], x[2], &o);
}

START_TEST(hidden_keys_do_not_leak) {
    for (int i = 0; i < 4; i++) {
        const ag_dtype dtype = i % 2 ? AG_F32 : AG_F64;
        ag_tensor *hidden = ag_reshape(bools(AG_SHAPE(2, 5), key_padding), AG_SHAPE(2, 1, 5, 1));
        ag_tensor *x[] = {scattered(tape, dtype, AG_SHAPE(2, 4, 3, 4), 0),
                          scattered(tape, dtype, AG_SHAPE(2, 2, 5, 4), 200),
                          scattered(tape, dtype, AG_SHAPE(2, 2, 5, 3), 400)};
        expect_no_leak(i / 2 ? attend_unpadded_added : attend_unpadded, 3, x, (ag_tensor *[]){NULL, hidden, hidden});
    }
}
END_TEST

/* Later keys are hidden from earlier queries only: those see none of their NaN. */
START_TEST(later_positions_do_not_leak) {
    ag_tensor *q = scattered(tape, AG_F64, AG_SHAPE(1, 4, 3), 0), *k = scattered(tape, AG_F64, AG_SHAPE(1, 4, 3), 50);
    ag_tensor *v = scattered(tape, AG_F64, AG_SHAPE(1, 4, 2), 90);
    ag_tensor *bad = ag_reshape(ag_equal(ag_arange(tape, AG_I64, 4), ag_scalar(tape, AG_I64, 3)), AG_SHAPE(1, 4, 1));
    const ag_attention_options o = {.causal = true};
    ag_tensor *y = ag_scaled_dot_attention(q, k, v, &o), *x[] = {with_nan(k, bad), with_nan(v, bad)};
    ag_tensor *z = ag_scaled_dot_attention(q, x[0], x[1], &o), *d[3], *e[3];
    expect_same(ag_slice(z, 1, 0, 3, 1), ag_slice(y, 1, 0, 3, 1));
    ck_assert(isnan(at(z, 7)));
    ag_grad(ag_sum(ag_sin(ag_slice(y, 1, 0, 3, 1))), 3, (ag_tensor *[]){q, k, v}, d);
    ag_grad(ag_sum(ag_sin(ag_slice(z, 1, 0, 3, 1))), 3, (ag_tensor *[]){q, x[0], x[1]}, e);
    for (int i = 0; i < 3; i++) expect_same(d[i], e[i]);
    expect_ok(tape);
}
END_TEST

/* The second sample's queries see no key at all; a query that is padding may be NaN. */
START_TEST(a_query_without_keys_gives_zero) {
    static const bool seen[] = {1, 0, 1, 0, 0, 0}, padding[] = {0, 1};
    ag_tensor *mask = bools(AG_SHAPE(2, 1, 1, 3), seen), *bad = bools(AG_SHAPE(2, 1, 1, 1), padding);
    ag_tensor *q = scattered(tape, AG_F64, AG_SHAPE(2, 1, 2, 3), 0),
              *k = scattered(tape, AG_F64, AG_SHAPE(2, 1, 3, 3), 50);
    ag_tensor *v = scattered(tape, AG_F64, AG_SHAPE(2, 1, 3, 2), 90), *x[] = {with_nan(q, bad), k, v}, *d[3];
    ag_tensor *y = ag_scaled_dot_attention(x[0], k, v, &(ag_attention_options){.mask = mask});
    for (int i = 0; i < 8; i++) ck_assert(i < 4 ? isfinite(at(y, i)) && at(y, i) != 0 : at(y, i) == 0);
    ag_grad(ag_sum(ag_exp(y)), 3, x, d);
    for (int i = 0; i < 3; i++) expect_list(ag_sum(ag_abs(ag_slice(d[i], 0, 1, 2, 1))), 0);
    for (int i = 0; i < 3; i++) ck_assert(ag_item(ag_sum(ag_abs(d[i]))) > 0);
    expect_ok(tape);
}
END_TEST

static ag_tensor *rnn_with_lengths(ag_tensor *const x[], ag_cell cell) {
    static const int64_t lengths[] = {4, 0, 2};
    const ag_rnn sizes = {.cell = cell, .in = 2, .hidden = 3, .layers = 2, .bidirectional = true};
    ag_rnn layer;
    ag_tape_seed(tape, 5);
    ag_rnn_init(&layer, tape, ag_dtype_of(x[0]), &sizes, NULL);
    layer.parts[0].input_weight = x[1];
    ag_rnn_state s = {NULL, NULL};
    ag_tensor *y = ag_rnn_apply(&layer, x[0], ag_from(tape, AG_I64, AG_SHAPE(3), lengths), &s, false);
    ag_tensor *all[] = {ag_reshape(y, AG_SHAPE(72)), ag_reshape(s.hidden, AG_SHAPE(36))};
    return ag_concat(2, all, 0);
}

static ag_tensor *lstm_with_lengths(ag_tensor *const x[]) { return rnn_with_lengths(x, AG_CELL_LSTM); }
static ag_tensor *gru_with_lengths(ag_tensor *const x[]) { return rnn_with_lengths(x, AG_CELL_GRU); }
static ag_tensor *relu_with_lengths(ag_tensor *const x[]) { return rnn_with_lengths(x, AG_CELL_RELU); }

START_TEST(what_is_beyond_an_end_does_not_leak) {
    static const bool beyond[] = {0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1};
    ag_tensor *(*const f[])(ag_tensor *const x[]) = {lstm_with_lengths, gru_with_lengths, relu_with_lengths};
    const int64_t gates[] = {4, 3, 1};
    for (int i = 0; i < 3; i++) {
        ag_tensor *x[] = {scattered(tape, AG_F64, AG_SHAPE(3, 4, 2), 0),
                          scattered(tape, AG_F64, AG_SHAPE(2, 3 * gates[i]), 300)};
        expect_no_leak(f[i], 2, x, (ag_tensor *[]){bools(AG_SHAPE(3, 4, 1), beyond), NULL});
        ag_tensor *y = f[i](x); /* a sample of no steps: zeros, and the state to begin with */
        expect_item(ag_sum(ag_abs(ag_slice(y, 0, 24, 48, 1))), 0);
        expect_item(ag_sum(ag_abs(ag_slice(ag_reshape(ag_slice(y, 0, 72, AG_END, 1), AG_SHAPE(4, 3, 3)), 1, 1, 2, 1))),
                    0);
    }
}
END_TEST

START_TEST(padding_of_pools_never_wins) {
    ag_tensor *x = ag_sub(noise(AG_F64, AG_SHAPE(1, 5, 2)), ag_scalar(tape, AG_F64, 10)), *index;
    const ag_pool_options o = {.stride = {2}, .padding = {{1, 1}}};
    ag_tensor *y = ag_max_pool(x, AG_SHAPE(3), &o);
    ck_assert(ag_item(ag_max(y)) < -8);
    const int64_t low = INT64_MIN;
    ag_tensor *whole = ag_broadcast_to(ag_from(tape, AG_I64, AG_SCALAR, &low), AG_SHAPE(1, 3, 1));
    expect_same(ag_max_pool_indices(whole, AG_SHAPE(3), &o, &index), ag_max_pool(whole, AG_SHAPE(3), &o));
    expect_list(index, 0, 1);
    ag_tensor *lowest = ag_full(tape, AG_F64, AG_SHAPE(1, 3, 1), -(double)INFINITY);
    ag_max_pool_indices(lowest, AG_SHAPE(3), &o, &index);
    expect_list(index, 0, 1);
    const ag_pool_options around = {.stride = {1}, .padding = {{1, 1}, {1, 1}}};
    ag_max_pool_indices(ag_full(tape, AG_F64, AG_SHAPE(1, 3, 3, 1), -(double)INFINITY), AG_SHAPE(3), &around, &index);
    expect_list(index, 0, 0, 1, 0, 0, 1, 3, 3, 4);
    const ag_pool_options over = {.stride = {3}, .padding = {{1, 1}}, .ceil = true}; /* none begins in the padding */
    expect_shape(ag_max_pool(noise(AG_F64, AG_SHAPE(1, 4, 1)), AG_SHAPE(2), &over), AG_SHAPE(1, 2, 1));
    expect_shape(ag_max_pool(noise(AG_F64, AG_SHAPE(1, 6, 1)), AG_SHAPE(3), &over), AG_SHAPE(1, 3, 1));
    ag_tensor *three = ag_from(tape, AG_F64, AG_SHAPE(1, 3, 1), (double[]){1, 5, 3});
    const ag_pool_options beyond = {.stride = {2}, .ceil = true}; /* the only window may reach beyond, by one element */
    expect_list(ag_max_pool(three, AG_SHAPE(4), &beyond), 5);
    expect_list(ag_avg_pool(three, AG_SHAPE(4), &beyond), 3);
    expect_list(ag_max_pool_indices(three, AG_SHAPE(4), &beyond, &index), 5);
    expect_list(index, 1);
    const ag_pool_options apart = {.stride = {1}, .dilation = {4}, .same = true}; /* further than the image is long */
    expect_list(ag_max_pool(three, AG_SHAPE(3), &apart), 1, 5, 3);
    expect_list(ag_max_pool_indices(three, AG_SHAPE(3), &apart, &index), 1, 5, 3);
    expect_list(index, 0, 1, 2);
    const double some[] = {1, NAN, 5, 2, 3};
    ag_tensor *n = ag_from(tape, AG_F64, AG_SHAPE(1, 5, 1), some);
    expect_list(ag_max_pool(n, AG_SHAPE(3), &o), NAN, NAN, 3);
    expect_list(ag_max_pool_indices(n, AG_SHAPE(3), &o, &index), NAN, NAN, 3);
    expect_list(index, 1, 1, 4);
    expect_list(ag_lp_pool(ag_full(tape, AG_F32, AG_SHAPE(1, 2, 1), 3e38), 2, AG_SHAPE(1), NULL), 3e38f, 3e38f);
    expect_list(ag_lp_pool(ag_zeros(tape, AG_F32, AG_SHAPE(1, 2, 1)), 2, AG_SHAPE(2), NULL), 0);
    const double large[] = {INFINITY, 1};
    expect_list(ag_lp_pool(ag_from(tape, AG_F64, AG_SHAPE(1, 2, 1), large), 3, AG_SHAPE(2), NULL), INFINITY);
    expect_ok(tape);
}
END_TEST

/* ---- Layers ---- */

static ag_tensor *rnn_of_all(void *context, int n, ag_tensor *const x[]) {
    ag_rnn layer = *(ag_rnn *)context;
    static const int64_t lengths[] = {2, 3};
    ag_rnn_part parts[2];
    layer.parts = parts;
    for (int i = 0; i < 2; i++) parts[i] = (ag_rnn_part){x[2], x[3], x[4], n > 5 ? x[5] : NULL};
    ag_rnn_state s = {x[1], layer.cell == AG_CELL_LSTM ? ag_square(x[1]) : NULL};
    ag_tensor *y = ag_rnn_apply(&layer, x[0], ag_from(tape, AG_I64, AG_SHAPE(2), lengths), &s, true);
    ag_tensor *loss = ag_add(ag_sum(ag_sin(y)), ag_sum(ag_exp(s.hidden)));
    return s.cell ? ag_add(loss, ag_sum(s.cell)) : loss;
}

START_TEST(recurrent_layers_pass_gradcheck_twice_over) {
    const int64_t gates[] = {1, 1, 3, 4};
    for (int cell = 0; cell < 4; cell++) {
        ag_rnn layer = {.cell = (ag_cell)cell, .in = 2, .hidden = 2, .layers = 1, .bidirectional = true};
        const int64_t g = gates[cell] * 2;
        ag_tensor *x[] = {
            scattered(tape, AG_F64, AG_SHAPE(2, 3, 2), 0), scattered(tape, AG_F64, AG_SHAPE(2, 2, 2), 100),
            scattered(tape, AG_F64, AG_SHAPE(2, g), 200),  scattered(tape, AG_F64, AG_SHAPE(2, g), 300),
            scattered(tape, AG_F64, AG_SHAPE(g), 400),     scattered(tape, AG_F64, AG_SHAPE(2), 500)};
        expect_gradcheck(rnn_of_all, &layer, cell == AG_CELL_GRU ? 6 : 5, x);
    }
}
END_TEST

/* A layer over a sequence is the cell, step by step. */
START_TEST(a_recurrent_layer_is_its_cell) {
    ag_rnn layer;
    const ag_rnn sizes = {.cell = AG_CELL_LSTM, .in = 3, .hidden = 4};
    ck_assert_int_eq(ag_rnn_init(&layer, tape, AG_F64, &sizes, &(ag_layer_options){.name = "net"}), AG_OK);
    ck_assert_str_eq(ag_label_of(layer.parts[0].hidden_weight), "net.0.hidden_weight");
    const ag_lstm_cell cell = {layer.parts[0].input_weight, layer.parts[0].hidden_weight, layer.parts[0].bias};
    ag_tensor *x = noise(AG_F64, AG_SHAPE(2, 5, 3)), *h = NULL;
    ag_lstm_state s = {NULL, NULL};
    ag_rnn_state last = {NULL, NULL};
    ag_tensor *y = ag_rnn_apply(&layer, x, NULL, &last, false);
    for (int64_t t = 0; t < 5; t++)
        h = ag_lstm_cell_apply(&cell, ag_squeeze(ag_slice(x, 1, t, t + 1, 1), AG_AXES(1)), &s);
    expect_shape(y, AG_SHAPE(2, 5, 4));
    expect_near(ag_slice(y, 1, 4, 5, 1), 8, ag_data(h), 4, 1);
    expect_near(last.cell, 8, ag_data(s.cell), 4, 1);
    expect_same(ag_reshape(last.hidden, AG_SHAPE(2, 4)), ag_squeeze(ag_slice(y, 1, 4, 5, 1), AG_AXES(1)));
    expect_shape(ag_rnn_apply(&layer, ag_zeros(tape, AG_F64, AG_SHAPE(0, 2, 3)), NULL, NULL, false), AG_SHAPE(0, 2, 4));
    expect_ok(tape);
}
END_TEST

START_TEST(recurrent_dropout_is_between_layers) {
    ag_rnn layer;
    const ag_rnn sizes = {.cell = AG_CELL_TANH, .in = 3, .hidden = 4, .layers = 2, .dropout = 0.5};
    ag_rnn_init(&layer, tape, AG_F64, &sizes, NULL);
    ag_tensor *x = noise(AG_F64, AG_SHAPE(2, 3, 3));
    ag_rnn_state a = {NULL, NULL}, b = {NULL, NULL};
    ag_rnn_apply(&layer, x, NULL, &a, true), ag_rnn_apply(&layer, x, NULL, &b, true);
    ag_tensor *same = ag_reshape(ag_equal(a.hidden, b.hidden), AG_SHAPE(2, 8));
    ag_tensor *counts = ag_sum_over(ag_cast(same, AG_I64), AG_AXES(1), false);
    ck_assert_int_eq((int64_t)at(counts, 0), 8);
    ck_assert_int_lt((int64_t)at(counts, 1), 8);
    expect_same(ag_rnn_apply(&layer, x, NULL, NULL, false), ag_rnn_apply(&layer, x, NULL, NULL, false));
    expect_ok(tape);
}
END_TEST

START_TEST(layers_are_made_as_they_say) {
    ag_conv conv;
    const ag_conv_options o = {.groups = 2, .stride = {2}};
    ck_assert_int_eq(ag_conv_init(&conv, tape, AG_F32, 4, 6, AG_SHAPE(3), &o), AG_OK);
    expect_shape(conv.weight, AG_SHAPE(3, 2, 6));
    ck_assert(conv.options.groups == 2 && !conv.transposed);
    ck_assert(ag_item(ag_max(ag_abs(conv.weight))) <= sqrt(6.0 / 6));
    ck_assert(ag_item(ag_max(ag_abs(conv.weight))) > 0.7);
    expect_shape(ag_conv_apply(&conv, ag_ones(tape, AG_F32, AG_SHAPE(2, 7, 4))), AG_SHAPE(2, 3, 6));
    ag_conv_init_with(&conv, tape, AG_F32, 16, 4, AG_SHAPE(3), NULL, true, &(ag_layer_options){.unbiased = true});
    ck_assert(!conv.bias && conv.transposed);
    ck_assert(ag_item(ag_max(ag_abs(conv.weight))) <= sqrt(6.0 / 48));
    ck_assert(ag_item(ag_max(ag_abs(conv.weight))) > 0.8 * sqrt(6.0 / 48));
    ag_groupnorm group;
    ag_rmsnorm rms;
    ck_assert_int_eq(ag_groupnorm_init(&group, tape, AG_F64, 6, 3), AG_OK);
    ck_assert_int_eq(ag_groupnorm_init_with(&group, tape, AG_F64, 6, 3, &(ag_layer_options){.unbiased = true}), AG_OK);
    ck_assert(!group.beta && group.groups == 3);
    ck_assert_int_eq(ag_rmsnorm_init(&rms, tape, AG_F64, 6), AG_OK);
    ck_assert_int_eq(ag_rmsnorm_init_with(&rms, tape, AG_F64, 6, &(ag_layer_options){.name = "rms"}), AG_OK);
    ck_assert_str_eq(ag_label_of(rms.gamma), "rms.gamma");
    ag_tensor *x = noise(AG_F64, AG_SHAPE(2, 5, 6)), *y = ag_groupnorm_apply(&group, x);
    ag_tensor *mean = ag_mean_over(ag_reshape(y, AG_SHAPE(2, 5, 3, 2)), AG_AXES(1, 3), false);
    ck_assert_double_le(ag_item(ag_max(ag_abs(mean))), 1e-15);
    expect_shape(ag_rmsnorm_apply(&rms, ag_zeros(tape, AG_F64, AG_SHAPE(0, 6))), AG_SHAPE(0, 6));
    expect_item(ag_sum(ag_rmsnorm_apply(&rms, ag_zeros(tape, AG_F64, AG_SHAPE(2, 6)))), 0);
    group.gamma = NULL; /* none */
    expect_same(ag_groupnorm_apply(&group, x), y);
    expect_item(ag_sum(ag_abs(ag_normalise(ag_full(tape, AG_F32, AG_SHAPE(3, 4), 0.1), AG_AXES(0), 1e-5))), 0);
    expect_ok(tape);
}
END_TEST

/* Few channels to a group, a sample alone, many places or one: whatever way is taken, a group is normalised as all of its
 * elements are, also far from 0, and so are its slopes. */
START_TEST(groups_are_normalised_in_every_way) {
    static const int64_t extents[][4] = {{1, 33, 40, 8}, {1, 33, 40, 20}, {1, 6, 8, 2},   {3, 5, 6, 3},
                                         {3, 5, 12, 4},  {3, 5, 6, 6},    {2, 1, 12, 3},  {3, 7, 5, 1},
                                         {0, 5, 6, 2},   {2, 0, 6, 2},    {3, 700, 3, 3}, {2, 1024, 4, 2},
                                         {2, 700, 5, 5}, {2, 683, 3, 3},  {2, 684, 6, 3}};
    for (size_t k = 0; k < sizeof extents / sizeof *extents; k++) {
        const int64_t n = extents[k][0], places = extents[k][1], c = extents[k][2], groups = extents[k][3];
        const ag_shape whole = AG_SHAPE(n, places, c), apart = AG_SHAPE(n, places, groups, c / groups);
        ag_tensor *x = ag_stop_gradient(ag_add_scalar(noise(AG_F64, whole), k % 2 ? 1e6 : 0)),
                  *g = noise(AG_F64, whole);
        ag_tensor *gamma = noise(AG_F64, AG_SHAPE(c)), *beta = noise(AG_F64, AG_SHAPE(c)), *d[2][3];
        ag_tensor *same = ag_reshape(ag_normalise(ag_reshape(x, apart), AG_AXES(1, 3), 1e-3), whole);
        ag_tensor *of[] = {ag_groupnorm_apply(&(ag_groupnorm){gamma, beta, groups, 1e-3}, x),
                           ag_add(ag_mul(same, gamma), beta)};
        for (int i = 0; i < 2; i++) ag_vjp(1, &of[i], &g, 3, (ag_tensor *[]){x, gamma, beta}, d[i], 0);
        const double ulps = k % 2 ? 0x1p22 : 64; /* a mean of 1e6 is rounded to 2^20 times the unit of 1 */
        expect_near(of[0], ag_size(x), ag_data(of[1]), ulps, 1);
        for (int i = 0; i < 3; i++) expect_near(d[0][i], ag_size(d[1][i]), ag_data(d[1][i]), ulps, 16);
        expect_ok(tape);
    }
}
END_TEST

START_TEST(batches_of_images_keep_running_statistics) {
    ag_batchnorm layer;
    ag_batchnorm_nodes seen;
    ag_batchnorm_init(&layer, tape, AG_F64, 3);
    layer.momentum = 0;
    ag_tensor *x = noise(AG_F64, AG_SHAPE(2, 4, 5, 3)), *y = ag_batchnorm_apply_nodes(&layer, x, true, &seen);
    expect_shape(y, AG_SHAPE(2, 4, 5, 3));
    expect_shape(seen.centred, AG_SHAPE(2, 4, 5, 3));
    expect_shape(seen.normalised, AG_SHAPE(2, 4, 5, 3));
    expect_shape(layer.running_mean, AG_SHAPE(3));
    expect_near(layer.running_mean, 3, ag_data(ag_mean_over(x, AG_AXES(0, 1, 2), false)), 16, 1);
    expect_near(layer.running_var, 3, ag_data(ag_var_over(x, AG_AXES(0, 1, 2), 0, false)), 16, 1);
    expect_near(ag_batchnorm_apply(&layer, x, false), ag_size(x), ag_data(y), 64, 1);
    expect_shape(ag_batchnorm_apply(&layer, ag_zeros(tape, AG_F64, AG_SHAPE(0, 4, 3)), false), AG_SHAPE(0, 4, 3));
    ag_batchnorm_apply(&layer, ag_zeros(tape, AG_F64, AG_SHAPE(2, 0, 3)), true);
    expect_error(tape, AG_ERR_SHAPE, "batchnorm_apply", "no samples");
    layer.running_mean = ag_variable(tape, AG_F32, AG_SHAPE(3), (float[]){0, 0, 0});
    ag_batchnorm_apply(&layer, x, true);
    expect_error(tape, AG_ERR_DTYPE, "batchnorm_apply", "dtypes f64 and f32 differ");
}
END_TEST

START_TEST(positions_are_waves) {
    ag_tensor *y = ag_sinusoidal_positions(tape, AG_F64, 3, 5), *first = ag_slice(y, 1, 0, 1, 1);
    expect_shape(y, AG_SHAPE(3, 5));
    expect_near(first, 3, ((double[]){0, sin(1), sin(2)}), 2, 1);
    expect_near(ag_slice(y, 1, 3, 4, 1), 3, ((double[]){1, cos(pow(1e4, -0.4)), cos(2 * pow(1e4, -0.4))}), 2, 1);
    ag_tensor *single = ag_sinusoidal_positions(tape, AG_F32, 100001, 4); /* large angles, right in f32 */
    ck_assert_double_eq_tol(at(single, 400002), sin(100000 / 100.0), 1e-7);
    ck_assert_double_eq_tol(at(single, 400000), sin(100000), 1e-7);
    ag_tensor *unit = ag_from(tape, AG_F32, AG_SHAPE(1, 4), ((float[]){1, 1, 0, 0}));
    ag_tensor *turned = ag_rotary(unit, ag_full(tape, AG_I64, AG_SHAPE(1), 12345), 1.01, true);
    ck_assert_double_eq_tol(at(turned, 1), cos(12345 / sqrt(1.01)), 1e-7);
    ck_assert_double_eq_tol(at(turned, 3), sin(12345 / sqrt(1.01)), 1e-7);
    expect_shape(ag_sinusoidal_positions(tape, AG_F64, 0, 4), AG_SHAPE(0, 4));
    /* products depend on differences of positions */
    ag_tensor *a = noise(AG_F64, AG_SHAPE(1, 6)), *b = scattered(tape, AG_F64, AG_SHAPE(1, 6), 70), *p[2], *q[2];
    for (int i = 0; i < 2; i++) {
        p[i] = ag_rotary(a, ag_full(tape, AG_I64, AG_SHAPE(1), 3 + 40 * i), 100, i);
        q[i] = ag_rotary(b, ag_full(tape, AG_F64, AG_SHAPE(1), 5 + 40 * i), 100, i);
    }
    ag_tensor *later = ag_rotary(a, ag_full(tape, AG_I64, AG_SCALAR, 43), 100, false);
    ck_assert_double_eq_tol(inner(p[0], q[0]),
                            inner(later, ag_rotary(b, ag_full(tape, AG_I64, AG_SCALAR, 45), 100, false)), 1e-13);
    ck_assert_double_eq_tol(inner(p[1], p[1]), inner(a, a), 1e-13);
    expect_ok(tape);
}
END_TEST

/* The layer with everything is its parts. */
START_TEST(attention_layer_is_its_parts) {
    ag_attention layer;
    const ag_attention_sizes sizes = {.features = 8, .heads = 4, .groups = 2};
    ag_attention_init_sizes(&layer, tape, AG_F64, &sizes, NULL);
    ag_tensor *x = noise(AG_F64, AG_SHAPE(2, 5, 8)), *part[3];
    const ag_attention_options o = {.causal = true, .rotary = 50, .scale = 0.7};
    const ag_linear *const linear[] = {&layer.query, &layer.key, &layer.value};
    for (int i = 0; i < 3; i++) {
        ag_tensor *y = ag_reshape(ag_linear_apply(linear[i], x), AG_SHAPE(2, 5, i ? 2 : 4, 2));
        part[i] = ag_permute(y, AG_AXES(0, 2, 1, 3));
        if (i < 2) part[i] = ag_rotary(part[i], NULL, 50, false);
    }
    const ag_attention_options turned = {.causal = true, .scale = 0.7};
    ag_tensor *seen = ag_scaled_dot_attention(part[0], part[1], part[2], &turned);
    ag_tensor *y = ag_reshape(ag_permute(seen, AG_AXES(0, 2, 1, 3)), AG_SHAPE(2, 5, 8));
    expect_same(ag_attention_apply_with(&layer, x, NULL, &o), ag_linear_apply(&layer.output, y));
    ag_attention_options dropping = o; /* each application drops others, in training alone */
    dropping.dropout = 0.5;
    expect_same(ag_attention_apply_with(&layer, x, NULL, &dropping), ag_attention_apply_with(&layer, x, NULL, &o));
    dropping.training = true;
    ag_tensor *a = ag_attention_apply_with(&layer, x, NULL, &dropping);
    ag_tensor *b = ag_attention_apply_with(&layer, x, NULL, &dropping);
    ck_assert(ag_item(ag_max(ag_abs(ag_sub(a, b)))) > 1e-3);
    expect_ok(tape);
}
END_TEST

START_TEST(global_pools_are_reductions) {
    ag_tensor *x = noise(AG_F32, AG_SHAPE(2, 3, 4, 5));
    expect_same(ag_global_max_pool(x), ag_max_over(x, AG_AXES(1, 2), false));
    expect_same(ag_global_avg_pool(x), ag_mean_over(x, AG_AXES(1, 2), false));
    const double halves[] = {-0.75, -0.25, 0.25, 0.75}; /* places ½, 1½, 2½, 3½: the even element is taken */
    ag_tensor *numbers = ag_reshape(ag_arange(tape, AG_F64, 5), AG_SHAPE(1, 5, 1));
    ag_tensor *grid = ag_from(tape, AG_F64, AG_SHAPE(1, 4, 1), halves);
    expect_list(ag_grid_sample(numbers, grid, AG_NEAREST, AG_BEYOND_ZEROS, true), 0, 2, 2, 4);
    expect_shape(ag_global_avg_pool(ag_zeros(tape, AG_F32, AG_SHAPE(0, 3, 4, 5))), AG_SHAPE(0, 5));
    expect_shape(ag_adaptive_max_pool(x, AG_SHAPE(7)), AG_SHAPE(2, 7, 7, 5));
    expect_same(ag_pixel_unshuffle(ag_pixel_shuffle(ag_zeros(tape, AG_I64, AG_SHAPE(2, 3, 16)), 4), 4),
                ag_zeros(tape, AG_I64, AG_SHAPE(2, 3, 16)));
    expect_ok(tape);
}
END_TEST

START_TEST(sequences_have_these_layers) {
    ag_sequence m, n;
    ag_sequence_init(&m, tape, AG_F64, "net");
    ag_sequence_conv(&m, 2, 4, AG_SHAPE(3), &(ag_conv_options){.same = true}, false, &(ag_layer_options){.name = "in"});
    ag_sequence_groupnorm(&m, 4, 2, NULL);
    ag_sequence_max_pool(&m, AG_SHAPE(2), NULL);
    ag_sequence_avg_pool(&m, AG_SHAPE(2), &(ag_pool_options){.stride = {1}});
    ag_sequence_interpolate(&m, AG_SHAPE(6), AG_LINEAR, false);
    ag_sequence_conv(&m, 4, 3, AG_SHAPE(2), &(ag_conv_options){.stride = {2}}, true, NULL);
    ag_sequence_rnn(&m, &(ag_rnn){.cell = AG_CELL_GRU, .in = 3, .hidden = 2, .bidirectional = true}, NULL);
    ag_sequence_rmsnorm(&m, 4, NULL);
    ag_tensor *x = noise(AG_F64, AG_SHAPE(2, 8, 2)), *y = ag_sequence_apply(&m, x);
    expect_ok(tape);
    expect_shape(y, AG_SHAPE(2, 12, 4));
    const ag_list p = ag_parameters(tape, "net");
    ck_assert_int_eq(p.n, 2 + 2 + 2 + 8 + 1);
    for (int64_t i = 0, k = 0; i < m.count; i++) { /* each layer names its own, and no other */
        const ag_layer *l = ag_sequence_at(&m, i);
        for (int v = 0; l->kind->variable && l->kind->variable(l->state, v); v++)
            ck_assert_ptr_eq(l->kind->variable(l->state, v), p.x[k++]);
        if (i == m.count - 1) ck_assert_int_eq(k, p.n);
    }
    ck_assert_str_eq(ag_label_of(p.x[0]), "net.in.weight");
    ck_assert_str_eq(ag_label_of(p.x[6]), "net.6.0.input_weight");
    ck_assert_str_eq(ag_label_of(p.x[10]), "net.6.0.reverse.input_weight");
    ck_assert(strstr(ag_sequence_table(&m), "groupnorm") != NULL);
    ag_sequence_apply(&m, ag_zeros(tape, AG_F64, AG_SHAPE(2, 8, 3)));
    expect_error(tape, AG_ERR_SHAPE, "net.in: conv_apply", "3 channels do not fit");
    ag_sequence_apply(&m, ag_zeros(tape, AG_F64, AG_SHAPE(2, 1, 2)));
    expect_error(tape, AG_ERR_SHAPE, "net.2: max_pool", "a window of 2");
    ag_sequence_init(&n, tape, AG_F64, NULL);
    ck_assert_int_eq(ag_sequence_groupnorm(&n, 4, 3, NULL), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "4 channels cannot be divided", "test_nets.c:");
    ck_assert_int_eq(ag_sequence_rnn(&n, &(ag_rnn){.in = 0}, NULL), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "rnn_init", "0 inputs");
    ck_assert_int_eq(n.count, 0);
}
END_TEST

/* ---- Refused ---- */

static ag_tensor *zeros(ag_shape shape) { return ag_zeros(tape, AG_F64, shape); }

START_TEST(convolutions_refuse) {
    ag_tensor *x = zeros(AG_SHAPE(2, 5, 6, 4)), *w = zeros(AG_SHAPE(3, 2, 4, 6));
    ck_assert(ag_is_nil(ag_convolve(zeros(AG_SHAPE(5, 4)), w, NULL, NULL)));
    expect_error(tape, AG_ERR_SHAPE, "convolve: a (5,4) and b (3,2,4,6): the input must be (N,L,C)", "test_nets.c:");
    ag_convolve(x, zeros(AG_SHAPE(3, 2, 5, 6)), NULL, NULL);
    expect_error(tape, AG_ERR_SHAPE, "convolve", "4 channels do not fit", "1 groups, each of 5");
    ag_convolve(x, w, NULL, &(ag_conv_options){.groups = 2});
    expect_error(tape, AG_ERR_SHAPE, "4 channels do not fit", "2 groups, each of 4");
    ag_convolve(x, zeros(AG_SHAPE(3, 2, 1, 6)), NULL, &(ag_conv_options){.groups = 4});
    expect_error(tape, AG_ERR_SHAPE, "K of 6 are in 4 groups");
    ag_convolve(x, w, zeros(AG_SHAPE(5)), NULL);
    expect_error(tape, AG_ERR_SHAPE, "convolve", "(5)", "the bias must have an element for each channel");
    ag_convolve(x, ag_cast(w, AG_F32), NULL, NULL);
    expect_error(tape, AG_ERR_DTYPE, "dtypes f64 and f32 differ");
    ag_convolve(x, w, ag_zeros(tape, AG_F32, AG_SHAPE(6)), NULL);
    expect_error(tape, AG_ERR_DTYPE, "dtypes f64 and f32 differ");
    const ag_conv_options wrong[] = {{.stride = {-1}},
                                     {.dilation = {1, -1}},
                                     {.padding = {{0, 0}, {0, -1}}},
                                     {.padding = {{INT64_MAX, INT64_MAX}}},
                                     {.dilation = {INT64_MAX}},
                                     {.groups = -1},
                                     {.groups = INT64_MAX},
                                     {.output_padding = {1}}};
    for (int i = 0; i < 8; i++) {
        ag_convolve(x, w, NULL, &wrong[i]);
        expect_error(tape, AG_ERR_RANGE, "convolve", "(2,5,6,4)", "test_nets.c:");
    }
    ag_convolve(x, w, NULL, &(ag_conv_options){.dilation = {3}});
    expect_error(tape, AG_ERR_SHAPE, "a window of 7 does not fit on axis 1, which has 5 with padding");
    ag_convolve(x, zeros(AG_SHAPE(3, 0, 4, 6)), NULL, &(ag_conv_options){.same = true});
    expect_error(tape, AG_ERR_SHAPE, "a window of 0");
    ag_convolve(x, NULL, NULL, NULL);
    expect_error(tape, AG_ERR_NULL, "convolve");
    ag_convolve(NULL, w, NULL, NULL);
    expect_error(tape, AG_ERR_NULL, "convolve");
    ag_conv_apply(NULL, x);
    expect_error(tape, AG_ERR_NULL, "conv_apply", "the layer is NULL");
}
END_TEST

/* Whichever operations these convolutions would be made of. */
START_TEST(convolutions_refuse_whole_numbers) {
    enum { N = 5 };
    const int64_t in[N] = {1, 4, 16, 4, 16}, group[N] = {1, 4, 16, 1, 8}, out[N] = {1, 4, 16, 4, 16};
    for (int i = 0; i < 2 * N; i++) {
        const int k = i / 2;
        const ag_dtype dtype = i % 2 ? AG_I64 : AG_BOOL;
        const ag_conv_options o = {.groups = in[k] / group[k]};
        ag_tensor *x = ag_zeros(tape, dtype, AG_SHAPE(2, 5, in[k]));
        ag_tensor *w = ag_zeros(tape, dtype, AG_SHAPE(3, group[k], out[k]));
        ag_convolve(x, w, NULL, &o);
        expect_error(tape, AG_ERR_DTYPE, "convolve: a ", "is not supported", "test_nets.c:");
        ag_convolve_transposed(x, w, NULL, &o);
        expect_error(tape, AG_ERR_DTYPE, "convolve_transposed: a ", "is not supported", "test_nets.c:");
    }
}
END_TEST

START_TEST(transposed_convolutions_refuse) {
    ag_tensor *x = zeros(AG_SHAPE(2, 5, 6)), *w = zeros(AG_SHAPE(3, 4, 6));
    expect_shape(ag_convolve_transposed(x, w, NULL, NULL), AG_SHAPE(2, 7, 4));
    ag_convolve_transposed(x, zeros(AG_SHAPE(3, 4, 5)), NULL, NULL);
    expect_error(tape, AG_ERR_SHAPE, "convolve_transposed", "6 channels do not fit");
    ag_convolve_transposed(x, w, zeros(AG_SHAPE(6)), NULL);
    expect_error(tape, AG_ERR_SHAPE, "the bias must have an element for each channel");
    const ag_conv_options wrong[] = {{.output_padding = {1}},
                                     {.stride = {2}, .output_padding = {2}},
                                     {.output_padding = {-1}},
                                     {.stride = {3}, .same = true, .output_padding = {1}}};
    for (int i = 0; i < 4; i++) {
        ag_convolve_transposed(x, w, NULL, &wrong[i]);
        expect_error(tape, AG_ERR_RANGE, "convolve_transposed", "output padding", "on axis 1");
    }
    ag_convolve_transposed(x, w, NULL, &(ag_conv_options){.padding = {{4, 3}}});
    expect_error(tape, AG_ERR_SHAPE, "padding 7", "leaves no or too many elements");
    ag_convolve_transposed(x, w, NULL, &(ag_conv_options){.stride = {INT64_MAX}});
    expect_error(tape, AG_ERR_SHAPE, "leaves no or too many elements");
    ag_convolve_transposed(zeros(AG_SHAPE(2, 0, 6)), w, NULL, NULL);
    expect_error(tape, AG_ERR_SHAPE, "leaves no or too many elements");
    ag_conv layer;
    ck_assert_int_eq(ag_conv_init(&layer, tape, AG_F64, 4, 6, AG_SHAPE(3), &(ag_conv_options){.groups = 4}),
                     AG_ERR_RANGE);
    ck_assert(ag_is_nil(layer.weight));
    expect_error(tape, AG_ERR_RANGE, "conv_init", "4 channels in, 6 out, 4 groups", "test_nets.c:");
    ck_assert_int_eq(ag_conv_init(&layer, tape, AG_F64, 4, 6, AG_SCALAR, NULL), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "0 sizes");
    ck_assert_int_eq(ag_conv_init_with(&layer, tape, AG_F64, 4, 6, AG_SHAPE(1, 1, 1, 1), NULL, true, NULL),
                     AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "conv_init_with", "4 sizes");
    ck_assert_int_eq(ag_conv_init(NULL, tape, AG_F64, 4, 6, AG_SHAPE(3), NULL), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "the layer is NULL");
}
END_TEST

START_TEST(poolings_refuse) {
    ag_tensor *x = zeros(AG_SHAPE(2, 5, 6, 4)), *index = NULL;
    ag_max_pool(zeros(AG_SHAPE(5, 4)), AG_SHAPE(2), NULL);
    expect_error(tape, AG_ERR_SHAPE, "max_pool: x (5,4): the input must be (N,L,C)", "test_nets.c:");
    ag_avg_pool(x, AG_SHAPE(2, 2, 2), NULL);
    expect_error(tape, AG_ERR_SHAPE, "avg_pool", "3 extents are given for 2 spatial axes");
    ag_lp_pool(x, 2, AG_SHAPE(2, 0), NULL);
    expect_error(tape, AG_ERR_RANGE, "lp_pool", "size 0 and stride 2 on axis 2");
    ag_lp_pool(x, 0.5, AG_SHAPE(2), NULL);
    expect_error(tape, AG_ERR_RANGE, "lp_pool", "p is 0.5");
    ag_lp_pool(x, NAN, AG_SHAPE(2), NULL);
    expect_error(tape, AG_ERR_RANGE, "lp_pool", "p is nan");
    ag_max_pool(x, AG_SHAPE(2), &(ag_pool_options){.stride = {-2}});
    expect_error(tape, AG_ERR_RANGE, "stride -2");
    ag_max_pool(x, AG_SHAPE(2), &(ag_pool_options){.padding = {{0, 2}}});
    expect_error(tape, AG_ERR_RANGE, "padding 0, 2 on axis 1: a window of 2 might have no element");
    ag_max_pool(x, AG_SHAPE(2), &(ag_pool_options){.padding = {{3, 3}}, .dilation = {6, 1}});
    expect_error(tape, AG_ERR_RANGE, "a window of 7 might have no element");
    ag_max_pool(ag_ones(tape, AG_F64, AG_SHAPE(1, 3, 1)), AG_SHAPE(2),
                &(ag_pool_options){.stride = {2}, .padding = {{1, 2}}, .dilation = {4}});
    expect_error(tape, AG_ERR_RANGE, "padding 1, 2 on axis 1: a window of 5 might have no element");
    ag_max_pool(x, AG_SHAPE(7), &(ag_pool_options){.stride = {2}, .ceil = true});
    expect_error(tape, AG_ERR_SHAPE, "a window of 7 does not fit on axis 1");
    ag_max_pool(x, AG_SHAPE(7), NULL);
    expect_error(tape, AG_ERR_SHAPE, "a window of 7 does not fit on axis 1");
    ag_max_pool(ag_cast(x, AG_BOOL), AG_SHAPE(2), NULL);
    expect_error(tape, AG_ERR_DTYPE, "max_pool", "bool");
    ag_avg_pool(ag_cast(x, AG_I64), AG_SHAPE(2), NULL);
    expect_error(tape, AG_ERR_DTYPE, "avg_pool", "i64");
    ag_avg_pool(NULL, AG_SHAPE(2), NULL);
    expect_error(NULL, AG_ERR_NULL, "avg_pool");
    ag_max_pool_indices(x, AG_SHAPE(2), NULL, NULL);
    expect_error(tape, AG_ERR_NULL, "index is NULL");
    ck_assert(ag_is_nil(ag_max_pool_indices(x, AG_SHAPE(9), NULL, &index)) && ag_is_nil(index));
    expect_error(tape, AG_ERR_SHAPE, "max_pool_indices");
    ag_max_unpool(x, x, AG_SHAPE(5, 6));
    expect_error(tape, AG_ERR_DTYPE, "max_unpool", "the index must be i64");
    ag_max_unpool(x, ag_zeros(tape, AG_I64, AG_SHAPE(2)), AG_SHAPE(5, 6));
    expect_error(tape, AG_ERR_SHAPE, "max_unpool", "the index must have the shape");
    ag_tensor *at_30 = ag_full(tape, AG_I64, AG_SHAPE(2, 5, 6, 4), 30);
    ag_max_unpool(x, at_30, AG_SHAPE(INT64_MAX, INT64_MAX));
    expect_error(tape, AG_ERR_SHAPE, "the extents are too large");
    ck_assert(ag_data(ag_max_unpool(x, at_30, AG_SHAPE(5, 6))) == NULL);
    expect_error(tape, AG_ERR_RANGE, "max_unpool", "index 30 at [0,0,0,0] is out of range: there are 30 elements");
    ag_adaptive_avg_pool(x, AG_SHAPE(2, 0));
    expect_error(tape, AG_ERR_RANGE, "adaptive_avg_pool", "extent 0 on axis 2");
    ag_adaptive_max_pool(x, AG_SHAPE(INT64_MAX));
    expect_error(tape, AG_ERR_RANGE, "adaptive_max_pool");
    ag_adaptive_max_pool(zeros(AG_SHAPE(1, 0, 2)), AG_SHAPE(1));
    expect_error(tape, AG_ERR_SHAPE, "axis 1 must have 1 to");
    ag_global_max_pool(zeros(AG_SHAPE(1, 2)));
    expect_error(tape, AG_ERR_SHAPE, "global_max_pool");
    ag_global_avg_pool(zeros(AG_SHAPE(1, 2, 2, 2, 2, 2)));
    expect_error(tape, AG_ERR_SHAPE, "global_avg_pool");
}
END_TEST

/* The gradient of windows with a dilation adds up their own elements, and stores nothing that lies between them. */
START_TEST(gradients_of_dilated_windows_have_no_gaps) {
    for (int order = 1; order <= 2; order++) {
        ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(2, 9, 11, 3), 1), *dx;
        ag_tensor *y = ag_max_pool(
            x, AG_SHAPE(3, 2), &(ag_pool_options){.stride = {2, 1}, .dilation = {2, 3}, .padding = {{1, 2}, {0, 1}}});
        ag_grad(ag_sum(ag_square(y)), 1, &x, &dx);
        if (order == 2) ag_grad(ag_sum(ag_square(dx)), 1, &x, &dx);
        const char *formula = ag_formula(dx, NULL);
        ck_assert_ptr_nonnull(strstr(formula, "fold("));
        ck_assert_msg(!strstr(formula, "embed"), "%s", formula);
    }
    /* A part of each window, from its beginning on, is a fold of another window. */
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(12), 1), *dx[2];
    ag_tensor *w = ag_windows(x, AG_AXES(0), AG_SHAPE(6), AG_SHAPE(2));
    ag_grad(ag_sum(ag_square(ag_slice(w, 1, 0, 4, 2))), 1, &x, &dx[0]);
    ag_tensor *apart = ag_stack(2, (ag_tensor *[]){ag_slice(x, 0, 0, 8, 2), ag_slice(x, 0, 2, 10, 2)}, 1);
    ag_grad(ag_sum(ag_square(apart)), 1, &x, &dx[1]);
    expect_same(dx[0], dx[1]);
}
END_TEST

START_TEST(resampling_refuses) {
    ag_tensor *x = zeros(AG_SHAPE(2, 4, 6, 4)), *grid = zeros(AG_SHAPE(2, 3, 3, 2));
    ag_interpolate(x, AG_SHAPE(2, 2), AG_NEAREST, true);
    expect_error(tape, AG_ERR_RANGE, "interpolate", "no corners", "test_nets.c:");
    ag_interpolate(x, AG_SHAPE(2, 2), AG_NEAREST_EXACT, true);
    expect_error(tape, AG_ERR_RANGE, "interpolate", "no corners", "test_nets.c:");
    ag_interpolate(x, AG_SHAPE(2, 2), (ag_interpolation)7, false);
    expect_error(tape, AG_ERR_RANGE, "interpolate", "no such mode");
    ag_interpolate(x, AG_SHAPE(0, 2), AG_LINEAR, false);
    expect_error(tape, AG_ERR_RANGE, "extent 0 on axis 1");
    ag_interpolate(ag_cast(x, AG_I64), AG_SHAPE(2), AG_LINEAR, false);
    expect_error(tape, AG_ERR_DTYPE, "i64");
    ag_pixel_shuffle(x, 3);
    expect_error(tape, AG_ERR_SHAPE, "pixel_shuffle", "4 channels are no multiple of 9");
    ag_pixel_shuffle(x, 0);
    expect_error(tape, AG_ERR_RANGE, "pixel_shuffle", "r is 0");
    for (int i = 0; i < 2; i++) {
        ag_pixel_shuffle(x, i ? INT64_MIN : INT64_MAX);
        expect_error(tape, AG_ERR_RANGE, "pixel_shuffle", "1 to 2²⁰ is wanted");
        ag_pixel_unshuffle(x, i ? INT64_MIN : INT64_MAX);
        expect_error(tape, AG_ERR_RANGE, "pixel_unshuffle", "1 to 2²⁰ is wanted");
    }
    ag_pixel_unshuffle(x, 4);
    expect_error(tape, AG_ERR_SHAPE, "pixel_unshuffle", "axis 2 is no multiple of 4");
    ag_pixel_unshuffle(zeros(AG_SHAPE(2, 2)), 2);
    expect_error(tape, AG_ERR_SHAPE, "pixel_unshuffle", "(N,L,C)");
    ag_grid_sample(x, zeros(AG_SHAPE(2, 3, 3, 3)), AG_LINEAR, AG_BEYOND_ZEROS, false);
    expect_error(tape, AG_ERR_SHAPE, "grid_sample", "the grid must be (N,…,2)");
    ag_grid_sample(x, zeros(AG_SHAPE(1, 3, 3, 2)), AG_LINEAR, AG_BEYOND_ZEROS, false);
    expect_error(tape, AG_ERR_SHAPE, "grid_sample");
    ag_grid_sample(x, ag_cast(grid, AG_F32), AG_LINEAR, AG_BEYOND_ZEROS, false);
    expect_error(tape, AG_ERR_DTYPE, "grid_sample");
    ag_grid_sample(x, grid, AG_NEAREST_EXACT, AG_BEYOND_ZEROS, false);
    expect_error(tape, AG_ERR_RANGE, "grid_sample", "AG_NEAREST, AG_LINEAR or AG_CUBIC");
    ag_grid_sample(x, NULL, AG_LINEAR, AG_BEYOND_ZEROS, false);
    expect_error(tape, AG_ERR_NULL, "grid_sample");
    ag_tensor *far = ag_full(tape, AG_F64, AG_SHAPE(2, 3, 3, 2), 1e300); /* far away, or nowhere: no index is wrong */
    expect_item(ag_sum(ag_grid_sample(x, far, AG_LINEAR, AG_BEYOND_ZEROS, true)), 0);
    expect_item(ag_sum(ag_grid_sample(x, far, AG_LINEAR, AG_BEYOND_BORDER, true)), 0);
    expect_shape(ag_grid_sample(x, ag_scale(far, NAN), AG_LINEAR, AG_BEYOND_REFLECTION, true), AG_SHAPE(2, 3, 3, 4));
    ck_assert(isnan(at(ag_grid_sample(x, ag_scale(grid, NAN), AG_LINEAR, AG_BEYOND_BORDER, true), 0)));
    expect_ok(tape);
}
END_TEST

START_TEST(normalisations_refuse) {
    ag_groupnorm group;
    ag_rmsnorm rms;
    ag_tensor *x = zeros(AG_SHAPE(2, 5, 6));
    ck_assert_int_eq(ag_groupnorm_init(&group, tape, AG_F64, 6, 4), AG_ERR_RANGE);
    ck_assert(ag_is_nil(group.gamma));
    expect_error(tape, AG_ERR_RANGE, "groupnorm_init", "6 channels cannot be divided into 4 groups", "test_nets.c:");
    ck_assert_int_eq(ag_rmsnorm_init(&rms, tape, AG_F64, 0), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "rmsnorm_init", "0 features");
    ag_groupnorm_init(&group, tape, AG_F64, 6, 3), ag_rmsnorm_init(&rms, tape, AG_F64, 6);
    ag_groupnorm_apply(&group, zeros(AG_SHAPE(2, 5)));
    expect_error(tape, AG_ERR_SHAPE, "groupnorm_apply", "(N,…,C)");
    ag_groupnorm_apply(&group, zeros(AG_SHAPE(6)));
    expect_error(tape, AG_ERR_SHAPE, "groupnorm_apply");
    ag_groupnorm_apply(&group, ag_cast(x, AG_I64));
    expect_error(tape, AG_ERR_DTYPE, "groupnorm_apply", "i64");
    ag_groupnorm_apply(NULL, x);
    expect_error(tape, AG_ERR_NULL, "the layer is NULL");
    group.groups = 4;
    ag_groupnorm_apply(&group, x);
    expect_error(tape, AG_ERR_RANGE, "the layer's 4 groups");
    group.groups = 3, group.epsilon = -1;
    ag_groupnorm_apply(&group, x);
    expect_error(tape, AG_ERR_RANGE, "epsilon is -1");
    ag_rmsnorm_apply(&rms, ag_cast(x, AG_F32));
    expect_error(tape, AG_ERR_DTYPE, "rmsnorm_apply", "dtypes f32 and f64 differ");
    ag_rmsnorm_apply(NULL, x);
    expect_error(tape, AG_ERR_NULL, "the layer is NULL");
    ag_normalise(x, AG_AXES(3), 0);
    expect_error(tape, AG_ERR_AXIS, "axis 3");
    ag_normalise(x, AG_AXES(0), -1);
    expect_error(tape, AG_ERR_RANGE, "normalise", "epsilon");
    ag_weight_norm(x, zeros(AG_SHAPE(5)), -1);
    expect_error(tape, AG_ERR_SHAPE, "weight_norm", "g must be (6)");
    ag_weight_norm(x, zeros(AG_SHAPE(6)), 3);
    expect_error(tape, AG_ERR_AXIS, "weight_norm", "axis 3");
    ag_weight_norm(x, ag_zeros(tape, AG_F32, AG_SHAPE(6)), 2);
    expect_error(tape, AG_ERR_DTYPE, "weight_norm");
    ag_layernorm layer;
    ag_layernorm_init(&layer, tape, AG_F64, 6);
    layer.axes = 4;
    ag_layernorm_apply(&layer, x);
    expect_error(tape, AG_ERR_RANGE, "layernorm_apply", "4 axes");
}
END_TEST

START_TEST(attention_refuses) {
    ag_tensor *q = zeros(AG_SHAPE(2, 4, 3, 2)), *k = zeros(AG_SHAPE(2, 2, 5, 2)), *v = zeros(AG_SHAPE(2, 2, 5, 3));
    ag_tensor *const wrong[][3] = {
        {q, k, zeros(AG_SHAPE(2, 2, 4, 3))}, {q, zeros(AG_SHAPE(2, 3, 5, 2)), zeros(AG_SHAPE(2, 3, 5, 3))},
        {q, zeros(AG_SHAPE(2, 2, 5, 3)), v}, {q, zeros(AG_SHAPE(2, 2, 0, 2)), zeros(AG_SHAPE(2, 2, 0, 3))},
        {zeros(AG_SHAPE(1, 4, 3, 2)), k, v}, {zeros(AG_SHAPE(3, 2)), zeros(AG_SHAPE(5, 2)), zeros(AG_SHAPE(5, 2))}};
    for (int i = 0; i < 6; i++) {
        ag_scaled_dot_attention(wrong[i][0], wrong[i][1], wrong[i][2], NULL);
        expect_error(tape, AG_ERR_SHAPE, "scaled_dot_attention", "(…,H,T,D)", "test_nets.c:");
    }
    ag_scaled_dot_attention(q, k, ag_cast(v, AG_F32), NULL);
    expect_error(tape, AG_ERR_DTYPE, "scaled_dot_attention");
    ag_attention_options o = {.mask = zeros(AG_SHAPE(3, 4))};
    ag_scaled_dot_attention(q, k, v, &o);
    expect_error(tape, AG_ERR_SHAPE, "the mask cannot be broadcast");
    o.mask = ag_zeros(tape, AG_F32, AG_SHAPE(3, 5));
    ag_scaled_dot_attention(q, k, v, &o);
    expect_error(tape, AG_ERR_DTYPE, "the mask must be bool");
    o = (ag_attention_options){.dropout = 1};
    ag_scaled_dot_attention(q, k, v, &o);
    expect_error(tape, AG_ERR_RANGE, "dropout 1");
    o = (ag_attention_options){.scale = INFINITY};
    ag_scaled_dot_attention(q, k, v, &o);
    expect_error(tape, AG_ERR_RANGE, "scale inf");
    ag_scaled_dot_attention(q, NULL, v, NULL);
    expect_error(tape, AG_ERR_NULL, "scaled_dot_attention");
    ag_attention layer;
    ag_attention_sizes sizes = {.features = 8, .heads = 4, .groups = 3};
    ck_assert_int_eq(ag_attention_init_sizes(&layer, tape, AG_F64, &sizes, NULL), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "attention_init_sizes", "8 features", "4 heads, of 3 groups");
    ck_assert_int_eq(ag_attention_init_sizes(&layer, tape, AG_F64, NULL, NULL), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "0 features");
    sizes.groups = 2, sizes.memory = 5;
    ag_attention_init_sizes(&layer, tape, AG_F64, &sizes, NULL);
    ag_tensor *x = zeros(AG_SHAPE(2, 3, 8)), *memory = zeros(AG_SHAPE(2, 4, 5));
    expect_shape(ag_attention_apply_with(&layer, x, memory, NULL), AG_SHAPE(2, 3, 8));
    ag_attention_apply_with(&layer, x, NULL, NULL);
    expect_error(tape, AG_ERR_SHAPE, "attention_apply_with", "(2,3,8)", "(5,4)");
    ag_attention_apply_with(&layer, x, zeros(AG_SHAPE(1, 4, 5)), NULL);
    expect_error(tape, AG_ERR_SHAPE, "one number of sequences");
    o = (ag_attention_options){.rotary = 0.5};
    ag_attention_apply_with(&layer, x, memory, &o);
    expect_error(tape, AG_ERR_RANGE, "rotary base 0.5");
    ag_tensor *heads = zeros(AG_SHAPE(2, 4, 3, 2));
    o = (ag_attention_options){.rotary = 100};
    ag_scaled_dot_attention(heads, heads, heads, &o);
    expect_error(tape, AG_ERR_RANGE, "scaled_dot_attention: ", "(2,4,3,2)", "a layer's option", "test_nets.c:");
    o = (ag_attention_options){.mask = zeros(AG_SHAPE(7))};
    ag_attention_apply_with(&layer, x, memory, &o);
    expect_error(tape, AG_ERR_SHAPE, "attention_apply_with", "the mask");
    layer.groups = 3;
    ag_attention_apply_with(&layer, x, memory, NULL);
    expect_error(tape, AG_ERR_RANGE, "attention_apply_with", "3 heads");
    ag_attention_apply_with(NULL, x, NULL, NULL);
    expect_error(tape, AG_ERR_NULL, "the layer is NULL");
}
END_TEST

START_TEST(positions_refuse) {
    ag_tensor *x = zeros(AG_SHAPE(2, 3, 4));
    ag_rotary(zeros(AG_SHAPE(3, 5)), NULL, 10, false);
    expect_error(tape, AG_ERR_SHAPE, "rotary: x (3,5)", "even D", "test_nets.c:");
    ag_rotary(x, zeros(AG_SHAPE(2)), 10, false);
    expect_error(tape, AG_ERR_SHAPE, "rotary", "the positions cannot be broadcast");
    ag_rotary(x, ag_zeros(tape, AG_BOOL, AG_SHAPE(3)), 10, false);
    expect_error(tape, AG_ERR_DTYPE, "rotary");
    ag_rotary(ag_cast(x, AG_I64), NULL, 10, false);
    expect_error(tape, AG_ERR_DTYPE, "rotary", "not i64");
    ag_rotary(x, NULL, 0.5, false);
    expect_error(tape, AG_ERR_RANGE, "the base is 0.5");
    ag_rotary(NULL, NULL, 10, false);
    expect_error(NULL, AG_ERR_NULL, "rotary");
    ag_sinusoidal_positions(tape, AG_I64, 3, 4);
    expect_error(tape, AG_ERR_DTYPE, "sinusoidal_positions");
    ag_sinusoidal_positions(tape, AG_F32, -1, 4);
    expect_error(tape, AG_ERR_SHAPE, "sinusoidal_positions", "(-1,4)");
    ck_assert(ag_is_nil(ag_sinusoidal_positions(NULL, AG_F32, 3, 4)));
    ag_clear_error(NULL);
}
END_TEST

START_TEST(recurrent_layers_refuse) {
    ag_rnn layer, wrong[] = {{.in = 0, .hidden = 3},
                             {.in = 2, .hidden = INT64_MAX},
                             {.in = 2, .hidden = 3, .layers = -1},
                             {.in = 2, .hidden = 3, .dropout = 1},
                             {.cell = (ag_cell)9, .in = 2, .hidden = 3}};
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(ag_rnn_init(&layer, tape, AG_F64, &wrong[i], NULL), AG_ERR_RANGE);
        ck_assert(!layer.parts);
        expect_error(tape, AG_ERR_RANGE, "rnn_init", "hidden features", "test_nets.c:");
    }
    ck_assert_int_eq(ag_rnn_init(&layer, tape, AG_F64, NULL, NULL), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "0 inputs");
    const ag_rnn sizes = {.cell = AG_CELL_LSTM, .in = 2, .hidden = 3};
    ag_rnn_init(&layer, tape, AG_F64, &sizes, NULL);
    ag_tensor *x = zeros(AG_SHAPE(2, 4, 2));
    ag_rnn_state s = {zeros(AG_SHAPE(1, 2, 4)), NULL};
    ck_assert(ag_is_nil(ag_rnn_apply(&layer, x, NULL, &s, true)) && ag_is_nil(s.hidden) && ag_is_nil(s.cell));
    expect_error(tape, AG_ERR_SHAPE, "rnn_apply", "the state must be (1,2,3)", "test_nets.c:");
    s = (ag_rnn_state){NULL, ag_zeros(tape, AG_F32, AG_SHAPE(1, 2, 3))};
    ag_rnn_apply(&layer, x, NULL, &s, true);
    expect_error(tape, AG_ERR_DTYPE, "rnn_apply", "dtypes f64 and f32 differ");
    ag_rnn_apply(&layer, zeros(AG_SHAPE(2, 4, 3)), NULL, NULL, true);
    expect_error(tape, AG_ERR_SHAPE, "rnn_apply", "the layer's C of 2");
    ag_rnn_apply(&layer, zeros(AG_SHAPE(2, 0, 2)), NULL, NULL, true);
    expect_error(tape, AG_ERR_SHAPE, "T >= 1");
    ag_rnn_apply(&layer, x, zeros(AG_SHAPE(2)), NULL, true);
    expect_error(tape, AG_ERR_DTYPE, "the lengths must be i64");
    ag_rnn_apply(&layer, x, ag_zeros(tape, AG_I64, AG_SHAPE(3)), NULL, true);
    expect_error(tape, AG_ERR_SHAPE, "the lengths must be (N)");
    ck_assert(!ag_data(ag_rnn_apply(&layer, x, ag_full(tape, AG_I64, AG_SHAPE(2), 5), NULL, true)));
    expect_error(tape, AG_ERR_RANGE, "rnn_apply", "length 5 at [0] is out of range");
    ag_rnn_apply(NULL, x, NULL, NULL, true);
    expect_error(tape, AG_ERR_NULL, "the layer or its parts are NULL");
    layer.parts[0].bias = zeros(AG_SHAPE(3));
    ag_rnn_apply(&layer, x, NULL, NULL, true);
    expect_error(tape, AG_ERR_SHAPE, "(3)", "a parameter has not the shape");
    layer.parts[0].bias = NULL, layer.parts[0].hidden_weight = NULL;
    ag_rnn_apply(&layer, x, NULL, NULL, true);
    expect_error(tape, AG_ERR_NULL, "rnn_apply");
    layer.dropout = NAN;
    ag_rnn_apply(&layer, x, NULL, NULL, true);
    expect_error(tape, AG_ERR_RANGE, "dropout is nan");
}
END_TEST

START_TEST(depthwise_refuses) {
    ag_tensor *x = zeros(AG_SHAPE(2, 5, 6, 4)), *w = zeros(AG_SHAPE(3, 2, 4));
    const ag_shape one = AG_SHAPE(1, 1), none = AG_SHAPE(0, 0), places = AG_SHAPE(3, 5);
    expect_shape(ag_depthwise(x, w, places, one, one, none), AG_SHAPE(2, 3, 5, 4));
    ag_depthwise(x, zeros(AG_SHAPE(3, 4)), places, one, one, none);
    expect_error(tape, AG_ERR_SHAPE, "depthwise", "(N,L…,C) and (K…,C)", "test_nets.c:");
    ag_depthwise(x, zeros(AG_SHAPE(3, 2, 5)), places, one, one, none);
    expect_error(tape, AG_ERR_SHAPE, "depthwise");
    ag_depthwise(x, w, places, AG_SHAPE(1), one, none);
    expect_error(tape, AG_ERR_SHAPE, "numbers for one to three axes");
    ag_depthwise(x, w, places, none, one, none);
    expect_error(tape, AG_ERR_RANGE, "stride 0");
    ag_depthwise(x, w, AG_SHAPE(-1, 1), one, one, none);
    expect_error(tape, AG_ERR_RANGE, "-1 windows");
    ag_depthwise(x, w, AG_SHAPE(INT64_MAX, 1), one, one, none);
    expect_error(tape, AG_ERR_RANGE, "out of range");
    ag_depthwise(x, ag_cast(w, AG_F32), places, one, one, none);
    expect_error(tape, AG_ERR_DTYPE, "depthwise");
    ag_depthwise_transposed(x, w, AG_SHAPE(7), one, one, AG_SHAPE(0));
    expect_error(tape, AG_ERR_SHAPE, "depthwise_transposed");
    ag_depthwise_transposed(x, w, AG_SHAPE(7, -7), one, one, none);
    expect_error(tape, AG_ERR_RANGE, "an extent of -7");
    expect_shape(ag_depthwise_transposed(x, w, AG_SHAPE(7, 7), one, one, none), AG_SHAPE(2, 7, 7, 4));
    expect_ok(tape);
}
END_TEST

START_TEST(correlation_refuses) {
    ag_tensor *x = zeros(AG_SHAPE(2, 5, 6, 4)), *w = zeros(AG_SHAPE(3, 2, 2, 6));
    const ag_shape one = AG_SHAPE(1, 1), none = AG_SHAPE(0, 0), places = AG_SHAPE(3, 5), huge = AG_SHAPE(INT32_MAX, 1);
    expect_shape(ag_correlation(x, w, 2, places, one, one, none), AG_SHAPE(2, 3, 5, 6));
    ag_correlation(x, w, 1, places, one, one, none);
    expect_error(tape, AG_ERR_SHAPE, "correlation", "(N,L…,C) and (K…,C/G,K)", "test_nets.c:");
    ag_correlation(x, zeros(AG_SHAPE(3, 2, 1, 6)), 4, places, one, one, none);
    expect_error(tape, AG_ERR_SHAPE, "multiples of the groups");
    ag_correlation(x, w, 0, places, one, one, none);
    expect_error(tape, AG_ERR_RANGE, "out of range");
    ag_correlation(x, zeros(AG_SHAPE(3, 2, 4)), 1, places, one, one, none);
    expect_error(tape, AG_ERR_SHAPE, "numbers for one to three axes");
    ag_correlation_transposed(x, w, 1, AG_SHAPE(7, 7), one, one, none);
    expect_error(tape, AG_ERR_SHAPE, "correlation: a (3,2,2,6) and b (2,5,6,4)");
    ag_correlation_transposed(x, zeros(AG_SHAPE(3, 2, 3, 4)), 2, AG_SHAPE(7, -7), one, one, none);
    expect_error(tape, AG_ERR_RANGE, "an extent of -7");
    expect_shape(ag_correlation_transposed(x, zeros(AG_SHAPE(3, 2, 3, 4)), 2, AG_SHAPE(7, 7), one, one, none),
                 AG_SHAPE(2, 7, 7, 6));
    expect_ok(tape);
    ag_eval(ag_correlation(zeros(AG_SHAPE(1, 5, 5, 8)), zeros(AG_SHAPE(3, 3, 8, 8)), 1, AG_SHAPE(4, 4), one,
                           AG_SHAPE(INT32_MAX, INT32_MAX), huge));
    expect_error(tape, AG_ERR_MEMORY, "correlation");
}
END_TEST

/* A hidden cotangent takes nothing of an image, or of a weight, that is not finite there. */
START_TEST(correlation_has_strong_zeros) {
    for (int which = AG_F32; which <= AG_F64; which++) {
        const ag_dtype dtype = (ag_dtype)which;
        ag_tensor *x = noise(dtype, AG_SHAPE(1, 6, 8)), *w = noise(dtype, AG_SHAPE(2, 8, 9));
        ag_tensor *bad =
            ag_reshape(ag_equal(ag_arange(tape, AG_I64, 6), ag_scalar(tape, AG_I64, 5)), AG_SHAPE(1, 6, 1));
        ag_tensor *column = ag_equal(ag_arange(tape, AG_I64, 9), ag_scalar(tape, AG_I64, 3));
        ag_tensor *z[] = {x, with_nan(x, bad)}, *v[] = {w, with_nan(w, column)}, *d[2][2];
        ag_tensor *hidden = ag_logical_or(
            column, ag_reshape(ag_equal(ag_arange(tape, AG_I64, 5), ag_scalar(tape, AG_I64, 4)), AG_SHAPE(1, 5, 1)));
        for (int i = 0; i < 2; i++) {
            ag_tensor *y = ag_convolve(z[i], v[i], NULL, NULL);
            y = ag_where(hidden, ag_scalar(tape, dtype, 0), y);
            ag_grad(ag_sum(ag_square(y)), 2, (ag_tensor *[]){z[i], v[i]}, d[i]);
        }
        for (int k = 0; k < 2; k++) expect_close(d[0][k], d[1][k], "strong zeros:");
        ag_tensor *plain = ag_convolve(z[1], w, NULL, NULL);
        ck_assert(!isnan(at(plain, 0)) && isnan(at(plain, 4 * 9)));
    }
    expect_ok(tape);
}
END_TEST

/* A convolution and its gradients have the same bits on any number of threads. */
START_TEST(correlation_is_the_same_on_threads) {
    ag_tensor *d[3], *copy[3][3];
    for (int i = 0; i < 3; i++) {
        ag_tape *t = ag_tape_new();
        ag_tape_set_threads(t, i + 1);
        ag_tensor *x = scattered(t, AG_F32, AG_SHAPE(3, 40, 40, 16), 0),
                  *w = scattered(t, AG_F32, AG_SHAPE(3, 3, 8, 80), 9);
        d[2] = ag_convolve(x, w, NULL, &(ag_conv_options){.groups = 2, .stride = {2, 1}, .same = true});
        ag_grad(ag_sum(ag_square(d[2])), 2, (ag_tensor *[]){x, w}, d);
        for (int k = 0; k < 3; k++) copy[i][k] = ag_from(tape, AG_F32, ag_shape_of(d[k]), ag_data(d[k]));
        expect_ok(t);
        ag_tape_free(t);
    }
    for (int k = 0; k < 3; k++) expect_same(copy[0][k], copy[1][k]), expect_same(copy[0][k], copy[2][k]);
}
END_TEST

/* A cotangent of 0 takes nothing of an image that is NaN there: in a place that a choice leaves out. */
/* ---- Images with other extents ---- */

/* The weight of element j of n in element i of m, from the definition. */
static double share_of(ag_interpolation mode, bool align, int64_t n, int64_t m, int64_t i, int64_t j) {
    if (mode == AG_NEAREST) return i * n / m == j;
    if (mode == AG_NEAREST_EXACT) return (2 * i + 1) * n / (2 * m) == j;
    double at = ((double)i + 0.5) * (double)n / (double)m - 0.5;
    if (align) at = m > 1 ? (double)(i * (n - 1)) / (double)(m - 1) : 0;
    if (n == m) at = (double)i;
    if (mode == AG_LINEAR && at < 0) at = 0;
    double sum = 0;
    for (int64_t k = (int64_t)floor(at) - 1; k <= (int64_t)floor(at) + 2; k++) {
        const double far = fabs(at - (double)k), a = -0.75;
        const double linear = far < 1 ? 1 - far : 0;
        const double cubic = far <= 1  ? (a + 2) * far * far * far - (a + 3) * far * far + 1
                             : far < 2 ? a * far * far * far - 5 * a * far * far + 8 * a * far - 4 * a
                                       : 0;
        if ((k < 0 ? 0 : k >= n ? n - 1 : k) == j) sum += mode == AG_LINEAR ? linear : cubic;
    }
    return sum;
}

static int64_t drawn_extent(void) {
    static const int64_t some[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 40};
    return some[draw(0, (int)(sizeof some / sizeof *some) - 1)];
}

/* For each number of axes, the number of threads changing: the sum of the definition; and the adjoint by
 * ⟨A x, g⟩ = ⟨x, Aᵀ g⟩. */
START_TEST(interpolation_is_its_definition) {
    const int axes = 1 + _i % 3;
    for (int round = 0; round < 12; round++) {
        const ag_dtype d = draw(0, 1) ? AG_F32 : AG_F64;
        const ag_interpolation mode = (ag_interpolation)draw(0, 3);
        const bool align = draw(0, 1) && (mode == AG_LINEAR || mode == AG_CUBIC);
        const int64_t channels[] = {1, 3, 8, 19, 67}, c = channels[draw(0, 4)], images = draw(1, 3);
        ag_shape from = {.rank = axes + 2}, to = {.rank = axes};
        int64_t n = images * c, m = images * c;
        for (int i = 0; i < axes; i++) {
            from.extent[i + 1] = drawn_extent(), to.extent[i] = drawn_extent();
            if (n * from.extent[i + 1] > 30000) from.extent[i + 1] = 2;
            if (m * to.extent[i] > 30000) to.extent[i] = 3;
            n *= from.extent[i + 1], m *= to.extent[i];
        }
        from.extent[0] = images, from.extent[axes + 1] = c;
        ag_tape_set_threads(tape, (int)draw(1, 4));
        ag_tensor *x = scattered(tape, d, from, (uint64_t)(100 * _i + round)), *dx;
        if (draw(0, 1)) x = ag_flip(x, 1);
        ag_tensor *y = ag_interpolate(x, to, mode, align), *want = ag_cast(x, AG_F64);
        for (int i = 0; i < axes; i++) { /* along one axis after the other, by a matrix of shares */
            const int64_t a = from.extent[i + 1], b = to.extent[i];
            double *w = malloc((size_t)(a * b) * sizeof *w);
            for (int64_t k = 0; k < a * b; k++) w[k] = share_of(mode, align, a, b, k % b, k / b);
            ag_tensor *matrix = ag_from(tape, AG_F64, AG_SHAPE(a, b), w);
            want = ag_tensordot_over(want, matrix, AG_AXES(i + 1), AG_AXES(0));
            want = ag_movedim(want, AG_AXES(-1), AG_AXES(i + 1));
            free(w);
        }
        const double far = ag_item(ag_max(ag_abs(ag_sub(ag_cast(y, AG_F64), want))));
        ck_assert_msg(far <= (d == AG_F64 ? 1e-13 : 1e-5), "%d axes, mode %d: %g", axes, (int)mode, far);
        ag_tensor *g = scattered(tape, d, ag_shape_of(y), 77);
        ck_assert_int_eq(ag_vjp(1, &y, &g, 1, &x, &dx, 0), AG_OK);
        const double one = ag_item(ag_sum(ag_mul(ag_cast(g, AG_F64), want)));
        const double other = ag_item(ag_sum(ag_mul(ag_cast(dx, AG_F64), ag_cast(x, AG_F64))));
        ck_assert_msg(fabs(one - other) <= (d == AG_F64 ? 1e-11 : 1e-4) * (fabs(one) + 1), "%g and %g", one, other);
    }
    expect_ok(tape);
}
END_TEST

/* Images that several threads divide, within one and between several. */
START_TEST(interpolation_is_the_same_on_threads) {
    const ag_shape shape = _i % 2 ? AG_SHAPE(3, 61, 47, 9) : AG_SHAPE(1, 61, 47, 67);
    ag_tensor *x = scattered(tape, _i < 2 ? AG_F32 : AG_F64, shape, 5), *y[4], *dx[4];
    for (int k = 0; k < 4; k++) {
        ag_tape_set_threads(tape, k + 1);
        y[k] = ag_interpolate(x, AG_SHAPE(130, 31), AG_LINEAR, false);
        ag_tensor *g = scattered(tape, ag_dtype_of(x), ag_shape_of(y[k]), 9);
        ck_assert_int_eq(ag_vjp(1, &y[k], &g, 1, &x, &dx[k], 0), AG_OK);
        ck_assert_int_eq(ag_eval_all(2, (ag_tensor *[]){y[k], dx[k]}), AG_OK);
        expect_same(y[k], y[0]);
        expect_same(dx[k], dx[0]);
    }
}
END_TEST

START_TEST(interpolation_checks_its_attributes) {
    ag_tensor *x = ag_zeros(tape, AG_F64, AG_SHAPE(2, 3, 4));
    const ag__resizing good = {.axes = 1, .mode = AG_LINEAR, .from = {3}, .to = {5}};
    const struct {
        size_t at;
        int64_t number;
        ag_status status;
        const char *words;
    } bad[] = {{0, 0, AG_ERR_SHAPE, "one to three axes"},  {0, 2, AG_ERR_SHAPE, "one to three axes"},
               {0, -1, AG_ERR_SHAPE, "one to three axes"}, {0, INT64_MIN, AG_ERR_SHAPE, "one to three axes"},
               {1, 4, AG_ERR_RANGE, "out of range"},       {1, -1, AG_ERR_RANGE, "out of range"},
               {2, 2, AG_ERR_RANGE, "out of range"},       {3, -1, AG_ERR_RANGE, "out of range"},
               {3, 1, AG_ERR_SHAPE, "must have 5"},        {4, 0, AG_ERR_SHAPE, "axis 1 must have 1 to"},
               {4, 4, AG_ERR_SHAPE, "must have 4"},        {7, 0, AG_ERR_RANGE, "extent 0 on axis 1"},
               {7, -5, AG_ERR_RANGE, "extent -5"},         {7, INT64_C(1) << 31, AG_ERR_RANGE, "1 to 2³¹ − 1"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t a[10];
        memcpy(a, &good, sizeof a);
        a[bad[i].at] = bad[i].number;
        ag_apply(&ag__op_interpolate, 1, &x, a, sizeof a);
        expect_error(tape, bad[i].status, "interpolate", bad[i].words);
    }
    expect_shape(ag_apply(&ag__op_interpolate, 1, &x, &good, sizeof good), AG_SHAPE(2, 5, 4));
    ag_tensor *flat = ag_zeros(tape, AG_F64, AG_SHAPE(2, 3));
    ag_apply(&ag__op_interpolate, 1, &flat, &(ag__resizing){.axes = 0}, sizeof good);
    expect_error(tape, AG_ERR_SHAPE, "interpolate", "one to three axes");
}
END_TEST

START_TEST(depthwise_has_strong_zeros) {
    ag_tensor *x = noise(AG_F32, AG_SHAPE(1, 6, 3)), *w = scattered(tape, AG_F32, AG_SHAPE(2, 1, 3), 40);
    ag_tensor *bad = ag_reshape(ag_equal(ag_arange(tape, AG_I64, 6), ag_scalar(tape, AG_I64, 5)), AG_SHAPE(1, 6, 1));
    ag_tensor *z[] = {x, with_nan(x, bad)}, *d[2][2];
    for (int i = 0; i < 2; i++) {
        ag_tensor *y = ag_convolve(z[i], w, NULL, &(ag_conv_options){.groups = 3});
        ag_tensor *last =
            ag_reshape(ag_equal(ag_arange(tape, AG_I64, 5), ag_scalar(tape, AG_I64, 4)), AG_SHAPE(1, 5, 1));
        y = ag_where(last, ag_scalar(tape, AG_F32, 0), y);
        ag_grad(ag_sum(ag_square(y)), 2, (ag_tensor *[]){z[i], w}, d[i]);
    }
    for (int k = 0; k < 2; k++) expect_same(d[0][k], d[1][k]);
    /* of either input, as the attribute says */
    ag_tensor *zero = zeros(AG_SHAPE(1, 3, 2)), *nan = ag_full(tape, AG_F64, AG_SHAPE(2, 2), NAN), *y;
    for (int64_t i = 0; i < 2; i++) {
        ag_tensor *both[] = {i ? ag_full(tape, AG_F64, AG_SHAPE(1, 3, 2), NAN) : zero, i ? zeros(AG_SHAPE(2, 2)) : nan};
        y = ag_depthwise(both[0], both[1], AG_SHAPE(2), AG_SHAPE(1), AG_SHAPE(1), AG_SHAPE(0));
        int64_t attributes[32];
        memcpy(attributes, ag_attributes(y), ag_op_of(y)->attribute_bytes);
        attributes[2] = 1 << i;
        ck_assert(isnan(at(y, 0)));
        expect_list(ag_apply(ag_op_of(y), 2, both, attributes, ag_op_of(y)->attribute_bytes), 0, 0, 0, 0);
        attributes[2] = 1 << (1 - i);
        ck_assert(isnan(at(ag_apply(ag_op_of(y), 2, both, attributes, ag_op_of(y)->attribute_bytes), 0)));
    }
    expect_ok(tape);
}
END_TEST

/* The sums of many places, of samples on several threads, have the same bits on any number of them. */
START_TEST(depthwise_is_the_same_on_threads) {
    ag_tensor *d[2][2], *copy[2][2];
    for (int i = 0; i < 2; i++) {
        ag_tape *t = ag_tape_new();
        ag_tape_set_threads(t, i ? 2 : 1);
        ag_tensor *x = scattered(t, AG_F32, AG_SHAPE(5, 40, 40, 16), 0),
                  *w = scattered(t, AG_F32, AG_SHAPE(3, 3, 1, 16), 9);
        ag_tensor *y = ag_convolve(x, w, NULL, &(ag_conv_options){.groups = 16, .stride = {2}, .same = true});
        ag_grad(ag_sum(ag_square(y)), 2, (ag_tensor *[]){x, w}, d[i]);
        for (int k = 0; k < 2; k++) copy[i][k] = ag_from(tape, AG_F32, ag_shape_of(d[i][k]), ag_data(d[i][k]));
        expect_ok(t);
        ag_tape_free(t);
    }
    for (int k = 0; k < 2; k++) expect_same(copy[0][k], copy[1][k]);
}
END_TEST

/* ---- Without memory ---- */

static ag_status whole_program(ag_tape *t) {
    ag_conv conv;
    ag_rnn rnn;
    ag_attention attention;
    ag_conv_init(&conv, t, AG_F64, 4, 4, AG_SHAPE(2), &(ag_conv_options){.groups = 2, .padding = {{1, 0}}});
    ag_rnn_init(&rnn, t, AG_F64, &(ag_rnn){.cell = AG_CELL_GRU, .in = 4, .hidden = 4, .bidirectional = true}, NULL);
    ag_attention_init_sizes(&attention, t, AG_F64, &(ag_attention_sizes){.features = 8, .heads = 2}, NULL);
    ag_tensor *x = ag_conv_apply(&conv, scattered(t, AG_F64, AG_SHAPE(1, 3, 4), 0)), *index, *d;
    x = ag_interpolate(ag_max_pool_indices(x, AG_SHAPE(2), NULL, &index), AG_SHAPE(3), AG_LINEAR, false);
    x = ag_adaptive_avg_pool(x, AG_SHAPE(2));
    x = ag_rnn_apply(&rnn, x, NULL, NULL, true);
    x = ag_attention_apply_with(&attention, x, NULL, &(ag_attention_options){.causal = true, .rotary = 10});
    ag_grad(ag_sum(ag_square(x)), 1, &conv.weight, &d);
    return ag_eval(d);
}

START_TEST(a_failing_allocation_leaves_nothing) { with_each_allocation_failing(whole_program); }
END_TEST

int main(void) {
    Suite *suite = suite_create("nets");
    TCase *images = tape_group(suite, "images");
    tcase_add_test(images, convolutions_are_what_loops_compute);
    tcase_add_test(images, transposed_same_is_the_adjoint_of_same);
    tcase_add_test(images, poolings_are_what_loops_compute);
    tcase_add_test(images, images_pass_gradcheck_twice_over);
    tcase_add_test(images, correlations_of_any_size_are_products_of_windows);
    tcase_add_test(images, correlation_has_strong_zeros);
    tcase_add_test(images, correlation_is_the_same_on_threads);
    tcase_add_test(images, depthwise_has_strong_zeros);
    tcase_add_loop_test(images, interpolation_is_its_definition, 0, 6);
    tcase_add_loop_test(images, interpolation_is_the_same_on_threads, 0, 4);
    tcase_add_test(images, interpolation_checks_its_attributes);
    tcase_add_test(images, depthwise_is_the_same_on_threads);
    TCase *golden = tape_group(suite, "golden");
    tcase_add_test(golden, results_are_pytorchs);
    tcase_add_test(golden, results_are_pytorchs_in_f32);
    tcase_add_test(golden, gradients_pass_gradcheck_twice_over);
    TCase *hidden = tape_group(suite, "hidden");
    tcase_add_test(hidden, hidden_keys_do_not_leak);
    tcase_add_test(hidden, later_positions_do_not_leak);
    tcase_add_test(hidden, a_query_without_keys_gives_zero);
    tcase_add_test(hidden, what_is_beyond_an_end_does_not_leak);
    tcase_add_test(hidden, padding_of_pools_never_wins);
    TCase *layers = tape_group(suite, "layers");
    tcase_add_test(layers, recurrent_layers_pass_gradcheck_twice_over);
    tcase_add_test(layers, a_recurrent_layer_is_its_cell);
    tcase_add_test(layers, recurrent_dropout_is_between_layers);
    tcase_add_test(layers, groups_are_normalised_in_every_way);
    tcase_add_test(layers, layers_are_made_as_they_say);
    tcase_add_test(layers, batches_of_images_keep_running_statistics);
    tcase_add_test(layers, positions_are_waves);
    tcase_add_test(layers, attention_layer_is_its_parts);
    tcase_add_test(layers, global_pools_are_reductions);
    tcase_add_test(layers, sequences_have_these_layers);
    TCase *refused = tape_group(suite, "refused");
    tcase_add_test(refused, convolutions_refuse);
    tcase_add_test(refused, convolutions_refuse_whole_numbers);
    tcase_add_test(refused, transposed_convolutions_refuse);
    tcase_add_test(refused, poolings_refuse);
    tcase_add_test(refused, gradients_of_dilated_windows_have_no_gaps);
    tcase_add_test(refused, resampling_refuses);
    tcase_add_test(refused, normalisations_refuse);
    tcase_add_test(refused, attention_refuses);
    tcase_add_test(refused, positions_refuse);
    tcase_add_test(refused, recurrent_layers_refuse);
    tcase_add_test(refused, correlation_refuses);
    tcase_add_test(refused, depthwise_refuses);
    tcase_add_test(plain_group(suite, "memory"), a_failing_allocation_leaves_nothing);
    return run_suite(suite);
}
