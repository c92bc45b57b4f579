/* file -- writing a file whole or not at all
 *
 * The content goes to a temporary file beside the target, with the mode of the file that it replaces. The temporary
 * file is synced and renamed to the target, and then the folder is synced. Until the rename any failure removes the
 * temporary file and leaves the target unchanged. A symbolic link stays: its target is replaced. A device, a pipe or
 * a descriptor that is open already (/dev/stdout) cannot be replaced and is written through. */
#if defined __unix__ || defined __APPLE__
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#define POSIX 1
#endif
#include "autograd/tape/descriptor.h"
#include "autograd/tape/file.h"
#include "autograd/tape/format.h"

#include <errno.h>
#include <string.h>

enum { ROOM = 4096, TEMPORARIES = 1000, LONGEST_NAME = 200 };

bool ag__ends_in(const char *path, const char *end) {
    size_t n = strlen(path), m = strlen(end);
    return n >= m && strcmp(path + n - m, end) == 0;
}

typedef struct output {
    ag_tape *tape;
    const char *call, *path; /* as given by the caller: for errors */
    FILE *file;
    int descriptor;                                 /* of it, where there are such */
    bool through;                                   /* there is no temporary file */
    char target[ROOM], temporary[ROOM], link[ROOM]; /* `path` without links; beside it; scratch */
} output;

static bool file_error(const output *o, const char *problem, int number) {
    ag__fail_on(o->tape, o->call, AG_ERR_FILE, "%.400s: %s: %s", o->path, problem, strerror(number ? number : EIO));
    return false;
}

static size_t folder_length(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* The name of the temporary file number i. Its last part is short enough for any file system. */
static bool name_temporary(output *o, int i) {
    size_t folder = folder_length(o->target);
    int n =
        ag__format(o->temporary, ROOM, "%.*s%.*s.%d.tmp", (int)folder, o->target, LONGEST_NAME, o->target + folder, i);
    if (n < ROOM) return true;
    errno = ENAMETOOLONG;
    return false;
}

#ifdef POSIX

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The open descriptor of a name like /dev/fd/1 or /proc/self/fd/1; -1 for any other name. */
static int descriptor_of(const char *name) {
    size_t folder = folder_length(name);
    if (folder < 4 || memcmp(name + folder - 4, "/fd/", 4) != 0) return -1;
    int d = 0;
    const char *c = name + folder;
    for (; *c >= '0' && *c <= '9' && d < 1000000; c++) d = d * 10 + (*c - '0');
    struct stat opened, named;
    bool is_open = c > name + folder && *c == 0 && fstat(d, &opened) == 0 && stat(name, &named) == 0;
    return is_open && same_file(&opened, &named) ? d : -1;
}

/* If the target is a link, replace it by the link's target. */
static bool follow(output *o) {
    ssize_t n = readlink(o->target, o->link, ROOM);
    if (n < 0) return false;
    size_t folder = n > 0 && o->link[0] == '/' ? 0 : folder_length(o->target);
    if (folder + (size_t)n >= ROOM) return errno = ENAMETOOLONG, false;
    memcpy(o->target + folder, o->link, (size_t)n);
    o->target[folder + (size_t)n] = 0;
    return true;
}

/* Find the target; *descriptor is set if it is an open one, else to -1. False, with errno set, if a link cannot be
 * followed. */
static bool resolve(output *o, int *descriptor) {
    enum { MOST_LINKS = 40 };
    if (!*o->path) return errno = ENOENT, false;
    if (strlen(o->path) >= ROOM) return errno = ENAMETOOLONG, false;
    strcpy(o->target, o->path);
    for (int links = 0; links < MOST_LINKS; links++) {
        struct stat s;
        *descriptor = descriptor_of(o->target);
        if (*descriptor >= 0) return true;
        if (lstat(o->target, &s) != 0) return errno == ENOENT;
        if (!S_ISLNK(s.st_mode)) return true;
        if (!follow(o)) return false;
    }
    errno = ELOOP;
    return false;
}

/* A pipe without reader cannot be opened: wait for the reader, but not forever. */
static int open_pipe(const char *path) {
    enum { TRIES = 100 };
    const struct timespec moment = {.tv_nsec = 10000000};
    int d = ag__open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0);
    for (int i = 1; i < TRIES && d < 0 && errno == ENXIO; i++) {
        nanosleep(&moment, NULL);
        d = ag__open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0);
    }
    int flags = d < 0 ? -1 : fcntl(d, F_GETFL);
    if (flags >= 0) fcntl(d, F_SETFL, flags & ~O_NONBLOCK);
    return d;
}

static bool give(int d, uid_t user, gid_t group) {
    int result;
    do result = fchown(d, user, group);
    while (ag__interrupted(result));
    return result == 0;
}

static bool set_mode(int d, mode_t mode) {
    int result;
    do result = fchmod(d, mode);
    while (ag__interrupted(result));
    return result == 0;
}

/* The owner too, if that is allowed; if not, without the bits that act in the owner's name. */
static bool take_mode(int d, const struct stat *former) {
    struct stat s;
    mode_t bits = 07777;
    if (fstat(d, &s) != 0) return false;
    bool same_owner = s.st_uid == former->st_uid && s.st_gid == former->st_gid;
    if (!same_owner && !give(d, former->st_uid, former->st_gid)) bits = 0777;
    mode_t mode = former->st_mode & bits;
    return (s.st_mode & 07777) == mode || set_mode(d, mode);
}

/* `former`: the file that will be replaced, or NULL. */
static int open_beside(output *o, const struct stat *former) {
    int d = -1;
    for (int i = 0; i < TEMPORARIES && d < 0; i++) {
        if (!name_temporary(o, i)) return -1;
        d = ag__open(o->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, former ? 0600 : 0666);
        if (d < 0 && errno != EEXIST) return -1;
    }
    if (d < 0 || !former || take_mode(d, former)) return d;
    int wrong = errno;
    ag__close_descriptor(d);
    unlink(o->temporary);
    errno = wrong;
    return -1;
}

/* A link of /proc may lead to a file other than the one it names. That is asked again, for between two looks at a file
 * others may replace it. */
static bool leads_elsewhere(const output *o) {
    enum { LOOKS = 64 };
    bool same = strcmp(o->path, o->target) == 0;
    for (int i = 0; i < LOOKS && !same; i++) {
        struct stat named, target;
        same = stat(o->path, &named) == 0 && lstat(o->target, &target) == 0 && same_file(&named, &target);
    }
    return !same;
}

/* The descriptor to write to; -1, with errno set. */
static int open_descriptor(output *o) {
    int descriptor;
    struct stat named;
    if (!resolve(o, &descriptor)) return -1;
    o->through = descriptor >= 0;
    if (o->through) return fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (stat(o->path, &named) != 0) return errno == ENOENT ? open_beside(o, NULL) : -1;
    if (S_ISDIR(named.st_mode)) return errno = EISDIR, -1;
    o->through = !S_ISREG(named.st_mode) || leads_elsewhere(o);
    if (S_ISFIFO(named.st_mode)) return open_pipe(o->path);
    if (o->through) return ag__open(o->path, O_WRONLY | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0);
    return faccessat(AT_FDCWD, o->target, W_OK, AT_EACCESS) == 0 ? open_beside(o, &named) : -1;
}

static bool open_output(output *o) {
    int d = open_descriptor(o);
    if (d < 0) return false;
    o->file = ag__stream_out(d);
    o->descriptor = d;
    if (o->file) return true;
    int wrong = errno;
    ag__close_descriptor(d);
    if (!o->through) unlink(o->temporary);
    errno = wrong;
    return false;
}

static bool sync_file(const output *o) { return ag__sync_descriptor(o->descriptor); }

static bool sync_folder(const output *o) { return ag__sync_folder(o->target); }

static bool replace(const output *o) { return rename(o->temporary, o->target) == 0; }

/* Signals that end the process: the reader of a pipe has gone, the file is larger than the limit. They are blocked
 * in this thread meanwhile, and the failed write is reported. */
ag__held ag__hold_signals(void) {
    ag__held h;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigaddset(&set, SIGXFSZ);
    sigpending(&h.before);
    pthread_sigmask(SIG_BLOCK, &set, &h.former);
    return h;
}

void ag__release_signals(const ag__held *h) {
    const int numbers[] = {SIGPIPE, SIGXFSZ};
    for (int i = 0; i < 2; i++) {
        sigset_t now, one;
        int got;
        sigpending(&now);
        sigemptyset(&one);
        sigaddset(&one, numbers[i]);
        if (sigismember(&now, numbers[i]) && !sigismember(&h->before, numbers[i])) sigwait(&one, &got);
    }
    pthread_sigmask(SIG_SETMASK, &h->former, NULL);
}

#else

static bool open_output(output *o) {
    if (strlen(o->path) >= ROOM) return errno = ENAMETOOLONG, false;
    strcpy(o->target, o->path);
    for (int i = 0; i < TEMPORARIES && !o->file; i++) {
        if (!name_temporary(o, i)) return false;
        o->file = fopen(o->temporary, "wbx");
        if (!o->file && errno != EEXIST) return false;
    }
    return o->file;
}

static bool sync_file(const output *o) { return (void)o, true; }
static bool sync_folder(const output *o) { return (void)o, true; }

/* C does not promise that rename replaces an existing file. */
static bool replace(const output *o) {
    if (rename(o->temporary, o->target) == 0) return true;
    remove(o->target);
    return rename(o->temporary, o->target) == 0;
}

ag__held ag__hold_signals(void) { return 0; }
void ag__release_signals(const ag__held *h) { (void)h; }

#endif

/* False, with errno set, unless the whole content has reached the disk. */
static bool finish(const output *o) {
    bool good = !ferror(o->file) && fflush(o->file) == 0 && sync_file(o);
    int wrong = errno;
    bool closed = fclose(o->file) == 0;
    if (!good) errno = wrong;
    return good && closed;
}

static bool put_content(output *o, ag__file_content *fill, void *context) {
    ag__held h = ag__hold_signals();
    errno = 0;
    fill(o->file, context);
    bool written = finish(o);
    int wrong = errno;
    ag__release_signals(&h);
    if (o->tape->status != AG_OK) return false;
    return written ? true : file_error(o, "cannot be written", wrong);
}

static bool write_output(output *o, ag__file_content *fill, void *context) {
    errno = 0;
    if (!open_output(o)) return file_error(o, "cannot be created", errno);
    bool written = put_content(o, fill, context);
    if (o->through) return written;
    bool replaced = written && replace(o);
    if (written && !replaced) file_error(o, "cannot be replaced", errno);
    if (!replaced) return remove(o->temporary), false;
    return sync_folder(o) || file_error(o, "is written, but its folder cannot be synced", errno);
}

bool ag__write_file(ag_tape *tape, const char *name, const char *path, ag__file_content *fill, void *context) {
    output *o = ag__resize(tape, NULL, 0, sizeof *o);
    if (!o) {
        ag__fail_on(tape, name, AG_ERR_MEMORY, "out of memory (%zu bytes, for file names)", sizeof *o);
        return false;
    }
    *o = (output){.tape = tape, .call = name, .path = path};
    bool good = write_output(o, fill, context);
    ag__resize(tape, o, sizeof *o, 0);
    return good;
}
