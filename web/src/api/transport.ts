// One request, repeated under the same Idempotency-Key when nobody knows what became of it.

import { Problem } from "./problem";

const PAUSES_MS = [400, 1200];
const MAY_HAVE_HAPPENED = [502, 503, 504];

/** 32 random hex digits; `crypto.randomUUID` would need https. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Like fetch. Raises a Problem with status 0 when the network does not carry it. */
export async function send(request: Request): Promise<Response> {
  for (const pause of PAUSES_MS) {
    const answer = await fetch(request.clone()).catch(() => null);
    if (answer && !MAY_HAVE_HAPPENED.includes(answer.status)) return answer;
    if (request.signal.aborted) break;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  try {
    return await fetch(request);
  } catch (error) {
    if (request.signal.aborted) throw error;
    throw new Problem(0, { code: "unreachable" });
  }
}
