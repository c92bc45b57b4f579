/* point -- the point of a check: the function's values there, the engine's gradients, and how far rounding moves these
 *
 * Invariant: a check whose inputs, output or gradients cannot be compared at all ends here, with that as its
 * finding. */
#include "autograd/diff/gradcheck.h"

#include <math.h>
#include <string.h>

/* ---- The point itself: the function's values there, and the engine's gradients ---- */

static bool make_room_for_outputs(ag__check *c) {
    double **all[] = {&c->w, &c->base, &c->up, &c->down, &c->up_before, &c->down_before};
    c->m = 0;
    for (int i = 0; i < ag__check_outputs(c); i++) c->m += c->out[i]->layout->size;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!(*all[i] = ag__check_numbers(c, c->m))) return false;
    ag__check_weights(c, (uint64_t)(c->order - 1), c->m, c->w);
    return (c->moved = ag__check_room(c, c->m, sizeof *c->moved)) != NULL;
}

/* The cotangents of c->out: constants that wrap our memory. */
bool ag__check_cotangents(ag__check *c) {
    const double *w = c->w;
    for (int i = 0; i < ag__check_outputs(c); i++) {
        c->ybar[i] = ag_wrap(c->tape, AG_F64, ag__layout_shape(c->out[i]->layout), w);
        w += c->out[i]->layout->size;
    }
    return c->tape->status == AG_OK;
}

/* Record Σ over the outputs of their vector-Jacobian products, c->dx, and compute all in one sweep. */
static bool record_products(ag__check *c) {
    int n = ag__check_outputs(c);
    if (!ag__check_cotangents(c) || ag_vjp(n, c->out, c->ybar, c->n, c->given, c->dx, 0) != AG_OK) return false;
    memcpy(c->all, c->out, (size_t)n * sizeof *c->all);
    memcpy(c->all + n, c->dx, (size_t)c->n * sizeof *c->all);
    return ag_eval_all(n + c->n, c->all) == AG_OK;
}

static bool take_gradients(ag__check *c) {
    for (int i = 0; i < c->n; i++) {
        ag__check_input *in = &c->input[i];
        if (!ag__check_copy_out(1, &c->dx[i], in->gradient)) return false;
        in->steepest = 0;
        for (int64_t k = 0; k < in->size; k++) {
            in->rounding[k] = 0;
            if (isfinite(in->gradient[k])) in->steepest = fmax(in->steepest, fabs(in->gradient[k]));
        }
    }
    return true;
}

/* The gradients again, at a point that differs in the last bits. */
static bool take_rounding(ag__check *c, uint64_t trial) {
    for (int i = 0; i < c->n; i++) {
        ag__check_input *in = &c->input[i];
        for (int64_t k = 0; k < in->size; k++)
            in->tried[k] = in->at[k] * (1 + c->precision->nudge *
                                                ag__check_weight(c->options.seed + 100 + trial, (uint64_t)(k + i)));
        ag__check_rewind(c, &c->position);
        if (!ag__check_put(c, in, in->tried)) return false;
    }
    if (!ag__check_record(c) || !record_products(c)) return false;
    for (int i = 0; i < c->n; i++) {
        ag__check_input *in = &c->input[i];
        if (!ag__check_copy_out(1, &c->dx[i], in->direction)) return false;
        for (int64_t k = 0; k < in->size; k++) {
            double change = fabs(in->direction[k] - in->gradient[k]);
            if (isfinite(change)) in->rounding[k] = fmax(in->rounding[k], change);
        }
    }
    return true;
}

static bool put_all(ag__check *c) {
    ag__check_rewind(c, &c->position);
    for (int i = 0; i < c->n; i++)
        if (!ag__check_put(c, &c->input[i], c->input[i].at)) return false;
    return true;
}

static bool nothing_to_compare(ag__check *c, ag__verdict is, int number, int64_t element, const char *words) {
    c->failed = (ag__finding){.verdict = is,
                              .order = c->order,
                              .input = number,
                              .element = element,
                              .expected = NAN,
                              .got = NAN,
                              .ratio = INFINITY,
                              .words = words};
    return false;
}

/* The whole function is checked only at finite inputs: ∞ + h is ∞, and NaN tells nothing. A single operation has its
 * recorded inputs, finite or not (−∞ where masked), and its finite elements are moved. */
static bool inputs_finite(ag__check *c) {
    if (!c->acquit) return true;
    for (int i = 0; i < c->n; i++)
        for (int64_t k = 0; k < c->input[i].size; k++) {
            double x = c->input[i].at[k];
            if (isnan(x)) return nothing_to_compare(c, AG__NO_POINT, i, k, " is NaN");
            if (isinf(x)) return nothing_to_compare(c, AG__NO_POINT, i, k, x > 0 ? " is infinite" : " is −infinite");
        }
    return true;
}

static bool all_inputs_finite(const ag__check *c) {
    bool all = true;
    for (int i = 0; i < c->n; i++) all = all && c->input[i].finite == c->input[i].size;
    return all;
}

/* Without a finite output at the point itself, and a finite weighted sum of it, there is nothing to compare. No
 * operation is to blame for what comes out of inputs that are not finite. */
static bool base_finite(ag__check *c) {
    bool finite = true;
    c->magnitude = 0;
    for (int64_t j = 0; j < c->m; j++) {
        finite = finite && isfinite(c->base[j]);
        c->magnitude += fabs(c->w[j] * c->base[j]);
    }
    if (isfinite(c->magnitude)) return true;
    const char *words = finite          ? c->order == 2 ? "its gradient is too large" : "its output is too large"
                        : c->order == 2 ? "its gradient has NaN or infinity"
                                        : "its output has NaN or infinity";
    return nothing_to_compare(c, finite || !all_inputs_finite(c) ? AG__NO_POINT : AG__NOT_FINITE, -1, 0, words);
}

bool ag__check_point(ag__check *c) {
    if (!inputs_finite(c) || !ag__check_record(c) || !make_room_for_outputs(c) || !record_products(c)) return false;
    if (!ag__check_copy_out(ag__check_outputs(c), c->out, c->base) || !take_gradients(c) || !base_finite(c))
        return false;
    for (uint64_t trial = 0; trial < 3; trial++)
        if (!take_rounding(c, trial)) return false;
    return put_all(c);
}
