/* fuzz -- shared by the fuzz targets: bytes that become decisions, tapes that are watched, files, faults
 *
 * A target takes any bytes, and ends the process if the library does what it must not: see fuzz.c. Bytes are used up from
 * the front; where there are none left they are zeros, so that every input is a whole one. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "autograd/autograd.h"
#include "tests/support.h"

/* ---- Targets ---- */

typedef struct target {
    const char *name;
    void (*run)(const uint8_t *data, size_t size);
} target;

void fuzz_npy(const uint8_t *data, size_t size);
void fuzz_zip(const uint8_t *data, size_t size);
void fuzz_safetensors(const uint8_t *data, size_t size);
void fuzz_idx(const uint8_t *data, size_t size);
void fuzz_csv(const uint8_t *data, size_t size);
void fuzz_png(const uint8_t *data, size_t size);
void fuzz_pnm(const uint8_t *data, size_t size);
void fuzz_raw(const uint8_t *data, size_t size);
void fuzz_load(const uint8_t *data, size_t size);
void fuzz_checkpoint(const uint8_t *data, size_t size);
void fuzz_dlpack(const uint8_t *data, size_t size);
void fuzz_expression(const uint8_t *data, size_t size);
void fuzz_text(const uint8_t *data, size_t size);
void fuzz_labels(const uint8_t *data, size_t size);
void fuzz_encoder(const uint8_t *data, size_t size);
void fuzz_attributes(const uint8_t *data, size_t size);
void fuzz_calls(const uint8_t *data, size_t size);
void fuzz_misuse(const uint8_t *data, size_t size);
void fuzz_programs(const uint8_t *data, size_t size);

/* Ends the process with this message. */
_Noreturn void fault(const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 1, 2)))
#endif
    ;

/* ---- Bytes ---- */

typedef struct feed {
    const uint8_t *at, *end;
} feed;

bool feed_left(const feed *f);
uint64_t feed_bits(feed *f, int bytes); /* the first is the lowest */
int feed_below(feed *f, int n);         /* 0 to n − 1, from one byte, or from two */
int64_t feed_number(feed *f);           /* mostly a small one, else any, or one at an end of a range */
double feed_real(feed *f);              /* likewise; NaN and infinities too */
ag_shape feed_shape(feed *f);           /* mostly of a few elements; else any, valid or not */
ag_axes feed_axes(feed *f);

/* The bytes up to the next 0, or all, as text in `text`. */
const char *feed_text(feed *f, char *text, int room);

/* ---- Tapes ---- */

enum { MOST_MEMORY = 16 << 20 };

/* A tape of one thread on a ledger that gives no more than MOST_MEMORY. */
ag_tape *tape_open(ledger *l);

/* Fails if memory is left. */
void tape_close(ag_tape *t, ledger *l);

/* Whether the tape is in error: then its message must begin with `call` (if that is not NULL), and there must be no more than
 * `nodes` nodes. The error is cleared. */
bool refused(ag_tape *t, const char *call, int64_t nodes);

/* ---- Files ---- */

/* The path of a file of that name in a folder of this process, which is removed in the end; and the same with these bytes. */
const char *path_of(const char *name);
const char *file_of(const char *name, const uint8_t *data, size_t size);

#endif
