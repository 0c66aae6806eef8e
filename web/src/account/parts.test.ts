import { describe, expect, it } from "vitest";
import { Problem } from "../api/problem";
import { faultOf, nextAddress } from "./parts";

describe("after signing in", () => {
  it.each([
    ["/account", "/account"],
    ["/checkout/1?a=b#c", "/checkout/1?a=b#c"],
    ["", "/"],
    ["//evil.example/", "/"],
    ["/\\evil.example/", "/"],
    ["\\\\evil.example/", "/"],
    ["/\t/evil.example/", "/"],
    ["/.//evil.example/", "/"],
    ["https://evil.example/", "/"],
    ["javascript:alert(1)", "/"],
    ["http://[", "/"],
  ])("%j leads to %j, never to another site", (next, address) => {
    expect(nextAddress(new URLSearchParams({ next }))).toBe(address);
  });

  it("leads to the films if there is no next address", () => {
    expect(nextAddress(new URLSearchParams())).toBe("/");
  });
});

describe("a form's error", () => {
  it("is shown at the field that the service names", () => {
    const refused = new Problem(422, { errors: [{ loc: ["body", "password"], msg: "too common" }] });
    expect([faultOf(refused, "password"), faultOf(refused, "email")]).toEqual(["too common", undefined]);
    expect(faultOf(new Error("other"), "password")).toBeUndefined();
  });
});
