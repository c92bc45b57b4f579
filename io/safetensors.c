/* safetensors -- a header of JSON with the position of each tensor in the bytes that follow
 *
 * The header has a fixed structure, so its JSON is read by that and not by a general parser: an object of tensors,
 * each with its three entries, and strings as metadata. Nothing nests deeper. The tensors must cover all bytes that
 * follow, each once. */
#include "autograd/tape/format.h"
#include "autograd/tape/op.h"
#include "io/formats.h"
#include "io/scan.h"

#include <string.h>

enum { LONGEST_HEADER = 100000000, BEFORE = 8 };

typedef struct header {
    ag__archive *a;
    ag__scan scan;
    uint64_t data; /* offset and bytes of the elements */
    uint64_t bytes;
    uint64_t given; /* bytes of the tensors so far */
    bool has_metadata;
} header;

static bool wrong(const header *h, const char *what) {
    return ag__input_wrong(&h->a->in, "at byte %llu of its header: %s", (unsigned long long)(h->scan.at - h->a->text),
                           what);
}

/* ---- Strings ---- */

static bool hex(ag__scan *s, uint32_t *code) {
    *code = 0;
    if (s->end - s->at < 4) return false;
    for (int i = 0; i < 4; i++) {
        char c = *s->at++, letter = (char)(c | 0x20);
        bool digit = c >= '0' && c <= '9';
        if (!digit && !(letter >= 'a' && letter <= 'f')) return false;
        *code = *code << 4 | (uint32_t)(digit ? c - '0' : letter - 'a' + 10);
    }
    return true;
}

/* After \u: a character, or the two halves of one beyond U+FFFF. */
static bool escaped_code(ag__scan *s, uint32_t *code) {
    uint32_t low;
    if (!hex(s, code) || (*code >= 0xDC00 && *code < 0xE000)) return false;
    if (*code < 0xD800 || *code >= 0xE000) return true;
    if (s->end - s->at < 2 || *s->at++ != '\\' || *s->at++ != 'u') return false;
    if (!hex(s, &low) || low < 0xDC00 || low >= 0xE000) return false;
    *code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
    return true;
}

static char *put_utf8(char *to, uint32_t code) {
    int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char first[] = {0, 0xC0, 0xE0, 0xF0};
    *to++ = (char)(first[more] | code >> 6 * more);
    while (more-- > 0) *to++ = (char)(0x80 | (code >> 6 * more & 0x3F));
    return to;
}

static bool escape(ag__scan *s, char **to) {
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (s->at == s->end) return false;
    char c = *s->at++;
    uint32_t code;
    const char *known = c ? strchr(letters, c) : NULL;
    if (known) *(*to)++ = meant[known - letters];
    else if (c == 'u' && escaped_code(s, &code)) *to = put_utf8(*to, code);
    else return false;
    return true;
}

/* A string, decoded in place (it never grows) and terminated by NUL. */
static bool string(header *h, char **text, size_t *length) {
    ag__scan *s = &h->scan;
    if (!ag__scan_is(s, '"')) return wrong(h, "a string is wanted");
    char *to = *text = s->at;
    while (s->at < s->end && *s->at != '"') {
        if ((unsigned char)*s->at < 0x20) return wrong(h, "a control character in a string");
        if (*s->at != '\\') *to++ = *s->at++;
        else if (s->at++, !escape(s, &to)) return wrong(h, "an escape in a string that JSON has not");
    }
    if (s->at == s->end) return wrong(h, "a string that does not end");
    s->at++;
    *length = (size_t)(to - *text);
    *to = 0;
    return true;
}

/* ---- Tensors ---- */

typedef struct tensor {
    ag__member *member;
    bool has_dtype, has_shape, has_offsets;
    int64_t begin, end;
} tensor;

static const char *const dtypes[AG__KINDS] = {
    [AG__BOOL] = "BOOL", [AG__I8] = "I8",   [AG__I16] = "I16", [AG__I32] = "I32", [AG__I64] = "I64",
    [AG__U8] = "U8",     [AG__U16] = "U16", [AG__U32] = "U32", [AG__U64] = "U64", [AG__F16] = "F16",
    [AG__BF16] = "BF16", [AG__F32] = "F32", [AG__F64] = "F64",
};

static bool read_dtype(header *h, tensor *t) {
    char *text, shown[AG__SHOWN];
    size_t length;
    if (!string(h, &text, &length)) return false;
    for (int kind = 0; kind < AG__KINDS; kind++)
        if (strcmp(text, dtypes[kind]) == 0) {
            t->member->element.kind = (ag__kind)kind;
            return true;
        }
    return ag__input_wrong(&h->a->in, "its dtype, %s, is not read", ag__shown(shown, text));
}

static bool count(header *h, int64_t *n) {
    return ag__scan_count(&h->scan, n) || wrong(h, "a number from 0 to 9223372036854775807 is wanted");
}

static bool read_shape(header *h, tensor *t) {
    ag_shape *shape = &t->member->shape;
    if (!ag__scan_is(&h->scan, '[')) return wrong(h, "a list of extents is wanted");
    if (ag__scan_is(&h->scan, ']')) return true;
    do {
        if (shape->rank == AG_MAX_RANK)
            return ag__input_wrong(&h->a->in, "its shape has more than %d axes", AG_MAX_RANK);
        if (!count(h, &shape->extent[shape->rank++])) return false;
    } while (ag__scan_is(&h->scan, ','));
    return ag__scan_is(&h->scan, ']') || wrong(h, "the list of extents does not end");
}

static bool read_offsets(header *h, tensor *t) {
    if (!ag__scan_is(&h->scan, '[') || !count(h, &t->begin) || !ag__scan_is(&h->scan, ',') || !count(h, &t->end) ||
        !ag__scan_is(&h->scan, ']'))
        return wrong(h, "a list of two offsets is wanted");
    return true;
}

static bool read_entry(header *h, tensor *t) {
    char *key, shown[AG__SHOWN];
    size_t length;
    if (!string(h, &key, &length)) return false;
    bool *there = strcmp(key, "dtype") == 0          ? &t->has_dtype
                  : strcmp(key, "shape") == 0        ? &t->has_shape
                  : strcmp(key, "data_offsets") == 0 ? &t->has_offsets
                                                     : NULL;
    if (!there) return ag__input_wrong(&h->a->in, "its entry %s in the header is unknown", ag__shown(shown, key));
    if (*there) return ag__input_wrong(&h->a->in, "its entry %s is there twice", ag__shown(shown, key));
    *there = true;
    if (!ag__scan_is(&h->scan, ':')) return wrong(h, "a colon is wanted");
    return there == &t->has_dtype ? read_dtype(h, t) : there == &t->has_shape ? read_shape(h, t) : read_offsets(h, t);
}

/* Its bytes must be within those that follow the header, and exactly those that its shape takes. */
static bool place(header *h, tensor *t) {
    ag__member *m = t->member;
    if (!t->has_dtype || !t->has_shape || !t->has_offsets)
        return ag__input_wrong(&h->a->in, "it lacks one of dtype, shape and data_offsets");
    if (!ag__member_shape_valid(h->a, m)) return false;
    if (t->begin > t->end || (uint64_t)t->end > h->bytes)
        return ag__input_wrong(&h->a->in, "its offsets %lld and %lld are not within the %llu bytes behind the header",
                               (long long)t->begin, (long long)t->end, (unsigned long long)h->bytes);
    m->part = (ag__part){.at = h->data + (uint64_t)t->begin, .bytes = (uint64_t)(t->end - t->begin)};
    h->given = m->part.bytes > UINT64_MAX - h->given ? UINT64_MAX : h->given + m->part.bytes;
    return ag__member_fits(h->a, m);
}

static bool read_tensor(header *h, const char *name, size_t length) {
    const char *fault = ag__name_fault(name, length);
    tensor t = {.member = NULL};
    if (fault) return ag__input_wrong(&h->a->in, "a name has %s", fault);
    h->a->in.tensor = name;
    if (!(t.member = ag__archive_add(h->a))) return false;
    t.member->name = name;
    if (!ag__scan_is(&h->scan, '{')) return wrong(h, "a tensor must be an object");
    do {
        if (!read_entry(h, &t)) return false;
    } while (ag__scan_is(&h->scan, ','));
    if (!ag__scan_is(&h->scan, '}')) return wrong(h, "the object does not end");
    bool good = place(h, &t);
    h->a->in.tensor = NULL;
    return good;
}

static bool read_metadata(header *h) {
    char *text;
    size_t length;
    if (h->has_metadata) return wrong(h, "there is __metadata__ already");
    h->has_metadata = true;
    if (!ag__scan_is(&h->scan, '{')) return wrong(h, "__metadata__ must be an object of strings");
    if (ag__scan_is(&h->scan, '}')) return true;
    do {
        if (!string(h, &text, &length)) return false;
        if (!ag__scan_is(&h->scan, ':')) return wrong(h, "a colon is wanted");
        if (!string(h, &text, &length)) return false;
    } while (ag__scan_is(&h->scan, ','));
    return ag__scan_is(&h->scan, '}') || wrong(h, "the object does not end");
}

static bool read_header(header *h) {
    char *name;
    size_t length;
    if (!ag__scan_is(&h->scan, '{')) return wrong(h, "the header must be an object");
    if (!ag__scan_is(&h->scan, '}')) {
        do {
            if (!string(h, &name, &length)) return false;
            if (!ag__scan_is(&h->scan, ':')) return wrong(h, "a colon is wanted");
            if (!(strcmp(name, AG__METADATA) == 0 ? read_metadata(h) : read_tensor(h, name, length))) return false;
        } while (ag__scan_is(&h->scan, ','));
        if (!ag__scan_is(&h->scan, '}')) return wrong(h, "the object does not end");
    }
    ag__scan_blanks(&h->scan);
    if (h->scan.at != h->scan.end) return wrong(h, "something follows the object");
    return h->given == h->bytes || ag__input_wrong(&h->a->in, "its tensors have %llu bytes, and %llu follow the header",
                                                   (unsigned long long)h->given, (unsigned long long)h->bytes);
}

bool ag__safetensors_list(ag__archive *a) {
    unsigned char before[BEFORE];
    if (!ag__input_read(&a->in, 0, before, BEFORE)) return false;
    uint64_t length = ag__little(before, BEFORE);
    if (length > LONGEST_HEADER || length > a->in.size - BEFORE)
        return ag__input_wrong(&a->in, "a header of %llu bytes is too long", (unsigned long long)length);
    if (!ag__archive_text(a, length) || !ag__input_read(&a->in, BEFORE, a->text, (size_t)length)) return false;
    if (!ag__is_utf8(a->text, (size_t)length)) return ag__input_wrong(&a->in, "its header is not UTF-8");
    header h = {
        .a = a, .scan = {a->text, a->text + length}, .data = BEFORE + length, .bytes = a->in.size - BEFORE - length};
    return read_header(&h);
}

/* ---- Writing ---- */

static void put_text(ag__output *o, const char *text) { ag__out(o, text, strlen(text)); }

static void put_string(ag__output *o, const char *text) {
    put_text(o, "\"");
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\') put_text(o, "\\");
        ag__out(o, c, 1);
    }
    put_text(o, "\"");
}

static void put_tensor(ag__output *o, const char *name, const ag_tensor *x, uint64_t begin, uint64_t end) {
    char number[64], extents[AG__EXTENTS];
    ag_shape shape = ag_shape_of(x);
    put_string(o, name);
    put_text(o, ":{\"dtype\":");
    put_string(o, dtypes[ag__kind_of(ag_dtype_of(x))]);
    put_text(o, ",\"shape\":[");
    put_text(o, ag__format_extents(extents, shape.rank, shape.extent));
    ag__format(number, sizeof number, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)begin,
               (unsigned long long)end);
    put_text(o, number);
}

/* The next tensor after index i with elements of this size. Large elements are written first, so that all are
 * aligned. */
static int next_of(const ag__saving *s, int i, size_t bytes) {
    for (i++; i < s->n && ag_dtype_size(ag_dtype_of(s->x[i])) != bytes; i++) {
    }
    return i;
}

static const size_t widths[] = {8, 4, 1};

static void put_header(ag__saving *s, ag__output *o) {
    uint64_t at = 0;
    put_text(o, s->metadata ? "{\"" AG__METADATA "\":{" : "{");
    if (s->metadata) put_text(o, s->metadata), put_text(o, "}");
    for (int w = 0, n = s->metadata != NULL; w < 3; w++)
        for (int i = next_of(s, -1, widths[w]); i < s->n; i = next_of(s, i, widths[w]), n++) {
            uint64_t end = at + (uint64_t)ag_size(s->x[i]) * widths[w];
            if (n > 0) put_text(o, ",");
            put_tensor(o, s->name[i], s->x[i], at, end);
            at = end;
        }
    put_text(o, "}");
    while (o->at % 8 != 0) put_text(o, " ");
}

void ag__safetensors_write(ag__saving *s, ag__output *o) {
    ag__output counted = {.file = NULL};
    put_header(s, &counted);
    ag__out_number(o, counted.at, BEFORE);
    put_header(s, o);
    for (int w = 0; w < 3; w++)
        for (int i = next_of(s, -1, widths[w]); i < s->n; i = next_of(s, i, widths[w])) ag__out_values(o, s->x[i]);
}
