/* operations -- fuzz target: entries of the list, with attributes that are any bytes (tests/attributes.c) */
#include "tests/attributes.h"
#include "tests/fuzz/fuzz.h"

static uint64_t bits(void *context) { return feed_bits(context, 7); }
static int below(void *context, int n) { return feed_below(context, n); }

void fuzz_attributes(const uint8_t *data, size_t size) {
    ledger l;
    feed f = {data, data + size};
    const ag_op *op = ag_op_at(feed_below(&f, ag_op_count()));
    ledger_open(&l);
    l.most = MOST_MEMORY;
    attributes_apply(op, &(lots){.bits = bits, .below = below, .context = &f}, &l.allocator);
    ledger_close(&l);
}
