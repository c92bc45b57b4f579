/* library -- see library.h */
#include "ops/library.h"

#if AG_HAVE_FFTW || AG_HAVE_LAPACK

#include <dlfcn.h>
#include <string.h>

#if AG_HAVE_THREADS
#include <pthread.h>

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static void lock(void) { pthread_mutex_lock(&loading); }
static void unlock(void) { pthread_mutex_unlock(&loading); }
#else
static void lock(void) {}
static void unlock(void) {}
#endif

static void *opened(const char *const *files) {
    void *handle = NULL;
    for (; *files && !handle; files++) handle = dlopen(*files, RTLD_NOW | RTLD_LOCAL);
    return handle;
}

/* ISO C has no conversion of an address to a function: its bytes are copied. */
static bool has_all(void *handle, const ag__library *library) {
    for (int i = 0; i < library->count; i++) {
        void *address = dlsym(handle, library->symbols[i].name);
        if (!address) return false;
        memcpy(library->symbols[i].to, &address, sizeof address);
    }
    return true;
}

bool ag__is_loaded(ag__library *library) {
    lock();
    if (library->state == 0) {
        void *handle = opened(library->files);
        library->state = handle && has_all(handle, library) ? 1 : -1;
    }
    const bool there = library->state > 0;
    unlock();
    return there;
}

#endif
