/* test_explain -- explanations of gradients: exact texts for the taught systems, JSON that a strict reader accepts,
 * and an unchanged tape */
#include "tests/grammar.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- JSON ---- */

static void expect_json(const char *text) {
    const char *wrong = json_fault(text);
    if (wrong) ck_abort_msg("invalid JSON from here:\n%.200s\nin\n%s\n%s", wrong, text, ag_tape_error(tape));
}

START_TEST(the_reader_is_strict) {
    static const char *const good[] = {"{\"a\":[1,-0.5e3,\"\\u00ff\\n\",true,null,{}]}", "[]", " 0 "};
    static const char *const bad[] = {"{a:1}", "[1,]", "[01]", "\"\n\"", "\"\\x\"",   "[1 2]",
                                      "nan",   "1.",   "",     "[",      "\"\\u12\"", "{\"a\" 1}"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) ck_assert_msg(!json_fault(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) ck_assert_msg(json_fault(bad[i]) != NULL, "%s", bad[i]);
}
END_TEST

/* ---- Explanations ---- */

static const char *without_places(const char *text) {
    static char to[20000];
    size_t n = 0;
    for (const char *s = text; *s && n + 1 < sizeof to; s++) {
        if (strncmp(s, " [test_explain.c:", 17) == 0) s = strchr(s, ']') + 1;
        to[n++] = *s;
        if (!*s) break;
    }
    to[n] = 0;
    return to;
}

#define expect_text(got, text) expect_text_at(__LINE__, got, text)

static void expect_text_at(int line, const char *got, const char *text) {
    got = without_places(got);
    if (strcmp(got, text) != 0)
        ck_abort_msg("line %d: the text is\n%s\nnot\n%s\n%s", line, got, text, ag_tape_error(tape));
}

static struct { ag_tensor *z, *g, *bw, *bb, *m, *v, *nz, *bz; } bn;

static void batch_normalise(void) {
    static const double z[] = {1, 2, 3, 6, -1, 0, 5, 3, -2, 4, 2, 9}, g[] = {1, 0, -1, 2, 1, 0, -1, 1, 2, 0, -2, 1};
    bn.z = ag_label(ag_from(tape, AG_F64, AG_SHAPE(6, 2), z), "Z");
    bn.g = ag_label(ag_from(tape, AG_F64, AG_SHAPE(6, 2), g), "dLdBZ");
    bn.bw = ag_label(ag_from(tape, AG_F64, AG_SHAPE(1, 2), (double[]){2, 0.5}), "BW");
    bn.bb = ag_label(ag_from(tape, AG_F64, AG_SHAPE(1, 2), (double[]){1, -1}), "Bb");
    bn.m = ag_label(ag_mean_over(bn.z, AG_AXES(0), true), "M");
    bn.v = ag_label(ag_mean_over(ag_square(ag_sub(bn.z, bn.m)), AG_AXES(0), true), "V");
    bn.nz = ag_label(ag_mul(ag_sub(bn.z, bn.m), ag_rsqrt(ag_add_scalar(bn.v, 0.25))), "NZ");
    bn.bz = ag_label(ag_add(ag_mul(bn.bw, bn.nz), bn.bb), "BZ");
}

START_TEST(the_mean_has_two_paths) {
    batch_normalise();
    ag_explain_options o = {.cotangent = bn.g, .depth = 1, .values = -1};
    expect_text(ag_explain(bn.bz, bn.m, &o),
                "∂BZ/∂M: M (1,2) is used 2 times on the way to BZ (6,2), along 2 paths; its cotangent is dLdBZ\n"
                "1  through sub (broadcast) → square → mean = V\n"
                "    −2·Σ_0 ∂BZ/∂V⊙(Z − M)/6\n"
                "    norm 2.22045e-16: zero to rounding, which may leave 7e-14 of the terms that cancel\n"
                "    1.1  through add_scalar → rsqrt → mul (broadcast) = NZ\n"
                "        Σ_0 (Σ_0 ∂BZ/∂NZ⊙(Z − M))⊙(V + 0.25)^(−3/2)⊙(Z − M)/6\n"
                "        norm 2.22045e-16: zero to rounding, which may leave 7e-14 of the terms that cancel\n"
                "2  through sub (broadcast) → mul = NZ\n"
                "    −Σ_0 ∂BZ/∂NZ⊙(V + 0.25)^(−1/2)\n"
                "    norm 0.682656\n"
                "    2.1  through mul → add = BZ\n"
                "        −Σ_0 dLdBZ⊙BW⊙(V + 0.25)^(−1/2)\n"
                "        norm 0.682656\n"
                "sum norm 0.682656\n"
                "The gradient is the same, to the last bit.");
}
END_TEST

START_TEST(the_data_have_three_paths) {
    batch_normalise();
    ag_explain_options o = {.cotangent = bn.g, .values = -1};
    expect_text(ag_explain(bn.bz, bn.z, &o),
                "∂BZ/∂Z: Z (6,2) is used 3 times on the way to BZ (6,2), along 4 paths; its cotangent is dLdBZ\n"
                "1  through mean = M\n"
                "    ∂BZ/∂M/6\n"
                "    norm 0.278693\n"
                "2  through sub = t1\n"
                "    ∂BZ/∂t1\n"
                "    norm 2.20923\n"
                "3  through sub = t2\n"
                "    ∂BZ/∂t2\n"
                "    norm 2.90563\n"
                "sum norm 1.74531\n"
                "The gradient agrees: the largest difference is 5.6e-17, and rounding allows 2.6e-15.\n"
                "where t1 = Z − M\n"
                "      t2 = Z − M");
    o.depth = 1;
    expect_text(ag_explain(bn.bz, bn.z, &o),
                "∂BZ/∂Z: Z (6,2) is used 3 times on the way to BZ (6,2), along 4 paths; its cotangent is dLdBZ\n"
                "1  through mean = M\n"
                "    ∂BZ/∂M/6\n"
                "    norm 0.278693\n"
                "    1.1  through sub (broadcast) → square → mean = V\n"
                "        −2·(Σ_0 ∂BZ/∂V⊙(Z − M)/6)/6\n"
                "        norm 9.06493e-17: zero to rounding, which may leave 1.2e-14 of the terms that cancel\n"
                "    1.2  through sub (broadcast) → mul = NZ\n"
                "        −(Σ_0 ∂BZ/∂NZ⊙(V + 0.25)^(−1/2))/6\n"
                "        norm 0.278693\n"
                "2  through sub → square → mean = V\n"
                "    2·∂BZ/∂V⊙(Z − M)/6\n"
                "    norm 2.20923\n"
                "    2.1  through add_scalar → rsqrt → mul (broadcast) = NZ\n"
                "        −(Σ_0 ∂BZ/∂NZ⊙(Z − M))⊙(V + 0.25)^(−3/2)⊙(Z − M)/6\n"
                "        norm 2.20923\n"
                "3  through sub → mul = NZ\n"
                "    ∂BZ/∂NZ⊙(V + 0.25)^(−1/2)\n"
                "    norm 2.90563\n"
                "    3.1  through mul → add = BZ\n"
                "        dLdBZ⊙BW⊙(V + 0.25)^(−1/2)\n"
                "        norm 2.90563\n"
                "sum norm 1.74531\n"
                "The gradient agrees: the largest difference is 5.6e-17, and rounding allows 2.6e-15.");
}
END_TEST

START_TEST(activations) {
    ag_tensor *z = ag_label(ag_from(tape, AG_F64, AG_SHAPE(2), (double[]){0, 1}), "Z");
    ag_tensor *a = ag_label(ag_sigmoid(z), "A"), *g = ag_label(ag_ones(tape, AG_F64, AG_SHAPE(2)), "dLdA");
    expect_text(ag_explain(a, z, &(ag_explain_options){.cotangent = g}),
                "∂A/∂Z: Z (2) is used 1 time on the way to A (2), along 1 path; its cotangent is dLdA\n"
                "1  through sigmoid = A\n"
                "    dLdA⊙A⊙(1 − A)\n"
                "    norm 0.318051, value [0.25, 0.196612]\n"
                "sum norm 0.318051, value [0.25, 0.196612]\n"
                "The gradient is the same, to the last bit.");
    ag_tensor *t = ag_sum(ag_tanh(z));
    expect_text(ag_explain(t, z, NULL), "∂y/∂Z: Z (2) is used 1 time on the way to y (), along 1 path\n"
                                        "1  through tanh = t1\n"
                                        "    ∂y/∂t1⊙(1 − t1²)\n"
                                        "    norm 1.08461, value [1, 0.419974]\n"
                                        "sum norm 1.08461, value [1, 0.419974]\n"
                                        "The gradient is the same, to the last bit.\n"
                                        "where t1 = tanh(Z)");
    expect_text(ag_trace_backward(t, 1, &z, NULL), "The backward pass from y, node 5. Nodes are visited by falling "
                                                   "number: whatever uses a node was recorded after it,\n"
                                                   "so each node's cotangent is complete when its turn comes.\n"
                                                   "1  node 5, sum = y\n"
                                                   "   cotangent 1, norm 1, value 1\n"
                                                   "   to input 0, node 4 = t1: 1, the first to arrive\n"
                                                   "2  node 4, tanh = t1, whose only use is done\n"
                                                   "   cotangent 1, norm 1.41421, value [1, 1]\n"
                                                   "   to input 0, node 0 = Z: ∂y/∂t1⊙(1 − t1²), the first to arrive\n"
                                                   "∂y/∂Z = ∂y/∂t1⊙(1 − t1²), norm 1.08461, value [1, 0.419974]\n"
                                                   "where t1 = tanh(Z)");
}
END_TEST

START_TEST(a_shared_value) {
    ag_tensor *x = ag_from(tape, AG_F64, AG_SCALAR, (double[]){3}), *squared = ag_mul(x, x),
              *y = ag_add(squared, ag_neg(x));
    expect_text(ag_explain(y, x, NULL), "∂y/∂x: x () is used 3 times on the way to y (), along 3 paths\n"
                                        "1  through mul = t1\n"
                                        "    ∂y/∂t1·x\n"
                                        "    norm 3, value 3\n"
                                        "2  through mul = t1\n"
                                        "    ∂y/∂t1·x\n"
                                        "    norm 3, value 3\n"
                                        "3  through neg = t2\n"
                                        "    −∂y/∂t2\n"
                                        "    norm 1, value -1\n"
                                        "sum norm 5, value 5\n"
                                        "The gradient is the same, to the last bit.\n"
                                        "where t1 = x·x\n"
                                        "      t2 = −x");
    expect_text(ag_trace_backward(y, 1, &x, NULL), "The backward pass from y, node 3. Nodes are visited by falling "
                                                   "number: whatever uses a node was recorded after it,\n"
                                                   "so each node's cotangent is complete when its turn comes.\n"
                                                   "1  node 3, add = y\n"
                                                   "   cotangent 1, norm 1, value 1\n"
                                                   "   to input 0, node 1 = t1: 1, the first to arrive\n"
                                                   "   to input 1, node 2 = t2: 1, the first to arrive\n"
                                                   "2  node 2, neg = t2, whose only use is done\n"
                                                   "   cotangent 1, norm 1, value 1\n"
                                                   "   to input 0, node 0 = c1: −∂y/∂t2, the first to arrive\n"
                                                   "3  node 1, mul = t1, whose only use is done\n"
                                                   "   cotangent 1, norm 1, value 1\n"
                                                   "   to input 0, node 0 = c1: ∂y/∂t1·c1, added to 1 earlier\n"
                                                   "   to input 1, node 0 = c1: ∂y/∂t1·c1, added to 2 earlier\n"
                                                   "∂y/∂c1 = −∂y/∂t2 + ∂y/∂t1·c1 + ∂y/∂t1·c1, norm 5, value 5\n"
                                                   "where t1 = c1·c1\n"
                                                   "      t2 = −c1");
}
END_TEST

START_TEST(layers) {
    ag_tensor *x = ag_label(scattered(tape, AG_F64, AG_SHAPE(4, 3), 1), "x"),
              *b = ag_label(ag_zeros(tape, AG_F64, AG_SHAPE(2)), "b");
    ag_tensor *w = ag_label(ag_parameter_from(scattered(tape, AG_F64, AG_SHAPE(3, 2), 20)), "w");
    ag_tensor *loss = ag_label(ag_mean(ag_square(ag_add(ag_matmul(x, w), b))), "L");
    ag_explain_options o = {.values = -1, .depth = 1};
    expect_text(ag_explain(loss, w, &o), "∂L/∂w: w (3,2) is used 1 time on the way to L (), along 1 path\n"
                                         "1  through matmul → add → square → mean = L\n"
                                         "    2·xᵀ·(x·w + b)/8\n"
                                         "    norm 0.570196\n"
                                         "sum norm 0.570196\n"
                                         "The gradient is the same, to the last bit.");
    expect_text(ag_explain(loss, b, &o), "∂L/∂b: b (2) is used 1 time on the way to L (), along 1 path\n"
                                         "1  through add (broadcast) → square → mean = L\n"
                                         "    2·Σ_0 (x·w + b)/8\n"
                                         "    norm 0.188157\n"
                                         "sum norm 0.188157\n"
                                         "The gradient is the same, to the last bit.");
    expect_text(ag_trace_backward(loss, 0, NULL, &o), "The backward pass from L, node 10. Nodes are visited by falling "
                                                      "number: whatever uses a node was recorded after it,\n"
                                                      "so each node's cotangent is complete when its turn comes.\n"
                                                      "1  node 10, mean = L\n"
                                                      "   cotangent 1, norm 1\n"
                                                      "   to input 0, node 9 = t1: 1/8, the first to arrive\n"
                                                      "2  node 9, square = t1, whose only use is done\n"
                                                      "   cotangent 1/8, norm 0.353553\n"
                                                      "   to input 0, node 8 = t2: 2·∂L/∂t1⊙t2, the first to arrive\n"
                                                      "3  node 8, add = t2, whose only use is done\n"
                                                      "   cotangent 2·∂L/∂t1⊙t2, norm 0.420623\n"
                                                      "   to input 0, node 6 = t3: ∂L/∂t2, the first to arrive\n"
                                                      "4  node 6, matmul = t3, whose only use is done\n"
                                                      "   cotangent ∂L/∂t2, norm 0.420623\n"
                                                      "   to input 1, node 5 = w: xᵀ·∂L/∂t3, the first to arrive\n"
                                                      "∂L/∂w = xᵀ·∂L/∂t3, norm 0.570196\n"
                                                      "where t1 = t2²\n"
                                                      "      t2 = t3 + b\n"
                                                      "      t3 = x·w");
}
END_TEST

START_TEST(everything_is_json) {
    batch_normalise();
    for (int style = 0; style < 3; style++) {
        for (int depth = 0; depth < 4; depth++) {
            ag_explain_options o = {.json = true, .style = (ag_style)style, .cotangent = bn.g, .depth = depth};
            expect_json(ag_explain(bn.bz, bn.z, &o));
            expect_json(ag_explain(bn.bz, bn.m, &o));
            expect_json(ag_trace_backward(bn.bz, 1, &bn.z, &o));
        }
    }
}
END_TEST

/* The value of the first "name": in a JSON text after `from`; it lasts until the next call. */
static const char *field(const char *text, const char *from, const char *name) {
    static char found[300];
    char key[60];
    const char *s = strstr(text, from);
    snprintf(key, sizeof key, "\"%s\":", name);
    if (s) s = strstr(s, key);
    if (!s) ck_abort_msg("no %s after %s in\n%s", key, from, text);
    s += strlen(key);
    snprintf(found, sizeof found, "%.*s", (int)strcspn(s, ",}]"), s);
    return found;
}

/* ---- Zero, and zero to rounding ---- */

/* The part of dL/dM that comes through the variance, for data around `centre`. */
static const char *variance_path(ag_dtype dtype, double centre, double spread) {
    double z[24];
    for (int i = 0; i < 24; i++) z[i] = centre + spread * scatter((uint64_t)i);
    ag_tensor *x = tensor_of(tape, dtype, AG_SHAPE(8, 3), z), *m = ag_label(ag_mean_over(x, AG_AXES(0), true), "M");
    ag_tensor *d = ag_label(ag_sub(x, m), "D"), *v = ag_label(ag_mean_over(ag_square(d), AG_AXES(0), true), "V");
    ag_tensor *y = ag_mul(d, ag_rsqrt(ag_add_scalar(v, 1e-5))), *g = scattered(tape, dtype, AG_SHAPE(8, 3), 100);
    const char *text = ag_explain(y, m, &(ag_explain_options){.json = true, .depth = 1, .cotangent = g});
    expect_json(text);
    ck_assert_str_eq(field(text, "\"difference\"", "agrees"), "true");
    return field(text, "\"name\":\"V\"", "zero");
}

START_TEST(rounding_is_told_from_what_is_small) {
    ck_assert_str_eq(variance_path(AG_F64, 0, 1), "\"rounding\"");
    ck_assert_str_eq(variance_path(AG_F64, 1e6, 1), "\"rounding\"");
    ck_assert_str_eq(variance_path(AG_F64, 1e-9, 1e-12), "\"rounding\"");
    ck_assert_str_eq(variance_path(AG_F64, 1e9, 1e9), "\"rounding\"");
    ck_assert_str_eq(variance_path(AG_F32, 0, 1), "\"rounding\"");
    ck_assert_str_eq(variance_path(AG_F32, 100, 1), "\"rounding\"");
    expect_ok(tape);
}
END_TEST

/* The member `zero` of the only use of x: false, "exact" or "rounding". */
static const char *zero_of(ag_tensor *y, ag_tensor *x) {
    const char *text = ag_explain(y, x, &(ag_explain_options){.json = true});
    expect_json(text);
    return field(text, "\"uses\"", "zero");
}

START_TEST(what_is_not_rounding_is_not_called_so) {
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(3), (double[]){1, 2, 3});
    ck_assert_str_eq(zero_of(ag_sum(ag_scale(x, 1e-300)), x), "false"); /* tiny, but not by cancellation */
    ck_assert_str_eq(
        zero_of(ag_sum(ag_mul(x, ag_from(tape, AG_F64, AG_SHAPE(3), (double[]){1e-20, -1e-20, 2e-20}))), x), "false");
    ck_assert_str_eq(zero_of(ag_sum(ag_scale(x, 0)), x), "\"exact\"");
    ck_assert_str_eq(zero_of(ag_sum(ag_pow_scalar(x, 0)), x), "\"exact\"");
    ag_tensor *s = ag_scalar(tape, AG_F64, 3), *w = ag_from(tape, AG_F64, AG_SHAPE(3), (double[]){0.1, 0.2, -0.3});
    ck_assert_str_eq(zero_of(ag_sum(ag_mul(s, w)), s), "\"rounding\""); /* 0.1 + 0.2 − 0.3 is not 0 */
    w = ag_from(tape, AG_F64, AG_SHAPE(3), (double[]){0.1, 0.2, -0.3 + 1e-14});
    ck_assert_str_eq(zero_of(ag_sum(ag_mul(s, w)), s), "false");
    ck_assert_str_eq(zero_of(ag_sum(ag_scale(x, (double)NAN)), x), "false");
    ag_tensor *far = ag_scalar(tape, AG_F64, 50); /* 1 − tanh² of it is 1.5e-43, and right */
    ck_assert_str_eq(zero_of(ag_tanh(far), far), "false");
    ck_assert_str_eq(zero_of(ag_sigmoid(far), far), "false");
    expect_ok(tape);
}
END_TEST

/* A gradient by w that is the difference of a product and what should be the same. */
START_TEST(rounding_of_products) {
    for (int keepdims = 0; keepdims < 2; keepdims++)
        for (int i = 0; i < 3; i++) {
            ag_tensor *x = ag_add_scalar(ag_scale(scattered(tape, AG_F64, AG_SHAPE(5, 7), 7), 0.3), 1.7);
            ag_tensor *p = ag_sum(ag_prod_over(x, AG_AXES(1), keepdims));
            ag_tensor *same = ag_sum(ag_exp(ag_sum_over(ag_log(x), AG_AXES(1), keepdims)));
            ag_tensor *w = ag_scalar(tape, AG_F64, 3), *y = ag_mul(w, ag_sub(p, ag_scale(same, i < 2 ? 1 : 1 + 1e-10)));
            if (i == 1) { /* of values that are given */
                ag_tensor *two = ag_from(tape, AG_F64, AG_SHAPE(2), (double[]){0.1, 3});
                y = ag_mul(w, ag_add_scalar(ag_prod(two), -0.3));
            }
            ck_assert_str_eq(zero_of(y, w), i < 2 ? "\"rounding\"" : "false");
        }
    expect_ok(tape);
}
END_TEST

START_TEST(a_deep_network_has_gradients) {
    int64_t m = 4, n = 32;
    ag_tensor *a = scattered(tape, AG_F64, AG_SHAPE(m, n), 1), *b[20];
    for (int i = 0; i < 20; i++) {
        b[i] = ag_zeros(tape, AG_F64, AG_SHAPE(n));
        ag_tensor *w = ag_scale(scattered(tape, AG_F64, AG_SHAPE(n, n), 1000 * (uint64_t)(i + 1)), 0.3);
        a = (i % 2 ? ag_sigmoid : ag_tanh)(ag_add(ag_matmul(a, w), b[i]));
    }
    ag_tensor *loss = ag_mean(ag_square(a));
    for (int i = 0; i < 20; i++) ck_assert_str_eq(zero_of(loss, b[i]), "false");
}
END_TEST

START_TEST(a_bias_before_batchnorm_has_none) {
    ag_tensor *b = ag_from(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2});
    ag_tensor *z = ag_add(scattered(tape, AG_F64, AG_SHAPE(6, 2), 1), b),
              *g = scattered(tape, AG_F64, AG_SHAPE(6, 2), 50);
    ag_tensor *d = ag_sub(z, ag_mean_over(z, AG_AXES(0), true));
    ag_tensor *v = ag_mean_over(ag_square(d), AG_AXES(0), true);
    ag_tensor *y = ag_sum(ag_mul(ag_mul(d, ag_rsqrt(ag_add_scalar(v, 1e-5))), g));
    ck_assert_str_eq(zero_of(y, b), "\"rounding\"");
}
END_TEST

static int calls;

static ag_tensor *once_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *x = ag_input(y, i);
    return ag_mul(g, calls++ ? ag_reshape(x, AG_SHAPE(77)) : x);
}

START_TEST(what_cannot_be_analysed_is_not_called_zero) {
    static ag_op once;
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(3), (double[]){NAN, 0, 0});
    ag_tensor *s = ag_sqrt(ag_scalar(tape, AG_F64, 9));
    ck_assert_str_eq(zero_of(ag_sum(ag_square(x)), x), "false");
    ag_tensor *w = ag_from(tape, AG_F64, AG_SHAPE(3), (double[]){0.1, 0.2, -0.3});
    once = *ag_op_of(ag_exp(x));
    once.vjp = once_vjp;
    ag_tensor *o = ag_apply(&once, 1, &s, NULL, 0), *y = ag_sum(ag_mul(ag_exp(o), w));
    calls = 0;
    ck_assert_str_eq(zero_of(y, o), "\"rounding\"");
    ck_assert_str_eq(zero_of(y, o), "false"); /* the vjp fails in the analysis: not the user's error */
    ck_assert_int_eq(calls, 2);
    expect_ok(tape);
}
END_TEST

/* ---- Shapes of graphs ---- */

START_TEST(a_variable_is_used_as_its_version) {
    ag_tensor *w = ag_label(ag_parameter(tape, AG_F64, AG_SCALAR, (double[]){2}), "w");
    ag_tensor *squared = ag_square(w), *y = ag_label(ag_add(squared, ag_exp(w)), "L");
    expect_text(ag_explain(y, w, NULL), "∂L/∂w: w () is used 2 times on the way to L (), along 2 paths\n"
                                        "1  through square = t1\n"
                                        "    2·∂L/∂t1·w\n"
                                        "    norm 4, value 4\n"
                                        "2  through exp = t2\n"
                                        "    ∂L/∂t2·t2\n"
                                        "    norm 7.38906, value 7.38906\n"
                                        "sum norm 11.3891, value 11.3891\n"
                                        "The gradient is the same, to the last bit.\n"
                                        "where t1 = w²\n"
                                        "      t2 = e^w");
    ag_assign(w, ag_scale(w, 0.5));
    ag_tensor *later = ag_label(ag_add(y, ag_square(w)), "L2");
    expect_text(ag_explain(later, w, NULL), "∂L2/∂w: w () is used 3 times on the way to L2 (), along 3 paths\n"
                                            "1  through square = t1\n"
                                            "    2·∂L2/∂t1·w#2\n"
                                            "    norm 4, value 4\n"
                                            "2  through exp = t2\n"
                                            "    ∂L2/∂t2·t2\n"
                                            "    norm 7.38906, value 7.38906\n"
                                            "3  through square = t3\n"
                                            "    2·∂L2/∂t3·w\n"
                                            "    norm 2, value 2\n"
                                            "sum norm 13.3891, value 13.3891\n"
                                            "The gradient is the same, to the last bit.\n"
                                            "where t1 = w#2²\n"
                                            "      t2 = e^w#2\n"
                                            "      t3 = w²");
    ck_assert(ag_item(w) == 1);
    ag_tensor *dw;
    ag_grad(later, 1, &w, &dw);
    expect_near(dw, 1, (double[]){4 + exp(2) + 2}, 4, 0);
}
END_TEST

START_TEST(what_does_not_depend_has_no_uses) {
    ag_tensor *x = ag_label(ag_ones(tape, AG_F64, AG_SHAPE(2)), "x"),
              *y = ag_label(ag_sum(ag_zeros(tape, AG_F64, AG_SHAPE(3))), "y");
    expect_text(ag_explain(y, x, NULL), "∂y/∂x: x (2) is not used on the way to y ()\n"
                                        "sum norm 0, value [0, 0]\n"
                                        "The gradient is the same, to the last bit.");
    expect_text(ag_explain(y, y, NULL), "∂y/∂y: y () itself");
    expect_text(ag_trace_backward(y, 1, &x, NULL), "The backward pass from y, node 4. Nodes are visited by falling "
                                                   "number: whatever uses a node was recorded after it,\n"
                                                   "so each node's cotangent is complete when its turn comes.\n"
                                                   "∂y/∂x = 0, norm 0, value [0, 0]");
    ag_explain_options o = {.json = true};
    expect_json(ag_explain(y, x, &o));
    expect_json(ag_explain(y, y, &o));
    expect_json(ag_trace_backward(y, 1, &x, &o));
    ag_tensor *none = ag_zeros(tape, AG_F64, AG_SHAPE(0, 3));
    expect_json(ag_explain(ag_sum(none), none, &o));
    expect_json(ag_explain(ag_exp(none), none, &o));
    expect_text(ag_explain(ag_sum(none), none, NULL),
                "∂t1/∂t2: t2 (0,3) is used 1 time on the way to t1 (), along 1 path\n"
                "1  through sum = t1\n"
                "    1\n"
                "    norm 0: exactly zero\n"
                "sum norm 0\n"
                "The gradient is the same, to the last bit.");
    expect_ok(tape);
}
END_TEST

START_TEST(what_gives_nothing_is_said) {
    ag_tensor *x = ag_label(ag_ones(tape, AG_F64, AG_SHAPE(2)), "x");
    ag_tensor *e = ag_exp(x);
    ag_tensor *y = ag_label(ag_add(e, ag_pow_scalar(x, 0)), "y");
    expect_text(ag_explain(y, x, &(ag_explain_options){.values = -1}),
                "∂y/∂x: x (2) is used 2 times on the way to y (2), along 2 paths; its cotangent is all ones\n"
                "1  through exp = t1\n"
                "    ∂y/∂t1⊙t1\n"
                "    norm 3.84423\n"
                "2  through pow_scalar = t2\n"
                "    nothing: it is locally constant\n"
                "sum norm 3.84423\n"
                "The gradient is the same, to the last bit.\n"
                "where t1 = e^x\n"
                "      t2 = x^0");
    expect_text(ag_trace_backward(y, 1, &x, &(ag_explain_options){.values = -1}),
                "The backward pass from y, node 4. Nodes are visited by falling number: whatever uses a node was "
                "recorded after it,\n"
                "so each node's cotangent is complete when its turn comes.\n"
                "1  node 4, add = y\n"
                "   cotangent 1, norm 1.41421\n"
                "   to input 0, node 2 = t1: 1, the first to arrive\n"
                "   to input 1, node 3 = t2: 1, the first to arrive\n"
                "2  node 3, pow_scalar = t2, whose only use is done\n"
                "   cotangent 1, norm 1.41421\n"
                "   to input 0, node 1 = x: nothing\n"
                "3  node 2, exp = t1, whose only use is done\n"
                "   cotangent 1, norm 1.41421\n"
                "   to input 0, node 1 = x: ∂y/∂t1⊙t1, the first to arrive\n"
                "∂y/∂x = ∂y/∂t1⊙t1, norm 3.84423\n"
                "where t1 = e^x\n"
                "      t2 = x^0");
    expect_json(ag_explain(y, x, &(ag_explain_options){.json = true}));
    expect_json(ag_trace_backward(y, 1, &x, &(ag_explain_options){.json = true}));
}
END_TEST

START_TEST(one_broadcast_of_several_uses_is_a_use) {
    ag_tensor *x = ag_label(ag_ones(tape, AG_F64, AG_SHAPE(2)), "x"), *wide = ag_broadcast_to(x, AG_SHAPE(3, 2));
    ag_tensor *e = ag_exp(wide), *y = ag_label(ag_sum(ag_add(e, ag_tanh(wide))), "y");
    expect_text(ag_explain(y, x, &(ag_explain_options){.values = -1}),
                "∂y/∂x: x (2) is used 1 time on the way to y (), along 2 paths\n"
                "1  through broadcast_to = t1\n"
                "    Σ_0 ∂y/∂t1\n"
                "    norm 13.3145\n"
                "sum norm 13.3145\n"
                "The gradient is the same, to the last bit.\n"
                "where t1 = broadcast(x, (3,2))");
    expect_text(ag_explain(y, x, &(ag_explain_options){.values = -1, .depth = 1}),
                "∂y/∂x: x (2) is used 1 time on the way to y (), along 2 paths\n"
                "1  through broadcast_to = t1\n"
                "    Σ_0 ∂y/∂t1\n"
                "    norm 13.3145\n"
                "    1.1  through exp → add → sum = y\n"
                "        Σ_0 e^t1\n"
                "        norm 11.5327\n"
                "    1.2  through tanh → add → sum = y\n"
                "        Σ_0 (1 − tanh(t1)²)\n"
                "        norm 1.7818\n"
                "sum norm 13.3145\n"
                "The gradient is the same, to the last bit.\n"
                "where t1 = broadcast(x, (3,2))");
}
END_TEST

START_TEST(values_that_are_not_finite) {
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(4), (double[]){0, -1, 4, -INFINITY});
    ag_tensor *y = ag_add(ag_log(x), ag_sqrt(x));
    ag_explain_options o = {.json = true};
    const char *text = ag_explain(y, x, &o);
    expect_json(text);
    ck_assert_ptr_nonnull(strstr(text, "\"NaN\""));
    ck_assert_ptr_nonnull(strstr(text, "\"Infinity\""));
    ck_assert_str_eq(field(text, "\"difference\"", "agrees"), "true");
    ck_assert_ptr_nonnull(strstr(ag_explain(y, x, NULL), "NaN"));
}
END_TEST

START_TEST(what_is_too_long_is_counted) {
    ag_tensor *x = ag_label(ag_ones(tape, AG_F64, AG_SCALAR), "x"), *y = x;
    int n = small_run() ? 200 : 1200;
    for (int i = 0; i < n; i++) y = ag_add(ag_sin(y), ag_cos(y)); /* 2^n paths */
    ag_explain_options o = {.depth = 32, .lines = 7};
    const char *text = ag_explain(y, x, &o);
    ck_assert_uint_lt(strlen(text), 20000);
    ck_assert_ptr_nonnull(strstr(text, "\n… and 9 more uses\n"));
    ck_assert_ptr_nonnull(strstr(text, n > 1100 ? "along inf paths" : "paths"));
    o.json = true;
    expect_json(ag_explain(y, x, &o));
    ck_assert_ptr_nonnull(strstr(ag_trace_backward(y, 1, &x, &(ag_explain_options){.lines = 3}), " more steps"));
    o.lines = 0;
    expect_json(ag_trace_backward(y, 1, &x, &o));
    expect_ok(tape);
}
END_TEST

START_TEST(graphs_may_be_deep) {
    int n = small_run() ? 2000 : 100000;
    ag_tensor *x = ag_ones(tape, AG_F64, AG_SCALAR), *y = x;
    for (int i = 0; i < n; i++) y = ag_tanh(y);
    ag_explain_options o = {.depth = 32};
    ck_assert_uint_lt(strlen(ag_explain(y, x, &o)), 200000);
    ck_assert_uint_lt(strlen(ag_trace_backward(y, 1, &x, &o)), 200000);
    expect_ok(tape);
}
END_TEST

/* ---- The tape ---- */

START_TEST(the_tape_is_as_before) {
    batch_normalise();
    ag_tensor *w = ag_label(ag_parameter(tape, AG_F64, AG_SHAPE(1, 2), (double[]){1, 2}), "w");
    ag_tensor *noise = ag_uniform(tape, AG_F64, AG_SHAPE(6, 2), 0, 1), *y = ag_mul(ag_mul(bn.bz, noise), w);
    ag_eval(bn.v);
    const void *kept = ag_data(bn.nz);
    ag_explain_options o = {.cotangent = bn.g, .depth = 3};
    for (int round = 0; round < 3; round++) {
        ag_memory before = ag_tape_memory(tape);
        ag_explain(y, bn.z, &o);
        ag_explain(y, w, &o);
        ag_trace_backward(y, 0, NULL, &o);
        ag_memory after = ag_tape_memory(tape);
        ck_assert_int_eq(after.nodes, before.nodes);
        ck_assert_int_eq(after.live, before.live);
        ck_assert_ptr_eq(ag_data(bn.nz), kept);
        if (round == 1) ag_eval(y);
    }
    expect_ok(tape);
}
END_TEST

/* The memory of a program at several points, explained in between or not. */
static int64_t held(bool explained) {
    ag_tape *t = ag_tape_new();
    int64_t live = 0;
    ag_tensor *w = ag_parameter(t, AG_F64, AG_SHAPE(1000), (double[1000]){1}), *x = ag_ones(t, AG_F64, AG_SHAPE(1000));
    ag_tensor *base = ag_exp(ag_tanh(x)), *h = ag_exp(ag_tanh(w)), *y = ag_sum(ag_mul(h, ag_sin(h)));
    ag_mark mark = ag_tape_mark(t);
    ag_tensor *gone = ag_sum(ag_cos(base));
    if (explained) ag_explain(gone, base, NULL);
    ag_tape_rewind(t, mark);
    ag_eval(ag_sum(ag_square(base)));
    live = ag_tape_memory(t).live; /* base has been released: no recorded node reads it */
    if (explained) ag_explain(y, w, NULL);
    ag_eval(y);
    live = 7 * live + ag_tape_memory(t).live; /* h is kept: its gradient may be asked for */
    if (explained) ag_trace_backward(y, 0, NULL, NULL);
    live = 7 * live + ag_tape_memory(t).live;
    ck_assert_int_eq(ag_tape_status(t), AG_OK);
    ag_tape_free(t);
    return live;
}

START_TEST(values_of_sums_of_contributions_are_not_held) {
    ag_tensor *x = ag_parameter(tape, AG_F64, AG_SHAPE(1000), (double[1000]){1}), *g;
    ag_tensor *y = ag_sum(ag_mul(ag_mul(ag_exp(x), ag_sin(x)), ag_tanh(x)));
    ag_grad(y, 1, &x, &g);
    ag_tensor *z = ag_sum(ag_square(g));
    int64_t before = ag_tape_memory(tape).live;
    ag_trace_backward(z, 0, NULL, NULL);
    ag_explain(z, x, NULL);
    ck_assert_int_eq(ag_tape_memory(tape).live, before);
    expect_ok(tape);
}
END_TEST

START_TEST(what_is_held_does_not_change) { ck_assert_int_eq(held(true), held(false)); }
END_TEST

static ag_tensor *noisy_vjp(ag_tensor *y, ag_tensor *g, int i) {
    (void)i;
    return ag_mul(g, ag_uniform(tape, AG_F64, ag_shape_of(y), 1, 2));
}

START_TEST(draws_are_not_used_up) {
    static ag_op noisy;
    ag_tensor *x = ag_ones(tape, AG_F64, AG_SHAPE(3)), *numbers[2];
    noisy = *ag_op_of(ag_exp(x));
    noisy.vjp = noisy_vjp;
    ag_tensor *y = ag_apply(&noisy, 1, &x, NULL, 0);
    for (int i = 0; i < 2; i++) {
        ag_tape_seed(tape, 5);
        if (i == 1) ag_explain(y, x, NULL);
        numbers[i] = ag_uniform(tape, AG_F64, AG_SHAPE(3), 0, 1);
    }
    expect_same(numbers[0], numbers[1]);
}
END_TEST

/* The same program with and without explanations in between gives the same bits. */
static double run(bool explained) {
    ag_tape *t = ag_tape_new();
    double total = 0;
    ag_tensor *w = ag_parameter(t, AG_F64, AG_SHAPE(3), (double[]){1, 2, 3});
    ag_mark mark = ag_tape_mark(t);
    for (int i = 0; i < 5; i++) {
        ag_tensor *noise = ag_normal(t, AG_F64, AG_SHAPE(4, 3), 0, 1), *dw;
        ag_tensor *loss = ag_mean(ag_square(ag_sub(ag_mul(w, noise), ag_exp(noise))));
        if (explained) ag_explain(loss, w, &(ag_explain_options){.depth = 2});
        ag_grad(loss, 1, &w, &dw);
        ag_assign(w, ag_sub(w, ag_scale(dw, 0.1)));
        if (explained) ag_trace_backward(loss, 1, &w, NULL);
        if (explained && i > 2) ag_formula(dw, NULL);
        total += ag_item(loss);
        ck_assert_int_eq(ag_tape_status(t), AG_OK);
        ag_tape_rewind(t, mark);
    }
    for (int i = 0; i < 3; i++) total += ag_element(w, i);
    ag_tape_free(t);
    return total;
}

START_TEST(nothing_else_changes) { ck_assert(run(true) == run(false)); }
END_TEST

START_TEST(settings_do_not_matter) {
    batch_normalise();
    ag_explain_options o = {.cotangent = bn.g, .depth = 2};
    char *first = strdup(ag_explain(bn.bz, bn.z, &o)), *trace = strdup(ag_trace_backward(bn.bz, 1, &bn.z, &o));
    ag_tape_set_recording(tape, false);
    ck_assert_str_eq(ag_explain(bn.bz, bn.z, &o), first);
    ag_tape_set_recording(tape, true);
    ag_tape_set_eager(tape, true);
    ck_assert_str_eq(ag_explain(bn.bz, bn.z, &o), first);
    ag_tape_set_eager(tape, false);
    ag_tape_set_evaluator(tape, AG_EVALUATOR_REFERENCE);
    ck_assert_str_eq(ag_explain(bn.bz, bn.z, &o), first);
    ck_assert_str_eq(ag_trace_backward(bn.bz, 1, &bn.z, &o), trace);
    free(first);
    free(trace);
    expect_ok(tape);
}
END_TEST

START_TEST(no_name_breaks_out) {
    static const char *const labels[] = {"\"},{", "\\", "\n\x01", "</math>", "\xFF", "a\"", "\\\"", ""};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        static ag_op op;
        ag_tensor *x = ag_label(ag_ones(tape, AG_F64, AG_SHAPE(2)), labels[i]);
        op = *ag_op_of(ag_exp(x));
        op.name = labels[i];
        op.notation = NULL;
        ag_tensor *h = ag_label(ag_apply(&op, 1, &x, NULL, 0), labels[i]);
        for (int style = 0; style < 3; style++) {
            ag_explain_options o = {.json = true, .style = (ag_style)style, .depth = 1};
            expect_json(ag_explain(ag_sum(h), x, &o));
            expect_json(ag_trace_backward(ag_sum(h), 1, &x, &o));
        }
    }
    ag_tensor *x = ag_label(ag_ones(tape, AG_F64, AG_SHAPE(2)), "\n\x01\"");
    ck_assert_ptr_nonnull(
        strstr(ag_explain(ag_exp(x), x, &(ag_explain_options){.json = true}), "\"\\u000a\\u0001\\\"\""));
    expect_ok(tape);
}
END_TEST

/* ---- Errors ---- */

START_TEST(arguments_are_checked) {
    ag_tensor *x = ag_label(ag_ones(tape, AG_F64, AG_SHAPE(2)), "x"), *y = ag_exp(x), *i = ag_arange(tape, AG_I64, 2);
    ag_tape *other = ag_tape_new();
    ag_tensor *far = ag_ones(other, AG_F64, AG_SHAPE(2)), *three = ag_ones(tape, AG_F64, AG_SHAPE(3));
#define REFUSED(call, status, ...)                                                                                     \
    do {                                                                                                               \
        int64_t nodes = ag_tape_memory(tape).nodes;                                                                    \
        ck_assert_str_eq(call, "");                                                                                    \
        expect_error(tape, status, __VA_ARGS__);                                                                       \
        ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);                                                           \
    } while (0)
    REFUSED(ag_explain(NULL, x, NULL), AG_ERR_NULL, "explain", "test_explain.c");
    REFUSED(ag_explain(y, NULL, NULL), AG_ERR_NULL, "explain");
    REFUSED(ag_explain(y, i, NULL), AG_ERR_DTYPE, "explain", "not real");
    REFUSED(ag_explain(i, x, NULL), AG_ERR_DTYPE, "not real");
    REFUSED(ag_explain(y, far, NULL), AG_ERR_TAPE, "another tape");
    REFUSED(ag_explain(y, x, &(ag_explain_options){.depth = -1}), AG_ERR_RANGE, "explain", "depth -1");
    REFUSED(ag_explain(y, x, &(ag_explain_options){.depth = 33}), AG_ERR_RANGE, "depth 33");
    REFUSED(ag_explain(y, x, &(ag_explain_options){.values = -2}), AG_ERR_RANGE, "-2 values");
    REFUSED(ag_explain(y, x, &(ag_explain_options){.lines = -1}), AG_ERR_RANGE, "-1 lines");
    REFUSED(ag_explain(y, x, &(ag_explain_options){.style = (ag_style)7}), AG_ERR_RANGE, "style 7");
    REFUSED(ag_explain(y, x, &(ag_explain_options){.cotangent = three}), AG_ERR_SHAPE, "explain");
    REFUSED(ag_explain(y, x, &(ag_explain_options){.cotangent = far}), AG_ERR_TAPE, "explain");
    REFUSED(ag_trace_backward(NULL, 1, &x, NULL), AG_ERR_NULL, "trace_backward", "test_explain.c");
    REFUSED(ag_trace_backward(y, 1, NULL, NULL), AG_ERR_NULL, "trace_backward");
    REFUSED(ag_trace_backward(y, -1, &x, NULL), AG_ERR_RANGE, "trace_backward");
    REFUSED(ag_trace_backward(y, 0, NULL, NULL), AG_ERR_GRADIENT, "depends on no parameter");
    REFUSED(ag_trace_backward(y, 1, &i, NULL), AG_ERR_DTYPE, "not real");
    REFUSED(ag_trace_backward(y, 2, (ag_tensor *[]){x, NULL}, NULL), AG_ERR_NULL, "trace_backward", "second input");
    REFUSED(ag_trace_backward(y, 2, (ag_tensor *[]){x, far}, NULL), AG_ERR_TAPE, "trace_backward", "second input");
    /* Released handles stay released, although a report records in their slots: y has two elements, so it makes ones. */
    ag_tensor *released[8];
    ag_mark mark = ag_tape_mark(tape);
    for (int k = 0; k < 8; k++) released[k] = ag_neg(x);
    ag_tape_rewind(tape, mark);
    for (int k = 0; k < 8; k++) {
        REFUSED(ag_trace_backward(y, 2, (ag_tensor *[]){x, released[k]}, NULL), AG_ERR_TAPE, "second input");
        REFUSED(ag_explain(y, released[k], NULL), AG_ERR_TAPE, "second input");
    }
    ag_tape_free(other);
}
END_TEST

START_TEST(what_evaluating_finds_is_an_error) {
    ag_tensor *x = ag_ones(tape, AG_F64, AG_SHAPE(3)), *index = ag_scale(ag_arange(tape, AG_I64, 3), 2);
    ag_tensor *y = ag_exp(ag_gather(x, index, 0));
    REFUSED(ag_explain(y, x, NULL), AG_ERR_RANGE, "test_explain.c");
    REFUSED(ag_trace_backward(y, 1, &x, NULL), AG_ERR_RANGE, "test_explain.c");
    expect_ok(tape);
}
END_TEST

START_TEST(allocations_may_fail) {
    ag_tape *usual = tape;
    for (int what = 0; what < 2; what++) {
        bool failed = true;
        for (int64_t k = 1; failed; k++) {
            ledger l;
            ledger_open(&l);
            tape = ag_tape_new_with(&l.allocator);
            batch_normalise();
            int64_t nodes = ag_tape_memory(tape).nodes, live = ag_tape_memory(tape).live;
            l.fail_at = l.calls + k;
            ag_explain_options o = {.json = k % 2, .depth = 2, .cotangent = bn.g};
            const char *text = what ? ag_trace_backward(bn.bz, 1, &bn.z, &o) : ag_explain(bn.bz, bn.z, &o);
            failed = l.failed;
            l.fail_at = 0;
            ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
            ck_assert_int_eq(ag_tape_memory(tape).live, live);
            if (*text == 0) expect_error(tape, AG_ERR_MEMORY, "out of memory");
            else if (o.json) expect_json(text); /* an evaluation may do without the memory */
            expect_ok(tape);
            ag_tape_free(tape);
            ledger_close(&l);
        }
    }
    tape = usual;
}
END_TEST

int main(void) {
    Suite *suite = suite_create("explain");
    TCase *json = tape_group(suite, "json");
    tcase_add_test(json, the_reader_is_strict);
    tcase_add_test(json, everything_is_json);
    TCase *uses = tape_group(suite, "uses");
    tcase_add_test(uses, the_mean_has_two_paths);
    tcase_add_test(uses, the_data_have_three_paths);
    tcase_add_test(uses, activations);
    tcase_add_test(uses, a_shared_value);
    tcase_add_test(uses, layers);
    tcase_add_test(uses, a_variable_is_used_as_its_version);
    tcase_add_test(uses, what_does_not_depend_has_no_uses);
    tcase_add_test(uses, what_gives_nothing_is_said);
    tcase_add_test(uses, one_broadcast_of_several_uses_is_a_use);
    tcase_add_test(uses, what_is_too_long_is_counted);
    tcase_add_test(uses, graphs_may_be_deep);
    TCase *zero = tape_group(suite, "zero");
    tcase_add_test(zero, rounding_is_told_from_what_is_small);
    tcase_add_test(zero, what_is_not_rounding_is_not_called_so);
    tcase_add_test(zero, rounding_of_products);
    tcase_add_test(zero, a_deep_network_has_gradients);
    tcase_add_test(zero, a_bias_before_batchnorm_has_none);
    tcase_add_test(zero, what_cannot_be_analysed_is_not_called_zero);
    tcase_add_test(zero, values_that_are_not_finite);
    TCase *before = tape_group(suite, "tape");
    tcase_add_test(before, the_tape_is_as_before);
    tcase_add_test(before, nothing_else_changes);
    tcase_add_test(before, what_is_held_does_not_change);
    tcase_add_test(before, values_of_sums_of_contributions_are_not_held);
    tcase_add_test(before, draws_are_not_used_up);
    tcase_add_test(before, settings_do_not_matter);
    tcase_add_test(before, no_name_breaks_out);
    TCase *errors = tape_group(suite, "errors");
    tcase_add_test(errors, arguments_are_checked);
    tcase_add_test(errors, what_evaluating_finds_is_an_error);
    tcase_add_test(errors, allocations_may_fail);
    return run_suite(suite);
}
