/* utf8 -- text that programs and files give: whether it can be a name, and how errors show it */
#include "autograd/tape/utf8.h"

#include <stdint.h>
#include <string.h>

/* The length of the UTF-8 character at the beginning of text, of at most `left` bytes; 0: invalid. */
static size_t utf8_length(const unsigned char *text, size_t left) {
    if (text[0] < 0x80) return 1;
    size_t n = text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : 2;
    if (text[0] < 0xC2 || text[0] > 0xF4 || n > left) return 0;
    for (size_t i = 1; i < n; i++)
        if ((text[i] & 0xC0) != 0x80) return 0;
    bool overlong = (text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xF0 && text[1] < 0x90);
    bool surrogate = text[0] == 0xED && text[1] >= 0xA0, beyond = text[0] == 0xF4 && text[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : n;
}

bool ag__is_utf8(const char *text, size_t length) {
    for (size_t i = 0, n; i < length; i += n)
        if ((n = utf8_length((const unsigned char *)text + i, length - i)) == 0) return false;
    return true;
}

/* U+0000 to 1F and 7F to 9F, which terminals interpret. */
static bool is_control(const unsigned char *c) { return c[0] < 0x20 || c[0] == 0x7F || (c[0] == 0xC2 && c[1] < 0xA0); }

const char *ag__name_fault(const char *text, size_t length) {
    if (length == 0) return "no characters";
    if (length > AG__LONGEST_NAME) return "more than 65000 bytes";
    if (!ag__is_utf8(text, length)) return "bytes that are not UTF-8";
    for (size_t i = 0; i < length; i++)
        if (is_control((const unsigned char *)text + i)) return "a control character";
    return NULL;
}

/* Whether none of eight bytes is below ' ' or above '~': then no sum or difference has a byte's highest bit. */
static bool are_printable(const char *text) {
    static const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t w;
    memcpy(&w, text, sizeof w);
    return ((w | (w + ones) | (w - ' ' * ones)) & 0x80 * ones) == 0;
}

void ag__make_plain(char *text) {
    const size_t length = strlen(text), many = sizeof(uint64_t);
    for (size_t i = 0, n; i < length; i += n) {
        const unsigned char *c = (const unsigned char *)text + i;
        n = length - i < many ? length - i : many;
        if (length >= many && are_printable(text + i + n - many)) continue; /* nearly all */
        n = utf8_length(c, length - i);
        bool plain = n > 0 && !is_control(c);
        if (n == 0) n = 1;
        if (!plain) memset(text + i, '?', n);
    }
}

const char *ag__shown(char to[AG__SHOWN], const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    size_t length = strlen(text), used = 0;
    to[used++] = '"';
    for (size_t i = 0, n; i < length; i += n) {
        n = utf8_length(s + i, length - i);
        bool plain = n > 0 && !is_control(s + i);
        if (n == 0) n = 1;
        if (used + n + sizeof "…\"" > AG__SHOWN) {
            memcpy(to + used, "…", sizeof "…" - 1);
            used += sizeof "…" - 1;
            break;
        }
        memcpy(to + used, plain ? text + i : "?", plain ? n : 1);
        used += plain ? n : 1;
    }
    memcpy(to + used, "\"", 2);
    return to;
}
