import { invalid } from "../errors/storage-error.js";

const UNIT: Record<string, bigint> = {
  "": 1n,
  k: 10n ** 3n,
  M: 10n ** 6n,
  G: 10n ** 9n,
  T: 10n ** 12n,
  P: 10n ** 15n,
  Ki: 2n ** 10n,
  Mi: 2n ** 20n,
  Gi: 2n ** 30n,
  Ti: 2n ** 40n,
  Pi: 2n ** 50n,
};

/** Bytes of a size as Kubernetes writes them: whole numbers with an optional k, M, G, T, P or Ki, Mi, Gi, Ti, Pi. */
export function parseSize(field: string, text: string): bigint {
  const match = /^(\d{1,18})(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/.exec(text.trim());
  if (!match) throw invalid(`${field}: ${JSON.stringify(text)} is not a size; use for example 10Gi or 500M`);
  return BigInt(match[1] ?? 0) * (UNIT[match[2] ?? ""] ?? 1n);
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
