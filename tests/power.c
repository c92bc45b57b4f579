/* power -- see power.h */
#define _XOPEN_SOURCE 700
#include "tests/power.h"
#include "tests/files.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_FILES = 64, MOST_OPEN = 12, MOST_NAME = 300 };

/* `kept` of the bytes are synced; all that has been written are `bytes`. */
typedef struct content {
    uint64_t number;
    unsigned char *bytes;
    size_t n, kept;
} content;

typedef struct entry {
    char name[MOST_NAME];
    int file; /* −1: removed */
} entry;

/* A change of names that may still be undone. */
typedef struct change {
    const note *note;
    int file;
} change;

static struct {
    content file[MOST_FILES], before[MOST_FILES];
    entry entry[MOST_FILES];
    int files, entries, files_before, entries_before;
    entry entry_before[MOST_FILES];
    change open[MOST_OPEN];
    int opened;
} disk;

static void copy_content(content *to, const content *from) {
    *to = *from;
    to->bytes = malloc(from->n + 1);
    ck_assert_ptr_nonnull(to->bytes);
    if (from->n) memcpy(to->bytes, from->bytes, from->n);
}

void power_begin(const char *folder) {
    char path[600];
    DIR *d = opendir(folder);
    ck_assert_ptr_nonnull(d);
    power_end();
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct stat s;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] == '.' || stat(path, &s) != 0 || !S_ISREG(s.st_mode)) continue;
        ck_assert_int_lt(disk.files_before, MOST_FILES);
        const int i = disk.files_before++;
        content *c = &disk.before[i];
        *c = (content){.number = s.st_ino};
        c->bytes = read_bytes(path, &c->n);
        c->kept = c->n;
        snprintf(disk.entry_before[i].name, MOST_NAME, "%s", e->d_name);
        disk.entry_before[i].file = i;
    }
    closedir(d);
    disk.entries_before = disk.files_before;
}

static void forget(content c[], int *n) {
    for (int i = 0; i < *n; i++) free(c[i].bytes);
    *n = 0;
}

void power_end(void) {
    forget(disk.before, &disk.files_before);
    forget(disk.file, &disk.files);
}

/* ---- Names ---- */

static entry *entry_of(entry list[], int *n, const char *name) {
    for (int i = 0; i < *n; i++)
        if (strcmp(list[i].name, name) == 0) return &list[i];
    ck_assert_int_lt(*n, MOST_FILES);
    entry *e = &list[(*n)++];
    snprintf(e->name, MOST_NAME, "%s", name);
    e->file = -1;
    return e;
}

/* A rename that survives alone has the file under its new name, whether or not its old one had come to be. */
static void apply(entry list[], int *n, const change *c) {
    const note *t = c->note;
    if (t->kind == NOTE_MADE) entry_of(list, n, t->name)->file = c->file;
    if (t->kind != NOTE_MADE) entry_of(list, n, t->name)->file = -1;
    if (t->kind == NOTE_RENAMED) entry_of(list, n, t->to)->file = c->file;
}

static void keep_names(void) {
    for (int i = 0; i < disk.opened; i++) apply(disk.entry, &disk.entries, &disk.open[i]);
    disk.opened = 0;
}

/* The file of this name, all open changes being made. */
static int file_now(const char *name) {
    entry now[MOST_FILES];
    int n = disk.entries;
    memcpy(now, disk.entry, sizeof now);
    for (int i = 0; i < disk.opened; i++) apply(now, &n, &disk.open[i]);
    return entry_of(now, &n, name)->file;
}

/* ---- The changes ---- */

static content *file_numbered(uint64_t number) {
    for (int i = disk.files - 1; i >= 0; i--)
        if (disk.file[i].number == number) return &disk.file[i];
    ck_abort_msg("a change of a file that was not seen to be made");
}

static void change_names(const note *t) {
    ck_assert_int_lt(disk.opened, MOST_OPEN);
    int file = t->kind == NOTE_MADE ? disk.files : file_now(t->name);
    if (t->kind == NOTE_MADE) {
        ck_assert_int_lt(disk.files, MOST_FILES);
        copy_content(&disk.file[disk.files++], &(content){.number = t->file});
    }
    disk.open[disk.opened++] = (change){t, file};
}

static void append(content *c, const note *t) {
    c->bytes = realloc(c->bytes, c->n + t->n + 1);
    ck_assert_ptr_nonnull(c->bytes);
    memcpy(c->bytes + c->n, t->bytes, t->n);
    c->n += t->n;
}

static void make_change(const note *t, power_fault fault) {
    if (t->kind == NOTE_WRITTEN) append(file_numbered(t->file), t);
    else if (t->kind == NOTE_FOLDER_SYNCED) fault == POWER_NO_FOLDER_SYNC ? (void)0 : keep_names();
    else if (t->kind != NOTE_SYNCED) change_names(t);
    else if (fault != POWER_NO_SYNC) file_numbered(t->file)->kept = file_numbered(t->file)->n;
}

static void replay(int changes, power_fault fault) {
    int n;
    const note *t = calls_noted(&n);
    ck_assert_int_le(changes, n);
    forget(disk.file, &disk.files);
    for (; disk.files < disk.files_before; disk.files++) copy_content(&disk.file[disk.files], &disk.before[disk.files]);
    memcpy(disk.entry, disk.entry_before, sizeof disk.entry);
    disk.entries = disk.entries_before;
    disk.opened = 0;
    for (int i = 0; i < changes; i++) make_change(&t[i], fault);
}

/* ---- The states ---- */

/* A file's bytes that were not synced: all there, half of them, zeros, or none. */
enum { WHOLE, HALF, ZEROS, NOTHING, VARIANTS };

static power_file variant(const content *c, int which, unsigned char **made) {
    power_file f = {.bytes = c->bytes, .n = c->n};
    if (which == HALF) f.n = c->kept + (c->n - c->kept) / 2;
    if (which == NOTHING) f.n = c->kept;
    if (which != ZEROS) return f;
    *made = calloc(1, c->n + 1);
    ck_assert_ptr_nonnull(*made);
    memcpy(*made, c->bytes, c->kept);
    f.bytes = *made;
    return f;
}

static void check_state(const entry list[], int n, int which, power_check *check, void *context) {
    power_file f[MOST_FILES];
    unsigned char *made[MOST_FILES] = {0};
    int there = 0;
    for (int i = 0; i < n; i++)
        if (list[i].file >= 0) {
            f[there] = variant(&disk.file[list[i].file], which, &made[there]);
            f[there++].name = list[i].name;
        }
    check(there, f, context);
    for (int i = 0; i < there; i++) free(made[i]);
}

/* Only one file is written at a time, so all files are of one variant. */
int64_t power_states(int changes, power_fault fault, power_check *check, void *context) {
    int64_t states = 0;
    replay(changes, fault);
    for (int made = 0; made < 1 << disk.opened; made++)
        for (int which = 0; which < VARIANTS; which++, states++) {
            entry list[MOST_FILES];
            int n = disk.entries;
            memcpy(list, disk.entry, sizeof list);
            for (int i = 0; i < disk.opened; i++)
                if (made >> i & 1) apply(list, &n, &disk.open[i]);
            check_state(list, n, which, check, context);
        }
    return states;
}
