/* list -- the operations by number */
#include "autograd/tape/basis.h"
#include "ops/rules.h"

#define ENTRY(kind, name) &ag__op_##name,
static const ag_op *const all[] = {AG_OPS(ENTRY)};
#undef ENTRY

enum { COUNT = sizeof all / sizeof *all };

int ag_op_count(void) { return COUNT; }

const ag_op *ag_op_at(int i) { return i >= 0 && i < COUNT ? all[i] : NULL; }

bool ag__is_listed(const ag_op *op) {
    for (int i = 0; i < COUNT; i++)
        if (all[i] == op) return true;
    return false;
}
