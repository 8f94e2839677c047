// The page: takes a picture in, hands the answer to the views, keeps tabs, language and colours.

import { ask, picture, send, tokenFrom, whenHeard } from "./ask.js";
import * as answer from "./answer.js";
import * as convolution from "./convolution.js";
import * as layers from "./layers.js";
import { make, paintScale } from "./paint.js";
import * as run from "./run.js";
import * as stage from "./stage.js";
import { has, language, LANGUAGES, percent, speak, t, write } from "./words.js";
import * as xray from "./xray.js";

const views = { answer, layers, xray, convolution, run };
const at = (id) => document.getElementById(id);
const now = { about: null, told: null, image: null, heat: null, sending: null, heating: 0, tab: "answer" };

const kept = {
  get: (name) => { try { return localStorage.getItem(`dojang-${name}`); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem(`dojang-${name}`, value); } catch { /* private windows keep nothing */ } },
};

// --- tabs

function open(name, focus = false) {
  if (!views[name]) name = "answer";
  now.tab = name;
  document.body.dataset.tab = name;
  for (const [key, view] of Object.entries(views)) {
    const tab = at(`tab-${key}`), chosen = key === name;
    tab.setAttribute("aria-selected", chosen);
    tab.tabIndex = chosen ? 0 : -1;
    at(key).hidden = !chosen;
    if (!chosen && view.left) view.left();
  }
  if (focus) at(`tab-${name}`).focus();
  // not the panel's own id, which a browser would go to and focus
  if (location.hash !== `#/${name}`) history.replaceState(null, "", `#/${name}`);
  if (name !== "xray") stage.mark(null);
  views[name].shown(at(name));
}

at("tabs").addEventListener("click", (event) => {
  const tab = event.target.closest("[role=tab]");
  if (tab) open(tab.id.slice(4));
});
at("tabs").addEventListener("keydown", (event) => {
  const names = Object.keys(views), place = names.indexOf(now.tab);
  const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: names.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  open(names[(to + names.length) % names.length], true);
});
addEventListener("hashchange", () => open(location.hash.slice(2)));

// --- a picture comes in

function complain(error) {
  const box = at("trouble");
  box.hidden = !error;
  box.replaceChildren();
  if (!error) return;
  box.append(error.code ? `${error.message} (${error.code})` : error.message);
  if (error.fix) box.append(make("br"), `${t("fix")}: ${error.fix}`);
}

async function take(file) {
  if (!file) return complain(new Error(t("no-picture")));
  complain(null);
  now.sending?.abort();
  const sending = (now.sending = new AbortController());
  const began = performance.now();
  at("busy").hidden = false;
  try {
    const told = await send(file, sending.signal);
    if (sending !== now.sending) return;
    told.milliseconds = performance.now() - began;
    // what browsers cannot show, the service has drawn
    const image = await picture(`page/pictures/${told.id}`);
    if (sending !== now.sending) return;
    Object.assign(now, { told, image, heat: null });
    at("drop").classList.remove("empty");
    stage.show(image, told);
    describe();
    const { label, probability, unknown } = told.answer;
    at("said").hidden = false;
    at("said").firstChild.textContent = unknown ? `? (${label})` : label;
    at("said").lastChild.textContent = percent(probability);
    at("heat").disabled = false;
    at("class").value = told.answer.label;
    for (const view of Object.values(views)) view.given?.(told, now.about);
    views[now.tab].shown(at(now.tab));
    await warm();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (sending === now.sending) complain(error);
  } finally {
    if (sending === now.sending) at("busy").hidden = true;
  }
}

function describe() {
  if (!now.told) return stage.describe(t("drop"));
  const { label, probability } = now.told.answer;
  stage.describe(`${t("picture")}: ${label}, ${percent(probability)}`);
}

/** Ask for the heat map that is chosen now. */
async function warm() {
  if (!now.told) return;
  const number = ++now.heating;
  at("busy").hidden = false;
  try {
    const query = { method: at("method").value, class: at("class").value };
    const heat = await ask(`pictures/${now.told.id}/heat`, query);
    if (number !== now.heating) return;
    now.heat = heat;
    if (!at("method").value) at("method").value = heat.method;
    stage.layHeat(heat);
    complain(null);
    sayHeat();
  } catch (error) {
    if (number !== now.heating) return;
    now.heat = null;
    stage.layHeat(null);
    at("heat-words").textContent = "";
    if (error.status === 404) return again();
    complain(error);
  } finally {
    if (number === now.heating) at("busy").hidden = true;
  }
}

/** The service keeps few pictures; one that it forgot is sent again. */
function again() {
  if (now.file) take(now.file);
}

function sayHeat() {
  const { heat } = now;
  if (!heat) return;
  const share = heat.half_in;
  const told = share === null ? t("nothing-for", heat) : t("half-in", { label: heat.label, share: percent(share) });
  at("heat-words").textContent = heat.layer ? `${told} ${t("at-layer", heat)}` : told;
}

function given(file) {
  now.file = file;
  take(file);
}

for (const id of ["file", "photo"]) {
  at(id).addEventListener("change", (event) => {
    if (event.target.files.length) given(event.target.files[0]);
    event.target.value = "";
  });
}
const drop = document;
let inside = 0;
drop.addEventListener("dragenter", (event) => { event.preventDefault(); inside++; at("drop").classList.add("over"); });
drop.addEventListener("dragleave", () => { if (--inside <= 0) { inside = 0; at("drop").classList.remove("over"); } });
drop.addEventListener("dragover", (event) => event.preventDefault());
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  inside = 0;
  at("drop").classList.remove("over");
  given(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files][0];
  // text is pasted into fields
  if (file) given(file);
});

// --- a photograph, where the browser gives a camera; phones have their own way, behind "photograph"

if (navigator.mediaDevices?.getUserMedia && !matchMedia("(pointer: coarse)").matches) {
  at("camera").hidden = false;
  at("photo-label").hidden = true;
}
const shot = at("shot"), video = shot.querySelector("video");
const stop = () => { video.srcObject?.getTracks().forEach((track) => track.stop()); video.srcObject = null; };
at("camera").addEventListener("click", async () => {
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
    shot.showModal();
    await video.play();
  } catch (error) {
    stop();
    complain(new Error(t("no-camera", { why: error.message })));
  }
});
shot.addEventListener("close", stop);
const [shoot, close] = shot.querySelectorAll("button");
close.addEventListener("click", () => shot.close());
shoot.addEventListener("click", () => {
  const frame = make("canvas", { width: video.videoWidth, height: video.videoHeight });
  frame.getContext("2d").drawImage(video, 0, 0);
  shot.close();
  frame.toBlob((blob) => given(blob), "image/png");
});

// --- what is asked of it

at("method").addEventListener("change", warm);
at("class").addEventListener("change", () => { answer.chosen(at("class").value); warm(); });
at("strength").addEventListener("input", (event) => stage.setStrength(event.target.value / 100));
document.addEventListener("dojang:class", (event) => { at("class").value = event.detail; warm(); });
document.addEventListener("dojang:open", (event) => open(event.detail, true));
document.addEventListener("dojang:forgotten", again);

// --- language and colours

function talk(name) {
  speak(name);
  kept.set("lang", name);
  write();
  at("lang").textContent = { en: "한국어", ko: "English" }[name];
  at("lang").lang = LANGUAGES.find((one) => one !== name);
  dress(document.documentElement.dataset.choice || "auto");
  const method = at("method").value;
  at("method").replaceChildren(...(now.about?.methods || []).map((one) => make("option", { value: one }, has(one) ? t(one) : one)));
  if (method || now.heat) at("method").value = method || now.heat.method;
  else at("method").prepend(make("option", { value: "", hidden: true, selected: true }, "–"));
  describe();
  sayHeat();
  if (at("trouble").childNodes.length === 0) at("trouble").hidden = true;
  for (const view of Object.values(views)) view.spoken?.();
  views[now.tab].shown(at(now.tab));
}
at("lang").addEventListener("click", () => talk(LANGUAGES.find((one) => one !== language())));

const dark = matchMedia("(prefers-color-scheme: dark)");
function dress(choice) {
  const root = document.documentElement;
  root.dataset.choice = choice;
  root.dataset.theme = choice === "auto" ? (dark.matches ? "dark" : "light") : choice;
  kept.set("theme", choice);
  at("theme").textContent = t(choice);
  at("theme").setAttribute("aria-label", t("theme", { now: t(choice) }));
  at("theme").title = t("theme", { now: t(choice) });
}
dark.addEventListener("change", () => dress(document.documentElement.dataset.choice));
at("theme").addEventListener("click", () => {
  const choices = ["auto", "light", "dark"];
  dress(choices[(choices.indexOf(document.documentElement.dataset.choice) + 1) % 3]);
  views[now.tab].dressed?.();
});

whenHeard((heard) => {
  at("offline").hidden = heard;
  at("offline").textContent = heard ? "" : t("offline");
});

// --- small screens: the answer first

if (matchMedia("(max-width: 860px)").matches) at("heat-box").open = false;

// --- a token, where the service asks for one

let asked = null;
tokenFrom(() => {
  const box = at("token"), field = box.querySelector("input");
  asked ??= new Promise((found) => {
    field.value = "";
    box.addEventListener("close", () => { asked = null; found(field.value.trim()); }, { once: true });
    box.showModal();
  });
  return asked;
});

// --- begin

async function begin() {
  const spoken = kept.get("lang") || (navigator.language.startsWith("ko") ? "ko" : "en");
  speak(spoken);
  dress(kept.get("theme") || "auto");
  paintScale(document.querySelector("#scale canvas"));
  stage.setStrength(at("strength").value / 100);
  talk(spoken);
  open(location.hash.slice(2));
  try {
    now.about = await ask("about");
  } catch (error) {
    return complain(error);
  }
  at("name").textContent = now.about.name;
  document.title = `${now.about.name} – dojang`;
  at("class").replaceChildren(...now.about.labels.map((label) => make("option", { value: label }, label)));
  talk(spoken);
  document.body.dataset.ready = "true";
  const { samples } = await ask("samples").catch(() => ({ samples: [] }));
  at("samples").hidden = !samples.length;
  at("samples").querySelector(".strip").replaceChildren(...samples.map((one, sample) => make("button", {
    type: "button", class: "tile", title: one.name, "aria-label": one.label, onclick: () => given({ sample }),
  }, make("img", { src: one.picture, alt: "" }))));
}
begin();
