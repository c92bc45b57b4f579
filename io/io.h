/* io -- tensors from files, and into them
 *
 * Read autograd/autograd.h first.
 *
 *      1  Reading and writing tensors      2  Tables as text      3  Watching a training run
 *      4  The state of training
 *
 * Files are not trusted: reading any file ends in tensors or in an error that names the file and its fault, and
 * takes no more memory than a few times the file's size and that of the shapes in it. Files are written whole or not
 * at all, as by ag_write_dot. */
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
 * The first bytes of a file determine its format, not its name. A file of the last two formats may also be packed by
 * gzip. Packed files need a build with zlib.
 *
 * Elements that are bool, i64, f32 or f64 in the file keep their bits. f16 and bf16 become f32, other integers i64, all
 * exactly. Anything else (objects, strings, complex numbers, u64 that does not fit i64) is an error. Either order of
 * bytes, and of axes, is read; files are written little-endian and row-major.
 *
 * A name is UTF-8 without control characters, at least one byte and at most 65000. A tensor's name is its label,
 * unless another is given. */

/* ag_read_options -- the conversion of elements; all zero, or NULL: as described above */
typedef struct ag_read_options {
    bool convert; /* to `dtype`, as ag_cast does */
    ag_dtype dtype;
    /* Share the file's pages instead of reading them, where the elements are stored as they are in memory. They are
     * read when they are used, and no checksum is looked at. The file must stay as it is until the tensor is rewound:
     * if it becomes shorter, using the tensor ends the process. Replacing it by another file is safe. */
    bool map;
} ag_read_options;

/* ag_read -- a constant with one tensor of a file: the one of that name, which becomes its label, or for NULL the only
 * one
 * Shape:  () -> as in the file
 * Dtype:  as the file has it, or what the options say
 * Grad:   a constant
 * Errors: AG_ERR_FILE if it cannot be read, is malformed, or has no such tensor; AG_ERR_DTYPE, AG_ERR_MEMORY
 * Source: NEP 1 (.npy), APPNOTE.TXT 6.3 (zip), RFC 1951 and 1952, the safetensors format, LeCun's IDX */
AG_API ag_tensor *ag_read(ag_tape *tape, const char *path, const char *name, const ag_read_options *options);

/* ag_read_all -- returns how many tensors a file has, and the first `room` of them as constants, in the order of the
 * file, labelled with their names; 0 after an error, with each x[i] nil
 * Errors: as ag_read; AG_ERR_NULL if x is NULL, unless room = 0 */
AG_API int ag_read_all(ag_tape *tape, const char *path, const ag_read_options *options, int room, ag_tensor *x[]);

/* ag_format -- the format of a file to write */
typedef enum ag_format { AG_FORMAT_BY_NAME, AG_FORMAT_SAFETENSORS, AG_FORMAT_NPZ, AG_FORMAT_NPY } ag_format;

/* ag_save_options -- how to write; all zero, or NULL: labels as names, the format by the path's ending, not packed */
typedef struct ag_save_options {
    const char *const *names; /* n of them; if NULL, or one is NULL, the label is the name */
    ag_format format;
    bool compress; /* .npz: packed by DEFLATE */
} ag_save_options;

/* ag_save -- write n tensors of one tape, which are evaluated first, into a file. The same tensors give the same bytes
 * Errors: AG_ERR_RANGE for n < 1, a tensor without a name, two of one name (both are located), an unknown format, and
 *         for more than one tensor in .npy; AG_ERR_FILE if it cannot be written, or packed; as ag_eval */
AG_API ag_status ag_save(const char *path, int n, ag_tensor *const x[], const ag_save_options *options);

/* ag_load_options -- allowed differences; all zero, or NULL: none */
typedef struct ag_load_options {
    const char *const *names; /* as in ag_save_options */
    bool convert;             /* elements of another dtype are converted, as ag_cast does */
    bool allow_missing;       /* variables that are not in the file keep their values */
    bool allow_unexpected;    /* other tensors of the file are ignored */
} ag_load_options;

/* ag_load_result -- how a variable and the file's tensor of its name compare */
typedef enum ag_load_result {
    AG_LOAD_FITS,
    AG_LOAD_MISSING,    /* the file has no tensor of that name */
    AG_LOAD_UNEXPECTED, /* no variable has that name */
    AG_LOAD_SHAPE,      /* the shapes differ */
    AG_LOAD_DTYPE       /* the dtypes differ, and conversion is off */
} ag_load_result;

/* ag_load_item -- the comparison of one variable or tensor */
typedef struct ag_load_item {
    const char *name;
    ag_load_result result;
    int index;         /* of the variable; -1: there is none */
    ag_shape shape;    /* in the file */
    const char *dtype; /* in the file: "f32", "bf16", "u8", …; "" if it has none of that name */
} ag_load_item;

/* ag_load_report -- the number of each result, and all items: the variables in order, then unexpected tensors. The
 * list is the tape's, and lasts until a rewind past the present position */
typedef struct ag_load_report {
    int fitting, missing, unexpected, shapes, dtypes;
    int count;
    const ag_load_item *item;
} ag_load_report;

/* ag_load -- give n variables of one tape the values in a file under their names, at once; nodes already recorded keep
 * the old ones. Either all get theirs or, after an error, none. A format without names has the value of one variable.
 * `report` may be NULL; it is filled in even if something does not match
 * Errors: AG_ERR_FILE if it cannot be read, or something does not match that the options do not allow; AG_ERR_RANGE
 *         for names as in ag_save, and n < 1; AG_ERR_TAPE if one is not a variable; AG_ERR_MEMORY */
AG_API ag_status ag_load(const char *path, int n, ag_tensor *const v[], const ag_load_options *options,
                         ag_load_report *report);

/* ============================================== 2. Tables as text ============================================== */

/* ag_csv_options -- the form of the file; all zero, or NULL: numbers with commas, from the first line on */
typedef struct ag_csv_options {
    char separator; /* 0: a comma */
    bool header;    /* the first line holds names: it is skipped when it is read */
    int n;          /* number of names */
    const char *const *names;
} ag_csv_options;

/* ag_csv_read -- a constant with the numbers of a CSV file, a row a line
 * Lines end in LF or CR LF, except perhaps the last; blank lines and a byte order mark are skipped. Blanks around a
 * number are ignored. A number is decimal, with a point in any locale, and perhaps an exponent; or inf, infinity or
 * nan. There is no quoting. The file is read twice, so it must be a regular one. With names in the options, the first
 * line holds the names of all columns, and the columns of these names are read, in this order. The other columns, and
 * the names, may be any text, quoted or not.
 * Shape:  () -> (rows,columns)
 * Dtype:  i64, f32 or f64; reals are rounded to nearest, directly from their decimal form
 * Grad:   a constant
 * Errors: AG_ERR_FILE if it cannot be read, has no rows, rows of different lengths, not exactly one column of each
 *         name, or a cell that is not a number of this dtype; AG_ERR_NULL, AG_ERR_DTYPE; AG_ERR_RANGE for a separator
 *         that numbers, quotes or lines are made of
 * Source: RFC 4180, without quotes around numbers */
AG_API ag_tensor *ag_csv_read(ag_tape *tape, const char *path, ag_dtype dtype, const ag_csv_options *options);

/* ag_csv_write -- write x, rows by columns or one column, as text, a line a row, under the names in the options, if
 * any. Numbers have the fewest digits that are read back as the same value; a bool is 0 or 1
 * Errors: AG_ERR_SHAPE unless x has one or two axes, and columns; AG_ERR_RANGE for a separator as above, and for
 *         names whose number differs from that of columns, or with control characters; AG_ERR_FILE if it cannot be
 *         written; as ag_eval */
AG_API ag_status ag_csv_write(const char *path, ag_tensor *x, const ag_csv_options *options);

#include "io/exchange.h"

/* ========================================= 3. Watching a training run ========================================== */

/* A bar or lines, a log, and curves */
#include "io/curves.h"
#include "io/log.h"
#include "io/progress.h"

/* ========================================== 4. The state of training =========================================== */

#include "io/checkpoint.h"

#include "io/located.h"

#endif
