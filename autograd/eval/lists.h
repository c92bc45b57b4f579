/* lists -- lists that grow, and arrays for as long as something is worked out
 *
 * AG__LIST(type) declares a list of elements of `type`: list.at[i] for i < list.count. It knows the size of an element,
 * so that what is done to any list is a function. Growing can fail, because memory is out or the size cannot be
 * represented. Who builds lists notes that once, in an ag__list_maker: from then on nothing is appended, and what was
 * built is not used. */
#ifndef AG_LISTS_H
#define AG_LISTS_H

#include "autograd/eval/eval.h"

typedef struct ag__list { /* of elements of any one type */
    void *data;
    uint32_t count, room;
    uint32_t size; /* of an element in bytes, once there is room for one */
} ag__list;

#define AG__LIST(type)                                                                                                 \
    union {                                                                                                            \
        ag__list any;                                                                                                  \
        struct {                                                                                                       \
            type *at;                                                                                                  \
            uint32_t count;                                                                                            \
        };                                                                                                             \
    }

typedef AG__LIST(uint32_t) ag__numbers;

/* Who builds lists on a tape; `failed`: memory was lacking, once. */
typedef struct ag__list_maker {
    ag_tape *tape;
    bool failed;
} ag__list_maker;

size_t ag__list_trim(ag_tape *tape, ag__list *list); /* frees unused room; returns the bytes kept */
void ag__list_free(ag_tape *tape, ag__list *list);

/* Whether there is room for `more` elements of the list's type; if not, maker m has failed. */
bool ag__list_room(ag__list_maker *m, ag__list *list, size_t size, uint32_t more);
#define AG__ROOM(m, list, more) ag__list_room(m, &(list)->any, sizeof *(list)->at, more)

/* Append an element, unless maker m has failed. */
#define AG__APPEND(m, list, ...) ((void)(AG__ROOM(m, list, 1) ? ((list)->at[(list)->count++] = (__VA_ARGS__), 0) : 0))

/* The address of element i of a list, or of the next one; NULL for an empty list: to that nothing may be added. */
#define AG__FROM(list, i) ((list)->at ? (list)->at + (i) : NULL)

/* Arrays from the pool of buffers, freed together. */
typedef struct ag__scratch {
    ag_tape *tape;
    ag__buffer *newest;
} ag__scratch;

void *ag__scratch_array(ag__scratch *s, size_t count, size_t size); /* NULL if out of memory */
void ag__scratch_drop(ag__scratch *s);

#endif
