/* rows_lstm -- a long short-term memory over a sequence, forward and backward, beside PyTorch's cell in a loop
 *
 * With gates i, f, a, o = xₜ·wx + h·wh + b, four times HIDDEN columns in this order, as in torch.nn.LSTMCell:
 *     c ← σ(f)·c + σ(i)·tanh(a),  h ← σ(o)·tanh(c) */
#include "products.h"

#include <math.h>

enum { STEPS = 100, BATCH = 16, INPUT = 128, HIDDEN = 128 };
enum { PARAMETERS = 3, RESULTS = PARAMETERS + 1 };

static struct {
    ag_tape *tape;
    ag_mark mark;
    ag_tensor *wx, *wh, *b; /* (INPUT,4·HIDDEN), (HIDDEN,4·HIDDEN), (4·HIDDEN) */
    ag_tensor *x;           /* (STEPS,BATCH,INPUT) */
    ag_tensor *g;           /* (STEPS,BATCH,HIDDEN): the cotangent of all h */
    float *input, *cotangent;
} s;

/* ---- The model ---- */

typedef struct state {
    ag_tensor *h, *c; /* (BATCH,HIDDEN) */
} state;

static ag_tensor *gate(ag_tensor *gates, int64_t i) { return ag_slice(gates, 1, i * HIDDEN, (i + 1) * HIDDEN, 1); }

static state cell(ag_tensor *x, state before) {
    ag_tensor *gates = ag_add(ag_add(ag_matmul(x, s.wx), ag_matmul(before.h, s.wh)), s.b);
    ag_tensor *in = ag_sigmoid(gate(gates, 0)), *forget = ag_sigmoid(gate(gates, 1));
    ag_tensor *new = ag_tanh(gate(gates, 2)), *out = ag_sigmoid(gate(gates, 3));
    ag_tensor *c = ag_add(ag_mul(forget, before.c), ag_mul(in, new));
    return (state){ag_mul(out, ag_tanh(c)), c};
}

/* All h, (STEPS,BATCH,HIDDEN) */
static ag_tensor *sequence(ag_tensor *x) {
    ag_tensor *zeros = ag_zeros(s.tape, AG_F32, AG_SHAPE(BATCH, HIDDEN)), *h[STEPS];
    state at = {zeros, zeros};
    for (int t = 0; t < STEPS; t++) {
        at = cell(ag_squeeze(ag_slice(x, 0, t, t + 1, 1), AG_AXES(0)), at);
        h[t] = ag_unsqueeze(at.h, 0);
    }
    return ag_concat(STEPS, h, 0);
}

/* ---- The row ---- */

static const product products[] = {{1, BATCH, INPUT, 4 * HIDDEN, STEPS, true},
                                   {1, BATCH, HIDDEN, 4 * HIDDEN, STEPS, false}};

static bool set_up(const row *r, int threads) {
    double scale = 1 / sqrt(HIDDEN);
    s.tape = new_tape(r, threads);
    s.wx = noise_parameter(s.tape, AG_SHAPE(INPUT, 4 * HIDDEN), 10, scale);
    s.wh = noise_parameter(s.tape, AG_SHAPE(HIDDEN, 4 * HIDDEN), 11, scale);
    s.b = noise_parameter(s.tape, AG_SHAPE(4 * HIDDEN), 12, scale);
    s.input = noise_f32(STEPS * BATCH * INPUT, 1, 1);
    s.cotangent = noise_f32(STEPS * BATCH * HIDDEN, 2, 1);
    s.x = ag_wrap(s.tape, AG_F32, AG_SHAPE(STEPS, BATCH, INPUT), s.input);
    s.g = ag_wrap(s.tape, AG_F32, AG_SHAPE(STEPS, BATCH, HIDDEN), s.cotangent);
    s.mark = ag_tape_mark(s.tape);
    products_open(sizeof products / sizeof *products, products, threads);
    return fine(s.tape);
}

static bool tear_down(const row *r) {
    (void)r;
    const bool close = products_close(), good = fine(s.tape) && close;
    ag_tape_free(s.tape);
    room_free(s.input), room_free(s.cotangent);
    return good;
}

static double step(bool weighed) {
    ag_tensor *p[] = {s.wx, s.wh, s.b}, *all[RESULTS], *y = sequence(s.x);
    ag_vjp(1, &y, &s.g, PARAMETERS, p, all, 0);
    all[RESULTS - 1] = y;
    ag_eval_all(RESULTS, all);
    double sum = 0;
    for (int i = 0; weighed && i < RESULTS; i++) sum += weigh(all[i]);
    ag_tape_rewind(s.tape, s.mark);
    return fine(s.tape) ? sum : NAN;
}

static void steps(const row *r, int64_t repetitions) {
    (void)r;
    for (int64_t k = 0; k < repetitions; k++) step(false);
}

static void bare(const row *r, int64_t repetitions) {
    (void)r;
    for (int64_t k = 0; k < repetitions; k++) products_run();
}

static double check(const row *r) { return (void)r, step(true); }

static double peak(const row *r) {
    ag_tensor *p[] = {s.wx, s.wh, s.b};
    return peak_above(r, steps, s.tape, PARAMETERS, p);
}

int lstm_rows(row *to) {
    to[0] = (row){.name = "lstm",
                  .what = "an LSTM over 100 steps, input and hidden 128, batch 16, forward and backward",
                  .unit = "s",
                  .each = "",
                  .setup = set_up,
                  .work = steps,
                  .check = check,
                  .teardown = tear_down,
                  .peers = {{.name = "torch, cell loop", .where = TORCH, .limit = 0.2},
                            {.name = "its products alone", .where = HERE, .work = bare, .limit = 1.3}}};
    to[1] = (row){.name = "lstm_memory",
                  .what = "peak memory above its parameters",
                  .unit = "B",
                  .each = "",
                  .once = true,
                  .setup = set_up,
                  .measure = peak,
                  .teardown = tear_down,
                  .peers = {{.name = "torch, cell loop", .where = TORCH_MEMORY, .limit = 0.8}}};
    return 2;
}
