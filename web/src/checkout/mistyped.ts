// Slips in the domain of an e-mail address. The mail to it would bounce, or reach a stranger.

const OFTEN = [
  "gmail.com",
  "googlemail.com",
  "hotmail.com",
  "outlook.com",
  "yahoo.com",
  "icloud.com",
  "web.de",
  "gmx.de",
  "gmx.net",
  "t-online.de",
  "freenet.de",
];
/** Real domains that look like slips. */
const ALSO = [
  "mail.com",
  "email.com",
  "ymail.com",
  "gmx.at",
  "gmx.com",
  "gmx.ch",
  "yahoo.co.uk",
  "yahoo.de",
  "outlook.de",
];

/** The address that was probably meant; null for one that looks right. */
export function meant(address: string): string | null {
  const [, local, typed] = /^\s*([^@\s]+)@([^@\s]+)\s*$/.exec(address) ?? [];
  const domain = typed?.toLowerCase();
  if (!domain || OFTEN.includes(domain) || ALSO.includes(domain)) return null;
  const near = OFTEN.find((known) => isOneSlip(domain, known));
  return near ? `${local}@${near}` : null;
}

/** Whether one letter is missing, too many, wrong, or swapped with the next one. */
function isOneSlip(typed: string, known: string): boolean {
  let start = 0;
  while (start < typed.length && typed[start] === known[start]) start++;
  const [rest, due] = [typed.slice(start), known.slice(start)];
  return (
    rest.slice(1) === due ||
    rest === due.slice(1) ||
    rest.slice(1) === due.slice(1) ||
    (rest[0] === due[1] && rest[1] === due[0] && rest.slice(2) === due.slice(2))
  );
}
