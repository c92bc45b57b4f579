/* descriptor -- files by their descriptors; a signal that is handled meanwhile interrupts none of these calls */
#ifndef AG_DESCRIPTOR_H
#define AG_DESCRIPTOR_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

/* Whether a call of the system with this result is to be repeated. */
static inline bool ag__interrupted(int result) { return result < 0 && errno == EINTR; }

#if defined __unix__ || defined __APPLE__

/* As open, fsync, ftruncate and close; closing keeps errno. Pipes, terminals and some file systems cannot sync, which
 * is no failure. */
int ag__open(const char *path, int flags, unsigned mode);
bool ag__sync_descriptor(int descriptor);
bool ag__cut_file(int descriptor, long long size);
void ag__close_descriptor(int descriptor);

/* Make the names in a path's folder survive a loss of power. A folder that may not be read cannot be synced, which is
 * no failure. */
bool ag__sync_folder(const char *path);

/* A stream that owns the descriptor: it only reads, or it only writes; fileno need not know it. NULL, with errno set
 * and the descriptor still open, if memory for the stream is lacking. */
FILE *ag__stream_in(int descriptor);
FILE *ag__stream_out(int descriptor);

#endif
#endif
