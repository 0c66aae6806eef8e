import { expect, it } from "vitest";
import { drawn } from "./qr";

it("is a code that holds a ticket's whole text and has a quiet zone", () => {
  const { path, size } = drawn("e".repeat(400));
  expect((size - 8 - 17) % 4).toBe(0);
  expect(path.startsWith("M4 4h1v1h-1z")).toBe(true);
});
