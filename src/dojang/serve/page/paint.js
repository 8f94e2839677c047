// Numbers as colours. Orange is above zero, blue below: told apart also by those who see no red or no green.

/** Arrays as the service packs them: bytes of -127 to 127, each part by its own largest number where there are several. */
export function unpack(packed) {
  const text = atob(packed.data);
  const bytes = new Int8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i) << 24 >> 24;
  return { shape: packed.shape, most: packed.most, bytes };
}

const STOPS = {
  above: [[0, 0, 0], [60, 12, 60], [150, 30, 70], [225, 80, 35], [250, 165, 40], [255, 250, 190]],
  below: [[0, 0, 0], [8, 30, 70], [10, 75, 140], [40, 135, 205], [120, 195, 245], [225, 245, 255]],
};

function table(stops) {
  const found = new Uint8Array(128 * 3);
  for (let i = 0; i < 128; i++) {
    const place = (i / 127) * (stops.length - 1);
    const low = Math.min(Math.floor(place), stops.length - 2);
    for (let k = 0; k < 3; k++) found[i * 3 + k] = stops[low][k] + (stops[low + 1][k] - stops[low][k]) * (place - low);
  }
  return found;
}

const ABOVE = table(STOPS.above);
const BELOW = table(STOPS.below);

/** The colour of a level from -127 to 127, as [red, green, blue]. */
export function colour(level) {
  const size = Math.min(127, Math.abs(Math.round(level))) * 3;
  const from = level < 0 ? BELOW : ABOVE;
  return [from[size], from[size + 1], from[size + 2]];
}

/** Paint a map of h x w levels on a canvas of exactly that size. */
export function paintMap(canvas, levels, height, width, offset = 0) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const [red, green, blue] = colour(levels[offset + i]);
    image.data.set([red, green, blue, 255], i * 4);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Paint a filter: of three channels in colour, of others their mean in grey; zero is the middle. */
export function paintFilter(canvas, levels, [channels, height, width], offset) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const side = width * height;
  for (let i = 0; i < side; i++) {
    const own = [];
    for (let c = 0; c < channels; c++) own.push(levels[offset + c * side + i]);
    const mean = own.reduce((sum, one) => sum + one, 0) / channels;
    const shown = channels === 3 ? own : [mean, mean, mean];
    image.data.set([...shown.map((level) => 127.5 + level), 255], i * 4);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** A heat map as a canvas of the network's size: the stronger, the less of the picture comes through. */
export function paintHeat(heat) {
  const { shape: [height, width], bytes } = unpack(heat.values);
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const size = Math.abs(bytes[i]) / 127;
    const [red, green, blue] = bytes[i] < 0 ? [20, 110, 230] : [255, 130 + 100 * size * size, 30 * size];
    image.data.set([red, green, blue, 255 * Math.min(1, size * 1.15)], i * 4);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** The legend of a heat map. */
export function paintScale(canvas) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const ramp = context.createLinearGradient(0, 0, canvas.width, 0);
  ramp.addColorStop(0, "rgb(20 110 230)");
  ramp.addColorStop(0.5, "rgb(128 128 128 / 0)");
  ramp.addColorStop(1, "rgb(255 230 30)");
  context.fillStyle = ramp;
  context.fillRect(0, 0, canvas.width, canvas.height);
}

/** An element with properties, attributes and children. */
export function make(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** What went wrong, as an element. */
export function trouble(error, fix) {
  const told = error.code ? `${error.message} (${error.code})` : error.message;
  return make("p", { class: "trouble", role: "alert" }, told, error.fix ? make("br") : null, error.fix ? `${fix}: ${error.fix}` : null);
}

export const spinner = () => make("span", { class: "spinner", "aria-hidden": "true" });
