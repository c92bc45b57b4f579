/* list -- the operations by number */
#include "ops/list.h"

#define ENTRY(op) &op,
static const ag_op *const all[] = {AG_OPS(ENTRY)};
#undef ENTRY

enum { COUNT = sizeof all / sizeof *all };

int ag_op_count(void) { return COUNT; }

const ag_op *ag_op_at(int i) { return i >= 0 && i < COUNT ? all[i] : NULL; }
