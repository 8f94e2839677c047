// The report of the run, in a frame of its own: neither its style nor its script reaches this page.

import { ask, framed } from "./ask.js";
import { make, spinner } from "./paint.js";
import { language, t } from "./words.js";

let about = null, shownIn = "";

export async function shown(element) {
  const lang = language();
  if (about === null) {
    fetchAbout(element);
    return;
  }
  if (!about.report) {
    element.replaceChildren(make("p", { class: "note" }, t("run-none")));
    return;
  }
  if (shownIn === lang && element.firstChild) return;
  shownIn = lang;
  const waiting = make("p", { class: "note" }, spinner(), " ", t("loading"));
  element.replaceChildren(waiting);
  try {
    const src = await framed("run", { lang });
    if (shownIn !== lang) return;
    element.append(make("iframe", { onload: () => waiting.remove(), src, title: t("run-title"), class: "report", sandbox: "allow-scripts allow-popups" }));
  } catch (error) {
    shownIn = "";
    element.replaceChildren(make("p", { class: "note" }, error.message));
  }
}

async function fetchAbout(element) {
  about = await ask("about").catch(() => null);
  if (about && !element.hidden) shown(element);
}
