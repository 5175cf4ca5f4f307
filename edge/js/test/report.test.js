import assert from "node:assert/strict";
import { test } from "node:test";

import { bucketOf, Reports } from "../src/report.js";

function counted(n, { bundleVersion = "v1", latencyMs = () => 1 } = {}) {
  const reports = new Reports("0.1.0");
  for (let i = 0; i < n; i++) {
    reports.count({ by: "edge", reason: "default", latencyMs: latencyMs(i), bundleVersion });
  }
  return reports;
}

test("a bucket ends at a power of 1.2, which belongs to it", () => {
  assert.deepEqual([1, 1.2, 1.44, 1.45, 0.83].map(bucketOf), [0, 1, 2, 3, -1]);
});

test("latencies beyond all buckets fall into the last ones", () => {
  assert.deepEqual([0, 1e-9, 1e9].map(bucketOf), [-20, -20, 60]);
});

test("there is no report where there is nothing to say", () => assert.equal(new Reports("0.1.0").take(), null));

test("a report counts answers by who, why and how fast", () => {
  const reports = counted(3);
  reports.count({ by: "cloud", reason: "rules", latencyMs: 40, bundleVersion: "v1" });

  const { answers, client, bundle_version: bundle } = reports.take();

  assert.deepEqual(answers, [
    { by: "edge", reason: "default", bucket: 0, n: 3 },
    { by: "cloud", reason: "rules", bucket: 21, n: 1 },
  ]);
  assert.deepEqual([client, bundle], ["js", "v1"]);
});

test("a retry says the same, and what came since waits for the next report", () => {
  const reports = counted(1);
  const first = reports.take();
  reports.count({ by: "edge", reason: "default", latencyMs: 1, bundleVersion: "v1" });

  const retry = reports.take();
  reports.confirm();
  const next = reports.take();

  assert.deepEqual(retry, first);
  assert.notEqual(next.report_id, first.report_id);
  assert.equal(next.answers[0].n, 1);
});

test("a report speaks of one bundle", () => {
  const reports = counted(1);
  reports.count({ by: "edge", reason: "default", latencyMs: 1, bundleVersion: "v2" });

  const versions = [reports.take().bundle_version];
  reports.confirm();
  versions.push(reports.take().bundle_version);

  assert.deepEqual(versions, ["v1", "v2"]);
});

test("a report has 200 rows at most, and the rest is in the next", () => {
  const reports = new Reports("0.1.0");
  for (let i = 0; i < 250; i++) {
    reports.count({ by: "edge", reason: `r${i}`, latencyMs: 1, bundleVersion: "v1" });
  }

  const sizes = [reports.take().answers.length];
  reports.confirm();
  sizes.push(reports.take().answers.length);

  assert.deepEqual(sizes, [200, 50]);
});

test("comparisons travel once, with the sum of overlaps", () => {
  const reports = counted(1);
  reports.compare({ overlap: 1, isIdentical: true, bundleVersion: "v1" });
  reports.compare({ overlap: 0.8, isIdentical: false, bundleVersion: "v1" });

  assert.deepEqual(reports.take().comparisons, { n: 2, overlap_sum: 1.8, n_identical: 1 });
});
