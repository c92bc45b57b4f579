/* random_json -- a program, its leaves and its results as a line of JSON: see program_json */
#include "tests/random_check.h"
#include "tests/support.h"

#include <stdlib.h>
#include <string.h>

static void put_bytes(FILE *to, const void *bytes, size_t n) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = ((const unsigned char *)bytes)[i];
        putc(digits[c >> 4], to);
        putc(digits[c & 15], to);
    }
}

static void put_numbers(FILE *to, const char *name, int n, const int64_t *numbers) {
    fprintf(to, ",\"%s\":[", name);
    for (int i = 0; i < n; i++) fprintf(to, "%s%lld", i ? "," : "", (long long)numbers[i]);
    putc(']', to);
}

static void put_shape(FILE *to, const char *name, const ag_shape *shape) {
    put_numbers(to, name, shape->rank, shape->extent);
}

/* null: all axes */
static void put_axes(FILE *to, const ag_axes *axes) {
    int64_t numbers[AG_MAX_RANK];
    for (int i = 0; i < axes->count; i++) numbers[i] = axes->axis[i];
    if (axes->count < 0) fputs(",\"axes\":null", to);
    else put_numbers(to, "axes", axes->count, numbers);
}

/* The elements of a leaf or of a gradient's vector. */
static void put_elements(FILE *to, const line *l, ag_dtype dtype, const ag_shape *shape) {
    void *data = leaf_elements(l, dtype, shape);
    fprintf(to, ",\"data\":\"");
    put_bytes(to, data, (size_t)shape_size(shape) * ag_dtype_size(dtype));
    putc('"', to);
    free(data);
}

static void put_data(FILE *to, const program *p, const line *l) {
    if (l->form->signature == SIG_LEAF) put_elements(to, l, l->dtype, &l->shape);
    if (l->form->signature != SIG_GRADIENT) return;
    const line *like = &p->line[l->x[strcmp(l->form->name, "ag_jvp") == 0]];
    put_elements(to, l, like->y_dtype, &like->y_shape);
}

static void put_line(FILE *to, const program *p, int i) {
    const line *l = &p->line[i];
    int64_t x[MOST_OPERANDS];
    for (int k = 0; k < l->operands; k++) x[k] = l->x[k];
    fprintf(to, "%s{\"call\":\"%s\"", i ? "," : "", l->form->name);
    put_numbers(to, "x", l->operands, x);
    fprintf(to, ",\"dtype\":\"%s\"", ag_dtype_name(l->dtype));
    put_shape(to, "shape", &l->shape);
    put_shape(to, "shape2", &l->shape2);
    put_axes(to, &l->axes);
    put_numbers(to, "number", 4, l->number);
    fprintf(to, ",\"keep\":%s,\"scalar\":[%.17g,%.17g]", l->keep ? "true" : "false", l->scalar[0], l->scalar[1]);
    if (line_has_value(l)) {
        fprintf(to, ",\"y_dtype\":\"%s\"", ag_dtype_name(l->y_dtype));
        put_shape(to, "y_shape", &l->y_shape);
    }
    put_data(to, p, l);
    putc('}', to);
}

typedef struct writing {
    FILE *to;
    int count;
} writing;

static void put_result(void *context, const char *what, ag_dtype dtype, int64_t size, const void *bytes) {
    writing *w = context;
    fprintf(w->to, "%s{\"what\":\"%s\",\"dtype\":\"%s\",\"data\":\"", w->count++ ? "," : "", what,
            ag_dtype_name(dtype));
    put_bytes(w->to, bytes, (size_t)size * ag_dtype_size(dtype));
    fputs("\"}", w->to);
}

/* The cotangents of real outputs; those of gradients depend on shapes alone, so that the reader makes them of this. */
static void put_cotangents(FILE *to, const program *p) {
    fprintf(to, ",\"cotangents\":[%llu,%llu]", (unsigned long long)cotangent_line(p, 0).data,
            (unsigned long long)cotangent_line(p, 1).data);
}

bool program_json(FILE *to, const program *p) {
    char report[REPORT], *text = NULL;
    size_t bytes = 0;
    writing w = {.to = open_memstream(&text, &bytes)};
    if (!w.to) ck_abort_msg("out of memory");
    const bool good = show_results(p, put_result, &w, report) == AGREES;
    fclose(w.to);
    if (good) {
        fprintf(to, "{\"seed\":%llu,\"order\":%d,\"backward\":%s,\"wild\":%s,\"extent\":%d",
                (unsigned long long)p->seed, p->order, p->backward ? "true" : "false", p->wild ? "true" : "false",
                (int)p->size);
        put_cotangents(to, p);
        fputs(",\"lines\":[", to);
        for (int i = 0; i < p->count; i++) put_line(to, p, i);
        fprintf(to, "],\"results\":[%s]}\n", text);
    }
    free(text);
    return good;
}
