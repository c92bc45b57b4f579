/* test_file -- files are there whole or not at all, whatever their path stands for and whatever fails on the way
 *
 * Each test has a directory of its own. The linker puts the functions __wrap_… in the place of the system's, so that
 * their order can be seen and that they can be made to fail. */
#define _XOPEN_SOURCE 700
#include "autograd/tape/file.h"
#include "tests/support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64], path[128], other[128], text[600];

/* ---- The system's functions ---- */

int __real_fsync(int d);
int __real_rename(const char *from, const char *to);
int __wrap_fsync(int d);
int __wrap_rename(const char *from, const char *to);

static char calls[64]; /* f: a file was synced; d: a directory; r: a rename */
static char failing;   /* the one of these that fails */
static struct stat synced;

static int note_call(char which, int number) {
    size_t n = strlen(calls);
    if (n + 1 < sizeof calls) calls[n] = which, calls[n + 1] = 0;
    if (failing == which) errno = number;
    return failing == which ? -1 : 0;
}

int __wrap_fsync(int d) {
    struct stat s;
    if (fstat(d, &s) != 0) return -1;
    synced = s;
    return note_call(S_ISDIR(s.st_mode) ? 'd' : 'f', EIO) == 0 ? __real_fsync(d) : -1;
}

int __wrap_rename(const char *from, const char *to) {
    return note_call('r', EXDEV) == 0 ? __real_rename(from, to) : -1;
}

/* ---- Files ---- */

static const char *in(const char *name) {
    static char full[4][400];
    static int turn;
    char *to = full[turn++ % 4];
    snprintf(to, sizeof full[0], "%s/%s", directory, name);
    return to;
}

static void open_directory(void) {
    snprintf(directory, sizeof directory, "%s/test_file.XXXXXX", scratch());
    ck_assert_ptr_nonnull(mkdtemp(directory));
    strcpy(path, in("file"));
    strcpy(other, in("other"));
    calls[0] = failing = 0;
    ledger_open(&tape_ledger);
    tape = ag_tape_new_with(&tape_ledger.allocator);
}

static void close_directory(void) {
    char command[100];
    ag_tape_free(tape);
    ledger_close(&tape_ledger);
    snprintf(command, sizeof command, "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static int files_in(const char *folder) {
    int n = 0;
    DIR *d = opendir(folder);
    ck_assert_ptr_nonnull(d);
    while (readdir(d)) n++;
    closedir(d);
    return n - 2;
}

static void put(const char *name, const char *content, mode_t mode) {
    FILE *f = fopen(name, "w");
    ck_assert_ptr_nonnull(f);
    fputs(content, f);
    fclose(f);
    ck_assert_int_eq(chmod(name, mode), 0);
}

static const char *content_of(const char *name) {
    FILE *f = fopen(name, "rb");
    ck_assert_ptr_nonnull(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

static struct stat stat_of(const char *name) {
    struct stat s;
    ck_assert_int_eq(lstat(name, &s), 0);
    return s;
}

static mode_t mode_of(const char *name) { return stat_of(name).st_mode & 07777; }

/* ---- What is written ---- */

static void put_new(FILE *file, void *context) {
    (void)context;
    fputs("new", file);
}

static void put_much(FILE *file, void *context) {
    (void)context;
    for (int i = 0; i < 30000; i++) fputs("many bytes ", file);
}

static void put_error(FILE *file, void *context) {
    put_new(file, context);
    ag__fail_on(tape, "content", AG_ERR_RANGE, "on purpose");
}

static bool write_with(const char *name, ag__file_content *fill) {
    return ag__write_file(tape, "save", name, fill, NULL);
}

static void expect_written(const char *name) {
    ck_assert(write_with(name, put_new));
    expect_ok(tape);
}

static void expect_refused(const char *name, ag__file_content *fill, int number) {
    char shown[401];
    snprintf(shown, sizeof shown, "%.400s", name);
    ck_assert(!write_with(name, fill));
    expect_error(tape, AG_ERR_FILE, "save: ", shown, strerror(number));
}

/* ---- Which file is replaced ---- */

START_TEST(a_new_file_has_the_mode_that_umask_gives) {
    mode_t former = umask(027);
    expect_written(path);
    umask(former);
    ck_assert_int_eq(mode_of(path), 0640);
    ck_assert_str_eq(content_of(path), "new");
    ck_assert_int_eq(files_in(directory), 1);
}
END_TEST

START_TEST(a_replaced_file_keeps_its_mode_and_owner) {
    const mode_t modes[] = {0600, 0644, 0666, 0751, 02660};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        put(path, "old", modes[i]);
        if (geteuid() == 0) ck_assert(chown(path, 65534, 65533) == 0 && chmod(path, modes[i]) == 0);
        struct stat before = stat_of(path);
        expect_written(path);
        struct stat after = stat_of(path);
        ck_assert_str_eq(content_of(path), "new");
        ck_assert_int_eq(after.st_mode, before.st_mode);
        ck_assert(after.st_uid == before.st_uid && after.st_gid == before.st_gid && after.st_ino != before.st_ino);
    }
    ck_assert_int_eq(files_in(directory), 1);
}
END_TEST

static int beside_target, beside_link;
static void count_files(FILE *file, void *context) {
    put_new(file, context);
    beside_target = files_in(in("folder"));
    beside_link = files_in(directory);
}

/* The link is relative to the folder that it stands in, and leads through another one. */
START_TEST(a_link_stays_and_its_target_is_replaced) {
    ck_assert_int_eq(mkdir(in("folder"), 0700), 0);
    put(in("folder/target"), "old", 0604);
    ck_assert_int_eq(symlink("second", in("folder/first")), 0);
    ck_assert_int_eq(symlink(in("folder/target"), in("folder/second")), 0);
    ck_assert_int_eq(symlink("folder/first", path), 0);
    struct stat before = stat_of(in("folder/target"));
    ck_assert(write_with(path, count_files));
    ck_assert(beside_target == 4 && beside_link == 2);
    ck_assert(S_ISLNK(stat_of(path).st_mode) && S_ISLNK(stat_of(in("folder/first")).st_mode));
    ck_assert_str_eq(content_of(path), "new");
    ck_assert_int_eq(mode_of(in("folder/target")), 0604);
    ck_assert(stat_of(in("folder/target")).st_ino != before.st_ino);
    ck_assert_int_eq(files_in(in("folder")), 3);
}
END_TEST

START_TEST(the_target_of_a_dangling_link_is_made) {
    ck_assert_int_eq(symlink("other", path), 0);
    expect_written(path);
    ck_assert(S_ISLNK(stat_of(path).st_mode) && S_ISREG(stat_of(other).st_mode));
    ck_assert_str_eq(content_of(other), "new");
    ck_assert_int_eq(files_in(directory), 2);
    unlink(other), unlink(path);
    ck_assert_int_eq(symlink("missing/other", path), 0);
    expect_refused(path, put_new, ENOENT);
    ck_assert_int_eq(symlink("round", in("round")), 0);
    expect_refused(in("round"), put_new, ELOOP);
    static char far[4090];
    memset(far, 'x', sizeof far - 1);
    ck_assert_int_eq(symlink(far, in("far")), 0);
    expect_refused(in("far"), put_new, ENAMETOOLONG);
}
END_TEST

START_TEST(a_directory_is_an_error) {
    ck_assert_int_eq(mkdir(other, 0700), 0);
    ck_assert_int_eq(symlink("other", path), 0);
    expect_refused(other, put_new, EISDIR);
    expect_refused(in("other/"), put_new, EISDIR);
    expect_refused(path, put_new, EISDIR);
    expect_refused("/", put_new, EISDIR);
    ck_assert_int_eq(files_in(directory), 2);
    ck_assert_int_eq(files_in(other), 0);
}
END_TEST

START_TEST(a_path_that_leads_nowhere_is_an_error) {
    static char long_name[300], long_path[5000];
    memset(long_name, 'x', sizeof long_name - 1);
    memset(long_path, '/', sizeof long_path - 1);
    put(path, "old", 0600);
    expect_refused("", put_new, ENOENT);
    expect_refused(in("missing/file"), put_new, ENOENT);
    expect_refused(in("file/"), put_new, ENOTDIR);
    expect_refused(in("file/file"), put_new, ENOTDIR);
    expect_refused(in("new/"), put_new, ENOENT);
    expect_refused(in(long_name), put_new, ENAMETOOLONG);
    expect_refused(long_path, put_new, ENAMETOOLONG);
    long_name[255] = 0; /* the longest that there is: the temporary file's is no longer */
    expect_written(in(long_name));
    ck_assert_str_eq(content_of(path), "old");
    ck_assert_int_eq(files_in(directory), 2);
}
END_TEST

START_TEST(a_file_in_the_way_of_the_temporary_one_stays) {
    put(in("file.0.tmp"), "mine", 0600);
    expect_written(path);
    ck_assert_str_eq(content_of(in("file.0.tmp")), "mine");
    ck_assert_int_eq(files_in(directory), 2);
}
END_TEST

/* ---- What is written through ---- */

START_TEST(a_pipe_is_written_through_and_stays) {
    char end[8] = "";
    ck_assert_int_eq(mkfifo(other, 0600), 0);
    ck_assert_int_eq(symlink("other", path), 0);
    int reader = open(other, O_RDONLY | O_NONBLOCK);
    expect_written(path);
    ck_assert_int_eq(read(reader, end, 7), 3);
    ck_assert_str_eq(end, "new");
    ck_assert(S_ISFIFO(stat_of(other).st_mode) && S_ISLNK(stat_of(path).st_mode));
    close(reader);
    expect_refused(other, put_new, ENXIO); /* the pipe has no reader */
    ck_assert_int_eq(files_in(directory), 2);
}
END_TEST

/* SIGPIPE would end the process. */
static int last_reader;
static void put_to_nobody(FILE *file, void *context) {
    close(last_reader);
    put_much(file, context);
}

START_TEST(a_reader_that_leaves_is_an_error) {
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    last_reader = open(path, O_RDONLY | O_NONBLOCK);
    expect_refused(path, put_to_nobody, EPIPE);
    sigset_t pending, blocked;
    sigpending(&pending);
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    ck_assert(!sigismember(&pending, SIGPIPE) && !sigismember(&blocked, SIGPIPE));
}
END_TEST

/* As /dev/stdout is, when the shell has sent it to a file: what was there and what comes later stay. */
START_TEST(an_open_descriptor_is_written_to_where_it_stands) {
    char name[40];
    int d = open(path, O_RDWR | O_CREAT, 0600);
    snprintf(name, sizeof name, "/dev/fd/%d", d);
    if (access(name, W_OK) == 0) {
        struct stat before = stat_of(path);
        ck_assert_int_eq(symlink(name, other), 0);
        ck_assert_int_eq(write(d, "before ", 7), 7);
        expect_written(name);
        expect_written(other);
        ck_assert_int_eq(write(d, " after", 6), 6);
        ck_assert_str_eq(content_of(path), "before newnew after");
        ck_assert(stat_of(path).st_ino == before.st_ino && S_ISLNK(stat_of(other).st_mode));
        ck_assert_ptr_null(strchr(calls, 'r'));
    }
    close(d);
    ck_assert_int_eq(mkdir(in("fd"), 0700), 0); /* a file that only has such a name */
    put(in("fd/1"), "old", 0604);
    expect_written(in("fd/1"));
    ck_assert_int_eq(mode_of(in("fd/1")), 0604);
    static const char *const names[] = {"fd/x", "fd/1x", "fd/0", "fd/999", "fd/12345678"};
    for (int i = 0; i < 5; i++) {
        expect_written(in(names[i]));
        ck_assert_str_eq(content_of(in(names[i])), "new");
    }
    ck_assert_ptr_nonnull(strchr(calls, 'r'));
}
END_TEST

/* Renaming over /dev/null would be the end of it. */
START_TEST(a_device_is_written_through) {
    expect_written("/dev/null");
    ck_assert(S_ISCHR(stat_of("/dev/null").st_mode));
    if (access("/dev/full", W_OK) == 0) expect_refused("/dev/full", put_new, ENOSPC);
    if (access("/dev/full", W_OK) == 0) expect_refused("/dev/full", put_much, ENOSPC);
}
END_TEST

/* ---- What fails on the way ---- */

static void expect_untouched(void) {
    ck_assert_str_eq(content_of(path), "old");
    ck_assert_int_eq(mode_of(path), 0604);
    ck_assert_int_eq(files_in(directory), 1);
}

START_TEST(syncing_and_renaming_come_in_order) {
    expect_written(path);
    ck_assert_str_eq(calls, "frd");
    ck_assert_uint_eq(synced.st_ino, stat_of(directory).st_ino);
    ck_assert_int_eq(mkdir(other, 0700), 0);
    ck_assert_int_eq(symlink("other/target", in("link")), 0);
    expect_written(in("link"));
    ck_assert_uint_eq(synced.st_ino, stat_of(other).st_ino);
    char *former = realpath(".", NULL);
    ck_assert(former && chdir(directory) == 0);
    expect_written("file");
    ck_assert_uint_eq(synced.st_ino, stat_of(directory).st_ino);
    ck_assert_int_eq(chdir(former), 0);
    free(former);
}
END_TEST

START_TEST(what_the_system_refuses_leaves_the_old_file) {
    put(path, "old", 0604);
    failing = 'f';
    expect_refused(path, put_new, EIO);
    expect_untouched();
    ck_assert_str_eq(calls, "f");
    failing = 'r';
    expect_refused(path, put_new, EXDEV);
    expect_untouched();
    failing = 'd';
    ck_assert(!write_with(path, put_new));
    expect_error(tape, AG_ERR_FILE, path, "is written, but", "folder", strerror(EIO));
    ck_assert_str_eq(content_of(path), "new");
    ck_assert_int_eq(files_in(directory), 1);
}
END_TEST

/* SIGXFSZ would end the process. */
START_TEST(a_full_disk_leaves_the_old_file) {
    put(path, "old", 0604);
    struct rlimit former, limit;
    getrlimit(RLIMIT_FSIZE, &former);
    limit = former;
    limit.rlim_cur = 50000;
    setrlimit(RLIMIT_FSIZE, &limit);
    bool good = write_with(path, put_much);
    bool small = write_with(other, put_new);
    setrlimit(RLIMIT_FSIZE, &former);
    ck_assert(!good && !small); /* the second for the error of the first */
    expect_error(tape, AG_ERR_FILE, "save: ", path, strerror(EFBIG));
    unlink(other);
    expect_untouched();
}
END_TEST

START_TEST(an_error_in_the_content_leaves_the_old_file) {
    put(path, "old", 0604);
    ck_assert(!write_with(path, put_error));
    expect_error(tape, AG_ERR_RANGE, "content: on purpose");
    expect_untouched();
}
END_TEST

/* The superuser may write everywhere, so the test changes its user meanwhile. */
static void expect_no_permission(void) {
    uid_t user = geteuid();
    if (user == 0) ck_assert_int_eq(seteuid(65534), 0);
    bool good = write_with(path, put_new);
    if (user == 0) ck_assert_int_eq(seteuid(0), 0);
    ck_assert(!good);
    expect_error(tape, AG_ERR_FILE, "save: ", path, strerror(EACCES));
    ck_assert_str_eq(content_of(path), "old");
    ck_assert_int_eq(files_in(directory), 1);
}

START_TEST(a_folder_that_may_not_be_written_is_an_error) {
    put(path, "old", 0606);
    ck_assert_int_eq(chmod(directory, 0555), 0);
    expect_no_permission();
    ck_assert_int_eq(chmod(directory, 0700), 0);
}
END_TEST

START_TEST(a_file_that_may_not_be_written_is_not_replaced) {
    put(path, "old", 0444);
    ck_assert_int_eq(chmod(directory, 0777), 0);
    expect_no_permission();
    ck_assert_int_eq(mode_of(path), 0444);
}
END_TEST

START_TEST(every_failing_allocation) {
    put(path, "old", 0604);
    tape_ledger.fail_at = tape_ledger.calls + 1;
    ck_assert(!write_with(path, put_new));
    expect_error(tape, AG_ERR_MEMORY, "save: out of memory");
    expect_untouched();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("file");
    TCase *files = plain_group(suite, "file");
    tcase_add_checked_fixture(files, open_directory, close_directory);
    tcase_add_test(files, a_new_file_has_the_mode_that_umask_gives);
    tcase_add_test(files, a_replaced_file_keeps_its_mode_and_owner);
    tcase_add_test(files, a_link_stays_and_its_target_is_replaced);
    tcase_add_test(files, the_target_of_a_dangling_link_is_made);
    tcase_add_test(files, a_directory_is_an_error);
    tcase_add_test(files, a_path_that_leads_nowhere_is_an_error);
    tcase_add_test(files, a_file_in_the_way_of_the_temporary_one_stays);
    tcase_add_test(files, a_pipe_is_written_through_and_stays);
    tcase_add_test(files, a_reader_that_leaves_is_an_error);
    tcase_add_test(files, an_open_descriptor_is_written_to_where_it_stands);
    tcase_add_test(files, a_device_is_written_through);
    tcase_add_test(files, syncing_and_renaming_come_in_order);
    tcase_add_test(files, what_the_system_refuses_leaves_the_old_file);
    tcase_add_test(files, a_full_disk_leaves_the_old_file);
    tcase_add_test(files, an_error_in_the_content_leaves_the_old_file);
    tcase_add_test(files, a_folder_that_may_not_be_written_is_an_error);
    tcase_add_test(files, a_file_that_may_not_be_written_is_not_replaced);
    tcase_add_test(files, every_failing_allocation);
    return run_suite(suite);
}
