// The texts of each language. English defines the keys; every other language must have the same ones.

import type en from "./en";

export type Messages = Record<keyof typeof en, string>;
export type Key = keyof Messages;
export type Language = "en" | "de";
/** Keys that come as `key_one` and `key_other`. */
type Counted = { [K in Key]: K extends `${infer Base}_one` ? Base : never }[Key];

const STORED = "usher.language";
const LOCALES: Record<Language, string> = { en: "en-GB", de: "de-DE" };
export const LANGUAGES: Record<Language, string> = { en: "English", de: "Deutsch" };

let language: Language = "en";
let shownAs = LOCALES.en;
let catalogue: Messages = {} as Messages;
const listeners = new Set<() => void>();

export const messages = () => catalogue;
export const currentLanguage = () => language;
/** The language with the region: `en-US` has 12-hour times, `en-GB` 24-hour ones. Mails are written for the same one. */
export const locale = () => shownAs;

export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Load the catalogue of the chosen language, else of the first one that the browser asks for. */
export async function start(): Promise<void> {
  const wanted = [localStorage.getItem(STORED), ...navigator.languages].map((tag) => tag?.slice(0, 2));
  await use(wanted.find((tag): tag is Language => tag === "en" || tag === "de") ?? "en");
}

/** Change the language, also for the next visit. */
export async function choose(next: Language): Promise<void> {
  localStorage.setItem(STORED, next);
  // For the pages that catalog renders.
  // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API needs https
  document.cookie = `usher_language=${next}; path=/; max-age=31536000; samesite=lax`;
  await use(next);
}

async function use(next: Language): Promise<void> {
  catalogue = next === "de" ? (await import("./de")).default : (await import("./en")).default;
  language = next;
  shownAs = regional(next);
  document.documentElement.lang = next;
  for (const listener of listeners) listener();
}

/** The text, isolated so that right-to-left letters do not reorder the text around it (UAX 9). */
export const isolated = (text: string) => (RIGHT_TO_LEFT.test(text) ? `\u2068${text}\u2069` : text);

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]|[\u{10800}-\u{10fff}]|[\u{1e800}-\u{1efff}]/u;

/** The language with the region of the first matching language of the browser; otherwise with its usual region. */
function regional(wanted: Language): string {
  const tags = navigator.languages.map((tag) => tag.split("-")).filter(([first]) => first === wanted);
  // Without script and extensions (`en-US-u-hc-h12`), which the services do not know.
  const region = tags.flat().find((part) => /^([A-Z]{2}|\d{3})$/.test(part));
  return region ? `${wanted}-${region}` : LOCALES[wanted];
}

/** A text with its `{gaps}` filled; empty for a code that services send and this page does not know. */
export function t(key: Key, gaps: Record<string, string | number> = {}): string {
  return (catalogue[key] ?? "").replaceAll(/\{(\w+)\}/g, (gap, name: string) => isolated(String(gaps[name] ?? gap)));
}

/** A text for a number of things, which fills `{n}`. */
export function tn(key: Counted, n: number, gaps: Record<string, string | number> = {}): string {
  const form = new Intl.PluralRules(locale()).select(n) === "one" ? "one" : "other";
  return t(`${key}_${form}` as Key, { n, ...gaps });
}

/** The text for a code that services send (a seat category, a genre), if any; else `other`, the code in words. */
export function named(
  kind: "category" | "ticket" | "feature" | "genre" | "state",
  code: string,
  other = code.replaceAll(/[_-]/g, " "),
): string {
  const key = `${kind}.${code}`;
  return key in catalogue ? catalogue[key as Key] : other;
}

/** The text with a capital first letter, where CSS cannot do it: in the options of a `<select>`. */
export const capitalized = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
