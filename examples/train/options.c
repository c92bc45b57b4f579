/* options -- the command line of ag-train: a table of options, and the help that teaches them */
#include "examples/train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: ag-train train MODEL DATA -o FILE [OPTION...]\n"
    "       ag-train evaluate FILE DATA [OPTION...]\n"
    "       ag-train predict FILE DATA [OPTION...]\n"
    "\n"
    "  ag-train train '64-128 bn relu-10' digits.csv -o digits.safetensors --html digits.html\n"
    "  ag-train evaluate digits.safetensors digits.csv\n"
    "  ag-train predict digits.safetensors digits.csv -o predictions.csv\n"
    "\n"
    "trains a network on the rows of a table, says how good a trained one is, and applies it to other rows. In the "
    "table\n"
    "of the example, examples/digits.csv, a row has 64 numbers, the pixels of a digit, and behind them the digit "
    "itself.\n"
    "\n"
    "the model: one line, what a sample passes through, with blanks or dashes in between\n"
    "  64  or  28x28x1      first: the number of inputs, or the shape of an image: rows x columns [x channels]\n"
    "  128                  each later number: a linear layer with so many features; the last one's are the outputs\n"
    "  relu tanh gelu sigmoid               activations\n"
    "  bn  ln               batch normalisation, layer normalisation\n"
    "  dropout 0.2          in training, sets a fifth of all features to 0\n"
    "  conv 3x3 16          convolution: windows of 3x3, 16 channels out, the image as large as before\n"
    "  pool 2  avgpool 2    the largest, or the mean, of each 2x2 pixels\n"
    "  flatten              an image as one row of numbers, for linear layers\n"
    "  lstm 64              reads an image row by row; its last state of 64 features\n"
    "  '28x28 conv 3x3 16 relu pool 2 conv 3x3 32 relu pool 2 flatten 10' is a small convolutional network.\n"
    "\n"
    "the target: what is to be predicted; it decides on the loss\n"
    "  several outputs and one target column: classes, whose names are what is in the column; cross-entropy\n"
    "  one output and a column of two words: two classes; binary cross-entropy\n"
    "  otherwise real numbers, as many columns as outputs; mean square error\n"
    "\n"
    "the data\n"
    "  CSV                  columns of numbers; the first line may hold their names. --target NAME[,NAME...] or their\n"
    "                       numbers, from 1 on; the last column by default. --inputs the same: all others by default;\n"
    "                       --ignore NAME[,NAME...] leaves columns out. --separator ';' or tab; --header, "
    "--no-header.\n"
    "                       A column of words is one input for each word, 1 where it stands, else 0: the model's "
    "first\n"
    "                       number counts them. --words NAME[,NAME...] are columns whose numbers are words\n"
    "  .npz .safetensors    arrays x and y, or those named by --inputs and --target; a sample a row\n"
    "  .npy IDX             one array, also packed by gzip; --labels FILE has the targets\n"
    "\n";

static const char help_options[] =
    "options of train\n"
    "  -o FILE              where the model goes: safetensors, which PyTorch and others read\n"
    "  --epochs N           passes through the data: 20            --batch N       samples in a step: 32\n"
    "  --optimiser NAME     adam, sgd, rmsprop                     --rate X        0.001; 0.01 for sgd\n"
    "  --momentum X         of sgd and rmsprop: 0.9, 0             --decay X       of the weights: 0\n"
    "  --schedule NAME      constant, cosine, one-cycle            --warmup N      steps in which the rate rises: 0\n"
    "  --clip X             the largest norm of all gradients      --loss NAME     cross-entropy, binary, hinge, mse\n"
    "  --validation X       the part of the data that is only judged by: 0.1\n"
    "  --patience N         ends after N epochs in which validation did not improve, and keeps the best weights\n"
    "  --seed N             of weights, order and validation: 1    --raw           inputs as they are, not "
    "standardised\n"
    "  --checkpoint NAME    the whole state after each epoch, in NAME.000001.safetensors and so on; the last two stay\n"
    "  --resume             go on from there, and come to the same bits\n"
    "  --log FILE           a line an epoch: .jsonl or .csv        --html FILE     a report: curves, metrics, "
    "gradients\n"
    "options of all\n"
    "  -o FILE              of predict: a CSV file; standard output by default\n"
    "  --probabilities      of predict: those of all classes       --threads N     as many as there are by default\n"
    "  --quiet              only complaints                        --help\n"
    "\n"
    "The exit status is 0; 1 for data or a file with a fault, and where training fails; 2 for a wrong command.\n";

typedef enum value_kind { FLAG, TEXT, WHOLE, REAL, CHOICE, SIGN } value_kind;

typedef struct known {
    const char *name;
    value_kind kind;
    size_t at;           /* of the field */
    double least, most;  /* of numbers; of a flag, the value that is set */
    const char *choices; /* separated by blanks, numbered from the least */
    bool trains;         /* only train has it */
} known;

#define AT(field) offsetof(options, field)

static const known all[] = {
    {"-o", TEXT, AT(output), 0, 0, NULL, false},
    {"--output", TEXT, AT(output), 0, 0, NULL, false},
    {"--target", TEXT, AT(target), 0, 0, NULL, false},
    {"--inputs", TEXT, AT(inputs), 0, 0, NULL, false},
    {"--ignore", TEXT, AT(ignore), 0, 0, NULL, false},
    {"--words", TEXT, AT(words), 0, 0, NULL, true},
    {"--labels", TEXT, AT(labels), 0, 0, NULL, false},
    {"--separator", SIGN, AT(separator), 0, 0, NULL, false},
    {"--header", CHOICE, AT(header), HEADER, 0, NULL, false},
    {"--no-header", CHOICE, AT(header), NO_HEADER, 0, NULL, false},
    {"--threads", WHOLE, AT(threads), 1, 1024, NULL, false},
    {"--quiet", FLAG, AT(quiet), 0, 0, NULL, false},
    {"--probabilities", FLAG, AT(probabilities), 0, 0, NULL, false},
    {"--epochs", WHOLE, AT(epochs), 1, 1000000, NULL, true},
    {"--batch", WHOLE, AT(batch), 1, 10000000, NULL, true},
    {"--optimiser", CHOICE, AT(optimiser), ADAM, 0, "adam sgd rmsprop", true},
    {"--rate", REAL, AT(rate), 0, 1e6, NULL, true},
    {"--momentum", REAL, AT(momentum), 0, 1, NULL, true},
    {"--decay", REAL, AT(decay), 0, 1e6, NULL, true},
    {"--schedule", CHOICE, AT(schedule), 0, 0, "constant cosine one-cycle", true},
    {"--warmup", WHOLE, AT(warmup), 0, 1000000000, NULL, true},
    {"--clip", REAL, AT(clip), 1e-30, 1e30, NULL, true},
    {"--loss", CHOICE, AT(loss), CROSS_ENTROPY, 0, "cross-entropy binary hinge mse", true},
    {"--validation", REAL, AT(validation), 0, 0.99, NULL, true},
    {"--patience", WHOLE, AT(patience), 1, 1000000, NULL, true},
    {"--seed", WHOLE, AT(seed), 0, 1000000000, NULL, true},
    {"--raw", FLAG, AT(raw), 0, 0, NULL, true},
    {"--checkpoint", TEXT, AT(checkpoint), 0, 0, NULL, true},
    {"--resume", FLAG, AT(resume), 0, 0, NULL, true},
    {"--log", TEXT, AT(log), 0, 0, NULL, true},
    {"--html", TEXT, AT(html), 0, 0, NULL, true},
};

static bool read_whole(const known *k, const char *value, long *to) {
    char *end;
    *to = strtol(value, &end, 10);
    bool good = strspn(value, "0123456789") == strlen(value) && strlen(value) < 12 && *value;
    if (good && (double)*to >= k->least && (double)*to <= k->most) return true;
    return misuse("%s %s: a whole number from %.0f to %.0f is wanted", k->name, shown(value), k->least, k->most);
}

static bool read_real(const known *k, const char *value, double *to) {
    if (is_number(value, to) && *to >= k->least && *to <= k->most) return true;
    return misuse("%s %s: a number from %g to %g is wanted", k->name, shown(value), k->least, k->most);
}

/* The number of a word in a list of them. */
static bool read_choice(const known *k, const char *value, int *to) {
    size_t n = strlen(value);
    int number = (int)k->least;
    for (const char *s = k->choices; *s; number++) {
        size_t length = strcspn(s, " ");
        if (length == n && strncmp(s, value, n) == 0) return *to = number, true;
        s += length + (s[length] == ' ');
    }
    return misuse("%s %s: one of these is wanted: %s", k->name, shown(value), k->choices);
}

static bool read_sign(const known *k, const char *value, char *to) {
    *to = strcmp(value, "tab") == 0 ? '\t' : *value;
    bool good = *to == '\t' || (*to && !value[1] && !strchr("\"\r\n.+-0123456789", *to) && (unsigned char)*to < 128);
    return good || misuse("%s %s: one character is wanted that is in no number, or tab", k->name, shown(value));
}

/* The schedules here are some of the library's. */
static void name_schedule(options *o) {
    static const ag_schedule_kind kinds[] = {AG_SCHEDULE_CONSTANT, AG_SCHEDULE_COSINE, AG_SCHEDULE_ONE_CYCLE};
    o->schedule = kinds[o->schedule];
}

static bool take(options *o, const known *k, const char *value) {
    void *to = (char *)o + k->at;
    switch (k->kind) {
    case FLAG: return *(bool *)to = true;
    case TEXT: *(const char **)to = value; return *value || misuse("%s needs a name", k->name);
    case WHOLE: return read_whole(k, value, to);
    case REAL: return read_real(k, value, to);
    case SIGN: return read_sign(k, value, to);
    case CHOICE: break;
    }
    if (!k->choices) return *(int *)to = (int)k->least, true;
    return read_choice(k, value, to);
}

static bool read_option(options *o, int argc, char **argv, int *i) {
    const char *name = argv[*i];
    for (size_t j = 0; j < sizeof all / sizeof *all; j++) {
        const known *k = &all[j];
        bool valued = k->kind != FLAG && (k->kind != CHOICE || k->choices);
        if (strcmp(name, k->name) != 0) continue;
        if (k->trains && o->command != TRAIN) return misuse("%s is an option of train alone", name);
        if (valued && *i + 1 == argc) return misuse("%s needs a value", name);
        return take(o, k, valued ? argv[++*i] : NULL);
    }
    return misuse("there is no option %s; --help lists them", shown(name));
}

static bool read_command(options *o, const char *name) {
    static const char *const names[] = {"train", "evaluate", "predict"};
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) return o->command = (command)i, true;
    return misuse("there is no command %s: train, evaluate or predict; --help says more", shown(name));
}

static void usual(options *o) {
    if (o->rate < 0) o->rate = o->optimiser == SGD ? 0.01 : 0.001;
    if (o->momentum < 0) o->momentum = o->optimiser == SGD ? 0.9 : 0;
}

static bool complete(options *o) {
    const char *first = o->command == TRAIN ? "a model, such as '64-128 relu-10'" : "a model's file";
    if (!o->model || !o->data) return misuse("%s is missing; --help says more", o->model ? "the data's file" : first);
    if (o->command == TRAIN && !o->output) return misuse("-o FILE is missing: where the trained model goes");
    if (o->command == EVALUATE && o->output) return misuse("evaluate prints its results: it has no -o");
    if (o->resume && !o->checkpoint) return misuse("--resume needs --checkpoint NAME, from which to go on");
    if (o->patience && o->validation <= 0) return misuse("--patience needs validation: --validation is 0");
    usual(o);
    name_schedule(o);
    return true;
}

/* The command comes first; an option is what begins with a dash and a letter or dash, up to "--". */
bool read_options(options *o, int argc, char **argv) {
    *o = (options){.rate = -1, .momentum = -1, .validation = 0.1, .epochs = 20, .batch = 32, .seed = 1};
    bool ended = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        bool option = !ended && word[0] == '-' && (word[1] == '-' || (word[1] | 0x20) >= 'a');
        if (!ended && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0))
            return fputs(help, stdout), fputs(help_options, stdout), false;
        if (!ended && strcmp(word, "--") == 0) ended = true;
        else if (i == 1) {
            if (!read_command(o, word)) return false;
        } else if (option) {
            if (!read_option(o, argc, argv, &i)) return false;
        } else if (!o->model) o->model = word;
        else if (!o->data) o->data = word;
        else return misuse("%s is one argument too many", shown(word));
    }
    if (argc < 2) return misuse("a command is missing: train, evaluate or predict; --help says more");
    return complete(o);
}
