import type { Versioning } from "../../src/model/bucket.js";
import { NULL_VERSION } from "../../src/model/object.js";

/** What the engine is to do, as simply as it can be said: a list of versions for each key, the newest first. */
export interface ModelVersion {
  /** As the engine named it. */
  readonly id: string;
  readonly marker: boolean;
  readonly content: string;
}

export interface ModelUpload {
  readonly key: string;
  readonly id: string;
  readonly parts: Map<number, string>;
}

export class Model {
  versioning: Versioning = "off";
  readonly versions = new Map<string, ModelVersion[]>();
  readonly uploads: ModelUpload[] = [];

  of(key: string): readonly ModelVersion[] {
    return this.versions.get(key) ?? [];
  }

  current(key: string): ModelVersion | undefined {
    const [newest] = this.of(key);
    return newest?.marker ? undefined : newest;
  }

  /** A version that becomes the newest; where it is a null version, the null version that was goes. */
  add(key: string, version: ModelVersion): void {
    const kept = this.versioning === "enabled" ? this.of(key) : this.of(key).filter(({ id }) => id !== NULL_VERSION);
    this.versions.set(key, [version, ...kept]);
  }

  remove(key: string, id: string): void {
    const kept = this.of(key).filter((version) => version.id !== id);
    if (kept.length > 0) this.versions.set(key, kept);
    else this.versions.delete(key);
  }

  /** In the order of their UTF-8 bytes. */
  keys(): string[] {
    return [...this.versions.keys()].sort(byBytes);
  }

  /** As the listing of all versions has them. */
  rows(): { key: string; id: string }[] {
    return this.keys().flatMap((key) => this.of(key).map(({ id }) => ({ key, id })));
  }

  usage() {
    const all = [...this.versions.values()].flat();
    const objects = all.filter(({ marker }) => !marker);
    const parts = this.uploads.flatMap((upload) => [...upload.parts.values()]);
    const bytes = [...objects.map(({ content }) => content), ...parts].reduce((sum, text) => sum + bytesOf(text), 0);
    return { objects: objects.length, bytes, deleteMarkers: all.length - objects.length, uploads: this.uploads.length };
  }
}

export const bytesOf = (text: string): number => Buffer.byteLength(text);
export const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

export interface Grouped {
  readonly prefix: string;
  readonly delimiter: string;
}

/** The common prefix of a key, or undefined: as S3's documentation says it. */
export function groupOf(key: string, { prefix, delimiter }: Grouped): string | undefined {
  if (delimiter === "") return undefined;
  const rest = key.slice(prefix.length);
  const at = rest.indexOf(delimiter);
  return at === -1 ? undefined : prefix + rest.slice(0, at + delimiter.length);
}

/**
 * A whole listing from `rows`, in order: those of the prefix that `follows` says come after the marker; what is grouped
 * stands once, unless the marker lies in the group.
 */
export function listed<T extends { key: string }>(
  rows: readonly T[],
  grouped: Grouped,
  marker: string,
  follows: (row: T) => boolean,
  line: (row: T) => string,
): string[] {
  const passed = marker.startsWith(grouped.prefix) ? groupOf(marker, grouped) : undefined;
  const lines: string[] = [];
  for (const row of rows) {
    if (!row.key.startsWith(grouped.prefix)) continue;
    const group = groupOf(row.key, grouped);
    if (group === undefined) {
      if (follows(row)) lines.push(line(row));
    } else if (group !== passed && (marker === "" || byBytes(group, marker) > 0) && lines.at(-1) !== `PRE ${group}`)
      lines.push(`PRE ${group}`);
  }
  return lines;
}
