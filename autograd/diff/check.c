/* check -- the engine's gradients against slopes, element by element or along random directions
 *
 * Two values settle most elements; the rest climb the ladder. The first finding that fails ends the comparison.
 * Invariant: after an element that passes, `worst` is the one nearest to its tolerance, and `checked` counts it. */
#include "autograd/diff/gradcheck.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { MOST_EXCUSED = 65536 };

static double to_double(double x) { return x; }
static double to_float(double x) { return (float)x; }

const ag__precision ag__precision_f64 = {
    .epsilon = DBL_EPSILON,
    .relative = {1e-6, 1e-5},
    .negligible = 1e-8,
    .first = 0x1p-13,
    .second = 0x1p-8,
    .bottom = {0x1p-41, 0x1p-20},
    .nudge = 0x1p-50,
    .round = to_double,
};

const ag__precision ag__precision_f32 = {
    .epsilon = FLT_EPSILON,
    .relative = {1e-3, 1e-3},
    .negligible = 1e-4,
    .first = 0x1p-6,
    .second = 0x1p-4,
    .bottom = {0x1p-16, 0x1p-12},
    .nudge = 0x1p-22,
    .round = to_float,
};

/* ---- The verdict on one element or direction ---- */

/* The least tolerance. By default it covers only rounding, the engine's own included, and only as far as it is
 * negligible beside the output or, where output and gradient are 0, beside the neighbouring slopes. */
static double tolerance_floor(const ag__check *c, const ag__probe *p, double error, double slopes_around) {
    if (c->options.absolute > 0) return c->options.absolute;
    double size = fmax(c->magnitude / p->widest, c->input[p->input].steepest);
    double scaled = c->precision->negligible * (size > 0 ? size : slopes_around);
    return fmin(scaled, fmax(10 * error, 100 * p->unsure));
}

static double ratio_of(double difference, double tolerance) {
    return difference == 0 ? 0 : tolerance > 0 ? difference / tolerance : INFINITY;
}

/* Whether a cheap estimate is enough: it agrees, there is no sign of a kink, and no part of the gradient can hide in
 * outputs that are too large to show it. */
static bool settles(const ag__check *c, const ag__probe *p, const ag__level *l, double expected, ag__finding *r) {
    double larger = fmax(fabs(expected), fabs(p->got));
    double noise =
        (2 * c->precision->epsilon * c->magnitude + p->rounding) / l->h + 8 * c->precision->epsilon * l->mass;
    if (!l->finite || noise > 1e-3 * larger) return false;
    r->expected = expected;
    r->ratio = ratio_of(fabs(expected - p->got), c->relative * larger + c->options.absolute);
    return r->ratio <= 0.1; /* a larger ratio needs better numbers */
}

static bool gap_shows(const ag__level *l) { return !(l->gap <= 0.01 * l->mass); }

/* Whether the engine's value lies between the slopes at a kink, or where the function jumps. */
static bool between_sides(const ag__check *c, const ag__probe *p, int n, const ag__level l[], ag__estimate *e,
                          ag__finding *r) {
    double allowed = ag__kink_between(n, l, e->error, &r->low, &r->high);
    if (allowed < 0 && (allowed = ag__jump_between(c, n, l, &r->low, &r->high)) >= 0)
        *e = (ag__estimate){r->low + (r->high - r->low) / 2, allowed}; /* the limit is infinite */
    r->kink = allowed >= 0;
    allowed += c->relative * fmax(fabs(e->value), fabs(p->got)) + c->options.absolute;
    return r->kink && p->got >= r->low - allowed && p->got <= r->high + allowed;
}

static void judge(const ag__check *c, const ag__probe *p, int n, ag__level l[], ag__finding *r) {
    double size = ag__moving_size(c), hidden = 2 * c->precision->epsilon * (c->magnitude - size) / l[0].h;
    ag__estimate_noise(c, p, size, n, l);
    ag__estimate e = ag__limit_of(n, l);
    bool between = between_sides(c, p, n, l, &e, r);
    double larger = fmax(fabs(e.value), fabs(p->got)), difference = fabs(e.value - p->got);
    double widened = fmin(4 * e.error, 1e-3 * larger); /* never enough for a sign or a factor */
    r->expected = e.value;
    r->ratio =
        ratio_of(difference, c->relative * larger + fmax(widened, tolerance_floor(c, p, e.error + hidden, l[0].mass)));
    bool unresolved = e.error > 1e-3 * larger && difference <= 10 * e.error;
    r->verdict = r->ratio <= 1 ? AG__AGREES : unresolved ? AG__UNRESOLVED : AG__DIFFERS;
    if (between) {
        r->verdict = c->options.kinks_fail ? AG__DIFFERS : AG__KINK;
        r->ratio = 0;
    }
    r->kink = r->kink && r->verdict != AG__AGREES;
    for (int k = 1; k < n; k++) r->rough = r->rough || ag__gap_stays(l, k);
}

/* The derivative is 0 if small steps change nothing, unless the function is rounded more coarsely inside than its
 * output shows (a loss that is almost 0). Coarse rounding is the cause if the steps that do change the output agree
 * with the engine, or if the change would be less than the rounding of x itself. */
static void judge_without_still(const ag__check *c, const ag__probe *p, int n, ag__level l[], ag__finding *r) {
    ag__finding other = *r;
    double unseen = 4 * c->precision->epsilon * p->near / p->widest;
    int moving = n;
    while (moving > 0 && l[moving - 1].still) moving--;
    if (moving == n) return;
    if (moving > 2) judge(c, p, moving, l, &other);
    if (other.verdict == AG__AGREES || other.verdict == AG__UNRESOLVED) *r = other;
    if (fabs(p->got) > unseen || fabs(other.expected) > unseen) return;
    r->verdict = AG__AGREES;
    r->ratio = 0;
}

static bool climb(ag__check *c, const ag__probe *p, ag__finding *r) {
    ag__level l[AG__LEVELS];
    int n, finite = 0;
    if (!ag__take_ladder(c, p, l, &n)) return false;
    for (int k = 0; k < n; k++) finite += l[k].finite;
    if (finite > 1) {
        judge(c, p, n, l, r);
        if (r->verdict == AG__DIFFERS || r->verdict == AG__UNRESOLVED) judge_without_still(c, p, n, l, r);
        return true;
    }
    r->verdict = AG__NOT_FINITE;
    r->expected = NAN;
    r->ratio = INFINITY;
    return true;
}

/* An output that stays, with a gradient of 0, is settled if it also stays at a step so wide that rounding cannot hide
 * a change. */
static bool does_not_depend(ag__check *c, const ag__probe *p, const ag__level *l, bool *answer) {
    ag__level wide = {0};
    *answer = l->finite && l->still && p->got == 0;
    if (*answer && !ag__take_level(c, p, 0x1p-7 * p->widest, NULL, &wide)) return false;
    *answer = *answer && wide.finite && wide.still;
    return true;
}

/* Central differences of one step: enough for most. */
static bool first_look(ag__check *c, const ag__probe *p, ag__level *l, ag__finding *r, bool *settled) {
    if (!ag__take_level(c, p, c->precision->first * p->near, NULL, l)) return false;
    *settled = !isfinite(p->got) || (!gap_shows(l) && settles(c, p, l, l->slope, r));
    if (isfinite(p->got)) return *settled || does_not_depend(c, p, l, settled);
    r->verdict = AG__NOT_FINITE;
    r->expected = l->slope;
    r->ratio = INFINITY;
    return true;
}

/* Central differences of two larger steps, extrapolated (Richardson): these suffer less from rounding. */
static bool second_look(ag__check *c, const ag__probe *p, ag__finding *r, bool *settled) {
    ag__level wide, half;
    if (!ag__take_level(c, p, c->precision->second * p->near, NULL, &wide) ||
        !ag__take_level(c, p, c->precision->second / 2 * p->near, NULL, &half))
        return false;
    *settled = settles(c, p, &half, half.slope + (half.slope - wide.slope) / 3, r);
    return true;
}

static bool examine(ag__check *c, const ag__probe *p, ag__finding *r) {
    ag__level l;
    bool settled = false;
    *r = (ag__finding){
        .order = c->order, .input = p->input, .element = p->element, .direction = p->direction, .got = p->got};
    if (!first_look(c, p, &l, r, &settled)) return false;
    if (!settled && !gap_shows(&l) && !second_look(c, p, r, &settled)) return false;
    return settled || climb(c, p, r);
}

/* ---- All elements, or some directions, of all inputs ---- */

/* The engine's value may lie outside all slopes along one line where several kinks meet. It is still right, by the
 * chain rule, if each operation alone is right. */
static bool absolve(ag__check *c, ag__finding *r) {
    if (!r->kink || r->verdict != AG__DIFFERS || c->options.kinks_fail || !c->acquit) return true;
    if (!c->searched) {
        ag__check_input *in = &c->input[r->input];
        if (!ag__check_put(c, in, in->at)) return false;
        c->innocent = c->acquit(c);
        c->searched = true;
    }
    if (!c->innocent) return true;
    r->verdict = AG__KINK;
    r->ratio = 0;
    return true;
}

static bool note(ag__check *c, const ag__finding *r) {
    c->checked++;
    c->kinks += r->verdict == AG__KINK || (r->kink && r->verdict == AG__DIFFERS && r->ratio == 0);
    if (c->checked == 1 || r->order > c->worst.order || r->ratio > c->worst.ratio) c->worst = *r;
    if (r->verdict == AG__AGREES || r->verdict == AG__KINK) return true;
    c->failed = *r;
    return false;
}

/* A power of two, so that x + h and x − h are exact; 1 for 0. */
static double scale_of(double x) { return x < 0x1p-900 ? 1 : ldexp(1, ilogb(fmin(x, DBL_MAX))); }

static ag__probe element_probe(const ag__check *c, int i, int64_t element) {
    const ag__check_input *in = &c->input[i];
    double size = fmax(fabs(in->at[element]), in->typical);
    return (ag__probe){.input = i,
                       .element = element,
                       .near = scale_of(size),
                       .widest = scale_of(fmax(1, size)),
                       .got = in->gradient[element],
                       .unsure = in->rounding[element]};
}

/* A random unit vector; steps along it move each element as much as a step of its own would. Elements that are not
 * finite cannot be moved, and are left out. */
static ag__probe direction_probe(ag__check *c, int i, int64_t number) {
    ag__check_input *in = &c->input[i];
    double norm = 0, got = 0, spread = sqrt((double)in->size), rounding = 0, unsure = 0;
    for (int64_t k = 0; k < in->size; k++) {
        bool moves = isfinite(in->at[k]);
        in->direction[k] = moves ? ag__check_weight(c->options.seed + 1000 + (uint64_t)number, (uint64_t)(k + i)) : 0;
        norm += in->direction[k] * in->direction[k];
    }
    for (int64_t k = 0; k < in->size; k++) {
        if (in->direction[k] == 0) continue;
        in->direction[k] /= sqrt(norm);
        got += in->gradient[k] * in->direction[k];
        rounding += c->precision->epsilon * fabs(in->gradient[k] * in->at[k]);
        unsure = hypot(unsure, in->rounding[k] * in->direction[k]);
    }
    return (ag__probe){.input = i,
                       .element = -1,
                       .direction = number,
                       .near = scale_of(in->norm < 0x1p-900 ? spread : in->norm),
                       .widest = scale_of(fmax(spread, in->norm)),
                       .got = got,
                       .rounding = isfinite(rounding) ? rounding : 0,
                       .unsure = unsure};
}

/* Checks each element alone: along a direction several elements may meet kinks, together or in turn, and their
 * slopes may then add up to anything. */
static bool excuse(ag__check *c, ag__finding *r) {
    ag__check_input *in = &c->input[r->input];
    memcpy(in->tried, in->at, (size_t)in->size * sizeof *in->at);
    for (int64_t k = 0; k < in->size; k++) {
        if (!isfinite(in->at[k])) continue;
        ag__probe p = element_probe(c, r->input, k);
        ag__finding one;
        if (!examine(c, &p, &one) || !absolve(c, &one)) return false;
        if (one.verdict == AG__AGREES || one.verdict == AG__KINK) continue;
        *r = one;
        return true;
    }
    r->verdict = AG__KINK;
    r->ratio = 0;
    return true;
}

/* False: an error, or a failing element; c->failed tells them apart. */
static bool check_input(ag__check *c, int i) {
    ag__check_input *in = &c->input[i];
    bool by_element = c->options.directions == 0 || in->size <= c->few;
    int64_t count = by_element ? in->size : c->options.directions;
    if (in->finite == 0 || c->m == 0) return true;
    memcpy(in->tried, in->at, (size_t)in->size * sizeof *in->at);
    for (int64_t k = 0; k < count; k++) {
        if (by_element && !isfinite(in->at[k])) continue;
        ag__probe p = by_element ? element_probe(c, i, k) : direction_probe(c, i, k);
        ag__finding r;
        if (!examine(c, &p, &r)) return false;
        if (!by_element && r.ratio > 1 && (r.kink || r.rough) && in->size <= MOST_EXCUSED && !excuse(c, &r))
            return false;
        if (!absolve(c, &r) || !note(c, &r)) return false;
    }
    return ag__check_put(c, in, in->at);
}

bool ag__check_element(ag__check *c, int i, int64_t element, ag__finding *r) {
    c->order = 1;
    c->relative = c->options.relative > 0 ? c->options.relative : c->precision->relative[0];
    if (!ag__check_point(c)) return false;
    memcpy(c->input[i].tried, c->input[i].at, (size_t)c->input[i].size * sizeof *c->input[i].at);
    ag__probe p = element_probe(c, i, element);
    return examine(c, &p, r);
}

/* ---- Everything ---- */

/* True if everything agrees; otherwise the tape is in error, or c->failed is the failure. */
bool ag__check_compare(ag__check *c) {
    int orders = c->options.order == 2 ? 2 : 1;
    for (c->order = 1; c->order <= orders; c->order++) {
        c->searched = false;
        c->relative = c->options.relative > 0 ? c->options.relative : c->precision->relative[c->order - 1];
        bool good = ag__check_point(c);
        for (int i = 0; good && i < c->n; i++) good = check_input(c, i);
        if (!good) return false;
    }
    c->order = orders;
    return true;
}
