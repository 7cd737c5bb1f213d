import { createHash, randomBytes } from "node:crypto";
import { expect } from "vitest";
import { type ObjectClient, Refused } from "./objects-client.js";

/** What lies at a key: its size and its SHA-256; "none": nothing does. */
export type State = string;
export const NONE: State = "none";

const stateOf = (bytes: Buffer | undefined): State =>
  bytes === undefined ? NONE : `${bytes.length} ${createHash("sha256").update(bytes).digest("hex")}`;

interface Entry {
  acknowledged: State;
  /** What a request that was not answered may have made of it. */
  pending: State | undefined;
}

/** What clients were told. One request at a time is under way for a key, and a key whose last one has no answer rests. */
export class Ledger {
  readonly #entries: Map<string, Entry>;

  constructor(entries = new Map<string, Entry>()) {
    this.#entries = entries;
  }

  /** As it is at this moment. */
  copy(): Ledger {
    return new Ledger(new Map([...this.#entries].map(([key, entry]) => [key, { ...entry }])));
  }

  get acknowledged(): number {
    return [...this.#entries.values()].filter(({ acknowledged }) => acknowledged !== NONE).length;
  }

  stateOf(key: string): State {
    return this.#entries.get(key)?.acknowledged ?? NONE;
  }

  /** Runs a request that makes `next` of a key. */
  async change(key: string, next: State, request: () => Promise<unknown>): Promise<void> {
    const entry = this.#entries.get(key) ?? { acknowledged: NONE, pending: undefined };
    this.#entries.set(key, entry);
    entry.pending = next;
    await request();
    entry.acknowledged = next;
    entry.pending = undefined;
  }

  /** Reads every key and compares, the listing too; what it finds is what holds from now on. */
  async verify(client: ObjectClient, bucket: string): Promise<void> {
    const wrong = await this.differences(client, bucket);
    expect(wrong).toEqual([]);
    const expected = [...this.#entries].filter(([, { acknowledged }]) => acknowledged !== NONE).map(([key]) => key);
    const listed = await client.list(bucket);
    expect([...listed.keys()].sort()).toEqual(expected.sort());
    for (const [key, size] of listed) expect(`${size}`).toBe(this.stateOf(key).split(" ")[0]);
  }

  async differences(client: ObjectClient, bucket: string): Promise<string[]> {
    const wrong: string[] = [];
    const rest = [...this.#entries];
    const lanes = Array.from({ length: 8 }, async () => {
      for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
        const [key, entry] = next;
        const found = await client.get(bucket, key).then(stateOf, (error: unknown) => `an error (${String(error)})`);
        if (found !== entry.acknowledged && found !== entry.pending)
          wrong.push(`${key}: ${found}; acknowledged ${entry.acknowledged}, under way ${entry.pending ?? "nothing"}`);
        entry.acknowledged = found;
        entry.pending = undefined;
      }
    });
    await Promise.all(lanes);
    return wrong;
  }
}

const PART_BYTES = 5 * 1024 ** 2;
const between = (least: number, most: number) => least + Math.floor(Math.random() * (most - least));

/** One client that writes without a pause, until it is stopped or a request has no answer. */
class Lane {
  readonly #client: ObjectClient;
  readonly #ledger: Ledger;
  readonly #bucket: string;
  readonly #prefix: string;
  #names = 0;
  #keys: string[] = [];

  constructor(client: ObjectClient, ledger: Ledger, bucket: string, prefix: string) {
    this.#client = client;
    this.#ledger = ledger;
    this.#bucket = bucket;
    this.#prefix = prefix;
    for (let i = 0; i < 5; i++) this.#keys.push(this.#newKey());
  }

  #newKey(): string {
    return `${this.#prefix}-${this.#names++}`;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const at = between(0, this.#keys.length);
      const key = this.#keys[at] as string;
      try {
        await this.#step(key);
      } catch (error) {
        if (error instanceof Refused && error.status !== 503) throw error;
        if (signal.aborted) return;
        // Whether it was done is not known, so the key rests. There may be another worker in a moment.
        this.#keys[at] = this.#newKey();
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  async #step(key: string): Promise<void> {
    const dice = Math.random();
    if (dice < 0.35) await this.#put(key, between(0, 30_000));
    else if (dice < 0.65) await this.#put(key, between(40_000, 1_500_000));
    else if (dice < 0.8) await this.#ledger.change(key, NONE, () => this.#client.remove(this.#bucket, key));
    else if (dice < 0.9) await this.#copy(key);
    else await this.#multipart(key, dice < 0.97);
  }

  async #put(key: string, size: number): Promise<void> {
    const body = randomBytes(size);
    await this.#ledger.change(key, stateOf(body), () => this.#client.put(this.#bucket, key, body));
  }

  async #copy(key: string): Promise<void> {
    const source = this.#keys.find((other) => other !== key && this.#ledger.stateOf(other) !== NONE);
    if (source === undefined) return;
    await this.#ledger.change(key, this.#ledger.stateOf(source), () => this.#client.copy(this.#bucket, source, key));
  }

  async #multipart(key: string, completed: boolean): Promise<void> {
    const [client, bucket] = [this.#client, this.#bucket];
    const parts = [randomBytes(PART_BYTES), randomBytes(between(1, 100_000))];
    const uploadId = await client.createUpload(bucket, key);
    const etags: string[] = [];
    for (const [i, part] of parts.entries()) etags.push(await client.uploadPart(bucket, key, uploadId, i + 1, part));
    if (!completed) return void (await client.abort(bucket, key, uploadId));
    await this.#ledger.change(key, stateOf(Buffer.concat(parts)), () => client.complete(bucket, key, uploadId, etags));
  }
}

/** Clients that write all at once. stop(): settles when each has ended, with the failures that no crash explains. */
export function startLoad(client: ObjectClient, ledger: Ledger, bucket: string, run: string, lanes = 8) {
  const abort = new AbortController();
  const running = Array.from({ length: lanes }, (_, i) =>
    new Lane(client, ledger, bucket, `${run}-${i}`).run(abort.signal),
  );
  return async (): Promise<void> => {
    abort.abort();
    await Promise.all(running);
  };
}
