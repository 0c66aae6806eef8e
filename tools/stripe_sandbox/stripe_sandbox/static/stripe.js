// The part of Stripe.js that Usher's page uses, served by the sandbox. The page cannot tell the difference.
// Card numbers are typed into an iframe of the sandbox and never reach the page that mounts it.
(() => {
  "use strict";

  const BASE = new URL(document.currentScript.src).origin;

  class IntegrationError extends Error {
    name = "IntegrationError";
  }

  const byIntent = (clientSecret) => {
    const [id, secret] = String(clientSecret).split("_secret_");
    if (!id || !secret) throw new IntegrationError("Invalid value for clientSecret: it must look like pi_…_secret_….");
    return id;
  };

  /** Stripe's form encoding: {card: {number: 1}} becomes card[number]=1. */
  const flatten = (value, prefix = "") =>
    Object.entries(value).flatMap(([name, inner]) => {
      const key = prefix ? `${prefix}[${name}]` : name;
      if (inner === undefined || inner === null) return [];
      return typeof inner === "object" ? flatten(inner, key) : [[key, String(inner)]];
    });

  class Api {
    constructor(key) {
      this.key = key;
    }

    async call(method, path, params) {
      const form = new URLSearchParams(flatten({ key: this.key, ...params }));
      const options = method === "GET" ? {} : { method, body: form };
      try {
        const response = await fetch(`${BASE}${path}${method === "GET" ? `?${form}` : ""}`, options);
        return await response.json();
      } catch (cause) {
        return { error: { type: "api_connection_error", message: `We could not reach the payment service. ${cause}` } };
      }
    }

    async intent(method, clientSecret, suffix = "", params = {}) {
      const path = `/v1/payment_intents/${byIntent(clientSecret)}${suffix}`;
      const answer = await this.call(method, path, { client_secret: clientSecret, ...params });
      return answer.error ? { error: answer.error } : { paymentIntent: answer };
    }
  }

  /** Talks with one iframe of the sandbox: events come up, requests go down and are answered. */
  class Frame {
    constructor(path, title, onMessage) {
      this.channel = crypto.randomUUID?.() ?? String(Math.random());
      this.waiting = new Map();
      this.onMessage = onMessage;
      this.iframe = document.createElement("iframe");
      this.iframe.title = title;
      this.iframe.style.cssText = "border:0;width:100%;display:block;color-scheme:normal;";
      const separator = path.includes("?") ? "&" : "?";
      const whoAsks = new URLSearchParams({ origin: location.origin, channel: this.channel });
      this.iframe.src = `${BASE}${path}${separator}${whoAsks}`;
      this.listener = (event) => this.receive(event);
      window.addEventListener("message", this.listener);
    }

    receive({ origin, source, data }) {
      if (origin !== BASE || source !== this.iframe.contentWindow || data?.channel !== this.channel) return;
      if (data.type === "answer") {
        this.waiting.get(data.id)?.(data.answer);
        this.waiting.delete(data.id);
      } else {
        this.onMessage(data);
      }
    }

    tell(type, more = {}) {
      this.iframe.contentWindow?.postMessage({ channel: this.channel, type, ...more }, BASE);
    }

    ask(type, more = {}) {
      return new Promise((resolve) => {
        const id = this.waiting.size + performance.now();
        this.waiting.set(id, resolve);
        this.tell(type, { ...more, id });
      });
    }

    close() {
      window.removeEventListener("message", this.listener);
      this.iframe.remove();
    }
  }

  class Element {
    constructor(kind, api, look, options) {
      Object.assign(this, { kind, api, look, options, handlers: new Map(), frame: null, isReady: false });
    }

    mount(target) {
      const place = typeof target === "string" ? document.querySelector(target) : target;
      if (!place) throw new IntegrationError(`The selector you specified (${target}) applies to no DOM elements.`);
      this.unmount();
      this.frame = new Frame("/v3/card.html", "Secure payment input frame", (message) => this.hear(message));
      this.frame.iframe.style.height = "190px";
      place.replaceChildren(this.frame.iframe);
    }

    hear(message) {
      const shown = { ...message.event, elementType: this.kind };
      if (message.type === "loaded") {
        this.frame.tell("init", { key: this.api.key, kind: this.kind, ...this.look() });
      } else if (message.type === "resize") {
        this.frame.iframe.style.height = `${message.height}px`;
      } else {
        if (message.type === "ready") this.isReady = true;
        this.emit(message.type, shown);
      }
    }

    emit(type, event) {
      for (const handler of this.handlers.get(type) ?? []) handler(event);
    }

    on(type, handler) {
      this.handlers.set(type, [...(this.handlers.get(type) ?? []), handler]);
      return this;
    }

    once(type, handler) {
      const one = (event) => {
        this.off(type, one);
        handler(event);
      };
      return this.on(type, one);
    }

    off(type, handler) {
      const kept = handler ? (this.handlers.get(type) ?? []).filter((known) => known !== handler) : [];
      this.handlers.set(type, kept);
      return this;
    }

    ask(type, more) {
      if (!this.frame || !this.isReady) throw new IntegrationError("The element must be mounted and ready.");
      return this.frame.ask(type, more);
    }

    focus() {
      this.frame?.tell("focus");
    }

    clear() {
      this.frame?.tell("clear");
    }

    unmount() {
      this.frame?.close();
      this.frame = null;
      this.isReady = false;
    }

    destroy() {
      this.unmount();
      this.handlers.clear();
    }
  }

  class Elements {
    constructor(api, options) {
      Object.assign(this, { api, options, element: null });
    }

    create(kind, options = {}) {
      if (!["payment", "card"].includes(kind)) {
        throw new IntegrationError(`The sandbox has the elements payment and card, not ${kind}.`);
      }
      this.element = new Element(kind, this.api, () => this.look(), options);
      return this.element;
    }

    getElement(kind) {
      return this.element?.kind === kind ? this.element : null;
    }

    update(options) {
      Object.assign(this.options, options);
      this.element?.frame?.tell("look", this.look());
    }

    look() {
      return { appearance: this.options.appearance ?? {}, locale: this.options.locale ?? "en" };
    }

    async submit() {
      if (!this.element) throw new IntegrationError("elements.submit() needs a mounted payment element.");
      const { error } = await this.element.ask("validate");
      return error ? { error } : { selectedPaymentMethod: "card" };
    }
  }

  /** Show the bank's page over the page until the customer has approved or refused. */
  const authenticate = (paymentIntent) =>
    new Promise((resolve) => {
      const address = new URL(paymentIntent.next_action.use_stripe_sdk.stripe_js);
      const dialog = document.createElement("dialog");
      const frame = new Frame(address.pathname + address.search, "3D Secure authentication", ({ type }) => {
        if (type !== "authenticated") return;
        frame.close();
        dialog.remove();
        resolve();
      });
      dialog.setAttribute("aria-label", "Confirm the payment with your bank");
      dialog.style.cssText = "border:0;border-radius:12px;padding:0;width:min(440px,92vw);height:min(400px,85vh);";
      frame.iframe.style.height = "100%";
      dialog.addEventListener("cancel", (event) => event.preventDefault());
      dialog.append(frame.iframe);
      document.body.append(dialog);
      dialog.showModal();
    });

  const GERMAN = {
    card_declined: "Ihre Karte wurde abgelehnt.",
    insufficient_funds: "Ihre Karte ist nicht ausreichend gedeckt.",
    expired_card: "Ihre Karte ist abgelaufen.",
    incorrect_cvc: "Die Prüfnummer Ihrer Karte ist falsch.",
    payment_intent_authentication_failure: "Ihre Bank hat die Zahlung nicht bestätigt.",
  };

  /** The error with its message in the language of the elements, as Stripe.js has it: here only German. */
  const translated = (error, locale = "") => {
    const message = locale.startsWith("de") && (GERMAN[error.decline_code] ?? GERMAN[error.code]);
    return message ? { ...error, message } : error;
  };

  const withParams = (url, paymentIntent) => {
    const target = new URL(url, location.href);
    target.searchParams.set("payment_intent", paymentIntent.id);
    target.searchParams.set("payment_intent_client_secret", paymentIntent.client_secret);
    target.searchParams.set("redirect_status", paymentIntent.status === "succeeded" ? "succeeded" : "pending");
    return target.href;
  };

  class Stripe {
    constructor(key) {
      if (!/^pk_/.test(key ?? "")) throw new IntegrationError("Please call Stripe() with your publishable key.");
      if (/^pk_live_/.test(key)) throw new IntegrationError("This is a sandbox: it takes no live keys.");
      this.api = new Api(key);
    }

    elements(options = {}) {
      return new Elements(this.api, { ...options });
    }

    retrievePaymentIntent(clientSecret) {
      return this.api.intent("GET", clientSecret);
    }

    async confirmPayment({ elements, clientSecret, confirmParams = {}, redirect = "always" }) {
      const secret = clientSecret ?? elements?.options.clientSecret;
      const { return_url: returnUrl, payment_method: saved, payment_method_data: data, receipt_email } = confirmParams;
      if (redirect === "always" && !returnUrl) {
        throw new IntegrationError("stripe.confirmPayment() needs confirmParams.return_url unless redirect is if_required.");
      }
      const chosen = await this.#paymentMethod(saved ?? elements?.element, data?.billing_details);
      if (chosen.error) return chosen;
      const result = await this.#confirm(secret, { ...chosen, return_url: returnUrl, receipt_email });
      if (result.error) return { error: translated(result.error, elements?.options.locale) };
      if (redirect !== "always") return result;
      location.assign(withParams(returnUrl, result.paymentIntent));
      return new Promise(() => {});
    }

    async confirmCardPayment(clientSecret, data = {}, options = {}) {
      const method = data.payment_method ?? {};
      const source = typeof method === "string" ? method : method.card;
      const chosen = await this.#paymentMethod(source, method.billing_details);
      if (chosen.error) return chosen;
      const { return_url, receipt_email } = data;
      return this.#confirm(clientSecret, { ...chosen, return_url, receipt_email }, options.handleActions ?? true);
    }

    async handleNextAction({ clientSecret }) {
      const result = await this.retrievePaymentIntent(clientSecret);
      return result.error ? result : this.#act(clientSecret, result.paymentIntent);
    }

    /** {payment_method: id} from a saved id or a mounted element, {} for neither, or {error}. */
    async #paymentMethod(source, billing_details) {
      if (!source || typeof source === "string") return source ? { payment_method: source } : {};
      const { error, paymentMethod } = await source.ask("tokenize", { billing_details });
      return error ? { error } : { payment_method: paymentMethod.id };
    }

    async #confirm(clientSecret, params, handleActions = true) {
      const result = await this.api.intent("POST", clientSecret, "/confirm", { ...params, use_stripe_sdk: true });
      return result.error || !handleActions ? result : this.#act(clientSecret, result.paymentIntent);
    }

    async #act(clientSecret, paymentIntent) {
      const action = paymentIntent.next_action;
      if (paymentIntent.status !== "requires_action") return { paymentIntent };
      if (action.type === "redirect_to_url") {
        location.assign(action.redirect_to_url.url);
        return new Promise(() => {});
      }
      await authenticate(paymentIntent);
      const after = await this.retrievePaymentIntent(clientSecret);
      const failure = after.paymentIntent?.last_payment_error;
      return failure ? { error: { ...failure, payment_intent: after.paymentIntent } } : after;
    }
  }

  window.Stripe = (key) => new Stripe(key);
  window.Stripe.version = "sandbox";
})();
