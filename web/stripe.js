// The page's one way to Stripe: its own script, or the sandbox's, at the address that payment's config names.

import { call } from "./http.js";

let loading = null;

function loaded(address) {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = resolve;
    script.onerror = () => {
      loading = null;
      script.remove();
      reject(new Error("The card form could not be loaded. Please try again."));
    };
    document.head.append(script);
  });
  return loading;
}

/**
 * A card form in `place` for a booking. Resolves, once it can be used, to `pay()`, which resolves to null when the
 * money is on its way and to a sentence when it is not; the form stays usable then.
 */
export async function cardForm(place, bookingId, secret) {
  const { script_url } = await call("GET", "/api/payments/config");
  const [intent] = await Promise.all([
    call("POST", "/api/payments/create-intent", { body: { booking_id: bookingId }, secret }),
    loaded(script_url),
  ]);
  const stripe = window.Stripe(intent.publishable_key);
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const elements = stripe.elements({ clientSecret: intent.client_secret, appearance: { theme: isDark ? "night" : "stripe" } });
  const element = elements.create("payment");
  await new Promise((resolve) => {
    element.on("ready", resolve);
    element.mount(place);
  });
  return async () => {
    const checked = await elements.submit();
    if (checked.error) return checked.error.message;
    const { error } = await stripe.confirmPayment({
      elements,
      confirmParams: { return_url: location.href },
      redirect: "if_required",
    });
    return error ? error.message : null;
  };
}
