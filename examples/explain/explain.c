/* explain -- ag-explain: an expression, its value, its gradients, and why they are what they are, without any C
 *
 * main reads the arguments, records the expression and reports on it: as text here, as a page in page.c. It exits with
 * 2 for what cannot be understood or recorded, with 1 for a gradient that fails its check and for a file that cannot be
 * written. */
#include "examples/explain/explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: ag-explain [OPTION...] EXPRESSION [INPUT...]\n"
    "       ag-explain [OPTION...] --builtin NAME\n"
    "\n"
    "  ag-explain 'mean(sigmoid(x*w + b))' x=[2,3] w=[3] b:0.5\n"
    "  ag-explain 'z = x @ w; h = tanh(z); sum(h**2)' x=[2,3] w=[3,2] --depth 2 --html page.html\n"
    "\n"
    "prints the value of the expression, its gradients by all inputs and by all values that have a name, the formulas "
    "of\n"
    "both as recorded, why each gradient is what it is, and whether finite differences agree. All numbers are f64. A\n"
    "result of several elements is differentiated as their sum.\n"
    "\n"
    "inputs\n"
    "  NAME=[2,3]       a shape: random values between -2 and 2; NAME=[] is a single number\n"
    "  NAME:[1,2]       values: a number, a list, or lists of lists of one length\n"
    "expressions\n"
    "  + - * / ** @     elementwise, but @, the matrix product; a.T is the transpose; < <= > >= == != compare\n"
    "  f(x, axis=0)     a function; axes and shapes are whole numbers or lists of them; --functions lists all\n"
    "  int([0,2])       labels, as cross_entropy and hinge take them\n"
    "  [[1,0],[0,1]]    a constant\n"
    "  z = a; b         names the value of a for what follows; the last value is the result\n"
    "options\n"
    "  --seed N         of the random values; 1 by default\n"
    "  --depth N        unfold each use of a value N times, up to 12\n"
    "  --of NAME        explain only this gradient\n"
    "  --order 2        second derivatives too\n"
    "  --trace          the backward pass, step by step\n"
    "  --html FILE      write a page with the graph, the paths and the formulas\n"
    "  --json           only the explanations, as data: docs/explain.md says what is in it\n"
    "  --builtin NAME   an example; --list lists them. Inputs given as well replace its own\n"
    "  --functions      list the functions and their parameters\n";

/* ---- Examples */

static const struct {
    const char *name, *said, *expression, *inputs[6];
} builtins[] = {
    {"sigmoid",
     "The derivative of the sigmoid s is s(1 − s), read off the recorded graph.",
     "sum(sigmoid(x))",
     {"x:[-2,0,1]"}},
    {"tanh", "The derivative of h = tanh x is 1 − h².", "h = tanh(x); sum(h)", {"x:[-2,0,1]"}},
    {"relu",
     "relu passes on the cotangent where its input is positive, and nothing elsewhere.",
     "sum(relu(x)**2)",
     {"x:[-1.5,0.5,2]"}},
    {"affine",
     "A layer y = x·W + b under a squared error: the three gradients that every network is made of.",
     "y = x @ W + b; mean((y - t)**2)",
     {"x=[4,3]", "W=[3,2]", "b=[2]", "t=[4,2]"}},
    {"softmax",
     "Softmax and cross-entropy: by the logits, the gradient is (softmax − target)/N.",
     "t = [[1,0,0],[0,0,1]]; p = x - log(sum(exp(x), axis=1, keepdims=True)); -sum(t*p)/2",
     {"x:[[2,1,-1],[0.5,-1,1.5]]"}},
    {"network",
     "A network of two layers for a classification into two: tanh inside, cross-entropy at the end.",
     "h = tanh(x @ W1 + b1); o = h @ W2 + b2; t = [[1,0],[0,1],[1,0],[0,1]]; "
     "-sum(t*(o - log(sum(exp(o), axis=1, keepdims=True))))/4",
     {"x=[4,2]", "W1=[2,3]", "b1=[3]", "W2=[3,2]", "b2=[2]"}},
    {"batchnorm",
     "Batch normalisation over N = 4 samples. The mean M acts along two paths, directly and through the variance V; "
     "the "
     "second comes out as zero, but for rounding, because deviations from the mean sum to zero. Z acts along three. "
     "dLdBZ is given, as a layer's backward pass is handed it.",
     "M = mean(Z, axis=0, keepdims=True); D = Z - M; V = mean(D**2, axis=0, keepdims=True); NZ = D*(V + 1e-5)**(-1/2); "
     "BZ = BW*NZ + Bb; dLdBZ = [[0.3,-0.2],[0.1,0.4],[-0.5,0.2],[0.7,-0.6]]; L = sum(BZ*dLdBZ)",
     {"Z:[[1.1,-2.3],[3.2,0.4],[-0.9,1.6],[2.1,4.2]]", "BW:[[1.2,0.8]]", "Bb:[[0.1,-0.3]]"}},
};

enum { BUILTINS = sizeof builtins / sizeof *builtins };

/* ---- Arguments */

typedef struct options {
    const char *expression, *html, *of;
    const char *inputs[MAX_INPUTS];
    int count, builtin, depth, order;
    uint64_t seed;
    bool trace, json, done;
} options;

static bool whole_option(complaint *c, const char *text, long least, long most, long *result) {
    char *end = NULL;
    long n = strspn(text, "0123456789") && strlen(text) < 16 ? strtol(text, &end, 10) : least - 1;
    if (!end || *end || n < least || n > most)
        return complain(c, text, 0, "a whole number between %ld and %ld is wanted", least, most);
    *result = n;
    return true;
}

static bool find_builtin(complaint *c, const char *name, int *result) {
    for (int i = 0; i < BUILTINS; i++)
        if (strcmp(builtins[i].name, name) == 0) {
            *result = i;
            return true;
        }
    return complain(c, name, 0, "there is no such example; --list lists them");
}

static void list_builtins(void) {
    for (int i = 0; i < BUILTINS; i++) {
        printf("%s\n    %s\n    ag-explain '%s'", builtins[i].name, builtins[i].said, builtins[i].expression);
        for (int k = 0; k < 6 && builtins[i].inputs[k]; k++) printf(" '%s'", builtins[i].inputs[k]);
        printf("\n");
    }
}

static void list_functions(void) {
    for (int i = 0; i < function_count(); i++) printf("%-22s%s\n", function_at(i)->name, function_at(i)->parameters);
    printf(
        "\nParameters are tensors, or with # a number, with %% whole numbers (one or a list), with ! True or False;\n"
        "those with ? can be left out. * stands for any number of tensors.\n");
}

static bool with_value(complaint *c, options *o, const char *name, const char *value) {
    long n = 0;
    if (strcmp(name, "--html") == 0)
        return *(o->html = value) || complain(c, value, 0, "this is not the name of a file");
    if (strcmp(name, "--of") == 0) return (o->of = value) != NULL;
    if (strcmp(name, "--builtin") == 0) return find_builtin(c, value, &o->builtin);
    if (strcmp(name, "--depth") == 0) return whole_option(c, value, 0, 12, &n) && (o->depth = (int)n, true);
    if (strcmp(name, "--order") == 0) return whole_option(c, value, 1, 2, &n) && (o->order = (int)n, true);
    return whole_option(c, value, 0, 1000000000, &n) && (o->seed = (uint64_t)n, true);
}

/* An argument that is not an option: the expression, or an input if there is an expression or an example already. */
static bool read_argument(complaint *c, options *o, const char *text) {
    if (!o->expression && o->builtin < 0) {
        o->expression = text;
        return true;
    }
    if (o->count == MAX_INPUTS) return complain(c, text, 0, "more than %d inputs", MAX_INPUTS);
    o->inputs[o->count++] = text;
    return true;
}

static bool read_option(complaint *c, options *o, int argc, char **argv, int *i) {
    static const char *const valued[] = {"--seed", "--depth", "--of", "--order", "--html", "--builtin"};
    const char *text = argv[*i];
    for (size_t k = 0; k < sizeof valued / sizeof *valued; k++)
        if (strcmp(text, valued[k]) == 0) {
            if (*i + 1 == argc) return complain(c, text, strlen(text), "%s needs a value", text);
            const char *value = argv[++*i];
            return check_text(c, value) && with_value(c, o, text, value);
        }
    if (strcmp(text, "--trace") == 0) return o->trace = true;
    if (strcmp(text, "--json") == 0) return o->json = true;
    o->done = true;
    if (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0) fputs(help, stdout);
    else if (strcmp(text, "--list") == 0) list_builtins();
    else if (strcmp(text, "--functions") == 0) list_functions();
    else return complain(c, text, 0, "there is no such option; --help lists them");
    return true;
}

/* An option begins with two dashes and a letter, since an expression may begin with dashes; "--" ends the options. */
static bool read_arguments(complaint *c, options *o, int argc, char **argv) {
    bool ended = false;
    for (int i = 1; i < argc && !o->done; i++) {
        const char *text = argv[i];
        bool option = !ended && (strcmp(text, "-h") == 0 || (strncmp(text, "--", 2) == 0 && name_length(text + 2)));
        if (!check_text(c, text)) return false;
        if (!ended && strcmp(text, "--") == 0) ended = true;
        else if (!(option ? read_option(c, o, argc, argv, &i) : read_argument(c, o, text))) return false;
    }
    if (o->done || o->builtin >= 0 || o->expression) return true;
    return complain(c, NULL, 0, "an expression is missing; --help says how to write one");
}

/* ---- Inputs */

static const char *replaced(const options *o, const char *text) {
    size_t n = name_length(text);
    for (int i = 0; i < o->count; i++)
        if (name_length(o->inputs[i]) == n && strncmp(o->inputs[i], text, n) == 0) return o->inputs[i];
    return text;
}

/* Takes the example's expression and inputs as if they had been typed. */
static void use_builtin(options *o) {
    if (o->expression && o->count < MAX_INPUTS) o->inputs[o->count++] = o->expression;
    const char *own[MAX_INPUTS];
    int n = 0;
    for (int i = 0; i < 6 && builtins[o->builtin].inputs[i]; i++)
        own[n++] = replaced(o, builtins[o->builtin].inputs[i]);
    for (int i = 0; i < o->count && n < MAX_INPUTS; i++) {
        bool there = false;
        for (int k = 0; k < n; k++) there = there || own[k] == o->inputs[i];
        if (!there) own[n++] = o->inputs[i];
    }
    memcpy(o->inputs, own, sizeof own);
    o->count = n;
    o->expression = builtins[o->builtin].expression;
}

static bool read_inputs(session *s, const options *o, program *scratch) {
    for (int i = 0; i < o->count; i++) {
        input *in = &s->input[i];
        scratch->count = 0;
        s->inputs = i + 1;
        if (!read_input(in, o->inputs[i], scratch, o->seed, i)) return false;
        for (int k = 0; k < i; k++)
            if (strcmp(s->input[k].name, in->name) == 0)
                return complain(&s->complaint, in->text, 0, "%s is given twice", in->name);
        s->x[i] = ag_located(ag_label(ag_parameter(s->tape, AG_F64, in->shape, in->data), in->name), "input", i + 1);
    }
    return true;
}

/* ---- The text */

static void put_heading(const char *text) { printf("\n== %s\n", text); }

static void put_named(const char *before, ag_tensor *x, ag_tensor *value) {
    printf("%s%s ", before, ag_label_of(x));
    put_shape(stdout, value);
    printf(" = ");
    put_value(stdout, value, 64);
    printf("\n");
}

static void put_second(report *r, int i) {
    ag_tensor *total = ag_sum(r->y), *x = r->x[i];
    bool whole = ag_size(x) <= 12;
    ag_tensor *second = whole ? ag_hessian(total, x) : ag_hvp(total, x, ag_ones(r->s->tape, AG_F64, ag_shape_of(x)));
    put_named(whole ? "the Hessian by " : "the Hessian times ones by ", x, second);
}

static void put_check(const report *r) {
    const ag_gradcheck_report *c = &r->check;
    printf("%s: %lld comparisons with finite differences, order %d", c->passed ? "passed" : "FAILED",
           (long long)c->checked, r->order);
    if (c->kinks) printf(", %lld of them at a kink", (long long)c->kinks);
    printf("\n");
    if (!c->passed) printf("%s\n", c->message);
}

static void put_outside(const session *s) {
    const ag_op *op = s->outside.op;
    const ag_domain *d = &op->domain[s->outside.input];
    const bool low = d->above < d->below && isfinite(d->above), high = d->above < d->below && isfinite(d->below);
    put_heading("outside a domain");
    printf("%s [column:%d]: input %d is %.6g; a number", op->name, s->outside.column, s->outside.input,
           s->outside.number);
    if (low) printf(" above %g", (double)d->above);
    if (high) printf("%s below %g", low ? " and" : "", (double)d->below);
    printf("%s is wanted\n", low || high ? "" : " other than 0");
}

static void put_text(report *r, bool trace) {
    session *s = r->s;
    printf("%s\n", s->program.text);
    for (int i = 0; i < s->inputs; i++) put_named("  ", s->x[i], s->x[i]);
    put_heading("value");
    put_shape(stdout, r->y);
    printf(" ");
    put_value(stdout, r->y, 64);
    printf("\n");
    if (s->outside.op) put_outside(s);
    put_heading("formula");
    printf("%s\n", ag_formula(r->y, NULL));
    put_heading(ag_size(r->y) == 1 ? "gradients" : "gradients of the sum of all elements");
    for (int i = 0; i < r->named; i++) put_named("by ", r->x[i], r->dx[i]);
    for (int i = 0; i < r->named; i++) {
        printf("\n== the gradient by %s: formula\n%s\n", ag_label_of(r->x[i]), ag_formula(r->dx[i], NULL));
        put_heading("why");
        printf("%s\n", ag_explain(r->y, r->x[i], &(ag_explain_options){.depth = r->depth}));
    }
    if (r->order == 2) {
        put_heading("second derivatives");
        for (int i = 0; i < s->inputs; i++) put_second(r, i);
    }
    if (trace && s->inputs) {
        put_heading("the backward pass");
        printf("%s\n", ag_trace_backward(r->y, s->inputs, s->x, NULL));
    }
    put_heading("check");
    put_check(r);
}

static void put_data(const char *json) { fputs(*json ? json : "null", stdout); }

/* The library's own JSON, an explanation for each gradient. */
static void put_json(report *r, bool trace) {
    ag_explain_options o = {.json = true, .depth = r->depth};
    printf("{\"explain\":[");
    for (int i = 0; i < r->named; i++) {
        fputs(i ? ",\n" : "\n", stdout);
        put_data(ag_explain(r->y, r->x[i], &o));
    }
    fputs("\n],\n\"trace\":", stdout);
    put_data(trace && r->s->inputs ? ag_trace_backward(r->y, r->s->inputs, r->s->x, &o) : "");
    printf(",\n\"passed\":%s}\n", r->check.passed ? "true" : "false");
}

/* ---- Main */

/* Chooses inputs, and named values on the way to y; or only the value `of`. */
static bool choose(report *r, const char *of) {
    session *s = r->s;
    for (int i = 0; i < s->names; i++) {
        ag_tensor *x = i < s->inputs ? s->x[i] : s->name[i].value.tensor;
        bool named = s->name[i].value.kind == VALUE_TENSOR && strcmp(ag_label_of(x), s->name[i].name) == 0;
        bool wanted = of ? strcmp(of, s->name[i].name) == 0 : i < s->inputs || (ag_requires_grad(x) && x != r->y);
        if (named && wanted && ag_dtype_of(x) == AG_F64) r->x[r->named++] = x;
    }
    return r->named || !of || complain(&s->complaint, of, 0, "no real value has this name");
}

static bool differentiate(report *r) {
    session *s = r->s;
    r->ones = ag_label(ag_ones(s->tape, AG_F64, ag_shape_of(r->y)), "");
    if (ag_vjp(1, &r->y, &r->ones, r->named, r->x, r->dx, 0) == AG_OK) ag_eval_all(r->named, r->dx);
    if (ag_tape_status(s->tape) == AG_OK) return true;
    return complain_of_tape(s, 0);
}

static void check_gradients(report *r) {
    session *s = r->s;
    int64_t size = 0;
    for (int i = 0; i < s->inputs; i++) size += ag_size(s->x[i]);
    ag_gradcheck_options o = {.order = r->order, .directions = size > 64 ? 8 : 0};
    ag_gradcheck(record, s, s->inputs, s->x, &o, &r->check);
}

static bool is_outside(const ag_domain *d, double x) {
    return isfinite(x) && ((d->nonzero && x == 0) || (d->above < d->below && !(x > d->above && x < d->below)));
}

/* Whether operation y makes NaN or infinity of a number outside its domain, which is then noted. Its inputs have the shape of
 * its output. */
static bool notes_outside(session *s, ag_tensor *y) {
    const ag_op *op = ag_op_of(y);
    if (!op || op->kind != AG_KIND_ELEMENTWISE) return false;
    for (int64_t k = 0; k < ag_size(y); k++)
        for (int i = 0; i < op->arity && i < 2 && !isfinite(ag_element(y, k)); i++) {
            const double x = ag_element(ag_input(y, i), k);
            if (!is_outside(&op->domain[i], x)) continue;
            s->outside.op = op, s->outside.input = i, s->outside.number = x;
            ag_place_of(y, &s->outside.column);
            return true;
        }
    return false;
}

static void look_outside(session *s) {
    for (int i = 0; i < s->program.count; i++)
        if (s->values[i].kind == VALUE_TENSOR && notes_outside(s, s->values[i].tensor)) return;
}

static bool record_all(session *s, const options *o, ag_tensor **y) {
    static part parts[MAX_PARTS], other_parts[MAX_PARTS];
    program scratch = {.parts = other_parts, .complaint = &s->complaint};
    s->program = (program){.parts = parts, .complaint = &s->complaint};
    s->seed = o->seed;
    if (!check_text(&s->complaint, o->expression) || !parse_program(&s->program, o->expression)) return false;
    if (!read_inputs(s, o, &scratch)) return false;
    *y = record(s, s->inputs, s->x);
    if (!*y) return complain(&s->complaint, NULL, 0, "nothing was recorded");
    size_t last = s->program.parts[s->program.statement[s->program.statements - 1]].at;
    if (ag_dtype_of(*y) != AG_F64)
        return complain(&s->complaint, s->program.text, last, "the result is %s: only real ones have gradients",
                        ag_dtype_name(ag_dtype_of(*y)));
    for (int i = 0; i < s->inputs; i++)
        if (!s->used[i])
            return complain(&s->complaint, s->input[i].text, 0, "the expression does not use %s", s->input[i].name);
    if (ag_eval(*y) != AG_OK) return complain_of_tape(s, last);
    look_outside(s);
    return true;
}

static int explain(session *s, const options *o) {
    report r = {.s = s, .depth = o->depth, .order = o->order};
    r.title = o->builtin < 0 ? "An expression explained" : builtins[o->builtin].name;
    r.said = o->builtin < 0 ? NULL : builtins[o->builtin].said;
    if (!record_all(s, o, &r.y) || !choose(&r, o->of) || !differentiate(&r)) return 2;
    check_gradients(&r);
    if (o->json) put_json(&r, o->trace);
    else put_text(&r, o->trace);
    if (o->html && !write_page(&r, o->html)) {
        fflush(stdout);
        fprintf(stderr, "ag-explain: %s cannot be written\n", o->html);
        return 1;
    }
    if (o->html && !o->json) printf("\nWritten: %s\n", o->html);
    if (ag_tape_status(s->tape) != AG_OK) fprintf(stderr, "ag-explain: %s\n", ag_tape_error(s->tape));
    return r.check.passed && ag_tape_status(s->tape) == AG_OK ? 0 : 1;
}

int main(int argc, char **argv) {
    static session s;
    options o = {.builtin = -1, .order = 1, .seed = 1};
    int status = 2;
    if (read_arguments(&s.complaint, &o, argc, argv) && o.done) return 0;
    if (!*s.complaint.message) {
        if (o.builtin >= 0) use_builtin(&o);
        s.tape = ag_tape_new();
        status = explain(&s, &o);
    }
    if (*s.complaint.message) print_complaint(stderr, &s.complaint);
    for (int i = 0; i < s.inputs; i++) free(s.input[i].data);
    ag_tape_free(s.tape);
    return status;
}
