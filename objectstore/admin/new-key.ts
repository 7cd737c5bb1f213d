import { z } from "zod";
import type { AccessKey } from "../../src/engines/identity-store.js";
import { StorageError } from "../../src/errors/storage-error.js";
import { checkAccessKey, checkSecretKey } from "../../src/model/access-key.js";
import { randomAccessKey, randomSecretKey } from "../random-keys.js";
import type { AdminWorld } from "./route.js";

export const newKey = z.strictObject({ accessKey: z.string().optional(), secretKey: z.string().optional() });

/** A key as asked for, random where it was not. @throws StorageError already-exists when it is the root user's */
export function makeKey({ root }: AdminWorld, wanted: z.infer<typeof newKey>): AccessKey {
  const { accessKey = randomAccessKey(), secretKey = randomSecretKey() } = wanted;
  checkAccessKey("accessKey", accessKey);
  checkSecretKey("secretKey", secretKey);
  if (accessKey === root.accessKey)
    throw new StorageError("already-exists", `the access key ${accessKey} is the root user's`);
  return { id: accessKey, secret: secretKey, createdMs: Date.now(), disabled: false };
}
