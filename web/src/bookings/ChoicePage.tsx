import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useNavigate, useParams } from "react-router";
import { api, type Schemas, unwrap } from "../api/client";
import { isProblem, sentence } from "../api/problem";
import { t } from "../i18n";
import { clock, fullDate, longDay, money } from "../lib/format";
import { announce } from "../ui/announce";
import { Button, ButtonLink } from "../ui/Button";
import { Failure, Notice } from "../ui/Notice";
import { usePageTitle } from "../ui/usePageTitle";
import { Exchange } from "./Exchange";
import { Missing } from "./Missing";
import { type Booking, bookingQuery, useBooking } from "./queries";
import { useLinkKey } from "./useLinkKey";

type Choice = Schemas["BookingChoiceRequest"]["choice"];

/** What the customer of a moved showtime wants: the target of the link in the mail about it. */
export default function ChoicePage() {
  const { bookingId = "" } = useParams();
  usePageTitle(t("choice.title"));
  return useLinkKey(bookingId) && <Shown bookingId={bookingId} />;
}

function Shown({ bookingId }: { bookingId: string }) {
  const { data: booking, error, isPending, isRefetchError, refetch } = useBooking(bookingId);
  if (isPending) {
    return (
      <div className="page max-w-2xl py-6 sm:py-10">
        <div aria-hidden="true" className="skeleton h-96" />
      </div>
    );
  }
  if (!booking) return <Missing error={error} retry={() => void refetch()} />;
  return (
    <div className="page grid max-w-2xl gap-6 py-6 sm:py-10">
      <div>
        <h1>{t(booking.choice ? "choice.title" : "choice.none")}</h1>
        {booking.screening && (
          <p className="mt-2 text-lg">
            <b>
              <bdi>{booking.screening.movie_title}</bdi>
            </b>
            <span className="block text-base text-quiet">
              <bdi>{booking.screening.theater_name}</bdi>, <bdi>{booking.screening.auditorium_name}</bdi>
            </span>
          </p>
        )}
      </div>
      {isRefetchError && <Failure error={error} retry={() => void refetch()} />}
      {booking.choice ? <Form booking={booking} choice={booking.choice} /> : <Closed booking={booking} />}
      {booking.choice && <Exchange booking={booking} />}
    </div>
  );
}

interface FormProps {
  booking: Booking;
  choice: NonNullable<Booking["choice"]>;
}

function Form({ booking, choice }: FormProps) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const { queryKey } = bookingQuery(booking.id);
  const { previous_starts_at, starts_at, refund, is_kept } = choice;
  const zone = booking.screening?.time_zone;
  const when = (at: string) => `${longDay(at, zone)}, ${clock(at, zone)}`;
  const [wanted, setWanted] = useState<Choice | null>(is_kept ? "keep" : null);
  const done = useRef<HTMLDivElement>(null);
  const choose = useMutation({
    mutationFn: (body: { choice: Choice; starts_at: string }) =>
      unwrap(api.POST("/api/bookings/{booking_id}/choice", { params: { path: { booking_id: booking.id } }, body })),
    onSuccess: async (changed, { choice }) => {
      await queries.cancelQueries({ queryKey });
      queries.setQueryData(queryKey, changed);
      if (choice === "refund") {
        announce(t("choice.refunded"));
        await navigate(`/bookings/${booking.id}`);
      } else done.current?.focus();
    },
    onError: (error) => {
      if (isProblem(error, "choice_closed")) void queries.invalidateQueries({ queryKey });
    },
  });
  // Another start is another question.
  const seen = useRef(starts_at);
  useEffect(() => {
    if (seen.current === starts_at) return;
    seen.current = starts_at;
    setWanted(null);
    announce(t("choice.movedAgain"));
  }, [starts_at]);
  const refundText = booking.currency ? money(refund, booking.currency) : "";
  return (
    <>
      <dl className="card grid gap-x-8 gap-y-3 p-5 sm:grid-cols-2">
        <div>
          <dt className="text-quiet">{t("choice.now")}</dt>
          <dd className="text-lg font-semibold">{when(starts_at)}</dd>
        </div>
        <div>
          <dt className="text-quiet">{t("choice.before")}</dt>
          <dd className="line-through">{when(previous_starts_at)}</dd>
        </div>
      </dl>
      {is_kept && (
        <div ref={done} tabIndex={-1} role="status">
          <Notice kind="good">{t("choice.kept")}</Notice>
        </div>
      )}
      <form
        className="grid justify-items-start gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (wanted) choose.mutate({ choice: wanted, starts_at });
        }}
      >
        <fieldset className="grid w-full gap-3">
          <legend className="mb-3 text-lg font-semibold">{t("choice.question")}</legend>
          {(["keep", "refund"] as const).map((option) => (
            <label
              key={option}
              className="card flex min-h-11 cursor-pointer items-start gap-3 p-4 has-checked:outline-2 has-checked:outline-accent"
            >
              <input
                type="radio"
                name="choice"
                className="mt-1 size-5 shrink-0"
                checked={wanted === option}
                onChange={() => setWanted(option)}
              />
              <span>
                <b className="block">
                  {t(option === "refund" && refund === 0 ? "choice.free" : `choice.${option}`, { amount: refundText })}
                </b>
                <span className="text-quiet">
                  {t(refund === 0 && option === "refund" ? "choice.freeText" : `choice.${option}Text`)}
                </span>
              </span>
            </label>
          ))}
        </fieldset>
        <p className="text-quiet">{t("choice.until", { time: when(starts_at) })}</p>
        {choose.isError && <Notice kind="bad">{sentence(choose.error)}</Notice>}
        <div className="flex flex-wrap gap-3">
          <Button
            type="submit"
            look={wanted === "refund" ? "danger" : "main"}
            disabled={!wanted}
            busy={choose.isPending}
          >
            {t(wanted ? `choice.confirm.${wanted}` : "choice.confirm")}
          </Button>
          <ButtonLink look="plain" to={`/bookings/${booking.id}`}>
            {t("choice.tickets")}
          </ButtonLink>
        </div>
      </form>
    </>
  );
}

/** There is nothing to choose: the showtime begins as booked, has begun, or the tickets are gone. */
function Closed({ booking }: { booking: Booking }) {
  const { state, screening } = booking;
  const hasBegun = screening && Date.parse(screening.starts_at) <= Date.now();
  const text = state !== "confirmed" ? "choice.ended" : hasBegun ? "choice.begun" : "choice.asBooked";
  return (
    <div className="grid justify-items-start gap-4">
      <Notice>{t(text, { time: screening ? fullDate(screening.starts_at) : "" })}</Notice>
      <ButtonLink to={`/bookings/${booking.id}`}>{t("choice.tickets")}</ButtonLink>
    </div>
  );
}
