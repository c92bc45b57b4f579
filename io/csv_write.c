/* csv_write -- numbers into a text file */
#include "autograd/eval/eval.h"
#include "autograd/tape/file.h"
#include "autograd/tape/format.h"
#include "autograd/tape/op.h"
#include "io/csv.h"
#include "io/input.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef struct table {
    ag_tensor *x;
    const ag_csv_options *how;
    int64_t rows, columns;
    char separator;
} table;

/* Any number of 15 digits, of f32 6, is its own value's text, unless it is subnormal. */
const char *ag__csv_real(char to[AG__CSV_NUMBER], ag_dtype dtype, double value) {
    const bool narrow = dtype == AG_F32;
    const int most = narrow ? 9 : 17;
    int digits = fabs(value) < (narrow ? (double)FLT_MIN : DBL_MIN) ? 1 : narrow ? 6 : 15;
    bool same = false;
    if (!isfinite(value)) ag__format(to, AG__CSV_NUMBER, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
    else
        for (; digits <= most && !same; digits++) {
            ag__format(to, AG__CSV_NUMBER, "%.*g", digits, value);
            same = (narrow ? (double)ag__parse_f32(to) : ag__parse_f64(to)) == value;
        }
    return to;
}

static void put_number(FILE *file, ag_dtype dtype, const void *p) {
    char text[AG__CSV_NUMBER];
    if (dtype == AG_BOOL) ag__format(text, AG__CSV_NUMBER, "%d", *(const unsigned char *)p);
    else if (dtype == AG_I64) ag__format(text, AG__CSV_NUMBER, "%lld", (long long)*(const int64_t *)p);
    else ag__csv_real(text, dtype, dtype == AG_F32 ? (double)*(const float *)p : *(const double *)p);
    fputs(text, file);
}

void ag__csv_put_name(FILE *file, char separator, const char *name) {
    size_t n = strlen(name);
    bool blanks = n > 0 && (name[0] == ' ' || name[n - 1] == ' ');
    if (n > 0 && !blanks && !strchr(name, '"') && !strchr(name, separator)) {
        fputs(name, file);
        return;
    }
    putc('"', file);
    for (const char *c = name; *c; c++) {
        if (*c == '"') putc('"', file);
        putc(*c, file);
    }
    putc('"', file);
}

static void fill(FILE *file, void *context) {
    const table *t = context;
    ag_array values = ag__array_of(t->x);
    ag_dtype dtype = ag_dtype_of(t->x);
    for (int i = 0; i < t->how->n; i++) {
        if (i > 0) putc(t->separator, file);
        ag__csv_put_name(file, t->separator, t->how->names[i]);
    }
    if (t->how->n > 0) putc('\n', file);
    for (int64_t i = 0; i < t->rows * t->columns; i++) {
        double element;
        ag__pack(&element, &values, i, 1);
        put_number(file, dtype, &element);
        putc((i + 1) % t->columns == 0 ? '\n' : t->separator, file);
    }
}

static bool names_valid(ag_tape *tape, const table *t) {
    const ag_csv_options *how = t->how;
    if (how->n != t->columns && (how->n > 0 || how->header))
        ag__fail_on(tape, "csv_write", AG_ERR_RANGE, "%d names for %lld columns", how->n, (long long)t->columns);
    for (int i = 0; i < how->n && ag_tape_status(tape) == AG_OK; i++) {
        const char *fault = *how->names[i] ? ag__name_fault(how->names[i], strlen(how->names[i])) : NULL;
        if (fault) ag__fail_on(tape, "csv_write", AG_ERR_RANGE, "the name of column %d has %s", i, fault);
    }
    return ag_tape_status(tape) == AG_OK;
}

static void write_table(const char *path, ag_tensor *x, const ag_csv_options *how) {
    ag_tape *tape = ag_tape_of(x);
    ag_shape shape = ag_shape_of(x);
    bool one = shape.rank == 1;
    table t = {.x = x, .how = how, .separator = how->separator ? how->separator : ','};
    if (!ag__csv_options_valid(tape, "csv_write", how)) return;
    if ((!one && shape.rank != 2) || (!one && shape.extent[1] == 0)) {
        ag__fail("csv_write", 1, &x, AG_ERR_SHAPE, "a table must have rows and columns");
        return;
    }
    t.rows = shape.extent[0];
    t.columns = one ? 1 : shape.extent[1];
    if (names_valid(tape, &t) && ag_eval(x) == AG_OK) ag__write_file(tape, "csv_write", path, fill, &t);
}

ag_status ag_csv_write(const char *path, ag_tensor *x, const ag_csv_options *options) {
    int line;
    const char *file = ag__here_file(&line);
    const ag_csv_options plain = {.n = 0};
    if (!path) ag__fail_on(ag_tape_of(x), "csv_write", AG_ERR_NULL, "the path is NULL");
    else if (ag__usable("csv_write", x)) write_table(path, x, options ? options : &plain);
    return ag__leave(ag_tape_of(x), file, line);
}
