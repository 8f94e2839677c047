// The report of the run, in a frame of its own: neither its style nor its script reaches this page.

import { ask, withToken } from "./ask.js";
import { make, spinner } from "./paint.js";
import { language, t } from "./words.js";

let about = null, shownIn = "";

export function shown(element) {
  const lang = language();
  if (about === null) {
    fetchAbout(element);
    return;
  }
  if (!about.report || withToken()) {
    element.replaceChildren(make("p", { class: "note" }, t(about.report ? "run-token" : "run-none")));
    return;
  }
  if (shownIn === lang && element.querySelector("iframe")) return;
  shownIn = lang;
  const waiting = make("p", { class: "note" }, spinner(), " ", t("loading"));
  element.replaceChildren(waiting, make("iframe", { onload: () => waiting.remove(), src: `page/run?lang=${lang}`, title: t("run-title"), class: "report", sandbox: "allow-scripts allow-popups" }));
}

async function fetchAbout(element) {
  about = await ask("about").catch(() => null);
  if (about && !element.hidden) shown(element);
}
