/* replay_lanes -- the steps of replays on elements of one width, once for 32 bits and once for 64
 *
 * Included by replay.c with these names defined, which it undefines at its end:
 *
 *   RUN(part)  the names of functions that are to be defined; RUN() is the one to call
 *   IS_WIDE  1: 64 bits
 *   V, U, S  an element, its bits, and these as a signed number: types that may lie in any memory
 *   F(name)  the function of math.h for V
 *
 * Steps compute whole groups of elements, so that loops have a fixed length; of those beyond the last element only the
 * time is lost. A truth value is all bits or none. */

/* For each group, or for one if the loop over them is around it: y from the operands a, b and c, which are read as the
 * given type. There is a group. */
#define EACH(result, operand, expression)                                                                              \
    do {                                                                                                               \
        result *const out = (result *)(void *)y;                                                                       \
        const operand *const a = (const operand *)(const void *)x[0];                                                  \
        const operand *const b = (const operand *)(const void *)x[1];                                                  \
        const operand *const c = (const operand *)(const void *)x[2];                                                  \
        (void)b, (void)c;                                                                                              \
        AG_SIMD for (int64_t j = 0; j < GROUP; j++) out[j] = (expression);                                             \
        if (!outer) NEXT_GROUP;                                                                                        \
    } while (!outer && ++group < groups);                                                                              \
    break
#define NEXT_GROUP y += s->y.step, x[0] += s->x[0].step, x[1] += s->x[1].step, x[2] += s->x[2].step
#define TRUTH_OF(comparison) ((U)0 - (U)(comparison))

/* y is the function's where a is true; elements beyond the last one are left alone. */
static void RUN(_rarely)(const step *s, int64_t n, char *y, const char *const x[3]) {
    for (int64_t i = 0; i < n; i++) {
        const int64_t group = i / GROUP, j = i % GROUP;
        const U truth = ((const U *)(const void *)(x[0] + group * s->x[0].step))[j];
        const V of = ((const V *)(const void *)(x[1] + group * s->x[1].step))[j];
        const V other = ((const V *)(const void *)(x[2] + group * s->x[2].step))[j];
        ((V *)(void *)(y + group * s->y.step))[j] = truth ? (V)s->call((double)of, s->k) : other;
    }
}

/* Executes the steps from s on, up to `end` or the first one of the other width, which it returns. With `outer`, which
 * the compiler knows, the loop over groups is around the choice among the steps rather than in each of them: this takes
 * less than two thirds of the code, and a choice for each group. */
AG__ALWAYS_INLINE const step *RUN(_anywhere)(const step *s, const step *end, const memory *at, int64_t groups,
                                             int64_t n, bool outer) {
    const U sign = (U)1 << (8 * sizeof(U) - 1);
    for (; s < end && s->wide == IS_WIDE; s++) {
        char *y = address(at, s->y);
        const char *x[3] = {address(at, s->x[0]), address(at, s->x[1]), address(at, s->x[2])};
        const int k = s->k;
        int64_t group = 0;
        do {
            switch (s->code) {
            case AG_TRACE_ADD: EACH(V, V, a[j] + b[j]);
            case AG_TRACE_SUB: EACH(V, V, a[j] - b[j]);
            case AG_TRACE_MUL: EACH(V, V, a[j] * b[j]);
            case AG_TRACE_DIV: EACH(V, V, a[j] / b[j]);
            case AG_TRACE_MAX: EACH(V, V, a[j] > b[j] ? a[j] : b[j]);
            case AG_TRACE_MIN: EACH(V, V, a[j] < b[j] ? a[j] : b[j]);
            case AG_TRACE_STRONG_MUL: EACH(V, V, a[j] == 0 ? 0 : a[j] * b[j]);
            case AG_TRACE_STRONG_DIV: EACH(V, V, a[j] == 0 ? 0 : a[j] / b[j]);
            case AG_TRACE_FMA: EACH(V, V, F(fma)(a[j], b[j], c[j]));
            case AG_TRACE_SQRT: EACH(V, V, F(sqrt)(a[j]));
            case AG_TRACE_ROUND: EACH(V, V, F(rint)(a[j]));
            case AG_TRACE_LESS: EACH(U, V, TRUTH_OF(a[j] < b[j]));
            case AG_TRACE_LESS_EQUAL: EACH(U, V, TRUTH_OF(a[j] <= b[j]));
            case AG_TRACE_EQUAL: EACH(U, V, TRUTH_OF(a[j] == b[j]));
            case AG_TRACE_NOT_EQUAL: EACH(U, V, TRUTH_OF(a[j] != b[j]));
            case AG_TRACE_NEG: EACH(U, U, a[j] ^ sign);
            case AG_TRACE_ABS: EACH(U, U, a[j] & ~sign);
            case AG_TRACE_AND: EACH(U, U, a[j] & b[j]);
            case AG_TRACE_OR: EACH(U, U, a[j] | b[j]);
            case AG_TRACE_XOR: EACH(U, U, a[j] ^ b[j]);
            case AG_TRACE_NOT: EACH(U, U, ~a[j]);
            case SELECT: EACH(U, U, (a[j] & b[j]) | (~a[j] & c[j]));
            case AG_TRACE_BITS_ADD: EACH(U, U, a[j] + b[j]);
            case AG_TRACE_BITS_SUB: EACH(U, U, a[j] - b[j]);
            case SHIFT_LEFT: EACH(U, U, a[j] << k);
            case SHIFT_RIGHT: EACH(U, U, a[j] >> k);
#if IS_WIDE
            case WHOLE_MUL: EACH(U, U, a[j] * b[j]);
            case WHOLE_LESS: EACH(U, S, TRUTH_OF(a[j] < b[j]));
            case WHOLE_LESS_EQUAL: EACH(U, S, TRUTH_OF(a[j] <= b[j]));
            case WHOLE_EQUAL: EACH(U, S, TRUTH_OF(a[j] == b[j]));
            case WHOLE_MAX: EACH(S, S, a[j] > b[j] ? a[j] : b[j]);
            case WHOLE_MIN: EACH(S, S, a[j] < b[j] ? a[j] : b[j]);
            case FROM_WHOLE: EACH(V, S, (V)a[j]);
            case NARROW_WHOLE: EACH(lane_f32, S, (float)a[j]);
            case TO_WHOLE: EACH(S, V, ag__whole_near(a[j]));
            case NARROW: EACH(lane_f32, V, (float)a[j]);
            case WIDEN: EACH(V, lane_f32, (V)a[j]);
            case NARROW_TRUTH: EACH(lane_u32, U, (lane_u32)a[j]);
            case WIDEN_TRUTH: EACH(S, lane_s32, a[j]);
#else
            case AG_TRACE_INTEGER: EACH(V, S, (V)a[j]);
#endif
            default: RUN(_rarely)(s, n, y, x), group = groups; /* all of them */
            }
            if (outer) NEXT_GROUP;
        } while (outer && ++group < groups);
    }
    return s;
}

#if AG__CHOOSES /* see AG_BLOCK_KERNEL */
__attribute__((target("arch=x86-64-v3"))) static const step *
RUN(_level_3)(const step *s, const step *end, const memory *at, int64_t groups, int64_t n) {
    return RUN(_anywhere)(s, end, at, groups, n, false);
}
__attribute__(AG__SMALL) static const step *RUN(_level_1)(const step *s, const step *end, const memory *at,
                                                          int64_t groups, int64_t n) {
    return RUN(_anywhere)(s, end, at, groups, n, true);
}
static const step *RUN()(const step *s, const step *end, const memory *at, int64_t groups, int64_t n) {
    return (ag__has_avx2() ? RUN(_level_3) : RUN(_level_1))(s, end, at, groups, n);
}
#else
static const step *RUN()(const step *s, const step *end, const memory *at, int64_t groups, int64_t n) {
    return RUN(_anywhere)(s, end, at, groups, n, false);
}
#endif

#undef EACH
#undef NEXT_GROUP
#undef TRUTH_OF
#undef RUN
#undef IS_WIDE
#undef V
#undef U
#undef S
#undef F
