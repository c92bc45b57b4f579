/* library -- see library.h */
#include "ops/library.h"

#if AG_HAVE_FFTW || AG_HAVE_LAPACK

#include <dlfcn.h>
#include <string.h>

static ag__lock loading = AG__UNLOCKED;

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
    ag__take_lock(&loading);
    if (library->state == 0) {
        void *handle = opened(library->files);
        library->state = handle && has_all(handle, library) ? 1 : -1;
    }
    const bool there = library->state > 0;
    ag__leave_lock(&loading);
    return there;
}

#endif
