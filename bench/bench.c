/* bench -- the command line: collects the rows and runs the selected ones
 *
 * The program is also a peer of its own: a small program that starts and ends. */
#include "bench.h"
#include "nn/nn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static row rows[MOST_ROWS];
static int row_count;
static const char *self;

static settings option = {.threads = {1, 2}, .rounds = 7, .round_seconds = 0.02};

const char *program_path(void) { return self; }

static const row *row_named(const char *name) {
    for (int i = 0; i < row_count; i++)
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    return NULL;
}

/* ---- Subprocesses of this program ---- */

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
    int (*const sources[])(row *) = {composed_rows,  training_rows, lenet_rows,     transformer_rows, lstm_rows,
                                     optimiser_rows, tape_rows,     structure_rows, program_rows,     matmul_rows,
                                     narrow_rows,    bundle_rows,   gpt2_rows,      convolution_rows, images_rows,
                                     indexing_rows,  linalg_rows,   catalogue_rows, reduction_rows,   sampling_rows};
    int n = 0;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) n += sources[i](rows + n);
    return n;
}

/* A name selects its row or, if there is none, all rows that begin with it. */
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
    fprintf(
        stderr,
        "bench: %s%s\n"
        "usage: bench [--threads N] [--rounds N] [--quick] [--cpu] [--json FILE] [ROW...]\n"
        "       bench --list\n"
        "A ROW is a name, or the beginning of several names. Without --threads each row is run with one thread\n"
        "and with two. --cpu counts the processor's time instead of the clock's: for one thread on a busy machine\n",
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
    static outcome results[2 * MOST_ROWS];
    int n = 0, status = 0;
    print_heading(&option);
    for (int i = 0; i < row_count; i++)
        for (int t = 0; t < 2 && chosen[i] && option.threads[t]; t++) {
            if (t > 0 && rows[i].once) break;
            run_row(&rows[i], option.threads[t], &option, &results[n]);
            print_result(&results[n++]);
        }
    if (option.json && !write_json(option.json, n, results)) {
        fprintf(stderr, "bench: cannot write %s\n", option.json);
        status = 1;
    }
    children_end();
    return status;
}

/* Takes one argument, or an option and its value; returns how many it took, or 0 after a message. */
static int take(int n, char *const *arguments, bool chosen[MOST_ROWS]) {
    const char *a = arguments[0], *value = n > 1 ? arguments[1] : "";
    bool good = true;
    if (a[0] != '-') return select_rows(a, chosen) ? 1 : misuse("unknown row ", a);
    if (strcmp(a, "--cpu") == 0) return option.cpu = true, seconds_of_work(), 1;
    if (strcmp(a, "--quick") == 0) return option.rounds = 3, option.round_seconds = 0.01, 1;
    if (strcmp(a, "--threads") == 0) {
        good = number(value, 1024, &option.threads[0]);
        option.threads[1] = 0;
    } else if (strcmp(a, "--rounds") == 0) good = number(value, 50, &option.rounds);
    else if (strcmp(a, "--json") == 0) good = *(option.json = value) != '\0';
    else return misuse("unknown option ", a);
    return good ? 2 : misuse("invalid value for ", a);
}

/* A peer of ours (see child.c): runs rows on command, and keeps the latest one set up. */
static int run_on_command(int threads) {
    char what[16], name[40];
    long long repetitions;
    const row *at = NULL;
    printf("0\n");
    fflush(stdout);
    while (scanf("%15s %39s %lld", what, name, &repetitions) == 3) {
        const row *r = row_named(name);
        if (at && r != at) at->teardown(at);
        if (r && r != at && !r->setup(r, threads)) r = NULL;
        at = r;
        if (!r) return 1;
        double value = 0, start = seconds_now();
        if (strcmp(what, "check") == 0) value = r->check(r);
        else r->work(r, repetitions), value = seconds_now() - start;
        printf("%.17g\n", value);
        fflush(stdout);
    }
    return at && !at->teardown(at);
}

/* Hidden options, used by this program's own subprocesses. The rows, which ask for LAPACK and FFTW, would load both: a
 * small model needs neither. */
static bool serve(int argc, char **argv, int *status) {
    int threads;
    bool small = argc == 2 && strcmp(argv[1], "--small-model") == 0;
    if (!small) row_count = collect_rows();
    if (small) *status = small_model();
    else if (argc == 3 && strcmp(argv[1], "--serve") == 0 && number(argv[2], 1024, &threads))
        *status = run_on_command(threads);
    else return false;
    return true;
}

static int list_rows(void) {
    for (int i = 0; i < row_count; i++) print_row(&rows[i]);
    return 0;
}

int main(int argc, char **argv) {
    bool chosen[MOST_ROWS] = {false}, any = false;
    int status;
    self = argv[0];
    if (serve(argc, argv, &status)) return status;
    if (argc == 2 && strcmp(argv[1], "--list") == 0) return list_rows();
    for (int i = 1, taken; i < argc; i += taken)
        if (!(taken = take(argc - i, argv + i, chosen))) return 2;
    for (int i = 0; i < row_count; i++) any = any || chosen[i];
    for (int i = 0; i < row_count && !any; i++) chosen[i] = true;
    return run_chosen(chosen);
}
