/* rows_scalars -- programs of numbers and of very small tensors, each recorded anew
 *
 * The first four are functions of f64 scalars that ADOL-C differentiates as well: a determinant by minors, an ordinary
 * differential equation, a long chain. The last is the LSTM of a known collection of benchmarks, with weights that act
 * on each element, beside its objective alone. */
#include "bench.h"

#include "peer_adolc.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#ifdef __unix__
#include <dlfcn.h>
#endif

enum { SIDE = 7, COMPONENTS = 10, ODE_STEPS = 50, CHAIN = 100000, MOST_INPUTS = SIDE * SIDE };
static const double interval = 0.02;

/* size: numbers that it is a function of, operations of one recording, whether they are scalars */
enum { INPUTS, LENGTH, SCALARS };

static struct {
    ag_tape *tape;
    ag_mark mark;
    int n;
    ag_tensor *p[MOST_INPUTS]; /* scalars, or one vector of them */
    double x[MOST_INPUTS];
} s;

static ag_tensor *number(double x) { return ag_scalar(s.tape, AG_F64, x); }

/* ---- The determinant: along a row; bit j of `columns` says that column j is left ---- */

static ag_tensor *minor_of(int n, int along, unsigned columns) {
    ag_tensor *sum = NULL;
    bool negative = false;
    for (int j = 0; j < n; j++) {
        if (!(columns & 1u << j)) continue;
        ag_tensor *element = s.p[along * n + j];
        if (along + 1 == n) return element;
        ag_tensor *term = ag_mul(element, minor_of(n, along + 1, columns & ~(1u << j)));
        sum = !sum ? term : negative ? ag_sub(sum, term) : ag_add(sum, term);
        negative = !negative;
    }
    return sum;
}

static ag_tensor *determinant(void) { return minor_of(SIDE, 0, (1u << SIDE) - 1); }

/* ---- The equation, by scalars: y'ᵢ = xᵢ·yᵢ₋₁, and y'₀ = x₀ ---- */

typedef struct state {
    ag_tensor *y[COMPONENTS];
} state;

static state slope(const state *y) {
    state dy = {{s.p[0]}};
    for (int i = 1; i < COMPONENTS; i++) dy.y[i] = ag_mul(s.p[i], y->y[i - 1]);
    return dy;
}

static state moved(const state *y, const state *dy, double h) {
    state z;
    for (int i = 0; i < COMPONENTS; i++) z.y[i] = ag_add(y->y[i], ag_scale(dy->y[i], h));
    return z;
}

static state runge_kutta(const state *y, double h) {
    state a = slope(y), at = moved(y, &a, h / 2), b = slope(&at), sum;
    at = moved(y, &b, h / 2);
    state c = slope(&at);
    at = moved(y, &c, h);
    state d = slope(&at);
    for (int i = 0; i < COMPONENTS; i++) sum.y[i] = ag_add(ag_add(a.y[i], d.y[i]), ag_scale(ag_add(b.y[i], c.y[i]), 2));
    return moved(y, &sum, h / 6);
}

static ag_tensor *ode_of_scalars(void) {
    state y;
    for (int i = 0; i < COMPONENTS; i++) y.y[i] = number(0);
    for (int k = 0; k < ODE_STEPS; k++) y = runge_kutta(&y, interval);
    ag_tensor *sum = y.y[0];
    for (int i = 1; i < COMPONENTS; i++) sum = ag_add(sum, y.y[i]);
    return sum;
}

/* ---- The same with its components as one tensor ---- */

static ag_tensor *vector_slope(ag_tensor *y, ag_tensor *one) {
    return ag_mul(s.p[0], ag_concat(2, (ag_tensor *[]){one, ag_slice(y, 0, 0, COMPONENTS - 1, 1)}, 0));
}

static ag_tensor *vector_moved(ag_tensor *y, ag_tensor *dy, double h) { return ag_add(y, ag_scale(dy, h)); }

static ag_tensor *ode_of_vectors(void) {
    ag_tensor *one = ag_ones(s.tape, AG_F64, AG_SHAPE(1)), *y = ag_zeros(s.tape, AG_F64, AG_SHAPE(COMPONENTS));
    for (int k = 0; k < ODE_STEPS; k++) {
        ag_tensor *a = vector_slope(y, one), *b = vector_slope(vector_moved(y, a, interval / 2), one),
                  *c = vector_slope(vector_moved(y, b, interval / 2), one),
                  *d = vector_slope(vector_moved(y, c, interval), one);
        y = vector_moved(y, ag_add(ag_add(a, d), ag_scale(ag_add(b, c), 2)), interval / 6);
    }
    return ag_sum(y);
}

/* ---- The chain, whose derivative neither grows nor fades: √(y² + b), times a number near 1 ---- */

static ag_tensor *chain(void) {
    ag_tensor *y = s.p[0];
    for (int i = 0; i < CHAIN; i++)
        y = i % 4 == 0 ? ag_mul(y, y) : i % 4 == 1 ? ag_add(y, s.p[2]) : i % 4 == 2 ? ag_sqrt(y) : ag_mul(y, s.p[1]);
    return y;
}

/* ---- The rows with ADOL-C ---- */

static ag_tensor *function_of(const row *r) {
    return r->size[INPUTS] == SIDE * SIDE ? determinant()
           : r->size[INPUTS] == 3         ? chain()
           : r->size[SCALARS]             ? ode_of_scalars()
                                          : ode_of_vectors();
}

static bool set_up(const row *r, int threads) {
    s.n = (int)r->size[INPUTS];
    double *data = noise_f64(s.n, 1, 1);
    for (int i = 0; i < s.n; i++) s.x[i] = data[i];
    room_free(data);
    if (s.n == 3) s.x[0] = 1, s.x[1] = 1 + 1e-6, s.x[2] = 1e-3;
    s.tape = new_tape(r, threads);
    if (!r->size[SCALARS]) s.p[0] = ag_parameter(s.tape, AG_F64, AG_SHAPE(s.n), s.x);
    for (int i = 0; r->size[SCALARS] && i < s.n; i++) s.p[i] = ag_parameter(s.tape, AG_F64, AG_SCALAR, &s.x[i]);
    s.mark = ag_tape_mark(s.tape);
    return fine(s.tape);
}

static bool tear_down(const row *r) {
    (void)r;
    bool good = fine(s.tape);
    ag_tape_free(s.tape);
    return good;
}

/* The value, and the gradient in dx */
static double differentiated(const row *r, double *dx) {
    ag_tensor *dp[MOST_INPUTS];
    int n = r->size[SCALARS] ? s.n : 1;
    ag_tensor *y = function_of(r);
    ag_grad(y, n, s.p, dp);
    ag_keep(y);
    ag_eval_all(n, dp);
    for (int i = 0; i < s.n; i++) dx[i] = n == 1 ? ag_element(dp[0], i) : ag_item(dp[i]);
    double value = ag_item(y);
    ag_tape_rewind(s.tape, s.mark);
    return value;
}

static void steps(const row *r, int64_t repetitions) {
    double dx[MOST_INPUTS];
    for (int64_t k = 0; k < repetitions; k++) differentiated(r, dx);
}

static double weighed(double value, const double *dx) { return value + weigh_f64(dx, s.n); }

static double check(const row *r) {
    double dx[MOST_INPUTS], value = differentiated(r, dx);
    return weighed(value, dx);
}

/* The module beside this program, if it was built. */
static struct {
    double (*determinant)(int n, const double *x, double *dx);
    double (*ode)(int n, int steps, double h, const double *x, double *dx);
    double (*chain)(int n, int length, const double *x, double *dx);
} adolc;

#ifdef __unix__

/* dlsym returns a pointer to data, which C does not convert to a function pointer; POSIX allows copying the bits. */
static void find(void *library, const char *name, void *pointer, size_t bytes) {
    void *found = dlsym(library, name);
    memcpy(pointer, &found, bytes);
}

static bool has_adolc(void) {
    static bool tried;
    char path[1024];
    const char *self = program_path(), *slash = strrchr(self, '/');
    snprintf(path, sizeof path, "%.*s/libbench_adolc.so", slash ? (int)(slash - self) : 1, slash ? self : ".");
    void *library = tried ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    tried = true;
    if (library) {
        find(library, "adolc_determinant", &adolc.determinant, sizeof adolc.determinant);
        find(library, "adolc_ode", &adolc.ode, sizeof adolc.ode);
        find(library, "adolc_chain", &adolc.chain, sizeof adolc.chain);
    }
    return adolc.determinant && adolc.ode && adolc.chain;
}

#else

static bool has_adolc(void) { return false; }

#endif

static double by_adolc(const row *r, double *dx) {
    return r->size[INPUTS] == SIDE * SIDE ? adolc.determinant(SIDE, s.x, dx)
           : r->size[INPUTS] == 3         ? adolc.chain(s.n, CHAIN, s.x, dx)
                                          : adolc.ode(s.n, ODE_STEPS, interval, s.x, dx);
}

static void adolc_steps(const row *r, int64_t repetitions) {
    double dx[MOST_INPUTS];
    for (int64_t k = 0; k < repetitions; k++) by_adolc(r, dx);
}

static double adolc_check(const row *r) {
    double dx[MOST_INPUTS], value = by_adolc(r, dx);
    return weighed(value, dx);
}

static double operations(const row *r) { return (double)r->size[LENGTH]; }

/* ---- The LSTM: two layers of 14, and weights that act on each element ---- */

enum { LAYERS = 2, WIDTH = 14, SEQUENCE = 1024, EACH = 8, MODEL = LAYERS * EACH + 3 };

static struct {
    ag_tape *tape;
    ag_mark mark;
    ag_tensor *p[MODEL]; /* of each layer: the weights and biases of forget, in, out, change; then in, out, bias */
    ag_tensor *h[LAYERS], *c[LAYERS];
    double *input;
    ag_tensor *x[SEQUENCE];
} l;

static bool lstm_set_up(const row *r, int threads) {
    l.tape = new_tape(r, threads);
    double *data = noise_f64(WIDTH * (MODEL + 2 * LAYERS), 3, 0.5);
    l.input = noise_f64(SEQUENCE * WIDTH, 2, 1);
    for (int i = 0; i < MODEL; i++) l.p[i] = ag_parameter(l.tape, AG_F64, AG_SHAPE(WIDTH), data + i * WIDTH);
    for (int i = 0; i < LAYERS; i++) {
        l.h[i] = ag_from(l.tape, AG_F64, AG_SHAPE(WIDTH), data + (MODEL + i) * WIDTH);
        l.c[i] = ag_from(l.tape, AG_F64, AG_SHAPE(WIDTH), data + (MODEL + LAYERS + i) * WIDTH);
    }
    for (int i = 0; i < SEQUENCE; i++) l.x[i] = ag_wrap(l.tape, AG_F64, AG_SHAPE(WIDTH), l.input + i * WIDTH);
    room_free(data);
    l.mark = ag_tape_mark(l.tape);
    return fine(l.tape);
}

static bool lstm_tear_down(const row *r) {
    (void)r;
    bool good = fine(l.tape);
    ag_tape_free(l.tape);
    room_free(l.input);
    return good;
}

static ag_tensor *gate(ag_tensor *const p[], ag_tensor *x) { return ag_add(ag_mul(x, p[0]), p[1]); }

static ag_tensor *cell(ag_tensor *const p[], ag_tensor **h, ag_tensor **c, ag_tensor *x) {
    ag_tensor *forget = ag_sigmoid(gate(p, x)), *in = ag_sigmoid(gate(p + 2, *h)), *out = ag_sigmoid(gate(p + 4, x)),
              *change = ag_tanh(gate(p + 6, *h));
    *c = ag_add(ag_mul(*c, forget), ag_mul(in, change));
    return *h = ag_mul(out, ag_tanh(*c));
}

static ag_tensor *objective(void) {
    ag_tensor *h[LAYERS], *c[LAYERS], *loss = NULL, *const *last = l.p + LAYERS * EACH;
    for (int i = 0; i < LAYERS; i++) h[i] = l.h[i], c[i] = l.c[i];
    for (int t = 0; t + 1 < SEQUENCE; t++) {
        ag_tensor *x = ag_mul(l.x[t], last[0]);
        for (int i = 0; i < LAYERS; i++) x = cell(l.p + i * EACH, &h[i], &c[i], x);
        ag_tensor *y = gate(last + 1, x), *norm = ag_log(ag_add_scalar(ag_sum(ag_exp(y)), 2)),
                  *part = ag_sum(ag_mul(l.x[t + 1], ag_sub(y, norm)));
        loss = loss ? ag_add(loss, part) : part;
    }
    return ag_scale(loss, -1.0 / (WIDTH * (SEQUENCE - 1)));
}

static double lstm_gradient(void) {
    ag_tensor *dp[MODEL];
    ag_grad(objective(), MODEL, l.p, dp);
    ag_eval_all(MODEL, dp);
    double sum = 0;
    for (int i = 0; i < MODEL; i++) sum += weigh(dp[i]);
    ag_tape_rewind(l.tape, l.mark);
    return sum;
}

static double lstm_objective(void) {
    bool before = ag_tape_set_recording(l.tape, false);
    double value = ag_item(objective());
    ag_tape_set_recording(l.tape, before);
    ag_tape_rewind(l.tape, l.mark);
    return value;
}

static void lstm_gradients(const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++) (void)r, lstm_gradient();
}

static void lstm_objectives(const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++) (void)r, lstm_objective();
}

/* ---- The rows ---- */

static row adolc_row(const char *name, const char *what, int64_t inputs, int64_t length, bool scalars) {
    row r = {.what = what,
             .unit = "s",
             .each = "operation",
             .size = {inputs, length, scalars},
             .once = true,
             .count = operations,
             .setup = set_up,
             .work = steps,
             .check = check,
             .teardown = tear_down,
             .peers = {{.name = "ADOL-C",
                        .where = HERE,
                        .work = adolc_steps,
                        .check = adolc_check,
                        .present = has_adolc,
                        .limit = 1}}};
    for (size_t i = 0; name[i] && i + 1 < sizeof r.name; i++) r.name[i] = name[i];
    return r;
}

int scalar_rows(row *to) {
    enum { MINORS = 8659 + 5039, ODE = ODE_STEPS * (4 * 9 + 4 * 20 + 40) }; /* operations on numbers */
    int n = 0;
    to[n++] = adolc_row("determinant_7", "a determinant of 7x7 by minors, of scalars, and its gradient", SIDE * SIDE,
                        MINORS, true);
    to[n++] = adolc_row("ode_10", "an ordinary differential equation of 10 components, as tensors, and its gradient",
                        COMPONENTS, ODE, false);
    to[n++] = adolc_row("ode_10_scalars", "the same of scalars", COMPONENTS, ODE, true);
    to[n++] = adolc_row("chain_100k", "a chain of scalars, and its gradient", 3, CHAIN, true);
    to[n++] = (row){.name = "lstm_small",
                    .what = "an LSTM of two layers of 14 over 1024 steps, with a weight for each element: its gradient",
                    .unit = "s",
                    .each = "",
                    .once = true,
                    .setup = lstm_set_up,
                    .work = lstm_gradients,
                    .teardown = lstm_tear_down,
                    .peers = {{.name = "the objective", .where = HERE, .work = lstm_objectives, .limit = 3}}};
    return n;
}
