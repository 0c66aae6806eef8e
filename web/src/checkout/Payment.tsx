import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { useNavigate } from "react-router";
import { api, unwrap } from "../api/client";
import { isProblem, sentence } from "../api/problem";
import { Address } from "../bookings/Address";
import { policySentence } from "../bookings/policy";
import { type Booking, bookingQuery } from "../bookings/queries";
import { t } from "../i18n";
import { clock, money } from "../lib/format";
import { useCountdown } from "../lib/useCountdown";
import { names } from "../seats/labels";
import { Button } from "../ui/Button";
import { Notice } from "../ui/Notice";
import { CardFailure } from "./CardFailure";
import { beginPayment, type CardForm } from "./stripe";
import { TimeLeft } from "./TimeLeft";

/** The card payment. A decline is shown in place and the seats stay held; 3-D Secure opens in an overlay. */
export function Payment({ booking, order }: { booking: Booking; order: string }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const paid = useCallback(
    () => navigate(`/bookings/${booking.id}`, { replace: true, state: { isPaid: true } }),
    [navigate, booking.id],
  );
  const { form, place, failure, retry } = useCardForm(booking.id, order, paid);
  const [refused, setRefused] = useState<string | null>(null);
  const [isPaying, setPaying] = useState(false);
  const { queryKey } = bookingQuery(booking.id);
  const seconds = useCountdown(booking.payment_deadline_at, () => void queries.invalidateQueries({ queryKey }));
  const amount = money(booking.due ?? 0, booking.currency ?? "EUR");

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
      <section className="card p-5" aria-label={t("pay.card")}>
        <div ref={place} className={failure === null ? "min-h-44" : ""} />
        {!form && !failure && <p className="text-quiet">{t("pay.loading")}</p>}
        {failure !== null && (
          <CardFailure error={failure} deadline={booking.payment_deadline_at} onRetry={() => void tryAgain()} />
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

/** Mounts Stripe's form in `place`; returns the error if that failed. `onPaid` is called if nothing is left to pay. */
function useCardForm(bookingId: string, order: string, onPaid: () => void) {
  const place = useRef<HTMLDivElement>(null);
  const [form, setForm] = useState<CardForm | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const [tries, setTries] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each attempt loads it again with the current order
  useEffect(() => {
    if (!place.current) return;
    let isLeft = false;
    let shown: CardForm | null = null;
    // Stripe renders into this element, which React does not touch.
    const own = document.createElement("div");
    place.current.replaceChildren(own);
    beginPayment(own, bookingId, order, { gift_cards: [], use_credit: false }).then(
      ({ form: made }) => {
        shown = made;
        if (isLeft) made?.close();
        else if (made) setForm(made);
        else onPaid();
      },
      (error: unknown) => {
        if (isLeft) return;
        if (isProblem(error, "already_paid")) onPaid();
        else setFailure(error);
      },
    );
    return () => {
      isLeft = true;
      shown?.close();
      setForm(null);
    };
  }, [bookingId, onPaid, tries]);
  const retry = useCallback(() => {
    setFailure(null);
    setTries((count) => count + 1);
  }, []);
  return { form, place, failure, retry };
}
