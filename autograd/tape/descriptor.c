/* descriptor -- see descriptor.h
 *
 * A C library's streams give up at a signal, and the GNU one's lose what they were about to write: so these have their
 * own read and write, where the C library allows that. */
#if defined __unix__ || defined __APPLE__
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#endif
#include "autograd/tape/descriptor.h"

#if defined __unix__ || defined __APPLE__

int ag__open(const char *path, int flags, unsigned mode) {
    int d;
    do d = open(path, flags, (mode_t)mode);
    while (ag__interrupted(d));
    return d;
}

bool ag__sync_descriptor(int descriptor) {
    int result;
    do result = fsync(descriptor);
    while (ag__interrupted(result));
    return result == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS;
}

bool ag__cut_file(int descriptor, long long size) {
    int result;
    do result = ftruncate(descriptor, (off_t)size);
    while (ag__interrupted(result));
    return result == 0;
}

/* An interrupted close is not repeated: on most systems the descriptor is free by then, perhaps another thread's. */
void ag__close_descriptor(int descriptor) {
    const int former = errno;
    close(descriptor);
    errno = former;
}

bool ag__sync_folder(const char *path) {
    enum { ROOM = 4096 };
    char folder[ROOM];
    const char *slash = strrchr(path, '/');
    const size_t n = slash ? (size_t)(slash - path) + 1 : 0;
    if (n >= ROOM) return errno = ENAMETOOLONG, false;
    memcpy(folder, path, n);
    strcpy(folder + n, n ? "" : ".");
    const int d = ag__open(folder, O_RDONLY | O_CLOEXEC, 0);
    if (d < 0) return errno == EACCES;
    const bool good = ag__sync_descriptor(d);
    ag__close_descriptor(d);
    return good;
}

#if defined __linux__ && !defined __ANDROID__

static int number_of(const void *cookie) { return (int)(intptr_t)cookie; }

static ssize_t read_some(void *cookie, char *to, size_t bytes) {
    ssize_t n;
    do n = read(number_of(cookie), to, bytes);
    while (n < 0 && errno == EINTR);
    return n;
}

/* An error is fewer bytes for the GNU library, which allows no negative number; for others it is only that number, and
 * a stream of musl's forgets at fewer bytes what it had to write, without an error. */
#if defined __GLIBC__ && !defined __UCLIBC__
static ssize_t failed_after(size_t done) { return (ssize_t)done; }
#else
static ssize_t failed_after(size_t done) { return (void)done, -1; }
#endif

static ssize_t write_all(void *cookie, const char *from, size_t bytes) {
    size_t done = 0;
    while (done < bytes) {
        const ssize_t n = write(number_of(cookie), from + done, bytes - done);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = EIO;
        if (n <= 0) return failed_after(done);
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int seek(void *cookie, off64_t *offset, int whence) {
    const off_t at = lseek(number_of(cookie), (off_t)*offset, whence);
    if (at >= 0) *offset = at;
    return at < 0 ? -1 : 0;
}

static int close_once(void *cookie) {
    const int result = close(number_of(cookie));
    return ag__interrupted(result) ? 0 : result;
}

static FILE *stream(int descriptor, const char *mode) {
    return fopencookie((void *)(intptr_t)descriptor, mode,
                       (cookie_io_functions_t){read_some, write_all, seek, close_once});
}

#else

static FILE *stream(int descriptor, const char *mode) { return fdopen(descriptor, mode); }

#endif

FILE *ag__stream_in(int descriptor) { return stream(descriptor, "r"); }
FILE *ag__stream_out(int descriptor) { return stream(descriptor, "w"); }

#else
typedef int ag__descriptor_unused; /* a file must declare something */
#endif
