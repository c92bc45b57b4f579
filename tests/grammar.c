/* grammar -- see grammar.h */
#include "tests/grammar.h"

#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- Reading JSON, strictly (RFC 8259) ---- */

static bool value(const char **s, int depth);

static void space(const char **s) { *s += strspn(*s, " \t\n\r"); }

static bool string(const char **s) {
    if (*(*s)++ != '"') return false;
    for (; **s != '"'; (*s)++) {
        if ((unsigned char)**s < 0x20) return false;
        if (**s != '\\') continue;
        (*s)++;
        if (**s != 'u') {
            if (!**s || !strchr("\"\\/bfnrt", **s)) return false;
        } else if (strspn(*s + 1, "0123456789abcdefABCDEF") < 4) return false;
        else *s += 4;
    }
    (*s)++;
    return true;
}

static bool numeral(const char **s) {
    *s += **s == '-';
    size_t n = strspn(*s, "0123456789");
    if (n == 0 || (n > 1 && **s == '0')) return false;
    *s += n;
    if (**s == '.') {
        (*s)++;
        n = strspn(*s, "0123456789");
        *s += n;
        if (n == 0) return false;
    }
    if (**s == 'e' || **s == 'E') {
        (*s)++;
        *s += **s == '+' || **s == '-';
        n = strspn(*s, "0123456789");
        *s += n;
        if (n == 0) return false;
    }
    return true;
}

static bool members(const char **s, char end, int depth) {
    (*s)++;
    space(s);
    if (**s == end) return (*s)++, true;
    for (;; (*s)++) {
        space(s);
        if (end == '}') {
            if (!string(s)) return false;
            space(s);
            if (*(*s)++ != ':') return false;
        }
        if (!value(s, depth + 1)) return false;
        space(s);
        if (**s == end) return (*s)++, true;
        if (**s != ',') return false;
    }
}

static bool value(const char **s, int depth) {
    if (depth > 1000) return false;
    space(s);
    if (**s == '{' || **s == '[') return members(s, **s == '{' ? '}' : ']', depth);
    if (**s == '"') return string(s);
    static const char *const words[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++)
        if (strncmp(*s, words[i], strlen(words[i])) == 0) return *s += strlen(words[i]), true;
    return numeral(s);
}

const char *json_fault(const char *text) {
    const char *s = text;
    if (!value(&s, 0)) return s;
    space(&s);
    return *s ? s : NULL;
}

/* ---- XML, LaTeX ---- */

bool xml_is_sound(const char *s) {
    const char *open[400];
    int depth = 0;
    for (; *s; s++) {
        if (*s == '&') {
            if (strncmp(s, "&lt;", 4) && strncmp(s, "&gt;", 4) && strncmp(s, "&amp;", 5) && strncmp(s, "&quot;", 6))
                return false;
        } else if (*s == '<' && s[1] == '/') {
            size_t n = strcspn(s + 2, ">");
            if (depth-- == 0 || strncmp(open[depth], s + 2, n) || (open[depth][n] != '>' && open[depth][n] != ' '))
                return false;
            s += n + 2;
        } else if (*s == '<') {
            size_t n = strcspn(s + 1, ">");
            if (depth == 400 || s[n + 1] != '>' || strcspn(s + 1, "<&") < n) return false;
            open[depth++] = s + 1;
            s += n + 1;
        } else if (*s == '>' || (unsigned char)*s < 0x20) return false;
    }
    return depth == 0;
}

bool braces_balance(const char *s) {
    int depth = 0;
    for (; *s && depth >= 0; s++) {
        if (*s == '\\' && s[1]) s++;
        else depth += (*s == '{') - (*s == '}');
    }
    return depth == 0;
}

/* ---- UTF-8 ---- */

bool utf8_is_sound(const char *text) {
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
        int more = *s < 0x80 ? 0 : *s >> 5 == 6 ? 1 : *s >> 4 == 14 ? 2 : *s >> 3 == 30 ? 3 : -1;
        if (more < 0 || (*s < 0x20 && *s != '\n') || *s == 0x7F) return false;
        uint32_t c = more ? *s & (0x3Fu >> more) : *s;
        for (int i = 0; i < more; i++) {
            if (s[1] >> 6 != 2) return false;
            c = c << 6 | (*++s & 0x3F);
        }
        if (c < least[more] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) return false;
    }
    return true;
}

/* ---- Graphviz ---- */

/* Behind a string that begins here: "…" or <…>; NULL: it does not end. */
static const char *behind_string(const char *s) {
    int depth = 0;
    if (*s == '"') {
        for (s++; *s && *s != '"'; s++)
            if (*s == '\\' && s[1]) s++;
        return *s ? s + 1 : NULL;
    }
    for (; *s; s++)
        if ((depth += (*s == '<') - (*s == '>')) == 0) return s + 1;
    return NULL;
}

bool dot_is_sound(const char *text) {
    int depth = 0;
    for (const char *s = text; *s;) {
        depth += (*s == '{') - (*s == '}');
        if (depth < 0) return false;
        if (*s == '"' || *s == '<') {
            s = behind_string(s);
            if (!s) return false;
        } else if (isalnum((unsigned char)*s) || strchr(" \n\t{}[]=,;_-.:", *s) || strncmp(s, "->", 2) == 0) {
            s += strncmp(s, "->", 2) == 0 ? 2 : 1;
        } else return false;
    }
    return depth == 0;
}
