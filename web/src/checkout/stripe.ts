// The adapter for Stripe. It loads Stripe's script, or the sandbox's, from the address in payment's config.

import { api, unwrap } from "../api/client";
import { isDark, onTheme } from "../app/theme";
import { currentLanguage, subscribe } from "../i18n";

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

/**
 * Mounts a card form for a booking with its payment order in `place`. Resolves when it is ready. Throws Problem or
 * CardFormMissing.
 */
export async function cardForm(place: HTMLElement, bookingId: string, order: string): Promise<CardForm> {
  const { script_url } = await unwrap(api.GET("/api/payments/config"));
  const [intent] = await Promise.all([
    unwrap(api.POST("/api/payments/create-intent", { body: { order } })),
    loaded(script_url),
  ]);
  if (!window.Stripe) throw new CardFormMissing();
  const stripe = window.Stripe(intent.publishable_key);
  const elements = stripe.elements({ clientSecret: intent.client_secret, ...look() });
  const element = elements.create("payment");
  await new Promise<void>((resolve) => {
    element.on("ready", resolve);
    element.mount(place);
  });
  const pay = async () => {
    const checked = await elements.submit();
    if (checked.error) return checked.error.message;
    const confirmParams = { return_url: `${location.origin}/bookings/${bookingId}` };
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
