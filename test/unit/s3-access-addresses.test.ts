import { BlockList, isIPv4 } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aclFromHeaders } from "../../objectstore/access/acl-headers.js";
import { inRange, parseAddress, parseRange } from "../../objectstore/access/ip-range.js";
import { S3Error } from "../../src/errors/s3-error.js";
import { alice, directory } from "./s3-access-fixtures.js";

describe("addresses and networks", () => {
  it("agree with node's own, for any address and prefix", () => {
    // Few bits, so that networks are hit.
    const v4 = fc
      .array(fc.constantFrom(0, 1, 128, 255), { minLength: 4, maxLength: 4 })
      .map((bytes) => bytes.join("."));
    const v6 = fc
      .array(fc.constantFrom("0", "1", "8000", "ffff"), { minLength: 8, maxLength: 8 })
      .map((groups) => groups.join(":"));
    const pair = fc.oneof(
      fc.record({ network: v4, address: v4, bits: fc.integer({ min: 0, max: 32 }) }),
      fc.record({ network: v6, address: v6, bits: fc.integer({ min: 0, max: 128 }) }),
    );
    fc.assert(
      fc.property(pair, ({ network, address, bits }) => {
        const family = isIPv4(network) ? "ipv4" : "ipv6";
        const list = new BlockList();
        list.addSubnet(network, bits, family);
        const range = parseRange(`${network}/${bits}`);
        const parsed = parseAddress(address);
        // An IPv6 network of mapped addresses that is wider than they are is refused; nobody writes one.
        if (!range || !parsed) return;
        expect(inRange(parsed, range)).toBe(list.check(address, family));
      }),
      { numRuns: 3000 },
    );
  });

  it("any text: an address of 4 or 16 bytes, or none", () => {
    const text = fc.oneof(
      fc.string(),
      fc.array(fc.constantFrom(..."0123456789abcdef:./%"), { maxLength: 24 }).map((all) => all.join("")),
      fc.ipV6(),
    );
    fc.assert(
      fc.property(text, (one) => {
        for (const address of [parseAddress(one), parseRange(one)?.address]) {
          if (address) expect([4, 16]).toContain(address.length);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe("grants in headers", () => {
  it("any text: grants or S3's refusal, never anything else", () => {
    const pieces = fc.constantFrom(
      "id",
      "uri",
      "emailAddress",
      "=",
      ",",
      '"',
      "'",
      " ",
      "alice-id",
      "bob@example.com",
      "\u0000",
      "x",
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const owned = { kind: "object", ownerId: alice.id, bucketOwnerId: alice.id } as const;
        try {
          expect(
            aclFromHeaders(directory, new Map([["x-amz-grant-read", parts.join("")]]), owned)?.length,
          ).toBeGreaterThan(0);
        } catch (error) {
          if (!(error instanceof S3Error)) throw error;
          expect(["InvalidArgument", "UnresolvableGrantByEmailAddress"]).toContain(error.code);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
