/* syntax -- from text to parts, by recursive descent
 *
 *     program    = statement {";" statement} [";"]         sum        = product {("+" | "-") product}
 *     statement  = [NAME "="] comparison                   product    = signed {("*" | "/" | "@") signed}
 *     comparison = sum [RELATION sum]                      signed     = ("-" | "+") signed | power
 *     power      = postfix ["**" signed]                   postfix    = primary {".T"}
 *     primary    = NUMBER | NAME | NAME "(" [argument {"," argument}] ")" | "(" list ")" | "[" list "]"
 *
 * Invariant: every function that descends is given the nesting, which is bounded; after a complaint all return −1. */
#include "examples/explain/explain.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef struct parser {
    program *p;
    const char *text;
    size_t at;
    int nesting;
} parser;

/* ---- Complaints */

static bool continues(char c) { return ((unsigned char)c & 0xC0) == 0x80; }

bool complain(complaint *c, const char *text, size_t at, const char *format, ...) {
    if (*c->message) return false;
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(c->message, sizeof c->message, format, arguments);
    va_end(arguments);
    if (length >= (int)sizeof c->message) { /* the last character is whole, or left out */
        char *end = c->message + sizeof c->message - 1;
        while (end > c->message && continues(end[-1])) end--;
        if (end > c->message && (end[-1] & 0x80)) end--;
        *end = 0;
    }
    c->text = text;
    c->at = at;
    return false;
}

/* Prints the message, and of a long text the part around the error; a control character becomes a question mark. */
void print_complaint(FILE *file, const complaint *c) {
    enum { BEFORE = 60, AFTER = 40 };
    fprintf(file, "ag-explain: %s\n", c->message);
    if (!c->text) return;
    size_t length = strlen(c->text), at = c->at < length ? c->at : length;
    size_t from = at > BEFORE ? at - BEFORE : 0, to = length - at > AFTER ? at + AFTER : length;
    while (from > 0 && continues(c->text[from])) from--;
    while (to < length && continues(c->text[to])) to++;
    fprintf(file, "  %s", from ? "…" : "");
    for (size_t i = from; i < to; i++) {
        unsigned char byte = (unsigned char)c->text[i];
        fputc(byte < ' ' || byte == 127 ? '?' : byte, file);
    }
    fprintf(file, "%s\n  %s", to < length ? "…" : "", from ? " " : "");
    for (size_t i = from; i < at; i++)
        if (!continues(c->text[i])) fputc(' ', file);
    fputs("^\n", file);
}

/* The length of the UTF-8 character at s; 0 if it is invalid, as overlong forms and surrogates are. */
static size_t character(const char *s, uint32_t *code) {
    unsigned char c = (unsigned char)*s;
    size_t n = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
    uint32_t u = n < 2 ? c : c & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if (!continues(s[i])) return 0;
        u = u << 6 | ((unsigned char)s[i] & 0x3Fu);
    }
    *code = u;
    bool bad = (n == 3 && (u < 0x800 || (u >= 0xD800 && u < 0xE000))) || (n == 4 && (u < 0x10000 || u > 0x10FFFF));
    return bad ? 0 : n;
}

bool check_text(complaint *c, const char *text) {
    size_t length = strlen(text), n = 0;
    if (length > MAX_TEXT) return complain(c, text, MAX_TEXT, "this is longer than %d bytes", MAX_TEXT);
    for (size_t at = 0; at < length; at += n) {
        uint32_t code = 0;
        n = character(text + at, &code);
        if (!n)
            return complain(c, "(bytes that are not UTF-8)", 0, "an argument is not UTF-8 text from byte %zu on", at);
        if ((code < ' ' && code != '\n' && code != '\t') || (code >= 127 && code < 160) ||
            (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069))
            return complain(c, "(a control character)", 0, "an argument has a control character at byte %zu", at);
    }
    return true;
}

/* ---- Characters and words */

/* Letters are Latin and Greek ones, so that no name is invisible or turns the text around. */
size_t name_length(const char *text) {
    size_t length = 0;
    for (uint32_t code = 0;;) {
        size_t n = text[length] ? character(text + length, &code) : 0;
        bool letter = code == '_' || (code < 128 && isalpha((int)code)) ||
                      (code >= 0xC0 && code < 0x250 && code != 0xD7 && code != 0xF7) || (code >= 0x391 && code < 0x3EA);
        bool digit = length && code >= '0' && code <= '9';
        if (!n || !(letter || digit)) return length;
        length += n;
    }
}

static void skip_space(parser *s) {
    while (isspace((unsigned char)s->text[s->at])) s->at++;
}

static char look(parser *s) {
    skip_space(s);
    return s->text[s->at];
}

static bool take(parser *s, const char *word) {
    skip_space(s);
    size_t n = strlen(word);
    if (strncmp(s->text + s->at, word, n) != 0) return false;
    s->at += n;
    return true;
}

static int fail(parser *s, size_t at, const char *what) {
    complain(s->p->complaint, s->text, at, "%s", what);
    return -1;
}

/* Complains that `wanted` is not what stands here. */
static int unexpected(parser *s, const char *wanted) {
    char c = look(s);
    size_t n = name_length(s->text + s->at);
    if (!c) complain(s->p->complaint, s->text, s->at, "the text ends, and %s is wanted", wanted);
    else if (n > 0 && n < NAME_BYTES)
        complain(s->p->complaint, s->text, s->at, "%s is wanted here, not %.*s", wanted, (int)n, s->text + s->at);
    else if (c == '^') complain(s->p->complaint, s->text, s->at, "%s is wanted here, not ^: x**2 is a power", wanted);
    else if ((unsigned char)c > 126) complain(s->p->complaint, s->text, s->at, "%s is wanted here", wanted);
    else complain(s->p->complaint, s->text, s->at, "%s is wanted here, not %c", wanted, c);
    return -1;
}

static bool take_name(parser *s, char name[NAME_BYTES]) {
    skip_space(s);
    size_t n = name_length(s->text + s->at);
    if (n >= NAME_BYTES) return fail(s, s->at, "this name is longer than 63 bytes") >= 0;
    memcpy(name, s->text + s->at, n);
    name[n] = 0;
    s->at += n;
    return n > 0;
}

/* ---- Parts */

static int add(parser *s, part_kind kind, size_t at, const char *name) {
    if (s->p->count == MAX_PARTS) return fail(s, at, "there are too many parts, counted over all arguments");
    part *x = &s->p->parts[s->p->count];
    *x = (part){.kind = kind, .at = at, .first = -1, .next = -1};
    snprintf(x->name, sizeof x->name, "%s", name);
    return s->p->count++;
}

double arithmetic(const char *name, double a, double b) {
    switch (*name) {
    case '+': return a + b;
    case '-': return a - b;
    case '/': return a / b;
    default: return name[1] ? pow(a, b) : a * b;
    }
}

/* Arithmetic of numbers is done here, so that lists can hold 1/2 and −1. */
static bool folds(parser *s, part_kind kind, const char *name, int a, int b) {
    const part *x = s->p->parts;
    if (x[a].kind != PART_NUMBER || (b >= 0 && x[b].kind != PART_NUMBER)) return false;
    return kind == PART_UNARY || (kind == PART_BINARY && strchr("+-*/", *name));
}

/* Links children to a new part; b may be −1. */
static int add_over(parser *s, part_kind kind, size_t at, const char *name, int a, int b) {
    if (a >= 0 && folds(s, kind, name, a, b)) {
        part *x = s->p->parts;
        int y = add(s, PART_NUMBER, at, "");
        if (y >= 0) x[y].number = b < 0 ? -x[a].number : arithmetic(name, x[a].number, x[b].number);
        return y;
    }
    int x = a < 0 ? -1 : add(s, kind, at, name);
    if (x < 0) return -1;
    s->p->parts[x].first = a;
    s->p->parts[x].count = b < 0 ? 1 : 2;
    if (b >= 0) s->p->parts[a].next = b;
    return x;
}

static int comparison(parser *s);

/* Takes arguments up to and with `close`; returns the first, −1 for none or after a complaint. */
static int arguments(parser *s, char close, bool keys, int *count) {
    int first = -1, last = -1;
    for (*count = 0; look(s) != close; ++*count) {
        char key[NAME_BYTES] = "";
        size_t key_at = s->at, n = keys ? name_length(s->text + s->at) : 0, after = s->at + n;
        while (isspace((unsigned char)s->text[after])) after++;
        if (n && s->text[after] == '=' && s->text[after + 1] != '=') {
            if (!take_name(s, key)) return -1;
            take(s, "=");
        }
        int x = comparison(s);
        if (x < 0) return -1;
        memcpy(s->p->parts[x].key, key, sizeof key);
        s->p->parts[x].key_at = key_at;
        if (first < 0) first = x;
        else s->p->parts[last].next = x;
        last = x;
        if (look(s) == close) continue;
        if (!take(s, ",")) return unexpected(s, close == ')' ? "an operator, , or )" : "an operator, , or ]");
    }
    s->at++;
    return first;
}

static int list(parser *s, size_t at, char close) {
    int count = 0, first = arguments(s, close, false, &count);
    if (*s->p->complaint->message) return -1;
    if (close == ')' && count == 0) return fail(s, at, "there is nothing between these parentheses");
    size_t last = s->at - 1;
    while (last > at && isspace((unsigned char)s->text[last - 1])) last--;
    if (close == ')' && count == 1 && s->text[last - 1] != ',') return first;
    int x = add(s, PART_LIST, at, "");
    if (x < 0) return -1;
    s->p->parts[x].first = first;
    s->p->parts[x].count = count;
    return x;
}

static int name_or_call(parser *s) {
    char name[NAME_BYTES];
    size_t at = s->at;
    if (!take_name(s, name)) return -1;
    if (look(s) != '(') return add(s, PART_NAME, at, name);
    s->at++;
    int count = 0, first = arguments(s, ')', true, &count);
    int x = *s->p->complaint->message ? -1 : add(s, PART_CALL, at, name);
    if (x < 0) return -1;
    s->p->parts[x].first = first;
    s->p->parts[x].count = count;
    return x;
}

/* Decimal only: hexadecimal is refused, and "inf" and "nan" are names. */
static int number(parser *s) {
    size_t at = s->at, n = strspn(s->text + at, "0123456789");
    if (s->text[at + n] == '.') n += 1 + strspn(s->text + at + n + 1, "0123456789");
    if (s->text[at + n] == 'e' || s->text[at + n] == 'E') {
        size_t sign = strchr("+-", s->text[at + n + 1]) && s->text[at + n + 1] ? 1 : 0;
        size_t digits = strspn(s->text + at + n + 1 + sign, "0123456789");
        if (!digits) return fail(s, at + n, "this exponent has no digits");
        n += 1 + sign + digits;
    }
    char digits[128];
    if (n >= sizeof digits) return fail(s, at, "this number has too many digits");
    memcpy(digits, s->text + at, n);
    digits[n] = 0;
    double x = strtod(digits, NULL);
    if (!isfinite(x)) return fail(s, at, "this number is too large");
    s->at += n;
    if (name_length(s->text + s->at)) return fail(s, s->at, "a number is followed by a name: is there an * missing?");
    int result = add(s, PART_NUMBER, at, "");
    if (result >= 0) s->p->parts[result].number = x;
    return result;
}

static int primary(parser *s) {
    char c = look(s);
    size_t at = s->at;
    if (isdigit((unsigned char)c) || (c == '.' && isdigit((unsigned char)s->text[at + 1]))) return number(s);
    if (name_length(s->text + at)) return name_or_call(s);
    if (c != '(' && c != '[') return unexpected(s, "a value");
    s->at++;
    return list(s, at, c == '(' ? ')' : ']');
}

static int postfix(parser *s) {
    int x = primary(s);
    while (x >= 0 && look(s) == '.') {
        size_t at = s->at++;
        char name[NAME_BYTES];
        if (!take_name(s, name) || strcmp(name, "T") != 0) return fail(s, at, "only T can follow a dot");
        x = add_over(s, PART_TRANSPOSE, at, "T", x, -1);
    }
    return x;
}

static int signed_part(parser *s);

static int power(parser *s) {
    int a = postfix(s);
    if (a < 0) return -1;
    size_t at = (look(s), s->at);
    if (!take(s, "**")) return a;
    int b = signed_part(s);
    return b < 0 ? -1 : add_over(s, PART_BINARY, at, "**", a, b);
}

static int signed_part(parser *s) {
    if (s->nesting == MAX_NESTING) return fail(s, s->at, "this is nested too deeply");
    s->nesting++;
    size_t at = (look(s), s->at);
    int x = -1;
    if (take(s, "-")) x = add_over(s, PART_UNARY, at, "-", signed_part(s), -1);
    else x = take(s, "+") ? signed_part(s) : power(s);
    s->nesting--;
    return x;
}

static const char *operator_of(parser *s, const char *const words[]) {
    for (size_t at = (look(s), s->at); *words; words++, s->at = at)
        if (take(s, *words)) return *words;
    return NULL;
}

static int product(parser *s) {
    static const char *const words[] = {"*", "/", "@", NULL};
    int a = signed_part(s);
    while (a >= 0) {
        size_t at = (look(s), s->at);
        const char *word = operator_of(s, words);
        if (!word) break;
        if (look(s) == '*' || (*word == '/' && look(s) == '/')) return unexpected(s, "a value");
        int b = signed_part(s);
        a = b < 0 ? -1 : add_over(s, PART_BINARY, at, word, a, b);
    }
    return a;
}

static int sum(parser *s) {
    static const char *const words[] = {"+", "-", NULL};
    int a = product(s);
    while (a >= 0) {
        size_t at = (look(s), s->at);
        const char *word = operator_of(s, words);
        if (!word) break;
        int b = product(s);
        a = b < 0 ? -1 : add_over(s, PART_BINARY, at, word, a, b);
    }
    return a;
}

static int comparison(parser *s) {
    static const char *const words[] = {"<=", ">=", "==", "!=", "<", ">", NULL};
    int a = sum(s);
    if (a < 0) return -1;
    size_t at = (look(s), s->at);
    const char *word = operator_of(s, words);
    if (!word) return a;
    int b = sum(s);
    if (b < 0) return -1;
    size_t second = (look(s), s->at);
    if (operator_of(s, words)) return fail(s, second, "comparisons cannot be chained");
    return add_over(s, PART_BINARY, at, word, a, b);
}

/* ---- Wholes */

int parse_expression(program *p, const char *text, size_t at) {
    parser s = {p, text, at, 0};
    int x = comparison(&s);
    return x < 0 ? -1 : look(&s) ? unexpected(&s, "an operator or the end") : x;
}

static int statement(parser *s) {
    char name[NAME_BYTES];
    size_t at = (look(s), s->at), n = name_length(s->text + at), after = at + n;
    while (isspace((unsigned char)s->text[after])) after++;
    if (!n || s->text[after] != '=' || s->text[after + 1] == '=') return comparison(s);
    if (!take_name(s, name) || !take(s, "=")) return -1;
    return add_over(s, PART_ASSIGN, at, name, comparison(s), -1);
}

bool parse_program(program *p, const char *text) {
    parser s = {p, text, 0, 0};
    p->text = text;
    do {
        if (p->statements && !look(&s)) break;
        int x = statement(&s);
        if (x < 0) return false;
        if (p->statements == MAX_NAMES) return fail(&s, s.at, "there are too many statements") >= 0;
        p->statement[p->statements++] = x;
    } while (take(&s, ";"));
    return !look(&s) || unexpected(&s, "an operator, ; or the end") >= 0;
}
