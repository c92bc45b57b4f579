/* rows_bundle -- bundle adjustment: points seen by cameras, and how far their images are from where they were found
 *
 * A camera has 11 parameters, as in ADBench: the rotation's axis times its angle, the centre, the focal length, the
 * principal point, two radial distortions. An observation is a camera's number, a point's, and the point's image. The
 * objective is the sum of squared weighted distances; with recording off it is the peer of its gradient, and of the
 * blocks of the Jacobian: the derivatives of both coordinates of every distance by its camera, point and weight. */
#include "bench.h"

#include <math.h>
#include <stdio.h>

enum { CAMERAS = 49, POINTS = 20000, OF_CAMERA = 11, MOST = 4 };
enum { GRADIENT, BLOCKS };

static struct {
    ag_tape *tape;
    ag_mark mark;
    ag_tensor *cameras, *points, *weights; /* (m,11), (n,3), (n,1) */
    ag_tensor *found;                      /* (n,2): images */
    ag_tensor *camera, *point;             /* (n,1): indices */
} s;

static double *data_of(int64_t rows, int64_t columns, uint64_t stream, const double *middle, const double *around) {
    double *x = noise_f64(rows * columns, stream, 1);
    for (int64_t i = 0; i < rows * columns; i++) x[i] = middle[i % columns] + around[i % columns] * x[i];
    return x;
}

static ag_tensor *parameter(int64_t rows, int64_t columns, uint64_t stream, const double *middle,
                            const double *around) {
    double *x = data_of(rows, columns, stream, middle, around);
    ag_tensor *p = ag_parameter(s.tape, AG_F64, AG_SHAPE(rows, columns), x);
    room_free(x);
    return p;
}

static ag_tensor *numbers(uint64_t stream, int64_t below) {
    int64_t *x = noise_labels(POINTS, stream, below);
    ag_tensor *t = ag_from(s.tape, AG_I64, AG_SHAPE(POINTS, 1), x);
    room_free(x);
    return t;
}

static bool set_up(const row *r, int threads) {
    (void)r;
    const double camera[OF_CAMERA] = {0, 0, 0, 0, 0, -9, 600, 320, 240, 0, 0};
    const double near[OF_CAMERA] = {0.2, 0.2, 0.2, 1, 1, 1, 100, 5, 5, 0.01, 0.001};
    s.tape = ag_tape_new();
    ag_tape_set_threads(s.tape, threads);
    s.cameras = parameter(CAMERAS, OF_CAMERA, 1, camera, near);
    s.points = parameter(POINTS, 3, 2, (double[]){0, 0, 0}, (double[]){2, 2, 2});
    s.weights = parameter(POINTS, 1, 3, (double[]){1}, (double[]){0.1});
    double *found = data_of(POINTS, 2, 4, (double[]){320, 240}, (double[]){200, 200});
    s.found = ag_from(s.tape, AG_F64, AG_SHAPE(POINTS, 2), found);
    room_free(found);
    s.camera = numbers(5, CAMERAS);
    s.point = numbers(6, POINTS);
    s.mark = ag_tape_mark(s.tape);
    return fine(s.tape);
}

static bool tear_down(const row *r) {
    (void)r;
    bool good = fine(s.tape);
    ag_tape_free(s.tape);
    return good;
}

/* ---- The objective ---- */

static ag_tensor *columns(ag_tensor *x, int64_t start, int64_t end) { return ag_slice(x, 1, start, end, 1); }

static ag_tensor *dot(ag_tensor *a, ag_tensor *b) { return ag_sum_over(ag_mul(a, b), AG_AXES(-1), true); }

static ag_tensor *cross(ag_tensor *a, ag_tensor *b) {
    ag_tensor *c[3];
    for (int i = 0; i < 3; i++) {
        int j = (i + 1) % 3, k = (i + 2) % 3;
        c[i] = ag_sub(ag_mul(columns(a, j, j + 1), columns(b, k, k + 1)),
                      ag_mul(columns(a, k, k + 1), columns(b, j, j + 1)));
    }
    return ag_concat(3, c, 1);
}

/* Rodrigues: x cos θ + (v×x) sin θ + v (v·x) (1 − cos θ), v = r/θ */
static ag_tensor *rotated(ag_tensor *r, ag_tensor *x) {
    ag_tensor *angle = ag_sqrt(dot(r, r)), *v = ag_div(r, angle), *cosine = ag_cos(angle);
    ag_tensor *along = ag_mul(v, ag_mul(dot(v, x), ag_rsub_scalar(1, cosine)));
    return ag_add(ag_add(ag_mul(x, cosine), ag_mul(cross(v, x), ag_sin(angle))), along);
}

static ag_tensor *image_of(ag_tensor *camera, ag_tensor *point) {
    ag_tensor *x = rotated(columns(camera, 0, 3), ag_sub(point, columns(camera, 3, 6)));
    x = ag_div(columns(x, 0, 2), columns(x, 2, 3));
    ag_tensor *square = dot(x, x), *first = columns(camera, 9, 10), *second = columns(camera, 10, 11);
    ag_tensor *distorted = ag_add_scalar(ag_mul(square, ag_add(first, ag_mul(second, square))), 1);
    return ag_add(ag_mul(ag_mul(x, distorted), columns(camera, 6, 7)), columns(camera, 7, 9));
}

static ag_tensor *distances(ag_tensor *camera, ag_tensor *point) {
    return ag_mul(ag_sub(image_of(camera, point), s.found), s.weights);
}

static ag_tensor *objective(void) {
    return ag_sum(ag_square(distances(ag_gather(s.cameras, s.camera, 0), ag_gather(s.points, s.point, 0))));
}

/* ---- What is timed ---- */

static double finish(int n, ag_tensor *const all[], bool weighed) {
    ag_eval_all(n, all);
    double sum = 0;
    for (int i = 0; weighed && i < n; i++) sum += weigh(all[i]);
    if (weighed && !fine(s.tape)) sum = NAN;
    ag_tape_rewind(s.tape, s.mark);
    return sum;
}

static double objective_alone(bool weighed) {
    bool before = ag_tape_set_recording(s.tape, false);
    ag_tensor *y = objective();
    double sum = finish(1, &y, weighed);
    ag_tape_set_recording(s.tape, before);
    return sum;
}

static double gradient(bool weighed) {
    ag_tensor *x[] = {s.cameras, s.points, s.weights}, *all[4];
    all[3] = objective();
    ag_grad(all[3], 3, x, all);
    return finish(weighed ? 1 : 4, weighed ? all + 3 : all, weighed);
}

static double blocks(bool weighed) {
    ag_tensor *x[] = {ag_gather(s.cameras, s.camera, 0), ag_gather(s.points, s.point, 0), s.weights}, *all[7];
    ag_tensor *y = distances(x[0], x[1]);
    for (int i = 0; i < 2; i++) ag_grad(ag_sum(columns(y, i, i + 1)), 3, x, all + 3 * i);
    all[6] = ag_sum(ag_square(y));
    return finish(weighed ? 1 : 7, weighed ? all + 6 : all, weighed);
}

static void work(const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++) r->size[0] == BLOCKS ? blocks(false) : gradient(false);
}

static double check(const row *r) { return r->size[0] == BLOCKS ? blocks(true) : gradient(true); }

static void work_objective(const row *r, int64_t repetitions) {
    (void)r;
    for (int64_t k = 0; k < repetitions; k++) objective_alone(false);
}

static double check_objective(const row *r) { return (void)r, objective_alone(true); }

int bundle_rows(row *to) {
    const row rows[] = {
        {.name = "bundle_gradient", .what = "bundle adjustment, 20,000 points: the gradient, beside the objective"},
        {.name = "bundle_blocks",
         .what = "bundle adjustment, 20,000 points: the Jacobian's blocks, beside the objective",
         .size = {BLOCKS}},
    };
    int n = (int)(sizeof rows / sizeof *rows);
    for (int i = 0; i < n; i++) {
        to[i] = rows[i];
        to[i].unit = "s";
        to[i].each = "";
        to[i].setup = set_up;
        to[i].work = work;
        to[i].check = check;
        to[i].teardown = tear_down;
        to[i].peers[0] =
            (peer){.name = "objective", .where = HERE, .work = work_objective, .check = check_objective, .limit = 4};
    }
    return n;
}
