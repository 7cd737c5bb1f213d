import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect } from "vitest";
import { childrenOf, textOf, type XmlElement } from "../../objectstore/xml/read.js";
import { pathOf, type RawAnswer, type RawRequest, rawRequest } from "./exact-request.js";
import { type S3Server, startS3 } from "./harness.js";
import { type KeyPair, sdkClient } from "./sdk-clients.js";

type Options = Omit<RawRequest, "target"> & { query?: string };

/** What the tests of a file share: a server with two workers, and the ways to talk with it. */
export interface World {
  readonly server: S3Server;
  readonly sdk: S3Client;
  /** A request to a bucket's key, or without a key to the bucket. */
  send(bucket: string, key: string | undefined, options?: Options): Promise<RawAnswer>;
  put(bucket: string, key: string, body?: Buffer | string, headers?: RawRequest["headers"]): Promise<RawAnswer>;
  get(bucket: string, key: string, headers?: RawRequest["headers"], query?: string): Promise<RawAnswer>;
  /** A new bucket, by the root user unless another is named. */
  bucket(options?: {
    versioning?: "Enabled" | "Suspended";
    lock?: boolean;
    acls?: boolean;
    as?: KeyPair;
  }): Promise<string>;
  /** A new user, with what the statements allow. */
  user(...statements: object[]): KeyPair & { name: string; id: string };
  /** Gives the bucket a policy of these statements. */
  policy(bucket: string, ...statements: object[]): Promise<void>;
}

let buckets = 0;

async function newBucket(
  world: World,
  { versioning, lock, acls, as }: Parameters<World["bucket"]>[0] & object = {},
): Promise<string> {
  const name = `b${++buckets}-${randomBytes(3).toString("hex")}`;
  const headers: Record<string, string> = {};
  if (lock) headers["x-amz-bucket-object-lock-enabled"] = "true";
  if (acls) headers["x-amz-object-ownership"] = "ObjectWriter";
  const made = await world.send(name, undefined, { method: "PUT", headers, ...(as ? { as } : {}) });
  expect(made.text).toBe("");
  if (versioning) await setVersioning(world, name, versioning);
  if (acls) {
    const open = await world.send(name, undefined, { method: "DELETE", query: "publicAccessBlock" });
    expect(open.status).toBe(204);
  }
  return name;
}

export async function setVersioning(world: World, bucket: string, status: "Enabled" | "Suspended"): Promise<void> {
  const body = `<VersioningConfiguration><Status>${status}</Status></VersioningConfiguration>`;
  expect((await world.send(bucket, undefined, { method: "PUT", query: "versioning", body })).status).toBe(200);
}

function newUser(server: S3Server, statements: readonly object[]): KeyPair & { name: string; id: string } {
  const name = `u${randomBytes(4).toString("hex")}`;
  const keys = { accessKey: `AK${name}`, secretKey: randomBytes(20).toString("hex") };
  const args = ["user", "create", name, "--access-key", keys.accessKey, "--secret-key", keys.secretKey];
  if (statements.length > 0) {
    const file = join(server.dir, `${name}.json`);
    writeFileSync(file, JSON.stringify({ Version: "2012-10-17", Statement: statements }));
    args.push("--policy", file);
  }
  const id = randomBytes(32).toString("hex");
  const made = server.granary(...args, "--id", id);
  if (made.code !== 0) throw new Error(`granary user create: ${made.stderr}`);
  return { ...keys, name, id };
}

function worldOf(server: S3Server): World {
  const world: World = {
    server,
    sdk: sdkClient(server),
    send: (bucket, key, { query, ...options } = {}) => {
      const path = key === undefined ? `/${bucket}` : pathOf(bucket, key);
      return rawRequest(server, { ...options, target: query === undefined ? path : `${path}?${query}` });
    },
    put: (bucket, key, body = "", headers = {}) => world.send(bucket, key, { method: "PUT", body, headers }),
    get: (bucket, key, headers = {}, query) =>
      world.send(bucket, key, { headers, ...(query === undefined ? {} : { query }) }),
    bucket: (options) => newBucket(world, options),
    user: (...statements) => newUser(server, statements),
    policy: async (bucket, ...statements) => {
      const body = JSON.stringify({ Version: "2012-10-17", Statement: statements });
      const answer = await world.send(bucket, undefined, { method: "PUT", query: "policy", body });
      expect([answer.status, answer.text]).toEqual([204, ""]);
    },
  };
  return world;
}

/** One server for a file's tests. */
export function useWorld(flags: readonly string[] = ["--workers", "2"]): World {
  let world: World | undefined;
  beforeAll(async () => {
    world = worldOf(await startS3({ flags }));
  });
  afterAll(async () => {
    world?.sdk.destroy();
    await world?.server.remove();
  });
  // The world is made when the tests run; until then nobody looks into it.
  return new Proxy({} as World, {
    get: (_target, name: keyof World) => {
      if (!world) throw new Error("the server is not started yet");
      return world[name];
    },
  });
}

/** Allows actions on a bucket, or on what is in it. */
export function allow(actions: string | string[], resources: string | string[], more: object = {}): object {
  return { Effect: "Allow", Action: actions, Resource: resources, ...more };
}

/** The same for a bucket's policy, and for everybody. */
export function allowAll(actions: string | string[], resources: string | string[], more: object = {}): object {
  return { Principal: "*", ...allow(actions, resources, more) };
}

export const arn = (bucket: string, key?: string) => `arn:aws:s3:::${bucket}${key === undefined ? "" : `/${key}`}`;

/** The texts of a path of elements: `Contents/Key` of each Contents. */
export function texts(root: XmlElement, path: string): string[] {
  const [first = "", ...rest] = path.split("/");
  const found = childrenOf(root, first);
  if (rest.length === 0) return found.map((element) => element.text);
  return found.flatMap((element) => texts(element, rest.join("/")));
}

/** The text of the first element of this name, or undefined. */
export function text(answer: RawAnswer, name: string): string | undefined {
  return textOf(answer.xml(), name);
}

/** The names of an element's children, in their order. */
export function order(element: XmlElement): string[] {
  return element.children.map((child) => child.name);
}
