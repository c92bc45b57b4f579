/* io/io.h, Tables as text: two columns of a CSV file, by name */
#include <io/io.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    FILE *file = fopen("birds.csv", "w");
    if (!file) return 1;
    fputs("name,length,weight\nwren,9.5,9\nheron,94,1500\n", file);
    fclose(file);
    const char *names[] = {"weight", "length"};
    ag_csv_options options = {.header = true, .n = 2, .names = names};
    ag_tensor *x = ag_csv_read(tape, "birds.csv", AG_F64, &options);
    show("rows of weight and length", x);
    ag_csv_write("out.csv", x, &options);
    ag_tape_free(tape);
}
/* It prints:
 * rows of weight and length: 9 9.5 1500 94
 */
