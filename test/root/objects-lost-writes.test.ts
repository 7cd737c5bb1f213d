import { readdirSync, rmSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkObjectStore } from "../../src/engines/local/objects/doctor.js";
import { childrenOf, type S3Server, startS3 } from "../s3/harness.js";
import { ObjectClient } from "./objects-client.js";
import { bodyFiles } from "./objects-disk-world.js";
import { Ledger, startLoad } from "./objects-ledger.js";
import { makeSandbox, removeSandbox, type Sandbox } from "./server-harness.js";
import { copyDisk, makeDisk, type SmallDisk } from "./small-disk.js";

const GIB = 1024 ** 3;
const ROUNDS = 4;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

let sandbox: Sandbox;
let disk: SmallDisk;
let server: S3Server;
let client: ObjectClient;

// The store's disk is a file on a file system with reflinks. What the store has not synced is in the memory of its own
// file system alone, so a copy of that file is what a power failure would leave.
beforeAll(async () => {
  sandbox = makeSandbox(0);
  const outer = makeDisk(sandbox, "outer", 6 * GIB, "xfs");
  disk = makeDisk(sandbox, "disk", 2 * GIB, "xfs", outer.mounted);
  server = await startOn(disk);
  client = new ObjectClient(server);
});
afterAll(async () => {
  client.close();
  await server.discard();
  removeSandbox(sandbox);
});

const startOn = ({ mounted }: SmallDisk) =>
  startS3({ dataDir: join(mounted, "data"), flags: ["--workers", "2", "--log-level", "warn"] });

/** All of the server's processes at once. */
function signal(name: "SIGSTOP" | "SIGCONT"): void {
  for (const pid of [server.pid, ...childrenOf(server.pid)]) process.kill(pid, name);
}

/** The power fails while the clients write; `look` sees what was acknowledged by then, and a server on what is left. */
async function powerFails(
  name: string,
  ledger: Ledger,
  look: (there: { client: ObjectClient; server: S3Server; ledger: Ledger }) => Promise<void>,
): Promise<void> {
  let copy: SmallDisk;
  let told: Ledger;
  signal("SIGSTOP");
  try {
    // Answers that are in the sockets already are read first.
    await pause(200);
    told = ledger.copy();
    copy = copyDisk(sandbox, disk, name);
  } finally {
    signal("SIGCONT");
  }
  forgetHolders(join(copy.mounted, "data"));
  const other = await startOn(copy);
  const otherClient = new ObjectClient(other);
  try {
    await look({ client: otherClient, server: other, ledger: told });
  } finally {
    otherClient.close();
    await other.discard();
    copy.unmount();
    unlinkSync(copy.image);
  }
}

/** After a power failure nobody runs; here the first server does, and where its locks came to be on the disk they name it. */
function forgetHolders(dataDir: string): void {
  rmSync(join(dataDir, "locks"), { recursive: true, force: true });
  const store = join(dataDir, "objects");
  for (const name of readdirSync(store)) if (/^writer\.\d+\.json$/.test(name)) unlinkSync(join(store, name));
}

describe("a power failure under load", () => {
  it("at random moments: everything acknowledged before is there, whole, and nothing is left over", async () => {
    await client.makeBucket("bucket");
    const ledger = new Ledger();
    const stop = startLoad(client, ledger, "bucket", "load");
    for (let round = 0; round < ROUNDS; round++) {
      await pause(700 + Math.random() * 1000);
      await powerFails(`copy-${round}`, ledger, async (there) => {
        expect(there.ledger.acknowledged).toBeGreaterThan(0);
        await there.ledger.verify(there.client, "bucket");
        const look = async () => {
          const report = await checkObjectStore(join(there.server.dataDir, "objects"));
          return { findings: report?.findings, left: bodyFiles(there.server.dataDir).size - (report?.bodies ?? 0) };
        };
        await expect.poll(look, { timeout: 20_000, interval: 200 }).toEqual({ findings: [], left: 0 });
      });
    }
    await stop();
  }, 180_000);

  it("a bucket of relaxed durability: objects are lost, which proves that the test sees it; a lost one is an error or absent, never other bytes", async () => {
    const made = server.granary("bucket", "create", "relaxed", "--durability", "relaxed");
    expect([made.code, made.stderr]).toEqual([0, ""]);
    const ledger = new Ledger();
    const stop = startLoad(client, ledger, "relaxed", "load");
    await pause(1500);
    await powerFails("copy-relaxed", ledger, async (there) => {
      const lost = await there.ledger.differences(there.client, "relaxed");
      expect(lost.length).toBeGreaterThan(0);
      for (const difference of lost) expect(difference).toMatch(/^\S+: (none|an error)/);
    });
    await stop();
  }, 60_000);
});
