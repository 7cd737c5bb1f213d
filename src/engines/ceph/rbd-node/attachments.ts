import { createHash } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { readIfPresent, replaceFile } from "../../../os/durable-file.js";
import type { MapperKind } from "./mapper.js";

const Shape = z.object({
  mapper: z.enum(["krbd", "rbd-nbd", "qemu-storage-daemon"]),
  identity: z.string(),
  readonly: z.boolean(),
  volumeId: z.string(),
  /** POOL/NAMESPACE/IMAGE, for people. */
  spec: z.string(),
  /** The address under which the cluster sees this attachment's client, with its nonce; absent when it is not certain. */
  client: z.string().optional(),
});

/**
 * That this node mapped an image: what tells its devices from those that others mapped, and a dead client of its own
 * from a live one of another node. Whether the device is there is read from the kernel, never from here.
 */
export type Attachment = z.infer<typeof Shape> & { mapper: MapperKind };

export interface Attachments {
  /** The attachment's own folder. A pure function of what is attached: its path in a command line proves the process. */
  folder(identity: string, readonly: boolean): string;
  read(identity: string, readonly: boolean): Promise<Attachment | undefined>;
  /** Makes the folder too. Written before the work begins: nothing is attached without it. */
  write(attachment: Attachment): Promise<void>;
  forget(identity: string, readonly: boolean): Promise<void>;
  list(): Promise<Attachment[]>;
}

const RECORD = "attachment.json";

/** One folder an attachment in `stateDir`. What is in it does not outlive a restart of the host, and is not synced. */
export function attachments(stateDir: string): Attachments {
  const folder = (identity: string, readonly: boolean) => {
    const name = createHash("sha256").update(`${identity}\n${readonly}`).digest("hex").slice(0, 24);
    return join(stateDir, name);
  };
  const readIn = async (path: string): Promise<Attachment | undefined> => {
    const text = await readIfPresent(join(path, RECORD));
    // Half a record is none: it was to be whole before anything was attached.
    try {
      return text === undefined ? undefined : Shape.parse(JSON.parse(text));
    } catch {
      return undefined;
    }
  };
  return {
    folder,
    read: (identity, readonly) => readIn(folder(identity, readonly)),
    async write(attachment) {
      const path = folder(attachment.identity, attachment.readonly);
      await mkdir(path, { recursive: true, mode: 0o700 });
      await replaceFile(join(path, RECORD), `${JSON.stringify(attachment)}\n`);
    },
    forget: (identity, readonly) => rm(folder(identity, readonly), { recursive: true, force: true }),
    async list() {
      const names = await readdir(stateDir).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return [];
        throw error;
      });
      const found = await Promise.all(names.sort().map((name) => readIn(join(stateDir, name))));
      return found.filter((attachment) => attachment !== undefined);
    },
  };
}
