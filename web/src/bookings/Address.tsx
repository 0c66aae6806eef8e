import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { faultOf, fieldsOf, Refusal } from "../account/parts";
import { api, unwrap } from "../api/client";
import { sentence } from "../api/problem";
import { EmailField } from "../checkout/EmailField";
import { t } from "../i18n";
import { announce } from "../ui/announce";
import { Button } from "../ui/Button";
import { Notice } from "../ui/Notice";
import { type Booking, bookingQuery } from "./queries";

/** Where the mails about a booking go, with a way to correct it and to send the tickets again. */
export function Address({ booking }: { booking: Booking }) {
  const queries = useQueryClient();
  const [isOpen, setOpen] = useState(false);
  const path = { booking_id: booking.id };
  const { queryKey } = bookingQuery(booking.id);
  const isConfirmed = booking.state === "confirmed";
  const done = (changed: Booking) => {
    queries.setQueryData(queryKey, changed);
    setOpen(false);
    announce(t(isConfirmed ? "address.sent" : "pay.mailTo", { email: changed.email ?? "" }));
  };
  const change = useMutation({
    mutationFn: ({ email = "" }: Record<string, string>) =>
      unwrap(api.PUT("/api/bookings/{booking_id}/email", { params: { path }, body: { email } })),
    onSuccess: done,
  });
  const send = useMutation({
    mutationFn: () => unwrap(api.POST("/api/bookings/{booking_id}/send-tickets", { params: { path } })),
    onSuccess: done,
  });
  const email = booking.email ?? "";
  const hasFailed = booking.failed_mail !== null;
  const wasSent = isConfirmed && (change.isSuccess || send.isSuccess);
  const text = hasFailed
    ? "booking.mailFailed"
    : wasSent
      ? "address.sent"
      : isConfirmed
        ? "tickets.mailed"
        : "pay.mailTo";
  return (
    <div className="no-print grid gap-3">
      <Notice kind={hasFailed ? "warn" : isConfirmed ? "good" : "info"}>
        <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
          <span className="grow wrap-anywhere">{t(text, { email })}</span>
          {!isOpen && (
            <span className="flex flex-wrap gap-2">
              <Button look="plain" onClick={() => setOpen(true)}>
                {t("address.change")}
              </Button>
              {isConfirmed && (
                <Button look="plain" busy={send.isPending} onClick={() => send.mutate()}>
                  {t("address.sendAgain")}
                </Button>
              )}
            </span>
          )}
        </div>
      </Notice>
      {send.isError && <Notice kind="bad">{sentence(send.error)}</Notice>}
      {isOpen && (
        <form className="card grid gap-4 p-5" onSubmit={(event) => change.mutate(fieldsOf(event))}>
          <EmailField defaultValue={email} fault={faultOf(change.error, "email")} autoFocus />
          <Refusal error={change.error} fields={["email"]} />
          <div className="flex flex-wrap gap-3">
            <Button type="submit" busy={change.isPending}>
              {t(isConfirmed ? "address.saveAndSend" : "address.save")}
            </Button>
            <Button look="quiet" onClick={() => setOpen(false)}>
              {t("address.keep")}
            </Button>
          </div>
        </form>
      )}
    </div>
  );
}
