/* unload -- the shared library, loaded by name, used on several threads and unloaded: its threads end with it, and the
 * memory that its tapes shared is freed
 *
 * usage: unload LIBRARY */
#define AG_NO_LOCATION
#include "autograd/autograd.h"

#include <dlfcn.h>
#if defined __GLIBC__ && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
#include <malloc.h>
#define IN_USE() mallinfo2().uordblks
#else
#define IN_USE() 0
#endif
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *library;

/* POSIX allows dlsym's result to be a function; C does not. */
static void find(const char *name, void *function, size_t bytes) {
    void *found = dlsym(library, name);
    memcpy(function, &found, bytes);
}

static double sum_of_squares(int threads) {
    ag_tape *(*tape_new)(void);
    int (*set_threads)(ag_tape *, int);
    ag_tensor *(*arange)(ag_tape *, ag_dtype, int64_t), *(*square)(ag_tensor *), *(*sum)(ag_tensor *),
        *(*stepwise[4])(ag_tensor *);
    double (*item)(ag_tensor *);
    void (*tape_free)(ag_tape *);
    find("ag_tape_new", &tape_new, sizeof tape_new);
    find("ag_tape_set_threads", &set_threads, sizeof set_threads);
    find("ag_arange", &arange, sizeof arange);
    find("ag_square", &square, sizeof square);
    static const char *const names[] = {"ag_erfinv", "ag_ndtri", "ag_log_ndtr", "ag_lgamma"};
    for (int i = 0; i < 4; i++) find(names[i], &stepwise[i], sizeof stepwise[i]);
    find("ag_sum", &sum, sizeof sum);
    find("ag_item", &item, sizeof item);
    find("ag_tape_free", &tape_free, sizeof tape_free);
    ag_tape *t = tape_new();
    set_threads(t, threads);
    double y = 0;
    for (int i = 0; i < 4; i++) item(sum(stepwise[i](arange(t, AG_F64, 3)))); /* by steps, which tapes share */
    for (int i = 0; i < 20; i++) y = item(sum(square(arange(t, AG_F64, 1000000))));
    tape_free(t);
    return y;
}

static bool load_use_unload(const char *path) {
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) return printf("%s\n", dlerror()), false;
    double y = sum_of_squares(4);
    bool good = y == sum_of_squares(1);
    if (!good) printf("the sum is %.17g\n", y);
    if (dlclose(library) != 0) return printf("%s\n", dlerror()), false;
    usleep(1000); /* a remaining thread would run code that is no longer mapped */
    return good;
}

int main(int argc, char **argv) {
    enum { LITTLE = 16384 }; /* what malloc keeps of freed blocks, and counts */
    if (argc != 2) return 2;
    size_t in_use = 0;
    for (int i = 0; i < 5; i++) {
        if (!load_use_unload(argv[1])) return 1;
        if (i == 1) in_use = IN_USE();
        if (i > 1 && IN_USE() > in_use + LITTLE) return printf("%zu bytes more in use\n", IN_USE() - in_use), 1;
        pid_t child = fork(); /* no handler remains */
        if (child == 0) _exit(load_use_unload(argv[1]) ? 0 : 1);
        int status = -1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) return printf("status %d\n", status), 1;
    }
    return 0;
}
