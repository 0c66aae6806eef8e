// The WebSocket connection for a showtime's seats and the visitor's bookings. It reconnects automatically.

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
  onMessage: (message: Message) => void;
  onStatus?: (status: "live" | "lost") => void;
}

export class LiveConnection {
  #socket: WebSocket | null = null;
  #attempts = 0;
  #receivedAt = 0;
  #isClosed = false;
  #retry = 0;
  #pinging: number;

  /** `showtimeId`: the showtime to subscribe to; null for the visitor's bookings only. */
  constructor(
    readonly showtimeId: string | null,
    readonly handlers: Handlers,
  ) {
    this.#pinging = window.setInterval(this.#checkAlive, PING_EVERY_MS);
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

  /** Subscribe to the showtime's seats. Call it again to get a new snapshot after a missed message. */
  subscribe(): void {
    if (this.showtimeId) this.#send({ type: "subscribe", showtime_id: this.showtimeId });
  }

  /** Report which seats this visitor is looking at. */
  selectSeats(seats: string[]): void {
    if (this.showtimeId) this.#send({ type: "seat:select", showtime_id: this.showtimeId, seats });
  }

  /** Also subscribe to the bookings of the signed-in person and of this tab's guest. */
  authenticate = async (): Promise<void> => {
    const token = await accessToken().catch(() => "");
    const secret = guestSecret();
    if (token || secret)
      this.#send({ type: "authenticate", ...(token && { token }), ...(secret && { hold_secret: secret }) });
  };

  /** Send a message if the connection is open. */
  #send(message: Record<string, unknown>): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #connect(): void {
    if (this.#isClosed) return;
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    this.#socket = socket;
    this.#receivedAt = performance.now();
    socket.onopen = () => {
      this.subscribe();
      void this.authenticate();
    };
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(String(data)) as Message);
    socket.onclose = () => {
      if (socket === this.#socket) this.#reconnect();
    };
  }

  #wake = (): void => {
    if (document.visibilityState !== "visible") return;
    if (this.#socket) this.#checkAlive();
    else {
      clearTimeout(this.#retry);
      this.#connect();
    }
  };

  #checkAlive = (): void => {
    if (performance.now() - this.#receivedAt > SILENT_FOR_MS) this.#reconnect();
    else this.#send({ type: "ping" });
  };

  #reconnect(): void {
    if (this.#isClosed) return;
    const old = this.#socket;
    this.#socket = null;
    old?.close();
    this.handlers.onStatus?.("lost");
    clearTimeout(this.#retry);
    const pause = Math.min(LONGEST_PAUSE_MS, 500 * 2 ** this.#attempts++) * (0.5 + Math.random() / 2);
    this.#retry = window.setTimeout(() => this.#connect(), pause);
  }

  #receive(message: Message): void {
    this.#receivedAt = performance.now();
    if (message.type === "showtime:update" || message.type === "authenticated") {
      this.#attempts = 0;
      this.handlers.onStatus?.("live");
    }
    if (message.type === "error" && message.code === "token_expired") void this.authenticate();
    else if (message.type === "error" && ["showtime_not_found", "showtime_not_ready"].includes(message.code))
      this.#reconnect();
    else this.handlers.onMessage(message);
  }
}
