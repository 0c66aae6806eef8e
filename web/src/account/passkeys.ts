// Passkeys (WebAuthn), created and used in the browser's own dialog.

import { api, unwrap } from "../api/client";
import { enter } from "../api/session";

type Json = Record<string, unknown>;

/** Whether this browser supports passkeys for this host. Passkeys are bound to a domain name, not to an IP address. */
export const hasPasskeys = (): boolean =>
  "PublicKeyCredential" in window &&
  typeof PublicKeyCredential.parseRequestOptionsFromJSON === "function" &&
  !/^[\d.]+$|:/.test(location.hostname);

/** Whether the person closed the browser's dialog. */
export const wasDismissed = (error: unknown): boolean =>
  error instanceof DOMException && (error.name === "NotAllowedError" || error.name === "AbortError");

/** Sign in with a passkey of this site. Throws DOMException when the person cancels. */
export async function signInWithPasskey(): Promise<void> {
  const { public_key } = await unwrap(api.POST("/api/auth/passkeys/login/options"));
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(
    public_key as unknown as PublicKeyCredentialRequestOptionsJSON,
  );
  const credential = await navigator.credentials.get({ publicKey });
  enter(
    await unwrap(api.POST("/api/auth/passkeys/login", { body: { credential: plain(credential), mode: "cookie" } })),
  );
}

/** Create a passkey for the signed-in person. */
export async function addPasskey(password: string, name: string): Promise<void> {
  const { public_key } = await unwrap(api.POST("/api/auth/passkeys/options", { body: { password } }));
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
    public_key as unknown as PublicKeyCredentialCreationOptionsJSON,
  );
  const credential = await navigator.credentials.create({ publicKey });
  await unwrap(api.POST("/api/auth/passkeys", { body: { credential: plain(credential), name } }));
}

const plain = (credential: Credential | null): Json =>
  credential instanceof PublicKeyCredential ? (credential.toJSON() as Json) : {};
