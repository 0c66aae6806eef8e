import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate } from "react-router";
import { api, unwrap } from "../api/client";
import { isProblem, sentence } from "../api/problem";
import { Address } from "../bookings/Address";
import { policySentence } from "../bookings/policy";
import { type Booking, bookingQuery } from "../bookings/queries";
import { creditQuery } from "../giftcards/queries";
import { t } from "../i18n";
import { clock, money } from "../lib/format";
import { useCountdown } from "../lib/useCountdown";
import { names } from "../seats/labels";
import { Button } from "../ui/Button";
import { Notice } from "../ui/Notice";
import { CardFailure } from "./CardFailure";
import { forgetShares, storedShares } from "./shares";
import { beginPayment, type CardForm, type Intent } from "./stripe";
import { Step } from "./Tenders";
import { TimeLeft } from "./TimeLeft";
import { useCardForm } from "./useCardForm";

const GIFT_CARD_PROBLEMS = [
  "gift_card_unknown",
  "gift_card_unusable",
  "gift_card_used",
  "gift_card_currency",
  "tenders_fixed",
  "too_many_attempts",
];

/** The card payment. A decline is shown in place and the seats stay held; 3-D Secure opens in an overlay. */
export function Payment({ booking, order }: { booking: Booking; order: string }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const paid = () => {
    forgetShares(booking.id);
    void queries.invalidateQueries({ queryKey: creditQuery.queryKey });
    return navigate(`/bookings/${booking.id}`, { replace: true, state: { isPaid: true } });
  };
  const [intent, setIntent] = useState<Intent | null>(null);
  const begin = async (own: HTMLElement) => {
    try {
      const begun = await beginPayment(own, booking.id, order, storedShares(booking.id));
      setIntent(begun.intent);
      if (!begun.form) paid();
      return begun.form;
    } catch (error) {
      if (!isProblem(error, "already_paid")) throw error;
      paid();
      return null;
    }
  };
  const { form, place, failure, retry } = useCardForm(begin, booking.id);
  const [refused, setRefused] = useState<string | null>(null);
  const [isPaying, setPaying] = useState(false);
  const { queryKey } = bookingQuery(booking.id);
  const seconds = useCountdown(booking.payment_deadline_at, () => void queries.invalidateQueries({ queryKey }));
  const currency = booking.currency ?? "EUR";
  const amount = money(intent?.amount ?? booking.due ?? 0, currency);

  const cancel = useMutation({
    mutationFn: () =>
      unwrap(api.POST("/api/bookings/{booking_id}/cancel", { params: { path: { booking_id: booking.id } } })),
    onSuccess: (cancelled) => queries.setQueryData(queryKey, cancelled),
    onError: () => queries.invalidateQueries({ queryKey }),
  });
  const tryAgain = async () => {
    await queries.invalidateQueries({ queryKey });
    retry();
  };
  const pay = async (card: CardForm) => {
    setPaying(true);
    setRefused(null);
    const why = await card.pay().catch(sentence);
    if (why === null) return paid();
    setRefused(why);
    setPaying(false);
  };
  return (
    <div className="grid max-w-2xl gap-5">
      {seconds !== null && booking.payment_deadline_at && (
        <TimeLeft seconds={seconds}>{t("pay.time", { time: clock(booking.payment_deadline_at) })}</TimeLeft>
      )}
      <p>
        {t("pay.booking")} <b className="font-mono tracking-wider">{booking.reference}</b> · {names(booking.seats)}
      </p>
      {booking.replaces && <p>{t("exchange.untilPaid")}</p>}
      {booking.email && <Address booking={booking} />}
      {intent && intent.shares.length > 0 && (
        <ul className="card grid gap-1 p-5" aria-label={t("tenders.title")}>
          <Step label={t("tenders.price")} amount={money(booking.due ?? 0, currency)} />
          {intent.shares.map((share) => (
            <Step
              key={`${share.kind} ${share.last_characters}`}
              label={
                share.kind === "credit"
                  ? t("tenders.credit")
                  : t("tenders.giftCard", { last: share.last_characters ?? "" })
              }
              amount={money(-share.amount, currency)}
            />
          ))}
          <Step label={t("tenders.left")} amount={amount} isTotal />
        </ul>
      )}
      <section className="card p-5" aria-label={t("pay.card")}>
        <div ref={place} className={failure === null ? "min-h-44" : ""} />
        {!form && !failure && <p className="text-quiet">{t("pay.loading")}</p>}
        {failure !== null && (
          <>
            <CardFailure error={failure} deadline={booking.payment_deadline_at} onRetry={() => void tryAgain()} />
            {isProblem(failure, ...GIFT_CARD_PROBLEMS) && (
              <Button
                look="plain"
                className="mt-3"
                onClick={() => {
                  forgetShares(booking.id);
                  void tryAgain();
                }}
              >
                {t("tenders.without")}
              </Button>
            )}
          </>
        )}
      </section>
      {refused && (
        <Notice kind="bad">
          {refused} {t("pay.kept")}
        </Notice>
      )}
      {cancel.isError && <Notice kind="bad">{sentence(cancel.error)}</Notice>}
      <p className="text-sm text-quiet">
        {booking.refund_policy &&
          booking.screening &&
          policySentence(
            booking.refund_policy,
            booking.screening.starts_at,
            booking.screening.time_zone,
            booking.currency ?? "EUR",
          )}{" "}
        {t("terms.text")}
      </p>
      <div className="flex flex-wrap gap-3">
        <Button className="max-sm:w-full" disabled={!form} busy={isPaying} onClick={() => form && void pay(form)}>
          {t("pay.pay", { amount })}
        </Button>
        <Button
          look="plain"
          className="max-sm:w-full"
          disabled={isPaying}
          busy={cancel.isPending}
          onClick={() => cancel.mutate()}
        >
          {t("booking.cancel")}
        </Button>
      </div>
    </div>
  );
}
