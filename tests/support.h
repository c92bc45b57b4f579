/* support -- used by every test program: the runner, a tape whose memory is counted, and comparisons
 *
 * A ledger is an allocator that counts, that can be told to fail, and that checks the sizes of freed blocks. Tests
 * with the `tape` fixture get a tape on a ledger, and fail if memory is outstanding after the tape is freed. */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <check.h>
#include <sys/types.h>

#include "autograd/autograd.h"

/* Check writes the place of each assertion that holds to a file, to tell after a crash which was the last. There are
 * millions, and a test that crashes is named by running it alone: only those that fail do anything here. */
#undef ck_assert_msg
#define ck_assert_msg(expr, ...)                                                                                       \
    ((expr) ? (void)0 : _ck_assert_failed(__FILE__, __LINE__, "Assertion '" #expr "' failed", __VA_ARGS__))

/* ---- Running ---- */

/* Runs the suite and returns main's result. CK_FORK, CK_RUN_SUITE, CK_RUN_CASE and CK_VERBOSITY are honoured. All tests
 * run in one process, a child of this one. If it crashes, ends or hangs, all run again, each in a process of its own, so
 * that the one at fault is named. Under valgrind and AddressSanitizer, which name it, there is no child. With
 * AG_TEST_PROCESSOR=avx2 the library takes the processor for one without AVX-512, with none for one without AVX too. */
int run_suite(Suite *suite);

/* A test that has not ended after five minutes, an hour in long runs, twice as much under AddressSanitizer, ends its
 * process, with its name. Each begins so; one that takes SIGALRM for itself calls it when it is done, and one whose
 * repetitions a caller chooses now and then. */
void be_patient(void);

/* fork, in a test. The child must call nothing of Check's, and _exit; one that has not ended after two minutes is killed.
 * The end is waited for, and must be that of a child in which all went well. */
pid_t begin_child(void);
void end_child(pid_t child);

/* A group of tests without fixture, and one where each test has `tape`. */
TCase *plain_group(Suite *suite, const char *name);
TCase *tape_group(Suite *suite, const char *name);

/* Whether to reduce sizes and repetitions: under valgrind, with AG_TEST_SMALL=1, and with AG_TEST_AGAIN=1, for a program
 * that has run under another evaluator, except in long runs. Whether this is one: AG_TEST_LONG=1. The number of the three
 * that is for this run. */
bool small_run(void);
bool long_run(void);
int64_t by_length(int64_t in_small, int64_t usual, int64_t in_long);

/* For a test that compares memory: each thread takes some, and how many there are depends on what else the machine does. */
void on_one_thread(ag_tape *tape);

/* The call to fail after this one: the next in long runs; in others, the further on, the more are left out. */
int64_t next_to_fail(int64_t call);

/* The folder to make files and folders in: in memory, where there is such a one, since a disk waits for each file that is
 * synced, or replaced. */
const char *scratch(void);

/* Whether this program was compiled with AddressSanitizer; whether it runs under valgrind. */
bool under_asan(void);
bool under_valgrind(void);

/* Whether one of the two would report a use of this byte. */
bool is_poisoned(const void *p);

/* A tape that leaves so many bytes behind each buffer, as it does under these two; 0: what it leaves itself. */
ag_tape *tape_with_gaps(const ag_allocator *allocator, int bytes);

/* Whether to add `tests` tests whose reference is long double: not where that has no more bits than double, on 32-bit Arm
 * and under valgrind. They are then reported as skipped. */
bool longer_doubles(int tests);

/* Whether to add `tests` tests of how work is divided into pieces: not to a build with tiny limits, where the pieces
 * differ. They are then reported as skipped. */
bool usual_pieces(int tests);

/* ---- Memory ---- */

typedef struct ledger {
    ag_allocator allocator; /* give its address to ag_tape_new_with */
    int64_t outstanding;    /* bytes taken and not freed */
    int64_t blocks;
    int64_t calls;       /* for memory: new blocks and growth */
    int64_t fail_at;     /* this call fails, counted from 1; 0: none */
    bool fail_for_good;  /* and all after it */
    int64_t fail_one_in; /* of so many calls one fails, at random; 0: none */
    size_t fail_bytes;   /* blocks of so many bytes fail; 0: none */
    uint64_t draws;      /* of these random numbers, so far */
    bool failed;         /* a call has failed */
    int64_t most;        /* no more bytes than these are given, and that is no failure; 0: any number */
} ledger;

void ledger_open(ledger *l);
/* Fails the test unless everything was freed. */
void ledger_close(const ledger *l);

/* Leaves no room in t's own memory, a new tape's, for nodes and for what is small: more comes from its allocator. */
void use_up(ag_tape *t);

/* Run a program on new tapes, whose first allocation fails, then the second, and so on (see next_to_fail), until it
 * comes through: each time before, its status is AG_ERR_MEMORY, and nothing is left over. Again on tapes whose own memory
 * is used up. Then on tapes that have room
 * for more and more of the program's nodes and the like, which are cut from one allocation, before there is none. */
void with_each_allocation_failing(ag_status (*program)(ag_tape *t));

extern ag_tape *tape; /* of the fixture */
extern ledger tape_ledger;

/* ---- Expectations: each fails the running test, naming its line ---- */

/* Sets the prefix of the messages of failing expectations from now on; "": none. */
void expecting(const char *what);

/* The status and every given piece of the message (the list ends with NULL) stick to the tape; the error is then cleared. */
#define expect_error(...) expect_error_at(__FILE__, __LINE__, __VA_ARGS__, (const char *)NULL)
void expect_error_at(const char *file, int line, ag_tape *t, ag_status status, ...);

#define expect_ok(t) expect_ok_at(__FILE__, __LINE__, t)
void expect_ok_at(const char *file, int line, const ag_tape *t);

#define expect_shape(x, shape) expect_shape_at(__FILE__, __LINE__, x, shape)
void expect_shape_at(const char *file, int line, const ag_tensor *x, ag_shape shape);

/* Elements in row-major order, NaN equal to NaN, within `ulps` units in the last place of x's dtype (at the larger of
 * the expected magnitude and `floor`). */
#define expect_near(x, n, values, ulps, floor) expect_near_at(__FILE__, __LINE__, x, n, values, ulps, floor)
void expect_near_at(const char *file, int line, ag_tensor *x, int64_t n, const double values[], double ulps,
                    double floor);

/* The list written out: expect_list(y, 1, 2, 3). */
#define expect_list(x, ...)                                                                                            \
    expect_near_at(__FILE__, __LINE__, x, (int64_t)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)),                 \
                   (const double[]){__VA_ARGS__}, 0, 0)

/* One element, exactly. */
#define expect_item(x, value) expect_near_at(__FILE__, __LINE__, x, 1, (const double[]){value}, 0, 0)

/* Same dtype, shape and bytes (every NaN counts as the same). */
#define expect_same(a, b) expect_same_at(__FILE__, __LINE__, a, b)
void expect_same_at(const char *file, int line, ag_tensor *a, ag_tensor *b);

/* Whether got is within ulps of want, NaN equal to NaN, for this dtype. */
bool near_value(ag_dtype dtype, double got, double want, double ulps, double floor);

/* ---- Data ---- */

/* Row-major element i of a memory block of this dtype, as a double; and the other way. */
static inline double element_at(ag_dtype dtype, const void *data, int64_t i) {
    if (dtype == AG_BOOL) return ((const uint8_t *)data)[i];
    if (dtype == AG_I64) return (double)((const int64_t *)data)[i];
    return dtype == AG_F32 ? (double)((const float *)data)[i] : ((const double *)data)[i];
}

static inline void element_put(ag_dtype dtype, void *data, int64_t i, double value) {
    if (dtype == AG_BOOL) ((uint8_t *)data)[i] = value != 0;
    else if (dtype == AG_I64) ((int64_t *)data)[i] = (int64_t)value;
    else if (dtype == AG_F32) ((float *)data)[i] = (float)value;
    else ((double *)data)[i] = value;
}

/* A constant with these values, converted to the dtype. */
ag_tensor *tensor_of(ag_tape *t, ag_dtype dtype, ag_shape shape, const double values[]);

/* Number i of a fixed sequence without pattern, -1 <= value < 1, a multiple of 2^-10. */
static inline double scatter(uint64_t i) {
    uint64_t z = (i + 1) * 0x9E3779B97F4A7C15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (double)(z >> 53) / 1024 - 1;
}

/* A constant of these numbers, from number `first` on. */
ag_tensor *scattered(ag_tape *t, ag_dtype dtype, ag_shape shape, uint64_t first);

int64_t shape_size(const ag_shape *shape);

#endif
