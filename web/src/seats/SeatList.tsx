import { useMemo, useSyncExternalStore } from "react";
import { t } from "../i18n";
import { grouped } from "../lib/group";
import { kind, type Prices } from "./labels";
import { rows, type Seat } from "./layout";
import type { SeatStore } from "./store";

interface SeatListProps {
  store: SeatStore;
  prices: Prices;
  isOpen: boolean;
  onPick: (seat: Seat) => void;
}

/** The seats as a list by area and row. It updates with the map. */
export function SeatList({ store, prices, isOpen, onPick }: SeatListProps) {
  useSyncExternalStore(store.subscribe, store.overview);
  const areas = useMemo(() => [...grouped(rows(store.layout), ({ seats }) => seats[0]?.area ?? "")], [store]);
  return (
    <div className="card max-h-[70vh] overflow-y-auto p-4">
      {areas.map(([area, lines]) => (
        <section key={area}>
          {area && <h3 className="mb-2">{area}</h3>}
          {lines.map(({ row, seats }) => (
            <section key={row} className="mb-4">
              <h4 className="mb-1.5 text-base">{t("list.row", { row })}</h4>
              <ul className="flex flex-wrap gap-2">
                {seats.map((seat) => (
                  <li key={seat.seat_id}>
                    <ListedSeat seat={seat} store={store} prices={prices} isOpen={isOpen} onPick={onPick} />
                  </li>
                ))}
              </ul>
            </section>
          ))}
        </section>
      ))}
    </div>
  );
}

function ListedSeat({ seat, store, prices, isOpen, onPick }: SeatListProps & { seat: Seat }) {
  const state = store.stateOf(seat.seat_id);
  const isMine = state === "wanted" || state === "own";
  const isTaken = state === "held" || state === "gone";
  return (
    <label className="flex min-h-11 items-center gap-2 rounded-lg border border-line px-3 py-1 text-sm has-checked:border-accent has-checked:bg-accent-soft has-disabled:text-quiet has-disabled:opacity-70 has-focus-visible:outline-3">
      <input
        type="checkbox"
        className="size-4 accent-accent"
        checked={isMine}
        disabled={!isOpen || isTaken}
        onChange={() => onPick(seat)}
      />
      <span>
        <b>
          <span className="sr-only">{t("list.row", { row: seat.row })}, </span>
          {t("list.seat", { number: seat.number })}
        </b>
        <span className="block text-xs">
          {kind(seat, prices)}
          <span className={isTaken ? "" : "sr-only"}>, {t(isTaken ? "seat.gone" : "seat.free")}</span>
        </span>
      </span>
    </label>
  );
}
