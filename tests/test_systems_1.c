/* test_systems_1 -- activations by hand: sigmoid, tanh and relu, from one operation and from primitives
 *
 * A = f(Z); dA is dL/dA and dZ is dL/dZ, of any shape. */
#include "tests/closed.h"

#include <math.h>
#include <string.h>

enum { CASES = 60 };

/* A layer before and after its activation, with random values and a random cotangent. */
typedef struct layer {
    ag_shape shape;
    int64_t n;
    double *z, *da;
    ag_tensor *Z, *dA;
} layer;

static layer any_layer(double range) {
    layer l = {.shape = any_shape()};
    l.n = shape_size(&l.shape);
    l.z = values(l.n, -range, range);
    l.da = values(l.n, -2, 2);
    l.Z = constant_of(l.shape, l.z);
    l.dA = constant_of(l.shape, l.da);
    return l;
}

static ag_tensor *gradient_at(ag_tensor *x, const layer *l, ag_tensor *A) {
    ag_tensor *dx;
    pull_back(A, l->dA, 1, &x, &dx);
    return dx;
}

/* ---- Sigmoid ---- */

static double sigmoid(double z) { return 1 / (1 + exp(-z)); }

static void sigmoid_case(void) {
    layer l = any_layer(8);
    ag_tensor *A = ag_sigmoid(l.Z), *dZ = gradient_at(l.Z, &l, A);
    double *a = map(l.n, sigmoid, l.z), *first = room(l.n), *second = room(l.n);
    for (int64_t i = 0; i < l.n; i++) {
        first[i] = l.da[i] * (a[i] - a[i] * a[i]);
        second[i] = l.da[i] * a[i] * (1 - a[i]);
    }
    expect_shape(dZ, l.shape);
    expect_closed_strictly(A, l.n, a);
    expect_closed_strictly(dZ, l.n, first);
    expect_closed_strictly(dZ, l.n, second);
    ag_tensor *forms[] = {ag_mul(l.dA, ag_sub(A, ag_mul(A, A))), ag_mul(ag_mul(l.dA, A), ag_rsub_scalar(1, A))};
    expect_closed_strictly(forms[0], l.n, ag_data(forms[1])); /* the two are one */
    expect_closed_strictly(dZ, l.n, ag_data(forms[0]));
}

START_TEST(sigmoid_backward_in_both_forms) { in_random_cases(CASES, sigmoid_case); }
END_TEST

/* Minus, exponential, plus one, reciprocal: the gradient at each of them. */
static void sigmoid_by_parts_case(void) {
    layer l = any_layer(8);
    ag_tensor *M = ag_neg(l.Z), *E = ag_exp(M), *S = ag_add_scalar(E, 1), *A = ag_rdiv_scalar(1, S);
    ag_tensor *at[] = {S, E, M, l.Z}, *d[4];
    pull_back(A, l.dA, 4, at, d);
    double *a = map(l.n, sigmoid, l.z), *ds = room(l.n), *dm = room(l.n), *dz = room(l.n);
    for (int64_t i = 0; i < l.n; i++) {
        ds[i] = -l.da[i] * a[i] * a[i];
        dm[i] = ds[i] * exp(-l.z[i]);
        dz[i] = l.da[i] * (a[i] - a[i] * a[i]);
    }
    expect_closed_strictly(d[0], l.n, ds);
    expect_closed_strictly(d[1], l.n, ds);
    expect_closed_strictly(d[2], l.n, dm);
    expect_closed_strictly(d[3], l.n, dz);
}

START_TEST(sigmoid_from_primitives_at_every_step) { in_random_cases(CASES, sigmoid_by_parts_case); }
END_TEST

/* ---- Tanh ---- */

static void tanh_case(void) {
    layer l = any_layer(6);
    ag_tensor *A = ag_tanh(l.Z);
    double *a = map(l.n, tanh, l.z), *dz = room(l.n);
    for (int64_t i = 0; i < l.n; i++) dz[i] = l.da[i] * (1 - a[i] * a[i]);
    expect_closed_strictly(A, l.n, a);
    expect_closed_strictly(gradient_at(l.Z, &l, A), l.n, dz);
}

START_TEST(tanh_backward) { in_random_cases(CASES, tanh_case); }
END_TEST

/* A = P/Q with P = e^Z − e^−Z and Q = e^Z + e^−Z; Z comes in by two exponentials, each used twice. */
static void tanh_by_parts_case(void) {
    layer l = any_layer(4);
    ag_tensor *U = ag_exp(l.Z), *D = ag_exp(ag_neg(l.Z)), *P = ag_sub(U, D), *Q = ag_add(U, D), *A = ag_div(P, Q);
    ag_tensor *at[] = {P, Q, U, D, l.Z}, *d[5];
    pull_back(A, l.dA, 5, at, d);
    double *dp = room(l.n), *dq = room(l.n), *du = room(l.n), *dd = room(l.n), *dz = room(l.n);
    for (int64_t i = 0; i < l.n; i++) {
        double up = exp(l.z[i]), down = exp(-l.z[i]), a = (up - down) / (up + down);
        dp[i] = l.da[i] / (up + down);
        dq[i] = -l.da[i] * a / (up + down);
        du[i] = l.da[i] * 2 * down / ((up + down) * (up + down));
        dd[i] = -l.da[i] * 2 * up / ((up + down) * (up + down));
        dz[i] = l.da[i] * (1 - a * a);
    }
    expect_closed_strictly(d[0], l.n, dp);
    expect_closed(d[1], l.n, dq); /* the difference of the exponentials cancels near 0 */
    expect_closed_of(d[2], l.n, du, largest(l.n, dp));
    expect_closed_of(d[3], l.n, dd, largest(l.n, dp));
    expect_closed_of(d[4], l.n, dz, 10);
}

START_TEST(tanh_from_primitives_at_every_step) { in_random_cases(CASES, tanh_by_parts_case); }
END_TEST

/* ---- Relu ---- */

static void relu_case(void) {
    layer l = any_layer(3);
    for (int64_t i = 0; i < l.n; i++)
        if (whole(0, 3) == 0) l.z[i] = coin() ? 0 : -0.0;
    l.Z = constant_of(l.shape, l.z);
    ag_tensor *zero = ag_zeros(tape, AG_F64, AG_SCALAR), *A = ag_relu(l.Z);
    ag_tensor *chosen = ag_where(ag_greater(l.Z, zero), l.Z, zero);
    double *dz = room(l.n);
    for (int64_t i = 0; i < l.n; i++) dz[i] = l.da[i] * (l.z[i] > 0);
    expect_closed_strictly(gradient_at(l.Z, &l, A), l.n, dz);
    expect_closed_strictly(gradient_at(l.Z, &l, chosen), l.n, dz);
    ag_tensor *mask = ag_cast(ag_greater(l.Z, zero), AG_F64);
    expect_closed_strictly(ag_mul(l.dA, mask), l.n, dz); /* as it is written by hand */
}

START_TEST(relu_backward) { in_random_cases(CASES, relu_case); }
END_TEST

/* ---- Far out ---- */

START_TEST(saturated_activations_keep_their_small_gradients) {
    const double far[] = {-1e308, -800, -40, 40, 800, 1e308};
    ag_tensor *Z = constant_of(AG_SHAPE(6), far), *dA = ag_ones(tape, AG_F64, AG_SHAPE(6)), *dZ;
    pull_back(ag_sigmoid(Z), dA, 1, &Z, &dZ);
    const double of_sigmoid[] = {0, 0, exp(-40), exp(-40), 0, 0};
    expect_near(dZ, 6, of_sigmoid, 5, 0);
    pull_back(ag_tanh(Z), dA, 1, &Z, &dZ);
    const double of_tanh[] = {0, 0, 4 * exp(-80), 4 * exp(-80), 0, 0};
    expect_near(dZ, 6, of_tanh, 5, 0);
    pull_back(ag_relu(Z), dA, 1, &Z, &dZ);
    expect_list(dZ, 0, 0, 0, 1, 1, 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("systems 1");
    TCase *group = tape_group(suite, "activations");
    tcase_add_test(group, sigmoid_backward_in_both_forms);
    tcase_add_test(group, sigmoid_from_primitives_at_every_step);
    tcase_add_test(group, tanh_backward);
    tcase_add_test(group, tanh_from_primitives_at_every_step);
    tcase_add_test(group, relu_backward);
    tcase_add_test(group, saturated_activations_keep_their_small_gradients);
    return run_suite(suite);
}
