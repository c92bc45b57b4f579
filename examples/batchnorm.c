/* batchnorm -- batch normalisation from nine operations, and every intermediate gradient, beside those derived by hand
 *
 * docs/learn/2-batchnorm.md has the derivations. N samples as rows, C features; dLdBZ comes from the rest of a
 * network. No backward code is needed: each gradient is the cotangent at a recorded tensor. */
#include <autograd/autograd.h>
#include <math.h>
#include <nn/nn.h>
#include <stdio.h>

#include "examples/show.h"

enum { N = 4, C = 2, SIZE = N * C };

static const double EPS = 1e-5, ALPHA = 0.9;
static const double z[SIZE] = {1.1, -2.3, 3.2, 0.4, -0.9, 1.6, 2.1, 4.2}, bw[C] = {1.5, -0.5}, bb[C] = {0.25, 1},
                    g[SIZE] = {0.4, -1, 0.1, 0.6, -0.7, 0.2, 0.5, -0.3}; /* dLdBZ */

/* ---- By hand, sums over N written as loops over all elements, whose feature is c = i % C ---- */

typedef struct by_hand {
    double M[C], V[C], NZ[SIZE], BZ[SIZE];
    double dLdBW[C], dLdBb[C], dLdNZ[SIZE], dLdV[C], dLdM_direct[C], dLdM_by_V[C], dLdM[C];
    double direct[SIZE], by_V[SIZE], by_M[SIZE], dLdZ[SIZE], in_one_line[SIZE];
} by_hand;

static by_hand derive(void) {
    by_hand h = {0};
    double deviations[C] = {0};
    for (int i = 0; i < SIZE; i++) h.M[i % C] += z[i] / N;
    for (int i = 0; i < SIZE; i++) h.V[i % C] += (z[i] - h.M[i % C]) * (z[i] - h.M[i % C]) / N;
    for (int i = 0; i < SIZE; i++) {
        int c = i % C;
        h.NZ[i] = (z[i] - h.M[c]) * pow(h.V[c] + EPS, -0.5);
        h.BZ[i] = bw[c] * h.NZ[i] + bb[c];
        h.dLdBW[c] += g[i] * h.NZ[i];
        h.dLdBb[c] += g[i];
        h.dLdNZ[i] = g[i] * bw[c];
        h.dLdV[c] -= 0.5 * h.dLdNZ[i] * (z[i] - h.M[c]) * pow(h.V[c] + EPS, -1.5);
        h.dLdM_direct[c] -= h.dLdNZ[i] * pow(h.V[c] + EPS, -0.5);
        deviations[c] += z[i] - h.M[c];
    }
    for (int c = 0; c < C; c++) {
        h.dLdM_by_V[c] = h.dLdV[c] * -2 / N * deviations[c];
        h.dLdM[c] = h.dLdM_direct[c] + h.dLdM_by_V[c];
    }
    for (int i = 0; i < SIZE; i++) {
        int c = i % C;
        double sigma = sqrt(h.V[c] + EPS);
        h.direct[i] = h.dLdNZ[i] * pow(h.V[c] + EPS, -0.5);
        h.by_V[i] = h.dLdV[c] * 2 / N * (z[i] - h.M[c]);
        h.by_M[i] = h.dLdM[c] / N;
        h.dLdZ[i] = h.direct[i] + h.by_V[i] + h.by_M[i];
        h.in_one_line[i] = bw[c] / (N * sigma) * (N * g[i] - h.dLdBb[c] - h.NZ[i] * h.dLdBW[c]);
    }
    return h;
}

/* ---- Recorded ---- */

static ag_tensor *pulled_back(ag_tensor *y, ag_tensor *ybar, ag_tensor *x) {
    ag_tensor *dx;
    ag_vjp(1, &y, &ybar, 1, &x, &dx, AG_STRICT);
    return dx;
}

static ag_tensor *matrix(ag_tape *tape, const char *name, int64_t rows, const double *values) {
    return ag_label(ag_from(tape, AG_F64, AG_SHAPE(rows, C), values), name);
}

static ag_tensor *mean_N(ag_tensor *x) { return ag_mean_over(x, AG_AXES(0), true); }

/* D is Z − M. */
static ag_tensor *variance(ag_tensor *D) { return ag_label(mean_N(ag_square(D)), "V"); }

static ag_tensor *normalised(ag_tensor *D, ag_tensor *V) {
    return ag_label(ag_mul(D, ag_pow_scalar(ag_add_scalar(V, EPS), -0.5)), "NZ");
}

static void layer(ag_tape *tape, const by_hand *h) {
    ag_tensor *Z = matrix(tape, "Z", N, z), *dLdBZ = matrix(tape, "dLdBZ", N, g);
    ag_tensor *BW = matrix(tape, "BW", 1, bw), *Bb = matrix(tape, "Bb", 1, bb);

    show_part("Forward");
    ag_tensor *M = ag_label(mean_N(Z), "M");
    ag_tensor *D = ag_label(ag_sub(Z, M), "D");
    ag_tensor *V = variance(D), *NZ = normalised(D, V);
    ag_tensor *BZ = ag_label(ag_add(ag_mul(BW, NZ), Bb), "BZ");
    show("M", M, h->M);
    show("V", V, h->V);
    show("NZ", NZ, h->NZ);
    show("BZ", BZ, h->BZ);

    show_part("Every gradient");
    ag_tensor *x[] = {BW, Bb, NZ, V, M, Z}, *d[6];
    ag_vjp(1, &BZ, &dLdBZ, 6, x, d, AG_STRICT);
    show("dLdBW", d[0], h->dLdBW);
    show("dLdBb", d[1], h->dLdBb);
    show("dLdNZ", d[2], h->dLdNZ);
    show("dLdV", d[3], h->dLdV);
    show("dLdM", d[4], h->dLdM);
    show("dLdZ", d[5], h->dLdZ);
    show("  in one line", d[5], h->in_one_line);

    /* A single path: the tensors on the other paths are held constant. */
    show_part("The two paths of M");
    ag_tensor *held_M = ag_stop_gradient(M), *held_V = ag_stop_gradient(V);
    ag_tensor *direct = pulled_back(normalised(D, held_V), d[2], M), *by_V = pulled_back(V, d[3], M);
    show("directly", direct, h->dLdM_direct);
    show("through V", by_V, h->dLdM_by_V);
    show("their sum", ag_add(direct, by_V), h->dLdM);
    show_fact(ag_item(ag_max(ag_abs(by_V))) < 1e-15, "The second path is zero but for rounding");

    show_part("The three paths of Z");
    ag_tensor *apart = ag_sub(Z, held_M); /* as if the mean were a constant */
    ag_tensor *directly = pulled_back(normalised(apart, held_V), d[2], Z);
    ag_tensor *through_V = pulled_back(variance(apart), d[3], Z), *through_M = pulled_back(M, d[4], Z);
    show("directly", directly, h->direct);
    show("through V", through_V, h->by_V);
    show("through M", through_M, h->by_M);
    show("their sum", ag_add(ag_add(directly, through_V), through_M), h->dLdZ);

    ag_explain_options two = {.depth = 1, .cotangent = dLdBZ}, three = {.depth = 1, .values = -1, .cotangent = dLdBZ};
    printf("\n== What the library says about M\n%s\n", ag_explain(BZ, M, &two));
    printf("\n== What the library says about Z\n%s\n", ag_explain(BZ, Z, &three));
    printf("\n== The recorded gradient\ndLdM = %s\n", ag_formula(d[4], NULL));
}

/* The library's layer consists of the same operations, and keeps running statistics for evaluation. */
static void running(ag_tape *tape, const by_hand *h) {
    double mean[C], var[C], BZ[SIZE];
    ag_batchnorm norm;
    ag_batchnorm_init(&norm, tape, AG_F64, C);
    ag_set(norm.gamma, bw);
    ag_set(norm.beta, bb);
    norm.momentum = ALPHA;
    ag_tensor *Z = matrix(tape, "Z", N, z);
    for (int c = 0; c < C; c++) { /* they begin as 0 and 1 */
        mean[c] = ALPHA * 0 + (1 - ALPHA) * h->M[c];
        var[c] = ALPHA * 1 + (1 - ALPHA) * h->V[c];
    }
    for (int i = 0; i < SIZE; i++) BZ[i] = bw[i % C] * (z[i] - mean[i % C]) / sqrt(var[i % C] + EPS) + bb[i % C];
    show_part("Running statistics, and evaluation by them");
    show("BZ, training", ag_batchnorm_apply(&norm, Z, true), h->BZ);
    show("running mean", norm.running_mean, mean);
    show("running var.", norm.running_var, var);
    show("BZ, evaluation", ag_batchnorm_apply(&norm, Z, false), BZ);
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    by_hand h = derive();
    layer(tape, &h);
    running(tape, &h);
    int result = show_result(tape);
    ag_tape_free(tape);
    return result;
}
