/**
 * Holds the bundle that answers, and exchanges it: first what an earlier visit kept, then what the service offers.
 *
 * An exchange is one assignment, after the next bundle was verified, loaded and asked once. Whatever fails before that
 * leaves the former bundle as it is, and is told by `updateError`; without a former one by `error`.
 */

import { Bundle, BundleStore, fetchFiles, fetchManifest } from "./bundle.js";
import { BundleError } from "./errors.js";
import { hasSimd, loadRuntime } from "./model.js";

const UPDATE_EVERY_MS = 3_600_000;
/** However much speaks for a look, the next one is not sooner; each that fails doubles it. */
const LEAST_PAUSE_MS = 60_000;

export class BundleKeeper {
  /** @type {Bundle | null} */
  bundle = null;
  /** When the service last said that this is its bundle. @type {import("./index.d.ts").Confirmation | null} */
  confirmed = null;
  /** Whether the bundle outlives the page. */
  isKept = false;
  /** Why there is none. */
  error = new BundleError("not_loaded", "the bundle is being loaded");
  /** Why the last update failed. @type {Error | null} */
  updateError = null;
  /** What an earlier visit kept has been tried. @type {Promise<void>} */
  loaded = Promise.resolve();
  #api;
  #terms;
  #clock;
  #runtimeUrl;
  #ort;
  #store;
  #onChange;
  #timer = 0;
  /** @type {Promise<void> | null} */
  #updating = null;
  #updatedAtMs = -Infinity;
  #pauseMs = LEAST_PAUSE_MS;

  /**
   * @param {{api: string, terms: RequestInit & {fetch: typeof fetch}, clock: {wall(): number, monotonic(): number},
   *   runtimeUrl: string, ort?: typeof import("onnxruntime-web"), onChange: () => void}} parts
   */
  constructor({ api, terms, clock, runtimeUrl, ort, onChange }) {
    this.#api = api;
    this.#terms = terms;
    this.#clock = clock;
    this.#runtimeUrl = runtimeUrl;
    this.#ort = ort;
    this.#store = new BundleStore(api);
    this.#onChange = onChange;
  }

  start() {
    this.loaded = this.#loadKept();
    this.#timer = setInterval(() => void this.update(), UPDATE_EVERY_MS);
    void this.loaded.then(() => this.update());
  }

  async stop() {
    clearInterval(this.#timer);
    await this.loaded;
    await this.#updating;
    const { bundle } = this;
    this.bundle = null;
    await bundle?.release();
  }

  /** Look for another bundle; resolves when it answers, or the one before goes on. */
  update() {
    this.#updating ??= this.#update()
      .catch((error) => this.#goOn(error))
      .finally(() => {
        this.#updating = null;
        this.#onChange();
      });
    return this.#updating;
  }

  /** The same, unless that was done a moment ago. */
  updateSoon() {
    if (performance.now() - this.#updatedAtMs >= this.#pauseMs) void this.update();
  }

  /** A bundle that failed answers no more; another may come with the next update. @param {BundleError} error */
  drop(error) {
    this.bundle = null;
    this.error = error;
    this.#onChange();
  }

  async #loadKept() {
    if (!hasSimd()) {
      this.error = new BundleError("no_simd", "this browser does not run WebAssembly with SIMD");
      return;
    }
    try {
      const kept = globalThis.caches ? await this.#store.load() : null;
      if (!kept) return;
      this.bundle = await Bundle.open(kept.manifest, kept.contents, await this.#runtime());
      this.confirmed = kept.confirmed;
      this.isKept = true;
      this.#onChange();
    } catch (error) {
      this.#goOn(error); // it is fetched again
    }
  }

  async #update() {
    if (!hasSimd() || globalThis.navigator?.onLine === false) return;
    this.#updatedAtMs = performance.now();
    const manifest = await fetchManifest(`${this.#api}/edge/manifest`, this.#terms);
    const confirmed = {
      wall_s: this.#clock.wall(),
      monotonic_s: this.#clock.monotonic(),
      service_s: Date.parse(manifest.at) / 1e3,
    };
    if (this.bundle && hasSameFiles(this.bundle.manifest, manifest)) {
      this.bundle.manifest = manifest;
      this.confirmed = confirmed;
      if (this.isKept) await this.#store.confirm(manifest, confirmed).catch(() => {});
    } else {
      await this.#exchange(manifest, confirmed);
    }
    this.updateError = null;
    this.#pauseMs = LEAST_PAUSE_MS;
  }

  async #exchange(manifest, confirmed) {
    const fetching = fetchFiles(manifest, `${this.#api}/edge/files/`, this.#terms);
    const [contents, ort] = await Promise.all([fetching, this.#runtime()]);
    const next = await Bundle.open(manifest, contents, ort);
    const isKept = await this.#keep(manifest, confirmed, contents);
    const former = this.bundle;
    [this.bundle, this.confirmed, this.isKept] = [next, confirmed, isKept];
    void former?.release();
  }

  /** Whether a bundle could be kept; a full or forbidden storage leaves it in memory. */
  async #keep(manifest, confirmed, contents) {
    try {
      await this.#store.save(manifest, confirmed, contents);
      return true;
    } catch {
      return false;
    }
  }

  /** @param {Error} error */
  #goOn(error) {
    this.updateError = error;
    this.#pauseMs = Math.min(2 * this.#pauseMs, UPDATE_EVERY_MS);
    if (this.bundle) return;
    this.error =
      error instanceof BundleError ? error : new BundleError("unreadable", error.message, { cause: error });
  }

  async #runtime() {
    try {
      this.#ort ??= await loadRuntime(this.#runtimeUrl);
    } catch (error) {
      throw new BundleError("unreadable", `ONNX Runtime Web does not load: ${error.message}`, { cause: error });
    }
    return this.#ort;
  }
}

/** Whether two manifests name the same files. */
function hasSameFiles(one, other) {
  return ["model", "popular", "catalogue"].every((part) => one[part].sha256 === other[part].sha256);
}
