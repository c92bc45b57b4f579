/* csv -- numbers from a text file
 *
 * The file is read twice by the same code: first to check every cell and to count rows and columns, then, into
 * memory of exactly that size, to convert. Nothing else grows with the file: a cell longer than any sensible number
 * is refused, so there is no line buffer, and each cell takes at least two bytes of the file. Cells of unwanted
 * columns are skipped, so they may be of any length, and text in quotes. */
#include "io/csv.h"
#include "autograd/tape/format.h"
#include "autograd/tape/op.h"
#include "io/input.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST_CELL = 400, LONGEST_QUOTE = 24 };

typedef struct reader {
    ag__input in;
    ag_dtype dtype;
    int separator;
    bool header;

    int64_t wanted; /* columns, by these names; `names` is NULL: all of them */
    const char *const *names;
    int64_t *place; /* of each column of the file: its index among those wanted; −1: not wanted. NULL: its own index */
    int64_t room;   /* of it */

    void *to;              /* NULL: only check and count */
    int64_t rows, columns; /* so far; with `to`, no more than fit */
    int64_t most_rows;
    int64_t line, column; /* of the reader, from 1 */

    size_t at, filled;
    unsigned char buffer[1 << 14];
    size_t length;
    char cell[LONGEST_CELL + 1];
} reader;

/* ---- Errors ---- */

static bool wrong(const reader *r, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 2, 3)))
#endif
    ;

static bool wrong(const reader *r, const char *format, ...) {
    char text[160];
    va_list args;
    va_start(args, format);
    ag__format_list(text, sizeof text, format, args);
    va_end(args);
    ag__fail_on(r->in.tape, "csv_read", AG_ERR_FILE, "%.300s, line %lld, column %lld: %s", r->in.path,
                (long long)r->line, (long long)r->column, text);
    return false;
}

/* The cell for a message: cut, and without control characters. */
static const char *quoted(const reader *r, char text[LONGEST_QUOTE + 8]) {
    size_t n = r->length < LONGEST_QUOTE ? r->length : LONGEST_QUOTE;
    text[0] = '"';
    for (size_t i = 0; i < n; i++) text[1 + i] = r->cell[i] >= ' ' && r->cell[i] <= '~' ? r->cell[i] : '?';
    strcpy(text + 1 + n, n < r->length ? "…\"" : "\"");
    return text;
}

/* ---- Numbers ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_word(const char *s, const char *word) {
    for (; *word; s++, word++)
        if ((*s | 0x20) != *word) return false;
    return *s == 0;
}

/* A decimal number, parsed as far as integers need it. */
typedef struct decimal {
    bool negative;
    const char *whole;
    int whole_digits, fraction_digits;
    int exponent;
} decimal;

static int count_digits(const char *s) {
    int n = 0;
    while (is_digit(s[n])) n++;
    return n;
}

static bool parse_decimal(const char *s, decimal *d) {
    *d = (decimal){.negative = *s == '-'};
    if (*s == '-' || *s == '+') s++;
    d->whole = s;
    d->whole_digits = count_digits(s);
    s += d->whole_digits;
    if (*s == '.') s++;
    d->fraction_digits = count_digits(s);
    s += d->fraction_digits;
    if (d->whole_digits + d->fraction_digits == 0) return false;
    if ((*s | 0x20) != 'e') return *s == 0;
    bool down = *++s == '-';
    if (*s == '-' || *s == '+') s++;
    if (!is_digit(*s)) return false;
    enum { BEYOND_ANY_REAL = 100000 };
    for (; is_digit(*s); s++)
        if (d->exponent < BEYOND_ANY_REAL) d->exponent = d->exponent * 10 + (*s - '0');
    if (down) d->exponent = -d->exponent;
    return *s == 0;
}

static bool convert_real(const decimal *d, const char *text, ag_dtype dtype, double *value) {
    enum { EXACT_DIGITS = 15 };
    if (d->whole_digits <= EXACT_DIGITS && d->fraction_digits == 0 && d->exponent == 0) {
        *value = 0;
        for (int i = 0; i < d->whole_digits; i++) *value = *value * 10 + (d->whole[i] - '0');
        if (d->negative) *value = -*value;
        return true;
    }
    *value = dtype == AG_F32 ? (double)ag__parse_f32(text) : ag__parse_f64(text);
    return isfinite(*value);
}

static bool convert_integer(const decimal *d, int64_t *value) {
    *value = 0;
    for (int i = 0; i < d->whole_digits; i++) {
        int digit = d->whole[i] - '0'; /* accumulated below 0, where INT64_MIN fits */
        if (*value < (INT64_MIN + digit) / 10) return false;
        *value = *value * 10 - digit;
    }
    if (!d->negative && *value == INT64_MIN) return false;
    if (!d->negative) *value = -*value;
    return true;
}

static bool special_real(const char *s, double *value) {
    double sign = *s == '-' ? -1 : 1;
    if (*s == '-' || *s == '+') s++;
    bool infinite = is_word(s, "inf") || is_word(s, "infinity");
    *value = infinite ? sign * (double)INFINITY : (double)NAN;
    return infinite || is_word(s, "nan");
}

static void store(reader *r, double real, int64_t integer) {
    if (!r->to) return;
    int64_t i = r->rows * r->wanted + (r->place ? r->place[r->column - 1] : r->column - 1);
    if (r->dtype == AG_F32) ((float *)r->to)[i] = (float)real;
    else if (r->dtype == AG_F64) ((double *)r->to)[i] = real;
    else ((int64_t *)r->to)[i] = integer;
}

/* Raises the error for a cell that is no number, with a hint if the cause can be guessed. */
static bool no_number(const reader *r) {
    char text[LONGEST_QUOTE + 8];
    const char *guess = memchr(r->cell, '"', r->length)                        ? ": quotes are not read"
                        : r->separator == ',' && strpbrk(r->cell, ";\t|")      ? ": is there another separator?"
                        : r->line == 1 && !r->header && r->rows == 0 && !r->to ? ": is the first line a header?"
                                                                               : "";
    return wrong(r, "%s is not a number%s", quoted(r, text), guess);
}

static bool convert_cell(reader *r) {
    char text[LONGEST_QUOTE + 8];
    const char *dtype = ag_dtype_name(r->dtype);
    double real = 0;
    int64_t integer = 0;
    decimal d = {0};
    bool special = r->dtype != AG_I64 && special_real(r->cell, &real);
    if (r->length == 0) return wrong(r, "the cell is empty");
    if (!special && !parse_decimal(r->cell, &d)) return no_number(r);
    if (r->dtype == AG_I64) {
        if (d.whole + d.whole_digits != r->cell + r->length) return wrong(r, "%s is not an integer", quoted(r, text));
        if (!convert_integer(&d, &integer)) return wrong(r, "%s does not fit i64", quoted(r, text));
    } else if (!special && !convert_real(&d, r->cell, r->dtype, &real)) {
        return wrong(r, "%s does not fit %s", quoted(r, text), dtype);
    }
    store(r, real, integer);
    return true;
}

/* ---- Cells and rows ---- */

enum { END = -1 };

/* The error of a failed read is raised at once: what is wrong with a row that it cuts off comes after it. */
static bool fill(reader *r) {
    r->filled = fread(r->buffer, 1, sizeof r->buffer, r->in.file);
    r->at = 0;
    if (r->filled < sizeof r->buffer && ferror(r->in.file)) ag__input_wrong(&r->in, "%s", strerror(errno));
    return r->filled > 0;
}

static int next(reader *r) { return r->at < r->filled || fill(r) ? r->buffer[r->at++] : END; }

static bool blank(int c) { return c == ' ' || c == '\t'; }

/* The next cell without the blanks around it; *end is set to the separator, '\n' or END. */
static bool read_cell(reader *r, int *end) {
    int c;
    r->length = 0;
    for (c = next(r); c != r->separator && c != '\n' && c != END; c = next(r)) {
        if (c == 0) return wrong(r, "a NUL byte: this is not text");
        if (r->length == 0 && blank(c)) continue;
        if (r->length == LONGEST_CELL) return wrong(r, "the cell is longer than %d characters", LONGEST_CELL);
        r->cell[r->length++] = (char)c;
    }
    if (c != r->separator && r->length > 0 && r->cell[r->length - 1] == '\r') r->length--;
    while (r->length > 0 && blank(r->cell[r->length - 1])) r->length--;
    r->cell[r->length] = 0;
    *end = c;
    return true;
}

/* Whether a text ends at c: behind its closing quote, or else as a cell does. */
static bool ends_text(const reader *r, int c, bool in_quotes) {
    return c == END || (!in_quotes && (c == r->separator || c == '\n'));
}

/* The next cell as text: in quotes it may hold anything, with quotes doubled. A text longer than any name is cut. */
static bool read_text(reader *r, int *end) {
    bool quoted = false, in_quotes = false, after_quote = false;
    int c;
    r->length = 0;
    for (c = next(r); !ends_text(r, c, in_quotes); c = next(r)) {
        if (c == 0) return wrong(r, "a NUL byte: this is not text");
        if (c == '\n') r->line++;
        if (r->length == 0 && !quoted && blank(c)) continue;
        bool quote = c == '"' && (quoted ? in_quotes || after_quote : r->length == 0);
        bool doubled = quote && after_quote;
        if (quote) in_quotes = !in_quotes;
        quoted = quoted || quote;
        after_quote = quote && !in_quotes;
        if ((quote && !doubled) || (quoted && !in_quotes)) continue;
        if (r->length < LONGEST_CELL) r->cell[r->length++] = (char)c;
    }
    if (in_quotes) return wrong(r, "text in quotes that does not end");
    while (!quoted && r->length > 0 && (blank(r->cell[r->length - 1]) || r->cell[r->length - 1] == '\r')) r->length--;
    r->cell[r->length] = 0;
    *end = c;
    return true;
}

static bool skip_line(reader *r, int *end) {
    r->line++;
    r->column = 1;
    do {
        *end = next(r);
        if (*end == 0) return wrong(r, "a NUL byte: this is not text");
    } while (*end != '\n' && *end != END);
    return true;
}

/* ---- Columns by name ---- */

/* Adds a column of the header: the index of its name among those wanted. */
static bool add_column(reader *r) {
    if (r->column > r->room) {
        int64_t room = 2 * r->room + 16;
        int64_t *place =
            ag__resize(r->in.tape, r->place, (size_t)r->room * sizeof *place, ag__times((uint64_t)room, sizeof *place));
        if (!place) {
            ag__fail_on(r->in.tape, "csv_read", AG_ERR_MEMORY, "%.300s: out of memory (%lld columns)", r->in.path,
                        (long long)room);
            return false;
        }
        r->place = place;
        r->room = room;
    }
    int64_t *place = &r->place[r->column - 1];
    *place = -1;
    for (int64_t k = 0; k < r->wanted && *place < 0; k++)
        if (strcmp(r->names[k], r->cell) == 0) *place = k;
    return true;
}

/* False, with an error, unless each name is in the header once. */
static bool all_found(const reader *r) {
    char shown[AG__SHOWN];
    for (int64_t k = 0; k < r->wanted; k++) {
        int64_t found = 0;
        for (int64_t c = 0; c < r->columns; c++) found += r->place[c] == k;
        if (found != 1)
            return ag__input_wrong(&r->in, "%s column has the name %s", found ? "more than one" : "no",
                                   ag__shown(shown, r->names[k]));
    }
    return true;
}

static bool read_header(reader *r, int *end) {
    r->line++;
    r->column = 0;
    do {
        r->column++;
        if (!read_text(r, end)) return false;
        if (r->to && r->column > r->columns) return wrong(r, "the file is changing while it is read");
        if (!r->to && !add_column(r)) return false;
    } while (*end == r->separator);
    if (r->to) return r->column == r->columns || wrong(r, "the file is changing while it is read");
    r->columns = r->column;
    return all_found(r);
}

/* ---- Rows ---- */

/* Whether the present column is unwanted, or beyond those of the header. */
static bool is_passed(const reader *r) { return r->place && (r->column > r->columns || r->place[r->column - 1] < 0); }

static bool read_row(reader *r, int *end) {
    bool first = r->rows == 0 && !r->to && !r->names;
    r->line++;
    r->column = 0;
    do {
        r->column++;
        if (!(is_passed(r) ? read_text(r, end) : read_cell(r, end))) return false;
        if (r->column == 1 && r->length == 0 && *end != r->separator) return true;
        if (r->to && r->rows == r->most_rows) return wrong(r, "the file is growing while it is read");
        if (!first && r->column > r->columns)
            return wrong(r, "the row is longer than the first, which has %lld cells", (long long)r->columns);
        if (!is_passed(r) && !convert_cell(r)) return false;
    } while (*end == r->separator);
    if (first) r->columns = r->wanted = r->column;
    if (r->column < r->columns)
        return wrong(r, "the row ends here, and the first has %lld cells", (long long)r->columns);
    r->rows++;
    return true;
}

static void skip_byte_order_mark(reader *r) {
    int c = next(r);
    if (c != END) r->at = 0;
    if (r->filled >= 3 && memcmp(r->buffer, "\xEF\xBB\xBF", 3) == 0) r->at = 3;
}

static bool read_rows(reader *r) {
    int end = '\n';
    rewind(r->in.file);
    r->rows = r->line = r->column = 0;
    r->at = r->filled = 0;
    skip_byte_order_mark(r);
    if (r->names && !read_header(r, &end)) return false;
    if (!r->names && r->header && !skip_line(r, &end)) return false;
    while (end != END)
        if (!read_row(r, &end)) return false;
    return r->in.tape->status == AG_OK;
}

/* ---- The whole file ---- */

static bool read_again(reader *r) {
    r->most_rows = r->rows;
    return read_rows(r) &&
           (r->rows == r->most_rows || ag__input_wrong(&r->in, "the file is shrinking while it is read"));
}

static ag_tensor *read_file(reader *r) {
    ag_tape *tape = r->in.tape;
    if (!read_rows(r)) return ag__nil_of(tape);
    if (r->rows == 0) ag__input_wrong(&r->in, "it has no row of numbers");
    if (r->rows == 0) return ag__nil_of(tape);
    ag_shape shape = AG_SHAPE(r->rows, r->wanted);
    size_t bytes = ag__times(ag__times((uint64_t)r->rows, (size_t)r->wanted), ag_dtype_size(r->dtype));
    ag__buffer *value = ag__buffer_new(tape, bytes);
    if (!value)
        return ag__fail_on(tape, "csv_read", AG_ERR_MEMORY, "%.300s: out of memory (%zu bytes)", r->in.path, bytes);
    r->to = value->data;
    if (read_again(r)) return ag__constant_with(tape, r->dtype, &shape, value);
    ag__buffer_drop(tape, value);
    return ag__nil_of(tape);
}

static bool separator_valid(int c) {
    bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    return !letter && !is_digit((char)c) && !strchr("+-.\r\n\"", c);
}

bool ag__csv_options_valid(ag_tape *tape, const char *call, const ag_csv_options *how) {
    bool shown = how->separator >= ' ' && how->separator <= '~';
    if (how->separator && !separator_valid((unsigned char)how->separator))
        ag__fail_on(tape, call, AG_ERR_RANGE, "'%c' cannot separate numbers", shown ? how->separator : '?');
    else if (how->n < 0 || (how->n == 0) != (how->names == NULL))
        ag__fail_on(tape, call, AG_ERR_RANGE, "%d names of columns, and the list of them is%s NULL", how->n,
                    how->names ? " not" : "");
    for (int i = 0; i < how->n && ag_tape_status(tape) == AG_OK; i++)
        if (!how->names[i]) ag__fail_on(tape, call, AG_ERR_NULL, "the name of column %d is NULL", i);
    return ag_tape_status(tape) == AG_OK;
}

ag_tensor *ag_csv_read(ag_tape *tape, const char *path, ag_dtype dtype, const ag_csv_options *options) {
    ag_csv_options how = options ? *options : (ag_csv_options){0};
    if (!tape || !path) return ag__fail_on(tape, "csv_read", AG_ERR_NULL, "the %s is NULL", tape ? "path" : "tape");
    if (!ag__in_order(tape, "csv_read")) return ag__nil_of(tape);
    if (dtype != AG_I64 && dtype != AG_F32 && dtype != AG_F64)
        return ag__fail_on(tape, "csv_read", AG_ERR_DTYPE, "i64, f32 or f64 is wanted, not %s", ag_dtype_name(dtype));
    if (!ag__csv_options_valid(tape, "csv_read", &how)) return ag__nil_of(tape);
    reader r = {.dtype = dtype,
                .separator = how.separator ? (unsigned char)how.separator : ',',
                .header = how.header,
                .wanted = how.n,
                .names = how.names};
    ag_tensor *x = ag__input_open(&r.in, tape, "csv_read", path) ? read_file(&r) : ag__nil_of(tape);
    if (r.place) ag__resize(tape, r.place, (size_t)r.room * sizeof *r.place, 0);
    ag__input_close(&r.in);
    return x;
}
