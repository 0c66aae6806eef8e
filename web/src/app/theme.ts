// The theme: light, dark or as the system. early.js applies it before the first paint.

export type Theme = "auto" | "light" | "dark";

const KEY = "usher.theme";
const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };

export function theme(): Theme {
  const stored = localStorage.getItem(KEY);
  return stored === "light" || stored === "dark" ? stored : "auto";
}

/** Switches to the next theme and returns it. */
export function nextTheme(): Theme {
  const next = NEXT[theme()];
  if (next === "auto") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, next);
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  for (const listener of listeners) listener();
  return next;
}

const listeners = new Set<() => void>();

/** Calls a function when the theme changes, also with the system's. Returns a function that stops it. */
export function onTheme(listener: () => void): () => void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", listener);
  listeners.add(listener);
  return () => {
    system.removeEventListener("change", listener);
    listeners.delete(listener);
  };
}

export function isDark(): boolean {
  const chosen = theme();
  return chosen === "auto" ? matchMedia("(prefers-color-scheme: dark)").matches : chosen === "dark";
}
