/* files -- see files.h */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "tests/files.h"
#include "tests/support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_FILES = 16, ROOM = 128 };

static char folder[64], paths[MOST_FILES][ROOM];
static int files, free_descriptor;

static int lowest_free_descriptor(void) {
    int d = dup(STDERR_FILENO);
    close(d);
    return d;
}

void make_folder(void) {
    free_descriptor = lowest_free_descriptor();
    files = 0;
    snprintf(folder, sizeof folder, "%s/test_files.XXXXXX", scratch());
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

void remove_folder(void) {
    for (int i = 0; i < files; i++) unlink(paths[i]);
    ck_assert_msg(rmdir(folder) == 0, "%s is not empty: a file is left beside those that were written", folder);
    ck_assert_int_eq(lowest_free_descriptor(), free_descriptor); /* every file has been closed */
}

const char *in_folder(const char *name) {
    char path[ROOM];
    snprintf(path, ROOM, "%s/%s", folder, name);
    for (int i = 0; i < files; i++)
        if (strcmp(paths[i], path) == 0) return paths[i];
    ck_assert_int_lt(files, MOST_FILES);
    return memcpy(paths[files++], path, ROOM);
}

void write_bytes(const char *path, const void *bytes, size_t length) {
    FILE *out = fopen(path, "wb");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(bytes, 1, length, out), length);
    ck_assert_int_eq(fclose(out), 0);
}

unsigned char *read_bytes(const char *path, size_t *length) {
    FILE *in = fopen(path, "rb");
    ck_assert_msg(in != NULL, "%s cannot be opened", path);
    fseek(in, 0, SEEK_END);
    *length = (size_t)ftell(in);
    rewind(in);
    unsigned char *bytes = malloc(*length + 1);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_uint_eq(fread(bytes, 1, *length, in), *length);
    fclose(in);
    return bytes;
}

bool same_bytes(const char *path, const char *other) {
    size_t n, m;
    unsigned char *a = read_bytes(path, &n), *b = read_bytes(other, &m);
    bool same = n == m && memcmp(a, b, n) == 0;
    free(a), free(b);
    return same;
}

bool memory_is_in_file_order(void) {
    const uint16_t one = 1;
    return *(const unsigned char *)&one == 1;
}

void in_file_order(void *numbers, size_t size, size_t bytes) {
    unsigned char *p = numbers;
    if (memory_is_in_file_order()) return;
    for (size_t at = 0; at < bytes; at += size)
        for (size_t i = 0; i < size / 2; i++) {
            unsigned char kept = p[at + i];
            p[at + i] = p[at + size - 1 - i];
            p[at + size - 1 - i] = kept;
        }
}

/* These bytes, then the text, then the data. */
static void write_parts(const char *path, const void *before, size_t n, const char *text, const void *bytes,
                        size_t length) {
    FILE *out = fopen(path, "wb");
    ck_assert_ptr_nonnull(out);
    fwrite(before, 1, n, out);
    fwrite(text, 1, strlen(text), out);
    if (length) fwrite(bytes, 1, length, out);
    ck_assert_int_eq(fclose(out), 0);
}

void write_npy(const char *path, const char *dictionary, const void *bytes, size_t length) {
    unsigned char before[10] = "\x93NUMPY\1";
    before[8] = (unsigned char)strlen(dictionary);
    before[9] = (unsigned char)(strlen(dictionary) >> 8);
    write_parts(path, before, sizeof before, dictionary, bytes, length);
}

void write_safetensors(const char *path, const char *header, const void *bytes, size_t length) {
    unsigned char before[8] = {0};
    for (int i = 0; i < 8; i++) before[i] = (unsigned char)((uint64_t)strlen(header) >> 8 * i);
    write_parts(path, before, sizeof before, header, bytes, length);
}
