/* test_profile -- what a profile says ran, and that it says it for both evaluators */
#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- A program to look at ---- */

enum { ROWS = 32, COLUMNS = 48, HIDDEN = 16 };

static ag_tensor *parameter(const char *label, ag_shape shape) {
    static float values[ROWS * COLUMNS];
    for (int i = 0; i < ROWS * COLUMNS; i++) values[i] = (float)scatter((uint64_t)i);
    return ag_label(ag_parameter(tape, AG_F32, shape, values), label);
}

/* The entry of this kind whose operations and labels contain these texts; fails the test if there is none. */
static ag_profile_entry entry_with(ag_profile_kind kind, const char *operations, const char *labels) {
    for (int i = 0; i < ag_profile_count(tape); i++) {
        ag_profile_entry e = ag_profile_at(tape, i);
        if (e.kind == kind && strstr(e.operations, operations) && (strstr(e.labels, labels) || strstr(e.inputs, labels)))
            return e;
    }
    ck_abort_msg("there is no entry of kind %d with %s and %s", (int)kind, operations, labels);
    return ag_profile_at(tape, -1);
}

/* ---- Entries ---- */

START_TEST(a_product_is_an_entry_with_its_flops) {
    ag_tensor *w = parameter("w", AG_SHAPE(COLUMNS, HIDDEN)), *x = scattered(tape, AG_F32, AG_SHAPE(ROWS, COLUMNS), 0);
    ck_assert_int_eq(ag_profile_start(tape), AG_OK);
    ag_tensor *y = ag_matmul(ag_label(x, "x"), w);
    ag_eval(y);
    ag_eval(ag_square(y));
    ck_assert_int_eq(ag_profile_stop(tape), AG_OK);
    ag_eval(ag_exp(y)); /* no more */
    ag_profile_entry e = entry_with(AG_PROFILE_PRODUCT, "matmul", "x, w");
    ck_assert_int_eq(e.calls, 1);
    ck_assert_int_eq(e.flops, 2 * ROWS * COLUMNS * HIDDEN);
    ck_assert_int_eq(e.bytes_read, 4 * (ROWS * COLUMNS + COLUMNS * HIDDEN));
    ck_assert_int_eq(e.bytes_written, 4 * ROWS * HIDDEN);
    ck_assert_int_eq(e.elements, ROWS * HIDDEN);
    ck_assert_str_eq(e.extent, "(32,48)·(48,16)");
    ck_assert_ptr_nonnull(strstr(e.file, "test_profile.c"));
    ck_assert(e.seconds > 0 && e.shortest > 0 && e.shortest <= e.seconds);
    entry_with(AG_PROFILE_OPERATION, "square", "");
    ck_assert_int_eq(entry_with(AG_PROFILE_EVALUATION, "", "").calls, 2);
    ck_assert_int_eq(ag_profile_count(tape), 3);
    ck_assert_str_eq(ag_profile_at(tape, 3).operations, "");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("profile");
    TCase *entries = tape_group(suite, "entries");
    tcase_add_test(entries, a_product_is_an_entry_with_its_flops);
    return run_suite(suite);
}
