/* log -- the readings of a training run, as lines of a file that grows */
#ifndef AG_LOG_H
#define AG_LOG_H

#include "io/progress.h"

/* A record is a step and readings at that step. As JSON Lines and as CSV:
 *
 *     {"step":100,"loss":0.3127,"accuracy":0.91}       step,loss,accuracy
 *     {"step":200,"loss":0.2214}                       100,0.3127,0.91
 *                                                      200,0.2214,
 *
 * Numbers have the fewest digits that are read back as the same value. JSON has no other numbers than finite ones: the
 * others are the strings "NaN", "Infinity" and "-Infinity", which Number() and float() understand; in CSV they are nan,
 * inf and -inf. In JSON Lines each record names its readings as it likes. The columns of CSV are fixed, by the options
 * or else by the first record: later records may leave cells empty, and a reading without a column is an error.
 *
 * A record is written when the call returns, in one piece: a process that is killed loses at most the record that it
 * was writing. A run that is resumed at a step continues its log there: records of later steps, and a last one that is
 * incomplete, are cut off, at once or not at all. */

/* ag_run_log_format -- the form of a record */
typedef enum ag_run_log_format { AG_RUN_LOG_BY_NAME, AG_RUN_LOG_JSON_LINES, AG_RUN_LOG_CSV } ag_run_log_format;

/* ag_run_log_options -- all zero, or NULL: a new log, in the format of the path's ending: .csv, or .jsonl or .json */
typedef struct ag_run_log_options {
    ag_run_log_format format;
    bool resume;              /* keep the records of a file that is there, up to this step */
    int64_t step;             /* the last one that is kept */
    int n;                    /* CSV: number of columns behind "step"; 0: those of the first record */
    const char *const *names; /* of the columns */
} ag_run_log_options;

/* ag_run_log -- a log that is open */
typedef struct ag_run_log {
    ag_tape *tape; /* for errors and memory */
    FILE *file;    /* NULL: it is not open */
    int opened;    /* inside: the file's descriptor, where there are such */
    int64_t step;  /* of the last record; -1: there is none */
    bool csv, broken, headed;
    int columns; /* CSV: behind "step"; 0: not fixed yet */
    const char **column;
    char *names; /* of the columns */
    size_t names_bytes;
    char *text; /* the last record */
    size_t room;
    int64_t size; /* of the file, up to the last whole record */
} ag_run_log;

/* ag_run_log_open -- begin a log, which replaces a file of that name, or continue one
 * Errors: AG_ERR_FILE if it is no regular file, cannot be opened, or has a line that is no record of this format, or
 *         steps in descending order: the file is unchanged, and the log is not open; AG_ERR_RANGE for an unknown format
 *         and for names as in ag_run_log_write; AG_ERR_NULL, AG_ERR_MEMORY */
AG_API ag_status ag_run_log_open(ag_run_log *log, ag_tape *tape, const char *path, const ag_run_log_options *options);

/* ag_run_log_write -- add a record
 * Errors: nothing is written after any: AG_ERR_RANGE for a step below the last or below 0, more than 1000 readings, a
 *         name that is "step", empty, no UTF-8, has control characters or is given twice, and a reading without a
 *         column; AG_ERR_NULL for a name; AG_ERR_FILE if the log is not open or cannot be written; AG_ERR_MEMORY */
AG_API ag_status ag_run_log_write(ag_run_log *log, int64_t step, int n, const ag_reading reading[]);

/* ag_run_log_close -- end the log, before its tape is freed; a log that is not open is ignored
 * Errors: AG_ERR_FILE if the file cannot be synced */
AG_API ag_status ag_run_log_close(ag_run_log *log);

#endif
