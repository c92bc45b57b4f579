/* classifier -- a binary classifier, derived by hand and by the engine, and then trained on two moons
 *
 *     classifier [OUTDIR]
 *
 * docs/learn/5-classifier.md has the derivations. Columns are the m samples, W_l is destination × source, Z_l =
 * W_l·A_{l−1} + B_l. The small network is 2-3-3-1, of sigmoids only; the larger one 2-16-16-16-1, of tanh. Both are
 * tested on moons that they have not seen; moons.svg shows where they draw the line. */
#define _POSIX_C_SOURCE 200809L /* mkdir */
#include <autograd/autograd.h>
#include <errno.h>
#include <math.h>
#include <nn/nn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "examples/data.h"
#include "examples/plot.h"
#include "examples/show.h"

/* ---- The model ---- */

enum { MOST_LAYERS = 4 };

typedef struct network {
    int layers;
    int64_t width[MOST_LAYERS + 1];
    ag_tensor *(*activation)(ag_tensor *);
    ag_tensor *parameter[2 * MOST_LAYERS]; /* W_1, B_1, W_2, … */
    ag_tensor *Z[MOST_LAYERS + 1], *A[MOST_LAYERS + 1];
} network;

static void initialise(network *n, ag_tape *tape) {
    for (int l = 0; l < n->layers; l++) {
        double bound = sqrt(6.0 / (double)n->width[l]);
        ag_tensor *W = ag_uniform(tape, AG_F64, AG_SHAPE(n->width[l + 1], n->width[l]), -bound, bound);
        n->parameter[2 * l] = ag_parameter_from(W);
        n->parameter[2 * l + 1] = ag_parameter_from(ag_zeros(tape, AG_F64, AG_SHAPE(n->width[l + 1], 1)));
    }
}

/* Leaves every Z_l and A_l in n; returns the last Z, (1,m). The last activation is a sigmoid: a probability. */
static ag_tensor *forward(network *n, ag_tensor *X) {
    n->A[0] = X;
    for (int l = 1; l <= n->layers; l++) {
        n->Z[l] = ag_add(ag_matmul(n->parameter[2 * l - 2], n->A[l - 1]), n->parameter[2 * l - 1]);
        n->A[l] = l == n->layers ? ag_sigmoid(n->Z[l]) : n->activation(n->Z[l]);
    }
    return n->Z[n->layers];
}

/* ---- Its gradients, by hand: dZ3 = A3 − Y, and then layer by layer ---- */

/* The cost has a mean over m: the engine's dZ and dA have the factor 1/m, which derivations by hand often leave out
 * until dW and dB. */
static void by_hand(ag_tape *tape) {
    enum { m = 4, MOST = 3 * m };
    const double x[2 * m] = {0.5, -1, 0.3, 1.1, 0.8, 0.2, -0.7, -0.4}, y[m] = {1, 0, 0, 1};
    network n = {.layers = 3, .width = {2, 3, 3, 1}, .activation = (ag_sigmoid)};
    ag_tape_seed(tape, 4);
    initialise(&n, tape);
    ag_tensor *X = ag_from(tape, AG_F64, AG_SHAPE(2, m), x), *Y = ag_from(tape, AG_F64, AG_SHAPE(1, m), y);
    ag_tensor *J = ag_binary_cross_entropy(forward(&n, X), Y);
    double dA[MOST], dZ[MOST], dW[9], dB[3];
    show_part("2-3-3-1: dZ = A − Y, and all that follows");
    for (int l = 3; l >= 1; l--) {
        int rows = (int)n.width[l], below = (int)n.width[l - 1];
        const double *A = ag_data(n.A[l]), *before = ag_data(n.A[l - 1]), *W = ag_data(n.parameter[2 * l - 2]);
        for (int i = 0; i < rows * m; i++) dZ[i] = l == 3 ? A[i] - y[i] : dA[i] * A[i] * (1 - A[i]);
        memset(dW, 0, sizeof dW), memset(dB, 0, sizeof dB), memset(dA, 0, sizeof dA);
        for (int i = 0; i < rows; i++)
            for (int s = 0; s < m; s++) {
                dB[i] += dZ[i * m + s] / m;
                for (int k = 0; k < below; k++) {
                    dW[i * below + k] += dZ[i * m + s] * before[k * m + s] / m;
                    dA[k * m + s] += W[i * below + k] * dZ[i * m + s];
                }
            }
        ag_tensor *at[] = {n.Z[l], n.parameter[2 * l - 2], n.parameter[2 * l - 1], n.A[l - 1]}, *d[4];
        char name[4][24];
        for (int i = 0; i < 4; i++)
            snprintf(name[i], sizeof name[i], "%s%d", (const char *[]){"dZ", "dW", "dB", "dA"}[i], l - i / 3);
        ag_grad(J, 4, at, d);
        show(name[0], ag_scale(d[0], m), dZ);
        show(name[1], d[1], dW);
        show(name[2], ag_transpose(d[2], 0, 1), dB);
        show(l == 1 ? "dX, if asked for" : name[3], ag_scale(d[3], m), dA);
    }
}

/* ---- Two moons ---- */

enum { TRAINING = 300, HELD_OUT = 1000, GRID = 72 };

typedef struct moons {
    double x[2 * HELD_OUT], y[HELD_OUT]; /* columns */
    bool kind[HELD_OUT];
} moons;

/* Two half circles, one below the other and shifted, with normal noise; every other sample is of the second. */
static void generate(ag_tape *tape, moons *d, int64_t m) {
    const double *angle = ag_data(ag_uniform(tape, AG_F64, AG_SHAPE(m), 0, acos(-1)));
    const double *noise = ag_data(ag_normal(tape, AG_F64, AG_SHAPE(2 * m), 0, 0.15));
    for (int64_t i = 0; i < m; i++) {
        d->kind[i] = i % 2;
        d->y[i] = d->kind[i];
        d->x[i] = (d->kind[i] ? 1 - cos(angle[i]) : cos(angle[i])) + noise[i];
        d->x[m + i] = (d->kind[i] ? 0.5 - sin(angle[i]) : sin(angle[i])) + noise[m + i];
    }
}

static double accuracy(network *n, ag_tape *tape, const moons *d, int64_t m) {
    ag_tensor *Z = forward(n, ag_from(tape, AG_F64, AG_SHAPE(2, m), d->x)), *zero = ag_scalar(tape, AG_F64, 0);
    ag_tensor *right = ag_equal(ag_cast(ag_greater(Z, zero), AG_F64), ag_from(tape, AG_F64, AG_SHAPE(1, m), d->y));
    return ag_item(ag_mean(ag_cast(right, AG_F64)));
}

/* Steps of Adam on all samples at once; returns the held-out accuracy. */
static double train(network *n, ag_tape *tape, const moons *training, const moons *held_out, int steps, double rate) {
    ag_slot slots[2 * MOST_LAYERS];
    ag_adam adam;
    initialise(n, tape);
    ag_adam_init(&adam, 2 * n->layers, n->parameter, slots);
    ag_tensor *X = ag_from(tape, AG_F64, AG_SHAPE(2, TRAINING), training->x);
    ag_tensor *Y = ag_from(tape, AG_F64, AG_SHAPE(1, TRAINING), training->y);
    ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i <= steps && ag_tape_status(tape) == AG_OK; i++, ag_tape_rewind(tape, mark)) {
        ag_tensor *J = ag_binary_cross_entropy(forward(n, X), Y), *d[2 * MOST_LAYERS];
        if (i % (steps / 4) == 0) printf("step %4d   cost %.3f\n", i, ag_item(J));
        ag_grad(J, 2 * n->layers, n->parameter, d);
        adam.rate = rate * (1 - (double)i / (steps + 1));
        ag_adam_step(&adam, d);
        ag_eval(J);
    }
    double score = accuracy(n, tape, held_out, HELD_OUT);
    printf("training   %.1f %%\nheld out   %.1f %%\n", 100 * accuracy(n, tape, training, TRAINING), 100 * score);
    return score;
}

/* A map of the probability of the second moon over the plane, and the training samples. */
static plot_map map_of(network *n, ag_tape *tape, const moons *training, double value[GRID * GRID]) {
    plot_map m = {.x_low = -1.6, .x_high = 2.6, .y_low = -1.2, .y_high = 1.6, .rows = GRID, .columns = GRID};
    static double x[2 * GRID * GRID];
    for (int i = 0; i < GRID * GRID; i++) {
        x[i] = m.x_low + (i % GRID + 0.5) / GRID * (m.x_high - m.x_low);
        x[GRID * GRID + i] = m.y_low + (i / GRID + 0.5) / GRID * (m.y_high - m.y_low);
    }
    ag_tensor *Z = forward(n, ag_from(tape, AG_F64, AG_SHAPE(2, GRID * GRID), x));
    const double *p = ag_data(ag_sigmoid(Z));
    if (p) memcpy(value, p, GRID * GRID * sizeof *value);
    m.value = value, m.points = TRAINING, m.x = training->x, m.y = training->x + TRAINING, m.kind = training->kind;
    return m;
}

static bool draw(const char *folder, const plot_map map[2]) {
    char path[4096];
    plot_panel panels[] = {{.title = "2-3-3-1, sigmoid", .x_label = "x", .map = &map[0]},
                           {.title = "2-16-16-16-1, tanh", .x_label = "x", .map = &map[1]}};
    snprintf(path, sizeof path, "%s/moons.svg", folder);
    return (mkdir(folder, 0777) == 0 || errno == EEXIST) &&
           plot_write(path, "Two moons: what two networks make of them", 2, panels);
}

int main(int count, char *arguments[]) {
    static moons training, held_out;
    static double value[2][GRID * GRID];
    plot_map map[2];
    ag_tape *tape = ag_tape_new();
    ag_tape_set_threads(tape, 1); /* the matrices are small */
    by_hand(tape);
    ag_tape_seed(tape, 1);
    generate(tape, &training, TRAINING);
    generate(tape, &held_out, HELD_OUT);
    network net[] = {{.layers = 3, .width = {2, 3, 3, 1}, .activation = (ag_sigmoid)},
                     {.layers = 4, .width = {2, 16, 16, 16, 1}, .activation = (ag_tanh)}};
    for (int i = 0; i < 2; i++) {
        printf("\n== %s\n", i ? "Training 2-16-16-16-1" : "Training 2-3-3-1");
        double score = train(&net[i], tape, &training, &held_out, i ? 400 : 2000, i ? 0.02 : 0.1);
        show_fact(score >= 0.98, "At least 98 % of the held-out moons are told apart");
        map[i] = map_of(&net[i], tape, &training, value[i]);
    }
    if (count > 1) show_fact(draw(arguments[1], map), "\nA picture was written");
    int result = show_result(tape);
    ag_tape_free(tape);
    return result;
}
