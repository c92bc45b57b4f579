/* settings -- a tape's settings, random seeds, and the memory it takes */
#include "autograd/tape/environment.h"
#include "autograd/tape/tape.h"

#include <string.h>

bool ag_tape_set_recording(ag_tape *tape, bool recording) {
    if (!tape) return false;
    bool former = tape->recording;
    if (former != recording) tape->off_since = recording ? UINT32_MAX : tape->count;
    tape->recording = recording;
    return former;
}

ag_tensor *ag_tape_set_part(ag_tape *tape, ag_tensor *part) {
    if (!tape) return NULL;
    ag_tensor *former = tape->part;
    ag__set_part(tape, ag_is_nil(part) || part->tape != tape ? NULL : part);
    return former;
}

int ag_tape_set_threads(ag_tape *tape, int threads) {
    if (!tape) return 0;
    if (threads == 0) {
        const ag__environment now = ag__environment_now();
        tape->threads = ag__wanted_threads(&now);
        if (tape->threads == 0) tape->threads = ag__count_processors();
    }
    if (threads > 0) tape->threads = threads < AG__MOST_THREADS ? threads : AG__MOST_THREADS;
    return ag__threads_of(tape);
}

ag_status ag_tape_limit(ag_tape *tape, int64_t bytes, int64_t nodes, double seconds) {
    int line;
    const char *file = ag__here_file(&line);
    if (!tape) ag__fail_on(NULL, "tape_limit", AG_ERR_NULL, "the tape is NULL");
    else if (!(bytes >= 0 && nodes >= 0 && seconds >= 0))
        ag__fail_on(tape, "tape_limit", AG_ERR_RANGE, "%lld bytes, %lld tensors, %g seconds: none may be negative",
                    (long long)bytes, (long long)nodes, seconds);
    else if (!ag__refused_inside(tape, "tape_limit", AG__INFER)) {
        tape->most_bytes = bytes > 0 ? bytes : INT64_MAX;
        tape->most_nodes = nodes > 0 && nodes < UINT32_MAX ? (uint32_t)nodes : UINT32_MAX;
        ag__set_time(tape, seconds);
        ag__find_end(tape);
    }
    return ag__leave(tape, file, line);
}

void ag_tape_seed(ag_tape *tape, uint64_t seed) {
    if (!tape) return;
    tape->seed = seed;
    tape->draws = 0;
}

uint64_t ag__next_draw(const ag_tape *tape, uint64_t *seed) {
    *seed = tape->seed;
    return tape->draws;
}

void ag__draw_taken(ag_tape *tape) { tape->draws++; }

ag_memory ag_tape_memory(const ag_tape *tape) {
    if (!tape) return (ag_memory){0};
    ag_memory m = tape->memory;
    m.nodes = tape->count - tape->vacant;
    m.node_bytes = ag__arena_bytes(tape);
    if (m.peak_node_bytes < m.node_bytes) m.peak_node_bytes = m.node_bytes;
    return m;
}

void ag_tape_reset_peaks(ag_tape *tape) {
    if (!tape) return;
    ag_memory m = ag_tape_memory(tape);
    tape->memory.peak_held = m.held;
    tape->memory.peak_live = m.live;
    tape->memory.peak_node_bytes = m.node_bytes;
    tape->memory.peak_plan_bytes = m.plan_bytes;
}

void ag_tape_trim(ag_tape *tape) {
    int line;
    const char *file = ag__here_file(&line);
    if (!tape) return;
    if (ag__refused_inside(tape, "tape_trim", AG__EVAL)) {
        ag__locate(tape, file, line);
        return;
    }
    ag__node_marks_free(tape);
    ag__own_node_marks(tape);
    ag__collect_loans(tape);
    ag__heap_trim(tape);
    ag__arena_trim(tape);
    ag__nodes_trim(tape);
}

void *ag_tape_alloc(ag_tape *tape, size_t bytes) {
    int line;
    const char *file = ag__here_file(&line);
    void *p = NULL;
    if (!tape) ag__fail_on(NULL, "tape_alloc", AG_ERR_NULL, "the tape is NULL");
    else if (ag__in_order(tape, "tape_alloc") && !ag__refused_inside(tape, "tape_alloc", AG__EVAL)) {
        p = ag__arena(tape, bytes ? bytes : 1);
        if (!p) ag__fail_on(tape, "tape_alloc", AG_ERR_MEMORY, "out of memory (%zu bytes)", bytes);
    }
    ag__leave(tape, file, line);
    return p ? memset(p, 0, bytes) : NULL;
}
