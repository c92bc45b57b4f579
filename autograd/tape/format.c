/* format -- numbers as text and back, as C writes them, whatever the program's locale; and shapes
 *
 * The locale decides the decimal point. A program's own locale stays, on every thread: only the calling thread has
 * that of C, while a number is written or read. */
#if defined __unix__ && !defined __APPLE__
#define _POSIX_C_SOURCE 200809L
#endif
#include "autograd/tape/format.h"
#include "autograd/types.h"

#include <assert.h>
#include <stdlib.h>

#if defined __APPLE__
#include <xlocale.h>
#elif defined __unix__
#include <locale.h>
#endif

#if defined __unix__ || defined __APPLE__

typedef struct locale_change {
    locale_t plain, before;
} locale_change;

/* The C library has this locale ready: it takes no memory. */
static locale_change begin_plain(void) {
    locale_change change = {.plain = newlocale(LC_ALL_MASK, "C", (locale_t)0)};
    change.before = uselocale(change.plain);
    return change;
}

static void end_plain(locale_change change) {
    uselocale(change.before);
    if (change.plain) freelocale(change.plain);
}

#else

typedef int locale_change;

static locale_change begin_plain(void) { return 0; }
static void end_plain(locale_change change) { (void)change; }

#endif

int ag__format_list(char *to, size_t room, const char *format, va_list args) {
    locale_change change = begin_plain();
    int n = vsnprintf(to, room, format, args);
    end_plain(change);
    return n;
}

int ag__format(char *to, size_t room, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = ag__format_list(to, room, format, args);
    va_end(args);
    return n;
}

int ag__print(FILE *file, const char *format, ...) {
    va_list args;
    va_start(args, format);
    locale_change change = begin_plain();
    int n = vfprintf(file, format, args);
    end_plain(change);
    va_end(args);
    return n;
}

double ag__parse_f64(const char *text) {
    locale_change change = begin_plain();
    double x = strtod(text, NULL);
    end_plain(change);
    return x;
}

float ag__parse_f32(const char *text) {
    locale_change change = begin_plain();
    float x = strtof(text, NULL);
    end_plain(change);
    return x;
}

/* Errors name shapes, and programs that try what fits make many of them: so without the C library's formatting. */
const char *ag__format_extents(char to[AG__EXTENTS], int rank, const int64_t *extent) {
    enum { DIGITS = sizeof "9223372036854775808" - 1 };
    static_assert(AG__EXTENTS > AG_MAX_RANK * (DIGITS + sizeof "-," - 1), "room for any shape");
    char *end = to;
    for (int i = 0; i < rank; i++) {
        char digit[DIGITS];
        int n = 0;
        uint64_t left = extent[i] < 0 ? -(uint64_t)extent[i] : (uint64_t)extent[i];
        do digit[n++] = (char)('0' + left % 10);
        while ((left /= 10) != 0);
        if (i > 0) *end++ = ',';
        if (extent[i] < 0) *end++ = '-';
        while (n > 0) *end++ = digit[--n];
    }
    *end = 0;
    return to;
}
