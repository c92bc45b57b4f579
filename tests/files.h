/* files -- a folder for one test, and files in it made of bytes
 *
 * The fixture makes the folder and sees at its end that nothing is left open, or beside the files that were written. */
#ifndef TESTS_FILES_H
#define TESTS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For tcase_add_checked_fixture, before that of the tape. */
void make_folder(void);
void remove_folder(void);

/* The path of a file in it; lasts for the test. */
const char *in_folder(const char *name);

/* Files as bytes. What is read is to be given to free(). */
void write_bytes(const char *path, const void *bytes, size_t length);
unsigned char *read_bytes(const char *path, size_t *length);
bool same_bytes(const char *path, const char *other);

/* Turn numbers of this size into the order of bytes that files have (little-endian); whether they are in that order here. */
void in_file_order(void *numbers, size_t size, size_t bytes);
bool memory_is_in_file_order(void);

/* A .npy file of version 1 with this dictionary, and bytes behind it. */
void write_npy(const char *path, const char *dictionary, const void *bytes, size_t length);

/* A safetensors file with this header, and bytes behind it. */
void write_safetensors(const char *path, const char *header, const void *bytes, size_t length);

#endif
