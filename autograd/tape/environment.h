/* environment -- the variables of the environment that a tape's defaults come from
 *
 * They are read whenever a tape is made, all in one pass: a search for each was half of what making one took. */
#ifndef AG_ENVIRONMENT_H
#define AG_ENVIRONMENT_H

typedef enum ag__variable_name {
    AG__VARIABLE_CHECK,
    AG__VARIABLE_COMPILE,
    AG__VARIABLE_EVAL,
    AG__VARIABLE_ISA,
    AG__VARIABLE_KERNELS,
    AG__VARIABLE_THREADS,
    AG__VARIABLE_OMP_NUM_THREADS,
    AG__VARIABLES
} ag__variable_name;

typedef struct ag__environment {
    const char *value[AG__VARIABLES]; /* NULL: not set */
} ag__environment;

ag__environment ag__environment_now(void);

#endif
