/* thread -- see thread.h */
#define _GNU_SOURCE
#include "autograd/tape/thread.h"

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

#if AG_HAVE_THREADS && defined __linux__

#ifdef __GLIBC__
static size_t whole_stack(size_t known) { return known; }
#else
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* musl knows of the first thread's stack only what has been touched: this is what it may grow to. A quarter of the
 * limit may be the program's arguments. */
static size_t whole_stack(size_t known) {
    enum { AMPLE = 8 * 1024 * 1024 };
    struct rlimit limit;
    if (known == 0 || syscall(SYS_gettid) != (long)getpid() || getrlimit(RLIMIT_STACK, &limit) != 0) return known;
    const size_t bytes = limit.rlim_cur > AMPLE ? AMPLE : (size_t)limit.rlim_cur, whole = bytes - bytes / 4;
    return whole > known ? whole : known;
}
#endif

/* The lowest address of this thread's stack, and its bytes; none: the system does not say. */
static size_t own_stack(uintptr_t *low) {
    pthread_attr_t attributes;
    void *first = NULL;
    size_t bytes = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 0;
    if (pthread_attr_getstack(&attributes, &first, &bytes) != 0) bytes = 0;
    pthread_attr_destroy(&attributes);
    const size_t whole = whole_stack(bytes);
    *low = (uintptr_t)first - (whole - bytes);
    return whole;
}

bool ag__stack_is_short(void) {
    enum { AMPLE = 256 * 1024 };
    static _Thread_local uintptr_t low;
    static _Thread_local size_t bytes;
    static _Thread_local bool known;
    if (!known) bytes = own_stack(&low);
    known = true;
    const uintptr_t left = (uintptr_t)__builtin_frame_address(0) - low; /* huge: it is below, on another one */
    return bytes > 0 && (left < AMPLE || left > bytes);
}

#else
bool ag__stack_is_short(void) { return false; }
#endif
