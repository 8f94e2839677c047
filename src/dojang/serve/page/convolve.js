// Convolution by hand: what one step reads, multiplies and writes. Nothing here touches the page.

/** Places along one side: how many steps there are. */
export function steps({ size, kernel, padding, stride, dilation, transposed }) {
  const reach = dilation * (kernel - 1) + 1;
  if (transposed) return (size - 1) * stride - 2 * padding + reach;
  return Math.floor((size + 2 * padding - reach) / stride) + 1;
}

/** Where a place beyond the edge reads from; null is a zero. */
export function beyond(place, size, edges) {
  if (place >= 0 && place < size) return place;
  if (edges === "replicate") return place < 0 ? 0 : size - 1;
  if (edges === "circular") return ((place % size) + size) % size;
  if (edges === "reflect") {
    if (size === 1) return 0;
    const round = 2 * (size - 1);
    const at = ((place % round) + round) % round;
    return at < size ? at : round - at;
  }
  return null;
}

/** The kernel as it is laid down: turned by half a turn where mathematics asks for it. */
export function laid(kernel, mode) {
  return mode === "flipped" ? [...kernel].reverse().map((row) => [...row].reverse()) : kernel;
}

/**
 * One step: the terms whose sum is the output at (y, x).
 * Each is { y, x, inside, value, weight, ky, kx }: the place it reads, whether that is on the input, and the kernel's.
 */
export function terms(input, kernel, y, x, { padding, stride, dilation, edges, mode }) {
  const height = input.length, width = input[0].length, found = [];
  const weights = laid(kernel, mode);
  weights.forEach((row, ky) => row.forEach((weight, kx) => {
    const py = y * stride + ky * dilation - padding, px = x * stride + kx * dilation - padding;
    const fy = beyond(py, height, edges), fx = beyond(px, width, edges);
    const inside = py >= 0 && py < height && px >= 0 && px < width;
    found.push({ y: py, x: px, inside, value: fy === null || fx === null ? 0 : input[fy][fx], weight, ky, kx });
  }));
  return found;
}

/** The stamps of a transposed convolution on (y, x) of the output: the input's places that reach it. */
export function stamps(input, kernel, y, x, { padding, stride, dilation }) {
  const found = [];
  kernel.forEach((row, ky) => row.forEach((weight, kx) => {
    const fy = y + padding - ky * dilation, fx = x + padding - kx * dilation;
    if (fy % stride || fx % stride) return;
    const iy = fy / stride, ix = fx / stride;
    if (iy < 0 || ix < 0 || iy >= input.length || ix >= input[0].length) return;
    found.push({ y: iy, x: ix, inside: true, value: input[iy][ix], weight, ky, kx });
  }));
  return found;
}

/** All terms of one output place, in either direction. */
export const parts = (input, kernel, y, x, how) => (how.mode === "transposed" ? stamps : terms)(input, kernel, y, x, how);

/** The sum of some terms. */
export const summed = (found) => found.reduce((sum, { value, weight }) => sum + value * weight, 0);

/** The whole output. */
export function convolve(input, kernel, how) {
  const sides = [input.length, input[0].length].map((size) =>
    steps({ size, kernel: kernel.length, ...how, transposed: how.mode === "transposed" }));
  if (sides[0] < 1 || sides[1] < 1) return null;
  return Array.from({ length: sides[0] }, (_, y) => Array.from({ length: sides[1] }, (_, x) => summed(parts(input, kernel, y, x, how))));
}
