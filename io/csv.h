/* csv -- what reading and writing tables have in common */
#ifndef AG_CSV_H
#define AG_CSV_H

#include "autograd/tape/tape.h"
#include "io/io.h"

/* Whether the separator, and the list of names, make sense; else an error of the call is raised. */
bool ag__csv_options_valid(ag_tape *tape, const char *call, const ag_csv_options *how);

#endif
