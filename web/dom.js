// Small helpers: elements, money, times, and sentences for screen readers.

/** An element with attributes, listeners (`onclick: …`) and children; `null`, `undefined` and `false` are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** One of the marks that stand in index.html. */
export function mark(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "mark");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#mark-${name}`);
  svg.append(use);
  return svg;
}

/** A link inside the site. */
export const link = (href, attributes, ...children) => h("a", { href, "data-link": true, ...attributes }, ...children);

/** An amount in minor units as people write it. */
export function money(amount, currency) {
  const format = new Intl.NumberFormat("en-GB", { style: "currency", currency });
  return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

export const clock = (moment, timeZone) =>
  new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone }).format(new Date(moment));

export const day = (moment, timeZone) =>
  new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", timeZone }).format(new Date(moment));

const languages = new Intl.DisplayNames("en", { type: "language" });

/** `de` as `German`. */
export const languageName = (code) => languages.of(code);

/** `love_seat` as `love seat`. */
export const words = (code) => (code === "vip" ? "VIP" : code.replaceAll(/[_-]/g, " "));

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** 1 seat, 2 seats. */
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

/** Say something to people who do not see the page change. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** A sentence that something is wrong or noteworthy. */
export const notice = (text, kind = "") => h("p", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : null }, text);
