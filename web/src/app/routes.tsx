import type { ComponentType } from "react";
import { createBrowserRouter } from "react-router";
import { FilmsPage } from "../films/FilmsPage";
import { Broken, NotFound } from "./Broken";
import { Layout } from "./Layout";

/** A page whose code is loaded on the first visit. */
const page = (load: () => Promise<{ default: ComponentType }>) => ({
  lazy: async () => ({ Component: (await load()).default }),
});

export const router = createBrowserRouter([
  {
    Component: Layout,
    HydrateFallback: () => null,
    children: [
      {
        ErrorBoundary: Broken,
        children: [
          { path: "/", Component: FilmsPage },
          { path: "/movies/:movieId", ...page(() => import("../films/FilmPage")) },
          { path: "/theaters", ...page(() => import("../films/TheatersPage")) },
          { path: "/theaters/:theaterId", ...page(() => import("../films/TheaterPage")) },
          { path: "/showtimes/:showtimeId", ...page(() => import("../seats/SeatPage")) },
          { path: "/showtimes/:showtimeId/waitlist", ...page(() => import("../waitlist/WaitlistPage")) },
          { path: "/checkout/:holdId", ...page(() => import("../checkout/CheckoutPage")) },
          { path: "/bookings", ...page(() => import("../bookings/BookingsPage")) },
          { path: "/bookings/:bookingId", ...page(() => import("../bookings/BookingPage")) },
          { path: "/tickets/:ticketId", ...page(() => import("../bookings/TicketPage")) },
          { path: "/bookings/:bookingId/choice", ...page(() => import("../bookings/ChoicePage")) },
          { path: "/find-booking", ...page(() => import("../bookings/LookupPage")) },
          { path: "/sign-in", ...page(() => import("../account/SignInPage")) },
          { path: "/sign-up", ...page(() => import("../account/SignUpPage")) },
          { path: "/forgot-password", ...page(() => import("../account/ForgotPage")) },
          { path: "/reset-password", ...page(() => import("../account/ResetPage")) },
          { path: "/verify-email", ...page(() => import("../account/VerifyPage")) },
          { path: "/accept-invitation", ...page(() => import("../account/InvitationPage")) },
          { path: "/account", ...page(() => import("../account/AccountPage")) },
          { path: "/gift-cards", ...page(() => import("../giftcards/GiftCardsPage")) },
          { path: "/gift-cards/balance", ...page(() => import("../giftcards/BalancePage")) },
          { path: "/gift-cards/:giftCardId", ...page(() => import("../giftcards/PurchasePage")) },
          { path: "/reminders", ...page(() => import("../account/RemindersPage")) },
          { path: "*", Component: NotFound },
        ],
      },
    ],
  },
]);
