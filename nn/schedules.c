/* schedules -- rates as a function of the step
 *
 * t is the number of steps since the warm-up ended. Nothing is remembered from step to step. */
#include "nn/refuse.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

/* ---- What is refused ---- */

static bool over_zero(double x) { return x >= 0 && isfinite(x); }

static ag_tensor *refuse(const char *what, double value, const char *wanted) {
    return ag__refuse_on(NULL, "schedule_rate", AG_ERR_RANGE, "%s is %g: %s is wanted", what, value, wanted);
}

static ag_tensor *refuse_count(const char *what, int64_t value, const char *wanted) {
    return ag__refuse_on(NULL, "schedule_rate", AG_ERR_RANGE, "%s is %lld: %s is wanted", what, (long long)value,
                         wanted);
}

static ag_tensor *one_cycle_wrong(const ag_schedule *s) {
    if (s->warmup != 0) return refuse_count("warmup", s->warmup, "0, because one cycle begins with its own,");
    if (!(s->rise >= 0 && s->rise < 1)) return refuse("rise", s->rise, "a number of 0 or more and less than 1");
    if (s->divisor != 0 && !(s->divisor >= 1 && isfinite(s->divisor)))
        return refuse("divisor", s->divisor, "0 or a finite number of 1 or more");
    if (s->final_divisor != 0 && !(s->final_divisor >= 1 && isfinite(s->final_divisor)))
        return refuse("final_divisor", s->final_divisor, "0 or a finite number of 1 or more");
    return NULL;
}

static ag_tensor *kind_wrong(const ag_schedule *s) {
    static const char size[] = "a finite number of 0 or more";
    bool factor = s->kind == AG_SCHEDULE_STEP || s->kind == AG_SCHEDULE_EXPONENTIAL;
    bool ends = s->kind == AG_SCHEDULE_COSINE || s->kind == AG_SCHEDULE_ONE_CYCLE;
    if (factor && !over_zero(s->factor)) return refuse("factor", s->factor, size);
    if (s->kind == AG_SCHEDULE_STEP && s->every < 1) return refuse_count("every", s->every, "1 or more");
    if (s->kind == AG_SCHEDULE_COSINE && !over_zero(s->least)) return refuse("least", s->least, size);
    if (ends && s->steps <= s->warmup) return refuse_count("steps", s->steps, "more than those of the warm-up");
    return s->kind == AG_SCHEDULE_ONE_CYCLE ? one_cycle_wrong(s) : NULL;
}

static ag_tensor *schedule_wrong(const ag_schedule *s, int64_t step) {
    if (!s) return ag__refuse_on(NULL, "schedule_rate", AG_ERR_NULL, "the schedule is NULL");
    if ((unsigned)s->kind > AG_SCHEDULE_ONE_CYCLE) return refuse_count("kind", (int64_t)s->kind, "an ag_schedule_kind");
    if (step < 0) return refuse_count("step", step, "0 or more");
    if (!over_zero(s->rate)) return refuse("rate", s->rate, "a finite number of 0 or more");
    if (s->warmup < 0) return refuse_count("warmup", s->warmup, "0 or more");
    if (s->warmup > 0 && !(s->start >= 0 && s->start <= 1)) return refuse("start", s->start, "a number from 0 to 1");
    return kind_wrong(s);
}

/* ---- Rates ---- */

/* From `from` to `to` by half a cosine, as `part` goes from 0 to 1. */
static double along_cosine(double from, double to, double part) {
    if (part <= 0) return from;
    return part >= 1 ? to : to + (from - to) * (1 + cos(PI * part)) / 2;
}

/* The highest rate comes at step rise·steps − 1, whole or not, and the last one at steps − 1. */
static double one_cycle(const ag_schedule *s, double step) {
    double first = s->rate / (s->divisor != 0 ? s->divisor : 25);
    double last = first / (s->final_divisor != 0 ? s->final_divisor : 1e4);
    double end = (double)s->steps - 1, top = (s->rise != 0 ? s->rise : 0.3) * (double)s->steps - 1;
    return step < top ? along_cosine(first, s->rate, step / top)
                      : along_cosine(s->rate, last, (step - top) / (end - top));
}

double ag_schedule_rate(const ag_schedule *s, int64_t step) {
    ag_tensor *nil = schedule_wrong(s, step);
    if (nil) return ag_eval(nil), NAN;
    double t = (double)(step - s->warmup);
    if (t < 0) return s->rate * (s->start + (1 - s->start) * (double)step / (double)s->warmup);
    switch (s->kind) {
    case AG_SCHEDULE_CONSTANT: break;
    case AG_SCHEDULE_STEP: return s->rate * pow(s->factor, (double)((step - s->warmup) / s->every));
    case AG_SCHEDULE_EXPONENTIAL: return s->rate * pow(s->factor, t);
    case AG_SCHEDULE_COSINE: return along_cosine(s->rate, s->least, t / (double)(s->steps - s->warmup));
    case AG_SCHEDULE_ONE_CYCLE: return one_cycle(s, t);
    }
    return s->rate;
}
