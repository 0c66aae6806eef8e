// Holds the seats that the visitor has chosen: each change of the choice becomes one request, one at a time.

import { api, told } from "../api/client";
import { becomeGuest } from "../api/guest";
import { isProblem, Problem } from "../api/problem";
import { current } from "../api/session";
import { setServerTime } from "../lib/clock";
import type { Hold, Seat } from "./layout";
import { dropHold, keepHold, keptHold } from "./memory";
import type { SeatStore } from "./store";

/** How the hold stands. It is another object after each change. */
export interface Keeping {
  hold: Hold | null;
  isBusy: boolean;
  /** Why the last request was refused; seats that were lost are told by `onLost` instead. */
  problem: unknown;
  /** The seats of a hold whose time is over, until the visitor has said what to do. */
  expired: Seat[];
}

const CLICKS_MS = 150;
const OVER = ["hold_lapsed", "hold_unknown", "hold_expired"];

export class Keeper {
  onLost: (seats: Seat[]) => void = () => {};

  #state: Keeping = { hold: null, isBusy: false, problem: null, expired: [] };
  #wanted = new Set<string>();
  #watchers = new Set<() => void>();
  #timer = 0;

  constructor(
    readonly showtimeId: string,
    readonly store: SeatStore,
  ) {
    store.onLost = (seats) => this.#lose(seats);
  }

  state = (): Keeping => this.#state;

  subscribe = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  get chosen(): string[] {
    return [...this.#wanted];
  }

  /** Go on with the hold that this tab had before a reload, if it had one. */
  async resume(): Promise<void> {
    const hold_id = keptHold(this.showtimeId);
    if (!hold_id || this.#state.hold) return;
    try {
      const hold = await told(api.GET("/api/holds/{hold_id}", { params: { path: { hold_id } } }));
      this.#wanted = new Set(hold.seats.map((seat) => seat.seat_id));
      this.#take(hold);
    } catch (error) {
      if (!(error instanceof Problem) || ![404, 410].includes(error.status)) return this.#set({ problem: error });
      dropHold(this.showtimeId);
      if (error.code === "hold_lapsed") this.#set({ expired: this.store.pick(error.seats) });
    }
  }

  /** Have just these seats: what is not held is asked for, what is held and not named is let go. */
  choose(seatIds: string[]): void {
    if (this.#state.hold?.in_checkout) return;
    this.#wanted = new Set(seatIds);
    this.#set({ problem: null, expired: [] });
    this.#show();
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.#settle(), CLICKS_MS);
  }

  /**
   * Have the best seats for a party picked and held, `wheelchairs` of it in wheelchairs; what was held is let go first.
   * Answers whether they are together; null when there are none, and `problem` says why.
   */
  async best(party_size: number, wheelchairs: number): Promise<boolean | null> {
    this.choose([]);
    await this.settled();
    if (this.#state.hold || this.#state.isBusy) return null;
    if (current().state === "guest") becomeGuest();
    this.#set({ isBusy: true });
    const params = { path: { showtime_id: this.showtimeId } };
    try {
      const found = await told(
        api.POST("/api/showtimes/{showtime_id}/holds/best", { params, body: { party_size, wheelchairs } }),
      );
      this.#wanted = new Set(found.seats.map((seat) => seat.seat_id));
      this.#take(found);
      return found.together;
    } catch (error) {
      this.#set({ problem: error });
      return null;
    } finally {
      this.#set({ isBusy: false });
    }
  }

  /** Ask for what is chosen at once; resolves when the hold is as chosen, or was refused. */
  async settled(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#settle();
  }

  /** Keep the seats longer, as the service allows. */
  async renew(): Promise<void> {
    const hold_id = this.#state.hold?.hold_id;
    if (!hold_id) return;
    try {
      this.#take(await told(api.POST("/api/holds/{hold_id}/renew", { params: { path: { hold_id } } })));
    } catch (error) {
      if (isProblem(error, ...OVER)) this.expire();
      else this.#set({ problem: error });
    }
  }

  /** The deadline has passed. */
  expire(): void {
    const expired = this.store.pick(this.#held());
    this.store.lapse();
    dropHold(this.showtimeId);
    this.#wanted.clear();
    this.#set({ hold: null, expired });
    this.#show();
  }

  async #settle(): Promise<void> {
    if (this.#state.isBusy) return;
    this.#set({ isBusy: true });
    while (!this.#isAsChosen()) {
      this.store.ask(this.#wanted);
      try {
        await this.#ask();
      } catch (error) {
        this.#refused(error);
      }
    }
    this.store.ask([]);
    this.#set({ isBusy: false });
    this.#show();
  }

  #isAsChosen(): boolean {
    const held = this.#held();
    return held.length === this.#wanted.size && held.every((id) => this.#wanted.has(id));
  }

  async #ask(): Promise<void> {
    const hold = this.#state.hold;
    const wanted = [...this.#wanted];
    if (!hold) {
      if (current().state === "guest") becomeGuest();
      const params = { path: { showtime_id: this.showtimeId } };
      return this.#take(
        await told(api.POST("/api/showtimes/{showtime_id}/holds", { params, body: { seats: wanted } })),
      );
    }
    const params = { path: { hold_id: hold.hold_id } };
    if (!wanted.length) {
      await told(api.DELETE("/api/holds/{hold_id}", { params }));
      dropHold(this.showtimeId);
      return this.#set({ hold: null });
    }
    const held = this.#held();
    const body = {
      add: wanted.filter((id) => !held.includes(id)),
      drop: held.filter((id) => !this.#wanted.has(id)),
    };
    this.#take(await told(api.PATCH("/api/holds/{hold_id}", { params, body })));
  }

  #refused(error: unknown): void {
    if (isProblem(error, "seats_taken") && error.seats.length) {
      this.store.taken(error.seats);
      this.#lose(this.store.pick(error.seats));
    } else if (isProblem(error, ...OVER)) this.expire();
    else {
      this.#wanted = new Set(this.#held());
      this.#set({ problem: error });
    }
  }

  #lose(seats: Seat[]): void {
    for (const seat of seats) this.#wanted.delete(seat.seat_id);
    this.#show();
    this.onLost(seats);
  }

  #take(hold: Hold): void {
    setServerTime(hold.server_time);
    keepHold(this.showtimeId, hold.hold_id);
    this.#set({ hold, problem: null });
    this.#show();
  }

  #held = (): string[] => this.#state.hold?.seats.map((seat) => seat.seat_id) ?? [];

  #show(): void {
    const held = this.#held();
    this.store.own(held.filter((id) => this.#wanted.has(id) || this.#state.hold?.in_checkout));
    this.store.want([...this.#wanted].filter((id) => !held.includes(id)));
  }

  #set(change: Partial<Keeping>): void {
    this.#state = { ...this.#state, ...change };
    for (const watcher of this.#watchers) watcher();
  }
}
