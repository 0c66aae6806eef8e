// Keeps the hold in sync with the visitor's selection. It sends one request at a time.

import { api, unwrap } from "../api/client";
import { becomeGuest } from "../api/guest";
import { isProblem, Problem } from "../api/problem";
import { current } from "../api/session";
import { setServerTime } from "../lib/clock";
import type { Hold, Seat } from "./layout";
import { forgetHold, storedHold, storeHold, storeSeats } from "./memory";
import type { SeatStore } from "./store";

/** The state of the hold. It is a new object after each change. */
export interface HoldState {
  hold: Hold | null;
  isBusy: boolean;
  /** The error of the last request. Lost seats are reported by `onLost` instead. */
  problem: unknown;
  /** The seats of an expired hold, until the visitor decides what to do. */
  expired: Seat[];
}

const DEBOUNCE_MS = 150;
const HOLD_ENDED = ["hold_lapsed", "hold_unknown", "hold_expired"];

export class HoldController {
  onLost: (seats: Seat[]) => void = () => {};

  #state: HoldState = { hold: null, isBusy: false, problem: null, expired: [] };
  #draining: Promise<void> | null = null;
  #wanted = new Set<string>();
  #watchers = new Set<() => void>();
  #timer = 0;

  constructor(
    readonly showtimeId: string,
    readonly store: SeatStore,
  ) {
    store.onLost = (seats) => this.#removeLost(seats);
  }

  state = (): HoldState => this.#state;

  subscribe = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  get chosen(): string[] {
    return [...this.#wanted];
  }

  /** Resume the hold that this tab had before a reload, if any. */
  async resume(): Promise<void> {
    const hold_id = storedHold(this.showtimeId);
    if (!hold_id || this.#state.hold) return;
    try {
      const hold = await unwrap(api.GET("/api/holds/{hold_id}", { params: { path: { hold_id } } }));
      this.#wanted = new Set(hold.seats.map((seat) => seat.seat_id));
      this.#apply(hold);
    } catch (error) {
      if (!(error instanceof Problem) || ![404, 410].includes(error.status)) return this.#set({ problem: error });
      forgetHold(this.showtimeId);
      if (error.code === "hold_lapsed") this.#set({ expired: this.store.seatsOf(error.seats) });
    }
  }

  /** Select exactly these seats. The hold follows: missing seats are added, others are released. */
  choose(seatIds: string[]): void {
    if (this.#state.hold?.in_checkout) return;
    this.#wanted = new Set(seatIds);
    this.#set({ problem: null, expired: [] });
    this.#updateStore();
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.#drain(), DEBOUNCE_MS);
  }

  /**
   * Let the service select and hold the best seats for a party: of a category if one is given, `wheelchairs` of
   * them wheelchair spaces. The current hold is released first. Returns whether the seats are together; null if there
   * are none (see `problem`).
   */
  async best(party_size: number, category: string | null, wheelchairs: number): Promise<boolean | null> {
    this.choose([]);
    await this.sync();
    if (this.#state.hold || this.#state.isBusy) return null;
    if (current().state === "guest") becomeGuest();
    this.#set({ isBusy: true });
    const params = { path: { showtime_id: this.showtimeId } };
    try {
      const found = await unwrap(
        api.POST("/api/showtimes/{showtime_id}/holds/best", { params, body: { party_size, category, wheelchairs } }),
      );
      this.#wanted = new Set(found.seats.map((seat) => seat.seat_id));
      this.#apply(found);
      return found.together;
    } catch (error) {
      this.#set({ problem: error });
      return null;
    } finally {
      this.#set({ isBusy: false });
    }
  }

  /** Send the selection now. Resolves when the hold matches it, or when it was rejected. */
  async sync(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#drain();
  }

  /** Extend the hold. */
  async renew(): Promise<void> {
    const hold_id = this.#state.hold?.hold_id;
    if (!hold_id) return;
    try {
      this.#apply(await unwrap(api.POST("/api/holds/{hold_id}/renew", { params: { path: { hold_id } } })));
    } catch (error) {
      if (isProblem(error, ...HOLD_ENDED)) this.expire();
      else this.#set({ problem: error });
    }
  }

  /** End the hold, because its deadline has passed. */
  expire(): void {
    const expired = this.store.seatsOf(this.#heldIds());
    this.store.releaseOwn();
    forgetHold(this.showtimeId);
    this.#wanted.clear();
    this.#set({ hold: null, expired });
    this.#updateStore();
  }

  /** Sends until the hold is as wanted. A call in the meantime waits for the same end. */
  #drain(): Promise<void> {
    this.#draining ??= this.#sendAll().finally(() => {
      this.#draining = null;
    });
    return this.#draining;
  }

  async #sendAll(): Promise<void> {
    if (this.#state.isBusy) return;
    this.#set({ isBusy: true });
    while (!this.#isInSync()) {
      this.store.setPending(this.#wanted);
      try {
        await this.#request();
      } catch (error) {
        this.#handleRefusal(error);
      }
    }
    this.store.setPending([]);
    this.#set({ isBusy: false });
    this.#updateStore();
  }

  #isInSync(): boolean {
    const held = this.#heldIds();
    return held.length === this.#wanted.size && held.every((id) => this.#wanted.has(id));
  }

  async #request(): Promise<void> {
    const hold = this.#state.hold;
    const wanted = [...this.#wanted];
    if (!hold) {
      if (current().state === "guest") becomeGuest();
      const params = { path: { showtime_id: this.showtimeId } };
      return this.#apply(
        await unwrap(api.POST("/api/showtimes/{showtime_id}/holds", { params, body: { seats: wanted } })),
      );
    }
    const params = { path: { hold_id: hold.hold_id } };
    if (!wanted.length) {
      await unwrap(api.DELETE("/api/holds/{hold_id}", { params }));
      forgetHold(this.showtimeId);
      return this.#set({ hold: null });
    }
    const held = this.#heldIds();
    const body = {
      add: wanted.filter((id) => !held.includes(id)),
      drop: held.filter((id) => !this.#wanted.has(id)),
    };
    this.#apply(await unwrap(api.PATCH("/api/holds/{hold_id}", { params, body })));
  }

  #handleRefusal(error: unknown): void {
    if (isProblem(error, "seats_taken") && error.seats.length) {
      this.store.markTaken(error.seats);
      this.#removeLost(this.store.seatsOf(error.seats));
    } else if (isProblem(error, ...HOLD_ENDED)) this.expire();
    else {
      this.#wanted = new Set(this.#heldIds());
      this.#set({ problem: error });
    }
  }

  #removeLost(seats: Seat[]): void {
    for (const seat of seats) this.#wanted.delete(seat.seat_id);
    this.#updateStore();
    this.onLost(seats);
  }

  #apply(hold: Hold): void {
    setServerTime(hold.server_time);
    storeHold(this.showtimeId, hold.hold_id);
    storeSeats(hold);
    this.#set({ hold, problem: null });
    this.#updateStore();
  }

  #heldIds = (): string[] => this.#state.hold?.seats.map((seat) => seat.seat_id) ?? [];

  #updateStore(): void {
    const held = this.#heldIds();
    this.store.setOwn(held.filter((id) => this.#wanted.has(id) || this.#state.hold?.in_checkout));
    this.store.setWanted([...this.#wanted].filter((id) => !held.includes(id)));
  }

  #set(change: Partial<HoldState>): void {
    this.#state = { ...this.#state, ...change };
    for (const watcher of this.#watchers) watcher();
  }
}
