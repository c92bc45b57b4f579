/* test_systems_5 -- a binary classifier, and beyond: 2-3-3-1 with binary cross-entropy, softmax with cross-entropy, the
 * input's gradient only on demand, embeddings
 *
 * Columns are the m samples; Z_l = W_l·A_{l−1} + B_l, A_l = σ(Z_l). dX stands for dJ/dX, where J is the mean over
 * the samples; as usual, dZ and dA leave out the 1/m that dW and dB have. */
#include "nn/nn.h"

#include <math.h>

#include "tests/closed.h"

enum { CASES = 50, L = 3 };

static double sigmoid(double z) { return 1 / (1 + exp(-z)); }

typedef struct classifier {
    int64_t m, width[L + 1];
    double *X, *Y, *W[L + 1], *B[L + 1];
    double *A[L + 1], J, *dZ[L + 1], *dA[L + 1], *dW[L + 1], *dB[L + 1];
    ag_tensor *Xt, *Yt, *Wt[L + 1], *Bt[L + 1], *Zt[L + 1], *At[L + 1];
} classifier;

static void choose(classifier *c, int64_t outputs) {
    const int64_t width[] = {2, 3, 3, outputs};
    c->m = whole(1, 12);
    for (int l = 0; l <= L; l++) c->width[l] = width[l];
    for (int l = 1; l <= L; l++) {
        c->W[l] = values(width[l] * width[l - 1], -2, 2);
        c->B[l] = values(width[l], -1, 1);
    }
    c->X = values(2 * c->m, -2, 2);
    c->Y = room(outputs * c->m);
    for (int64_t j = 0; j < c->m; j++)
        if (outputs == 1) c->Y[j] = coin();
        else c->Y[whole(0, outputs - 1) * c->m + j] = 1; /* one-hot columns */
}

/* A_L is the sigmoid's, or the softmax of a column. */
static void forward(classifier *c) {
    double m = (double)c->m;
    c->A[0] = c->X;
    for (int l = 1; l <= L; l++) {
        int64_t size = c->width[l] * c->m;
        double *Z = product(c->width[l], c->width[l - 1], c->m, c->W[l], c->A[l - 1]);
        for (int64_t i = 0; i < size; i++) Z[i] += c->B[l][i / c->m];
        c->A[l] = map(size, l == L && c->width[L] > 1 ? exp : sigmoid, Z);
    }
    c->J = 0;
    double *A = c->A[L], *sums = column_sums(c->width[L], c->m, A);
    for (int64_t i = 0; i < c->width[L] * c->m; i++) {
        if (c->width[L] > 1) c->J -= c->Y[i] * log(A[i] /= sums[i % c->m]) / m;
        else c->J -= (c->Y[i] * log(A[i]) + (1 - c->Y[i]) * log(1 - A[i])) / m;
    }
}

static void backward(classifier *c) {
    for (int l = L; l >= 1; l--) {
        int64_t rows = c->width[l], below = c->width[l - 1], size = rows * c->m;
        c->dZ[l] = room(size);
        for (int64_t i = 0; i < size; i++) {
            double A = c->A[l][i];
            c->dZ[l][i] = l == L ? A - c->Y[i] : c->dA[l][i] * A * (1 - A);
        }
        c->dW[l] = product(rows, c->m, below, c->dZ[l], flipped(below, c->m, c->A[l - 1]));
        c->dB[l] = row_sums(rows, c->m, c->dZ[l]);
        for (int64_t i = 0; i < rows * below; i++) c->dW[l][i] /= (double)c->m;
        for (int64_t i = 0; i < rows; i++) c->dB[l][i] /= (double)c->m;
        c->dA[l - 1] = product(below, rows, c->m, flipped(rows, below, c->W[l]), c->dZ[l]);
    }
}

/* Returns Z_L. */
static ag_tensor *record(classifier *c) {
    c->Xt = c->At[0] = constant_of(AG_SHAPE(2, c->m), c->X);
    c->Yt = constant_of(AG_SHAPE(c->width[L], c->m), c->Y);
    for (int l = 1; l <= L; l++) {
        c->Wt[l] = parameter_of(AG_SHAPE(c->width[l], c->width[l - 1]), c->W[l]);
        c->Bt[l] = parameter_of(AG_SHAPE(c->width[l], 1), c->B[l]);
        c->Zt[l] = ag_add(ag_matmul(c->Wt[l], c->At[l - 1]), c->Bt[l]);
        c->At[l] = ag_sigmoid(c->Zt[l]);
    }
    return c->Zt[L];
}

/* All named gradients, from one call; the graph's dZ and dA have the 1/m. */
static void expect_gradients(classifier *c, ag_tensor *J) {
    double m = (double)c->m;
    ag_tensor *d[4];
    expect_closed_of(J, 1, &c->J, 0.1);
    for (int l = L; l >= 1; l--) {
        int64_t rows = c->width[l], below = c->width[l - 1];
        ag_tensor *at[] = {c->Wt[l], c->Bt[l], c->Zt[l], c->At[l - 1]};
        ck_assert_int_eq(ag_grad(J, 4, at, d), AG_OK);
        expect_closed_of(d[0], rows * below, c->dW[l], largest(rows * c->m, c->dZ[l]));
        expect_closed_of(d[1], rows, c->dB[l], largest(rows * c->m, c->dZ[l]));
        expect_closed(ag_scale(d[2], m), rows * c->m, c->dZ[l]);
        expect_closed_of(ag_scale(d[3], m), below * c->m, c->dA[l - 1], largest(rows * c->m, c->dZ[l]));
    }
}

/* ---- Two classes ---- */

static void binary_case(void) {
    classifier c;
    choose(&c, 1);
    forward(&c);
    backward(&c);
    ag_tensor *Z3 = record(&c), *A3 = c.At[L], *ones = ag_ones(tape, AG_F64, AG_SCALAR);
    ag_tensor *right = ag_mul(c.Yt, ag_log(A3)), *wrong = ag_mul(ag_sub(ones, c.Yt), ag_log(ag_sub(ones, A3)));
    ag_tensor *literal = ag_neg(ag_mean(ag_add(right, wrong))), *safe = ag_binary_cross_entropy(Z3, c.Yt), *dA3, *dZ3;
    expect_gradients(&c, literal);
    expect_gradients(&c, safe);
    ag_grad(literal, 1, &A3, &dA3); /* in between: dA3 = (A3 − Y)/(A3·(1 − A3)) */
    ag_grad(literal, 1, &Z3, &dZ3);
    expect_closed(dZ3, c.m, ag_data(ag_mul(dA3, ag_mul(A3, ag_sub(ones, A3)))));
    expect_closed(ag_scale(dZ3, (double)c.m), c.m, ag_data(ag_sub(A3, c.Yt)));
}

START_TEST(binary_cross_entropy_gives_A_minus_Y) { in_random_cases(2 * CASES, binary_case); }
END_TEST

/* ---- More classes ---- */

static void softmax_case(void) {
    classifier c;
    choose(&c, whole(2, 6));
    forward(&c);
    backward(&c);
    ag_tensor *Z3 = record(&c), *A = ag_softmax(Z3, 0), *m = ag_scalar(tape, AG_F64, (double)c.m);
    ag_tensor *literal = ag_neg(ag_div(ag_sum(ag_mul(c.Yt, ag_log(A))), m)); /* J = −1/m Σ Y·ln A */
    ag_tensor *label = ag_argmax(c.Yt, 0, false), *safe = ag_cross_entropy(ag_transpose(Z3, 0, 1), label);
    expect_closed_of(A, c.width[L] * c.m, c.A[L], 1);
    expect_gradients(&c, literal);
    expect_gradients(&c, safe);
}

START_TEST(softmax_cross_entropy_gives_A_minus_Y) { in_random_cases(2 * CASES, softmax_case); }
END_TEST

/* The softmax's own Jacobian: dA_i/dZ_j = A_i·(δ_ij − A_j). */
static void softmax_jacobian_case(void) {
    int64_t n = whole(1, 6);
    double *z = values(n, -3, 3), *a = map(n, exp, z), sum = 0, *J = room(n * n);
    for (int64_t i = 0; i < n; i++) sum += a[i];
    for (int64_t i = 0; i < n * n; i++) J[i] = a[i / n] / sum * ((i / n == i % n) - a[i % n] / sum);
    ag_tensor *Z = constant_of(AG_SHAPE(n), z);
    expect_closed_of(ag_jacobian(ag_softmax(Z, 0), Z), n * n, J, 1);
}

START_TEST(softmax_has_the_jacobian_that_it_should) { in_random_cases(CASES, softmax_jacobian_case); }
END_TEST

/* ---- The input's gradient ---- */

/* The identity, which counts calls of its VJP. */
static int asked;

static void same_block(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    for (int64_t i = 0; i < n; i++) ((double *)y)[i] = ((const double *)x[0])[i];
}

static ag_tensor *same_vjp(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, asked++, g; }

static const ag_op op_same = {
    .name = "same", .kind = AG_KIND_ELEMENTWISE, .arity = 1, .block = {[AG_F64] = same_block}, .vjp = same_vjp};

static void input_case(void) {
    classifier c;
    choose(&c, 1);
    forward(&c);
    backward(&c);
    c.Xt = constant_of(AG_SHAPE(2, c.m), c.X);
    ag_tensor *X = ag_apply(&op_same, 1, &c.Xt, NULL, 0), *W = parameter_of(AG_SHAPE(3, 2), c.W[1]);
    ag_tensor *B = parameter_of(AG_SHAPE(3, 1), c.B[1]), *Z = ag_add(ag_matmul(W, X), B), *J, *d[3];
    for (int l = 2; l <= L; l++)
        Z = ag_add(ag_matmul(constant_of(AG_SHAPE(c.width[l], 3), c.W[l]), ag_sigmoid(Z)),
                   constant_of(AG_SHAPE(c.width[l], 1), c.B[l]));
    J = ag_binary_cross_entropy(Z, constant_of(AG_SHAPE(1, c.m), c.Y));
    asked = 0;
    int64_t before = ag_tape_memory(tape).nodes, plain, with_input;
    ag_grad(J, 2, (ag_tensor *[]){W, B}, d);
    plain = ag_tape_memory(tape).nodes - before;
    ck_assert_int_eq(asked, 0);
    ck_assert_int_eq(ag_backward(J), AG_OK); /* X is not a parameter */
    ck_assert_int_eq(asked, 0);
    expect_closed_of(d[0], 6, c.dW[1], 1);
    before = ag_tape_memory(tape).nodes;
    ag_grad(J, 3, (ag_tensor *[]){W, B, c.Xt}, d);
    with_input = ag_tape_memory(tape).nodes - before;
    ck_assert_int_eq(asked, 1);
    ck_assert_int_eq(with_input, plain + 2); /* the transpose of W and a product */
    expect_closed(ag_scale(d[2], (double)c.m), 2 * c.m, c.dA[0]);
}

START_TEST(the_input_s_gradient_only_when_it_is_asked_for) { in_random_cases(CASES, input_case); }
END_TEST

/* ---- Embeddings ---- */

static void embedding_case(void) {
    int64_t rows = whole(1, 6), columns = whole(1, 5), n = whole(1, 12), *row = labels(n, rows), used = 0;
    double *table = values(rows * columns, -1, 1), *dE = values(n * columns, -1, 1), *E = room(n * columns);
    double *dtable = room(rows * columns);
    for (int64_t i = 0; i < n * columns; i++) {
        int64_t at = row[i / columns] * columns + i % columns;
        E[i] = table[at];
        dtable[at] += dE[i]; /* adds where an index repeats */
    }
    ag_tensor *T = parameter_of(AG_SHAPE(rows, columns), table), *index = ag_from(tape, AG_I64, AG_SHAPE(n, 1), row);
    ag_embedding layer = {T};
    bool by_layer = coin();
    ag_tensor *gathered = by_layer ? ag_embedding_apply(&layer, ag_squeeze(index, AG_AXES(1))) : ag_gather(T, index, 0);
    ag_tensor *dT, *count;
    expect_closed_strictly(gathered, n * columns, E);
    pull_back(gathered, constant_of(AG_SHAPE(n, columns), dE), 1, &T, &dT);
    expect_shape(dT, AG_SHAPE(rows, columns));
    expect_closed_of(dT, rows * columns, dtable, 1);
    pull_back(gathered, ag_ones(tape, AG_F64, AG_SHAPE(n, columns)), 1, &T, &count);
    for (int64_t i = 0; i < rows; i++) { /* for ones, it is how often a row was used */
        int64_t times = 0;
        for (int64_t j = 0; j < n; j++) times += row[j] == i;
        ck_assert_double_eq(ag_element(count, i * columns), (double)times);
        used += times > 0;
    }
    ck_assert_int_le(used, n);
}

START_TEST(embeddings_add_where_an_index_repeats) { in_random_cases(CASES, embedding_case); }
END_TEST

/* Words in, a class out: the table is learnt like a weight, its gradient is that of a product with one-hot rows. */
static void learnt_embedding_case(void) {
    int64_t rows = whole(2, 5), columns = whole(1, 4), n = whole(1, 8), words = whole(1, 3), classes = whole(2, 4);
    int64_t *row = labels(n * words, rows), *label = labels(n, classes);
    double *one_hot = room(n * words * rows);
    for (int64_t i = 0; i < n * words; i++) one_hot[i * rows + row[i]] = 1;
    ag_tensor *T = parameter_of(AG_SHAPE(rows, columns), values(rows * columns, -1, 1));
    ag_tensor *W = parameter_of(AG_SHAPE(words * columns, classes), values(words * columns * classes, -1, 1));
    ag_tensor *E[] = {ag_gather(T, ag_from(tape, AG_I64, AG_SHAPE(n * words, 1), row), 0),
                      ag_matmul(constant_of(AG_SHAPE(n * words, rows), one_hot), T)};
    ag_tensor *at[] = {T, W}, *d[2][2];
    for (int i = 0; i < 2; i++) {
        ag_tensor *scores = ag_matmul(ag_reshape(E[i], AG_SHAPE(n, -1)), W);
        ag_grad(ag_cross_entropy(scores, ag_from(tape, AG_I64, AG_SHAPE(n), label)), 2, at, d[i]);
    }
    expect_closed_of(d[0][0], rows * columns, ag_data(d[1][0]), 0.1);
    expect_closed_of(d[0][1], words * columns * classes, ag_data(d[1][1]), 0.1);
}

START_TEST(an_embedding_is_a_product_with_one_hot_rows) { in_random_cases(CASES, learnt_embedding_case); }
END_TEST

int main(void) {
    Suite *suite = suite_create("systems 5");
    TCase *group = tape_group(suite, "classifiers");
    tcase_add_test(group, binary_cross_entropy_gives_A_minus_Y);
    tcase_add_test(group, softmax_cross_entropy_gives_A_minus_Y);
    tcase_add_test(group, softmax_has_the_jacobian_that_it_should);
    tcase_add_test(group, the_input_s_gradient_only_when_it_is_asked_for);
    tcase_add_test(group, embeddings_add_where_an_index_repeats);
    tcase_add_test(group, an_embedding_is_a_product_with_one_hot_rows);
    return run_suite(suite);
}
