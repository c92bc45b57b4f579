/* test_plans -- when a plan is made, for which structures it is used, and how long it is kept
 *
 * Every program here runs on one tape after others that differ from it in a single attribute, so that a plan used
 * for the wrong structure shows. A build with -Dcollide=true makes all structures have one hash. */
#include "autograd/eval/compile.h"
#include "autograd/eval/lists.h"
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Structures that differ in one attribute ---- */

enum { VARIANTS = 4 };

typedef struct twins {
    const char *what; /* is different */
    ag_tensor *(*build)(ag_tensor *a, ag_tensor *b, int variant);
} twins;

static ag_dtype dtype_of(int variant) {
    static const ag_dtype all[VARIANTS] = {AG_F32, AG_F64, AG_I64, AG_BOOL};
    return all[variant];
}

static ag_tensor *a_cast(ag_tensor *a, ag_tensor *b, int v) { return ag_cast(ag_mul(a, b), dtype_of(v)); }
static ag_tensor *a_cast_and_back(ag_tensor *a, ag_tensor *b, int v) {
    return ag_add(ag_cast(ag_cast(ag_scale(ag_mul(a, b), 3), dtype_of(v)), AG_F64), b);
}
static ag_tensor *a_number(ag_tensor *a, ag_tensor *b, int v) {
    static const double number[VARIANTS] = {0, -0.0, 1, 0.5};
    return ag_mul(ag_add_scalar(ag_sub(a, a), number[v]), b);
}
static ag_tensor *an_exponent(ag_tensor *a, ag_tensor *b, int v) {
    return ag_mul(ag_pow_scalar(ag_abs(a), v == 3 ? 0.5 : v), b);
}
static ag_tensor *an_operation(ag_tensor *a, ag_tensor *b, int v) {
    ag_tensor *(*const all[VARIANTS])(ag_tensor *, ag_tensor *) = {ag_add, ag_mul, ag_sub, ag_maximum};
    return ag_tanh(all[v](a, b));
}
static ag_tensor *the_wiring(ag_tensor *a, ag_tensor *b, int v) {
    ag_tensor *c = ag_exp(a), *d = ag_sin(b), *x[VARIANTS][2] = {{c, d}, {d, c}, {c, c}, {d, a}};
    return ag_sub(x[v][0], ag_tanh(x[v][1]));
}
static ag_tensor *an_axis(ag_tensor *a, ag_tensor *b, int v) {
    static const int axes[VARIANTS][2] = {{0, 0}, {1, 1}, {2, 2}, {0, 1}};
    ag_axes some = v == 3 ? AG_AXES(0, 1) : (ag_axes){1, {axes[v][0]}};
    return ag_mul(ag_sum_over(ag_exp(a), some, true), b);
}
static ag_tensor *a_keepdim(ag_tensor *a, ag_tensor *b, int v) {
    return ag_mul(ag_tanh(b), ag_sum_over(ag_exp(a), AG_AXES(v / 2), v % 2));
}
static ag_tensor *a_permutation(ag_tensor *a, ag_tensor *b, int v) {
    static const int axes[VARIANTS][2] = {{0, 1}, {1, 2}, {0, 2}, {0, 0}};
    return ag_mul(ag_transpose(ag_exp(a), axes[v][0], axes[v][1]), b);
}
static ag_tensor *a_flip(ag_tensor *a, ag_tensor *b, int v) {
    return ag_mul(v == 3 ? ag_flip(ag_flip(a, 0), 2) : ag_flip(a, v), b);
}
static ag_tensor *a_slice(ag_tensor *a, ag_tensor *b, int v) { /* of one shape, with another start or step */
    ag_tensor *one = ag_slice(ag_exp(a), 0, v % 3, v % 3 + 2, 1);
    return ag_mul(one, ag_slice(b, 0, v == 3 ? 2 : 0, v == 3 ? 4 : 2, 1));
}
static ag_tensor *a_shape(ag_tensor *a, ag_tensor *b, int v) { /* with the same number of elements */
    ag_shape all[VARIANTS] = {AG_SHAPE(64), AG_SHAPE(8, 8), AG_SHAPE(2, 32), AG_SHAPE(4, 4, 4)};
    ag_tensor *x = ag_reshape(ag_exp(a), all[v]);
    return ag_sum_over(ag_mul(x, ag_reshape(b, all[v])), AG_AXES(-1), false);
}
static ag_tensor *a_layout(ag_tensor *a, ag_tensor *b, int v) { /* strides only */
    ag_tensor *x = v % 2 ? ag_transpose(a, 1, 2) : a, *y = v / 2 ? ag_transpose(b, 0, 2) : b;
    return ag_exp(ag_mul(x, y));
}
static ag_tensor *a_constant(ag_tensor *a, ag_tensor *b, int v) {
    ag_tape *t = ag_tape_of(a);
    static const double value[VARIANTS] = {1, 0, -0.0, 2};
    return ag_add(ag_mul(a, ag_full(t, AG_F64, AG_SHAPE(4, 4, 4), value[v])), b);
}

/* Equal ones are computed once, different ones are not. */
static ag_tensor *equal_numbers(ag_tensor *a, ag_tensor *b, int v) {
    static const double number[VARIANTS][2] = {{2, 2}, {2, 3}, {-2, -2}, {0.0, -0.0}};
    return ag_sub(ag_rdiv_scalar(number[v][0], a), ag_mul(b, ag_rdiv_scalar(number[v][1], a)));
}

/* More numbers than are compared with each other; the last is one of them, or another. */
static ag_tensor *many_numbers(ag_tensor *a, ag_tensor *b, int v) {
    static const int again[VARIANTS] = {1, AG__NUMBERS + 2, AG__NUMBERS + 3, AG__NUMBERS + 9};
    ag_tensor *y = b;
    for (int i = 0; i < AG__NUMBERS + 5; i++) y = ag_add(y, ag_sin(ag_scale(a, 2 + i / 1024.0)));
    return ag_add(y, ag_sin(ag_scale(a, 2 + again[v] / 1024.0)));
}

static ag_tensor *neutral_at_an_end(ag_tensor *a, ag_tensor *b, int v) {
    static const double number[VARIANTS] = {-INFINITY, 0, -1, INFINITY};
    return ag_mul(ag_maximum(a, ag_scalar(ag_tape_of(a), AG_F64, number[v])), b);
}

static void beyond_seven(int64_t n, void *y, const void *const x[], const void *attributes) {
    (void)attributes;
    const double *a = x[0], *b = x[1];
    for (int64_t i = 0; i < n; i++) ((double *)y)[i] = a[i] + (b[i] - 7);
}
static const ag_op op_beyond_seven = {.name = "beyond_seven",
                                      .kind = AG_KIND_ELEMENTWISE,
                                      .arity = 2,
                                      .flags = AG_OP_NEUTRAL,
                                      .block = {[AG_F64] = beyond_seven},
                                      .neutral = 7};
static ag_tensor *neutral_to_a_users(ag_tensor *a, ag_tensor *b, int v) {
    ag_tensor *x[] = {a, ag_scalar(ag_tape_of(a), AG_F64, v == 0 ? 7 : v)};
    return ag_mul(ag_apply(&op_beyond_seven, 2, x, NULL, 0), b);
}
static ag_tensor *the_number_of_inputs(ag_tensor *a, ag_tensor *b, int v) {
    ag_tensor *x[VARIANTS + 1] = {ag_exp(a), ag_exp(b), a, b, ag_tanh(a)};
    return ag_concat(v + 2, x, 0);
}

static ag_tensor *a_draw(ag_tensor *a, ag_tensor *b, int v) { /* the same numbers twice, if the seed is set again */
    ag_tape *t = ag_tape_of(a);
    ag_tape_seed(t, 7);
    ag_tensor *first = ag_uniform(t, AG_F64, AG_SHAPE(4, 4, 4), 0, 1);
    if (v % 2 == 0) ag_tape_seed(t, 7);
    ag_tensor *second = ag_uniform(t, AG_F64, AG_SHAPE(4, 4, 4), 0, v < 2 ? 1 : 2);
    return ag_mul(ag_sub(ag_mul(first, a), ag_mul(second, a)), b);
}

static const twins all_twins[] = {{"cast", a_cast},
                                  {"cast, read again", a_cast_and_back},
                                  {"number", a_number},
                                  {"exponent", an_exponent},
                                  {"operation", an_operation},
                                  {"wiring", the_wiring},
                                  {"axis", an_axis},
                                  {"keepdim", a_keepdim},
                                  {"permutation", a_permutation},
                                  {"flip", a_flip},
                                  {"slice", a_slice},
                                  {"shape", a_shape},
                                  {"layout", a_layout},
                                  {"constant", a_constant},
                                  {"equal numbers", equal_numbers},
                                  {"many numbers", many_numbers},
                                  {"neutral at an end", neutral_at_an_end},
                                  {"neutral to a user's", neutral_to_a_users},
                                  {"number of inputs", the_number_of_inputs},
                                  {"draw", a_draw}};

/* The variant's result, by the reference on a tape of its own, as a tensor on `onto`. */
static ag_tensor *expected(const twins *t, int variant, ag_tape *onto) {
    ag_tape *own = ag_tape_new();
    ag_tape_set_evaluator(own, AG_EVALUATOR_REFERENCE);
    ag_tensor *y =
        t->build(scattered(own, AG_F64, AG_SHAPE(4, 4, 4), 0), scattered(own, AG_F64, AG_SHAPE(4, 4, 4), 99), variant);
    const void *data = ag_data(ag_contiguous(y));
    expect_ok(own);
    ag_tensor *copy = ag_from(onto, ag_dtype_of(y), ag_shape_of(y), data);
    ag_tape_free(own);
    return copy;
}

START_TEST(a_plan_is_taken_for_its_own_structure_only) {
    const twins *t = &all_twins[_i];
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_tensor *a = scattered(tape, AG_F64, AG_SHAPE(4, 4, 4), 0), *b = scattered(tape, AG_F64, AG_SHAPE(4, 4, 4), 99),
              *want[VARIANTS];
    for (int v = 0; v < VARIANTS; v++) want[v] = expected(t, v, tape);
    for (int round = 0; round < 40; round++) {
        int v = round < VARIANTS ? round : (int)(fabs(scatter((uint64_t)round)) * 1e6) % VARIANTS;
        ag_mark mark = ag_tape_mark(tape);
        expecting(t->what);
        expect_same(t->build(a, b, v), want[v]);
        ag_tape_rewind(tape, mark);
    }
    expecting("");
    expect_ok(tape);
}
END_TEST

/* A structure includes which values are wanted afterwards. */
START_TEST(a_plan_gives_what_is_wanted) {
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(300), 0);
    for (unsigned round = 0; round < 64; round++) {
        ag_mark mark = ag_tape_mark(tape);
        ag_tensor *chain[6] = {ag_exp(x)}, *some[6];
        for (int i = 1; i < 6; i++) chain[i] = ag_sin(ag_add(chain[i - 1], x));
        int n = 0;
        for (int i = 0; i < 6; i++)
            if (round >> i & 1) some[n++] = chain[i];
        ck_assert_int_eq(ag_eval_all(n, some), AG_OK);
        double at = scatter(7), y = exp(at);
        for (int i = 0; i < 6; i++, y = sin(y + at)) ck_assert_double_eq_tol(ag_element(chain[i], 7), y, 1e-15 * 8);
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* ---- Automatic: by the reference first, then by a plan, with the same bits ---- */

/* Sums that a plan of large tensors would order differently: over everything with a bias for each column, with sums
 * of rows, and with products. */
static ag_tensor *ordered_sums(ag_tensor *x, ag_tensor *w, ag_tensor *b, ag_tensor **dw) {
    ag_tensor *h = ag_tanh(ag_add(ag_matmul(x, w), b)), *rows = ag_sum_over(ag_exp(h), AG_AXES(1), true);
    ag_tensor *loss = ag_add(ag_sum(ag_div(h, rows)), ag_mean(ag_square(ag_sub(h, b))));
    *dw = NULL;
    ag_vjp(1, &loss, NULL, 1, &w, dw, 0);
    *dw = ag_add(*dw, ag_matmul(ag_transpose(x, 0, 1), ag_matmul(x, w)));
    return loss;
}

static const int64_t sizes[][3] = {{2, 3, 4},     {10, 7, 100},  {3, 300, 5},    {33, 20, 31},   {1, 500, 2},
                                   {40, 130, 30}, {64, 256, 17}, {100, 10, 101}, {1025, 2, 3},   {3, 2, 1025},
                                   {5, 127, 205}, {4, 129, 256}, {16, 64, 64},   {128, 20, 200}, {300, 300, 40}};

START_TEST(the_first_visits_and_the_later_ones_agree) {
    const int64_t *n = sizes[_i];
    for (ag_dtype dtype = AG_F32; dtype <= AG_F64; dtype++) {
        ag_tensor *x = scattered(tape, dtype, AG_SHAPE(n[0], n[1]), 1), *first[2],
                  *w = ag_parameter_from(scattered(tape, dtype, AG_SHAPE(n[1], n[2]), 2)),
                  *b = scattered(tape, dtype, AG_SHAPE(n[2]), 3);
        for (int visit = 0; visit < 6; visit++) {
            ag_tape_set_evaluator(tape, visit < 5 ? AG_EVALUATOR_AUTOMATIC : AG_EVALUATOR_FUSED);
            ag_mark mark = ag_tape_mark(tape);
            ag_tensor *y[2];
            y[0] = ordered_sums(x, w, b, &y[1]);
            ck_assert_int_eq(ag_eval_all(2, y), AG_OK);
            if (visit == 0) {
                for (int k = 0; k < 2; k++) first[k] = ag_keep(ag_contiguous(y[k]));
                ag_eval_all(2, first);
                continue;
            }
            for (int k = 0; k < 2; k++) expect_same(y[k], first[k]);
            ag_tape_rewind(tape, mark);
        }
    }
}
END_TEST

static int64_t plans_made(void) {
    int64_t made = 0;
    for (int i = 0; i < ag_profile_count(tape); i++) {
        ag_profile_entry e = ag_profile_at(tape, i);
        if (e.kind == AG_PROFILE_PLANNING) made += e.calls;
    }
    return made;
}

static bool has_region(void) {
    for (int i = 0; i < ag_profile_count(tape); i++)
        if (ag_profile_at(tape, i).kind == AG_PROFILE_REGION) return true;
    return false;
}

/* The average number of elements, and the visit at which there is a region. */
START_TEST(what_is_planned_depends_on_sizes) {
    enum { VERY_OFTEN = AG__LIMIT(64, 5) };
    static const struct {
        int64_t elements;
        int visit;
    } cases[] = {{1, 0},
                 {AG__SCALARS - 1, 0},
                 {AG__FEW - 1, 0},
                 {AG__FEW, VERY_OFTEN},
                 {AG__SEVERAL - 1, VERY_OFTEN},
                 {AG__SEVERAL, 3},
                 {AG__AT_FIRST_SIGHT - 1, 3},
                 {AG__AT_FIRST_SIGHT, 1},
                 {4 * AG__AT_FIRST_SIGHT, 1}};
    if (cases[_i].elements < 1) return;
    ag_tape_set_evaluator(tape, AG_EVALUATOR_AUTOMATIC);
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(cases[_i].elements), 0);
    const int first = cases[_i].visit == VERY_OFTEN && !tape->compile ? 0 : cases[_i].visit;
    for (int visit = 1; visit <= 70; visit++) {
        ag_mark mark = ag_tape_mark(tape);
        ag_tensor *y = ag_tanh(ag_exp(ag_neg(x)));
        ag_profile_start(tape);
        ck_assert_int_eq(ag_eval(y), AG_OK);
        ag_profile_stop(tape);
        ck_assert_msg(has_region() == (first && visit >= first), "%d elements, visit %d", (int)cases[_i].elements,
                      visit);
        ag_tape_rewind(tape, mark);
    }
    ck_assert(cases[_i].elements >= AG__FEW || plans_made() == 0);
}
END_TEST

/* ---- Values that wait for a gradient ---- */

typedef struct trial {
    double loss;
    int64_t live; /* bytes of values after the loss is computed */
} trial;

static trial try_loss(ag_tensor *x, ag_tensor *w, ag_tensor **dw, bool first) {
    ag_mark mark = ag_tape_mark(tape);
    ag_tensor *y = ag_mul(x, w), *loss, *d;
    for (int i = 0; i < 20; i++) y = ag_sin(ag_mul(y, w));
    loss = ag_mean(ag_square(y));
    trial t = {.loss = first ? ag_item(loss) : 0, .live = ag_tape_memory(tape).live};
    if (dw) {
        ck_assert_int_eq(ag_grad(loss, 1, &w, &d), AG_OK);
        t.loss = ag_item(loss);
        const void *data = ag_data(d);
        ag_tensor *copy = ag_from(ag_tape_of(*dw), AG_F64, ag_shape_of(d), data);
        *dw = copy;
    }
    ag_tape_rewind(tape, mark);
    return t;
}

START_TEST(a_gradient_that_never_comes_is_not_waited_for) {
    ag_tape_set_evaluator(tape, _i ? AG_EVALUATOR_REFERENCE : AG_EVALUATOR_AUTOMATIC);
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(5000), 0),
              *w = ag_parameter_from(scattered(tape, AG_F64, AG_SHAPE(5000), 77));
    ag_tape *other = ag_tape_new();
    ag_tensor *before = ag_scalar(other, AG_F64, 0), *after = before;
    trial first = try_loss(x, w, NULL, true), second = try_loss(x, w, NULL, true), third = try_loss(x, w, NULL, true);
    ck_assert_int_eq(second.live, first.live);
    ck_assert_int_lt(third.live + 15 * 5000 * 8, first.live);
    ck_assert(first.loss == third.loss);
    ck_assert(try_loss(x, w, &after, true).loss == first.loss); /* right, though not expected */
    ck_assert_int_eq(try_loss(x, w, NULL, true).live, first.live);
    ck_assert(try_loss(x, w, &before, false).loss == first.loss);
    for (int i = 0; i < 5; i++) /* evaluated, differentiated, and so on: always expected */
        ck_assert_int_eq(try_loss(x, w, &before, true).live, first.live);
    expect_same(before, after);
    ag_tape_free(other);
    expect_ok(tape);
}
END_TEST

/* A sum with a product would have another order if the other summand were not kept. */
START_TEST(what_is_not_kept_changes_no_bit) {
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_tensor *x = scattered(tape, AG_F32, AG_SHAPE(100, 900), 1), *first = NULL,
              *w = ag_parameter_from(scattered(tape, AG_F32, AG_SHAPE(900, 120), 2));
    for (int visit = 0; visit < 5; visit++) {
        ag_mark mark = ag_tape_mark(tape);
        ag_tensor *h = ag_exp(ag_slice(w, 0, 0, 100, 1)), *y = ag_tanh(ag_add(h, ag_matmul(x, ag_sin(w))));
        ck_assert_int_eq(ag_eval(y), AG_OK);
        if (visit > 0) expect_same(y, first);
        else first = ag_from(tape, AG_F32, ag_shape_of(y), ag_data(y));
        if (visit > 0) ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* ---- How long plans are kept ---- */

static void run_structure(int number) {
    ag_mark mark = ag_tape_mark(tape);
    ag_tensor *y = scattered(tape, AG_F64, AG_SHAPE(2 + number % 7), 0);
    for (int i = 0; i < 12; i++) y = number >> i & 1 ? ag_exp(ag_neg(ag_abs(y))) : ag_sin(y);
    ck_assert_int_eq(ag_eval(y), AG_OK);
    ag_tape_rewind(tape, mark);
}

START_TEST(many_structures_in_turn_are_planned_once) {
    enum { STRUCTURES = 100 };
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    for (int round = 0; round < 4; round++)
        for (int i = 0; i < STRUCTURES; i++) run_structure(i);
    int64_t calls = tape_ledger.calls;
    for (int i = 0; i < STRUCTURES; i++) run_structure(i);
    ck_assert_int_eq(tape_ledger.calls, calls);
}
END_TEST

/* One of many structures with as many words. */
static double run_alike(ag_tensor *x, int64_t nodes, int number) {
    ag_mark mark = ag_tape_mark(tape);
    for (int64_t i = 0; i < nodes; i++) x = i < 12 && number >> i & 1 ? ag_tanh(x) : ag_sin(x);
    const double y = ag_element(x, 1);
    ag_tape_rewind(tape, mark);
    return y;
}

/* Plans that are looked at first are dropped for others, whose structures have another number of words. */
START_TEST(a_plan_that_was_dropped_is_not_looked_at) {
    enum { FEWEST = 2, LITTLE = 8, OLD = 300 };
    double first[LITTLE];
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(2), 0);
    for (int n = FEWEST; n < LITTLE; n++) first[n] = run_alike(x, n, 0);
    for (int i = 0; i < OLD; i++) run_structure(0);
    int64_t bytes = 0, former = -1;
    for (int number = 0; number < 4096 && bytes > former; number++) {
        former = bytes;
        run_alike(x, AG__CHUNK / 2, number);
        bytes = ag_tape_memory(tape).plan_bytes;
    }
    ck_assert_int_le(bytes, former);
    for (int n = FEWEST; n < LITTLE; n++) ck_assert(run_alike(x, n, 0) == first[n]);
}
END_TEST

/* ---- Numbers that change ---- */

/* A training step with a decaying rate and changing corrections of moments, as an attribute and as a constant. */
static void numbered_step(ag_tensor *p, ag_tensor *moment, int step) {
    double rate = 1.0 / (3 + step), keep = 1 - 1.0 / (2 + step);
    ag_tensor *y = ag_sum(ag_square(ag_add_scalar(ag_tanh(p), keep))), *dp = NULL;
    ag_grad(y, 1, &p, &dp);
    ag_tensor *m = ag_add(ag_scale(moment, keep), ag_mul(dp, ag_scalar(ag_tape_of(p), AG_F64, rate)));
    ag_assign(moment, m);
    ag_assign(p, ag_sub(p, ag_scale(ag_div_scalar(m, keep), rate)));
}

/* The parameter after some steps; *calls: allocations in their second half. */
static ag_tensor *trained(ag_tape *t, int64_t size, int64_t *calls) {
    enum { STEPS = 40 };
    on_one_thread(t);
    ag_tensor *x = scattered(t, AG_F64, AG_SHAPE(size), 0), *p = ag_parameter_from(x), *moment = ag_variable_from(x);
    ag_mark mark = ag_tape_mark(t);
    for (int step = 0; step < STEPS; step++) {
        if (step == STEPS / 2) *calls = ag_tape_memory(t).allocations;
        numbered_step(p, moment, step);
        ag_tape_rewind(t, mark);
    }
    *calls = ag_tape_memory(t).allocations - *calls;
    return p;
}

START_TEST(a_number_that_changes_needs_no_other_plan) {
    static const ag_evaluator evaluators[] = {AG_EVALUATOR_FUSED, AG_EVALUATOR_AUTOMATIC};
    const int64_t extents[] = {3, AG__AT_FIRST_SIGHT - 1, AG__AT_FIRST_SIGHT + 1};
    int64_t size = extents[_i / 2], calls = 0, others = 0;
    ag_tape *plain = ag_tape_new();
    ag_tape_set_evaluator(plain, AG_EVALUATOR_REFERENCE);
    ag_tape_set_evaluator(tape, evaluators[_i % 2]);
    ag_tensor *p = trained(tape, size, &calls), *want = trained(plain, size, &others);
    ck_assert_int_eq(calls, 0);
    expect_same(p, ag_from(tape, AG_F64, AG_SHAPE(size), ag_data(want)));
    expect_ok(plain);
    ag_tape_free(plain);
}
END_TEST

/* ---- Many chunks ---- */

static ag_tensor *long_chain(ag_tensor *y, int64_t nodes) {
    for (int64_t i = 0; i < nodes; i++) y = i % 3 ? ag_sin(y) : ag_tanh(y);
    return y;
}

START_TEST(evaluations_of_many_chunks_find_their_plans) {
    enum { CHUNKS = 20 };
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(2), 0);
    int64_t calls = 0, nodes = CHUNKS * (int64_t)(small_run() ? 100 : AG__CHUNK);
    for (int round = 0; round < 10; round++) { /* of which the first few settle how much memory a step needs */
        calls = tape_ledger.calls;
        ag_mark mark = ag_tape_mark(tape);
        ck_assert_int_eq(ag_eval(long_chain(x, nodes)), AG_OK);
        ag_tape_rewind(tape, mark);
    }
    ck_assert_int_eq(tape_ledger.calls, calls);
}
END_TEST

/* A plan that pays only when its structure recurs does not pay if it is made each time. All nodes are one chunk. */
static void expect_plain_for_want_of_room(int64_t nodes) {
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(AG__SEVERAL), 0);
    ag_tape_set_evaluator(tape, AG_EVALUATOR_AUTOMATIC);
    for (int visit = 1; visit <= 8; visit++) {
        ag_mark mark = ag_tape_mark(tape);
        ag_tensor *y = long_chain(x, nodes);
        ag_profile_start(tape);
        ck_assert_int_eq(ag_eval(y), AG_OK);
        ag_profile_stop(tape);
        ck_assert_msg(has_region() == (visit == 3), "visit %d", visit);
        ag_tape_rewind(tape, mark);
    }
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
}

/* More plans than may be kept: their bytes are bounded, structures in a cycle keep the plans that have room, and a
 * new structure is planned all the same. */
START_TEST(plans_have_a_bounded_number_of_bytes) {
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(2), 0);
    int64_t most = AG__PLAN_BYTES, former = -1, nodes = most / 20000;
    int structures = 0, kept = 0;
    if (nodes < 20) nodes = 20;
    for (int64_t bytes = 0; bytes != former && structures < 2000; structures++) {
        former = structures % 8 ? -1 : bytes;
        ag_mark mark = ag_tape_mark(tape);
        ck_assert_int_eq(ag_eval(long_chain(x, nodes + structures)), AG_OK);
        ag_tape_rewind(tape, mark);
        bytes = ag_tape_memory(tape).plan_bytes;
        ck_assert_int_le(bytes, most + most / 4);
    }
    ck_assert_int_lt(structures, 2000);
    for (int i = 0; i < structures; i++) {
        int64_t calls = tape_ledger.calls;
        ag_mark mark = ag_tape_mark(tape);
        ck_assert_int_eq(ag_eval(long_chain(x, nodes + i)), AG_OK);
        ag_tape_rewind(tape, mark);
        kept += tape_ledger.calls == calls;
    }
    ck_assert_int_gt(kept, structures / 4);
    if (nodes + structures + 50 <= AG__CHUNK) expect_plain_for_want_of_room(nodes + structures + 50);
    for (int i = 0; i < 1000; i++) run_structure(0); /* the others become old, and are dropped */
    int64_t calls = 0;
    for (int i = 0; i < 5; i++) {
        calls = tape_ledger.calls;
        ag_mark mark = ag_tape_mark(tape);
        ck_assert_int_eq(ag_eval(long_chain(x, nodes + structures + 100)), AG_OK);
        ag_tape_rewind(tape, mark);
    }
    ck_assert_int_eq(tape_ledger.calls, calls);
}
END_TEST

/* ---- Repeated parts ---- */

static ag__pages real_pages;
static int programs;

static void *counting_map(size_t bytes) { return programs++, real_pages.map(bytes); }

/* The programs of machine code that a recurrent network takes that it has not made before. */
static int programs_for(int cells) {
    ag_mark mark = ag_tape_mark(tape);
    ag_tensor *w = scattered(tape, AG_F32, AG_SHAPE(32, 32), 1), *x = scattered(tape, AG_F32, AG_SHAPE(16, 32), 2);
    ag_tensor *h = ag_zeros(tape, AG_F32, AG_SHAPE(16, 32)), *right;
    for (int i = 0; i < cells; i++) h = ag_sigmoid(ag_add(ag_add_scalar(ag_matmul(h, w), 0.1 * i), x));
    programs = 0;
    ck_assert_int_eq(ag_eval(h), AG_OK);
    right = ag_from(tape, AG_F32, AG_SHAPE(16, 32), ag_data(h));
    ag_tape_set_evaluator(tape, AG_EVALUATOR_REFERENCE);
    h = ag_zeros(tape, AG_F32, AG_SHAPE(16, 32));
    for (int i = 0; i < cells; i++) h = ag_sigmoid(ag_add(ag_add_scalar(ag_matmul(h, w), 0.1 * i), x));
    expect_same(h, right);
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_tape_rewind(tape, mark);
    return programs;
}

/* Small regions become machine code when their structure recurs, or at once if many are alike; and code that is there
 * serves other structures. */
START_TEST(a_cell_that_is_repeated_is_compiled_once) {
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    if (!tape->compile) return;
    real_pages = ag__code_pages;
    ag__code_pages.map = counting_map;
    ck_assert_int_eq(programs_for(AG__MANY_ALIKE / 2), 0);
    int first = programs_for(AG__MANY_ALIKE + 10);
    ck_assert(first > 0 && first <= 3);
    for (int more = 11; more < 20; more++) ck_assert_int_eq(programs_for(AG__MANY_ALIKE + more), 0);
    ck_assert_int_eq(programs_for(AG__MANY_ALIKE / 2 + 1), 0);
    ag__code_pages = real_pages;
}
END_TEST

/* ---- The lists that plans are made of ---- */

START_TEST(lists_grow_and_shrink_and_count_their_bytes) {
    AG__LIST(double) list = {.any = {0}};
    ag__list_maker maker = {.tape = tape};
    const int64_t bytes = tape->memory.plan_bytes;
    ck_assert_ptr_null(AG__FROM(&list, 0));
    for (int i = 0; i < 1000; i++) AG__APPEND(&maker, &list, i / 2.0);
    ck_assert(!maker.failed);
    for (int i = 0; i < 1000; i++) ck_assert_double_eq(list.at[i], i / 2.0);
    ck_assert_int_ge(tape->memory.plan_bytes, bytes + 8000);
    ck_assert_uint_eq(ag__list_trim(tape, &list.any), 8000);
    ck_assert_int_eq(tape->memory.plan_bytes, bytes + 8000);
    list.count = 0;
    ck_assert_uint_eq(ag__list_trim(tape, &list.any), 0);
    ck_assert_int_eq(tape->memory.plan_bytes, bytes);
}
END_TEST

/* Once memory is out, or elements cannot be counted, a maker appends nothing any more, to any list. */
START_TEST(lists_fail_in_one_way) {
    AG__LIST(double) list = {.any = {0}};
    ag__numbers other = {.any = {0}};
    for (int i = 0; i < 2; i++) {
        ag__list_maker maker = {.tape = tape};
        for (uint32_t k = list.count; k < (list.any.room ? list.any.room : 1); k++) AG__APPEND(&maker, &list, k);
        const uint32_t count = list.count, room = list.any.room;
        const int64_t calls = tape_ledger.calls;
        if (i == 0) tape_ledger.fail_at = calls + 1;
        else list.count = list.any.room = UINT32_MAX;
        AG__APPEND(&maker, &list, -1);
        ck_assert(maker.failed);
        ck_assert_int_eq(tape_ledger.calls, calls + (i == 0));
        tape_ledger.fail_at = 0;
        AG__APPEND(&maker, &other, 1);
        ck_assert_uint_eq(other.count, 0);
        if (i == 1) list.count = count, list.any.room = room;
        ck_assert_uint_eq(list.count, count);
        ck_assert_double_eq(list.at[count - 1], count - 1);
    }
    ag__list_free(tape, &list.any);
}
END_TEST

/* A sum over everything in a region of rows: the first plan has no machine code, the next one has, and one on another
 * tape never has any. */
static uint32_t bits_of_sum(ag_tape *t, int64_t rows, int64_t columns) {
    const ag_mark mark = ag_tape_mark(t);
    ag_tape_seed(t, (uint64_t)columns);
    ag_tensor *x = ag_normal(t, AG_F32, AG_SHAPE(rows, columns), 0, 1),
              *scale = ag_uniform(t, AG_F32, AG_SHAPE(rows, 1), 1, 2);
    ag_tensor *y = ag_mul(ag_div(x, scale), ag_tanh(x)), *sum = ag_sum(y), *each = ag_sum_over(y, AG_AXES(1), true);
    uint32_t bits;
    float value;
    ck_assert_int_eq(ag_eval_all(2, (ag_tensor *[]){sum, each}), AG_OK);
    value = (float)ag_item(sum);
    memcpy(&bits, &value, sizeof bits);
    ag_tape_rewind(t, mark);
    return bits;
}

START_TEST(sums_over_everything_do_not_depend_on_machine_code) {
    static const int64_t columns[] = {3,
                                      AG__LONG_ROW / 4 - 1,
                                      AG__LONG_ROW / 4,
                                      AG__STRIP / 5,
                                      AG__STRIP / 4 - 1,
                                      AG__STRIP / 4,
                                      AG__STRIP + 1,
                                      AG__MOST_ROW,
                                      AG__MOST_ROW + 1,
                                      2 * AG__MOST_ROW + 7};
    setenv("AG_ISA", "none", 1);
    ag_tape *without = ag_tape_new();
    unsetenv("AG_ISA");
    ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
    ag_tape_set_evaluator(without, AG_EVALUATOR_FUSED);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        for (int64_t rows = 20000 / columns[i] + 1, end = rows + 20; rows < end; rows += 7) {
            const uint32_t first = bits_of_sum(tape, rows, columns[i]);
            for (int visit = 0; visit < 4; visit++)
                ck_assert_msg(bits_of_sum(tape, rows, columns[i]) == first &&
                                  bits_of_sum(without, rows, columns[i]) == first,
                              "(%d,%d), visit %d", (int)rows, (int)columns[i], visit);
        }
    ag_tape_free(without);
}
END_TEST

START_TEST(arrays_that_are_too_large_are_refused) {
    ag__scratch scratch = {.tape = tape};
    const int64_t calls = tape_ledger.calls;
    ck_assert_ptr_nonnull(ag__scratch_array(&scratch, 10, 8));
    ck_assert_ptr_null(ag__scratch_array(&scratch, SIZE_MAX / 4, 8));
    ck_assert_int_le(tape_ledger.calls, calls + 1);
    ag__scratch_drop(&scratch);
    ck_assert_ptr_null(scratch.newest);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("plans");
    TCase *t = tape_group(suite, "structure");
    tcase_add_loop_test(t, a_plan_is_taken_for_its_own_structure_only, 0, sizeof all_twins / sizeof *all_twins);
    tcase_add_test(t, a_plan_gives_what_is_wanted);
    t = tape_group(suite, "automatic");
    tcase_add_loop_test(t, the_first_visits_and_the_later_ones_agree, 0, sizeof sizes / sizeof *sizes);
    tcase_add_loop_test(t, what_is_planned_depends_on_sizes, 0, 9);
    t = tape_group(suite, "gradients");
    tcase_add_loop_test(t, a_gradient_that_never_comes_is_not_waited_for, 0, 2);
    tcase_add_test(t, what_is_not_kept_changes_no_bit);
    t = tape_group(suite, "kept");
    if (usual_pieces(1)) tcase_add_test(t, many_structures_in_turn_are_planned_once);
    if (usual_pieces(1)) tcase_add_test(t, a_plan_that_was_dropped_is_not_looked_at);
    tcase_add_loop_test(t, a_number_that_changes_needs_no_other_plan, 0, 6);
    tcase_add_test(t, evaluations_of_many_chunks_find_their_plans);
    tcase_add_test(t, plans_have_a_bounded_number_of_bytes);
    if (usual_pieces(1)) tcase_add_test(t, a_cell_that_is_repeated_is_compiled_once);
    t = tape_group(suite, "lists");
    tcase_add_test(t, lists_grow_and_shrink_and_count_their_bytes);
    tcase_add_test(t, lists_fail_in_one_way);
    tcase_add_test(t, arrays_that_are_too_large_are_refused);
    tcase_add_test(t, sums_over_everything_do_not_depend_on_machine_code);
    return run_suite(suite);
}
