/* test_io -- reading files: valid ones, and everything that can be wrong with them */
#define _POSIX_C_SOURCE 200809L /* mkdtemp, mkfifo */
#include "io/io.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support.h"

static char folder[64], path[96];
static int free_descriptor;

static int lowest_free_descriptor(void) {
    int d = dup(STDERR_FILENO);
    close(d);
    return d;
}

static void make_folder(void) {
    free_descriptor = lowest_free_descriptor();
    snprintf(folder, sizeof folder, "%s/test_io.XXXXXX", scratch());
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/data.csv", folder);
}

static void remove_folder(void) {
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0);
    ck_assert_int_eq(lowest_free_descriptor(), free_descriptor); /* every file has been closed */
}

static void put_bytes(const char *text, size_t bytes) {
    FILE *out = fopen(path, "wb");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(text, 1, bytes, out), bytes);
    fclose(out);
}

static void put(const char *text) { put_bytes(text, strlen(text)); }

static ag_tensor *read_as(ag_dtype dtype, const char *text) {
    put(text);
    return ag_csv_read(tape, path, dtype, NULL);
}

/* ---- Valid files ---- */

START_TEST(test_rows_and_columns) {
    ag_tensor *x = read_as(AG_F64, "1,2.5,-3\n+4e2,.5,6.\n");
    expect_shape(x, AG_SHAPE(2, 3));
    expect_list(x, 1, 2.5, -3, 400, 0.5, 6);
    expect_list(read_as(AG_F32, "1,2\n3,4"), 1, 2, 3, 4);
    expect_list(read_as(AG_I64, "7"), 7);
    ck_assert_int_eq(ag_dtype_of(read_as(AG_F32, "0.1\n")), AG_F32);
    expect_ok(tape);
}
END_TEST

START_TEST(test_line_ends_blank_lines_and_blanks) {
    expect_list(read_as(AG_F64, "1,2\r\n3,4\r\n"), 1, 2, 3, 4);
    expect_list(read_as(AG_F64, "1,2\r\n3,4\r"), 1, 2, 3, 4);
    expect_list(read_as(AG_F64, "\n\r\n 1 ,\t2 \n  \n3,4\n\n\n"), 1, 2, 3, 4);
    expect_list(read_as(AG_F64, "\xEF\xBB\xBF"
                                "1,2\n"),
                1, 2);
}
END_TEST

START_TEST(test_header_and_separator) {
    put("a;b,c\n1;2\n");
    expect_list(ag_csv_read(tape, path, AG_F64, &(ag_csv_options){.separator = ';', .header = true}), 1, 2);
    put("x\ty\r\n1\t2\r\n 3\t4");
    expect_list(ag_csv_read(tape, path, AG_I64, &(ag_csv_options){.separator = '\t', .header = true}), 1, 2, 3, 4);
    put("1 2\n3 4\n");
    expect_list(ag_csv_read(tape, path, AG_F64, &(ag_csv_options){.separator = ' '}), 1, 2, 3, 4);
}
END_TEST

/* In another order than in the file; among columns of text that may hold anything. */
START_TEST(test_columns_by_name) {
    ag_csv_options two = {.n = 2, .names = (const char *[]){"weight", "age"}};
    put("name,age, \"note, or \"\"none\"\"\" ,weight\r\n"
        "Ann,31,\"tall, \"\"very\"\"\n(two lines)\",61.5\r\n"
        "\n"
        "\"Bob, Jr.\" , 7 ,,20\n");
    ag_tensor *x = ag_csv_read(tape, path, AG_F64, &two);
    expect_ok(tape);
    expect_shape(x, AG_SHAPE(2, 2));
    expect_list(x, 61.5, 31, 20, 7);
    two.names = (const char *[]){"note, or \"none\"", "age"};
    put("\xEF\xBB\xBF\"age\";\"note, or \"\"none\"\"\"\n1;2\n3;4");
    two.separator = ';';
    expect_list(ag_csv_read(tape, path, AG_I64, &two), 2, 1, 4, 3);
    static char text[3000] = "a,b,c,d\n"; /* a cell that is longer than a number can be */
    memset(text + 8, 'x', 2000);
    memcpy(text + 2008, ",2,3,4\n", 7);
    put(text);
    expect_list(ag_csv_read(tape, path, AG_F64, &(ag_csv_options){.n = 1, .names = (const char *[]){"c"}}), 3);
}
END_TEST

START_TEST(test_many_columns_by_name) {
    enum { COLUMNS = 300 };
    static char names[COLUMNS][8];
    const char *list[COLUMNS];
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    for (int i = 0; i < COLUMNS; i++) {
        snprintf(names[i], sizeof names[i], "c%d", i);
        list[COLUMNS - 1 - i] = names[i];
        fprintf(out, i ? ",%s" : "%s", names[i]);
    }
    for (int i = 0; i < 2 * COLUMNS; i++) fprintf(out, i % COLUMNS ? ",%d" : "\n%d", i);
    fclose(out);
    ag_tensor *x = ag_csv_read(tape, path, AG_I64, &(ag_csv_options){.n = COLUMNS, .names = list});
    expect_shape(x, AG_SHAPE(2, COLUMNS));
    expect_same(x, ag_contiguous(ag_flip(ag_reshape(ag_arange(tape, AG_I64, 2 * COLUMNS), AG_SHAPE(2, COLUMNS)), 1)));
}
END_TEST

START_TEST(test_columns_that_are_not_there) {
    ag_csv_options one = {.n = 1, .names = (const char *[]){"b"}};
    const struct {
        const char *text, *problem;
    } wrong[] = {
        {"a,c\n1,2\n", "no column has the name \"b\""},
        {"a,b,b\n1,2,3\n", "more than one column has the name \"b\""},
        {"a,b\n1\n", "line 2, column 1"},
        {"a,b\n1,2,3\n", "line 2, column 3"},
        {"a,b\n1,x\n", "line 2, column 2: \"x\" is not a number"},
        {"a,b\n", "no row"},
        {"", "no column has the name"},
        {"\"a,b\n1,2\n", "quotes that does not end"},
        {"a,b\n\"1,2\n", "quotes that does not end"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        put(wrong[i].text);
        ck_assert_msg(ag_is_nil(ag_csv_read(tape, path, AG_F64, &one)), "%s", wrong[i].text);
        expect_error(tape, AG_ERR_FILE, path, wrong[i].problem, "test_io.c:");
    }
    put_bytes("a,b\n\0,2\n", 8);
    ag_csv_read(tape, path, AG_F64, &one);
    expect_error(tape, AG_ERR_FILE, "NUL");
    put("a,b\n1,2\n");
    ag_csv_read(tape, path, AG_F64, &(ag_csv_options){.n = 2, .names = (const char *[]){"b", "b"}});
    expect_error(tape, AG_ERR_FILE, "no column has the name \"b\"");
    ag_csv_read(tape, path, AG_F64, &(ag_csv_options){.n = 1});
    expect_error(tape, AG_ERR_RANGE, "1 names", "is NULL");
    ag_csv_read(tape, path, AG_F64, &(ag_csv_options){.names = (const char *[]){"b"}});
    expect_error(tape, AG_ERR_RANGE, "0 names");
    ag_csv_read(tape, path, AG_F64, &(ag_csv_options){.n = 2, .names = (const char *[]){"b", NULL}});
    expect_error(tape, AG_ERR_NULL, "column 1");
    ag_csv_read(tape, path, AG_F64, &(ag_csv_options){.n = -1, .names = (const char *[]){"b"}});
    expect_error(tape, AG_ERR_RANGE, "-1 names");
    read_as(AG_F64, "1\n\xFF\x7F\n");
    expect_error(tape, AG_ERR_FILE, "\"??\"");
    char far[400];
    memset(far, 'x', sizeof far - 1), far[sizeof far - 1] = 0;
    read_as(AG_F64, far);
    expect_error(tape, AG_ERR_FILE, "xxx…\"");
}
END_TEST

/* ---- Writing ---- */

static void expect_text(const char *wanted) {
    char text[600] = "";
    FILE *in = fopen(path, "rb");
    ck_assert_ptr_nonnull(in);
    text[fread(text, 1, sizeof text - 1, in)] = 0;
    fclose(in);
    ck_assert_str_eq(text, wanted);
}

START_TEST(test_written_tables) {
    double x[] = {1, 0.1, -2.5e-300, NAN, INFINITY, -INFINITY};
    ag_tensor *t = ag_from(tape, AG_F64, AG_SHAPE(2, 3), x);
    ck_assert_int_eq(ag_csv_write(path, t, NULL), AG_OK);
    expect_text("1,0.1,-2.5e-300\nnan,inf,-inf\n");
    ag_csv_options named = {.separator = ';', .header = true, .n = 3, .names = (const char *[]){"a", "b;c", " \"d\""}};
    ck_assert_int_eq(ag_csv_write(path, ag_transpose(ag_reshape(t, AG_SHAPE(3, 2)), 0, 1), &named), AG_OK);
    expect_text("a;\"b;c\";\" \"\"d\"\"\"\n1;-2.5e-300;inf\n0.1;nan;-inf\n");
    expect_list(ag_csv_read(tape, path, AG_F64, &named), 1, -2.5e-300, INFINITY, 0.1, NAN, -INFINITY);
    ck_assert_int_eq(ag_csv_write(path, ag_from(tape, AG_I64, AG_SHAPE(2), (int64_t[]){INT64_MIN, 7}), NULL), AG_OK);
    expect_text("-9223372036854775808\n7\n");
    ck_assert_int_eq(ag_csv_write(path, ag_from(tape, AG_BOOL, AG_SHAPE(1, 2), "\1\0"), NULL), AG_OK);
    expect_text("1,0\n");
    ck_assert_int_eq(ag_csv_write(path, ag_zeros(tape, AG_F32, AG_SHAPE(0, 3)), &named), AG_OK);
    expect_text("a;\"b;c\";\" \"\"d\"\"\"\n");
    ag_csv_options blank = {.header = true, .n = 3, .names = (const char *[]){"", "a ", "b"}};
    ck_assert_int_eq(ag_csv_write(path, t, &blank), AG_OK);
    expect_text("\"\",\"a \",b\n1,0.1,-2.5e-300\nnan,inf,-inf\n");
    expect_list(ag_csv_read(tape, path, AG_F64, &(ag_csv_options){.n = 2, .names = (const char *[]){"a ", ""}}), 0.1, 1,
                INFINITY, NAN);
    double tiny[] = {5e-324, 1.5e-323, -4.94e-322, 2.2250738585072014e-308};
    ck_assert_int_eq(ag_csv_write(path, ag_from(tape, AG_F64, AG_SHAPE(4), tiny), NULL), AG_OK);
    expect_text("5e-324\n1.5e-323\n-4.94e-322\n2.2250738585072014e-308\n");
    float few[] = {1e-45f, -9e-43f, 1.17549435e-38f, 0};
    ck_assert_int_eq(ag_csv_write(path, ag_from(tape, AG_F32, AG_SHAPE(4), few), NULL), AG_OK);
    expect_text("1e-45\n-9e-43\n1.1754944e-38\n0\n");
}
END_TEST

/* Every value comes back, and 0.1 is not written as 0.10000000149011612. */
START_TEST(test_written_numbers_come_back) {
    static uint32_t f32[2000];
    static uint64_t f64[2000];
    uint64_t bits = 1;
    for (int i = 0; i < 2000; i++) {
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        f64[i] = bits ^ bits >> 31;
        f32[i] = (uint32_t)(bits >> 32);
        if ((f64[i] >> 52 & 0x7FF) == 0x7FF) f64[i] = 0;
        if ((f32[i] >> 23 & 0xFF) == 0xFF) f32[i] = 0x80000000;
    }
    ag_tensor *wide = ag_from(tape, AG_F64, AG_SHAPE(200, 10), f64),
              *narrow = ag_from(tape, AG_F32, AG_SHAPE(200, 10), f32);
    ag_csv_write(path, wide, NULL);
    expect_same(ag_csv_read(tape, path, AG_F64, NULL), wide);
    ag_csv_write(path, narrow, NULL);
    expect_same(ag_csv_read(tape, path, AG_F32, NULL), narrow);
    ag_csv_write(path, ag_from(tape, AG_F32, AG_SHAPE(3), (float[]){0.1f, 16777216, 1e-45f}), NULL);
    expect_text("0.1\n16777216\n1e-45\n");
}
END_TEST

START_TEST(test_what_cannot_be_written) {
    ag_tensor *x = ag_zeros(tape, AG_F32, AG_SHAPE(2, 2));
    ag_csv_write(path, ag_scalar(tape, AG_F32, 1), NULL);
    expect_error(tape, AG_ERR_SHAPE, "csv_write", "rows and columns", "test_io.c:");
    ag_csv_write(path, ag_zeros(tape, AG_F32, AG_SHAPE(2, 2, 2)), NULL);
    expect_error(tape, AG_ERR_SHAPE, "(2,2,2)");
    ag_csv_write(path, ag_zeros(tape, AG_F32, AG_SHAPE(2, 0)), NULL);
    expect_error(tape, AG_ERR_SHAPE, "(2,0)");
    ag_csv_write(path, x, &(ag_csv_options){.separator = '"'});
    expect_error(tape, AG_ERR_RANGE, "separate");
    ag_csv_write(path, x, &(ag_csv_options){.n = 1, .names = (const char *[]){"a"}});
    expect_error(tape, AG_ERR_RANGE, "1 names for 2 columns");
    ag_csv_write(path, x, &(ag_csv_options){.header = true});
    expect_error(tape, AG_ERR_RANGE, "0 names for 2 columns");
    ag_csv_write(path, x, &(ag_csv_options){.n = 2, .names = (const char *[]){"a", "b\n"}});
    expect_error(tape, AG_ERR_RANGE, "column 1 has a control character");
    ag_csv_write(NULL, x, NULL);
    expect_error(tape, AG_ERR_NULL, "path");
    ag_csv_write(path, ag_gather(x, ag_full(tape, AG_I64, AG_SHAPE(1, 2), 9), 0), NULL); /* it has no value */
    expect_error(tape, AG_ERR_RANGE, "gather");
    ck_assert_int_eq(ag_csv_write(path, NULL, NULL), AG_ERR_NULL);
    ag_clear_error(NULL);
    ag_csv_write("/nowhere/x.csv", x, NULL);
    expect_error(tape, AG_ERR_FILE, "csv_write", "/nowhere/x.csv", "test_io.c:");
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(test_reals_are_rounded_to_nearest) {
    expect_list(read_as(AG_F64, "0.1,1e-400,4.9e-324,1.7976931348623157e308,123456789012345678,-0.30000000000000004"),
                0.1, 0, 0x1p-1074, 0x1.fffffffffffffp1023, 123456789012345680., -0.30000000000000004);
    /* 1 + 2^-24 and a little more: the nearest f32 is 1 + 2^-23, but rounded to f64 first it would be a tie and
     * become 1 */
    expect_list(read_as(AG_F32, "1.000000059604644775390626,16777217,0.1"), 1 + 0x1p-23, 16777216, 0.1f);
    expect_list(read_as(AG_F64, "inf,-INF,Infinity,nan,-0"), INFINITY, -INFINITY, INFINITY, NAN, 0);
    ck_assert(signbit(ag_element(read_as(AG_F64, "-0"), 0)));
    expect_list(read_as(AG_F64, "9007199254740993,00000000000000000001e5,1e0000000000000000001"), 9007199254740992.,
                1e5, 10);
}
END_TEST

START_TEST(test_integers_are_exact) {
    const int64_t *x = ag_data(read_as(AG_I64, "9223372036854775807,-9223372036854775808,+9007199254740993,-0,007"));
    ck_assert_ptr_nonnull(x);
    ck_assert(x[0] == INT64_MAX && x[1] == INT64_MIN && x[2] == 9007199254740993 && x[3] == 0 && x[4] == 7);
}
END_TEST

START_TEST(test_rows_over_the_readers_buffer) {
    enum { ROWS = 9000 };
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    for (int i = 0; i < ROWS; i++) fprintf(out, "%d,%d.5,%de-1\n", i, i, i);
    fclose(out);
    ag_tensor *x = ag_csv_read(tape, path, AG_F64, NULL);
    expect_shape(x, AG_SHAPE(ROWS, 3));
    for (int i = 0; i < ROWS; i++) {
        ck_assert_double_eq(ag_element(x, 3 * i), i);
        ck_assert_double_eq(ag_element(x, 3 * i + 1), i + 0.5);
        ck_assert_double_eq(ag_element(x, 3 * i + 2), i / 10.);
    }
}
END_TEST

START_TEST(test_the_digits) {
    /* Run from the top folder, or from where this file was compiled. */
    char beside[300];
    snprintf(beside, sizeof beside, "%.*s../examples/digits.csv", (int)(strrchr(__FILE__, '/') + 1 - __FILE__),
             __FILE__);
    const char *digits = access("examples/digits.csv", R_OK) == 0 ? "examples/digits.csv" : beside;
    ag_tensor *x = ag_csv_read(tape, digits, AG_I64, NULL);
    expect_shape(x, AG_SHAPE(1797, 65));
    ck_assert_double_eq(ag_item(ag_max(ag_slice(x, 1, 0, 64, 1))), 16);
    ck_assert_double_eq(ag_item(ag_max(ag_slice(x, 1, 64, AG_END, 1))), 9);
    ck_assert_double_eq(ag_element(x, 64), 0);
    ck_assert_double_eq(ag_element(x, 1797 * 65 - 1), 8);
    ck_assert_double_eq(ag_item(ag_sum(ag_slice(x, 1, 0, 64, 1))), 561718);
}
END_TEST

/* ---- Invalid files ---- */

typedef struct fault {
    const char *text;
    ag_dtype dtype;
    const char *where, *what;
} fault;

static const fault faults[] = {
    {"", AG_F64, "data.csv", "no row"},
    {"\n \n\r\n", AG_F64, "data.csv", "no row"},
    {"1,2\n3,x4\n", AG_F64, "line 2, column 2", "\"x4\" is not a number"},
    {"x,y\n3,4\n", AG_F64, "line 1, column 1", "\"x\" is not a number: is the first line a header?"},
    {"1;2\n3;4\n", AG_F64, "line 1, column 1", "\"1;2\" is not a number: is there another separator?"},
    {"\"1\",2\n", AG_F64, "line 1, column 1", "is not a number: quotes are not read"},
    {"1,2\n\n\n3,\n", AG_F64, "line 4, column 2", "empty"},
    {",1\n", AG_F64, "line 1, column 1", "empty"},
    {"1,2\n3\n", AG_F64, "line 2, column 1", "the first has 2"},
    {"1,2\n3,4,5\n", AG_F64, "line 2, column 3", "the first, which has 2"},
    {"1,2\r3,4\r5,6", AG_F64, "line 1, column 2", "\"2?3\" is not a number"},
    {"0x10", AG_F64, "line 1", "not a number"},
    {"1e", AG_F64, "line 1", "not a number"},
    {"1e+", AG_F64, "line 1", "not a number"},
    {".", AG_F64, "line 1", "not a number"},
    {"-", AG_F64, "line 1", "not a number"},
    {"+-1", AG_F64, "line 1", "not a number"},
    {"1 2", AG_F64, "line 1", "not a number"},
    {"1.2.3", AG_F64, "line 1", "not a number"},
    {"1,5e3.5", AG_F64, "line 1, column 2", "not a number"},
    {"infinit", AG_F64, "line 1", "not a number"},
    {"nan(7)", AG_F64, "line 1", "not a number"},
    {"\"1\"", AG_F64, "line 1", "not a number"},
    {"1e309", AG_F64, "line 1", "does not fit f64"},
    {"1e99999999999999999999", AG_F64, "line 1", "does not fit f64"},
    {"1e39", AG_F32, "line 1", "does not fit f32"},
    {"1.0", AG_I64, "line 1", "not an integer"},
    {"1e3", AG_I64, "line 1", "not an integer"},
    {"nan", AG_I64, "line 1", "not a number"},
    {"9223372036854775808", AG_I64, "line 1", "does not fit i64"},
    {"-9223372036854775809", AG_I64, "line 1", "does not fit i64"},
    {"99999999999999999999999", AG_I64, "line 1", "does not fit i64"},
    {"1\n\033[31mred\n", AG_F64, "line 2", "\"?[31mred\""},
};

START_TEST(test_faults_are_named_with_their_place) {
    const fault *f = &faults[_i];
    ck_assert_msg(ag_is_nil(read_as(f->dtype, f->text)), "\"%s\" was accepted", f->text);
    expect_error(tape, AG_ERR_FILE, "csv_read", path, f->where, f->what, "test_io.c:");
}
END_TEST

START_TEST(test_nul_bytes) {
    put_bytes("1,2\n3\0,4\n", 9);
    ag_csv_read(tape, path, AG_F64, NULL);
    expect_error(tape, AG_ERR_FILE, "line 2, column 1", "NUL");
    put_bytes("a\0b\n1\n", 6);
    ag_csv_read(tape, path, AG_F64, &(ag_csv_options){.header = true});
    expect_error(tape, AG_ERR_FILE, "line 1", "NUL");
    for (int header = 0; header < 2; header++) {
        ag_csv_read(tape, "/dev/zero", AG_F64, &(ag_csv_options){.header = header});
        expect_error(tape, AG_ERR_FILE, "/dev/zero");
    }
}
END_TEST

START_TEST(test_huge_lines_and_cells) {
    enum { LENGTH = 300000 };
    static char text[LENGTH + 1];
    memset(text, '1', LENGTH);
    put_bytes(text, LENGTH);
    ag_csv_read(tape, path, AG_F64, NULL);
    expect_error(tape, AG_ERR_FILE, "line 1, column 1", "longer than");
    for (int i = 1; i < LENGTH; i += 2) text[i] = ',';
    put_bytes(text, LENGTH - 1);
    expect_shape(ag_csv_read(tape, path, AG_F32, NULL), AG_SHAPE(1, LENGTH / 2));
    memset(text, ' ', LENGTH);
    text[LENGTH - 1] = '5';
    put_bytes(text, LENGTH);
    expect_list(ag_csv_read(tape, path, AG_F64, NULL), 5);
    memset(text, '0', LENGTH);
    text[1] = '.';
    put_bytes(text, 400);
    expect_list(ag_csv_read(tape, path, AG_F64, NULL), 0);
}
END_TEST

START_TEST(test_what_is_no_file) {
    ag_csv_read(tape, "/nowhere/at/all.csv", AG_F64, NULL);
    expect_error(tape, AG_ERR_FILE, "/nowhere/at/all.csv", "No such file", "test_io.c:");
    ag_csv_read(tape, folder, AG_F64, NULL);
    expect_error(tape, AG_ERR_FILE, folder);
    ag_csv_read(tape, "", AG_F64, NULL);
    expect_error(tape, AG_ERR_FILE, "csv_read");
    char pipe_path[80];
    snprintf(pipe_path, sizeof pipe_path, "%s/pipe", folder);
    ck_assert_int_eq(mkfifo(pipe_path, 0600), 0); /* opening one that has no writer must not wait */
    ag_csv_read(tape, pipe_path, AG_F64, NULL);
    expect_error(tape, AG_ERR_FILE, "not a regular file");
    unlink(pipe_path);
    char long_path[5000];
    memset(long_path, 'x', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = 0;
    ag_csv_read(tape, long_path, AG_F64, NULL);
    expect_error(tape, AG_ERR_FILE, "csv_read", "xxx");
}
END_TEST

START_TEST(test_arguments) {
    put("1\n");
    ck_assert(ag_is_nil(ag_csv_read(NULL, path, AG_F64, NULL)));
    ck_assert_int_eq(ag_tape_status(NULL), AG_ERR_NULL);
    ag_clear_error(NULL);
    ag_csv_read(tape, NULL, AG_F64, NULL);
    expect_error(tape, AG_ERR_NULL, "the path is NULL");
    ag_csv_read(tape, path, AG_BOOL, NULL);
    expect_error(tape, AG_ERR_DTYPE, "bool");
    ag_csv_read(tape, path, (ag_dtype)99, NULL);
    expect_error(tape, AG_ERR_DTYPE, "csv_read");
    for (const char *c = "0.+-eNx\n\r\""; *c; c++) {
        ag_csv_read(tape, path, AG_F64, &(ag_csv_options){.separator = *c});
        expect_error(tape, AG_ERR_RANGE, "separate");
    }
    ag_csv_read(tape, "/nowhere", AG_F64, NULL);
    ck_assert(ag_is_nil(ag_csv_read(tape, path, AG_F64, NULL))); /* the first error stays */
    expect_error(tape, AG_ERR_FILE, "/nowhere");
    expect_list(ag_csv_read(tape, path, AG_F64, NULL), 1);
}
END_TEST

static bool reads_named_columns;

static ag_status read_table(ag_tape *t) {
    ag_csv_options named = {.n = 1, .names = (const char *[]){"2"}};
    ag_tensor *x = ag_csv_read(t, path, AG_F64, reads_named_columns ? &named : NULL);
    ck_assert(ag_is_nil(x) == (ag_tape_status(t) != AG_OK));
    return ag_tape_status(t);
}

START_TEST(test_every_failing_allocation) {
    put("1,2\n3,4\n");
    reads_named_columns = _i;
    with_each_allocation_failing(read_table);
}
END_TEST

/* Reading any bytes ends with a tensor or an error. */
START_TEST(test_noise) {
    static const char alphabet[] = "0123456789,,,\n\n\r.-+eE infa\t\"\0;";
    int rounds = small_run() ? 300 : 3000;
    uint64_t draw = 0;
    ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i < rounds; i++) {
        char text[48];
        size_t n = (size_t)(24 * (scatter(draw++) + 1));
        for (size_t k = 0; k < n; k++) text[k] = alphabet[(size_t)((scatter(draw++) + 1) / 2 * sizeof alphabet)];
        put_bytes(text, n);
        ag_csv_options named = {.n = 1, .names = (const char *[]){"1"}};
        ag_tensor *x = ag_csv_read(tape, path, i % 2 ? AG_F64 : AG_I64, i % 3 ? NULL : &named);
        ag_status status = ag_tape_status(tape);
        ck_assert(status == AG_OK || status == AG_ERR_FILE);
        ck_assert(ag_is_nil(x) == (status != AG_OK));
        ag_clear_error(tape);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io");
    TCase *right = tape_group(suite, "csv");
    tcase_add_checked_fixture(right, make_folder, remove_folder);
    tcase_add_test(right, test_rows_and_columns);
    tcase_add_test(right, test_line_ends_blank_lines_and_blanks);
    tcase_add_test(right, test_header_and_separator);
    tcase_add_test(right, test_columns_by_name);
    tcase_add_test(right, test_many_columns_by_name);
    tcase_add_test(right, test_written_tables);
    tcase_add_test(right, test_written_numbers_come_back);
    tcase_add_test(right, test_reals_are_rounded_to_nearest);
    tcase_add_test(right, test_integers_are_exact);
    tcase_add_test(right, test_rows_over_the_readers_buffer);
    tcase_add_test(right, test_the_digits);
    TCase *wrong = tape_group(suite, "csv faults");
    tcase_add_checked_fixture(wrong, make_folder, remove_folder);
    tcase_add_loop_test(wrong, test_faults_are_named_with_their_place, 0, (int)(sizeof faults / sizeof *faults));
    tcase_add_test(wrong, test_columns_that_are_not_there);
    tcase_add_test(wrong, test_what_cannot_be_written);
    tcase_add_test(wrong, test_nul_bytes);
    tcase_add_test(wrong, test_huge_lines_and_cells);
    tcase_add_test(wrong, test_what_is_no_file);
    tcase_add_test(wrong, test_arguments);
    tcase_add_loop_test(wrong, test_every_failing_allocation, 0, 2);
    tcase_add_test(wrong, test_noise);
    return run_suite(suite);
}
