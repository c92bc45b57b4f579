/* input -- the bytes of a file that is not trusted */
#if defined __unix__ || defined __APPLE__
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define POSIX 1
#endif
#include "autograd/tape/descriptor.h"
#include "autograd/tape/format.h"
#include "autograd/tape/op.h"
#include "io/input.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

/* ---- Files ---- */

bool ag__input_wrong(const ag__input *in, const char *format, ...) {
    char text[240], tensor[AG__SHOWN];
    va_list args;
    va_start(args, format);
    ag__format_list(text, sizeof text, format, args);
    va_end(args);
    if (in->tensor)
        ag__fail_on(in->tape, in->call, AG_ERR_FILE, "%.250s: %s: %s", in->path, ag__shown(tensor, in->tensor), text);
    else ag__fail_on(in->tape, in->call, AG_ERR_FILE, "%.300s: %s", in->path, text);
    return false;
}

#ifdef POSIX

/* Only regular files: a pipe may have no writer, and a device has no size. */
static bool open_regular(ag__input *in) {
    struct stat s;
    int d = ag__open(in->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0);
    const bool known = d >= 0 && fstat(d, &s) == 0, regular = known && S_ISREG(s.st_mode);
    if (regular) in->file = ag__stream_in(d);
    if (d >= 0 && !in->file) ag__close_descriptor(d);
    if (known && !regular) return ag__input_wrong(in, "not a regular file");
    if (!in->file) return ag__input_wrong(in, "%s", strerror(errno));
    in->descriptor = d;
    in->size = (uint64_t)s.st_size;
    return true;
}

static bool seek(FILE *file, uint64_t at) { return at <= INT64_MAX && fseeko(file, (off_t)at, SEEK_SET) == 0; }

#else

static bool open_regular(ag__input *in) {
    in->file = fopen(in->path, "rb");
    if (!in->file) return ag__input_wrong(in, "%s", strerror(errno));
    long size = fseek(in->file, 0, SEEK_END) == 0 ? ftell(in->file) : -1;
    if (size < 0 || fseek(in->file, 0, SEEK_SET) != 0) return ag__input_wrong(in, "not a regular file");
    in->size = (uint64_t)size;
    return true;
}

static bool seek(FILE *file, uint64_t at) { return at <= LONG_MAX && fseek(file, (long)at, SEEK_SET) == 0; }

#endif

bool ag__input_open(ag__input *in, ag_tape *tape, const char *call, const char *path) {
    *in = (ag__input){.tape = tape, .call = call, .path = path};
    return open_regular(in);
}

void ag__input_close(ag__input *in) {
    if (in->file) fclose(in->file);
    in->file = NULL;
}

bool ag__input_read(ag__input *in, uint64_t at, void *to, size_t bytes) {
    if (at > in->size || bytes > in->size - at)
        return ag__input_wrong(in, "the file ends at byte %llu, within what is wanted from it",
                               (unsigned long long)in->size);
    if (bytes == 0) return true;
    if (at != in->at && !seek(in->file, at)) return ag__input_wrong(in, "%s", strerror(errno));
    errno = 0;
    size_t got = fread(to, 1, bytes, in->file);
    in->at = at + got;
    if (got == bytes) return true;
    return ag__input_wrong(in, "%s", ferror(in->file) ? strerror(errno) : "the file is shrinking while it is read");
}

/* ---- Mapping ---- */

#ifdef POSIX

/* Pages that are mapped. They may outlast the tape, so what is allocated for them does not go through it. */
typedef struct mapping {
    ag_allocator allocator;
    void *first;
    size_t bytes;
} mapping;

static void unmap(void *context) {
    mapping *m = context;
    ag_allocator a = m->allocator;
    munmap(m->first, m->bytes);
    a.resize(a.ctx, m, sizeof *m, 0);
}

const void *ag__input_map(const ag__input *in, uint64_t at, uint64_t bytes, ag__owner *owner) {
    long page = sysconf(_SC_PAGESIZE);
    uint64_t before = page > 0 ? at % (uint64_t)page : 0;
    if (page <= 0 || bytes == 0 || at > in->size || bytes > in->size - at || before + bytes > PTRDIFF_MAX) return NULL;
    mapping *m = ag__allocate_apart(in->tape, sizeof *m);
    if (!m) return NULL;
    *m = (mapping){in->tape->allocator, NULL, (size_t)(before + bytes)};
    m->first = mmap(NULL, m->bytes, PROT_READ, MAP_PRIVATE, in->descriptor, (off_t)(at - before));
    if (m->first == MAP_FAILED) {
        m->allocator.resize(m->allocator.ctx, m, sizeof *m, 0);
        return NULL;
    }
    *owner = (ag__owner){unmap, m};
    return (const char *)m->first + before;
}

#else

const void *ag__input_map(const ag__input *in, uint64_t at, uint64_t bytes, ag__owner *owner) {
    (void)in, (void)at, (void)bytes, (void)owner;
    return NULL;
}

#endif

void *ag__input_memory(const ag__input *in, uint64_t bytes) {
    void *p = bytes <= PTRDIFF_MAX ? ag__resize(in->tape, NULL, 0, bytes ? (size_t)bytes : 1) : NULL;
    if (!p)
        ag__fail_on(in->tape, in->call, AG_ERR_MEMORY, "%.300s: out of memory (%llu bytes)", in->path,
                    (unsigned long long)bytes);
    return p;
}

uint64_t ag__little(const unsigned char *p, int bytes) {
    uint64_t n = 0;
    for (int i = bytes - 1; i >= 0; i--) n = n << 8 | p[i];
    return n;
}

uint64_t ag__big(const unsigned char *p, int bytes) {
    uint64_t n = 0;
    for (int i = 0; i < bytes; i++) n = n << 8 | p[i];
    return n;
}
