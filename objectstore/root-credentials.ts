import * as fs from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { z } from "zod";
import { StorageError } from "../src/errors/storage-error.js";
import { checkAccessKey, checkSecretKey } from "../src/model/access-key.js";
import { Secret } from "../src/model/secret.js";
import { readIfPresent, syncFolder, writeDurably } from "../src/os/durable-file.js";
import { randomAccessKey, randomSecretKey } from "./random-keys.js";

const stored = z.strictObject({ accessKey: z.string(), secretKey: z.string() });

export interface RootKeyPair {
  readonly accessKey: string;
  readonly secretKey: Secret;
}

export const rootCredentialsFile = (dataDir: string) => join(dataDir, "objects", "root-credentials.json");

/**
 * The root user's key pair: the configured one, else the one that the first start made. There is none that can be
 * guessed, and none is made from anything else: a first start without a configured one makes a random pair, on disk before
 * this settles, and says where it lies. The secret is in that file alone, never in the log.
 *
 * `agree`: of a store that many gateways serve. It is given this one's pair and answers the one that all use, which the file
 * then holds.
 *
 * @throws StorageError failed-precondition when the file is not what was written
 */
export async function rootCredentials(options: {
  dataDir: string;
  configured: RootKeyPair | undefined;
  log: Logger;
  agree?: ((own: PlainPair) => Promise<PlainPair>) | undefined;
}): Promise<RootKeyPair> {
  const { dataDir, configured, log, agree } = options;
  if (configured) return configured;
  const own = await ownPair(dataDir, log);
  if (!agree) return own;
  const agreed = await agree({ accessKey: own.accessKey, secretKey: own.secretKey.reveal() });
  if (agreed.accessKey === own.accessKey && agreed.secretKey === own.secretKey.reveal()) return own;
  const path = rootCredentialsFile(dataDir);
  await writeDurably(path, textOf(agreed));
  log.info(`root access key ${agreed.accessKey}, as the other gateways have it; its secret is in ${path}`);
  return { accessKey: agreed.accessKey, secretKey: new Secret(agreed.secretKey) };
}

/** The pair as it is written and sent. */
export interface PlainPair {
  readonly accessKey: string;
  readonly secretKey: string;
}

const textOf = ({ accessKey, secretKey }: PlainPair): string =>
  `${JSON.stringify({ accessKey, secretKey }, null, 2)}\n`;

async function ownPair(dataDir: string, log: Logger): Promise<RootKeyPair> {
  const path = rootCredentialsFile(dataDir);
  const text = await readIfPresent(path);
  if (text !== undefined) {
    const pair = parse(path, text);
    await closeToOthers(path, log);
    log.info(`root access key ${pair.accessKey}; its secret is in ${path}`);
    return pair;
  }
  const made = { accessKey: randomAccessKey(), secretKey: randomSecretKey() };
  await fs.mkdir(join(dataDir, "objects"), { recursive: true, mode: 0o700 });
  // The folder's own entry; its content's is synced by what writes there.
  await syncFolder(dataDir);
  await writeDurably(path, textOf(made));
  log.info(`root access key ${made.accessKey} made at random; its secret is in ${path}`);
  return { accessKey: made.accessKey, secretKey: new Secret(made.secretKey) };
}

function parse(path: string, text: string): RootKeyPair {
  try {
    const { accessKey, secretKey } = stored.parse(JSON.parse(text));
    checkAccessKey("accessKey", accessKey);
    checkSecretKey("secretKey", secretKey);
    return { accessKey, secretKey: new Secret(secretKey) };
  } catch {
    // The cause is left out: a JSON error's message quotes the text.
    throw new StorageError(
      "failed-precondition",
      `${path} does not hold the root user's accessKey and secretKey any more; restore it, or move it away to have a new pair made`,
    );
  }
}

async function closeToOthers(path: string, log: Logger): Promise<void> {
  const { mode } = await fs.stat(path);
  if ((mode & 0o077) === 0) return;
  await fs.chmod(path, 0o600);
  log.warn(`${path} could be read by other users of this host, and cannot any more; its secret may be known`);
}
