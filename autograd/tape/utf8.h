/* utf8 -- text that programs and files give: whether it can be a name, and how errors show it */
#ifndef AG_UTF8_H
#define AG_UTF8_H

#include <stdbool.h>
#include <stddef.h>

enum { AG__LONGEST_NAME = 65000, AG__SHOWN = 64 };

/* NULL if the text can name a tensor: UTF-8, without control characters, not empty, not too long. Else its fault. */
const char *ag__name_fault(const char *text, size_t length);
bool ag__is_utf8(const char *text, size_t length);

/* Replace what a terminal would interpret, and bytes that are not UTF-8, by question marks. */
void ag__make_plain(char *text);

/* The beginning of a text, in quotes, without control characters. */
const char *ag__shown(char to[AG__SHOWN], const char *text);

#endif
