/* trace -- a profile and a tape's memory as tables, and as a file of events for trace viewers
 *
 * Texts in a profile's entries are cleaned already: well-formed UTF-8 without control characters. So JSON needs
 * escapes for only two characters. Columns are padded around numbers, never around text that may be multi-byte. */
#include "autograd/report/profile.h"
#include "autograd/report/text.h"
#include "autograd/tape/file.h"
#include "autograd/tape/format.h"

#include <inttypes.h>
#include <string.h>

static const char *const kind_names[] = {
    [AG_PROFILE_EVALUATION] = "evaluation", [AG_PROFILE_PLANNING] = "planning",   [AG_PROFILE_REGION] = "region",
    [AG_PROFILE_PRODUCT] = "product",       [AG_PROFILE_OPERATION] = "operation", [AG_PROFILE_OTHER] = "other steps"};

static const char *name_of(const ag_profile_entry *e) { return *e->operations ? e->operations : kind_names[e->kind]; }

/* ---- The trace: JSON in the form of "Trace Event Format" (Google, 2016), of complete events and counters ---- */

static void put_json(FILE *f, const char *s) {
    fputc('"', f);
    for (; *s; s++) {
        const char *other = ag__escaped(*s, AG__JSON);
        if (other) fputs(other, f);
        else fputc(*s, f);
    }
    fputc('"', f);
}

static void put_text(FILE *f, const char *name, const char *value) {
    if (!*value) return;
    ag__print(f, "\"%s\":", name);
    put_json(f, value);
    fputc(',', f);
}

/* Nanoseconds as microseconds. */
static void put_micro(FILE *f, const char *name, int64_t t) {
    ag__print(f, ",\"%s\":%" PRId64 ".%03d", name, t / 1000, (int)(t % 1000));
}

static void put_arguments(FILE *f, const ag__profile_row *row, const ag__profile_event *event) {
    const ag_profile_entry *one = &row->one, *all = &row->all;
    fputs(",\"args\":{", f);
    put_text(f, "extent", all->extent);
    put_text(f, "labels", all->labels);
    put_text(f, "reads", all->inputs);
    put_text(f, "file", all->file);
    if (*all->file) ag__print(f, "\"line\":%d,", all->line);
    if (all->kind >= AG_PROFILE_REGION && all->kind != AG_PROFILE_OTHER)
        ag__print(f,
                  "\"operations\":%" PRId64 ",\"backward\":%s,\"elements\":%" PRId64 ",\"bytes read\":%" PRId64
                  ",\"bytes written\":%" PRId64 ",\"flops\":%" PRId64 ",\"threads\":%d,",
                  one->nodes, one->backward ? "true" : "false", one->elements, one->bytes_read, one->bytes_written,
                  one->flops, all->threads);
    ag__print(f, "\"live bytes\":%" PRId64 "}", event->live);
}

static void put_event(FILE *f, const ag__profile_row *row, const ag__profile_event *event) {
    ag__print(f, ",\n{\"ph\":\"X\",\"pid\":1,\"tid\":1");
    put_micro(f, "ts", event->start);
    put_micro(f, "dur", event->end - event->start);
    ag__print(f, ",\"cat\":\"%s\",\"name\":", kind_names[row->all.kind]);
    put_json(f, name_of(&row->all));
    put_arguments(f, row, event);
    fputs("},\n{\"ph\":\"C\",\"pid\":1,\"tid\":1,\"name\":\"live bytes\"", f);
    put_micro(f, "ts", event->end);
    ag__print(f, ",\"args\":{\"values\":%" PRId64 "}}", event->live);
}

static void put_trace(FILE *f, void *context) {
    const ag__profile *p = context;
    uint64_t first = p->events > AG__EVENTS ? p->events - AG__EVENTS : 0;
    ag__print(f,
              "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"events\":%" PRIu64 ",\"earlier events dropped\":%" PRIu64
              "},\"traceEvents\":[\n{\"ph\":\"M\",\"pid\":1,\"tid\":1,\"ts\":0,\"name\":\"process_name\","
              "\"args\":{\"name\":\"autograd\"}},\n{\"ph\":\"M\",\"pid\":1,\"tid\":1,\"ts\":0,\"name\":\"thread_name\","
              "\"args\":{\"name\":\"evaluation%s\"}}",
              p->events - first, first, first ? " (earlier events were dropped)" : "");
    for (uint64_t i = first; i < p->events; i++) {
        const ag__profile_event *event = &p->event[i % AG__EVENTS];
        put_event(f, &p->row[event->row], event);
    }
    fputs("\n]}\n", f);
}

/* The profile of a tape that is not in error; else NULL, after an error. */
static ag__profile *profile_of(ag_tape *tape, const char *name) {
    if (!tape) ag__fail_on(NULL, name, AG_ERR_NULL, "the tape is NULL");
    else if (!tape->profile) ag__fail_on(tape, name, AG_ERR_RANGE, "no profile was started");
    return tape && tape->status == AG_OK ? tape->profile : NULL;
}

ag_status ag_profile_write(ag_tape *tape, const char *path) {
    int line;
    const char *file = ag__here_file(&line);
    ag__profile *p = profile_of(tape, "profile_write");
    if (p && !path) ag__fail_on(tape, "profile_write", AG_ERR_NULL, "the path is NULL");
    else if (p) ag__write_file(tape, "profile_write", path, put_trace, p);
    return ag__leave(tape, file, line);
}

/* ---- The table ---- */

enum { WIDTH = 6 };

/* "1.23 ms", in at least 3 columns more than `width`. */
static void put_time(ag__text *t, int width, double seconds) {
    if (seconds >= 1) ag__putf(t, "%*.2f s ", width, seconds);
    else if (seconds >= 1e-3) ag__putf(t, "%*.2f ms", width, seconds * 1e3);
    else ag__putf(t, "%*.2f µs", width, seconds * 1e6);
}

/* A rate in units of 10⁹ a second. */
static void put_rate(ag__text *t, int64_t count, double seconds) {
    if (count > 0 && seconds > 0) ag__putf(t, "%9.2f", (double)count / seconds * 1e-9);
    else ag__put(t, "        -");
}

static void put_row(ag__text *t, const ag_profile_entry *e, double whole) {
    put_time(t, WIDTH, e->seconds);
    ag__putf(t, " %5.1f %% %8" PRId64 " ", whole > 0 ? 100 * e->seconds / whole : 0, e->calls);
    put_time(t, WIDTH, e->seconds / (double)e->calls);
    ag__put(t, " ");
    put_time(t, WIDTH, e->shortest);
    put_rate(t, e->bytes_read + e->bytes_written, e->seconds);
    put_rate(t, e->flops, e->seconds);
    ag__putf(t, "  %s%s", e->backward ? "backward " : "", kind_names[e->kind]);
    if (*e->extent) ag__put(t, " "), ag__put(t, e->extent);
    if (*e->operations) ag__put(t, ": "), ag__put(t, e->operations);
    if (*e->labels) ag__put(t, " = "), ag__put(t, e->labels);
    if (*e->inputs) ag__put(t, " of "), ag__put(t, e->inputs);
    if (*e->file) ag__put(t, "  ["), ag__put(t, e->file), ag__putf(t, ":%d]", e->line);
    ag__put(t, "\n");
}

static double seconds_of(const ag_tape *tape, ag_profile_kind kind) {
    double seconds = 0;
    for (int i = 0; i < ag_profile_count(tape); i++) {
        ag_profile_entry e = ag_profile_at(tape, i);
        if (kind == AG_PROFILE_REGION ? e.kind >= kind : e.kind == kind) seconds += e.seconds;
    }
    return seconds;
}

static void put_table(ag__text *t, const ag_tape *tape, int lines) {
    const ag__profile *p = tape->profile;
    double time = (double)((p->ended ? p->ended : ag__profile_now()) - p->began) * 1e-9;
    double whole = seconds_of(tape, AG_PROFILE_EVALUATION);
    ag__put(t, "Of ");
    put_time(t, 0, time);
    ag__put(t, " evaluations took ");
    put_time(t, 0, whole);
    ag__put(t, ": planning ");
    put_time(t, 0, seconds_of(tape, AG_PROFILE_PLANNING));
    ag__put(t, ", steps ");
    put_time(t, 0, seconds_of(tape, AG_PROFILE_REGION));
    ag__put(t, "\n     time   share    calls      each  shortest     GB/s  GFLOP/s  what\n");
    int count = ag_profile_count(tape), shown = count < lines ? count : lines;
    double rest = 0;
    for (int i = 0; i < count; i++) {
        ag_profile_entry e = ag_profile_at(tape, i);
        if (i < shown) put_row(t, &e, whole);
        else rest += e.seconds;
    }
    if (shown == count) return;
    put_time(t, WIDTH, rest);
    ag__putf(t, " %5.1f %% in %d more rows\n", whole > 0 ? 100 * rest / whole : 0, count - shown);
}

const char *ag_profile_table(ag_tape *tape, int lines) {
    enum { USUAL = 40 };
    int line;
    const char *file = ag__here_file(&line), *table = "";
    ag__text t = {.tape = tape};
    if (profile_of(tape, "profile_table")) {
        if (lines < 0) ag__fail_on(tape, "profile_table", AG_ERR_RANGE, "%d lines", lines);
        else put_table(&t, tape, lines ? lines : USUAL);
        table = ag__text_finish(&t, "profile_table");
    }
    ag__leave(tape, file, line);
    return table;
}

/* ---- Memory ---- */

static void put_bytes(ag__text *t, int64_t bytes) {
    static const char *const units[] = {"B ", "kB", "MB", "GB", "TB"};
    double n = (double)bytes;
    int unit = 0;
    for (; n >= 1000 && unit < 4; unit++) n /= 1000;
    ag__putf(t, unit ? "%9.2f %s" : "%9.0f %s", n, units[unit]);
}

static void put_memory(ag__text *t, const char *what, int64_t now, int64_t peak) {
    ag__putf(t, "%-9s", what);
    put_bytes(t, now);
    if (peak >= 0) put_bytes(t, peak);
    else ag__put(t, "            ");
}

const char *ag_tape_memory_table(ag_tape *tape) {
    int line;
    const char *file = ag__here_file(&line), *table = "";
    ag__text t = {.tape = tape};
    if (!tape) {
        ag__fail_on(NULL, "tape_memory_table", AG_ERR_NULL, "the tape is NULL");
    } else if (tape->status == AG_OK) {
        ag_memory m = ag_tape_memory(tape);
        ag__put(&t, "                  now        peak\n");
        put_memory(&t, "values", m.live, m.peak_live);
        put_memory(&t, "\nnodes", m.node_bytes, m.peak_node_bytes);
        ag__putf(&t, "   %" PRId64 " of them now", m.nodes);
        put_memory(&t, "\nplans", m.plan_bytes, m.peak_plan_bytes);
        put_memory(&t, "\nthe rest", m.held - m.live - m.node_bytes - m.plan_bytes, -1);
        ag__put(&t, "   recycled, set aside for nodes to come, or a profile's");
        put_memory(&t, "\nheld", m.held, m.peak_held);
        ag__putf(&t, "   asked for in %" PRId64 " pieces\n", m.allocations);
        table = ag__text_finish(&t, "tape_memory_table");
    }
    ag__leave(tape, file, line);
    return table;
}
