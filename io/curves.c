/* curves -- curves of a training run as a picture, and as a line of text
 *
 * Two scales map values into the picture: everything drawn is within their frame, because they span all values. The
 * style sheet names only classes below .ag-curves, and the picture has no identifiers, so that several fit one page. */
#include "io/curves.h"
#include "autograd/report/text.h"
#include "autograd/tape/file.h"
#include "autograd/tape/op.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { MOST_CURVES = 100, LEAST_SIZE = 200, MOST_SIZE = 10000, COLOURS = 8, MOST_TICKS = 40 };

/* ---- Scales ---- */

/* Values from low to high lie between the pixels `from` and `to`. Both are logarithms on a logarithmic scale. */
typedef struct scale {
    double low, high, from, to;
    bool logarithmic;
} scale;

static bool is_drawn(const scale *s, double value) { return isfinite(value) && (!s->logarithmic || value > 0); }

/* Halves, so that no difference of finite values overflows. */
static double place(const scale *s, double value) {
    double v = s->logarithmic ? log10(value) : value;
    return s->from + (v / 2 - s->low / 2) / (s->high / 2 - s->low / 2) * (s->to - s->from);
}

static double x_of(const ag_curve *c, int64_t i) { return c->x ? c->x[i] : (double)i; }

static void widen(scale *s, double value) {
    double v = s->logarithmic ? log10(value) : value;
    if (v < s->low) s->low = v;
    if (v > s->high) s->high = v;
}

/* A range that is empty, or so narrow that rounding shows, gets a width. */
static void settle(scale *s) {
    if (!(s->low <= s->high)) s->low = 0, s->high = 1;
    double size = fmax(fabs(s->low), fabs(s->high));
    if (s->high / 2 - s->low / 2 > fmax(size * 1e-9, 1e-290)) return;
    double width = size > 1e-290 ? size / 10 : 0.5;
    s->low = fmax(s->low - width, -DBL_MAX);
    s->high = fmin(s->high + width, DBL_MAX);
}

/* The largest of 1, 2, 5 and their like in other decades that is not above x. */
static double round_down(double x) {
    double decade = pow(10, floor(log10(x)));
    return x >= 5 * decade ? 5 * decade : x >= 2 * decade ? 2 * decade : decade;
}

/* Multiples of a round step from low to high. */
static int even_ticks(double low, double high, double least_step, double tick[MOST_TICKS]) {
    double width = high - low, step = fmax(least_step, round_down(width / 4)), first = ceil(low / step - 1e-9) * step;
    int n = 0;
    if (!isfinite(width)) return 0;
    for (int i = 0; n < MOST_TICKS && first + i * step <= high + 1e-9 * width; i++) {
        double at = first + i * step;
        tick[n++] = fabs(at) < 1e-9 * width ? 0 : at;
    }
    return n;
}

/* Keeps what a double can hold. */
static int add_power(double tick[MOST_TICKS], int n, double factor, double exponent) {
    double at = factor * pow(10, exponent);
    if (at > 0 && isfinite(at) && n < MOST_TICKS) tick[n++] = at;
    return n;
}

/* On a logarithmic scale powers of ten; 2 and 5 times these too where there are few; as on a linear one where the scale
 * is no more than a few of these. */
static int ticks_of(const scale *s, double tick[MOST_TICKS]) {
    static const double between[] = {1, 2, 5};
    double width = s->high - s->low, exponent[MOST_TICKS];
    int n = 0, powers = width > 3 ? even_ticks(s->low, s->high, 1, exponent) : 0;
    if (!s->logarithmic) return even_ticks(s->low, s->high, 0, tick);
    if (width < 0.7) return even_ticks(pow(10, s->low), pow(10, s->high), 0, tick);
    for (int i = 0; i < powers; i++) n = add_power(tick, n, 1, exponent[i]);
    for (double decade = floor(s->low); powers == 0 && decade <= s->high; decade++)
        for (int i = 0; i < 3; i++) {
            double at = decade + log10(between[i]);
            if (at >= s->low - 1e-9 && at <= s->high + 1e-9) n = add_power(tick, n, between[i], decade);
        }
    return n;
}

/* ---- The picture ---- */

typedef struct picture {
    int n;
    const ag_curve *curve;
    ag_curves_options how;
    scale x, y;
    ag__text t;
} picture;

static const char style[] =
    ".ag-curves{--paper:#fff;--ink:#222;--faint:#666;--grid:#e3e3e3;--c0:#1f6fb4;--c1:#c8550d;--c2:#23803d;--c3:#"
    "b03a8c;"
    "--c4:#7a5c2e;--c5:#6b5fc7;--c6:#0b7f86;--c7:#b3261e;font:12px system-ui,sans-serif;max-width:100%;height:auto}\n"
    "@media(prefers-color-scheme:dark){.ag-curves{--paper:#16181b;--ink:#e6e6e6;--faint:#a0a0a0;--grid:#33373c;"
    "--c0:#6cb1ee;--c1:#f2935a;--c2:#6cc585;--c3:#e288c4;--c4:#cfae76;--c5:#aaa1f2;--c6:#58c3ca;--c7:#f2827b}}\n"
    ".ag-curves .paper{fill:var(--paper)}.ag-curves text{fill:var(--faint)}.ag-curves .title{fill:var(--ink);"
    "font-size:15px;font-weight:600}.ag-curves .name{fill:var(--ink)}.ag-curves .left{text-anchor:end}"
    ".ag-curves .below{text-anchor:middle}.ag-curves .grid{stroke:var(--grid)}.ag-curves .axis{stroke:var(--faint);"
    "fill:none}.ag-curves .curve{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}";

static void put_text(picture *p, const char *text) { ag__put_escaped(&p->t, text, strlen(text), 200, AG__XML); }

static void put_words(picture *p, double x, double y, const char *class, const char *words) {
    ag__putf(&p->t, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, class);
    put_text(p, words);
    ag__put(&p->t, "</text>\n");
}

static void put_grid(picture *p) {
    double tick[MOST_TICKS];
    char label[AG__NUMBER];
    int n = ticks_of(&p->y, tick);
    for (int i = 0; i < n; i++) {
        double at = place(&p->y, tick[i]);
        ag__putf(&p->t, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>\n", p->x.from, at, p->x.to);
        put_words(p, p->x.from - 7, at + 4, "left", ag__number(label, 5, tick[i]));
    }
    n = ticks_of(&p->x, tick);
    for (int i = 0; i < n; i++) {
        double at = place(&p->x, tick[i]);
        ag__putf(&p->t, "<path class=\"axis\" d=\"M%.1f %.1fv4\"/>\n", at, p->y.from);
        put_words(p, at, p->y.from + 17, "below", ag__number(label, 5, tick[i]));
    }
    ag__putf(&p->t, "<path class=\"axis\" d=\"M%.1f %.1fV%.1fH%.1f\"/>\n", p->x.from, p->y.to, p->y.from, p->x.to);
}

/* ---- Curves ---- */

/* The points of a curve in one column of the picture. */
typedef struct stack {
    int64_t pixel;
    double first, low, high, last; /* places on the y axis */
    int count;
} stack;

static void put_points(picture *p, const stack *c, bool *pen_down) {
    double x = (double)c->pixel / 2;
    const double y[] = {c->first, c->low, c->high, c->last};
    for (int i = 0; i < 4; i++) {
        if (i > 0 && y[i] == y[i - 1]) continue;
        ag__putf(&p->t, "%c%.1f %.1f", *pen_down ? 'L' : 'M', x, y[i]);
        *pen_down = true;
    }
}

static void add_point(stack *c, double y) {
    if (c->count++ == 0) c->first = c->low = c->high = y;
    c->low = fmin(c->low, y);
    c->high = fmax(c->high, y);
    c->last = y;
}

/* A point between two gaps is a line of no length, which has round ends. */
static void end_stroke(picture *p, stack *c, bool *pen_down, int64_t points) {
    if (c->count > 0) put_points(p, c, pen_down);
    if (points == 1) ag__put(&p->t, "h0");
    *pen_down = false;
    c->count = 0;
}

static void put_stroke(picture *p, const ag_curve *c) {
    stack at = {.count = 0};
    bool pen_down = false;
    int64_t points = 0; /* of this stroke */
    for (int64_t i = 0; i < c->n; i++) {
        if (!is_drawn(&p->x, x_of(c, i)) || !is_drawn(&p->y, c->y[i])) {
            end_stroke(p, &at, &pen_down, points);
            points = 0;
            continue;
        }
        int64_t pixel = (int64_t)(2 * place(&p->x, x_of(c, i)) + 0.5);
        if (at.count > 0 && pixel != at.pixel) {
            put_points(p, &at, &pen_down);
            at.count = 0;
        }
        at.pixel = pixel;
        add_point(&at, place(&p->y, c->y[i]));
        points++;
    }
    end_stroke(p, &at, &pen_down, points);
}

/* Beyond the number of colours curves are dashed, more finely each time round. */
static void put_style(picture *p, int i) {
    ag__putf(&p->t, "<path class=\"curve\" style=\"stroke:var(--c%d)\"", i % COLOURS);
    if (i >= COLOURS) ag__putf(&p->t, " stroke-dasharray=\"%d 5\"", 8 / (i / COLOURS) + 1);
    ag__put(&p->t, " d=\"");
}

static void put_curve(picture *p, int i) {
    put_style(p, i);
    put_stroke(p, &p->curve[i]);
    ag__put(&p->t, "\"><title>");
    put_text(p, p->curve[i].name);
    ag__put(&p->t, "</title></path>\n");
}

/* ---- Words ---- */

/* The width of a text is not known: 7 pixels for a character are enough for most. */
static double width_of(const char *text) {
    double characters = 0;
    for (; *text; text++) characters += (*text & 0xC0) != 0x80;
    return 7 * fmin(characters, 200);
}

/* The rows of the legend; it is written if `written`. */
static int legend(picture *p, double top, bool written) {
    double x = p->x.from;
    int rows = 1;
    for (int i = 0; i < p->n; i++) {
        double width = 24 + width_of(p->curve[i].name) + 18;
        if (x > p->x.from && x + width > p->x.to) x = p->x.from, rows++;
        double y = top + 18 * (rows - 1);
        if (written) {
            put_style(p, i);
            ag__putf(&p->t, "M%.1f %.1fh18\"/>\n", x, y - 4);
            put_words(p, x + 24, y, "name", p->curve[i].name);
        }
        x += width;
    }
    return rows;
}

static void put_labels(picture *p) {
    double middle = (p->x.from + p->x.to) / 2;
    if (p->how.title) put_words(p, p->x.from, 22, "title", p->how.title);
    if (p->how.x_label) put_words(p, middle, p->y.from + 36, "below", p->how.x_label);
    if (!p->how.y_label) return;
    middle = (p->y.from + p->y.to) / 2;
    ag__putf(&p->t, "<text class=\"below\" transform=\"translate(14 %.1f) rotate(-90)\">", middle);
    put_text(p, p->how.y_label);
    ag__put(&p->t, "</text>\n");
}

/* ---- All of it ---- */

static void find_scales(picture *p) {
    p->x = (scale){.low = INFINITY, .high = -INFINITY, .logarithmic = p->how.logarithmic_x};
    p->y = (scale){.low = INFINITY, .high = -INFINITY, .logarithmic = p->how.logarithmic_y};
    for (int k = 0; k < p->n; k++) {
        const ag_curve *c = &p->curve[k];
        for (int64_t i = 0; i < c->n; i++) {
            if (!is_drawn(&p->x, x_of(c, i)) || !is_drawn(&p->y, c->y[i])) continue;
            widen(&p->x, x_of(c, i));
            widen(&p->y, c->y[i]);
        }
    }
    settle(&p->x);
    settle(&p->y);
}

/* The height grows with the rows of the legend. */
static void put_picture(picture *p) {
    double left = p->how.y_label ? 74 : 58, top = p->how.title ? 44 : 18, bottom = p->how.x_label ? 46 : 28;
    p->x.from = left;
    p->x.to = p->how.width - 16;
    int more = 18 * (legend(p, top, false) - 1), height = p->how.height + more;
    p->y.to = top + more + 12;
    p->y.from = height - bottom;
    ag__putf(&p->t,
             "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"ag-curves\" role=\"img\" viewBox=\"0 0 %d %d\" "
             "width=\"%d\" height=\"%d\">\n<title>",
             p->how.width, height, p->how.width, height);
    put_text(p, p->how.title ? p->how.title : "curves");
    ag__put(&p->t, "</title>\n<style>");
    ag__put(&p->t, style);
    ag__put(&p->t, "</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n");
    put_grid(p);
    for (int i = 0; i < p->n; i++) put_curve(p, i);
    legend(p, top, true);
    put_labels(p);
    ag__put(&p->t, "</svg>\n");
}

static bool refuse(ag_tape *tape, const char *call, ag_status status, int i, const char *problem) {
    if (i < 0) ag__fail_on(tape, call, status, "%s", problem);
    else ag__fail_on(tape, call, status, "curve %d: %s", i, problem);
    return false;
}

static bool size_valid(int size) { return size >= LEAST_SIZE && size <= MOST_SIZE; }

static bool picture_valid(const picture *p, ag_tape *tape, const char *call) {
    if (p->n < 1 || p->n > MOST_CURVES) return refuse(tape, call, AG_ERR_RANGE, -1, "1 to 100 curves are wanted");
    if (!p->curve) return refuse(tape, call, AG_ERR_NULL, -1, "the list of curves is NULL");
    if (!size_valid(p->how.width) || !size_valid(p->how.height))
        return refuse(tape, call, AG_ERR_RANGE, -1, "width and height must be 200 to 10000");
    for (int i = 0; i < p->n; i++) {
        const ag_curve *c = &p->curve[i];
        if (!c->name) return refuse(tape, call, AG_ERR_NULL, i, "the name is NULL");
        if (c->n < 0) return refuse(tape, call, AG_ERR_RANGE, i, "the number of points is below 0");
        if (c->n > 0 && !c->y) return refuse(tape, call, AG_ERR_NULL, i, "the values are NULL");
    }
    return true;
}

/* The picture's text, to be released or finished; false after an error. */
static bool make(picture *p, ag_tape *tape, const char *call) {
    if (!tape) ag__fail_on(NULL, call, AG_ERR_NULL, "the tape is NULL");
    if (!tape || !ag__in_order(tape, call)) return false;
    if (p->how.width == 0) p->how.width = 720;
    if (p->how.height == 0) p->how.height = 360;
    if (!picture_valid(p, tape, call)) return false;
    p->t = (ag__text){.tape = tape};
    find_scales(p);
    put_picture(p);
    return true;
}

static picture picture_of(int n, const ag_curve curve[], const ag_curves_options *options) {
    picture p = {.n = n, .curve = curve};
    if (options) p.how = *options;
    return p;
}

const char *ag_curves_svg(ag_tape *tape, int n, const ag_curve curve[], const ag_curves_options *options) {
    int line;
    const char *file = ag__here_file(&line), *text = "";
    picture p = picture_of(n, curve, options);
    if (make(&p, tape, "curves_svg")) text = ag__text_finish(&p.t, "curves_svg");
    ag__leave(tape, file, line);
    return text;
}

static void fill(FILE *file, void *context) {
    const ag__text *t = context;
    fwrite(t->bytes, 1, t->used, file);
}

ag_status ag_curves_write(ag_tape *tape, const char *path, int n, const ag_curve curve[],
                          const ag_curves_options *options) {
    int line;
    const char *file = ag__here_file(&line);
    picture p = picture_of(n, curve, options);
    if (!path) ag__fail_on(tape, "curves_write", AG_ERR_NULL, "the path is NULL");
    else if (make(&p, tape, "curves_write")) {
        if (p.t.failed) ag__fail_on(tape, "curves_write", AG_ERR_MEMORY, "out of memory (%zu bytes)", p.t.used);
        else ag__write_file(tape, "curves_write", path, fill, &p.t);
        if (p.t.bytes) ag__resize(tape, p.t.bytes, p.t.room, 0);
    }
    return ag__leave(tape, file, line);
}

/* ---- Sparklines ---- */

/* The mean of the finite values in one of `columns` groups of neighbours; NaN without any. Each is divided first, so
 * that the sum does not overflow. */
static double mean_of(int64_t n, const double y[], int column, int columns) {
    int64_t share = n / columns, more = n % columns, finite = 0;
    int64_t from = column * share + (column < more ? column : more), to = from + share + (column < more);
    double mean = 0;
    for (int64_t i = from; i < to; i++) finite += isfinite(y[i]);
    for (int64_t i = from; i < to; i++)
        if (isfinite(y[i])) mean += y[i] / (double)finite;
    return finite ? mean : (double)NAN;
}

static void put_blocks(ag__text *t, int64_t n, const double y[], int columns) {
    double low = INFINITY, high = -INFINITY;
    if (columns > n) columns = (int)n;
    for (int i = 0; i < columns; i++) {
        double mean = mean_of(n, y, i, columns);
        low = fmin(low, mean);
        high = fmax(high, mean);
    }
    for (int i = 0; i < columns; i++) {
        double mean = mean_of(n, y, i, columns), part = (mean / 2 - low / 2) / (high / 2 - low / 2);
        int height = high > low ? (int)(part * 8) : 3;
        if (!isfinite(mean)) ag__put(t, " ");
        else ag__putf(t, "\xE2\x96%c", (char)(0x81 + (height < 7 ? height : 7)));
    }
}

const char *ag_sparkline(ag_tape *tape, int64_t n, const double y[], int columns) {
    int line;
    const char *file = ag__here_file(&line), *text = "";
    if (!tape || (!y && n > 0))
        ag__fail_on(tape, "sparkline", AG_ERR_NULL, "the %s NULL", tape ? "values are" : "tape is");
    else if (n < 0 || columns < 1)
        ag__fail_on(tape, "sparkline", AG_ERR_RANGE, "%lld values in %d columns", (long long)n, columns);
    else if (ag__in_order(tape, "sparkline")) {
        ag__text t = {.tape = tape};
        put_blocks(&t, n, y, columns);
        text = ag__text_finish(&t, "sparkline");
    }
    ag__leave(tape, file, line);
    return text;
}
