/* table -- CSV as cells of text
 *
 * The file is read whole and cut into cells in place: quotes are undone, line ends become NULs. A cell is within the file's
 * bytes, and every row has the same number of them. */
#include "examples/train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct cutter {
    table *t;
    char *at, *end; /* of what is left */
    char separator;
    int64_t line, cells, room, row_room;
} cutter;

static bool wrong(const cutter *c, int64_t column, const char *problem) {
    return complain("%s, line %lld, column %lld: %s", c->t->path, (long long)c->line, (long long)column, problem);
}

/* Whole and finite. */
bool is_number(const char *cell, double *value) {
    char *end;
    if (!*cell || strspn(cell, "0123456789+-.eE") != strlen(cell)) return false;
    *value = strtod(cell, &end);
    return *end == 0 && isfinite(*value);
}

static void add_cell(cutter *c, const char *cell) {
    if (c->cells == c->room) {
        c->room = 2 * c->room + 1000;
        c->t->cell = memory(c->t->cell, (size_t)c->room, sizeof *c->t->cell);
    }
    c->t->cell[c->cells++] = cell;
}

static bool blank(char c) { return c == ' ' || c == '\t'; }

/* A cell in quotes: its text is moved to the beginning, each pair of quotes one. */
static bool quoted_cell(cutter *c, int64_t column, const char **cell) {
    char *to = ++c->at;
    *cell = to;
    for (; c->at < c->end; c->at++) {
        if (*c->at == '\n') c->line++;
        if (*c->at == '"' && (++c->at == c->end || *c->at != '"')) {
            char *behind = c->at;
            while (behind < c->end && *behind != c->separator && (blank(*behind) || *behind == '\r')) behind++;
            if (behind < c->end && *behind != c->separator && *behind != '\n')
                return wrong(c, column, "text behind the closing quote");
            c->at = behind;
            *to = 0;
            return true;
        }
        *to++ = *c->at;
    }
    return wrong(c, column, "text in quotes that does not end");
}

/* The cell without blanks around it; c->at is then at the separator or the line's end. */
static bool next_cell(cutter *c, int64_t column, const char **cell, char **last) {
    while (c->at < c->end && blank(*c->at) && *c->at != c->separator) c->at++;
    if (c->at < c->end && *c->at == '"') return *last = NULL, quoted_cell(c, column, cell);
    *cell = c->at;
    while (c->at < c->end && *c->at != c->separator && *c->at != '\n') c->at++;
    *last = c->at;
    while (*last > *cell && ((*last)[-1] == ' ' || (*last)[-1] == '\t' || (*last)[-1] == '\r')) --*last;
    return true;
}

/* Adds a row's cells; their number. −1 after a complaint. A blank line has none. */
static int64_t read_row(cutter *c) {
    int64_t n = 0;
    for (;; n++) {
        const char *cell;
        char *last, *here;
        if (!next_cell(c, n + 1, &cell, &last)) return -1;
        here = c->at;
        bool ends = here == c->end || *here == '\n';
        if (ends && n == 0 && last == cell) return c->at += here < c->end, 0;
        c->at += here < c->end;
        if (last) *last = 0; /* after the separator has been looked at: it may be this byte */
        add_cell(c, cell);
        if (ends) return n + 1;
    }
}

static void note_line(cutter *c, int64_t line) {
    table *t = c->t;
    if (t->rows == c->row_room) {
        c->row_room = 2 * c->row_room + 1000;
        t->line = memory(t->line, (size_t)c->row_room, sizeof *t->line);
    }
    t->line[t->rows++] = line;
}

static bool read_rows(cutter *c) {
    table *t = c->t;
    while (c->at < c->end) {
        int64_t line = c->line, n = read_row(c);
        if (n < 0) return false;
        if (n > 0 && t->columns > 0 && n != t->columns)
            return complain("%s, line %lld: %lld cells, where the first line has %lld", t->path, (long long)line,
                            (long long)n, (long long)t->columns);
        if (n > 0) t->columns = n, note_line(c, line);
        c->line++;
    }
    return true;
}

/* A first row without any number holds names. */
static bool has_header(const table *t, header_kind header) {
    double value;
    bool numbers = false;
    for (int64_t k = 0; k < t->columns; k++) numbers = numbers || is_number(t->cell[k], &value);
    return header == GUESS ? !numbers : header == HEADER;
}

static bool take_header(table *t) {
    t->names = memory(NULL, (size_t)t->columns, sizeof *t->names);
    memcpy(t->names, t->cell, (size_t)t->columns * sizeof *t->names);
    t->rows--;
    memmove(t->cell, t->cell + t->columns, (size_t)(t->rows * t->columns) * sizeof *t->cell);
    memmove(t->line, t->line + 1, (size_t)t->rows * sizeof *t->line);
    for (int64_t k = 0; k < t->columns; k++)
        for (int64_t i = 0; i < k; i++)
            if (strcmp(t->names[i], t->names[k]) == 0)
                return complain("%s, line 1: columns %lld and %lld have one name, \"%s\"", t->path, (long long)i + 1,
                                (long long)k + 1, shown(t->names[k]));
    return true;
}

bool read_table(table *t, const options *o) {
    *t = (table){.path = o->data};
    size_t bytes, marked = 0;
    t->bytes = read_file(t->path, &bytes);
    if (!t->bytes) return false;
    const char *nul = memchr(t->bytes, 0, bytes);
    if (bytes >= 3 && memcmp(t->bytes, "\xEF\xBB\xBF", 3) == 0) marked = 3;
    cutter c = {.t = t, .at = t->bytes + marked, .end = t->bytes + bytes, .line = 1};
    c.separator = o->separator ? o->separator : ',';
    if (nul) {
        for (const char *s = t->bytes; s < nul; s++) c.line += *s == '\n';
        return complain("%s, line %lld: a NUL byte: this is not text", t->path, (long long)c.line);
    }
    if (!read_rows(&c)) return false;
    if (t->rows > 0 && has_header(t, o->header) && !take_header(t)) return false;
    return t->rows > 0 || complain("%s has no rows", t->path);
}

int64_t column_named(const table *t, const char *name) {
    for (int64_t k = 0; t->names && k < t->columns; k++)
        if (strcmp(t->names[k], name) == 0) return k;
    char *end;
    long long n = strtoll(name, &end, 10);
    bool whole = *name >= '0' && *name <= '9' && *end == 0;
    return whole && n >= 1 && n <= t->columns ? n - 1 : -1;
}
