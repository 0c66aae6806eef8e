import { useEffect } from "react";
import { useLocation, useNavigate } from "react-router";
import { keepLinkKey, keyOf } from "../api/guest";

/** Stores the key of a mailed link, so that it stays neither in the address nor in the history. True when it has. */
export function useLinkKey(bookingId: string): boolean {
  const { hash, pathname } = useLocation();
  const navigate = useNavigate();
  const key = keyOf(hash);
  useEffect(() => {
    if (key === null) return;
    keepLinkKey(bookingId, key);
    void navigate(pathname, { replace: true });
  }, [bookingId, key, navigate, pathname]);
  return key === null;
}
