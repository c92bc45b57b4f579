/* test_exact -- derivatives and losses that are small, or have large inputs, against many digits
 *
 * Errors of only a few units in the last place are allowed, in f32 and f64, on both sides of 0 and up to the tails'
 * last subnormal numbers: at first, second and third order. */
#include "tests/support.h"

#include "nn/nn.h"
#include "tests/golden/exact.h"

#include <stdio.h>
#include <string.h>

#define COUNT(table) (int)(sizeof(table) / sizeof *(table))

/* A number as a dtype holds it. */
static double held(ag_dtype d, double x) { return d == AG_F32 ? (double)(float)x : x; }
static bool exact_in(ag_dtype d, int n, const double x[]) {
    bool exact = true;
    for (int i = 0; i < n; i++) exact = exact && held(d, x[i]) == x[i];
    return exact;
}

/* ---- Functions of one argument ---- */

static ag_tensor *reciprocal(ag_tensor *x) { return ag_rdiv_scalar(1, x); }
static ag_tensor *pow_25(ag_tensor *x) { return ag_pow_scalar(x, 2.5); }
static ag_tensor *pow_m075(ag_tensor *x) { return ag_pow_scalar(x, -0.75); }

static const struct {
    const char *name;
    ag_tensor *(*call)(ag_tensor *x);
    double ulps[3]; /* by order; the third derivatives of the first two have a zero near by */
} functions[] = {
    {"sigmoid", (ag_sigmoid), {5, 8, 16}}, {"tanh", (ag_tanh), {5, 8, 40}},      {"exp", (ag_exp), {2, 2, 2}},
    {"expm1", (ag_expm1), {2, 2, 2}},      {"log", (ag_log), {1, 2, 4}},         {"log1p", (ag_log1p), {2, 3, 5}},
    {"sqrt", (ag_sqrt), {2, 4, 6}},        {"rsqrt", (ag_rsqrt), {6, 10, 14}},   {"reciprocal", reciprocal, {2, 4, 6}},
    {"sinc", (ag_sinc), {3, 3, 4}},        {"sinc far", (ag_sinc), {3, 16, 40}}, {"pow 2.5", pow_25, {3, 3, 3}},
    {"pow -0.75", pow_m075, {3, 3, 3}},
};
enum { FUNCTIONS = COUNT(functions) };

static int function_of(const char *name) {
    for (int f = 0; f < FUNCTIONS; f++)
        if (strcmp(functions[f].name, name) == 0) return f;
    ck_abort_msg("%s is not in the table", name);
}

static ag_tensor *slope(ag_tensor *y, ag_tensor *x) {
    ag_tensor *dx;
    ck_assert_int_eq(ag_grad(ag_sum(y), 1, &x, &dx), AG_OK);
    return dx;
}

/* All points of a function in one tensor, or each alone: other plans, the same bits. */
static void slopes_case(int f, ag_dtype d, bool together) {
    double at[COUNT(exact_slopes)], want[3][COUNT(exact_slopes)];
    int n = 0;
    for (int i = 0; i < COUNT(exact_slopes); i++) {
        if (function_of(exact_slopes[i].name) != f || !exact_in(d, 1, &exact_slopes[i].x)) continue;
        at[n] = exact_slopes[i].x;
        for (int k = 0; k < 3; k++) want[k][n] = held(d, exact_slopes[i].slope[k]);
        n++;
    }
    ck_assert_int_ge(n, 10);
    for (int i = 0, step = together ? n : 1; i < n; i += step) {
        ag_mark mark = ag_tape_mark(tape);
        ag_tensor *x = ag_parameter_from(tensor_of(tape, d, AG_SHAPE(step), at + i)), *y = functions[f].call(x);
        for (int k = 0; k < 3; k++) {
            char what[80];
            snprintf(what, sizeof what, "%s, %s, order %d, from %.9g", functions[f].name, ag_dtype_name(d), k + 1,
                     at[i]);
            expecting(what);
            y = slope(y, x);
            expect_near(y, step, want[k] + i, functions[f].ulps[k], 0);
        }
        expecting("");
        ag_tape_rewind(tape, mark);
    }
}

START_TEST(slopes_are_right_in_the_tails) {
    slopes_case(_i / 2, _i % 2 ? AG_F32 : AG_F64, true);
    slopes_case(_i / 2, _i % 2 ? AG_F32 : AG_F64, false);
}
END_TEST

/* ---- Losses ---- */

enum { CLASSES = 3 };

static void expect_numbers(ag_tensor *x, ag_dtype d, int n, const double want[], double ulps) {
    double value[CLASSES * CLASSES];
    for (int i = 0; i < n; i++) value[i] = held(d, want[i]);
    expect_near(x, n, value, ulps, 0);
}

typedef ag_tensor *labelled_loss(ag_tensor *scores, ag_tensor *labels);

static ag_tensor *by_log_softmax(ag_tensor *scores, ag_tensor *labels) {
    return ag_neg(ag_mean(ag_gather(ag_log_softmax(scores, 1), ag_unsqueeze(labels, 1), 1)));
}

static void cross_entropy_case(int i, ag_dtype d, labelled_loss *loss_of) {
    for (int64_t label = 0; label < CLASSES; label++) {
        ag_mark mark = ag_tape_mark(tape);
        char what[100];
        const double *s = exact_cross_entropy[i].scores;
        snprintf(what, sizeof what, "%s (%.9g, %.9g, %.9g), label %d", ag_dtype_name(d), s[0], s[1], s[2], (int)label);
        expecting(what);
        ag_tensor *x = ag_parameter_from(tensor_of(tape, d, AG_SHAPE(1, CLASSES), s));
        ag_tensor *loss = loss_of(x, ag_from(tape, AG_I64, AG_SHAPE(1), &label));
        expect_numbers(loss, d, 1, exact_cross_entropy[i].loss + label, 4);
        expect_numbers(slope(loss, x), d, CLASSES, exact_cross_entropy[i].gradient + CLASSES * label, 6);
        expect_numbers(ag_hessian(loss, x), d, CLASSES * CLASSES, exact_cross_entropy[i].hessian, 12);
        expecting("");
        ag_tape_rewind(tape, mark);
    }
}

START_TEST(cross_entropy_is_right_for_any_scores) {
    labelled_loss *const forms[] = {(ag_cross_entropy), by_log_softmax};
    for (int i = 0; i < COUNT(exact_cross_entropy); i++)
        for (int k = 0; k < 4; k++) {
            ag_dtype d = k % 2 ? AG_F32 : AG_F64;
            if (exact_in(d, CLASSES, exact_cross_entropy[i].scores)) cross_entropy_case(i, d, forms[k / 2]);
        }
}
END_TEST

/* The softmax's Jacobian is the Hessian of each loss, and so is that of logsumexp. */
START_TEST(softmax_is_right_for_any_scores) {
    for (int i = 0; i < COUNT(exact_cross_entropy); i++)
        for (int k = 0; k < 2; k++) {
            ag_dtype d = k ? AG_F32 : AG_F64;
            const double *s = exact_cross_entropy[i].scores, *g = exact_cross_entropy[i].gradient;
            if (!exact_in(d, CLASSES, s)) continue;
            ag_mark mark = ag_tape_mark(tape);
            char what[100];
            snprintf(what, sizeof what, "%s (%.9g, %.9g, %.9g)", ag_dtype_name(d), s[0], s[1], s[2]);
            expecting(what);
            ag_tensor *x = ag_parameter_from(tensor_of(tape, d, AG_SHAPE(CLASSES), s)), *y = ag_softmax(x, 0);
            expect_numbers(y, d, CLASSES, (double[]){g[3], g[1], g[2]}, 4);
            expect_numbers(ag_jacobian(y, x), d, CLASSES * CLASSES, exact_cross_entropy[i].hessian, 12);
            ag_tensor *sum = ag_logsumexp(x, 0, false);
            expect_numbers(slope(sum, x), d, CLASSES, (double[]){g[3], g[1], g[2]}, 4);
            expect_numbers(ag_hessian(sum, x), d, CLASSES * CLASSES, exact_cross_entropy[i].hessian, 12);
            expecting("");
            ag_tape_rewind(tape, mark);
        }
}
END_TEST

START_TEST(binary_cross_entropy_is_right_for_any_scores) {
    for (int i = 0; i < COUNT(exact_binary); i++)
        for (int k = 0; k < 2; k++) {
            ag_dtype d = k ? AG_F32 : AG_F64;
            const double s = exact_binary[i].score, t = exact_binary[i].target, *want = exact_binary[i].loss;
            if (!exact_in(d, 1, &s)) continue;
            ag_mark mark = ag_tape_mark(tape);
            char what[80];
            snprintf(what, sizeof what, "%s, score %.9g, target %g", ag_dtype_name(d), s, t);
            expecting(what);
            ag_tensor *x = ag_parameter_from(ag_scalar(tape, d, s)), *loss, *dx;
            loss = ag_binary_cross_entropy(x, ag_scalar(tape, d, t));
            expect_numbers(loss, d, 1, want, 4);
            double first = held(d, want[1]);
            expect_near(dx = slope(loss, x), 1, &first, 6, t > 0 && t < 1 ? t : 0); /* σ(s) − t cancels near its root */
            expect_numbers(slope(dx, x), d, 1, want + 2, 8);
            expecting("");
            ag_tape_rewind(tape, mark);
        }
}
END_TEST

START_TEST(hinge_is_right_for_any_scores) {
    for (int i = 0; i < COUNT(exact_hinge); i++)
        for (int64_t k = 0; k < 2 * CLASSES; k++) {
            ag_dtype d = k % 2 ? AG_F32 : AG_F64;
            const int64_t label = k / 2;
            const double *s = exact_hinge[i].scores;
            ag_mark mark = ag_tape_mark(tape);
            char what[100];
            snprintf(what, sizeof what, "%s (%.9g, %.9g, %.9g), label %d", ag_dtype_name(d), s[0], s[1], s[2],
                     (int)label);
            expecting(what);
            ag_tensor *x = ag_parameter_from(tensor_of(tape, d, AG_SHAPE(1, CLASSES), s));
            ag_tensor *loss = ag_hinge(x, ag_from(tape, AG_I64, AG_SHAPE(1), &label));
            expect_numbers(loss, d, 1, exact_hinge[i].loss + label, 2);
            expect_numbers(slope(loss, x), d, CLASSES, exact_hinge[i].gradient + CLASSES * label, 0);
            expecting("");
            ag_tape_rewind(tape, mark);
        }
}
END_TEST

/* ---- Many classes, many samples ---- */

/* One score of `lead`, and 999 of 0: neither a small share nor one of nearly 1 loses digits. */
START_TEST(many_classes_lose_nothing) {
    enum { MANY = 1000, LEADER = 617 };
    static const double leads[] = {0, 1e-3, 1, 6.9, 6.91, 12, 30, 80};
    for (int k = 0; k < 2 * COUNT(leads); k++) {
        ag_dtype d = k % 2 ? AG_F32 : AG_F64;
        double lead = held(d, leads[k / 2]), s[MANY] = {0}, gradient[2][MANY];
        s[LEADER] = lead;
        const double e = exp(-lead), sum = 1 + (MANY - 1) * e, one = 1 / sum, small = e / sum;
        for (int j = 0; j < MANY; j++) gradient[0][j] = gradient[1][j] = held(d, small);
        gradient[0][LEADER] = held(d, -(MANY - 1) * small);
        gradient[1][LEADER] = held(d, one);
        gradient[1][3] = held(d, -(one + (MANY - 2) * small));
        for (int i = 0; i < 2; i++) {
            char what[80];
            snprintf(what, sizeof what, "%s, lead %g, label %s", ag_dtype_name(d), lead, i ? "of 0" : "leads");
            expecting(what);
            ag_tensor *x = ag_parameter_from(tensor_of(tape, d, AG_SHAPE(1, MANY), s));
            ag_tensor *loss = ag_cross_entropy(x, ag_from(tape, AG_I64, AG_SHAPE(1), (int64_t[]){i ? 3 : LEADER}));
            double want = held(d, (i ? lead : 0) + log1p((MANY - 1) * e));
            expect_near(loss, 1, &want, 8, 0);
            expect_near(slope(loss, x), MANY, gradient[i], 12, 0);
            /* The Hessian's row of the leader: p(1 − p), and −p·q. */
            ag_tensor *first = ag_slice(ag_reshape(slope(loss, x), AG_SHAPE(MANY)), 0, LEADER, LEADER + 1, 1);
            double row[MANY];
            for (int j = 0; j < MANY; j++) row[j] = held(d, -one * small);
            row[LEADER] = held(d, one * ((MANY - 1) * small));
            expect_near(slope(first, x), MANY, row, 20, 0);
        }
        expecting("");
    }
}
END_TEST

START_TEST(means_over_a_batch_do_not_overflow) {
    for (int k = 0; k < 2; k++) {
        ag_dtype d = k ? AG_F32 : AG_F64;
        const double far = k ? 0x1p126 : 0x1p1022;
        double s[8], g[8];
        int64_t label[4] = {1, 1, 1, 1};
        for (int i = 0; i < 8; i++) s[i] = i % 2 ? -far : far, g[i] = i % 2 ? -0.25 : 0.25;
        ag_tensor *x = ag_parameter_from(tensor_of(tape, d, AG_SHAPE(4, 2), s));
        ag_tensor *labels = ag_from(tape, AG_I64, AG_SHAPE(4), label);
        ag_tensor *loss[] = {ag_cross_entropy(x, labels), ag_hinge(x, labels)};
        for (int i = 0; i < 2; i++) {
            expect_item(loss[i], 2 * far);
            expect_near(slope(loss[i], x), 8, g, 0, 0);
        }
        double t[8], h[8];
        for (int i = 0; i < 8; i++) t[i] = i % 2, h[i] = i % 2 ? -0.125 : 0.125;
        ag_tensor *binary = ag_binary_cross_entropy(x, tensor_of(tape, d, AG_SHAPE(4, 2), t));
        expect_item(binary, far);
        expect_near(slope(binary, x), 8, h, 0, 0);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("exact");
    tcase_add_loop_test(tape_group(suite, "functions"), slopes_are_right_in_the_tails, 0, 2 * FUNCTIONS);
    TCase *losses = tape_group(suite, "losses");
    tcase_add_test(losses, cross_entropy_is_right_for_any_scores);
    tcase_add_test(losses, softmax_is_right_for_any_scores);
    tcase_add_test(losses, binary_cross_entropy_is_right_for_any_scores);
    tcase_add_test(losses, hinge_is_right_for_any_scores);
    tcase_add_test(losses, many_classes_lose_nothing);
    tcase_add_test(losses, means_over_a_batch_do_not_overflow);
    return run_suite(suite);
}
