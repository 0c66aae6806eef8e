// Formats money, dates and times in the chosen language and the theater's time zone.

import { locale } from "../i18n";

const cache = new Map<string, Intl.DateTimeFormat>();

function dates(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale()}${JSON.stringify(options)}`;
  const known = cache.get(key);
  if (known) return known;
  const format = new Intl.DateTimeFormat(locale(), options);
  cache.set(key, format);
  return format;
}

/** An amount in minor units. */
export function money(amount: number, currency: string): string {
  const format = new Intl.NumberFormat(locale(), { style: "currency", currency });
  return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}

/** The time of day, by default in the visitor's time zone. */
export const clock = (moment: string, timeZone?: string) =>
  dates({ hour: "2-digit", minute: "2-digit", timeZone }).format(new Date(moment));

export const longDay = (moment: string, timeZone?: string) =>
  dates({ weekday: "long", day: "numeric", month: "long", timeZone }).format(new Date(moment));

export const shortDay = (moment: string, timeZone?: string) =>
  dates({ weekday: "short", day: "numeric", month: "short", timeZone }).format(new Date(moment));

export const fullDate = (moment: string) => dates({ dateStyle: "medium", timeStyle: "short" }).format(new Date(moment));

export const date = (moment: string) => dates({ dateStyle: "long" }).format(new Date(moment));

/** `1:05` for 65 seconds. */
export const minutesAndSeconds = (seconds: number) =>
  `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

/** `2 h 16 min`; nothing while the duration is not known. */
export const duration = (minutes: number | null) => {
  const [hours, rest] = [Math.floor((minutes ?? 0) / 60), (minutes ?? 0) % 60];
  return [hours && `${hours} h`, rest && `${rest} min`].filter(Boolean).join(" ");
};

/** `de` as `German`. */
export function languageName(code: string): string {
  return new Intl.DisplayNames(locale(), { type: "language" }).of(code) ?? code;
}

/** `FR7, FR8 and FR9`. */
export const list = (items: string[]) => new Intl.ListFormat(locale(), { type: "conjunction" }).format(items);

/** `love_seat` as `love seat`, for a code without a translation. */
export const words = (code: string) => code.replaceAll(/[_-]/g, " ");
