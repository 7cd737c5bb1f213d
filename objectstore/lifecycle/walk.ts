import type { VersionSummary } from "../../src/model/object.js";
import type { Seen } from "./evaluate.js";

/**
 * Versions in listing order (newest first within a key), each given back once the one after it is known, with what its
 * neighbours say of it. Holds one version, however long the listing is.
 */
export class VersionWalk {
  #held: VersionSummary | undefined;
  #newer: VersionSummary | undefined;
  #newerNoncurrent = 0;

  /** The version before this one. */
  push(version: VersionSummary): { version: VersionSummary; seen: Seen } | undefined {
    const settled = this.#settle(version);
    this.#held = version;
    return settled;
  }

  /** The last version. */
  end(): { version: VersionSummary; seen: Seen } | undefined {
    return this.#settle(undefined);
  }

  #settle(next: VersionSummary | undefined): { version: VersionSummary; seen: Seen } | undefined {
    const version = this.#held;
    if (!version) return undefined;
    const newer = this.#newer?.key === version.key ? this.#newer : undefined;
    const { key, sizeBytes, lastModifiedMs, deleteMarker } = version;
    if (!newer) this.#newerNoncurrent = 0;
    const seen: Seen = {
      ...{ key, sizeBytes, lastModifiedMs, deleteMarker },
      noncurrentSinceMs: newer?.lastModifiedMs,
      newerNoncurrent: this.#newerNoncurrent,
      alone: !newer && next?.key !== key,
    };
    if (newer) this.#newerNoncurrent += 1;
    this.#newer = version;
    this.#held = undefined;
    return { version, seen };
  }
}
