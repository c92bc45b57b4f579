/* report -- the measurements, as a table and as JSON */
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double minimum(const side *s) { return s->sample[0]; } /* samples are sorted */

static double median(const side *s) {
    int n = s->rounds;
    return (s->sample[(n - 1) / 2] + s->sample[n / 2]) / 2;
}

static double ratio(const outcome *out, const side *s) {
    double ours = minimum(&out->side[0]), theirs = minimum(s);
    return theirs > 0 ? ours / theirs : ours > 0 ? INFINITY : 1;
}

static bool has_figures(const side *s) { return !s->failed && s->rounds > 0; }

/* ---- The table ---- */

/* Three digits and a fitting unit: 83.1 ns. */
static const char *told(char text[32], const char *unit, double x) {
    static const struct {
        double from;
        const char *name;
    } times[] = {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {0, "ns"}}, bytes[] = {{1e6, "MB"}, {1e3, "kB"}, {0, "B"}};
    bool time = strcmp(unit, "s") == 0;
    double divisor = time ? 1e-9 : 1;
    const char *name = unit;
    int n = time ? 4 : strcmp(unit, "B") == 0 ? 3 : 0;
    for (int i = 0; i < n; i++) {
        double from = time ? times[i].from : bytes[i].from;
        if (x < from) continue;
        name = time ? times[i].name : bytes[i].name;
        divisor = from > 0 ? from : divisor;
        break;
    }
    double scaled = x / divisor;
    snprintf(text, 32, "%.*f %s", scaled < 10 && scaled > 0 ? 2 : scaled < 100 && scaled > 0 ? 1 : 0, scaled, name);
    return text;
}

/* A copy is named by the bytes that it copies. */
static const char *name_of(char text[32], const row *r, const peer *p) {
    char bytes[32];
    if (p->where == COPY) snprintf(text, 32, "copy, %s moved", told(bytes, "B", (double)r->moved));
    else snprintf(text, 32, "%s", p->name);
    return text;
}

void print_heading(const settings *how) {
    char threads[32];
    double load = 0;
    getloadavg(&load, 1);
    snprintf(threads, sizeof threads, how->threads[1] ? "%d and %d" : "%d", how->threads[0], how->threads[1]);
    printf("%s thread%s (--threads N), up to %d rounds, %s; ratio: our minimum / the peer's; load average %.2g\n\n",
           threads, strcmp(threads, "1") == 0 ? "" : "s", how->rounds,
           how->cpu ? "processor time" : "time by the clock", load);
    printf("%-24s %7s %10s %10s %-13s %-20s %10s %10s %7s  %s\n", "row", "threads", "ours", "minimum", "", "peer",
           "theirs", "minimum", "ratio", "goal");
}

static void print_ours(const outcome *out) {
    char a[32], b[32], each[32] = "";
    const row *r = out->row;
    const side *ours = &out->side[0];
    if (r->each[0]) snprintf(each, sizeof each, "per %s", r->each);
    if (!has_figures(ours)) printf("%-24s %7d %10s %10s %-13s", r->name, out->threads, "FAILED", "", "");
    else
        printf("%-24s %7d %10s %10s %-13s", r->name, out->threads, told(a, r->unit, median(ours)),
               told(b, r->unit, minimum(ours)), each);
}

static void print_peer(const outcome *out, const side *s) {
    char a[32], b[32];
    printf(" %-20s", name_of(a, out->row, s->peer));
    if (!has_figures(s)) {
        puts(s->absent ? " absent: './dev bench --install-peers' installs it" : s->failed ? " FAILED" : "");
        return;
    }
    printf(" %10s %10s", told(a, out->row->unit, median(s)), told(b, out->row->unit, minimum(s)));
    if (has_figures(&out->side[0])) printf(" %7.2f", ratio(out, s));
    if (has_figures(&out->side[0]) && s->peer->limit > 0)
        printf("  <= %-5g %s", s->peer->limit, ratio(out, s) <= s->peer->limit ? "met" : "MISSED");
    puts(s->wrong ? "  WRONG: the results differ" : "");
}

void print_result(const outcome *out) {
    print_ours(out);
    for (int i = 1; i < out->sides; i++) {
        if (i > 1) printf("%-68s", "");
        print_peer(out, &out->side[i]);
    }
    if (out->sides == 1) puts("");
    fflush(stdout);
}

void print_row(const row *r) {
    char text[32];
    printf("%-24s %s\n", r->name, r->what);
    for (const peer *p = r->peers; p < r->peers + MOST_PEERS && p->where != NOBODY; p++) {
        if (p->where == FIGURE)
            printf("%24s at most %s%s%s\n", "", told(text, r->unit, p->figure), r->each[0] ? " per " : "", r->each);
        else if (p->limit > 0) printf("%24s at most %g of %s\n", "", p->limit, name_of(text, r, p));
        else printf("%24s beside %s\n", "", name_of(text, r, p));
    }
}

/* ---- JSON ---- */

static void json_number(FILE *file, const char *key, double x) {
    if (isfinite(x)) fprintf(file, ", \"%s\": %.9g", key, x);
    else fprintf(file, ", \"%s\": null", key);
}

/* One object for each peer: ours_s and peer_s are medians, in the row's unit; the ratio is that of the minima. Names
 * need no escaping. */
static void json_peer(FILE *file, const outcome *out, const side *s) {
    const side *ours = &out->side[0];
    bool here = has_figures(ours), there = has_figures(s);
    fprintf(file, "{\"row\": \"%s\", \"threads\": %d, \"unit\": \"%s\"", out->row->name, out->threads, out->row->unit);
    json_number(file, "ours_s", here ? median(ours) : NAN);
    json_number(file, "ours_min_s", here ? minimum(ours) : NAN);
    fprintf(file, ", \"peer\": \"%s\"", s->peer->name);
    json_number(file, "peer_s", there ? median(s) : NAN);
    json_number(file, "peer_min_s", there ? minimum(s) : NAN);
    json_number(file, "ratio", here && there ? ratio(out, s) : NAN);
    json_number(file, "goal", s->peer->limit > 0 ? s->peer->limit : NAN);
    if (out->row->moved > 0) json_number(file, "bytes_moved", (double)out->row->moved);
    fprintf(file, ", \"absent\": %s, \"same_result\": %s}", s->absent ? "true" : "false", s->wrong ? "false" : "true");
}

/* Written beside the target and then renamed: readers see a whole file. */
bool write_json(const char *path, int n, const outcome *results) {
    char beside[4096];
    if (snprintf(beside, sizeof beside, "%s.part", path) >= (int)sizeof beside) return false;
    FILE *file = fopen(beside, "w");
    if (!file) return false;
    const char *before = "[\n  ";
    for (int i = 0; i < n; i++)
        for (int k = 1; k < results[i].sides; k++, before = ",\n  ") {
            fputs(before, file);
            json_peer(file, &results[i], &results[i].side[k]);
        }
    fputs(before[0] == '[' ? "[]\n" : "\n]\n", file);
    bool good = !ferror(file);
    good = fclose(file) == 0 && good;
    return good && rename(beside, path) == 0;
}
