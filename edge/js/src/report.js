/**
 * What the operator is told of answers given here: counts by who answered, why and how fast, no user and no item.
 *
 * Latencies go to logarithmic buckets: bucket b holds (1.2^(b-1), 1.2^b] ms, so that counts of many clients add up to
 * one distribution. A report that was taken stays as it is until it is confirmed, so a retry says the same.
 */

import { randomId } from "./ids.js";

const BASE = 1.2;
const LEAST_BUCKET = -20;
const MOST_BUCKET = 60;
/** So many rows go into one report; the others wait for the next. */
const MOST_ROWS = 200;

/** The bucket of a latency. @param {number} latencyMs */
export function bucketOf(latencyMs) {
  const bucket = Math.ceil(Math.log(latencyMs) / Math.log(BASE) - 1e-9) || 0; // 1.44 comes out above 2, 1 as -0
  return Math.min(MOST_BUCKET, Math.max(LEAST_BUCKET, bucket));
}

export class Reports {
  #clientVersion;
  /** @type {Map<string, {rows: Map<string, object>, comparisons: object | null}>} tallies by bundle version */
  #tallies = new Map();
  #taken = null;

  /** @param {string} clientVersion */
  constructor(clientVersion) {
    this.#clientVersion = clientVersion;
  }

  /** @param {{by: string, reason: string, latencyMs: number, bundleVersion: string}} answer */
  count({ by, reason, latencyMs, bundleVersion }) {
    const { rows } = this.#tally(bundleVersion);
    const bucket = bucketOf(latencyMs);
    const key = `${by} ${reason} ${bucket}`;
    const row = rows.get(key) ?? { by, reason, bucket, n: 0 };
    row.n += 1;
    rows.set(key, row);
  }

  /** @param {{overlap: number, isIdentical: boolean, bundleVersion: string}} comparison of a list with the cloud's */
  compare({ overlap, isIdentical, bundleVersion }) {
    const tally = this.#tally(bundleVersion);
    tally.comparisons ??= { n: 0, overlap_sum: 0, n_identical: 0 };
    tally.comparisons.n += 1;
    tally.comparisons.overlap_sum += overlap;
    tally.comparisons.n_identical += isIdentical ? 1 : 0;
  }

  /** The report to send, the same until it is confirmed; null when there is nothing to say. */
  take() {
    if (this.#taken) return this.#taken;
    const [first] = this.#tallies;
    if (!first) return null;
    const [bundleVersion, { rows, comparisons }] = first;
    const taken = [...rows].slice(0, MOST_ROWS);
    for (const [key] of taken) rows.delete(key);
    if (rows.size) this.#tally(bundleVersion).comparisons = null;
    else this.#tallies.delete(bundleVersion);
    this.#taken = {
      report_id: randomId(),
      client: "js",
      client_version: this.#clientVersion,
      bundle_version: bundleVersion,
      answers: taken.map(([, row]) => row),
      ...(comparisons && { comparisons }),
    };
    return this.#taken;
  }

  /** The report that was taken has arrived, or never will. */
  confirm() {
    this.#taken = null;
  }

  #tally(bundleVersion) {
    let tally = this.#tallies.get(bundleVersion);
    if (!tally) {
      tally = { rows: new Map(), comparisons: null };
      this.#tallies.set(bundleVersion, tally);
    }
    return tally;
  }
}
