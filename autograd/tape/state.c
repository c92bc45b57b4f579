/* state -- lists of the tape's variables, in the order of recording */
#include "autograd/tape/format.h"
#include "autograd/tape/tape.h"
#include "autograd/tape/utf8.h"

#include <stdlib.h>
#include <string.h>

/* Whether x is the program's and belongs to the part: its label is `part`, or goes on with a point. */
static bool in_part(const ag_tensor *x, const char *part) {
    if (ag__variable_of(x)->temporary) return false;
    if (!part || !*part) return true;
    size_t n = strlen(part);
    return ag__about(x)->label && strncmp(ag__about(x)->label, part, n) == 0 &&
           (!ag__about(x)->label[n] || ag__about(x)->label[n] == '.' || part[n - 1] == '.');
}

/* ---- Two of one name ---- */

/* Those without a name come first; then by name, and by age. */
static int by_name(const void *p, const void *q) {
    const ag_tensor *a = *(ag_tensor *const *)p, *b = *(ag_tensor *const *)q;
    int order = strcmp(ag__about(a)->label ? ag__about(a)->label : "", ag__about(b)->label ? ag__about(b)->label : "");
    return order ? order : a->id < b->id ? -1 : 1;
}

static const char *place(char to[120], const ag_tensor *x) {
    if (ag__about(x)->file) ag__format(to, 120, " [%.90s:%d]", ag__about(x)->file, ag__about(x)->line);
    else *to = 0;
    return to;
}

static bool names_differ(ag_tape *tape, const char *call, ag_list sorted) {
    char name[AG__SHOWN], one[120], other[120];
    for (int i = 1; i < sorted.n; i++) {
        const ag_tensor *a = sorted.x[i - 1], *b = sorted.x[i];
        if (!ag__about(a)->label || !*ag__about(a)->label || strcmp(ag__about(a)->label, ag__about(b)->label) != 0)
            continue;
        ag__fail_on(tape, call, AG_ERR_RANGE, "two variables have one name, %s: one recorded%s, the other%s",
                    ag__shown(name, ag__about(a)->label), place(one, a), place(other, b));
        return false;
    }
    return true;
}

/* ---- Listing ---- */

static int count(const ag_tape *tape, const char *part, uint16_t flag) {
    int n = 0;
    for (const ag_tensor *v = tape->variables; v; v = ag__variable_of(v)->next)
        n += v->flags & flag && in_part(v, part);
    return n;
}

/* The tape's own list begins with the newest. */
static void fill(ag_list list, const ag_tape *tape, const char *part, uint16_t flag) {
    int i = list.n;
    for (ag_tensor *v = tape->variables; v; v = ag__variable_of(v)->next)
        if (v->flags & flag && in_part(v, part)) list.x[--i] = v;
}

ag_list ag__list_variables(ag_tape *tape, const char *call, const char *part, uint16_t flag) {
    const ag_list none = {0, NULL};
    ag_list list = {.n = count(tape, part, flag)};
    size_t bytes = ag__times((uint64_t)list.n + 1, sizeof *list.x);
    const ag__position position = ag__position_now(tape);
    ag_tensor **sorted = ag__resize(tape, NULL, 0, bytes);
    list.x = sorted ? ag__arena(tape, bytes) : NULL;
    bool good = list.x;
    if (!good) ag__fail_on(tape, call, AG_ERR_MEMORY, "out of memory (a list of %d variables)", list.n);
    else {
        fill(list, tape, part, flag);
        memcpy(sorted, list.x, bytes - sizeof *sorted);
        qsort(sorted, (size_t)list.n, sizeof *sorted, by_name);
        good = names_differ(tape, call, (ag_list){list.n, sorted});
    }
    if (sorted) ag__resize(tape, sorted, bytes, 0);
    if (!good) ag__arena_release(tape, position.slab, position.used);
    return good ? list : none;
}

static ag_list list_for(ag_tape *tape, const char *call, const char *part, uint16_t flag) {
    int line;
    const char *file = ag__here_file(&line);
    ag_list list = {0, NULL};
    if (!tape) ag__fail_on(NULL, call, AG_ERR_NULL, "the tape is NULL");
    else if (ag__in_order(tape, call) && !ag__refused_inside(tape, call, AG__EVAL))
        list = ag__list_variables(tape, call, part, flag);
    ag__leave(tape, file, line);
    return list;
}

ag_list ag_parameters(ag_tape *tape, const char *part) { return list_for(tape, "parameters", part, AG__PARAMETER); }

ag_list ag_state(ag_tape *tape, const char *part) { return list_for(tape, "state", part, AG__VARIABLE); }
