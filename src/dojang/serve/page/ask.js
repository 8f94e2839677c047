// Questions to the service this page came from; no other host is ever asked.

/** What went wrong, as the service said it. */
export class Refusal extends Error {
  constructor(status, told) {
    super(told.message || `HTTP ${status}`);
    this.status = status;
    this.code = told.code || "";
    this.fix = told.fix || "";
  }
}

const heard = new Set();
let token = sessionStorage.getItem("dojang-token") || "";
let wanted = () => Promise.resolve("");

/** How a token is asked for, where the service wants one: a function that promises it. */
export const tokenFrom = (asking) => { wanted = asking; };

/** Be told of every question whether it was answered (true) or the service was silent (false). */
export const whenHeard = (listener) => heard.add(listener);

async function sent(path, options = {}) {
  let response;
  try {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    response = await fetch(path, { ...options, headers, credentials: "same-origin" });
  } catch (error) {
    if (error.name !== "AbortError") heard.forEach((listener) => listener(false));
    throw error;
  }
  heard.forEach((listener) => listener(true));
  if (response.ok) return response;
  if (response.status === 401) {
    const before = token;
    const given = await wanted();
    if (given && given !== before) {
      token = given;
      sessionStorage.setItem("dojang-token", token);
      return sent(path, options);
    }
  }
  const told = await response.json().catch(() => ({}));
  throw new Refusal(response.status, told.error || {});
}

/** The answer to a question as plain values. */
export async function ask(path, query = {}, options = {}) {
  const words = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined && value !== ""));
  const response = await sent(`page/${path}${words.size ? `?${words}` : ""}`, options);
  return response.json();
}

/** Send a picture, or name a sample ({ sample: 3 }); the answer names it by an id. */
export async function send(file, signal) {
  const sample = file.sample !== undefined;
  const response = await sent(`page/pictures${sample ? `?sample=${file.sample}` : ""}`, { method: "POST", body: sample ? undefined : file, signal });
  return response.json();
}

/** A picture that the service draws, ready to be painted. */
export async function picture(path) {
  const image = new Image();
  // not by its address: a token goes along
  image.src = URL.createObjectURL(await (await sent(path)).blob());
  await image.decode();
  return image;
}

/** An address for a frame, which cannot bring a token: it brings a ticket instead, good for once. */
export async function framed(path, query) {
  const ticket = token ? (await ask("ticket", {}, { method: "POST" })).ticket : undefined;
  return `page/${path}?${new URLSearchParams({ ...query, ...(ticket && { ticket }) })}`;
}
