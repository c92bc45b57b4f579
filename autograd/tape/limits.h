/* limits -- the numbers by which evaluation is divided into pieces
 *
 * They are here so that the evaluators agree on those that decide the order of a sum, and so that a build with
 * -Dlimits=tiny makes them all small: every boundary between strips, groups, chunks and threads is then crossed by
 * shapes of a few dozen elements. Each number is followed by the tiny one. Results are right with either, but differ
 * in bits, because sums are divided elsewhere. */
#ifndef AG_LIMITS_H
#define AG_LIMITS_H

#include "autograd_config.h"

#define AG__LIMIT(usual, tiny) (AG_TINY_LIMITS ? (tiny) : (usual))

enum {
    /* The order of sums: for both evaluators, the kernels of folds, machine code and matrix products. */
    AG__STRIP = AG__LIMIT(1024, 16),      /* elements computed, or folded, at a time */
    AG__ROWS_A_GROUP = AG__LIMIT(32, 4),  /* rows that are added in sequence; groups are joined pairwise */
    AG__COUNTED = AG__LIMIT(1 << 24, 64), /* elements that f32 counts one by one, for it has all numbers up to this */
    AG__LANES = AG__LIMIT(32, 8),         /* folds side by side in the fold of a strip */
    AG__CHAIN_F32 = AG__LIMIT(48, 4),     /* multiply-adds of a matrix product in sequence, */
    AG__CHAIN_F64 = AG__LIMIT(192, 6),
    AG__SMALL_SUM = AG__LIMIT(96, 12),    /* the same, at most, of products that are computed many at a time */
    AG__BLOCK = AG__LIMIT(384, 12),       /* terms that are added up in chains, at most, */
    AG__LONG_SUM = AG__LIMIT(3456, 24),   /* and in blocks; beyond that, sums are joined pairwise */
    AG__DOT_F32 = AG__LIMIT(4096, 32),    /* the same of a matrix times a vector, along rows: 16 kB of them, */
    AG__DOT_F64 = AG__LIMIT(2048, 16),    /* so that copies of two fit a small stack */
    AG__FEWEST_COLUMNS = AG__LIMIT(8, 3), /* columns that are folded side by side; fewer are folded one by one */

    /* The choice of several ways to the same bits. */
    AG__MANY_OUTPUTS = AG__LIMIT(64, 6),       /* outputs that are folded side by side even if they must be packed */
    AG__SHORT_RUN = AG__LIMIT(64, 6),          /* contiguous elements below which inputs are packed */
    AG__LEAST_COPIED = AG__LIMIT(1 << 15, 40), /* elements of a copy's share, at least */
    AG__ROWS_COPIED = AG__LIMIT(64, 3),        /* and rows */
    AG__ROWS_TURNED = AG__LIMIT(16, 3),        /* rows of a transpose from which it is turned by tiles, */
    AG__MOST_TURNED = AG__LIMIT(1 << 20, 120), /* and the most elements of these, where a region reads it */
    AG__JOINED = AG__LIMIT(4096, 24),          /* elements of a concatenation that are copied at a time */
    AG__FEW_COPIED = AG__LIMIT(4, 2),          /* elements of a row up to which rows are copied by columns */
    AG__PART_ROWS = AG__LIMIT(1024, 20), /* rows and columns of a product whose long sums are computed at a time, */
    AG__PART_COLUMNS = AG__LIMIT(2048, 40),
    AG__PACKED_COLUMNS = AG__LIMIT(2048, 48),          /* and columns of b that are packed at a time */
    AG__LEAST_PRODUCT = AG__LIMIT(64 * 64 * 128, 300), /* multiplications of each thread's share */
    AG__LEAST_VECTOR = AG__LIMIT(1 << 17, 60),         /* the same if y is a vector */
    AG__GATHERED = AG__LIMIT(192 * 1024, 200),         /* bytes of an operand that are gathered at a time */
    AG__COLUMNS_SCATTERED = AG__LIMIT(64, 4),          /* columns of each thread's share in a scatter */

    /* Regions, and their programs. */
    AG__MOST_ROW = AG__LIMIT(4096, 64),         /* columns up to which a whole row is computed at a time */
    AG__LONGEST_ROW = AG__LIMIT(65536, 192),    /* and if rows are folded, by machine code, and there are so many */
    AG__MANY_ROWS = AG__LIMIT(8, 3),            /* that each may be a share for a thread */
    AG__LONG_ROW = AG__LIMIT(512, 20),          /* bytes of a row from which a strip of machine code is one row */
    AG__LONG_ROW_DOWN = AG__LIMIT(384, 12),     /* and where columns are folded but no rows */
    AG__ROW_PART = AG__LIMIT(40 * 1024, 320),   /* bytes read and written for a row up to which it has no parts; */
    AG__ROW_STEP = AG__LIMIT(128, 16),          /* parts have a multiple of so many elements: whole lines */
    AG__ROWS_TOGETHER = 4,                      /* such rows that one piece of machine code computes, or half of them */
    AG__PAIRED = AG__LIMIT(57600, 512),         /* bytes read and written for two rows that are computed in pairs */
    AG__SLAB = AG__LIMIT(128 * 1024, 512),      /* bytes of interleaved rows that are computed at a time, about */
    AG__LEAST_ACROSS = AG__LIMIT(16, 2),        /* interleaved rows that are computed at a time, at least */
    AG__LEAST_SAMPLED = AG__LIMIT(32, 8),       /* bytes of a row from which each sample has columns of its own, */
    AG__LEAST_SAMPLE = AG__LIMIT(1 << 15, 64),  /* and bytes of a sample whose columns are folded, */
    AG__FEW_SAMPLED = AG__LIMIT(8, 2),          /* and rows of one whose columns are only read */
    AG__MOST_MEMBERS = AG__LIMIT(1000, 10),     /* nodes of one region, about */
    AG__RECENT_REGIONS = AG__LIMIT(64, 2),      /* sizes of which the latest region is remembered; a power of two */
    AG__LITTLE = AG__LIMIT(8 * 1024, 40),       /* elements up to which steps run early */
    AG__LARGE = AG__LIMIT(32 * 1024, 128),      /* elements from which regions are divided into connected parts */
    AG__LINE = 64,                              /* bytes of a cache line */
    AG__WORTH_BYTES = AG__LIMIT(16 * 1024, 64), /* from which a value may be rematerialised rather than stored: */
    AG__WORTH_ACROSS = AG__LIMIT(4 * 1024, 32), /* the same, of one of the forward pass in the backward pass */
    AG__WORTH_ROWS =
        AG__LIMIT(128 * 1024, 64),      /* bytes of a product from which its readers take some rows at a time: */
    AG__ROWS_STRIPS = AG__LIMIT(16, 2), /* so many strips, about */
    AG__SHORT_CHAIN = AG__LIMIT(4, 2),  /* by up to this many operations */
    AG__SECOND_LEVEL = AG__LIMIT(256 * 1024, 256),       /* below this many bytes, */
    AG__MEDIUM_CHAIN = AG__LIMIT(8, 4),                  /* by this many */
    AG__MEMORY = AG__LIMIT(4 * 1024 * 1024, 1024),       /* below this many, */
    AG__LONG_CHAIN = AG__LIMIT(14, 8),                   /* by this many beyond that */
    AG__PAST_CACHES = AG__LIMIT(16 * 1024 * 1024, 1024), /* bytes moved before the next reader from which a value is */
    AG__PAST_LEAST = AG__LIMIT(256 * 1024, 64),          /* written past the caches; of values of at least as many */

    /* Machine code. */
    AG__AT_ONCE = AG__LIMIT(16 * 1024, 32), /* elements from which code is made before a plan has been used twice */
    AG__MANY_ALIKE = AG__LIMIT(16, 2),      /* regions of one kind from which it is made for fewer elements */
    AG__MOST_IN_RUN = AG__LIMIT(1024, 5),   /* operations in one piece */
    AG__FEWEST_TRIED = AG__LIMIT(32, 2),    /* if it cannot be made, half of them, from more than so many on */

    /* Planning. Elements a node on average: */
    AG__CHUNK = AG__LIMIT(AG_COLLIDE ? 512 : 16384, 48), /* nodes of an evaluation that are planned together */
    AG__SCALARS = AG__LIMIT(64, 1),                      /* below which an evaluation is not even divided, */
    AG__FEW = AG__LIMIT(256, 3),                         /* below which planning never pays, */
    AG__SEVERAL = AG__LIMIT(1024, 4),                    /* below which it pays for what recurs very often, */
    AG__AT_FIRST_SIGHT = AG__LIMIT(4096, 24),            /* and from which it pays at first sight */
    AG__LITTLE_SIZE = AG__LIMIT(64, 4),    /* elements of a node up to which its value may do without a buffer, */
    AG__LITTLE_INPUTS = 2,                 /* with so many inputs at most; */
    AG__TOGETHER = AG__LIMIT(4096, 20),    /* nodes among which such are computed together, */
    AG__ALL_LITTLE = AG__LIMIT(4096, 200), /* and of an evaluation, at most: more are as quick one by one */
    AG__SEEN = AG__LIMIT(512, 4),          /* structures whose visits are counted */
    AG__NUMBERS = AG__LIMIT(256, 6),       /* distinct numbers of a chunk that may change between uses of a plan */
    AG__PLAN_BYTES = AG__LIMIT(64 * 1024 * 1024, 64 * 1024),  /* of all plans that a tape keeps */
    AG__CODE_BYTES = AG__LIMIT(32 * 1024 * 1024, 512 * 1024), /* of its machine code */

    /* Threads, and the tape. */
    AG__STEPS_A_THREAD =
        AG__LIMIT(32 * 1024, 24),    /* elementary steps that are worth another thread, a microsecond or two */
    AG__DOWN_LESS = AG__LIMIT(4, 2), /* this many steps count as one if columns are folded: threads pass the folds on */
    AG__SEGMENT = AG__LIMIT(128, 16),         /* nodes in a segment of the tape's list; */
    AG__FEW_SEGMENTS = AG__LIMIT(1024, 4),    /* segments that are allocated one by one, */
    AG__SEGMENTS_AT_ONCE = AG__LIMIT(768, 3), /* and of the others, that are allocated together */
};

_Static_assert(AG__ROWS_A_GROUP <= AG__LANES, "a fold of fewer rows than a group is in the order of a group");
_Static_assert(AG__LONG_SUM % AG__BLOCK == 0, "blocks are whole");
_Static_assert(AG__BLOCK % AG__CHAIN_F32 == 0 && AG__BLOCK % AG__CHAIN_F64 == 0, "chains are whole");
_Static_assert(AG__MOST_ROW % AG__STRIP == 0, "the strips of a row that is worked on at a time are whole");
_Static_assert(AG__LONGEST_ROW % AG__STRIP == 0 && AG__LONGEST_ROW >= AG__MOST_ROW, "the same of longer rows");
_Static_assert(AG__MOST_ROW * 8 <= AG__SLAB, "a strip has one at least of interleaved rows");
_Static_assert(AG__LANES <= AG__STRIP, "a strip has all lanes");
_Static_assert(AG__LANES >= 8 && AG__LANES % 8 == 0, "lanes are whole vectors of machine code");
_Static_assert((AG__LANES & (AG__LANES - 1)) == 0, "lanes are joined by halves");
_Static_assert(AG__LANES <= 128, "a lane's number is one signed byte of machine code");
_Static_assert((AG__STRIP & (AG__STRIP - 1)) == 0 && (AG__ROWS_A_GROUP & (AG__ROWS_A_GROUP - 1)) == 0,
               "a strip of several rows, a power of two, is part of a group or made of groups");
_Static_assert((AG__RECENT_REGIONS & (AG__RECENT_REGIONS - 1)) == 0, "a hash is cut to it");
_Static_assert(AG__LARGE > AG__LITTLE, "what runs early is not divided");

#endif
