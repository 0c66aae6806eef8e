import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useId, useRef, useState } from "react";
import { faultOf, fieldsOf, Refusal } from "../account/parts";
import { api, type Schemas, unwrap } from "../api/client";
import { sentence } from "../api/problem";
import { EmailField } from "../checkout/EmailField";
import { currentLanguage, t } from "../i18n";
import { clock, longDay } from "../lib/format";
import { place } from "../seats/labels";
import { announce } from "../ui/announce";
import { Button } from "../ui/Button";
import { Field } from "../ui/Field";
import { Notice } from "../ui/Notice";
import { type Booking, bookingQuery } from "./queries";

type Transfer = Schemas["BookingTransferResponse"];
const UNTIL_MS = 30 * 60 * 1000;

/** The tickets of a booking that can be given to other people, and those that were. */
export function Transfers({ booking }: { booking: Booking }) {
  const queries = useQueryClient();
  const { screening, tickets } = booking;
  const kept = tickets.filter(({ status }) => status === "valid" || status === "transferred");
  if (!screening || !kept.length) return null;
  const end = new Date(Date.parse(screening.starts_at) - UNTIL_MS).toISOString();
  const isOver = Date.parse(end) < Date.now();
  if (isOver && kept.every(({ status }) => status === "valid")) return null;
  const reload = () => queries.invalidateQueries({ queryKey: bookingQuery(booking.id).queryKey });
  return (
    <section className="no-print card mt-6 grid gap-3 p-5" aria-labelledby="transfers">
      <h2 id="transfers" className="text-lg">
        {t("transfer.title")}
      </h2>
      <p className="text-quiet">
        {t("transfer.text")} {!isOver && t("transfer.until", { time: timeOf(end, screening.time_zone) })}
      </p>
      <ul className="grid divide-y divide-line">
        {kept.map((ticket) => (
          <li key={ticket.ticket_id} className="grid gap-3 py-2">
            <b className="first-letter:uppercase">{place(ticket.seat)}</b>
            <Giving
              ticketId={ticket.ticket_id}
              seat={place(ticket.seat)}
              transfer={ticket.transfer ?? null}
              zone={screening.time_zone}
              isOver={isOver}
              name={booking.name ?? ""}
              onChange={reload}
            />
          </li>
        ))}
      </ul>
    </section>
  );
}

export const timeOf = (at: string, zone: string) => `${longDay(at, zone)}, ${clock(at, zone)}`;

interface GivingProps {
  ticketId: string;
  seat: string;
  transfer: Transfer | null;
  zone: string;
  isOver: boolean;
  /** The giver's name, to start with. */
  name: string;
  onChange: () => Promise<void>;
}

/** Gives one ticket to another person: the form, and what became of it. */
export function Giving({ ticketId, seat, transfer, zone, isOver, name, onChange }: GivingProps) {
  const [isOpen, setOpen] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const hasActed = useRef(false);
  const isOffered = transfer?.state === "offered";
  // biome-ignore lint/correctness/useExhaustiveDependencies: the button is another one after each of these changes
  useEffect(() => {
    if (hasActed.current && !isOpen) opener.current?.focus();
  }, [isOpen, isOffered]);
  const recall = useMutation({
    mutationFn: () =>
      unwrap(api.DELETE("/api/tickets/{ticket_id}/transfer", { params: { path: { ticket_id: ticketId } } })),
    onSuccess: () => announce(t("transfer.recalled")),
    onSettled: onChange,
  });
  const act = (what: () => void) => () => {
    hasActed.current = true;
    what();
  };
  const refused = recall.isError && <Notice kind="bad">{sentence(recall.error)}</Notice>;
  if (transfer) {
    const email = transfer.email ?? "";
    const time = timeOf(transfer.expires_at, zone);
    return (
      <div className="grid justify-items-start gap-3">
        <p className="wrap-anywhere">
          {isOffered
            ? t("transfer.offered", { email, time })
            : email
              ? t("transfer.accepted", { email })
              : t("transfer.acceptedUnknown")}
        </p>
        {refused}
        {isOffered && (
          <Button
            ref={opener}
            look="plain"
            busy={recall.isPending}
            aria-label={t("transfer.recallSeat", { seat })}
            onClick={act(() => recall.mutate())}
          >
            {t("transfer.recall")}
          </Button>
        )}
      </div>
    );
  }
  if (isOver) return null;
  return isOpen ? (
    <TransferForm ticketId={ticketId} name={name} onChange={onChange} onClose={() => setOpen(false)} />
  ) : (
    <div className="grid justify-items-start gap-3">
      {refused}
      <Button
        ref={opener}
        look="plain"
        aria-label={t("transfer.openSeat", { seat })}
        onClick={act(() => setOpen(true))}
      >
        {t("transfer.open")}
      </Button>
    </div>
  );
}

interface FormProps {
  ticketId: string;
  name: string;
  onChange: () => Promise<void>;
  onClose: () => void;
}

function TransferForm({ ticketId, name, onChange, onClose }: FormProps) {
  const id = useId();
  const send = useMutation({
    mutationFn: ({ email = "", name = "", message = "" }: Record<string, string>) =>
      unwrap(
        api.POST("/api/tickets/{ticket_id}/transfer", {
          params: { path: { ticket_id: ticketId } },
          body: { email, name: name.trim() || null, message: message.trim() || null, locale: currentLanguage() },
        }),
      ),
    onSuccess: async ({ email }) => {
      await onChange();
      announce(t("transfer.sent", { email: email ?? "" }));
      onClose();
    },
  });
  return (
    <form className="grid gap-4" onSubmit={(event) => send.mutate(fieldsOf(event))}>
      <EmailField
        label={t("transfer.email")}
        hint={t("transfer.emailHint")}
        autoComplete="off"
        fault={faultOf(send.error, "email")}
        autoFocus
      />
      <Field
        label={t("transfer.name")}
        hint={t("transfer.nameHint")}
        name="name"
        autoComplete="name"
        maxLength={60}
        defaultValue={name.slice(0, 60)}
        fault={faultOf(send.error, "name")}
      />
      <div>
        <label htmlFor={id} className="mb-1 block font-semibold">
          {t("transfer.message")}
        </label>
        <textarea id={id} name="message" rows={3} maxLength={500} className="field" />
      </div>
      <Refusal error={send.error} fields={["email", "name"]} />
      <div className="flex flex-wrap gap-3">
        <Button type="submit" busy={send.isPending}>
          {t("transfer.send")}
        </Button>
        <Button look="plain" onClick={onClose}>
          {t("transfer.keep")}
        </Button>
      </div>
    </form>
  );
}
