/* items -- x[…] with all kinds of items: their meaning for x, and how they are read and written
 *
 * Everything is checked before anything is recorded, except shapes that depend on a mask's values. What no tensor
 * indexes is read as a view. To write, integers and slices become indices as well. */
#include "autograd/tape/tape.h"
#include "ops/indexed.h"
#include "ops/rules.h"
#include "ops/shaping.h"

#include <string.h>

enum { MOST_ITEMS = 32, MOST_ENTRIES = MOST_ITEMS + 2 * AG_MAX_RANK };

/* ---- The meaning of items ---- */

/* An item, once "…" is written out as slices, and each axis of a mask is an entry. */
typedef struct entry {
    ag_subscript_kind kind; /* not AG_ITEM_REST */
    int axis;               /* of x; −1: a new one */
    int64_t extent;         /* of this axis */
    ag__cut cut;            /* of a slice; of an integer, the slice with this element */
    ag_tensor *index;
    int column;       /* of a mask's places; −1: not of a mask */
    int64_t at, step; /* of a slice: its first index, the step to the next, */
    int64_t m;        /* how many there are, */
    bool behind;      /* and whether it is written behind the tensors' axes */
} entry;

typedef struct meaning {
    const char *name;
    ag_tensor *x;
    int n; /* entries */
    entry e[MOST_ENTRIES];
    int tensors; /* of indices, a mask's axes included */
    int lists;   /* and how many of them are not a mask's; a second mask's count as well */
    int block;   /* axes that they have together */
    int rank;    /* of the result, new axes included */
    ag_tensor *nil;
} meaning;

/* False, after an error. */
#define REFUSE(m, status, ...) ((m)->nil = ag__fail((m)->name, 1, &(m)->x, status, __VA_ARGS__), false)

/* The axes of x that an item takes. */
static int axes_taken(const ag_subscript *item) {
    const bool taken = item->kind == AG_ITEM_INTEGER || item->kind == AG_ITEM_SLICE || item->kind == AG_ITEM_INDEX;
    if (item->kind == AG_ITEM_INDEX && ag_dtype_of(item->index) == AG_BOOL) return ag_rank(item->index);
    return taken;
}

/* Whether x and the items' tensors can be read. */
static bool tensors_usable(meaning *m, int n, const ag_subscript *item) {
    ag_tensor *in[1 + MOST_ITEMS] = {m->x};
    int count = 1;
    for (int i = 0; item && i < n && i < MOST_ITEMS; i++)
        if (item[i].kind == AG_ITEM_INDEX) in[count++] = item[i].index;
    return ag__inputs_usable(m->name, count, in, &m->nil);
}

/* Whether the items are of some kind, and not too many. */
static bool items_valid(meaning *m, int n, const ag_subscript *item) {
    int rests = 0;
    if (n < 0 || n > MOST_ITEMS) return REFUSE(m, AG_ERR_RANGE, "%d items: 0 to %d are wanted", n, MOST_ITEMS);
    if (n > 0 && !item) return REFUSE(m, AG_ERR_NULL, "the items are NULL");
    for (int i = 0; i < n; i++) {
        if ((unsigned)item[i].kind > AG_ITEM_INDEX)
            return REFUSE(m, AG_ERR_RANGE, "item %d is of the invalid kind %u", i, (unsigned)item[i].kind);
        if (item[i].kind == AG_ITEM_REST && rests++) return REFUSE(m, AG_ERR_AXIS, "item %d is a second \"...\"", i);
    }
    return true;
}

static entry *add_entry(meaning *m, ag_subscript_kind kind, int axis) {
    entry *e = &m->e[m->n++];
    *e = (entry){.kind = kind, .axis = axis, .cut = {AG_END, AG_END, 1}, .column = -1, .step = 1, .m = 1};
    if (axis >= 0) e->extent = e->m = ag_extent(m->x, axis);
    return e;
}

static bool add_integer(meaning *m, int64_t i, int axis) {
    entry *e = add_entry(m, AG_ITEM_INTEGER, axis);
    e->at = i < 0 ? i + e->extent : i;
    if (i < -e->extent || i >= e->extent)
        return REFUSE(m, AG_ERR_RANGE, "index %lld is out of range for axis %d with extent %lld", (long long)i, axis,
                      (long long)e->extent);
    e->cut = (ag__cut){e->at, e->at + 1, 1};
    return true;
}

static bool add_slice(meaning *m, const ag_subscript *item, int axis) {
    entry *e = add_entry(m, AG_ITEM_SLICE, axis);
    if (item->step == 0) return REFUSE(m, AG_ERR_RANGE, "step 0 leads nowhere on axis %d", axis);
    e->cut = (ag__cut){item->start, item->stop, item->step};
    e->m = ag__cut_extent(&e->cut, e->extent, &e->at, &e->step);
    return true;
}

static bool add_mask(meaning *m, ag_tensor *mask, int axis) {
    if (ag_rank(mask) == 0) return REFUSE(m, AG_ERR_SHAPE, "a mask must have an axis at least");
    for (int i = 0; i < ag_rank(mask); i++) {
        entry *e = add_entry(m, AG_ITEM_INDEX, axis + i);
        e->index = mask, e->column = i;
        if (ag_extent(mask, i) != e->extent)
            return REFUSE(m, AG_ERR_SHAPE, "axis %d has extent %lld, and %lld in the mask", axis + i,
                          (long long)e->extent, (long long)ag_extent(mask, i));
    }
    m->lists += m->tensors > 0;
    m->tensors += ag_rank(mask);
    if (m->block < 1) m->block = 1;
    return true;
}

static bool add_index(meaning *m, ag_tensor *index, int axis) {
    if (ag_dtype_of(index) == AG_BOOL) return add_mask(m, index, axis);
    if (ag_dtype_of(index) != AG_I64)
        return REFUSE(m, AG_ERR_DTYPE, "an index must be i64 or bool, not %s", ag_dtype_name(ag_dtype_of(index)));
    add_entry(m, AG_ITEM_INDEX, axis)->index = index;
    m->tensors++, m->lists++;
    if (m->block < ag_rank(index)) m->block = ag_rank(index);
    return true;
}

static bool add_item(meaning *m, const ag_subscript *item, int axis) {
    if (item->kind == AG_ITEM_INTEGER) return add_integer(m, item->start, axis);
    if (item->kind == AG_ITEM_SLICE) return add_slice(m, item, axis);
    if (item->kind == AG_ITEM_INDEX) return add_index(m, item->index, axis);
    return add_entry(m, AG_ITEM_NEW, -1), true;
}

static bool is_slice_or_new(const entry *e) { return e->kind == AG_ITEM_SLICE || e->kind == AG_ITEM_NEW; }

/* The tensors' axes come where integers and tensors are, if these are neighbours: `runs` counts their runs. */
static bool settle(meaning *m, int runs) {
    int kept = 0;
    for (int i = 0; i < m->n; i++) kept += is_slice_or_new(&m->e[i]);
    m->rank = kept + m->block;
    bool met = runs > 1;
    for (int i = 0; i < m->n; i++) {
        if (is_slice_or_new(&m->e[i])) m->e[i].behind = met;
        else met = true;
    }
    return m->rank <= AG_MAX_RANK ||
           REFUSE(m, AG_ERR_SHAPE, "the result would have %d axes: at most %d are wanted", m->rank, AG_MAX_RANK);
}

/* False after an error. */
static bool understand(meaning *m, int n, const ag_subscript *item) {
    int taken = 0, axis = 0, runs = 0, rank;
    if (!tensors_usable(m, n, item) || !items_valid(m, n, item)) return false;
    rank = ag_rank(m->x);
    for (int i = 0; i < n; i++) taken += axes_taken(&item[i]);
    if (taken > rank) return REFUSE(m, AG_ERR_AXIS, "%d axes are indexed: x has %d", taken, rank);
    bool in_run = false;
    for (int i = 0; i < n; i++) {
        const bool advanced = item[i].kind == AG_ITEM_INTEGER || item[i].kind == AG_ITEM_INDEX;
        runs += advanced && !in_run;
        in_run = advanced;
        if (item[i].kind == AG_ITEM_REST)
            for (; rank - axis > taken; axis++) add_entry(m, AG_ITEM_SLICE, axis);
        else if (!add_item(m, &item[i], axis)) return false;
        axis += axes_taken(&item[i]);
        taken -= axes_taken(&item[i]);
    }
    for (; axis < rank; axis++) add_entry(m, AG_ITEM_SLICE, axis);
    return settle(m, runs);
}

/* ---- Tensors of indices ---- */

/* The place in the result, without new axes, of slice i, or of the block for i = n. */
static int place_of(const meaning *m, int i) {
    int place = 0;
    const bool block = i == m->n;
    for (int k = 0; k < m->n; k++) {
        const entry *e = &m->e[k];
        if (e->kind == AG_ITEM_SLICE && (block ? !e->behind : k < i)) place++;
    }
    return place + (!block && m->e[i].behind ? m->block : 0);
}

static int slices_of(const meaning *m) {
    int count = 0;
    for (int i = 0; i < m->n; i++) count += m->e[i].kind == AG_ITEM_SLICE;
    return count;
}

/* The index of an entry, as one of a tensor of so many axes: its own axes at the block's end. */
static ag_tensor *in_block(const meaning *m, const entry *e, int rank) {
    ag_tensor *index = e->index;
    if (e->column >= 0) {
        index = ag_slice(index, 1, e->column, e->column + 1, 1);
        index = ag__reshape(index, &AG_SHAPE(ag_extent(index, 0)));
    }
    ag_shape shape = {.rank = rank};
    const int own = ag_rank(index), from = place_of(m, m->n) + m->block - own;
    for (int r = 0; r < rank; r++) shape.extent[r] = r >= from && r < from + own ? ag_extent(index, r - from) : 1;
    return ag__reshape(index, &shape);
}

/* Evaluate the masks, each once: they become their places. */
static bool places_of_masks(meaning *m) {
    for (int i = 0; i < m->n; i++) {
        entry *e = &m->e[i];
        if (e->column < 0) continue;
        ag_tensor *places = e->column == 0 ? ag_nonzero(e->index) : m->e[i - 1].index;
        if (ag_is_nil(places)) return m->nil = places, false;
        e->index = places;
    }
    return true;
}

/* ---- Reading ---- */

/* The result's shape with new axes, from that of slices and block alone. */
static ag_shape with_new_axes(const meaning *m, const ag_shape *without) {
    ag_shape shape = {0};
    int r = 0;
    bool block = false;
    for (int i = 0; i <= m->n; i++) {
        const entry *e = i < m->n ? &m->e[i] : NULL;
        if (!block && (!e || (is_slice_or_new(e) && e->behind))) {
            for (int k = 0; k < m->block; k++) shape.extent[shape.rank++] = without->extent[r++];
            block = true;
        }
        if (e && e->kind == AG_ITEM_NEW) shape.extent[shape.rank++] = 1;
        if (e && e->kind == AG_ITEM_SLICE) shape.extent[shape.rank++] = without->extent[r++];
    }
    return shape;
}

static ag_tensor *finished(const meaning *m, ag_tensor *y) {
    const ag_shape shape = ag_shape_of(y);
    return ag_is_nil(y) ? y : ag_reshape(y, with_new_axes(m, &shape));
}

/* The view of x that is left to be indexed by tensors: sliced, without the axes of integers. */
static ag_tensor *sliced(meaning *m) {
    ag__cut cut[AG_MAX_RANK];
    ag_shape shape = {0};
    for (int i = 0; i < m->n; i++) {
        const entry *e = &m->e[i];
        if (e->axis >= 0) cut[e->axis] = e->cut;
        if (e->kind == AG_ITEM_SLICE || e->kind == AG_ITEM_INDEX)
            shape.extent[shape.rank++] = e->kind == AG_ITEM_SLICE ? e->m : e->extent;
    }
    ag_tensor *y = ag__slices(m->name, m->x, cut);
    return ag_is_nil(y) ? y : ag__reshape(y, &shape);
}

/* If it fails, nodes that it has recorded stay. */
static ag_tensor *take(meaning *m) {
    if (!places_of_masks(m)) return m->nil;
    ag_tensor *in[1 + AG_MAX_RANK] = {sliced(m)};
    if (m->tensors == 0 || ag_is_nil(in[0])) return finished(m, in[0]);
    ag__indexing f = {.rank = (uint8_t)(slices_of(m) + m->block)};
    int axis = 0, count = 0;
    for (int i = 0; i < m->n; i++) {
        const entry *e = &m->e[i];
        if (e->kind == AG_ITEM_SLICE) f.own[place_of(m, i)] = (uint8_t)(axis + 1);
        if (e->kind == AG_ITEM_INDEX) {
            in[1 + count] = in_block(m, e, f.rank);
            f.index[axis] = (uint8_t)++count;
        }
        axis += e->kind == AG_ITEM_SLICE || e->kind == AG_ITEM_INDEX;
    }
    return finished(m, ag_apply(&ag__op_index, 1 + count, in, &f, sizeof f));
}

ag_tensor *ag__index(const char *name, ag_tensor *x, int n, const ag_subscript item[]) {
    meaning m = {.name = name, .x = x};
    if (!understand(&m, n, item)) return m.nil;
    const ag__position before = ag__position_now(ag_tape_of(x));
    return ag__whole_or_nothing(take(&m), &before);
}

ag_tensor *ag_index(ag_tensor *x, int n, const ag_subscript item[]) { return ag__index("index", x, n, item); }

/* ---- Writing ---- */

static bool is_whole(const entry *e) { return e->at == 0 && e->m == e->extent && (e->step == 1 || e->m < 2); }

/* The index of any entry, also of an integer or a slice, whose place in the result is `place`. */
static ag_tensor *as_index(const meaning *m, const entry *e, int place, int rank) {
    ag_tape *tape = ag_tape_of(m->x);
    ag_shape shape = {.rank = rank};
    if (e->kind == AG_ITEM_INDEX) return in_block(m, e, rank);
    for (int r = 0; r < rank; r++) shape.extent[r] = 1;
    if (e->kind == AG_ITEM_INTEGER) return ag_full(tape, AG_I64, shape, (double)e->at);
    shape.extent[place] = e->m;
    const double start = (double)e->at, step = (double)e->step;
    return ag__reshape(ag_arange_with(tape, AG_I64, start, start + step * (double)e->m, step), &shape);
}

/* The shape of what is written, without new axes: the indices' extents, broadcast; false after an error. */
static bool place_shape(meaning *m, int count, ag_tensor *const index[], ag_shape *shape) {
    for (int i = 0; i < m->n; i++)
        if (m->e[i].kind == AG_ITEM_SLICE) shape->extent[place_of(m, i)] = m->e[i].m;
    for (int k = 0; k < m->block; k++) shape->extent[place_of(m, m->n) + k] = 1;
    for (int k = 0; k < count; k++)
        for (int r = 0; r < shape->rank; r++) {
            const int64_t e = ag_extent(index[k], r);
            if (e == 1 || e == shape->extent[r]) continue;
            if (shape->extent[r] != 1)
                return REFUSE(m, AG_ERR_SHAPE, "axis %d: the extents %lld and %lld cannot be broadcast", r,
                              (long long)shape->extent[r], (long long)e);
            shape->extent[r] = e;
        }
    return true;
}

/* The values in this shape, to which they are broadcast with new axes; nil after an error. */
static ag_tensor *spread(meaning *m, ag_tensor *values, const ag_shape *without) {
    const ag_shape shape = with_new_axes(m, without);
    ag_tensor *y = ag__widened(m->name, 2, (ag_tensor *[]){m->x, values}, values, &shape);
    return ag_is_nil(y) ? y : ag__reshape(y, without);
}

/* The same as `take`. */
static ag_tensor *put(meaning *m, const ag_op *op, ag_tensor *values, ag_put how) {
    ag_tensor *in[2 + AG_MAX_RANK] = {m->x};
    if (!places_of_masks(m)) return m->nil;
    ag__indexing f = {.how = (uint8_t)how, .unique = m->lists == 0, .rank = (uint8_t)(slices_of(m) + m->block)};
    int count = 0;
    for (int i = 0; i < m->n; i++) {
        const entry *e = &m->e[i];
        const int place = place_of(m, i);
        if (e->kind == AG_ITEM_NEW) continue;
        if (e->kind == AG_ITEM_SLICE && is_whole(e)) {
            f.own[place] = (uint8_t)(e->axis + 1);
            continue;
        }
        in[2 + count] = as_index(m, e, place, f.rank);
        if (ag_is_nil(in[2 + count])) return in[2 + count];
        f.index[e->axis] = (uint8_t)++count;
    }
    ag_shape shape = {.rank = f.rank};
    if (!place_shape(m, count, in + 2, &shape)) return m->nil;
    in[1] = spread(m, values, &shape);
    return ag_is_nil(in[1]) ? in[1] : ag_apply(op, 2 + count, in, &f, sizeof f);
}

ag_tensor *ag__index_put(const char *name, ag_tensor *x, int n, const ag_subscript item[], ag_tensor *values,
                         ag_put how) {
    meaning m = {.name = name, .x = x};
    ag_tensor *in[] = {x, values};
    if (!ag__inputs_usable(name, 2, in, &m.nil)) return m.nil;
    const ag_op *op = ag__op_to_put(name, x, values, how, &m.nil);
    if (!op || !understand(&m, n, item)) return m.nil;
    const ag__position before = ag__position_now(ag_tape_of(x));
    return ag__whole_or_nothing(put(&m, op, values, how), &before);
}
ag_tensor *ag_index_put(ag_tensor *x, int n, const ag_subscript item[], ag_tensor *values, ag_put how) {
    return ag__index_put("index_put", x, n, item, values, how);
}
