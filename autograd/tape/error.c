/* error -- one sticky error a tape, the first
 *
 * Every failure passes through raise(): set a breakpoint there. A failure needs no memory: the text lives in the
 * tape. An error without a tape (a NULL tape, an operation on NULL alone) is kept for the thread. */
#include "autograd/tape/format.h"
#include "autograd/tape/tape.h"
#include "autograd/tape/utf8.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

static _Thread_local struct {
    ag_status status;
    bool located;
    char text[AG__ERROR_SIZE];
} orphan;

static _Thread_local struct {
    const char *file;
    int line;
} here;

static const ag_tensor orphan_nil = {.flags = AG__NIL, .dtype = AG_F64};

ag_tensor *ag__nil_of(ag_tape *tape) { return tape ? tape->nil : (ag_tensor *)(uintptr_t)&orphan_nil; }

/* A text under construction, cut off where the room ends. */
typedef struct text {
    char *to;
    size_t room, used;
} text;

#ifdef __GNUC__
static void put(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
#endif

static void put_list(text *t, const char *format, va_list args) {
    int n = ag__format_list(t->to + t->used, t->room - t->used, format, args);
    if (n > 0) t->used = t->used + (size_t)n < t->room ? t->used + (size_t)n : t->room - 1;
}

static void put(text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    put_list(t, format, args);
    va_end(args);
}

/* At most `most` bytes of s. */
static void put_part(text *t, const char *s, size_t most) {
    const size_t room = t->room - 1 - t->used;
    char *to = t->to + t->used, *end = to + (most < room ? most : room);
    while (to < end && *s) *to++ = *s++; /* most are of one or two bytes, which a call takes longer for */
    *to = 0;
    t->used = (size_t)(to - t->to);
}

static void put_text(text *t, const char *s) { put_part(t, s, t->room); }

enum { SHOWN = 4 };

/* The first of the inputs that the caller may have given; returns how many there are. */
static int given(int n, ag_tensor *const x[], ag_tensor *shown[SHOWN]) {
    int m = 0;
    for (int i = 0; i < n; i++) {
        if (x[i] && x[i]->op && x[i]->op->flags & AG__INNER) continue;
        if (m < SHOWN) shown[m] = x[i];
        m++;
    }
    return m;
}

/* "a (3,4) and b (5,6)"; labels replace the letters, cut so that the rest has room. */
static void put_inputs(text *t, int n, ag_tensor *const all[]) {
    ag_tensor *x[SHOWN];
    n = given(n, all, x);
    for (int i = 0; i < n && i < SHOWN; i++) {
        const ag_tensor *a = x[i];
        const bool known = a && !(a->flags & (AG__NIL | AG__STALE));
        const char letter[2] = {(char)(n == 1 ? 'x' : 'a' + i), 0};
        put_text(t, i == 0 ? "" : i + 1 == n ? " and " : ", ");
        put_part(t, known && ag__about(a)->label ? ag__about(a)->label : letter, 60);
        put_text(t, " ");
        if (!known) {
            put_text(t, a ? a->flags & AG__NIL ? "nil" : "rewound" : "NULL");
            continue;
        }
        char extents[AG__EXTENTS];
        if (a->dtype != AG_F64) put_text(t, ag_dtype_name((ag_dtype)a->dtype)), put_text(t, " ");
        put_text(t, "(");
        put_text(t, ag__format_extents(extents, a->layout->rank, a->layout->extent));
        put_text(t, ")");
    }
    if (n > SHOWN) put(t, " and %d more", n - SHOWN);
}

static bool is_closed(const ag_tape *tape) { return tape->inside.callback >= AG__NOTATION; }

/* The memory for the text of a new error; NULL if there is an error already. */
static char *raise(ag_tape *tape, ag_status status) {
    if (!tape) {
        if (status == AG_ERR_NIL && orphan.status != AG_OK) return NULL; /* the error that made that nil says more */
        orphan.status = status;
        orphan.located = false;
        return orphan.text;
    }
    if (is_closed(tape) && !tape->trespassed) tape->trespassed = true; /* its status only says that it is closed */
    else if (tape->status != AG_OK) return NULL;
    tape->status = status;
    tape->located = false;
    return tape->error;
}

AG__ALWAYS_INLINE ag_tape *tape_of_any(int n, ag_tensor *const x[]) {
    for (int i = 0; i < n; i++)
        if (x[i] && x[i]->tape) return x[i]->tape;
    return NULL;
}

/* Why memory, or a tensor, lacks. */
static void put_refusal(text *t, const ag_tape *tape) {
    if (tape->refused == AG__UNALIGNED)
        put_text(t, ": the tape's allocator returns memory that is not aligned to 64 bytes");
    else if (tape->refused == AG__BYTES)
        put(t, ": the limit is %lld bytes, of which %lld are held", (long long)tape->most_bytes,
            (long long)tape->memory.held);
    else put(t, ": the limit is %lld tensors", (long long)tape->most_nodes);
}

/* `part`: that the failure is in; or NULL. */
static void raise_about(ag_tape *tape, const ag_tensor *part, const char *name, int n, ag_tensor *const x[],
                        ag_status status, const char *format, va_list args) {
    const bool refused = status == AG_ERR_MEMORY && tape && tape->refused != AG__NOTHING;
    char *to = raise(tape, refused && tape->refused != AG__UNALIGNED ? AG_ERR_LIMIT : status);
    if (!to) return;
    text t = {to, AG__ERROR_SIZE, 0};
    if (part && ag__about(part)->label) put_part(&t, ag__about(part)->label, 100), put_text(&t, ": ");
    put_text(&t, name);
    put_text(&t, ": ");
    if (n > 0) {
        put_inputs(&t, n, x);
        put_text(&t, ": ");
    }
    put_list(&t, format, args);
    if (refused) put_refusal(&t, tape);
    ag__make_plain(to); /* labels and names are the program's, or a file's, and some are cut off within a character */
}

ag_tensor *ag__fail(const char *name, int n, ag_tensor *const x[], ag_status status, const char *format, ...) {
    ag_tape *tape = tape_of_any(n, x);
    va_list args;
    va_start(args, format);
    raise_about(tape, tape ? tape->part : NULL, name, n, x, status, format, args);
    va_end(args);
    return ag__nil_of(tape);
}

ag_tensor *ag__fail_on(ag_tape *tape, const char *name, ag_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    raise_about(tape, tape ? tape->part : NULL, name, 0, NULL, status, format, args);
    va_end(args);
    return ag__nil_of(tape);
}

bool ag_reject(const ag_infer *r, ag_status status, const char *format, ...) {
    if (!r) return false;
    va_list args;
    va_start(args, format);
    raise_about(r->tape, r->tape ? r->tape->part : NULL, r->op && r->op->name ? r->op->name : "infer", r->x ? r->n : 0,
                r->x, status, format, args);
    va_end(args);
    return false;
}

/* The first of several threads raises the error; none waits, so that no lock can be held at a fork. */
bool ag_call_fail(const ag_call *call, ag_status status, const char *format, ...) {
    if (!call || !call->node) return false;
    const ag_tensor *t = call->node;
    if (atomic_exchange(&t->tape->failing, true)) return false;
    bool first = t->tape->status == AG_OK;
    va_list args;
    va_start(args, format);
    raise_about(t->tape, ag__part_node(t), t->op->name, t->arity, t->input, status, format, args);
    va_end(args);
    if (first && ag__about(t)->file) ag__locate(t->tape, ag__about(t)->file, ag__about(t)->line);
    return false;
}

/* ---- Locations ---- */

static void append_location(char *message, bool *located, const char *file, int line) {
    text t = {message, AG__ERROR_SIZE, strlen(message)};
    char location[200];
    ag__format(location, sizeof location, " [%s%s:%d]", strlen(file) > 150 ? "…" : "",
               strlen(file) > 150 ? file + strlen(file) - 150 : file, line);
    if (t.used + strlen(location) >= t.room) t.used = t.room - 1 - strlen(location);
    put_text(&t, location);
    *located = true;
}

void ag__locate(ag_tape *tape, const char *file, int line) {
    if (!file) return;
    if (tape && tape->status != AG_OK && !tape->located) append_location(tape->error, &tape->located, file, line);
    if (!tape && orphan.status != AG_OK && !orphan.located) append_location(orphan.text, &orphan.located, file, line);
}

/* Locate the nodes that this call recorded, and those before them that have no location yet. Versions have their
 * variable's. Within a vjp nodes begin with the location of its operation, before which its own calls have
 * precedence. */
static void locate_recorded(ag_tape *tape, const char *file, int line) {
    for (uint32_t i = tape->unplaced; i < tape->count; i++) {
        if (i >= tape->placed.from && i < tape->placed.to) {
            i = tape->placed.to - 1;
            continue;
        }
        const ag_tensor *t = ag__node(tape, i);
        ag__about_node *about = ag__about(t);
        if (about->file && (!tape->fresh.file || t->flags & AG__READ)) continue;
        about->file = file;
        about->line = line;
    }
    tape->unplaced = tape->count;
}

ag_tensor *ag_located(ag_tensor *x, const char *file, int line) {
    ag_tape *tape = x ? x->tape : NULL;
    if (!tape || tape->status != AG_OK) ag__locate(tape, file, line);
    else locate_recorded(tape, file, line);
    return x;
}

void ag_here(const char *file, int line) {
    here.file = file;
    here.line = line;
}

const char *ag_caller(int *line) {
    if (line) return ag__here_file(line);
    int unused;
    return ag__here_file(&unused);
}

const char *ag__here_file(int *line) {
    const char *file = here.file;
    *line = here.line;
    here.file = NULL;
    return file;
}

ag_status ag__leave(ag_tape *tape, const char *file, int line) {
    if (tape && file && tape->status == AG_OK) locate_recorded(tape, file, line);
    ag__locate(tape, file, line);
    return ag_tape_status(tape);
}

/* ---- Reading the error ---- */

ag_status ag_tape_status(const ag_tape *tape) { return tape ? tape->status : orphan.status; }

/* The place of the text whether there is one or not: so an error that arises beside this call is seen too, as by
 * printf("%g %s", ag_item(x), ag_tape_error(tape)), whose arguments are computed in any order. */
const char *ag_tape_error(const ag_tape *tape) { return tape ? tape->error : orphan.text; }

void ag_clear_error(ag_tape *tape) {
    if (tape && is_closed(tape)) ag__refused_inside(tape, "clear_error", AG__NOTATION);
    else if (tape) {
        tape->status = AG_OK, *tape->error = 0;
        atomic_exchange_explicit(&tape->interrupted, false, memory_order_relaxed);
    } else orphan.status = AG_OK, *orphan.text = 0;
}

const char *ag_status_name(ag_status status) {
    static const char *const names[] = {
        [AG_OK] = "AG_OK",
        [AG_ERR_NULL] = "AG_ERR_NULL",
        [AG_ERR_SHAPE] = "AG_ERR_SHAPE",
        [AG_ERR_DTYPE] = "AG_ERR_DTYPE",
        [AG_ERR_AXIS] = "AG_ERR_AXIS",
        [AG_ERR_RANGE] = "AG_ERR_RANGE",
        [AG_ERR_TAPE] = "AG_ERR_TAPE",
        [AG_ERR_NIL] = "AG_ERR_NIL",
        [AG_ERR_GRADIENT] = "AG_ERR_GRADIENT",
        [AG_ERR_MEMORY] = "AG_ERR_MEMORY",
        [AG_ERR_FILE] = "AG_ERR_FILE",
        [AG_ERR_SINGULAR] = "AG_ERR_SINGULAR",
        [AG_ERR_LIBRARY] = "AG_ERR_LIBRARY",
        [AG_ERR_LIMIT] = "AG_ERR_LIMIT",
    };
    size_t i = (size_t)status;
    return i < sizeof names / sizeof *names ? names[i] : "AG_ERR_?";
}

/* ---- Within the user's own code ---- */

static void raise_inside(ag_tape *tape, const char *name, const char *what) {
    static const char *const callbacks[] = {"",         "infer", "vjp",    "function", "eval",
                                            "notation", "trace", "sample", "resize"};
    const ag__within *i = &tape->inside;
    ag__fail_on(tape, name, AG_ERR_TAPE, "within the %s of %s %s", callbacks[i->callback], i->name, what);
}

bool ag__refused_inside(ag_tape *tape, const char *name, ag__callback from) {
    if (tape->inside.callback < from) return false;
    raise_inside(tape, name,
                 is_closed(tape)                     ? "the tape can only be looked at"
                 : tape->inside.callback == AG__EVAL ? "the tape that is being evaluated is still needed"
                                                     : "the tape is still needed");
    return true;
}

bool ag__in_order(ag_tape *tape, const char *name) {
    if (tape->status == AG_OK) return true;
    if (is_closed(tape) && !tape->trespassed) raise_inside(tape, name, "the tape can only be looked at");
    return false;
}

ag__closed ag__close(ag_tape *tape, ag__callback callback, const char *name) {
    ag__closed former = {tape->inside, tape->status};
    tape->inside = (ag__within){.callback = callback, .name = name};
    if (tape->status != AG_OK) return former;
    static const char closed[] = "the tape is in use: code that it calls can only look at it";
    tape->status = AG_ERR_TAPE;
    tape->located = true;
    memcpy(tape->error, closed, sizeof closed);
    return former;
}

void ag__reopen(ag_tape *tape, ag__closed former) {
    tape->inside = former.inside;
    if (!tape->trespassed && former.status == AG_OK) tape->status = AG_OK, *tape->error = 0;
    if (!is_closed(tape)) tape->trespassed = false;
}

/* ---- Checking inputs ---- */

static const char *const ordinal[] = {"first", "second", "third", "fourth"};

bool ag__inputs_usable(const char *name, int n, ag_tensor *const x[], ag_tensor **nil) {
    ag_tape *tape = tape_of_any(n, x);
    *nil = ag__nil_of(tape);
    if (tape && !ag__in_order(tape, name)) return false;
    for (int i = 0; i < n; i++) {
        const ag_tensor *a = x[i];
        if (a && a->tape == tape && !(a->flags & (AG__NIL | AG__STALE))) continue;
        const char *which = n == 1 ? "the" : i < 4 ? ordinal[i] : "an";
        if (!a) ag__fail(name, n, x, AG_ERR_NULL, "%s input is NULL", which);
        else if (a->flags & AG__NIL)
            ag__fail(name, n, x, AG_ERR_NIL, "%s input is the nil result of an earlier error", which);
        else if (a->flags & AG__STALE) ag__fail(name, n, x, AG_ERR_TAPE, "%s input was released by a rewind", which);
        else ag__fail(name, n, x, AG_ERR_TAPE, "%s input is on another tape", which);
        return false;
    }
    return true;
}

bool ag__usable(const char *what, const ag_tensor *x) {
    ag_tensor *nil, *in = (ag_tensor *)(uintptr_t)x;
    return ag__inputs_usable(what, 1, &in, &nil);
}
