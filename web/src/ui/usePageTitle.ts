import { useEffect } from "react";

/** The browser tab's title; empty for the front page. */
export function usePageTitle(title: string | undefined): void {
  useEffect(() => {
    if (title !== undefined) document.title = title ? `${title} · Usher` : "Usher";
  }, [title]);
}
