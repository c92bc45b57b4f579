/* progress -- how far a loop has come: a bar on a terminal, lines in a file, nothing without a stream */
#ifndef AG_PROGRESS_H
#define AG_PROGRESS_H

#include "autograd/types.h"

#include <stdio.h>

/* A loop of 2000 steps, shown on a terminal as one line that is written over and over:
 *
 *     ag_progress progress;
 *     ag_progress_begin(&progress, stderr, 2000, NULL);
 *     for (int64_t step = 1; step <= 2000; step++) {
 *         …
 *         ag_progress_update(&progress, step, 1, &(ag_reading){"loss", ag_item(loss)});
 *     }
 *     ag_progress_end(&progress);
 *
 *     42% ━━━━━━━━━━━━╸───────────────── 840/2000 116/s 0:10 left loss 0.3127
 *
 * A stream that is no terminal, or one with TERM=dumb, gets a line of text every ten seconds and a last one. Output is
 * at most ten times a second, so an update costs little more than reading the clock. The line is never wider than the
 * terminal, whose width is asked for each time: parts that do not fit are left out, the least important ones first. The
 * cursor stays visible, so a process that is killed leaves the terminal as it was. With the environment variable
 * NO_COLOR there are no colours. The bar is ASCII unless LC_ALL, LC_CTYPE or LANG, the first that is set, names UTF-8.
 *
 * No function here allocates memory, and none fails: a stream that cannot be written is given up. */

/* ag_reading -- a number and its name */
typedef struct ag_reading {
    const char *name;
    double value;
} ag_reading;

/* ag_progress_form -- what is written: chosen by the stream; a line that is written over; a line for each output */
typedef enum ag_progress_form { AG_PROGRESS_BY_STREAM, AG_PROGRESS_BAR, AG_PROGRESS_LINES } ag_progress_form;

/* ag_progress_options -- all zero, or NULL: as described above */
typedef struct ag_progress_options {
    const char *label; /* at the beginning of the line; copied, up to 47 bytes; NULL: none */
    int64_t first;     /* so many are done already, as in a run that is resumed: they have no part in the rate */
    double seconds;    /* between two outputs, at least; 0: 0.1 for a bar, 10 for lines */
    ag_progress_form form;
    bool ascii, plain; /* no other characters; no colours */
} ag_progress_options;

enum { AG_PROGRESS_READINGS = 8, AG_PROGRESS_MARKS = 32 };

/* ag_progress -- the state of one line; nothing in it is to be freed */
typedef struct ag_progress {
    FILE *stream; /* NULL: nothing is written */
    int64_t done, total;
    ag_progress_form form;
    bool ascii, plain, shown; /* shown: a bar is on the terminal */
    char label[48];
    int readings;
    struct {
        char name[24];
        double value;
    } reading[AG_PROGRESS_READINGS];
    int64_t began, looked, drawn, interval; /* nanoseconds of a clock that never goes back */
    int marks;                              /* made so far; the ring has the last of them */
    struct {
        int64_t time, done;
    } mark[AG_PROGRESS_MARKS];
} ag_progress;

/* ag_progress_begin -- prepare for `total` things to do, 0 if their number is unknown; a bar appears at once
 * Errors: none; with a NULL stream nothing is ever written */
AG_API void ag_progress_begin(ag_progress *progress, FILE *stream, int64_t total, const ag_progress_options *options);

/* ag_progress_update -- so many are done, of all, and these are the present readings: the first 8 are shown
 * Names are copied, up to 23 bytes. Time left is what remains times the time for each so far, later ones counting
 * more, and a pause among them no more than four times the usual.
 * Errors: none; a number below the last begins the rate anew, and one beyond the total is shown as it is */
AG_API void ag_progress_update(ag_progress *progress, int64_t done, int n, const ag_reading reading[]);

/* ag_progress_hide -- remove the bar, so that something else can be written; the next output shows it again
 * Errors: none */
AG_API void ag_progress_hide(ag_progress *progress);

/* ag_progress_end -- write the last state, with the time that all took, and end the line
 * Errors: none; nothing happens a second time */
AG_API void ag_progress_end(ag_progress *progress);

#endif
