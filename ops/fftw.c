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
    __typeof__(fftw_execute_dft) *run_complex;
    __typeof__(fftw_execute_dft_r2c) *run_to_half;
    __typeof__(fftw_execute_dft_c2r) *run_from_half;
    __typeof__(fftw_destroy_plan) *destroy;
} functions;

static functions of_f32, of_f64;

static const ag__symbol symbols_f32[] = {{"fftwf_plan_guru64_dft", &of_f32.complex},
                                         {"fftwf_plan_guru64_dft_r2c", &of_f32.to_half},
                                         {"fftwf_plan_guru64_dft_c2r", &of_f32.from_half},
                                         {"fftwf_execute_dft", &of_f32.run_complex},
                                         {"fftwf_execute_dft_r2c", &of_f32.run_to_half},
                                         {"fftwf_execute_dft_c2r", &of_f32.run_from_half},
                                         {"fftwf_destroy_plan", &of_f32.destroy}};
static const ag__symbol symbols_f64[] = {{"fftw_plan_guru64_dft", &of_f64.complex},
                                         {"fftw_plan_guru64_dft_r2c", &of_f64.to_half},
                                         {"fftw_plan_guru64_dft_c2r", &of_f64.from_half},
                                         {"fftw_execute_dft", &of_f64.run_complex},
                                         {"fftw_execute_dft_r2c", &of_f64.run_to_half},
                                         {"fftw_execute_dft_c2r", &of_f64.run_from_half},
                                         {"fftw_destroy_plan", &of_f64.destroy}};
static const char *const files_f32[] = {"libfftw3f.so.3", "libfftw3f.so", "libfftw3f.3.dylib", NULL};
static const char *const files_f64[] = {"libfftw3.so.3", "libfftw3.so", "libfftw3.3.dylib", NULL};

static ag__library narrow = {files_f32, symbols_f32, sizeof symbols_f32 / sizeof *symbols_f32, 0};
static ag__library wide = {files_f64, symbols_f64, sizeof symbols_f64 / sizeof *symbols_f64, 0};

bool ag__has_fftw(void) { return ag__is_loaded(&narrow) && ag__is_loaded(&wide); }

bool ag__fftw_aligned(const void *p) { return (uintptr_t)p % 64 == 0; }

/* What a plan depends on, all in one size so that bytes can be compared: the axes, those that are transformed and the
 * others. */
typedef struct problem {
    fftw_iodim64 in[2][AG_MAX_RANK];
    int count[2];
    int dtype, kind, sign, unused;
} problem;

static problem problem_of(ag_dtype dtype, const ag__transform *t, int rank, const int64_t *x_extent,
                          const int64_t *y_extent) {
    problem p;
    int64_t from = 1, to = 1;
    memset(&p, 0, sizeof p);
    p.dtype = (int)dtype;
    p.kind = (int)t->kind;
    p.sign = t->forward ? FFTW_FORWARD : FFTW_BACKWARD;
    for (int axis = rank - 1; axis >= 0; axis--) {
        const int chosen = t->mask >> axis & 1;
        const int64_t n = t->kind == AG__FROM_HALF ? y_extent[axis] : x_extent[axis];
        p.in[chosen][p.count[chosen]++] = (fftw_iodim64){.n = n, .is = from, .os = to};
        from *= x_extent[axis];
        to *= y_extent[axis];
    }
    for (int group = 0; group < 2; group++) /* the last axis last */
        for (int i = 0, j = p.count[group] - 1; i < j; i++, j--) {
            const fftw_iodim64 other = p.in[group][i];
            p.in[group][i] = p.in[group][j];
            p.in[group][j] = other;
        }
    return p;
}

static const functions *functions_of(const problem *p) { return p->dtype == (int)AG_F32 ? &of_f32 : &of_f64; }

static const unsigned how = FFTW_ESTIMATE | FFTW_PRESERVE_INPUT;

static fftw_plan plan_of(const problem *p, void *x, void *y) {
    const functions *f = functions_of(p);
    const fftw_iodim64 *in = p->in[1], *rest = p->in[0];
    const int n = p->count[1], m = p->count[0];
    return p->kind == AG__COMPLEX   ? f->complex(n, in, m, rest, x, y, p->sign, how)
           : p->kind == AG__TO_HALF ? f->to_half(n, in, m, rest, x, y, how)
                                    : f->from_half(n, in, m, rest, x, y, how);
}

static void run(const problem *p, fftw_plan plan, void *x, void *y) {
    const functions *f = functions_of(p);
    if (p->kind == AG__COMPLEX) f->run_complex(plan, x, y);
    else if (p->kind == AG__TO_HALF) f->run_to_half(plan, x, y);
    else f->run_from_half(plan, x, y);
}

/* ---- Plans that are kept ---- */

enum { KEPT = AG__LIMIT(16, 2) };

typedef struct kept {
    problem of;
    fftw_plan plan; /* NULL: none */
    int users;      /* threads that run it: as long it stays */
} kept;

static kept plans[KEPT];
static unsigned oldest;

/* A plan has tables of as many numbers as are transformed together: those of large ones are not worth their memory. */
static bool is_short(const problem *p) {
    enum { MOST = AG__LIMIT(1 << 14, 60) };
    int64_t n = 1;
    for (int i = 0; i < p->count[1] && n <= MOST; i++) n *= p->in[1][i].n;
    return n <= MOST;
}

/* The place of p's plan, which is kept already or from now on; or `own`, for one run. No plan: FFTW has none. */
static kept *take(const problem *p, kept *own, void *x, void *y) {
    kept *at = own;
    for (int i = 0; i < KEPT; i++)
        if (plans[i].plan && memcmp(&plans[i].of, p, sizeof *p) == 0) return plans[i].users++, &plans[i];
    if (is_short(p) && plans[oldest % KEPT].users == 0) at = &plans[oldest++ % KEPT];
    if (at->plan) functions_of(&at->of)->destroy(at->plan);
    *at = (kept){.of = *p, .plan = plan_of(p, x, y), .users = 1};
    return at;
}

/* FFTW does not write to x: it preserves the input. */
bool ag__fftw(ag_dtype dtype, const ag__transform *t, int rank, const int64_t *x_extent, const void *x,
              const int64_t *y_extent, void *y) {
    const problem p = problem_of(dtype, t, rank, x_extent, y_extent);
    kept own = {.plan = NULL};
    void *from = (void *)(uintptr_t)x;
    ag__take_lock(&planning);
    kept *at = take(&p, &own, from, y);
    const fftw_plan plan = at->plan;
    ag__leave_lock(&planning);
    if (plan) run(&p, plan, from, y);
    ag__take_lock(&planning);
    at->users--;
    if (at == &own && plan) functions_of(&p)->destroy(plan);
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
