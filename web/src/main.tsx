import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import * as i18n from "./i18n";
import "./style.css";

await i18n.start();

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}

if (import.meta.env.PROD && "serviceWorker" in navigator) {
  navigator.serviceWorker.register("/sw.js").catch(() => undefined);
}
