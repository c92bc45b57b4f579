/* rows_program -- the time that a program with the library takes to start and end, and the library's size */
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool nothing_to_set_up(const row *r, int threads) { return (void)r, (void)threads, true; }
static bool nothing_to_tear_down(const row *r) { return (void)r, true; }

static bool run_program(char *const command[]) {
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        execvp(command[0], command);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* This program with a hidden option: it builds a small model and prints one gradient step's loss. */
static void start_and_end(const row *r, int64_t repetitions) {
    char *command[] = {(char *)(uintptr_t)program_path(), (char *)(uintptr_t) "--small-model", NULL};
    for (int64_t k = 0; k < repetitions; k++)
        if (!run_program(command)) fprintf(stderr, "bench: %s: the program fails\n", r->name);
}

/* The shared library that was built with this program, found relative to it. */
static bool library_path(char *path, size_t bytes) {
    static const char *const names[] = {"libautograd.so", "libautograd.dylib"};
    const char *self = program_path(), *slash = strrchr(self, '/');
    for (int i = 0; i < 2; i++) {
        int directory = slash ? (int)(slash - self) : 1;
        snprintf(path, bytes, "%.*s/../%s", directory, slash ? self : ".", names[i]);
        if (access(path, R_OK) == 0) return true;
    }
    return false;
}

static double stripped_size(const row *r) {
    char library[1024], stripped[] = "/tmp/autograd-bench-XXXXXX";
    struct stat info = {0};
    if (!library_path(library, sizeof library)) {
        fprintf(stderr, "bench: %s: cannot find %s\n", r->name, library);
        return NAN;
    }
    int file = mkstemp(stripped);
    if (file < 0) return NAN;
    char *command[] = {(char *)(uintptr_t) "strip", (char *)(uintptr_t) "-o", stripped, library, NULL};
    bool good = run_program(command) && stat(stripped, &info) == 0;
    close(file);
    unlink(stripped);
    return good ? (double)info.st_size : NAN;
}

int program_rows(row *to) {
    const row rows[] = {
        {.name = "startup",
         .what = "a program that builds and differentiates a small model, from start to end",
         .unit = "s",
         .each = "",
         .once = true,
         .setup = nothing_to_set_up,
         .work = start_and_end,
         .teardown = nothing_to_tear_down,
         .peers = {{.name = "goal", .where = FIGURE, .figure = 3e-3, .limit = 1}}},
        {.name = "size",
         .what = "the shared library, stripped",
         .unit = "B",
         .each = "",
         .once = true,
         .setup = nothing_to_set_up,
         .measure = stripped_size,
         .teardown = nothing_to_tear_down,
         .peers = {{.name = "goal", .where = FIGURE, .figure = 1 << 20, .limit = 1}}},
    };
    int n = (int)(sizeof rows / sizeof *rows);
    for (int i = 0; i < n; i++) to[i] = rows[i];
    return n;
}
