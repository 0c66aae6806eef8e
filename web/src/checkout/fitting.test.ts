import { describe, expect, it } from "vitest";
import { Problem } from "../api/problem";
import { fitting } from "./fitting";

const chosen = [
  { seat_id: "W1", ticket_type: "adult" },
  { seat_id: "C1", ticket_type: "companion" },
  { seat_id: "C2", ticket_type: "companion" },
];

/** The requested tickets when the first quote is rejected. */
async function asked(code: string, seats: string[]) {
  const all: (string | null | undefined)[][] = [];
  const answer = fitting(chosen, async (tickets) => {
    all.push(tickets.map((each) => each.ticket_type));
    if (all.length === 1) throw new Problem(422, { code, seats });
  });
  return { all, error: await answer.catch((error) => error.code) };
}

describe("a quote", () => {
  it("uses the default ticket for a companion whose wheelchair space is gone", async () => {
    expect(await asked("companion_without_wheelchair", ["C2"])).toEqual({
      all: [
        ["adult", "companion", "companion"],
        ["adult", "companion", null],
      ],
      error: undefined,
    });
  });

  it("throws any other problem", async () => {
    expect(await asked("price_unknown", ["C2"])).toEqual({
      all: [["adult", "companion", "companion"]],
      error: "price_unknown",
    });
  });
});
