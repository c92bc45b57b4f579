/* ahead -- constants that threads make ahead of time, in order; for a loader of batches
 *
 * A queue of jobs. The tape's thread posts a job with the memory of its tensors; a thread of the queue fills it, or the
 * tape's thread itself if it is there first; and the tape's thread takes the jobs in the order in which they were
 * posted, as constants that own the memory. So nothing is copied, and a rewind gives the memory back for a later job.
 * All functions but `make` are called by the tape's thread. */
#ifndef AG_AHEAD_H
#define AG_AHEAD_H

#define AG_NO_LOCATION
#include "autograd/autograd.h"

enum { AG__MOST_PARTS = 8, AG__MOST_MAKERS = 64, AG__MOST_AHEAD = 1024, AG__REASON = 200 };

/* One tensor for each part, of `rows` rows. */
typedef struct ag__job {
    int64_t epoch, number, rows;
    void *data[AG__MOST_PARTS];
    char why[AG__REASON]; /* if it fails */
} ag__job;

/* Fill the job's memory; false, with a reason, if that fails. Jobs are made by several threads at once. */
typedef bool ag__maker(void *shared, ag__job *job);

/* A part: its dtype, and the shape of one row. */
typedef struct ag__row {
    ag_dtype dtype;
    ag_shape shape;
} ag__row;

typedef struct ag__ahead ag__ahead;

/* A queue of at most `room` jobs. It lasts until it is freed; its threads and memory go with the tape if that is first.
 * NULL after an error of the call `name`. */
ag__ahead *ag__ahead_new(ag_tape *tape, const char *name, int room);

/* Memory for n things, NULL after an error; and the elements of x that ag_data has returned, even if x is rewound:
 * until the queue or the tape is freed. At most 8 of the first, and one of the second for each part. */
void *ag__ahead_room(ag__ahead *a, int64_t n, size_t each);
void ag__ahead_hold(ag__ahead *a, const ag_tensor *x);

/* Begin, with this many threads, or fewer if the system has no more; `name` is that of the call that takes. False,
 * after an error, if `rows` rows of a part are no valid tensor. */
bool ag__ahead_start(ag__ahead *a, const char *name, int threads, ag__maker *make, void *shared, int64_t rows,
                     int parts, const ag__row part[]);

/* The tape; NULL if it has been freed, and within `make`, where nothing else may be called. */
ag_tape *ag__ahead_tape(const ag__ahead *a);

/* The argument of `make`. */
void *ag__ahead_shared(const ag__ahead *a);

/* Post a job; false if there is no room, or no memory. */
bool ag__ahead_post(ag__ahead *a, int64_t epoch, int64_t number, int64_t rows);

/* Take the first job, once it is made, as constants. False after an error, which is the job's, whose name for it is
 * `what`, or out of memory, as without a job: the queue is then empty, and all of made[…] are nil. */
bool ag__ahead_take(ag__ahead *a, const char *what, ag_tensor *made[]);

/* Forget the jobs posted, when those under way have ended. */
void ag__ahead_clear(ag__ahead *a);

/* End the threads and give back all memory; NULL is ignored. False, and nothing is done, within `make`. */
bool ag__ahead_free(ag__ahead *a);

/* The location that ag_here noted for the call on this thread, taken: calls in between leave it alone. */
const char *ag__ahead_here(int *line);

/* Memory for n things of other calls; ag__room_back gives it back, NULL is ignored. NULL after an error of the call
 * `name`. */
struct ag__buffer *ag__room_new(ag_tape *tape, const char *name, int64_t n, size_t each);
void *ag__room_data(struct ag__buffer *room);
void ag__room_back(ag_tape *tape, struct ag__buffer *room);

/* A constant of n numbers, i64, which the caller fills at once; nil after an error. */
ag_tensor *ag__room_numbers(ag_tape *tape, const char *name, int64_t n, int64_t **data);

/* The seed that ag_tape_seed has set; 0 for NULL. */
uint64_t ag__ahead_seed(const ag_tape *tape);

#endif
