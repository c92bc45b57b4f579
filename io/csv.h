/* csv -- shared by reading and writing tables */
#ifndef AG_CSV_H
#define AG_CSV_H

#include "autograd/tape/tape.h"
#include "io/io.h"

/* Whether the separator and the list of names are valid; if not, an error of the call. */
bool ag__csv_options_valid(ag_tape *tape, const char *call, const ag_csv_options *how);

#endif
