/* deflate -- packing and unpacking, and the checksum of zip files; only deflate.c knows zlib
 *
 * Built without zlib, packed data is an error that says so. */
#ifndef AG_DEFLATE_H
#define AG_DEFLATE_H

#include "io/stream.h"

uint32_t ag__crc32(uint32_t crc, const void *data, size_t bytes); /* of the bytes so far and these; begins with 0 */

/* The packed side of a stream. */
bool ag__inflater_new(ag__stream *s);
void ag__inflater_free(ag__stream *s);
bool ag__inflate(ag__stream *s, void *to, size_t bytes);
bool ag__inflate_end(ag__stream *s); /* whether the stream is at its end, without bytes left */

/* Packing into a file. */
struct ag__deflater;
struct ag__deflater *ag__deflater_new(ag_tape *tape, const char *call); /* NULL after an error */
/* The next bytes; after them, if `last`, the end. Returns how many bytes went into the file, which may be in error. */
uint64_t ag__deflate(struct ag__deflater *d, FILE *file, const void *data, size_t bytes, bool last);
void ag__deflater_free(struct ag__deflater *d); /* NULL is ignored */

#endif
