/* test_scope -- prefixes of labels, and lists of parameters and state */
#include "io/io.h"
#include "nn/nn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support.h"

static ag_tensor *number(double value) { return ag_from(tape, AG_F64, AG_SCALAR, &value); }
static ag_tensor *parameter(const char *label) {
    ag_tensor *p = ag_parameter(tape, AG_F64, AG_SCALAR, &(double){1});
    return label ? ag_label(p, label) : p;
}
static ag_tensor *variable(const char *label) {
    return ag_label(ag_variable(tape, AG_F64, AG_SCALAR, &(double){1}), label);
}

#define expect_label(x, text) ck_assert_str_eq(ag_label_of(x), text)

/* The labels of a list, with blanks between them. */
static void expect_names(ag_list list, const char *wanted) {
    char text[1000] = "";
    for (int i = 0; i < list.n; i++) {
        if (i) strcat(text, " ");
        strcat(text, *ag_label_of(list.x[i]) ? ag_label_of(list.x[i]) : "-");
    }
    ck_assert_str_eq(text, wanted);
    ck_assert_ptr_nonnull(list.x);
}

/* ---- Scopes ---- */

START_TEST(labels_get_the_prefixes_of_the_open_scopes) {
    expect_label(parameter("w"), "w");
    ck_assert_int_eq(ag_scope(tape, "encoder"), AG_OK);
    expect_label(parameter("w"), "encoder.w");
    for (int i = 0; i < 12; i += 11) {
        ck_assert_int_eq(ag_scope_at(tape, "layer", i), AG_OK);
        ck_assert_int_eq(ag_scope(tape, "0.attention"), AG_OK);
        expect_label(parameter("w"), i ? "encoder.layer.11.0.attention.w" : "encoder.layer.0.0.attention.w");
        ck_assert_int_eq(ag_scope_end(tape), AG_OK);
        expect_label(ag_neg(number(1)), "");
        expect_label(ag_label(ag_neg(number(1)), "y"), i ? "encoder.layer.11.y" : "encoder.layer.0.y");
        ck_assert_int_eq(ag_scope_end(tape), AG_OK);
    }
    expect_label(ag_label(parameter("w"), ""), "encoder.");
    ck_assert_int_eq(ag_scope_end(tape), AG_OK);
    expect_label(parameter("w"), "w");
    ck_assert_int_eq(ag_scope_at(tape, "x", INT64_MAX), AG_OK);
    expect_label(parameter("w"), "x.9223372036854775807.w");
    ck_assert_int_eq(ag_scope_end(tape), AG_OK);
}
END_TEST

START_TEST(layers_in_scopes_have_names_of_their_own) {
    ag_linear layer[2];
    for (int i = 0; i < 2; i++) {
        ag_scope_at(tape, "layer", i);
        ck_assert_int_eq(ag_linear_init(&layer[i], tape, AG_F32, 3, 2), AG_OK);
        ag_scope_end(tape);
    }
    expect_names(ag_parameters(tape, NULL), "layer.0.weight layer.0.bias layer.1.weight layer.1.bias");
    expect_names(ag_parameters(tape, "layer.1"), "layer.1.weight layer.1.bias");
}
END_TEST

static void refused_name(const char *name, ag_status status, const char *what) {
    ck_assert_int_eq(ag_scope(tape, name), status);
    expect_error(tape, status, "scope: ", what, "test_scope.c:");
    expect_label(parameter("w"), "outer.w");
    ck_assert_int_eq(ag_scope_end(tape), AG_OK); /* of the scope that was refused */
    expect_label(parameter("w"), "outer.w");
}

START_TEST(names_that_files_cannot_have_are_refused) {
    char *text = malloc(70000);
    memset(text, 'a', 69999);
    text[69999] = 0;
    ag_scope(tape, "outer");
    refused_name(NULL, AG_ERR_NULL, "the name is NULL");
    refused_name("", AG_ERR_RANGE, "the name \"\" has no characters");
    refused_name("a\nb", AG_ERR_RANGE, "the name \"a?b\" has a control character");
    refused_name("\xff", AG_ERR_RANGE, "has bytes that are not UTF-8");
    refused_name(text, AG_ERR_RANGE, "has more than 65000 bytes");
    text[64994] = 0; /* with "outer." and the point one too many */
    refused_name(text, AG_ERR_RANGE, "the prefix of labels would have 65001 bytes, more than 65000");
    text[64993] = 0;
    ck_assert_int_eq(ag_scope(tape, text), AG_OK);
    ck_assert_uint_eq(strlen(ag_label_of(parameter("w"))), 65001);
    ck_assert_int_eq(ag_scope_end(tape), AG_OK);
    ck_assert_int_eq(ag_scope_at(tape, "layer", -1), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "scope_at: the number is -1: 0 or more is wanted", "test_scope.c:");
    ck_assert_int_eq(ag_scope_end(tape), AG_OK);
    expect_label(parameter("w"), "outer.w");
    ck_assert_int_eq(ag_scope_end(tape), AG_OK);
    free(text);
}
END_TEST

START_TEST(an_end_without_a_scope_is_refused) {
    ck_assert_int_eq(ag_scope_end(tape), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "scope_end: no scope is open", "test_scope.c:");
    ck_assert_int_eq(ag_scope(NULL, "a"), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "scope: the tape is NULL", "test_scope.c:");
    ck_assert_int_eq(ag_scope_at(NULL, "a", 1), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "scope_at: the tape is NULL", "test_scope.c:");
    ck_assert_int_eq(ag_scope_end(NULL), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "scope_end: the tape is NULL", "test_scope.c:");
}
END_TEST

START_TEST(scopes_of_a_tape_in_error_are_still_pairs) {
    ag_scope(tape, "a");
    ag_add(number(1), ag_zeros(tape, AG_F32, AG_SCALAR));
    ck_assert_int_eq(ag_scope(tape, "b"), AG_ERR_DTYPE);
    ck_assert_int_eq(ag_scope_at(tape, "c", 0), AG_ERR_DTYPE);
    ck_assert_int_eq(ag_scope_end(tape), AG_ERR_DTYPE);
    ag_clear_error(tape);
    expect_label(parameter("w"), "a.w");
    ck_assert_int_eq(ag_scope(tape, "d"), AG_OK); /* within b, which is open in vain */
    expect_label(parameter("w"), "a.d.w");
    ck_assert_int_eq(ag_scope_end(tape), AG_OK);
    ck_assert_int_eq(ag_scope_end(tape), AG_OK);
    expect_label(parameter("w"), "a.w");
    ag_add(number(1), ag_zeros(tape, AG_F32, AG_SCALAR));
    ck_assert_int_eq(ag_scope_end(tape), AG_ERR_DTYPE); /* also closes a scope of before the error */
    ag_clear_error(tape);
    expect_label(parameter("w"), "w");
    ck_assert_int_eq(ag_scope_end(tape), AG_ERR_TAPE);
    ag_clear_error(tape);
}
END_TEST

/* ---- Scopes and rewinds ---- */

START_TEST(a_rewind_out_of_an_open_scope_is_refused) {
    ag_mark mark = ag_tape_mark(tape);
    ag_scope(tape, "model");
    ag_mark inner = ag_tape_mark(tape);
    ag_tensor *x = number(3);
    ck_assert_int_eq(ag_tape_rewind(tape, inner), AG_OK);
    x = number(3);
    ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "tape_rewind: the scope \"model\", opened at ", "test_scope.c:", "is still open");
    expect_item(x, 3);
    ck_assert_int_eq(ag_scope_end(tape), AG_OK);
    ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
    ck_assert_int_eq(ag_tape_memory(tape).nodes, 0);
    expect_label(parameter("w"), "w");
}
END_TEST

START_TEST(a_rewind_into_a_closed_scope_does_not_open_it) {
    ag_scope(tape, "model");
    ag_mark mark = ag_tape_mark(tape);
    ag_scope_end(tape);
    parameter("w");
    ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
    expect_label(parameter("w"), "w");
    ck_assert_int_eq(ag_scope_end(tape), AG_ERR_TAPE);
    ag_clear_error(tape);
}
END_TEST

START_TEST(a_rewind_in_error_closes_what_was_opened_since) {
    ag_scope(tape, "a");
    ag_mark mark = ag_tape_mark(tape);
    for (int round = 0; round < 3; round++) {
        ag_scope(tape, "b");
        ag_add(number(1), ag_zeros(tape, AG_F32, AG_SCALAR));
        ag_scope(tape, "c");
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_ERR_DTYPE);
        ag_clear_error(tape);
        expect_label(parameter("w"), "a.w");
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
    }
    ag_scope(tape, "");
    ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_ERR_RANGE); /* open in vain, and closed */
    ag_clear_error(tape);
    ck_assert_int_eq(ag_scope_end(tape), AG_OK);
    expect_label(parameter("w"), "w");
}
END_TEST

START_TEST(scopes_in_a_steady_loop_take_no_more_memory) {
    ag_mark mark = ag_tape_mark(tape);
    int64_t allocations = 0;
    for (int i = 0; i < 50; i++) {
        if (i == 2) allocations = ag_tape_memory(tape).allocations;
        ag_scope(tape, "a");
        ag_label(ag_neg(number(1)), "y");
        ag_scope_end(tape);
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
    }
    ck_assert_int_eq(ag_tape_memory(tape).allocations, allocations);
}
END_TEST

/* ---- Scopes in code that the tape calls ---- */

static int calls;

static ag_tensor *scoped(void *context, int n, ag_tensor *const x[]) {
    (void)n;
    calls++;
    ag_scope(tape, "inside");
    ag_tensor *y = ag_label(ag_square(x[0]), "y");
    expect_label(y, "outside.inside.y");
    if (!context) ag_scope_end(tape);
    if (context && *(bool *)context) {
        ag_scope_end(tape);
        ag_scope_end(tape);
    }
    return y;
}

START_TEST(functions_that_are_checked_have_scopes) {
    ag_tensor *x = number(3);
    ag_scope(tape, "outside");
    ck_assert_int_eq(ag_gradcheck(scoped, NULL, 1, &x, NULL, NULL), AG_OK);
    ck_assert_int_gt(calls, 1);
    expect_label(parameter("w"), "outside.w");
    bool twice = false; /* left open: it ends with the call */
    ck_assert_int_eq(ag_gradcheck(scoped, &twice, 1, &x, NULL, NULL), AG_OK);
    expect_label(parameter("w"), "outside.w");
    twice = true;
    ck_assert_int_eq(ag_gradcheck(scoped, &twice, 1, &x, NULL, NULL), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "scope_end: the scope was opened before", "test_scope.c:");
    ck_assert_int_eq(ag_scope_end(tape), AG_OK);
    expect_label(parameter("w"), "w");
}
END_TEST

static ag_tensor *listing(void *context, int n, ag_tensor *const x[]) {
    (void)context;
    expect_names(ag_state(tape, NULL), "w");
    ag_list p = ag_parameters(tape, NULL);
    return ag_mul(ag_square(x[n - 1]), ag_square(p.x[0]));
}

START_TEST(functions_that_are_checked_list_the_program_s_own) {
    ag_tensor *x[] = {parameter("w"), ag_label(number(3), "w")}; /* which a variable replaces meanwhile */
    ck_assert_int_eq(ag_gradcheck(listing, NULL, 2, x, NULL, NULL), AG_OK);
}
END_TEST

static bool ends;

static ag_tensor *scoping_vjp(ag_tensor *y, ag_tensor *g, int i) {
    (void)y, (void)i;
    if (ends) ag_scope_end(tape);
    else ag_scope(tape, "vjp");
    return g;
}

static void copy(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    ag_scope(tape, "eval");
    memmove(y, x[0], (size_t)n * sizeof(double));
}

START_TEST(operations_have_no_scopes) {
    static const ag_op op = {
        .name = "scoping", .kind = AG_KIND_ELEMENTWISE, .arity = 1, .block = {[AG_F64] = copy}, .vjp = scoping_vjp};
    ag_scope(tape, "a");
    ag_tensor *x = number(3), *dx, *y = ag_apply(&op, 1, &x, NULL, 0);
    for (int i = 0; i < 2; i++) {
        ends = i;
        ck_assert_int_eq(ag_grad(y, 1, &x, &dx), AG_ERR_TAPE);
        expect_error(tape, AG_ERR_TAPE,
                     i ? "scope_end: " : "scope: ", "scopes cannot change within an operation, scoping");
    }
    ag_eval(y);
    expect_error(tape, AG_ERR_TAPE, "scope: scopes cannot change within an operation");
    expect_label(parameter("w"), "a.w");
}
END_TEST

START_TEST(tensors_of_files_keep_the_names_in_them) {
    char path[64];
    snprintf(path, sizeof path, "%s/test_scope.XXXXXX", scratch());
    int descriptor = mkstemp(path);
    ck_assert_int_ge(descriptor, 0);
    ag_tensor *x = ag_label(number(3), "w");
    ck_assert_int_eq(ag_save(path, 1, &x, &(ag_save_options){.format = AG_FORMAT_SAFETENSORS}), AG_OK);
    ag_scope(tape, "a");
    expect_label(ag_read(tape, path, "w", NULL), "w");
    ag_scope_end(tape);
    remove(path);
}
END_TEST

/* ---- Lists ---- */

START_TEST(lists_are_in_the_order_of_recording) {
    expect_names(ag_parameters(tape, NULL), "");
    parameter("b"), variable("mean"), parameter(NULL), number(1), parameter("a"), parameter(NULL);
    ag_list p = ag_parameters(tape, NULL), all = ag_state(tape, NULL);
    expect_names(p, "b - a -");
    expect_names(all, "b mean - a -");
    expect_names(ag_state(tape, ""), "b mean - a -");
    ag_add_scalar(p.x[0], 1); /* the version of a parameter is not listed */
    expect_names(ag_parameters(tape, NULL), "b - a -");
    ag_mark mark = ag_tape_mark(tape);
    parameter("c");
    expect_names(ag_parameters(tape, NULL), "b - a - c");
    ag_tape_rewind(tape, mark);
    expect_names(ag_parameters(tape, NULL), "b - a -");
    expect_names(p, "b - a -");
}
END_TEST

START_TEST(a_part_is_a_name_and_what_is_within) {
    parameter("layer.1"), parameter("layer.10.w"), parameter("layer.1.w"), parameter("layer.1.b.c"), parameter("layer");
    variable("layer.1.mean"), parameter(NULL);
    expect_names(ag_parameters(tape, "layer.1"), "layer.1 layer.1.w layer.1.b.c");
    expect_names(ag_parameters(tape, "layer.1."), "layer.1.w layer.1.b.c");
    expect_names(ag_state(tape, "layer.1."), "layer.1.w layer.1.b.c layer.1.mean");
    expect_names(ag_parameters(tape, "layer"), "layer.1 layer.10.w layer.1.w layer.1.b.c layer");
    expect_names(ag_parameters(tape, "lay"), "");
    expect_names(ag_parameters(tape, "."), "");
}
END_TEST

START_TEST(two_of_one_name_are_refused) {
    parameter("a"), parameter("w"), variable("w");
    expect_names(ag_parameters(tape, NULL), "a w");
    ck_assert_int_eq(ag_state(tape, NULL).n, 0);
    expect_error(tape, AG_ERR_RANGE, "state: two variables have one name, \"w\": one recorded [", "test_scope.c:13]",
                 "the other [", "test_scope.c:17]");
    expect_names(ag_state(tape, "a"), "a");
    parameter("w");
    ag_list none = ag_parameters(tape, NULL);
    ck_assert_ptr_null(none.x);
    expect_error(tape, AG_ERR_RANGE, "parameters: two variables have one name", "test_scope.c:");
    ck_assert_int_eq(ag_parameters(NULL, NULL).n, 0);
    expect_error(NULL, AG_ERR_NULL, "parameters: the tape is NULL", "test_scope.c:");
    ck_assert_int_eq(ag_state(NULL, NULL).n, 0);
    expect_error(NULL, AG_ERR_NULL, "state: the tape is NULL", "test_scope.c:");
    ag_add(number(1), ag_zeros(tape, AG_F32, AG_SCALAR));
    ck_assert_int_eq(ag_parameters(tape, "a").n, 0);
    expect_error(tape, AG_ERR_DTYPE, "add");
}
END_TEST

/* ---- Optimisers ---- */

START_TEST(optimisers_take_the_list_and_keep_state_on_the_tape) {
    ag_linear layer;
    ag_scope(tape, "fc");
    ck_assert_int_eq(ag_linear_init(&layer, tape, AG_F32, 3, 2), AG_OK);
    ag_scope_end(tape);
    ag_list p = ag_parameters(tape, NULL);
    ag_sgd sgd;
    ag_rmsprop rmsprop;
    ag_adam adam;
    ck_assert_int_eq(ag_sgd_init(&sgd, p.n, p.x, NULL, 0.1, 0.9), AG_OK);
    expect_names(ag_state(tape, "sgd"), "sgd.velocity.fc.weight sgd.velocity.fc.bias");
    ck_assert_ptr_eq(ag_sgd_velocity(&sgd, 1), ag_state(tape, "sgd").x[1]);
    ck_assert_int_eq(ag_rmsprop_init(&rmsprop, p.n, p.x, NULL), AG_OK);
    expect_names(ag_state(tape, "rmsprop"), "rmsprop.mean_square.fc.weight rmsprop.velocity.fc.weight "
                                            "rmsprop.mean_square.fc.bias rmsprop.velocity.fc.bias");
    ck_assert_int_eq(ag_adam_init(&adam, p.n, p.x, NULL), AG_OK);
    expect_names(ag_state(tape, "adam"), "adam.first_moment.fc.weight adam.second_moment.fc.weight "
                                         "adam.first_moment.fc.bias adam.second_moment.fc.bias");
    expect_names(ag_parameters(tape, NULL), "fc.weight fc.bias");
    ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i < 3; i++) {
        ag_backward(ag_sum(ag_square(ag_linear_apply(&layer, ag_ones(tape, AG_F32, AG_SHAPE(4, 3))))));
        ck_assert_int_eq(ag_adam_step(&adam, NULL), AG_OK);
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
    }
    ck_assert_int_eq(ag_adam_steps(&adam), 3);
}
END_TEST

START_TEST(state_of_a_parameter_without_label_has_none) {
    ag_tensor *p = parameter(NULL);
    ag_sgd sgd;
    ck_assert_int_eq(ag_sgd_init(&sgd, 1, &p, NULL, 0.1, 0.9), AG_OK);
    expect_label(ag_sgd_velocity(&sgd, 0), "");
}
END_TEST

/* ---- Memory ---- */

START_TEST(memory_of_the_tape) {
    ag_mark mark = ag_tape_mark(tape);
    for (size_t bytes = 0; bytes < 5000; bytes += 1 + bytes / 2) {
        unsigned char *p = ag_tape_alloc(tape, bytes);
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq((uintptr_t)p % 8, 0);
        for (size_t i = 0; i < bytes; i++) ck_assert_uint_eq(p[i], 0);
        memset(p, 255, bytes);
    }
    ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
    unsigned char *again = ag_tape_alloc(tape, 3000);
    for (size_t i = 0; i < 3000; i++) ck_assert_uint_eq(again[i], 0);
    char message[80];
    snprintf(message, sizeof message, "tape_alloc: out of memory (%zu bytes)", (size_t)SIZE_MAX);
    ck_assert_ptr_null(ag_tape_alloc(tape, SIZE_MAX));
    expect_error(tape, AG_ERR_MEMORY, message, "test_scope.c:");
    ck_assert_ptr_null(ag_tape_alloc(NULL, 1));
    expect_error(NULL, AG_ERR_NULL, "tape_alloc: the tape is NULL", "test_scope.c:");
}
END_TEST

/* Scopes with long names, lists and an optimiser; the number of parameters listed, or 0 after an error. */
static int use_everything(ag_tape *t, char *name) {
    int n = 0;
    ag_scope(t, name);
    ag_label(ag_parameter(t, AG_F64, AG_SCALAR, &(double){1}), "w");
    ag_scope_at(t, name, 1);
    ag_label(ag_parameter(t, AG_F64, AG_SCALAR, &(double){1}), "w");
    ag_list p = ag_parameters(t, NULL);
    ag_adam adam;
    if (p.n && ag_adam_init(&adam, p.n, p.x, NULL) == AG_OK) n = ag_state(t, NULL).n;
    ag_scope_end(t);
    ag_scope_end(t);
    return n;
}

START_TEST(out_of_memory_is_an_error_and_scopes_stay_pairs) {
    char name[3001];
    memset(name, 'n', 3000);
    name[3000] = 0;
    int failures = 0;
    bool came_through = false;
    for (int64_t fail_at = 1; !came_through; fail_at++) {
        ledger l;
        ledger_open(&l);
        ag_tape *t = ag_tape_new_with(&l.allocator);
        l.fail_at = l.calls + fail_at;
        int n = use_everything(t, name);
        ck_assert_int_eq(ag_tape_status(t), n ? AG_OK : AG_ERR_MEMORY);
        came_through = !l.failed; /* a failure may be made good by giving back what is free */
        failures += n == 0;
        l.fail_at = 0;
        ag_clear_error(t);
        expect_label(ag_label(ag_parameter(t, AG_F64, AG_SCALAR, &(double){1}), "end"), "end");
        ag_tape_free(t);
        ledger_close(&l);
        if (n) ck_assert_int_eq(n, 6);
    }
    ck_assert_int_gt(failures, 3);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("scope");
    TCase *scopes = tape_group(suite, "scopes");
    tcase_add_test(scopes, labels_get_the_prefixes_of_the_open_scopes);
    tcase_add_test(scopes, layers_in_scopes_have_names_of_their_own);
    tcase_add_test(scopes, names_that_files_cannot_have_are_refused);
    tcase_add_test(scopes, an_end_without_a_scope_is_refused);
    tcase_add_test(scopes, scopes_of_a_tape_in_error_are_still_pairs);
    TCase *rewinds = tape_group(suite, "rewinds");
    tcase_add_test(rewinds, a_rewind_out_of_an_open_scope_is_refused);
    tcase_add_test(rewinds, a_rewind_into_a_closed_scope_does_not_open_it);
    tcase_add_test(rewinds, a_rewind_in_error_closes_what_was_opened_since);
    tcase_add_test(rewinds, scopes_in_a_steady_loop_take_no_more_memory);
    TCase *callbacks = tape_group(suite, "callbacks");
    tcase_add_test(callbacks, functions_that_are_checked_have_scopes);
    tcase_add_test(callbacks, functions_that_are_checked_list_the_program_s_own);
    tcase_add_test(callbacks, operations_have_no_scopes);
    tcase_add_test(callbacks, tensors_of_files_keep_the_names_in_them);
    TCase *lists = tape_group(suite, "lists");
    tcase_add_test(lists, lists_are_in_the_order_of_recording);
    tcase_add_test(lists, a_part_is_a_name_and_what_is_within);
    tcase_add_test(lists, two_of_one_name_are_refused);
    tcase_add_test(lists, optimisers_take_the_list_and_keep_state_on_the_tape);
    tcase_add_test(lists, state_of_a_parameter_without_label_has_none);
    TCase *memory = tape_group(suite, "memory");
    tcase_add_test(memory, memory_of_the_tape);
    tcase_add_test(plain_group(suite, "failures"), out_of_memory_is_an_error_and_scopes_stay_pairs);
    return run_suite(suite);
}
