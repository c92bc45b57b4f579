/* log -- the readings of a training run, as lines of a file that grows
 *
 * Invariant: the file's first `size` bytes are whole records in ascending order of their steps, of which the last is
 * `step`. A record that could not be written whole is cut off again; if that fails too, the log is broken, and nothing
 * more is written to it. Each record begins with its step, so that resuming need not understand the rest of the line.
 * */
#if defined __unix__ || defined __APPLE__
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#define POSIX 1
#endif
#include "autograd/report/text.h"
#include "autograd/tape/descriptor.h"
#include "autograd/tape/file.h"
#include "autograd/tape/op.h"
#include "autograd/tape/size.h"
#include "io/csv.h"
#include "io/input.h"
#include "io/log.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { MOST_READINGS = 1000, LONGEST_HEADER = 1 << 26 };

static bool file_wrong(ag_tape *tape, const char *call, const char *path, const char *problem) {
    ag__fail_on(tape, call, AG_ERR_FILE, "%.300s: %s", path, problem);
    return false;
}

static bool no_memory(ag_run_log *log, const char *call, size_t bytes) {
    ag__fail_on(log->tape, call, AG_ERR_MEMORY, "out of memory (%zu bytes, for a log)", bytes);
    return false;
}

/* ---- The file ---- */

#ifdef POSIX

/* Only regular files can be continued, and cut; opening another one must not wait. */
static bool open_file(ag_run_log *log, const char *path) {
    struct stat s;
    int d = ag__open(path, O_RDWR | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0666);
    const bool known = d >= 0 && fstat(d, &s) == 0, regular = known && S_ISREG(s.st_mode);
    if (regular && ag__sync_folder(path)) log->file = ag__stream_out(d);
    if (d >= 0 && !log->file) ag__close_descriptor(d);
    log->opened = d;
    if (known ? !regular : d < 0 && errno == ENXIO)
        return file_wrong(log->tape, "run_log_open", path, "not a regular file");
    return log->file || file_wrong(log->tape, "run_log_open", path, strerror(errno));
}

/* The same file, from its beginning. */
static FILE *open_again(const ag_run_log *log, const char *path) {
    (void)path;
    int d = dup(log->opened);
    FILE *again = d >= 0 ? ag__stream_in(d) : NULL;
    if (d >= 0 && !again) ag__close_descriptor(d);
    if (again) rewind(again);
    return again;
}

/* Nothing is written anywhere but at the end: see open_file. */
static int64_t end_of(const ag_run_log *log) { return lseek(log->opened, 0, SEEK_END); }
static bool cut(const ag_run_log *log, int64_t size) { return ag__cut_file(log->opened, size); }
static bool sync_file(const ag_run_log *log) { return ag__sync_descriptor(log->opened); }

#else

static bool open_file(ag_run_log *log, const char *path) {
    log->file = fopen(path, "ab");
    return log->file || file_wrong(log->tape, "run_log_open", path, strerror(errno));
}

static FILE *open_again(const ag_run_log *log, const char *path) { return (void)log, fopen(path, "rb"); }
static int64_t end_of(const ag_run_log *log) { return fseek(log->file, 0, SEEK_END) == 0 ? ftell(log->file) : -1; }
static bool cut(const ag_run_log *log, int64_t size) { return end_of(log) == size; }
static bool sync_file(const ag_run_log *log) { return (void)log, true; }

#endif

/* ---- Names ---- */

/* Raises the error for an invalid name. */
static bool name_valid(ag_run_log *log, const char *call, int i, const char *name) {
    if (!name) {
        ag__fail_on(log->tape, call, AG_ERR_NULL, "the name of reading %d is NULL", i);
        return false;
    }
    const char *fault = ag__name_fault(name, strlen(name));
    if (fault) ag__fail_on(log->tape, call, AG_ERR_RANGE, "the name of reading %d has %s", i, fault);
    else if (strcmp(name, "step") == 0)
        ag__fail_on(log->tape, call, AG_ERR_RANGE, "reading %d has the name \"step\", which is the record's own", i);
    return log->tape->status == AG_OK;
}

static bool names_differ(ag_run_log *log, const char *call, int n, const char *const name[]) {
    char shown[AG__SHOWN];
    for (int i = 0; i < n; i++)
        for (int k = 0; k < i; k++)
            if (strcmp(name[i], name[k]) == 0) {
                ag__fail_on(log->tape, call, AG_ERR_RANGE, "readings %d and %d have one name, %s", k, i,
                            ag__shown(shown, name[i]));
                return false;
            }
    return true;
}

static bool names_valid(ag_run_log *log, const char *call, int n, const char *const name[]) {
    if (n < 0 || n > MOST_READINGS) {
        ag__fail_on(log->tape, call, AG_ERR_RANGE, "there are %d readings, of at most %d", n, MOST_READINGS);
        return false;
    }
    for (int i = 0; i < n; i++)
        if (!name_valid(log, call, i, name[i])) return false;
    return names_differ(log, call, n, name);
}

/* ---- The columns of CSV ---- */

static void forget_columns(ag_run_log *log) {
    if (log->column) ag__resize(log->tape, log->column, (size_t)log->columns * sizeof *log->column, 0);
    if (log->names) ag__resize(log->tape, log->names, log->names_bytes, 0);
    log->column = NULL;
    log->names = NULL;
    log->columns = 0;
}

/* The names are copied, one after another. */
static bool fix_columns(ag_run_log *log, const char *call, int n, const char *const name[]) {
    size_t bytes = 0, used = 0;
    for (int i = 0; i < n; i++) bytes = ag__plus(bytes, strlen(name[i]) + 1);
    if (n == 0) return true;
    log->column = ag__resize(log->tape, NULL, 0, (size_t)n * sizeof *log->column);
    if (!log->column) return no_memory(log, call, (size_t)n * sizeof *log->column);
    log->columns = n;
    log->names = ag__resize(log->tape, NULL, 0, bytes);
    log->names_bytes = bytes;
    if (!log->names) return forget_columns(log), no_memory(log, call, bytes);
    for (int i = 0; i < n; i++) {
        log->column[i] = memcpy(log->names + used, name[i], strlen(name[i]) + 1);
        used += strlen(name[i]) + 1;
    }
    return true;
}

static int column_of(const ag_run_log *log, int hint, const char *name) {
    if (hint < log->columns && strcmp(log->column[hint], name) == 0) return hint;
    for (int k = 0; k < log->columns; k++)
        if (strcmp(log->column[k], name) == 0) return k;
    return -1;
}

/* ---- A log that is there ---- */

typedef struct head { /* of a line */
    char text[40];
    size_t length;
    bool whole; /* it ends in a line end */
} head;

static head read_line(FILE *file, int64_t *bytes) {
    head h = {.length = 0};
    int c;
    for (c = getc(file); c != EOF && c != '\n'; c = getc(file), ++*bytes)
        if (h.length + 1 < sizeof h.text) h.text[h.length++] = (char)c;
    h.whole = c == '\n';
    *bytes += h.whole;
    return h;
}

/* The step that a record begins with; -1: it is no record. */
static int64_t step_of(const ag_run_log *log, const head *h) {
    static const char opening[] = "{\"step\":";
    const char *s = h->text;
    int64_t step = 0;
    int digits = 0;
    if (strlen(s) != h->length) return -1;
    if (!log->csv && strncmp(s, opening, sizeof opening - 1) != 0) return -1;
    if (!log->csv) s += sizeof opening - 1;
    for (; *s >= '0' && *s <= '9'; s++, digits++) {
        if (step > (INT64_MAX - (*s - '0')) / 10) return -1;
        step = step * 10 + (*s - '0');
    }
    bool ends = *s == ',' || (log->csv ? *s == 0 || *s == '\r' : *s == '}');
    return digits > 0 && ends ? step : -1;
}

/* Whether an incomplete line may be the beginning of a record, or of the header. */
static bool may_begin(const ag_run_log *log, const head *h, int64_t line) {
    const char *opening = log->csv ? "step" : "{\"step\":";
    size_t n = strlen(opening) < h->length ? strlen(opening) : h->length;
    if (log->csv && line > 1) return h->length == 0 || (h->text[0] >= '0' && h->text[0] <= '9');
    return strncmp(h->text, opening, n) == 0;
}

static bool line_wrong(const ag_run_log *log, const char *path, int64_t line, const char *problem) {
    ag__fail_on(log->tape, "run_log_open", AG_ERR_FILE, "%.300s, line %lld: %s", path, (long long)line, problem);
    return false;
}

/* Finds the end of the last record that is kept; *header is the length of the first line of CSV. */
static bool find_end(ag_run_log *log, FILE *in, const char *path, int64_t most, int64_t *header) {
    int64_t at = 0;
    for (int64_t line = 1;; line++) {
        head h = read_line(in, &at);
        if (ferror(in)) return file_wrong(log->tape, "run_log_open", path, strerror(errno));
        int64_t step = step_of(log, &h);
        bool names = log->csv && line == 1;
        if (!h.whole && may_begin(log, &h, line)) break;
        if (names && (!h.whole || strncmp(h.text, "step", 4) != 0 || !strchr(",\r", h.text[4])))
            return line_wrong(log, path, line, "the header of a log begins with \"step\"");
        if (!names && (!h.whole || step < 0))
            return line_wrong(log, path, line,
                              log->csv ? "a record begins with its step, and a comma"
                                       : "a record begins with {\"step\": and an integer");
        if (!names && step < log->step) return line_wrong(log, path, line, "the step is below the one before");
        if (!names && step > most) break;
        if (names) *header = at;
        else log->step = step;
        log->size = at;
    }
    return true;
}

/* The names of a header, which is overwritten; returns their number, -1: it is malformed. */
static int parse_header(char *text, const char *name[], int room) {
    int n = 0;
    for (char *s = text, *to = text; *s; n++) {
        bool quoted = *s == '"';
        if (n > room) return -1;
        if (n > 0) name[n - 1] = to;
        for (s += quoted; *s && (quoted || (*s != ',' && *s != '\r' && *s != '\n')); s++) {
            if (quoted && *s == '"' && *++s != '"') break;
            *to++ = *s;
        }
        bool last = *s != ',';
        if (last && strcmp(s, "\n") != 0 && strcmp(s, "\r\n") != 0) return -1;
        *to++ = 0;
        if (last) return n;
        s++;
    }
    return -1;
}

static bool columns_as_in(ag_run_log *log, const char *path, char *text) {
    const char *name[MOST_READINGS];
    int n = parse_header(text, name, MOST_READINGS);
    if (n < 0) return line_wrong(log, path, 1, "the header is malformed, or has too many names");
    return names_valid(log, "run_log_open", n, name) && fix_columns(log, "run_log_open", n, name);
}

static bool read_header(ag_run_log *log, FILE *in, const char *path, int64_t length) {
    if (length > LONGEST_HEADER) return line_wrong(log, path, 1, "the header is too long");
    char *text = ag__resize(log->tape, NULL, 0, (size_t)length + 1);
    if (!text) return no_memory(log, "run_log_open", (size_t)length + 1);
    rewind(in);
    bool good = fread(text, 1, (size_t)length, in) == (size_t)length;
    const int wrong = ferror(in) ? errno : 0;
    text[good ? length : 0] = 0;
    good = good && strlen(text) == (size_t)length
               ? columns_as_in(log, path, text)
               : line_wrong(log, path, 1, wrong ? strerror(wrong) : "the header cannot be read");
    ag__resize(log->tape, text, (size_t)length + 1, 0);
    return good;
}

static bool same_columns(ag_run_log *log, const char *path, const ag_run_log_options *how) {
    bool same = how->n == log->columns;
    for (int i = 0; i < how->n && same; i++) same = strcmp(how->names[i], log->column[i]) == 0;
    return same || line_wrong(log, path, 1, "the columns are not those that the options name");
}

static bool take_up(ag_run_log *log, FILE *in, const char *path, const ag_run_log_options *how) {
    int64_t header = 0;
    if (!find_end(log, in, path, how->step, &header)) return false;
    if (header == 0) return true;
    if (!read_header(log, in, path, header)) return false;
    log->headed = true;
    return how->n == 0 || same_columns(log, path, how);
}

static bool resume(ag_run_log *log, const char *path, const ag_run_log_options *how) {
    FILE *in = open_again(log, path);
    if (!in) return file_wrong(log->tape, "run_log_open", path, strerror(errno));
    bool good = take_up(log, in, path, how);
    fclose(in);
    return good;
}

/* ---- Opening ---- */

static bool refuse(ag_run_log *log, const char *problem) {
    ag__fail_on(log->tape, "run_log_open", AG_ERR_RANGE, "%s", problem);
    return false;
}

static bool choose(ag_run_log *log, const char *path, const ag_run_log_options *how) {
    ag_run_log_format format = how->format;
    if (format == AG_RUN_LOG_BY_NAME)
        format = ag__ends_in(path, ".csv")                                   ? AG_RUN_LOG_CSV
                 : ag__ends_in(path, ".jsonl") || ag__ends_in(path, ".json") ? AG_RUN_LOG_JSON_LINES
                                                                             : AG_RUN_LOG_BY_NAME;
    if (format == AG_RUN_LOG_BY_NAME)
        return refuse(log, "a path ends in .jsonl, .json or .csv, or the options name the format");
    if (format != AG_RUN_LOG_CSV && format != AG_RUN_LOG_JSON_LINES) return refuse(log, "the format is invalid");
    log->csv = format == AG_RUN_LOG_CSV;
    if (!log->csv && how->n != 0) return refuse(log, "only CSV has columns");
    if (how->n != 0 && !how->names) return refuse(log, "the list of columns is NULL");
    return names_valid(log, "run_log_open", how->n, how->names);
}

static bool open_log(ag_run_log *log, const char *path, const ag_run_log_options *how) {
    if (!choose(log, path, how) || !open_file(log, path)) return false;
    setvbuf(log->file, NULL, _IONBF, 0); /* so that nothing is left to be written after a failure */
    if (how->resume && !resume(log, path, how)) return false;
    if (log->csv && log->columns == 0 && !fix_columns(log, "run_log_open", how->n, how->names)) return false;
    if (cut(log, log->size)) return true;
    return file_wrong(log->tape, "run_log_open", path, strerror(errno));
}

static void release(ag_run_log *log) {
    if (log->file) fclose(log->file);
    log->file = NULL;
    forget_columns(log);
    if (log->text) ag__resize(log->tape, log->text, log->room, 0);
    log->text = NULL;
}

ag_status ag_run_log_open(ag_run_log *log, ag_tape *tape, const char *path, const ag_run_log_options *options) {
    int line;
    const char *file = ag__here_file(&line);
    const ag_run_log_options how = options ? *options : (ag_run_log_options){.resume = false};
    if (log) *log = (ag_run_log){.tape = tape, .step = -1};
    if (!log || !tape || !path)
        ag__fail_on(tape, "run_log_open", AG_ERR_NULL, "the %s is NULL", !log ? "log" : !tape ? "tape" : "path");
    else if (ag__in_order(tape, "run_log_open") && !open_log(log, path, &how)) release(log);
    return ag__leave(tape, file, line);
}

/* ---- Writing ---- */

static void put_value(ag__text *t, const ag_run_log *log, double value) {
    char text[AG__CSV_NUMBER];
    if (!log->csv && !isfinite(value)) ag__put_value(t, value, true);
    else ag__put(t, ag__csv_real(text, AG_F64, value));
}

static void put_json(ag__text *t, const ag_run_log *log, int n, const ag_reading reading[]) {
    for (int i = 0; i < n; i++) {
        ag__put(t, ",");
        ag__put_json(t, reading[i].name);
        ag__put(t, ":");
        put_value(t, log, reading[i].value);
    }
    ag__put(t, "}\n");
}

static void put_cells(ag__text *t, const ag_run_log *log, int n, const ag_reading reading[]) {
    for (int k = 0; k < log->columns; k++) {
        int i = k < n && strcmp(log->column[k], reading[k].name) == 0 ? k : 0;
        while (i < n && strcmp(log->column[k], reading[i].name) != 0) i++;
        ag__put(t, ",");
        if (i < n) put_value(t, log, reading[i].value);
    }
    ag__put(t, "\n");
}

/* The record, in the log's own memory. */
static bool make_text(ag_run_log *log, int64_t step, int n, const ag_reading reading[], size_t *bytes) {
    ag__text t = {.tape = log->tape, .bytes = log->text, .room = log->room};
    ag__putf(&t, log->csv ? "%lld" : "{\"step\":%lld", (long long)step);
    if (log->csv) put_cells(&t, log, n, reading);
    else put_json(&t, log, n, reading);
    log->text = t.bytes;
    log->room = t.room;
    *bytes = t.used;
    return !t.failed || no_memory(log, "run_log_write", t.used);
}

static void write_header(const ag_run_log *log) {
    fputs("step", log->file);
    for (int i = 0; i < log->columns; i++) {
        putc(',', log->file);
        ag__csv_put_name(log->file, ',', log->column[i]);
    }
    putc('\n', log->file);
}

/* Cuts off what a failure left. */
static bool write_text(ag_run_log *log, size_t bytes) {
    ag__held held = ag__hold_signals();
    errno = 0;
    if (log->csv && !log->headed) write_header(log);
    bool good = !ferror(log->file) && fwrite(log->text, 1, bytes, log->file) == bytes;
    int64_t end = good ? end_of(log) : -1;
    int wrong = errno ? errno : EIO;
    clearerr(log->file);
    if (end < 0) log->broken = !cut(log, log->size);
    else log->size = end;
    ag__release_signals(&held);
    if (end < 0)
        ag__fail_on(log->tape, "run_log_write", AG_ERR_FILE, "the log cannot be written: %s%s", strerror(wrong),
                    log->broken ? "; its last line is incomplete" : "");
    return end >= 0;
}

static bool readings_valid(ag_run_log *log, int n, const ag_reading reading[], const char *name[]) {
    if (n > 0 && !reading) {
        ag__fail_on(log->tape, "run_log_write", AG_ERR_NULL, "the list of readings is NULL");
        return false;
    }
    for (int i = 0; i < n && i < MOST_READINGS; i++) name[i] = reading[i].name;
    return names_valid(log, "run_log_write", n, name);
}

static bool have_columns(ag_run_log *log, int n, const char *const name[]) {
    char shown[AG__SHOWN];
    for (int i = 0; i < n; i++)
        if (column_of(log, i, name[i]) < 0) {
            ag__fail_on(log->tape, "run_log_write", AG_ERR_RANGE,
                        "no column has the name %s: the options or the first record name all columns",
                        ag__shown(shown, name[i]));
            return false;
        }
    return true;
}

static void write_record(ag_run_log *log, int64_t step, int n, const ag_reading reading[]) {
    const char *name[MOST_READINGS], *call = "run_log_write";
    size_t bytes;
    if (!log->file || log->broken)
        ag__fail_on(log->tape, call, AG_ERR_FILE, "the log is %s", log->file ? "broken" : "not open");
    else if (step < log->step || step < 0)
        ag__fail_on(log->tape, call, AG_ERR_RANGE, "step %lld after %lld", (long long)step, (long long)log->step);
    if (log->tape->status != AG_OK || !readings_valid(log, n, reading, name)) return;
    if (log->csv && log->columns == 0 && !log->headed && !fix_columns(log, call, n, name)) return;
    bool written =
        (!log->csv || have_columns(log, n, name)) && make_text(log, step, n, reading, &bytes) && write_text(log, bytes);
    if (written) {
        log->headed = true;
        log->step = step;
    }
}

ag_status ag_run_log_write(ag_run_log *log, int64_t step, int n, const ag_reading reading[]) {
    int line;
    const char *file = ag__here_file(&line);
    ag_tape *tape = log ? log->tape : NULL;
    if (!tape) ag__fail_on(NULL, "run_log_write", AG_ERR_NULL, log ? "the log is not open" : "the log is NULL");
    else if (ag__in_order(tape, "run_log_write")) write_record(log, step, n, reading);
    return ag__leave(tape, file, line);
}

ag_status ag_run_log_close(ag_run_log *log) {
    int line;
    const char *file = ag__here_file(&line);
    ag_tape *tape = log ? log->tape : NULL;
    if (!log || !log->file) return ag__leave(tape, file, line);
    errno = 0;
    if (!log->broken && !sync_file(log))
        ag__fail_on(tape, "run_log_close", AG_ERR_FILE, "the log cannot be synced: %s", strerror(errno));
    release(log);
    return ag__leave(tape, file, line);
}
