/* test_allocations -- programs of many kinds, each of whose allocations fails in turn, and at random; and each of the
 * library's requests, also where it has memory
 *
 * A scenario is prepared on a new tape, and then run: first undisturbed, then with failures. After each failure the
 * status is AG_ERR_MEMORY; the variables have all their old values or all the new ones; after clearing the error and
 * rewinding, the same run on the same tape gives the same bits as the undisturbed one; and when the tape is freed, so is
 * all its memory. */
#include "autograd_config.h"
#include "io/io.h"
#include "nn/nn.h"
#include "tests/lacking.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- A scenario's world ---- */

enum { MOST_VARIABLES = 64, MOST_BYTES = 1 << 15 };

typedef struct world {
    ag_tape *t;
    ledger l;
    ag_mark mark;
    ag_sequence model;
    ag_sgd sgd;
    ag_adam adam;
    ag_rmsprop rmsprop;
    ag_slot slots[MOST_VARIABLES];
    ag_accumulator sum;
    ag_average average;
    ag_stopping stopping;
    ag_kept kept[3][MOST_VARIABLES];
    ag_dataset data;
    ag_tensor *x, *y, *w, *labels, *spd;
    int64_t step;
    char path[128];
    uint64_t digest; /* of what the run has shown */
} world;

typedef struct scenario {
    const char *name;
    void (*prepare)(world *w); /* NULL: nothing beyond what all have */
    void (*run)(world *w);
    bool stepwise; /* it assigns in several calls, and each for itself is carried out or not */
} scenario;

static void take_bytes(world *w, const void *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) w->digest = (w->digest ^ ((const unsigned char *)bytes)[i]) * 0x100000001B3u;
}

static void take(world *w, ag_tensor *x) {
    const void *data = ag_data(x);
    if (data) take_bytes(w, data, (size_t)ag_size(x) * ag_dtype_size(ag_dtype_of(x)));
}

static void take_text(world *w, const char *text) { take_bytes(w, text, strlen(text)); }

static void take_number(world *w, double number) { take_bytes(w, &number, sizeof number); }

static void take_all(world *w, int n, ag_tensor *const x[]) {
    if (ag_eval_all(n, x) == AG_OK)
        for (int i = 0; i < n; i++) take(w, x[i]);
}

/* The run is over: what has been assigned is carried out. */
static void finish_step(world *w) { ag_tape_rewind(w->t, w->mark); }

static void prepare_all(world *w) {
    ag_tape *t = w->t;
    ag_tape_seed(t, 3);
    w->x = ag_label(scattered(t, AG_F64, AG_SHAPE(12, 6), 7), "x");
    w->y = ag_label(scattered(t, AG_F64, AG_SHAPE(12, 3), 900), "y");
    w->w = ag_label(ag_parameter_from(scattered(t, AG_F64, AG_SHAPE(6, 3), 33)), "w");
    w->labels = ag_from(t, AG_I64, AG_SHAPE(12), (int64_t[]){0, 1, 2, 2, 1, 0, 0, 1, 2, 1, 1, 0});
    w->spd = ag_keep(ag_add(ag_matmul(ag_transpose(w->x, 0, 1), w->x), ag_one_hot(ag_arange(t, AG_I64, 6), 6, AG_F64)));
    snprintf(w->path, sizeof w->path, "%s/test_allocations.%d", scratch(), (int)getpid());
}

static void in_file(world *w, const char *ending) {
    char *dot = strrchr(w->path, '.');
    dot = dot && strchr("0123456789", dot[1]) ? w->path + strlen(w->path) : dot;
    snprintf(dot, sizeof w->path - (size_t)(dot - w->path), "%s", ending);
}

/* ---- Training ---- */

static void make_model(world *w) {
    ag_sequence *m = &w->model;
    ag_sequence_init(m, w->t, AG_F64, "net");
    ag_sequence_linear(m, 6, 16, NULL);
    ag_sequence_layernorm(m, 16, NULL);
    ag_sequence_function(m, "tanh", ag_tanh);
    ag_sequence_linear(m, 16, 3, NULL);
}

/* With running statistics, and random numbers. */
static void prepare_batchnorm(world *w) {
    ag_sequence *m = &w->model;
    make_model(w);
    ag_sequence_batchnorm(m, 3, NULL);
    ag_sequence_dropout(m, 0.25);
}

static ag_tensor *model_loss(world *w) { return ag_cross_entropy(ag_sequence_apply(&w->model, w->x), w->labels); }

static void prepare_sgd(world *w) {
    make_model(w);
    ag_list p = ag_parameters(w->t, NULL);
    ag_sgd_init(&w->sgd, p.n, p.x, w->slots, 0.1, 0.9);
}

static void prepare_adam(world *w) {
    make_model(w);
    ag_list p = ag_parameters(w->t, NULL);
    w->adam = (ag_adam){.rate = 0.01};
    ag_adam_init(&w->adam, p.n, p.x, w->slots);
}

static void prepare_rmsprop(world *w) {
    make_model(w);
    ag_list p = ag_parameters(w->t, NULL);
    w->rmsprop = (ag_rmsprop){.rate = 0.01, .momentum = 0.5};
    ag_rmsprop_init(&w->rmsprop, p.n, p.x, w->slots);
}

static void gradients(world *w, ag_tensor *dp[]) {
    ag_tensor *loss = model_loss(w);
    ag_list p = ag_parameters(w->t, NULL);
    ag_grad(loss, p.n, p.x, dp);
    take(w, loss);
}

static void run_batchnorm(world *w) {
    ag_tensor *dp[MOST_VARIABLES] = {0};
    ag_tape_seed(w->t, 8);
    gradients(w, dp);
    ag_list p = ag_parameters(w->t, NULL);
    if (ag_tape_status(w->t) == AG_OK) take_all(w, p.n, dp);
    finish_step(w);
}

static void run_sgd(world *w) {
    ag_tensor *dp[MOST_VARIABLES] = {0};
    gradients(w, dp);
    ag_sgd_step(&w->sgd, dp);
    finish_step(w);
}

static void run_adam(world *w) {
    ag_tensor *dp[MOST_VARIABLES] = {0};
    gradients(w, dp);
    if (ag_tape_status(w->t) == AG_OK) take(w, ag_clip_norm(w->adam.n, dp, 1));
    ag_adam_step(&w->adam, dp);
    finish_step(w);
}

static void run_rmsprop(world *w) {
    ag_backward(model_loss(w));
    ag_rmsprop_step(&w->rmsprop, NULL);
    ag_zero_gradients(w->t);
    finish_step(w);
}

static void prepare_sums(world *w) {
    make_model(w);
    ag_list p = ag_parameters(w->t, NULL);
    ag_accumulator_init(&w->sum, p.n, p.x, w->kept[0]);
    w->average = (ag_average){.decay = 0.5};
    ag_average_init(&w->average, p.n, p.x, w->kept[1]);
    w->stopping = (ag_stopping){.patience = 3};
    ag_stopping_init(&w->stopping, p.n, p.x, w->kept[2]);
}

static void run_sums(world *w) {
    ag_tensor *dp[MOST_VARIABLES] = {0};
    gradients(w, dp);
    ag_accumulator_add(&w->sum, dp, 1);
    ag_average_step(&w->average);
    finish_step(w);
}

static void run_stopping(world *w) {
    ag_stopping_step(&w->stopping, 1);
    finish_step(w);
}

/* ---- Layers ---- */

static ag_conv2d conv;
static ag_lstm_cell cell;
static ag_attention attention;
static ag_embedding embedding;

static void prepare_layers(world *w) {
    ag_scope(w->t, "conv");
    ag_conv2d_init(&conv, w->t, AG_F32, 2, 4, 3);
    ag_scope_end(w->t);
    ag_scope(w->t, "cell");
    ag_lstm_cell_init(&cell, w->t, AG_F64, 6, 5);
    ag_scope_end(w->t);
    ag_scope(w->t, "attention");
    ag_attention_init(&attention, w->t, AG_F64, 6, 2);
    ag_scope_end(w->t);
    ag_embedding_init(&embedding, w->t, AG_F64, 3, 4);
}

static void take_gradients(world *w, ag_tensor *loss) {
    ag_tensor *dp[MOST_VARIABLES] = {loss};
    ag_list p = ag_parameters(w->t, NULL);
    ag_tensor *of[MOST_VARIABLES];
    int n = 0;
    for (int i = 0; i < p.n; i++)
        if (ag_dtype_of(p.x[i]) == ag_dtype_of(loss)) of[n++] = p.x[i];
    ag_grad(loss, n, of, dp + 1);
    if (ag_tape_status(w->t) == AG_OK) take_all(w, n + 1, dp);
}

static void run_convolution(world *w) {
    ag_tensor *x = scattered(w->t, AG_F32, AG_SHAPE(2, 9, 9, 2), 5);
    take_gradients(w, ag_mean(ag_square(ag_max_pool2d(ag_relu(ag_conv2d_apply(&conv, x)), 2, 2))));
}

static void run_lstm(world *w) {
    ag_lstm_state s = {ag_zeros(w->t, AG_F64, AG_SHAPE(12, 5)), ag_zeros(w->t, AG_F64, AG_SHAPE(12, 5))};
    ag_tensor *y = w->x;
    for (int i = 0; i < 3; i++) y = ag_lstm_cell_apply(&cell, w->x, &s);
    take_gradients(w, ag_sum(ag_square(y)));
}

static void run_attention(world *w) {
    ag_tensor *x = ag_reshape(w->x, AG_SHAPE(2, 6, 6)), *e = ag_embedding_apply(&embedding, w->labels);
    take_gradients(w, ag_add(ag_sum(ag_square(ag_attention_apply(&attention, x, true))), ag_sum(ag_exp(e))));
}

static void run_losses(world *w) {
    ag_tensor *s = ag_matmul(w->x, w->w), *p = ag_softmax(s, 1);
    ag_tensor *ctc = ag_ctc(ag_log_softmax(ag_reshape(s, AG_SHAPE(6, 2, 3)), 2),
                            ag_from(w->t, AG_I64, AG_SHAPE(2, 2), (int64_t[]){1, 2, 2, 1}),
                            ag_from(w->t, AG_I64, AG_SHAPE(2), (int64_t[]){6, 5}),
                            ag_from(w->t, AG_I64, AG_SHAPE(2), (int64_t[]){2, 1}), 0);
    ag_tensor *all = ag_add(ag_add(ag_hinge(s, w->labels), ag_huber(s, w->y, 0.5)), ag_kl_divergence(ag_log(p), p));
    take_gradients(w, ag_add(ag_mean(ctc), ag_mean(all)));
}

static void run_model_table(world *w) {
    ag_sequence_apply(&w->model, w->x);
    take_text(w, ag_sequence_table(&w->model));
}

/* ---- Reports ---- */

static ag_tensor *labelled_loss(world *w) {
    ag_tensor *z = ag_label(ag_matmul(w->x, w->w), "z"), *m = ag_label(ag_mean_over(z, AG_AXES(0), true), "m");
    return ag_label(ag_mean(ag_square(ag_sub(ag_tanh(ag_sub(z, m)), w->y))), "loss");
}

static void run_explain(world *w) {
    take_text(w, ag_explain(labelled_loss(w), w->w, &(ag_explain_options){.depth = 2}));
}
static void run_explain_json(world *w) {
    take_text(w, ag_explain(labelled_loss(w), w->w, &(ag_explain_options){.json = true, .depth = 1}));
}
static void run_trace_backward(world *w) { take_text(w, ag_trace_backward(labelled_loss(w), 0, NULL, NULL)); }

static void run_formula(world *w) {
    ag_tensor *loss = labelled_loss(w), *dw;
    ag_grad(loss, 1, &w->w, &dw);
    take_text(w, ag_formula(loss, NULL));
    take_text(w, ag_formula(dw, NULL));
}

static void run_profile(world *w) {
    ag_profile_start(w->t);
    take(w, labelled_loss(w));
    ag_profile_stop(w->t);
    ag_profile_table(w->t, 0);
    in_file(w, ".json");
    ag_profile_write(w->t, w->path);
    remove(w->path); /* it has times */
    ag_tape_memory_table(w->t);
}

static void take_file(world *w) {
    FILE *f = fopen(w->path, "rb");
    for (int c; f && (c = getc(f)) != EOF;) take_bytes(w, &(char){(char)c}, 1);
    if (f) fclose(f);
    remove(w->path);
}

static void run_dot(world *w) {
    ag_tensor *loss = labelled_loss(w);
    in_file(w, ".dot");
    ag_write_dot(w->path, 1, &loss,
                 &(ag_dot_options){.values = true, .gradients = true, .places = true, .regions = true});
    take_file(w);
}

/* ---- Checks ---- */

static ag_tensor *checked(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    return ag_sum(ag_tanh(ag_matmul(x[0], x[1])));
}

static void run_gradcheck(world *w) {
    ag_gradcheck_report r = {0};
    const ag_status s = ag_gradcheck(checked, NULL, 2, (ag_tensor *[]){w->x, w->w},
                                     &(ag_gradcheck_options){.order = 2, .directions = 2}, &r);
    if (s == AG_OK) take_text(w, r.message);
    ck_assert_int_ne(s, AG_ERR_GRADIENT);
}

static ag_tensor *wrong_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, ag_scale(g, 2); }
static void doubled(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    for (int64_t i = 0; i < n; i++) ((double *)y)[i] = ((const double *)x[0])[i];
}
static const ag_op wrong_op = {
    .name = "wrong", .kind = AG_KIND_ELEMENTWISE, .arity = 1, .block = {[AG_F64] = doubled}, .vjp = wrong_vjp};

static ag_tensor *wrongly_derived(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    ag_tensor *in = ag_square(x[0]);
    return ag_sum(ag_apply(&wrong_op, 1, &in, NULL, 0));
}

static void run_blame(world *w) {
    ag_gradcheck_report r = {0};
    if (ag_gradcheck(wrongly_derived, NULL, 1, &w->x, NULL, &r) == AG_ERR_GRADIENT) take_text(w, r.message);
}

/* At 0 the slopes are 0.9 and 1.1, and the gradient is 0, which is right, for each operation alone is. */
static ag_tensor *kinked(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    ag_tensor *y = ag_sub(ag_relu(x[0]), ag_relu(ag_neg(x[0])));
    return ag_sum(ag_add(y, ag_scale(ag_abs(x[0]), 0.1)));
}

static void run_kinks(world *w) {
    ag_gradcheck_report r = {0};
    ag_tensor *x = ag_zeros(w->t, AG_F64, AG_SHAPE(2));
    const ag_status s = ag_gradcheck(kinked, NULL, 1, &x, NULL, &r);
    ck_assert_msg(s != AG_ERR_GRADIENT, "%s", r.message);
    if (s == AG_OK) take_text(w, r.message);
}

static void c_value(void *context, const void *x_, void *y) {
    const double *x = x_;
    (void)context;
    *(double *)y = x[0] * x[0] * x[1];
}
static void c_gradient(void *context, const void *x_, const void *g, void *to) {
    const double *x = x_;
    (void)context;
    ((double *)to)[0] = *(const double *)g * 2 * x[0] * x[1];
    ((double *)to)[1] = *(const double *)g * x[0] * x[0];
}

static void run_gradcheck_c(world *w) {
    const ag_c_functions f = {.dtype = AG_F64, .inputs = 2, .outputs = 1, .value = c_value, .gradient = c_gradient};
    ag_gradcheck_report r = {0};
    if (ag_gradcheck_c(w->t, &f, (double[]){1.5, -2}, NULL, &r) == AG_OK) take_text(w, r.message);
}

static void run_transforms(world *w) {
    ag_tensor *z = ag_tanh(ag_matmul(w->x, w->w)), *row = ag_slice(ag_reshape(z, AG_SHAPE(36)), 0, 0, 4, 1);
    ag_tensor *v = ag_ones_like(w->w), *jv;
    ag_jvp(1, &z, 1, &w->w, &v, &jv);
    ag_tensor *loss = ag_sum(ag_square(z));
    take_all(w, 4, (ag_tensor *[]){ag_jacobian(row, w->w), ag_hessian(loss, w->w), jv, ag_hvp(loss, w->w, v)});
}

/* ---- Plans, machine code, replay ---- */

static void run_plans(world *w) {
    ag_mark mark = ag_tape_mark(w->t);
    for (int i = 0; i < 4; i++) {
        ag_tensor *loss = labelled_loss(w), *dw;
        ag_grad(loss, 1, &w->w, &dw);
        take_all(w, 2, (ag_tensor *[]){loss, ag_scale(dw, 1 + i)});
        ag_tape_rewind(w->t, mark);
    }
}

static void run_machine_code(world *w) {
    ag_tensor *x = ag_reshape(ag_arange(w->t, AG_F32, 40000), AG_SHAPE(200, 200));
    ag_tensor *y = ag_softmax(ag_scale(ag_tanh(ag_scale(x, 1e-3)), 2), 1);
    ag_tensor *z = ag_add(ag_mul(ag_exp(ag_neg(y)), ag_sigmoid(x)), ag_sum_over(ag_square(y), AG_AXES(0), true));
    ag_data(ag_slice(z, 0, 0, 2, 1));
    take_all(w, 2, (ag_tensor *[]){ag_sum_over(z, AG_AXES(1), false), ag_slice(z, 0, 0, 2, 1)});
}

static void run_replay(world *w) {
    ag_tensor *x = ag_add_scalar(ag_abs(w->x), 0.5), *y = ag_lgamma(ag_add(ag_digamma(x), ag_erfinv(ag_scale(x, 0.1))));
    ag_tensor *z = ag_add(ag_ndtri(ag_sigmoid(x)), ag_atan2(x, ag_cbrt(ag_polygamma(1, x)))),
              *sum = ag_sum(ag_add(y, z)), *dx;
    ag_grad(sum, 1, &w->x, &dx);
    take_all(w, 3, (ag_tensor *[]){y, z, dx});
}

static void run_eager(world *w) {
    ag_tape_set_eager(w->t, true);
    ag_tensor *loss = labelled_loss(w), *dw;
    ag_grad(loss, 1, &w->w, &dw);
    take(w, dw);
    ag_tape_set_eager(w->t, false);
}

static bool scaled_eval(const ag_call *call) {
    enum { LAST = 4999 };
    double *scratch = ag_call_scratch(call, (LAST + 1) * sizeof(double)), *y = call->y.data;
    const double *x = call->x[0].data;
    if (!scratch) return false;
    scratch[LAST] = x[0];
    for (int64_t i = 0; i < call->y.size; i++) y[i] = scratch[LAST] * x[i];
    return true;
}

static bool same_shape(ag_infer *r) {
    r->shape = ag_shape_of(r->x[0]);
    r->dtype = AG_F64;
    return true;
}

static ag_tensor *scaled_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)i, ag_mul(g, ag_exp(ag_input(y, 0))); }
static const ag_op scaled_op = {.name = "scaled",
                                .kind = AG_KIND_OPAQUE,
                                .arity = 1,
                                .infer = same_shape,
                                .eval = scaled_eval,
                                .vjp = scaled_vjp,
                                .notation = "s({0})"};

static void run_user_operation(world *w) {
    ag_tensor *y = ag_apply(&scaled_op, 1, &w->x, NULL, 0), *dx;
    ag_grad(ag_sum(y), 1, &w->x, &dx);
    take_all(w, 2, (ag_tensor *[]){y, dx});
}

/* ---- Operations with memory of their own ---- */

static void run_matrices(world *w) {
    ag_tensor *q = NULL, *l, *u, *p, *s;
    ag_lu(w->spd, &p, &l, &u);
    ag_slogdet(w->spd, &q, &s);
    take_all(w, 7,
             (ag_tensor *[]){ag_solve(w->spd, ag_transpose(w->x, 0, 1)), ag_inverse(w->spd), ag_cholesky(w->spd),
                             ag_det(w->spd), ag_matrix_exp(ag_scale(w->spd, 1e-3)), u, s});
}

static void run_decompositions(world *w) {
    ag_tensor *q = NULL, *r = NULL, *e = NULL, *v = NULL, *a = NULL, *s = NULL, *b = NULL;
    ag_qr(w->x, &q, &r);
    ag_eigh(w->spd, &e, &v);
    ag_svd(w->x, &a, &s, &b);
    take_all(w, 5, (ag_tensor *[]){q, e, s, ag_pinv(w->x, 1e-9), ag_lstsq(w->x, w->y, 1e-9)});
}

static void run_fourier(world *w) {
    ag_tensor *f = ag_rfft(w->x, 0), *g = ag_fft(ag_complex(w->x, ag_neg(w->x)), 1), *dx;
    ag_grad(ag_sum(ag_square(f)), 1, &w->x, &dx);
    take_all(w, 3, (ag_tensor *[]){f, g, dx});
}

static void run_samplers(world *w) {
    ag_tape *t = w->t;
    ag_tape_seed(t, 11);
    ag_tensor *a = ag_full(t, AG_F64, AG_SHAPE(30), 2.5);
    take_all(w, 12,
             (ag_tensor *[]){
                 ag_uniform(t, AG_F32, AG_SHAPE(9), 0, 1), ag_normal(t, AG_F64, AG_SHAPE(7), 0, 1),
                 ag_randint(t, AG_SHAPE(5), 0, 9), ag_permutation(t, 40), ag_shuffle(w->x, 0),
                 ag_multinomial(ag_abs(w->y), 2, false), ag_draw_poisson(a), ag_draw_gamma(a, a), ag_draw_beta(a, a),
                 ag_draw_binomial(ag_full(t, AG_F64, AG_SHAPE(30), 20), ag_full(t, AG_F64, AG_SHAPE(30), 0.3)),
                 ag_draw_dirichlet(ag_reshape(a, AG_SHAPE(10, 3))), ag_draw_student(a)});
}

static void run_distributions(world *w) {
    ag_tape_seed(w->t, 5);
    const ag_distribution d = {AG_DIST_NORMAL, {w->x, ag_exp(w->x)}},
                          e = {AG_DIST_NORMAL, {ag_neg(w->x), ag_exp(w->x)}};
    take_all(w, 4, (ag_tensor *[]){ag_draw(&d), ag_log_prob(&d, w->x), ag_entropy(&d), ag_divergence(&d, &e)});
}

static void run_sorting(world *w) {
    ag_tensor *index = NULL, *top = ag_topk_along(w->x, 3, 1, true, &index);
    take_all(w, 9,
             (ag_tensor *[]){ag_sort(w->x, 0, true), ag_argsort(w->x, 1, false), top, index,
                             ag_median_over(w->x, AG_AXES(0), false), ag_quantile(w->x, 0.3), ag_cumprod(w->x, 0),
                             ag_logcumsumexp(w->x, 1),
                             ag_searchsorted(ag_sort(ag_reshape(w->x, AG_SHAPE(72)), 0, false), w->y, false)});
}

static void run_indexing(world *w) {
    ag_tensor *mask = ag_greater(w->x, ag_zeros_like(w->x)), *dx;
    ag_tensor *y = ag_add(ag_sum(ag_at(w->x, "2:9:2, ..., -1")), ag_sum(ag_masked_select(w->x, mask)));
    ag_tensor *s = ag_scatter_add(w->x, ag_reshape(w->labels, AG_SHAPE(12, 1)), ag_slice(w->x, 1, 0, 1, 1), 1);
    ag_tensor *e = ag_einsum("ij,jk->k", 2, (ag_tensor *[]){w->x, w->w}), *in[2] = {w->x, w->y};
    ag_grad(ag_add(ag_add(y, ag_sum(ag_square(s))), ag_sum(ag_square(e))), 1, &w->x, &dx);
    take_all(w, 4, (ag_tensor *[]){dx, ag_nonzero(mask), ag_one_hot(w->labels, 3, AG_F64), ag_concat(2, in, 1)});
}

/* ---- Data ---- */

static bool shift(void *context, ag_sample *s) {
    (void)context;
    ((double *)s->data[0])[0] += ag_random_uniform(&s->random);
    return true;
}

static void load_data(world *w, int workers) {
    ag_dataset all, part[2];
    ag_loader loader = {0};
    ag_tensor *batch[2] = {NULL, NULL};
    const ag_augmentation augment = {.apply = shift};
    ag_dataset_tensors(&all, 2, (ag_tensor *[]){w->x, w->labels});
    ag_dataset_split(part, w->t, &all, 2, (double[]){0.75, 0.25}, &(ag_split_options){.strata = w->labels});
    ag_loader_open(&loader, w->t, &part[0], 4,
                   &(ag_loader_options){.workers = workers, .augmentations = 1, .augmentation = &augment});
    while (ag_tape_status(w->t) == AG_OK && ag_loader_next(&loader, batch)) take_all(w, 2, batch);
    ag_loader_close(&loader);
}

static void run_loader(world *w) { load_data(w, -1); }
static void run_loader_with_threads(world *w) { load_data(w, 2); }

static void run_metrics(world *w) {
    ag_confusion c = {0};
    ag_auc a = {0};
    ag_topk k = {.k = 2};
    ag_regression r = {0};
    ag_tensor *s = ag_matmul(w->x, w->w);
    ag_confusion_init(&c, w->t, 3);
    ag_confusion_add(&c, s, w->labels);
    ag_auc_init(&a, w->t, 100);
    ag_auc_add(&a, ag_reshape(ag_slice(s, 1, 0, 1, 1), AG_SHAPE(12)), ag_minimum(w->labels, ag_ones_like(w->labels)));
    ag_topk_add(&k, s, w->labels);
    ag_regression_add(&r, s, w->y);
    if (ag_tape_status(w->t) != AG_OK) return;
    take_number(w, ag_confusion_accuracy(&c));
    take_number(w, ag_auc_value(&a));
    take_number(w, ag_topk_value(&k));
    take_number(w, ag_regression_r2(&r));
}

/* ---- Files ---- */

static void save_and_load(world *w, const char *ending, bool packed) {
    ag_tensor *both[2] = {w->x, w->w};
    in_file(w, ending);
    ag_save(w->path, 2, both, &(ag_save_options){.compress = packed && AG_HAVE_ZLIB});
    take(w, ag_read(w->t, w->path, "x", NULL));
    take(w, ag_read(w->t, w->path, "w", &(ag_read_options){.convert = true, .dtype = AG_F32}));
    ag_load(w->path, 1, &w->w, &(ag_load_options){.allow_unexpected = true}, &(ag_load_report){0});
    take_file(w);
}

static void run_safetensors(world *w) { save_and_load(w, ".safetensors", false); }
static void run_npz(world *w) { save_and_load(w, ".npz", false); }
static void run_packed_npz(world *w) { save_and_load(w, ".npz", true); }

static void run_npy(world *w) {
    in_file(w, ".npy");
    ag_save(w->path, 1, &w->x, NULL);
    take(w, ag_read(w->t, w->path, NULL, &(ag_read_options){.map = true}));
    take_file(w);
}

static void run_csv(world *w) {
    in_file(w, ".csv");
    ag_csv_write(w->path, w->x, NULL);
    take(w, ag_csv_read(w->t, w->path, AG_F64, NULL));
    take_file(w);
}

static void run_raw(world *w) {
    in_file(w, ".raw");
    ag_raw_write(w->path, w->x);
    take(w, ag_raw_read(w->t, w->path, AG_SHAPE(12, 6), &(ag_raw_options){.dtype = "f64"}));
    take_file(w);
}

static void run_image(world *w) {
    in_file(w, AG_HAVE_PNG ? ".png" : ".pgm");
    ag_image_write(w->path, ag_minimum(ag_abs(w->x), ag_ones_like(w->x)));
    take(w, ag_image_read(w->t, w->path, AG_F64));
    take_file(w);
}

static void run_curves(world *w) {
    const double y[] = {3, 1, 4, 1, 5};
    const ag_curve c = {.name = "loss", .n = 5, .y = y};
    in_file(w, ".svg");
    ag_curves_write(w->t, w->path, 1, &c, &(ag_curves_options){.title = "a run", .logarithmic_y = true});
    take_text(w, ag_sparkline(w->t, 5, y, 4));
    take_file(w);
}

static void run_log(world *w) {
    ag_run_log log = {0};
    in_file(w, ".jsonl");
    for (int i = 0; i < 2; i++) {
        ag_run_log_open(&log, w->t, w->path, &(ag_run_log_options){.resume = i, .step = 1});
        ag_run_log_write(&log, i + 1, 1, &(ag_reading){.name = "loss", .value = 0.1});
        ag_run_log_close(&log);
    }
    take_file(w);
}

static void run_checkpoint(world *w) {
    const ag_number numbers[] = {{.name = "step", .integer = &w->step}};
    char first[160];
    in_file(w, ".run");
    w->step = 5;
    ag_checkpoint_save(w->t, w->path, 1, numbers, 1);
    if (ag_tape_status(w->t) == AG_OK)
        take_number(w, (double)ag_checkpoint_load(w->t, w->path, 1, numbers, NULL, NULL));
    take_number(w, (double)w->step);
    snprintf(first, sizeof first, "%s.000001.safetensors", w->path);
    remove(first);
}

/* ---- The table ---- */

static const scenario scenarios[] = {
    {"sgd", prepare_sgd, run_sgd, false},
    {"adam", prepare_adam, run_adam, false},
    {"rmsprop", prepare_rmsprop, run_rmsprop, false},
    {"batchnorm and dropout", prepare_batchnorm, run_batchnorm, true},
    {"sums of gradients", prepare_sums, run_sums, false},
    {"early stopping", prepare_sums, run_stopping, false},
    {"convolution", prepare_layers, run_convolution, false},
    {"lstm", prepare_layers, run_lstm, false},
    {"attention", prepare_layers, run_attention, false},
    {"losses", NULL, run_losses, false},
    {"model table", make_model, run_model_table, false},
    {"explain", NULL, run_explain, false},
    {"explain as JSON", NULL, run_explain_json, false},
    {"trace of backward", NULL, run_trace_backward, false},
    {"formula", NULL, run_formula, false},
    {"profile", NULL, run_profile, false},
    {"dot", NULL, run_dot, false},
    {"gradcheck", NULL, run_gradcheck, false},
    {"gradcheck at kinks", NULL, run_kinks, false},
    {"blame", NULL, run_blame, false},
    {"gradcheck in C", NULL, run_gradcheck_c, false},
    {"transforms", NULL, run_transforms, false},
    {"plans", NULL, run_plans, false},
    {"machine code", NULL, run_machine_code, false},
    {"replay", NULL, run_replay, false},
    {"eager", NULL, run_eager, false},
    {"user operation", NULL, run_user_operation, false},
    {"matrices", NULL, run_matrices, false},
    {"samplers", NULL, run_samplers, false},
    {"distributions", NULL, run_distributions, false},
    {"sorting", NULL, run_sorting, false},
    {"indexing", NULL, run_indexing, false},
    {"loader", NULL, run_loader, false},
    {"loader with threads", NULL, run_loader_with_threads, false},
    {"metrics", NULL, run_metrics, false},
    {"safetensors", NULL, run_safetensors, false},
    {"npz", NULL, run_npz, false},
    {"packed npz", NULL, run_packed_npz, false},
    {"npy", NULL, run_npy, false},
    {"csv", NULL, run_csv, false},
    {"raw", NULL, run_raw, false},
    {"image", NULL, run_image, false},
    {"curves", NULL, run_curves, false},
    {"log", NULL, run_log, false},
    {"checkpoint", NULL, run_checkpoint, false},
#if AG_HAVE_LAPACK
    {"decompositions", NULL, run_decompositions, false},
#endif
#if AG_HAVE_FFTW
    {"fourier", NULL, run_fourier, false},
#endif
};
enum { SCENARIOS = sizeof scenarios / sizeof *scenarios };

/* ---- Running them ---- */

static int64_t failures;

typedef struct values { /* of all variables */
    unsigned char bytes[MOST_BYTES];
    size_t n;
} values;

static void begin(world *w, const scenario *s) {
    memset(w, 0, sizeof *w);
    ledger_open(&w->l);
    w->t = ag_tape_new_with(&w->l.allocator);
    ck_assert_ptr_nonnull(w->t);
    prepare_all(w);
    if (s->prepare) s->prepare(w);
    ag_list all = ag_state(w->t, NULL);
    ag_eval_all(all.n, all.x);
    ag_eval(w->spd);
    ck_assert_msg(ag_tape_status(w->t) == AG_OK, "%s", ag_tape_error(w->t));
    w->mark = ag_tape_mark(w->t);
}

static void end(world *w) {
    ag_tape_free(w->t);
    ledger_close(&w->l);
}

static void run(world *w, const scenario *s) {
    w->digest = 0xCBF29CE484222325u;
    s->run(w);
}

static void look(world *w, values *v) {
    ag_list all = ag_state(w->t, NULL);
    v->n = 0;
    for (int i = 0; i < all.n; i++) {
        const void *data = ag_data(all.x[i]);
        const size_t n = (size_t)ag_size(all.x[i]) * ag_dtype_size(ag_dtype_of(all.x[i]));
        ck_assert_msg(data && v->n + n <= MOST_BYTES, "%s", ag_tape_error(w->t));
        memcpy(v->bytes + v->n, data, n);
        v->n += n;
    }
}

static void put_back(world *w, const values *v) {
    ag_list all = ag_state(w->t, NULL);
    size_t at = 0;
    for (int i = 0; i < all.n; i++) {
        ag_set(all.x[i], v->bytes + at);
        at += (size_t)ag_size(all.x[i]) * ag_dtype_size(ag_dtype_of(all.x[i]));
    }
    ag_tape_rewind(w->t, w->mark);
}

static bool same(const values *a, const values *b) { return a->n == b->n && memcmp(a->bytes, b->bytes, a->n) == 0; }

static values before, after, now;
static uint64_t right;
static int64_t calls; /* of an undisturbed run */

static void learn(const scenario *s) {
    world w;
    begin(&w, s);
    look(&w, &before);
    calls = w.l.calls;
    run(&w, s);
    calls = w.l.calls - calls;
    ck_assert_msg(ag_tape_status(w.t) == AG_OK, "%s: %s", s->name, ag_tape_error(w.t));
    right = w.digest;
    ag_tape_rewind(w.t, w.mark);
    look(&w, &after);
    end(&w);
}

static void stop_failing(ledger *l) { l->fail_at = l->fail_one_in = 0, l->fail_for_good = false; }

/* A run that was prepared to fail; then another one, which must not. Whether something failed. */
static bool run_despite(world *w, const scenario *s, const char *how, int64_t number) {
    char text[700];
    run(w, s);
    const bool lacked = lack_end(), failed = w->l.failed || lacked;
    failures += failed;
    stop_failing(&w->l);
    const ag_status status = ag_tape_status(w->t);
    snprintf(text, sizeof text, "%s, %s %lld: %s", s->name, how, (long long)number, ag_tape_error(w->t));
    ck_assert_msg(status == AG_OK || status == AG_ERR_MEMORY, "%s", text);
    ck_assert_msg(status == AG_OK || failed, "nothing failed: %s", text);
    /* Without memory for a plan another evaluator runs, which adds up large tensors in another order: tiny ones are large. */
    ck_assert_msg(status != AG_OK || AG_TINY_LIMITS || w->digest == right, "other bits: %s", text);
    ag_clear_error(w->t);
    ck_assert_msg(ag_tape_rewind(w->t, w->mark) == AG_OK, "%s: %s", text, ag_tape_error(w->t));
    remove(w->path);
    look(w, &now);
    const bool old = same(&now, &before);
    ck_assert_msg(old || s->stepwise || same(&now, &after),
                  "variables have neither their old values nor the new ones: %s", text);
    if (!old) put_back(w, &before);
    run(w, s);
    ck_assert_msg(ag_tape_status(w->t) == AG_OK, "again: %s: %s", text, ag_tape_error(w->t));
    ck_assert_msg(w->digest == right, "other bits again: %s", text);
    ag_tape_rewind(w->t, w->mark);
    look(w, &now);
    ck_assert_msg(!old || same(&now, &after), "other variables again: %s", text);
    return failed;
}

START_TEST(each_allocation_fails) {
    const scenario *s = &scenarios[_i];
    learn(s);
    for (int64_t k = 1; k <= calls; k = next_to_fail(k)) {
        world w;
        begin(&w, s);
        w.l.fail_at = w.l.calls + k;
        run_despite(&w, s, "allocation", k);
        end(&w);
    }
}
END_TEST

/* And all after it, until the run is over. */
START_TEST(memory_runs_out) {
    const scenario *s = &scenarios[_i];
    learn(s);
    for (int64_t k = 1; k <= calls; k = next_to_fail(next_to_fail(k))) {
        world w;
        begin(&w, s);
        w.l.fail_at = w.l.calls + k;
        w.l.fail_for_good = true;
        run_despite(&w, s, "all from allocation", k);
        end(&w);
    }
}
END_TEST

/* Requests of the library fail, also where it has memory. In small runs those that no scenario before has made at the same
 * place. */
START_TEST(each_request_fails) {
    const scenario *s = &scenarios[_i];
    bool failed = true;
    learn(s);
    if (!small_run()) lack_begin(0);
    for (int64_t k = 1; failed; k++) {
        world w;
        begin(&w, s);
        lack_once(0);
        failed = run_despite(&w, s, "request", k);
        end(&w);
    }
}
END_TEST

START_TEST(some_allocations_fail) {
    static const int one_in[] = {2, 5, 30};
    const scenario *s = &scenarios[_i];
    learn(s);
    for (int64_t i = 0; i < by_length(3, 9, 300); i++) {
        world w;
        begin(&w, s);
        w.l.fail_one_in = one_in[i % 3];
        w.l.draws = (uint64_t)i;
        run_despite(&w, s, "random set", i);
        end(&w);
    }
}
END_TEST

START_TEST(figures) { printf("Allocations: %lld failures in %d scenarios\n", (long long)failures, (int)SCENARIOS); }
END_TEST

int main(void) {
    Suite *suite = suite_create("allocations");
    TCase *each = plain_group(suite, "each");
    tcase_add_loop_test(each, each_allocation_fails, 0, SCENARIOS);
    tcase_add_loop_test(each, memory_runs_out, 0, SCENARIOS);
    if (lack_stands_in()) tcase_add_loop_test(each, each_request_fails, 0, SCENARIOS);
    else printf("Skipped: %d, which need a library of several files\n", (int)SCENARIOS);
    TCase *random = plain_group(suite, "random");
    tcase_add_loop_test(random, some_allocations_fail, 0, SCENARIOS);
    tcase_add_test(plain_group(suite, "figures"), figures);
    return run_suite(suite);
}
