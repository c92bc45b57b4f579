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

/* The lowest address of this thread's stack, and its bytes; none: the system does not say. */
static size_t own_stack(uintptr_t *low) {
    pthread_attr_t attributes;
    void *first = NULL;
    size_t bytes = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 0;
    if (pthread_attr_getstack(&attributes, &first, &bytes) != 0) bytes = 0;
    pthread_attr_destroy(&attributes);
    *low = (uintptr_t)first;
    return bytes;
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
