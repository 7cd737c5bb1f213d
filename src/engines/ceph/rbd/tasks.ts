import { z } from "zod";
import type { CephCluster, CephContext } from "../cluster.js";
import { Fresh } from "./fresh.js";
import { imageSpec, type Place, placeSpec } from "./images.js";

const TaskAnswer = z.array(
  z.object({
    refs: z.object({
      action: z.string(),
      pool_name: z.string(),
      pool_namespace: z.string().optional(),
      image_name: z.string().optional(),
      image_id: z.string().optional(),
    }),
    progress: z.number().optional(),
    retry_message: z.string().optional(),
  }),
);

export interface Task {
  action: string;
  pool: string;
  namespace: string;
  /** The image's name where it has one, and its id. */
  names: readonly string[];
  /** 0 to 1; 0 for one that waits for its turn. */
  progress: number;
  /** Why it is tried again; "" where it is not. */
  trouble: string;
}

const TASKS_MS = 3_000;

/**
 * Long work that Ceph's manager does by itself (its module rbd_support): it goes on when every controller is dead, one
 * task at a time, and any controller sees how far it is.
 */
export class Tasks {
  readonly #list: Fresh<Task[]>;

  constructor(private readonly cluster: CephCluster) {
    this.#list = new Fresh(TASKS_MS, async (ctx) => {
      const answer = TaskAnswer.parse((await cluster.json(ctx, "ceph", ["rbd", "task", "list"])) ?? []);
      return answer.map(({ refs, progress = 0, retry_message: trouble = "" }) => ({
        ...{ action: refs.action, pool: refs.pool_name, namespace: refs.pool_namespace ?? "" },
        names: [refs.image_name, refs.image_id].filter((name) => name !== undefined),
        ...{ progress, trouble },
      }));
    });
  }

  /** Asked for again is fine: it is one task then. */
  async flatten(ctx: CephContext, place: Place, image: string): Promise<void> {
    await this.cluster.run(ctx, "ceph", ["rbd", "task", "add", "flatten", imageSpec(place, image)]);
    this.#list.forget();
  }

  async removeTrashed(ctx: CephContext, place: Place, imageId: string): Promise<void> {
    await this.cluster.run(ctx, "ceph", ["rbd", "task", "add", "trash", "remove", `${placeSpec(place)}/${imageId}`]);
    this.#list.forget();
  }

  /** @param image its name, or its id where it is in the trash */
  async find(
    ctx: CephContext,
    action: "flatten" | "trash remove",
    place: Place,
    image: string,
  ): Promise<Task | undefined> {
    const tasks = await this.#list.get(ctx);
    return tasks.find(
      (task) =>
        task.action === action &&
        task.pool === place.pool &&
        task.namespace === place.namespace &&
        task.names.includes(image),
    );
  }
}
