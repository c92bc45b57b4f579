/* test_sizes -- impossible sizes are refused, and all others requested in full
 *
 * The tape's allocator refuses large blocks, or pretends to return them, so that sizes up to the largest integers
 * pass through the same arithmetic as small ones. */
#include "autograd/report/report.h"
#include "autograd/tape/placing.h"
#include "tests/support.h"

#include <stdlib.h>
#include <string.h>

enum { BITS = 8 * sizeof(size_t) };

/* Refuses blocks of over a megabyte, or returns a small one as if it were as large as requested. */
typedef struct pretender {
    ag_allocator allocator;
    size_t asked; /* bytes of the last such block */
    bool refuses;
    _Alignas(64) char block[4096];
} pretender;

static void *pretend(void *ctx, void *p, size_t old_bytes, size_t new_bytes) {
    pretender *a = ctx;
    if (p == a->block) return NULL; /* freed: these blocks do not grow */
    if (new_bytes > 1 << 20) {
        a->asked = new_bytes;
        return a->refuses || p ? NULL : a->block;
    }
    void *q = new_bytes ? aligned_alloc(64, (new_bytes + 63) / 64 * 64) : NULL;
    if (q && p) memcpy(q, p, old_bytes < new_bytes ? old_bytes : new_bytes);
    if (p && (q || !new_bytes)) free(p);
    return q;
}

static void pretender_open(pretender *a, bool refuses) {
    *a = (pretender){.allocator = {pretend, a}, .refuses = refuses};
}

/* Request a block of that size, if it is possible. */
static void size_is_asked_for(ag_tape *t, pretender *a, size_t bytes) {
    enum { HEADERS = 2 * 64, APART = 256, UNIT = 64 };
    const size_t most = (size_t)1 << (BITS == 64 ? 46 : 30);
    ag_tape_trim(t);
    a->asked = 0;
    ag__buffer *b = ag__buffer_new(t, bytes);
    if (a->asked) {
        ck_assert_msg(a->asked >= bytes + HEADERS + APART, "%zu bytes for a value of %zu", a->asked, bytes);
        ck_assert_msg(a->asked - bytes < (size_t)(HEADERS + APART + UNIT) + ag__gap(), "%zu for %zu bytes", a->asked,
                      bytes);
    }
    ck_assert_msg(b || a->refuses || bytes > most, "%zu bytes are refused", bytes);
    ck_assert_msg(a->asked || bytes <= 1 << 20 || bytes > most, "%zu bytes are not requested", bytes);
    if (bytes > most) ck_assert_ptr_null(b);
    int64_t live = ag_tape_memory(t).live;
    if (b) ck_assert_int_ge(live, (int64_t)bytes);
    ag__buffer_drop(t, b);
    a->asked = 0;
    if (b && bytes > 1 << 20) { /* freed, it is reused for its size, and for no larger one */
        ag__buffer *again = ag__buffer_new(t, bytes);
        ck_assert(again == b && a->asked == 0);
        ag__buffer_drop(t, again);
        ag__buffer *larger = ag__buffer_new(t, bytes + bytes / 8);
        ck_assert_msg(!larger || a->asked > bytes + bytes / 8, "a block of %zu bytes is reused for a larger value",
                      bytes);
        ag__buffer_drop(t, larger);
        ag_tape_trim(t);
    }
    ck_assert_int_eq(ag_tape_memory(t).live, 0);
}

START_TEST(every_size_is_asked_for_whole) {
    static const int64_t beside[] = {-3905, -3904, -3903, -65, -64, -63, -33, -32, -31, -1, 0, 1};
    pretender a;
    pretender_open(&a, _i == 0 || under_asan() || under_valgrind()); /* they cannot work with pretended blocks */
    ag_tape *t = ag_tape_new_with(&a.allocator);
    for (int k = 0; k < BITS; k++)
        for (int d = -1; d <= 1; d++) size_is_asked_for(t, &a, ((size_t)1 << k) + (size_t)d);
    for (int k = 13; k < BITS - 2; k++) /* about where classes begin */
        for (size_t part = 16; part < 32; part++)
            for (size_t i = 0; i < sizeof beside / sizeof *beside; i++)
                size_is_asked_for(t, &a, (part << (k - 4)) + (size_t)beside[i]);
    ag_tape_free(t);
}
END_TEST

static size_t scratch_bytes;

static bool any_shape(ag_infer *r) { return (void)r, true; }
static bool eval_scratch(const ag_call *call) {
    char *p = ag_call_scratch(call, scratch_bytes);
    if (p && scratch_bytes) p[0] = p[scratch_bytes - 1] = 1;
    *(double *)call->y.data = p != NULL;
    return true;
}
static const ag_op op_scratch = {
    .name = "scratch", .kind = AG_KIND_OPAQUE, .arity = 1, .infer = any_shape, .eval = eval_scratch};

START_TEST(what_is_too_large_is_an_error) {
    pretender a;
    pretender_open(&a, true);
    ag_tape *t = ag_tape_new_with(&a.allocator);
    ag_tensor *one = ag_scalar(t, AG_F64, 1);
    for (int k = 21; k < 60; k++)
        for (int d = -1; d <= 1; d++) {
            int64_t n = ((int64_t)1 << k) + d;
            ag_tensor *x = ag_uniform(t, AG_F64, AG_SHAPE(n), 0, 1);
            if (!ag_is_nil(x)) ck_assert_ptr_null(ag_data(x));
            expect_error(t, n <= INT64_MAX / 16 ? AG_ERR_MEMORY : AG_ERR_SHAPE, "uniform");
            ag_tensor *sum = ag_sum_over(ag_broadcast_to(one, AG_SHAPE(2, n)), AG_AXES(0), false);
            if (!ag_is_nil(sum)) ck_assert_ptr_null(ag_data(sum));
            expect_error(t, n <= INT64_MAX / 32 ? AG_ERR_MEMORY : AG_ERR_SHAPE, "");
        }
    for (int k = 0; k < BITS; k++)
        for (int d = -1; d <= 1; d++) {
            scratch_bytes = ((size_t)1 << k) + (size_t)d;
            double got = ag_item(ag_apply(&op_scratch, 1, &one, NULL, 0));
            if (scratch_bytes <= 1 << 19) expect_ok(t), ck_assert(got == 1);
            else if (scratch_bytes > 1 << 20) expect_error(t, AG_ERR_MEMORY, "scratch", "out of memory");
            ag_clear_error(t);
            if (scratch_bytes > 1 << 21) ck_assert_ptr_null(ag__arena(t, scratch_bytes));
        }
    for (size_t less = 0; less < 200; less++) ck_assert_ptr_null(ag__arena(t, SIZE_MAX - less));
    expect_item(ag_add(one, one), 2);
    ag_tape_free(t);
}
END_TEST

START_TEST(what_is_held_is_counted_without_overflow) {
    pretender a;
    pretender_open(&a, false);
    ag_tape *t = ag_tape_new_with(&a.allocator);
    size_t half = (size_t)1 << (BITS - 2);
    ck_assert_ptr_nonnull(ag__resize(t, NULL, 0, half));
    if (BITS == 64) ck_assert_ptr_null(ag__resize(t, NULL, 0, half)); /* together more than an int64_t counts */
    ck_assert_int_gt(ag_tape_memory(t).held, (int64_t)half);
    if (!under_asan() && !under_valgrind()) ag__resize(t, a.block, half, 0); /* they would poison that many bytes */
    ag_tape_free(t);
}
END_TEST

START_TEST(sizes_do_not_wrap_around) {
    ck_assert(ag__plus(1, 2) == 3 && ag__plus(SIZE_MAX - 2, 2) == SIZE_MAX && ag__plus(SIZE_MAX - 1, 2) == SIZE_MAX);
    ck_assert(ag__plus(SIZE_MAX, SIZE_MAX) == SIZE_MAX && ag__plus(0, SIZE_MAX) == SIZE_MAX);
    ck_assert(ag__times(3, 4) == 12 && ag__times(0, SIZE_MAX) == 0 && ag__times(SIZE_MAX, 0) == 0);
    ck_assert(ag__times(SIZE_MAX / 8, 8) == SIZE_MAX / 8 * 8 && ag__times(SIZE_MAX / 8 + 1, 8) == SIZE_MAX);
    ck_assert(ag__times(SIZE_MAX, SIZE_MAX) == SIZE_MAX && ag__times(SIZE_MAX, 1) == SIZE_MAX);
    ck_assert(ag__rounded(0, 64) == 0 && ag__rounded(1, 64) == 64 && ag__rounded(64, 64) == 64);
    ck_assert(ag__rounded(SIZE_MAX - 64, 64) == SIZE_MAX - 63 && ag__rounded(SIZE_MAX - 62, 64) == SIZE_MAX);
    ck_assert(ag__more_room(0, 16) == 16 && ag__more_room(16, 17) == 32 && ag__more_room(16, 50) == 50);
    ck_assert(ag__more_room(UINT32_MAX / 2 + 1, UINT32_MAX / 2 + 2) == UINT32_MAX);
    ck_assert(ag__more_room(UINT32_MAX, (uint64_t)UINT32_MAX + 1) == 0);
}
END_TEST

/* ---- The heap ---- */

enum { PLACES = 60, LARGEST = 200 * 1000 };

static uint32_t state;
static uint32_t draw(uint32_t n) { return (state = state * 1664525 + 1013904223) / 65536 % n; }

/* Blocks of drawn sizes are taken and dropped in drawn order; each still has its own bytes when it goes. Returns the
 * most bytes that were asked for at once. */
static size_t take_and_drop(ag_tape *t, uint32_t seed) {
    ag__buffer *b[PLACES] = {NULL};
    size_t size[PLACES], now = 0, most = 0;
    state = seed;
    for (int round = 0; round < 500; round++) {
        uint32_t k = draw(PLACES);
        if (b[k]) {
            for (size_t i = 0; i < size[k]; i += 61) ck_assert_int_eq(((unsigned char *)b[k]->data)[i], k);
            ck_assert_int_eq(((unsigned char *)b[k]->data)[size[k] - 1], k);
            ag__buffer_drop(t, b[k]);
            now -= size[k];
            b[k] = NULL;
        } else {
            size[k] = 1 + draw(2) * draw(LARGEST) + draw(5000);
            ck_assert_ptr_nonnull(b[k] = ag__buffer_new(t, size[k]));
            ck_assert((uintptr_t)b[k]->data % (size[k] > 2048 ? 64 : 16) == 0);
            memset(b[k]->data, (int)k, size[k]);
            if ((now += size[k]) > most) most = now;
        }
    }
    for (int k = 0; k < PLACES; k++) ag__buffer_drop(t, b[k]);
    return most;
}

START_TEST(blocks_do_not_overlap) {
    for (uint32_t seed = 0; seed < 5; seed++) take_and_drop(tape, seed);
    ck_assert_int_eq(ag_tape_memory(tape).live, 0);
    ag_tape_trim(tape);
    ck_assert_int_lt(ag_tape_memory(tape).held, 600 * 1000); /* slabs of small blocks */
}
END_TEST

/* The same requests again and again, beside a block that stays: after a few rounds they stay within one span. */
START_TEST(equal_rounds_stay_within_what_they_need) {
    ag__buffer *stays = ag__buffer_new(tape, 5000);
    ag_mark mark = ag_tape_mark(tape);
    size_t most = 0;
    int64_t calls = 0;
    for (int round = 0; round < 30; round++) {
        most = take_and_drop(tape, 7);
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
        if (round == 8) calls = tape_ledger.calls;
    }
    ck_assert_int_eq(tape_ledger.calls, calls);
    ck_assert_msg(ag_tape_memory(tape).held < (int64_t)(most + most / 2), "%lld bytes are held for %zu",
                  (long long)ag_tape_memory(tape).held, most);
    ag__buffer_drop(tape, stays);
}
END_TEST

/* ---- Places ---- */

enum { STAYS = 200, UNIT = AG__PLACE };

/* Drawn blocks, each from one time to a later one; returns the units that are there at once, at most. */
static uint32_t draw_stays(uint32_t seed, uint32_t n, ag__stay stay[]) {
    uint32_t most = 0;
    state = seed;
    for (uint32_t i = 0; i < n; i++) {
        stay[i] = (ag__stay){1 + draw(draw(2) ? 1000 : 10), i, 0};
        stay[i].to = i + 1 + draw(draw(2) ? n : 5);
    }
    for (uint32_t time = 0; time < n; time++) {
        uint32_t now = 0;
        for (uint32_t i = 0; i < n; i++)
            if (stay[i].from <= time && time < stay[i].to) now += stay[i].units;
        if (now > most) most = now;
    }
    return most;
}

/* Around the numbers of requests at which the list of a round grows, and beyond which none is noted. */
START_TEST(blocks_of_rounds_of_any_length_keep_their_values) {
    enum { N = 300, ROUNDS = 6 };
    static const int lengths[] = {31, 32, 33, 64, 65, 1024, 1025, 2047, 2048, 2049};
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        ag_tape *t = ag_tape_new();
        for (int round = 0; round < ROUNDS; round++) {
            const ag_mark mark = ag_tape_mark(t);
            ag_tensor *x[2049];
            for (int i = 0; i < lengths[k]; i++) {
                double a[N];
                for (int j = 0; j < N; j++) a[j] = i + j;
                x[i] = ag_from(t, AG_F64, AG_SHAPE(N), a);
            }
            for (int i = 0; i < lengths[k]; i++) {
                const double *a = ag_data(x[i]);
                ck_assert(a[0] == i && a[N - 1] == i + N - 1);
            }
            ag_tape_rewind(t, mark);
        }
        ag_tape_free(t);
    }
}
END_TEST

START_TEST(places_do_not_overlap) {
    ag__stay stay[STAYS];
    uint32_t at[STAYS];
    for (uint32_t seed = 0; seed < 40; seed++) {
        const uint32_t n = 1 + seed * 5 % STAYS, most = draw_stays(seed, n, stay),
                       all = ag__place_all(tape, n, stay, at);
        ck_assert_uint_ge(all, most);
        ck_assert_uint_le(all, most + most / 3);
        for (uint32_t i = 0; i < n; i++) {
            ck_assert_uint_le(at[i] + stay[i].units, all);
            for (uint32_t k = 0; k < i; k++)
                if (stay[k].to > stay[i].from)
                    ck_assert(at[k] + stay[k].units <= at[i] || at[i] + stay[i].units <= at[k]);
        }
    }
    ck_assert_uint_eq(ag__place_all(tape, 2, (ag__stay[]){{UINT32_MAX - 5, 0, 2}, {6, 1, 3}}, at), 0);
}
END_TEST

/* A round in which the smallest gap is the wrong one: the block in the middle goes before a larger one than it is asked
 * for. At once there are 50 units of 4 kB, and with gaps 60. `more` is for another round. */
static void round_with_gaps(ag_tape *t, bool more) {
    enum { SMALL = 10, PAGE = 4096, SOME = 5 };
    ag__buffer *b[SOME];
    const size_t size[SOME] = {SMALL, SMALL, 2 * SMALL, SMALL, 3 * SMALL};
    for (int i = 0; i < SOME; i++) {
        if (more && i == 2) ag__buffer_drop(t, ag__buffer_new(t, PAGE));
        if (i == 3) ag__buffer_drop(t, b[0]);
        if (i == 4) ag__buffer_drop(t, b[2]);
        const size_t bytes = size[i] * PAGE - 2 * UNIT;
        ck_assert_ptr_nonnull(b[i] = ag__buffer_new(t, bytes));
        memset(b[i]->data, i, bytes);
        for (int k = i == 3 ? 1 : i == 4 ? 3 : 0; k < i; k++)
            if (k != 2 || i < 4) ck_assert_int_eq(((char *)b[k]->data)[size[k] * PAGE - 2 * UNIT - 1], k);
    }
    ag__buffer_drop(t, b[1]), ag__buffer_drop(t, b[3]), ag__buffer_drop(t, b[4]);
}

START_TEST(equal_rounds_take_what_is_there_at_once) {
    ag_mark mark = ag_tape_mark(tape);
    int64_t most = 0, calls = 0;
    for (int round = 0; round < 60; round++) {
        ag_tape_reset_peaks(tape);
        round_with_gaps(tape, round >= 20 && round % 10 == 0);
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
        most = ag_tape_memory(tape).peak_live;
        if (round % 10 == 5) calls = tape_ledger.calls;
        if (round > 8 && round % 10 == 9) {
            ck_assert_int_eq(tape_ledger.calls, calls);
            ck_assert_msg((int64_t)tape->heap.held <= most + 2 * UNIT, "%zu bytes are held for %lld", tape->heap.held,
                          (long long)most);
        }
    }
}
END_TEST

/* Each round leaves a block, and drops that of the one before. */
START_TEST(what_outlasts_a_round_is_elsewhere) {
    enum { BYTES = 50 * 1000 };
    ag_mark mark = ag_tape_mark(tape);
    ag__buffer *stays = NULL;
    int64_t calls = 0;
    for (int round = 0; round < 40; round++) {
        round_with_gaps(tape, false);
        ag__buffer *next = ag__buffer_new(tape, BYTES);
        ck_assert_ptr_nonnull(next);
        memset(next->data, round, BYTES);
        for (int i = 0; i < BYTES && stays; i += 99) ck_assert_int_eq(((char *)stays->data)[i], round - 1);
        ag__buffer_drop(tape, stays);
        stays = next;
        ck_assert_int_eq(ag_tape_rewind(tape, mark), AG_OK);
        if (round == 20) calls = tape_ledger.calls;
    }
    ck_assert_int_eq(tape_ledger.calls, calls);
    ag__buffer_drop(tape, stays);
}
END_TEST

/* ---- */

int main(void) {
    Suite *suite = suite_create("sizes");
    TCase *sizes = plain_group(suite, "sizes");
    tcase_add_loop_test(sizes, every_size_is_asked_for_whole, 0, 2);
    tcase_add_test(sizes, what_is_too_large_is_an_error);
    tcase_add_test(sizes, what_is_held_is_counted_without_overflow);
    tcase_add_test(sizes, sizes_do_not_wrap_around);
    TCase *heap = tape_group(suite, "heap");
    tcase_add_test(heap, blocks_do_not_overlap);
    tcase_add_test(heap, equal_rounds_stay_within_what_they_need);
    tcase_add_test(heap, blocks_of_rounds_of_any_length_keep_their_values);
    tcase_add_test(heap, places_do_not_overlap);
    tcase_add_test(heap, equal_rounds_take_what_is_there_at_once);
    tcase_add_test(heap, what_outlasts_a_round_is_elsewhere);
    return run_suite(suite);
}
