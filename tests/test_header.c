/* test_header -- the public header's opening program is the built example, and prints the output given there
 *
 * The sources are found beside this file, or at AG_SOURCE_ROOT. */
/* The example itself, as a function; falling off its end is main's privilege. */
int hello_main(void);
#ifdef __GNUC__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wreturn-type"
#endif
#define main hello_main
#include "examples/hello.c"
#undef main
#ifdef __GNUC__
#pragma GCC diagnostic pop
#endif

#include "tests/support.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Reading the sources ---- */

static FILE *open_source(const char *path) {
    char whole[1000], here[] = __FILE__, *end = strstr(here, "tests/test_header.c");
    const char *wish = getenv("AG_SOURCE_ROOT"), *roots[] = {wish ? wish : "", here, ".", ".."};
    if (end) *end = 0;
    for (int i = 0; i < 4; i++) {
        snprintf(whole, sizeof whole, "%s%s%s", roots[i], *roots[i] ? "/" : "", path);
        FILE *file = *roots[i] || i == 1 ? fopen(whole, "r") : NULL;
        if (file) return file;
    }
    ck_abort_msg("%s was not found: set AG_SOURCE_ROOT", path);
    return NULL;
}

/* One blank for any number of them, none at the ends. */
static void squeeze(char *text) {
    char *to = text;
    for (const char *from = text; *from; from++) {
        bool blank = isspace((unsigned char)*from);
        if (!blank) *to++ = *from;
        else if (to > text && to[-1] != ' ') *to++ = ' ';
    }
    while (to > text && to[-1] == ' ') to--;
    *to = 0;
}

static void read_squeezed(const char *path, char *text, size_t room) {
    FILE *file = open_source(path);
    size_t n = fread(text, 1, room - 1, file);
    fclose(file);
    ck_assert_uint_lt(n, room - 1);
    text[n] = 0;
    squeeze(text);
}

/* The indented lines of the opening comment from the first #include on. */
static void read_opening_program(char *text, size_t room) {
    static const char margin[] = " *     ";
    FILE *file = open_source("autograd/autograd.h");
    char line[1000];
    size_t used = 0;
    text[0] = 0;
    while (fgets(line, sizeof line, file)) {
        bool inside = strncmp(line, margin, strlen(margin)) == 0;
        if (!inside && used) break;
        if (inside && (used || strstr(line, "#include")))
            used += (size_t)snprintf(text + used, room - used, "%s", line + strlen(margin));
        ck_assert_uint_lt(used, room);
    }
    fclose(file);
    squeeze(text);
}

START_TEST(the_opening_program_is_the_example) {
    static char shown[10000], built[10000];
    read_opening_program(shown, sizeof shown);
    read_squeezed("examples/hello.c", built, sizeof built);
    ck_assert_msg(*shown, "autograd.h opens without a program");
    ck_assert_str_eq(shown, built);
}
END_TEST

/* ---- Running it ---- */

static void capture(char *text, size_t room) {
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    ck_assert_int_ge(dup2(fileno(file), STDOUT_FILENO), 0);
    (void)hello_main();
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    rewind(file);
    size_t n = fread(text, 1, room - 1, file);
    text[n] = 0;
    fclose(file);
}

START_TEST(it_prints_what_is_said) {
    static char printed[1000], header[200000], promise[1100];
    capture(printed, sizeof printed);
    ck_assert_str_eq(printed, "y = 2 x + 1\n");
    read_squeezed("autograd/autograd.h", header, sizeof header);
    snprintf(promise, sizeof promise, "It prints `%.*s`", (int)strcspn(printed, "\n"), printed);
    ck_assert_msg(strstr(header, promise) != NULL, "the header does not say: %s", promise);
}
END_TEST

/* ---- Expansions of the header's macros ---- */

START_TEST(shapes_and_axes_count_themselves) {
    ag_shape shape = AG_SHAPE(2, 3, 4), scalar = AG_SCALAR;
    ck_assert(shape.rank == 3 && shape.extent[0] == 2 && shape.extent[2] == 4);
    ck_assert_int_eq(scalar.rank, 0);
    ag_axes axes = AG_AXES(0, -1), all = AG_ALL_AXES;
    ck_assert(axes.count == 2 && axes.axis[1] == -1 && all.count == -1);
    int64_t n = 7;
    ck_assert(AG_SHAPE(n).extent[0] == 7 && AG_SHAPE(n + 1, 2 * n).extent[1] == 14);
}
END_TEST

START_TEST(the_version_is_the_project_s) {
    static char build[100000];
    char wanted[64];
    read_squeezed("meson.build", build, sizeof build);
    snprintf(wanted, sizeof wanted, "version: '%s'", AG_VERSION);
    ck_assert_msg(strstr(build, wanted) != NULL, "meson.build does not say %s", wanted);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("header");
    TCase *program = plain_group(suite, "program");
    tcase_add_test(program, the_opening_program_is_the_example);
    tcase_add_test(program, it_prints_what_is_said);
    tcase_add_test(program, shapes_and_axes_count_themselves);
    tcase_add_test(program, the_version_is_the_project_s);
    return run_suite(suite);
}
