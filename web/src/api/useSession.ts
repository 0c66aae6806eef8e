import { useEffect, useSyncExternalStore } from "react";
import { accessToken, current, type Session, subscribe } from "./session";

/** Subscribes to the session. Restores it first if that has not happened yet. */
export function useSession(): Session {
  const session = useSyncExternalStore(subscribe, current);
  useEffect(() => {
    if (session.state === "unknown") accessToken().catch(() => undefined);
  }, [session.state]);
  return session;
}
