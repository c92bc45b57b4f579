/* rows_tape -- the cost of a node: to record, to differentiate, to compute when tiny, to hold by the million
 *
 * All rows use one chain, y ← y·a, y + b, tanh y and so on, with 8 elements and a, b, x parameters. */
#include "bench.h"

#include <stdio.h>

enum { WIDTH = 8, RECORDED = 1000, YARDSTICK = 100000, PROBE = 300 };

static struct {
    ag_tape *tape;
    ag_mark mark;
    ag_tensor *p[3]; /* x, a, b */
    int64_t length;
    double nodes; /* of one repetition, forward and backward */
} s;

static ag_tensor *chain(int64_t length) {
    ag_tensor *y = s.p[0];
    for (int64_t i = 0; i < length; i++)
        y = i % 3 == 0 ? ag_mul(y, s.p[1]) : i % 3 == 1 ? ag_add(y, s.p[2]) : ag_tanh(y);
    return y;
}

static ag_tensor *differentiated(int64_t length, ag_tensor *dp[3]) {
    ag_tensor *loss = ag_sum(chain(length));
    ag_grad(loss, 3, s.p, dp);
    return loss;
}

static double nodes_of(int64_t length) {
    ag_tensor *dp[3];
    double before = (double)ag_tape_memory(s.tape).nodes;
    differentiated(length, dp);
    double nodes = (double)ag_tape_memory(s.tape).nodes - before;
    ag_tape_rewind(s.tape, s.mark);
    return nodes;
}

static bool set_up(const row *r, int threads) {
    s.tape = new_tape(r, threads);
    for (int i = 0; i < 3; i++) {
        float *data = noise_f32(WIDTH, (uint64_t)i + 1, 1);
        s.p[i] = ag_parameter(s.tape, AG_F32, AG_SHAPE(WIDTH), data);
        room_free(data);
    }
    s.mark = ag_tape_mark(s.tape);
    s.length = r->size[0];
    s.nodes = (double)s.length;
    return fine(s.tape);
}

/* A chain that has size[0] nodes with its gradient. */
static bool set_up_nodes(const row *r, int threads) {
    if (!set_up(r, threads)) return false;
    s.length = (int64_t)((double)r->size[0] / nodes_of(PROBE) * PROBE);
    s.nodes = (double)(r->size[0] > YARDSTICK ? r->size[0] : YARDSTICK);
    return fine(s.tape);
}

static bool tear_down(const row *r) {
    (void)r;
    bool good = fine(s.tape);
    ag_tape_free(s.tape);
    return good;
}

static double nodes(const row *r) { return (void)r, s.nodes; }

/* ---- Recording alone ---- */

static void record(const row *r, int64_t repetitions) {
    (void)r;
    for (int64_t k = 0; k < repetitions; k++) {
        ag_tensor *y = s.p[0];
        for (int i = 0; i < RECORDED; i += 2) y = ag_add(ag_mul(y, s.p[1]), s.p[2]);
        ag_tape_rewind(s.tape, s.mark);
    }
}

/* ---- Forward and backward ---- */

static double step(void) {
    ag_tensor *dp[3];
    differentiated(s.length, dp);
    ag_eval_all(3, dp);
    double sum = 0;
    for (int i = 0; i < 3; i++) sum += weigh(dp[i]);
    ag_tape_rewind(s.tape, s.mark);
    return sum;
}

static void steps(const row *r, int64_t repetitions) {
    (void)r;
    for (int64_t k = 0; k < repetitions; k++) step();
}

static double check(const row *r) { return (void)r, step(); }

/* ---- Growth: the same number of nodes, in chains of another length ---- */

static void grow(int64_t length, int64_t times) {
    ag_tensor *dp[3];
    for (int64_t k = 0; k < times; k++) {
        differentiated(length, dp);
        ag_eval_all(3, dp);
        ag_tape_rewind(s.tape, s.mark);
    }
}

static void chains(const row *r, int64_t repetitions) {
    grow(s.length, repetitions * (r->size[0] < YARDSTICK ? YARDSTICK / r->size[0] : 1));
}

static void yardsticks(const row *r, int64_t repetitions) {
    int64_t each = s.length * YARDSTICK / r->size[0];
    grow(each, repetitions * (r->size[0] > YARDSTICK ? r->size[0] / YARDSTICK : 1));
}

static double bytes_a_node(const row *r) {
    (void)r;
    grow(s.length, 1);
    return (double)ag_tape_memory(s.tape).peak_held / nodes_of(s.length);
}

static row growth_row(const char *many, int64_t nodes_each, bool bytes) {
    row r = {.unit = bytes ? "B" : "s",
             .each = "node",
             .size = {nodes_each},
             .once = true,
             .setup = set_up_nodes,
             .teardown = tear_down,
             .peers = {{.name = "goal", .where = FIGURE, .figure = 250, .limit = 1}}};
    snprintf(r.name, sizeof r.name, "growth_%s%s", many, bytes ? "_bytes" : "");
    if (bytes) {
        r.what = "peak memory of a chain of this many nodes, values included";
        r.measure = bytes_a_node;
    } else {
        r.what = "a chain of this many nodes: record, differentiate, evaluate, rewind";
        r.work = chains;
        r.count = nodes;
        r.peers[0] = (peer){.name = "10^5 nodes", .where = HERE, .work = yardsticks, .limit = 1.5};
    }
    return r;
}

/* ---- The same number of parts, in joints of another length ---- */

static void join(int64_t parts, int64_t times) {
    ag_tensor **x = room(parts * (int64_t)sizeof *x), *dp;
    for (int64_t k = 0; k < times; k++) {
        for (int64_t i = 0; i < parts; i++) x[i] = ag_add(s.p[0], s.p[1]);
        ag_grad(ag_sum(ag_tanh(ag_concat((int)parts, x, 0))), 1, s.p, &dp);
        ag_eval(dp);
        ag_tape_rewind(s.tape, s.mark);
    }
    room_free(x);
}

static void joints(const row *r, int64_t repetitions) { join(r->size[0], repetitions); }

static void short_joints(const row *r, int64_t repetitions) { join(r->size[1], repetitions * r->size[0] / r->size[1]); }

int tape_rows(row *to) {
    const row rows[] = {
        {.name = "record",
         .what = "record multiplications and additions of 8 elements, and rewind",
         .unit = "s",
         .each = "node",
         .size = {RECORDED},
         .once = true,
         .count = nodes,
         .setup = set_up,
         .work = record,
         .teardown = tear_down,
         .peers = {{.name = "goal", .where = FIGURE, .figure = 100e-9, .limit = 1}}},
        {.name = "ops1000",
         .what = "1000 operations on 8 elements, forward and backward, three parameters",
         .unit = "s",
         .each = "operation",
         .size = {1000},
         .count = nodes,
         .setup = set_up,
         .work = steps,
         .check = check,
         .teardown = tear_down,
         .peers = {{.name = "goal", .where = FIGURE, .figure = 100e-9, .limit = 1},
                   {.name = "torch", .where = TORCH, .limit = 0.02}}},
        growth_row("1k", 1000, false),
        growth_row("10k", 10000, false),
        growth_row("1M", 1000000, false),
        growth_row("10M", 10000000, false),
        growth_row("1k", 1000, true),
        growth_row("10k", 10000, true),
        growth_row("100k", 100000, true),
        growth_row("1M", 1000000, true),
        growth_row("10M", 10000000, true),
        {.name = "joined_50k",
         .what = "the joint of this many tensors, differentiated",
         .unit = "s",
         .each = "part",
         .size = {50000, 500},
         .once = true,
         .count = nodes,
         .setup = set_up,
         .work = joints,
         .teardown = tear_down,
         .peers = {{.name = "joints of 500", .where = HERE, .work = short_joints, .limit = 1.5}}},
    };
    int n = (int)(sizeof rows / sizeof *rows);
    for (int i = 0; i < n; i++) to[i] = rows[i];
    return n + scalar_rows(to + n);
}
