/* checkpoint -- the whole state of training in a file
 *
 * A checkpoint is written by the same code as any safetensors file, from the tape's variables and from constants that
 * hold the numbers, and read by that of ag_load. Its header begins with a checksum at a fixed place, of the whole file
 * with zeros for the checksum's own digits: without it, damage to the elements would be loaded. */
#include "io/checkpoint.h"
#include "autograd/tape/file.h"
#include "autograd/tape/format.h"
#include "autograd/tape/op.h"
#include "io/formats.h"
#include "io/load.h"
#include "io/series.h"

#include <inttypes.h>
#include <string.h>

static const char number_prefix[] = "number.";

enum { RANDOM = 2, DIGITS = 8 };

/* The file's first bytes after the header's length, up to the digits of the checksum. */
#define OPENING "\"checkpoint\":\"1\",\"crc32\":\""
static const char opening[] = "{\"" AG__METADATA "\":{" OPENING;
enum { DIGITS_AT = 8 + sizeof opening - 1 };

/* ---- The state ---- */

/* The tape's variables, the program's numbers, and those of the tape's random state, each with its name; in the arena.
 */
typedef struct state {
    ag_tape *tape;
    const char *call;
    int variables, numbers; /* random ones included */
    int n;                  /* both */
    ag_tensor **x;          /* NULL for numbers */
    const char **name;
    ag_number *number;
    int64_t seed, draws;
} state;

static bool number_wrong(const state *s, int i, ag_status status, const char *problem) {
    ag__fail_on(s->tape, s->call, status, "number %d of the list %s", i, problem);
    return false;
}

static bool numbers_valid(const state *s, int n, const ag_number numbers[]) {
    char shown[AG__SHOWN], text[160];
    if (n < 0) ag__fail_on(s->tape, s->call, AG_ERR_RANGE, "there are %d numbers: 0 or more is wanted", n);
    else if (n > 0 && !numbers) ag__fail_on(s->tape, s->call, AG_ERR_NULL, "the list of %d numbers is NULL", n);
    else if (n > INT32_MAX / 2) ag__fail_on(s->tape, s->call, AG_ERR_RANGE, "there are %d numbers: too many", n);
    else {
        for (int i = 0; i < n; i++) {
            const ag_number *number = &numbers[i];
            if (!number->name) return number_wrong(s, i, AG_ERR_NULL, "has no name");
            const char *fault = ag__name_fault(number->name, strlen(number->name));
            ag__format(text, sizeof text, "has the name %s, which has %s", ag__shown(shown, number->name),
                       fault ? fault : "");
            if (fault) return number_wrong(s, i, AG_ERR_RANGE, text);
            if (!number->integer && !number->real) return number_wrong(s, i, AG_ERR_NULL, "has no pointer");
            if (number->integer && number->real) return number_wrong(s, i, AG_ERR_RANGE, "has two pointers");
        }
        return true;
    }
    return false;
}

static bool out_of_memory(const state *s) {
    ag__fail_on(s->tape, s->call, AG_ERR_MEMORY, "out of memory (a list of %d variables and numbers)", s->n);
    return false;
}

static const char *prefixed(ag_tape *tape, const char *name) {
    size_t before = sizeof number_prefix - 1, bytes = strlen(name) + 1;
    char *text = ag__arena(tape, before + bytes);
    if (!text) return NULL;
    memcpy(text, number_prefix, before);
    return memcpy(text + before, name, bytes) ? text : NULL;
}

static bool name_all(state *s, int n, const ag_number numbers[]) {
    for (int i = 0; i < s->variables; i++) s->name[i] = ag_label_of(s->x[i]);
    for (int i = 0; i < n; i++) {
        s->number[i] = numbers[i];
        s->name[s->variables + i] = prefixed(s->tape, numbers[i].name);
        if (!s->name[s->variables + i]) return out_of_memory(s);
    }
    s->number[n] = (ag_number){.integer = &s->seed};
    s->number[n + 1] = (ag_number){.integer = &s->draws};
    s->name[s->n - 2] = "random.seed";
    s->name[s->n - 1] = "random.draws";
    return true;
}

/* Everything that a checkpoint holds; false after an error. */
static bool gather(state *s, ag_tape *tape, const char *call, int n, const ag_number numbers[]) {
    *s = (state){.tape = tape, .call = call, .seed = (int64_t)tape->seed, .draws = (int64_t)tape->draws};
    if (!numbers_valid(s, n, numbers)) return false;
    ag_list all = ag__list_variables(tape, call, NULL, AG__VARIABLE);
    if (tape->status != AG_OK) return false;
    s->variables = all.n, s->numbers = n + RANDOM;
    uint64_t total = (uint64_t)all.n + (uint64_t)n + RANDOM;
    s->n = (int)total;
    s->x = total < INT32_MAX ? ag__arena(tape, ag__times(total, sizeof *s->x)) : NULL;
    s->name = s->x ? ag__arena(tape, ag__times(total, sizeof *s->name)) : NULL;
    s->number = s->name ? ag__arena(tape, ag__times((uint64_t)s->numbers, sizeof *s->number)) : NULL;
    if (!s->number) return out_of_memory(s);
    for (int i = 0; i < s->n; i++) s->x[i] = i < all.n ? all.x[i] : NULL;
    return name_all(s, n, numbers);
}

/* ---- Saving ---- */

static void put_digits(char metadata[], uint32_t crc) {
    ag__format(metadata, sizeof OPENING + DIGITS + 1, "%s%08" PRIx32 "\"", OPENING, crc);
}

/* The first pass finds the checksum. */
static void fill(FILE *file, void *context) {
    ag__saving *saving = context;
    char metadata[sizeof OPENING + DIGITS + 1];
    ag__output counted = {.file = NULL, .summed = true}, o = {.file = file};
    saving->metadata = metadata;
    put_digits(metadata, 0);
    ag__safetensors_write(saving, &counted);
    put_digits(metadata, counted.crc);
    ag__safetensors_write(saving, &o);
}

static bool make_constants(state *s) {
    for (int i = 0; i < s->numbers; i++) {
        const ag_number *number = &s->number[i];
        const void *data = number->integer ? (const void *)number->integer : number->real;
        ag_tensor *x = ag_from(s->tape, number->integer ? AG_I64 : AG_F64, AG_SCALAR, data);
        if (ag_is_nil(x)) return false;
        s->x[s->variables + i] = x;
    }
    return true;
}

static bool metadata_named(const state *s, const ag__names *names) {
    if (!ag__names_have(names, AG__METADATA)) return false;
    ag__fail_on(s->tape, s->call, AG_ERR_RANGE, "in safetensors no variable can have the name " AG__METADATA);
    return true;
}

static bool write_next(state *s, const char *path, int keep) {
    enum { LARGEST = 999999999 };
    ag__series series;
    char to[AG__PATH];
    ag__saving saving = {.tape = s->tape, .n = s->n, .x = s->x, .name = s->name};
    bool good = ag__series_open(&series, s->tape, s->call, path);
    int64_t newest = good && series.count ? series.number[series.count - 1] : 0;
    if (good && newest >= LARGEST) {
        ag__fail_on(s->tape, s->call, AG_ERR_FILE, "%.300s: the number of the newest checkpoint is too large", path);
        good = false;
    }
    good = good && ag__write_file(s->tape, s->call, ag__series_path(&series, to, newest + 1), fill, &saving) &&
           ag__series_prune(&series, newest + 1, keep);
    ag__series_close(&series);
    return good;
}

static bool save(ag_tape *tape, const char *path, int n, const ag_number numbers[], int keep) {
    static const char call[] = "checkpoint_save";
    state s;
    ag__names names = {.n = 0};
    if (!gather(&s, tape, call, n, numbers)) return false;
    bool good = ag__names_take(&names, tape, call, s.n, s.x, s.name) && !metadata_named(&s, &names) &&
                make_constants(&s) && ag_eval_all(s.n, s.x) == AG_OK && write_next(&s, path, keep);
    ag__names_release(&names);
    return good;
}

/* Whether the arguments that both calls have are valid, and the tape can be used. */
static bool in_order(ag_tape *tape, const char *call, const char *path) {
    if (!tape) ag__fail_on(NULL, call, AG_ERR_NULL, "the tape is NULL");
    else if (!ag__in_order(tape, call) || ag__refused_inside(tape, call, AG__EVAL)) return false;
    else if (!path) ag__fail_on(tape, call, AG_ERR_NULL, "the path is NULL");
    else return true;
    return false;
}

ag_status ag_checkpoint_save(ag_tape *tape, const char *path, int n, const ag_number numbers[], int keep) {
    int line;
    const char *file = ag__here_file(&line);
    if (in_order(tape, "checkpoint_save", path)) {
        const ag__position position = ag__position_now(tape);
        if (keep < 0) ag__fail_on(tape, "checkpoint_save", AG_ERR_RANGE, "keep is %d: 0 or more is wanted", keep);
        else save(tape, path, n, numbers, keep);
        ag__truncate(tape, &position);
    }
    return ag__leave(tape, file, line);
}

/* ---- Loading ---- */

static uint32_t crc_of_digits(const unsigned char digits[DIGITS], bool *valid) {
    uint32_t crc = 0;
    *valid = true;
    for (int i = 0; i < DIGITS; i++) {
        unsigned char c = digits[i];
        bool digit = c >= '0' && c <= '9', letter = c >= 'a' && c <= 'f';
        if (!digit && !letter) *valid = false;
        crc = crc << 4 | (uint32_t)(digit ? c - '0' : c - 'a' + 10);
    }
    return crc;
}

/* Whether the file is a checkpoint, and its checksum right; if not, an error. */
static bool is_whole(ag__input *in, unsigned char *piece, size_t room) {
    unsigned char first[sizeof opening + DIGITS];
    const size_t n = sizeof opening - 1;
    bool valid;
    if (in->size < DIGITS_AT + DIGITS) return ag__input_wrong(in, "it is too short for a checkpoint: it is damaged");
    if (!ag__input_read(in, 8, first, n + DIGITS)) return false;
    if (memcmp(first, opening, n) != 0) return ag__input_wrong(in, "it does not begin as a checkpoint does");
    uint32_t wanted = crc_of_digits(first + n, &valid), crc = 0;
    for (uint64_t at = 0; at < in->size; at += room) {
        size_t bytes = in->size - at < room ? (size_t)(in->size - at) : room;
        if (!ag__input_read(in, at, piece, bytes)) return false;
        if (at == 0) memset(piece + DIGITS_AT, '0', DIGITS);
        crc = ag__crc32(crc, piece, bytes);
    }
    return (valid && crc == wanted) || ag__input_wrong(in, "its checksum is wrong: it is damaged");
}

static bool check_whole(ag_tape *tape, const char *call, const char *path) {
    enum { PIECE = AG__LIMIT(1 << 16, 100) };
    ag__input in;
    unsigned char *piece = NULL;
    bool good = ag__input_open(&in, tape, call, path) && (piece = ag__input_memory(&in, PIECE)) != NULL &&
                is_whole(&in, piece, PIECE);
    if (piece) ag__resize(tape, piece, PIECE, 0);
    ag__input_close(&in);
    return good;
}

static bool load_file(state *s, const char *path, const ag_checkpoint_options *how, ag_load_report *report) {
    if (!check_whole(s->tape, s->call, path)) return false;
    ag__loading l = {.tape = s->tape,
                     .call = s->call,
                     .n = s->n,
                     .numbers = s->numbers,
                     .v = s->x,
                     .number = s->number,
                     .how = {.names = s->name,
                             .convert = how->convert,
                             .allow_missing = how->allow_missing,
                             .allow_unexpected = how->allow_unexpected}};
    bool good = ag__load(&l, path);
    *report = l.report;
    return good;
}

/* From file i of the series down to the first that is not damaged, if those may be skipped; the error is that of the
 * newest. Returns the number. */
static int64_t load_newest(state *s, const ag__series *series, size_t i, const ag_checkpoint_options *how,
                           ag_load_report *report) {
    char path[AG__PATH], error[AG__ERROR_SIZE] = "";
    for (;; i--) {
        if (load_file(s, ag__series_path(series, path, series->number[i]), how, report)) return series->number[i];
        bool is_damaged = s->tape->status == AG_ERR_FILE && report->count == 0;
        if (!is_damaged || !how->skip_damaged) return -1;
        if (!*error) memcpy(error, s->tape->error, sizeof error);
        if (i == 0) break;
        s->tape->status = AG_OK, *s->tape->error = 0;
    }
    memcpy(s->tape->error, error, sizeof error);
    return -1;
}

/* The index of the file of that number in the series, or of its newest one; false after an error. */
static bool find(const state *s, const ag__series *series, int64_t number, size_t *i) {
    *i = series->count - 1;
    if (number == 0) return true;
    while (*i > 0 && series->number[*i] > number) --*i;
    if (series->number[*i] == number) return true;
    ag__fail_on(s->tape, s->call, AG_ERR_FILE, "%.300s: there is no checkpoint %lld, but those from %lld to %lld",
                series->path, (long long)number, (long long)series->number[0],
                (long long)series->number[series->count - 1]);
    return false;
}

static int64_t load_from(state *s, const char *path, const ag_checkpoint_options *how, ag_load_report *report) {
    ag__series series;
    size_t i;
    int64_t number = ag__series_open(&series, s->tape, s->call, path) ? 0 : -1;
    if (number == 0 && series.count)
        number = find(s, &series, how->number, &i) ? load_newest(s, &series, i, how, report) : -1;
    ag__series_close(&series);
    return number;
}

static int64_t load(ag_tape *tape, const char *path, int n, const ag_number numbers[], const ag_checkpoint_options *how,
                    ag_load_report *report) {
    state s;
    if (!gather(&s, tape, "checkpoint_load", n, numbers)) return -1;
    int64_t number = load_from(&s, path, how, report);
    if (number > 0 && !tape->sandbox) tape->seed = (uint64_t)s.seed, tape->draws = (uint64_t)s.draws;
    return number;
}

int64_t ag_checkpoint_load(ag_tape *tape, const char *path, int n, const ag_number numbers[],
                           const ag_checkpoint_options *options, ag_load_report *report) {
    int line;
    const char *file = ag__here_file(&line);
    const ag_checkpoint_options how = options ? *options : (ag_checkpoint_options){.number = 0};
    ag_load_report unwanted, *filled = report ? report : &unwanted;
    int64_t number = -1;
    *filled = (ag_load_report){.count = 0};
    if (in_order(tape, "checkpoint_load", path)) {
        if (how.number < 0)
            ag__fail_on(tape, "checkpoint_load", AG_ERR_RANGE, "the number %lld in the options is negative",
                        (long long)how.number);
        else number = load(tape, path, n, numbers, &how, filled);
    }
    ag__leave(tape, file, line);
    return number;
}
