import type { Schemas } from "../api/client";
import { t } from "../i18n";
import { money } from "../lib/format";

interface SumProps {
  /** What the tickets cost before discounts. */
  price: number;
  promotions: Schemas["BookingAppliedPromotionResponse"][];
  amount: number;
  fee: number | null;
  tax: number | null;
  currency: string;
}

/** The price step by step: the tickets, each discount, and what is paid. Without discounts, only that. */
export function Sum({ price, promotions, amount, fee, tax, currency }: SumProps) {
  const parts = [
    fee !== null && t("checkout.fee", { amount: money(fee, currency) }),
    tax !== null && t("checkout.tax", { amount: money(tax, currency) }),
  ].filter(Boolean);
  return (
    <div className="mt-3 border-t border-line pt-3">
      {promotions.length > 0 && (
        <dl className="mb-3 grid gap-1 border-b border-line pb-3">
          <Step name={t("checkout.price")} amount={money(price, currency)} />
          {promotions.map(({ name, code, amount: discount }) => (
            <Step
              key={`${name} ${code}`}
              name={code ? `${name} (${code})` : name}
              amount={money(-discount, currency)}
            />
          ))}
        </dl>
      )}
      <p className="flex items-baseline justify-between gap-4">
        <span>
          <b>{t("checkout.total")}</b> <span className="text-sm text-quiet">{t("checkout.allIn")}</span>
        </span>
        <b className="text-2xl tabular-nums">{money(amount, currency)}</b>
      </p>
      {parts.length > 0 && <p className="text-sm text-quiet">{parts.join(", ")}</p>}
    </div>
  );
}

function Step({ name, amount }: { name: string; amount: string }) {
  return (
    <div className="flex justify-between gap-4">
      <dt className="min-w-0 break-words">
        <bdi>{name}</bdi>
      </dt>
      <dd className="shrink-0 tabular-nums">{amount}</dd>
    </div>
  );
}
