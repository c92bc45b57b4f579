/* lists -- growing lists, and temporary arrays */
#include "autograd/eval/lists.h"

static bool grow(ag_tape *tape, ag__list *list, size_t size, uint32_t more) {
    enum { FEWEST = AG__LIMIT(16, 3) };
    if (list->room - list->count >= more) return true;
    uint32_t room = ag__more_room(list->room, (uint64_t)list->count + (more < FEWEST ? FEWEST : more));
    void *data = room ? ag__resize(tape, list->data, list->room * size, ag__times(room, size)) : NULL;
    if (!data) return false;
    ag_memory *m = &tape->memory;
    m->plan_bytes += (int64_t)((room - list->room) * size);
    if (m->plan_bytes > m->peak_plan_bytes) m->peak_plan_bytes = m->plan_bytes;
    list->data = data;
    list->room = room;
    list->size = (uint32_t)size;
    return true;
}

bool ag__list_room(ag__list_maker *m, ag__list *list, size_t size, uint32_t more) {
    if (!m->failed) m->failed = !grow(m->tape, list, size, more);
    return !m->failed;
}

void ag__list_free(ag_tape *tape, ag__list *list) {
    size_t bytes = (size_t)list->room * list->size;
    if (list->data) ag__resize(tape, list->data, bytes, 0);
    tape->memory.plan_bytes -= (int64_t)bytes;
    *list = (ag__list){0};
}

size_t ag__list_trim(ag_tape *tape, ag__list *list) {
    size_t bytes = (size_t)list->count * list->size, former = (size_t)list->room * list->size;
    if (list->count == 0) ag__list_free(tape, list);
    if (list->count == list->room) return bytes;
    void *data = ag__resize(tape, list->data, former, bytes);
    if (!data) return former;
    tape->memory.plan_bytes -= (int64_t)(former - bytes);
    list->data = data;
    list->room = list->count;
    return bytes;
}

void *ag__scratch_array(ag__scratch *s, size_t count, size_t size) {
    ag__buffer *b = ag__buffer_new(s->tape, ag__times(count, size));
    if (!b) return NULL;
    b->next = s->newest;
    s->newest = b;
    return b->data;
}

void ag__scratch_drop(ag__scratch *s) {
    for (ag__buffer *b = s->newest, *next; b; b = next) {
        next = b->next;
        ag__buffer_drop(s->tape, b);
    }
    s->newest = NULL;
}
