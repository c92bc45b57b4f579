/* png -- PNG images by libpng, the only file that knows it
 *
 * libpng leaves a function by longjmp when it fails: so whatever must be freed is in a struct of the caller's, and the
 * function that calls setjmp has no variables of its own. */
#include "autograd/tape/op.h"
#include "io/image.h"

#if AG_HAVE_PNG
#include <png.h>
#include <setjmp.h>

typedef struct session {
    ag_tape *tape;
    png_structp png;
    png_infop info;
    ag__image *image;
    ag__input *in; /* reading */
    uint64_t at;
    const ag__image *from; /* writing */
    FILE *file;
} session;

static png_voidp take(png_structp png, png_alloc_size_t bytes) {
    ag_tape *tape = png_get_mem_ptr(png);
    void *p = ag__allocate_sized(tape, bytes);
    const session *s = png_get_error_ptr(png);
    if (!p)
        ag__fail_on(tape, s->in ? "image_read" : "image_write", AG_ERR_MEMORY, "out of memory (%zu bytes for libpng)",
                    (size_t)bytes);
    return p;
}

static void give_back(png_structp png, png_voidp p) { ag__free_sized(png_get_mem_ptr(png), p); }

/* Its text is the error's, unless reading or writing has raised one. */
static void fail(png_structp png, png_const_charp why) {
    const session *s = png_get_error_ptr(png);
    if (ag_tape_status(s->tape) == AG_OK && s->in) ag__input_wrong(s->in, "libpng: %s", why);
    else if (ag_tape_status(s->tape) == AG_OK) ag__fail_on(s->tape, "image_write", AG_ERR_FILE, "libpng: %s", why);
    png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp warning) { (void)png, (void)warning; }

/* ---- Reading ---- */

static void pull(png_structp png, png_bytep to, size_t bytes) {
    session *s = png_get_io_ptr(png);
    if (!ag__input_read(s->in, s->at, to, bytes)) png_error(png, "cannot read");
    s->at += bytes;
}

/* Whether the file can unpack to so many rows: DEFLATE writes at most 258 bytes for 2 bits. libpng is about to allocate
 * rows, and as samples of one bit become bytes, the image has at most 8 times as many bytes, or 32 with a palette. */
static bool can_be(session *s) {
    uint64_t row = png_get_rowbytes(s->png, s->info), height = png_get_image_height(s->png, s->info);
    uint64_t most = s->in->size > UINT64_MAX / 1032 ? UINT64_MAX : s->in->size * 1032;
    return height <= most / (row ? row : 1) ||
           ag__input_wrong(s->in, "its %llu rows of %llu bytes are more than the file can unpack to",
                           (unsigned long long)height, (unsigned long long)row);
}

/* Palettes become colours, narrow samples 8 bits, and a transparent colour an alpha channel. */
static bool read_opening(session *s) {
    png_set_user_limits(s->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_read_fn(s->png, s, pull);
    png_read_info(s->png, s->info);
    if (!can_be(s)) return false;
    png_set_expand(s->png);
    png_set_interlace_handling(s->png);
    png_read_update_info(s->png, s->info);
    s->image->height = png_get_image_height(s->png, s->info);
    s->image->width = png_get_image_width(s->png, s->info);
    s->image->channels = png_get_channels(s->png, s->info);
    s->image->wide = png_get_bit_depth(s->png, s->info) == 16;
    s->image->most = s->image->wide ? 65535 : 255;
    return true;
}

/* Interlaced rows come in several passes. */
static void read_rows(session *s) {
    size_t row = s->image->bytes / (size_t)s->image->height;
    int passes = png_get_interlace_type(s->png, s->info) == PNG_INTERLACE_NONE ? 1 : PNG_INTERLACE_ADAM7_PASSES;
    for (int pass = 0; pass < passes; pass++)
        for (int64_t y = 0; y < s->image->height; y++) png_read_row(s->png, s->image->sample + (size_t)y * row, NULL);
    png_read_end(s->png, NULL);
}

static bool read_png(session *s) {
    if (setjmp(png_jmpbuf(s->png))) return false;
    if (!read_opening(s) || !ag__image_open(s->image, s->in, UINT64_MAX)) return false;
    read_rows(s);
    return true;
}

bool ag__png_read(ag__image *image, ag__input *in) {
    session s = {.tape = in->tape, .image = image, .in = in};
    s.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &s, fail, ignore, in->tape, take, give_back);
    s.info = s.png ? png_create_info_struct(s.png) : NULL;
    bool good = s.info && read_png(&s) && ag_tape_status(in->tape) == AG_OK;
    if (s.png) png_destroy_read_struct(&s.png, &s.info, NULL);
    return good;
}

/* ---- Writing ---- */

static void push(png_structp png, png_bytep from, size_t bytes) {
    const session *s = png_get_io_ptr(png);
    if (fwrite(from, 1, bytes, s->file) != bytes) png_error(png, "cannot write");
}

static void flush(png_structp png) { (void)png; }

static void write_rows(session *s) {
    static const int types[] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                PNG_COLOR_TYPE_RGB_ALPHA};
    const ag__image *image = s->from;
    size_t row = image->bytes / (size_t)image->height;
    png_set_write_fn(s->png, s, push, flush);
    png_set_IHDR(s->png, s->info, (png_uint_32)image->width, (png_uint_32)image->height, image->wide ? 16 : 8,
                 types[image->channels], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(s->png, s->info);
    for (int64_t y = 0; y < image->height; y++) png_write_row(s->png, image->sample + (size_t)y * row);
    png_write_end(s->png, NULL);
}

static bool write_png(session *s) {
    if (setjmp(png_jmpbuf(s->png))) return false;
    png_set_user_limits(s->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    write_rows(s);
    return true;
}

void ag__png_write(const ag__image *image, ag_tape *tape, FILE *file) {
    session s = {.tape = tape, .from = image, .file = file};
    s.png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &s, fail, ignore, tape, take, give_back);
    s.info = s.png ? png_create_info_struct(s.png) : NULL;
    if (s.info) write_png(&s);
    if (s.png) png_destroy_write_struct(&s.png, &s.info);
}

#else

bool ag__png_read(ag__image *image, ag__input *in) {
    (void)image;
    return ag__input_wrong(in, "it is a PNG image, and this library was built without libpng");
}

void ag__png_write(const ag__image *image, ag_tape *tape, FILE *file) {
    (void)image, (void)file;
    ag__fail_on(tape, "image_write", AG_ERR_FILE,
                "a PNG image cannot be written: the library was built without libpng");
}

#endif
