/* texts -- fuzz targets: what programs and users give as text, and the reports in which such text stands
 *
 * Text is understood, or refused with a message. A report is what strict readers of its format accept, whatever labels it
 * shows. */
#include "tests/fuzz/fuzz.h"
#include "tests/grammar.h"

#include "io/io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 2000 };

/* ---- Subscripts, products, settings ---- */

static void use(ag_tape *t, ag_tensor *y, ag_tensor *x) {
    ag_tensor *dx;
    if (ag_size(y) > 65536) return;
    ag_data(y);
    if (ag_tape_status(t) == AG_OK && ag_grad(ag_sum(y), 1, &x, &dx) == AG_OK) ag_data(dx);
}

static void subscripts(ag_tape *t, feed *f) {
    static const double values[24] = {0.5, 1.5, -2};
    static const int64_t places[] = {0, 1, -1};
    static const uint8_t truth[] = {1, 0};
    static const ag_shape shapes[] = {{3, {2, 3, 4}}, {1, {5}}, {0, {0}}, {2, {0, 3}}, {4, {1, 2, 1, 3}}};
    char text[TEXT];
    int lot = feed_below(f, 256), n = lot >> 3 & 3;
    ag_tensor *x = ag_parameter(t, AG_F64, shapes[(lot & 7) % 5], values);
    ag_tensor *i[] = {ag_from(t, AG_I64, AG_SHAPE(3), places), ag_from(t, AG_BOOL, AG_SHAPE(2), truth),
                      ag_from(t, AG_I64, AG_SHAPE(1, 1), places)};
    int64_t nodes = ag_tape_memory(t).nodes;
    feed_text(f, text, sizeof text);
    if (lot & 32) {
        ag_tensor *y = ag_put_at(x, text, n, i, ag_scalar(t, AG_F64, 7), (ag_put)(lot >> 6));
        if (!refused(t, "put_at", nodes + 2)) use(t, y, x);
    } else {
        ag_tensor *y = n ? ag_at_with(x, text, n, i) : ag_at(x, text);
        if (!refused(t, "at", nodes + 1)) use(t, y, x);
    }
    if (ag_tape_status(t) == AG_ERR_RANGE) ag_clear_error(t); /* an index out of range */
}

static void products(ag_tape *t, feed *f) {
    static const double values[64] = {0.5, 1.5, -2};
    char text[TEXT];
    ag_tensor *x[8];
    int n = 1 + feed_below(f, 4);
    for (int i = 0; i < n; i++) {
        int lot = feed_below(f, 256);
        ag_shape s = {.rank = lot & 3};
        for (int k = 0; k < s.rank; k++) s.extent[k] = 1 + (lot >> (2 + 2 * k) & 3) % 3;
        x[i] = ag_parameter(t, AG_F64, s, values);
    }
    int64_t nodes = ag_tape_memory(t).nodes;
    ag_tensor *y = ag_einsum(feed_text(f, text, sizeof text), n, x);
    if (!refused(t, "einsum", nodes + n)) use(t, y, x[0]);
}

static void settings(feed *f) {
    static const char *const names[] = {"AG_EVAL", "AG_CHECK", "AG_COMPILE", "AG_ISA", "AG_THREADS", "OMP_NUM_THREADS"};
    char text[TEXT];
    for (int i = 0; i < 6; i++) setenv(names[i], feed_text(f, text, sizeof text), 1);
    ag_tape *t = ag_tape_new();
    int threads = ag_tape_set_threads(t, 0);
    if (threads < 1 || threads > 1024) fault("%d threads", threads);
    ag_tape_set_threads(t, 1);
    ag_tensor *x = ag_ones(t, AG_F64, AG_SHAPE(3));
    if (!(ag_item(ag_sum(ag_exp(x))) > 8)) fault("no sum: %s", ag_tape_error(t));
    ag_tape_free(t);
    for (int i = 0; i < 6; i++) unsetenv(names[i]);
}

void fuzz_text(const uint8_t *data, size_t size) {
    ledger l;
    feed f = {data, data + size};
    int which = feed_below(&f, 8);
    if (which == 7) {
        settings(&f);
        return;
    }
    ag_tape *t = tape_open(&l);
    if (which % 2) subscripts(t, &f);
    else products(t, &f);
    if (ag_tape_status(t) != AG_OK && ag_tape_status(t) != AG_ERR_MEMORY) fault("%s", ag_tape_error(t));
    tape_close(t, &l);
}

/* ---- Labels in reports ---- */

static void expect_text(ag_tape *t, const char *text, bool sound, const char *what) {
    if (!text || (!*text && ag_tape_status(t) == AG_OK)) fault("%s: no text", what);
    if (ag_tape_status(t) != AG_OK) fault("%s: %s", what, ag_tape_error(t));
    if (!sound) fault("%s is malformed:\n%s", what, text);
    if (!utf8_is_sound(text)) fault("%s is not UTF-8:\n%s", what, text);
}

static const char *contents(const char *path) {
    static char text[1 << 18];
    FILE *file = fopen(path, "rb");
    if (!file) fault("%s is not there", path);
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = 0;
    if (strlen(text) != n) fault("%s has a 0 byte", path);
    return text;
}

static void write_graph(ag_tape *t, ag_tensor *y, int lot) {
    const char *path = path_of("y.dot");
    ag_dot_options o = {.values = lot & 1, .gradients = lot & 2, .places = lot & 4, .regions = lot & 8};
    ag_write_dot(path, 1, &y, &o);
    if (ag_tape_status(t) != AG_OK) fault("write_dot: %s", ag_tape_error(t));
    const char *text = contents(path);
    expect_text(t, text, dot_is_sound(text), "a graph");
}

static void write_formulas(ag_tape *t, ag_tensor *y, int lot) {
    ag_formula_options o = {.style = (ag_style)(lot % 3), .brief = lot & 8};
    const char *text = ag_formula(y, &o);
    bool sound = o.style == AG_STYLE_TEXT    ? true
                 : o.style == AG_STYLE_LATEX ? braces_balance(text)
                                             : xml_is_sound(text);
    expect_text(t, text, sound, "a formula");
}

static void write_explanations(ag_tape *t, ag_tensor *y, ag_tensor *x, int lot) {
    ag_explain_options o = {.json = lot & 1, .style = (ag_style)(lot / 2 % 3), .depth = lot / 8 % 3};
    const char *text = ag_explain(y, x, &o);
    expect_text(t, text, !o.json || !json_fault(text), "an explanation");
    text = ag_trace_backward(y, 1, &x, &o);
    expect_text(t, text, !o.json || !json_fault(text), "a trace");
}

static void write_profile(ag_tape *t) {
    const char *path = path_of("trace.json"), *text = ag_profile_table(t, 0);
    expect_text(t, text, true, "a table");
    ag_profile_write(t, path);
    text = contents(path);
    expect_text(t, text, !json_fault(text), "a trace's file");
}

/* Names of readings and curves: a refused one leaves the file as it was. */
static void write_readings(ag_tape *t, feed *f, int lot) {
    char name[3][TEXT / 4];
    const double y[] = {1, feed_real(f), feed_real(f), 3};
    const char *path = path_of(lot & 1 ? "log.csv" : "log.jsonl"), *text;
    for (int i = 0; i < 3; i++) feed_text(f, name[i], sizeof name[i]);
    ag_reading readings[] = {{.name = name[0], .value = y[1]}, {.name = name[1], .value = y[2]}};
    ag_run_log log;
    ag_run_log_open(&log, t, path, NULL);
    for (int64_t step = 0; step < 2; step++) ag_run_log_write(&log, step, 2, readings);
    bool bad = ag_tape_status(t) != AG_OK;
    ag_clear_error(t);
    ag_run_log_close(&log);
    ag_clear_error(t);
    text = contents(path);
    if (!bad && !(lot & 1)) *strchr((char *)text, '\n') = 0;
    if (!bad) expect_text(t, text, lot & 1 || !json_fault(text), "a log");
    ag_curve curve = {.name = name[0], .n = 4, .y = y};
    ag_curves_options o = {.title = name[1], .x_label = name[2], .logarithmic_y = lot & 2};
    text = ag_curves_svg(t, 1, &curve, &o);
    expect_text(t, text, strstr(text, "<script") == NULL, "a picture");
}

void fuzz_labels(const uint8_t *data, size_t size) {
    ledger l;
    feed f = {data, data + size};
    char text[TEXT];
    int lot = feed_below(&f, 256), more = feed_below(&f, 256);
    ag_tape *t = tape_open(&l);
    if (lot % 8 == 7) {
        write_readings(t, &f, more);
        tape_close(t, &l);
        return;
    }
    ag_scope(t, more & 1 ? feed_text(&f, text, sizeof text) : "s");
    ag_clear_error(t);
    ag_tensor *x =
        ag_label(ag_parameter(t, AG_F64, AG_SHAPE(2), (double[]){1, feed_real(&f)}), feed_text(&f, text, TEXT));
    ag_tensor *h = ag_label(ag_tanh(ag_mul(x, x)), feed_text(&f, text, sizeof text));
    ag_tape_set_part(t, h);
    ag_tensor *y = ag_label(ag_sum(ag_add(ag_mul(h, x), ag_exp(h))), feed_text(&f, text, sizeof text));
    ag_located(y, feed_text(&f, text, sizeof text), 3);
    ag_scope_end(t);
    if (ag_tape_status(t) != AG_OK) fault("%s", ag_tape_error(t));
    if (lot % 8 < 2) write_graph(t, y, more);
    else if (lot % 8 < 4) write_formulas(t, y, more);
    else if (lot % 8 < 6) write_explanations(t, y, x, more);
    else {
        ag_profile_start(t);
        ag_data(y);
        ag_profile_stop(t);
        write_profile(t);
    }
    ag_matmul(x, ag_label(ag_ones(t, AG_F64, AG_SHAPE(3, 3)), text)); /* an error that shows labels */
    if (!utf8_is_sound(ag_tape_error(t))) fault("an error is not UTF-8: %s", ag_tape_error(t));
    tape_close(t, &l);
}
