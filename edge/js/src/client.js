/**
 * Recommendations from beside the user, and from the cloud where that is better: `decide.js` says when.
 *
 * The client is usable from the first moment: until a bundle is there the cloud answers.
 *
 * @typedef {import("./index.d.ts").Request} Request
 * @typedef {import("./index.d.ts").Answer} Answer
 */

import { Cloud } from "./cloud.js";
import { decide, fallBack, median, N_ROUND_TRIPS, serviceTimeS } from "./decide.js";
import { BundleError, CloudFailure, InvalidRequest, Unavailable } from "./errors.js";
import { EventSender } from "./events.js";
import { admitted } from "./filters.js";
import { randomId } from "./ids.js";
import { BundleKeeper } from "./keeper.js";
import { EventQueue } from "./queue.js";
import { Reports } from "./report.js";

export const VERSION = "0.1.0";
const KINDS = ["view", "click", "add", "purchase"];

export class EdgeClient extends EventTarget {
  #compareEvery;
  #clock;
  #cloud;
  #keeper;
  #queue;
  #sender;
  #reports = new Reports(VERSION);
  /** @type {number[]} */
  #roundTripsMs = [];
  #nLocal = 0;
  #lastOrder = 0;
  #closing = new AbortController();

  /** @param {import("./index.d.ts").Options} options @param {EventQueue} queue */
  constructor({ api, key, ort, runtimeUrl, compareEvery = 50, fetch = globalThis.fetch, clock }, queue) {
    super();
    const address = new URL(api, globalThis.location?.href).href.replace(/\/+$/, "");
    const onChange = () => this.#tell("change");
    this.#compareEvery = compareEvery;
    this.#clock = clock ?? { wall: () => Date.now() / 1e3, monotonic: () => performance.now() / 1e3 };
    this.#cloud = new Cloud({ api: address, key, fetch: (...request) => fetch(...request) });
    this.#keeper = new BundleKeeper({
      api: address,
      terms: this.#cloud.terms,
      clock: this.#clock,
      runtimeUrl: runtimeUrl ?? new URL("ort.wasm.min.mjs", import.meta.url).href,
      ort,
      onChange,
    });
    this.#queue = queue;
    this.#sender = new EventSender({
      cloud: this.#cloud,
      queue,
      reports: this.#reports,
      onDropped: (event, problem) => this.#tell("dropped", { event, problem }),
      onChange,
    });
  }

  /**
   * A client that answers from the cloud at once, and from here as soon as it can.
   *
   * @param {import("./index.d.ts").Options} options
   */
  static async open(options) {
    const queue = await EventQueue.open(`recserve-edge ${options.api}`);
    const client = new EdgeClient(options, queue);
    client.#start();
    return client;
  }

  #start() {
    this.#keeper.start();
    this.#sender.start();
    const { signal } = this.#closing;
    globalThis.addEventListener?.("online", () => this.#goOnline(), { signal });
    globalThis.document?.addEventListener(
      "visibilitychange",
      () => document.visibilityState === "hidden" && this.#sender.beacon(),
      { signal },
    );
  }

  /** Resolves when a bundle answers, or none can: `status()` says which. */
  async ready() {
    await this.#keeper.loaded;
    if (!this.#keeper.bundle) await this.update();
  }

  /**
   * Recommend to a user, for a history, or both: `history` is then the newer.
   *
   * @param {Request} [request]
   * @returns {Promise<Answer>}
   * @throws {InvalidRequest | Unavailable}
   */
  async recommend(request = {}) {
    const asked = understand(request);
    const startedMs = performance.now();
    const decision = decide(this.#situation(asked), asked);
    const answer =
      decision.by === "edge"
        ? await this.#askEdgeFirst(asked, startedMs)
        : await this.#askCloudFirst(asked, decision.reason, startedMs);
    answer.latency_ms = performance.now() - startedMs;
    this.#reports.count({
      by: answer.by,
      reason: answer.reason,
      latencyMs: answer.latency_ms,
      bundleVersion: this.#keeper.bundle?.manifest.version ?? "",
    });
    this.#tell("answer", answer);
    if (answer.by === "edge" && decision.by === "edge") this.#compareSome(asked, answer);
    return answer;
  }

  /**
   * Ask one side, whatever would be decided: for comparing them.
   *
   * @param {"edge" | "cloud"} by
   * @param {Request} [request]
   * @returns {Promise<Answer>}
   * @throws {InvalidRequest | Unavailable}
   */
  async ask(by, request = {}) {
    const asked = understand(request);
    const startedMs = performance.now();
    if (by === "edge" && !this.#keeper.bundle) throw new Unavailable(this.#keeper.error.message, "it was not asked");
    const ask = by === "edge" ? this.#askEdge(asked, { reason: "default", degraded: [] }) : this.#askCloud(asked, "default");
    const answer = await ask.catch((error) => {
      throw error instanceof CloudFailure ? new Unavailable("it was not asked", error.message) : error;
    });
    answer.latency_ms = performance.now() - startedMs;
    return answer;
  }

  async #askEdgeFirst(asked, startedMs) {
    try {
      return await this.#askEdge(asked, { reason: "default", degraded: [] });
    } catch (error) {
      if (!(error instanceof BundleError)) throw error;
      this.#keeper.drop(error);
      return this.#askCloudFirst(asked, "no_bundle", startedMs);
    }
  }

  async #askCloudFirst(asked, reason, startedMs) {
    try {
      return await this.#askCloud(asked, reason);
    } catch (error) {
      if (!(error instanceof CloudFailure)) throw error;
      const leftMs = (asked.deadline_ms ?? 2_000) - (performance.now() - startedMs);
      await Promise.race([this.#keeper.loaded, pause(Math.max(0, leftMs))]);
      const fallen = fallBack(this.#situation(asked), asked, error.failure);
      if (fallen.by === "none") throw new Unavailable(this.#keeper.error.message, error.message);
      return this.#askEdge(asked, fallen);
    }
  }

  async #askCloud(asked, reason) {
    const given = asked.history ?? [];
    const waiting = asked.user_id === undefined ? [] : this.#queue.waitingItems(asked.user_id);
    const startedMs = performance.now();
    const said = await this.#cloud.recommend(asked, [...waiting, ...given]);
    this.#roundTripsMs = [...this.#roundTripsMs, performance.now() - startedMs].slice(-N_ROUND_TRIPS);
    const { version } = said.model;
    if (version !== this.#keeper.bundle?.manifest.served_version) this.#keeper.updateSoon();
    return {
      items: said.items,
      by: "cloud",
      reason,
      version,
      degraded: said.degraded,
      basis: said.basis,
      recommendation_id: said.recommendation_id,
      ...(reason === "no_bundle" && { bundle_error: this.#keeper.error.code }),
      ...(said.note && { note: said.note }),
    };
  }

  async #askEdge(asked, { reason, degraded }) {
    const bundle = this.#keeper.bundle;
    const filters = asked.filters ?? asked.rules?.filters;
    const { items, basis } = await bundle.recommend([...this.#known(asked), ...(asked.history ?? [])], {
      k: asked.k,
      excludeSeen: asked.exclude_seen ?? !bundle.manifest.allow_repeats,
      mask: filters ? admitted(filters, bundle.catalogue) : null,
    });
    return { items, by: "edge", reason, version: bundle.manifest.version, degraded, basis };
  }

  /** Ask the cloud the same in the background, now and then: do they agree? */
  #compareSome(asked, answer) {
    this.#nLocal += 1;
    if (!this.#compareEvery || this.#nLocal % this.#compareEvery) return;
    if (globalThis.navigator?.onLine === false) return;
    const bundleVersion = answer.version;
    this.#askCloud(asked, "comparison").then(
      (cloud) => {
        const [ours, theirs] = [answer, cloud].map(({ items }) => items.slice(0, 10).map(({ id }) => id));
        const nShared = ours.filter((id) => theirs.includes(id)).length;
        this.#reports.compare({
          overlap: nShared / Math.max(ours.length, theirs.length, 1),
          isIdentical: String(ours) === String(theirs),
          bundleVersion,
        });
      },
      () => {}, // a comparison that does not come is none
    );
  }

  /**
   * Note what a user did: the next answer takes it into account, and the service is told.
   *
   * @param {import("./index.d.ts").Happening} happening
   * @returns {Promise<string>} the event's id, once it is kept
   */
  async record({ user_id, item_id, kind = "click", recommendation_id }) {
    if (!user_id || item_id === undefined) {
      throw new InvalidRequest("an event needs user_id and item_id; send both");
    }
    if (!KINDS.includes(kind)) throw new InvalidRequest(`kind: ${kind} is not known; send ${KINDS.join(", ")}`);
    const atS = serviceTimeS(this.#keeper.confirmed, this.#now());
    this.#lastOrder = Math.max(Date.now(), this.#lastOrder + 0.001);
    const event = {
      event_id: randomId(),
      user_id,
      item_id,
      kind,
      // Without a clock to trust, the service says when it came.
      ...(atS !== null && { at: new Date(atS * 1e3).toISOString() }),
      ...(recommendation_id && { recommendation_id }),
      order: this.#lastOrder,
    };
    await this.#queue.add(event);
    this.#tell("change");
    this.#sender.notice();
    return event.event_id;
  }

  /** Send what waits; resolves when it is sent, or when it cannot be. */
  flush() {
    return this.#sender.flush();
  }

  /** Forget all that this device knows of a user; the service is not told. @param {string} userId */
  async forget(userId) {
    await this.#queue.forget(userId);
    this.#tell("change");
  }

  /** Look for another bundle; resolves when it answers, or the one before goes on. */
  update() {
    return this.#keeper.update();
  }

  /** @returns {import("./index.d.ts").Status} */
  status() {
    const { bundle, confirmed, error, isKept, updateError } = this.#keeper;
    const manifest = bundle?.manifest;
    const files = manifest ? [manifest.model, manifest.popular, manifest.catalogue] : [];
    return {
      bundle_version: manifest?.version ?? "",
      served_version: manifest?.served_version ?? "",
      wire_bytes: files.reduce((sum, file) => sum + file.wire_bytes, 0),
      confirmed_at: confirmed ? new Date(confirmed.wall_s * 1e3) : null,
      is_kept: isKept,
      bundle_error: bundle ? "" : error.code,
      bundle_error_detail: bundle ? "" : error.message,
      update_error: (bundle && updateError?.message) || "",
      round_trip_ms: this.#roundTripsMs.length ? median(this.#roundTripsMs) : null,
      n_waiting: this.#queue.size,
      is_durable: this.#queue.isDurable,
    };
  }

  /** The catalogue of the bundle, as columns; null without one. */
  get catalogue() {
    return this.#keeper.bundle?.catalogue ?? null;
  }

  /** What this device knows that a user did, oldest first. @param {string} userId */
  history(userId) {
    return [...this.#queue.history(userId)];
  }

  /** End timers and listeners, and give the models' memory back. */
  async close() {
    this.#closing.abort();
    this.#sender.stop();
    await this.#keeper.stop();
    this.#queue.close();
  }

  #goOnline() {
    void this.update();
    void this.flush();
  }

  #now() {
    return { wall_s: this.#clock.wall(), monotonic_s: this.#clock.monotonic() };
  }

  /** @param {Request} asked */
  #situation(asked) {
    const manifest = this.#keeper.bundle?.manifest;
    return {
      bundle: manifest
        ? {
            ndcg_10: manifest.model.ndcg_10,
            served_ndcg_10: manifest.served_ndcg_10 ?? null,
            max_age_s: manifest.max_age_s,
          }
        : null,
      confirmed: this.#keeper.confirmed,
      now: this.#now(),
      round_trips_ms: this.#roundTripsMs,
      n_known_events: this.#known(asked).length,
    };
  }

  /** Items that this device knows the user of a request took. @param {Request} asked */
  #known(asked) {
    return asked.user_id === undefined ? [] : this.#queue.history(asked.user_id);
  }

  /** @param {string} type @param {object} [detail] */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** A request with what it leaves out. @param {Request} request @throws {InvalidRequest} */
function understand(request) {
  const asked = { k: 10, ...request };
  if (!Number.isInteger(asked.k) || asked.k < 1 || asked.k > 100) {
    throw new InvalidRequest(`k: ${asked.k} is not allowed; send an integer from 1 to 100`);
  }
  return asked;
}

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
