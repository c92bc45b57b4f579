/* image -- pixels as image files have them */
#include "io/image.h"
#include "autograd/tape/op.h"

bool ag__image_open(ag__image *image, const ag__input *in, uint64_t most) {
    ag_shape shape = AG_SHAPE(image->height, image->width, image->channels);
    int64_t size;
    const char *why;
    if (!ag__shape_valid(&shape, &size, &why)) return ag__input_wrong(in, "its shape has %s", why);
    uint64_t bytes = (uint64_t)size << image->wide;
    if (size == 0) return ag__input_wrong(in, "the image has no pixels");
    if (bytes > most)
        return ag__input_wrong(in, "its shape takes %llu bytes, and the file has no more than %llu",
                               (unsigned long long)bytes, (unsigned long long)most);
    image->sample = ag__input_memory(in, bytes);
    image->bytes = (size_t)bytes;
    return image->sample;
}
