/* activations -- sigmoid, tanh and relu: gradients derived by hand, beside those of the engine
 *
 *     activations [OUTDIR]
 *
 * docs/learn/1-activations.md has the derivations. A is the activation of Z, and dA is the gradient dL/dA that comes
 * from the rest of a network; dZ is wanted. With OUTDIR, it writes a picture of the three and their slopes there. */
#include <autograd/autograd.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "examples/plot.h"
#include "examples/show.h"

enum { N = 5, GRID = 161 };

static const double z[N] = {-2, -0.5, 0, 0.5, 2}, da[N] = {1, -2, 3, 0.5, -1};

/* dL/dx for an x that A depends on: the cotangent dA pulled back to x. */
static ag_tensor *gradient_at(ag_tensor *x, ag_tensor *A, ag_tensor *dA) {
    ag_tensor *dx;
    ag_vjp(1, &A, &dA, 1, &x, &dx, AG_STRICT);
    return dx;
}

/* The recorded expression of a gradient, made by the engine. */
static void show_formula(ag_tensor *dZ) { printf("recorded: %s\n", ag_formula(dZ, NULL)); }

static void sigmoid(ag_tensor *Z, ag_tensor *dA) {
    double a[N], first[N], second[N];
    for (int i = 0; i < N; i++) {
        a[i] = 1 / (1 + exp(-z[i]));
        first[i] = da[i] * (a[i] - a[i] * a[i]);
        second[i] = da[i] * a[i] * (1 - a[i]);
    }
    show_part("Sigmoid");
    ag_tensor *A = ag_label(ag_sigmoid(Z), "A"), *dZ = gradient_at(Z, A, dA);
    show("A", A, a);
    show("dA·(A − A·A)", dZ, first);
    show("dA·A·(1 − A)", dZ, second);
    show_formula(dZ);
}

/* The same function in four steps. The gradient at each step can be asked for. */
static void sigmoid_in_steps(ag_tensor *Z, ag_tensor *dA) {
    double ds[N], de[N], dm[N], dz[N];
    for (int i = 0; i < N; i++) {
        double e = exp(-z[i]), s = 1 + e;
        ds[i] = da[i] * -1 / (s * s); /* A = 1/S */
        de[i] = ds[i] * 1;            /* S = 1 + E */
        dm[i] = de[i] * e;            /* E = e^M */
        dz[i] = dm[i] * -1;           /* M = −Z */
    }
    show_part("Sigmoid, step by step");
    ag_tensor *M = ag_label(ag_neg(Z), "M"), *E = ag_label(ag_exp(M), "E"), *S = ag_label(ag_add_scalar(E, 1), "S");
    ag_tensor *A = ag_label(ag_rdiv_scalar(1, S), "A"), *dZ = gradient_at(Z, A, dA);
    show("dS = −dA/S²", gradient_at(S, A, dA), ds);
    show("dE = dS", gradient_at(E, A, dA), de);
    show("dM = dE·E", gradient_at(M, A, dA), dm);
    show("dZ = −dM", dZ, dz);
    show_formula(dZ);
}

/* U = e^Z and D = e^−Z; A = P/Q with P = U − D and Q = U + D. */
static void tanh_in_steps(ag_tensor *Z, ag_tensor *dA) {
    double a[N], dp[N], dq[N], du[N], dd[N], dz[N];
    for (int i = 0; i < N; i++) {
        double u = exp(z[i]), d = exp(-z[i]), p = u - d, q = u + d;
        a[i] = p / q;
        dp[i] = da[i] / q;
        dq[i] = -da[i] * p / (q * q);
        du[i] = dp[i] + dq[i];  /* U is used twice, in P and in Q */
        dd[i] = -dp[i] + dq[i]; /* so is D */
        dz[i] = da[i] * (1 - a[i] * a[i]);
    }
    show_part("Tanh, step by step");
    ag_tensor *U = ag_label(ag_exp(Z), "U"), *D = ag_label(ag_exp(ag_neg(Z)), "D");
    ag_tensor *P = ag_label(ag_sub(U, D), "P"), *Q = ag_label(ag_add(U, D), "Q"), *A = ag_label(ag_div(P, Q), "A");
    show("A = P/Q", A, a);
    show("dP = dA/Q", gradient_at(P, A, dA), dp);
    show("dQ = −dA·P/Q²", gradient_at(Q, A, dA), dq);
    show("dU = dP + dQ", gradient_at(U, A, dA), du);
    show("dD = −dP + dQ", gradient_at(D, A, dA), dd);
    show("dA·(1 − A·A)", gradient_at(Z, A, dA), dz);
    show_part("Tanh, as one operation");
    A = ag_label(ag_tanh(Z), "A");
    show("dA·(1 − A·A)", gradient_at(Z, A, dA), dz);
    show_formula(gradient_at(Z, A, dA));
    printf("\n== Why U has the gradient that it has\n");
    puts(ag_explain(ag_label(ag_div(P, Q), "A"), U, &(ag_explain_options){.cotangent = dA}));
}

static void relu(ag_tensor *Z, ag_tensor *dA) {
    double a[N], dz[N];
    for (int i = 0; i < N; i++) {
        a[i] = z[i] > 0 ? z[i] : 0;
        dz[i] = da[i] * (z[i] > 0);
    }
    show_part("Relu");
    ag_tensor *A = ag_label(ag_relu(Z), "A");
    show("A", A, a);
    show("dA·(Z > 0)", gradient_at(Z, A, dA), dz);
    show_formula(gradient_at(Z, A, dA));
}

/* The functions and their slopes, both as the engine computes them. */
static bool draw(ag_tape *tape, const char *folder) {
    static ag_tensor *(*const f[])(ag_tensor *) = {(ag_sigmoid), (ag_tanh), (ag_relu)};
    static const char *const name[] = {"sigmoid", "tanh", "relu"};
    char path[4096];
    plot_line value[3], slope[3];
    ag_tensor *x = ag_add_scalar(ag_scale(ag_arange(tape, AG_F64, GRID), 8.0 / (GRID - 1)), -4), *dx;
    for (int i = 0; i < 3; i++) {
        ag_tensor *y = f[i](x);
        ag_grad(ag_sum(y), 1, &x, &dx);
        value[i] = (plot_line){name[i], GRID, ag_data(x), ag_data(y)};
        slope[i] = (plot_line){name[i], GRID, ag_data(x), ag_data(dx)};
    }
    plot_panel panels[] = {
        {.title = "A = f(Z)", .x_label = "Z", .low = -1.5, .high = 2.5, .lines = 3, .line = value},
        {.title = "dA/dZ, from the graph", .x_label = "Z", .low = -0.25, .high = 1.25, .lines = 3, .line = slope},
    };
    snprintf(path, sizeof path, "%s/activations.svg", folder);
    return ag_tape_status(tape) == AG_OK && plot_write(path, "Activations and their slopes", 2, panels);
}

int main(int count, char *arguments[]) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *Z = ag_label(ag_from(tape, AG_F64, AG_SHAPE(N), z), "Z");
    ag_tensor *dA = ag_label(ag_from(tape, AG_F64, AG_SHAPE(N), da), "dA");
    sigmoid(Z, dA);
    sigmoid_in_steps(Z, dA);
    tanh_in_steps(Z, dA);
    relu(Z, dA);
    if (count > 1) show_fact(draw(tape, arguments[1]), "\nA picture was written");
    int result = show_result(tape);
    ag_tape_free(tape);
    return result;
}
