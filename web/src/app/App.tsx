import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { useEffect } from "react";
import { RouterProvider } from "react-router";
import { takeAlong } from "../api/client";
import { Problem } from "../api/problem";
import * as session from "../api/session";
import { seed } from "./given";
import { router } from "./routes";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      // The transport already retries; other errors are final.
      retry: false,
      refetchOnWindowFocus: (query) => query.state.error instanceof Problem || query.state.status === "success",
    },
  },
});

seed(queries);

// One person's data must not be shown to the next one. Until the session is known, none was loaded.
let last = session.current();
session.subscribe(() => {
  const [before, next] = [last, session.current()];
  if (next.state === "unknown") return;
  last = next;
  const isOther = before.state !== "unknown" && before.user?.user_id !== next.user?.user_id;
  // A guest who signs in stays the same person: a payment form goes on.
  if (isOther && before.state !== "guest") void queries.resetQueries({ queryKey: ["mine"] });
  if (next.state !== "signed-in") return;
  if (isOther) void queries.invalidateQueries({ queryKey: ["mine"] });
  void takeAlong().then((isTaken) => {
    if (isTaken) void queries.invalidateQueries({ queryKey: ["mine"] });
  });
});

export function App() {
  const rendered = router.state.location;
  // The router's view subscribes only after its first rendering, which takes several tasks. Someone may go back meanwhile.
  useEffect(() => {
    if (router.state.location !== rendered) void router.revalidate();
  }, [rendered]);
  return (
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  );
}
