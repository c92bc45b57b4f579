/* library -- optional libraries, loaded when something first needs them
 *
 * So a program starts as fast without them, links without naming them, and runs where they are not installed. */
#ifndef AG_LIBRARY_H
#define AG_LIBRARY_H

#include "autograd/tape/op.h"

typedef struct ag__symbol {
    const char *name;
    void *to; /* a pointer to a function, which is set */
} ag__symbol;

/* The names of files, of which the first that there is is taken, end with NULL. Only `state` changes. */
typedef struct ag__library {
    const char *const *files;
    const ag__symbol *symbols;
    int count;
    int state; /* 0: not tried yet; 1: loaded; −1: not there, or without one of the symbols */
} ag__library;

/* Whether the library is there, with all symbols. It stays loaded. From any thread. */
bool ag__is_loaded(ag__library *library);

#endif
