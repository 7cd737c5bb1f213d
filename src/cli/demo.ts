import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { messageOf, StorageError } from "../errors/storage-error.js";
import { openScreen, type Screen } from "./demo-screen.js";
import { DEMO_STEPS, deleteAll } from "./demo-steps.js";
import { OwnedWorld } from "./demo-world.js";

interface DemoFlags {
  dataDir?: string;
  keep?: boolean;
}

const HELP = `
Needs root, for loop devices and mounts. Takes all that it made away again at the end, and when it fails or is stopped.

Exit code: 0 when every check held, 1 when one did not, 130 when it was stopped by Ctrl-C.`;

/** `granary demo`: the main job, end to end, on real loop devices and mounts. */
export function demoCommand(): Command {
  return new Command("demo")
    .description("show what granary does: a pool, a server and the manifests of examples/, in a folder of its own")
    .option("--data-dir <dir>", "a new or empty folder to work in (default: one under the temporary folder)")
    .option("--keep", "keep all of it running at the end, to look around, until Ctrl-C")
    .addHelpText("after", HELP)
    .action(demo);
}

async function demo(flags: DemoFlags): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new StorageError("failed-precondition", "the demo attaches loop devices and mounts them: run it as root");
  const startMs = Date.now();
  const screen = openScreen();
  const place = await makePlace(flags.dataDir);
  const stopped = stopSignals(screen);
  const world = new OwnedWorld(place.dataDir, screen, stopped.signal);
  const failed = await play(world, flags.keep ?? false).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (stopped.signal.aborted) screen.text("stopped");
  else if (failed !== undefined) screen.failed(messageOf(failed).split("\n")[0] ?? "");
  await cleanUp(world, place.created);
  if (failed === undefined) screen.text(`    in ${Math.round((Date.now() - startMs) / 1000)} s`);
  else if (stopped.signal.aborted) process.exitCode = 130;
  else throw new StorageError("internal", `the demo failed: ${messageOf(failed)}`);
}

/** Every step; settled when all is deleted again. @throws the first check that did not hold */
async function play(world: OwnedWorld, keep: boolean): Promise<void> {
  const { screen, signal, dataDir } = world;
  screen.text(
    "Granary, from a claim to a mounted disk, and objects over S3. A line with $ is a command to type yourself, after",
  );
  screen.text(`  export GRANARY_DATA_DIR=${dataDir}; alias granary="npx granary"`);
  for (const step of DEMO_STEPS) {
    signal.throwIfAborted();
    await step(world);
  }
  if (keep) {
    screen.step("Your turn: all of it runs until Ctrl-C");
    screen.text("    In another terminal, type the line at the top, and then for example");
    screen.text("    $ granary describe pvc database; granary get pods -o wide; granary doctor");
    await new Promise<void>((done) => signal.addEventListener("abort", () => done(), { once: true }));
    return;
  }
  await deleteAll(world);
}

/** Says what it takes away, and proves that nothing stays. @throws StorageError naming what could not be taken away */
async function cleanUp(world: OwnedWorld, created: boolean): Promise<void> {
  const { screen, dataDir } = world;
  screen.step("Clean up");
  await world.tidy();
  await world.removeFiles();
  if (created) await fs.rmdir(dataDir);
  screen.done(`the server has ended; no mount, loop device or file is left of ${dataDir}`);
}

/** `created`: the folder goes too at the end. @throws StorageError when a folder that was named holds anything */
async function makePlace(named: string | undefined): Promise<{ dataDir: string; created: boolean }> {
  if (named === undefined) {
    const dataDir = await fs.mkdtemp(join(tmpdir(), "granary-demo-"));
    // As `granary up` makes its data dir: pods reach their own folders in it, and can list none.
    await fs.chmod(dataDir, 0o711);
    return { dataDir: await fs.realpath(dataDir), created: true };
  }
  const path = resolve(named);
  const made = await fs.mkdir(path, { recursive: true, mode: 0o711 });
  if ((await fs.readdir(path)).length > 0)
    throw new StorageError(
      "failed-precondition",
      `--data-dir: ${path} is not empty; the demo removes all that is in it`,
    );
  return { dataDir: await fs.realpath(path), created: made !== undefined };
}

/** Aborts with the first signal; a later one must not end the cleanup halfway. */
function stopSignals(screen: Screen): AbortController {
  const controller = new AbortController();
  const stop = (name: string) => {
    if (controller.signal.aborted) screen.text("already cleaning up; this takes a moment");
    else controller.abort(new StorageError("cancelled", `stopped by ${name}`));
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, stop);
  // The reader of a pipe has gone: what is printed from here on is lost, the cleanup must not be.
  process.stdout.on("error", () => {
    if (!controller.signal.aborted) controller.abort(new StorageError("cancelled", "nobody reads the output"));
  });
  return controller;
}
