/* pad -- margins around a tensor: a number, in one pass, or copies of its elements, by an index for each padded axis */
#include "autograd/tape/tape.h"
#include "ops/indexed.h"
#include "ops/rules.h"
#include "ops/shaping.h"

#include <string.h>

/* The elements that are added at the beginning and end of each axis; what is taken away counts as negative. */
typedef struct margins {
    int64_t before[AG_MAX_RANK], after[AG_MAX_RANK];
} margins;

static bool margin_fits(ag_tensor *x, int axis, int64_t before, int64_t after, ag_tensor **nil) {
    const int64_t n = ag_extent(x, axis), most = INT64_MAX / 4;
    const int64_t left = n + (before < 0 && before >= -n ? before : 0) + (after < 0 && after >= -n ? after : 0);
    if (before >= -n && after >= -n && left >= 0 && before <= most && after <= most) return true;
    *nil = ag__fail("pad", 1, &x, AG_ERR_RANGE, "%lld before and %lld after do not fit axis %d with extent %lld",
                    (long long)before, (long long)after, axis, (long long)n);
    return false;
}

/* The margins of all axes; false, after an error, if they do not fit x. */
static bool margins_of(ag_tensor *x, const ag_axes *axes, const ag_shape *before, const ag_shape *after, margins *m,
                       ag_tensor **nil) {
    uint32_t mask;
    if (!ag__inputs_usable("pad", 1, &x, nil) || !ag__axes_mask("pad", x, axes, &mask, nil)) return false;
    const int rank = ag_rank(x), count = axes->count == -1 ? rank : axes->count;
    ag_shape shape = ag_shape_of(x);
    memset(m, 0, sizeof *m);
    if (before->rank != count || after->rank != count) {
        *nil = ag__fail("pad", 1, &x, AG_ERR_SHAPE,
                        "%d numbers before and %d after are given for %d axes: one of each for each axis is wanted",
                        before->rank, after->rank, count);
        return false;
    }
    for (int k = 0; k < count; k++) {
        const int a = axes->count == -1 ? k : ag__axis(axes->axis[k], rank);
        m->before[a] = before->extent[k], m->after[a] = after->extent[k];
        if (!margin_fits(x, a, m->before[a], m->after[a], nil)) return false;
        shape.extent[a] += m->before[a] + m->after[a];
    }
    return ag__shape_fits("pad", 1, &x, &shape, nil);
}

/* x without what the margins take away; these become 0. */
static ag_tensor *cropped(ag_tensor *x, margins *m) {
    ag__cut cut[AG_MAX_RANK];
    for (int i = 0; i < ag_rank(x); i++) {
        const int64_t n = ag_extent(x, i), b = m->before[i], e = m->after[i];
        cut[i] = (ag__cut){b < 0 ? -b : 0, e < 0 ? n + e : n, 1};
        m->before[i] = b < 0 ? 0 : b, m->after[i] = e < 0 ? 0 : e;
    }
    return ag__slices("pad", x, cut);
}

/* ---- Copies of elements ---- */

/* The index, on an axis of n elements, of element i, which may lie outside. */
static int64_t copied_from(ag_padding padding, int64_t i, int64_t n) {
    if (padding == AG_PAD_REPLICATE) return i < 0 ? 0 : i < n ? i : n - 1;
    const int64_t period = padding == AG_PAD_CIRCULAR ? n
                           : n > 1                    ? 2 * (n - 1)
                                                      : 1,
                  at = ((i % period) + period) % period;
    return at < n ? at : period - at;
}

/* The index for one axis of x, as a tensor of so many axes. */
static ag_tensor *index_along(ag_tensor *x, int axis, const margins *m, ag_padding padding) {
    const int64_t n = ag_extent(x, axis), wide = n + m->before[axis] + m->after[axis];
    ag_shape shape = {.rank = ag_rank(x)};
    for (int i = 0; i < shape.rank; i++) shape.extent[i] = i == axis ? wide : 1;
    const size_t bytes = ag__times((uint64_t)wide, sizeof(int64_t));
    ag__buffer *buffer = ag__buffer_new(x->tape, bytes);
    if (!buffer) return ag__fail("pad", 1, &x, AG_ERR_MEMORY, "out of memory (%zu bytes)", bytes);
    int64_t *at = buffer->data;
    for (int64_t i = 0; i < wide; i++) at[i] = copied_from(padding, i - m->before[axis], n);
    return ag__constant_with(x->tape, AG_I64, &shape, buffer);
}

static ag_tensor *with_copies(ag_tensor *x, const margins *m, ag_padding padding) {
    ag_tensor *in[1 + AG_MAX_RANK] = {x};
    ag__indexing f = {.rank = (uint8_t)ag_rank(x)};
    int count = 0;
    for (int i = 0; i < ag_rank(x); i++) {
        f.own[i] = (uint8_t)(i + 1);
        if (m->before[i] == 0 && m->after[i] == 0) continue;
        in[1 + count] = index_along(x, i, m, padding);
        if (ag_is_nil(in[1 + count])) return in[1 + count];
        f.own[i] = 0, f.index[i] = (uint8_t)++count;
    }
    return count == 0 ? x : ag_apply(&ag__op_index, 1 + count, in, &f, sizeof f);
}

static bool can_be_copied(ag_tensor *x, const margins *m, ag_tensor **nil) {
    for (int i = 0; i < ag_rank(x); i++) {
        const int64_t b = m->before[i], e = m->after[i], left = ag_extent(x, i) + (b < 0 ? b : 0) + (e < 0 ? e : 0);
        if (left > 0 || (b <= 0 && e <= 0)) continue;
        *nil = ag__fail("pad", 1, &x, AG_ERR_SHAPE, "axis %d has no elements that could be copied", i);
        return false;
    }
    return true;
}

ag_tensor *ag_pad(ag_tensor *x, ag_axes axes, ag_shape before, ag_shape after) {
    return ag_pad_with(x, axes, before, after, AG_PAD_CONSTANT, 0);
}

ag_tensor *ag_pad_with(ag_tensor *x, ag_axes axes, ag_shape before, ag_shape after, ag_padding padding, double value) {
    ag_tensor *nil;
    margins m;
    if (!margins_of(x, &axes, &before, &after, &m, &nil)) return nil;
    if ((unsigned)padding > AG_PAD_CIRCULAR)
        return ag__fail("pad", 1, &x, AG_ERR_RANGE, "number %u is no padding", (unsigned)padding);
    if (!ag__fits(value, ag_dtype_of(x)))
        return ag__fail("pad", 1, &x, AG_ERR_RANGE, "%s cannot hold %g", ag_dtype_name(ag_dtype_of(x)), value);
    if (padding != AG_PAD_CONSTANT && !can_be_copied(x, &m, &nil)) return nil;
    x = cropped(x, &m);
    if (ag_is_nil(x)) return x;
    if (padding == AG_PAD_CONSTANT) return ag__pad(x, m.before, m.after, value);
    return with_copies(x, &m, padding);
}
