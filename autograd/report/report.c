/* report -- values read for a report, and a tape left as it was
 *
 * A report is written into memory of its own while its tape is evaluated and differentiated; then the tape is
 * restored, and the finished text is recorded on it like a label. */
#include "autograd/report/report.h"

#include <string.h>

/* ---- Values ---- */

double *ag__elements(ag_tensor *t, ag__buffer **memory) {
    ag_array from = ag__array_of(t);
    size_t n = (size_t)from.size;
    *memory = ag__buffer_new(t->tape, ag__times(n, sizeof(double)));
    if (!*memory) {
        ag__fail_on(t->tape, "explain", AG_ERR_MEMORY, "out of memory (%zu values)", n);
        return NULL;
    }
    double *to = (*memory)->data;
    if (n) ag__pack(to, &from, 0, from.size);
    if (t->dtype == AG_F32) /* the same memory, from the end */
        for (size_t i = n; i-- > 0;) {
            float a;
            memcpy(&a, (const char *)to + i * sizeof a, sizeof a);
            to[i] = (double)a;
        }
    return to;
}

/* ---- Leaving the tape as it was ---- */

enum { HAD_VALUE = AG__STALE }; /* noted beside the flags: a stale node, whose slot is kept vacant, stays stale */

/* Assignments are carried out first, so that no variable changes while it is looked at. */
bool ag__snapshot_take(ag__snapshot *s, ag_tape *tape, const char *name) {
    for (ag_tensor *v = tape->assignments ? tape->variables : NULL; v; v = ag__variable_of(v)->next)
        if (ag__variable_of(v)->pending && !ag__evaluate(tape, 1, &v)) return s->memory = NULL, false;
    s->position = ag__position_now(tape);
    s->memory = ag__buffer_new(tape, ag__times(tape->count, sizeof(uint16_t)));
    if (!s->memory) {
        ag__fail_on(tape, name, AG_ERR_MEMORY, "out of memory (the state of %u nodes)", tape->count);
        return false;
    }
    s->draws = tape->draws;
    uint16_t *flags = s->memory->data;
    for (uint32_t id = 0; id < tape->count; id++) {
        ag_tensor *t = ag__node(tape, id);
        flags[id] = (uint16_t)(t->flags | (t->buffer ? HAD_VALUE : 0));
        if (t->buffer) t->flags |= AG__KEEP;
    }
    return true;
}

void ag__snapshot_restore(const ag__snapshot *s, ag_tape *tape) {
    if (!s->memory) return;
    ag__truncate(tape, &s->position);
    const uint16_t *flags = s->memory->data;
    for (uint32_t id = 0; id < s->position.count; id++) {
        ag_tensor *t = ag__node(tape, id);
        if (t->flags & AG__COMPUTED && !(flags[id] & AG__COMPUTED))
            for (int i = 0; i < t->arity; i++) t->input[i]->readers++;
        if (t->buffer && !(flags[id] & HAD_VALUE)) {
            ag__buffer_drop(tape, t->buffer);
            t->buffer = NULL;
        }
        t->flags = (uint16_t)((flags[id] & ~HAD_VALUE) | (t->flags & AG__STALE));
    }
    tape->draws = s->draws;
    ag__buffer_drop(tape, s->memory);
}
