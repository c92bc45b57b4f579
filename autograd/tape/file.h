/* file -- writing a file whole or not at all */
#ifndef AG_FILE_H
#define AG_FILE_H

#include "autograd/tape/tape.h"

#include <stdio.h>

/* Writes the content; an error that it raises on the tape keeps the file from being replaced. */
typedef void ag__file_content(FILE *file, void *context);

/* Have `fill` write the file at `path`, for the call `name`. False after an error, raised on the tape: the file is
 * unchanged, and nothing is left beside it. (One exception, which the error names: the folder cannot be synced. The
 * file is then the new one.) */
bool ag__write_file(ag_tape *tape, const char *name, const char *path, ag__file_content *fill, void *context);

/* Whether a path ends in these characters, such as ".csv". */
bool ag__ends_in(const char *path, const char *end);

/* Signals that end a process when it writes are blocked in this thread between these two: the write then fails. */
#if defined __unix__ || defined __APPLE__
#include <signal.h>
typedef struct ag__held {
    sigset_t former, before;
} ag__held;
#else
typedef int ag__held;
#endif
ag__held ag__hold_signals(void);
void ag__release_signals(const ag__held *held);

#endif
