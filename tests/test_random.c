/* test_random -- random programs: both evaluators give the same values and gradients, twice, on any number of threads,
 * and whatever allocation fails
 *
 *     test_random [--programs N] [--seed S] [--only EXTENT] [--verbose] [--isolate] [--print] [--relax CLASS,…]
 *                 [--slopes] [--json]
 *
 * runs N programs (one, if only a seed is given) from seed S on, rather than the usual ones. AG_RANDOM_PROGRAMS and
 * AG_RANDOM_SEED do the same. --isolate gives each run a process of its own, so that a program that crashes or hangs is
 * made smaller too. --only takes the seeds whose programs are small, medium, large or broad. --relax adds classes of
 * operations whose results may differ within a bound: see random_bound.h. --slopes judges the gradients by finite differences
 * instead: see random_slopes.h. --json does nothing but write the programs and their results, a line each, for test_torch.py.
 *
 * random_check.h has the properties of every program. */
#include "tests/random_bound.h"
#include "tests/random_check.h"
#include "tests/random_slopes.h"
#include "tests/support.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int64_t drawn[256]; /* how often each form is in a program */

static void count_forms(const program *p) {
    for (int i = 0; i < p->count; i++) drawn[p->line[i].form - forms]++;
}

/* ---- In a process of its own ---- */

static verdict check_isolated(const program *p, char *report) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        alarm(60);
        char answer[1 + REPORT] = {0};
        answer[0] = (char)check_program(p, answer + 1);
        _exit(write(ends[1], answer, sizeof answer) != sizeof answer);
    }
    close(ends[1]);
    char answer[1 + REPORT];
    size_t got = 0;
    for (ssize_t n; got < sizeof answer && (n = read(ends[0], answer + got, sizeof answer - got)) > 0;)
        got += (size_t)n;
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (got == sizeof answer) {
        memcpy(report, answer + 1, REPORT);
        return (verdict)answer[0];
    }
    snprintf(report, REPORT, "the process ended with %s %d", WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return CRASHES;
}

/* ---- Many programs ---- */

static struct {
    int64_t programs;
    uint64_t seed;
    bool verbose, isolate, print, json, slopes, chosen; /* chosen: not the usual programs */
    int only;                                           /* this extent; EXTENTS: any */
} options = {.programs = 3000, .seed = 1, .only = EXTENTS};

static verdict check(const program *p, char *report) {
    return options.isolate ? check_isolated(p, report) : check_program(p, report);
}

static bool fails_so(void *context, const program *p) {
    char report[REPORT];
    return check(p, report) == *(const verdict *)context;
}

static void show_shrunk(program *p, verdict v) {
    char report[REPORT];
    program_shrink(p, fails_so, &v);
    check(p, report);
    fprintf(stderr, "\n/* %s */\n", report);
    program_print(stderr, p);
    fprintf(stderr, "\n");
}

/* Reported if the process crashes. */
static program current;

static void on_crash(int signal_number) {
    char text[160];
    int n = snprintf(text, sizeof text, "\nseed %llu crashes; to see it shrunk: test_random --seed %llu --isolate\n",
                     (unsigned long long)current.seed, (unsigned long long)current.seed);
    if (write(STDERR_FILENO, text, (size_t)n) < 0) _exit(99);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void report_crashes(void) {
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (int i = 0; i < 5 && !under_asan(); i++) signal(signals[i], on_crash);
}

static void print_totals(void) {
    fprintf(stderr,
            "%lld programs, %lld of them as machine code, %lld variations, %lld runs; %lld results the same bits, %lld "
            "within a bound (at most %.2g "
            "of it, "
            "%lld without measure)\n",
            (long long)totals.programs, (long long)totals.with_code, (long long)totals.variations,
            (long long)totals.runs, (long long)totals.results, (long long)totals.within_bound, totals.closest,
            (long long)totals.beyond_measure);
}

/* The number of failures; the first is shown shrunk. */
static int check_many(char *first) {
    int failures = 0;
    char report[REPORT];
    uint64_t seed = options.seed;
    for (int64_t i = 0; i < options.programs; i++, seed++) {
        while (options.only < EXTENTS && (int)program_extent(seed) != options.only) seed++;
        program_generate(&current, seed);
        be_patient();
        if (options.print) program_print(stderr, &current);
        verdict v = check(&current, report);
        totals.programs++;
        count_forms(&current);
        if (options.verbose)
            fprintf(stderr, "seed %llu: %d lines: %s\n", (unsigned long long)current.seed, current.count,
                    v == AGREES ? "good" : report);
        if (v == AGREES) continue;
        if (failures++ == 0) snprintf(first, REPORT, "seed %llu: %.1000s", (unsigned long long)current.seed, report);
        if (failures == 1 && v != INVALID) show_shrunk(&current, v);
        else if (failures <= 20) fprintf(stderr, "seed %llu too: %s\n", (unsigned long long)current.seed, report);
    }
    return failures;
}

START_TEST(programs_agree) {
    char first[REPORT] = "";
    report_crashes();
    int failures = check_many(first);
    if (options.chosen || options.verbose) print_totals();
    ck_assert_msg(failures == 0, "%d of %lld programs fail, the first: %s", failures, (long long)options.programs,
                  first);
    if (options.programs < 3000 || options.only < EXTENTS) return;
    for (int i = 0; i < form_count; i++)
        ck_assert_msg(drawn[i] > 0 || forms[i].call.x == user_flawed, "no program calls %s", forms[i].name);
    for (int i = 0; i < ag_op_count(); i++)
        ck_assert_msg(seen[i] > 0, "no program has the operation %s: add it to random_generate.c", ag_op_at(i)->name);
}
END_TEST

/* ---- The generator ---- */

static char *text_of(uint64_t seed) {
    static program p;
    char *text = NULL;
    size_t bytes;
    FILE *to = open_memstream(&text, &bytes);
    ck_assert_ptr_nonnull(to);
    program_generate(&p, seed);
    program_print(to, &p);
    fclose(to);
    wrapped_free();
    return text;
}

/* How many of the program's values have NaN or infinity, or numbers as good as that; and how many it has. */
static int far_out(const program *p, int *values) {
    ag_tape *t = ag_tape_new();
    ag_tensor *value[MOST_LINES];
    int far = 0;
    for (int i = 0; i < p->count; i++) {
        value[i] = line_record(&p->line[i], t, value);
        if (!line_has_value(&p->line[i]) || ag_size(value[i]) == 0) continue;
        const void *data = ag_data(value[i]);
        double most = data ? 0 : INFINITY;
        for (int64_t k = 0; data && k < ag_size(value[i]); k++) {
            const double e = fabs(element_at(ag_dtype_of(value[i]), data, k));
            most = e <= most ? most : isnan(e) ? INFINITY : e;
        }
        far += most > 1e8;
        *values += 1;
    }
    ag_tape_free(t);
    wrapped_free();
    return far;
}

/* Operands are inside the domains of operations, and no larger than 10^6: else comparing says little. */
START_TEST(values_of_most_programs_are_numbers) {
    static program p;
    int values = 0, far = 0;
    for (uint64_t seed = 1; seed < 600; seed++) {
        program_generate(&p, seed);
        if (!p.wild && p.size == SMALL) far += far_out(&p, &values);
    }
    ck_assert_int_ge(values, 5000);
    ck_assert_msg(far * 500 < values, "%d of %d values are NaN, infinite or beyond 10^8", far, values);
}
END_TEST

START_TEST(a_seed_is_a_program) {
    char *before = NULL;
    for (uint64_t seed = 1; seed < 40; seed++) {
        char *one = text_of(seed), *other = text_of(seed);
        ck_assert_str_eq(one, other);
        ck_assert(!before || strcmp(before, one) != 0);
        free(before);
        free(other);
        before = one;
    }
    free(before);
}
END_TEST

/* ---- Failing allocations ---- */

static bool fails_without_memory(void *context, const program *p) {
    char report[REPORT];
    (void)context;
    return check_allocations(p, report) == FAILS;
}

/* In small programs most values share one allocation, so that failures are rare where they are most interesting. */
START_TEST(any_allocation_may_fail) {
    char report[REPORT];
    int64_t small = options.chosen ? options.programs / 60 : by_length(2, 15, under_asan() ? 15 : 40),
            medium = small / 2;
    report_crashes();
    for (uint64_t seed = options.seed; small + medium > 0; seed++) {
        program_generate(&current, seed);
        wrapped_free();
        int64_t *left = current.size == SMALL ? &small : &medium;
        if (current.size >= LARGE || *left == 0) continue;
        --*left;
        if (check_allocations(&current, report) == AGREES) continue;
        fprintf(stderr, "\n/* %s */\n", report);
        program_shrink(&current, fails_without_memory, NULL);
        program_print(stderr, &current);
        ck_abort_msg("seed %llu: %s", (unsigned long long)seed, report);
    }
}
END_TEST

/* ---- The tests' own tests: flaws are found, and shown small ---- */

/* Insert a flawed operation after the line of the first output, if that is computed and f64. */
static bool plant(program *p) {
    int i = 0;
    while (p->line[i].form->signature != SIG_OUTPUT) i++;
    const line *l = &p->line[i = p->line[i].x[0]];
    if (l->y_dtype != AG_F64 || shape_size(&l->y_shape) == 0 || l->form->signature < SIG_X) return false;
    for (int j = i + 1; j < p->count; j++)
        for (int k = 0; k < p->line[j].operands; k++) p->line[j].x[k] += p->line[j].x[k] >= i;
    memmove(&p->line[i + 2], &p->line[i + 1], (size_t)(p->count - i - 1) * sizeof *p->line);
    p->line[i + 1] = (line){.form = form_named("user_flawed"), .operands = 1, .x = {i}};
    p->count++;
    return program_infer(p);
}

START_TEST(a_flaw_is_found_and_shown_small) {
    int found = 0, planted = 0;
    char report[REPORT];
    for (uint64_t seed = 1; planted < 12; seed++) {
        program_generate(&current, seed);
        wrapped_free();
        if (current.wild || current.size >= LARGE || !plant(&current)) continue;
        planted++;
        planted_flaw = 0x1p-20;
        verdict v = check_program(&current, report);
        if (v == DIFFERS) {
            found++;
            program_shrink(&current, fails_so, &v);
            ck_assert_int_le(current.count, 6);
            int flawed = 0;
            for (int i = 0; i < current.count; i++) flawed += current.line[i].form == form_named("user_flawed");
            ck_assert_int_eq(flawed, 1);
        }
        planted_flaw = 0;
        ck_assert_int_eq(check_program(&current, report), AGREES);
    }
    ck_assert_msg(found > planted / 2, "%d of %d flaws were found", found, planted); /* the others flaw a zero */
}
END_TEST

static int add_line(program *p, line l) {
    p->line[p->count] = l;
    return p->count++;
}

static int add_leaf(program *p, ag_shape shape) {
    uint64_t data = (uint64_t)p->count;
    return add_line(p, (line){.form = form_named("ag_parameter"), .dtype = AG_F64, .shape = shape, .data = data});
}

static int add_call(program *p, const char *name, int a, int b) {
    const form *f = form_named(name);
    return add_line(p, (line){.form = f, .operands = f->signature == SIG_AB ? 2 : 1, .x = {a, b}});
}

/* The verdict on a flaw of that size in x, a product, joined with y, a sum with a product. */
static verdict verdict_on(const char *join, double flaw) {
    static program p;
    char report[REPORT];
    memset(&p, 0, sizeof p); /* no gradients: some would depend on the flaw but not on a loose class */
    int a = add_leaf(&p, AG_SHAPE(12, 9)), b = add_leaf(&p, AG_SHAPE(12, 9)), c = add_leaf(&p, AG_SHAPE(12));
    int x = add_call(&p, "user_flawed", add_call(&p, "user_dot", a, b), 0);
    int y = add_call(&p, "ag_add", add_call(&p, "user_dot", a, b), c), z = add_call(&p, join, x, y);
    add_call(&p, "output", z, 0);
    planted_flaw = flaw;
    ck_assert(program_infer(&p));
    verdict v = check_program(&p, report);
    planted_flaw = 0;
    return v;
}

/* x must have the same bits; dependents of y may differ by the rounding of another order of its sums. */
START_TEST(a_loose_result_has_a_bound) {
    ck_assert_int_eq(verdict_on("ag_mul", 0), AGREES);
    ck_assert_int_eq(verdict_on("ag_mul", 0x1p-50), AGREES);
    ck_assert_int_eq(verdict_on("ag_mul", 0x1p-34), DIFFERS);
    ck_assert_int_eq(verdict_on("user_softsign", 0x1p-50), DIFFERS);
    ck_assert_int_eq(verdict_on("ag_sub", 0x1p-50), AGREES);
    ck_assert_int_eq(verdict_on("ag_sub", 0x1p-34), DIFFERS);
    ck_assert_int_eq(verdict_on("ag_add", 0x1p-34), DIFFERS);
    unsigned former = loose_classes;
    loose_classes = 0;
    ck_assert_int_eq(verdict_on("ag_mul", 0x1p-50), DIFFERS);
    loose_classes = LOOSE_PRODUCTS;
    ck_assert_int_eq(verdict_on("ag_mul", 0x1p-50), AGREES);
    loose_classes = former;
}
END_TEST

START_TEST(classes_have_names) {
    unsigned former = loose_classes;
    ck_assert(loosen("none") && loose_classes == 0);
    ck_assert(loosen("sums,functions") && loose_classes == (LOOSE_SUMS | LOOSE_FUNCTIONS));
    ck_assert(!loosen("sum"));
    ck_assert(loosen("all") && loose_classes == 63);
    loose_classes = former;
}
END_TEST

/* ---- Finite differences ---- */

static bool slopes_differ(void *context, const program *p) {
    char report[REPORT];
    (void)context;
    return check_slopes(p, report) == DIFFERS;
}

static void print_slopes(void) {
    const slope_tally *t = &slope_totals;
    fprintf(stderr,
            "%lld programs judged by finite differences, %lld slopes; %lld more found right by ag_gradcheck, %lld at "
            "kinks; left out: "
            "%lld that are not of f64 alone, %lld that differences cannot tell; %lld whose ag_jvp is that of ag_vjp\n",
            (long long)t->judged, (long long)t->slopes, (long long)t->by_gradcheck, (long long)t->at_kinks,
            (long long)t->unlike, (long long)t->untold, (long long)t->adjoint);
}

START_TEST(gradients_are_slopes) {
    char report[REPORT], first[REPORT] = "";
    int failures = 0;
    const int64_t programs = options.chosen ? options.programs : by_length(100, under_asan() ? 300 : 1000, 10000);
    report_crashes();
    for (uint64_t seed = options.seed; seed < options.seed + (uint64_t)programs; seed++) {
        program_generate(&current, seed);
        be_patient();
        wrapped_free();
        const verdict v = check_slopes(&current, report);
        if (options.verbose) fprintf(stderr, "seed %llu: %d: %s\n", (unsigned long long)seed, (int)v, report);
        if (v != DIFFERS) continue;
        fprintf(stderr, "\n/* seed %llu: %s */\n", (unsigned long long)seed, report);
        if (failures++ > 0) continue;
        snprintf(first, sizeof first, "seed %llu: %.1000s", (unsigned long long)seed, report);
        program_shrink(&current, slopes_differ, NULL);
        program_print(stderr, &current);
    }
    if (options.chosen || options.verbose) print_slopes();
    ck_assert_msg(failures == 0, "%d of %lld programs fail, the first: %s", failures, (long long)programs, first);
    ck_assert_msg(programs < 100 || 2 * slope_totals.adjoint >= programs,
                  "ag_jvp is judged in only %lld of %lld programs", (long long)slope_totals.adjoint,
                  (long long)programs);
    ck_assert_msg(programs < 100 || 4 * slope_totals.judged >= 3 * programs, "only %lld of %lld programs are judged",
                  (long long)slope_totals.judged, (long long)programs);
}
END_TEST

/* ---- Programs for other judges ---- */

static int write_programs(void) {
    uint64_t seed = options.seed;
    for (int64_t i = 0; i < options.programs; i++, seed++) {
        while (options.only < EXTENTS && (int)program_extent(seed) != options.only) seed++;
        program_generate(&current, seed);
        wrapped_free();
        if (!program_json(stdout, &current)) fprintf(stderr, "seed %llu cannot be run\n", (unsigned long long)seed);
    }
    return 0;
}

/* ---- */

static bool choose_only(const char *name) {
    static const char *const names[] = {[SMALL] = "small", [MEDIUM] = "medium", [LARGE] = "large", [BROAD] = "broad"};
    for (int i = 0; i < EXTENTS; i++)
        if (strcmp(name, names[i]) == 0) options.only = i;
    return options.only < EXTENTS;
}

static void read_options(int argc, char **argv) {
    const char *programs = getenv("AG_RANDOM_PROGRAMS"), *seed = getenv("AG_RANDOM_SEED");
    options.programs = by_length(60, 800, under_asan() ? 800 : 3000);
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--programs") == 0) programs = value, i++;
        else if (strcmp(argv[i], "--seed") == 0) seed = value, i++;
        else if (strcmp(argv[i], "--verbose") == 0) options.verbose = true;
        else if (strcmp(argv[i], "--isolate") == 0) options.isolate = true;
        else if (strcmp(argv[i], "--print") == 0) options.print = true;
        else if (strcmp(argv[i], "--json") == 0) options.json = true;
        else if (strcmp(argv[i], "--slopes") == 0) options.slopes = true;
        else if (strcmp(argv[i], "--relax") == 0 && loosen(value)) i++;
        else if (strcmp(argv[i], "--only") == 0 && choose_only(value)) i++;
        else {
            fprintf(stderr,
                    "usage: test_random [--programs N] [--seed S] [--only small|medium|large|broad] [--verbose] "
                    "[--isolate] [--print] [--slopes] [--json] "
                    "[--relax none|all|product_sums,whole_sums,products,sums,functions,arithmetic]\n");
            exit(2);
        }
    }
    options.chosen = (programs && *programs) || (seed && *seed);
    if (seed && *seed) options.programs = 1, options.seed = strtoull(seed, NULL, 10);
    if (programs && *programs) options.programs = strtoll(programs, NULL, 10);
    if (argc > 1) {
        setenv("CK_FORK", "no", 1);
        setenv("CK_RUN_CASE", options.slopes ? "slopes" : "programs", 1);
    }
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    if (options.json) return write_programs();
    Suite *suite = suite_create("random");
    TCase *programs = plain_group(suite, "programs");
    tcase_add_test(programs, programs_agree);
    tcase_add_test(plain_group(suite, "slopes"), gradients_are_slopes);
    tcase_add_test(plain_group(suite, "memory"), any_allocation_may_fail);
    TCase *tests = plain_group(suite, "tests");
    tcase_add_test(tests, a_seed_is_a_program);
    tcase_add_test(tests, values_of_most_programs_are_numbers);
    tcase_add_test(tests, a_flaw_is_found_and_shown_small);
    tcase_add_test(tests, a_loose_result_has_a_bound);
    tcase_add_test(tests, classes_have_names);
    return run_suite(suite);
}
