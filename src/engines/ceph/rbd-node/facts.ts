import { z } from "zod";
import { notFound, StorageError } from "../../../errors/storage-error.js";
import { type FormatRecord, parseFormatRecord } from "../../format-record.js";
import type { Context, Extent } from "../../types.js";
import type { CephCluster } from "../cluster.js";
import { type RbdImage, specOf } from "./image.js";

/** What the cluster tells of an image, that is proven to be the one that was meant. */
export interface ImageFacts {
  sizeBytes: bigint;
  features: readonly string[];
}

const Info = z.object({ id: z.string(), size: z.number(), features: z.array(z.string()) });
const Watchers = z.object({ watchers: z.array(z.object({ address: z.string() })).default([]) });
const Extents = z.array(z.object({ offset: z.number(), length: z.number(), exists: z.coerce.string() }));

const refuse = (message: string) => new StorageError("failed-precondition", message);
const FORMAT_KEY = "granary.format";

const isMissing = (error: unknown): boolean => error instanceof StorageError && error.code === "not-found";

/** @throws StorageError not-found; failed-precondition when another image has its name, or it is smaller than published */
export async function imageFacts(ctx: Context, cluster: CephCluster, image: RbdImage): Promise<ImageFacts> {
  const { volumeId, imageId, sizeBytes } = image;
  const answer = await cluster.json(ctx, "rbd", ["info", specOf(image)]).catch((error: unknown) => {
    throw isMissing(error) ? notFound(`volume ${volumeId} has no image on cluster ${cluster.name}`) : error;
  });
  const { id, size, features } = Info.parse(answer);
  if (id !== imageId)
    throw refuse(`the image of volume ${volumeId} is not the one that was published: its id is ${id}, not ${imageId}`);
  // Larger is fine: the volume may have been expanded after it was published.
  if (sizeBytes !== undefined && BigInt(size) < sizeBytes)
    throw refuse(`the image of volume ${volumeId} has ${size} bytes, and ${sizeBytes} were published`);
  return { sizeBytes: BigInt(size), features };
}

/** The addresses of the clients that have the image open for writing, each with its nonce: one client's for ever. */
export async function watchersOf(ctx: Context, cluster: CephCluster, image: RbdImage): Promise<string[]> {
  const { watchers } = Watchers.parse(await cluster.json(ctx, "rbd", ["status", specOf(image)]));
  return watchers.map(({ address }) => address);
}

/** Every extent that may hold anything but zeros, ascending. Whole objects: from the image's object map, where it has one. */
export async function allocatedOf(ctx: Context, cluster: CephCluster, image: RbdImage): Promise<Extent[]> {
  const found = Extents.parse((await cluster.json(ctx, "rbd", ["diff", "--whole-object", specOf(image)])) ?? []);
  return found
    .filter(({ exists }) => exists !== "false")
    .map(({ offset, length }) => ({ offsetBytes: BigInt(offset), lengthBytes: BigInt(length) }));
}

/** The record in the image's metadata, so that it goes with the image and every node sees the same. */
export async function readFormat(
  ctx: Context,
  cluster: CephCluster,
  image: RbdImage,
): Promise<FormatRecord | undefined> {
  try {
    const { stdout } = await cluster.run(ctx, "rbd", ["image-meta", "get", specOf(image), FORMAT_KEY]);
    return parseFormatRecord(stdout.trim(), `${FORMAT_KEY} of image ${specOf(image)}`);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  // No such key, or no such image: only the former is "no record".
  await imageFacts(ctx, cluster, image);
  return undefined;
}

export async function writeFormat(
  ctx: Context,
  cluster: CephCluster,
  image: RbdImage,
  record: FormatRecord,
): Promise<void> {
  await cluster.run(ctx, "rbd", ["image-meta", "set", specOf(image), FORMAT_KEY, JSON.stringify(record)]);
}
