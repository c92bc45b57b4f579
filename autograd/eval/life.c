/* life -- a tape from its creation to its end: rewinding it, and how it is evaluated
 *
 * A rewind first carries out the assignments to variables that stay. */
#include "autograd/eval/compile.h"
#include "autograd/tape/environment.h"
#include "autograd/tape/replay.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

static bool is(const char *choice, const char *what) { return choice && strcmp(choice, what) == 0; }

static ag_evaluator evaluator_of(const char *choice) {
    if (is(choice, "fused")) return AG_EVALUATOR_FUSED;
    return is(choice, "reference") ? AG_EVALUATOR_REFERENCE : AG_EVALUATOR_AUTOMATIC;
}

/* AG_KERNELS=plain means: as on a processor without AVX2; AG_COMPILE=0 means AG_ISA=none. */
static void set_defaults(ag_tape *tape) {
    const ag__environment now = ag__environment_now();
    tape->threads = ag__wanted_threads(&now);
    tape->evaluator = evaluator_of(now.value[AG__VARIABLE_EVAL]);
    tape->keeps_vacant = is(now.value[AG__VARIABLE_CHECK], "1");
    tape->avx2 = ag__has_avx2() && !is(now.value[AG__VARIABLE_KERNELS], "plain");
    tape->isa = ag__isa_of(is(now.value[AG__VARIABLE_COMPILE], "0") ? "none" : now.value[AG__VARIABLE_ISA]);
    tape->compile = tape->isa != NULL;
}

/* The block of a tape that has ended, for the next one: the C library takes as long for a block of this size as a tape
 * takes to begin. Only one is kept, and none where a tool watches what is used after its end. */
static _Atomic(ag__home *) spare;

static ag__home *home_new(const ag_allocator *a) {
    ag__home *home = a->resize == ag__default_allocator.resize ? atomic_exchange(&spare, NULL) : NULL;
    return home ? home : a->resize(a->ctx, NULL, 0, sizeof *home);
}

static void home_free(ag_allocator a, ag__home *home) {
    if (a.resize == ag__default_allocator.resize && !home->tape.gap) home = atomic_exchange(&spare, home);
    if (home) a.resize(a.ctx, home, sizeof *home, 0);
}

#ifdef __GNUC__
__attribute__((destructor)) static void free_spare(void) {
    const ag_allocator *a = &ag__default_allocator;
    ag__home *home = atomic_exchange(&spare, NULL);
    if (home) a->resize(a->ctx, home, sizeof *home, 0);
}
#endif

ag_tape *ag_tape_new(void) { return ag_tape_new_with(NULL); }

ag_tape *ag_tape_new_with(const ag_allocator *allocator) {
    ag_allocator a = allocator && allocator->resize ? *allocator : ag__default_allocator;
    ag__home *home = home_new(&a);
    if (!home) return NULL;
    memset(home, 0, offsetof(ag__home, segment));
    ag_tape *tape = &home->tape;
    tape->allocator = a;
    tape->gap = ag__gap();
    tape->memory.held = tape->memory.peak_held = (int64_t)sizeof *home;
    tape->memory.allocations = 1;
    tape->most_bytes = INT64_MAX, tape->most_nodes = UINT32_MAX, tape->deadline = AG__NO_DEADLINE;
    tape->recording = true;
    tape->off_since = UINT32_MAX;
    ag__set_part(tape, NULL);
    set_defaults(tape);
    ag__replays_begin(tape);
    tape->nil = &home->nil;
    *tape->nil = (ag_tensor){.tape = tape, .flags = AG__NIL, .dtype = AG_F64};
    ag__own_node_marks(tape);
    ag__nodes_begin(tape, &home->segment);
    ag__poison(tape, home->gap_before_arena, sizeof home->gap_before_arena);
    ag__arena_begin(tape, home->arena);
    ag__poison(tape, home->gap_before_values, sizeof home->gap_before_values);
    ag__buffers_begin(tape, home->values + (64 - (uintptr_t)home->values % 64));
    return tape;
}

void ag_tape_free(ag_tape *tape) {
    int line;
    const char *file = ag__here_file(&line);
    if (!tape) return;
    if (ag__refused_inside(tape, "tape_free", AG__INFER)) {
        ag__locate(tape, file, line);
        return;
    }
    if (tape->aheads) ag__aheads_end(tape);
    tape->keeps_vacant = false, tape->vacant = 0;
    ag__truncate(tape, &(ag__position){0});
    if (tape->loans) ag__leave_loans(tape);
    if (tape->plans) ag__plans_free(tape);
    if (tape->observer) tape->observer->free(tape);
    ag__buffers_free(tape);
    if (tape->programs) ag__code_free(tape);
    ag__replays_free(tape);
    ag__arena_trim(tape);
    ag__nodes_free(tape);
    ag__node_marks_free(tape);
    if (tape->marks) ag__resize(tape, tape->marks, tape->mark_room * sizeof *tape->marks, 0);
    if (tape->allocator.resize != ag__default_allocator.resize) ag__close(tape, AG__ALLOCATOR, "the allocator");
    ag__unpoison(tape, ((ag__home *)tape)->gap_before_arena, sizeof(ag__home) - offsetof(ag__home, gap_before_arena));
    home_free(tape->allocator, (ag__home *)tape);
}

/* Assignments to variables that stay must be computed while their inputs still exist; also on a tape in error, whose
 * first error remains. */
static void carry_out_assignments(ag_tape *tape, uint32_t count) {
    for (ag_tensor *v = tape->variables; v && v->id >= count; v = ag__variable_of(v)->next) ag__forget_assignment(v);
    if (!tape->assignments) return;
    if (tape->status == AG_OK) ag__evaluate_last(tape, count);
    else ag__settle_assignments(tape);
}

ag_status ag_tape_rewind(ag_tape *tape, ag_mark mark) {
    int line;
    const char *file = ag__here_file(&line);
    if (!tape) {
        ag__fail_on(NULL, "tape_rewind", AG_ERR_NULL, "the tape is NULL");
        return ag__leave(NULL, file, line);
    }
    if (mark.tape != tape || !ag_mark_valid(mark)) {
        ag__fail_on(tape, "tape_rewind", AG_ERR_TAPE,
                    mark.tape != tape ? "the mark is of another tape"
                                      : "the mark is stale: the tape was rewound to an earlier one");
        return ag__leave(tape, file, line);
    }
    ag__position position = tape->marks[mark.index];
    ag__callback from = tape->inside.floor && ag__is_beyond(tape->inside.floor, &position) ? AG__INFER : AG__EVAL;
    if (ag__refused_inside(tape, "tape_rewind", from) || ag__is_scope_open(tape, "tape_rewind", &position))
        return ag__leave(tape, file, line);
    carry_out_assignments(tape, position.count);
    if (tape->scanned) tape->in_vain = 0;
    else if (tape->waited && tape->in_vain < 2) tape->in_vain++;
    tape->scanned = tape->waited = false;
    ag__truncate(tape, &position);
    ag__collect_loans(tape);
    ag__heap_settle(tape);
    tape->mark_count = mark.index + 1;
    return ag__leave(tape, file, line);
}

/* ---- Evaluation settings ---- */

static bool evaluate_at_once(ag_tape *tape, ag_tensor *t) { return ag__evaluate(tape, 1, &t); }

bool ag_tape_set_eager(ag_tape *tape, bool eager) {
    if (!tape) return false;
    bool former = tape->on_record != NULL;
    tape->on_record = eager ? evaluate_at_once : NULL;
    return former;
}

ag_evaluator ag_tape_set_evaluator(ag_tape *tape, ag_evaluator evaluator) {
    if (!tape) return AG_EVALUATOR_AUTOMATIC;
    ag_evaluator former = tape->evaluator;
    unsigned number = (unsigned)evaluator;
    if (number <= AG_EVALUATOR_REFERENCE) tape->evaluator = evaluator;
    return former;
}
