import type { BodyStore } from "./bodies/types.js";
import type { Settled, WriterClient } from "./client.js";
import type { Ingest } from "./ingest.js";
import type { Pins } from "./open-object.js";
import type { MetadataReader } from "./reader.js";
import { BODY_FILE, type BodyRef } from "./records.js";

/** What a process has of the store: it reads metadata and bodies by itself, and asks the writer to change metadata. */
export interface Access {
  readonly reader: MetadataReader;
  readonly client: WriterClient;
  readonly bodies: BodyStore;
  readonly ingest: Ingest;
  readonly pins: Pins;
  /** The folder of body files. */
  readonly bodiesDir: string;
  /** Told of each read, or look of a scrub, that finds bytes which are not those that were written. */
  readonly onDamaged: () => void;
}

/** What becomes of a file that was written, once it is known what became of the commit that was to name it. */
export function fateOf({ bodies }: Access, body: BodyRef): ((outcome: Settled) => void) | undefined {
  if (body.kind !== BODY_FILE) return undefined;
  return (outcome) => {
    if (outcome === "done") bodies.keep(body.id);
    else if (outcome === "refused") void bodies.discard(body.id);
  };
}
