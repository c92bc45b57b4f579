/* report -- text that grows, values read for it, and a tape left as it was
 *
 * A report is written into memory of its own while its tape is evaluated and differentiated; then the tape is put back to
 * where it was, and the finished text is recorded on it as a label would be. */
#include "autograd/report/report.h"
#include "autograd/tape/format.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

/* ---- Text ---- */

static bool make_room(ag__text *t, size_t bytes) {
    if (t->failed) return false;
    if (t->room - t->used > bytes) return true;
    size_t room = ag__plus(ag__times(t->room, 2), ag__plus(bytes, 500));
    char *more = ag__resize(t->tape, t->bytes, t->room, room);
    t->failed = !more;
    if (!more) return false;
    t->bytes = more;
    t->room = room;
    return true;
}

static void put_bytes(ag__text *t, const char *s, size_t n) {
    if (!make_room(t, n)) return;
    memcpy(t->bytes + t->used, s, n);
    t->used += n;
}

void ag__put(ag__text *t, const char *s) { put_bytes(t, s, strlen(s)); }

void ag__putf(ag__text *t, const char *format, ...) {
    char s[200];
    va_list args;
    va_start(args, format);
    ag__format_list(s, sizeof s, format, args);
    va_end(args);
    ag__put(t, s);
}

/* What stands for an ASCII character; NULL: itself. */
static const char *escaped(char c, ag__escape escape) {
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

void ag__put_escaped(ag__text *t, const char *s, size_t bytes, size_t most, ag__escape escape) {
    for (size_t i = 0, shown = 0; i < bytes; shown++) {
        unsigned char c[5] = {0}; /* a broken character at the end is not read beyond */
        memcpy(c, s + i, bytes - i < 4 ? bytes - i : 4);
        int n = ag__utf8_length(c);
        const char *other = escaped((char)c[0], escape);
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

char *ag__number(char s[AG__NUMBER], int digits, double a) {
    ag__format(s, AG__NUMBER, "%.*g", digits, a);
    return s;
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
        if (!kept) ag__fail_on(t->tape, name, AG_ERR_MEMORY, "no memory for a text of %zu bytes", t->used);
    }
    if (kept && t->used) memcpy(kept, t->bytes, t->used);
    if (kept) kept[t->used] = 0;
    if (t->bytes) ag__resize(t->tape, t->bytes, t->room, 0);
    return kept ? kept : "";
}

/* ---- Values ---- */

double *ag__elements(ag_tensor *t, ag__buffer **memory) {
    ag_array from = ag__array_of(t);
    size_t n = (size_t)from.size;
    *memory = ag__buffer_new(t->tape, ag__times(n, sizeof(double)));
    if (!*memory) {
        ag__fail_on(t->tape, "explain", AG_ERR_MEMORY, "no memory for %zu values", n);
        return NULL;
    }
    double *to = (*memory)->data;
    if (n) ag__pack(to, &from, 0, from.size);
    if (t->dtype == AG_F32) /* the same memory, from the end */
        for (size_t i = n; i-- > 0;) {
            float a;
            memcpy(&a, (const char *)to + i * sizeof a, sizeof a);
            to[i] = (double)a;
        }
    return to;
}

/* ---- Leaving the tape as it was ---- */

enum { HAD_VALUE = AG__NO_FLAG }; /* noted beside the flags */

/* Beforehand the assignments are carried out, lest a variable change while it is looked at. */
bool ag__snapshot_take(ag__snapshot *s, ag_tape *tape, const char *name) {
    for (ag_tensor *v = tape->assignments ? tape->variables : NULL; v; v = ag__variable_of(v)->next)
        if (ag__variable_of(v)->pending && !ag__evaluate(tape, 1, &v)) return s->memory = NULL, false;
    s->place = ag__position_now(tape);
    s->memory = ag__buffer_new(tape, ag__times(tape->count, sizeof(uint16_t)));
    if (!s->memory) {
        ag__fail_on(tape, name, AG_ERR_MEMORY, "no memory to remember %u nodes", tape->count);
        return false;
    }
    s->draws = tape->draws;
    uint16_t *flags = s->memory->data;
    for (uint32_t id = 0; id < tape->count; id++) {
        ag_tensor *t = ag__node(tape, id);
        flags[id] = (uint16_t)(t->flags | (t->buffer ? HAD_VALUE : 0));
        if (t->buffer) t->flags |= AG__KEEP;
    }
    return true;
}

void ag__snapshot_restore(const ag__snapshot *s, ag_tape *tape) {
    if (!s->memory) return;
    ag__truncate(tape, &s->place);
    const uint16_t *flags = s->memory->data;
    for (uint32_t id = 0; id < s->place.count; id++) {
        ag_tensor *t = ag__node(tape, id);
        if (t->flags & AG__COMPUTED && !(flags[id] & AG__COMPUTED))
            for (int i = 0; i < t->arity; i++) t->input[i]->readers++;
        if (t->buffer && !(flags[id] & HAD_VALUE)) {
            ag__buffer_drop(tape, t->buffer);
            t->buffer = NULL;
        }
        t->flags = (uint16_t)(flags[id] & ~HAD_VALUE);
    }
    tape->draws = s->draws;
    ag__buffer_drop(tape, s->memory);
}
