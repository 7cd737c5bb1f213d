import type { AnyObject } from "./objects.js";

/*
 * CSI gives a new volume's or snapshot's id in the answer alone. A request that may have been carried out is therefore
 * kept on its object before it is sent, and repeated word for word (its name makes that idempotent) until its answer is
 * known: also when the object was deleted, or its class changed, in between. So nothing can be made and then forgotten.
 */
const REQUEST = "csi.granary.dev/request-in-flight";

/** The request that was sent and not yet answered for good. */
export function requestInFlight<R>(object: AnyObject): R | undefined {
  const text = object.metadata.annotations[REQUEST];
  return text === undefined ? undefined : (JSON.parse(text) as R);
}

export function recordRequest(object: AnyObject, request: object): void {
  object.metadata.annotations[REQUEST] = JSON.stringify(request);
}

export function forgetRequest(object: AnyObject): void {
  delete object.metadata.annotations[REQUEST];
}
