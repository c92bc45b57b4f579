/* profile -- a tape's record of what it ran: a row for each structure, and the latest events */
#ifndef AG_PROFILE_H
#define AG_PROFILE_H

#include "autograd/eval/eval.h"

enum {
    AG__EVENTS = 32768,
    AG__FIXED_ROWS = 3 /* evaluations, planning, and steps without a row of their own */
};

typedef struct ag__profile_event {
    int64_t start, end; /* nanoseconds since the profile began */
    int64_t live;       /* bytes in values at its end */
    uint32_t row;
} ag__profile_event;

typedef struct ag__profile_structure { /* the structure of a step, as bytes */
    char *data;
    size_t bytes, room;
    bool incomplete; /* memory has run out */
} ag__profile_structure;

/* The share of a row's steps that belongs to a part, forward or backward. */
typedef struct ag__profile_share {
    char *name; /* of the part */
    bool backward;
    double work;   /* elements computed */
    int64_t bytes; /* stored */
} ag__profile_share;

typedef struct ag__profile_row {
    uint64_t hash; /* of its structure */
    char *structure;
    size_t structure_bytes;
    ag_profile_entry one, all; /* the counts of one call; of all calls, with the texts */
    char *text;                /* the memory of the texts; or NULL */
    size_t text_bytes;
    ag__profile_share *share;
    uint32_t shares, share_room;
    double work; /* elements computed, in no part too */
} ag__profile_row;

typedef struct ag__profile {
    int64_t began, ended; /* by the clock; ended is 0 while it runs */
    ag__profile_row *row;
    uint32_t rows, room;
    uint32_t *order; /* rows that were called, by time; valid if `sorted` */
    uint32_t ordered;
    bool sorted;
    ag__profile_structure present; /* of the step being reported */
    uint32_t *table;               /* hash table of 1 + row; twice `room`, which is a power of two */
    uint64_t events;               /* so far; the ring holds the last AG__EVENTS of them */
    ag__profile_event event[AG__EVENTS];
} ag__profile;

/* parts.c: add to a row's shares; that of a part is left out if memory runs out */
void ag__share_work(ag__profile_row *row, const ag_tensor *t, int64_t elements);
void ag__share_bytes(ag__profile_row *row, const ag_tensor *t, int64_t bytes);
void ag__shares_free(ag_tape *tape, ag__profile_row *row);

int64_t ag__profile_now(void); /* nanoseconds by its clock */

#endif
