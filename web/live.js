// The WebSocket: follows one showtime and the customer's own booking, and comes back by itself when it is cut.

import { accessToken } from "./http.js";

const PING_EVERY_MS = 20_000;
const SILENT_FOR_MS = 45_000;
const LONGEST_PAUSE_MS = 10_000;

export class Live {
  /** `handlers`: snapshot(update), change(message), booking(update), status("live" | "lost"). */
  constructor(showtimeId, handlers) {
    Object.assign(this, { showtimeId, handlers, secret: null, tries: 0, closed: false, heardAt: 0 });
    this.pinging = setInterval(() => this.#ping(), PING_EVERY_MS);
    this.wake = () => document.visibilityState === "visible" && this.#ping();
    document.addEventListener("visibilitychange", this.wake);
    this.#connect();
  }

  /** Also follow the bookings of whoever is signed in, or of this guest's secret. */
  async authenticate(secret = this.secret) {
    this.secret = secret;
    const token = await accessToken();
    const proof = { ...(token && { token }), ...(secret && { hold_secret: secret }) };
    if (Object.keys(proof).length) this.#say({ type: "authenticate", ...proof });
  }

  close() {
    this.closed = true;
    clearInterval(this.pinging);
    clearTimeout(this.retry);
    document.removeEventListener("visibilitychange", this.wake);
    this.socket.close();
  }

  #connect() {
    if (this.closed) return;
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    this.socket = socket;
    this.heardAt = performance.now();
    socket.onopen = () => {
      this.#say({ type: "subscribe", showtime_id: this.showtimeId });
      this.authenticate();
    };
    socket.onmessage = ({ data }) => this.#hear(JSON.parse(data));
    socket.onclose = () => socket === this.socket && this.#lost();
  }

  #say(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  #ping() {
    if (performance.now() - this.heardAt > SILENT_FOR_MS) this.#lost();
    else this.#say({ type: "ping" });
  }

  #lost() {
    if (this.closed) return;
    this.handlers.status("lost");
    const old = this.socket;
    this.socket = { readyState: WebSocket.CLOSED, close() {} };
    old.close();
    clearTimeout(this.retry);
    const pause = Math.min(LONGEST_PAUSE_MS, 500 * 2 ** this.tries++) * (0.5 + Math.random() / 2);
    this.retry = setTimeout(() => this.#connect(), pause);
  }

  #hear(message) {
    this.heardAt = performance.now();
    if (message.type === "showtime:update") {
      this.tries = 0;
      this.handlers.status("live");
      this.handlers.snapshot(message);
    } else if (message.type.startsWith("seat:")) {
      this.handlers.change(message);
    } else if (message.type === "booking:update") {
      this.handlers.booking(message);
    } else if (message.code === "token_expired") {
      this.authenticate();
    } else if (message.code === "showtime_not_found") {
      this.#lost();
    }
  }
}
