/* types -- tapes and tensors, dtypes, statuses, shapes, axes: the types of the other public headers */
#ifndef AG_TYPES_H
#define AG_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Marks every public function: exported by the shared library, with C linkage in C++. */
#ifdef __cplusplus
#define AG_LINKAGE extern "C"
#else
#define AG_LINKAGE
#endif
#ifdef __GNUC__
#define AG_API AG_LINKAGE __attribute__((visibility("default")))
#else
#define AG_API AG_LINKAGE
#endif

#define AG_VERSION "0.1.0"
#define AG_MAX_RANK 8

/* ag_tape -- the context: owns every tensor recorded on it; tapes share nothing, so one per thread needs no lock */
typedef struct ag_tape ag_tape;

/* ag_tensor -- a recorded value; a handle that its tape owns, valid until the tape is rewound past it or freed
 * A rewound handle is refused (AG_ERR_TAPE) until a tensor is recorded in its slot: the n-th tensor after a rewind
 * takes the slot, and has the handle, of the n-th that was released. With the environment variable AG_CHECK set to "1"
 * tapes leave slots vacant, up to 262144 at a time, so that a handle kept by mistake is found. */
typedef struct ag_tensor ag_tensor;

/* ag_op -- an operation: a table entry; see autograd/entry.h */
typedef struct ag_op ag_op;

/* ag_dtype -- the type of a tensor's elements; bool is one byte, 0 or 1 */
typedef enum ag_dtype { AG_BOOL, AG_I64, AG_F32, AG_F64, AG_DTYPES } ag_dtype;

/* ag_status -- success, or the kind of a failure; the first failure sticks to the tape */
typedef enum ag_status {
    AG_OK,
    AG_ERR_NULL,     /* an argument is NULL */
    AG_ERR_SHAPE,    /* shapes, ranks or extents do not fit, or overflow */
    AG_ERR_DTYPE,    /* a dtype is not supported, or two differ */
    AG_ERR_AXIS,     /* an axis is out of range or given twice */
    AG_ERR_RANGE,    /* an index, a label or a number is out of range */
    AG_ERR_TAPE,     /* another tape's tensor, a rewound tensor, a stale mark */
    AG_ERR_NIL,      /* the nil result of an earlier failure */
    AG_ERR_GRADIENT, /* a gradient does not exist, or fails its check */
    AG_ERR_MEMORY,   /* out of memory */
    AG_ERR_FILE,     /* a file cannot be read or written, or has invalid contents */
    AG_ERR_SINGULAR, /* a matrix is singular or not positive definite, or its factorisation does not converge */
    AG_ERR_LIBRARY,  /* LAPACK or FFTW, which computes this, is not there */
    AG_ERR_LIMIT     /* a limit of the tape is reached, or it was interrupted: ag_tape_limit, ag_tape_interrupt */
} ag_status;

/* ag_shape -- extents, outermost first; passed by value, as AG_SHAPE(2, 3) or AG_SCALAR */
typedef struct ag_shape {
    int rank;
    int64_t extent[AG_MAX_RANK];
} ag_shape;

/* ag_axes -- axes, as a set or in order, negative ones counted from the end; passed as AG_AXES(0, -1) or AG_ALL_AXES */
typedef struct ag_axes {
    int count; /* -1: all of them */
    int axis[AG_MAX_RANK];
} ag_axes;

/* ag_mark -- a position on a tape, to rewind to */
typedef struct ag_mark {
    const ag_tape *tape;
    uint32_t index;
    uint64_t serial;
} ag_mark;

/* ag_allocator -- where a tape takes its memory
 * resize(ctx, p, old, new) allocates if p = NULL and frees if new = 0. It returns memory aligned to 64 bytes, or NULL,
 * and then leaves p unchanged. A new block that is not aligned is given back: AG_ERR_MEMORY. It can look at the tape
 * that calls it, which refuses everything else: AG_ERR_TAPE. */
typedef struct ag_allocator {
    void *(*resize)(void *ctx, void *p, size_t old_bytes, size_t new_bytes);
    void *ctx;
} ag_allocator;

/* ag_memory -- the memory of a tape, in bytes */
typedef struct ag_memory {
    int64_t nodes;     /* tensors recorded and not rewound */
    int64_t held;      /* taken from the allocator and not freed */
    int64_t live;      /* in values that a tensor still holds */
    int64_t peak_held; /* the largest that held and live have been */
    int64_t peak_live;
    int64_t allocations; /* the number of times that the allocator was asked for memory: constant in a steady loop */
    int64_t node_bytes;  /* in nodes, with their inputs, attributes, shapes and labels */
    int64_t plan_bytes;  /* in plans of the fused evaluator */
    int64_t peak_node_bytes;
    int64_t peak_plan_bytes;
} ag_memory;

#ifndef __cplusplus
#define AG_SHAPE(...) ((ag_shape){(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}})
#define AG_SCALAR ((ag_shape){0, {0}})
#define AG_AXES(...) ((ag_axes){(int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), {__VA_ARGS__}})
#define AG_ALL_AXES ((ag_axes){-1, {0}})
#else
#define AG_SHAPE(...) ag_cpp_shape(__VA_ARGS__)
#define AG_SCALAR (ag_shape{0, {0}})
#define AG_AXES(...) ag_cpp_axes(__VA_ARGS__)
#define AG_ALL_AXES (ag_axes{-1, {0}})
#endif

/* ag_shape_from -- a shape whose rank is known only at run time; its extents are checked where it is used
 * An invalid shape, which every function refuses with AG_ERR_SHAPE, is the result of an error.
 * Errors: AG_ERR_SHAPE unless 0 <= rank <= AG_MAX_RANK; AG_ERR_NULL for NULL extents of a rank above 0; both without
 *         tape */
AG_API ag_shape ag_shape_from(int rank, const int64_t *extent);

/* ag_axes_from -- axes whose number is known only at run time; they are checked where they are used
 * Invalid axes, which every function refuses, are the result of an error.
 * Errors: AG_ERR_AXIS unless 0 <= count <= AG_MAX_RANK; AG_ERR_NULL for NULL axes if count > 0; both without tape */
AG_API ag_axes ag_axes_from(int count, const int *axis);

/* ---- AG_SHAPE and AG_AXES in C++ ---- */

#ifdef __cplusplus

#include <type_traits>

template <typename To, typename From> constexpr To ag_cpp_whole(From number) {
    static_assert(std::is_integral<From>::value || std::is_enum<From>::value, "extents and axes must be integers");
    return static_cast<To>(number);
}

template <typename... Extents> constexpr ag_shape ag_cpp_shape(Extents... extents) {
    static_assert(sizeof...(extents) <= AG_MAX_RANK, "a shape may have at most AG_MAX_RANK extents");
    return ag_shape{static_cast<int>(sizeof...(extents)), {ag_cpp_whole<int64_t>(extents)...}};
}

template <typename... Axes> constexpr ag_axes ag_cpp_axes(Axes... axes) {
    static_assert(sizeof...(axes) <= AG_MAX_RANK, "there may be at most AG_MAX_RANK axes");
    return ag_axes{static_cast<int>(sizeof...(axes)), {ag_cpp_whole<int>(axes)...}};
}
#endif

#endif
