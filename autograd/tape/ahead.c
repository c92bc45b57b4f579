/* ahead -- see ahead.h
 *
 * Invariant: jobs `taken` … `posted`−1 are in the ring; each is asked for, then being made, then made. A job's state is
 * changed under the lock; its memory is touched only by the thread that makes it, until it is made. Buffers are counted
 * by the tape's thread alone. The tape has a list of its queues, which ends them when it is freed. */
#include "autograd/tape/ahead.h"
#include "autograd/tape/tape.h"
#include "autograd/tape/thread.h"

#include <stdatomic.h>
#include <string.h>

typedef enum state { ASKED, MAKING, MADE } state;

typedef struct slot {
    state state;
    bool good; /* once made */
    ag__job job;
    ag__buffer *value[AG__MOST_PARTS];
} slot;

enum { MOST_HELD = AG__MOST_PARTS + 8 };

struct ag__ahead {
    ag_tape *tape; /* NULL: freed */
    ag__ahead *next;
    ag_allocator allocator;
    const char *name; /* of the call that takes */
    ag__maker *make;
    void *shared;
    int parts, held, room, wanted; /* wanted: threads */
    ag__row part[AG__MOST_PARTS];
    ag__buffer *hold[MOST_HELD];
    uint64_t taken, posted;
#if AG_HAVE_THREADS
    unsigned forks; /* when the threads were started */
    int threads;
    bool ending;
    pthread_mutex_t lock;
    pthread_cond_t asked, done;
    pthread_t thread[AG__MOST_MAKERS];
#endif
    slot slot[];
};

static _Thread_local const ag__ahead *within; /* the queue whose job this thread is making */

static slot *slot_of(ag__ahead *a, uint64_t number) { return &a->slot[number % (uint64_t)a->room]; }

static size_t bytes_of(int room) { return sizeof(ag__ahead) + (size_t)room * sizeof(slot); }

/* ---- Making ---- */

/* Kernels rely on a bool being 0 or 1. */
static void tidy(const ag__ahead *a, ag__job *job) {
    for (int i = 0; i < a->parts; i++) {
        unsigned char *p = job->data[i];
        int64_t size = job->rows;
        if (a->part[i].dtype != AG_BOOL) continue;
        for (int k = 0; k < a->part[i].shape.rank; k++) size *= a->part[i].shape.extent[k];
        for (int64_t k = 0; k < size; k++) p[k] = p[k] != 0;
    }
}

static void make(const ag__ahead *a, slot *s) {
    const ag__ahead *former = within;
    within = a;
    s->good = a->make(a->shared, &s->job);
    if (s->good) tidy(a, &s->job);
    within = former;
}

/* Code of the user's that the tape's own thread runs must leave the tape alone. */
static void make_here(ag__ahead *a, slot *s) {
    ag__closed former = ag__close(a->tape, AG__SAMPLE, a->name);
    make(a, s);
    ag__reopen(a->tape, former);
}

/* ---- Threads ---- */

#if AG_HAVE_THREADS
static atomic_uint forks; /* that led to this process */

static void count_fork(void) { atomic_fetch_add(&forks, 1); }

/* Without knowing of forks there are no threads: a child would wait for those that it does not have. */
static bool follow_forks(void) {
    static atomic_int follows; /* 1: being done */
    int no = 0;
    if (atomic_compare_exchange_strong(&follows, &no, 1))
        atomic_store(&follows, pthread_atfork(NULL, NULL, count_fork) == 0 ? 2 : 0);
    return atomic_load(&follows) == 2;
}

static slot *first_asked(ag__ahead *a) {
    for (uint64_t i = a->taken; i < a->posted; i++)
        if (slot_of(a, i)->state == ASKED) return slot_of(a, i);
    return NULL;
}

static void *work(void *a_) {
    ag__ahead *a = a_;
    pthread_mutex_lock(&a->lock);
    while (!a->ending) {
        slot *s = first_asked(a);
        if (!s) {
            pthread_cond_wait(&a->asked, &a->lock);
            continue;
        }
        s->state = MAKING;
        pthread_mutex_unlock(&a->lock);
        make(a, s);
        pthread_mutex_lock(&a->lock);
        s->state = MADE;
        pthread_cond_broadcast(&a->done);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

static bool open_locks(ag__ahead *a) {
    if (pthread_mutex_init(&a->lock, NULL) != 0) return false;
    if (pthread_cond_init(&a->asked, NULL) != 0) return pthread_mutex_destroy(&a->lock), false;
    if (pthread_cond_init(&a->done, NULL) == 0) return true;
    pthread_cond_destroy(&a->asked);
    pthread_mutex_destroy(&a->lock);
    return false;
}

static void start_threads(ag__ahead *a) {
    a->forks = atomic_load(&forks);
    a->threads = 0;
    a->ending = false;
    if (a->wanted == 0 || !follow_forks() || !open_locks(a)) return;
    while (a->threads < a->wanted && ag__thread_start(&a->thread[a->threads], 0, work, a)) a->threads++;
    if (a->threads > 0) return;
    pthread_cond_destroy(&a->done);
    pthread_cond_destroy(&a->asked);
    pthread_mutex_destroy(&a->lock);
}

/* The threads end when their present jobs are made. */
static void end_threads(ag__ahead *a) {
    if (a->threads == 0) return;
    pthread_mutex_lock(&a->lock);
    a->ending = true;
    pthread_cond_broadcast(&a->asked);
    pthread_mutex_unlock(&a->lock);
    for (int i = 0; i < a->threads; i++) pthread_join(a->thread[i], NULL);
    a->threads = 0;
    pthread_cond_destroy(&a->done);
    pthread_cond_destroy(&a->asked);
    pthread_mutex_destroy(&a->lock);
}

/* The child of a fork has none of the threads, and locks in any state: it makes all jobs anew. */
static void notice_fork(ag__ahead *a) {
    if (a->threads == 0 || a->forks == atomic_load(&forks)) return;
    for (uint64_t i = a->taken; i < a->posted; i++) slot_of(a, i)->state = ASKED;
    a->threads = 0;
}

static void lock(ag__ahead *a) {
    if (a->threads > 0) pthread_mutex_lock(&a->lock);
}

static void unlock(ag__ahead *a) {
    if (a->threads > 0) pthread_mutex_unlock(&a->lock);
}

static void call_threads(ag__ahead *a) {
    if (a->threads > 0) pthread_cond_signal(&a->asked);
}

/* A job that is being made stays so until another thread has made it. */
static void wait_until_made(ag__ahead *a, const slot *s) {
    while (s->state == MAKING) pthread_cond_wait(&a->done, &a->lock);
}

/* The tape's thread must not be cancelled while it holds the lock, or a job. */
static int forbid_cancelling(void) {
    int former;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &former);
    return former;
}

static void restore_cancelling(int former) { pthread_setcancelstate(former, NULL); }
#else
static void start_threads(ag__ahead *a) { (void)a; }
static void end_threads(ag__ahead *a) { (void)a; }
static void notice_fork(ag__ahead *a) { (void)a; }
static void lock(ag__ahead *a) { (void)a; }
static void unlock(ag__ahead *a) { (void)a; }
static void call_threads(ag__ahead *a) { (void)a; }
static void wait_until_made(ag__ahead *a, const slot *s) { (void)a, (void)s; }
static int forbid_cancelling(void) { return 0; }
static void restore_cancelling(int former) { (void)former; }
#endif

/* ---- A queue from its beginning to its end ---- */

ag__ahead *ag__ahead_new(ag_tape *tape, const char *name, int room) {
    if (ag__refused_inside(tape, name, AG__EVAL)) return NULL; /* nor could it be freed there */
    ag__ahead *a = ag__resize(tape, NULL, 0, bytes_of(room));
    if (!a) {
        ag__fail_on(tape, name, AG_ERR_MEMORY, "out of memory (%zu bytes)", bytes_of(room));
        return NULL;
    }
    memset(a, 0, bytes_of(room));
    a->tape = tape;
    a->name = name;
    a->allocator = tape->allocator;
    a->room = room;
    a->next = tape->aheads;
    return tape->aheads = a;
}

static void drop_job(ag__ahead *a, slot *s) {
    for (int i = 0; i < a->parts; i++) {
        ag__buffer_drop(a->tape, s->value[i]);
        s->value[i] = NULL;
    }
}

void ag__ahead_clear(ag__ahead *a) {
    const int cancelling = forbid_cancelling();
    notice_fork(a);
    lock(a);
    for (uint64_t i = a->taken; i < a->posted; i++)
        if (slot_of(a, i)->state == ASKED) slot_of(a, i)->state = MADE;
    for (uint64_t i = a->taken; i < a->posted; i++) wait_until_made(a, slot_of(a, i));
    for (; a->taken < a->posted; a->taken++) drop_job(a, slot_of(a, a->taken));
    unlock(a);
    restore_cancelling(cancelling);
}

/* All that is the tape's goes back to it. */
static void end(ag__ahead *a) {
    ag__ahead_clear(a);
    const int cancelling = forbid_cancelling();
    end_threads(a);
    restore_cancelling(cancelling);
    for (int i = 0; i < a->held; i++) ag__buffer_drop(a->tape, a->hold[i]);
    ag__ahead **place = &a->tape->aheads;
    while (*place != a) place = &(*place)->next;
    *place = a->next;
}

void ag__aheads_end(ag_tape *tape) {
    while (tape->aheads) {
        ag__ahead *a = tape->aheads;
        end(a);
        a->tape = NULL;
    }
}

bool ag__ahead_free(ag__ahead *a) {
    if (!a) return true;
    if (within == a || (a->tape && ag__refused_inside(a->tape, a->name, AG__EVAL))) return false;
    ag_tape *tape = a->tape;
    const size_t bytes = bytes_of(a->room);
    if (tape) end(a);
    if (tape) ag__resize(tape, a, bytes, 0);
    else a->allocator.resize(a->allocator.ctx, a, bytes, 0);
    return true;
}

ag_tape *ag__ahead_tape(const ag__ahead *a) { return within == a ? NULL : a->tape; }

void *ag__ahead_shared(const ag__ahead *a) { return a->shared; }

static ag__buffer *keep(ag__ahead *a, ag__buffer *b) { return a->hold[a->held++] = b; }

void *ag__ahead_room(ag__ahead *a, int64_t n, size_t each) {
    ag__buffer *b = ag__room_new(a->tape, a->name, n, each);
    return b ? keep(a, b)->data : NULL;
}

void ag__ahead_hold(ag__ahead *a, const ag_tensor *x) {
    ag__buffer *b = x->buffer;
    for (ag__packed *p = x->flags & AG__PACKED ? a->tape->packed : NULL; p; p = p->next)
        if (p->tensor == x) b = p->buffer;
    b->refs++;
    keep(a, b);
}

static bool fits(ag__ahead *a, const ag__row *part, int64_t rows) {
    ag_shape whole = {part->shape.rank + 1, {rows}};
    int64_t size;
    const char *why;
    memcpy(whole.extent + 1, part->shape.extent, (size_t)part->shape.rank * sizeof *whole.extent);
    if (ag__shape_valid(&whole, &size, &why)) return true;
    ag__fail_on(a->tape, a->name, AG_ERR_SHAPE, "a batch of %lld samples has %s", (long long)rows, why);
    return false;
}

bool ag__ahead_start(ag__ahead *a, const char *name, int threads, ag__maker *run, void *shared, int64_t rows, int parts,
                     const ag__row part[]) {
    for (int i = 0; i < parts; i++)
        if (!fits(a, &part[i], rows)) return false;
    memcpy(a->part, part, (size_t)parts * sizeof *part);
    a->parts = parts;
    a->name = name;
    a->make = run;
    a->shared = shared;
    a->wanted = threads < AG__MOST_MAKERS ? threads : AG__MOST_MAKERS;
    start_threads(a);
    return true;
}

/* ---- Jobs ---- */

static bool take_memory(ag__ahead *a, slot *s, int64_t rows) {
    for (int i = 0; i < a->parts; i++) {
        int64_t size = rows;
        for (int k = 0; k < a->part[i].shape.rank; k++) size *= a->part[i].shape.extent[k];
        s->value[i] = ag__buffer_new(a->tape, ag__times((uint64_t)size, ag_dtype_size(a->part[i].dtype)));
        if (!s->value[i]) return drop_job(a, s), false;
        s->job.data[i] = s->value[i]->data;
    }
    return true;
}

/* In a child of fork the threads are started anew. */
bool ag__ahead_post(ag__ahead *a, int64_t epoch, int64_t number, int64_t rows) {
    notice_fork(a);
#if AG_HAVE_THREADS
    if (a->forks != atomic_load(&forks)) start_threads(a);
#endif
    if (a->posted - a->taken == (uint64_t)a->room) return false;
    slot *s = slot_of(a, a->posted);
    if (!take_memory(a, s, rows)) return false;
    s->job.epoch = epoch;
    s->job.number = number;
    s->job.rows = rows;
    s->job.why[0] = '\0';
    lock(a);
    s->state = ASKED;
    a->posted++;
    call_threads(a);
    unlock(a);
    return true;
}

/* The tape's thread makes the job if it is there first. */
static void have_made(ag__ahead *a, slot *s) {
    const int cancelling = forbid_cancelling();
    lock(a);
    if (s->state == ASKED) {
        s->state = MAKING;
        unlock(a);
        make_here(a, s);
        lock(a);
        s->state = MADE;
    }
    wait_until_made(a, s);
    unlock(a);
    restore_cancelling(cancelling);
}

static bool as_constants(ag__ahead *a, slot *s, ag_tensor *made[]) {
    for (int i = 0; i < a->parts; i++) {
        ag_shape shape = {a->part[i].shape.rank + 1, {s->job.rows}};
        memcpy(shape.extent + 1, a->part[i].shape.extent, (size_t)a->part[i].shape.rank * sizeof *shape.extent);
        made[i] = ag__constant_with(a->tape, a->part[i].dtype, &shape, s->value[i]);
        s->value[i] = NULL;
        if (ag_is_nil(made[i])) return false;
    }
    return true;
}

static bool take_first(ag__ahead *a, const char *what, ag_tensor *made[]) {
    if (a->taken == a->posted) {
        ag__fail_on(a->tape, a->name, AG_ERR_MEMORY, "out of memory (a batch)");
        return false;
    }
    slot *s = slot_of(a, a->taken);
    have_made(a, s);
    if (a->tape->status != AG_OK) return false; /* the user's code has used the tape */
    if (s->good) return as_constants(a, s, made);
    ag__fail_on(a->tape, a->name, AG_ERR_RANGE, "%s: %s", what, s->job.why);
    return false;
}

bool ag__ahead_take(ag__ahead *a, const char *what, ag_tensor *made[]) {
    int line;
    const char *file = ag__here_file(&line);
    notice_fork(a);
    bool good = take_first(a, what, made);
    if (good) {
        lock(a);
        a->taken++;
        unlock(a);
    } else {
        ag__ahead_clear(a);
        for (int i = 0; i < a->parts; i++) made[i] = a->tape->nil;
    }
    ag__leave(a->tape, file, line);
    return good;
}

const char *ag__ahead_here(int *line) { return ag__here_file(line); }

/* ---- Memory for others ---- */

ag__buffer *ag__room_new(ag_tape *tape, const char *name, int64_t n, size_t each) {
    const size_t bytes = ag__times((uint64_t)n, each);
    ag__buffer *b = ag__buffer_new(tape, bytes);
    if (!b) ag__fail_on(tape, name, AG_ERR_MEMORY, "out of memory (%zu bytes)", bytes);
    return b;
}

void *ag__room_data(ag__buffer *room) { return room->data; }

void ag__room_back(ag_tape *tape, ag__buffer *room) { ag__buffer_drop(tape, room); }

ag_tensor *ag__room_numbers(ag_tape *tape, const char *name, int64_t n, int64_t **data) {
    ag__buffer *b = ag__room_new(tape, name, n, sizeof **data);
    ag_shape shape = AG_SHAPE(n);
    if (!b) return ag__nil_of(tape);
    *data = b->data;
    return ag__constant_with(tape, AG_I64, &shape, b);
}

uint64_t ag__ahead_seed(const ag_tape *tape) { return tape ? tape->seed : 0; }
