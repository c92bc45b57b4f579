/* input -- the bytes of a file that is not trusted
 *
 * Nothing is read beyond the file's size, and every error names the file and the tensor being read. */
#ifndef AG_INPUT_H
#define AG_INPUT_H

#include "autograd/tape/tape.h"
#include "autograd/tape/utf8.h"

#include <stdio.h>

typedef struct ag__input {
    ag_tape *tape;
    const char *call, *path;
    const char *tensor; /* being read, for errors; NULL: none, or the only one */
    FILE *file;
    int descriptor; /* of it, where there are such */
    uint64_t size;
    uint64_t at; /* offset in the file */
} ag__input;

/* False, after an error, unless it is a regular file that can be read. Close it in any case. */
bool ag__input_open(ag__input *in, ag_tape *tape, const char *call, const char *path);
void ag__input_close(ag__input *in);

/* Read exactly these bytes; false, after an error, if the file has fewer. */
bool ag__input_read(ag__input *in, uint64_t at, void *to, size_t bytes);

/* The bytes of the file in memory, without reading them; NULL, without an error, if that is impossible. */
const void *ag__input_map(const ag__input *in, uint64_t at, uint64_t bytes, ag__owner *owner);

/* Raise AG_ERR_FILE for the file; returns false. */
bool ag__input_wrong(const ag__input *in, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 2, 3)))
#endif
    ;

/* Memory for `bytes` that the file has or needs; NULL after an error. */
void *ag__input_memory(const ag__input *in, uint64_t bytes);

/* Numbers of 1 to 8 bytes. */
uint64_t ag__little(const unsigned char *p, int bytes);
uint64_t ag__big(const unsigned char *p, int bytes);

#endif
