import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { Link, useLocation, useNavigate, useParams } from "react-router";
import { Narrow } from "../account/parts";
import { api, unwrap } from "../api/client";
import { keepLinkKey, keyOf } from "../api/guest";
import { sentence } from "../api/problem";
import { useSession } from "../api/useSession";
import { named, t, tn } from "../i18n";
import { clock, longDay } from "../lib/format";
import { place } from "../seats/labels";
import { announce } from "../ui/announce";
import { Button, ButtonLink } from "../ui/Button";
import { Failure, Notice } from "../ui/Notice";
import { usePageTitle } from "../ui/usePageTitle";
import { DocumentButtons } from "./Documents";
import { saveTicketDocument } from "./documents";
import { type Received, receivedQuery } from "./queries";
import { TicketCard } from "./TicketCard";
import { Giving, timeOf } from "./Transfers";
import { useAwake } from "./useAwake";

/** A ticket from another person. The key of the mailed link is stored first, as for a booking. */
export default function TicketPage() {
  const { ticketId = "" } = useParams();
  const { hash, pathname } = useLocation();
  const navigate = useNavigate();
  const key = keyOf(hash);
  useEffect(() => {
    if (key === null) return;
    keepLinkKey(ticketId, key);
    void navigate(pathname, { replace: true });
  }, [ticketId, key, navigate, pathname]);
  return key === null && <Shown ticketId={ticketId} />;
}

function Shown({ ticketId }: { ticketId: string }) {
  const found = useQuery(receivedQuery(ticketId));
  const session = useSession();
  const [isReturned, setReturned] = useState(false);
  const ticket = found.data;
  const title = t(
    isReturned
      ? "received.returned"
      : ticket === null
        ? "received.missing"
        : ticket?.state === "accepted"
          ? "received.yours"
          : "received.offered",
  );
  usePageTitle(title);
  const heading = useRef<HTMLHeadingElement>(null);
  const before = useRef(ticket?.state);
  useEffect(() => {
    if (isReturned || (before.current === "offered" && ticket?.state === "accepted")) heading.current?.focus();
    before.current = ticket?.state;
  }, [isReturned, ticket?.state]);
  const page = (content: React.ReactNode) => (
    <div className="page max-w-lg py-8 sm:py-12">
      <h1 ref={heading} tabIndex={-1} className="mb-5">
        {title}
      </h1>
      {content}
    </div>
  );
  if (isReturned) return page(<ButtonLink to="/">{t("nav.films")}</ButtonLink>);
  if (found.isError) {
    return (
      <Narrow title={title}>
        <Failure error={found.error} retry={() => void found.refetch()} />
      </Narrow>
    );
  }
  if (ticket === undefined || session.state === "unknown") {
    return <Narrow title={title}>{<div aria-hidden="true" className="skeleton h-96" />}</Narrow>;
  }
  if (ticket === null) {
    return page(
      <div className="grid justify-items-start gap-4">
        <p className="text-quiet">{t("received.missingText")}</p>
        {session.state === "guest" && (
          <ButtonLink to={`/sign-in?next=${encodeURIComponent(location.pathname)}`}>{t("nav.signIn")}</ButtonLink>
        )}
        <ButtonLink look="plain" to="/">
          {t("nav.films")}
        </ButtonLink>
      </div>,
    );
  }
  return page(
    <div className="grid gap-5">
      <Head ticket={ticket} />
      {ticket.state === "offered" ? (
        <Offer ticket={ticket} />
      ) : (
        <Accepted ticket={ticket} onReturn={() => setReturned(true)} />
      )}
    </div>,
  );
}

function Head({ ticket }: { ticket: Received }) {
  const { screening, showtime_id, sender, message, seat, ticket_type } = ticket;
  return (
    <>
      <p className="-mt-2">
        <Link to={`/showtimes/${showtime_id}`} className="link font-semibold">
          <bdi>{screening.movie_title}</bdi>
        </Link>
        <span className="block">
          {longDay(screening.starts_at, screening.time_zone)}, {clock(screening.starts_at, screening.time_zone)}
        </span>
        <span className="block text-sm text-quiet">
          <bdi>{screening.theater_name}</bdi>, <bdi>{screening.auditorium_name}</bdi>
        </span>
        {ticket.state === "offered" && (
          <span className="block">
            {place(seat)} · {named("ticket", ticket_type)}
          </span>
        )}
      </p>
      {(sender || message) && (
        <figure className="card grid gap-2 p-5">
          {message && (
            <blockquote className="whitespace-pre-line wrap-anywhere">
              <bdi>{message}</bdi>
            </blockquote>
          )}
          {sender && (
            <figcaption className="text-sm text-quiet wrap-anywhere">{t("received.from", { name: sender })}</figcaption>
          )}
        </figure>
      )}
    </>
  );
}

function Offer({ ticket }: { ticket: Received }) {
  const queries = useQueryClient();
  const { user } = useSession();
  const { queryKey } = receivedQuery(ticket.ticket_id);
  const accept = useMutation({
    mutationFn: () =>
      unwrap(
        api.POST("/api/tickets/{ticket_id}/transfer/accept", { params: { path: { ticket_id: ticket.ticket_id } } }),
      ),
    onSuccess: (accepted) => {
      queries.setQueryData(queryKey, accepted);
      announce(t("received.accepted"));
    },
    onError: () => queries.invalidateQueries({ queryKey }),
  });
  if (Date.parse(ticket.expires_at) <= Date.now()) return <Notice kind="warn">{t("problem.transfers_closed")}</Notice>;
  return (
    <div className="grid justify-items-start gap-4">
      <p>{t("received.acceptText")}</p>
      <p className="text-quiet wrap-anywhere">
        {t("received.until", { time: timeOf(ticket.expires_at, ticket.screening.time_zone) })}{" "}
        {user ? t("received.toAccount", { email: user.email }) : t("received.noAccount")}
      </p>
      {accept.isError && <Notice kind="bad">{sentence(accept.error)}</Notice>}
      <Button busy={accept.isPending} onClick={() => accept.mutate()}>
        {t("received.accept")}
      </Button>
    </div>
  );
}

function Accepted({ ticket, onReturn }: { ticket: Received; onReturn: () => void }) {
  useAwake();
  const queries = useQueryClient();
  const session = useSession();
  const { ticket_id, screening, seat } = ticket;
  if (!ticket.qr) return <Notice kind="warn">{t("received.void")}</Notice>;
  const isOver = Date.parse(ticket.expires_at) <= Date.now();
  const mayAct = !ticket.has_account || session.state === "signed-in";
  const reload = () => queries.invalidateQueries({ queryKey: receivedQuery(ticket_id).queryKey });
  return (
    <>
      <div className="card ticket">
        <TicketCard
          showtimeId={ticket.showtime_id}
          screening={screening}
          seat={seat}
          ticketType={ticket.ticket_type}
          qr={ticket.qr}
        />
      </div>
      <p className="no-print text-sm text-quiet">{tn("tickets.door", 1)}</p>
      <DocumentButtons
        documents={ticket.documents}
        save={(document) => saveTicketDocument(ticket_id, document)}
        label={(document) => (document === "tickets" ? t("documents.ticket") : undefined)}
      >
        <Button look="plain" onClick={() => print()}>
          {t("tickets.print")}
        </Button>
      </DocumentButtons>
      {mayAct ? (
        <section className="no-print card grid gap-4 p-5" aria-labelledby="passing">
          <h2 id="passing" className="text-lg">
            {t("received.cannot")}
          </h2>
          <Giving
            ticketId={ticket_id}
            seat={place(seat)}
            transfer={ticket.transfer}
            zone={screening.time_zone}
            isOver={isOver}
            name=""
            onChange={reload}
          />
          <Return ticketId={ticket_id} onReturn={onReturn} />
        </section>
      ) : (
        <p className="no-print text-quiet">{t("received.signIn")}</p>
      )}
    </>
  );
}

function Return({ ticketId, onReturn }: { ticketId: string; onReturn: () => void }) {
  const [isAsked, setAsked] = useState(false);
  const back = useMutation({
    mutationFn: () =>
      unwrap(api.POST("/api/tickets/{ticket_id}/return", { params: { path: { ticket_id: ticketId } } })),
    onSuccess: onReturn,
  });
  return (
    <div className="grid justify-items-start gap-3">
      <p className="text-quiet">{t("received.returnText")}</p>
      {back.isError && <Notice kind="bad">{sentence(back.error)}</Notice>}
      {isAsked ? (
        <div className="flex flex-wrap gap-3">
          <Button look="danger" autoFocus busy={back.isPending} onClick={() => back.mutate()}>
            {t("received.returnConfirm")}
          </Button>
          <Button look="plain" onClick={() => setAsked(false)}>
            {t("received.keep")}
          </Button>
        </div>
      ) : (
        <Button look="plain" onClick={() => setAsked(true)}>
          {t("received.return")}
        </Button>
      )}
    </div>
  );
}
