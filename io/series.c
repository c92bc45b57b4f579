/* series -- files that are numbered in the order in which they were written
 *
 * The folder is read to find them, and a name counts only if it is, byte for byte, the one that its number has.
 * Nothing else is ever removed but what ag__write_file leaves beside such a name if it is killed. */
#if defined __unix__ || defined __APPLE__
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <unistd.h>
#define POSIX 1
#endif
#include "autograd/tape/format.h"
#include "autograd/tape/op.h"
#include "io/series.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char ending[] = ".safetensors", temporary[] = ".tmp";

enum { LONGEST_STEM = 150, MOST_DIGITS = 18 }; /* a name that every file system takes; a number within int64_t */

static bool wrong(const ag__series *s, const char *path, const char *problem) {
    ag__fail_on(s->tape, s->call, AG_ERR_FILE, "%.300s: %s", path, problem);
    return false;
}

/* ---- Names ---- */

/* The name in the folder: the stem's last part, a point unless that is empty, and the number. */
static int put_name(const ag__series *s, char *to, size_t room, int64_t number) {
    int length = (int)(s->stem - s->folder);
    return ag__format(to, room, "%.*s%s%06lld%s", length, s->path + s->folder, length ? "." : "", (long long)number,
                      ending);
}

const char *ag__series_path(const ag__series *s, char to[AG__PATH], int64_t number) {
    memcpy(to, s->path, s->folder);
    put_name(s, to + s->folder, AG__PATH - s->folder, number);
    return to;
}

/* The number that this name has in the series, and what follows it; 0: it is not one of them. */
static int64_t number_in(const ag__series *s, const char *name, const char **rest) {
    size_t length = s->stem - s->folder;
    char own[LONGEST_STEM + 64];
    if (strncmp(name, s->path + s->folder, length) != 0) return 0;
    const char *digits = name + length + (length && name[length] == '.');
    if (length && digits == name + length) return 0;
    int64_t number = 0;
    for (const char *c = digits; *c >= '0' && *c <= '9'; c++) {
        if (c - digits >= MOST_DIGITS) return 0;
        number = number * 10 + (*c - '0');
    }
    size_t n = (size_t)put_name(s, own, sizeof own, number);
    if (strncmp(name, own, n) != 0) return 0;
    *rest = name + n;
    return number;
}

/* ".3.tmp" */
static bool is_temporary(const char *rest) {
    if (*rest != '.' || rest[1] < '0' || rest[1] > '9') return false;
    for (rest++; *rest >= '0' && *rest <= '9';) rest++;
    return strcmp(rest, temporary) == 0;
}

static bool take_path(ag__series *s) {
    const char *slash = strrchr(s->path, '/');
    size_t n = strlen(s->path), m = sizeof ending - 1;
    const char *problem = NULL;
    s->folder = slash ? (size_t)(slash - s->path) + 1 : 0;
    s->stem = n > m && strcmp(s->path + n - m, ending) == 0 ? n - m : n;
    if (s->stem < s->folder) s->stem = s->folder;
    if (n == 0) problem = "the path is empty";
    else if (s->stem - s->folder > LONGEST_STEM) problem = "the last part of the path has more than 150 bytes";
    else if (n + 64 > AG__PATH) problem = "the path is too long";
    if (problem) ag__fail_on(s->tape, s->call, AG_ERR_RANGE, "%s", problem);
    return !problem;
}

/* ---- The folder ---- */

#ifdef POSIX

typedef DIR folder;

static folder *open_folder(const ag__series *s, char room[AG__PATH]) {
    memcpy(room, s->path, s->folder);
    strcpy(room + s->folder, s->folder ? "" : ".");
    return opendir(room);
}

/* The name of the next file; NULL at the end, and with errno set, after an error. */
static const char *next_name(folder *f) {
    errno = 0;
    struct dirent *entry = readdir(f);
    return entry ? entry->d_name : NULL;
}

static void close_folder(folder *f) { closedir(f); }

#else

typedef int folder;
static folder *open_folder(const ag__series *s, char room[AG__PATH]) {
    return (void)s, (void)room, errno = ENOSYS, NULL;
}
static const char *next_name(folder *f) { return (void)f, NULL; }
static void close_folder(folder *f) { (void)f; }

#endif

static bool add(ag__series *s, int64_t number) {
    if (s->count == s->room) {
        size_t room = s->room ? 2 * s->room : 16, bytes = s->room * sizeof *s->number;
        int64_t *all = ag__resize(s->tape, s->number, bytes, ag__times(room, sizeof *all));
        if (!all) {
            ag__fail_on(s->tape, s->call, AG_ERR_MEMORY, "out of memory (a list of files)");
            return false;
        }
        s->number = all;
        s->room = room;
    }
    s->number[s->count++] = number;
    return true;
}

static int ascending(const void *p, const void *q) {
    int64_t a = *(const int64_t *)p, b = *(const int64_t *)q;
    return a < b ? -1 : a > b;
}

bool ag__series_open(ag__series *s, ag_tape *tape, const char *call, const char *path) {
    char room[AG__PATH];
    *s = (ag__series){.tape = tape, .call = call, .path = path};
    if (!take_path(s)) return false;
    folder *f = open_folder(s, room);
    if (!f) return errno == ENOENT ? true : wrong(s, room, strerror(errno));
    bool good = true;
    const char *name, *rest;
    int64_t number;
    while (good && (name = next_name(f)) != NULL)
        if ((number = number_in(s, name, &rest)) > 0 && !*rest) good = add(s, number);
    if (good && errno) good = wrong(s, room, strerror(errno));
    close_folder(f);
    if (s->count) qsort(s->number, s->count, sizeof *s->number, ascending);
    return good;
}

void ag__series_close(ag__series *s) {
    if (s->number) ag__resize(s->tape, s->number, s->room * sizeof *s->number, 0);
    s->number = NULL;
}

/* ---- Removing ---- */

/* Also true if another process has removed it. */
static bool remove_file(const char *path) {
#ifdef POSIX
    return unlink(path) == 0 || errno == ENOENT;
#else
    return remove(path) == 0;
#endif
}

static bool remove_temporaries(const ag__series *s, int64_t newest) {
    char path[AG__PATH];
    folder *f = open_folder(s, path);
    if (!f) return wrong(s, path, strerror(errno));
    bool good = true;
    for (const char *name, *rest; good && (name = next_name(f)) != NULL;) {
        int64_t number = number_in(s, name, &rest);
        if (number <= 0 || number > newest || !is_temporary(rest)) continue;
        memcpy(path, s->path, s->folder);
        size_t n = strlen(name) + 1;
        if (n > AG__PATH - s->folder) continue;
        memcpy(path + s->folder, name, n);
        good = remove_file(path) || wrong(s, path, strerror(errno));
    }
    close_folder(f);
    return good;
}

bool ag__series_prune(const ag__series *s, int64_t newest, int keep) {
    char path[AG__PATH];
    size_t old = keep && s->count + 1 > (size_t)keep ? s->count + 1 - (size_t)keep : 0;
    for (size_t i = 0; i < old; i++)
        if (!remove_file(ag__series_path(s, path, s->number[i]))) return wrong(s, path, strerror(errno));
    return remove_temporaries(s, newest);
}
