/* gradcheck -- gradients against finite differences, and the operation to blame
 *
 * A check moves one input along a line through the point, x + t·v, with v a unit vector of one element or a random one,
 * and compares the slope of s(x) = ⟨w, f(x)⟩ there with the engine's ⟨∇s, v⟩. Outputs are subtracted before they are
 * contracted with the random w, so that what does not move adds no rounding. The gradient of the gradient is the same
 * check of another function, x -> ∇s(x). The search for the guilty operation is the same check of each recorded
 * operation by itself. This file says the result in words. */
#include "autograd/diff/gradcheck.h"
#include "autograd/tape/format.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

enum { MESSAGE = sizeof((ag_gradcheck_report *)0)->message };

/* ---- The message ---- */

void ag__check_say(ag__check_text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = ag__format_list(t->to + t->used, t->room - t->used, format, args);
    va_end(args);
    if (n > 0) t->used = t->used + (size_t)n < t->room ? t->used + (size_t)n : t->room - 1;
}

static void put_index(ag__check_text *t, const ag__layout *l, int64_t element) {
    int64_t index[AG_MAX_RANK];
    if (l->size <= 1 && l->rank == 0) return;
    for (int i = l->rank; i-- > 0; element /= l->extent[i]) index[i] = element % l->extent[i];
    char indices[AG__EXTENTS];
    ag__check_say(t, " at [%s]", ag__format_extents(indices, l->rank, index));
}

static void put_name(ag__check_text *t, const ag_tensor *x) {
    if (ag__about(x)->label) ag__check_say(t, " \"%.60s\"", ag__about(x)->label);
}

static void put_location(ag__check_text *t, const ag_tensor *x) {
    if (!ag__about(x)->file) return;
    size_t length = strlen(ag__about(x)->file);
    ag__check_say(t, " [%s%s:%d]", length > 100 ? "…" : "",
                  length > 100 ? ag__about(x)->file + length - 100 : ag__about(x)->file, ag__about(x)->line);
}

static void put_spot(ag__check_text *t, const ag__finding *r, const ag_tensor *x) {
    ag__check_say(t, "input %d", r->input);
    put_name(t, x);
    if (r->element >= 0) put_index(t, x->layout, r->element);
    else ag__check_say(t, " along random direction %lld", (long long)r->direction);
}

void ag__check_say_numbers(ag__check_text *t, const ag__finding *r) {
    double got = isnan(r->got) ? fabs(r->got) : r->got; /* no "-nan" */
    ag__check_say(t, ": expected %.9g, got %.9g", isnan(r->expected) ? NAN : r->expected, got);
    if (r->kink) ag__check_say(t, ", at a kink with slopes %.9g to %.9g", r->low, r->high);
    if (r->verdict == AG__NOT_FINITE) {
        if (isfinite(r->got)) ag__check_say(t, ": the function is NaN or infinite beside this point");
        else ag__check_say(t, ": the gradient is NaN or infinite");
    } else if (r->verdict == AG__UNRESOLVED) ag__check_say(t, ": cannot be resolved numerically");
    else if (!(r->kink && r->ratio == 0)) ag__check_say(t, ", %.3g times the tolerance", r->ratio);
}

static void put_finding(ag__check_text *t, const ag__finding *r, ag_tensor *const x[]) {
    if (r->input >= 0) put_spot(t, r, x[r->input]);
    if (r->words) ag__check_say(t, "%s", r->words);
    else ag__check_say_numbers(t, r);
}

static const char *order_name(int order) { return order == 2 ? "the gradient of the gradient" : "the gradient"; }

static void put_guilty(ag__check_text *t, const ag__search *s) {
    const ag_tensor *g = s->guilty;
    ag__check_say(t, "; the guilty operation is %s", g->op->name);
    put_name(t, g);
    put_location(t, g);
    ag__check_say(t, "%s", g->flags & AG__GRADIENT ? " (of the backward pass)" : "");
    ag__check_say(t, "%s, ", s->twice ? ", whose VJP is right but not the gradient of it" : "");
    put_finding(t, &s->found, g->input);
}

static void put_innocence(ag__check_text *t, const ag__search *s) {
    int input = s->c->failed.input;
    if (input >= 0 && s->c->given[input]->flags & AG__FROZEN) {
        ag__check_say(t, "; the input is frozen, and so is constant to gradients");
    } else if (s->detached) {
        ag__check_say(t, "; every operation's own gradient is right, but %s", s->detached->op->name);
        put_name(t, s->detached);
        put_location(t, s->detached);
        ag__check_say(t, " was recorded with recording off, and so is constant to gradients");
    } else if (s->outside) {
        ag__check_say(t, "; every operation's own gradient is right, but the function uses %s", s->outside->op->name);
        put_name(t, s->outside);
        put_location(t, s->outside);
        ag__check_say(t, ", which was recorded before the call, and does not depend on its input");
    } else {
        ag__check_say(t,
                      "; every operation's own gradient is right: the function may depend on something that does not "
                      "carry gradients, or not compute the same at each call");
    }
}

static void describe_failure(const ag__check *c, const ag__search *s, char *message) {
    ag__check_text t = {message, MESSAGE, 0};
    bool checked = c->failed.verdict != AG__NO_POINT;
    ag__check_say(&t, "%s of the function %s: ", order_name(c->failed.order), checked ? "fails" : "cannot be checked");
    put_finding(&t, &c->failed, c->x);
    if (!checked) ag__check_say(&t, ", which leaves no finite differences to compare with");
    else if (s->guilty) put_guilty(&t, s);
    else if (c->failed.words) ag__check_say(&t, "; it comes from what the function uses beside its inputs");
    else put_innocence(&t, s);
}

static void describe_success(const ag__check *c, char *message) {
    ag__check_text t = {message, MESSAGE, 0};
    const ag__finding *r = &c->worst;
    ag__check_say(&t, "%s of the function agrees with finite differences: %lld %s compared", order_name(c->order),
                  (long long)c->checked, c->options.directions ? "directions" : "elements");
    if (c->kinks) ag__check_say(&t, ", %lld of them at kinks", (long long)c->kinks);
    if (c->checked == 0) return;
    ag__check_say(&t, "; the worst is ");
    put_spot(&t, r, c->x[r->input]);
    ag__check_say_numbers(&t, r);
}

/* ---- Public ---- */

static void fill_report(const ag__check *c, const ag__search *s, bool passed) {
    ag_gradcheck_report *to = c->report;
    const ag__finding *r = passed ? &c->worst : &c->failed;
    *to = (ag_gradcheck_report){.passed = passed,
                                .order = passed ? c->order : r->order,
                                .input = r->input,
                                .element = r->element,
                                .expected = r->expected,
                                .got = r->got,
                                .ratio = r->ratio,
                                .checked = c->checked,
                                .kinks = c->kinks,
                                .guilty = s->guilty};
    if (passed) describe_success(c, to->message);
    else describe_failure(c, s, to->message);
}

static void run_check(ag__check *c) {
    ag__search s = {.c = c};
    uint32_t marks = c->tape->mark_count;
    bool passed = ag__check_open(c) && ag__check_compare(c), failed = !passed && c->tape->status == AG_OK;
    if (failed && c->failed.verdict != AG__NO_POINT) ag__check_accuse(&s);
    if (failed) ag__check_forgive(c); /* the search may have stopped early; the failure stands */
    failed = failed && c->tape->status == AG_OK;
    if (passed || failed) fill_report(c, &s, passed);
    ag__check_close(c, marks, s.guilty != NULL);
}

bool ag__check_options_valid(ag_tape *tape, const char *name, const ag_gradcheck_options *o) {
    const char *why =
        o->order < 0 || o->order > 2                    ? "order must be 1 or 2"
        : o->directions < 0                             ? "directions must not be negative"
        : !(o->relative >= 0 && o->relative < INFINITY) ? "the relative tolerance must be finite and not negative"
        : !(o->absolute >= 0 && o->absolute < INFINITY) ? "the absolute tolerance must be finite and not negative"
                                                        : NULL;
    if (why) ag__fail_on(tape, name, AG_ERR_RANGE, "%s", why);
    return !why;
}

static bool arguments_valid(ag_function *f, int n, ag_tensor *const x[], const ag_gradcheck_options *options) {
    ag_tensor *nil;
    ag_tape *tape = n > 0 && x ? ag_tape_of(x[0]) : NULL;
    if (!f || (n > 0 && !x))
        ag__fail_on(tape, "gradcheck", AG_ERR_NULL, "the %s NULL", f ? "list of inputs is" : "function is");
    else if (n < 0) ag__fail_on(NULL, "gradcheck", AG_ERR_RANGE, "%d inputs", n);
    else if (!ag__inputs_usable("gradcheck", n, x, &nil)) return false;
    else {
        for (int i = 0; i < n; i++)
            if (x[i]->dtype != AG_F64) {
                ag__fail("gradcheck", 1, &x[i], AG_ERR_DTYPE, "input %d must be f64", i);
                return false;
            }
        return ag__check_options_valid(tape, "gradcheck", options);
    }
    return false;
}

ag_status ag_gradcheck(ag_function *f, void *context, int n, ag_tensor *const x[], const ag_gradcheck_options *options,
                       ag_gradcheck_report *report) {
    int line;
    const char *file = ag__here_file(&line);
    ag_gradcheck_report own;
    ag__check c = {.f = f,
                   .context = context,
                   .n = n,
                   .x = x,
                   .report = report ? report : &own,
                   .precision = &ag__precision_f64,
                   .acquit = ag__check_innocent};
    *c.report = (ag_gradcheck_report){0};
    if (options) c.options = *options;
    for (int i = 0; x && i < n && !c.tape; i++) c.tape = ag_tape_of(x[i]);
    bool valid = arguments_valid(f, n, x, &c.options);
    if (valid && n == 0) {
        *c.report = (ag_gradcheck_report){.passed = true, .order = 1, .message = "there is no input to check"};
        return AG_OK;
    }
    if (valid) run_check(&c);
    ag_status status = ag__leave(c.tape, file, line);
    if (status != AG_OK || !valid) ag__format(c.report->message, MESSAGE, "%s", ag_tape_error(c.tape));
    return status != AG_OK ? status : c.report->passed ? AG_OK : AG_ERR_GRADIENT;
}
