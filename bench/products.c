/* products -- a model's matrix products alone, by the same kernels: the least time that the model can take
 *
 * Each product is computed as in a training step: forward, y = a·b, and backward, ā = ȳ·bᵀ and b̄ = aᵀ·ȳ. */
#include "products.h"

enum { MOST = 32 };

static struct {
    ag_tape *tape;
    ag_mark mark;
    const product *of;
    int n, roles;
    ag_tensor *a[MOST], *b[MOST], *g[MOST];
    float *memory[3 * MOST];
} s;

static ag_tensor *matrix(int64_t batch, int64_t rows, int64_t columns) {
    float *x = s.memory[s.roles] = noise_f32(batch * rows * columns, (uint64_t)s.roles, 1);
    s.roles++;
    return ag_wrap(s.tape, AG_F32, batch > 1 ? AG_SHAPE(batch, rows, columns) : AG_SHAPE(rows, columns), x);
}

void products_open(int n, const product *of, int threads) {
    s.tape = ag_tape_new();
    s.of = of, s.n = n, s.roles = 0;
    ag_tape_set_threads(s.tape, threads);
    for (int i = 0; i < n; i++) {
        s.a[i] = matrix(of[i].batch, of[i].m, of[i].k);
        s.b[i] = matrix(of[i].batch, of[i].k, of[i].n);
        s.g[i] = matrix(of[i].batch, of[i].m, of[i].n);
    }
    s.mark = ag_tape_mark(s.tape);
}

void products_run(void) {
    for (int i = 0; i < s.n; i++)
        for (int k = 0; k < s.of[i].times; k++) {
            ag_tensor *y = ag_matmul(s.a[i], s.b[i]), *all[3] = {y};
            int count = 1;
            if (!s.of[i].constant) all[count++] = ag_matmul(s.g[i], ag_transpose(s.b[i], -2, -1));
            all[count++] = ag_matmul(ag_transpose(s.a[i], -2, -1), s.g[i]);
            ag_eval_all(count, all);
            ag_tape_rewind(s.tape, s.mark);
        }
}

bool products_close(void) {
    bool good = fine(s.tape);
    ag_tape_free(s.tape);
    for (int i = 0; i < s.roles; i++) room_free(s.memory[i]);
    return good;
}
