/* profile -- where the time of a training step goes: a layer with batch normalisation, a readout, gradient descent
 *
 * Prints the table and the tape's memory; with a path, writes the trace there, and the step's graph with its regions
 * beside it. docs/profiling.md explains the output. */
#include <autograd/autograd.h>
#include <nn/nn.h>
#include <stdio.h>

enum { BATCH = 128, IN = 512, HIDDEN = 256, CLASSES = 10, STEPS = 50, PARAMETERS = 6 };

typedef struct model {
    ag_linear hidden, readout;
    ag_batchnorm norm;
    ag_tensor *x, *labels;
} model;

static ag_tensor *loss_of(const model *m) {
    ag_tensor *h = ag_linear_apply(&m->hidden, m->x);
    h = ag_batchnorm_apply(&m->norm, h, true);
    h = ag_label(ag_relu(h), "hidden");
    ag_tensor *scores = ag_linear_apply(&m->readout, h);
    return ag_label(ag_cross_entropy(scores, m->labels), "loss");
}

static void step(const model *m, ag_sgd *sgd, const char *picture) {
    ag_tensor *loss = loss_of(m);
    ag_backward(loss);
    ag_sgd_step(sgd, NULL);
    if (picture) ag_write_dot(picture, 1, &loss, &(ag_dot_options){.regions = true});
    ag_item(loss);
}

int main(int argc, char **argv) {
    ag_tape *tape = ag_tape_new();
    model m = {.x = ag_label(ag_variable_from(ag_normal(tape, AG_F32, AG_SHAPE(BATCH, IN), 0, 1)), "x")};
    m.labels = ag_variable_from(ag_cast(ag_uniform(tape, AG_F32, AG_SHAPE(BATCH), 0, CLASSES), AG_I64));
    ag_linear_init(&m.hidden, tape, AG_F32, IN, HIDDEN);
    ag_batchnorm_init(&m.norm, tape, AG_F32, HIDDEN);
    ag_linear_init(&m.readout, tape, AG_F32, HIDDEN, CLASSES);
    ag_tensor *p[PARAMETERS] = {m.hidden.weight, m.hidden.bias,    m.norm.gamma,
                                m.norm.beta,     m.readout.weight, m.readout.bias};
    ag_slot slots[PARAMETERS];
    ag_sgd sgd;
    ag_sgd_init(&sgd, PARAMETERS, p, slots, 0.01, 0);

    ag_mark mark = ag_tape_mark(tape);
    for (int i = -3; i < STEPS; i++) { /* three to warm up */
        if (i == 0) ag_profile_start(tape);
        step(&m, &sgd, NULL);
        ag_tape_rewind(tape, mark);
    }
    ag_profile_stop(tape);
    printf("%s\n%s", ag_profile_table(tape, 12), ag_tape_memory_table(tape));
    if (argc > 1) ag_profile_write(tape, argv[1]);
    if (argc > 2) step(&m, &sgd, argv[2]);
    printf("%s", ag_tape_error(tape));
    ag_status status = ag_tape_status(tape);
    ag_tape_free(tape);
    return status == AG_OK ? 0 : 1;
}
