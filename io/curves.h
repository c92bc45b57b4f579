/* curves -- curves of a training run as a picture, and as a line of text */
#ifndef AG_CURVES_H
#define AG_CURVES_H

#include "autograd/types.h"

/* A picture is SVG: a title for screen readers, axes with ticks, a legend, no scripts, and nothing from elsewhere. It
 * follows the reader's choice of light or dark, and scales with its place. A curve of any number of points takes only
 * as much as can be seen: in each column of the picture the first, the last, the lowest and the highest. Points that
 * are not finite, or not above 0 on a logarithmic axis, interrupt a curve. */

/* ag_curve -- n points; x = NULL: 0, 1, 2, … */
typedef struct ag_curve {
    const char *name;
    int64_t n;
    const double *x, *y;
} ag_curve;

/* ag_curves_options -- all zero, or NULL: no words, linear axes, 720 by 360 */
typedef struct ag_curves_options {
    const char *title, *x_label, *y_label; /* NULL: none */
    bool logarithmic_x, logarithmic_y;
    int width, height; /* 200 to 10000; 0: as above */
} ag_curves_options;

/* ag_curves_svg -- the picture as text, which is the tape's and lasts until a rewind past it; "" after an error
 * Errors: AG_ERR_RANGE for n < 1 or more than 100 curves, fewer than 0 points, other sizes; AG_ERR_NULL for a curve's
 *         name or values; AG_ERR_MEMORY */
AG_API const char *ag_curves_svg(ag_tape *tape, int n, const ag_curve curve[], const ag_curves_options *options);

/* ag_curves_write -- the picture as a file, written as by ag_write_dot
 * Errors: as ag_curves_svg; AG_ERR_FILE */
AG_API ag_status ag_curves_write(ag_tape *tape, const char *path, int n, const ag_curve curve[],
                                 const ag_curves_options *options);

/* ag_sparkline -- values as blocks of eight heights in UTF-8, ▁▂▃▄▅▆▇█, from the least to the greatest
 * More values than `columns` are drawn as means of as many neighbours; a blank stands for values that are all NaN or
 * infinite. The text is the tape's, as that of ag_curves_svg.
 * Errors: AG_ERR_RANGE for n < 0 and columns < 1; AG_ERR_NULL, AG_ERR_MEMORY */
AG_API const char *ag_sparkline(ag_tape *tape, int64_t n, const double y[], int columns);

#endif
