/* tensor -- what a handle can be asked
 *
 * None of these can fail: NULL, nil and rewound tensors have the answers that autograd.h states. */
#include "autograd/tape/tape.h"

static bool alive(const ag_tensor *x) { return x && !(x->flags & (AG__NIL | AG__STALE)); }

static bool variable(const ag_tensor *x) { return alive(x) && x->flags & AG__VARIABLE; }

bool ag_is_nil(const ag_tensor *x) { return !alive(x); }
ag_tape *ag_tape_of(const ag_tensor *x) { return x ? x->tape : NULL; }
ag_dtype ag_dtype_of(const ag_tensor *x) { return alive(x) ? (ag_dtype)x->dtype : AG_F64; }
ag_shape ag_shape_of(const ag_tensor *x) { return alive(x) ? ag__layout_shape(x->layout) : (ag_shape){0}; }
int ag_rank(const ag_tensor *x) { return alive(x) ? x->layout->rank : 0; }
int64_t ag_size(const ag_tensor *x) { return alive(x) ? x->layout->size : 0; }
const char *ag_label_of(const ag_tensor *x) { return alive(x) && x->label ? x->label : ""; }
bool ag_requires_grad(const ag_tensor *x) { return alive(x) && x->flags & AG__REQUIRES; }
const ag_op *ag_op_of(const ag_tensor *x) { return alive(x) ? x->op : NULL; }
int64_t ag_values_given(const ag_tensor *x) { return variable(x) ? ag__variable_of(x)->values : 0; }
int ag_inputs(const ag_tensor *x) { return alive(x) ? x->arity : 0; }
ag_tensor *ag_input(const ag_tensor *x, int i) { return i >= 0 && i < ag_inputs(x) ? x->input[i] : NULL; }

int64_t ag_extent(const ag_tensor *x, int axis) {
    int a = ag__axis(axis, ag_rank(x));
    return a < 0 ? 0 : x->layout->extent[a];
}

const char *ag_place_of(const ag_tensor *x, int *line) {
    bool known = alive(x) && x->file;
    if (line) *line = known ? x->line : 0;
    return known ? x->file : "";
}

/* A variable's own are the engine's. */
const void *ag_attributes(const ag_tensor *x) {
    return alive(x) && x->attribute_bytes && !(x->flags & AG__VARIABLE) ? ag__attributes(x) : NULL;
}

size_t ag_dtype_size(ag_dtype dtype) {
    static const unsigned char size[AG_DTYPES] = {[AG_BOOL] = 1, [AG_I64] = 8, [AG_F32] = 4, [AG_F64] = 8};
    return (unsigned)dtype < AG_DTYPES ? size[dtype] : 0;
}

const char *ag_dtype_name(ag_dtype dtype) {
    static const char *const name[AG_DTYPES] = {
        [AG_BOOL] = "bool", [AG_I64] = "i64", [AG_F32] = "f32", [AG_F64] = "f64"};
    return (unsigned)dtype < AG_DTYPES ? name[dtype] : "?";
}

bool ag__fits(double s, ag_dtype dtype) {
    switch (dtype) {
    case AG_BOOL: return s == 0 || s == 1;
    case AG_I64: return s >= -0x1p63 && s < 0x1p63 && s == (double)(int64_t)s;
    default: return true;
    }
}
