/* table -- the layers of a sequence as text
 *
 * Three walks over the layers: for the widths of the columns, for the length of the text, and for the text. Names may
 * be in any script, so columns are padded by characters, and not by bytes. */
#include "autograd/tape/format.h"
#include "nn/adding.h"

#include <string.h>

enum { NAME, KIND, OUTPUT, PARAMETERS, FORWARD, BACKWARD, STORED, COLUMNS, CELL = 200, MOST = 60 };

typedef struct table {
    const ag_tape *tape;
    int columns; /* without a profile only the first */
    int width[COLUMNS];
    char *to; /* NULL: the length is counted */
    size_t used;
} table;

typedef struct line {
    char cell[COLUMNS][CELL];
} line;

/* ---- A line's cells ---- */

static bool begins_character(char c) { return ((unsigned char)c & 0xC0) != 0x80; }

static int characters(const char *s) {
    int n = 0;
    for (; *s; s++) n += begins_character(*s);
    return n;
}

/* At most MOST characters of s, which is UTF-8, with a space for each control character. */
static void put_text(char cell[CELL], const char *s) {
    size_t used = 0;
    for (int n = 0; *s && used < CELL - 4; s++) {
        n += begins_character(*s);
        if (n > MOST) break;
        cell[used++] = (unsigned char)*s < 0x20 || *s == 0x7F ? ' ' : *s;
    }
    cell[used] = 0;
    if (*s) strcpy(cell + used, "…");
}

static void put_bytes(char cell[CELL], double bytes) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    int unit = 0;
    for (; bytes >= 999.95 && unit < 4; unit++) bytes /= 1000;
    ag__format(cell, CELL, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

static void put_profile(line *l, double forward, double backward, double bytes) {
    if (forward > 0) ag__format(l->cell[FORWARD], CELL, "%.4f", 1e3 * forward);
    if (backward > 0) ag__format(l->cell[BACKWARD], CELL, "%.4f", 1e3 * backward);
    if (forward > 0) put_bytes(l->cell[STORED], bytes);
}

static int64_t parameters_in(const ag_sequence *model);

static int64_t parameters_of(const ag_layer *layer) {
    int64_t n = 0;
    ag_tensor *x;
    if (layer->nested) return parameters_in(layer->nested);
    for (int i = 0; layer->kind->variable && (x = layer->kind->variable(layer->state, i)) != NULL; i++)
        if (ag_requires_grad(x)) n += ag_size(x);
    return n;
}

static int64_t parameters_in(const ag_sequence *model) {
    int64_t n = 0;
    for (const ag_layer *l = model->first; l; l = l->next) n += parameters_of(l);
    return n;
}

/* Seconds and bytes of one pass; a layer that has run no step, as a view, has none. */
static void profile_of(const table *t, const ag_layer *layer, double of[3]) {
    ag_profile_share s = ag_profile_part(t->tape, layer->name);
    double passes = s.passes > 0 ? (double)s.passes : 1;
    of[0] = s.forward / passes, of[1] = s.backward / passes, of[2] = (double)s.bytes / passes;
}

static void describe(const table *t, const ag_layer *layer, line *l) {
    char extents[AG__EXTENTS];
    double of[3];
    *l = (line){.cell = {{0}}};
    put_text(l->cell[NAME], layer->name);
    put_text(l->cell[KIND], layer->kind->name);
    if (layer->applied)
        ag__format(l->cell[OUTPUT], CELL, "(%s)", ag__format_extents(extents, layer->shape.rank, layer->shape.extent));
    int64_t parameters = parameters_of(layer);
    if (parameters) ag__format(l->cell[PARAMETERS], CELL, "%lld", (long long)parameters);
    profile_of(t, layer, of);
    put_profile(l, of[0], of[1], of[2]);
}

static void describe_all(const table *t, const ag_sequence *model, line *l) {
    double sum[3] = {0, 0, 0}, of[3];
    *l = (line){.cell = {[NAME] = "all"}};
    ag__format(l->cell[PARAMETERS], CELL, "%lld", (long long)parameters_in(model));
    for (const ag_layer *layer = model->first; layer; layer = layer->next) {
        profile_of(t, layer, of);
        for (int i = 0; i < 3; i++) sum[i] += of[i];
    }
    put_profile(l, sum[0], sum[1], sum[2]);
}

/* ---- Lines ---- */

static void measure(table *t, const line *l) {
    for (int i = 0; i < t->columns; i++) {
        int n = characters(l->cell[i]);
        if (n > t->width[i]) t->width[i] = n;
    }
}

static void put(table *t, const char *s, size_t bytes) {
    if (t->to) memcpy(t->to + t->used, s, bytes);
    t->used += bytes;
}

static void put_spaces(table *t, int n) {
    for (; n > 0; n--) put(t, " ", 1);
}

/* Text to the left, numbers to the right; no spaces at the end. */
static void write(table *t, const line *l) {
    int behind = 0;
    for (int i = 0; i < t->columns; i++) {
        const char *s = l->cell[i];
        int missing = t->width[i] - characters(s), before = (i ? 2 : 0) + (i >= PARAMETERS ? missing : 0);
        if (*s) {
            put_spaces(t, behind + before);
            put(t, s, strlen(s));
            behind = i >= PARAMETERS ? 0 : missing;
        } else behind += (i ? 2 : 0) + missing;
    }
    put(t, "\n", 1);
}

static void each_layer(table *t, const ag_sequence *model, void (*use)(table *t, const line *l)) {
    line l;
    for (const ag_layer *layer = model->first; layer; layer = layer->next) {
        describe(t, layer, &l);
        use(t, &l);
        if (layer->nested) each_layer(t, layer->nested, use);
    }
}

static void each_line(table *t, const ag_sequence *model, void (*use)(table *t, const line *l)) {
    static const char head[COLUMNS][12] = {"layer",      "kind",        "output", "parameters",
                                           "forward ms", "backward ms", "stored"};
    line l;
    for (int i = 0; i < COLUMNS; i++) memcpy(l.cell[i], head[i], sizeof head[i]);
    use(t, &l);
    each_layer(t, model, use);
    describe_all(t, model, &l);
    use(t, &l);
}

const char *ag_sequence_table(const ag_sequence *model) {
    int from;
    const char *file = ag_caller(&from);
    ag_tensor *nil = ag__sequence_wrong("sequence_table", model);
    if (nil) {
        if (file) ag_here(file, from);
        ag_eval(nil);
        return "";
    }
    table t = {.tape = model->tape, .columns = ag_profile_count(model->tape) ? COLUMNS : FORWARD};
    each_line(&t, model, measure);
    each_line(&t, model, write);
    if (file) ag_here(file, from);
    t.to = ag_tape_alloc(model->tape, t.used + 1);
    t.used = 0;
    if (t.to) each_line(&t, model, write);
    return t.to ? t.to : "";
}
