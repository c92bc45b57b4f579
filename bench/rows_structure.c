/* rows_structure -- the cost and gain of planning: programs whose structure is new each time, and recurring programs
 *
 * A random program of additions, multiplications and tanh over 16 parameters, forward and backward, beside the
 * reference evaluator, which plans nothing. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

enum { PARAMETERS = 16, REACH = 200 };

/* size: operations, elements of each, structures in turn (0: always a new one) */
enum { OPERATIONS, ELEMENTS, STRUCTURES };

typedef struct program {
    ag_tape *tape;
    ag_mark mark;
    ag_tensor *p[PARAMETERS];
    uint64_t round;
} program;

static program ours, theirs;
static ag_tensor **value;

static uint32_t below(uint64_t *state, uint32_t n) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33) % n;
}

static bool open_program(program *p, const row *r, ag_evaluator evaluator) {
    double *data = noise_f64(r->size[ELEMENTS], 1, 1);
    *p = (program){.tape = ag_tape_new()};
    ag_tape_set_threads(p->tape, 1);
    ag_tape_set_evaluator(p->tape, evaluator);
    for (int i = 0; i < PARAMETERS; i++) p->p[i] = ag_parameter(p->tape, AG_F64, AG_SHAPE(r->size[ELEMENTS]), data);
    room_free(data);
    p->mark = ag_tape_mark(p->tape);
    return fine(p->tape);
}

static bool set_up(const row *r, int threads) {
    (void)threads;
    value = room((r->size[OPERATIONS] + PARAMETERS) * (int64_t)sizeof *value);
    return open_program(&ours, r, AG_EVALUATOR_AUTOMATIC) && open_program(&theirs, r, AG_EVALUATOR_REFERENCE);
}

static bool tear_down(const row *r) {
    (void)r;
    bool good = fine(ours.tape) && fine(theirs.tape);
    ag_tape_free(ours.tape);
    ag_tape_free(theirs.tape);
    room_free(value);
    return good;
}

static double step(program *p, const row *r, uint64_t structure) {
    uint64_t state = structure * 77 + 1;
    ag_tensor *dp[PARAMETERS];
    int64_t n = PARAMETERS;
    for (int i = 0; i < PARAMETERS; i++) value[i] = p->p[i];
    for (; n < r->size[OPERATIONS] + PARAMETERS; n++) {
        uint32_t reach = n < REACH ? (uint32_t)n : REACH;
        ag_tensor *a = value[n - 1], *b = value[n - 1 - below(&state, reach)]; /* so that all values are needed */
        value[n] = n % 3 == 0 ? ag_add(a, b) : n % 3 == 1 ? ag_mul(a, b) : ag_tanh(a);
    }
    ag_grad(ag_sum(value[n - 1]), PARAMETERS, p->p, dp);
    ag_eval_all(PARAMETERS, dp);
    double sum = 0;
    for (int i = 0; i < PARAMETERS; i++) sum += ag_element(dp[i], 0);
    ag_tape_rewind(p->tape, p->mark);
    return sum;
}

static void steps(program *p, const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++, p->round++)
        step(p, r, r->size[STRUCTURES] ? p->round % (uint64_t)r->size[STRUCTURES] : p->round);
}

static void our_steps(const row *r, int64_t repetitions) { steps(&ours, r, repetitions); }
static void their_steps(const row *r, int64_t repetitions) { steps(&theirs, r, repetitions); }
static double our_check(const row *r) { return step(&ours, r, 0); }
static double their_check(const row *r) { return step(&theirs, r, 0); }
static double operations(const row *r) { return (double)r->size[OPERATIONS]; }

static row structure_row(int64_t n, int64_t elements, int64_t structures, double limit) {
    row r = {
        .what = structures ? "a recurring program, forward and backward, by the automatic evaluator"
                           : "programs whose structure is always new, forward and backward, likewise",
        .unit = "s",
        .each = "operation",
        .size = {n, elements, structures},
        .once = true,
        .count = operations,
        .setup = set_up,
        .work = our_steps,
        .check = our_check,
        .teardown = tear_down,
        .peers = {
            {.name = "reference evaluator", .where = HERE, .work = their_steps, .check = their_check, .limit = limit}}};
    snprintf(r.name, sizeof r.name, "%s_%lldx%lld",
             structures == 0   ? "new"
             : structures == 1 ? "again"
                               : "in_turn",
             (long long)n, (long long)elements);
    return r;
}

int structure_rows(row *to) {
    static const int64_t sizes[][2] = {{1000, 1}, {100000, 1}, {1000, 64}, {1000, 2048}, {1000, 4096}};
    int n = 0;
    for (int i = 0; i < 5; i++) {
        to[n++] = structure_row(sizes[i][0], sizes[i][1], 0, 1.3);
        to[n++] = structure_row(sizes[i][0], sizes[i][1], 1, 1.05);
    }
    to[n++] = structure_row(1000, 2048, 40, 1.05);
    return n + changing_rows(to + n);
}
