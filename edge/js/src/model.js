/** One graph in ONNX Runtime Web: histories in, items and scores out, on WASM with one thread. */

import { BundleError } from "./errors.js";

/** A module of one function that adds vectors: it validates where the runtime's instructions are known. */
const SIMD_PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

/** A graph that returns its input: the least that the runtime makes a session of. */
const IDENTITY = new Uint8Array([
  8, 8, 18, 0, 58, 55, 10, 16, 10, 1, 120, 18, 1, 121, 34, 8, 73, 100, 101, 110, 116, 105, 116, 121, 18, 1, 103, 90, 15, 10,
  1, 120, 18, 10, 10, 8, 8, 1, 18, 4, 10, 2, 8, 1, 98, 15, 10, 1, 121, 18, 10, 10, 8, 8, 1, 18, 4, 10, 2, 8, 1, 66, 4, 10, 0,
  16, 17,
]);

/** Whether this browser runs WASM with SIMD, which the runtime is built with. */
export function hasSimd() {
  return typeof WebAssembly === "object" && WebAssembly.validate(SIMD_PROBE);
}

/**
 * Load ONNX Runtime Web from beside this module, without threads: those need cross-origin isolation, and a run of
 * one request gains nothing from them. The runtime fetches and compiles its WASM for the first session, so one is made
 * here, while the bundle is under way.
 *
 * @param {string} url of `ort.wasm.min.mjs`; its WASM lies beside it
 * @returns {Promise<typeof import("onnxruntime-web")>}
 */
export async function loadRuntime(url) {
  const ort = await import(url);
  ort.env.wasm.wasmPaths = {
    mjs: new URL("ort-wasm-simd-threaded.mjs", url).href,
    wasm: new URL("ort-wasm-simd-threaded.wasm", url).href,
  };
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(IDENTITY, { executionProviders: ["wasm"] });
  await session.release();
  return ort;
}

export class Model {
  #ort;
  #session;
  /** The runtime takes one run of a session at a time. @type {Promise<unknown>} */
  #last = Promise.resolve();

  /** @param {typeof import("onnxruntime-web")} ort @param {import("onnxruntime-web").InferenceSession} session */
  constructor(ort, session) {
    this.#ort = ort;
    this.#session = session;
  }

  /**
   * A model, loaded and warm.
   *
   * @param {typeof import("onnxruntime-web")} ort
   * @param {Uint8Array} content the ONNX graph, verified
   * @param {{name: string, nItems: number}} expected
   * @throws {BundleError} it does not load, or knows other items than the catalogue
   */
  static async load(ort, content, { name, nItems }) {
    let model;
    let everything;
    try {
      const session = await ort.InferenceSession.create(content, { executionProviders: ["wasm"] });
      model = new Model(ort, session);
      everything = await model.recommend([1], [], nItems + 1);
    } catch (error) {
      throw new BundleError("unreadable", `${name} does not load: ${error.message}`, { cause: error });
    }
    const nKnown = everything.items.filter((number) => number > 0).length;
    if (nKnown !== nItems) {
      throw new BundleError("unreadable", `${name} knows ${nKnown} items; the catalogue has ${nItems}`);
    }
    return model;
  }

  /**
   * The best items for one user.
   *
   * @param {number[]} history item numbers, newest last, at least one; 0 is padding
   * @param {number[]} seen item numbers that must not come back
   * @param {number} k
   * @returns {Promise<{items: number[], scores: Float32Array}>} best first; number 0 where fewer remain
   * @throws {BundleError} the run failed
   */
  recommend(history, seen, k) {
    const run = this.#last.then(() => this.#run(history, seen, k)).catch((error) => {
      throw new BundleError("unreadable", `a model does not run: ${error.message}`, { cause: error });
    });
    this.#last = run.catch(() => {});
    return run;
  }

  async #run(history, seen, k) {
    const { items, scores } = await this.#session.run({
      history: this.#numbers(history, [1, history.length]),
      seen: this.#numbers(seen, [1, seen.length]),
      k: this.#numbers([k], [1]),
    });
    return { items: Array.from(items.data, Number), scores: scores.data };
  }

  /** @param {number[]} values @param {number[]} shape */
  #numbers(values, shape) {
    return new this.#ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape);
  }

  /** Give its memory back once nobody waits for it. */
  async release() {
    await this.#last;
    await this.#session.release();
  }
}
