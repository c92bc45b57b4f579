/* zip -- NumPy's file of several arrays: a zip file, of which each member is a .npy file
 *
 * The directory at the end lists the members, and the header before each member repeats its entry. The two must
 * agree in the fields that are used, and the directory must end where its end record begins. Sizes of 64 bits are in
 * extra records, marked by fields of all bits set. */
#include "autograd/tape/op.h"
#include "io/formats.h"

#include <string.h>

enum { LOCAL = 30, CENTRAL = 46, END = 22, LOCATOR = 20, END_64 = 56, LONGEST_COMMENT = 65535 };

static const uint32_t LOCAL_MARK = 0x04034b50, CENTRAL_MARK = 0x02014b50, END_MARK = 0x06054b50,
                      LOCATOR_MARK = 0x07064b50, END_64_MARK = 0x06064b50, AFTER_MARK = 0x08074b50;
static const uint32_t FULL = 0xFFFFFFFF, FULL_16 = 0xFFFF;

enum { ENCRYPTED = 1 << 0, SIZES_AFTER = 1 << 3, UTF8 = 1 << 11 };
enum { METHOD_STORED = 0, METHOD_DEFLATED = 8, SIZES_64 = 1, PADDING = 0xD935, ALIGNMENT = 64 };

/* ---- Reading: the directory ---- */

typedef struct directory {
    uint64_t at, bytes, count;
    uint64_t end; /* its end, where the next record begins */
} directory;

/* The last offset of an end record that reaches, with its comment, to the end of the file. */
static bool find_end(ag__archive *a, unsigned char record[END], uint64_t *at) {
    size_t bytes = a->in.size < END + LONGEST_COMMENT ? (size_t)a->in.size : END + LONGEST_COMMENT;
    unsigned char *tail = ag__input_memory(&a->in, END + LONGEST_COMMENT);
    bool found = false;
    if (!tail) return false;
    if (ag__input_read(&a->in, a->in.size - bytes, tail, bytes))
        for (size_t i = bytes; !found && i >= END; i--) {
            const unsigned char *p = tail + i - END;
            found = ag__little(p, 4) == END_MARK && ag__little(p + 20, 2) == bytes - i;
            if (found) memcpy(record, p, END);
            *at = a->in.size - bytes + i - END;
        }
    ag__resize(a->in.tape, tail, END + LONGEST_COMMENT, 0);
    return found || ag__input_wrong(&a->in, "a zip file without its end: it is cut off, or damaged");
}

/* A number in both records: the wider one counts if the other is all bits, else they must agree. */
static bool agree(uint64_t narrow, uint64_t full, uint64_t wide) { return narrow == full || narrow == wide; }

static bool read_end_64(ag__archive *a, const unsigned char *end, const unsigned char *locator, directory *d) {
    unsigned char record[END_64];
    uint64_t at = ag__little(locator + 8, 8);
    if (!ag__input_read(&a->in, at, record, sizeof record)) return false;
    *d = (directory){ag__little(record + 48, 8), ag__little(record + 40, 8), ag__little(record + 32, 8), at};
    bool one_disk =
        ag__little(record + 16, 4) == 0 && ag__little(record + 20, 4) == 0 && ag__little(record + 24, 8) == d->count;
    bool same = agree(ag__little(end + 10, 2), FULL_16, d->count) && agree(ag__little(end + 12, 4), FULL, d->bytes) &&
                agree(ag__little(end + 16, 4), FULL, d->at);
    return (ag__little(record, 4) == END_64_MARK && one_disk && same) ||
           ag__input_wrong(&a->in, "the two records at the end of the zip file do not agree");
}

static bool find_directory(ag__archive *a, directory *d) {
    unsigned char end[END], locator[LOCATOR];
    uint64_t at = 0;
    if (!find_end(a, end, &at)) return false;
    bool wide = at >= LOCATOR;
    if (wide && !ag__input_read(&a->in, at - LOCATOR, locator, LOCATOR)) return false;
    wide = wide && ag__little(locator, 4) == LOCATOR_MARK;
    *d = (directory){ag__little(end + 16, 4), ag__little(end + 12, 4), ag__little(end + 10, 2), at};
    if (ag__little(end + 4, 2) != 0 || ag__little(end + 6, 2) != 0 || ag__little(end + 8, 2) != d->count)
        return ag__input_wrong(&a->in, "a zip file in several parts, which is not read");
    if (wide && !read_end_64(a, end, locator, d)) return false;
    if (d->at > d->end || d->bytes != d->end - d->at)
        return ag__input_wrong(&a->in, "the directory of the zip file is not where its end says");
    if (d->count > d->bytes / CENTRAL || d->count > UINT32_MAX)
        return ag__input_wrong(&a->in, "the directory of the zip file has no room for %llu members",
                               (unsigned long long)d->count);
    return true;
}

/* ---- Reading: a member ---- */

typedef struct central {
    const unsigned char *fixed; /* its fields of fixed size */
    char *name;
    size_t name_bytes;
    const unsigned char *extra;
    size_t extra_bytes;
    uint64_t bytes, packed, at;
} central;

/* Sizes of all bits set are in the extra record, in order. */
static bool read_sizes(const ag__archive *a, central *c) {
    uint64_t *field[] = {&c->bytes, &c->packed, &c->at};
    const unsigned char *p = c->extra, *end = c->extra + c->extra_bytes, *more = NULL, *more_end = NULL;
    c->bytes = ag__little(c->fixed + 24, 4);
    c->packed = ag__little(c->fixed + 20, 4);
    c->at = ag__little(c->fixed + 42, 4);
    for (size_t n; !more && end - p >= 4; p += 4 + n) {
        n = (size_t)ag__little(p + 2, 2);
        if (n > (size_t)(end - p - 4)) return ag__input_wrong(&a->in, "its extra record in the zip file is damaged");
        if (ag__little(p, 2) == SIZES_64) more = p + 4, more_end = more + n;
    }
    for (int i = 0; i < 3; i++) {
        if (*field[i] != FULL) continue;
        if (!more || more_end - more < 8)
            return ag__input_wrong(&a->in, "its sizes of 64 bits are missing from the zip file");
        *field[i] = ag__little(more, 8);
        more += 8;
    }
    return true;
}

/* The next record of the directory. */
static bool read_central(const ag__archive *a, const directory *d, size_t *at, central *c) {
    char *p = a->text + *at;
    uint64_t left = d->bytes - *at, whole = CENTRAL;
    c->fixed = (const unsigned char *)p;
    if (left >= CENTRAL) {
        c->name_bytes = (size_t)ag__little(c->fixed + 28, 2);
        c->extra_bytes = (size_t)ag__little(c->fixed + 30, 2);
        whole += c->name_bytes + c->extra_bytes + ag__little(c->fixed + 32, 2);
    }
    if (left < whole || ag__little(c->fixed, 4) != CENTRAL_MARK)
        return ag__input_wrong(&a->in, "the directory of the zip file is damaged");
    c->name = p + CENTRAL;
    c->extra = (const unsigned char *)c->name + c->name_bytes;
    *at += (size_t)whole;
    return read_sizes(a, c);
}

static bool name_valid(ag__archive *a, central *c) {
    static const char suffix[] = ".npy";
    enum { BYTES = sizeof suffix - 1 };
    if (c->name_bytes < BYTES || memcmp(c->name + c->name_bytes - BYTES, suffix, BYTES) != 0)
        return ag__input_wrong(&a->in, "the zip file has a member whose name does not end in .npy");
    const char *fault = ag__name_fault(c->name, c->name_bytes - BYTES);
    return !fault || ag__input_wrong(&a->in, "a name in the zip file has %s", fault);
}

static bool method_valid(const ag__archive *a, const central *c) {
    uint64_t flags = ag__little(c->fixed + 8, 2), method = ag__little(c->fixed + 10, 2);
    if (flags & ENCRYPTED) return ag__input_wrong(&a->in, "it is encrypted");
    if (method != METHOD_STORED && method != METHOD_DEFLATED)
        return ag__input_wrong(&a->in, "it is packed by method %d: only DEFLATE is read", (int)method);
    return method == METHOD_DEFLATED || c->packed == c->bytes ||
           ag__input_wrong(&a->in, "its two sizes in the zip file differ, but it is not packed");
}

static bool same_name(ag__archive *a, uint64_t at, const central *c) {
    char piece[256];
    for (size_t i = 0, n; i < c->name_bytes; i += n) {
        n = c->name_bytes - i < sizeof piece ? c->name_bytes - i : sizeof piece;
        if (!ag__input_read(&a->in, at + i, piece, n)) return false;
        if (memcmp(piece, c->name + i, n) != 0) return ag__input_wrong(&a->in, "the zip file has it under two names");
    }
    return true;
}

/* Find its bytes, behind its header. */
static bool find_part(ag__archive *a, const directory *d, const central *c, ag__part *part) {
    unsigned char local[LOCAL];
    if (c->at > d->at || d->at - c->at < LOCAL)
        return ag__input_wrong(&a->in, "the zip file has it beyond its directory");
    if (!ag__input_read(&a->in, c->at, local, LOCAL)) return false;
    if (ag__little(local, 4) != LOCAL_MARK || ag__little(local + 8, 2) != ag__little(c->fixed + 10, 2) ||
        ag__little(local + 26, 2) != c->name_bytes)
        return ag__input_wrong(&a->in, "its header in the zip file is not what the directory says");
    if (!same_name(a, c->at + LOCAL, c)) return false;
    uint64_t at = c->at + LOCAL + c->name_bytes + ag__little(local + 28, 2);
    if (at > d->at || c->packed > d->at - at)
        return ag__input_wrong(&a->in, "it goes on beyond the directory of the zip file");
    *part = (ag__part){.packing = ag__little(local + 8, 2) == METHOD_DEFLATED ? AG__DEFLATED : AG__STORED,
                       .at = at,
                       .bytes = c->packed,
                       .has_crc = true,
                       .crc = (uint32_t)ag__little(c->fixed + 16, 4)};
    return true;
}

static bool read_header(ag__archive *a, const central *c, ag__member *m) {
    ag__stream s;
    bool good = ag__stream_open(&s, &a->in, &m->part) && ag__npy_header(a, &s, m);
    ag__stream_close(&s);
    if (!good) return false;
    if (m->skip > c->bytes) return ag__input_wrong(&a->in, "its header is longer than the zip file says it is");
    return ag__member_has(a, m, c->bytes - m->skip) && ag__member_fits(a, m);
}

static bool list_member(ag__archive *a, const directory *d, size_t *at) {
    central c;
    ag__part part;
    if (!read_central(a, d, at, &c) || !name_valid(a, &c) || !find_part(a, d, &c, &part)) return false;
    c.name[c.name_bytes - 4] = 0;
    a->in.tensor = c.name;
    if (!method_valid(a, &c)) return false;
    ag__member *m = ag__archive_add(a);
    if (!m) return false;
    m->name = c.name;
    m->part = part;
    return read_header(a, &c, m);
}

bool ag__zip_list(ag__archive *a) {
    directory d = {.at = 0};
    size_t at = 0;
    if (!find_directory(a, &d)) return false;
    if (!ag__archive_text(a, d.bytes)) return false;
    if (!ag__input_read(&a->in, d.at, a->text, (size_t)d.bytes)) return false;
    for (uint64_t i = 0; i < d.count; i++) {
        a->in.tensor = NULL;
        if (!list_member(a, &d, &at)) return false;
    }
    a->in.tensor = NULL;
    return at == d.bytes || ag__input_wrong(&a->in, "the directory of the zip file has more members than its end says");
}

/* ---- Writing ---- */

/* From these sizes on an extra record is needed; tiny limits let the tests reach them. */
#if AG_TINY_LIMITS
static const uint64_t MOST = 300, MOST_MEMBERS = 3;
#else
static const uint64_t MOST = 0xFFFFFFFF, MOST_MEMBERS = 0xFFFF;
#endif

enum {
    NO_DATE = 0x21,
    VERSION = 20,
    VERSION_64 = 45
}; /* 1 January 1980, so that the same tensors give the same bytes */

static uint64_t field(uint64_t n) { return n < MOST ? n : FULL; }

/* Whether packing may make it as large: DEFLATE adds a few bytes to what cannot be packed. */
static bool is_wide(uint64_t bytes) { return bytes + bytes / 1024 + 64 >= MOST; }

static int flags_of(const ag__saving *s, const char *name) {
    int flags = s->compress ? SIZES_AFTER : 0;
    for (; *name; name++)
        if ((unsigned char)*name >= 0x80) flags |= UTF8;
    return flags;
}

static void put_name(ag__output *o, const char *name) {
    ag__out(o, name, strlen(name));
    ag__out(o, ".npy", 4);
}

static void put_common(ag__saving *s, ag__output *o, int i, bool wide) {
    ag__out_number(o, wide ? VERSION_64 : VERSION, 2);
    ag__out_number(o, (uint64_t)flags_of(s, s->name[i]), 2);
    ag__out_number(o, s->compress ? METHOD_DEFLATED : METHOD_STORED, 2);
    ag__out_number(o, 0, 2);
    ag__out_number(o, NO_DATE, 2);
}

/* The bytes of a record that makes what is not packed begin at a multiple of 64, as a .npy file's elements do then: so
 * they can be mapped. It has the form that zipalign gave it. */
static uint64_t padding_from(uint64_t at) { return 6 + (ALIGNMENT - (at + 6) % ALIGNMENT) % ALIGNMENT; }

static void put_padding(ag__output *o, uint64_t bytes) {
    ag__out_number(o, PADDING, 2);
    ag__out_number(o, bytes - 4, 2);
    ag__out_number(o, ALIGNMENT, 2);
    for (uint64_t i = 6; i < bytes; i++) ag__out_number(o, 0, 1);
}

/* Sizes of what is packed come after it, when they are known. */
static void put_local(ag__saving *s, ag__output *o, int i) {
    ag__zipped *z = &s->zipped[i];
    bool wide = is_wide(z->bytes);
    uint64_t known = s->compress ? 0 : z->bytes, name = strlen(s->name[i]) + 4, sizes = wide ? 20 : 0;
    uint64_t padding = s->compress ? 0 : padding_from(o->at + LOCAL + name + sizes);
    z->at = o->at;
    ag__out_number(o, LOCAL_MARK, 4);
    put_common(s, o, i, wide);
    ag__out_number(o, s->compress ? 0 : z->crc, 4);
    ag__out_number(o, wide ? FULL : known, 4);
    ag__out_number(o, wide ? FULL : known, 4);
    ag__out_number(o, name, 2);
    ag__out_number(o, sizes + padding, 2);
    put_name(o, s->name[i]);
    if (wide) {
        ag__out_number(o, SIZES_64, 2);
        ag__out_number(o, 16, 2);
        ag__out_number(o, known, 8);
        ag__out_number(o, known, 8);
    }
    if (padding) put_padding(o, padding);
}

static void put_npy(ag__saving *s, ag__output *o, int i) { ag__npy_write(&(ag__saving){.n = 1, .x = s->x + i}, o); }

static void put_member(ag__saving *s, ag__output *o, int i) {
    ag__zipped *z = &s->zipped[i];
    ag__output counted = {.summed = true};
    put_npy(s, &counted, i);
    *z = (ag__zipped){.bytes = counted.at, .packed = counted.at, .crc = counted.crc};
    put_local(s, o, i);
    uint64_t before = o->at;
    o->deflater = s->deflater;
    put_npy(s, o, i);
    ag__out_end(o);
    o->deflater = NULL;
    z->packed = o->at - before;
    if (!s->compress) return;
    int bytes = is_wide(z->bytes) ? 8 : 4;
    ag__out_number(o, AFTER_MARK, 4);
    ag__out_number(o, z->crc, 4);
    ag__out_number(o, z->packed, bytes);
    ag__out_number(o, z->bytes, bytes);
}

static void put_central(ag__saving *s, ag__output *o, int i) {
    const ag__zipped *z = &s->zipped[i];
    const uint64_t wide[] = {z->bytes, z->packed, z->at};
    int more = 0;
    for (int k = 0; k < 3; k++) more += wide[k] >= MOST;
    ag__out_number(o, CENTRAL_MARK, 4);
    ag__out_number(o, VERSION_64, 2);
    put_common(s, o, i, more > 0 || is_wide(z->bytes));
    ag__out_number(o, z->crc, 4);
    ag__out_number(o, field(z->packed), 4);
    ag__out_number(o, field(z->bytes), 4);
    ag__out_number(o, strlen(s->name[i]) + 4, 2);
    ag__out_number(o, more ? 4 + 8 * (uint64_t)more : 0, 2);
    ag__out_number(o, 0, 2 + 2 + 2); /* no comment; the first disk; no attributes, */
    ag__out_number(o, 0, 4);         /* inside or outside */
    ag__out_number(o, field(z->at), 4);
    put_name(o, s->name[i]);
    if (more) ag__out_number(o, SIZES_64, 2), ag__out_number(o, 8 * (uint64_t)more, 2);
    for (int k = 0; k < 3; k++)
        if (wide[k] >= MOST) ag__out_number(o, wide[k], 8);
}

static void put_end_64(ag__output *o, const directory *d) {
    ag__out_number(o, END_64_MARK, 4);
    ag__out_number(o, END_64 - 12, 8);
    ag__out_number(o, VERSION_64, 2);
    ag__out_number(o, VERSION_64, 2);
    ag__out_number(o, 0, 8); /* disks */
    ag__out_number(o, d->count, 8);
    ag__out_number(o, d->count, 8);
    ag__out_number(o, d->bytes, 8);
    ag__out_number(o, d->at, 8);
    ag__out_number(o, LOCATOR_MARK, 4);
    ag__out_number(o, 0, 4);
    ag__out_number(o, d->end, 8);
    ag__out_number(o, 1, 4);
}

static void put_end(ag__output *o, const directory *d) {
    bool wide = d->count >= MOST_MEMBERS || d->bytes >= MOST || d->at >= MOST;
    uint64_t count = d->count < MOST_MEMBERS ? d->count : FULL_16;
    if (wide) put_end_64(o, d);
    ag__out_number(o, END_MARK, 4);
    ag__out_number(o, 0, 4);
    ag__out_number(o, count, 2);
    ag__out_number(o, count, 2);
    ag__out_number(o, field(d->bytes), 4);
    ag__out_number(o, field(d->at), 4);
    ag__out_number(o, 0, 2);
}

void ag__zip_write(ag__saving *s, ag__output *o) {
    for (int i = 0; i < s->n; i++) put_member(s, o, i);
    directory d = {.at = o->at, .count = (uint64_t)s->n};
    for (int i = 0; i < s->n; i++) put_central(s, o, i);
    d.end = o->at;
    d.bytes = d.end - d.at;
    put_end(o, &d);
}
