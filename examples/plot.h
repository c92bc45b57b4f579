/* plot -- line plots and maps as SVG files, for the examples */
#ifndef EXAMPLES_PLOT_H
#define EXAMPLES_PLOT_H

#include <stdbool.h>

/* One line: n points (x[i], y[i]); a point that is not finite interrupts it. */
typedef struct plot_line {
    const char *name;
    int n;
    const double *x;
    const double *y;
} plot_line;

/* A function of two variables, and points of two kinds: values between 0 and 1 on a grid, the first row and column
 * at the low ends; drawn in colours, with a line where they cross ½. */
typedef struct plot_map {
    double x_low, x_high, y_low, y_high;
    int rows, columns;
    const double *value; /* rows × columns */
    int points;
    const double *x, *y;
    const bool *kind;
} plot_map;

/* One pair of axes, with a map or with lines. The range of y is that of the lines, unless low < high. */
typedef struct plot_panel {
    const char *title;
    const char *x_label;
    const char *y_unit; /* follows the numbers beside the y axis; NULL: none */
    double low, high;
    bool logarithmic;   /* y in decades; then every y must be over 0 */
    bool logarithmic_x; /* the same for x */
    int lines;
    const plot_line *line;
    const plot_map *map; /* NULL: lines */
} plot_panel;

/* Write the panels side by side. False, with errno set, if the file cannot be written. */
bool plot_write(const char *path, const char *title, int panels, const plot_panel panel[]);

#endif
