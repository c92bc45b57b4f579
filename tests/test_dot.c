/* test_dot -- the graph's file: its content, that Graphviz accepts it, and that it is written whole or not at all
 *
 * Each test has a directory of its own. Where Graphviz is installed, it reads every written file. */
#define _XOPEN_SOURCE 700
#include "autograd/tape/utf8.h"
#include "tests/support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64], path[128];
static char *text; /* the file as read last */

static void open_directory(void) {
    snprintf(directory, sizeof directory, "%s/test_dot.XXXXXX", scratch());
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/graph.dot", directory);
    ledger_open(&tape_ledger);
    tape = ag_tape_new_with(&tape_ledger.allocator);
}

static void close_directory(void) {
    ag_tape_free(tape);
    ledger_close(&tape_ledger);
    free(text);
    text = NULL;
    unlink(path);
    rmdir(directory);
}

static int files_in_directory(void) {
    int n = 0;
    DIR *d = opendir(directory);
    ck_assert_ptr_nonnull(d);
    while (readdir(d)) n++;
    closedir(d);
    return n - 2;
}

static const char *read_file(const char *name) {
    FILE *f = fopen(name, "rb");
    ck_assert_ptr_nonnull(f);
    fseek(f, 0, SEEK_END);
    size_t size = (size_t)ftell(f);
    rewind(f);
    free(text);
    text = malloc(size + 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(fread(text, 1, size, f), size);
    text[size] = 0;
    fclose(f);
    return text;
}

static bool have_graphviz(void) {
    static int have = -1;
    if (have < 0) have = system("dot -V >/dev/null 2>&1") == 0;
    return have;
}

/* Graphviz reads it without a message. */
static void expect_accepted(void) {
    char command[400], said[256] = "";
    if (!have_graphviz()) return;
    snprintf(command, sizeof command, "dot -Tsvg -o /dev/null %s 2>&1", path);
    FILE *f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    if (!fgets(said, sizeof said, f)) said[0] = 0;
    int status = pclose(f);
    if (status != 0 || said[0]) ck_abort_msg("dot: %d: %s in\n%s", status, said, read_file(path));
}

static const char *drawn_with(int n, ag_tensor *const y[], ag_dot_options options) {
    if (ag_write_dot(path, n, y, &options) != AG_OK) ck_abort_msg("%s", ag_tape_error(tape));
    ck_assert_int_eq(files_in_directory(), 1);
    expect_accepted();
    return read_file(path);
}

static const char *drawn(ag_tensor *y) { return drawn_with(1, &y, (ag_dot_options){0}); }

/* Without strstr: a checked one searches for the end of a large file at each call. */
static int count(const char *in, const char *what) {
    int n = 0;
    size_t length = strlen(what);
    for (const char *at = in; *at; at++) n += *at == *what && strncmp(at, what, length) == 0;
    return n;
}

#define HAS(in, what) expect_count(__LINE__, in, what, -1)
#define HAS_NOT(in, what) expect_count(__LINE__, in, what, 0)
#define COUNT(in, what, n) expect_count(__LINE__, in, what, n)

static void expect_count(int line, const char *in, const char *what, int n) {
    int found = count(in, what);
    if (n < 0 ? found == 0 : found != n)
        ck_abort_msg("line %d: \"%s\" occurs %d times, not %d, in\n%s", line, what, found, n, in);
}

/* The line that defines the node with this title. */
static const char *node_titled(const char *in, const char *title) {
    static char line[4096];
    char wanted[200];
    snprintf(wanted, sizeof wanted, "<B>%s</B>", title);
    const char *at = strstr(in, wanted), *from = at, *to;
    if (!at) ck_abort_msg("no node is titled %s in\n%s", title, in);
    while (from > in && from[-1] != '\n') from--;
    to = strchr(at, '\n');
    snprintf(line, sizeof line, "%.*s", (int)(to - from), from);
    return line;
}

static ag_tensor *f64s(int64_t n, const double values[]) { return tensor_of(tape, AG_F64, AG_SHAPE(n), values); }
#define F64S(...) f64s((int64_t)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (const double[]){__VA_ARGS__})

static ag_tensor *parameter(const char *label, ag_shape shape) {
    double values[64];
    for (int i = 0; i < 64; i++) values[i] = scatter((uint64_t)i);
    return ag_label(ag_parameter(tape, AG_F64, shape, values), label);
}

/* ---- The drawing ---- */

START_TEST(operations_shapes_and_labels_are_there) {
    ag_tensor *w = parameter("weights", AG_SHAPE(3, 4)), *x = ag_label(ag_ones(tape, AG_F64, AG_SHAPE(2, 3)), "input");
    ag_tensor *y = ag_label(ag_sum_over(ag_relu(ag_matmul(x, w)), AG_AXES(0, 1), false), "total");
    ag_exp(y); /* not needed for y */
    const char *dot = drawn(y);
    HAS(dot, "digraph");
    HAS(node_titled(dot, "weights"), "f64 (3,4)");
    HAS(node_titled(dot, "matmul"), "f64 (2,4)");
    HAS(node_titled(dot, "sum"), "over 0,1");
    HAS(node_titled(dot, "sum"), "<I>total</I>");
    HAS(node_titled(dot, "sum"), "f64 ()");
    HAS(node_titled(dot, "sum"), "penwidth");
    COUNT(dot, "penwidth", 1);
    HAS(dot, "<I>input</I>");
    HAS_NOT(dot, "exp");
    HAS_NOT(dot, "read");
    COUNT(dot, " -> ", 5);        /* ones are a full one, broadcast */
    COUNT(dot, "[shape=", 6 + 1); /* and the legend */
    HAS_NOT(dot, "test_dot.c");
}
END_TEST

START_TEST(numbers_of_scalar_forms_are_shown) {
    ag_tensor *x = F64S(1, 2);
    const char *dot = drawn(ag_clamp(ag_add_scalar(ag_scale(x, 0.25), -1e-5), 0, 1));
    HAS(node_titled(dot, "scale"), "</B> 0.25");
    HAS(node_titled(dot, "add_scalar"), "</B> -1e-05");
}
END_TEST

START_TEST(kinds_look_different) {
    ag_tensor *w = parameter("w", AG_SHAPE(2)),
              *v = ag_label(ag_variable(tape, AG_F64, AG_SHAPE(2), (double[]){1, 2}), "v");
    ag_tensor *y = ag_sum(ag_mul(ag_mul(w, v), ag_label(F64S(3, 4), "c"))), *dw;
    ck_assert_int_eq(ag_grad(y, 1, &w, &dw), AG_OK);
    const char *dot = drawn_with(2, (ag_tensor *[]){y, dw}, (ag_dot_options){0});
    char look[5][300];
    const char *titles[] = {"w", "v", "c", "sum", "broadcast_to"};
    for (int i = 0; i < 5; i++) {
        const char *node = node_titled(dot, titles[i]);
        snprintf(look[i], sizeof look[i], "%.*s", (int)(strstr(node, ", label") - strstr(node, "shape=")),
                 strstr(node, "shape="));
        for (int j = 0; j < i; j++) ck_assert_str_ne(look[i], look[j]);
    }
    const char *legend = strstr(dot, "legend [");
    ck_assert_ptr_nonnull(legend);
    const char *kinds[] = {">parameter<", ">variable<", ">constant<", ">operation<", ">backward operation<"};
    for (int i = 0; i < 5; i++) HAS(legend, kinds[i]);
    legend = strstr(drawn(ag_exp(w)), "legend [");
    HAS_NOT(legend, kinds[4]);
    HAS_NOT(legend, kinds[1]);
}
END_TEST

START_TEST(a_variable_is_one_node) {
    ag_tensor *w = parameter("w", AG_SHAPE(2));
    const char *dot = drawn(ag_add(ag_mul(w, w), ag_exp(w)));
    COUNT(dot, "<B>w</B>", 1);
    COUNT(dot, " -> ", 5);
    HAS_NOT(dot, "#1");
    COUNT(drawn(w), "<B>w</B>", 1);
    COUNT(drawn_with(2, (ag_tensor *[]){w, ag_exp(w)}, (ag_dot_options){0}), "<B>w</B>", 1);
    /* versions with the same value are one */
    ag_tape_set_recording(tape, false);
    ag_tensor *held = ag_exp(w);
    ag_tape_set_recording(tape, true);
    COUNT(drawn(ag_mul(held, ag_exp(w))), "<B>w</B>", 1);
}
END_TEST

START_TEST(several_values_of_a_variable_are_numbered) {
    ag_tensor *w = parameter("w", AG_SHAPE(2)), *before = ag_exp(w);
    ag_set(w, (double[]){5, 6});
    ag_tensor *between = ag_exp(w);
    ag_assign(w, ag_add(w, between));
    const char *dot = drawn(ag_mul(before, ag_mul(between, w)));
    COUNT(dot, "<B>w #1</B>", 1);
    COUNT(dot, "<B>w #2</B>", 1);
    COUNT(dot, "<B>w #3</B>", 1);
    HAS(dot, "\"assigned\"");
    HAS_NOT(dot, "<B>w</B>");
}
END_TEST

START_TEST(values_are_shown) {
    ag_tensor *x = F64S(1, 2.5, -3), *large = ag_arange(tape, AG_F64, 101),
              *mask = ag_less(large, ag_scalar(tape, AG_F64, 10));
    ag_tensor *y = ag_sum(ag_square(x)), *z = ag_sum(ag_where(mask, large, ag_neg(large)));
    ag_tensor *index = ag_from(tape, AG_I64, AG_SHAPE(2), (int64_t[]){2, 0}), *nan = ag_log(ag_neg(ag_exp(large)));
    ag_tensor *all[] = {y, z, ag_gather(x, index, 0), nan, ag_zeros(tape, AG_F64, AG_SHAPE(0, 2))};
    const char *dot = drawn_with(5, all, (ag_dot_options){.values = true});
    HAS(dot, "[1, 2.5, -3]");
    HAS(dot, "[1, 6.25, 9]");
    HAS(node_titled(dot, "sum"), ">16.25<");
    HAS(dot, "0 … 100, mean 50");
    HAS(dot, "10 of 101 hold");
    HAS(dot, "[2, 0]");
    HAS(dot, "101 NaN");
    HAS_NOT(drawn_with(5, all, (ag_dot_options){0}), "[1, 2.5, -3]");
}
END_TEST

START_TEST(gradients_are_shown) {
    ag_tensor *w = ag_label(ag_parameter(tape, AG_F64, AG_SHAPE(2), (double[]){3, 5}), "w");
    ag_tensor *y = ag_sum(ag_square(w)), *other = ag_exp(ag_label(F64S(1), "aside"));
    const char *dot = drawn_with(2, (ag_tensor *[]){y, other}, (ag_dot_options){.gradients = true});
    HAS(node_titled(dot, "w"), "dy: [6, 10]");
    HAS(node_titled(dot, "square"), "dy: [1, 1]");
    HAS(node_titled(dot, "sum"), "dy: 1");
    HAS_NOT(node_titled(dot, "aside"), "dy:");
    HAS_NOT(dot, "full"); /* the inputs of the gradients are not drawn */
    HAS_NOT(drawn(y), "dy:");
}
END_TEST

START_TEST(places_are_shown) {
    ag_tensor *x = F64S(1, 2);
    char place[80];
    snprintf(place, sizeof place, "test_dot.c:%d<", __LINE__ + 1);
    ag_tensor *y = ag_exp(x);
    HAS(node_titled(drawn_with(1, &y, (ag_dot_options){.places = true}), "exp"), place);
}
END_TEST

/* The number of the frame around the node with this title; 0: no frame. */
static int region_of(const char *in, const char *title) {
    char wanted[200];
    int region = 0;
    snprintf(wanted, sizeof wanted, "<B>%s</B>", title);
    const char *at = strstr(in, wanted), *from = at;
    if (!at) ck_abort_msg("no node is titled %s in\n%s", title, in);
    while (from > in && from[-1] != '\n') from--;
    for (from -= from > in; from > in && from[-1] != '\n';) from--; /* a frame is opened on the line before */
    sscanf(from, " subgraph cluster_%d", &region);
    return region;
}

START_TEST(regions_are_framed) {
    ag_tensor *w = parameter("w", AG_SHAPE(8, 8)), *x = ag_ones(tape, AG_F64, AG_SHAPE(8, 8)), *dw;
    ag_tensor *h = ag_exp(ag_square(w)), *y = ag_sum(ag_tanh(ag_abs(ag_matmul(x, h)))), *both[] = {y, NULL};
    ck_assert_int_eq(ag_grad(y, 1, &w, &dw), AG_OK);
    both[1] = dw;
    char *first = strdup(drawn_with(2, both, (ag_dot_options){.regions = true}));
    ck_assert_ptr_nonnull(first);
    ck_assert_int_eq(region_of(first, "square"), 1);
    ck_assert_int_eq(region_of(first, "exp"), 1);
    ck_assert_int_eq(region_of(first, "tanh"), 2);
    ck_assert_int_eq(region_of(first, "abs"), 2);
    ck_assert_int_eq(region_of(first, "sum"), 2);
    ck_assert_int_eq(region_of(first, "matmul"), 0);
    ck_assert_int_eq(region_of(first, "w"), 0);
    HAS(node_titled(first, "matmul"), "peripheries=2");
    COUNT(first, "peripheries", 2);
    HAS_NOT(drawn_with(2, both, (ag_dot_options){0}), "cluster");
    ag_eval_all(2, both); /* drawn as if nothing had been computed */
    ck_assert_str_eq(drawn_with(2, both, (ag_dot_options){.regions = true}), first);
    free(first);
}
END_TEST

static bool adding_infer(ag_infer *r) { return (void)r, true; }
static bool adding_eval(const ag_call *c) {
    double *y = c->y.data;
    for (int64_t i = 0; i < c->y.size; i++) y[i] = (c->accumulate ? y[i] : 0) + 1;
    return true;
}
static const ag_op op_adding = {.name = "adding",
                                .kind = AG_KIND_CONTRACTION,
                                .arity = 1,
                                .flags = AG_OP_ACCUMULATES,
                                .infer = adding_infer,
                                .eval = adding_eval};

START_TEST(a_product_is_framed_with_its_sum) {
    ag_tensor *x = scattered(tape, AG_F64, AG_SHAPE(5000), 0); /* a smaller product is not added in pieces */
    ag_tensor *y = ag_exp(ag_add(ag_neg(x), ag_apply(&op_adding, 1, &x, NULL, 0)));
    for (int i = 0; i < 2; i++) {
        const char *dot = drawn_with(1, &y, (ag_dot_options){.regions = true});
        ck_assert_int_eq(region_of(dot, "neg"), 1);
        ck_assert_int_eq(region_of(dot, "adding"), 2);
        ck_assert_int_eq(region_of(dot, "add"), 2);
        ck_assert_int_eq(region_of(dot, "exp"), 3);
        ag_eval(y); /* again, after it has been computed */
    }
}
END_TEST

/* Marks, counts and values are unchanged: later evaluations and releases show it. */
START_TEST(drawing_regions_leaves_no_trace) {
    ag_tape_set_eager(tape, false);
    double results[2];
    int64_t live[2];
    for (int i = 0; i < 2; i++) {
        ag_mark mark = ag_tape_mark(tape);
        ag_tensor *w = parameter("w", AG_SHAPE(8)), *v = ag_variable(tape, AG_F64, AG_SHAPE(8), (double[8]){0}), *dw;
        ag_tensor *h = ag_exp(ag_square(w)), *y = ag_sum(ag_mul(ag_tanh(h), ag_add(h, v)));
        ag_assign(v, ag_scale(h, 2));
        if (i) drawn_with(1, &y, (ag_dot_options){.regions = true});
        ag_eval(y);
        if (i) drawn_with(2, (ag_tensor *[]){y, v}, (ag_dot_options){.regions = true});
        ag_grad(y, 1, &w, &dw);
        if (i) drawn_with(2, (ag_tensor *[]){dw, h}, (ag_dot_options){.regions = true});
        results[i] = ag_element(dw, 3) + ag_element(v, 2) + ag_element(h, 1);
        live[i] = ag_tape_memory(tape).live;
        ag_tape_rewind(tape, mark);
    }
    ck_assert_double_eq(results[0], results[1]);
    ck_assert_int_eq(live[0], live[1]);
}
END_TEST

/* ---- Hostile text ---- */

START_TEST(no_label_breaks_out) {
    const char *labels[] = {"\"quoted\"",
                            "back\\slash\\",
                            "new\nline\ttab",
                            "<B>bold</B>",
                            "</B>>]; evil [label=<",
                            "&amp; &lt; & &#0; &unknown;",
                            "\x01\x02\x1b[31m\x7f",
                            "\xff\xfe broken \xc3",
                            "\xed\xa0\x80 \xef\xbf\xbf \xf4\x90\x80\x80 \xc0\x80",
                            "ünïcödé 漢字 🙂",
                            " ",
                            "",
                            "]]>",
                            "<!-- comment -->",
                            "\\N \\G \\L"};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        ag_tensor *x = ag_label(ag_parameter(tape, AG_F64, AG_SHAPE(1), (double[]){1}), labels[i]);
        const char *dot =
            drawn_with(1, (ag_tensor *[]){ag_label(ag_exp(x), labels[i])}, (ag_dot_options){true, true, true, true});
        COUNT(dot, "\n  n", 1 + 3); /* how nodes look, two nodes and an edge, whatever the label says */
        HAS_NOT(dot, "evil [label=<\n");
    }
    HAS(drawn(ag_label(F64S(1), "a < b & \"c\"")), "a &lt; b &amp; &quot;c&quot;");
    HAS(drawn(ag_label(F64S(1), "ü")), "<B>ü</B>");
    HAS(drawn(ag_label(F64S(1), "a\xff\x01z")), "<B>a\xEF\xBF\xBD\xEF\xBF\xBDz</B>");
}
END_TEST

int ag__utf8_length(const unsigned char *s); /* its header would leave out where calls are */

/* Whether these bytes are one character: those that its number has in the shortest form. */
static bool is_character(const unsigned char *s, int n) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0}, kept[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t c = s[0] & kept[n];
    bool formed = n == 1 ? s[0] < 0x80 : (s[0] & ~kept[n] & 0xFF) == lead[n];
    for (int i = 1; i < n; i++) formed = formed && s[i] >> 6 == 2, c = c << 6 | (s[i] & 0x3Fu);
    return formed && c >= least[n] && c <= 0x10FFFF && !(c >= 0xD800 && c < 0xE000);
}

/* Bytes around each limit, at each of four places. */
START_TEST(characters_are_those_of_utf_8) {
    static const unsigned char bytes[] = {0,    0x01, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBD,
                                          0xBE, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC,
                                          0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};
    enum { N = sizeof bytes };
    for (int i = 1; i < N * N * N * N; i++) {
        const unsigned char s[] = {bytes[i % N], bytes[i / N % N], bytes[i / N / N % N], bytes[i / N / N / N], 0};
        const int n = (int)strlen((const char *)s);
        if (n == 0) continue;
        const bool good = is_character(s, n), last = n == 3 && s[0] == 0xEF && s[1] == 0xBF && s[2] > 0xBD;
        ck_assert_msg((ag__utf8_length(s) == n) == (good && !last), "%02X %02X %02X %02X", s[0], s[1], s[2], s[3]);
        bool whole = false; /* several characters, of those that XML lacks too */
        for (int from = 0, m = 1; from < n; from += m) {
            for (m = 1; from + m <= n && !(whole = is_character(s + from, m)); m++) {
            }
            if (!whole) break;
        }
        ck_assert_int_eq(ag__is_utf8((const char *)s, (size_t)n), whole);
    }
}
END_TEST

START_TEST(long_labels_are_cut_at_a_character) {
    char label[601] = "";
    for (int i = 0; i < 300; i++) strcat(label, "ü");
    const char *dot = drawn(ag_label(F64S(1), label));
    COUNT(dot, "ü", 60);
    HAS(dot, "…");
}
END_TEST

static bool copy_infer(ag_infer *r) { return (void)r, true; }
static bool copy_eval(const ag_call *c) { return memcpy(c->y.data, c->x[0].data, (size_t)c->y.size * 8), true; }

START_TEST(names_of_operations_are_escaped_too) {
    const char *names[] = {"<b>&\"\\", "", "\n"};
    for (int i = 0; i < 3; i++) {
        ag_op op = {.name = names[i],
                    .kind = AG_KIND_OPAQUE,
                    .arity = 1,
                    .flags = AG_OP_CONTIGUOUS,
                    .infer = copy_infer,
                    .eval = copy_eval};
        ag_mark mark = ag_tape_mark(tape);
        ag_tensor *x = F64S(1, 2);
        drawn_with(1, (ag_tensor *[]){ag_apply(&op, 1, &x, NULL, 0)}, (ag_dot_options){.values = true});
        ag_tape_rewind(tape, mark);
    }
}
END_TEST

/* ---- The tape is unchanged ---- */

START_TEST(the_tape_is_as_before) {
    ag_tensor *w = parameter("w", AG_SHAPE(4)), *v = ag_variable(tape, AG_F64, AG_SHAPE(4), (double[4]){0});
    ag_tensor *y = ag_sum(ag_exp(ag_square(w)));
    ag_mark mark = ag_tape_mark(tape);
    ag_assign(v, ag_exp(w));
    ag_memory before = ag_tape_memory(tape);
    drawn_with(1, &y, (ag_dot_options){.places = true});
    ag_memory after = ag_tape_memory(tape);
    ck_assert_int_eq(after.nodes, before.nodes);
    ck_assert_int_eq(after.live, before.live);
    drawn_with(1, &y, (ag_dot_options){true, true, true, true});
    ck_assert_int_eq(ag_tape_memory(tape).nodes, before.nodes);
    before = ag_tape_memory(tape);
    drawn_with(1, &y, (ag_dot_options){true, true, true, true});
    drawn_with(1, &v, (ag_dot_options){.values = true});
    ck_assert_int_eq(ag_tape_memory(tape).nodes, before.nodes);
    ck_assert_int_eq(ag_tape_memory(tape).live, before.live);
    ag_tensor *dw;
    ck_assert_int_eq(ag_grad(y, 1, &w, &dw), AG_OK);
    double x = scatter(1);
    ck_assert_double_eq_tol(ag_element(dw, 1), 2 * x * exp(x * x), 1e-12);
    ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
    ck_assert_double_eq(ag_element(v, 1), exp(scatter(1)));
}
END_TEST

/* ---- Files ---- */

START_TEST(an_older_file_is_replaced) {
    FILE *f = fopen(path, "w");
    fputs("old", f);
    fclose(f);
    HAS(drawn(F64S(1)), "digraph");
    HAS_NOT(text, "old");
}
END_TEST

START_TEST(what_cannot_be_written_is_an_error) {
    ag_tensor *x = F64S(1);
    char bad[200];
    snprintf(bad, sizeof bad, "%s/missing/graph.dot", directory);
    ck_assert_int_eq(ag_write_dot(bad, 1, &x, NULL), AG_ERR_FILE);
    expect_error(tape, AG_ERR_FILE, "write_dot", bad, strerror(ENOENT), "test_dot.c:");
    snprintf(bad, sizeof bad, "%s/folder", directory);
    ck_assert_int_eq(mkdir(bad, 0700), 0);
    ck_assert_int_eq(ag_write_dot(bad, 1, &x, NULL), AG_ERR_FILE);
    expect_error(tape, AG_ERR_FILE, bad, strerror(EISDIR));
    ck_assert_int_eq(files_in_directory(), 1);
    rmdir(bad);
    ck_assert_int_eq(ag_write_dot("", 1, &x, NULL), AG_ERR_FILE); /* a file cannot have that name */
    expect_error(tape, AG_ERR_FILE, "write_dot");
}
END_TEST

/* The disk becomes full while writing: only the old file remains. */
START_TEST(a_file_that_is_cut_short_is_not_left) {
    ag_tensor *y = F64S(1);
    for (int i = 0; i < 2000; i++) y = ag_exp(y);
    FILE *f = fopen(path, "w");
    fputs("old", f);
    fclose(f);
    struct rlimit former, limit;
    getrlimit(RLIMIT_FSIZE, &former);
    limit = former;
    limit.rlim_cur = 50000;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    ag_status status = ag_write_dot(path, 1, &y, NULL);
    setrlimit(RLIMIT_FSIZE, &former);
    signal(SIGXFSZ, handler);
    ck_assert_int_eq(status, AG_ERR_FILE);
    expect_error(tape, AG_ERR_FILE, path, strerror(EFBIG));
    ck_assert_str_eq(read_file(path), "old");
    ck_assert_int_eq(files_in_directory(), 1);
}
END_TEST

/* ---- Errors ---- */

static bool failing_eval(const ag_call *c) { return ag_call_fail(c, AG_ERR_RANGE, "on purpose"); }
static bool drawing_eval(const ag_call *c) {
    ag_tensor *y = (ag_tensor *)(uintptr_t)c->node;
    return ag_write_dot(path, 1, &y, &(ag_dot_options){.regions = true}) == AG_OK;
}
static const ag_op op_drawing = {
    .name = "drawing", .kind = AG_KIND_OPAQUE, .arity = 1, .infer = copy_infer, .eval = drawing_eval};
static const ag_op op_failing = {
    .name = "failing", .kind = AG_KIND_OPAQUE, .arity = 1, .infer = copy_infer, .eval = failing_eval};

START_TEST(arguments_are_checked) {
    ag_tensor *x = F64S(1, 2), *none[] = {x, NULL};
    ag_dot_options gradients = {.gradients = true}, values = {.values = true};
    ck_assert_int_eq(ag_write_dot(NULL, 1, &x, NULL), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "path", "test_dot.c:");
    ck_assert_int_eq(ag_write_dot(path, 1, NULL, NULL), AG_ERR_NULL);
    expect_error(NULL, AG_ERR_NULL, "list of tensors");
    ck_assert_int_eq(ag_write_dot(path, 0, &x, NULL), AG_ERR_RANGE);
    expect_error(NULL, AG_ERR_RANGE, "0 tensors");
    ck_assert_int_eq(ag_write_dot(path, 2, none, NULL), AG_ERR_NULL);
    expect_error(tape, AG_ERR_NULL, "write_dot");
    ck_assert_int_eq(ag_write_dot(path, 1, &x, &gradients), AG_ERR_SHAPE);
    expect_error(tape, AG_ERR_SHAPE, "2 elements");
    ag_tensor *failing = ag_apply(&op_failing, 1, &x, NULL, 0);
    int64_t nodes = ag_tape_memory(tape).nodes;
    ck_assert_int_eq(ag_write_dot(path, 1, &failing, &values), AG_ERR_RANGE);
    expect_error(tape, AG_ERR_RANGE, "on purpose");
    ag_tensor *sum = ag_sum(failing);
    ck_assert_int_eq(ag_write_dot(path, 1, &sum, &gradients), AG_ERR_GRADIENT);
    expect_error(tape, AG_ERR_GRADIENT, "not differentiable");
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes + 1);
    ck_assert_int_eq(ag_eval(ag_apply(&op_drawing, 1, &x, NULL, 0)), AG_ERR_TAPE);
    expect_error(tape, AG_ERR_TAPE, "write_dot", "being evaluated");
    ag_reshape(x, AG_SHAPE(3));
    ck_assert_int_eq(ag_write_dot(path, 1, &x, NULL), AG_ERR_SHAPE);
    expect_error(tape, AG_ERR_SHAPE, "reshape");
    ck_assert_int_eq(files_in_directory(), 0);
}
END_TEST

START_TEST(allocations_may_fail) {
    ag_tape *usual = tape;
    bool failed = true;
    for (int64_t at = 1; failed; at++) {
        ledger l;
        ledger_open(&l);
        tape = ag_tape_new_with(&l.allocator);
        ag_tensor *w = parameter("w", AG_SHAPE(3)), *y = ag_sum(ag_exp(w));
        int64_t nodes = ag_tape_memory(tape).nodes;
        l.fail_at = l.calls + at;
        ag_dot_options all = {true, true, true, true};
        ag_status status = ag_write_dot(path, 1, &y, &all);
        failed = l.failed;
        l.fail_at = 0;
        bool refused = failed && status != AG_OK; /* an evaluation may do without the memory */
        ck_assert_int_eq(status, refused ? AG_ERR_MEMORY : AG_OK);
        expect_error(tape, status, refused ? "out of memory" : "");
        ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
        ck_assert_int_eq(files_in_directory(), refused ? 0 : 1);
        unlink(path);
        ag_tape_free(tape);
        ledger_close(&l);
    }
    tape = usual;
}
END_TEST

START_TEST(a_graph_may_be_deep) {
    ag_tensor *y = parameter("w", AG_SHAPE(1));
    int64_t n = small_run() ? 2000 : 200000;
    for (int64_t i = 0; i < n; i++) y = ag_neg(y);
    ck_assert_int_eq(ag_write_dot(path, 1, &y, NULL), AG_OK);
    COUNT(read_file(path), " -> ", (int)n);
}
END_TEST

START_TEST(many_versions_take_linear_time) {
    ag_tensor *w = parameter("w", AG_SHAPE(1)), *sum = ag_exp(w);
    int64_t n = small_run() ? 200 : 5000;
    for (int64_t i = 0; i < n; i++) {
        ag_set(w, (double[]){(double)i});
        sum = ag_add(sum, w);
    }
    ck_assert_int_eq(ag_write_dot(path, 1, &sum, NULL), AG_OK);
    COUNT(read_file(path), "<B>w #", (int)n + 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("dot");
    TCase *looks = plain_group(suite, "what is drawn");
    tcase_add_checked_fixture(looks, open_directory, close_directory);
    tcase_add_test(looks, operations_shapes_and_labels_are_there);
    tcase_add_test(looks, numbers_of_scalar_forms_are_shown);
    tcase_add_test(looks, kinds_look_different);
    tcase_add_test(looks, a_variable_is_one_node);
    tcase_add_test(looks, several_values_of_a_variable_are_numbered);
    tcase_add_test(looks, values_are_shown);
    tcase_add_test(looks, gradients_are_shown);
    tcase_add_test(looks, places_are_shown);
    tcase_add_test(looks, regions_are_framed);
    tcase_add_test(looks, a_product_is_framed_with_its_sum);
    tcase_add_test(looks, drawing_regions_leaves_no_trace);
    tcase_add_test(looks, no_label_breaks_out);
    tcase_add_test(looks, characters_are_those_of_utf_8);
    tcase_add_test(looks, long_labels_are_cut_at_a_character);
    tcase_add_test(looks, names_of_operations_are_escaped_too);
    tcase_add_test(looks, the_tape_is_as_before);
    TCase *files = plain_group(suite, "files");
    tcase_add_checked_fixture(files, open_directory, close_directory);
    tcase_add_test(files, an_older_file_is_replaced);
    tcase_add_test(files, what_cannot_be_written_is_an_error);
    tcase_add_test(files, a_file_that_is_cut_short_is_not_left);
    tcase_add_test(files, arguments_are_checked);
    tcase_add_test(files, allocations_may_fail);
    tcase_add_test(files, a_graph_may_be_deep);
    tcase_add_test(files, many_versions_take_linear_time);
    return run_suite(suite);
}
