import { readFileSync } from "node:fs";
import { brotliCompressSync, gzipSync } from "node:zlib";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const GATEWAY = process.env.GATEWAY_URL ?? "http://127.0.0.1:8080";

/** What early.js loads ahead: by language, and by the first part of the address (with a slash if more follows). */
const AHEAD = {
  en: "src/i18n/en/index.ts",
  de: "src/i18n/de/index.ts",
  "movies/": "src/films/FilmPage.tsx",
  theaters: "src/films/TheatersPage.tsx",
  "theaters/": "src/films/TheaterPage.tsx",
  "showtimes/": "src/seats/SeatPage.tsx",
};

/** The gateway's server-side include of a variable. */
const variable = (name: string) => `<!--# echo var="${name}" -->`;
const NONCE = `nonce="${variable("request_id")}"`;

/**
 * Makes the page paintable without any other request: writes the style sheet and early.js into it, with the names of the
 * files to load ahead. Splits it into the parts that the gateway puts around what catalog renders.
 */
const shell: Plugin = {
  name: "shell",
  apply: "build",
  transformIndexHtml: {
    order: "post",
    handler(html, { bundle, chunk: entry }) {
      const chunks = Object.values(bundle ?? {}).filter((file) => file.type === "chunk");
      const files = Object.entries(AHEAD).map(([part, source]) => {
        const chunk = chunks.find(({ facadeModuleId }) => facadeModuleId?.endsWith(source));
        if (!chunk) throw new Error(`${source} is no chunk`);
        const names = [chunk.fileName, ...chunk.imports];
        return [
          part,
          names.filter((name) => name !== entry?.fileName && !entry?.imports.includes(name)).map((name) => `/${name}`),
        ];
      });
      const listed = JSON.stringify(Object.fromEntries(files)).replaceAll('"', "&quot;");
      const [link = "", href = ""] = /<link rel="stylesheet"[^>]*href="\/([^"]*)">/.exec(html) ?? [];
      const style = bundle?.[href];
      if (style?.type !== "asset") throw new Error("the page has no style sheet");
      const early = readFileSync("src/app/early.js", "utf8").replaceAll(/^ *\/[/*].*\n/gm, "");
      return (
        html
          // Not loaded again for the pages whose code names it.
          .replace(link, `<link rel="stylesheet" href="/${href}" disabled>`)
          .replace('lang="en"', `lang="${variable("page_language")}"`)
          .replace(
            /<script src="\/src\/app\/early.js"><\/script>/,
            () =>
              `<style ${NONCE}>${style.source}</style>\n    <script ${NONCE} data-files="${listed}">\n${early}</script>`,
          )
      );
    },
  },
  generateBundle: {
    order: "post",
    handler(_, bundle) {
      const page = bundle["index.html"];
      const parts = page?.type === "asset" ? String(page.source).split(/<!-- page -->.*?<!-- \/page -->/s) : [];
      if (parts.length !== 3) throw new Error("index.html has other parts than the gateway includes");
      for (const [index, source] of parts.entries()) {
        this.emitFile({ type: "asset", fileName: `shell/${["start", "middle", "end"][index]}.html`, source });
      }
    },
  },
};

/** Compresses the files once, harder than the gateway could for each request. */
const compressed: Plugin = {
  name: "compressed",
  apply: "build",
  generateBundle: {
    order: "post",
    handler(_, bundle) {
      for (const file of Object.values(bundle)) {
        if (!/\.(js|css)$/.test(file.fileName)) continue;
        const source = file.type === "chunk" ? file.code : file.source;
        this.emitFile({ type: "asset", fileName: `${file.fileName}.gz`, source: gzipSync(source, { level: 9 }) });
        this.emitFile({ type: "asset", fileName: `${file.fileName}.br`, source: brotliCompressSync(source) });
      }
    },
  },
};

export default defineConfig({
  // Tailwind would spell `light-dark()` out at the root, and a dark part of a light page could not be.
  plugins: [react(), tailwindcss({ optimize: false }), shell, compressed],
  build: {
    target: "es2022",
    cssTarget: ["chrome123", "firefox128", "safari17.5"],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: {
      output: {
        // What each page needs, in one file: on a slow network each request costs more than some bytes.
        codeSplitting: {
          groups: [
            {
              name: "base",
              test: /rolldown.runtime|node_modules\/(?!qrcode)|src\/(api|lib|ui|i18n\/(?!en|de)|app\/|main|films\/FilmsPage|films\/(queries|wishes|Rating|Times)|(seats|waitlist)\/(queries|labels|kinds|closing|HoldDialogs))/,
            },
          ],
        },
      },
    },
  },
  server: { proxy: { "/api": GATEWAY, "/ws": { target: GATEWAY, ws: true } } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
