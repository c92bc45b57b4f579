/* mutate_runner -- the functions of check that the tests use, for mutate.py, which links this in check's place
 *
 * Every test has a number, in the order in which they are added. With MUTATE=record each runs once, and a line says what
 * it reached. With MUTATE=serve each line read is a mutant and the numbers of tests; a child, forked from this process, runs
 * them as that mutant until one fails, and a line says which. So a mutant costs a fork and its tests: no compiler, no
 * linker, no new process. */
#include <check.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* In the file that mutate.py generates. */
extern int ag__mutant, ag__places;
extern unsigned char ag__reached[];

enum { MOST = 1 << 16, FIXTURES = 4 };

struct Suite {
    int cases;
};

struct TCase {
    int fixtures;
    SFun before[FIXTURES], after[FIXTURES];
};

static struct test {
    const TCase *tcase;
    const TTest *test;
    int i;
} tests[MOST];
static int count;

static jmp_buf failed;
static int *current;  /* the test that runs, seen by the parent */
static FILE *answers; /* where standard output was */

static void *zeroed(size_t size) {
    void *p = calloc(1, size);
    if (!p) abort();
    return p;
}

Suite *suite_create(const char *name) { return (void)name, zeroed(sizeof(Suite)); }
TCase *tcase_create(const char *name) { return (void)name, zeroed(sizeof(TCase)); }
const char *tcase_name(void) { return NULL; }
void suite_add_tcase(Suite *s, TCase *c) { (void)c, s->cases++; }
void tcase_set_timeout(TCase *c, double seconds) { (void)c, (void)seconds; }

void tcase_add_checked_fixture(TCase *c, SFun before, SFun after) {
    if (c->fixtures == FIXTURES) abort();
    c->before[c->fixtures] = before;
    c->after[c->fixtures++] = after;
}

void _tcase_add_test(TCase *c, const TTest *test, int signal, int status, int first, int end) {
    (void)signal, (void)status;
    for (int i = first; i < end; i++) {
        if (count == MOST) abort();
        tests[count++] = (struct test){c, test, i};
    }
}

void _ck_assert_failed(const char *file, int line, const char *expr, const char *message, ...) {
    if (getenv("MUTATE_SAY")) {
        va_list args;
        va_start(args, message);
        fprintf(answers, "# %s:%d: %s ", file, line, expr);
        if (message) vfprintf(answers, message, args);
        fprintf(answers, "\n");
        va_end(args);
    }
    longjmp(failed, 1);
}

void _mark_point(const char *file, int line) { (void)file, (void)line; }

static bool passes(const struct test *t) {
    if (setjmp(failed)) return false;
    const TCase *c = t->tcase;
    for (int k = 0; k < c->fixtures; k++)
        if (c->before[k]) c->before[k]();
    t->test->fn(t->i);
    for (int k = c->fixtures - 1; k >= 0; k--)
        if (c->after[k]) c->after[k]();
    return true;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* number name index seconds passed: places */
static void record(void) {
    for (int k = 0; k < count; k++) {
        memset(ag__reached, 0, (size_t)ag__places);
        double start = now();
        bool passed = passes(&tests[k]);
        fprintf(answers, "%d %s %d %.6f %d:", k, tests[k].test->name, tests[k].i, now() - start, passed);
        for (int p = 0; p < ag__places; p++)
            if (ag__reached[p]) fprintf(answers, " %d", p);
        fprintf(answers, "\n");
    }
    fprintf(answers, "end\n");
    fflush(answers);
}

static _Noreturn void run(char *line, double most) {
    setrlimit(RLIMIT_AS, &(struct rlimit){(rlim_t)4 << 30, (rlim_t)4 << 30});
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    char *at = line;
    ag__mutant = (int)strtol(at, &at, 10);
    double start = now();
    while (*at == ' ') {
        *current = (int)strtol(at + 1, &at, 10);
        long ms = strtol(at + 1, &at, 10);
        setitimer(ITIMER_PROF, &(struct itimerval){.it_value = {ms / 1000, ms % 1000 * 1000}}, NULL);
        setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {60 + ms / 100, 0}}, NULL);
        if (!passes(&tests[*current])) fflush(answers), _exit(1);
        if (now() - start > most) break;
    }
    *current = -1;
    _exit(0);
}

static void serve(void) {
    char *line = NULL;
    size_t size = 0;
    double most = getenv("MUTATE_SECONDS") ? strtod(getenv("MUTATE_SECONDS"), NULL) : 1e9;
    current = mmap(NULL, sizeof *current, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (current == MAP_FAILED) abort();
    while (getline(&line, &size, stdin) > 0) {
        *current = -1;
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) run(line, most);
        int status = 0;
        waitpid(child, &status, 0);
        int last = WIFEXITED(status) && WEXITSTATUS(status) == 0 ? -1 : *current;
        fprintf(answers, "%d %s\n", last,
                last < 0            ? "passed"
                : WIFEXITED(status) ? "failed"
                                    : strsignal(WTERMSIG(status)));
        fflush(answers);
    }
    free(line);
}

struct SRunner {
    int run;
};

SRunner *srunner_create(Suite *s) { return (void)s, zeroed(sizeof(SRunner)); }
void srunner_set_fork_status(SRunner *r, enum fork_status status) { (void)r, (void)status; }
int srunner_ntests_failed(SRunner *r) { return (void)r, 0; }
int srunner_ntests_run(SRunner *r) { return r->run; }
void srunner_free(SRunner *r) { free(r); }

void srunner_run_all(SRunner *r, enum print_output mode) {
    (void)mode;
    const char *way = getenv("MUTATE");
    answers = fdopen(dup(STDOUT_FILENO), "w");
    if (!answers || !way || !freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)) abort();
    if (strcmp(way, "record") == 0) record();
    else serve();
    r->run = count;
}
