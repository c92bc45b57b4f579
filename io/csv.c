/* csv -- numbers from a text file
 *
 * The file is read twice by the same code: first to check every cell and to count rows and columns, then, into memory
 * of exactly that size, to convert. Nothing else grows with the file: a cell that is longer than any sensible number
 * is refused, so there is no line buffer, and each cell takes at least two bytes of the file. */
#include "autograd/eval/eval.h"
#include "autograd/tape/format.h"
#include "io/io.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST_CELL = 400, LONGEST_QUOTE = 24 };

typedef struct reader {
    ag_tape *tape;
    const char *path;
    FILE *file;
    ag_dtype dtype;
    int separator;
    bool header;

    void *to;              /* NULL: only check and count */
    int64_t rows, columns; /* so far; with `to`, no more than there is room for */
    int64_t most_rows;
    int64_t line, column; /* where the reader is, from 1 */

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
    ag__fail_on(r->tape, "csv_read", AG_ERR_FILE, "%.300s, line %lld, column %lld: %s", r->path, (long long)r->line,
                (long long)r->column, text);
    return false;
}

static ag_tensor *wrong_file(ag_tape *tape, const char *path, const char *what) {
    return ag__fail_on(tape, "csv_read", AG_ERR_FILE, "%.300s: %s", path, what);
}

/* The cell for a message: cut short, and without what a terminal would obey. */
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

/* A decimal number, taken apart as far as integers need it. */
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
        int digit = d->whole[i] - '0'; /* built up below 0, where there is room for INT64_MIN */
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
    int64_t i = r->rows * r->columns + r->column - 1;
    if (r->dtype == AG_F32) ((float *)r->to)[i] = (float)real;
    else if (r->dtype == AG_F64) ((double *)r->to)[i] = real;
    else ((int64_t *)r->to)[i] = integer;
}

/* With what is to be done about it, where that can be guessed. */
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

static int next(reader *r) {
    if (r->at == r->filled) {
        r->filled = fread(r->buffer, 1, sizeof r->buffer, r->file);
        r->at = 0;
        if (r->filled == 0) return END;
    }
    return r->buffer[r->at++];
}

static bool blank(int c) { return c == ' ' || c == '\t'; }

/* The next cell without the blanks around it, and what ended it: the separator, '\n' or END. */
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

static bool skip_line(reader *r, int *end) {
    r->line++;
    r->column = 1;
    do {
        *end = next(r);
        if (*end == 0) return wrong(r, "a NUL byte: this is not text");
    } while (*end != '\n' && *end != END);
    return true;
}

static bool read_row(reader *r, int *end) {
    bool first = r->rows == 0 && !r->to;
    r->line++;
    r->column = 0;
    do {
        r->column++;
        if (!read_cell(r, end)) return false;
        if (r->column == 1 && r->length == 0 && *end != r->separator) return true;
        if (r->to && r->rows == r->most_rows) return wrong(r, "the file is growing while it is read");
        if (!first && r->column > r->columns)
            return wrong(r, "the row is longer than the first, which has %lld cells", (long long)r->columns);
        if (!convert_cell(r)) return false;
    } while (*end == r->separator);
    if (first) r->columns = r->column;
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
    rewind(r->file);
    r->rows = r->line = r->column = 0;
    r->at = r->filled = 0;
    skip_byte_order_mark(r);
    if (r->header && !skip_line(r, &end)) return false;
    while (end != END)
        if (!read_row(r, &end)) return false;
    if (ferror(r->file)) wrong_file(r->tape, r->path, strerror(errno));
    return !ferror(r->file);
}

/* ---- The whole file ---- */

static ag_tensor *read_again(reader *r) {
    ag_tensor *nil = ag__nil_of(r->tape);
    r->most_rows = r->rows;
    if (!read_rows(r)) return nil;
    if (r->rows < r->most_rows) return wrong_file(r->tape, r->path, "the file is shrinking while it is read");
    return ag_from(r->tape, r->dtype, AG_SHAPE(r->rows, r->columns), r->to);
}

static ag_tensor *read_file(reader *r) {
    if (fseek(r->file, 0, SEEK_END) != 0) return wrong_file(r->tape, r->path, "not a file that can be read twice");
    if (!read_rows(r)) return ag__nil_of(r->tape);
    if (r->rows == 0) return wrong_file(r->tape, r->path, "there is no row of numbers in it");
    size_t cell = ag_dtype_size(r->dtype);
    if ((uint64_t)r->rows > SIZE_MAX / cell / (uint64_t)r->columns)
        return ag__fail_on(r->tape, "csv_read", AG_ERR_MEMORY, "%.300s: too large for this machine", r->path);
    size_t bytes = (size_t)r->rows * (size_t)r->columns * cell;
    r->to = ag__resize(r->tape, NULL, 0, bytes);
    if (!r->to)
        return ag__fail_on(r->tape, "csv_read", AG_ERR_MEMORY, "%.300s: no memory for %zu bytes", r->path, bytes);
    ag_tensor *x = read_again(r);
    ag__resize(r->tape, r->to, bytes, 0);
    return x;
}

static bool separator_valid(int c) {
    bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    return !letter && !is_digit((char)c) && c != '+' && c != '-' && c != '.' && c != '\r' && c != '\n';
}

ag_tensor *ag_csv_read(ag_tape *tape, const char *path, ag_dtype dtype, const ag_csv_options *options) {
    ag_csv_options how = options ? *options : (ag_csv_options){0};
    if (!tape || !path) return ag__fail_on(tape, "csv_read", AG_ERR_NULL, "the %s is NULL", tape ? "path" : "tape");
    if (ag_tape_status(tape) != AG_OK) return ag__nil_of(tape);
    if (dtype != AG_I64 && dtype != AG_F32 && dtype != AG_F64)
        return ag__fail_on(tape, "csv_read", AG_ERR_DTYPE, "i64, f32 or f64 is wanted, not %s", ag_dtype_name(dtype));
    reader r = {.tape = tape,
                .path = path,
                .dtype = dtype,
                .separator = how.separator ? (unsigned char)how.separator : ',',
                .header = how.header};
    if (!separator_valid(r.separator))
        return ag__fail_on(tape, "csv_read", AG_ERR_RANGE, "'%c' cannot separate numbers",
                           r.separator >= ' ' && r.separator <= '~' ? r.separator : '?');
    r.file = fopen(path, "rb");
    if (!r.file) return wrong_file(tape, path, strerror(errno));
    ag_tensor *x = read_file(&r);
    fclose(r.file);
    return x;
}
