/** Upper bounds of the duration buckets, in seconds. */
export const BUCKETS_S = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const;

/** One operation with one class of status, of one process. */
export interface OperationFigures {
  count: number;
  seconds: number;
  sentBytes: number;
  /** Not cumulative: requests that took at most this bucket's bound and more than the one's before; the last has no bound. */
  buckets: number[];
}

/** Plain values, so that a worker can send them to the supervisor. Keys are `PutObject 2xx`. */
export interface RequestFigures {
  operations: Record<string, OperationFigures>;
  damaged: number;
  connections: number;
}

/**
 * What the requests of this process came to. Counted by hand: a histogram of the metrics library costs more than the
 * signature of a small request.
 */
export class RequestMetrics {
  readonly #operations = new Map<string, (OperationFigures | undefined)[]>();
  #damaged = 0;
  connections = 0;

  observe(operation: string, status: number, seconds: number, sentBytes: number): void {
    let classes = this.#operations.get(operation);
    if (!classes) {
      classes = [];
      this.#operations.set(operation, classes);
    }
    const statusClass = Math.floor(status / 100);
    let figures = classes[statusClass];
    if (!figures) {
      figures = { count: 0, seconds: 0, sentBytes: 0, buckets: new Array<number>(BUCKETS_S.length + 1).fill(0) };
      classes[statusClass] = figures;
    }
    figures.count++;
    figures.seconds += seconds;
    figures.sentBytes += sentBytes;
    let at = 0;
    while (at < BUCKETS_S.length && seconds > (BUCKETS_S[at] as number)) at++;
    figures.buckets[at] = (figures.buckets[at] as number) + 1;
  }

  /** A stored chunk did not have its checksum. */
  damaged(): void {
    this.#damaged++;
  }

  figures(): RequestFigures {
    const operations: Record<string, OperationFigures> = {};
    for (const [name, classes] of this.#operations)
      classes.forEach((figures, statusClass) => {
        if (figures) operations[`${name} ${statusClass}xx`] = figures;
      });
    return { operations, damaged: this.#damaged, connections: this.connections };
  }
}

/** The sum of what several processes counted, or one of them before it ended. */
export function addFigures(all: readonly RequestFigures[]): RequestFigures {
  const sum: RequestFigures = { operations: {}, damaged: 0, connections: 0 };
  for (const { operations, damaged, connections } of all) {
    sum.damaged += damaged;
    sum.connections += connections;
    for (const [key, figures] of Object.entries(operations)) {
      const into = sum.operations[key];
      if (!into) {
        sum.operations[key] = { ...figures, buckets: [...figures.buckets] };
        continue;
      }
      into.count += figures.count;
      into.seconds += figures.seconds;
      into.sentBytes += figures.sentBytes;
      figures.buckets.forEach((count, i) => {
        into.buckets[i] = (into.buckets[i] ?? 0) + count;
      });
    }
  }
  return sum;
}

/** Prometheus's text format. */
export function figuresText({ operations, damaged, connections }: RequestFigures): string {
  const lines = [
    "# HELP granary_s3_request_duration_seconds How long S3 requests took, by operation and status class",
    "# TYPE granary_s3_request_duration_seconds histogram",
  ];
  const sent = [
    "# HELP granary_s3_sent_bytes_total Bytes of response bodies",
    "# TYPE granary_s3_sent_bytes_total counter",
  ];
  for (const [key, figures] of Object.entries(operations)) {
    const [operation, status] = key.split(" ");
    const labels = `operation="${operation}",status="${status}"`;
    let below = 0;
    figures.buckets.forEach((count, i) => {
      below += count;
      lines.push(`granary_s3_request_duration_seconds_bucket{${labels},le="${BUCKETS_S[i] ?? "+Inf"}"} ${below}`);
    });
    lines.push(`granary_s3_request_duration_seconds_sum{${labels}} ${figures.seconds}`);
    lines.push(`granary_s3_request_duration_seconds_count{${labels}} ${figures.count}`);
    sent.push(`granary_s3_sent_bytes_total{${labels}} ${figures.sentBytes}`);
  }
  return [
    ...lines,
    ...sent,
    "# HELP granary_s3_damaged_reads_total Reads that met stored bytes without their checksum",
    "# TYPE granary_s3_damaged_reads_total counter",
    `granary_s3_damaged_reads_total ${damaged}`,
    "# HELP granary_s3_connections Open connections",
    "# TYPE granary_s3_connections gauge",
    `granary_s3_connections ${connections}`,
    "",
  ].join("\n");
}
