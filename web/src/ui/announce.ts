// Sentences for people who do not see the page change. The region stands in Layout.

let region: HTMLElement | null = null;

/** The live region that speaks from now on. */
export function speakThrough(element: HTMLElement | null): void {
  region = element;
}

/** Say something politely; the same sentence again is said again. */
export function announce(text: string): void {
  if (!region) return;
  region.textContent = region.textContent === text ? `${text}\u00a0` : text;
}
