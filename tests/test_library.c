/* test_library -- optional libraries are loaded when needed, and their absence is an answer; constructors use this one */
#include "autograd/tape/features.h"
#include "ops/library.h"

#include "tests/support.h"

#include <math.h>
#include <stdlib.h>

static double (*cosine)(double x), (*unknown)(double x);

static const char *const absent[] = {"libautograd_has_no_such_file.so", NULL};
static const char *const mathematics[] = {"libautograd_has_no_such_file.so", "libm.so.6", "libm.so", "libm.dylib",
                                          NULL};
static const ag__symbol known[] = {{"cos", &cosine}};
static const ag__symbol half_known[] = {{"cos", &cosine}, {"autograd_has_no_such_function", &unknown}};

START_TEST(a_library_is_there_or_not) {
#if AG_HAVE_FFTW || AG_HAVE_LAPACK
    ag__library none = {absent, known, 1, 0}, some = {mathematics, half_known, 2, 0}, all = {mathematics, known, 1, 0};
    for (int again = 0; again < 2; again++) {
        ck_assert(!ag__is_loaded(&none));
        ck_assert(!ag__is_loaded(&some));
        if (ag__is_loaded(&all)) ck_assert(cosine(0.5) == cos(0.5));
    }
    ck_assert_int_eq(none.state, -1);
    ck_assert_int_eq(some.state, -1);
#ifdef __GLIBC__
    ck_assert_int_eq(all.state, 1);
#endif
#endif
    ck_assert(unknown == NULL);
}
END_TEST

#ifdef __GNUC__
static bool had_avx2;
static double early;

/* Before main, as C++ initialises variables, and before the constructors of a static library that have no priority. */
__attribute__((constructor)) static void use_early(void) {
    ag_tape *t = ag_tape_new();
    had_avx2 = ag__processor_has(AG__HAS_AVX2);
    early = ag_item(ag_exp(ag_scalar(t, AG_F64, 0.5)));
    ag_tape_free(t);
}

START_TEST(constructors_have_all_features_of_the_processor) {
    const bool changed = getenv("AG_TEST_PROCESSOR") != NULL; /* by run_suite */
    ck_assert(changed || had_avx2 == ag__processor_has(AG__HAS_AVX2));
    ck_assert(early == ag_item(ag_exp(ag_scalar(tape, AG_F64, 0.5))));
}
END_TEST
#endif

#if defined __GNUC__ && (defined __x86_64__ || defined __i386__)
/* Each bit that the manuals of processors ask for, missing alone from what has all. */
START_TEST(features_are_those_of_the_registers) {
    enum {
        LEVEL_4 = AG__HAS_LEVEL_4,
        LEVEL_3 = AG__HAS_LEVEL_3 | LEVEL_4,
        AVX512 = AG__HAS_AVX512 | LEVEL_4,
        AVX512F = AG__HAS_AVX512F | AVX512,
        ALL = AG__HAS_AVX | AG__HAS_AVX2 | AG__HAS_FMA | AVX512F | LEVEL_3
    };
    static const struct {
        int word, bit;
        unsigned lost;
    } rows[] = {
        {0, 28, ALL},                   /* AVX */
        {0, 12, AG__HAS_FMA | LEVEL_3}, /* FMA */
        {0, 22, LEVEL_3},               /* MOVBE */
        {0, 29, LEVEL_3},               /* F16C */
        {1, 1, ALL},                    /* the system keeps XMM, */
        {1, 2, ALL},                    /* YMM, */
        {1, 5, AVX512F},                /* masks, */
        {1, 6, AVX512F},                /* the upper halves of ZMM, */
        {1, 7, AVX512F},                /* and ZMM16 to 31 */
        {2, 3, LEVEL_3},                /* BMI1 */
        {2, 5, AG__HAS_AVX2 | LEVEL_3}, /* AVX2 */
        {2, 8, LEVEL_3},                /* BMI2 */
        {2, 16, AVX512F},               /* AVX512F */
        {2, 17, AVX512},                /* AVX512DQ */
        {2, 28, LEVEL_4},               /* AVX512CD */
        {2, 30, AVX512},                /* AVX512BW */
        {2, 31, AVX512},                /* AVX512VL */
        {3, 5, LEVEL_3},                /* LZCNT */
    };
    ck_assert_uint_eq(ag__features_of(UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX), ALL);
    ck_assert_uint_eq(ag__features_of(1u << 28, 6, 0, 0), AG__HAS_AVX);
    uint32_t needed[4] = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t word[] = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
        word[rows[i].word] &= ~(UINT32_C(1) << rows[i].bit);
        needed[rows[i].word] |= UINT32_C(1) << rows[i].bit;
        ck_assert_msg(ag__features_of(word[0], word[1], word[2], word[3]) == (ALL & ~rows[i].lost), "row %zu", i);
    }
    ck_assert_uint_eq(ag__features_of(needed[0], needed[1], needed[2], needed[3]), ALL); /* no other bit is wanted */
}
END_TEST
#endif

int main(void) {
    Suite *suite = suite_create("library");
    tcase_add_test(plain_group(suite, "loading"), a_library_is_there_or_not);
#ifdef __GNUC__
    tcase_add_test(tape_group(suite, "constructors"), constructors_have_all_features_of_the_processor);
#endif
#if defined __GNUC__ && (defined __x86_64__ || defined __i386__)
    tcase_add_test(plain_group(suite, "features"), features_are_those_of_the_registers);
#endif
    return run_suite(suite);
}
