/* budget -- when a tape must stop: its time is over, or it was interrupted
 *
 * Both are looked at before each step of an evaluation, and whenever a segment of nodes is full; but never between the
 * steps that write variables' next values in place, so that all of a training step's variables change or none. Limits
 * of memory and of tensors are kept by ag__resize and ag__slot, which fail as if there were no more. */
#include "autograd/tape/tape.h"

#include <stdatomic.h>
#include <time.h>

int64_t ag__now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void ag__set_time(ag_tape *tape, double seconds) {
    const double farthest = 1e9; /* that is counted */
    tape->seconds = seconds;
    tape->deadline = seconds > 0 && seconds < farthest ? ag__now() + (int64_t)(seconds * 1e9) : AG__NO_DEADLINE;
}

void ag_tape_interrupt(ag_tape *tape) {
    if (tape) atomic_exchange_explicit(&tape->interrupted, true, memory_order_relaxed);
}

bool ag__is_over(const ag_tape *tape) { return ag__now() >= tape->deadline; }

bool ag__stop(ag_tape *tape, const ag_tensor *t) {
    const char *name = t ? t->op->name : "tape";
    if (atomic_exchange_explicit(&tape->interrupted, false, memory_order_relaxed))
        ag__fail_on(tape, name, AG_ERR_LIMIT, "interrupted");
    else ag__fail_on(tape, name, AG_ERR_LIMIT, "the limit of %g seconds is over", tape->seconds);
    if (t) ag__locate(tape, ag__about(t)->file, ag__about(t)->line);
    return false;
}
