/* test_data -- datasets, loaders, augmentation: orders against those of another program, bits for any number of threads,
 * and everything that can be wrong with callbacks, places and the order of ends */
#define _POSIX_C_SOURCE 200809L
#include "nn/nn.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "autograd/tape/limits.h"
#include "tests/golden/data.h"
#include "tests/support.h"

#if AG_HAVE_THREADS
#include <pthread.h>
#include <unistd.h>
#endif

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof *(array)))

enum { MOST_LISTED = 5000 };

/* Numbers that are 0, 1, …, as samples. */
static ag_dataset counting(ag_tape *t, int64_t n) {
    ag_dataset d;
    ag_tensor *numbers = ag_arange(t, AG_I64, n);
    ck_assert_int_eq(ag_dataset_tensors(&d, 1, &numbers), AG_OK);
    return d;
}

static ag_tensor *i64(int64_t n, const int64_t values[]) { return ag_from(tape, AG_I64, AG_SHAPE(n), values); }

static void expect_numbers(ag_tensor *x, int64_t n, const int64_t values[]) {
    const int64_t *found = ag_data(x);
    ck_assert_int_eq(ag_size(x), n);
    for (int64_t i = 0; i < n; i++) ck_assert_int_eq(found[i], values[i]);
}

/* The numbers of the next epoch. */
static int64_t list_epoch(ag_loader *loader, int64_t list[]) {
    ag_tensor *batch;
    int64_t n = 0;
    while (ag_loader_next(loader, &batch)) {
        const int64_t *number = ag_data(batch);
        for (int64_t i = 0; i < ag_size(batch); i++) list[n++] = number[i];
    }
    return n;
}

static void expect_epoch(ag_loader *loader, int64_t n, const int64_t values[]) {
    static int64_t list[MOST_LISTED];
    ck_assert_int_eq(list_epoch(loader, list), n);
    for (int64_t i = 0; i < n; i++) ck_assert_int_eq(list[i], values[i]);
}

/* ---- Orders ---- */

START_TEST(test_an_order_is_that_of_fisher_and_yates) {
    ag_loader loader;
    ag_dataset seven = counting(tape, 7), twenty = counting(tape, 20);
    ag_loader_open(&loader, tape, &seven, 3, NULL);
    for (int64_t e = 0; e < 3; e++) {
        ck_assert_int_eq(loader.epoch, e);
        expect_epoch(&loader, 7, order_7 + 7 * e);
    }
    ag_loader_close(&loader);
    ag_tape_seed(tape, UINT64_C(0x123456789ABCDEF0));
    ag_loader_open(&loader, tape, &twenty, 6, NULL);
    ck_assert_int_eq(loader.seed, INT64_C(0x123456789ABCDEF0));
    loader.epoch = (INT64_C(1) << 33) + 5;
    expect_epoch(&loader, 20, order_20);
    ag_loader_close(&loader);
    expect_ok(tape);
}
END_TEST

START_TEST(test_long_orders) {
    static const int64_t sizes[] = {128, 129, 1000, 4097};
    static int64_t list[MOST_LISTED];
    ag_tape_seed(tape, 42);
    for (int k = 0; k < 4; k++) {
        ag_loader loader;
        ag_dataset d = counting(tape, sizes[k]);
        ag_loader_open(&loader, tape, &d, 100, NULL);
        loader.epoch = 3;
        ck_assert_int_eq(list_epoch(&loader, list), sizes[k]);
        uint64_t digest = UINT64_C(0xCBF29CE484222325);
        for (int64_t i = 0; i < sizes[k]; i++) digest = (digest ^ (uint64_t)list[i]) * UINT64_C(0x100000001B3);
        ck_assert_uint_eq(digest, order_digests[k]);
        ag_loader_close(&loader);
    }
}
END_TEST

START_TEST(test_orders_are_uniform) {
    enum { N = 4, ORDERS = 24, TIMES = 6000 };
    int count[ORDERS] = {0};
    ag_loader loader;
    ag_dataset d = counting(tape, N);
    ag_loader_open(&loader, tape, &d, N, &(ag_loader_options){.workers = -1});
    ag_mark mark = ag_tape_mark(tape);
    for (int e = 0; e < TIMES; e++, ag_tape_rewind(tape, mark)) {
        int64_t p[N] = {0};
        int number = 0;
        ck_assert_int_eq(list_epoch(&loader, p), N);
        for (int i = 0; i < N; i++) {
            int smaller = 0;
            for (int k = i + 1; k < N; k++) smaller += p[k] < p[i];
            number = number * (N - i) + smaller;
        }
        count[number]++;
    }
    double squares = 0;
    for (int i = 0; i < ORDERS; i++) squares += pow(count[i] - TIMES / ORDERS, 2) / (TIMES / ORDERS);
    ck_assert_double_lt(squares, 49.7); /* 23 degrees of freedom: 0.1 % of the time */
    ag_loader_close(&loader);
}
END_TEST

START_TEST(test_in_order) {
    ag_loader loader;
    ag_dataset d = counting(tape, 5);
    ag_loader_open(&loader, tape, &d, 2, &(ag_loader_options){.in_order = true});
    for (int e = 0; e < 3; e++) expect_epoch(&loader, 5, (const int64_t[]){0, 1, 2, 3, 4});
    ag_loader_close(&loader);
}
END_TEST

START_TEST(test_strata_of_a_loader) {
    ag_loader loader;
    ag_dataset d = counting(tape, 53);
    ag_tensor *classes = i64(53, classes_53), *batch;
    ag_tape_seed(tape, 9);
    ag_loader_open(&loader, tape, &d, 8, &(ag_loader_options){.strata = classes, .workers = 2});
    expect_epoch(&loader, 53, spread_53);
    expect_epoch(&loader, 53, spread_53 + 53);
    double all[4] = {0};
    for (int i = 0; i < 53; i++) all[(classes_53[i] + 5) / 10]++;
    while (ag_loader_next(&loader, &batch) && ag_size(batch) == 8) {
        double here[4] = {0};
        for (int i = 0; i < 8; i++) here[(classes_53[(int)ag_element(batch, i)] + 5) / 10]++;
        for (int k = 0; k < 4; k++) ck_assert_double_le(fabs(here[k] - 8 * all[k] / 53), 1.5);
    }
    ag_loader_close(&loader);
    ag_dataset twelve = counting(tape, 12); /* of three classes of one size, which are due at once */
    ag_tensor *thirds = i64(12, (const int64_t[]){0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2});
    ag_loader_open(&loader, tape, &twelve, 5, &(ag_loader_options){.strata = thirds});
    for (int e = 0; e < 2; e++) expect_epoch(&loader, 12, spread_12 + 12 * e);
    ag_loader_close(&loader);
    ag_loader_open(&loader, tape, &d, 53, &(ag_loader_options){.strata = classes, .in_order = true});
    int64_t first[MOST_LISTED], second[MOST_LISTED];
    list_epoch(&loader, first), list_epoch(&loader, second);
    ck_assert(memcmp(first, second, 53 * sizeof *first) == 0);
    ag_loader_close(&loader);
    expect_ok(tape);
}
END_TEST

/* ---- Batches ---- */

START_TEST(test_the_last_batch) {
    ag_loader loader;
    ag_tensor *batch;
    ag_dataset d = counting(tape, 10);
    for (int drop = 0; drop < 2; drop++) {
        ag_loader_open(&loader, tape, &d, 4, &(ag_loader_options){.drop_last = drop});
        ck_assert_int_eq(ag_loader_batches(&loader), drop ? 2 : 3);
        for (int e = 0; e < 3; e++) {
            for (int64_t b = 0; b < (drop ? 2 : 3); b++) {
                ck_assert_int_eq(loader.batch, b);
                ck_assert(ag_loader_next(&loader, &batch));
                expect_shape(batch, AG_SHAPE(b < 2 ? 4 : 2));
            }
            ck_assert(!ag_loader_next(&loader, &batch));
            ck_assert_int_eq(loader.epoch, e + 1);
            ck_assert_int_eq(loader.batch, 0);
        }
        ag_loader_close(&loader);
    }
    ag_loader_open(&loader, tape, &d, 1000, NULL);
    ck_assert(ag_loader_next(&loader, &batch));
    expect_shape(batch, AG_SHAPE(10));
    ck_assert(!ag_loader_next(&loader, &batch));
    ag_loader_close(&loader);
    ck_assert_int_eq(ag_loader_open(&loader, tape, &d, 11, &(ag_loader_options){.drop_last = true}), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "loader_open", "less than 11 samples, and the only one has 10", "test_data.c:");
}
END_TEST

START_TEST(test_no_samples) {
    ag_loader loader;
    ag_tensor *batch, *empty = ag_zeros(tape, AG_F32, AG_SHAPE(0, 3));
    ag_dataset d, part[2];
    ck_assert_int_eq(ag_dataset_tensors(&d, 1, &empty), AG_OK);
    for (int drop = 0; drop < 2; drop++) {
        ck_assert_int_eq(ag_loader_open(&loader, tape, &d, 4, &(ag_loader_options){.drop_last = drop}), AG_OK);
        for (int64_t e = 0; e < 3; e++) {
            ck_assert(!ag_loader_next(&loader, &batch));
            ck_assert_int_eq(loader.epoch, e + 1);
        }
        ag_loader_close(&loader);
    }
    ck_assert_int_eq(ag_dataset_split(part, tape, &d, 2, (double[]){0.5, 0.5}, NULL), AG_OK);
    ck_assert_int_eq(ag_dataset_count(&part[0]) + ag_dataset_count(&part[1]), 0);
    ag_tensor *without = ag_zeros(tape, AG_F32, AG_SHAPE(5, 0)); /* samples without elements */
    ck_assert_int_eq(ag_dataset_tensors(&d, 1, &without), AG_OK);
    ck_assert_int_eq(ag_loader_open(&loader, tape, &d, 2, NULL), AG_OK);
    ck_assert(ag_loader_next(&loader, &batch));
    expect_shape(batch, AG_SHAPE(2, 0));
    ag_loader_close(&loader);
    expect_ok(tape);
}
END_TEST

START_TEST(test_rows_of_each_dtype) {
    static const ag_dtype dtypes[] = {AG_BOOL, AG_I64, AG_F32, AG_F64};
    ag_dataset d;
    ag_loader loader;
    ag_tensor *x[5], *batch[5];
    for (int k = 0; k < 4; k++) x[k] = scattered(tape, dtypes[k], AG_SHAPE(9, 2, 3), (uint64_t)k * 100);
    x[4] = ag_transpose(scattered(tape, AG_F64, AG_SHAPE(4, 9), 7), 0, 1); /* not contiguous */
    ck_assert_int_eq(ag_dataset_tensors(&d, 5, x), AG_OK);
    ag_loader_open(&loader, tape, &d, 4, NULL);
    int64_t at = 0, order[9];
    ag_dataset numbers = counting(tape, 9);
    ag_loader other;
    ag_loader_open(&other, tape, &numbers, 9, NULL);
    ck_assert_int_eq(list_epoch(&other, order), 9);
    ag_loader_close(&other);
    while (ag_loader_next(&loader, batch)) {
        for (int64_t i = 0, n = ag_extent(batch[0], 0); i < n; i++, at++)
            for (int k = 0; k < 5; k++)
                expect_same(ag_slice(batch[k], 0, i, i + 1, 1), ag_slice(x[k], 0, order[at], order[at] + 1, 1));
    }
    ck_assert_int_eq(at, 9);
    ag_loader_close(&loader);
    expect_ok(tape);
}
END_TEST

/* ---- Callbacks ---- */

/* A vector that depends on the number and on random numbers, and a truth value that is not tidy. */
static bool make_vector(void *calls, ag_sample *s) {
    float *x = s->data[0];
    for (int i = 0; i < 5; i++) x[i] = (float)(s->number * 10 + i) + (float)ag_random_uniform(&s->random);
    ((unsigned char *)s->data[1])[0] = s->number % 3 ? 200 : 0;
    if (calls) atomic_fetch_add((atomic_int *)calls, 1);
    return true;
}

static int64_t make_vectors(void *context, int64_t n, const int64_t number[], void *const data[]) {
    for (int64_t i = 0; i < n; i++) {
        void *one[] = {(float *)data[0] + 5 * i, (unsigned char *)data[1] + i};
        ag_sample s = {.number = number[i], .data = one};
        if (number[i] == 1000000) return i;
        make_vector(context, &s);
    }
    return n;
}

static ag_dataset vectors(int64_t n) {
    return (ag_dataset){
        .samples = n, .parts = 2, .part = {{AG_F32, AG_SHAPE(5)}, {AG_BOOL, AG_SCALAR}}, .fill = make_vector};
}

/* All batches of two epochs, one after the other, with augmentation. */
static int64_t all_bytes(int workers, int ahead, int threads, bool several, bool in_order, char *to) {
    ag_tape *t = ag_tape_new();
    ag_tape_seed(t, 3);
    ag_tape_set_threads(t, threads);
    ag_loader loader;
    ag_dataset d = vectors(67);
    if (several) d.fill = NULL, d.fill_batch = make_vectors;
    ag_image_noise noise = {.deviation = 2};
    ag_augmentation augmentation = {ag_augment_noise, &noise};
    ag_loader_options o = {
        .in_order = in_order, .workers = workers, .ahead = ahead, .augmentations = 1, .augmentation = &augmentation};
    ck_assert_int_eq(ag_loader_open(&loader, t, &d, 8, &o), AG_OK);
    ag_tensor *batch[2];
    int64_t used = 0;
    ag_mark mark = ag_tape_mark(t);
    while (loader.epoch < 2)
        while (ag_loader_next(&loader, batch)) {
            ag_tensor *y = ag_matmul(batch[0], ag_transpose(batch[0], 0, 1)); /* something else to do meanwhile */
            ag_eval(y);
            for (int k = 0; k < 2; k++) {
                const size_t bytes = (size_t)ag_size(batch[k]) * ag_dtype_size(ag_dtype_of(batch[k]));
                memcpy(to + used, ag_data(batch[k]), bytes);
                used += (int64_t)bytes;
            }
            ag_tape_rewind(t, mark);
        }
    ck_assert_msg(ag_tape_status(t) == AG_OK, "%s", ag_tape_error(t));
    ag_loader_close(&loader);
    ag_tape_free(t);
    return used;
}

enum { ALL_BYTES = 2 * 67 * 21 };

START_TEST(test_batches_differ_in_no_bit_for_any_number_of_threads) {
    static char alone[ALL_BYTES], other[ALL_BYTES];
    const bool several = _i & 1, in_order = _i & 2;
    ck_assert_int_eq(all_bytes(-1, 0, 1, several, in_order, alone), ALL_BYTES);
    for (int repeat = 0; repeat < (small_run() ? 1 : 5); repeat++)
        for (int workers = -1; workers <= 5; workers++)
            for (int ahead = 0; ahead < 4; ahead++) {
                ck_assert_int_eq(all_bytes(workers, ahead, 1 + (workers + ahead) % 2, several, in_order, other),
                                 ALL_BYTES);
                ck_assert(memcmp(alone, other, ALL_BYTES) == 0);
            }
}
END_TEST

START_TEST(test_what_a_callback_is_given) {
    ag_loader loader;
    ag_tensor *batch[2];
    ag_dataset d = vectors(11);
    atomic_int calls = 0;
    d.context = &calls;
    ag_loader_open(&loader, tape, &d, 3, &(ag_loader_options){.in_order = true, .workers = -1});
    ck_assert(ag_loader_next(&loader, batch));
    ck_assert_int_eq(calls, 3);
    expect_shape(batch[0], AG_SHAPE(3, 5));
    expect_list(batch[1], 0, 1, 1); /* 200 is true */
    ck_assert_int_eq((int)ag_element(batch[0], 7), 12);
    ag_loader_close(&loader);
    d.fill = NULL, d.fill_batch = make_vectors;
    ag_loader_open(&loader, tape, &d, 11, &(ag_loader_options){.in_order = true});
    ck_assert(ag_loader_next(&loader, batch));
    expect_list(batch[1], 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1);
    ag_loader_close(&loader);
    expect_ok(tape);
}
END_TEST

static bool fail_at(void *number, ag_sample *s) {
    *(float *)s->data[0] = (float)s->number;
    if (s->number != atomic_load((atomic_llong *)number)) return true;
    return s->epoch == 0 ? ag_sample_fail(s, "no such file: %s%d", "part", 7) : false;
}

START_TEST(test_errors_of_callbacks_stick_and_can_be_cleared) {
    ag_loader loader;
    ag_tensor *batch;
    atomic_llong bad = 5;
    ag_dataset d = {.samples = 8, .parts = 1, .part = {{AG_F32, AG_SCALAR}}, .fill = fail_at, .context = &bad};
    ag_loader_open(&loader, tape, &d, 2, &(ag_loader_options){.in_order = true, .workers = _i - 1});
    for (int i = 0; i < 2; i++) ck_assert(ag_loader_next(&loader, &batch));
    for (int i = 0; i < 2; i++) {
        ck_assert(!ag_loader_next(&loader, &batch));
        ck_assert(batch && ag_is_nil(batch));
        ck_assert_int_eq(loader.batch, 2);
        ck_assert(!ag_loader_next(&loader, &batch)); /* the error sticks */
        expect_error(tape, AG_ERR_RANGE, "loader_next: epoch 0, batch 2: sample 5: no such file: part7",
                     "test_data.c:");
    }
    atomic_store(&bad, 6);
    ck_assert(ag_loader_next(&loader, &batch));
    expect_list(batch, 4, 5);
    ck_assert(!ag_loader_next(&loader, &batch));
    expect_error(tape, AG_ERR_RANGE, "sample 6: no such file");
    loader.epoch = 1;
    ck_assert(!ag_loader_next(&loader, &batch));
    expect_error(tape, AG_ERR_RANGE, "epoch 1, batch 3: sample 6: its callback failed");
    ag_loader_close(&loader);
    d = vectors(1000001);
    d.fill = NULL, d.fill_batch = make_vectors;
    ag_tensor *both[2];
    ag_loader_open(&loader, tape, &d, 1000, &(ag_loader_options){.in_order = true, .workers = _i - 1});
    loader.batch = 1000;
    ck_assert(!ag_loader_next(&loader, both));
    ck_assert(ag_is_nil(both[0]) && ag_is_nil(both[1]));
    expect_error(tape, AG_ERR_RANGE, "epoch 0, batch 1000: sample 1000000: its callback failed");
    ag_loader_close(&loader);
}
END_TEST

static int64_t give_nonsense(void *result, int64_t n, const int64_t number[], void *const data[]) {
    (void)n, (void)number, (void)data;
    return *(int64_t *)result;
}

START_TEST(test_a_batch_callback_that_returns_nonsense) {
    int64_t results[] = {-1, 4, INT64_MIN, INT64_MAX};
    ag_loader loader;
    ag_tensor *batch;
    for (int i = 0; i < 4; i++) {
        ag_dataset d = {.samples = 3,
                        .parts = 1,
                        .part = {{AG_F32, AG_SCALAR}},
                        .fill_batch = give_nonsense,
                        .context = &results[i]};
        ag_loader_open(&loader, tape, &d, 3, NULL);
        ck_assert(!ag_loader_next(&loader, &batch));
        expect_error(tape, AG_ERR_RANGE, "its callback returned no position");
        ag_loader_close(&loader);
    }
}
END_TEST

/* Calls what must be refused there. */
static bool meddle(void *loader_, ag_sample *s) {
    ag_loader *loader = loader_;
    ag_tensor *batch;
    *(float *)s->data[0] = 1;
    bool refused = !ag_loader_next(loader, &batch);
    ag_clear_error(NULL);
    ag_loader_close(loader);
    return refused && loader->state && ag_loader_batches(loader) == 0;
}

START_TEST(test_a_loader_is_not_used_by_its_callback) {
    ag_loader loader;
    ag_tensor *batch;
    ag_dataset d = {.samples = 3, .parts = 1, .part = {{AG_F32, AG_SCALAR}}, .fill = meddle, .context = &loader};
    ag_loader_open(&loader, tape, &d, 3, &(ag_loader_options){.workers = _i - 1});
    ck_assert(ag_loader_next(&loader, &batch));
    expect_list(batch, 1, 1, 1);
    ag_loader_close(&loader);
    ck_assert_ptr_null(loader.state);
}
END_TEST

static bool use_tape(void *tape_, ag_sample *s) {
    *(float *)s->data[0] = 1;
    ag_zeros(tape_, AG_F32, AG_SHAPE(3));
    ag_tape_free(tape_);
    return true;
}

START_TEST(test_the_tape_is_closed_to_a_callback_on_its_thread) {
    ag_loader loader;
    ag_tensor *batch;
    ag_dataset d = {.samples = 3, .parts = 1, .part = {{AG_F32, AG_SCALAR}}, .fill = use_tape, .context = tape};
    ag_loader_open(&loader, tape, &d, 3, &(ag_loader_options){.workers = -1});
    ck_assert(!ag_loader_next(&loader, &batch));
    expect_error(tape, AG_ERR_TAPE, "within the sample of loader_next", "the tape can only be looked at");
    ag_loader_close(&loader);
}
END_TEST

/* An operation whose evaluation opens, reads and closes loaders. */
static ag_loader inner;

static bool load_within(const ag_call *call) {
    ag_tape *t = ag_tape_of(call->node);
    ag_dataset d = vectors(4);
    ag_loader other;
    ck_assert_int_eq(ag_loader_open(&other, t, &d, 2, NULL), AG_ERR_TAPE);
    ck_assert_ptr_null(other.state);
    ag_loader_close(&inner);
    ck_assert_ptr_nonnull(inner.state);
    return false;
}

START_TEST(test_loaders_within_an_evaluation) {
    static const ag_op op = {.name = "loading", .kind = AG_KIND_SOURCE, .eval = load_within};
    ag_dataset d = vectors(4);
    ag_tensor *batch[2];
    ag_loader_open(&inner, tape, &d, 2, NULL);
    ck_assert_ptr_null(ag_data(ag_apply_source(&op, tape, AG_F32, AG_SHAPE(2), NULL, 0)));
    expect_error(tape, AG_ERR_TAPE, "loader_open", "within the eval of loading", "test_data.c:");
    ck_assert(ag_loader_next(&inner, batch));
    ag_loader_close(&inner);
    expect_ok(tape);
}
END_TEST

START_TEST(test_a_loader_that_was_never_opened) {
    ag_loader loader;
    ag_tensor *batch;
    memset(&loader, 0x5a, sizeof loader);
    ck_assert(!ag_loader_next(&loader, &batch));
    expect_error(NULL, AG_ERR_RANGE, "loader_next: the loader was not made by ag_loader_open", "test_data.c:");
    ck_assert_int_eq(ag_loader_batches(&loader), 0);
    ag_loader_close(&loader);
}
END_TEST

START_TEST(test_an_eager_tape) {
    ag_loader loader;
    ag_tensor *batch[2];
    ag_dataset d = vectors(20);
    ag_tape_set_eager(tape, true);
    ag_loader_open(&loader, tape, &d, 8, NULL);
    int64_t n = 0;
    while (ag_loader_next(&loader, batch))
        n += (int64_t)ag_item(ag_sum(ag_cast(ag_greater(batch[0], batch[0]), AG_F32))) + ag_extent(batch[1], 0);
    ck_assert_int_eq(n, 20);
    ag_loader_close(&loader);
    expect_ok(tape);
}
END_TEST

/* ---- Places ---- */

START_TEST(test_a_place_is_epoch_and_batch) {
    enum { N = 23, EPOCHS = 4 };
    int64_t all[EPOCHS][N], list[MOST_LISTED];
    ag_loader loader;
    ag_tensor *batch;
    ag_dataset d = counting(tape, N);
    ag_tape_seed(tape, 8);
    ag_loader_open(&loader, tape, &d, 4, NULL);
    for (int e = 0; e < EPOCHS; e++) ck_assert_int_eq(list_epoch(&loader, all[e]), N);
    for (int e = EPOCHS; e-- > 0;) /* anywhere, backwards */
        for (int64_t b = 6; b >= 0; b--) {
            loader.epoch = e, loader.batch = b;
            for (int64_t n = list_epoch(&loader, list), i = 0; i < n; i++) ck_assert_int_eq(list[i], all[e][4 * b + i]);
            ck_assert_int_eq(loader.epoch, e + 1);
        }
    ag_loader_close(&loader);
    ag_loader_open(&loader, tape, &d, 4, NULL); /* as after a restart */
    loader.epoch = 2, loader.batch = 3;
    ck_assert(ag_loader_next(&loader, &batch));
    expect_numbers(batch, 4, &all[2][12]);
    loader.seed = 9;
    ck_assert(ag_loader_next(&loader, &batch));
    ck_assert(memcmp(ag_data(batch), &all[2][16], 4 * sizeof **all) != 0);
    loader.seed = 8, loader.batch = 4;
    ck_assert(ag_loader_next(&loader, &batch));
    expect_numbers(batch, 4, &all[2][16]);
    const int64_t wrong[][2] = {{-1, 0}, {INT64_MAX, 0}, {INT64_C(1) << 60, 0}, {0, -1}, {0, 7}};
    for (int i = 0; i < 5; i++) {
        loader.epoch = wrong[i][0], loader.batch = wrong[i][1];
        ck_assert(!ag_loader_next(&loader, &batch));
        ck_assert(ag_is_nil(batch));
        expect_error(tape, AG_ERR_RANGE, "loader_next", "is out of range", "test_data.c:");
    }
    loader.epoch = (INT64_C(1) << 60) - 1, loader.batch = 0; /* the last one */
    ck_assert_int_eq(list_epoch(&loader, list), N);
    ck_assert(!ag_loader_next(&loader, &batch));
    expect_error(tape, AG_ERR_RANGE, "is out of range");
    ag_loader_close(&loader);
}
END_TEST

/* ---- Memory ---- */

START_TEST(test_a_steady_loop_allocates_nothing) {
    on_one_thread(tape);
    ag_loader loader;
    ag_tensor *batch[2];
    ag_dataset d = vectors(1000);
    ag_loader_open(&loader, tape, &d, 64, &(ag_loader_options){.workers = _i - 1});
    ag_mark mark = ag_tape_mark(tape);
    int64_t allocations = 0;
    while (loader.epoch < 6) {
        if (loader.epoch == 2) allocations = ag_tape_memory(tape).allocations;
        while (ag_loader_next(&loader, batch)) ag_tape_rewind(tape, mark);
    }
    ck_assert_int_eq(ag_tape_memory(tape).allocations, allocations);
    ag_loader_close(&loader);
}
END_TEST

/* Batches that are not rewound keep their values, whatever is made meanwhile. */
START_TEST(test_batches_may_be_kept) {
    enum { BATCHES = 12 };
    ag_loader loader;
    ag_tensor *batch[2 * BATCHES];
    ag_dataset d = counting(tape, 24);
    ag_loader_open(&loader, tape, &d, 4, &(ag_loader_options){.in_order = true, .workers = 3});
    int n = 0;
    while (loader.epoch < 2)
        while (ag_loader_next(&loader, &batch[n])) n++;
    ag_loader_close(&loader);
    ck_assert_int_eq(n, BATCHES);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 4; k++) ck_assert_double_eq(ag_element(batch[i], k), i % 6 * 4 + k);
}
END_TEST

START_TEST(test_the_data_stays_though_it_is_rewound) {
    ag_loader loader;
    ag_tensor *batch;
    ag_mark mark = ag_tape_mark(tape);
    ag_dataset all = counting(tape, 100), d;
    ag_dataset_select(&d, &all, ag_arange(tape, AG_I64, 50));
    ag_tensor *v = ag_variable_from(d.tensor[0]);
    d.tensor[0] = v;
    ag_loader_open(&loader, tape, &d, 10,
                   &(ag_loader_options){.in_order = true, .strata = ag_zeros(tape, AG_I64, AG_SHAPE(100))});
    ag_assign(v, ag_zeros(tape, AG_I64, AG_SHAPE(100)));
    ag_tape_rewind(tape, mark);
    for (int i = 0; i < 10; i++) ag_eval(ag_add_scalar(ag_arange(tape, AG_I64, i % 2 ? 100 : 50), 7));
    for (int64_t i = 0; ag_loader_next(&loader, &batch); i += 10)
        for (int k = 0; k < 10; k++) ck_assert_double_eq(ag_element(batch, k), (double)(i + k));
    ag_loader_close(&loader);
    ag_tape_rewind(tape, mark);
    ck_assert_int_ne(ag_loader_open(&loader, tape, &d, 10, NULL), AG_OK);
    expect_error(tape, AG_ERR_TAPE, "loader_open", "released by a rewind", "test_data.c:");
}
END_TEST

START_TEST(test_many_samples) {
    const int64_t n = small_run() ? 10000 : 1000000;
    ag_loader loader;
    ag_tensor *batch;
    ag_dataset d = counting(tape, n), part[2];
    ag_dataset_split(part, tape, &d, 2, (double[]){0.9, 0.1}, NULL);
    ck_assert_int_eq(ag_dataset_count(&part[0]), n / 10 * 9);
    ag_loader_open(&loader, tape, &part[0], n / 100, NULL);
    ag_mark mark = ag_tape_mark(tape);
    char *seen = calloc(1, (size_t)n);
    int64_t total = 0;
    while (ag_loader_next(&loader, &batch)) {
        const int64_t *number = ag_data(batch);
        for (int64_t i = 0; i < ag_size(batch); i++) total += !seen[number[i]], seen[number[i]] = 1;
        ag_tape_rewind(tape, mark);
    }
    ck_assert_int_eq(total, n / 10 * 9);
    free(seen);
    ag_loader_close(&loader);
    ag_dataset huge = {.samples = INT64_MAX, .parts = 1, .part = {{AG_F32, AG_SCALAR}}, .fill = fail_at};
    ck_assert_int_eq(ag_loader_open(&loader, tape, &huge, 1, NULL), AG_ERR_MEMORY);
    expect_error(tape, AG_ERR_MEMORY, "loader_open", "out of memory", "test_data.c:");
    const int64_t sizes[] = {INT64_MAX, INT64_C(1) << 61, (INT64_C(1) << 62) / 3};
    for (int i = 0; i < 3; i++) { /* whose bytes would wrap around */
        huge.samples = sizes[i];
        ck_assert_int_eq(ag_dataset_split(part, tape, &huge, 2, (double[]){0.5, 0.5}, NULL), AG_ERR_MEMORY);
        expect_error(tape, AG_ERR_MEMORY, "dataset_split", "out of memory", "test_data.c:");
        ck_assert_int_eq(ag_dataset_fold(&part[0], &part[1], tape, &huge, 2, 0, NULL), AG_ERR_MEMORY);
        expect_error(tape, AG_ERR_MEMORY, "dataset_fold", "out of memory", "test_data.c:");
        ck_assert_int_eq(ag_loader_open(&loader, tape, &huge, 1, NULL), AG_ERR_MEMORY);
        expect_error(tape, AG_ERR_MEMORY, "loader_open");
    }
    huge.samples = INT64_MAX;
    atomic_llong none = -1;
    huge.context = &none;
    ck_assert_int_eq(ag_loader_open(&loader, tape, &huge, 2, &(ag_loader_options){.in_order = true}), AG_OK);
    loader.batch = INT64_MAX / 2 - 1;
    ck_assert(ag_loader_next(&loader, &batch));
    expect_list(batch, 0x1p63, 0x1p63);
    ag_loader_close(&loader);
}
END_TEST

static bool make_large(void *context, ag_sample *s) {
    (void)context;
    memset(s->data[0], 0, 40000);
    return true;
}

static void open_and_load(ag_tape *t, int workers) {
    ag_dataset d = {.samples = 40, .parts = 1, .part = {{AG_F32, AG_SHAPE(10000)}}, .fill = make_large}, part[2],
               fold[2];
    ag_loader loader;
    ag_tensor *batch[2], *classes = ag_zeros(t, AG_I64, AG_SHAPE(40));
    ag_dataset_split(part, t, &d, 2, (double[]){0.5, 0.5}, &(ag_split_options){.strata = classes});
    ag_dataset_fold(&fold[0], &fold[1], t, &d, 4, 1, NULL);
    if (ag_loader_open(&loader, t, &part[0], 4, &(ag_loader_options){.workers = workers, .strata = classes}) != AG_OK)
        ck_assert_ptr_null(loader.state);
    int batches = 0;
    while (loader.epoch < 2 && ag_tape_status(t) == AG_OK)
        while (ag_loader_next(&loader, batch) && ag_eval(ag_sum(batch[0])) == AG_OK) batches++;
    if (ag_tape_status(t) == AG_OK) ck_assert_int_eq(batches, 10); /* with less memory fewer are made ahead */
    ag_loader_close(&loader);
    for (int k = 0; k < 2 && ag_tape_status(t) != AG_OK; k++)
        ck_assert(!part[k].index || ag_dataset_count(&part[k]) == 20);
}

/* Each allocation fails in turn: the error says so, and nothing is lost. */
START_TEST(test_failing_allocations) {
    int64_t calls = 1, failures = 0;
    for (int64_t fail = 1; fail <= calls; fail++) {
        ledger l;
        ledger_open(&l);
        ag_tape *t = ag_tape_new_with(&l.allocator);
        ck_assert_ptr_nonnull(t);
        use_up(t);
        l.fail_at = l.calls + fail;
        l.fail_for_good = _i & 1;
        open_and_load(t, _i & 2 ? -1 : 2);
        if (l.failed) calls = fail + 1;
        ag_status status = ag_tape_status(t);
        ck_assert(status == AG_OK || status == AG_ERR_MEMORY);
        failures += status != AG_OK;
        ag_tape_free(t);
        ledger_close(&l);
        ag_clear_error(NULL);
    }
    ck_assert_int_gt(failures, 4);
}
END_TEST

/* ---- Ends ---- */

static bool wait_a_little(void *context, ag_sample *s) {
    (void)context;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    *(float *)s->data[0] = (float)s->number;
    return true;
}

static ag_dataset slow(void) {
    return (ag_dataset){.samples = 40, .parts = 1, .part = {{AG_F32, AG_SCALAR}}, .fill = wait_a_little};
}

START_TEST(test_a_loader_can_be_closed_at_any_time) {
    for (int taken = 0; taken < 4; taken++) {
        ag_loader loader;
        ag_tensor *batch;
        ag_dataset d = slow();
        ag_loader_open(&loader, tape, &d, 4, &(ag_loader_options){.workers = 3, .ahead = 5});
        for (int i = 0; i < taken; i++) ck_assert(ag_loader_next(&loader, &batch));
        ag_loader_close(&loader);
        ag_loader_close(&loader);
        ck_assert_int_eq(ag_loader_batches(&loader), 0);
        ck_assert(!ag_loader_next(&loader, &batch));
        expect_error(NULL, AG_ERR_TAPE, "loader_next: the loader is closed", "test_data.c:");
    }
    ag_loader_close(NULL);
    expect_ok(tape);
}
END_TEST

START_TEST(test_a_tape_may_be_freed_before_its_loaders) {
    ledger l;
    ag_loader loader[3];
    ag_tensor *batch;
    ledger_open(&l);
    ag_tape *t = ag_tape_new_with(&l.allocator);
    ag_dataset d = slow(), counted = counting(t, 30);
    for (int i = 0; i < 3; i++) {
        ag_loader_open(&loader[i], t, i ? &d : &counted, 4, &(ag_loader_options){.workers = i - 1 + 2 * i});
        ck_assert(ag_loader_next(&loader[i], &batch));
    }
    ag_loader_close(&loader[1]);
    ag_tape_free(t);
    for (int i = 0; i < 3; i += 2) {
        ck_assert_int_eq(ag_loader_batches(&loader[i]), 0);
        ck_assert(!ag_loader_next(&loader[i], &batch));
        expect_error(NULL, AG_ERR_TAPE, "loader_next", "tape was freed", "test_data.c:");
        ag_loader_close(&loader[i]);
    }
    ledger_close(&l);
}
END_TEST

START_TEST(test_two_loaders_on_one_dataset) {
    ag_loader a, b;
    ag_tensor *x, *y;
    ag_dataset d = counting(tape, 30);
    ag_loader_open(&a, tape, &d, 7, NULL);
    ag_loader_open(&b, tape, &d, 7, &(ag_loader_options){.workers = 2});
    for (int i = 0; i < 12; i++) {
        const bool more = ag_loader_next(&a, &x);
        ck_assert(ag_loader_next(&b, &y) == more);
        if (more) expect_same(x, y);
    }
    ag_loader_close(&a);
    ck_assert(ag_loader_next(&b, &y));
    ag_loader_close(&b);
    expect_ok(tape);
}
END_TEST

/* ---- Threads ---- */

#if AG_HAVE_THREADS
static atomic_int refuse_after = 1 << 20, created;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
    if (atomic_fetch_add(&created, 1) >= refuse_after) return EAGAIN;
    return __real_pthread_create(thread, attributes, run, argument);
}

START_TEST(test_threads_that_the_system_refuses) {
    static char alone[ALL_BYTES], other[ALL_BYTES];
    all_bytes(-1, 0, 1, false, false, alone);
    for (int given = 0; given < 4; given++) {
        created = 0;
        refuse_after = given;
        ck_assert_int_eq(all_bytes(3, 0, 1, false, false, other), ALL_BYTES);
        ck_assert(memcmp(alone, other, ALL_BYTES) == 0);
    }
    refuse_after = 1 << 20;
}
END_TEST

static void *load_all(void *to) { return all_bytes(2, 0, 1, false, false, to) == ALL_BYTES ? to : NULL; }

START_TEST(test_loaders_of_several_tapes_at_once) {
    static char result[4][ALL_BYTES];
    pthread_t thread[4];
    for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_create(&thread[i], NULL, load_all, result[i]), 0);
    for (int i = 0; i < 4; i++) {
        void *good;
        pthread_join(thread[i], &good);
        ck_assert_ptr_nonnull(good);
        ck_assert(memcmp(result[0], result[i], ALL_BYTES) == 0);
    }
}
END_TEST

/* Both go on from where the fork was, with the same batches. AddressSanitizer's allocator may be locked in the child. */
START_TEST(test_parent_and_child_go_on_after_a_fork) {
    if (under_asan()) return;
    int64_t wanted[MOST_LISTED], list[MOST_LISTED];
    ag_loader loader;
    ag_tensor *batch;
    ag_dataset d = counting(tape, 200);
    ag_loader_open(&loader, tape, &d, 10, &(ag_loader_options){.workers = -1});
    list_epoch(&loader, wanted);
    ag_loader_close(&loader);
    for (int i = 0; i < 10; i++) {
        ag_loader_open(&loader, tape, &d, 10, &(ag_loader_options){.workers = 1 + i % 4});
        for (int k = 0; k < i; k++) ck_assert(ag_loader_next(&loader, &batch));
        const pid_t child = begin_child();
        bool good = true;
        if (i % 3 || child) { /* every third child only closes it */
            const int64_t n = list_epoch(&loader, list);
            good = n == 200 - 10 * i && memcmp(list, wanted + 10 * i, (size_t)n * sizeof *list) == 0;
        }
        ag_loader_close(&loader);
        if (child == 0) _exit(!good);
        ck_assert(good);
        end_child(child);
    }
}
END_TEST

/* A thread that is cancelled while it makes a batch, or waits for one, ends behind the call: nothing is lost. */
typedef struct cancelled {
    ledger l;
    ag_tape *tape;
    ag_loader loader;
    int workers;
    atomic_int begun;
} cancelled;

static void clean_up(void *c_) {
    cancelled *c = c_;
    ag_loader_close(&c->loader);
    ag_tape_free(c->tape);
}

static bool begin_and_wait(void *begun, ag_sample *s) {
    atomic_store((atomic_int *)begun, 1);
    return wait_a_little(NULL, s);
}

static void *load_for_ever(void *c_) {
    cancelled *c = c_;
    ag_tensor *batch;
    ag_dataset d = slow();
    d.fill = begin_and_wait;
    d.context = &c->begun;
    pthread_cleanup_push(clean_up, c);
    ag_loader_open(&c->loader, c->tape, &d, 20, &(ag_loader_options){.workers = c->workers});
    for (;;) {
        ag_loader_next(&c->loader, &batch);
        pthread_testcancel();
    }
    pthread_cleanup_pop(1);
    return NULL;
}

START_TEST(test_a_thread_may_be_cancelled) {
    if (under_asan()) return; /* whose stacks are not unwound */
    cancelled c = {.workers = _i - 1};
    pthread_t thread;
    void *result = NULL;
    ledger_open(&c.l);
    c.tape = ag_tape_new_with(&c.l.allocator);
    ck_assert_int_eq(__real_pthread_create(&thread, NULL, load_for_ever, &c), 0);
    while (!atomic_load(&c.begun)) nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    ck_assert_int_eq(pthread_cancel(thread), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_eq(result, PTHREAD_CANCELED);
    ledger_close(&c.l);
}
END_TEST

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The time of an epoch whose batches take 2 ms to make and 2 ms to use. */
static double epoch_time(int workers) {
    ag_loader loader;
    ag_tensor *batch;
    ag_dataset d = slow();
    ag_loader_open(&loader, tape, &d, 2, &(ag_loader_options){.workers = workers, .ahead = 1});
    const double start = seconds();
    while (ag_loader_next(&loader, &batch)) nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    const double end = seconds();
    ag_loader_close(&loader);
    return end - start;
}

START_TEST(test_a_batch_is_made_while_the_one_before_is_used) {
    double best = INFINITY;
    for (int i = 0; i < 20 && best > 0.8; i++) { /* others may use the machine */
        const double alone = epoch_time(-1), together = epoch_time(1);
        if (together / alone < best) best = together / alone;
    }
    ck_assert_double_le(best, 0.8);
}
END_TEST
#endif

/* ---- Views ---- */

static void expect_index(const ag_dataset *d, int64_t n, const int64_t part[], int64_t which) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        if (part[i] == which) ck_assert_double_eq(ag_element(d->index, count++), (double)i);
    ck_assert_int_eq(ag_dataset_count(d), count);
}

START_TEST(test_splits) {
    ag_dataset d = counting(tape, 53), part[3];
    ag_tape_seed(tape, 11);
    ck_assert_int_eq(ag_dataset_split(part, tape, &d, 3, (double[]){0.5, 0.25, 0.125}, NULL), AG_OK);
    for (int k = 0; k < 3; k++) expect_index(&part[k], 53, split_53, k);
    ag_split_options strata = {.strata = i64(53, classes_53)};
    ck_assert_int_eq(ag_dataset_split(part, tape, &d, 3, (double[]){0.5, 0.25, 0.25}, &strata), AG_OK);
    for (int k = 0; k < 3; k++) expect_index(&part[k], 53, split_53_classes, k);
    ck_assert_int_eq(
        ag_dataset_split(part, tape, &d, 3, (double[]){0.1, 0.2, 0.7}, &(ag_split_options){.in_order = true}), AG_OK);
    expect_list(part[0].index, 0, 1, 2, 3, 4);
    ck_assert_int_eq(ag_dataset_count(&part[1]), 11);
    ck_assert_double_eq(ag_element(part[1].index, 0), 5);
    ck_assert_int_eq(ag_dataset_count(&part[2]), 37);
    expect_ok(tape);
}
END_TEST

/* Counts of each class, over many sizes, classes and fractions. */
START_TEST(test_strata_of_splits_are_exact) {
    int64_t label[300];
    ag_mark mark = ag_tape_mark(tape);
    for (int round = 0; round < 60; round++, ag_tape_rewind(tape, mark)) {
        const int64_t n = 1 + (int64_t)(round * 37 % 300), classes = 1 + round % 7;
        for (int64_t i = 0; i < n; i++)
            label[i] = (int64_t)floor(fabs(scatter((uint64_t)(i + round * 1000))) * 1e9) % classes;
        const double fraction[] = {(round % 10) / 10., 1 - (round % 10) / 10.};
        ag_dataset d = counting(tape, n), part[2];
        ag_split_options o = {.strata = i64(n, label), .in_order = round % 2};
        ck_assert_int_eq(ag_dataset_split(part, tape, &d, 2, fraction, &o), AG_OK);
        ck_assert_int_eq(ag_dataset_count(&part[0]), (int64_t)floor((double)n * fraction[0] + 0.5));
        ck_assert_int_eq(ag_dataset_count(&part[0]) + ag_dataset_count(&part[1]), n);
        for (int64_t c = 0; c < classes; c++) {
            double all = 0, first = 0;
            for (int64_t i = 0; i < n; i++) all += label[i] == c;
            for (int64_t i = 0; i < ag_dataset_count(&part[0]); i++)
                first += label[(int)ag_element(part[0].index, i)] == c;
            ck_assert_double_lt(fabs(first - all * fraction[0]), 1 + 1e-9);
        }
    }
}
END_TEST

START_TEST(test_folds) {
    enum { N = 53, FOLDS = 5 };
    int64_t tested[N] = {0};
    ag_dataset d = counting(tape, N), train, test;
    ag_split_options strata = {.strata = i64(N, classes_53)};
    for (int k = 0; k < FOLDS; k++) {
        int64_t here[4] = {0}, all[4] = {0};
        ck_assert_int_eq(ag_dataset_fold(&train, &test, tape, &d, FOLDS, k, &strata), AG_OK);
        ck_assert_int_eq(ag_dataset_count(&train) + ag_dataset_count(&test), N);
        ck_assert(ag_dataset_count(&test) == 10 || ag_dataset_count(&test) == 11);
        for (int64_t i = 0; i < ag_dataset_count(&test); i++) {
            const int at = (int)ag_element(test.index, i);
            tested[at]++, here[(classes_53[at] + 5) / 10]++;
            for (int64_t m = 0; m < ag_dataset_count(&train); m++) ck_assert_double_ne(ag_element(train.index, m), at);
        }
        for (int i = 0; i < N; i++) all[(classes_53[i] + 5) / 10]++;
        for (int c = 0; c < 4; c++) ck_assert(here[c] == all[c] / FOLDS || here[c] == all[c] / FOLDS + 1);
    }
    for (int i = 0; i < N; i++) ck_assert_int_eq(tested[i], 1);
    ck_assert_int_eq(ag_dataset_fold(&train, &test, tape, &d, N, 52, NULL), AG_OK); /* leave one out */
    ag_dataset once = d;
    ag_dataset_fold(&once, &once, tape, &d, N, 0, NULL);
    expect_error(tape, AG_ERR_RANGE, "dataset_fold", "two are wanted", "test_data.c:");
    ck_assert_int_eq(ag_dataset_count(&test), 1);
    expect_ok(tape);
}
END_TEST

START_TEST(test_views_of_views) {
    ag_dataset d = counting(tape, 10), view, again, part[2];
    ag_loader loader;
    ck_assert_int_eq(ag_dataset_select(&view, &d, i64(4, (const int64_t[]){9, 3, 3, 0})), AG_OK);
    ck_assert_int_eq(ag_dataset_select(&again, &view, i64(3, (const int64_t[]){3, 0, 1})), AG_OK);
    ag_loader_open(&loader, tape, &again, 2, &(ag_loader_options){.in_order = true});
    expect_epoch(&loader, 3, (const int64_t[]){0, 9, 3});
    ag_loader_close(&loader);
    ck_assert_int_eq(ag_dataset_select(&view, &view, i64(1, (const int64_t[]){2})), AG_OK); /* of itself */
    expect_list(view.index, 3);
    part[0] = d;
    ck_assert_int_eq(
        ag_dataset_split(part, tape, &part[0], 2, (double[]){0.5, 0.5}, &(ag_split_options){.in_order = true}), AG_OK);
    expect_list(part[1].index, 5, 6, 7, 8, 9);
    ag_dataset twelve = counting(tape, 12); /* labels are those of the samples, not of the places */
    ag_tensor *label = i64(12, (const int64_t[]){0, 0, 0, 0, 1, 2, 1, 2, 1, 2, 1, 2});
    ag_dataset_select(&view, &twelve, i64(8, (const int64_t[]){4, 5, 6, 7, 8, 9, 10, 11}));
    ck_assert_int_eq(ag_dataset_split(part, tape, &view, 2, (double[]){0.5, 0.5}, &(ag_split_options){true, label}),
                     AG_OK);
    expect_list(part[0].index, 4, 5, 6, 7);
    expect_list(part[1].index, 8, 9, 10, 11);
    ck_assert_int_eq(ag_dataset_select(&view, &d, i64(0, (const int64_t[]){0})), AG_OK);
    ck_assert_int_eq(ag_dataset_count(&view), 0);
    ck_assert_int_eq(ag_dataset_count(NULL), 0);
    expect_ok(tape);
}
END_TEST

/* ---- Refused ---- */

START_TEST(test_datasets_refused) {
    ag_dataset d, part[2];
    ag_tape *other = ag_tape_new();
    ag_tensor *x = ag_zeros(tape, AG_F32, AG_SHAPE(3, 2)), *y = ag_zeros(tape, AG_I64, AG_SHAPE(4)),
              *s = ag_scalar(tape, AG_F32, 1);
    ck_assert_int_eq(ag_dataset_tensors(&d, 2, (ag_tensor *[]){x, y}), AG_ERR_SHAPE);
    ck_assert_int_eq(d.parts, 0);
    expect_error(tape, AG_ERR_SHAPE, "dataset_tensors", "(3,2)", "part 1 has 4 samples, and part 0 has 3",
                 "test_data.c:");
    ag_dataset_tensors(&d, 1, &s);
    expect_error(tape, AG_ERR_SHAPE, "part 0 has no axis", "test_data.c:");
    ag_dataset_tensors(&d, 2, (ag_tensor *[]){x, NULL});
    expect_error(tape, AG_ERR_NULL, "part 1 is NULL");
    ag_dataset_tensors(&d, 2, (ag_tensor *[]){x, ag_zeros(other, AG_F32, AG_SHAPE(3))});
    expect_error(tape, AG_ERR_TAPE, "on another tape");
    ag_dataset_tensors(&d, 0, &x);
    expect_error(NULL, AG_ERR_RANGE, "0 parts: 1 to 8 are wanted");
    ag_dataset_tensors(&d, 9, &x);
    expect_error(tape, AG_ERR_RANGE, "9 parts");
    ag_dataset_tensors(NULL, 1, &x);
    expect_error(tape, AG_ERR_NULL, "the dataset is NULL");
    ag_dataset_tensors(&d, 1, NULL);
    expect_error(NULL, AG_ERR_NULL, "the list of parts is NULL");
    d = counting(tape, 5);
    const double halves[] = {0.5, 0.5};
    ck_assert_int_eq(ag_dataset_split(part, tape, &d, 2, (double[]){0.5, 0.6}, NULL), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "dataset_split", "add up to 1.1", "test_data.c:");
    ag_dataset_split(part, tape, &d, 2, (double[]){0.5, NAN}, NULL);
    expect_error(tape, AG_ERR_RANGE, "fraction 1 is nan");
    ag_dataset_split(part, tape, &d, 2, (double[]){-0.5, 0.5}, NULL);
    expect_error(tape, AG_ERR_RANGE, "fraction 0 is -0.5");
    ag_dataset_split(part, tape, &d, 0, halves, NULL);
    expect_error(tape, AG_ERR_RANGE, "0 parts");
    ag_dataset_split(part, tape, &d, 2, NULL, NULL);
    expect_error(tape, AG_ERR_NULL, "the list of 2 fractions is NULL");
    ag_dataset_split(NULL, tape, &d, 2, halves, NULL);
    expect_error(tape, AG_ERR_NULL, "the array of 2 datasets is NULL");
    ag_dataset_split(part, NULL, &d, 2, halves, NULL);
    expect_error(NULL, AG_ERR_NULL, "the tape is NULL");
    ag_dataset_split(part, tape, NULL, 2, halves, NULL);
    expect_error(tape, AG_ERR_NULL, "the dataset is NULL");
    ag_dataset_split(part, tape, &d, 2, halves, &(ag_split_options){.strata = y});
    expect_error(tape, AG_ERR_SHAPE, "the strata must have one number for each of 5 samples", "test_data.c:");
    ck_assert_int_eq(ag_dataset_count(&part[0]), 0);
    ag_dataset_split(part, tape, &d, 2, halves, &(ag_split_options){.strata = x});
    expect_error(tape, AG_ERR_DTYPE, "the strata must be i64, not f32");
    ag_dataset_fold(&part[0], &part[1], tape, &d, 1, 0, NULL);
    expect_error(tape, AG_ERR_RANGE, "fold 0 of 1", "test_data.c:");
    ag_dataset_fold(&part[0], &part[1], tape, &d, 3, 3, NULL);
    expect_error(tape, AG_ERR_RANGE, "fold 3 of 3");
    ag_dataset_fold(NULL, &part[1], tape, &d, 3, 0, NULL);
    expect_error(tape, AG_ERR_NULL, "one of the two datasets is NULL");
    ag_dataset_select(&part[0], &d, i64(2, (const int64_t[]){0, 5}));
    expect_error(tape, AG_ERR_RANGE, "dataset_select", "place 5 at [1] is out of range: there are 5", "test_data.c:");
    ag_dataset_select(&part[0], &d, x);
    expect_error(tape, AG_ERR_DTYPE, "the list of places must be i64");
    ag_dataset_select(&part[0], &d, ag_zeros(tape, AG_I64, AG_SHAPE(2, 2)));
    expect_error(tape, AG_ERR_SHAPE, "must have one axis");
    ag_dataset_select(&part[0], &d, NULL);
    expect_error(NULL, AG_ERR_NULL, "the list of places is NULL");
    ag_dataset_select(NULL, &d, y);
    expect_error(tape, AG_ERR_NULL, "the view is NULL");
    ag_tape_free(other);
}
END_TEST

static void refuses(ag_dataset d, ag_status status, const char *text) {
    ag_loader loader;
    ck_assert_int_eq(ag_loader_open(&loader, tape, &d, 2, NULL), status);
    ck_assert_ptr_null(loader.state);
    expect_error(tape, status, "loader_open", text, "test_data.c:");
    ag_tensor *batch = NULL;
    ck_assert(!ag_loader_next(&loader, &batch));
    ag_clear_error(NULL);
}

START_TEST(test_loaders_refused) {
    ag_dataset good = vectors(10), d = good;
    ag_loader loader;
    refuses((ag_dataset){0}, AG_ERR_RANGE, "the dataset has 0 parts");
    d.fill_batch = make_vectors;
    refuses(d, AG_ERR_RANGE, "more than one source of samples");
    d.fill = NULL, d.fill_batch = NULL;
    refuses(d, AG_ERR_RANGE, "no source of samples");
    d = good, d.samples = -1;
    refuses(d, AG_ERR_RANGE, "has -1 samples");
    d = good, d.part[0].dtype = (ag_dtype)7;
    refuses(d, AG_ERR_DTYPE, "part 0 has the invalid dtype 7");
    d = good, d.part[1].shape.rank = 8;
    refuses(d, AG_ERR_SHAPE, "part 1 has an invalid shape, of rank 8");
    d = good, d.part[1].shape = AG_SHAPE(-3);
    refuses(d, AG_ERR_SHAPE, "part 1 has an invalid shape");
    d = good, d.part[1].shape = AG_SHAPE(INT64_MAX / 2, 3);
    refuses(d, AG_ERR_SHAPE, "a batch of 2 samples");
    d = good, d.index = i64(2, (const int64_t[]){3, 10});
    refuses(d, AG_ERR_RANGE, "sample 10 at [1] is out of range: there are 10");
    d.index = ag_zeros(tape, AG_F32, AG_SHAPE(3));
    refuses(d, AG_ERR_DTYPE, "the dataset's index must be i64");
    d = counting(tape, 10), d.samples = 11;
    refuses(d, AG_ERR_SHAPE, "does not consist of the dataset's 11 samples");
    d = counting(tape, 10), d.part[0].dtype = AG_F64;
    refuses(d, AG_ERR_DTYPE, "tensor 0 is not of the dataset's dtype f64");
    d = counting(tape, 10), d.parts = 2;
    refuses(d, AG_ERR_NULL, "the dataset's tensor 1 is NULL");
    ag_loader_options bad[] = {{.workers = -2},       {.workers = 65},
                               {.ahead = -1},         {.ahead = 1025},
                               {.augmentations = 17}, {.augmentations = -1},
                               {.augmentations = 1},  {.augmentations = 1, .augmentation = &(ag_augmentation){0}}};
    static const char *const text[] = {"-2 workers",
                                       "65 workers",
                                       "-1 batches ahead",
                                       "1025 batches ahead",
                                       "17 augmentations",
                                       "-1 augmentations",
                                       "the list of 1 augmentations is NULL",
                                       "the function of augmentation 0 is NULL"};
    for (int i = 0; i < 8; i++) {
        ag_status status = i < 6 ? AG_ERR_RANGE : AG_ERR_NULL;
        ck_assert_int_eq(ag_loader_open(&loader, tape, &good, 2, &bad[i]), status);
        expect_error(tape, status, "loader_open", text[i], "test_data.c:");
    }
    ag_image_noise noise = {.deviation = 0};
    ag_augmentation most[16];
    for (int i = 0; i < 16; i++) most[i] = (ag_augmentation){ag_augment_noise, &noise};
    ag_loader_options enough[] = {{.workers = 64}, {.ahead = 1024}, {.augmentations = 16, .augmentation = most}};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(ag_loader_open(&loader, tape, &good, 2, &enough[i]), AG_OK);
        ag_loader_close(&loader);
    }
    ag_loader_open(&loader, tape, &good, 0, NULL);
    expect_error(tape, AG_ERR_RANGE, "batches of 0 samples");
    ag_loader_open(NULL, tape, &good, 1, NULL);
    expect_error(tape, AG_ERR_NULL, "the loader is NULL");
    ag_loader_open(&loader, NULL, &good, 1, NULL);
    expect_error(NULL, AG_ERR_NULL, "the tape is NULL");
    ag_loader_open(&loader, tape, NULL, 1, NULL);
    expect_error(tape, AG_ERR_NULL, "the dataset is NULL");
    ag_tape *other = ag_tape_new();
    d = counting(other, 10);
    refuses(d, AG_ERR_TAPE, "the dataset's tensor 0 is on another tape");
    ag_loader_open(&loader, tape, &good, 1, &(ag_loader_options){.strata = d.tensor[0]});
    expect_error(tape, AG_ERR_TAPE, "the strata is on another tape");
    ag_tape_free(other);
    ag_loader_open(&loader, tape, &good, 1, NULL);
    ck_assert(!ag_loader_next(&loader, NULL));
    expect_error(tape, AG_ERR_NULL, "the array of tensors is NULL");
    ag_loader_close(&loader);
    ck_assert(!ag_loader_next(NULL, NULL));
    expect_error(NULL, AG_ERR_NULL, "the loader is NULL");
    ck_assert_int_eq(ag_loader_batches(NULL), 0);
}
END_TEST

/* ---- Random numbers and augmentation ---- */

static bool note_random(void *to, ag_sample *s) {
    if (s->number == 3 && s->epoch == 2) *(ag_random *)to = s->random;
    *(float *)s->data[0] = 0;
    return true;
}

START_TEST(test_random_numbers_of_a_sample) {
    ag_random r = {0};
    ag_loader loader;
    ag_tensor *batch;
    ag_dataset d = {.samples = 5, .parts = 1, .part = {{AG_F32, AG_SCALAR}}, .fill = note_random, .context = &r};
    ag_tape_seed(tape, 5);
    ag_loader_open(&loader, tape, &d, 2, &(ag_loader_options){.workers = -1});
    while (loader.epoch < 3)
        while (ag_loader_next(&loader, &batch)) {
        }
    ag_loader_close(&loader);
    ag_random again = r, third = r;
    for (int i = 0; i < 4; i++) ck_assert_uint_eq(ag_random_bits(&again), bits[i]);
    for (int i = 0; i < 4; i++) ck_assert_double_eq(ag_random_uniform(&third), (double)(bits[i] >> 11) * 0x1p-53);
    again = r;
    for (int i = 0; i < COUNT(normals); i++) ck_assert_double_eq_tol(ag_random_normal(&again), normals[i], 1e-14);
    int64_t count[6] = {0};
    for (int i = 0; i < 6000; i++) count[ag_random_below(&r, 6)]++;
    for (int i = 0; i < 6; i++) ck_assert_int_le(llabs(count[i] - 1000), 150); /* five deviations */
    ck_assert_int_eq(ag_random_below(&r, 1), 0);
    ck_assert_int_eq(ag_random_below(&r, 0), 0);
    ck_assert_int_eq(ag_random_below(&r, -5), 0);
    ck_assert_int_ge(ag_random_below(&r, INT64_MAX), 0);
    ck_assert_int_eq(ag_random_below(NULL, 5), 0);
    ck_assert_uint_eq(ag_random_bits(NULL), 0);
    ck_assert_double_eq(ag_random_uniform(NULL) + ag_random_normal(NULL), 0);
    ck_assert(!ag_sample_fail(NULL, "x"));
    char why[200] = "as it was";
    ag_sample mute = {.why = NULL}, told = {.why = why};
    ck_assert(!ag_sample_fail(&mute, "x") && !ag_sample_fail(&told, NULL));
    ck_assert_str_eq(why, "as it was");
}
END_TEST

static ag_tensor *images(ag_dtype d) {
    ag_tensor *pixel = ag_arange(tape, AG_I64, 40), *number = ag_scale(ag_arange(tape, AG_I64, 6), 100);
    return ag_cast(ag_reshape(ag_add(ag_reshape(number, AG_SHAPE(6, 1)), pixel), AG_SHAPE(6, 5, 4, 2)), d);
}

START_TEST(test_images_shifted_turned_and_covered) {
    static const ag_dtype dtypes[] = {AG_I64, AG_F32, AG_F64};
    ag_image_shift shift = {.rows = 2, .columns = 1, .fill = -1};
    ag_image_flip flip = {.horizontal = 0.5, .vertical = 0.25};
    ag_image_cutout cutout = {.size = 3, .fill = -2};
    ag_augmentation list[] = {{ag_augment_shift, &shift}, {ag_augment_flip, &flip}, {ag_augment_cutout, &cutout}};
    ag_loader_options o = {.in_order = true, .augmentations = 3, .augmentation = list};
    ag_tape_seed(tape, 77);
    for (int k = 0; k < 3; k++) {
        ag_dataset d;
        ag_loader loader;
        ag_tensor *x = images(dtypes[k]), *batch;
        ag_dataset_tensors(&d, 1, &x);
        ag_loader_open(&loader, tape, &d, 6, &o);
        loader.epoch = 4;
        ck_assert(ag_loader_next(&loader, &batch));
        ck_assert_int_eq(ag_dtype_of(batch), dtypes[k]);
        for (int64_t i = 0; i < COUNT(changed_images); i++)
            ck_assert_double_eq(ag_element(batch, i), (double)changed_images[i]);
        expect_same(x, images(dtypes[k])); /* the data is as it was */
        ag_loader_close(&loader);
    }
    expect_ok(tape);
}
END_TEST

static ag_tensor *augmented(ag_tensor *x, ag_sample_function *apply, void *context) {
    ag_dataset d;
    ag_loader loader;
    ag_tensor *batch;
    ag_augmentation augmentation = {apply, context};
    ag_loader_options o = {.in_order = true, .augmentations = 1, .augmentation = &augmentation};
    ag_dataset_tensors(&d, 1, &x);
    ag_loader_open(&loader, tape, &d, ag_extent(x, 0), &o);
    ag_loader_next(&loader, &batch);
    ag_loader_close(&loader);
    return batch;
}

START_TEST(test_augmentation_at_its_limits) {
    ag_tensor *x = images(AG_F32), *ones = ag_ones(tape, AG_F32, ag_shape_of(x));
    expect_same(augmented(x, ag_augment_shift, &(ag_image_shift){0}), x);
    expect_same(augmented(x, ag_augment_flip, &(ag_image_flip){0}), x);
    expect_same(augmented(x, ag_augment_noise, &(ag_image_noise){0}), x);
    expect_same(augmented(x, ag_augment_cutout, &(ag_image_cutout){0}), x);
    expect_same(augmented(x, ag_augment_flip, &(ag_image_flip){.horizontal = 1}), ag_flip(x, 2));
    expect_same(augmented(x, ag_augment_flip, &(ag_image_flip){.vertical = 1}), ag_flip(x, 1));
    expect_same(augmented(x, ag_augment_flip, &(ag_image_flip){.horizontal = 1, .vertical = 1}),
                ag_flip(ag_flip(x, 1), 2));
    expect_same(augmented(x, ag_augment_cutout, &(ag_image_cutout){.size = INT64_MAX, .fill = 1}), ones);
    expect_same(augmented(x, ag_augment_shift, &(ag_image_shift){.rows = INT64_MAX / 4, .fill = 1}), ones);
    expect_same(augmented(x, ag_augment_shift, &(ag_image_shift){.columns = INT64_MAX / 4, .fill = 1}), ones);
    ag_tensor *flat = ag_reshape(ag_arange(tape, AG_F32, 30), AG_SHAPE(2, 3, 5)); /* (H,W) */
    expect_same(augmented(flat, ag_augment_flip, &(ag_image_flip){.horizontal = 1}), ag_flip(flat, 2));
    ag_tensor *truth = ag_greater(flat, ag_scalar(tape, AG_F32, 6));
    expect_same(augmented(truth, ag_augment_flip, &(ag_image_flip){.vertical = 1}), ag_flip(truth, 1));
    expect_same(augmented(truth, ag_augment_cutout, &(ag_image_cutout){.size = 99, .fill = 1}),
                ag_ones(tape, AG_BOOL, ag_shape_of(truth)));
    ag_tensor *narrow = ag_zeros(tape, AG_F32, AG_SHAPE(2, 5, 0, 1));
    expect_same(augmented(narrow, ag_augment_shift, &(ag_image_shift){.columns = 3}), narrow);
    expect_same(augmented(narrow, ag_augment_cutout, &(ag_image_cutout){.size = 3}), narrow);
    ag_tensor *none = ag_zeros(tape, AG_F32, AG_SHAPE(2, 0, 5, 1));
    expect_same(augmented(none, ag_augment_shift, &(ag_image_shift){.rows = 3}), none);
    expect_same(augmented(none, ag_augment_cutout, &(ag_image_cutout){.size = 3}), none);
    expect_same(augmented(none, ag_augment_flip, &(ag_image_flip){.vertical = 1}), none);
    expect_ok(tape);
}
END_TEST

/* Each shift of a single pixel is as frequent as another; the deviation of noise. */
START_TEST(test_augmentation_is_as_random_as_it_says) {
    enum { N = 5000 };
    ag_tensor *x = ag_zeros(tape, AG_F32, AG_SHAPE(N, 5, 5));
    x = ag_add(x, ag_reshape(ag_cast(ag_equal(ag_arange(tape, AG_I64, 25), ag_scalar(tape, AG_I64, 12)), AG_F32),
                             AG_SHAPE(5, 5)));
    ag_tensor *y =
        ag_sum_over(augmented(x, ag_augment_shift, &(ag_image_shift){.rows = 2, .columns = 2}), AG_AXES(0), false);
    for (int i = 0; i < 25; i++) ck_assert_double_le(fabs(ag_element(y, i) - N / 25), 5 * sqrt(N / 25.0));
    y = ag_sum_over(augmented(x, ag_augment_cutout, &(ag_image_cutout){.size = 3, .fill = 1}), AG_AXES(0), false);
    ck_assert_double_le(fabs(ag_element(y, 0) - N * 4 / 25.), 5 * sqrt(N * 0.16)); /* from 4 of 25 places */
    ck_assert_double_le(fabs(ag_element(y, 6) - N * 9 / 25.), 5 * sqrt(N * 0.36));
    for (int k = 0; k < 2; k++) {
        ag_tensor *z = augmented(ag_cast(x, k ? AG_F64 : AG_F32), ag_augment_noise, &(ag_image_noise){.deviation = 3});
        z = ag_sub(z, ag_cast(x, ag_dtype_of(z)));
        ck_assert_double_le(fabs(ag_item(ag_mean(z))), 5 * 3 / sqrt(25. * N));
        ck_assert_double_eq_tol(ag_item(ag_var(z, 0)), 9, 9 * 5 * sqrt(2 / (25. * N)));
        ck_assert_double_gt(ag_item(ag_max(z)), 3 * 3.8);
        ag_tensor *fourth = ag_mean(ag_square(ag_square(ag_scale(z, 1. / 3)))); /* 3 for normal numbers */
        ck_assert_double_eq_tol(ag_item(fourth), 3, 0.2);
    }
    expect_ok(tape);
}
END_TEST

START_TEST(test_augmentation_refused) {
    ag_tensor *x = images(AG_I64), *flat = ag_zeros(tape, AG_F32, AG_SHAPE(3, 4)),
              *big = ag_zeros(tape, AG_I64, AG_SHAPE(1, 2, 2));
    const struct {
        ag_tensor *x;
        ag_sample_function *apply;
        void *context;
        const char *text;
    } bad[] = {
        {x, ag_augment_shift, &(ag_image_shift){.rows = -1}, "sample 0: augment_shift: shifts up to -1 and 0"},
        {x, ag_augment_shift, &(ag_image_shift){.columns = INT64_MAX}, "augment_shift: shifts up to 0 and"},
        {x, ag_augment_shift, &(ag_image_shift){.columns = -1}, "augment_shift: shifts up to 0 and -1"},
        {x, ag_augment_shift, &(ag_image_shift){.rows = INT64_MAX}, "augment_shift: shifts up to 92"},
        {big, ag_augment_shift, &(ag_image_shift){.fill = 0x1p63}, "augment_shift: i64 cannot hold 9.22337e+18"},
        {x, ag_augment_shift, &(ag_image_shift){.part = 1}, "augment_shift: part 1 is out of range: a sample has 1"},
        {x, ag_augment_shift, &(ag_image_shift){.part = -1}, "part -1 is out of range"},
        {flat, ag_augment_shift, &(ag_image_shift){0}, "augment_shift: part 0 has 1 axes: (H,W,C) or (H,W) is wanted"},
        {big, ag_augment_shift, &(ag_image_shift){.fill = 0.5}, "augment_shift: i64 cannot hold 0.5"},
        {x, ag_augment_shift, NULL, "its context is NULL"},
        {x, ag_augment_flip, &(ag_image_flip){.horizontal = 1.5}, "augment_flip: the probabilities are 1.5 and 0"},
        {x, ag_augment_flip, &(ag_image_flip){.vertical = NAN}, "augment_flip: the probabilities are 0 and nan"},
        {x, ag_augment_flip, &(ag_image_flip){.horizontal = -1}, "augment_flip: the probabilities are -1 and 0"},
        {x, ag_augment_flip, &(ag_image_flip){.vertical = 2}, "augment_flip: the probabilities are 0 and 2"},
        {flat, ag_augment_flip, &(ag_image_flip){0}, "augment_flip: part 0 has 1 axes"},
        {x, ag_augment_flip, NULL, "its context is NULL"},
        {x, ag_augment_noise, &(ag_image_noise){.deviation = 1}, "augment_noise: part 0 is i64: f32 or f64 is wanted"},
        {flat, ag_augment_noise, &(ag_image_noise){.deviation = -1}, "augment_noise: the deviation is -1"},
        {flat, ag_augment_noise, &(ag_image_noise){.deviation = INFINITY}, "augment_noise: the deviation is inf"},
        {flat, ag_augment_noise, &(ag_image_noise){.part = 2}, "augment_noise: part 2 is out of range"},
        {x, ag_augment_noise, NULL, "its context is NULL"},
        {x, ag_augment_cutout, &(ag_image_cutout){.size = -1}, "augment_cutout: the size is -1"},
        {x, ag_augment_cutout, &(ag_image_cutout){.fill = NAN}, "augment_cutout: i64 cannot hold nan"},
        {flat, ag_augment_cutout, &(ag_image_cutout){0}, "augment_cutout: part 0 has 1 axes"},
        {x, ag_augment_cutout, NULL, "its context is NULL"},
    };
    for (int64_t i = 0; i < COUNT(bad); i++) {
        ck_assert(ag_is_nil(augmented(bad[i].x, bad[i].apply, bad[i].context)));
        expect_error(tape, AG_ERR_RANGE, "loader_next: epoch 0, batch 0", bad[i].text, "test_data.c:");
    }
    ag_image_shift shift = {0};
    ck_assert(!ag_augment_shift(&shift, NULL));
    ck_assert(!ag_augment_shift(NULL, NULL) && !ag_augment_flip(NULL, NULL));
    ck_assert(!ag_augment_noise(NULL, NULL) && !ag_augment_cutout(NULL, NULL));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("data");
    TCase *orders = tape_group(suite, "orders"), *batches = tape_group(suite, "batches");
    tcase_add_test(orders, test_an_order_is_that_of_fisher_and_yates);
    tcase_add_test(orders, test_long_orders);
    tcase_add_test(orders, test_orders_are_uniform);
    tcase_add_test(orders, test_in_order);
    tcase_add_test(orders, test_strata_of_a_loader);
    tcase_add_test(orders, test_a_place_is_epoch_and_batch);
    tcase_add_test(batches, test_the_last_batch);
    tcase_add_test(batches, test_no_samples);
    tcase_add_test(batches, test_rows_of_each_dtype);
    tcase_add_loop_test(batches, test_batches_differ_in_no_bit_for_any_number_of_threads, 0, 4);
    tcase_add_test(batches, test_what_a_callback_is_given);
    TCase *errors = tape_group(suite, "errors");
    tcase_add_loop_test(errors, test_errors_of_callbacks_stick_and_can_be_cleared, 0, 4);
    tcase_add_test(errors, test_a_batch_callback_that_returns_nonsense);
    tcase_add_loop_test(errors, test_a_loader_is_not_used_by_its_callback, 0, 3);
    tcase_add_test(errors, test_the_tape_is_closed_to_a_callback_on_its_thread);
    tcase_add_test(errors, test_loaders_within_an_evaluation);
    tcase_add_test(errors, test_a_loader_that_was_never_opened);
    tcase_add_test(errors, test_an_eager_tape);
    tcase_add_test(errors, test_datasets_refused);
    tcase_add_test(errors, test_loaders_refused);
    TCase *memory = tape_group(suite, "memory"), *ends = tape_group(suite, "ends");
    tcase_add_loop_test(memory, test_a_steady_loop_allocates_nothing, 0, 4);
    tcase_add_test(memory, test_batches_may_be_kept);
    tcase_add_test(memory, test_the_data_stays_though_it_is_rewound);
    tcase_add_test(memory, test_many_samples);
    tcase_add_loop_test(memory, test_failing_allocations, 0, 4);
    tcase_add_test(ends, test_a_loader_can_be_closed_at_any_time);
    tcase_add_test(ends, test_a_tape_may_be_freed_before_its_loaders);
    tcase_add_test(ends, test_two_loaders_on_one_dataset);
#if AG_HAVE_THREADS
    TCase *threads = tape_group(suite, "threads");
    tcase_add_test(threads, test_threads_that_the_system_refuses);
    tcase_add_test(threads, test_loaders_of_several_tapes_at_once);
    tcase_add_test(threads, test_parent_and_child_go_on_after_a_fork);
    tcase_add_loop_test(threads, test_a_thread_may_be_cancelled, 0, 3);
    tcase_add_test(threads, test_a_batch_is_made_while_the_one_before_is_used);
#else
    puts("Skipped: 7, which need threads");
#endif
    TCase *views = tape_group(suite, "views"), *augmentation = tape_group(suite, "augmentation");
    tcase_add_test(views, test_splits);
    tcase_add_test(views, test_strata_of_splits_are_exact);
    tcase_add_test(views, test_folds);
    tcase_add_test(views, test_views_of_views);
    tcase_add_test(augmentation, test_random_numbers_of_a_sample);
    tcase_add_test(augmentation, test_images_shifted_turned_and_covered);
    tcase_add_test(augmentation, test_augmentation_at_its_limits);
    tcase_add_test(augmentation, test_augmentation_is_as_random_as_it_says);
    tcase_add_test(augmentation, test_augmentation_refused);
    return run_suite(suite);
}
