import { Fragment } from "react";

/** Facts on one line: `1999 · 15 · 2 h 16 min`. Each keeps its own direction, so that a Hebrew name moves no number. */
export function Dots({ facts }: { facts: (string | number | null | undefined)[] }) {
  return facts.filter(Boolean).map((fact, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: the facts have no ids
    <Fragment key={index}>
      {index > 0 && " · "}
      <bdi>{fact}</bdi>
    </Fragment>
  ));
}
