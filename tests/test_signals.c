/* test_signals -- signals that come all the time, and processes that fork, change no result
 *
 * A timer interrupts the program a thousand times a second and more, with handlers that restart calls and with those that
 * do not, while it trains, reads and writes; a writer to a pipe, whose calls can be interrupted, is interrupted again and
 * again. Then children of fork go on with everything that their parent had: its tape, threads, plans, loader and log. */
#define _GNU_SOURCE
#include "io/io.h"
#include "nn/nn.h"
#include "tests/files.h"
#include "tests/support.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* ---- Signals ---- */

static atomic_int signals;

/* ThreadSanitizer reports each time that a handler changes errno, and holds signals back while a C function waits. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
enum { UNDER_TSAN = __has_feature(thread_sanitizer) };

/* As a handler may, it changes errno and uses vector registers. */
static void handle(int number) {
    static volatile double sum = 1;
    (void)number;
    for (int i = 0; i < 8; i++) sum = sqrt(sum + i);
    signals++;
    if (!UNDER_TSAN) errno = ENOTTY;
}

/* A call that was interrupted says so by errno, which handlers have to keep. */
static void handle_and_keep(int number) {
    const int before = errno;
    handle(number);
    errno = before;
}

static void begin_signals(bool restart) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = restart ? SA_RESTART : 0};
    const struct itimerval often = {{0, under_valgrind() ? 20000 : 500}, {0, 500}};
    ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
    ck_assert_int_eq(sigaction(SIGPROF, &action, NULL), 0);
    signals = 0;
    ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
    ck_assert_int_eq(setitimer(ITIMER_PROF, &often, NULL), 0);
}

static void end_signals(void) {
    const struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &never, NULL);
    setitimer(ITIMER_PROF, &never, NULL);
    be_patient(); /* its alarm was the same timer */
}

/* ---- A program ---- */

enum { PARAMETERS = 4, SAMPLES = 256, FEATURES = 40, CLASSES = 5 };

typedef struct program {
    ag_tape *t;
    ag_sequence model;
    ag_adam adam;
    ag_slot slots[PARAMETERS];
    ag_dataset data;
    ag_loader loader;
    ag_mark mark;
} program;

static void open_program(program *p, int threads, int workers) {
    memset(p, 0, sizeof *p);
    ag_tape *t = p->t = ag_tape_new();
    ag_tape_set_threads(t, threads);
    ag_tape_seed(t, 4);
    ag_sequence_init(&p->model, t, AG_F32, "net");
    ag_sequence_linear(&p->model, FEATURES, 64, NULL);
    ag_sequence_function(&p->model, "tanh", ag_tanh);
    ag_sequence_linear(&p->model, 64, CLASSES, NULL);
    ag_list all = ag_parameters(t, NULL);
    p->adam = (ag_adam){.rate = 0.01};
    ag_adam_init(&p->adam, all.n, all.x, p->slots);
    ag_tensor *part[2] = {ag_uniform(t, AG_F32, AG_SHAPE(SAMPLES, FEATURES), -1, 1),
                          ag_randint(t, AG_SHAPE(SAMPLES), 0, CLASSES)};
    ag_dataset_tensors(&p->data, 2, part);
    ag_loader_open(&p->loader, t, &p->data, 64, &(ag_loader_options){.workers = workers});
    p->mark = ag_tape_mark(t);
}

static void close_program(program *p) {
    ag_loader_close(&p->loader);
    ag_tape_free(p->t);
}

/* An epoch; the sum of its losses, NaN after an error. */
static double train(program *p) {
    double sum = 0;
    for (ag_tensor *batch[2], *dp[PARAMETERS]; ag_loader_next(&p->loader, batch); ag_tape_rewind(p->t, p->mark)) {
        ag_list all = ag_parameters(p->t, NULL);
        ag_tensor *loss = ag_cross_entropy(ag_sequence_apply(&p->model, batch[0]), batch[1]);
        ag_grad(loss, all.n, all.x, dp);
        ag_adam_step(&p->adam, dp);
        sum += ag_item(loss);
    }
    return ag_tape_status(p->t) == AG_OK ? sum : NAN;
}

/* Save, read and load in a file of this name; whether all of it went well. */
static bool use_files(program *p, const char *path) {
    ag_list all = ag_parameters(p->t, NULL);
    const bool good = ag_save(path, all.n, all.x, NULL) == AG_OK && ag_load(path, all.n, all.x, NULL, NULL) == AG_OK;
    ag_tape_rewind(p->t, p->mark);
    return good;
}

static double epochs[3]; /* undisturbed */

static void learn_epochs(void) {
    program p;
    open_program(&p, 1, -1);
    for (int i = 0; i < 3; i++) epochs[i] = train(&p);
    ck_assert(epochs[0] > epochs[2] && epochs[2] > 0);
    close_program(&p);
}

START_TEST(signals_change_no_result) {
    learn_epochs();
    begin_signals(_i % 2);
    for (int run = 0; run < by_length(2, 40, 500) || (signals < 20 && run < 1000); run++) {
        program p;
        open_program(&p, 1 + run % 3, run % 2 ? 2 : -1);
        for (int i = 0; i < 3; i++) {
            ck_assert(train(&p) == epochs[i]);
            ck_assert_msg(use_files(&p, in_folder("a.safetensors")), "%s", ag_tape_error(p.t));
        }
        close_program(&p);
    }
    end_signals();
    ck_assert_int_gt(signals, 0);
}
END_TEST

/* ---- A pipe ---- */

enum { NUMBERS = 300000 };

typedef struct pipe_end {
    int descriptor; /* which waits for nothing: a writer that fails leaves no reader behind that waits for it */
    pthread_t writer;
    atomic_bool written;
    unsigned char *bytes;
    size_t n;
} pipe_end;

static void *drain(void *p_) {
    pipe_end *p = p_;
    for (bool last = false; !last;) {
        struct pollfd end = {.fd = p->descriptor, .events = POLLIN};
        last = p->written;
        poll(&end, 1, 1);
        for (ssize_t n; (n = read(p->descriptor, p->bytes + p->n, 3000)) > 0;) {
            p->n += (size_t)n;
            pthread_kill(p->writer, SIGUSR1); /* it waits for room in the pipe */
        }
    }
    return NULL;
}

/* Without SA_RESTART, a call that waits for the reader ends with EINTR, or with a part written. */
START_TEST(a_writer_to_a_pipe_is_interrupted) {
    struct sigaction action = {.sa_handler = handle_and_keep};
    const char *path = in_folder("pipe");
    pipe_end p = {.writer = pthread_self(), .bytes = malloc(NUMBERS * sizeof(double) + 3000)};
    pthread_t thread;
    ag_tape *t = ag_tape_new();
    ag_tensor *x = ag_arange(t, AG_F64, NUMBERS);
    ck_assert(p.bytes && ag_eval(x) == AG_OK);
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_ge(p.descriptor = open(path, O_RDONLY | O_NONBLOCK), 0);
    signals = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, drain, &p), 0);
    ag_raw_write(path, x);
    p.written = true;
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    expect_ok(t);
    ck_assert_uint_eq(p.n, NUMBERS * sizeof(double));
    if (memory_is_in_file_order()) ck_assert_int_eq(memcmp(p.bytes, ag_data(x), p.n), 0);
    ck_assert(signals > 0 || UNDER_TSAN);
    close(p.descriptor);
    free(p.bytes);
    ag_tape_free(t);
}
END_TEST

/* ---- Fork ---- */

/* Parent and child go on with the same tape, each in its own memory. */
START_TEST(a_child_goes_on_with_all_of_its_parent) {
    const int threads = 1 + _i % 3, workers = _i / 3 ? 2 : -1;
    program p;
    char path[128], other[128];
    strcpy(path, in_folder("parent.safetensors"));
    strcpy(other, in_folder("child.safetensors"));
    learn_epochs();
    open_program(&p, threads, workers);
    ck_assert(train(&p) == epochs[0]);
    ag_tensor *batch[2];
    if (workers > 0) ck_assert(ag_loader_next(&p.loader, batch)); /* its threads are at work */
    p.loader.batch = 0;
    ag_tape_rewind(p.t, p.mark);
    pid_t child = begin_child();
    if (child == 0) {
        bool good = train(&p) == epochs[1] && use_files(&p, other) && train(&p) == epochs[2];
        close_program(&p);
        program own;
        open_program(&own, threads, workers);
        good = good && train(&own) == epochs[0];
        close_program(&own);
        _exit(!good);
    }
    ck_assert(train(&p) == epochs[1]);
    ck_assert(use_files(&p, path));
    ck_assert(train(&p) == epochs[2]);
    close_program(&p);
    end_child(child);
}
END_TEST

/* While other threads record, evaluate, load and save. */
static atomic_bool stop;

static void *work_until_stopped(void *path) {
    bool good = true;
    while (!stop && good) {
        program p;
        open_program(&p, 2, 2);
        good = train(&p) == epochs[0] && use_files(&p, path) && train(&p) == epochs[1];
        close_program(&p);
    }
    return good ? path : NULL;
}

START_TEST(children_of_a_busy_process_work) {
    pthread_t thread[2];
    char path[3][128];
    for (int i = 0; i < 3; i++) strcpy(path[i], in_folder(i == 0 ? "a.npz" : i == 1 ? "b.npz" : "c.npz"));
    learn_epochs();
    stop = false;
    for (int i = 0; i < 2; i++) ck_assert_int_eq(pthread_create(&thread[i], NULL, work_until_stopped, path[i]), 0);
    for (int i = 0; i < by_length(3, 20, 200); i++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000 + i * 377000}, NULL);
        pid_t child = begin_child();
        if (child == 0) {
            program p;
            open_program(&p, 2, 2);
            const bool good = train(&p) == epochs[0] && use_files(&p, path[2]);
            close_program(&p);
            _exit(!good);
        }
        end_child(child);
    }
    stop = true;
    for (int i = 0; i < 2; i++) {
        void *good;
        pthread_join(thread[i], &good);
        ck_assert_ptr_nonnull(good);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("signals");
    TCase *interrupted = plain_group(suite, "signals");
    tcase_add_checked_fixture(interrupted, make_folder, remove_folder);
    tcase_add_loop_test(interrupted, signals_change_no_result, 0, 2);
    tcase_add_test(interrupted, a_writer_to_a_pipe_is_interrupted);
    TCase *forks = plain_group(suite, "fork");
    tcase_add_checked_fixture(forks, make_folder, remove_folder);
    /* A child may find AddressSanitizer's and valgrind's own locks locked, by threads that it does not have. */
    const bool only_this_thread = under_asan() || under_valgrind();
    tcase_add_loop_test(forks, a_child_goes_on_with_all_of_its_parent, 0, only_this_thread ? 1 : 6);
    if (!only_this_thread) tcase_add_test(forks, children_of_a_busy_process_work);
    return run_suite(suite);
}
