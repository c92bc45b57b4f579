/* plateau -- what is done when a value no longer improves: a lower rate, or an end of training */
#include "nn/exact.h"
#include "nn/variables.h"

#include <math.h>

/* The marks that the inits leave in their structs. */
enum { PLATEAU = 0x706c6174, STOPPING };

/* NaN improves on nothing, and anything else on NaN, which stands for no value yet. */
static bool improves(double value, double best, double improvement, bool absolute, bool larger) {
    double least = absolute ? improvement : improvement * fabs(best);
    if (isnan(value) || isnan(best)) return !isnan(value);
    return larger ? value > best + least : value < best - least;
}

static ag_tensor *refuse(const char *name, const char *what, double value, const char *wanted) {
    return ag__refuse_on(NULL, name, AG_ERR_RANGE, "%s is %g: %s is wanted", what, value, wanted);
}

static ag_tensor *size_wrong(const char *name, const char *what, double value) {
    return value >= 0 && isfinite(value) ? NULL : refuse(name, what, value, "a finite number of 0 or more");
}

static ag_tensor *count_wrong(const char *name, const char *what, int64_t value, int64_t least) {
    return value >= least ? NULL
                          : ag__refuse_on(NULL, name, AG_ERR_RANGE, "%s is %lld: %d or more is wanted", what,
                                          (long long)value, (int)least);
}

/* ---- A lower rate ---- */

ag_status ag_plateau_init(ag_plateau *p, double rate) {
    static const char name[] = "plateau_init";
    ag_tensor *nil = p ? size_wrong(name, "the rate", rate) : NULL;
    if (!p) nil = ag__refuse_on(NULL, name, AG_ERR_NULL, "the plateau is NULL");
    if (p) *p = (ag_plateau){0};
    if (nil) return ag_eval(nil);
    *p = (ag_plateau){.rate = rate,
                      .factor = 0.1,
                      .difference = 1e-8,
                      .improvement = 1e-4,
                      .patience = 10,
                      .best = NAN,
                      .made = PLATEAU};
    return AG_OK;
}

static ag_tensor *plateau_wrong(const ag_plateau *p) {
    static const char name[] = "plateau_rate";
    if (!p) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the plateau is NULL");
    if (p->made != PLATEAU)
        return ag__refuse_on(NULL, name, AG_ERR_RANGE, "the plateau was not made by its init, or its init failed");
    ag_tensor *nil = size_wrong(name, "the rate", p->rate);
    if (!nil && !(p->factor >= 0 && p->factor < 1))
        nil = refuse(name, "factor", p->factor, "a number of 0 or more and less than 1");
    if (!nil) nil = size_wrong(name, "lowest", p->lowest);
    if (!nil) nil = size_wrong(name, "difference", p->difference);
    if (!nil) nil = size_wrong(name, "improvement", p->improvement);
    if (!nil) nil = count_wrong(name, "patience", p->patience, 0);
    if (!nil) nil = count_wrong(name, "cooldown", p->cooldown, 0);
    if (!nil) nil = count_wrong(name, "waited", p->waited, 0);
    return nil ? nil : count_wrong(name, "cooling", p->cooling, 0);
}

double ag_plateau_rate(ag_plateau *p, double value) {
    ag_tensor *nil = plateau_wrong(p);
    if (nil) return ag_eval(nil), NAN;
    bool better = improves(value, p->best, p->improvement, p->absolute, p->larger);
    if (better) p->best = value;
    if (better || p->cooling > 0) p->waited = 0;
    else ag__count(&p->waited);
    if (p->cooling > 0) p->cooling--;
    if (p->waited <= p->patience) return p->rate;
    double rate = fmax(p->rate * p->factor, p->lowest);
    if (p->rate - rate > p->difference) p->rate = rate;
    p->cooling = p->cooldown;
    p->waited = 0;
    return p->rate;
}

/* ---- An end ---- */

ag_status ag_stopping_init(ag_stopping *s, int n, ag_tensor *const variables[], ag_kept kept[]) {
    static const char name[] = "stopping_init";
    ag_tensor *nil = n < 0 ? ag__refuse_on(NULL, name, AG_ERR_RANGE, "%d variables: 0 or more are wanted", n) : NULL;
    if (!nil) nil = ag__open_wrong(name, s, n, variables, false);
    if (s) *s = (ag_stopping){0};
    if (nil) return ag_eval(nil);
    ag_status status = ag__open_kept(n, variables, &kept, false, "best");
    if (status != AG_OK) return status;
    *s = (ag_stopping){.n = n,
                       .kept = n > 0 ? kept : NULL,
                       .patience = 10,
                       .absolute = true,
                       .best = NAN,
                       .best_step = -1,
                       .made = STOPPING};
    return AG_OK;
}

static ag_tensor *stopping_wrong(const char *name, const ag_stopping *s) {
    if (!s) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the struct is NULL");
    if (s->made != STOPPING)
        return ag__refuse_on(NULL, name, AG_ERR_RANGE, "the struct was not made by its init, or its init failed");
    if (s->n > 0 && !s->kept) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the array of what is kept is NULL");
    ag_tensor *nil = size_wrong(name, "improvement", s->improvement);
    if (!nil) nil = count_wrong(name, "n", s->n, 0);
    if (!nil) nil = count_wrong(name, "patience", s->patience, 1);
    if (!nil) nil = count_wrong(name, "steps", s->steps, 0);
    if (!nil) nil = count_wrong(name, "waited", s->waited, 0);
    return nil ? nil : ag__kept_wrong(name, s->n, s->kept);
}

static ag_status copy_all(const ag_stopping *s, bool back) {
    if (s->n == 0) return AG_OK;
    ag_tape *tape = ag_tape_of(s->kept[0].value);
    bool recording = ag_tape_set_recording(tape, false);
    ag_status status = ag__copy_kept(s->n, s->kept, back);
    if (status == AG_OK) status = ag__assign_kept(s->n, s->kept, back, NULL);
    ag_tape_set_recording(tape, recording);
    return status;
}

bool ag_stopping_step(ag_stopping *s, double value) {
    ag_tensor *nil = stopping_wrong("stopping_step", s);
    if (nil) return ag_eval(nil), true;
    bool better = improves(value, s->best, s->improvement, s->absolute, s->larger);
    if (better && copy_all(s, false) != AG_OK) return true;
    if (better) s->best = value, s->best_step = s->steps;
    if (better) s->waited = 0;
    else ag__count(&s->waited);
    ag__count(&s->steps);
    return s->waited >= s->patience;
}

ag_status ag_stopping_restore(ag_stopping *s) {
    static const char name[] = "stopping_restore";
    ag_tensor *nil = stopping_wrong(name, s);
    if (!nil && s->best_step < 0)
        nil = ag__refuse_on(s->n > 0 ? ag_tape_of(s->kept[0].variable) : NULL, name, AG_ERR_RANGE,
                            "there is no best value: %lld were seen", (long long)s->steps);
    return nil ? ag_eval(nil) : copy_all(s, true);
}
