/* cases_special -- special functions
 *
 * See case_rows.h. */
#include "tests/case_rows.h"

/* clang-format off */
static const op_case rows[] = {
    {.name = NULL},
};
/* clang-format on */

static const case_exception exceptions[] = {{NULL, 0, 0}};

static const case_reference references[] = {{NULL, 0, NULL, NULL}};

const case_family cases_special = {rows, exceptions, references};
