import { S3Error } from "../src/errors/s3-error.js";
import { expectChildren, malformedXml, parseDocument, textOf } from "./xml/read.js";

/**
 * A `VersioningConfiguration` document.
 *
 * @throws S3Error MalformedXML, IllegalVersioningConfigurationException without a status, NotImplemented for MFA delete
 */
export function versioningFromXml(text: string): "enabled" | "suspended" {
  const root = parseDocument(text, "VersioningConfiguration");
  // Some clients write the second as MFADelete, which S3's schema has not; what they mean by it is the same.
  expectChildren(root, ["Status", "MfaDelete", "MFADelete"]);
  const mfaDelete = textOf(root, "MfaDelete") ?? textOf(root, "MFADelete") ?? "Disabled";
  if (mfaDelete === "Enabled") throw new S3Error("NotImplemented", "MFA delete is not implemented");
  if (mfaDelete !== "Disabled") throw malformedXml("MfaDelete is Enabled or Disabled");
  const status = textOf(root, "Status");
  if (status === undefined) {
    throw new S3Error("IllegalVersioningConfigurationException", "The Versioning element must be specified");
  }
  if (status === "Enabled") return "enabled";
  if (status === "Suspended") return "suspended";
  throw malformedXml("Status is Enabled or Suspended");
}
