/* test_systems_2 -- batch normalisation, with every intermediate gradient
 *
 * N samples, C features; Z, NZ, BZ are (N,C), M, V, BW, Bb (1,C). The closed forms are derived by hand, given dLdBZ.
 * In the graph each intermediate gradient is the cotangent at a recorded node; a single path's contribution is found
 * by stopping the others. */
#include "nn/nn.h"

#include <math.h>

#include "tests/closed.h"

enum { CASES = 60 };

/* ---- By hand ---- */

typedef struct by_hand {
    int64_t N, C;
    double eps;
    double *Z, *BW, *Bb, *dLdBZ;
    double *M, *V, *NZ, *BZ;
    double *dLdBW, *dLdBb, *dLdNZ, *dLdV, *dLdM_direct, *dLdM_by_V, *dLdM;
    double *dLdZ_direct, *dLdZ_by_V, *dLdZ_by_M, *dLdZ, *dLdZ_short;
    double sum_of_terms; /* of dLdM_by_V, had the deviations not cancelled */
} by_hand;

static void choose(by_hand *h) {
    h->N = whole(1, 24), h->C = whole(1, 7);
    h->eps = coin() ? 1e-5 : between(1e-3, 0.1);
    h->Z = values(h->N * h->C, -3, 3);
    for (int64_t i = 0; i < h->N * h->C; i++) h->Z[i] += (double)(i % h->C);
    h->BW = values(h->C, -2, 2);
    h->Bb = values(h->C, -2, 2);
    h->dLdBZ = values(h->N * h->C, -1, 1);
}

static void forward(by_hand *h) {
    int64_t N = h->N, C = h->C;
    h->M = room(C), h->V = room(C), h->NZ = room(N * C), h->BZ = room(N * C);
    for (int64_t i = 0; i < N * C; i++) h->M[i % C] += h->Z[i] / (double)N;
    for (int64_t i = 0; i < N * C; i++) h->V[i % C] += pow(h->Z[i] - h->M[i % C], 2) / (double)N;
    for (int64_t i = 0; i < N * C; i++) {
        h->NZ[i] = (h->Z[i] - h->M[i % C]) * pow(h->V[i % C] + h->eps, -0.5);
        h->BZ[i] = h->BW[i % C] * h->NZ[i] + h->Bb[i % C];
    }
}

static void backward(by_hand *h) {
    int64_t N = h->N, C = h->C;
    double n = (double)N, *deviations = room(C);
    h->dLdBW = room(C), h->dLdBb = room(C), h->dLdNZ = room(N * C), h->dLdV = room(C), h->dLdM = room(C);
    h->dLdM_direct = room(C), h->dLdM_by_V = room(C), h->dLdZ = room(N * C), h->dLdZ_short = room(N * C);
    h->dLdZ_direct = room(N * C), h->dLdZ_by_V = room(N * C), h->dLdZ_by_M = room(N * C);
    for (int64_t i = 0; i < N * C; i++) {
        int64_t c = i % C;
        double root = pow(h->V[c] + h->eps, -0.5), cube = pow(h->V[c] + h->eps, -1.5), deviation = h->Z[i] - h->M[c];
        h->dLdBW[c] += h->dLdBZ[i] * h->NZ[i];
        h->dLdBb[c] += h->dLdBZ[i];
        h->dLdNZ[i] = h->dLdBZ[i] * h->BW[c];
        h->dLdV[c] += -0.5 * h->dLdNZ[i] * deviation * cube;
        h->dLdM_direct[c] += -h->dLdNZ[i] * root;
        deviations[c] += deviation;
    }
    for (int64_t c = 0; c < C; c++) {
        h->dLdM_by_V[c] = h->dLdV[c] * (-2 / n * deviations[c]);
        h->dLdM[c] = h->dLdM_direct[c] + h->dLdM_by_V[c];
    }
    h->sum_of_terms = 0;
    for (int64_t i = 0; i < N * C; i++) {
        int64_t c = i % C;
        double sigma = sqrt(h->V[c] + h->eps), deviation = h->Z[i] - h->M[c];
        h->dLdZ_direct[i] = h->dLdNZ[i] / sigma;
        h->dLdZ_by_V[i] = h->dLdV[c] * 2 / n * deviation;
        h->dLdZ_by_M[i] = h->dLdM[c] / n;
        h->dLdZ[i] = h->dLdZ_direct[i] + h->dLdZ_by_V[i] + h->dLdZ_by_M[i];
        h->dLdZ_short[i] = h->BW[c] / (n * sigma) * (n * h->dLdBZ[i] - h->dLdBb[c] - h->NZ[i] * h->dLdBW[c]);
        h->sum_of_terms = fmax(h->sum_of_terms, fabs(h->dLdV[c]) * 2 * (fabs(h->Z[i]) + fabs(h->M[c])));
    }
}

/* ---- Recorded ---- */

typedef struct recorded {
    ag_tensor *Z, *M, *D, *V, *NZ, *BW, *Bb, *BZ, *dLdBZ;
} recorded;

static ag_tensor *mean_N(ag_tensor *x) { return ag_mean_over(x, AG_AXES(0), true); }

static ag_tensor *root_of(ag_tensor *V, double eps) { return ag_pow_scalar(ag_add_scalar(V, eps), -0.5); }

static recorded from_primitives(const by_hand *h) {
    recorded r = {.Z = constant_of(AG_SHAPE(h->N, h->C), h->Z), .dLdBZ = constant_of(AG_SHAPE(h->N, h->C), h->dLdBZ)};
    r.BW = constant_of(AG_SHAPE(h->C), h->BW);
    r.Bb = constant_of(AG_SHAPE(h->C), h->Bb);
    r.M = mean_N(r.Z);
    r.D = ag_sub(r.Z, r.M);
    r.V = mean_N(ag_square(r.D));
    r.NZ = ag_mul(r.D, root_of(r.V, h->eps));
    r.BZ = ag_add(ag_mul(r.BW, r.NZ), r.Bb);
    return r;
}

static recorded from_the_layer(const by_hand *h) {
    recorded r = {.Z = constant_of(AG_SHAPE(h->N, h->C), h->Z), .dLdBZ = constant_of(AG_SHAPE(h->N, h->C), h->dLdBZ)};
    ag_batchnorm layer;
    ag_batchnorm_nodes at;
    ag_batchnorm_init(&layer, tape, AG_F64, h->C);
    ag_set(layer.gamma, h->BW);
    ag_set(layer.beta, h->Bb);
    layer.epsilon = h->eps;
    r.BZ = ag_batchnorm_apply_nodes(&layer, r.Z, true, &at);
    r.M = at.mean, r.D = at.centred, r.V = at.variance, r.NZ = at.normalised, r.BW = layer.gamma, r.Bb = layer.beta;
    return r;
}

/* ---- Every intermediate gradient ---- */

static void expect_every_gradient(const by_hand *h, const recorded *r) {
    int64_t n = h->N * h->C;
    double scale = largest(n, h->dLdZ_direct);
    ag_tensor *at[] = {r->BW, r->Bb, r->NZ, r->V, r->M, r->Z}, *d[6], *second, *dLdZ[2];
    pull_back(r->BZ, r->dLdBZ, 6, at, d);
    expect_closed(r->M, h->C, h->M);
    expect_closed(r->V, h->C, h->V);
    expect_closed_of(r->NZ, n, h->NZ, 1);
    expect_closed_of(r->BZ, n, h->BZ, 1);
    expect_shape(d[0], AG_SHAPE(h->C));
    expect_shape(d[3], AG_SHAPE(1, h->C));
    expect_closed_of(d[0], h->C, h->dLdBW, 1);
    expect_closed_of(d[1], h->C, h->dLdBb, 1);
    expect_closed_strictly(d[2], n, h->dLdNZ);
    expect_closed_of(d[3], h->C, h->dLdV, fmax(h->sum_of_terms, scale));
    expect_closed_of(d[4], h->C, h->dLdM, scale);
    expect_closed_of(d[4], h->C, h->dLdM_direct, scale); /* as without the second path */
    expect_closed_of(d[5], n, h->dLdZ, scale);
    expect_closed_of(d[5], n, h->dLdZ_short, scale);
    pull_back(r->V, d[3], 1, &r->M, &second); /* the mean's second path */
    expect_zero(second, h->C, h->sum_of_terms);
    ck_assert_double_le(largest(h->C, h->dLdM_by_V), 1e-13 * h->sum_of_terms);
    pull_back(r->M, d[4], 1, &r->Z, &dLdZ[1]); /* one of the three paths of Z */
    expect_closed_of(dLdZ[1], n, h->dLdZ_by_M, scale);
}

static void every_gradient_case(void) {
    by_hand h;
    choose(&h);
    forward(&h);
    backward(&h);
    recorded of[] = {from_primitives(&h), from_the_layer(&h)};
    for (int i = 0; i < 2; i++) expect_every_gradient(&h, &of[i]);
}

START_TEST(every_intermediate_gradient) { in_random_cases(CASES, every_gradient_case); }
END_TEST

/* ---- Path by path ---- */

/* The mean acts directly (the variance held) and through the variance. */
static void two_paths_of_the_mean(const by_hand *h, const recorded *r) {
    ag_tensor *held = ag_stop_gradient(r->V), *NZ = ag_mul(r->D, root_of(held, h->eps)), *dLdNZ, *direct, *dLdV, *by_V,
              *both;
    pull_back(r->BZ, r->dLdBZ, 1, &r->NZ, &dLdNZ);
    pull_back(NZ, dLdNZ, 1, &r->M, &direct);
    pull_back(r->NZ, dLdNZ, 1, &r->V, &dLdV);
    pull_back(r->V, dLdV, 1, &r->M, &by_V);
    pull_back(r->BZ, r->dLdBZ, 1, &r->M, &both);
    double scale = largest(h->N * h->C, h->dLdZ_direct);
    expect_closed_of(direct, h->C, h->dLdM_direct, scale);
    expect_zero(by_V, h->C, h->sum_of_terms);
    expect_closed_of(ag_add(direct, by_V), h->C, h->dLdM, scale);
    expect_closed_of(both, h->C, ag_data(ag_add(direct, by_V)), scale);
}

/* Z acts directly (mean and variance held), through the variance (its mean held), and through the mean. */
static void three_paths_of_Z(const by_hand *h, const recorded *r) {
    ag_tensor *M = ag_stop_gradient(r->M), *V = ag_stop_gradient(r->V), *D = ag_sub(r->Z, M), *square = ag_square(D);
    ag_tensor *NZ = ag_mul(D, root_of(V, h->eps)), *at[] = {r->NZ, r->V, r->M}, *d[3], *path[3];
    pull_back(r->BZ, r->dLdBZ, 3, at, d);
    pull_back(NZ, d[0], 1, &r->Z, &path[0]);
    pull_back(mean_N(square), d[1], 1, &r->Z, &path[1]);
    pull_back(r->M, d[2], 1, &r->Z, &path[2]);
    int64_t n = h->N * h->C;
    double scale = largest(n, h->dLdZ_direct);
    expect_closed_strictly(path[0], n, h->dLdZ_direct);
    expect_closed_of(path[1], n, h->dLdZ_by_V, scale);
    expect_closed_of(path[2], n, h->dLdZ_by_M, scale);
    expect_closed_of(ag_add(ag_add(path[0], path[1]), path[2]), n, h->dLdZ, scale);
    expect_closed_of(ag_add(ag_add(path[0], path[1]), path[2]), n, h->dLdZ_short, scale);
}

static void paths_case(void) {
    by_hand h;
    choose(&h);
    forward(&h);
    backward(&h);
    recorded r = from_primitives(&h);
    two_paths_of_the_mean(&h, &r);
    three_paths_of_Z(&h, &r);
}

START_TEST(two_paths_of_the_mean_and_three_of_Z) { in_random_cases(CASES, paths_case); }
END_TEST

/* ---- dLdBZ is a parameter of backward because it comes from the rest of the network ---- */

static void upstream_case(void) {
    by_hand h;
    choose(&h);
    forward(&h);
    int64_t n = h.N * h.C;
    double *weight = values(n, -1, 1); /* L = Σ weight·tanh(BZ) */
    for (int64_t i = 0; i < n; i++) h.dLdBZ[i] = weight[i] * (1 - tanh(h.BZ[i]) * tanh(h.BZ[i]));
    backward(&h);
    recorded r = from_primitives(&h);
    ag_tensor *L = ag_sum(ag_mul(constant_of(AG_SHAPE(h.N, h.C), weight), ag_tanh(r.BZ)));
    ag_tensor *at[] = {r.BZ, r.BW, r.Z}, *d[3];
    ag_grad(L, 3, at, d);
    expect_closed_of(d[0], n, h.dLdBZ, 1);
    expect_closed_of(d[1], h.C, h.dLdBW, 1);
    expect_closed_of(d[2], n, h.dLdZ, fmax(1, largest(n, h.dLdZ_direct)));
}

START_TEST(the_cotangent_comes_from_the_loss) { in_random_cases(CASES, upstream_case); }
END_TEST

/* ---- Running statistics, and evaluation by them ---- */

static void evaluate(const by_hand *h, const ag_batchnorm *layer, const double *mean, const double *variance) {
    int64_t n = h->N * h->C;
    double *BZ = room(n), *dLdZ = room(n), *dLdBW = room(h->C), *dLdBb = room(h->C);
    for (int64_t i = 0; i < n; i++) {
        int64_t c = i % h->C;
        double sigma = sqrt(variance[c] + h->eps), NZ = (h->Z[i] - mean[c]) / sigma;
        BZ[i] = h->BW[c] * NZ + h->Bb[c];
        dLdZ[i] = h->dLdBZ[i] * h->BW[c] / sigma;
        dLdBW[c] += h->dLdBZ[i] * NZ;
        dLdBb[c] += h->dLdBZ[i];
    }
    ag_tensor *Z = constant_of(AG_SHAPE(h->N, h->C), h->Z), *g = constant_of(AG_SHAPE(h->N, h->C), h->dLdBZ);
    ag_tensor *y = ag_batchnorm_apply(layer, Z, false), *at[] = {Z, layer->gamma, layer->beta}, *d[3];
    pull_back(y, g, 3, at, d);
    expect_closed_of(y, n, BZ, 1);
    expect_closed_of(d[0], n, dLdZ, largest(n, dLdZ));
    expect_closed_of(d[1], h->C, dLdBW, 10);
    expect_closed_of(d[2], h->C, dLdBb, 1);
}

static void running_case(void) {
    by_hand h;
    choose(&h);
    double alpha = between(0.5, 0.99), *mean = room(h.C), *variance = room(h.C);
    ag_batchnorm layer;
    ag_batchnorm_init(&layer, tape, AG_F64, h.C);
    layer.epsilon = h.eps, layer.momentum = alpha;
    ag_set(layer.gamma, h.BW);
    ag_set(layer.beta, h.Bb);
    for (int64_t c = 0; c < h.C; c++) variance[c] = 1;
    ag_mark mark = ag_tape_mark(tape);
    for (int64_t step = whole(1, 5); step > 0; step--) {
        h.Z = values(h.N * h.C, -3, 3);
        forward(&h);
        for (int64_t c = 0; c < h.C; c++) {
            mean[c] = alpha * mean[c] + (1 - alpha) * h.M[c];
            variance[c] = alpha * variance[c] + (1 - alpha) * h.V[c];
        }
        ag_eval(ag_batchnorm_apply(&layer, constant_of(AG_SHAPE(h.N, h.C), h.Z), true));
        ag_tape_rewind(tape, mark);
        expect_closed_of(layer.running_mean, h.C, mean, 1);
        expect_closed_of(layer.running_var, h.C, variance, 1);
    }
    evaluate(&h, &layer, mean, variance);
    expect_closed_of(layer.running_mean, h.C, mean, 1); /* evaluation does not change them */
}

START_TEST(running_statistics_and_evaluation) { in_random_cases(CASES, running_case); }
END_TEST

int main(void) {
    Suite *suite = suite_create("systems 2");
    TCase *group = tape_group(suite, "batchnorm");
    tcase_add_test(group, every_intermediate_gradient);
    tcase_add_test(group, two_paths_of_the_mean_and_three_of_Z);
    tcase_add_test(group, the_cotangent_comes_from_the_loss);
    tcase_add_test(group, running_statistics_and_evaluation);
    return run_suite(suite);
}
