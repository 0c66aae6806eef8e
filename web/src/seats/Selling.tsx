import { useCallback, useEffect, useMemo, useState } from "react";
import { useNavigate, useSearchParams } from "react-router";
import type { Schemas } from "../api/client";
import { isProblem, Problem, sentence } from "../api/problem";
import { oldSeats } from "../bookings/exchanging";
import { t, tn } from "../i18n";
import { serverNow } from "../lib/clock";
import { clock, shortDay } from "../lib/format";
import { useCountdown } from "../lib/useCountdown";
import { useOnline } from "../lib/useOnline";
import { announce } from "../ui/announce";
import { Button, ButtonLink } from "../ui/Button";
import { Notice } from "../ui/Notice";
import { hasWaitlist } from "../waitlist/closing";
import { alternative, companions, type Proposal } from "./choice";
import { ASK_AT_S, ExpiredDialog, KeepDialog } from "./HoldDialogs";
import { kindsOf, standard } from "./kinds";
import { Legend } from "./Legend";
import { adultPrices, names, place } from "./labels";
import type { Seat } from "./layout";
import { afterClick } from "./party";
import { SeatList } from "./SeatList";
import { SeatMap } from "./SeatMap";
import { Summary } from "./Summary";
import { Shapes } from "./shapes";
import { Toolbar } from "./Toolbar";
import { type Connection, useSeats } from "./useSeats";

interface SellingProps {
  showtime: Schemas["CatalogShowtimeResponse"];
  seating: Schemas["InventorySeatMapResponse"];
}

/** A message about the last event, optionally with alternative seats. */
interface Remark {
  text: string;
  kind: "info" | "warn";
  offer?: Proposal;
}

const PARTY = "usher.party";
const ids = (seats: readonly Seat[]) => seats.map((seat) => seat.seat_id);

export function Selling({ showtime, seating }: SellingProps) {
  const { store, controller, holdState, overview, connection, isCancelled, setViewing } = useSeats(seating);
  const navigate = useNavigate();
  const { layout } = store;
  const prices = useMemo(() => adultPrices(showtime), [showtime]);
  const [party, setParty] = useState(() => Number(sessionStorage.getItem(PARTY)) || 2);
  const [isList, setList] = useListView();
  const [isFull, setFull] = useFullScreen();
  const [dims, setDims] = useState(false);
  const old = useMemo(() => oldSeats(showtime.id), [showtime.id]);
  const kinds = useMemo(() => kindsOf(layout, prices), [layout, prices]);
  const [kind, setKind] = useState(() => standard(layout));
  const [remark, setRemark] = useState<Remark | null>(null);
  const [isAsked, setAsked] = useState(false);
  const { hold, expired, problem } = holdState;
  const seats = [...overview.own, ...overview.wanted];
  const closed = whyClosed(seating, isCancelled);
  const isOpen = !closed && !hold?.in_checkout;
  const seconds = useCountdown(hold?.expires_at, () => controller.expire());

  useEffect(() => {
    controller.onLost = (lost) => {
      const others = (id: string) => store.isFree(id) && !controller.chosen.includes(id);
      const offer = alternative(layout, others, lost) ?? undefined;
      const text = tn("seats.lost", lost.length, { seats: names(lost) });
      announce(text);
      setRemark({ text, kind: "warn", offer });
    };
  }, [controller, layout, store]);

  const choose = useCallback(
    (chosen: string[], said: string) => {
      setRemark(null);
      announce(said);
      controller.choose(chosen);
    },
    [controller],
  );

  const pick = useCallback(
    (seat: Seat) => {
      const state = store.stateOf(seat.seat_id);
      if (state === "held" || state === "gone") return announce(`${place(seat)}, ${t("seat.gone")}`);
      const before = controller.chosen;
      const after = afterClick(layout, store.isFree, controller.chosen, seat, party);
      const dropped = before.filter((id) => !after.chosen.includes(id));
      const said = [
        dropped.length > 0 && t("seats.dropped", { seats: names(store.seatsOf(dropped)) }),
        after.chosen.length ? t("seats.chosen", { seats: names(store.seatsOf(after.chosen)) }) : t("seats.noneChosen"),
      ];
      choose(after.chosen, said.filter(Boolean).join(" "));
      // A click on another place moves the party and frees its previous seats.
      if (dropped.length && after.chosen.length > 1) setRemark({ text: said.join(" "), kind: "info" });
      if (after.remark === "not-together") setRemark({ text: tn("seats.notTogether", party), kind: "info" });
      if (after.remark === "couch") setRemark({ text: t("seats.couch"), kind: "info" });
    },
    [store, layout, controller, party, choose],
  );

  const best = async () => {
    setRemark(null);
    const isTogether = await controller.best(party, dims ? null : kind || null, dims ? 1 : 0);
    if (isTogether === null) return;
    announce(t("seats.chosen", { seats: names(store.seatsOf(controller.chosen)) }));
    if (!isTogether) setRemark({ text: t("party.split", { n: party }), kind: "info" });
  };

  const changeParty = (count: number) => {
    sessionStorage.setItem(PARTY, String(count));
    setParty(count);
  };

  const goOn = async () => {
    await controller.sync();
    const held = controller.state().hold;
    if (held) await navigate(`/checkout/${held.hold_id}`);
  };

  const keep = async () => {
    await controller.renew();
    setAsked(true);
  };

  const news = (
    <>
      <span className="block">{tn("map.free", overview.free)}</span>
      <Status connection={connection} />
    </>
  );
  const extra = isOpen ? companions(layout, store.isFree, seats) : [];
  const isAsking = seconds !== null && seconds <= ASK_AT_S && seconds > 0 && Boolean(hold?.renewable_until) && !isAsked;
  return (
    <>
      <Shapes />
      {!isFull && (
        <Toolbar
          {...{ party, dims, setDims, isList, setList, isOpen, kinds, kind, setKind }}
          setParty={changeParty}
          hasWheelchair={layout.seats.some((seat) => seat.category === "wheelchair")}
          isBusy={holdState.isBusy}
          onBest={() => void best()}
        />
      )}
      <div className={isFull ? "full-map" : "grid items-start gap-5 lg:grid-cols-[minmax(0,1fr)_20rem]"}>
        <div className="seat-part grid min-w-0 gap-4">
          {isFull && (
            <p className="truncate text-sm font-semibold">
              <bdi>{showtime.movie_title}</bdi>
              {` · ${shortDay(showtime.starts_at, showtime.time_zone)}, ${clock(showtime.starts_at, showtime.time_zone)}`}
            </p>
          )}
          {remark && (
            <RemarkBox
              remark={remark}
              onTake={(offer) =>
                choose(
                  [...new Set([...controller.chosen, ...ids(offer.seats)])],
                  t("seats.chosen", { seats: names(offer.seats) }),
                )
              }
              onClose={() => setRemark(null)}
            />
          )}
          {problem !== null && (
            <Refused
              problem={problem}
              seatsOf={store.seatsOf}
              onInstead={(instead) => choose(ids(instead), names(instead))}
            />
          )}
          {isOpen && seats.length === 0 && overview.free < party && hasWaitlist(showtime.starts_at) && (
            <Notice>
              <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
                <span className="grow">{t("waitlist.tooFew")}</span>
                <ButtonLink look="plain" to={`/showtimes/${showtime.id}/waitlist?party=${party}`}>
                  {t("waitlist.join")}
                </ButtonLink>
              </div>
            </Notice>
          )}
          {isList ? (
            <>
              <div className="text-sm text-quiet">{news}</div>
              <SeatList {...{ store, prices, isOpen }} onPick={pick} />
            </>
          ) : (
            <SeatMap
              {...{ store, prices, isOpen, old, dims, isFull }}
              onPick={pick}
              onLook={setViewing}
              onFull={setFull}
            >
              {news}
            </SeatMap>
          )}
          {extra[0] && (
            <div className="flex flex-wrap items-center gap-3 rounded-xl bg-raised px-4 py-2">
              <span>{t("seats.companion", { seat: place(extra[0]) })}</span>
              <Button
                look="plain"
                onClick={() => extra[0] && choose([...controller.chosen, extra[0].seat_id], place(extra[0]))}
              >
                {t("seats.add")}
              </Button>
            </div>
          )}
          <div className="legend">
            <Legend layout={layout} prices={prices} />
          </div>
        </div>
        <Summary
          {...{ seats, prices, party, seconds, closed }}
          currency={showtime.currency}
          isBusy={holdState.isBusy}
          inCheckout={Boolean(hold?.in_checkout)}
          onDrop={pick}
          onContinue={goOn}
        />
      </div>
      {isAsking && <KeepDialog seconds={seconds} onKeep={keep} onClose={() => setAsked(true)} />}
      {expired.length > 0 && (
        <ExpiredDialog
          seats={expired}
          isFree={!closed && expired.every((seat) => store.isFree(seat.seat_id))}
          onAgain={() => {
            setAsked(false);
            controller.choose(ids(expired));
          }}
          onOther={() => controller.choose([])}
        />
      )}
    </>
  );
}

interface RefusedProps {
  problem: unknown;
  seatsOf: (seatIds: string[]) => Seat[];
  onInstead: (seats: Seat[]) => void;
}

/** The error of a rejected selection, with alternative seats or the booking that must be paid first. */
function Refused({ problem, seatsOf, onInstead }: RefusedProps) {
  const instead = problem instanceof Problem ? seatsOf(problem.instead) : [];
  return (
    <Notice kind="bad">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <span className="grow">{sentence(problem)}</span>
        {instead.length > 0 && (
          <Button look="plain" onClick={() => onInstead(instead)}>
            {t("seats.instead", { seats: names(instead) })}
          </Button>
        )}
        {isProblem(problem, "checkout_unpaid") && (
          <ButtonLink look="plain" to={`/bookings/${problem.document.booking_id}`}>
            {t("seats.toBooking")}
          </ButtonLink>
        )}
      </div>
    </Notice>
  );
}

/** Whether the seats are shown as a list. It is part of the address, so another language or a reload keeps it. */
function useListView(): [boolean, (is: boolean) => void] {
  const [search, setSearch] = useSearchParams();
  const setList = (is: boolean) =>
    setSearch(
      (before) => {
        if (is) before.set("view", "list");
        else before.delete("view");
        return before;
      },
      { replace: true, preventScrollReset: true },
    );
  return [search.get("view") === "list", setList];
}

/** Whether the map fills the screen. Then nothing behind it can be reached, and Escape leaves it. */
function useFullScreen(): [boolean, (is: boolean) => void] {
  const [isFull, setFull] = useState(false);
  useEffect(() => {
    if (!isFull) return;
    const behind = document.querySelectorAll<HTMLElement>("header, footer, [data-behind]");
    const leave = (event: KeyboardEvent) => event.key === "Escape" && setFull(false);
    for (const element of behind) element.inert = true;
    addEventListener("keydown", leave);
    return () => {
      for (const element of behind) element.inert = false;
      removeEventListener("keydown", leave);
    };
  }, [isFull]);
  return [isFull, setFull];
}

const STATUS = {
  connecting: ["live.connecting", "bg-edge"],
  live: ["live.live", "bg-good"],
  healed: ["live.healed", "bg-good"],
  lost: ["live.lost", "bg-bad"],
} as const;

function Status({ connection }: { connection: Connection }) {
  const shown = useOnline() ? connection : "lost";
  const [text, colour] = STATUS[shown];
  return (
    <span data-connection={shown} className={`inline-flex items-center gap-1.5 ${shown === "lost" ? "text-bad" : ""}`}>
      <span className={`size-2.5 shrink-0 rounded-full ${colour}`} />
      <span className="line-clamp-2">{t(text)}</span>
    </span>
  );
}

interface RemarkBoxProps {
  remark: Remark;
  onTake: (offer: Proposal) => void;
  onClose: () => void;
}

function RemarkBox({ remark, onTake, onClose }: RemarkBoxProps) {
  return (
    <Notice kind={remark.kind}>
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <span className="grow">{remark.text}</span>
        {remark.offer && (
          <Button look="plain" onClick={() => remark.offer && onTake(remark.offer)}>
            {t("seats.instead", { seats: names(remark.offer.seats) })}
          </Button>
        )}
        <Button look="quiet" onClick={onClose}>
          {t("close")}
        </Button>
      </div>
    </Notice>
  );
}

/** Why the showtime is not on sale; empty if it is. */
function whyClosed({ sales_open_at, sales_close_at }: SellingProps["seating"], isCancelled: boolean): string {
  const now = serverNow();
  if (isCancelled) return t("seats.cancelled");
  if (now < Date.parse(sales_open_at)) return t("showtimes.notYet");
  return now >= Date.parse(sales_close_at) ? t("seats.closed") : "";
}
