/* thread -- see thread.h */
#include "autograd/tape/thread.h"

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
