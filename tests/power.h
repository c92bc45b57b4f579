/* power -- which files may be there after a loss of power, by the changes that were noted until then
 *
 * A file's bytes are safe once it was synced. Those written since may be there, all or half of them, or be zeros, or be
 * missing. Names that were made, renamed or removed since their folder was synced may be so or as before, each for itself:
 * that is less than most file systems promise. */
#ifndef TESTS_POWER_H
#define TESTS_POWER_H

#include "tests/calls.h"

typedef struct power_file {
    const char *name; /* the last part of its path */
    const unsigned char *bytes;
    size_t n;
} power_file;

/* The folder's present files are safe. */
void power_begin(const char *folder);

/* Calls `check` with every state of the folder that is possible if the power goes after the first `changes` of those
 * noted. Syncs of files, or of folders, have no effect if that is wanted: to see that the check notices. Returns the
 * number of states. */
typedef void power_check(int n, const power_file file[], void *context);
typedef enum power_fault { POWER_SYNCS, POWER_NO_SYNC, POWER_NO_FOLDER_SYNC } power_fault;
int64_t power_states(int changes, power_fault fault, power_check *check, void *context);

void power_end(void);

#endif
