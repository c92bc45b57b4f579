/* plots -- three pictures: why backpropagation scales, and why deep networks of sigmoids do not learn
 *
 *     plots [OUTDIR]
 *
 * cost.svg      the cost of all derivatives of a network, against the number of its parameters: by finite differences, by
 *               one chain of factors for each weight, and by one backward sweep; counted in recorded operations
 * seconds.svg   the same in seconds, on this machine
 * vanishing.svg the norm of each layer's gradient, with and without batch normalisation
 *
 * docs/learn/4-network.md shows and explains them. */
#define _POSIX_C_SOURCE 200809L /* mkdir */
#include <autograd/autograd.h>
#include <errno.h>
#include <math.h>
#include <nn/nn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "examples/plot.h"
#include "examples/show.h"

/* ---- A network of L layers of eight neurons, for one sample: a column ---- */

enum { WIDTH = 8, MOST_LAYERS = 32, EACH = WIDTH * WIDTH + WIDTH, MOST = MOST_LAYERS * EACH };

typedef struct net {
    int layers;
    double w[MOST_LAYERS][WIDTH * WIDTH], b[MOST_LAYERS][WIDTH];
    ag_tensor *p[2 * MOST_LAYERS], *a[MOST_LAYERS + 1], *y; /* p: weight and bias of each layer */
} net;

static net make_net(ag_tape *tape, int layers) {
    net n = {.layers = layers};
    for (int l = 0; l < layers; l++) {
        memcpy(n.w[l], ag_data(ag_normal(tape, AG_F64, AG_SHAPE(WIDTH * WIDTH), 0, 1)), sizeof n.w[l]);
        memcpy(n.b[l], ag_data(ag_normal(tape, AG_F64, AG_SHAPE(WIDTH), 0, 1)), sizeof n.b[l]);
        n.p[2 * l] = ag_from(tape, AG_F64, AG_SHAPE(WIDTH, WIDTH), n.w[l]);
        n.p[2 * l + 1] = ag_from(tape, AG_F64, AG_SHAPE(WIDTH, 1), n.b[l]);
    }
    n.a[0] = ag_normal(tape, AG_F64, AG_SHAPE(WIDTH, 1), 0, 1);
    n.y = ag_zeros(tape, AG_F64, AG_SHAPE(WIDTH, 1));
    return n;
}

static ag_tensor *cost_of(net *n) {
    for (int l = 0; l < n->layers; l++) n->a[l + 1] = ag_tanh(ag_add(ag_matmul(n->p[2 * l], n->a[l]), n->p[2 * l + 1]));
    return ag_scale(ag_sum(ag_square(ag_sub(n->a[n->layers], n->y))), 0.5);
}

/* Each of these writes the derivative by every parameter (layer by layer, weights and then biases) to d. */

static void by_backward(net *n, double *d) {
    ag_tensor *dp[2 * MOST_LAYERS];
    ag_grad(cost_of(n), 2 * n->layers, n->p, dp);
    for (int i = 0; i < 2 * n->layers; i++) {
        memcpy(d, ag_data(dp[i]), (size_t)ag_size(dp[i]) * sizeof *d);
        d += ag_size(dp[i]);
    }
}

/* Central differences: two costs for each parameter. */
static void by_differences(net *n, double *d) {
    const double h = 1e-5;
    ag_tape *tape = ag_tape_of(n->y);
    for (int l = 0; l < n->layers; l++)
        for (int i = 0; i < EACH; i++) {
            bool weight = i < WIDTH * WIDTH;
            double *p = weight ? &n->w[l][i] : &n->b[l][i - WIDTH * WIDTH], value = *p, cost[2];
            ag_tensor **place = &n->p[2 * l + !weight], *former = *place;
            for (int side = 0; side < 2; side++) {
                *p = value + (side ? h : -h);
                *place = ag_from(tape, AG_F64, ag_shape_of(former), weight ? n->w[l] : n->b[l]);
                cost[side] = ag_item(cost_of(n));
            }
            *p = value, *place = former;
            *d++ = (cost[1] - cost[0]) / (2 * h);
        }
}

/* dC/dw = (a_L − y)·…·W_{l+1}·σ'(z_l)·a_{l−1}: for each parameter the product along its way up, from the right. */
static void by_chains(net *n, double *d) {
    ag_tape *tape = ag_tape_of(n->y);
    ag_tensor *slope[MOST_LAYERS], *C = cost_of(n), *off = ag_sub(n->a[n->layers], n->y), *chain[EACH];
    for (int l = 0; l < n->layers; l++) slope[l] = ag_rsub_scalar(1, ag_square(n->a[l + 1]));
    ag_eval(C);
    for (int l = 0; l < n->layers; l++, d += EACH) {
        for (int i = 0; i < EACH; i++) {
            int row = i < WIDTH * WIDTH ? i / WIDTH : i - WIDTH * WIDTH;
            ag_tensor *one = ag_ones(tape, AG_F64, AG_SHAPE(1, 1));
            ag_tensor *dz =
                ag_embed(i < WIDTH * WIDTH ? ag_slice(n->a[l], 0, i % WIDTH, i % WIDTH + 1, 1) : one, 0, WIDTH, row, 1);
            ag_tensor *da = ag_mul(slope[l], dz);
            for (int k = l + 1; k < n->layers; k++) da = ag_mul(slope[k], ag_matmul(n->p[2 * k], da));
            chain[i] = ag_sum(ag_mul(off, da));
        }
        ag_eval_all(EACH, chain);
        for (int i = 0; i < EACH; i++) d[i] = ag_item(chain[i]);
    }
}

/* ---- The cost of each ---- */

enum { WAYS = 3, SIZES = 6 };

typedef void way(net *n, double *d);

static way *const ways[WAYS] = {by_differences, by_chains, by_backward};
static const char *const names[WAYS] = {"finite differences", "a chain per weight", "backward"};

typedef struct costs {
    double parameters[SIZES], operations[WAYS][SIZES], seconds[WAYS][SIZES];
} costs;

static double now(void) {
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool close_to(int count, const double *a, const double *b, double tolerance) {
    double worst = 0, scale = 0;
    for (int i = 0; i < count; i++) {
        worst = fmax(worst, fabs(a[i] - b[i]));
        scale = fmax(scale, fabs(b[i]));
    }
    return worst <= tolerance * scale;
}

/* The least of three times, each from the same position of the tape. */
static void measure_way(costs *c, int s, int w, net *n, double *d) {
    ag_tape *tape = ag_tape_of(n->y);
    ag_mark mark = ag_tape_mark(tape);
    int64_t before = ag_tape_memory(tape).nodes;
    c->seconds[w][s] = INFINITY;
    for (int i = 0; i < 3; i++, ag_tape_rewind(tape, mark)) {
        double start = now();
        ways[w](n, d);
        c->seconds[w][s] = fmin(c->seconds[w][s], now() - start);
        c->operations[w][s] = (double)(ag_tape_memory(tape).nodes - before);
    }
}

static int forward_operations(net *n) {
    ag_tape *tape = ag_tape_of(n->y);
    ag_mark mark = ag_tape_mark(tape);
    int64_t before = ag_tape_memory(tape).nodes;
    cost_of(n);
    int64_t operations = ag_tape_memory(tape).nodes - before;
    ag_tape_rewind(tape, mark);
    return (int)operations;
}

static costs measure(ag_tape *tape) {
    static double d[WAYS][MOST];
    costs c;
    bool equal = true, close = true;
    printf("\n== The cost of all derivatives, in operations recorded\n");
    printf("parameters   forward alone   %s   %s   %s\n", names[0], names[1], names[2]);
    for (int s = 0; s < SIZES; s++) {
        ag_mark mark = ag_tape_mark(tape);
        net n = make_net(tape, 1 << s);
        int count = n.layers * EACH, forward = forward_operations(&n);
        c.parameters[s] = count;
        for (int w = 0; w < WAYS; w++) measure_way(&c, s, w, &n, d[w]);
        close = close && close_to(count, d[0], d[2], 1e-6);
        equal = equal && close_to(count, d[1], d[2], 1e-10);
        printf("%10d   %13d   %18.0f   %18.0f   %8.0f\n", count, forward, c.operations[0][s], c.operations[1][s],
               c.operations[2][s]);
        ag_tape_rewind(tape, mark);
    }
    show_fact(close, "Differences and backward agree to 1e-6");
    show_fact(equal, "Chains and backward agree to 1e-10");
    return c;
}

/* ---- Gradients and depth ---- */

enum { DEPTH = 20, NEURONS = 32, SAMPLES = 64, FUNCTIONS = 3 };

static ag_tensor *(*const functions[FUNCTIONS])(ag_tensor *) = {(ag_sigmoid), (ag_tanh), (ag_relu)};
static const char *const function_names[FUNCTIONS] = {"sigmoid", "tanh", "relu"};

/* The norm of dC/dW of each of 20 layers with fresh weights, for a cost of the last layer's output. */
static void layer_norms(ag_tape *tape, int function, bool normalised, double norm[DEPTH]) {
    ag_linear layer[DEPTH];
    ag_batchnorm batchnorm[DEPTH];
    ag_tensor *W[DEPTH], *dW[DEPTH];
    ag_tape_seed(tape, 1);
    ag_tensor *a = ag_normal(tape, AG_F64, AG_SHAPE(SAMPLES, NEURONS), 0, 1);
    for (int l = 0; l < DEPTH; l++) {
        ag_linear_init(&layer[l], tape, AG_F64, NEURONS, NEURONS);
        ag_batchnorm_init(&batchnorm[l], tape, AG_F64, NEURONS);
        W[l] = layer[l].weight;
        a = ag_linear_apply(&layer[l], a);
        if (normalised) a = ag_batchnorm_apply(&batchnorm[l], a, true);
        a = functions[function](a);
    }
    ag_tensor *target = ag_uniform(tape, AG_F64, AG_SHAPE(SAMPLES, NEURONS), 0, 1);
    ag_grad(ag_mse(a, target), DEPTH, W, dW);
    for (int l = 0; l < DEPTH; l++) norm[l] = sqrt(ag_item(ag_sum(ag_square(dW[l]))));
}

static bool draw_norms(ag_tape *tape, const char *folder) {
    static double at[DEPTH], norm[2][FUNCTIONS][DEPTH];
    plot_line line[2][FUNCTIONS];
    char path[4096];
    printf("\n== The norm of a layer's gradient\n");
    printf("                           first    tenth    twentieth\n");
    for (int l = 0; l < DEPTH; l++) at[l] = l + 1;
    for (int k = 0; k < 2 * FUNCTIONS; k++) {
        int f = k % FUNCTIONS;
        double *v = norm[k / FUNCTIONS][f];
        ag_mark mark = ag_tape_mark(tape);
        layer_norms(tape, f, k / FUNCTIONS, v);
        ag_tape_rewind(tape, mark);
        line[k / FUNCTIONS][f] = (plot_line){function_names[f], DEPTH, at, v};
        printf("%-8s%-15s%9.0e%9.0e%9.0e\n", function_names[f], k / FUNCTIONS ? "with batchnorm" : "", v[0], v[9],
               v[DEPTH - 1]);
    }
    plot_panel panels[] = {
        {.title = "Without batch normalisation", .x_label = "layer", .logarithmic = true, .lines = 3, .line = line[0]},
        {.title = "With batch normalisation", .x_label = "layer", .logarithmic = true, .lines = 3, .line = line[1]},
    };
    for (int i = 0; i < 2; i++) panels[i].low = 1e-13, panels[i].high = 10;
    snprintf(path, sizeof path, "%s/vanishing.svg", folder);
    show_fact(norm[0][0][0] < 1e-6 * norm[0][0][DEPTH - 1], "Through sigmoids the gradient vanishes");
    show_fact(norm[1][2][0] > 1e-2 * norm[1][2][DEPTH - 1], "Through normalised relus it does not");
    return plot_write(path, "Norm of each layer's gradient, 20 layers", 2, panels);
}

static bool draw_costs(const char *folder, const char *name, const char *title, costs *c, double (*cost)[SIZES]) {
    plot_line line[WAYS];
    char path[4096];
    for (int w = 0; w < WAYS; w++) line[w] = (plot_line){names[w], SIZES, c->parameters, cost[w]};
    plot_panel panel = {.title = title, .x_label = "parameters", .lines = WAYS, .line = line};
    panel.logarithmic = panel.logarithmic_x = true;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return plot_write(path, "The cost of all derivatives", 1, &panel);
}

int main(int count, char *arguments[]) {
    const char *folder = count > 1 ? arguments[1] : ".";
    ag_tape *tape = ag_tape_new();
    ag_tape_set_threads(tape, 1);
    costs c = measure(tape);
    bool made = mkdir(folder, 0777) == 0 || errno == EEXIST;
    made = made && draw_norms(tape, folder) &&
           draw_costs(folder, "cost.svg", "operations recorded", &c, c.operations) &&
           draw_costs(folder, "seconds.svg", "seconds", &c, c.seconds);
    show_fact(made, "\nThe pictures were written");
    int result = show_result(tape);
    ag_tape_free(tape);
    return result;
}
