/* test_attributes -- the library's operations, applied to invalid attributes
 *
 * ag_apply takes any bytes as attributes. Each operation is given thousands: purely random ones, numbers of the
 * kinds that operations use, and those of a valid call with one number changed. The call is refused with a clear
 * error, or recorded; a recorded result can be evaluated, differentiated and written out. test_attributes SEED makes
 * other ones. */
#include "tests/attributes.h"
#include "tests/cases.h"

#include <stdlib.h>

static uint64_t state, seed = 88172645463325252u;

static uint64_t draw(void *context) { /* xorshift: Marsaglia (2003) */
    (void)context;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state >> 11;
}

static int below(void *context, int n) { return (int)(draw(context) % (uint64_t)n); }

static const lots random_lots = {.bits = draw, .below = below};

START_TEST(any_bytes_are_attributes) {
    const ag_op *op = ag_op_at(_i);
    int recorded = 0, calls = (int)by_length(400, 1000, 4000);
    state = seed + (uint64_t)_i * 7777;
    for (int k = 0; k < calls; k++) recorded += attributes_apply(op, &random_lots, &tape_ledger.allocator);
    ck_assert_msg(recorded > calls / 1000 || case_is_left_out(op->name), "%s was recorded %d times only", op->name,
                  recorded);
}
END_TEST

/* The engine's own operations are reached through tensors that they computed. */
START_TEST(parts_of_the_engine_are_not_applied) {
    ag_tensor *c = ag_from(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2}), *v = ag_variable_from(c), *y = ag_neg(v);
    const ag_op *ops[] = {ag_op_of(c), ag_op_of(v), ag_op_of(ag_input(y, 0))};
    int64_t zeros[16] = {0};
    for (int i = 0; i < 3; i++) {
        ck_assert(ag_is_nil(ag_apply(ops[i], 1, &c, zeros, sizeof zeros)));
        expect_error(tape, AG_ERR_RANGE, ops[i]->name);
        ck_assert(ag_is_nil(ag_apply_source(ops[i], tape, AG_F64, AG_SHAPE(2), zeros, sizeof zeros)));
        expect_error(tape, AG_ERR_RANGE, ops[i]->name);
    }
    expect_list(y, -1, -2);
}
END_TEST

/* ---- */

int main(int argc, char **argv) {
    if (argc > 1) seed = strtoull(argv[1], NULL, 10) * 0x9E3779B97F4A7C15u | 1;
    Suite *suite = suite_create("attributes");
    TCase *any = tape_group(suite, "any");
    tcase_set_timeout(any, 120);
    tcase_add_loop_test(any, any_bytes_are_attributes, 0, ag_op_count());
    tcase_add_test(any, parts_of_the_engine_are_not_applied);
    return run_suite(suite);
}
