import { randomInt } from "node:crypto";

const UPPER_AND_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const LETTERS_AND_DIGITS = `${UPPER_AND_DIGITS}abcdefghijklmnopqrstuvwxyz`;
const HEX = "0123456789abcdef";

const pick = (alphabet: string, length: number) =>
  Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join("");

/** Of Amazon's shape: 20 upper-case letters and digits. */
export const randomAccessKey = () => pick(UPPER_AND_DIGITS, 20);

/** 40 letters and digits, 238 bits. Without the `/` and `+` of Amazon's, which URLs and shells take for something else. */
export const randomSecretKey = () => pick(LETTERS_AND_DIGITS, 40);

/** Of the shape of Amazon's canonical user ids: 64 hex digits. */
export const randomCanonicalId = () => pick(HEX, 64);

/** Of one request of the admin API, to find it in the log. */
export const newRequestId = () => pick(HEX, 16);
