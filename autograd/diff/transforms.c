/* transforms -- Jacobians, Hessians, and products with them, composed of vector-Jacobian products
 *
 * A vjp is linear in its cotangent: g(u) = Jᵀ·u. So its own vjp, by u and with cotangent v, is (Jᵀ)ᵀ·v = J·v,
 * whatever u is; the zeros that stand for u are never computed. A function that fails releases what it recorded. */
#include "autograd/diff/diff.h"

/* ---- Validation ---- */

/* Whether these can be differentiated, on one tape; if not, *nil is set, after an error. */
static bool real_inputs(const char *name, int n, ag_tensor *const x[], ag_tensor **nil) {
    if (!ag__inputs_usable(name, n, x, nil)) return false;
    for (int i = 0; i < n; i++) {
        if (ag__is_real(x[i]->dtype)) continue;
        ag__fail(name, n, x, AG_ERR_DTYPE, "f32 or f64 is wanted, not %s", ag_dtype_name((ag_dtype)x[i]->dtype));
        return false;
    }
    return true;
}

static bool one_element(const char *name, ag_tensor *y) {
    if (y->layout->size == 1) return true;
    ag__fail(name, 1, &y, AG_ERR_SHAPE, "there are %lld elements: one is wanted", (long long)y->layout->size);
    return false;
}

/* Whether v can be a tangent of x; NULL stands for a one. */
static bool tangent_valid(const char *name, ag_tensor *x, ag_tensor *v) {
    ag_tensor *nil, *pair[] = {x, v};
    if (!v && x->layout->size == 1) return true;
    if (!v) ag__fail(name, 1, &x, AG_ERR_SHAPE, "x has %lld elements: it needs a tangent", (long long)x->layout->size);
    if (!v || !ag__inputs_usable(name, 2, pair, &nil)) return false;
    if (v->dtype == x->dtype && ag__layouts_equal(v->layout, x->layout)) return true;
    ag__fail(name, 2, pair, v->dtype == x->dtype ? AG_ERR_SHAPE : AG_ERR_DTYPE,
             "the second, a tangent, must have the shape and dtype of the first");
    return false;
}

static ag_tensor **room_for(const char *name, ag_tape *tape, int64_t n, ag__buffer **memory) {
    size_t bytes = ag__times((uint64_t)n, sizeof(ag_tensor *));
    *memory = ag__buffer_new(tape, bytes);
    if (!*memory) ag__fail_on(tape, name, AG_ERR_MEMORY, "out of memory (%zu bytes)", bytes);
    return *memory ? (*memory)->data : NULL;
}

/* ---- Transposing ---- */

/* A vjp that can be differentiated again even if the user has switched recording off. */
static bool inner_vjp(const char *name, int ny, ag_tensor *const y[], ag_tensor *const ybar[], int nx,
                      ag_tensor *const x[], ag_tensor *dx[]) {
    ag_tape *tape = y[0]->tape;
    bool former = tape->recording;
    tape->recording = true;
    bool good = ag__vjp(name, ny, y, ybar, nx, x, dx, AG_STRONG);
    tape->recording = former;
    return good;
}

/* g = Jᵀ·u, with a new u for each y. */
static bool transposed(const char *name, int ny, ag_tensor *const y[], int nx, ag_tensor *const x[], ag_tensor *u[],
                       ag_tensor *g[]) {
    for (int j = 0; j < ny; j++) {
        u[j] = ag_zeros(y[j]->tape, (ag_dtype)y[j]->dtype, ag__layout_shape(y[j]->layout));
        if (u[j]->flags & AG__NIL) return false;
    }
    return inner_vjp(name, ny, y, u, nx, x, g);
}

/* ---- Jacobians ---- */

static ag_tensor *row(const char *name, ag_tensor *y, ag_tensor *x, ag_tensor *one, int64_t i) {
    ag_tensor *e = ag_reshape(ag_embed(one, 0, y->layout->size, i, 1), ag__layout_shape(y->layout)), *dx;
    if (e->flags & AG__NIL || !ag__vjp(name, 1, &y, &e, 1, &x, &dx, AG_STRONG)) return e->tape->nil;
    return ag_reshape(dx, AG_SHAPE(1, -1));
}

/* (m,n) from m products: y and x have elements. */
static ag_tensor *by_rows(const char *name, ag_tensor *y, ag_tensor *x) {
    int64_t m = y->layout->size, i = 0;
    ag__buffer *memory;
    ag_tensor **rows = room_for(name, y->tape, m, &memory), *one = ag_ones(y->tape, (ag_dtype)y->dtype, AG_SHAPE(1));
    while (rows && i < m && !((rows[i] = row(name, y, x, one, i))->flags & AG__NIL)) i++;
    ag_tensor *all = rows && i == m ? ag_concat((int)m, rows, 0) : y->tape->nil;
    ag__buffer_drop(y->tape, memory);
    return all;
}

static ag_tensor *by_columns(const char *name, ag_tensor *y, ag_tensor *x) {
    ag_tensor *u, *g;
    if (!transposed(name, 1, &y, 1, &x, &u, &g)) return y->tape->nil;
    return ag_cast(ag_transpose(by_rows(name, g, u), 0, 1), (ag_dtype)x->dtype);
}

static ag_tensor *jacobian(const char *name, ag_tensor *y, ag_tensor *x) {
    int64_t m = y->layout->size, n = x->layout->size;
    const char *why;
    ag_shape shape = AG_SHAPE(m, n);
    ag_tensor *pair[] = {y, x};
    if (!ag__shape_valid(&shape, &(int64_t){0}, &why))
        return ag__fail(name, 2, pair, AG_ERR_SHAPE, "the result would have %s", why);
    if (m > UINT16_MAX && n > UINT16_MAX)
        return ag__fail(name, 2, pair, AG_ERR_RANGE, "one of them must have fewer than %d elements", UINT16_MAX + 1);
    if (m == 0 || n == 0) return ag_zeros(y->tape, (ag_dtype)x->dtype, shape);
    return n < m ? by_columns(name, y, x) : by_rows(name, y, x);
}

/* ---- Public ---- */

/* t or, if it is nil, nothing: what was recorded is released. */
static ag_tensor *whole(ag_tensor *t, const ag__position *before) {
    if (t->flags & AG__NIL) ag__truncate(t->tape, before);
    return t;
}

ag_tensor *ag_jacobian(ag_tensor *y, ag_tensor *x) {
    ag_tensor *nil;
    if (!real_inputs("jacobian", 2, (ag_tensor *[]){y, x}, &nil)) return nil;
    ag__position before = ag__position_now(y->tape);
    return whole(jacobian("jacobian", y, x), &before);
}

ag_tensor *ag_hessian(ag_tensor *y, ag_tensor *x) {
    ag_tensor *nil, *g;
    if (!real_inputs("hessian", 2, (ag_tensor *[]){y, x}, &nil) || !one_element("hessian", y)) return nil;
    ag__position before = ag__position_now(y->tape);
    if (!inner_vjp("hessian", 1, &y, NULL, 1, &x, &g)) return nil;
    return whole(jacobian("hessian", g, x), &before);
}

ag_tensor *ag_hvp(ag_tensor *y, ag_tensor *x, ag_tensor *v) {
    ag_tensor *nil, *g, *hv;
    if (!real_inputs("hvp", 3, (ag_tensor *[]){y, x, v}, &nil) || !one_element("hvp", y) || !tangent_valid("hvp", x, v))
        return nil;
    ag__position before = ag__position_now(y->tape);
    bool good = inner_vjp("hvp", 1, &y, NULL, 1, &x, &g) && ag__vjp("hvp", 1, &g, &v, 1, &x, &hv, AG_STRONG);
    return whole(good ? hv : nil, &before);
}

static bool jvp_arguments(ag_tape *tape, int ny, ag_tensor *const y[], int nx, ag_tensor *const x[],
                          ag_tensor *const xdot[], ag_tensor *const dy[]) {
    ag_tensor *nil;
    if (ny < 1 || nx < 1) {
        ag__fail_on(tape, "jvp", AG_ERR_RANGE, "%d outputs and %d inputs", ny, nx);
        return false;
    }
    if (!y || !x || !dy) {
        ag__fail_on(tape, "jvp", AG_ERR_NULL, "the list of %s is NULL", !y ? "outputs" : !x ? "inputs" : "results");
        return false;
    }
    for (int j = 0; j < ny; j++)
        if (!real_inputs("jvp", 2, (ag_tensor *[]){y[0], y[j]}, &nil)) return false;
    for (int i = 0; i < nx; i++)
        if (!real_inputs("jvp", 2, (ag_tensor *[]){y[0], x[i]}, &nil) ||
            !tangent_valid("jvp", x[i], xdot ? xdot[i] : NULL))
            return false;
    return true;
}

static bool jvp(int ny, ag_tensor *const y[], int nx, ag_tensor *const x[], ag_tensor *const xdot[], ag_tensor *dy[]) {
    ag_tape *tape = y[0]->tape;
    ag__position before = ag__position_now(tape);
    ag__buffer *memory;
    ag_tensor **u = room_for("jvp", tape, (int64_t)ny + nx, &memory);
    bool good =
        u && transposed("jvp", ny, y, nx, x, u, u + ny) && ag__vjp("jvp", nx, u + ny, xdot, ny, u, dy, AG_STRONG);
    if (!good) ag__truncate(tape, &before);
    ag__buffer_drop(tape, memory);
    return good;
}

static ag_tape *first_tape(int n, ag_tensor *const x[]) {
    for (int i = 0; x && i < n; i++)
        if (ag_tape_of(x[i])) return x[i]->tape;
    return NULL;
}

ag_status ag_jvp(int ny, ag_tensor *const y[], int nx, ag_tensor *const x[], ag_tensor *const xdot[], ag_tensor *dy[]) {
    int line;
    const char *file = ag__here_file(&line);
    ag_tape *tape = first_tape(ny, y) ? first_tape(ny, y) : first_tape(nx, x);
    bool good = jvp_arguments(tape, ny, y, nx, x, xdot, dy) && jvp(ny, y, nx, x, xdot, dy);
    for (int j = 0; !good && dy && j < ny; j++) dy[j] = ag__nil_of(tape);
    return ag__leave(tape, file, line);
}
