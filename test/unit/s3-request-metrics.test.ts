import { describe, expect, it } from "vitest";
import { addFigures, figuresText, RequestMetrics } from "../../objectstore/http/request-metrics.js";

describe("request metrics", () => {
  it("several processes' figures add up, and buckets are cumulative in the text", () => {
    const [a, b] = [new RequestMetrics(), new RequestMetrics()];
    a.observe("GetObject", 200, 0.0004, 10);
    a.observe("GetObject", 206, 0.002, 5);
    b.observe("GetObject", 200, 400, 1);
    b.observe("PutObject", 412, 0.01, 0);
    b.damaged();
    const text = figuresText(addFigures([a.figures(), b.figures()]));
    expect(text).toContain('granary_s3_request_duration_seconds_count{operation="GetObject",status="2xx"} 3');
    expect(text).toContain('_bucket{operation="GetObject",status="2xx",le="0.0005"} 1');
    expect(text).toContain('_bucket{operation="GetObject",status="2xx",le="60"} 2');
    expect(text).toContain('_bucket{operation="GetObject",status="2xx",le="+Inf"} 3');
    expect(text).toContain('granary_s3_sent_bytes_total{operation="GetObject",status="2xx"} 16');
    expect(text).toContain('granary_s3_request_duration_seconds_count{operation="PutObject",status="4xx"} 1');
    expect(text).toContain("granary_s3_damaged_reads_total 1");
  });

  it("adding leaves what was added as it was", () => {
    const a = new RequestMetrics();
    a.observe("GetObject", 200, 1, 1);
    addFigures([a.figures(), a.figures()]);
    expect(a.figures().operations["GetObject 2xx"]?.count).toBe(1);
  });
});
