/* load -- variables from a file, by name
 *
 * The file's tensors are first compared with the variables, and all are read into memory that the variables then
 * take over. That last step cannot fail, so either all of them get their new values or none. */
#include "io/load.h"
#include "autograd/eval/eval.h"
#include "autograd/tape/format.h"
#include "autograd/tape/op.h"

#include <string.h>

typedef ag__loading loading;

/* ---- Comparing ---- */

static const ag_number *number_of(const loading *l, int i) {
    int first = l->n - l->numbers;
    return i < first ? NULL : &l->number[i - first];
}

static ag_dtype dtype_of(const loading *l, int i) {
    const ag_number *number = number_of(l, i);
    return !number ? ag_dtype_of(l->v[i]) : number->integer ? AG_I64 : AG_F64;
}

/* Numbers are not converted: another dtype is another program's. */
static ag_load_result compare(const loading *l, int i, const ag__member *m) {
    const bool is_number = number_of(l, i);
    if (!m) return AG_LOAD_MISSING;
    if (is_number ? m->shape.rank != 0 : !ag__layout_is(l->v[i]->layout, &m->shape)) return AG_LOAD_SHAPE;
    bool fits = (l->how.convert && !is_number) || dtype_of(l, i) == ag__kind_dtype(m->element.kind);
    return fits ? AG_LOAD_FITS : AG_LOAD_DTYPE;
}

/* The report's items live until a rewind past the present position, and so do the names in them. */
static const char *kept(ag_tape *tape, const char *name) {
    size_t bytes = strlen(name) + 1;
    char *copy = ag__arena(tape, bytes);
    return copy ? memcpy(copy, name, bytes) : NULL;
}

static bool add_item(loading *l, ag_load_item *item, ag_load_result result, int index, const char *name,
                     const ag__member *m) {
    *item = (ag_load_item){.name = kept(l->tape, name), .result = result, .index = index, .dtype = ""};
    if (m) item->shape = m->shape, item->dtype = ag__kind_name(m->element.kind);
    int *count[] = {&l->report.fitting, &l->report.missing, &l->report.unexpected, &l->report.shapes,
                    &l->report.dtypes};
    ++*count[result];
    l->report.count++;
    if (item->name) return true;
    ag__fail_on(l->tape, l->call, AG_ERR_MEMORY, "out of memory (a report of %d tensors)", l->n);
    return false;
}

static bool unexpected(const loading *l, const ag__member *m) {
    return !l->nameless && !ag__names_have(&l->names, m->name);
}

static bool report(loading *l) {
    uint64_t room = (uint64_t)l->n;
    for (uint32_t i = 0; i < l->archive.count; i++) room += unexpected(l, &l->archive.member[i]);
    ag_load_item *item = room < INT32_MAX ? ag__arena(l->tape, ag__times((uint64_t)room, sizeof *item)) : NULL;
    if (!item) {
        ag__fail_on(l->tape, l->call, AG_ERR_MEMORY, "out of memory (a report of %d tensors)", l->n);
        return false;
    }
    l->report.item = item;
    for (int i = 0; i < l->n; i++) {
        const char *name = l->nameless ? "" : l->names.name[i];
        l->found[i] = l->nameless ? l->archive.member : ag__archive_find(&l->archive, name);
        if (!add_item(l, item++, compare(l, i, l->found[i]), i, name, l->found[i])) return false;
    }
    for (uint32_t i = 0; i < l->archive.count; i++) {
        const ag__member *m = &l->archive.member[i];
        if (unexpected(l, m) && !add_item(l, item++, AG_LOAD_UNEXPECTED, -1, m->name, m)) return false;
    }
    return true;
}

/* ---- Reporting mismatches ---- */

static bool allowed(const loading *l, ag_load_result result) {
    return result == AG_LOAD_FITS || (result == AG_LOAD_MISSING && l->how.allow_missing) ||
           (result == AG_LOAD_UNEXPECTED && l->how.allow_unexpected);
}

static const char *shape_text(char to[200], const ag_shape *shape) {
    char extents[AG__EXTENTS];
    ag__format(to, 200, "(%s)", ag__format_extents(extents, shape->rank, shape->extent));
    return to;
}

static void describe(const loading *l, const ag_load_item *item, char text[480]) {
    char name[AG__SHOWN], there[200], here[200];
    ag_shape shape = item->index < 0 ? item->shape : ag_shape_of(l->v[item->index]);
    ag__shown(name, item->name);
    shape_text(there, &item->shape);
    shape_text(here, &shape);
    const char *dtype = item->index < 0 ? "" : ag_dtype_name(dtype_of(l, item->index));
    switch (item->result) {
    case AG_LOAD_MISSING: ag__format(text, 480, "%s %s is not in the file", name, here); break;
    case AG_LOAD_UNEXPECTED: ag__format(text, 480, "%s %s is in the file alone", name, there); break;
    case AG_LOAD_SHAPE: ag__format(text, 480, "%s is %s in the file and %s here", name, there, here); break;
    default: ag__format(text, 480, "%s is %s in the file and %s here", name, item->dtype, dtype);
    }
}

/* Whether everything matches; if not, an error with the numbers of mismatches, and the first one. */
static bool fits(const loading *l) {
    const ag_load_report *r = &l->report;
    char text[480];
    for (int i = 0; i < r->count; i++) {
        if (allowed(l, r->item[i].result)) continue;
        describe(l, &r->item[i], text);
        ag__fail_on(l->tape, l->call, AG_ERR_FILE,
                    "%.160s: missing %d, unexpected %d, of another shape %d, of another dtype %d: %s",
                    l->archive.in.path, r->missing, r->unexpected, r->shapes, r->dtypes, text);
        return false;
    }
    return true;
}

/* ---- Reading and assigning ---- */

static bool read_value(loading *l, int i) {
    if (!l->found[i]) return true;
    ag_dtype dtype = dtype_of(l, i);
    l->value[i] = ag__archive_buffer(&l->archive, l->found[i], dtype);
    return l->value[i] && ag__member_read(&l->archive, l->found[i], dtype, l->value[i]->data);
}

/* Assignments of a function that is being checked are not carried out. */
static void assign(loading *l) {
    for (int i = 0; i < l->n && !l->tape->sandbox; i++) {
        const ag_number *number = number_of(l, i);
        if (!l->value[i]) continue;
        if (number)
            memcpy(number->integer ? (void *)number->integer : number->real, l->value[i]->data, sizeof(int64_t));
        else {
            ag__set_value(l->v[i], l->value[i]);
            l->value[i] = NULL;
        }
    }
}

static bool read_and_assign(loading *l) {
    for (int i = 0; i < l->n; i++)
        if (!read_value(l, i)) return false;
    assign(l);
    return true;
}

static bool match(loading *l, const char *path) {
    if (!ag__archive_open(&l->archive, l->tape, l->call, path)) return false;
    l->nameless = l->archive.count == 1 && *l->archive.member->name == 0;
    if (l->nameless && l->n != 1)
        return ag__input_wrong(&l->archive.in, "it has one tensor, without a name: %d are wanted", l->n);
    if (!l->nameless && !ag__names_take(&l->names, l->tape, l->call, l->n, l->v, l->how.names)) return false;
    if (report(l)) return fits(l);
    l->report = (ag_load_report){.count = 0};
    return false;
}

bool ag__load(loading *l, const char *path) {
    size_t found = ag__times((uint64_t)l->n, sizeof *l->found), value = ag__times((uint64_t)l->n, sizeof *l->value);
    l->found = ag__resize(l->tape, NULL, 0, found);
    l->value = ag__resize(l->tape, NULL, 0, value);
    bool good = l->found && l->value;
    if (!good) ag__fail_on(l->tape, l->call, AG_ERR_MEMORY, "out of memory (a list of %d tensors)", l->n);
    for (int i = 0; l->value && i < l->n; i++) l->value[i] = NULL;
    l->archive = (ag__archive){.in = {.tape = l->tape}};
    good = good && match(l, path) && read_and_assign(l);
    for (int i = 0; l->value && i < l->n; i++) ag__buffer_drop(l->tape, l->value[i]);
    ag__names_release(&l->names);
    ag__archive_close(&l->archive);
    if (l->found) ag__resize(l->tape, l->found, found, 0);
    if (l->value) ag__resize(l->tape, l->value, value, 0);
    return good;
}

static bool all_changeable(int n, ag_tensor *const v[]) {
    ag_tensor *nil;
    if (!ag__inputs_usable("load", n, v, &nil)) return false;
    for (int i = 0; i < n; i++)
        if (!ag__is_changeable("load", v[i])) return false;
    return true;
}

ag_status ag_load(const char *path, int n, ag_tensor *const v[], const ag_load_options *options,
                  ag_load_report *report) {
    int line;
    const char *file = ag__here_file(&line);
    ag_tape *tape = NULL;
    if (report) *report = (ag_load_report){.count = 0};
    for (int i = 0; v && i < n && !tape; i++) tape = ag_tape_of(v[i]);
    if (!path || !v) ag__fail_on(tape, "load", AG_ERR_NULL, "the %s is NULL", path ? "list of variables" : "path");
    else if (n < 1) ag__fail_on(NULL, "load", AG_ERR_RANGE, "the number of variables is %d: at least 1 is wanted", n);
    else if (all_changeable(n, v)) {
        loading l = {.tape = tape, .call = "load", .n = n, .v = v};
        if (options) l.how = *options;
        ag__load(&l, path);
        if (report) *report = l.report;
    }
    return ag__leave(tape, file, line);
}
