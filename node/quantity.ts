import { invalid } from "../src/errors/storage-error.js";

const FACTORS: Readonly<Record<string, bigint>> = {
  "": 1n,
  k: 10n ** 3n,
  M: 10n ** 6n,
  G: 10n ** 9n,
  T: 10n ** 12n,
  Ki: 2n ** 10n,
  Mi: 2n ** 20n,
  Gi: 2n ** 30n,
  Ti: 2n ** 40n,
};

/** A whole Kubernetes quantity (`512Mi`) in bytes, as the `size` attribute of an inline volume gives it. */
export function bytesOf(quantity: string): bigint {
  const [, digits, unit] = /^(\d{1,15})([A-Za-z]{0,2})$/.exec(quantity) ?? [];
  const factor = unit === undefined ? undefined : FACTORS[unit];
  if (digits === undefined || factor === undefined || BigInt(digits) === 0n) {
    throw invalid("size must be a whole number of bytes with an optional unit, as 512Mi or 10Gi");
  }
  return BigInt(digits) * factor;
}
