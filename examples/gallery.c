/* gallery -- every activation: its formula and that of its derivative as recorded, and a picture of both
 *
 *     gallery [OUTDIR]
 *
 * docs/learn/gallery.md shows them. With OUTDIR, it writes a picture of each there. The slopes at the middles of a grid are
 * compared with differences of values, and the program fails if they do not agree. */
#include <autograd/autograd.h>
#include <io/io.h>
#include <math.h>
#include <stdio.h>

#include "examples/show.h"

enum { GRID = 121 };

static const double LOW = -4.5, HIGH = 4.5;

static ag_tensor *logit(ag_tensor *x) { return ag_logit(ag_add_scalar(ag_scale(x, 0.1), 0.5)); }
static ag_tensor *leaky_relu(ag_tensor *x) { return ag_leaky_relu(x, 0.1); }
static ag_tensor *elu(ag_tensor *x) { return ag_elu(x, 1); }
static ag_tensor *celu(ag_tensor *x) { return ag_celu(x, 2); }
static ag_tensor *hardtanh(ag_tensor *x) { return ag_hardtanh(x, -1, 1); }
static ag_tensor *softshrink(ag_tensor *x) { return ag_softshrink(x, 0.5); }
static ag_tensor *prelu(ag_tensor *x) { return ag_prelu(x, ag_scalar(ag_tape_of(x), AG_F64, 0.25)); }

typedef struct activation {
    const char *name, *call;
    ag_tensor *(*f)(ag_tensor *x);
} activation;

static const activation activations[] = {
    {"sigmoid", "ag_sigmoid(x)", (ag_sigmoid)},
    {"tanh", "ag_tanh(x)", (ag_tanh)},
    {"relu", "ag_relu(x)", (ag_relu)},
    {"leaky_relu", "ag_leaky_relu(x, 0.1)", leaky_relu},
    {"prelu", "ag_prelu(x, slope) for a slope of ¼", prelu},
    {"elu", "ag_elu(x, 1)", elu},
    {"selu", "ag_selu(x)", (ag_selu)},
    {"celu", "ag_celu(x, 2)", celu},
    {"gelu", "ag_gelu(x)", (ag_gelu)},
    {"gelu_tanh", "ag_gelu_tanh(x)", (ag_gelu_tanh)},
    {"silu", "ag_silu(x)", (ag_silu)},
    {"mish", "ag_mish(x)", (ag_mish)},
    {"softplus", "ag_softplus(x)", (ag_softplus)},
    {"logsigmoid", "ag_logsigmoid(x)", (ag_logsigmoid)},
    {"softsign", "ag_softsign(x)", (ag_softsign)},
    {"logit", "ag_logit(x/10 + ½)", logit},
    {"hardtanh", "ag_hardtanh(x, −1, 1)", hardtanh},
    {"hardsigmoid", "ag_hardsigmoid(x)", (ag_hardsigmoid)},
    {"hardswish", "ag_hardswish(x)", (ag_hardswish)},
    {"softshrink", "ag_softshrink(x, 0.5)", softshrink},
};
enum { COUNT = sizeof activations / sizeof *activations };

static ag_tensor *slope_of(ag_tensor *y, ag_tensor *x) {
    ag_tensor *dx;
    ag_grad(ag_sum(y), 1, &x, &dx);
    return dx;
}

/* A slope against the difference of values around it: between the two it changes by no more than from one to the next, at
 * a kink as elsewhere. */
static bool fits(const double *x, const double *y, const double *slope) {
    for (int i = 1; i + 1 < GRID; i++) {
        const double change = fmax(fabs(slope[i + 1] - slope[i]), fabs(slope[i] - slope[i - 1]));
        if (fabs((y[i + 1] - y[i - 1]) / (x[i + 1] - x[i - 1]) - slope[i]) > change + 0.002) return false;
    }
    return true;
}

static bool show_one(ag_tape *tape, const activation *a, const char *folder) {
    ag_tensor *at = ag_label(ag_parameter_from(ag_scalar(tape, AG_F64, 0.5)), "x"), *one = a->f(at);
    ag_tensor *x =
        ag_parameter_from(ag_add_scalar(ag_scale(ag_arange(tape, AG_F64, GRID), (HIGH - LOW) / (GRID - 1)), LOW));
    ag_tensor *y = a->f(x);
    const double *places = ag_data(x), *values = ag_data(y), *slopes = ag_data(slope_of(y, x));
    printf("\n== %s\n%s\n%s\n%s\n", a->name, a->call, ag_formula(one, NULL), ag_formula(slope_of(one, at), NULL));
    if (!slopes || !fits(places, values, slopes)) return false;
    if (!folder) return true;
    char path[4096];
    snprintf(path, sizeof path, "%s/gallery-%s.svg", folder, a->name);
    const ag_curve curves[] = {{"value", GRID, places, values}, {"slope", GRID, places, slopes}};
    const ag_curves_options options = {.title = a->call, .width = 360, .height = 240};
    return ag_curves_write(tape, path, 2, curves, &options) == AG_OK;
}

int main(int count, char *arguments[]) {
    ag_tape *tape = ag_tape_new();
    for (int i = 0; i < COUNT; i++) {
        const ag_mark mark = ag_tape_mark(tape);
        show_fact(show_one(tape, &activations[i], count > 1 ? arguments[1] : NULL),
                  "the slopes are those of the values");
        ag_tape_rewind(tape, mark);
    }
    const int result = show_result(tape);
    ag_tape_free(tape);
    return result;
}
