/* plot -- line plots and maps as SVG files
 *
 * A panel has a frame, in pixels of the picture, and two scales that map data into it. Everything is written in one
 * sweep: grid and ticks, then the lines or the map, then the words. */
#include "examples/plot.h"

#include <math.h>
#include <stdio.h>

enum { WIDTH = 470, HEIGHT = 380, LEFT = 62, RIGHT = 18, TOP = 104, BOTTOM = 52, MOST_TICKS = 40 };

static const char *const colours[] = {"#1f6fb4", "#e2761b", "#2d9a4b", "#b03a8c", "#7a6a58", "#6b5fc7"};

/* Data from low to high lie between the pixels `from` and `to`. */
typedef struct scale {
    double low, high, from, to;
    bool logarithmic;
} scale;

static double place(const scale *s, double value) {
    double part = s->logarithmic ? log(value / s->low) / log(s->high / s->low) : (value - s->low) / (s->high - s->low);
    return s->from + part * (s->to - s->from);
}

/* ---- Ranges and ticks ---- */

/* The largest of 1, 2, 5 and their like in other decades that is not above x. */
static double round_down(double x) {
    double decade = pow(10, floor(log10(x)));
    return x >= 5 * decade ? 5 * decade : x >= 2 * decade ? 2 * decade : decade;
}

static double step_of(const scale *s) { return round_down((s->high - s->low) / 4); }

static void widen(double *low, double *high, int n, const double *values, bool positive) {
    for (int i = 0; i < n; i++) {
        if (!isfinite(values[i]) || (positive && values[i] <= 0)) continue;
        if (values[i] < *low) *low = values[i];
        if (values[i] > *high) *high = values[i];
    }
}

static scale whole_range(double low, double high, double from, double to, bool logarithmic) {
    if (!(low <= high)) low = logarithmic ? 1 : 0, high = 1;
    if (logarithmic && low == high) low /= 2, high *= 2;
    if (low == high) low -= 1, high += 1;
    return (scale){low, high, from, to, logarithmic};
}

static scale x_scale(const plot_panel *p, double from, double to) {
    double low = INFINITY, high = -INFINITY;
    if (p->map) return whole_range(p->map->x_low, p->map->x_high, from, to, false);
    for (int i = 0; i < p->lines; i++) widen(&low, &high, p->line[i].n, p->line[i].x, p->logarithmic_x);
    return whole_range(low, high, from, to, p->logarithmic_x);
}

/* The y axis ends at ticks, so that no line lies on the frame. */
static scale y_scale(const plot_panel *p, double from, double to) {
    double low = INFINITY, high = -INFINITY;
    if (p->map) return whole_range(p->map->y_low, p->map->y_high, from, to, false);
    if (p->low < p->high) return whole_range(p->low, p->high, from, to, p->logarithmic);
    for (int i = 0; i < p->lines; i++) widen(&low, &high, p->line[i].n, p->line[i].y, p->logarithmic);
    scale s = whole_range(low, high, from, to, p->logarithmic);
    if (s.logarithmic) {
        s.low = round_down(s.low);
        s.high = 1 / round_down(1 / s.high);
    } else {
        double step = step_of(&s);
        s.low = floor(s.low / step) * step;
        s.high = ceil(s.high / step) * step;
    }
    return s;
}

static int ticks_of(const scale *s, double tick[MOST_TICKS]) {
    double step = step_of(s), slack = 1e-9;
    int n = 0;
    if (s->logarithmic) { /* 1, 2 and 5 of each decade; only 1 if there are many decades */
        bool few = s->high / s->low < 2000;
        for (double t = round_down(s->low * (1 + slack)); t <= s->high * (1 + slack) && n < MOST_TICKS;
             t = round_down(t * 2.6))
            if (t >= s->low * (1 - slack) && (few || fabs(log10(t) - round(log10(t))) < slack)) tick[n++] = t;
        return n;
    }
    for (double i = ceil(s->low / step - slack); i * step <= s->high + slack * step && n < MOST_TICKS; i++)
        tick[n++] = i * step + 0.0; /* a zero without sign */
    return n;
}

/* ---- Writing ---- */

static void put_text(FILE *out, const char *text) {
    for (; *text; text++) {
        if (*text == '<') fputs("&lt;", out);
        else if (*text == '&') fputs("&amp;", out);
        else fputc(*text, out);
    }
}

static void put_words(FILE *out, double x, double y, const char *class, const char *words) {
    fprintf(out, "<text x='%.1f' y='%.1f' class='%s'>", x, y, class);
    put_text(out, words);
    fputs("</text>\n", out);
}

static void put_grid(FILE *out, const plot_panel *p, const scale *x, const scale *y) {
    double tick[MOST_TICKS];
    int n = ticks_of(y, tick);
    for (int i = 0; i < n; i++) {
        double at = place(y, tick[i]);
        fprintf(out, "<path d='M%.1f %.1fH%.1f' class='grid'/>\n", x->from, at, x->to);
        fprintf(out, "<text x='%.1f' y='%.1f' class='left'>%g%s</text>\n", x->from - 8, at + 4, tick[i],
                p->y_unit ? p->y_unit : "");
    }
    n = ticks_of(x, tick);
    for (int i = 0; i < n; i++) {
        double at = place(x, tick[i]);
        fprintf(out, "<path d='M%.1f %.1fv5' class='axis'/>\n", at, y->from);
        fprintf(out, "<text x='%.1f' y='%.1f' class='below'>%g</text>\n", at, y->from + 19, tick[i]);
    }
    fprintf(out, "<path d='M%.1f %.1fV%.1fH%.1f' class='axis'/>\n", x->from, y->to, y->from, x->to);
}

static void put_line(FILE *out, const plot_line *l, const scale *x, const scale *y, const char *colour) {
    bool pen_down = false;
    fprintf(out, "<path class='line' stroke='%s' d='", colour);
    for (int i = 0; i < l->n; i++) {
        bool drawn = isfinite(l->x[i]) && isfinite(l->y[i]) && (!x->logarithmic || l->x[i] > 0) &&
                     (!y->logarithmic || l->y[i] > 0);
        if (drawn) fprintf(out, "%c%.1f %.1f", pen_down ? 'L' : 'M', place(x, l->x[i]), place(y, l->y[i]));
        pen_down = drawn;
    }
    fputs("'/>\n", out);
}

/* ---- Maps ---- */

enum { SHADES = 9 };

/* From the first colour of lines over white to the second. */
static void put_shade(FILE *out, int shade) {
    static const int end[2][3] = {{0x1f, 0x6f, 0xb4}, {0xe2, 0x76, 0x1b}};
    double part = 2.0 * shade / (SHADES - 1) - 1;
    fputc('#', out);
    for (int i = 0; i < 3; i++) fprintf(out, "%02x", (int)(255 + 0.55 * fabs(part) * (end[part > 0][i] - 255) + 0.5));
}

static int shade_of(double value) {
    int shade = (int)(value * SHADES);
    return shade < 0 ? 0 : shade >= SHADES ? SHADES - 1 : shade;
}

static double cell_x(const plot_map *m, const scale *x, double column) {
    return x->from + (column + 0.5) / m->columns * (x->to - x->from);
}

static double cell_y(const plot_map *m, const scale *y, double row) {
    return y->from + (row + 0.5) / m->rows * (y->to - y->from);
}

/* One path for each shade: a rectangle for each run of this shade along a row. */
static void put_shades(FILE *out, const plot_map *m, const scale *x, const scale *y) {
    for (int shade = 0; shade < SHADES; shade++) {
        fputs("<path fill='", out);
        put_shade(out, shade);
        fputs("' d='", out);
        for (int i = 0; i < m->rows; i++) {
            const double *row = m->value + i * m->columns;
            double top = cell_y(m, y, i + 0.5), height = cell_y(m, y, i - 0.5) - top + 0.3; /* no gaps between rows */
            for (int j = 0, to; j < m->columns; j = to) {
                for (to = j + 1; to < m->columns && shade_of(row[to]) == shade_of(row[j]); to++) {
                }
                double left = cell_x(m, x, j - 0.5), right = cell_x(m, x, to - 0.5);
                if (shade_of(row[j]) == shade)
                    fprintf(out, "M%.1f %.1fH%.1fv%.1fH%.1fz", left, top, right, height, left);
            }
        }
        fputs("'/>\n", out);
    }
}

/* The line where the values cross ½: a piece in each square of four values. */
static void put_border(FILE *out, const plot_map *m, const scale *x, const scale *y) {
    static const int side[4][2] = {{0, 0}, {0, 1}, {1, 1}, {1, 0}}; /* row and column of the corners, around */
    fputs("<path class='border' d='", out);
    for (int i = 0; i + 1 < m->rows; i++)
        for (int j = 0; j + 1 < m->columns; j++)
            for (int k = 0, n = 0; k < 4; k++) {
                const int *from = side[k], *to = side[(k + 1) % 4];
                double a = m->value[(i + from[0]) * m->columns + j + from[1]] - 0.5;
                double b = m->value[(i + to[0]) * m->columns + j + to[1]] - 0.5;
                if ((a > 0) == (b > 0)) continue;
                double part = a / (a - b), row = i + from[0] + part * (to[0] - from[0]);
                double column = j + from[1] + part * (to[1] - from[1]);
                fprintf(out, "%c%.1f %.1f", n++ % 2 ? 'L' : 'M', cell_x(m, x, column), cell_y(m, y, row));
            }
    fputs("'/>\n", out);
}

/* A point is a line of length 0 with round ends. */
static void put_points(FILE *out, const plot_map *m, const scale *x, const scale *y, bool kind, const char *colour,
                       double size) {
    fprintf(out, "<path class='line' stroke='%s' style='stroke-width:%.1f' d='", colour, size);
    for (int i = 0; i < m->points; i++)
        if (m->kind[i] == kind) fprintf(out, "M%.1f %.1fh0", place(x, m->x[i]), place(y, m->y[i]));
    fputs("'/>\n", out);
}

static void put_map(FILE *out, const plot_map *m, const scale *x, const scale *y) {
    put_shades(out, m, x, y);
    put_border(out, m, x, y);
    for (int kind = 0; kind < 2; kind++) {
        put_points(out, m, x, y, kind, "#fff", 6);
        put_points(out, m, x, y, kind, colours[kind], 4.6);
    }
}

static void put_panel(FILE *out, const plot_panel *p, double left) {
    scale x = x_scale(p, left + LEFT, left + WIDTH - RIGHT);
    scale y = y_scale(p, HEIGHT - BOTTOM, TOP);
    double legend = x.from;
    put_words(out, x.from, TOP - 38, "panel", p->title);
    put_grid(out, p, &x, &y);
    fprintf(out, "<clipPath id='c%.0f'><path d='M%.1f %.1fH%.1fV%.1fH%.1fZ'/></clipPath><g clip-path='url(#c%.0f)'>\n",
            left, x.from, y.to - 2, x.to + 2, y.from + 2, x.from, left);
    if (p->map) put_map(out, p->map, &x, &y);
    for (int i = 0; i < p->lines; i++)
        put_line(out, &p->line[i], &x, &y, colours[(size_t)i % (sizeof colours / sizeof *colours)]);
    fputs("</g>\n", out);
    for (int i = 0; i < p->lines; i++) { /* the legend, above the frame */
        const char *colour = colours[(size_t)i % (sizeof colours / sizeof *colours)];
        fprintf(out, "<path class='line' stroke='%s' d='M%.1f %dh18'/>\n", colour, legend, TOP - 20);
        put_words(out, legend + 24, TOP - 16, "name", p->line[i].name);
        for (const char *c = p->line[i].name; *c; c++) legend += 6.6;
        legend += 44;
    }
    put_words(out, (x.from + x.to) / 2, HEIGHT - 12, "below", p->x_label);
}

static const char *const style =
    "text{font:12px system-ui,'Segoe UI',Helvetica,Arial,sans-serif;fill:#444}"
    ".title{font-size:17px;font-weight:600;fill:#111}.panel{font-size:13px;font-weight:600;fill:#222}"
    ".left{text-anchor:end}.below{text-anchor:middle}.grid{stroke:#e4e4e4}.axis{stroke:#888;fill:none}"
    ".border{stroke:#222;stroke-width:1.4;fill:none}"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}";

bool plot_write(const char *path, const char *title, int panels, const plot_panel panel[]) {
    FILE *out = fopen(path, "w");
    if (!out) return false;
    fprintf(out,
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' width='%d' height='%d'>\n<style>%s</style>\n",
            WIDTH * panels, HEIGHT, WIDTH * panels, HEIGHT, style);
    fprintf(out, "<rect width='100%%' height='100%%' fill='#fff'/>\n");
    put_words(out, 24, 34, "title", title);
    for (int i = 0; i < panels; i++) put_panel(out, &panel[i], i * (double)WIDTH);
    fputs("</svg>\n", out);
    bool written = !ferror(out);
    return fclose(out) == 0 && written;
}
