/* schedules -- rates as a function of the step
 *
 * t is the number of steps since the warm-up ended. Nothing is remembered from step to step. */
#include "nn/refuse.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

/* ---- What is refused ---- */

static bool over_zero(double x) { return x >= 0 && isfinite(x); }

static ag_tensor *refuse(const char *name, const char *what, double value, const char *wanted) {
    return ag__refuse_on(NULL, name, AG_ERR_RANGE, "%s is %g: %s is wanted", what, value, wanted);
}

static ag_tensor *refuse_count(const char *name, const char *what, int64_t value, const char *wanted) {
    return ag__refuse_on(NULL, name, AG_ERR_RANGE, "%s is %lld: %s is wanted", what, (long long)value, wanted);
}

static ag_tensor *one_cycle_wrong(const char *name, const ag_schedule *s) {
    if (s->warmup != 0) return refuse_count(name, "warmup", s->warmup, "0, because one cycle begins with its own,");
    if (!(s->rise >= 0 && s->rise < 1)) return refuse(name, "rise", s->rise, "a number of 0 or more and less than 1");
    if (s->divisor != 0 && !(s->divisor >= 1 && isfinite(s->divisor)))
        return refuse(name, "divisor", s->divisor, "0 or a finite number of 1 or more");
    if (s->final_divisor != 0 && !(s->final_divisor >= 1 && isfinite(s->final_divisor)))
        return refuse(name, "final_divisor", s->final_divisor, "0 or a finite number of 1 or more");
    if (!(s->low_momentum >= 0 && s->low_momentum < 1))
        return refuse(name, "low_momentum", s->low_momentum, "a number of 0 or more and less than 1");
    if (!(s->high_momentum >= 0 && s->high_momentum < 1))
        return refuse(name, "high_momentum", s->high_momentum, "a number of 0 or more and less than 1");
    return NULL;
}

static ag_tensor *kind_wrong(const char *name, const ag_schedule *s) {
    static const char size[] = "a finite number of 0 or more";
    bool factor = s->kind == AG_SCHEDULE_STEP || s->kind == AG_SCHEDULE_EXPONENTIAL;
    bool ends = s->kind == AG_SCHEDULE_COSINE || s->kind == AG_SCHEDULE_ONE_CYCLE;
    if (factor && !over_zero(s->factor)) return refuse(name, "factor", s->factor, size);
    if (s->kind == AG_SCHEDULE_STEP && s->every < 1) return refuse_count(name, "every", s->every, "1 or more");
    if (s->kind == AG_SCHEDULE_COSINE && !over_zero(s->least)) return refuse(name, "least", s->least, size);
    if (ends && s->steps <= s->warmup) return refuse_count(name, "steps", s->steps, "more than those of the warm-up");
    return s->kind == AG_SCHEDULE_ONE_CYCLE ? one_cycle_wrong(name, s) : NULL;
}

static ag_tensor *schedule_wrong(const char *name, const ag_schedule *s, int64_t step) {
    if (!s) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the schedule is NULL");
    if ((unsigned)s->kind > AG_SCHEDULE_ONE_CYCLE)
        return refuse_count(name, "kind", (int64_t)s->kind, "an ag_schedule_kind");
    if (step < 0) return refuse_count(name, "step", step, "0 or more");
    if (!over_zero(s->rate)) return refuse(name, "rate", s->rate, "a finite number of 0 or more");
    if (s->warmup < 0) return refuse_count(name, "warmup", s->warmup, "0 or more");
    if (s->warmup > 0 && !(s->start >= 0 && s->start <= 1))
        return refuse(name, "start", s->start, "a number from 0 to 1");
    return kind_wrong(name, s);
}

/* ---- Rates ---- */

/* From `from` to `to` by half a cosine, as `part` goes from 0 to 1. */
static double along_cosine(double from, double to, double part) {
    if (part <= 0) return from;
    return part >= 1 ? to : to + (from - to) * (1 + cos(PI * part)) / 2;
}

/* From `first` to `top`, which comes at step rise·steps − 1, whole or not, and to `last` at steps − 1. */
static double one_cycle(const ag_schedule *s, double step, double first, double top, double last) {
    double end = (double)s->steps - 1, turn = (s->rise != 0 ? s->rise : 0.3) * (double)s->steps - 1;
    return step < turn ? along_cosine(first, top, step / turn) : along_cosine(top, last, (step - turn) / (end - turn));
}

static double cycle_rate(const ag_schedule *s, double step) {
    double first = s->rate / (s->divisor != 0 ? s->divisor : 25);
    return one_cycle(s, step, first, s->rate, first / (s->final_divisor != 0 ? s->final_divisor : 1e4));
}

double ag_schedule_rate(const ag_schedule *s, int64_t step) {
    ag_tensor *nil = schedule_wrong("schedule_rate", s, step);
    if (nil) return ag_eval(nil), NAN;
    double t = (double)(step - s->warmup);
    if (t < 0) return s->rate * (s->start + (1 - s->start) * (double)step / (double)s->warmup);
    switch (s->kind) {
    case AG_SCHEDULE_CONSTANT: break;
    case AG_SCHEDULE_STEP: return s->rate * pow(s->factor, (double)((step - s->warmup) / s->every));
    case AG_SCHEDULE_EXPONENTIAL: return s->rate * pow(s->factor, t);
    case AG_SCHEDULE_COSINE: return along_cosine(s->rate, s->least, t / (double)(s->steps - s->warmup));
    case AG_SCHEDULE_ONE_CYCLE: return cycle_rate(s, t);
    }
    return s->rate;
}

double ag_schedule_momentum(const ag_schedule *s, int64_t step) {
    static const char name[] = "schedule_momentum";
    ag_tensor *nil = schedule_wrong(name, s, step);
    if (!nil && s->kind != AG_SCHEDULE_ONE_CYCLE)
        nil = refuse_count(name, "kind", (int64_t)s->kind, "AG_SCHEDULE_ONE_CYCLE");
    if (nil) return ag_eval(nil), NAN;
    double low = s->low_momentum != 0 ? s->low_momentum : 0.85, high = s->high_momentum != 0 ? s->high_momentum : 0.95;
    return one_cycle(s, (double)step, high, low, high);
}
