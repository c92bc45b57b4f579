/* arrange -- rearranging, composed of views and joining; and diagonals, which are views
 *
 * Each function checks its inputs before it records anything. */
#include "autograd/tape/format.h"
#include "autograd/tape/tape.h"
#include "ops/rules.h"
#include "ops/shaping.h"

#include <string.h>

/* ---- Common to several ---- */

ag_tensor *ag__widened(const char *name, int n, ag_tensor *const in[], ag_tensor *x, const ag_shape *shape) {
    const int more = shape->rank - ag_rank(x);
    bool fits = more >= 0;
    for (int i = 0; fits && i < ag_rank(x); i++)
        fits = ag_extent(x, i) == 1 || ag_extent(x, i) == shape->extent[more + i];
    if (fits) return ag__broadcast(x, shape);
    char from[AG__EXTENTS], to[AG__EXTENTS];
    const ag_shape has = ag_shape_of(x);
    return ag__fail(name, n, in, AG_ERR_SHAPE, "(%s) cannot be broadcast to (%s)",
                    ag__format_extents(from, has.rank, has.extent), ag__format_extents(to, shape->rank, shape->extent));
}

/* The axis of x, which is usable then; −1 after an error. */
static int axis_of(const char *name, ag_tensor *x, int axis, ag_tensor **nil) {
    if (!ag__inputs_usable(name, 1, &x, nil)) return -1;
    const int a = ag__axis(axis, ag_rank(x));
    if (a < 0) *nil = ag__no_axis(name, x, axis);
    return a;
}

/* Whether there are n >= 1 usable tensors; if not, an error. */
static bool several(const char *name, int n, ag_tensor *const x[], ag_tensor **nil) {
    if (n >= 1 && x) return ag__inputs_usable(name, n, x, nil);
    *nil = n < 1 ? ag__fail_on(NULL, name, AG_ERR_RANGE, "%d tensors are given: at least 1 is wanted", n)
                 : ag__fail_on(NULL, name, AG_ERR_NULL, "the inputs are NULL");
    return false;
}

/* The end of a function that fills y: all nil, unless it was good. */
static ag_status filled(bool good, ag_tensor *nil, int n, ag_tensor *y[], const char *file, int line) {
    for (int i = 0; !good && y && i < n; i++) y[i] = nil;
    return ag__leave(ag_tape_of(good ? y[0] : nil), file, line);
}

/* The elements of x, or of what it would be with 1 for each extent 0: so many have to be counted of a shape. */
static int64_t counted(const ag_tensor *x) {
    const ag_shape shape = ag_shape_of(x);
    int64_t n = 1;
    for (int i = 0; i < shape.rank; i++) n *= shape.extent[i] > 0 ? shape.extent[i] : 1;
    return n;
}

/* Whether extents m·n, in a shape of which `size` elements are counted for m, can be counted; if not, an error. */
static bool countable(const char *name, ag_tensor *x, int64_t size, int64_t times, ag_tensor **nil) {
    if (times < 0) {
        *nil = ag__fail(name, 1, &x, AG_ERR_RANGE, "%lld times: 0 or more is wanted", (long long)times);
        return false;
    }
    if (times <= INT64_MAX / 16 / size) return true;
    *nil = ag__fail(name, 1, &x, AG_ERR_SHAPE, "the result would have more elements than can be counted");
    return false;
}

static int64_t product(const ag_shape *shape, int from, int to) {
    int64_t n = 1;
    for (int i = from; i < to; i++) n *= shape->extent[i];
    return n;
}

/* `shape` with `with` in the place of its extents from … to−1; the rank may be too large. */
static ag_shape replaced(const ag_shape *shape, int from, int to, int n, const int64_t *with) {
    ag_shape y = {.rank = shape->rank - (to - from) + n};
    for (int i = 0; i < y.rank && i < AG_MAX_RANK; i++)
        y.extent[i] = i < from ? shape->extent[i] : i < from + n ? with[i - from] : shape->extent[i - n + (to - from)];
    return y;
}

static bool rank_fits(const char *name, ag_tensor *x, int rank, ag_tensor **nil) {
    if (rank >= 0 && rank <= AG_MAX_RANK) return true;
    *nil = ag__fail(name, 1, &x, AG_ERR_SHAPE, "the result would have %d axes: 0 to %d are wanted", rank, AG_MAX_RANK);
    return false;
}

/* ---- Axes ---- */

ag_tensor *ag_expand_as(ag_tensor *x, ag_tensor *like) {
    ag_tensor *nil, *in[] = {x, like};
    if (!ag__inputs_usable("expand_as", 2, in, &nil)) return nil;
    const ag_shape shape = ag_shape_of(like);
    return ag__widened("expand_as", 2, in, x, &shape);
}

/* The axes of x, in order, with those of `source` taken out and put where `destination` says. */
static ag_axes moved(int rank, const ag_axes *source, const ag_axes *destination) {
    ag_axes order = {.count = rank};
    uint32_t gone = 0, taken = 0;
    for (int k = 0; k < source->count; k++) {
        const int from = ag__axis(source->axis[k], rank), to = ag__axis(destination->axis[k], rank);
        order.axis[to] = from;
        gone |= 1u << from, taken |= 1u << to;
    }
    for (int i = 0, from = 0; i < rank; i++) {
        if (taken >> i & 1) continue;
        while (gone >> from & 1) from++;
        order.axis[i] = from++;
    }
    return order;
}

ag_tensor *ag_movedim(ag_tensor *x, ag_axes source, ag_axes destination) {
    ag_tensor *nil;
    uint32_t mask;
    if (!ag__inputs_usable("movedim", 1, &x, &nil)) return nil;
    if (source.count < 0 || source.count != destination.count)
        return ag__fail("movedim", 1, &x, AG_ERR_AXIS, "%d axes are moved to %d: as many are wanted", source.count,
                        destination.count);
    if (!ag__axes_mask("movedim", x, &source, &mask, &nil) || !ag__axes_mask("movedim", x, &destination, &mask, &nil))
        return nil;
    return ag_permute(x, moved(ag_rank(x), &source, &destination));
}

ag_tensor *ag_swapaxes(ag_tensor *x, int axis0, int axis1) {
    ag_tensor *nil;
    if (axis_of("swapaxes", x, axis0, &nil) < 0 || axis_of("swapaxes", x, axis1, &nil) < 0) return nil;
    return ag_transpose(x, axis0, axis1);
}

ag_tensor *ag_flatten(ag_tensor *x, int first, int last) {
    ag_tensor *nil;
    if (!ag__inputs_usable("flatten", 1, &x, &nil)) return nil;
    const ag_shape shape = ag_shape_of(x);
    const int rank = shape.rank > 0 ? shape.rank : 1, from = ag__axis(first, rank), to = ag__axis(last, rank);
    if (from < 0 || to < from)
        return ag__fail("flatten", 1, &x, AG_ERR_AXIS, "axes %d to %d are not in the order of %d axes", first, last,
                        rank);
    const int end = shape.rank > 0 ? to + 1 : 0;
    return ag_reshape(x, replaced(&shape, from, end, 1, (int64_t[]){product(&shape, from, end)}));
}

/* Replace one −1 so that the product is n; false if that is impossible. */
static bool extents_of(ag_shape *shape, int64_t n) {
    int64_t rest = 1;
    int unknown = -1;
    for (int i = 0; i < shape->rank; i++) {
        const int64_t e = shape->extent[i];
        if (e == -1 && unknown < 0) unknown = i;
        else if (e < 0 || (e > 0 && rest > INT64_MAX / e)) return false;
        else rest *= e;
    }
    if (unknown < 0) return rest == n;
    if (rest == 0 || n % rest != 0) return false;
    shape->extent[unknown] = n / rest;
    return true;
}

ag_tensor *ag_unflatten(ag_tensor *x, int axis, ag_shape extents) {
    ag_tensor *nil;
    const int a = axis_of("unflatten", x, axis, &nil);
    if (a < 0 || !rank_fits("unflatten", x, extents.rank, &nil) ||
        !rank_fits("unflatten", x, ag_rank(x) - 1 + extents.rank, &nil))
        return nil;
    if (!extents_of(&extents, ag_extent(x, a)))
        return ag__fail("unflatten", 1, &x, AG_ERR_SHAPE, "axis %d with extent %lld has no such factors", a,
                        (long long)ag_extent(x, a));
    ag_shape shape = ag_shape_of(x);
    shape = replaced(&shape, a, a + 1, extents.rank, extents.extent);
    return ag__shape_fits("unflatten", 1, &x, &shape, &nil) ? ag_reshape(x, shape) : nil;
}

ag_tensor *ag_rot90(ag_tensor *x, int64_t times, ag_axes axes) {
    ag_tensor *nil;
    uint32_t mask;
    if (!ag__inputs_usable("rot90", 1, &x, &nil)) return nil;
    if (axes.count != 2) return ag__fail("rot90", 1, &x, AG_ERR_AXIS, "%d axes are given: 2 are wanted", axes.count);
    if (!ag__axes_mask("rot90", x, &axes, &mask, &nil)) return nil;
    const int p = axes.axis[0], q = axes.axis[1], turns = (int)((times % 4 + 4) % 4);
    if (turns == 0) return ag__unchanged(x);
    if (turns == 2) return ag_flip(ag_flip(x, p), q);
    return turns == 1 ? ag_transpose(ag_flip(x, q), p, q) : ag_flip(ag_transpose(x, p, q), q);
}

/* ---- Joining ---- */

bool ag__one_dtype(const char *name, int n, ag_tensor *const x[], ag_tensor **nil) {
    for (int i = 1; i < n; i++) {
        if (x[i]->dtype == x[0]->dtype) continue;
        *nil = ag__fail(name, n, x, AG_ERR_DTYPE, "the dtypes %s and %s differ", ag_dtype_name((ag_dtype)x[0]->dtype),
                        ag_dtype_name((ag_dtype)x[i]->dtype));
        return false;
    }
    return true;
}

ag_tensor *ag__whole_or_nothing(ag_tensor *y, const ag__position *since) {
    if (ag_is_nil(y)) ag__truncate(y->tape, since);
    return y;
}

static bool one_shape(const char *name, int n, ag_tensor *const x[], ag_tensor **nil) {
    for (int i = 1; i < n; i++) {
        if (ag__layouts_equal(x[i]->layout, x[0]->layout)) continue;
        *nil = ag__fail(name, n, x, AG_ERR_SHAPE, "the shape of input %d differs", i);
        return false;
    }
    return true;
}

/* n tensors, made from x[…] by `of`, concatenated; nothing is recorded if they do not fit. */
static ag_tensor *concatenated(const char *name, int n, ag_tensor *const x[], int axis,
                               ag_tensor *(*of)(ag_tensor *x, int number), int number) {
    ag_tape *tape = x[0]->tape;
    const size_t bytes = ag__times((uint64_t)n, sizeof(ag_tensor *));
    ag__buffer *memory = ag__buffer_new(tape, bytes);
    if (!memory) return ag__fail(name, n, x, AG_ERR_MEMORY, "out of memory (%zu bytes)", bytes);
    const ag__position before = ag__position_now(tape);
    ag_tensor **in = memory->data;
    for (int i = 0; i < n; i++) in[i] = of(x[i], number);
    ag_tensor *y = ag__whole_or_nothing(ag_concat(n, in, axis), &before);
    ag__buffer_drop(tape, memory);
    return y;
}

ag_tensor *ag_stack(int n, ag_tensor *const x[], int axis) {
    ag_tensor *nil;
    if (!several("stack", n, x, &nil) || !ag__one_dtype("stack", n, x, &nil) || !one_shape("stack", n, x, &nil))
        return nil;
    const int rank = ag_rank(x[0]) + 1, a = ag__axis(axis, rank);
    if (!rank_fits("stack", x[0], rank, &nil)) return nil;
    if (a < 0)
        return ag__fail("stack", n, x, AG_ERR_AXIS, "axis %d is out of range for a result of %d axes", axis, rank);
    ag_shape shape = ag_shape_of(x[0]);
    shape = replaced(&shape, a, a, 1, (int64_t[]){n});
    if (!ag__shape_fits("stack", n, x, &shape, &nil)) return nil;
    return concatenated("stack", n, x, a, (ag_unsqueeze), a);
}

/* x with so many axes at least, as NumPy adds them. */
static ag_tensor *at_least(ag_tensor *x, int rank) {
    const ag_shape shape = ag_shape_of(x);
    if (shape.rank >= rank) return x;
    if (rank == 3 && shape.rank == 2) return ag_unsqueeze(x, 2);
    if (rank == 3 && shape.rank == 1) return ag__reshape(x, &AG_SHAPE(1, shape.extent[0], 1));
    while (ag_rank(x) < rank && !ag_is_nil(x)) x = ag_unsqueeze(x, 0);
    return x;
}

static ag_tensor *stacked(const char *name, int n, ag_tensor *const x[], int rank, int axis) {
    ag_tensor *nil;
    if (!several(name, n, x, &nil) || !ag__one_dtype(name, n, x, &nil)) return nil;
    return concatenated(name, n, x, axis, at_least, rank);
}

ag_tensor *ag_hstack(int n, ag_tensor *const x[]) {
    return stacked("hstack", n, x, 1, n >= 1 && x && ag_rank(x[0]) > 1 ? 1 : 0);
}

ag_tensor *ag_vstack(int n, ag_tensor *const x[]) { return stacked("vstack", n, x, 2, 0); }

ag_tensor *ag_dstack(int n, ag_tensor *const x[]) { return stacked("dstack", n, x, 3, 2); }

/* ---- Dividing ---- */

/* Whether x can be divided along the axis, *a then, into n parts for y; if not, an error. */
static bool divisible(const char *name, ag_tensor *x, int axis, int n, ag_tensor **y, int *a, ag_tensor **nil) {
    if ((*a = axis_of(name, x, axis, nil)) < 0) return false;
    if (n >= 1 && y) return true;
    *nil = n < 1 ? ag__fail(name, 1, &x, AG_ERR_RANGE, "%d parts: at least 1 is wanted", n)
                 : ag__fail(name, 1, &x, AG_ERR_NULL, "the place for the parts is NULL");
    return false;
}

/* Parts of `each` elements, or of these sizes, the last ones with what is left. */
static bool divide(ag_tensor *x, int axis, int n, int64_t each, const int64_t *sizes, ag_tensor *y[], ag_tensor **nil) {
    int64_t start = 0;
    const int64_t extent = ag_extent(x, axis);
    for (int i = 0; i < n; i++) {
        const int64_t end = ag__lesser(start + (sizes ? sizes[i] : each), extent);
        y[i] = ag_slice(x, axis, start, end, 1);
        if (ag_is_nil(y[i])) return *nil = y[i], false;
        start = end;
    }
    return true;
}

ag_status ag_split(ag_tensor *x, int axis, int n, ag_tensor *y[]) {
    ag_tensor *nil = NULL;
    int line, a;
    const char *file = ag__here_file(&line);
    bool good = divisible("split", x, axis, n, y, &a, &nil);
    if (good && ag_extent(x, a) % n != 0) {
        nil = ag__fail("split", 1, &x, AG_ERR_SHAPE, "axis %d with extent %lld has no %d equal parts", a,
                       (long long)ag_extent(x, a), n);
        good = false;
    }
    good = good && divide(x, a, n, ag_extent(x, a) / n, NULL, y, &nil);
    return filled(good, nil, n, y, file, line);
}

static bool sizes_fit(ag_tensor *x, int axis, int n, const int64_t *sizes, ag_tensor **nil) {
    if (!sizes) return *nil = ag__fail("split_sizes", 1, &x, AG_ERR_NULL, "the sizes are NULL"), false;
    int64_t left = ag_extent(x, axis);
    for (int i = 0; i < n && left >= 0; i++) left = sizes[i] < 0 ? -1 : left - sizes[i];
    if (left == 0) return true;
    *nil = ag__fail("split_sizes", 1, &x, AG_ERR_SHAPE, "the sizes are not the parts of axis %d with extent %lld", axis,
                    (long long)ag_extent(x, axis));
    return false;
}

ag_status ag_split_sizes(ag_tensor *x, int axis, int n, const int64_t sizes[], ag_tensor *y[]) {
    ag_tensor *nil = NULL;
    int line, a;
    const char *file = ag__here_file(&line);
    bool good = divisible("split_sizes", x, axis, n, y, &a, &nil) && sizes_fit(x, a, n, sizes, &nil) &&
                divide(x, a, n, 0, sizes, y, &nil);
    return filled(good, nil, n, y, file, line);
}

ag_status ag_chunk(ag_tensor *x, int axis, int n, ag_tensor *y[]) {
    ag_tensor *nil = NULL;
    int line, a;
    const char *file = ag__here_file(&line);
    bool good = divisible("chunk", x, axis, n, y, &a, &nil);
    const int64_t extent = good ? ag_extent(x, a) : 0;
    good = good && divide(x, a, n, extent / n + (extent % n != 0), NULL, y, &nil);
    return filled(good, nil, n, y, file, line);
}

/* ---- Broadcasting to each other ---- */

static bool broadcast_all(int n, ag_tensor *const x[], ag_tensor *y[], ag_tensor **nil) {
    static const char name[] = "broadcast_tensors";
    ag_shape shape;
    if (!several(name, n, x, nil)) return false;
    if (!y) return *nil = ag__fail(name, n, x, AG_ERR_NULL, "the place for the results is NULL"), false;
    bool good = ag__share_shape(name, n, x, &shape, nil);
    for (int i = 0; i < n && good; i++) good = !ag_is_nil(y[i] = *nil = ag__broadcast(x[i], &shape));
    return good;
}

ag_status ag_broadcast_tensors(int n, ag_tensor *const x[], ag_tensor *y[]) {
    ag_tensor *nil = NULL;
    int line;
    const char *file = ag__here_file(&line);
    const bool good = broadcast_all(n, x, y, &nil);
    return filled(good, nil, n, y, file, line);
}

/* The axis of the grid that has the elements of x[i]. */
static int grid_axis(int i, bool xy) { return xy && i < 2 ? 1 - i : i; }

static bool make_grid(int n, ag_tensor *const x[], bool xy, ag_tensor *y[], ag_tensor **nil) {
    static const char name[] = "meshgrid";
    ag_shape shape = {.rank = n};
    if (!several(name, n, x, nil)) return false;
    if (n > AG_MAX_RANK) *nil = ag__fail(name, 1, x, AG_ERR_RANGE, "%d lists: at most %d are wanted", n, AG_MAX_RANK);
    else if (!y) *nil = ag__fail(name, n, x, AG_ERR_NULL, "the place for the results is NULL");
    if (n > AG_MAX_RANK || !y) return false;
    xy = xy && n > 1;
    for (int i = 0; i < n; i++) {
        if (ag_rank(x[i]) > 1)
            return *nil = ag__fail(name, n, x, AG_ERR_SHAPE, "input %d has %d axes: one is wanted", i, ag_rank(x[i])),
                   false;
        shape.extent[grid_axis(i, xy)] = ag_size(x[i]);
    }
    if (!ag__shape_fits(name, n, x, &shape, nil)) return false;
    for (int i = 0; i < n; i++) {
        ag_shape line = {.rank = n};
        for (int k = 0; k < n; k++) line.extent[k] = k == grid_axis(i, xy) ? ag_size(x[i]) : 1;
        y[i] = ag__reshape(x[i], &line);
        if (!ag_is_nil(y[i])) y[i] = ag__broadcast(y[i], &shape);
        if (ag_is_nil(y[i])) return *nil = y[i], false;
    }
    return true;
}

ag_status ag_meshgrid(int n, ag_tensor *const x[], bool xy, ag_tensor *y[]) {
    ag_tensor *nil = NULL;
    int line;
    const char *file = ag__here_file(&line);
    const bool good = make_grid(n, x, xy, y, &nil);
    return filled(good, nil, n, y, file, line);
}

/* ---- Rolling ---- */

static ag_tensor *rolled(ag_tensor *x, int axis, int64_t shift) {
    const int64_t n = ag_extent(x, axis), by = n > 0 ? (shift % n + n) % n : 0;
    if (by == 0) return ag__unchanged(x);
    ag_tensor *const parts[] = {ag_slice(x, axis, n - by, n, 1), ag_slice(x, axis, 0, n - by, 1)};
    return ag_concat(2, parts, axis);
}

ag_tensor *ag_roll(ag_tensor *x, int64_t shift, int axis) {
    ag_tensor *nil;
    const int a = axis_of("roll", x, axis, &nil);
    return a < 0 ? nil : rolled(x, a, shift);
}

ag_tensor *ag_roll_over(ag_tensor *x, ag_shape shifts, ag_axes axes) {
    ag_tensor *nil;
    uint32_t mask;
    if (!ag__inputs_usable("roll", 1, &x, &nil) || !ag__axes_mask("roll", x, &axes, &mask, &nil)) return nil;
    const int rank = ag_rank(x), count = axes.count == -1 ? rank : axes.count;
    if (shifts.rank != count)
        return ag__fail("roll", 1, &x, AG_ERR_SHAPE, "%d shifts are given for %d axes", shifts.rank, count);
    x = ag__unchanged(x);
    for (int k = 0; k < count && !ag_is_nil(x); k++)
        x = rolled(x, axes.count == -1 ? k : ag__axis(axes.axis[k], rank), shifts.extent[k]);
    return x;
}

/* ---- Repeating ---- */

/* The repeated x in its final shape: whole runs of it are copied, if they are long. */
static ag_tensor *as_repeated(ag_tensor *wide, int64_t run, const ag_shape *shape) {
    if (ag_is_nil(wide)) return wide;
    return ag__reshape(run >= AG__SHORT_RUN && !wide->layout->contiguous ? ag__copied(wide) : wide, shape);
}

/* x with one axis repeated, as a whole or, `each`, element by element: by a broadcast axis before or behind it. */
static ag_tensor *repeat_axis(ag_tensor *x, int axis, int64_t times, bool each) {
    ag_shape shape = ag_shape_of(x);
    const int64_t n = shape.extent[axis];
    const int64_t outer = product(&shape, 0, axis), inner = product(&shape, axis + 1, shape.rank);
    ag_shape one = replaced(&shape, axis, axis + 1, 2, each ? (int64_t[]){n, 1} : (int64_t[]){1, n});
    int at = axis + each;
    if (one.rank > AG_MAX_RANK) {
        one = each ? AG_SHAPE(outer, n, 1, inner) : AG_SHAPE(outer, 1, n, inner);
        at = 1 + each;
    }
    ag_shape wide = one;
    wide.extent[at] = times;
    ag_tensor *y = ag__reshape(x, &one);
    if (!ag_is_nil(y)) y = ag__broadcast(y, &wide);
    shape = replaced(&shape, axis, axis + 1, 1, (int64_t[]){n * times});
    return as_repeated(y, each ? inner : n * inner, &shape);
}

/* The same of several axes at once, each with a broadcast axis before it; there is room for these. */
static ag_tensor *repeat_axes(ag_tensor *x, const ag_shape *times) {
    ag_shape one = {0}, wide = {0}, all = ag_shape_of(x);
    int64_t run = 1;
    for (int i = 0; i < all.rank; i++) {
        const int64_t n = all.extent[i], t = times->extent[i];
        run = t != 1 ? n : run * n;
        if (t != 1) one.extent[one.rank++] = 1, wide.extent[wide.rank++] = t;
        one.extent[one.rank++] = wide.extent[wide.rank++] = n;
        all.extent[i] = n * t;
    }
    x = ag__reshape(x, &one);
    if (!ag_is_nil(x)) x = ag__broadcast(x, &wide);
    return as_repeated(x, run, &all);
}

static ag_tensor *tiled(const char *name, ag_tensor *x, const ag_shape *times) {
    ag_tensor *nil;
    ag_shape shape = ag_shape_of(x), reps = *times;
    int64_t size = counted(x), more = 0;
    for (int i = 0; i < times->rank; i++) {
        if (!countable(name, x, size, times->extent[i], &nil)) return nil;
        if (times->extent[i] > 0) size *= times->extent[i];
        more += times->extent[i] != 1;
    }
    const int64_t ones[AG_MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};
    if (shape.rank < times->rank) shape = replaced(&shape, 0, 0, times->rank - shape.rank, ones);
    else reps = replaced(times, 0, 0, shape.rank - times->rank, ones);
    x = ag__reshape(x, &shape);
    if (more == 0 || ag_is_nil(x)) return x;
    if (shape.rank + more <= AG_MAX_RANK) return repeat_axes(x, &reps);
    for (int i = 0; i < shape.rank && !ag_is_nil(x); i++)
        if (reps.extent[i] != 1) x = repeat_axis(x, i, reps.extent[i], false);
    return x;
}

ag_tensor *ag_tile(ag_tensor *x, ag_shape times) {
    ag_tensor *nil;
    if (!ag__inputs_usable("tile", 1, &x, &nil) || !rank_fits("tile", x, times.rank, &nil)) return nil;
    return tiled("tile", x, &times);
}

ag_tensor *ag_repeat(ag_tensor *x, ag_shape times) {
    ag_tensor *nil;
    if (!ag__inputs_usable("repeat", 1, &x, &nil) || !rank_fits("repeat", x, times.rank, &nil)) return nil;
    if (times.rank < ag_rank(x))
        return ag__fail("repeat", 1, &x, AG_ERR_SHAPE, "%d numbers are given: at least %d are wanted", times.rank,
                        ag_rank(x));
    return tiled("repeat", x, &times);
}

ag_tensor *ag_repeat_interleave(ag_tensor *x, int64_t times, int axis) {
    ag_tensor *nil;
    const int a = axis_of("repeat_interleave", x, axis, &nil);
    if (a < 0 || !countable("repeat_interleave", x, counted(x), times, &nil)) return nil;
    return times == 1 ? ag__unchanged(x) : repeat_axis(x, a, times, true);
}

/* The number of elements of the result along the axis; −1 after an error. */
static int64_t total_of(ag_tensor *const in[], const int64_t *count, ag_tensor **nil) {
    int64_t total = 0;
    for (int64_t j = 0; j < ag_size(in[1]); j++) {
        if (count[j] < 0 || count[j] > INT64_MAX / 16 - total) {
            *nil = ag__fail("repeat_interleave_by", 2, in, AG_ERR_RANGE, "count %lld at element %lld is out of range",
                            (long long)count[j], (long long)j);
            return -1;
        }
        total += count[j];
    }
    return total;
}

ag_tensor *ag_repeat_interleave_by(ag_tensor *x, ag_tensor *counts, int axis) {
    static const char name[] = "repeat_interleave_by";
    ag_tensor *nil, *in[] = {x, counts};
    if (!ag__inputs_usable(name, 2, in, &nil)) return nil;
    const int a = axis_of(name, x, axis, &nil);
    if (a < 0) return nil;
    if (ag_dtype_of(counts) != AG_I64)
        return ag__fail(name, 2, in, AG_ERR_DTYPE, "the counts must be i64, not %s",
                        ag_dtype_name(ag_dtype_of(counts)));
    if (ag_rank(counts) != 1 || ag_size(counts) != ag_extent(x, a))
        return ag__fail(name, 2, in, AG_ERR_SHAPE, "a count for each of the %lld elements of axis %d is wanted",
                        (long long)ag_extent(x, a), a);
    const int64_t *count = ag_data(counts), total = count ? total_of(in, count, &nil) : -1;
    if (total < 0) return count ? nil : ag__nil_of(x->tape);
    const size_t bytes = ag__times((uint64_t)total, sizeof *count);
    ag__buffer *buffer = ag__buffer_new(x->tape, bytes);
    if (!buffer) return ag__fail(name, 2, in, AG_ERR_MEMORY, "out of memory (%zu bytes)", bytes);
    int64_t *to = buffer->data;
    for (int64_t j = 0; j < ag_size(counts); j++)
        for (int64_t k = 0; k < count[j]; k++) *to++ = j;
    ag_tensor *index = ag__constant_with(x->tape, AG_I64, &AG_SHAPE(total), buffer);
    return ag_is_nil(index) ? index : ag_index_select(x, index, a);
}

/* ---- Diagonals ---- */

typedef struct oblique { /* a diagonal: x[…,i,…,i+offset,…] */
    int64_t offset, axis0, axis1;
} oblique;

/* The elements of a diagonal of m rows by n columns. */
static int64_t diagonal_extent(int64_t m, int64_t n, int64_t offset) {
    if (offset >= n || offset <= -m) return 0;
    return offset < 0 ? ag__lesser(m + offset, n) : ag__lesser(m, n - offset);
}

static bool diagonal_infer(ag_infer *r) {
    const oblique *d = r->attributes;
    const ag_tensor *x = r->x[0];
    const int rank = r->shape.rank;
    if (d->axis0 < 0 || d->axis0 >= rank || d->axis1 < 0 || d->axis1 >= rank || d->axis0 == d->axis1)
        return ag_reject(r, AG_ERR_AXIS, "axes %lld and %lld are not two of %d", (long long)d->axis0,
                         (long long)d->axis1, rank);
    const int64_t *extent = x->layout->extent, *stride = ag__strides(x->layout);
    const int64_t m = extent[d->axis0], n = extent[d->axis1], k = diagonal_extent(m, n, d->offset);
    int y = 0;
    for (int i = 0; i < rank; i++) {
        if (i == d->axis0 || i == d->axis1) continue;
        r->shape.extent[y] = extent[i];
        r->stride[y++] = stride[i];
    }
    r->shape.extent[y] = k;
    r->stride[y] = stride[d->axis0] + stride[d->axis1];
    r->shape.rank = rank - 1;
    r->offset = x->offset;
    if (k > 0) r->offset += d->offset < 0 ? -d->offset * stride[d->axis0] : d->offset * stride[d->axis1];
    return true;
}

/* Zeros with the last axis of x on a diagonal of m rows, axis p of the result, and n columns, axis q. */
static ag_tensor *on_diagonal(ag_tensor *x, int64_t m, int64_t n, const oblique *d) {
    ag_shape shape = ag_shape_of(x);
    const int last = shape.rank - 1;
    const bool none = ag_extent(x, last) == 0; /* at any offset */
    shape = replaced(&shape, last, last + 1, 2, (int64_t[]){m, n});
    x = ag_embed(x, last, m * n, none ? 0 : d->offset < 0 ? -d->offset * n : d->offset, n + 1);
    if (ag_is_nil(x)) return x;
    const ag_axes from_axes = AG_AXES(last, last + 1), to = AG_AXES((int)d->axis0, (int)d->axis1);
    return ag_permute(ag__reshape(x, &shape), moved(shape.rank, &from_axes, &to));
}

static ag_tensor *diagonal_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const oblique *d = ag_attributes(y);
    ag_tensor *x = ag_input(y, i);
    return on_diagonal(g, ag_extent(x, (int)d->axis0), ag_extent(x, (int)d->axis1), d);
}

const ag_op ag__op_diagonal = {.name = "diagonal",
                               .notation = "diagonal_{i0}({0})",
                               .kind = AG_KIND_VIEW,
                               .arity = 1,
                               .attribute_bytes = sizeof(oblique),
                               .infer = diagonal_infer,
                               .vjp = diagonal_vjp};

/* Two axes of `rank`, in d; false after an error. */
static bool two_axes(const char *name, ag_tensor *x, int rank, int axis0, int axis1, oblique *d, ag_tensor **nil) {
    d->axis0 = ag__axis(axis0, rank), d->axis1 = ag__axis(axis1, rank);
    if (d->axis0 >= 0 && d->axis1 >= 0 && d->axis0 != d->axis1) return true;
    *nil = ag__fail(name, 1, &x, AG_ERR_AXIS, "axes %d and %d are not two of %d", axis0, axis1, rank);
    return false;
}

ag_tensor *ag_diagonal(ag_tensor *x, int64_t offset, int axis0, int axis1) {
    ag_tensor *nil;
    oblique d = {.offset = offset};
    if (!ag__inputs_usable("diagonal", 1, &x, &nil)) return nil;
    if (!two_axes("diagonal", x, ag_rank(x), axis0, axis1, &d, &nil)) return nil;
    return ag_apply(&ag__op_diagonal, 1, &x, &d, sizeof d);
}

ag_tensor *ag_diag_embed(ag_tensor *x, int64_t offset, int axis0, int axis1) {
    ag_tensor *nil;
    oblique d = {.offset = offset};
    if (axis_of("diag_embed", x, -1, &nil) < 0) return nil;
    const int rank = ag_rank(x) + 1;
    if (!rank_fits("diag_embed", x, rank, &nil) || !two_axes("diag_embed", x, rank, axis0, axis1, &d, &nil)) return nil;
    const int64_t most = (int64_t)1 << 28, k = ag_extent(x, -1);
    if (offset < -most || offset > most || k > most)
        return ag__fail("diag_embed", 1, &x, AG_ERR_SHAPE, "the result would have more elements than can be counted");
    const int64_t n = k + (offset < 0 ? -offset : offset);
    ag_shape shape = ag_shape_of(x);
    shape = replaced(&shape, rank - 2, rank - 1, 2, (int64_t[]){n, n});
    return ag__shape_fits("diag_embed", 1, &x, &shape, &nil) ? on_diagonal(x, n, n, &d) : nil;
}

ag_tensor *ag_diag(ag_tensor *x, int64_t offset) {
    ag_tensor *nil;
    if (!ag__inputs_usable("diag", 1, &x, &nil)) return nil;
    if (ag_rank(x) == 1) return ag_diag_embed(x, offset, 0, 1);
    if (ag_rank(x) == 2) return ag_diagonal(x, offset, 0, 1);
    return ag__fail("diag", 1, &x, AG_ERR_SHAPE, "a list or a matrix is wanted");
}

ag_tensor *ag_eye(ag_tape *tape, ag_dtype dtype, int64_t m, int64_t n, int64_t offset) {
    const ag_shape shape = AG_SHAPE(m, n);
    int64_t size;
    const char *why;
    if (!tape) return ag__fail_on(NULL, "eye", AG_ERR_NULL, "the tape is NULL");
    if (!ag__shape_valid(&shape, &size, &why))
        return ag__fail_on(tape, "eye", AG_ERR_SHAPE, "the result would have %s", why);
    ag_tensor *ones = ag_ones(tape, dtype, AG_SHAPE(diagonal_extent(m, n, offset)));
    return ag_is_nil(ones) ? ones : on_diagonal(ones, m, n, &(oblique){offset, 0, 1});
}

/* ---- Triangles ---- */

/* x where the triangle is: column <= row + offset, or column >= row + offset. */
static ag_tensor *triangle(const char *name, ag_tensor *x, int64_t offset, bool lower) {
    ag_tensor *nil;
    if (!ag__inputs_usable(name, 1, &x, &nil)) return nil;
    if (ag_rank(x) < 2) return ag__fail(name, 1, &x, AG_ERR_SHAPE, "two axes at least are wanted");
    ag_tape *tape = ag_tape_of(x);
    const int64_t m = ag_extent(x, -2), n = ag_extent(x, -1), by = offset < -m ? -m : offset > n ? n : offset;
    ag_tensor *column = ag_arange(tape, AG_I64, n);
    ag_tensor *row = ag_arange_with(tape, AG_I64, (double)by, (double)(by + m), 1);
    row = ag__reshape(row, &AG_SHAPE(m, 1));
    ag_tensor *inside = lower ? ag_less_equal(column, row) : ag_greater_equal(column, row);
    return ag_where(inside, x, ag_scalar(tape, ag_dtype_of(x), 0));
}

ag_tensor *ag_tril(ag_tensor *x, int64_t offset) { return triangle("tril", x, offset, true); }

ag_tensor *ag_triu(ag_tensor *x, int64_t offset) { return triangle("triu", x, offset, false); }
