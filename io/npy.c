/* npy -- NumPy's file of one array, and the header that each array of an .npz has as well
 *
 * The header is a Python dictionary of three entries. It is read by its grammar, without running Python; arrays of
 * objects, which would need that, are refused. */
#include "autograd/tape/format.h"
#include "autograd/tape/op.h"
#include "io/formats.h"
#include "io/scan.h"

#include <string.h>

enum { LONGEST_HEADER = 65535 };

typedef struct header {
    const ag__archive *a;
    ag__scan scan;
    ag__member *member;
    bool has_descr, has_order, has_shape;
} header;

/* ---- Reading ---- */

/* A string in quotes of either kind, without escapes, terminated in place; NULL for anything else. */
static char *string(ag__scan *s) {
    ag__scan_blanks(s);
    if (s->at == s->end || (*s->at != '\'' && *s->at != '"')) return NULL;
    char *first = s->at + 1, *last = memchr(first, *s->at, (size_t)(s->end - first));
    if (!last || memchr(first, '\\', (size_t)(last - first)) || memchr(first, 0, (size_t)(last - first))) return NULL;
    *last = 0;
    s->at = last + 1;
    return first;
}

static bool refuse_dtype(const header *h, const char *descr) {
    char text[AG__SHOWN], letter = *descr ? descr[1] : 0;
    const char *what = letter == 'O'                        ? "objects, which only Python can read"
                       : letter == 'c'                      ? "complex numbers"
                       : letter && strchr("SUaVmM", letter) ? "no numbers"
                                                            : "of a dtype that is not read";
    return ag__input_wrong(&h->a->in, "its elements, %s, are %s", ag__shown(text, descr), what);
}

static bool read_descr(header *h) {
    static const char letters[AG__KINDS] = {
        [AG__BOOL] = 'b', [AG__I8] = 'i',  [AG__I16] = 'i', [AG__I32] = 'i', [AG__I64] = 'i', [AG__U8] = 'u',
        [AG__U16] = 'u',  [AG__U32] = 'u', [AG__U64] = 'u', [AG__F16] = 'f', [AG__F32] = 'f', [AG__F64] = 'f',
    };
    ag__scan_blanks(&h->scan);
    if (h->scan.at < h->scan.end && *h->scan.at == '[')
        return ag__input_wrong(&h->a->in, "its elements are records of several fields, which are not read");
    const char *descr = string(&h->scan);
    if (!descr) return ag__input_wrong(&h->a->in, "its header has no string for 'descr'");
    if (strlen(descr) != 3 || !strchr("<>|", descr[0])) return refuse_dtype(h, descr);
    for (int kind = 0; kind < AG__KINDS; kind++) {
        int bytes = ag__kind_bytes((ag__kind)kind);
        if (letters[kind] != descr[1] || bytes != descr[2] - '0' || (descr[0] == '|' && bytes > 1)) continue;
        h->member->element = (ag__element){(ag__kind)kind, descr[0] == '>'};
        return true;
    }
    return refuse_dtype(h, descr);
}

static bool read_order(header *h) {
    if (ag__scan_word(&h->scan, "True")) h->member->fortran = true;
    else if (!ag__scan_word(&h->scan, "False"))
        return ag__input_wrong(&h->a->in, "its header has neither True nor False for 'fortran_order'");
    return true;
}

/* () or (3,) or (3, 4): a single number in parentheses is not a tuple. Python 2 wrote 3L. */
static bool read_shape(header *h) {
    ag_shape *shape = &h->member->shape;
    bool comma = true;
    if (!ag__scan_is(&h->scan, '(')) return ag__input_wrong(&h->a->in, "its header has no tuple for 'shape'");
    while (!ag__scan_is(&h->scan, ')')) {
        int64_t extent;
        if (!comma || !ag__scan_count(&h->scan, &extent))
            return ag__input_wrong(&h->a->in, "its shape has an invalid extent");
        if (shape->rank == AG_MAX_RANK)
            return ag__input_wrong(&h->a->in, "its shape has more than %d axes", AG_MAX_RANK);
        if (h->scan.at < h->scan.end && *h->scan.at == 'L') h->scan.at++;
        shape->extent[shape->rank++] = extent;
        comma = ag__scan_is(&h->scan, ',');
    }
    if (shape->rank == 1 && !comma) return ag__input_wrong(&h->a->in, "its shape is not a tuple");
    return true;
}

static bool read_entry(header *h) {
    const char *key = string(&h->scan);
    char text[AG__SHOWN];
    if (!key || !ag__scan_is(&h->scan, ':')) return ag__input_wrong(&h->a->in, "its header is not a dictionary");
    bool descr = strcmp(key, "descr") == 0, order = strcmp(key, "fortran_order") == 0,
         shape = strcmp(key, "shape") == 0;
    bool *there = descr ? &h->has_descr : order ? &h->has_order : shape ? &h->has_shape : NULL;
    if (!there) return ag__input_wrong(&h->a->in, "its header has %s, which is unknown", ag__shown(text, key));
    if (*there) return ag__input_wrong(&h->a->in, "its header has %s twice", ag__shown(text, key));
    *there = true;
    return descr ? read_descr(h) : order ? read_order(h) : read_shape(h);
}

static bool read_dictionary(header *h) {
    if (!ag__scan_is(&h->scan, '{')) return ag__input_wrong(&h->a->in, "its header is not a dictionary");
    while (!ag__scan_is(&h->scan, '}')) {
        if (!read_entry(h)) return false;
        if (ag__scan_is(&h->scan, ',')) continue;
        if (ag__scan_is(&h->scan, '}')) break;
        return ag__input_wrong(&h->a->in, "its header is not a dictionary");
    }
    ag__scan_blanks(&h->scan);
    if (h->scan.at != h->scan.end) return ag__input_wrong(&h->a->in, "its header goes on behind the dictionary");
    if (!h->has_descr || !h->has_order || !h->has_shape)
        return ag__input_wrong(&h->a->in, "its header has no %s",
                               !h->has_descr   ? "'descr'"
                               : !h->has_order ? "'fortran_order'"
                                               : "'shape'");
    return ag__member_shape_valid(h->a, h->member);
}

bool ag__npy_header(const ag__archive *a, ag__stream *s, ag__member *m) {
    unsigned char opening[12];
    if (!ag__stream_read(s, opening, 10)) return false;
    if (memcmp(opening, "\x93NUMPY", 6) != 0) return ag__input_wrong(&a->in, "it is not a .npy file");
    int version = opening[6];
    if (version < 1 || version > 3 || opening[7] != 0)
        return ag__input_wrong(&a->in, "version %d.%d of the .npy format is not read", version, opening[7]);
    if (version > 1 && !ag__stream_read(s, opening + 10, 2)) return false;
    size_t bytes = (size_t)ag__little(opening + 8, version > 1 ? 4 : 2);
    if (bytes > LONGEST_HEADER)
        return ag__input_wrong(&a->in, "a header of %zu bytes, which is more than %d", bytes, LONGEST_HEADER);
    char *text = ag__input_memory(&a->in, LONGEST_HEADER);
    if (!text) return false;
    header h = {.a = a, .scan = {text, text + bytes}, .member = m};
    bool good = ag__stream_read(s, text, bytes) && read_dictionary(&h);
    ag__resize(a->in.tape, text, LONGEST_HEADER, 0);
    m->skip = (version > 1 ? 12 : 10) + bytes;
    return good;
}

bool ag__npy_list(ag__archive *a, ag__packing packing) {
    ag__member *m = ag__archive_add(a);
    if (!m) return false;
    m->part = (ag__part){.packing = packing, .bytes = a->in.size};
    ag__stream s;
    bool good = ag__stream_open(&s, &a->in, &m->part) && ag__npy_header(a, &s, m);
    ag__stream_close(&s);
    return good && ag__member_fits(a, m);
}

/* ---- Writing ---- */

enum { OPENING = 384 };

/* The same bytes that NumPy writes: version 1, padded with blanks to a multiple of 64. */
static size_t opening_of(char to[OPENING], const ag_tensor *x) {
    static const char *const descr[AG_DTYPES] = {"|b1", "<i8", "<f4", "<f8"};
    enum { BEFORE = 10 };
    ag_shape shape = ag_shape_of(x);
    size_t n = BEFORE;
    n += (size_t)ag__format(to + n, OPENING - n, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                            descr[ag_dtype_of(x)]);
    for (int i = 0; i < shape.rank; i++)
        n += (size_t)ag__format(to + n, OPENING - n, i == 0 ? "%lld" : ", %lld", (long long)shape.extent[i]);
    n += (size_t)ag__format(to + n, OPENING - n, shape.rank == 1 ? ",), }" : "), }");
    size_t whole = ag__rounded(n + 1, 64);
    memset(to + n, ' ', whole - n);
    to[whole - 1] = '\n';
    memcpy(to, "\x93NUMPY\1\0", 8);
    to[8] = (char)((whole - BEFORE) & 0xFF);
    to[9] = (char)((whole - BEFORE) >> 8);
    return whole;
}

void ag__npy_write(ag__saving *s, ag__output *o) {
    char opening[OPENING];
    ag__out(o, opening, opening_of(opening, s->x[0]));
    ag__out_values(o, s->x[0]);
}
