/* io/log.h: the readings of a run as CSV, and its curve */
#include <io/io.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_run_log log;
    double loss[20];
    ag_run_log_open(&log, tape, "run.csv", NULL);
    for (int step = 0; step < 20; step++) {
        loss[step] = 1.0 / (1 + step);
        ag_run_log_write(&log, step, 1, &(ag_reading){"loss", loss[step]});
    }
    ag_run_log_close(&log);
    ag_curve curve = {.name = "loss", .n = 20, .y = loss};
    ag_curves_write(tape, "loss.svg", 1, &curve, NULL);
    ag_tensor *read = ag_csv_read(tape, "run.csv", AG_F64, &(ag_csv_options){.header = true});
    printf("%d records, the last: %g %g\n", (int)ag_extent(read, 0), ag_element(read, 38), ag_element(read, 39));
    printf("%s%s\n", ag_sparkline(tape, 20, loss, 20), ag_tape_error(tape));
    ag_tape_free(tape);
}
/* It prints:
 * 20 records, the last: 19 0.05
 * █▄▃▂▂▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
 */
