/* Windows of 8-bit pictures, mirrored and upended as asked, written side by side into one batch.
 *
 * Beyond a picture's edge there is black, or the picture folded back at its edge, the edge itself not doubled.
 */
#include <stdint.h>
#include <string.h>

/* a place on an endless line folded back into 0 .. length - 1 */
static int64_t folded(int64_t place, int64_t length) {
    if (length == 1) return 0;
    int64_t period = 2 * length - 2;
    place = (place < 0 ? -place : place) % period;
    return place < period - place ? place : period - place;
}

typedef uint8_t bytes __attribute__((vector_size(16)));

/* five pixels the other way round; they are in the bytes 1 to 15, and in 0 to 14 afterwards */
static bytes turned_five(bytes five) {
#ifdef __clang__
    return __builtin_shufflevector(five, five, 13, 14, 15, 10, 11, 12, 7, 8, 9, 4, 5, 6, 1, 2, 3, 0);
#else
    return __builtin_shuffle(five, (bytes){13, 14, 15, 10, 11, 12, 7, 8, 9, 4, 5, 6, 1, 2, 3, 0});
#endif
}

/* count pixels the other way round */
static void turned(const uint8_t *in, int64_t count, int channels, uint8_t *out) {
    if (channels == 1) {
        for (int64_t i = 0; i < count; i++) out[i] = in[count - 1 - i];
        return;
    }
    int64_t i = 0;
    /* the sixteenth byte is a neighbour's, both where it is read and where it is written; there it is written over when
     * its pixel comes */
    for (; count - i > 5; i += 5) {
        bytes five;
        memcpy(&five, in + 3 * (count - i - 5) - 1, 16);
        five = turned_five(five);
        memcpy(out + 3 * i, &five, 16);
    }
    for (; i < count; i++) memcpy(out + 3 * i, in + 3 * (count - 1 - i), 3);
}

/* one row of a window: line is the picture's row, wide its pixels, left where the window begins in it */
static void row(const uint8_t *line, int64_t wide, int64_t left, int64_t width, int channels, int mirrored, int reflect,
                uint8_t *out) {
    int64_t from = left < 0 ? -left : 0, to = wide - left < width ? wide - left : width;
    /* a window may lie wholly beside the picture */
    if (from > width) from = width;
    if (to < from) to = from;
    const uint8_t *inside = line + (left + from) * channels;
    if (mirrored)
        turned(inside, to - from, channels, out + (width - to) * channels);
    else
        memcpy(out + from * channels, inside, (to - from) * channels);
    for (int64_t x = from == 0 ? to : 0; x < width; x = x + 1 == from ? to : x + 1) {
        uint8_t *pixel = out + (mirrored ? width - 1 - x : x) * channels;
        if (reflect)
            memcpy(pixel, line + folded(left + x, wide) * channels, channels);
        else
            memset(pixel, 0, channels);
    }
}

/* store: all pictures, each (height, width, channels) from its offset on; the arrays have count elements;
 * out: uint8 (count, height, width, channels); channels 1 or 3 */
void dojang_cut(const uint8_t *store, const int64_t *offsets, const int64_t *heights, const int64_t *widths,
                const int64_t *tops, const int64_t *lefts, const uint8_t *mirrored, const uint8_t *upended,
                int64_t count, int64_t height, int64_t width, int channels, int reflect, uint8_t *out) {
    int64_t across = width * channels;
    for (int64_t i = 0; i < count; i++) {
        for (int64_t y = 0; y < height; y++, out += across) {
            int64_t place = tops[i] + (upended[i] ? height - 1 - y : y);
            if (reflect) place = folded(place, heights[i]);
            if (place < 0 || place >= heights[i])
                memset(out, 0, across);
            else
                row(store + offsets[i] + place * widths[i] * channels, widths[i], lefts[i], width, channels,
                    mirrored[i], reflect, out);
        }
    }
}
