/* test_threads -- the same bits for any number of threads
 *
 * Each program below is run on one thread and then on two to four; sizes are large enough to be divided among
 * threads, and odd enough to be divided unevenly. */
#include "tests/support.h"

#include <stdlib.h>
#include <string.h>

static int64_t large(void) { return small_run() ? 140003 : 400003; }
static int64_t side(void) { return small_run() ? 131 : 301; }

static ag_tensor *numbers(ag_tape *t, ag_dtype d, ag_shape shape, uint64_t first) {
    return scattered(t, d, shape, first);
}

/* ---- The programs ---- */

static ag_tensor *elementwise(ag_tape *t, ag_dtype d) {
    ag_tensor *x = numbers(t, d, AG_SHAPE(large()), 0), *y = ag_add_scalar(ag_square(x), 0.5);
    return ag_mul(ag_tanh(ag_exp(x)), ag_pow(y, ag_sin(ag_log(ag_sqrt(y)))));
}

static ag_tensor *broadcast(ag_tape *t, ag_dtype d) {
    ag_tensor *row = numbers(t, d, AG_SHAPE(1, side()), 1), *column = numbers(t, d, AG_SHAPE(side(), 1), 2);
    ag_tensor *a = ag_div(row, ag_add_scalar(ag_abs(column), 1)), *b = ag_flip(ag_transpose(a, 0, 1), 0);
    return ag_where(ag_less(a, b), ag_maximum(a, row), ag_sub(b, column));
}

static ag_tensor *copies(ag_tape *t, ag_dtype d) {
    ag_tensor *x = numbers(t, d, AG_SHAPE(side(), 2 * side()), 3), *turned = ag_contiguous(ag_transpose(x, 0, 1));
    ag_tensor *parts[] = {turned, ag_reshape(ag_flip(x, 1), AG_SHAPE(2 * side(), side())), ag_neg(turned)};
    return ag_embed(ag_concat(3, parts, 1), 0, 4 * side() + 1, 1, 2);
}

static ag_tensor *whole_sum(ag_tape *t, ag_dtype d) {
    ag_tensor *x = numbers(t, d, AG_SHAPE(large()), 4);
    return ag_add(ag_sum(x), ag_add(ag_mean(ag_square(x)), ag_add(ag_max(x), ag_var(x, 1))));
}

/* Sums, means and extremes over each axis of a cube, flattened one after the other. */
static ag_tensor *sums(ag_tape *t, ag_dtype d) {
    int64_t n = small_run() ? 53 : 71;
    ag_tensor *x = numbers(t, d, AG_SHAPE(n, n + 2, n + 1), 5), *turned = ag_permute(x, AG_AXES(1, 2, 0)), *part[12];
    for (int axis = 0; axis < 3; axis++) {
        part[axis] = ag_reshape(ag_sum_over(x, AG_AXES(axis), false), AG_SHAPE(-1));
        part[3 + axis] = ag_reshape(ag_mean_over(turned, AG_AXES(axis), false), AG_SHAPE(-1));
        part[6 + axis] = ag_reshape(ag_max_over(x, AG_AXES(axis, (axis + 1) % 3), true), AG_SHAPE(-1));
        part[9 + axis] = ag_reshape(ag_logsumexp(turned, axis, false), AG_SHAPE(-1));
    }
    return ag_concat(12, part, 0);
}

static ag_tensor *uneven_sums(ag_tape *t, ag_dtype d) {
    ag_tensor *tall = numbers(t, d, AG_SHAPE(large() / 3, 3), 6), *wide = numbers(t, d, AG_SHAPE(3, large() / 3), 7);
    ag_tensor *part[] = {ag_sum_over(tall, AG_AXES(0), false),
                         ag_reshape(ag_sum_over(wide, AG_AXES(1), true), AG_SHAPE(3)),
                         ag_sum_over(tall, AG_AXES(1), false), ag_sum_over(wide, AG_AXES(0), false)};
    return ag_concat(4, part, 0);
}

static ag_tensor *places_of_largest(ag_tape *t, ag_dtype d) {
    ag_tensor *x = numbers(t, d, AG_SHAPE(side(), side() + 1), 8);
    ag_tensor *part[] = {ag_argmax(x, 0, false), ag_argmax(x, 1, false)};
    return ag_concat(2, part, 0);
}

static ag_tensor *product(ag_tape *t, ag_dtype d, int64_t m, int64_t k, int64_t n) {
    return ag_matmul(numbers(t, d, AG_SHAPE(m, k), 9), numbers(t, d, AG_SHAPE(k, n), 10));
}

static ag_tensor *small_products(ag_tape *t, ag_dtype d) {
    ag_tensor *part[64];
    int count = 0;
    for (int64_t m = 1; m < 66; m = m * 2 + 1)
        for (int64_t n = 1; n < 66; n = n * 3 + 1) part[count++] = ag_reshape(product(t, d, m, m + n, n), AG_SHAPE(-1));
    return ag_concat(count, part, 0);
}

static ag_tensor *square_product(ag_tape *t, ag_dtype d) { return product(t, d, side(), side(), side()); }
static ag_tensor *long_product(ag_tape *t, ag_dtype d) { return product(t, d, 33, 2100, 31); }
static ag_tensor *flat_product(ag_tape *t, ag_dtype d) { return product(t, d, 5, 300, side() * 3); }
static ag_tensor *thin_product(ag_tape *t, ag_dtype d) { return product(t, d, side() * 3, 300, 1); }

static ag_tensor *many_products(ag_tape *t, ag_dtype d) {
    ag_tensor *a = numbers(t, d, AG_SHAPE(7, 1, 61, 40), 11), *b = numbers(t, d, AG_SHAPE(5, 52, 40), 12);
    return ag_matmul(a, ag_transpose(b, -1, -2));
}

static ag_tensor *random_numbers(ag_tape *t, ag_dtype d) {
    ag_tape_seed(t, 77);
    return ag_add(ag_normal(t, d, AG_SHAPE(large()), 0, 1), ag_uniform(t, d, AG_SHAPE(large()), -1, 1));
}

/* Every row is added to several times: the order of additions shows in the bits. */
static ag_tensor *scattering(ag_tape *t, ag_dtype d) {
    int64_t rows = side(), columns = 37;
    ag_tensor *index = ag_cast(ag_uniform(t, AG_F64, AG_SHAPE(rows * 8, 1), 0, (double)rows), AG_I64);
    ag_tensor *source = numbers(t, d, AG_SHAPE(rows * 8, columns), 13),
              *table = numbers(t, d, AG_SHAPE(rows, columns), 14);
    ag_tensor *y = ag_scatter_add(table, index, source, 0), *z = ag_gather(y, index, 0);
    ag_tensor *across = ag_transpose(index, 0, 1),
              *turned = ag_scatter_add(ag_transpose(table, 0, 1), across, ag_transpose(z, 0, 1), 1);
    ag_tensor *one = ag_scatter_add(ag_zeros(t, d, AG_SHAPE(1)), ag_zeros(t, AG_I64, AG_SHAPE(large() / 4)),
                                    numbers(t, d, AG_SHAPE(large() / 4), 15), 0);
    ag_tensor *part[] = {ag_reshape(y, AG_SHAPE(-1)), ag_reshape(z, AG_SHAPE(-1)), ag_reshape(turned, AG_SHAPE(-1)),
                         one};
    return ag_concat(4, part, 0);
}

/* Other numbers for each window, so that the order of additions shows in the bits. */
static ag_tensor *folded(ag_tensor *x, ag_axes axes, ag_shape size, ag_shape step, uint64_t first) {
    ag_tensor *windows = ag_windows(x, axes, size, step);
    ag_tensor *u = ag_tanh(numbers(ag_tape_of(x), ag_dtype_of(x), ag_shape_of(windows), first));
    ag_shape whole = {axes.count, {0}};
    for (int i = 0; i < axes.count; i++) whole.extent[i] = ag_extent(x, axes.axis[i]);
    return ag_reshape(ag_fold(ag_mul(u, windows), axes, whole, step), AG_SHAPE(-1));
}

/* Windows that overlap along the axis that threads would divide, windows that are apart there, and images. */
static ag_tensor *overlaps(ag_tape *t, ag_dtype d) {
    ag_tensor *x = numbers(t, d, AG_SHAPE(side(), side()), 19), *image = numbers(t, d, AG_SHAPE(7, 35, 36, 2), 20);
    ag_tensor *part[] = {folded(x, AG_AXES(0), AG_SHAPE(7), AG_SHAPE(2), 21),
                         folded(x, AG_AXES(0, 1), AG_SHAPE(2, 5), AG_SHAPE(3, 1), 22),
                         folded(image, AG_AXES(1, 2), AG_SHAPE(5, 5), AG_SHAPE(1, 1), 23)};
    return ag_concat(3, part, 0);
}

static ag_tensor *whole_gradient(ag_tape *t, ag_dtype d) {
    ag_tensor *x = numbers(t, d, AG_SHAPE(200, side()), 16),
              *w = ag_parameter_from(numbers(t, d, AG_SHAPE(side(), 70), 17));
    ag_tensor *b = ag_parameter_from(numbers(t, d, AG_SHAPE(70), 18)), *by[] = {w, b}, *dx[2];
    ag_tensor *z = ag_add(ag_matmul(x, w), b), *mean = ag_mean_over(z, AG_AXES(0), true), *centred = ag_sub(z, mean);
    ag_tensor *scaled =
        ag_mul(centred, ag_rsqrt(ag_add_scalar(ag_mean_over(ag_square(centred), AG_AXES(0), true), 1e-5)));
    ag_tensor *loss = ag_neg(ag_mean(ag_slice(ag_log_softmax(ag_relu(scaled), 1), 1, 3, 4, 1)));
    ag_grad(loss, 2, by, dx);
    ag_tensor *part[] = {ag_reshape(dx[0], AG_SHAPE(-1)), dx[1], ag_reshape(loss, AG_SHAPE(1))};
    return ag_concat(3, part, 0);
}

/* ---- The test ---- */

static ag_tensor *(*const programs[])(ag_tape *t, ag_dtype d) = {
    elementwise,       broadcast,      copies,         whole_sum,    sums,          uneven_sums,
    places_of_largest, small_products, square_product, long_product, flat_product,  thin_product,
    many_products,     random_numbers, scattering,     overlaps,     whole_gradient};
enum { PROGRAMS = sizeof programs / sizeof *programs };

static void *copy_of_result(int program, ag_dtype d, int threads, int64_t *bytes) {
    ag_tape *t = ag_tape_new();
    ck_assert_int_eq(ag_tape_set_threads(t, threads), threads);
    ag_tensor *y = programs[program](t, d);
    const void *data = ag_data(y);
    ck_assert_msg(data != NULL, "%s", ag_tape_error(t));
    *bytes = ag_size(y) * (int64_t)ag_dtype_size(ag_dtype_of(y));
    void *copy = malloc((size_t)*bytes);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, data, (size_t)*bytes);
    ag_tape_free(t);
    return copy;
}

START_TEST(the_number_of_threads_changes_no_bit) {
    ag_dtype d = _i % 2 ? AG_F32 : AG_F64;
    int64_t bytes, more_bytes;
    void *one = copy_of_result(_i / 2, d, 1, &bytes);
    for (int threads = 1; threads <= 4; threads++) {
        void *several = copy_of_result(_i / 2, d, threads, &more_bytes);
        ck_assert_int_eq(more_bytes, bytes);
        ck_assert_msg(memcmp(one, several, (size_t)bytes) == 0, "program %d, %s: other bits on %d threads", _i / 2,
                      ag_dtype_name(d), threads);
        free(several);
    }
    free(one);
}
END_TEST

START_TEST(a_bad_index_is_reported_by_any_number_of_threads) {
    for (int threads = 1; threads <= 4; threads++) {
        ag_tape_set_threads(tape, threads);
        int64_t n = large() / 4;
        ag_tensor *index = ag_add_scalar(ag_arange(tape, AG_I64, n), 1), *x = ag_arange(tape, AG_F64, n);
        ck_assert_int_eq(ag_eval(ag_gather(x, index, 0)), AG_ERR_RANGE);
        expect_error(tape, AG_ERR_RANGE, "gather", "test_threads.c:");
        ag_tensor *many = ag_add_scalar(index, 1000);
        char first[640];
        ag_eval(ag_scatter_add(x, many, x, 0));
        strcpy(first, ag_tape_error(tape));
        expect_error(tape, AG_ERR_RANGE, "scatter_add");
        ag_eval(ag_scatter_add(x, many, x, 0));
        expect_error(tape, AG_ERR_RANGE, strtok(first, "[")); /* always the same one */
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("threads");
    tcase_add_loop_test(plain_group(suite, "bits"), the_number_of_threads_changes_no_bit, 0, 2 * PROGRAMS);
    tcase_add_test(tape_group(suite, "errors"), a_bad_index_is_reported_by_any_number_of_threads);
    return run_suite(suite);
}
