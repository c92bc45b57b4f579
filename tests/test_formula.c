/* test_formula -- the formulas of recorded expressions, and that their values are the computed ones
 *
 * Exact texts for the systems that learners study; and the texts of many random graphs of numbers are evaluated by a
 * small calculator that does not know the graph, and must give the recorded value. */
#include "tests/cases.h"
#include "tests/grammar.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ag_tensor *named(const char *label, ag_shape shape) {
    return ag_label(scattered(tape, AG_F64, shape, (uint64_t)label[0]), label);
}

static ag_tensor *number(const char *label, double value) {
    return ag_label(ag_from(tape, AG_F64, AG_SCALAR, &value), label);
}

#define expect_formula(x, text) expect_formula_at(__LINE__, x, NULL, text)
#define expect_styled(x, style, text) expect_formula_at(__LINE__, x, &(ag_formula_options){style, false, 0}, text)

static void expect_formula_at(int line, ag_tensor *x, const ag_formula_options *options, const char *text) {
    const char *got = ag_formula(x, options);
    if (strcmp(got, text) != 0)
        ck_abort_msg("line %d: the formula is\n%s\nnot\n%s\n%s", line, got, text, ag_tape_error(tape));
}

/* dy/dx with cotangent g. */
static ag_tensor *vjp(ag_tensor *y, ag_tensor *g, ag_tensor *x) {
    ag_tensor *dx;
    ag_vjp(1, &y, &g, 1, &x, &dx, 0);
    return dx;
}

/* ---- The taught systems ---- */

START_TEST(activations) {
    ag_tensor *z = named("Z", AG_SHAPE(2, 3)), *g = named("g", AG_SHAPE(2, 3));
    expect_formula(vjp(ag_sigmoid(z), g, z), "g⊙t1⊙(1 − t1)\n  where t1 = σ(Z)");
    expect_formula(vjp(ag_label(ag_sigmoid(z), "A"), g, z), "g⊙A⊙(1 − A)\n  where A = σ(Z)");
    expect_formula(vjp(ag_tanh(z), g, z), "g⊙(1 − tanh(Z)²)");
    expect_formula(vjp(ag_relu(z), g, z), "g⊙(Z > 0)");
    expect_formula(vjp(ag_exp(z), g, z), "g⊙e^Z");
    expect_formula(vjp(ag_log(z), g, z), "g/Z");
    expect_formula(vjp(ag_sqrt(z), g, z), "g/(2·√Z)");
    expect_formula(vjp(ag_maximum_scalar(z, 2), g, z), "g⊙((Z > 2) + (Z = 2)/2)");
    expect_formula(vjp(ag_clamp(z, -1, 2), g, z), "g⊙(−1 ≤ Z ≤ 2)");
}
END_TEST

START_TEST(batch_normalisation) {
    ag_tensor *z = named("Z", AG_SHAPE(4, 3)), *g = named("dLdBZ", AG_SHAPE(4, 3));
    ag_tensor *bw = named("BW", AG_SHAPE(1, 3)), *bb = named("Bb", AG_SHAPE(1, 3));
    ag_tensor *m = ag_label(ag_mean_over(z, AG_AXES(0), true), "M");
    ag_tensor *v = ag_label(ag_mean_over(ag_square(ag_sub(z, m)), AG_AXES(0), true), "V");
    ag_tensor *nz = ag_label(ag_mul(ag_sub(z, m), ag_rsqrt(ag_add_scalar(v, 0.001))), "NZ");
    ag_tensor *bz = ag_label(ag_add(ag_mul(bw, nz), bb), "BZ");
    expect_formula(bz, "BZ = BW⊙NZ + Bb\n"
                       "  where NZ = (Z − M)⊙(V + 0.001)^(−1/2)\n"
                       "        M = mean_0(Z)\n"
                       "        V = mean_0((Z − M)²)");
    ag_formula_options brief = {.brief = true};
    expect_formula_at(__LINE__, vjp(bz, g, bw), &brief, "Σ_0 dLdBZ⊙NZ");
    expect_formula_at(__LINE__, vjp(bz, g, bb), &brief, "Σ_0 dLdBZ");
    ag_tensor *dnz = ag_label(vjp(bz, g, nz), "dLdNZ");
    expect_formula_at(__LINE__, dnz, &brief, "dLdNZ = dLdBZ⊙BW");
    ag_tensor *dv = ag_label(vjp(nz, dnz, v), "dLdV");
    expect_formula_at(__LINE__, dv, &brief, "dLdV = −0.5·(Σ_0 dLdNZ⊙(Z − M))⊙(V + 0.001)^(−3/2)");
    expect_formula_at(__LINE__, vjp(bz, g, m), &brief,
                      "−Σ_0 t1⊙t2 + Σ_0 (Σ_0 t1⊙(Z − M))⊙t2³⊙(Z − M)/4\n"
                      "  where t1 = dLdBZ⊙BW\n"
                      "        t2 = (V + 0.001)^(−1/2)"); /* Σ_0 dLdBZ is the user's: nothing is made of it */
    ag_tensor *both[2];
    ck_assert_int_eq(ag_vjp(1, &bz, &g, 2, (ag_tensor *[]){bb, m}, both, 0), AG_OK);
    expect_formula_at(__LINE__, both[1], &brief,
                      "−(Σ_0 dLdBZ)⊙BW⊙t1 + Σ_0 (Σ_0 dLdBZ⊙BW⊙(Z − M))⊙t1³⊙(Z − M)/4\n"
                      "  where t1 = (V + 0.001)^(−1/2)");
}
END_TEST

START_TEST(layers) {
    ag_tensor *x = named("x", AG_SHAPE(4, 3)), *w = named("w", AG_SHAPE(3, 2)), *b = named("b", AG_SHAPE(2));
    ag_tensor *g = named("g", AG_SHAPE(4, 2)), *y = ag_add(ag_matmul(x, w), b);
    expect_formula(y, "x·w + b");
    expect_formula(vjp(y, g, x), "g·wᵀ");
    expect_formula(vjp(y, g, w), "xᵀ·g");
    expect_formula(vjp(y, g, b), "Σ_0 g");
    ag_tensor *loss = ag_mean(ag_square(ag_sub(y, g))), *dw;
    ag_grad(loss, 1, &w, &dw);
    expect_formula(loss, "mean((x·w + b − g)²)");
    expect_formula(dw, "2·xᵀ·(x·w + b − g)/8");
}
END_TEST

START_TEST(a_shared_value_is_named_once) {
    ag_tensor *x = named("x", AG_SHAPE(3)), *s = ag_exp(x), *t = ag_mul(s, ag_tanh(s));
    expect_formula(ag_add(t, ag_square(t)), "t1 + t1²\n  where t1 = t2⊙tanh(t2)\n        t2 = e^x");
}
END_TEST

/* ---- Styles ---- */

START_TEST(styles) {
    ag_tensor *z = named("z", AG_SHAPE(3)), *y = ag_tanh(z), *w = named("w1", AG_SHAPE(3));
    ag_tensor *g = vjp(y, w, z);
    expect_styled(g, AG_STYLE_LATEX, "\\mathrm{w1} \\odot \\left(1 - {\\tanh\\left(z\\right)}^{2}\\right)");
    expect_styled(ag_div(z, ag_square(w)), AG_STYLE_LATEX, "\\frac{z}{{\\mathrm{w1}}^{2}}");
    expect_styled(ag_mul(g, g), AG_STYLE_LATEX,
                  "\\begin{aligned} &t_{1} \\odot t_{1} \\\\ t_{1} &= \\mathrm{w1} \\odot \\left(1 - "
                  "{\\tanh\\left(z\\right)}^{2}\\right) \\end{aligned}");
    expect_styled(
        ag_div(z, ag_square(w)), AG_STYLE_MATHML,
        "<math xmlns=\"http://www.w3.org/1998/Math/MathML\" display=\"block\"><mrow><mfrac><mrow><mi>z</mi></mrow>"
        "<mrow><msup><mrow><mi>w1</mi></mrow><mrow><mn>2</mn></mrow></msup></mrow></mfrac></mrow></math>");
}
END_TEST

/* ---- Parentheses ---- */

START_TEST(parentheses_are_where_they_are_needed) {
    ag_tensor *a = named("a", AG_SHAPE(2, 2)), *b = named("b", AG_SHAPE(2, 2)), *c = named("c", AG_SHAPE(2, 2));
    ag_tensor *s = number("s", 2), *bt = ag_transpose(b, 0, 1);
    expect_formula(ag_sub(a, ag_sub(b, c)), "a − (b − c)");
    expect_formula(ag_sub(ag_sub(a, b), c), "a − b − c");
    expect_formula(ag_add(a, ag_sub(b, c)), "a + b − c");
    expect_formula(ag_mul(ag_add(a, b), c), "(a + b)⊙c");
    expect_formula(ag_mul(a, ag_mul(b, c)), "a⊙b⊙c");
    expect_formula(ag_div(a, ag_mul(b, c)), "a/(b⊙c)");
    expect_formula(ag_div(ag_div(a, b), c), "a/(b⊙c)");
    expect_formula(ag_div(a, ag_div(b, c)), "a/(b/c)");
    expect_formula(ag_mul(a, ag_div(b, c)), "a⊙b/c");
    expect_formula(ag_mul(ag_matmul(a, b), c), "(a·b)⊙c");
    expect_formula(ag_matmul(ag_mul(a, b), c), "(a⊙b)·c");
    expect_formula(ag_matmul(a, ag_matmul(b, c)), "a·b·c");
    expect_formula(ag_matmul(a, bt), "a·bᵀ");
    expect_formula(ag_transpose(ag_matmul(a, b), 0, 1), "(a·b)ᵀ");
    expect_formula(ag_square(ag_neg(a)), "(−a)²");
    expect_formula(ag_neg(ag_square(a)), "−a²");
    expect_formula(ag_pow(a, ag_add(b, c)), "a^(b + c)");
    expect_formula(ag_pow(ag_pow(a, b), c), "(a^b)^c");
    expect_formula(ag_sqrt(ag_add(a, b)), "√(a + b)");
    expect_formula(ag_square(ag_sqrt(ag_abs(a))), "|a|");
    expect_formula(ag_abs(ag_sub(a, b)), "|a − b|");
    expect_formula(ag_mul(ag_sum_over(a, AG_AXES(0), true), b), "(Σ_0 a)⊙b");
    expect_formula(ag_mul(b, ag_sum_over(a, AG_AXES(1), true)), "b⊙Σ_1 a");
    expect_formula(ag_sum_over(ag_add(a, b), AG_AXES(0), true), "Σ_0 (a + b)");
    expect_formula(ag_add(ag_sum(a), ag_mean(b)), "Σ a + mean(b)");
    expect_formula(ag_sum_over(ag_sum_over(a, AG_AXES(1), true), AG_AXES(0), true), "Σ_0 (Σ_1 a)");
    expect_formula(ag_matmul(a, ag_div_scalar(ag_rdiv_scalar(1, b), 8)), "a·(1/b)/8");
    expect_formula(ag_sqrt(ag_square(a)), "√(a²)");
    expect_formula(ag_pow_scalar(ag_square(a), 1.5), "(a²)^(3/2)");
    expect_formula(ag_mul(s, a), "s·a");
    expect_formula(ag_mul(ag_mul(a, s), b), "a·s·b");
    expect_formula(ag_div_scalar(ag_mul(s, ag_mul(a, b)), 4), "s·a⊙b/4");
    expect_formula(ag_where(ag_less(a, b), a, ag_neg(b)), "where(a < b, a, −b)");
    expect_formula(ag_log(ag_maximum(a, b)), "ln(max(a, b))");
    expect_formula(ag_cast(a, AG_F32), "f32(a)");
    expect_formula(ag_reshape(a, AG_SHAPE(4)), "reshape(a, (4))");
    expect_formula(ag_max_over(a, AG_AXES(0, 1), false), "max(a)");
    expect_formula(ag_max_over(a, AG_AXES(1), false), "max_1(a)");
}
END_TEST

START_TEST(what_changes_nothing_is_not_written) {
    ag_tensor *a = named("a", AG_SHAPE(2, 2)), *b = named("b", AG_SHAPE(2, 2));
    expect_formula(ag_add_scalar(ag_scale(a, 1), 0), "a");
    expect_formula(ag_neg(ag_neg(a)), "a");
    expect_formula(ag_sub(a, ag_neg(b)), "a + b");
    expect_formula(ag_add(ag_neg(a), ag_scale(b, -2)), "−a − 2·b");
    expect_formula(ag_transpose(ag_transpose(ag_exp(a), 0, 1), 0, 1), "e^a");
    expect_formula(ag_mul(ag_scale(a, 2), ag_scale(b, 0.25)), "0.5·a⊙b");
    expect_formula(ag_scale(ag_scale(a, 0.1), 0.1), "0.1·0.1·a");
    expect_formula(ag_pow_scalar(a, 1), "a");
    expect_formula(ag_div_scalar(ag_neg(a), -3), "a/3");
    expect_formula(ag_rdiv_scalar(-1, a), "−1/a");
    expect_formula(ag_sum(ag_scale(a, -3)), "−3·Σ a");
    expect_formula(ag_matmul(ag_scale(a, 2), ag_div_scalar(b, 8)), "2·a·b/8");
    expect_formula(ag_mul(ag_ones(tape, AG_F64, AG_SHAPE(2, 2)), a), "a");
    expect_formula(ag_scale(a, 0), "0·a");
    expect_formula(ag_scale(a, (double)INFINITY), "∞·a");
    expect_formula(ag_scale(a, 1e300), "1e300·a");
}
END_TEST

START_TEST(broadcasting_is_said_where_it_matters) {
    ag_tensor *b = named("b", AG_SHAPE(3)), *a = named("a", AG_SHAPE(2, 3)), *wide = ag_broadcast_to(b, AG_SHAPE(2, 3));
    expect_formula(ag_mul(wide, a), "b⊙a");
    expect_formula(ag_sum(wide), "Σ broadcast(b, (2,3))");
    expect_formula(ag_sum(ag_exp(wide)), "Σ broadcast(e^b, (2,3))");
    expect_formula(ag_sum(ag_mul(ag_exp(wide), a)), "Σ e^b⊙a");
    ag_tensor *twice = ag_exp(wide);
    expect_formula(ag_add(ag_sum(twice), ag_sum(ag_square(twice))), "Σ t1 + Σ t1²\n  where t1 = broadcast(e^b, (2,3))");
    expect_formula(ag_matmul(wide, ag_transpose(a, 0, 1)), "broadcast(b, (2,3))·aᵀ");
}
END_TEST

/* ---- Evaluating the text ---- */

enum { MOST_NAMES = 64 };

static struct {
    char name[16];
    const char *text; /* or */
    double value;
} known[MOST_NAMES];
static int knowns;
static const char *at; /* in the text; NULL after a syntax error */

static double relation(void);

static bool take(const char *token) {
    size_t n = strlen(token);
    if (!at || strncmp(at, token, n) != 0) return false;
    at += n;
    return true;
}

static double lookup(const char *name, size_t n) {
    for (int i = 0; i < knowns; i++) {
        if (strlen(known[i].name) != n || strncmp(known[i].name, name, n) != 0) continue;
        if (!known[i].text) return known[i].value;
        const char *here = at;
        at = known[i].text;
        double value = relation();
        if (at && *at && *at != '\n') ck_abort_msg("unread: %s", at);
        at = here;
        return value;
    }
    ck_abort_msg("no %.*s", (int)n, name);
    return 0;
}

static double applied(const char *f, size_t n, const double *x, int count) {
#define IS(s, k) (n == strlen(s) && strncmp(f, s, n) == 0 && count == (k))
    if (IS("σ", 1)) return 1 / (1 + exp(-x[0]));
    if (IS("tanh", 1)) return tanh(x[0]);
    if (IS("ln", 1)) return log(x[0]);
    if (IS("sin", 1)) return sin(x[0]);
    if (IS("cos", 1)) return cos(x[0]);
    if (IS("max", 2)) return fmax(x[0], x[1]);
    if (IS("min", 2)) return fmin(x[0], x[1]);
    if (IS("sign", 1)) return (x[0] > 0) - (x[0] < 0);
    if (IS("relu", 1)) return fmax(x[0], 0);
    if (IS("clamp", 3)) return fmin(fmax(x[0], x[1]), x[2]);
    if (IS("where", 3)) return x[0] != 0 ? x[1] : x[2];
    ck_abort_msg("no function %.*s of %d", (int)n, f, count);
    return 0;
#undef IS
}

static double primary(void) {
    double x[4];
    if (take("(")) {
        x[0] = relation();
        if (!take(")")) ck_abort_msg("no ) at %s", at);
        return x[0];
    }
    if (take("|")) {
        x[0] = relation();
        if (!take("|")) ck_abort_msg("no | at %s", at);
        return fabs(x[0]);
    }
    if (take("√")) return sqrt(primary());
    if (*at >= '0' && *at <= '9') {
        char *end;
        x[0] = strtod(at, &end);
        at = end;
        return x[0];
    }
    const char *name = at;
    while ((*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') || strncmp(at, "σ", 2) == 0) at++;
    if (strncmp(name, "σ", 2) == 0) at = name + 2;
    size_t n = (size_t)(at - name);
    if (n == 0) ck_abort_msg("nothing at %s", at);
    if (!take("(")) return n == 1 && *name == 'e' ? exp(1) : lookup(name, n);
    int count = 0;
    do x[count++] = relation();
    while (count < 4 && take(", "));
    if (!take(")")) ck_abort_msg("no ) at %s", at);
    return applied(name, n, x, count);
}

static double signed_primary(void) { return take("−") ? -primary() : primary(); }

static double raised(void) {
    double x = primary();
    for (;;) {
        if (take("²")) x = x * x;
        else if (take("³")) x = x * x * x;
        else if (take("^")) x = pow(x, signed_primary());
        else return x;
    }
}

static double product(void) {
    double x = raised();
    for (;;) {
        if (take("·") || take("⊙")) x *= raised();
        else if (take("/")) x /= raised();
        else return x;
    }
}

static double sum(void) {
    double x = take("−") ? -product() : product();
    for (;;) {
        if (take(" + ")) x += product();
        else if (take(" − ")) x -= product();
        else return x;
    }
}

static double relation(void) {
    double x = sum();
    bool holds = true, any = false;
    for (;;) {
        static const char *const tokens[] = {" < ", " ≤ ", " > ", " ≥ ", " = ", " ≠ "};
        int k = 0;
        while (k < 6 && !take(tokens[k])) k++;
        if (k == 6) return any ? holds : x;
        double y = sum();
        bool each[] = {x<y, x <= y, x> y, x >= y, x == y, x != y};
        holds = holds && each[k];
        any = true;
        x = y;
    }
}

/* The value of a formula's text; `names` are known already. */
static double read_again(const char *text, int names) {
    static char copy[200000];
    ck_assert_uint_lt(strlen(text), sizeof copy);
    strcpy(copy, text);
    knowns = names;
    char *rest = strchr(copy, '\n');
    while (rest) {
        *rest++ = 0;
        rest += strspn(rest, " ");
        if (strncmp(rest, "where ", 6) == 0) rest += 6;
        char *equals = strstr(rest, " = ");
        ck_assert_msg(equals && knowns < MOST_NAMES, "%s", text);
        snprintf(known[knowns].name, sizeof known->name, "%.*s", (int)(equals - rest), rest);
        known[knowns++].text = equals + 3;
        rest = strchr(equals, '\n');
    }
    at = copy;
    double value = relation();
    if (*at) ck_abort_msg("unread: %s in\n%s", at, text);
    return value;
}

/* A random function of a few numbers; it depends only on `seed`. */
static ag_tensor *random_graph(uint64_t *seed, ag_tensor *const leaf[4], int steps) {
    ag_tensor *node[40];
    for (int i = 0; i < 4; i++) node[i] = leaf[i];
    for (int i = 4; i < 4 + steps; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        ag_tensor *a = node[(*seed >> 40) % (uint64_t)i], *b = node[(*seed >> 50) % (uint64_t)i];
        double s = (double)((int)(*seed >> 20 & 7) - 3) / 4;
        switch (*seed >> 58 & 31) {
        case 0: node[i] = ag_add(a, b); break;
        case 1: node[i] = ag_sub(a, b); break;
        case 2: node[i] = ag_mul(a, b); break;
        case 3: node[i] = ag_div(a, ag_add_scalar(ag_square(b), 1)); break;
        case 4: node[i] = ag_neg(a); break;
        case 5: node[i] = ag_scale(a, s); break;
        case 6: node[i] = ag_add_scalar(a, s); break;
        case 7: node[i] = ag_rsub_scalar(s, a); break;
        case 8: node[i] = ag_rdiv_scalar(s, ag_add_scalar(ag_abs(a), 1)); break;
        case 9: node[i] = ag_square(a); break;
        case 10: node[i] = ag_sqrt(ag_add_scalar(ag_abs(a), 0.5)); break;
        case 11: node[i] = ag_exp(ag_tanh(a)); break;
        case 12: node[i] = ag_sigmoid(a); break;
        case 13: node[i] = ag_pow_scalar(ag_tanh(a), 3); break;
        case 14: node[i] = ag_log(ag_add_scalar(ag_square(a), 2)); break;
        case 15: node[i] = ag_maximum(a, b); break;
        case 16: node[i] = ag_rsqrt(ag_add_scalar(ag_square(a), 1)); break;
        case 17: node[i] = ag_sub(ag_neg(a), ag_neg(b)); break;
        case 18: node[i] = ag_div_scalar(a, -2); break;
        case 19: node[i] = ag_sin(a); break;
        case 20: node[i] = ag_relu(ag_sub(a, b)); break;
        case 21: node[i] = ag_pow_scalar(ag_add_scalar(ag_square(a), 1), -1.5); break;
        case 22: node[i] = ag_div(ag_mul(a, b), ag_add_scalar(ag_abs(ag_div_scalar(b, 3)), 1)); break;
        case 23: node[i] = ag_clamp(a, -0.5, 0.75); break;
        default: node[i] = ag_tanh(ag_sub(a, ag_mul(b, b)));
        }
    }
    return node[3 + steps];
}

static void expect_read_again(ag_tensor *y) {
    const char *text = ag_formula(y, &(ag_formula_options){.lines = MOST_NAMES - 8});
    double got = read_again(text, 4), want = ag_item(y);
    if (fabs(got - want) > 2e-4 * (1 + fabs(want))) ck_abort_msg("%g, not %g, by\n%s", got, want, text);
}

START_TEST(it_says_what_was_computed) {
    static const char *const names[] = {"a", "b", "c", "d"};
    static const double values[] = {0.75, -1.25, 0.5, 2};
    ag_tensor *leaf[4];
    for (int i = 0; i < 4; i++) {
        leaf[i] = number(names[i], values[i]);
        strcpy(known[i].name, names[i]);
        known[i].text = NULL;
        known[i].value = values[i];
    }
    ag_mark mark = ag_tape_mark(tape);
    uint64_t seed = 1;
    for (int trial = 0; trial < (small_run() ? 30 : 600); trial++) {
        ag_tensor *y = random_graph(&seed, leaf, 3 + trial % 14), *dx[4];
        expect_read_again(y);
        ag_grad(y, 4, leaf, dx);
        for (int i = 0; i < 4; i++) expect_read_again(dx[i]);
        expect_ok(tape);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* ---- Names ---- */

START_TEST(labels_are_names) {
    ag_tensor *x = named("x", AG_SHAPE(2)), *h = ag_label(ag_exp(x), "h"), *again = ag_label(ag_tanh(h), "h");
    expect_formula(ag_add(again, h), "h#2 + h\n  where h#2 = tanh(h)\n        h = e^x");
    expect_styled(
        ag_add(again, h), AG_STYLE_LATEX,
        "\\begin{aligned} &{h^{(2)}} + h \\\\ {h^{(2)}} &= \\tanh\\left(h\\right) \\\\ h &= {e}^{x} \\end{aligned}");
    ag_tensor *t1 = ag_label(ag_sin(x), "t1"), *c = ag_cos(x);
    expect_formula(ag_mul(ag_mul(c, t1), c), "t2⊙t1⊙t2\n  where t2 = cos(x)\n        t1 = sin(x)"); /* t1 is taken */
    expect_formula(ag_exp(ag_label(ag_sub(x, x), "running mean")),
                   "e^\"running mean\"\n  where \"running mean\" = x − x");
    expect_formula(ag_label(x, ""), "c1");
}
END_TEST

START_TEST(leaves_without_label_are_told_apart) {
    double two[] = {1, 2}, three = 3;
    ag_tensor *c = ag_from(tape, AG_F64, AG_SHAPE(2), two), *p = ag_parameter(tape, AG_F64, AG_SHAPE(2), two);
    ag_tensor *v = ag_variable(tape, AG_F64, AG_SHAPE(2), two), *n = ag_from(tape, AG_F64, AG_SCALAR, &three);
    ag_tensor *d = ag_from(tape, AG_F64, AG_SHAPE(2), two);
    expect_formula(ag_add(ag_mul(ag_mul(c, p), v), ag_mul(n, d)), "c1⊙p1⊙v1 + 3·c2");
    expect_formula(ag_uniform(tape, AG_F64, AG_SHAPE(2), 0, 1), "uniform(0, 1)");
    expect_formula(ag_arange(tape, AG_F64, 7), "arange(7)");
    expect_formula(ag_full(tape, AG_F64, AG_SHAPE(2, 2), 0.5), "0.5");
}
END_TEST

START_TEST(a_variable_is_what_it_was) {
    ag_tensor *w = ag_label(ag_parameter(tape, AG_F64, AG_SCALAR, (double[]){1}), "w"), *before = ag_exp(w);
    expect_formula(before, "e^w");
    ag_assign(w, ag_scale(w, 0.5));
    ag_tensor *sum = ag_add(before, w);
    expect_formula(sum, "e^w + w#2\n  where w#2 = 0.5·w");
    ag_item(sum);
    expect_formula(ag_add(ag_exp(w), before), "e^w + e^w#2"); /* the former w is only a value now */
}
END_TEST

START_TEST(many_parts_are_counted) {
    ag_tensor *x = named("x", AG_SHAPE(2)), *y = x;
    for (int i = 0; i < 10; i++) y = ag_mul(y, y);
    expect_formula_at(__LINE__, y, &(ag_formula_options){.lines = 2},
                      "t1⊙t1\n  where t1 = t2⊙t2\n        t2 = t3⊙t3\n        … 7 more");
    expect_formula_at(
        __LINE__, y, &(ag_formula_options){.lines = 1, .style = AG_STYLE_LATEX},
        "\\begin{aligned} &t_{1} \\odot t_{1} \\\\ t_{1} &= t_{2} \\odot t_{2} \\\\ &\\text{… 8 more} \\end{aligned}");
}
END_TEST

START_TEST(graphs_may_be_deep_and_wide) {
    int n = (int)by_length(3000, 30000, 100000);
    ag_tensor *x = named("x", AG_SHAPE(1)), *chain = x, *shared = x, *sum = x;
    for (int i = 0; i < n; i++) {
        chain = ag_tanh(chain);
        shared = ag_mul(shared, ag_sin(shared));
        sum = ag_sub(sum, x);
    }
    ag_formula_options all = {.lines = 10 * n};
    ck_assert_uint_lt(strlen(ag_formula(chain, &all)), (size_t)n * 30);
    ck_assert_uint_lt(strlen(ag_formula(shared, &all)), (size_t)n * 60);
    ck_assert_uint_lt(strlen(ag_formula(sum, &all)), (size_t)n * 30);
    ag_tensor *dx;
    ag_grad(ag_sum(shared), 1, &x, &dx);
    ck_assert_uint_lt(strlen(ag_formula(dx, &all)), (size_t)n * 300);
    ag_tensor **many = malloc(5000 * sizeof *many);
    for (int i = 0; i < 5000; i++) many[i] = x;
    ck_assert_uint_lt(strlen(ag_formula(ag_concat(5000, many, 0), NULL)), 5000 * 4);
    free(many);
    expect_ok(tape);
}
END_TEST

/* ---- Every text is well-formed ---- */

static void expect_sound(ag_tensor *x) {
    char before[4000];
    const char *text = ag_formula(x, NULL);
    ck_assert_msg(*text, "%s", ag_tape_error(tape));
    snprintf(before, sizeof before, "%s", text);
    for (const unsigned char *s = (const unsigned char *)text; *s; s++) ck_assert(*s >= 0x20 || *s == '\n');
    text = ag_formula(x, &(ag_formula_options){.style = AG_STYLE_MATHML});
    if (!*text || !xml_is_sound(text)) ck_abort_msg("%s:\n%s", before, text);
    text = ag_formula(x, &(ag_formula_options){.style = AG_STYLE_LATEX});
    if (!*text || !braces_balance(text)) ck_abort_msg("%s:\n%s", before, text);
}

START_TEST(the_checks_notice) {
    ck_assert(xml_is_sound("<a b=\"c\"><d>x&lt;</d></a>") && !xml_is_sound("<a></b>") && !xml_is_sound("<a>") &&
              !xml_is_sound("a & b"));
    ck_assert(!xml_is_sound("</a>") && !xml_is_sound("a > b") && braces_balance("\\{{x}") && !braces_balance("{") &&
              !braces_balance("}{"));
}
END_TEST

START_TEST(labels_cannot_break_out) {
    static const char *const labels[] = {"<b>&amp;</b>", "a\"b'c",   "\\end{x}{", "}{",     "a\nb\tc",
                                         "\x01\x7F",     "\xFF\xC3", "\xE2\x82",  "$%#_^~", "-->",
                                         "]]>",          "x + y",    "a|b",       "日本語"};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        ag_tensor *x = named("x", AG_SHAPE(2));
        ag_label(x, labels[i]);
        expect_sound(ag_mul(ag_label(ag_exp(x), labels[i]), x));
    }
    char *large = malloc(100001);
    memset(large, '&', 100000);
    large[100000] = 0;
    ag_tensor *x = ag_label(named("x", AG_SHAPE(2)), large);
    expect_sound(ag_exp(x));
    ck_assert_uint_lt(strlen(ag_formula(ag_exp(x), NULL)), 200);
    free(large);
    static const char *const names[] = {"<x>", "a{b", "\\", "", "\xFF"};
    static ag_op ops[sizeof names / sizeof *names];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ops[i] = ag_op_of(ag_exp(x))[0];
        ops[i].name = names[i];
        ops[i].notation = NULL;
        expect_sound(ag_apply(&ops[i], 1, &x, NULL, 0));
    }
}
END_TEST

START_TEST(every_operation_is_written) {
    for (int i = 0; i < case_count(); i++) {
        op_case c = case_at(i);
        for (int dtype = 0; dtype < AG_DTYPES; dtype++) {
            ag_tensor *x[CASE_INPUTS];
            if (!case_accepts(&c, (ag_dtype)dtype)) continue;
            expecting(case_title(&c, (ag_dtype)dtype));
            ag_mark mark = ag_tape_mark(tape);
            case_inputs(&c, (ag_dtype)dtype, tape, x);
            ag_tensor *y = case_call(&c, tape, (ag_dtype)dtype, x), *dx;
            expect_sound(y);
            if ((dtype == AG_F32 || dtype == AG_F64) && c.flags & GRAD && c.n > 0 &&
                ag_dtype_of(x[0]) == (ag_dtype)dtype && ag_size(y) > 0 && ag_dtype_of(y) == (ag_dtype)dtype) {
                ag_vjp(1, &y, (ag_tensor *[]){ag_ones(tape, (ag_dtype)dtype, ag_shape_of(y))}, 1, x, &dx, 0);
                expect_sound(dx);
            }
            expect_ok(tape);
            ag_tape_rewind(tape, mark);
        }
    }
}
END_TEST

/* ---- Operations of one's own ---- */

static ag_op own_op(const char *notation) {
    ag_tensor *x = ag_ones(tape, AG_F64, AG_SHAPE(2));
    ag_op op = *ag_op_of(ag_add(x, x));
    op.name = "own";
    op.notation = notation;
    return op;
}

START_TEST(notations_of_one_s_own) {
    static const struct {
        const char *notation, *text;
    } rows[] = {
        {NULL, "own(a + b, b)"},
        {"own({*})", "own(a + b, b)"},
        {"ln(1 + e^{0})", "ln(1 + e^(a + b))"},
        {"{0} * {1}", "(a + b)⊙b"},
        {"{1} @ {0}", "b·(a + b)"},
        {"({0} - {1}) / 2", "(a + b − b)/2"},
        {"|{0}| <= {1}", "|a + b| ≤ b"},
        {"{0} != {1}", "a + b ≠ b"},
        {"{1}^-2 + √{0}", "b^(−2) + √(a + b)"},
        {"f_{size}({1}, 3)", "f_2(b, 3)"},
        {"{1}", "b"},
        {"D {0}", "D (a + b)"},
        {"pi + {1}'", "pi + bᵀ"},
        {"-({0})", "−(a + b)"},
        {"{1} - -{1}", "b + b"},
        {"((((((((({1})))))))))", "b"},
        {"f_{dtype}({1})", "f_f64(b)"},
        {"{^0} + 1", "a + 1"}, /* of a + b the first input */
        {"{dtype}({1})", "f64(b)"},
        {"f_{shape}({1})", "f_(2)(b)"},
        {"{0} + 1.25", "a + b + 1.25"},
        /* no notations */
        {"", "own(a + b, b)"},
        {"{^1}", "own(a + b, b)"}, /* b has no inputs */
        {"{^2}", "own(a + b, b)"},
        {"{i0}", "own(a + b, b)"},
        {"{i-1}", "own(a + b, b)"},
        {"f_{*}({0})", "own(a + b, b)"},
        {"f_{word}({0})", "own(a + b, b)"},
        {"1.2.3", "own(a + b, b)"},
        {"{2}", "own(a + b, b)"},
        {"{d0}", "own(a + b, b)"},
        {"{0", "own(a + b, b)"},
        {"{0} +", "own(a + b, b)"},
        {"({0}", "own(a + b, b)"},
        {"{0}) + 1", "own(a + b, b)"},
        {"{0} $ {1}", "own(a + b, b)"},
        {"{}", "own(a + b, b)"},
        {"f({0}", "own(a + b, b)"},
        {"(((((((((((({1}))))))))))))", "own(a + b, b)"},
        {"{99999999999999999999}", "own(a + b, b)"},
    };
    static ag_op ops[sizeof rows / sizeof *rows];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ag_tensor *x[] = {named("a", AG_SHAPE(2)), named("b", AG_SHAPE(2))};
        x[0] = ag_add(x[0], x[1]);
        ops[i] = own_op(rows[i].notation);
        expecting(rows[i].notation ? rows[i].notation : "none");
        ag_tensor *y = ag_apply(&ops[i], 2, x, NULL, 0);
        expect_formula(y, rows[i].text);
        expect_sound(y);
    }
}
END_TEST

START_TEST(a_notation_may_be_hostile) {
    static ag_op op;
    int n = 1000000;
    char *deep = malloc((size_t)n + 10);
    ag_tensor *x[] = {named("a", AG_SHAPE(2)), named("b", AG_SHAPE(2))};
    static const char *const pieces[] = {"(", "√", "|", "f(", "-", "{0}+", "{0}^", "a_", "'"};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        size_t length = strlen(pieces[i]);
        for (int k = 0; k < n / 4; k++) memcpy(deep + (size_t)k * length, pieces[i], length);
        deep[(size_t)(n / 4) * length] = 0;
        op = own_op(deep);
        expect_formula(ag_apply(&op, 2, x, NULL, 0), "own(a, b)");
    }
    free(deep);
}
END_TEST

/* ---- Errors ---- */

START_TEST(arguments_are_checked) {
    ag_tensor *x = named("x", AG_SHAPE(2));
    ck_assert_str_eq(ag_formula(NULL, NULL), "");
    expect_error(NULL, AG_ERR_NULL, "formula", "test_formula.c");
    ck_assert_str_eq(ag_formula(x, &(ag_formula_options){.lines = -1}), "");
    expect_error(tape, AG_ERR_RANGE, "formula", "-1 lines", "test_formula.c");
    ck_assert_str_eq(ag_formula(x, &(ag_formula_options){.style = (ag_style)3}), "");
    expect_error(tape, AG_ERR_RANGE, "style 3");
    ag_tensor *nil = ag_add(x, named("y", AG_SHAPE(3)));
    ck_assert_str_eq(ag_formula(x, NULL), ""); /* the tape is in error */
    ag_clear_error(tape);
    ck_assert_str_eq(ag_formula(nil, NULL), "");
    expect_error(tape, AG_ERR_NIL, "formula");
}
END_TEST

START_TEST(allocations_may_fail) {
    ag_tape *usual = tape;
    bool failed = true;
    for (int64_t k = 1; failed; k++) {
        ledger l;
        ledger_open(&l);
        tape = ag_tape_new_with(&l.allocator);
        ag_tensor *x = named("x", AG_SHAPE(2)), *y = x;
        for (int i = 0; i < 200; i++) y = ag_add(ag_mul(y, ag_exp(y)), x);
        l.fail_at = l.calls + k;
        const char *text = ag_formula(y, NULL);
        failed = l.failed;
        l.fail_at = 0;
        ck_assert_int_eq(*text == 0, failed);
        expect_error(tape, failed ? AG_ERR_MEMORY : AG_OK, failed ? "out of memory" : "");
        ag_tape_free(tape);
        ledger_close(&l);
    }
    tape = usual;
}
END_TEST

START_TEST(a_text_lasts_until_the_rewind) {
    ag_tensor *x = named("x", AG_SHAPE(2));
    const char *text = ag_formula(ag_exp(x), NULL);
    ag_mark mark = ag_tape_mark(tape);
    int64_t held = 0;
    for (int i = 0; i < 100; i++) {
        ag_formula(ag_exp(ag_tanh(x)), NULL);
        ag_tape_rewind(tape, mark);
        if (i == 10) held = ag_tape_memory(tape).held;
    }
    ck_assert_int_eq(ag_tape_memory(tape).held, held);
    ck_assert_str_eq(text, "e^x");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("formula");
    TCase *systems = tape_group(suite, "systems");
    tcase_add_test(systems, activations);
    tcase_add_test(systems, batch_normalisation);
    tcase_add_test(systems, layers);
    tcase_add_test(systems, a_shared_value_is_named_once);
    TCase *simple = tape_group(suite, "simple");
    tcase_add_test(simple, parentheses_are_where_they_are_needed);
    tcase_add_test(simple, what_changes_nothing_is_not_written);
    tcase_add_test(simple, broadcasting_is_said_where_it_matters);
    tcase_add_test(simple, it_says_what_was_computed);
    TCase *looks = tape_group(suite, "styles");
    tcase_add_test(looks, styles);
    tcase_add_test(looks, the_checks_notice);
    tcase_add_test(looks, labels_cannot_break_out);
    tcase_add_test(looks, every_operation_is_written);
    TCase *names = tape_group(suite, "names");
    tcase_add_test(names, labels_are_names);
    tcase_add_test(names, leaves_without_label_are_told_apart);
    tcase_add_test(names, a_variable_is_what_it_was);
    tcase_add_test(names, many_parts_are_counted);
    tcase_add_test(names, graphs_may_be_deep_and_wide);
    TCase *own = tape_group(suite, "operations of one's own");
    tcase_add_test(own, notations_of_one_s_own);
    tcase_add_test(own, a_notation_may_be_hostile);
    TCase *errors = tape_group(suite, "errors");
    tcase_add_test(errors, arguments_are_checked);
    tcase_add_test(errors, allocations_may_fail);
    tcase_add_test(errors, a_text_lasts_until_the_rewind);
    return run_suite(suite);
}
