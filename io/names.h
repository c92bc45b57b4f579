/* names -- what the tensors that are saved or loaded are called in the file */
#ifndef AG_NAMES_H
#define AG_NAMES_H

#include "io/input.h"

typedef struct ag__names {
    ag_tape *tape;
    int n;
    const char **name;
    const char ***sorted; /* their addresses in `name`, sorted */
} ag__names;

/* The given names, or else the labels. False, after an error, if one is invalid or two are equal. Release them in
 * any case. */
bool ag__names_take(ag__names *l, ag_tape *tape, const char *call, int n, ag_tensor *const x[],
                    const char *const given[]);
void ag__names_release(ag__names *l);

bool ag__names_have(const ag__names *l, const char *name);

#endif
