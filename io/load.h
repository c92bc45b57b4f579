/* load -- giving variables, and numbers of the program, the values in a file */
#ifndef AG_LOAD_H
#define AG_LOAD_H

#include "io/archive.h"
#include "io/io.h"
#include "io/names.h"

typedef struct ag__loading {
    ag_tape *tape;
    const char *call;
    int n, numbers;          /* all; of these, the last so many are numbers */
    ag_tensor *const *v;     /* n of them; NULL for numbers */
    const ag_number *number; /* of the numbers alone */
    ag_load_options how;     /* numbers have their names here */
    ag_load_report report;   /* count 0: the file was not compared */

    /* Inside. */
    ag__archive archive;
    ag__names names;
    bool nameless; /* the file has one tensor without a name, for the only variable */
    const ag__member **found;
    ag__buffer **value;
} ag__loading;

/* Either all get their values or, after an error, none. */
bool ag__load(ag__loading *l, const char *path);

#endif
