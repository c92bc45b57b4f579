/* members -- the tensors of a file as its headers say them, checked */
#ifndef AG_MEMBERS_H
#define AG_MEMBERS_H

#include "io/elements.h"

typedef struct ag__member {
    const char *name; /* "": the format has no names */
    ag__part part;
    uint64_t skip; /* its bytes, unpacked, before the elements */
    ag_shape shape;
    int64_t size; /* elements */
    ag__element element;
    bool fortran; /* the first axis moves fastest */
} ag__member;

typedef struct ag__archive {
    ag__input in;
    char *text; /* memory of the names */
    size_t text_bytes;
    ag__member *member;       /* in the order of the file */
    const ag__member **order; /* the same by name */
    uint32_t count, room;
} ag__archive;

/* Append a member, all zero; NULL after an error. */
ag__member *ag__archive_add(ag__archive *a);

/* Memory for the text with names, allocated once; it lasts as long as the archive. */
char *ag__archive_text(ag__archive *a, uint64_t bytes);

/* Whether a member's shape is valid (its `size` is then set), its elements take exactly `bytes`, unpacked and
 * without the skipped ones, and its part can unpack to that. If not, an error. */
bool ag__member_shape_valid(const ag__archive *a, ag__member *m);
bool ag__member_has(const ag__archive *a, const ag__member *m, uint64_t bytes);
bool ag__member_fits(const ag__archive *a, const ag__member *m);

#endif
