/* pnm -- Netpbm's formats: PBM, PGM and PPM, as text (P1 to P3) or not (P4 to P6), and PAM (P7)
 *
 * The file is read whole, and is no smaller than its samples are, unless they are bits. Only its first image is
 * read. */
#include "autograd/tape/format.h"
#include "autograd/tape/op.h"
#include "io/image.h"

#include <string.h>

typedef struct source {
    const ag__input *in;
    const unsigned char *at, *end;
    char kind; /* '1' to '7' */
} source;

/* ---- Headers ---- */

static bool is_blank(int c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Comments go on to the end of their line. */
static void skip_blanks(source *s) {
    for (bool comment = false; s->at < s->end; s->at++) {
        if (*s->at == '#') comment = true;
        else if (*s->at == '\n') comment = false;
        else if (!comment && !is_blank(*s->at)) return;
    }
}

static bool read_number(source *s, const char *what, int64_t least, int64_t most, int64_t *n) {
    skip_blanks(s);
    const unsigned char *first = s->at;
    for (*n = 0; s->at < s->end && *s->at >= '0' && *s->at <= '9' && *n <= most; s->at++) *n = *n * 10 + *s->at - '0';
    if (s->at == first) return ag__input_wrong(s->in, "its %s is missing", what);
    return (*n >= least && *n <= most) ||
           ag__input_wrong(s->in, "its %s is not between %lld and %lld", what, (long long)least, (long long)most);
}

static bool set_most(ag__image *image, int64_t most) {
    image->most = (unsigned)most;
    image->wide = most > 255;
    return true;
}

static bool read_opening(source *s, ag__image *image) {
    int64_t most = 1;
    bool bits = s->kind == '1' || s->kind == '4';
    image->channels = s->kind == '3' || s->kind == '6' ? 3 : 1;
    if (!read_number(s, "width", 1, INT32_MAX, &image->width) ||
        !read_number(s, "height", 1, INT32_MAX, &image->height) ||
        (!bits && !read_number(s, "largest value", 1, 65535, &most)))
        return false;
    if (s->kind >= '4' && (s->at == s->end || !is_blank(*s->at++)))
        return ag__input_wrong(s->in, "its header does not end in a blank");
    return set_most(image, most);
}

/* Skip a word, if it is next and a blank follows. */
static bool is_word(source *s, const char *word) {
    size_t n = strlen(word);
    if ((size_t)(s->end - s->at) <= n || memcmp(s->at, word, n) != 0 || !is_blank(s->at[n])) return false;
    s->at += n;
    return true;
}

static void skip_line(source *s) {
    while (s->at < s->end && *s->at++ != '\n') {
    }
}

/* PAM: a line for each entry, in any order, and one that ends them. */
static bool read_lines(source *s, ag__image *image) {
    int64_t channels = 0, most = 0;
    for (;; skip_line(s)) {
        skip_blanks(s);
        if (is_word(s, "ENDHDR")) break;
        bool good = is_word(s, "WIDTH")      ? read_number(s, "width", 1, INT32_MAX, &image->width)
                    : is_word(s, "HEIGHT")   ? read_number(s, "height", 1, INT32_MAX, &image->height)
                    : is_word(s, "DEPTH")    ? read_number(s, "depth", 1, AG__MOST_CHANNELS, &channels)
                    : is_word(s, "MAXVAL")   ? read_number(s, "largest value", 1, 65535, &most)
                    : is_word(s, "TUPLTYPE") ? true
                                             : ag__input_wrong(s->in, "its header has an unknown line");
        if (!good) return false;
    }
    skip_line(s);
    if (image->width == 0 || image->height == 0 || channels == 0 || most == 0)
        return ag__input_wrong(s->in, "its header lacks WIDTH, HEIGHT, DEPTH or MAXVAL");
    image->channels = (int)channels;
    return set_most(image, most);
}

/* ---- Samples ---- */

static bool put(source *s, ag__image *image, int64_t i, int64_t sample) {
    if (sample > image->most)
        return ag__input_wrong(s->in, "a sample is %lld, which is more than %u", (long long)sample, image->most);
    if (image->wide) image->sample[2 * i] = (unsigned char)(sample >> 8);
    image->sample[image->wide ? 2 * i + 1 : i] = (unsigned char)sample;
    return true;
}

/* 1 is black in a bitmap, and digits need no blanks between them. */
static bool read_digit(source *s, int64_t *sample) {
    skip_blanks(s);
    if (s->at == s->end || (*s->at != '0' && *s->at != '1')) return ag__input_wrong(s->in, "it has too few pixels");
    *sample = *s->at++ == '0';
    return true;
}

static bool read_text(source *s, ag__image *image) {
    int64_t size = image->height * image->width * image->channels, sample;
    for (int64_t i = 0; i < size; i++) {
        if (!(s->kind == '1' ? read_digit(s, &sample) : read_number(s, "next sample", 0, 65535, &sample))) return false;
        if (!put(s, image, i, sample)) return false;
    }
    return true;
}

/* Rows of bits are filled up to bytes. */
static bool read_bits(source *s, ag__image *image) {
    int64_t row = (image->width + 7) / 8;
    for (int64_t y = 0; y < image->height; y++)
        for (int64_t x = 0; x < image->width; x++)
            put(s, image, y * image->width + x, !(s->at[y * row + x / 8] >> (7 - x % 8) & 1));
    return true;
}

static bool read_bytes(source *s, ag__image *image) {
    memcpy(image->sample, s->at, image->bytes);
    int64_t size = image->height * image->width * image->channels;
    for (int64_t i = 0; i < size; i++) {
        const unsigned char *p = image->sample + (i << image->wide);
        unsigned sample = image->wide ? (unsigned)p[0] << 8 | p[1] : p[0];
        if (sample > image->most)
            return ag__input_wrong(s->in, "a sample is %u, which is more than %u", sample, image->most);
    }
    return true;
}

/* The bytes that samples of this kind can have at most: a digit takes a byte, a number and its blank two, except the
 * last. */
static uint64_t most_bytes(const source *s, const ag__image *image) {
    uint64_t rest = (uint64_t)(s->end - s->at);
    switch (s->kind) {
    case '2':
    case '3': return image->wide ? rest + 1 : rest / 2 + 1;
    case '4': return rest / (uint64_t)((image->width + 7) / 8) * (uint64_t)image->width;
    default: return rest;
    }
}

static bool read_samples(source *s, ag__image *image) {
    if (!ag__image_open(image, s->in, most_bytes(s, image))) return false;
    return s->kind <= '3' ? read_text(s, image) : s->kind == '4' ? read_bits(s, image) : read_bytes(s, image);
}

bool ag__pnm_read(ag__image *image, ag__input *in) {
    unsigned char *text = ag__input_memory(in, in->size);
    if (!text) return false;
    source s = {.in = in, .at = text + 2, .end = text + in->size};
    bool good = ag__input_read(in, 0, text, (size_t)in->size);
    if (good) s.kind = (char)text[1];
    good = good && (s.kind == '7' ? read_lines(&s, image) : read_opening(&s, image)) && read_samples(&s, image);
    ag__resize(in->tape, text, (size_t)in->size, 0);
    return good;
}

/* ---- Writing ---- */

void ag__pnm_write(const ag__image *image, ag_tape *tape, FILE *file) {
    (void)tape;
    ag__print(file, "P%c\n%lld %lld\n%u\n", image->channels == 1 ? '5' : '6', (long long)image->width,
              (long long)image->height, image->most);
    fwrite(image->sample, 1, image->bytes, file);
}

void ag__pam_write(const ag__image *image, ag_tape *tape, FILE *file) {
    static const char *const tuple[] = {"", "GRAYSCALE", "GRAYSCALE_ALPHA", "RGB", "RGB_ALPHA"};
    (void)tape;
    ag__print(file, "P7\nWIDTH %lld\nHEIGHT %lld\nDEPTH %d\nMAXVAL %u\nTUPLTYPE %s\nENDHDR\n", (long long)image->width,
              (long long)image->height, image->channels, image->most, tuple[image->channels]);
    fwrite(image->sample, 1, image->bytes, file);
}
