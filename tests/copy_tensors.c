/* copy_tensors -- every tensor of a file into another: copy_tensors [--pack] FROM TO
 *
 * For test_files.py, which compares both with other readers. A tensor without a name becomes "x". An error is printed. */
#include "io/io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int copy(ag_tape *tape, const char *from, const char *to, bool pack) {
    int n = ag_read_all(tape, from, NULL, 0, NULL);
    ag_tensor **x = calloc((size_t)n + 1, sizeof *x);
    if (!x) return 1;
    ag_read_all(tape, from, NULL, n, x);
    for (int i = 0; i < n; i++)
        if (*ag_label_of(x[i]) == 0) ag_label(x[i], "x");
    ag_save(to, n, x, &(ag_save_options){.compress = pack});
    free(x);
    if (ag_tape_status(tape) == AG_OK) return 0;
    printf("%s\n", ag_tape_error(tape));
    return 1;
}

int main(int argc, char **argv) {
    bool pack = argc > 1 && strcmp(argv[1], "--pack") == 0;
    if (argc != (pack ? 4 : 3)) return 2;
    ag_tape *tape = ag_tape_new();
    int result = copy(tape, argv[argc - 2], argv[argc - 1], pack);
    ag_tape_free(tape);
    return result;
}
