/* record -- a program's parts, recorded one after the other
 *
 * Every tensor's location is the column of its part. Invariant: the values of a part's children are
 * there before it; what is not a tensor where one is needed becomes one. */
#include "examples/explain/explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Locations and errors */

static int column(const session *s, size_t at) {
    int result = 1;
    for (size_t i = 0; i < at; i++) result += ((unsigned char)s->program.text[i] & 0xC0) != 0x80;
    return result;
}

bool complain_of_tape(session *s, size_t at) {
    const char *said = ag_tape_error(s->tape), *text = s->program.text, *place = strstr(said, " [column:");
    if (!place) return complain(&s->complaint, text, at, "%s", said);
    size_t end = strlen(text);
    int where = atoi(place + strlen(" [column:"));
    for (at = 0; at < end && column(s, at + 1) <= where;) at++;
    return complain(&s->complaint, text, at, "%.*s", (int)(place - said), said);
}

static bool fail(session *s, const part *x, const char *what) {
    return complain(&s->complaint, s->program.text, x->at, "%s", what);
}

/* Notes the location. */
static bool recorded(session *s, const part *x, ag_tensor *y, operand *result) {
    ag_located(y, "column", column(s, x->at));
    if (ag_tape_status(s->tape) != AG_OK) return complain_of_tape(s, x->at);
    if (ag_size(y) > MAX_SIZE)
        return complain(&s->complaint, s->program.text, x->at, "this has %lld elements; at most %d are allowed",
                        (long long)ag_size(y), MAX_SIZE);
    *result = (operand){VALUE_TENSOR, 0, y};
    return true;
}

/* ---- Values of the wanted kind */

static bool as_tensor(session *s, int number, ag_tensor **result) {
    static double data[MAX_INPUT_SIZE];
    operand *v = &s->values[number];
    const part *x = &s->program.parts[number];
    if (v->kind == VALUE_NUMBER && !recorded(s, x, ag_scalar(s->tape, AG_F64, v->number), v)) return false;
    if (v->kind == VALUE_LIST) {
        ag_shape shape;
        if (!literal(&s->program, number, &shape, data, MAX_INPUT_SIZE)) return false;
        if (!recorded(s, x, ag_from(s->tape, AG_F64, shape, data), v)) return false;
    }
    *result = v->tensor;
    return true;
}

static bool whole_number(session *s, int number, int64_t *result) {
    const operand *v = &s->values[number];
    if (v->kind != VALUE_NUMBER || v->number != floor(v->number) || fabs(v->number) > 1e6)
        return fail(s, &s->program.parts[number], "a whole number between −10⁶ and 10⁶, written out, is wanted");
    *result = (int64_t)v->number;
    return true;
}

static bool whole_numbers(session *s, int number, slot *result) {
    const part *x = &s->program.parts[number];
    result->count = 1;
    if (s->values[number].kind != VALUE_LIST) return whole_number(s, number, &result->whole[0]);
    if (x->count > AG_MAX_RANK) return fail(s, x, "this list is longer than a tensor has axes");
    result->count = 0;
    for (int child = x->first; child >= 0; child = s->program.parts[child].next)
        if (!whole_number(s, child, &result->whole[result->count++])) return false;
    return true;
}

/* ---- Operators */

static ag_tensor *with_right_number(const char *name, ag_tensor *a, double b) {
    switch (*name) {
    case '+': return ag_add_scalar(a, b);
    case '-': return ag_add_scalar(a, -b);
    case '/': return ag_div_scalar(a, b);
    case '*': return name[1] ? ag_pow_scalar(a, b) : ag_scale(a, b);
    default: return NULL;
    }
}

static ag_tensor *with_left_number(const char *name, double a, ag_tensor *b) {
    switch (*name) {
    case '+': return ag_add_scalar(b, a);
    case '-': return ag_rsub_scalar(a, b);
    case '/': return ag_rdiv_scalar(a, b);
    case '*': return name[1] ? NULL : ag_scale(b, a);
    default: return NULL;
    }
}

static ag_tensor *of_tensors(const char *name, ag_tensor *a, ag_tensor *b) {
    switch (*name) {
    case '+': return ag_add(a, b);
    case '-': return ag_sub(a, b);
    case '/': return ag_div(a, b);
    case '*': return name[1] ? ag_pow(a, b) : ag_mul(a, b);
    case '@': return ag_matmul(a, b);
    case '<': return name[1] ? ag_less_equal(a, b) : ag_less(a, b);
    case '>': return name[1] ? ag_greater_equal(a, b) : ag_greater(a, b);
    default: return *name == '=' ? ag_equal(a, b) : ag_not_equal(a, b);
    }
}

static bool binary(session *s, const part *x, operand *result) {
    int left = x->first, right = s->program.parts[left].next;
    operand a = s->values[left], b = s->values[right];
    bool arithmetics = strchr("+-*/", *x->name) != NULL;
    if (a.kind == VALUE_NUMBER && b.kind == VALUE_NUMBER && arithmetics) {
        *result = (operand){VALUE_NUMBER, arithmetic(x->name, a.number, b.number), NULL};
        return true;
    }
    ag_tensor *y = NULL;
    if (arithmetics && a.kind == VALUE_TENSOR && b.kind == VALUE_NUMBER)
        y = with_right_number(x->name, a.tensor, b.number);
    if (arithmetics && a.kind == VALUE_NUMBER && b.kind == VALUE_TENSOR)
        y = with_left_number(x->name, a.number, b.tensor);
    if (!y) {
        if (!as_tensor(s, left, &a.tensor) || !as_tensor(s, right, &b.tensor)) return false;
        y = of_tensors(x->name, a.tensor, b.tensor);
    }
    return recorded(s, x, y, result);
}

static bool negated(session *s, const part *x, operand *result) {
    operand a = s->values[x->first];
    if (a.kind == VALUE_NUMBER) {
        *result = (operand){VALUE_NUMBER, -a.number, NULL};
        return true;
    }
    return as_tensor(s, x->first, &a.tensor) && recorded(s, x, ag_neg(a.tensor), result);
}

/* All axes in reverse, as NumPy's .T has it. */
static bool transposed(session *s, const part *x, operand *result) {
    ag_tensor *a = NULL;
    if (!as_tensor(s, x->first, &a)) return false;
    ag_axes order = {ag_rank(a), {0}};
    for (int i = 0; i < order.count; i++) order.axis[i] = order.count - 1 - i;
    return recorded(s, x,
                    order.count < 2    ? a
                    : order.count == 2 ? ag_transpose(a, 0, 1)
                                       : ag_permute(a, order),
                    result);
}

/* ---- Calls */

typedef struct parameter {
    char name[NAME_BYTES];
    char kind; /* 0 for a tensor, or its mark */
    bool optional;
} parameter;

static int parameters(const function *f, parameter list[MAX_SLOTS + 1]) {
    int n = 0;
    for (const char *at = f->parameters; *at; at += strspn(at, " ")) {
        size_t length = strcspn(at, " #%!?*");
        list[n] = (parameter){{0}, 0, false};
        memcpy(list[n].name, at, length);
        for (at += length; *at && *at != ' '; at++)
            if (*at == '?') list[n].optional = true;
            else list[n].kind = *at;
        n++;
    }
    return n;
}

static bool bind(session *s, call *c, int index, const parameter *p, int number) {
    slot *to = &c->slots[index];
    const part *x = &s->program.parts[number];
    if (to->given) return complain(&s->complaint, s->program.text, x->at, "%s is given twice", p->name);
    to->given = true;
    if (p->kind == 0) return as_tensor(s, number, &to->tensor);
    if (p->kind == '%') return whole_numbers(s, number, to);
    if (s->values[number].kind != VALUE_NUMBER)
        return complain(&s->complaint, s->program.text, x->at, "%s should be %s", p->name,
                        p->kind == '!' ? "True or False" : "a number");
    to->number = s->values[number].number;
    return true;
}

static bool argument(session *s, const function *f, call *c, const parameter *list, int n, int position, int number) {
    const part *x = &s->program.parts[number];
    const char *text = s->program.text;
    bool many = n > 0 && list[n - 1].kind == '*';
    if (many && !*x->key) {
        if (c->more == MAX_CONCAT) return complain(&s->complaint, text, x->at, "more than %d tensors", MAX_CONCAT);
        return as_tensor(s, number, &c->tensors[c->more++]);
    }
    int i = position;
    if (*x->key)
        for (i = 0; i < n && strcmp(list[i].name, x->key) != 0;) i++;
    if (i < n) return bind(s, c, i, &list[i], number);
    if (*x->key) return complain(&s->complaint, text, x->key_at, "%s has no parameter %s", f->name, x->key);
    return complain(&s->complaint, text, x->at, "%s takes at most %d argument%s", f->name, n, n == 1 ? "" : "s");
}

static bool unknown_function(session *s, const part *x) {
    const char *near = nearest_function(x->name);
    return complain(&s->complaint, s->program.text, x->at, "there is no function %s%s%s%s", x->name,
                    near ? "; did you mean " : "", near ? near : "", near ? "?" : "; --functions lists them");
}

static bool called(session *s, const part *x, operand *result) {
    parameter list[MAX_SLOTS + 1];
    const function *f = find_function(x->name);
    if (!f) return unknown_function(s, x);
    int n = parameters(f, list), position = 0;
    bool keys = false;
    call c = {.tape = s->tape};
    for (int child = x->first; child >= 0; child = s->program.parts[child].next) {
        const part *p = &s->program.parts[child];
        if (keys && !*p->key) return fail(s, p, "an argument without a name follows one with a name");
        keys = *p->key != 0;
        if (!argument(s, f, &c, list, n, position++, child)) return false;
    }
    for (int i = 0; i < n; i++)
        if (list[i].kind == '*' ? !c.more : !list[i].optional && !c.slots[i].given)
            return complain(&s->complaint, s->program.text, x->at, "%s needs %s", f->name,
                            list[i].kind == '*' ? "at least one tensor" : list[i].name);
    return recorded(s, x, call_function(f, &c), result);
}

/* ---- Names */

static bool named(session *s, const part *x, operand *result) {
    bool yes = strcmp(x->name, "True") == 0;
    *result = (operand){VALUE_NUMBER, yes, NULL};
    if (yes || strcmp(x->name, "False") == 0) return true;
    for (int i = 0; i < s->names; i++)
        if (strcmp(s->name[i].name, x->name) == 0) {
            *result = s->name[i].value;
            if (i < s->inputs) s->used[i] = true;
            return true;
        }
    if (find_function(x->name))
        return complain(&s->complaint, s->program.text, x->at, "%s is a function: %s(…)", x->name, x->name);
    return complain(&s->complaint, s->program.text, x->at,
                    "%s has no value: give its shape, as in %s=[2,3], or its values, as in %s:[1,2]", x->name, x->name,
                    x->name);
}

static bool assigned(session *s, const part *x, operand *result) {
    if (strcmp(x->name, "True") == 0 || strcmp(x->name, "False") == 0)
        return fail(s, x, "this cannot be the name of a value");
    for (int i = 0; i < s->names; i++)
        if (strcmp(s->name[i].name, x->name) == 0)
            return complain(&s->complaint, s->program.text, x->at, "%s has a value already", x->name);
    if (s->names == MAX_NAMES) return fail(s, x, "there are too many names");
    *result = s->values[x->first];
    if (result->kind == VALUE_LIST) {
        if (!as_tensor(s, x->first, &result->tensor)) return false;
        result->kind = VALUE_TENSOR;
    }
    if (result->kind == VALUE_TENSOR && !*ag_label_of(result->tensor)) ag_label(result->tensor, x->name);
    memcpy(s->name[s->names].name, x->name, NAME_BYTES);
    s->name[s->names++].value = *result;
    return true;
}

/* ---- Programs */

static bool record_part(session *s, int number) {
    const part *x = &s->program.parts[number];
    operand *result = &s->values[number];
    switch (x->kind) {
    case PART_NUMBER: *result = (operand){VALUE_NUMBER, x->number, NULL}; return true;
    case PART_LIST: *result = (operand){VALUE_LIST, 0, NULL}; return true;
    case PART_NAME: return named(s, x, result);
    case PART_UNARY: return negated(s, x, result);
    case PART_BINARY: return binary(s, x, result);
    case PART_TRANSPOSE: return transposed(s, x, result);
    case PART_CALL: return called(s, x, result);
    default: return assigned(s, x, result);
    }
}

ag_tensor *record(void *session_of, int n, ag_tensor *const x[]) {
    session *s = session_of;
    s->names = 0;
    ag_tape_seed(s->tape, s->seed); /* the same random numbers each time */
    for (int i = 0; i < n; i++) {
        memcpy(s->name[i].name, s->input[i].name, NAME_BYTES);
        s->name[s->names++].value = (operand){VALUE_TENSOR, 0, x[i]};
    }
    for (int i = 0; i < s->program.count; i++)
        if (!record_part(s, i)) return NULL;
    ag_tensor *y = NULL;
    int last = s->program.statement[s->program.statements - 1];
    return as_tensor(s, last, &y) ? y : NULL;
}
