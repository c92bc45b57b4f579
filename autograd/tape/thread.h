/* thread -- threads of the library's own, which the program's signals do not reach */
#ifndef AG_THREAD_H
#define AG_THREAD_H

#include "autograd/tape/limits.h"

#if AG_HAVE_THREADS
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* Start a thread, with a stack of this many bytes, or of the system's usual size if 0; false if the system refuses. */
bool ag__thread_start(pthread_t *thread, size_t stack, void *(*run)(void *argument), void *argument);
#endif

#endif
