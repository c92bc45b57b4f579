/* io/progress.h: a line whenever something is to be said, as in a file */
#include <io/io.h>
#include <stdio.h>

int main(void) {
    FILE *nowhere = fopen("progress.txt", "w"); /* stderr for a bar on a terminal */
    ag_progress progress;
    ag_progress_begin(&progress, nowhere, 2000, NULL);
    for (int64_t step = 1; step <= 2000; step++)
        ag_progress_update(&progress, step, 1, &(ag_reading){"loss", 1 / (double)step});
    ag_progress_end(&progress);
    if (nowhere) fclose(nowhere);
    printf("%d of %d\n", (int)progress.done, (int)progress.total);
}
/* It prints:
 * 2000 of 2000
 */
