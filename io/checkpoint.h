/* checkpoint -- the whole state of training in a file, so that it goes on where it was killed
 *
 * A checkpoint has every variable of a tape by its name (parameters, running statistics, an optimiser's moments), the
 * numbers that the program lists, and the state of the tape's random numbers. Training that is resumed from one gives
 * the same bits as training that was not interrupted, if it was saved between two steps:
 *
 *     int64_t epoch = 0;
 *     ag_number numbers[] = {{.name = "epoch", .integer = &epoch}, {.name = "adam.steps", .integer = &adam.steps}};
 *     ag_checkpoint_load(tape, "run", 2, numbers, NULL, NULL);      0 the first time: it begins at epoch 0
 *     for (ag_mark mark = ag_tape_mark(tape); epoch < 20 && ag_tape_status(tape) == AG_OK;) {
 *         …                                                         an epoch's steps, each with a rewind to the mark
 *         epoch++;
 *         ag_checkpoint_save(tape, "run", 2, numbers, 3);           run.000001.safetensors, run.000002.safetensors, …
 *     }
 *
 * A file is safetensors, which other programs read too: variables under their names, numbers as "number.epoch",
 * "random.seed" and "random.draws"; a checksum, "crc32" in its metadata, finds damage. It is written beside, synced and
 * renamed: whatever ends the process, each checkpoint is whole or not there. One process at a time writes a series. */
#ifndef AG_CHECKPOINT_H
#define AG_CHECKPOINT_H

#include "autograd/autograd.h"

struct ag_load_report;

/* ag_number -- a number of the program's that belongs to its state; one of the two pointers is not NULL */
typedef struct ag_number {
    const char *name;
    int64_t *integer;
    double *real;
} ag_number;

/* ag_checkpoint_save -- write the next checkpoint of a series, numbered from 1 on, and remove all but the last `keep`
 * The series "run", or "run.safetensors", is run.000001.safetensors and so on; "run/" is run/000001.safetensors, in a
 * folder that exists. With keep = 0 nothing is removed. Variables are evaluated first, as by ag_save.
 * Errors: AG_ERR_RANGE for keep < 0, n < 0, and a variable or number without a name or of another's name (both are
 *         located); AG_ERR_NULL; AG_ERR_FILE if it cannot be written, or older ones cannot be removed; AG_ERR_TAPE
 *         within an eval; as ag_eval */
AG_API ag_status ag_checkpoint_save(ag_tape *tape, const char *path, int n, const ag_number numbers[], int keep);

/* ag_checkpoint_options -- which one to load, and allowed differences; all zero, or NULL: the newest, and none */
typedef struct ag_checkpoint_options {
    int64_t number;        /* of the checkpoint; 0: the newest */
    bool skip_damaged;     /* instead of a damaged one, load the newest before it that is not */
    bool convert;          /* variables of another dtype are converted, as ag_cast does */
    bool allow_missing;    /* variables and numbers that are not in the file keep their values */
    bool allow_unexpected; /* others in the file are ignored: the optimiser's, say, where a model is only used */
} ag_checkpoint_options;

/* ag_checkpoint_load -- give all variables of the tape, the numbers, and the tape's random numbers the state in a
 * checkpoint; returns its number, 0 if the series has none yet (nothing changes), −1 after an error
 * Either everything gets its value or, after an error, nothing. `report` may be NULL, and is as that of ag_load: the
 * variables in order, the numbers, then those of the random numbers.
 * Errors: AG_ERR_FILE if it cannot be read, is damaged, or something does not match that the options do not allow;
 *         if there are others but not the one of the number in the options; AG_ERR_RANGE as ag_checkpoint_save, and
 *         for an invalid number; AG_ERR_NULL; AG_ERR_TAPE within an eval; AG_ERR_MEMORY */
AG_API int64_t ag_checkpoint_load(ag_tape *tape, const char *path, int n, const ag_number numbers[],
                                  const ag_checkpoint_options *options, struct ag_load_report *report);

#endif
