// The WebSocket: follows a showtime's seats and the visitor's own bookings, and comes back by itself when it is cut.

import { guestSecret } from "../api/guest";
import { accessToken } from "../api/session";

const PING_EVERY_MS = 20_000;
const SILENT_FOR_MS = 45_000;
const LONGEST_PAUSE_MS = 10_000;

export type Message =
  | {
      type: "showtime:update";
      showtime_id: string;
      version: number;
      cancelled: boolean;
      seats: Record<string, "held" | "sold" | "blocked">;
    }
  | {
      type: "seat:lock" | "seat:book" | "seat:release";
      showtime_id: string;
      since: number;
      version: number;
      seats: string[];
      state?: "held" | "blocked";
    }
  | { type: "seat:select"; showtime_id: string; seats: Record<string, number> }
  | { type: "booking:update"; booking_id: string; state: string; version: number }
  | { type: "authenticated" }
  | { type: "pong" }
  | { type: "error"; code: string; detail: string };

interface Handlers {
  hear: (message: Message) => void;
  status?: (status: "live" | "lost") => void;
}

export class Live {
  #socket: WebSocket | null = null;
  #tries = 0;
  #heardAt = 0;
  #isClosed = false;
  #retry = 0;
  #pinging: number;

  /** `showtimeId`: whose seats to follow; null for the visitor's bookings only. */
  constructor(
    readonly showtimeId: string | null,
    readonly handlers: Handlers,
  ) {
    this.#pinging = window.setInterval(this.#ping, PING_EVERY_MS);
    document.addEventListener("visibilitychange", this.#wake);
    addEventListener("online", this.#wake);
    this.#connect();
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#pinging);
    clearTimeout(this.#retry);
    document.removeEventListener("visibilitychange", this.#wake);
    removeEventListener("online", this.#wake);
    this.#socket?.close();
  }

  /** Follow the showtime's seats; again, to get all of them anew after something was missed. */
  subscribe(): void {
    if (this.showtimeId) this.say({ type: "subscribe", showtime_id: this.showtimeId });
  }

  /** Say which seats this visitor looks at. */
  look(seats: string[]): void {
    if (this.showtimeId) this.say({ type: "seat:select", showtime_id: this.showtimeId, seats });
  }

  /** Also follow the bookings of whoever is signed in and of this tab's guest. */
  authenticate = async (): Promise<void> => {
    const token = await accessToken().catch(() => "");
    const secret = guestSecret();
    if (token || secret)
      this.say({ type: "authenticate", ...(token && { token }), ...(secret && { hold_secret: secret }) });
  };

  /** Send a message if there is a connection. */
  say(message: Record<string, unknown>): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #connect(): void {
    if (this.#isClosed) return;
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    this.#socket = socket;
    this.#heardAt = performance.now();
    socket.onopen = () => {
      this.subscribe();
      void this.authenticate();
    };
    socket.onmessage = ({ data }) => this.#hear(JSON.parse(String(data)) as Message);
    socket.onclose = () => {
      if (socket === this.#socket) this.#lost();
    };
  }

  #wake = (): void => {
    if (document.visibilityState !== "visible") return;
    if (this.#socket) this.#ping();
    else {
      clearTimeout(this.#retry);
      this.#connect();
    }
  };

  #ping = (): void => {
    if (performance.now() - this.#heardAt > SILENT_FOR_MS) this.#lost();
    else this.say({ type: "ping" });
  };

  #lost(): void {
    if (this.#isClosed) return;
    const old = this.#socket;
    this.#socket = null;
    old?.close();
    this.handlers.status?.("lost");
    clearTimeout(this.#retry);
    const pause = Math.min(LONGEST_PAUSE_MS, 500 * 2 ** this.#tries++) * (0.5 + Math.random() / 2);
    this.#retry = window.setTimeout(() => this.#connect(), pause);
  }

  #hear(message: Message): void {
    this.#heardAt = performance.now();
    if (message.type === "showtime:update" || message.type === "authenticated") {
      this.#tries = 0;
      this.handlers.status?.("live");
    }
    if (message.type === "error" && message.code === "token_expired") void this.authenticate();
    else if (message.type === "error" && ["showtime_not_found", "showtime_not_ready"].includes(message.code))
      this.#lost();
    else this.handlers.hear(message);
  }
}
