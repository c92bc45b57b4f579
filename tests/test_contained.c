/* test_contained -- the runner: a test that crashes or ends the process is a failure, and the others run
 *
 * A small suite runs in a child, which writes into a pipe. */
#include "tests/support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char said[4000];
static enum { PASS, FAIL, CRASH, EXIT, HANG } way;

START_TEST(passes) { ck_assert_ptr_nonnull(tape); }
END_TEST

START_TEST(goes_its_way) {
    if (way == FAIL) ck_abort_msg("as wished");
    if (way == CRASH) raise(SIGSEGV);
    if (way == EXIT) exit(0);
    if (way == HANG) raise(SIGALRM); /* as after five minutes */
}
END_TEST

static _Noreturn void run_small_suite(int out) {
    Suite *suite = suite_create("small");
    TCase *group = tape_group(suite, "group");
    tcase_add_test(group, passes);
    tcase_add_test(group, goes_its_way);
    tcase_add_test(group, passes);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    unsetenv("CK_FORK");
    unsetenv("CK_RUN_CASE");
    exit(run_suite(suite));
}

/* The exit status of the suite. */
static int run_small(void) {
    int ends[2], status = 0;
    size_t length = 0;
    fflush(NULL);
    ck_assert_int_eq(pipe(ends), 0);
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) run_small_suite(ends[1]);
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], said + length, sizeof said - 1 - length)) > 0;) length += (size_t)n;
    said[length] = '\0';
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status), "status %#x: %s", (unsigned)status, said);
    return WEXITSTATUS(status);
}

static void expect_said(const char *piece) {
    ck_assert_msg(strstr(said, piece) != NULL, "no \"%s\" in %s", piece, said);
}

START_TEST(suites_pass_or_fail) {
    way = PASS;
    ck_assert_int_eq(run_small(), 0);
    expect_said("100%: Checks: 3, Failures: 0, Errors: 0");
    way = FAIL;
    ck_assert_int_eq(run_small(), 1);
    expect_said("66%: Checks: 3, Failures: 1, Errors: 0");
    expect_said("goes_its_way:0: as wished");
}
END_TEST

START_TEST(a_crash_is_named) {
    way = CRASH;
    if (under_asan() || under_valgrind()) return; /* which name it */
    ck_assert_int_eq(run_small(), 1);
    expect_said("66%: Checks: 3, Failures: 0, Errors: 1");
    expect_said("goes_its_way:0: ");
    expect_said("signal");
}
END_TEST

START_TEST(an_exit_is_a_failure) {
    way = EXIT;
    if (under_asan() || under_valgrind()) return;
    ck_assert_int_eq(run_small(), 1);
    expect_said("ended early");
}
END_TEST

START_TEST(a_hang_is_named) {
    way = HANG;
    if (under_asan() || under_valgrind()) return; /* where this suite would be the child itself, ended by the signal */
    ck_assert_int_eq(run_small(), 1);
    expect_said("No end of the test goes_its_way is in sight");
    expect_said("Errors: 1");
}
END_TEST

START_TEST(lengths) {
    ck_assert_int_eq((int)by_length(1, 2, 3), small_run() ? 1 : long_run() ? 3 : 2);
    for (int64_t at = 1; at < 8; at++) ck_assert_int_eq((int)next_to_fail(at), (int)at + 1);
    ck_assert_int_eq((int)next_to_fail(64), small_run() ? 73 : long_run() ? 65 : 67);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("contained");
    TCase *runner = plain_group(suite, "runner");
    tcase_add_test(runner, suites_pass_or_fail);
    tcase_add_test(runner, a_crash_is_named);
    tcase_add_test(runner, an_exit_is_a_failure);
    tcase_add_test(runner, a_hang_is_named);
    tcase_add_test(runner, lengths);
    return run_suite(suite);
}
