/* test_tapes -- threads with a tape each do the same at the same moment
 *
 * They begin in a process that has done nothing yet, so that all that the library makes once for every tape is made by
 * several at once: libraries loaded, operations replayed, threads of the pool, numbers asked of the system. Each must get the
 * bits of a thread that is alone, also where the library was built to make no threads: these are the program's. The races
 * themselves are found by ThreadSanitizer: ./dev test --tsan. */
#include "io/io.h"
#include "nn/nn.h"
#include "ops/fftw.h"
#include "ops/lapack.h"
#include "tests/cases.h"
#include "tests/files.h"
#include "tests/support.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, LAYERS = 20, PARTS = 3 };

typedef struct worker {
    void (*run)(struct worker *w);
    int number;
    int programs; /* that it begins with */
    bool alone;
    bool failed;
    const char *path, *series; /* its own; that of all: */
    const char *common;
    char error[200];
    uint64_t *digest; /* of each part */
} worker;

static atomic_int arrived;

/* Go on once all have come here for the n-th time. */
static void meet(const worker *w, int n) {
    if (w->alone) return;
    atomic_fetch_add(&arrived, 1);
    while (atomic_load(&arrived) < THREADS * n) sched_yield();
}

static void *run_worker(void *w_) {
    worker *w = w_;
    w->run(w);
    return NULL;
}

static uint64_t mixed(uint64_t sum, const void *data, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) sum = (sum ^ ((const unsigned char *)data)[i]) * 0x100000001B3u;
    return sum;
}

static void take(worker *w, int part, ag_tensor *x) {
    const void *data = ag_data(x);
    if (data) w->digest[part] = mixed(w->digest[part], data, (size_t)ag_size(x) * ag_dtype_size(ag_dtype_of(x)));
}

static void take_text(worker *w, int part, const char *text) {
    w->digest[part] = mixed(w->digest[part], text, strlen(text));
}

/* Check's own functions are not for threads: what fails is noted for the thread that has made them. */
static void note(worker *w, const ag_tape *t) {
    if (ag_tape_status(t) == AG_OK || w->failed) return;
    w->failed = true;
    snprintf(w->error, sizeof w->error, "%s", ag_tape_error(t));
}

/* Runs by as many threads and by one alone, whose digests of so many parts are compared; name says which part it is. */
static void compare(void (*run)(worker *w), int programs, int parts, const char *(*name)(int part)) {
    pthread_t thread[THREADS];
    worker w[THREADS + 1];
    atomic_store(&arrived, 0);
    for (int i = 0; i <= THREADS; i++) {
        char path[30], series[30];
        snprintf(path, sizeof path, "own%d.safetensors", i);
        snprintf(series, sizeof series, "run%d.000001.safetensors", i);
        in_folder(series);
        snprintf(series, sizeof series, "run%d", i);
        w[i] = (worker){
            run, i,   programs, i == THREADS, false, in_folder(path), in_folder(series), in_folder("all.safetensors"),
            "",  NULL};
        w[i].digest = calloc((size_t)parts, sizeof *w[i].digest);
        ck_assert_ptr_nonnull(w[i].digest);
    }
    for (int i = 0; i < THREADS; i++) ck_assert_int_eq(pthread_create(&thread[i], NULL, run_worker, &w[i]), 0);
    for (int i = 0; i < THREADS; i++) ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    run(&w[THREADS]);
    for (int i = 0; i <= THREADS; i++) {
        ck_assert_msg(!w[i].failed, "%s", w[i].error);
        for (int k = 0; k < parts; k++)
            ck_assert_msg(w[i].digest[k] == w[THREADS].digest[k], "%s: not the bits of a thread that is alone",
                          name(k));
    }
    for (int i = 0; i <= THREADS; i++) free(w[i].digest);
}

/* ---- Whole programs ---- */

static void solve(worker *w, int part, ag_tape *t) {
    ag_tensor *x = scattered(t, AG_F64, AG_SHAPE(12, 12), 5), *a = ag_matmul(x, ag_transpose(x, 0, 1));
    a = ag_add(a, ag_scale(ag_eye(t, AG_F64, 12, 12, 0), 3));
    take(w, part, ag_matmul(a, x));
    if (ag__has_lapack()) take(w, part, ag_inverse(a));
    if (ag__has_fftw()) take(w, part, ag_rfft(x, 1));
    take(w, part, ag_lgamma(ag_abs(x)));
    ag_tensor *large = ag_uniform(t, AG_F64, AG_SHAPE(230, 230), 0, 1); /* whose parts are packed */
    take(w, part, ag_matmul(large, large));
}

static void train(worker *w, int part, ag_tape *t) {
    ag_sequence m;
    ag_adam adam = {.rate = 0.01};
    ag_slot slots[LAYERS];
    ag_sequence_init(&m, t, AG_F32, "net");
    ag_sequence_linear(&m, 40, 120, NULL);
    ag_sequence_batchnorm(&m, 120, NULL);
    ag_sequence_function(&m, "tanh", ag_tanh);
    ag_sequence_dropout(&m, 0.2);
    ag_sequence_linear(&m, 120, 10, NULL);
    ag_list p = ag_parameters(t, NULL);
    ag_adam_init(&adam, p.n, p.x, slots);
    ag_profile_start(t);
    const ag_mark mark = ag_tape_mark(t);
    for (int i = 0; i < 4; i++) {
        ag_tensor *x = ag_uniform(t, AG_F32, AG_SHAPE(256, 40), 0, 1), *dp[LAYERS];
        ag_tensor *loss = ag_cross_entropy(ag_sequence_apply(&m, x), ag_randint(t, AG_SHAPE(256), 0, 10));
        ag_grad(loss, p.n, p.x, dp);
        ag_adam_step(&adam, dp);
        take(w, part, loss);
        ag_tape_rewind(t, mark);
    }
    ag_profile_stop(t);
    if (!*ag_profile_table(t, 0)) w->failed = true;
    ag_profile_write(t, w->path);
    ag_save(w->path, p.n, p.x, NULL);
    ag_load(w->path, p.n, p.x, NULL, NULL);
    ag_checkpoint_save(t, w->series, 0, NULL, 1);
    ag_checkpoint_load(t, w->series, 0, NULL, NULL, NULL);
    for (int i = 0; i < p.n; i++) take(w, part, p.x[i]);
}

static ag_tensor *checked(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    return ag_sum(ag_tanh(ag_matmul(x[0], x[1])));
}

static void report(worker *w, int part, ag_tape *t) {
    ag_tensor *x = scattered(t, AG_F64, AG_SHAPE(8, 6), 7);
    ag_tensor *v = ag_label(ag_parameter_from(scattered(t, AG_F64, AG_SHAPE(6, 3), 33)), "w");
    ag_tensor *both[] = {x, v}, *loss = checked(NULL, 2, both);
    take_text(w, part, ag_explain(loss, v, &(ag_explain_options){.depth = 2}));
    take_text(w, part, ag_trace_backward(loss, 0, NULL, &(ag_explain_options){.json = true}));
    take_text(w, part, ag_formula(loss, NULL));
    take(w, part, ag_hessian(loss, v));
    ag_gradcheck(checked, NULL, 2, both, &(ag_gradcheck_options){.order = 2}, NULL);
    ag_write_dot(w->path, 1, &loss, &(ag_dot_options){.values = true, .gradients = true});
    ag_csv_write(w->path, x, NULL);
    take(w, part, ag_csv_read(t, w->path, AG_F64, NULL));
    ag_label(x, "x"), ag_save(w->common, 1, &x, NULL); /* of all, who write the same */
    take(w, part, ag_read(t, w->common, "x", NULL));
    ag_dataset all;
    ag_loader loader;
    ag_tensor *batch[1];
    ag_dataset_tensors(&all, 1, &x);
    ag_loader_open(&loader, t, &all, 3, NULL);
    while (ag_loader_next(&loader, batch)) take(w, part, batch[0]);
    ag_loader_close(&loader);
}

static void (*const programs[PARTS])(worker *w, int part, ag_tape *t) = {solve, train, report};
static const char *program_name(int part) { return ((const char *[]){"solve", "train", "report"})[part]; }

/* All in the same order or, with a step, each thread in another. */
static void run_programs(worker *w) {
    for (int i = 0; i < PARTS; i++) {
        const int part = (i + w->number * w->programs) % PARTS;
        meet(w, i + 1);
        ag_tape *t = ag_tape_new();
        programs[part](w, part, t);
        note(w, t);
        ag_tape_free(t);
    }
}

START_TEST(programs_at_once) { compare(run_programs, _i % 2, PARTS, program_name); }
END_TEST

/* ---- The table of cases ---- */

static const char *name_of_case(int part) { return case_at(part).name; }

static void run_case(worker *w, int part, const op_case *c, ag_dtype dtype) {
    ag_tape *t = ag_tape_new();
    ag_tensor *x[CASE_INPUTS], *real[CASE_INPUTS], *dx[CASE_INPUTS];
    int n = 0;
    case_inputs(c, dtype, t, x);
    ag_tensor *y = case_call(c, t, dtype, x);
    take(w, part, y);
    for (int i = 0; i < c->n; i++)
        if (case_dtype(c, dtype, i) == ag_dtype_of(y)) real[n++] = x[i];
    if (c->flags & GRAD && n > 0 && ag_grad(ag_sum(y), n, real, dx) == AG_OK)
        for (int i = 0; i < n; i++) take(w, part, dx[i]);
    ag_tape_free(t);
}

static int stride_of_cases(void) { return (int)by_length(9, 1, 1); }

/* On a busy machine each meeting waits until all threads have had their turn: after some cases only. */
static void run_cases(worker *w) {
    enum { APART = 20 };
    for (int i = 0, done = 0; i < case_count(); i += stride_of_cases(), done++) {
        const op_case c = case_at(i);
        if (done % APART == 0) meet(w, done / APART + 1);
        for (ag_dtype dtype = AG_BOOL; dtype < AG_DTYPES; dtype++)
            if (case_accepts(&c, dtype)) run_case(w, i, &c, dtype);
    }
}

START_TEST(cases_at_once) { compare(run_cases, 0, case_count(), name_of_case); }
END_TEST

/* ---- From one thread to another ---- */

static void *go_on(void *t) {
    ag_tensor *x = ag_parameter_from(scattered(t, AG_F64, AG_SHAPE(300, 200), 3)), *dx;
    ag_grad(ag_sum(ag_square(x)), 1, &x, &dx);
    const bool good = ag_item(ag_sum(dx)) == 2 * ag_item(ag_sum(x)) && ag_tape_status(t) == AG_OK;
    return good ? t : NULL;
}

static void *finish(void *t) { return ag_tape_free(t), NULL; }

static void *in_thread(void *(*run)(void *), void *argument) {
    pthread_t thread;
    void *result;
    ck_assert_int_eq(pthread_create(&thread, NULL, run, argument), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    return result;
}

/* One file for all: each that reads it finds the whole of what one of them has written. */
static void save_often(worker *w) {
    meet(w, 1);
    for (int i = 0; i < (int)by_length(1000, 3000, 20000) && !w->failed; i++) {
        ag_tape *t = ag_tape_new();
        ag_tensor *x = ag_label(scattered(t, AG_F64, AG_SHAPE(8, 6), 7), "x");
        ag_save(w->common, 1, &x, NULL);
        ag_tensor *read = ag_read(t, w->common, "x", NULL);
        if (i == 0) take(w, 0, read);
        note(w, t);
        ag_tape_free(t);
    }
}

static const char *the_file(int part) { return (void)part, "one file"; }

START_TEST(one_file_is_saved_by_all) { compare(save_often, 0, 1, the_file); }
END_TEST

/* One uses it after the other; the thread that has made it may be gone. */
START_TEST(a_tape_may_go_to_another_thread) {
    ag_tape *t = ag_tape_new();
    ag_tape_set_threads(t, 2);
    for (int i = 0; i < 3; i++) {
        ck_assert_ptr_nonnull(go_on(t));
        ck_assert_ptr_nonnull(in_thread(go_on, t));
    }
    in_thread(finish, t);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tapes");
    TCase *group = plain_group(suite, "tapes");
    tcase_add_checked_fixture(group, make_folder, remove_folder);
    tcase_add_loop_test(group, programs_at_once, 0, 4);
    tcase_add_test(group, cases_at_once);
    tcase_add_test(group, one_file_is_saved_by_all);
    tcase_add_test(group, a_tape_may_go_to_another_thread);
    return run_suite(suite);
}
