/* words -- a table of learnt vectors, one for each word: the input itself is learnt
 *
 *     words [OUTDIR]
 *
 * The text is sentences such as "dog and cat are animals" and "dog and hammer are things". A network sees the first
 * four words and must predict the fifth. It is tested on pairs that were not in its text: to get those right it must
 * have learnt which words are alike. Each word is a row of a table (an embedding) with two numbers; words.svg shows
 * the learnt rows. docs/learn/5-classifier.md explains the gradient: rows are gathered, so it scatters back, and
 * adds. */
#define _POSIX_C_SOURCE 200809L /* mkdir */
#include <autograd/autograd.h>
#include <errno.h>
#include <math.h>
#include <nn/nn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "examples/data.h"
#include "examples/plot.h"
#include "examples/show.h"

enum { KINDS = 4, EACH = 6, NOUNS = KINDS * EACH, LENGTH = 5, CONTEXT = LENGTH - 1 };

static const char *const nouns[KINDS][EACH] = {{"dog", "cat", "horse", "cow", "sheep", "goat"},
                                               {"apple", "pear", "plum", "cherry", "grape", "lemon"},
                                               {"hammer", "saw", "drill", "axe", "chisel", "pliers"},
                                               {"red", "green", "blue", "yellow", "white", "black"}};
static const char *const names[KINDS] = {"animals", "fruits", "tools", "colours"};

/* ---- The text, and its words as numbers ---- */

enum { SENTENCES = 2 * KINDS * EACH * (EACH - 1), TRAINING = SENTENCES * 3 / 4, HELD_OUT = SENTENCES - TRAINING };
enum { MOST_WORDS = 40, LINE = 64 };

typedef struct vocabulary {
    int count;
    char word[MOST_WORDS][12];
} vocabulary;

static int64_t number_of(vocabulary *v, const char *word) {
    int i = 0;
    while (i < v->count && strcmp(v->word[i], word) != 0) i++;
    if (i == v->count) snprintf(v->word[v->count++], sizeof v->word[0], "%s", word);
    return i;
}

static const char *noun(int64_t i) { return nouns[i / EACH % KINDS][i % EACH]; }

/* Every pair of one kind, and as many pairs of two kinds, each once. */
static void write_text(char text[SENTENCES][LINE]) {
    uint64_t state = 5;
    int n = 0;
    for (int i = 0; i < NOUNS; i++) {
        int kind = i / EACH;
        int64_t start = random_below(NOUNS - EACH, &state); /* among the nouns of other kinds, which follow its own */
        for (int j = 0; j < EACH; j++) {
            int like = kind * EACH + j;
            int64_t other = (kind + 1) * EACH + (start + 7 * j) % (NOUNS - EACH);
            if (like == i) continue;
            snprintf(text[n++], LINE, "%s and %s are %s", noun(i), noun(like), names[kind]);
            snprintf(text[n++], LINE, "%s and %s are things", noun(i), noun(other));
        }
    }
}

/* The sentences in random order, as numbers. */
static void read_text(char text[SENTENCES][LINE], vocabulary *v, int64_t sentence[SENTENCES][LENGTH]) {
    int64_t order[SENTENCES];
    uint64_t state = 6;
    for (int i = 0; i < SENTENCES; i++) order[i] = i;
    shuffle(SENTENCES, order, &state);
    for (int i = 0; i < SENTENCES; i++) {
        int n = 0;
        for (char *word = strtok(text[order[i]], " "); word && n < LENGTH; word = strtok(NULL, " "))
            sentence[i][n++] = number_of(v, word);
    }
}

/* ---- The model ---- */

enum { DIMENSIONS = 2, NEURONS = 32, PARAMETERS = 5, STEPS = 600 };

typedef struct model {
    ag_embedding table;
    ag_linear hidden, output;
} model;

/* (N,4) of words -> (N,V): a score for each word to come next. */
static ag_tensor *scores_of(const model *m, ag_tensor *words) {
    ag_tensor *rows = ag_embedding_apply(&m->table, words);                                    /* N 4 2 */
    ag_tensor *joined = ag_reshape(rows, AG_SHAPE(ag_extent(words, 0), CONTEXT * DIMENSIONS)); /* N 8 */
    return ag_linear_apply(&m->output, ag_tanh(ag_linear_apply(&m->hidden, joined)));
}

typedef struct text_part {
    ag_tensor *words, *next; /* (N,4) and (N) */
} text_part;

static text_part part_of(ag_tape *tape, int64_t n, int64_t sentence[][LENGTH]) {
    ag_tensor *all = ag_from(tape, AG_I64, AG_SHAPE(n, LENGTH), sentence);
    return (text_part){ag_slice(all, 1, 0, CONTEXT, 1), ag_squeeze(ag_slice(all, 1, CONTEXT, LENGTH, 1), AG_AXES(1))};
}

static void train(model *m, ag_tape *tape, text_part text, int words) {
    ag_slot slots[PARAMETERS];
    ag_adam adam;
    ag_embedding_init(&m->table, tape, AG_F64, words, DIMENSIONS);
    m->table.weight = ag_parameter_from(ag_scale(m->table.weight, 0.1)); /* all words begin nearly alike */
    ag_linear_init(&m->hidden, tape, AG_F64, CONTEXT * DIMENSIONS, NEURONS);
    ag_linear_init(&m->output, tape, AG_F64, NEURONS, words);
    ag_tensor *p[] = {m->table.weight, m->hidden.weight, m->hidden.bias, m->output.weight, m->output.bias};
    ag_adam_init(&adam, PARAMETERS, p, slots);
    adam.decay = 0.1; /* pulls rows together that need not differ */
    ag_mark mark = ag_tape_mark(tape);
    for (int i = 0; i <= STEPS && ag_tape_status(tape) == AG_OK; i++, ag_tape_rewind(tape, mark)) {
        ag_tensor *loss = ag_cross_entropy(scores_of(m, text.words), text.next), *d[PARAMETERS];
        ag_grad(loss, PARAMETERS, p, d);
        adam.rate = 0.03 * (1 - (double)i / (STEPS + 1));
        ag_adam_step(&adam, d);
        double value = ag_item(loss);
        if (i % (STEPS / 4) == 0) printf("step %3d   loss %.2f\n", i, value);
    }
}

/* ---- The result ---- */

/* The share of the most frequent answer: the accuracy without looking at the words. */
static double baseline(int64_t n, int64_t sentence[][LENGTH], int words) {
    int times[MOST_WORDS] = {0}, most = 0;
    for (int64_t i = 0; i < n; i++) times[sentence[i][CONTEXT]]++;
    for (int i = 0; i < words; i++) most = times[i] > most ? times[i] : most;
    return (double)most / (double)n;
}

static double distance(const double *row, int64_t a, int64_t b) {
    double dx = row[2 * a] - row[2 * b], dy = row[2 * a + 1] - row[2 * b + 1];
    return sqrt(dx * dx + dy * dy);
}

/* How many nouns have one of their own kind as the nearest noun. */
static int with_their_like(const double *row, vocabulary *v) {
    int count = 0;
    for (int i = 0; i < NOUNS; i++) {
        int64_t word = number_of(v, noun(i));
        double least = INFINITY;
        int nearest = i;
        for (int j = 0; j < NOUNS; j++) {
            double d = j == i ? INFINITY : distance(row, word, number_of(v, noun(j)));
            if (d < least) least = d, nearest = j;
        }
        count += nearest / EACH == i / EACH;
    }
    return count;
}

static bool draw(const char *folder, const double *row, vocabulary *v) {
    double x[KINDS][EACH + 1], y[KINDS][EACH + 1];
    plot_line line[KINDS];
    char path[4096];
    for (int k = 0; k < KINDS; k++) {
        for (int i = 0; i <= EACH; i++) { /* from word to word, and back to the first */
            int64_t word = number_of(v, nouns[k][i % EACH]);
            x[k][i] = row[2 * word], y[k][i] = row[2 * word + 1];
        }
        line[k] = (plot_line){names[k], EACH + 1, x[k], y[k]};
    }
    plot_panel panel = {.title = "the table's rows, joined by kind", .lines = KINDS, .line = line, .x_label = ""};
    snprintf(path, sizeof path, "%s/words.svg", folder);
    return (mkdir(folder, 0777) == 0 || errno == EEXIST) && plot_write(path, "What words are alike", 1, &panel);
}

int main(int count, char *arguments[]) {
    static char text[SENTENCES][LINE];
    static int64_t sentence[SENTENCES][LENGTH];
    static vocabulary v;
    model m;
    ag_tape *tape = ag_tape_new();
    ag_tape_set_threads(tape, 1); /* the matrices are small */
    write_text(text);
    printf("== The text\n%s\n%s\n…\n", text[0], text[1]);
    read_text(text, &v, sentence);
    printf("%d sentences to learn from, %d others to be judged by, %d words\n\n== Training\n", TRAINING, HELD_OUT,
           v.count);
    text_part training = part_of(tape, TRAINING, sentence), held_out = part_of(tape, HELD_OUT, sentence + TRAINING);
    train(&m, tape, training, v.count);
    double guess = baseline(HELD_OUT, sentence + TRAINING, v.count);
    double score = ag_item(ag_accuracy(scores_of(&m, held_out.words), held_out.next));
    const double *row = ag_data(m.table.weight);
    printf("held out   %.1f %%, where always the same word would have %.1f %%\n", 100 * score, 100 * guess);
    show_fact(score >= 0.95 && guess < 0.6, "At least 95 % of the new sentences are completed rightly");
    if (row)
        printf("%d of %d nouns have one of their kind as their nearest neighbour\n", with_their_like(row, &v), NOUNS);
    if (count > 1 && row) show_fact(draw(arguments[1], row, &v), "\nA picture was written");
    int result = show_result(tape);
    ag_tape_free(tape);
    return result;
}
