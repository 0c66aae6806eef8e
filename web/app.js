// The first page: which address shows what, and who is signed in.

import { session, signIn, signOut } from "./http.js";
import { h, notice } from "./dom.js";
import { filmPage, filmsPage } from "./films.js";
import { showtimePage } from "./showtime.js";

const ROUTES = [
  [/^\/$/, filmsPage],
  [/^\/movies\/([\w-]+)$/, filmPage],
  [/^\/showtimes\/([\w-]+)$/, showtimePage],
];

const page = document.getElementById("page");
let leave = () => {};
let visit = 0;

/** Show the page of the present address. A page gives its title, its content, and what to do when it is `shown` and when it is left. */
async function show() {
  const mine = ++visit;
  leave();
  leave = () => {};
  page.setAttribute("aria-busy", "true");
  const shown = await content().catch((problem) => ({ title: "Not found", content: [failure(problem)] }));
  if (mine !== visit) return shown.leave?.();
  leave = shown.leave ?? leave;
  document.title = shown.title ? `${shown.title} · Usher` : "Usher";
  page.removeAttribute("aria-busy");
  page.replaceChildren(...shown.content);
  shown.shown?.();
}

function content() {
  for (const [pattern, build] of ROUTES) {
    const match = pattern.exec(location.pathname);
    if (match) return build(...match.slice(1));
  }
  return Promise.reject(new Error("There is nothing at this address."));
}

const failure = (problem) =>
  h("section", {}, h("h1", {}, "That did not work"), notice(problem.message, "bad"),
    h("p", {}, h("button", { class: "plain", onclick: show }, "Try again"), " ", h("a", { href: "/", "data-link": true }, "All films")));

document.addEventListener("click", (event) => {
  const anchor = event.target.closest("a[data-link]");
  if (!anchor || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  history.pushState(null, "", anchor.href);
  scrollTo(0, 0);
  show().then(() => page.focus({ preventScroll: true }));
});
addEventListener("popstate", show);

function showAccount() {
  const place = document.getElementById("account");
  if (!session.user) {
    place.replaceChildren(h("button", { class: "plain", onclick: openSignIn }, "Sign in"));
    return;
  }
  place.replaceChildren(
    h("span", { class: "who" }, session.user.name), " ",
    h("button", { class: "plain", onclick: () => signOut().catch((problem) => console.warn(problem.message)) }, "Sign out"),
  );
}

function openSignIn() {
  const fault = h("div");
  const button = h("button", { class: "main" }, "Sign in");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    const { email, password } = Object.fromEntries(new FormData(event.target));
    try {
      await signIn(email, password);
      dialog.close();
    } catch (problem) {
      fault.replaceChildren(notice(problem.message, "bad"));
    } finally {
      button.disabled = false;
    }
  };
  const dialog = h("dialog", { "aria-labelledby": "sign-in", onclose: () => dialog.remove() },
    h("form", { onsubmit: submit },
      h("h2", { id: "sign-in" }, "Sign in"),
      h("p", { class: "quiet" }, "You can also buy as a guest."),
      h("label", {}, "E-mail", h("input", { name: "email", type: "email", autocomplete: "username", required: true })),
      h("label", {}, "Password",
        h("input", { name: "password", type: "password", autocomplete: "current-password", required: true })),
      fault,
      h("div", { class: "actions" }, button,
        h("button", { type: "button", class: "plain", onclick: () => dialog.close() }, "Not now"))));
  document.body.append(dialog);
  dialog.showModal();
}

session.onchange = () => {
  showAccount();
  document.dispatchEvent(new CustomEvent("usher:session"));
};
showAccount();
show();
