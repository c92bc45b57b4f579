/* agreement -- whether values are zero to rounding, and whether contributions add up to the gradient
 *
 * The sum is independent of the scan: it is made here, of doubles. */
#include "autograd/report/explain.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- Zero, and zero to rounding ---- */

typedef enum zero { NOT_ZERO, ZERO, ZERO_TO_ROUNDING } zero;

/* Compares each element with the bound on its rounding error; `bound` becomes the largest. Where the bounds are
 * unknown, for any reason, only exact zeros are called zero. */
static zero zero_of(ag__report *r, ag_tensor *c, const double *a, double *bound) {
    int64_t n = c->layout->size;
    double norm = ag__norm_of(a, n);
    *bound = 0;
    if (norm == 0 || !isfinite(norm)) return norm == 0 ? ZERO : NOT_ZERO;
    ag__position before = ag__position_now(r->tape);
    ag__buffer *memory = NULL;
    ag_tensor *error = ag__rounding_of(c);
    const double *e = error && !(error->flags & AG__NIL) ? ag__values_of(error, &memory) : NULL;
    bool within = e != NULL;
    for (int64_t i = 0; i < n && e; i++) {
        within = within && fabs(a[i]) <= e[i];
        *bound = fmax(*bound, e[i]);
    }
    ag__buffer_drop(r->tape, memory);
    ag__truncate(r->tape, &before);
    if (!ag__is_passing(ag_tape_status(r->tape))) ag_clear_error(r->tape);
    return within ? ZERO_TO_ROUNDING : NOT_ZERO;
}

static void put_roughly(ag__report *r, double a) {
    char s[AG__NUMBER];
    ag__say(r, ag__number(s, 2, a));
}

void ag__say_zero(ag__report *r, ag_tensor *c, const double *a) {
    double bound;
    zero z = zero_of(r, c, a, &bound);
    static const char *const words[] = {"", "exact", "rounding"};
    if (r->o.json) {
        ag__say_key(r, "zero");
        if (z == NOT_ZERO) ag__say(r, "false");
        else ag__put_json(&r->t, words[z]);
        ag__say_key(r, "rounding");
        ag__put_value(&r->t, bound, true);
    } else if (z == ZERO) ag__say(r, ": exactly zero");
    else if (z == ZERO_TO_ROUNDING) {
        ag__say(r, ": zero to rounding, which may leave ");
        put_roughly(r, bound);
        ag__say(r, " of the terms that cancel");
    }
}

/* ---- The sum ---- */

/* The sums of all contributions to x and of their magnitudes, independent of the scan. */
static bool add_up(ag__report *r, const ag_tensor *x, double *sum, double *magnitude) {
    int64_t n = x->layout->size;
    memset(sum, 0, (size_t)n * sizeof *sum);
    memset(magnitude, 0, (size_t)n * sizeof *magnitude);
    for (uint32_t u = r->used[x->id].first; u; u = r->use[u - 1].next) {
        ag__buffer *memory;
        if (!r->use[u - 1].c) continue;
        const double *a = ag__values_of(r->use[u - 1].c, &memory);
        if (!a) return false;
        for (int64_t i = 0; i < n; i++) sum[i] += a[i], magnitude[i] += fabs(a[i]);
        ag__buffer_drop(r->tape, memory);
    }
    return true;
}

static void put_comparison(ag__report *r, const ag_tensor *x, const double *sum, const double *magnitude,
                           const double *dx) {
    double difference = 0, allowed = 0, epsilon = x->dtype == AG_F32 ? (double)FLT_EPSILON : DBL_EPSILON;
    bool agrees = true;
    for (int64_t i = 0; i < x->layout->size; i++) {
        double d = fabs(sum[i] - dx[i]), most = (r->used[x->id].count + 1) * epsilon * magnitude[i];
        if (isnan(d)) d = (isnan(sum[i]) && isnan(dx[i])) || sum[i] == dx[i] ? 0 : INFINITY;
        agrees = agrees && (d == 0 || d <= most);
        difference = fmax(difference, d);
        if (isfinite(most)) allowed = fmax(allowed, most);
    }
    if (r->o.json) {
        ag__say_key(r, "difference");
        ag__put_value(&r->t, difference, true);
        ag__say_key(r, "allowed");
        ag__put_value(&r->t, allowed, true);
        ag__say_key(r, "agrees");
        ag__say(r, agrees ? "true" : "false");
    } else if (difference == 0) ag__say(r, "\nThe gradient is the same, to the last bit.");
    else {
        ag__say(r, agrees ? "\nThe gradient agrees: the largest difference is "
                          : "\nThe gradient DIFFERS: the largest difference is ");
        put_roughly(r, difference);
        ag__say(r, ", and rounding allows ");
        put_roughly(r, allowed);
        ag__say(r, ".");
    }
}

bool ag__say_sum(ag__report *r, ag_tensor *x, ag_tensor *dx) {
    size_t n = (size_t)x->layout->size;
    ag__buffer *memory = NULL, *both = ag__buffer_new(r->tape, ag__times(n, 2 * sizeof(double)));
    double *sum = both ? both->data : NULL, *d = sum ? ag__values_of(dx, &memory) : NULL;
    bool good = sum ? d && add_up(r, x, sum, sum + n) : ag__report_out_of_memory(r);
    if (good && r->o.json) {
        ag__say_key(r, "sum");
        ag__say(r, "{");
        ag__say_values(r, x, sum);
        ag__say(r, "}");
        ag__say_key(r, "gradient");
        ag__say(r, "{");
        ag__say_values(r, x, d);
        ag__say(r, "}");
    } else if (good) {
        ag__say(r, "\nsum ");
        ag__say_values(r, x, sum);
    }
    if (good) put_comparison(r, x, sum, sum + n, d);
    ag__buffer_drop(r->tape, memory);
    ag__buffer_drop(r->tape, both);
    return good;
}
