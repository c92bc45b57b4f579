/* random_ops -- operations of the tests' own for random programs: one of each kind, as a user would write them */
#include "ops/resizing.h"

#include "tests/random_program.h"

#include "tests/random_formulas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* BLOCK(name, type, count, formula) defines an elementwise kernel of up to three inputs a, b, c. */
#define BLOCK(name, type, inputs, formula)                                                                             \
    static void name(int64_t n, void *y_, const void *const x_[], const void *attributes) {                            \
        const double s = attributes ? *(const double *)attributes : 0;                                                 \
        const type *a_ = x_[0], *b_ = x_[inputs > 1 ? 1 : 0], *c_ = x_[inputs > 2 ? 2 : 0];                            \
        type *y = y_;                                                                                                  \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const type a = a_[i], b = b_[i], c = c_[i];                                                                \
            (void)b, (void)c, (void)s;                                                                                 \
            y[i] = (type)(formula);                                                                                    \
        }                                                                                                              \
    }

/* ---- Elementwise ---- */

/* x̄ = ȳ/(1 + |x|)² */
static ag_tensor *softsign_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag_div(g, ag_square(ag_add_scalar(ag_abs(ag_input(y, i)), 1)));
}

static const ag_op op_softsign = {.name = "softsign",
                                  .kind = AG_KIND_ELEMENTWISE,
                                  .arity = 1,
                                  .flags = AG_OP_CHEAP,
                                  AG_FORMULA(softsign),
                                  .vjp = softsign_vjp};

ag_tensor *user_softsign(ag_tensor *x) { return ag_apply(&op_softsign, 1, &x, NULL, 0); }

/* y = a + s·(b − c), without kernels */
static ag_tensor *blend_vjp(ag_tensor *y, ag_tensor *g, int i) {
    double s = *(const double *)ag_attributes(y);
    return i == 0 ? g : ag_scale(g, i == 1 ? s : -s);
}

static const ag_op op_blend = {.name = "blend",
                               .kind = AG_KIND_ELEMENTWISE,
                               .arity = 3,
                               .attribute_bytes = sizeof(double),
                               AG_FORMULA_TRACE(blend),
                               .vjp = blend_vjp};

/* ---- What is constant to gradients ---- */

held_values user_held;

/* Number user_held.next of the values that are held. */
static ag_tensor *held_again(ag_tensor *x) {
    const int64_t number = user_held.next++;
    const size_t bytes = (size_t)ag_size(x) * ag_dtype_size(ag_dtype_of(x));
    if (number == user_held.count) {
        const void *data = ag_data(x);
        if (!data || number == MOST_HELD) return ag_stop_gradient(x);
        user_held.value[user_held.count++] = memcpy(claim(bytes), data, bytes);
    }
    return ag_from(ag_tape_of(x), ag_dtype_of(x), ag_shape_of(x), user_held.value[number]);
}

ag_tensor *user_constant(ag_tensor *x) { return user_held.holds ? held_again(x) : ag_stop_gradient(x); }

void user_let_go(void) {
    while (user_held.count > 0) free(user_held.value[--user_held.count]);
    user_held.holds = false;
}

/* Programs may differentiate three times, and these have no third derivative by their parameters: so the slopes are
 * called here, and constant. */
static ag_tensor *slope_by_parameters(const ag_op *op, int n, ag_tensor *const x[], double number) {
    return user_constant(ag_apply(op, n, x, &number, sizeof number));
}
/* x is not so near 1 that the rounding of 1 − x, to which powers of it are sensitive, is seen in differences. */
ag_tensor *user_incomplete(ag_tensor *a, ag_tensor *b, ag_tensor *c) {
    ag_tensor *p = ag_abs(user_constant(a)), *q = ag_abs(user_constant(b)),
              *x = ag_sigmoid(ag_scale(ag_softsign(c), 16));
    ag_tensor *sum = ag_add(ag_betainc(p, q, x), ag_add(ag_gammainc(p, x), ag_gammaincc(q, x)));
    sum = ag_add(sum, slope_by_parameters(&ag__op_betainc_slope, 3, (ag_tensor *[]){p, q, x}, 4));
    sum = ag_add(sum, slope_by_parameters(&ag__op_gammainc_slope, 2, (ag_tensor *[]){p, x}, 2));
    return ag_add(sum, slope_by_parameters(&ag__op_gamma_bend, 2, (ag_tensor *[]){q, x}, 0));
}

ag_tensor *user_blend(ag_tensor *a, ag_tensor *b, ag_tensor *c) {
    ag_tensor *x[] = {a, b, c};
    double s = 0.25;
    return ag_apply(&op_blend, 3, x, &s, sizeof s);
}

/* y = Σ_j x[j]/(j+1); the number of inputs is the attribute. */
#define WEIGHTED(name, type)                                                                                           \
    static void name(int64_t n, void *y_, const void *const x[], const void *attributes) {                             \
        int64_t inputs = *(const int64_t *)attributes;                                                                 \
        type *y = y_;                                                                                                  \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            type sum = 0;                                                                                              \
            for (int64_t j = 0; j < inputs; j++) sum += ((const type *)x[j])[i] / (type)(j + 1);                       \
            y[i] = sum;                                                                                                \
        }                                                                                                              \
    }
WEIGHTED(weighted_f32, float)
WEIGHTED(weighted_f64, double)

static ag_tensor *weighted_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, ag_div_scalar(g, i + 1); }

static const ag_op op_weighted = {.name = "weighted",
                                  .kind = AG_KIND_ELEMENTWISE,
                                  .arity = -1,
                                  .attribute_bytes = sizeof(int64_t),
                                  .block = {[AG_F32] = weighted_f32, [AG_F64] = weighted_f64},
                                  .vjp = weighted_vjp};

ag_tensor *user_weighted(int n, ag_tensor *const x[]) {
    int64_t inputs = n;
    return ag_apply(&op_weighted, n, x, &inputs, sizeof inputs);
}

#define IS_SMALL(name, type)                                                                                           \
    static void name(int64_t n, void *y_, const void *const x[], const void *attributes) {                             \
        (void)attributes;                                                                                              \
        const type *a = x[0];                                                                                          \
        uint8_t *y = y_;                                                                                               \
        for (int64_t i = 0; i < n; i++) y[i] = a[i] < (type)0.5 && a[i] > (type)-0.5;                                  \
    }
IS_SMALL(is_small_f32, float)
IS_SMALL(is_small_f64, double)

static const ag_op op_is_small = {.name = "is_small",
                                  .kind = AG_KIND_ELEMENTWISE,
                                  .arity = 1,
                                  .flags = AG_OP_PREDICATE | AG_OP_NOT_DIFFERENTIABLE,
                                  .block = {[AG_F32] = is_small_f32, [AG_F64] = is_small_f64}};

ag_tensor *user_is_small(ag_tensor *x) { return ag_apply(&op_is_small, 1, &x, NULL, 0); }

BLOCK(opposite_f32, float, 1, -a)
BLOCK(opposite_f64, double, 1, -a)

static ag_tensor *opposite_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, user_opposite(g); }

static const ag_op op_opposite = {.name = "opposite",
                                  .kind = AG_KIND_ELEMENTWISE,
                                  .arity = 1,
                                  .flags = AG_OP_INVOLUTION | AG_OP_CHEAP,
                                  .block = {[AG_F32] = opposite_f32, [AG_F64] = opposite_f64},
                                  .vjp = opposite_vjp};

ag_tensor *user_opposite(ag_tensor *x) { return ag_apply(&op_opposite, 1, &x, NULL, 0); }

/* y = a + b + a·b */
BLOCK(join_f32, float, 2, (a + b) + a * b)
BLOCK(join_f64, double, 2, (a + b) + a * b)

static ag_tensor *join_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag_mul(g, ag_add_scalar(ag_input(y, 1 - i), 1));
}

static const ag_op op_join = {.name = "join",
                              .kind = AG_KIND_ELEMENTWISE,
                              .arity = 2,
                              .flags = AG_OP_COMMUTES,
                              .block = {[AG_F32] = join_f32, [AG_F64] = join_f64},
                              .vjp = join_vjp};

ag_tensor *user_join(ag_tensor *a, ag_tensor *b) {
    ag_tensor *x[] = {a, b};
    return ag_apply(&op_join, 2, x, NULL, 0);
}

double user_flaw_shows;

static void flawed_f64(int64_t n, void *y_, const void *const x[], const void *attributes) {
    (void)attributes;
    double *y = y_;
    memmove(y, x[0], (size_t)n * sizeof *y);
    if (n > 0) y[n / 2] *= 1 + user_flaw_shows;
}

static ag_tensor *flawed_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, g; }

static const ag_op op_flawed = {
    .name = "flawed", .kind = AG_KIND_ELEMENTWISE, .arity = 1, .block = {[AG_F64] = flawed_f64}, .vjp = flawed_vjp};

ag_tensor *user_flawed(ag_tensor *x) { return ag_apply(&op_flawed, 1, &x, NULL, 0); }

/* ---- Reductions ---- */

static ag_tensor *reduce(const ag_op *op, ag_tensor *x, ag_axes axes, bool keepdims) {
    ag_axes_set set;
    memset(&set, 0, sizeof set); /* the padding too */
    set.keepdims = keepdims;
    for (int i = 0; i < axes.count; i++)
        set.mask |= 1u << (axes.axis[i] < 0 ? axes.axis[i] + ag_rank(x) : axes.axis[i]);
    if (axes.count < 0) set.mask = (1u << ag_rank(x)) - 1;
    return ag_apply(op, 1, &x, &set, sizeof set);
}

/* r broadcast from the result's shape to the input's: the reduced axes are restored, then expanded. */
static ag_tensor *stretched(ag_tensor *r, ag_tensor *y) {
    ag_shape whole = ag_shape_of(ag_input(y, 0)), kept = whole;
    const ag_axes_set *set = ag_attributes(y);
    for (int i = 0; i < kept.rank; i++)
        if (set->mask & 1u << i) kept.extent[i] = 1;
    return ag_broadcast_to(ag_reshape(r, kept), whole);
}

/* FOLDS(fold, combine, type, formula) with r the result so far and a the next element. */
#define FOLDS(fold, combine, type, formula)                                                                            \
    static void fold(int64_t n, void *y, const void *x_) {                                                             \
        const type *x = x_;                                                                                            \
        type r = x[0];                                                                                                 \
        for (int64_t i = 1; i < n; i++) {                                                                              \
            const type a = x[i];                                                                                       \
            r = (type)(formula);                                                                                       \
        }                                                                                                              \
        *(type *)y = r;                                                                                                \
    }                                                                                                                  \
    static void combine(int64_t n, void *y_, const void *x_) {                                                         \
        type *y = y_;                                                                                                  \
        const type *x = x_;                                                                                            \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const type r = y[i], a = x[i];                                                                             \
            y[i] = (type)(formula);                                                                                    \
        }                                                                                                              \
    }

FOLDS(product_f32, products_f32, float, r *a)
FOLDS(product_f64, products_f64, double, r *a)

static void finish_f32(int64_t n, void *y_, int64_t count) {
    float *y = y_;
    for (int64_t i = 0; i < n; i++) y[i] /= (float)(count + 1);
}

static void finish_f64(int64_t n, void *y_, int64_t count) {
    double *y = y_;
    for (int64_t i = 0; i < n; i++) y[i] /= (double)(count + 1);
}

static const ag_reduction product = {.identity = 1,
                                     .fold = {[AG_F32] = product_f32, [AG_F64] = product_f64},
                                     .combine = {[AG_F32] = products_f32, [AG_F64] = products_f64},
                                     .finish = {[AG_F32] = finish_f32, [AG_F64] = finish_f64}};

/* y = Π x/(n + 1): x̄ = ȳ·y/x, for x other than 0 */
static ag_tensor *product_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag_div(stretched(ag_mul(g, y), y), ag_input(y, i));
}

static const ag_op op_product = {
    .name = "product", .kind = AG_KIND_REDUCTION, .arity = 1, .reduction = &product, .vjp = product_vjp};

ag_tensor *user_product(ag_tensor *x, ag_axes axes, bool keepdims) { return reduce(&op_product, x, axes, keepdims); }

/* ln(e^r + e^a), about the larger of them. */
static double log_sum(double r, double a) {
    double m = fmax(r, a), d = fabs(r - a);
    return isnan(r) || isnan(a) ? NAN : isinf(m) || isnan(d) ? m : m + log1p(exp(-d));
}

FOLDS(log_sum_f32, log_sums_f32, float, log_sum(r, a))
FOLDS(log_sum_f64, log_sums_f64, double, log_sum(r, a))

static const ag_reduction log_sums = {.identity = -INFINITY,
                                      .fold = {[AG_F32] = log_sum_f32, [AG_F64] = log_sum_f64},
                                      .combine = {[AG_F32] = log_sums_f32, [AG_F64] = log_sums_f64}};

/* x̄ = ȳ·e^(x−y) */
static ag_tensor *log_sum_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag_mul(stretched(g, y), ag_exp(ag_sub(ag_input(y, i), stretched(y, y))));
}

static const ag_op op_log_sum = {
    .name = "log_sum", .kind = AG_KIND_REDUCTION, .arity = 1, .reduction = &log_sums, .vjp = log_sum_vjp};

ag_tensor *user_log_sum(ag_tensor *x, ag_axes axes, bool keepdims) { return reduce(&op_log_sum, x, axes, keepdims); }

/* ---- Opaque, contraction ---- */

static bool running_infer(ag_infer *r) {
    return r->shape.rank > 0 || ag_reject(r, AG_ERR_SHAPE, "there is no last axis");
}

#define RUNNING(name, type)                                                                                            \
    static void name(int64_t rows, int64_t n, void *y_, const void *x_) {                                              \
        const type *x = x_;                                                                                            \
        type *y = y_;                                                                                                  \
        for (int64_t row = 0; row < rows; row++) {                                                                     \
            type sum = 0;                                                                                              \
            for (int64_t i = 0; i < n; i++) *y++ = sum += *x++;                                                        \
        }                                                                                                              \
    }
RUNNING(running_f32, float)
RUNNING(running_f64, double)

static bool running_eval(const ag_call *call) {
    int64_t n = call->y.shape[call->y.rank - 1], rows = n ? call->y.size / n : 0;
    if (call->y.dtype == AG_F32) running_f32(rows, n, call->y.data, call->x[0].data);
    else if (call->y.dtype == AG_F64) running_f64(rows, n, call->y.data, call->x[0].data);
    else return ag_call_fail(call, AG_ERR_DTYPE, "the dtype must be real");
    return true;
}

static ag_tensor *running_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return (void)y, (void)i, ag_flip(user_running(ag_flip(g, -1)), -1);
}

static const ag_op op_running = {.name = "running",
                                 .kind = AG_KIND_OPAQUE,
                                 .arity = 1,
                                 .flags = AG_OP_CONTIGUOUS,
                                 .infer = running_infer,
                                 .eval = running_eval,
                                 .vjp = running_vjp};

ag_tensor *user_running(ag_tensor *x) { return ag_apply(&op_running, 1, &x, NULL, 0); }

/* a and b (…,n) -> (…); accumulates in the order of ag_add, because a structure runs both ways in turn */
static bool dot_infer(ag_infer *r) {
    ag_shape a = ag_shape_of(r->x[0]), b = ag_shape_of(r->x[1]);
    bool equal = a.rank == b.rank && a.rank > 0;
    for (int i = 0; equal && i < a.rank; i++) equal = a.extent[i] == b.extent[i];
    r->shape.rank--;
    if (!equal) return ag_reject(r, AG_ERR_SHAPE, "the shapes differ");
    const ag_dtype dtype = ag_dtype_of(r->x[0]);
    return (dtype >= AG_F32 && ag_dtype_of(r->x[1]) == dtype) || ag_reject(r, AG_ERR_DTYPE, "both must be f32 or f64");
}

static double value_at(const ag_array *x, int64_t offset) {
    return x->dtype == AG_F32 ? (double)((const float *)x->data)[offset] : ((const double *)x->data)[offset];
}

static bool dot_eval(const ag_call *call) {
    const ag_array *a = &call->x[0], *b = &call->x[1];
    int last = a->rank - 1;
    for (int64_t i = 0; i < call->y.size; i++) {
        int64_t at = i, from_a = 0, from_b = 0;
        for (int k = last - 1; k >= 0; at /= a->shape[k--]) {
            from_a += at % a->shape[k] * a->stride[k];
            from_b += at % a->shape[k] * b->stride[k];
        }
        float *narrow = call->y.data;
        double *wide = call->y.data, sum = 0;
        for (int64_t k = 0; k < a->shape[last]; k++)
            sum += value_at(a, from_a + k * a->stride[last]) * value_at(b, from_b + k * b->stride[last]);
        if (call->y.dtype == AG_F32) narrow[i] = call->accumulate ? narrow[i] + (float)sum : (float)sum;
        else wide[i] = call->accumulate ? wide[i] + sum : sum;
    }
    return true;
}

static ag_tensor *dot_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag_mul(ag_broadcast_to(ag_unsqueeze(g, -1), ag_shape_of(ag_input(y, i))), ag_input(y, 1 - i));
}

static const ag_op op_dot = {.name = "dot",
                             .kind = AG_KIND_CONTRACTION,
                             .arity = 2,
                             .flags = AG_OP_ACCUMULATES,
                             .infer = dot_infer,
                             .eval = dot_eval,
                             .vjp = dot_vjp};

ag_tensor *user_dot(ag_tensor *a, ag_tensor *b) {
    ag_tensor *x[] = {a, b};
    return ag_apply(&op_dot, 2, x, NULL, 0);
}

/* ---- Views ---- */

/* A view does not see its input's strides, but with contiguous input they are known. */
static void row_major(const ag_shape *shape, int64_t *stride) {
    int64_t step = 1;
    for (int i = shape->rank - 1; i >= 0; step *= shape->extent[i--]) stride[i] = step;
}

/* x (…,n,…) -> (2,…,n−1,…): all but the last and all but the first along the axis. x is contiguous and whole. */
static bool windows_infer(ag_infer *r) {
    int axis = (int)*(const int64_t *)r->attributes;
    ag_shape from = ag_shape_of(r->x[0]);
    if (axis >= from.rank || from.extent[axis] < 1 || from.rank == AG_MAX_RANK)
        return ag_reject(r, AG_ERR_SHAPE, "there is no room for windows");
    r->shape.rank = from.rank + 1;
    row_major(&from, r->stride + 1);
    r->stride[0] = r->stride[1 + axis];
    r->shape.extent[0] = 2;
    for (int i = 0; i < from.rank; i++) r->shape.extent[1 + i] = from.extent[i] - (i == axis);
    return true;
}

static ag_tensor *windows_vjp(ag_tensor *y, ag_tensor *g, int i) {
    int64_t axis = *(const int64_t *)ag_attributes(y), n = ag_extent(ag_input(y, i), (int)axis);
    ag_tensor *first = ag_squeeze(ag_slice(g, 0, 0, 1, 1), AG_AXES(0)),
              *second = ag_squeeze(ag_slice(g, 0, 1, 2, 1), AG_AXES(0));
    return ag_add(ag_embed(first, (int)axis, n, 0, 1), ag_embed(second, (int)axis, n, 1, 1));
}

static const ag_op op_windows = {.name = "windows",
                                 .kind = AG_KIND_VIEW,
                                 .arity = 1,
                                 .attribute_bytes = sizeof(int64_t),
                                 .infer = windows_infer,
                                 .vjp = windows_vjp};

static ag_tensor *whole(ag_tensor *x) { return ag_add_scalar(x, 0); }

ag_tensor *user_windows(ag_tensor *x, int axis) {
    int64_t at = axis < 0 ? axis + ag_rank(x) : axis;
    x = whole(x);
    return ag_apply(&op_windows, 1, &x, &at, sizeof at);
}

/* The order along every axis reversed. x is contiguous and whole. */
static bool reversed_infer(ag_infer *r) {
    int64_t stride[AG_MAX_RANK];
    row_major(&r->shape, stride);
    r->offset = ag_size(r->x[0]) - 1;
    for (int i = 0; i < r->shape.rank; i++) r->stride[i] = -stride[i];
    return true;
}

static ag_tensor *reversed_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, user_reversed(g); }

static const ag_op op_reversed = {
    .name = "reversed", .kind = AG_KIND_VIEW, .arity = 1, .infer = reversed_infer, .vjp = reversed_vjp};

ag_tensor *user_reversed(ag_tensor *x) {
    x = whole(x);
    return ag_apply(&op_reversed, 1, &x, NULL, 0);
}

/* ---- The library's, with arguments of one kind ---- */

ag_tensor *user_corner(ag_tensor *x) {
    if (ag_rank(x) == 1) return ag_at(x, "1::2");
    return ag_index(x, AG_ITEMS(AG_RANGE(AG_END, AG_END, -1), AG_REST, AG_RANGE(1, AG_END, 2)));
}

/* x as one row, and its first elements as a window: once by itself, once summed over a channel. */
ag_tensor *user_depthwise(ag_tensor *x) {
    const int64_t n = ag_size(x);
    ag_tensor *row = ag_reshape(x, AG_SHAPE(1, n, 1)), *flat = ag_reshape(x, AG_SHAPE(n));
    ag_tensor *window = ag_reshape(ag_slice(flat, 0, 0, 3, 1), AG_SHAPE(-1, 1));
    ag_tensor *y = ag_depthwise(row, window, AG_SHAPE(n), AG_SHAPE(1), AG_SHAPE(2), AG_SHAPE(1));
    window = ag_unsqueeze(window, -1);
    return ag_add(y, ag_correlation(row, window, 1, AG_SHAPE(n), AG_SHAPE(1), AG_SHAPE(2), AG_SHAPE(1)));
}

ag_tensor *user_resized(ag_tensor *x) {
    const int64_t n = ag_size(x), m = n % 2 ? 2 * n + 1 : n - n / 3;
    const ag__resizing r = {.axes = 1, .mode = AG_LINEAR, .align = n % 3 == 0, .from = {n}, .to = {m}};
    return ag_apply(&ag__op_interpolate, 1, (ag_tensor *[]){ag_reshape(x, AG_SHAPE(1, n, 1))}, &r, sizeof r);
}

ag_tensor *user_one_hot(ag_tensor *index) { return ag_one_hot(index, 9, AG_F32); }

/* ---- A source ---- */

static bool ramp_eval(const ag_call *call) {
    double step = *(const double *)call->attributes;
    for (int64_t i = 0; i < call->y.size; i++) {
        const double value = step * (double)(i % 7);
        if (call->y.dtype == AG_BOOL) ((uint8_t *)call->y.data)[i] = value != 0;
        else if (call->y.dtype == AG_I64) ((int64_t *)call->y.data)[i] = fabs(value) < 1e18 ? (int64_t)value : 0;
        else if (call->y.dtype == AG_F32) ((float *)call->y.data)[i] = (float)value;
        else ((double *)call->y.data)[i] = value;
    }
    return true;
}

static const ag_op op_ramp = {
    .name = "ramp", .kind = AG_KIND_SOURCE, .attribute_bytes = sizeof(double), .eval = ramp_eval, .vjp = ag_zero_vjp};

ag_tensor *user_ramp(ag_tape *t, ag_dtype dtype, ag_shape shape, double step) {
    return ag_apply_source(&op_ramp, t, dtype, shape, &step, sizeof step);
}

/* ---- Random numbers of tensors ---- */

ag_tensor *user_drawn(ag_tensor *x) {
    ag_tape *t = ag_tape_of(x);
    const ag_dtype dtype = ag_dtype_of(x);
    const double no_logarithm = 0;
    ag_tensor *half = ag_scalar(t, dtype, 0.5), *events = ag_draw_poisson(x), *gamma = ag_draw_gamma(x, half);
    ag_tensor *slope = ag_apply(&ag__op_gamma_slope, 2, (ag_tensor *[]){x, gamma}, &no_logarithm, sizeof no_logarithm);
    ag_tensor *sum = ag_add(ag_add(slope, ag_draw_binomial(events, half)), ag_add(ag_draw_beta(x, half), gamma));
    sum = ag_add(sum, ag_cast(ag_randint(t, ag_shape_of(x), -3, 4), dtype));
    if (ag_size(x) > 0) {
        ag_tensor *weights = ag_add_scalar(ag_cast(ag_less(half, x), dtype), 0.5); /* x may be NaN */
        ag_tensor *one = ag_multinomial(ag_reshape(weights, AG_SHAPE(ag_size(x))), 1, true);
        sum = ag_add(sum, ag_cast(ag_reshape(one, AG_SCALAR), dtype));
    }
    sum = ag_add(sum, ag_draw_truncated_normal(half, half, ag_neg(x), x));
    return user_constant(ag_add(sum, ag_draw_student(ag_add_scalar(x, 3))));
}

ag_tensor *user_noisy(ag_tensor *x) {
    ag_tensor *scale = ag_sigmoid(x);
    return ag_add(ag_draw_normal(x, scale), ag_draw_exponential(ag_add_scalar(scale, 0.5)));
}

/* ---- Calls of the library ---- */

ag_tensor *user_norm(ag_tensor *x, ag_axes axes, bool keepdims) { return ag_norm_over(x, axes, 2, keepdims); }

ag_tensor *user_positive_sum(ag_tensor *x, ag_axes axes, bool keepdims) {
    return ag_sum_where(x, ag_less(ag_scalar(ag_tape_of(x), ag_dtype_of(x), 0), x), axes, keepdims);
}

ag_tensor *user_searched(ag_tensor *x, int axis) {
    ag_tensor *last = ag_transpose(x, axis, -1);
    return ag_searchsorted(ag_sort(last, -1, false), last, true);
}

ag_tensor *user_largest(ag_tensor *x, int axis, bool largest) {
    return ag_topk_along(x, (ag_extent(x, axis) + 1) / 2, axis, largest, NULL);
}

ag_tensor *user_histogram(ag_tensor *x) { return ag_histogram(x, 5, -2, 2); }

ag_tensor *user_distinct(ag_tensor *x) { return ag_slice(ag_apply(&ag__op_distinct, 1, &x, NULL, 0), 0, 0, 3, 1); }

ag_tensor *user_picked(ag_tensor *x) {
    ag_tensor *flat = user_constant(ag_reshape(x, AG_SHAPE(-1)));
    const int64_t all[] = {ag_extent(flat, 0), 0};
    ag_tensor *begin = ag_ones(ag_tape_of(x), AG_BOOL, AG_SHAPE(all[0]));
    return ag_apply(&ag__op_unique, 2, (ag_tensor *[]){flat, begin}, all, sizeof all);
}
