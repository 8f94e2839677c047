// The arithmetic of one unit, written out: patch times kernel, products, their sum, the bias, and what it comes to.

import { colour, make } from "./paint.js";
import { short, t } from "./words.js";

const CHANNELS = 3;
const SIDE = 11;

/** Elements for what an X-ray found; `go` is called with the unit that is chosen next. */
export function written(found, go, layers) {
  const parts = [make("h3", { class: "unit" }, `${found.unit} = ${short(found.value, 5)}`)];
  const about = [found.type];
  if (found.given) about.push(`${t("given-by")} ${found.given} (${found.given_shape.join(" × ")})`);
  parts.push(make("p", { class: "note" }, about.join(", ")));
  if (found.seen) {
    const [top, left, bottom, right] = found.seen.box;
    const told = t("saw", { h: bottom - top, w: right - left }) + (found.seen.clipped ? ` ${t("clipped")}` : "");
    parts.push(make("p", { class: "note" }, told));
  }
  if (found.terms) parts.push(...sums(found));
  else if (found.window) parts.push(pooled(found));
  // of a weighted sum the line above says the same
  if (found.formula && !found.terms) parts.push(make("p", { class: "formula" }, found.formula), make("p", { class: "formula" }, found.filled));
  else if (found.kind === "other") parts.push(make("p", { class: "note" }, t("not-written")));
  if (found.result !== null) parts.push(check(found));
  parts.push(next(found, go, layers));
  return parts;
}

function check(found) {
  const same = found.gap < 1e-5 * Math.max(1, Math.abs(found.value));
  return make("p", { class: "check-line" }, t("network-own", { value: short(found.value, 7) }), " ",
    make("strong", { class: same ? "good" : "bad" }, same ? `✓ ${t("equal")}` : t("apart-by", { gap: short(found.gap) })));
}

function sums(found) {
  const { terms } = found;
  const grids = Array.isArray(terms.patch[0]);
  if (!grids) return [dense(found)];
  const all = terms.sums ? terms.sums.length : terms.patch.length;
  const order = terms.patch.map((_, part) => part).sort((one, other) => Math.abs(total(terms.products[other])) - Math.abs(total(terms.products[one])));
  const chosen = order.slice(0, CHANNELS).sort((one, other) => one - other);
  const made = [];
  if (all > chosen.length) made.push(make("p", { class: "note" }, t("largest-channels", { n: chosen.length, all })));
  let shown = 0;
  for (const part of chosen) {
    const channel = (terms.first_channel || 0) + (terms.kept ? terms.kept[part] : part);
    const own = total(terms.products[part]);
    shown += own;
    made.push(make("div", { class: "product" },
      all > 1 ? make("p", { class: "note" }, t("input-channel", { n: channel })) : null,
      make("div", { class: "grids" },
        grid(terms.patch[part], t("patch"), terms.inside), make("span", { class: "sign" }, "×"),
        grid(terms.kernel[part], t("kernel")), make("span", { class: "sign" }, "="),
        grid(terms.products[part], t("products"), terms.inside), make("span", { class: "sign" }, "→"),
        make("span", { class: "number" }, short(own, 4), make("small", {}, t("sum"))))));
  }
  const line = [];
  for (const part of chosen) line.push(number(total(terms.products[part])));
  if (all > chosen.length) line.push(number(terms.sum - shown, t("others-sum", { n: all - chosen.length })));
  line.push(number(terms.bias, t("bias")));
  made.push(totalled(line, found.result));
  return made;
}

function dense(found) {
  const { terms } = found;
  const order = terms.products.map((_, part) => part).sort((one, other) => Math.abs(terms.products[other]) - Math.abs(terms.products[one])).slice(0, 12);
  const rows = order.map((part) => make("tr", {},
    make("td", {}, String(terms.kept ? terms.kept[part] : part)), cell(terms.patch[part]), cell(terms.kernel[part]), cell(terms.products[part])));
  const shown = order.reduce((sum, part) => sum + terms.products[part], 0);
  const [all] = found.given_shape.length === 1 ? found.given_shape : [found.given_shape.reduce((product, side) => product * side, 1)];
  return make("div", { class: "product" },
    make("p", { class: "note" }, t("largest-inputs", { n: order.length, all })),
    make("table", { class: "terms" }, make("thead", {}, make("tr", {}, ...[t("input-number"), t("input-value"), t("weight"), t("products")].map((one) => make("th", {}, one)))), make("tbody", {}, ...rows)),
    totalled([number(shown), number(terms.sum - shown, t("others-sum", { n: all - order.length })), number(terms.bias, t("bias"))], found.result));
}

function cell(value) {
  return make("td", { class: "figure" }, short(value, 4));
}

function pooled(found) {
  const { values, winner, rows, columns } = found.window;
  const best = winner ? [rows.indexOf(winner[0]), columns.indexOf(winner[1])] : null;
  return make("div", { class: "grids" }, grid(values, t("window"), null, best));
}

function totalled(line, result) {
  const made = [];
  line.forEach((one, place) => made.push(...(place ? [make("span", { class: "sign" }, "+")] : []), one));
  return make("div", { class: "grids total" }, ...made, make("span", { class: "sign" }, "="), number(result, t("result"), true));
}

function number(value, name = "", strong = false) {
  return make("span", { class: strong ? "number result" : "number" }, short(value, strong ? 5 : 4), name ? make("small", {}, name) : null);
}

const total = (products) => products.flat(Infinity).reduce((sum, one) => sum + one, 0);

function grid(values, name, inside = null, best = null) {
  const rows = values.slice(0, SIDE), largest = Math.max(1e-12, ...values.flat().map(Math.abs));
  const cells = rows.map((row, y) => make("tr", {}, ...row.slice(0, SIDE).map((value, x) => {
    const out = inside && inside[y] && inside[y][x] === false;
    const level = (value / largest) * 127;
    const [red, green, blue] = colour(level);
    const dark = red * 0.3 + green * 0.59 + blue * 0.11 < 120;
    const made = make("td", { class: `${out ? "outside" : ""}${best && best[0] === y && best[1] === x ? " best" : ""}`, title: String(value) }, short(value, 2));
    if (!out) {
      made.style.setProperty("background", `rgb(${red} ${green} ${blue})`);
      made.style.setProperty("color", dark ? "#fff" : "#000");
    }
    return made;
  })));
  const small = rows.length > 5 || (rows[0] || []).length > 5;
  return make("table", { class: small ? "grid small" : "grid" }, make("caption", {}, name), make("tbody", {}, ...cells));
}

function next(found, go, layers) {
  if (!found.readers.length) return make("span", {});
  const made = found.readers.slice(0, 8).map((reader) => {
    const known = layers.find((one) => one.name === reader.layer);
    const text = reader.told || reader.layer;
    if (!known) return make("li", {}, text);
    return make("li", {}, make("button", { type: "button", class: "quiet small", onclick: () => go(unitOf(reader)) }, text));
  });
  return make("div", {}, make("h3", {}, t("goes-to")), make("ul", { class: "next" }, ...made));
}

/** A unit of the layer that reads this one: itself where each number goes its own way, else one that it counts for. */
function unitOf({ layer, index, units, first, weights }) {
  if (weights.length) return { layer, channel: weights[0][0] };
  if (units.length !== 3) return { layer, channel: index ? index[0] : undefined };
  const middle = (side) => first[side] + Math.floor(Math.max(0, units[side + 1] - 1) / 2);
  return { layer, channel: units[0] === 1 && index ? index[0] : undefined, y: middle(0), x: middle(1) };
}
