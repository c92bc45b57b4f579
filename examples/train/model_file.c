/* model_file -- a trained model as one safetensors file
 *
 * Besides the weights and running statistics, under their labels, it holds
 *
 *     description     i64 (n)    a text, a byte an element: lines of a word and its value
 *     input.mean      f64 (n)    and input.scale, target.mean, target.scale: what samples were standardised by
 *
 * The file is not trusted: whatever it says is checked as a command's words are. */
#include "examples/train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char first_line[] = "ag-train 1\n";
enum { LONGEST_DESCRIPTION = 1 << 26 };

/* ---- Saving */

static void describe(const description *d, text *t) {
    put(t, "%smodel %s\nloss %s\ninputs %lld\ntargets %lld\n", first_line, d->model.bytes, loss_name(d->loss),
        (long long)d->inputs, (long long)d->targets);
    put(t, "header %s\n", d->named ? "yes" : "no");
    for (int64_t i = 0; i < d->input_names; i++)
        if (d->word[i]) put(t, "word %s\t%s\n", d->input[i], d->word[i]);
        else put(t, "input %s\n", d->input[i]);
    for (int64_t i = 0; i < d->target_names; i++) put(t, "target %s\n", d->target[i]);
    for (int64_t i = 0; i < d->classes; i++) put(t, "class %s\n", d->class[i]);
}

static ag_tensor *text_tensor(ag_tape *tape, const text *t) {
    int64_t *number = memory(NULL, t->used, sizeof *number);
    for (size_t i = 0; i < t->used; i++) number[i] = (unsigned char)t->bytes[i];
    ag_tensor *x = ag_from(tape, AG_I64, AG_SHAPE((int64_t)t->used), number);
    free(number);
    return ag_label(x, "description");
}

static int add_numbers(ag_tape *tape, ag_tensor *x[], int n, const char *name, int64_t count, const double *number) {
    if (!number) return n;
    x[n] = ag_label(ag_from(tape, AG_F64, AG_SHAPE(count), number), name);
    return n + 1;
}

bool save_model(const description *d, ag_tape *tape, const char *path) {
    ag_list weights = ag_state(tape, "layer");
    ag_tensor **x = memory(NULL, (size_t)weights.n + 5, sizeof(ag_tensor *));
    text t = {0};
    int n = 0;
    describe(d, &t);
    x[n++] = text_tensor(tape, &t);
    n = add_numbers(tape, x, n, "input.mean", d->statistics, d->statistics ? d->mean : NULL);
    n = add_numbers(tape, x, n, "input.scale", d->statistics, d->statistics ? d->scale : NULL);
    n = add_numbers(tape, x, n, "target.mean", d->targets, d->target_mean);
    n = add_numbers(tape, x, n, "target.scale", d->targets, d->target_scale);
    for (int i = 0; i < weights.n; i++) x[n++] = weights.x[i];
    ag_save(path, n, x, &(ag_save_options){.format = AG_FORMAT_SAFETENSORS});
    free(x);
    free(t.bytes);
    return fine(tape);
}

/* ---- Loading */

/* Whether the line begins with the word; *value is what follows. */
static bool is_line(char *line, const char *word, char **value) {
    size_t n = strlen(word);
    if (strncmp(line, word, n) != 0 || line[n] != ' ') return false;
    *value = line + n + 1;
    return true;
}

static void add_name(char ***list, int64_t *n, char *value) {
    *list = memory(*list, (size_t)*n + 1, sizeof **list);
    (*list)[(*n)++] = copied(value);
}

static bool whole(const char *value, int64_t *to) {
    *to = strlen(value) < 10 ? strtoll(value, NULL, 10) : -1;
    return *to >= 1 && strspn(value, "0123456789") == strlen(value);
}

/* `word` is NULL for a column of numbers. */
static bool add_input(description *d, char *name, const char *word) {
    int64_t words = d->input_names;
    add_name(&d->input, &d->input_names, name);
    d->word = memory(d->word, (size_t)words + 1, sizeof *d->word);
    d->word[words] = word ? copied(word) : NULL;
    return true;
}

static bool take_word(description *d, char *value) {
    char *tab = strchr(value, '\t');
    if (!tab) return false;
    *tab = 0;
    return add_input(d, value, tab + 1);
}

static bool take_line(description *d, char *line) {
    char *value;
    if (is_line(line, "model", &value) && !d->model.bytes) return put(&d->model, "%s", value), true;
    if (is_line(line, "inputs", &value)) return whole(value, &d->inputs);
    if (is_line(line, "targets", &value)) return whole(value, &d->targets);
    if (is_line(line, "input", &value)) return add_input(d, value, NULL);
    if (is_line(line, "word", &value)) return take_word(d, value);
    if (is_line(line, "header", &value)) return d->named = strcmp(value, "yes") == 0, true;
    if (is_line(line, "target", &value)) return add_name(&d->target, &d->target_names, value), true;
    if (is_line(line, "class", &value)) return add_name(&d->class, &d->classes, value), true;
    if (!is_line(line, "loss", &value)) return false;
    for (loss_kind k = CROSS_ENTROPY; k <= MSE; k++)
        if (strcmp(value, loss_name(k)) == 0) d->loss = k;
    return d->loss != BY_TARGET;
}

static int64_t classes_wanted(const description *d, int64_t outputs) {
    return d->loss == MSE ? 0 : d->loss == BINARY ? 2 : outputs;
}

static bool read_description(description *d, char *line) {
    if (strncmp(line, first_line, sizeof first_line - 1) != 0) return false;
    for (line += sizeof first_line - 1; *line;) {
        char *end = strchr(line, '\n');
        if (!end) return false;
        *end = 0;
        if (!take_line(d, line)) return false;
        line = end + 1;
    }
    bool none = d->input_names == 0 && d->target_names == 0 && !d->named; /* a model of tensors */
    bool named = none || (d->input_names == d->inputs && d->target_names == d->targets);
    return d->model.bytes && d->loss && d->inputs && d->targets && named;
}

static char *description_text(ag_tensor *x) {
    if (ag_dtype_of(x) != AG_I64 || ag_size(x) > LONGEST_DESCRIPTION) return NULL;
    const int64_t *number = ag_data(x);
    char *s = memory(NULL, (size_t)ag_size(x) + 1, 1);
    bool good = number;
    for (int64_t i = 0; good && i < ag_size(x); i++) {
        good = number[i] >= ' ' || number[i] == '\n' || number[i] == '\t';
        good = good && number[i] < 256 && number[i] != 127;
        s[i] = (char)number[i];
    }
    s[ag_size(x)] = 0;
    return good ? s : (free(s), NULL);
}

/* n finite numbers, if the file has the name; scales are over 0. */
static bool take_numbers(int count, ag_tensor *const x[], const char *name, bool positive, int64_t n, double **to) {
    for (int i = 0; i < count; i++) {
        if (strcmp(ag_label_of(x[i]), name) != 0) continue;
        if (ag_size(x[i]) != n || ag_dtype_of(x[i]) != AG_F64) return false;
        *to = memory(*to, (size_t)n, sizeof **to);
        for (int64_t k = 0; k < n; k++) {
            (*to)[k] = ag_element(x[i], k);
            if (!isfinite((*to)[k]) || (positive && (*to)[k] <= 0)) return false;
        }
    }
    return true;
}

static bool take_statistics(description *d, int n, ag_tensor *const x[]) {
    d->statistics = d->inputs;
    for (int i = 0; i < n; i++)
        if (strcmp(ag_label_of(x[i]), "input.mean") == 0 && ag_size(x[i]) == 1) d->statistics = 1;
    return take_numbers(n, x, "input.mean", false, d->statistics, &d->mean) &&
           take_numbers(n, x, "input.scale", true, d->statistics, &d->scale) &&
           take_numbers(n, x, "target.mean", false, d->targets, &d->target_mean) &&
           take_numbers(n, x, "target.scale", true, d->targets, &d->target_scale) && !d->mean == !d->scale &&
           !d->target_mean == !d->target_scale;
}

static bool take_all(description *d, int n, ag_tensor *const x[]) {
    for (int i = 0; i < n; i++) {
        char *s = strcmp(ag_label_of(x[i]), "description") == 0 ? description_text(x[i]) : NULL;
        if (!s) continue;
        bool good = read_description(d, s) && take_statistics(d, n, x);
        free(s);
        return good;
    }
    return false;
}

static bool read_all(description *d, const char *path) {
    ag_tape *tape = ag_tape_new();
    int n = ag_read_all(tape, path, NULL, 0, NULL);
    ag_tensor **x = memory(NULL, (size_t)n, sizeof(ag_tensor *));
    if (n > 0) n = ag_read_all(tape, path, NULL, n, x);
    bool good = fine(tape) && (take_all(d, n, x) || complain("%s was not written by ag-train, or is damaged", path));
    free(x);
    ag_tape_free(tape);
    return good;
}

bool load_model(model *m, description *d, ag_tape *tape, const char *path) {
    if (!read_all(d, path) || !parse_model(m, d->model.bytes, path)) return false;
    bool fits = m->inputs == d->inputs && d->classes == classes_wanted(d, m->outputs) &&
                (d->loss != MSE || m->outputs == d->targets) && (d->loss == MSE || d->targets == 1) &&
                (d->loss != BINARY || m->outputs == 1);
    if (!fits) return complain("%s is damaged: its description contradicts itself", path);
    if (!build_model(m, tape)) return false;
    ag_list weights = ag_state(tape, "layer");
    ag_load(path, weights.n, weights.x, &(ag_load_options){.allow_unexpected = true}, NULL);
    return fine(tape);
}
