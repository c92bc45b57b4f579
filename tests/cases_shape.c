/* cases_shape -- rearranging, padding, indexing, constructors
 *
 * See case_rows.h. */
#include "tests/case_rows.h"

/* One of the tensors that a call gives. */
static ag_tensor *part_of(ag_status (*divide)(ag_tensor *, int, int, ag_tensor **), ag_tensor *x, int axis, int n,
                          int which) {
    ag_tensor *y[8] = {NULL};
    divide(x, axis, n, y);
    return y[which];
}

static ag_tensor *sized(ag_tensor *x, int axis, int n, const int64_t *sizes, int which) {
    ag_tensor *y[8] = {NULL};
    ag_split_sizes(x, axis, n, sizes, y);
    return y[which];
}

static ag_tensor *grid(int n, inputs x, bool xy, int which) {
    ag_tensor *y[8] = {NULL};
    ag_meshgrid(n, x, xy, y);
    return y[which];
}

static ag_tensor *broadcast_of(int n, inputs x, int which) {
    ag_tensor *y[8] = {NULL};
    ag_broadcast_tensors(n, x, y);
    return y[which];
}

/* clang-format off */
CALL(expand_as, ag_expand_as(x[0], x[1]))
CALL(movedim_1, ag_movedim(x[0], AG_AXES(0), AG_AXES(-1)))
CALL(movedim_2, ag_movedim(x[0], AG_AXES(3, 0), AG_AXES(0, 2)))
CALL(movedim_middle, ag_movedim(x[0], AG_AXES(1), AG_AXES(-1)))
CALL(movedim_8, ag_movedim(x[0], AG_AXES(-1, 2), AG_AXES(1, 7)))
CALL(swapaxes_01, ag_swapaxes(x[0], 0, -1))
CALL(flatten_all, ag_flatten(x[0], 0, -1))
CALL(flatten_12, ag_flatten(x[0], 1, 2))
CALL(unflatten_1, ag_unflatten(x[0], 1, AG_SHAPE(2, -1)))
CALL(unflatten_last, ag_unflatten(x[0], -1, AG_SHAPE(3, 1, 2)))
CALL(rot90_1, ag_rot90(x[0], 1, AG_AXES(0, 1)))
CALL(rot90_2, ag_rot90(x[0], 2, AG_AXES(0, 1)))
CALL(rot90_3, ag_rot90(x[0], -1, AG_AXES(2, 0)))
CALL(rot90_4, ag_rot90(x[0], -8, AG_AXES(0, 1)))

CALL(stack_0, ag_stack(3, x, 0))
CALL(stack_last, ag_stack(2, x, -1))
CALL(hstack_1, ag_hstack(2, x))
CALL(hstack_2, ag_hstack(2, x))
CALL(vstack_1, ag_vstack(2, x))
CALL(dstack_1, ag_dstack(2, x))
CALL(dstack_2, ag_dstack(2, x))
CALL(split_2, part_of(ag_split, x[0], 1, 3, 2))
CALL(chunk_last, part_of(ag_chunk, x[0], -1, 3, 2))
CALL(chunk_none, part_of(ag_chunk, x[0], 0, 4, 3))
CALL(split_sizes, sized(x[0], 1, 3, (int64_t[]){1, 0, 5}, 2))
CALL(meshgrid_ij, grid(3, x, false, 1))
CALL(meshgrid_xy, grid(2, x, true, 0))
CALL(broadcast_tensors, broadcast_of(3, x, 1))

CALL(roll_1, ag_roll(x[0], 1, 0))
CALL(roll_back, ag_roll(x[0], -9, 1))
CALL(roll_over, ag_roll_over(x[0], AG_SHAPE(1, -1), AG_AXES(0, 2)))
CALL(tile_2, ag_tile(x[0], AG_SHAPE(2, 3)))
CALL(tile_more, ag_tile(x[0], AG_SHAPE(2, 1, 2)))
CALL(tile_less, ag_tile(x[0], AG_SHAPE(2)))
CALL(tile_none, ag_tile(x[0], AG_SHAPE(2, 0)))
CALL(tile_8, ag_tile(x[0], AG_SHAPE(2, 1, 1, 1, 1, 1, 1, 3)))
CALL(repeat_3, ag_repeat(x[0], AG_SHAPE(3, 1, 2)))
CALL(repeat_interleave_0, ag_repeat_interleave(x[0], 3, 0))
CALL(repeat_interleave_8, ag_repeat_interleave(x[0], 2, 2))
CALL(repeat_interleave_by, ag_repeat_interleave_by(x[0], x[1], 1))

CALL(pad_12, ag_pad(x[0], AG_AXES(1, 2), AG_SHAPE(1, 2), AG_SHAPE(0, 1)))
CALL(pad_all, ag_pad(x[0], AG_ALL_AXES, AG_SHAPE(1, 0), AG_SHAPE(0, 2)))
CALL(pad_crop, ag_pad(x[0], AG_AXES(-1, 0), AG_SHAPE(-1, 2), AG_SHAPE(2, -1)))
CALL(pad_one, ag_pad_with(x[0], AG_AXES(0, 1), AG_SHAPE(1, 1), AG_SHAPE(1, 1), AG_PAD_CONSTANT, 1))
CALL(pad_nothing, ag_pad(x[0], AG_AXES(0, 1), AG_SHAPE(2, 1), AG_SHAPE(0, 0)))
CALL(pad_only, ag_pad(x[0], AG_AXES(0), AG_SHAPE(0), AG_SHAPE(0)))
CALL(pad_reflect, ag_pad_with(x[0], AG_AXES(1, 2), AG_SHAPE(1, 2), AG_SHAPE(2, 0), AG_PAD_REFLECT, 0))
CALL(pad_replicate, ag_pad_with(x[0], AG_AXES(1, 2), AG_SHAPE(1, 2), AG_SHAPE(3, 4), AG_PAD_REPLICATE, 0))
CALL(pad_circular, ag_pad_with(x[0], AG_AXES(2, 1), AG_SHAPE(3, 1), AG_SHAPE(2, 2), AG_PAD_CIRCULAR, 0))
CALL(pad_far, ag_pad_with(x[0], AG_AXES(0), AG_SHAPE(7), AG_SHAPE(8), AG_PAD_REFLECT, 0))
CALL(slices, ag_at(x[0], "1:, ..., ::-2"))
CALL(slices_3, ag_at(x[0], "::-1, 1:3, :2"))

CALL(diagonal_0, ag_diagonal(x[0], 0, 0, 1))
CALL(diagonal_up, ag_diagonal(x[0], 1, -2, -1))
CALL(diagonal_down, ag_diagonal(x[0], -1, 2, 0))
CALL(diagonal_none, ag_diagonal(x[0], 5, 0, 1))
CALL(diag_embed_0, ag_diag_embed(x[0], 0, -2, -1))
CALL(diag_embed_up, ag_diag_embed(x[0], 2, 0, 2))
CALL(diag_embed_down, ag_diag_embed(x[0], -1, 1, 0))
CALL(diag_1, ag_diag(x[0], 1))
CALL(diag_2, ag_diag(x[0], -1))
CALL(eye_34, ag_eye(t, d, 3, 4, 1))
CALL(eye_none, ag_eye(t, d, 3, 2, -3))
CALL(tril_0, ag_tril(x[0], 0))
CALL(tril_far, ag_tril(x[0], -1))
CALL(triu_1, ag_triu(x[0], 1))
CALL(triu_far, ag_triu(x[0], INT64_MIN))

CALL(arange_with, ag_arange_with(t, d, 2, 10, 3))
CALL(arange_down, ag_arange_with(t, d, 5, -3, -2))
CALL(arange_empty, ag_arange_with(t, d, 5, 5, 1))
CALL(arange_tenths, ag_arange_with(t, d, -1, 1, 0.3))
CALL(linspace_7, ag_linspace(t, d, -1, 2, 7))
CALL(linspace_1, ag_linspace(t, d, 3, 4, 1))
CALL(linspace_0, ag_linspace(t, d, 3, 4, 0))
CALL(logspace_5, ag_logspace(t, d, -2, 3, 5, 10))
CALL(zeros_like, ag_zeros_like(x[0]))
CALL(ones_like, ag_ones_like(x[0]))
CALL(full_like, ag_full_like(x[0], 3))

CALL(at_integer, ag_at(x[0], "1"))
CALL(at_mixed, ag_at(x[0], "-1, None, ..., ::2, newaxis"))
CALL(at_rest, ag_at(x[0], "…, 0"))
CALL(index_1, ag_index(x[0], AG_ITEMS(AG_BY(x[1]))))
CALL(index_middle, ag_index(x[0], AG_ITEMS(AG_ALL, AG_BY(x[1]), AG_BY(x[2]))))
CALL(index_apart, ag_index(x[0], AG_ITEMS(AG_BY(x[1]), AG_RANGE(AG_END, AG_END, -1), AG_BY(x[2]), AG_NEW)))
CALL(index_integer, ag_index(x[0], AG_ITEMS(AG_AT(-1), AG_ALL, AG_BY(x[1]))))
CALL(index_beside, ag_index(x[0], AG_ITEMS(AG_RANGE(1, AG_END, 1), AG_AT(1), AG_BY(x[1]))))
CALL(index_mask, ag_index(x[0], AG_ITEMS(AG_BY(x[1]), AG_ALL)))
CALL(at_with, ag_at_with(x[0], "..., %, 1:", 1, (ag_tensor *[]){x[1]}))
CALL(index_put_set, ag_index_put(x[0], AG_ITEMS(AG_BY(x[1])), x[2], AG_PUT_SET))
CALL(index_put_add, ag_index_put(x[0], AG_ITEMS(AG_ALL, AG_BY(x[1])), x[2], AG_PUT_ADD))
CALL(index_put_max, ag_index_put(x[0], AG_ITEMS(AG_ALL, AG_BY(x[1])), x[2], AG_PUT_MAX))
CALL(index_put_slices, ag_index_put(x[0], AG_ITEMS(AG_RANGE(AG_END, AG_END, -2), AG_AT(1), AG_NEW), x[1], AG_PUT_SET))
CALL(index_put_all, ag_index_put(x[0], AG_ITEMS(AG_REST), x[1], AG_PUT_ADD))
CALL(put_at, ag_put_at(x[0], "%, 1:", 1, (ag_tensor *[]){x[1]}, x[2], AG_PUT_SET))
CALL(put_at_mask, ag_put_at(x[0], "%", 1, (ag_tensor *[]){x[1]}, x[2], AG_PUT_SET))

CALL(index_select_0, ag_index_select(x[0], x[1], 0))
CALL(index_select_last, ag_index_select(x[0], x[1], -1))
CALL(index_add_0, ag_index_add(x[0], x[1], x[2], 0))
CALL(index_add_1, ag_index_add(x[0], x[1], x[2], 1))
CALL(take_0, ag_take_along_axis(x[0], x[1], 0))
CALL(take_1, ag_take_along_axis(x[0], x[1], 1))
CALL(put_along_set, ag_put_along_axis(x[0], x[1], x[2], 1, AG_PUT_SET))
CALL(put_along_add, ag_put_along_axis(x[0], x[1], x[2], 0, AG_PUT_ADD))
CALL(scatter_0, ag_scatter(x[0], x[1], x[2], 0))
CALL(scatter_max_1, ag_scatter_max(x[0], x[1], x[2], 1))
CALL(scatter_min_0, ag_scatter_min(x[0], x[1], x[2], 0))

CALL(nonzero, ag_nonzero(x[0]))
CALL(masked_fill, ag_masked_fill(x[0], x[1], 1))
CALL(masked_select, ag_masked_select(x[0], x[1]))
CALL(masked_scatter, ag_masked_scatter(x[0], x[1], x[2]))
CALL(one_hot_4, ag_one_hot(x[0], 4, d))

static const op_case rows[] = {
    {"expand_as", "broadcast_to", ANYTHING, GRAD | REORDERS, 2, BUILD(expand_as), 2, {IN(ANY, 3, 1), IN(MASK, 2, 3, 4)}, ""},
    {"movedim one", "permute", ANYTHING, GRAD, 0, BUILD(movedim_1), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"movedim two", "permute", ANYTHING, GRAD, 0, BUILD(movedim_2), 1, {IN(ANY, 2, 3, 2, 4)}, ""},
    {"swapaxes", "permute", ANYTHING, GRAD, 0, BUILD(swapaxes_01), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"movedim middle", "permute", ANYTHING, GRAD, 0, BUILD(movedim_middle), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"movedim 8", "permute", ANYTHING, GRAD, 0, BUILD(movedim_8), 1, {IN(ANY, 1, 2, 3, 1, 2, 1, 1, 2)}, ""},
    {"flatten", "reshape", ANYTHING, GRAD, 0, BUILD(flatten_all), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"flatten scalar", "reshape", ANYTHING, GRAD, 0, BUILD(flatten_all), 1, {SCALAR(ANY)}, ""},
    {"flatten some", "reshape", ANYTHING, GRAD, 0, BUILD(flatten_12), 1, {IN(ANY, 2, 3, 2, 2)}, ""},
    {"flatten 8", "reshape", ANYTHING, GRAD, 0, BUILD(flatten_12), 1, {IN(ANY, 1, 2, 3, 1, 2, 1, 1, 2)}, ""},
    {"flatten nothing", "reshape", ANYTHING, GRAD, 0, BUILD(flatten_12), 1, {IN(ANY, 2, 0, 2, 2)}, ""},
    {"unflatten", "reshape", ANYTHING, GRAD, 0, BUILD(unflatten_1), 1, {IN(ANY, 2, 6, 2)}, ""},
    {"unflatten last", "reshape", ANYTHING, GRAD, 0, BUILD(unflatten_last), 1, {IN(ANY, 2, 6)}, ""},
    {"rot90 one", "permute", ANYTHING, GRAD, 0, BUILD(rot90_1), 1, {IN(ANY, 2, 3, 2)}, ""},
    {"rot90 two", "slice", ANYTHING, GRAD, 0, BUILD(rot90_2), 1, {IN(ANY, 2, 3)}, ""},
    {"rot90 three", "slice", ANYTHING, GRAD, 0, BUILD(rot90_3), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"rot90 four", NULL, ANYTHING, GRAD, 0, BUILD(rot90_4), 1, {IN(ANY, 2, 3)}, ""},

    {"stack first", "concat", ANYTHING, GRAD, 0, BUILD(stack_0), 3, {IN(ANY, 2, 3), IN(ANY, 2, 3), IN(ANY, 2, 3)}, ""},
    {"stack last", "concat", ANYTHING, GRAD, 0, BUILD(stack_last), 2, {IN(ANY, 4), IN(ANY, 4)}, ""},
    {"stack scalars", "concat", ANYTHING, GRAD, 0, BUILD(stack_last), 2, {SCALAR(ANY), SCALAR(ANY)}, ""},
    {"stack nothing", "concat", ANYTHING, GRAD, 0, BUILD(stack_last), 2, {IN(ANY, 0, 3), IN(ANY, 0, 3)}, ""},
    {"hstack lists", "concat", ANYTHING, GRAD, 0, BUILD(hstack_1), 2, {IN(ANY, 2), IN(ANY, 3)}, ""},
    {"hstack", "concat", ANYTHING, GRAD, 0, BUILD(hstack_2), 2, {IN(ANY, 2, 1, 2), IN(ANY, 2, 3, 2)}, ""},
    {"vstack", "concat", ANYTHING, GRAD, 0, BUILD(vstack_1), 2, {IN(ANY, 3), IN(ANY, 2, 3)}, ""},
    {"dstack", "concat", ANYTHING, GRAD, 0, BUILD(dstack_1), 2, {IN(ANY, 3), IN(ANY, 3)}, ""},
    {"dstack matrices", "concat", ANYTHING, GRAD, 0, BUILD(dstack_2), 2, {IN(ANY, 2, 3), IN(ANY, 2, 3, 2)}, ""},
    {"split", "slice", ANYTHING, GRAD, 0, BUILD(split_2), 1, {IN(ANY, 2, 6)}, ""},
    {"split sizes", "slice", ANYTHING, GRAD, 0, BUILD(split_sizes), 1, {IN(ANY, 2, 6)}, ""},
    {"chunk", "slice", ANYTHING, GRAD, 0, BUILD(chunk_last), 1, {IN(ANY, 2, 7)}, ""},
    {"chunk none", "slice", ANYTHING, GRAD, 0, BUILD(chunk_none), 1, {IN(ANY, 5, 2)}, ""},
    {"meshgrid ij", "broadcast_to", ANYTHING, GRAD | REORDERS, 2, BUILD(meshgrid_ij), 3, {IN(ANY, 2), IN(ANY, 3), IN(MASK, 4)}, ""},
    {"meshgrid xy", "broadcast_to", ANYTHING, GRAD | REORDERS, 2, BUILD(meshgrid_xy), 2, {IN(ANY, 2), IN(MASK, 3)}, ""},
    {"broadcast_tensors", "broadcast_to", ANYTHING, GRAD | REORDERS, 2, BUILD(broadcast_tensors), 3, {IN(ANY, 2, 1, 3), IN(ANY, 4, 1), SCALAR(MASK)}, ""},

    {"roll one", "concat", ANYTHING, GRAD, 0, BUILD(roll_1), 1, {IN(ANY, 4, 2)}, ""},
    {"roll back", "concat", ANYTHING, GRAD, 0, BUILD(roll_back), 1, {IN(ANY, 2, 7)}, ""},
    {"roll nothing", NULL, ANYTHING, GRAD, 0, BUILD(roll_1), 1, {IN(ANY, 0, 7)}, ""},
    {"roll_over", "concat", ANYTHING, GRAD, 0, BUILD(roll_over), 1, {IN(ANY, 2, 2, 3)}, ""},
    {"tile both", "broadcast_to", ANYTHING, GRAD | REORDERS, 2, BUILD(tile_2), 1, {IN(ANY, 2, 3)}, ""},
    {"tile more", "broadcast_to", ANYTHING, GRAD | REORDERS, 2, BUILD(tile_more), 1, {IN(ANY, 3)}, ""},
    {"tile less", "broadcast_to", ANYTHING, GRAD | REORDERS, 2, BUILD(tile_less), 1, {IN(ANY, 2, 3)}, ""},
    {"tile none", "broadcast_to", ANYTHING, GRAD, 0, BUILD(tile_none), 1, {IN(ANY, 2, 3)}, ""},
    {"tile eight axes", "broadcast_to", ANYTHING, GRAD | REORDERS, 2, BUILD(tile_8), 1, {IN(ANY, 2, 1, 2, 1, 1, 3, 1, 2)}, ""},
    {"repeat", "broadcast_to", ANYTHING, GRAD | REORDERS, 2, BUILD(repeat_3), 1, {IN(ANY, 2, 3)}, ""},
    {"repeat_interleave", "broadcast_to", ANYTHING, GRAD | REORDERS, 2, BUILD(repeat_interleave_0), 1, {IN(ANY, 2, 3)}, ""},
    {"repeat_interleave eight axes", "broadcast_to", ANYTHING, GRAD | REORDERS, 2, BUILD(repeat_interleave_8), 1, {IN(ANY, 1, 2, 2, 1, 3, 1, 1, 2)}, ""},
    {"repeat_interleave_by", "index", ANYTHING, GRAD, 0, BUILD(repeat_interleave_by), 2, {IN(ANY, 2, 3), INDICES(3, 3)}, ""},

    {"pad two axes", "pad", ANYTHING, GRAD, 0, BUILD(pad_12), 1, {IN(ANY, 2, 3, 2, 2)}, ""},
    {"pad all", "pad", ANYTHING, GRAD, 0, BUILD(pad_all), 1, {IN(ANY, 2, 3)}, ""},
    {"pad crop", "pad", ANYTHING, GRAD, 0, BUILD(pad_crop), 1, {IN(ANY, 3, 2, 4)}, ""},
    {"pad one", "pad", ANYTHING, GRAD, 0, BUILD(pad_one), 1, {IN(ANY, 2, 3)}, ""},
    {"pad nothing", "pad", ANYTHING, GRAD, 0, BUILD(pad_nothing), 1, {IN(ANY, 0, 3)}, ""},
    {"pad only", NULL, ANYTHING, GRAD, 0, BUILD(pad_only), 1, {IN(ANY, 2, 3)}, ""},
    {"pad special", "pad", REAL, LENIENT, 0, BUILD(pad_12), 1, {IN(SPECIAL, 2, 4, 2)}, ""},
    {"pad reflect", "index", ANYTHING, GRAD | REORDERS, 2, BUILD(pad_reflect), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"pad replicate", "index", ANYTHING, GRAD | REORDERS, 2, BUILD(pad_replicate), 1, {IN(ANY, 2, 2, 3)}, ""},
    {"pad circular", "index", ANYTHING, GRAD | REORDERS, 2, BUILD(pad_circular), 1, {IN(ANY, 2, 2, 3)}, ""},
    {"pad far", "index", ANYTHING, GRAD | REORDERS, 4, BUILD(pad_far), 1, {IN(ANY, 3, 2)}, ""},
    {"at slices", "slices", ANYTHING, GRAD, 0, BUILD(slices), 1, {IN(ANY, 3, 2, 5)}, ""},
    {"at three slices", "slices", ANYTHING, GRAD, 0, BUILD(slices_3), 1, {IN(ANY, 2, 4, 3)}, ""},

    {"diagonal", "diagonal", ANYTHING, GRAD, 0, BUILD(diagonal_0), 1, {IN(ANY, 3, 3)}, ""},
    {"diagonal above", "diagonal", ANYTHING, GRAD, 0, BUILD(diagonal_up), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"diagonal below", "diagonal", ANYTHING, GRAD, 0, BUILD(diagonal_down), 1, {IN(ANY, 3, 2, 4)}, ""},
    {"diagonal none", "diagonal", ANYTHING, GRAD, 0, BUILD(diagonal_none), 1, {IN(ANY, 3, 4)}, ""},
    {"diag_embed", "embed", ANYTHING, GRAD, 0, BUILD(diag_embed_0), 1, {IN(ANY, 2, 3)}, ""},
    {"diag_embed above", "embed", ANYTHING, GRAD, 0, BUILD(diag_embed_up), 1, {IN(ANY, 2, 3)}, ""},
    {"diag_embed below", "embed", ANYTHING, GRAD, 0, BUILD(diag_embed_down), 1, {IN(ANY, 2)}, ""},
    {"diag of a list", "embed", ANYTHING, GRAD, 0, BUILD(diag_1), 1, {IN(ANY, 3)}, ""},
    {"diag of a matrix", "diagonal", ANYTHING, GRAD, 0, BUILD(diag_2), 1, {IN(ANY, 3, 4)}, ""},
    {"eye", "embed", ANYTHING, 0, 0, BUILD(eye_34), 0, {{0}}, ""},
    {"eye none", "full", ANYTHING, 0, 0, BUILD(eye_none), 0, {{0}}, ""},
    {"tril", "where", ANYTHING, GRAD, 0, BUILD(tril_0), 1, {IN(ANY, 2, 3, 4)}, ""},
    {"tril below", "where", ANYTHING, GRAD, 0, BUILD(tril_far), 1, {IN(ANY, 4, 3)}, ""},
    {"tril special", "where", REAL, LENIENT, 0, BUILD(tril_0), 1, {IN(SPECIAL, 4, 4)}, ""},
    {"triu above", "where", ANYTHING, GRAD, 0, BUILD(triu_1), 1, {IN(ANY, 3, 4)}, ""},
    {"triu all", "where", ANYTHING, GRAD, 0, BUILD(triu_far), 1, {IN(ANY, 3, 2)}, ""},

    {"arange_with", "arange", NUMBER, 0, 0, BUILD(arange_with), 0, {{0}}, ""},
    {"arange_with down", "arange", NUMBER, 0, 0, BUILD(arange_down), 0, {{0}}, ""},
    {"arange_with empty", "arange", NUMBER, 0, 0, BUILD(arange_empty), 0, {{0}}, ""},
    {"arange_with tenths", "arange", REAL, LENIENT, 0, BUILD(arange_tenths), 0, {{0}}, ""},
    {"linspace", "arange", REAL, 0, 0, BUILD(linspace_7), 0, {{0}}, ""},
    {"linspace one", "arange", REAL, 0, 0, BUILD(linspace_1), 0, {{0}}, ""},
    {"linspace none", "arange", REAL, 0, 0, BUILD(linspace_0), 0, {{0}}, ""},
    {"logspace", "pow", REAL, 0, 2, BUILD(logspace_5), 0, {{0}}, ""},
    {"zeros_like", "full", ANYTHING, 0, 0, BUILD(zeros_like), 1, {IN(ANY, 2, 3)}, ""},
    {"ones_like", "full", ANYTHING, 0, 0, BUILD(ones_like), 1, {IN(ANY, 2, 3)}, ""},
    {"full_like", "full", NUMBER, LENIENT, 0, BUILD(full_like), 1, {IN(ANY, 2, 3)}, ""},

    {"at integer", "slice", ANYTHING, GRAD, 0, BUILD(at_integer), 1, {IN(ANY, 2, 3)}, ""},
    {"at mixed", "slices", ANYTHING, GRAD, 0, BUILD(at_mixed), 1, {IN(ANY, 2, 2, 3)}, ""},
    {"at rest", "slice", ANYTHING, GRAD, 0, BUILD(at_rest), 1, {IN(ANY, 2, 2, 3)}, ""},
    {"index rows", "index", ANYTHING, GRAD, 0, BUILD(index_1), 2, {IN(ANY, 4, 3), INDICES(4, 2, 3)}, ""},
    {"index of a scalar", "index", ANYTHING, GRAD, 0, BUILD(index_1), 2, {IN(ANY, 4, 3), {INDEX, 0, {0}, 4, {.above = 0}}}, ""},
    {"index middle", "index", ANYTHING, GRAD, 0, BUILD(index_middle), 3, {IN(ANY, 2, 3, 4, 2), INDICES(3, 2, 1), INDICES(4, 3)}, ""},
    {"index apart", "index", ANYTHING, GRAD, 0, BUILD(index_apart), 3, {IN(ANY, 3, 2, 4), INDICES(3, 3), INDICES(4, 2, 1)}, ""},
    {"index integer apart", "index", ANYTHING, GRAD, 0, BUILD(index_integer), 2, {IN(ANY, 3, 2, 4), INDICES(4, 5)}, ""},
    {"index integer beside", "index", ANYTHING, GRAD, 0, BUILD(index_beside), 2, {IN(ANY, 3, 2, 4), INDICES(4, 2, 2)}, ""},
    {"index mask", "index", ANYTHING, GRAD, 0, BUILD(index_mask), 2, {IN(ANY, 2, 4, 3), IN(MASK, 2, 4)}, ""},
    {"index nothing", "index", ANYTHING, GRAD, 0, BUILD(index_1), 2, {IN(ANY, 4, 3), INDICES(4, 0)}, ""},
    {"at_with", "index", ANYTHING, GRAD, 0, BUILD(at_with), 2, {IN(ANY, 2, 3, 4), INDICES(3, 4)}, ""},
    {"index_put set", "index_put", ANYTHING, GRAD, 0, BUILD(index_put_set), 3, {IN(ANY, 5, 2), INDICES(5, 3), IN(ANY, 3, 2)}, ""},
    {"index_put twice", "index_put", ANYTHING, GRAD, 0, BUILD(index_put_set), 3, {IN(ANY, 2, 2), INDICES(2, 5), IN(ANY, 5, 2)}, ""},
    {"index_put add", "index_add", NUMBER, GRAD | REORDERS, 2, BUILD(index_put_add), 3, {IN(ANY, 2, 3), INDICES(3, 4), IN(ANY, 1, 4)}, ""},
    {"index_put max", "index_put", NUMBER, GRAD, 0, BUILD(index_put_max), 3, {IN(ANY, 2, 3), INDICES(3, 4), IN(ANY, 2, 4)}, ""},
    {"index_put slices", "index_put", ANYTHING, GRAD | REORDERS, 2, BUILD(index_put_slices), 2, {IN(ANY, 3, 2, 2), IN(ANY, 2, 1, 2)}, ""},
    {"index_put all", "index_add", NUMBER, GRAD | REORDERS, 2, BUILD(index_put_all), 2, {IN(ANY, 3, 2), IN(ANY, 2)}, ""},
    {"put_at", "index_put", ANYTHING, GRAD | REORDERS, 2, BUILD(put_at), 3, {IN(ANY, 4, 3), INDICES(4, 2), IN(ANY, 2)}, ""},
    {"put_at mask", "index_put", ANYTHING, GRAD | REORDERS, 2, BUILD(put_at_mask), 3, {IN(ANY, 4, 3), IN(MASK, 4, 3), SCALAR(ANY)}, ""},

    {"index_select first", "index", ANYTHING, GRAD, 0, BUILD(index_select_0), 2, {IN(ANY, 4, 3), INDICES(4, 6)}, ""},
    {"index_select last", "index", ANYTHING, GRAD, 0, BUILD(index_select_last), 2, {IN(ANY, 2, 2, 3), INDICES(3, 2)}, ""},
    {"index_select nothing", "index", ANYTHING, GRAD, 0, BUILD(index_select_0), 2, {IN(ANY, 4, 3), INDICES(4, 0)}, ""},
    {"index_add first", "index_add", NUMBER, GRAD, 2, BUILD(index_add_0), 3, {IN(ANY, 4, 3), INDICES(4, 6), IN(ANY, 6, 3)}, ""},
    {"index_add middle", "index_add", NUMBER, GRAD, 2, BUILD(index_add_1), 3, {IN(ANY, 2, 3, 2), INDICES(3, 4), IN(ANY, 2, 4, 2)}, ""},
    {"take_along_axis", "index", ANYTHING, GRAD, 0, BUILD(take_0), 2, {IN(ANY, 4, 3), INDICES(4, 2, 3)}, ""},
    {"take_along_axis middle", "index", ANYTHING, GRAD, 0, BUILD(take_1), 2, {IN(ANY, 2, 3, 2), INDICES(3, 1, 4, 2)}, ""},
    {"put_along_axis set", "index_put", ANYTHING, GRAD, 0, BUILD(put_along_set), 3, {IN(ANY, 2, 3), INDICES(3, 2, 2), IN(ANY, 2, 2)}, ""},
    {"put_along_axis add", "index_add", NUMBER, GRAD | REORDERS, 2, BUILD(put_along_add), 3, {IN(ANY, 2, 3), INDICES(2, 4, 3), IN(ANY, 1, 3)}, ""},
    {"scatter", "index_put", ANYTHING, GRAD, 0, BUILD(scatter_0), 3, {IN(ANY, 4, 3), INDICES(4, 2, 3), IN(ANY, 2, 3)}, ""},
    {"scatter twice", "index_put", ANYTHING, GRAD, 0, BUILD(scatter_0), 3, {IN(ANY, 2, 3), INDICES(2, 5, 1), IN(ANY, 5, 3)}, ""},
    {"scatter_max", "index_put", NUMBER, GRAD, 0, BUILD(scatter_max_1), 3, {IN(ANY, 2, 3), INDICES(3, 2, 4), IN(ANY, 2, 4)}, ""},
    {"scatter_max ties", "index_put", NUMBER, SUBGRAD, 0, BUILD(scatter_max_1), 3, {IN(TIES, 2, 3), INDICES(3, 2, 6), IN(TIES, 2, 6)}, ""},
    {"scatter_max special", "index_put", REAL, LENIENT, 0, BUILD(scatter_max_1), 3, {IN(SPECIAL, 2, 8), INDICES(8, 2, 8), IN(SPECIAL, 2, 8)}, ""},
    {"scatter_min", "index_put", NUMBER, GRAD, 0, BUILD(scatter_min_0), 3, {IN(ANY, 4, 3), INDICES(4, 5, 1), IN(ANY, 5, 3)}, ""},
    {"scatter_min ties", "index_put", NUMBER, SUBGRAD, 0, BUILD(scatter_min_0), 3, {IN(TIES, 2, 3), INDICES(2, 5, 3), IN(TIES, 5, 3)}, ""},

    {"nonzero", "constant", ANYTHING, 0, 0, BUILD(nonzero), 1, {IN(TIES, 2, 5)}, ""},
    {"masked_fill", "where", ANYTHING, GRAD, 0, BUILD(masked_fill), 2, {IN(ANY, 2, 3), IN(MASK, 3)}, ""},
    {"masked_select", "index", ANYTHING, GRAD, 0, BUILD(masked_select), 2, {IN(ANY, 2, 3), IN(MASK, 2, 1)}, ""},
    {"masked_scatter", "index_put", ANYTHING, GRAD, 0, BUILD(masked_scatter), 3, {IN(ANY, 2, 4), IN(MASK, 4), IN(ANY, 3, 3)}, ""},
    {"one_hot", "one_hot", 1 << AG_I64, LENIENT, 0, BUILD(one_hot_4), 1, {INDICES(4, 2, 3)}, ""},
    {"one_hot any", "one_hot", ANYTHING, NO_GOLDEN, 0, BUILD(one_hot_4), 1, {INDICES(4, 2, 3)}, ""},
    {"one_hot nothing", "one_hot", 1 << AG_I64, LENIENT, 0, BUILD(one_hot_4), 1, {INDICES(4, 0, 2)}, ""},
    {.name = NULL},
};
/* clang-format on */

static const case_exception exceptions[] = {{NULL, 0, 0}};

static const case_reference references[] = {{NULL, 0, NULL, NULL}};

const case_family cases_shape = {rows, exceptions, references};
