import type { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { clientAddressOf, trustedProxies } from "../../objectstore/http/client-address.js";

const message = (remoteAddress: string, forwarded?: string) =>
  ({ socket: { remoteAddress }, headers: { "x-forwarded-for": forwarded } }) as unknown as IncomingMessage;

describe("the client's address", () => {
  it("hole: source IP from an untrusted header: X-Forwarded-For counts for nothing unless a proxy is trusted", () => {
    expect(clientAddressOf(message("203.0.113.9", "10.0.0.1"), trustedProxies([]))).toBe("203.0.113.9");
    expect(clientAddressOf(message("203.0.113.9", "10.0.0.1"), trustedProxies(["10.0.0.0/8"]))).toBe("203.0.113.9");
  });

  it("behind a trusted proxy: the last address that is not a trusted proxy, whatever the client wrote before it", () => {
    const trusted = trustedProxies(["10.0.0.0/8", "2001:db8::1"]);
    expect(clientAddressOf(message("10.1.2.3", "198.51.100.7"), trusted)).toBe("198.51.100.7");
    expect(clientAddressOf(message("10.1.2.3", "127.0.0.1, 198.51.100.7, 10.9.9.9"), trusted)).toBe("198.51.100.7");
    expect(clientAddressOf(message("2001:db8::1", "198.51.100.7"), trusted)).toBe("198.51.100.7");
  });

  it("an IPv4 address over an IPv6 socket is itself", () => {
    expect(clientAddressOf(message("::ffff:203.0.113.9"), undefined)).toBe("203.0.113.9");
  });

  it("a trusted proxy that says nothing, or nonsense: the proxy's own address", () => {
    const trusted = trustedProxies(["10.0.0.0/8"]);
    expect(clientAddressOf(message("10.1.2.3"), trusted)).toBe("10.1.2.3");
    expect(clientAddressOf(message("10.1.2.3", "not an address"), trusted)).toBe("10.1.2.3");
  });
});
