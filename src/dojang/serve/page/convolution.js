// The playground: a kernel is stamped across a picture or a small matrix, step by step.

import { convolve, laid, parts, steps, summed } from "./convolve.js";
import { board, columns } from "./boards.js";
import { make } from "./paint.js";
import * as stage from "./stage.js";
import { short, t } from "./words.js";

const KERNELS = {
  "edges-v": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
  "edges-h": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
  outline: [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
  blur: [[1, 2, 1], [2, 4, 2], [1, 2, 1]].map((row) => row.map((one) => one / 16)),
  sharpen: [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
  emboss: [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]],
  shift: [[0, 0, 0], [0, 0, 1], [0, 0, 0]],
  identity: [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
};
const MATRIX = [[1, 2, 0, 1, 3], [0, 1, 3, 2, 1], [2, 0, 1, 0, 2], [1, 3, 2, 1, 0], [0, 2, 1, 3, 1]];
const SIDE = 28;
const how = { padding: 0, stride: 1, dilation: 1, edges: "zeros", mode: "correlation" };
const now = { source: "small-matrix", input: MATRIX.map((row) => [...row]), kernel: KERNELS["edges-v"], preset: "edges-v", at: 0, clock: null, speed: 4, picture: false };
let place = null, spots = null;

/** A new picture can be the input. */
export function given() {
  now.picture = true;
  if (now.source === "own-picture") now.input = ofPicture();
  if (place) build();
}

export function spoken() {
  spots = null;
}

export function dressed() {
  if (spots) draw();
}

export function left() {
  halt();
}

export function shown(element) {
  place = element;
  if (!spots) build();
}

function build() {
  halt();
  const choice = (name, values, value, change) => make("label", { class: "note" }, t(name), " ",
    make("select", { onchange: (event) => change(event.target.value) },
      ...values.map(([key, text]) => make("option", { value: key, selected: String(key) === String(value) }, text))));
  const numbers = (name, values) => choice(name, values.map((one) => [one, one]), how[name], (value) => change({ [name]: Number(value) }));
  const words = (name, values) => choice(name, values.map((one) => [one, t(one)]), how[name], (value) => change({ [name]: value }));
  const sources = ["small-matrix", "stamp", ...(now.picture ? ["own-picture"] : [])];
  const presets = [...Object.keys(KERNELS), "own"];
  spots = {
    input: make("div", { class: "spot" }), kernel: make("div", { class: "spot" }), output: make("div", { class: "spot" }),
    sum: make("p", { class: "formula" }), where: make("p", { class: "note", "aria-live": "polite" }), size: make("p", { class: "formula note" }),
    columns: make("div", { class: "columns" }),
    play: make("button", { type: "button", class: "primary", onclick: () => (now.clock ? halt() : play()) }, t("play")),
  };
  const kernels = choice("preset", presets.map((one) => [one, t(one)]), now.preset, preset);
  spots.preset = kernels.querySelector("select");
  const speed = make("input", { type: "range", min: 1, max: 30, value: now.speed, "aria-label": t("speed"), oninput: () => { now.speed = Number(speed.value); if (now.clock) { halt(); play(); } } });
  place.replaceChildren(
    make("p", { class: "note" }, t("conv-help")),
    make("div", { class: "row controls" },
      choice("source", sources.map((one) => [one, t(one)]), now.source, source),
      kernels,
      choice("size", [1, 2, 3, 4, 5].map((one) => [one, `${one} × ${one}`]), now.kernel.length, (value) => resize(Number(value))),
      numbers("padding", [0, 1, 2, 3, 4]), words("edges", ["zeros", "reflect", "replicate", "circular"]),
      numbers("stride", [1, 2, 3]), numbers("dilation", [1, 2, 3]), words("mode", ["correlation", "flipped", "transposed"])),
    make("div", { class: "row" }, spots.play,
      make("button", { type: "button", onclick: () => { halt(); to(now.at - 1); }, "aria-label": `− ${t("step")}` }, "◀"),
      make("button", { type: "button", onclick: () => { halt(); to(now.at + 1); } }, `${t("step")} ▶`),
      make("button", { type: "button", class: "quiet", onclick: () => { halt(); to(0); } }, t("restart")),
      make("button", { type: "button", class: "quiet", onclick: () => { halt(); to(Infinity); } }, t("whole")),
      make("label", { class: "note speed" }, t("speed"), speed)),
    spots.where,
    make("div", { class: "boards" }, spots.input, make("span", { class: "sign" }, "∗"), spots.kernel, make("span", { class: "sign" }, "="), spots.output),
    spots.sum, spots.size,
    make("h3", {}, t("im2col")), make("p", { class: "note" }, t("im2col-help")), spots.columns,
  );
  draw();
}

function source(name) {
  now.source = name;
  now.input = name === "small-matrix" ? MATRIX.map((row) => [...row]) : name === "stamp" ? stamp() : ofPicture();
  to(0);
}

function preset(name) {
  now.preset = name;
  if (KERNELS[name]) now.kernel = KERNELS[name].map((row) => [...row]);
  build();
}

/** The same kernel in the middle of a larger one, or the middle of a larger one. */
function resize(side) {
  const old = now.kernel, shift = Math.floor((old.length - side) / 2);
  now.kernel = Array.from({ length: side }, (_, y) => Array.from({ length: side }, (_, x) => old[y + shift]?.[x + shift] ?? 0));
  now.preset = "own";
  build();
}

function change(given) {
  Object.assign(how, given);
  halt();
  draw();
}

const sizes = () => [now.input.length, now.input[0].length].map((size) => steps({ size, kernel: now.kernel.length, ...how, transposed: how.mode === "transposed" }));

function to(step) {
  const [height, width] = sizes();
  now.at = Math.max(0, Math.min(Math.max(0, height * width - 1), step));
  draw();
}

function play() {
  const [height, width] = sizes();
  if (height < 1 || width < 1) return;
  if (now.at >= height * width - 1) now.at = 0;
  spots.play.textContent = t("pause");
  now.clock = setInterval(() => {
    if (now.at >= height * width - 1) return halt();
    to(now.at + (height * width > 200 ? 3 : 1));
  }, 1000 / now.speed);
}

function halt() {
  clearInterval(now.clock);
  now.clock = null;
  if (spots) spots.play.textContent = t("play");
}

function draw() {
  const { input, kernel } = now;
  const [height, width] = sizes();
  const transposed = how.mode === "transposed";
  const possible = height > 0 && width > 0;
  const formula = transposed ? "out-size-t" : "out-size";
  spots.size.textContent = t(formula, { n: input.length, p: how.padding, d: how.dilation, k: kernel.length, s: how.stride, m: height });
  board(spots.kernel, { values: laid(kernel, how.mode), name: t("kernel"), edit: (y, x, value) => {
    const [ky, kx] = how.mode === "flipped" ? [kernel.length - 1 - y, kernel.length - 1 - x] : [y, x];
    now.kernel = now.kernel.map((row, i) => row.map((one, j) => (i === ky && j === kx ? value : one)));
    now.preset = spots.preset.value = "own";
    draw();
  } });
  if (!possible) {
    for (const spot of [spots.output, spots.columns]) spot.replaceChildren(make("p", { class: "trouble" }, t("too-small")));
    board(spots.input, { values: input, name: t("source"), padding: how.padding });
    spots.sum.textContent = spots.where.textContent = "";
    return;
  }
  now.at = Math.min(now.at, height * width - 1);
  const y = Math.floor(now.at / width), x = now.at % width;
  const found = parts(input, kernel, y, x, how);
  const marked = new Set(found.map((term) => `${term.y},${term.x}`));
  board(spots.input, { values: input, name: t("source"), padding: transposed ? 0 : how.padding, edges: how.edges, marked,
    edit: now.source === "small-matrix" ? (row, column, value) => { now.input[row][column] = value; draw(); } : null });
  const whole = convolve(input, kernel, how);
  board(spots.output, { values: whole, name: `${t("output")} ${height} × ${width}`, upTo: now.at, marked: new Set([`${y},${x}`]), pick: (row, column) => { halt(); to(row * width + column); } });
  spots.where.textContent = t("step-of", { n: now.at + 1, all: height * width, y, x });
  const told = found.slice(0, 25).map(({ value, weight }) => `${short(value, 3)}·${weight < 0 ? `(${short(weight, 3)})` : short(weight, 3)}`);
  spots.sum.textContent = `${told.join(" + ") || "0"} = ${short(summed(found), 4)}`;
  if (transposed) spots.columns.replaceChildren(make("p", { class: "note" }, t("im2col-t")));
  else columns(spots.columns, { input, kernel, how, height, width, at: now.at, output: whole });
}

// --- inputs

function stamp() {
  return drawn((context) => {
    context.fillStyle = "#fff";
    context.font = `bold ${SIDE}px system-ui, "Noto Sans KR", "NanumGothic", sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText("도", SIDE / 2, SIDE / 2 + 1);
  });
}

function ofPicture() {
  const image = stage.image();
  return drawn((context) => {
    const side = Math.min(image.naturalWidth, image.naturalHeight);
    context.drawImage(image, (image.naturalWidth - side) / 2, (image.naturalHeight - side) / 2, side, side, 0, 0, SIDE, SIDE);
  });
}

/** A grey picture of 28 x 28 numbers from 0 to 9, so that they can be read. */
function drawn(paint) {
  const canvas = make("canvas", { width: SIDE, height: SIDE });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#000";
  context.fillRect(0, 0, SIDE, SIDE);
  paint(context);
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  return Array.from({ length: SIDE }, (_, y) => Array.from({ length: SIDE }, (_, x) => {
    const at = (y * SIDE + x) * 4;
    return Math.round(((data[at] * 0.299 + data[at + 1] * 0.587 + data[at + 2] * 0.114) / 255) * 9);
  }));
}
