import { StrictMode, startTransition } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { router } from "./app/routes";
import * as i18n from "./i18n";
import "./style.css";

/** Resolves when the code of the first page is loaded. */
const loaded = new Promise<void>((resolve) => {
  if (router.state.initialized) resolve();
  else router.subscribe(({ initialized }) => initialized && resolve());
});

/** Replaces what the page came with. */
async function start() {
  await Promise.all([i18n.start(), loaded]);
  const root = document.getElementById("root");
  if (!root) return;
  // As a transition, React renders in short steps, and the page that is there already answers people in between.
  startTransition(() =>
    createRoot(root).render(
      <StrictMode>
        <App />
      </StrictMode>,
    ),
  );
}

// Not awaited here: the code of the first page imports this file's chunk, so that each would wait for the other.
void start();

if (import.meta.env.PROD && "serviceWorker" in navigator) {
  navigator.serviceWorker.register("/sw.js").catch(() => undefined);
}
