/* rows_convolution -- convolutions of images with many channels, forward and backward: by the image, the weight and the
 * bias
 *
 * Eight images; padded so that the result is as large. Ours have the channels last; PyTorch's tensors have the shape
 * that it knows, and lie in memory in the same order, which is as fast for it as its own or faster. */
#include "bench.h"
#include "nn/nn.h"

#include <math.h>
#include <stdio.h>

enum { BATCH = 8, MEMORY = 2 };
enum { SIDE, IN, OUT, WINDOW };

static struct {
    ag_tape *tape;
    ag_mark mark;
    ag_conv2d conv;
    float *memory[MEMORY];
    ag_tensor *x, *g;
} s;

static void set_to_noise(ag_tensor *x, uint64_t stream) {
    float *data = noise_f32(ag_size(x), stream, 1);
    ag_set(x, data);
    room_free(data);
}

static bool set_up(const row *r, int threads) {
    const int64_t *n = r->size, area = BATCH * n[SIDE] * n[SIDE];
    s.tape = ag_tape_new();
    ag_tape_set_threads(s.tape, threads);
    s.memory[0] = noise_f32(area * n[IN], 1, 1);
    s.memory[1] = noise_f32(area * n[OUT], 2, 1);
    s.x = ag_parameter(s.tape, AG_F32, AG_SHAPE(BATCH, n[SIDE], n[SIDE], n[IN]), s.memory[0]);
    s.g = ag_wrap(s.tape, AG_F32, AG_SHAPE(BATCH, n[SIDE], n[SIDE], n[OUT]), s.memory[1]);
    ag_conv2d_init(&s.conv, s.tape, AG_F32, n[IN], n[OUT], n[WINDOW]);
    s.conv.padding = n[WINDOW] / 2;
    set_to_noise(s.conv.weight, 3);
    set_to_noise(s.conv.bias, 4);
    s.mark = ag_tape_mark(s.tape);
    return fine(s.tape);
}

static bool tear_down(const row *r) {
    (void)r;
    bool good = fine(s.tape);
    ag_tape_free(s.tape);
    for (int i = 0; i < MEMORY; i++) room_free(s.memory[i]);
    return good;
}

static double once(bool weighed) {
    enum { RESULTS = 4 };
    ag_tensor *all[RESULTS], *in[] = {s.x, s.conv.weight, s.conv.bias};
    all[0] = ag_conv2d_apply(&s.conv, s.x);
    ag_vjp(1, all, &s.g, RESULTS - 1, in, all + 1, 0);
    ag_eval_all(RESULTS, all);
    double sum = 0;
    for (int i = 0; weighed && i < RESULTS; i++) sum += weigh(all[i]);
    if (weighed && !fine(s.tape)) sum = NAN;
    ag_tape_rewind(s.tape, s.mark);
    return sum;
}

static void work(const row *r, int64_t repetitions) {
    (void)r;
    for (int64_t k = 0; k < repetitions; k++) once(false);
}

static double check(const row *r) { return (void)r, once(true); }

int convolution_rows(row *to) {
    static const int64_t sizes[][4] = {{56, 64, 64, 3}, {28, 32, 64, 5}, {28, 128, 256, 1}};
    enum { ROWS = sizeof sizes / sizeof *sizes };
    for (int i = 0; i < ROWS; i++) {
        const int64_t *n = sizes[i];
        to[i] = (row){.what = "a convolution of 8 images and its gradients: side, channels, window in the name",
                      .unit = "s",
                      .each = "",
                      .size = {n[SIDE], n[IN], n[OUT], n[WINDOW]},
                      .setup = set_up,
                      .work = work,
                      .check = check,
                      .teardown = tear_down,
                      .peers = {{.name = "torch", .where = TORCH, .limit = 1}}};
        snprintf(to[i].name, sizeof to[i].name, "conv_%d_%dto%d_%dx%d", (int)n[SIDE], (int)n[IN], (int)n[OUT],
                 (int)n[WINDOW], (int)n[WINDOW]);
    }
    return ROWS;
}
