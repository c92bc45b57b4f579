/* archive -- the tensors that a file has, whatever its format
 *
 * Opening one reads its headers and trusts nothing in them: on success every tensor has a unique name (or none, if
 * the format has no names), a valid shape, and exactly the bytes of the file that it takes, which no other tensor
 * has; or, if they are packed, no more than they can unpack to. */
#ifndef AG_ARCHIVE_H
#define AG_ARCHIVE_H

#include "io/members.h"

/* It is closed in any case. */
bool ag__archive_open(ag__archive *a, ag_tape *tape, const char *call, const char *path);
void ag__archive_close(ag__archive *a);

/* The tensor of that name, or NULL. */
const ag__member *ag__archive_find(const ag__archive *a, const char *name);

/* Memory for its elements as those of dtype; NULL after an error. */
ag__buffer *ag__archive_buffer(const ag__archive *a, const ag__member *m, ag_dtype dtype);

/* A constant of dtype with its elements, labelled with its name; nil after an error. With `map` it shares the file's
 * pages, if they have the elements as they are in memory. */
ag_tensor *ag__member_constant(ag__archive *a, const ag__member *m, ag_dtype dtype, bool map);

/* Read its elements as those of dtype; false after an error. */
bool ag__member_read(ag__archive *a, const ag__member *m, ag_dtype dtype, void *to);

#endif
