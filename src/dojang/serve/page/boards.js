// Boards of numbers: small ones as tables whose cells can be edited, large ones as pictures.

import { beyond, parts } from "./convolve.js";
import { colour, make } from "./paint.js";
import { short, t } from "./words.js";

const READABLE = 12;
const COLUMNS = 25;

const light = ([red, green, blue]) => red * 0.3 + green * 0.59 + blue * 0.11 > 120;

/**
 * Draw a board into an element.
 * values: rows of numbers; padding and edges: what lies around; marked: a set of "y,x"; upTo: cells after it are not yet
 * there; edit(y, x, value) and pick(y, x): what can be done with a cell.
 */
export function board(spot, { values, name, padding = 0, edges = "zeros", marked = new Set(), upTo = Infinity, edit = null, pick = null }) {
  const height = values.length, width = values[0].length;
  const largest = Math.max(1e-12, ...values.flat().map(Math.abs));
  const given = { values, name, padding, edges, marked, upTo, edit, pick, height, width, largest };
  if (Math.max(height, width) + 2 * padding > READABLE) pictured(spot, given);
  else tabled(spot, given);
}

function around({ values, padding, edges, height, width }, y, x) {
  const fy = beyond(y, height, edges), fx = beyond(x, width, edges);
  return fy === null || fx === null ? 0 : values[fy][fx];
}

function tabled(spot, given) {
  const { values, name, padding, marked, upTo, edit, pick, height, width, largest } = given;
  const focused = spot.contains(document.activeElement) ? document.activeElement.dataset.at : null;
  const rows = [];
  for (let y = -padding; y < height + padding; y++) {
    const cells = [];
    for (let x = -padding; x < width + padding; x++) {
      const inside = y >= 0 && x >= 0 && y < height && x < width;
      const value = around(given, y, x), hidden = inside && y * width + x > upTo;
      const cell = make("td", { class: `${inside ? "" : "outside"}${marked.has(`${y},${x}`) ? " marked" : ""}` });
      const shades = colour((value / largest) * 127);
      if (inside && !hidden) {
        cell.style.setProperty("background", `rgb(${shades.join(" ")})`);
        cell.style.setProperty("color", light(shades) ? "#000" : "#fff");
      }
      if (inside && edit) cell.append(field(y, x, value, name, edit));
      else if (hidden) cell.textContent = "";
      else if (inside && pick) cell.append(make("button", { type: "button", onclick: () => pick(y, x), "aria-label": `${t("rewrite", { y, x })}: ${short(value, 3)}` }, short(value, 3)));
      else cell.textContent = short(value, 3);
      cells.push(cell);
    }
    rows.push(make("tr", {}, ...cells));
  }
  spot.replaceChildren(make("table", { class: "board" }, make("caption", {}, name), make("tbody", {}, ...rows)));
  if (focused) spot.querySelector(`[data-at="${focused}"]`)?.focus();
}

function field(y, x, value, name, edit) {
  const input = make("input", { type: "text", inputMode: "decimal", value: short(value, 3), "aria-label": `${name}, ${t("rewrite", { y, x })}`, "data-at": `${y},${x}` });
  const read = () => {
    const number = Number(input.value.replace("−", "-").replace(",", "."));
    if (input.value.trim() !== "" && Number.isFinite(number) && Math.abs(number) < 1e6) {
      if (number !== value) edit(y, x, number);
    } else input.value = short(value, 3);
  };
  input.addEventListener("change", read);
  input.addEventListener("focus", () => input.select());
  input.addEventListener("keydown", (event) => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!move || !(event.key === "ArrowUp" || event.key === "ArrowDown" || event.altKey)) return;
    event.preventDefault();
    input.closest("table").querySelector(`[data-at="${y + move[0]},${x + move[1]}"]`)?.focus();
  });
  return input;
}

function pictured(spot, given) {
  const { name, padding, marked, upTo, pick, height, width, largest } = given;
  const down = height + 2 * padding, across = width + 2 * padding, cell = Math.max(4, Math.floor(336 / Math.max(down, across)));
  const canvas = make("canvas", { width: across * cell, height: down * cell, class: "board", role: "img", "aria-label": name });
  const context = canvas.getContext("2d");
  for (let y = -padding; y < height + padding; y++) {
    for (let x = -padding; x < width + padding; x++) {
      const inside = y >= 0 && x >= 0 && y < height && x < width;
      if (inside && y * width + x > upTo) continue;
      const [red, green, blue] = colour((around(given, y, x) / largest) * 127);
      context.fillStyle = `rgb(${red} ${green} ${blue} / ${inside ? 1 : 0.55})`;
      context.fillRect((x + padding) * cell, (y + padding) * cell, cell, cell);
    }
  }
  for (const one of marked) {
    const [y, x] = one.split(",").map(Number);
    for (const [shade, thick] of [["#000", 3], ["#fff", 1.5]]) {
      context.strokeStyle = shade;
      context.lineWidth = thick;
      context.strokeRect((x + padding) * cell + 1, (y + padding) * cell + 1, cell - 2, cell - 2);
    }
  }
  if (pick) {
    canvas.addEventListener("click", (event) => {
      const box = canvas.getBoundingClientRect();
      const y = Math.floor(((event.clientY - box.top) / box.height) * down) - padding, x = Math.floor(((event.clientX - box.left) / box.width) * across) - padding;
      if (y >= 0 && x >= 0 && y < height && x < width) pick(y, x);
    });
  }
  spot.replaceChildren(make("figure", {}, make("figcaption", {}, name), canvas));
}

/** The im2col view: the kernel as a row, the patches as columns, the output as a row. */
export function columns(spot, { input, kernel, how, height, width, at, output }) {
  const count = height * width, side = kernel.length * kernel.length;
  const from = count <= COLUMNS ? 0 : Math.max(0, Math.min(count - COLUMNS, at - Math.floor(COLUMNS / 2)));
  const to = Math.min(count, from + COLUMNS);
  const places = Array.from({ length: to - from }, (_, i) => from + i);
  const patches = places.map((step) => parts(input, kernel, Math.floor(step / width), step % width, how));
  const largest = Math.max(1e-12, ...patches.flat().map((term) => Math.abs(term.value)));
  const cell = (value, step, extra = "") => {
    const made = make("td", { class: `${step === at ? "marked" : ""}${extra}` }, short(value, 2));
    const shades = colour((value / largest) * 127);
    if (!extra) {
      made.style.setProperty("background", `rgb(${shades.join(" ")})`);
      made.style.setProperty("color", light(shades) ? "#000" : "#fff");
    }
    return made;
  };
  const weights = patches[0].map((term) => term.weight);
  const row = make("table", { class: "grid small" }, make("caption", {}, `${t("kernel")} 1 × ${side}`), make("tbody", {}, make("tr", {}, ...weights.map((one) => make("td", {}, short(one, 2))))));
  const matrix = make("table", { class: "grid small" }, make("caption", {}, `${side} × ${count}`),
    make("tbody", {}, ...weights.map((_, term) => make("tr", {}, ...places.map((step, i) => cell(patches[i][term].value, step))))));
  const flat = output.flat();
  const result = make("table", { class: "grid small" }, make("caption", {}, `${t("output")} 1 × ${count}`),
    make("tbody", {}, make("tr", {}, ...places.map((step) => make("td", { class: step === at ? "marked" : "" }, step <= at ? short(flat[step], 2) : "")))));
  spot.replaceChildren(
    ...(count > COLUMNS ? [make("p", { class: "note" }, t("im2col-large", { r: side, c: count }))] : []),
    make("div", { class: "scroller", tabIndex: 0, role: "group", "aria-label": t("im2col") }, row, make("span", { class: "sign" }, "×"), matrix, make("span", { class: "sign" }, "="), result),
  );
}
