/* network -- the mathematics of a network: the smallest one, the four equations, Jacobians, paths, and training
 *
 * docs/learn/4-network.md has the derivations. W_l is destination × source and samples are columns: z_l = W_l·a_{l−1} + b_l,
 * a_l = σ(z_l), and the cost of n samples is C = 1/(2n)·Σ ‖a_L − y‖². δ_l is the gradient at z_l. */
#include <autograd/autograd.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "examples/show.h"

static double sigmoid(double z) { return 1 / (1 + exp(-z)); }

static double slope(double z) { return sigmoid(z) * (1 - sigmoid(z)); }

static ag_tensor *matrix(ag_tape *tape, int64_t m, int64_t n, const double *values) {
    return ag_parameter(tape, AG_F64, AG_SHAPE(m, n), values);
}

/* y = a·b of (m,k) and (k,n), or with a transposed. */
static void multiply(int m, int k, int n, const double *a, bool transposed, const double *b, double *y) {
    memset(y, 0, (size_t)(m * n) * sizeof *y);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++)
            for (int l = 0; l < k; l++) y[i * n + j] += (transposed ? a[l * m + i] : a[i * k + l]) * b[l * n + j];
}

/* ---- Two layers of one neuron ---- */

static void smallest(ag_tape *tape) {
    const double x = 0.8, y = 1, w1 = 0.5, b1 = 0.1, w2 = -1.5, b2 = 0.3;
    double z1 = w1 * x + b1, a1 = sigmoid(z1), z2 = w2 * a1 + b2, a2 = sigmoid(z2);
    double dz2 = (a2 - y) * slope(z2), dz1 = dz2 * w2 * slope(z1), dw2 = dz2 * a1, dw1 = dz1 * x;

    ag_tensor *p[4], *d[4];
    for (int i = 0; i < 4; i++) p[i] = ag_parameter(tape, AG_F64, AG_SCALAR, (const double[]){w1, b1, w2, b2} + i);
    ag_tensor *A1 = ag_sigmoid(ag_add(ag_scale(p[0], x), p[1])), *A2 = ag_sigmoid(ag_add(ag_mul(p[2], A1), p[3]));
    ag_tensor *C = ag_scale(ag_square(ag_add_scalar(A2, -y)), 0.5);
    ag_grad(C, 4, p, d);
    show_part("The smallest network");
    show("dC/dw2", d[2], &dw2);
    show("dC/db2", d[3], &dz2);
    show("dC/dw1", d[0], &dw1);
    show("dC/db1", d[1], &dz1);
}

/* ---- 2-3-2, with four samples ---- */

enum { L = 2, IN = 2, HIDDEN = 3, OUT = 2, SAMPLES = 4 };

static const double x[IN * SAMPLES] = {0.5, -1, 0.3, 0.9, 1, 0.2, -0.7, -0.4},
                           y[OUT * SAMPLES] = {1, 0, 0, 1, 0, 1, 1, 0};
static const double w1[HIDDEN * IN] = {0.8, -0.4, 0.3, 1.2, -0.6, 0.7},
                                w2[OUT * HIDDEN] = {1, -0.9, 0.4, -0.2, 0.6, 1.1};
static const double bias1[HIDDEN] = {0.1, -0.2, 0.05}, bias2[OUT] = {-0.1, 0.2};

typedef struct layers {
    ag_tensor *a0, *W1, *b1, *z1, *a1, *W2, *b2, *z2, *a2, *C;
} layers;

static layers record(ag_tape *tape, int64_t n, const double *in, const double *target) {
    layers t = {.a0 = ag_from(tape, AG_F64, AG_SHAPE(IN, n), in)};
    t.W1 = matrix(tape, HIDDEN, IN, w1), t.b1 = matrix(tape, HIDDEN, 1, bias1);
    t.W2 = matrix(tape, OUT, HIDDEN, w2), t.b2 = matrix(tape, OUT, 1, bias2);
    t.z1 = ag_add(ag_matmul(t.W1, t.a0), t.b1);
    t.a1 = ag_sigmoid(t.z1);
    t.z2 = ag_add(ag_matmul(t.W2, t.a1), t.b2);
    t.a2 = ag_sigmoid(t.z2);
    ag_tensor *off = ag_sub(t.a2, ag_from(tape, AG_F64, AG_SHAPE(OUT, n), target));
    t.C = ag_scale(ag_sum(ag_square(off)), 1 / (2 * (double)n));
    return t;
}

static void activate(int m, int n, double *z, const double *bias, double *a) {
    for (int i = 0; i < m * n; i++) a[i] = sigmoid(z[i] += bias[i / n]);
}

/* ∂C/∂b = δ and ∂C/∂W = δ·aᵀ, summed over the samples. */
static void weights_by_hand(int m, int k, int n, const double *delta, const double *a, double *dW, double *db) {
    memset(dW, 0, (size_t)(m * k) * sizeof *dW);
    memset(db, 0, (size_t)m * sizeof *db);
    for (int i = 0; i < m; i++)
        for (int s = 0; s < n; s++) {
            db[i] += delta[i * n + s];
            for (int j = 0; j < k; j++) dW[i * k + j] += delta[i * n + s] * a[j * n + s];
        }
}

static void four_equations(ag_tape *tape) {
    enum { n = SAMPLES };
    double z1[HIDDEN * n], a1[HIDDEN * n], z2[OUT * n], a2[OUT * n], d1[HIDDEN * n], d2[OUT * n];
    double dW1[HIDDEN * IN], db1[HIDDEN], dW2[OUT * HIDDEN], db2[OUT];
    multiply(HIDDEN, IN, n, w1, false, x, z1);
    activate(HIDDEN, n, z1, bias1, a1);
    multiply(OUT, HIDDEN, n, w2, false, a1, z2);
    activate(OUT, n, z2, bias2, a2);
    for (int i = 0; i < OUT * n; i++) d2[i] = (a2[i] - y[i]) / n * slope(z2[i]); /* δ_L = ∇_a C ⊙ σ'(z_L) */
    multiply(HIDDEN, OUT, n, w2, true, d2, d1);                                  /* δ_l = W_{l+1}ᵀ·δ_{l+1} … */
    for (int i = 0; i < HIDDEN * n; i++) d1[i] *= slope(z1[i]);                  /* … ⊙ σ'(z_l) */
    weights_by_hand(OUT, HIDDEN, n, d2, a1, dW2, db2);
    weights_by_hand(HIDDEN, IN, n, d1, x, dW1, db1);

    layers t = record(tape, n, x, y);
    ag_tensor *at[] = {t.z2, t.b2, t.W2, t.z1, t.b1, t.W1}, *d[6];
    ag_grad(t.C, 6, at, d);
    show_part("The four equations");
    show("δ2", d[0], d2);
    show("δ1", d[3], d1);
    show("∂C/∂b2", ag_transpose(d[1], 0, 1), db2);
    show("∂C/∂b1", ag_transpose(d[4], 0, 1), db1);
    show("∂C/∂W2", d[2], dW2);
    show("∂C/∂W1", d[5], dW1);
}

/* ---- The chain rule: a product of Jacobians, and a sum over paths ---- */

static void jacobians(ag_tape *tape) {
    double z1[HIDDEN], a1[HIDDEN], z2[OUT], s1[HIDDEN * HIDDEN] = {0}, paths[OUT * IN] = {0};
    const double one[IN] = {0.5, 1};
    layers t = record(tape, 1, one, y);
    multiply(HIDDEN, IN, 1, w1, false, one, z1);
    activate(HIDDEN, 1, z1, bias1, a1);
    multiply(OUT, HIDDEN, 1, w2, false, a1, z2);
    for (int i = 0; i < OUT; i++) z2[i] += bias2[i];
    for (int i = 0; i < HIDDEN; i++) s1[i * HIDDEN + i] = slope(z1[i]);
    for (int i = 0; i < OUT; i++) /* from input j by way of neuron k to output i */
        for (int j = 0; j < IN; j++)
            for (int k = 0; k < HIDDEN; k++)
                paths[i * IN + j] += w1[k * IN + j] * slope(z1[k]) * w2[i * HIDDEN + k] * slope(z2[i]);

    ag_tensor *z1_a0 = ag_jacobian(t.z1, t.a0), *a1_z1 = ag_jacobian(t.a1, t.z1), *z2_a1 = ag_jacobian(t.z2, t.a1);
    ag_tensor *a2_z2 = ag_jacobian(t.a2, t.z2), *dC;
    ag_tensor *product = ag_matmul(ag_matmul(a2_z2, z2_a1), ag_matmul(a1_z1, z1_a0));
    show_part("Jacobians");
    show("dz1/da0 = W1", z1_a0, w1);
    show("da1/dz1", a1_z1, s1);
    show("da2/da0, product", product, paths);
    show("da2/da0, paths", ag_jacobian(t.a2, t.a0), paths);
    ag_grad(t.C, 1, &t.a0, &dC);
    show("dC/da0, one row", ag_jacobian(t.C, t.a0), ag_data(dC));
}

/* ---- Mini-batches and epochs: a network learns whether two numbers have the same sign ---- */

static void training(ag_tape *tape) {
    enum { ALL = 128, BATCH = 16, NEURONS = 6, EPOCHS = 400 };
    static double in[2 * ALL], out[ALL];
    const double rate = 6;
    ag_tape_seed(tape, 3);
    memcpy(in, ag_data(ag_uniform(tape, AG_F64, AG_SHAPE(2, ALL), -1, 1)), sizeof in);
    for (int i = 0; i < ALL; i++) out[i] = in[i] * in[ALL + i] > 0;
    ag_tensor *p[4] = {ag_parameter_from(ag_uniform(tape, AG_F64, AG_SHAPE(NEURONS, 2), -3, 3)),
                       ag_parameter_from(ag_uniform(tape, AG_F64, AG_SHAPE(NEURONS, 1), -1, 1)),
                       ag_parameter_from(ag_uniform(tape, AG_F64, AG_SHAPE(1, NEURONS), -1, 1)),
                       ag_parameter_from(ag_zeros(tape, AG_F64, AG_SHAPE(1, 1)))};
    ag_tensor *X = ag_from(tape, AG_F64, AG_SHAPE(2, ALL), in), *Y = ag_from(tape, AG_F64, AG_SHAPE(1, ALL), out);
    double cost = 1;
    printf("\n== Training\n");
    for (int epoch = 0; epoch <= EPOCHS; epoch++) {
        ag_mark mark = ag_tape_mark(tape);
        cost = 0;
        for (int i = 0; i < ALL; i += BATCH, ag_tape_rewind(tape, mark)) {
            ag_tensor *a = ag_slice(X, 1, i, i + BATCH, 1), *target = ag_slice(Y, 1, i, i + BATCH, 1), *d[4];
            for (int l = 0; l < 4; l += 2) a = ag_sigmoid(ag_add(ag_matmul(p[l], a), p[l + 1]));
            ag_tensor *C = ag_scale(ag_sum(ag_square(ag_sub(a, target))), 1.0 / (2 * BATCH));
            ag_grad(C, 4, p, d);
            for (int k = 0; k < 4; k++) ag_assign(p[k], ag_sub(p[k], ag_scale(d[k], rate))); /* θ ← θ − η·gradient */
            cost += ag_item(C) * BATCH / ALL;
        }
        if (epoch % (EPOCHS / 4) == 0) printf("epoch %3d   cost %.3f\n", epoch, cost);
    }
    show_fact(cost < 0.02, "It has learnt");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    smallest(tape);
    four_equations(tape);
    jacobians(tape);
    training(tape);
    int result = show_result(tape);
    ag_tape_free(tape);
    return result;
}
