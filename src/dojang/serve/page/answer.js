// The answer: the label, every class with its probability, and what the network sees of the picture.

import { picture } from "./ask.js";
import { make } from "./paint.js";
import { percent, t } from "./words.js";

const SHOWN = 10;
let told = null, about = null, place = null, asked = "";

/** A new picture. */
export function given(found, network) {
  told = found;
  about = network;
  asked = found.answer.label;
}

/** The class that the heat map is asked about. */
export function chosen(label) {
  asked = label;
  if (place) shown(place);
}

export function shown(element) {
  place = element;
  if (!told) {
    element.replaceChildren(make("p", { class: "note" }, t("first")));
    return;
  }
  const { label, probability, unknown, probabilities } = told.answer;
  const order = Object.entries(probabilities).sort((one, other) => other[1] - one[1]);
  const best = order.slice(0, SHOWN), rest = order.slice(SHOWN);
  const bars = best.map(([name, share]) => {
    const bar = make("span", { class: "bar" });
    bar.style.setProperty("--share", `${share * 100}%`);
    const pick = () => {
      asked = name;
      mark(list);
      document.dispatchEvent(new CustomEvent("dojang:class", { detail: name }));
    };
    return make("li", {}, make("button", { type: "button", class: "class", onclick: pick, value: name },
      make("span", { class: "label" }, name), bar, make("span", { class: "share" }, percent(share))));
  });
  const list = make("ol", { class: "bars" }, ...bars);
  list.style.setProperty("--label", `${Math.min(22, Math.max(2, ...best.map(([name]) => name.length))) * 0.58 + 0.8}rem`);
  mark(list);
  const more = rest.length
    ? make("p", { class: "note" }, t("more-classes", { n: rest.length, p: percent(rest.reduce((sum, one) => sum + one[1], 0)) }))
    : null;
  element.replaceChildren(
    make("div", { class: "said", "aria-live": "polite" },
      make("p", { class: "note" }, t(unknown ? "unknown" : "says")),
      make("p", { class: unknown ? "label unknown" : "label" }, label, " ", make("span", { class: "share" }, percent(probability)))),
    ...(told.label === null ? [] : [make("p", { class: "note" }, t("its-label", { label: told.label, told: t(told.label === label ? "right" : "wrong") }))]),
    list,
    ...(more ? [more] : []),
    make("p", { class: "note" }, t("bars-help")),
    sees(),
    make("p", { class: "note" }, t("took", { ms: Math.round(told.milliseconds) })),
  );
}

function mark(list) {
  for (const button of list.querySelectorAll("button")) button.setAttribute("aria-pressed", button.value === asked);
}

function sees() {
  const [height, width, channels] = about.size;
  const image = make("img", { alt: t("sees"), class: "sees" });
  picture(`page/pictures/${told.id}/pixels`).then((found) => { image.src = found.src; }, () => image.remove());
  const [top, left, bottom, right] = told.frame.seen;
  const cut = top >= 1 || left >= 1 || bottom <= told.height - 1 || right <= told.width - 1;
  return make("figure", {}, image, make("figcaption", {}, make("h3", {}, t("sees")),
    make("p", { class: "note" }, t("sees-size", { h: height, w: width, c: t(channels === 1 ? "grey" : "rgb") })),
    cut ? make("p", { class: "note" }, t("cut-off")) : null,
    told.another_order ? make("p", { class: "note" }, t("permuted")) : null));
}
