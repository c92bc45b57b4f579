/* test_library -- optional libraries are loaded when needed, and their absence is an answer */
#include "ops/library.h"

#include "tests/support.h"

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

int main(void) {
    Suite *suite = suite_create("library");
    tcase_add_test(plain_group(suite, "loading"), a_library_is_there_or_not);
    return run_suite(suite);
}
