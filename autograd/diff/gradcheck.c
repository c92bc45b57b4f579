/* gradcheck -- gradients against finite differences, and which operation is to blame
 *
 * A check moves one input along a line through the point, x + t·v, with v a unit vector of one element or a random
 * one, and compares the slope of s(x) = ⟨w, f(x)⟩ there with the engine's ⟨∇s, v⟩. Outputs are subtracted before they are
 * contracted with the random w, so that what does not move adds no rounding. Two values settle most elements; the rest
 * climb a ladder of steps, whose extrapolated limit has an error estimate, and whose one-sided slopes show kinks.
 * The gradient of the gradient is the same check of another function, x -> ∇s(x). The search for the guilty operation is
 * the same check of each recorded operation by itself.
 *
 * Invariant: between two evaluations of f the tape ends at `place`, and every input but the one that is being moved has
 * its own value. Nothing of a check outlives it, but for the recording in which a guilty operation is shown. */
#include "autograd/diff/diff.h"
#include "autograd/tape/format.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

enum { LEVELS = 48, COLUMNS = 6, MOST_EXCUSED = 65536, MESSAGE = sizeof((ag_gradcheck_report *)0)->message };

typedef enum verdict { AGREES, KINK, DIFFERS, UNRESOLVED, NOT_FINITE, NO_POINT } verdict;

/* What is known of one element or direction. */
typedef struct finding {
    verdict verdict;
    int order, input;
    int64_t element, direction; /* element −1: along that direction */
    double expected, got, ratio;
    double low, high;  /* at a kink: the one-sided slopes */
    bool kink, rough;  /* rough: there are kinks near */
    const char *words; /* NULL, or what is wrong where there are no numbers to compare */
} finding;

/* One x[i]. */
typedef struct input {
    ag_tensor *tensor; /* what f is given: x[i] if that is a variable, else a temporary variable */
    bool own;          /* it is x[i], and the next two are to be put back */
    ag__buffer *buffer;
    ag_tensor *version;
    int64_t size;
    double *at, *tried, *gradient, *direction;
    double *rounding;     /* of the gradient: how far it goes when the inputs are rounded otherwise */
    int64_t finite;       /* how many elements are */
    double typical, norm; /* of these, the mean magnitude and the root of the sum of squares */
    double steepest;      /* the largest element of the gradient */
} input;

/* Memory that lasts as long as a check. */
typedef struct block {
    struct block *next;
    size_t bytes;
} block;

typedef struct check {
    ag_tape *tape;
    ag_function *f;
    void *context;
    int n;
    ag_tensor *const *x;
    ag_gradcheck_options options;
    bool local;  /* of one operation, in search of the guilty one */
    int64_t few; /* with random directions: inputs up to this size are checked element by element all the same */

    input *input;
    ag_tensor **given, **out, **ybar, **dx; /* n each */
    ag_tensor **all;                        /* 2·n */
    ag_tensor *y;                           /* f's output, as recorded last */
    block *blocks;
    ag__position start, place; /* before and after the temporary variables */
    uint32_t marks;
    uint64_t draws;
    bool recording, sandbox;

    int order;               /* that is being checked */
    bool searched, innocent; /* whether all operations have been checked, at that order, and found right */
    double relative;         /* tolerance, at that order */
    bool shaped;             /* f has been called, and its output had this shape */
    ag_shape shape;
    double *cotangent; /* of f's output */
    int64_t m;         /* numbers that the checked function gives: f's output, or its gradients one after the other */
    double *w;         /* they are contracted with this */
    double *base, *up, *down, *up_before, *down_before; /* m each */
    bool *moved;                                        /* m: which of them have moved at any step of a ladder */
    double magnitude;                                   /* Σ |w·base| */

    finding worst, failed;
    int64_t checked, kinks;
    ag_gradcheck_report *report;
} check;

/* A line through the point. */
typedef struct probe {
    int input;
    int64_t element, direction;
    double near;   /* a small part of this is a good step where the function is well scaled */
    double widest; /* no step needs to exceed this */
    double got;
    double rounding; /* how far rounding the moved elements may move the output, */
    double unsure;   /* and how far rounding may move `got` */
} probe;

/* The function at x + h·v and x − h·v. */
typedef struct level {
    bool finite;
    double h;
    double slope;     /* central */
    double low, high; /* Σ over outputs of the smaller, and of the larger, one-sided slope */
    double gap;       /* high − low, */
    double mass;      /* and the sum of the magnitudes */
    double jump;      /* Σ |w|·|up − down| */
    double size;      /* Σ |w·y| over the outputs that moved */
    double noise;     /* bound on the rounding error of `slope` */
    bool still;       /* no output moved at all */
} level;

/* ---- Memory and random numbers ---- */

static void *room(check *c, int64_t count, size_t size) {
    if ((uint64_t)count < PTRDIFF_MAX / 2 / size) {
        size_t bytes = sizeof(block) + ((size_t)count * size + 15) / 16 * 16;
        block *b = ag__resize(c->tape, NULL, 0, bytes);
        if (b) {
            memset(b, 0, bytes);
            *b = (block){c->blocks, bytes};
            c->blocks = b;
            return b + 1;
        }
    }
    ag__fail_on(c->tape, "gradcheck", AG_ERR_MEMORY, "no memory for %lld numbers", (long long)count);
    return NULL;
}

static double *numbers(check *c, int64_t count) { return room(c, count, sizeof(double)); }

static void release_room(check *c) {
    for (block *b = c->blocks, *next; b; b = next) {
        next = b->next;
        ag__resize(c->tape, b, b->bytes, 0);
    }
    c->blocks = NULL;
}

/* Number i of a sequence (splitmix64), of magnitude ½ to 1½ and of either sign: none is so small that what it weighs
 * would go unseen. */
static double weight(uint64_t seed, uint64_t i) {
    uint64_t z = seed * 0xD1B54A32D192ED03u + (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    double size = 0.5 + (double)(z >> 11) * 0x1p-53;
    return z & 1 ? size : -size;
}

static void fill_weights(const check *c, uint64_t stream, int64_t count, double *w) {
    if (count == 1) w[0] = 1; /* the report then shows the derivative itself */
    else
        for (int64_t i = 0; i < count; i++) w[i] = weight(c->options.seed + stream, (uint64_t)i);
}

/* ---- Recording f ---- */

static void rewind_to(check *c, const ag__position *place) {
    ag__truncate(c->tape, place);
    c->tape->mark_count = c->marks;
}

static bool complain(ag_tensor *y, ag_status status, const char *what) {
    ag__fail("gradcheck", 1, &y, status, "%s", what);
    return false;
}

/* What f returns is what it may return, and of the same shape as before. */
static bool output_sound(check *c, ag_tensor *y) {
    const char *wrong = !y                     ? "the function returned NULL"
                        : y->flags & AG__NIL   ? "the function returned nil"
                        : y->flags & AG__STALE ? "the function's output was released by a rewind"
                        : y->tape != c->tape   ? "the function's output is on another tape"
                                               : NULL;
    if (c->tape->status != AG_OK) return false;
    if (wrong) {
        ag__fail_on(c->tape, "gradcheck",
                    !y                   ? AG_ERR_NULL
                    : y->flags & AG__NIL ? AG_ERR_NIL
                                         : AG_ERR_TAPE,
                    "%s", wrong);
        return false;
    }
    if (y->dtype != AG_F64) return complain(y, AG_ERR_DTYPE, "the function's output must be f64");
    if (c->shaped && !ag__layout_is(y->layout, &c->shape))
        return complain(y, AG_ERR_SHAPE, "the function's output has changed its shape from one call to the next");
    c->shape = ag__layout_shape(y->layout);
    c->shaped = true;
    return true;
}

/* Its cotangents are a constant of f's shape that shows our memory. */
static bool record_gradient(check *c, ag_tensor *y) {
    int64_t size = y->layout->size;
    if (!c->cotangent) {
        if (!(c->cotangent = numbers(c, size))) return false;
        fill_weights(c, 0, size, c->cotangent);
    }
    ag_tensor *w = ag_wrap(c->tape, AG_F64, c->shape, c->cotangent);
    return ag_vjp(1, &y, &w, c->n, c->given, c->out, 0) == AG_OK;
}

/* Record the checked function once more on an empty tape; c->out is what it gives. */
static bool record(check *c) {
    ag_tape *t = c->tape;
    rewind_to(c, &c->place);
    t->draws = c->draws;
    t->sandbox = t->recording = true;
    ag__within former = ag__enter(t, AG__FUNCTION, "gradcheck", &c->place);
    ag_tensor *y = c->f(c->context, c->n, c->given);
    ag__return(t, former);
    if (!output_sound(c, y)) return false;
    c->y = c->out[0] = ag__current(y);
    return c->y && (c->order == 1 || record_gradient(c, c->y));
}

static int outputs(const check *c) { return c->order == 1 ? 1 : c->n; }

static bool copy_out(int n, ag_tensor *const x[], double *to) {
    if (ag_eval_all(n, x) != AG_OK) return false;
    for (int i = 0; i < n; i++) {
        int64_t size = x[i]->layout->size;
        const void *data = ag_data(x[i]);
        if (!data) return false;
        if (size) memcpy(to, data, (size_t)size * sizeof *to);
        to += size;
    }
    return true;
}

static bool evaluate(check *c, double *y) {
    bool good = record(c) && copy_out(outputs(c), c->out, y);
    rewind_to(c, &c->place);
    return good;
}

/* ---- Moving an input ---- */

static bool put(check *c, input *in, const double *values) {
    c->tape->sandbox = false;
    return ag_set(in->tensor, values) == AG_OK;
}

/* The function at x + t·v; *moved is the step that was really made. */
static bool evaluate_at(check *c, const probe *p, double t, double *y, double *moved) {
    input *in = &c->input[p->input];
    if (p->element >= 0) {
        volatile double to = in->at[p->element] + t; /* in memory: no excess precision */
        in->tried[p->element] = to;
        *moved = to - in->at[p->element];
    } else {
        for (int64_t i = 0; i < in->size; i++) in->tried[i] = in->at[i] + t * in->direction[i];
        *moved = t;
    }
    bool good = put(c, in, in->tried) && evaluate(c, y);
    if (p->element >= 0) in->tried[p->element] = in->at[p->element];
    return good;
}

/* Sums over the outputs, from values at x + hp·v and x − hm·v. The one-sided slopes lead from `up_from`, which is
 * up_step away, and `down_from`: x itself, or the values one level before. */
typedef struct sides {
    double hp, hm, up_step, down_step;
    const double *up_from, *down_from;
} sides;

static void sum_up(const check *c, const sides *s, level *l) {
    double all = 0;
    l->still = true;
    for (int64_t j = 0; j < c->m; j++) {
        double w = c->w[j], up = c->up[j], down = c->down[j];
        double right = w * ((s->up_from[j] - up) / s->up_step), left = w * ((down - s->down_from[j]) / s->down_step);
        l->slope += w * ((up - down) / (s->hp + s->hm));
        l->low += fmin(left, right);
        l->high += fmax(left, right);
        l->mass += fmax(fabs(left), fabs(right));
        l->jump += fabs(w) * fabs(up - down);
        all += up + down;
        if (up == down && up == c->base[j]) continue;
        l->still = false;
        l->size += fabs(w) * fmax(fabs(up), fabs(down));
        c->moved[j] = true;
    }
    l->gap = l->high - l->low;
    l->finite =
        isfinite(all) && isfinite(l->slope) && isfinite(l->gap) && s->hp > 0 && s->hm > 0 && isfinite(s->hp + s->hm);
}

/* One level: one-sided slopes from x, or from the level before if there is one. */
static bool take_level(check *c, const probe *p, double h, const level *before, level *l) {
    sides s = {0};
    *l = (level){0};
    if (!evaluate_at(c, p, h, c->up, &s.hp) || !evaluate_at(c, p, -h, c->down, &s.hm)) return false;
    s.hm = -s.hm;
    l->h = (s.hp + s.hm) / 2;
    if (before && before->finite) {
        s.up_from = c->up_before, s.down_from = c->down_before;
        s.up_step = before->h - s.hp, s.down_step = before->h - s.hm;
    } else {
        s.up_from = s.down_from = c->base;
        s.up_step = -s.hp, s.down_step = -s.hm;
    }
    sum_up(c, &s, l);
    if (before) {
        memcpy(c->up_before, c->up, (size_t)c->m * sizeof *c->up);
        memcpy(c->down_before, c->down, (size_t)c->m * sizeof *c->down);
    }
    return true;
}

/* ---- The limit of a ladder ---- */

typedef struct estimate {
    double value, error;
} estimate;

/* Neville's extrapolation in h^power (Ridders, 1982): row k of the tableau from row k−1, and its entry of least error. */
static estimate extrapolate(const level l[], int k, int columns, double power, double row[], const double above[]) {
    estimate best = {l[k].slope, INFINITY};
    row[0] = l[k].slope;
    for (int j = 1; j <= columns; j++) {
        row[j] = row[j - 1] + (row[j - 1] - above[j - 1]) / (pow(l[k - j].h / l[k].h, power) - 1);
        double error = fmax(fabs(row[j] - row[j - 1]), fabs(row[j] - above[j - 1])) + 2 * l[k].noise;
        if (error < best.error) best = (estimate){row[j], error};
    }
    return best;
}

/* A derivative is the limit for small steps: what a small step contradicts, and is sure enough of, is no longer
 * believed, however well the large steps agreed. */
static bool supersedes(const estimate *finer, const estimate *coarser) {
    if (finer->error < coarser->error) return true;
    return finer->error <= 0.25 * fmax(fabs(finer->value), fabs(coarser->value)) &&
           fabs(finer->value - coarser->value) > 4 * (finer->error + coarser->error);
}

static estimate limit_in(int n, const level l[], double power) {
    double rows[2][COLUMNS];
    estimate best = {n ? l[n - 1].slope : NAN, INFINITY};
    int columns = 0;
    for (int k = 0; k < n; k++) {
        if (!l[k].finite) {
            columns = 0;
            continue;
        }
        estimate here = extrapolate(l, k, columns, power, rows[k % 2], rows[(k + 1) % 2]);
        if (supersedes(&here, &best)) best = here;
        if (columns < COLUMNS - 1) columns++;
    }
    return best;
}

/* Of a smooth function the central slope is a series in h². Where the second derivative jumps, as that of relu(x)² does at
 * 0, it is one in h, and where that is infinite, as of x^1.5 at 0, often one in √h: so are the one-sided slopes, which have
 * the same limit. One of these is believed where it is much surer. */
static estimate limit_of(int n, const level l[]) {
    static const double powers[] = {1, 0.5};
    estimate best = limit_in(n, l, 2);
    for (int i = 0; i < 2; i++) {
        estimate bent = limit_in(n, l, powers[i]);
        if (bent.error < 0.25 * best.error) best = bent;
    }
    return best;
}

/* Σ |w·y| at the point, of the outputs that have moved at any step: what may hide behind their rounding at another. */
static double size_at_point(const check *c) {
    double size = 0;
    for (int64_t j = 0; j < c->m; j++)
        if (c->moved[j]) size += fabs(c->w[j] * c->base[j]);
    return size;
}

/* Rounding as it must be expected, and as the smallest steps, where nothing else is left, show it. */
static void estimate_noise(const probe *p, double size, int n, level l[]) {
    double shown = 0;
    for (int k = n - 1; k > 0 && k >= n - 3; k--)
        if (l[k].finite && l[k - 1].finite) shown = fmax(shown, fabs(l[k].slope - l[k - 1].slope) * l[k].h);
    for (int k = 0; k < n; k++) {
        double expected = 2 * DBL_EPSILON * (size + l[k].size) + p->rounding + DBL_TRUE_MIN;
        l[k].noise = fmax(expected, shown) / l[k].h +
                     8 * DBL_EPSILON * l[k].mass; /* the gap is part of the mass: x ± h are rounded */
    }
}

/* ---- Kinks ---- */

/* Whether the gap between the one-sided slopes stands out from rounding at level k, and has stayed while the step
 * shrank to that from the one before. Of a smooth function it shrinks as the step does, by 4. */
static bool gap_stays(const level l[], int k) {
    if (k < 1 || !l[k].finite || !l[k - 1].finite || 4 * l[k].noise > 0.05 * l[k].gap) return false;
    return l[k].gap >= 0.45 * l[k - 1].gap && l[k].gap <= 1.6 * l[k - 1].gap;
}

/* The smallest step at which it stands out; −1 if at none. */
static int clearest_gap(int n, const level l[]) {
    for (int k = n - 1; k >= 2; k--)
        if (l[k].finite && l[k - 1].finite && l[k - 2].finite && 4 * l[k].noise <= 0.05 * l[k].gap) return k;
    return -1;
}

/* Whether the gap shrinks geometrically, however slowly, so that nothing of it is left at x (Aitken's limit of three): that of
 * x^1.5 at 0 does, as √h. */
static bool gap_vanishes(const level l[], int k) {
    double a = l[k - 2].gap, b = l[k - 1].gap, c = l[k].gap;
    return a > b && b > c && a + c > 2 * b && fabs((a * c - b * b) / (a + c - 2 * b)) < 0.05 * c;
}

/* The slopes on both sides, extrapolated to x, and how sure that is. */
static double sides_at(const level *l, const level *before, double *low, double *high) {
    double factor = before->h / l->h - 1;
    double to_low = (l->low - before->low) / factor, to_high = (l->high - before->high) / factor;
    *low = l->low + to_low;
    *high = l->high + to_high;
    return fabs(to_low) + fabs(to_high) + 4 * l->noise;
}

/* The one-sided slopes stay apart while the step shrinks. If the limit is known far better than that, two smaller steps
 * without a gap say that the kink is only near, or the gap goes to nothing, and the limit decides. Returns what to allow
 * beyond the slopes; −1: no kink. */
static double kink_between(int n, const level l[], double error, double *low, double *high) {
    int m = clearest_gap(n, l), closed = 0;
    if (m < 0 || !gap_stays(l, m) || l[m].gap < 0.25 * l[m - 2].gap) return -1;
    for (int k = m + 1; k < n; k++) closed += l[k].finite && l[k].gap + 4 * l[k].noise < 0.1 * l[m].gap;
    if (error <= 1e-3 * l[m].gap && (closed > 1 || gap_vanishes(l, m))) return -1;
    return sides_at(&l[m], &l[m - 1], low, high);
}

/* The function itself jumps (at second order: the gradient does, at a kink of f): the same difference at every small
 * step. */
static double jump_between(const check *c, int n, const level l[], double *low, double *high) {
    double best = INFINITY;
    if (n < 6) return -1;
    for (int k = n - 4; k < n; k++)
        if (!l[k].finite || fabs(l[k].jump / l[n - 1].jump - 1) > 0.01) return -1;
    if (!(l[n - 1].jump > 1e-9 * c->magnitude)) return -1;
    for (int k = 2; k < n; k++) {
        double a, b;
        if (!l[k].finite || !l[k - 1].finite) continue;
        /* what estimate_noise takes for rounding is the jump itself here */
        double rounding = 16 * DBL_EPSILON * (c->magnitude + l[k].jump) / l[k].h;
        double unsure = sides_at(&l[k], &l[k - 1], &a, &b) - 4 * l[k].noise + rounding;
        if (unsure >= best) continue;
        best = unsure;
        *low = a, *high = b;
    }
    return isfinite(best) ? best : -1;
}

/* ---- The verdict on one element or direction ---- */

/* By default only rounding is excused, the engine's own included, and no more than is nothing beside the output; where
 * output and gradient are 0, beside the slopes around. */
static double tolerance_floor(const check *c, const probe *p, double error, double slopes_around) {
    if (c->options.absolute > 0) return c->options.absolute;
    double size = fmax(c->magnitude / p->widest, c->input[p->input].steepest);
    double scaled = 1e-8 * (size > 0 ? size : slopes_around);
    return fmin(scaled, fmax(10 * error, 100 * p->unsure));
}

static double ratio_of(double difference, double tolerance) {
    return difference == 0 ? 0 : tolerance > 0 ? difference / tolerance : INFINITY;
}

/* Whether a cheap estimate will do: it agrees, there is no sign of a kink, and no part of the gradient can hide in
 * outputs that are too large to show it. */
static bool settles(const check *c, const probe *p, const level *l, double expected, finding *r) {
    double larger = fmax(fabs(expected), fabs(p->got));
    double noise = (2 * DBL_EPSILON * c->magnitude + p->rounding) / l->h + 8 * DBL_EPSILON * l->mass;
    if (!l->finite || noise > 1e-3 * larger) return false;
    r->expected = expected;
    r->ratio = ratio_of(fabs(expected - p->got), c->relative * larger + c->options.absolute);
    return r->ratio <= 0.1; /* what comes closer deserves better numbers */
}

static bool gap_shows(const level *l) { return !(l->gap <= 0.01 * l->mass); }

/* Whether the engine's value lies between the slopes at a kink, or where the function jumps. */
static bool between_sides(const check *c, const probe *p, int n, const level l[], estimate *e, finding *r) {
    double allowed = kink_between(n, l, e->error, &r->low, &r->high);
    if (allowed < 0 && (allowed = jump_between(c, n, l, &r->low, &r->high)) >= 0)
        *e = (estimate){r->low + (r->high - r->low) / 2, allowed}; /* the limit is infinite */
    r->kink = allowed >= 0;
    allowed += c->relative * fmax(fabs(e->value), fabs(p->got)) + c->options.absolute;
    return r->kink && p->got >= r->low - allowed && p->got <= r->high + allowed;
}

static void judge(const check *c, const probe *p, int n, level l[], finding *r) {
    double size = size_at_point(c), hidden = 2 * DBL_EPSILON * (c->magnitude - size) / l[0].h;
    estimate_noise(p, size, n, l);
    estimate e = limit_of(n, l);
    bool between = between_sides(c, p, n, l, &e, r);
    double larger = fmax(fabs(e.value), fabs(p->got)), difference = fabs(e.value - p->got);
    double widened = fmin(4 * e.error, 1e-3 * larger); /* never enough for a sign or a factor */
    r->expected = e.value;
    r->ratio =
        ratio_of(difference, c->relative * larger + fmax(widened, tolerance_floor(c, p, e.error + hidden, l[0].mass)));
    bool unresolved = e.error > 1e-3 * larger && difference <= 10 * e.error;
    r->verdict = r->ratio <= 1 ? AGREES : unresolved ? UNRESOLVED : DIFFERS;
    if (between) {
        r->verdict = c->options.kinks_fail ? DIFFERS : KINK;
        r->ratio = 0;
    }
    r->kink = r->kink && r->verdict != AGREES;
    for (int k = 1; k < n; k++) r->rough = r->rough || gap_stays(l, k);
}

/* Small steps at which nothing moves say that the derivative is 0, unless the function is rounded more coarsely inside
 * than its output shows (a loss that is almost 0). It is that if the steps at which it does move agree with the engine,
 * or if there is less to be seen than the rounding of x itself. */
static void judge_without_still(const check *c, const probe *p, int n, level l[], finding *r) {
    finding other = *r;
    double unseen = 4 * DBL_EPSILON * p->near / p->widest;
    int moving = n;
    while (moving > 0 && l[moving - 1].still) moving--;
    if (moving == n) return;
    if (moving > 2) judge(c, p, moving, l, &other);
    if (other.verdict == AGREES || other.verdict == UNRESOLVED) *r = other;
    if (fabs(p->got) > unseen || fabs(other.expected) > unseen) return;
    r->verdict = AGREES;
    r->ratio = 0;
}

/* The ladder leads from a step as wide as the function might need, to where only kinks very near can hide. */
static double bottom_of(const check *c, const probe *p) {
    const input *in = &c->input[p->input];
    double size = p->element >= 0 ? fabs(in->at[p->element]) : in->norm;
    double bottom = fmin(0x1p-41 * p->widest, 0x1p-20 * p->near);
    if (size > 0) bottom = fmin(bottom, 0x1p-20 * size);
    return fmax(bottom, DBL_MIN * 0x1p10);
}

/* Where the function is not finite, long steps down; from there on even ones. Steps are counted by their exponents, so that
 * whatever the numbers are there is an end to it. */
static bool take_ladder(check *c, const probe *p, level l[], int *n) {
    int bottom = ilogb(bottom_of(c, p));
    memset(c->moved, 0, (size_t)c->m * sizeof *c->moved);
    *n = 0;
    for (int power = ilogb(p->widest) - 3; *n == 0 && power >= bottom; power -= 8) {
        if (!take_level(c, p, ldexp(1, power), &(level){0}, &l[0])) return false;
        if (l[0].finite) *n = 1;
    }
    int span = *n ? ilogb(l[0].h) - bottom : 0, bits = span / (LEVELS - 1) + 1;
    if (bits < 2) bits = 2;
    for (int count = span / bits + 1; *n > 0 && *n < count; ++*n)
        if (!take_level(c, p, ldexp(l[0].h, -bits * *n), &l[*n - 1], &l[*n])) return false;
    return true;
}

static bool climb(check *c, const probe *p, finding *r) {
    level l[LEVELS];
    int n, finite = 0;
    if (!take_ladder(c, p, l, &n)) return false;
    for (int k = 0; k < n; k++) finite += l[k].finite;
    if (finite > 1) {
        judge(c, p, n, l, r);
        if (r->verdict == DIFFERS || r->verdict == UNRESOLVED) judge_without_still(c, p, n, l, r);
        return true;
    }
    r->verdict = NOT_FINITE;
    r->expected = NAN;
    r->ratio = INFINITY;
    return true;
}

/* Nothing moved, and nothing should: settled if that also holds for a step so wide that rounding cannot have hidden it. */
static bool does_not_depend(check *c, const probe *p, const level *l, bool *answer) {
    level wide = {0};
    *answer = l->finite && l->still && p->got == 0;
    if (*answer && !take_level(c, p, 0x1p-7 * p->widest, NULL, &wide)) return false;
    *answer = *answer && wide.finite && wide.still;
    return true;
}

/* Central differences of one step: enough for most. */
static bool first_look(check *c, const probe *p, level *l, finding *r, bool *settled) {
    if (!take_level(c, p, 0x1p-13 * p->near, NULL, l)) return false;
    *settled = !isfinite(p->got) || (!gap_shows(l) && settles(c, p, l, l->slope, r));
    if (isfinite(p->got)) return *settled || does_not_depend(c, p, l, settled);
    r->verdict = NOT_FINITE;
    r->expected = l->slope;
    r->ratio = INFINITY;
    return true;
}

/* Of two larger steps, extrapolated (Richardson): these suffer less from rounding. */
static bool second_look(check *c, const probe *p, finding *r, bool *settled) {
    level wide, half;
    if (!take_level(c, p, 0x1p-8 * p->near, NULL, &wide) || !take_level(c, p, 0x1p-9 * p->near, NULL, &half))
        return false;
    *settled = settles(c, p, &half, half.slope + (half.slope - wide.slope) / 3, r);
    return true;
}

static bool examine(check *c, const probe *p, finding *r) {
    level l;
    bool settled = false;
    *r = (finding){
        .order = c->order, .input = p->input, .element = p->element, .direction = p->direction, .got = p->got};
    if (!first_look(c, p, &l, r, &settled)) return false;
    if (!settled && !gap_shows(&l) && !second_look(c, p, r, &settled)) return false;
    return settled || climb(c, p, r);
}

/* ---- All elements, or some directions, of all inputs ---- */

static bool innocent(check *c);

/* Where several kinks meet, the engine's value may lie outside of all slopes along one line. It is right all the same
 * if each operation by itself is: then the chain rule gives it. */
static bool absolve(check *c, finding *r) {
    if (!r->kink || r->verdict != DIFFERS || c->options.kinks_fail || c->local) return true;
    if (!c->searched) {
        input *in = &c->input[r->input];
        if (!put(c, in, in->at)) return false;
        c->innocent = innocent(c);
        c->searched = true;
    }
    if (!c->innocent) return true;
    r->verdict = KINK;
    r->ratio = 0;
    return true;
}

static bool note(check *c, const finding *r) {
    c->checked++;
    c->kinks += r->verdict == KINK || (r->kink && r->verdict == DIFFERS && r->ratio == 0);
    if (c->checked == 1 || r->order > c->worst.order || r->ratio > c->worst.ratio) c->worst = *r;
    if (r->verdict == AGREES || r->verdict == KINK) return true;
    c->failed = *r;
    return false;
}

/* A power of two, so that x + h and x − h are exact; 1 for nothing at all. */
static double scale_of(double x) { return x < 0x1p-900 ? 1 : ldexp(1, ilogb(fmin(x, DBL_MAX))); }

static probe element_probe(const check *c, int i, int64_t element) {
    const input *in = &c->input[i];
    double size = fmax(fabs(in->at[element]), in->typical);
    return (probe){.input = i,
                   .element = element,
                   .near = scale_of(size),
                   .widest = scale_of(fmax(1, size)),
                   .got = in->gradient[element],
                   .unsure = in->rounding[element]};
}

/* A random unit vector; the steps along it are to move each element as much as a step of its own would. What is not finite
 * cannot be moved, and has no part in it. */
static probe direction_probe(check *c, int i, int64_t number) {
    input *in = &c->input[i];
    double norm = 0, got = 0, spread = sqrt((double)in->size), rounding = 0, unsure = 0;
    for (int64_t k = 0; k < in->size; k++) {
        bool moves = isfinite(in->at[k]);
        in->direction[k] = moves ? weight(c->options.seed + 1000 + (uint64_t)number, (uint64_t)(k + i)) : 0;
        norm += in->direction[k] * in->direction[k];
    }
    for (int64_t k = 0; k < in->size; k++) {
        if (in->direction[k] == 0) continue;
        in->direction[k] /= sqrt(norm);
        got += in->gradient[k] * in->direction[k];
        rounding += DBL_EPSILON * fabs(in->gradient[k] * in->at[k]);
        unsure = hypot(unsure, in->rounding[k] * in->direction[k]);
    }
    return (probe){.input = i,
                   .element = -1,
                   .direction = number,
                   .near = scale_of(in->norm < 0x1p-900 ? spread : in->norm),
                   .widest = scale_of(fmax(spread, in->norm)),
                   .got = got,
                   .rounding = isfinite(rounding) ? rounding : 0,
                   .unsure = unsure};
}

/* Along a direction several elements come to kinks, at once or one after the other, and their slopes then add up to
 * anything: each element is asked by itself. */
static bool excuse(check *c, finding *r) {
    input *in = &c->input[r->input];
    memcpy(in->tried, in->at, (size_t)in->size * sizeof *in->at);
    for (int64_t k = 0; k < in->size; k++) {
        if (!isfinite(in->at[k])) continue;
        probe p = element_probe(c, r->input, k);
        finding one;
        if (!examine(c, &p, &one) || !absolve(c, &one)) return false;
        if (one.verdict == AGREES || one.verdict == KINK) continue;
        *r = one;
        return true;
    }
    r->verdict = KINK;
    r->ratio = 0;
    return true;
}

/* False: an error, or one that fails; c->failed tells. */
static bool check_input(check *c, int i) {
    input *in = &c->input[i];
    bool by_element = c->options.directions == 0 || in->size <= c->few;
    int64_t count = by_element ? in->size : c->options.directions;
    if (in->finite == 0 || c->m == 0) return true;
    memcpy(in->tried, in->at, (size_t)in->size * sizeof *in->at);
    for (int64_t k = 0; k < count; k++) {
        if (by_element && !isfinite(in->at[k])) continue;
        probe p = by_element ? element_probe(c, i, k) : direction_probe(c, i, k);
        finding r;
        if (!examine(c, &p, &r)) return false;
        if (!by_element && r.ratio > 1 && (r.kink || r.rough) && in->size <= MOST_EXCUSED && !excuse(c, &r))
            return false;
        if (!absolve(c, &r) || !note(c, &r)) return false;
    }
    return put(c, in, in->at);
}

/* ---- The point itself: the function's values there, and the engine's gradients ---- */

static bool make_room_for_outputs(check *c) {
    double **all[] = {&c->w, &c->base, &c->up, &c->down, &c->up_before, &c->down_before};
    c->m = 0;
    for (int i = 0; i < outputs(c); i++) c->m += c->out[i]->layout->size;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!(*all[i] = numbers(c, c->m))) return false;
    fill_weights(c, (uint64_t)(c->order - 1), c->m, c->w);
    return (c->moved = room(c, c->m, sizeof *c->moved)) != NULL;
}

/* The cotangents of c->out: constants that show our memory. */
static bool record_cotangents(check *c) {
    const double *w = c->w;
    for (int i = 0; i < outputs(c); i++) {
        c->ybar[i] = ag_wrap(c->tape, AG_F64, ag__layout_shape(c->out[i]->layout), w);
        w += c->out[i]->layout->size;
    }
    return c->tape->status == AG_OK;
}

/* Record Σ over the outputs of their vector-Jacobian products, c->dx, and compute all in one sweep: nothing twice. */
static bool record_products(check *c) {
    int n = outputs(c);
    if (!record_cotangents(c) || ag_vjp(n, c->out, c->ybar, c->n, c->given, c->dx, 0) != AG_OK) return false;
    memcpy(c->all, c->out, (size_t)n * sizeof *c->all);
    memcpy(c->all + n, c->dx, (size_t)c->n * sizeof *c->all);
    return ag_eval_all(n + c->n, c->all) == AG_OK;
}

static bool take_gradients(check *c) {
    for (int i = 0; i < c->n; i++) {
        input *in = &c->input[i];
        if (!copy_out(1, &c->dx[i], in->gradient)) return false;
        in->steepest = 0;
        for (int64_t k = 0; k < in->size; k++) {
            in->rounding[k] = 0;
            if (isfinite(in->gradient[k])) in->steepest = fmax(in->steepest, fabs(in->gradient[k]));
        }
    }
    return true;
}

/* The gradients once more, at a point that differs in the last bits. */
static bool take_rounding(check *c, uint64_t trial) {
    for (int i = 0; i < c->n; i++) {
        input *in = &c->input[i];
        for (int64_t k = 0; k < in->size; k++)
            in->tried[k] = in->at[k] * (1 + 0x1p-50 * weight(c->options.seed + 100 + trial, (uint64_t)(k + i)));
        rewind_to(c, &c->place);
        if (!put(c, in, in->tried)) return false;
    }
    if (!record(c) || !record_products(c)) return false;
    for (int i = 0; i < c->n; i++) {
        input *in = &c->input[i];
        if (!copy_out(1, &c->dx[i], in->direction)) return false;
        for (int64_t k = 0; k < in->size; k++) {
            double change = fabs(in->direction[k] - in->gradient[k]);
            if (isfinite(change)) in->rounding[k] = fmax(in->rounding[k], change);
        }
    }
    return true;
}

static bool put_all(check *c) {
    rewind_to(c, &c->place);
    for (int i = 0; i < c->n; i++)
        if (!put(c, &c->input[i], c->input[i].at)) return false;
    return true;
}

static bool nothing_to_compare(check *c, verdict is, int number, int64_t element, const char *words) {
    c->failed = (finding){.verdict = is,
                          .order = c->order,
                          .input = number,
                          .element = element,
                          .expected = NAN,
                          .got = NAN,
                          .ratio = INFINITY,
                          .words = words};
    return false;
}

/* The whole function is checked at finite inputs only: ∞ + h is ∞, and NaN tells nothing. An operation by itself has the
 * inputs that it had, whatever they were (−∞ where a place is masked), and its finite elements are moved. */
static bool inputs_finite(check *c) {
    for (int i = 0; i < c->n; i++)
        for (int64_t k = 0; k < c->input[i].size && !c->local; k++) {
            double x = c->input[i].at[k];
            if (isnan(x)) return nothing_to_compare(c, NO_POINT, i, k, " is NaN");
            if (isinf(x)) return nothing_to_compare(c, NO_POINT, i, k, x > 0 ? " is infinite" : " is −infinite");
        }
    return true;
}

static bool all_inputs_finite(const check *c) {
    bool all = true;
    for (int i = 0; i < c->n; i++) all = all && c->input[i].finite == c->input[i].size;
    return all;
}

/* An output that is NaN or infinite at the point itself, or whose weighted sum is: there is nothing to compare. What comes
 * out of inputs that are not finite is no operation's fault. */
static bool base_finite(check *c) {
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
    return nothing_to_compare(c, finite || !all_inputs_finite(c) ? NO_POINT : NOT_FINITE, -1, 0, words);
}

static bool take_point(check *c) {
    if (!inputs_finite(c) || !record(c) || !make_room_for_outputs(c) || !record_products(c)) return false;
    if (!copy_out(outputs(c), c->out, c->base) || !take_gradients(c) || !base_finite(c)) return false;
    for (uint64_t trial = 0; trial < 3; trial++)
        if (!take_rounding(c, trial)) return false;
    return put_all(c);
}

/* True: everything agrees. Else the tape is in error, or c->failed is the failure. */
static bool compare(check *c) {
    int orders = c->options.order == 2 ? 2 : 1;
    for (c->order = 1; c->order <= orders; c->order++) {
        c->searched = false;
        c->relative = c->options.relative > 0 ? c->options.relative : c->order == 1 ? 1e-6 : 1e-5;
        bool good = take_point(c);
        for (int i = 0; good && i < c->n; i++) good = check_input(c, i);
        if (!good) return false;
    }
    c->order = orders;
    return true;
}

/* ---- Beginning and end of a check ---- */

static void measure(input *in) {
    for (int64_t k = 0; k < in->size; k++) in->finite += isfinite(in->at[k]) ? 1 : 0;
    for (int64_t k = 0; k < in->size; k++) {
        if (!isfinite(in->at[k])) continue;
        in->typical = fmin(in->typical + fabs(in->at[k]) / (double)in->finite, DBL_MAX);
        in->norm = fmin(hypot(in->norm, in->at[k]), DBL_MAX);
    }
}

/* A variable is itself moved; what it was is held, so that putting it back cannot fail. Else a temporary one stands in.
 * Looking at x carries out the assignments that are pending: they belong to the program, not to the check. */
static bool open_input(check *c, int i) {
    input *in = &c->input[i];
    ag_tensor *x = c->x[i];
    in->size = x->layout->size;
    double **all[] = {&in->at, &in->tried, &in->gradient, &in->direction, &in->rounding};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        if (!(*all[k] = numbers(c, in->size))) return false;
    const void *data = ag_data(x);
    if (!data) return false;
    if (in->size) memcpy(in->at, data, (size_t)in->size * sizeof *in->at);
    measure(in);
    in->own = (x->flags & AG__VARIABLE) != 0;
    in->tensor = in->own ? x : ag_variable(c->tape, AG_F64, ag__layout_shape(x->layout), in->at);
    c->given[i] = in->tensor;
    if (in->tensor->flags & AG__NIL) return false;
    if (in->own) {
        in->buffer = x->buffer;
        in->buffer->refs++;
        in->version = ag__variable_of(x)->version;
    } else {
        in->tensor->label = x->label;
        in->tensor->file = x->file;
        in->tensor->line = x->line;
    }
    return true;
}

static bool open_check(check *c) {
    ag_tape *t = c->tape;
    c->start = c->place = ag__position_now(t);
    c->marks = t->mark_count;
    c->draws = t->draws;
    c->recording = t->recording;
    c->sandbox = t->sandbox;
    c->input = room(c, c->n, sizeof *c->input);
    c->given = room(c, c->n, sizeof *c->given);
    c->out = room(c, c->n, sizeof *c->out);
    c->ybar = room(c, c->n, sizeof *c->ybar);
    c->dx = room(c, c->n, sizeof *c->dx);
    c->all = room(c, 2 * c->n, sizeof *c->all);
    if (!c->input || !c->given || !c->out || !c->ybar || !c->dx || !c->all) return false;
    for (int i = 0; i < c->n; i++)
        if (!open_input(c, i)) return false;
    c->place = ag__position_now(t);
    return t->status == AG_OK;
}

/* Every variable has its own value again, the same bits in the same place. */
static void put_back(check *c) {
    for (int i = 0; c->input && i < c->n; i++) {
        input *in = &c->input[i];
        if (!in->buffer) continue;
        ag__buffer_drop(c->tape, in->tensor->buffer);
        in->tensor->buffer = in->buffer;
        ag__variable_of(in->tensor)->version = in->version;
        in->buffer = NULL;
    }
}

/* With `keep`, what was recorded last stays on the tape. */
static void close_check(check *c, uint32_t marks, bool keep) {
    if (!keep) rewind_to(c, &c->start);
    put_back(c);
    c->tape->mark_count = marks;
    c->tape->draws = c->draws;
    c->tape->recording = c->recording;
    c->tape->sandbox = c->sandbox;
    release_room(c);
}

/* ---- The guilty operation ---- */

enum { FROM = 1, NEEDED = 2, CHECK_BY_ELEMENT = 64, CHECK_DIRECTIONS = 3 };

typedef struct search {
    check *c;
    uint32_t low, end; /* nodes of the last recording are among low … end−1 */
    unsigned char *path;
    ag_tensor *guilty, *suspect; /* a suspect is one whose gradient is nothing by definition */
    finding found, suspicion;
    bool complete; /* it has come to its end */
    bool twice;    /* the VJP is right, its own gradient is not */
    const ag_tensor *outside, *detached;
} search;

static unsigned char *path_of(const search *s, const ag_tensor *t) { return &s->path[t->id - s->low]; }

/* Nodes that depend on an input, and that an output depends on. */
static void find_paths(const search *s) {
    const check *c = s->c;
    for (int i = 0; i < c->n; i++) *path_of(s, c->given[i]) |= FROM;
    for (uint32_t id = s->low; id < s->end; id++) {
        const ag_tensor *t = ag__node(c->tape, id);
        for (int i = 0, n = ag__differentiable_inputs(t); i < n; i++)
            if (t->input[i]->id >= s->low) *path_of(s, t) |= *path_of(s, t->input[i]) & FROM;
    }
    for (int i = 0; i < outputs(c); i++)
        if (c->out[i]->id >= s->low) *path_of(s, c->out[i]) |= NEEDED;
    if (c->y->id >= s->low) *path_of(s, c->y) |= NEEDED; /* at second order a VJP may do without its output */
    for (uint32_t id = s->end; id-- > s->low;) {
        const ag_tensor *t = ag__node(c->tape, id);
        if (!(*path_of(s, t) & NEEDED)) continue;
        for (int i = 0, n = ag__differentiable_inputs(t); i < n; i++)
            if (t->input[i]->id >= s->low) *path_of(s, t->input[i]) |= NEEDED;
    }
}

/* One recorded operation by itself: its f64 inputs are x, the others as they were. */
typedef struct replay {
    const ag_tensor *node;
    ag_tensor **in;
} replay;

static ag_tensor *replayed(void *context, int n, ag_tensor *const x[]) {
    const replay *r = context;
    const ag_tensor *t = r->node;
    (void)n;
    for (int i = 0, k = 0; i < t->arity; i++) r->in[i] = t->input[i]->dtype == AG_F64 ? x[k++] : t->input[i];
    return ag_apply(t->op, t->arity, r->in, t->attribute_bytes ? ag__attributes(t) : NULL, t->attribute_bytes);
}

static bool worth_checking(const ag_tensor *t) {
    return t->arity > 0 && !(t->flags & AG__READ) && t->dtype == AG_F64 && t->op->vjp && !(t->op->flags & AG_OP_TIED);
}

/* Whether a node's own VJP (with order 2: that and its gradient) is wrong, at the values it had. */
static bool node_wrong(search *s, ag_tensor *t, int order, finding *found) {
    check *whole = s->c;
    check c = {.tape = whole->tape, .f = replayed, .options = whole->options, .local = true, .few = CHECK_BY_ELEMENT};
    ag_tensor **x = room(whole, t->arity, sizeof *x);
    replay r = {t, room(whole, t->arity, sizeof *r.in)};
    if (!x || !r.in) return false;
    for (int i = 0; i < t->arity; i++)
        if (t->input[i]->dtype == AG_F64) x[c.n++] = t->input[i];
    if (c.n == 0) return false;
    c.x = x;
    c.context = &r;
    c.options.order = order;
    c.options.directions = CHECK_DIRECTIONS;
    c.options.absolute = 0;
    c.options.kinks_fail = false;
    uint32_t marks = c.tape->mark_count;
    bool differs = open_check(&c) && !compare(&c) && c.tape->status == AG_OK &&
                   (c.failed.verdict == DIFFERS || (c.failed.verdict == NOT_FINITE && !isfinite(c.failed.got)));
    close_check(&c, marks, false);
    ag_clear_error(c.tape); /* what this part cannot do is no error of the check */
    *found = c.failed;
    for (int i = 0, k = 0; differs && i < t->arity; i++) /* from its number among the f64 inputs to that among all */
        if (t->input[i]->dtype == AG_F64 && k++ == c.failed.input) found->input = i;
    return differs;
}

/* Whether what a suspect holds back makes a difference: the cotangent that reaches it is not nothing. (logsumexp holds
 * its largest element constant, and rightly so.) */
static bool matters(const check *c, ag_tensor *t) {
    ag__position place = ag__position_now(c->tape);
    ag_tensor *g;
    double reached = 0, size = 0;
    if (t->layout->size && ag_vjp(outputs(c), c->out, c->ybar, 1, &t, &g, 0) == AG_OK) {
        const double *a = ag_data(g), *y = ag_data(t);
        for (int64_t i = 0; a && y && i < t->layout->size; i++) {
            reached = fmax(reached, fabs(a[i]));
            size = fmax(size, fabs(y[i]));
        }
    }
    ag_clear_error(c->tape);
    ag__truncate(c->tape, &place);
    return !(reached * size <= 1e-10 * c->magnitude);
}

static bool is_suspect(const ag_tensor *t) { return t->op->vjp == ag_zero_vjp; }

/* Nodes that are not checked but told of. */
static bool told_of(search *s, ag_tensor *t) {
    if (t->id < s->c->place.count) s->outside = s->outside ? s->outside : t;
    else if (t->flags & AG__DETACHED) s->detached = s->detached ? s->detached : t;
    else return false;
    return true;
}

/* Look at each operation on a path, oldest first; true if one is guilty. */
static bool look(search *s, int order) {
    for (uint32_t id = s->low; id < s->end; id++) {
        ag_tensor *t = ag__node(s->c->tape, id);
        finding found;
        if (s->path[id - s->low] != (FROM | NEEDED) || !worth_checking(t) || told_of(s, t)) continue;
        if (order == 2 && t->flags & AG__GRADIENT) continue;
        if (is_suspect(t) && s->suspect) continue;
        if (!node_wrong(s, t, order, &found) || (is_suspect(t) && !matters(s->c, t))) continue;
        *(is_suspect(t) ? &s->suspect : &s->guilty) = t;
        *(is_suspect(t) ? &s->suspicion : &s->found) = found;
        if (!is_suspect(t)) return true;
    }
    return false;
}

/* Record f once more, and look at what it consists of. */
static void search_recording(search *s) {
    check *c = s->c;
    if (!record(c) || !record_cotangents(c) || ag_eval_all(outputs(c), c->out) != AG_OK) return;
    s->low = s->end = c->tape->count;
    for (int i = 0; i < c->n; i++) s->low = c->given[i]->id < s->low ? c->given[i]->id : s->low;
    s->path = room(c, (int64_t)(s->end - s->low) + 1, 1);
    if (!s->path) return;
    find_paths(s);
    s->twice = !look(s, 1) && c->order == 2 && look(s, 2);
    s->complete = true;
    if (s->guilty || !s->suspect || c->failed.verdict == UNRESOLVED) return;
    s->guilty = s->suspect;
    s->found = s->suspicion;
}

static bool innocent(check *c) {
    search s = {.c = c};
    search_recording(&s);
    ag_clear_error(c->tape);
    rewind_to(c, &c->place);
    return s.complete && !s.guilty && !s.outside && !s.detached;
}

/* The recording stays on the tape if there is somebody to be shown in it. */
static void accuse(search *s) {
    check *c = s->c;
    put_back(c);
    for (int i = 0; i < c->n; i++) {
        input *in = &c->input[i];
        if (!in->own && !put(c, in, in->at)) return;
    }
    search_recording(s);
}

/* ---- In words ---- */

typedef struct text {
    char *to;
    size_t room, used;
} text;

static void put_text(text *t, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 2, 3)))
#endif
    ;

static void put_text(text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = ag__format_list(t->to + t->used, t->room - t->used, format, args);
    va_end(args);
    if (n > 0) t->used = t->used + (size_t)n < t->room ? t->used + (size_t)n : t->room - 1;
}

static void put_index(text *t, const ag__layout *l, int64_t element) {
    int64_t index[AG_MAX_RANK];
    if (l->size <= 1 && l->rank == 0) return;
    for (int i = l->rank; i-- > 0; element /= l->extent[i]) index[i] = element % l->extent[i];
    put_text(t, " at [");
    for (int i = 0; i < l->rank; i++) put_text(t, i ? ",%lld" : "%lld", (long long)index[i]);
    put_text(t, "]");
}

static void put_name(text *t, const ag_tensor *x) {
    if (x->label) put_text(t, " \"%.60s\"", x->label);
}

static void put_place(text *t, const ag_tensor *x) {
    if (!x->file) return;
    size_t length = strlen(x->file);
    put_text(t, " [%s%s:%d]", length > 100 ? "…" : "", length > 100 ? x->file + length - 100 : x->file, x->line);
}

static void put_spot(text *t, const finding *r, const ag_tensor *x) {
    put_text(t, "input %d", r->input);
    put_name(t, x);
    if (r->element >= 0) put_index(t, x->layout, r->element);
    else put_text(t, " along random direction %lld", (long long)r->direction);
}

static void put_numbers(text *t, const finding *r) {
    double got = isnan(r->got) ? fabs(r->got) : r->got; /* no "-nan" */
    put_text(t, ": expected %.9g, got %.9g", isnan(r->expected) ? NAN : r->expected, got);
    if (r->kink) put_text(t, ", at a kink with slopes %.9g to %.9g", r->low, r->high);
    if (r->verdict == NOT_FINITE) {
        if (isfinite(r->got)) put_text(t, ": the function is NaN or infinite beside this point");
        else put_text(t, ": NaN or infinity is no gradient");
    } else if (r->verdict == UNRESOLVED) put_text(t, ": cannot be resolved numerically");
    else if (!(r->kink && r->ratio == 0)) put_text(t, ", %.3g times the tolerance", r->ratio);
}

static void put_finding(text *t, const finding *r, ag_tensor *const x[]) {
    if (r->input >= 0) put_spot(t, r, x[r->input]);
    if (r->words) put_text(t, "%s", r->words);
    else put_numbers(t, r);
}

static const char *order_name(int order) { return order == 2 ? "the gradient of the gradient" : "the gradient"; }

static void put_guilty(text *t, const search *s) {
    const ag_tensor *g = s->guilty;
    put_text(t, "; the guilty operation is %s", g->op->name);
    put_name(t, g);
    put_place(t, g);
    put_text(t, "%s", g->flags & AG__GRADIENT ? " (of the backward pass)" : "");
    put_text(t, "%s, ", s->twice ? ", whose VJP is right but not the gradient of it" : "");
    put_finding(t, &s->found, g->input);
}

static void put_innocence(text *t, const search *s) {
    if (s->detached) {
        put_text(t, "; every operation's own gradient is right, but %s", s->detached->op->name);
        put_name(t, s->detached);
        put_place(t, s->detached);
        put_text(t, " was recorded with recording off: constant to gradients");
    } else if (s->outside) {
        put_text(t, "; every operation's own gradient is right, but the function uses %s", s->outside->op->name);
        put_name(t, s->outside);
        put_place(t, s->outside);
        put_text(t, ", which was recorded before it was called, and does not follow its input");
    } else {
        put_text(t, "; every operation's own gradient is right: the function may depend on something that does not "
                    "carry gradients, or not compute the same at each call");
    }
}

static void describe_failure(const check *c, const search *s, char *message) {
    text t = {message, MESSAGE, 0};
    bool checked = c->failed.verdict != NO_POINT;
    put_text(&t, "%s of the function %s: ", order_name(c->failed.order), checked ? "fails" : "cannot be checked");
    put_finding(&t, &c->failed, c->x);
    if (!checked) put_text(&t, ", which leaves no finite differences to compare with");
    else if (s->guilty) put_guilty(&t, s);
    else if (c->failed.words) put_text(&t, "; it comes from what the function uses beside its inputs");
    else put_innocence(&t, s);
}

static void describe_success(const check *c, char *message) {
    text t = {message, MESSAGE, 0};
    const finding *r = &c->worst;
    put_text(&t, "%s of the function agrees with finite differences: %lld %s compared", order_name(c->order),
             (long long)c->checked, c->options.directions ? "directions" : "elements");
    if (c->kinks) put_text(&t, ", %lld of them at kinks", (long long)c->kinks);
    if (c->checked == 0) return;
    put_text(&t, "; the worst is ");
    put_spot(&t, r, c->x[r->input]);
    put_numbers(&t, r);
}

/* ---- Public ---- */

static void fill_report(const check *c, const search *s, bool passed) {
    ag_gradcheck_report *to = c->report;
    const finding *r = passed ? &c->worst : &c->failed;
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

static void run_check(check *c) {
    search s = {.c = c};
    uint32_t marks = c->tape->mark_count;
    bool passed = open_check(c) && compare(c), failed = !passed && c->tape->status == AG_OK;
    if (failed && c->failed.verdict != NO_POINT) accuse(&s);
    if (failed) ag_clear_error(c->tape); /* the search may have ended early; the failure stands */
    if (passed || failed) fill_report(c, &s, passed);
    close_check(c, marks, s.guilty != NULL);
}

static bool options_valid(ag_tape *tape, const ag_gradcheck_options *o) {
    const char *why =
        o->order < 0 || o->order > 2                    ? "order must be 1 or 2"
        : o->directions < 0                             ? "directions must not be negative"
        : !(o->relative >= 0 && o->relative < INFINITY) ? "the relative tolerance must be finite and not negative"
        : !(o->absolute >= 0 && o->absolute < INFINITY) ? "the absolute tolerance must be finite and not negative"
                                                        : NULL;
    if (why) ag__fail_on(tape, "gradcheck", AG_ERR_RANGE, "%s", why);
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
        return options_valid(tape, options);
    }
    return false;
}

ag_status ag_gradcheck(ag_function *f, void *context, int n, ag_tensor *const x[], const ag_gradcheck_options *options,
                       ag_gradcheck_report *report) {
    int line;
    const char *file = ag__here_file(&line);
    ag_gradcheck_report own;
    check c = {.f = f, .context = context, .n = n, .x = x, .report = report ? report : &own};
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
