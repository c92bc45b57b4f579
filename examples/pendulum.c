/* pendulum -- the parameters of a differential equation from noisy data, with error bars
 *
 *     pendulum [OUTDIR [FILE.csv]]
 *
 * A damped pendulum, θ'' = −ω²·sin θ − γ·θ', begins at θ₀ with the velocity v₀. From angles at some times, from the
 * columns t and theta of FILE or simulated with noise, the program finds ω, γ, θ₀ and v₀ by least squares: Runge and
 * Kutta's method of order 4 is recorded on the tape, derivatives of the angles are Jacobian-vector products, and
 * Levenberg and Marquardt's method makes steps of them. Error bars are from σ²·(JᵀJ)⁻¹, and once more from the Hessian,
 * which is a gradient of a gradient. To see whether they are right, the experiment is simulated many times: an interval
 * of 95 % must contain the true value in about 95 % of them. All repetitions are one computation, because a number of
 * the model is a tensor with an element for each.
 *
 * OUTDIR, or the present folder, gets the data, the fit, and a picture of both. S data sets, m angles each, K parameters. */
#define _POSIX_C_SOURCE 200809L /* mkdir */
#include <autograd/autograd.h>
#include <errno.h>
#include <io/io.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "examples/plot.h"
#include "examples/show.h"

enum { K = 4, REPETITIONS = 200, ANGLES = 60, MOST = REPETITIONS * ANGLES };
enum { OMEGA, GAMMA, THETA, VELOCITY };

static const char *const names[K] = {"omega", "gamma", "theta0", "v0"};
static const double truth[K] = {2, 0.15, 1.4, -0.5}, noise = 0.08, interval = 0.2;

typedef struct matrix {
    double at[K][K];
} matrix;

/* The data sets have their times in common. Angle i of set s is at i·sets + s. */
typedef struct experiment {
    int sets, angles;
    double t[MOST], y[MOST];
    double p[K][REPETITIONS]; /* the parameters found so far */
    int steps[MOST];          /* of the integration before each angle */
} experiment;

/* The model at some parameters, and its derivatives. */
typedef struct model {
    double theta[MOST], slope[K][MOST];
} model;

/* ---- The differential equation, recorded ---- */

typedef struct motion {
    ag_tensor *theta, *velocity;
} motion;

static motion motion_of(const motion *s, ag_tensor *stiffness, ag_tensor *damping) {
    ag_tensor *pull = ag_mul(stiffness, ag_sin(s->theta)), *drag = ag_mul(damping, s->velocity);
    return (motion){s->velocity, ag_neg(ag_add(pull, drag))};
}

static motion moved(const motion *s, const motion *by, double h) {
    return (motion){ag_add(s->theta, ag_scale(by->theta, h)), ag_add(s->velocity, ag_scale(by->velocity, h))};
}

static ag_tensor *weighted(ag_tensor *a, ag_tensor *b, ag_tensor *c, ag_tensor *d) {
    return ag_add(ag_add(a, d), ag_scale(ag_add(b, c), 2));
}

static motion runge_kutta(const motion *s, double h, ag_tensor *stiffness, ag_tensor *damping) {
    motion k[4], at = *s;
    for (int i = 0; i < 4; i++) {
        k[i] = motion_of(&at, stiffness, damping);
        at = moved(s, &k[i], i < 2 ? h / 2 : h);
    }
    motion all = {weighted(k[0].theta, k[1].theta, k[2].theta, k[3].theta),
                  weighted(k[0].velocity, k[1].velocity, k[2].velocity, k[3].velocity)};
    return moved(s, &all, h / 6);
}

/* The angles at the first m times, each (S), of the parameters p, each (S). */
static void record(const experiment *e, ag_tensor *const p[K], int m, ag_tensor *theta[]) {
    motion s = {p[THETA], p[VELOCITY]};
    ag_tensor *stiffness = ag_square(p[OMEGA]);
    for (int i = 0; i < m; i++) {
        for (int k = 0; k < e->steps[i]; k++)
            s = runge_kutta(&s, (e->t[i] - e->t[i - 1]) / e->steps[i], stiffness, p[GAMMA]);
        theta[i] = s.theta;
    }
}

static void parameters_at(ag_tape *tape, const experiment *e, double p[K][REPETITIONS], ag_tensor *x[K]) {
    for (int k = 0; k < K; k++) x[k] = ag_from(tape, AG_F64, AG_SHAPE(e->sets), p[k]);
}

static void read_all(const experiment *e, int m, ag_tensor *const x[], double *to) {
    ag_eval_all(m, x);
    for (int i = 0; i < m; i++) {
        const double *from = ag_data(x[i]);
        if (from) memcpy(to + i * e->sets, from, (size_t)e->sets * sizeof *to);
    }
}

/* A Jacobian has K columns and many rows: a Jacobian-vector product for each column. */
static void linearise(ag_tape *tape, const experiment *e, double p[K][REPETITIONS], int m, model *to) {
    static ag_tensor *theta[MOST], *slope[MOST];
    ag_tensor *x[K], *one = ag_ones(tape, AG_F64, AG_SHAPE(e->sets));
    ag_mark before = ag_tape_mark(tape);
    parameters_at(tape, e, p, x);
    record(e, x, m, theta);
    read_all(e, m, theta, to->theta);
    ag_mark mark = ag_tape_mark(tape);
    for (int k = 0; k < K; k++, ag_tape_rewind(tape, mark)) {
        ag_jvp(m, theta, 1, &x[k], &one, slope);
        read_all(e, m, slope, to->slope[k]);
    }
    ag_tape_rewind(tape, before);
}

/* ---- Least squares ---- */

static double squares(const experiment *e, const model *at, int m, int s) {
    double sum = 0;
    for (int i = 0; i < m; i++) sum += pow(at->theta[i * e->sets + s] - e->y[i * e->sets + s], 2);
    return sum;
}

/* JᵀJ, and Jᵀr for the residuals r = θ − y. */
static matrix normal(const experiment *e, const model *at, int m, int s, double gradient[K]) {
    matrix a = {0};
    memset(gradient, 0, K * sizeof *gradient);
    for (int i = 0; i < m; i++)
        for (int j = 0, n = i * e->sets + s; j < K; j++) {
            gradient[j] += at->slope[j][n] * (at->theta[n] - e->y[n]);
            for (int k = 0; k < K; k++) a.at[j][k] += at->slope[j][n] * at->slope[k][n];
        }
    return a;
}

/* Cholesky's method; NaN unless it is positive definite. */
static matrix inverse(matrix a) {
    matrix l = {0}, b = {0};
    for (int j = 0; j < K; j++)
        for (int i = j; i < K; i++) {
            double sum = a.at[i][j];
            for (int k = 0; k < j; k++) sum -= l.at[i][k] * l.at[j][k];
            l.at[i][j] = i == j ? sqrt(sum) : sum / l.at[j][j];
        }
    for (int c = 0; c < K; c++) {
        for (int i = 0; i < K; i++) {
            double sum = i == c;
            for (int k = 0; k < i; k++) sum -= l.at[i][k] * b.at[k][c];
            b.at[i][c] = sum / l.at[i][i];
        }
        for (int i = K; i-- > 0;) {
            double sum = b.at[i][c];
            for (int k = i + 1; k < K; k++) sum -= l.at[k][i] * b.at[k][c];
            b.at[i][c] = sum / l.at[i][i];
        }
    }
    return b;
}

/* The next parameters of set s; returns the step's size in units of the parameters'. */
static double propose(const experiment *e, const model *at, int m, int s, double damping,
                      double trial[K][REPETITIONS]) {
    double gradient[K], size = 0;
    matrix a = normal(e, at, m, s, gradient);
    for (int k = 0; k < K; k++) a.at[k][k] *= 1 + damping;
    matrix b = inverse(a);
    for (int j = 0; j < K; j++) {
        double step = 0;
        for (int k = 0; k < K; k++) step -= b.at[j][k] * gradient[k];
        trial[j][s] = e->p[j][s] + step;
        size = isfinite(step) ? fmax(size, fabs(step) / (1 + fabs(e->p[j][s]))) : INFINITY;
    }
    return size;
}

/* Levenberg and Marquardt's method for all sets at once; returns the number of iterations, or −1 if it does not end. */
static int fit(ag_tape *tape, experiment *e, int m, model *best) {
    enum { MOST_ITERATIONS = 60 };
    static model tried;
    static double trial[K][REPETITIONS], damping[REPETITIONS];
    linearise(tape, e, e->p, m, best);
    for (int s = 0; s < e->sets; s++) damping[s] = 1e-3;
    for (int n = 1; n <= MOST_ITERATIONS && ag_tape_status(tape) == AG_OK; n++) {
        double size = 0;
        for (int s = 0; s < e->sets; s++) size = fmax(size, propose(e, best, m, s, damping[s], trial));
        if (size < 1e-9) return n;
        linearise(tape, e, trial, m, &tried);
        for (int s = 0; s < e->sets; s++) {
            bool better = squares(e, &tried, m, s) <= squares(e, best, m, s);
            damping[s] = better ? damping[s] / 10 : damping[s] * 10;
            for (int k = 0; k < K && better; k++) {
                e->p[k][s] = trial[k][s];
                for (int i = s; i < m * e->sets; i += e->sets) best->slope[k][i] = tried.slope[k][i];
            }
            for (int i = s; i < m * e->sets && better; i += e->sets) best->theta[i] = tried.theta[i];
        }
    }
    return -1;
}

/* From the times at which the angle swings to the other side, by a quarter of the largest: half a period apart. */
static double first_frequency(const experiment *e) {
    double most = 0, first = 0, last = 0;
    int swings = 0, side = 0, n = e->angles;
    for (int i = 0; i < n; i++) most = fmax(most, fabs(e->y[i * e->sets]));
    for (int i = 0; i < n; i++) {
        double y = e->y[i * e->sets];
        int now = y > most / 4 ? 1 : y < -most / 4 ? -1 : side;
        if (side && now != side) {
            last = e->t[i];
            if (swings++ == 0) first = last;
        }
        side = now;
    }
    return swings > 1 ? acos(-1) * (swings - 1) / (last - first) : 2 * acos(-1) / (e->t[n - 1] - e->t[0]);
}

/* Short steps beside a period; false if there would be too many. */
static bool plan_steps(experiment *e, double frequency) {
    const double most = 5000, all = (e->t[e->angles - 1] - e->t[0]) * frequency / 0.1 + e->angles;
    if (!(all <= most)) return show_fact(false, "The data are of few enough periods for 5000 steps.");
    for (int i = 1; i < e->angles; i++) e->steps[i] = (int)ceil((e->t[i] - e->t[i - 1]) * frequency / 0.1);
    return true;
}

/* A third of the data first: over the whole time a frequency that is a little off would end in another minimum. */
static int fit_from_nothing(ag_tape *tape, experiment *e, model *best) {
    double frequency = first_frequency(e);
    for (int s = 0; s < e->sets; s++) {
        e->p[OMEGA][s] = frequency, e->p[GAMMA][s] = frequency / 20;
        e->p[THETA][s] = e->y[s], e->p[VELOCITY][s] = (e->y[e->sets + s] - e->y[s]) / (e->t[1] - e->t[0]);
    }
    if (!plan_steps(e, frequency)) return -1;
    int first = fit(tape, e, (e->angles + 2) / 3, best), then = fit(tape, e, e->angles, best);
    return first < 0 || then < 0 ? -1 : first + then;
}

/* ---- Error bars ---- */

/* Half of Student's interval of 95 %, in standard errors, by the expansion of Cornish and Fisher. */
static double student(int freedom) {
    double z = 1.959963984540054, z2 = z * z, n = freedom;
    return z + z * (z2 + 1) / (4 * n) + z * ((5 * z2 + 16) * z2 + 3) / (96 * n * n) +
           z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / (384 * n * n * n);
}

static double variance_of(const experiment *e, const model *at, int s) {
    return squares(e, at, e->angles, s) / (e->angles - K);
}

static matrix scaled(matrix a, double by) {
    for (int j = 0; j < K; j++)
        for (int k = 0; k < K; k++) a.at[j][k] *= by;
    return a;
}

static matrix covariance(const experiment *e, const model *at, int s) {
    double gradient[K];
    return scaled(inverse(normal(e, at, e->angles, s, gradient)), variance_of(e, at, s));
}

/* The gradient of ½·Σ r², and the Hessian as gradients of its elements. Sets do not influence each other, so that the
 * gradient of a sum over the sets is that of each. */
static matrix hessian(ag_tape *tape, experiment *e, double gradient[K]) {
    static ag_tensor *theta[MOST];
    ag_tensor *x[K], *g[K], *h[K], *loss = ag_scalar(tape, AG_F64, 0), *one = ag_ones(tape, AG_F64, AG_SHAPE(e->sets));
    ag_mark mark = ag_tape_mark(tape);
    matrix a = {0};
    parameters_at(tape, e, e->p, x);
    record(e, x, e->angles, theta);
    for (int i = 0; i < e->angles; i++) {
        ag_tensor *y = ag_from(tape, AG_F64, AG_SHAPE(e->sets), e->y + i * e->sets);
        loss = ag_add(loss, ag_scale(ag_sum(ag_square(ag_sub(theta[i], y))), 0.5));
    }
    ag_grad(loss, K, x, g);
    for (int j = 0; j < K; j++) {
        ag_vjp(1, &g[j], &one, K, x, h, 0);
        gradient[j] = ag_element(g[j], 0);
        for (int k = 0; k < K; k++) a.at[j][k] = ag_element(h[k], 0);
    }
    ag_tape_rewind(tape, mark);
    return a;
}

/* ---- Data ---- */

/* The motion by a hundred steps an interval, and noise. */
static void simulate(ag_tape *tape, experiment *e, uint64_t seed) {
    double theta = truth[THETA], v = truth[VELOCITY], h = interval / 100;
    ag_tape_seed(tape, seed);
    e->sets = REPETITIONS, e->angles = ANGLES;
    const double *error = ag_data(ag_normal(tape, AG_F64, AG_SHAPE(MOST), 0, noise));
    for (int i = 0; i < ANGLES; i++) {
        e->t[i] = i * interval;
        for (int s = 0; s < REPETITIONS; s++)
            e->y[i * REPETITIONS + s] = theta + (error ? error[i * REPETITIONS + s] : 0);
        for (int k = 0; k < 100; k++) { /* Heun's method */
            double a = -pow(truth[OMEGA], 2) * sin(theta) - truth[GAMMA] * v, ahead = theta + h * v, w = v + h * a;
            double b = -pow(truth[OMEGA], 2) * sin(ahead) - truth[GAMMA] * w;
            theta += h / 2 * (v + w), v += h / 2 * (a + b);
        }
    }
}

static bool read_data(ag_tape *tape, experiment *e, const char *path) {
    ag_csv_options columns = {.n = 2, .names = (const char *const[]){"t", "theta"}};
    ag_tensor *table = ag_csv_read(tape, path, AG_F64, &columns);
    const double *row = ag_data(table);
    e->sets = 1, e->angles = (int)(ag_extent(table, 0) < MOST ? ag_extent(table, 0) : MOST);
    for (int i = 0; row && i < e->angles; i++) {
        e->t[i] = row[2 * i], e->y[i] = row[2 * i + 1];
        if (isfinite(e->y[i]) && isfinite(e->t[i]) && (i == 0 || e->t[i] > e->t[i - 1])) continue;
        printf("%s: row %d is not a finite angle at a later time than the row before\n", path, i + 1);
        return false;
    }
    if (row && e->angles < 3 * K) printf("%s: %d rows: at least %d are wanted\n", path, e->angles, 3 * K);
    if (row && ag_extent(table, 0) > MOST) printf("%s: the first %d rows are used\n", path, MOST);
    return row && e->angles >= 3 * K;
}

/* ---- What was found ---- */

static void print_fit(const experiment *e, int s, const matrix *c, const matrix *h, bool known) {
    double width = student(e->angles - K);
    printf("            %sfitted   ± 95 %%  by JᵀJ   by the Hessian\n", known ? "    true    " : "");
    for (int k = 0; k < K; k++) {
        printf("  %-8s", names[k]);
        if (known) printf("%10.4f", truth[k]);
        printf("%12.5f      %12.5f     %12.5f\n", e->p[k][s], width * sqrt(c->at[k][k]), width * sqrt(h->at[k][k]));
    }
}

/* Intervals of 95 % that contain the truth; and the estimates' spread beside the error bars'. */
static void check_coverage(const experiment *e, const model *at) {
    double width = student(e->angles - K), least = 1, most = 0, worst = 0;
    printf("\n%d repetitions: intervals of 95 %% contain the true value in\n", e->sets);
    for (int k = 0; k < K; k++) {
        double hits = 0, squared = 0, claimed = 0;
        for (int s = 0; s < e->sets; s++) {
            double error = e->p[k][s] - truth[k], bar = sqrt(covariance(e, at, s).at[k][k]);
            hits += fabs(error) <= width * bar;
            squared += error * error, claimed += bar * bar;
        }
        double part = hits / e->sets, ratio = sqrt(squared / claimed);
        printf("  %-8s%6.1f %%; the estimates' errors are %.3f times the error bars\n", names[k], 100 * part, ratio);
        least = fmin(least, part), most = fmax(most, part), worst = fmax(worst, fabs(log(ratio)));
    }
    show_fact(least >= 0.91 && most <= 0.98, "Each interval covers the truth in 91 to 98 % of the repetitions.");
    show_fact(worst < log(1.15), "The error bars are right within 15 %.");
}

static void check_derivatives(const experiment *e, const model *at, const double by_grad[K], const matrix *c,
                              const matrix *h) {
    double gradient[K], apart = 0, scale = 0;
    matrix a = normal(e, at, e->angles, 0, gradient);
    for (int k = 0; k < K; k++) { /* at the minimum it is 0: compare with its terms */
        apart = fmax(apart, fabs(by_grad[k] - gradient[k]) / sqrt(a.at[k][k] * squares(e, at, e->angles, 0)));
        scale = fmax(scale, fabs(log(h->at[k][k] / c->at[k][k])) / 2);
    }
    show_fact(apart < 1e-10, "The gradient of ½·Σ r² is Jᵀr.");
    printf("The Hessian's error bars differ from those of JᵀJ by at most %.1f %%.\n", 100 * (exp(scale) - 1));
    show_fact(scale < log(1.1), "They agree within 10 %.");
}

static void write_tables(ag_tape *tape, const char *folder, const experiment *e, const matrix *c, const matrix *h) {
    static double data[2 * MOST], found[3 * K];
    char path[1000];
    for (int i = 0; i < e->angles; i++) data[2 * i] = e->t[i], data[2 * i + 1] = e->y[i * e->sets];
    for (int k = 0; k < K; k++)
        found[3 * k] = e->p[k][0], found[3 * k + 1] = sqrt(c->at[k][k]), found[3 * k + 2] = sqrt(h->at[k][k]);
    snprintf(path, sizeof path, "%s/pendulum.csv", folder);
    ag_csv_write(path, ag_from(tape, AG_F64, AG_SHAPE(e->angles, 2), data),
                 &(ag_csv_options){.n = 2, .names = (const char *const[]){"t", "theta"}});
    snprintf(path, sizeof path, "%s/pendulum-fit.csv", folder);
    ag_csv_write(path, ag_from(tape, AG_F64, AG_SHAPE(K, 3), found),
                 &(ag_csv_options){.n = 3, .names = (const char *const[]){"fitted", "error", "error_by_hessian"}});
}

/* ---- The picture ---- */

enum { FINE = 4 }; /* points of a curve for each angle */

/* The curve at set 0's parameters, and the band that contains the true one with 95 %: from derivatives of the curve. */
static int curve(ag_tape *tape, const experiment *e, const matrix *c, double *t, double *line[3]) {
    static experiment fine;
    static model at;
    fine.sets = 1;
    for (int i = 0; i + 1 < e->angles && fine.angles + FINE < MOST; i++)
        for (int k = 0; k < FINE; k++, fine.angles++) {
            int n = fine.angles;
            t[n] = fine.t[n] = e->t[i] + (e->t[i + 1] - e->t[i]) * k / FINE;
            fine.steps[n] = n > 0;
        }
    for (int k = 0; k < K; k++) fine.p[k][0] = e->p[k][0];
    linearise(tape, &fine, fine.p, fine.angles, &at);
    for (int i = 0; i < fine.angles; i++) {
        double variance = 0;
        for (int j = 0; j < K; j++)
            for (int k = 0; k < K; k++) variance += at.slope[j][i] * c->at[j][k] * at.slope[k][i];
        double half = student(e->angles - K) * sqrt(variance);
        line[0][i] = at.theta[i], line[1][i] = at.theta[i] - half, line[2][i] = at.theta[i] + half;
    }
    return fine.angles;
}

/* Vertical strokes of one standard deviation up and down. */
static int strokes(const experiment *e, double deviation, double *x, double *y) {
    int n = 0;
    for (int i = 0; i < e->angles && n + 3 <= 3 * MOST; i++, n += 3) {
        x[n] = x[n + 1] = e->t[i], x[n + 2] = NAN;
        y[n] = e->y[i * e->sets] - deviation, y[n + 1] = e->y[i * e->sets] + deviation, y[n + 2] = NAN;
    }
    return n;
}

/* Small crosses at the estimates of ω and γ, and the ellipse in which 95 % of such pairs should lie about the truth. */
static int estimates(const experiment *e, double *x, double *y) {
    int n = 0;
    for (int s = 0; s < e->sets; s++) {
        double w = e->p[OMEGA][s], g = e->p[GAMMA][s], dx = 4e-4, dy = 4e-4;
        const double cross[6][2] = {{w - dx, g}, {w + dx, g}, {NAN, NAN}, {w, g - dy}, {w, g + dy}, {NAN, NAN}};
        for (int i = 0; i < 6; i++, n++) x[n] = cross[i][0], y[n] = cross[i][1];
    }
    return n;
}

enum { ROUND = 120 };

static void ellipse(const matrix *c, const double centre[2], double x[ROUND], double y[ROUND]) {
    double a = sqrt(c->at[OMEGA][OMEGA]), b = c->at[OMEGA][GAMMA] / a, d = sqrt(c->at[GAMMA][GAMMA] - b * b);
    double radius = sqrt(-2 * log(0.05));
    for (int i = 0; i < ROUND; i++) {
        double angle = 2 * acos(-1) * i / (ROUND - 1), u = radius * cos(angle), v = radius * sin(angle);
        x[i] = centre[0] + a * u, y[i] = centre[1] + b * u + d * v;
    }
}

static bool draw(ag_tape *tape, const char *folder, const experiment *e, const model *at, const matrix *c) {
    static double t[MOST], line[3][MOST], x[3 * MOST], y[3 * MOST], ex[6 * REPETITIONS], ey[6 * REPETITIONS];
    double rx[ROUND], ry[ROUND];
    char path[1000];
    bool many = e->sets > 1;
    int n = curve(tape, e, c, t, (double *[]){line[0], line[1], line[2]});
    int bars = strokes(e, sqrt(variance_of(e, at, 0)), x, y), crosses = estimates(e, ex, ey);
    ellipse(c, many ? truth : (double[]){e->p[OMEGA][0], e->p[GAMMA][0]}, rx, ry);
    const plot_line motion_lines[] = {
        {"data ± σ", bars, x, y}, {"fit", n, t, line[0]}, {"95 % from", n, t, line[1]}, {"to", n, t, line[2]}};
    const plot_line pairs[] = {{"estimates", crosses, ex, ey}, {"95 % by JᵀJ", ROUND, rx, ry}};
    const plot_panel panels[] = {{.title = "angle", .x_label = "t", .lines = 4, .line = motion_lines},
                                 {.title = "γ", .x_label = "ω", .lines = 2, .line = pairs}};
    snprintf(path, sizeof path, "%s/pendulum.svg", folder);
    return plot_write(path, "A damped pendulum from noisy data", 2, panels);
}

/* ---- All of it ---- */

static bool run(ag_tape *tape, experiment *e, const char *folder, bool known) {
    static model at;
    double by_grad[K];
    int iterations = fit_from_nothing(tape, e, &at);
    show_part(known ? "a simulated pendulum" : "the data of the file");
    printf("%d angles, %d data set%s, %d iterations, σ = %.4f\n", e->angles, e->sets, e->sets > 1 ? "s" : "",
           iterations, sqrt(variance_of(e, &at, 0)));
    if (!show_fact(iterations > 0, "The least squares were found.")) return false;
    matrix c = covariance(e, &at, 0);
    for (int k = 0; k < K; k++)
        if (!isfinite(c.at[k][k])) return show_fact(false, "The data determine all parameters.");
    matrix h = scaled(inverse(hessian(tape, e, by_grad)), variance_of(e, &at, 0));
    print_fit(e, 0, &c, &h, known);
    check_derivatives(e, &at, by_grad, &c, &h);
    if (known) check_coverage(e, &at);
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) return show_fact(false, "The folder was made.");
    write_tables(tape, folder, e, &c, &h);
    return show_fact(draw(tape, folder, e, &at, &c), "The picture was written.");
}

int main(int argc, char **argv) {
    static experiment e;
    ag_tape *tape = ag_tape_new();
    bool good = argc < 3 || read_data(tape, &e, argv[2]);
    if (argc < 3) simulate(tape, &e, 11);
    good = good && run(tape, &e, argc > 1 ? argv[1] : ".", argc < 3);
    int result = show_result(tape);
    ag_tape_free(tape);
    return good ? result : EXIT_FAILURE;
}
