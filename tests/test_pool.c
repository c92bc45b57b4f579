/* test_pool -- threads where the system refuses them, in children of fork, with many callers at once
 *
 * Linked so that pthread_create is ours: it counts, refuses, and gives threads stacks that can be inspected. Tests
 * that need a pool without threads run in a child of fork; there a failed `require` ends the child. */
#define _GNU_SOURCE

#include "autograd/report/report.h"
#include "tests/support.h"

#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if AG_HAVE_MEMCHECK
#include <valgrind/valgrind.h>
#endif

#if AG_HAVE_THREADS

/* ---- Children ---- */

#define require(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

/* Memory of other threads leaks in a child. */
static void leave_leaks(void) {
#ifdef VALGRIND_CLO_CHANGE
    VALGRIND_CLO_CHANGE("--leak-check=no");
#endif
}

/* `body` in a child. */
static pid_t begin_body(void (*body)(void)) {
    const pid_t child = begin_child();
    if (child > 0) return child;
    leave_leaks();
    body();
    _exit(0);
}

static void in_child(void (*body)(void)) { end_child(begin_body(body)); }

static void pause_for(long microseconds) {
    nanosleep(&(struct timespec){.tv_sec = microseconds / 1000000, .tv_nsec = microseconds % 1000000 * 1000}, NULL);
}

/* ---- Our pthread_create ---- */

static struct {
    atomic_int asked, given;
    int refuse_after; /* this many are created */
    bool own_stacks;
    char *stack[64];
    size_t bytes[64];
} threads = {.refuse_after = 1 << 30};

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
    threads.asked++;
    if (threads.given >= threads.refuse_after) return EAGAIN;
    int number = threads.given++;
    if (!threads.own_stacks || !attributes) return __real_pthread_create(thread, attributes, run, argument);
    size_t bytes;
    pthread_attr_t on_ours = *attributes;
    pthread_attr_getstacksize(attributes, &bytes);
    char *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(stack != MAP_FAILED && number < 64);
    memset(stack, 0x5a, bytes);
    threads.stack[number] = stack;
    threads.bytes[number] = bytes;
    require(pthread_attr_setstack(&on_ours, stack, bytes) == 0);
    return __real_pthread_create(thread, &on_ours, run, argument);
}

static pthread_t start(void *(*run)(void *), void *argument) {
    pthread_t thread;
    require(__real_pthread_create(&thread, NULL, run, argument) == 0);
    return thread;
}

/* ---- Shares ---- */

enum { MOST = 3000 };

typedef struct shares {
    atomic_int runs[MOST], running;
    int64_t slow; /* microseconds of each but the first */
} shares;

static void count_share(void *s_, int i, int n) {
    shares *s = s_;
    s->running++;
    if (i < n && i >= 0) s->runs[i]++;
    if (i > 0 && s->slow) pause_for((long)s->slow);
    s->running--;
}

/* Whether each share of a call ran once. */
static bool each_once(shares *s, int n) {
    for (int i = 0; i < MOST; i++) s->runs[i] = 0;
    ag__parallel(n, count_share, s);
    bool good = s->running == 0;
    for (int i = 0; i < MOST; i++) good = good && s->runs[i] == (i < n);
    return good;
}

static const int numbers_of_shares[] = {0, 1, 2, 3, 7, 64, 65, 1023, 1024, 1025, MOST};
enum { NUMBERS = sizeof numbers_of_shares / sizeof *numbers_of_shares };

static void run_all_numbers(void) {
    static shares s;
    for (int i = 0; i < NUMBERS; i++) {
        if (under_valgrind() && numbers_of_shares[i] > 64) break; /* which cannot run so many threads */
        require(each_once(&s, numbers_of_shares[i]));
    }
}

START_TEST(each_share_is_run_once) { in_child(run_all_numbers); }
END_TEST

/* ---- Rounding ---- */

/* Quotients that tell the directions apart. */
typedef struct quotients {
    double third, fifth, minus;
} quotients;

static quotients divide(void) {
    volatile double one = 1, three = 3, five = 5;
    return (quotients){one / three, one / five, -one / three};
}

typedef struct roundings {
    pthread_t caller;
    quotients wanted;
    atomic_int others, wrong;
} roundings;

/* Long enough that other threads take shares. */
static void look_at_rounding(void *r_, int i, int n) {
    roundings *r = r_;
    (void)i, (void)n;
    const quotients q = divide();
    if (q.third != r->wanted.third || q.fifth != r->wanted.fifth || q.minus != r->wanted.minus) r->wrong++;
    if (!pthread_equal(pthread_self(), r->caller)) r->others++;
    pause_for(200);
}

/* The pool's threads are there before the caller's rounding changes, and round as the caller of each job does. */
static void round_in_all_directions(void) {
    static const int directions[] = {FE_TONEAREST, FE_UPWARD, FE_TOWARDZERO, FE_DOWNWARD, FE_TONEAREST};
    roundings r = {.caller = pthread_self()};
    for (int k = 0; k < 5; k++) {
        require(fesetround(directions[k]) == 0);
        r.wanted = divide(), r.others = 0;
        for (int calls = 0; r.others == 0 && calls < 100000; calls++) ag__parallel(4, look_at_rounding, &r);
        require(r.others > 0 && r.wrong == 0);
    }
}

START_TEST(threads_round_as_their_caller_does) { in_child(round_in_all_directions); }
END_TEST

/* ---- A loaded machine ---- */

/* Shares of a tenth of a millisecond; those of other threads than the caller's are late, as if the thread had lost its
 * processor. */
typedef struct load {
    pthread_t caller;
    int64_t late; /* microseconds */
    atomic_int others;
} load;

static int64_t microseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void be_late(void *l_, int i, int n) {
    load *l = l_;
    const int64_t start = microseconds();
    (void)i, (void)n;
    if (!pthread_equal(pthread_self(), l->caller)) {
        l->others++;
        if (l->late) pause_for((long)l->late);
    }
    while (microseconds() < start + 100) {
    }
}

/* After a late share the caller works alone for eight times as long, and then shares again. */
static void call_on_a_loaded_machine(void) {
    enum { LATE = 4000, CALLS = 300, PAUSE = 7 * LATE };
    load l = {.caller = pthread_self(), .late = LATE};
    const int64_t begin = microseconds();
    for (int i = 0; i < CALLS; i++) ag__parallel(2, be_late, &l); /* 60 ms alone, and 1.2 s if each is late */
    require(l.others <= 2 + (microseconds() - begin) / PAUSE);
    const int before = l.others;
    for (int64_t start = microseconds(); l.others == before;) {
        require(microseconds() < start + 60000000);
        ag__parallel(2, be_late, &l);
    }
}

START_TEST(late_threads_are_not_waited_for_again_and_again) { in_child(call_on_a_loaded_machine); }
END_TEST

/* ---- A processor for all ---- */

#ifdef __linux__
static void use(const cpu_set_t *set) { require(sched_setaffinity(0, sizeof *set, set) == 0); }

/* The first processor that this process may use, and how many these are. */
static int first_of(const cpu_set_t *set) {
    int i = 0;
    while (!CPU_ISSET((size_t)i, set)) i++;
    return i;
}

/* As a program that may use all processors, of which there is but one. */
static void use_one(void) {
    cpu_set_t all, one;
    require(sched_getaffinity(0, sizeof all, &all) == 0);
    ag__count_processors();
    CPU_ZERO(&one);
    CPU_SET((size_t)first_of(&all), &one);
    use(&one);
}

/* Loops are shared seldom if the pool's threads can only run on the caller's processor. */
static void call_on_one_processor(void) {
    enum { CALLS = 1000 };
    load l = {.caller = pthread_self()};
    use_one();
    for (int i = 0; i < CALLS; i++) ag__parallel(2, be_late, &l);
    require(l.others < CALLS / 10);
}

/* The wait for a late one there counts as anywhere else. */
static void call_on_one_loaded_processor(void) {
    use_one();
    call_on_a_loaded_machine();
}

START_TEST(threads_on_the_callers_processor_are_not_waited_for_again_and_again) { in_child(call_on_one_processor); }
END_TEST

START_TEST(nor_are_late_ones_there) { in_child(call_on_one_loaded_processor); }
END_TEST

static void move_away(void) {
    cpu_set_t before, after, one;
    require(sched_getaffinity(0, sizeof before, &before) == 0);
    int moved = 0;
    for (int i = 0; CPU_COUNT(&before) > 1 && i < 10; i++) {
        const int here = ag__this_processor();
        require(ag__leave_processor(here) && CPU_ISSET((size_t)here, &before));
        moved += ag__this_processor() != here;
        require(sched_getaffinity(0, sizeof after, &after) == 0 && CPU_EQUAL(&before, &after));
    }
    require(moved > 0 || CPU_COUNT(&before) == 1);
    CPU_ZERO(&one);
    CPU_SET((size_t)first_of(&before), &one);
    use(&one);
    require(ag__this_processor() == first_of(&before));
    require(!ag__leave_processor(first_of(&before)) && !ag__leave_processor(-1)); /* nowhere else; unknown */
    require(sched_getaffinity(0, sizeof after, &after) == 0 && CPU_EQUAL(&one, &after));
}

START_TEST(a_thread_moves_to_another_processor) { in_child(move_away); }
END_TEST
#endif

/* ---- Programs ---- */

/* A number that depends on products, sums, elementwise operations, copies and random numbers. */
static double work_on(ag_tape *t) {
    const int64_t n = small_run() ? 100000 : 200000;
    ag_tape_seed(t, 5);
    ag_tensor *x = ag_uniform(t, AG_F64, AG_SHAPE(n), 0, 1), *rows = ag_reshape(x, AG_SHAPE(-1, 100));
    ag_tensor *w = ag_parameter_from(ag_contiguous(ag_transpose(ag_slice(rows, 0, 0, 40, 1), 0, 1))), *dw;
    ag_tensor *y = ag_tanh(ag_matmul(ag_slice(rows, 0, 0, 600, 1), w));
    ag_tensor *loss = ag_add(ag_mean(ag_mul(y, ag_sum_over(y, AG_AXES(0), true))), ag_sum(ag_exp(ag_neg(x))));
    ag_grad(loss, 1, &w, &dw);
    double r = ag_item(ag_add(loss, ag_sum(ag_square(dw))));
    return ag_tape_status(t) == AG_OK ? r : NAN;
}

/* Memory straight from the system. */
static void *map(void *ctx, void *p, size_t old_bytes, size_t new_bytes) {
    (void)ctx;
    void *q = NULL;
    if (new_bytes > 0) {
        q = mmap(NULL, new_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (q == MAP_FAILED) return NULL;
        if (p) memcpy(q, p, old_bytes < new_bytes ? old_bytes : new_bytes);
    }
    if (p) munmap(p, old_bytes);
    return q;
}

/* The C library unlocks its allocator in a child; AddressSanitizer's (of gcc 12) stays locked if another thread was
 * allocating at the fork, and the child would wait for ever. */
static ag_tape *tape_of_forked(void) {
    static const ag_allocator mapping = {map, NULL};
    return under_asan() ? ag_tape_new_with(&mapping) : ag_tape_new();
}

static double work(int n) {
    ag_tape *t = tape_of_forked();
    ag_tape_set_threads(t, n);
    double r = work_on(t);
    ag_tape_free(t);
    return r;
}

static double alone; /* the result on one thread */

START_TEST(the_number_of_threads_changes_between_evaluations) {
    ag_tape *t = ag_tape_new();
    ag_mark mark = ag_tape_mark(t);
    const int most = under_valgrind() ? 8 : 64;
    for (int n = 1; n <= most; n++) {
        ck_assert_int_eq(ag_tape_set_threads(t, n % 2 ? n : most + 1 - n), n % 2 ? n : most + 1 - n);
        ck_assert(work_on(t) == alone);
        ag_tape_rewind(t, mark);
    }
    ag_tape_free(t);
}
END_TEST

/* ---- Refused ---- */

static void work_where_some_are_refused(void) {
    static shares s;
    threads.refuse_after = threads.given + 3;
    const int before = threads.given;
    for (int n = 2; n <= 16; n++) require(each_once(&s, n));
    require(work(8) == alone);
    require(threads.given == before + 3);
    require(threads.asked < before + 3 + 16); /* not each time */
    threads.refuse_after = 1 << 30;
    load l = {.caller = pthread_self(), .late = 1000};
    for (int64_t start = microseconds(); threads.given < before + 7;) { /* soon after the system creates some again, */
        require(microseconds() < start + 20000000);
        ag__parallel(8, be_late, &l); /* though sharing does not pay until then */
    }
    require(each_once(&s, 8));
    require(threads.given == before + 7);
}

static void work_where_all_are_refused(void) {
    static shares s;
    threads.refuse_after = 0;
    for (int n = 2; n <= 16; n++) require(each_once(&s, n));
    require(work(8) == alone);
}

START_TEST(where_threads_are_refused_there_are_fewer) {
    in_child(work_where_some_are_refused);
    in_child(work_where_all_are_refused);
}
END_TEST

/* ---- Fork ---- */

static void work_on_two(void) { require(work(2) == alone); }

static void work_and_fork_again(void) {
    require(work(2) == alone);
    pid_t child = begin_body(work_on_two);
    int status;
    require(work(3) == alone);
    require(waitpid(child, &status, 0) == child && status == 0);
}

START_TEST(parent_and_child_go_on_after_a_fork) {
    ck_assert(work(2) == alone);
    for (int i = 0; i < 5; i++) {
        pid_t child = begin_body(work_and_fork_again);
        ck_assert(work(2) == alone);
        end_child(child);
    }
}
END_TEST

static atomic_bool stop;

static void *work_until_stopped(void *n) {
    bool good = true;
    while (!stop && good) good = work(*(int *)n) == alone;
    return good ? n : NULL;
}

START_TEST(children_go_on_whatever_other_threads_are_at) {
    int n[] = {2, 3, 4};
    pthread_t thread[3];
    stop = false;
    for (int i = 0; i < 3; i++) thread[i] = start(work_until_stopped, &n[i]);
    for (int i = 0; i < by_length(3, 6, 20); i++) {
        pause_for(1000 + i * 377);
        in_child(work_on_two);
    }
    stop = true;
    for (int i = 0; i < 3; i++) {
        void *good;
        pthread_join(thread[i], &good);
        ck_assert_ptr_nonnull(good);
    }
}
END_TEST

/* ---- Many callers ---- */

static void *call_many_times(void *number) {
    shares *s = calloc(1, sizeof *s);
    bool good = s != NULL;
    for (int i = 0; i < (small_run() ? 20 : 300) && good; i++) good = each_once(s, 1 + (*(int *)number + i) % 17);
    free(s);
    return good ? number : NULL;
}

static void *evaluate_several_times(void *number) {
    bool good = true;
    for (int i = 0; i < (small_run() ? 2 : 20); i++) good = good && work(1 + (*(int *)number + i) % 5) == alone;
    return good ? number : NULL;
}

static void in_eight_threads(void *(*run)(void *)) {
    pthread_t thread[8];
    int number[8];
    for (int i = 0; i < 8; i++) {
        number[i] = i;
        thread[i] = start(run, &number[i]);
    }
    for (int i = 0; i < 8; i++) {
        void *good;
        pthread_join(thread[i], &good);
        ck_assert_ptr_nonnull(good);
    }
}

START_TEST(many_threads_call_at_once) { in_eight_threads(call_many_times); }
END_TEST

START_TEST(many_threads_evaluate_at_once) { in_eight_threads(evaluate_several_times); }
END_TEST

/* ---- Calls within calls ---- */

typedef struct nested {
    atomic_int good, calls;
} nested;

typedef struct owner {
    pthread_t thread;
    int next;
} owner;

/* Each share runs on its owner, in order. */
static void check_owner(void *o_, int i, int n) {
    owner *o = o_;
    if (n == 5 && i == o->next && pthread_equal(pthread_self(), o->thread)) o->next++;
}

static void call_within(void *s_, int i, int n) {
    nested *s = s_;
    owner o = {pthread_self(), 0};
    (void)i, (void)n;
    ag__parallel(5, check_owner, &o);
    s->good += o.next == 5;
    s->calls++;
}

START_TEST(a_call_from_within_a_share_runs_in_place) {
    for (int n = 2; n < 9; n++) {
        nested s = {0};
        ag__parallel(n, call_within, &s);
        ck_assert_int_eq(s.calls, n);
        ck_assert_int_eq(s.good, n);
    }
}
END_TEST

/* Operations whose eval evaluates other tapes. */
static bool eval_evaluates(const ag_call *call) {
    double r = work(3);
    for (int64_t i = 0; i < call->y.size; i++) ((double *)call->y.data)[i] = r;
    return true;
}

static bool infer_same(ag_infer *r) { return r->dtype == AG_F64; }

static atomic_int blocks_that_differ;

static void block_evaluates(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    memcpy(y, x[0], (size_t)n * sizeof(double));
    if (fmod(((const double *)x[0])[0], 50 * 1024) == 0 && work(2) != alone) blocks_that_differ++;
}

static const ag_op op_evaluates = {.name = "evaluates",
                                   .kind = AG_KIND_OPAQUE,
                                   .arity = 1,
                                   .flags = AG_OP_NOT_DIFFERENTIABLE,
                                   .infer = infer_same,
                                   .eval = eval_evaluates};
static const ag_op op_block_evaluates = {.name = "block_evaluates",
                                         .kind = AG_KIND_ELEMENTWISE,
                                         .arity = 1,
                                         .flags = AG_OP_NOT_DIFFERENTIABLE,
                                         .block = {[AG_F64] = block_evaluates}};

START_TEST(operations_may_evaluate_other_tapes) {
    ag_tape *t = ag_tape_new();
    ag_tape_set_threads(t, 4);
    ag_tensor *x = ag_zeros(t, AG_F64, AG_SHAPE(200000)), *in[] = {x};
    expect_item(ag_min(ag_apply(&op_evaluates, 1, in, NULL, 0)), alone);
    ag_tensor *some = ag_arange(t, AG_F64, 200000);
    ag_tensor *y = ag_apply(&op_block_evaluates, 1, &some, NULL, 0);
    expect_ok(t);
    ck_assert_int_eq(ag_eval(y), AG_OK);
    ck_assert_int_eq(blocks_that_differ, 0);
    ag_tape_free(t);
}
END_TEST

/* ---- Evaluations that begin in a pause ---- */

static int threads_before, threads_after; /* that an operation may use in the pause, and after it */
static pthread_t evaluated_by;
static atomic_int blocks_of_others;

static bool eval_outlasts_a_pause(const ag_call *call) {
    threads_before = call->threads;
    while (!ag__sharing_pays()) pause_for(1000);
    memset(call->y.data, 0, (size_t)call->y.size * sizeof(double));
    return true;
}

static bool eval_comes_after_a_pause(const ag_call *call) {
    threads_after = call->threads;
    memset(call->y.data, 0, (size_t)call->y.size * sizeof(double));
    return true;
}

/* The evaluating thread is slow, so that others take shares. */
static void block_comes_after_a_pause(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    memcpy(y, x[0], (size_t)n * sizeof(double));
    if (!pthread_equal(pthread_self(), evaluated_by)) blocks_of_others++;
    else if (blocks_of_others == 0) pause_for(100);
}

static const ag_op op_outlasts_a_pause = {.name = "outlasts_a_pause",
                                          .kind = AG_KIND_OPAQUE,
                                          .arity = 1,
                                          .flags = AG_OP_NOT_DIFFERENTIABLE,
                                          .infer = infer_same,
                                          .eval = eval_outlasts_a_pause};
static const ag_op op_comes_after_a_pause = {.name = "comes_after_a_pause",
                                             .kind = AG_KIND_OPAQUE,
                                             .arity = 1,
                                             .flags = AG_OP_NOT_DIFFERENTIABLE,
                                             .infer = infer_same,
                                             .eval = eval_comes_after_a_pause};
static const ag_op op_block_comes_after_a_pause = {.name = "block_comes_after_a_pause",
                                                   .kind = AG_KIND_ELEMENTWISE,
                                                   .arity = 1,
                                                   .flags = AG_OP_NOT_DIFFERENTIABLE,
                                                   .block = {[AG_F64] = block_comes_after_a_pause}};

/* Whether it was one: another process may have had the processor in the meantime. */
static bool evaluate_in_a_pause(ag_tape *t) {
    load l = {.caller = pthread_self(), .late = 4000};
    ag_tensor *x = ag_zeros(t, AG_F64, AG_SHAPE(200000)), *y = ag_apply(&op_outlasts_a_pause, 1, &x, NULL, 0);
    ag_tensor *z[] = {ag_apply(&op_comes_after_a_pause, 1, &y, NULL, 0), NULL};
    z[1] = ag_apply(&op_block_comes_after_a_pause, 1, &z[0], NULL, 0);
    while (ag__sharing_pays()) ag__parallel(2, be_late, &l);
    require(ag_eval(z[1]) == AG_OK);
    return threads_before == 1;
}

static void evaluate_long_after_pauses(void) {
    const ag_evaluator evaluators[] = {AG_EVALUATOR_FUSED, AG_EVALUATOR_REFERENCE};
    evaluated_by = pthread_self();
    for (int i = 0; i < 2; i++) {
        ag_tape *t = ag_tape_new();
        const ag_mark mark = ag_tape_mark(t);
        ag_tape_set_threads(t, 2);
        ag_tape_set_evaluator(t, evaluators[i]);
        blocks_of_others = 0;
        for (const int64_t start = microseconds(); blocks_of_others == 0; ag_tape_rewind(t, mark)) {
            require(microseconds() < start + 60000000);
            if (evaluate_in_a_pause(t)) require(threads_after == 2);
            else blocks_of_others = 0;
        }
        ag_tape_free(t);
    }
}

/* A pause is short, and an evaluation may be long: what it computes after the pause is divided again. */
START_TEST(an_evaluation_outlasts_a_pause) { in_child(evaluate_long_after_pauses); }
END_TEST

/* ---- Signals and cancellation ---- */

static pthread_t handled_by;
static atomic_int handled;

static void handle(int number) {
    (void)number;
    handled_by = pthread_self();
    handled++;
}

/* A signal that this thread blocks stays pending, even while threads of the pool run. */
static void work_while_signalled(void) {
    sigset_t set, former;
    struct sigaction action = {.sa_handler = handle};
    require(sigaction(SIGUSR1, &action, NULL) == 0);
    require(work(3) == alone);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    require(pthread_sigmask(SIG_BLOCK, &set, &former) == 0);
    require(kill(getpid(), SIGUSR1) == 0);
    require(work(3) == alone);
    pause_for(20000);
    require(handled == 0);
    require(pthread_sigmask(SIG_SETMASK, &former, NULL) == 0);
    require(handled == 1 && pthread_equal(handled_by, pthread_self()));
    for (int i = 0; i < 20; i++) {
        require(kill(getpid(), SIGUSR1) == 0);
        require(i % 10 || work(2) == alone);
    }
    require(handled > 1 && pthread_equal(handled_by, pthread_self()));
}

START_TEST(signals_go_to_the_users_threads) { in_child(work_while_signalled); }
END_TEST

static shares under_way;
static atomic_bool cancelled_within;

static void look_whether_within(void *s_) {
    shares *s = s_;
    cancelled_within = s->running != 0;
}

static void *call_until_cancelled(void *s) {
    pthread_cleanup_push(look_whether_within, s);
    for (;;) {
        ag__parallel(4, count_share, s);
        pthread_testcancel();
    }
    pthread_cleanup_pop(0);
}

/* A caller that waits for the other shares must not be cancelled: the job is on its stack. */
START_TEST(a_caller_is_not_cancelled_within_a_call) {
    under_way.slow = 3000;
    for (int i = 0; i < 10; i++) {
        pthread_t thread = start(call_until_cancelled, &under_way);
        pause_for(5000 + 700 * i);
        pthread_cancel(thread);
        pthread_join(thread, NULL);
        ck_assert(!cancelled_within);
    }
}
END_TEST

/* ---- Stacks ---- */

/* Used bytes of a stack, which grows downwards. */
static size_t used_of_stack(int number) {
    size_t below = 0;
    while (below < threads.bytes[number] && threads.stack[number][below] == 0x5a) below++;
    return threads.bytes[number] - below;
}

static void look_at_stacks(void) {
    threads.own_stacks = true;
    threads.given = 0;
    require(work(3) == alone);
    ag_tape *t = ag_tape_new();
    ag_tape_set_threads(t, 3);
    for (int program = 0; program < 2; program++) {
        ag_tape_set_evaluator(t, program ? AG_EVALUATOR_REFERENCE : AG_EVALUATOR_FUSED);
        ag_tensor *a = ag_uniform(t, AG_F64, AG_SHAPE(300, 301), 0, 1), *b = ag_transpose(a, 0, 1);
        ag_tensor *c = ag_where(ag_less(a, ag_scalar(t, AG_F64, 0.5)), ag_mul(a, ag_transpose(b, 0, 1)), a);
        ag_tensor *products[] = {ag_matmul(a, b), ag_matmul(b, a), ag_matmul(ag_flip(a, 0), ag_flip(b, 1))};
        require(ag_eval(ag_add(ag_flip(b, 0), ag_pow(b, ag_transpose(ag_flip(c, 1), 0, 1)))) == AG_OK);
        require(ag_eval(ag_argmax(b, 0, false)) == AG_OK);
        for (int i = 0; i < 3; i++) require(ag_eval(products[i]) == AG_OK);
    }
    ag_tape_free(t);
    require(threads.given > 0);
    size_t most = 0;
    for (int i = 0; i < threads.given; i++)
        if (threads.stack[i] && used_of_stack(i) > most) most = used_of_stack(i);
    fprintf(stderr, "%zu of %zu bytes of a stack\n", most, threads.bytes[0]);
    require(most > 0 && most < threads.bytes[0] / 2);
}

START_TEST(a_threads_stack_is_twice_what_our_own_loops_need) { in_child(look_at_stacks); }
END_TEST

/* ---- The default number ---- */

static int threads_by_default(const char *own, const char *omp) {
    ag_tape *t = ag_tape_new();
    own ? setenv("AG_THREADS", own, 1) : unsetenv("AG_THREADS");
    omp ? setenv("OMP_NUM_THREADS", omp, 1) : unsetenv("OMP_NUM_THREADS");
    ag_tape_set_threads(t, 77);
    int n = ag_tape_set_threads(t, 0), made = 0;
    ag_tape *another = ag_tape_new();
    made = ag_tape_set_threads(another, -1);
    ag_tape_free(another);
    ag_tape_free(t);
    return n == made ? n : -1;
}

START_TEST(the_default_comes_from_the_environment) {
    const int processors = threads_by_default(NULL, NULL);
    ck_assert_int_ge(processors, 1);
    ck_assert_int_le(processors, (int)sysconf(_SC_NPROCESSORS_CONF));
    ck_assert_int_eq(threads_by_default("3", NULL), 3);
    ck_assert_int_eq(threads_by_default("3", "5"), 3);
    ck_assert_int_eq(threads_by_default(NULL, "5"), 5);
    ck_assert_int_eq(threads_by_default(NULL, "6,2"), 6);
    ck_assert_int_eq(threads_by_default("99999999999999999999", NULL), 1024);
    const char *const no_number[] = {"", "0", "-3", "many"};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(threads_by_default(no_number[i], "5"), 5);
        ck_assert_int_eq(threads_by_default(no_number[i], no_number[i]), processors);
    }
}
END_TEST

static void write_file(const char *folder, const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void make_folder(char path[256], const char *in, const char *name) {
    snprintf(path, 256, "%.150s/%s", in, name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

START_TEST(a_control_group_limits_the_processors) {
    char root[256], outer[256], inner[256], cpu[256], old[256];
    snprintf(root, sizeof root, "%s/test_pool.XXXXXX", scratch());
    ck_assert_ptr_nonnull(mkdtemp(root));
    make_folder(outer, root, "outer");
    make_folder(inner, outer, "inner");
    make_folder(cpu, root, "cpu");
    make_folder(old, cpu, "old");
    ck_assert_int_eq(ag__cgroup_quota("0::/outer/inner\n", root), 1024);
    write_file(outer, "cpu.max", "350000 100000\n");
    write_file(inner, "cpu.max", "max 100000\n");
    ck_assert_int_eq(ag__cgroup_quota("0::/outer/inner\n", root), 4);
    ck_assert_int_eq(ag__cgroup_quota("0::/outer\n", root), 4);
    ck_assert_int_eq(ag__cgroup_quota("0::/\n", root), 1024);
    write_file(inner, "cpu.max", "1000 100000\n");
    ck_assert_int_eq(ag__cgroup_quota("0::/outer/inner\n", root), 1);
    ck_assert_int_eq(ag__cgroup_quota("0::/gone/by/../now\n", root), 1024);
    write_file(root, "cpu.max", "200000 100000\n"); /* of a container */
    ck_assert_int_eq(ag__cgroup_quota("0::/gone/by/now\n", root), 2);
    write_file(root, "cpu.max", "max\n");
    write_file(old, "cpu.cfs_quota_us", "-1\n");
    write_file(old, "cpu.cfs_period_us", "100000\n");
    const char *const groups = "4:memory:/outer\n3:cpuacct,cpu:/old\n2:cpuset:/\n0::/\n";
    ck_assert_int_eq(ag__cgroup_quota(groups, root), 1024);
    write_file(old, "cpu.cfs_quota_us", "600000\n");
    ck_assert_int_eq(ag__cgroup_quota(groups, root), 6);
    write_file(old, "cpu.cfs_quota_us", "9000000000000000000\n");
    ck_assert_int_eq(ag__cgroup_quota(groups, root), 1024);
    const char *const nonsense[] = {"", "\n\n", "0", "0:", "::", "0::", "0::\n0::", "cpu:cpu:cpu", ":cpu,:x\n"};
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++)
        ck_assert_int_eq(ag__cgroup_quota(nonsense[i], root), 1024);
    char command[300];
    snprintf(command, sizeof command, "rm -r '%.200s'", root);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

#endif

int main(void) {
#if AG_HAVE_THREADS
    Suite *suite = suite_create("pool");
    TCase *shared = plain_group(suite, "shares"), *forked = plain_group(suite, "fork"),
          *n = plain_group(suite, "number");
    alone = work(1);
    require(!isnan(alone));
    tcase_add_test(shared, each_share_is_run_once);
    tcase_add_test(shared, late_threads_are_not_waited_for_again_and_again);
#ifdef __linux__
    tcase_add_test(shared, threads_on_the_callers_processor_are_not_waited_for_again_and_again);
    tcase_add_test(shared, nor_are_late_ones_there);
    tcase_add_test(shared, a_thread_moves_to_another_processor);
#endif
    tcase_add_test(shared, a_call_from_within_a_share_runs_in_place);
    tcase_add_test(shared, operations_may_evaluate_other_tapes);
    tcase_add_test(shared, an_evaluation_outlasts_a_pause);
    tcase_add_test(shared, many_threads_call_at_once);
    tcase_add_test(shared, many_threads_evaluate_at_once);
    tcase_add_test(shared, signals_go_to_the_users_threads);
    tcase_add_test(shared, a_caller_is_not_cancelled_within_a_call);
    if (!under_valgrind()) /* which may forbid reading a stack */
        tcase_add_test(shared, a_threads_stack_is_twice_what_our_own_loops_need);
    tcase_add_test(forked, parent_and_child_go_on_after_a_fork);
    tcase_add_test(forked, children_go_on_whatever_other_threads_are_at);
    tcase_add_test(n, where_threads_are_refused_there_are_fewer);
    if (!under_valgrind()) tcase_add_test(n, threads_round_as_their_caller_does); /* which rounds to nearest alone */
    tcase_add_test(n, the_number_of_threads_changes_between_evaluations);
    tcase_add_test(n, the_default_comes_from_the_environment);
    tcase_add_test(n, a_control_group_limits_the_processors);
    return run_suite(suite);
#else
    puts("Skipped: 15, which need threads");
    return 77;
#endif
}
