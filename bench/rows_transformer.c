/* rows_transformer -- a transformer block, forward and backward, beside PyTorch's built-in parts
 *
 * B sequences of T positions with C features each, H heads of D = C/H features:
 *     h = x + proj(attention(norm1(x))),  y = h + narrow(gelu(widen(norm2(h)))) */
#include "bench.h"
#include "nn/nn.h"

#include <math.h>

enum { B = 8, T = 64, C = 128, H = 4, D = C / H };
enum { QKV, PROJ, WIDEN, NARROW, LINEARS };
enum { PARAMETERS = 2 * LINEARS + 4, RESULTS = 1 + PARAMETERS + 1 };

static struct {
    ag_tape *tape;
    ag_mark mark;
    ag_linear linear[LINEARS];
    ag_layernorm norm[2];
    ag_tensor *x, *g; /* (B,T,C) */
    ag_tensor *p[1 + PARAMETERS];
    float *cotangent;
} s;

/* ---- The model ---- */

static ag_tensor *gelu(ag_tensor *x) {
    ag_tensor *cubic = ag_mul(ag_add_scalar(ag_scale(ag_square(x), 0.044715), 1), x);
    return ag_mul(ag_scale(x, 0.5), ag_add_scalar(ag_tanh(ag_scale(cubic, 0.79788456080286536)), 1));
}

/* Queries, keys or values, the i-th third of (B,T,3C), as (B,H,T,D) */
static ag_tensor *heads(ag_tensor *qkv, int64_t i) {
    ag_tensor *part = ag_slice(qkv, -1, i * C, (i + 1) * C, 1);
    return ag_transpose(ag_reshape(part, AG_SHAPE(B, T, H, D)), 1, 2);
}

static ag_tensor *attention(ag_tensor *x) {
    ag_tensor *qkv = ag_linear_apply(&s.linear[QKV], x);
    ag_tensor *q = heads(qkv, 0), *k = heads(qkv, 1), *v = heads(qkv, 2);
    ag_tensor *scores = ag_scale(ag_matmul(q, ag_transpose(k, -2, -1)), 1 / sqrt(D)); /* (B,H,T,T) */
    ag_tensor *mixed = ag_matmul(ag_softmax(scores, -1), v);                          /* (B,H,T,D) */
    return ag_linear_apply(&s.linear[PROJ], ag_reshape(ag_transpose(mixed, 1, 2), AG_SHAPE(B, T, C)));
}

static ag_tensor *block(ag_tensor *x) {
    ag_tensor *h = ag_add(x, attention(ag_layernorm_apply(&s.norm[0], x)));
    ag_tensor *wide = gelu(ag_linear_apply(&s.linear[WIDEN], ag_layernorm_apply(&s.norm[1], h)));
    return ag_add(h, ag_linear_apply(&s.linear[NARROW], wide));
}

/* ---- The row ---- */

static bool set_up(const row *r, int threads) {
    static const int64_t in[LINEARS] = {C, C, C, 4 * C}, out[LINEARS] = {3 * C, C, 4 * C, C};
    int n = 0;
    s.tape = new_tape(r, threads);
    s.p[n++] = s.x = noise_parameter(s.tape, AG_SHAPE(B, T, C), 1, 1);
    for (int i = 0; i < LINEARS; i++) {
        uint64_t stream = 10 + 2 * (uint64_t)i;
        s.p[n++] = s.linear[i].weight =
            noise_parameter(s.tape, AG_SHAPE(in[i], out[i]), stream, 1 / sqrt((double)in[i]));
        s.p[n++] = s.linear[i].bias = noise_parameter(s.tape, AG_SHAPE(out[i]), stream + 1, 0.1);
    }
    for (int i = 0; i < 2; i++) {
        uint64_t stream = 20 + 2 * (uint64_t)i;
        ag_layernorm_init(&s.norm[i], s.tape, AG_F32, C);
        s.p[n++] = s.norm[i].gamma = noise_parameter(s.tape, AG_SHAPE(C), stream, 1);
        s.p[n++] = s.norm[i].beta = noise_parameter(s.tape, AG_SHAPE(C), stream + 1, 1);
    }
    s.cotangent = noise_f32(B * T * C, 2, 1);
    s.g = ag_wrap(s.tape, AG_F32, AG_SHAPE(B, T, C), s.cotangent);
    s.mark = ag_tape_mark(s.tape);
    return fine(s.tape);
}

static bool tear_down(const row *r) {
    (void)r;
    bool good = fine(s.tape);
    ag_tape_free(s.tape);
    room_free(s.cotangent);
    return good;
}

static double step(bool weighed) {
    ag_tensor *all[RESULTS], *y = block(s.x);
    ag_vjp(1, &y, &s.g, 1 + PARAMETERS, s.p, all, 0);
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

static double check(const row *r) { return (void)r, step(true); }

static double peak(const row *r) { return peak_above(r, steps, s.tape, 1 + PARAMETERS, s.p); }

int transformer_rows(row *to) {
    to[0] = (row){.name = "transformer",
                  .what = "a transformer block, B=8 T=64 C=128 H=4, forward and backward",
                  .unit = "s",
                  .each = "",
                  .setup = set_up,
                  .work = steps,
                  .check = check,
                  .teardown = tear_down,
                  .peers = {{.name = "torch", .where = TORCH, .limit = 0.4}}};
    to[1] = (row){.name = "transformer_memory",
                  .what = "peak memory above its parameters and its input",
                  .unit = "B",
                  .each = "",
                  .once = true,
                  .setup = set_up,
                  .measure = peak,
                  .teardown = tear_down,
                  .peers = {{.name = "torch", .where = TORCH_MEMORY, .limit = 0.8}}};
    return 2;
}
