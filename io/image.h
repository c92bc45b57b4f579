/* image -- pixels as image files have them */
#ifndef AG_IMAGE_H
#define AG_IMAGE_H

#include "io/input.h"

/* Rows from the top, channels last; a sample is between 0 and `most`, in one byte, or in two, the more significant
 * first. */
typedef struct ag__image {
    int64_t height, width;
    int channels;
    unsigned most;
    bool wide;
    unsigned char *sample;
    size_t bytes;
} ag__image;

enum { AG__MOST_CHANNELS = 4 };

/* Memory for all samples; false after an error, also for a shape that the file, which can unpack to at most `most`
 * bytes, cannot have. */
bool ag__image_open(ag__image *image, const ag__input *in, uint64_t most);

/* Read the file's samples; false after an error. The image's memory is freed by the caller in any case. */
bool ag__pnm_read(ag__image *image, ag__input *in);
bool ag__png_read(ag__image *image, ag__input *in);

/* Write into an open file; errors are raised on the tape. */
typedef void ag__image_writer(const ag__image *image, ag_tape *tape, FILE *file);
ag__image_writer ag__pnm_write, ag__pam_write, ag__png_write;

#endif
