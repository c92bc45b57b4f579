/* ctc -- connectionist temporal classification, by the forward algorithm on logarithms
 *
 * T steps, N samples, S labels, C classes. The labels with a blank before, between and behind them are K = 2S + 1
 * states. After each step a(k) is the logarithm of the probability of all paths that end in state k: they were in k, in
 * k−1, or, if that is a blank between two different labels, in k−2. An impossible path has a probability of e^NEVER
 * rather than 0, so that differences of logarithms are finite; nothing of it is left in a sum. */
#include "nn/along.h"
#include "nn/reducing.h"

#include <math.h>

static const double NEVER = -1e30, HARDLY_EVER = -1e29;

typedef struct ctc {
    ag__loss loss;
    int64_t T, N, S, K;
    ag_tensor *states; /* N,K: the class of each */
    ag_tensor *counts; /* N,1: of labels */
    ag_tensor *log_p;  /* T,N,K: of the states */
    ag_tensor *skips;  /* N,K: whether k is reached from k−2 */
    ag_tensor *runs;   /* T,N,1: whether the sample has this step; NULL: all do */
} ctc;

static bool inputs_fit(ctc *c, ag_tensor *steps, ag_tensor *counts, int64_t blank, const ag_loss_options *options) {
    ag__loss *l = &c->loss;
    if (steps) l->x[l->n++] = steps;
    if (counts) l->x[l->n++] = counts;
    if (!ag__loss_begins(l, options)) return false;
    const ag_shape p = ag_shape_of(l->x[0]), s = ag_shape_of(l->x[1]);
    bool fits = p.rank == 3 && s.rank == 2 && p.extent[1] == s.extent[0] && s.extent[1] <= INT64_MAX / 4;
    for (int i = 2; i < l->n; i++) fits = fits && ag__has_shape(l->x[i], &AG_SHAPE(s.extent[0]));
    if (!fits) return ag__loss_refused(l, AG_ERR_SHAPE, "log_p must be (T,N,C), labels (N,S), steps and counts (N)");
    c->T = p.extent[0], c->N = p.extent[1], c->S = s.extent[1], c->K = 2 * c->S + 1;
    if (blank >= 0 && blank < p.extent[2]) return ag__loss_weights_fit(l, AG_SHAPE(c->N));
    return ag__loss_refused(l, AG_ERR_RANGE, "blank must be one of the classes");
}

static ag_tensor *whole(const ctc *c, const ag_shape *shape, int64_t number) {
    return ag_full(ag_tape_of(c->loss.x[0]), AG_I64, *shape, (double)number);
}

static ag_tensor *numbers_to(const ctc *c, int64_t n) { return ag_arange(ag_tape_of(c->loss.x[0]), AG_I64, n); }

/* A length of each sample, N 1, at most `most`. */
static ag_tensor *lengths(const ctc *c, ag_tensor *given, int64_t most) {
    if (!given) return whole(c, &AG_SHAPE(c->N, 1), most);
    return ag_unsqueeze(ag__indices_in_range(AG__CTC_LENGTHS, given, most + 1), 1);
}

/* Padding becomes blanks before anything looks at it. */
static void lay_out_states(ctc *c, int64_t blank, ag_tensor *counts) {
    c->counts = lengths(c, counts, c->S);
    ag_tensor *blanks = whole(c, &AG_SHAPE(c->N, c->S), blank), *labels = c->loss.x[1];
    if (counts) labels = ag_where(ag_less(numbers_to(c, c->S), c->counts), labels, blanks);
    labels = ag__indices_in_range(AG__CTC, labels, ag_extent(c->loss.x[0], 2));
    ag_tensor *pair[] = {ag_unsqueeze(blanks, 2), ag_unsqueeze(labels, 2)};
    ag_tensor *most = ag__reshape_to(ag_concat(2, pair, 2), &AG_SHAPE(c->N, c->K - 1));
    c->states = ag_concat(2, (ag_tensor *[]){most, whole(c, &AG_SHAPE(c->N, 1), blank)}, 1);
    ag_tensor *before[] = {ag_slice(c->states, 1, 0, 2, 1), ag_slice(c->states, 1, 0, c->S ? c->K - 2 : 0, 1)};
    c->skips = ag_not_equal(c->states, ag_concat(2, before, 1));
}

/* The next a, 1 N K. */
static ag_tensor *step(const ctc *c, ag_tensor *a, int64_t t, ag_tensor *margin, ag_tensor *never) {
    ag_tensor *wide = ag_concat(2, (ag_tensor *[]){margin, a}, 2); /* 1 N K+2 */
    ag_tensor *one = ag_slice(wide, 2, 1, c->K + 1, 1);
    ag_tensor *two = ag_where(c->skips, ag_slice(wide, 2, 0, c->K, 1), never);
    ag_tensor *m = ag_stop_gradient(ag_maximum(ag_maximum(a, one), two));
    ag_tensor *sum = ag_add(ag_add(ag_exp(ag_sub(a, m)), ag_exp(ag_sub(one, m))), ag_exp(ag_sub(two, m)));
    ag_tensor *next = ag_add(ag_add(m, ag_log(sum)), ag_slice(c->log_p, 0, t, t + 1, 1));
    return c->runs ? ag_where(ag_slice(c->runs, 0, t, t + 1, 1), next, a) : next;
}

/* ln of the probabilities of all states behind the last step: N K. Before the first step a path is in state 0. */
static ag_tensor *forward(const ctc *c) {
    ag_tensor *x = c->loss.x[0], *never = ag__number_like(x, NEVER);
    ag_tensor *first = ag_equal(numbers_to(c, c->K), whole(c, &AG_SCALAR, 0));
    ag_tensor *a = ag__broadcast_over(ag_where(first, ag__number_like(x, 0), never), &AG_SHAPE(1, c->N, c->K));
    if (c->T == 0) a = ag_add(a, ag__sum_along(c->log_p, 0, true)); /* 0, but it depends on the input */
    ag_tensor *margin = ag__broadcast_over(never, &AG_SHAPE(1, c->N, 2));
    for (int64_t t = 0; t < c->T && !ag_is_nil(a); t++) a = step(c, a, t, margin, never);
    return ag__squeezed(a, 0);
}

/* The paths that end in the last label or in the blank behind it. */
static ag_tensor *losses_of(const ctc *c, ag_tensor *a) {
    ag_tensor *last = ag_scale(c->counts, 2), *none = ag_equal(c->counts, whole(c, &AG_SCALAR, 0));
    ag_tensor *blank = ag_gather(a, last, 1), *label = ag_gather(a, ag_maximum_scalar(ag_add_scalar(last, -1), 0), 1);
    label = ag_where(none, ag__number_like(a, NEVER), label); /* N 1 */
    ag_tensor *m = ag_stop_gradient(ag_maximum(blank, label));
    ag_tensor *log_p = ag_add(m, ag_log(ag_add(ag_exp(ag_sub(blank, m)), ag_exp(ag_sub(label, m)))));
    ag_tensor *instead = ag__number_like(a, c->loss.o.zero_infinity ? 0 : (double)INFINITY);
    ag_tensor *impossible = ag_less(log_p, ag__number_like(a, HARDLY_EVER));
    return ag__squeezed(ag_where(impossible, instead, ag_neg(log_p)), 1);
}

ag_tensor *ag_ctc_with(ag_tensor *log_p, ag_tensor *labels, ag_tensor *steps, ag_tensor *counts, int64_t blank,
                       const ag_loss_options *options) {
    static const ag__loss_kind kind = {.name = "ctc", .whole = ~1u, .takes = AG__ZERO_INFINITY};
    ctc c = {.loss = {.kind = &kind, .n = 2, .x = {log_p, labels}}};
    if (!inputs_fit(&c, steps, counts, blank, options)) return c.loss.nil;
    lay_out_states(&c, blank, counts);
    c.log_p = ag_clamp(ag_gather(log_p, ag_unsqueeze(c.states, 0), 2), NEVER, (double)INFINITY);
    if (steps) c.runs = ag_less(ag__reshape_to(numbers_to(&c, c.T), &AG_SHAPE(c.T, 1, 1)), lengths(&c, steps, c.T));
    ag_tensor *losses = losses_of(&c, forward(&c));
    if (c.loss.o.reduction == AG_LOSS_MEAN) {
        ag_tensor *each = ag_cast(ag_maximum_scalar(ag__squeezed(c.counts, 1), 1), ag_dtype_of(log_p));
        losses = ag_div(losses, each);
    }
    return ag__loss_reduced(&c.loss, losses, NULL);
}

ag_tensor *ag_ctc(ag_tensor *log_p, ag_tensor *labels, ag_tensor *steps, ag_tensor *counts, int64_t blank) {
    return ag_ctc_with(log_p, labels, steps, counts, blank, NULL);
}
