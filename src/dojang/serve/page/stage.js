// The picture with what is laid over it: a heat map, the frame of what the network sees, the pixels of one unit.

import { paintHeat } from "./paint.js";

const canvas = document.getElementById("stage");
const LONGEST = 1120;

const state = { image: null, told: null, heat: null, heatCanvas: null, strength: 0.6, box: null, scattered: null, note: "" };

/** Show a picture; `told` is what the service said of it. */
export function show(image, told) {
  Object.assign(state, { image, told, heat: null, heatCanvas: null, box: null, scattered: null });
  draw();
}

/** Lay a heat map over it, or none. */
export function layHeat(heat) {
  state.heat = heat;
  state.heatCanvas = heat ? paintHeat(heat) : null;
  draw();
}

export function setStrength(share) {
  state.strength = share;
  draw();
}

/** Mark the pixels that a unit saw, or none. While they are marked the heat map is not in their way. */
export function mark(seen) {
  state.box = seen ? seen.on_picture : null;
  state.scattered = seen ? seen.scattered : null;
  draw();
}

/** What the picture is called for those who do not see it. */
export function describe(text) {
  canvas.setAttribute("aria-label", text);
}

/** The picture itself, for others to draw. */
export const image = () => state.image;

function draw() {
  if (!state.image) return;
  const { height, width } = state.told || { height: state.image.naturalHeight, width: state.image.naturalWidth };
  const scale = Math.min(LONGEST / Math.max(height, width), 40);
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  // single pixels of small pictures are to be seen as such
  context.imageSmoothingEnabled = scale < 3;
  context.imageSmoothingQuality = "high";
  context.drawImage(state.image, 0, 0, canvas.width, canvas.height);
  if (!state.told) return;
  const marked = state.box || state.scattered;
  const place = placed(state.told.frame, canvas.width / width, canvas.height / height);
  if (state.heatCanvas && !marked && state.strength > 0) {
    context.save();
    context.fillStyle = `rgb(0 0 0 / ${0.45 * state.strength})`;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.globalAlpha = state.strength;
    context.imageSmoothingEnabled = state.heat.smooth;
    context.drawImage(state.heatCanvas, place.x, place.y, place.width, place.height);
    context.restore();
  }
  frame(context, place);
  if (marked) marks(context, canvas.width / width, canvas.height / height);
}

/** Where the network's pixels lie on the canvas. */
function placed(frame, across, down) {
  const [sy, sx] = frame.scale;
  const [oy, ox] = frame.offset;
  const [h, w] = frame.size;
  return { x: (-ox / sx) * across, y: (-oy / sy) * down, width: (w / sx) * across, height: (h / sy) * down };
}

function frame(context, place) {
  const out = place.x > 1 || place.y > 1 || place.x + place.width < canvas.width - 1 || place.y + place.height < canvas.height - 1;
  if (!out) return;
  const left = Math.max(0, place.x), top = Math.max(0, place.y);
  const right = Math.min(canvas.width, place.x + place.width), bottom = Math.min(canvas.height, place.y + place.height);
  if (left < 1 && top < 1 && right > canvas.width - 1 && bottom > canvas.height - 1) return;
  outline(context, left, top, right - left, bottom - top, [10, 8]);
}

function outline(context, x, y, width, height, dash = []) {
  const thick = Math.max(2, canvas.width / 280);
  context.setLineDash(dash);
  for (const [colour, wide] of [["#000", thick * 2], ["#fff", thick]]) {
    context.strokeStyle = colour;
    context.lineWidth = wide;
    context.strokeRect(x, y, width, height);
  }
  context.setLineDash([]);
}

function marks(context, across, down) {
  const boxes = state.box ? [state.box] : state.scattered.map(([y, x]) => [y, x, y + 1, x + 1]);
  context.save();
  context.fillStyle = "rgb(0 0 0 / .62)";
  context.beginPath();
  context.rect(0, 0, canvas.width, canvas.height);
  for (const [top, left, bottom, right] of boxes) context.rect(left * across, top * down, (right - left) * across, (bottom - top) * down);
  context.fill("evenodd");
  context.restore();
  if (state.box) {
    const [top, left, bottom, right] = state.box;
    outline(context, left * across, top * down, (right - left) * across, (bottom - top) * down);
  }
}
