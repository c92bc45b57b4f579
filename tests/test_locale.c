/* test_locale -- every text is written and read in the same way if the program's locale has decimal commas
 *
 * The locale is made here, by localedef, from a description of a few lines: machines need not have one. Each text is
 * written under "C" and under this locale, and must be the same; texts with times are searched for commas instead. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp, setenv */
#include "autograd/tape/format.h"
#include "io/io.h"
#include "nn/nn.h"

#include <ctype.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support.h"

enum { ROOM = 1 << 16 };

static char folder[64], path[96];
static pid_t owner; /* of the folder: tests run in processes of their own */

/* ---- The locale ---- */

static const char description[] = "comment_char %\n"
                                  "escape_char /\n"
                                  "LC_NUMERIC\n"
                                  "decimal_point \",\"\n"
                                  "thousands_sep \".\"\n"
                                  "grouping 3;3\n"
                                  "END LC_NUMERIC\n";

static bool put_file(const char *text) {
    FILE *file = fopen(path, "w");
    if (file) fputs(text, file);
    return file && fclose(file) == 0;
}

static void remove_folder(void) {
    char command[200];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (getpid() == owner && system(command) != 0) printf("cannot remove %s\n", folder);
}

static bool commas_are_written(void) {
    char text[8];
    snprintf(text, sizeof text, "%.1f", 1.5);
    return strcmp(text, "1,5") == 0;
}

static bool make_locale(void) {
    char command[300];
    snprintf(folder, sizeof folder, "%s/test_locale.XXXXXX", scratch());
    if (!mkdtemp(folder)) return false;
    owner = getpid();
    atexit(remove_folder);
    snprintf(path, sizeof path, "%s/description", folder);
    if (!put_file(description)) return false;
    snprintf(command, sizeof command, "localedef -c -i %s %s/commas >/dev/null 2>&1", path, folder);
    /* It warns about everything that the description omits; success is checked below. */
    if (system(command) == -1) return false;
    snprintf(path, sizeof path, "%s/file", folder);
    setenv("LOCPATH", folder, 1);
    return setlocale(LC_NUMERIC, "commas") != NULL && commas_are_written(); /* musl knows any name, and no commas */
}

static void use_commas(bool commas) {
    ck_assert_ptr_nonnull(setlocale(LC_NUMERIC, commas ? "commas" : "C"));
    ck_assert(commas_are_written() == commas);
}

/* ---- Texts: each writes one, on a new tape ---- */

typedef const char *writer(ag_tape *t, char *text);

static const char *failed(ag_tape *t) {
    ck_assert_int_ne(ag_tape_status(t), AG_OK);
    return ag_tape_error(t);
}

static const char *written(const char *file, char *text) {
    FILE *f = fopen(file, "r");
    ck_assert_ptr_nonnull(f);
    text[fread(text, 1, ROOM - 1, f)] = 0;
    fclose(f);
    return text;
}

static ag_tensor *point(ag_tape *t) {
    double x[] = {0.125, -1.75};
    return ag_label(ag_parameter(t, AG_F64, AG_SHAPE(2), x), "x");
}

static ag_tensor *curve(ag_tensor *x) { return ag_sum(ag_mul(ag_tanh(ag_scale(x, 0.3)), ag_add_scalar(x, 2.5))); }

static const char *constructor(ag_tape *t, char *text) {
    (void)text;
    ag_clamp(point(t), 1.5, 0.5);
    return failed(t);
}

static const char *source(ag_tape *t, char *text) {
    (void)text;
    ag_uniform(t, AG_F64, AG_SHAPE(3), 2.5, 1.25);
    return failed(t);
}

static const char *whole_number(ag_tape *t, char *text) {
    (void)text;
    ag_full(t, AG_I64, AG_SHAPE(3), 2.5);
    return failed(t);
}

static const char *layer(ag_tape *t, char *text) {
    (void)text;
    ag_dropout(point(t), 1.5, true);
    return failed(t);
}

static bool reject_half(ag_infer *r) { return ag_reject(r, AG_ERR_RANGE, "%g is a half", 0.5); }

static bool accept(ag_infer *r) {
    r->shape = AG_SCALAR;
    return true;
}

static bool compute_half(const ag_call *call) { return ag_call_fail(call, AG_ERR_RANGE, "%g is a half", 0.5); }

static const char *user_operation(ag_tape *t, char *text) {
    ag_tensor *x = point(t);
    ag_op op = {.name = "half", .kind = AG_KIND_OPAQUE, .arity = 1, .flags = AG_OP_NOT_DIFFERENTIABLE};
    op.infer = accept;
    op.eval = compute_half;
    ag_eval(ag_apply(&op, 1, &x, NULL, 0));
    strcpy(text, failed(t));
    ag_clear_error(t);
    op.infer = reject_half;
    ag_apply(&op, 1, &x, NULL, 0);
    return strcat(text, failed(t));
}

static const char *formulas(ag_tape *t, char *text) {
    ag_tensor *x = point(t), *y = curve(x), *dx;
    ag_grad(y, 1, &x, &dx);
    *text = 0;
    for (int style = AG_STYLE_TEXT; style <= AG_STYLE_MATHML; style++)
        strcat(text, ag_formula(dx, &(ag_formula_options){.style = (ag_style)style}));
    return text;
}

static const char *explanations(ag_tape *t, char *text) {
    ag_tensor *x = point(t), *y = curve(x);
    *text = 0;
    for (int json = 0; json < 2; json++) {
        strcat(text, ag_explain(y, x, &(ag_explain_options){.json = json}));
        strcat(text, ag_trace_backward(y, 1, &x, &(ag_explain_options){.json = json}));
    }
    return text;
}

static const char *picture(ag_tape *t, char *text) {
    ag_tensor *x = point(t), *y = curve(x);
    ck_assert_int_eq(ag_write_dot(path, 1, &y, &(ag_dot_options){.values = true}), AG_OK);
    return written(path, text);
}

static ag_tensor *wrong_slope(void *context, int n, ag_tensor *const x[]) {
    (void)context, (void)n;
    return ag_add(curve(x[0]), ag_stop_gradient(ag_sum(ag_square(x[0]))));
}

static const char *check(ag_tape *t, char *text) {
    ag_gradcheck_report report;
    ag_tensor *x = point(t);
    ck_assert_int_eq(ag_gradcheck(wrong_slope, NULL, 1, &x, NULL, &report), AG_ERR_GRADIENT);
    return strcpy(text, report.message);
}

static const char *table_of_numbers(ag_tape *t, char *text) {
    ck_assert(put_file("0.25;1.5e1;-.125;16777217.0;+3\n"));
    for (int dtype = AG_F32; dtype <= AG_F64; dtype++) {
        ag_tensor *x = ag_csv_read(t, path, (ag_dtype)dtype, &(ag_csv_options){.separator = ';'});
        expect_list(x, 0.25, 15, -.125, dtype == AG_F32 ? 16777216 : 16777217, 3);
    }
    ck_assert(put_file("0,25;1\n"));
    ag_csv_read(t, path, AG_F64, &(ag_csv_options){.separator = ';'});
    return strcpy(text, failed(t));
}

static const char *training_run(ag_tape *t, char *text) {
    ag_progress progress;
    ag_run_log run_log;
    const ag_reading reading = {"loss", 0.125};
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ag_progress_begin(&progress, f, 4, NULL);
    ag_progress_update(&progress, 1, 1, &reading);
    ag_progress_end(&progress);
    fclose(f);
    size_t used = strlen(written(path, text));
    *strstr(text, "loss") = 'L'; /* behind rate and time, which differ */
    memmove(text, strchr(text, 'L'), used);
    ag_run_log_open(&run_log, t, path, &(ag_run_log_options){.format = AG_RUN_LOG_CSV});
    ag_run_log_write(&run_log, 1, 1, &reading);
    ag_run_log_close(&run_log);
    written(path, text + strlen(text));
    strcat(text, ag_curves_svg(t, 1, &(ag_curve){"loss", 1, NULL, &reading.value}, NULL));
    expect_ok(t);
    return text;
}

static const struct {
    const char *name;
    writer *write;
} texts[] = {
    {"the error of a constructor", constructor},
    {"the error of a source", source},
    {"the error of a number that does not fit", whole_number},
    {"the error of a layer", layer},
    {"the errors of a user's operation", user_operation},
    {"formulas", formulas},
    {"explanations", explanations},
    {"a graph", picture},
    {"a gradient check", check},
    {"a table of numbers", table_of_numbers},
    {"a training run", training_run},
};

static void write_text(int i, bool commas, char text[ROOM]) {
    static char own[ROOM];
    use_commas(commas);
    ag_tape *t = ag_tape_new();
    strcpy(text, texts[i].write(t, own));
    ag_tape_free(t);
    ck_assert_msg(commas_are_written() == commas, "%s: the locale has changed", texts[i].name);
}

START_TEST(texts_are_the_same) {
    static char with_points[ROOM], with_commas[ROOM];
    write_text(_i, false, with_points);
    write_text(_i, true, with_commas);
    ck_assert_msg(strpbrk(with_points, "0123456789") != NULL, "%s: it contains no number", texts[_i].name);
    size_t at = 0;
    while (with_points[at] && with_points[at] == with_commas[at]) at++;
    ck_assert_msg(with_points[at] == with_commas[at], "%s: %.40s, with decimal commas %.40s", texts[_i].name,
                  with_points + at, with_commas + at);
}
END_TEST

/* ---- Times and sizes ---- */

/* Whether some digit, mark, digit stands outside of parentheses. */
static bool has_between_digits(const char *text, char mark) {
    int depth = 0;
    for (const char *c = text; *c; c++) {
        depth += (*c == '(') - (*c == ')');
        bool inside = c > text && isdigit((unsigned char)c[-1]) && isdigit((unsigned char)c[1]);
        if (depth == 0 && *c == mark && inside) return true;
    }
    return false;
}

static void expect_points(const char *what, const char *text) {
    ck_assert_msg(has_between_digits(text, '.') && !has_between_digits(text, ','), "%s: %s", what, text);
}

START_TEST(tables_have_points) {
    static char text[ROOM];
    use_commas(true);
    ag_profile_start(tape);
    ag_tensor *x = ag_uniform(tape, AG_F64, AG_SHAPE(300, 300), 0, 1);
    for (int i = 0; i < 3; i++) ag_eval(curve(ag_matmul(x, x)));
    ag_profile_stop(tape);
    expect_points("the profile", ag_profile_table(tape, 10));
    expect_points("memory", ag_tape_memory_table(tape));
    ck_assert_int_eq(ag_profile_write(tape, path), AG_OK);
    const char *events = strstr(written(path, text), "\"ts\":");
    ck_assert_ptr_nonnull(events);
    ck_assert_msg(strspn(strstr(events + 5, "\"dur\":") + 6, "0123456789.") > 4, "a time without its point: %s",
                  events);
    expect_ok(tape);
}
END_TEST

/* ---- Formats ---- */

/* Whether text is cut off, ended and counted as by snprintf, in any room. */
static void expect_as_c(const char *format, const char *word, int n, size_t size, long long whole) {
    for (size_t room = 1; room < 60; room++) {
        char got[64] = "", right[64] = "";
        memset(got, '?', sizeof got - 1), memset(right, '?', sizeof right - 1);
        const int used = ag__format(got, room, format, word, n, size, whole, 2.0);
        ck_assert_int_eq(used, snprintf(right, room, format, word, n, size, whole, 2.0));
        ck_assert(memcmp(got, right, sizeof got) == 0);
    }
}

START_TEST(formats_are_those_of_c) {
    static const char format[] = "%s, %d %zu: %lld and %g.", percent[] = "%s%d%zu%lld%%%.0f";
    expect_as_c(format, "word", 0, 0, 0);
    expect_as_c(format, "", INT_MIN, SIZE_MAX, LLONG_MIN);
    expect_as_c(percent, "a longer word", INT_MAX, 10, LLONG_MAX);
    ck_assert_int_eq(ag__format(NULL, 0, "%d", 123), 3);
}
END_TEST

/* Its length is not one that an int has, and neither negative, as a failure is: the most is said instead. */
START_TEST(a_text_of_two_gigabytes_is_cut_off) {
    enum { LENGTH = 1 << 27 };
    char *w = malloc(LENGTH + 1), got[8];
    ck_assert_ptr_nonnull(w);
    memset(w, 'w', LENGTH), w[LENGTH] = 0;
    ck_assert_int_eq(ag__format(got, sizeof got, "%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%d", w, w, w, w, w, w, w, w, w, w, w,
                                w, w, w, w, w, 1),
                     INT_MAX);
    ck_assert_str_eq(got, "wwwwwww");
    free(w);
}
END_TEST

/* ---- A locale of the thread's own ---- */

START_TEST(a_thread_keeps_its_locale) {
    use_commas(true);
    locale_t commas = duplocale(LC_GLOBAL_LOCALE);
    use_commas(false);
    locale_t before = uselocale(commas);
    ag_clamp(point(tape), 1.5, 0.5);
    bool kept = commas_are_written();
    uselocale(before);
    freelocale(commas);
    ck_assert(kept && !commas_are_written());
    expect_error(tape, AG_ERR_RANGE, "low is 1.5 and high is 0.5");
}
END_TEST

int main(void) {
    if (!make_locale()) {
        printf("cannot make a locale with decimal commas (needs localedef of glibc): skipped\n");
        return 77;
    }
    Suite *suite = suite_create("locale");
    TCase *plain = plain_group(suite, "texts"), *taped = tape_group(suite, "tables");
    tcase_add_test(plain, formats_are_those_of_c);
    tcase_add_test(plain, a_text_of_two_gigabytes_is_cut_off);
    tcase_add_loop_test(plain, texts_are_the_same, 0, (int)(sizeof texts / sizeof *texts));
    tcase_add_test(taped, a_thread_keeps_its_locale);
    tcase_add_test(taped, tables_have_points);
    return run_suite(suite);
}
