const UNITS = ["Ei", "Pi", "Ti", "Gi", "Mi", "Ki"] as const;

/** Bytes as Kubernetes writes them: the largest binary unit that keeps them exact. */
export function quantityOf(bytes: bigint): string {
  for (const [i, unit] of UNITS.entries()) {
    const size = 1024n ** BigInt(UNITS.length - i);
    if (bytes >= size && bytes % size === 0n) return `${bytes / size}${unit}`;
  }
  return String(bytes);
}
