/* phrases -- pieces of a report, as text or as JSON: nodes, their names, locations and values, the named parts
 *
 * Invariant: everything that comes from the user is escaped. */
#include "autograd/report/explain.h"
#include "autograd/tape/format.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- Pieces of text ---- */

void ag__say(ag__report *r, const char *s) { ag__put(&r->t, s); }

/* ,"name": -- the comma only behind another field or element */
void ag__say_key(ag__report *r, const char *name) {
    if (r->t.used && !strchr("{[", r->t.bytes[r->t.used - 1])) ag__say(r, ",");
    ag__putf(&r->t, "\"%s\":", name);
}

void ag__say_count(ag__report *r, const char *name, double n) {
    ag__say_key(r, name);
    ag__put_value(&r->t, n, true);
}

/* Between these two, r->t collects a text that becomes a JSON string. */
static void quote(ag__report *r, ag__text *outer) {
    if (!r->o.json) return;
    ag__say(r, "\"");
    *outer = r->t;
    r->t = (ag__text){.tape = r->tape};
}

static void unquote(ag__report *r, const ag__text *outer) {
    if (!r->o.json) return;
    ag__text inner = r->t;
    r->t = *outer;
    ag__put_escaped(&r->t, inner.bytes, inner.used, SIZE_MAX, AG__JSON);
    ag__say(r, "\"");
    r->t.failed |= inner.failed;
    if (inner.bytes) ag__resize(r->tape, inner.bytes, inner.room, 0);
}

void ag__say_name(ag__report *r, const ag_tensor *x) {
    ag__text outer;
    ag_style style = r->f.style;
    r->f.style = AG_STYLE_TEXT;
    quote(r, &outer);
    ag__put_name(&r->f, &r->t, x);
    unquote(r, &outer);
    r->f.style = style;
}

void ag__say_term(ag__report *r, struct ag__term *x) {
    ag__text outer;
    if (r->o.json) ag__say_key(r, "formula");
    quote(r, &outer);
    ag__put_formula(&r->f, &r->t, x, true);
    unquote(r, &outer);
}

struct ag__term *ag__add_use(ag__report *r, struct ag__term *x, const ag_tensor *c, const ag__use *u) {
    return ag__add_formula(&r->f, x, c, u->t == r->y ? NULL : u->g, u->t);
}

void ag__say_shape(ag__report *r, const ag_tensor *x) {
    char extents[AG__EXTENTS];
    ag__putf(&r->t, r->o.json ? "[%s]" : " (%s)", ag__format_extents(extents, x->layout->rank, x->layout->extent));
}

void ag__say_location(ag__report *r, const ag_tensor *x) {
    if (!ag__about(x)->file) return;
    const char *base = strrchr(ag__about(x)->file, '/') ? strrchr(ag__about(x)->file, '/') + 1 : ag__about(x)->file;
    ag__say(r, " [");
    ag__put_escaped(&r->t, base, strlen(base), 60, AG__PLAIN);
    ag__putf(&r->t, ":%d]", ag__about(x)->line);
}

void ag__say_op(ag__report *r, const ag_tensor *x) {
    const char *name = x->flags & AG__PARAMETER ? "parameter" : x->op->name;
    ag__put_escaped(&r->t, name, strlen(name), 60, AG__PLAIN);
}

void ag__say_json_name(ag__report *r, const ag_tensor *x) {
    ag__say_key(r, "name");
    ag__say_name(r, x);
}

void ag__say_json_fields(ag__report *r, const ag_tensor *x) {
    ag__say_count(r, "id", x->id);
    ag__say_key(r, "op");
    ag__put_json(&r->t, x->flags & AG__PARAMETER ? "parameter" : x->op->name);
    ag__say_key(r, "label");
    ag__put_json(&r->t, ag__about(x)->label ? ag__about(x)->label : "");
    ag__say_key(r, "dtype");
    ag__put_json(&r->t, ag_dtype_name((ag_dtype)x->dtype));
    ag__say_key(r, "shape");
    ag__say_shape(r, x);
    ag__say_key(r, "file");
    ag__put_json(&r->t, ag__about(x)->file ? ag__about(x)->file : "");
    ag__say_count(r, "line", ag__about(x)->line);
}

void ag__say_json_node(ag__report *r, const char *name, const ag_tensor *x) {
    ag__say_key(r, name);
    ag__say(r, "{");
    ag__say_json_fields(r, x);
    ag__say_json_name(r, x);
    ag__say(r, "}");
}

/* ---- Values ---- */

double ag__norm_of(const double *a, int64_t n) {
    double largest = 0, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(a[i])) return NAN;
        largest = fmax(largest, fabs(a[i]));
    }
    if (largest == 0 || isinf(largest)) return largest;
    for (int64_t i = 0; i < n; i++) sum += (a[i] / largest) * (a[i] / largest);
    return largest * sqrt(sum);
}

/* Elements in nested brackets, one level an axis; in JSON one flat list, beside the shape. */
static void put_elements(ag__report *r, const ag__layout *l, const double *a) {
    for (int64_t i = 0; i < l->size; i++) {
        int64_t inner = 1;
        int closing = 0, opening = 0;
        for (int k = l->rank - 1; k >= 0; k--) {
            inner *= l->extent[k];
            opening += i % inner == 0;
            closing += i > 0 && i % inner == 0;
        }
        if (r->o.json) opening = closing = 0;
        for (int k = 0; k < closing; k++) ag__say(r, "]");
        ag__say(r, i ? ", " : "");
        for (int k = 0; k < opening; k++) ag__say(r, "[");
        ag__put_value(&r->t, a[i], r->o.json);
    }
    for (int k = 0; k < l->rank && !r->o.json; k++) ag__say(r, l->size ? "]" : "");
}

void ag__say_values(ag__report *r, const ag_tensor *like, const double *a) {
    const ag__layout *l = like->layout;
    bool few = l->size > 0 && l->size <= r->o.values;
    if (r->o.json) ag__say_key(r, "norm");
    else ag__say(r, "norm ");
    ag__put_value(&r->t, ag__norm_of(a, l->size), r->o.json);
    if (r->o.json) ag__say_key(r, "values");
    if (r->o.json && !few) ag__say(r, "null");
    if (!few) return;
    ag__say(r, r->o.json ? "[" : ", value ");
    put_elements(r, l, a);
    if (r->o.json) ag__say(r, "]");
}

double *ag__values_of(ag_tensor *x, ag__buffer **memory) {
    *memory = NULL;
    return ag__evaluate(x->tape, 1, &x) ? ag__elements(x, memory) : NULL;
}

/* ---- The named parts ---- */

void ag__say_parts(ag__report *r) {
    const ag_tensor *part = NULL;
    bool any = false;
    r->lines = ag__report_lines(r);
    if (r->o.json) ag__say_key(r, "where"), ag__say(r, "[");
    for (; r->lines > 0 && (part = ag__next_part(&r->f)) != NULL; r->lines--) {
        ag__say(r, r->o.json ? any ? ",{" : "{" : any ? "\n      " : "\nwhere ");
        any = true;
        if (r->o.json) ag__say_json_fields(r, part), ag__say_json_name(r, part);
        else ag__say_name(r, part), ag__say(r, " = ");
        ag__say_term(r, r->f.entry[part->id].part);
        if (r->o.json) ag__say(r, "}");
    }
    if (r->o.json) ag__say(r, "]"), ag__say_count(r, "more_parts", r->f.wanted);
    else if (r->f.wanted) ag__putf(&r->t, "\n… and %" PRIu32 " more parts", r->f.wanted);
}
