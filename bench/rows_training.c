/* rows_training -- whole training steps: forward, backward, update by SGD, and reading the loss
 *
 * The batch lies in memory and is not copied, by us (ag_wrap) or PyTorch. Every step begins with a rewind, as in a
 * user's loop. The parameters begin the same as PyTorch's; the third loss is compared, and the change of the
 * parameters' squares after three steps. */
#include "bench.h"
#include "nn/nn.h"

#include <math.h>
#include <stdio.h>

enum { LAYERS = 3, MOST_PARAMETERS = 2 * LAYERS + 2 * (LAYERS - 1) };

static const int64_t wide[] = {784, 256, 256, 10, 128}, narrow[] = {64, 64, 64, 10, 32}; /* the batch comes last */

static struct {
    ag_tape *tape;
    ag_mark mark;
    ag_linear linear[LAYERS];
    ag_batchnorm norm[LAYERS - 1];
    bool has_norm;
    int parameters;
    ag_tensor *p[MOST_PARAMETERS];
    ag_slot slots[MOST_PARAMETERS];
    ag_sgd sgd;
    const int64_t *width;
    float *x;
    int64_t *labels;
} s;

static void layer(int i) {
    int64_t in = s.width[i], out = s.width[i + 1];
    float *weight = noise_f32(in * out, 10 + (uint64_t)i, sqrt(3.0 / (double)in));
    ag_linear_init(&s.linear[i], s.tape, AG_F32, in, out);
    ag_set(s.linear[i].weight, weight);
    room_free(weight);
    s.p[s.parameters++] = s.linear[i].weight;
    s.p[s.parameters++] = s.linear[i].bias;
    if (!s.has_norm || i == LAYERS - 1) return;
    ag_batchnorm_init(&s.norm[i], s.tape, AG_F32, out);
    s.p[s.parameters++] = s.norm[i].gamma;
    s.p[s.parameters++] = s.norm[i].beta;
}

static bool set_up(const row *r, int threads) {
    s.width = r->size[0] ? wide : narrow;
    s.has_norm = r->size[1];
    s.parameters = 0;
    s.tape = new_tape(r, threads);
    s.x = noise_f32(s.width[LAYERS + 1] * s.width[0], 1, 1);
    s.labels = noise_labels(s.width[LAYERS + 1], 2, s.width[LAYERS]);
    for (int i = 0; i < LAYERS; i++) layer(i);
    ag_sgd_init(&s.sgd, s.parameters, s.p, s.slots, 0.01, 0);
    s.mark = ag_tape_mark(s.tape);
    return fine(s.tape);
}

static bool tear_down(const row *r) {
    (void)r;
    bool good = fine(s.tape);
    ag_tape_free(s.tape);
    room_free(s.x);
    room_free(s.labels);
    return good;
}

static ag_tensor *forward(ag_tensor *h) {
    for (int i = 0; i < LAYERS; i++) {
        h = ag_linear_apply(&s.linear[i], h);
        if (i == LAYERS - 1) break;
        if (s.has_norm) h = ag_batchnorm_apply(&s.norm[i], h, true);
        h = ag_relu(h);
    }
    return h;
}

static double step(void) {
    int64_t batch = s.width[LAYERS + 1];
    ag_tensor *dp[MOST_PARAMETERS];
    ag_tape_rewind(s.tape, s.mark);
    ag_tensor *x = ag_wrap(s.tape, AG_F32, AG_SHAPE(batch, s.width[0]), s.x);
    ag_tensor *labels = ag_wrap(s.tape, AG_I64, AG_SHAPE(batch), s.labels);
    ag_tensor *loss = ag_cross_entropy(forward(x), labels);
    ag_grad(loss, s.parameters, s.p, dp);
    ag_sgd_step(&s.sgd, dp);
    return ag_item(loss);
}

static void steps(const row *r, int64_t repetitions) {
    (void)r;
    for (int64_t k = 0; k < repetitions; k++) step();
}

static double check(const row *r) {
    double before = squares(s.parameters, s.p);
    steps(r, 2);
    double loss = step();
    ag_tape_rewind(s.tape, s.mark);
    double moved = squares(s.parameters, s.p) - before;
    return fine(s.tape) ? loss + moved : NAN;
}

static double allocations(const row *r) {
    enum { STEADY = 100 };
    steps(r, 10);
    int64_t before = ag_tape_memory(s.tape).allocations;
    steps(r, STEADY);
    return (double)(ag_tape_memory(s.tape).allocations - before) / STEADY;
}

static double peak(const row *r) {
    ag_tensor *kept[MOST_PARAMETERS + 2 * (LAYERS - 1)];
    int n = 0;
    for (int i = 0; i < s.parameters; i++) kept[n++] = s.p[i];
    for (int i = 0; i < LAYERS - 1 && s.has_norm; i++) {
        kept[n++] = s.norm[i].running_mean;
        kept[n++] = s.norm[i].running_var;
    }
    return peak_above(r, steps, s.tape, n, kept);
}

static row memory_row(const char *name, bool is_wide, bool has_norm) {
    row r = {.what = "peak memory of the training step, above the network's parameters",
             .unit = "B",
             .each = "",
             .size = {is_wide, has_norm},
             .once = true,
             .setup = set_up,
             .measure = peak,
             .teardown = tear_down,
             .peers = {{.name = "torch", .where = TORCH_MEMORY, .limit = 0.8}}};
    snprintf(r.name, sizeof r.name, "%s_memory", name);
    return r;
}

int training_rows(row *to) {
    const row rows[] = {
        {.name = "mlp784",
         .what = "training step, 784-256-256-10, batch 128, relu, cross-entropy, SGD; the batch by ag_wrap",
         .unit = "s",
         .each = "",
         .size = {true, false},
         .setup = set_up,
         .work = steps,
         .check = check,
         .teardown = tear_down,
         .peers = {{.name = "torch", .where = TORCH, .limit = 0.4}}},
        {.name = "mlp784bn",
         .what = "the same with batchnorm after each hidden layer",
         .unit = "s",
         .each = "",
         .size = {true, true},
         .setup = set_up,
         .work = steps,
         .check = check,
         .teardown = tear_down,
         .peers = {{.name = "torch", .where = TORCH, .limit = 0.4}}},
        {.name = "mlp64",
         .what = "training step, 64-64-64-10, batch 32, relu, cross-entropy, SGD",
         .unit = "s",
         .each = "",
         .size = {false, false},
         .setup = set_up,
         .work = steps,
         .check = check,
         .teardown = tear_down,
         .peers = {{.name = "torch", .where = TORCH, .limit = 0.25}}},
        memory_row("mlp784", true, false),
        memory_row("mlp784bn", true, true),
        memory_row("mlp64", false, false),
        {.name = "allocations",
         .what = "calls to the allocator in a steady step of mlp784",
         .unit = "calls",
         .each = "step",
         .size = {true, false},
         .once = true,
         .setup = set_up,
         .measure = allocations,
         .teardown = tear_down,
         .peers = {{.name = "goal", .where = FIGURE, .figure = 0, .limit = 1}}},
    };
    int n = (int)(sizeof rows / sizeof *rows);
    for (int i = 0; i < n; i++) to[i] = rows[i];
    return n;
}
