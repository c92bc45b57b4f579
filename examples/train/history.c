/* history -- the readings of each epoch: columns by name, rows by epoch; and back from a log */
#include "examples/train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void add_column(history *h, const char *name) {
    h->name = memory(h->name, (size_t)h->columns + 1, sizeof *h->name);
    h->name[h->columns++] = copied(name);
}

void forget_history(history *h) {
    for (int k = 0; k < h->columns; k++) free(h->name[k]);
    free(h->name);
    free(h->value);
}

void add_epoch(history *h, const double value[]) {
    if (h->epochs == h->room) {
        h->room = 2 * h->room + 50;
        h->value = memory(h->value, (size_t)(h->room * h->columns), sizeof *h->value);
    }
    memcpy(h->value + h->epochs++ * h->columns, value, (size_t)h->columns * sizeof *value);
}

/* The number behind "name": in a record; NaN if there is none. */
static double reading_of(const char *line, const char *name) {
    text key = {0};
    put(&key, "\"%s\":", name);
    const char *found = strstr(line, key.bytes);
    double value = found ? strtod(found + key.used, NULL) : (double)NAN; /* another one than a number gives 0 */
    if (found && found[key.used] == '"') value = NAN;
    free(key.bytes);
    return value;
}

bool read_history(history *h, const char *path, int64_t epochs) {
    size_t bytes;
    char *all = read_file(path, &bytes);
    if (!all) return false;
    double *value = memory(NULL, (size_t)h->columns, sizeof *value);
    for (char *line = strtok(all, "\n"); line && h->epochs < epochs; line = strtok(NULL, "\n")) {
        for (int k = 0; k < h->columns; k++) value[k] = reading_of(line, k == 0 ? "step" : h->name[k]);
        add_epoch(h, value);
    }
    free(value);
    free(all);
    return true;
}
