/* dtype -- names, sizes and ranges of element types */
#include "autograd/tape/tape.h"

size_t ag_dtype_size(ag_dtype dtype) {
    static const unsigned char size[AG_DTYPES] = {[AG_BOOL] = 1, [AG_I64] = 8, [AG_F32] = 4, [AG_F64] = 8};
    return (unsigned)dtype < AG_DTYPES ? size[dtype] : 0;
}

const char *ag_dtype_name(ag_dtype dtype) {
    static const char *const name[AG_DTYPES] = {
        [AG_BOOL] = "bool", [AG_I64] = "i64", [AG_F32] = "f32", [AG_F64] = "f64"};
    return (unsigned)dtype < AG_DTYPES ? name[dtype] : "?";
}

double ag__get_element(ag_dtype dtype, const void *data, int64_t i) {
    switch (dtype) {
    case AG_BOOL: return ((const unsigned char *)data)[i];
    case AG_I64: return (double)((const int64_t *)data)[i];
    case AG_F32: return (double)((const float *)data)[i];
    default: return ((const double *)data)[i];
    }
}

void ag__put_element(ag_dtype dtype, void *data, int64_t i, double s) {
    switch (dtype) {
    case AG_BOOL: ((unsigned char *)data)[i] = s != 0; break;
    case AG_I64: ((int64_t *)data)[i] = ag__whole_near(s); break;
    case AG_F32: ((float *)data)[i] = (float)s; break;
    default: ((double *)data)[i] = s; break;
    }
}

bool ag__fits(double s, ag_dtype dtype) {
    switch (dtype) {
    case AG_BOOL: return s == 0 || s == 1;
    case AG_I64: return s >= -0x1p63 && s < 0x1p63 && s == (double)(int64_t)s;
    default: return true;
    }
}
