/* lacking -- see lacking.h */
#include "tests/lacking.h"
#include "autograd/eval/lists.h"
#include "tests/support.h"

#include <stdatomic.h>
#include <string.h>

enum { PLACES = 1 << 12 };

typedef struct place {
    const void *address;   /* that the request returns to; NULL: a free entry */
    int64_t run, requests; /* of this run, so many so far */
    int64_t next;          /* of a run, the one to fail */
} place;

static place lists[2][PLACES], *places = lists[0];
static int64_t run;
static bool failing, failed, reached;
static atomic_flag busy = ATOMIC_FLAG_INIT; /* threads ask too */

static place *place_of(const void *address) {
    size_t at = (size_t)((uintptr_t)address * 0x9E3779B97F4A7C15u >> 40) % PLACES;
    for (int tries = 0; places[at].address && places[at].address != address; at = (at + 1) % PLACES)
        ck_assert_int_lt(tries++, PLACES / 2);
    places[at].address = address;
    return &places[at];
}

static bool is_next(place *p) {
    p->requests = p->run == run ? p->requests + 1 : 1;
    p->run = run;
    if (p->requests <= p->next) return false;
    p->next = p->next < 4 ? p->next + 1 : 2 * p->next;
    return true;
}

/* The place that asks for scratch memory, while it is served. */
static _Thread_local const void *outer;

static bool lacks(const void *address) {
    bool fails = false;
    if (outer) address = outer;
    while (atomic_flag_test_and_set(&busy)) {
    }
    reached = true;
    if (failing && !failed) fails = failed = is_next(place_of(address));
    atomic_flag_clear(&busy);
    return fails;
}

bool lack_stands_in(void) {
    ag_tape *t = ag_tape_new();
    ag_data(ag_arange(t, AG_F64, 1000));
    ag_tape_free(t);
    return reached;
}

void lack_begin(int list) { memset(lists[list], 0, sizeof lists[list]); }

void lack_once(int list) {
    places = lists[list];
    run++;
    failed = false;
    failing = true;
}

bool lack_end(void) {
    failing = false;
    return failed;
}

#define HERE __builtin_return_address(0)

#define STANDS_IN(result, name, parameters, arguments)                                                                 \
    result __real_##name parameters;                                                                                   \
    result __wrap_##name parameters;                                                                                   \
    result __wrap_##name parameters { return lacks(HERE) ? 0 : __real_##name arguments; }

STANDS_IN(void *, ag__arena, (ag_tape * t, size_t bytes), (t, bytes))
STANDS_IN(void *, ag__allocate_apart, (ag_tape * t, size_t bytes), (t, bytes))
STANDS_IN(void *, ag__allocate_sized, (ag_tape * t, size_t bytes), (t, bytes))
STANDS_IN(ag__buffer *, ag__heap_new, (ag_tape * t, size_t bytes), (t, bytes))
STANDS_IN(ag__buffer *, ag__heap_new_apart, (ag_tape * t, size_t bytes), (t, bytes))
STANDS_IN(ag__buffer *, ag__buffer_new, (ag_tape * t, size_t bytes), (t, bytes))
STANDS_IN(ag__buffer *, ag__buffer_new_apart, (ag_tape * t, size_t bytes), (t, bytes))
STANDS_IN(ag__buffer *, ag__buffer_new_lasting, (ag_tape * t, size_t bytes), (t, bytes))
STANDS_IN(void *, ag__scratch_array, (ag__scratch * s, size_t count, size_t size), (s, count, size))

bool __real_ag__list_room(ag__list_maker *m, ag__list *list, size_t size, uint32_t more);
bool __wrap_ag__list_room(ag__list_maker *m, ag__list *list, size_t size, uint32_t more);
bool __wrap_ag__list_room(ag__list_maker *m, ag__list *list, size_t size, uint32_t more) {
    const bool grows = !m->failed && list->room - list->count < more;
    if (grows && lacks(HERE)) m->failed = true;
    return __real_ag__list_room(m, list, size, more);
}

void *__real_ag_call_scratch(const ag_call *call, size_t bytes);
void *__wrap_ag_call_scratch(const ag_call *call, size_t bytes);
void *__wrap_ag_call_scratch(const ag_call *call, size_t bytes) {
    outer = HERE;
    void *memory = __real_ag_call_scratch(call, bytes);
    outer = NULL;
    return memory;
}

/* Blocks are freed, and made smaller, without fail. */
void *__real_ag__resize(ag_tape *t, void *p, size_t old_bytes, size_t new_bytes);
void *__wrap_ag__resize(ag_tape *t, void *p, size_t old_bytes, size_t new_bytes);
void *__wrap_ag__resize(ag_tape *t, void *p, size_t old_bytes, size_t new_bytes) {
    return new_bytes > old_bytes && lacks(HERE) ? NULL : __real_ag__resize(t, p, old_bytes, new_bytes);
}
