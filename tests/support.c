/* support -- see support.h
 *
 * Every block of a ledger has its size in front of it, so that the sizes of freed blocks can be checked. */
#include "autograd/tape/features.h"
#include "autograd/tape/limits.h"
#include "autograd/tape/tape.h"

#include "tests/support.h"

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined __has_include
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif
#ifndef RUNNING_ON_VALGRIND
#define RUNNING_ON_VALGRIND 0
#endif

#if defined __SANITIZE_ADDRESS__
#define BUILT_WITH_ASAN true
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define BUILT_WITH_ASAN true
#endif
#endif
#ifdef BUILT_WITH_ASAN
#include <sanitizer/asan_interface.h>
#define ASAN_POISONED(p) __asan_address_is_poisoned(p)
#else
#define ASAN_POISONED(p) ((void)(p), false)
#define BUILT_WITH_ASAN false
#endif

/* MemorySanitizer knows nothing of what Check itself writes, and takes Check's messages for uninitialised. */
#ifdef __has_feature
#if __has_feature(memory_sanitizer)
#include <sanitizer/msan_interface.h>
#define FOLLOW_NO_CALLS() __msan_scoped_disable_interceptor_checks()
#endif
#endif
#ifndef FOLLOW_NO_CALLS
#define FOLLOW_NO_CALLS() ((void)0)
#endif

/* ---- Running ---- */

const char *scratch(void) { return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"; }

bool under_asan(void) { return BUILT_WITH_ASAN; }

bool under_valgrind(void) { return RUNNING_ON_VALGRIND != 0; }

bool is_poisoned(const void *p) {
#if defined VALGRIND_GET_VBITS && !defined NVALGRIND
    char bits;
    if (under_valgrind()) return VALGRIND_GET_VBITS(p, &bits, 1) == 3;
#endif
    return ASAN_POISONED(p);
}

static bool wished(const char *name) {
    const char *wish = getenv(name);
    return wish && *wish && strcmp(wish, "0") != 0;
}

ag_tape *tape_with_gaps(const ag_allocator *allocator, int bytes) {
    ag_tape *t = ag_tape_new_with(allocator);
    if (t && bytes > 0) t->gap = (uint16_t)bytes;
    return t;
}

void on_one_thread(ag_tape *t) { ck_assert_int_eq(ag_tape_set_threads(t, 1), 1); }

bool small_run(void) {
    const bool again = wished("AG_TEST_AGAIN") && !wished("AG_TEST_LONG");
    return under_valgrind() || wished("AG_TEST_SMALL") || again;
}

bool long_run(void) { return wished("AG_TEST_LONG") && !small_run(); }

int64_t by_length(int64_t in_small, int64_t usual, int64_t in_long) {
    return small_run() ? in_small : long_run() ? in_long : usual;
}

static int skipped, skipped_as_short;

int64_t next_to_fail(int64_t call) { return call + 1 + call / by_length(8, 32, INT64_MAX); }

bool usual_pieces(int tests) {
    if (!AG_TINY_LIMITS) return true;
    skipped += tests;
    return false;
}

/* Check makes files for the results of each test and fixture, in the folder that TEMP names. */
static void keep_results_in_memory(void) { setenv("TEMP", scratch(), 0); }

/* valgrind computes with 64 bits what the type says has 80. */
bool longer_doubles(int tests) {
    volatile long double one = 1, small = 0x1p-60L;
    if (one + small != one) return true;
    skipped_as_short += tests;
    return false;
}

static int run_checks(Suite *suite, enum fork_status forks) {
    keep_results_in_memory();
    SRunner *runner = srunner_create(suite);
    if (!getenv("CK_FORK")) srunner_set_fork_status(runner, forks);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner), run = srunner_ntests_run(runner);
    srunner_free(runner);
    if (skipped) printf("Skipped: %d, which need pieces of the usual size\n", skipped);
    if (skipped_as_short)
        printf("Skipped: %d, which need a long double with more bits than double\n", skipped_as_short);
    return failed || !run;
}

/* Check's own timeout is for processes of one test. */
enum { PATIENCE = 300, PATIENCE_FOR_A_CHILD = 120 };

/* Only what a handler may call. */
static void name_the_test(int number) {
    static const char before[] = "\nNo end of the test ", after[] = " is in sight\n";
    const char *name = tcase_name();
    bool said = write(STDERR_FILENO, before, sizeof before - 1) > 0;
    said = said && (!name || write(STDERR_FILENO, name, strlen(name)) > 0);
    said = said && write(STDERR_FILENO, after, sizeof after - 1) > 0;
    signal(number, SIG_DFL);
    raise(number);
}

void be_patient(void) {
    const char *forks = getenv("CK_FORK");
    if (under_valgrind() || getenv("MUTATE") || (forks && strcmp(forks, "no") != 0)) return; /* these have their own */
    signal(SIGALRM, name_the_test);
    alarm((under_asan() ? 2U : 1U) * (long_run() ? 12U : 1U) * PATIENCE);
}

/* In a child. Returns its result; −1: it died, or a test ended it, and `ended` is unset. */
static int run_contained(Suite *suite) {
    int status = 0;
    bool *ended = mmap(NULL, sizeof *ended, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ended == MAP_FAILED) return -1;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        const int result = run_checks(suite, CK_NOFORK);
        *ended = true;
        exit(result);
    }
    const bool waited = child > 0 && waitpid(child, &status, 0) == child, complete = waited && *ended;
    munmap(ended, sizeof *ended);
    return complete && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Other builds of the library, with which test programs are linked too, may not show what the processor has. */
#if defined __ELF__ && defined __GNUC__ && (defined __x86_64__ || defined __i386__)
extern unsigned ag__processor __attribute__((weak));

static void choose_processor(void) {
    const char *wish = getenv("AG_TEST_PROCESSOR");
    if (!wish || !&ag__processor) return;
    if (strcmp(wish, "avx2") == 0) ag__processor &= AG__HAS_AVX | AG__HAS_AVX2 | AG__HAS_FMA | AG__HAS_LEVEL_3;
    if (strcmp(wish, "none") == 0) ag__processor = 0;
}
#else
static void choose_processor(void) {}
#endif

int run_suite(Suite *suite) {
    FOLLOW_NO_CALLS();
    choose_processor();
    if (getenv("CK_FORK") || under_valgrind() || under_asan()) return run_checks(suite, CK_NOFORK);
    const int result = run_contained(suite);
    if (result >= 0) return result;
    printf("The process of all tests ended early: each now has its own\n");
    if (run_checks(suite, CK_FORK) == 0) printf("Alone, each test passes\n");
    return 1;
}

pid_t begin_child(void) {
    fflush(NULL);
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child > 0) return child;
    signal(SIGALRM, SIG_DFL);
    if (!under_valgrind()) alarm(PATIENCE_FOR_A_CHILD);
    return child;
}

void end_child(pid_t child) {
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(!WIFSIGNALED(status), "the child ended by signal %d", WTERMSIG(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}

static TCase *group(Suite *suite, const char *name) {
    TCase *c = tcase_create(name);
    tcase_set_timeout(c, PATIENCE);
    tcase_add_checked_fixture(c, be_patient, NULL);
    suite_add_tcase(suite, c);
    return c;
}

TCase *plain_group(Suite *suite, const char *name) { return group(suite, name); }

ag_tape *tape;
ledger tape_ledger;

static void open_tape(void) {
    expecting("");
    ledger_open(&tape_ledger);
    tape = ag_tape_new_with(&tape_ledger.allocator);
    ck_assert_ptr_nonnull(tape);
}

static void close_tape(void) {
    ag_tape_free(tape);
    tape = NULL;
    ledger_close(&tape_ledger);
}

TCase *tape_group(Suite *suite, const char *name) {
    TCase *c = group(suite, name);
    tcase_add_checked_fixture(c, open_tape, close_tape);
    return c;
}

/* ---- Memory ---- */

enum { HEADER = 64 };

static void block_free(ledger *l, void *p, size_t bytes) {
    char *block = (char *)p - HEADER;
    size_t taken;
    memcpy(&taken, block, sizeof taken);
    if (taken != bytes) ck_abort_msg("a block of %zu bytes is freed as one of %zu", taken, bytes);
    l->outstanding -= (int64_t)bytes;
    l->blocks--;
    free(block);
}

static bool must_fail(ledger *l) {
    if (l->fail_one_in) return (uint64_t)(scatter(l->draws++) * 1024 + 1024) % (uint64_t)l->fail_one_in == 0;
    return l->fail_at && (l->calls == l->fail_at || (l->fail_for_good && l->calls > l->fail_at));
}

static void *block_new(ledger *l, size_t bytes) {
    l->calls++;
    if (must_fail(l) || (l->fail_bytes && bytes == l->fail_bytes)) {
        l->failed = true;
        return NULL;
    }
    if (bytes > SIZE_MAX / 2 || (l->most && (int64_t)bytes > l->most - l->outstanding)) return NULL;
    char *block = aligned_alloc(HEADER, HEADER + (bytes + HEADER - 1) / HEADER * HEADER);
    if (!block) return NULL;
    memcpy(block, &bytes, sizeof bytes);
    l->outstanding += (int64_t)bytes;
    l->blocks++;
    return block + HEADER;
}

static void *ledger_resize(void *ctx, void *p, size_t old_bytes, size_t new_bytes) {
    ledger *l = ctx;
    if (!p && old_bytes) ck_abort_msg("NULL is freed as a block of %zu bytes", old_bytes);
    void *q = new_bytes ? block_new(l, new_bytes) : NULL;
    if (new_bytes && !q) return NULL;
    if (p && q) memcpy(q, p, old_bytes < new_bytes ? old_bytes : new_bytes);
    if (p) block_free(l, p, old_bytes);
    return q;
}

void ledger_open(ledger *l) {
    memset(l, 0, sizeof *l);
    l->allocator.resize = ledger_resize;
    l->allocator.ctx = l;
}

void ledger_close(const ledger *l) {
    if (l->outstanding || l->blocks)
        ck_abort_msg("%lld bytes in %lld blocks were not freed", (long long)l->outstanding, (long long)l->blocks);
}

void use_up(ag_tape *t) {
    for (int i = 0; i < AG__SEGMENT; i++) ag_scalar(t, AG_F64, i);
    t->slab->used = t->slab->capacity, t->slabs->used = t->slabs->capacity;
}

/* Whether something failed. */
static bool run_failing(ledger *l, ag_tape *t, ag_status (*program)(ag_tape *t)) {
    const bool good = t && program(t) == AG_OK; /* also after a failure that giving back what is free made good */
    if (t && !good) ck_assert_int_eq(ag_tape_status(t), AG_ERR_MEMORY);
    ck_assert(good || l->failed);
    ag_tape_free(t);
    ledger_close(l);
    return l->failed;
}

/* A tape whose first slab of small blocks has so many bytes left, and of which the next one fails; NULL: so many it has
 * not. */
static ag_tape *nearly_full(ledger *l, int64_t left) {
    ag_tape *t = ag_tape_new_with(&l->allocator);
    ag_tensor *x = ag_scalar(t, AG_F64, 1);
    const int64_t room = (int64_t)(t->slab->capacity - t->slab->used) - (int64_t)sizeof(ag__label) - 8;
    char *text = room > left ? calloc(1, (size_t)(room - left) + 1) : NULL;
    if (!text) return ag_tape_free(t), NULL;
    ag_label(x, memset(text, 'x', (size_t)(room - left)));
    free(text);
    l->fail_bytes = 2 * t->slab->capacity;
    return t;
}

void with_each_allocation_failing(ag_status (*program)(ag_tape *t)) {
    ledger l;
    bool failed;
    for (int used_up = 0; used_up < 2; used_up++) {
        failed = true;
        for (int64_t at = 1; failed; at = next_to_fail(at)) {
            ledger_open(&l);
            l.fail_at = at;
            ag_tape *t = ag_tape_new_with(&l.allocator);
            ck_assert(t || l.failed);
            if (t && used_up) use_up(t);
            failed = run_failing(&l, t, program);
        }
    }
    failed = true;
    for (int64_t left = 0; failed; left += 8 * (1 + left / by_length(16, 64, INT64_MAX))) {
        ledger_open(&l);
        ag_tape *t = nearly_full(&l, left);
        failed = t && run_failing(&l, t, program);
    }
}

/* ---- Expectations ---- */

static char context[160];

void expecting(const char *what) { snprintf(context, sizeof context, "%s%s", what, *what ? ": " : ""); }

static void fail_here(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void fail_here(const char *file, int line, const char *format, ...) {
    char text[1400];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    ck_abort_msg("%s%s:%d: %s", context, file, line, text);
}

void expect_error_at(const char *file, int line, ag_tape *t, ag_status status, ...) {
    ag_status found = ag_tape_status(t);
    const char *text = ag_tape_error(t);
    if (found != status)
        fail_here(file, line, "wanted %s, found %s: \"%s\"", ag_status_name(status), ag_status_name(found), text);
    va_list pieces;
    va_start(pieces, status);
    for (const char *piece = va_arg(pieces, const char *); piece; piece = va_arg(pieces, const char *))
        if (!strstr(text, piece)) fail_here(file, line, "\"%s\" is not in the message \"%s\"", piece, text);
    va_end(pieces);
    if (status != AG_OK && !*text) fail_here(file, line, "the message is empty");
    ag_clear_error(t);
    if (ag_tape_status(t) != AG_OK || *ag_tape_error(t)) fail_here(file, line, "the error is not cleared");
}

void expect_ok_at(const char *file, int line, const ag_tape *t) {
    if (ag_tape_status(t) != AG_OK)
        fail_here(file, line, "%s: \"%s\"", ag_status_name(ag_tape_status(t)), ag_tape_error(t));
    if (*ag_tape_error(t)) fail_here(file, line, "a text without an error: \"%s\"", ag_tape_error(t));
}

static void print_shape(char text[128], const ag_shape *shape) {
    int used = snprintf(text, 128, "(");
    for (int i = 0; i < shape->rank && i < AG_MAX_RANK && used < 100; i++)
        used += snprintf(text + used, 128 - (size_t)used, "%s%lld", i ? "," : "", (long long)shape->extent[i]);
    snprintf(text + used, 128 - (size_t)used, ")");
}

static bool shapes_equal(const ag_shape *a, const ag_shape *b) {
    for (int i = 0; i < a->rank; i++)
        if (a->rank != b->rank || a->extent[i] != b->extent[i]) return false;
    return a->rank == b->rank;
}

void expect_shape_at(const char *file, int line, const ag_tensor *x, ag_shape shape) {
    ag_shape found = ag_shape_of(x);
    char want[128], got[128];
    print_shape(want, &shape);
    print_shape(got, &found);
    if (ag_is_nil(x)) fail_here(file, line, "nil: \"%s\"", ag_tape_error(ag_tape_of(x)));
    if (!shapes_equal(&found, &shape)) fail_here(file, line, "wanted shape %s, found %s", want, got);
}

bool near_value(ag_dtype dtype, double got, double want, double ulps, double floor) {
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got);
    if (got == want) return true;
    if (isinf(want) || isinf(got)) return false;
    double epsilon = dtype == AG_F32 ? 0x1p-23 : dtype == AG_F64 ? 0x1p-52 : 0;
    double tiniest = dtype == AG_F32 ? 0x1p-149 : dtype == AG_F64 ? 0x1p-1074 : 0;
    double unit = fmax(fmax(fabs(want), floor) * epsilon, tiniest);
    return fabs(got - want) <= ulps * unit;
}

void expect_near_at(const char *file, int line, ag_tensor *x, int64_t n, const double values[], double ulps,
                    double floor) {
    const void *data = ag_data(x);
    if (!data) fail_here(file, line, "no data: \"%s\"", ag_tape_error(ag_tape_of(x)));
    if (ag_size(x) != n) fail_here(file, line, "wanted %lld elements, found %lld", (long long)n, (long long)ag_size(x));
    for (int64_t i = 0; i < n; i++) {
        double got = element_at(ag_dtype_of(x), data, i);
        if (!near_value(ag_dtype_of(x), got, values[i], ulps, floor))
            fail_here(file, line, "element %lld: wanted %.17g (%a), found %.17g (%a)", (long long)i, values[i],
                      values[i], got, got);
    }
}

void expect_same_at(const char *file, int line, ag_tensor *a, ag_tensor *b) {
    const void *p = ag_data(a), *q = ag_data(b);
    if (!p || !q) fail_here(file, line, "no data: \"%s\"", ag_tape_error(ag_tape_of(p ? b : a)));
    ag_dtype dtype = ag_dtype_of(a);
    if (dtype != ag_dtype_of(b))
        fail_here(file, line, "%s and %s", ag_dtype_name(dtype), ag_dtype_name(ag_dtype_of(b)));
    expect_shape_at(file, line, b, ag_shape_of(a));
    size_t size = ag_dtype_size(dtype);
    for (int64_t i = 0; i < ag_size(a); i++) {
        double left = element_at(dtype, p, i), right = element_at(dtype, q, i);
        if (isnan(left) && isnan(right)) continue;
        if (memcmp((const char *)p + (size_t)i * size, (const char *)q + (size_t)i * size, size) != 0)
            fail_here(file, line, "element %lld: %.17g (%a) and %.17g (%a) are not the same bits", (long long)i, left,
                      left, right, right);
    }
}

/* ---- Data ---- */

int64_t shape_size(const ag_shape *shape) {
    int64_t size = 1;
    for (int i = 0; i < shape->rank; i++) size *= shape->extent[i];
    return size;
}

static void *room_for(ag_dtype dtype, int64_t n) {
    void *data = malloc((size_t)(n ? n : 1) * ag_dtype_size(dtype));
    ck_assert_ptr_nonnull(data);
    return data;
}

ag_tensor *tensor_of(ag_tape *t, ag_dtype dtype, ag_shape shape, const double values[]) {
    int64_t n = shape_size(&shape);
    void *data = room_for(dtype, n);
    for (int64_t i = 0; i < n; i++) element_put(dtype, data, i, values[i]);
    ag_tensor *x = ag_from(t, dtype, shape, data);
    free(data);
    return x;
}

ag_tensor *scattered(ag_tape *t, ag_dtype dtype, ag_shape shape, uint64_t first) {
    int64_t n = shape_size(&shape);
    void *data = room_for(dtype, n);
    for (int64_t i = 0; i < n; i++) {
        double value = scatter(first + (uint64_t)i);
        element_put(dtype, data, i, dtype == AG_I64 ? floor(value * 8) : dtype == AG_BOOL ? value > 0 : value);
    }
    ag_tensor *x = ag_from(t, dtype, shape, data);
    free(data);
    return x;
}
