import { useEffect, useRef, useState } from "react";
import { Link, NavLink, Outlet, ScrollRestoration, useLocation, useNavigation } from "react-router";
import { useSession } from "../api/useSession";
import { choose, LANGUAGES, type Language, t } from "../i18n";
import { useLanguage } from "../i18n/useLanguage";
import { useOnline } from "../lib/useOnline";
import { speakThrough } from "../ui/announce";
import { Icon } from "../ui/Icon";
import { nextTheme, type Theme, theme } from "./theme";

export function Layout() {
  const main = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  const first = useRef(true);
  const language = useLanguage();
  const isLoading = useNavigation().state === "loading";

  // After navigation a screen reader must start at the top of the page.
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when the address changes
  useEffect(() => {
    if (first.current) first.current = false;
    else main.current?.focus({ preventScroll: true });
  }, [pathname]);

  return (
    <div className="flex min-h-dvh flex-col">
      <a href="#main" className="sr-only focus:not-sr-only focus:fixed focus:z-50 focus:bg-paper focus:p-4">
        {t("nav.skip")}
      </a>
      <Header />
      <Offline />
      {isLoading && <div className="fixed inset-x-0 top-0 z-50 h-1 animate-pulse bg-accent" />}
      <main ref={main} id="main" tabIndex={-1} className="flex-1">
        {/* Another language starts a page again, but not one on which people fill in an order or a card. */}
        <Outlet key={pathname.startsWith("/checkout/") ? "checkout" : language} />
      </main>
      <Footer />
      <div ref={speakThrough} aria-live="polite" className="sr-only" />
      <ScrollRestoration />
    </div>
  );
}

const NAV =
  "inline-flex min-h-11 items-center rounded-full px-2 sm:px-3 font-medium whitespace-nowrap text-ink hover:bg-raised aria-[current=page]:text-accent-ink";

function Header() {
  const session = useSession();
  return (
    <header className="sticky top-0 z-30 border-b border-line bg-ground text-ink [color-scheme:dark]">
      <div className="page flex min-h-14 items-center gap-1 sm:gap-3">
        <Link to="/" className="mr-auto flex min-h-11 items-center gap-2 text-xl font-extrabold tracking-tight">
          <img src="/icon.svg" alt="" width={28} height={28} />
          Usher
        </Link>
        <nav aria-label={t("nav.main")} className="flex items-center text-sm sm:text-base">
          <NavLink to="/" end className={`${NAV} max-[26rem]:hidden`}>
            {t("nav.films")}
          </NavLink>
          <NavLink to="/theaters" className={NAV}>
            {t("nav.theaters")}
          </NavLink>
          {session.state === "guest" ? (
            <NavLink to="/sign-in" className={NAV}>
              {t("nav.signIn")}
            </NavLink>
          ) : (
            <>
              <NavLink to="/bookings" className={NAV}>
                {t("nav.bookings")}
              </NavLink>
              <NavLink to="/account" className={NAV} aria-label={t("nav.account")} title={session.user?.name}>
                <Icon name="user" />
              </NavLink>
            </>
          )}
        </nav>
      </div>
    </header>
  );
}

function Offline() {
  const isOnline = useOnline();
  return (
    <div role="status" className="sticky top-14 z-20">
      {!isOnline && <p className="bg-warn-soft px-4 py-2 text-center text-sm text-warn">{t("offline")}</p>}
    </div>
  );
}

const THEME_ICONS = { auto: "auto", light: "sun", dark: "moon" } as const;

function Footer() {
  const language = useLanguage();
  const [chosen, setChosen] = useState<Theme>(theme);
  return (
    <footer className="no-print mt-16 border-t border-line py-6 text-sm text-quiet">
      <div className="page flex flex-wrap items-center gap-x-6 gap-y-3">
        <p className="mr-auto">{t("footer.text")}</p>
        <Link to="/gift-cards" className="inline-flex min-h-11 items-center hover:underline">
          {t("giftCards.title")}
        </Link>
        <Link to="/find-booking" className="inline-flex min-h-11 items-center hover:underline">
          {t("lookup.title")}
        </Link>
        <a href="/docs" className="inline-flex min-h-11 items-center hover:underline">
          {t("footer.docs")}
        </a>
        <button
          type="button"
          className="inline-flex min-h-11 items-center gap-2 hover:underline"
          onClick={() => setChosen(nextTheme())}
        >
          <Icon name={THEME_ICONS[chosen]} className="size-4" />
          {t(`theme.${chosen}`)}
        </button>
        <label className="inline-flex min-h-11 items-center gap-2">
          <span className="sr-only">{t("footer.language")}</span>
          <select
            value={language}
            onChange={(event) => void choose(event.target.value as Language)}
            className="min-h-9 rounded-lg border border-edge bg-paper px-2 text-ink"
          >
            {Object.entries(LANGUAGES).map(([code, name]) => (
              <option key={code} value={code} lang={code}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </div>
    </footer>
  );
}
