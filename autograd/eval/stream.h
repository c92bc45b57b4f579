/* stream -- copies whose result is written past the caches */
#ifndef AG_EVAL_STREAM_H
#define AG_EVAL_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the processor can. */
bool ag__can_copy_past(void);

/* Copy n bytes; whole lines of y are written past the caches. What is so many bytes behind x is read soon, too: a
 * processor looks ahead by itself to the end of a page only. */
void ag__copy_past(void *y, const void *x, size_t n, int64_t soon);

/* To be called by the same thread before others may read what it has copied. */
void ag__copied_past(void);

/* Ask for these bytes, which are read soon, but not next: into the second-level cache. */
void ag__ask_for(uintptr_t x, size_t bytes);

#endif
