/* thread -- see thread.h */
#define _GNU_SOURCE
#include "autograd/tape/thread.h"
#include "autograd/tape/op.h"

#include <stdint.h>

#if AG_HAVE_THREADS
#include <signal.h>

/* Signals go to the user's threads, except those of faults, which go to the faulting thread. */
static void signals_of_a_thread(sigset_t *set) {
    static const int faults[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
    sigfillset(set);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(set, faults[i]);
}

bool ag__thread_start(pthread_t *thread, size_t stack, void *(*run)(void *argument), void *argument) {
    sigset_t its, mine;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return false;
    if (stack > 0) pthread_attr_setstacksize(&attributes, stack);
    signals_of_a_thread(&its);
    pthread_sigmask(SIG_SETMASK, &its, &mine);
    bool made = pthread_create(thread, &attributes, run, argument) == 0;
    pthread_sigmask(SIG_SETMASK, &mine, NULL);
    pthread_attr_destroy(&attributes);
    return made;
}
#endif

#ifdef __linux__
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/resource.h>

/* Addresses of a stack that have enough below them for any loop. MOST: a stack that may grow without a limit counts for
 * so many bytes, for others may be mapped below what it uses. */
enum { AMPLE = 256 * 1024, MOST = 8 * 1024 * 1024 };
typedef struct ample {
    uintptr_t from, to; /* from > to: none, also where the system does not say */
} ample;

static ample ample_below(uintptr_t top, uint64_t may_have) {
    return (ample){top - (may_have > MOST ? MOST : (size_t)may_have) + AMPLE, top};
}

/* The stack that the program began with has the program's name at its top. C libraries know what of it has been
 * touched, or read in /proc, which need not be there. */
static ample of_first(void) {
    struct rlimit limit = {.rlim_cur = 0};
    getrlimit(RLIMIT_STACK, &limit);
    return ample_below(getauxval(AT_EXECFN), limit.rlim_cur);
}

/* This thread's, also if the program has made it, which has threads though the library makes none. Before glibc 2.34
 * only its library of threads says. */
static ample of_own(void) {
    void *low = NULL;
    size_t bytes = 0;
#if AG_HAVE_THREADS || !defined __GLIBC__ || __GLIBC__ * 100 + __GLIBC_MINOR__ >= 234
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        pthread_attr_getstack(&attributes, &low, &bytes);
        pthread_attr_destroy(&attributes);
    }
#endif
    return ample_below((uintptr_t)low + bytes, bytes);
}

AG__NEVER_INLINE static const ample *known_stacks(void) {
    static _Thread_local ample known[2];
    if (known->to == 0) known[0] = of_first(), known[1] = of_own();
    return known;
}

bool ag__stack_is_short(void) {
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    const ample *known = known_stacks();
    for (int i = 0; i < 2; i++)
        if (here >= known[i].from && here <= known[i].to) return false;
    return true;
}

#else
/* Not known: then loops that are two to three times as fast matter more. */
bool ag__stack_is_short(void) { return false; }
#endif
