/* io -- tensors from files, and into them
 *
 * Read autograd/autograd.h first.
 *
 *      1  Reading and writing tensors      2  Tables as text
 *
 * Files are not trusted: whatever one holds, reading it ends in tensors or in an error that names the file and what is
 * wrong with it, and takes no more memory than a few times the file's size and what the shapes in it need. Files are
 * written whole or not at all, as ag_write_dot does. */
#ifndef AG_IO_H
#define AG_IO_H

#include "autograd/autograd.h"

/* ======================================= 1. Reading and writing tensors ======================================== */

/* Formats:
 *
 *     .safetensors     any number of tensors, each with a name
 *     .npz             the same, NumPy's: stored, or packed by DEFLATE
 *     .npy             one tensor, NumPy's
 *     IDX              one tensor, as MNIST has it; only read
 *
 * When a file is read, its first bytes say which it is; its name does not count. A file of the last two formats may
 * also be packed by gzip. What is packed needs a build with zlib.
 *
 * Elements that are bool, i64, f32 or f64 in the file keep their bits. f16 and bf16 become f32, other integers i64, all
 * of which is exact. Anything else (objects, strings, complex numbers, u64 that does not fit i64) is an error. Either
 * order of bytes, and of axes, is read; what is written is little-endian and row-major.
 *
 * A name is UTF-8 without control characters, at least one byte and at most 65000. A tensor's is its label, unless
 * another is given. */

/* ag_read_options -- what elements become; all zero, or NULL, is what is said above */
typedef struct ag_read_options {
    bool convert; /* to `dtype`, as ag_cast does */
    ag_dtype dtype;
} ag_read_options;

/* ag_read -- a constant with one tensor of a file: the one of that name, which becomes its label, or for NULL the only
 * one
 * Shape:  () -> as in the file
 * Dtype:  as the file has it, or what the options say
 * Grad:   a constant
 * Errors: AG_ERR_FILE if it cannot be read, holds something else, or has no such tensor; AG_ERR_DTYPE, AG_ERR_MEMORY
 * Source: NEP 1 (.npy), APPNOTE.TXT 6.3 (zip), RFC 1951 and 1952, the safetensors format, LeCun's IDX */
AG_API ag_tensor *ag_read(ag_tape *tape, const char *path, const char *name, const ag_read_options *options);

/* ag_read_all -- how many tensors a file has, and the first `room` of them as constants, in the order of the file and
 * with their names as labels; 0 after an error, and then each x[i] is nil
 * Errors: as ag_read; AG_ERR_NULL if x is NULL, unless room = 0 */
AG_API int ag_read_all(ag_tape *tape, const char *path, const ag_read_options *options, int room, ag_tensor *x[]);

/* ag_format -- what a file is written as */
typedef enum ag_format { AG_FORMAT_BY_NAME, AG_FORMAT_SAFETENSORS, AG_FORMAT_NPZ, AG_FORMAT_NPY } ag_format;

/* ag_save_options -- how to write; all zero, or NULL, is labels, and the format that the path ends in, not packed */
typedef struct ag_save_options {
    const char *const *names; /* n of them; where it, or one of them, is NULL, the label is the name */
    ag_format format;
    bool compress; /* .npz: packed by DEFLATE */
} ag_save_options;

/* ag_save -- write n tensors of one tape, which are evaluated first, into a file. The same tensors give the same bytes
 * Errors: AG_ERR_RANGE for n < 1, a tensor without a name, two of one name (both are located), an unknown format, and
 *         for more than one tensor in .npy; AG_ERR_FILE if it cannot be written, or packed; what evaluating gives */
AG_API ag_status ag_save(const char *path, int n, ag_tensor *const x[], const ag_save_options *options);

/* ag_load_options -- what may differ; all zero, or NULL, is nothing */
typedef struct ag_load_options {
    const char *const *names; /* as in ag_save_options */
    bool convert;             /* elements of another dtype are converted, as ag_cast does */
    bool allow_missing;       /* variables that are not in the file keep their values */
    bool allow_unexpected;    /* tensors of the file that are no variable's are passed over */
} ag_load_options;

/* ag_load_result -- how a variable and the file's tensor of its name compare */
typedef enum ag_load_result {
    AG_LOAD_FITS,
    AG_LOAD_MISSING,    /* the file has none of that name */
    AG_LOAD_UNEXPECTED, /* no variable has that name */
    AG_LOAD_SHAPE,      /* its shape is another */
    AG_LOAD_DTYPE       /* its dtype is another, and is not to be converted */
} ag_load_result;

/* ag_load_item -- one of them */
typedef struct ag_load_item {
    const char *name;
    ag_load_result result;
    int index;         /* of the variable; -1: there is none */
    ag_shape shape;    /* in the file */
    const char *dtype; /* in the file: "f32", "bf16", "u8", …; "" if it has none of that name */
} ag_load_item;

/* ag_load_report -- how many there are of each, and all of them: the variables in order, then what is unexpected. The
 * list is the tape's, and lasts until what was recorded last is rewound */
typedef struct ag_load_report {
    int fitting, missing, unexpected, shapes, dtypes;
    int count;
    const ag_load_item *item;
} ag_load_report;

/* ag_load -- give n variables of one tape the values that a file has for their names, at once; what is already recorded
 * keeps the old ones. Either all are given theirs or, after an error, none. A format without names has the value of one
 * variable. `report` may be NULL; it is filled in also when something does not fit
 * Errors: AG_ERR_FILE if it cannot be read, or something does not fit that the options do not allow; AG_ERR_RANGE for
 *         names as in ag_save, and n < 1; AG_ERR_TAPE if one is no variable; AG_ERR_MEMORY */
AG_API ag_status ag_load(const char *path, int n, ag_tensor *const v[], const ag_load_options *options,
                         ag_load_report *report);

/* ============================================== 2. Tables as text ============================================== */

/* ag_csv_options -- how the file is written; all zero, or NULL, is numbers with commas from the first line on */
typedef struct ag_csv_options {
    char separator; /* 0: a comma */
    bool header;    /* the first line holds names: it is skipped when it is read */
    int n;          /* so many names of columns */
    const char *const *names;
} ag_csv_options;

/* ag_csv_read -- a constant with the numbers of a CSV file, a row a line
 * Lines end in LF or CR LF, the last one may do without, and blank ones are skipped; so is a byte order mark. Blanks
 * around a number do not count. A number is decimal, with a point whatever the locale, and an exponent if need be; or
 * inf, infinity or nan. There is no quoting. The file is read twice, so it must be a regular one. With names in the
 * options, the first line holds the names of all columns, and the columns of these names are read, in this order. In
 * the others, and in the names, there may be any text, quoted or not.
 * Shape:  () -> (rows,columns)
 * Dtype:  i64, f32 or f64; reals are rounded to nearest, directly from their decimal form
 * Grad:   a constant
 * Errors: AG_ERR_FILE if it cannot be read, has no rows, rows of different lengths, not exactly one column of each
 *         name, or a cell that is not a number of this dtype; AG_ERR_NULL, AG_ERR_DTYPE; AG_ERR_RANGE for a separator
 *         that numbers, quotes or lines are made of
 * Source: RFC 4180, without quotes around numbers */
AG_API ag_tensor *ag_csv_read(ag_tape *tape, const char *path, ag_dtype dtype, const ag_csv_options *options);

/* ag_csv_write -- write x, rows by columns or one column, as text, a line a row, under the names in the options if
 * there are any. Numbers are as short as they can be and still be read back as they are; a bool is 0 or 1
 * Errors: AG_ERR_SHAPE unless x has one or two axes, and columns; AG_ERR_RANGE for a separator as above, and for names
 *         that are not as many as columns, or have control characters; AG_ERR_FILE if it cannot be written; what
 *         evaluating x gives */
AG_API ag_status ag_csv_write(const char *path, ag_tensor *x, const ag_csv_options *options);

#include "io_located.h"

#endif
