/* library -- optional libraries, loaded when something first needs them
 *
 * So a program starts as fast without them, links without naming them, and runs where they are not installed. */
#ifndef AG_LIBRARY_H
#define AG_LIBRARY_H

#include "autograd/tape/limits.h"
#include "autograd/tape/op.h"

#if AG_HAVE_FFTW || AG_HAVE_LAPACK

/* A lock of what all threads share: a program has threads though the library may make none. */
#if AG_HAVE_THREADS
#include <pthread.h>
#define AG__UNLOCKED PTHREAD_MUTEX_INITIALIZER
typedef pthread_mutex_t ag__lock;
static inline void ag__take_lock(ag__lock *l) { pthread_mutex_lock(l); }
static inline void ag__leave_lock(ag__lock *l) { pthread_mutex_unlock(l); }
#else
#include <stdatomic.h>
#define AG__UNLOCKED ATOMIC_FLAG_INIT
typedef atomic_flag ag__lock;
static inline void ag__take_lock(ag__lock *l) {
    while (atomic_flag_test_and_set(l)) {
    }
}
static inline void ag__leave_lock(ag__lock *l) { atomic_flag_clear(l); }
#endif
#endif

typedef struct ag__symbol {
    const char *name;
    void *to; /* a pointer to a function, which is set */
} ag__symbol;

/* The names of files, of which the first that there is is taken, end with NULL. Only `state` changes. */
typedef struct ag__library {
    const char *const *files;
    const ag__symbol *symbols;
    int count;
    int state; /* 0: not tried yet; 1: loaded; −1: not there, or without one of the symbols */
} ag__library;

/* Whether the library is there, with all symbols. It stays loaded. From any thread. */
bool ag__is_loaded(ag__library *library);

#endif
