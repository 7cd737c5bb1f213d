import type { NodeVolume } from "../../node/node-state.js";
import { lookAt, type Presence } from "../../node/truth.js";
import { errorFinding, type Finding } from "../model/finding.js";

/** Where the node's record says that a volume is staged and published, against what the kernel shows there. */
export async function checkPlaces(volume: NodeVolume, presence: Presence): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [path, place] of Object.entries(volume.stages)) {
    const raw = place.access === "block";
    if (raw ? presence.devices.length > 0 : (await lookAt(path, presence)).type === "mount") continue;
    const what = `volume ${volume.volumeId} is recorded as staged there, and ${raw ? "has no device" : "is not mounted"}`;
    findings.push(errorFinding("stage-missing", path, what, "stage it again (NodeStageVolume), or unstage it"));
  }
  for (const [path, place] of Object.entries(volume.targets)) {
    if ((await lookAt(path, presence)).type === place.access) continue;
    const what = `volume ${volume.volumeId} is recorded as published there, and is not`;
    const next = "publish it again (NodePublishVolume), or unpublish it";
    findings.push(errorFinding("target-missing", path, what, next));
  }
  return findings;
}
