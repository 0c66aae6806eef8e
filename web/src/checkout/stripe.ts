// The adapter for Stripe. It loads Stripe's script, or the sandbox's, from the address in payment's config.

import { api, type Schemas, unwrap } from "../api/client";
import { isDark, onTheme } from "../app/theme";
import { currentLanguage, subscribe } from "../i18n";
import type { Shares } from "./shares";

interface StripeElement {
  on(event: "ready", handler: () => void): void;
  mount(place: HTMLElement): void;
  destroy(): void;
}

interface Look {
  locale: string;
  appearance: { theme: "night" | "stripe" };
}

interface StripeElements {
  create(kind: "payment"): StripeElement;
  update(look: Look): void;
  submit(): Promise<{ error?: { message: string } }>;
}

interface Stripe {
  elements(options: { clientSecret: string } & Look): StripeElements;
  confirmPayment(order: {
    elements: StripeElements;
    confirmParams: { return_url: string };
    redirect: "if_required";
  }): Promise<{ error?: { message: string; payment_intent?: { status: string } } }>;
}

declare global {
  interface Window {
    Stripe?: (publishableKey: string) => Stripe;
  }
}

/** A mounted card form. */
export interface CardForm {
  /** Pays. Returns null on success, otherwise a message for the customer; the form then stays usable. */
  pay: () => Promise<string | null>;
  close: () => void;
}

/** The same payment was already made in another tab. */
const PAID = ["succeeded", "processing"];

/** The script of the card form could not be loaded. */
export class CardFormMissing extends Error {}

let loading: Promise<void> | null = null;

function loaded(address: string): Promise<void> {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => resolve();
    script.onerror = () => {
      loading = null;
      script.remove();
      reject(new CardFormMissing());
    };
    document.head.append(script);
  });
  return loading;
}

const look = (): Look => ({ locale: currentLanguage(), appearance: { theme: isDark() ? "night" : "stripe" } });

export type Intent = Schemas["PaymentIntentResponse"];

/**
 * Begins the payment of a booking with its payment order, and mounts the form for what the card pays in `place`.
 * Resolves when it is ready; without a form if nothing is left for the card. Throws Problem or CardFormMissing.
 */
export async function beginPayment(
  place: HTMLElement,
  bookingId: string,
  order: string,
  { cards, credit }: Shares,
): Promise<{ intent: Intent; form: CardForm | null }> {
  const { script_url } = await unwrap(api.GET("/api/payments/config"));
  const [intent] = await Promise.all([
    unwrap(
      api.POST("/api/payments/create-intent", {
        body: { order, gift_cards: cards.map(({ code }) => code), use_credit: credit > 0 },
      }),
    ),
    loaded(script_url),
  ]);
  if (!intent.client_secret) return { intent, form: null };
  const form = await cardForm(place, intent.publishable_key, intent.client_secret, `/bookings/${bookingId}`);
  return { intent, form };
}

/** Mounts the form of an intent that was begun before in `place`. Throws Problem or CardFormMissing. */
export async function continuePayment(place: HTMLElement, key: string, clientSecret: string, returnTo: string) {
  const { script_url } = await unwrap(api.GET("/api/payments/config"));
  await loaded(script_url);
  return cardForm(place, key, clientSecret, returnTo);
}

/** Mounts a card form for an intent in `place`. Stripe's script is loaded. Resolves when it is ready. */
async function cardForm(place: HTMLElement, key: string, clientSecret: string, returnTo: string): Promise<CardForm> {
  if (!window.Stripe) throw new CardFormMissing();
  const stripe = window.Stripe(key);
  const elements = stripe.elements({ clientSecret, ...look() });
  const element = elements.create("payment");
  await new Promise<void>((resolve) => {
    element.on("ready", resolve);
    element.mount(place);
  });
  const pay = async () => {
    const checked = await elements.submit();
    if (checked.error) return checked.error.message;
    const confirmParams = { return_url: location.origin + returnTo };
    const { error } = await stripe.confirmPayment({ elements, confirmParams, redirect: "if_required" });
    return !error || PAID.includes(error.payment_intent?.status ?? "") ? null : error.message;
  };
  // An update keeps what was typed.
  const adapt = () => elements.update(look());
  const stops = [subscribe(adapt), onTheme(adapt)];
  const close = () => {
    for (const stop of stops) stop();
    element.destroy();
  };
  return { pay, close };
}
