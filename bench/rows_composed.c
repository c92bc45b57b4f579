/* rows_composed -- functions composed from primitives, forward and backward, beside PyTorch's fused ones
 *
 * x is the input, of `rows` by `columns`; g is the cotangent that comes from above, all given. */
#include "bench.h"
#include "nn/nn.h"

#include <math.h>
#include <string.h>

enum { MOST = 4 };

static struct {
    ag_tape *tape;
    ag_mark mark;
    float *memory[MOST];
    int64_t *labels;
    ag_tensor *x, *g;
    ag_batchnorm norm;
} s;

static float *input(int i, int64_t n, double scale) { return s.memory[i] = noise_f32(n, (uint64_t)i + 1, scale); }

static bool open(int threads) {
    memset(&s, 0, sizeof s);
    s.tape = ag_tape_new();
    ag_tape_set_threads(s.tape, threads);
    return true;
}

static bool opened(void) {
    s.mark = ag_tape_mark(s.tape);
    return fine(s.tape);
}

static bool tear_down(const row *r) {
    (void)r;
    bool good = fine(s.tape);
    ag_tape_free(s.tape);
    for (int i = 0; i < MOST; i++) room_free(s.memory[i]);
    room_free(s.labels);
    return good;
}

/* Evaluates y (unless NULL) and the n gradients in one sweep, weighs the first `weighed` of them, and rewinds. */
static double finish(ag_tensor *y, int n, ag_tensor *dx[], bool weighed) {
    ag_tensor *all[MOST];
    memcpy(all, dx, (size_t)n * sizeof *dx);
    if (y) all[n] = y;
    ag_eval_all(n + (y != NULL), all);
    double sum = 0;
    for (int i = 0; weighed && i < n; i++) sum += weigh(dx[i]);
    if (weighed && !fine(s.tape)) sum = NAN;
    ag_tape_rewind(s.tape, s.mark);
    return sum;
}

/* ---- Batchnorm ---- */

static bool set_up_batchnorm(const row *r, int threads) {
    int64_t rows = r->size[0], columns = r->size[1];
    open(threads);
    s.x = ag_parameter(s.tape, AG_F32, AG_SHAPE(rows, columns), input(0, rows * columns, 2));
    s.g = ag_wrap(s.tape, AG_F32, AG_SHAPE(rows, columns), input(1, rows * columns, 1));
    ag_batchnorm_init(&s.norm, s.tape, AG_F32, columns);
    ag_set(s.norm.gamma, input(2, columns, 1));
    ag_set(s.norm.beta, input(3, columns, 1));
    return opened();
}

static double batchnorm(bool weighed) {
    ag_tensor *x[] = {s.x, s.norm.gamma, s.norm.beta}, *dx[3];
    ag_tensor *y = ag_batchnorm_apply(&s.norm, s.x, true);
    ag_vjp(1, &y, &s.g, 3, x, dx, 0);
    return finish(y, 3, dx, weighed);
}

/* ---- Cross-entropy ---- */

static bool set_up_cross_entropy(const row *r, int threads) {
    int64_t rows = r->size[0], columns = r->size[1];
    open(threads);
    s.x = ag_parameter(s.tape, AG_F32, AG_SHAPE(rows, columns), input(0, rows * columns, 4));
    s.labels = noise_labels(rows, 2, columns);
    s.g = ag_wrap(s.tape, AG_I64, AG_SHAPE(rows), s.labels);
    return opened();
}

static double cross_entropy(bool weighed) {
    ag_tensor *y = ag_cross_entropy(s.x, s.g), *dx[2];
    ag_grad(y, 1, &s.x, dx);
    dx[1] = y;
    return finish(NULL, 2, dx, weighed);
}

/* ---- Elementwise ---- */

static bool set_up_elements(const row *r, int threads) {
    int64_t n = r->size[0] << 20;
    open(threads);
    s.x = ag_parameter(s.tape, AG_F32, AG_SHAPE(n), input(0, n, (double)r->size[1]));
    s.g = ag_wrap(s.tape, AG_F32, AG_SHAPE(n), input(1, n, 1));
    return opened();
}

static double elements(ag_tensor *y, bool weighed) {
    ag_tensor *dx;
    ag_vjp(1, &y, &s.g, 1, &s.x, &dx, 0);
    return finish(y, 1, &dx, weighed);
}

/* x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))), Hendrycks and Gimpel (2016) */
static double gelu(bool weighed) {
    ag_tensor *x = s.x, *cubic = ag_mul(ag_add_scalar(ag_scale(ag_square(x), 0.044715), 1), x);
    ag_tensor *t = ag_tanh(ag_scale(cubic, 0.79788456080286536));
    return elements(ag_mul(ag_scale(x, 0.5), ag_add_scalar(t, 1)), weighed);
}

static double chain(bool weighed) {
    ag_tensor *y = s.x;
    for (int i = 0; i < 5; i++) y = ag_tanh(ag_mul(ag_add_scalar(ag_scale(y, 1.5), 0.25), y));
    return elements(y, weighed);
}

/* ---- The rows ---- */

static double one(const row *r, bool weighed) {
    switch (r->name[0]) {
    case 'b': return batchnorm(weighed);
    case 'g': return gelu(weighed);
    default: return r->name[1] == 'r' ? cross_entropy(weighed) : chain(weighed);
    }
}

static void work(const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++) one(r, false);
}

static double check(const row *r) { return one(r, true); }

int composed_rows(row *to) {
    const peer torch = {.name = "torch, fused", .where = TORCH, .limit = 0.5};
    const peer torch_chain = {.name = "torch", .where = TORCH, .limit = 0.15};
    const row rows[] = {
        {.name = "batchnorm_64x256", .size = {64, 256}, .setup = set_up_batchnorm, .peers = {torch}},
        {.name = "batchnorm_256x1024", .size = {256, 1024}, .setup = set_up_batchnorm, .peers = {torch}},
        {.name = "batchnorm_4096x1024", .size = {4096, 1024}, .setup = set_up_batchnorm, .peers = {torch}},
        {.name = "cross_entropy_4096x1000", .size = {4096, 1000}, .setup = set_up_cross_entropy, .peers = {torch}},
        {.name = "gelu_4M", .size = {4, 4}, .setup = set_up_elements, .peers = {torch}},
        {.name = "chain_4M", .size = {4, 1}, .setup = set_up_elements, .peers = {torch_chain}},
    };
    int n = (int)(sizeof rows / sizeof *rows);
    for (int i = 0; i < n; i++) {
        to[i] = rows[i];
        to[i].what = "composed from primitives, forward and backward";
        to[i].unit = "s";
        to[i].each = "";
        to[i].work = work;
        to[i].check = check;
        to[i].teardown = tear_down;
    }
    return n;
}
