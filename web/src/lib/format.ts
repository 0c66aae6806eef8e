// Formats money, dates and times in the chosen language and the theater's time zone. Nothing here throws: a value that
// the browser does not know is shown in a plainer form.

import exponents from "../api/exponents.json";
import { isolated, locale } from "../i18n";

/** Digits after the decimal point, for currencies that do not have two. `Intl` has those of daily use: none for HUF. */
const EXPONENTS: Record<string, number> = exponents;

/** Shown instead of a value that cannot be formatted at all. */
const NOTHING = "–";

// Older browsers know these time zones by another name only.
const FORMER_ZONES: Record<string, string> = {
  "America/Ciudad_Juarez": "America/Ojinaga",
  "America/Nuuk": "America/Godthab",
  "Asia/Ho_Chi_Minh": "Asia/Saigon",
  "Asia/Kathmandu": "Asia/Katmandu",
  "Asia/Kolkata": "Asia/Calcutta",
  "Asia/Yangon": "Asia/Rangoon",
  "Europe/Kyiv": "Europe/Kiev",
  "Pacific/Kanton": "Pacific/Enderbury",
};

/** The result of the first of these that does not throw. `Intl` throws a RangeError for what it does not know. */
function firstOf<T>(last: T, ...formats: (() => T)[]): T {
  for (const format of formats) {
    try {
      return format();
    } catch {}
  }
  return last;
}

const cache = new Map<string, Intl.DateTimeFormat>();

function dates(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale()}${JSON.stringify(options)}`;
  const known = cache.get(key);
  if (known) return known;
  const format = new Intl.DateTimeFormat(locale(), options);
  cache.set(key, format);
  return format;
}

/** A moment in a time zone, by default the visitor's. In a zone that the browser does not know, the time is in UTC. */
function moment(at: string | number, options: Intl.DateTimeFormatOptions, timeZone?: string): string {
  const date = new Date(at);
  const inZone = (zone: string | undefined) => dates({ ...options, timeZone: zone }).format(date);
  const former = timeZone && FORMER_ZONES[timeZone];
  return firstOf(
    NOTHING,
    () => inZone(timeZone),
    () => inZone(former || timeZone),
    () => inZone("UTC") + (options.hour ? " UTC" : ""),
  );
}

/** The digits after the decimal point of amounts in a currency. */
export const decimals = (currency: string): number => EXPONENTS[currency] ?? 2;

/** An amount in minor units. */
export function money(amount: number, currency: string): string {
  const digits = decimals(currency);
  const value = amount / 10 ** digits;
  return firstOf(`${value.toFixed(digits)} ${currency}`, () => {
    const fractionDigits = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    return new Intl.NumberFormat(locale(), { style: "currency", currency, ...fractionDigits }).format(value);
  });
}

/** `4.5`, a number with one decimal. */
export const decimal = (value: number) =>
  new Intl.NumberFormat(locale(), { maximumFractionDigits: 1, minimumFractionDigits: 1 }).format(value);

/** `0.8 km`, `520 km`. */
export const distance = (kilometres: number) =>
  new Intl.NumberFormat(locale(), { style: "unit", unit: "kilometer", maximumSignificantDigits: 2 }).format(kilometres);

// Clocks go back by an hour, on Lord Howe Island by half an hour.
const SHIFTS = [-60, -30, 30, 60].map((minutes) => minutes * 60_000);

/**
 * The time of day, by default in the visitor's time zone. A time that the clocks show twice, on the night when they go
 * back, has the name of its zone: `02:30 CEST`.
 */
export function clock(at: string, timeZone?: string): string {
  // `6:30 PM`, but `06:30`.
  const { hour12 } = dates({ hour: "numeric" }).resolvedOptions();
  const time: Intl.DateTimeFormatOptions = { hour: hour12 ? "numeric" : "2-digit", minute: "2-digit" };
  const shown = moment(at, time, timeZone);
  const isTwice = SHIFTS.some((shift) => moment(Date.parse(at) + shift, time, timeZone) === shown);
  return isTwice ? moment(at, { ...time, timeZoneName: "short" }, timeZone) : shown;
}

/** `Sat` for a time after midnight that is listed under Friday, to which its night belongs; otherwise empty. */
export function weekdayAfter(at: string, timeZone: string, listedUnder: string): string {
  const weekday = moment(at, { weekday: "short" }, timeZone);
  return weekday === moment(`${listedUnder}T12:00:00Z`, { weekday: "short" }, "UTC") ? "" : weekday;
}

/** `Friday` for `fri`. */
export function weekday(code: string): string {
  const index = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].indexOf(code);
  // 5 January 1970 was a Monday.
  return index < 0 ? code : moment(Date.UTC(1970, 0, 5 + index, 12), { weekday: "long" }, "UTC");
}

/** The hour of a moment, 0 to 23. Where the time zone is unknown, in UTC. */
export function hourIn(at: string, timeZone: string): number {
  return Number.parseInt(moment(at, { hour: "2-digit", hourCycle: "h23" }, timeZone), 10) || 0;
}

export const longDay = (at: string, timeZone?: string) =>
  moment(at, { weekday: "long", day: "numeric", month: "long" }, timeZone);

export const shortDay = (at: string, timeZone?: string) =>
  moment(at, { weekday: "short", day: "numeric", month: "short" }, timeZone);

export const fullDate = (at: string) => moment(at, { dateStyle: "medium", timeStyle: "short" });

export const date = (at: string) => moment(at, { dateStyle: "long" });

/** `1:05` for 65 seconds. */
export const minutesAndSeconds = (seconds: number) =>
  `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

/** `2 h 16 min`; empty if the length is unknown. */
export function duration(minutes: number | null): string {
  if (!minutes) return "";
  return minutes < 60
    ? `${minutes} min`
    : `${Math.floor(minutes / 60)} h ${minutes % 60 ? `${minutes % 60} min` : ""}`.trim();
}

/** `de` as `German`, `en-12` by its first part as `English`. */
export function languageName(code: string): string {
  const name = (tag: string) => new Intl.DisplayNames(locale(), { type: "language" }).of(tag) ?? code;
  return firstOf(
    code,
    () => name(code),
    () => name(code.split(/[-_]/, 1)[0] || code),
  );
}

/** `FR7, FR8 and FR9`. */
export function list(items: string[]): string {
  const shown = items.map(isolated);
  return firstOf(shown.join(", "), () => new Intl.ListFormat(locale(), { type: "conjunction" }).format(shown));
}
