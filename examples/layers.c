/* layers -- layers with caches, as pairs of a forward and a backward function, beside the engine, which needs no caches
 *
 * docs/learn/3-layers.md has the derivations. N samples as rows, D features in, C scores out. Each backward takes
 * the gradient at its layer's output, and the values that its forward has kept. */
#include <autograd/autograd.h>
#include <math.h>
#include <nn/nn.h>
#include <stdio.h>
#include <string.h>

#include "examples/show.h"

enum { N = 3, D1 = 2, D2 = 2, D = D1 * D2, C = 3 };

static const double x[N * D] = {0.5, -1, 0.3, 0.8, 1, 0.2, -0.7, -0.4, -0.6, 0.9, 0.1, 1.2};
static const double w[D * C] = {0.8, -0.4, 0.3, 1.2, -0.6, 0.7, -0.9, 0.5, 0.2, 0.4, 1.1, -0.3},
                          b[C] = {0.1, -0.2, 0.3};
static const int64_t labels[N] = {2, 0, 1};

/* ---- The pairs, by hand ---- */

/* Keeps x and w. */
static void affine_forward(double out[N * C]) {
    for (int i = 0; i < N * C; i++) {
        out[i] = b[i % C];
        for (int k = 0; k < D; k++) out[i] += x[i / C * D + k] * w[k * C + i % C];
    }
}

/* dx = dout·wᵀ, dw = xᵀ·dout, db = Σ_N dout */
static void affine_backward(const double dout[N * C], double dx[N * D], double dw[D * C], double db[C]) {
    memset(dx, 0, N * D * sizeof *dx);
    memset(dw, 0, D * C * sizeof *dw);
    memset(db, 0, C * sizeof *db);
    for (int i = 0; i < N * C; i++) {
        db[i % C] += dout[i];
        for (int k = 0; k < D; k++) {
            dx[i / C * D + k] += dout[i] * w[k * C + i % C];
            dw[k * C + i % C] += x[i / C * D + k] * dout[i];
        }
    }
}

/* Keeps which scores were positive. */
static void relu_forward(const double in[N * C], double out[N * C]) {
    for (int i = 0; i < N * C; i++) out[i] = in[i] > 0 ? in[i] : 0;
}

static void relu_backward(const double in[N * C], const double dout[N * C], double din[N * C]) {
    for (int i = 0; i < N * C; i++) din[i] = in[i] > 0 ? dout[i] : 0;
}

/* The mean over the samples of ln Σ_j e^(s_j) − s_y; the largest score is subtracted first, so that no e^s
 * overflows. */
static double softmax_loss(const double s[N * C], double ds[N * C]) {
    double loss = 0;
    for (int i = 0; i < N; i++) {
        const double *row = s + i * C;
        double most = fmax(row[0], fmax(row[1], row[2])), sum = 0;
        for (int j = 0; j < C; j++) sum += exp(row[j] - most);
        loss += (log(sum) + most - row[labels[i]]) / N;
        for (int j = 0; j < C; j++) ds[i * C + j] = (exp(row[j] - most) / sum - (j == labels[i])) / N;
    }
    return loss;
}

/* The mean over the samples of Σ_{j≠y} max(0, s_j − s_y + 1). */
static double svm_loss(const double s[N * C], double ds[N * C]) {
    double loss = 0;
    memset(ds, 0, N * C * sizeof *ds);
    for (int i = 0; i < N * C; i++) {
        int64_t right = i / C * C + labels[i / C];
        double margin = s[i] - s[right] + 1;
        if (i == right || margin <= 0) continue;
        loss += margin / N;
        ds[i] += 1.0 / N;
        ds[right] -= 1.0 / N;
    }
    return loss;
}

/* ---- Each pair beside the engine, which needs the forward only ---- */

static ag_tensor *flat(ag_tensor *t) { return ag_reshape(t, AG_SHAPE(N, -1)); }

int main(void) {
    double scores[N * C], after[N * C], ds[N * C], dout[N * C], dx[N * D], dw[D * C], db[C], loss;
    ag_tape *tape = ag_tape_new();
    ag_tensor *X = ag_from(tape, AG_F64, AG_SHAPE(N, D1, D2), x), *W = ag_from(tape, AG_F64, AG_SHAPE(D, C), w);
    ag_tensor *B = ag_from(tape, AG_F64, AG_SHAPE(C), b), *y = ag_from(tape, AG_I64, AG_SHAPE(N), labels);
    ag_tensor *Z = ag_add(ag_matmul(flat(X), W), B), *A = ag_relu(Z), *at[] = {X, W, B, Z, A}, *d[5];

    affine_forward(scores);
    relu_forward(scores, after);
    show_part("Affine, then relu: forward");
    show("x·w + b", Z, scores);
    show("relu", A, after);

    ag_tensor *softmax = ag_cross_entropy(A, y), *svm = ag_hinge(A, y);
    loss = softmax_loss(after, ds);
    relu_backward(scores, ds, dout);
    affine_backward(dout, dx, dw, db);
    ag_grad(softmax, 5, at, d);
    show_part("Softmax loss, and all the way back");
    show("loss", softmax, &loss);
    show("at the scores", d[4], ds);
    show("before relu", d[3], dout);
    show("dx", flat(d[0]), dx);
    show("dw", d[1], dw);
    show("db", d[2], db);
    show_fact(ag_rank(d[0]) == 3 && ag_extent(d[0], 1) == D1, "dx has the shape of x, (3,2,2)");

    loss = svm_loss(after, ds);
    relu_backward(scores, ds, dout);
    affine_backward(dout, dx, dw, db);
    ag_grad(svm, 5, at, d);
    show_part("SVM loss, and all the way back");
    show("loss", svm, &loss);
    show("at the scores", d[4], ds);
    show("dx", flat(d[0]), dx);
    show("dw", d[1], dw);
    show("db", d[2], db);

    int result = show_result(tape);
    ag_tape_free(tape);
    return result;
}
