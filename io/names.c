/* names -- what the tensors that are saved or loaded are called in the file */
#include "io/names.h"
#include "autograd/tape/format.h"
#include "autograd/tape/op.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *p, const void *q) {
    return strcmp(**(const char **const *)p, **(const char **const *)q);
}

/* "number 3 [train.c:12]", counted from 0. */
static const char *described(char to[120], int number, const ag_tensor *x) {
    int line = 0;
    const char *file = ag_place_of(x, &line);
    if (*file) ag__format(to, 120, "number %d [%.80s:%d]", number, file, line);
    else ag__format(to, 120, "number %d", number);
    return to;
}

static bool wrong(const ag__names *l, const char *call, ag_status status, const char *text) {
    ag__fail_on(l->tape, call, status, "%s", text);
    return false;
}

static bool valid(const ag__names *l, const char *call, ag_tensor *const x[]) {
    char which[120], text[240];
    for (int i = 0; i < l->n; i++) {
        const char *fault = ag__name_fault(l->name[i], strlen(l->name[i]));
        if (!fault) continue;
        ag__format(text, sizeof text, *l->name[i] ? "the name of %s has %s" : "%s has no name: ag_label gives it one",
                   described(which, i, x[i]), fault);
        return wrong(l, call, AG_ERR_RANGE, text);
    }
    return true;
}

static bool different(const ag__names *l, const char *call, ag_tensor *const x[]) {
    char one[120], other[120], name[AG__SHOWN], text[400];
    for (int i = 1; i < l->n; i++) {
        const char **a = l->sorted[i - 1], **b = l->sorted[i];
        if (strcmp(*a, *b) != 0) continue;
        int first = (int)((a < b ? a : b) - l->name), second = (int)((a < b ? b : a) - l->name);
        ag__format(text, sizeof text, "%s and %s have one name, %s", described(one, first, x[first]),
                   described(other, second, x[second]), ag__shown(name, *a));
        return wrong(l, call, AG_ERR_RANGE, text);
    }
    return true;
}

bool ag__names_take(ag__names *l, ag_tape *tape, const char *call, int n, ag_tensor *const x[],
                    const char *const given[]) {
    *l = (ag__names){.tape = tape, .n = n};
    l->name = ag__resize(l->tape, NULL, 0, ag__times((uint64_t)n, sizeof *l->name));
    l->sorted = ag__resize(l->tape, NULL, 0, ag__times((uint64_t)n, sizeof *l->sorted));
    if (!l->name || !l->sorted) return wrong(l, call, AG_ERR_MEMORY, "out of memory (a list of names)");
    for (int i = 0; i < n; i++) {
        l->name[i] = given && given[i] ? given[i] : ag_label_of(x[i]);
        l->sorted[i] = &l->name[i];
    }
    if (!valid(l, call, x)) return false;
    qsort(l->sorted, (size_t)n, sizeof *l->sorted, by_name);
    return different(l, call, x);
}

void ag__names_release(ag__names *l) {
    if (l->name) ag__resize(l->tape, l->name, (size_t)l->n * sizeof *l->name, 0);
    if (l->sorted) ag__resize(l->tape, l->sorted, (size_t)l->n * sizeof *l->sorted, 0);
    l->name = NULL;
    l->sorted = NULL;
}

bool ag__names_have(const ag__names *l, const char *name) {
    const char **key = &name;
    return bsearch(&key, l->sorted, (size_t)l->n, sizeof *l->sorted, by_name) != NULL;
}
