/* csv -- shared by reading and writing tables */
#ifndef AG_CSV_H
#define AG_CSV_H

#include "autograd/tape/tape.h"
#include "io/io.h"

#include <stdio.h>

/* Whether the separator and the list of names are valid; if not, an error of the call. */
bool ag__csv_options_valid(ag_tape *tape, const char *call, const ag_csv_options *how);

/* A number with the fewest digits that are read back as the same value: at most 17 for f64, 9 for f32. Returns `to`. */
enum { AG__CSV_NUMBER = 40 };
const char *ag__csv_real(char to[AG__CSV_NUMBER], ag_dtype dtype, double value);

/* A name, in quotes if it has quotes, a separator, or blanks at an end. */
void ag__csv_put_name(FILE *file, char separator, const char *name);

#endif
