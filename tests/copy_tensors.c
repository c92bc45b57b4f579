/* copy_tensors -- every tensor of a file into another: copy_tensors [--pack | --checkpoint] FROM TO
 *
 * For test_files.py, which compares both with other readers. A tensor without a name becomes "x". A checkpoint has the
 * tensors as variables, and two numbers. An error is printed. */
#include "io/io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void save_checkpoint(ag_tape *tape, const char *to, int n, ag_tensor *const x[]) {
    int64_t epoch = -7;
    double rate = 0.1;
    const ag_number numbers[] = {{.name = "epoch", .integer = &epoch}, {.name = "rate", .real = &rate}};
    for (int i = 0; i < n; i++) ag_label(ag_variable_from(x[i]), ag_label_of(x[i]));
    ag_tape_seed(tape, UINT64_MAX);
    ag_normal(tape, AG_F64, AG_SCALAR, 0, 1);
    ag_checkpoint_save(tape, to, 2, numbers, 1);
}

static int copy(ag_tape *tape, const char *from, const char *to, const char *option) {
    int n = ag_read_all(tape, from, NULL, 0, NULL);
    ag_tensor **x = calloc((size_t)n + 1, sizeof *x);
    if (!x) return 1;
    ag_read_all(tape, from, NULL, n, x);
    for (int i = 0; i < n; i++)
        if (*ag_label_of(x[i]) == 0) ag_label(x[i], "x");
    if (strcmp(option, "--checkpoint") == 0) save_checkpoint(tape, to, n, x);
    else ag_save(to, n, x, &(ag_save_options){.compress = strcmp(option, "--pack") == 0});
    free(x);
    if (ag_tape_status(tape) == AG_OK) return 0;
    printf("%s\n", ag_tape_error(tape));
    return 1;
}

int main(int argc, char **argv) {
    const char *option = argc == 4 ? argv[1] : "";
    if (argc != 3 && strcmp(option, "--pack") != 0 && strcmp(option, "--checkpoint") != 0) return 2;
    ag_tape *tape = ag_tape_new();
    int result = copy(tape, argv[argc - 2], argv[argc - 1], option);
    ag_tape_free(tape);
    return result;
}
