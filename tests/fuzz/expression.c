/* expression -- fuzz target: ag-explain's parser, and what it records
 *
 * The text up to the first 0 is an expression, those behind it are inputs. It is recorded, evaluated, differentiated and
 * explained, or there is a complaint about a place in it. */
#include "examples/explain/explain.h"
#include "tests/fuzz/fuzz.h"
#include "tests/grammar.h"

#include <stdlib.h>
#include <string.h>

enum { GIVEN = 4, TEXT = 3000 };

static void expect_complaint(const session *s) {
    const complaint *c = &s->complaint;
    if (!*c->message) fault("\"%s\" is refused without a complaint", s->program.text);
    if (!utf8_is_sound(c->message)) fault("a complaint is not UTF-8: %s", c->message);
    if (c->text && c->at > strlen(c->text)) fault("byte %zu of \"%s\" is complained of", c->at, c->text);
}

static bool read_inputs(session *s, feed *f, char text[GIVEN][TEXT]) {
    static part parts[MAX_PARTS];
    program scratch = {.parts = parts, .complaint = &s->complaint};
    for (int i = 0; i < GIVEN && feed_left(f); i++) {
        scratch.count = 0;
        s->inputs = i + 1;
        feed_text(f, text[i], TEXT);
        if (!check_text(&s->complaint, text[i]) || !read_input(&s->input[i], text[i], &scratch, 1, i)) return false;
        for (int k = 0; k < i; k++)
            if (strcmp(s->input[k].name, s->input[i].name) == 0)
                return complain(&s->complaint, text[i], 0, "%s is given twice", s->input[i].name);
        s->x[i] = ag_label(ag_parameter(s->tape, AG_F64, s->input[i].shape, s->input[i].data), s->input[i].name);
    }
    return true;
}

static bool recorded(session *s, feed *f, ag_tensor **y) {
    static part parts[MAX_PARTS];
    static char expression[TEXT], text[GIVEN][TEXT];
    s->program = (program){.parts = parts, .complaint = &s->complaint};
    feed_text(f, expression, sizeof expression);
    if (!check_text(&s->complaint, expression) || !parse_program(&s->program, expression)) return false;
    if (!read_inputs(s, f, text)) return false;
    *y = record(s, s->inputs, s->x);
    if (!*y || ag_is_nil(*y) || *s->complaint.message) return false;
    return ag_eval(*y) == AG_OK || complain_of_tape(s, 0);
}

static void explain(session *s, ag_tensor *y) {
    for (int i = 0; i < s->inputs && ag_dtype_of(y) == AG_F64; i++) {
        if (!s->used[i]) continue;
        const char *text = ag_explain(y, s->x[i], &(ag_explain_options){.json = i % 2, .depth = 1});
        if (ag_tape_status(s->tape) == AG_OK && i % 2 && json_fault(text)) fault("not JSON: %s", text);
        if (!utf8_is_sound(text)) fault("not UTF-8: %s", text);
        ag_clear_error(s->tape); /* an index out of range, a singular matrix */
    }
}

void fuzz_expression(const uint8_t *data, size_t size) {
    static session s;
    ledger l;
    ag_tensor *y = NULL;
    feed f = {data, data + size};
    memset(&s, 0, sizeof s);
    s.tape = tape_open(&l);
    if (recorded(&s, &f, &y)) explain(&s, y);
    else expect_complaint(&s);
    for (int i = 0; i < s.inputs; i++) free(s.input[i].data);
    tape_close(s.tape, &l);
}
