/* save -- tensors into a file, by name */
#include "autograd/tape/file.h"
#include "autograd/tape/op.h"
#include "io/formats.h"
#include "io/io.h"
#include "io/names.h"

static ag_format format_of(const char *path) {
    return ag__ends_in(path, ".safetensors") ? AG_FORMAT_SAFETENSORS
           : ag__ends_in(path, ".npz")       ? AG_FORMAT_NPZ
           : ag__ends_in(path, ".npy")       ? AG_FORMAT_NPY
                                             : AG_FORMAT_BY_NAME;
}

static bool refuse(ag_tape *tape, const char *problem) {
    ag__fail_on(tape, "save", AG_ERR_RANGE, "%s", problem);
    return false;
}

static bool choose(ag_tape *tape, const char *path, int n, const ag_save_options *how, ag_format *format) {
    *format = how->format == AG_FORMAT_BY_NAME ? format_of(path) : how->format;
    if (*format == AG_FORMAT_BY_NAME)
        return refuse(tape, "the path must end in .safetensors, .npz or .npy, or the options name the format");
    if ((unsigned)*format > AG_FORMAT_NPY) return refuse(tape, "the format is invalid");
    if (*format == AG_FORMAT_NPY && n != 1) return refuse(tape, "a .npy file holds one tensor");
    if (how->compress && *format != AG_FORMAT_NPZ) return refuse(tape, "only .npz files are packed");
    return true;
}

static bool names_valid(ag_tape *tape, const ag__names *names, ag_format format) {
    if (format == AG_FORMAT_SAFETENSORS && ag__names_have(names, AG__METADATA))
        return refuse(tape, "a tensor in safetensors must not have the name " AG__METADATA);
    return true;
}

typedef struct content {
    ag__saving saving;
    void (*write)(ag__saving *s, ag__output *o);
} content;

static void fill(FILE *file, void *context) {
    content *c = context;
    ag__output o = {.file = file};
    c->write(&c->saving, &o);
}

/* Allocates the packer before anything is written. */
static bool write_file(content *c, const char *path) {
    ag__saving *s = &c->saving;
    size_t bytes = ag__times((uint64_t)s->n, sizeof *s->zipped);
    s->zipped = ag__resize(s->tape, NULL, 0, bytes);
    if (!s->zipped) ag__fail_on(s->tape, "save", AG_ERR_MEMORY, "out of memory (a list of %d tensors)", s->n);
    if (s->zipped && s->compress) s->deflater = ag__deflater_new(s->tape, "save");
    bool good = ag_tape_status(s->tape) == AG_OK && ag__write_file(s->tape, "save", path, fill, c);
    ag__deflater_free(s->deflater);
    if (s->zipped) ag__resize(s->tape, s->zipped, bytes, 0);
    return good;
}

static void save(const char *path, int n, ag_tensor *const x[], const ag_save_options *options) {
    ag_save_options how = options ? *options : (ag_save_options){.format = AG_FORMAT_BY_NAME};
    ag_tensor *nil;
    ag_format format;
    ag__names names = {.n = 0};
    if (!ag__inputs_usable("save", n, x, &nil)) return;
    ag_tape *tape = ag_tape_of(x[0]);
    if (!choose(tape, path, n, &how, &format)) return;
    bool named = format == AG_FORMAT_NPY ||
                 (ag__names_take(&names, tape, "save", n, x, how.names) && names_valid(tape, &names, format));
    if (named && ag_eval_all(n, x) == AG_OK) {
        content c = {.saving = {.tape = tape, .n = n, .x = x, .name = names.name, .compress = how.compress},
                     .write = format == AG_FORMAT_NPY   ? ag__npy_write
                              : format == AG_FORMAT_NPZ ? ag__zip_write
                                                        : ag__safetensors_write};
        write_file(&c, path);
    }
    ag__names_release(&names);
}

static ag_tape *tape_of_any(int n, ag_tensor *const x[]) {
    for (int i = 0; i < n; i++)
        if (ag_tape_of(x[i])) return ag_tape_of(x[i]);
    return NULL;
}

ag_status ag_save(const char *path, int n, ag_tensor *const x[], const ag_save_options *options) {
    int line;
    const char *file = ag__here_file(&line);
    ag_tape *tape = x ? tape_of_any(n, x) : NULL;
    if (!path || !x) ag__fail_on(tape, "save", AG_ERR_NULL, "the %s is NULL", path ? "list of tensors" : "path");
    else if (n < 1) ag__fail_on(NULL, "save", AG_ERR_RANGE, "the number of tensors is %d: at least 1 is wanted", n);
    else save(path, n, x, options);
    return ag__leave(tape, file, line);
}
