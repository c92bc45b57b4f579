/* thread -- threads of the library's own, which the program's signals do not reach; the stack that a thread has left */
#ifndef AG_THREAD_H
#define AG_THREAD_H

#include "autograd/tape/limits.h"

#include <stdbool.h>
#include <stddef.h>

#if AG_HAVE_THREADS
#include <pthread.h>

/* Start a thread, with a stack of this many bytes, or of the system's usual size if 0; false if the system refuses. */
bool ag__thread_start(pthread_t *thread, size_t stack, void *(*run)(void *argument), void *argument);
#endif

/* Whether this thread has little of its stack left, or runs on another stack than its own, of which nothing is known.
 * Most of our loops use less than 48 kB, so those that would use more ask. */
bool ag__stack_is_short(void);

#endif
