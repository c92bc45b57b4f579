/* parts -- the times of a model's parts in a profile
 *
 * A row of the profile has a share for each part that its steps compute, forward and backward apart. A row's time is
 * divided by the elements that are computed: a region that fuses several layers has no other clock. */
#include "autograd/report/profile.h"

#include <string.h>

/* A new share of this part; NULL out of memory. */
static ag__profile_share *new_share(ag_tape *tape, ag__profile_row *row, const char *name, bool backward) {
    if (row->shares == row->share_room) {
        uint32_t room = row->share_room ? 2 * row->share_room : 4;
        ag__profile_share *more = ag__resize(tape, row->share, row->share_room * sizeof *more, room * sizeof *more);
        if (!more) return NULL;
        row->share = more, row->share_room = room;
    }
    char *copy = ag__resize(tape, NULL, 0, strlen(name) + 1);
    if (!copy) return NULL;
    row->share[row->shares] = (ag__profile_share){.name = strcpy(copy, name), .backward = backward};
    return &row->share[row->shares++];
}

/* The share of t's part; NULL if it has none, or out of memory. */
static ag__profile_share *share_of(ag__profile_row *row, const ag_tensor *t) {
    const ag_tensor *part = ag__part_node(t);
    bool backward = t->flags & AG__GRADIENT;
    if (!part || !ag__about(part)->label) return NULL;
    for (uint32_t i = 0; i < row->shares; i++)
        if (row->share[i].backward == backward && strcmp(row->share[i].name, ag__about(part)->label) == 0)
            return &row->share[i];
    return new_share(t->tape, row, ag__about(part)->label, backward);
}

void ag__share_work(ag__profile_row *row, const ag_tensor *t, int64_t elements) {
    double work =
        elements > 0 ? (double)elements : 1; /* an operation that counts none, alone in its step, has it all */
    ag__profile_share *share = share_of(row, t);
    row->work += work;
    if (share) share->work += work;
}

void ag__share_bytes(ag__profile_row *row, const ag_tensor *t, int64_t bytes) {
    ag__profile_share *share = share_of(row, t);
    if (share) share->bytes += bytes;
}

void ag__shares_free(ag_tape *tape, ag__profile_row *row) {
    for (uint32_t i = 0; i < row->shares; i++) ag__resize(tape, row->share[i].name, strlen(row->share[i].name) + 1, 0);
    if (row->share) ag__resize(tape, row->share, row->share_room * sizeof *row->share, 0);
}

static bool is_within(const char *name, const char *part, size_t length) {
    return strncmp(name, part, length) == 0 && (name[length] == 0 || name[length] == '.');
}

ag_profile_share ag_profile_part(const ag_tape *tape, const char *part) {
    ag_profile_share sum = {0};
    const ag__profile *p = tape ? tape->profile : NULL;
    size_t length = part ? strlen(part) : 0;
    for (uint32_t r = 0; p && part && r < p->rows; r++)
        for (uint32_t i = 0; i < p->row[r].shares; i++) {
            const ag__profile_row *row = &p->row[r];
            const ag__profile_share *s = &row->share[i];
            if (!is_within(s->name, part, length)) continue;
            double seconds = row->all.seconds * (s->work / row->work);
            if (s->backward) sum.backward += seconds;
            else {
                sum.forward += seconds;
                sum.bytes += s->bytes * row->all.calls;
                if (row->all.calls > sum.passes) sum.passes = row->all.calls;
            }
        }
    return sum;
}
