/* show -- see show.h; four digits are printed, ten are compared */
#include "examples/show.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME = 16, COLUMN = 9 };

static bool all_good = true;

/* Columns are counted in characters: the continuation bytes of UTF-8 do not count. */
static void put_name(const char *name, int width) {
    for (const char *c = name; *c; c++) width -= (*c & 0xC0) != 0x80;
    printf("%s%*s", name, width > 0 ? width : 0, "");
}

void show_part(const char *title) {
    printf("\n== ");
    put_name(title, 60);
    printf("engine | by hand\n");
}

static void put_row(int64_t n, const double *row) {
    for (int64_t i = 0; i < n; i++) printf("%*.4f", COLUMN, fabs(row[i]) < 5e-5 ? 0 : row[i]); /* never −0 */
}

static bool agree(int64_t n, const double *a, const double *b) {
    double scale = 0, worst = 0;
    for (int64_t i = 0; i < n; i++) {
        scale = fmax(scale, fmax(fabs(a[i]), fabs(b[i])));
        worst = fmax(worst, fabs(a[i] - b[i]));
    }
    return worst <= 1e-10 * scale || worst < 1e-14; /* the latter for zeros with rounding errors */
}

bool show(const char *name, ag_tensor *x, const double *by_hand) {
    const double *found = ag_data(x);
    int64_t n = ag_size(x), columns = ag_rank(x) ? ag_extent(x, -1) : 1;
    bool good = found && agree(n, found, by_hand);
    all_good = all_good && good;
    for (int64_t i = 0; found && i < n; i += columns) {
        put_name(i ? "" : name, NAME);
        put_row(columns, found + i);
        printf(" |");
        put_row(columns, by_hand + i);
        printf("%s\n", i + columns < n ? "" : good ? "  agree" : "  DIFFER");
    }
    return good;
}

bool show_fact(bool holds, const char *sentence) {
    printf("%s: %s\n", sentence, holds ? "yes" : "NO");
    all_good = all_good && holds;
    return holds;
}

int show_result(const ag_tape *tape) {
    if (ag_tape_status(tape) != AG_OK) printf("%s\n", ag_tape_error(tape));
    return all_good && ag_tape_status(tape) == AG_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
