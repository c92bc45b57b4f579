/* sequence -- layers one behind the other: adding them, applying them
 *
 * A layer is in memory of the tape, as its state and its names are. A sequence notes a mark behind all of that, so that
 * one whose layers a rewind has released is refused, and never read. */
#include "autograd/tape/format.h"
#include "nn/adding.h"
#include "nn/along.h"

#include <string.h>

/* ---- Making ---- */

ag_tensor *ag__sequence_wrong(const char *call, const ag_sequence *model) {
    if (!model) return ag__refuse_on(NULL, call, AG_ERR_NULL, "the sequence is NULL");
    if (!model->tape) return ag__refuse_on(NULL, call, AG_ERR_NULL, "the sequence was not initialised");
    if (ag_tape_status(model->tape) == AG_OK && !ag_mark_valid(model->mark))
        return ag__refuse_on(model->tape, call, AG_ERR_TAPE, "a rewind has released layers of the sequence");
    return NULL;
}

ag_status ag_sequence_init(ag_sequence *model, ag_tape *tape, ag_dtype dtype, const char *name) {
    ag_tensor *nil = ag__init_wrong("sequence_init", model, tape, dtype, true, " ");
    if (nil) {
        if (model) *model = (ag_sequence){.tape = NULL};
        return ag_eval(nil);
    }
    int line;
    const char *file = ag_caller(&line);
    *model = (ag_sequence){.training = true, .tape = tape, .dtype = dtype};
    if (name) { /* a scope decides whether it is valid */
        ag_scope(tape, name);
        ag_scope_end(tape);
        char *copy = ag_tape_alloc(tape, strlen(name) + 1);
        model->name = copy ? strcpy(copy, name) : NULL;
    }
    if (file) ag_here(file, line);
    model->mark = ag_tape_mark(tape);
    return ag_tape_status(tape);
}

/* ---- Adding ---- */

static bool is_taken(const ag_sequence *model, const char *name) {
    for (const ag_layer *l = model->first; l; l = l->next)
        if (strcmp(l->name, name) == 0) return true;
    return false;
}

ag__adding ag__adding_begin(const char *call, ag_sequence *model, const char *name) {
    ag__adding a = {.model = NULL};
    a.file = ag_caller(&a.line);
    a.part = ag__sequence_wrong(call, model);
    if (a.part) return a;
    ag_tape *tape = model->tape;
    ag__format(a.number, sizeof a.number, "%lld", (long long)model->count);
    if (!name) name = a.number;
    a.model = model;
    a.before = ag_tape_mark(tape);
    if (model->name) ag_scope(tape, model->name);
    a.part = ag_label(ag_scalar(tape, AG_F64, 0), name);
    a.former = ag_tape_set_part(tape, a.part);
    ag_scope(tape, name);
    if (is_taken(model, ag_label_of(a.part)))
        ag__refuse_on(tape, call, AG_ERR_RANGE, "a layer of the sequence has the name \"%.60s\" already", name);
    return a;
}

/* The layer, in memory of the tape; NULL after an error. */
static ag_layer *new_layer(const ag__adding *a, const ag_layer_kind *kind, void *state, size_t bytes) {
    ag_layer *layer = ag_tape_alloc(a->model->tape, sizeof *layer);
    void *copy = layer && bytes ? ag_tape_alloc(a->model->tape, bytes) : state;
    if (!layer || (bytes && !copy)) return NULL;
    if (bytes) memcpy(copy, state, bytes);
    *layer = (ag_layer){.kind = kind, .state = copy, .name = ag_label_of(a->part), .part = a->part};
    return layer;
}

static void append(ag_sequence *model, ag_layer *layer, ag_mark mark) {
    if (model->last) model->last->next = layer;
    else model->first = layer;
    model->last = layer;
    model->count++;
    model->mark = mark;
}

ag_status ag__adding_end(const ag__adding *a, const ag_layer_kind *kind, void *state, size_t bytes) {
    if (a->model) {
        ag_tape *tape = a->model->tape;
        ag_scope_end(tape);
        if (a->model->name) ag_scope_end(tape);
        ag_layer *layer = ag_tape_status(tape) == AG_OK ? new_layer(a, kind, state, bytes) : NULL;
        ag_mark mark = ag_tape_mark(tape);
        ag_tape_set_part(tape, a->former);
        if (layer && ag_tape_status(tape) == AG_OK) append(a->model, layer, mark);
        else ag_tape_rewind(tape, a->before);
    }
    if (a->file) ag_here(a->file, a->line);
    return ag_eval(a->part);
}

ag_status ag_sequence_add(ag_sequence *model, const ag_layer_kind *kind, const char *name, void *state, size_t bytes) {
    ag__adding a = ag__adding_begin("sequence_add", model, name);
    if (a.model && (!kind || !kind->apply || !kind->name || (bytes && !state)))
        ag__refuse_on(model->tape, "sequence_add", AG_ERR_NULL, "the kind, its name or apply, or the state is NULL");
    return ag__adding_end(&a, kind, state, bytes);
}

ag_layer *ag_sequence_at(const ag_sequence *model, int64_t i) {
    ag_layer *layer = model && i >= 0 && model->tape && ag_mark_valid(model->mark) ? model->first : NULL;
    while (layer && i-- > 0) layer = layer->next;
    return layer;
}

/* ---- Applying ---- */

/* The output of a layer, which may be the user's. */
static ag_tensor *apply_layer(const ag_layer *layer, ag_tensor *x, bool training) {
    ag_tape *tape = ag_tape_of(x);
    ag_tensor *former = ag_tape_set_part(tape, layer->part);
    ag_tensor *y = layer->kind->apply(layer->state, x, training);
    if (!y || ag_is_nil(y) || ag_tape_of(y) != tape) /* an earlier error stays */
        y = ag__refuse_on(tape, layer->kind->name, AG_ERR_NIL, "the layer returned no tensor of this tape");
    ag_tape_set_part(tape, former);
    return y;
}

ag_tensor *ag__sequence_run(const ag_sequence *model, ag_tensor *x, bool training) {
    ag_tensor *nil = ag__sequence_wrong("sequence_apply", model);
    if (nil) return nil;
    ag_tensor *const given = x;
    for (ag_layer *layer = model->first; layer; layer = layer->next) {
        x = apply_layer(layer, x, training);
        if (ag_is_nil(x)) return x;
        layer->shape = ag_shape_of(x);
        layer->applied = true;
    }
    return x == given ? ag__reshape_like(x, x) : x; /* of a variable its present value */
}

ag_tensor *ag_sequence_apply(const ag_sequence *model, ag_tensor *x) {
    ag_tensor *nil = ag__sequence_wrong("sequence_apply", model);
    if (nil) return nil;
    if (!x) return ag__refuse_on(model->tape, "sequence_apply", AG_ERR_NULL, "the input is NULL");
    if (ag_is_nil(x)) return ag__refuse("sequence_apply", 1, &x, AG_ERR_NIL, "the input is nil");
    if (ag_tape_of(x) != model->tape)
        return ag__refuse("sequence_apply", 1, &x, AG_ERR_TAPE, "the input is on another tape than the sequence");
    return ag__sequence_run(model, x, model->training);
}
