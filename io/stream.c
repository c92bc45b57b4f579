/* stream -- a part of a file from its beginning to its end, unpacked on the way if it is packed */
#include "io/stream.h"
#include "io/deflate.h"

/* DEFLATE writes at most 258 bytes for 2 bits. */
uint64_t ag__part_most(const ag__part *part) {
    enum { RATIO = 1032 };
    if (part->packing == AG__STORED) return part->bytes;
    return part->bytes > UINT64_MAX / RATIO ? UINT64_MAX : part->bytes * RATIO;
}

bool ag__stream_open(ag__stream *s, ag__input *in, const ag__part *part) {
    *s = (ag__stream){.in = in, .rest = *part};
    return part->packing == AG__STORED || ag__inflater_new(s);
}

static bool read_stored(ag__stream *s, void *to, size_t bytes) {
    if (bytes > s->rest.bytes) return ag__input_wrong(s->in, "there are fewer bytes in it than its header says");
    if (!ag__input_read(s->in, s->rest.at, to, bytes)) return false;
    s->rest.at += bytes;
    s->rest.bytes -= bytes;
    return true;
}

bool ag__stream_read(ag__stream *s, void *to, size_t bytes) {
    if (!(s->rest.packing == AG__STORED ? read_stored(s, to, bytes) : ag__inflate(s, to, bytes))) return false;
    if (s->rest.has_crc) s->crc = ag__crc32(s->crc, to, bytes);
    return true;
}

bool ag__stream_skip(ag__stream *s, uint64_t bytes) {
    unsigned char passed[512];
    for (size_t n; bytes > 0; bytes -= n) {
        n = bytes < sizeof passed ? (size_t)bytes : sizeof passed;
        if (!ag__stream_read(s, passed, n)) return false;
    }
    return true;
}

bool ag__stream_end(ag__stream *s) {
    bool ended = s->rest.packing == AG__STORED ? s->rest.bytes == 0 : ag__inflate_end(s);
    if (s->in->tape->status != AG_OK) return false;
    if (!ended) return ag__input_wrong(s->in, "there are more bytes in it than its header says");
    if (s->rest.has_crc && s->crc != s->rest.crc)
        return ag__input_wrong(s->in, "damaged: its checksum is %08lx, not %08lx", (unsigned long)s->crc,
                               (unsigned long)s->rest.crc);
    return true;
}

void ag__stream_close(ag__stream *s) {
    if (s->inflater) ag__inflater_free(s);
}
