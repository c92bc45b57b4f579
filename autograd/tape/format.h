/* format -- numbers as text and back, as C writes them, whatever the locale: no other file does either; and shapes
 *
 * Arguments and results are those of the standard functions that are named behind them. */
#ifndef AG_FORMAT_H
#define AG_FORMAT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __GNUC__
#define AG__LIKE_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define AG__LIKE_PRINTF(text, first)
#endif

int ag__format(char *to, size_t room, const char *format, ...) AG__LIKE_PRINTF(3, 4);               /* snprintf */
int ag__format_list(char *to, size_t room, const char *format, va_list args) AG__LIKE_PRINTF(3, 0); /* vsnprintf */
int ag__print(FILE *file, const char *format, ...) AG__LIKE_PRINTF(2, 3);                           /* fprintf */
double ag__parse_f64(const char *text);                                                             /* strtod */
float ag__parse_f32(const char *text); /* strtof: rounded once */

/* The extents of a shape, or indices, between the caller's brackets: "2,3". Returns `to`. */
enum { AG__EXTENTS = 176 };
const char *ag__format_extents(char to[AG__EXTENTS], int rank, const int64_t *extent);

#endif
