/* test_calls -- whatever the system refuses, a file is the old one or the new one, and so it is after a loss of power
 *
 * Each function that writes a file runs once to count the system's calls; then it runs again and again, and each time
 * another call fails, in one of several ways. The same for each that reads one. Then each change that a writer makes is
 * noted, and the power goes after each of them: see power.h. */
#define _XOPEN_SOURCE 700
#include "autograd_config.h"
#include "io/io.h"
#include "nn/nn.h"
#include "tests/calls.h"
#include "tests/files.h"
#include "tests/power.h"
#include "tests/support.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- A folder ---- */

enum { ROOM = 400 };
static char folder[64], path[ROOM];

static const char *in(const char *name) {
    static char full[8][ROOM];
    static int turn;
    char *to = full[turn++ % 8];
    snprintf(to, ROOM, "%s/%s", folder, name);
    return to;
}

static void open_folder(void) {
    snprintf(folder, sizeof folder, "%s/test_calls.XXXXXX", scratch());
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static int files_in_folder(bool remove_them) {
    int n = 0;
    DIR *d = opendir(folder);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (*e->d_name == '.') continue;
        n++;
        if (remove_them) unlink(in(e->d_name));
    }
    closedir(d);
    return n;
}

static void close_folder(void) {
    files_in_folder(true);
    ck_assert_int_eq(rmdir(folder), 0);
}

static int lowest_free_descriptor(void) {
    int d = dup(STDERR_FILENO);
    close(d);
    return d;
}

/* ---- What is written ---- */

/* A tape with a small model, whose numbers depend on the version. */
typedef struct subject {
    ag_tape *tape;
    ag_tensor *w, *b, *y;
    int64_t step;
    int version;
} subject;

static subject subject_of(int version) {
    ag_tape *t = ag_tape_new();
    subject s = {.tape = t, .step = version, .version = version};
    ck_assert_ptr_nonnull(t);
    s.w = ag_label(ag_parameter_from(ag_contiguous(scattered(t, AG_F64, AG_SHAPE(30, 40), (uint64_t)version * 999))),
                   "w");
    s.b = ag_label(ag_parameter_from(ag_full(t, AG_F32, AG_SHAPE(4), version)), "b");
    s.y = ag_minimum(ag_abs(s.w), ag_scalar(t, AG_F64, 1));
    ck_assert_int_eq(ag_eval(s.y), AG_OK);
    return s;
}

static ag_status write_tensors(const subject *s, const char *to) {
    return ag_save(to, 2, (ag_tensor *[]){s->w, s->b}, NULL);
}
static ag_status write_packed(const subject *s, const char *to) {
    return ag_save(to, 2, (ag_tensor *[]){s->w, s->b}, &(ag_save_options){.compress = AG_HAVE_ZLIB});
}
static ag_status write_one(const subject *s, const char *to) { return ag_save(to, 1, &s->w, NULL); }
static ag_status write_csv(const subject *s, const char *to) { return ag_csv_write(to, s->w, NULL); }
static ag_status write_raw(const subject *s, const char *to) { return ag_raw_write(to, s->w); }
static ag_status write_image(const subject *s, const char *to) { return ag_image_write(to, s->y); }
static ag_status write_dot(const subject *s, const char *to) {
    return ag_write_dot(to, 1, (ag_tensor *[]){s->version == 1 ? s->y : s->w}, NULL);
}
static ag_status write_curves(const subject *s, const char *to) {
    const double y[3] = {1, s->version, 3};
    return ag_curves_write(s->tape, to, 1, &(ag_curve){.name = "loss", .n = 3, .y = y}, NULL);
}

typedef struct writer {
    const char *name; /* of the file */
    ag_status (*write)(const subject *s, const char *to);
} writer;

static const writer writers[] = {
    {"a.safetensors", write_tensors},
    {"a.npz", write_tensors},
    {"packed.npz", write_packed},
    {"a.npy", write_one},
    {"a.csv", write_csv},
    {"a.raw", write_raw},
    {"a.pgm", write_image},
    {"a.pam", write_image},
    {"a.dot", write_dot},
    {"a.svg", write_curves},
    {"a.png", write_image},
};
enum { WRITERS = sizeof writers / sizeof *writers - !AG_HAVE_PNG };

/* The file of each version of the subject, undisturbed; of version 0, that there is none. */
static unsigned char *right[3];
static size_t right_n[3];
static subject subjects[3];

static void write_right(const writer *w) {
    snprintf(path, ROOM, "%s", in(w->name));
    for (int v = 1; v < 3; v++) {
        subjects[v] = subject_of(v);
        ck_assert_int_eq(w->write(&subjects[v], path), AG_OK);
        right[v] = read_bytes(path, &right_n[v]);
    }
    ck_assert(right_n[1] != right_n[2] || memcmp(right[1], right[2], right_n[1]) != 0);
}

static void forget_right(void) {
    for (int v = 1; v < 3; v++) {
        free(right[v]);
        ag_tape_free(subjects[v].tape);
    }
}

/* The version whose bytes these are; −1: none's. */
static int version_of(const unsigned char *bytes, size_t n) {
    for (int v = 1; v < 3; v++)
        if (n == right_n[v] && memcmp(bytes, right[v], n) == 0) return v;
    return -1;
}

static int version_there(void) {
    struct stat s;
    size_t n;
    if (stat(path, &s) != 0) return 0;
    unsigned char *bytes = read_bytes(path, &n);
    const int v = version_of(bytes, n);
    free(bytes);
    return v;
}

/* Write the old version, or have no file. */
static void restore(int version) {
    unlink(path);
    if (version) write_bytes(path, right[version], right_n[version]);
}

/* ---- Refused calls ---- */

static int64_t runs, states;

/* How a call fails: an error, from which the caller cannot go on, or which it must not notice. */
typedef struct failure {
    int error, kinds;
    int64_t times;
    bool unnoticed;
    size_t most;
} failure;

static const failure failures[] = {
    {.error = EIO, .kinds = CALLS_ALL, .times = 1},
    {.error = ENOSPC, .kinds = CALLS_ALL, .times = 1},
    {.error = EDQUOT, .kinds = CALLS_ALL, .times = 1},
    {.error = EMFILE, .kinds = 1 << CALL_OPEN | 1 << CALL_STREAM | 1 << CALL_FOLDER | 1 << CALL_COPY, .times = 1},
    {.error = ENOMEM, .kinds = CALLS_ALL, .times = 1},
    {.error = EIO, .kinds = CALLS_ALL, .times = INT32_MAX},
    {.error = EINTR, .kinds = CALLS_SLOW, .times = 1, .unnoticed = true},
    {.error = EINTR, .kinds = CALLS_SLOW & ~(1 << CALL_CLOSE), .times = 5, .unnoticed = true},
    {.error = EINTR, .kinds = 1 << CALL_WRITE | 1 << CALL_READ, .times = 1, .unnoticed = true, .most = 1000},
    {.error = 0, .kinds = 0, .times = 0, .unnoticed = true, .most = 1},
};
enum { FAILURES = sizeof failures / sizeof *failures };

/* After a failure of the call number `at`. The file is the new one if the writer says so. */
static void expect_old_or_new(const subject *s, ag_status status, const failure *f, int64_t at, call_kind failed,
                              int old) {
    const char *text = ag_tape_error(s->tape), *wrong = NULL;
    const int there = version_there(), beside = files_in_folder(false) - (there != 0);
    if (status == AG_OK && there != s->version) wrong = "no error, and the file is not the new one";
    if (status != AG_OK && there != old && !(there == s->version && strstr(text, "is written, but")))
        wrong = "the file is not the old one";
    if (status != AG_OK && f->unnoticed) wrong = "an error";
    if (status != AG_OK && status != AG_ERR_FILE) wrong = "another error";
    if (status != AG_OK && (!strstr(text, path) || !strstr(text, strerror(f->error))))
        wrong = "a message without the file, or the reason";
    const bool may_be_left = f->times > 1 && failed == CALL_REMOVE;
    if (beside && !may_be_left) wrong = "a file is left beside it";
    if (wrong)
        ck_abort_msg("%s, %s at call %lld (%s), version %d of %d: %s; \"%s\"", path, strerror(f->error), (long long)at,
                     call_name(failed), there, s->version, wrong, text);
}

static void fail_each(const writer *w, const failure *f, int old) {
    call_kind failed = CALL_OPEN;
    const subject *s = &subjects[2];
    for (int64_t at = 1; failed != CALL_KINDS; at = next_to_fail(at), runs++) {
        const int free_descriptor = lowest_free_descriptor();
        call_faults faults = {
            .kinds = f->kinds, .first = at, .last = at + f->times - 1, .error = f->error, .most = f->most};
        restore(old);
        calls_begin(&faults);
        const ag_status status = w->write(s, path);
        calls_end(&failed);
        expect_old_or_new(s, status, f, at, failed, old);
        ck_assert_int_eq(lowest_free_descriptor(), free_descriptor);
        ag_clear_error(s->tape);
        files_in_folder(true);
    }
}

START_TEST(each_call_of_a_writer_fails) {
    const writer *w = &writers[_i];
    write_right(w);
    for (int i = 0; i < FAILURES; i++)
        for (int old = 0; old < 2; old++) fail_each(w, &failures[i], old);
    forget_right();
}
END_TEST

/* Through a link in another folder, and where mode and owner must be given to the new file. */
START_TEST(each_call_behind_a_link_fails) {
    const writer *w = &writers[0];
    char target[ROOM];
    write_right(w);
    unlink(path);
    snprintf(target, ROOM, "%s", in("target.safetensors"));
    call_kind failed = CALL_OPEN;
    for (int64_t at = 1; failed != CALL_KINDS; at++, runs++) {
        call_faults faults = {.kinds = CALLS_ALL, .first = at, .last = at, .error = EIO};
        write_bytes(target, right[1], right_n[1]);
        ck_assert_int_eq(chmod(target, 0604), 0);
        if (geteuid() == 0) ck_assert(chown(target, 65534, 65533) == 0);
        ck_assert_int_eq(symlink("target.safetensors", path), 0);
        calls_begin(&faults);
        const ag_status status = w->write(&subjects[2], path);
        calls_end(&failed);
        struct stat s;
        ck_assert(lstat(path, &s) == 0 && S_ISLNK(s.st_mode));
        const int there = version_there();
        const bool late = strstr(ag_tape_error(subjects[2].tape), "is written, but") != NULL;
        ck_assert_msg(there == (status == AG_OK || late ? 2 : 1), "call %lld (%s)", (long long)at, call_name(failed));
        ck_assert_int_eq(files_in_folder(true), 2);
        ag_clear_error(subjects[2].tape);
    }
    forget_right();
}
END_TEST

/* ---- Reading ---- */

static bool is_w(ag_tensor *x, const subject *s) {
    const void *p = ag_data(x), *q = ag_data(s->w);
    return p && q && ag_size(x) == ag_size(s->w) && memcmp(p, q, (size_t)ag_size(x) * sizeof(double)) == 0;
}

static bool read_named(subject *s) { return is_w(ag_read(s->tape, path, "w", NULL), s); }
static bool read_only(subject *s) { return is_w(ag_read(s->tape, path, NULL, NULL), s); }
static bool read_mapped(subject *s) { return is_w(ag_read(s->tape, path, "w", &(ag_read_options){.map = true}), s); }
static bool read_all(subject *s) {
    ag_tensor *x[4];
    return ag_read_all(s->tape, path, NULL, 4, x) == 2 && is_w(x[0], s);
}
static bool read_csv(subject *s) { return is_w(ag_csv_read(s->tape, path, AG_F64, NULL), s); }
static bool read_raw(subject *s) {
    return is_w(ag_raw_read(s->tape, path, AG_SHAPE(30, 40), &(ag_raw_options){.dtype = "f64"}), s);
}
static bool read_image(subject *s) {
    ag_tensor *x = ag_image_read(s->tape, path, AG_F64);
    return ag_size(x) == ag_size(s->y) && ag_data(x);
}
static bool load(subject *s) {
    ag_tensor *v[2] = {ag_label(ag_variable_from(ag_zeros(s->tape, AG_F64, AG_SHAPE(30, 40))), "w"),
                       ag_label(ag_variable_from(ag_zeros(s->tape, AG_F32, AG_SHAPE(4))), "b")};
    if (ag_eval_all(2, v) != AG_OK) return false;
    const ag_status status = ag_load(path, 2, v, NULL, NULL);
    char former[ROOM * 4];
    snprintf(former, sizeof former, "%s", ag_tape_error(s->tape));
    ag_clear_error(s->tape);
    const bool good = is_w(v[0], s) && ag_element(v[1], 0) == s->version;
    ck_assert(good || (ag_element(v[0], 7) == 0 && ag_element(v[1], 3) == 0)); /* all of them, or none */
    ck_assert_msg(good == (status == AG_OK), "%s", former);
    return good;
}

static const struct {
    const writer *from;
    bool (*read)(subject *s);
} readers[] = {
    {&writers[0], read_named}, {&writers[0], read_mapped}, {&writers[0], read_all}, {&writers[0], load},
    {&writers[1], read_named}, {&writers[1], load},        {&writers[2], read_all}, {&writers[2], load},
    {&writers[3], read_only},  {&writers[4], read_csv},    {&writers[5], read_raw}, {&writers[6], read_image},
    {&writers[7], read_image}, {&writers[10], read_image},
};
enum { READERS = sizeof readers / sizeof *readers - !AG_HAVE_PNG };

static void fail_each_read(bool (*read)(subject *s), const failure *f) {
    call_kind failed = CALL_OPEN;
    subject *s = &subjects[2];
    for (int64_t at = 1; failed != CALL_KINDS; at = next_to_fail(at), runs++) {
        const int free_descriptor = lowest_free_descriptor();
        const ag_mark mark = ag_tape_mark(s->tape);
        call_faults faults = {
            .kinds = f->kinds, .first = at, .last = at + f->times - 1, .error = f->error, .most = f->most};
        calls_begin(&faults);
        const bool good = read(s);
        calls_end(&failed);
        const ag_status status = ag_tape_status(s->tape);
        const char *text = ag_tape_error(s->tape);
        const bool told = read == load || ((status == AG_ERR_FILE || status == AG_ERR_MEMORY) && strstr(text, path) &&
                                           strstr(text, strerror(f->error)));
        ck_assert_msg(good || (told && !f->unnoticed), "%s, %s at call %lld (%s): \"%s\"", path, strerror(f->error),
                      (long long)at, call_name(failed), text);
        ag_clear_error(s->tape);
        ck_assert_int_eq(ag_tape_rewind(s->tape, mark), AG_OK);
        ck_assert_int_eq(lowest_free_descriptor(), free_descriptor);
    }
}

START_TEST(each_call_of_a_reader_fails) {
    write_right(readers[_i].from);
    for (int i = 0; i < FAILURES; i++) fail_each_read(readers[_i].read, &failures[i]);
    forget_right();
}
END_TEST

/* ---- Loss of power ---- */

typedef struct expectation {
    int old;        /* the version that was there */
    bool returned;  /* the writer has */
    int64_t broken; /* states that must not be */
} expectation;

static void expect_version(int n, const power_file file[], void *context) {
    expectation *e = context;
    const char *name = strrchr(path, '/') + 1;
    int v = 0;
    for (int i = 0; i < n; i++)
        if (strcmp(file[i].name, name) == 0) v = version_of(file[i].bytes, file[i].n);
    e->broken += v != 2 && (e->returned || v != e->old);
}

/* How many states are broken, whenever the power goes. */
static int64_t broken_states(int old, power_fault fault) {
    int changes;
    expectation e = {.old = old};
    calls_noted(&changes);
    for (int i = 0; i <= changes; i++) {
        e.returned = i == changes;
        states += power_states(i, fault, expect_version, &e);
    }
    return e.broken;
}

static void lose_power(const writer *w, int old) {
    restore(old);
    power_begin(folder);
    call_faults faults = {.kinds = CALLS_ALL, .note = true};
    calls_begin(&faults);
    ck_assert_int_eq(w->write(&subjects[2], path), AG_OK);
    calls_end(NULL);
    ck_assert_int_eq(broken_states(old, POWER_SYNCS), 0);
    ck_assert_int_gt(broken_states(old, POWER_NO_SYNC), 0);
    ck_assert_int_gt(broken_states(old, POWER_NO_FOLDER_SYNC), 0);
    power_end();
}

START_TEST(the_power_goes_between_any_two_changes) {
    write_right(&writers[_i]);
    lose_power(&writers[_i], 0);
    lose_power(&writers[_i], 1);
    forget_right();
}
END_TEST

/* ---- Checkpoints ---- */

enum { KEPT = 2 };

static ag_status save_checkpoint(subject *s, const char *to) {
    const ag_number numbers[] = {{.name = "step", .integer = &s->step}};
    return ag_checkpoint_save(s->tape, to, 1, numbers, KEPT);
}

/* The step of the newest checkpoint; −1: it cannot be loaded, or has parts of several. */
static int64_t load_checkpoint(const char *from) {
    subject s = subject_of(9);
    const ag_number numbers[] = {{.name = "step", .integer = &s.step}};
    const int64_t found = ag_checkpoint_load(s.tape, from, 1, numbers, NULL, NULL);
    const bool good = found > 0 && ag_element(s.b, 0) == (double)s.step;
    ag_tape_free(s.tape);
    return good ? s.step : found == 0 ? 0 : -1;
}

static void expect_checkpoint(int n, const power_file file[], void *context) {
    expectation *e = context;
    char into[ROOM], name[ROOM * 2];
    snprintf(into, ROOM, "%s.power", folder);
    ck_assert_int_eq(mkdir(into, 0700), 0);
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%s/%s", into, file[i].name);
        write_bytes(name, file[i].bytes, file[i].n);
    }
    snprintf(name, sizeof name, "%s/run", into);
    const int64_t step = load_checkpoint(name);
    e->broken += step != e->old + 1 && (e->returned || step != e->old);
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%s/%s", into, file[i].name);
        unlink(name);
    }
    ck_assert_int_eq(rmdir(into), 0);
}

/* Number `old` is there, and up to KEPT before it; the power goes while the next is saved. */
static void lose_power_at_checkpoint(int old, power_fault fault, bool breaks) {
    int changes;
    expectation e = {.old = old};
    subject s = subject_of(old + 1);
    power_begin(folder);
    call_faults faults = {.kinds = CALLS_ALL, .note = true};
    calls_begin(&faults);
    ck_assert_int_eq(save_checkpoint(&s, in("run")), AG_OK);
    calls_end(NULL);
    calls_noted(&changes);
    for (int i = 0; i <= changes; i++) {
        e.returned = i == changes;
        states += power_states(i, fault, expect_checkpoint, &e);
    }
    ck_assert_msg((e.broken > 0) == breaks, "%lld states are broken", (long long)e.broken);
    ag_tape_free(s.tape);
    power_end();
}

START_TEST(the_power_goes_while_a_checkpoint_is_saved) {
    for (int old = 0; old < 4; old++) lose_power_at_checkpoint(old, POWER_SYNCS, false);
    lose_power_at_checkpoint(4, POWER_NO_SYNC, true);
    lose_power_at_checkpoint(5, POWER_NO_FOLDER_SYNC, true);
}
END_TEST

/* After any failure the series has the old checkpoint or the new one, and can be continued. */
START_TEST(each_call_of_a_checkpoint_fails) {
    const failure *f = &failures[_i];
    call_kind failed = CALL_OPEN;
    for (int64_t at = 1; failed != CALL_KINDS; at = next_to_fail(at), runs++) {
        call_faults faults = {
            .kinds = f->kinds, .first = at, .last = at + f->times - 1, .error = f->error, .most = f->most};
        files_in_folder(true);
        for (int v = 1; v < 4; v++) {
            subject s = subject_of(v);
            if (v == 3) calls_begin(&faults);
            const ag_status status = save_checkpoint(&s, in("run"));
            if (v == 3) calls_end(&failed);
            const char *text = ag_tape_error(s.tape);
            ck_assert_msg(status == AG_OK ||
                              (v == 3 && !f->unnoticed && status == AG_ERR_FILE && strstr(text, strerror(f->error))),
                          "call %lld (%s): %s", (long long)at, call_name(failed), text);
            const int64_t there = load_checkpoint(in("run"));
            ck_assert_msg(there == v || (v == 3 && status != AG_OK && there == 2),
                          "call %lld (%s): %lld is there, \"%s\"", (long long)at, call_name(failed), (long long)there,
                          text);
            ag_clear_error(s.tape);
            if (v == 3) ck_assert_int_eq(save_checkpoint(&s, in("run")), AG_OK);
            ag_tape_free(s.tape);
        }
        ck_assert_int_eq(files_in_folder(true), KEPT);
    }
}
END_TEST

/* ---- Logs ---- */

static const char *const records = "{\"step\":1,\"loss\":0.5}\n{\"step\":2,\"loss\":0.25}\n";

static const size_t first_record = sizeof "{\"step\":1,\"loss\":0.5}";

/* Two records, of which the second is written when the log is opened again. */
static ag_status write_log(ag_tape *t, const char *to) {
    for (int step = 1; step < 3; step++) {
        ag_run_log log;
        ag_run_log_open(&log, t, to, &(ag_run_log_options){.resume = true, .step = step - 1});
        ag_run_log_write(&log, step, 1, &(ag_reading){.name = "loss", .value = 1.0 / (2 * step)});
        ag_run_log_close(&log);
    }
    return ag_tape_status(t);
}

static void expect_records(int n, const power_file file[], void *context) {
    expectation *e = context;
    const bool whole = n == 1 && file[0].n == strlen(records) && memcmp(file[0].bytes, records, file[0].n) == 0;
    e->broken += !whole;
}

/* Once a log is closed it is safe. */
START_TEST(the_power_goes_after_a_log_is_closed) {
    static const power_fault fault[] = {POWER_SYNCS, POWER_NO_SYNC, POWER_NO_FOLDER_SYNC};
    ag_tape *t = ag_tape_new();
    power_begin(folder);
    call_faults faults = {.kinds = CALLS_ALL, .note = true};
    calls_begin(&faults);
    ck_assert_int_eq(write_log(t, in("run.jsonl")), AG_OK);
    calls_end(NULL);
    for (int i = 0; i < 3; i++) {
        int changes;
        expectation e = {.broken = 0};
        calls_noted(&changes);
        states += power_states(changes, fault[i], expect_records, &e);
        ck_assert_int_eq(e.broken > 0, i > 0);
    }
    power_end();
    ag_tape_free(t);
}
END_TEST

/* After a failure the log has none, one or both of the records, whole, and can be continued. */
START_TEST(each_call_of_a_log_fails) {
    const failure *f = &failures[_i];
    call_kind failed = CALL_OPEN;
    ag_tape *t = ag_tape_new();
    snprintf(path, ROOM, "%s", in("run.jsonl"));
    for (int64_t at = 1; failed != CALL_KINDS; at = next_to_fail(at), runs++) {
        call_faults faults = {
            .kinds = f->kinds, .first = at, .last = at + f->times - 1, .error = f->error, .most = f->most};
        const int free_descriptor = lowest_free_descriptor();
        unlink(path);
        calls_begin(&faults);
        ag_status status = write_log(t, path);
        calls_end(&failed);
        const char *text = ag_tape_error(t);
        ck_assert_msg(status == AG_OK || (!f->unnoticed && status == AG_ERR_FILE && strstr(text, strerror(f->error))),
                      "call %lld (%s): %s", (long long)at, call_name(failed), text);
        ck_assert_int_eq(lowest_free_descriptor(), free_descriptor);
        ag_clear_error(t);
        size_t n = 0;
        unsigned char *bytes = access(path, F_OK) == 0 ? read_bytes(path, &n) : NULL;
        ck_assert_msg(n == 0 || n == first_record || n == strlen(records), "%zu bytes are left", n);
        ck_assert(n == 0 || memcmp(bytes, records, n) == 0);
        ck_assert(status != AG_OK || n == strlen(records));
        free(bytes);
        ck_assert_int_eq(write_log(t, path), AG_OK);
        bytes = read_bytes(path, &n);
        ck_assert(n == strlen(records) && memcmp(bytes, records, n) == 0);
        free(bytes);
    }
    ag_tape_free(t);
}
END_TEST

/* ---- Pages for machine code ---- */

static double evaluate(void) {
    ag_tape *t = ag_tape_new();
    ag_tape_set_evaluator(t, AG_EVALUATOR_FUSED);
    ag_tensor *x = ag_reshape(ag_arange(t, AG_F32, 60000), AG_SHAPE(200, 300)), *dx;
    ag_tensor *y = ag_softmax(ag_tanh(ag_scale(x, 1e-4)), 1);
    ag_grad(ag_sum(ag_mul(y, ag_sigmoid(x))), 1, &x, &dx);
    double sum = ag_item(ag_add(ag_sum(ag_exp(y)), ag_sum(ag_square(dx))));
    ck_assert_msg(ag_tape_status(t) == AG_OK, "%s", ag_tape_error(t));
    ag_tape_free(t);
    return sum;
}

/* One after the other, and all: kernels run in place of machine code, and give the same bits. */
START_TEST(pages_are_refused) {
    call_kind failed = CALL_OPEN;
    const double want = evaluate();
    for (int64_t at = 1; failed != CALL_KINDS; at++, runs++)
        for (int all = 0; all < 2; all++) {
            call_faults faults = {
                .kinds = 1 << CALL_MAP, .first = at, .last = all ? INT32_MAX : at, .error = all ? ENOMEM : EACCES};
            calls_begin(&faults);
            const double sum = evaluate();
            calls_end(&failed);
            ck_assert(sum == want);
        }
}
END_TEST

static void say_how_many(void) {
    printf("Calls: %lld failures, and %lld states after a loss of power\n", (long long)runs, (long long)states);
    fflush(stdout);
}

START_TEST(figures) { say_how_many(); }
END_TEST

int main(void) {
    Suite *suite = suite_create("calls");
    TCase *writing = plain_group(suite, "writing");
    tcase_add_checked_fixture(writing, open_folder, close_folder);
    tcase_add_loop_test(writing, each_call_of_a_writer_fails, 0, WRITERS);
    tcase_add_test(writing, each_call_behind_a_link_fails);
    tcase_add_loop_test(writing, each_call_of_a_checkpoint_fails, 0, FAILURES);
    tcase_add_loop_test(writing, each_call_of_a_log_fails, 0, FAILURES);
    TCase *reading = plain_group(suite, "reading");
    tcase_add_checked_fixture(reading, open_folder, close_folder);
    tcase_add_loop_test(reading, each_call_of_a_reader_fails, 0, READERS);
    TCase *power = plain_group(suite, "power");
    tcase_add_checked_fixture(power, open_folder, close_folder);
    tcase_add_loop_test(power, the_power_goes_between_any_two_changes, 0, WRITERS);
    tcase_add_test(power, the_power_goes_while_a_checkpoint_is_saved);
    tcase_add_test(power, the_power_goes_after_a_log_is_closed);
    tcase_add_test(plain_group(suite, "pages"), pages_are_refused);
    tcase_add_test(plain_group(suite, "figures"), figures);
    return run_suite(suite);
}
