/* deflate -- packing and unpacking, and the checksum of zip files */
#include "io/deflate.h"
#include "autograd/tape/op.h"

#include <string.h>

#if AG_HAVE_ZLIB
#include <zlib.h>

enum { PIECE = AG__LIMIT(1 << 14, 32), RAW = -15, GZIP = 15 + 16 };

/* zlib's memory is the tape's. */
static void *take(void *tape, unsigned n, unsigned bytes) { return ag__allocate_sized(tape, ag__times(n, bytes)); }
static void give_back(void *tape, void *p) { ag__free_sized(tape, p); }

uint32_t ag__crc32(uint32_t crc, const void *data, size_t bytes) { return (uint32_t)crc32_z(crc, data, bytes); }

/* ---- Unpacking ---- */

struct ag__inflater {
    z_stream z;
    bool ended;
    unsigned char packed[PIECE];
};

bool ag__inflater_new(ag__stream *s) {
    struct ag__inflater *i = ag__input_memory(s->in, sizeof *i);
    if (!i) return false;
    i->z = (z_stream){.zalloc = take, .zfree = give_back, .opaque = s->in->tape};
    i->ended = false;
    if (inflateInit2(&i->z, s->rest.packing == AG__GZIPPED ? GZIP : RAW) != Z_OK) {
        ag__resize(s->in->tape, i, sizeof *i, 0);
        ag__fail_on(s->in->tape, s->in->call, AG_ERR_MEMORY, "%.300s: out of memory (to unpack it)", s->in->path);
        return false;
    }
    s->inflater = i;
    return true;
}

void ag__inflater_free(ag__stream *s) {
    inflateEnd(&s->inflater->z);
    ag__resize(s->in->tape, s->inflater, sizeof *s->inflater, 0);
    s->inflater = NULL;
}

static bool refill(ag__stream *s) {
    struct ag__inflater *i = s->inflater;
    size_t n = s->rest.bytes < PIECE ? (size_t)s->rest.bytes : PIECE;
    if (n == 0) return ag__input_wrong(s->in, "its packed bytes end too early");
    if (!ag__input_read(s->in, s->rest.at, i->packed, n)) return false;
    s->rest.at += n;
    s->rest.bytes -= n;
    i->z.next_in = i->packed;
    i->z.avail_in = (unsigned)n;
    return true;
}

/* One call: it consumes or produces bytes, or ends the stream, or raises an error. zlib needs no input for output
 * that it still holds, so it gets new bytes only when it cannot proceed without. */
static bool step(ag__stream *s) {
    struct ag__inflater *i = s->inflater;
    int result = inflate(&i->z, Z_NO_FLUSH);
    if (result == Z_BUF_ERROR && i->z.avail_in == 0) return refill(s);
    if (result == Z_MEM_ERROR)
        ag__fail_on(s->in->tape, s->in->call, AG_ERR_MEMORY, "%.300s: out of memory (to unpack it)", s->in->path);
    else if (result != Z_OK && result != Z_STREAM_END)
        ag__input_wrong(s->in, "its packed bytes are damaged%s%s", i->z.msg ? ": " : "", i->z.msg ? i->z.msg : "");
    i->ended = result == Z_STREAM_END;
    return s->in->tape->status == AG_OK;
}

bool ag__inflate(ag__stream *s, void *to, size_t bytes) {
    z_stream *z = &s->inflater->z;
    enum { MOST = 1 << 30 };
    for (size_t done = 0; done < bytes; done = (size_t)((char *)z->next_out - (char *)to)) {
        if (s->inflater->ended) return ag__input_wrong(s->in, "there are fewer bytes in it than its header says");
        z->next_out = (unsigned char *)to + done;
        z->avail_out = bytes - done < MOST ? (unsigned)(bytes - done) : MOST;
        if (!step(s)) return false;
    }
    return true;
}

bool ag__inflate_end(ag__stream *s) {
    struct ag__inflater *i = s->inflater;
    unsigned char more;
    i->z.next_out = &more;
    i->z.avail_out = 1;
    while (!i->ended && i->z.avail_out == 1)
        if (!step(s)) return false;
    return i->ended && i->z.avail_out == 1 && i->z.avail_in == 0 && s->rest.bytes == 0;
}

/* ---- Packing ---- */

struct ag__deflater {
    z_stream z;
    ag_tape *tape;
    unsigned char packed[PIECE];
};

struct ag__deflater *ag__deflater_new(ag_tape *tape, const char *call) {
    struct ag__deflater *d = ag__resize(tape, NULL, 0, sizeof *d);
    if (d) {
        d->z = (z_stream){.zalloc = take, .zfree = give_back, .opaque = tape};
        d->tape = tape;
        enum { MOST_MEMORY = 8 }; /* zlib's default */
        if (deflateInit2(&d->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, RAW, MOST_MEMORY, Z_DEFAULT_STRATEGY) == Z_OK)
            return d;
        ag__resize(tape, d, sizeof *d, 0);
    }
    ag__fail_on(tape, call, AG_ERR_MEMORY, "out of memory (to pack the file)");
    return NULL;
}

uint64_t ag__deflate(struct ag__deflater *d, FILE *file, const void *data, size_t bytes, bool last) {
    uint64_t written = 0;
    d->z.next_in = (unsigned char *)(uintptr_t)data;
    d->z.avail_in = (unsigned)bytes;
    do {
        d->z.next_out = d->packed;
        d->z.avail_out = PIECE;
        deflate(&d->z, last ? Z_FINISH : Z_NO_FLUSH);
        written += fwrite(d->packed, 1, PIECE - d->z.avail_out, file);
    } while (d->z.avail_out == 0);
    if (last) deflateReset(&d->z);
    return written;
}

void ag__deflater_free(struct ag__deflater *d) {
    if (!d) return;
    deflateEnd(&d->z);
    ag__resize(d->tape, d, sizeof *d, 0);
}

#else

/* Four bits at a time: a table of sixteen. */
uint32_t ag__crc32(uint32_t crc, const void *data, size_t bytes) {
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    const unsigned char *p = data;
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

bool ag__inflater_new(ag__stream *s) {
    return ag__input_wrong(s->in, "it is packed, and this library was built without zlib");
}

void ag__inflater_free(ag__stream *s) { (void)s; }

bool ag__inflate(ag__stream *s, void *to, size_t bytes) {
    (void)s, (void)to, (void)bytes;
    return false;
}

bool ag__inflate_end(ag__stream *s) {
    (void)s;
    return false;
}

struct ag__deflater *ag__deflater_new(ag_tape *tape, const char *call) {
    ag__fail_on(tape, call, AG_ERR_FILE, "this library was built without zlib: it cannot pack what it writes");
    return NULL;
}

uint64_t ag__deflate(struct ag__deflater *d, FILE *file, const void *data, size_t bytes, bool last) {
    (void)d, (void)file, (void)data, (void)bytes, (void)last;
    return 0;
}

void ag__deflater_free(struct ag__deflater *d) { (void)d; }

#endif
