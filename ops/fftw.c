/* fftw -- see fftw.h; no other file knows FFTW
 *
 * Making a plan is what FFTW cannot do in several threads at once: there is a lock. Plans are estimated, not
 * measured, so the same transform has the same bits each time. To make one takes longer than a short transform does, so
 * the latest are kept for arrays elsewhere, which have the alignment that a plan is for. */
#include "ops/fftw.h"
#include "ops/library.h"

#if AG_HAVE_FFTW

#include <fftw3.h>
#include <string.h>

static ag__lock planning = AG__UNLOCKED;

/* Functions of both libraries, whose types differ by their names alone. They are called as those of f64. */
typedef struct functions {
    __typeof__(fftw_plan_guru64_dft) *complex;
    __typeof__(fftw_plan_guru64_dft_r2c) *to_half;
    __typeof__(fftw_plan_guru64_dft_c2r) *from_half;
    void (*run[3])(fftw_plan plan, void *x, void *y); /* for each kind */
    __typeof__(fftw_destroy_plan) *destroy;
} functions;

static functions of_f32, of_f64;

static const ag__symbol symbols_f32[] = {{"fftwf_plan_guru64_dft", &of_f32.complex},
                                         {"fftwf_plan_guru64_dft_r2c", &of_f32.to_half},
                                         {"fftwf_plan_guru64_dft_c2r", &of_f32.from_half},
                                         {"fftwf_execute_dft", &of_f32.run[AG__COMPLEX]},
                                         {"fftwf_execute_dft_r2c", &of_f32.run[AG__TO_HALF]},
                                         {"fftwf_execute_dft_c2r", &of_f32.run[AG__FROM_HALF]},
                                         {"fftwf_destroy_plan", &of_f32.destroy}};
static const ag__symbol symbols_f64[] = {{"fftw_plan_guru64_dft", &of_f64.complex},
                                         {"fftw_plan_guru64_dft_r2c", &of_f64.to_half},
                                         {"fftw_plan_guru64_dft_c2r", &of_f64.from_half},
                                         {"fftw_execute_dft", &of_f64.run[AG__COMPLEX]},
                                         {"fftw_execute_dft_r2c", &of_f64.run[AG__TO_HALF]},
                                         {"fftw_execute_dft_c2r", &of_f64.run[AG__FROM_HALF]},
                                         {"fftw_destroy_plan", &of_f64.destroy}};
static const char *const files_f32[] = {"libfftw3f.so.3", "libfftw3f.so", "libfftw3f.3.dylib", NULL};
static const char *const files_f64[] = {"libfftw3.so.3", "libfftw3.so", "libfftw3.3.dylib", NULL};

static ag__library narrow = {files_f32, symbols_f32, sizeof symbols_f32 / sizeof *symbols_f32, 0};
static ag__library wide = {files_f64, symbols_f64, sizeof symbols_f64 / sizeof *symbols_f64, 0};

bool ag__has_fftw(void) { return ag__is_loaded(&narrow) && ag__is_loaded(&wide); }

bool ag__fftw_aligned(const void *p) { return (uintptr_t)p % 64 == 0; }

/* All that a plan depends on, without padding, so that bytes are compared. The axes are those that are transformed and
 * the others. */
typedef struct problem {
    fftw_iodim64 in[2][AG_MAX_RANK];
    int count[2];
    int dtype, kind, sign, unused;
    int64_t size; /* of x */
} problem;

AG__SHORT static problem problem_of(ag_dtype dtype, const ag__transform *t, int rank, const int64_t *x_extent,
                                    const int64_t *y_extent) {
    problem p;
    int left[2] = {rank, 0};
    int64_t from = 1, to = 1;
    memset(&p, 0, sizeof p);
    for (int axis = 0; axis < rank; axis++) left[1] += (int)(t->mask >> axis & 1);
    p.count[1] = left[1];
    p.count[0] = left[0] -= left[1];
    p.dtype = (int)dtype;
    p.kind = (int)t->kind;
    p.sign = t->forward ? FFTW_FORWARD : FFTW_BACKWARD;
    for (int axis = rank - 1; axis >= 0; axis--) {
        const int chosen = t->mask >> axis & 1;
        const int64_t n = t->kind == AG__FROM_HALF ? y_extent[axis] : x_extent[axis];
        p.in[chosen][--left[chosen]] = (fftw_iodim64){.n = n, .is = from, .os = to};
        from *= x_extent[axis];
        to *= y_extent[axis];
    }
    p.size = from;
    return p;
}

static const functions *functions_of(const problem *p) { return p->dtype == (int)AG_F32 ? &of_f32 : &of_f64; }

static const unsigned how = FFTW_ESTIMATE | FFTW_PRESERVE_INPUT;

AG__SHORT static fftw_plan plan_of(const problem *p, void *x, void *y) {
    const functions *f = functions_of(p);
    const fftw_iodim64 *in = p->in[1], *rest = p->in[0];
    const int n = p->count[1], m = p->count[0];
    return p->kind == AG__COMPLEX   ? f->complex(n, in, m, rest, x, y, p->sign, how)
           : p->kind == AG__TO_HALF ? f->to_half(n, in, m, rest, x, y, how)
                                    : f->from_half(n, in, m, rest, x, y, how);
}

/* ---- Plans that are kept ---- */

/* A plan has tables of up to as many numbers as are transformed: those of large transforms are not worth their memory,
 * and these take much longer than their plans do. */
enum { KEPT = AG__LIMIT(16, 2), MOST_KEPT = AG__LIMIT(1 << 16, 60) };

typedef struct kept {
    problem of;     /* its sign is 0 before there is one */
    fftw_plan plan; /* NULL: not made yet, or there is none */
    int users;      /* threads that run it: it stays as long as there are some */
} kept;

static kept plans[KEPT];
static int oldest;

/* The place of p's plan, perhaps without it yet; NULL: it is not kept. */
AG__SHORT static kept *place_of(const problem *p) {
    for (kept *at = plans; at < plans + KEPT; at++)
        if (memcmp(&at->of, p, sizeof *p) == 0) return at;
    kept *at = &plans[oldest];
    if (p->size > MOST_KEPT || at->users > 0) return NULL;
    oldest = (oldest + 1) % KEPT;
    if (at->plan) functions_of(&at->of)->destroy(at->plan);
    at->of = *p;
    at->plan = NULL;
    return at;
}

/* FFTW does not write to x: it preserves the input. */
bool ag__fftw(ag_dtype dtype, const ag__transform *t, int rank, const int64_t *x_extent, const void *x,
              const int64_t *y_extent, void *y) {
    const problem p = problem_of(dtype, t, rank, x_extent, y_extent);
    const functions *f = functions_of(&p);
    void *from = (void *)(uintptr_t)x;
    ag__take_lock(&planning);
    kept *at = place_of(&p);
    fftw_plan plan = at && at->plan ? at->plan : plan_of(&p, from, y);
    if (at) at->plan = plan, at->users++;
    ag__leave_lock(&planning);
    if (plan) f->run[p.kind](plan, from, y);
    ag__take_lock(&planning);
    if (at) at->users--;
    else if (plan) f->destroy(plan);
    ag__leave_lock(&planning);
    return plan != NULL;
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
