/** The service, over HTTP: what is asked, how long it is waited for, and what it means when nothing comes. */

import { CloudFailure, InvalidRequest } from "./errors.js";

const PATIENCE_MS = 2_000;
/** The caller's mistakes; the edge would not answer them better. */
const MISTAKES = new Set([400, 413, 415, 422]);

export class Cloud {
  #api;
  #key;
  #fetch;

  /** @param {{api: string, key?: string, fetch: typeof fetch}} options */
  constructor({ api, key, fetch }) {
    this.#api = api;
    this.#key = key;
    this.#fetch = fetch;
  }

  /** What every request carries. @returns {{headers: Record<string, string>, fetch: typeof fetch}} */
  get terms() {
    return { headers: this.#key ? { "x-functions-key": this.#key } : {}, fetch: this.#fetch };
  }

  /**
   * @param {import("./index.d.ts").Request} request
   * @param {(number | string)[]} history newest last
   * @returns {Promise<import("./index.d.ts").CloudRecommendations>}
   * @throws {CloudFailure | InvalidRequest}
   */
  async recommend({ user_id, k, rules, filters, exclude_seen, deadline_ms }, history) {
    const body = { user_id, history, k, exclude_seen, rules: filters ? { ...rules, filters } : rules };
    const headers = deadline_ms ? { "x-recserve-deadline-ms": String(Math.ceil(deadline_ms)) } : {};
    const response = await this.post("recommend", body, { headers, patienceMs: deadline_ms });
    if (response.ok) return this.#read(response);
    const problem = await response.json().catch(() => ({}));
    if (MISTAKES.has(response.status)) {
      throw new InvalidRequest(problem.detail ?? `the service refuses the request: ${response.status}`, problem);
    }
    throw new CloudFailure("cloud_error", `recommend: status ${response.status}`);
  }

  /**
   * @param {string} path below the API
   * @param {object} body
   * @param {{headers?: Record<string, string>, patienceMs?: number}} [options]
   * @returns {Promise<Response>} any status but those of a service that is too busy or broken
   * @throws {CloudFailure}
   */
  async post(path, body, { headers = {}, patienceMs = PATIENCE_MS } = {}) {
    if (globalThis.navigator?.onLine === false) throw new CloudFailure("offline", "there is no network");
    let response;
    try {
      response = await this.#fetch(`${this.#api}/${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", ...this.terms.headers, ...headers },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(patienceMs),
      });
    } catch (error) {
      throw failureOf(error);
    }
    if (response.status === 429) {
      const failure = new CloudFailure("cloud_busy", "the service is too busy");
      failure.retryAfterMs = 1e3 * Number(response.headers.get("retry-after") ?? 0) || 0;
      throw failure;
    }
    if (response.status >= 500) throw new CloudFailure("cloud_error", `${path}: status ${response.status}`);
    return response;
  }

  /** Send without learning what became of it. @param {string} path @param {object} body */
  beacon(path, body) {
    const url = `${this.#api}/${path}${this.#key ? `?code=${encodeURIComponent(this.#key)}` : ""}`;
    globalThis.navigator?.sendBeacon?.(url, new Blob([JSON.stringify(body)], { type: "application/json" }));
  }

  async #read(response) {
    try {
      return await response.json();
    } catch (error) {
      throw failureOf(error);
    }
  }
}

/** What an exception of `fetch` says of the way to the service. @param {Error} error */
function failureOf(error) {
  if (error.name === "TimeoutError") return new CloudFailure("cloud_timeout", "the service took too long");
  if (error instanceof SyntaxError) return new CloudFailure("cloud_error", "the service's answer is not JSON");
  return new CloudFailure("offline", `the service cannot be reached: ${error.message}`);
}
