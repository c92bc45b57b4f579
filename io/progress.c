/* progress -- how far a loop has come, as one line
 *
 * A line is put together from parts, each with its width in columns. For a terminal they are taken in the order of
 * their importance while they fit, and written in the order of the line; the bar gets the columns that are left.
 * Invariant: a line has fewer columns than its terminal, and an output is one write. */
#if defined __unix__ || defined __APPLE__
#include <sys/ioctl.h>
#include <unistd.h>
#define POSIX 1
#endif
#include "autograd/report/profile.h"
#include "autograd/report/text.h"
#include "autograd/tape/file.h"
#include "autograd/tape/format.h"
#include "io/progress.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int64_t SECOND = 1000000000, LOOK = 100000000; /* nanoseconds */

/* ---- Text from outside ---- */

/* Copies whole characters while they fit; what is no text becomes '?'. */
static void copy_text(char *to, size_t room, const char *text) {
    size_t used = 0;
    for (const unsigned char *s = (const unsigned char *)text; s && *s;) {
        int n = ag__utf8_length(s);
        bool shown = n > 0 && *s >= 0x20 && *s != 0x7F && !(s[0] == 0xC2 && s[1] < 0xA0);
        size_t bytes = shown ? (size_t)n : 1;
        if (used + bytes >= room) break;
        if (shown) memcpy(to + used, s, bytes);
        else to[used] = '?';
        used += bytes;
        s += n > 0 ? n : 1;
    }
    to[used] = 0;
}

/* At most so many columns: characters from U+1100 on may take two. */
static int columns_of(const char *text) {
    int columns = 0;
    for (const unsigned char *s = (const unsigned char *)text; *s; s++)
        if ((*s & 0xC0) != 0x80) columns += *s < 0xE1 || (*s == 0xE1 && s[1] < 0x84) ? 1 : 2;
    return columns;
}

/* ---- The stream ---- */

static const char *environment(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

static bool names_utf8(const char *s) {
    for (; *s; s++)
        if ((s[0] | 0x20) == 'u' && (s[1] | 0x20) == 't' && (s[2] | 0x20) == 'f' && s[s[3] == '-' ? 4 : 3] == '8')
            return true;
    return false;
}

static bool utf8_terminal(void) {
    const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (int i = 0; i < 3; i++)
        if (*environment(variables[i])) return names_utf8(environment(variables[i]));
    return false;
}

#ifdef POSIX

static bool is_terminal(FILE *stream) {
    const char *kind = environment("TERM");
    int d = fileno(stream);
    return d >= 0 && *kind && strcmp(kind, "dumb") != 0 && isatty(d);
}

/* 0 if it is unknown. */
static int columns_of_terminal(FILE *stream) {
    struct winsize size = {0};
    int d = fileno(stream);
    return d >= 0 && ioctl(d, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

#else

static bool is_terminal(FILE *stream) { return (void)stream, false; }
static int columns_of_terminal(FILE *stream) { return (void)stream, 0; }

#endif

/* After a failure nothing more is written, except if only a signal came between. */
static void write_text(ag_progress *p, const char *text) {
    ag__held held = ag__hold_signals();
    errno = 0;
    bool good = fputs(text, p->stream) >= 0 && fflush(p->stream) == 0;
    bool passes = errno == EINTR || errno == EAGAIN;
    ag__release_signals(&held);
    if (good) return;
    clearerr(p->stream);
    if (!passes) p->stream = NULL;
}

/* ---- Rate ---- */

static int marks_in(const ag_progress *p) { return p->marks < AG_PROGRESS_MARKS ? p->marks : AG_PROGRESS_MARKS; }

/* Marks are a 32nd of the time apart, so that the ring spans the last two thirds of the run, however long it is. */
static void make_mark(ag_progress *p, int64_t now) {
    int last = (p->marks + AG_PROGRESS_MARKS - 1) % AG_PROGRESS_MARKS;
    int64_t apart = (now - p->began) / AG_PROGRESS_MARKS;
    if (p->marks > 0 && p->done < p->mark[last].done) p->marks = 0;
    else if (p->marks > 0 && (p->done == p->mark[last].done || now - p->mark[last].time < apart)) return;
    p->mark[p->marks % AG_PROGRESS_MARKS].time = now;
    p->mark[p->marks % AG_PROGRESS_MARKS].done = p->done;
    p->marks++;
    if (p->marks == 2 * AG_PROGRESS_MARKS) p->marks = AG_PROGRESS_MARKS;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Seconds for each thing that is done; 0 if nothing is known. An interval counts for no more than four times the
 * median: a pause says nothing about the time to come. */
static double seconds_each(const ag_progress *p) {
    double each[AG_PROGRESS_MARKS], sorted[AG_PROGRESS_MARKS], done[AG_PROGRESS_MARKS], seconds = 0, all = 0;
    int n = marks_in(p) - 1;
    for (int i = 0; i < n; i++) {
        int from = (p->marks - n - 1 + i) % AG_PROGRESS_MARKS, to = (from + 1) % AG_PROGRESS_MARKS;
        done[i] = (double)(p->mark[to].done - p->mark[from].done);
        each[i] = sorted[i] = (double)(p->mark[to].time - p->mark[from].time) * 1e-9 / done[i];
    }
    if (n < 1) return 0;
    qsort(sorted, (size_t)n, sizeof *sorted, ascending);
    for (int i = 0; i < n; i++) {
        seconds += fmin(each[i], 4 * sorted[n / 2]) * done[i];
        all += done[i];
    }
    return seconds / all;
}

/* ---- Parts of a line ---- */

enum { LABEL, PERCENT, BAR, COUNT, RATE, TIME, FIRST_READING, PARTS = FIRST_READING + AG_PROGRESS_READINGS };
enum { NARROWEST_BAR = 4, WIDEST_BAR = 30, USUAL_COLUMNS = 80 };

typedef struct line {
    char part[PARTS][80]; /* "": there is none */
    int columns[PARTS];
    bool taken[PARTS];
} line;

/* "0:07", "12:34", "1:02:03", "3d 04h". */
static void put_duration(char to[32], double seconds) {
    long long s = seconds < 1e15 ? (long long)(seconds + 0.5) : (long long)1e15;
    if (s < 3600) ag__format(to, 32, "%lld:%02lld", s / 60, s % 60);
    else if (s < 86400) ag__format(to, 32, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else ag__format(to, 32, "%lldd %02lldh", s / 86400, s / 3600 % 24);
}

static void put_rate(char to[80], double each) {
    static const char *const prefix[] = {"", "k", "M", "G"};
    double rate = 1 / each;
    int i = 0;
    if (each <= 0) return;
    for (; i < 3 && rate >= 9999.5; i++) rate /= 1000;
    if (rate >= 1) ag__format(to, 80, rate < 9.95 ? "%.1f%s/s" : "%.0f%s/s", rate, prefix[i]);
    else if (each < 60) ag__format(to, 80, "%.1f s each", each);
    else put_duration(to, each), strcat(to, " each");
}

static void put_time(const ag_progress *p, char to[80], double each, bool last) {
    char text[32];
    double remaining = (double)p->total - (double)p->done;
    bool left = !last && p->total > 0 && remaining >= 0;
    if (left && each <= 0) return;
    put_duration(text, left ? remaining * each : (double)(p->drawn - p->began) * 1e-9);
    ag__format(to, 80, left ? "%s left" : "in %s", text);
}

static void fill_parts(const ag_progress *p, line *l, bool last) {
    double each = seconds_each(p);
    memset(l, 0, sizeof *l);
    memcpy(l->part[LABEL], p->label, sizeof p->label);
    if (p->total > 0) {
        double part = (double)p->done / (double)p->total;
        ag__format(l->part[PERCENT], 80, "%3d%%", (int)(100 * (part < 1 ? part : 1)));
        ag__format(l->part[COUNT], 80, "%lld/%lld", (long long)p->done, (long long)p->total);
    } else ag__format(l->part[COUNT], 80, "%lld", (long long)p->done);
    put_rate(l->part[RATE], each);
    put_time(p, l->part[TIME], each, last);
    for (int i = 0; i < p->readings; i++)
        ag__format(l->part[FIRST_READING + i], 80, "%s %.4g", p->reading[i].name, p->reading[i].value);
    for (int i = 0; i < PARTS; i++) l->columns[i] = columns_of(l->part[i]);
}

/* The columns of the bar; 0: there is none. */
static int choose_parts(const ag_progress *p, line *l, int room) {
    int order[PARTS] = {PERCENT, BAR, TIME, LABEL}, n = 4;
    if (p->total > 0) l->columns[BAR] = NARROWEST_BAR;
    else order[0] = COUNT;
    for (int i = 0; i < p->readings; i++) order[n++] = FIRST_READING + i;
    order[n++] = p->total > 0 ? COUNT : PERCENT;
    order[n++] = RATE;
    room++; /* the first part has no blank before it */
    for (int i = 0; i < n; i++) {
        int k = order[i];
        l->taken[k] = l->columns[k] > 0 && l->columns[k] < room;
        if (l->taken[k]) room -= l->columns[k] + 1;
    }
    if (!l->taken[BAR]) return 0;
    int widest = WIDEST_BAR - NARROWEST_BAR, more = room < widest ? room : widest;
    return NARROWEST_BAR + (more > 0 ? more : 0);
}

/* ---- Output ---- */

typedef struct output {
    char text[2048]; /* more than all parts and the widest bar */
    size_t used;
} output;

static void put(output *o, const char *s) {
    size_t n = strlen(s);
    if (o->used + n >= sizeof o->text) return;
    memcpy(o->text + o->used, s, n + 1);
    o->used += n;
}

static void put_bar(output *o, const ag_progress *p, int columns) {
    double part = p->total > 0 ? (double)p->done / (double)p->total : 0;
    int halves = (int)(2 * columns * (part < 0 ? 0 : part < 1 ? part : 1)), full = halves / 2;
    if (!p->plain) put(o, "\033[32m");
    for (int i = 0; i < full; i++) put(o, p->ascii ? "#" : "━");
    bool half = halves % 2 && !p->ascii;
    if (half) put(o, "╸");
    if (!p->plain) put(o, "\033[0;2m");
    for (int i = full + half; i < columns; i++) put(o, p->ascii ? "-" : "─");
    if (!p->plain) put(o, "\033[0m");
}

/* Automatic wrapping is off while the line is written: on a terminal that draws a character wider than it is, and on
 * one that has just become narrower. */
static void draw_bar(ag_progress *p, line *l, bool last) {
    output o = {.used = 0};
    int columns = columns_of_terminal(p->stream);
    int bar = choose_parts(p, l, (columns > 0 ? columns : USUAL_COLUMNS) - 1);
    put(&o, "\r\033[?7l");
    for (int i = 0, n = 0; i < PARTS; i++) {
        if (!l->taken[i]) continue;
        if (n++ > 0) put(&o, " ");
        if (i == BAR) put_bar(&o, p, bar);
        else put(&o, l->part[i]);
    }
    put(&o, "\033[K\033[?7h");
    if (last) put(&o, "\n");
    p->shown = !last;
    write_text(p, o.text);
}

static void draw_line(ag_progress *p, const line *l) {
    output o = {.used = 0};
    for (int i = 0, n = 0; i < PARTS; i++) {
        if (!*l->part[i]) continue;
        if (n++ > 0) put(&o, "  ");
        put(&o, l->part[i]);
    }
    put(&o, "\n");
    write_text(p, o.text);
}

static void draw(ag_progress *p, int64_t now, bool last) {
    line l;
    p->drawn = now;
    fill_parts(p, &l, last);
    if (p->form == AG_PROGRESS_BAR) draw_bar(p, &l, last);
    else draw_line(p, &l);
}

/* ---- The calls ---- */

static int64_t interval_of(const ag_progress *p, double seconds) {
    double usual = p->form == AG_PROGRESS_BAR ? 0.1 : 10, longest = 1e6;
    return (int64_t)((seconds > 0 ? fmin(seconds, longest) : usual) * (double)SECOND);
}

void ag_progress_begin(ag_progress *progress, FILE *stream, int64_t total, const ag_progress_options *options) {
    const ag_progress_options how = options ? *options : (ag_progress_options){.label = NULL};
    ag_progress *p = progress;
    if (!p) return;
    memset(p, 0, sizeof *p);
    if (!stream) return;
    p->stream = stream;
    p->total = total;
    p->done = how.first > 0 ? how.first : 0;
    p->form = how.form == AG_PROGRESS_BY_STREAM && is_terminal(stream) ? AG_PROGRESS_BAR : how.form;
    p->ascii = how.ascii || !utf8_terminal();
    p->plain = how.plain || *environment("NO_COLOR");
    copy_text(p->label, sizeof p->label, how.label);
    p->interval = interval_of(p, how.seconds);
    p->began = p->drawn = p->looked = ag__profile_now();
    make_mark(p, p->began);
    if (p->form == AG_PROGRESS_BAR) draw(p, p->began, false);
}

static void keep_readings(ag_progress *p, int n, const ag_reading reading[]) {
    p->readings = !reading || n < 0 ? 0 : n < AG_PROGRESS_READINGS ? n : AG_PROGRESS_READINGS;
    for (int i = 0; i < p->readings; i++) {
        copy_text(p->reading[i].name, sizeof p->reading[i].name, reading[i].name);
        p->reading[i].value = reading[i].value;
    }
}

void ag_progress_update(ag_progress *progress, int64_t done, int n, const ag_reading reading[]) {
    ag_progress *p = progress;
    if (!p || !p->stream) return;
    p->done = done > 0 ? done : 0;
    keep_readings(p, n, reading);
    int64_t now = ag__profile_now();
    if (now - p->looked < (p->interval < LOOK ? p->interval : LOOK)) return;
    p->looked = now;
    make_mark(p, now);
    if (now - p->drawn >= p->interval) draw(p, now, false);
}

void ag_progress_hide(ag_progress *progress) {
    ag_progress *p = progress;
    if (!p || !p->stream || !p->shown) return;
    p->shown = false;
    write_text(p, "\r\033[K");
}

void ag_progress_end(ag_progress *progress) {
    ag_progress *p = progress;
    if (!p || !p->stream) return;
    int64_t now = ag__profile_now();
    make_mark(p, now);
    draw(p, now, true);
    p->stream = NULL;
}
