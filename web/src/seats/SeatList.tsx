import { useMemo, useState, useSyncExternalStore } from "react";
import { t } from "../i18n";
import { grouped } from "../lib/group";
import { kind, names, numberOf, type Prices } from "./labels";
import { rows, type Seat } from "./layout";
import type { SeatStore } from "./store";

interface SeatListProps {
  store: SeatStore;
  prices: Prices;
  isOpen: boolean;
  onPick: (seat: Seat) => void;
}

/** The seats as a list by area and row, which updates with the map. A row opens on demand. */
export function SeatList({ store, prices, isOpen, onPick }: SeatListProps) {
  useSyncExternalStore(store.subscribe, store.overview);
  const areas = useMemo(() => [...grouped(rows(store.layout), (line) => line.area)], [store]);
  return (
    <div className="card max-h-[70vh] overflow-y-auto p-4">
      {areas.map(([area, lines]) => (
        <section key={area}>
          {area && <h3 className="mb-2">{area}</h3>}
          {lines.map(({ row, seats }) => (
            <Row key={row} {...{ row, seats, store, prices, isOpen, onPick }} />
          ))}
        </section>
      ))}
    </div>
  );
}

const STEPS: Record<string, number> = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };

/** A row that opens and closes. Its seats are one tab stop; the arrow keys move between them. */
function Row({ row, seats, ...rest }: SeatListProps & { row: string; seats: Seat[] }) {
  const { store } = rest;
  const [reached, setReached] = useState("");
  const free = seats.filter((seat) => store.stateOf(seat.seat_id) === "free").length;
  const mine = seats.filter((seat) => ["wanted", "own"].includes(store.stateOf(seat.seat_id)));
  const isReachable = (id: string) => !["held", "gone"].includes(store.stateOf(id));
  const reachable = seats.filter((seat) => isReachable(seat.seat_id));
  const stop = reachable.find((seat) => seat.seat_id === reached) ?? reachable[0];
  const move = (event: React.KeyboardEvent<HTMLUListElement>) => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const boxes = [...event.currentTarget.querySelectorAll<HTMLInputElement>("input:enabled")];
    boxes[boxes.indexOf(event.target as HTMLInputElement) + step]?.focus();
  };
  return (
    <details className="border-b border-line last:border-0">
      <summary className="flex min-h-11 cursor-pointer flex-wrap items-center gap-x-3 py-1">
        <h4 className="text-base">{t("list.row", { row })}</h4>
        <span className="text-sm text-quiet">{t("list.free", { n: free, all: seats.length })}</span>
        {mine.length > 0 && <span className="text-sm font-semibold">{t("seats.chosen", { seats: names(mine) })}</span>}
      </summary>
      <ul className="flex flex-wrap gap-2 pb-3" onKeyDown={move}>
        {seats.map((seat) => (
          <li key={seat.seat_id} onFocus={() => setReached(seat.seat_id)}>
            <ListedSeat {...rest} seat={seat} isStop={seat === stop} />
          </li>
        ))}
      </ul>
    </details>
  );
}

function ListedSeat({ seat, store, prices, isOpen, onPick, isStop }: SeatListProps & { seat: Seat; isStop: boolean }) {
  const state = store.stateOf(seat.seat_id);
  const isMine = state === "wanted" || state === "own";
  const isTaken = state === "held" || state === "gone";
  return (
    <label className="relative flex min-h-11 items-center gap-2 rounded-lg border border-line px-3 py-1 text-sm has-checked:border-accent has-checked:bg-accent-soft has-disabled:text-quiet has-disabled:opacity-70 has-focus-visible:outline-3">
      <input
        type="checkbox"
        tabIndex={isStop ? 0 : -1}
        className="size-4 accent-accent"
        checked={isMine}
        disabled={!isOpen || isTaken}
        onChange={() => onPick(seat)}
      />
      <span>
        <b>
          <span className="sr-only">
            {seat.area && `${seat.area}, `}
            {t("list.row", { row: seat.row })},{" "}
          </span>
          {t("list.seat", { number: numberOf(seat) })}
        </b>
        <span className="block text-xs first-letter:uppercase">
          {kind(seat, prices)}
          {seat.pair && `, ${t("seat.couchNote")}`}
          <span className={isTaken ? "" : "sr-only"}>, {t(isTaken ? "seat.gone" : "seat.free")}</span>
        </span>
      </span>
    </label>
  );
}
