/* text -- text that grows, whatever it is made of: numbers, shapes, and what comes from the user, made harmless
 *
 * Invariant: whatever is put in, the text is well-formed UTF-8, and has no control characters but line ends that the
 * library itself writes. Once memory has run out, nothing is added any more. */
#include "autograd/report/text.h"
#include "autograd/tape/format.h"
#include "autograd/tape/size.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

/* ---- UTF-8 ---- */

int ag__utf8_length(const unsigned char *s) {
    int n = s[0] < 0x80                   ? 1
            : s[0] >= 0xC2 && s[0] < 0xE0 ? 2
            : (s[0] & 0xF0) == 0xE0       ? 3
            : s[0] >= 0xF0 && s[0] < 0xF5 ? 4
                                          : 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F)) return 0; /* overlong; surrogates */
    if ((s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F)) return 0;
    if (s[0] == 0xEF && s[1] == 0xBF && s[2] >= 0xBE) return 0; /* not characters in XML */
    return n;
}

/* ---- Text ---- */

/* The memory of its own; NULL: none. */
static char *allocated(const ag__text *t) { return t->bytes == t->lent ? NULL : t->bytes; }

static bool make_room(ag__text *t, size_t bytes) {
    if (t->failed) return false;
    if (t->room - t->used > bytes) return true;
    size_t room = ag__plus(ag__times(t->room, 2), ag__plus(bytes, 500));
    char *former = allocated(t), *more = ag__resize(t->tape, former, former ? t->room : 0, room);
    t->failed = !more;
    if (!more) return false;
    if (!former && t->used) memcpy(more, t->lent, t->used);
    t->bytes = more;
    t->room = room;
    return true;
}

static void put_bytes(ag__text *t, const char *s, size_t n) {
    if (!make_room(t, n)) return;
    memcpy(t->bytes + t->used, s, n);
    t->used += n;
}

void ag__put(ag__text *t, const char *s) {
    if (*s) put_bytes(t, s, strlen(s));
}

void ag__putf(ag__text *t, const char *format, ...) {
    char s[200];
    va_list args;
    va_start(args, format);
    ag__format_list(s, sizeof s, format, args);
    va_end(args);
    ag__put(t, s);
}

void ag__put_whole(ag__text *t, int64_t n) {
    char digits[AG__EXTENTS];
    ag__put(t, ag__format_extents(digits, 1, &n));
}

const char *ag__escaped(char c, ag__escape escape) {
    static const struct {
        char escape, c;
        const char *text;
    } table[] = {
        {AG__XML, '&', "&amp;"},
        {AG__XML, '<', "&lt;"},
        {AG__XML, '>', "&gt;"},
        {AG__XML, '"', "&quot;"},
        {AG__JSON, '"', "\\\""},
        {AG__JSON, '\\', "\\\\"},
        {AG__LATEX, '#', "\\#"},
        {AG__LATEX, '$', "\\$"},
        {AG__LATEX, '%', "\\%"},
        {AG__LATEX, '&', "\\&"},
        {AG__LATEX, '_', "\\_"},
        {AG__LATEX, '{', "\\{"},
        {AG__LATEX, '}', "\\}"},
        {AG__LATEX, '\\', "\\textbackslash{}"},
        {AG__LATEX, '~', "\\textasciitilde{}"},
        {AG__LATEX, '^', "\\textasciicircum{}"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].escape == (char)escape && table[i].c == c) return table[i].text;
    return NULL;
}

/* The letters and digits at the beginning of s, of at most `most` bytes: they are never escaped. */
static size_t plain_run(const char *s, size_t most) {
    size_t n = 0;
    for (; n < most; n++)
        if (!((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= 'A' && s[n] <= 'Z') || (s[n] >= '0' && s[n] <= '9'))) break;
    return n;
}

void ag__put_escaped(ag__text *t, const char *s, size_t bytes, size_t most, ag__escape escape) {
    for (size_t i = 0, shown = 0; i < bytes; shown++) {
        const size_t left = bytes - i, run = plain_run(s + i, left < most - shown ? left : most - shown);
        put_bytes(t, s + i, run);
        i += run, shown += run;
        if (i == bytes) return;
        unsigned char c[5] = {0}; /* so that a broken character at the end is not read beyond */
        memcpy(c, s + i, bytes - i < 4 ? bytes - i : 4);
        int n = ag__utf8_length(c);
        const char *other = ag__escaped((char)c[0], escape);
        i += n ? (size_t)n : 1;
        if (shown == most) {
            ag__put(t, "…");
            return;
        }
        bool control = c[0] < 0x20 || c[0] == 0x7F;
        if (n == 0) ag__put(t, "\xEF\xBF\xBD"); /* U+FFFD */
        else if (control && escape == AG__JSON) ag__putf(t, "\\u%04x", c[0]);
        else if (control) ag__put(t, c[0] == '\n' || c[0] == '\t' ? " " : "\xEF\xBF\xBD");
        else if (other) ag__put(t, other);
        else put_bytes(t, (const char *)c, (size_t)n);
    }
}

void ag__put_json(ag__text *t, const char *s) {
    ag__put(t, "\"");
    ag__put_escaped(t, s, strlen(s), SIZE_MAX, AG__JSON);
    ag__put(t, "\"");
}

/* Most numbers of formulas are small and whole, and have as many digits as these. */
char *ag__number(char s[AG__NUMBER], int digits, double a) {
    char all[AG__EXTENTS];
    const int64_t whole = fabs(a) < 1e6 ? (int64_t)a : 0;
    if (digits < 6 || (double)whole != a || (whole == 0 && signbit(a))) {
        ag__format(s, AG__NUMBER, "%.*g", digits, a);
        return s;
    }
    ag__format_extents(all, 1, &whole);
    return memcpy(s, all, strlen(all) + 1);
}

void ag__put_value(ag__text *t, double a, bool json) {
    char s[AG__NUMBER];
    if (isfinite(a)) ag__put(t, ag__number(s, json ? 17 : 6, a));
    else if (json) ag__put(t, isnan(a) ? "\"NaN\"" : a > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    else ag__put(t, isnan(a) ? "NaN" : a > 0 ? "inf" : "-inf");
}

const char *ag__text_finish(ag__text *t, const char *name) {
    char *kept = NULL;
    if (t->tape->status == AG_OK) {
        if (!t->failed) kept = ag__arena(t->tape, t->used + 1);
        if (!kept) ag__fail_on(t->tape, name, AG_ERR_MEMORY, "out of memory (a text of %zu bytes)", t->used);
    }
    if (kept && t->used) memcpy(kept, t->bytes, t->used);
    if (kept) kept[t->used] = 0;
    if (allocated(t)) ag__resize(t->tape, t->bytes, t->room, 0);
    return kept ? kept : "";
}
