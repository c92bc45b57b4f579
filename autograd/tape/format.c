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
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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

enum { DIGITS = sizeof "9223372036854775808" - 1 };

/* The digits of a number, which may be negative; returns their end. */
static char *put_digits(char *end, bool minus, uint64_t left) {
    char digit[DIGITS + 1];
    int n = 0;
    do digit[n++] = (char)('0' + left % 10);
    while ((left /= 10) != 0);
    if (minus) *end++ = '-';
    while (n > 0) *end++ = digit[--n];
    return end;
}

static char *put_whole(char *end, int64_t n) { return put_digits(end, n < 0, n < 0 ? -(uint64_t)n : (uint64_t)n); }

static size_t put(char *to, size_t room, size_t used, const char *s, size_t n) {
    const size_t left = used < room ? room - used : 0;
    if (left) memcpy(to + used, s, n < left ? n : left);
    return used + n;
}

static int format_by_c(char *to, size_t room, const char *format, va_list args) {
    locale_change change = begin_plain();
    int n = vsnprintf(to, room, format, args);
    end_plain(change);
    return n;
}

/* Programs that try what fits make many errors, which hold text and whole numbers: these, which no locale changes, are
 * written here. From anything else on, the C library writes the rest: its code is large, and slow to begin. */
int ag__format_list(char *to, size_t room, const char *format, va_list args) {
    size_t used = 0;
    for (;;) {
        const char *at = strchr(format, '%'), *s;
        char digits[DIGITS + 2], *end = digits;
        used = put(to, room, used, format, at ? (size_t)(at - format) : strlen(format));
        if (!at) break;
        if (at[1] == 's') {
            s = va_arg(args, const char *);
            if (!s) s = "(null)";
            used = put(to, room, used, s, strlen(s)), format = at + 2;
            continue;
        }
        if (at[1] == 'd') end = put_whole(end, va_arg(args, int)), format = at + 2;
        else if (strncmp(at, "%zu", 3) == 0) end = put_digits(end, false, va_arg(args, size_t)), format = at + 3;
        else if (strncmp(at, "%lld", 4) == 0) end = put_whole(end, va_arg(args, long long)), format = at + 4;
        else {
            const size_t left = used < room ? room - used : 0;
            const int n = format_by_c(left ? to + used : NULL, left, at, args);
            if (n < 0) return n;
            used += (size_t)n;
            break;
        }
        used = put(to, room, used, digits, (size_t)(end - digits));
    }
    if (room) to[used < room ? used : room - 1] = 0;
    return used < INT_MAX ? (int)used : INT_MAX;
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

const char *ag__format_extents(char to[AG__EXTENTS], int rank, const int64_t *extent) {
    static_assert(AG__EXTENTS > AG_MAX_RANK * (DIGITS + sizeof "-," - 1), "room for any shape");
    char *end = to;
    for (int i = 0; i < rank; i++) {
        if (i > 0) *end++ = ',';
        end = put_whole(end, extent[i]);
    }
    *end = 0;
    return to;
}
