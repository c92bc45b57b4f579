/* test_library -- optional libraries are loaded when needed, and their absence is an answer; constructors use this one */
#include "autograd/tape/features.h"
#include "ops/library.h"

#include "tests/support.h"

#include <stdlib.h>
#include <math.h>

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

int main(void) {
    Suite *suite = suite_create("library");
    tcase_add_test(plain_group(suite, "loading"), a_library_is_there_or_not);
#ifdef __GNUC__
    tcase_add_test(tape_group(suite, "constructors"), constructors_have_all_features_of_the_processor);
#endif
    return run_suite(suite);
}
