/* rows_changing -- programs whose structure depends on their data: trees, sequences of other lengths, a determinant
 *
 * Each runs forward and backward, beside the reference evaluator, which plans nothing: with other data at each step, so
 * that the structure is mostly new, and with the same data again. */
#include "bench.h"

#include <stdio.h>

enum { WIDTH = 16, BATCH = 8, TREES = 4, LEAST_LEAVES = 8, MOST_LEAVES = 40, LEAST_STEPS = 5, MOST_STEPS = 60 };
enum { SIDE = 6, MOST_PARAMETERS = SIDE * SIDE, NETWORK = 3 };

/* size: which program, and whether its data is other data each time */
enum { KIND, CHANGES };
enum { TREE, LENGTHS, MINORS, KINDS };

typedef struct program {
    ag_tape *tape;
    ag_mark mark;
    int n;
    ag_tensor *p[MOST_PARAMETERS]; /* of a network: two matrices and a bias; or the elements of a matrix */
    ag_tensor *x;                  /* of a network: its inputs, one below the other */
    uint64_t round;
} program;

static program ours, theirs;
static float *input; /* (MOST_LEAVES or MOST_STEPS, BATCH, WIDTH) */

static uint32_t below(uint64_t *state, uint32_t n) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33) % n;
}

static uint32_t between(uint64_t *state, uint32_t least, uint32_t most) {
    return least + below(state, most - least + 1);
}

/* ---- A recursive network over random binary trees ---- */

static ag_tensor *joined(const program *p, ag_tensor *a, ag_tensor *b) {
    return ag_tanh(ag_add(ag_add(ag_matmul(a, p->p[0]), ag_matmul(b, p->p[1])), p->p[2]));
}

static ag_tensor *row_of(const program *p, int64_t i, int64_t rows) { return ag_slice(p->x, 0, i, i + rows, 1); }

/* Neighbours are joined, any two of them, until one is left. */
static ag_tensor *tree(const program *p, uint64_t *state) {
    ag_tensor *node[MOST_LEAVES];
    uint32_t n = between(state, LEAST_LEAVES, MOST_LEAVES);
    for (uint32_t i = 0; i < n; i++) node[i] = row_of(p, below(state, MOST_LEAVES), 1);
    for (; n > 1; n--) {
        uint32_t at = below(state, n - 1);
        node[at] = joined(p, node[at], node[at + 1]);
        for (uint32_t i = at + 1; i + 1 < n; i++) node[i] = node[i + 1];
    }
    return ag_sum(ag_square(node[0]));
}

static ag_tensor *trees(const program *p, uint64_t *state) {
    ag_tensor *loss = tree(p, state);
    for (int i = 1; i < TREES; i++) loss = ag_add(loss, tree(p, state));
    return loss;
}

/* ---- A recurrent network over a sequence ---- */

static ag_tensor *sequence(const program *p, uint64_t *state) {
    ag_tensor *h = ag_zeros(p->tape, AG_F32, AG_SHAPE(BATCH, WIDTH));
    uint32_t n = between(state, LEAST_STEPS, MOST_STEPS);
    for (uint32_t t = 0; t < n; t++) h = joined(p, row_of(p, t * BATCH, BATCH), h);
    return ag_sum(ag_square(h));
}

/* ---- The determinant of a matrix with some zeros, by minors along its rows ---- */

/* `zeros` has a bit for each element, `columns` one for each column that is left; NULL stands for 0. */
static ag_tensor *minor_of(const program *p, int along, unsigned columns, uint64_t zeros) {
    ag_tensor *sum = NULL;
    bool negative = false;
    for (int j = 0; j < SIDE; j++) {
        if (!(columns & 1u << j)) continue;
        negative = !negative;
        if (zeros >> (along * SIDE + j) & 1) continue;
        ag_tensor *element = p->p[along * SIDE + j], *minor = NULL;
        if (along + 1 == SIDE) return element;
        if (!(minor = minor_of(p, along + 1, columns & ~(1u << j), zeros))) continue;
        ag_tensor *term = ag_mul(element, minor);
        if (!sum) sum = negative ? term : ag_neg(term);
        else sum = negative ? ag_add(sum, term) : ag_sub(sum, term);
    }
    return sum;
}

/* The diagonal has no zeros. */
static ag_tensor *determinant(const program *p, uint64_t *state) {
    uint64_t zeros = 0;
    for (int i = 0; i < SIDE * SIDE; i++)
        if (i % (SIDE + 1) && below(state, 5) == 0) zeros |= UINT64_C(1) << i;
    return minor_of(p, 0, (1u << SIDE) - 1, zeros);
}

/* ---- The rows ---- */

static ag_tensor *(*const function[KINDS])(const program *p, uint64_t *state) = {trees, sequence, determinant};
static const char *const name[KINDS] = {"tree", "lengths", "minors"};
static const char *const what[KINDS] = {"a recursive network over random binary trees",
                                        "a recurrent network over sequences of random length",
                                        "a determinant by minors, of scalars with random zeros"};

static bool open_program(program *p, const row *r, ag_evaluator evaluator) {
    *p = (program){.tape = ag_tape_new(), .n = r->size[KIND] == MINORS ? SIDE * SIDE : NETWORK};
    ag_tape_set_threads(p->tape, 1);
    ag_tape_set_evaluator(p->tape, evaluator);
    double *number = noise_f64(SIDE * SIDE, 5, 1);
    for (int i = 0; i < p->n; i++)
        p->p[i] = r->size[KIND] == MINORS ? ag_parameter(p->tape, AG_F64, AG_SCALAR, &number[i])
                  : i < 2                 ? noise_parameter(p->tape, AG_SHAPE(WIDTH, WIDTH), (uint64_t)i + 1, 0.3)
                                          : noise_parameter(p->tape, AG_SHAPE(WIDTH), 3, 0.3);
    room_free(number);
    p->x = ag_wrap(p->tape, AG_F32, AG_SHAPE(MOST_STEPS * BATCH, WIDTH), input);
    p->mark = ag_tape_mark(p->tape);
    return fine(p->tape);
}

static bool set_up(const row *r, int threads) {
    (void)threads;
    input = noise_f32(MOST_STEPS * BATCH * WIDTH, 4, 1);
    return open_program(&ours, r, AG_EVALUATOR_AUTOMATIC) && open_program(&theirs, r, AG_EVALUATOR_REFERENCE);
}

static bool tear_down(const row *r) {
    (void)r;
    bool good = fine(ours.tape) && fine(theirs.tape);
    ag_tape_free(ours.tape);
    ag_tape_free(theirs.tape);
    room_free(input);
    return good;
}

static double step(program *p, const row *r, uint64_t data) {
    uint64_t state = data * 77 + 1;
    ag_tensor *dp[MOST_PARAMETERS];
    ag_grad(function[r->size[KIND]](p, &state), p->n, p->p, dp);
    ag_eval_all(p->n, dp);
    double sum = 0;
    for (int i = 0; i < p->n; i++) sum += ag_element(dp[i], 0);
    ag_tape_rewind(p->tape, p->mark);
    return sum;
}

static void steps(program *p, const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++, p->round++) step(p, r, r->size[CHANGES] ? p->round : 0);
}

static void our_steps(const row *r, int64_t repetitions) { steps(&ours, r, repetitions); }
static void their_steps(const row *r, int64_t repetitions) { steps(&theirs, r, repetitions); }
static double our_check(const row *r) { return step(&ours, r, 0); }
static double their_check(const row *r) { return step(&theirs, r, 0); }

static row changing_row(int kind, bool changes) {
    row r = {.what = what[kind],
             .unit = "s",
             .each = "",
             .size = {kind, changes},
             .once = true,
             .setup = set_up,
             .work = our_steps,
             .check = our_check,
             .teardown = tear_down,
             .peers = {{.name = "reference evaluator",
                        .where = HERE,
                        .work = their_steps,
                        .check = their_check,
                        .limit = changes ? 1.3 : 1.05}}};
    snprintf(r.name, sizeof r.name, "%s_%s", changes ? "new" : "again", name[kind]);
    return r;
}

int changing_rows(row *to) {
    int n = 0;
    for (int kind = 0; kind < KINDS; kind++)
        for (int changes = 1; changes >= 0; changes--) to[n++] = changing_row(kind, changes);
    return n;
}
