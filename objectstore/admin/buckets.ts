import { z } from "zod";
import { invalid, notFound } from "../../src/errors/storage-error.js";
import type { Bucket, BucketChange } from "../../src/model/bucket.js";
import { bucketNameProblem } from "../../src/model/bucket-name.js";
import { didYouMean } from "../../src/model/nearest.js";
import { findUser } from "./find-user.js";
import type { AdminCall, AdminWorld, Route } from "./route.js";
import type { BucketView } from "./views.js";

const PAGE = 1000;
// How many of a store's buckets are looked at for the name that was meant.
// Of those that begin alike: a first letter is seldom the wrong one.
const MEANT = 1000;

const quota = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).nullable();

const changeable = {
  durability: z.enum(["strict", "relaxed"]).optional(),
  quotaBytes: quota.optional(),
  quotaObjects: quota.optional(),
};

const newBucket = z.strictObject({
  ...changeable,
  name: z.string(),
  owner: z.string().optional(),
  objectLock: z.boolean().optional(),
  versioning: z.boolean().optional(),
});

const change = z.strictObject({
  ...changeable,
  objectLock: z.literal(true).optional(),
  versioning: z.enum(["enabled", "suspended"]).optional(),
});

export const bucketRoutes: readonly Route[] = [
  { method: "GET", path: "/v1/buckets", run: listBuckets },
  { method: "POST", path: "/v1/buckets", run: createBucket },
  { method: "GET", path: "/v1/buckets/:bucket", run: async (call) => viewOf(call, await bucketOf(call)) },
  { method: "PATCH", path: "/v1/buckets/:bucket", run: changeBucket },
  { method: "DELETE", path: "/v1/buckets/:bucket", run: deleteBucket },
];

/** A page of at most 1000, after `?after=`; the last is shorter. */
async function listBuckets(call: AdminCall): Promise<BucketView[]> {
  const after = call.query("after") ?? "";
  const page = await call.world.engine.buckets(call, { prefix: "", after, limit: PAGE });
  const views: BucketView[] = [];
  for (const bucket of page) views.push(await viewOf(call, bucket));
  return views;
}

async function createBucket(call: AdminCall): Promise<BucketView> {
  const { engine, root, region } = call.world;
  const wanted = call.body(newBucket);
  const { name, objectLock = false, durability = "strict", quotaBytes = null, quotaObjects = null } = wanted;
  const problem = bucketNameProblem(name);
  if (problem !== undefined) throw invalid(`bucket name ${JSON.stringify(name.slice(0, 64))}: ${problem}`);
  const ownerId = wanted.owner === undefined ? root.id : ownerIdOf(call.world, wanted.owner);
  const bucket = await engine.createBucket(call, {
    ...{ name, ownerId, region, objectLock, durability, quotaBytes, quotaObjects },
    ...(wanted.versioning ? { versioning: "enabled" } : {}),
    config: {},
  });
  return viewOf(call, bucket);
}

function ownerIdOf(world: AdminWorld, owner: string): string {
  if (owner === world.root.name || owner === world.root.id) return world.root.id;
  return (world.identities.byId(owner) ?? findUser(world, owner)).id;
}

async function changeBucket(call: AdminCall): Promise<BucketView> {
  const wanted = call.body(change);
  const { name } = await bucketOf(call);
  const set = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined)) as BucketChange;
  // S3, "Object Lock": it needs versions, which the command turns on with it.
  if (set.objectLock && set.versioning === undefined) set.versioning = "enabled";
  return viewOf(call, await call.world.engine.changeBucket(call, name, set));
}

async function deleteBucket(call: AdminCall): Promise<void> {
  await call.world.engine.deleteBucket(call, (await bucketOf(call)).name);
}

export async function bucketOf(call: AdminCall): Promise<Bucket> {
  return findBucket(call, call.param("bucket"));
}

/** @throws StorageError not-found with the name that was most likely meant */
export async function findBucket(call: AdminCall, name: string): Promise<Bucket> {
  const { engine } = call.world;
  const bucket = await engine.bucket(call, name);
  if (bucket) return bucket;
  const known = await engine.buckets(call, { prefix: name.slice(0, 1), after: "", limit: MEANT });
  const names = known.map((one) => one.name);
  throw notFound(`there is no bucket ${JSON.stringify(name.slice(0, 64))}${didYouMean(name, names)}`);
}

async function viewOf(call: AdminCall, bucket: Bucket): Promise<BucketView> {
  const { engine, identities, root } = call.world;
  const { name, ownerId, region, versioning, objectLock, durability, quotaBytes, quotaObjects } = bucket;
  const { objects, bytes, deleteMarkers, uploads } = await engine.usage(call, name);
  return {
    name,
    owner: ownerId === root.id ? root.name : (identities.byId(ownerId)?.name ?? ownerId),
    ownerId,
    created: new Date(bucket.createdMs).toISOString(),
    ...{ region, versioning, objectLock, durability, quotaBytes, quotaObjects },
    usage: { objects, bytes, deleteMarkers, uploads },
    configurations: Object.keys(bucket.config).sort(),
  };
}
