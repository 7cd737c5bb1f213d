import type { CephContext } from "../cluster.js";
import { isCode } from "./images.js";

/** An answer of the cluster that is asked for once for all who want it, and again when it has become too old. */
export class Fresh<T> {
  #answer: { value: Promise<T>; untilMs: number } | undefined;

  constructor(
    private readonly forMs: number,
    private readonly ask: (ctx: CephContext) => Promise<T>,
  ) {}

  async get(ctx: CephContext): Promise<T> {
    const known = this.#answer;
    if (!known || performance.now() >= known.untilMs) return this.renew(ctx);
    try {
      return await known.value;
    } catch (error) {
      // Who asked first ran out of time: that is not this one's end.
      if (ctx.signal.aborted || !isCode(error, "deadline-exceeded", "cancelled")) throw error;
      return this.get(ctx);
    }
  }

  renew(ctx: CephContext): Promise<T> {
    const value = this.ask(ctx);
    const answer = { value, untilMs: performance.now() + this.forMs };
    this.#answer = answer;
    // A failure is told to those who wait for it, and not kept.
    value.catch(() => {
      if (this.#answer === answer) this.#answer = undefined;
    });
    return value;
  }

  forget(): void {
    this.#answer = undefined;
  }
}
