import { useEffect, useSyncExternalStore } from "react";
import { accessToken, current, type Session, subscribe } from "./session";

/** Who is signed in, as it changes; finds it out first if nobody has yet. */
export function useSession(): Session {
  const session = useSyncExternalStore(subscribe, current);
  useEffect(() => {
    if (session.state === "unknown") accessToken().catch(() => undefined);
  }, [session.state]);
  return session;
}
