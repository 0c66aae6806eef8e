import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import type { Schemas } from "../api/client";
import { subscribe as onSession } from "../api/session";
import { t } from "../i18n";
import { LiveConnection } from "../lib/live";
import { announce } from "../ui/announce";
import { HoldController, type HoldState } from "./holdController";
import { type Seat, withRoomForNames } from "./layout";
import { seatsQuery } from "./queries";
import { type Overview, SeatStore, type Taken } from "./store";

type Seating = Schemas["InventorySeatMapResponse"];

/** `connecting` at first, then `live` or `lost`; `healed` for a moment after missed changes were loaded. */
export type Connection = "connecting" | "live" | "lost" | "healed";

const COMPARE_MS = 30_000;
const GRACE_MS = 2500;
const HEALED_MS = 5000;
/** How long the pointer must stay on a seat to count as looking at it. */
const VIEWED_AFTER_MS = 600;

export interface Seats {
  store: SeatStore;
  controller: HoldController;
  holdState: HoldState;
  overview: Overview;
  connection: Connection;
  isCancelled: boolean;
  /** Report which seat this visitor is looking at. */
  setViewing: (seat: Seat | null) => void;
}

/** The live seats of a showtime and this visitor's hold. */
export function useSeats(seating: Seating): Seats {
  const showtimeId = seating.showtime_id;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a layout never changes; newer states come as messages
  const store = useMemo(() => {
    const made = new SeatStore(withRoomForNames(seating.layout));
    made.applySnapshot({ version: seating.version, seats: seating.taken as Record<string, Taken> });
    return made;
  }, [showtimeId]);
  const controller = useMemo(() => new HoldController(showtimeId, store), [showtimeId, store]);
  const [isCancelled, setCancelled] = useState(seating.cancelled);
  const [connection, setConnection] = useState<Connection>("connecting");

  useEffect(() => {
    void controller.resume();
  }, [controller]);
  const setViewing = useLive(showtimeId, store, setConnection, setCancelled);
  useConsistencyCheck(showtimeId, store, setConnection);
  useEffect(() => {
    if (connection !== "healed") return;
    const timer = setTimeout(() => setConnection("live"), HEALED_MS);
    return () => clearTimeout(timer);
  }, [connection]);

  return {
    store,
    controller,
    holdState: useSyncExternalStore(controller.subscribe, controller.state),
    overview: useSyncExternalStore(store.subscribe, store.overview),
    connection,
    isCancelled,
    setViewing,
  };
}

function useLive(
  showtimeId: string,
  store: SeatStore,
  setConnection: (next: Connection) => void,
  setCancelled: (is: boolean) => void,
): Seats["setViewing"] {
  const connection = useRef<LiveConnection | null>(null);
  const reporting = useRef(0);
  useEffect(() => {
    let wasLost = false;
    const live = new LiveConnection(showtimeId, {
      onMessage: (message) => {
        if (message.type === "showtime:update") {
          store.applySnapshot(message);
          setCancelled(message.cancelled);
          setConnection(wasLost ? "healed" : "live");
          if (wasLost) {
            announce(t("live.healed"));
            live.selectSeats(store.viewing);
          }
          wasLost = false;
        } else if (message.type === "seat:select") {
          store.setViewers(message.seats);
        } else if (message.type === "seat:lock" || message.type === "seat:book" || message.type === "seat:release") {
          if (store.isContiguous(message)) return store.applyChange(message);
          wasLost = true;
          live.subscribe();
        }
      },
      onStatus: (status) => {
        if (status !== "lost" || wasLost) return;
        wasLost = true;
        setConnection("lost");
        announce(t("live.lost"));
      },
    });
    const stop = onSession(() => void live.authenticate());
    connection.current = live;
    return () => {
      stop();
      live.close();
      clearTimeout(reporting.current);
    };
  }, [showtimeId, store, setConnection, setCancelled]);
  return useCallback(
    (seat) => {
      clearTimeout(reporting.current);
      reporting.current = window.setTimeout(() => {
        const seats = seat ? [seat.seat_id] : [];
        if (seats.join() === store.viewing.join()) return;
        store.viewing = seats;
        connection.current?.selectSeats(seats);
      }, VIEWED_AFTER_MS);
    },
    [store],
  );
}

/** Compare with inventory periodically, to make up for lost messages. */
function useConsistencyCheck(showtimeId: string, store: SeatStore, setConnection: (next: Connection) => void): void {
  const queries = useQueryClient();
  const waiting = useRef(0);
  useEffect(() => {
    const compare = async () => {
      const seating = await queries.fetchQuery(seatsQuery(showtimeId)).catch(() => null);
      if (!seating || seating.version <= store.version) return;
      // The message may still arrive.
      waiting.current = window.setTimeout(() => {
        const missed = { version: seating.version, seats: seating.taken as Record<string, Taken> };
        // A new version need not change seats: a checkout, for example, does not.
        if (store.applySnapshot(missed)) setConnection("healed");
      }, GRACE_MS);
    };
    const timer = setInterval(() => document.visibilityState === "visible" && void compare(), COMPARE_MS);
    return () => {
      clearInterval(timer);
      clearTimeout(waiting.current);
    };
  }, [showtimeId, store, queries, setConnection]);
}
