// The gift cards and credit with which this tab pays a booking. They are kept until it is paid, also across reloads.

/** A gift card that was entered in the checkout, with its balance at that time. */
export interface Entered {
  code: string;
  last_characters: string;
  balance: number;
}

export interface Shares {
  cards: Entered[];
  /** The account's credit that pays, in minor units; 0 if it does not. */
  credit: number;
}

export const NONE: Shares = { cards: [], credit: 0 };

const keyOf = (holdId: string) => `usher.shares.${holdId}`;

export const storedShares = (holdId: string): Shares =>
  JSON.parse(sessionStorage.getItem(keyOf(holdId)) ?? "null") ?? NONE;

export const storeShares = (holdId: string, shares: Shares) =>
  sessionStorage.setItem(keyOf(holdId), JSON.stringify(shares));

export const forgetShares = (holdId: string) => sessionStorage.removeItem(keyOf(holdId));

/** What each of these pays of a price, and what is left for the card. Payment makes the sums final. */
export function split(price: number, { cards, credit }: Shares): { parts: number[]; fromCredit: number; left: number } {
  let left = price;
  const take = (balance: number) => {
    const part = Math.min(balance, left);
    left -= part;
    return part;
  };
  const parts = cards.map(({ balance }) => take(balance));
  const fromCredit = take(credit);
  return { parts, fromCredit, left };
}
