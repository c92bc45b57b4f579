/* rows_composed -- functions composed from primitives, forward and backward, beside PyTorch's fused ones and ours fused
 * by hand
 *
 * x is the input, of n rows by c columns; g is the cotangent of y. Both are given, y and all gradients are computed. */
#include "bench.h"
#include "nn/nn.h"

#include <math.h>
#include <string.h>

enum { MOST = 4, IMAGES = 4 /* size[IMAGES] of group norm; 0: one */ };
enum function { BATCHNORM, LAYER_NORM, GROUPNORM, SOFTMAX, CROSS_ENTROPY, GELU, GATES, CHAIN };

static struct {
    ag_tape *tape;
    ag_mark mark;
    int threads;
    ag_dtype dtype;
    void *memory[MOST];
    int64_t *labels;
    ag_tensor *x, *g, *state;
    ag_batchnorm norm;
    ag_layernorm row_norm;
    ag_groupnorm group_norm;
    void *y, *dx;        /* results fused by hand */
    fused_batchnorm own; /* and its other results */
} s;

static bool is_f64(void) { return s.dtype == AG_F64; }

static void *input(int i, int64_t n, double scale) {
    uint64_t stream = (uint64_t)i + 1;
    if (is_f64()) s.memory[i] = noise_f64(n, stream, scale);
    else s.memory[i] = noise_f32(n, stream, scale);
    return s.memory[i];
}

static double weigh_memory(const void *x, int64_t n) { return is_f64() ? weigh_f64(x, n) : weigh_f32(x, n); }

static void open(const row *r, int threads) {
    memset(&s, 0, sizeof s);
    s.dtype = (ag_dtype)r->size[2];
    s.threads = threads;
    s.tape = ag_tape_new();
    ag_tape_set_threads(s.tape, threads);
}

static bool opened(int64_t elements) {
    s.y = room(elements * (int64_t)ag_dtype_size(s.dtype));
    s.dx = room(elements * (int64_t)ag_dtype_size(s.dtype));
    s.mark = ag_tape_mark(s.tape);
    return fine(s.tape);
}

static bool tear_down(const row *r) {
    (void)r;
    bool good = fine(s.tape);
    ag_tape_free(s.tape);
    for (int i = 0; i < MOST; i++) room_free(s.memory[i]);
    room_free(s.labels);
    room_free(s.y), room_free(s.dx);
    room_free(s.own.dgamma), room_free(s.own.dbeta), room_free(s.own.running_mean), room_free(s.own.running_var);
    return good;
}

/* Evaluates n results in one sweep, weighs them if `weighed`, and rewinds. */
static double finish(int n, ag_tensor *const all[], bool weighed) {
    ag_eval_all(n, all);
    double sum = 0;
    for (int i = 0; weighed && i < n; i++) sum += weigh(all[i]);
    if (weighed && !fine(s.tape)) sum = NAN;
    ag_tape_rewind(s.tape, s.mark);
    return sum;
}

/* ---- Batchnorm ---- */

static bool set_up_batchnorm(const row *r, int threads) {
    int64_t n = r->size[0], c = r->size[1], bytes;
    open(r, threads);
    bytes = c * (int64_t)ag_dtype_size(s.dtype);
    s.x = ag_parameter(s.tape, s.dtype, AG_SHAPE(n, c), input(0, n * c, 2));
    s.g = ag_wrap(s.tape, s.dtype, AG_SHAPE(n, c), input(1, n * c, 1));
    ag_batchnorm_init(&s.norm, s.tape, s.dtype, c);
    ag_set(s.norm.gamma, input(2, c, 1));
    ag_set(s.norm.beta, input(3, c, 1));
    bool good = opened(n * c);
    s.own = (fused_batchnorm){n, c, s.memory[0], s.memory[1], s.memory[2], s.memory[3], .y = s.y, .dx = s.dx};
    s.own.dgamma = room(bytes), s.own.dbeta = room(bytes);
    s.own.running_mean = room(bytes), s.own.running_var = room(bytes);
    s.own.momentum = s.norm.momentum, s.own.epsilon = s.norm.epsilon;
    return good;
}

static double batchnorm(bool weighed) {
    ag_tensor *x[] = {s.x, s.norm.gamma, s.norm.beta}, *all[4], *y;
    all[3] = y = ag_batchnorm_apply(&s.norm, s.x, true);
    ag_vjp(1, &y, &s.g, 3, x, all, 0);
    return finish(4, all, weighed);
}

static void batchnorm_by_hand(const row *r, int64_t repetitions) {
    (void)r;
    for (int64_t k = 0; k < repetitions; k++)
        (is_f64() ? fused_batchnorm_step_f64 : fused_batchnorm_step_f32)(&s.own, s.threads);
}

static double check_batchnorm_by_hand(const row *r) {
    int64_t n = r->size[0], c = r->size[1];
    batchnorm_by_hand(r, 1);
    return weigh_memory(s.y, n * c) + weigh_memory(s.dx, n * c) + weigh_memory(s.own.dgamma, c) +
           weigh_memory(s.own.dbeta, c);
}

/* ---- Layer norm ---- */

static bool set_up_layer_norm(const row *r, int threads) {
    int64_t n = r->size[0], c = r->size[1];
    open(r, threads);
    s.x = ag_parameter(s.tape, s.dtype, AG_SHAPE(n, c), input(0, n * c, 2));
    s.g = ag_wrap(s.tape, s.dtype, AG_SHAPE(n, c), input(1, n * c, 1));
    ag_layernorm_init(&s.row_norm, s.tape, s.dtype, c);
    ag_set(s.row_norm.gamma, input(2, c, 1));
    ag_set(s.row_norm.beta, input(3, c, 1));
    return opened(n * c);
}

static double layer_norm(bool weighed) {
    ag_tensor *x[] = {s.x, s.row_norm.gamma, s.row_norm.beta}, *all[4], *y;
    all[3] = y = ag_layernorm_apply(&s.row_norm, s.x);
    ag_vjp(1, &y, &s.g, 3, x, all, 0);
    return finish(4, all, weighed);
}

/* ---- Group norm of images: their places, and these places' channels, in 32 groups, or each by itself ---- */

static bool set_up_groupnorm(const row *r, int threads) {
    const int64_t places = r->size[0], c = r->size[1], images = r->size[IMAGES] > 0 ? r->size[IMAGES] : 1;
    open(r, threads);
    s.x = ag_parameter(s.tape, s.dtype, AG_SHAPE(images, places, c), input(0, images * places * c, 2));
    s.g = ag_wrap(s.tape, s.dtype, AG_SHAPE(images, places, c), input(1, images * places * c, 1));
    ag_groupnorm_init(&s.group_norm, s.tape, s.dtype, c, c < 32 ? c : 32);
    ag_set(s.group_norm.gamma, input(2, c, 1));
    ag_set(s.group_norm.beta, input(3, c, 1));
    return opened(images * places * c);
}

static double groupnorm(bool weighed) {
    ag_tensor *x[] = {s.x, s.group_norm.gamma, s.group_norm.beta}, *all[4], *y;
    all[3] = y = ag_groupnorm_apply(&s.group_norm, s.x);
    ag_vjp(1, &y, &s.g, 3, x, all, 0);
    return finish(4, all, weighed);
}

/* ---- Softmax and cross-entropy ---- */

static bool set_up_softmax(const row *r, int threads) {
    int64_t n = r->size[0], c = r->size[1];
    open(r, threads);
    s.x = ag_parameter(s.tape, s.dtype, AG_SHAPE(n, c), input(0, n * c, 4));
    s.g = ag_wrap(s.tape, s.dtype, AG_SHAPE(n, c), input(1, n * c, 1));
    return opened(n * c);
}

static double softmax(bool weighed) {
    ag_tensor *all[2], *y;
    all[1] = y = ag_softmax(s.x, -1);
    ag_vjp(1, &y, &s.g, 1, &s.x, all, 0);
    return finish(2, all, weighed);
}

static bool set_up_cross_entropy(const row *r, int threads) {
    int64_t n = r->size[0], c = r->size[1];
    open(r, threads);
    s.x = ag_parameter(s.tape, s.dtype, AG_SHAPE(n, c), input(0, n * c, 4));
    s.labels = noise_labels(n, 2, c);
    s.g = ag_wrap(s.tape, AG_I64, AG_SHAPE(n), s.labels);
    return opened(n * c);
}

/* The gates of an LSTM's cell are the quarters of each row of x. */
static bool set_up_gates(const row *r, int threads) {
    int64_t n = r->size[0], c = r->size[1];
    open(r, threads);
    s.x = ag_parameter(s.tape, s.dtype, AG_SHAPE(n, 4 * c), input(0, 4 * n * c, 2));
    s.g = ag_wrap(s.tape, s.dtype, AG_SHAPE(n, c), input(1, n * c, 1));
    s.state = ag_wrap(s.tape, s.dtype, AG_SHAPE(n, c), input(2, n * c, 1));
    return opened(n * c);
}

static double gates(bool weighed) {
    ag_tensor *part[4], *all[2], *y;
    ag_chunk(s.x, 1, 4, part);
    y = ag_add(ag_mul(ag_sigmoid(part[0]), s.state), ag_mul(ag_sigmoid(part[1]), ag_tanh(part[2])));
    all[1] = y = ag_mul(ag_sigmoid(part[3]), ag_tanh(y));
    ag_vjp(1, &y, &s.g, 1, &s.x, all, 0);
    return finish(2, all, weighed);
}

static double cross_entropy(bool weighed) {
    ag_tensor *all[2], *y;
    all[1] = y = ag_cross_entropy(s.x, s.g);
    ag_grad(y, 1, &s.x, all);
    return finish(2, all, weighed);
}

static double one_cross_entropy_by_hand(const row *r) {
    return (is_f64() ? fused_cross_entropy_step_f64 : fused_cross_entropy_step_f32)(r->size[0], r->size[1], s.memory[0],
                                                                                    s.labels, s.dx, s.threads);
}

static void cross_entropy_by_hand(const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++) one_cross_entropy_by_hand(r);
}

static double check_cross_entropy_by_hand(const row *r) {
    double loss = one_cross_entropy_by_hand(r);
    return log(loss) + 1 + weigh_memory(s.dx, r->size[0] * r->size[1]); /* the loss, as weigh_memory counts it */
}

/* ---- Elementwise ---- */

static bool set_up_elements(const row *r, int threads) {
    int64_t n = r->size[0];
    open(r, threads);
    s.x = ag_parameter(s.tape, s.dtype, AG_SHAPE(n), input(0, n, (double)r->size[1]));
    s.g = ag_wrap(s.tape, s.dtype, AG_SHAPE(n), input(1, n, 1));
    return opened(n);
}

static double elements(ag_tensor *y, bool weighed) {
    ag_tensor *all[2];
    all[1] = y;
    ag_vjp(1, &y, &s.g, 1, &s.x, all, 0);
    return finish(2, all, weighed);
}

/* x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))), Hendrycks and Gimpel (2016) */
static double gelu(bool weighed) {
    ag_tensor *x = s.x, *cubic = ag_mul(ag_add_scalar(ag_scale(ag_square(x), 0.044715), 1), x);
    ag_tensor *t = ag_tanh(ag_scale(cubic, 0.79788456080286536));
    return elements(ag_mul(ag_scale(x, 0.5), ag_add_scalar(t, 1)), weighed);
}

static void gelu_by_hand(const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++)
        (is_f64() ? fused_gelu_step_f64 : fused_gelu_step_f32)(r->size[0], s.memory[0], s.memory[1], s.y, s.dx,
                                                               s.threads);
}

static double check_gelu_by_hand(const row *r) {
    gelu_by_hand(r, 1);
    return weigh_memory(s.y, r->size[0]) + weigh_memory(s.dx, r->size[0]);
}

static double chain(bool weighed) {
    ag_tensor *y = s.x;
    for (int i = 0; i < 5; i++) y = ag_tanh(ag_mul(ag_add_scalar(ag_scale(y, 1.5), 0.25), y));
    return elements(y, weighed);
}

/* ---- The rows ---- */

static double one(const row *r, bool weighed) {
    switch ((enum function)r->size[3]) {
    case BATCHNORM: return batchnorm(weighed);
    case LAYER_NORM: return layer_norm(weighed);
    case GROUPNORM: return groupnorm(weighed);
    case SOFTMAX: return softmax(weighed);
    case CROSS_ENTROPY: return cross_entropy(weighed);
    case GELU: return gelu(weighed);
    case GATES: return gates(weighed);
    default: return chain(weighed);
    }
}

static void work(const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++) one(r, false);
}

static double check(const row *r) { return one(r, true); }

/* The row of the same name in f64. */
static row twin_of(const row *f32) {
    row r = *f32;
    memcpy(r.name + strlen(f32->name), "_f64", sizeof "_f64");
    r.size[2] = AG_F64;
    r.moved *= 2;
    return r;
}

int composed_rows(row *to) {
    enum { N = 4096, C = 1000, MANY = 4 << 20, FLOAT = sizeof(float) };
    const peer torch = {.name = "torch, fused", .where = TORCH, .limit = 0.4}, copy = {.name = "copy", .where = COPY},
               norm_by_hand = {.name = "fused by hand",
                               .where = HERE,
                               .work = batchnorm_by_hand,
                               .check = check_batchnorm_by_hand,
                               .limit = 1.2};
    const row batchnorm = {.what = "batchnorm with its running statistics, composed, forward and backward",
                           .setup = set_up_batchnorm,
                           .peers = {torch, norm_by_hand, copy}};
    const row rows[] = {
        {.name = "batchnorm_64x256", .size = {64, 256, AG_F32, BATCHNORM}},
        {.name = "batchnorm_256x1024", .size = {256, 1024, AG_F32, BATCHNORM}},
        {.name = "batchnorm_4096x1024", .size = {N, 1024, AG_F32, BATCHNORM}},
        {.name = "layer_norm_4096x1000",
         .what = "layer norm over rows of 1000, composed, forward and backward",
         .size = {N, C, AG_F32, LAYER_NORM},
         .moved = 4 * N * C * FLOAT,
         .setup = set_up_layer_norm,
         .peers = {{.name = "torch, fused", .where = TORCH, .limit = 0.6},
                   {.name = "copy", .where = COPY, .limit = 1.6}}},
        {.name = "groupnorm_1024x320",
         .what = "group norm of 1024 places with 320 channels in 32 groups, composed, forward and backward",
         .size = {1024, 320, AG_F32, GROUPNORM},
         .moved = 4 * 1024 * 320 * FLOAT,
         .setup = set_up_groupnorm,
         .peers = {{.name = "torch, fused", .where = TORCH, .limit = 0.9}, copy}},
        {.name = "groupnorm_8x1024x320",
         .what = "the same of 8 images",
         .size = {1024, 320, AG_F32, GROUPNORM, 8},
         .moved = 4 * 8 * 1024 * 320 * FLOAT,
         .setup = set_up_groupnorm,
         .peers = {{.name = "torch, fused", .where = TORCH, .limit = 0.9}, copy}},
        {.name = "instancenorm_8x4096x3",
         .what = "instance norm of 8 images of 4096 places with 3 channels, composed, forward and backward",
         .size = {4096, 3, AG_F32, GROUPNORM, 8},
         .moved = 4 * 8 * 4096 * 3 * FLOAT,
         .setup = set_up_groupnorm,
         .peers = {{.name = "torch, fused", .where = TORCH, .limit = 0.9}, copy}},
        {.name = "instancenorm_8x50176x3",
         .what = "the same of larger images",
         .size = {50176, 3, AG_F32, GROUPNORM, 8},
         .moved = 4 * 8 * 50176 * 3 * FLOAT,
         .setup = set_up_groupnorm,
         .peers = {{.name = "torch, fused", .where = TORCH, .limit = 0.9}, copy}},
        {.name = "softmax_4096x1000",
         .what = "softmax of rows of 1000, composed, forward and backward",
         .size = {N, C, AG_F32, SOFTMAX},
         .moved = 4 * N * C * FLOAT,
         .setup = set_up_softmax,
         .peers = {{.name = "torch, fused", .where = TORCH, .limit = 0.5},
                   {.name = "copy", .where = COPY, .limit = 1.6}}},
        {.name = "gates_512x1000",
         .what = "the gates and states of an LSTM's cell, from slices of what they come from, forward and backward",
         .size = {512, C, AG_F32, GATES},
         .moved = 11 * 512 * C * FLOAT, /* gates, state and g read, y and the gates' gradients written */
         .setup = set_up_gates,
         .peers = {{.name = "torch", .where = TORCH, .limit = 0.4}, copy}},
        {.name = "cross_entropy_4096x1000",
         .what = "cross-entropy of 4096 scores of 1000 classes, composed, forward and backward",
         .size = {N, C, AG_F32, CROSS_ENTROPY},
         .moved = 2 * N * C * FLOAT, /* x read, dx written */
         .setup = set_up_cross_entropy,
         .peers = {torch,
                   {.name = "fused by hand",
                    .where = HERE,
                    .work = cross_entropy_by_hand,
                    .check = check_cross_entropy_by_hand,
                    .limit = 1.2},
                   copy}},
        {.name = "gelu_4M",
         .what = "GELU by tanh of 4M elements, composed, forward and backward",
         .size = {MANY, 4, AG_F32, GELU},
         .moved = 4 * (int64_t)MANY * FLOAT,
         .setup = set_up_elements,
         .peers =
             {{.name = "torch, fused", .where = TORCH, .limit = 0.5},
              {.name = "fused by hand", .where = HERE, .work = gelu_by_hand, .check = check_gelu_by_hand, .limit = 0.9},
              copy}},
        {.name = "chain_4M",
         .what = "20 elementwise operations, one after the other, on 4M elements, forward and backward",
         .size = {MANY, 1, AG_F32, CHAIN},
         .moved = 4 * (int64_t)MANY * FLOAT,
         .setup = set_up_elements,
         .peers = {{.name = "torch", .where = TORCH, .limit = 0.08}, copy}},
    };
    int n = (int)(sizeof rows / sizeof *rows);
    for (int i = 0; i < n; i++) {
        row r = rows[i];
        if (r.size[3] == BATCHNORM) { /* x and g read, y and dx written */
            memcpy(r.peers, batchnorm.peers, sizeof r.peers);
            r.what = batchnorm.what, r.setup = batchnorm.setup, r.moved = 4 * r.size[0] * r.size[1] * FLOAT;
        }
        r.unit = "s", r.each = "";
        r.work = work, r.check = check, r.teardown = tear_down;
        to[2 * i] = r;
        to[2 * i + 1] = twin_of(&r);
    }
    return 2 * n;
}
