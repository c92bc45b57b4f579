/* explain -- the parts of ag-explain: syntax.c parses a text into parts; record.c records them from inputs (inputs.c) by the
 * functions of a table (functions.c); explain.c reports as text, page.c and graph.c as a page; values.c is for both
 *
 * Invariant: whatever is wrong with what the user wrote becomes one complaint, the first, with its place. */
#ifndef EXAMPLES_EXPLAIN_H
#define EXAMPLES_EXPLAIN_H

#define AG_NO_LOCATION /* locations are columns of the expression, not lines of this program */
#include "autograd/autograd.h"

#include <stdio.h>

enum {
    MAX_TEXT = 16384, /* bytes of an argument */
    MAX_PARTS = 8192, /* of all arguments together */
    MAX_NESTING = 64, /* of parentheses, brackets, signs and powers */
    MAX_INPUTS = 32,
    MAX_NAMES = 256,       /* inputs and assignments */
    MAX_INPUT_SIZE = 4096, /* elements */
    MAX_SIZE = 65536,      /* elements of any result */
    MAX_SLOTS = 5,         /* parameters of a function */
    MAX_CONCAT = 16,
    NAME_BYTES = 64
};

/* ---- Complaints */

typedef struct complaint {
    char message[512]; /* "" if there is none */
    const char *text;  /* the argument with the error */
    size_t at;         /* the offset of the error in it */
} complaint;

/* Returns false. The first complaint stays. */
bool complain(complaint *c, const char *text, size_t at, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 4, 5)))
#endif
    ;

/* Prints the message, the text and a caret under the error. */
void print_complaint(FILE *file, const complaint *c);

/* Whether the text is UTF-8 and no longer than an argument may be. */
bool check_text(complaint *c, const char *text);

/* ---- Syntax */

typedef enum part_kind {
    PART_NUMBER,
    PART_NAME,
    PART_LIST,      /* [a, b] or (a, b) */
    PART_UNARY,     /* "-" */
    PART_BINARY,    /* "+", "**", "<=" and so on */
    PART_TRANSPOSE, /* a.T */
    PART_CALL,      /* name(a, key=b) */
    PART_ASSIGN     /* name = a */
} part_kind;

/* Children come before their parent, so a walk in order meets a part after its children. */
typedef struct part {
    part_kind kind;
    size_t at; /* of the operator, or the beginning */
    double number;
    char name[NAME_BYTES]; /* of a name, call or assignment; an operator */
    char key[NAME_BYTES];  /* of an argument with a name; "" without */
    size_t key_at;
    int first, next, count; /* the first child and the next sibling, or −1; the number of children */
} part;

typedef struct program {
    const char *text;
    part *parts; /* MAX_PARTS of them */
    int count;
    int statement[MAX_NAMES]; /* the part of each, in order */
    int statements;
    complaint *complaint;
} program;

/* Parses statements, or one expression from `at` to the end; `parts` are appended to. */
bool parse_program(program *p, const char *text);
int parse_expression(program *p, const char *text, size_t at); /* the part; −1 after a complaint */

/* The result of operator `name`, "+", "-", "*", "/" or "**", for two numbers. */
double arithmetic(const char *name, double a, double b);

/* The length of the name at the beginning of text; 0 if there is none. */
size_t name_length(const char *text);

/* ---- Inputs */

typedef struct input {
    const char *text; /* the argument */
    char name[NAME_BYTES];
    ag_shape shape;
    double *data;
    bool random;
} input;

/* Reads NAME=[EXTENTS], for random values, or NAME:VALUES. */
bool read_input(input *in, const char *text, program *scratch, uint64_t seed, int number);

/* Reads the numbers of a part: a number, or nested lists of them; `data` has room for `room` elements. */
bool literal(program *p, int part, ag_shape *shape, double *data, int64_t room);

/* ---- Functions and recording */

typedef enum value_kind { VALUE_NONE, VALUE_NUMBER, VALUE_TENSOR, VALUE_LIST } value_kind;

typedef struct operand {
    value_kind kind;
    double number;
    ag_tensor *tensor;
} operand;

typedef struct slot {
    bool given;
    ag_tensor *tensor;
    double number;
    int count; /* of whole numbers */
    int64_t whole[AG_MAX_RANK];
} slot;

typedef struct call {
    ag_tape *tape;
    slot slots[MAX_SLOTS];
    int more; /* tensors of concat */
    ag_tensor *tensors[MAX_CONCAT];
} call;

/* Parameters are words. A mark at the end says their kind: "#" a number, "%" whole numbers, one or a list, "!" True or
 * False, none a tensor; a "?" after it, that the parameter may be left out. "*" stands for any number of tensors. */
typedef struct function {
    const char *name;
    const char *parameters;
    ag_tensor *(*one)(ag_tensor *);
    ag_tensor *(*two)(ag_tensor *, ag_tensor *);
    ag_tensor *(*any)(const call *);
} function;

int function_count(void);
const function *function_at(int i);
const function *find_function(const char *name);
const char *nearest_function(const char *name); /* NULL if no name is near */
ag_tensor *call_function(const function *f, const call *c);

/* The recording of a program. Names with a value are in order, inputs first. */
typedef struct session {
    program program;
    complaint complaint;
    ag_tape *tape;
    uint64_t seed;
    int inputs;
    input input[MAX_INPUTS];
    ag_tensor *x[MAX_INPUTS];
    bool used[MAX_INPUTS];
    operand values[MAX_PARTS];
    /* The first operation that makes NaN or infinity of a number outside its domain, for the inputs as given. */
    struct {
        const ag_op *op; /* NULL: none does */
        int input, column;
        double number;
    } outside;
    int names;
    struct {
        char name[NAME_BYTES];
        operand value;
    } name[MAX_NAMES];
} session;

/* Records the program; returns the result of its last statement, nil after a complaint. An ag_function of a session. */
ag_tensor *record(void *session_of, int n, ag_tensor *const x[]);

/* Complains of the tape's error, at its column or, if it has none, at `at`. */
bool complain_of_tape(session *s, size_t at);

/* ---- Reports */

typedef struct report {
    session *s;
    ag_tensor *y;
    ag_tensor *ones; /* the cotangent of y */
    int named;       /* explained inputs and labelled values */
    ag_tensor *x[MAX_NAMES];
    ag_tensor *dx[MAX_NAMES];
    int depth;
    int order;
    const char *title;
    const char *said; /* the text about the example */
    ag_gradcheck_report check;
} report;

/* Prints elements as nested lists, the first `most` of them. */
void put_value(FILE *file, ag_tensor *x, int most);
void put_shape(FILE *file, const ag_tensor *x);

/* Prints text, escaped for HTML. */
void put_escaped(FILE *file, const char *text);

bool write_page(const report *r, const char *path);

/* Prints the graph as SVG, and a table of its nodes. */
void put_graph(FILE *file, const report *r);

/* Prints the paths of an explanation in JSON as nested lists that fold. */
void put_paths(FILE *file, const char *json);

#endif
