// Finding a theater: by words as people type them, or by distance.

import type { Theater } from "./queries";

export interface Position {
  latitude: number;
  longitude: number;
}

/** A text without case, accents and punctuation: `Kölner Straße` as `kolner strasse`. */
export const folded = (text: string) =>
  text
    .normalize("NFKD")
    .toLowerCase()
    .replaceAll("ß", "ss")
    .replaceAll(/\p{M}/gu, "")
    .replaceAll(/[^\p{L}\p{N}]+/gu, " ")
    .trim();

/** Whether each word of `q` begins a word of the theater's name or address. */
export function matches({ name, address }: Pick<Theater, "name" | "address">, q: string): boolean {
  const text = ` ${folded([name, address.street, address.postal_code, address.city].join(" "))}`;
  return folded(q)
    .split(" ")
    .every((word) => text.includes(` ${word}`));
}

const EARTH_KM = 6371;

/** The distance between two places on the globe. */
export function kilometres(one: Position, other: Position): number {
  const radians = (degrees: number) => (degrees * Math.PI) / 180;
  const half = (from: number, to: number) => Math.sin(radians(to - from) / 2) ** 2;
  const shortened = Math.cos(radians(one.latitude)) * Math.cos(radians(other.latitude));
  const chord = half(one.latitude, other.latitude) + shortened * half(one.longitude, other.longitude);
  return 2 * EARTH_KM * Math.asin(Math.sqrt(chord));
}
