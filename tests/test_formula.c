/* test_formula -- what is written for recorded expressions, and that it says what was computed
 *
 * Exact texts for the systems that learners study; and for many random graphs of numbers the text is read again, by a
 * small calculator that knows nothing of the graph, and must give the recorded value. */
#include "tests/cases.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ag_tensor *named(const char *label, ag_shape shape) {
    return ag_label(scattered(tape, AG_F64, shape, (uint64_t)label[0]), label);
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

/* ---- The systems that are taught ---- */

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
                      "        t2 = (V + 0.001)^(−1/2)");
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

int main(void) {
    Suite *suite = suite_create("formula");
    TCase *systems = tape_group(suite, "systems");
    tcase_add_test(systems, activations);
    tcase_add_test(systems, batch_normalisation);
    tcase_add_test(systems, layers);
    tcase_add_test(systems, a_shared_value_is_named_once);
    TCase *looks = tape_group(suite, "styles");
    tcase_add_test(looks, styles);
    return run_suite(suite);
}
