/* pooling -- largest elements, means and norms of the windows of an image
 *
 * A pooling is a reduction over windows, which are a view. Windows side by side are the image in another shape, and so
 * is their gradient; others are N O… K… C, so that gradients go through contiguous channels. */
#include "nn/along.h"
#include "nn/sliding.h"

#include <math.h>

static const ag_pool_options plain = {.ceil = false};

/* A call: its numbers as they are used, and what it was asked for. */
typedef struct pooling {
    const char *name;
    ag_tensor *x;
    ag__sliding s;
    int64_t counted[AG_SPACE]; /* elements of padding behind that a mean counts: without those of `ceil` */
    bool without_padding;
} pooling;

/* ---- Checks ---- */

/* Elements that are left over get a window, unless it would begin in the padding behind: also if there is no other, and
 * it lacks fewer than a stride. */
static void count_up(ag__sliding *s, int i, int64_t n) {
    const int64_t reach = ag__reach(s, i), step = s->stride[i], over = n + s->before[i] + s->after[i] - reach;
    const int64_t last = over - (over < 0 && over > -step ? over + step : over % step);
    if (over > last && last + step < n + s->before[i]) s->after[i] += last + step - over;
}

/* Whether a window that begins before an image of n elements passes over it: its own are further apart. */
static bool passes_over(const ag__sliding *s, int i, int64_t n) {
    const int64_t apart = s->dilation[i], last = n + s->after[i] - ag__reach(s, i);
    int64_t at = -s->before[i];
    for (int64_t k = 0; k < apart && at < 0 && at <= last; k++, at += s->stride[i]) /* then they repeat */
        if ((at % apart + apart) % apart >= n) return true;
    return false;
}

/* NULL if each window has an element of the image; else nil, after an error. */
static ag_tensor *padding_wrong(const pooling *p) {
    for (int i = 0; i < p->s.axes; i++) {
        const int64_t reach = ag__reach(&p->s, i), before = p->s.before[i], after = p->counted[i];
        if (before >= reach || after >= reach || passes_over(&p->s, i, ag_extent(p->x, i + 1)))
            return ag__refuse(p->name, 1, &p->x, AG_ERR_RANGE,
                              "padding %lld, %lld on axis %d: a window of %lld might have no element of the image",
                              (long long)before, (long long)after, i + 1, (long long)reach);
    }
    return NULL;
}

/* NULL if the pooling can be recorded, with its numbers in p; else nil, after an error. */
static ag_tensor *what_is_wrong(pooling *p, bool good, ag_shape *size, const ag_pool_options *o) {
    ag_tensor *nil = ag__image_wrong(p->name, good, p->x, size);
    if (nil) return nil;
    bool side_by_side = true;
    for (int i = 0; i < size->rank; i++) side_by_side = side_by_side && o->stride[i] == 0;
    p->s = ag__sliding_of(size->rank, size->extent, side_by_side ? size->extent : o->stride, o->dilation, o->padding);
    p->without_padding = o->without_padding;
    for (int i = 0; i < size->rank; i++)
        if (size->extent[i] < 1 || p->s.stride[i] < 1)
            return ag__refuse(p->name, 1, &p->x, AG_ERR_RANGE,
                              "size %lld and stride %lld on axis %d: each must be at least 1",
                              (long long)size->extent[i], (long long)p->s.stride[i], i + 1);
    nil = ag__sliding_wrong(p->name, 1, &p->x, &p->s);
    for (int i = 0; !nil && o->same && i < size->rank; i++) ag__pad_to_same(&p->s, i, ag_extent(p->x, i + 1));
    for (int i = 0; !nil && i < size->rank; i++) {
        p->counted[i] = p->s.after[i];
        if (o->ceil) count_up(&p->s, i, ag_extent(p->x, i + 1));
    }
    if (!nil) nil = ag__windows_wrong(p->name, 1, &p->x, &p->s);
    return nil ? nil : padding_wrong(p);
}

/* ---- Windows ---- */

static bool is_side_by_side(const ag__sliding *s) {
    for (int i = 0; i < s->axes; i++)
        if (s->stride[i] != s->size[i] || s->dilation[i] != 1) return false;
    return true;
}

/* Windows with their channels last, which are contiguous. */
static ag_tensor *channels_last(ag_tensor *windows, int axes) {
    ag_axes order = {.count = 2 * axes + 2};
    for (int i = 0; i < order.count; i++) order.axis[i] = i <= axes ? i : i + 1;
    order.axis[order.count - 1] = axes + 1;
    return ag__permute_by(windows, &order);
}

/* The windows of x, which has been padded, and the axes to reduce. */
static ag_tensor *windows_of(ag_tensor *x, const ag__sliding *s, ag_axes *over) {
    ag_shape shape = {.rank = 1, .extent = {ag_extent(x, 0)}};
    const bool apart = is_side_by_side(s);
    over->count = s->axes;
    for (int i = 0; i < s->axes; i++) over->axis[i] = apart ? 2 * i + 2 : s->axes + 1 + i;
    if (!apart) return channels_last(ag__windows_over(x, s), s->axes);
    for (int i = 0; i < s->axes; i++) {
        const int64_t places = ag_extent(x, i + 1) / s->size[i];
        x = ag_slice(x, i + 1, 0, places * s->size[i], 1);
        shape.extent[shape.rank++] = places;
        shape.extent[shape.rank++] = s->size[i];
    }
    shape.extent[shape.rank++] = ag_extent(x, -1);
    return ag__reshape_to(x, &shape);
}

/* ---- Largest elements ---- */

static double lowest(ag_dtype dtype) { return dtype == AG_I64 ? (double)INT64_MIN : -(double)INFINITY; }

static ag_tensor *max_pool(const char *name, ag_tensor *x, ag_shape *size, const ag_pool_options *options) {
    pooling p = {.name = name, .x = x};
    ag_axes over = {0};
    ag_tensor *nil = what_is_wrong(&p, ag_dtype_of(x) != AG_BOOL, size, options ? options : &plain);
    if (nil) return nil;
    ag_tensor *windows = windows_of(ag__padded(p.x, &p.s, lowest(ag_dtype_of(p.x))), &p.s, &over);
    return ag_max_over(windows, over, false);
}

ag_tensor *ag_max_pool(ag_tensor *x, ag_shape size, const ag_pool_options *options) {
    return max_pool("max_pool", x, &size, options);
}

/* The spatial axes of x as one: N L C. */
static ag_tensor *flat(ag_tensor *x) {
    int64_t n = 1;
    for (int i = 1; i < ag_rank(x) - 1; i++) n *= ag_extent(x, i);
    return ag__reshape_to(x, &AG_SHAPE(ag_extent(x, 0), n, ag_extent(x, -1)));
}

/* The elements of each window of a padded x side by side: N O… C K. */
static ag_tensor *elements_of_windows(ag_tensor *x, const ag__sliding *s) {
    ag_tensor *y = ag__windows_over(x, s);
    ag_shape shape = ag_shape_of(y);
    int64_t all = 1;
    for (int i = 0; i < s->axes; i++) all *= s->size[i];
    shape.rank = s->axes + 3;
    shape.extent[shape.rank - 1] = all;
    return ag__reshape_to(y, &shape);
}

/* The numbers of an image's elements, row-major among its spatial axes, in windows like these: N O… C K. */
static ag_tensor *numbers_in_windows(const pooling *p, const ag_shape *like, ag_tensor **inside) {
    ag_tape *tape = ag_tape_of(p->x);
    ag_shape image = ag_shape_of(p->x);
    int64_t n = 1;
    image.extent[0] = image.extent[image.rank - 1] = 1;
    for (int i = 0; i < image.rank; i++) n *= image.extent[i];
    ag_tensor *number = ag__reshape_to(ag_arange(tape, AG_I64, n), &image);
    ag_tensor *there = elements_of_windows(ag__padded(ag_ones(tape, AG_I64, image), &p->s, 0), &p->s);
    *inside = ag__broadcast_over(there, like);
    return ag__broadcast_over(elements_of_windows(ag__padded(number, &p->s, 0), &p->s), like);
}

ag_tensor *ag_max_pool_indices(ag_tensor *x, ag_shape size, const ag_pool_options *options, ag_tensor **index) {
    pooling p = {.name = "max_pool_indices", .x = x};
    if (!index) return ag__refuse(p.name, 1, &x, AG_ERR_NULL, "index is NULL");
    *index = what_is_wrong(&p, ag_dtype_of(x) != AG_BOOL, &size, options ? options : &plain);
    if (*index) return *index;
    ag_tensor *windows = elements_of_windows(ag__padded(x, &p.s, lowest(ag_dtype_of(x))), &p.s), *inside;
    const ag_shape like = ag_shape_of(windows);
    ag_tensor *number = numbers_in_windows(&p, &like, &inside), *best = ag_argmax(windows, -1, true);
    /* among elements that are all the lowest the first may be padding: then the first of the image's */
    ag_tensor *real = ag_cast(ag_gather(inside, best, -1), AG_BOOL);
    best = ag_where(real, best, ag_argmax(inside, -1, true));
    *index = ag__squeezed(ag_gather(number, best, -1), -1); /* N O… C */
    ag_tensor *y = ag_gather(flat(x), flat(*index), 1);
    y = ag__reshape_like(y, *index);
    if (ag_is_nil(y)) *index = y;
    return y;
}

ag_tensor *ag_max_unpool(ag_tensor *x, ag_tensor *index, ag_shape extents) {
    static const char name[] = "max_unpool";
    ag_tensor *const both[] = {x, index};
    ag_tensor *nil = ag__image_wrong(name, ag_dtype_of(x) != AG_BOOL, x, &extents);
    if (nil) return nil;
    bool same = ag_rank(index) == ag_rank(x);
    for (int i = 0; same && i < ag_rank(x); i++) same = ag_extent(index, i) == ag_extent(x, i);
    if (!same) return ag__refuse(name, 2, both, AG_ERR_SHAPE, "the index must have the shape of the input");
    if (ag_dtype_of(index) != AG_I64)
        return ag__refuse(name, 2, both, AG_ERR_DTYPE, "the index must be i64, not %s",
                          ag_dtype_name(ag_dtype_of(index)));
    ag_shape whole = ag_shape_of(x);
    int64_t n = 1;
    for (int i = 0; i < extents.rank; i++) {
        if (extents.extent[i] < 0 || (extents.extent[i] > 0 && n > INT64_MAX / extents.extent[i]))
            return ag__refuse(name, 2, both, AG_ERR_SHAPE, "the extents are too large, or negative");
        n *= whole.extent[i + 1] = extents.extent[i];
    }
    index = ag__indices_in_range(AG__UNPOOL, index, n);
    ag_tensor *to = ag_zeros(ag_tape_of(x), ag_dtype_of(x), AG_SHAPE(whole.extent[0], n, whole.extent[whole.rank - 1]));
    return ag__reshape_to(ag_scatter_add(to, flat(index), flat(x), 1), &whole);
}

/* ---- Means and norms ---- */

/* How many elements of each window along axis i a mean counts, for the whole image: O, 1…; NULL if all. */
static ag_tensor *counts_along(const pooling *p, int i) {
    const int64_t n = ag_extent(p->x, i + 1), before = p->s.before[i], all = before + n + p->s.after[i];
    const int64_t counted = p->without_padding ? n : before + n + p->counted[i];
    if (counted == all) return NULL;
    const int64_t stride[] = {p->s.stride[i]}, dilation[] = {p->s.dilation[i]}, none[][2] = {{0, 0}};
    const ag__sliding along = ag__sliding_of(1, &p->s.size[i], stride, dilation, none);
    ag_tensor *ones = ag_ones(ag_tape_of(p->x), ag_dtype_of(p->x), AG_SHAPE(1, counted, 1));
    ones = ag_embed(ones, 1, all, p->without_padding ? before : 0, 1);
    ag_tensor *count = ag__sum_along(ag__windows_over(ones, &along), 3, false); /* 1 O 1 */
    ag_shape shape = {.rank = p->s.axes + 1};
    for (int k = 0; k < shape.rank; k++) shape.extent[k] = k == i ? ag_extent(count, 1) : 1;
    return ag__reshape_to(count, &shape);
}

static ag_tensor *avg_pool(const char *name, ag_tensor *x, ag_shape *size, const ag_pool_options *options) {
    pooling p = {.name = name, .x = x};
    ag_axes over = {0};
    double usual = 1;
    ag_tensor *nil = what_is_wrong(&p, ag__real(x), size, options ? options : &plain), *count = NULL;
    if (nil) return nil;
    for (int i = 0; i < p.s.axes; i++) {
        ag_tensor *along = counts_along(&p, i);
        if (!along) usual *= (double)p.s.size[i];
        else count = count ? ag_mul(count, along) : along;
    }
    ag_tensor *windows = windows_of(ag__padded(p.x, &p.s, 0), &p.s, &over);
    if (!count) return ag__mean_of_axes(windows, &over, false);
    return ag_div(ag_sum_over(windows, over, false), ag_scale(count, usual));
}

ag_tensor *ag_avg_pool(ag_tensor *x, ag_shape size, const ag_pool_options *options) {
    return avg_pool("avg_pool", x, &size, options);
}

/* (Σ |x|^p)^(1/p) = m·(Σ (|x|/m)^p)^(1/p) for any m: the largest |x|, held constant, keeps the powers in range. */
ag_tensor *ag_lp_pool(ag_tensor *x, double power, ag_shape size, const ag_pool_options *options) {
    pooling p = {.name = "lp_pool", .x = x};
    ag_axes over = {0};
    ag_tensor *nil = what_is_wrong(&p, ag__real(x), &size, options ? options : &plain);
    if (nil) return nil;
    if (!(power >= 1)) return ag__refuse(p.name, 1, &x, AG_ERR_RANGE, "p is %g: p >= 1 is wanted", power);
    ag_tensor *windows = ag_abs(windows_of(ag__padded(x, &p.s, 0), &p.s, &over));
    ag_tensor *m = ag_max_over(windows, over, true);
    if (isinf(power)) return ag_squeeze(m, over);
    ag_tensor *zero = ag_scalar(ag_tape_of(x), ag_dtype_of(x), 0), *one = ag_scalar(ag_tape_of(x), ag_dtype_of(x), 1);
    ag_tensor *usable = ag_where(ag_less(zero, m), m, one);
    usable = ag_stop_gradient(
        ag_where(ag_equal(usable, ag_scalar(ag_tape_of(x), ag_dtype_of(x), (double)INFINITY)), one, usable));
    ag_tensor *sum = ag_sum_over(ag_pow_scalar(ag_div(windows, usable), power), over, true);
    ag_tensor *root = ag_where(ag_equal(sum, zero), zero, ag_pow_scalar(sum, 1 / power));
    return ag_squeeze(ag_mul(usable, root), over);
}

/* ---- Any number of windows ---- */

/* The elements of m windows along an axis: …, m, elements, …; and which of them are more than a window has, or NULL. */
static ag_tensor *adapted(ag_tensor *x, int axis, int64_t m, ag_tensor **beyond) {
    const int64_t n = ag_extent(x, axis), longest = n % m == 0 ? n / m : n / m + 2;
    ag_shape apart = ag_shape_of(x), along = {.rank = ag_rank(x) + 1};
    ag_tape *tape = ag_tape_of(x);
    apart.extent[axis] = m;
    for (int i = apart.rank++; i > axis + 1; i--) apart.extent[i] = apart.extent[i - 1];
    apart.extent[axis + 1] = longest;
    *beyond = NULL;
    if (n % m == 0) return ag__reshape_to(x, &apart);
    int64_t *index = ag_tape_alloc(tape, (size_t)(m * longest) * sizeof *index);
    bool *more = ag_tape_alloc(tape, (size_t)(m * longest));
    for (int64_t i = 0; index && more && i < m * longest; i++) {
        const int64_t begin = i / longest * n / m, end = ((i / longest + 1) * n + m - 1) / m, at = begin + i % longest;
        more[i] = at >= end;
        index[i] = more[i] ? begin : at;
    }
    for (int i = 0; i < along.rank; i++) along.extent[i] = i == axis ? m : i == axis + 1 ? longest : 1;
    ag_shape list = {.rank = ag_rank(x)};
    for (int i = 0; i < list.rank; i++) list.extent[i] = i == axis ? m * longest : 1;
    *beyond = ag_from(tape, AG_BOOL, along, more);
    return ag__reshape_to(ag_gather(x, ag_from(tape, AG_I64, list, index), axis), &apart);
}

ag_tensor *ag_adaptive_max_pool(ag_tensor *x, ag_shape extents) {
    ag_tensor *nil = ag__extents_wrong("adaptive_max_pool", ag_dtype_of(x) != AG_BOOL, x, &extents), *beyond;
    if (nil) return nil;
    for (int i = 1; i <= extents.rank; i++) {
        x = adapted(x, i, extents.extent[i - 1], &beyond);
        if (beyond) x = ag_where(beyond, ag_scalar(ag_tape_of(x), ag_dtype_of(x), lowest(ag_dtype_of(x))), x);
        x = ag__max_along(x, i + 1, false);
    }
    return x;
}

ag_tensor *ag_adaptive_avg_pool(ag_tensor *x, ag_shape extents) {
    ag_tensor *nil = ag__extents_wrong("adaptive_avg_pool", ag__real(x), x, &extents), *beyond;
    if (nil) return nil;
    for (int i = 1; i <= extents.rank; i++) {
        x = adapted(x, i, extents.extent[i - 1], &beyond);
        if (!beyond) {
            x = ag__mean_along(x, i + 1, false);
            continue;
        }
        ag_tensor *zero = ag_scalar(ag_tape_of(x), ag_dtype_of(x), 0),
                  *one = ag_scalar(ag_tape_of(x), ag_dtype_of(x), 1);
        ag_tensor *count = ag__sum_along(ag_where(beyond, zero, one), i + 1, false);
        x = ag_div(ag__sum_along(ag_where(beyond, zero, x), i + 1, false), count);
    }
    return x;
}

/* The spatial axes of x; nil, after an error, unless it has elements along each. */
static ag_tensor *spatial(const char *name, bool good, ag_tensor *x, ag_axes *axes) {
    ag_shape ones = {.rank = 1, .extent = {1}};
    axes->count = ag_rank(x) - 2;
    for (int i = 0; i < axes->count && i < AG_SPACE; i++) axes->axis[i] = i + 1;
    return ag__extents_wrong(name, good, x, &ones);
}

ag_tensor *ag_global_max_pool(ag_tensor *x) {
    ag_axes axes = {0};
    ag_tensor *nil = spatial("global_max_pool", ag_dtype_of(x) != AG_BOOL, x, &axes);
    return nil ? nil : ag_max_over(x, axes, false);
}

ag_tensor *ag_global_avg_pool(ag_tensor *x) {
    ag_axes axes = {0};
    ag_tensor *nil = spatial("global_avg_pool", ag__real(x), x, &axes);
    return nil ? nil : ag__mean_of_axes(x, &axes, false);
}

/* ---- Of images, with square windows ---- */

/* NULL if x is (N,H,W,C) and the stride positive, in front of everything else; else nil, after an error. */
static ag_tensor *square_wrong(const char *name, bool good, ag_tensor *x, int64_t size, int64_t stride) {
    if (!good || ag_is_nil(x)) return NULL; /* the general form reports it */
    if (ag_rank(x) != 4) return ag__refuse(name, 1, &x, AG_ERR_SHAPE, "the input must be (N,H,W,C)");
    if (size >= 1 && stride >= 1) return NULL;
    return ag__refuse(name, 1, &x, AG_ERR_RANGE, "size %lld and stride %lld: each must be at least 1", (long long)size,
                      (long long)stride);
}

ag_tensor *ag_max_pool2d(ag_tensor *x, int64_t size, int64_t stride) {
    static const char name[] = "max_pool2d";
    ag_tensor *nil = square_wrong(name, ag_dtype_of(x) != AG_BOOL, x, size, stride);
    const ag_pool_options options = {.stride = {stride}};
    return nil ? nil : max_pool(name, x, &AG_SHAPE(size), &options);
}

ag_tensor *ag_avg_pool2d(ag_tensor *x, int64_t size, int64_t stride) {
    static const char name[] = "avg_pool2d";
    ag_tensor *nil = square_wrong(name, ag__real(x), x, size, stride);
    const ag_pool_options options = {.stride = {stride}};
    return nil ? nil : avg_pool(name, x, &AG_SHAPE(size), &options);
}
