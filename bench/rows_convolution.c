/* rows_convolution -- convolutions of images with many channels, forward and backward: by the image, the weight and the
 * bias
 *
 * Eight sequences, images or volumes; padded so that the result is as large or, of transposed ones with stride 2, twice
 * as long along each axis. Ours have the channels last; PyTorch's tensors have the shape that it knows, and lie in memory
 * in the same order, which is as fast for it as its own or faster, except sequences, which it wants in its own. */
#include "bench.h"
#include "nn/nn.h"

#include <math.h>
#include <stdio.h>

enum { BATCH = 8, MEMORY = 2 };
enum { SIDE, IN, OUT, WINDOW, AXES, KIND };
enum { PLAIN, DEPTHWISE, TRANSPOSED };

static struct {
    ag_tape *tape;
    ag_mark mark;
    ag_conv conv;
    float *memory[MEMORY];
    ag_tensor *x, *g;
} s;

static void set_to_noise(ag_tensor *x, uint64_t stream) {
    float *data = noise_f32(ag_size(x), stream, 1);
    ag_set(x, data);
    room_free(data);
}

static ag_shape image(const int64_t *n, int64_t edge, int64_t channels) {
    ag_shape shape = {.rank = (int)n[AXES] + 2, .extent = {BATCH}};
    for (int i = 0; i < n[AXES]; i++) shape.extent[i + 1] = edge;
    shape.extent[n[AXES] + 1] = channels;
    return shape;
}

static float *noise_of(ag_shape shape, uint64_t stream) {
    int64_t n = 1;
    for (int i = 0; i < shape.rank; i++) n *= shape.extent[i];
    return noise_f32(n, stream, 1);
}

static bool set_up(const row *r, int threads) {
    const int64_t *n = r->size, twice = r->size[KIND] == TRANSPOSED;
    const ag_shape from = image(n, n[SIDE], n[IN]), to = image(n, n[SIDE] << twice, n[OUT]);
    ag_shape size = {.rank = (int)n[AXES]};
    ag_conv_options o = {.groups = n[KIND] == DEPTHWISE ? n[IN] : 1, .stride = {1 + twice}, .same = true};
    for (int i = 0; i < size.rank; i++) size.extent[i] = n[WINDOW];
    s.tape = ag_tape_new();
    ag_tape_set_threads(s.tape, threads);
    s.memory[0] = noise_of(from, 1);
    s.memory[1] = noise_of(to, 2);
    s.x = ag_parameter(s.tape, AG_F32, from, s.memory[0]);
    s.g = ag_wrap(s.tape, AG_F32, to, s.memory[1]);
    ag_conv_init_with(&s.conv, s.tape, AG_F32, n[IN], n[OUT], size, &o, twice, NULL);
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
    all[0] = ag_conv_apply(&s.conv, s.x);
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

static void name_row(row *r) {
    static const char *const kind[] = {"", "dw", "t"};
    const int64_t *n = r->size;
    int at = snprintf(r->name, sizeof r->name, "conv%s%s_%d_%dto%d_%d", kind[n[KIND]],
                      n[AXES] == 1   ? "1d"
                      : n[AXES] == 3 ? "3d"
                                     : "",
                      (int)n[SIDE], (int)n[IN], (int)n[OUT], (int)n[WINDOW]);
    for (int i = 1; i < n[AXES]; i++) at += snprintf(r->name + at, sizeof r->name - (size_t)at, "x%d", (int)n[WINDOW]);
}

int convolution_rows(row *to) {
    static const int64_t sizes[][6] = {
        {56, 64, 64, 3, 2, PLAIN},      {28, 32, 64, 5, 2, PLAIN}, {28, 128, 256, 1, 2, PLAIN},
        {4096, 32, 64, 5, 1, PLAIN},    {16, 16, 32, 3, 3, PLAIN}, {56, 128, 128, 3, 2, DEPTHWISE},
        {28, 64, 32, 4, 2, TRANSPOSED},
    };
    enum { ROWS = sizeof sizes / sizeof *sizes };
    for (int i = 0; i < ROWS; i++) {
        const int64_t *n = sizes[i];
        to[i] = (row){.what = "a convolution of 8 images and its gradients: edge, channels, window in the name",
                      .unit = "s",
                      .each = "",
                      .size = {n[SIDE], n[IN], n[OUT], n[WINDOW], n[AXES], n[KIND]},
                      .setup = set_up,
                      .work = work,
                      .check = check,
                      .teardown = tear_down,
                      .peers = {{.name = "torch", .where = TORCH, .limit = 1}}};
        name_row(&to[i]);
    }
    return ROWS;
}
