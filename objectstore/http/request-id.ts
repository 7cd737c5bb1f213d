import { randomBytes } from "node:crypto";

// One random start a process and a counter: unique without asking the system for random bytes at every request.
const START = randomBytes(6).toString("hex").toUpperCase();
let count = 0;

/** 20 characters, unique to this request among all processes and starts. */
export function newRequestId(): string {
  count = (count + 1) % 0x1_0000_0000;
  return START + count.toString(16).toUpperCase().padStart(8, "0");
}

/** `x-amz-id-2`: which process answered. */
export const HOST_ID = randomBytes(24).toString("base64");
