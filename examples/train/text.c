/* text -- complaints, texts that grow, and whole files */
#include "examples/train/train.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- Complaints */

static int status;

static bool say(int code, const char *format, va_list args) {
    if (status == 0) {
        fputs("ag-train: ", stderr);
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
        status = code;
    }
    return false;
}

bool complain(const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(1, format, args);
    va_end(args);
    return false;
}

bool misuse(const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(2, format, args);
    va_end(args);
    return false;
}

static bool continues(char c) { return ((unsigned char)c & 0xC0) == 0x80; }

bool misuse_at(const char *what, const char *line, size_t at, const char *format, ...) {
    enum { BEFORE = 60, AFTER = 40 };
    if (status != 0) return false;
    char message[300];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    size_t length = strlen(line), from = at > BEFORE ? at - BEFORE : 0, to = length - at > AFTER ? at + AFTER : length;
    while (from > 0 && continues(line[from])) from--;
    while (to < length && continues(line[to])) to++;
    misuse("%s, column %zu: %s", what, at + 1, message);
    fputs(from ? "  …" : "  ", stderr);
    for (size_t i = from; i < to; i++) fputc((unsigned char)line[i] < ' ' || line[i] == 127 ? '?' : line[i], stderr);
    fputs(from ? "\n   " : "\n  ", stderr);
    for (size_t i = from; i < at; i++)
        if (!continues(line[i])) fputc(' ', stderr);
    fputs("^\n", stderr);
    return false;
}

int result(void) { return status; }

bool fine(ag_tape *tape) { return ag_tape_status(tape) == AG_OK || complain("%s", ag_tape_error(tape)); }

void *memory(void *p, size_t count, size_t bytes) {
    p = bytes && count > SIZE_MAX / bytes ? NULL : realloc(p, count * bytes + 1);
    if (p) return p;
    complain("out of memory (%zu times %zu bytes)", count, bytes);
    exit(1);
}

char *copied(const char *s) { return memcpy(memory(NULL, strlen(s) + 1, 1), s, strlen(s) + 1); }

const char *shown(const char *s) {
    static char texts[8][44];
    static int turn;
    char *to = texts[turn++ % 8];
    size_t n = 0;
    for (; s[n] && (n < 40 || continues(s[n])) && n < 42; n++)
        to[n] = (unsigned char)s[n] < ' ' || s[n] == 127 ? '?' : s[n];
    to[n] = 0;
    return to;
}

/* ---- Texts */

void put_bytes(text *t, const char *bytes, size_t n) {
    if (t->room - t->used <= n) {
        t->room = 2 * t->room + n + 200;
        t->bytes = memory(t->bytes, t->room, 1);
    }
    if (n) memcpy(t->bytes + t->used, bytes, n);
    t->used += n;
    t->bytes[t->used] = 0;
}

void put(text *t, const char *format, ...) {
    va_list args, again;
    char usual[256], *longer = NULL;
    va_start(args, format);
    va_copy(again, args);
    size_t n = (size_t)vsnprintf(usual, sizeof usual, format, args);
    if (n >= sizeof usual) {
        longer = memory(NULL, n + 1, 1);
        vsnprintf(longer, n + 1, format, again);
    }
    put_bytes(t, longer ? longer : usual, n);
    free(longer);
    va_end(again);
    va_end(args);
}

void put_html(text *t, const char *s) {
    for (; *s; s++) {
        const char *other = *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : *s == '&' ? "&amp;" : *s == '"' ? "&quot;" : NULL;
        if (other) put_bytes(t, other, strlen(other));
        else if ((unsigned char)*s < ' ' || *s == 127) put_bytes(t, "?", 1);
        else put_bytes(t, s, 1);
    }
}

/* ---- Files */

char *read_file(const char *path, size_t *bytes) {
    FILE *in = fopen(path, "rb");
    if (!in) return complain("%s: %s", path, strerror(errno)), NULL;
    text t = {0};
    static char piece[1 << 16];
    for (size_t n; (n = fread(piece, 1, sizeof piece, in)) > 0;) put_bytes(&t, piece, n);
    bool failed = ferror(in);
    int wrong = errno;
    fclose(in);
    if (failed) return free(t.bytes), complain("%s: %s", path, strerror(wrong)), NULL;
    put_bytes(&t, "", 0);
    *bytes = t.used;
    return t.bytes;
}

static bool put_file(FILE *out, const text *t) {
    bool good = out && fwrite(t->bytes, 1, t->used, out) == t->used && fflush(out) == 0;
    int wrong = errno;
    if (out && out != stdout && fclose(out) != 0) good = false, wrong = errno;
    errno = wrong;
    return good;
}

/* Links, pipes and devices cannot be replaced. */
static bool is_replaced(const char *path) {
    struct stat s;
    return lstat(path, &s) != 0 || S_ISREG(s.st_mode);
}

bool write_file(const char *path, const text *t) {
    if (strcmp(path, "-") == 0) return put_file(stdout, t) || complain("standard output: %s", strerror(errno));
    if (!is_replaced(path)) return put_file(fopen(path, "wb"), t) || complain("%s: %s", path, strerror(errno));
    text beside = {0};
    put(&beside, "%s.tmp", path);
    bool good = put_file(fopen(beside.bytes, "wb"), t) && rename(beside.bytes, path) == 0;
    if (!good) complain("%s: %s", path, strerror(errno)), remove(beside.bytes);
    free(beside.bytes);
    return good;
}
