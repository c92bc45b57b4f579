/* idx -- the format of MNIST: a dtype, a rank, extents of 32 bits, and elements, the most significant byte first */
#include "io/formats.h"

static bool read_header(const ag__archive *a, ag__stream *s, ag__member *m) {
    unsigned char opening[4], extent[4];
    if (!ag__stream_read(s, opening, sizeof opening)) return false;
    switch (opening[2]) {
    case 0x08: m->element.kind = AG__U8; break;
    case 0x09: m->element.kind = AG__I8; break;
    case 0x0B: m->element.kind = AG__I16; break;
    case 0x0C: m->element.kind = AG__I32; break;
    case 0x0D: m->element.kind = AG__F32; break;
    case 0x0E: m->element.kind = AG__F64; break;
    default: return ag__input_wrong(&a->in, "its dtype %02x is not one of IDX", opening[2]);
    }
    m->element.big = true;
    if (opening[3] > AG_MAX_RANK)
        return ag__input_wrong(&a->in, "rank %d, which is more than %d", opening[3], AG_MAX_RANK);
    for (m->shape.rank = 0; m->shape.rank < opening[3]; m->shape.rank++) {
        if (!ag__stream_read(s, extent, sizeof extent)) return false;
        m->shape.extent[m->shape.rank] = (int64_t)ag__big(extent, 4);
    }
    m->skip = 4 + 4 * (uint64_t)opening[3];
    return ag__member_shape_valid(a, m);
}

bool ag__idx_list(ag__archive *a, ag__packing packing) {
    ag__member *m = ag__archive_add(a);
    if (!m) return false;
    m->part = (ag__part){.packing = packing, .bytes = a->in.size};
    ag__stream s;
    bool good = ag__stream_open(&s, &a->in, &m->part) && read_header(a, &s, m);
    ag__stream_close(&s);
    return good && ag__member_fits(a, m);
}
