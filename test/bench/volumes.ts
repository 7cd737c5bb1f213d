import { benchCopies } from "./copies.js";
import { benchDataPath } from "./data-path.js";
import { benchLifecycle } from "./lifecycle.js";
import { benchScale } from "./scale.js";
import { runVolumeBench } from "./volume-bench.js";

await runVolumeBench(
  "volumes",
  "Measures volumes on a real server and real devices, each against the same work without Granary, in one run. " +
    "Needs root, fio, and 8 GiB free under the temporary folder (TMPDIR). A target that is missed is told, and is " +
    "no failure; the exit code is 1 when something went wrong.",
  { "data-path": benchDataPath, lifecycle: benchLifecycle, copies: benchCopies, scale: benchScale },
);
