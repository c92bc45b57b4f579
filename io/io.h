/* io -- reading data from files
 *
 * Read autograd/autograd.h first. Whatever a file holds, reading it ends in a tensor or in an error that names the
 * file, the line and what is wrong there. */
#ifndef AG_IO_H
#define AG_IO_H

#include "autograd/autograd.h"

/* ag_csv_options -- how the file is written; all zero, or NULL, is numbers with commas from the first line on */
typedef struct ag_csv_options {
    char separator; /* 0: a comma */
    bool header;    /* the first line holds names: it is skipped */
} ag_csv_options;

/* ag_csv_read -- a constant with the numbers of a CSV file, a row a line
 * Lines end in LF or CR LF, the last one may do without, and blank ones are skipped; so is a byte order mark. Blanks
 * around a number do not count. A number is decimal, with a point whatever the locale, and an exponent if need be; or
 * inf, infinity or nan. There is no quoting. The file is read twice, so it must be a file and not a pipe.
 * Shape:  () -> (rows,columns)
 * Dtype:  i64, f32 or f64; reals are rounded to nearest, directly from their decimal form
 * Grad:   a constant
 * Errors: AG_ERR_FILE if it cannot be read, has no rows, rows of different lengths, or a cell that is not a number of
 *         this dtype; AG_ERR_NULL, AG_ERR_DTYPE; AG_ERR_RANGE for a separator that numbers or lines are made of
 * Source: RFC 4180, without its quotes */
AG_API ag_tensor *ag_csv_read(ag_tape *tape, const char *path, ag_dtype dtype, const ag_csv_options *options);

#include "io_located.h"

#endif
