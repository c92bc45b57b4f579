/* bench -- runs the rows and says how we stand
 *
 * Each side of a row (we, and each peer) gets so many repetitions that a round takes it about 40 ms, and the rounds
 * alternate: ours, theirs, ours, theirs. The ratio is that of the minima: what disturbs only ever adds. */
#include "bench.h"
#include "nn/nn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROUNDS = 101 };
static const double round_seconds = 0.04, slow_seconds = 0.5, tolerance = 1e-3;

static row rows[MOST_ROWS];
static int row_count;
static const char *self;

static struct {
    int threads, rounds;
    bool cpu;
    const char *json;
} option = {.threads = 1, .rounds = 7};

const char *program_path(void) { return self; }

/* ---- One side of a row ---- */

typedef struct side {
    const peer *peer; /* NULL: we */
    bool absent;      /* not installed */
    bool failed;
    bool wrong; /* gets another number than we */
    int64_t repetitions;
    int rounds;
    double sample[MOST_ROUNDS]; /* in the row's unit, for each of what it counts */
} side;

static child *child_of(const side *s) {
    return s->peer->where == TORCH ? child_torch(option.threads, option.cpu) : child_blis(option.threads, option.cpu);
}

static bool remote(const side *s) { return s->peer && (s->peer->where == TORCH || s->peer->where == BLIS_ALONE); }

static double seconds(const row *r, const side *s, int64_t repetitions) {
    if (remote(s)) return child_run(child_of(s), r->name, repetitions);
    double start = seconds_now();
    (s->peer ? s->peer->work : r->work)(r, repetitions);
    return seconds_now() - start;
}

/* Also warms up what there is to be warmed up. */
static void choose_repetitions(const row *r, side *s) {
    double t = seconds(r, s, s->repetitions = 1);
    while (t < round_seconds / 4 && s->repetitions < INT64_C(1) << 30) t = seconds(r, s, s->repetitions *= 4);
    double wanted = (double)s->repetitions * round_seconds / t;
    s->repetitions = isnan(wanted) || wanted < 1 ? 1 : (int64_t)wanted;
    s->failed = isnan(t);
}

static void play(const row *r, side *s) {
    double count = r->count ? r->count(r) : 1;
    s->sample[s->rounds++] = seconds(r, s, s->repetitions) / (double)s->repetitions / count;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double minimum(const side *s) { return s->sample[0]; } /* they are sorted */

static double median(const side *s) {
    int n = s->rounds;
    return (s->sample[(n - 1) / 2] + s->sample[n / 2]) / 2;
}

/* ---- A row ---- */

typedef struct result {
    const row *row;
    int sides;
    side side[1 + MOST_PEERS]; /* we first */
} result;

static bool is_absent(const side *s) {
    if (remote(s)) return child_absent(child_of(s));
    return s->peer->where == HERE && s->peer->present && !s->peer->present();
}

static double number_of(const row *r, const side *s) {
    if (remote(s)) return child_check(child_of(s), r->name);
    return s->peer->check ? s->peer->check(r) : NAN;
}

/* Whoever has a number to compare gets ours, within what another order of summation explains. */
static void check_sides(const row *r, result *out) {
    double ours = r->check ? r->check(r) : NAN;
    for (int i = 1; i < out->sides; i++) {
        side *s = &out->side[i];
        if (s->absent || !r->check || s->peer->where == FIGURE) continue;
        double theirs = number_of(r, s), scale = fmax(fabs(ours), fabs(theirs));
        s->wrong = !(fabs(ours - theirs) <= tolerance * scale + 1e-6);
        if (s->wrong)
            fprintf(stderr, "bench: %s: we get %.9g and %s gets %.9g\n", r->name, ours, s->peer->name, theirs);
    }
}

static bool is_timed(const side *s) { return !s->absent && !s->failed && !(s->peer && s->peer->where == FIGURE); }

static void time_sides(const row *r, result *out) {
    int rounds = option.rounds;
    for (int i = 0; i < out->sides; i++) {
        side *s = &out->side[i];
        if (!is_timed(s)) continue;
        double start = seconds_now();
        choose_repetitions(r, s);
        if (s->repetitions == 1 && seconds_now() - start > slow_seconds && rounds > 3) rounds = 3;
    }
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < out->sides; i++)
            if (is_timed(&out->side[i])) play(r, &out->side[i]);
    for (int i = 0; i < out->sides; i++)
        qsort(out->side[i].sample, (size_t)out->side[i].rounds, sizeof(double), ascending);
}

static void run_row(const row *r, result *out) {
    *out = (result){.row = r, .sides = 1};
    for (const peer *p = r->peers; p < r->peers + MOST_PEERS && p->where != NOBODY; p++) {
        side *s = &out->side[out->sides++];
        s->peer = p;
        s->absent = is_absent(s);
        if (p->where == FIGURE) s->sample[s->rounds++] = p->figure;
    }
    side *ours = &out->side[0];
    ours->failed = !r->setup(r, option.threads);
    if (!ours->failed && r->measure) {
        ours->sample[ours->rounds++] = r->measure(r);
        ours->failed = isnan(ours->sample[0]);
    } else if (!ours->failed) {
        check_sides(r, out);
        time_sides(r, out);
    }
    if (!r->teardown(r)) ours->failed = true;
}

/* ---- Telling ---- */

/* Three digits and a unit that fits: 83.1 ns. */
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

static double ratio(const result *out, const side *s) {
    double ours = minimum(&out->side[0]), theirs = minimum(s);
    return theirs > 0 ? ours / theirs : ours > 0 ? INFINITY : 1;
}

static bool has_figures(const side *s) { return !s->failed && s->rounds > 0; }

static void print_ours(const result *out) {
    char a[32], b[32], each[32] = "";
    const row *r = out->row;
    const side *ours = &out->side[0];
    if (r->each[0]) snprintf(each, sizeof each, "per %s", r->each);
    if (!has_figures(ours)) printf("%-24s %7d %10s %10s %-13s", r->name, option.threads, "FAILED", "", "");
    else
        printf("%-24s %7d %10s %10s %-13s", r->name, option.threads, told(a, r->unit, median(ours)),
               told(b, r->unit, minimum(ours)), each);
}

static void print_peer(const result *out, const side *s) {
    char a[32], b[32];
    printf(" %-17s", s->peer->name);
    if (!has_figures(s)) {
        puts(s->absent ? " absent: './dev bench --install-peers' gets it" : s->failed ? " FAILED" : "");
        return;
    }
    printf(" %10s %10s", told(a, out->row->unit, median(s)), told(b, out->row->unit, minimum(s)));
    if (has_figures(&out->side[0])) printf(" %7.2f", ratio(out, s));
    if (has_figures(&out->side[0]) && s->peer->limit > 0)
        printf("  <= %-5g %s", s->peer->limit, ratio(out, s) <= s->peer->limit ? "met" : "MISSED");
    puts(s->wrong ? "  WRONG: the results differ" : "");
}

static void print_heading(void) {
    double load = 0;
    getloadavg(&load, 1);
    printf("%d thread%s (--threads N), %d rounds, %s; ratio: our minimum / the peer's; load average %.2g\n\n",
           option.threads, option.threads == 1 ? "" : "s", option.rounds,
           option.cpu ? "processor time" : "time by the clock", load);
    printf("%-24s %7s %10s %10s %-13s %-17s %10s %10s %7s  %s\n", "row", "threads", "ours", "minimum", "", "peer",
           "theirs", "minimum", "ratio", "goal");
}

static void print_result(const result *out) {
    print_ours(out);
    for (int i = 1; i < out->sides; i++) {
        if (i > 1) printf("%-68s", "");
        print_peer(out, &out->side[i]);
    }
    fflush(stdout);
}

/* ---- JSON ---- */

static void json_number(FILE *file, const char *key, double x) {
    if (isfinite(x)) fprintf(file, ", \"%s\": %.9g", key, x);
    else fprintf(file, ", \"%s\": null", key);
}

/* One object for each peer. Names have nothing that would have to be escaped. */
static void json_peer(FILE *file, const result *out, const side *s) {
    const side *ours = &out->side[0];
    bool here = has_figures(ours), there = has_figures(s);
    fprintf(file, "{\"row\": \"%s\", \"threads\": %d, \"unit\": \"%s\"", out->row->name, option.threads,
            out->row->unit);
    json_number(file, "ours_s", here ? median(ours) : NAN);
    json_number(file, "ours_min_s", here ? minimum(ours) : NAN);
    fprintf(file, ", \"peer\": \"%s\"", s->peer->name);
    json_number(file, "peer_s", there ? median(s) : NAN);
    json_number(file, "peer_min_s", there ? minimum(s) : NAN);
    json_number(file, "ratio", here && there ? ratio(out, s) : NAN);
    json_number(file, "goal", s->peer->limit > 0 ? s->peer->limit : NAN);
    fprintf(file, ", \"same_result\": %s}", s->wrong ? "false" : "true");
}

/* Written beside and then renamed: whoever reads the file finds it whole. */
static bool write_json(int n, const result *results) {
    char beside[4096];
    if (snprintf(beside, sizeof beside, "%s.part", option.json) >= (int)sizeof beside) return false;
    FILE *file = fopen(beside, "w");
    if (!file) return false;
    const char *before = "[\n  ";
    for (int i = 0; i < n; i++)
        for (int k = 1; k < results[i].sides; k++, before = ",\n  ") {
            fputs(before, file);
            json_peer(file, &results[i], &results[i].side[k]);
        }
    fputs("\n]\n", file);
    bool good = !ferror(file);
    good = fclose(file) == 0 && good;
    return good && rename(beside, option.json) == 0;
}

/* ---- What else this program is: a peer, and a small program ---- */

static const row *row_named(const char *name) {
    for (int i = 0; i < row_count; i++)
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    return NULL;
}

/* The other end of child.c; it never touches the library, so that BLIS chooses by itself. */
static int serve_blis(int threads) {
    char line[128], name[64];
    printf("0\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        long long repetitions = 0;
        const row *r = sscanf(line, "%*s %63s %lld", name, &repetitions) >= 1 ? row_named(name) : NULL;
        if (r) printf("%.17g\n", matmul_blis_alone(r, threads, repetitions));
        else printf("there is no such row\n");
        fflush(stdout);
    }
    return 0;
}

static int small_model(void) {
    ag_tape *tape = ag_tape_new();
    ag_linear hidden, output;
    ag_linear_init(&hidden, tape, AG_F32, 8, 16);
    ag_linear_init(&output, tape, AG_F32, 16, 1);
    ag_tensor *p[] = {hidden.weight, hidden.bias, output.weight, output.bias}, *dp[4];
    ag_tensor *x = ag_normal(tape, AG_F32, AG_SHAPE(32, 8), 0, 1);
    ag_tensor *y = ag_linear_apply(&output, ag_relu(ag_linear_apply(&hidden, x)));
    ag_tensor *loss = ag_mean(ag_square(ag_add_scalar(y, -1)));
    ag_grad(loss, 4, p, dp);
    bool good = ag_eval_all(4, dp) == AG_OK && isfinite(ag_item(loss));
    ag_tape_free(tape);
    return good ? 0 : 1;
}

/* ---- The command line ---- */

static int collect_rows(void) {
    int n = tape_rows(rows);
    n += training_rows(rows + n);
    n += composed_rows(rows + n);
    n += program_rows(rows + n);
    return n + matmul_rows(rows + n);
}

static void list_rows(void) {
    for (int i = 0; i < row_count; i++) {
        const row *r = &rows[i];
        char text[32];
        printf("%-24s %s\n", r->name, r->what);
        for (const peer *p = r->peers; p < r->peers + MOST_PEERS && p->where != NOBODY; p++) {
            if (p->where == FIGURE)
                printf("%24s at most %s%s%s\n", "", told(text, r->unit, p->figure), r->each[0] ? " per " : "", r->each);
            else if (p->limit > 0) printf("%24s at most %g of %s\n", "", p->limit, p->name);
            else printf("%24s beside %s\n", "", p->name);
        }
    }
}

/* A name stands for its row, or else for all rows that begin with it. */
static int select_rows(const char *name, bool chosen[MOST_ROWS]) {
    const row *exact = row_named(name);
    int found = 0;
    for (int i = 0; i < row_count; i++) {
        bool fits = exact ? exact == &rows[i] : strncmp(rows[i].name, name, strlen(name)) == 0;
        chosen[i] = chosen[i] || fits;
        found += fits;
    }
    return found;
}

static int misuse(const char *what, const char *argument) {
    fprintf(stderr,
            "bench: %s%s\n"
            "usage: bench [--threads N] [--rounds N] [--cpu] [--json FILE] [ROW...]\n"
            "       bench --list\n"
            "--cpu counts the processor's time instead of the clock's: for one thread on a busy machine\n",
            what, argument);
    return 0;
}

static bool number(const char *text, int most, int *n) {
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 1 || value > most) return false;
    *n = (int)value;
    return true;
}

static int run_chosen(const bool chosen[MOST_ROWS]) {
    static result results[MOST_ROWS];
    int n = 0, status = 0;
    print_heading();
    for (int i = 0; i < row_count; i++) {
        if (!chosen[i]) continue;
        run_row(&rows[i], &results[n]);
        print_result(&results[n++]);
    }
    if (option.json && !write_json(n, results)) {
        fprintf(stderr, "bench: %s cannot be written\n", option.json);
        status = 1;
    }
    children_end();
    return status;
}

/* Takes one argument, or an option and its value; returns how many that were, 0 for a mistake, which it has told. */
static int take(int n, char *const *arguments, bool chosen[MOST_ROWS]) {
    const char *a = arguments[0], *value = n > 1 ? arguments[1] : "";
    bool good = true;
    if (a[0] != '-') return select_rows(a, chosen) ? 1 : misuse("there is no row ", a);
    if (strcmp(a, "--cpu") == 0) return option.cpu = true, seconds_of_work(), 1;
    if (strcmp(a, "--threads") == 0) good = number(value, 1024, &option.threads);
    else if (strcmp(a, "--rounds") == 0) good = number(value, MOST_ROUNDS, &option.rounds);
    else if (strcmp(a, "--json") == 0) good = *(option.json = value) != '\0';
    else return misuse("there is no option ", a);
    return good ? 2 : misuse("no good value for ", a);
}

/* What other processes of this program, and only they, ask it for. */
static bool serve(int argc, char **argv, int *status) {
    int threads;
    if (argc == 2 && strcmp(argv[1], "--small-model") == 0) return *status = small_model(), true;
    if (argc != 4 || strcmp(argv[1], "--serve-blis") != 0 || !number(argv[2], 1024, &threads)) return false;
    if (strcmp(argv[3], "--cpu") == 0) seconds_of_work();
    *status = serve_blis(threads);
    return true;
}

int main(int argc, char **argv) {
    bool chosen[MOST_ROWS] = {false}, any = false;
    int status;
    self = argv[0];
    row_count = collect_rows();
    if (serve(argc, argv, &status)) return status;
    if (argc == 2 && strcmp(argv[1], "--list") == 0) return list_rows(), 0;
    for (int i = 1, taken; i < argc; i += taken)
        if (!(taken = take(argc - i, argv + i, chosen))) return 2;
    for (int i = 0; i < row_count; i++) any = any || chosen[i];
    for (int i = 0; i < row_count && !any; i++) chosen[i] = true;
    return run_chosen(chosen);
}
