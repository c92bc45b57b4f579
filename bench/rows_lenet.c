/* rows_lenet -- a training step of a convolutional network of LeNet-5's shape: forward, backward, update by SGD, and
 * reading the loss
 *
 * 64 images of 28×28; convolutions of 6 and 16 channels with 5×5 windows, relu and 2×2 maxima; then 400-120-84-10.
 * The parameters begin the same as PyTorch's; the third loss is compared, and the change of the parameters' squares
 * after three steps. */
#include "bench.h"
#include "nn/nn.h"

#include <math.h>

enum { BATCH = 64, SIDE = 28, WINDOW = 5, CLASSES = 10 };
enum { CONVOLUTIONS = 2, LINEARS = 3, PARAMETERS = 2 * (CONVOLUTIONS + LINEARS) };

static struct {
    ag_tape *tape;
    ag_mark mark;
    ag_conv2d conv[CONVOLUTIONS];
    ag_linear linear[LINEARS];
    int parameters;
    ag_tensor *p[PARAMETERS];
    ag_slot slots[PARAMETERS];
    ag_sgd sgd;
    float *images; /* (BATCH,SIDE,SIDE,1) */
    int64_t *labels;
} s;

static void start_with_noise(ag_tensor *weight, ag_tensor *bias, uint64_t stream, int64_t in) {
    float *data = noise_f32(ag_size(weight), stream, sqrt(3.0 / (double)in));
    ag_set(weight, data);
    room_free(data);
    s.p[s.parameters++] = weight;
    s.p[s.parameters++] = bias;
}

static bool set_up(const row *r, int threads) {
    static const int64_t channel[] = {1, 6, 16}, width[] = {400, 120, 84, CLASSES};
    s.parameters = 0;
    s.tape = new_tape(r, threads);
    s.images = noise_f32(BATCH * SIDE * SIDE, 1, 1);
    s.labels = noise_labels(BATCH, 2, CLASSES);
    for (int i = 0; i < CONVOLUTIONS; i++) {
        ag_conv2d_init(&s.conv[i], s.tape, AG_F32, channel[i], channel[i + 1], WINDOW);
        start_with_noise(s.conv[i].weight, s.conv[i].bias, 10 + (uint64_t)i, channel[i] * WINDOW * WINDOW);
    }
    s.conv[0].padding = 2;
    for (int i = 0; i < LINEARS; i++) {
        ag_linear_init(&s.linear[i], s.tape, AG_F32, width[i], width[i + 1]);
        start_with_noise(s.linear[i].weight, s.linear[i].bias, 20 + (uint64_t)i, width[i]);
    }
    ag_sgd_init(&s.sgd, PARAMETERS, s.p, s.slots, 0.05, 0);
    s.mark = ag_tape_mark(s.tape);
    return fine(s.tape);
}

static bool tear_down(const row *r) {
    (void)r;
    bool good = fine(s.tape);
    ag_tape_free(s.tape);
    room_free(s.images);
    room_free(s.labels);
    return good;
}

static ag_tensor *forward(ag_tensor *h) {
    for (int i = 0; i < CONVOLUTIONS; i++) h = ag_max_pool2d(ag_relu(ag_conv2d_apply(&s.conv[i], h)), 2, 2);
    h = ag_reshape(h, AG_SHAPE(BATCH, -1));
    for (int i = 0; i < LINEARS - 1; i++) h = ag_relu(ag_linear_apply(&s.linear[i], h));
    return ag_linear_apply(&s.linear[LINEARS - 1], h);
}

static double step(void) {
    ag_tensor *dp[PARAMETERS];
    ag_tape_rewind(s.tape, s.mark);
    ag_tensor *x = ag_wrap(s.tape, AG_F32, AG_SHAPE(BATCH, SIDE, SIDE, 1), s.images);
    ag_tensor *labels = ag_wrap(s.tape, AG_I64, AG_SHAPE(BATCH), s.labels);
    ag_tensor *loss = ag_cross_entropy(forward(x), labels);
    ag_grad(loss, PARAMETERS, s.p, dp);
    ag_sgd_step(&s.sgd, dp);
    return ag_item(loss);
}

static void steps(const row *r, int64_t repetitions) {
    (void)r;
    for (int64_t k = 0; k < repetitions; k++) step();
}

static double check(const row *r) {
    double before = squares(PARAMETERS, s.p);
    steps(r, 2);
    double loss = step();
    ag_tape_rewind(s.tape, s.mark);
    double moved = squares(PARAMETERS, s.p) - before;
    return fine(s.tape) ? loss + moved : NAN;
}

static double peak(const row *r) { return peak_above(r, steps, s.tape, PARAMETERS, s.p); }

int lenet_rows(row *to) {
    to[0] = (row){.name = "lenet",
                  .what = "training step of a LeNet-like network, batch 64: two convolutions, three linear layers, SGD",
                  .unit = "s",
                  .each = "",
                  .setup = set_up,
                  .work = steps,
                  .check = check,
                  .teardown = tear_down,
                  .peers = {{.name = "torch", .where = TORCH, .limit = 0.7}}};
    to[1] = (row){.name = "lenet_memory",
                  .what = "peak memory above its parameters",
                  .unit = "B",
                  .each = "",
                  .once = true,
                  .setup = set_up,
                  .measure = peak,
                  .teardown = tear_down,
                  .peers = {{.name = "torch", .where = TORCH_MEMORY, .limit = 0.8}}};
    return 2;
}
