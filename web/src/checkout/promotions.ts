import type { Schemas } from "../api/client";
import { isProblem, type Problem, sentence } from "../api/problem";
import { type Key, messages, named, t } from "../i18n";
import { clock, list, longDay, weekday } from "../lib/format";

type Quote = Schemas["BookingQuoteResponse"];

/** A quote, and why one of the codes is not part of it. */
export interface Priced {
  quote: Quote;
  refusal: Problem | null;
}

/** The quote with the codes that apply. A refused one is left out, and so are all others when too many were wrong. */
export async function withCodes(codes: string[], quote: (codes: string[]) => Promise<Quote>): Promise<Priced> {
  try {
    return { quote: await quote(codes), refusal: null };
  } catch (error) {
    if (!codes.length || !isProblem(error, "promotion_refused", "too_many_codes")) throw error;
    const refused = error.document.promotion_code;
    const rest = error.code === "promotion_refused" ? codes.filter((code) => folded(code) !== refused) : [];
    const priced = await withCodes(rest.length < codes.length ? rest : [], quote);
    return { ...priced, refusal: error };
  }
}

/** The code as the service spells it. */
export const folded = (code: string) => code.normalize("NFKC").replaceAll(/\s/gu, "").toUpperCase();

/** The codes that a quote contains. */
export const codesOf = ({ promotions }: Quote): string[] => promotions.flatMap(({ code }) => code ?? []);

/** Why a code does not apply, and when it would. */
export function refusalOf(error: unknown, timeZone: string): string {
  if (!isProblem(error, "promotion_refused")) return sentence(error);
  const facts = error.document;
  const key = `promotion.${facts.reason}` as Key;
  if (!(key in messages())) return sentence(error);
  const texts = (value: unknown, show: (text: string) => string) => (Array.isArray(value) ? list(value.map(show)) : "");
  const at = (value: unknown) =>
    value ? `${longDay(String(value), timeZone)}, ${clock(String(value), timeZone)}` : "";
  return t(key, {
    code: String(facts.promotion_code),
    from: at(facts.valid_from),
    until: at(facts.valid_until),
    days: texts(facts.weekdays, weekday),
    band: band(facts.starts_from, facts.starts_before),
    formats: texts(facts.formats, String),
    types: texts(facts.ticket_types, (type) => named("ticket", type)),
    n: Number(facts.tickets ?? 0),
  });
}

function band(from: unknown, before: unknown): string {
  const gaps = { from: String(from), before: String(before) };
  if (from && before) return t("promotion.between", gaps);
  return from ? t("promotion.since", gaps) : t("promotion.before", gaps);
}
