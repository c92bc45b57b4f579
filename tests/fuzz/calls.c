/* calls -- fuzz target: bytes become calls of the public functions, on one tape
 *
 * The table of functions is made from the headers (functions.py): whatever returns a tensor or a status is called with tensors
 * of all kinds, nil, NULL, released and foreign ones among them, and with sensible and hostile numbers. Between the calls values
 * are read, gradients taken, variables assigned, marks set and gone back to, files written and read, allocations refused. All of
 * it is done once, or, as the first byte says, twice, under two evaluators: calls must be refused alike, and values have the
 * same bits.
 *
 * Invariant: after each call no tensor of the tape has more than MOST elements, or the call is taken back. So whatever is
 * evaluated is small, and an evaluation that takes long is a fault.
 *
 * The target `misuse` makes a single call, of more hostile arguments, and looks at what an error says and leaves. */

#include "autograd/tape/tape.h"

#include "io/io.h"
#include "nn/nn.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST = 3000,
    MOST_NODES = 4000,
    POOL = 48,
    STATEMENTS = 80,
    OUTCOMES = 4 * STATEMENTS,
    LISTED = 5,
    MOST_BYTES = 2 << 20, /* so that what is computed at once, such as a layer's parameters, is small too */
    ROOM = 64,
    TEXT = 200
};

typedef struct outcome {
    ag_status status;
    ag_dtype dtype;
    ag_shape shape;
    uint64_t sum; /* of the elements */
} outcome;

typedef struct caller {
    feed *f;
    ag_tape *tape;
    ledger ledger;
    int pooled, outcomes, marks;
    ag_tensor *pool[POOL], *nil, *foreign, *second, *many[ROOM];
    ag_mark mark[8];
    outcome outcome[OUTCOMES];
    char said[OUTCOMES][100];
    int64_t fail; /* the next call's allocation of that number fails; 0: none */
    ag_loss_options loss;
    ag_pool_options pooling;
    ag_conv_options conv;
    ag_attention_options attention;
    ag_distribution distribution[2];
    ag_sequence model;   /* refused once a rewind has released it */
    ag_tensor *released; /* by a rewind; NULL but in misuse, where arguments are more hostile */
    ag_tensor *list[2][LISTED];
    double reals[LISTED];
    int64_t numbers[LISTED];
    ag_subscript items[LISTED];
    char text[TEXT];
    int lists;
} caller;

/* ---- Arguments ---- */

/* Mostly one of the latest tensors. */
static ag_tensor *tensor_argument(caller *c) {
    int lot = feed_below(c->f, 256);
    if (c->released && lot % 16 == 0) return (ag_tensor *[]){NULL, c->nil, c->foreign, c->released}[lot / 16 % 4];
    if (lot == 255) return NULL;
    if (lot == 254) return c->nil;
    if (lot == 253) return c->foreign;
    if (c->pooled == 0) return c->nil;
    return c->pool[(lot < 128 ? c->pooled * 8 - 1 - lot % 8 : lot) % c->pooled];
}

static ag_shape shape_argument(caller *c) {
    ag_tensor *like = feed_below(c->f, 4) == 0 ? tensor_argument(c) : NULL;
    return like && like != c->foreign ? ag_shape_of(like) : feed_shape(c->f);
}

static const char *text_argument(caller *c) {
    int lot = feed_below(c->f, 64);
    static const char *const texts[] = {"ij,jk->ik", "0", ":", "::-1, None", "...", "ii->i", "a", "%", "weight", ""};
    if (lot == 63) return NULL;
    return lot < 20 ? texts[lot % 10] : feed_text(c->f, c->text, TEXT);
}

static ag_tensor *const *tensors_argument(caller *c, int *n) {
    int lot = feed_below(c->f, 256);
    ag_tensor **x = c->list[c->lists++ % 2];
    *n = lot < 250 ? lot % LISTED : lot - 256;
    for (int i = 0; i < *n; i++) x[i] = tensor_argument(c);
    return lot == 249 ? NULL : x;
}

static const double *reals_argument(caller *c, int *n) {
    *n = feed_below(c->f, LISTED + 1);
    for (int i = 0; i < *n; i++) c->reals[i] = feed_real(c->f);
    return c->reals;
}

static const int64_t *numbers_argument(caller *c, int *n) {
    *n = feed_below(c->f, LISTED + 1);
    for (int i = 0; i < *n; i++) c->numbers[i] = feed_number(c->f);
    return c->numbers;
}

static const ag_subscript *subscripts_argument(caller *c, int *n) {
    *n = feed_below(c->f, LISTED + 1);
    for (int i = 0; i < *n; i++) {
        c->items[i] = (ag_subscript){.kind = (ag_subscript_kind)feed_below(c->f, 6), .step = 1};
        c->items[i].start = feed_number(c->f);
        if (c->items[i].kind != AG_ITEM_INTEGER)
            c->items[i].stop = feed_number(c->f), c->items[i].step = feed_number(c->f);
        if (c->items[i].kind == AG_ITEM_INDEX) c->items[i].index = tensor_argument(c);
    }
    return c->items;
}

static ag_tensor *tensor_or_none(caller *c) { return feed_below(c->f, 3) ? NULL : tensor_argument(c); }

static const ag_loss_options *loss_argument(caller *c) {
    int lot = feed_below(c->f, 256);
    if (lot % 4 == 0) return NULL;
    c->loss = (ag_loss_options){.reduction = (ag_loss_reduction)(feed_below(c->f, 6) - 1),
                                .ignores = lot & 16,
                                .log_target = lot & 32,
                                .full = lot & 64,
                                .rates = lot & 128};
    c->loss.weights = tensor_or_none(c);
    c->loss.class_weights = tensor_or_none(c);
    c->loss.positive_weight = tensor_or_none(c);
    c->loss.smoothing = feed_real(c->f);
    c->loss.ignored = feed_number(c->f);
    return &c->loss;
}

static const ag_pool_options *pool_argument(caller *c) {
    int lot = feed_below(c->f, 256);
    if (lot % 4 == 0) return NULL;
    c->pooling = (ag_pool_options){.same = lot % 8 == 7, .ceil = lot & 16, .without_padding = lot & 32};
    for (int i = 0; i < AG_SPACE; i++) {
        if (lot & 64) c->pooling.stride[i] = feed_number(c->f);
        if (lot & 128) c->pooling.dilation[i] = feed_number(c->f);
        for (int k = 0; k < 2; k++) c->pooling.padding[i][k] = feed_number(c->f);
    }
    return &c->pooling;
}

static const ag_conv_options *conv_argument(caller *c) {
    int lot = feed_below(c->f, 256);
    if (lot % 4 == 0) return NULL;
    c->conv = (ag_conv_options){.same = lot % 8 == 7, .groups = lot & 16 ? feed_number(c->f) : 0};
    for (int i = 0; i < AG_SPACE; i++) {
        if (lot & 32) c->conv.stride[i] = feed_number(c->f);
        if (lot & 64) c->conv.dilation[i] = feed_number(c->f);
        if (lot & 128) c->conv.output_padding[i] = feed_number(c->f);
        for (int k = 0; k < 2; k++) c->conv.padding[i][k] = feed_number(c->f);
    }
    return &c->conv;
}

static const ag_attention_options *attention_argument(caller *c) {
    int lot = feed_below(c->f, 256);
    if (lot % 4 == 0) return NULL;
    c->attention = (ag_attention_options){.causal = lot & 16, .training = lot & 32};
    c->attention.mask = tensor_or_none(c);
    c->attention.dropout = feed_real(c->f);
    c->attention.scale = feed_real(c->f);
    c->attention.rotary = feed_real(c->f);
    return &c->attention;
}

static const ag_distribution *distribution_argument(caller *c) {
    ag_distribution *d = &c->distribution[c->lists++ % 2];
    *d = (ag_distribution){.family = (ag_family)(feed_below(c->f, 18) - 1)};
    for (int i = 0; i < 3; i++) d->parameter[i] = i == 0 ? tensor_argument(c) : tensor_or_none(c);
    return d;
}

typedef struct callable {
    const char *name;
    ag_tensor *(*call)(caller *c);
    int inputs; /* that an error may list; -1: any number */
} callable;

#include "fuzz_functions.h"

/* ---- Outcomes ---- */

static uint64_t sum_of(const ag_tensor *x, const void *data) {
    uint64_t sum = 1469598103934665603u; /* FNV-1a */
    ag_dtype dtype = ag_dtype_of(x);
    size_t size = ag_dtype_size(dtype);
    for (int64_t i = 0; i < ag_size(x); i++) {
        const unsigned char *p = (const unsigned char *)data + (size_t)i * size;
        const bool nan = dtype >= AG_F32 && isnan(element_at(dtype, data, i));
        for (size_t k = 0; k < size; k++) sum = (sum ^ (nan ? 0x7F : p[k])) * 1099511628211u;
    }
    return sum;
}

static void note(caller *c, ag_status status, const char *said, const ag_tensor *x, uint64_t sum) {
    if (c->outcomes == OUTCOMES) return;
    outcome *o = &c->outcome[c->outcomes];
    *o = (outcome){.status = status, .sum = sum};
    snprintf(c->said[c->outcomes++], sizeof *c->said, "%s", said);
    if (!x || status != AG_OK) return;
    o->dtype = ag_dtype_of(x);
    o->shape = ag_shape_of(x);
}

static bool same_outcome(const outcome *a, const outcome *b) {
    bool same = a->status == b->status && a->sum == b->sum && a->dtype == b->dtype && a->shape.rank == b->shape.rank;
    for (int i = 0; same && i < a->shape.rank; i++) same = a->shape.extent[i] == b->shape.extent[i];
    return same;
}

static void pool(caller *c, ag_tensor *x) {
    if (!x || x == c->foreign) return;
    if (c->pooled == POOL) memmove(c->pool, c->pool + 1, (POOL - 1) * sizeof *c->pool), c->pooled--;
    c->pool[c->pooled++] = x;
}

/* Whether any tensor from node `from` on is too large to be evaluated here. */
static bool too_large(const caller *c, uint32_t from) {
    for (uint32_t i = from; i < c->tape->count; i++)
        if (ag_size(ag__node(c->tape, i)) > MOST) return true;
    return c->tape->count > MOST_NODES;
}

/* Whether the tape is in error: the call must have left nothing but versions of variables. A function of several
 * operations may lack memory, or an eager tape refuse a value, when some of them are recorded; and a layer may refuse
 * what the layers before it give. */
static bool failed(caller *c, const char *name, uint32_t before) {
    const ag_status status = ag_tape_status(c->tape);
    if (status == AG_OK) return false;
    const bool keeps = status == AG_ERR_MEMORY || c->tape->on_record || strcmp(name, "sequence_apply") == 0;
    if (!keeps && c->tape->count > before + 2 * LISTED + 8)
        fault("%s: nodes are left: %s", name, ag_tape_error(c->tape));
    refused(c->tape, NULL, INT64_MAX);
    return true;
}

/* ---- Statements ---- */

static void read_value(caller *c, ag_tensor *x) {
    const void *data = ag_data(x);
    ag_status status = ag_tape_status(c->tape);
    if (!data && status == AG_OK && ag_tape_of(x) == c->tape) fault("there is neither data nor an error");
    note(c, status, data ? "read" : ag_tape_error(c->tape), data ? x : NULL, data ? sum_of(x, data) : 0);
    refused(c->tape, NULL, INT64_MAX);
    ag_clear_error(c->foreign->tape);
}

static void back(caller *c, ag_mark mark) {
    ag_tape_rewind(c->tape, mark);
    note(c, ag_tape_status(c->tape), ag_tape_error(c->tape), NULL, 0);
    refused(c->tape, NULL, INT64_MAX);
}

static void call_function(caller *c) {
    const callable *f = &callables[feed_below(c->f, CALLABLES)];
    ag_mark mark = ag_tape_mark(c->tape);
    uint32_t before = c->tape->count;
    const feed start = *c->f;
    const uint64_t seed = (uint64_t)c->outcomes;
    if (c->fail) {
        ag_tape_seed(c->tape, seed);
        c->ledger.fail_at = c->ledger.calls + c->fail;
    }
    c->second = NULL;
    ag_tensor *y = f->call(c);
    if (c->fail && ag_tape_status(c->tape) == AG_ERR_MEMORY) { /* the same again, with the same random numbers */
        ag_clear_error(c->tape);
        c->ledger.fail_at = 0;
        ag_tape_seed(c->tape, seed);
        *c->f = start;
        y = f->call(c);
    }
    c->ledger.fail_at = c->fail = 0;
    ag_status status = ag_tape_status(c->tape);
    bool bad = failed(c, f->name, before);
    ag_clear_error(c->foreign->tape);
    note(c, status, f->name, bad ? NULL : y, 0);
    if (too_large(c, before)) back(c, mark);
    else if (!bad) pool(c, y), pool(c, c->second);
}

static void make_leaf(caller *c) {
    int lot = feed_below(c->f, 256);
    ag_dtype dtype = (ag_dtype)((lot & 7) < 3    ? AG_F64
                                : (lot & 7) < 5  ? AG_F32
                                : (lot & 7) == 5 ? AG_I64
                                                 : (lot & 7) % 4);
    ag_shape s = {.rank = feed_below(c->f, 4)};
    double values[400] = {0};
    int64_t n = 1;
    for (int i = 0; i < s.rank; i++) n *= s.extent[i] = feed_below(c->f, 7);
    uint64_t first = feed_bits(c->f, 1);
    for (int64_t i = 0; i < n; i++) {
        values[i] = lot >= 200 ? feed_real(c->f) : scatter(first + (uint64_t)i) * (lot & 64 ? 1 : 8);
        if (dtype == AG_I64) values[i] = fabs(values[i]) < 1e18 ? floor(values[i]) : 0;
    }
    union {
        double real[400];
        int64_t whole[400];
        float single[400];
        uint8_t truth[400];
    } data;
    for (int64_t i = 0; i < n; i++) element_put(dtype, &data, i, values[i]);
    pool(c, lot & 16 && dtype >= AG_F32 ? ag_parameter(c->tape, dtype, s, &data)
            : lot & 32                  ? ag_variable(c->tape, dtype, s, &data)
                                        : ag_from(c->tape, dtype, s, &data));
    note(c, ag_tape_status(c->tape), "leaf", NULL, 0);
    refused(c->tape, NULL, INT64_MAX);
}

/* Gradients, with hostile seeds now and then. */
static void differentiate(caller *c) {
    int lot = feed_below(c->f, 256), n = 1 + lot % 3;
    ag_tensor *y = tensor_argument(c), *x[3], *dx[3] = {NULL};
    ag_mark mark = ag_tape_mark(c->tape);
    uint32_t before = c->tape->count;
    for (int i = 0; i < n; i++) x[i] = tensor_argument(c);
    ag_tensor *ybar = lot & 4 ? tensor_argument(c) : NULL;
    if (!(lot & 4) && y && y != c->foreign && y != c->nil && ag_size(y) != 1 && !(lot & 8)) y = ag_sum(y);
    ag_vjp(1, &y, ybar ? &ybar : NULL, n, x, dx, (unsigned)lot >> 6);
    ag_status status = ag_tape_status(c->tape);
    refused(c->tape, NULL, INT64_MAX);
    ag_clear_error(c->foreign->tape);
    note(c, status, "vjp", NULL, 0);
    if (too_large(c, before)) back(c, mark);
    else
        for (int i = 0; i < n && status == AG_OK; i++) pool(c, dx[i]), read_value(c, dx[i]);
}

static void go_back(caller *c) {
    int lot = feed_below(c->f, 256);
    if (lot < 100 && c->marks < 8) c->mark[c->marks++] = ag_tape_mark(c->tape);
    else if (c->marks > 0) back(c, c->mark[lot % c->marks]);
}

/* Trimming frees the memory of released tensors, whose handles must not be used any more. */
static void trim(caller *c) {
    int n = 0;
    for (int i = 0; i < c->pooled; i++)
        if (!(c->pool[i]->flags & AG__STALE)) c->pool[n++] = c->pool[i];
    c->pooled = n;
    c->second = NULL;
    ag_tape_trim(c->tape);
}

static void change(caller *c) {
    int lot = feed_below(c->f, 256);
    ag_tensor *v = tensor_argument(c), *x = tensor_argument(c), *w = tensor_argument(c);
    static const double zeros[MOST] = {0};
    switch (lot % 10) {
    case 0:
    case 1: ag_assign(v, x); break;
    case 2: ag_assign_with(v, x, w); break;
    case 3: ag_set(v, zeros); break;
    case 4: ag_keep(v); break;
    case 5: ag_tape_set_recording(c->tape, lot & 16); break;
    case 6: ag_zero_gradients(c->tape); break;
    case 7: trim(c); break;
    case 8: ag_tape_seed(c->tape, (uint64_t)lot); break;
    default: ag_tape_set_eager(c->tape, lot & 16);
    }
    note(c, ag_tape_status(c->tape), ag_tape_error(c->tape), NULL, 0);
    refused(c->tape, NULL, INT64_MAX);
    ag_clear_error(c->foreign->tape);
}

static bool saved; /* a file is there that a later report may read */

static void report(caller *c) {
    int lot = feed_below(c->f, 256);
    ag_tensor *y = tensor_argument(c), *x = tensor_argument(c), *z[2];
    static const char *const names[] = {"x", "y"};
    const char *path = path_of("calls.npz");
    uint32_t before = c->tape->count;
    if (y && ag_size(y) > MOST) y = c->nil; /* a file of gigabytes takes minutes */
    switch (lot % 8) {
    case 0:
        saved = true;
        ag_save(path, 1, &y, &(ag_save_options){.names = names, .compress = lot & 16});
        break;
    case 1: ag_read_all(c->tape, path, NULL, 2, z); break;
    case 2: ag_load(path, 1, &x, &(ag_load_options){.names = names, .convert = lot & 16}, NULL); break;
    case 3:
        ag_write_dot(path_of("calls.dot"), 1, &y, &(ag_dot_options){.regions = lot & 16, .values = lot & 32});
        break;
    case 4: ag_formula(y, NULL); break;
    case 5: ag_explain(y, x, &(ag_explain_options){.json = lot & 16, .depth = lot >> 5 & 1}); break;
    case 6: ag_csv_write(path_of("calls.csv"), y, NULL); break;
    default: ag_image_write(path_of("calls.pgm"), y);
    }
    note(c, ag_tape_status(c->tape), ag_tape_error(c->tape), NULL, 0);
    refused(c->tape, NULL, INT64_MAX);
    ag_clear_error(c->foreign->tape);
    const uint32_t more = lot % 8 >= 3 && lot % 8 <= 5 ? 0 : 2; /* versions of a variable, or tensors that were read */
    if (c->tape->count > before + more) fault("a report leaves nodes: %d", lot % 8);
}

static void statement(caller *c) {
    int lot = feed_below(c->f, 16);
    if (lot < 8) call_function(c);
    else if (lot < 10) make_leaf(c);
    else if (lot < 11) read_value(c, tensor_argument(c));
    else if (lot < 12) differentiate(c);
    else if (lot < 13) go_back(c);
    else if (lot < 14) change(c);
    else if (lot < 15) report(c);
    else c->fail = 1 + feed_below(c->f, 40);
}

/* ---- Whole runs ---- */

static void run(caller *c, feed f, ag_evaluator evaluator, int64_t most) {
    ledger other;
    memset(c, 0, sizeof *c);
    c->f = &f;
    if (saved) remove(path_of("calls.npz")); /* of the run before */
    saved = false;
    c->tape = tape_open(&c->ledger);
    c->ledger.most = most;
    ag_tape *t = tape_open(&other);
    ag_tape_set_evaluator(c->tape, evaluator);
    ag_tape_seed(c->tape, 7);
    c->foreign = ag_scalar(t, AG_F64, 1);
    c->nil = ag_matmul(ag_scalar(c->tape, AG_F64, 1), ag_scalar(c->tape, AG_F64, 1));
    ag_clear_error(c->tape);
    ag_sequence_init(&c->model, c->tape, feed_below(&f, 2) ? AG_F64 : AG_F32, "model");
    for (int i = 0; i < 3; i++) make_leaf(c);
    for (int i = 0; i < STATEMENTS && feed_left(&f); i++) statement(c);
    for (int i = 0; i < c->pooled; i++) read_value(c, c->pool[i]);
    while (ag_scope_end(c->tape) == AG_OK) {
    }
    tape_close(c->tape, &c->ledger);
    tape_close(t, &other);
}

void fuzz_calls(const uint8_t *data, size_t size) {
    enum { AUTOMATIC, FUSED, AUTOMATIC_AND_FUSED, REFERENCE_AND_FUSED };
    static caller a, b;
    feed f = {data, data + size};
    const int which = feed_below(&f, 4);
    const bool twice = which >= AUTOMATIC_AND_FUSED;
    run(&a, f,
        which == REFERENCE_AND_FUSED ? AG_EVALUATOR_REFERENCE
        : which == FUSED             ? AG_EVALUATOR_FUSED
                                     : AG_EVALUATOR_AUTOMATIC,
        twice ? MOST_MEMORY : MOST_BYTES); /* evaluators need different amounts: there is enough for both */
    if (!twice) return;
    run(&b, f, AG_EVALUATOR_FUSED, MOST_MEMORY);
    if (a.outcomes != b.outcomes) fault("%d and %d outcomes", a.outcomes, b.outcomes);
    for (int i = 0; i < a.outcomes; i++) {
        if (which == REFERENCE_AND_FUSED)
            b.outcome[i].sum = a.outcome[i].sum; /* sums of products may differ: random programs compare these */
        if (!same_outcome(&a.outcome[i], &b.outcome[i]))
            fault("outcome %d is %s (%s), %016llx, not %s (%s), %016llx", i, ag_status_name(a.outcome[i].status),
                  a.said[i], (unsigned long long)a.outcome[i].sum, ag_status_name(b.outcome[i].status), b.said[i],
                  (unsigned long long)b.outcome[i].sum);
    }
}

/* ---- One call at a time ---- */

/* Variables keep their values: the sum of their bits. */
static uint64_t values_of(caller *c) {
    uint64_t sum = 0;
    for (int i = 0; i < c->pooled; i++) sum = sum * 31 + sum_of(c->pool[i], ag_data(c->pool[i]));
    return sum;
}

/* Errors under another name, of which these are forms: a sequence's are under the layer's label. */
static const char *const forms_of[][2] = {{"bincount", "full"},
                                          {"depthwise_transposed", "depthwise"},
                                          {"correlation_transposed", "correlation"},
                                          {"cross", "mul"},
                                          {"diag", "diag_embed"},
                                          {"dstack", "concat"},
                                          {"eye", "full"},
                                          {"full_like", "full"},
                                          {"hstack", "concat"},
                                          {"ifft", "fft"},
                                          {"linspace", "arange"},
                                          {"logspace", "arange"},
                                          {"ones", "full"},
                                          {"ones_like", "full"},
                                          {"polygamma", "digamma"},
                                          {"scalar", "full"},
                                          {"surprisal", "gather"},
                                          {"vstack", "concat"},
                                          {"zeros", "full"},
                                          {"zeros_like", "full"}};

static bool begins_with(const char *text, const char *name, size_t length) {
    return strncmp(text, name, length) == 0 && text[length] == ':';
}

/* Whether an error has the call's name; "_with" and "_over" may be missing. */
static bool names_call(const char *error, const char *name) {
    size_t length = strlen(name);
    if (begins_with(error, name, length) || strncmp(name, "sequence_", 9) == 0) return true;
    if (strncmp(name, "init_", 5) == 0)
        return begins_with(error, "full", 4) || begins_with(error, "normal", 6) || begins_with(error, "uniform", 7);
    if (length > 5 && (strcmp(name + length - 5, "_with") == 0 || strcmp(name + length - 5, "_over") == 0)) length -= 5;
    if (begins_with(error, name, length)) return true;
    for (size_t i = 0; i < sizeof forms_of / sizeof *forms_of; i++)
        if (strncmp(name, forms_of[i][0], length) == 0 && !forms_of[i][0][length] &&
            begins_with(error, forms_of[i][1], strlen(forms_of[i][1])))
            return true;
    return false;
}

/* Whether an error lists no more inputs than the call has: by letters, of which a single one is x. */
static bool lists_inputs(const char *error, int inputs) {
    static const char *const before[] = {", ", " and "}, *const after[] = {" (",      " NULL",  " nil",  " rewound",
                                                                           " bool (", " i64 (", " f32 ("};
    char listed[20];
    for (size_t i = 0; inputs >= 0 && i < sizeof before / sizeof *before; i++)
        for (size_t k = 0; k < sizeof after / sizeof *after; k++) {
            snprintf(listed, sizeof listed, "%s%c%s", before[i], inputs < 2 ? 'b' : 'a' + inputs, after[k]);
            if (strstr(error, listed)) return false;
        }
    return true;
}

/* After an error. */
static void leave(caller *c, uint32_t before, uint64_t values, const char *name) {
    if (c->tape->count != before)
        fault("%s leaves %d nodes: %s", name, (int)(c->tape->count - before), ag_tape_error(c->tape));
    ag_clear_error(c->tape);
    if (values_of(c) != values) fault("%s is refused, but a value has changed", name);
}

/* A call with hostile arguments: released, foreign, nil and no tensors among sound ones of all dtypes and few ranks. It is
 * refused under its own name, and leaves nothing behind; or it is recorded, and then computed or refused. */
void fuzz_misuse(const uint8_t *data, size_t size) {
    static caller c;
    ledger other;
    feed f = {data, data + size};
    memset(&c, 0, sizeof c);
    c.f = &f;
    c.tape = tape_open(&c.ledger);
    c.ledger.most = MOST_BYTES;
    ag_tape *t = tape_open(&other);
    const callable *call = &callables[feed_bits(&f, 2) % CALLABLES];
    c.foreign = ag_scalar(t, AG_F64, 1);
    c.nil = ag_matmul(ag_scalar(c.tape, AG_F64, 1), ag_scalar(c.tape, AG_F64, 1));
    ag_clear_error(c.tape);
    ag_sequence_init(&c.model, c.tape, AG_F64, "model");
    for (int i = 0; i < 5; i++) make_leaf(&c);
    for (int i = 0; i < 5; i++) ag_isnan(ag_cast(c.pool[i], AG_F64)); /* the versions of variables are then there */
    ag_mark mark = ag_tape_mark(c.tape);

    c.released = ag_scalar(c.tape, AG_F32, 2);
    ag_tape_rewind(c.tape, mark);
    const uint64_t values = values_of(&c);
    const uint32_t before = c.tape->count;
    ag_tensor *y = call->call(&c);
    if (ag_tape_status(c.tape) != AG_OK) {
        const bool memory = ag_tape_status(c.tape) == AG_ERR_MEMORY; /* ends functions of several operations anywhere */
        const char *error = ag_tape_error(c.tape);
        /* With extents 0 elsewhere, a shape on the way may be beyond counting: the operation that has it says so. */
        const bool countless = strstr(error, "than can be counted") != NULL;
        if (!memory && !countless && (!names_call(error, call->name) || !lists_inputs(error, call->inputs)))
            fault("%s is refused with: %s", call->name, error);
        if (memory) ag_tape_rewind(c.tape, mark);
        leave(&c, before, values, call->name);
    } else if (y && ag_tape_of(y) == c.tape && !too_large(&c, before)) {
        if (!ag_data(y) && ag_tape_status(c.tape) == AG_OK) fault("%s: there is neither data nor an error", call->name);
        ag_clear_error(c.tape);
    }
    while (ag_scope_end(c.tape) == AG_OK) {
    }
    tape_close(c.tape, &c.ledger);
    tape_close(t, &other);
}
