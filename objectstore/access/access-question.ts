import type { Bucket } from "../../src/model/bucket.js";
import type { Authentication, Caller, GatewaySettings, Need, S3Request } from "../types.js";

/** One question of who may do what. All facts come in here: nothing is read from anywhere else. */
export interface AccessQuestion {
  readonly caller: Caller;
  /** The bucket that the need is about; undefined for the service, and for a bucket that is not there yet. */
  readonly bucket: Bucket | undefined;
  readonly need: Need;
  readonly request: S3Request;
  readonly auth: Authentication;
  readonly settings: Pick<GatewaySettings, "rootUserId" | "defaultOwnership" | "region">;
}
