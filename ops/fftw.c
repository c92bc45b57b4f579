/* fftw -- see fftw.h; no other file knows FFTW
 *
 * Making a plan is what FFTW cannot do in several threads at once: there is a lock. Plans are estimated, not
 * measured, so the same transform has the same bits each time. */
#include "ops/fftw.h"

#if AG_HAVE_FFTW

#include <fftw3.h>

#if AG_HAVE_THREADS
#include <pthread.h>

static pthread_mutex_t planning = PTHREAD_MUTEX_INITIALIZER;

static void lock(void) { pthread_mutex_lock(&planning); }
static void unlock(void) { pthread_mutex_unlock(&planning); }
#else
static void lock(void) {}
static void unlock(void) {}
#endif

bool ag__has_fftw(void) { return true; }

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
    lock();
    fftwf_plan plan = t->kind == AG__COMPLEX   ? fftwf_plan_guru64_dft(n, in, m, rest, x, y, sign, how)
                      : t->kind == AG__TO_HALF ? fftwf_plan_guru64_dft_r2c(n, in, m, rest, x, y, how)
                                               : fftwf_plan_guru64_dft_c2r(n, in, m, rest, x, y, how);
    unlock();
    if (!plan) return false;
    fftwf_execute(plan);
    lock();
    fftwf_destroy_plan(plan);
    unlock();
    return true;
}

static bool transform_f64(const ag__transform *t, const lengths *l, void *x, void *y) {
    const fftw_iodim64 *in = l->in[1], *rest = l->in[0];
    const int n = l->count[1], m = l->count[0], sign = t->forward ? FFTW_FORWARD : FFTW_BACKWARD;
    lock();
    fftw_plan plan = t->kind == AG__COMPLEX   ? fftw_plan_guru64_dft(n, in, m, rest, x, y, sign, how)
                     : t->kind == AG__TO_HALF ? fftw_plan_guru64_dft_r2c(n, in, m, rest, x, y, how)
                                              : fftw_plan_guru64_dft_c2r(n, in, m, rest, x, y, how);
    unlock();
    if (!plan) return false;
    fftw_execute(plan);
    lock();
    fftw_destroy_plan(plan);
    unlock();
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
