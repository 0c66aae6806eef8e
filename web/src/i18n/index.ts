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
let catalogue: Messages = {} as Messages;
const listeners = new Set<() => void>();

export const messages = () => catalogue;
export const currentLanguage = () => language;
export const locale = () => LOCALES[language];

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
  await use(next);
}

async function use(next: Language): Promise<void> {
  catalogue = next === "de" ? (await import("./de")).default : (await import("./en")).default;
  language = next;
  document.documentElement.lang = next;
  for (const listener of listeners) listener();
}

/** A text with its `{gaps}` filled; empty for a code that services say and this page does not know. */
export function t(key: Key, gaps: Record<string, string | number> = {}): string {
  return (catalogue[key] ?? "").replaceAll(/\{(\w+)\}/g, (gap, name: string) => String(gaps[name] ?? gap));
}

/** A text for a number of things, which fills `{n}`. */
export function tn(key: Counted, n: number, gaps: Record<string, string | number> = {}): string {
  const form = new Intl.PluralRules(locale()).select(n) === "one" ? "one" : "other";
  return t(`${key}_${form}` as Key, { n, ...gaps });
}

/** The text for a code that services say (a seat category, a genre), if there is one; else `other`, the code in words. */
export function named(
  kind: "category" | "ticket" | "feature" | "genre" | "state",
  code: string,
  other = code.replaceAll(/[_-]/g, " "),
): string {
  const key = `${kind}.${code}`;
  return key in catalogue ? catalogue[key as Key] : other;
}
