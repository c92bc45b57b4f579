/* case_rows -- how a family of cases is written: its calls, its rows, and what it declares of listed operations
 *
 * A family is the file cases_NAME.c, and its name's line in CASE_FAMILIES. Its golden values are made by golden_NAME.py. */
#ifndef TESTS_CASE_ROWS_H
#define TESTS_CASE_ROWS_H

#include "tests/cases.h"

#define CASE_FAMILIES(X) X(activation) X(basic) X(linalg) X(random) X(reduce) X(shape) X(special)

/* Properties of listed operations that are not in their entries: results less exact than those of their kind, and
 * operations without reference. */
typedef struct case_exception {
    const char *name;
    double ulps;
    unsigned flags;
} case_exception;

/* The references of functions of one real number, and the units in the last place by which f32 may be wrong. Without
 * one an instruction may be wrong by its rounding, and another function by one and a half. */
typedef struct case_reference {
    const char *name;
    double units;
    double (*narrow)(double x);
    long double (*wide)(long double x);
} case_reference;

/* The lists end with a name that is NULL. */
typedef struct case_family {
    const op_case *rows;
    const case_exception *exceptions;
    const case_reference *references;
} case_family;

#define DECLARE(name) extern const case_family cases_##name;
CASE_FAMILIES(DECLARE)
#undef DECLARE

typedef ag_tensor *const *inputs;

/* A call with attributes. */
#define UNUSED(t, d) (void)(t), (void)(d)
#define CALL(name, expression)                                                                                         \
    static ag_tensor *name(ag_tape *t, ag_dtype d, inputs x) {                                                         \
        UNUSED(t, d);                                                                                                  \
        (void)x;                                                                                                       \
        return expression;                                                                                             \
    }

/* The call, and inputs of a domain and shape. */
#define UNARY(f) f, NULL, NULL
#define BINARY(f) NULL, f, NULL
#define BUILD(f) NULL, NULL, f
#define COUNT(...) sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)
#define IN(domain, ...)                                                                                                \
    {                                                                                                                  \
        domain, COUNT(__VA_ARGS__), {__VA_ARGS__}, 0, { .above = 0 }                                                   \
    }
#define INDICES(limit, ...)                                                                                            \
    {                                                                                                                  \
        INDEX, COUNT(__VA_ARGS__), {__VA_ARGS__}, limit, { .above = 0 }                                                \
    }
#define SCALAR(domain)                                                                                                 \
    {                                                                                                                  \
        domain, 0, {0}, 0, { .above = 0 }                                                                              \
    }

#endif
