/* encodings -- the machine code of given instructions, for check_encodings.py
 *
 * A line of numbers from standard input describes a machine: its instruction set; lanes, ways, folds, frame; the slots,
 * the constants, the slots of folds; how many instructions are before the loop, ahead, in it and in two parts after
 * it; the instructions. It becomes a line: the offset of the entry, and the bytes. Nothing runs, so the processor need not have
 * the instruction set, nor be of its kind. */
#include "autograd/eval/encode.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MOST_SLOTS = 9000, MOST_CONSTANTS = 9000, MOST_INSTRUCTIONS = 1 << 15, ROOM = 1 << 23 };

static int64_t number(void) {
    int64_t value = 0;
    if (scanf("%" SCNd64, &value) != 1) value = 0;
    return value;
}

static uint64_t bits(void) {
    uint64_t value = 0;
    if (scanf("%" SCNu64, &value) != 1) value = 0;
    return value;
}

static const ag__isa *instruction_set(const char *name) {
#if AG__X86_64
    if (strcmp(name, "avx2") == 0) return &ag__isa_avx2;
    if (strcmp(name, "avx512") == 0) return &ag__isa_avx512;
#endif
#if AG__AARCH64
    if (strcmp(name, "neon") == 0) return &ag__isa_neon;
#endif
    return (void)name, NULL;
}

static ag__asm instruction(void) {
    ag__asm i = {.code = (uint8_t)number()};
    i.wide = number(), i.truth = number(), i.copy = (uint8_t)number();
    i.y = (int8_t)number(), i.a = (int8_t)number(), i.b = (int8_t)number();
    i.place = (uint8_t)number(), i.k = (uint16_t)number(), i.at = (int32_t)number();
    return i;
}

static void assemble(const ag__isa *isa) {
    static ag__asm code[MOST_INSTRUCTIONS];
    static uint8_t out[ROOM];
    static ag__code_slot slot[MOST_SLOTS];
    static int8_t base[MOST_SLOTS];
    static uint64_t pool[MOST_CONSTANTS];
    static bool wide[MOST_CONSTANTS];
    uint16_t fold_slot[AG__MOST_FOLDS];
    ag__machine m = {.isa = isa, .instruction = code, .slot = slot, .base = base, .pool = pool, .pool_wide = wide};
    m.fold_slot = fold_slot;
    m.lanes = (int)number(), m.ways = (int)number(), m.folds = (int)number(), m.frame = (int32_t)number();
    m.slots = (int)number();
    for (int i = 0; i < m.slots; i++)
        slot[i].dtype = (uint8_t)number(), slot[i].lanes = number(), slot[i].past = number();
    m.constants = (int)number();
    for (int i = 0; i < m.constants; i++) pool[i] = bits(), wide[i] = number();
    for (int i = 0; i < m.folds; i++) fold_slot[i] = (uint16_t)number();
    m.before = (int)number(), m.ahead = (int)number(), m.loop = (int)number();
    m.join = (int)number(), m.after = (int)number();
    for (int i = 0; i < m.before + m.ahead + m.loop + m.join + m.after; i++) code[i] = instruction();
    size_t entry, size = isa->assemble(&m, NULL, 0, &entry);
    memset(out, 0xcc, sizeof out);
    isa->assemble(&m, out, size, &entry);
    printf("%zu ", entry);
    for (size_t i = 0; i < size; i++) printf("%02x", out[i]);
    printf(out[size] == 0xcc ? "\n" : " and more\n");
}

int main(int arguments, char **argument) {
    char name[16];
    if (arguments > 1) return printf("%d\n", AG__LANES) < 0; /* of folds */
    (void)argument;
    while (scanf("%15s", name) == 1) {
        const ag__isa *isa = instruction_set(name);
        if (!isa) return 77; /* this build has none */
        assemble(isa);
    }
    return 0;
}
