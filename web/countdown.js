// The time that is left, by the server's clock; said aloud at one minute only.

import { announce, h } from "./dom.js";

const ALMOST_OVER_S = 60;
const OFFER_RENEWAL_S = 120;

export class Countdown {
  /** `ahead`: milliseconds that the server's clock is ahead of this one's. `onover` is called once time is up. */
  constructor(ahead, onover) {
    Object.assign(this, { ahead, onover, until: 0, isOver: true });
    this.text = h("span");
    this.more = h("span");
    this.element = h("p", { class: "countdown" }, this.text, " ", this.more);
  }

  /** Count down to `until`; `renew` is offered when little time is left, if there is one. */
  run(until, renew = null) {
    this.stop();
    Object.assign(this, { until: Date.parse(until), renew, isOver: false, isAnnounced: false });
    this.more.replaceChildren();
    this.timer = setInterval(() => this.#tick(), 500);
    this.#tick();
  }

  stop() {
    clearInterval(this.timer);
    this.isOver = true;
  }

  say(text) {
    this.more.replaceChildren(text);
  }

  #tick() {
    const left = Math.max(0, Math.ceil((this.until - Date.now() - this.ahead) / 1000));
    this.text.textContent = `Kept for you for ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    this.element.classList.toggle("short", left <= ALMOST_OVER_S);
    if (left <= OFFER_RENEWAL_S && this.renew && !this.more.hasChildNodes()) {
      this.more.append(h("button", { type: "button", class: "plain", onclick: this.renew }, "Keep my seats"));
    }
    if (left <= ALMOST_OVER_S && !this.isAnnounced) {
      this.isAnnounced = true;
      announce("Your seats are kept for one more minute.");
    }
    if (left === 0) {
      this.stop();
      this.onover();
    }
  }
}
