import { expect, it } from "vitest";
import { meant } from "./mistyped";

it.each([
  ["ada@gmial.com", "ada@gmail.com"],
  ["ada@gmai.com", "ada@gmail.com"],
  ["ada@gmaill.com", "ada@gmail.com"],
  ["ada@gmail.con", "ada@gmail.com"],
  ["ada@GMAIL.co", "ada@gmail.com"],
  ["ada@wbe.de", "ada@web.de"],
  [" ada@hotmial.com ", "ada@hotmail.com"],
])("%s was probably meant as %s", (typed, intended) => expect(meant(typed)).toBe(intended));

it.each([
  "ada@gmail.com",
  "ada@mail.com",
  "ada@gmx.at",
  "ada@usher.example",
  "ada@kino.de",
  "ada",
  "ada@",
  "@gmial.com",
  "",
])("%s is left alone", (typed) => expect(meant(typed)).toBeNull());
