/* test_systems_3 -- layers in forward and backward pairs, the losses, whole networks of them, and the optimisers
 *
 * N samples as rows, D features in, C out. By hand, each layer's backward uses its forward's cache; the engine's
 * gradients must be the same, also for a whole network. */
#include "nn/nn.h"

#include <math.h>
#include <string.h>

#include "tests/closed.h"

enum { CASES = 40 };

/* ---- Affine and relu ---- */

typedef struct affine {
    int64_t N, D, C;
    double *x, *w, *b, *dout;
    double *out, *dx, *dw, *db;
} affine;

static void affine_forward(affine *a) {
    a->out = product(a->N, a->D, a->C, a->x, a->w);
    for (int64_t i = 0; i < a->N * a->C; i++) a->out[i] += a->b[i % a->C];
}

static void affine_backward(affine *a) {
    a->dx = product(a->N, a->C, a->D, a->dout, flipped(a->D, a->C, a->w));
    a->dw = product(a->D, a->N, a->C, flipped(a->N, a->D, a->x), a->dout);
    a->db = column_sums(a->N, a->C, a->dout);
}

/* x (N,d1…dk), k from 1 to 3; flattened to (N,D). */
static affine any_affine(ag_shape *shape) {
    *shape = (ag_shape){.rank = (int)whole(2, 4)};
    affine a = {.N = whole(1, 6), .D = 1, .C = whole(1, 5)};
    shape->extent[0] = a.N;
    for (int i = 1; i < shape->rank; i++) a.D *= shape->extent[i] = whole(1, 4);
    a.x = values(a.N * a.D, -1, 1);
    a.w = values(a.D * a.C, -1, 1);
    a.b = values(a.C, -1, 1);
    a.dout = values(a.N * a.C, -1, 1);
    return a;
}

static void affine_case(void) {
    ag_shape shape;
    affine a = any_affine(&shape);
    ag_tensor *x = constant_of(shape, a.x), *w = constant_of(AG_SHAPE(a.D, a.C), a.w),
              *b = constant_of(AG_SHAPE(a.C), a.b), *at[] = {x, w, b}, *d[3];
    ag_tensor *out = ag_add(ag_matmul(ag_reshape(x, AG_SHAPE(a.N, -1)), w), b);
    bool with_relu = coin();
    affine_forward(&a);
    ag_tensor *dout = constant_of(AG_SHAPE(a.N, a.C), a.dout);
    expect_closed_of(out, a.N * a.C, a.out, 1);
    for (int64_t i = 0; with_relu && i < a.N * a.C; i++) a.dout[i] *= a.out[i] > 0;
    affine_backward(&a);
    pull_back(with_relu ? ag_relu(out) : out, dout, 3, at, d);
    expect_shape(d[0], shape); /* unflattened */
    expect_closed_of(d[0], a.N * a.D, a.dx, 1);
    expect_closed_of(d[1], a.D * a.C, a.dw, 1);
    expect_closed_of(d[2], a.C, a.db, 1);
}

START_TEST(affine_and_affine_relu) { in_random_cases(2 * CASES, affine_case); }
END_TEST

/* ---- Losses over scores and labels ---- */

/* Both return the loss and fill dx. */
static double softmax_loss(int64_t N, int64_t C, const double *s, const int64_t *y, double *dx) {
    double loss = 0;
    for (int64_t i = 0; i < N; i++) {
        double most = -INFINITY, sum = 0;
        for (int64_t j = 0; j < C; j++) most = fmax(most, s[i * C + j]);
        for (int64_t j = 0; j < C; j++) sum += exp(s[i * C + j] - most);
        loss += (most + log(sum) - s[i * C + y[i]]) / (double)N;
        for (int64_t j = 0; j < C; j++) dx[i * C + j] = (exp(s[i * C + j] - most) / sum - (j == y[i])) / (double)N;
    }
    return loss;
}

static double svm_loss(int64_t N, int64_t C, const double *s, const int64_t *y, double *dx) {
    double loss = 0;
    memset(dx, 0, (size_t)(N * C) * sizeof *dx);
    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < C; j++) {
            double margin = s[i * C + j] - s[i * C + y[i]] + 1;
            if (j == y[i] || margin <= 0) continue;
            loss += margin / (double)N;
            dx[i * C + j] += 1 / (double)N;
            dx[i * C + y[i]] -= 1 / (double)N;
        }
    return loss;
}

/* The same from primitives only; index is (N,1). */
static ag_tensor *softmax_loss_of(ag_tensor *s, ag_tensor *index) {
    ag_tensor *most = ag_stop_gradient(ag_max_over(s, AG_AXES(1), true)), *shifted = ag_sub(s, most);
    ag_tensor *logsumexp = ag_log(ag_sum_over(ag_exp(shifted), AG_AXES(1), true));
    return ag_mean(ag_sub(logsumexp, ag_gather(shifted, index, 1)));
}

static ag_tensor *svm_loss_of(ag_tensor *s, ag_tensor *index) {
    ag_tensor *zero = ag_zeros(tape, AG_F64, AG_SCALAR), *classes = ag_arange(tape, AG_I64, ag_extent(s, 1));
    ag_tensor *margins = ag_maximum(ag_add_scalar(ag_sub(s, ag_gather(s, index, 1)), 1), zero);
    ag_tensor *others = ag_where(ag_equal(classes, index), zero, margins); /* j ≠ y_i */
    return ag_mean(ag_sum_over(others, AG_AXES(1), false));
}

static void losses_case(void) {
    int64_t N = whole(1, 8), C = whole(1, 6), *label = labels(N, C);
    double range = coin() ? 3 : 700, *score = values(N * C, -range, range), *dx = room(N * C);
    ag_tensor *s = constant_of(AG_SHAPE(N, C), score), *y = ag_from(tape, AG_I64, AG_SHAPE(N), label);
    ag_tensor *index = ag_unsqueeze(y, 1), *ds;
    ag_tensor *recorded[2][2] = {{ag_cross_entropy(s, y), softmax_loss_of(s, index)},
                                 {ag_hinge(s, y), svm_loss_of(s, index)}};
    for (int i = 0; i < 4; i++) {
        double loss = (i / 2 ? svm_loss : softmax_loss)(N, C, score, label, dx);
        ag_tensor *got = recorded[i / 2][i % 2];
        ck_assert_int_eq(ag_grad(got, 1, &s, &ds), AG_OK);
        expect_closed_of(got, 1, &loss, range);
        expect_closed_of(ds, N * C, dx, 1 / (double)N);
    }
}

START_TEST(softmax_and_svm_loss) { in_random_cases(2 * CASES, losses_case); }
END_TEST

START_TEST(softmax_loss_is_safe_for_any_scores) {
    double score[] = {1e308, -1e308, 0, -1e300, 7, 1e300, 5, 5, 5}, dx[9];
    int64_t label[] = {0, 2, 1};
    double loss = softmax_loss(3, 3, score, label, dx);
    ag_tensor *s = constant_of(AG_SHAPE(3, 3), score), *y = ag_from(tape, AG_I64, AG_SHAPE(3, 1), label), *ds;
    ag_tensor *got[] = {ag_cross_entropy(s, ag_squeeze(y, AG_AXES(1))), softmax_loss_of(s, y)};
    for (int i = 0; i < 2; i++) {
        ag_grad(got[i], 1, &s, &ds);
        expect_closed(got[i], 1, &loss);
        expect_closed(ds, 9, dx);
    }
}
END_TEST

/* ---- Normalisations: caches and backward of each ---- */

typedef struct norm {
    int64_t N, C;
    bool over_batch; /* else over features */
    double eps;
    const double *gamma, *beta;
    double *normalised, *sigma; /* the cache; sigma of a column or a row */
    double *dgamma, *dbeta;
} norm;

static int64_t group_of(const norm *n, int64_t i) { return n->over_batch ? i % n->C : i / n->C; }

static double *norm_forward(norm *n, const double *z) {
    int64_t size = n->N * n->C, groups = n->over_batch ? n->C : n->N;
    double count = (double)(size / groups), *mean = room(groups), *out = room(size);
    n->sigma = room(groups), n->normalised = room(size);
    for (int64_t i = 0; i < size; i++) mean[group_of(n, i)] += z[i] / count;
    for (int64_t i = 0; i < size; i++) n->sigma[group_of(n, i)] += pow(z[i] - mean[group_of(n, i)], 2) / count;
    for (int64_t k = 0; k < groups; k++) n->sigma[k] = sqrt(n->sigma[k] + n->eps);
    for (int64_t i = 0; i < size; i++) {
        n->normalised[i] = (z[i] - mean[group_of(n, i)]) / n->sigma[group_of(n, i)];
        out[i] = n->gamma[i % n->C] * n->normalised[i] + n->beta[i % n->C];
    }
    return out;
}

/* The one-line form, over the axis of the mean: with h = gamma·dout and nz the normalised values, dz = (h − mean h −
 * nz·mean(h·nz))/sigma. */
static double *norm_backward(norm *n, const double *dout) {
    int64_t size = n->N * n->C, groups = n->over_batch ? n->C : n->N;
    double count = (double)(size / groups), *first = room(groups), *second = room(groups), *dz = room(size);
    n->dgamma = column_sums(n->N, n->C, hadamard(size, dout, n->normalised));
    n->dbeta = column_sums(n->N, n->C, dout);
    for (int64_t i = 0; i < size; i++) {
        first[group_of(n, i)] += n->gamma[i % n->C] * dout[i] / count;
        second[group_of(n, i)] += n->gamma[i % n->C] * dout[i] * n->normalised[i] / count;
    }
    for (int64_t i = 0; i < size; i++) {
        int64_t k = group_of(n, i);
        dz[i] = (n->gamma[i % n->C] * dout[i] - first[k] - n->normalised[i] * second[k]) / n->sigma[k];
    }
    return dz;
}

/* Both in the engine, from primitives. */
static ag_tensor *norm_of(ag_tensor *z, const norm *n, ag_tensor *gamma, ag_tensor *beta) {
    ag_axes axis = n->over_batch ? AG_AXES(0) : AG_AXES(1);
    ag_tensor *centred = ag_sub(z, ag_mean_over(z, axis, true));
    ag_tensor *variance = ag_mean_over(ag_square(centred), axis, true);
    return ag_add(ag_mul(ag_mul(centred, ag_rsqrt(ag_add_scalar(variance, n->eps))), gamma), beta);
}

static norm any_norm(int64_t N, int64_t C, bool over_batch) {
    norm n = {.N = N, .C = C, .over_batch = over_batch, .eps = between(1e-3, 1e-1)};
    n.gamma = values(C, 0.5, 2);
    n.beta = values(C, -1, 1);
    return n;
}

static void norms_case(void) {
    int64_t N = whole(1, 8), C = whole(1, 6);
    norm n = any_norm(N, C, coin());
    double *z = values(N * C, -2, 2), *out = norm_forward(&n, z), *dout = values(N * C, -1, 1);
    double *dz = norm_backward(&n, dout);
    ag_tensor *Z = constant_of(AG_SHAPE(N, C), z), *gamma = constant_of(AG_SHAPE(C), n.gamma),
              *beta = constant_of(AG_SHAPE(C), n.beta), *at[] = {Z, gamma, beta}, *d[3];
    ag_batchnorm batchnorm;
    ag_batchnorm_init(&batchnorm, tape, AG_F64, C);
    batchnorm.gamma = gamma;
    batchnorm.beta = beta;
    batchnorm.epsilon = n.eps;
    ag_layernorm layernorm = {.gamma = gamma, .beta = beta, .epsilon = n.eps};
    ag_tensor *y[] = {norm_of(Z, &n, gamma, beta),
                      n.over_batch ? ag_batchnorm_apply(&batchnorm, Z, true) : ag_layernorm_apply(&layernorm, Z)};
    for (int i = 0; i < 2; i++) {
        pull_back(y[i], constant_of(AG_SHAPE(N, C), dout), 3, at, d);
        expect_closed_of(y[i], N * C, out, 1);
        expect_closed_of(d[0], N * C, dz, 10);
        expect_closed_of(d[1], C, n.dgamma, 1);
        expect_closed_of(d[2], C, n.dbeta, 1);
    }
}

START_TEST(batchnorm_and_layer_norm_in_the_one_line_form) { in_random_cases(2 * CASES, norms_case); }
END_TEST

/* ---- Whole networks: affine – [norm – ] relu – [dropout] – … – affine – softmax or SVM loss, and L2 ---- */

enum { MOST_LAYERS = 5 };

typedef struct net {
    int layers; /* affine ones */
    int64_t N, width[MOST_LAYERS + 1];
    bool normalised, dropped, svm;
    double decay; /* the loss has ½·decay·Σ w² */
    affine affine[MOST_LAYERS];
    norm norm[MOST_LAYERS];
    double *kept[MOST_LAYERS]; /* dropout: 1/(1−p) or 0 */
    double *x, *dx, loss;
    int64_t *label;
} net;

static void choose_net(net *n, int layers) {
    n->layers = layers;
    n->N = whole(2, 6);
    n->normalised = coin(), n->dropped = coin(), n->svm = coin();
    n->decay = coin() ? 0 : between(0, 0.5);
    for (int l = 0; l <= layers; l++) n->width[l] = whole(2, 6);
    n->x = values(n->N * n->width[0], -1, 1);
    n->label = labels(n->N, n->width[layers]);
    for (int l = 0; l < layers; l++) {
        int64_t D = n->width[l], C = n->width[l + 1];
        n->affine[l] = (affine){.N = n->N, .D = D, .C = C, .w = values(D * C, -1, 1), .b = values(C, -1, 1)};
        n->norm[l] = any_norm(n->N, C, coin());
        n->kept[l] = values(n->N * C, 0, 1);
        for (int64_t i = 0; i < n->N * C; i++) n->kept[l][i] = !n->dropped || n->kept[l][i] < 0.75 ? 1 : 0;
        for (int64_t i = 0; n->dropped && i < n->N * C; i++) n->kept[l][i] /= 0.75;
    }
}

static void net_forward(net *n) {
    double *x = n->x;
    for (int l = 0; l < n->layers; l++) {
        affine *a = &n->affine[l];
        a->x = x;
        affine_forward(a);
        if (l == n->layers - 1) return;
        double *z = n->normalised ? norm_forward(&n->norm[l], a->out) : a->out;
        x = room(a->N * a->C);
        for (int64_t i = 0; i < a->N * a->C; i++) x[i] = fmax(z[i], 0) * n->kept[l][i];
    }
}

static double *activation_backward(net *n, int l, double *dx) {
    const affine *a = &n->affine[l];
    const double *after = n->affine[l + 1].x;
    double *dz = room(a->N * a->C);
    for (int64_t i = 0; i < a->N * a->C; i++) dz[i] = dx[i] * n->kept[l][i];
    if (!n->normalised) {
        for (int64_t i = 0; i < a->N * a->C; i++) dz[i] *= a->out[i] > 0;
        return dz;
    }
    for (int64_t i = 0; i < a->N * a->C; i++) dz[i] *= after[i] > 0; /* dz is 0 already where a value was dropped */
    return norm_backward(&n->norm[l], dz);
}

static void net_backward(net *n) {
    affine *last = &n->affine[n->layers - 1];
    last->dout = room(n->N * last->C);
    n->loss = (n->svm ? svm_loss : softmax_loss)(n->N, last->C, last->out, n->label, last->dout);
    for (int l = n->layers - 1; l >= 0; l--) {
        affine *a = &n->affine[l];
        affine_backward(a);
        for (int64_t i = 0; i < a->D * a->C; i++) {
            n->loss += 0.5 * n->decay * a->w[i] * a->w[i];
            a->dw[i] += n->decay * a->w[i];
        }
        if (l) n->affine[l - 1].dout = activation_backward(n, l - 1, a->dx);
    }
    n->dx = n->affine[0].dx;
}

enum { EACH = 4 }; /* parameters of a layer: w, b, gamma, beta */

static ag_tensor *net_of(const net *n, ag_tensor *x, ag_tensor *p[]) {
    ag_tensor *loss = ag_zeros(tape, AG_F64, AG_SCALAR);
    for (int l = 0; l < n->layers; l++) {
        const affine *a = &n->affine[l];
        ag_tensor **q = p + EACH * l;
        q[0] = parameter_of(AG_SHAPE(a->D, a->C), a->w);
        q[1] = parameter_of(AG_SHAPE(a->C), a->b);
        q[2] = parameter_of(AG_SHAPE(a->C), n->norm[l].gamma);
        q[3] = parameter_of(AG_SHAPE(a->C), n->norm[l].beta);
        x = ag_add(ag_matmul(x, q[0]), q[1]);
        loss = ag_add(loss, ag_scale(ag_sum(ag_square(q[0])), 0.5 * n->decay));
        if (l == n->layers - 1) break;
        if (n->normalised) x = norm_of(x, &n->norm[l], q[2], q[3]);
        x = ag_mul(ag_relu(x), constant_of(AG_SHAPE(a->N, a->C), n->kept[l]));
    }
    ag_tensor *y = ag_from(tape, AG_I64, AG_SHAPE(n->N), n->label);
    return ag_add(loss, n->svm ? ag_hinge(x, y) : ag_cross_entropy(x, y));
}

static void expect_net(net *n) {
    ag_tensor *p[EACH * MOST_LAYERS + 1], *d[EACH * MOST_LAYERS + 1];
    ag_tensor *x = constant_of(AG_SHAPE(n->N, n->width[0]), n->x), *loss = net_of(n, x, p);
    int inputs = EACH * n->layers;
    p[inputs] = x;
    net_forward(n);
    net_backward(n);
    ck_assert_int_eq(ag_grad(loss, inputs + 1, p, d), AG_OK);
    expect_closed_of(loss, 1, &n->loss, 1);
    for (int l = 0; l < n->layers; l++) {
        const affine *a = &n->affine[l];
        expect_closed_of(d[EACH * l], a->D * a->C, a->dw, 10);
        expect_closed_of(d[EACH * l + 1], a->C, a->db, 10);
        if (!n->normalised || l == n->layers - 1) continue;
        expect_closed_of(d[EACH * l + 2], a->C, n->norm[l].dgamma, 10);
        expect_closed_of(d[EACH * l + 3], a->C, n->norm[l].dbeta, 10);
    }
    expect_closed_of(d[inputs], n->N * n->width[0], n->dx, 10);
}

static void two_layers_case(void) {
    net n;
    choose_net(&n, 2);
    expect_net(&n);
}

static void many_layers_case(void) {
    net n;
    choose_net(&n, (int)whole(3, MOST_LAYERS));
    expect_net(&n);
}

START_TEST(a_two_layer_network) { in_random_cases(CASES, two_layers_case); }
END_TEST

START_TEST(a_many_layer_network) { in_random_cases(CASES, many_layers_case); }
END_TEST

/* ---- The layers of nn/ are these ---- */

static void dropout_case(void) {
    int64_t N = whole(2, 8), C = whole(2, 8);
    double p = between(0.1, 0.8), *x = values(N * C, 1, 2), *g = values(N * C, -1, 1), *dx = room(N * C);
    ag_tensor *in = constant_of(AG_SHAPE(N, C), x), *out = ag_dropout(in, p, true), *d;
    const double *y = ag_data(out);
    for (int64_t i = 0; i < N * C; i++) { /* the cache of dropout is the mask of kept values */
        ck_assert(y[i] == 0 || fabs(y[i] * (1 - p) - x[i]) < 1e-12);
        dx[i] = y[i] != 0 ? g[i] / (1 - p) : 0;
    }
    pull_back(out, constant_of(AG_SHAPE(N, C), g), 1, &in, &d);
    expect_closed_strictly(d, N * C, dx);
}

START_TEST(dropout_hands_back_what_it_kept) { in_random_cases(CASES, dropout_case); }
END_TEST

/* ---- Optimisers: five steps on the gradient of ½·Σ a·(p − q)², in plain loops and by nn/ ---- */

enum { N_P = 6, STEPS = 5 };

typedef struct descent {
    double *a, *q, *p, *m, *v, *g;
    double rate, momentum, beta1, beta2, epsilon, decay;
} descent;

static descent any_descent(void) {
    descent s = {.rate = between(0.01, 0.3), .momentum = between(0, 0.95), .epsilon = 1e-8};
    s.beta1 = between(0.5, 0.95), s.beta2 = between(0.8, 0.999), s.decay = coin() ? 0 : between(0, 0.2);
    s.a = values(N_P, 0.2, 2), s.q = values(N_P, -1, 1), s.p = values(N_P, -1, 1);
    s.m = room(N_P), s.v = room(N_P), s.g = room(N_P);
    return s;
}

static ag_tensor *bowl_gradient(const descent *s, ag_tensor *p) {
    ag_tensor *a = constant_of(AG_SHAPE(N_P), s->a), *q = constant_of(AG_SHAPE(N_P), s->q), *dp;
    ag_grad(ag_scale(ag_sum(ag_mul(a, ag_square(ag_sub(p, q)))), 0.5), 1, &p, &dp);
    return dp;
}

static void sgd_by_hand(descent *s) {
    for (int i = 0; i < N_P; i++) {
        s->v[i] = s->momentum * s->v[i] + s->a[i] * (s->p[i] - s->q[i]) + s->decay * s->p[i];
        s->p[i] -= s->rate * s->v[i];
    }
}

static void rmsprop_by_hand(descent *s) {
    for (int i = 0; i < N_P; i++) {
        double g = s->a[i] * (s->p[i] - s->q[i]) + s->decay * s->p[i];
        s->v[i] = s->beta2 * s->v[i] + (1 - s->beta2) * g * g;
        s->m[i] = s->momentum * s->m[i] + g / (sqrt(s->v[i]) + s->epsilon);
        s->p[i] -= s->rate * s->m[i];
    }
}

static void adam_by_hand(descent *s, int t) {
    for (int i = 0; i < N_P; i++) {
        double g = s->a[i] * (s->p[i] - s->q[i]);
        s->m[i] = s->beta1 * s->m[i] + (1 - s->beta1) * g;
        s->v[i] = s->beta2 * s->v[i] + (1 - s->beta2) * g * g;
        double m = s->m[i] / (1 - pow(s->beta1, t)), v = s->v[i] / (1 - pow(s->beta2, t));
        s->p[i] -= s->rate * (m / (sqrt(v) + s->epsilon) + s->decay * s->p[i]);
    }
}

static void sgd_case(void) {
    descent s = any_descent();
    ag_tensor *p = parameter_of(AG_SHAPE(N_P), s.p);
    ag_slot slot;
    ag_sgd sgd;
    if (coin()) s.momentum = 0;
    ag_sgd_init(&sgd, 1, &p, &slot, s.rate, s.momentum);
    sgd.decay = s.decay;
    for (int t = 1; t <= STEPS; t++) {
        ag_tensor *dp = bowl_gradient(&s, p);
        ag_sgd_step(&sgd, &dp);
        sgd_by_hand(&s);
        expect_closed_of(p, N_P, s.p, 1);
    }
}

static void rmsprop_case(void) {
    descent s = any_descent();
    ag_tensor *p = parameter_of(AG_SHAPE(N_P), s.p);
    ag_slot slot;
    ag_rmsprop rmsprop;
    ag_rmsprop_init(&rmsprop, 1, &p, &slot);
    if (coin()) s.momentum = 0;
    rmsprop.rate = s.rate, rmsprop.beta = s.beta2, rmsprop.epsilon = s.epsilon;
    rmsprop.momentum = s.momentum, rmsprop.decay = s.decay;
    for (int t = 1; t <= STEPS; t++) {
        ag_tensor *dp = bowl_gradient(&s, p);
        ag_rmsprop_step(&rmsprop, &dp);
        rmsprop_by_hand(&s);
        expect_closed_of(p, N_P, s.p, 1);
    }
}

static void adam_case(void) {
    descent s = any_descent();
    ag_tensor *p = parameter_of(AG_SHAPE(N_P), s.p);
    ag_slot slot;
    ag_adam adam;
    ag_adam_init(&adam, 1, &p, &slot);
    adam.rate = s.rate, adam.beta1 = s.beta1, adam.beta2 = s.beta2, adam.epsilon = s.epsilon, adam.decay = s.decay;
    for (int t = 1; t <= STEPS; t++) {
        ag_tensor *dp = bowl_gradient(&s, p);
        ag_adam_step(&adam, &dp);
        adam_by_hand(&s, t);
        expect_closed_of(p, N_P, s.p, 1);
    }
}

START_TEST(sgd_and_momentum) { in_random_cases(CASES, sgd_case); }
END_TEST

START_TEST(rmsprop) { in_random_cases(CASES, rmsprop_case); }
END_TEST

START_TEST(adam) { in_random_cases(CASES, adam_case); }
END_TEST

int main(void) {
    Suite *suite = suite_create("systems 3");
    TCase *layers = tape_group(suite, "layers");
    tcase_add_test(layers, affine_and_affine_relu);
    tcase_add_test(layers, softmax_and_svm_loss);
    tcase_add_test(layers, softmax_loss_is_safe_for_any_scores);
    tcase_add_test(layers, batchnorm_and_layer_norm_in_the_one_line_form);
    tcase_add_test(layers, dropout_hands_back_what_it_kept);
    TCase *networks = tape_group(suite, "networks");
    tcase_add_test(networks, a_two_layer_network);
    tcase_add_test(networks, a_many_layer_network);
    TCase *optimisers = tape_group(suite, "optimisers");
    tcase_add_test(optimisers, sgd_and_momentum);
    tcase_add_test(optimisers, rmsprop);
    tcase_add_test(optimisers, adam);
    return run_suite(suite);
}
