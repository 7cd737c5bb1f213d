import { isOurs, volumeOf } from "./lookup.js";
import { attributesClass } from "./provision.js";
import type { Controller } from "./session.js";

/** Applies another VolumeAttributesClass to a bound claim's volume. */
export const attributesModifier: Controller<"PersistentVolumeClaim"> = {
  kind: "PersistentVolumeClaim",
  failure: "VolumeModifyFailed",
  condition: { type: "ModifyVolumeError", status: "True" },
  async run(session, claim) {
    const volume = volumeOf(session, claim);
    const name = claim.spec.volumeAttributesClassName;
    if (!volume || !isOurs(volume) || claim.metadata.deletionTimestamp !== undefined) return;
    if (!name || name === claim.status.currentVolumeAttributesClassName) return;
    const mutable_parameters = attributesClass(session, claim) ?? {};
    const volume_id = volume.spec.csi.volumeHandle;
    await session.call("Controller", "ControllerModifyVolume", { volume_id, mutable_parameters });
    await session.update(volume, (draft) => {
      draft.spec.volumeAttributesClassName = name;
    });
    await session.update(claim, (draft) => {
      draft.status.currentVolumeAttributesClassName = name;
    });
    await session.event(claim, "Normal", "VolumeModifySuccessful", `volume has the attributes of class ${name}`);
  },
};
