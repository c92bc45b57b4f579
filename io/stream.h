/* stream -- a part of a file from its beginning to its end, unpacked on the way if it is packed */
#ifndef AG_STREAM_H
#define AG_STREAM_H

#include "io/input.h"

typedef enum ag__packing { AG__STORED, AG__DEFLATED, AG__GZIPPED } ag__packing;

typedef struct ag__part { /* of a file */
    ag__packing packing;
    uint64_t at, bytes;
    bool has_crc;
    uint32_t crc; /* of the unpacked bytes */
} ag__part;

struct ag__inflater;

typedef struct ag__stream {
    ag__input *in;
    ag__part rest; /* not read yet */
    uint32_t crc;  /* of the bytes read so far */
    struct ag__inflater *inflater;
} ag__stream;

/* The most bytes that a part can unpack to: no more is allocated. */
uint64_t ag__part_most(const ag__part *part);

bool ag__stream_open(ag__stream *s, ag__input *in, const ag__part *part);
bool ag__stream_read(ag__stream *s, void *to, size_t bytes); /* exactly; false after an error */
bool ag__stream_skip(ag__stream *s, uint64_t bytes);
bool ag__stream_end(ag__stream *s);   /* false, after an error, if bytes are left or the checksum is wrong */
void ag__stream_close(ag__stream *s); /* also after an error, and if it could not be opened */

#endif
