import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { send } from "./transport";

type Answer = [status: number, body: object, retryAfter?: string] | "cut off";
const RUNNING: Answer = [409, { code: "idempotency_key_running" }];
const TAKEN: Answer = [409, { code: "seats_taken" }];
const DONE: Answer = [201, { hold_id: "h1" }];

let server: Server;
let seen: string[];

afterEach(() => server.close());

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}

/** A request with an idempotency key to a server that returns these responses in order. */
async function ask(...answers: Answer[]): Promise<Request> {
  seen = [];
  server = createServer(async (request, response) => {
    seen.push(`${request.method} ${request.headers["idempotency-key"]} ${await textOf(request)}`);
    const answer = answers.shift() ?? "cut off";
    if (answer === "cut off") return void response.destroy();
    const [status, body, retryAfter = "0"] = answer;
    const headers = { "Content-Type": "application/json", "Retry-After": retryAfter };
    response.writeHead(status, headers).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return new Request(`http://127.0.0.1:${port}/`, {
    method: "POST",
    body: "seats",
    headers: { "Idempotency-Key": "the-key-of-this-request" },
  });
}

describe("a request", () => {
  it.each<[string, Answer[], number]>([
    ["is sent once when it is answered", [DONE], 201],
    ["is not repeated after a refusal", [TAKEN], 409],
    ["is repeated when the gateway does not know what became of it", [[504, {}], DONE], 201],
    ["is repeated when it is cut off", ["cut off", DONE], 201],
    ["waits for its first try", [[502, {}], RUNNING, RUNNING, RUNNING, RUNNING, DONE], 201],
    ["gets the refusal of its first try", [RUNNING, TAKEN], 409],
    ["is repeated soon when a service cannot answer yet", [[503, {}, "2"], DONE], 201],
    ["is left to the page when a service asks for patience", [[503, {}, "5"]], 503],
    [
      "is given up after three tries",
      [
        [504, {}],
        [504, {}],
        [504, {}],
      ],
      504,
    ],
  ])("%s", async (_, answers, status) => {
    const tries = answers.length;
    const answer = await send(await ask(...answers));
    expect(answer.status).toBe(status);
    expect(seen).toEqual(Array(tries).fill("POST the-key-of-this-request seats"));
  });

  it("throws a problem when the server does not answer", async () => {
    await expect(send(await ask())).rejects.toMatchObject({ status: 0, code: "unreachable" });
    expect(seen).toHaveLength(3);
  });
});
