/* file -- writing a file so that it is there whole or not at all */
#ifndef AG_FILE_H
#define AG_FILE_H

#include "autograd/report/report.h"

#include <stdio.h>

/* What puts the content; an error that it raises on the tape keeps the file from being written. */
typedef void ag__writer(FILE *file, void *context);

/* Have the file at `path` written, for the call `name`; false after an error, which is raised. */
bool ag__write_file(ag_tape *tape, const char *name, const char *path, ag__writer *write, void *context);

#endif
