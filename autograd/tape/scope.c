/* scope -- prefixes of labels
 *
 * An open scope is in the arena with the whole prefix, those of the scopes around it included, so that a label takes
 * one copy. Each begin is matched by an end, also where it was refused: a scope is then open in vain, which takes no
 * memory, and its end closes nothing. Otherwise the ends that a program writes would close other scopes than it
 * means. */
#include "autograd/tape/format.h"
#include "autograd/tape/tape.h"
#include "autograd/tape/utf8.h"

#include <string.h>

/* Code of operations that the tape calls records in the middle of something else. */
static bool within_operation(ag_tape *tape, const char *call) {
    if (tape->inside.callback == AG__OUTSIDE || tape->inside.callback == AG__FUNCTION) return false;
    if (ag__in_order(tape, call))
        ag__fail_on(tape, call, AG_ERR_TAPE, "scopes cannot change within an operation, %s", tape->inside.name);
    return true;
}

/* ---- Opening ---- */

/* The scope with "name.", or "name.number." unless the number is negative. */
static ag__scope *new_scope(ag_tape *tape, const char *call, const char *name, int64_t number) {
    char digits[24] = "";
    if (number >= 0) ag__format(digits, sizeof digits, ".%lld", (long long)number);
    size_t before = tape->scope ? tape->scope->bytes : 0, length = strlen(name), more = strlen(digits);
    size_t bytes = before + length + more + 1;
    if (bytes > AG__LONGEST_NAME) {
        ag__fail_on(tape, call, AG_ERR_RANGE, "the prefix of labels would have %zu bytes, more than %d", bytes,
                    AG__LONGEST_NAME);
        return NULL;
    }
    ag__scope *s = ag__arena(tape, sizeof *s + bytes);
    if (!s) {
        ag__fail_on(tape, call, AG_ERR_MEMORY, "out of memory (%zu bytes, for a scope)", bytes);
        return NULL;
    }
    *s = (ag__scope){.before = tape->scope, .vain_before = tape->vain_scopes, .bytes = bytes};
    if (before) memcpy(s->prefix, tape->scope->prefix, before);
    memcpy(s->prefix + before, name, length);
    memcpy(s->prefix + before + length, digits, more);
    s->prefix[bytes - 1] = '.';
    return s;
}

static bool name_valid(ag_tape *tape, const char *call, const char *name) {
    char shown[AG__SHOWN];
    if (!name) {
        ag__fail_on(tape, call, AG_ERR_NULL, "the name is NULL");
        return false;
    }
    const char *fault = ag__name_fault(name, strlen(name));
    if (fault) ag__fail_on(tape, call, AG_ERR_RANGE, "the name %s has %s", ag__shown(shown, name), fault);
    return !fault;
}

static ag_status open_scope(ag_tape *tape, const char *call, const char *name, int64_t number, bool numbered) {
    int line;
    const char *file = ag__here_file(&line);
    if (!tape) ag__fail_on(NULL, call, AG_ERR_NULL, "the tape is NULL");
    if (!tape || within_operation(tape, call)) return ag__leave(tape, file, line);
    ag__scope *s = NULL;
    if (ag__in_order(tape, call) && name_valid(tape, call, name)) {
        if (numbered && number < 0)
            ag__fail_on(tape, call, AG_ERR_RANGE, "the number is %lld: 0 or more is wanted", (long long)number);
        else s = new_scope(tape, call, name, numbered ? number : -1);
    }
    if (s) {
        s->file = file, s->line = line;
        tape->scope = s, tape->vain_scopes = 0;
        s->after = ag__position_now(tape);
    } else if (tape->vain_scopes < UINT32_MAX) tape->vain_scopes++;
    return ag__leave(tape, file, line);
}

ag_status ag_scope(ag_tape *tape, const char *name) { return open_scope(tape, "scope", name, 0, false); }

ag_status ag_scope_at(ag_tape *tape, const char *name, int64_t number) {
    return open_scope(tape, "scope_at", name, number, true);
}

/* ---- Closing ---- */

static void end(ag_tape *tape) {
    const ag__position *floor = tape->inside.floor;
    ag__scope *s = tape->scope;
    if (tape->vain_scopes) tape->vain_scopes--;
    else if (!s) ag__fail_on(tape, "scope_end", AG_ERR_TAPE, "no scope is open");
    else if (floor && !ag__is_beyond(&s->after, floor))
        ag__fail_on(tape, "scope_end", AG_ERR_TAPE, "the scope was opened before %s was called", tape->inside.name);
    else tape->scope = s->before, tape->vain_scopes = s->vain_before;
}

ag_status ag_scope_end(ag_tape *tape) {
    int line;
    const char *file = ag__here_file(&line);
    if (!tape) ag__fail_on(NULL, "scope_end", AG_ERR_NULL, "the tape is NULL");
    else if (!within_operation(tape, "scope_end")) end(tape);
    return ag__leave(tape, file, line);
}

bool ag__is_scope_open(ag_tape *tape, const char *name, const ag__position *position) {
    const ag__scope *s = tape->scope;
    if (tape->status != AG_OK || !s || !ag__is_beyond(&s->after, position)) return false;
    char text[AG__SHOWN + 1], shown[AG__SHOWN], where[120] = "";
    size_t n = s->bytes - 1 < AG__SHOWN ? s->bytes - 1 : AG__SHOWN;
    memcpy(text, s->prefix, n);
    text[n] = 0;
    if (s->file) ag__format(where, sizeof where, ", opened at %.90s:%d,", s->file, s->line);
    ag__fail_on(tape, name, AG_ERR_TAPE, "the scope %s%s is still open: ag_scope_end is wanted before the rewind",
                ag__shown(shown, text), where);
    return true;
}
