/* resample -- pixels as channels, and images at any places
 *
 * An image at a place is a sum of gathered elements, each times a weight: of all corners around it. */
#include "nn/along.h"
#include "nn/sliding.h"

/* ---- Pixels and channels ---- */

/* The number of elements that one has r of along each axis, if x is an image and r in range; else *nil is. */
static int64_t block_of(const char *name, ag_tensor *x, int64_t r, ag_tensor **nil) {
    const int axes = ag_rank(x) - 2;
    int64_t block = 1;
    *nil = NULL;
    if (axes < 1 || axes > AG_SPACE)
        *nil = ag__refuse(name, 1, &x, AG_ERR_SHAPE, "the input must be (N,L,C), (N,H,W,C) or (N,D,H,W,C)");
    else if (r < 1 || r > 1 << 20)
        *nil = ag__refuse(name, 1, &x, AG_ERR_RANGE, "r is %lld: 1 to 2²⁰ is wanted", (long long)r);
    for (int i = 0; !*nil && i < axes; i++) block *= r;
    return block;
}

ag_tensor *ag_pixel_shuffle(ag_tensor *x, int64_t r) {
    static const char name[] = "pixel_shuffle";
    ag_tensor *nil;
    const int64_t block = block_of(name, x, r, &nil);
    if (nil) return nil;
    const int axes = ag_rank(x) - 2;
    if (ag_extent(x, -1) % block != 0)
        return ag__refuse(name, 1, &x, AG_ERR_SHAPE, "%lld channels are no multiple of %lld",
                          (long long)ag_extent(x, -1), (long long)block);
    ag_shape apart = ag_shape_of(x), whole = apart;
    ag_axes order = {.count = 2 * axes + 2}; /* N L r … C of N L… C r… */
    apart.extent[axes + 1] /= block;
    whole.extent[axes + 1] /= block;
    order.axis[2 * axes + 1] = axes + 1;
    for (int i = 0; i < axes; i++) {
        if (whole.extent[i + 1] > INT64_MAX / r) /* there are no channels */
            return ag__refuse(name, 1, &x, AG_ERR_SHAPE, "%lld times axis %d is too long", (long long)r, i + 1);
        apart.extent[apart.rank++] = r;
        whole.extent[i + 1] *= r;
        order.axis[2 * i + 1] = i + 1;
        order.axis[2 * i + 2] = axes + 2 + i;
    }
    return ag__reshape_to(ag__permute_by(ag__reshape_to(x, &apart), &order), &whole);
}

ag_tensor *ag_pixel_unshuffle(ag_tensor *x, int64_t r) {
    static const char name[] = "pixel_unshuffle";
    ag_tensor *nil;
    const int64_t block = block_of(name, x, r, &nil);
    if (nil) return nil;
    const int axes = ag_rank(x) - 2;
    ag_shape apart = {.rank = 1, .extent = {ag_extent(x, 0)}}, whole = ag_shape_of(x);
    ag_axes order = {.count = 2 * axes + 2}; /* N L… C r… of N L r … C */
    for (int i = 0; i < axes; i++) {
        const int64_t n = ag_extent(x, i + 1);
        if (n % r != 0)
            return ag__refuse(name, 1, &x, AG_ERR_SHAPE, "axis %d is no multiple of %lld", i + 1, (long long)r);
        apart.extent[apart.rank++] = whole.extent[i + 1] = n / r;
        apart.extent[apart.rank++] = r;
        order.axis[i + 1] = 2 * i + 1;
        order.axis[axes + 2 + i] = 2 * i + 2;
    }
    if (ag_extent(x, -1) > INT64_MAX / block)
        return ag__refuse(name, 1, &x, AG_ERR_SHAPE, "%lld times the channels are too many", (long long)block);
    order.axis[axes + 1] = 2 * axes + 1;
    apart.extent[apart.rank++] = ag_extent(x, -1);
    whole.extent[axes + 1] *= block;
    return ag__reshape_to(ag__permute_by(ag__reshape_to(x, &apart), &order), &whole);
}

/* ---- At any place ---- */

/* Without a gradient, as it is constant almost everywhere. */
static ag_tensor *floor_of(ag_tensor *x) {
    ag_tensor *whole = ag_cast(ag_cast(ag_stop_gradient(x), AG_I64), ag_dtype_of(x));
    return ag_where(ag_less(x, whole), ag_add_scalar(whole, -1), whole);
}

/* The nearest whole number, the even one of two. */
static ag_tensor *nearest_of(ag_tensor *x) {
    ag_tensor *up = floor_of(ag_add_scalar(x, 0.5)), *half = ag_scalar(ag_tape_of(x), ag_dtype_of(x), 0.5);
    ag_tensor *even = ag_scale(floor_of(ag_add_scalar(ag_scale(up, 0.5), 0.25)), 2); /* up, or up − 1 if that is odd */
    return ag_where(ag_equal(ag_sub(up, x), half), even, up);
}

/* Reflected at the edges as often as it takes: a wave of triangles. */
static ag_tensor *reflected(ag_tensor *x, double low, double high) {
    const double span = high - low;
    if (span <= 0) return ag_scale(x, 0);
    ag_tensor *far = ag_abs(ag_add_scalar(x, -low)), *flips = floor_of(ag_div_scalar(far, span));
    ag_tensor *rest = ag_sub(far, ag_scale(flips, span));
    ag_tensor *odd = ag_not_equal(ag_scale(floor_of(ag_scale(flips, 0.5)), 2), flips);
    return ag_add_scalar(ag_where(odd, ag_rsub_scalar(span, rest), rest), low);
}

/* Places or, for AG_CUBIC, elements along an axis of n, brought to where there are elements. */
static ag_tensor *brought_back(ag_tensor *x, int64_t n, ag_beyond beyond, bool align) {
    const double last = (double)(n - 1);
    if (beyond == AG_BEYOND_REFLECTION) x = align ? reflected(x, 0, last) : reflected(x, -0.5, last + 0.5);
    return beyond == AG_BEYOND_ZEROS ? x : ag_clamp(x, 0, last);
}

/* The places along one axis of n elements: 0 is the middle of the first one. */
static ag_tensor *places_of(ag_tensor *grid, int64_t n, bool align) {
    if (align) return ag_scale(ag_add_scalar(grid, 1), (double)(n - 1) / 2);
    return ag_scale(ag_add_scalar(ag_scale(ag_add_scalar(grid, 1), (double)n), -1), 0.5);
}

enum { MOST_TAPS = 4 };

/* A call: the image's elements N L C; for each axis the elements around each place, and their weights, both N P: one,
 * two or four. */
typedef struct sampling {
    ag_tensor *x;
    int axes, taps;
    int64_t extent[AG_SPACE];
    ag_tensor *element[AG_SPACE][MOST_TAPS], *weight[AG_SPACE][MOST_TAPS];
    bool zeros;
} sampling;

/* The weight of tap k, for a place that is `part` beyond the element below it. The cubic ones by Keys' polynomial, as
 * in ops/interpolate.c. */
static ag_tensor *tap_weight(ag_tensor *part, int count, int k) {
    const double a = -0.75;
    if (count == 2) return k ? part : ag_rsub_scalar(1, part);
    ag_tensor *x = k == 0 ? ag_add_scalar(part, 1) : k == 1 ? part : ag_rsub_scalar(k - 1, part);
    if (k == 1 || k == 2) return ag_add_scalar(ag_mul(ag_add_scalar(ag_scale(x, a + 2), -(a + 3)), ag_square(x)), 1);
    return ag_scale(ag_add_scalar(ag_mul(ag_add_scalar(ag_mul(ag_add_scalar(x, -5), x), 8), x), -4), a);
}

static void set_axis(sampling *s, int i, ag_tensor *place, ag_interpolation mode, ag_beyond beyond, bool align) {
    const int64_t n = s->extent[i];
    if (mode != AG_CUBIC) place = brought_back(place, n, beyond, align);
    ag_tensor *below = mode == AG_NEAREST ? nearest_of(place) : floor_of(place), *part = ag_sub(place, below);
    for (int k = 0; k < s->taps; k++) {
        const int from = k - (s->taps == MOST_TAPS);
        s->element[i][k] = from ? ag_add_scalar(below, from) : below;
        if (mode == AG_CUBIC) s->element[i][k] = brought_back(s->element[i][k], n, beyond, align);
        if (s->taps > 1) s->weight[i][k] = tap_weight(part, s->taps, k);
    }
}

/* The elements at a corner, times their weight: digit i of `corner` is the tap along axis i. N P C. */
static ag_tensor *at_corner(const sampling *s, int corner) {
    ag_tape *tape = ag_tape_of(s->x);
    const ag_dtype dtype = ag_dtype_of(s->x);
    ag_tensor *index = NULL, *weight = NULL, *inside = NULL, *no = ag_scalar(tape, AG_BOOL, 0);
    for (int i = 0; i < s->axes; i++, corner /= s->taps) {
        const double last = (double)(s->extent[i] - 1);
        ag_tensor *at = s->element[i][corner % s->taps], *share = s->weight[i][corner % s->taps];
        ag_tensor *clamped = ag_clamp(at, 0, last), *own = ag_cast(clamped, AG_I64), *same = ag_equal(at, clamped);
        index = index ? ag_add(ag_scale(index, (double)s->extent[i]), own) : own;
        inside = inside ? ag_where(inside, same, no) : same;
        if (share) weight = weight ? ag_mul(weight, share) : share;
    }
    ag_tensor *y = ag_gather(s->x, ag_unsqueeze(index, -1), 1);
    if (weight) y = ag_mul(y, ag_unsqueeze(weight, -1));
    return s->zeros ? ag_where(ag_unsqueeze(inside, -1), y, ag_scalar(tape, dtype, 0)) : y;
}

/* NULL if the image can be sampled; else nil, after an error. */
static ag_tensor *grid_wrong(ag_tensor *x, ag_tensor *grid, ag_interpolation mode, ag_beyond beyond) {
    static const char name[] = "grid_sample";
    ag_tensor *const both[] = {x, grid};
    ag_shape ones = {.rank = 1, .extent = {1}};
    ag_tensor *nil = ag__extents_wrong(name, ag__real(x), x, &ones);
    if (nil) return nil;
    if (ag_rank(grid) != ag_rank(x) || ag_extent(grid, 0) != ag_extent(x, 0) || ag_extent(grid, -1) != ag_rank(x) - 2)
        return ag__refuse(name, 2, both, AG_ERR_SHAPE, "the grid must be (N,…,%d), of as many axes as the input",
                          ag_rank(x) - 2);
    if (ag_dtype_of(grid) != ag_dtype_of(x))
        return ag__refuse(name, 2, both, AG_ERR_DTYPE, "the grid must have the dtype of the input");
    if (mode > AG_CUBIC || beyond > AG_BEYOND_REFLECTION)
        return ag__refuse(name, 2, both, AG_ERR_RANGE,
                          "the mode must be AG_NEAREST, AG_LINEAR or AG_CUBIC, and beyond an ag_beyond");
    return NULL;
}

ag_tensor *ag_grid_sample(ag_tensor *x, ag_tensor *grid, ag_interpolation mode, ag_beyond beyond, bool align_corners) {
    ag_tensor *nil = grid_wrong(x, grid, mode, beyond), *y = NULL;
    if (nil) return nil;
    const int64_t n = ag_extent(x, 0), c = ag_extent(x, -1);
    sampling s = {.axes = ag_rank(x) - 2, .zeros = beyond == AG_BEYOND_ZEROS};
    s.taps = mode == AG_NEAREST ? 1 : mode == AG_LINEAR ? 2 : MOST_TAPS;
    ag_shape shape = ag_shape_of(grid);
    int64_t elements = 1, places = 1;
    for (int i = 0; i < s.axes; i++) {
        elements *= s.extent[i] = ag_extent(x, i + 1);
        places *= shape.extent[i + 1];
    }
    s.x = ag__reshape_to(x, &AG_SHAPE(n, elements, c));
    for (int i = 0; i < s.axes; i++) {
        const int64_t number = s.axes - 1 - i;
        ag_tensor *along = ag__reshape_to(ag_slice(grid, -1, number, number + 1, 1), &AG_SHAPE(n, places));
        set_axis(&s, i, places_of(along, s.extent[i], align_corners), mode, beyond, align_corners);
    }
    int corners = 1;
    for (int i = 0; i < s.axes; i++) corners *= s.taps;
    for (int corner = 0; corner < corners; corner++) {
        ag_tensor *part = at_corner(&s, corner);
        y = y ? ag_add(y, part) : part;
    }
    shape.extent[s.axes + 1] = c;
    return ag__reshape_to(y, &shape);
}
