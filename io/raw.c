/* raw -- elements without a header
 *
 * The options say what a header would: an archive of one member is made of them, which is read as any other. */
#include "autograd/tape/file.h"
#include "autograd/tape/op.h"
#include "io/archive.h"
#include "io/exchange.h"
#include "io/write.h"

#include <string.h>

/* ---- Reading ---- */

static bool find_kind(ag_tape *tape, const char *name, ag__kind *kind) {
    char shown[AG__SHOWN];
    *kind = AG__F32;
    if (!name) return true;
    for (int k = 0; k < AG__KINDS; k++) {
        *kind = (ag__kind)k;
        if (strcmp(ag__kind_name(*kind), name) == 0) return true;
    }
    ag__fail_on(tape, "raw_read", AG_ERR_DTYPE, "the dtype %s is none of a file's", ag__shown(shown, name));
    return false;
}

static bool usable(ag_tape *tape, const char *path, const ag_shape *shape, const ag_raw_options *how, ag__member *m) {
    const char *why;
    if (!tape || !path) ag__fail_on(tape, "raw_read", AG_ERR_NULL, "the %s is NULL", tape ? "path" : "tape");
    else if (!ag__in_order(tape, "raw_read")) return false;
    else if (!ag__shape_valid(shape, &m->size, &why))
        ag__fail_on(tape, "raw_read", AG_ERR_SHAPE, "the shape has %s", why);
    else if (how->offset < 0)
        ag__fail_on(tape, "raw_read", AG_ERR_RANGE, "the offset is %lld: 0 or more is wanted", (long long)how->offset);
    else return find_kind(tape, how->dtype, &m->element.kind);
    return false;
}

/* Whether the file has the elements; their number and kind are bounded, so that bytes do not overflow. */
static bool fits(const ag__archive *a, const ag_raw_options *how, ag__member *m) {
    uint64_t wanted = (uint64_t)m->size * (uint64_t)ag__kind_bytes(m->element.kind), at = (uint64_t)how->offset;
    uint64_t rest = at <= a->in.size ? a->in.size - at : 0;
    m->part = (ag__part){.at = at, .bytes = wanted};
    if (at <= a->in.size && (how->partial ? wanted <= rest : wanted == rest)) return true;
    return ag__input_wrong(&a->in, "the shape takes %llu bytes of %s, and from byte %llu on there are %llu",
                           (unsigned long long)wanted, ag__kind_name(m->element.kind), (unsigned long long)at,
                           (unsigned long long)rest);
}

ag_tensor *ag_raw_read(ag_tape *tape, const char *path, ag_shape shape, const ag_raw_options *options) {
    ag_raw_options how = options ? *options : (ag_raw_options){.offset = 0};
    ag__member m = {.name = "", .shape = shape, .element.big = how.big_endian};
    if (!usable(tape, path, &shape, &how, &m)) return ag__nil_of(tape);
    ag__archive a = {.count = 0};
    ag_tensor *x = ag__nil_of(tape);
    if (ag__input_open(&a.in, tape, "raw_read", path) && fits(&a, &how, &m))
        x = ag__member_constant(&a, &m, ag__kind_dtype(m.element.kind), how.map);
    ag__archive_close(&a);
    return x;
}

/* ---- Writing ---- */

static void fill(FILE *file, void *context) {
    ag__output o = {.file = file};
    ag__out_values(&o, context);
}

ag_status ag_raw_write(const char *path, ag_tensor *x) {
    int line;
    const char *file = ag__here_file(&line);
    ag_tape *tape = ag_tape_of(x);
    ag_tensor *nil;
    if (!path) ag__fail_on(tape, "raw_write", AG_ERR_NULL, "the path is NULL");
    else if (ag__inputs_usable("raw_write", 1, &x, &nil) && ag_eval(x) == AG_OK)
        ag__write_file(tape, "raw_write", path, fill, x);
    return ag__leave(tape, file, line);
}
