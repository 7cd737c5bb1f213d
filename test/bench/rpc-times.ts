import type { Row, Section } from "./report.js";
import { percentile } from "./statistics.js";
import { timed } from "./world.js";

/** How long each call took, by the RPC's name, as the client saw it: the socket and both ends' coding included. */
export class RpcTimes {
  readonly #ms = new Map<string, number[]>();

  async call<T>(rpc: string, work: () => Promise<T>): Promise<T> {
    const { ms, answer } = await timed(work);
    const known = this.#ms.get(rpc);
    if (known) known.push(ms);
    else this.#ms.set(rpc, [ms]);
    return answer;
  }

  /** The calls so far were to warm up. */
  forget(): void {
    this.#ms.clear();
  }

  section(title: string, notes: readonly string[]): Section {
    const rows = [...this.#ms].map(
      ([rpc, ms]): Row => ({
        name: rpc,
        cells: [ms.length, percentile(ms, 50), percentile(ms, 99), percentile(ms, 100)],
      }),
    );
    return { title, columns: ["calls", "p50 ms", "p99 ms", "max ms"], rows, notes };
  }

  measurements(): Record<string, readonly number[]> {
    return Object.fromEntries([...this.#ms].map(([rpc, ms]) => [`${rpc}, ms`, ms]));
  }
}
