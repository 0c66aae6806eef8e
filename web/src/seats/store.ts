// The state of the seats, outside React: a message changes a few of 400 seats, and only those are repainted.

import type { Layout, Seat } from "./layout";

export type Taken = "held" | "sold" | "blocked";
/** `wanted` is selected but not held yet, `own` is held for this visitor, `gone` is sold or blocked. */
export type SeatState = "free" | "wanted" | "own" | "held" | "gone";

/** The whole state from realtime or inventory. */
export interface Snapshot {
  version: number;
  seats: Record<string, Taken>;
}

/** A change from realtime. */
export interface Change {
  type: "seat:lock" | "seat:book" | "seat:release";
  version: number;
  seats: string[];
  state?: Taken;
}

/** The data that the page around the map shows. It is a new object after each change. */
export interface Overview {
  wanted: Seat[];
  own: Seat[];
  free: number;
  version: number;
}

export class SeatStore {
  readonly seats: ReadonlyMap<string, Seat>;
  /** Called with the seats to repaint. */
  readonly painters = new Set<(seatIds: string[]) => void>();
  /** Called with the wanted seats that someone else has taken. */
  onLost: (seats: Seat[]) => void = () => {};

  #taken = new Map<string, Taken>();
  #wanted = new Set<string>();
  #own = new Set<string>();
  #pending = new Set<string>();
  #version = -1;
  #viewers = new Map<string, number>();
  /** The seats that this visitor is looking at, which are included in the counts. */
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

  /** Whether a seat is available; the visitor's own seats count as free. */
  isFree = (seatId: string): boolean => this.#own.has(seatId) || !this.#taken.has(seatId);

  overview = (): Overview => this.#overview;

  subscribe = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  /** The number of others who look at a seat. */
  viewersOf = (seatId: string): number => (this.#viewers.get(seatId) ?? 0) - (this.viewing.includes(seatId) ? 1 : 0);

  /** Set how many people look at each seat. */
  setViewers(seats: Record<string, number>): void {
    const changed = [...this.#viewers.keys(), ...Object.keys(seats)];
    this.#viewers = new Map(Object.entries(seats));
    for (const paint of this.painters) paint(changed);
  }

  /** Whether a change follows the known version. Otherwise a message was missed. */
  isContiguous = ({ since }: { since: number }): boolean => since <= this.#version;

  /** Apply a snapshot, unless a newer version is known. Returns whether it changed anything. */
  applySnapshot({ version, seats }: Snapshot): boolean {
    if (version < this.#version) return false;
    const next = new Map(Object.entries(seats));
    const changed = [...this.seats.keys()].filter((id) => next.get(id) !== this.#taken.get(id));
    this.#version = version;
    this.#taken = next;
    this.#changed(changed);
    return changed.length > 0;
  }

  /** Apply a change, unless a newer version is known. */
  applyChange({ type, version, seats, state }: Change): void {
    if (version < this.#version) return;
    this.#version = version;
    for (const id of seats) {
      if (type === "seat:release") this.#taken.delete(id);
      else this.#taken.set(id, type === "seat:book" ? "sold" : (state ?? "held"));
    }
    this.#changed(seats);
  }

  /** Mark seats as taken after a rejected request, before a message arrives. The next snapshot corrects it. */
  markTaken(seatIds: string[]): void {
    for (const id of seatIds) if (!this.#taken.has(id)) this.#taken.set(id, "held");
    this.#changed(seatIds);
  }

  /** Mark the seats of this visitor's expired hold as free, before a message arrives. */
  releaseOwn(): void {
    const lapsed = [...this.#own];
    for (const id of lapsed) this.#taken.delete(id);
    this.#own.clear();
    this.#changed(lapsed);
  }

  get version(): number {
    return this.#version;
  }

  /** Set the wanted seats. */
  setWanted(seatIds: Iterable<string>): void {
    const next = new Set(seatIds);
    const changed = [...this.#wanted, ...next];
    this.#wanted = next;
    this.#changed(changed);
  }

  /** Set the seats that are held for this visitor, regardless of the state from the service. */
  setOwn(seatIds: Iterable<string>): void {
    const next = new Set(seatIds);
    const changed = [...this.#own, ...next];
    this.#own = next;
    this.#changed(changed);
  }

  /** Set the seats of the running request. A message that they are taken may be its effect, so they are not lost. */
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
