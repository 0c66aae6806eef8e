// The seats' states, apart from React: a message changes a few of 400 seats and only those are painted anew.

import type { Layout, Seat } from "./layout";

export type Taken = "held" | "sold" | "blocked";
/** `wanted` is chosen but not held yet, `own` is held for this visitor; `gone` is sold or blocked. */
export type SeatState = "free" | "wanted" | "own" | "held" | "gone";

/** The whole state as realtime or inventory tells it. */
export interface Snapshot {
  version: number;
  seats: Record<string, Taken>;
}

/** One change as realtime tells it. */
export interface Change {
  type: "seat:lock" | "seat:book" | "seat:release";
  version: number;
  seats: string[];
  state?: Taken;
}

/** What the page around the map shows. It is another object after each change. */
export interface Overview {
  wanted: Seat[];
  own: Seat[];
  free: number;
  version: number;
}

export class SeatStore {
  readonly seats: ReadonlyMap<string, Seat>;
  /** Told which seats look different now. */
  readonly painters = new Set<(seatIds: string[]) => void>();
  /** Told which wanted seats somebody else was faster with. */
  onLost: (seats: Seat[]) => void = () => {};

  #taken = new Map<string, Taken>();
  #wanted = new Set<string>();
  #own = new Set<string>();
  #pending = new Set<string>();
  #version = -1;
  #viewers = new Map<string, number>();
  /** What this visitor is looking at, which is counted like everybody's. */
  viewing: string[] = [];
  #watchers = new Set<() => void>();
  #overview: Overview;

  constructor(readonly layout: Layout) {
    this.seats = new Map(layout.seats.map((seat) => [seat.seat_id, seat]));
    this.#overview = this.#computeOverview();
  }

  stateOf = (seatId: string): SeatState => {
    if (this.#own.has(seatId)) return "own";
    if (this.#wanted.has(seatId)) return "wanted";
    const taken = this.#taken.get(seatId);
    if (!taken) return "free";
    return taken === "held" ? "held" : "gone";
  };

  /** Whether somebody could have it now; one's own seats count as free. */
  isFree = (seatId: string): boolean => this.#own.has(seatId) || !this.#taken.has(seatId);

  overview = (): Overview => this.#overview;

  subscribe = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  /** How many others look at a seat. */
  viewersOf = (seatId: string): number => (this.#viewers.get(seatId) ?? 0) - (this.viewing.includes(seatId) ? 1 : 0);

  /** Take over who looks where. */
  setViewers(seats: Record<string, number>): void {
    const changed = [...this.#viewers.keys(), ...Object.keys(seats)];
    this.#viewers = new Map(Object.entries(seats));
    for (const paint of this.painters) paint(changed);
  }

  /** Whether a change follows on what is known; else something was missed. */
  isContiguous = ({ since }: { since: number }): boolean => since <= this.#version;

  /** Take over the whole state, unless a newer one is known. Answers whether it told anything new. */
  applySnapshot({ version, seats }: Snapshot): boolean {
    if (version < this.#version) return false;
    const next = new Map(Object.entries(seats));
    const changed = [...this.seats.keys()].filter((id) => next.get(id) !== this.#taken.get(id));
    this.#version = version;
    this.#taken = next;
    this.#changed(changed);
    return changed.length > 0;
  }

  /** Take over one change. What is older than what is known is no news. */
  applyChange({ type, version, seats, state }: Change): void {
    if (version < this.#version) return;
    this.#version = version;
    for (const id of seats) {
      if (type === "seat:release") this.#taken.delete(id);
      else this.#taken.set(id, type === "seat:book" ? "sold" : (state ?? "held"));
    }
    this.#changed(seats);
  }

  /** These seats are somebody else's, as a refusal told before any message did; the next snapshot knows better. */
  markTaken(seatIds: string[]): void {
    for (const id of seatIds) if (!this.#taken.has(id)) this.#taken.set(id, "held");
    this.#changed(seatIds);
  }

  /** The time of this visitor's hold is over: its seats are free again, before any message has said so. */
  releaseOwn(): void {
    const lapsed = [...this.#own];
    for (const id of lapsed) this.#taken.delete(id);
    this.#own.clear();
    this.#changed(lapsed);
  }

  get version(): number {
    return this.#version;
  }

  /** These seats are wanted now, and no others. */
  setWanted(seatIds: Iterable<string>): void {
    const next = new Set(seatIds);
    const changed = [...this.#wanted, ...next];
    this.#wanted = next;
    this.#changed(changed);
  }

  /** These seats are held for this visitor, whatever the state says. */
  setOwn(seatIds: Iterable<string>): void {
    const next = new Set(seatIds);
    const changed = [...this.#own, ...next];
    this.#own = next;
    this.#changed(changed);
  }

  /** These seats are being asked for: that they are taken may be the answer on its way, so none of them is lost yet. */
  setPending(seatIds: Iterable<string>): void {
    this.#pending = new Set(seatIds);
    this.#changed([]);
  }

  seatsOf = (seatIds: Iterable<string>): Seat[] => [...seatIds].flatMap((id) => this.seats.get(id) ?? []);

  #changed(seatIds: string[]): void {
    const lost = [...this.#wanted].filter((id) => !this.isFree(id) && !this.#pending.has(id));
    for (const id of lost) this.#wanted.delete(id);
    for (const paint of this.painters) paint(seatIds);
    this.#overview = this.#computeOverview();
    for (const watcher of this.#watchers) watcher();
    if (lost.length) this.onLost(this.seatsOf(lost));
  }

  #computeOverview(): Overview {
    return {
      wanted: this.seatsOf(this.#wanted),
      own: this.seatsOf(this.#own),
      free: this.seats.size - this.#taken.size,
      version: this.#version,
    };
  }
}
