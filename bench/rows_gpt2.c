/* rows_gpt2 -- a small GPT-2: its loss and all gradients, beside its matrix products alone and PyTorch's
 *
 * LAYERS blocks of width C with H heads, on B sequences of T tokens of V; the logits' weight is the embedding. */
#include "nn/nn.h"
#include "products.h"

#include <math.h>

enum { B = 4, T = 64, V = 1024, C = 256, H = 4, D = C / H, LAYERS = 4 };
enum { QKV, PROJ, WIDEN, NARROW, LINEARS };
enum { PARAMETERS = 4 + LAYERS * (2 * LINEARS + 4) };

typedef struct block {
    ag_linear linear[LINEARS];
    ag_layernorm norm[2];
} block;

static struct {
    ag_tape *tape;
    ag_mark mark;
    block block[LAYERS];
    ag_layernorm norm;
    ag_tensor *tokens, *places, *index, *next; /* embeddings (V,C) and (T,C); labels (B,T) and (B·T) */
    ag_tensor *mask, *hidden;                  /* (T,T): which keys a query sees; and the score of the others */
    ag_tensor *p[PARAMETERS];
    int parameters;
    int64_t *labels;
} s;

/* ---- The model ---- */

static ag_tensor *gelu(ag_tensor *x) {
    ag_tensor *cubic = ag_mul(ag_add_scalar(ag_scale(ag_square(x), 0.044715), 1), x);
    return ag_mul(ag_scale(x, 0.5), ag_add_scalar(ag_tanh(ag_scale(cubic, 0.79788456080286536)), 1));
}

static ag_tensor *heads(ag_tensor *qkv, int64_t i) {
    ag_tensor *part = ag_slice(qkv, -1, i * C, (i + 1) * C, 1);
    return ag_transpose(ag_reshape(part, AG_SHAPE(B, T, H, D)), 1, 2);
}

static ag_tensor *attention(const block *b, ag_tensor *x) {
    ag_tensor *qkv = ag_linear_apply(&b->linear[QKV], x);
    ag_tensor *q = heads(qkv, 0), *k = heads(qkv, 1), *v = heads(qkv, 2);
    ag_tensor *scores = ag_scale(ag_matmul(q, ag_transpose(k, -2, -1)), 1 / sqrt(D)); /* (B,H,T,T) */
    ag_tensor *mixed = ag_matmul(ag_softmax(ag_where(s.mask, scores, s.hidden), -1), v);
    return ag_linear_apply(&b->linear[PROJ], ag_reshape(ag_transpose(mixed, 1, 2), AG_SHAPE(B, T, C)));
}

static ag_tensor *apply(const block *b, ag_tensor *x) {
    ag_tensor *h = ag_add(x, attention(b, ag_layernorm_apply(&b->norm[0], x)));
    ag_tensor *wide = gelu(ag_linear_apply(&b->linear[WIDEN], ag_layernorm_apply(&b->norm[1], h)));
    return ag_add(h, ag_linear_apply(&b->linear[NARROW], wide));
}

static ag_tensor *loss(void) {
    ag_tensor *x = ag_add(ag_embedding_apply(&(ag_embedding){s.tokens}, s.index), s.places);
    for (int i = 0; i < LAYERS; i++) x = apply(&s.block[i], x);
    x = ag_reshape(ag_layernorm_apply(&s.norm, x), AG_SHAPE(B * T, C));
    return ag_cross_entropy(ag_matmul(x, ag_transpose(s.tokens, 0, 1)), s.next);
}

/* ---- The row ---- */

static ag_tensor *parameter(ag_shape shape, uint64_t stream, double scale) {
    return s.p[s.parameters++] = noise_parameter(s.tape, shape, stream, scale);
}

static void norm_init(ag_layernorm *norm, uint64_t stream) {
    ag_layernorm_init(norm, s.tape, AG_F32, C);
    norm->gamma = parameter(AG_SHAPE(C), stream, 1);
    norm->beta = parameter(AG_SHAPE(C), stream + 1, 0.1);
}

static void block_init(block *b, uint64_t stream) {
    static const int64_t in[LINEARS] = {C, C, C, 4 * C}, out[LINEARS] = {3 * C, C, 4 * C, C};
    for (int i = 0; i < LINEARS; i++) {
        uint64_t at = stream + 2 * (uint64_t)i;
        b->linear[i].weight = parameter(AG_SHAPE(in[i], out[i]), at, 1 / sqrt((double)in[i]));
        b->linear[i].bias = parameter(AG_SHAPE(out[i]), at + 1, 0.1);
    }
    for (int i = 0; i < 2; i++) norm_init(&b->norm[i], stream + 10 + 2 * (uint64_t)i);
}

static void mask_init(void) {
    unsigned char seen[T * T];
    for (int i = 0; i < T; i++)
        for (int j = 0; j < T; j++) seen[i * T + j] = j <= i;
    s.mask = ag_from(s.tape, AG_BOOL, AG_SHAPE(T, T), seen);
    s.hidden = ag_full(s.tape, AG_F32, AG_SCALAR, -INFINITY);
}

static const product products[] = {{1, B *T, C, 3 * C, LAYERS, false}, {1, B *T, C, C, LAYERS, false},
                                   {1, B *T, C, 4 * C, LAYERS, false}, {1, B *T, 4 * C, C, LAYERS, false},
                                   {B * H, T, D, T, LAYERS, false},    {B * H, T, T, D, LAYERS, false},
                                   {1, B *T, C, V, 1, false}};

static bool set_up(const row *r, int threads) {
    s.tape = new_tape(r, threads);
    s.parameters = 0;
    s.tokens = parameter(AG_SHAPE(V, C), 1, 0.1);
    s.places = parameter(AG_SHAPE(T, C), 2, 0.1);
    for (int i = 0; i < LAYERS; i++) block_init(&s.block[i], 100 * (uint64_t)(i + 1));
    norm_init(&s.norm, 3);
    s.labels = noise_labels(B * (T + 1), 5, V);
    s.index = ag_wrap(s.tape, AG_I64, AG_SHAPE(B, T), s.labels);
    s.next = ag_wrap(s.tape, AG_I64, AG_SHAPE(B * T), s.labels + B);
    mask_init();
    s.mark = ag_tape_mark(s.tape);
    products_open(sizeof products / sizeof *products, products, threads);
    return fine(s.tape);
}

static bool tear_down(const row *r) {
    (void)r;
    const bool close = products_close(), good = fine(s.tape) && close;
    ag_tape_free(s.tape);
    room_free(s.labels);
    return good;
}

static double step(bool weighed) {
    ag_tensor *all[PARAMETERS + 1], *y = loss();
    ag_grad(y, PARAMETERS, s.p, all);
    all[PARAMETERS] = y;
    ag_eval_all(PARAMETERS + 1, all);
    double sum = 0;
    for (int i = 0; weighed && i <= PARAMETERS; i++) sum += weigh(all[i]);
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

static double peak(const row *r) { return peak_above(r, steps, s.tape, PARAMETERS, s.p); }

int gpt2_rows(row *to) {
    to[0] = (row){.name = "gpt2",
                  .what = "GPT-2 of 4 layers, B=4 T=64 C=256 H=4, 1024 tokens, tied embedding: loss and all gradients",
                  .unit = "s",
                  .each = "",
                  .setup = set_up,
                  .work = steps,
                  .check = check,
                  .teardown = tear_down,
                  .peers = {{.name = "its products alone", .where = HERE, .work = bare, .limit = 1.2},
                            {.name = "torch", .where = TORCH}}};
    to[1] = (row){.name = "gpt2_memory",
                  .what = "peak memory above its parameters, gradients included",
                  .unit = "B",
                  .each = "",
                  .once = true,
                  .setup = set_up,
                  .measure = peak,
                  .teardown = tear_down,
                  .peers = {{.name = "torch", .where = TORCH_MEMORY, .limit = 0.8}}};
    return 2;
}
