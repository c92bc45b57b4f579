/* test_mpfr -- every elementwise function of real numbers against MPFR: the largest error over the whole range, in units of
 * the last place, is what the headers say
 *
 *     test_mpfr [--points N] [--only NAME|sums|incomplete] [--measure f64|f32|slopes|SUM] HEADER…
 *
 * The headers say it in lines such as
 *
 *     Units of f64: exp 0.93, log 0.96;
 *
 * also of f32, of slopes, which are derivatives of f64, and of sums. --points takes as many of each kind, and prints the
 * largest errors and where they are: tests/accuracy.py makes docs/accuracy.md of that. */
#include "tests/judge.h"
#include "tests/judge_incomplete.h"
#include "tests/support.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EACH = 4096, BITS = 80, CLOSE = 120, SLOPE_BITS = 400, SLOPE_SHARE = 20, TEXT = 1 << 16 };

static struct {
    int64_t points; /* 0: not chosen */
    const char *only, *measure;
    int headers;
    char **header;
} options;

/* ---- Points ---- */

static uint64_t random_state;

static uint64_t draw(void) {
    uint64_t z = random_state += 0x9E3779B97F4A7C15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static double unit(void) { return (double)(draw() >> 11) * 0x1p-53; }

static double signed_by(uint64_t bit, double x) { return bit & 1 ? -x : x; }

/* Any pattern of bits. */
static double any_pattern(ag_dtype dtype) {
    const uint64_t bits = draw();
    const uint32_t narrow = (uint32_t)(bits >> 32);
    double x;
    float y;
    memcpy(&x, &bits, sizeof x);
    memcpy(&y, &narrow, sizeof y);
    return dtype == AG_F32 ? (double)y : x;
}

/* A number with an exponent from −low to high. */
static double any_size(int low, int high) {
    return signed_by(draw(), ldexp(1 + unit(), (int)(draw() % (uint64_t)(low + high)) - low));
}

/* A multiple of ¼, π/2, or ln 2, or one of the function's own points. */
static double a_special(const judged *f) {
    const uint64_t r = draw();
    int own = 0;
    while (own < 6 && f->special[own] != 0) own++;
    if (own > 0 && r % 8 < 3) return f->special[(r >> 8) % (uint64_t)own];
    const int k = (int)(r >> 8 & 255) - 128;
    return r % 8 < 6 ? k / 4.0 : r % 8 == 6 ? k * 1.5707963267948966 : k * 0.69314718055994531;
}

/* At that or 2^−u of it away. */
static double near_special(const judged *f, ag_dtype dtype) {
    const double x = a_special(f), u = ldexp(unit(), -(int)(draw() % (dtype == AG_F32 ? 24 : 53)));
    return draw() % 8 == 0 ? x : x == 0 ? signed_by(draw(), u) : x * (1 + signed_by(draw(), u));
}

static double a_point(const judged *f, ag_dtype dtype) {
    switch (draw() % 8) {
    case 0: return any_pattern(dtype);
    case 1: return dtype == AG_F32 ? any_size(149, 128) : any_size(1074, 1024);
    case 2:
    case 3: return any_size(60, 12);
    case 4: return unit() * 16 - 8;
    case 5: return unit() * 1600 - 800;
    default: return near_special(f, dtype);
    }
}

/* The second of a pair, often like the first, or its opposite, or a whole number. */
static double a_partner(const judged *f, ag_dtype dtype, double a) {
    switch (draw() % 8) {
    case 0: return signed_by(draw(), a * (1 + signed_by(draw(), ldexp(1, -(int)(draw() % 53)))));
    case 1: return (double)(int64_t)(draw() % 64) - 32;
    case 2: return signed_by(draw(), a);
    default: return a_point(f, dtype);
    }
}

/* ---- Errors ---- */

typedef struct finding {
    double error, x, x2;
    int64_t points;
} finding;

static double unit_at(ag_dtype dtype, double want) {
    const double size = fabs(want), most = dtype == AG_F32 ? (double)FLT_MAX : DBL_MAX;
    if (size >= most) return dtype == AG_F32 ? 0x1p104 : 0x1p971;
    return dtype == AG_F32 ? (double)(nextafterf((float)size, INFINITY) - (float)size)
                           : nextafter(size, INFINITY) - size;
}

/* In units of the last place of the number nearest to what it should be. One that overflows counts as the number after
 * the largest. */
static double error_of(ag_dtype dtype, double got, const mpfr_t want, double size) {
    static mpfr_t difference;
    const double near = mpfr_get_d(want, MPFR_RNDN), after = dtype == AG_F32 ? 0x1p128 : INFINITY;
    if (mpfr_nan_p(want) || isnan(got)) return mpfr_nan_p(want) && isnan(got) ? 0 : INFINITY;
    if (mpfr_inf_p(want)) return got == near ? 0 : INFINITY;
    if (isinf(got) && fabs(near) >= after) return signbit(got) == signbit(near) ? 0 : INFINITY;
    if (!mpfr_custom_get_significand(difference)) mpfr_init2(difference, 64);
    if (isinf(got)) {
        mpfr_set_si_2exp(difference, got > 0 ? 1 : -1, dtype == AG_F32 ? 128 : 1024, MPFR_RNDN);
        mpfr_sub(difference, difference, want, MPFR_RNDN);
    } else mpfr_d_sub(difference, got, want, MPFR_RNDN);
    return fabs(mpfr_get_d(difference, MPFR_RNDN) / unit_at(dtype, fmax(fabs(near), size)));
}

typedef double size_of(double x, double x2);

static void look(size_of *size, ag_dtype dtype, double got, const mpfr_t want, double x, double x2, finding *worst) {
    const double error = error_of(dtype, got, want, size && isfinite(x) && isfinite(x2) ? size(x, x2) : 0);
    worst->points++;
    if (!(error <= worst->error)) *worst = (finding){error, x, x2, worst->points};
}

/* ---- Values and slopes ---- */

static ag_tensor *tensor_at(ag_dtype dtype, double x[EACH], void *narrow) {
    for (int i = 0; dtype == AG_F32 && i < EACH; i++) {
        ((float *)narrow)[i] = (float)x[i];
        x[i] = (double)((float *)narrow)[i];
    }
    return ag_wrap(tape, dtype, AG_SHAPE(EACH), dtype == AG_F32 ? narrow : x);
}

static void judge_value(const judged *f, ag_dtype dtype, double got, double x, double x2, finding *worst) {
    static mpfr_t y, a, b;
    if (!mpfr_custom_get_significand(y)) mpfr_inits2(BITS, y, a, b, (mpfr_ptr)NULL);
    mpfr_set_d(a, x, MPFR_RNDN);
    mpfr_set_d(b, x2, MPFR_RNDN);
    if (f->exactly) f->exactly(y, a);
    else f->of_two(y, a, b);
    look(f->size, dtype, got, y, x, x2, worst);
}

/* No digit of lbeta may be right below 0: there values beside poles depend on a + b, which is rounded. */
static bool is_judged_at(const judged *f, double a, double b) {
    return strcmp(f->name, "lbeta") != 0 || (a > 0 && b > 0);
}

static void look_at_values(const judged *f, ag_dtype dtype, int64_t n, finding *worst) {
    static double x[EACH], x2[EACH];
    static float narrow[EACH], narrow2[EACH];
    for (int i = 0; i < EACH; i++) {
        x[i] = a_point(f, dtype);
        x2[i] = f->two ? a_partner(f, dtype, x[i]) : 0;
    }
    const ag_mark mark = ag_tape_mark(tape);
    ag_tensor *a = tensor_at(dtype, x, narrow), *b = tensor_at(dtype, x2, narrow2);
    const void *y = ag_data(f->one ? f->one(a) : f->two(a, b));
    if (!y) ck_abort_msg("%s", ag_tape_error(tape));
    for (int i = 0; i < EACH && i < n; i++)
        if (is_judged_at(f, x[i], x2[i])) judge_value(f, dtype, element_at(dtype, y, i), x[i], x2[i], worst);
    ag_tape_rewind(tape, mark);
}

/* (f(x + h) − f(x − h))/2h, computed with so many bits; those that are right. */
static mpfr_prec_t difference_of(const judged *f, double x, mpfr_prec_t bits, mpfr_t slope) {
    static mpfr_t from, to, low, high, h;
    static bool begun;
    if (!begun) mpfr_inits2(BITS, from, to, low, high, h, (mpfr_ptr)NULL);
    begun = true;
    mpfr_set_prec(from, bits), mpfr_set_prec(to, bits), mpfr_set_prec(low, bits), mpfr_set_prec(high, bits);
    mpfr_set_d(h, x != 0 && fabs(x) < 1 ? fabs(x) : 1, MPFR_RNDN);
    mpfr_div_2ui(h, h, CLOSE, MPFR_RNDN);
    mpfr_set_d(from, x, MPFR_RNDN);
    f->exactly(high, from);
    if (!mpfr_number_p(high)) mpfr_set_nan(from); /* at a pole */
    mpfr_add(to, from, h, MPFR_RNDN);
    mpfr_sub(from, from, h, MPFR_RNDN);
    f->exactly(high, to);
    f->exactly(low, from);
    mpfr_sub(low, high, low, MPFR_RNDN);
    mpfr_mul_2ui(h, h, 1, MPFR_RNDN);
    mpfr_div(slope, low, h, MPFR_RNDN);
    return !mpfr_regular_p(low) || !mpfr_regular_p(high) ? 0 : bits - (mpfr_get_exp(high) - mpfr_get_exp(low));
}

/* The derivative, with an h so small that the rest is beyond a hundred bits, and as many bits as that takes. */
static void derivative(const judged *f, double x, mpfr_t slope) {
    mpfr_prec_t bits = SLOPE_BITS + (x == 0 ? 0 : abs(ilogb(x)));
    const mpfr_prec_t right = difference_of(f, x, bits, slope);
    if (right < BITS && mpfr_regular_p(slope)) difference_of(f, x, bits + 2 * BITS - right, slope);
    else if (right < BITS && mpfr_zero_p(slope)) difference_of(f, x, 6 * bits, slope);
}

/* Slopes that are normal numbers, and so small that no step on the way overflows, are judged. */
static void look_at_slopes(const judged *f, int64_t n, finding *worst) {
    static double x[EACH];
    static mpfr_t slope;
    if (!mpfr_custom_get_significand(slope)) mpfr_init2(slope, BITS);
    for (int i = 0; i < EACH; i++) x[i] = a_point(f, AG_F64);
    const ag_mark mark = ag_tape_mark(tape);
    ag_tensor *at = ag_wrap(tape, AG_F64, AG_SHAPE(EACH), x), *y = f->one(at), *dx = NULL;
    ag_tensor *ones = ag_ones(tape, AG_F64, AG_SHAPE(EACH));
    ag_vjp(1, &y, &ones, 1, &at, &dx, 0);
    const double *got = ag_data(dx);
    if (!got) ck_abort_msg("%s", ag_tape_error(tape));
    for (int i = 0; i < EACH && i < n; i++) {
        if (!isfinite(x[i]) || x[i] == 0) continue; /* a slope may be infinite at 0 */
        derivative(f, x[i], slope);
        const double near = mpfr_get_d(slope, MPFR_RNDN);
        if (isnormal(near) && fabs(near) < DBL_MAX / 4) look(f->slope_size, AG_F64, got[i], slope, x[i], 0, worst);
    }
    ag_tape_rewind(tape, mark);
}

/* ---- Claims ---- */

typedef enum measure { WIDE, NARROW, SLOPE, MEASURES } measure;
static const char *const measure_names[] = {"f64", "f32", "slopes"}, *const claimed[] = {"Units of f64", "Units of f32",
                                                                                         "Units of slopes"};

static finding worst_of(const judged *f, measure m, int64_t points) {
    finding worst = {0, 0, 0, 0};
    random_state = (uint64_t)m;
    points = points / f->share / (m == SLOPE ? SLOPE_SHARE : 1);
    for (int64_t done = 0; done <= points; done += EACH) {
        be_patient();
        if (m == SLOPE) look_at_slopes(f, points - done, &worst);
        else look_at_values(f, m == WIDE ? AG_F64 : AG_F32, points - done, &worst);
    }
    return worst;
}

static bool is_judged(const judged *f, measure m) { return m < SLOPE || f->slope; }

/* The number behind a function's name in a text, after "WHAT:"; NaN if there is none. */
static double claim_in(const char *text, const char *name, const char *what) {
    char start[32];
    snprintf(start, sizeof start, "%s:", what);
    for (const char *at = strstr(text, start); at; at = strstr(at, start)) {
        at += strlen(start);
        for (const char *end = strchr(at, ';'); at && at < end; at = strchr(at, ',')) {
            at += strspn(at, " ,*\n");
            const size_t n = strcspn(at, " ");
            if (n == strlen(name) && strncmp(at, name, n) == 0) return strtod(at + n, NULL);
        }
        if (!at) break;
    }
    return NAN;
}

static double claim_of(const char *name, const char *what) {
    static char text[TEXT];
    for (int i = 0; i < options.headers; i++) {
        FILE *from = fopen(options.header[i], "r");
        ck_assert_msg(from != NULL, "%s cannot be read", options.header[i]);
        text[fread(text, 1, TEXT - 1, from)] = 0;
        fclose(from);
        const double claim = claim_in(text, name, what);
        if (!isnan(claim)) return claim;
    }
    return NAN;
}

static void check_claim(const judged *f, measure m) {
    const double claim = claim_of(f->name, claimed[m]);
    const finding worst = worst_of(f, m, by_length(200, 2000, 100000));
    ck_assert_msg(!isnan(claim), "no header says how wrong %s is: %s", f->name, measure_names[m]);
    ck_assert_msg(worst.error <= claim, "%s, %s: wrong by %g units at %a, %a; the header says %g", f->name,
                  measure_names[m], worst.error, worst.x, worst.x2, claim);
}

START_TEST(errors_are_what_headers_say) {
    for (measure m = WIDE; m < MEASURES; m++)
        if (is_judged(&judged_functions[_i], m)) check_claim(&judged_functions[_i], m);
}
END_TEST

/* ---- Sums: errors in units of ε·Σ|terms|, of numbers that cancel ----
 *
 * ε is 2⁻⁵² or 2⁻²³, so that a result that is rounded once is within ½. */

enum { LONGEST = 1 << 20, SUM_BITS = 256 };
static double terms[LONGEST], factors[LONGEST];
static ag_dtype sum_dtype;

/* Uniform, or of very different sizes, or all alike but for rounding. */
static void fill_terms(ag_dtype dtype, int64_t n, int how) {
    for (int64_t i = 0; i < n; i++) {
        terms[i] = how == 0 ? 2 * unit() - 1 : how == 1 ? any_size(12, 12) : 1 + unit() / 64;
        factors[i] = 2 * unit() - 1;
        if (dtype == AG_F32) terms[i] = (double)(float)terms[i], factors[i] = (double)(float)factors[i];
    }
}

typedef struct sum_judge {
    const char *name;
    ag_tensor *(*call)(ag_tensor *x, ag_tensor *w);
    /* Adds term i to `sum`, and its magnitude to `size`. */
    void (*add)(mpfr_t sum, mpfr_t size, int64_t i);
    /* From the sum of n terms and their size to the result and what its error is relative to; or NULL. */
    void (*finish)(mpfr_t sum, mpfr_t size, int64_t n);
} sum_judge;

static void add_number(mpfr_t sum, mpfr_t size, const mpfr_t x) {
    mpfr_add(sum, sum, x, MPFR_RNDN);
    if (mpfr_sgn(x) < 0) mpfr_sub(size, size, x, MPFR_RNDN);
    else mpfr_add(size, size, x, MPFR_RNDN);
}

static mpfr_t *number_of(double x) {
    static mpfr_t t;
    if (!mpfr_custom_get_significand(t)) mpfr_init2(t, SUM_BITS);
    mpfr_set_d(t, x, MPFR_RNDN);
    return &t;
}

static void add_term(mpfr_t sum, mpfr_t size, int64_t i) { add_number(sum, size, *number_of(terms[i])); }

static void add_product(mpfr_t sum, mpfr_t size, int64_t i) {
    mpfr_t *t = number_of(terms[i]);
    mpfr_mul_d(*t, *t, factors[i], MPFR_RNDN);
    add_number(sum, size, *t);
}

static void add_square(mpfr_t sum, mpfr_t size, int64_t i) {
    mpfr_t *t = number_of(terms[i]);
    mpfr_sqr(*t, *t, MPFR_RNDN);
    add_number(sum, size, *t);
}

static void add_power(mpfr_t sum, mpfr_t size, int64_t i) {
    mpfr_t *t = number_of(terms[i]);
    mpfr_exp(*t, *t, MPFR_RNDN);
    add_number(sum, size, *t);
}

static void add_size(mpfr_t sum, mpfr_t size, int64_t i) {
    mpfr_t *t = number_of(fabs(terms[i]));
    add_number(sum, size, *t);
}

static void add_cube(mpfr_t sum, mpfr_t size, int64_t i) {
    mpfr_t *t = number_of(fabs(terms[i]));
    mpfr_pow_ui(*t, *t, 3, MPFR_RNDN);
    add_number(sum, size, *t);
}

/* Numbers in `sum`, their squares in `size`. */
static void add_both(mpfr_t sum, mpfr_t size, int64_t i) {
    mpfr_t *t = number_of(terms[i]);
    mpfr_add(sum, sum, *t, MPFR_RNDN);
    mpfr_sqr(*t, *t, MPFR_RNDN);
    mpfr_add(size, size, *t, MPFR_RNDN);
}

/* A number about 1, exact in f32. */
static double about_one(double factor) { return (double)(float)(1 + factor / 64); }

static void multiply(mpfr_t product, mpfr_t size, int64_t i) {
    (void)size;
    if (i == 0) mpfr_set_ui(product, 1, MPFR_RNDN);
    mpfr_mul_d(product, product, about_one(factors[i]), MPFR_RNDN);
}

static void by_count(mpfr_t sum, mpfr_t size, int64_t n) {
    mpfr_div_si(sum, sum, (long)n, MPFR_RNDN);
    mpfr_div_si(size, size, (long)n, MPFR_RNDN);
}

static void root(mpfr_t sum, mpfr_t size, int64_t n) {
    (void)n;
    mpfr_sqrt(sum, sum, MPFR_RNDN);
    mpfr_set(size, sum, MPFR_RNDN);
}

static void logarithm(mpfr_t sum, mpfr_t size, int64_t n) {
    (void)n;
    mpfr_log(sum, sum, MPFR_RNDN);
    mpfr_abs(size, sum, MPFR_RNDN);
    mpfr_add_ui(size, size, 1, MPFR_RNDN);
}

static void cube_root(mpfr_t sum, mpfr_t size, int64_t n) {
    (void)n;
    mpfr_cbrt(sum, sum, MPFR_RNDN);
    mpfr_set(size, sum, MPFR_RNDN);
}

/* The mean square less the square of the mean, with digits to spare. */
static void variance(mpfr_t sum, mpfr_t size, int64_t n) {
    mpfr_sqr(sum, sum, MPFR_RNDN);
    mpfr_div_si(sum, sum, (long)n, MPFR_RNDN);
    mpfr_sub(sum, size, sum, MPFR_RNDN);
    mpfr_div_si(sum, sum, (long)n, MPFR_RNDN);
    mpfr_set(size, sum, MPFR_RNDN);
}

/* Each factor is rounded once: as the square root of their number, if the roundings are independent. */
static void by_root_of_count(mpfr_t product, mpfr_t size, int64_t n) {
    mpfr_sqrt_ui(size, (unsigned long)n, MPFR_RNDN);
    mpfr_mul(size, size, product, MPFR_RNDN);
}

/* How far the first term is below the largest. */
static double below_largest(int64_t n) {
    double most = terms[0];
    for (int64_t i = 1; i < n; i++) most = fmax(most, terms[i]);
    return most - terms[0];
}

/* The first of a softmax, relative to itself and the rounding of its exponent, or to the least normal number. */
static void share_of_first(mpfr_t sum, mpfr_t size, int64_t n) {
    mpfr_t *t = number_of(terms[0]);
    mpfr_exp(*t, *t, MPFR_RNDN);
    mpfr_div(sum, *t, sum, MPFR_RNDN);
    mpfr_mul_d(size, sum, 1 + below_largest(n), MPFR_RNDN);
    mpfr_add_d(size, size, sum_dtype == AG_F32 ? (double)FLT_MIN : DBL_MIN, MPFR_RNDN);
}

static void log_of_share(mpfr_t sum, mpfr_t size, int64_t n) {
    (void)n;
    mpfr_log(sum, sum, MPFR_RNDN);
    mpfr_d_sub(sum, terms[0], sum, MPFR_RNDN);
    mpfr_abs(size, sum, MPFR_RNDN);
    mpfr_add_ui(size, size, 1, MPFR_RNDN);
}

static ag_tensor *a_sum(ag_tensor *x, ag_tensor *w) { return (void)w, ag_sum(x); }
static ag_tensor *a_mean(ag_tensor *x, ag_tensor *w) { return (void)w, ag_mean(x); }
static ag_tensor *a_norm(ag_tensor *x, ag_tensor *w) { return (void)w, ag_norm(x, 2); }
static ag_tensor *a_logsumexp(ag_tensor *x, ag_tensor *w) { return (void)w, ag_logsumexp(x, 0, false); }
static ag_tensor *a_product(ag_tensor *x, ag_tensor *w) { return ag_tensordot(x, w, 1); }
static ag_tensor *a_row(ag_tensor *x, ag_tensor *w) {
    const int64_t n = ag_extent(x, 0);
    return ag_matmul(ag_reshape(x, AG_SHAPE(1, n)), ag_reshape(w, AG_SHAPE(n, 1)));
}
static ag_tensor *down_columns(ag_tensor *x, ag_tensor *w) {
    ag_tensor *columns = ag_contiguous(ag_broadcast_to(ag_unsqueeze(x, 1), AG_SHAPE(ag_extent(x, 0), 3)));
    return (void)w, ag_slice(ag_sum_over(columns, AG_AXES(0), false), 0, 1, 2, 1);
}
static ag_tensor *a_norm_1(ag_tensor *x, ag_tensor *w) { return (void)w, ag_norm(x, 1); }
static ag_tensor *a_norm_3(ag_tensor *x, ag_tensor *w) { return (void)w, ag_norm(x, 3); }
static ag_tensor *a_variance(ag_tensor *x, ag_tensor *w) { return (void)w, ag_var(x, 0); }
static ag_tensor *first_of(ag_tensor *x) { return ag_slice(x, 0, 0, 1, 1); }
static ag_tensor *a_softmax(ag_tensor *x, ag_tensor *w) { return (void)w, first_of(ag_softmax(x, 0)); }
static ag_tensor *a_log_softmax(ag_tensor *x, ag_tensor *w) { return (void)w, first_of(ag_log_softmax(x, 0)); }
static ag_tensor *a_product_of_all(ag_tensor *x, ag_tensor *w) {
    (void)x;
    ag_tensor *one = ag_cast(ag_cast(ag_add_scalar(ag_scale(ag_cast(w, AG_F64), 1.0 / 64), 1), AG_F32), ag_dtype_of(w));
    return ag_prod(one);
}
static ag_tensor *last_running(ag_tensor *x, ag_tensor *w) {
    return (void)w, ag_slice(ag_cumsum(x, 0), 0, -1, AG_END, 1);
}

static const sum_judge sums[] = {
    {"sum", a_sum, add_term, NULL},
    {"sum_over", down_columns, add_term, NULL},
    {"mean", a_mean, add_term, by_count},
    {"cumsum", last_running, add_term, NULL},
    {"norm", a_norm, add_square, root},
    {"norm_1", a_norm_1, add_size, NULL},
    {"norm_3", a_norm_3, add_cube, cube_root},
    {"var", a_variance, add_both, variance},
    {"prod", a_product_of_all, multiply, by_root_of_count},
    {"logsumexp", a_logsumexp, add_power, logarithm},
    {"softmax", a_softmax, add_power, share_of_first},
    {"log_softmax", a_log_softmax, add_power, log_of_share},
    {"tensordot", a_product, add_product, NULL},
    {"matmul", a_row, add_product, NULL},
};
enum { SUMS = sizeof sums / sizeof *sums };

static double error_of_sum(const sum_judge *j, ag_dtype dtype, int64_t n) {
    mpfr_t sum, size;
    sum_dtype = dtype;
    mpfr_inits2(SUM_BITS, sum, size, (mpfr_ptr)NULL);
    mpfr_set_zero(sum, 1), mpfr_set_zero(size, 1);
    for (int64_t i = 0; i < n; i++) j->add(sum, size, i);
    if (j->finish) j->finish(sum, size, n);
    const ag_mark mark = ag_tape_mark(tape);
    ag_tensor *x = ag_cast(ag_from(tape, AG_F64, AG_SHAPE(n), terms), dtype);
    ag_tensor *w = ag_cast(ag_from(tape, AG_F64, AG_SHAPE(n), factors), dtype);
    const double got = ag_item(j->call(x, w));
    mpfr_d_sub(sum, got, sum, MPFR_RNDN);
    mpfr_div(sum, sum, size, MPFR_RNDN);
    const double error = fabs(mpfr_get_d(sum, MPFR_RNDN)) * (dtype == AG_F32 ? 0x1p23 : 0x1p52);
    mpfr_clears(sum, size, (mpfr_ptr)NULL);
    ag_tape_rewind(tape, mark);
    return error;
}

/* The largest over lengths about n, and all kinds of terms. */
static double worst_sum(const sum_judge *j, ag_dtype dtype, int64_t n, int times) {
    double worst = 0;
    for (int k = 0; k < times; k++) {
        const int64_t length = n - (int64_t)(draw() % (uint64_t)(n / 2 + 1));
        fill_terms(dtype, length, k % 3);
        const double error = error_of_sum(j, dtype, length);
        if (!(error <= worst)) worst = error;
    }
    return worst;
}

/* The header's bound for n terms. Only cumulative sums of f64, which are added one after the other, grow with n. */
static double claim_of_sum(const sum_judge *j, ag_dtype dtype, int64_t n) {
    const bool grows = strcmp(j->name, "cumsum") == 0 && dtype == AG_F64;
    return claim_of(j->name, "Units of sums") + (grows ? sqrt((double)n) / 16 : 0);
}

START_TEST(sums_are_as_exact_as_headers_say) {
    const sum_judge *j = &sums[_i];
    random_state = 1;
    for (int d = AG_F32; d <= AG_F64; d++)
        for (int64_t n = 10; n <= by_length(1000, 10000, LONGEST); n *= 10) {
            const double worst = worst_sum(j, (ag_dtype)d, n, 6), claim = claim_of_sum(j, (ag_dtype)d, n);
            ck_assert_msg(worst <= claim, "%s of %lld numbers, %s: wrong by %g ε·Σ|x|, not %g", j->name, (long long)n,
                          ag_dtype_name((ag_dtype)d), worst, claim);
        }
}
END_TEST

static int print_sums(void) {
    tape = ag_tape_new();
    random_state = 1;
    for (int i = 0; i < 2 * SUMS; i++) {
        const ag_dtype dtype = i % 2 ? AG_F32 : AG_F64;
        if (options.measure && strcmp(options.measure, sums[i / 2].name) != 0) continue;
        printf("%s\t%s", sums[i / 2].name, ag_dtype_name(dtype));
        for (int64_t n = 10; n <= 1000000; n *= 10) {
            be_patient();
            const int64_t times = options.points / n;
            if (n > 1000 * options.points) printf("\t"); /* these would take too long */
            else
                printf("\t%.3g", worst_sum(&sums[i / 2], dtype, n, (int)(times < 6 ? 6 : times > 3000 ? 3000 : times)));
        }
        printf("\n");
        fflush(stdout);
    }
    ag_tape_free(tape);
    return 0;
}

/* ---- Incomplete functions: errors relative to y ---- */

enum { AT_ONCE = 32, RANGES = 3, PART_BITS = 256 };
static const char *const incomplete[] = {"gammainc", "gammaincc", "betainc"}, *const ranges[] = {"Parts up to 100",
                                                                                                 "Parts up to 3000",
                                                                                                 "Parts up to 1e5"};
enum { INCOMPLETE = sizeof incomplete / sizeof *incomplete };

static double between(double low, double high) { return exp(log(low) + unit() * log(high / low)); }

/* From 0.001 to `most`, half of them near that. */
static double a_parameter(double most) { return between(draw() % 2 ? most / 30 : 1e-3, most); }

/* Parameters, and x: about the mean, by some deviations, or anywhere. */
static void incomplete_point(bool is_beta, double most, double *a, double *b, double *x) {
    const double away = 16 * unit() - 8;
    *a = a_parameter(most), *b = a_parameter(most);
    const double n = *a + *b, mean = is_beta ? *a / n : *a, spread = sqrt(is_beta ? mean * (*b / n) / (n + 1) : *a);
    *x = draw() % 2 ? mean + away * spread : is_beta ? unit() : between(1e-3, 2 * most);
    if (!(*x > 0) || (is_beta && !(*x < 1))) *x = is_beta ? 0.5 : *a;
}

/* The error of `got`, for P(a, x), Q(a, x) or I(x; a, b); 0 where that is too small for the claim. */
static double error_of_part(int which, double got, double a, double b, double x) {
    static mpfr_t y, apart;
    if (!mpfr_custom_get_significand(y)) mpfr_inits2(PART_BITS, y, apart, (mpfr_ptr)NULL);
    if (which == 2) judge_betainc(y, a, b, x);
    else judge_gammainc(y, a, x);
    if (which == 1) mpfr_ui_sub(y, 1, y, MPFR_RNDN);
    if (mpfr_cmp_d(y, 1e-30) < 0) return 0;
    mpfr_d_sub(apart, got, y, MPFR_RNDN);
    mpfr_div(apart, apart, y, MPFR_RNDN);
    return fabs(mpfr_get_d(apart, MPFR_RNDN));
}

static finding worst_part(int which, int range, int64_t points) {
    static double a[AT_ONCE], b[AT_ONCE], x[AT_ONCE];
    const double most = range == 0 ? 100 : range == 1 ? 3000 : 1e5;
    finding worst = {0, 0, 0, 0};
    random_state = (uint64_t)(10 * which + range);
    for (; worst.points < points; worst.points += AT_ONCE) {
        be_patient();
        const ag_mark mark = ag_tape_mark(tape);
        for (int i = 0; i < AT_ONCE; i++) incomplete_point(which == 2, most, &a[i], &b[i], &x[i]);
        const ag_shape shape = AG_SHAPE(AT_ONCE);
        ag_tensor *first = ag_wrap(tape, AG_F64, shape, a), *at = ag_wrap(tape, AG_F64, shape, x);
        const double *y = ag_data(which == 0   ? ag_gammainc(first, at)
                                  : which == 1 ? ag_gammaincc(first, at)
                                               : ag_betainc(first, ag_wrap(tape, AG_F64, shape, b), at));
        for (int i = 0; i < AT_ONCE; i++) {
            const double error = error_of_part(which, y[i], a[i], b[i], x[i]);
            if (!(error <= worst.error)) worst = (finding){error, a[i], x[i], worst.points};
        }
        ag_tape_rewind(tape, mark);
    }
    return worst;
}

START_TEST(incomplete_functions_are_as_exact_as_the_header_says) {
    const int which = _i / RANGES, range = _i % RANGES;
    const double claim = claim_of(incomplete[which], ranges[range]);
    const finding worst = worst_part(which, range, by_length(32, 32, 1500));
    ck_assert_msg(worst.error <= claim, "%s, %s: wrong by %g at a = %a, x = %a; the header says %g", incomplete[which],
                  ranges[range], worst.error, worst.x, worst.x2, claim);
}
END_TEST

static int print_parts(void) {
    tape = ag_tape_new();
    for (int i = 0; i < INCOMPLETE * RANGES; i++) {
        const finding worst = worst_part(i / RANGES, i % RANGES, options.points);
        printf("%s\t%s\t%.3g\t%.17g\t%.17g\t%" PRId64 "\n", incomplete[i / RANGES], ranges[i % RANGES], worst.error,
               worst.x, worst.x2, worst.points);
        fflush(stdout);
    }
    ag_tape_free(tape);
    return 0;
}

/* ---- Derivatives of digamma: below 0 relative to the sum of their terms' magnitudes ---- */

static const int polygamma_orders[] = {1, 2, 3, 4, 7, 20, 60, 170};
enum { POLYGAMMAS = sizeof polygamma_orders / sizeof *polygamma_orders };

static finding worst_polygamma(int n, ag_dtype dtype, int64_t points) {
    static double x[AT_ONCE];
    static float narrow[AT_ONCE];
    mpfr_t y;
    mpfr_init2(y, BITS);
    finding worst = {0, 0, 0, 0};
    random_state = (uint64_t)n;
    while (worst.points < points) {
        const ag_mark mark = ag_tape_mark(tape);
        for (int i = 0; i < AT_ONCE; i++) {
            x[i] = i % 4 == 0 ? between(1e-3, 1e6) : i % 4 == 1 ? 80 * unit() - 40 : 20 * unit();
            if (i % 8 == 7) x[i] = ldexp(1, 2 + (int)(draw() % 6)) - unit() / 4; /* x + 1 has fewer digits */
            if (dtype == AG_F32) x[i] = narrow[i] = (float)x[i];
        }
        ag_tensor *at = ag_wrap(tape, dtype, AG_SHAPE(AT_ONCE), dtype == AG_F32 ? (void *)narrow : x);
        const void *got = ag_data(ag_polygamma(n, at));
        for (int i = 0; i < AT_ONCE; i++) {
            double size;
            judge_polygamma(y, &size, n, x[i], 0);
            const double near = mpfr_get_d(y, MPFR_RNDN), most = dtype == AG_F32 ? (double)FLT_MAX : DBL_MAX;
            const double least = dtype == AG_F32 ? (double)FLT_MIN : DBL_MIN;
            if (!(fabs(near) < most && fabs(near) >= least && size < most)) continue;
            const double error = error_of(dtype, element_at(dtype, got, i), y, x[i] < 0 ? size : 0);
            worst.points++;
            if (!(error <= worst.error)) worst = (finding){error, x[i], n, worst.points};
        }
        ag_tape_rewind(tape, mark);
        points -= AT_ONCE / 2; /* where nearly all are beyond range, there is an end as well */
    }
    mpfr_clear(y);
    return worst;
}

/* The largest for all orders. */
static finding worst_of_orders(ag_dtype dtype, int64_t points) {
    finding worst = {0, 0, 0, 0};
    int64_t all = 0;
    for (int i = 0; i < POLYGAMMAS; i++) {
        const finding one = worst_polygamma(polygamma_orders[i], dtype, points);
        all += one.points;
        if (!(one.error <= worst.error)) worst = one;
    }
    worst.points = all;
    return worst;
}

START_TEST(derivatives_of_digamma_are_as_exact_as_the_header_says) {
    const measure m = _i == 0 ? WIDE : NARROW;
    const finding worst = worst_of_orders(m == WIDE ? AG_F64 : AG_F32, by_length(64, 64, 8000));
    const double claim = claim_of("polygamma", claimed[m]);
    ck_assert_msg(worst.error <= claim, "polygamma %g, %s: wrong by %g units at %a; the header says %g", worst.x2,
                  measure_names[m], worst.error, worst.x, claim);
}
END_TEST

/* ---- Slopes of lbeta: ψ(a) − ψ(a + b), and that one's by a, for a, b > 0 ---- */

enum { APART_BITS = 400 };

static void judge_lbeta_slope(mpfr_t y, bool bend, double a, double b) {
    static mpfr_t t;
    double size;
    if (!mpfr_custom_get_significand(t)) mpfr_init2(t, APART_BITS);
    if (bend) {
        judge_polygamma(y, &size, 1, a, 0);
        judge_polygamma(t, &size, 1, a, b);
    } else {
        mpfr_set_d(y, a, MPFR_RNDN);
        mpfr_add_d(t, y, b, MPFR_RNDN);
        mpfr_digamma(y, y, MPFR_RNDN);
        mpfr_digamma(t, t, MPFR_RNDN);
    }
    mpfr_sub(y, y, t, MPFR_RNDN);
}

static finding worst_lbeta_slope(int64_t points) {
    static double a[AT_ONCE], b[AT_ONCE];
    mpfr_t y;
    mpfr_init2(y, APART_BITS);
    finding worst = {0, 0, 0, 0};
    random_state = 1;
    for (; worst.points < points; worst.points += AT_ONCE) {
        be_patient();
        for (int i = 0; i < AT_ONCE; i++) {
            a[i] = draw() % 2 ? between(1e-6, 1e6) : 20 * unit() + DBL_MIN;
            b[i] = draw() % 2 ? between(1e-6, 1e6) : a[i] * (1 + ldexp(unit(), -(int)(draw() % 53)));
        }
        const ag_mark mark = ag_tape_mark(tape);
        ag_tensor *x = ag_wrap(tape, AG_F64, AG_SHAPE(AT_ONCE), a), *ones = ag_ones(tape, AG_F64, AG_SHAPE(AT_ONCE));
        ag_tensor *at = ag_lbeta(x, ag_wrap(tape, AG_F64, AG_SHAPE(AT_ONCE), b)), *slope = NULL, *bend = NULL;
        ag_vjp(1, &at, &ones, 1, &x, &slope, 0);
        ag_vjp(1, &slope, &ones, 1, &x, &bend, 0);
        const double *got[] = {ag_data(slope), ag_data(bend)};
        ck_assert_msg(got[0] && got[1], "%s", ag_tape_error(tape));
        for (int i = 0; i < 2 * AT_ONCE; i++) {
            judge_lbeta_slope(y, i % 2, a[i / 2], b[i / 2]);
            const double error = error_of(AG_F64, got[i % 2][i / 2], y, 0);
            if (!(error <= worst.error)) worst = (finding){error, a[i / 2], b[i / 2], worst.points};
        }
        ag_tape_rewind(tape, mark);
    }
    mpfr_clear(y);
    return worst;
}

START_TEST(slopes_of_lbeta_are_as_exact_as_the_header_says) {
    const finding worst = worst_lbeta_slope(by_length(64, 256, 20000));
    const double claim = claim_of("lbeta", claimed[SLOPE]);
    ck_assert_msg(worst.error <= claim, "lbeta, slopes: wrong by %g units at %a, %a; the header says %g", worst.error,
                  worst.x, worst.x2, claim);
}
END_TEST

/* ---- */

static void print_finding(const char *name, measure m, const finding *worst) {
    printf("%s\t%s\t%.4g\t%.17g\t%.17g\t%" PRId64 "\n", name, measure_names[m], worst->error, worst->x, worst->x2,
           worst->points);
    fflush(stdout);
}

static bool is_wanted(const char *name, measure m) {
    return (!options.only || strcmp(options.only, name) == 0) &&
           (!options.measure || strcmp(options.measure, measure_names[m]) == 0);
}

static int print_errors(void) {
    tape = ag_tape_new();
    for (int i = 0; i < judged_count; i++)
        for (measure m = WIDE; m < MEASURES; m++) {
            const judged *f = &judged_functions[i];
            if (!is_judged(f, m) || !is_wanted(f->name, m)) continue;
            const finding worst = worst_of(f, m, options.points);
            print_finding(f->name, m, &worst);
        }
    for (measure m = WIDE; m < SLOPE; m++) {
        if (!is_wanted("polygamma", m)) continue;
        const finding worst = worst_of_orders(m == WIDE ? AG_F64 : AG_F32, options.points / POLYGAMMAS);
        print_finding("polygamma", m, &worst);
    }
    if (is_wanted("lbeta", SLOPE)) {
        const finding worst = worst_lbeta_slope(options.points / SLOPE_SHARE);
        print_finding("lbeta", SLOPE, &worst);
    }
    ag_tape_free(tape);
    return 0;
}

int main(int argc, char **argv) {
    int i = 1;
    for (; i + 1 < argc && argv[i][0] == '-'; i += 2)
        if (strcmp(argv[i], "--points") == 0) options.points = atoll(argv[i + 1]);
        else if (strcmp(argv[i], "--measure") == 0) options.measure = argv[i + 1];
        else options.only = argv[i + 1];
    options.headers = argc - i, options.header = argv + i;
    if (options.points && options.only && strcmp(options.only, "sums") == 0) return print_sums();
    if (options.points && options.only && strcmp(options.only, "incomplete") == 0) return print_parts();
    if (options.points) return print_errors();
    Suite *suite = suite_create("mpfr");
    tcase_add_loop_test(tape_group(suite, "functions"), errors_are_what_headers_say, 0, judged_count);
    tcase_add_loop_test(tape_group(suite, "incomplete"), incomplete_functions_are_as_exact_as_the_header_says, 0,
                        INCOMPLETE * RANGES);
    tcase_add_test(tape_group(suite, "lbeta"), slopes_of_lbeta_are_as_exact_as_the_header_says);
    tcase_add_loop_test(tape_group(suite, "polygamma"), derivatives_of_digamma_are_as_exact_as_the_header_says, 0, 2);
    tcase_add_loop_test(tape_group(suite, "sums"), sums_are_as_exact_as_headers_say, 0, SUMS);
    return run_suite(suite);
}
