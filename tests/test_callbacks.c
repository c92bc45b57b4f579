/* test_callbacks -- every function that changes a tape, called within every callback of the tape
 *
 * A callback is the user's code that the tape runs: an operation's infer, eval, kernels, vjp and notation, a
 * function that is being checked, and the allocator. Each call either succeeds or gives an error that names the
 * function and the callback; in either case the tape keeps everything that it needs, and can be used afterwards. */
#include "autograd/tape/features.h"
#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The tape ---- */

static const double values[] = {1, 2, 3, 4};

static ag_tape *t;
static ag_tensor *v, *x, *w;
static ag_mark early, late;

/* ---- The calls ---- */

static ag_tensor *squares(void *context, int n, ag_tensor *const in[]) {
    (void)context, (void)n;
    return ag_square(in[0]);
}

static ag_tensor *loss_of_v(void) { return ag_sum(ag_mul(ag_square(v), x)); }

static void call_tape_free(void) { ag_tape_free(t); }
static void call_tape_mark(void) { ag_tape_mark(t); }
static void call_rewind_early(void) { ag_tape_rewind(t, early); }
static void call_rewind_late(void) { ag_tape_rewind(t, late); }
static void call_rewind_own(void) {
    ag_mark own = ag_tape_mark(t);
    ag_exp(x);
    ag_tape_rewind(t, own);
}
static void call_clear_error(void) {
    ag_add(x, NULL);
    ag_clear_error(t);
}
static void call_set_eager(void) { ag_tape_set_eager(t, true), ag_exp(x); }
static void call_set_recording(void) { ag_tape_set_recording(t, false), ag_exp(v); }
static void call_set_threads(void) { ag_tape_set_threads(t, 3); }
static void call_set_evaluator(void) { ag_tape_set_evaluator(t, AG_EVALUATOR_REFERENCE); }
static void call_seed(void) { ag_tape_seed(t, 5), ag_uniform(t, AG_F64, AG_SHAPE(4), 0, 1); }
static void call_trim(void) { ag_tape_trim(t); }
static void call_reset_peaks(void) { ag_tape_reset_peaks(t); }
static void call_from(void) { ag_from(t, AG_F64, AG_SHAPE(4), values); }
static void call_wrap(void) { ag_wrap(t, AG_F64, AG_SHAPE(4), values); }
static void call_variable(void) { ag_variable(t, AG_F64, AG_SHAPE(4), values); }
static void call_parameter(void) { ag_parameter(t, AG_F64, AG_SHAPE(4), values); }
static void call_variable_from(void) { ag_variable_from(x); }
static void call_parameter_from(void) { ag_parameter_from(ag_exp(x)); }
static void call_full(void) { ag_full(t, AG_F64, AG_SHAPE(4), 2); }
static void call_arange(void) { ag_arange(t, AG_I64, 9); }
static void call_normal(void) { ag_normal(t, AG_F64, AG_SHAPE(4), 0, 1); }
static void call_label(void) { ag_label(x, "x"); }
static void call_eval(void) { ag_eval(ag_sum(ag_exp(x))); }
static void call_eval_all(void) { ag_eval_all(2, (ag_tensor *[]){x, ag_neg(x)}); }
static void call_data(void) { ag_data(ag_flip(ag_exp(x), 0)); }
static void call_item(void) { ag_item(ag_sum(x)); }
static void call_element(void) { ag_element(x, 1); }
static void call_keep(void) { ag_keep(x); }
static void call_assign(void) { ag_assign(v, ag_scale(v, 1)); }
static void call_assign_and_eval(void) { ag_assign(v, ag_scale(v, 1)), ag_eval(v); }
static void call_set(void) { ag_set(v, values); }
static void call_grad(void) {
    ag_tensor *d[2];
    ag_grad(loss_of_v(), 2, (ag_tensor *[]){v, x}, d);
}
static void call_vjp(void) {
    ag_tensor *y = ag_exp(v), *d;
    ag_vjp(1, &y, &x, 1, &v, &d, 0);
}
static void call_backward(void) { ag_backward(loss_of_v()); }
static void call_gradient(void) { ag_gradient(v); }
static void call_zero_gradients(void) { ag_zero_gradients(t); }
static void call_add(void) { ag_add(v, x); }
static void call_matmul(void) { ag_matmul(ag_reshape(x, AG_SHAPE(2, 2)), ag_reshape(v, AG_SHAPE(2, 2))); }
static void call_concat(void) {
    ag_tensor *many[20];
    for (int i = 0; i < 20; i++) many[i] = v;
    ag_concat(20, many, 0);
}
static void call_logsumexp(void) { ag_logsumexp(v, 0, true); }
static void call_gradcheck(void) { ag_gradcheck(squares, NULL, 1, &x, NULL, NULL); }
static void call_write_dot(void) {
    ag_tensor *y = loss_of_v();
    ag_write_dot("/dev/null", 1, &y, &(ag_dot_options){.values = true, .gradients = true, .regions = true});
}
static void call_formula(void) { ag_formula(loss_of_v(), NULL); }
static void call_explain(void) { ag_explain(loss_of_v(), v, &(ag_explain_options){.depth = 2}); }
static void call_trace_backward(void) { ag_trace_backward(loss_of_v(), 0, NULL, NULL); }
static void call_jacobian(void) { ag_jacobian(ag_square(v), v); }
static void call_hessian(void) { ag_hessian(loss_of_v(), v); }
static void call_jvp(void) {
    ag_tensor *y = ag_square(v), *d;
    ag_jvp(1, &y, 1, &v, &x, &d);
}
static void call_hvp(void) { ag_hvp(loss_of_v(), v, x); }
static void call_profile(void) {
    ag_profile_start(t);
    ag_eval(ag_exp(x));
    ag_profile_table(t, 0);
    ag_profile_write(t, "/dev/null");
    ag_profile_stop(t);
}
static void call_memory_table(void) { ag_tape_memory_table(t); }
static void call_apply_source(void) {
    const double two = 2;
    ag_apply_source(ag_op_of(w), t, AG_F64, AG_SCALAR, &two, sizeof two);
}
static void call_many(void) {
    for (int i = 0; i < 2000; i++) ag_label(ag_neg(x), "one of many");
    for (int i = 0; i < 20; i++) ag_neg(x), ag_tape_mark(t);
}

typedef struct action {
    const char *name; /* of the function that the error names; NULL: the error names another that it calls */
    void (*run)(void);
} action;

static const action actions[] = {
    {"tape_free", call_tape_free},
    {"tape_mark", call_tape_mark},
    {"tape_rewind", call_rewind_early},
    {"tape_rewind", call_rewind_late},
    {NULL, call_rewind_own},
    {NULL, call_clear_error},
    {NULL, call_set_eager},
    {NULL, call_set_recording},
    {NULL, call_set_threads},
    {NULL, call_set_evaluator},
    {NULL, call_seed},
    {"tape_trim", call_trim},
    {NULL, call_reset_peaks},
    {"from", call_from},
    {"wrap", call_wrap},
    {"variable", call_variable},
    {"parameter", call_parameter},
    {NULL, call_variable_from},
    {NULL, call_parameter_from},
    {"full", call_full},
    {"arange", call_arange},
    {"normal", call_normal},
    {"label", call_label},
    {NULL, call_eval},
    {NULL, call_eval_all},
    {NULL, call_data},
    {NULL, call_item},
    {NULL, call_element},
    {NULL, call_keep},
    {NULL, call_assign},
    {NULL, call_assign_and_eval},
    {"set", call_set},
    {NULL, call_grad},
    {NULL, call_vjp},
    {NULL, call_backward},
    {"gradient", call_gradient},
    {NULL, call_zero_gradients},
    {"add", call_add},
    {NULL, call_matmul},
    {"concat", call_concat},
    {"logsumexp", call_logsumexp},
    {NULL, call_gradcheck},
    {NULL, call_write_dot},
    {NULL, call_formula},
    {NULL, call_explain},
    {NULL, call_trace_backward},
    {NULL, call_jacobian},
    {NULL, call_hessian},
    {NULL, call_jvp},
    {NULL, call_hvp},
    {NULL, call_profile},
    {NULL, call_memory_table},
    {"full", call_apply_source},
    {NULL, call_many},
};

enum { ACTIONS = sizeof actions / sizeof *actions };

/* ---- The callbacks: each runs the action the first `times` times that it is called ---- */

static const action *armed;
static int times, depth, fired;

static void callback(void) {
    if (!armed || times == 0 || depth > 2) return;
    times--, depth++, fired++;
    armed->run();
    depth--;
}

static bool infer_calls(ag_infer *r) { return (void)r, callback(), true; }
static bool infer_kept(ag_infer *r) { return (void)r, true; }

static bool eval_copy(const ag_call *c) {
    for (int64_t i = 0; i < c->y.size; i++) ((double *)c->y.data)[i] = ((const double *)c->x[0].data)[i];
    return true;
}
static bool eval_ones(const ag_call *c) {
    for (int64_t i = 0; i < c->y.size; i++) ((double *)c->y.data)[i] = 1;
    return true;
}
static bool eval_calls(const ag_call *c) {
    double *p = ag_call_scratch(c, 80);
    if (p) p[0] = p[9] = 1;
    callback();
    if (p) p[0] = p[9] = 2;
    return eval_copy(c);
}
static void block_copy(int64_t n, void *y, const void *const in[], const void *attributes) {
    (void)attributes;
    memmove(y, in[0], (size_t)n * sizeof(double));
}
static void block_calls(int64_t n, void *y, const void *const in[], const void *attributes) {
    callback();
    block_copy(n, y, in, attributes);
}
static void fold(int64_t n, void *y, const void *in) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += ((const double *)in)[i];
    *(double *)y = sum;
}
static void fold_calls(int64_t n, void *y, const void *in) {
    callback();
    fold(n, y, in);
}
static void combine(int64_t n, void *y, const void *in) {
    for (int64_t i = 0; i < n; i++) ((double *)y)[i] += ((const double *)in)[i];
}
static ag_tensor *vjp_kept(ag_tensor *y, ag_tensor *g, int i) { return (void)y, (void)i, g; }
static ag_tensor *vjp_calls(ag_tensor *y, ag_tensor *g, int i) {
    (void)y, (void)i;
    callback();
    return ag_scale(g, 1);
}
static const char *notation_calls(const ag_tensor *y) { return (void)y, callback(), "f({0})"; }

static const ag_reduction reduction = {.fold = {[AG_F64] = fold_calls}, .combine = {[AG_F64] = combine}};

#define OPAQUE(op) static const ag_op op = {.name = #op, .kind = AG_KIND_OPAQUE, .arity = 1
OPAQUE(in_infer), .infer = infer_calls, .eval = eval_copy, .vjp = vjp_kept
}
;
OPAQUE(in_eval), .infer = infer_kept, .eval = eval_calls, .vjp = vjp_kept
}
;
OPAQUE(in_vjp), .infer = infer_kept, .eval = eval_copy, .vjp = vjp_calls
}
;
OPAQUE(in_notation), .infer = infer_kept, .eval = eval_copy, .vjp = vjp_kept, .notation_of = notation_calls
}
;
static const ag_op in_source = {.name = "in_source", .kind = AG_KIND_SOURCE, .infer = infer_calls, .eval = eval_ones};
static const ag_op in_many = {
    .name = "in_many", .kind = AG_KIND_OPAQUE, .arity = -1, .infer = infer_calls, .eval = eval_copy, .vjp = vjp_kept};
static const ag_op in_broadcast = {.name = "in_broadcast",
                                   .kind = AG_KIND_ELEMENTWISE,
                                   .arity = 2,
                                   .infer = infer_calls,
                                   .block = {[AG_F64] = block_copy},
                                   .vjp = vjp_kept};
static const ag_op in_block = {
    .name = "in_block", .kind = AG_KIND_ELEMENTWISE, .arity = 1, .block = {[AG_F64] = block_calls}, .vjp = vjp_kept};
static ag_traced trace_calls(ag_trace *trace, const ag_traced in[]) { return (void)trace, callback(), in[0]; }
static const ag_op in_trace = {.name = "in_trace",
                               .kind = AG_KIND_ELEMENTWISE,
                               .arity = 1,
                               .block = {[AG_F64] = block_copy},
                               .trace = {[AG_F64] = trace_calls},
                               .vjp = vjp_kept};
static const ag_op in_fold = {.name = "in_fold", .kind = AG_KIND_REDUCTION, .arity = 1, .reduction = &reduction};

/* ---- Running them ---- */

static ag_tensor *applied(const ag_op *op) { return ag_apply(op, 1, &x, NULL, 0); }

static void run_infer(void) { ag_eval(applied(&in_infer)); }
static void run_infer_of_source(void) { ag_eval(ag_apply_source(&in_source, t, AG_F64, AG_SHAPE(4), NULL, 0)); }
static void run_infer_of_many(void) {
    ag_tensor *many[12];
    for (int i = 0; i < 12; i++) many[i] = i % 2 ? x : v;
    ag_eval(ag_apply(&in_many, 12, many, NULL, 0));
}
static void run_infer_after_broadcast(void) {
    ag_tensor *both[] = {ag_scalar(t, AG_F64, 3), v};
    ag_eval(ag_apply(&in_broadcast, 2, both, NULL, 0));
}
static void run_eval(void) { ag_eval(ag_exp(applied(&in_eval))); }
static void run_eval_with_assignment(void) {
    ag_assign(v, ag_scale(v, 1));
    ag_eval(ag_exp(applied(&in_eval)));
}
static void run_rewind(void) { /* which carries out assignments */
    ag_tensor *y = applied(&in_eval);
    ag_assign(v, ag_add(ag_scale(v, 1), ag_scale(y, 0)));
    ag_tape_rewind(t, late);
}
static void run_block(void) { ag_eval(ag_exp(applied(&in_block))); }
static bool makes_code(void) {
#if defined __x86_64__ && defined __GNUC__
    const char *wish = getenv("AG_COMPILE"), *isa = getenv("AG_ISA");
    return ag__processor_has(AG__HAS_AVX2 | AG__HAS_FMA) && !(wish && strcmp(wish, "0") == 0) &&
           !(isa && strcmp(isa, "none") == 0);
#else
    return false;
#endif
}
static void run_trace_of_op(void) { /* a plan that serves for the third time has machine code */
    ag_tape_set_evaluator(t, AG_EVALUATOR_FUSED);
    for (int i = 0; i < 4; i++) {
        ag_mark own = ag_tape_mark(t);
        ag_eval(ag_exp(applied(&in_trace)));
        ag_tape_rewind(t, own);
    }
}
static void run_fold(void) {
    ag_axes_set set;
    memset(&set, 0, sizeof set);
    set.mask = 1;
    ag_eval(ag_apply(&in_fold, 1, &x, &set, sizeof set));
}
static void run_vjp(void) {
    ag_tensor *y = ag_sum(ag_mul(applied(&in_vjp), v)), *d[2];
    ag_grad(y, 2, (ag_tensor *[]){v, x}, d);
    ag_eval_all(2, d);
}
static void run_backward(void) { ag_backward(ag_sum(ag_apply(&in_vjp, 1, &v, NULL, 0))); }
static void run_explain(void) { ag_explain(ag_sum(ag_apply(&in_vjp, 1, &v, NULL, 0)), v, NULL); }
static void run_trace(void) { ag_trace_backward(ag_sum(ag_apply(&in_vjp, 1, &v, NULL, 0)), 0, NULL, NULL); }
static ag_tensor *checked(void *context, int n, ag_tensor *const in[]) {
    (void)context, (void)n;
    ag_tensor *y = ag_square(in[0]);
    callback();
    return y;
}
static void run_function(void) { ag_gradcheck(checked, NULL, 1, &x, NULL, NULL); }
static void run_function_of_variable(void) {
    ag_gradcheck(checked, NULL, 1, &v, &(ag_gradcheck_options){.order = 2}, NULL);
}
static ag_tensor *applies(void *context, int n, ag_tensor *const in[]) {
    (void)n;
    return ag_apply(context, 1, in, NULL, 0);
}
static void run_checked_vjp(void) { ag_gradcheck(applies, (void *)(uintptr_t)&in_vjp, 1, &v, NULL, NULL); }
static void run_checked_infer(void) { ag_gradcheck(applies, (void *)(uintptr_t)&in_infer, 1, &v, NULL, NULL); }
static void run_notation(void) { ag_formula(ag_exp(applied(&in_notation)), NULL); }
static void run_explained_notation(void) { ag_explain(ag_sum(ag_apply(&in_notation, 1, &v, NULL, 0)), v, NULL); }
static void run_dot(void) {
    ag_tensor *y = ag_sum(ag_mul(applied(&in_vjp), applied(&in_eval)));
    ag_write_dot("/dev/null", 1, &y, &(ag_dot_options){.values = true, .gradients = true});
}

typedef struct place {
    const char *name; /* named in the error beside the function */
    void (*run)(void);
} place;

static const place places[] = {
    {"infer of in_infer", run_infer},
    {"infer of in_source", run_infer_of_source},
    {"infer of in_many", run_infer_of_many},
    {"infer of in_broadcast", run_infer_after_broadcast},
    {"eval", run_eval},
    {"eval", run_eval_with_assignment},
    {"eval", run_rewind},
    {"eval", run_block},
    {"eval", run_fold},
    {"trace of in_trace", run_trace_of_op},
    {"vjp of in_vjp", run_vjp},
    {"vjp of in_vjp", run_backward},
    {"vjp of in_vjp", run_explain},
    {"vjp of in_vjp", run_trace},
    {"function of gradcheck", run_function},
    {"function of gradcheck", run_function_of_variable},
    {"vjp of in_vjp", run_checked_vjp},
    {"infer of in_infer", run_checked_infer},
    {"notation of in_notation", run_notation},
    {"notation of in_notation", run_explained_notation},
    {"", run_dot},
};

enum { PLACES = sizeof places / sizeof *places };

/* ---- The allocator ---- */

static ledger books;
static int skipped; /* calls before the one that acts; negative: none acts */

static void *resize_calls(void *ctx, void *p, size_t old_bytes, size_t new_bytes) {
    if (skipped == 0) callback(); /* before the tape itself is freed */
    if (skipped > 0) skipped--;
    return books.allocator.resize(ctx, p, old_bytes, new_bytes);
}

/* A program whose allocations are for nodes, the arena, marks, values, texts, plans and copies. */
static void run_allocations(void) {
    ag_tensor *y = ag_from(t, AG_F64, AG_SHAPE(4), values), *d;
    for (int i = 0; i < 700; i++) {
        y = ag_label(ag_add(y, v), "with a label that takes some memory of the arena, and a little more of it");
        if (i % 40 == 0) ag_tape_mark(t);
    }
    ag_grad(ag_sum(y), 1, &v, &d);
    ag_eval(d);
    ag_data(ag_flip(ag_add(ag_zeros(t, AG_F64, AG_SHAPE(5000)), ag_sum(x)), 0));
    ag_formula(d, NULL);
    ag_tape_trim(t);
    ag_assign(v, ag_scale(v, 1));
    ag_tape_rewind(t, late);
}

/* ---- The test ---- */

static void set_up(void) {
    ledger_open(&books);
    ag_allocator hook = {resize_calls, books.allocator.ctx};
    armed = NULL, skipped = -1, depth = fired = 0;
    t = ag_tape_new_with(&hook);
    ag_tape_set_threads(t, 1);
    v = ag_parameter(t, AG_F64, AG_SHAPE(4), values);
    early = ag_tape_mark(t);
    x = ag_from(t, AG_F64, AG_SHAPE(4), values);
    w = ag_full(t, AG_F64, AG_SCALAR, 2);
    late = ag_tape_mark(t);
}

/* The tape is unchanged, and works. */
static void check_and_free(const char *where, const action *a) {
    char about[100];
    snprintf(about, sizeof about, "action %d in %s: ", (int)(a - actions), where);
    expecting(about);
    armed = NULL, skipped = -1;
    ag_status status = ag_tape_status(t);
    const char *error = ag_tape_error(t);
    if (status == AG_ERR_TAPE) {
        bool told = strstr(error, "within the ") || strstr(error, "evaluat") || strstr(error, "looked at") ||
                    strstr(error, "released");
        ck_assert_msg(told, "%s%s", about, error);
        if (a->name && strstr(error, "within the ")) ck_assert_msg(strstr(error, a->name), "%s%s", about, error);
        if (strstr(error, "within the ")) ck_assert_msg(strstr(error, where), "%s%s", about, error);
    } else ck_assert_msg(status == AG_OK, "%s%s: %s", about, ag_status_name(status), error);
    ag_clear_error(t);
    ag_profile_stop(t);
    ag_tape_set_eager(t, false);
    ag_tape_set_recording(t, true);
    expect_list(x, 1, 2, 3, 4);
    expect_list(v, 1, 2, 3, 4);
    ag_tensor *d;
    ag_grad(ag_sum(ag_mul(v, x)), 1, &v, &d);
    expect_list(d, 1, 2, 3, 4);
    ag_tape_rewind(t, early);
    expect_list(ag_exp(ag_scale(v, 0)), 1, 1, 1, 1);
    expect_ok(t);
    ag_tape_free(t);
    ledger_close(&books);
    expecting("");
}

START_TEST(whatever_is_called_within_a_callback) {
    const place *p = &places[_i];
    if (p->run == run_trace_of_op && !makes_code()) return;
    for (const action *a = actions; a < actions + ACTIONS; a++)
        for (int often = 1; often <= 3; often += 2) {
            set_up();
            armed = a, times = often;
            p->run();
            ck_assert_msg(fired > 0, "%s never runs", p->name);
            check_and_free(p->name, a);
        }
}
END_TEST

START_TEST(whatever_is_called_within_the_allocator) {
    const action *a = &actions[_i];
    int last = 0;
    for (int k = 0; k < by_length(12, 24, 60) && !last; k++) {
        set_up();
        armed = a, times = 1 + k % 2, skipped = k;
        run_allocations();
        last = fired == 0;
        check_and_free("resize of the allocator", a);
    }
    if (!a->name || strncmp(a->name, "tape_", 5) != 0) return;
    set_up(); /* while it is freed, when its tensors are gone */
    run_allocations();
    expect_ok(t);
    armed = a, times = 1000, skipped = 0;
    ag_tape_free(t);
    armed = NULL;
    ledger_close(&books);
}
END_TEST

/* Freeing is refused with an error, which sticks. */
START_TEST(a_tape_is_not_freed_within_its_callbacks) {
    for (int i = 0; i < PLACES; i++) {
        if (places[i].run == run_trace_of_op && !makes_code()) continue;
        set_up();
        armed = &actions[0], times = 1;
        places[i].run();
        expect_error(t, AG_ERR_TAPE, "tape_free", "within the", places[i].name);
        check_and_free(places[i].name, &actions[0]);
    }
}
END_TEST

/* ---- An infer that overwrites its arguments ---- */

static int spoiled;
static ag_tape *other_tape;

static bool infer_spoils(ag_infer *r) {
    static const ag_op nobody = {0};
    switch (spoiled) {
    case 0: r->tape = NULL; break;
    case 1: r->tape = other_tape; break;
    case 2: r->op = NULL; break;
    case 3: r->op = &nobody; break;
    case 4: r->n = -1; break;
    case 5: r->n = 1000; break;
    case 6: r->x = NULL; break;
    case 7: r->attributes = NULL; break;
    case 8: r->attribute_bytes = SIZE_MAX; break;
    case 9: r->dtype = (ag_dtype)-1; break;
    case 10: r->dtype = (ag_dtype)99; break;
    case 11: r->shape.rank = -1; break;
    case 12: r->shape.rank = INT32_MAX; break;
    case 13: r->shape = (ag_shape){8, {INT64_MAX, INT64_MAX, 2, 2, 2, 2, 2, 2}}; break;
    case 14: r->shape = AG_SHAPE(INT64_MIN, -1); break;
    case 15: r->offset = INT64_MIN; break;
    case 16: r->offset = INT64_MAX; break;
    case 17: memset(r->stride, 0x7f, sizeof r->stride); break;
    case 18: memset(r->stride, 0x80, sizeof r->stride); break;
    case 19: r->shape = (ag_shape){0}; break;
    case 20: r->tape = NULL, r->op = NULL, ag_reject(r, AG_ERR_RANGE, "spoiled"); return false;
    case 21: ag_reject(NULL, AG_ERR_RANGE, "spoiled"); return false;
    default: memset(r, 0xff, sizeof *r); break;
    }
    return true;
}

enum { SPOILED = 23 };

static const ag_op spoils[] = {
    {.name = "spoils", .kind = AG_KIND_OPAQUE, .arity = 1, .infer = infer_spoils, .eval = eval_ones},
    {.name = "spoils", .kind = AG_KIND_VIEW, .arity = 1, .infer = infer_spoils},
    {.name = "spoils",
     .kind = AG_KIND_ELEMENTWISE,
     .arity = 1,
     .infer = infer_spoils,
     .block = {[AG_F64] = block_copy}},
    {.name = "spoils", .kind = AG_KIND_SOURCE, .infer = infer_spoils, .eval = eval_ones}};

START_TEST(what_infer_spoils_is_not_used) {
    const ag_op *op = &spoils[_i];
    other_tape = ag_tape_new();
    for (spoiled = 0; spoiled < SPOILED; spoiled++) {
        set_up();
        ag_tensor *y = op->kind == AG_KIND_SOURCE ? ag_apply_source(op, t, AG_F64, AG_SHAPE(4), NULL, 0) : applied(op);
        ck_assert(ag_is_nil(y) == (ag_tape_status(t) != AG_OK));
        if (!ag_is_nil(y)) ag_data(y);
        if (ag_tape_status(t) != AG_OK) ck_assert_ptr_nonnull(strstr(ag_tape_error(t), "spoils"));
        ag_clear_error(t);
        ag_clear_error(NULL);
        ck_assert_int_eq(ag_tape_memory(other_tape).nodes, 0);
        check_and_free("", &actions[1]);
    }
    ag_tape_free(other_tape);
}
END_TEST

/* ---- */

int main(void) {
    Suite *suite = suite_create("callbacks");
    TCase *within = plain_group(suite, "within");
    tcase_set_timeout(within, 120);
    tcase_add_loop_test(within, whatever_is_called_within_a_callback, 0, PLACES);
    tcase_add_loop_test(within, whatever_is_called_within_the_allocator, 0, ACTIONS);
    tcase_add_test(within, a_tape_is_not_freed_within_its_callbacks);
    tcase_add_loop_test(within, what_infer_spoils_is_not_used, 0, 4);
    return run_suite(suite);
}
