/* rows_catalogue -- elementwise operations, each alone: 4M elements of f32, beside PyTorch's
 *
 * A row is the operation's value, or that with the gradients of its inputs for a given cotangent. Beside it is a copy of
 * as many bytes as are read and written, which results that are written past the caches take less time than: 0.7 of
 * PyTorch's is within reach even where it takes no longer than that copy. */
#include "bench.h"

#include <math.h>
#include <string.h>

enum { MANY = 4 << 20, MOST_IN = 3, FLOAT = sizeof(float) };

typedef ag_tensor *function(ag_tensor *const x[]);

/* Inputs are `middle` ± `width`. */
typedef struct entry {
    const char *name;
    function *f;
    int inputs;
    bool constant; /* it has no gradient worth a row */
    double middle, width;
} entry;

/* clang-format off */
#define ONE(name) static ag_tensor *name##_(ag_tensor *const x[]) { return ag_##name(x[0]); }
#define TWO(name) static ag_tensor *name##_(ag_tensor *const x[]) { return ag_##name(x[0], x[1]); }
#define THREE(name) static ag_tensor *name##_(ag_tensor *const x[]) { return ag_##name(x[0], x[1], x[2]); }
#define WITH(name, ...) static ag_tensor *name##_(ag_tensor *const x[]) { return ag_##name(x[0], __VA_ARGS__); }

ONE(exp2) ONE(log2) ONE(log10) ONE(cbrt) ONE(tan) ONE(asin) ONE(acos) ONE(atan) TWO(atan2)
ONE(sinh) ONE(cosh) ONE(asinh) ONE(acosh) ONE(atanh) ONE(expm1) ONE(log1p) TWO(pow)
ONE(floor) ONE(ceil) ONE(round) ONE(trunc) ONE(frac) ONE(reciprocal) TWO(fmod) TWO(remainder) TWO(floor_divide)
TWO(hypot) TWO(copysign) THREE(lerp) TWO(xlogy) TWO(xlog1py) TWO(logaddexp) ONE(sinc) ONE(digamma)
TWO(logical_and) ONE(logical_not) ONE(isnan) ONE(isfinite) ONE(nan_to_num) WITH(less_scalar, 0.25)
WITH(clamp_min, 0.25) THREE(clamp_between)
ONE(softplus) ONE(logsigmoid) ONE(silu) ONE(gelu_tanh) ONE(mish) ONE(softsign) ONE(logit) WITH(leaky_relu, 0.125)
TWO(prelu) WITH(elu, 1.5) ONE(selu) WITH(celu, 0.5) WITH(hardtanh, -1, 1) ONE(hardsigmoid) ONE(hardswish)
WITH(softshrink, 0.5) TWO(gammainc) TWO(gammaincc)
static ag_tensor *polygamma_(ag_tensor *const x[]) { return ag_polygamma(1, x[0]); }

static const entry entries[] = {
    {"exp2", exp2_, 1, false, 0, 4}, {"log2", log2_, 1, false, 3, 2}, {"log10", log10_, 1, false, 3, 2},
    {"cbrt", cbrt_, 1, false, 3, 2}, {"tan", tan_, 1, false, 0, 4}, {"asin", asin_, 1, false, 0, 0.9},
    {"acos", acos_, 1, false, 0, 0.9}, {"atan", atan_, 1, false, 0, 4}, {"atan2", atan2_, 2, false, 0, 4},
    {"sinh", sinh_, 1, false, 0, 4}, {"cosh", cosh_, 1, false, 0, 4}, {"asinh", asinh_, 1, false, 0, 4},
    {"acosh", acosh_, 1, false, 4, 2.5}, {"atanh", atanh_, 1, false, 0, 0.9}, {"expm1", expm1_, 1, false, 0, 4},
    {"log1p", log1p_, 1, false, 3, 3}, {"pow", pow_, 2, false, 2, 1.5},
    {"floor", floor_, 1, true, 0, 4}, {"ceil", ceil_, 1, true, 0, 4}, {"round", round_, 1, true, 0, 4},
    {"trunc", trunc_, 1, true, 0, 4}, {"frac", frac_, 1, false, 0, 4}, {"reciprocal", reciprocal_, 1, false, 3, 2},
    {"fmod", fmod_, 2, false, 3, 2}, {"remainder", remainder_, 2, false, 3, 2}, {"floor_divide", floor_divide_, 2, true, 3, 2},
    {"hypot", hypot_, 2, false, 0, 4}, {"copysign", copysign_, 2, false, 0, 4}, {"lerp", lerp_, 3, false, 0, 2},
    {"xlogy", xlogy_, 2, false, 3, 2}, {"xlog1py", xlog1py_, 2, false, 3, 2}, {"logaddexp", logaddexp_, 2, false, 0, 4},
    {"sinc", sinc_, 1, false, 3, 2}, {"digamma", digamma_, 1, false, 10, 9.5},
    {"polygamma", polygamma_, 1, false, 10, 9.5}, {"gammainc", gammainc_, 2, true, 10, 9.5},
    {"gammaincc", gammaincc_, 2, true, 10, 9.5},
    {"logical_and", logical_and_, 2, true, 0, 4}, {"logical_not", logical_not_, 1, true, 0, 4},
    {"isnan", isnan_, 1, true, 0, 4}, {"isfinite", isfinite_, 1, true, 0, 4}, {"nan_to_num", nan_to_num_, 1, false, 0, 4},
    {"less_scalar", less_scalar_, 1, true, 0, 4}, {"clamp_min", clamp_min_, 1, false, 0, 4},
    {"clamp_between", clamp_between_, 3, false, 0, 4},
    {"softplus", softplus_, 1, false, 0, 4}, {"logsigmoid", logsigmoid_, 1, false, 0, 4}, {"silu", silu_, 1, false, 0, 4},
    {"gelu_tanh", gelu_tanh_, 1, false, 0, 4}, {"mish", mish_, 1, false, 0, 4}, {"softsign", softsign_, 1, false, 0, 4},
    {"logit", logit_, 1, false, 0.5, 0.45}, {"leaky_relu", leaky_relu_, 1, false, 0, 4}, {"prelu", prelu_, 2, false, 0, 4},
    {"elu", elu_, 1, false, 0, 4}, {"selu", selu_, 1, false, 0, 4}, {"celu", celu_, 1, false, 0, 4},
    {"hardtanh", hardtanh_, 1, false, 0, 4}, {"hardsigmoid", hardsigmoid_, 1, false, 0, 4},
    {"hardswish", hardswish_, 1, false, 0, 4}, {"softshrink", softshrink_, 1, false, 0, 4},
};
/* clang-format on */

static struct {
    ag_tape *tape;
    ag_mark mark;
    float *memory[MOST_IN + 1];
    ag_tensor *x[MOST_IN], *g;
} s;

static const entry *entry_of(const row *r) { return &entries[r->size[0]]; }

static bool set_up(const row *r, int threads) {
    const entry *e = entry_of(r);
    s.tape = ag_tape_new();
    ag_tape_set_threads(s.tape, threads);
    for (int i = 0; i <= e->inputs; i++) {
        s.memory[i] = noise_f32(MANY, (uint64_t)i + 1, i < e->inputs ? e->width : 1);
        for (int64_t k = 0; i < e->inputs && k < MANY; k++) s.memory[i][k] += (float)e->middle;
        if (i < e->inputs) s.x[i] = ag_parameter(s.tape, AG_F32, AG_SHAPE(MANY), s.memory[i]);
        else s.g = ag_wrap(s.tape, AG_F32, AG_SHAPE(MANY), s.memory[i]);
    }
    s.mark = ag_tape_mark(s.tape);
    return fine(s.tape);
}

static bool tear_down(const row *r) {
    bool good = fine(s.tape);
    ag_tape_free(s.tape);
    for (int i = 0; i <= entry_of(r)->inputs; i++) room_free(s.memory[i]);
    return good;
}

static double once(const row *r, bool weighed) {
    const entry *e = entry_of(r);
    ag_tensor *all[MOST_IN + 1], *y = e->f(s.x);
    const bool backward = r->size[1];
    if (weighed && ag_dtype_of(y) == AG_BOOL) y = ag_cast(y, AG_F32);
    if (backward) ag_vjp(1, &y, &s.g, e->inputs, s.x, all + 1, 0);
    all[0] = y;
    const int n = backward ? e->inputs + 1 : 1;
    ag_eval_all(n, all);
    double sum = 0;
    for (int i = 0; weighed && i < n; i++) sum += weigh(all[i]);
    if (weighed && !fine(s.tape)) sum = NAN;
    ag_tape_rewind(s.tape, s.mark);
    return sum;
}

static void work(const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++) once(r, false);
}

static double check(const row *r) { return once(r, true); }

int catalogue_rows(row *to) {
    const int count = sizeof entries / sizeof *entries;
    int n = 0;
    for (int i = 0; i < count; i++)
        for (int backward = 0; backward <= !entries[i].constant; backward++) {
            row *r = &to[n++];
            *r = (row){.what = backward ? "one operation on 4M elements, forward and backward"
                                        : "one operation on 4M elements",
                       .unit = "s",
                       .each = "",
                       .size = {i, backward},
                       .moved = (int64_t)MANY * FLOAT * (entries[i].inputs + 1) * (1 + backward),
                       .setup = set_up,
                       .work = work,
                       .check = check,
                       .teardown = tear_down,
                       .peers = {{.name = "torch", .where = TORCH, .limit = 0.7}, {.name = "copy", .where = COPY}}};
            strcpy(r->name, "one_");
            strcat(r->name, entries[i].name);
            if (backward) strcat(r->name, "_both");
        }
    return n;
}
