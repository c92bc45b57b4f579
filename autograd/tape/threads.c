/* threads -- a pool of threads that take shares of the library's loops
 *
 * The caller of ag__parallel and those threads of the pool that are free take shares until none is left, and the caller
 * waits only for shares that have begun: with fewer threads than it asked for, or none, it runs them itself. Threads
 * are created when first needed, and stay.
 *
 * Invariant: a pool thread's state is one word, changed by single atomic operations: idle, asleep, told to end,
 * offered a job, at work on it. A job is on its caller's stack; a thread reads it only while at work on it, and the
 * caller stays until then. No lock is held while a share runs.
 *
 * What threads share is written by exchanges even where the former value is not wanted, in all of the library: helgrind
 * takes an atomic store for an ordinary one, and would report races to those who look for their own. */
#include "autograd/tape/tape.h"
#include "autograd/tape/thread.h"

#if AG_HAVE_THREADS
#include <fenv.h>
#include <pthread.h>
#include <stdatomic.h>
#if AG_HAVE_MEMCHECK
#include <valgrind/helgrind.h>
#else
#define ANNOTATE_HAPPENS_BEFORE(place) ((void)(place))
#define ANNOTATE_HAPPENS_AFTER(place) ((void)(place))
#endif

/* SPIN: nanoseconds before a waiting thread sleeps, a few times as long as it takes to wake one. PATIENCE: nanoseconds
 * after the system has refused a thread before it is asked again. */
enum { MOST_WORKERS = 1023, MOST_UNITS = 1024, WORD = 64, STACK = 1024 * 1024, SPIN = 100000, PATIENCE = 1000000000 };

/* ---- How numbers are rounded ----
 *
 * A program may have changed it for its own thread: to another direction, or, by a library built with -ffast-math, to
 * subnormal numbers that are 0. Shares of one job must not differ in that, nor in the exceptions that it asks for. */

#if defined __GNUC__ && defined __SSE2_MATH__
static unsigned rounding(void) { return __builtin_ia32_stmxcsr(); }
static void round_as(unsigned how) { __builtin_ia32_ldmxcsr(how); }
#else
static unsigned rounding(void) { return (unsigned)fegetround(); }
static void round_as(unsigned how) { fesetround((int)how); }
#endif

/* ---- The state of a thread ---- */

typedef struct job {
    _Alignas(64) void (*run)(void *argument, int i, int n); /* aligned: the flags below fit into its address */
    void *argument;
    int n, units, first, workers; /* workers: their number; `first` was asked first */
    int processor;                /* the caller's; negative: unknown */
    unsigned rounding;            /* the caller's */
    _Atomic bool crowded;         /* a worker took shares on the caller's processor */
    _Atomic uint64_t taken[MOST_UNITS / WORD];
} job;

/* A thread's state: one of the first three; or the address of the job offered; or that with AT_WORK, and with
 * AWAITED if the job's caller sleeps until it is done. */
enum { IDLE = 0, ASLEEP = 4, ENDING = 8, AT_WORK = 1, AWAITED = 2 };

_Static_assert(_Alignof(job) > ENDING && ASLEEP > (AT_WORK | AWAITED),
               "a job's address must differ from all of these, with or without flags");

typedef struct worker {
    _Alignas(64) _Atomic uintptr_t at;
    pthread_t thread;
    pthread_mutex_t lock; /* for the fields below: the sleep until `at` changes */
    pthread_cond_t changed;
} worker;

static struct {
    _Atomic int64_t refused_till; /* the system, which refused a thread, is not asked for one before */
    _Atomic int count;            /* threads created so far */
    _Atomic int growing;          /* a thread is creating threads */
    _Atomic int closed;           /* the library is about to be unloaded */
    worker worker[MOST_WORKERS];
} pool;

static _Thread_local bool inside;   /* a share: calls from there run in place */
static _Thread_local int favourite; /* the worker that this thread asks first: its cache may still have the data */

/* ---- Waiting ---- */

typedef struct waiting {
    int rounds;
    int64_t until;
} waiting;

/* Called repeatedly; false when it is time to sleep. */
static bool spin(waiting *w) {
    enum { ROUNDS = 16 }; /* between looks at the clock */
#if defined __GNUC__ && (defined __x86_64__ || defined __i386__)
    __builtin_ia32_pause();
#elif defined __GNUC__ && defined __aarch64__
    __asm__ volatile("yield");
#endif
    if (++w->rounds % ROUNDS) return true;
    if (!w->until) w->until = ag__now() + (ag__processors() > 1 ? SPIN : 0);
    return ag__now() < w->until;
}

/* A thread waiting on w either sees the new state, or is asleep by now and wakes. */
static void wake(worker *w) {
    pthread_mutex_lock(&w->lock);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* ---- Whether sharing pays ----
 *
 * On a loaded machine a thread may be taken off its processor in the middle of a share, for many milliseconds, and its
 * caller waits for it. Or the system wakes a thread on its caller's processor, which it takes from it: nothing was
 * saved then, whatever the clock says of either's shares, and CROWDED is what the changes to and fro cost. So the pool
 * keeps an account of the time that sharing has saved, against the caller's estimate of what it would have taken alone.
 *
 * In debt, there is a pause: loops run on the caller's thread, and evaluations do not even divide those that begin
 * then, for halves take longer than a whole. It lasts so long that sharing costs at most a part of the time, and is
 * tried again then; where that has been in vain, twice as long as before. The account is limited on both sides: any
 * number of small savings does not make up for a long wait, and one long wait is forgotten soon. */

enum { MOST_SAVED = 50000, TOLERATED = -50000, MOST_OWED = -5000000, PAID_OFF = 8, CROWDED = 20000 };
enum { LONGEST_PAUSE = 100000000 };

static _Atomic int saved;           /* nanoseconds */
static _Atomic int64_t paused_till; /* 0: no pause */
static _Atomic int last_pause;      /* its length; 0: sharing has paid since */

static void begin_pause(int owed) {
    int length = owed * PAID_OFF, last = 2 * atomic_load_explicit(&last_pause, memory_order_relaxed);
    if (last > LONGEST_PAUSE) last = LONGEST_PAUSE;
    if (length < last) length = last;
    atomic_exchange_explicit(&last_pause, length, memory_order_relaxed);
    atomic_exchange_explicit(&paused_till, ag__now() + length, memory_order_relaxed);
}

static void note_saving(int64_t time) {
    int64_t sum = atomic_load_explicit(&saved, memory_order_relaxed) + time;
    if (sum < MOST_OWED) sum = MOST_OWED;
    if (sum < TOLERATED) {
        begin_pause((int)-sum);
        sum = TOLERATED;
    }
    if (sum > MOST_SAVED) {
        sum = MOST_SAVED;
        atomic_exchange_explicit(&last_pause, 0, memory_order_relaxed);
    }
    atomic_exchange_explicit(&saved, (int)sum, memory_order_relaxed);
}

bool ag__sharing_pays(void) {
    const int64_t until = atomic_load_explicit(&paused_till, memory_order_relaxed);
    if (until == 0) return true;
    if (ag__now() < until) return false;
    atomic_exchange_explicit(&paused_till, 0, memory_order_relaxed);
    return true;
}

/* ---- Shares ---- */

static bool take(job *j, int unit) {
    const uint64_t bit = UINT64_C(1) << unit % WORD;
    _Atomic uint64_t *word = &j->taken[unit / WORD];
    if (atomic_load_explicit(word, memory_order_relaxed) & bit) return false;
    return !(atomic_fetch_or_explicit(word, bit, memory_order_relaxed) & bit);
}

/* Its own share first, so that a thread gets the same share of the next loop; then shares that others have not
 * begun. Returns how many it has taken. */
static int take_shares(job *j, int own) {
    int taken = 0;
    for (int k = 0; k <= j->units; k++) {
        int unit = k == 0 ? own : k - 1;
        if (!take(j, unit)) continue;
        for (int i = unit; i < j->n; i += j->units) j->run(j->argument, i, j->n);
        taken++;
    }
    return taken;
}

/* ---- The threads of the pool ---- */

/* Sleep until there is work; false to end. */
static bool sleep_until_asked(worker *w) {
    uintptr_t at = IDLE;
    pthread_mutex_lock(&w->lock);
    for (;; at = atomic_load_explicit(&w->at, memory_order_acquire)) {
        if (at == IDLE && !atomic_compare_exchange_strong(&w->at, &at, ASLEEP) && at != ASLEEP) break;
        if (at > ASLEEP) break;
        pthread_cond_wait(&w->changed, &w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return at != ENDING;
}

/* The next job, begun; NULL at the end. An offer may be withdrawn before it is begun. A thread that shared its
 * processor with the caller goes on elsewhere, for it would be woken where it ran last though others are free; or
 * sleeps, for it would spin at the expense of the caller, who could offer nothing. */
static job *next_job(worker *w, int crowded) {
    waiting spent = {0};
    if (crowded >= 0 && !ag__leave_processor(crowded) && !sleep_until_asked(w)) return NULL;
    for (;;) {
        uintptr_t at = atomic_load_explicit(&w->at, memory_order_acquire);
        if (at == ENDING) return NULL;
        if (at > ENDING && atomic_compare_exchange_strong(&w->at, &at, at | AT_WORK)) {
            ANNOTATE_HAPPENS_AFTER(&w->at);
            return (job *)at;
        }
        if (spin(&spent)) continue;
        if (!sleep_until_asked(w)) return NULL;
        spent = (waiting){0}; /* the caller has done it alone, and may have more soon */
    }
}

static void *work(void *w_) {
    worker *w = w_;
    const int number = (int)(w - pool.worker);
    inside = true;
    int crowded = -1; /* the processor, if it is the caller's */
    for (job *j; (j = next_job(w, crowded)) != NULL;) {
        int offset = number - j->first;
        if (offset < 0) offset += j->workers;
        round_as(j->rounding);
        const int taken = take_shares(j, (offset + 1) % j->units);
        crowded = ag__this_processor() == j->processor ? j->processor : -1;
        if (crowded >= 0 && taken > 0) atomic_exchange_explicit(&j->crowded, true, memory_order_relaxed);
        ANNOTATE_HAPPENS_BEFORE(&w->thread);
        if (atomic_exchange(&w->at, IDLE) & AWAITED) wake(w);
    }
    return NULL;
}

/* ---- Creating threads ---- */

static bool make_thread(worker *w) {
    if (pthread_mutex_init(&w->lock, NULL) != 0) return false;
    if (pthread_cond_init(&w->changed, NULL) != 0) return pthread_mutex_destroy(&w->lock), false;
    if (ag__thread_start(&w->thread, STACK, work, w)) return true;
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    return false;
}

/* Create a thread with this offer; NULL if the system refuses. */
static worker *new_worker(job *j) {
    const int count = atomic_load_explicit(&pool.count, memory_order_relaxed);
    worker *w = &pool.worker[count];
    ANNOTATE_HAPPENS_BEFORE(&w->at);
    atomic_exchange(&w->at, (uintptr_t)j);
    if (!make_thread(w)) return NULL;
    atomic_fetch_add(&pool.count, 1);
    return w;
}

/* The child of a fork has one thread, in any state; the pool's threads do not exist there. */
static void begin_anew(void) {
    for (int i = 0; i < pool.count; i++) atomic_exchange(&pool.worker[i].at, IDLE);
    atomic_exchange(&pool.count, 0);
    atomic_exchange(&pool.refused_till, 0);
    atomic_exchange(&pool.growing, 0);
    atomic_exchange(&saved, 0);
    atomic_exchange(&paused_till, 0);
    atomic_exchange(&last_pause, 0);
}

static bool may_grow(void) {
    static bool follows_forks;
    if (ag__now() < atomic_load_explicit(&pool.refused_till, memory_order_relaxed)) return false;
    if (atomic_exchange(&pool.growing, 1)) return false;
    if (!follows_forks) follows_forks = pthread_atfork(NULL, NULL, begin_anew) == 0;
    if (follows_forks && !atomic_load(&pool.closed)) return true;
    atomic_exchange(&pool.growing, 0);
    return false;
}

/* ---- Offering jobs ---- */

/* The threads that were offered a job. */
typedef struct party {
    int count;
    uint16_t worker[MOST_WORKERS];
} party;

static bool offer(worker *w, job *j) {
    uintptr_t at = atomic_load_explicit(&w->at, memory_order_relaxed);
    if (at != IDLE && at != ASLEEP) return false;
    ANNOTATE_HAPPENS_BEFORE(&w->at);
    if (!atomic_compare_exchange_strong(&w->at, &at, (uintptr_t)j)) return false;
    if (at == ASLEEP) wake(w);
    return true;
}

static void ask_those_there(party *p, job *j) {
    for (int k = 0; k < j->workers && p->count < j->units - 1; k++) {
        int i = (j->first + k) % j->workers;
        if (offer(&pool.worker[i], j)) p->worker[p->count++] = (uint16_t)i;
    }
}

/* No more threads than one call needs, nor than there are processors: others would only wait. */
static void ask_new_ones(party *p, job *j) {
    int most = ag__processors() - 1;
    if (most < j->units - 1) most = j->units - 1;
    if (most > MOST_WORKERS) most = MOST_WORKERS;
    if (pool.count >= most || !may_grow()) return;
    while (p->count < j->units - 1 && pool.count < most) {
        worker *w = new_worker(j);
        if (!w) {
            atomic_exchange(&pool.refused_till, ag__now() + PATIENCE);
            break;
        }
        p->worker[p->count++] = (uint16_t)(w - pool.worker);
    }
    atomic_exchange(&pool.growing, 0);
}

/* Withdraw the offer, or wait until w is done with it. */
static void part_with(worker *w, job *j) {
    uintptr_t at = (uintptr_t)j;
    const uintptr_t working = at | AT_WORK;
    if (atomic_compare_exchange_strong(&w->at, &at, IDLE)) return;
    waiting spent = {0};
    while (atomic_load_explicit(&w->at, memory_order_acquire) == working && spin(&spent)) {
    }
    at = working;
    if (atomic_load_explicit(&w->at, memory_order_acquire) == working) {
        pthread_mutex_lock(&w->lock);
        if (atomic_compare_exchange_strong(&w->at, &at, working | AWAITED))
            while (atomic_load_explicit(&w->at, memory_order_acquire) == (working | AWAITED))
                pthread_cond_wait(&w->changed, &w->lock);
        pthread_mutex_unlock(&w->lock);
    }
    ANNOTATE_HAPPENS_AFTER(&w->thread);
}

static void run_together(int n, void (*run)(void *argument, int i, int n), void *argument) {
    int64_t start = ag__now();
    party p; /* large, but seldom full */
    p.count = 0;
    job j = {.run = run, .argument = argument, .n = n, .units = n < MOST_UNITS ? n : MOST_UNITS};
    j.rounding = rounding();
    j.processor = ag__this_processor();
    j.workers = atomic_load_explicit(&pool.count, memory_order_acquire);
    j.first = favourite < j.workers ? favourite : 0;
    ask_those_there(&p, &j);
    const int asked = p.count;
    if (asked < j.units - 1) ask_new_ones(&p, &j);
    if (p.count > 0) favourite = p.worker[0];
    inside = true;
    const int64_t begun = ag__now();
    if (p.count > asked) start = begun; /* to create threads takes long, but once */
    const int own = take_shares(&j, 0);
    const int64_t done = ag__now();
    inside = false;
    for (int i = 0; i < p.count; i++) part_with(&pool.worker[p.worker[i]], &j);
    const int64_t saving = own > 0 ? (done - begun) * j.units / own - (ag__now() - start) : 0;
    const bool crowded = atomic_load_explicit(&j.crowded, memory_order_relaxed);
    note_saving(crowded ? ag__lesser(saving, start - begun - CROWDED) : saving);
}

static void run_alone(int n, void (*run)(void *argument, int i, int n), void *argument) {
    for (int i = 0; i < n; i++) run(argument, i, n);
}

/* The caller must not be cancelled: the job is on its stack. */
static void run_shares(int n, void (*run)(void *argument, int i, int n), void *argument) {
    int cancelling;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelling);
    if (ag__sharing_pays()) run_together(n, run, argument);
    else run_alone(n, run, argument);
    pthread_setcancelstate(cancelling, NULL);
}

/* ---- The end ---- */

/* Its threads leave the library's code before it is unloaded. A thread at work when the process ends, ends with it. */
#ifdef __GNUC__
__attribute__((destructor))
#endif
static void
end_threads(void) {
    atomic_exchange(&pool.closed, 1);
    if (atomic_exchange(&pool.growing, 1)) return;
    for (int i = 0; i < pool.count; i++) {
        worker *w = &pool.worker[i];
        uintptr_t at = IDLE;
        if (!atomic_compare_exchange_strong(&w->at, &at, ENDING)) {
            if (at != ASLEEP || !atomic_compare_exchange_strong(&w->at, &at, ENDING)) continue;
            wake(w);
        }
        pthread_join(w->thread, NULL);
    }
}
#endif

void ag__parallel(int n, void (*run)(void *argument, int i, int n), void *argument) {
#if AG_HAVE_THREADS
    if (n > 1 && !inside) {
        run_shares(n, run, argument);
        return;
    }
#endif
    for (int i = 0; i < n; i++) run(argument, i, n);
}

#if !AG_HAVE_THREADS
bool ag__sharing_pays(void) { return true; }
#endif

int ag__threads_now(ag_tape *tape) { return ag__sharing_pays() ? ag__threads_of(tape) : 1; }

int ag__worthwhile(int64_t work, int threads) {
    int64_t most = work / AG__STEPS_A_THREAD;
    return most < 2 || threads < 2 ? 1 : most < threads ? (int)most : threads;
}

int ag__worthwhile_on(ag_tape *tape, int64_t work) {
    return work / AG__STEPS_A_THREAD < 2 ? 1 : ag__worthwhile(work, ag__threads_now(tape));
}
