/* test_load -- variables from files: what fits, what does not, and that nothing changes unless all of it does */
#include "io/io.h"

#include <stdlib.h>

#include "tests/files.h"
#include "tests/support.h"

static ag_tensor *w, *b, *n; /* a small model, whose labels are their names */

static const double ws[] = {1, 2, 3, 4, 5, 6}, zeros[6] = {0};
static const float no_floats[6] = {0};
static const int64_t no_integers[6] = {0};
static const float bs[] = {7, 8};
static const int64_t ns[] = {9};

static void make_model(const double *weights, const float *biases, const int64_t *counts) {
    w = ag_label(ag_parameter(tape, AG_F64, AG_SHAPE(2, 3), weights), "w");
    b = ag_label(ag_parameter(tape, AG_F32, AG_SHAPE(2), biases), "b");
    n = ag_label(ag_variable(tape, AG_I64, AG_SHAPE(1), counts), "n");
}

#define MODEL                                                                                                          \
    3, (ag_tensor *[]) { w, b, n }

static const char *saved(const char *name) {
    make_model(ws, bs, ns);
    ag_save(in_folder(name), MODEL, NULL);
    expect_ok(tape);
    make_model(zeros, no_floats, no_integers);
    return in_folder(name);
}

static void expect_loaded(void) {
    expect_ok(tape);
    expect_list(w, 1, 2, 3, 4, 5, 6);
    expect_list(b, 7, 8);
    expect_list(n, 9);
}

static void expect_nothing_changed(void) {
    expect_list(w, 0, 0, 0, 0, 0, 0);
    expect_list(b, 0, 0);
    expect_list(n, 0);
}

/* ---- What fits ---- */

START_TEST(test_a_model) {
    static const char *const names[] = {"a.safetensors", "a.npz"};
    ag_load_report r;
    const char *path = saved(names[_i]);
    ck_assert_int_eq(ag_load(path, MODEL, NULL, &r), AG_OK);
    expect_loaded();
    ck_assert_int_eq(r.fitting, 3);
    ck_assert_int_eq(r.count, 3);
    ck_assert_int_eq(r.missing + r.unexpected + r.shapes + r.dtypes, 0);
    ck_assert_str_eq(r.item[1].name, "b");
    ck_assert_str_eq(r.item[1].dtype, "f32");
    ck_assert_int_eq(r.item[1].index, 1);
    ck_assert_int_eq(r.item[1].shape.extent[0], 2);
    make_model(zeros, no_floats, no_integers);
    ck_assert_int_eq(ag_load(path, MODEL, NULL, NULL), AG_OK);
    expect_loaded();
}
END_TEST

START_TEST(test_what_is_recorded_keeps_the_old_values) {
    const char *path = saved("a.npz");
    ag_tensor *twice = ag_scale(w, 2);
    int64_t before = ag_values_given(w);
    ag_load(path, MODEL, NULL, NULL);
    expect_list(twice, 0, 0, 0, 0, 0, 0);
    expect_list(ag_scale(w, 2), 2, 4, 6, 8, 10, 12);
    ck_assert_int_eq(ag_values_given(w), before + 1);
}
END_TEST

START_TEST(test_assignments_that_wait_are_replaced) {
    const char *path = saved("a.npz");
    ag_mark mark = ag_tape_mark(tape);
    ag_assign(w, ag_add_scalar(w, 1));
    ag_assign_with(b, ag_add_scalar(b, 1), w);
    ag_load(path, 1, &w, &(ag_load_options){.allow_unexpected = true}, NULL);
    expect_list(w, 1, 2, 3, 4, 5, 6);
    ag_tape_rewind(tape, mark);
    expect_ok(tape);
    expect_list(w, 1, 2, 3, 4, 5, 6);
    expect_list(b, 1, 1);
}
END_TEST

START_TEST(test_values_survive_rewinds) {
    const char *path = saved("a.safetensors");
    ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i < 5; i++) {
        ag_load(path, MODEL, NULL, NULL);
        ag_assign(w, ag_scale(w, 2));
        ag_tape_rewind(tape, mark);
        expect_list(w, 2, 4, 6, 8, 10, 12);
    }
    ag_load(path, MODEL, NULL, NULL);
    ag_tape_rewind(tape, mark);
    expect_loaded();
}
END_TEST

START_TEST(test_names_that_are_given) {
    make_model(ws, bs, ns);
    const char *names[] = {"encoder.w", NULL, "encoder.n"};
    ag_save(in_folder("a.npz"), MODEL, &(ag_save_options){.names = names});
    make_model(zeros, no_floats, no_integers);
    ag_load(in_folder("a.npz"), MODEL, &(ag_load_options){.names = names}, NULL);
    expect_loaded();
}
END_TEST

START_TEST(test_a_format_without_names) {
    make_model(ws, bs, ns);
    ag_save(in_folder("a.npy"), 1, &w, NULL);
    ag_tensor *v = ag_variable(tape, AG_F64, AG_SHAPE(2, 3), zeros); /* without a label */
    ag_load_report r;
    ag_load(in_folder("a.npy"), 1, &v, NULL, &r);
    expect_ok(tape);
    expect_list(v, 1, 2, 3, 4, 5, 6);
    ck_assert_int_eq(r.fitting, 1);
    ck_assert_str_eq(r.item[0].name, "");
    ag_load(in_folder("a.npy"), MODEL, NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "load: ", "without a name", "3 are wanted", "test_load.c:");
    ag_load(in_folder("a.npy"), 1, &b, NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "(2,3) in the file and (2) here");
}
END_TEST

START_TEST(test_halves_into_floats) {
    const uint16_t halves[] = {0x3F80, 0xBF80}; /* bf16: 1, −1 */
    write_safetensors(in_folder("a"), "{\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}", halves, 4);
    make_model(ws, bs, ns);
    ag_load_report r;
    ag_load(in_folder("a"), 1, &b, NULL, &r);
    expect_ok(tape);
    expect_list(b, 1, -1);
    ck_assert_str_eq(r.item[0].dtype, "bf16");
}
END_TEST

/* ---- What does not fit ---- */

START_TEST(test_missing_and_unexpected) {
    const char *path = saved("a.npz");
    ag_tensor *v[] = {w, ag_label(ag_variable(tape, AG_F64, AG_SHAPE(2), zeros), "extra"), n};
    ag_load_report r;
    ck_assert_int_eq(ag_load(path, 3, v, NULL, &r), AG_ERR_FILE);
    expect_error(tape, AG_ERR_FILE, "load: ", path, "missing 1, unexpected 1", "\"extra\" (2) is not in the file",
                 "test_load.c:");
    expect_nothing_changed();
    ck_assert_int_eq(r.fitting, 2);
    ck_assert_int_eq(r.missing, 1);
    ck_assert_int_eq(r.unexpected, 1);
    ck_assert_int_eq(r.count, 4);
    ck_assert_int_eq(r.item[1].result, AG_LOAD_MISSING);
    ck_assert_str_eq(r.item[1].dtype, "");
    ck_assert_int_eq(r.item[3].result, AG_LOAD_UNEXPECTED);
    ck_assert_int_eq(r.item[3].index, -1);
    ck_assert_str_eq(r.item[3].name, "b");
    ag_load(path, 3, v, &(ag_load_options){.allow_missing = true}, NULL);
    expect_error(tape, AG_ERR_FILE, "\"b\" (2) is in the file alone");
    ag_load(path, 3, v, &(ag_load_options){.allow_unexpected = true}, NULL);
    expect_error(tape, AG_ERR_FILE, "\"extra\"");
    expect_nothing_changed();
    ag_load(path, 3, v, &(ag_load_options){.allow_missing = true, .allow_unexpected = true}, &r);
    expect_ok(tape);
    ck_assert_int_eq(r.fitting, 2);
    expect_list(w, 1, 2, 3, 4, 5, 6);
    expect_list(v[1], 0, 0);
    expect_list(n, 9);
}
END_TEST

START_TEST(test_other_shapes_and_dtypes) {
    const char *path = saved("a.safetensors");
    ag_tensor *v[] = {w, ag_label(ag_variable(tape, AG_F64, AG_SHAPE(2), zeros), "b"), n};
    ag_load_report r;
    ag_load(path, 3, v, NULL, &r);
    expect_error(tape, AG_ERR_FILE, "another dtype 1", "\"b\" is f32 in the file and f64 here");
    expect_nothing_changed();
    ck_assert_int_eq(r.dtypes, 1);
    ck_assert_int_eq(r.item[1].result, AG_LOAD_DTYPE);
    ag_load(path, 3, v, &(ag_load_options){.convert = true}, &r);
    expect_ok(tape);
    expect_list(v[1], 7, 8);
    ck_assert_int_eq(ag_dtype_of(v[1]), AG_F64);
    make_model(zeros, no_floats, no_integers);
    ag_tensor *u[] = {ag_label(ag_variable(tape, AG_F64, AG_SHAPE(3, 2), zeros), "w"), b, n};
    ag_load(path, 3, u, &(ag_load_options){.convert = true, .allow_missing = true, .allow_unexpected = true}, &r);
    expect_error(tape, AG_ERR_FILE, "another shape 1", "\"w\" is (2,3) in the file and (3,2) here");
    ck_assert_int_eq(r.shapes, 1);
    expect_nothing_changed();
}
END_TEST

START_TEST(test_damage_changes_nothing) {
    const char *path = saved("a.npz");
    size_t length;
    unsigned char *bytes = read_bytes(path, &length);
    for (size_t i = 0; i < length; i++) {
        unsigned char was = bytes[i];
        bytes[i] ^= 0x41;
        write_bytes(path, bytes, length);
        bytes[i] = was;
        if (ag_load(path, MODEL, NULL, NULL) == AG_OK) { /* a date, say, does not count */
            expect_loaded();
            make_model(zeros, no_floats, no_integers);
        } else {
            expect_error(tape, AG_ERR_FILE, "load: ", path);
            expect_nothing_changed();
        }
    }
    free(bytes);
}
END_TEST

START_TEST(test_arguments) {
    const char *path = saved("a.npz");
    ag_tensor *v[] = {w, b, ag_arange(tape, AG_I64, 1)};
    ag_load(path, 3, v, NULL, NULL);
    expect_error(tape, AG_ERR_TAPE, "load", "only a variable or a parameter", "test_load.c:");
    ag_load(NULL, MODEL, NULL, NULL);
    expect_error(tape, AG_ERR_NULL, "path");
    ck_assert_int_eq(ag_load(path, 1, NULL, NULL, NULL), AG_ERR_NULL);
    ag_clear_error(NULL);
    ck_assert_int_eq(ag_load(path, -1, v, NULL, NULL), AG_ERR_RANGE);
    ag_clear_error(NULL);
    ag_load(path, 2, (ag_tensor *[]){w, ag_label(n, "w")}, NULL, NULL);
    expect_error(tape, AG_ERR_RANGE, "number 0 [", "number 1 [", "one name, \"w\"");
    ag_load(path, 1, (ag_tensor *[]){ag_variable(tape, AG_I64, AG_SHAPE(1), ns)}, NULL, NULL);
    expect_error(tape, AG_ERR_RANGE, "has no name");
    ag_load("/nowhere", 1, v, NULL, NULL);
    ck_assert_int_eq(ag_load(path, 1, v, NULL, NULL), AG_ERR_FILE); /* the first error stays */
    expect_error(tape, AG_ERR_FILE, "/nowhere");
    ag_tape *other = ag_tape_new();
    ag_load(path, 2, (ag_tensor *[]){w, ag_variable(other, AG_I64, AG_SHAPE(1), ns)}, NULL, NULL);
    expect_error(tape, AG_ERR_TAPE, "another tape");
    ag_tape_free(other);
    expect_list(w, 0, 0, 0, 0, 0, 0);
}
END_TEST

/* A function that is being checked may load; what it would change is not carried out. */
static const char *checked_path;
static ag_tensor *loads(void *context, int count, ag_tensor *const x[]) {
    (void)context, (void)count;
    ag_load(checked_path, MODEL, NULL, NULL);
    return ag_sum(ag_square(x[0]));
}

START_TEST(test_within_a_check) {
    checked_path = saved("a.npz");
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(3), ws);
    ag_gradcheck(loads, NULL, 1, &x, NULL, NULL);
    expect_ok(tape);
    expect_nothing_changed();
}
END_TEST

START_TEST(test_every_failing_allocation) {
    const char *path = saved(_i ? "a.npz" : "a.safetensors");
    bool came_through = false;
    for (int64_t fail_at = 1; !came_through; fail_at++) {
        ledger l;
        ledger_open(&l);
        ag_tape *t = ag_tape_new_with(&l.allocator);
        ag_tensor *v[] = {ag_label(ag_variable(t, AG_F64, AG_SHAPE(2, 3), zeros), "w"),
                          ag_label(ag_variable(t, AG_F32, AG_SHAPE(2), zeros), "b"),
                          ag_label(ag_variable(t, AG_I64, AG_SHAPE(1), zeros), "n")};
        l.fail_at = l.calls + fail_at;
        ag_status status = ag_load(path, 3, v, NULL, NULL);
        came_through = !l.failed;
        l.fail_at = 0;
        ck_assert_int_eq(status, l.failed ? AG_ERR_MEMORY : AG_OK);
        ag_clear_error(t);
        ck_assert_double_eq(ag_element(v[0], 5), l.failed ? 0 : 6);
        ck_assert_double_eq(ag_element(v[1], 1), l.failed ? 0 : 8);
        ck_assert_double_eq(ag_element(v[2], 0), l.failed ? 0 : 9);
        ag_tape_free(t);
        ledger_close(&l);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("load");
    TCase *fits = tape_group(suite, "fits");
    tcase_add_checked_fixture(fits, make_folder, remove_folder);
    tcase_add_loop_test(fits, test_a_model, 0, 2);
    tcase_add_test(fits, test_what_is_recorded_keeps_the_old_values);
    tcase_add_test(fits, test_assignments_that_wait_are_replaced);
    tcase_add_test(fits, test_values_survive_rewinds);
    tcase_add_test(fits, test_names_that_are_given);
    tcase_add_test(fits, test_a_format_without_names);
    tcase_add_test(fits, test_halves_into_floats);
    TCase *wrong = tape_group(suite, "does not fit");
    tcase_add_checked_fixture(wrong, make_folder, remove_folder);
    tcase_add_test(wrong, test_missing_and_unexpected);
    tcase_add_test(wrong, test_other_shapes_and_dtypes);
    tcase_add_test(wrong, test_damage_changes_nothing);
    tcase_add_test(wrong, test_arguments);
    tcase_add_test(wrong, test_within_a_check);
    tcase_add_loop_test(wrong, test_every_failing_allocation, 0, 2);
    return run_suite(suite);
}
