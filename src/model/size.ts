import { invalid } from "../errors/storage-error.js";

/** A suffix as a fraction: thousandths and smaller exist because Kubernetes' own writers emit them ("128974848m"). */
const SUFFIX: Record<string, [bigint, bigint]> = {
  n: [1n, 10n ** 9n],
  u: [1n, 10n ** 6n],
  m: [1n, 10n ** 3n],
  "": [1n, 1n],
  k: [10n ** 3n, 1n],
  M: [10n ** 6n, 1n],
  G: [10n ** 9n, 1n],
  T: [10n ** 12n, 1n],
  P: [10n ** 15n, 1n],
  E: [10n ** 18n, 1n],
  Ki: [2n ** 10n, 1n],
  Mi: [2n ** 20n, 1n],
  Gi: [2n ** 30n, 1n],
  Ti: [2n ** 40n, 1n],
  Pi: [2n ** 50n, 1n],
  Ei: [2n ** 60n, 1n],
};

const QUANTITY = /^\+?(\d{1,40})?(?:\.(\d{0,40}))?(?:([eE])([+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)$/;
// CSI's CapacityRange is an int64.
const MAX_BYTES = 2n ** 63n - 1n;

/**
 * Bytes of a size as Kubernetes writes a quantity: a decimal number with an exponent (1e9) or one of n, u, m, k, M, G,
 * T, P, E, Ki, Mi, Gi, Ti, Pi, Ei. A part of a byte is rounded up, as Kubernetes rounds it.
 *
 * @throws StorageError invalid-argument naming the field
 */
export function parseSize(field: string, text: string): bigint {
  const match = QUANTITY.exec(text.trim());
  const [, whole = "", fraction = "", exponentMark, exponent = "0", suffix = ""] = match ?? [];
  const digits = whole + fraction;
  if (!match || digits === "")
    throw invalid(`${field}: ${JSON.stringify(text.slice(0, 64))} is not a size; use for example 10Gi or 500M`);
  const [multiplier, divisor] = SUFFIX[exponentMark ? "" : suffix] ?? [1n, 1n];
  const power = Number(exponent);
  const numerator = BigInt(digits) * multiplier * (power > 0 ? 10n ** BigInt(power) : 1n);
  const denominator = 10n ** BigInt(fraction.length) * divisor * (power < 0 ? 10n ** BigInt(-power) : 1n);
  const bytes = (numerator + denominator - 1n) / denominator;
  if (bytes > MAX_BYTES)
    throw invalid(`${field}: ${text.slice(0, 64)} is more than the largest size, 8Ei less one byte`);
  return bytes;
}

/** A size for people: binary units, at most one decimal. */
export function showSize(bytes: bigint): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = Number(bytes);
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`;
}
