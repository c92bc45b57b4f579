/* series -- files that are numbered in the order in which they were written: name.000001.safetensors, … */
#ifndef AG_SERIES_H
#define AG_SERIES_H

#include "autograd/tape/tape.h"

enum { AG__PATH = 4096 };

typedef struct ag__series {
    ag_tape *tape;
    const char *call;
    const char *path; /* as given by the caller */
    size_t folder;    /* bytes of the path that name the folder, the last slash included */
    size_t stem;      /* bytes of the path without the ending */
    int64_t *number;  /* ascending */
    size_t count, room;
} ag__series;

/* List the files that are there; false after an error. Close it in any case. A folder that does not exist has none. */
bool ag__series_open(ag__series *s, ag_tape *tape, const char *call, const char *path);
void ag__series_close(ag__series *s);

/* The path of the file of that number. */
const char *ag__series_path(const ag__series *s, char to[AG__PATH], int64_t number);

/* After file `newest` was written: remove the temporary files up to its number, which killed processes have left, and
 * of those listed at first all but the last, so that `keep` remain; 0: all. False after an error. */
bool ag__series_prune(const ag__series *s, int64_t newest, int keep);

#endif
