/* child -- peers that are processes of their own: PyTorch, and BLIS with the kernels that it chooses by itself
 *
 * We write "check ROW" or "run ROW REPETITIONS", and the child answers with a number on one line: what comes out, or
 * how many seconds it took. Anything else that it answers is its reason for not doing it. */
#include "bench.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
    bool tried;
    pid_t pid;
    FILE *to, *from;
    char absent[160];
};

static child torch, blis;

static void become(char *const command[], const int in[2], const int out[2], int threads) {
    char number[16];
    snprintf(number, sizeof number, "%d", threads);
    setenv("OMP_NUM_THREADS", number, 1);
    setenv("OPENBLAS_NUM_THREADS", number, 1); /* torch.set_num_threads does not reach OpenBLAS's own threads */
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    close(in[0]), close(in[1]), close(out[0]), close(out[1]);
    execvp(command[0], command);
    printf("%s cannot be started\n", command[0]);
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

static child *start(child *c, char *const command[], int threads) {
    if (c->tried) return c;
    c->tried = true;
    int in[2], out[2];
    double hello;
    signal(SIGPIPE, SIG_IGN);
    fflush(stdout);
    if (pipe(in) != 0 || pipe(out) != 0 || (c->pid = fork()) < 0) {
        snprintf(c->absent, sizeof c->absent, "no process could be started");
        return c;
    }
    if (c->pid == 0) become(command, in, out, threads);
    close(in[0]), close(out[1]);
    fcntl(in[1], F_SETFD, FD_CLOEXEC); /* a later child that kept our end open would keep this one from ending */
    fcntl(out[0], F_SETFD, FD_CLOEXEC);
    c->to = fdopen(in[1], "w");
    c->from = fdopen(out[0], "r");
    listen_to(c, &hello);
    return c;
}

child *child_torch(int threads, bool work) {
    static char number[16];
    const char *python = getenv("PYTHON");
    snprintf(number, sizeof number, "%d", threads);
    char *command[] = {(char *)(uintptr_t)(python ? python : "python3"),
                       (char *)(uintptr_t)(AG_BENCH_DIR "/peer_torch.py"), number,
                       (char *)(uintptr_t)(work ? "--cpu" : "--clock"), NULL};
    return start(&torch, command, threads);
}

child *child_blis(int threads, bool work) {
    static char number[16];
    snprintf(number, sizeof number, "%d", threads);
    char *command[] = {(char *)(uintptr_t)program_path(), (char *)(uintptr_t) "--serve-blis", number,
                       (char *)(uintptr_t)(work ? "--cpu" : "--clock"), NULL};
    return start(&blis, command, threads);
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

double child_check(child *c, const char *name) {
    if (c->absent[0]) return NAN;
    fprintf(c->to, "check %s\n", name);
    return ask(c);
}

double child_run(child *c, const char *name, int64_t repetitions) {
    if (c->absent[0]) return NAN;
    fprintf(c->to, "run %s %lld\n", name, (long long)repetitions);
    return ask(c);
}

static void end(child *c) {
    if (c->to) fclose(c->to);
    if (c->from) fclose(c->from);
    if (c->pid > 0) waitpid(c->pid, NULL, 0);
}

void children_end(void) {
    end(&torch);
    end(&blis);
}
