/* cases -- the table of cases: every operation, its inputs, and the tests that apply
 *
 * A row names a public constructor call and its inputs. Operations that are called with one or two tensors and nothing
 * else have theirs from the list of operations and their entries; the others' are written in families (case_rows.h).
 * Elementwise rows stand for several cases: as written, on scalars, on nothing, broadcast, and on special values. A case
 * is then run for each dtype that the row accepts. */
#ifndef TESTS_CASES_H
#define TESTS_CASES_H

#include "tests/support.h"

typedef enum domain {
    ANY,      /* real: about -2 to 2, without zero, all different, also between inputs; i64: small, zero included */
    POSITIVE, /* 1/4 and up */
    NONZERO,  /* of both signs, 1/4 and more from zero */
    MATRIX,   /* real: small numbers, and 3, 4, … more on the diagonals of the last two axes: far from singular */
    INSIDE,   /* real: inside the input's interval, away from its ends */
    TIES,     /* -1, 0 and 1 */
    SPECIAL,  /* NaN, infinities, zeros, the smallest and the largest numbers */
    INDEX,    /* i64, 0 <= i < limit; dtype fixed */
    MASK      /* bool; dtype fixed */
} domain;

/* Sets of dtypes. */
enum { REAL = 1 << AG_F32 | 1 << AG_F64, NUMBER = REAL | 1 << AG_I64, ANYTHING = NUMBER | 1 << AG_BOOL };

enum {
    ELEMENTWISE = 1, /* takes any shape */
    GRAD = 2,        /* has a derivative that finite differences find */
    SUBGRAD = 4,     /* has a derivative that they do not find: ties, rounding */
    REORDERS = 8,    /* sums in an order that depends on strides */
    NO_GOLDEN = 16,  /* random, or no reference has it */
    LENIENT = 32,    /* also takes dtypes that it is not run for */
    LAPACK = 64,     /* only in builds with LAPACK, */
    FFTW = 128,      /* or with FFTW: other builds have no such case */
    INVERTS = 256,   /* input 0 is a matrix, and an error where it is singular, if only in the gradient; */
    FACTORS = 512,   /* or an error or NaN where it is not finite, too, whatever the cotangent */
    TWICE = 1024     /* has no third derivative */
};

typedef struct case_input {
    domain domain;
    int rank;
    int64_t extent[AG_MAX_RANK];
    int64_t limit;    /* INDEX */
    ag_domain inside; /* INSIDE */
} case_input;

enum { CASE_INPUTS = 3, CASE_ELEMENTS = 512 };

typedef struct op_case {
    const char *name; /* of the call, and its speciality */
    const char *op;   /* under test: the recorded graph has a node of it; NULL if the call is composed of others */
    unsigned dtypes;  /* of the inputs whose dtype is not fixed */
    unsigned flags;
    double ulps; /* the allowed error, beyond rounding the reference's result, in units in the last place */
    ag_tensor *(*unary)(ag_tensor *x); /* one of the three */
    ag_tensor *(*binary)(ag_tensor *a, ag_tensor *b);
    ag_tensor *(*build)(ag_tape *t, ag_dtype dtype, ag_tensor *const x[]);
    int n;
    case_input x[CASE_INPUTS];
    const char *variant; /* "", or the case that an elementwise row stands for */
} op_case;

int case_count(void);
op_case case_at(int i);

/* Whether the operation has a case that needs a library which this build is without. */
bool case_is_left_out(const char *op);

bool case_accepts(const op_case *c, ag_dtype dtype);

/* "add/broadcast f32", in one of a few static buffers. */
const char *case_title(const op_case *c, ag_dtype dtype);

/* Input i, when the case is run for this dtype. */
ag_dtype case_dtype(const op_case *c, ag_dtype dtype, int i);
ag_shape case_shape(const op_case *c, int i);
void case_values(const op_case *c, ag_dtype dtype, int i, double values[CASE_ELEMENTS]);
void case_inputs(const op_case *c, ag_dtype dtype, ag_tape *t, ag_tensor *x[CASE_INPUTS]);

ag_tensor *case_call(const op_case *c, ag_tape *t, ag_dtype dtype, ag_tensor *const x[]);

/* Cotangent j of the golden gradients, for any output. */
double case_cotangent(int64_t j);

/* A number that changes when the inputs do. */
uint64_t case_checksum(const op_case *c, ag_dtype dtype);

/* Prints each case with its inputs, for golden.py. */
void case_list(void);

/* ---- Functions of one real number: the listed operations of one tensor that take f32 and f64 ---- */

typedef struct real_function {
    const char *name;
    ag_tensor *(*call)(ag_tensor *x);
    double ulps;                        /* as in the case */
    double units;                       /* the largest error of f32, in units of the last place */
    double (*narrow)(double x);         /* C's; NULL: the function's own f64 is the reference of f32 */
    long double (*wide)(long double x); /* C's; NULL: f64 has no reference but that of the case */
} real_function;

int real_function_count(void);
real_function real_function_at(int i);

#endif
