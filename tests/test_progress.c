/* test_progress -- a bar on a pseudo-terminal, lines in files, and what a loop does that is not as expected
 *
 * The linker puts __wrap_clock_gettime in the place of the system's, so that time passes as a test says. What reaches
 * the terminal is read by a small one: a row of cells, with the escape sequences that the library uses and no others. */
#define _GNU_SOURCE /* posix_openpt */
#include "io/io.h"
#include "tests/support.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* ---- Time ---- */

static bool clock_is_ours;
static int64_t now; /* nanoseconds */

int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);

int __wrap_clock_gettime(clockid_t id, struct timespec *t) {
    if (!clock_is_ours) return __real_clock_gettime(id, t);
    *t = (struct timespec){.tv_sec = (time_t)(now / 1000000000), .tv_nsec = (long)(now % 1000000000)};
    return 0;
}

/* The test program's own clock: it measures each test. */
static void set_clock_back(void) { now = 5000000000; }

static void pass(double seconds) { now += (int64_t)(seconds * 1e9); }

/* ---- A terminal ---- */

enum { ROOM = 1 << 16 };

static int master = -1;
static FILE *stream;
static char raw[ROOM]; /* what came since it was last looked at */
static size_t raw_used;
static bool looked;
static char row[4 * 1024];   /* what the present row shows, without escape sequences */
static size_t used;          /* bytes of it, up to the cursor */
static int column, farthest; /* of the cursor, and the farthest that it has been */
static int lines;            /* that were ended */
static bool wraps, coloured;

static void resize_terminal(int columns) {
    struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
    ck_assert_int_eq(ioctl(master, TIOCSWINSZ, &size), 0);
}

static void open_terminal(int columns) {
    master = posix_openpt(O_RDWR | O_NOCTTY);
    ck_assert(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    ck_assert_int_ge(slave, 0);
    struct termios t;
    ck_assert_int_eq(tcgetattr(slave, &t), 0);
    t.c_oflag &= ~(tcflag_t)OPOST;
    ck_assert_int_eq(tcsetattr(slave, TCSANOW, &t), 0);
    stream = fdopen(slave, "w");
    ck_assert_ptr_nonnull(stream);
    ck_assert_int_eq(fcntl(master, F_SETFL, O_NONBLOCK), 0);
    resize_terminal(columns);
    row[0] = 0;
    used = 0;
    column = farthest = lines = 0;
    wraps = true;
    coloured = looked = false;
    raw_used = 0;
}

static void close_terminal(void) {
    if (stream) fclose(stream);
    if (master >= 0) close(master);
    stream = NULL;
    master = -1;
}

/* The sequences that are known: ESC [ K, ESC [ ? 7 l, ESC [ ? 7 h, and colours. Returns the bytes. */
static size_t escape(const char *s) {
    size_t n = strcspn(s, "Klhm") + 1;
    if (strncmp(s, "\033[K", 3) == 0) row[used] = 0;
    else if (strncmp(s, "\033[?7l", 5) == 0) wraps = false;
    else if (strncmp(s, "\033[?7h", 5) == 0) wraps = true;
    else if (s[n - 1] == 'm') coloured = true;
    else ck_abort_msg("the sequence %.6s", s + 1);
    return n;
}

/* Every character has one column, except those of the tests that are known to have two. */
static void show(const char *text) {
    for (const char *s = text; *s;) {
        size_t n = 1;
        if (*s == '\033') n = escape(s);
        else if (*s == '\r') column = 0, used = 0;
        else if (*s == '\n') lines++;
        else {
            for (; (s[n] & 0xC0) == 0x80; n++) continue;
            unsigned char first = (unsigned char)s[0], second = (unsigned char)s[1];
            ck_assert(first >= ' ' && first != 0x7F && !(first == 0xC2 && second < 0xA0)); /* no control character */
            memcpy(row + used, s, n);
            used += n;
            row[used] = 0;
            column += n == 3 && (unsigned char)*s >= 0xE3 ? 2 : 1;
        }
        if (column > farthest) farthest = column;
        s += n;
    }
    ck_assert_uint_le(used, sizeof row - 8);
}

/* Reads what has been written, so that no write waits for room. */
static void drain(void) {
    if (looked) raw_used = 0;
    looked = false;
    for (ssize_t n = 1; n > 0;) {
        if (raw_used + 1 == ROOM) raw_used = 0;
        n = read(master, raw + raw_used, ROOM - 1 - raw_used);
        raw[raw_used + (size_t)(n > 0 ? n : 0)] = 0;
        show(raw + raw_used);
        raw_used += (size_t)(n > 0 ? n : 0);
    }
}

/* Whether something has been written since this was last asked; it is in `raw`. */
static bool look(void) {
    drain();
    looked = true;
    return raw_used > 0;
}

static void expect_row(const char *wanted) {
    look();
    ck_assert_str_eq(row, wanted);
    ck_assert(wraps);
}

/* ---- The environment ---- */

static void set_up(void) {
    setenv("TERM", "xterm", 1);
    setenv("LC_ALL", "C", 1);
    unsetenv("NO_COLOR");
    clock_is_ours = true;
    set_clock_back();
}

static void tear_down(void) {
    close_terminal();
    clock_is_ours = false;
}

static ag_progress progress;

static void update(int64_t done, double loss) { ag_progress_update(&progress, done, 1, &(ag_reading){"loss", loss}); }

/* `n` updates of `seconds` each, from `done` on. */
static int64_t run(int64_t done, int n, double seconds) {
    for (int i = 0; i < n; i++) {
        pass(seconds);
        update(++done, 0.5);
        if (master >= 0) drain();
    }
    return done;
}

/* ---- Bars ---- */

START_TEST(a_bar_shows_where_the_loop_is) {
    open_terminal(80);
    ag_progress_begin(&progress, stream, 200, NULL);
    expect_row("  0% ------------------------------ 0/200");
    run(0, 84, 0.05);
    expect_row(" 42% ############------------------ 84/200 20/s 0:06 left loss 0.5");
    ck_assert(coloured);
    run(84, 116, 0.05);
    ag_progress_end(&progress);
    expect_row("100% ############################## 200/200 20/s in 0:10 loss 0.5");
    ck_assert_int_eq(lines, 1);
    ag_progress_end(&progress);
    update(7, 1);
    ag_progress_hide(&progress);
    ck_assert(!look());
}
END_TEST

START_TEST(the_locale_and_the_environment_choose_characters) {
    const struct {
        const char *all, *type, *lang;
        bool utf8;
    } cases[] = {
        {"", "", "en_GB.UTF-8", true},   {"C", "", "en_GB.UTF-8", false}, {"", "C.utf8", "C", true},
        {"", "POSIX", "C.UTF-8", false}, {"xx.uTf-8", "C", "C", true},    {"", "", "", false},
        {"", "", "ut", false},           {"", "", "utf-", false},         {"utf-16", "", "", false},
        {"utx-8", "", "", false},
    };
    open_terminal(40);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("LC_ALL", cases[i].all, 1);
        setenv("LC_CTYPE", cases[i].type, 1);
        setenv("LANG", cases[i].lang, 1);
        ag_progress_begin(&progress, stream, 4, &(ag_progress_options){.first = 1});
        look();
        ck_assert_msg(!strchr(row, '#') == cases[i].utf8 && !strstr(row, "━") != cases[i].utf8, "%s %zu", row, i);
        ag_progress_begin(&progress, stream, 4, &(ag_progress_options){.ascii = true, .first = 1});
        look();
        ck_assert_ptr_nonnull(strchr(row, '#'));
    }
    unsetenv("LC_CTYPE");
    unsetenv("LANG");
    setenv("LC_ALL", "C.UTF-8", 1);
    ag_progress_begin(&progress, stream, 17, &(ag_progress_options){.first = 5});
    expect_row(" 29% ━━━━━━━━╸──────────────────── 5/17");
}
END_TEST

START_TEST(colours_can_be_refused) {
    open_terminal(80);
    setenv("NO_COLOR", "1", 1);
    ag_progress_begin(&progress, stream, 4, NULL);
    look();
    ck_assert(!coloured && *row);
    setenv("NO_COLOR", "", 1);
    ag_progress_begin(&progress, stream, 4, &(ag_progress_options){.plain = true});
    look();
    ck_assert(!coloured);
    ag_progress_begin(&progress, stream, 4, NULL);
    look();
    ck_assert(coloured);
}
END_TEST

static const char *const labels[] = {
    "",
    "epoch 3",
    "日本語日本語日本語日本語日本語日本語",
    "a\033[2Jb\nc\rd\te",
    "\xFF\xFE\xC3",
    "ααααααααααααααααααααααααααααααααααααααααααααααα",
    ("\xC2\x9B"
     "31m"),
    "\x7F\x7F",
    "\xE1\x83\xBF ends what takes one column",
    "a very long label that does not fit anywhere at all, not even here or there",
};

/* Whatever the width and the words, the cursor stays within the row, and no control character gets through. */
START_TEST(a_bar_never_wraps) {
    const int widths[] = {1, 2, 3, 4, 5, 6, 7, 10, 14, 20, 21, 30, 40, 57, 80, 81, 132, 400, 1000};
    setenv("LC_ALL", _i % 2 ? "C.UTF-8" : "C", 1);
    open_terminal(80);
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        for (size_t k = 0; k < sizeof labels / sizeof *labels; k++) {
            const ag_reading readings[] = {{"loss", -1.2345e-300},
                                           {labels[k], NAN},
                                           {"accuracy", INFINITY},
                                           {NULL, 1e300},
                                           {"a", 1},
                                           {"b", 2},
                                           {"c", 3},
                                           {"d", 4},
                                           {"not shown", 5}};
            resize_terminal(widths[w]);
            farthest = lines = 0;
            ag_progress_begin(&progress, stream, _i < 2 ? 1000000000000 : 0,
                              &(ag_progress_options){.label = labels[k]});
            for (int64_t done = 1; done < 1000000000000; done *= 31) {
                pass(0.7);
                ag_progress_update(&progress, done, 9, readings);
                drain();
            }
            ag_progress_end(&progress);
            look();
            ck_assert_msg(farthest < widths[w] || widths[w] == 1, "%d of %d columns", farthest, widths[w]);
            ck_assert_int_eq(lines, 1);
            ck_assert(wraps && !strstr(raw, "not shown"));
        }
    }
    set_clock_back();
}
END_TEST

START_TEST(narrow_terminals_show_what_is_most_important) {
    open_terminal(20);
    ag_progress_begin(&progress, stream, 100, &(ag_progress_options){.label = "epoch 3"});
    run(0, 40, 0.5);
    expect_row(" 40% #--- 0:30 left");
    resize_terminal(34);
    run(40, 10, 0.5);
    expect_row("epoch 3  50% ##-- 2.0/s 0:25 left");
    resize_terminal(60);
    run(50, 10, 0.5);
    expect_row("epoch 3  60% ########------ 60/100 2.0/s 0:20 left loss 0.5");
    resize_terminal(7);
    run(60, 1, 0.5);
    expect_row(" 61%");
    resize_terminal(0); /* the width is not known */
    run(61, 1, 0.5);
    look();
    ck_assert_ptr_nonnull(strstr(row, "2.0/s"));
    ck_assert_int_lt(farthest, 80);
    set_clock_back();
}
END_TEST

START_TEST(without_a_total_there_is_a_count) {
    for (int k = 0; k < 2; k++) {
        open_terminal(80);
        ag_progress_begin(&progress, stream, -5 * k, NULL);
        expect_row("0 in 0:00");
        run(0, 4000, 0.02);
        expect_row("4000 50/s in 1:20 loss 0.5");
        ag_progress_end(&progress);
        expect_row("4000 50/s in 1:20 loss 0.5");
        close_terminal();
    }
    set_clock_back();
}
END_TEST

START_TEST(counts_that_nobody_expects) {
    open_terminal(80);
    ag_progress_begin(&progress, stream, 10, &(ag_progress_options){.first = -3});
    expect_row("  0% ------------------------------ 0/10");
    run(0, 25, 1);
    expect_row("100% ############################## 25/10 1.0/s in 0:25 loss 0.5");
    pass(1);
    update(-7, NAN);
    expect_row("  0% ------------------------------ 0/10 loss nan");
    pass(1);
    update(2, -INFINITY);
    expect_row(" 20% ######------------------------ 2/10 2.0/s 0:04 left loss -inf");
    pass(1);
    update(INT64_MAX, 1);
    pass(1);
    update(INT64_MIN, 1);
    ag_progress_begin(&progress, stream, INT64_MAX, NULL);
    pass(1);
    update(INT64_MAX, 1);
    look();
    ck_assert_ptr_nonnull(strstr(row, "100%"));
    ag_progress_update(&progress, 3, -1, NULL);
    ag_progress_update(&progress, 3, 4, NULL);
    ag_progress_update(NULL, 3, 0, NULL);
    ag_progress_begin(NULL, stream, 3, NULL);
    ag_progress_hide(NULL);
    ag_progress_end(NULL);
    set_clock_back();
}
END_TEST

/* ---- Time ---- */

static void begin_quietly(int64_t total) {
    open_terminal(80);
    ag_progress_begin(&progress, stream, total, &(ag_progress_options){.plain = true});
}

START_TEST(a_pause_says_nothing_about_the_time_to_come) {
    begin_quietly(1000);
    int64_t done = run(0, 300, 0.1);
    pass(3600);
    done = run(done, 1, 0.1);
    look();
    ck_assert_msg(strstr(row, "1:1") || strstr(row, "1:2"), "%s", row); /* 70 s are left, not hours */
    run(done, 199, 0.1);
    expect_row(" 50% ###############--------------- 500/1000 9.6/s 0:52 left loss 0.5");
    set_clock_back();
}
END_TEST

START_TEST(a_slow_first_step_is_soon_forgotten) {
    begin_quietly(1000);
    pass(20);
    run(0, 100, 0.1);
    look();
    ck_assert_ptr_nonnull(strstr(row, "1:3")); /* 90 s and a little */
    set_clock_back();
}
END_TEST

START_TEST(a_change_of_speed_is_noticed) {
    begin_quietly(10000);
    int64_t done = run(0, 1000, 0.01);
    run(done, 1000, 0.1);
    look();
    double left[2];
    ck_assert_int_eq(sscanf(strstr(row, "/s ") + 3, "%lf:%lf left", &left[0], &left[1]), 2);
    ck_assert_double_gt(left[0] * 60 + left[1], 600); /* 800 at the present speed, 440 at the mean */
    set_clock_back();
}
END_TEST

START_TEST(a_clock_that_jumps) {
    begin_quietly(100);
    int64_t done = run(0, 50, 0.1);
    now -= 1000000000000;
    done = run(done, 10, 0.1);
    now += 2000000000000;
    run(done, 10, 0.1);
    look();
    ck_assert_ptr_nonnull(strstr(row, "70/100"));
    ck_assert_ptr_null(strchr(row, '-') > strstr(row, "70/100") ? strchr(row, '-') : NULL);
    set_clock_back();
}
END_TEST

START_TEST(a_resumed_run_has_the_rate_of_its_own_steps) {
    open_terminal(80);
    ag_progress_begin(&progress, stream, 2000, &(ag_progress_options){.first = 1900});
    run(1900, 50, 0.1);
    look();
    ck_assert_ptr_nonnull(strstr(row, "1950/2000 10/s 0:05 left"));
}
END_TEST

START_TEST(durations_and_rates) {
    const struct {
        double seconds;
        const char *shown;
    } cases[] = {
        {1e-9, "1000M/s 0:00 left"},     {3e-5, "33k/s 0:03 left"},
        {1e-3, "1000/s 1:40 left"},      {0.1, "10/s 2:46:40 left"},
        {0.4, "2.5/s 11:06:40 left"},    {2.5, "2.5 s each 2d 21h left"},
        {90, "1:30 each 104d 03h left"}, {86400 * 30., "30d 00h each 2999970d 00h left"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        open_terminal(120);
        ag_progress_begin(&progress, stream, 100000, &(ag_progress_options){.seconds = 1e-9});
        run(0, 1, cases[i].seconds);
        look();
        ck_assert_msg(strstr(row, cases[i].shown), "%s: %s", row, cases[i].shown);
        close_terminal();
    }
    set_clock_back();
}
END_TEST

/* ---- How often ---- */

START_TEST(output_is_ten_times_a_second_at_most) {
    open_terminal(80);
    ag_progress_begin(&progress, stream, 1000000, NULL);
    int outputs = look();
    for (int64_t i = 1; i <= 1000000; i++) {
        pass(3e-6);
        update(i, 0.25);
        if (i % 1000 == 0) outputs += look();
    }
    ck_assert_int_ge(outputs, 27);
    ck_assert_int_le(outputs, 31);
}
END_TEST

START_TEST(a_hidden_bar_comes_again) {
    open_terminal(80);
    ag_progress_begin(&progress, stream, 4, NULL);
    look();
    ag_progress_hide(&progress);
    expect_row("");
    ck_assert_int_eq(column, 0);
    ag_progress_hide(&progress);
    ck_assert(!look());
    run(0, 1, 1);
    look();
    ck_assert(*row);
}
END_TEST

/* ---- Files ---- */

static char *memory;
static size_t memory_bytes;

static void open_memory(void) {
    stream = open_memstream(&memory, &memory_bytes);
    ck_assert_ptr_nonnull(stream);
}

static void expect_text(const char *wanted) {
    fclose(stream);
    stream = NULL;
    ck_assert_str_eq(memory, wanted);
    free(memory);
}

static void train(void) {
    ag_progress_begin(&progress, stream, 240, &(ag_progress_options){.label = "ép\003och"});
    run(0, 240, 0.1);
    ag_progress_end(&progress);
}

static const char log_lines[] = "ép?och   41%  100/240  10/s  0:14 left  loss 0.5\n"
                                "ép?och   83%  200/240  10/s  0:04 left  loss 0.5\n"
                                "ép?och  100%  240/240  10/s  in 0:24  loss 0.5\n";

START_TEST(a_file_gets_a_line_every_so_often) {
    open_memory();
    train();
    expect_text(log_lines);
    open_memory();
    ag_progress_begin(&progress, stream, 0, &(ag_progress_options){.seconds = 0.25});
    run(0, 10, 0.1);
    ag_progress_end(&progress);
    expect_text("3  10/s  in 0:00  loss 0.5\n6  10/s  in 0:01  loss 0.5\n9  10/s  in 0:01  loss 0.5\n"
                "10  10/s  in 0:01  loss 0.5\n");
}
END_TEST

START_TEST(a_terminal_that_knows_no_sequences_gets_lines) {
    open_terminal(80);
    setenv("TERM", _i ? "dumb" : "", 1);
    train();
    look();
    ck_assert_str_eq(raw, log_lines);
    ag_progress_begin(&progress, stream, 4, &(ag_progress_options){.form = AG_PROGRESS_BAR});
    look();
    ck_assert_ptr_nonnull(strstr(raw, "\r"));
    setenv("TERM", "xterm", 1);
    ag_progress_begin(&progress, stream, 4, &(ag_progress_options){.form = AG_PROGRESS_LINES});
    ck_assert(!look());
}
END_TEST

START_TEST(without_a_stream_nothing_happens) {
    const ag_reading reading = {"loss", 1};
    now = 7;
    ag_progress_begin(&progress, NULL, 10, NULL);
    pass(100);
    ag_progress_update(&progress, 1, 1, &reading);
    ag_progress_hide(&progress);
    ag_progress_end(&progress);
    ck_assert(!progress.stream && progress.drawn == 0);
}
END_TEST

/* ---- Streams that fail ---- */

START_TEST(a_stream_that_cannot_be_written_is_given_up) {
    stream = fopen("/dev/full", "w");
    if (!stream) return;
    ag_progress_begin(&progress, stream, 10, &(ag_progress_options){.form = (ag_progress_form)(1 + _i)});
    run(0, 3, 20);
    ck_assert_ptr_null(progress.stream);
    ck_assert(!ferror(stream));
    ag_progress_end(&progress);
}
END_TEST

START_TEST(a_pipe_without_reader_does_not_end_the_process) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    close(ends[0]);
    stream = fdopen(ends[1], "w");
    ag_progress_begin(&progress, stream, 10, NULL);
    run(0, 3, 20);
    ck_assert_ptr_null(progress.stream);
    ag_progress_end(&progress);
}
END_TEST

START_TEST(a_closed_terminal) {
    open_terminal(80);
    ag_progress_begin(&progress, stream, 10, NULL);
    close(master);
    master = -1;
    signal(SIGHUP, SIG_IGN);
    run(0, 3, 20);
    ck_assert_ptr_null(progress.stream);
}
END_TEST

/* ---- The cost, by the real clock: run with --cost ---- */

static void print_cost(const char *name, FILE *to) {
    enum { UPDATES = 1000000 };
    struct timespec t[2];
    ag_progress_begin(&progress, to, UPDATES, NULL);
    __real_clock_gettime(CLOCK_MONOTONIC, &t[0]);
    for (int64_t i = 1; i <= UPDATES; i++) update(i, 0.5);
    __real_clock_gettime(CLOCK_MONOTONIC, &t[1]);
    ag_progress_end(&progress);
    double ns = (double)(t[1].tv_sec - t[0].tv_sec) * 1e9 + (double)(t[1].tv_nsec - t[0].tv_nsec);
    printf("%s: %.1f ns each\n", name, ns / UPDATES);
}

START_TEST(costs) {
    for (int i = 0; i < 3; i++) {
        print_cost("no stream", NULL);
        FILE *file = fopen("/dev/null", "w");
        print_cost("a file", file);
        fclose(file);
        open_terminal(80);
        print_cost("a terminal", stream);
        close_terminal();
    }
}
END_TEST

int main(int argc, char **argv) {
    Suite *suite = suite_create("progress");
    TCase *group = plain_group(suite, "progress");
    if (argc == 2 && strcmp(argv[1], "--cost") == 0) {
        tcase_add_test(group, costs);
        return run_suite(suite);
    }
    tcase_add_checked_fixture(group, set_up, tear_down);
    tcase_add_test(group, a_bar_shows_where_the_loop_is);
    tcase_add_test(group, the_locale_and_the_environment_choose_characters);
    tcase_add_test(group, colours_can_be_refused);
    tcase_add_loop_test(group, a_bar_never_wraps, 0, 4);
    tcase_add_test(group, narrow_terminals_show_what_is_most_important);
    tcase_add_test(group, without_a_total_there_is_a_count);
    tcase_add_test(group, counts_that_nobody_expects);
    tcase_add_test(group, a_pause_says_nothing_about_the_time_to_come);
    tcase_add_test(group, a_slow_first_step_is_soon_forgotten);
    tcase_add_test(group, a_change_of_speed_is_noticed);
    tcase_add_test(group, a_clock_that_jumps);
    tcase_add_test(group, a_resumed_run_has_the_rate_of_its_own_steps);
    tcase_add_test(group, durations_and_rates);
    tcase_add_test(group, output_is_ten_times_a_second_at_most);
    tcase_add_test(group, a_hidden_bar_comes_again);
    tcase_add_test(group, a_file_gets_a_line_every_so_often);
    tcase_add_loop_test(group, a_terminal_that_knows_no_sequences_gets_lines, 0, 2);
    tcase_add_test(group, without_a_stream_nothing_happens);
    tcase_add_loop_test(group, a_stream_that_cannot_be_written_is_given_up, 0, 2);
    tcase_add_test(group, a_pipe_without_reader_does_not_end_the_process);
    tcase_add_test(group, a_closed_terminal);
    return run_suite(suite);
}
