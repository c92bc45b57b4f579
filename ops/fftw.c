/* fftw -- see fftw.h; no other file knows FFTW
 *
 * Making a plan is what FFTW cannot do in several threads at once: there is a lock. Plans are estimated, not
 * measured, so the same transform has the same bits each time. */
#include "ops/fftw.h"
#include "ops/library.h"

#if AG_HAVE_FFTW

#include <fftw3.h>

static ag__lock planning = AG__UNLOCKED;

static struct {
    __typeof__(fftwf_plan_guru64_dft) *complex_f32;
    __typeof__(fftwf_plan_guru64_dft_r2c) *to_half_f32;
    __typeof__(fftwf_plan_guru64_dft_c2r) *from_half_f32;
    __typeof__(fftwf_execute) *execute_f32;
    __typeof__(fftwf_destroy_plan) *destroy_f32;
    __typeof__(fftw_plan_guru64_dft) *complex_f64;
    __typeof__(fftw_plan_guru64_dft_r2c) *to_half_f64;
    __typeof__(fftw_plan_guru64_dft_c2r) *from_half_f64;
    __typeof__(fftw_execute) *execute_f64;
    __typeof__(fftw_destroy_plan) *destroy_f64;
} fftw;

static const ag__symbol symbols_f32[] = {{"fftwf_plan_guru64_dft", &fftw.complex_f32},
                                         {"fftwf_plan_guru64_dft_r2c", &fftw.to_half_f32},
                                         {"fftwf_plan_guru64_dft_c2r", &fftw.from_half_f32},
                                         {"fftwf_execute", &fftw.execute_f32},
                                         {"fftwf_destroy_plan", &fftw.destroy_f32}};
static const ag__symbol symbols_f64[] = {{"fftw_plan_guru64_dft", &fftw.complex_f64},
                                         {"fftw_plan_guru64_dft_r2c", &fftw.to_half_f64},
                                         {"fftw_plan_guru64_dft_c2r", &fftw.from_half_f64},
                                         {"fftw_execute", &fftw.execute_f64},
                                         {"fftw_destroy_plan", &fftw.destroy_f64}};
static const char *const files_f32[] = {"libfftw3f.so.3", "libfftw3f.so", "libfftw3f.3.dylib", NULL};
static const char *const files_f64[] = {"libfftw3.so.3", "libfftw3.so", "libfftw3.3.dylib", NULL};

static ag__library narrow = {files_f32, symbols_f32, sizeof symbols_f32 / sizeof *symbols_f32, 0};
static ag__library wide = {files_f64, symbols_f64, sizeof symbols_f64 / sizeof *symbols_f64, 0};

bool ag__has_fftw(void) { return ag__is_loaded(&narrow) && ag__is_loaded(&wide); }

bool ag__fftw_aligned(const void *p) { return (uintptr_t)p % 64 == 0; }

/* Axes, those that are transformed and the others. */
typedef struct lengths {
    fftw_iodim64 in[2][AG_MAX_RANK];
    int count[2];
} lengths;

static lengths lengths_of(const ag__transform *t, int rank, const int64_t *x_extent, const int64_t *y_extent) {
    lengths l = {.count = {0, 0}};
    int64_t from = 1, to = 1;
    for (int axis = rank - 1; axis >= 0; axis--) {
        const int chosen = t->mask >> axis & 1;
        const int64_t n = t->kind == AG__FROM_HALF ? y_extent[axis] : x_extent[axis];
        l.in[chosen][l.count[chosen]++] = (fftw_iodim64){.n = n, .is = from, .os = to};
        from *= x_extent[axis];
        to *= y_extent[axis];
    }
    for (int group = 0; group < 2; group++) /* the last axis last */
        for (int i = 0, j = l.count[group] - 1; i < j; i++, j--) {
            const fftw_iodim64 other = l.in[group][i];
            l.in[group][i] = l.in[group][j];
            l.in[group][j] = other;
        }
    return l;
}

static const unsigned how = FFTW_ESTIMATE | FFTW_PRESERVE_INPUT;

static bool transform_f32(const ag__transform *t, const lengths *l, void *x, void *y) {
    const fftwf_iodim64 *in = (const fftwf_iodim64 *)l->in[1], *rest = (const fftwf_iodim64 *)l->in[0];
    const int n = l->count[1], m = l->count[0], sign = t->forward ? FFTW_FORWARD : FFTW_BACKWARD;
    ag__take_lock(&planning);
    fftwf_plan plan = t->kind == AG__COMPLEX   ? fftw.complex_f32(n, in, m, rest, x, y, sign, how)
                      : t->kind == AG__TO_HALF ? fftw.to_half_f32(n, in, m, rest, x, y, how)
                                               : fftw.from_half_f32(n, in, m, rest, x, y, how);
    ag__leave_lock(&planning);
    if (!plan) return false;
    fftw.execute_f32(plan);
    ag__take_lock(&planning);
    fftw.destroy_f32(plan);
    ag__leave_lock(&planning);
    return true;
}

static bool transform_f64(const ag__transform *t, const lengths *l, void *x, void *y) {
    const fftw_iodim64 *in = l->in[1], *rest = l->in[0];
    const int n = l->count[1], m = l->count[0], sign = t->forward ? FFTW_FORWARD : FFTW_BACKWARD;
    ag__take_lock(&planning);
    fftw_plan plan = t->kind == AG__COMPLEX   ? fftw.complex_f64(n, in, m, rest, x, y, sign, how)
                     : t->kind == AG__TO_HALF ? fftw.to_half_f64(n, in, m, rest, x, y, how)
                                              : fftw.from_half_f64(n, in, m, rest, x, y, how);
    ag__leave_lock(&planning);
    if (!plan) return false;
    fftw.execute_f64(plan);
    ag__take_lock(&planning);
    fftw.destroy_f64(plan);
    ag__leave_lock(&planning);
    return true;
}

/* FFTW does not write to x: it preserves the input. */
bool ag__fftw(ag_dtype dtype, const ag__transform *t, int rank, const int64_t *x_extent, const void *x,
              const int64_t *y_extent, void *y) {
    const lengths l = lengths_of(t, rank, x_extent, y_extent);
    void *from = (void *)(uintptr_t)x;
    return dtype == AG_F32 ? transform_f32(t, &l, from, y) : transform_f64(t, &l, from, y);
}

#else

/* The operations are refused before these could be called. */
bool ag__has_fftw(void) { return false; }
bool ag__fftw_aligned(const void *p) { return (void)p, true; }

bool ag__fftw(ag_dtype dtype, const ag__transform *t, int rank, const int64_t *x_extent, const void *x,
              const int64_t *y_extent, void *y) {
    return (void)dtype, (void)t, (void)rank, (void)x_extent, (void)x, (void)y_extent, (void)y, false;
}

#endif
