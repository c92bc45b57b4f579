/* data -- samples from files: which columns are inputs and which targets, what classes there are, standardisation
 *
 * A description is made by the first reading, for training, and followed by later ones. Everything here is in the order
 * of the file. */
#include "examples/train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *loss_name(loss_kind loss) {
    static const char *const names[] = {"", "cross-entropy", "binary", "hinge", "mse"};
    return names[loss];
}

/* ---- Classes */

static bool has_classes(const description *d) { return d->loss != MSE; }

/* Numbers first, by value; then text. */
static int by_class(const void *a, const void *b) {
    const char *s = *(const char *const *)a, *t = *(const char *const *)b;
    double x = 0, y = 0;
    bool first = is_number(s, &x), second = is_number(t, &y);
    if (first != second) return first ? -1 : 1;
    return first && x != y ? (x > y) - (x < y) : strcmp(s, t);
}

static bool valid_class(const char *name) {
    for (const char *s = name; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 127) return false;
    return *name;
}

/* Sorts n texts, and keeps one of each; returns their number. */
static int64_t distinct(int64_t n, const char *cell[]) {
    int64_t count = 0;
    qsort(cell, (size_t)n, sizeof *cell, by_class);
    for (int64_t i = 0; i < n; i++)
        if (count == 0 || strcmp(cell[count - 1], cell[i]) != 0) cell[count++] = cell[i];
    return count;
}

static bool find_classes(description *d, int64_t n, const char *const cell[], int64_t outputs) {
    const char **sorted = memory(NULL, (size_t)n, sizeof *sorted);
    memcpy(sorted, cell, (size_t)n * sizeof *sorted);
    int64_t count = distinct(n, sorted), wanted = d->loss == BINARY ? 2 : outputs;
    if (count == wanted) {
        d->class = memory(NULL, (size_t)count, sizeof *d->class);
        for (; d->classes < count; d->classes++) d->class[d->classes] = copied(sorted[d->classes]);
    }
    bool valid = true;
    for (int64_t i = 0; i < count && valid; i++) valid = valid_class(sorted[i]);
    free(sorted);
    if (count == wanted)
        return valid || complain("the target has a class without a name, or one with control characters");
    return d->loss == BINARY ? complain("the target has %lld classes, and binary cross-entropy two", (long long)count)
                             : complain("the target has %lld classes, and the model %lld outputs: they must be as many",
                                        (long long)count, (long long)outputs);
}

/* Labels; `line` (may be NULL) is where each cell comes from. */
static bool find_labels(samples *s, const description *d, const char *path, const char *const cell[],
                        const int64_t *line) {
    s->label = memory(NULL, (size_t)s->count, sizeof *s->label);
    for (int64_t i = 0; i < s->count; i++) {
        char **found = bsearch(&cell[i], d->class, (size_t)d->classes, sizeof *d->class, by_class);
        if (!found)
            return complain("%s, %s %lld: \"%s\" is none of the model's classes", path, line ? "line" : "sample",
                            line ? (long long)line[i] : (long long)i + 1, shown(cell[i]));
        s->label[i] = found - d->class;
    }
    return true;
}

/* ---- Which columns */

typedef struct choice {
    int64_t inputs, targets;
    int64_t *input, *target; /* columns */
} choice;

static bool is_among(int64_t column, int64_t n, const int64_t *list) {
    for (int64_t i = 0; i < n; i++)
        if (list[i] == column) return true;
    return false;
}

/* The columns of a list like "age,weight", which is one of the options. */
static bool read_list(const table *t, const char *option, const char *list, int64_t *n, int64_t **column) {
    char *copy = copied(list), *name = copy;
    *column = memory(NULL, strlen(list) + 1, sizeof **column);
    for (bool more = true; more;) {
        char *comma = strchr(name, ',');
        more = comma;
        if (comma) *comma = 0;
        int64_t k = column_named(t, name);
        if (k < 0) complain("%s: there is no column %s for %s", t->path, shown(name), option);
        else if (is_among(k, *n, *column)) complain("%s: column %s is listed twice", option, shown(name));
        if (result() != 0) break;
        (*column)[(*n)++] = k;
        name = comma + 1;
    }
    free(copy);
    return result() == 0;
}

static bool choose_targets(choice *c, const table *t, const options *o) {
    if (o->target) return read_list(t, "--target", o->target, &c->targets, &c->target);
    c->target = memory(NULL, 1, sizeof *c->target);
    c->target[c->targets++] = t->columns - 1;
    return true;
}

static bool choose_inputs(choice *c, const table *t, const options *o) {
    int64_t ignored = 0, *ignore = NULL;
    if (o->inputs && !read_list(t, "--inputs", o->inputs, &c->inputs, &c->input)) return false;
    for (int64_t i = 0; i < c->inputs; i++)
        if (is_among(c->input[i], c->targets, c->target))
            return complain("%s: a column is input and target at once", t->path);
    if (o->inputs) return true;
    if (o->ignore && !read_list(t, "--ignore", o->ignore, &ignored, &ignore)) return false;
    c->input = memory(NULL, (size_t)t->columns, sizeof *c->input);
    for (int64_t k = 0; k < t->columns; k++)
        if (!is_among(k, c->targets, c->target) && !is_among(k, ignored, ignore)) c->input[c->inputs++] = k;
    free(ignore);
    return c->inputs > 0 || complain("%s: no column is left for the inputs", t->path);
}

/* ---- Columns of words */

enum { MOST_WORDS = 1000 };

static bool has_numbers(const table *t, int64_t column) {
    double value;
    for (int64_t i = 0; i < t->rows; i++)
        if (is_number(t->cell[i * t->columns + column], &value)) return true;
    return false;
}

/* The input that follows those there are: a column and, for one of words, a word. */
static void add_input(choice *c, description *d, int64_t column, const char *word) {
    c->input = memory(c->input, (size_t)c->inputs + 1, sizeof *c->input);
    d->word = memory(d->word, (size_t)c->inputs + 1, sizeof *d->word);
    c->input[c->inputs] = column;
    d->word[c->inputs++] = word ? copied(word) : NULL;
    d->input_names = c->inputs;
}

static bool add_words(choice *c, description *d, const table *t, int64_t column) {
    const char **cell = memory(NULL, (size_t)t->rows, sizeof *cell);
    for (int64_t i = 0; i < t->rows; i++) cell[i] = t->cell[i * t->columns + column];
    int64_t n = distinct(t->rows, cell);
    bool good =
        n <= MOST_WORDS || complain("%s, column %lld: %lld words, like \"%s\", of at most %d; --ignore leaves it out",
                                    t->path, (long long)column + 1, (long long)n, shown(cell[0]), MOST_WORDS);
    for (int64_t i = 0; i < n && good; i++) {
        good = valid_class(cell[i]) ||
               complain("%s, column %lld: a word is empty, or has control characters", t->path, (long long)column + 1);
        add_input(c, d, column, cell[i]);
    }
    free(cell);
    return good;
}

/* A column without any number has words: one with a few of them is more probably at fault. */
static bool expand(choice *c, description *d, const table *t, const options *o) {
    choice columns = *c;
    int64_t words = 0, *word = NULL;
    bool good = !o->words || read_list(t, "--words", o->words, &words, &word);
    c->inputs = 0;
    c->input = NULL;
    for (int64_t i = 0; i < columns.inputs && good; i++) {
        int64_t k = columns.input[i];
        if (is_among(k, words, word) || !has_numbers(t, k)) good = add_words(c, d, t, k);
        else add_input(c, d, k, NULL);
    }
    free(columns.input);
    free(word);
    return good;
}

/* Whether input i is of the same column as the one before. */
static bool continues_column(const description *d, int64_t i) {
    return i > 0 && d->word && d->word[i] && d->word[i - 1] && strcmp(d->input[i], d->input[i - 1]) == 0;
}

static int64_t columns_of(const description *d) {
    int64_t n = 0;
    for (int64_t i = 0; i < d->inputs; i++) n += !continues_column(d, i);
    return n;
}

/* The columns, which are in the model's order, once for each input. */
static void spread(choice *c, const description *d) {
    int64_t *input = memory(NULL, (size_t)d->inputs, sizeof *input);
    for (int64_t i = 0, k = -1; i < d->inputs; i++) {
        k += !continues_column(d, i);
        input[i] = c->input[k];
    }
    free(c->input);
    c->input = input;
    c->inputs = d->inputs;
}

/* ---- Columns of a model that is there */

/* Those of a model's names, in its order. */
static bool by_names(const table *t, int64_t n, char *const name[], int64_t *count, int64_t **column) {
    *column = memory(NULL, (size_t)n, sizeof **column);
    for (*count = 0; *count < n; ++*count) {
        int64_t k = -1;
        for (int64_t i = 0; i < t->columns && k < 0; i++)
            if (strcmp(t->names[i], name[*count]) == 0) k = i;
        if (k < 0)
            return complain("%s has no column \"%s\", which the model was trained with", t->path, shown(name[*count]));
        (*column)[*count] = k;
    }
    return true;
}

/* A model is followed by its columns' names, or, where there are none, by their order. */
static bool follow(choice *c, const table *t, const description *d, const options *o, bool with_target) {
    bool named = d->named && t->names && !o->inputs && !o->target;
    if (named && !by_names(t, d->inputs, d->input, &c->inputs, &c->input)) return false;
    if (named) return !with_target || by_names(t, d->targets, d->target, &c->targets, &c->target);
    int64_t columns = columns_of(d);
    if (with_target || o->target || t->columns != columns)
        if (!choose_targets(c, t, o)) return false;
    if (!choose_inputs(c, t, o)) return false;
    if (c->inputs != columns || (with_target && c->targets != d->targets))
        return complain("%s: %lld columns of inputs and %lld of targets, and the model has %lld and %lld", t->path,
                        (long long)c->inputs, (long long)c->targets, (long long)columns, (long long)d->targets);
    spread(c, d);
    return true;
}

static char **names_of(const table *t, int64_t n, const int64_t *column) {
    char **name = memory(NULL, (size_t)n, sizeof *name);
    for (int64_t i = 0; i < n; i++) {
        char number[32];
        snprintf(number, sizeof number, "%lld", (long long)column[i] + 1);
        name[i] = copied(t->names ? t->names[column[i]] : number);
        if (t->names && !valid_class(name[i]))
            complain("%s, column %lld: its name is empty, or has control characters", t->path,
                     (long long)column[i] + 1);
    }
    return name;
}

/* ---- Cells */

static bool take_number(const table *t, int64_t row, int64_t column, float *to) {
    const char *cell = t->cell[row * t->columns + column];
    double value = 0;
    bool number = is_number(cell, &value);
    *to = (float)value;
    if (number && isfinite(*to)) return true;
    char name[60] = "";
    if (t->names) snprintf(name, sizeof name, " (%s)", shown(t->names[column]));
    return complain("%s, line %lld, column %lld%s: %s%s%s is no number that f32 can hold%s", t->path,
                    (long long)t->line[row], (long long)column + 1, name, *cell ? "\"" : "",
                    *cell ? shown(cell) : "nothing", *cell ? "\"" : "",
                    number ? "" : "; --ignore leaves a column out, --target names what is predicted");
}

static bool take_numbers(const table *t, int64_t n, const int64_t *column, float **to) {
    *to = memory(NULL, (size_t)(t->rows * n), sizeof **to);
    for (int64_t i = 0; i < t->rows; i++)
        for (int64_t k = 0; k < n; k++)
            if (!take_number(t, i, column[k], *to + i * n + k)) return false;
    return true;
}

/* The cell of a column of words, from input k on; returns the first input of another column, −1 after a complaint. */
static int64_t take_word(const table *t, const description *d, int64_t row, int64_t column, int64_t k, float *to) {
    const char *cell = t->cell[row * t->columns + column];
    bool known = false;
    int64_t first = k;
    for (; k < d->inputs && (k == first || continues_column(d, k)); k++) {
        to[k] = strcmp(cell, d->word[k]) == 0;
        known = known || to[k] != 0;
    }
    if (known) return k;
    complain("%s, line %lld, column %lld: \"%s\" is none of the words that the model knows", t->path,
             (long long)t->line[row], (long long)column + 1, shown(cell));
    return -1;
}

static bool take_inputs(const table *t, const description *d, const int64_t *column, float **to) {
    *to = memory(NULL, (size_t)(t->rows * d->inputs), sizeof **to);
    for (int64_t i = 0; i < t->rows; i++)
        for (int64_t k = 0; k < d->inputs;) {
            float *x = *to + i * d->inputs;
            if (d->word && d->word[k]) k = take_word(t, d, i, column[k], k, x);
            else if (take_number(t, i, column[k], x + k)) k++;
            else return false;
            if (k < 0) return false;
        }
    return true;
}

static bool all_numbers(const table *t, int64_t column) {
    double value;
    for (int64_t i = 0; i < t->rows; i++)
        if (!is_number(t->cell[i * t->columns + column], &value)) return false;
    return true;
}

static loss_kind usual_loss(int64_t outputs, int64_t targets, bool numbers) {
    return targets == 1 && outputs > 1 ? CROSS_ENTROPY : targets == 1 && !numbers ? BINARY : MSE;
}

/* Whether loss, outputs and targets go together. */
static bool loss_fits(const description *d, int64_t outputs) {
    if (has_classes(d) && d->targets != 1)
        return complain("%s needs one target, and there are %lld", loss_name(d->loss), (long long)d->targets);
    if (d->loss == BINARY && outputs != 1)
        return complain("binary cross-entropy needs a model with one output, not %lld", (long long)outputs);
    if ((d->loss == CROSS_ENTROPY || d->loss == HINGE) && outputs < 2)
        return complain("%s needs a model with an output for each class, not one", loss_name(d->loss));
    if (d->loss == MSE && outputs != d->targets)
        return complain("the model has %lld outputs, and there are %lld targets", (long long)outputs,
                        (long long)d->targets);
    return true;
}

static bool take_targets(samples *s, description *d, const table *t, const choice *c, int64_t outputs, bool made) {
    if (!has_classes(d)) return take_numbers(t, c->targets, c->target, &s->y);
    const char **cell = memory(NULL, (size_t)t->rows, sizeof *cell);
    for (int64_t i = 0; i < t->rows; i++) cell[i] = t->cell[i * t->columns + c->target[0]];
    bool good = (!made || find_classes(d, t->rows, cell, outputs)) && find_labels(s, d, t->path, cell, t->line);
    free(cell);
    return good;
}

static bool describe(description *d, const table *t, const choice *c, const options *o, int64_t outputs) {
    d->inputs = d->statistics = c->inputs;
    d->targets = c->targets;
    d->named = t->names;
    d->target_names = c->targets;
    d->input = names_of(t, c->inputs, c->input);
    d->target = names_of(t, c->targets, c->target);
    d->loss = o->loss ? o->loss : usual_loss(outputs, c->targets, all_numbers(t, c->target[0]));
    return result() == 0 && loss_fits(d, outputs);
}

static bool from_table(samples *s, description *d, const options *o, bool with_target, int64_t outputs) {
    table t;
    choice c = {0};
    bool made = d->inputs == 0;
    bool good = read_table(&t, o) && (made ? choose_targets(&c, &t, o) && choose_inputs(&c, &t, o) &&
                                                 expand(&c, d, &t, o) && describe(d, &t, &c, o, outputs)
                                           : follow(&c, &t, d, o, with_target));
    if (good) {
        s->count = t.rows;
        s->inputs = c.inputs;
        s->targets = d->targets;
        good = take_inputs(&t, d, c.input, &s->x) && (!with_target || take_targets(s, d, &t, &c, outputs, made));
    }
    free(c.input);
    free(c.target);
    free(t.bytes);
    free(t.cell);
    free(t.line);
    free(t.names);
    return good;
}

/* ---- Files of tensors */

typedef enum file_kind { AS_TEXT, ONE_TENSOR, TENSORS } file_kind;

/* The first bytes decide, as in the library. */
static file_kind kind_of(const char *path) {
    unsigned char b[16] = {0};
    FILE *in = fopen(path, "rb");
    size_t n = in ? fread(b, 1, sizeof b, in) : 0;
    if (in) fclose(in);
    if (n < 4) return AS_TEXT;
    if (memcmp(b, "PK", 2) == 0 && b[2] < 9) return TENSORS;
    if (n > 8 && b[8] == '{' && b[6] == 0 && b[7] == 0) return TENSORS;
    return memcmp(b, "\x93NUMPY", 6) == 0 || memcmp(b, "\x1f\x8b", 2) == 0 || (b[0] == 0 && b[1] == 0) ? ONE_TENSOR
                                                                                                       : AS_TEXT;
}

static bool take_tensor(ag_tensor *x, const char *path, float **to) {
    int64_t n = ag_size(x);
    const float *value = ag_data(ag_dtype_of(x) == AG_F32 ? x : ag_cast(x, AG_F32));
    if (!value) return fine(ag_tape_of(x));
    *to = memory(NULL, (size_t)n, sizeof **to);
    memcpy(*to, value, (size_t)n * sizeof **to);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(value[i]))
            return complain("%s: sample %lld has a number that f32 cannot hold", path,
                            (long long)(i / (n / ag_extent(x, 0)) + 1));
    return true;
}

static ag_tensor *read_tensor(ag_tape *tape, const char *path, const char *name, const char *usual) {
    bool named = kind_of(path) == TENSORS;
    ag_tensor *x = ag_read(tape, path, named ? (name ? name : usual) : NULL, NULL);
    if (!fine(tape)) return NULL;
    if (ag_rank(x) >= 1 && ag_size(x) > 0) return x;
    complain("%s: a tensor with an axis of samples is wanted, and elements", path);
    return NULL;
}

static bool tensor_classes(samples *s, description *d, ag_tensor *y, const char *path, int64_t outputs, bool made) {
    char(*digits)[32] = memory(NULL, (size_t)s->count, sizeof *digits);
    const char **cell = memory(NULL, (size_t)s->count, sizeof *cell);
    for (int64_t i = 0; i < s->count; i++) {
        snprintf(digits[i], sizeof digits[i], "%.17g", ag_element(y, i));
        cell[i] = digits[i];
    }
    bool good = (!made || find_classes(d, s->count, cell, outputs)) && find_labels(s, d, path, cell, NULL);
    free(cell);
    free(digits);
    return good;
}

static bool describe_tensors(description *d, const samples *s, ag_tensor *y, const options *o, int64_t outputs) {
    d->inputs = s->inputs;
    d->statistics = s->shape.rank > 1 ? 1 : s->inputs;
    d->targets = ag_size(y) / ag_extent(y, 0);
    d->loss = o->loss ? o->loss : usual_loss(outputs, d->targets, true);
    return loss_fits(d, outputs);
}

static bool take_tensor_targets(samples *s, description *d, ag_tape *tape, const options *o, int64_t outputs) {
    bool made = d->inputs == 0;
    const char *path = o->labels ? o->labels : o->data;
    if (!o->labels && kind_of(path) != TENSORS)
        return complain("%s has one tensor: --labels FILE has the targets", path);
    ag_tensor *y = read_tensor(tape, path, o->target, "y");
    if (!y) return false;
    if (ag_extent(y, 0) != s->count)
        return complain("%s: %lld targets, and there are %lld samples", path, (long long)ag_extent(y, 0),
                        (long long)s->count);
    if (made && !describe_tensors(d, s, y, o, outputs)) return false;
    if (ag_size(y) / s->count != d->targets)
        return complain("%s: %lld targets a sample, and the model has %lld", path, (long long)(ag_size(y) / s->count),
                        (long long)d->targets);
    return has_classes(d) ? tensor_classes(s, d, y, path, outputs, made) : take_tensor(y, path, &s->y);
}

static bool from_tensors(samples *s, description *d, const options *o, bool with_target, int64_t outputs) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = read_tensor(tape, o->data, o->inputs, "x");
    bool good = x && take_tensor(x, o->data, &s->x);
    if (good) {
        ag_shape shape = ag_shape_of(x);
        s->count = shape.extent[0];
        s->inputs = ag_size(x) / s->count;
        s->shape.rank = shape.rank - 1;
        for (int i = 0; i < s->shape.rank; i++) s->shape.extent[i] = shape.extent[i + 1];
        if (with_target) good = take_tensor_targets(s, d, tape, o, outputs);
        s->targets = d->targets;
    }
    if (good && s->inputs != d->inputs)
        good = complain("%s: %lld numbers a sample, and the model has %lld inputs", o->data, (long long)s->inputs,
                        (long long)d->inputs);
    ag_tape_free(tape);
    return good;
}

bool read_samples(samples *s, description *d, const options *o, bool with_target, int64_t outputs) {
    *s = (samples){0};
    return kind_of(o->data) == AS_TEXT ? from_table(s, d, o, with_target, outputs)
                                       : from_tensors(s, d, o, with_target, outputs);
}

/* ---- Standardisation */

/* Mean and deviation of each of n columns, over these samples; a column that is constant has the scale 1. */
static void measure_columns(int64_t n, double *mean, double *scale, const float *x, int64_t count,
                            const int64_t *which) {
    for (int64_t k = 0; k < n; k++) mean[k] = scale[k] = 0;
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = 0; k < n; k++) mean[k] += x[which[i] * n + k];
    for (int64_t k = 0; k < n; k++) mean[k] /= (double)count;
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = 0; k < n; k++) scale[k] += pow(x[which[i] * n + k] - mean[k], 2);
    for (int64_t k = 0; k < n; k++) scale[k] = scale[k] > 0 ? sqrt(scale[k] / (double)count) : 1;
}

void measure(description *d, const samples *s, int64_t n, const int64_t *which) {
    double *mean = memory(NULL, (size_t)s->inputs, sizeof *mean),
           *scale = memory(NULL, (size_t)s->inputs, sizeof *scale);
    measure_columns(s->inputs, mean, scale, s->x, n, which);
    if (d->statistics == 1 && s->inputs > 1) { /* one for all: the variance within columns and between them */
        double all = 0, square = 0, inputs = (double)s->inputs;
        for (int64_t k = 0; k < s->inputs; k++) all += mean[k] / inputs;
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < s->inputs; k++) square += pow(s->x[which[i] * s->inputs + k] - all, 2);
        mean[0] = all;
        scale[0] = square > 0 ? sqrt(square / (inputs * (double)n)) : 1;
    }
    d->mean = mean;
    d->scale = scale;
    if (!s->y) return;
    d->target_mean = memory(NULL, (size_t)s->targets, sizeof *d->target_mean);
    d->target_scale = memory(NULL, (size_t)s->targets, sizeof *d->target_scale);
    measure_columns(s->targets, d->target_mean, d->target_scale, s->y, n, which);
}

void standardise(samples *s, const description *d) {
    for (int64_t i = 0; d->mean && d->statistics && i < s->count; i++)
        for (int64_t k = 0; k < s->inputs; k++) {
            int64_t of = d->statistics == 1 ? 0 : k;
            s->x[i * s->inputs + k] = (float)((s->x[i * s->inputs + k] - d->mean[of]) / d->scale[of]);
        }
    for (int64_t i = 0; s->y && d->target_mean && i < s->count; i++)
        for (int64_t k = 0; k < s->targets; k++)
            s->y[i * s->targets + k] = (float)((s->y[i * s->targets + k] - d->target_mean[k]) / d->target_scale[k]);
}

/* ---- Their end */

static void free_names(char **name, int64_t n) {
    for (int64_t i = 0; name && i < n; i++) free(name[i]);
    free(name);
}

void forget_description(description *d) {
    free_names(d->input, d->input_names);
    free_names(d->word, d->input_names);
    free_names(d->target, d->target_names);
    free_names(d->class, d->classes);
    free(d->model.bytes);
    free(d->mean);
    free(d->scale);
    free(d->target_mean);
    free(d->target_scale);
}

void forget_samples(samples *s) {
    free(s->x);
    free(s->y);
    free(s->label);
}
