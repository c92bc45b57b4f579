/* loan -- values that others use, perhaps in other threads and after the tape has gone
 *
 * A loan counts its users and, until it ends, the tape, which has a reference to the buffer meanwhile. Only the tape's
 * thread adds users. Who takes the count to 0 frees the memory: as long as the tape is one of them, that is the tape,
 * when it looks; later the last user, through the tape's allocator or the owner of adopted memory. */
#include "autograd/tape/tape.h"

#include <stdatomic.h>

struct ag__loan {
    ag__loan *next;
    ag__buffer *buffer;
    ag_allocator allocator;
    ag__span *span;  /* that the buffer's block is in; NULL: the memory was adopted */
    ag__owner owner; /* of adopted memory */
    atomic_uint users;
};

bool ag__lendable(const ag__buffer *b) { return b->adopted || ag__buffer_span(b) != NULL; }

static ag__loan *loan_of(const ag_tape *tape, const ag__buffer *b) {
    for (ag__loan *l = tape->loans; l; l = l->next)
        if (l->buffer == b) return l;
    return NULL;
}

ag__loan *ag__lend(ag_tape *tape, ag__buffer *b) {
    ag__loan *l = loan_of(tape, b);
    if (l) {
        atomic_fetch_add(&l->users, 1);
        return l;
    }
    l = ag__resize(tape, NULL, 0, sizeof *l);
    if (!l) return NULL;
    l->next = tape->loans;
    l->buffer = b;
    l->allocator = tape->allocator;
    l->span = b->adopted ? NULL : ag__buffer_span(b);
    l->owner = ag__buffer_owner(b);
    atomic_init(&l->users, 2);
    b->refs++;
    return tape->loans = l;
}

/* The tape has gone, and with it what it knew of this memory. */
static void free_memory(ag__loan *l) {
    ag_allocator a = l->allocator;
    if (l->owner.release) l->owner.release(l->owner.context);
    else ag__span_leave(l->span, &a);
    a.resize(a.ctx, l, sizeof *l, 0);
}

void ag__return_loan(ag__loan *l) {
    if (atomic_fetch_sub(&l->users, 1) == 1) free_memory(l);
}

void ag__collect_loans(ag_tape *tape) {
    for (ag__loan **p = &tape->loans; *p;) {
        ag__loan *l = *p;
        if (atomic_load(&l->users) > 1) {
            p = &l->next;
            continue;
        }
        *p = l->next;
        ag__buffer *b = l->buffer;
        ag__resize(tape, l, sizeof *l, 0);
        ag__buffer_drop(tape, b);
    }
}

void ag__leave_loans(ag_tape *tape) {
    ag__collect_loans(tape);
    for (ag__loan *l = tape->loans, *next; l; l = next) {
        next = l->next;
        if (l->span) ag__span_use(l->span);
        ag__return_loan(l);
    }
    tape->loans = NULL;
}
