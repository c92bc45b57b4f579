/* train -- ag-train: a network from a line of text, trained on a table, judged, and applied, without any C */
#include "examples/train/train.h"

#include <stdlib.h>
#include <string.h>

static void put_line(description *d, const char *line) {
    for (; *line; line++) put_bytes(&d->model, *line == '\t' ? " " : line, 1);
}

/* Data and model, before anything is trained. */
static bool read_training(model *m, description *d, samples *s, const options *o) {
    if (!parse_model(m, o->model, NULL)) return false;
    put_line(d, o->model);
    if (!read_samples(s, d, o, true, m->outputs)) return false;
    return m->inputs == s->inputs ||
           complain("%s has %lld inputs, and the model %lld", o->data, (long long)s->inputs, (long long)m->inputs);
}

static void print_result(const history *h, const judgement *j, const description *d, const options *o, ag_tape *tape) {
    enum { COLUMNS = 40, LOSS = 1 };
    double *loss = memory(NULL, (size_t)h->epochs, sizeof *loss);
    for (int64_t i = 0; i < h->epochs; i++) loss[i] = h->value[i * h->columns + LOSS];
    printf("loss      %s\n%s\n", ag_sparkline(tape, h->epochs, loss, COLUMNS),
           o->validation > 0 ? "on the validation data:" : "on the training data:");
    print_judgement(stdout, j, d);
    free(loss);
}

typedef struct session {
    model m;
    description d;
    samples s;
    history h;
    judgement j;
} session;

static bool train(session *t, const options *o, ag_tape *tape) {
    if (!read_training(&t->m, &t->d, &t->s, o)) return false;
    ag_tape_seed(tape, (uint64_t)o->seed);
    if (!build_model(&t->m, tape) || (!o->quiet && !print_model(&t->m, tape))) return false;
    if (!fit(&t->m, &t->d, tape, &t->s, o, &t->h, &t->j)) return false;
    if (!save_model(&t->d, tape, o->output)) return false;
    if (!o->quiet) print_result(&t->h, &t->j, &t->d, o, tape);
    return (!o->html || write_page(o->html, &t->d, o, &t->h, &t->j, tape)) && fine(tape);
}

static bool apply(session *t, const options *o, ag_tape *tape) {
    if (!load_model(&t->m, &t->d, tape, o->model)) return false;
    if (!read_samples(&t->s, &t->d, o, o->command == EVALUATE, t->m.outputs)) return false;
    standardise(&t->s, &t->d);
    if (!judge(&t->j, &t->m, &t->d, tape, &t->s, t->s.count, NULL)) return false;
    if (o->command == PREDICT) return write_predictions(&t->j, &t->m, &t->d, o);
    return print_judgement(stdout, &t->j, &t->d), true;
}

int main(int argc, char **argv) {
    static session t;
    options o;
    if (!read_options(&o, argc, argv)) return result();
    ag_tape *tape = ag_tape_new();
    if (o.threads) ag_tape_set_threads(tape, (int)o.threads);
    if (o.command == TRAIN) train(&t, &o, tape);
    else apply(&t, &o, tape);
    ag_tape_free(tape);
    forget(&t.j);
    forget_samples(&t.s);
    forget_description(&t.d);
    forget_history(&t.h);
    if (fflush(stdout) != 0) complain("standard output cannot be written");
    return result();
}
