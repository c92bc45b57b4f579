/* read -- constants from a file */
#include "autograd/eval/eval.h"
#include "autograd/tape/op.h"
#include "io/archive.h"
#include "io/io.h"

static ag_dtype wanted(const ag__member *m, const ag_read_options *how) {
    return how->convert ? how->dtype : ag__kind_dtype(m->element.kind);
}

static bool usable(ag_tape *tape, const char *call, const char *path, const ag_read_options *how) {
    if (!tape || !path) ag__fail_on(tape, call, AG_ERR_NULL, "the %s is NULL", tape ? "path" : "tape");
    else if (!ag__in_order(tape, call)) return false;
    else if (how->convert && (unsigned)how->dtype >= AG_DTYPES)
        ag__fail_on(tape, call, AG_ERR_DTYPE, "the dtype %d is invalid", (int)how->dtype);
    else return true;
    return false;
}

static const ag__member *choose(const ag__archive *a, const char *name) {
    char shown[AG__SHOWN];
    const ag__member *m = name ? ag__archive_find(a, name) : a->count == 1 ? a->member : NULL;
    if (m) return m;
    if (name) ag__input_wrong(&a->in, "it has no tensor of the name %s", ag__shown(shown, name));
    else ag__input_wrong(&a->in, "there are %lu tensors in it: one has to be named", (unsigned long)a->count);
    return NULL;
}

ag_tensor *ag_read(ag_tape *tape, const char *path, const char *name, const ag_read_options *options) {
    ag_read_options how = options ? *options : (ag_read_options){.convert = false};
    if (!usable(tape, "read", path, &how)) return ag__nil_of(tape);
    ag__archive a;
    const ag__member *m = ag__archive_open(&a, tape, "read", path) ? choose(&a, name) : NULL;
    ag_tensor *x = m ? ag__member_constant(&a, m, wanted(m, &how), how.map) : ag__nil_of(tape);
    ag__archive_close(&a);
    return x;
}

static int read_all(ag_tape *tape, const char *path, const ag_read_options *how, int room, ag_tensor *x[]) {
    ag__archive a;
    int count = 0;
    const ag__position before = ag__position_now(tape);
    if (ag__archive_open(&a, tape, "read_all", path)) {
        count = a.count > INT32_MAX ? INT32_MAX : (int)a.count;
        for (int i = 0; i < room && i < count && ag_tape_status(tape) == AG_OK; i++)
            x[i] = ag__member_constant(&a, &a.member[i], wanted(&a.member[i], how), how->map);
    }
    ag__archive_close(&a);
    if (ag_tape_status(tape) == AG_OK) return count;
    ag__truncate(tape, &before); /* the tensors in front of the one that cannot be read */
    return 0;
}

int ag_read_all(ag_tape *tape, const char *path, const ag_read_options *options, int room, ag_tensor *x[]) {
    int line, count = 0;
    const char *file = ag__here_file(&line);
    ag_read_options how = options ? *options : (ag_read_options){.convert = false};
    if (room > 0 && !x) ag__fail_on(tape, "read_all", AG_ERR_NULL, "the list of tensors is NULL");
    else if (usable(tape, "read_all", path, &how)) count = read_all(tape, path, &how, room, x);
    if (count == 0)
        for (int i = 0; x && i < room; i++) x[i] = ag__nil_of(tape);
    ag__leave(tape, file, line);
    return count;
}
