import { invalid, StorageError } from "../errors/storage-error.js";
import type { VolumeKind } from "../model/volume.js";
import { parseId } from "../model/volume-id.js";
import type { Context, VolumeEngine } from "./types.js";

/** The engines of one Ceph cluster, by the kind of volume that each stores. */
export interface ClusterEngines {
  block: VolumeEngine;
  shared: VolumeEngine | null;
}

/** Every volume engine of this controller, and which of them a class or an id means. */
export class EngineSet {
  readonly all: readonly VolumeEngine[];

  constructor(
    readonly local: VolumeEngine | null,
    private readonly clusters: ReadonlyMap<string, ClusterEngines> = new Map(),
  ) {
    const ofClusters = [...clusters.values()].flatMap(({ block, shared }) => (shared ? [block, shared] : [block]));
    this.all = local ? [local, ...ofClusters] : ofClusters;
  }

  /** The engine that made the id; undefined for what none of them made. */
  forId(id: string): VolumeEngine | undefined {
    const found = parseId(id);
    if (!found) return undefined;
    if (found.engine === "l") return this.local ?? undefined;
    const cluster = this.clusters.get(found.parts[0]?.split(".")[0] ?? "");
    return (found.engine === "r" ? cluster?.block : cluster?.shared) ?? undefined;
  }

  /**
   * The engine that a StorageClass asks for: of the `cluster` that it names, else the local one.
   *
   * @throws StorageError invalid-argument naming the parameter
   */
  forClass(parameters: Readonly<Record<string, string>>, kind: VolumeKind): VolumeEngine {
    const name = parameters.cluster ?? "";
    if (name === "") {
      if (this.local) return this.local;
      throw invalid(`parameters: cluster is required, one of ${this.#names()}: this controller has no pool of its own`);
    }
    const cluster = this.clusters.get(name);
    if (!cluster) {
      const known = this.clusters.size === 0 ? "the config has no clusters" : `the config has ${this.#names()}`;
      throw invalid(`parameters[cluster]: ${JSON.stringify(name)} is not known; ${known}`);
    }
    const engine = kind === "block" ? cluster.block : cluster.shared;
    if (!engine)
      throw invalid(`parameters[cluster]: ${name} has no filesystem in the config, which a shared volume needs`);
    return engine;
  }

  /** The first that any engine answers, `first` before the others: one that does not answer hides nothing of the rest. */
  async find<T>(
    ctx: Context,
    first: VolumeEngine | undefined,
    ask: (engine: VolumeEngine) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const found = first && (await ask(first));
    if (found !== undefined) return found;
    const others = this.all.filter((engine) => engine !== first);
    const answers = await Promise.all(
      others.map((engine) =>
        ask(engine).catch((error: unknown) => {
          if (!(error instanceof StorageError) || error.code !== "unavailable") throw error;
          ctx.log.warn({ engine: engine.title, error: error.message }, "an engine does not answer");
          return undefined;
        }),
      ),
    );
    return answers.find((answer) => answer !== undefined);
  }

  #names(): string {
    return [...this.clusters.keys()].join(", ");
  }
}
