/* test_log -- records of a run: their text, runs that are resumed, files that are no logs, writes that fail */
#define _XOPEN_SOURCE 700 /* mkdtemp, mkfifo */
#include "io/io.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support.h"

static char folder[64], path[2][96];
static ag_run_log run_log;
enum { JSON, CSV };

static void make_folder(void) {
    snprintf(folder, sizeof folder, "%s/test_log.XXXXXX", scratch());
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path[JSON], sizeof path[JSON], "%s/log.jsonl", folder);
    snprintf(path[CSV], sizeof path[CSV], "%s/log.csv", folder);
}

static void remove_folder(void) {
    unlink(path[JSON]);
    unlink(path[CSV]);
    ck_assert_int_eq(rmdir(folder), 0);
}

static void put_bytes(const char *file, const char *text, size_t bytes) {
    FILE *out = fopen(file, "wb");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(text, 1, bytes, out), bytes);
    fclose(out);
}

static void put(const char *file, const char *text) { put_bytes(file, text, strlen(text)); }

static void expect_text(const char *file, const char *wanted) {
    char text[2000] = "";
    FILE *in = fopen(file, "rb");
    ck_assert_ptr_nonnull(in);
    text[fread(text, 1, sizeof text - 1, in)] = 0;
    fclose(in);
    ck_assert_str_eq(text, wanted);
}

static void open_log(int format, const ag_run_log_options *options) {
    ck_assert_int_eq(ag_run_log_open(&run_log, tape, path[format], options), AG_OK);
}

static void record(int64_t step, double loss, double accuracy) {
    const ag_reading readings[] = {{"loss", loss}, {"accuracy", accuracy}};
    ag_run_log_write(&run_log, step, isnan(accuracy) ? 1 : 2, readings);
    expect_ok(tape);
}

static void close_log(void) {
    ck_assert_int_eq(ag_run_log_close(&run_log), AG_OK);
    ck_assert_ptr_null(run_log.file);
    ck_assert_int_eq(ag_run_log_close(&run_log), AG_OK);
}

/* ---- Records ---- */

START_TEST(records_as_json_lines_and_as_csv) {
    for (int format = JSON; format <= CSV; format++) {
        open_log(format, NULL);
        ck_assert_int_eq(run_log.step, -1);
        record(0, 0.1, 1. / 3);
        record(100, 1e-300, -0.0);
        record(100, 5, NAN);
        ck_assert_int_eq(run_log.step, 100);
        close_log();
    }
    expect_text(path[JSON], "{\"step\":0,\"loss\":0.1,\"accuracy\":0.3333333333333333}\n"
                            "{\"step\":100,\"loss\":1e-300,\"accuracy\":-0}\n"
                            "{\"step\":100,\"loss\":5}\n");
    expect_text(path[CSV], "step,loss,accuracy\n0,0.1,0.3333333333333333\n100,1e-300,-0\n100,5,\n");
}
END_TEST

START_TEST(numbers_that_are_not_finite) {
    const ag_reading readings[] = {{"a", NAN}, {"b", INFINITY}, {"c", -INFINITY}};
    for (int format = JSON; format <= CSV; format++) {
        open_log(format, NULL);
        ck_assert_int_eq(ag_run_log_write(&run_log, 7, 3, readings), AG_OK);
        close_log();
    }
    expect_text(path[JSON], "{\"step\":7,\"a\":\"NaN\",\"b\":\"Infinity\",\"c\":\"-Infinity\"}\n");
    expect_text(path[CSV], "step,a,b,c\n7,nan,inf,-inf\n");
}
END_TEST

START_TEST(names_of_any_characters) {
    const ag_reading readings[] = {{"a\"b\\", 1}, {"δ,1", 2}, {" blanks ", 3}, {"\"", 4}};
    for (int format = JSON; format <= CSV; format++) {
        open_log(format, NULL);
        ck_assert_int_eq(ag_run_log_write(&run_log, 1, 4, readings), AG_OK);
        close_log();
        open_log(format, &(ag_run_log_options){.resume = true, .step = 1});
        ck_assert_int_eq(ag_run_log_write(&run_log, 2, 4, readings), AG_OK);
        close_log();
    }
    expect_text(path[CSV], "step,\"a\"\"b\\\",\"δ,1\",\" blanks \",\"\"\"\"\n1,1,2,3,4\n2,1,2,3,4\n");
}
END_TEST

/* Others read what is written here: Python's json and csv, if there is a Python. */
START_TEST(other_readers) {
    static const char script[] =
        "import csv, json, math, sys\n"
        "rows = [json.loads(line, parse_constant=lambda c: sys.exit(3)) for line in open(sys.argv[1], "
        "encoding='utf-8')]\n"
        "table = list(csv.DictReader(open(sys.argv[2], encoding='utf-8', newline='')))\n"
        "assert len(rows) == len(table) == 3 and list(rows[0]) == list(table[0]) == ['step', 'x\"y,', 'δ']\n"
        "for row, cells in zip(rows, table):\n"
        "    for name in row:\n"
        "        a, b = float(row[name]), float(cells[name])\n"
        "        assert a == b or a != a and b != b, (name, a, b)\n"
        "assert table[2]['δ'] == '' and 'δ' not in rows[2]\n"
        "assert float(rows[0]['δ']) == math.pi and float(rows[1]['x\"y,']) == -math.inf\n";
    char command[300], file[96];
    snprintf(file, sizeof file, "%s/read.py", folder);
    put(file, script);
    for (int format = JSON; format <= CSV; format++) {
        open_log(format, NULL);
        ag_run_log_write(&run_log, 1, 2, (ag_reading[]){{"x\"y,", 0.1}, {"δ", 3.141592653589793}});
        ag_run_log_write(&run_log, 2, 2, (ag_reading[]){{"x\"y,", -INFINITY}, {"δ", NAN}});
        ag_run_log_write(&run_log, 3, 1, (ag_reading[]){{"x\"y,", 5e-324}});
        expect_ok(tape);
        close_log();
    }
    snprintf(command, sizeof command, "python3 %s %s %s", file, path[JSON], path[CSV]);
    if (system("command -v python3 >/dev/null 2>&1") == 0) ck_assert_int_eq(system(command), 0);
    unlink(file);
}
END_TEST

START_TEST(columns_can_be_given_first) {
    const char *names[] = {"loss", "val"};
    ag_run_log_options columns = {.n = 2, .names = names};
    open_log(CSV, &columns);
    ag_run_log_write(&run_log, 1, 0, NULL);
    ag_run_log_write(&run_log, 2, 1, &(ag_reading){"val", 3});
    ag_run_log_write(&run_log, 3, 2, (ag_reading[]){{"val", 3}, {"loss", 4}});
    expect_ok(tape);
    ck_assert_int_eq(ag_run_log_write(&run_log, 4, 1, &(ag_reading){"more", 3}), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "run_log_write", "no column has the name \"more\"", "test_log.c:");
    close_log();
    expect_text(path[CSV], "step,loss,val\n1,,\n2,,3\n3,4,3\n");
}
END_TEST

/* ---- Runs that are resumed ---- */

static void resume_at(int format, int64_t step) {
    ag_run_log_options resumed = {.resume = true, .step = step};
    open_log(format, &resumed);
}

START_TEST(a_resumed_run_continues_at_its_step) {
    for (int format = JSON; format <= CSV; format++) {
        resume_at(format, 5); /* there is no file yet */
        for (int step = 1; step <= 4; step++) record(step, step, step);
        close_log();
        resume_at(format, 2);
        ck_assert_int_eq(run_log.step, 2);
        record(3, 0.5, 0.5);
        close_log();
        resume_at(format, 100);
        record(4, 0.25, NAN);
        close_log();
    }
    expect_text(path[JSON], "{\"step\":1,\"loss\":1,\"accuracy\":1}\n{\"step\":2,\"loss\":2,\"accuracy\":2}\n"
                            "{\"step\":3,\"loss\":0.5,\"accuracy\":0.5}\n{\"step\":4,\"loss\":0.25}\n");
    expect_text(path[CSV], "step,loss,accuracy\n1,1,1\n2,2,2\n3,0.5,0.5\n4,0.25,\n");
    resume_at(CSV, -1);
    record(1, 9, 9);
    close_log();
    expect_text(path[CSV], "step,loss,accuracy\n1,9,9\n");
}
END_TEST

/* However few bytes of the last records have arrived. */
START_TEST(a_run_that_was_killed_while_it_wrote) {
    static const char *const whole[] = {"{\"step\":1,\"a\":1}\n{\"step\":2,\"a\":2}\n{\"step\":3,\"a\":3}\n",
                                        "step,a\n1,1\n2,2\n3,3\n"};
    for (int format = JSON; format <= CSV; format++)
        for (size_t bytes = 0; bytes <= strlen(whole[format]); bytes++) {
            put_bytes(path[format], whole[format], bytes);
            resume_at(format, 3);
            int64_t next = run_log.step < 0 ? 1 : run_log.step + 1;
            for (; next <= 3; next++) ag_run_log_write(&run_log, next, 1, &(ag_reading){"a", (double)next});
            expect_ok(tape);
            close_log();
            expect_text(path[format], whole[format]);
        }
}
END_TEST

START_TEST(a_new_log_replaces_an_old_one) {
    put(path[JSON], "anything at all");
    open_log(JSON, NULL);
    close_log();
    expect_text(path[JSON], "");
}
END_TEST

/* ---- Files that are no logs ---- */

typedef struct fault {
    int format;
    const char *text, *where, *what;
} fault;

static const fault faults[] = {
    {JSON, "loss\n", "line 1", "{\"step\":"},
    {JSON, "unfinished", "line 1", "{\"step\":"},
    {JSON, "{\"step\":1}\n{\"step\":x}\n", "line 2", "an integer"},
    {JSON, "{\"step\":1}\n\n", "line 2", "an integer"},
    {JSON, "{\"step\":-1}\n", "line 1", "an integer"},
    {JSON, "{\"step\":1.5}\n", "line 1", "an integer"},
    {JSON, "{\"step\":99999999999999999999}\n", "line 1", "an integer"},
    {JSON, "{\"step\":2}\n{\"step\":1}\n", "line 2", "below the one before"},
    {CSV, "loss,step\n1,2\n", "line 1", "\"step\""},
    {CSV, "1,2\n", "line 1", "\"step\""},
    {CSV, "stepwise\n1,2\n", "line 1", "\"step\""},
    {CSV, "step,\"a\n1,2\n", "line 1", "malformed"},
    {CSV, "step,\"a\"b\n1,2\n", "line 1", "malformed"},
    {CSV, "step,a\nx,2\n", "line 2", "its step"},
    {CSV, "step,a\n1,2\nunfinished", "line 3", "its step"},
    {CSV, "step,a\n2,2\n1,2\n", "line 3", "below"},
    {CSV, "step,a,a\n2,2\n", "run_log_open", "one name, \"a\""},
    {CSV, "step,step\n2,2\n", "run_log_open", "\"step\""},
    {CSV, "step,\n2,2\n", "run_log_open", "the name of reading 0"},
    {CSV, "step,\xFF\n2,2\n", "run_log_open", "UTF-8"},
};

START_TEST(files_that_are_no_logs_stay_as_they_are) {
    const fault *f = &faults[_i];
    put(path[f->format], f->text);
    ag_run_log_open(&run_log, tape, path[f->format], &(ag_run_log_options){.resume = true, .step = 1000});
    expect_error(tape, AG_ERR_FILE == ag_tape_status(tape) ? AG_ERR_FILE : AG_ERR_RANGE, f->where, f->what,
                 "test_log.c:");
    ck_assert_ptr_null(run_log.file);
    expect_text(path[f->format], f->text);
    ag_run_log_write(&run_log, 1, 0, NULL);
    expect_error(tape, AG_ERR_FILE, "not open");
}
END_TEST

/* A file is continued by one that names the same columns, or none. */
START_TEST(columns_of_a_file_that_is_continued) {
    static const struct {
        int n;
        const char *names[3];
        bool good;
    } how[] = {{0, {NULL}, true},
               {2, {"a", "b"}, true},
               {2, {"b", "a"}, false},
               {1, {"a"}, false},
               {3, {"a", "b", "c"}, false}};
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        put(path[CSV], "step,a,b\n1,2,3\n");
        const ag_run_log_options options = {.resume = true, .step = 1, .n = how[i].n, .names = how[i].names};
        const ag_status status = ag_run_log_open(&run_log, tape, path[CSV], &options);
        ck_assert_int_eq(status, how[i].good ? AG_OK : AG_ERR_FILE);
        if (!how[i].good) expect_error(tape, AG_ERR_FILE, "line 1", "the columns are not those that the options name");
        else close_log();
        expect_text(path[CSV], "step,a,b\n1,2,3\n");
    }
}
END_TEST

START_TEST(nul_bytes_and_long_lines) {
    enum { LENGTH = 200000 };
    static char text[LENGTH];
    put_bytes(path[CSV], "step,a\n1\0,2\n", 12);
    ag_run_log_open(&run_log, tape, path[CSV], &(ag_run_log_options){.resume = true, .step = 9});
    expect_error(tape, AG_ERR_FILE, "line 2");
    put_bytes(path[CSV], "step,a\0b\n1,2\n", 13);
    ag_run_log_open(&run_log, tape, path[CSV], &(ag_run_log_options){.resume = true, .step = 9});
    expect_error(tape, AG_ERR_FILE, "line 1");
    memset(text, ',', LENGTH);
    memcpy(text, "step", 4);
    text[LENGTH - 1] = '\n';
    put_bytes(path[CSV], text, LENGTH);
    ag_run_log_open(&run_log, tape, path[CSV], &(ag_run_log_options){.resume = true, .step = 9});
    expect_error(tape, AG_ERR_FILE, "too many names");
    memset(text, 'x', LENGTH);
    memcpy(text, "{\"step\":1,", 10);
    text[LENGTH - 1] = '\n';
    put_bytes(path[JSON], text, LENGTH);
    resume_at(JSON, 1);
    ck_assert_int_eq(run_log.size, LENGTH);
    close_log();
}
END_TEST

/* Opening one must not wait. */
START_TEST(places_that_are_no_files) {
    char pipe_path[96];
    snprintf(pipe_path, sizeof pipe_path, "%s/pipe.csv", folder);
    ck_assert_int_eq(mkfifo(pipe_path, 0600), 0);
    const char *const paths[] = {"/nowhere/at/all.csv", pipe_path, "/dev/null", folder, ""};
    for (int i = 0; i < 5; i++) {
        ag_run_log_open(&run_log, tape, paths[i], &(ag_run_log_options){.format = AG_RUN_LOG_CSV});
        expect_error(tape, AG_ERR_FILE, "run_log_open", paths[i]);
    }
    unlink(pipe_path);
}
END_TEST

/* Reading any bytes ends in a log that is open, or in an error and an unchanged file. */
START_TEST(noise) {
    static const char alphabet[] = "{\"step\":1,}\nstep,12\n\n\r\",,0;9a";
    int rounds = small_run() ? 100 : 600;
    uint64_t draw = 0;
    for (int i = 0; i < rounds; i++) {
        char text[80];
        int format = i % 2;
        size_t n = (size_t)(20 * (scatter(draw++) + 1)), opening = format ? 7 : 10;
        memcpy(text, format ? "step,a\n" : "{\"step\":1}", opening);
        for (size_t k = 0; k < n; k++)
            text[opening + k] = alphabet[(size_t)((scatter(draw++) + 1) / 2 * (sizeof alphabet - 1))];
        put_bytes(path[format], text, opening + n);
        ag_run_log_open(&run_log, tape, path[format], &(ag_run_log_options){.resume = true, .step = 2});
        ag_status status = ag_tape_status(tape);
        ck_assert(status == AG_OK || status == AG_ERR_FILE || status == AG_ERR_RANGE);
        struct stat s;
        ck_assert_int_eq(stat(path[format], &s), 0);
        if (status != AG_OK) ck_assert_uint_eq((size_t)s.st_size, opening + n);
        ag_run_log_close(&run_log);
        ag_clear_error(tape);
    }
}
END_TEST

/* ---- Calls that are refused ---- */

START_TEST(arguments) {
    ag_run_log_open(NULL, tape, path[CSV], NULL);
    expect_error(tape, AG_ERR_NULL, "the log is NULL");
    ag_run_log_open(&run_log, NULL, path[CSV], NULL);
    ck_assert_int_eq(ag_tape_status(NULL), AG_ERR_NULL);
    ck_assert_int_eq(ag_run_log_write(&run_log, 1, 0, NULL), AG_ERR_NULL);
    ck_assert_int_eq(ag_run_log_write(NULL, 1, 0, NULL), AG_ERR_NULL);
    ag_clear_error(NULL);
    ck_assert_int_eq(ag_run_log_close(NULL), AG_OK);
    ag_run_log_open(&run_log, tape, NULL, NULL);
    expect_error(tape, AG_ERR_NULL, "the path is NULL");
    const struct {
        const char *path;
        ag_run_log_options options;
        const char *problem;
    } wrong[] = {
        {"log.txt", {.n = 0}, ".jsonl, .json or .csv"},
        {"log.csv", {.format = (ag_run_log_format)9}, "format is invalid"},
        {"log.json", {.n = 1, .names = (const char *[]){"a"}}, "only CSV"},
        {"log.csv", {.n = 1}, "columns is NULL"},
        {"log.csv", {.n = -1, .names = (const char *[]){"a"}}, "-1 readings"},
        {"log.csv", {.n = 2, .names = (const char *[]){"a", "a"}}, "one name, \"a\""},
        {"log.csv", {.n = 1, .names = (const char *[]){"step"}}, "\"step\""},
        {"log.csv", {.n = 1, .names = (const char *[]){"a\n"}}, "control"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ag_run_log_open(&run_log, tape, wrong[i].path, &wrong[i].options);
        expect_error(tape, AG_ERR_RANGE, wrong[i].problem, "test_log.c:");
    }
    ck_assert_int_ne(access("log.csv", F_OK), 0);
}
END_TEST

START_TEST(records_that_are_refused) {
    for (int format = JSON; format <= CSV; format++) {
        open_log(format, NULL);
        record(5, 1, 2);
        ag_run_log_write(&run_log, 4, 0, NULL);
        expect_error(tape, AG_ERR_RANGE, "step 4 after 5", "test_log.c:");
        ag_run_log_write(&run_log, 6, 1, NULL);
        expect_error(tape, AG_ERR_NULL, "the list of readings is NULL");
        ag_run_log_write(&run_log, 6, -1, NULL);
        expect_error(tape, AG_ERR_RANGE, "-1 readings");
        ag_run_log_write(&run_log, 6, 1001, (ag_reading[1001]){{"a", 1}});
        expect_error(tape, AG_ERR_RANGE, "1001 readings");
        ag_run_log_write(&run_log, 6, 1, &(ag_reading){NULL, 1});
        expect_error(tape, AG_ERR_NULL, "reading 0");
        ag_run_log_write(&run_log, 6, 2, (ag_reading[]){{"loss", 1}, {"loss", 2}});
        expect_error(tape, AG_ERR_RANGE, "one name, \"loss\"");
        ag_run_log_write(&run_log, 6, 1, &(ag_reading){"step", 1});
        expect_error(tape, AG_ERR_RANGE, "\"step\"");
        ag_run_log_write(&run_log, 6, 1, &(ag_reading){"a\x01", 1});
        expect_error(tape, AG_ERR_RANGE, "control");
        ag_matmul(ag_scalar(tape, AG_F64, 1), ag_scalar(tape, AG_F64, 1));
        ck_assert_int_eq(ag_run_log_write(&run_log, 6, 0, NULL), ag_tape_status(tape));
        ag_clear_error(tape);
        record(6, 1, 2);
        close_log();
    }
    expect_text(path[CSV], "step,loss,accuracy\n5,1,2\n6,1,2\n");
    expect_text(path[JSON], "{\"step\":5,\"loss\":1,\"accuracy\":2}\n{\"step\":6,\"loss\":1,\"accuracy\":2}\n");
    open_log(JSON, NULL);
    ag_run_log_write(&run_log, -1, 0, NULL);
    expect_error(tape, AG_ERR_RANGE, "step -1");
    close_log();
}
END_TEST

/* ---- Failures ---- */

/* A file that may not grow: what is written in part is cut off, and the log goes on when there is room again. */
START_TEST(a_record_that_cannot_be_written_leaves_nothing) {
    struct rlimit former, limit;
    for (int format = JSON; format <= CSV; format++) {
        open_log(format, NULL);
        record(1, 1, 1);
        getrlimit(RLIMIT_FSIZE, &former);
        limit = former;
        limit.rlim_cur = (rlim_t)run_log.size + 3;
        setrlimit(RLIMIT_FSIZE, &limit); /* the check library writes files too: nothing is checked meanwhile */
        ag_run_log_write(&run_log, 2, 2, (ag_reading[]){{"loss", 2}, {"accuracy", 2}});
        setrlimit(RLIMIT_FSIZE, &former);
        expect_error(tape, AG_ERR_FILE, "cannot be written", "File too large", "test_log.c:");
        record(3, 3, 3);
        close_log();
    }
    expect_text(path[JSON], "{\"step\":1,\"loss\":1,\"accuracy\":1}\n{\"step\":3,\"loss\":3,\"accuracy\":3}\n");
    expect_text(path[CSV], "step,loss,accuracy\n1,1,1\n3,3,3\n");
}
END_TEST

START_TEST(every_failing_allocation) {
    bool came_through = false;
    for (int64_t fail_at = 2; !came_through; fail_at++) {
        ledger l;
        ledger_open(&l);
        l.fail_at = fail_at;
        ag_tape *t = ag_tape_new_with(&l.allocator);
        ck_assert_ptr_nonnull(t);
        put(path[CSV], "step,a,b\n1,2,3\n");
        ag_run_log_options resumed = {.resume = true, .step = 1};
        ag_status opened = ag_run_log_open(&run_log, t, path[_i], &resumed);
        ag_status status = ag_run_log_write(&run_log, 2, 1, &(ag_reading){"a", 1});
        came_through = !l.failed;
        ck_assert_int_eq(status, l.failed ? AG_ERR_MEMORY : AG_OK);
        if (opened != AG_OK) expect_text(path[CSV], "step,a,b\n1,2,3\n");
        ag_run_log_close(&run_log);
        ag_tape_free(t);
        ledger_close(&l);
        unlink(path[JSON]);
    }
}
END_TEST

START_TEST(a_steady_loop_allocates_nothing) {
    open_log(_i, NULL);
    record(1000, -1.2345678901234567e-300, -1.2345678901234567e-300);
    int64_t before = tape_ledger.calls;
    for (int i = 1001; i < 1500; i++) record(i, 1. / i, 1. / 3);
    ck_assert_int_eq(tape_ledger.calls, before);
    close_log();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("log");
    TCase *group = tape_group(suite, "log");
    tcase_add_checked_fixture(group, make_folder, remove_folder);
    tcase_add_test(group, records_as_json_lines_and_as_csv);
    tcase_add_test(group, numbers_that_are_not_finite);
    tcase_add_test(group, names_of_any_characters);
    tcase_add_test(group, other_readers);
    tcase_add_test(group, columns_can_be_given_first);
    tcase_add_test(group, a_resumed_run_continues_at_its_step);
    tcase_add_test(group, a_run_that_was_killed_while_it_wrote);
    tcase_add_test(group, a_new_log_replaces_an_old_one);
    tcase_add_loop_test(group, files_that_are_no_logs_stay_as_they_are, 0, (int)(sizeof faults / sizeof *faults));
    tcase_add_test(group, columns_of_a_file_that_is_continued);
    tcase_add_test(group, nul_bytes_and_long_lines);
    tcase_add_test(group, places_that_are_no_files);
    tcase_add_test(group, noise);
    tcase_add_test(group, arguments);
    tcase_add_test(group, records_that_are_refused);
    tcase_add_test(group, a_record_that_cannot_be_written_leaves_nothing);
    tcase_add_loop_test(group, every_failing_allocation, 0, 2);
    tcase_add_loop_test(group, a_steady_loop_allocates_nothing, 0, 2);
    return run_suite(suite);
}
