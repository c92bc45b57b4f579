/* run -- one row: compares our number with its peers', then times the sides in turn
 *
 * Each side of a row (we, and each peer) gets as many repetitions as take settings.round_seconds, and the rounds
 * alternate: ours, theirs, ours, theirs. The ratio is that of the minima, because disturbances only ever add time. */
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A row with slow rounds has fewer of them, but at least this many. With one thread no wait between rounds is
 * needed, so each is cut into several: the shorter a round, the less likely other programs disturb it. */
enum { LEAST_ROUNDS = 3, CUT = 4 };
static const double row_seconds = 2.5, tolerance = 2e-6;

static bool remote(const side *s) {
    return s->peer && (s->peer->where == TORCH || s->peer->where == TORCH_MEMORY || s->peer->where == OURSELVES);
}

static child *child_of(const side *s, int threads, const settings *how) {
    if (s->peer->where == OURSELVES) return child_ourselves(threads, s->peer->name);
    return s->peer->where == TORCH ? child_torch(threads, how->cpu) : child_torch_memory();
}

/* ---- Comparing ---- */

static bool is_absent(const side *s, int threads, const settings *how) {
    if (s->peer->present && !s->peer->present()) return true;
    if (remote(s)) return child_absent(child_of(s, threads, how));
    return false;
}

static double number_of(const outcome *out, const side *s, const settings *how) {
    if (remote(s)) return child_check(child_of(s, out->threads, how), out->row->name);
    return s->peer->check ? s->peer->check(out->row) : NAN;
}

static bool has_number(const side *s) {
    return !s->absent && s->peer->where != FIGURE && s->peer->where != COPY && (remote(s) || s->peer->check);
}

/* Every side with a number to compare must get ours, within the error of another order of summation. */
static void check_sides(outcome *out, const settings *how) {
    double ours = out->row->check ? out->row->check(out->row) : NAN;
    for (int i = 1; i < out->sides; i++) {
        side *s = &out->side[i];
        if (!out->row->check || !has_number(s)) continue;
        double theirs = number_of(out, s, how), scale = fmax(fabs(ours), fabs(theirs));
        s->wrong = !(fabs(ours - theirs) <= tolerance * scale);
        if (s->wrong)
            fprintf(stderr, "bench: %s: we get %.9g and %s gets %.9g\n", out->row->name, ours, s->peer->name, theirs);
    }
}

/* ---- Timing ---- */

static double seconds(const outcome *out, const side *s, int64_t repetitions, const settings *how) {
    const row *r = out->row;
    if (remote(s)) return child_run(child_of(s, out->threads, how), r->name, repetitions);
    double start = seconds_now();
    if (s->peer && s->peer->where == COPY) copy_bytes(out->threads, r->moved, repetitions);
    else (s->peer ? s->peer->work : r->work)(r, repetitions);
    return seconds_now() - start;
}

static int cuts(const outcome *out) { return out->threads == 1 ? CUT : 1; }

static void note(const outcome *out, side *s, double time) {
    double count = out->row->count ? out->row->count(out->row) : 1;
    s->sample[s->rounds++] = time / (double)s->repetitions / count;
}

/* Also warms up. Returns the seconds of a round; the first run of a row too slow to need a warm-up is a round
 * already. */
static double choose_repetitions(const outcome *out, side *s, const settings *how) {
    double wanted = how->round_seconds / cuts(out), t = seconds(out, s, s->repetitions = 1, how);
    if (t > row_seconds / 8) return note(out, s, t), t;
    while (t < wanted / 4 && s->repetitions < INT64_C(1) << 30) t = seconds(out, s, s->repetitions *= 4, how);
    double one = fmin(t, seconds(out, s, s->repetitions, how)) / (double)s->repetitions; /* once more: all is planned */
    s->repetitions = isnan(one) || one > wanted ? 1 : (int64_t)(wanted / one);
    s->failed = isnan(t);
    return one * (double)s->repetitions;
}

static bool is_timed(const side *s) { return !s->absent && !s->failed && !(s->peer && s->peer->where == FIGURE); }

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* After a parallel loop the threads of OpenMP spin for some milliseconds before they sleep, those of OpenBLAS for 2²⁶
 * cycles, and would take the processor from the next side. */
static void wait_for_idle_threads(const outcome *out) {
    const struct timespec pause = {.tv_nsec = 40000000};
    if (out->threads > 1) nanosleep(&pause, NULL);
}

static void time_sides(outcome *out, const settings *how) {
    double round_takes = 0;
    for (int i = 0; i < out->sides; i++)
        if (is_timed(&out->side[i])) round_takes += choose_repetitions(out, &out->side[i], how);
    int most = how->rounds * cuts(out),
        rounds = round_takes > row_seconds / most ? (int)(row_seconds / round_takes) : most;
    int least = LEAST_ROUNDS - out->side[0].rounds;
    if (rounds < least) rounds = least < most ? least : most;
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < out->sides; i++) {
            side *s = &out->side[i];
            if (!is_timed(s) || s->rounds >= MOST_ROUNDS) continue;
            wait_for_idle_threads(out);
            note(out, s, seconds(out, s, s->repetitions, how));
        }
    for (int i = 0; i < out->sides; i++)
        qsort(out->side[i].sample, (size_t)out->side[i].rounds, sizeof(double), ascending);
}

/* ---- Rows that are not times ---- */

static void measure_sides(outcome *out, const settings *how) {
    side *ours = &out->side[0];
    ours->sample[ours->rounds++] = out->row->measure(out->row);
    ours->failed = isnan(ours->sample[0]);
    for (int i = 1; i < out->sides; i++) {
        side *s = &out->side[i];
        if (s->absent || s->peer->where != TORCH_MEMORY) continue;
        s->sample[s->rounds++] = child_peak(child_of(s, out->threads, how), out->row->name);
        s->failed = isnan(s->sample[0]);
    }
}

void run_row(const row *r, int threads, const settings *how, outcome *out) {
    *out = (outcome){.row = r, .threads = threads, .sides = 1};
    for (const peer *p = r->peers; p < r->peers + MOST_PEERS && p->where != NOBODY; p++) {
        side *s = &out->side[out->sides++];
        s->peer = p;
        s->absent = is_absent(s, threads, how);
        if (p->where == FIGURE) s->sample[s->rounds++] = p->figure;
    }
    side *ours = &out->side[0];
    ours->failed = !r->setup(r, threads);
    if (!ours->failed && r->measure) measure_sides(out, how);
    else if (!ours->failed) {
        check_sides(out, how);
        time_sides(out, how);
    }
    if (!r->teardown(r)) ours->failed = true;
}
