/* Pooling, batch normalisation and activation in as few passes over memory as there can be, forward and backward.

   Maps are channels-last: element (b, y, x, c) lies at ((b * height + y) * width + x) * channels + c.  They are bf16
   where this file is compiled with -DBF16, else fp32; all arithmetic is fp32.  Loops run over channels innermost, so
   that a compiler vectorises them.  Sums are made over groups of pictures, which do not depend on the number of threads,
   and added up in their order: neither do the bits.  The same in torch, the oracle of the tests, is in blocks.py. */

#include <math.h>
#include <stdint.h>

enum { RELU, GELU, SILU, NONE };

#define INLINE static inline __attribute__((always_inline))

#ifdef BF16
typedef uint16_t element;

INLINE float get(element h) {
    union { uint32_t u; float f; } v = {(uint32_t)h << 16};
    return v.f;
}

/* to nearest, ties to even */
INLINE element put(float f) {
    union { float f; uint32_t u; } v = {f};
    return (element)((v.u + 0x7fffu + ((v.u >> 16) & 1u)) >> 16);
}
#else
typedef float element;
INLINE float get(element f) { return f; }
INLINE element put(float f) { return f; }
#endif

/* by the bits: compiled so that floats need not be compared as if they could be NaN, which costs half of the speed */
INLINE uint32_t size_bits(float f) {
    union { float f; uint32_t u; } v = {f};
    return v.u & 0x7fffffffu;
}

INLINE int is_nan(float f) { return size_bits(f) > 0x7f800000u; }

/* f, or NaN where the bits of some number's size are those of NaN */
INLINE float or_nan(float f, uint32_t bits) {
    union { float f; uint32_t u; } v = {f};
    v.u = bits > 0x7f800000u ? 0x7fc00000u : v.u;
    return v.f;
}

/* e^x to about 2 units in the last place, cut off beyond +-87: a polynomial on the remainder of x / ln 2.
   Source: the coefficients of expf in the Cephes library, S. Moshier. */
INLINE float exponential(float x) {
    x = x > 87.0f ? 87.0f : x;
    x = x < -87.0f ? -87.0f : x;
    /* adding 1.5 * 2^23 rounds to a whole number, which then stands in the low bits */
    union { float f; int32_t i; } n = {x * 1.44269504f + 12582912.0f};
    float whole = n.f - 12582912.0f;
    float r = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    union { int32_t i; float f; } scale = {(n.i - 0x4b400000 + 127) * (1 << 23)};
    return p * scale.f;
}

INLINE float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

/* GELU in its tanh form is z * sigmoid(2 sqrt(2 / pi) (z + 0.044715 z^3)): Hendrycks and Gimpel, arXiv:1606.08415 */
#define GELU_A 1.5957691216f
#define GELU_B 0.0713548163f

INLINE float activated(float z, const int act) {
    if (act == GELU) return z * sigmoid(z * (GELU_A + GELU_B * z * z));
    if (act == SILU) return z * sigmoid(z);
    if (act == RELU) return or_nan(z > 0.0f ? z : 0.0f, size_bits(z));
    return z;
}

INLINE float slope(float z, const int act) {
    if (act == GELU) {
        float s = sigmoid(z * (GELU_A + GELU_B * z * z));
        return s + z * s * (1.0f - s) * (GELU_A + 3.0f * GELU_B * z * z);
    }
    if (act == SILU) {
        float s = sigmoid(z);
        return s + z * s * (1.0f - s);
    }
    if (act == RELU) return z > 0.0f ? 1.0f : 0.0f;
    return 1.0f;
}

/* 2x2 max-pooling at stride 2 of a (batch, height, width, channels) map into `pooled`, with the place of each maximum
   (0 to 3) in `place`; where pool is 1 nothing is pooled and neither is written.  Adds up the channels either way, over
   `group` pictures at a time: sums[b / group][0][c] of the (pooled) maps, sums[b / group][1][c] of their squares.
   A NaN wins, as in torch. */
void pool_sums(const element *map, int64_t batch, int64_t height, int64_t width, int64_t channels, int pool,
               element *pooled, uint8_t *place, int64_t group, float *sums, int threads) {
    int64_t rows = height / pool, columns = width / pool;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t first = 0; first < batch; first += group) {
        float *restrict sum = sums + first / group * 2 * channels, *restrict squares = sum + channels;
        int64_t last = first + group < batch ? first + group : batch;
        for (int64_t c = 0; c < channels; c++) sum[c] = squares[c] = 0.0f;
        for (int64_t line = first * rows; line < last * rows; line++) {
            int64_t b = line / rows, y = line % rows;
            for (int64_t x = 0; x < columns; x++) {
                int64_t to = (line * columns + x) * channels;
                if (pool == 1) {
                    const element *restrict in = map + to;
#pragma omp simd
                    for (int64_t c = 0; c < channels; c++) {
                        float v = get(in[c]);
                        sum[c] += v;
                        squares[c] += v * v;
                    }
                    continue;
                }
                const element *restrict upper = map + ((b * height + 2 * y) * width + 2 * x) * channels;
                const element *restrict lower = upper + width * channels;
                element *restrict out = pooled + to;
                uint8_t *restrict where = place + to;
#pragma omp simd
                for (int64_t c = 0; c < channels; c++) {
                    float best = get(upper[c]), next;
                    uint32_t bits = size_bits(best), more;
                    int32_t index = 0;
                    next = get(upper[channels + c]);
                    index = next > best ? 1 : index;
                    best = next > best ? next : best;
                    more = size_bits(next);
                    bits = more > bits ? more : bits;
                    next = get(lower[c]);
                    index = next > best ? 2 : index;
                    best = next > best ? next : best;
                    more = size_bits(next);
                    bits = more > bits ? more : bits;
                    next = get(lower[channels + c]);
                    index = next > best ? 3 : index;
                    best = next > best ? next : best;
                    more = size_bits(next);
                    bits = more > bits ? more : bits;
                    best = or_nan(best, bits);
                    out[c] = put(best);
                    where[c] = (uint8_t)index;
                    sum[c] += best;
                    squares[c] += best * best;
                }
            }
        }
    }
}

/* From the sums of a map and of its squares to normalisation as one multiplication and one addition a channel: mean and
   1 / deviation, in fp64 since the variance is a small difference of large sums; factor and shift, repeated to span; and
   the running statistics moved by momentum.  weight and bias may be absent, and so may the running statistics. */
void tables(const float *sums, int64_t groups, double pixels, int64_t channels, const float *weight, const float *bias,
            double eps, double momentum, float *running_mean, float *running_var, double *mean, double *scale,
            int64_t span, float *factor, float *shift) {
    for (int64_t c = 0; c < channels; c++) {
        double sum = 0.0, squares = 0.0;
        for (int64_t g = 0; g < groups; g++) {
            sum += sums[g * 2 * channels + c];
            squares += sums[(g * 2 + 1) * channels + c];
        }
        mean[c] = sum / pixels;
        double var = squares / pixels - mean[c] * mean[c];
        /* rounding may bring it below 0 */
        if (!is_nan((float)var)) var = var < 0.0 ? 0.0 : var;
        scale[c] = 1.0 / sqrt(var + eps);
        double wide = weight ? scale[c] * weight[c] : scale[c];
        factor[c] = (float)wide;
        shift[c] = (float)((bias ? bias[c] : 0.0) - mean[c] * wide);
        if (running_mean) running_mean[c] += (float)(momentum * (mean[c] - running_mean[c]));
        if (running_var) running_var[c] += (float)(momentum * (var * (pixels / (pixels - 1.0)) - running_var[c]));
    }
    for (int64_t i = channels; i < span; i++) {
        factor[i] = factor[i - channels];
        shift[i] = shift[i - channels];
    }
}

/* From the sums of dz and dz * map to the gradients of bias and weight (which may be absent), and to the part of the
   map's gradient that comes through mean and deviation: map * tilt + flat, both repeated to span. */
void back_tables(const float *sums, int64_t groups, double pixels, int64_t channels, const float *weight,
                 const double *mean, const double *scale, int64_t span, float *flat, float *tilt, float *grad_weight,
                 float *grad_bias) {
    for (int64_t c = 0; c < channels; c++) {
        double plain = 0.0, product = 0.0;
        for (int64_t g = 0; g < groups; g++) {
            plain += sums[g * 2 * channels + c];
            product += sums[(g * 2 + 1) * channels + c];
        }
        /* the sum of dz * (map - mean) / deviation */
        double across = (product - mean[c] * plain) * scale[c];
        double wide = weight ? scale[c] * weight[c] : scale[c];
        double lean = -wide * scale[c] * across / pixels;
        tilt[c] = (float)lean;
        flat[c] = (float)(-wide * plain / pixels - lean * mean[c]);
        if (grad_weight) grad_weight[c] = (float)across;
        if (grad_bias) grad_bias[c] = (float)plain;
    }
    for (int64_t i = channels; i < span; i++) {
        flat[i] = flat[i - channels];
        tilt[i] = tilt[i - channels];
    }
}

/* The loops over elements stand in functions of their own, called with a constant for act: a choice inside the loop
   would be made for every element. */
#define CHOOSE(act, call) \
    switch (act) { \
    case RELU: call(RELU); break; \
    case GELU: call(GELU); break; \
    case SILU: call(SILU); break; \
    default: call(NONE); \
    }

INLINE void scale_some(const element *in, int64_t length, const float *factor, const float *shift, element *out,
                       const int act) {
#pragma omp simd
    for (int64_t i = 0; i < length; i++) out[i] = put(activated(get(in[i]) * factor[i] + shift[i], act));
}

/* out = act(map * factor[c] + shift[c]) over a map of `total` elements.  Here and below factor and shift are repeated
   to `span` elements, a whole number of pixels: short loops over few channels would cost more than the arithmetic. */
void scaled(const element *map, int64_t total, int64_t span, const float *factor, const float *shift, element *out,
            int act, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t at = 0; at < total; at += span) {
        int64_t length = total - at < span ? total - at : span;
#define CALL(ACT) scale_some(map + at, length, factor, shift, out + at, ACT)
        CHOOSE(act, CALL)
#undef CALL
    }
}

INLINE void sum_some(const element *in, const element *grad, int64_t length, const float *factor, const float *shift,
                     float *sum, float *product, const int act) {
#pragma omp simd
    for (int64_t i = 0; i < length; i++) {
        float v = get(in[i]);
        float dz = get(grad[i]) * slope(v * factor[i] + shift[i], act);
        sum[i] += dz;
        product[i] += dz * v;
    }
}

/* With dz = grad * act'(map * factor + shift), over `group` pictures at a time: sums[b / group][0][c] of dz and
   sums[b / group][1][c] of dz * map.  `size` is that of a picture's map. */
void slope_sums(const element *map, const element *grad, int64_t batch, int64_t size, int64_t channels, int64_t span,
                const float *factor, const float *shift, int64_t group, float *sums, int act, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t first = 0; first < batch; first += group) {
        float sum[span], product[span];
        int64_t last = first + group < batch ? first + group : batch;
        for (int64_t i = 0; i < span; i++) sum[i] = product[i] = 0.0f;
        for (int64_t at = first * size; at < last * size; at += span) {
            int64_t length = last * size - at < span ? last * size - at : span;
#define CALL(ACT) sum_some(map + at, grad + at, length, factor, shift, sum, product, ACT)
            CHOOSE(act, CALL)
#undef CALL
        }
        float *total = sums + first / group * 2 * channels;
        for (int64_t c = 0; c < channels; c++) {
            total[c] = total[channels + c] = 0.0f;
            for (int64_t i = c; i < span; i += channels) {
                total[c] += sum[i];
                total[channels + c] += product[i];
            }
        }
    }
}

INLINE void turn_back_some(const element *in, const element *grad, int64_t length, const float *factor,
                           const float *shift, const float *flat, const float *tilt, element *out, const int act) {
#pragma omp simd
    for (int64_t i = 0; i < length; i++) {
        float v = get(in[i]);
        float dz = get(grad[i]) * slope(v * factor[i] + shift[i], act);
        out[i] = put(dz * factor[i] + (v * tilt[i] + flat[i]));
    }
}

/* dz * factor + map * tilt + flat: the gradient of what scaled() was given. */
void backward(const element *map, const element *grad, int64_t total, int64_t span, const float *factor,
              const float *shift, const float *flat, const float *tilt, element *out, int act, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t at = 0; at < total; at += span) {
        int64_t length = total - at < span ? total - at : span;
#define CALL(ACT) turn_back_some(map + at, grad + at, length, factor, shift, flat, tilt, out + at, ACT)
        CHOOSE(act, CALL)
#undef CALL
    }
}

/* The same for a row of pooled pixels: each goes to where its maximum was among the two pixels above and two below. */
INLINE void turn_back_row(const element *in, const element *grad, const uint8_t *place, int64_t columns,
                          int64_t channels, const float *factor, const float *shift, const float *flat,
                          const float *tilt, element *upper, element *lower, const int act) {
    for (int64_t x = 0; x < columns; x++) {
        element *left = upper + 2 * x * channels, *right = left + channels;
        element *below = lower + 2 * x * channels, *corner = below + channels;
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) {
            int64_t i = x * channels + c;
            float v = get(in[i]);
            float dz = get(grad[i]) * slope(v * factor[c] + shift[c], act);
            element d = put(dz * factor[c] + (v * tilt[c] + flat[c]));
            left[c] = place[i] == 0 ? d : 0;
            right[c] = place[i] == 1 ? d : 0;
            below[c] = place[i] == 2 ? d : 0;
            corner[c] = place[i] == 3 ? d : 0;
        }
    }
}

/* The gradient of what pool_sums() was given with pool 2; zero where no maximum was.  The tables have one entry a
   channel. */
void backward_pooled(const element *map, const element *grad, const uint8_t *place, int64_t batch, int64_t height,
                     int64_t width, int64_t channels, const float *factor, const float *shift, const float *flat,
                     const float *tilt, element *out, int act, int threads) {
    int64_t rows = height / 2, columns = width / 2, line = width * channels;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t b = 0; b < batch; b++) {
        for (int64_t y = 0; y < rows; y++) {
            int64_t at = (b * rows + y) * columns * channels;
            element *upper = out + (b * height + 2 * y) * line, *lower = upper + line;
#define CALL(ACT) \
    turn_back_row(map + at, grad + at, place + at, columns, channels, factor, shift, flat, tilt, upper, lower, ACT)
            CHOOSE(act, CALL)
#undef CALL
            /* an odd last column, and below an odd last row, were in no window */
            for (int64_t i = 2 * columns * channels; i < line; i++) upper[i] = lower[i] = 0;
        }
        element *rest = out + (b * height + 2 * rows) * line;
        for (int64_t i = 0; i < (height - 2 * rows) * line; i++) rest[i] = 0;
    }
}
