/* test_systems_4 -- the mathematics of a network: forward, the four equations of backpropagation, Jacobians, paths,
 * mini-batches
 *
 * W_l is destination × source, samples are columns: z_l = W_l·a_{l−1} + b_l, a_l = σ(z_l), for l = 1 … L; a_0 = x. The cost of n
 * samples is C = 1/(2n)·Σ ‖a_L − y‖², and δ_l is the gradient at z_l. */
#include <math.h>
#include <string.h>

#include "tests/closed.h"

enum { CASES = 60, MOST = 5 };

static double sigmoid(double z) { return 1 / (1 + exp(-z)); }
static double sigmoid_slope(double z) { return sigmoid(z) * (1 - sigmoid(z)); }
static double tanh_slope(double z) { return 1 - tanh(z) * tanh(z); }

typedef struct net {
    int L;
    int64_t n, width[MOST + 1];
    double (*f)(double), (*slope)(double);
    ag_tensor *(*F)(ag_tensor *z);
    double *x, *y, *W[MOST + 1], *b[MOST + 1];                            /* chosen */
    double *z[MOST + 1], *a[MOST + 1], C;                                 /* forward */
    double *delta[MOST + 1], *dW[MOST + 1], *db[MOST + 1], *da0;          /* backward */
    ag_tensor *Wt[MOST + 1], *bt[MOST + 1], *zt[MOST + 1], *at[MOST + 1]; /* recorded */
} net;

static void choose(net *N, int L, int64_t n) {
    N->L = L, N->n = n;
    bool is_sigmoid = coin();
    N->f = is_sigmoid ? sigmoid : tanh;
    N->slope = is_sigmoid ? sigmoid_slope : tanh_slope;
    N->F = is_sigmoid ? (ag_sigmoid) : (ag_tanh);
    for (int l = 0; l <= L; l++) N->width[l] = whole(1, 5);
    for (int l = 1; l <= L; l++) {
        N->W[l] = values(N->width[l] * N->width[l - 1], -1.5, 1.5);
        N->b[l] = values(N->width[l], -1, 1);
    }
    N->x = values(N->width[0] * n, -1, 1);
    N->y = values(N->width[L] * n, 0, 1);
}

static void forward(net *N) {
    N->a[0] = N->x;
    for (int l = 1; l <= N->L; l++) {
        int64_t size = N->width[l] * N->n;
        N->z[l] = product(N->width[l], N->width[l - 1], N->n, N->W[l], N->a[l - 1]);
        for (int64_t i = 0; i < size; i++) N->z[l][i] += N->b[l][i / N->n];
        N->a[l] = map(size, N->f, N->z[l]);
    }
    N->C = 0;
    for (int64_t i = 0; i < N->width[N->L] * N->n; i++) N->C += pow(N->a[N->L][i] - N->y[i], 2) / (2 * (double)N->n);
}

static void backward(net *N) {
    for (int l = N->L; l >= 1; l--) {
        int64_t rows = N->width[l], size = rows * N->n;
        double *da = room(size);
        if (l == N->L) /* ∇_a C */
            for (int64_t i = 0; i < size; i++) da[i] = (N->a[l][i] - N->y[i]) / (double)N->n;
        else da = product(rows, N->width[l + 1], N->n, flipped(N->width[l + 1], rows, N->W[l + 1]), N->delta[l + 1]);
        N->delta[l] = hadamard(size, da, map(size, N->slope, N->z[l]));
        N->db[l] = row_sums(rows, N->n, N->delta[l]);
        N->dW[l] = product(rows, N->n, N->width[l - 1], N->delta[l], flipped(N->width[l - 1], N->n, N->a[l - 1]));
    }
    N->da0 = product(N->width[0], N->width[1], N->n, flipped(N->width[1], N->width[0], N->W[1]), N->delta[1]);
}

static ag_tensor *record(net *N, bool parameters) {
    N->at[0] = constant_of(AG_SHAPE(N->width[0], N->n), N->x);
    for (int l = 1; l <= N->L; l++) {
        ag_shape W = AG_SHAPE(N->width[l], N->width[l - 1]), b = AG_SHAPE(N->width[l], 1);
        N->Wt[l] = parameters ? parameter_of(W, N->W[l]) : constant_of(W, N->W[l]);
        N->bt[l] = parameters ? parameter_of(b, N->b[l]) : constant_of(b, N->b[l]);
        N->zt[l] = ag_add(ag_matmul(N->Wt[l], N->at[l - 1]), N->bt[l]);
        N->at[l] = N->F(N->zt[l]);
    }
    ag_tensor *y = constant_of(AG_SHAPE(N->width[N->L], N->n), N->y);
    return ag_scale(ag_sum(ag_square(ag_sub(N->at[N->L], y))), 1 / (2 * (double)N->n));
}

/* ---- Forward, and the four equations ---- */

static void equations_case(void) {
    net N;
    choose(&N, (int)whole(1, MOST), whole(1, 6));
    ag_tensor *C = record(&N, coin());
    forward(&N);
    backward(&N);
    expect_closed_strictly(C, 1, &N.C);
    for (int l = 1; l <= N.L; l++) {
        int64_t size = N.width[l] * N.n;
        ag_tensor *at[] = {N.zt[l], N.bt[l], N.Wt[l]}, *d[3];
        ag_grad(C, 3, at, d);
        expect_shape(d[0], AG_SHAPE(N.width[l], N.n));
        expect_closed_of(N.zt[l], size, N.z[l], 1);
        expect_closed_strictly(N.at[l], size, N.a[l]);
        expect_closed(d[0], size, N.delta[l]);
        expect_closed_of(d[1], N.width[l], N.db[l], largest(size, N.delta[l]));
        expect_closed_of(d[2], N.width[l] * N.width[l - 1], N.dW[l], largest(size, N.delta[l]));
    }
}

START_TEST(the_four_equations) { in_random_cases(2 * CASES, equations_case); }
END_TEST

/* Each equation with the graph's tensors: δ_{l+1} and a_{l−1} are recorded too. */
static void equations_of_the_graph_case(void) {
    net N;
    choose(&N, (int)whole(2, MOST), whole(1, 6));
    ag_tensor *C = record(&N, true), *delta[MOST + 1], *dC;
    forward(&N);
    ag_grad(C, N.L, N.zt + 1, delta + 1);
    ag_grad(C, 1, &N.at[N.L], &dC);
    for (int l = N.L; l >= 1; l--) {
        int64_t size = N.width[l] * N.n;
        ag_tensor *slope = constant_of(AG_SHAPE(N.width[l], N.n), map(size, N.slope, N.z[l]));
        ag_tensor *below = l == N.L ? dC : ag_matmul(ag_transpose(N.Wt[l + 1], 0, 1), delta[l + 1]);
        ag_tensor *dWb[2], *at[] = {N.Wt[l], N.bt[l]};
        ag_grad(C, 2, at, dWb);
        expect_closed(delta[l], size, ag_data(ag_mul(below, slope)));
        expect_closed(dWb[0], ag_size(dWb[0]), ag_data(ag_matmul(delta[l], ag_transpose(N.at[l - 1], 0, 1))));
        expect_closed(dWb[1], N.width[l], ag_data(ag_sum_over(delta[l], AG_AXES(1), true)));
    }
}

START_TEST(each_equation_between_recorded_tensors) { in_random_cases(CASES, equations_of_the_graph_case); }
END_TEST

/* ---- The smallest network ---- */

static void smallest_case(void) {
    double v[6]; /* x, y, w1, b1, w2, b2 */
    ag_tensor *t[6], *d[4];
    for (int i = 0; i < 6; i++) {
        v[i] = between(-2, 2);
        t[i] = constant_of(AG_SCALAR, &v[i]);
    }
    double z1 = v[2] * v[0] + v[3], a1 = sigmoid(z1), z2 = v[4] * a1 + v[5], a2 = sigmoid(z2);
    double last = (a2 - v[1]) * sigmoid_slope(z2), first = last * v[4] * sigmoid_slope(z1);
    double want[] = {first * v[0], first, last * a1, last}, cost = 0.5 * (a2 - v[1]) * (a2 - v[1]);
    ag_tensor *A1 = ag_sigmoid(ag_add(ag_mul(t[2], t[0]), t[3])), *A2 = ag_sigmoid(ag_add(ag_mul(t[4], A1), t[5]));
    ag_tensor *C = ag_scale(ag_square(ag_sub(A2, t[1])), 0.5);
    ag_grad(C, 4, t + 2, d);
    expect_closed_of(C, 1, &cost, 1);
    for (int i = 0; i < 4; i++) expect_closed_of(d[i], 1, &want[i], 0.1);
}

START_TEST(the_smallest_network) { in_random_cases(CASES, smallest_case); }
END_TEST

/* ---- Jacobians ---- */

/* Jacobians of one sample: W for a layer, a diagonal matrix for an activation, their product for the whole. */
static void jacobians_case(void) {
    net N;
    choose(&N, (int)whole(1, MOST), 1);
    ag_tensor *C = record(&N, false), *whole_J = ag_jacobian(N.at[N.L], N.at[0]), *gradient;
    double *chain = NULL;
    forward(&N);
    backward(&N);
    for (int l = 1; l <= N.L; l++) {
        int64_t m = N.width[l];
        double *slope = map(m, N.slope, N.z[l]), *diagonal = room(m * m);
        for (int64_t i = 0; i < m; i++) diagonal[i * m + i] = slope[i];
        expect_closed_strictly(ag_jacobian(N.zt[l], N.at[l - 1]), m * N.width[l - 1], N.W[l]);
        expect_closed_strictly(ag_jacobian(N.at[l], N.zt[l]), m * m, diagonal);
        double *both = product(m, m, N.width[l - 1], diagonal, N.W[l]);
        chain = chain ? product(m, N.width[l - 1], N.width[0], both, chain) : both;
    }
    expect_shape(whole_J, AG_SHAPE(N.width[N.L], N.width[0]));
    expect_closed(whole_J, N.width[N.L] * N.width[0], chain);
    ag_grad(C, 1, &N.at[0], &gradient);
    ag_tensor *row = ag_jacobian(C, N.at[0]); /* its transpose is the gradient */
    expect_shape(row, AG_SHAPE(1, N.width[0]));
    expect_same(ag_transpose(row, 0, 1), gradient);
    expect_closed(gradient, N.width[0], N.da0);
}

START_TEST(the_chain_rule_is_the_product_of_jacobians) { in_random_cases(CASES, jacobians_case); }
END_TEST

/* ---- The sum over all paths ---- */

/* Every path from neuron j of layer l to neuron k of the last: the product of w·σ' along it. */
static double paths_through_the_net(const net *N, int l, int64_t j, int64_t k, int64_t *count) {
    if (l == N->L) {
        *count += j == k;
        return j == k;
    }
    double sum = 0;
    for (int64_t i = 0; i < N->width[l + 1]; i++)
        sum +=
            N->W[l + 1][i * N->width[l] + j] * N->slope(N->z[l + 1][i]) * paths_through_the_net(N, l + 1, i, k, count);
    return sum;
}

static void net_paths_case(void) {
    net N;
    int64_t count = 0, all = 1;
    choose(&N, (int)whole(1, 4), 1);
    record(&N, false);
    forward(&N);
    int64_t m = N.width[N.L], n = N.width[0];
    double *J = room(m * n);
    for (int64_t i = 0; i < m * n; i++) J[i] = paths_through_the_net(&N, 0, i % n, i / n, &count);
    for (int l = 0; l <= N.L; l++) all *= N.width[l];
    ck_assert_int_eq(count, all);
    expect_closed(ag_jacobian(N.at[N.L], N.at[0]), m * n, J);
}

/* The same for a graph without layers: each number comes from two earlier ones, chosen at random. */
enum { NUMBERS = 12 };

typedef struct web {
    int from[NUMBERS][2];
    double partial[NUMBERS][2];
} web;

static double paths_through_the_web(const web *w, int from, int to) {
    if (from == to) return 1;
    if (to < 2) return 0;
    double sum = 0;
    for (int s = 0; s < 2; s++)
        if (w->from[to][s] >= from) sum += w->partial[to][s] * paths_through_the_web(w, from, w->from[to][s]);
    return sum;
}

static void web_paths_case(void) {
    web w;
    double v[NUMBERS] = {between(0.5, 1), between(-1, -0.5)};
    ag_tensor *t[NUMBERS] = {constant_of(AG_SCALAR, &v[0]), constant_of(AG_SCALAR, &v[1])};
    for (int k = 2; k < NUMBERS; k++) {
        int i = w.from[k][0] = (int)whole(0, k - 1), j = w.from[k][1] = (int)whole(0, k - 1);
        double a = v[i], b = v[j], e = exp(-b * b);
        switch (whole(0, 2)) {
        case 0: v[k] = a * b, w.partial[k][0] = b, w.partial[k][1] = a, t[k] = ag_mul(t[i], t[j]); break;
        case 1:
            v[k] = sin(a) - b, w.partial[k][0] = cos(a), w.partial[k][1] = -1, t[k] = ag_sub(ag_sin(t[i]), t[j]);
            break;
        default:
            v[k] = a * e, w.partial[k][0] = e, w.partial[k][1] = -2 * b * a * e;
            t[k] = ag_mul(t[i], ag_exp(ag_neg(ag_square(t[j]))));
        }
    }
    ag_tensor *d[NUMBERS];
    ag_grad(t[NUMBERS - 1], NUMBERS, t, d);
    for (int k = 0; k < NUMBERS; k++) {
        double want = paths_through_the_web(&w, k, NUMBERS - 1);
        expect_closed_of(d[k], 1, &want, 10);
    }
}

START_TEST(and_the_sum_over_all_paths) {
    in_random_cases(CASES, net_paths_case);
    in_random_cases(2 * CASES, web_paths_case);
}
END_TEST

/* ---- Why sigmoids are slow to learn ---- */

static void vanishing_case(void) {
    int depth = (int)whole(2, 30);
    double bound = 1, start = between(-1, 1);
    ag_tensor *a = constant_of(AG_SCALAR, &start), *first = NULL, *d;
    for (int l = 0; l < depth; l++) {
        double w = between(-1, 1), b = between(-2, 2);
        ag_tensor *z = ag_add_scalar(ag_scale(a, w), b);
        if (!first) first = z;
        else bound *= fabs(w);
        a = ag_sigmoid(z);
        bound /= 4; /* σ' ≤ ¼ */
    }
    ag_grad(a, 1, &first, &d);
    ck_assert_double_le(fabs(ag_item(d)), bound * (1 + 1e-12));
    ck_assert_double_gt(fabs(ag_item(d)), 0);
}

START_TEST(a_sigmoid_passes_on_a_quarter_at_most) {
    in_random_cases(CASES, vanishing_case);
    ag_tensor *z = constant_of(AG_SHAPE(3), (double[]){-1e-3, 0, 1e-3}), *d;
    ag_grad(ag_sum(ag_sigmoid(z)), 1, &z, &d);
    ck_assert_double_eq(ag_element(d, 1), 0.25);
    ck_assert_double_lt(ag_element(d, 0), 0.25);
}
END_TEST

/* ---- Mini-batches and epochs ---- */

/* The samples `first` … of N as a net of their own, with N's parameters. */
static net batch_of(const net *N, int64_t first, int64_t n) {
    net B = *N;
    B.n = n;
    B.x = room(N->width[0] * n), B.y = room(N->width[N->L] * n);
    for (int64_t i = 0; i < N->width[0] * n; i++) B.x[i] = N->x[i / n * N->n + first + i % n];
    for (int64_t i = 0; i < N->width[N->L] * n; i++) B.y[i] = N->y[i / n * N->n + first + i % n];
    return B;
}

static void batch_is_the_mean_case(void) {
    net N;
    choose(&N, (int)whole(1, 3), whole(2, 6));
    ag_tensor *C = record(&N, false), *dW, *sum = NULL, *one;
    ag_grad(C, 1, &N.Wt[1], &dW);
    for (int64_t i = 0; i < N.n; i++) {
        net S = batch_of(&N, i, 1);
        C = record(&S, false);
        ag_grad(C, 1, &S.Wt[1], &one);
        sum = sum ? ag_add(sum, one) : one;
    }
    expect_closed(dW, ag_size(dW), ag_data(ag_div_scalar(sum, (double)N.n)));
}

START_TEST(a_batch_has_the_mean_of_its_samples_gradients) { in_random_cases(CASES, batch_is_the_mean_case); }
END_TEST

static void step_by_hand(net *N, double rate) {
    forward(N);
    backward(N);
    for (int l = 1; l <= N->L; l++) {
        for (int64_t i = 0; i < N->width[l] * N->width[l - 1]; i++) N->W[l][i] -= rate * N->dW[l][i];
        for (int64_t i = 0; i < N->width[l]; i++) N->b[l][i] -= rate * N->db[l][i];
    }
}

static ag_tensor *cost_of(const net *B, ag_tensor *const W[], ag_tensor *const b[]) {
    ag_tensor *a = constant_of(AG_SHAPE(B->width[0], B->n), B->x),
              *y = constant_of(AG_SHAPE(B->width[B->L], B->n), B->y);
    for (int l = 1; l <= B->L; l++) a = B->F(ag_add(ag_matmul(W[l], a), b[l]));
    return ag_scale(ag_sum(ag_square(ag_sub(a, y))), 1 / (2 * (double)B->n));
}

/* Two epochs of mini-batches, the last one smaller; θ ← θ − η·(mean gradient of the batch). */
static void epochs_case(void) {
    net N;
    choose(&N, (int)whole(1, 3), whole(3, 7));
    record(&N, true);
    double rate = between(0.1, 1);
    int64_t size = whole(1, 3);
    for (int step = 0; step < 2 * (int)((N.n + size - 1) / size); step++) {
        int64_t first = step * size % ((N.n + size - 1) / size * size), n = first + size > N.n ? N.n - first : size;
        net B = batch_of(&N, first, n);
        ag_tensor *C = cost_of(&B, N.Wt, N.bt), *dW[MOST + 1], *db[MOST + 1];
        ag_grad(C, N.L, N.Wt + 1, dW + 1);
        ag_grad(C, N.L, N.bt + 1, db + 1);
        for (int l = 1; l <= N.L; l++) {
            ag_assign(N.Wt[l], ag_sub(N.Wt[l], ag_scale(dW[l], rate)));
            ag_assign(N.bt[l], ag_sub(N.bt[l], ag_scale(db[l], rate)));
        }
        step_by_hand(&B, rate); /* its W and b are those of N */
    }
    for (int l = 1; l <= N.L; l++) {
        expect_closed(N.Wt[l], N.width[l] * N.width[l - 1], N.W[l]);
        expect_closed(N.bt[l], N.width[l], N.b[l]);
    }
}

START_TEST(epochs_of_mini_batches) { in_random_cases(CASES, epochs_case); }
END_TEST

int main(void) {
    Suite *suite = suite_create("systems 4");
    TCase *group = tape_group(suite, "networks");
    tcase_add_test(group, the_four_equations);
    tcase_add_test(group, each_equation_between_recorded_tensors);
    tcase_add_test(group, the_smallest_network);
    tcase_add_test(group, the_chain_rule_is_the_product_of_jacobians);
    tcase_add_test(group, and_the_sum_over_all_paths);
    tcase_add_test(group, a_sigmoid_passes_on_a_quarter_at_most);
    tcase_add_test(group, a_batch_has_the_mean_of_its_samples_gradients);
    tcase_add_test(group, epochs_of_mini_batches);
    return run_suite(suite);
}
