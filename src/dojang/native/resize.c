/* Pillow's 8-bit resize of an RGB picture, bit for bit, on vectors.
 *
 * Pillow (src/libImaging/Resample.c) goes along the rows first, then down the columns, rounds to 8 bits between the two,
 * and weighs with whole numbers of 22 bits.  Here the same sums are made for 16 rows side by side, then for a whole row
 * of columns side by side; sums of whole numbers do not depend on their order.  Weights are computed as there, in
 * double; compile with -ffp-contract=off, or a fused multiply-add would round them otherwise.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BITS 22
#define ROWS 16

/* the Arrow C data interface, https://arrow.apache.org/docs/format/CDataInterface.html */
struct ArrowArray {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

static double bilinear(double x) {
    if (x < 0.0) x = -x;
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double bicubic(double x) {
    const double a = -0.5;
    if (x < 0.0) x = -x;
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

/* Pillow keeps the ends in float, and subtracts them so.
 * first input and number of inputs of each output in bounds, their weights in (out, *taps) */
static int32_t *weigh(int in, float from, float to, int out, int cubic, int *bounds, int *taps) {
    double (*filter)(double) = cubic ? bicubic : bilinear;
    double scale = (double)(to - from) / out, wide = scale < 1.0 ? 1.0 : scale, support = (cubic ? 2.0 : 1.0) * wide;
    int most = (int)ceil(support) * 2 + 1;
    int32_t *whole = malloc((size_t)out * most * sizeof(int32_t));
    double *share = malloc(most * sizeof(double));
    if (!whole || !share) {
        free(whole);
        free(share);
        return NULL;
    }
    for (int i = 0; i < out; i++) {
        double center = from + (i + 0.5) * scale, sum = 0.0, step = 1.0 / wide;
        int first = (int)(center - support + 0.5), last = (int)(center + support + 0.5);
        if (first < 0) first = 0;
        if (last > in) last = in;
        int count = last - first;
        for (int t = 0; t < count; t++) {
            share[t] = filter((t + first - center + 0.5) * step);
            sum += share[t];
        }
        for (int t = 0; t < count; t++) {
            double one = sum != 0.0 ? share[t] / sum : share[t];
            whole[(size_t)i * most + t] = (int)((one < 0 ? -0.5 : 0.5) + one * (1 << BITS));
        }
        bounds[2 * i] = first;
        bounds[2 * i + 1] = count;
    }
    free(share);
    *taps = most;
    return whole;
}

static inline uint8_t level(int32_t sum) {
    sum >>= BITS;
    return sum < 0 ? 0 : sum > 255 ? 255 : sum;
}

/* (height, width, RGBX) to (rows, across, RGB): rows from first on, each output column a weighted sum of columns */
static void along(const uint8_t *in, int width, int first, int rows, uint8_t *out, int across, const int *bounds,
                  const int32_t *weights, int taps, uint32_t *turned) {
    for (int top = 0; top < rows; top += ROWS) {
        int some = rows - top < ROWS ? rows - top : ROWS;
        for (int r = 0; r < ROWS; r++) {
            /* past the last row the last one is read again; nothing is made of it */
            const uint8_t *line = in + (size_t)(first + top + (r < some ? r : some - 1)) * width * 4;
            for (int x = 0; x < width; x++) memcpy(&turned[x * ROWS + r], line + 4 * x, 4);
        }
        for (int i = 0; i < across; i++) {
            int32_t sum[ROWS * 4];
            uint8_t done[ROWS * 4];
            for (int j = 0; j < ROWS * 4; j++) sum[j] = 1 << (BITS - 1);
            for (int t = 0; t < bounds[2 * i + 1]; t++) {
                const uint8_t *column = (const uint8_t *)&turned[(bounds[2 * i] + t) * ROWS];
                int32_t weight = weights[(size_t)i * taps + t];
                for (int j = 0; j < ROWS * 4; j++) sum[j] += column[j] * weight;
            }
            for (int j = 0; j < ROWS * 4; j++) done[j] = level(sum[j]);
            for (int r = 0; r < some; r++) memcpy(out + ((size_t)(top + r) * across + i) * 3, done + 4 * r, 3);
        }
    }
}

/* (., wide) to (down, wide): each output row a weighted sum of rows */
static void down_columns(const uint8_t *in, int wide, uint8_t *out, int down, const int *bounds, const int32_t *weights,
                         int taps, int first) {
    enum { PART = 256 };
    for (int i = 0; i < down; i++) {
        const uint8_t *row = in + (size_t)(bounds[2 * i] - first) * wide;
        for (int left = 0; left < wide; left += PART) {
            int some = wide - left < PART ? wide - left : PART;
            int32_t sum[PART];
            for (int j = 0; j < some; j++) sum[j] = 1 << (BITS - 1);
            for (int t = 0; t < bounds[2 * i + 1]; t++) {
                const uint8_t *from = row + (size_t)t * wide + left;
                int32_t weight = weights[(size_t)i * taps + t];
                for (int j = 0; j < some; j++) sum[j] += from[j] * weight;
            }
            for (int j = 0; j < some; j++) out[(size_t)i * wide + left + j] = level(sum[j]);
        }
    }
}

/* the pixels of Pillow's export of an RGB image, 4 bytes each; NULL when there are not so many in one piece */
static const uint8_t *pixels(const struct ArrowArray *array, int64_t count) {
    if (array->length != count || array->offset || array->n_children != 1) return NULL;
    const struct ArrowArray *bytes = array->children[0];
    if (bytes->length != 4 * count || bytes->offset || bytes->n_buffers != 2) return NULL;
    return bytes->buffers[1];
}

typedef uint8_t four __attribute__((vector_size(16)));

/* three of every four bytes, of four pixels; what is in the last four bytes does not matter */
static four packed(four pixels) {
#ifdef __clang__
    return __builtin_shufflevector(pixels, pixels, 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 0, 0, 0, 0);
#else
    return __builtin_shuffle(pixels, (four){0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14});
#endif
}

/* a picture that keeps its size: 0, or 2 as below; out: uint8 (count, 3) */
int dojang_copy_rgb(const struct ArrowArray *array, int64_t count, uint8_t *out) {
    const uint8_t *in = pixels(array, count);
    if (!in) return 2;
    int64_t i = 0;
    /* sixteen bytes are written for twelve; the next pixels are written over the other four */
    for (; count - i > 5; i += 4) {
        four some;
        memcpy(&some, in + 4 * i, 16);
        some = packed(some);
        memcpy(out + 3 * i, &some, 16);
    }
    for (; i < count; i++) memcpy(out + 3 * i, in + 4 * i, 3);
    return 0;
}

/* 0; 1 without memory; 2 when the pixels are not (height * width) of 4 bytes each; 3 for what Pillow, since version 13,
 * resizes down the columns first, where rounding between the two gives other levels.
 * array: Pillow's export of an RGB image; out: uint8 (down, across, 3); box: left, top, right, bottom.  A side that is
 * neither cut nor scaled is weighed too, each pixel with one weight of 1, which leaves it as it is. */
int dojang_resize_rgb(const struct ArrowArray *array, int height, int width, uint8_t *out, int down, int across,
                      const float *box, int cubic) {
    if (height > down && height - down > 2 * ((int64_t)width - across)) return 3;
    const uint8_t *in = pixels(array, (int64_t)height * width);
    if (!in) return 2;
    int taps_x, taps_y, failed = 1;
    int *bounds = malloc(((size_t)across + down) * 2 * sizeof(int)), *bounds_y = bounds + 2 * (size_t)across;
    int32_t *weights_x = NULL, *weights_y = NULL;
    uint32_t *turned = malloc((size_t)width * ROWS * 4);
    uint8_t *middle = NULL;
    if (bounds && turned && (weights_x = weigh(width, box[0], box[2], across, cubic, bounds, &taps_x)) &&
        (weights_y = weigh(height, box[1], box[3], down, cubic, bounds_y, &taps_y))) {
        int first = bounds_y[0], rows = bounds_y[2 * down - 2] + bounds_y[2 * down - 1] - first;
        if ((middle = malloc((size_t)rows * across * 3))) {
            along(in, width, first, rows, middle, across, bounds, weights_x, taps_x, turned);
            down_columns(middle, across * 3, out, down, bounds_y, weights_y, taps_y, first);
            failed = 0;
        }
    }
    free(middle);
    free(turned);
    free(weights_x);
    free(weights_y);
    free(bounds);
    return failed;
}

/* adds the levels of a cut, and their squares, to those of each channel, 1 or 3; line: bytes from row to row */
void dojang_sums(const uint8_t *in, int64_t line, int64_t height, int64_t width, int64_t channels, int64_t *sums,
                 int64_t *squares) {
    /* a multiple of 3 and of 1 long, so that a lane has one channel in every part of a row */
    enum { PART = 192 };
    for (int64_t left = 0; left < width * channels; left += PART) {
        int some = width * channels - left < PART ? (int)(width * channels - left) : PART;
        /* 65,536 rows of the square of 255 still fit */
        for (int64_t top = 0; top < height; top += 65536) {
            uint32_t sum[PART] = {0}, square[PART] = {0};
            int64_t last = height - top < 65536 ? height : top + 65536;
            for (int64_t y = top; y < last; y++) {
                const uint8_t *row = in + y * line + left;
                for (int j = 0; j < some; j++) {
                    sum[j] += row[j];
                    square[j] += (uint32_t)row[j] * row[j];
                }
            }
            for (int j = 0; j < some; j++) {
                sums[j % channels] += sum[j];
                squares[j % channels] += square[j];
            }
        }
    }
}
