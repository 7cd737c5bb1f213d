import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";
import { invalid } from "../../src/errors/storage-error.js";

/** The proxies whose X-Forwarded-For is believed. */
export type TrustedProxies = BlockList | undefined;

/**
 * @param addresses IP addresses and CIDR ranges; none: nobody is believed
 * @throws StorageError invalid-argument naming the one that is neither
 */
export function trustedProxies(addresses: readonly string[]): TrustedProxies {
  if (addresses.length === 0) return undefined;
  const list = new BlockList();
  for (const address of addresses) {
    const [ip = "", bits, ...more] = address.split("/");
    const version = isIP(ip);
    const most = version === 4 ? 32 : 128;
    const width = bits === undefined ? most : Number(bits);
    if (version === 0 || more.length > 0 || !Number.isInteger(width) || width < 0 || width > most || bits === "")
      throw invalid(`config: trustedProxies: ${JSON.stringify(address)} is no IP address and no CIDR range`);
    list.addSubnet(ip, width, version === 4 ? "ipv4" : "ipv6");
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
