/* fftw -- see fftw.h; no other file knows FFTW
 *
 * Making a plan is what FFTW cannot do in several threads at once: there is a lock. Plans are estimated, not
 * measured, so the same transform has the same bits each time. */
#include "ops/fftw.h"
#include "ops/library.h"

#if AG_HAVE_FFTW

#include <fftw3.h>

static ag__lock planning = AG__UNLOCKED;

/* Functions of both libraries, whose types differ by their names alone. They are called as those of f64. */
typedef struct functions {
    __typeof__(fftw_plan_guru64_dft) *complex;
    __typeof__(fftw_plan_guru64_dft_r2c) *to_half;
    __typeof__(fftw_plan_guru64_dft_c2r) *from_half;
    __typeof__(fftw_execute) *execute;
    __typeof__(fftw_destroy_plan) *destroy;
} functions;

static functions of_f32, of_f64;

static const ag__symbol symbols_f32[] = {{"fftwf_plan_guru64_dft", &of_f32.complex},
                                         {"fftwf_plan_guru64_dft_r2c", &of_f32.to_half},
                                         {"fftwf_plan_guru64_dft_c2r", &of_f32.from_half},
                                         {"fftwf_execute", &of_f32.execute},
                                         {"fftwf_destroy_plan", &of_f32.destroy}};
static const ag__symbol symbols_f64[] = {{"fftw_plan_guru64_dft", &of_f64.complex},
                                         {"fftw_plan_guru64_dft_r2c", &of_f64.to_half},
                                         {"fftw_plan_guru64_dft_c2r", &of_f64.from_half},
                                         {"fftw_execute", &of_f64.execute},
                                         {"fftw_destroy_plan", &of_f64.destroy}};
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

/* FFTW does not write to x: it preserves the input. */
bool ag__fftw(ag_dtype dtype, const ag__transform *t, int rank, const int64_t *x_extent, const void *x,
              const int64_t *y_extent, void *y) {
    const functions *f = dtype == AG_F32 ? &of_f32 : &of_f64;
    const lengths l = lengths_of(t, rank, x_extent, y_extent);
    const fftw_iodim64 *in = l.in[1], *rest = l.in[0];
    const int n = l.count[1], m = l.count[0], sign = t->forward ? FFTW_FORWARD : FFTW_BACKWARD;
    void *from = (void *)(uintptr_t)x;
    ag__take_lock(&planning);
    fftw_plan plan = t->kind == AG__COMPLEX   ? f->complex(n, in, m, rest, from, y, sign, how)
                     : t->kind == AG__TO_HALF ? f->to_half(n, in, m, rest, from, y, how)
                                              : f->from_half(n, in, m, rest, from, y, how);
    ag__leave_lock(&planning);
    if (!plan) return false;
    f->execute(plan);
    ag__take_lock(&planning);
    f->destroy(plan);
    ag__leave_lock(&planning);
    return true;
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
