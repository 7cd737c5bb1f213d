import { isIPv4, isIPv6 } from "node:net";

/** An address as bytes: 4 or 16. IPv6 that carries IPv4 (`::ffff:1.2.3.4`, what a dual-stack socket says) is IPv4. */
export type Address = Uint8Array;

export interface IpRange {
  readonly address: Address;
  readonly prefixLength: number;
}

function v4Bytes(text: string): number[] {
  return text.split(".").map(Number);
}

function groups(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (group.includes(".")) return v4Bytes(group);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 255];
  });
}

function v6Bytes(text: string): number[] {
  const gap = text.indexOf("::");
  if (gap < 0) return groups(text);
  const head = groups(text.slice(0, gap));
  const tail = groups(text.slice(gap + 2));
  return [...head, ...new Array<number>(16 - head.length - tail.length).fill(0), ...tail];
}

/** The 96 bits before an IPv4 address in IPv6. */
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** Undefined for what is no address. A zone (`%eth0`) is no part of one. */
export function parseAddress(text: string): Address | undefined {
  const zone = text.indexOf("%");
  const plain = zone < 0 ? text : text.slice(0, zone);
  if (isIPv4(plain)) return Uint8Array.from(v4Bytes(plain));
  if (!isIPv6(plain)) return undefined;
  const bytes = v6Bytes(plain);
  const mapped = MAPPED.every((byte, index) => bytes[index] === byte);
  return Uint8Array.from(mapped ? bytes.slice(12) : bytes);
}

/** `203.0.113.0/24`, `2001:db8::/32`, or an address alone. Undefined for anything else. */
export function parseRange(text: string): IpRange | undefined {
  const slash = text.indexOf("/");
  const plain = slash < 0 ? text : text.slice(0, slash);
  if (plain.includes("%")) return undefined;
  const address = parseAddress(plain);
  if (!address) return undefined;
  const bits = address.length * 8;
  if (slash < 0) return { address, prefixLength: bits };
  const length = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(length)) return undefined;
  // Of a mapped address the prefix counts from the start of the IPv6 form.
  const prefixLength = Number(length) - (plain.includes(":") && bits === 32 ? 96 : 0);
  return prefixLength >= 0 && prefixLength <= bits ? { address, prefixLength } : undefined;
}

export function inRange(address: Address, range: IpRange): boolean {
  if (address.length !== range.address.length) return false;
  const whole = range.prefixLength >> 3;
  for (let at = 0; at < whole; at++) if (address[at] !== range.address[at]) return false;
  const rest = range.prefixLength & 7;
  if (rest === 0) return true;
  const mask = (0xff << (8 - rest)) & 0xff;
  return ((address[whole] ?? 0) & mask) === ((range.address[whole] ?? 0) & mask);
}
