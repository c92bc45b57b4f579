/* rows_optimiser -- one step of an optimiser over many parameters, whose gradients are given
 *
 * Parameters begin at 0, so that the compared values after three steps are the updates alone. */
#include "bench.h"
#include "nn/nn.h"

#include <math.h>

enum { TENSORS = 10, EACH = 1000000 };

static struct {
    ag_tape *tape;
    ag_mark mark;
    ag_tensor *p[TENSORS], *dp[TENSORS];
    ag_slot slots[TENSORS];
    ag_adam adam;
    float *gradients;
} s;

static bool set_up(const row *r, int threads) {
    s.tape = new_tape(r, threads);
    s.gradients = noise_f32((int64_t)TENSORS * EACH, 1, 1);
    for (int i = 0; i < TENSORS; i++) {
        s.p[i] = ag_parameter_from(ag_zeros(s.tape, AG_F32, AG_SHAPE(EACH)));
        s.dp[i] = ag_wrap(s.tape, AG_F32, AG_SHAPE(EACH), s.gradients + (int64_t)i * EACH);
    }
    ag_adam_init(&s.adam, TENSORS, s.p, s.slots);
    s.mark = ag_tape_mark(s.tape);
    return fine(s.tape);
}

static bool tear_down(const row *r) {
    (void)r;
    bool good = fine(s.tape);
    ag_tape_free(s.tape);
    room_free(s.gradients);
    return good;
}

static void steps(const row *r, int64_t repetitions) {
    (void)r;
    for (int64_t k = 0; k < repetitions; k++) {
        ag_adam_step(&s.adam, s.dp);
        ag_tape_rewind(s.tape, s.mark);
    }
}

static double check(const row *r) {
    steps(r, 3);
    double sum = 0;
    for (int i = 0; i < TENSORS; i++) sum += weigh(s.p[i]);
    return fine(s.tape) ? sum : NAN;
}

static double peak(const row *r) {
    ag_tensor *kept[3 * TENSORS];
    for (int i = 0; i < TENSORS; i++) {
        kept[3 * i] = s.p[i];
        for (int k = 0; k < 2; k++) kept[3 * i + 1 + k] = s.slots[i].state[k];
    }
    return peak_above(r, steps, s.tape, 3 * TENSORS, kept);
}

int optimiser_rows(row *to) {
    to[0] = (row){.name = "adam_10M",
                  .what = "a step of Adam over 10 tensors of 10^6 parameters, gradients given",
                  .unit = "s",
                  .each = "",
                  .moved = (int64_t)7 * TENSORS * EACH * (int64_t)sizeof(float), /* p, dp, m, v read; p, m, v written */
                  .setup = set_up,
                  .work = steps,
                  .check = check,
                  .teardown = tear_down,
                  .peers = {{.name = "torch, foreach", .where = TORCH, .limit = 0.7}, {.name = "copy", .where = COPY}}};
    to[1] = (row){.name = "adam_10M_memory",
                  .what = "peak memory above parameters and moments",
                  .unit = "B",
                  .each = "",
                  .once = true,
                  .setup = set_up,
                  .measure = peak,
                  .teardown = tear_down,
                  .peers = {{.name = "torch, foreach", .where = TORCH_MEMORY, .limit = 0.7}}};
    return 2;
}
