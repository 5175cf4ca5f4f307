/**
 * Sends what waits: in batches, at a time of its own choosing, until the service has confirmed it.
 *
 * An event leaves the queue only when a batch with it was answered 200; the service knows an event again by its id, so
 * what is sent twice counts once. A page that is hidden sends what waits as a beacon, of which nobody learns what became
 * of it, and keeps it.
 */

import { CloudFailure } from "./errors.js";

const MOST_EVENTS = 100;
const ENOUGH_EVENTS = 20;
const SEND_EVERY_MS = 30_000;
const REPORT_EVERY_MS = 600_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** The service will never take these; any other refusal may end. */
const REFUSED = new Set([400, 413, 415, 422]);

export class EventSender {
  #cloud;
  #queue;
  #reports;
  #onDropped;
  #onChange;
  #timer = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #notBefore = 0;
  #reportedAt = performance.now();
  /** @type {Promise<void> | null} */
  #sending = null;

  /**
   * @param {{cloud: import("./cloud.js").Cloud, queue: import("./queue.js").EventQueue, reports: import("./report.js").Reports,
   *   onDropped: (event: object, problem: string) => void, onChange: () => void}} parts
   */
  constructor({ cloud, queue, reports, onDropped, onChange }) {
    this.#cloud = cloud;
    this.#queue = queue;
    this.#reports = reports;
    this.#onDropped = onDropped;
    this.#onChange = onChange;
  }

  start() {
    this.#timer = setInterval(() => this.#sendIfDue(), SEND_EVERY_MS);
  }

  stop() {
    clearInterval(this.#timer);
  }

  /** An event was added: enough wait, or not yet. */
  notice() {
    if (this.#queue.size >= ENOUGH_EVENTS) this.#sendIfDue();
  }

  /** Send all that waits; resolves when it is sent, or when it cannot be. */
  flush() {
    this.#notBefore = 0;
    return this.#send();
  }

  /** Send what waits without waiting for it. */
  beacon() {
    const events = this.#queue.oldest(MOST_EVENTS);
    const report = this.#reports.take();
    if (events.length || report) this.#cloud.beacon("events", content(events, report));
  }

  #sendIfDue() {
    const isReportDue = performance.now() - this.#reportedAt >= REPORT_EVERY_MS;
    if (performance.now() >= this.#notBefore && (this.#queue.size || isReportDue)) void this.#send();
  }

  #send() {
    this.#sending ??= alone(() => this.#sendAll())
      .catch((error) => this.#pause(error))
      .finally(() => {
        this.#sending = null;
        this.#onChange();
      });
    return this.#sending;
  }

  /** One page of this origin sends at a time; what the others sent meanwhile is no longer there. */
  async #sendAll() {
    await this.#queue.refresh();
    do {
      const events = this.#queue.oldest(MOST_EVENTS);
      const report = this.#reports.take();
      if (!events.length && !report) return;
      await this.#sendBatch(events, report);
      this.#pauseMs = FIRST_PAUSE_MS;
      this.#onChange();
    } while (this.#queue.size);
  }

  /** Send a batch, and where it is refused its halves: a bad event must not keep the others. */
  async #sendBatch(events, report) {
    const response = await this.#cloud.post("events", content(events, report));
    if (response.ok) {
      if (report) this.#confirmReport();
      await this.#queue.remove(events.map((event) => event.event_id));
    } else if (!REFUSED.has(response.status)) {
      throw new CloudFailure("cloud_error", `events: status ${response.status}`);
    } else if (report) {
      this.#confirmReport(); // a service that knows no reports refuses the field, and will again
      if (events.length) await this.#sendBatch(events, null);
    } else if (events.length > 1) {
      const middle = events.length >> 1;
      await this.#sendBatch(events.slice(0, middle), null);
      await this.#sendBatch(events.slice(middle), null);
    } else {
      const problem = await response.json().catch(() => ({}));
      await this.#queue.remove([events[0].event_id]);
      this.#onDropped(withoutOrder(events[0]), problem.detail ?? `status ${response.status}`);
    }
  }

  #confirmReport() {
    this.#reports.confirm();
    this.#reportedAt = performance.now();
  }

  #pause(error) {
    if (!(error instanceof CloudFailure)) throw error;
    const pauseMs = Math.max(error.retryAfterMs ?? 0, this.#pauseMs * (0.5 + Math.random()));
    this.#notBefore = performance.now() + pauseMs;
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
  }
}

/** @param {import("./index.d.ts").WaitingEvent[]} events @param {object | null} report */
function content(events, report) {
  return { events: events.map(withoutOrder), ...(report && { edge: report }) };
}

/** An event as the service knows it. @param {import("./index.d.ts").WaitingEvent} waiting */
function withoutOrder({ order: _, ...event }) {
  return event;
}

/** Run while no other page of this origin does. @param {() => Promise<void>} work @returns {Promise<void>} */
async function alone(work) {
  return navigator.locks ? navigator.locks.request("recserve-edge-events", work) : work();
}
