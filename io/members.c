/* members -- the tensors of a file as its headers say them, checked */
#include "io/members.h"
#include "autograd/tape/op.h"

ag__member *ag__archive_add(ag__archive *a) {
    if (a->count == a->room) {
        uint32_t room = ag__more_room(a->room, 1);
        ag__member *list = ag__resize(a->in.tape, a->member, a->room * sizeof *list, ag__times(room, sizeof *list));
        if (!list) {
            ag__fail_on(a->in.tape, a->in.call, AG_ERR_MEMORY, "%.300s: out of memory (a list of %lu tensors)",
                        a->in.path, (unsigned long)room);
            return NULL;
        }
        a->member = list;
        a->room = room;
    }
    a->member[a->count] = (ag__member){.name = ""};
    return &a->member[a->count++];
}

char *ag__archive_text(ag__archive *a, uint64_t bytes) {
    a->text = ag__input_memory(&a->in, bytes);
    a->text_bytes = bytes ? (size_t)bytes : 1;
    return a->text;
}

bool ag__member_shape_valid(const ag__archive *a, ag__member *m) {
    const char *why;
    return ag__shape_valid(&m->shape, &m->size, &why) || ag__input_wrong(&a->in, "its shape has %s", why);
}

static uint64_t bytes_of(const ag__member *m) { return (uint64_t)m->size * (uint64_t)ag__kind_bytes(m->element.kind); }

bool ag__member_has(const ag__archive *a, const ag__member *m, uint64_t bytes) {
    return bytes == bytes_of(m) || ag__input_wrong(&a->in, "its shape takes %llu bytes, and there are %llu",
                                                   (unsigned long long)bytes_of(m), (unsigned long long)bytes);
}

bool ag__member_fits(const ag__archive *a, const ag__member *m) {
    uint64_t most = ag__part_most(&m->part);
    if (m->part.packing == AG__STORED) return ag__member_has(a, m, m->part.bytes - m->skip);
    return (m->skip <= most && bytes_of(m) <= most - m->skip) ||
           ag__input_wrong(&a->in, "its shape takes %llu bytes, and %llu packed ones are no more than %llu",
                           (unsigned long long)bytes_of(m), (unsigned long long)m->part.bytes,
                           (unsigned long long)most);
}
