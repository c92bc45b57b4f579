/* cases_linalg -- linear algebra, einsum, Fourier transforms
 *
 * See case_rows.h. */
#include "tests/case_rows.h"

/* clang-format off */
CALL(tensordot_over, ag_tensordot_over(x[0], x[1], AG_AXES(0, -1), AG_AXES(2, 1)))
CALL(tensordot_over_none, ag_tensordot_over(x[0], x[1], (ag_axes){0, {0}}, (ag_axes){0, {0}}))
CALL(cross_last, ag_cross(x[0], x[1], -1))
CALL(cross_0, ag_cross(x[0], x[1], 0))
CALL(trace_offset, ag_matrix_trace_over(x[0], 1, 0, 2))
CALL(trace_below, ag_matrix_trace_over(x[0], -2, -1, 0))
CALL(trace_beyond, ag_matrix_trace_over(x[0], 9, 0, 1))

#define EINSUM(name, text, n) CALL(name, ag_einsum(text, n, x))
EINSUM(einsum_matmul, "ij,jk->ik", 2)
EINSUM(einsum_batch, "bij,bjk->bik", 2)
EINSUM(einsum_turned, "bij,kjb->bki", 2)
EINSUM(einsum_implied, "ba,cb", 2)
EINSUM(einsum_inner, "i,i", 2)
EINSUM(einsum_rows, "ij,ij->i", 2)
EINSUM(einsum_product, "ij,i->ji", 2)
EINSUM(einsum_outer, "i,jk->jik", 2)
EINSUM(einsum_trace, "ii", 1)
EINSUM(einsum_diagonal, "iji->ji", 1)
EINSUM(einsum_sum, "ijk->j", 1)
EINSUM(einsum_permute, "ijk->kij", 1)
EINSUM(einsum_dots, "...ij,...jk->...ik", 2)
EINSUM(einsum_dots_behind, "i...,ij...", 2)
EINSUM(einsum_dots_sum, "i...->...", 1)
EINSUM(einsum_three, "ij,jk,kl->il", 3)
EINSUM(einsum_bilinear, "bi,oij,bj->bo", 3)
EINSUM(einsum_ones, "ij,ij->ij", 2)
EINSUM(einsum_itself, "ij", 1)

static const op_case rows[] = {
    {"matmul vectors", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 4), IN(ANY, 4)}, ""},
    {"matmul vector by matrix", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 4), IN(ANY, 4, 3)}, ""},
    {"matmul matrix by vector", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 3, 4), IN(ANY, 4)}, ""},
    {"matmul vector by batch", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 2), IN(ANY, 2, 3, 2, 3)}, ""},
    {"matmul batch by vector", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 2, 3, 2, 3), IN(ANY, 3)}, ""},
    {"matmul empty vectors", "matmul", REAL, GRAD | REORDERS, 4, BINARY(ag_matmul), 2, {IN(ANY, 0), IN(ANY, 0)}, ""},
    {"dot vectors", "tensordot", REAL, GRAD | REORDERS, 4, BINARY(ag_dot), 2, {IN(ANY, 4), IN(ANY, 4)}, ""},
    {"dot matrices", "tensordot", REAL, GRAD | REORDERS, 4, BINARY(ag_dot), 2, {IN(ANY, 2, 3), IN(ANY, 3, 4)}, ""},
    {"dot of many axes", "tensordot", REAL, GRAD | REORDERS, 4, BINARY(ag_dot), 2, {IN(ANY, 2, 2, 3), IN(ANY, 2, 3, 2)}, ""},
    {"dot by vector", "tensordot", REAL, GRAD | REORDERS, 4, BINARY(ag_dot), 2, {IN(ANY, 2, 2, 3), IN(ANY, 3)}, ""},
    {"dot by number", "mul", REAL, GRAD, 4, BINARY(ag_dot), 2, {IN(ANY, 2, 3), SCALAR(ANY)}, ""},
    {"vdot", "tensordot", REAL, GRAD | REORDERS, 4, BINARY(ag_vdot), 2, {IN(ANY, 2, 3), IN(ANY, 3, 2)}, ""},
    {"inner", "tensordot", REAL, GRAD | REORDERS, 4, BINARY(ag_inner), 2, {IN(ANY, 2, 2, 3), IN(ANY, 4, 3)}, ""},
    {"inner by number", "mul", REAL, GRAD, 4, BINARY(ag_inner), 2, {SCALAR(ANY), IN(ANY, 2, 3)}, ""},
    {"outer", "mul", NUMBER, GRAD, 4, BINARY(ag_outer), 2, {IN(ANY, 2, 3), IN(ANY, 4)}, ""},
    {"outer nothing", "mul", NUMBER, GRAD, 4, BINARY(ag_outer), 2, {IN(ANY, 0, 3), IN(ANY, 4)}, ""},
    {"kron", "mul", NUMBER, GRAD, 4, BINARY(ag_kron), 2, {IN(ANY, 2, 3), IN(ANY, 3, 2)}, ""},
    {"kron of other ranks", "mul", NUMBER, GRAD, 4, BINARY(ag_kron), 2, {IN(ANY, 3), IN(ANY, 2, 1, 2)}, ""},
    {"kron of numbers", "mul", NUMBER, GRAD, 4, BINARY(ag_kron), 2, {SCALAR(ANY), SCALAR(ANY)}, ""},
    {"kron of many axes", "mul", NUMBER, GRAD, 4, BINARY(ag_kron), 2, {IN(ANY, 2, 1, 2, 1, 3), IN(ANY, 2, 2, 1, 1, 2)}, ""},
    {"kron nothing", "mul", NUMBER, GRAD, 4, BINARY(ag_kron), 2, {IN(ANY, 2, 0), IN(ANY, 2, 2)}, ""},
    {"cross", "mul", NUMBER, GRAD, 4, BUILD(cross_last), 2, {IN(ANY, 2, 3), IN(ANY, 2, 3)}, ""},
    {"cross broadcast", "mul", NUMBER, GRAD | REORDERS, 4, BUILD(cross_last), 2, {IN(ANY, 3), IN(ANY, 2, 1, 3)}, ""},
    {"cross 0", "mul", NUMBER, GRAD, 4, BUILD(cross_0), 2, {IN(ANY, 3, 2), IN(ANY, 3, 2)}, ""},
    {"tensordot_over", "tensordot", REAL, GRAD | REORDERS, 4, BUILD(tensordot_over), 2, {IN(ANY, 2, 4, 3), IN(ANY, 2, 3, 2)}, ""},
    {"tensordot_over none", "tensordot", REAL, GRAD | REORDERS, 4, BUILD(tensordot_over_none), 2, {IN(ANY, 2), IN(ANY, 3)}, ""},
    {"matrix_trace", "sum", NUMBER, GRAD | REORDERS, 4, UNARY(ag_matrix_trace), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"matrix_trace nothing", "sum", NUMBER, GRAD | REORDERS, 4, UNARY(ag_matrix_trace), 1, {IN(ANY, 2, 0, 4)}, ""},
    {"matrix_trace offset", "sum", NUMBER, GRAD | REORDERS, 4, BUILD(trace_offset), 1, {IN(ANY, 3, 2, 4)}, ""},
    {"matrix_trace below", "sum", NUMBER, GRAD | REORDERS, 4, BUILD(trace_below), 1, {IN(ANY, 3, 2, 4)}, ""},
    {"matrix_trace beyond", "sum", NUMBER, GRAD | REORDERS, 4, BUILD(trace_beyond), 1, {IN(ANY, 3, 2, 4)}, ""},
    {"einsum ij,jk->ik", "tensordot", REAL, GRAD | REORDERS | LENIENT, 4, BUILD(einsum_matmul), 2, {IN(ANY, 2, 3), IN(ANY, 3, 4)}, ""},
    {"einsum bij,bjk->bik", "matmul", REAL, GRAD | REORDERS | LENIENT, 4, BUILD(einsum_batch), 2, {IN(ANY, 2, 2, 3), IN(ANY, 2, 3, 2)}, ""},
    {"einsum bij,kjb->bki", "matmul", REAL, GRAD | REORDERS | LENIENT, 4, BUILD(einsum_turned), 2, {IN(ANY, 2, 2, 3), IN(ANY, 4, 3, 2)}, ""},
    {"einsum ba,cb", "tensordot", REAL, GRAD | REORDERS | LENIENT, 4, BUILD(einsum_implied), 2, {IN(ANY, 2, 3), IN(ANY, 4, 2)}, ""},
    {"einsum i,i", NULL, NUMBER, GRAD | REORDERS, 4, BUILD(einsum_inner), 2, {IN(ANY, 4), IN(ANY, 4)}, ""},
    {"einsum ij,ij->i", "sum", NUMBER, GRAD | REORDERS, 4, BUILD(einsum_rows), 2, {IN(ANY, 2, 3), IN(ANY, 2, 3)}, ""},
    {"einsum ij,i->ji", "mul", NUMBER, GRAD | REORDERS, 4, BUILD(einsum_product), 2, {IN(ANY, 2, 3), IN(ANY, 2)}, ""},
    {"einsum i,jk->jik", "mul", NUMBER, GRAD | REORDERS, 4, BUILD(einsum_outer), 2, {IN(ANY, 2), IN(ANY, 2, 3)}, ""},
    {"einsum ii", "sum", NUMBER, GRAD | REORDERS, 4, BUILD(einsum_trace), 1, {IN(ANY, 3, 3)}, ""},
    {"einsum iji->ji", "slice", NUMBER, GRAD, 4, BUILD(einsum_diagonal), 1, {IN(ANY, 3, 2, 3)}, ""},
    {"einsum ijk->j", "sum", NUMBER, GRAD | REORDERS, 4, BUILD(einsum_sum), 1, {IN(ANY, 3, 2, 3)}, ""},
    {"einsum ijk->kij", "permute", NUMBER, GRAD, 4, BUILD(einsum_permute), 1, {IN(ANY, 3, 2, 4)}, ""},
    {"einsum ...ij,...jk->...ik", "tensordot", REAL, GRAD | REORDERS | LENIENT, 4, BUILD(einsum_dots), 2, {IN(ANY, 2, 1, 2, 3), IN(ANY, 2, 3, 2)}, ""},
    {"einsum i...,ij...", "matmul", REAL, GRAD | REORDERS | LENIENT, 4, BUILD(einsum_dots_behind), 2, {IN(ANY, 2, 3), IN(ANY, 2, 2, 3)}, ""},
    {"einsum i...->...", "sum", NUMBER, GRAD | REORDERS, 4, BUILD(einsum_dots_sum), 1, {IN(ANY, 2, 3, 2)}, ""},
    {"einsum ij,jk,kl->il", "tensordot", REAL, GRAD | REORDERS | LENIENT, 8, BUILD(einsum_three), 3, {IN(ANY, 2, 3), IN(ANY, 3, 4), IN(ANY, 4, 2)}, ""},
    {"einsum bi,oij,bj->bo", NULL, REAL, GRAD | REORDERS | LENIENT, 8, BUILD(einsum_bilinear), 3, {IN(ANY, 2, 3), IN(ANY, 2, 3, 2), IN(ANY, 2, 2)}, ""},
    {"einsum ij,ij->ij", "mul", NUMBER, GRAD | REORDERS, 4, BUILD(einsum_ones), 2, {IN(ANY, 2, 1), IN(ANY, 1, 3)}, ""},
    {"einsum ij", NULL, NUMBER, GRAD, 4, BUILD(einsum_itself), 1, {IN(ANY, 2, 3)}, ""},
    {.name = NULL},
};
/* clang-format on */

static const case_exception exceptions[] = {{NULL, 0, 0}};

static const case_reference references[] = {{NULL, 0, NULL, NULL}};

const case_family cases_linalg = {rows, exceptions, references};
