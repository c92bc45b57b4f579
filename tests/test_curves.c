/* test_curves -- pictures of curves: their text, their size, hostile names and values; sparklines */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "io/io.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support.h"

static char folder[64], path[96];

static void make_folder(void) {
    snprintf(folder, sizeof folder, "%s/test_curves.XXXXXX", scratch());
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/curves.svg", folder);
}

static void remove_folder(void) {
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0);
}

static const double rising[] = {1, 2, 3, 4, 5};

static const char *picture(int n, const double y[], const ag_curves_options *options) {
    const char *svg = ag_curves_svg(tape, 1, &(ag_curve){"loss", n, NULL, y}, options);
    expect_ok(tape);
    return svg;
}

/* The points of curve number i, as "M10.0 20.0L…". */
static const char *points_of(const char *svg, int i) {
    static char text[1 << 17];
    for (; i >= 0; i--) svg = strstr(svg + 1, "<path class=\"curve\"");
    ck_assert_ptr_nonnull(svg);
    svg = strstr(svg, " d=\"") + 4;
    snprintf(text, sizeof text, "%.*s", (int)strcspn(svg, "\""), svg);
    return text;
}

static int count(const char *text, const char *what) {
    int n = 0;
    for (; (text = strstr(text, what)); text++) n++;
    return n;
}

START_TEST(a_straight_line) {
    ag_curves_options options = {
        .title = "loss & <rate>", .x_label = "step", .y_label = "\"loss\"", .width = 400, .height = 300};
    const char *svg = picture(5, rising, &options);
    /* x from 74 to 384, y from 300 - 46 up to 44 + 12 */
    ck_assert_str_eq(points_of(svg, 0), "M74.0 254.0L151.5 204.5L229.0 155.0L306.5 105.5L384.0 56.0");
    ck_assert_ptr_nonnull(strstr(svg, "role=\"img\""));
    ck_assert_ptr_nonnull(strstr(svg, "<title>loss &amp; &lt;rate&gt;</title>"));
    ck_assert_ptr_nonnull(strstr(svg, "&quot;loss&quot;"));
    ck_assert_ptr_nonnull(strstr(svg, "prefers-color-scheme:dark"));
    ck_assert_ptr_nonnull(strstr(svg, "class=\"below\">step</text>"));
    ck_assert_ptr_null(strstr(svg, "<script"));
    ck_assert_ptr_null(strstr(svg, " id="));
    ck_assert_int_eq(count(svg, "class=\"left\""), 5);
}
END_TEST

START_TEST(a_logarithmic_axis) {
    double x[] = {1, 10, 100, -5, 1000, NAN, 1e4}, y[] = {1, 0.1, 0.01, 1, 0.001, 1, 0};
    ag_curve curve = {"loss", 7, x, y};
    const char *svg =
        ag_curves_svg(tape, 1, &curve,
                      &(ag_curves_options){.logarithmic_x = true, .logarithmic_y = true, .width = 374, .height = 346});
    /* 3 decades in 300 pixels either way; −5 interrupts the curve, and the point behind it has no other beside it */
    ck_assert_str_eq(points_of(svg, 0), "M58.0 30.0L158.0 126.0L258.0 222.0M358.0 318.0h0");
    ck_assert_ptr_nonnull(strstr(svg, ">0.01</text>"));
    ck_assert_ptr_nonnull(strstr(svg, ">1000</text>"));
}
END_TEST

START_TEST(ticks_are_there_at_any_range) {
    const double ranges[][2] = {{0, 1},          {-1, 1},  {0.2, 0.8},  {0.31, 0.34},      {1e-5, 1e5},
                                {1e-300, 1e300}, {5, 5},   {0, 0},      {-3e-310, 3e-310}, {1e9, 1e9 + 1},
                                {99.5, 100.5},   {1, 300}, {-7e12, 20}, {1e-320, 1e-319}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        for (int logarithmic = 0; logarithmic < 2; logarithmic++) {
            const char *svg = picture(2, ranges[i], &(ag_curves_options){.logarithmic_y = logarithmic});
            ck_assert_int_ge(count(svg, "class=\"left\""), 2);
            ck_assert_int_le(count(svg, "class=\"left\""), 40);
            ck_assert_msg(!strstr(svg, "nan") && !strstr(svg, "inf"), "%s", svg);
        }
}
END_TEST

START_TEST(values_of_any_size) {
    double wild[] = {-1.7e308, 1.7e308, NAN, INFINITY, -INFINITY, 0, 5e-324, -1.7e308};
    for (int n = 0; n <= 8; n++)
        for (int k = 0; k < 4; k++) {
            ag_curve curve = {"wild", n, k & 1 ? wild : NULL, wild};
            const char *svg =
                ag_curves_svg(tape, 1, &curve, &(ag_curves_options){.logarithmic_x = k & 2, .logarithmic_y = k & 2});
            expect_ok(tape);
            ck_assert(*svg && !strstr(svg, "nan") && !strstr(svg, "inf"));
            double x, y;
            for (const char *s = points_of(svg, 0); *s; s += strcspn(s + 1, "MLh") + 1)
                if (*s != 'h') {
                    ck_assert_int_eq(sscanf(s + 1, "%lf %lf", &x, &y), 2);
                    ck_assert_msg(x >= 0 && x <= 720 && y >= 0 && y <= 360, "%d points, %d: %s", n, k,
                                  points_of(svg, 0));
                }
        }
}
END_TEST

/* A curve of a million points is drawn with its two spikes, in no more text than it has columns. */
START_TEST(many_points) {
    enum { POINTS = 1000000 };
    double *y = calloc(POINTS, sizeof *y);
    ck_assert_ptr_nonnull(y);
    for (int i = 0; i < POINTS; i++) y[i] = sin(i * 1e-4) + 1e-3 * scatter((uint64_t)i);
    y[543210] = 100;
    y[123456] = -100;
    const char *svg = picture(POINTS, y, &(ag_curves_options){.width = 720, .height = 360});
    const char *points = points_of(svg, 0);
    ck_assert_uint_lt(strlen(svg), 110000);
    ck_assert_ptr_nonnull(strstr(points, " 30.0L")); /* the top of the frame, and its bottom */
    ck_assert_ptr_nonnull(strstr(points, " 332.0L"));
    free(y);
}
END_TEST

START_TEST(many_curves_and_hostile_names) {
    static char names[100][40];
    ag_curve curves[100];
    for (int i = 0; i < 100; i++) {
        snprintf(names[i], sizeof names[i], "<script>%d\x01\xFF\"&'日本", i);
        curves[i] = (ag_curve){names[i], 5, NULL, rising};
    }
    const char *svg = ag_curves_svg(tape, 100, curves, &(ag_curves_options){.title = names[3], .x_label = names[4]});
    expect_ok(tape);
    ck_assert_ptr_null(strstr(svg, "<script"));
    ck_assert_int_eq(count(svg, "stroke-dasharray"), 2 * 92);
    ck_assert_int_eq(ag_curves_write(tape, path, 100, curves, NULL), AG_OK);
    char command[300];
    snprintf(command, sizeof command, "python3 -c 'import sys, xml.etree.ElementTree as t; t.parse(sys.argv[1])' %s",
             path);
    if (system("command -v python3 >/dev/null 2>&1") == 0) ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(the_file_is_the_text) {
    static char text[20000];
    ag_curve curve = {"loss", 5, NULL, rising};
    ck_assert_int_eq(ag_curves_write(tape, path, 1, &curve, NULL), AG_OK);
    FILE *in = fopen(path, "rb");
    ck_assert_ptr_nonnull(in);
    text[fread(text, 1, sizeof text - 1, in)] = 0;
    fclose(in);
    ck_assert_str_eq(text, ag_curves_svg(tape, 1, &curve, NULL));
}
END_TEST

START_TEST(pictures_that_are_refused) {
    ag_curve good = {"a", 5, NULL, rising}, nameless = {NULL, 5, NULL, rising}, empty = {"a", 5, NULL, NULL},
             negative = {"a", -1, NULL, rising};
    const ag_curves_options small = {.width = 100}, large = {.height = 10001};
    ck_assert_str_eq(ag_curves_svg(tape, 0, &good, NULL), "");
    expect_error(tape, AG_ERR_RANGE, "curves_svg", "1 to 100", "test_curves.c:");
    ag_curves_svg(tape, 101, &good, NULL);
    expect_error(tape, AG_ERR_RANGE, "1 to 100");
    ag_curves_svg(tape, 1, NULL, NULL);
    expect_error(tape, AG_ERR_NULL, "list of curves");
    ag_curves_svg(tape, 1, &nameless, NULL);
    expect_error(tape, AG_ERR_NULL, "curve 0", "name");
    ag_curves_svg(tape, 1, &empty, NULL);
    expect_error(tape, AG_ERR_NULL, "curve 0", "values");
    ag_curves_svg(tape, 1, &negative, NULL);
    expect_error(tape, AG_ERR_RANGE, "below 0");
    ag_curves_svg(tape, 1, &good, &small);
    expect_error(tape, AG_ERR_RANGE, "200 to 10000");
    ag_curves_svg(tape, 1, &good, &large);
    expect_error(tape, AG_ERR_RANGE, "200 to 10000");
    ag_curves_write(tape, NULL, 1, &good, NULL);
    expect_error(tape, AG_ERR_NULL, "path");
    ag_curves_write(tape, "/nowhere/a.svg", 1, &good, NULL);
    expect_error(tape, AG_ERR_FILE, "/nowhere/a.svg");
    ag_curves_write(tape, "/dev/full", 1, &good, NULL);
    expect_error(tape, AG_ERR_FILE, "/dev/full");
    ag_curves_svg(NULL, 1, &good, NULL);
    ck_assert_int_eq(ag_tape_status(NULL), AG_ERR_NULL);
    ag_clear_error(NULL);
}
END_TEST

/* ---- Sparklines ---- */

START_TEST(sparklines) {
    const double eight[] = {0, 1, 2, 3, 4, 5, 6, 7}, odd[] = {5, NAN, -1, INFINITY, 5}, wild[] = {-1.7e308, 1.7e308};
    ck_assert_str_eq(ag_sparkline(tape, 8, eight, 8), "▁▂▃▄▅▆▇█");
    ck_assert_str_eq(ag_sparkline(tape, 8, eight, 80), "▁▂▃▄▅▆▇█");
    ck_assert_str_eq(ag_sparkline(tape, 8, eight, 4), "▁▃▆█");
    ck_assert_str_eq(ag_sparkline(tape, 8, eight, 3), "▁▅█");
    ck_assert_str_eq(ag_sparkline(tape, 5, odd, 5), "█ ▁ █");
    ck_assert_str_eq(ag_sparkline(tape, 2, wild, 5), "▁█");
    ck_assert_str_eq(ag_sparkline(tape, 2, (double[]){3, 3}, 5), "▄▄");
    ck_assert_str_eq(ag_sparkline(tape, 1, &odd[1], 5), " ");
    ck_assert_str_eq(ag_sparkline(tape, 0, NULL, 5), "");
    expect_ok(tape);
    ck_assert_str_eq(ag_sparkline(tape, -1, eight, 5), "");
    expect_error(tape, AG_ERR_RANGE, "sparkline", "-1 values", "test_curves.c:");
    ag_sparkline(tape, 1, eight, 0);
    expect_error(tape, AG_ERR_RANGE, "0 columns");
    ag_sparkline(tape, 1, NULL, 5);
    expect_error(tape, AG_ERR_NULL, "values");
    ag_sparkline(NULL, 1, eight, 5);
    ck_assert_int_eq(ag_tape_status(NULL), AG_ERR_NULL);
    ag_clear_error(NULL);
}
END_TEST

START_TEST(every_failing_allocation) {
    bool came_through = false;
    ag_curve curve = {"loss", 5, NULL, rising};
    for (int64_t fail_at = 2; !came_through; fail_at++) {
        ledger l;
        ledger_open(&l);
        l.fail_at = fail_at;
        ag_tape *t = ag_tape_new_with(&l.allocator);
        ck_assert_ptr_nonnull(t);
        const char *text = _i == 0 ? ag_curves_svg(t, 1, &curve, NULL) : ag_sparkline(t, 5, rising, 5);
        if (_i == 2) text = ag_curves_write(t, path, 1, &curve, NULL) == AG_OK ? "written" : "";
        came_through = !l.failed;
        ck_assert_int_eq(ag_tape_status(t), l.failed ? AG_ERR_MEMORY : AG_OK);
        ck_assert(!*text == l.failed);
        ag_tape_free(t);
        ledger_close(&l);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("curves");
    TCase *group = tape_group(suite, "curves");
    tcase_add_checked_fixture(group, make_folder, remove_folder);
    tcase_add_test(group, a_straight_line);
    tcase_add_test(group, a_logarithmic_axis);
    tcase_add_test(group, ticks_are_there_at_any_range);
    tcase_add_test(group, values_of_any_size);
    tcase_add_test(group, many_points);
    tcase_add_test(group, many_curves_and_hostile_names);
    tcase_add_test(group, the_file_is_the_text);
    tcase_add_test(group, pictures_that_are_refused);
    tcase_add_test(group, sparklines);
    tcase_add_loop_test(group, every_failing_allocation, 0, 3);
    return run_suite(suite);
}
