/* rows_sampling -- numbers of distributions that are sampled by rejection: a million of f32, beside PyTorch's
 *
 * The numbers are not PyTorch's: nothing is compared but time. */
#include "bench.h"

#include <stdio.h>

enum { MANY = 1 << 20 };

typedef enum kind { GAMMA, POISSON } kind;

static struct {
    ag_tape *tape;
    ag_mark mark;
    float *memory;
    ag_tensor *x;
} s;

/* size: the distribution, its parameter in hundredths */
static bool set_up(const row *r, int threads) {
    s.tape = ag_tape_new();
    ag_tape_set_threads(s.tape, threads);
    s.memory = room(MANY * (int64_t)sizeof *s.memory);
    for (int64_t i = 0; i < MANY; i++) s.memory[i] = (float)r->size[1] / 100;
    s.x = ag_wrap(s.tape, AG_F32, AG_SHAPE(MANY), s.memory);
    s.mark = ag_tape_mark(s.tape);
    return fine(s.tape);
}

static void work(const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++) {
        ag_eval(r->size[0] == GAMMA ? ag_draw_gamma(s.x, ag_scalar(s.tape, AG_F32, 1)) : ag_draw_poisson(s.x));
        ag_tape_rewind(s.tape, s.mark);
    }
}

static bool tear_down(const row *r) {
    (void)r;
    const bool good = fine(s.tape);
    ag_tape_free(s.tape);
    room_free(s.memory);
    return good;
}

int sampling_rows(row *to) {
    static const struct {
        const char *name;
        int64_t size[2];
    } rows[] = {{"gamma_0.5", {GAMMA, 50}},    {"gamma_2", {GAMMA, 200}},       {"gamma_50", {GAMMA, 5000}},
                {"poisson_4", {POISSON, 400}}, {"poisson_20", {POISSON, 2000}}, {"poisson_100", {POISSON, 10000}}};
    const int n = sizeof rows / sizeof *rows;
    for (int i = 0; i < n; i++) {
        to[i] = (row){.what = "a million numbers of a distribution",
                      .unit = "s",
                      .each = "",
                      .size = {rows[i].size[0], rows[i].size[1]},
                      .setup = set_up,
                      .work = work,
                      .teardown = tear_down,
                      .peers = {{.name = "torch", .where = TORCH}}};
        snprintf(to[i].name, sizeof to[i].name, "sampling_%s", rows[i].name);
    }
    return n;
}
