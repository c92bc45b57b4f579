/* test_stack -- a thread with a stack of 64 kB does everything
 *
 * Each case of the table and some larger programs run in threads whose stack was filled with a pattern, so that it can be
 * seen afterwards how much was used: with large stacks, of which no more may be used than 64 kB have, and then once in
 * threads of that size. Results on one thread and two are computed on the caller's stack too. */
#define _GNU_SOURCE
#include "autograd/tape/thread.h"
#include "io/io.h"
#include "nn/nn.h"
#include "tests/cases.h"
#include "tests/files.h"
#include "tests/support.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* LARGE is still short, so that loops are those of a small stack. What is left of SMALL for the C library's own data of a thread, the test's frames, and a signal's. */
enum { SMALL = 64 * 1024, LARGE = 192 * 1024, SPARE = 8 * 1024, PATTERN = 0x5A };

/* ---- Threads whose stack is looked at ---- */

typedef struct job {
    void (*run)(const struct job *j);
    int number;
    ag_dtype dtype;
    const char *path;
} job;

static void *run_job(void *j_) {
    const job *j = j_;
    j->run(j);
    return NULL;
}

/* Bytes used of a stack of so many, which grows downwards. */
static size_t stack_used(const job *j, size_t bytes) {
    pthread_t thread;
    pthread_attr_t attributes;
    char *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(stack != MAP_FAILED);
    memset(stack, PATTERN, bytes);
    ck_assert_int_eq(pthread_attr_init(&attributes), 0);
    ck_assert_int_eq(pthread_attr_setstack(&attributes, stack, bytes), 0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, run_job, (void *)(uintptr_t)j), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
    size_t below = 0;
    while (below < bytes && stack[below] == PATTERN) below++;
    munmap(stack, bytes);
    return bytes - below;
}

static void do_nothing(const job *j) { (void)j; }

/* For a thread that does nothing. */
static size_t idle_bytes(void) { return stack_used(&(job){.run = do_nothing}, LARGE); }

static void expect_little(const char *name, const job *j, size_t idle) {
    const size_t used = stack_used(j, LARGE) - idle;
    ck_assert_msg(used <= SMALL - SPARE, "%s uses %zu bytes of a stack", name, used);
}

static void *whether_short(void *found) {
    *(bool *)found = ag__stack_is_short();
    return NULL;
}

START_TEST(a_short_stack_is_noticed) {
    static const size_t bytes[] = {128 * 1024, 4 * LARGE};
    ck_assert(!ag__stack_is_short());
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        pthread_attr_t attributes;
        bool found = i;
        ck_assert_int_eq(pthread_attr_init(&attributes), 0);
        ck_assert_int_eq(pthread_attr_setstacksize(&attributes, bytes[i]), 0);
        ck_assert_int_eq(pthread_create(&thread, &attributes, whether_short, &found), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        pthread_attr_destroy(&attributes);
        ck_assert_int_eq(found, i == 0);
    }
}
END_TEST

static volatile sig_atomic_t found;

static void note_whether_short(int signal) {
    (void)signal;
    found = ag__stack_is_short();
}

/* As asked on a stack of a program's own, which it switches to, at that address if nothing else is there. */
static bool short_on_another(void *address) {
    stack_t other = {.ss_size = SMALL}, former;
    struct sigaction action = {.sa_handler = note_whether_short, .sa_flags = SA_ONSTACK}, was;
    other.ss_sp = mmap(address, SMALL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    found = other.ss_sp == MAP_FAILED || sigaltstack(&other, &former) != 0 || sigaction(SIGUSR1, &action, &was) != 0;
    if (found) return false;
    raise(SIGUSR1);
    sigaction(SIGUSR1, &was, NULL);
    sigaltstack(&former, NULL);
    munmap(other.ss_sp, SMALL);
    return found;
}

typedef struct look {
    bool there_first;
    size_t below; /* the other stack is so far below this one; 0: anywhere */
    bool good;
} look;

/* The thread's own stack has enough. */
static void *look_at_both(void *l_) {
    look *l = l_;
    char *here = (char *)((uintptr_t)__builtin_frame_address(0) / SMALL * SMALL);
    l->good = l->there_first || !ag__stack_is_short();
    l->good = short_on_another(l->below ? here - l->below : NULL) && l->good;
    l->good = !ag__stack_is_short() && l->good;
    return NULL;
}

/* Nothing is known of it: also where the first thread's stack has no limit, and others are mapped below what it uses. */
START_TEST(another_stack_counts_as_short) {
    struct rlimit was, none;
    ck_assert_int_eq(getrlimit(RLIMIT_STACK, &was), 0);
    none = (struct rlimit){was.rlim_max, was.rlim_max};
    for (int i = 0; i < 6; i++) {
        look l = {.there_first = i % 2 == 0, .below = i < 2 ? 0 : (size_t)32 * 1024 * 1024};
        if (i < 4) {
            ck_assert_int_eq(setrlimit(RLIMIT_STACK, &none), 0);
            look_at_both(&l);
            ck_assert_int_eq(setrlimit(RLIMIT_STACK, &was), 0);
        } else {
            pthread_t thread;
            pthread_attr_t attributes;
            ck_assert_int_eq(pthread_attr_init(&attributes), 0);
            ck_assert_int_eq(pthread_attr_setstacksize(&attributes, 4 * LARGE),
                             0); /* musl's have half of what is ample */
            ck_assert_int_eq(pthread_create(&thread, &attributes, look_at_both, &l), 0);
            ck_assert_int_eq(pthread_join(thread, NULL), 0);
            pthread_attr_destroy(&attributes);
        }
        ck_assert_msg(l.good, "look %d", i);
    }
}
END_TEST

/* ---- The table of cases ---- */

static ag_tape *tape_of(int threads) {
    ag_tape *t = ag_tape_new();
    ck_assert_ptr_nonnull(t);
    ag_tape_set_threads(t, threads);
    return t;
}

static void run_case(const job *j) {
    const op_case c = case_at(j->number);
    ag_tape *t = tape_of(1);
    ag_tensor *x[CASE_INPUTS], *real[CASE_INPUTS], *dx[CASE_INPUTS];
    int n = 0;
    case_inputs(&c, j->dtype, t, x);
    ag_tensor *y = case_call(&c, t, j->dtype, x);
    ag_eval(y);
    for (int i = 0; i < c.n; i++)
        if (case_dtype(&c, j->dtype, i) == ag_dtype_of(y)) real[n++] = x[i];
    if (c.flags & GRAD && n > 0 && ag_grad(ag_sum(y), n, real, dx) == AG_OK) ag_eval_all(n, dx);
    ag_tape_free(t);
}

START_TEST(cases_take_little_stack) {
    const size_t idle = idle_bytes();
    for (int i = 0; i < case_count(); i += (int)by_length(11, 3, 1)) {
        const op_case c = case_at(i);
        for (ag_dtype dtype = AG_BOOL; dtype < AG_DTYPES; dtype++)
            if (case_accepts(&c, dtype)) expect_little(case_title(&c, dtype), &(job){run_case, i, dtype, NULL}, idle);
    }
}
END_TEST

/* ---- Programs ---- */

static uint64_t digest; /* of all results of a program */

static ag_tensor *take(ag_tensor *x) {
    const unsigned char *data = ag_data(x);
    ck_assert_msg(data != NULL, "%s", ag_tape_error(ag_tape_of(x)));
    for (size_t i = 0; i < (size_t)ag_size(x) * ag_dtype_size(ag_dtype_of(x)); i++)
        digest = (digest ^ data[i]) * 0x100000001B3u;
    return x;
}

/* A matrix in one of four layouts: rows or columns contiguous, or neither. */
static ag_tensor *matrix(ag_tape *t, ag_dtype dtype, int64_t rows, int64_t columns, int layout) {
    const int64_t apart = layout & 2 ? 2 : 1;
    ag_tensor *x = layout & 1 ? ag_transpose(ag_uniform(t, dtype, AG_SHAPE(columns, rows * apart), 0, 1), 0, 1)
                              : ag_uniform(t, dtype, AG_SHAPE(rows, columns * apart), 0, 1);
    return ag_slice(x, layout & 1 ? 0 : 1, 0, INT64_MAX, apart);
}

/* Products of every way: tiles, packing, dots, lines, turned. */
static void run_products(const job *j) {
    static const int64_t sides[] = {1, 3, 40, 160, 2100};
    enum { SIDES = sizeof sides / sizeof *sides };
    ag_tape *t = tape_of(j->number);
    const ag_mark mark = ag_tape_mark(t);
    for (int i = 0; i < SIDES * SIDES * SIDES; i++) {
        const int64_t m = sides[i % SIDES], n = sides[i / SIDES % SIDES], k = sides[i / SIDES / SIDES];
        if (m * n * k > by_length(50000, 300000, 20000000)) continue;
        for (int layout = 0; layout < 16; layout += (int)by_length(5, 3, 1))
            take(ag_matmul(matrix(t, j->dtype, m, k, layout % 4), matrix(t, j->dtype, k, n, layout / 4)));
        ag_tape_rewind(t, mark);
    }
    ag_tape_free(t);
}

static void run_strided(const job *j) {
    ag_tape *t = tape_of(j->number);
    ag_tensor *x[3];
    for (int i = 0; i < 3; i++) x[i] = matrix(t, j->dtype, 130, 1100, i + 1);
    take(ag_where(ag_less(x[0], x[1]), x[1], x[2]));
    take(ag_sum_over(ag_mul(x[0], x[2]), AG_AXES(0), false));
    take(ag_sort(x[0], 1, false));
    take(ag_cumsum(x[1], 0));
    take(ag_cumprod(x[2], 1));
    take(ag_argmax(x[0], 0, false));
    take(ag_argmax(x[1], 1, false));
    take(ag_concat(3, x, 1));
    take(ag_quantile_over(x[1], AG_AXES(1), 0.3, false));
    take(ag_softmax(x[2], 0));
    take(ag_lgamma(ag_contiguous(x[1])));
    ag_tape_free(t);
}

static ag_tensor *checked(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    return ag_sum(ag_tanh(ag_matmul(x[0], x[1])));
}

static void run_training(const job *j) {
    enum { LAYERS = 20 };
    ag_tape *t = tape_of(j->number);
    ag_sequence m;
    ag_adam adam = {.rate = 0.01};
    ag_slot slots[LAYERS];
    ag_sequence_init(&m, t, j->dtype, "net");
    ag_sequence_linear(&m, 100, 300, NULL);
    ag_sequence_batchnorm(&m, 300, NULL);
    ag_sequence_function(&m, "tanh", ag_tanh);
    ag_sequence_linear(&m, 300, 10, NULL);
    ag_list p = ag_parameters(t, NULL);
    ag_adam_init(&adam, p.n, p.x, slots);
    const ag_mark mark = ag_tape_mark(t);
    for (int i = 0; i < 3; i++) {
        ag_tensor *x = ag_uniform(t, j->dtype, AG_SHAPE(128, 100), 0, 1), *dp[LAYERS];
        ag_tensor *loss = ag_cross_entropy(ag_sequence_apply(&m, x), ag_randint(t, AG_SHAPE(128), 0, 10));
        ag_grad(loss, p.n, p.x, dp);
        ag_adam_step(&adam, dp);
        ck_assert(ag_item(loss) > 0);
        ag_tape_rewind(t, mark);
    }
    ag_save(j->path, p.n, p.x, NULL);
    ag_load(j->path, p.n, p.x, NULL, &(ag_load_report){0});
    ck_assert_msg(ag_tape_status(t) == AG_OK, "%s", ag_tape_error(t));
    ag_tape_free(t);
}

static void run_reports(const job *j) {
    ag_tape *t = tape_of(j->number);
    ag_tensor *x = scattered(t, AG_F64, AG_SHAPE(12, 6), 7);
    ag_tensor *w = ag_label(ag_parameter_from(scattered(t, AG_F64, AG_SHAPE(6, 3), 33)), "w");
    ag_tensor *loss = checked(NULL, 2, (ag_tensor *[]){x, w});
    ck_assert(*ag_explain(loss, w, &(ag_explain_options){.depth = 2}));
    ck_assert(*ag_trace_backward(loss, 0, NULL, &(ag_explain_options){.json = true}));
    ck_assert(*ag_formula(loss, NULL));
    take(ag_hessian(loss, w));
    ck_assert_int_eq(ag_gradcheck(checked, NULL, 2, (ag_tensor *[]){x, w}, &(ag_gradcheck_options){.order = 2}, NULL),
                     AG_OK);
    ck_assert_int_eq(ag_write_dot(j->path, 1, &loss, &(ag_dot_options){.values = true, .gradients = true}), AG_OK);
    ag_tape_free(t);
}

static void run_files(const job *j) {
    ag_tape *t = tape_of(j->number);
    ag_tensor *x = matrix(t, AG_F64, 70, 61, 3);
    ck_assert_int_eq(ag_csv_write(j->path, x, NULL), AG_OK);
    take(ag_csv_read(t, j->path, AG_F64, NULL));
    ck_assert_int_eq(ag_raw_write(j->path, x), AG_OK);
    take(ag_raw_read(t, j->path, AG_SHAPE(70, 61), &(ag_raw_options){.dtype = "f64"}));
    ck_assert_int_eq(ag_save(j->path, 1, &x, &(ag_save_options){.format = AG_FORMAT_NPY}), AG_OK);
    take(ag_read(t, j->path, NULL, NULL));
    ag_tape_free(t);
}

static void run_data(const job *j) {
    ag_tape *t = tape_of(j->number);
    ag_dataset all;
    ag_loader loader;
    ag_tensor *batch[1], *x = matrix(t, AG_F64, 70, 61, 3);
    ag_dataset_tensors(&all, 1, &x);
    ck_assert_int_eq(ag_loader_open(&loader, t, &all, 16, NULL), AG_OK);
    while (ag_loader_next(&loader, batch)) take(batch[0]);
    ag_loader_close(&loader);
    take(ag_draw_gamma(ag_full(t, AG_F64, AG_SHAPE(3000), 2), ag_full(t, AG_F64, AG_SHAPE(3000), 2)));
    take(ag_permutation(t, 9000));
    ag_tape_free(t);
}

static const struct {
    const char *name;
    void (*run)(const job *j);
} programs[] = {{"products", run_products}, {"strided", run_strided}, {"training", run_training},
                {"reports", run_reports},   {"files", run_files},     {"data", run_data}};
enum { PROGRAMS = sizeof programs / sizeof *programs };

START_TEST(programs_take_little_stack) {
    const size_t idle = idle_bytes();
    const char *path = in_folder("a.safetensors");
    for (int threads = 1; threads < 3; threads++)
        for (ag_dtype dtype = by_length(1, 1, 0) ? AG_F64 : AG_F32; dtype <= AG_F64; dtype++)
            expect_little(programs[_i].name, &(job){programs[_i].run, threads, dtype, path}, idle);
}
END_TEST

/* And give the same bits as with a large one. */
START_TEST(programs_run_with_a_small_stack) {
    const job j = {programs[_i].run, 1, AG_F64, in_folder("a.safetensors")};
    digest = 0;
    stack_used(&j, SMALL);
    const uint64_t small = digest;
    digest = 0;
    j.run(&j);
    ck_assert_uint_eq(small, digest);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("stack");
    TCase *few = plain_group(suite, "short");
    tcase_add_test(few, another_stack_counts_as_short); /* first, for nothing has asked yet */
    tcase_add_test(few, a_short_stack_is_noticed);
    TCase *all = plain_group(suite, "stack");
    if (!under_asan() &&
        !under_valgrind()) { /* of which the first needs larger frames, and the second forbids to look */
        tcase_add_checked_fixture(all, make_folder, remove_folder);
        tcase_add_test(all, cases_take_little_stack);
        tcase_add_loop_test(all, programs_take_little_stack, 0, PROGRAMS);
        tcase_add_loop_test(all, programs_run_with_a_small_stack, 0, PROGRAMS);
    }
    return run_suite(suite);
}
