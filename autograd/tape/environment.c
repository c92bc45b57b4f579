/* environment -- the variables of the environment, found in one pass */
#define _GNU_SOURCE
#include "autograd/tape/environment.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <unistd.h>
#endif

static const char *const name[AG__VARIABLES] = {
    "AG_CHECK", "AG_COMPILE", "AG_EVAL", "AG_ISA", "AG_KERNELS", "AG_THREADS", "OMP_NUM_THREADS",
};

#ifdef __linux__
/* The first of several with one name counts, as for getenv. */
static void note(ag__environment *e, const char *text) {
    for (int i = 0; i < AG__VARIABLES; i++) {
        const size_t length = strlen(name[i]);
        if (!e->value[i] && strncmp(text, name[i], length) == 0 && text[length] == '=') e->value[i] = text + length + 1;
    }
}

ag__environment ag__environment_now(void) {
    ag__environment e = {{NULL}};
    for (char **text = environ; text && *text; text++)
        if ((**text == 'A' && (*text)[1] == 'G') || (**text == 'O' && (*text)[1] == 'M')) note(&e, *text);
    return e;
}
#else
ag__environment ag__environment_now(void) {
    ag__environment e;
    for (int i = 0; i < AG__VARIABLES; i++) e.value[i] = getenv(name[i]);
    return e;
}
#endif
