/* test_explain -- explanations of gradients: exact texts for what is taught, JSON that a strict reader accepts, and a
 * tape that is as before */
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Reading JSON, strictly (RFC 8259) ---- */

static bool value(const char **s, int depth);

static void space(const char **s) { *s += strspn(*s, " \t\n\r"); }

static bool string(const char **s) {
    if (*(*s)++ != '"') return false;
    for (; **s != '"'; (*s)++) {
        if ((unsigned char)**s < 0x20) return false;
        if (**s != '\\') continue;
        (*s)++;
        if (**s != 'u') {
            if (!**s || !strchr("\"\\/bfnrt", **s)) return false;
        } else if (strspn(*s + 1, "0123456789abcdefABCDEF") < 4) return false;
        else *s += 4;
    }
    (*s)++;
    return true;
}

static bool numeral(const char **s) {
    *s += **s == '-';
    size_t n = strspn(*s, "0123456789");
    if (n == 0 || (n > 1 && **s == '0')) return false;
    *s += n;
    if (**s == '.') {
        (*s)++;
        n = strspn(*s, "0123456789");
        *s += n;
        if (n == 0) return false;
    }
    if (**s == 'e' || **s == 'E') {
        (*s)++;
        *s += **s == '+' || **s == '-';
        n = strspn(*s, "0123456789");
        *s += n;
        if (n == 0) return false;
    }
    return true;
}

static bool members(const char **s, char end, int depth) {
    (*s)++;
    space(s);
    if (**s == end) return (*s)++, true;
    for (;; (*s)++) {
        space(s);
        if (end == '}') {
            if (!string(s)) return false;
            space(s);
            if (*(*s)++ != ':') return false;
        }
        if (!value(s, depth + 1)) return false;
        space(s);
        if (**s == end) return (*s)++, true;
        if (**s != ',') return false;
    }
}

static bool value(const char **s, int depth) {
    if (depth > 1000) return false;
    space(s);
    if (**s == '{' || **s == '[') return members(s, **s == '{' ? '}' : ']', depth);
    if (**s == '"') return string(s);
    static const char *const words[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++)
        if (strncmp(*s, words[i], strlen(words[i])) == 0) return *s += strlen(words[i]), true;
    return numeral(s);
}

static void expect_json(const char *text) {
    const char *s = text;
    bool good = value(&s, 0);
    space(&s);
    if (!good || *s) ck_abort_msg("no JSON from here:\n%.200s\nin\n%s\n%s", s, text, ag_tape_error(tape));
}

START_TEST(the_reader_is_strict) {
    static const char *const good[] = {"{\"a\":[1,-0.5e3,\"\\u00ff\\n\",true,null,{}]}", "[]", " 0 "};
    static const char *const bad[] = {"{a:1}", "[1,]", "[01]", "\"\n\"", "\"\\x\"",   "[1 2]",
                                      "nan",   "1.",   "",     "[",      "\"\\u12\"", "{\"a\" 1}"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const char *s = good[i];
        ck_assert_msg(value(&s, 0), "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *s = bad[i];
        ck_assert_msg(!value(&s, 0) || (space(&s), *s), "%s", bad[i]);
    }
}
END_TEST

/* ---- What is explained ---- */

static const char *without_places(const char *text) {
    static char to[20000];
    size_t n = 0;
    for (const char *s = text; *s && n + 1 < sizeof to; s++) {
        if (strncmp(s, " [test_explain.c:", 17) == 0) s = strchr(s, ']') + 1;
        to[n++] = *s;
        if (!*s) break;
    }
    to[n] = 0;
    return to;
}

#define expect_text(got, text) expect_text_at(__LINE__, got, text)

static void expect_text_at(int line, const char *got, const char *text) {
    got = without_places(got);
    if (strcmp(got, text) != 0)
        ck_abort_msg("line %d: the text is\n%s\nnot\n%s\n%s", line, got, text, ag_tape_error(tape));
}

static struct { ag_tensor *z, *g, *bw, *bb, *m, *v, *nz, *bz; } bn;

static void batch_normalise(void) {
    static const double z[] = {1, 2, 3, 6, -1, 0, 5, 3, -2, 4, 2, 9}, g[] = {1, 0, -1, 2, 1, 0, -1, 1, 2, 0, -2, 1};
    bn.z = ag_label(ag_from(tape, AG_F64, AG_SHAPE(6, 2), z), "Z");
    bn.g = ag_label(ag_from(tape, AG_F64, AG_SHAPE(6, 2), g), "dLdBZ");
    bn.bw = ag_label(ag_from(tape, AG_F64, AG_SHAPE(1, 2), (double[]){2, 0.5}), "BW");
    bn.bb = ag_label(ag_from(tape, AG_F64, AG_SHAPE(1, 2), (double[]){1, -1}), "Bb");
    bn.m = ag_label(ag_mean_over(bn.z, AG_AXES(0), true), "M");
    bn.v = ag_label(ag_mean_over(ag_square(ag_sub(bn.z, bn.m)), AG_AXES(0), true), "V");
    bn.nz = ag_label(ag_mul(ag_sub(bn.z, bn.m), ag_rsqrt(ag_add_scalar(bn.v, 0.25))), "NZ");
    bn.bz = ag_label(ag_add(ag_mul(bn.bw, bn.nz), bn.bb), "BZ");
}

START_TEST(the_mean_has_two_paths) {
    batch_normalise();
    ag_explain_options o = {.cotangent = bn.g, .depth = 1, .values = -1};
    expect_text(ag_explain(bn.bz, bn.m, &o),
                "∂BZ/∂M: M (1,2) is used 2 times on the way to BZ (6,2), along 2 paths; its cotangent is dLdBZ\n"
                "1  through sub (broadcast) → square → mean = V\n"
                "    −2·Σ_0 ∂BZ/∂V⊙(Z − M)/6\n"
                "    norm 2.22045e-16: zero to rounding, which may leave 1.8e-14 of the terms that cancel\n"
                "    1.1  through add_scalar → rsqrt → mul (broadcast) = NZ\n"
                "        Σ_0 (Σ_0 ∂BZ/∂NZ⊙(Z − M))⊙(V + 0.25)^(−3/2)⊙(Z − M)/6\n"
                "        norm 2.22045e-16: zero to rounding, which may leave 6.9e-14 of the terms that cancel\n"
                "2  through sub (broadcast) → mul = NZ\n"
                "    −Σ_0 ∂BZ/∂NZ⊙(V + 0.25)^(−1/2)\n"
                "    norm 0.682656\n"
                "    2.1  through mul → add = BZ\n"
                "        −Σ_0 dLdBZ⊙BW⊙(V + 0.25)^(−1/2)\n"
                "        norm 0.682656\n"
                "sum norm 0.682656\n"
                "The gradient is the same, to the last bit.");
}
END_TEST

START_TEST(everything_is_json) {
    batch_normalise();
    for (int style = 0; style < 3; style++) {
        for (int depth = 0; depth < 4; depth++) {
            ag_explain_options o = {.json = true, .style = (ag_style)style, .cotangent = bn.g, .depth = depth};
            expect_json(ag_explain(bn.bz, bn.z, &o));
            expect_json(ag_explain(bn.bz, bn.m, &o));
            expect_json(ag_trace_backward(bn.bz, 1, &bn.z, &o));
        }
    }
}
END_TEST

START_TEST(the_tape_is_as_before) {
    batch_normalise();
    int64_t nodes = ag_tape_memory(tape).nodes;
    ag_eval(bn.v);
    int64_t live = ag_tape_memory(tape).live;
    ag_explain_options o = {.cotangent = bn.g, .depth = 3};
    ag_explain(bn.bz, bn.z, &o);
    ag_trace_backward(bn.bz, 1, &bn.z, &o);
    ck_assert_int_eq(ag_tape_memory(tape).nodes, nodes);
    ck_assert_int_eq(ag_tape_memory(tape).live, live);
    expect_ok(tape);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("explain");
    TCase *json = tape_group(suite, "json");
    tcase_add_test(json, the_reader_is_strict);
    tcase_add_test(json, everything_is_json);
    TCase *uses = tape_group(suite, "uses");
    tcase_add_test(uses, the_mean_has_two_paths);
    tcase_add_test(uses, the_tape_is_as_before);
    return run_suite(suite);
}
