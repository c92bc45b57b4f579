/* tensor -- properties of a handle, and its label
 *
 * Queries cannot fail: autograd.h states their results for NULL, nil and rewound tensors. */
#include "autograd/tape/tape.h"

#include <string.h>

static bool alive(const ag_tensor *x) { return x && !(x->flags & (AG__NIL | AG__STALE)); }

static bool variable(const ag_tensor *x) { return alive(x) && x->flags & AG__VARIABLE; }

bool ag_is_nil(const ag_tensor *x) { return !alive(x); }
ag_tape *ag_tape_of(const ag_tensor *x) { return x ? x->tape : NULL; }
ag_dtype ag_dtype_of(const ag_tensor *x) { return alive(x) ? (ag_dtype)x->dtype : AG_F64; }
ag_shape ag_shape_of(const ag_tensor *x) { return alive(x) ? ag__layout_shape(x->layout) : (ag_shape){0}; }
int ag_rank(const ag_tensor *x) { return alive(x) ? x->layout->rank : 0; }
int64_t ag_size(const ag_tensor *x) { return alive(x) ? x->layout->size : 0; }
const char *ag_label_of(const ag_tensor *x) { return alive(x) && ag__about(x)->label ? ag__about(x)->label : ""; }
bool ag_is_frozen(const ag_tensor *x) { return alive(x) && x->flags & AG__FROZEN && x->flags & AG__PARAMETER; }
bool ag_requires_grad(const ag_tensor *x) { return alive(x) && x->flags & AG__REQUIRES; }
const ag_op *ag_op_of(const ag_tensor *x) { return alive(x) ? x->op : NULL; }
int64_t ag_values_given(const ag_tensor *x) { return variable(x) ? ag__variable_of(x)->values : 0; }
int ag_inputs(const ag_tensor *x) { return alive(x) ? x->arity : 0; }
ag_tensor *ag_part_of(const ag_tensor *x) { return alive(x) ? ag__part_node(x) : NULL; }

/* The user has a handle from now on, by which gradients may be asked for: later scans do not look through it. */
ag_tensor *ag_input(const ag_tensor *x, int i) {
    if (i < 0 || i >= ag_inputs(x)) return NULL;
    ag_tensor *in = x->input[i];
    if (!in->tape->scan_from && in->op->kind == AG_KIND_VIEW) in->flags &= (uint16_t)~AG__IMPLIED;
    return in;
}

int64_t ag_extent(const ag_tensor *x, int axis) {
    int a = ag__axis(axis, ag_rank(x));
    return a < 0 ? 0 : x->layout->extent[a];
}

const char *ag_place_of(const ag_tensor *x, int *line) {
    bool known = alive(x) && ag__about(x)->file;
    if (line) *line = known ? ag__about(x)->line : 0;
    return known ? ag__about(x)->file : "";
}

/* A variable's attributes are the engine's own. */
const void *ag_attributes(const ag_tensor *x) {
    return alive(x) && x->attribute_bytes && !(x->flags & AG__VARIABLE) ? ag__attributes(x) : NULL;
}

ag_tensor *ag_keep(ag_tensor *x) {
    if (alive(x)) x->flags |= AG__KEEP;
    return x;
}

static ag_tensor *label_as(ag_tensor *x, const ag__scope *scope, const char *label) {
    ag_tensor *nil;
    if (!ag__inputs_usable("label", 1, &x, &nil)) return nil;
    if (!label) return ag__fail("label", 1, &x, AG_ERR_NULL, "the label is NULL");
    size_t before = scope ? scope->bytes : 0, bytes = ag__plus(before, strlen(label) + 1);
    ag__label *l = ag__arena(x->tape, ag__plus(sizeof *l, bytes));
    if (!l) return ag__fail("label", 1, &x, AG_ERR_MEMORY, "out of memory (%zu bytes, for a label)", bytes);
    *l = (ag__label){.before = x->tape->labels, .tensor = x, .former = ag__about(x)->label};
    if (before) memcpy(l->text, scope->prefix, before);
    memcpy(l->text + before, label, bytes - before);
    x->tape->labels = l;
    ag__about(x)->label = l->text;
    return x;
}

ag_tensor *ag_label(ag_tensor *x, const char *label) {
    return label_as(x, x && x->tape ? x->tape->scope : NULL, label);
}

ag_tensor *ag__label_whole(ag_tensor *x, const char *label) { return label_as(x, NULL, label); }
