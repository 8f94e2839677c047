// One number of the network, looked through: the pixels it saw, the sum it is, and where it goes.

import { ask } from "./ask.js";
import { layersOf } from "./layers.js";
import { make, paintMap, spinner, trouble, unpack } from "./paint.js";
import * as stage from "./stage.js";
import { short, t } from "./words.js";
import { written } from "./sum.js";

const now = { told: null, layers: null, one: null, channel: 0, maps: null, y: 0, x: 0, held: false, asking: 0, busy: false, next: null };
let place = null, parts = null, wanted = null;

export function given(found) {
  Object.assign(now, { told: found, layers: null, maps: null, held: false });
  parts = null;
}

export function spoken() {
  parts = null;
}

export function left() {
  stage.mark(null);
}

document.addEventListener("dojang:unit", (event) => {
  wanted = event.detail;
  if (now.layers) go(wanted);
});

export async function shown(element) {
  place = element;
  if (!now.told) {
    element.replaceChildren(make("p", { class: "note" }, t("xray-first")));
    return;
  }
  if (parts && now.layers) {
    look();
    return;
  }
  const mine = now.told;
  if (!now.layers) {
    element.replaceChildren(spinner());
    try {
      const found = await layersOf(mine);
      if (mine !== now.told) return;
      now.layers = found;
    } catch (error) {
      if (error.status === 404) return document.dispatchEvent(new CustomEvent("dojang:forgotten"));
      return element.replaceChildren(trouble(error, t("fix")));
    }
  }
  build();
  const before = now.one && now.layers.find((one) => one.name === now.one.name);
  const first = before || now.layers.find((one) => one.layer && one.maps && one.type.startsWith("Conv")) || now.layers.find((one) => one.layer) || now.layers[0];
  await go(wanted || { layer: first.name, channel: before ? now.channel : undefined, y: before ? now.y : undefined, x: before ? now.x : undefined });
}

function build() {
  const select = make("select", { onchange: () => go({ layer: select.value }) },
    ...now.layers.map((one) => make("option", { value: one.name }, `${one.name}  ${one.type}  ${one.shape.join("×")}`)));
  const channel = make("input", { type: "number", min: 0, value: 0, onchange: () => go({ layer: now.one.name, channel: Number(channel.value), y: now.y, x: now.x }) });
  const canvas = make("canvas", { class: "map", tabIndex: 0, role: "application" });
  const cursor = make("div", { class: "cursor", "aria-hidden": "true" });
  const held = make("p", { class: "note" });
  const strip = make("div", { class: "strip channels" });
  const sum = make("div", { class: "written", "aria-live": "off" });
  canvas.addEventListener("pointermove", (event) => { if (!now.held && event.pointerType !== "touch") over(event); });
  canvas.addEventListener("click", (event) => { now.held = event.pointerType === "touch" ? false : !now.held; over(event); });
  canvas.addEventListener("keydown", steps);
  parts = { select, channel, canvas, cursor, held, strip, sum };
  place.replaceChildren(
    make("p", { class: "note" }, t("xray-help")),
    make("div", { class: "row" }, make("label", { class: "note" }, t("layer"), " ", select), make("label", { class: "note" }, t("channel"), " ", channel)),
    strip,
    make("div", { class: "through" }, make("div", { class: "beside" }, make("div", { class: "mapbox" }, canvas, cursor), held), sum),
  );
}

/** Go to a unit: { layer, channel, y, x }; what is left out is chosen. */
async function go(unit) {
  wanted = null;
  const one = now.layers.find((layer) => layer.name === unit.layer);
  if (!one) return;
  const other = now.one !== one || !now.maps || now.maps.layer !== one.name;
  now.one = one;
  now.held = unit.y !== undefined;
  parts.select.value = one.name;
  const [count, height, width] = one.maps || [one.shape[0], 1, 1];
  parts.channel.max = (one.maps ? count : one.shape[0]) - 1;
  if (one.maps && other) {
    const mine = now.told;
    try {
      const maps = await ask(`pictures/${mine.id}/maps`, { layer: one.name });
      if (mine !== now.told || now.one !== one) return;
      now.maps = maps;
    } catch (error) {
      parts.sum.replaceChildren(trouble(error, t("fix")));
      return;
    }
  }
  const all = one.maps ? count : one.shape[0];
  if (unit.channel === undefined) now.channel = one.maps ? strongest(unpack(now.maps.maps).most, now.maps.shown) : 0;
  else now.channel = Math.max(0, Math.min(all - 1, Number.isFinite(unit.channel) ? unit.channel : 0));
  parts.channel.value = now.channel;
  const peak = one.maps ? brightest() : [0, 0];
  now.y = Math.min(height - 1, unit.y ?? peak[0]);
  now.x = Math.min(width - 1, unit.x ?? peak[1]);
  paint();
  look();
}

function strongest(sizes, names) {
  let best = 0;
  for (let i = 1; i < sizes.length; i++) if (sizes[i] > sizes[best]) best = i;
  return names[best];
}

function levels() {
  const part = now.maps.shown.indexOf(now.channel);
  if (part < 0) return null;
  const found = unpack(now.maps.maps);
  const size = found.shape[1] * found.shape[2];
  return found.bytes.subarray(part * size, (part + 1) * size);
}

function brightest() {
  const found = levels();
  if (!found) return [0, 0];
  let best = 0;
  for (let i = 1; i < found.length; i++) if (found[i] > found[best]) best = i;
  return [Math.floor(best / now.one.maps[2]), best % now.one.maps[2]];
}

function paint() {
  const { one } = now;
  const beside = parts.canvas.closest(".beside");
  beside.hidden = !one.maps;
  parts.strip.hidden = !one.maps;
  if (!one.maps) return;
  const [, height, width] = one.maps;
  const found = levels();
  paintMap(parts.canvas, found || new Int8Array(height * width), height, width);
  parts.canvas.style.setProperty("aspect-ratio", `${width} / ${height}`);
  parts.canvas.style.setProperty("--cells", Math.max(width, height));
  const packs = unpack(now.maps.maps);
  const size = height * width;
  parts.strip.replaceChildren(...now.maps.shown.slice(0, 64).map((channel, part) => make("button", {
    type: "button", class: "tile", "aria-pressed": String(channel === now.channel), title: t("channel-of", { layer: one.name, n: channel }),
    "aria-label": t("channel-of", { layer: one.name, n: channel }),
    onclick: () => go({ layer: one.name, channel, y: now.held ? now.y : undefined, x: now.held ? now.x : undefined }),
  }, paintMap(document.createElement("canvas"), packs.bytes, height, width, part * size), make("span", {}, String(channel)))));
}

function over(event) {
  const box = parts.canvas.getBoundingClientRect();
  const [, height, width] = now.one.maps;
  const y = Math.min(height - 1, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * height)));
  const x = Math.min(width - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * width)));
  if (y === now.y && x === now.x && event.type === "pointermove") return;
  now.y = y;
  now.x = x;
  look();
}

function steps(event) {
  const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!move || !now.one.maps) return;
  event.preventDefault();
  const [, height, width] = now.one.maps;
  now.held = true;
  now.y = Math.min(height - 1, Math.max(0, now.y + move[0]));
  now.x = Math.min(width - 1, Math.max(0, now.x + move[1]));
  look();
}

/** Ask for the unit that is pointed at: one question at a time, and of those that come meanwhile the last. */
async function look() {
  cursor();
  if (now.busy) {
    now.next = true;
    return;
  }
  now.busy = true;
  try {
    do {
      now.next = false;
      const { one, told } = now;
      const query = { layer: one.name, channel: now.channel, ...(one.maps ? { y: now.y, x: now.x } : {}) };
      const found = await ask(`pictures/${told.id}/xray`, query);
      if (told !== now.told || one !== now.one || place.hidden) continue;
      stage.mark(found.seen);
      parts.sum.replaceChildren(...written(found, go, now.layers));
      parts.canvas.setAttribute("aria-label", `${found.unit} = ${short(found.value, 4)}`);
    } while (now.next);
  } catch (error) {
    if (error.status === 404) document.dispatchEvent(new CustomEvent("dojang:forgotten"));
    else parts.sum.replaceChildren(trouble(error, t("fix")));
  } finally {
    now.busy = false;
  }
}

function cursor() {
  const { one } = now;
  if (!one.maps) return;
  const [, height, width] = one.maps;
  const { cursor: mark, held } = parts;
  mark.style.setProperty("left", `${(now.x / width) * 100}%`);
  mark.style.setProperty("top", `${(now.y / height) * 100}%`);
  mark.style.setProperty("width", `${100 / width}%`);
  mark.style.setProperty("height", `${100 / height}%`);
  held.textContent = t("rewrite", { y: now.y, x: now.x }) + (now.held ? ` · ${t("held")}` : "");
}

