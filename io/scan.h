/* scan -- walking along the text of a header, never past its end */
#ifndef AG_SCAN_H
#define AG_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct ag__scan {
    char *at, *end;
} ag__scan;

static inline void ag__scan_blanks(ag__scan *s) {
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r')) s->at++;
}

/* Skip blanks, and c if it is next; whether it was. */
static inline bool ag__scan_is(ag__scan *s, char c) {
    ag__scan_blanks(s);
    if (s->at == s->end || *s->at != c) return false;
    s->at++;
    return true;
}

static inline bool ag__scan_word(ag__scan *s, const char *word) {
    size_t n = strlen(word);
    ag__scan_blanks(s);
    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0) return false;
    s->at += n;
    return true;
}

/* A decimal number below 2^63, without sign and leading zeros. */
static inline bool ag__scan_count(ag__scan *s, int64_t *n) {
    ag__scan_blanks(s);
    const char *first = s->at;
    for (*n = 0; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) {
        int digit = *s->at - '0';
        if (*n > (INT64_MAX - digit) / 10) return false;
        *n = *n * 10 + digit;
    }
    return s->at > first && (*first != '0' || s->at == first + 1);
}

#endif
