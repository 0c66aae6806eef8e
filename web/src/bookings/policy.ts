import type { Schemas } from "../api/client";
import { t } from "../i18n";
import { clock, list, longDay, money } from "../lib/format";

export type RefundPolicy = Schemas["BookingRefundPolicy"];

/** What a customer who cancels gets back, with the theater's clock times. */
export function policySentence(policy: RefundPolicy, startsAt: string, timeZone: string, currency: string): string {
  const tiers = policy.tiers.filter((tier) => tier.refund_percent > 0);
  if (!tiers.length) return t("policy.none");
  const day = longDay(startsAt, timeZone);
  const parts = tiers.map(({ minutes_before_start, refund_percent }) => {
    const at = new Date(Date.parse(startsAt) - minutes_before_start * 60_000).toISOString();
    const time = clock(at, timeZone);
    const isOtherDay = longDay(at, timeZone) !== day;
    return t("policy.tier", { percent: refund_percent, time: isOtherDay ? `${longDay(at, timeZone)}, ${time}` : time });
  });
  const sentence = t("policy.sentence", { tiers: list(parts) });
  return policy.fee ? `${sentence} ${t("policy.fee", { amount: money(policy.fee, currency) })}` : sentence;
}
