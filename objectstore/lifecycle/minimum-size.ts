import { S3Error } from "../../src/errors/s3-error.js";
import type { Lifecycle } from "./rule.js";

export const MINIMUM_SIZE_HEADER = "x-amz-transition-default-minimum-object-size";

/** @throws S3Error InvalidRequest */
export function minimumSizeOf(headers: ReadonlyMap<string, string>): Lifecycle["minimumObjectSize"] {
  const text = headers.get(MINIMUM_SIZE_HEADER) ?? "all_storage_classes_128K";
  if (text === "all_storage_classes_128K" || text === "varies_by_storage_class") return text;
  throw new S3Error("InvalidRequest", `Invalid TransitionDefaultMinimumObjectSize found: ${text}`);
}
