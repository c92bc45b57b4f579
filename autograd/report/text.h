/* text -- text that grows, whatever it is made of: numbers, shapes, and what comes from the user, made harmless */
#ifndef AG_TEXT_H
#define AG_TEXT_H

#include "autograd/tape/tape.h"

/* A text that grows; once memory has run out, nothing is added any more. */
typedef struct ag__text {
    ag_tape *tape;
    const char *lent; /* memory that it began with, if it is not its own; or NULL */
    char *bytes;
    size_t used, room;
    bool failed;
} ag__text;

/* How the user's text is escaped. In any case invalid UTF-8 becomes U+FFFD. */
typedef enum ag__escape { AG__PLAIN, AG__LATEX, AG__XML, AG__JSON } ag__escape;

/* The text that stands for an ASCII character; NULL: the character itself. */
const char *ag__escaped(char c, ag__escape escape);

void ag__put(ag__text *t, const char *s);
void ag__put_whole(ag__text *t, int64_t n);
void ag__putf(ag__text *t, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 2, 3)))
#endif
    ;
/* The first `bytes` of s, control characters replaced (JSON: escaped), cut to `most` characters. */
void ag__put_escaped(ag__text *t, const char *s, size_t bytes, size_t most, ag__escape escape);
void ag__put_json(ag__text *t, const char *s); /* with its quotes */
enum { AG__NUMBER = 40 };
char *ag__number(char s[AG__NUMBER], int digits, double a); /* with this many digits; a is finite */
void ag__put_value(ag__text *t, double a, bool json);       /* 6 digits, or 17 for JSON */
const char *ag__text_finish(ag__text *t, const char *name); /* records the text on the tape, and frees the rest */

/* The length of one character of well-formed UTF-8; 0: it is not well formed. */
int ag__utf8_length(const unsigned char *s);

#endif
