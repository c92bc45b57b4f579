/* input -- the bytes of a file that is not trusted
 *
 * Nothing is read beyond the size that the file has, and every error names the file, and the tensor in it that is being
 * read. */
#ifndef AG_INPUT_H
#define AG_INPUT_H

#include "autograd/tape/tape.h"

#include <stdio.h>

typedef struct ag__input {
    ag_tape *tape;
    const char *call, *path;
    const char *tensor; /* that is being read, for errors; NULL: none, or the only one */
    FILE *file;
    uint64_t size;
    uint64_t at; /* where the file stands */
} ag__input;

/* False, and an error is raised, unless it is a regular file that can be read. It is closed in any case. */
bool ag__input_open(ag__input *in, ag_tape *tape, const char *call, const char *path);
void ag__input_close(ag__input *in);

/* Exactly these bytes; if the file has fewer, an error is raised. */
bool ag__input_read(ag__input *in, uint64_t at, void *to, size_t bytes);

/* Raise AG_ERR_FILE about it; false. */
bool ag__input_wrong(const ag__input *in, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 2, 3)))
#endif
    ;

/* Memory for `bytes` that the file has or asks for; NULL, and an error is raised, where there is none. */
void *ag__input_memory(const ag__input *in, uint64_t bytes);

/* Numbers of 1 to 8 bytes. */
uint64_t ag__little(const unsigned char *p, int bytes);
uint64_t ag__big(const unsigned char *p, int bytes);

/* ---- Text ---- */

enum { AG__LONGEST_NAME = 65000, AG__SHOWN = 64 };

/* NULL if the text can name a tensor: UTF-8, without control characters, not empty, not too long. Else what it has. */
const char *ag__name_fault(const char *text, size_t length);
bool ag__is_utf8(const char *text, size_t length);

/* The beginning of a text, in quotes and without what a terminal would obey. */
const char *ag__shown(char to[AG__SHOWN], const char *text);

#endif
