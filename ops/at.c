/* at -- the items of x[…] from text
 *
 * The text may come from anywhere: whatever is no list of items is refused, with its position. */
#include "autograd/tape/utf8.h"
#include "ops/rules.h"
#include "ops/shaping.h"

#include <string.h>

enum { MOST_ITEMS = 32 };

typedef struct reader {
    const char *name, *text, *at;
    ag_tensor *x;
    int count;
    ag_subscript item[MOST_ITEMS];
    int n, used; /* tensors: given, and taken */
    ag_tensor *const *index;
    ag_tensor *nil;
} reader;

/* False, after an error at this position. */
static bool refuse(reader *r, const char *at, const char *wanted) {
    char shown[AG__SHOWN];
    r->nil = ag__fail(r->name, 1, &r->x, AG_ERR_RANGE, "%s at position %lld of %s", wanted, (long long)(at - r->text),
                      ag__shown(shown, r->text));
    return false;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c); }

static void skip_spaces(reader *r) { r->at += strspn(r->at, " \t\r\n"); }

/* Whether this word is next; it is taken. */
static bool takes(reader *r, const char *word) {
    const size_t bytes = strlen(word);
    if (strncmp(r->at, word, bytes) != 0 || (is_letter(*word) && is_letter(r->at[bytes]))) return false;
    r->at += bytes;
    return true;
}

/* A number if one is next; *given says whether, and else *number stays. False after an error. */
static bool take_number(reader *r, int64_t *number, bool *given) {
    skip_spaces(r);
    const char *start = r->at;
    const bool negative = *start == '-';
    uint64_t value = 0;
    *given = false;
    if (*start == '-' || *start == '+') r->at++;
    for (; is_digit(*r->at); r->at++, *given = true) {
        if (value > (uint64_t)INT64_MAX / 10) return refuse(r, start, "a number is too large");
        value = value * 10 + (uint64_t)(*r->at - '0');
    }
    if (value > (uint64_t)INT64_MAX) return refuse(r, start, "a number is too large");
    if (!*given && r->at != start) return refuse(r, r->at, "a digit is wanted");
    if (*given) *number = negative ? -(int64_t)value : (int64_t)value;
    return !*given || !is_letter(*r->at) || refuse(r, r->at, "a number must end");
}

/* An integer or a slice. */
static bool take_range(reader *r, ag_subscript *item) {
    int64_t part[3] = {AG_END, AG_END, 1};
    bool given;
    const char *start = r->at;
    if (!take_number(r, &part[0], &given)) return false;
    skip_spaces(r);
    if (*r->at != ':') {
        *item = AG_AT(part[0]);
        return given || refuse(r, start, "an integer, a slice, None, \"...\" or % is wanted");
    }
    for (int k = 1; k < 3 && *r->at == ':'; k++) {
        r->at++;
        if (!take_number(r, &part[k], &given)) return false;
        skip_spaces(r);
    }
    *item = AG_RANGE(part[0], part[1], part[2]);
    return part[2] != 0 || refuse(r, start, "a slice with step 0");
}

static bool take_item(reader *r) {
    ag_subscript *item = &r->item[r->count];
    const char *start = r->at;
    if (r->count == MOST_ITEMS) return refuse(r, start, "more than 32 items");
    r->count++;
    if (takes(r, "None") || takes(r, "newaxis")) return *item = AG_NEW, true;
    if (takes(r, "...") || takes(r, "…")) return *item = AG_REST, true;
    if (!takes(r, "%")) return take_range(r, item);
    if (r->used == r->n) return refuse(r, start, "no tensor is given for the %");
    *item = AG_BY(r->index[r->used]);
    r->used++;
    return true;
}

/* Items with commas between them, and perhaps at the end. False after an error. */
static bool read_items(reader *r) {
    do {
        skip_spaces(r);
        if (*r->at == '\0' && r->count > 0) break;
        if (!take_item(r)) return false;
        skip_spaces(r);
    } while (takes(r, ","));
    if (*r->at != '\0') return refuse(r, r->at, "a comma is wanted");
    return r->used == r->n || refuse(r, r->at, "a tensor too many is given: another % is wanted");
}

/* The tensors among the arguments are read first; values may be NULL: there are none. */
static bool usable(reader *r, ag_tensor *values) {
    ag_tensor *in[2 + MOST_ITEMS] = {r->x, values};
    int count = values ? 2 : 1;
    for (int i = 0; r->index && i < r->n && i < MOST_ITEMS; i++) in[count++] = r->index[i];
    return ag__inputs_usable(r->name, count, in, &r->nil);
}

static bool read_text(reader *r, ag_tensor *values) {
    ag_tensor *x = r->x;
    if (!usable(r, values)) return false;
    if (!r->text) r->nil = ag__fail(r->name, 1, &x, AG_ERR_NULL, "the text is NULL");
    else if (r->n < 0 || r->n > MOST_ITEMS)
        r->nil = ag__fail(r->name, 1, &x, AG_ERR_RANGE, "%d tensors: 0 to %d are wanted", r->n, MOST_ITEMS);
    else if (r->n > 0 && !r->index) r->nil = ag__fail(r->name, 1, &x, AG_ERR_NULL, "the tensors are NULL");
    else return read_items(r);
    return false;
}

ag_tensor *ag_at(ag_tensor *x, const char *text) {
    reader r = {.name = "at", .x = x, .text = text, .at = text};
    return read_text(&r, NULL) ? ag__index("at", x, r.count, r.item) : r.nil;
}

ag_tensor *ag_at_with(ag_tensor *x, const char *text, int n, ag_tensor *const index[]) {
    reader r = {.name = "at_with", .x = x, .text = text, .at = text, .n = n, .index = index};
    return read_text(&r, NULL) ? ag__index("at_with", x, r.count, r.item) : r.nil;
}

ag_tensor *ag_put_at(ag_tensor *x, const char *text, int n, ag_tensor *const index[], ag_tensor *values, ag_put how) {
    reader r = {.name = "put_at", .x = x, .text = text, .at = text, .n = n, .index = index};
    return read_text(&r, values) ? ag__index_put("put_at", x, r.count, r.item, values, how) : r.nil;
}
