/* uses -- one backward scan, observed: the uses of each node and their contributions; how a report opens and closes
 *
 * Each contribution of a node to an input is a use of that input, kept with the node's cotangent. Invariant: the uses
 * stand in the order of the scan, so those by one node are adjacent. */
#include "autograd/report/explain.h"

#include <string.h>

enum { DEFAULT_LINES = 100, DEFAULT_VALUES = 8 };

/* ---- Uses ---- */

bool ag__report_out_of_memory(const ag__report *r) {
    ag__fail_on(r->tape, r->name, AG_ERR_MEMORY, "out of memory (%u uses)", r->count);
    return false;
}

static bool make_room(ag__report *r) {
    if (r->count < r->room) return true;
    uint32_t room = ag__more_room(r->room, (uint64_t)r->room + 64);
    size_t bytes = ag__times(room, sizeof(ag__use));
    ag__use *more = room ? ag__resize(r->tape, r->use, r->room * sizeof *more, bytes) : NULL;
    if (!more) return ag__report_out_of_memory(r);
    r->use = more;
    r->room = room;
    return true;
}

/* Counts the uses of a version, which is a read of a variable, as uses of the variable. */
static void pass_on(ag__report *r, const ag_tensor *version) {
    ag__used *from = &r->used[version->id], *to = &r->used[version->input[0]->id];
    uint32_t last = from->first;
    while (last && r->use[last - 1].next) last = r->use[last - 1].next;
    if (last) r->use[last - 1].next = to->first, to->first = from->first;
    to->count += from->count;
    to->paths += from->paths;
}

static bool note_use(void *context, ag_tensor *t, ag_tensor *g, int i, ag_tensor *c) {
    ag__report *r = context;
    if (t->flags & AG__READ) {
        pass_on(r, t);
        return true;
    }
    if (!make_room(r)) return false;
    ag__used *to = &r->used[t->input[i]->id];
    r->use[r->count] = (ag__use){.t = t, .g = g, .c = c, .next = to->first, .earlier = to->given, .i = i};
    to->first = ++r->count;
    to->count++;
    to->given += c != NULL;
    to->paths += r->used[t->id].paths;
    return true;
}

/* ---- Opening and closing ---- */

int ag__report_lines(const ag__report *r) { return r->o.lines ? r->o.lines : DEFAULT_LINES; }

bool ag__report_options_valid(ag__report *r, const ag_explain_options *options) {
    if (options) r->o = *options;
    ag_explain_options *o = &r->o;
    if ((unsigned)o->style > AG_STYLE_MATHML || o->depth < 0 || o->depth > AG__DEEPEST || o->lines < 0 ||
        o->values < -1) {
        ag__fail_on(r->tape, r->name, AG_ERR_RANGE, "style %d, depth %d, %d values, %d lines", (int)o->style, o->depth,
                    o->values, o->lines);
        return false;
    }
    r->lines = ag__report_lines(r);
    if (o->values == 0) o->values = DEFAULT_VALUES;
    return true;
}

bool ag__report_observe(ag__report *r, int n, ag_tensor *const x[], ag_tensor *dx[]) {
    r->used_room = r->tape->count;
    r->used = ag__resize(r->tape, NULL, 0, ag__times(r->used_room, sizeof *r->used));
    if (!r->used) return ag__report_out_of_memory(r);
    memset(r->used, 0, r->used_room * sizeof *r->used);
    r->used[r->y->id].paths = 1;
    r->ybar = r->o.cotangent;
    if (!r->ybar && r->y->layout->size != 1)
        r->ybar = ag_ones(r->tape, (ag_dtype)r->y->dtype, ag__layout_shape(r->y->layout));
    ag__watch watch = {r, note_use};
    if (!ag__vjp_watched(r->name, r->y, r->ybar, n, x, dx, &watch)) return false;
    if (!ag__formulas_open(&r->f, r->tape, r->o.style, true)) return ag__report_out_of_memory(r);
    r->f.y = r->y;
    return true;
}

const char *ag__report_finish(ag__report *r, const ag__snapshot *before) {
    r->t.failed |= r->f.failed;
    ag__formulas_close(&r->f);
    if (r->use) ag__resize(r->tape, r->use, r->room * sizeof *r->use, 0);
    if (r->used) ag__resize(r->tape, r->used, r->used_room * sizeof *r->used, 0);
    ag__snapshot_restore(before, r->tape);
    return ag__text_finish(&r->t, r->name);
}
