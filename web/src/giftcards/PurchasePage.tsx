import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useParams } from "react-router";
import { Narrow, Refusal } from "../account/parts";
import { api, type Schemas, unwrap } from "../api/client";
import { sentence } from "../api/problem";
import { CardFailure } from "../checkout/CardFailure";
import { continuePayment } from "../checkout/stripe";
import { useCardForm } from "../checkout/useCardForm";
import { t } from "../i18n";
import { longDay, money } from "../lib/format";
import { Button, ButtonLink } from "../ui/Button";
import { Failure, Notice } from "../ui/Notice";
import { usePageTitle } from "../ui/usePageTitle";
import { purchaseQuery } from "./queries";

type Purchase = Schemas["PaymentPurchaseResponse"];

/** The purchase of a gift card: its payment, then where the code is. */
export default function PurchasePage() {
  const { giftCardId = "" } = useParams();
  usePageTitle(t("giftCards.title"));
  const [isPaid, setPaid] = useState(false);
  const purchase = useQuery(purchaseQuery(giftCardId, isPaid));
  if (purchase.isPending) {
    return (
      <Narrow title={t("giftCards.title")}>
        <div aria-hidden="true" className="skeleton h-60" />
      </Narrow>
    );
  }
  if (purchase.isError) {
    return (
      <Narrow title={t("giftCards.title")}>
        <Failure error={purchase.error} retry={() => void purchase.refetch()} />
      </Narrow>
    );
  }
  const { data } = purchase;
  return (
    <Narrow title={t("giftCards.title")}>
      <p className="mb-5">
        <b className="text-2xl tabular-nums">{money(data.amount, data.currency)}</b>
        <span className="block wrap-anywhere text-quiet">{t("giftCards.for", { email: data.recipient_email })}</span>
      </p>
      {data.state === "unpaid" && !isPaid ? (
        <Pay purchase={data} onPaid={() => setPaid(true)} />
      ) : (
        <Outcome purchase={data} isPaid={isPaid} />
      )}
    </Narrow>
  );
}

function Pay({ purchase, onPaid }: { purchase: Purchase; onPaid: () => void }) {
  const { id, amount, currency, client_secret, publishable_key } = purchase;
  const { form, place, failure, retry } = useCardForm(
    (own) => continuePayment(own, publishable_key, client_secret ?? "", `/gift-cards/${id}`),
    id,
  );
  const [refused, setRefused] = useState<string | null>(null);
  const [isPaying, setPaying] = useState(false);
  const pay = async () => {
    if (!form) return;
    setPaying(true);
    setRefused(null);
    const why = await form.pay().catch(sentence);
    setPaying(false);
    if (why === null) onPaid();
    else setRefused(why);
  };
  return (
    <div className="grid gap-5">
      <section className="card p-5" aria-label={t("pay.card")}>
        <div ref={place} className={failure === null ? "min-h-44" : ""} />
        {!form && !failure && <p className="text-quiet">{t("pay.loading")}</p>}
        {failure !== null && <CardFailure error={failure} onRetry={retry} />}
      </section>
      {refused && <Notice kind="bad">{refused}</Notice>}
      <Button className="max-sm:w-full" disabled={!form} busy={isPaying} onClick={() => void pay()}>
        {t("pay.pay", { amount: money(amount, currency) })}
      </Button>
    </div>
  );
}

function Outcome({ purchase, isPaid }: { purchase: Purchase; isPaid: boolean }) {
  const queries = useQueryClient();
  const { queryKey } = purchaseQuery(purchase.id);
  const refund = useMutation({
    mutationFn: () =>
      unwrap(api.POST("/api/gift-cards/{gift_card_id}/refund", { params: { path: { gift_card_id: purchase.id } } })),
    onSuccess: (refunded) => queries.setQueryData(queryKey, refunded),
  });
  const { state, deliver_at, mailed_at } = purchase;
  const isWaiting = state === "unpaid" && isPaid;
  return (
    <div className="grid justify-items-start gap-4">
      <div role="status">
        <Notice kind={state === "paid" || isWaiting ? "good" : "info"}>
          {isWaiting
            ? t("giftCards.arriving")
            : state === "paid" && !mailed_at && deliver_at
              ? t("giftCards.willBeMailed", { day: longDay(deliver_at) })
              : t(`giftCards.state.${state}`)}
        </Notice>
      </div>
      <Refusal error={refund.error} />
      <div className="flex flex-wrap gap-3">
        <ButtonLink to="/gift-cards">{t("giftCards.another")}</ButtonLink>
        {purchase.refundable && (
          <Button look="danger" busy={refund.isPending} onClick={() => refund.mutate()}>
            {t("giftCards.refund")}
          </Button>
        )}
      </div>
    </div>
  );
}
