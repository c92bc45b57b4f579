/* recording -- the function that is checked: recorded again and again, with its inputs moved
 *
 * Each input is a variable, its own or a temporary one, so that moving it is an assignment.
 * Invariant: between two evaluations of f the tape ends at `position`, and every input but the one that is being moved
 * has its own value. Nothing of a check outlives it, except for the recording in which a guilty operation is shown. */
#include "autograd/diff/gradcheck.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- Memory and random numbers ---- */

void *ag__check_room(ag__check *c, int64_t count, size_t size) {
    if ((uint64_t)count < PTRDIFF_MAX / 2 / size) {
        size_t bytes = sizeof(ag__check_block) + ((size_t)count * size + 15) / 16 * 16;
        ag__check_block *b = ag__resize(c->tape, NULL, 0, bytes);
        if (b) {
            memset(b, 0, bytes);
            *b = (ag__check_block){c->blocks, bytes};
            c->blocks = b;
            return b + 1;
        }
    }
    ag__fail_on(c->tape, "gradcheck", AG_ERR_MEMORY, "out of memory (%lld numbers)", (long long)count);
    return NULL;
}

double *ag__check_numbers(ag__check *c, int64_t count) { return ag__check_room(c, count, sizeof(double)); }

static void release_room(ag__check *c) {
    for (ag__check_block *b = c->blocks, *next; b; b = next) {
        next = b->next;
        ag__resize(c->tape, b, b->bytes, 0);
    }
    c->blocks = NULL;
}

/* Number i of a sequence (splitmix64), of magnitude ½ to 1½ and of either sign: none so small that it hides its
 * term. */
double ag__check_weight(uint64_t seed, uint64_t i) {
    uint64_t z = seed * 0xD1B54A32D192ED03u + (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    double size = 0.5 + (double)(z >> 11) * 0x1p-53;
    return z & 1 ? size : -size;
}

void ag__check_weights(const ag__check *c, uint64_t stream, int64_t count, double *w) {
    if (count == 1) w[0] = 1; /* the report then shows the derivative itself */
    else
        for (int64_t i = 0; i < count; i++) w[i] = ag__check_weight(c->options.seed + stream, (uint64_t)i);
}

/* ---- Recording f ---- */

void ag__check_rewind(ag__check *c, const ag__position *position) {
    ag__truncate(c->tape, position);
    c->tape->mark_count = c->marks;
}

static bool complain(ag_tensor *y, ag_status status, const char *what) {
    ag__fail("gradcheck", 1, &y, status, "%s", what);
    return false;
}

/* Whether f has returned a tensor that it may return, of the same shape as before. */
static bool output_sound(ag__check *c, ag_tensor *y) {
    const char *wrong = !y                     ? "the function returned NULL"
                        : y->flags & AG__NIL   ? "the function returned nil"
                        : y->flags & AG__STALE ? "the function's output was released by a rewind"
                        : y->tape != c->tape   ? "the function's output is on another tape"
                                               : NULL;
    if (c->tape->status != AG_OK) return false;
    if (wrong) {
        ag__fail_on(c->tape, "gradcheck",
                    !y                   ? AG_ERR_NULL
                    : y->flags & AG__NIL ? AG_ERR_NIL
                                         : AG_ERR_TAPE,
                    "%s", wrong);
        return false;
    }
    if (y->dtype != AG_F64) return complain(y, AG_ERR_DTYPE, "the function's output must be f64");
    if (c->shaped && !ag__layout_is(y->layout, &c->shape))
        return complain(y, AG_ERR_SHAPE, "the function's output must have the same shape at each call");
    c->shape = ag__layout_shape(y->layout);
    c->shaped = true;
    return true;
}

/* The cotangent is a constant of f's shape that wraps our memory. */
static bool record_gradient(ag__check *c, ag_tensor *y) {
    int64_t size = y->layout->size;
    if (!c->cotangent) {
        if (!(c->cotangent = ag__check_numbers(c, size))) return false;
        ag__check_weights(c, 0, size, c->cotangent);
    }
    ag_tensor *w = ag_wrap(c->tape, AG_F64, c->shape, c->cotangent);
    return ag_vjp(1, &y, &w, c->n, c->given, c->out, 0) == AG_OK;
}

/* Record the checked function again on an empty tape; c->out is its output. */
bool ag__check_record(ag__check *c) {
    ag_tape *t = c->tape;
    ag__check_rewind(c, &c->position);
    t->draws = c->draws;
    t->sandbox = t->recording = true;
    ag__within former = ag__enter(t, AG__FUNCTION, "gradcheck", &c->position);
    ag_tensor *y = c->f(c->context, c->n, c->given);
    ag__return(t, former);
    if (!output_sound(c, y)) return false;
    c->y = c->out[0] = ag__current(y);
    return c->y && (c->order == 1 || record_gradient(c, c->y));
}

bool ag__check_copy_out(int n, ag_tensor *const x[], double *to) {
    if (ag_eval_all(n, x) != AG_OK) return false;
    for (int i = 0; i < n; i++) {
        int64_t size = x[i]->layout->size;
        const void *data = ag_data(x[i]);
        if (!data) return false;
        if (size) memcpy(to, data, (size_t)size * sizeof *to);
        to += size;
    }
    return true;
}

static bool evaluate(ag__check *c, double *y) {
    bool good = ag__check_record(c) && ag__check_copy_out(ag__check_outputs(c), c->out, y);
    ag__check_rewind(c, &c->position);
    return good;
}

/* ---- Moving an input ---- */

bool ag__check_put(ag__check *c, ag__check_input *in, const double *values) {
    c->tape->sandbox = false;
    return ag_set(in->tensor, values) == AG_OK;
}

/* The function at x + t·v; *moved is the step that was really made. */
bool ag__check_at(ag__check *c, const ag__probe *p, double t, double *y, double *moved) {
    ag__check_input *in = &c->input[p->input];
    if (p->element >= 0) {
        volatile double to = c->precision->round(in->at[p->element] + t); /* in memory: no excess precision */
        in->tried[p->element] = to;
        *moved = to - in->at[p->element];
    } else {
        for (int64_t i = 0; i < in->size; i++) in->tried[i] = c->precision->round(in->at[i] + t * in->direction[i]);
        *moved = t;
    }
    bool good = ag__check_put(c, in, in->tried) && evaluate(c, y);
    if (p->element >= 0) in->tried[p->element] = in->at[p->element];
    return good;
}

/* ---- Beginning and end of a check ---- */

static void measure(ag__check_input *in) {
    for (int64_t k = 0; k < in->size; k++) in->finite += isfinite(in->at[k]) ? 1 : 0;
    for (int64_t k = 0; k < in->size; k++) {
        if (!isfinite(in->at[k])) continue;
        in->typical = fmin(in->typical + fabs(in->at[k]) / (double)in->finite, DBL_MAX);
        in->norm = fmin(hypot(in->norm, in->at[k]), DBL_MAX);
    }
}

/* A variable is itself moved; its old value is held, so that restoring it cannot fail. Another input is replaced by
 * a temporary variable. Reading x carries out the pending assignments: they belong to the program, not to the check. */
static bool open_input(ag__check *c, int i) {
    ag__check_input *in = &c->input[i];
    ag_tensor *x = c->x[i];
    in->size = x->layout->size;
    double **all[] = {&in->at, &in->tried, &in->gradient, &in->direction, &in->rounding};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        if (!(*all[k] = ag__check_numbers(c, in->size))) return false;
    const void *data = ag_data(x);
    if (!data) return false;
    if (in->size) memcpy(in->at, data, (size_t)in->size * sizeof *in->at);
    measure(in);
    in->own = (x->flags & AG__VARIABLE) != 0;
    in->tensor = in->own ? x : ag_variable(c->tape, AG_F64, ag__layout_shape(x->layout), in->at);
    c->given[i] = in->tensor;
    if (in->tensor->flags & AG__NIL) return false;
    if (in->own) {
        in->buffer = x->buffer;
        in->buffer->refs++;
        in->version = ag__variable_of(x)->version;
    } else {
        ag__about(in->tensor)->label = ag__about(x)->label;
        ag__about(in->tensor)->file = ag__about(x)->file;
        ag__about(in->tensor)->line = ag__about(x)->line;
        ag__variable_of(in->tensor)->temporary = true;
    }
    return true;
}

bool ag__check_open(ag__check *c) {
    ag_tape *t = c->tape;
    c->start = c->position = ag__position_now(t);
    c->marks = t->mark_count;
    c->draws = t->draws;
    c->recording = t->recording;
    c->sandbox = t->sandbox;
    c->input = ag__check_room(c, c->n, sizeof *c->input);
    c->given = ag__check_room(c, c->n, sizeof *c->given);
    c->out = ag__check_room(c, c->n, sizeof *c->out);
    c->ybar = ag__check_room(c, c->n, sizeof *c->ybar);
    c->dx = ag__check_room(c, c->n, sizeof *c->dx);
    c->all = ag__check_room(c, 2 * (int64_t)c->n, sizeof *c->all);
    if (!c->input || !c->given || !c->out || !c->ybar || !c->dx || !c->all) return false;
    for (int i = 0; i < c->n; i++)
        if (!open_input(c, i)) return false;
    c->position = ag__position_now(t);
    return t->status == AG_OK;
}

/* Restore every variable, the same bits in the same memory. */
void ag__check_put_back(ag__check *c) {
    for (int i = 0; c->input && i < c->n; i++) {
        ag__check_input *in = &c->input[i];
        if (!in->buffer) continue;
        ag__buffer_drop(c->tape, in->tensor->buffer);
        in->tensor->buffer = in->buffer;
        ag__variable_of(in->tensor)->version = in->version;
        in->buffer = NULL;
    }
}

/* With `keep`, the last recording stays on the tape. */
void ag__check_close(ag__check *c, uint32_t marks, bool keep) {
    if (!keep) ag__check_rewind(c, &c->start);
    ag__check_put_back(c);
    c->tape->mark_count = marks;
    c->tape->draws = c->draws;
    c->tape->recording = c->recording;
    c->tape->sandbox = c->sandbox;
    release_room(c);
}
