/* plot -- line plots as SVG files, for the examples */
#ifndef EXAMPLES_PLOT_H
#define EXAMPLES_PLOT_H

#include <stdbool.h>

/* One line: n points (x[i], y[i]); what is not finite interrupts it. */
typedef struct plot_line {
    const char *name;
    int n;
    const double *x;
    const double *y;
} plot_line;

/* One pair of axes. The range of y is that of the lines, unless low < high. */
typedef struct plot_panel {
    const char *title;
    const char *x_label;
    const char *y_unit; /* follows the numbers beside the y axis; NULL is none */
    double low, high;
    bool logarithmic; /* y in decades; then every y is to be over 0 */
    int lines;
    const plot_line *line;
} plot_panel;

/* Write the panels side by side. False, with errno set, if the file cannot be written. */
bool plot_write(const char *path, const char *title, int panels, const plot_panel panel[]);

#endif
