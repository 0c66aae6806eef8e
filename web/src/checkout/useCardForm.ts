import { useCallback, useEffect, useRef, useState } from "react";
import type { CardForm } from "./stripe";

/**
 * Mounts Stripe's form in `place` with `mount`, again for another `key` and on a retry; returns the error if that failed.
 * `mount` resolves without a form if nothing is left to pay.
 */
export function useCardForm(mount: (own: HTMLElement) => Promise<CardForm | null>, key: string) {
  const place = useRef<HTMLDivElement>(null);
  const [form, setForm] = useState<CardForm | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const [tries, setTries] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each attempt loads it again with the current order
  useEffect(() => {
    if (!place.current) return;
    let isLeft = false;
    let shown: CardForm | null = null;
    // Stripe renders into this element, which React does not touch.
    const own = document.createElement("div");
    place.current.replaceChildren(own);
    mount(own).then(
      (made) => {
        shown = made;
        if (isLeft) made?.close();
        else setForm(made);
      },
      (error: unknown) => {
        if (!isLeft) setFailure(error);
      },
    );
    return () => {
      isLeft = true;
      shown?.close();
      setForm(null);
    };
  }, [key, tries]);
  const retry = useCallback(() => {
    setFailure(null);
    setTries((count) => count + 1);
  }, []);
  return { form, place, failure, retry };
}
