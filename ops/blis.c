/* blis -- large products of f64 by BLIS, in builds with -Dblis; no other file knows BLIS
 *
 * BLIS ends the process on any error, so layouts and names of kernels are checked before it sees them. It also ends the
 * process if malloc fails within a product. So before one, as much memory as it will take is allocated and freed; if
 * that fails, our own kernels compute the product. If memory runs out between that and the allocation by BLIS, the
 * process still ends. That is why builds do not have BLIS by default.
 *
 * Products of f32 are not given to BLIS: its sums run over 384 elements, with errors of 3e-6. */
#include "autograd/eval/eval.h"
#include "ops/product.h"

#if AG_BLIS_HEADER_NESTED
#include <blis/blis.h>
#else
#include <blis.h>
#endif

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

_Static_assert(sizeof(dim_t) == sizeof(int64_t), "BLIS must have sizes of 64 bits");
_Static_assert(BLIS_NUM_ARCHS <= 100, "the number of kernels must have two digits");

/* ---- Kernels of BLIS ---- */

/* Kernels that run wherever our unit does, the best first. */
static const struct {
    int number, unit;
} kernels[] = {
#ifdef BLIS_CONFIG_SKX
    {BLIS_ARCH_SKX, AG__AVX512},
#endif
#ifdef BLIS_CONFIG_HASWELL
    {BLIS_ARCH_HASWELL, AG__AVX2},
#endif
#ifdef BLIS_CONFIG_ZEN3
    {BLIS_ARCH_ZEN3, AG__AVX2},
#endif
#ifdef BLIS_CONFIG_ZEN2
    {BLIS_ARCH_ZEN2, AG__AVX2},
#endif
#ifdef BLIS_CONFIG_ZEN
    {BLIS_ARCH_ZEN, AG__AVX2},
#endif
    {BLIS_ARCH_GENERIC, AG__BASELINE},
};

static bool can_run(int unit) {
    if (unit == AG__AVX512 && !ag__processor_has(AG__HAS_AVX512)) return false; /* Knights Landing lacks VL */
    return ag__has_unit(unit);
}

/* The kernels whose number or name the user wishes, if they run here; else the best for the processor's features,
 * whatever its vendor, virtual or not. -1: BLIS chooses. */
int ag__blis_kernels(const char *wish) {
    char *end = NULL;
    const long number = wish ? strtol(wish, &end, 10) : -1;
    const size_t count = sizeof kernels / sizeof *kernels;
    for (size_t i = 0; wish && i < count; i++) {
        const bool meant = (end != wish && *end == 0 && number == kernels[i].number) ||
                           strcmp(wish, bli_arch_string((arch_t)kernels[i].number)) == 0;
        if (meant && can_run(kernels[i].unit)) return kernels[i].number;
    }
    for (size_t i = 0; i < count; i++)
        if (kernels[i].unit != AG__BASELINE && can_run(kernels[i].unit)) return kernels[i].number;
    return -1;
}

/* ---- Initialising ---- */

static bool has_room(size_t bytes) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p != MAP_FAILED && munmap(p, bytes) == 0;
}

enum { MARGIN = 1 << 20 }; /* BLIS takes this besides, for a product or to initialise */

static size_t taken; /* bytes that a share of a product takes; 0: BLIS cannot be used */

/* BLIS packs blocks of both operands, in memory sized for the widest elements. */
static size_t packed_bytes(void) {
    size_t a = 0, b = 0;
    for (num_t type = 0; type < BLIS_NUM_FP_TYPES; type++) {
        const dim_t m = bli_cntx_get_blksz_max_dt(type, BLIS_MC, bli_gks_query_cntx());
        const dim_t n = bli_cntx_get_blksz_max_dt(type, BLIS_NC, bli_gks_query_cntx());
        const dim_t k = bli_cntx_get_blksz_max_dt(type, BLIS_KC, bli_gks_query_cntx());
        const size_t column = (size_t)k * bli_dt_size(type);
        if ((size_t)m * column > a) a = (size_t)m * column;
        if ((size_t)n * column > b) b = (size_t)n * column;
    }
    return a + b;
}

/* BLIS reads from the environment, once, which kernels to use. */
static void begin(void) {
    static const char name[] = "BLIS_ARCH_TYPE";
    const char *wish = getenv(name);
    const int number = ag__blis_kernels(wish);
    char old[32] = "";
    if (wish) strncpy(old, wish, sizeof old - 1);
    if (!has_room(MARGIN)) return;
    const char digits[] = {(char)('0' + number / 10), (char)('0' + number % 10), 0};
    if ((number < 0 ? unsetenv(name) : setenv(name, digits, 1)) != 0) return;
    bli_init();
    if (wish) setenv(name, old, 1);
    else unsetenv(name);
    taken = packed_bytes() * 5 / 4 + MARGIN; /* a quarter: for whole tiles */
}

/* ---- Products ---- */

/* Whether elements are contiguous along one axis, and none overlap. */
static bool lies_well(int64_t rows, int64_t columns, int64_t row, int64_t column) {
    return (column == 1 && row >= columns) || (row == 1 && column >= rows);
}

static bool is_large(const ag__product *p) {
    enum { LARGE = AG__LIMIT(1000, 12), THIN = AG__LIMIT(384, 5), SHORT = AG__LIMIT(256, 4) };
    return p->m >= THIN && p->n >= THIN && p->k >= SHORT &&
           (double)p->m * (double)p->n * (double)p->k >= (double)LARGE * LARGE * LARGE;
}

bool ag__blis_takes(const ag__product *p, int shares) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (p->dtype != AG_F64 || !is_large(p) || !lies_well(p->m, p->k, p->a_row, p->a_column) ||
        !lies_well(p->k, p->n, p->b_row, p->b_column))
        return false;
    pthread_once(&once, begin);
    return taken > 0 && has_room((size_t)shares * taken);
}

/* The path without packing is disabled: its bits depend on the number of threads. */
void ag__multiply_by_blis(const ag__product *p) {
    rntm_t settings = BLIS_RNTM_INITIALIZER;
    bli_rntm_set_num_threads(1, &settings);
    bli_rntm_disable_l3_sup(&settings);
    double one = 1, old = p->add;
    bli_dgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, p->m, p->n, p->k, &one, (void *)(uintptr_t)p->a, p->a_row,
                 p->a_column, (void *)(uintptr_t)p->b, p->b_row, p->b_column, &old, p->y, p->y_row, 1, NULL, &settings);
}
