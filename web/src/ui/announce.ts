// Announcements for screen readers. The live region is in Layout.

let region: HTMLElement | null = null;

/** Set the live region. */
export function speakThrough(element: HTMLElement | null): void {
  region = element;
}

/** Announce a text politely, even if it is the same as before. */
export function announce(text: string): void {
  if (!region) return;
  region.textContent = region.textContent === text ? `${text}\u00a0` : text;
}
