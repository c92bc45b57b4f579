/* random -- see random.h
 *
 * Philox makes 128 bits, a block, from a key and a counter of 128 bits. The counter's higher half says what they are
 * for; its lower half is the number of the block. A sample's key is itself made so, from the seed. */
#include "nn/random.h"
#include "autograd/tape/philox.h"

enum { LANES = AG__PHILOX_LANES, WORDS = AG__PHILOX_WORDS };

static uint64_t counter(ag__purpose purpose, int64_t epoch) { return (uint64_t)purpose << 60 | (uint64_t)epoch; }

static uint64_t joined(uint32_t low, uint32_t high) { return low | (uint64_t)high << 32; }

/* ---- One number at a time ---- */

static void next_block(ag_random *r, uint64_t bits[2]) {
    uint32_t word[4];
    ag__philox(r->key, counter(AG__OF_STREAM, (int64_t)r->stream), r->used++, word);
    bits[0] = joined(word[0], word[1]);
    bits[1] = joined(word[2], word[3]);
}

ag_random ag__random_of(int64_t seed, int64_t epoch, int64_t number) {
    uint32_t word[4];
    ag__philox((uint64_t)seed, counter(AG__OF_SAMPLE, epoch), (uint64_t)number, word);
    return (ag_random){.key = joined(word[0], word[1])};
}

uint64_t ag_random_bits(ag_random *random) {
    uint64_t bits[2] = {0};
    if (random) next_block(random, bits);
    return bits[0];
}

static double unit(uint64_t bits) { return (double)(int64_t)(bits >> 11) * 0x1p-53; }

double ag_random_uniform(ag_random *random) { return unit(ag_random_bits(random)); }

double ag_random_normal(ag_random *random) {
    uint64_t bits[2];
    if (!random) return 0;
    next_block(random, bits);
    uint32_t word[WORDS];
    double y[WORDS / 2];
    for (int i = 0; i < AG__PHILOX_GROUP; i++)
        for (int k = 0; k < 2; k++) {
            word[2 * k * LANES + i] = (uint32_t)(bits[k] >> 32);
            word[(2 * k + 1) * LANES + i] = (uint32_t)(bits[k] >> 5); /* of which the highest 26 are used */
        }
    ag__normals_f64(0, 1, 1, word, y);
    return y[0];
}

/* The lowest bits that hold n−1. A number beyond is drawn again: any other way would prefer some. */
static uint64_t mask_below(uint64_t n) {
    uint64_t mask = n - 1;
    for (int i = 1; i < 64; i *= 2) mask |= mask >> i;
    return mask;
}

int64_t ag_random_below(ag_random *random, int64_t n) {
    if (!random || n < 1) return 0;
    const uint64_t mask = mask_below((uint64_t)n);
    for (;;) {
        uint64_t i = ag_random_bits(random) & mask;
        if (i < (uint64_t)n) return (int64_t)i;
    }
}

/* ---- Many numbers ---- */

typedef struct source {
    uint64_t key, draw, block;
    int at; /* the next of the 2·LANES numbers at hand */
    uint32_t word[WORDS];
} source;

static uint64_t next_bits(source *s) {
    if (s->at == 2 * LANES) {
        ag__philox_batch(s->key, s->draw, s->block, s->word);
        s->block += LANES;
        s->at = 0;
    }
    const uint32_t *w = s->word + s->at / 2 + (s->at % 2 ? 2 * LANES : 0);
    s->at++;
    return joined(w[0], w[LANES]);
}

void ag__shuffle(int64_t seed, ag__purpose purpose, int64_t epoch, int64_t n, int64_t number[]) {
    source s = {.key = (uint64_t)seed, .draw = counter(purpose, epoch), .at = 2 * LANES};
    for (int64_t i = n - 1; i > 0; i--) {
        const uint64_t mask = mask_below((uint64_t)i + 1);
        uint64_t j = next_bits(&s) & mask;
        while (j > (uint64_t)i) j = next_bits(&s) & mask;
        const int64_t former = number[i];
        number[i] = number[j];
        number[j] = former;
    }
}

static void next_words(ag_random *r, uint32_t word[WORDS]) {
    ag__philox_batch(r->key, counter(AG__OF_STREAM, (int64_t)r->stream), r->used, word);
    r->used += LANES;
}

void ag__add_normal_f32(ag_random *random, int64_t n, float x[], double deviation) {
    for (int64_t i = 0; i < n; i += WORDS) {
        uint32_t word[WORDS];
        float y[WORDS];
        next_words(random, word);
        ag__normals_f32(0, deviation, word, y);
        for (int64_t k = i; k < n && k < i + WORDS; k++) x[k] += y[k - i];
    }
}

void ag__add_normal_f64(ag_random *random, int64_t n, double x[], double deviation) {
    enum { EACH = WORDS / 2 };
    for (int64_t i = 0; i < n; i += EACH) {
        uint32_t word[WORDS];
        double y[EACH];
        next_words(random, word);
        ag__normals_f64(0, deviation, LANES / AG__PHILOX_GROUP, word, y);
        for (int64_t k = i; k < n && k < i + EACH; k++) x[k] += y[k - i];
    }
}
