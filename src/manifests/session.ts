import type { status } from "@grpc/grpc-js";
import {
  CsiCallError,
  type CsiClient,
  type CsiRequest,
  type CsiResponse,
  type MethodName,
  type ServiceName,
} from "../runtime/csi-client.js";
import { type ConditionState, clearCondition, setCondition } from "./conditions.js";
import type { AnyObject, EventRecord, Kind, ObjectOf, ObjectStore } from "./objects.js";

/** What the objects are acted on with: every CSI service, wherever each one runs. */
export type CsiConnection = Pick<CsiClient, "call" | "close">;

export interface ReconcileOptions {
  dataDir: string;
  /** How long to go on repeating what may yet succeed. */
  timeoutMs: number;
  signal: AbortSignal;
  progress: (line: string) => void;
}

export interface Outcome {
  object: AnyObject;
  reason: string;
  message: string;
}

/** The host that pods run on, as its CSI node service describes itself. */
export interface NodeInfo {
  id: string;
  topology: Record<string, string>;
}

/** Nothing is wrong, but the object has to wait for another. */
export class Wait extends Error {
  constructor(
    readonly reason: string,
    message: string,
    readonly eventType: EventRecord["type"] = "Warning",
  ) {
    super(message);
  }
}

/** The object asks for what cannot be: it stays as it is until it is changed. */
export class Refusal extends Error {
  constructor(
    readonly reason: string,
    message: string,
  ) {
    super(message);
  }
}

// What external-provisioner takes as "the operation may still be going on"; any other code ends it.
const UNDECIDED: ReadonlySet<keyof typeof status> = new Set([
  "ABORTED",
  "CANCELLED",
  "DEADLINE_EXCEEDED",
  "UNAVAILABLE",
]);

/** Whether an operation may have happened, or happen yet, although its call failed. */
export const isUndecided = (error: unknown) => !(error instanceof CsiCallError) || UNDECIDED.has(error.code);

/** One kind of object, and the step that brings an object of it nearer to what it asks for. */
export interface Controller<K extends Kind> {
  kind: K;
  /** The reason that a failed CSI call is reported with. */
  failure: string;
  /** The condition that explains a wait or a failure of this step. */
  condition: Pick<ConditionState, "type" | "status">;
  /** Idempotent. @throws Wait, Refusal, CsiCallError */
  run(session: Session, object: ObjectOf[K]): Promise<void>;
}

/** One reconcile run: its objects, its connection, and what it found out so far. */
export class Session {
  changed = false;
  retry = false;
  waiting: Outcome[] = [];
  failed: Outcome[] = [];
  readonly #told = new Set<string>();
  readonly #endMs: number;

  constructor(
    readonly store: ObjectStore,
    readonly csi: Pick<CsiConnection, "call">,
    readonly options: ReconcileOptions,
    readonly node: NodeInfo,
  ) {
    this.#endMs = Date.now() + options.timeoutMs;
  }

  get remainingMs(): number {
    return this.#endMs - Date.now();
  }

  startPass(): void {
    this.changed = false;
    this.retry = false;
    this.waiting = [];
    this.failed = [];
  }

  /**
   * The loop repeats an undecided call in a later pass, so that others do not wait for it.
   *
   * @throws CsiCallError; the signal's reason as soon as it is aborted: the call may go on, as after a kill
   */
  async call<S extends ServiceName, M extends MethodName<S>>(
    service: S,
    method: M,
    request: CsiRequest<S, M>,
  ): Promise<CsiResponse<S, M>> {
    this.options.signal.throwIfAborted();
    const answer = this.csi.call(service, method, request, Math.max(this.remainingMs, 1000));
    return unlessAborted(answer, this.options.signal);
  }

  /** Applies `change` to a copy of what is stored now and stores that durably, if it is different at all. */
  async update<T extends AnyObject>(object: T, change: (draft: T) => void): Promise<T> {
    const { kind, metadata } = object;
    const stored = this.store.get(kind, metadata.namespace, metadata.name) as T | undefined;
    if (stored?.metadata.uid !== metadata.uid) throw new Wait("Replaced", `${show(object)} was deleted meanwhile`);
    const draft = structuredClone(stored) as T;
    change(draft);
    if (JSON.stringify(draft) === JSON.stringify(stored)) return draft;
    await this.store.put(draft);
    this.changed = true;
    return draft;
  }

  /** As `update`, for what is no progress in itself: a request that is about to fail must not cause another pass. */
  async note<T extends AnyObject>(object: T, change: (draft: T) => void): Promise<T> {
    const before = this.changed;
    const noted = await this.update(object, change);
    this.changed = before;
    return noted;
  }

  async create<T extends AnyObject>(object: T): Promise<T> {
    await this.store.put(object);
    this.changed = true;
    return object;
  }

  /** Takes a finalizer away, and with the last one of a deleted object the object itself. */
  async release(object: AnyObject, ...finalizers: string[]): Promise<void> {
    const left = await this.update(object, (draft) => {
      draft.metadata.finalizers = draft.metadata.finalizers.filter((name) => !finalizers.includes(name));
    });
    if (left.metadata.deletionTimestamp !== undefined && left.metadata.finalizers.length === 0) await this.remove(left);
  }

  async remove(object: AnyObject): Promise<void> {
    await this.store.remove(object);
    this.changed = true;
    this.options.progress(`${show(object)} deleted`);
  }

  /** Marks it as deleted; what holds it decides when it goes. */
  async requestDeletion(object: AnyObject): Promise<void> {
    await this.update(object, (draft) => {
      draft.metadata.deletionTimestamp ??= new Date().toISOString();
    });
  }

  /** Once a run, however many passes see the same. */
  async event(object: AnyObject, type: EventRecord["type"], reason: string, message: string): Promise<void> {
    const key = `${object.metadata.uid} ${reason} ${message}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    await this.store.event(object, type, reason, message);
    this.options.progress(`${show(object)}: ${message}`);
  }

  /** Runs one step for one object; whatever goes wrong stays with that object. */
  async step<K extends Kind>(controller: Controller<K>, object: ObjectOf[K]): Promise<void> {
    const { condition } = controller;
    try {
      await controller.run(this, object);
      await this.#amend(object, (draft) => clearCondition(draft, condition.type, condition.status));
    } catch (error) {
      this.options.signal.throwIfAborted();
      const undecided = error instanceof CsiCallError && isUndecided(error);
      const reason = error instanceof Wait || error instanceof Refusal ? error.reason : controller.failure;
      const message =
        error instanceof CsiCallError ? `${error.code}: ${error.details}` : error instanceof Error ? error.message : "";
      if (undecided) this.retry = true;
      const waits = undecided || error instanceof Wait;
      (waits ? this.waiting : this.failed).push({ object, reason, message });
      const stored = this.#stored(object);
      if (!stored) return;
      await this.event(stored, error instanceof Wait ? error.eventType : "Warning", reason, message);
      await this.#amend(object, (draft) => setCondition(draft, { ...condition, reason, message }));
    }
  }

  #stored<T extends AnyObject>(object: T): T | undefined {
    const stored = this.store.get(object.kind, object.metadata.namespace, object.metadata.name);
    return stored?.metadata.uid === object.metadata.uid ? (stored as T) : undefined;
  }

  async #amend<T extends AnyObject>(object: T, change: (draft: T) => void): Promise<void> {
    const stored = this.#stored(object);
    if (stored) await this.note(stored, change);
  }
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** `persistentvolumeclaim default/data`, as messages name an object. */
export function show(object: AnyObject): string {
  const { namespace, name } = object.metadata;
  return `${object.kind.toLowerCase()} ${namespace ? `${namespace}/` : ""}${name}`;
}

/** Adds finalizers before the work whose traces they guard. */
export function guard(object: AnyObject, ...finalizers: string[]): void {
  for (const name of finalizers) if (!object.metadata.finalizers.includes(name)) object.metadata.finalizers.push(name);
}
