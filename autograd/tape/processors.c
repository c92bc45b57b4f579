/* processors -- the default number of threads of a tape
 *
 * AG_THREADS, or else OMP_NUM_THREADS, which other libraries use; or else the number of processors that this process
 * may use: those of its affinity mask, but no more than the quota of its control group (in a container, say) allows. */
#define _GNU_SOURCE

#include "autograd/tape/environment.h"
#include "autograd/tape/format.h"
#include "autograd/tape/tape.h"

#if AG_HAVE_THREADS
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#endif
#endif

#if AG_HAVE_THREADS
static int online(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > AG__MOST_THREADS ? AG__MOST_THREADS : (int)n;
}

#ifdef __linux__
/* The number of processors in the affinity mask, which is read whole where there are more than usual; 0: unknown. */
static int allowed(void) {
    cpu_set_t set[8]; /* a bit each */
    for (size_t bytes = sizeof *set; bytes <= sizeof set; bytes *= sizeof set / sizeof *set)
        if (sched_getaffinity(0, bytes, set) == 0) return CPU_COUNT_S(bytes, set);
    return 0;
}

int ag__this_processor(void) { return sched_getcpu(); }

/* The system moves a thread whose processor is no longer allowed, and does not move it back when it is again. */
bool ag__leave_processor(int processor) {
    cpu_set_t set[8], others[8]; /* a bit each */
    if (processor < 0 || sched_getaffinity(0, sizeof set, set) != 0) return false;
    memcpy(others, set, sizeof set);
    CPU_CLR_S((size_t)processor, sizeof others, others);
    if (CPU_COUNT_S(sizeof others, others) == 0 || sched_setaffinity(0, sizeof others, others) != 0) return false;
    return sched_setaffinity(0, sizeof set, set) == 0;
}
#else
static int allowed(void) { return 0; }
int ag__this_processor(void) { return -1; }
bool ag__leave_processor(int processor) { return (void)processor, false; }
#endif

/* ---- Control groups ---- */

enum { LINE = 1024, TEXT = 8192 };

/* The beginning of a file, as text; "" if it cannot be read. */
static const char *read_text(const char *path, char text[TEXT]) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = file < 0 ? 0 : read(file, text, TEXT - 1);
    if (file >= 0) close(file);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

/* The processors that `quota` microseconds of each period allow, rounded up. */
static int paid(long long quota, long long period) {
    if (quota <= 0 || period <= 0 || quota / period >= AG__MOST_THREADS) return AG__MOST_THREADS;
    return (int)((quota + period - 1) / period);
}

/* The quota of the group in this folder: "max 100000" or "150000 100000" in one file, or in the older form two
 * files. */
static int quota_in(const char *folder, bool older) {
    char path[LINE + 32], text[TEXT], *rest;
    ag__format(path, sizeof path, "%s/%s", folder, older ? "cpu.cfs_quota_us" : "cpu.max");
    long long quota = strtoll(read_text(path, text), &rest, 10);
    if (!older) return paid(quota, strtoll(rest, NULL, 10));
    ag__format(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    return paid(quota, strtoll(read_text(path, text), NULL, 10));
}

/* The least quota of a group and of its parents. In a container the group's path may differ from the listed one; the
 * container's own is then the root. */
static int quota_up_from(const char *root, const char *path, size_t length, bool older) {
    int most = AG__MOST_THREADS;
    char folder[LINE];
    if (strlen(root) + length >= sizeof folder) length = 0;
    ag__format(folder, sizeof folder, "%s%.*s", root, (int)length, path);
    for (char *end = folder + strlen(folder), *last = folder + strlen(root); end >= last; end--) {
        if (*end != '\0' && *end != '/') continue;
        *end = '\0';
        int n = quota_in(folder, older);
        if (n < most) most = n;
    }
    return most;
}

/* Whether a list "cpu,cpuacct" names the controller of processor time. */
static bool names_cpu(const char *list, size_t length) {
    for (const char *end = list + length; list < end; list++) {
        const char *item = list;
        while (list < end && *list != ',') list++;
        if (list - item == 3 && memcmp(item, "cpu", 3) == 0) return true;
    }
    return false;
}

/* Lines are NUMBER:CONTROLLERS:PATH; no controllers means the newer form, which has one tree. */
int ag__cgroup_quota(const char *groups, const char *root) {
    int most = AG__MOST_THREADS;
    for (const char *line = groups; *line;) {
        size_t length = strcspn(line, "\n");
        const char *list = memchr(line, ':', length), *path = NULL;
        if (list) path = memchr(list + 1, ':', length - (size_t)(list + 1 - line));
        if (path) {
            const size_t named = (size_t)(path - list - 1), rest = length - (size_t)(path + 1 - line);
            const bool older = names_cpu(list + 1, named);
            char tree[LINE];
            ag__format(tree, sizeof tree, older ? "%s/cpu" : "%s", root);
            int n = older || named == 0 ? quota_up_from(tree, path + 1, rest, older) : most;
            if (n < most) most = n;
        }
        line += length + (line[length] == '\n');
    }
    return most;
}

/* ---- The default ---- */

static _Atomic int processors; /* when they were last counted; 0: never */

int ag__count_processors(void) {
    static _Atomic int quota; /* read once */
    int n = allowed(), most = quota;
    char text[TEXT];
    if (most == 0) quota = most = ag__cgroup_quota(read_text("/proc/self/cgroup", text), "/sys/fs/cgroup");
    if (n < 1) n = online();
    if (n > most) n = most;
    processors = n;
    return n;
}

int ag__processors(void) {
    const int n = processors;
    return n > 0 ? n : ag__count_processors();
}

/* The first number of a list (for nested loops, the outermost first); 0 if it is invalid. */
static int number_in(const char *text) {
    long n = text ? strtol(text, NULL, 10) : 0;
    return n < 1 ? 0 : n > AG__MOST_THREADS ? AG__MOST_THREADS : (int)n;
}

int ag__wanted_threads(const ag__environment *e) {
    const int n = number_in(e->value[AG__VARIABLE_THREADS]);
    return n > 0 ? n : number_in(e->value[AG__VARIABLE_OMP_NUM_THREADS]);
}
#else
int ag__count_processors(void) { return 1; }
int ag__processors(void) { return 1; }
int ag__wanted_threads(const ag__environment *e) { return (void)e, 1; }
#endif

/* Counting processors asks the system, which takes longer than many a small tape. */
int ag__threads_of(ag_tape *tape) {
    if (tape->threads == 0) tape->threads = ag__processors();
    return tape->threads;
}
