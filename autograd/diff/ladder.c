/* ladder -- the slope of the checked function along a line, from smaller and smaller steps
 *
 * Each level of the ladder is a step to both sides. The central slopes are extrapolated to a limit with an error
 * estimate; the one-sided ones show kinks, and jumps of the function itself. Invariant: where a level is not finite,
 * nothing is concluded from it. */
#include "autograd/diff/gradcheck.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { COLUMNS = 6 };

/* Sums over the outputs, from values at x + hp·v and x − hm·v. The one-sided slopes lead from `up_from`, which is
 * up_step away, and `down_from`: x itself, or the values one level before. */
typedef struct sides {
    double hp, hm, up_step, down_step;
    const double *up_from, *down_from;
} sides;

static void sum_up(const ag__check *c, const sides *s, ag__level *l) {
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
bool ag__take_level(ag__check *c, const ag__probe *p, double h, const ag__level *before, ag__level *l) {
    sides s = {0};
    *l = (ag__level){0};
    if (!ag__check_at(c, p, h, c->up, &s.hp) || !ag__check_at(c, p, -h, c->down, &s.hm)) return false;
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

/* Neville's extrapolation in h^power (Ridders, 1982): row k of the tableau from row k−1, and its entry of least
 * error. */
static ag__estimate extrapolate(const ag__level l[], int k, int columns, double power, double row[],
                                const double above[]) {
    ag__estimate best = {l[k].slope, INFINITY};
    row[0] = l[k].slope;
    for (int j = 1; j <= columns; j++) {
        row[j] = row[j - 1] + (row[j - 1] - above[j - 1]) / (pow(l[k - j].h / l[k].h, power) - 1);
        double error = fmax(fabs(row[j] - row[j - 1]), fabs(row[j] - above[j - 1])) + 2 * l[k].noise;
        if (error < best.error) best = (ag__estimate){row[j], error};
    }
    return best;
}

/* A derivative is the limit for small steps: a small step that contradicts the large ones, with a small enough
 * error, supersedes them, however well they agreed. */
static bool supersedes(const ag__estimate *finer, const ag__estimate *coarser) {
    if (finer->error < coarser->error) return true;
    return finer->error <= 0.25 * fmax(fabs(finer->value), fabs(coarser->value)) &&
           fabs(finer->value - coarser->value) > 4 * (finer->error + coarser->error);
}

static ag__estimate limit_in(int n, const ag__level l[], double power) {
    double rows[2][COLUMNS];
    ag__estimate best = {n ? l[n - 1].slope : NAN, INFINITY};
    int columns = 0;
    for (int k = 0; k < n; k++) {
        if (!l[k].finite) {
            columns = 0;
            continue;
        }
        ag__estimate here = extrapolate(l, k, columns, power, rows[k % 2], rows[(k + 1) % 2]);
        if (supersedes(&here, &best)) best = here;
        if (columns < COLUMNS - 1) columns++;
    }
    return best;
}

/* The central slope of a smooth function is a series in h². Where the second derivative jumps, as that of relu(x)²
 * does at 0, it is one in h, and where that is infinite, as of x^1.5 at 0, often one in √h: so are the one-sided
 * slopes, which have the same limit. One of these is taken if its error is much smaller. */
ag__estimate ag__limit_of(int n, const ag__level l[]) {
    static const double powers[] = {1, 0.5};
    ag__estimate best = limit_in(n, l, 2);
    for (int i = 0; i < 2; i++) {
        ag__estimate bent = limit_in(n, l, powers[i]);
        if (bent.error < 0.25 * best.error) best = bent;
    }
    return best;
}

/* Σ |w·y| at the point, of the outputs that moved at any step: at another step rounding may hide their change. */
double ag__moving_size(const ag__check *c) {
    double size = 0;
    for (int64_t j = 0; j < c->m; j++)
        if (c->moved[j]) size += fabs(c->w[j] * c->base[j]);
    return size;
}

/* The expected rounding errors, and those that the smallest steps show, where nothing else is left. */
void ag__estimate_noise(const ag__check *c, const ag__probe *p, double size, int n, ag__level l[]) {
    const double epsilon = c->precision->epsilon;
    double shown = 0;
    for (int k = n - 1; k > 0 && k >= n - 3; k--)
        if (l[k].finite && l[k - 1].finite) shown = fmax(shown, fabs(l[k].slope - l[k - 1].slope) * l[k].h);
    for (int k = 0; k < n; k++) {
        double expected = 2 * epsilon * (size + l[k].size) + p->rounding + DBL_TRUE_MIN;
        l[k].noise = fmax(expected, shown) / l[k].h +
                     8 * epsilon * l[k].mass; /* the gap is part of the mass: x ± h are rounded */
    }
}

/* ---- Kinks ---- */

/* Whether the gap between the one-sided slopes stands out from rounding at level k, and has stayed while the step
 * shrank to that from the one before. Of a smooth function it shrinks as the step does, by 4. */
bool ag__gap_stays(const ag__level l[], int k) {
    if (k < 1 || !l[k].finite || !l[k - 1].finite || 4 * l[k].noise > 0.05 * l[k].gap) return false;
    return l[k].gap >= 0.45 * l[k - 1].gap && l[k].gap <= 1.6 * l[k - 1].gap;
}

/* The smallest step at which it stands out; −1 if at none. */
static int clearest_gap(int n, const ag__level l[]) {
    for (int k = n - 1; k >= 2; k--)
        if (l[k].finite && l[k - 1].finite && l[k - 2].finite && 4 * l[k].noise <= 0.05 * l[k].gap) return k;
    return -1;
}

/* Whether the gap shrinks geometrically, however slowly, to 0 at x (Aitken's limit of three): that of x^1.5 at 0
 * does, as √h. */
static bool gap_vanishes(const ag__level l[], int k) {
    double a = l[k - 2].gap, b = l[k - 1].gap, c = l[k].gap;
    return a > b && b > c && a + c > 2 * b && fabs((a * c - b * b) / (a + c - 2 * b)) < 0.05 * c;
}

/* The slopes on both sides, extrapolated to x; returns their error. */
static double sides_at(const ag__level *l, const ag__level *before, double *low, double *high) {
    double factor = before->h / l->h - 1;
    double to_low = (l->low - before->low) / factor, to_high = (l->high - before->high) / factor;
    *low = l->low + to_low;
    *high = l->high + to_high;
    return fabs(to_low) + fabs(to_high) + 4 * l->noise;
}

/* The one-sided slopes stay apart while the step shrinks. If the limit is known far better than that, two smaller
 * steps without a gap say that the kink is only near, or the gap goes to 0, and the limit decides. Returns the
 * tolerance beyond the slopes; −1: no kink. */
double ag__kink_between(int n, const ag__level l[], double error, double *low, double *high) {
    int m = clearest_gap(n, l), closed = 0;
    if (m < 0 || !ag__gap_stays(l, m) || l[m].gap < 0.25 * l[m - 2].gap) return -1;
    for (int k = m + 1; k < n; k++) closed += l[k].finite && l[k].gap + 4 * l[k].noise < 0.1 * l[m].gap;
    if (error <= 1e-3 * l[m].gap && (closed > 1 || gap_vanishes(l, m))) return -1;
    return sides_at(&l[m], &l[m - 1], low, high);
}

/* The function itself jumps (at second order: the gradient does, at a kink of f): the same difference at every small
 * step. */
double ag__jump_between(const ag__check *c, int n, const ag__level l[], double *low, double *high) {
    double best = INFINITY;
    if (n < 6) return -1;
    for (int k = n - 4; k < n; k++)
        if (!l[k].finite || fabs(l[k].jump / l[n - 1].jump - 1) > 0.01) return -1;
    if (!(l[n - 1].jump > 0.1 * c->precision->negligible * c->magnitude)) return -1;
    for (int k = 2; k < n; k++) {
        double a, b;
        if (!l[k].finite || !l[k - 1].finite) continue;
        /* ag__estimate_noise would take the jump itself for rounding */
        double rounding = 16 * c->precision->epsilon * (c->magnitude + l[k].jump) / l[k].h;
        double unsure = sides_at(&l[k], &l[k - 1], &a, &b) - 4 * l[k].noise + rounding;
        if (unsure >= best) continue;
        best = unsure;
        *low = a, *high = b;
    }
    return isfinite(best) ? best : -1;
}

/* ---- All levels ---- */

/* The ladder leads from a step as wide as the function might need down to one that only very near kinks can escape. */
static double bottom_of(const ag__check *c, const ag__probe *p) {
    const ag__check_input *in = &c->input[p->input];
    double size = p->element >= 0 ? fabs(in->at[p->element]) : in->norm;
    double bottom = fmin(c->precision->bottom[0] * p->widest, c->precision->bottom[1] * p->near);
    if (size > 0) bottom = fmin(bottom, c->precision->bottom[1] * size);
    return fmax(bottom, DBL_MIN * 0x1p10);
}

/* Long steps down while the function is not finite, then even ones. Steps are counted by their exponents, so that
 * the ladder ends for any numbers. */
bool ag__take_ladder(ag__check *c, const ag__probe *p, ag__level l[], int *n) {
    int bottom = ilogb(bottom_of(c, p));
    memset(c->moved, 0, (size_t)c->m * sizeof *c->moved);
    *n = 0;
    for (int power = ilogb(p->widest) - 3; *n == 0 && power >= bottom; power -= 8) {
        if (!ag__take_level(c, p, ldexp(1, power), &(ag__level){0}, &l[0])) return false;
        if (l[0].finite) *n = 1;
    }
    int span = *n ? ilogb(l[0].h) - bottom : 0, bits = span / (AG__LEVELS - 1) + 1;
    if (bits < 2) bits = 2;
    for (int count = span / bits + 1; *n > 0 && *n < count; ++*n)
        if (!ag__take_level(c, p, ldexp(l[0].h, -bits * *n), &l[*n - 1], &l[*n])) return false;
    return true;
}
