import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const GATEWAY = process.env.GATEWAY_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  // Tailwind would spell `light-dark()` out at the root, and a dark part of a light page could not be.
  plugins: [react(), tailwindcss({ optimize: false })],
  build: {
    target: "es2022",
    cssTarget: ["chrome123", "firefox128", "safari17.5"],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  server: { proxy: { "/api": GATEWAY, "/ws": { target: GATEWAY, ws: true } } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
