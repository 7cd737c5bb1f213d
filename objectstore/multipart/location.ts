import { percentEncode } from "../http/percent.js";
import type { S3Request } from "../types.js";

/** Where an object is, as the client would ask for it: CompleteMultipartUpload's and PostObject's Location. */
export function locationOf(request: S3Request, bucket: string, key: string): string {
  const host = request.headers.get("host") ?? "localhost";
  const path = percentEncode(Buffer.from(key, "utf8"), "kept");
  const within = request.virtualHosted ? "" : `${bucket}/`;
  return `${request.secure ? "https" : "http"}://${host}/${within}${path}`;
}
