/* The gradient of the weights of a 3x3 convolution (stride 1, padding 1) in bf16, for processors with AVX512-BF16.

   That gradient is a matrix product over all pixels of all pictures: grad_weight[o][ky][kx][i] is the sum over pixels
   (b, y, x) of grad[b][y][x][o] * map[b][y + ky - 1][x + kx - 1][i].  vdpbf16ps multiplies pairs of neighbours, here two
   pixels beside each other; so both are first rewritten in pairs, some pictures at a time, such that they stay in the
   first two caches.  Maps and weights are channels-last; in_channels is a multiple of 8, out_channels of 32.
   The same in torch, the oracle of the tests, is in convolution.py. */

#include <stdint.h>
#include <string.h>

#ifdef __AVX512BF16__
#include <immintrin.h>

#define IN 8   /* input channels of a tile: one register of broadcast pairs each */
#define OUT 32 /* output channels of a tile: two registers */

/* (a0, b0, a1, b1, ...) of eight channels of two pixels; a NULL stands for zeros */
static inline void interleave(const uint16_t *a, const uint16_t *b, uint32_t *out) {
    __m128i zero = _mm_setzero_si128();
    __m128i left = a ? _mm_loadu_si128((const __m128i *)a) : zero, right = b ? _mm_loadu_si128((const __m128i *)b) : zero;
    _mm_storeu_si128((__m128i *)out, _mm_unpacklo_epi16(left, right));
    _mm_storeu_si128((__m128i *)(out + 4), _mm_unpackhi_epi16(left, right));
}

/* Adds to sums[9][IN][OUT] what `pictures` packed pictures give for one tile. */
static void tile(const uint32_t *map, const uint32_t *grad, int64_t pictures, int64_t height, int64_t pairs,
                 int64_t starts, float *sums) {
    for (int ky = 0; ky < 3; ky++)
        for (int kx = 0; kx < 3; kx++) {
            float *to = sums + (ky * 3 + kx) * IN * OUT;
            __m512 s[IN][2];
            for (int i = 0; i < IN; i++) {
                s[i][0] = _mm512_loadu_ps(to + i * OUT);
                s[i][1] = _mm512_loadu_ps(to + i * OUT + 16);
            }
            int64_t top = ky == 0 ? 1 : 0, bottom = ky == 2 ? height - 1 : height;
            for (int64_t b = 0; b < pictures; b++)
                for (int64_t y = top; y < bottom; y++) {
                    const uint32_t *g = grad + (b * height + y) * pairs * OUT;
                    const uint32_t *m = map + ((b * height + y + ky - 1) * starts + kx) * IN;
                    for (int64_t j = 0; j < pairs; j++, g += OUT, m += 2 * IN) {
                        __m512bh low = (__m512bh)_mm512_loadu_si512(g), high = (__m512bh)_mm512_loadu_si512(g + 16);
#pragma GCC unroll 8
                        for (int i = 0; i < IN; i++) {
                            __m512bh a = (__m512bh)_mm512_set1_epi32((int)m[i]);
                            s[i][0] = _mm512_dpbf16_ps(s[i][0], low, a);
                            s[i][1] = _mm512_dpbf16_ps(s[i][1], high, a);
                        }
                    }
                }
            for (int i = 0; i < IN; i++) {
                _mm512_storeu_ps(to + i * OUT, s[i][0]);
                _mm512_storeu_ps(to + i * OUT + 16, s[i][1]);
            }
        }
}

/* Pictures a chunk, and the bytes of memory that weight_gradient() needs to work in for so many. */
static int64_t chunk_of(int64_t height, int64_t width) {
    int64_t pixels = height * ((width + 1) / 2 * 2 + 2);
    return pixels >= 448 ? 1 : 448 / pixels;
}

int64_t weight_gradient_space(int64_t height, int64_t width, int64_t inputs, int64_t outputs) {
    int64_t pairs = (width + 1) / 2, starts = 2 * pairs + 1, chunk = chunk_of(height, width);
    return 4 * (chunk * height * (starts * inputs + pairs * outputs) + 9 * inputs * outputs) + 64;
}

/* grad_weight, fp32 (outputs, 3, 3, inputs) in memory, is written. */
void weight_gradient(const uint16_t *map, const uint16_t *grad, int64_t batch, int64_t height, int64_t width,
                     int64_t inputs, int64_t outputs, float *grad_weight, void *space, int threads) {
    int64_t pairs = (width + 1) / 2, starts = 2 * pairs + 1, chunk = chunk_of(height, width);
    int64_t map_tiles = inputs / IN, grad_tiles = outputs / OUT;
    float *sums = (float *)(((uintptr_t)space + 63) / 64 * 64);
    uint32_t *maps = (uint32_t *)(sums + 9 * inputs * outputs), *grads = maps + chunk * height * starts * inputs;
    memset(sums, 0, sizeof(float) * 9 * inputs * outputs);
#pragma omp parallel num_threads(threads)
    for (int64_t first = 0; first < batch; first += chunk) {
        int64_t pictures = batch - first < chunk ? batch - first : chunk, lines = pictures * height;
#pragma omp for schedule(static)
        for (int64_t line = 0; line < lines; line++) {
            const uint16_t *in = map + (first * height + line) * width * inputs;
            /* starts begin one pixel left of the picture */
            for (int64_t s = 0; s < starts; s++) {
                int64_t x = s - 1;
                for (int64_t t = 0; t < map_tiles; t++)
                    interleave(x >= 0 && x < width ? in + x * inputs + t * IN : 0,
                               x + 1 < width ? in + (x + 1) * inputs + t * IN : 0,
                               maps + ((t * lines + line) * starts + s) * IN);
            }
            const uint16_t *from = grad + (first * height + line) * width * outputs;
            for (int64_t j = 0; j < pairs; j++)
                for (int64_t t = 0; t < grad_tiles; t++)
                    for (int64_t o = 0; o < OUT; o += 8)
                        interleave(from + 2 * j * outputs + t * OUT + o,
                                   2 * j + 1 < width ? from + (2 * j + 1) * outputs + t * OUT + o : 0,
                                   grads + ((t * lines + line) * pairs + j) * OUT + o);
        }
#pragma omp for schedule(static) collapse(2)
        for (int64_t o = 0; o < grad_tiles; o++)
            for (int64_t i = 0; i < map_tiles; i++)
                tile(maps + i * lines * starts * IN, grads + o * lines * pairs * OUT, pictures, height, pairs, starts,
                     sums + (o * map_tiles + i) * 9 * IN * OUT);
    }
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t k = 0; k < 9; k++)
            for (int64_t i = 0; i < inputs; i++)
                grad_weight[(o * 9 + k) * inputs + i] =
                    sums[(((o / OUT * map_tiles + i / IN) * 9 + k) * IN + i % IN) * OUT + o % OUT];
}
#endif
