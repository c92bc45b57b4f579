/* child -- peers that are processes of their own: PyTorch, and this program with other kernels
 *
 * There is one for each number of threads, and one of PyTorch whose allocations are counted. We write "check ROW 0",
 * "run ROW REPETITIONS" or "peak ROW 0", and the child answers with a number on one line: the result, the seconds it
 * took, or the bytes it held. Any other answer is its reason for refusing. */
#include "bench.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum kind { PYTORCH, PYTORCH_COUNTED, WITH_KERNELS };

struct child {
    enum kind kind;
    const char *kernels; /* of WITH_KERNELS */
    int threads;         /* 0: free */
    pid_t pid;
    FILE *to, *from;
    char absent[160];
};

enum { MOST_CHILDREN = 16 };
static child children[MOST_CHILDREN];

/* libbench_count is in this program's folder. */
static void count_allocations(void) {
    char path[4096];
    const char *self = program_path(), *slash = strrchr(self, '/');
    int directory = slash ? (int)(slash - self) : 1;
    snprintf(path, sizeof path, "%.*s/libbench_count.so", directory, slash ? self : ".");
    setenv("LD_PRELOAD", path, 1);
}

static void become(const child *c, char *const command[], const int in[2], const int out[2]) {
    char number[16];
    snprintf(number, sizeof number, "%d", c->threads);
    setenv("OMP_NUM_THREADS", number, 1);
    setenv("OPENBLAS_NUM_THREADS", number, 1); /* torch.set_num_threads does not reach OpenBLAS's own threads */
    if (c->kind == PYTORCH_COUNTED) count_allocations();
    if (c->kind == WITH_KERNELS) setenv("AG_KERNELS", c->kernels, 1);
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    close(in[0]), close(in[1]), close(out[0]), close(out[1]);
    execvp(command[0], command);
    printf("cannot start %s\n", command[0]);
    fflush(stdout);
    _exit(127);
}

static bool listen_to(child *c, double *value) {
    char line[160] = "", *end;
    if (!fgets(line, sizeof line, c->from)) snprintf(line, sizeof line, "it ended");
    line[strcspn(line, "\n")] = '\0';
    *value = strtod(line, &end);
    if (end != line && *end == '\0') return true;
    snprintf(c->absent, sizeof c->absent, "%s", line);
    return false;
}

static void start(child *c, char *const command[]) {
    int in[2], out[2];
    double hello;
    signal(SIGPIPE, SIG_IGN);
    fflush(stdout);
    if (pipe(in) != 0 || pipe(out) != 0 || (c->pid = fork()) < 0) {
        snprintf(c->absent, sizeof c->absent, "cannot start a process");
        return;
    }
    if (c->pid == 0) become(c, command, in, out);
    close(in[0]), close(out[1]);
    fcntl(in[1], F_SETFD, FD_CLOEXEC); /* if a later child kept our end open, this one would not end */
    fcntl(out[0], F_SETFD, FD_CLOEXEC);
    c->to = fdopen(in[1], "w");
    c->from = fdopen(out[0], "r");
    listen_to(c, &hello);
}

static bool is_same(const child *c, enum kind kind, int threads, const char *kernels) {
    return c->kind == kind && c->threads == threads && (!kernels || strcmp(c->kernels, kernels) == 0);
}

static child *find(enum kind kind, int threads, const char *kernels, char *const command[]) {
    child *c = children;
    while (c < children + MOST_CHILDREN - 1 && c->threads && !is_same(c, kind, threads, kernels)) c++;
    if (c->threads) return c;
    c->kind = kind;
    c->kernels = kernels;
    c->threads = threads;
    start(c, command);
    return c;
}

static char *word(const char *text) { return (char *)(uintptr_t)text; }

static child *find_torch(enum kind kind, int threads, bool work) {
    char number[16];
    const char *python = getenv("PYTHON");
    snprintf(number, sizeof number, "%d", threads);
    char *command[] = {word(python ? python : "python3"), word(AG_BENCH_DIR "/peer_torch.py"), number,
                       word(work ? "--cpu" : "--clock"), NULL};
    return find(kind, threads, NULL, command);
}

child *child_torch(int threads, bool work) { return find_torch(PYTORCH, threads, work); }

child *child_torch_memory(void) { return find_torch(PYTORCH_COUNTED, 1, false); }

child *child_ourselves(int threads, const char *kernels) {
    char number[16];
    snprintf(number, sizeof number, "%d", threads);
    char *command[] = {word(program_path()), word("--serve"), number, NULL};
    return find(WITH_KERNELS, threads, kernels, command);
}

const char *child_absent(const child *c) { return c->absent[0] ? c->absent : NULL; }

static double ask(child *c) {
    double value;
    fflush(c->to);
    if (listen_to(c, &value)) return value;
    fprintf(stderr, "bench: a peer: %s\n", c->absent);
    if (strcmp(c->absent, "it ended") != 0) c->absent[0] = '\0'; /* only this row */
    return NAN;
}

static double command(child *c, const char *what, const char *name, int64_t repetitions) {
    if (c->absent[0]) return NAN;
    fprintf(c->to, "%s %s %lld\n", what, name, (long long)repetitions);
    return ask(c);
}

double child_check(child *c, const char *name) { return command(c, "check", name, 0); }
double child_run(child *c, const char *name, int64_t repetitions) { return command(c, "run", name, repetitions); }
double child_peak(child *c, const char *name) { return command(c, "peak", name, 0); }

void children_end(void) {
    for (child *c = children; c < children + MOST_CHILDREN; c++) {
        if (c->to) fclose(c->to);
        if (c->from) fclose(c->from);
        if (c->pid > 0) waitpid(c->pid, NULL, 0);
    }
}
