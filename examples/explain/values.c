/* values -- shapes as the library writes them, and elements in nested lists */
#include "examples/explain/explain.h"

void put_shape(FILE *file, const ag_tensor *x) {
    ag_shape shape = ag_shape_of(x);
    fputc('(', file);
    for (int i = 0; i < shape.rank; i++) fprintf(file, "%s%lld", i ? "," : "", (long long)shape.extent[i]);
    fputc(')', file);
}

static double element(ag_tensor *x, const void *data, int64_t i) {
    switch (ag_dtype_of(x)) {
    case AG_BOOL: return ((const unsigned char *)data)[i];
    case AG_I64: return (double)((const int64_t *)data)[i];
    default: return ((const double *)data)[i];
    }
}

void put_value(FILE *file, ag_tensor *x, int most) {
    const void *data = ag_data(x);
    ag_shape shape = ag_shape_of(x);
    int64_t n = data ? ag_size(x) : 0;
    for (int64_t i = 0; i < n && i < most; i++) {
        int64_t block = 1;
        int opens = 0, closes = 0;
        for (int k = shape.rank; k-- > 0;) {
            block *= shape.extent[k];
            opens += i % block == 0;
            closes += (i + 1) % block == 0;
        }
        if (i) fputs(", ", file);
        while (opens-- > 0) fputc('[', file);
        fprintf(file, "%.6g", element(x, data, i));
        while (closes-- > 0) fputc(']', file);
    }
    if (n > most) fprintf(file, ", … %lld elements", (long long)n);
}
