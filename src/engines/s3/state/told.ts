/** What changed in the reserved bucket. */
export type StateChange = { readonly kind: "users" } | { readonly kind: "bucket"; readonly name: string };

/**
 * The other processes of one gateway, which are told of a change before it is answered: a client that has its answer may
 * come to any of them next. Other gateways learn of it from the upstream, within a second.
 */
export interface Told {
  /** Settles when they know, or after a second, by which time they know from the upstream. Never rejects. */
  changed(change: StateChange): Promise<void>;
}

/** A gateway of one process. */
export const NOBODY_ELSE: Told = { changed: () => Promise.resolve() };
