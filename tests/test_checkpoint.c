/* test_checkpoint -- the state of training in files: whole or not there, and training that goes on with the same bits
 *
 * Each test has a folder of its own, whose files are listed by name. In children of the last group, which die on the way,
 * the linker puts the functions __wrap_… in the place of the system's. */
#define _POSIX_C_SOURCE 200809L
#include "io/io.h"
#include "nn/nn.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support.h"

enum { ROOM = 400, MOST = 1 << 16 };

/* ---- The folder ---- */

static char folder[64];

static void make_folder(void) {
    snprintf(folder, sizeof folder, "%s/test_checkpoint.XXXXXX", scratch());
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static const char *in(const char *name) {
    static char path[8][ROOM];
    static int turn;
    char *to = path[turn++ % 8];
    snprintf(to, ROOM, "%s/%s", folder, name);
    return to;
}

static int by_text(const void *p, const void *q) { return strcmp(p, q); }

/* The names of the folder's files, sorted, with blanks between them. */
static const char *files(void) {
    static char text[4000], name[40][100];
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d)) != NULL && n < 40;)
        if (*e->d_name != '.') snprintf(name[n++], sizeof *name, "%.99s", e->d_name);
    closedir(d);
    qsort(name, (size_t)n, sizeof *name, by_text);
    *text = 0;
    for (int i = 0; i < n; i++) strcat(strcat(text, i ? " " : ""), name[i]);
    return text;
}

static void empty_folder(void) {
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (unlink(in(e->d_name)) != 0) rmdir(in(e->d_name));
    closedir(d);
}

static void remove_folder(void) {
    empty_folder();
    ck_assert_int_eq(rmdir(folder), 0);
}

static size_t read_file(const char *path, unsigned char bytes[MOST]) {
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s cannot be opened", path);
    size_t n = fread(bytes, 1, MOST, file);
    fclose(file);
    ck_assert_uint_lt(n, MOST);
    return n;
}

static void write_file(const char *path, const void *bytes, size_t n) {
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

/* ---- A program with state ---- */

typedef struct program {
    ag_tensor *w, *mean;
    int64_t epoch, steps;
    double best;
    ag_number numbers[3];
} program;

static void begin(program *p, ag_tape *t, double value) {
    const double w[] = {value, value + 1, value + 2, value + 3, value + 4, value + 5};
    const float mean[] = {(float)value, (float)value / 3};
    *p = (program){.w = ag_label(ag_parameter(t, AG_F64, AG_SHAPE(2, 3), w), "layer.w"),
                   .mean = ag_label(ag_variable(t, AG_F32, AG_SHAPE(2), mean), "layer.mean"),
                   .epoch = (int64_t)value,
                   .steps = INT64_MIN + (int64_t)value,
                   .best = value / 7};
    p->numbers[0] = (ag_number){.name = "epoch", .integer = &p->epoch};
    p->numbers[1] = (ag_number){.name = "adam.steps", .integer = &p->steps};
    p->numbers[2] = (ag_number){.name = "best", .real = &p->best};
}

static ag_status save(ag_tape *t, program *p, const char *path, int keep) {
    return ag_checkpoint_save(t, path, 3, p->numbers, keep);
}

static int64_t load(ag_tape *t, program *p, const char *path, const ag_checkpoint_options *options) {
    return ag_checkpoint_load(t, path, 3, p->numbers, options, NULL);
}

#define expect_program(p, value) expect_program_at(__LINE__, p, value)
static void expect_program_at(int line, program *p, double value) {
    char text[40];
    snprintf(text, sizeof text, "line %d", line);
    expecting(text);
    expect_list(p->w, value, value + 1, value + 2, value + 3, value + 4, value + 5);
    expect_list(p->mean, (float)value, (float)value / 3);
    ck_assert_int_eq(p->epoch, (int64_t)value);
    ck_assert_int_eq(p->steps, INT64_MIN + (int64_t)value);
    ck_assert_double_eq(p->best, value / 7);
    expecting("");
}

static double draw(ag_tape *t) { return ag_item(ag_uniform(t, AG_F64, AG_SCALAR, 0, 1)); }

/* ---- Saving and loading ---- */

START_TEST(everything_comes_back) {
    program p, q;
    ag_tape *other = ag_tape_new();
    ag_tape_seed(tape, UINT64_MAX - 5);
    begin(&p, tape, 3);
    for (int i = 0; i < 5; i++) draw(tape);
    int64_t nodes = ag_tape_memory(tape).nodes;
    ck_assert_int_eq(save(tape, &p, in("run"), 3), AG_OK);
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
    begin(&q, other, 20);
    draw(other);
    nodes = ag_tape_memory(other).nodes;
    ck_assert_int_eq(load(other, &q, in("run"), NULL), 1);
    ck_assert_int_eq(ag_tape_memory(other).nodes, nodes);
    expect_program(&q, 3);
    ck_assert_double_eq(draw(other), draw(tape));
    p.best = NAN;
    save(tape, &p, in("run"), 3);
    load(other, &q, in("run"), NULL);
    ck_assert(isnan(q.best));
    expect_ok(other);
    ag_tape_free(other);
}
END_TEST

START_TEST(what_is_recorded_keeps_the_old_values) {
    program p;
    begin(&p, tape, 3);
    save(tape, &p, in("run"), 3);
    ag_tensor *sum = ag_sum(p.w);
    ag_assign(p.w, ag_scale(p.w, 2));
    ck_assert_int_eq(save(tape, &p, in("run"), 3), AG_OK); /* with the value that is pending */
    expect_item(sum, 33);
    ck_assert_int_eq(load(tape, &p, in("run"), NULL), 2);
    expect_list(p.w, 6, 8, 10, 12, 14, 16);
    ag_assign(p.w, ag_scale(p.w, 2)); /* and loading replaces one */
    ck_assert_int_eq(load(tape, &p, in("run"), &(ag_checkpoint_options){.number = 1}), 1);
    expect_list(p.w, 3, 4, 5, 6, 7, 8);
    expect_item(sum, 33);
}
END_TEST

START_TEST(every_dtype_and_no_elements) {
    const double nan_bits = -NAN;
    const int64_t large = INT64_MIN;
    ag_tensor *v[] = {
        ag_label(ag_variable_from(ag_zeros(tape, AG_F32, AG_SHAPE(0, 3))), "none"),
        ag_label(ag_variable(tape, AG_BOOL, AG_SHAPE(2), (bool[]){true, false}), "mask"),
        ag_label(ag_variable(tape, AG_I64, AG_SCALAR, &large), "count"),
        ag_label(ag_variable(tape, AG_F64, AG_SCALAR, &nan_bits), "nan"),
        ag_label(ag_variable_from(ag_transpose(scattered(tape, AG_F32, AG_SHAPE(3, 5), 7), 0, 1)), "turned")};
    ag_tensor *before[5];
    for (int i = 0; i < 5; i++) before[i] = ag_from(tape, ag_dtype_of(v[i]), ag_shape_of(v[i]), ag_data(v[i]));
    ck_assert_int_eq(ag_checkpoint_save(tape, in("run"), 0, NULL, 1), AG_OK);
    ag_set(v[1], (bool[]){false, true}), ag_set(v[2], &(int64_t){1}), ag_set(v[3], &(double){1});
    ag_assign(v[4], ag_neg(v[4]));
    ck_assert_int_eq(ag_checkpoint_load(tape, in("run"), 0, NULL, NULL, NULL), 1);
    for (int i = 0; i < 5; i++) expect_same(v[i], before[i]);
    ck_assert_int_eq(memcmp(ag_data(v[3]), &nan_bits, sizeof nan_bits), 0);
}
END_TEST

START_TEST(the_same_state_gives_the_same_bytes) {
    static unsigned char one[MOST], other[MOST];
    program p;
    begin(&p, tape, 3);
    save(tape, &p, in("a"), 0);
    save(tape, &p, in("b"), 0);
    size_t n = read_file(in("a.000001.safetensors"), one);
    ck_assert_uint_eq(read_file(in("b.000001.safetensors"), other), n);
    ck_assert_int_eq(memcmp(one, other, n), 0);
}
END_TEST

START_TEST(other_functions_read_it) {
    program p;
    begin(&p, tape, 3);
    save(tape, &p, in("run"), 0);
    char path[ROOM];
    strcpy(path, in("run.000001.safetensors"));
    expect_list(ag_read(tape, path, "layer.w", NULL), 3, 4, 5, 6, 7, 8);
    expect_item(ag_read(tape, path, "number.epoch", NULL), 3);
    expect_item(ag_read(tape, path, "number.best", NULL), 3.0 / 7);
    expect_item(ag_read(tape, path, "random.draws", NULL), 0);
    ck_assert_int_eq(ag_read_all(tape, path, NULL, 0, NULL), 7);
    begin(&p, ag_tape_of(p.w), 9);
    ck_assert_int_eq(ag_load(path, 1, &p.w, &(ag_load_options){.allow_unexpected = true}, NULL), AG_OK);
    expect_list(p.w, 3, 4, 5, 6, 7, 8);
}
END_TEST

START_TEST(a_tape_without_variables_has_state) {
    int64_t n = 5;
    ag_number number = {.name = "n", .integer = &n};
    ag_tape_seed(tape, 7);
    ck_assert_int_eq(ag_checkpoint_save(tape, in("a"), 0, NULL, 1), AG_OK);
    ck_assert_int_eq(ag_checkpoint_save(tape, in("b"), 1, &number, 1), AG_OK);
    double first = draw(tape);
    ck_assert_int_eq(ag_checkpoint_load(tape, in("a"), 0, NULL, NULL, NULL), 1);
    ck_assert_double_eq(draw(tape), first);
    n = 6;
    ck_assert_int_eq(ag_checkpoint_load(tape, in("b"), 1, &number, NULL, NULL), 1);
    ck_assert_int_eq(n, 5);
}
END_TEST

static program *checked;

static ag_tensor *loading_function(void *path, int n, ag_tensor *const x[]) {
    (void)n;
    ck_assert_msg(load(tape, checked, path, NULL) == 1, "%s", ag_tape_error(tape));
    return ag_square(x[0]);
}

START_TEST(a_function_that_is_checked_changes_nothing) {
    program p;
    begin(&p, tape, 3);
    save(tape, &p, in("run"), 0);
    p.epoch = 4;
    ag_set(p.mean, (float[]){7, 8});
    ag_tape_seed(tape, 11);
    double first = draw(tape);
    ag_tape_seed(tape, 11);
    checked = &p;
    ag_tensor *x = ag_from(tape, AG_F64, AG_SCALAR, &(double){2});
    char path[ROOM];
    strcpy(path, in("run"));
    ck_assert_int_eq(ag_gradcheck(loading_function, path, 1, &x, NULL, NULL), AG_OK);
    ck_assert_int_eq(p.epoch, 4);
    expect_list(p.mean, 7, 8);
    ag_tape_seed(tape, 11);
    ck_assert_double_eq(draw(tape), first);
}
END_TEST

/* ---- Series ---- */

START_TEST(the_last_ones_are_kept) {
    program p;
    begin(&p, tape, 1);
    for (int i = 1; i <= 3; i++) ck_assert_int_eq(save(tape, &p, in("run"), 2), AG_OK);
    ck_assert_str_eq(files(), "run.000002.safetensors run.000003.safetensors");
    for (int i = 1; i <= 3; i++) ck_assert_int_eq(save(tape, &p, in("run.safetensors"), 0), AG_OK);
    ck_assert_str_eq(files(), "run.000002.safetensors run.000003.safetensors run.000004.safetensors "
                              "run.000005.safetensors run.000006.safetensors");
    ck_assert_int_eq(save(tape, &p, in("run"), 1), AG_OK);
    ck_assert_str_eq(files(), "run.000007.safetensors");
    ck_assert_int_eq(save(tape, &p, in("run"), 100), AG_OK);
    ck_assert_str_eq(files(), "run.000007.safetensors run.000008.safetensors");
}
END_TEST

START_TEST(numbers_may_have_gaps_and_any_length) {
    program p;
    begin(&p, tape, 1);
    save(tape, &p, in("run"), 0);
    ck_assert_int_eq(rename(in("run.000001.safetensors"), in("run.999999.safetensors")), 0);
    p.epoch = 2;
    save(tape, &p, in("run"), 2);
    ck_assert_str_eq(files(), "run.1000000.safetensors run.999999.safetensors");
    ck_assert_int_eq(load(tape, &p, in("run"), NULL), 1000000);
    ck_assert_int_eq(p.epoch, 2);
    ck_assert_int_eq(load(tape, &p, in("run"), &(ag_checkpoint_options){.number = 999999}), 999999);
    ck_assert_int_eq(p.epoch, 1);
    save(tape, &p, in("run"), 2);
    ck_assert_str_eq(files(), "run.1000000.safetensors run.1000001.safetensors");
    rename(in("run.1000000.safetensors"), in("run.999999999.safetensors"));
    ck_assert_int_eq(save(tape, &p, in("run"), 2), AG_ERR_FILE);
    expect_error(tape, AG_ERR_FILE, "checkpoint_save: ", "the number of the newest checkpoint is too large");
}
END_TEST

START_TEST(other_files_are_not_touched) {
    static const char *const others[] = {"run.00001.safetensors",
                                         "run.0000001.safetensors",
                                         "run.000000.safetensors",
                                         "run.-00001.safetensors",
                                         "run.000001.safetensors.bak",
                                         "run.000001.safetensors.tmp",
                                         "run.000001.safetensors.a.tmp",
                                         "run.000009.safetensors.0.tmp",
                                         "run000001.safetensors",
                                         "running.000001.safetensors",
                                         "run.safetensors",
                                         "000001.safetensors",
                                         "run.99999999999999999999.safetensors"};
    char wanted[2000];
    program p;
    begin(&p, tape, 1);
    for (int i = 0; i < 13; i++) write_file(in(others[i]), "x", 1);
    strcpy(wanted, files());
    ck_assert_int_eq(load(tape, &p, in("run"), NULL), 0);
    write_file(in("run.000001.safetensors.0.tmp"), "x", 1); /* left by processes that were killed */
    write_file(in("run.000001.safetensors.12.tmp"), "x", 1);
    for (int i = 0; i < 3; i++) ck_assert_int_eq(save(tape, &p, in("run"), 1), AG_OK);
    ck_assert_int_eq(unlink(in("run.000003.safetensors")), 0);
    ck_assert_str_eq(files(), wanted);
}
END_TEST

START_TEST(a_series_may_be_a_folder) {
    program p;
    char path[ROOM];
    begin(&p, tape, 1);
    ck_assert_int_eq(save(tape, &p, in(""), 1), AG_OK);
    ck_assert_int_eq(save(tape, &p, in(""), 1), AG_OK);
    ck_assert_str_eq(files(), "000002.safetensors");
    ck_assert_int_eq(load(tape, &p, in(""), NULL), 2);
    snprintf(path, sizeof path, "%s/none/run", folder);
    ck_assert_int_eq(load(tape, &p, path, NULL), 0);
    ck_assert_int_eq(save(tape, &p, path, 1), AG_ERR_FILE);
    expect_error(tape, AG_ERR_FILE, "checkpoint_save: ", "none/run.000001.safetensors: cannot be created");
    ck_assert_int_eq(load(tape, &p, in("000002.safetensors/run"), NULL), -1);
    expect_error(tape, AG_ERR_FILE, "checkpoint_load: ", "Not a directory");
}
END_TEST

START_TEST(the_present_folder) {
    program p;
    char former[1000];
    begin(&p, tape, 1);
    ck_assert_ptr_nonnull(getcwd(former, sizeof former));
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(save(tape, &p, "run", 1), AG_OK);
    ck_assert_int_eq(load(tape, &p, "run", NULL), 1);
    ck_assert_int_eq(chdir(former), 0);
    ck_assert_str_eq(files(), "run.000001.safetensors");
}
END_TEST

START_TEST(one_that_cannot_be_written_removes_none) {
    program p;
    begin(&p, tape, 1);
    save(tape, &p, in("run"), 0), save(tape, &p, in("run"), 0);
    ag_tensor *bad = ag_label(ag_variable(tape, AG_F64, AG_SCALAR, &(double){1}), "bad");
    ag_assign(bad, ag_sum(ag_gather(ag_arange(tape, AG_F64, 3), ag_full(tape, AG_I64, AG_SHAPE(1), 9), 0)));
    ck_assert_int_eq(save(tape, &p, in("run"), 1), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "gather");
    ck_assert_str_eq(files(), "run.000001.safetensors run.000002.safetensors");
}
END_TEST

START_TEST(a_full_disk_removes_none) {
    program p;
    struct rlimit former, little;
    begin(&p, tape, 1);
    save(tape, &p, in("run"), 0), save(tape, &p, in("run"), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &former), 0);
    little = former;
    little.rlim_cur = 100;
    int limited = setrlimit(RLIMIT_FSIZE, &little); /* the test framework writes a file at each assertion */
    ag_status status = save(tape, &p, in("run"), 1);
    int freed = setrlimit(RLIMIT_FSIZE, &former);
    ck_assert_int_eq(limited, 0);
    ck_assert_int_eq(freed, 0);
    ck_assert_int_eq(status, AG_ERR_FILE);
    expect_error(tape, AG_ERR_FILE, "checkpoint_save: ", "run.000003.safetensors: cannot be written: File too large");
    ck_assert_str_eq(files(), "run.000001.safetensors run.000002.safetensors");
}
END_TEST

START_TEST(a_folder_in_the_place_of_an_old_one_is_not_removed) {
    program p;
    begin(&p, tape, 1);
    ck_assert_int_eq(mkdir(in("run.000001.safetensors"), 0700), 0);
    ck_assert_int_eq(save(tape, &p, in("run"), 1), AG_ERR_FILE);
    expect_error(tape, AG_ERR_FILE, "checkpoint_save: ", "run.000001.safetensors: ");
    ck_assert_str_eq(files(), "run.000001.safetensors run.000002.safetensors");
    ck_assert_int_eq(load(tape, &p, in("run"), NULL), 2);
}
END_TEST

/* ---- Damage ---- */

/* Loading the bytes fails, and changes nothing. */
static void expect_refused(program *p, const char *path, const unsigned char *bytes, size_t n) {
    write_file(path, bytes, n);
    ck_assert_int_eq(load(tape, p, in("run"), NULL), -1);
    ck_assert_int_eq(ag_tape_status(tape), AG_ERR_FILE);
    ag_clear_error(tape);
    ck_assert_int_eq(p->epoch, 4);
    expect_item(p->w, 5);
}

START_TEST(every_damaged_byte_is_found) {
    static unsigned char bytes[MOST], damaged[MOST];
    program p = {.w = ag_label(ag_parameter(tape, AG_F64, AG_SCALAR, &(double){3}), "w"), .epoch = 3};
    p.numbers[0] = (ag_number){.name = "epoch", .integer = &p.epoch};
    p.numbers[1] = (ag_number){.name = "adam.steps", .integer = &p.steps};
    p.numbers[2] = (ag_number){.name = "best", .real = &p.best};
    save(tape, &p, in("run"), 1);
    char path[ROOM];
    size_t n = read_file(strcpy(path, in("run.000001.safetensors")), bytes);
    p.epoch = 4;
    ag_set(p.w, &(double){5});
    for (size_t i = 0; i < n; i += small_run() ? 7 : 1) {
        memcpy(damaged, bytes, n);
        damaged[i] ^= (unsigned char)(1 << i % 8);
        expect_refused(&p, path, damaged, n);
        expect_refused(&p, path, bytes, i);
    }
    memcpy(damaged, bytes, n);
    expect_refused(&p, path, damaged, n + 1);
    write_file(path, bytes, n);
    ck_assert_msg(load(tape, &p, in("run"), NULL) == 1, "%s", ag_tape_error(tape));
    ck_assert_int_eq(p.epoch, 3);
    expect_item(p.w, 3);
}
END_TEST

static void damage(const char *path) {
    static unsigned char bytes[MOST];
    size_t n = read_file(path, bytes);
    bytes[n - 1] ^= 1;
    write_file(path, bytes, n);
}

START_TEST(damaged_ones_are_skipped_if_asked_for) {
    program p;
    const ag_checkpoint_options skip = {.skip_damaged = true};
    begin(&p, tape, 1);
    for (int i = 1; i <= 4; i++) {
        p.epoch = i;
        ck_assert_int_eq(save(tape, &p, in("run"), 0), AG_OK);
    }
    damage(in("run.000004.safetensors"));
    write_file(in("run.000003.safetensors"), "", 0);
    p.epoch = 9;
    ck_assert_int_eq(load(tape, &p, in("run"), NULL), -1);
    expect_error(tape, AG_ERR_FILE, "checkpoint_load: ", "run.000004.safetensors: its checksum is wrong: it is damaged",
                 "test_checkpoint.c:");
    ck_assert_int_eq(p.epoch, 9);
    ck_assert_int_eq(load(tape, &p, in("run"), &skip), 2);
    ck_assert_int_eq(p.epoch, 2);
    expect_ok(tape);
    ck_assert_int_eq(load(tape, &p, in("run"), &(ag_checkpoint_options){.number = 3}), -1);
    expect_error(tape, AG_ERR_FILE, "run.000003.safetensors: it is too short for a checkpoint: it is damaged");
    ck_assert_int_eq(load(tape, &p, in("run"), &(ag_checkpoint_options){.number = 3, .skip_damaged = true}), 2);
    p.epoch = 9;
    damage(in("run.000001.safetensors")), damage(in("run.000002.safetensors"));
    ck_assert_int_eq(load(tape, &p, in("run"), &skip), -1);
    expect_error(tape, AG_ERR_FILE, "run.000004.safetensors: its checksum is wrong", "test_checkpoint.c:");
    ck_assert_int_eq(p.epoch, 9);
    ck_assert_int_eq(save(tape, &p, in("run"), 0), AG_OK);
    ck_assert_int_eq(load(tape, &p, in("run"), NULL), 5);
}
END_TEST

START_TEST(other_files_of_such_a_name_are_refused) {
    program p;
    begin(&p, tape, 1);
    ag_save(in("run.000001.safetensors"), 1, &p.w, NULL);
    ck_assert_int_eq(load(tape, &p, in("run"), NULL), -1);
    expect_error(tape, AG_ERR_FILE, "run.000001.safetensors: it does not begin as a checkpoint does");
    unlink(in("run.000001.safetensors"));
    ck_assert_int_eq(mkfifo(in("run.000001.safetensors"), 0600), 0);
    ck_assert_int_eq(load(tape, &p, in("run"), NULL), -1);
    expect_error(tape, AG_ERR_FILE, "not a regular file");
    save(tape, &p, in("a"), 0);
    ck_assert_int_eq(load(tape, &p, in("a"), &(ag_checkpoint_options){.number = 2}), -1);
    expect_error(tape, AG_ERR_FILE, "/a: there is no checkpoint 2, but those from 1 to 1");
    ck_assert_int_eq(load(tape, &p, in("b"), &(ag_checkpoint_options){.number = 2}), 0);
}
END_TEST

/* ---- Mismatches ---- */

/* A tape with these variables besides w; the program has two numbers. */
static void expect_mismatch(const char *labels, ag_dtype dtype, int64_t extent, const char *message,
                            const int counts[5]) {
    ag_tape *t = ag_tape_new();
    int64_t epoch = 70;
    double best = 71;
    ag_number numbers[] = {{.name = "epoch", .integer = &epoch}, {.name = "best", .real = &best}};
    ag_tensor *w = ag_label(ag_variable_from(ag_full(t, dtype, AG_SHAPE(extent), 72)), "w");
    if (*labels) ag_label(ag_variable_from(ag_zeros(t, AG_F64, AG_SCALAR)), labels);
    ag_load_report report;
    ck_assert_int_eq(ag_checkpoint_load(t, in("run"), 2, numbers, NULL, &report), -1);
    expect_error(t, AG_ERR_FILE, "checkpoint_load: ", message, "test_checkpoint.c:");
    const int got[] = {report.fitting, report.missing, report.unexpected, report.shapes, report.dtypes};
    for (int i = 0; i < 5; i++) ck_assert_int_eq(got[i], counts[i]);
    ck_assert_int_eq(epoch, 70);
    ck_assert_double_eq(best, 71);
    expect_item(ag_slice(w, 0, 0, 1, 1), 72);
    ag_tape_free(t);
}

START_TEST(a_checkpoint_that_does_not_match_changes_nothing) {
    int64_t epoch = 1;
    double best = 2;
    ag_number numbers[] = {{.name = "epoch", .integer = &epoch}, {.name = "best", .real = &best}};
    ag_label(ag_variable_from(ag_ones(tape, AG_F64, AG_SHAPE(3))), "w");
    ck_assert_int_eq(ag_checkpoint_save(tape, in("run"), 2, numbers, 1), AG_OK);
    expect_mismatch("b", AG_F64, 3,
                    "missing 1, unexpected 0, of another shape 0, of another dtype 0: \"b\" () is not in the file",
                    (int[]){5, 1, 0, 0, 0});
    expect_mismatch("", AG_F64, 4, "\"w\" is (3) in the file and (4) here", (int[]){4, 0, 0, 1, 0});
    expect_mismatch("", AG_F32, 3, "\"w\" is f64 in the file and f32 here", (int[]){4, 0, 0, 0, 1});
    numbers[0] = (ag_number){.name = "epoch", .real = &best}; /* of another dtype */
    ck_assert_int_eq(ag_checkpoint_load(tape, in("run"), 1, numbers, NULL, NULL), -1);
    expect_error(tape, AG_ERR_FILE, "missing 0, unexpected 1, of another shape 0, of another dtype 1",
                 "\"number.epoch\" is i64 in the file and f64 here");
    const ag_checkpoint_options convert = {.convert = true, .allow_unexpected = true};
    ck_assert_int_eq(ag_checkpoint_load(tape, in("run"), 1, numbers, &convert, NULL), -1);
    expect_error(tape, AG_ERR_FILE, "\"number.epoch\" is i64 in the file and f64 here");
    numbers[0] = (ag_number){.name = "lr", .real = &best};
    ck_assert_int_eq(ag_checkpoint_load(tape, in("run"), 1, numbers, NULL, NULL), -1);
    expect_error(tape, AG_ERR_FILE, "\"number.lr\" () is not in the file");
    ag_checkpoint_options any = {.allow_missing = true, .allow_unexpected = true};
    ck_assert_int_eq(ag_checkpoint_load(tape, in("run"), 1, numbers, &any, NULL), 1);
    ck_assert_double_eq(best, 2);
}
END_TEST

START_TEST(what_may_differ_if_allowed) {
    program p;
    begin(&p, tape, 3);
    save(tape, &p, in("run"), 1);
    ag_tape *t = ag_tape_new();
    ag_tensor *w = ag_label(ag_parameter_from(ag_zeros(t, AG_F32, AG_SHAPE(2, 3))), "layer.w");
    ag_tensor *more = ag_label(ag_parameter_from(ag_ones(t, AG_F32, AG_SCALAR)), "more");
    ag_load_report report;
    ck_assert_int_eq(
        ag_checkpoint_load(t, in("run"), 0, NULL,
                           &(ag_checkpoint_options){.convert = true, .allow_missing = true, .allow_unexpected = true},
                           &report),
        1);
    expect_list(w, 3, 4, 5, 6, 7, 8);
    expect_item(more, 1);
    ck_assert_int_eq(report.count, 8);
    ck_assert_int_eq(report.unexpected, 4);
    ck_assert_str_eq(report.item[0].name, "layer.w");
    ck_assert_int_eq(report.item[0].index, 0);
    ck_assert_str_eq(report.item[2].name, "random.seed");
    ag_tape_free(t);
}
END_TEST

/* ---- Arguments ---- */

#define REFUSED(status, what, ...)                                                                                     \
    do {                                                                                                               \
        ck_assert_int_eq(ag_checkpoint_save(__VA_ARGS__, 1), status);                                                  \
        expect_error(tape, status, "checkpoint_save: ", what, "test_checkpoint.c:");                                   \
        ck_assert_int_eq(ag_checkpoint_load(__VA_ARGS__, NULL, NULL), -1);                                             \
        expect_error(tape, status, "checkpoint_load: ", what, "test_checkpoint.c:");                                   \
    } while (0)

START_TEST(arguments) {
    int64_t a = 1;
    double b = 2;
    char path[5000];
    const ag_number none = {NULL, &a, NULL}, empty = {"", &a, NULL}, control = {"a\nb", &a, NULL},
                    no_pointer = {"a", NULL, NULL}, two = {"a", &a, &b}, twice[] = {{"a", &a, NULL}, {"a", NULL, &b}};
    REFUSED(AG_ERR_NULL, "the path is NULL", tape, NULL, 0, NULL);
    REFUSED(AG_ERR_RANGE, "the path is empty", tape, "", 0, NULL);
    REFUSED(AG_ERR_RANGE, "there are -1 numbers", tape, in("run"), -1, NULL);
    REFUSED(AG_ERR_NULL, "the list of 2 numbers is NULL", tape, in("run"), 2, NULL);
    REFUSED(AG_ERR_NULL, "number 0 of the list has no name", tape, in("run"), 1, &none);
    REFUSED(AG_ERR_RANGE, "number 0 of the list has the name \"\", which has no characters", tape, in("run"), 1,
            &empty);
    REFUSED(AG_ERR_RANGE, "has the name \"a?b\", which has a control character", tape, in("run"), 1, &control);
    REFUSED(AG_ERR_NULL, "number 0 of the list has no pointer", tape, in("run"), 1, &no_pointer);
    REFUSED(AG_ERR_RANGE, "number 0 of the list has two pointers", tape, in("run"), 1, &two);
    ck_assert_int_eq(ag_checkpoint_save(tape, in("run"), 2, twice, 1), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "number 0 and number 1 have one name, \"number.a\"");
    memset(path, 'a', sizeof path);
    path[151] = 0;
    REFUSED(AG_ERR_RANGE, "the last part of the path has more than 150 bytes", tape, path, 0, NULL);
    path[151] = 'a', path[4990] = '/', path[4995] = 0;
    REFUSED(AG_ERR_RANGE, "the path is too long", tape, path, 0, NULL);
    ck_assert_int_eq(ag_checkpoint_save(tape, in("run"), 0, NULL, -1), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "keep is -1: 0 or more is wanted");
    ck_assert_int_eq(ag_checkpoint_load(tape, in("run"), 0, NULL, &(ag_checkpoint_options){.number = -2}, NULL), -1);
    expect_error(tape, AG_ERR_RANGE, "the number -2 in the options is negative");
    ck_assert_int_eq(ag_checkpoint_save(NULL, in("run"), 0, NULL, 1), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "checkpoint_save: the tape is NULL", "test_checkpoint.c:");
    ck_assert_int_eq(ag_checkpoint_load(NULL, in("run"), 0, NULL, NULL, NULL), -1);
    expect_error(NULL, AG_ERR_NULL, "checkpoint_load: the tape is NULL", "test_checkpoint.c:");
    ag_add(ag_ones(tape, AG_F32, AG_SCALAR), ag_ones(tape, AG_F64, AG_SCALAR));
    ck_assert_int_eq(ag_checkpoint_save(tape, in("run"), 0, NULL, 1), AG_ERR_DTYPE);
    ck_assert_int_eq(ag_checkpoint_load(tape, in("run"), 0, NULL, NULL, NULL), -1);
    expect_error(tape, AG_ERR_DTYPE, "add");
    ck_assert_str_eq(files(), "");
}
END_TEST

START_TEST(variables_without_a_name_or_of_one_name) {
    ag_tensor *v = ag_variable(tape, AG_F64, AG_SCALAR, &(double){1});
    ck_assert_int_eq(ag_checkpoint_save(tape, in("run"), 0, NULL, 1), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "checkpoint_save: number 0 [", "has no name: ag_label gives it one");
    ag_label(v, "w");
    ag_label(ag_variable(tape, AG_F64, AG_SCALAR, &(double){1}), "w");
    ck_assert_int_eq(ag_checkpoint_save(tape, in("run"), 0, NULL, 1), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "checkpoint_save: two variables have one name, \"w\": one recorded [");
    ag_label(v, "random.seed");
    ck_assert_int_eq(ag_checkpoint_save(tape, in("run"), 0, NULL, 1), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "number 0 [", " and number 2 have one name, \"random.seed\"");
    ag_label(v, "__metadata__");
    ck_assert_int_eq(ag_checkpoint_save(tape, in("run"), 0, NULL, 1), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "no variable can have the name __metadata__");
    ck_assert_str_eq(files(), "");
}
END_TEST

static char eval_path[ROOM];

static void saving_block(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    memcpy(y, x[0], (size_t)n * sizeof(double));
    ck_assert_int_eq(ag_checkpoint_save(tape, eval_path, 0, NULL, 1), AG_ERR_TAPE);
    ck_assert_int_eq(ag_checkpoint_load(tape, eval_path, 0, NULL, NULL, NULL), -1);
}

START_TEST(within_an_operation) {
    static const ag_op op = {
        .name = "saving", .kind = AG_KIND_ELEMENTWISE, .arity = 1, .block = {[AG_F64] = saving_block}};
    strcpy(eval_path, in("run"));
    ag_tensor *x = ag_from(tape, AG_F64, AG_SCALAR, &(double){2});
    ag_eval(ag_apply(&op, 1, &x, NULL, 0));
    expect_error(tape, AG_ERR_TAPE, "checkpoint_save: ", "eval");
    ck_assert_str_eq(files(), "");
}
END_TEST

START_TEST(out_of_memory) {
    program p;
    for (int loads = 0; loads < 2; loads++)
        for (int64_t fail_at = 1, done = 0; !done; fail_at++) {
            ledger l;
            ledger_open(&l);
            ag_tape *t = ag_tape_new_with(&l.allocator);
            if (!loads) empty_folder();
            begin(&p, t, loads ? 9 : 3);
            ag_tape_trim(t);
            l.fail_at = l.calls + fail_at;
            bool good = loads ? load(t, &p, in("run"), NULL) == 1 : save(t, &p, in("run"), 1) == AG_OK;
            done = !l.failed;
            l.fail_at = 0;
            ck_assert_int_eq(good, ag_tape_status(t) == AG_OK);
            if (!good) ck_assert_int_eq(ag_tape_status(t), AG_ERR_MEMORY);
            if (!loads && !good) ck_assert_str_eq(files(), "");
            ag_clear_error(t);
            if (!good || !loads) expect_program(&p, loads ? 9 : 3);
            else expect_program(&p, 3);
            ck_assert_int_lt(fail_at, 100);
            ag_tape_free(t);
            ledger_close(&l);
        }
}
END_TEST

/* ---- Mutations ---- */

static uint64_t seed;

static uint64_t below(uint64_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    uint64_t x = (seed ^ seed >> 29) * 0xBF58476D1CE4E5B9u;
    return (x ^ x >> 32) % n;
}

static uint32_t crc32(const unsigned char *bytes, size_t n) {
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

enum { DIGITS_AT = 51 }; /* of the checksum: 8 bytes of length, {"__metadata__":{"checkpoint":"1","crc32":" */

/* As an attacker does: the checksum of the mutated file is right. */
static void put_crc(unsigned char *bytes, size_t n) {
    char digits[16];
    if (n < DIGITS_AT + 8) return;
    memset(bytes + DIGITS_AT, '0', 8);
    snprintf(digits, sizeof digits, "%08x", (unsigned)crc32(bytes, n));
    memcpy(bytes + DIGITS_AT, digits, 8);
}

static size_t mutate(unsigned char *bytes, size_t n) {
    for (uint64_t k = 1 + below(3); k > 0; k--) {
        size_t at = DIGITS_AT + 8 + (size_t)below(n - DIGITS_AT - 8), length = 1 + (size_t)below(20);
        if (below(8) == 0) at = (size_t)below(8);
        if (length > n - at) length = n - at;
        switch (below(5)) {
        case 0: bytes[at] ^= (unsigned char)(1u << below(8)); break;
        case 1: bytes[at] = (unsigned char)"0123456789[]{}(),:'\"\\FI"[below(22)]; break;
        case 2: memmove(bytes + at, bytes + at + length, n - at - length), n -= length; break;
        case 3: memmove(bytes + at + length, bytes + at, n - at), n += length; break;
        default: memmove(bytes + at, bytes + below(n - length + 1), length);
        }
        if (n < DIGITS_AT + 20) break;
    }
    return n;
}

START_TEST(mutated_files_do_no_harm) {
    static unsigned char bytes[MOST], mutant[MOST];
    int loaded = 0, rounds = small_run() ? 200 : 3000;
    program p;
    begin(&p, tape, 3);
    save(tape, &p, in("run"), 1);
    char path[ROOM];
    size_t n = read_file(strcpy(path, in("run.000001.safetensors")), bytes);
    memcpy(mutant, bytes, n);
    put_crc(mutant, n);
    ck_assert_int_eq(memcmp(mutant, bytes, n), 0);
    ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i < rounds; i++) {
        seed = (uint64_t)i;
        memcpy(mutant, bytes, n);
        size_t m = mutate(mutant, n);
        put_crc(mutant, m);
        write_file(path, mutant, m);
        ag_set(p.w, (double[]){3, 4, 5, 6, 7, 8}), ag_set(p.mean, (float[]){3, 1});
        p.epoch = 3, p.steps = INT64_MIN + 3, p.best = 3.0 / 7;
        if (load(tape, &p, in("run"), NULL) == 1) loaded++;
        else {
            ck_assert_int_eq(ag_tape_status(tape), AG_ERR_FILE);
            ag_clear_error(tape);
            expect_program(&p, 3);
        }
        ag_tape_rewind(tape, mark);
    }
    ck_assert_int_gt(loaded, rounds / 100); /* mutations of elements are other elements */
    ck_assert_int_lt(loaded, rounds / 2);
    ck_assert_int_lt(ag_tape_memory(tape).peak_held, 1 << 20);
}
END_TEST

/* ---- Training that is killed ---- */

/* A network with dropout and running statistics, batches in another order in each epoch, gradients of two batches added
 * up, a rate that falls on a plateau, an average of the weights, the best ones kept; saved within an epoch as well, also
 * between the two batches of a step. */

enum { EPOCHS = 3, SAMPLES = 40, BATCH = 8, EVERY = 3, CLASSES = 3, PARAMETERS = 8, NUMBERS = 14 };

typedef struct training {
    ag_tape *tape;
    ag_conv2d convolution;
    ag_batchnorm norm;
    ag_linear hidden, output;
    ag_list parameters;
    ag_adam adam;
    ag_accumulator sum;
    ag_plateau plateau;
    ag_average average;
    ag_stopping stopping;
    ag_loader loader;
    int64_t batches;
    ag_number numbers[NUMBERS];
} training;

static void model_init(training *n) {
    ag_scope(n->tape, "convolution");
    ag_conv2d_init(&n->convolution, n->tape, AG_F32, 1, 4, 3);
    ag_batchnorm_init(&n->norm, n->tape, AG_F32, 4);
    ag_scope_end(n->tape);
    ag_linear_init_with(&n->hidden, n->tape, AG_F32, 4 * 3 * 3, 16, &(ag_layer_options){.name = "hidden"});
    ag_linear_init_with(&n->output, n->tape, AG_F32, 16, CLASSES, &(ag_layer_options){.name = "output"});
    n->parameters = ag_parameters(n->tape, NULL);
}

static void loader_open(training *n) {
    int64_t labels[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) labels[i] = i % CLASSES;
    ag_tensor *parts[] = {scattered(n->tape, AG_F32, AG_SHAPE(SAMPLES, 8, 8, 1), 0),
                          ag_from(n->tape, AG_I64, AG_SHAPE(SAMPLES), labels)};
    ag_dataset all;
    ag_dataset_tensors(&all, 2, parts);
    ag_loader_open(&n->loader, n->tape, &all, BATCH, NULL);
}

static void training_open(training *n) {
    n->batches = 0;
    n->tape = ag_tape_new();
    ag_tape_set_threads(n->tape, 1);
    ag_tape_seed(n->tape, 5);
    model_init(n);
    const ag_list p = n->parameters;
    ag_adam_init(&n->adam, p.n, p.x, NULL);
    ag_accumulator_init(&n->sum, p.n, p.x, NULL);
    ag_plateau_init(&n->plateau, 0.01);
    n->plateau.patience = 0, n->plateau.cooldown = 1;
    ag_average_init(&n->average, p.n, p.x, NULL);
    n->average.corrected = true;
    ag_stopping_init(&n->stopping, p.n, p.x, NULL);
    loader_open(n);
    const ag_number numbers[NUMBERS] = {{"batches", &n->batches, NULL},
                                        {"loader.epoch", &n->loader.epoch, NULL},
                                        {"loader.batch", &n->loader.batch, NULL},
                                        {"adam.steps", &n->adam.steps, NULL},
                                        {"sum.batches", &n->sum.batches, NULL},
                                        {"average.steps", &n->average.steps, NULL},
                                        {"plateau.rate", NULL, &n->plateau.rate},
                                        {"plateau.best", NULL, &n->plateau.best},
                                        {"plateau.waited", &n->plateau.waited, NULL},
                                        {"plateau.cooling", &n->plateau.cooling, NULL},
                                        {"stopping.best", NULL, &n->stopping.best},
                                        {"stopping.best_step", &n->stopping.best_step, NULL},
                                        {"stopping.steps", &n->stopping.steps, NULL},
                                        {"stopping.waited", &n->stopping.waited, NULL}};
    memcpy(n->numbers, numbers, sizeof numbers);
}

static ag_tensor *loss_of(const training *n, ag_tensor *const batch[2]) {
    ag_tensor *y = ag_conv2d_apply(&n->convolution, batch[0]); /* 6 by 6 */
    y = ag_batchnorm_apply(&n->norm, ag_reshape(y, AG_SHAPE(-1, 4)), true);
    y = ag_max_pool2d(ag_reshape(ag_relu(y), AG_SHAPE(BATCH, 6, 6, 4)), 2, 2);
    y = ag_linear_apply(&n->hidden, ag_reshape(y, AG_SHAPE(BATCH, -1)));
    y = ag_dropout(ag_relu(y), 0.3, true);
    return ag_cross_entropy(ag_linear_apply(&n->output, y), batch[1]);
}

static void step(training *n, ag_tensor *const batch[2]) {
    ag_tensor *dp[PARAMETERS], *loss = loss_of(n, batch);
    ag_grad(loss, n->parameters.n, n->parameters.x, dp);
    ag_accumulator_add(&n->sum, dp, 1);
    double value = ag_item(loss);
    if (++n->batches % 2) return;
    ag_accumulator_mean(&n->sum, dp);
    n->adam.rate = ag_plateau_rate(&n->plateau, value);
    ag_adam_step(&n->adam, dp);
    ag_average_step(&n->average);
    ag_stopping_step(&n->stopping, value);
}

/* From the newest checkpoint to the end; without a path, from the beginning, and nothing is saved. The state at the end
 * goes into a file. Without assertions: they are messages of the test framework, which a process that is killed must not
 * leave unfinished. */
static bool train(const char *path, const char *result) {
    training n;
    training_open(&n);
    if (path) ag_checkpoint_load(n.tape, path, NUMBERS, n.numbers, NULL, NULL);
    ag_mark mark = ag_tape_mark(n.tape);
    for (ag_tensor *batch[2]; n.loader.epoch < EPOCHS && ag_tape_status(n.tape) == AG_OK;) {
        if (!ag_loader_next(&n.loader, batch)) continue;
        step(&n, batch);
        ag_tape_rewind(n.tape, mark);
        if (path && n.batches % EVERY == 0) ag_checkpoint_save(n.tape, path, NUMBERS, n.numbers, 2);
    }
    ag_list all = ag_state(n.tape, NULL);
    ag_save(result, all.n, all.x, NULL);
    bool good = ag_tape_status(n.tape) == AG_OK && n.parameters.n == PARAMETERS;
    if (!good) fprintf(stderr, "%s\n", ag_tape_error(n.tape));
    ag_loader_close(&n.loader);
    ag_tape_free(n.tape);
    return good;
}

static void expect_same_files(const char *path, const char *other) {
    static unsigned char one[MOST], two[MOST];
    size_t n = read_file(path, one);
    ck_assert_uint_gt(n, 9000);
    ck_assert_uint_eq(read_file(other, two), n);
    ck_assert_int_eq(memcmp(one, two, n), 0);
}

START_TEST(saving_changes_no_bit) {
    ck_assert(train(NULL, in("plain.safetensors")));
    ck_assert(train(in("run"), in("saved.safetensors")));
    expect_same_files(in("plain.safetensors"), in("saved.safetensors"));
    ck_assert(train(in("run"), in("resumed.safetensors"))); /* from its end */
    expect_same_files(in("plain.safetensors"), in("resumed.safetensors"));
}
END_TEST

static int calls_left = -1; /* of those that change files, before this process dies; −1: it does not */

static void count_call(void) {
    if (calls_left == 0) raise(SIGKILL);
    if (calls_left > 0) calls_left--;
}

int __real_fsync(int d);
int __real_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __wrap_fsync(int d);
int __wrap_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);
int __wrap_fsync(int d) { return count_call(), __real_fsync(d); }
int __wrap_rename(const char *from, const char *to) { return count_call(), __real_rename(from, to); }
int __wrap_unlink(const char *path) { return count_call(), __real_unlink(path); }

/* A child that may be killed writes no messages to Check: half a message would end the test program. */
static void leave_check(void) {
    int nowhere = open("/dev/null", O_RDWR);
    for (int fd = STDERR_FILENO + 1; fd < 64; fd++) {
        if (fd != nowhere && fcntl(fd, F_GETFD) != -1) dup2(nowhere, fd);
    }
}

/* A child that trains, and perhaps dies at one of its calls; killed from outside after some seconds unless negative.
 * Returns whether it has come to its end. */
static bool train_in_child(int dies_at, double after) {
    char path[ROOM], result[ROOM];
    strcpy(path, in("run")), strcpy(result, in("killed.safetensors"));
    const pid_t child = begin_child();
    if (child == 0) {
        leave_check();
        calls_left = dies_at;
        _exit(!train(path, result));
    }
    if (after >= 0) {
        nanosleep(&(struct timespec){.tv_sec = (time_t)after, .tv_nsec = (long)(fmod(after, 1) * 1e9)}, NULL);
        kill(child, SIGKILL);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL);
    return WIFEXITED(status);
}

/* The result is the same. What a killed process leaves of a file is removed with the next checkpoint: so nothing is left
 * unless another one was killed between the last one's renaming and that. */
static void expect_end(bool killed_once) {
    expect_same_files(in("plain.safetensors"), in("killed.safetensors"));
    ck_assert_ptr_nonnull(strstr(files(), "run.000005.safetensors"));
    if (killed_once) ck_assert_msg(!strstr(files(), ".000005.safetensors."), "%s", files());
    empty_folder();
}

START_TEST(killed_at_every_call_that_changes_files) {
    int killed = 0;
    for (int at = 0;; at += small_run() ? 6 : 1, killed++) {
        ck_assert(train(NULL, in("plain.safetensors")));
        if (train_in_child(at, -1)) break;
        ck_assert(train_in_child(-1, -1));
        expect_end(true);
    }
    ck_assert_int_gt(killed, 3);
}
END_TEST

START_TEST(killed_again_and_again) {
    for (int at = 3; at < 8; at++) { /* a checkpoint is there after two of them, the result after three */
        int killed = 0;
        ck_assert(train(NULL, in("plain.safetensors")));
        while (!train_in_child(at, -1)) ck_assert_int_le(++killed, 6);
        ck_assert_int_gt(killed, 1);
        expect_end(false);
    }
}
END_TEST

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

START_TEST(killed_at_any_moment) {
    double time = 1000; /* that training takes, at its fastest: the machine may be busy */
    int killed = 0;
    seed = 1;
    for (int run = 0; run < by_length(1, 3, 8) || (killed < 5 && run < 50); run++) {
        double start = now();
        ck_assert(train(NULL, in("plain.safetensors")));
        time = fmin(time, now() - start);
        for (int i = 0; !train_in_child(-1, i < 200 ? time * (double)below(1000) / 3000 : -1); i++) killed++;
        expect_end(false);
    }
    ck_assert_int_ge(killed, 5);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("checkpoint");
    TCase *state = tape_group(suite, "state");
    tcase_add_checked_fixture(state, make_folder, remove_folder);
    tcase_add_test(state, everything_comes_back);
    tcase_add_test(state, what_is_recorded_keeps_the_old_values);
    tcase_add_test(state, every_dtype_and_no_elements);
    tcase_add_test(state, the_same_state_gives_the_same_bytes);
    tcase_add_test(state, other_functions_read_it);
    tcase_add_test(state, a_tape_without_variables_has_state);
    tcase_add_test(state, a_function_that_is_checked_changes_nothing);
    TCase *series = tape_group(suite, "series");
    tcase_add_checked_fixture(series, make_folder, remove_folder);
    tcase_add_test(series, the_last_ones_are_kept);
    tcase_add_test(series, numbers_may_have_gaps_and_any_length);
    tcase_add_test(series, other_files_are_not_touched);
    tcase_add_test(series, a_series_may_be_a_folder);
    tcase_add_test(series, the_present_folder);
    tcase_add_test(series, one_that_cannot_be_written_removes_none);
    tcase_add_test(series, a_full_disk_removes_none);
    tcase_add_test(series, a_folder_in_the_place_of_an_old_one_is_not_removed);
    TCase *faults = tape_group(suite, "faults");
    tcase_add_checked_fixture(faults, make_folder, remove_folder);
    tcase_add_test(faults, every_damaged_byte_is_found);
    tcase_add_test(faults, damaged_ones_are_skipped_if_asked_for);
    tcase_add_test(faults, other_files_of_such_a_name_are_refused);
    tcase_add_test(faults, a_checkpoint_that_does_not_match_changes_nothing);
    tcase_add_test(faults, what_may_differ_if_allowed);
    tcase_add_test(faults, arguments);
    tcase_add_test(faults, variables_without_a_name_or_of_one_name);
    tcase_add_test(faults, within_an_operation);
    tcase_add_test(faults, out_of_memory);
    tcase_add_test(faults, mutated_files_do_no_harm);
    TCase *killed = plain_group(suite, "killed");
    tcase_add_checked_fixture(killed, make_folder, remove_folder);
    tcase_add_test(killed, saving_changes_no_bit);
    tcase_add_test(killed, killed_at_every_call_that_changes_files);
    tcase_add_test(killed, killed_again_and_again);
    tcase_add_test(killed, killed_at_any_moment);
    return run_suite(suite);
}
