import { useEffect } from "react";

/** Keeps the screen on while the page is visible, if the browser supports and allows it. */
export function useAwake(): void {
  useEffect(() => {
    let lock: WakeLockSentinel | null = null;
    let isLeft = false;
    const stayAwake = async () => {
      if (document.visibilityState !== "visible" || !("wakeLock" in navigator)) return;
      // A browser refuses, for example, to save the battery.
      const next = await navigator.wakeLock.request("screen").catch(() => null);
      if (isLeft) await next?.release();
      else lock = next;
    };
    void stayAwake();
    document.addEventListener("visibilitychange", stayAwake);
    return () => {
      isLeft = true;
      document.removeEventListener("visibilitychange", stayAwake);
      void lock?.release();
    };
  }, []);
}
