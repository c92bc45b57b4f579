/* calls -- see calls.h
 *
 * A refused call does nothing, except that a descriptor is closed all the same, as Linux does it. Both names are taken
 * that a function has for large files; this is for systems where the two are the same. */
#define _GNU_SOURCE
#include "tests/calls.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static _Thread_local const call_faults *faults; /* NULL: everything is passed on */
static _Thread_local int64_t count;
static _Thread_local call_kind failed;

enum { MOST_NOTES = 512 };
static note notes[MOST_NOTES];
static int noted;

const char *call_name(call_kind kind) {
    static const char *const name[] = {"open",   "read",   "write",  "sync",   "cut",   "mode",
                                       "owner",  "close",  "stat",   "access", "link",  "copy",
                                       "rename", "remove", "folder", "map",    "stream"};
    return kind < CALL_KINDS ? name[kind] : "none";
}

static void forget_notes(void) {
    for (int i = 0; i < noted; i++) free(notes[i].bytes);
    noted = 0;
}

void calls_begin(const call_faults *f) {
    count = 0;
    failed = CALL_KINDS;
    if (f->note) forget_notes();
    faults = f;
}

int64_t calls_end(call_kind *which) {
    faults = NULL;
    if (which) *which = failed;
    return count;
}

const note *calls_noted(int *n) { return *n = noted, notes; }

/* Whether this call fails. */
static bool refused(call_kind kind) {
    if (!faults || !(faults->kinds >> kind & 1)) return false;
    count++;
    if (count < faults->first || count > faults->last) return false;
    failed = kind;
    errno = faults->error;
    return true;
}

static size_t at_once(size_t bytes) { return faults && faults->most && faults->most < bytes ? faults->most : bytes; }

/* ---- Notes ---- */

int __real_fstat(int d, struct stat *s);
int __real_lstat(const char *path, struct stat *s);

static void note_change(note_kind kind, int descriptor, const char *name, const char *to) {
    const int former = errno;
    struct stat s = {0};
    if (!faults || !faults->note) return;
    ck_assert_int_lt(noted, MOST_NOTES);
    if (descriptor >= 0) __real_fstat(descriptor, &s);
    note *n = &notes[noted++];
    *n = (note){.kind = kind == NOTE_SYNCED && S_ISDIR(s.st_mode) ? NOTE_FOLDER_SYNCED : kind, .file = s.st_ino};
    if (name) snprintf(n->name, sizeof n->name, "%s", strrchr(name, '/') ? strrchr(name, '/') + 1 : name);
    if (to) snprintf(n->to, sizeof n->to, "%s", strrchr(to, '/') ? strrchr(to, '/') + 1 : to);
    errno = former;
}

static void note_bytes(int descriptor, const void *bytes, size_t n) {
    if (!faults || !faults->note) return;
    note_change(NOTE_WRITTEN, descriptor, NULL, NULL);
    note *last = &notes[noted - 1];
    last->bytes = malloc(n + 1);
    ck_assert_ptr_nonnull(last->bytes);
    memcpy(last->bytes, bytes, n);
    last->n = n;
}

/* ---- Descriptors ---- */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

static int open_file(const char *path, int flags, mode_t mode) {
    struct stat s;
    if (refused(CALL_OPEN)) return -1;
    const bool made = (flags & O_CREAT) && __real_lstat(path, &s) != 0;
    const int d = __real_open(path, flags, mode);
    if (d >= 0 && made) note_change(NOTE_MADE, d, path, NULL);
    return d;
}

static mode_t mode_in(int flags, va_list rest) { return flags & O_CREAT ? (mode_t)va_arg(rest, unsigned) : 0; }

int __wrap_open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = mode_in(flags, rest);
    va_end(rest);
    return open_file(path, flags, mode);
}

int __wrap_open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = mode_in(flags, rest);
    va_end(rest);
    return open_file(path, flags, mode);
}

ssize_t __real_read(int d, void *to, size_t bytes);
ssize_t __wrap_read(int d, void *to, size_t bytes);
ssize_t __wrap_read(int d, void *to, size_t bytes) {
    return refused(CALL_READ) ? -1 : __real_read(d, to, at_once(bytes));
}

ssize_t __real_write(int d, const void *from, size_t bytes);
ssize_t __wrap_write(int d, const void *from, size_t bytes);
ssize_t __wrap_write(int d, const void *from, size_t bytes) {
    if (refused(CALL_WRITE)) return -1;
    const ssize_t n = __real_write(d, from, at_once(bytes));
    if (n > 0) note_bytes(d, from, (size_t)n);
    return n;
}

int __real_fsync(int d);
int __wrap_fsync(int d);
int __wrap_fsync(int d) {
    if (refused(CALL_SYNC)) return -1;
    const int result = __real_fsync(d);
    if (result == 0) note_change(NOTE_SYNCED, d, NULL, NULL);
    return result;
}

int __real_ftruncate(int d, off_t size);
int __wrap_ftruncate(int d, off_t size);
int __wrap_ftruncate64(int d, off_t size);
int __wrap_ftruncate(int d, off_t size) { return refused(CALL_CUT) ? -1 : __real_ftruncate(d, size); }
int __wrap_ftruncate64(int d, off_t size) { return __wrap_ftruncate(d, size); }

int __real_fchmod(int d, mode_t mode);
int __wrap_fchmod(int d, mode_t mode);
int __wrap_fchmod(int d, mode_t mode) { return refused(CALL_MODE) ? -1 : __real_fchmod(d, mode); }

int __real_fchown(int d, uid_t user, gid_t group);
int __wrap_fchown(int d, uid_t user, gid_t group);
int __wrap_fchown(int d, uid_t user, gid_t group) { return refused(CALL_OWNER) ? -1 : __real_fchown(d, user, group); }

int __real_close(int d);
int __wrap_close(int d);
int __wrap_close(int d) {
    const int result = __real_close(d);
    return refused(CALL_CLOSE) ? -1 : result;
}

int __real_dup(int d);
int __wrap_dup(int d);
int __wrap_dup(int d) { return refused(CALL_COPY) ? -1 : __real_dup(d); }

int __real_fcntl(int d, int command, ...);
int __wrap_fcntl(int d, int command, ...);
int __wrap_fcntl64(int d, int command, ...);

static int copy_or_set(int d, int command, long argument) {
    return command == F_DUPFD_CLOEXEC && refused(CALL_COPY) ? -1 : __real_fcntl(d, command, argument);
}

int __wrap_fcntl(int d, int command, ...) {
    va_list rest;
    va_start(rest, command);
    const long argument = va_arg(rest, long);
    va_end(rest);
    return copy_or_set(d, command, argument);
}

int __wrap_fcntl64(int d, int command, ...) {
    va_list rest;
    va_start(rest, command);
    const long argument = va_arg(rest, long);
    va_end(rest);
    return copy_or_set(d, command, argument);
}

FILE *__real_fdopen(int d, const char *mode);
FILE *__wrap_fdopen(int d, const char *mode);
FILE *__wrap_fdopen(int d, const char *mode) { return refused(CALL_STREAM) ? NULL : __real_fdopen(d, mode); }

FILE *__real_fopencookie(void *cookie, const char *mode, cookie_io_functions_t functions);
FILE *__wrap_fopencookie(void *cookie, const char *mode, cookie_io_functions_t functions);
FILE *__wrap_fopencookie(void *cookie, const char *mode, cookie_io_functions_t functions) {
    return refused(CALL_STREAM) ? NULL : __real_fopencookie(cookie, mode, functions);
}

void *__real_mmap(void *at, size_t bytes, int protection, int flags, int d, off_t offset);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int d, off_t offset);
void *__wrap_mmap64(void *at, size_t bytes, int protection, int flags, int d, off_t offset);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int d, off_t offset) {
    return refused(CALL_MAP) ? MAP_FAILED : __real_mmap(at, bytes, protection, flags, d, offset);
}
void *__wrap_mmap64(void *at, size_t bytes, int protection, int flags, int d, off_t offset) {
    return __wrap_mmap(at, bytes, protection, flags, d, offset);
}

int __real_mprotect(void *at, size_t bytes, int protection);
int __wrap_mprotect(void *at, size_t bytes, int protection);
int __wrap_mprotect(void *at, size_t bytes, int protection) {
    return refused(CALL_MAP) ? -1 : __real_mprotect(at, bytes, protection);
}

/* ---- Names ---- */

int __real_stat(const char *path, struct stat *s);
int __wrap_stat(const char *path, struct stat *s);
int __wrap_stat64(const char *path, struct stat *s);
int __wrap_stat(const char *path, struct stat *s) { return refused(CALL_STAT) ? -1 : __real_stat(path, s); }
int __wrap_stat64(const char *path, struct stat *s) { return __wrap_stat(path, s); }

int __wrap_lstat(const char *path, struct stat *s);
int __wrap_lstat64(const char *path, struct stat *s);
int __wrap_lstat(const char *path, struct stat *s) { return refused(CALL_STAT) ? -1 : __real_lstat(path, s); }
int __wrap_lstat64(const char *path, struct stat *s) { return __wrap_lstat(path, s); }

int __wrap_fstat(int d, struct stat *s);
int __wrap_fstat64(int d, struct stat *s);
int __wrap_fstat(int d, struct stat *s) { return refused(CALL_STAT) ? -1 : __real_fstat(d, s); }
int __wrap_fstat64(int d, struct stat *s) { return __wrap_fstat(d, s); }

int __real_faccessat(int d, const char *path, int mode, int flags);
int __wrap_faccessat(int d, const char *path, int mode, int flags);
int __wrap_faccessat(int d, const char *path, int mode, int flags) {
    return refused(CALL_ACCESS) ? -1 : __real_faccessat(d, path, mode, flags);
}

ssize_t __real_readlink(const char *path, char *to, size_t bytes);
ssize_t __wrap_readlink(const char *path, char *to, size_t bytes);
ssize_t __wrap_readlink(const char *path, char *to, size_t bytes) {
    return refused(CALL_LINK) ? -1 : __real_readlink(path, to, bytes);
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to) {
    if (refused(CALL_RENAME)) return -1;
    const int result = __real_rename(from, to);
    if (result == 0) note_change(NOTE_RENAMED, -1, from, to);
    return result;
}

int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __wrap_unlink(const char *path) {
    if (refused(CALL_REMOVE)) return -1;
    const int result = __real_unlink(path);
    if (result == 0) note_change(NOTE_REMOVED, -1, path, NULL);
    return result;
}

int __real_remove(const char *path);
int __wrap_remove(const char *path);
int __wrap_remove(const char *path) {
    if (refused(CALL_REMOVE)) return -1;
    const int result = __real_remove(path);
    if (result == 0) note_change(NOTE_REMOVED, -1, path, NULL);
    return result;
}

DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
DIR *__wrap_opendir(const char *path) { return refused(CALL_FOLDER) ? NULL : __real_opendir(path); }

struct dirent *__real_readdir(DIR *folder);
struct dirent *__wrap_readdir(DIR *folder);
struct dirent *__wrap_readdir64(DIR *folder);
struct dirent *__wrap_readdir(DIR *folder) {
    return refused(CALL_FOLDER) ? NULL : __real_readdir(folder);
}
struct dirent *__wrap_readdir64(DIR *folder) {
    return __wrap_readdir(folder);
}
