// Every layer with what it makes of the picture, from the first to the last; any map large, and what would excite it.

import { ask } from "./ask.js";
import { make, paintFilter, paintMap, spinner, trouble, unpack } from "./paint.js";
import { short, t } from "./words.js";

const FEW = 8;
let told = null, place = null, list = null, drawnFor = "", alone = true, watcher = null;

export function given(found) {
  told = found;
  list = null;
  drawnFor = "";
}

export function spoken() {
  drawnFor = "";
}

/** The layers of the network, as the service names them; shared with the X-ray. */
export async function layersOf(found) {
  const { layers } = await ask(`pictures/${found.id}/layers`);
  return layers;
}

export async function shown(element) {
  place = element;
  if (!told) {
    element.replaceChildren(make("p", { class: "note" }, t("layers-first")));
    return;
  }
  if (drawnFor === told.id) return;
  const mine = (drawnFor = told.id);
  if (!list) {
    element.replaceChildren(spinner());
    try {
      list = await layersOf(told);
    } catch (error) {
      drawnFor = "";
      if (error.status === 404) return document.dispatchEvent(new CustomEvent("dojang:forgotten"));
      return element.replaceChildren(trouble(error, t("fix")));
    }
    if (mine !== told.id) return;
  }
  draw();
}

function draw() {
  watcher?.disconnect();
  watcher = new IntersectionObserver((seen) => {
    for (const one of seen) if (one.isIntersecting) { watcher.unobserve(one.target); fill(one.target); }
  }, { rootMargin: "200px" });
  const blocks = list.some((one) => !one.layer && one.maps);
  const check = make("input", { type: "checkbox", checked: alone, onchange: () => { alone = check.checked; draw(); } });
  const rows = list.filter((one) => one.layer || !alone).map(row);
  place.replaceChildren(
    make("p", { class: "note" }, t("layers-help")),
    ...(blocks ? [make("label", { class: "check note" }, check, " ", t("only-layers"))] : []),
    make("ol", { class: "flow" }, ...rows),
  );
}

function row(one) {
  const strip = make("div", { class: "strip" });
  const buttons = make("span", { class: "row" });
  const element = make("li", { class: one.maps ? "has-maps" : "" },
    make("div", { class: "head" }, make("h3", {}, one.name), make("code", {}, one.type), make("span", { class: "note" }, one.shape.join(" × ")), buttons),
    strip);
  if (!one.maps && !one.filters) return element;
  const state = { one, kind: one.maps ? "maps" : "filters", all: false, found: {} };
  element.state = state;
  state.redraw = () => strips(state, strip, buttons);
  strip.style.setProperty("min-height", "4.9rem");
  strip.append(spinner());
  watcher.observe(element);
  return element;
}

/** The maps or filters of a row, asked for once. */
async function found(state, kind) {
  const { one } = state;
  state.found[kind] ??= kind === "maps"
    ? await ask(`pictures/${told.id}/maps`, { layer: one.name })
    : await ask("filters", { layer: one.name });
  return state.found[kind];
}

async function fill(element) {
  const { state } = element;
  try {
    await found(state, state.kind);
    state.redraw();
  } catch (error) {
    element.querySelector(".strip").replaceChildren(trouble(error, t("fix")));
  }
}

function strips(state, strip, buttons) {
  const { one, kind, all } = state;
  const made = state.found[kind];
  const parts = unpack(made[kind]);
  const count = all ? made.shown.length : Math.min(FEW, made.shown.length);
  // the strongest of the few, in their own order
  const order = made.shown.map((channel, part) => [channel, part]);
  const chosen = all ? order : [...order].sort((a, b) => parts.most[b[1]] - parts.most[a[1]]).slice(0, count).sort((a, b) => a[0] - b[0]);
  strip.replaceChildren(...chosen.map(([channel, part]) => tile(state, parts, channel, part)));
  strip.classList.toggle("all", all);
  strip.style.removeProperty("min-height");
  const offered = [];
  if (one.maps && one.filters) {
    const other = kind === "maps" ? "filters" : "maps";
    offered.push(make("button", { type: "button", class: "quiet small", onclick: () => { state.kind = other; fill(strip.parentElement); } }, t(`show-${other}`)));
  }
  if (made.shown.length > FEW) {
    offered.push(make("button", { type: "button", class: "quiet small", "aria-expanded": String(all), onclick: () => { state.all = !all; state.redraw(); } },
      all ? t("show-fewer") : t("show-all", { n: made.shown.length })));
  }
  const total = made.shape[0];
  if (all && total > made.shown.length) offered.push(make("span", { class: "note" }, t("strongest", { n: made.shown.length, all: total })));
  buttons.replaceChildren(...offered);
}

function tile(state, parts, channel, part) {
  const canvas = drawn(state.kind, parts, part);
  const name = t("channel-of", { layer: state.one.name, n: channel });
  const open = () => large(state, channel);
  return make("button", { type: "button", class: "tile", "aria-label": name, title: name, onclick: open }, canvas, make("span", {}, String(channel)));
}

function drawn(kind, parts, part) {
  const canvas = document.createElement("canvas");
  const [, ...shape] = parts.shape;
  const size = shape.reduce((product, side) => product * side, 1);
  if (kind === "filters") return paintFilter(canvas, parts.bytes, shape, part * size);
  return paintMap(canvas, parts.bytes, shape[0], shape[1], part * size);
}

/** One channel: its map, its filter, and the picture that excites it the most. */
function large(state, channel) {
  const { one } = state;
  const box = make("dialog", { class: "large", "aria-label": t("channel-of", { layer: one.name, n: channel }) });
  const figures = make("div", { class: "figures" });
  for (const kind of ["maps", "filters"]) {
    if (!one[kind]) continue;
    const figure = make("figure", {}, make("div", { class: "making" }, spinner()));
    figures.append(figure);
    found(state, kind).then((all) => {
      const part = all.shown.indexOf(channel), parts = unpack(all[kind]);
      if (part < 0) return figure.remove();
      figure.replaceChildren(drawn(kind, parts, part), make("figcaption", {}, t(kind === "maps" ? "map" : "filter"), ", ± ", short(parts.most[part])));
    }).catch((error) => figure.replaceChildren(trouble(error, t("fix"))));
  }
  const best = make("figure", {}, make("div", { class: "making" }, spinner()), make("figcaption", {}, t("making")));
  figures.append(best);
  const through = make("button", { type: "button", onclick: () => {
    box.close();
    document.dispatchEvent(new CustomEvent("dojang:unit", { detail: { layer: one.name, channel } }));
    document.dispatchEvent(new CustomEvent("dojang:open", { detail: "xray" }));
  } }, t("xray-it"));
  box.append(make("h2", {}, t("channel-of", { layer: one.name, n: channel })), figures,
    make("p", { class: "row" }, through, make("button", { type: "button", class: "quiet", onclick: () => box.close() }, t("close"))));
  box.addEventListener("close", () => box.remove());
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  document.body.append(box);
  box.showModal();
  ask("maximise", { layer: one.name, channel }).then((found) => {
    const image = make("img", { src: found.picture, alt: t("maximise") });
    best.replaceChildren(image, make("figcaption", {}, make("strong", {}, t("maximise")), make("br"),
      t("excited", { before: short(found.before), after: short(found.after) })));
  }).catch((error) => best.replaceChildren(trouble(error, t("fix"))));
}
