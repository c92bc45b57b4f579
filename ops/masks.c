/* masks -- places where a tensor is true, as indices; what they select and replace; and one_hot
 *
 * What depends on the number of such places evaluates the mask when it is called. */
#include "autograd/tape/tape.h"
#include "ops/indexed.h"
#include "ops/rules.h"
#include "ops/shaping.h"

#include <string.h>

/* ---- Places ---- */

static int64_t count_nonzero(ag_dtype dtype, const void *data, int64_t n) {
    const unsigned char *bools = data;
    int64_t count = 0;
    if (dtype == AG_BOOL)
        for (int64_t i = 0; i < n; i++) count += bools[i];
    else
        for (int64_t i = 0; i < n; i++) count += ag__get_element(dtype, data, i) != 0;
    return count;
}

/* The numbers of the elements of a row that are not 0; returns how many. to: room for one more. */
static int64_t list_row(ag_dtype dtype, const void *data, int64_t start, int64_t n, int64_t *to) {
    const unsigned char *bools = (const unsigned char *)data + start;
    int64_t count = 0;
    for (int64_t j = 0; j < n; j++) {
        to[count] = j; /* overwritten by the next one if it is 0: there is no branch that would be mispredicted */
        count += dtype == AG_BOOL ? bools[j] : ag__get_element(dtype, data, start + j) != 0;
    }
    return count;
}

/* The indices on each axis of the elements that are not 0, one after the other; rows are along the last axis. */
static void list_nonzero(ag_dtype dtype, const void *data, const ag_shape *shape, int64_t n, int64_t *to) {
    const int last = shape->rank - 1;
    const int64_t width = last < 0 ? 1 : shape->extent[last];
    int64_t at[AG_MAX_RANK] = {0}, found[256];
    for (int64_t start = 0; start < n; start += width) {
        for (int64_t low = 0; low < width; low += 255) {
            const int64_t count = list_row(dtype, data, start + low, ag__lesser(width - low, 255), found);
            for (int64_t k = 0; k < count; k++, to += shape->rank) {
                if (last > 0) memcpy(to, at, (size_t)last * sizeof *to);
                if (last >= 0) to[last] = low + found[k];
            }
        }
        for (int k = last - 1; k >= 0 && ++at[k] == shape->extent[k]; k--) at[k] = 0;
    }
}

ag_tensor *ag_nonzero(ag_tensor *x) {
    ag_tensor *nil;
    if (!ag__inputs_usable("nonzero", 1, &x, &nil)) return nil;
    const ag_shape shape = ag_shape_of(x);
    const ag_dtype dtype = ag_dtype_of(x);
    const int64_t n = ag_size(x);
    const void *data = ag_data(x);
    if (!data) return ag__nil_of(x->tape);
    ag_shape places = AG_SHAPE(count_nonzero(dtype, data, n), shape.rank);
    const size_t bytes = ag__times((uint64_t)(places.extent[0] * places.extent[1]), sizeof(int64_t));
    ag__buffer *buffer = ag__buffer_new(x->tape, bytes);
    if (!buffer) return ag__fail("nonzero", 1, &x, AG_ERR_MEMORY, "out of memory (%zu bytes)", bytes);
    list_nonzero(dtype, data, &shape, n, buffer->data);
    return ag__constant_with(x->tape, AG_I64, &places, buffer);
}

/* ---- Masks ---- */

static bool is_mask(const char *name, int n, ag_tensor *const in[], ag_tensor **nil) {
    if (!ag__inputs_usable(name, n, in, nil)) return false;
    if (ag_dtype_of(in[1]) == AG_BOOL) return true;
    *nil = ag__fail(name, n, in, AG_ERR_DTYPE, "the mask must be bool, not %s", ag_dtype_name(ag_dtype_of(in[1])));
    return false;
}

ag_tensor *ag_masked_fill(ag_tensor *x, ag_tensor *mask, double value) {
    ag_tensor *nil, *in[] = {x, mask};
    ag_shape shape;
    if (!is_mask("masked_fill", 2, in, &nil)) return nil;
    if (!ag__fits(value, ag_dtype_of(x)))
        return ag__fail("masked_fill", 2, in, AG_ERR_RANGE, "%s cannot hold %g", ag_dtype_name(ag_dtype_of(x)), value);
    if (!ag__share_shape("masked_fill", 2, in, &shape, &nil)) return nil;
    return ag_where(mask, ag__number_as(x, value), x);
}

ag_tensor *ag_masked_select(ag_tensor *x, ag_tensor *mask) {
    static const char name[] = "masked_select";
    ag_tensor *nil, *in[] = {x, mask}, *wide[2];
    ag_shape shape;
    if (!is_mask(name, 2, in, &nil) || !ag__share_shape(name, 2, in, &shape, &nil)) return nil;
    const ag__position before = ag__position_now(x->tape);
    if (ag_broadcast_tensors(2, in, wide) != AG_OK) return ag__whole_or_nothing(wide[0], &before);
    for (int i = 0; i < 2; i++) in[i] = ag__reshape(wide[i], &AG_SHAPE(ag_size(wide[i])));
    return ag__whole_or_nothing(ag__index(name, in[0], AG_ITEMS(AG_BY(in[1]))), &before);
}

ag_tensor *ag_masked_scatter(ag_tensor *x, ag_tensor *mask, ag_tensor *source) {
    ag_tensor *nil, *in[] = {x, mask, source};
    if (!is_mask("masked_scatter", 3, in, &nil) || !ag__op_to_put("masked_scatter", x, source, AG_PUT_SET, &nil))
        return nil;
    const ag_shape shape = ag_shape_of(x);
    const ag__position before = ag__position_now(ag_tape_of(x));
    ag_tensor *wide = ag__widened("masked_scatter", 3, in, mask, &shape);
    if (ag_is_nil(wide)) return wide;
    ag_tensor *flat = ag__reshape(x, &AG_SHAPE(ag_size(x))),
              *places = ag_nonzero(ag__reshape(wide, &AG_SHAPE(ag_size(x))));
    const int64_t count = ag_is_nil(places) ? 0 : ag_extent(places, 0);
    if (ag_is_nil(places)) return ag__whole_or_nothing(places, &before);
    if (count > ag_size(source))
        return ag__whole_or_nothing(ag__fail("masked_scatter", 3, in, AG_ERR_SHAPE,
                                             "%lld places are true: the source has %lld elements", (long long)count,
                                             (long long)ag_size(source)),
                                    &before);
    ag_tensor *first = ag_slice(ag__reshape(source, &AG_SHAPE(ag_size(source))), 0, 0, count, 1);
    ag_tensor *index = ag__reshape(places, &AG_SHAPE(count));
    ag_tensor *y = ag__index_put("masked_scatter", flat, AG_ITEMS(AG_BY(index)), first, AG_PUT_SET);
    return ag_is_nil(y) ? y : ag__reshape(y, &shape);
}

/* ---- one_hot ---- */

static bool one_hot_infer(ag_infer *r) {
    const int64_t *a = r->attributes; /* extent, dtype */
    const ag_tensor *index = r->x[0];
    if (index->dtype != AG_I64)
        return ag_reject(r, AG_ERR_DTYPE, "the index must be i64, not %s", ag_dtype_name((ag_dtype)index->dtype));
    if (a[1] < 0 || a[1] >= AG_DTYPES) return ag_reject(r, AG_ERR_DTYPE, "dtype %lld is invalid", (long long)a[1]);
    if (r->shape.rank == AG_MAX_RANK) return ag_reject(r, AG_ERR_SHAPE, "the result would have more than 8 axes");
    r->shape.extent[r->shape.rank++] = a[0];
    r->dtype = (ag_dtype)a[1];
    return true;
}

static bool one_hot_eval(const ag_call *call) {
    const ag_array *index = &call->x[0], *y = &call->y;
    const int64_t n = y->shape[index->rank];
    if (!ag__indices_fit(call, index, index->rank, n)) return false;
    memset(y->data, 0, (size_t)y->size * ag_dtype_size(y->dtype));
    const int64_t *at = index->data;
    for (int64_t i = 0; i < index->size; i++) ag__put_element(y->dtype, y->data, i * n + at[i], 1);
    return true;
}

const ag_op ag__op_one_hot = {.name = "one_hot",
                              .notation = "one_hot({0}, {i0})",
                              .kind = AG_KIND_OPAQUE,
                              .flags = AG_OP_CONTIGUOUS,
                              .arity = 1,
                              .attribute_bytes = 2 * sizeof(int64_t),
                              .infer = one_hot_infer,
                              .eval = one_hot_eval,
                              .vjp = ag_zero_vjp};

ag_tensor *ag_one_hot(ag_tensor *index, int64_t n, ag_dtype dtype) {
    const int64_t attributes[] = {n, (int64_t)dtype};
    return ag_apply(&ag__op_one_hot, 1, &index, attributes, sizeof attributes);
}
