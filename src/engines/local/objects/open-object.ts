import { refused, StorageError } from "../../../errors/storage-error.js";
import type { ObjectPart, ObjectVersion } from "../../../model/object.js";
import type { OpenObject } from "../../object-engine.js";
import type { BodyStore, OpenBody } from "./bodies/types.js";
import { xxh64 } from "./checks.js";
import type { Segment, StoredPart } from "./manifests.js";
import { BODY_FILE, BODY_INLINE } from "./records.js";

const EMPTY = Buffer.alloc(0);

/**
 * The bodies that this process is reading: they are not collected. A body that nobody refers to any more is found by no
 * later read, so the writer asks once, after the commit that let go of it, and needs no epochs.
 */
export class Pins {
  readonly #pinned = new Set<readonly number[]>();

  pin(bodyIds: readonly number[]): () => void {
    this.#pinned.add(bodyIds);
    return () => this.#pinned.delete(bodyIds);
  }

  among(candidates: readonly number[]): number[] {
    const wanted = new Set(candidates);
    const found = new Set<number>();
    for (const bodyIds of this.#pinned) for (const id of bodyIds) if (wanted.has(id)) found.add(id);
    return [...found];
  }
}

export class EmptyObject implements OpenObject {
  readonly version: ObjectVersion;

  constructor(version: ObjectVersion) {
    this.version = version;
  }

  async parts(): Promise<readonly ObjectPart[]> {
    return [];
  }

  read(): Buffer {
    return EMPTY;
  }

  close(): void {}
}

/** Its bytes were copied out of the metadata when it was opened. */
export class InlineObject implements OpenObject {
  readonly version: ObjectVersion;
  readonly #bytes: Buffer;
  readonly #check: bigint;
  readonly #onDamaged: () => void;
  #verified = false;

  constructor(version: ObjectVersion, bytes: Buffer, check: bigint, onDamaged: () => void) {
    this.version = version;
    this.#bytes = bytes;
    this.#check = check;
    this.#onDamaged = onDamaged;
  }

  async parts(): Promise<readonly ObjectPart[]> {
    return [];
  }

  read(offsetBytes: number, lengthBytes: number): Buffer {
    if (!this.#verified) verify(this.#bytes, this.#check, this.version.sizeBytes, this.#onDamaged);
    this.#verified = true;
    return this.#bytes.subarray(offsetBytes, offsetBytes + lengthBytes);
  }

  close(): void {}
}

/** What is wrong with bytes that lie in the metadata, or undefined. */
export function problemOf(bytes: Buffer, check: bigint, sizeBytes: number): string | undefined {
  if (bytes.length !== sizeBytes) return `${bytes.length} stored bytes where ${sizeBytes} were written`;
  return xxh64(bytes) === check ? undefined : "the stored bytes are not those that were written";
}

/** @throws damaged, after it has told */
export function verify(bytes: Buffer, check: bigint, sizeBytes: number, onDamaged: () => void = () => {}): void {
  const problem = problemOf(bytes, check, sizeBytes);
  if (problem === undefined) return;
  onDamaged();
  throw refused("damaged", `${problem}: see the log, and scrub`);
}

/** Bytes in files, and for the last small part of an upload in the metadata. */
export class SegmentedObject implements OpenObject {
  readonly version: ObjectVersion;
  readonly #bodies: BodyStore;
  readonly #onDamaged: () => void;
  readonly #segments: readonly Segment[];
  readonly #parts: readonly StoredPart[];
  /** The bytes of inline segments, by id. */
  readonly #inline: ReadonlyMap<number, Buffer>;
  readonly #open = new Set<OpenBody>();
  #whole: OpenBody | undefined;
  #unpin: (() => void) | undefined;

  constructor(
    version: ObjectVersion,
    content: { segments: readonly Segment[]; parts: readonly StoredPart[]; inline: ReadonlyMap<number, Buffer> },
    { bodies, pins, onDamaged }: { bodies: BodyStore; pins: Pins; onDamaged: () => void },
  ) {
    this.version = version;
    this.#segments = content.segments;
    this.#parts = content.parts;
    this.#inline = content.inline;
    this.#bodies = bodies;
    this.#onDamaged = onDamaged;
    this.#unpin = pins.pin(content.segments.filter(({ kind }) => kind !== BODY_INLINE).map(({ id }) => id));
  }

  async parts(): Promise<readonly ObjectPart[]> {
    return this.#parts;
  }

  read(offsetBytes: number, lengthBytes: number): AsyncIterable<Buffer> {
    const [only] = this.#segments;
    if (this.#segments.length !== 1 || only?.kind !== BODY_FILE)
      return this.#readAcross(offsetBytes, offsetBytes + lengthBytes);
    this.#whole ??= this.#openBody(only.id, only.fileBytes);
    return this.#whole.read(only.offsetBytes + offsetBytes, lengthBytes);
  }

  async *#readAcross(start: number, end: number): AsyncGenerator<Buffer, void, undefined> {
    let at = 0;
    for (const segment of this.#segments) {
      const from = Math.max(start, at);
      const to = Math.min(end, at + segment.lengthBytes);
      if (from < to) yield* this.#readSegment(segment, from - at, to - from);
      at += segment.lengthBytes;
      if (at >= end) return;
    }
  }

  async *#readSegment(segment: Segment, offsetBytes: number, lengthBytes: number) {
    if (segment.kind === BODY_INLINE) {
      const bytes = this.#inline.get(segment.id) ?? EMPTY;
      verify(bytes, segment.check, segment.lengthBytes, this.#onDamaged);
      yield bytes.subarray(offsetBytes, offsetBytes + lengthBytes);
      return;
    }
    // Of ten thousand files one is open at a time.
    const body = this.#openBody(segment.id, segment.fileBytes);
    try {
      yield* body.read(segment.offsetBytes + offsetBytes, lengthBytes);
    } finally {
      body.close();
      this.#open.delete(body);
    }
  }

  #openBody(bodyId: number, sizeBytes: number): OpenBody {
    if (!this.#unpin) throw new StorageError("cancelled", "the object was closed while it was read");
    const body = this.#bodies.open({ bodyId, sizeBytes });
    this.#open.add(body);
    return body;
  }

  close(): void {
    for (const body of this.#open) body.close();
    this.#open.clear();
    this.#unpin?.();
    this.#unpin = undefined;
  }
}
