import type { ComponentPropsWithRef } from "react";
import { Link, type LinkProps } from "react-router";

type Look = "main" | "plain" | "quiet" | "danger";

const SHAPE =
  "inline-flex items-center justify-center gap-2 min-h-11 rounded-full py-2 font-semibold no-underline transition-colors text-center";
const LOOKS: Record<Look, string> = {
  main: "px-5 bg-accent text-on-accent hover:bg-accent-strong disabled:bg-line disabled:text-quiet",
  plain: "px-5 border border-edge bg-paper text-ink hover:bg-raised disabled:text-quiet disabled:border-line",
  quiet: "text-accent-ink hover:bg-accent-soft px-1.5 sm:px-3 disabled:text-quiet",
  danger: "px-5 border border-bad text-bad hover:bg-bad-soft",
};

interface ButtonProps extends ComponentPropsWithRef<"button"> {
  look?: Look;
  /** Shows a spinner and ignores clicks. */
  busy?: boolean;
}

export function Button({ look = "main", busy = false, className = "", disabled, children, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      disabled={disabled || busy}
      aria-busy={busy}
      className={`${SHAPE} ${LOOKS[look]} ${className}`}
    >
      {busy && <span className="spinner" aria-hidden="true" />}
      {children}
    </button>
  );
}

export function ButtonLink({ look = "main", className = "", ...rest }: LinkProps & { look?: Look }) {
  return <Link {...rest} className={`${SHAPE} ${LOOKS[look]} ${className}`} />;
}
