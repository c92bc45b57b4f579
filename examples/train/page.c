/* page -- a report of the training as one file of HTML: nothing is loaded, and it follows the reader's light or dark */
#include "examples/train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct page {
    text t;
    ag_tape *tape;
    const description *d;
    const options *o;
    const history *h;
    const judgement *j;
} page;

static const char style[] =
    ":root{color-scheme:light dark;--paper:#fff;--ink:#222;--faint:#666;--line:#ddd;--hit:31,111,180}\n"
    "@media(prefers-color-scheme:dark){:root{--paper:#16181b;--ink:#e6e6e6;--faint:#a0a0a0;--line:#33373c;--hit:88,160,"
    "220}}\n"
    "body{font:16px/1.5 system-ui,sans-serif;background:var(--paper);color:var(--ink);max-width:46rem;margin:2rem auto;"
    "padding:0 "
    "1rem}h1{font-size:1.4rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin-top:2rem}.scroll{overflow-x:auto}."
    "scroll svg{min-width:34rem}\n"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.2rem .7rem;text-align:right;"
    "border-bottom:1px solid var(--line);font-weight:normal}th{color:var(--faint)}.facts td{text-align:left;"
    "overflow-wrap:anywhere}.facts th{text-align:left;white-space:nowrap}.confusion td{min-width:2rem}\n";

static void put_fact(page *p, const char *name, const char *value) {
    put(&p->t, "<tr><th scope=\"row\">%s</th><td>", name);
    put_html(&p->t, value);
    put(&p->t, "</td></tr>\n");
}

static void put_number(page *p, const char *name, double value) {
    char number[40];
    snprintf(number, sizeof number, "%.6g", value);
    put_fact(p, name, number);
}

static void put_results(page *p) {
    const judgement *j = p->j;
    put(&p->t, "<h2>%s</h2>\n<table class=\"facts\">\n",
        p->o->validation > 0 ? "On the validation data" : "On the training data");
    put_number(p, "samples", (double)j->count);
    put_number(p, "loss", j->loss);
    if (j->confusion) put_number(p, "accuracy", j->accuracy), put_number(p, "mean F1", j->f1);
    if (p->d->loss == BINARY) put_number(p, "ROC AUC", j->auc);
    if (!j->confusion) {
        put_number(p, "mean square error", j->mean_square);
        put_number(p, "mean absolute error", j->mean_error);
        put_number(p, "R²", j->r_squared);
    }
    put(&p->t, "</table>\n");
}

static void put_command(page *p) {
    static const char *const optimisers[] = {"adam", "sgd", "rmsprop"};
    const options *o = p->o;
    put(&p->t, "<h2>Training</h2>\n<table class=\"facts\">\n");
    put_fact(p, "model", o->model);
    put_fact(p, "data", o->data);
    put_fact(p, "loss", loss_name(p->d->loss));
    put_fact(p, "optimiser", optimisers[o->optimiser]);
    put_number(p, "rate", o->rate);
    put_number(p, "batch", (double)o->batch);
    put_number(p, "epochs", p->h->epochs ? p->h->value[(p->h->epochs - 1) * p->h->columns] : 0);
    put_number(p, "seed", (double)o->seed);
    put(&p->t, "</table>\n");
}

/* ---- Curves */

static bool is_above_0(const history *h, int column) {
    for (int64_t i = 0; i < h->epochs; i++)
        if (h->value[i * h->columns + column] > 0) return true;
    return false;
}

/* The columns whose names begin with one of these. */
static void put_curves(page *p, const char *title, const char *name, const char *other) {
    enum { MOST = 100 };
    const history *h = p->h;
    ag_curve curve[MOST];
    double *x = memory(NULL, (size_t)h->epochs, sizeof *x), *y = memory(NULL, (size_t)(MOST * h->epochs), sizeof *y);
    int n = 0;
    bool logarithmic = strcmp(name, "loss") == 0 || strcmp(name, "gradient") == 0;
    for (int k = 0; k < h->columns && n < MOST; k++) {
        bool first = strncmp(h->name[k], name, strlen(name)) == 0;
        if (!first && strncmp(h->name[k], other, strlen(other)) != 0) continue;
        for (int64_t i = 0; i < h->epochs; i++) {
            x[i] = h->value[i * h->columns];
            y[n * h->epochs + i] = h->value[i * h->columns + k];
        }
        const char *shorter = strncmp(h->name[k], "gradient layer.", 15) == 0 ? h->name[k] + 15 : h->name[k];
        curve[n] = (ag_curve){shorter, h->epochs, x, y + n * h->epochs};
        logarithmic = logarithmic && is_above_0(h, k);
        n++;
    }
    ag_curves_options how = {.title = title, .x_label = "epoch", .logarithmic_y = logarithmic};
    if (n > 0 && h->epochs > 0) put(&p->t, "<p class=\"scroll\">%s</p>\n", ag_curves_svg(p->tape, n, curve, &how));
    free(x);
    free(y);
}

/* ---- Tables */

static void put_heads(page *p, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        put(&p->t, "<th scope=\"col\">");
        put_html(&p->t, shown(p->d->class[i]));
        put(&p->t, "</th>");
    }
}

/* Cells are the darker the larger their part of the row. */
static void put_confusion(page *p) {
    enum { MOST = 100 };
    const int64_t n = p->d->classes, *c = p->j->confusion;
    if (!c || n > MOST) return;
    put(&p->t, "<h2>Confusion</h2>\n<p>A row is a true class, a column a predicted one.</p>\n<div class=\"scroll\">"
               "<table class=\"confusion\">\n<tr><td></td>");
    put_heads(p, n);
    for (int64_t i = 0; i < n; i++) {
        int64_t sum = 0;
        for (int64_t k = 0; k < n; k++) sum += c[i * n + k];
        put(&p->t, "</tr>\n<tr><th scope=\"row\">");
        put_html(&p->t, shown(p->d->class[i]));
        put(&p->t, "</th>");
        for (int64_t k = 0; k < n; k++)
            put(&p->t, "<td style=\"background:rgba(var(--hit),%.2f)\">%lld</td>",
                sum ? 0.6 * (double)c[i * n + k] / (double)sum : 0, (long long)c[i * n + k]);
    }
    put(&p->t, "</tr>\n</table></div>\n");
}

static void put_parameters(page *p) {
    ag_list all = ag_parameters(p->tape, "layer");
    int64_t sum = 0;
    put(&p->t, "<h2>Parameters</h2>\n<div class=\"scroll\"><table>\n<tr><th scope=\"col\">name</th><th "
               "scope=\"col\">shape</th>"
               "<th scope=\"col\">elements</th><th scope=\"col\">norm</th></tr>\n");
    for (int i = 0; i < all.n; i++) {
        ag_shape shape = ag_shape_of(all.x[i]);
        put(&p->t, "<tr><th scope=\"row\">%s</th><td>", ag_label_of(all.x[i]));
        for (int k = 0; k < shape.rank; k++) put(&p->t, k ? "×%lld" : "%lld", (long long)shape.extent[k]);
        double norm = ag_item(ag_sqrt(ag_sum(ag_square(all.x[i]))));
        put(&p->t, "</td><td>%lld</td><td>%.4g</td></tr>\n", (long long)ag_size(all.x[i]), norm);
        sum += ag_size(all.x[i]);
    }
    put(&p->t, "<tr><th scope=\"row\">all</th><td></td><td>%lld</td><td></td></tr>\n</table></div>\n", (long long)sum);
}

bool write_page(const char *path, const description *d, const options *o, const history *h, const judgement *j,
                ag_tape *tape) {
    page p = {.tape = tape, .d = d, .o = o, .h = h, .j = j};
    put(&p.t, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
              "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>");
    put_html(&p.t, o->model);
    put(&p.t, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>", style);
    put_html(&p.t, o->model);
    put(&p.t, "</h1>\n");
    put_results(&p);
    put(&p.t, "<h2>Curves</h2>\n");
    put_curves(&p, "loss", "loss", "validation loss");
    if (j->confusion) put_curves(&p, "accuracy on the validation data", "accuracy", "accuracy");
    else put_curves(&p, "R² on the validation data", "R²", "R²");
    put_curves(&p, "norms of the gradients", "gradient", "gradient");
    put_curves(&p, "rate", "rate", "rate");
    put_confusion(&p);
    put_command(&p);
    put_parameters(&p);
    put(&p.t, "</body>\n</html>\n");
    bool good = fine(tape) && write_file(path, &p.t);
    free(p.t.bytes);
    return good;
}
