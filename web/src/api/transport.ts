// Sends a request and repeats it with the same Idempotency-Key when its outcome is unknown.

import { Problem } from "./problem";

const PAUSES_MS = [400, 1200];
const MAY_HAVE_HAPPENED = [502, 503, 504];
const RUNNING_FOR_MS = 30_000;
const LONGEST_WAIT_MS = 4000;

/** 32 random hex digits; `crypto.randomUUID` would need https. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Like fetch. Throws a Problem with status 0 on a network error. */
export async function send(request: Request): Promise<Response> {
  const pauses = [...PAUSES_MS];
  const patientUntil = performance.now() + RUNNING_FOR_MS;
  for (;;) {
    const answer = await fetch(request.clone()).catch((error) => {
      if (request.signal.aborted) throw error;
      return null;
    });
    let pause: number | undefined;
    if (!answer || (MAY_HAVE_HAPPENED.includes(answer.status) && !asksForPatience(answer))) pause = pauses.shift();
    else if (performance.now() < patientUntil && (await isRunning(answer))) {
      pause = 1000 * Number(answer.headers.get("Retry-After") ?? 1);
    }
    if (pause !== undefined) await new Promise((resolve) => setTimeout(resolve, pause));
    else if (answer) return answer;
    else throw new Problem(0, { code: "unreachable" });
  }
}

/** Whether the service has already retried and sent a Retry-After, so that the person should decide. */
function asksForPatience(answer: Response): boolean {
  return 1000 * Number(answer.headers.get("Retry-After")) > LONGEST_WAIT_MS;
}

/** Whether an earlier attempt is still running, because the gateway or this page repeated the request. */
async function isRunning(answer: Response): Promise<boolean> {
  return answer.status === 409 && (await answer.clone().json()).code === "idempotency_key_running";
}
