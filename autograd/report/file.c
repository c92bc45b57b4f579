/* file -- writing a file so that it is there whole or not at all
 *
 * It is written beside its target, flushed to the disk, and then renamed. What is no file (a device, a pipe, a link) is
 * written to in place, and stays what it is. */
#if defined __unix__ || defined __APPLE__
#define _POSIX_C_SOURCE 200809L
#include <sys/stat.h>
#include <unistd.h>
#define HAVE_FSYNC 1
#endif
#include "autograd/report/file.h"
#include "autograd/tape/format.h"

#include <errno.h>
#include <string.h>

typedef struct target {
    ag_tape *tape;
    const char *call, *path;
} target;

static bool file_error(const target *t, const char *what, int number) {
    ag__fail_on(t->tape, t->call, AG_ERR_FILE, "%s: %s: %s", t->path, what, strerror(number));
    return false;
}

/* A file beside the target that was not there before. */
static FILE *open_beside(const char *path, char *name, size_t room) {
    FILE *f = NULL;
    for (int i = 0; i < 1000 && !f; i++) {
        ag__format(name, room, "%s.%d.tmp", path, i);
        f = fopen(name, "wx");
        if (!f && errno != EEXIST) break;
    }
    return f;
}

/* Whether the path names something that must not be replaced by a file: a device, a pipe, or a link. */
static bool is_special(const char *path) {
#ifdef HAVE_FSYNC
    struct stat s;
    return lstat(path, &s) == 0 && !S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode);
#else
    (void)path;
    return false;
#endif
}

static int flush_to_disk(FILE *f) {
    if (ferror(f) || fflush(f) != 0) return errno ? errno : EIO;
#ifdef HAVE_FSYNC
    if (fsync(fileno(f)) != 0 && errno != EINVAL && errno != ENOTSUP)
        return errno; /* some files cannot be synchronised */
#endif
    return 0;
}

static bool replace(const char *from, const char *to) {
#ifdef _WIN32
    remove(to);
#endif
    return rename(from, to) == 0;
}

static bool write_beside(const target *t, char *name, size_t room, ag__writer *write, void *context) {
    bool special = is_special(t->path);
    errno = 0;
    FILE *f = special ? fopen(t->path, "w") : open_beside(t->path, name, room);
    if (!f) return file_error(t, "cannot be created", errno);
    errno = 0;
    write(f, context);
    int wrong = flush_to_disk(f);
    if (fclose(f) != 0 && !wrong) wrong = errno ? errno : EIO;
    const char *what = "cannot be written";
    if (!wrong && t->tape->status == AG_OK) {
        if (special || replace(name, t->path)) return true;
        wrong = errno;
        what = "cannot be replaced";
    }
    if (!special) remove(name);
    return t->tape->status == AG_OK ? file_error(t, what, wrong) : false;
}

bool ag__write_file(ag_tape *tape, const char *name, const char *path, ag__writer *write, void *context) {
    target t = {tape, name, path};
    size_t room = strlen(path) + 16;
    char *beside = ag__resize(tape, NULL, 0, room);
    if (!beside) {
        ag__fail_on(tape, name, AG_ERR_MEMORY, "no memory for a name of %zu bytes", room);
        return false;
    }
    bool good = write_beside(&t, beside, room, write, context);
    ag__resize(tape, beside, room, 0);
    return good;
}
