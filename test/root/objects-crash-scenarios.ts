import type { OBJECT_STEPS } from "../../src/runtime/steps.js";
import { type ObjectClient, Refused } from "./objects-client.js";

export type ObjectStep = (typeof OBJECT_STEPS)[number];

/** What a scenario works on: a client of the server that runs now, and names of its own. */
export interface Stage {
  client: ObjectClient;
  readonly bucket: string;
  readonly key: string;
  uploadId: string;
  etags: string[];
}

/** One request: it is cut off at each of its steps, on a state made anew, and repeated after the restart. */
export interface Scenario {
  request: string;
  steps: readonly ObjectStep[];
  prepare: (stage: Stage) => Promise<unknown>;
  act: (stage: Stage) => Promise<unknown>;
  /** The state as a word: `before` or `after`, and no third. */
  probe: (stage: Stage) => Promise<string>;
  /** Answers with which the repeated request says that it had been done. */
  doneAlready?: readonly string[];
  /** It is answered before the step is taken: behind it, or by another process. */
  answered?: boolean;
}

export const SMALL = 1000;
export const LARGE = 300_000;
const PART = 5 * 1024 ** 2;

const filled = (size: number, byte: number) => Buffer.alloc(size, byte);

/** What lies at a key, as `SIZExBYTE`, "none", or "torn". */
export async function contentOf({ client, bucket }: Stage, key: string): Promise<string> {
  const bytes = await client.get(bucket, key);
  if (bytes === undefined) return "none";
  const [first = 0] = bytes;
  return bytes.equals(filled(bytes.length, first)) ? `${bytes.length}x${first}` : "torn";
}

const contentIs = (before: string, after: string) => async (stage: Stage) => {
  const content = await contentOf(stage, stage.key);
  return content === before ? "before" : content === after ? "after" : content;
};

const putSteps = [
  "object-put/stored",
  "object-writer/put-applied",
  "object-writer/put-committed",
  "object-put/committed",
] as const;
const deleteSteps = [
  "object-writer/delete-applied",
  "object-writer/delete-committed",
  "object-delete/committed",
] as const;

async function uploaded(stage: Stage, parts: number): Promise<void> {
  const { client, bucket, key } = stage;
  stage.uploadId = await client.createUpload(bucket, key);
  stage.etags = [];
  for (let number = 1; number <= parts; number++)
    stage.etags.push(
      await client.uploadPart(bucket, key, stage.uploadId, number, filled(number === parts ? SMALL : PART, 7)),
    );
}

const uploadsOf = async ({ client, bucket, key }: Stage) =>
  (await client.call({ method: "GET", path: `/${bucket}`, query: { uploads: "", prefix: key } })).body.toString();

const partsOf = async ({ client, bucket, key, uploadId }: Stage) =>
  (await client.call({ method: "GET", path: `/${bucket}/${key}`, query: { uploadId } })).body.toString();

const copied: Pick<Scenario, "prepare" | "probe"> = {
  prepare: async (stage) => {
    await stage.client.put(stage.bucket, `${stage.key}-source`, filled(LARGE, 1));
    await stage.client.put(stage.bucket, stage.key, filled(LARGE, 2));
  },
  probe: contentIs(`${LARGE}x2`, `${LARGE}x1`),
};

async function expect2xx(client: ObjectClient, call: Parameters<ObjectClient["call"]>[0]): Promise<void> {
  const answer = await client.call(call);
  if (answer.status >= 300) throw new Refused(`${call.method} ${call.path}`, answer);
}

const ofBucket = (stage: Stage) => ({ ...stage, bucket: `${stage.bucket}-${stage.key}` });
const bucketIsThere = async (stage: Stage) =>
  (await stage.client.call({ method: "HEAD", path: `/${ofBucket(stage).bucket}` })).status === 200;

export const SCENARIOS: readonly Scenario[] = [
  {
    request: "PUT of a small object over a large one",
    steps: ["object-writer/put-applied", "object-writer/put-committed"],
    prepare: ({ client, bucket, key }) => client.put(bucket, key, filled(LARGE, 1)),
    act: ({ client, bucket, key }) => client.put(bucket, key, filled(SMALL, 2)),
    probe: contentIs(`${LARGE}x1`, `${SMALL}x2`),
  },
  {
    request: "PUT of a large object over a large one",
    steps: [
      ...(["object-generation/leased", "object-generation/made", "object-body/created"] as const),
      ...(["object-body/written", "object-body/synced", ...putSteps] as const),
      ...(["object-writer/lease-applied", "object-writer/lease-committed"] as const),
    ],
    prepare: ({ client, bucket, key }) => client.put(bucket, key, filled(LARGE, 1)),
    act: ({ client, bucket, key }) => client.put(bucket, key, filled(LARGE + 1, 2)),
    probe: contentIs(`${LARGE}x1`, `${LARGE + 1}x2`),
  },
  {
    request: "PUT of a large object that is refused when it is whole",
    steps: ["object-body/discarded"],
    prepare: ({ client, bucket, key }) => client.put(bucket, key, filled(LARGE, 1)),
    act: ({ client, bucket, key }) =>
      client.put(bucket, key, filled(LARGE, 2), { "content-md5": Buffer.alloc(16).toString("base64") }),
    probe: contentIs("neither", `${LARGE}x1`),
    doneAlready: ["BadDigest"],
  },
  {
    request: "DELETE of a large object",
    steps: deleteSteps,
    prepare: ({ client, bucket, key }) => client.put(bucket, key, filled(LARGE, 1)),
    act: ({ client, bucket, key }) => client.remove(bucket, key),
    probe: contentIs(`${LARGE}x1`, "none"),
  },
  {
    request: "reclaiming what a DELETE left",
    steps: ["object-garbage/unlinked", "object-writer/forgetGarbage-applied", "object-writer/forgetGarbage-committed"],
    prepare: ({ client, bucket, key }) => client.put(bucket, key, filled(LARGE, 1)),
    act: ({ client, bucket, key }) => client.remove(bucket, key),
    probe: contentIs("neither", "none"),
    answered: true,
  },
  {
    request: "CopyObject",
    steps: ["object-writer/copy-applied", "object-writer/copy-committed", "object-copy/committed"],
    ...copied,
    act: ({ client, bucket, key }) => client.copy(bucket, `${key}-source`, key),
  },
  {
    request: "RenameObject",
    steps: ["object-writer/rename-applied", "object-writer/rename-committed"],
    ...copied,
    act: ({ client, bucket, key }) =>
      expect2xx(client, {
        ...{ method: "PUT", path: `/${bucket}/${key}`, query: { renameObject: "" } },
        headers: { "x-amz-rename-source": `${key}-source` },
      }),
    doneAlready: ["NoSuchKey"],
  },
  {
    request: "PutObjectTagging",
    steps: ["object-writer/changeVersion-applied", "object-writer/changeVersion-committed"],
    prepare: ({ client, bucket, key }) => client.put(bucket, key, filled(LARGE, 1)),
    act: ({ client, bucket, key }) =>
      expect2xx(client, {
        ...{ method: "PUT", path: `/${bucket}/${key}`, query: { tagging: "" } },
        body: Buffer.from("<Tagging><TagSet><Tag><Key>k</Key><Value>after</Value></Tag></TagSet></Tagging>"),
      }),
    probe: async ({ client, bucket, key }) => {
      const answer = await client.call({ method: "GET", path: `/${bucket}/${key}`, query: { tagging: "" } });
      return answer.body.includes("<Value>after</Value>") ? "after" : "before";
    },
  },
  {
    request: "CreateMultipartUpload",
    steps: ["object-writer/createUpload-applied", "object-writer/createUpload-committed"],
    prepare: async () => undefined,
    act: ({ client, bucket, key }) => client.createUpload(bucket, key),
    probe: async (stage) => ((await uploadsOf(stage)).includes("<UploadId>") ? "after" : "before"),
  },
  {
    request: "UploadPart over a part",
    steps: [
      "object-part/stored",
      "object-writer/putPart-applied",
      "object-writer/putPart-committed",
      "object-part/committed",
    ],
    prepare: async (stage) => {
      await uploaded(stage, 1);
    },
    act: ({ client, bucket, key, uploadId }) => client.uploadPart(bucket, key, uploadId, 1, filled(LARGE, 3)),
    probe: async (stage) => {
      const text = await partsOf(stage);
      return text.includes(`<Size>${LARGE}</Size>`)
        ? "after"
        : text.includes(`<Size>${SMALL}</Size>`)
          ? "before"
          : text;
    },
  },
  {
    request: "CompleteMultipartUpload over a large object",
    steps: [
      ...(["object-complete/prepared", "object-writer/complete-applied"] as const),
      ...(["object-writer/complete-committed", "object-complete/committed"] as const),
    ],
    prepare: async (stage) => {
      await stage.client.put(stage.bucket, stage.key, filled(LARGE, 1));
      await uploaded(stage, 2);
    },
    act: ({ client, bucket, key, uploadId, etags }) => client.complete(bucket, key, uploadId, etags),
    probe: contentIs(`${LARGE}x1`, `${PART + SMALL}x7`),
  },
  {
    request: "AbortMultipartUpload",
    steps: ["object-writer/abort-applied", "object-writer/abort-committed"],
    prepare: async (stage) => {
      await uploaded(stage, 2);
    },
    act: ({ client, bucket, key, uploadId }) => client.abort(bucket, key, uploadId),
    probe: async (stage) => ((await uploadsOf(stage)).includes("<UploadId>") ? "before" : "after"),
    doneAlready: ["NoSuchUpload"],
  },
  {
    request: "CreateBucket",
    steps: ["object-writer/createBucket-applied", "object-writer/createBucket-committed"],
    prepare: async () => undefined,
    act: (stage) => stage.client.makeBucket(ofBucket(stage).bucket),
    probe: async (stage) => ((await bucketIsThere(stage)) ? "after" : "before"),
    doneAlready: ["BucketAlreadyOwnedByYou"],
  },
  {
    request: "PutBucketVersioning",
    steps: ["object-writer/changeBucket-applied", "object-writer/changeBucket-committed"],
    prepare: (stage) => stage.client.makeBucket(ofBucket(stage).bucket),
    act: (stage) =>
      expect2xx(stage.client, {
        ...{ method: "PUT", path: `/${ofBucket(stage).bucket}`, query: { versioning: "" } },
        body: Buffer.from("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
      }),
    probe: async (stage) => {
      const call = { method: "GET", path: `/${ofBucket(stage).bucket}`, query: { versioning: "" } };
      return (await stage.client.call(call)).body.includes("Enabled") ? "after" : "before";
    },
  },
  {
    request: "DeleteBucket",
    steps: ["object-writer/deleteBucket-applied", "object-writer/deleteBucket-committed"],
    prepare: (stage) => stage.client.makeBucket(ofBucket(stage).bucket),
    act: (stage) => expect2xx(stage.client, { method: "DELETE", path: `/${ofBucket(stage).bucket}` }),
    probe: async (stage) => ((await bucketIsThere(stage)) ? "before" : "after"),
    doneAlready: ["NoSuchBucket"],
  },
];
