import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";

/** The proxies whose X-Forwarded-For is believed. */
export type TrustedProxies = BlockList | undefined;

/** @param addresses IP addresses, and networks as ADDRESS/BITS, checked by the config; none: nobody is believed */
export function trustedProxies(addresses: readonly string[]): TrustedProxies {
  if (addresses.length === 0) return undefined;
  const list = new BlockList();
  for (const address of addresses) {
    const [ip = "", bits] = address.split("/");
    const family = isIP(ip) === 6 ? "ipv6" : "ipv4";
    list.addSubnet(ip, bits === undefined ? (family === "ipv6" ? 128 : 32) : Number(bits), family);
  }
  return list;
}

/**
 * Who sent the request: the socket's other end, or where that is a trusted proxy, the last address in X-Forwarded-For
 * that is not one. Anything a client writes there itself stands before what the proxy appends, and is not reached.
 */
export function clientAddressOf(message: IncomingMessage, trusted: TrustedProxies): string {
  const direct = plainAddress(message.socket.remoteAddress ?? "");
  if (trusted === undefined || !isTrusted(direct, trusted)) return direct;
  const forwarded = message.headers["x-forwarded-for"];
  const chain = (Array.isArray(forwarded) ? forwarded.join(",") : (forwarded ?? "")).split(",");
  let address = direct;
  for (const hop of chain.reverse()) {
    const ip = plainAddress(hop.trim());
    if (isIP(ip) === 0) return address;
    address = ip;
    if (!isTrusted(ip, trusted)) return address;
  }
  return address;
}

/** An IPv4 address that came in over an IPv6 socket, as itself. */
const plainAddress = (address: string) => (address.startsWith("::ffff:") ? address.slice(7) : address);

function isTrusted(address: string, trusted: BlockList): boolean {
  const version = isIP(address);
  return version !== 0 && trusted.check(address, version === 4 ? "ipv4" : "ipv6");
}
