/* fuzz -- targets for fuzzers: fuzz TARGET FILE..., or fuzz [--changed] TARGET.seeds..., or fuzz TARGET --random N SEED [FILE]
 *
 * The same program in three forms. libFuzzer has a main of its own: fuzz TARGET [OPTION...] [FOLDER...]. Otherwise main runs
 * the target on each file, on each line of its file of seeds (tests/fuzz/seeds) or these with every byte changed in turn, or on
 * random bytes and random changes of a file;
 * compiled by afl-clang-fast, fuzz TARGET takes one input after the other from AFL++. A fault ends the process; so does a sanitizer that finds one. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const target targets[] = {
    {"npy", fuzz_npy},
    {"zip", fuzz_zip},
    {"safetensors", fuzz_safetensors},
    {"idx", fuzz_idx},
    {"csv", fuzz_csv},
    {"png", fuzz_png},
    {"pnm", fuzz_pnm},
    {"raw", fuzz_raw},
    {"load", fuzz_load},
    {"checkpoint", fuzz_checkpoint},
    {"dlpack", fuzz_dlpack},
    {"expression", fuzz_expression},
    {"text", fuzz_text},
    {"labels", fuzz_labels},
    {"attributes", fuzz_attributes},
    {"encoder", fuzz_encoder},
    {"calls", fuzz_calls},
    {"misuse", fuzz_misuse},
    {"programs", fuzz_programs},
};
enum { TARGETS = sizeof targets / sizeof *targets };

_Noreturn void fault(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("fault: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
    abort();
}

/* ---- Check's functions, outside of its tests ---- */

/* A failed check of support.c or of the generator of programs is a fault. */
_Noreturn void __wrap__ck_assert_failed(const char *file, int line, const char *expression, const char *format, ...);

_Noreturn void __wrap__ck_assert_failed(const char *file, int line, const char *expression, const char *format, ...) {
    char text[2000] = "";
    va_list args;
    va_start(args, format);
    if (format) vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fault("%s:%d: %s %s", file, line, expression, text);
}

void __wrap__mark_point(const char *file, int line);

void __wrap__mark_point(const char *file, int line) { (void)file, (void)line; }

/* ---- Bytes ---- */

bool feed_left(const feed *f) { return f->at < f->end; }

uint64_t feed_bits(feed *f, int bytes) {
    uint64_t bits = 0;
    for (int i = 0; i < bytes && f->at < f->end; i++) bits |= (uint64_t)*f->at++ << 8 * i;
    return bits;
}

int feed_below(feed *f, int n) { return (int)(feed_bits(f, n > 256 ? 2 : 1) % (uint64_t)n); }

int64_t feed_number(feed *f) {
    static const int64_t ends[] = {INT64_MAX,
                                   INT64_MIN,
                                   INT64_MAX - 1,
                                   INT64_MIN / 2,
                                   INT32_MAX,
                                   INT32_MIN,
                                   UINT32_MAX,
                                   (int64_t)1 << 32,
                                   (int64_t)1 << 59,
                                   (int64_t)1 << 60,
                                   (int64_t)1 << 61,
                                   65535,
                                   65536,
                                   1023,
                                   1024,
                                   1025};
    int first = feed_below(f, 256);
    if (first < 200) return first % 10 - 2;
    if (first < 240) return ends[feed_below(f, (int)(sizeof ends / sizeof *ends))];
    return (int64_t)feed_bits(f, first < 250 ? 2 : 8);
}

double feed_real(feed *f) {
    static const double values[] = {
        0,     1,      -1,     0.5,   2, -0.25, 3, 1e-3, -0.0, (double)NAN, (double)INFINITY, -(double)INFINITY,
        1e300, -1e300, 1e-310, 3.5e38};
    int first = feed_below(f, 256);
    double x;
    if (first < 200) return values[first % (int)(sizeof values / sizeof *values)];
    if (first < 230) return (double)feed_number(f);
    uint64_t bits = feed_bits(f, 8);
    memcpy(&x, &bits, sizeof x);
    return x;
}

ag_shape feed_shape(feed *f) {
    int first = feed_below(f, 256);
    ag_shape s = {.rank = first < 250 ? first % 5 : (int)feed_number(f)};
    bool hostile = first >= 224;
    for (int i = 0; i < s.rank && i < AG_MAX_RANK; i++) s.extent[i] = hostile ? feed_number(f) : feed_below(f, 7);
    return s;
}

ag_axes feed_axes(feed *f) {
    int first = feed_below(f, 256);
    ag_axes axes = {.count = first < 250 ? first % 5 - 1 : (int)feed_number(f)};
    for (int i = 0; i < axes.count && i < AG_MAX_RANK; i++) axes.axis[i] = (int)feed_number(f);
    return axes;
}

const char *feed_text(feed *f, char *text, int room) {
    int n = 0;
    while (f->at < f->end && *f->at && n < room - 1) text[n++] = (char)*f->at++;
    if (f->at < f->end) f->at++;
    text[n] = 0;
    return text;
}

/* ---- Tapes ---- */

ag_tape *tape_open(ledger *l) {
    ledger_open(l);
    l->most = MOST_MEMORY;
    ag_tape *t = ag_tape_new_with(&l->allocator);
    if (!t) fault("there is no tape");
    ag_tape_set_threads(t, 1);
    return t;
}

void tape_close(ag_tape *t, ledger *l) {
    ag_tape_free(t);
    ledger_close(l);
}

bool refused(ag_tape *t, const char *call, int64_t nodes) {
    if (ag_tape_status(t) == AG_OK) return false;
    const char *error = ag_tape_error(t);
    if (call && strncmp(error, call, strlen(call)) != 0) fault("%s is refused with \"%s\"", call, error);
    if (strlen(error) < 6) fault("the message is \"%s\"", error);
    int64_t now = ag_tape_memory(t).nodes;
    if (now > nodes) fault("%s: %lld nodes are left", error, (long long)(now - nodes));
    ag_clear_error(t);
    return true;
}

/* ---- Files ---- */

static char folder[200];

static void remove_folder(void) {
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[480];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (*e->d_name != '.') unlink(path);
    }
    if (d) closedir(d);
    rmdir(folder);
}

/* A process of its own makes the folder, and removes it as soon as this one has ended, however it ends and whenever: of
 * the pipe there is then no writer. It keeps no other descriptor open, so that who reads this one's output sees its end. */
static void make_folder(void) {
    int end[2], name[2];
    char byte;
    if (pipe(end) != 0 || pipe(name) != 0) fault("there is no pipe");
    const pid_t remover = fork();
    if (remover < 0) fault("there is no other process");
    if (remover > 0) {
        close(end[0]);
        close(name[1]);
        fcntl(end[1], F_SETFD, FD_CLOEXEC);
        const ssize_t got = read(name[0], folder, sizeof folder);
        close(name[0]);
        if (got != (ssize_t)sizeof folder) fault("%s cannot be made", folder);
        return;
    }
    setsid(); /* what stops the terminal's processes, or this one's group, leaves it */
    for (int d = 0, most = (int)sysconf(_SC_OPEN_MAX); d < most && d < 4096; d++)
        if (d != end[0] && d != name[1]) close(d);
    signal(SIGPIPE, SIG_IGN);
    if (!mkdtemp(folder)) _exit(1);
    const bool told = write(name[1], folder, sizeof folder) == (ssize_t)sizeof folder;
    close(name[1]);
    while (told && read(end[0], &byte, 1) < 0 && errno == EINTR) continue;
    remove_folder();
    _exit(0);
}

const char *path_of(const char *name) {
    static char path[4][300];
    static int next;
    if (!*folder) {
        const char *where = getenv("TMPDIR");
        if (!where || !*where) where = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        snprintf(folder, sizeof folder, "%.150s/autograd-fuzz-XXXXXX", where);
        make_folder();
    }
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

const char *file_of(const char *name, const uint8_t *data, size_t size) {
    const char *path = path_of(name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) fault("%s cannot be written", path);
    return path;
}

/* ---- The chosen target ---- */

static const target *chosen;

static bool choose(const char *name) {
    for (int i = 0; name && i < TARGETS; i++)
        if (strcmp(targets[i].name, name) == 0) chosen = &targets[i];
    return chosen != NULL;
}

static int usage(void) {
    fputs("usage: fuzz TARGET [FILE...]\ntargets:", stderr);
    for (int i = 0; i < TARGETS; i++) fprintf(stderr, " %s", targets[i].name);
    fputs("\n", stderr);
    return 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    chosen->run(data, size);
    return 0;
}

/* The target is the first argument; libFuzzer starts itself again without it, so it is in the environment too. */
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    if (*argc > 1 && choose((*argv)[1])) {
        setenv("AG_FUZZ", (*argv)[1], 1);
        memmove(*argv + 1, *argv + 2, (size_t)(*argc - 1) * sizeof **argv);
        --*argc;
    }
    if (!chosen && !choose(getenv("AG_FUZZ"))) exit(usage());
    return 0;
}

/* ---- main, where no fuzzer has one ---- */

#ifndef FUZZ_LIBFUZZER

/* All of a file, in memory of exactly its size, so that a read beyond it is noticed. */
static uint8_t *read_whole(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) fault("%s cannot be read", path);
    long length = ftell(file);
    rewind(file);
    uint8_t *data = malloc(length > 0 ? (size_t)length : 1);
    *size = (size_t)length;
    if (length < 0 || !data || fread(data, 1, *size, file) != *size) fault("%s cannot be read", path);
    fclose(file);
    return data;
}

static int digit(uint8_t c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; }

static void run_bytes(const uint8_t *data, size_t size) {
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact) fault("out of memory");
    memcpy(exact, data, size);
    chosen->run(exact, size);
    free(exact);
}

/* The input that ends so, is without a byte, has one twice, or another one there: some of these, or in a long run all. */
static int run_changed(const uint8_t *data, size_t size, int already) {
    static const uint8_t others[] = {0,   255, 1,   128, '"', '\\', '{', '}',  '[',
                                     ']', ',', ':', '-', '0', '9',  ' ', '\n', 'u'};
    enum { OTHERS = sizeof others, WAYS = OTHERS + 5 };
    const int one_in = (int)by_length(16, 4, 1);
    uint8_t *copy = malloc(size + 1);
    int runs = 0;
    if (!copy) fault("out of memory");
    for (size_t i = 0; i < size; i++)
        for (int way = 0; way < WAYS; way++) {
            if ((already + runs + (int)i * 7 + way) % one_in) continue;
            const size_t skipped = way == OTHERS + 1, doubled = way == OTHERS + 2;
            memcpy(copy, data, i);
            memcpy(copy + i + doubled, data + i + skipped, size - i - skipped);
            if (doubled) copy[i] = data[i];
            if (way < OTHERS) copy[i] = others[way];
            if (way > OTHERS + 2) copy[i] = (uint8_t)(data[i] + (way == OTHERS + 3 ? 1 : 255));
            run_bytes(copy, way == OTHERS ? i : size + doubled - skipped);
            runs++;
        }
    free(copy);
    return runs;
}

/* A line of a file of seeds: hexadecimal digits. A line that begins with # is a comment. Returns the number of inputs. */
static int run_line(const uint8_t *line, size_t length, bool changed, int already) {
    uint8_t *data = malloc(length / 2 + 1);
    size_t size = length / 2;
    int runs = 1;
    if (!data) fault("out of memory");
    for (size_t i = 0; i < size; i++) data[i] = (uint8_t)(digit(line[2 * i]) << 4 | digit(line[2 * i + 1]));
    if (changed) runs = run_changed(data, size, already);
    else run_bytes(data, size);
    free(data);
    return runs;
}

/* A file of seeds has its target's name. */
static void run_seeds(const char *path, bool changed) {
    size_t size;
    int runs = 0;
    char name[40];
    const char *base = strrchr(path, '/');
    snprintf(name, sizeof name, "%s", base ? base + 1 : path);
    *strchr(name, '.') = 0;
    if (!choose(name)) fault("there is no target %s", name);
    uint8_t *data = read_whole(path, &size);
    for (size_t i = 0; i < size;) {
        const uint8_t *end = memchr(data + i, '\n', size - i);
        size_t length = end ? (size_t)(end - data) - i : size - i;
        if (length == 0 || data[i] != '#') runs += run_line(data + i, length, changed, runs);
        i += length + 1;
    }
    free(data);
    printf("%s: %d inputs\n", name, runs);
    fflush(stdout);
}

static bool is_seeds(const char *path) {
    size_t length = strlen(path);
    return length > 6 && strcmp(path + length - 6, ".seeds") == 0;
}

static void run_file(const char *path) {
    size_t size;
    uint8_t *data = read_whole(path, &size);
    chosen->run(data, size);
    free(data);
}

/* ---- Random bytes: many times as fast as with a sanitizer, and with any compiler ---- */

static uint8_t random_bytes[1024];
static size_t random_size;

/* The input that ends the process stays in a file. */
static void keep_input(int number) {
    int file = open("fault.input", O_CREAT | O_TRUNC | O_WRONLY, 0644);
    static const char said[] = "the input is in fault.input\n";
    if (write(file, random_bytes, random_size) >= 0 && write(STDERR_FILENO, said, sizeof said - 1) > 0) close(file);
    signal(number, SIG_DFL);
    raise(number);
}

static uint64_t random_state;

static uint64_t draw(void) { /* xorshift: Marsaglia (2003) */
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state >> 11;
}

static size_t below(size_t n) { return n ? (size_t)(draw() % n) : 0; }

/* A byte or some are changed, left out, or repeated elsewhere. */
static void change(void) {
    const size_t at = below(random_size), n = below(random_size - at < 16 ? random_size - at : 16);
    switch (below(5)) {
    case 0: random_bytes[at] ^= (uint8_t)(1u << below(8)); break;
    case 1: random_bytes[at] = (uint8_t)draw(); break;
    case 2: random_bytes[at] = (uint8_t)(below(2) ? 0xFF : 0); break;
    case 3:
        memmove(random_bytes + at, random_bytes + at + n, random_size - at - n);
        random_size -= n;
        break;
    default:
        if (random_size + n > sizeof random_bytes) return;
        memmove(random_bytes + at + n, random_bytes + at, random_size - at);
        memmove(random_bytes + at, random_bytes + below(random_size - n), n);
        random_size += n;
    }
}

static void next_input(const uint8_t *file, size_t size) {
    if (file) {
        random_size = size < sizeof random_bytes ? size : sizeof random_bytes;
        memcpy(random_bytes, file, random_size);
        for (size_t i = 1 + below(6); i > 0 && random_size > 0; i--) change();
        return;
    }
    random_size = below(sizeof random_bytes);
    for (size_t i = 0; i < random_size; i++) random_bytes[i] = (uint8_t)draw();
}

static void run_random(int64_t n, uint64_t seed, const char *path) {
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM};
    enum { SECONDS = 60 }; /* of one input */
    size_t size = 0;
    uint8_t *file = path ? read_whole(path, &size) : NULL;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) signal(signals[i], keep_input);
    random_state = seed * 0x9E3779B97F4A7C15u | 1;
    for (int64_t i = 0; i < n; i++) {
        next_input(file, size);
        alarm(SECONDS);
        chosen->run(random_bytes, random_size);
    }
    free(file);
    printf("%s: %lld random inputs\n", chosen->name, (long long)n);
}

/* Inputs in memory that AFL++ shares with this process, each in memory of its own of exactly its size. */
#ifdef __AFL_COMPILER
__AFL_FUZZ_INIT();

static void run_shared(void) {
    const uint8_t *shared = __AFL_FUZZ_TESTCASE_BUF;
    while (__AFL_LOOP(100000)) {
        const size_t size = (size_t)__AFL_FUZZ_TESTCASE_LEN;
        uint8_t *data = malloc(size ? size : 1);
        if (!data) fault("out of memory");
        memcpy(data, shared, size);
        chosen->run(data, size);
        free(data);
    }
}
#endif

int main(int argc, char **argv) {
    const bool changed = argc > 2 && strcmp(argv[1], "--changed") == 0;
    if (argc > 1 + changed && is_seeds(argv[1 + changed])) {
        for (int i = 1 + changed; i < argc; i++) run_seeds(argv[i], changed);
        return 0;
    }
    LLVMFuzzerInitialize(&argc, &argv);
    if (argc >= 4 && strcmp(argv[1], "--random") == 0) {
        run_random(strtoll(argv[2], NULL, 10), strtoull(argv[3], NULL, 10), argv[4]);
        return 0;
    }
#ifdef __AFL_COMPILER
    if (argc == 1) {
        run_shared();
        return 0;
    }
#endif
    for (int i = 1; i < argc; i++) run_file(argv[i]);
    return argc > 1 ? 0 : usage();
}

#endif
