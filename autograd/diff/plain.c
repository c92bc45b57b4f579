/* plain -- functions in plain C, against derivatives that were derived by hand
 *
 * The callbacks become an operation: the value is its eval, the gradient that of its VJP, or, to check the Hessian, the
 * gradient is its eval and the product with the Hessian that of its VJP. An operation is checked as any function is.
 * Invariant: a callback is given memory of our own, which begins as NaN and ends in a guard, so that elements that it
 * leaves out, and those that it writes behind the last one, are found. */
#include "autograd/diff/gradcheck.h"
#include "autograd/tape/format.h"

#include <math.h>
#include <string.h>

enum { GUARD = 64, MESSAGE = sizeof((ag_gradcheck_report *)0)->message };

/* Memory that a callback reads or writes: `count` numbers of the function's dtype, and the guard. */
typedef struct area {
    void *data;
    int64_t count;
} area;

typedef struct plain {
    ag_tape *tape;
    const ag_c_functions *f;
    int order;         /* 2: the function is the gradient, and its derivative the Hessian */
    int64_t n, m;      /* inputs, outputs of f */
    int64_t component; /* of the function that is checked; −1: all */
    area x, y, ybar, xbar, hessian;
    char *memory;
    size_t bytes;
    const double *weights; /* ȳ, of which the Hessian is; m */
    const char *overrun;   /* a callback that has written more than its numbers, and how many these are; or NULL */
    int64_t overrun_count;
} plain;

/* ---- Calling back ---- */

static size_t size_of(const plain *p) { return ag_dtype_size(p->f->dtype); }

static double number_at(const plain *p, const area *a, int64_t i) {
    return p->f->dtype == AG_F32 ? (double)((const float *)a->data)[i] : ((const double *)a->data)[i];
}

static void put_number(const plain *p, const area *a, int64_t i, double to) {
    if (p->f->dtype == AG_F32) ((float *)a->data)[i] = (float)to;
    else ((double *)a->data)[i] = to;
}

static void put_numbers(const plain *p, const area *a, const double *from) {
    for (int64_t i = 0; i < a->count; i++) put_number(p, a, i, from[i]);
}

static void prepare(const plain *p, const area *to) {
    for (int64_t i = 0; i < to->count; i++) put_number(p, to, i, NAN);
    memset((char *)to->data + (size_t)to->count * size_of(p), 0xA5, GUARD);
}

/* The check goes on, and ends with an error. */
static void look_at_guard(plain *p, const area *to, const char *callback) {
    const unsigned char *guard = (const unsigned char *)to->data + (size_t)to->count * size_of(p);
    for (int i = 0; i < GUARD; i++)
        if (guard[i] != 0xA5) p->overrun = callback, p->overrun_count = to->count;
}

static void call_value(plain *p) {
    prepare(p, &p->y);
    p->f->value(p->f->context, p->x.data, p->y.data);
    look_at_guard(p, &p->y, "value");
}

static void call_derivative(plain *p, ag_c_derivative *f, const area *to, const char *name) {
    prepare(p, to);
    f(p->f->context, p->x.data, p->ybar.data, to->data);
    look_at_guard(p, to, name);
}

/* ---- The operation ---- */

static plain *of(const void *attributes) {
    plain *p;
    memcpy(&p, attributes, sizeof p);
    return p;
}

static int64_t outputs_of(const plain *p) { return p->component >= 0 ? 1 : p->order == 1 ? p->m : p->n; }

static bool infer_values(ag_infer *r) {
    r->shape = AG_SHAPE(outputs_of(of(r->attributes)));
    return true;
}

static bool infer_pullback(ag_infer *r) { return (void)r, true; }

static bool eval_values(const ag_call *call) {
    plain *p = of(call->attributes);
    const area *from = p->order == 1 ? &p->y : &p->xbar;
    put_numbers(p, &p->x, call->x[0].data);
    if (p->order == 2) put_numbers(p, &p->ybar, p->weights);
    if (p->order == 1) call_value(p);
    else call_derivative(p, p->f->gradient, from, "gradient");
    for (int64_t i = 0; i < outputs_of(p); i++)
        ((double *)call->y.data)[i] = number_at(p, from, p->component >= 0 ? p->component : i);
    return true;
}

/* ȳ of the function itself, from that of the components that are checked. */
static void put_cotangent(const plain *p, const double *g) {
    for (int64_t j = 0; j < p->m; j++)
        put_number(p, &p->ybar, j, p->component < 0 ? g[j] : j == p->component ? g[0] : 0);
}

static void multiply_hessian(const plain *p, const double *g, double *to) {
    for (int64_t k = 0; k < p->n; k++) {
        to[k] = 0;
        for (int64_t i = 0; i < p->n; i++)
            if (p->component < 0) to[k] += g[i] * number_at(p, &p->hessian, i * p->n + k);
            else if (i == p->component) to[k] = g[0] * number_at(p, &p->hessian, i * p->n + k);
    }
}

static bool eval_pullback(const ag_call *call) {
    plain *p = of(call->attributes);
    const double *g = call->x[1].data;
    double *to = call->y.data;
    put_numbers(p, &p->x, call->x[0].data);
    if (p->order == 2) {
        put_numbers(p, &p->ybar, p->weights);
        call_derivative(p, p->f->hessian, &p->hessian, "hessian");
        multiply_hessian(p, g, to);
        return true;
    }
    put_cotangent(p, g);
    call_derivative(p, p->f->gradient, &p->xbar, "gradient");
    for (int64_t i = 0; i < p->n; i++) to[i] = number_at(p, &p->xbar, i);
    return true;
}

static const ag_op pullback_op = {.name = "gradcheck_c",
                                  .kind = AG_KIND_OPAQUE,
                                  .arity = 2,
                                  .attribute_bytes = sizeof(plain *),
                                  .flags = AG_OP_CONTIGUOUS | AG_OP_NOT_DIFFERENTIABLE,
                                  .infer = infer_pullback,
                                  .eval = eval_pullback};

static ag_tensor *values_vjp(ag_tensor *y, ag_tensor *g, int i) {
    return ag_apply(&pullback_op, 2, (ag_tensor *[]){ag_input(y, i), g}, ag_attributes(y), sizeof(plain *));
}

static const ag_op values_op = {.name = "gradcheck_c",
                                .kind = AG_KIND_OPAQUE,
                                .arity = 1,
                                .attribute_bytes = sizeof(plain *),
                                .flags = AG_OP_CONTIGUOUS,
                                .infer = infer_values,
                                .eval = eval_values,
                                .vjp = values_vjp};

static ag_tensor *record(void *context, int n, ag_tensor *const x[]) {
    plain *p = context;
    return ag_apply(&values_op, n, x, &p, sizeof p);
}

/* ---- The check ---- */

/* The callbacks have no parts to acquit. */
static bool never(ag__check *c) { return (void)c, false; }

static ag__check check_of(plain *p, ag_tensor *const *x, const ag_gradcheck_options *options) {
    ag__check c = {.tape = p->tape, .f = record, .context = p, .n = 1, .x = x, .options = *options, .acquit = never};
    c.precision = p->f->dtype == AG_F32 ? &ag__precision_f32 : &ag__precision_f64;
    if (c.options.relative == 0) c.options.relative = c.precision->relative[p->order - 1];
    c.options.order = 1;
    return c;
}

/* The first output, by itself, whose derivative by that element fails too; −1: none does. */
static int64_t blame_component(plain *p, ag_tensor *const *x, const ag_gradcheck_options *options, ag__finding *r) {
    int64_t count = outputs_of(p), guilty = -1;
    for (int64_t j = 0; j < count && guilty < 0 && r->element >= 0; j++) {
        ag__check c = check_of(p, x, options);
        ag__finding one;
        uint32_t marks = p->tape->mark_count;
        p->component = j;
        if (ag__check_open(&c) && ag__check_element(&c, 0, r->element, &one) && one.verdict != AG__AGREES &&
            one.verdict != AG__KINK) {
            *r = one;
            guilty = j;
        }
        ag__check_close(&c, marks, false);
        ag__check_forgive(&c); /* a failure of this part is not an error of the check */
        p->component = -1;
    }
    return guilty;
}

static void say_element(ag__check_text *t, const plain *p, const ag__finding *r, int64_t component) {
    long long i = (long long)r->element, j = (long long)component;
    if (i < 0) ag__check_say(t, "x along random direction %lld", (long long)r->direction);
    else if (p->order == 2 && j >= 0) ag__check_say(t, "H[%lld,%lld]", j, i);
    else if (p->order == 1 && j >= 0 && p->m > 1) ag__check_say(t, "dy[%lld]/dx[%lld]", j, i);
    else ag__check_say(t, "x[%lld]", i);
}

static void describe(const plain *p, const ag__check *c, const ag__finding *r, int64_t component, char *to) {
    ag__check_text t = {to, MESSAGE, 0};
    const char *derivative = p->order == 2 ? "the Hessian" : "the gradient";
    if (c->report->passed) {
        ag__check_say(&t, "%s agrees with finite differences: %lld %s compared", derivative, (long long)c->checked,
                      c->options.directions ? "directions" : "elements");
        if (c->kinks) ag__check_say(&t, ", %lld of them at kinks", (long long)c->kinks);
        ag__check_say(&t, "; the worst is ");
    } else ag__check_say(&t, "%s %s: ", derivative, r->words ? "cannot be checked" : "is wrong");
    if (r->input >= 0) say_element(&t, p, r, component);
    else ag__check_say(&t, "the function");
    if (r->words) ag__check_say(&t, "%s%s", r->input < 0 ? ": " : "", r->words);
    else ag__check_say_numbers(&t, r);
}

/* Checks one order, and adds it to the report. */
static bool check_order(plain *p, ag_tensor *const *x, const ag_gradcheck_options *options,
                        ag_gradcheck_report *report) {
    ag__check c = check_of(p, x, options);
    uint32_t marks = p->tape->mark_count;
    int64_t component = -1, checked = report->checked, kinks = report->kinks;
    bool passed = ag__check_open(&c) && ag__check_compare(&c);
    ag__finding r = passed ? c.worst : c.failed;
    ag__check_close(&c, marks, false);
    if (p->overrun)
        ag__fail_on(p->tape, "gradcheck_c", AG_ERR_RANGE, "the function's %s has written more than its %lld numbers",
                    p->overrun, (long long)p->overrun_count);
    if (p->tape->status != AG_OK) return false;
    if (!passed && !r.words) component = blame_component(p, x, options, &r);
    *report = (ag_gradcheck_report){.passed = passed,
                                    .order = p->order,
                                    .input = r.input,
                                    .element = r.element,
                                    .expected = r.expected,
                                    .got = r.got,
                                    .ratio = r.ratio,
                                    .checked = checked + c.checked,
                                    .kinks = kinks + c.kinks};
    c.report = report;
    describe(p, &c, &r, component, report->message);
    return passed;
}

/* ---- Memory ---- */

static void add_area(const plain *p, area *a, int64_t count, size_t *bytes) {
    size_t own = ((size_t)count * size_of(p) + GUARD + 63) / 64 * 64;
    *a = (area){p->memory ? p->memory + *bytes : NULL, count};
    *bytes += own;
}

/* Twice: without memory, how much is needed; with it, the areas. */
static size_t lay_out(plain *p) {
    size_t bytes = 0;
    bool hessian = p->f->hessian != NULL;
    add_area(p, &p->x, p->n, &bytes);
    add_area(p, &p->y, p->m, &bytes);
    add_area(p, &p->ybar, p->m, &bytes);
    add_area(p, &p->xbar, p->n, &bytes);
    add_area(p, &p->hessian, hessian ? p->n * p->n : 0, &bytes);
    return bytes;
}

/* The input as a tensor, and the weights; false when out of memory. */
static ag_tensor *make_room(plain *p, const void *x) {
    p->bytes = lay_out(p);
    p->memory = ag__resize(p->tape, NULL, 0, p->bytes);
    if (!p->memory) return ag__fail_on(p->tape, "gradcheck_c", AG_ERR_MEMORY, "out of memory (%zu bytes)", p->bytes);
    lay_out(p);
    ag_tensor *values = ag_from(p->tape, p->f->dtype, AG_SHAPE(p->n), x);
    return ag_cast(values, AG_F64);
}

static void weigh(const plain *p, uint64_t seed, double *to) {
    for (int64_t j = 0; j < p->m; j++) to[j] = p->m == 1 ? 1 : ag__check_weight(seed, (uint64_t)j);
}

static void run(plain *p, const void *x, const ag_gradcheck_options *options, ag_gradcheck_report *report) {
    ag__position start = ag__position_now(p->tape);
    ag_tensor *input = make_room(p, x);
    size_t bytes = (size_t)p->m * sizeof(double);
    double *weights = ag__resize(p->tape, NULL, 0, bytes);
    if (!weights) ag__fail_on(p->tape, "gradcheck_c", AG_ERR_MEMORY, "out of memory (%zu bytes)", bytes);
    if (p->tape->status == AG_OK) {
        weigh(p, options->seed, weights);
        p->weights = weights;
        p->order = 1;
        bool passed = check_order(p, &input, options, report);
        p->order = 2;
        if (passed && p->f->hessian && options->order != 1) check_order(p, &input, options, report);
    }
    if (weights) ag__resize(p->tape, weights, bytes, 0);
    if (p->memory) ag__resize(p->tape, p->memory, p->bytes, 0);
    ag__truncate(p->tape, &start);
}

/* ---- Public ---- */

static bool functions_valid(ag_tape *tape, const ag_c_functions *f, const void *x, const ag_gradcheck_options *o) {
    const int64_t most = f && f->hessian ? 30000 : INT32_MAX;
    ag_status status = !f || !f->value || !f->gradient || (!x && f->inputs != 0) ? AG_ERR_NULL
                       : f->dtype != AG_F32 && f->dtype != AG_F64                ? AG_ERR_DTYPE
                                                                                 : AG_ERR_RANGE;
    const char *why = !f                                         ? "the functions are NULL"
                      : !f->value                                ? "the value is NULL"
                      : !f->gradient                             ? "the gradient is NULL"
                      : status == AG_ERR_NULL                    ? "x is NULL"
                      : status == AG_ERR_DTYPE                   ? "dtype must be f32 or f64"
                      : f->inputs < 0 || f->inputs > most        ? NULL
                      : f->outputs < 0 || f->outputs > INT32_MAX ? "outputs must be between 0 and 2147483647"
                      : o->order == 2 && !f->hessian             ? "order 2 needs a Hessian"
                                                                 : "";
    if (!why) ag__fail_on(tape, "gradcheck_c", status, "inputs must be between 0 and %lld", (long long)most);
    else if (*why) ag__fail_on(tape, "gradcheck_c", status, "%s", why);
    return why && !*why && ag__check_options_valid(tape, "gradcheck_c", o);
}

ag_status ag_gradcheck_c(ag_tape *tape, const ag_c_functions *f, const void *x, const ag_gradcheck_options *options,
                         ag_gradcheck_report *report) {
    int line;
    const char *file = ag__here_file(&line);
    ag_gradcheck_report own, *r = report ? report : &own;
    ag_gradcheck_options o = options ? *options : (ag_gradcheck_options){0};
    *r = (ag_gradcheck_report){0};
    if (!tape) ag__fail_on(NULL, "gradcheck_c", AG_ERR_NULL, "the tape is NULL");
    bool valid = tape && tape->status == AG_OK && functions_valid(tape, f, x, &o);
    if (valid && f->inputs == 0)
        *r = (ag_gradcheck_report){.passed = true, .order = 1, .message = "there is no input to check"};
    else if (valid) {
        plain p = {.tape = tape, .f = f, .n = f->inputs, .m = f->outputs ? f->outputs : 1, .component = -1};
        run(&p, x, &o, r);
    }
    ag_status status = ag__leave(tape, file, line);
    if (status != AG_OK) {
        *r = (ag_gradcheck_report){0};
        ag__format(r->message, MESSAGE, "%s", ag_tape_error(tape));
    }
    return status != AG_OK ? status : r->passed ? AG_OK : AG_ERR_GRADIENT;
}
