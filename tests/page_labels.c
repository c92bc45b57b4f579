/* page_labels -- a page of ag-explain whose title, expression and labels are any text: page_labels FILE TEXT LABEL...
 *
 * The command line takes only words as names; the library takes any text as a label, and so must the page. */
#include "examples/explain/explain.h"

static ag_tensor *chain(session *s, report *r, int n, char **labels) {
    ag_tensor *y = ag_scalar(s->tape, AG_F64, 0.5);
    for (int i = 0; i < n; i++) {
        ag_tensor *x = ag_label(ag_parameter(s->tape, AG_F64, AG_SCALAR, &(double){i + 1}), labels[i]);
        ag_tensor *h = ag_label(ag_tanh(ag_mul(x, y)), labels[i]);
        y = ag_add(h, x);
        r->x[r->named++] = x;
        r->x[r->named++] = h;
    }
    return y;
}

int main(int argc, char **argv) {
    static session s;
    report r = {.s = &s, .order = 1};
    if (argc < 4) return 2;
    s.tape = ag_tape_new();
    s.program.text = r.title = r.said = argv[2];
    r.y = ag_label(chain(&s, &r, argc - 3, argv + 3), argv[argc - 1]);
    r.ones = ag_ones(s.tape, AG_F64, AG_SCALAR);
    snprintf(r.check.message, sizeof r.check.message, "%s", argv[2]);
    bool good = ag_vjp(1, &r.y, &r.ones, r.named, r.x, r.dx, 0) == AG_OK && write_page(&r, argv[1]);
    good = good && ag_tape_status(s.tape) == AG_OK;
    if (!good) fprintf(stderr, "%s\n", ag_tape_error(s.tape));
    ag_tape_free(s.tape);
    return good ? 0 : 1;
}
