/* rows_images -- images pooled and resampled, forward and backward, beside PyTorch
 *
 * Sixteen images of 56×56 with 64 channels. PyTorch's tensors lie in memory as ours do, with the channels last. */
#include "bench.h"
#include "nn/nn.h"

#include <math.h>
#include <string.h>

enum { BATCH = 16, SIDE = 56, CHANNELS = 64 };
enum { FORM, NUMBER, STEP };
enum { MAX_POOL, AVERAGE_POOL, NEAREST, BILINEAR, CORNERS, BICUBIC };

static struct {
    ag_tape *tape;
    ag_mark mark;
    float *memory[2];
    ag_tensor *x, *g;
} s;

/* NUMBER is a window's edge or the edge of the result; STEP is how far windows are apart. */
static ag_tensor *result(const row *r) {
    const ag_shape edge = AG_SHAPE(r->size[NUMBER]);
    const ag_pool_options o = {.stride = {r->size[STEP]}};
    static const ag_interpolation mode[] = {
        [NEAREST] = AG_NEAREST, [BILINEAR] = AG_LINEAR, [CORNERS] = AG_LINEAR, [BICUBIC] = AG_CUBIC};
    if (r->size[FORM] == MAX_POOL) return ag_max_pool(s.x, edge, &o);
    if (r->size[FORM] == AVERAGE_POOL) return ag_avg_pool(s.x, edge, &o);
    return ag_interpolate(s.x, edge, mode[r->size[FORM]], r->size[FORM] == CORNERS);
}

static bool set_up(const row *r, int threads) {
    s.tape = ag_tape_new();
    ag_tape_set_threads(s.tape, threads);
    const ag_shape shape = AG_SHAPE(BATCH, SIDE, SIDE, CHANNELS);
    s.memory[0] = noise_f32(BATCH * SIDE * SIDE * CHANNELS, 1, 1);
    s.x = ag_parameter(s.tape, AG_F32, shape, s.memory[0]);
    s.mark = ag_tape_mark(s.tape);
    const ag_tensor *y = result(r);
    const ag_shape like = ag_shape_of(y);
    s.memory[1] = noise_f32(ag_size(y), 2, 1);
    ag_tape_rewind(s.tape, s.mark);
    s.g = ag_wrap(s.tape, AG_F32, like, s.memory[1]);
    s.mark = ag_tape_mark(s.tape);
    return fine(s.tape);
}

static bool tear_down(const row *r) {
    (void)r;
    bool good = fine(s.tape);
    ag_tape_free(s.tape);
    for (int i = 0; i < 2; i++) room_free(s.memory[i]);
    return good;
}

static double once(const row *r, bool weighed) {
    ag_tensor *all[2];
    all[0] = result(r);
    ag_vjp(1, all, &s.g, 1, &s.x, all + 1, 0);
    ag_eval_all(2, all);
    double sum = weighed ? weigh(all[0]) + weigh(all[1]) : 0;
    if (weighed && !fine(s.tape)) sum = NAN;
    ag_tape_rewind(s.tape, s.mark);
    return sum;
}

static void work(const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++) once(r, false);
}

static double check(const row *r) { return once(r, true); }

int images_rows(row *to) {
    static const row all[] = {
        {.name = "images_max_2_2", .size = {MAX_POOL, 2, 2}},
        {.name = "images_max_3_2", .size = {MAX_POOL, 3, 2}},
        {.name = "images_avg_3_2", .size = {AVERAGE_POOL, 3, 2}},
        {.name = "images_nearest_112", .size = {NEAREST, 112}},
        {.name = "images_linear_112", .size = {BILINEAR, 112}},
        {.name = "images_linear_28", .size = {BILINEAR, 28}},
        {.name = "images_linear_80", .size = {BILINEAR, 80}},
        {.name = "images_corners_112", .size = {CORNERS, 112}},
        {.name = "images_cubic_112", .size = {BICUBIC, 112}},
    };
    enum { ROWS = sizeof all / sizeof *all };
    for (int i = 0; i < ROWS; i++) {
        to[i] = all[i];
        to[i].what = "16 images of 56x56 with 64 channels, and their gradient: window and stride, or edge, in the name";
        to[i].unit = "s";
        to[i].each = "";
        to[i].setup = set_up;
        to[i].work = work;
        to[i].check = check;
        to[i].teardown = tear_down;
        to[i].peers[0] = (peer){.name = "torch", .where = TORCH, .limit = 1};
    }
    return ROWS;
}
