/* grammar -- whether text that the library writes is what it should be, for strict readers */
#ifndef TESTS_GRAMMAR_H
#define TESTS_GRAMMAR_H

#include <stdbool.h>

/* The place where text stops being JSON (RFC 8259); NULL: it is. */
const char *json_fault(const char *text);

/* Whether it is well-formed XML of elements, text and the predefined entities. */
bool xml_is_sound(const char *text);

/* Whether each { of LaTeX, unless escaped, has its }. */
bool braces_balance(const char *text);

/* Whether it is UTF-8 (RFC 3629), without control characters other than line ends. */
bool utf8_is_sound(const char *text);

/* Whether the strings of a Graphviz file end, those in quotes and those of HTML, and only words, numbers and punctuation are
 * between them. */
bool dot_is_sound(const char *text);

#endif
