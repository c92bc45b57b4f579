/* archive -- the tensors that a file has, whatever its format
 *
 * Opening one reads what its headers say and believes none of it: when it has succeeded, every tensor has a name of its
 * own (none at all, if the format has no names), a shape that can be counted, and exactly as many bytes of the file as
 * that takes, which no other tensor has; or, if they are packed, no more than they can unpack to. */
#ifndef AG_ARCHIVE_H
#define AG_ARCHIVE_H

#include "io/members.h"

/* It is closed in any case. */
bool ag__archive_open(ag__archive *a, ag_tape *tape, const char *call, const char *path);
void ag__archive_close(ag__archive *a);

/* The tensor of that name; NULL if there is none. */
const ag__member *ag__archive_find(const ag__archive *a, const char *name);

/* Memory for its elements as those of dtype; NULL, and an error is raised, if there is none. */
ag__buffer *ag__archive_buffer(const ag__archive *a, const ag__member *m, ag_dtype dtype);

/* Its elements as those of dtype, into memory for as many; false after an error, which is raised. */
bool ag__member_read(ag__archive *a, const ag__member *m, ag_dtype dtype, void *to);

#endif
