/* calls -- the calls by which the library works on files: counted, refused, noted
 *
 * For programs that are linked so that the functions __wrap_… take the place of the system's (see meson.build). They
 * pass everything on, except in the thread and in the time between calls_begin and calls_end. */
#ifndef TESTS_CALLS_H
#define TESTS_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum call_kind {
    CALL_OPEN,
    CALL_READ,
    CALL_WRITE,
    CALL_SYNC,
    CALL_CUT,
    CALL_MODE,
    CALL_OWNER,
    CALL_CLOSE,
    CALL_STAT, /* of a name or a descriptor */
    CALL_ACCESS,
    CALL_LINK, /* where one leads to */
    CALL_COPY, /* of a descriptor */
    CALL_RENAME,
    CALL_REMOVE,
    CALL_FOLDER, /* opened, read */
    CALL_MAP,    /* memory mapped, or protected */
    CALL_STREAM, /* made of a descriptor */
    CALL_KINDS
} call_kind;

enum { CALLS_ALL = (1 << CALL_KINDS) - 1 };
/* Those that a signal may interrupt, and those of which each does only a part of what is asked. */
enum {
    CALLS_SLOW = 1 << CALL_OPEN | 1 << CALL_READ | 1 << CALL_WRITE | 1 << CALL_SYNC | 1 << CALL_CUT | 1 << CALL_MODE |
                 1 << CALL_OWNER | 1 << CALL_CLOSE
};

typedef struct call_faults {
    int kinds;           /* that count, and may fail: bits */
    int64_t first, last; /* those that fail, from 1 on; 0: none */
    int error;           /* errno then */
    size_t most;         /* bytes that are read or written at once; 0: all */
    bool note;           /* what is changed, for power.h */
} call_faults;

void calls_begin(const call_faults *faults);
/* The number of calls of those kinds; *failed: the kind of the last that has failed, CALL_KINDS: none has. */
int64_t calls_end(call_kind *failed);

const char *call_name(call_kind kind);

/* ---- Notes ---- */

typedef enum note_kind {
    NOTE_MADE,
    NOTE_WRITTEN,
    NOTE_SYNCED,
    NOTE_FOLDER_SYNCED,
    NOTE_RENAMED,
    NOTE_REMOVED
} note_kind;

/* One change. Names are the last parts of paths; `file` is the number by which the file system knows the file. */
typedef struct note {
    note_kind kind;
    uint64_t file;
    char name[300], to[300];
    unsigned char *bytes;
    size_t n;
} note;

/* The changes between calls_begin and calls_end; they last until they are noted anew. */
const note *calls_noted(int *n);

#endif
