import { expect, test } from "vitest";
import { NONE, split } from "./shares";

const card = (balance: number) => ({ code: "", last_characters: "WXYZ", balance });

test("gift cards pay in their order, then credit, then the card", () => {
  expect(split(2500, { cards: [card(1000), card(800)], credit: 300 })).toEqual({
    parts: [1000, 800],
    fromCredit: 300,
    left: 400,
  });
  expect(split(2500, { cards: [card(3000), card(800)], credit: 300 })).toEqual({
    parts: [2500, 0],
    fromCredit: 0,
    left: 0,
  });
  expect(split(2500, NONE)).toEqual({ parts: [], fromCredit: 0, left: 2500 });
});
