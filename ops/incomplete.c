/* incomplete -- the incomplete gamma and beta functions, and their derivatives of first and second order
 *
 * Both are a density times the integral of its tail over its value where the tail begins. With t = x·e^−s (gamma), or
 * the odds of t those of x times e^−s (beta), and D the density times the derivative of t by s at 0, these are
 *
 *     gamma, below x:  P = D·∫ e^(−a·s − x·(e^−s − 1)) ds                       D = x^a·e^−x/Γ(a)
 *     gamma, beyond x: Q = D·∫ e^(a·s − x·(e^s − 1)) ds
 *     beta, below x:   I = D·∫ e^(−a·s − (a + b)·ln(1 + x·(e^−s − 1))) ds       D = x^a·(1 − x)^b/B(a, b)
 *
 * over s > 0. The integral is found by quadrature where the tail is narrow, as for large parameters, else by a series
 * or a continued fraction of some hundred terms at most. Derivatives by the parameters are those of each step: numbers
 * are jets. The integral is taken times a, and D over a, so that neither has a pole at a = 0. All is in f64. */
#include "ops/incomplete.h"
#include "ops/rules.h"

#include <float.h>
#include <math.h>

#define AG_LAST_DOMAIN AG_DOMAIN_F64
#include "autograd/formulas_begin.h"

#include "autograd/functions.h"

#include "autograd/formulas_end.h"

#include "autograd/formulas_begin.h"

#include "autograd/functions.h"

#include "autograd/formulas_end.h"

static const double TWO_PI = 6.28318530717958647693, TINY = 1e-290 /* for parameters: what is less is the limit at 0 */;

/* ---- Functions of numbers, compiled for each kind of processor once ---- */

AG_BLOCK_KERNEL(double, ln, (double x), (x)) { return ag_fn_log_f64(x); }
AG_BLOCK_KERNEL(double, e_to, (double x), (x)) { return ag_fn_exp_f64(x); }
void ag__each(const ag_op *op, int n, double *x) {
    ag_block *block = op->block[AG_F64];
    const void *in[] = {x};
    if (!ag__needs_avx2(block) || ag__has_avx2()) block(n, x, in, NULL);
    else
        for (int i = 0; i < n; i++) x[i] = op == &ag__op_exp ? e_to(x[i]) : ln(x[i]);
}
double ag__ln(double x) { return ln(x); }
double ag__e_to(double x) { return e_to(x); }

/* The rounding of 1 + x cancels in the quotient. */
double ag__ln_1_plus(double x) {
    const double u = 1 + x;
    return u == 1 ? x : ag__ln(u) * (x / (u - 1));
}

/* e^x − 1, the same way. */
static double e_to_less_1(double x) {
    const double u = ag__e_to(x);
    return u == 1 ? x : u < 0.5 ? u - 1 : (u - 1) * (x / ag__ln(u));
}

/* ln Γ(k + 1) − ag__ln(√(2πk)·(k/e)^k) for k > 0, the error of Stirling's formula. */
double ag__stirling_error(double k) {
    double sum = 0;
    for (; k < 10; k++) sum += (k + 0.5) * ag__ln_1_plus(1 / k) - 1;
    const double z = 1 / (k * k);
    const double tail =
        1. / 12 - z * (1. / 360 - z * (1. / 1260 - z * (1. / 1680 - z * (1. / 1188 - z * 691. / 360360))));
    return sum + tail / k;
}

static double polynomial(int n, const double *c, double x) {
    double y = *c;
    while (--n > 0) y = y * x + *++c;
    return y;
}

/* k·ln(k/m) + m − k, which is small where k is near m, for k > 0; *far, and not computed, where they are far apart.
 * With r = (m − k)/(m + k) it is (m − k)·r − 2k·(artanh r − r), by a polynomial in r². */
static double near_deviance(double k, double m, bool *far) {
    static const double artanh[] = {0x1.04175bab7acbep-3, -0x1.5199d03dd3e99p-7, 0x1.0a8716ed0c445p-4,
                                    0x1.9291e452e5765p-5, 0x1.e5a17d95fcf43p-5,  0x1.10e6ea954cad2p-4,
                                    0x1.3b162a00760d8p-4, 0x1.745cff255f33ep-4,  0x1.c71c725829a6ap-4,
                                    0x1.249249239ef3ap-3, 0x1.999999999b127p-3,  0x1.555555555555p-2};
    const double r = (m - k) / (m + k), q = r * r;
    *far = !(q < 0.185);
    return *far ? 0 : (m - k) * r - 2 * k * r * q * polynomial(12, artanh, q);
}
double ag__deviance(double k, double m) {
    bool far;
    const double y = near_deviance(k, m, &far);
    if (!far) return y;
    return k == 0 ? m : k * (k / m <= DBL_MAX ? ag__ln(k / m) : ag__ln(k) - ag__ln(m)) + m - k;
}

/* ---- Numbers with their derivatives ---- */

/* A function of a and b: its value; its derivatives by a, by b; by a twice, by a and b, by b twice. Those of an order
 * that is not asked for are not computed. */
enum { V, A, B, AA, AB, BB, PARTS };
typedef struct jet {
    double at[PARTS];
} jet;

static jet linear(double v, double a, double b) { return (jet){{v, a, b}}; }

static void add(jet *y, const jet *t) {
    for (int i = 0; i < PARTS; i++) y->at[i] += t->at[i];
}

/* y·t and 1/y in place of y. */
static void multiply(int order, jet *y, const jet *t) {
    const double *u = y->at, *v = t->at;
    jet z = {{u[V] * v[V]}};
    if (order > 0) z.at[A] = u[A] * v[V] + u[V] * v[A], z.at[B] = u[B] * v[V] + u[V] * v[B];
    if (order > 1) {
        z.at[AA] = u[AA] * v[V] + 2 * u[A] * v[A] + u[V] * v[AA];
        z.at[AB] = u[AB] * v[V] + u[A] * v[B] + u[B] * v[A] + u[V] * v[AB];
        z.at[BB] = u[BB] * v[V] + 2 * u[B] * v[B] + u[V] * v[BB];
    }
    *y = z;
}

static void invert(int order, jet *y) {
    const double *v = y->at, r = 1 / v[V], a = -r * v[A], b = -r * v[B];
    jet z = {{r}};
    if (order > 0) z.at[A] = a * r, z.at[B] = b * r;
    if (order > 1) {
        z.at[AA] = r * (2 * a * a - r * v[AA]);
        z.at[AB] = r * (2 * a * b - r * v[AB]);
        z.at[BB] = r * (2 * b * b - r * v[BB]);
    }
    *y = z;
}

/* ---- ln Γ and its derivatives ---- */

/* ψ(x) − ln x for x > 0, which is small where x is large. */
static double digamma_rest(double x) {
    double sum = 0, x0 = x;
    for (; x < 10; x++) sum -= 1 / x;
    const double z = 1 / (x * x);
    const double tail =
        z * (1. / 12 - z * (1. / 120 - z * (1. / 252 - z * (1. / 240 - z * (1. / 132 - z * 691. / 32760)))));
    return x > x0 ? sum + ag__ln(x / x0) - 0.5 / x - tail : -0.5 / x - tail;
}

/* ln(x/a) for x = a + d. */
static double log_ratio(double log_x, double a, double d) {
    return fabs(d) < 0.5 * a ? ag__ln_1_plus(d / a) : log_x - ag__ln(a);
}

/* ---- What an integral is about ---- */

typedef struct place {
    int order;              /* of the derivatives that are wanted */
    bool beta, upper;       /* which distribution; gamma: which tail */
    double a, b, x, y, n;   /* beta: y = 1 − x, n = a + b */
    double steep;           /* the slope of the exponent at s = 0, negated: that much from the mean */
    double log_x, rounding; /* how small a term may be left out */
} place;

/* ---- A narrow tail: quadrature ---- */

/* The places and weights of Gauss and Legendre, of 32 from −½ to ½: one half of them. */
static const double nodes[][2] = {
    {0x1.8bbc8488cc499p-6, 0x1.8b6d9eaec77adp-5}, {0x1.27e0ea717f237p-4, 0x1.87bc776f8c6d7p-5},
    {0x1.ea0f7e19c094bp-4, 0x1.8062fc0f6fef9p-5}, {0x1.53d55ce57bdf6p-3, 0x1.7572bdb3f6e51p-5},
    {0x1.af76b57c6f8f1p-3, 0x1.6705e18e13ed1p-5}, {0x1.038862866b29dp-2, 0x1.553ee25ebebc6p-5},
    {0x1.2ce9146962ca4p-2, 0x1.40483e126fd14p-5}, {0x1.537a89c487f8ap-2, 0x1.2854103b35e0cp-5},
    {0x1.76e0931d693bap-2, 0x1.0d9b9a62cac10p-5}, {0x1.96c69481c4bc5p-2, 0x1.e0bd76c924981p-6},
    {0x1.b2e04fd686a13p-2, 0x1.a1c6ae961fbfap-6}, {0x1.caea9b4574cb9p-2, 0x1.5ee963a335495p-6},
    {0x1.deac0259f7f42p-2, 0x1.18c5800a355d9p-6}, {0x1.edf5518053baap-2, 0x1.a0060a8531ffap-7},
    {0x1.f8a212714bcdcp-2, 0x1.0aa3c248696c9p-7}, {0x1.fe995e70409b6p-2, 0x1.cbf8bc743cc5cp-9}};

enum { REACH = 46 /* −ln of where the tail may end */ };

/* e^z − 1 − z for |z| <= ½, and ln(1 + w) − w for |w| < 0.4. */
static double exp_bend(double z) {
    static const double c[] = {1. / 1307674368000, 1. / 87178291200, 1. / 6227020800, 1. / 479001600, 1. / 39916800,
                               1. / 3628800,       1. / 362880,      1. / 40320,      1. / 5040,      1. / 720,
                               1. / 120,           1. / 24,          1. / 6,          1. / 2};
    return polynomial(14, c, z) * z * z;
}
static double log_bend(double w) {
    static const double c[] = {1. / 21, 1. / 19, 1. / 17, 1. / 15, 1. / 13, 1. / 11, 1. / 9, 1. / 7, 1. / 5, 1. / 3};
    const double r = w / (2 + w), q = r * r;
    return 2 * r * q * polynomial(10, c, q) - w * r;
}

/* How far the tail extends, by its steepness and bend at s = 0, whose squares may overflow. */
static double reach(const place *p) {
    const double bend = p->beta ? p->n * p->x * p->y : p->x, root = sqrt(2 * REACH) * sqrt(bend), steep = p->steep;
    const double most = fmax(fabs(steep), root), least = fmin(fabs(steep), root) / most;
    return 2 * REACH / (steep + most * sqrt(1 + least * least));
}

/* Adds the integrand at s times a weight, with the derivatives of its exponent, ln(t/x) and ln((1 − t)/(1 − x)). It is
 * computed from the smaller of x and 1 − x. */
static void add_integrand(const place *p, double s, double weight, jet *y) {
    const bool near = p->beta ? p->x <= 0.5 : !p->upper;
    const double z = near ? -s : s, e = exp_bend(z), m = !p->beta || near ? p->x : p->y, w = m * (z + e);
    const double l = p->beta ? log_bend(w) : 0, whole = w + l;
    const double h = weight * ag__e_to(-p->steep * s - (p->beta ? p->n * (m * e + l) : m * e));
    const double a = !p->beta ? z : near ? -s - whole : -whole, b = !p->beta ? 0 : near ? -whole : s - whole;
    const jet t = {{h, h * a, h * b, h * a * a, h * a * b, h * b * b}};
    add(y, &t);
}

static void quadrature(const place *p, double length, jet *y) {
    *y = linear(0, 0, 0);
    for (int i = 0; i < 32; i++) {
        const double *node = nodes[i / 2];
        add_integrand(p, length * (i % 2 ? 0.5 - node[0] : 0.5 + node[0]), length * node[1], y);
    }
}

/* ---- A wide tail ---- */

enum { TERMS = 2000 };

/* Adds a term, and returns whether it was small. */
static bool is_small(const place *p, jet *y, const jet *term) {
    bool small = true;
    add(y, term);
    for (int i = 0; i < PARTS; i++)
        small &= fabs(term->at[i]) <= p->rounding * (fabs(y->at[i]) + 0x1p-10 * fabs(y->at[V]));
    return small;
}

/* Gamma, below x: 1 + x/(a + 1) + x²/((a + 1)·(a + 2)) + … */
static void series(const place *p, jet *y) {
    jet term = *y = linear(1, 0, 0);
    for (int n = 1; n < TERMS; n++) {
        const double r = 1 / (p->a + n), q = p->x * r;
        multiply(p->order, &term, &(jet){{q, -q * r, 0, 2 * q * r * r}});
        if (is_small(p, y, &term)) break;
    }
}

/* The n-th numerator and denominator of a continued fraction over 1: for gamma beyond x
 * x + 1 − a + 1·(a − 1)/(x + 3 − a + 2·(a − 2)/…); for beta that of A. DiDonato and A. Morris (1992), into which x and
 * y enter by their own digits, where one of them is tiny. */
static jet numerator(const place *p, int n) {
    if (!p->beta) return linear(n * (p->a - n), n, 0);
    jet over = linear(p->a + (2 * n - 1), 1, 0), y = linear(p->n + (n - 1), 1, 1);
    invert(p->order, &over);
    multiply(p->order, &y, &over);
    multiply(p->order, &y, &(jet){{n * p->x * (p->b - n), 0, n * p->x}});
    multiply(p->order, &y, &(jet){{p->x}});
    multiply(p->order, &y, &over);
    if (n > 1) multiply(p->order, &y, &(jet){{p->a + (n - 1), 1, 0}}); /* else 1/a goes with the denominator before */
    return y;
}
static jet denominator(const place *p, int n) {
    if (!p->beta) return linear(p->x + 1 - p->a + 2 * n, -1, 0);
    jet y = linear(p->a + (2 * n + 1), 1, 0), t = linear(p->a + (2 * n - 1), 1, 0);
    invert(p->order, &y);
    multiply(p->order, &y, &(jet){{p->steep + 1 + n * (1 + p->y), p->y, -p->x}});
    if (n == 0) return y;
    multiply(p->order, &y, &(jet){{p->a + n, 1, 0}});
    invert(p->order, &t);
    multiply(p->order, &t, &(jet){{n * p->x * (p->b - n), 0, n * p->x}});
    add(&y, &t);
    y.at[V] += n;
    return y;
}

/* Lentz's method. */
static void fraction(const place *p, jet *y) {
    jet c = linear(0x1p1000, 0, 0), d = denominator(p, 0);
    invert(p->order, &d);
    *y = d;
    for (int n = 1; n < TERMS; n++) {
        const jet above = numerator(p, n), below = denominator(p, n);
        invert(p->order, &c);
        multiply(p->order, &c, &above);
        add(&c, &below);
        multiply(p->order, &d, &above);
        add(&d, &below);
        invert(p->order, &d);
        jet step = c;
        multiply(p->order, &step, &d);
        step.at[V] -= 1;
        multiply(p->order, &step, y);
        if (is_small(p, y, &step)) break;
    }
}

/* The fraction of beta without derivatives. */
static double value_of_fraction(const place *p) {
    double over = 1 / (p->a + 1), c = 0x1p1000, d = 1 / ((p->steep + 1) * over), y = d;
    for (int n = 1; n < TERMS; n++) {
        const double part = n * p->x * (p->b - n) * over;
        const double above = part * (p->x * (p->n + (n - 1))) * (n > 1 ? over * (p->a + (n - 1)) : over);
        over = 1 / (p->a + (2 * n + 1));
        const double below = n + part + (p->a + n) * over * (p->steep + 1 + n * (1 + p->y));
        c = below + above / c;
        d = 1 / (below + above * d);
        y *= c * d;
        if (fabs(c * d - 1) < p->rounding) break;
    }
    return y;
}

/* a times the integral. */
static jet integral(const place *p) {
    const double length = reach(p);
    const bool narrow = length < 0.5, with_a = narrow || (p->upper && !p->beta);
    const jet a = linear(p->a, 1, 0);
    jet y;
    if (narrow) quadrature(p, length, &y);
    else if (p->beta && p->order == 0) y = linear(value_of_fraction(p), 0, 0);
    else if (p->beta || p->upper) fraction(p, &y);
    else series(p, &y);
    if (with_a) multiply(p->order, &y, &a);
    return y;
}

/* ---- Gamma ---- */

/* Which tail is computed: the one below x up to a + 1, whose series then has no terms that cancel. For a value that
 * goes up to 2, below which the fraction is long. */
static bool is_upper(int order, double a, double x) { return x > (order == 0 && a < 1 ? 1 : a) + 1; }
static place gamma_place(int order, double a, double x, double log_x, double rounding) {
    const bool upper = is_upper(order, a, x);
    return (place){.order = order,
                   .upper = upper,
                   .a = a,
                   .x = x,
                   .steep = upper ? x - a : a - x,
                   .log_x = log_x,
                   .rounding = rounding};
}

/* The slope of ln D/a by a, ln x − ψ(a + 1). */
static double gamma_lean(const place *p) {
    return p->a < 10 ? p->log_x - ag__ln(p->a + 1) - digamma_rest(p->a + 1)
                     : log_ratio(p->log_x, p->a, p->x - p->a) - digamma_rest(p->a) - 1 / p->a;
}

/* Only the first derivative, as samples have it: without jets, in a third of the time. With L the integral below x and
 * U that beyond, the slope of ln x is −(ln x − ψ(a))·L − ∂L/∂a or, the same, (ln x − ψ(a))·U + ∂U/∂a. */

static double digamma(double x) { return digamma_rest(x) + ag__ln(x); }

/* L = Σ c(n), c(n) = xⁿ/(a·(a+1)⋯(a+n)), each with the slope −c(n)·(1/a + h(n)), h(n) = 1/(a+1) + … + 1/(a+n). The
 * 1/a is that of ψ(a) = ψ(a+1) − 1/a. */
static double slope_by_series(double a, double x, double log_x, double rounding) {
    double c = 1 / a, h = 0, sum = c, weighted = 0;
    for (int n = 1; n < TERMS; n++) {
        const double over = 1 / (a + n);
        c *= x * over;
        h += over;
        sum += c;
        weighted += c * h;
        if (c * h < weighted * rounding && c < sum * rounding) break;
    }
    return weighted - (log_x - digamma(a + 1)) * sum;
}

/* U = 1/(x+1−a − 1·(1−a)/(x+3−a − 2·(2−a)/(x+5−a − …))), by Lentz's method, with derivatives by a. */
static double slope_by_fraction(double a, double x, double log_x, double rounding) {
    double b = x + 1 - a, c = 0x1p1000, c_a = 0, d = 1 / b, d_a = d * d, y = d, y_a = d_a;
    for (int n = 1; n < TERMS; n++) {
        const double p = -n * (n - a), below_d = p * d + (b += 2);
        c_a = -1 + n / c - p / c * (c_a / c);
        c = b + p / c;
        d_a = -(n * d + p * d_a - 1) / (below_d * below_d);
        d = 1 / below_d;
        const double factor = c * d, factor_a = c_a * d + c * d_a;
        y_a = y_a * factor + y * factor_a;
        y *= factor;
        if (fabs(factor - 1) < 4 * rounding && fabs(y * factor_a) < 4 * rounding * fabs(y_a)) break;
    }
    return (log_x - digamma(a)) * y + y_a;
}

/* A large a with x near it: the slope of x in powers of 1/a, whose coefficients are functions of d = x/a − 1 and follow
 * from one another by the slope's differential equation in x. The first is (1 + d)·ln(1 + d)/d. */
static double slope_near_large(double a, double x) {
    static const double one[] = {-1. / 495, 1. / 360, -1. / 252, 1. / 168, -1. / 105,
                                 1. / 60,   -1. / 30, 1. / 12,   1. / 6};
    static const double two[] = {-1. / 2520, 0, 1. / 840, -1. / 210, 1. / 60, 1. / 60};
    static const double three[] = {1. / 420, -1. / 840, -1. / 105};
    const double d = (x - a) / a, first = fabs(d) < 1e-8 ? 1 + 0.5 * d : (1 + d) * ag__ln_1_plus(d) / d;
    const double rest = polynomial(9, one, d) + (polynomial(6, two, d) + polynomial(3, three, d) / a) / a;
    return (first + rest / a) / x;
}

double ag__gamma_log_slope(double a, double x, double log_x, double rounding) {
    if (a > 1000 && fabs(x - a) < 0.1 * a) return slope_near_large(a, x);
    return x <= a + 1 ? slope_by_series(a, x, log_x, rounding) : slope_by_fraction(a, x, log_x, rounding);
}

double ag__gamma_log_bend(double a, double x, double log_x, double rounding) {
    const place p = gamma_place(2, a, x, log_x, rounding);
    const jet c = integral(&p);
    const double u = gamma_lean(&p), y = (u * c.at[V] + c.at[A]) / a;
    return (p.upper ? 1 : -1) * (u * c.at[A] + c.at[AA] - ag__trigamma(a + 1) * c.at[V] - y) / a;
}

/* D/a times e^shift is an exponential over *over. Below 10, Γ(a + 1) is that of z = a + 10 over a product; Stirling's
 * formula has it from z = 10 on. `log` and `log_z` differ by ln(x/z). */
static double above_ten(double a) { return a < 10 ? a + 10 : a; }
static double gamma_exponent(double a, double x, double log, double log_z, double shift, double *over) {
    const double z = above_ten(a), z2 = z * z, error = ag__stirling_error(z);
    const double straight = (a * log + shift) + (z - x - a * log_z);
    double product = 1;
    bool far;
    *over = sqrt(TWO_PI * z);
    if (a < 10) {
        for (int k = 1; k <= 10; k++) product *= a + k;
        *over *= z2 * z2 * (z2 * z2) * z2 / product;
        return straight - error;
    }
    const double near = near_deviance(a, x, &far);
    return (far ? straight : shift - near) - error;
}

/* The exponents of tiny numbers are large, and may cancel. */
static double gamma_peak(const place *p, double shift) {
    const bool few = p->a < 10;
    double over;
    const double log = few ? p->log_x : ag__ln(p->x / p->a), log_z = few ? ag__ln(above_ten(p->a)) : 0;
    return ag__e_to(gamma_exponent(p->a, p->x, log, log_z, shift, &over)) / over;
}

/* 1 − P for a < 1 and x <= 2, where P may be nearly 1: P is x^a/Γ(a + 1) times 1 + a·Σ (−x)^k/(k!·(a + k)), k > 0. */
static double gamma_rest(const place *p) {
    double power = 1, y = 0;
    for (int k = 1; k < 40; k++) y += (power *= -p->x / k) / (p->a + k);
    const double log_first = p->a * p->log_x - ag__lgamma_1p(p->a);
    return -e_to_less_1(log_first) - ag__e_to(log_first) * p->a * y;
}

/* P(a, x), or Q = 1 − P. */
static double gamma_mass(double a, double x, double rounding, bool beyond) {
    if (!(a >= 0 && x >= 0) || (a == 0 && x == 0) || (a > DBL_MAX && x > DBL_MAX)) return (double)NAN;
    if (a == 0 || x > DBL_MAX) return !beyond;
    if (x == 0 || a > DBL_MAX) return beyond;
    const place p = gamma_place(0, fmax(a, TINY), x, ag__ln(x), rounding);
    const double lost = fmin(a / TINY, 1); /* Q is proportional to a where that is tiny */
    if (beyond && a < 1 && !p.upper) return lost * gamma_rest(&p);
    const double y = gamma_peak(&p, 0) * integral(&p).at[V];
    return p.upper != beyond ? 1 - y : p.upper ? lost * y : y > 1 ? 1 : y;
}

/* ---- The same in lanes, where the tail is wide ----
 *
 * Terms are added four at a time, until a lane needs no more: the others do not change its value. */

enum { LANES = 8 };
typedef struct lot { /* elements of which the same tail is computed */
    int count;
    int64_t at[LANES];
    double a[LANES], x[LANES];
} lot;

#define EACH_LANE AG_SIMD for (int i = 0; i < LANES; i++)

static void peaks(const double *a, const double *x, double *y) {
    double over[LANES];
    for (int i = 0; i < LANES; i++) y[i] = x[i] / above_ten(a[i]);
    ag__each(&ag__op_log, LANES, y);
    for (int i = 0; i < LANES; i++) y[i] = gamma_exponent(a[i], x[i], y[i], 0, 0, &over[i]);
    ag__each(&ag__op_exp, LANES, y);
    EACH_LANE y[i] /= over[i];
}

static void series_of_lanes(const double *a, const double *x, double rounding, double *y) {
    double term[LANES], left = 1;
    EACH_LANE y[i] = term[i] = 1;
    for (double n = 1; n < TERMS && left > 0; n += 4) {
        left = 0;
        EACH_LANE {
            const double p = a[i] + n, q = p + 1, r = p + 2, s = p + 3, rs = r * s, qrs = q * rs, v = x[i];
            const double next = term[i] * v / (p * qrs), last = next * v * (v * v);
            y[i] += next * (qrs + v * (rs + v * (s + v)));
            term[i] = last > rounding * y[i] ? last : 0;
        }
        for (int i = 0; i < LANES; i++) left += term[i];
    }
}

/* Numerators and denominators of the fraction; now and then divided by the last denominator. */
static void fraction_of_lanes(const double *a, const double *x, double rounding, double *y) {
    double q[LANES], u[LANES], before_u[LANES], v[LANES], before_v[LANES], open[LANES], left = 1;
    EACH_LANE y[i] = before_u[i] = 0, u[i] = before_v[i] = open[i] = 1, v[i] = q[i] = x[i] + 1 - a[i];
    for (double n = 1; n < TERMS && left > 0;) {
        left = 0;
        for (int k = 0; k < 4; k++, n++) EACH_LANE {
                const double p = n * (a[i] - n), above = u[i], below = v[i];
                q[i] += 2;
                u[i] = q[i] * above + p * before_u[i], before_u[i] = above;
                v[i] = q[i] * below + p * before_v[i], before_v[i] = below;
            }
        EACH_LANE {
            const double scale = 1 / v[i], next = u[i] * scale, step = fabs(next - y[i]);
            y[i] = open[i] > 0 ? next : y[i];
            open[i] = step > rounding * next ? open[i] : 0;
            u[i] = next, v[i] = 1, before_u[i] *= scale, before_v[i] *= scale;
        }
        for (int i = 0; i < LANES; i++) left += open[i];
    }
}

static void run_lot(ag_dtype dtype, void *to, lot *l, bool upper, double rounding, bool beyond) {
    double peak[LANES], y[LANES];
    for (int i = l->count; i < LANES; i++) l->a[i] = l->a[0], l->x[i] = l->x[0];
    peaks(l->a, l->x, peak);
    (upper ? fraction_of_lanes : series_of_lanes)(l->a, l->x, rounding, y);
    for (int i = 0; i < l->count; i++) {
        const double part = upper ? peak[i] * l->a[i] * y[i] : fmin(peak[i] * y[i], 1);
        ag__put_element(dtype, to, l->at[i], upper != beyond ? 1 - part : part);
    }
    l->count = 0;
}

static void gamma_masses(ag_dtype dtype, int64_t n, void *y, const void *const x[], bool beyond) {
    const double rounding = dtype == AG_F32 ? 0x1p-28 : 0x1p-54;
    lot lots[4] = {0};
    for (int64_t i = 0; i < n; i++) {
        const double a = ag__get_element(dtype, x[0], i), v = ag__get_element(dtype, x[1], i);
        const bool upper = is_upper(0, a, v);
        if (a >= (beyond && !upper ? 1 : TINY) && v >= TINY && v + 4 * fabs(v - a) < 367) {
            lot *l = &lots[2 * (a < 10) + upper];
            l->at[l->count] = i, l->a[l->count] = a, l->x[l->count] = v;
            if (++l->count == LANES) run_lot(dtype, y, l, upper, rounding, beyond);
        } else ag__put_element(dtype, y, i, gamma_mass(a, v, rounding, beyond));
    }
    for (int k = 0; k < 4; k++)
        if (lots[k].count > 0) run_lot(dtype, y, &lots[k], k & 1, rounding, beyond);
}

static bool has_slope(const double *x) { return x[0] >= 0 && x[1] >= 0 && !(x[0] > DBL_MAX && x[1] > DBL_MAX); }

/* ∂P/∂a, or ∂²P/∂a²: 0 at both ends, and where P is constant as a is ∞. */
static double gamma_slope_at(const double *x, double order, double rounding) {
    if (!has_slope(x)) return (double)NAN;
    if (x[1] == 0 || x[1] > DBL_MAX || x[0] > DBL_MAX) return 0;
    const place p = gamma_place((int)order, fmax(x[0], TINY), x[1], ag__ln(x[1]), rounding);
    const double peak = gamma_peak(&p, 0), u = gamma_lean(&p);
    if (order < 2) return -peak * p.a * ag__gamma_log_slope(p.a, p.x, p.log_x, rounding);
    const jet c = integral(&p);
    return (p.upper ? -1 : 1) * peak * (u * (u * c.at[V] + 2 * c.at[A]) + c.at[AA] - ag__trigamma(p.a + 1) * c.at[V]);
}

/* x^(a − 1)·e^−x/Γ(a) */
static double gamma_density_at(const double *x, double order, double rounding) {
    (void)order, (void)rounding;
    if (!has_slope(x)) return (double)NAN;
    if (x[1] == 0) return x[0] < 1 ? (double)INFINITY : x[0] == 1;
    if (x[1] > DBL_MAX || x[0] == 0 || x[0] > DBL_MAX) return 0;
    const place p = gamma_place(0, x[0], x[1], ag__ln(x[1]), rounding);
    const double peak = gamma_peak(&p, 0), slope = p.a / p.x;
    return peak >= TINY && slope <= DBL_MAX ? peak * slope : gamma_peak(&p, ag__ln(p.a) - p.log_x);
}

/* ---- Beta ---- */

/* The tail at x, or `upper` that of 1 − x with a and b exchanged: so the first denominator of the fraction is well
 * above 0. Where b is small it converges well further on. */
static place beta_place(int order, double a, double b, double x, double rounding) {
    a = fmax(a, TINY), b = fmax(b, TINY);
    const double y = 1 - x, steep = a * y - b * x;
    const bool upper = x * (a + b + 1) >= a + 0.5 && (b >= 1 || a * y < 1);
    return (place){.order = order,
                   .beta = true,
                   .upper = upper,
                   .a = upper ? b : a,
                   .b = upper ? a : b,
                   .x = upper ? y : x,
                   .y = upper ? x : y,
                   .n = a + b,
                   .steep = upper ? -steep : steep,
                   .rounding = rounding};
}

/* ln Γ(b + a) − ln Γ(b), relative to it where a is small. */
static double lgamma_step(double b, double a) {
    double y = 0;
    for (; b < 10; b++) y -= ag__ln_1_plus(a / b);
    const double mid = b + 0.5 * a, small = a * (digamma_rest(mid) + 0.5 / mid);
    const double curved = a < 1e-4 ? small : ag__stirling_error(a + b) - ag__stirling_error(b);
    return y + (a + b - 0.5) * ag__ln_1_plus(a / b) + a * (ag__ln(b) - 1) + curved;
}

/* As gamma_rest, for a < 1: I is x^a/(a·B(a, b)) times 1 + a·Σ (1 − b)⋯(k − b)·x^k/(k!·(a + k)), k > 0. */
static double beta_rest(const place *p) {
    double power = 1, y = 0, before = 1;
    for (int k = 1; k < TERMS && y != before; k++) before = y, y += (power *= (k - p->b) / k * p->x) / (p->a + k);
    const double log_first = p->a * ag__ln(p->x) - ag__lgamma_1p(p->a) + lgamma_step(p->b, p->a);
    return -e_to_less_1(log_first) - ag__e_to(log_first) * p->a * y;
}

/* ln x for x = 1 − y, of which the smaller has no error. */
static double log_beside(double x, double y) { return y < 0.5 ? ag__ln_1_plus(-y) : ag__ln(x); }

/* D/a times e^shift. */
static double beta_peak(const place *p, double shift) {
    const double a = p->a, b = p->b, n = p->n, s = fmin(a, b), l = fmax(a, b);
    double exponent, factor;
    if (s < 1) {
        exponent = a * log_beside(p->x, p->y) + b * log_beside(p->y, p->x) + lgamma_step(l, s) - ag__lgamma_1p(s);
        factor = s / a;
    } else {
        exponent = ag__stirling_error(n) - ag__stirling_error(a) - ag__stirling_error(b);
        exponent -= ag__deviance(a, n * p->x) + ag__deviance(b, n * p->y);
        factor = sqrt(b / n) / sqrt(a) / sqrt(TWO_PI); /* the square could be too small */
    }
    return shift == 0 ? ag__e_to(exponent) * factor : ag__e_to(exponent + (shift + ag__ln(factor)));
}

/* The value, or the derivative of this number. */
static double beta_part(const double *v, int part, double rounding) {
    const place p = beta_place(part == V ? 0 : part < AA ? 1 : 2, v[0], v[1], v[2], rounding);
    if (part == V && p.upper && p.a < 1) return beta_rest(&p);
    const double a = p.a, b = p.b, n = p.n, of_n = digamma_rest(n), log_n = ag__ln(n);
    jet d = {{1}};
    if (p.order > 0) {
        d.at[A] = a < 10 ? ag__ln(p.x) - ag__ln(a + 1) - digamma_rest(a + 1) + log_n + of_n
                         : log_ratio(ag__ln(n * p.x), a, -p.steep) - digamma_rest(a) - 1 / a + of_n;
        d.at[B] = b < 10 ? ag__ln(p.y) - ag__ln(b) - digamma_rest(b) + log_n + of_n
                         : log_ratio(ag__ln(n * p.y), b, p.steep) - digamma_rest(b) + of_n;
    }
    if (p.order > 1) {
        const double bend = ag__trigamma(n);
        d.at[AA] = d.at[A] * d.at[A] + bend - ag__trigamma(a + 1);
        d.at[AB] = d.at[A] * d.at[B] + bend;
        d.at[BB] = d.at[B] * d.at[B] + bend - ag__trigamma(b);
    }
    static const int mirrored[] = {V, B, A, BB, AB, AA};
    const jet whole = integral(&p);
    multiply(p.order, &d, &whole);
    const double y = beta_peak(&p, 0) * d.at[p.upper ? mirrored[part] : part];
    return p.upper ? (part == V ? 1 - y : -y) : part == V && y > 1 ? 1 : y;
}

static bool beta_valid(const double *v) {
    const double a = v[0], b = v[1], x = v[2];
    return a >= 0 && b >= 0 && x >= 0 && x <= 1 && !(a == 0 && b == 0) && !(a > DBL_MAX && b > DBL_MAX);
}
static double beta_at(const double *v, double order, double rounding) {
    (void)order;
    if (!beta_valid(v)) return (double)NAN;
    if (v[2] == 0 || v[2] == 1) return v[2];
    if (v[0] == 0 || v[1] > DBL_MAX) return 1;
    if (v[1] == 0 || v[0] > DBL_MAX) return 0;
    return beta_part(v, V, rounding);
}
static double beta_slope_at(const double *v, double part, double rounding) {
    if (!beta_valid(v)) return (double)NAN;
    return v[2] == 0 || v[2] == 1 || v[0] > DBL_MAX || v[1] > DBL_MAX ? 0 : beta_part(v, (int)part, rounding);
}

/* x^(a − 1)·(1 − x)^(b − 1)/B(a, b) */
static double beta_density_at(const double *v, double order, double rounding) {
    (void)order;
    if (!beta_valid(v)) return (double)NAN;
    const place p = beta_place(0, v[0], v[1], v[2], rounding);
    const double at_end = v[2] == 0 ? v[0] : v[1], other = v[2] == 0 ? v[1] : v[0];
    if (v[2] == 0 || v[2] == 1) return at_end < 1 ? (double)INFINITY : at_end > 1 ? 0 : other;
    if (v[0] > DBL_MAX || v[1] > DBL_MAX) return 0;
    const double a = p.upper ? v[1] : v[0], b = p.upper ? v[0] : v[1];
    const double lost = a / p.a * (b / p.b) * (p.n / (a + b)); /* 1, unless one is tiny */
    const double peak = beta_peak(&p, 0), slope = p.a / p.x / p.y;
    if (peak >= TINY && slope <= DBL_MAX) return peak * lost * slope;
    return beta_peak(&p, ag__ln(lost) + ag__ln(p.a) - ag__ln(p.x) - ag__ln(p.y));
}

/* ---- The operations ---- */

typedef double function(const double *x, double order, double rounding);

static void each(ag_dtype dtype, int arity, int64_t n, void *y, const void *const x[], const double *order,
                 function *f) {
    for (int64_t i = 0; i < n; i++) {
        double v[3];
        for (int k = 0; k < arity; k++) v[k] = ag__get_element(dtype, x[k], i);
        ag__put_element(dtype, y, i, f(v, order ? *order : 0, dtype == AG_F32 ? 0x1p-28 : 0x1p-54));
    }
}

/* `number` is `attributes` for operations that have some, else NULL: nothing else is there then. */
#define KERNELS(name, arity, number, at)                                                                               \
    static void name##_f32(int64_t n, void *y, const void *const x[], const void *attributes) {                        \
        (void)attributes;                                                                                              \
        each(AG_F32, arity, n, y, x, number, at);                                                                      \
    }                                                                                                                  \
    static void name##_f64(int64_t n, void *y, const void *const x[], const void *attributes) {                        \
        (void)attributes;                                                                                              \
        each(AG_F64, arity, n, y, x, number, at);                                                                      \
    }

#define MASSES(name, dtype, beyond)                                                                                    \
    static void name(int64_t n, void *y, const void *const x[], const void *attributes) {                              \
        (void)attributes;                                                                                              \
        gamma_masses(dtype, n, y, x, beyond);                                                                          \
    }
MASSES(gammainc_f32, AG_F32, false)
MASSES(gammainc_f64, AG_F64, false)
MASSES(gammaincc_f32, AG_F32, true)
MASSES(gammaincc_f64, AG_F64, true)
KERNELS(gammainc_slope, 2, attributes, gamma_slope_at)
KERNELS(gamma_density, 2, NULL, gamma_density_at)
KERNELS(betainc, 3, NULL, beta_at)
KERNELS(betainc_slope, 3, attributes, beta_slope_at)
KERNELS(beta_density, 3, NULL, beta_density_at)

#define BLOCKS(name) .block = {[AG_F32] = name##_f32, [AG_F64] = name##_f64}

/* The derivative's number: 1 or 2 for gamma, A … BB for beta. */
static bool number_infer(ag_infer *r) {
    const double order = *(const double *)r->attributes, most = r->n == 2 ? 2 : BB;
    for (int i = 1; i < r->n; i++)
        if (ag_dtype_of(r->x[i]) != ag_dtype_of(r->x[0]))
            return ag_reject(r, AG_ERR_DTYPE, "dtypes %s and %s differ", ag_dtype_name(ag_dtype_of(r->x[0])),
                             ag_dtype_name(ag_dtype_of(r->x[i])));
    return (order >= 1 && order <= most && order == floor(order)) ||
           ag_reject(r, AG_ERR_RANGE, "the derivative must have a number from 1 to %d", (int)most);
}

static ag_tensor *no_third(const char *name, ag_tensor *y, int n) {
    return ag__fail(name, n, y->input, AG_ERR_GRADIENT, "has no third derivative by its parameters");
}

/* ln x − ψ(a), the slope of ln f by a. */
static ag_tensor *lean(ag_tensor *a, ag_tensor *x) { return ag_sub(ag_log(x), ag_digamma(a)); }

/* f·s, 0 where f is. */
static ag_tensor *gamma_density(ag_tensor *a, ag_tensor *x) { return ag__apply2(&ag__op_gamma_density, a, x); }

AG_BINARY(gamma_density, "{1}^({0} - 1) * e^(-{1}) / Γ({0})", ag__slope_mul(g, ag_strong_mul(y, lean(a, b))),
          ag__slope_mul(g, ag_strong_mul(y, ag_add_scalar(ag_div(ag_add_scalar(a, -1), b), -1))),
          .domain = {{.above = 0, .below = INFINITY}, {.above = 0, .below = INFINITY}}, BLOCKS(gamma_density));

static ag_tensor *gamma_slope(double order, ag_tensor *a, ag_tensor *x) {
    return ag_apply(&ag__op_gammainc_slope, 2, (ag_tensor *[]){a, x}, &order, sizeof order);
}
static ag_tensor *gammainc_slope_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const double order = *(const double *)ag__attributes(y);
    ag_tensor *a = y->input[0], *x = y->input[1], *u = i == 0 ? NULL : lean(a, x);
    if (i == 0) return order > 1 ? no_third("gammainc", y, 2) : ag__slope_mul(g, gamma_slope(2, a, x));
    if (order > 1) u = ag_sub(ag_square(u), ag_polygamma(1, a));
    return ag__slope_mul(g, ag_strong_mul(gamma_density(a, x), u));
}
AG_ELEMENTWISE(gammainc_slope, 2, NULL, .attribute_bytes = sizeof(double), .infer = number_infer,
               .vjp = gammainc_slope_vjp, .domain = {{.above = 0, .below = INFINITY}, {.above = 0, .below = INFINITY}},
               BLOCKS(gammainc_slope));

AG_BINARY(gammainc, "gammainc({0}, {1})", ag__slope_mul(g, gamma_slope(1, a, b)), ag__slope_mul(g, gamma_density(a, b)),
          .domain = {{.above = 0, .below = INFINITY}, {.above = 0, .below = INFINITY}}, BLOCKS(gammainc));
ag_tensor *ag_gammainc(ag_tensor *a, ag_tensor *x) { return ag__apply2(&ag__op_gammainc, a, x); }

AG_BINARY(gammaincc, "gammaincc({0}, {1})", ag_neg(ag__slope_mul(g, gamma_slope(1, a, b))),
          ag_neg(ag__slope_mul(g, gamma_density(a, b))),
          .domain = {{.above = 0, .below = INFINITY}, {.above = 0, .below = INFINITY}}, BLOCKS(gammaincc));
ag_tensor *ag_gammaincc(ag_tensor *a, ag_tensor *x) { return ag__apply2(&ag__op_gammaincc, a, x); }

/* The slope of ln f by a, or by b, and those of that. */
static ag_tensor *beta_lean(ag_tensor *const v[], int i) {
    ag_tensor *log_x = i == 0 ? ag_log(v[2]) : ag_log1p(ag_neg(v[2]));
    return ag_sub(log_x, ag__lbeta_slope(v[i], v[1 - i]));
}
static ag_tensor *beta_bend(ag_tensor *const v[], int i, int k) {
    return i == k ? ag_neg(ag__lbeta_bend(v[i], v[1 - i])) : ag_polygamma(1, ag_add(v[0], v[1]));
}

static ag_tensor *beta_density(ag_tensor *const v[]) { return ag_apply(&ag__op_beta_density, 3, v, NULL, 0); }

static ag_tensor *beta_density_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *const *v = y->input, *s = i < 2 ? beta_lean(v, i) : NULL;
    if (i == 2)
        s = ag_sub(ag_div(ag_add_scalar(v[0], -1), v[2]), ag_div(ag_add_scalar(v[1], -1), ag_rsub_scalar(1, v[2])));
    return ag__slope_mul(g, ag_strong_mul(y, s));
}
AG_ELEMENTWISE(beta_density, 3, "{2}^({0} - 1) * (1 - {2})^({1} - 1) / B({0}, {1})", .vjp = beta_density_vjp,
               .domain = {{.above = 0, .below = INFINITY}, {.above = 0, .below = INFINITY}}, BLOCKS(beta_density));

static ag_tensor *beta_slope(double part, ag_tensor *const v[]) {
    return ag_apply(&ag__op_betainc_slope, 3, v, &part, sizeof part);
}
static ag_tensor *betainc_slope_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const int part = (int)*(const double *)ag__attributes(y), first = part == B || part == BB, second = part != AA;
    ag_tensor *const *v = y->input;
    if (i < 2 && part >= AA) return no_third("betainc", y, 3);
    if (i < 2) return ag__slope_mul(g, beta_slope(i != first ? AB : i == 0 ? AA : BB, v));
    ag_tensor *s = beta_lean(v, first);
    if (part >= AA) s = ag_add(ag_mul(s, beta_lean(v, second)), beta_bend(v, first, second));
    return ag__slope_mul(g, ag_strong_mul(beta_density(v), s));
}
AG_ELEMENTWISE(betainc_slope, 3, NULL, .attribute_bytes = sizeof(double), .infer = number_infer,
               .vjp = betainc_slope_vjp, .domain = {{.above = 0, .below = INFINITY}, {.above = 0, .below = INFINITY}},
               BLOCKS(betainc_slope));

static ag_tensor *betainc_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag__slope_mul(g, i < 2 ? beta_slope(i == 0 ? A : B, y->input) : beta_density(y->input));
}
AG_ELEMENTWISE(betainc, 3, "betainc({0}, {1}, {2})", .vjp = betainc_vjp,
               .domain = {{.above = 0, .below = INFINITY}, {.above = 0, .below = INFINITY}}, BLOCKS(betainc));
ag_tensor *ag_betainc(ag_tensor *a, ag_tensor *b, ag_tensor *x) {
    return ag_apply(&ag__op_betainc, 3, (ag_tensor *[]){a, b, x}, NULL, 0);
}
