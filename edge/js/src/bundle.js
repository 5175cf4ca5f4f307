/**
 * The bundle: model, popular list and catalogue that belong together, verified, and kept for the next visit.
 *
 * A bundle is whole or it is not there. Files are fetched and verified first; then they go to a cache of their own
 * version, and last one entry names that version: before it is written the former bundle stands, after it the new one.
 * What was kept is verified again when it is loaded, since others can write to this storage.
 */

import { Catalogue } from "./catalogue.js";
import { BundleError } from "./errors.js";
import { Model } from "./model.js";

const FORMAT = 1;
const INDEX = "recserve-edge";
const FILES = ["model", "popular", "catalogue"];

/** A verified bundle that can answer. */
export class Bundle {
  /** @param {import("./index.d.ts").Manifest} manifest @param {{model: Model, popular: Model, catalogue: Catalogue}} parts */
  constructor(manifest, { model, popular, catalogue }) {
    this.manifest = manifest;
    this.catalogue = catalogue;
    this.#model = model;
    this.#popular = popular;
  }
  #model;
  #popular;

  /**
   * @param {import("./index.d.ts").Manifest} manifest
   * @param {Record<string, Uint8Array>} contents by part, verified
   * @param {typeof import("onnxruntime-web")} ort
   * @throws {BundleError}
   */
  static async open(manifest, contents, ort) {
    const nItems = manifest.n_items;
    const catalogue = Catalogue.decode(contents.catalogue, nItems);
    const model = await Model.load(ort, contents.model, { name: manifest.model.name, nItems });
    const popular = await Model.load(ort, contents.popular, { name: manifest.popular.name, nItems });
    return new Bundle(manifest, { model, popular, catalogue });
  }

  /**
   * The best items for a history, as the service answers it from the same files.
   *
   * @param {(number | string)[]} itemIds oldest first; those that the catalogue lacks count for nothing
   * @param {{k: number, excludeSeen: boolean, mask: Uint8Array | null}} options mask: the items that may be shown
   */
  async recommend(itemIds, { k, excludeSeen, mask }) {
    const numbers = this.catalogue.knownNumbers(itemIds);
    const history = numbers.slice(-this.manifest.max_history);
    const graph = numbers.length ? this.#model : this.#popular;
    const size = mask ? this.manifest.n_items : Math.min(k, this.manifest.n_items);
    const { items, scores } = await graph.recommend(history.length ? history : [0], excludeSeen ? numbers : [], size);
    const shown = [];
    for (let place = 0; place < items.length && shown.length < k; place++) {
      const number = items[place];
      if (number === 0) break;
      if (mask && !mask[number]) continue;
      shown.push({
        id: this.catalogue.ids[number - 1],
        title: this.catalogue.titles[number - 1],
        score: Math.round(scores[place] * 1e4) / 1e4,
      });
    }
    return { items: shown, basis: numbers.length ? "history" : itemIds.length ? "no_known_items" : "empty_history" };
  }

  async release() {
    await Promise.all([this.#model.release(), this.#popular.release()]);
  }
}

/**
 * Ask for the manifest. Past the browser's cache: what that revalidates keeps the old body, and the service's clock
 * stands in the body.
 *
 * @param {string} url
 * @param {RequestInit & {fetch: typeof fetch}} options
 * @returns {Promise<import("./index.d.ts").Manifest>}
 * @throws {BundleError}
 */
export async function fetchManifest(url, { fetch, ...init }) {
  let manifest;
  try {
    const response = await fetch(url, { ...init, cache: "no-store" });
    if (!response.ok) throw new Error(`${url} answers ${response.status}`);
    manifest = await response.json();
  } catch (error) {
    throw new BundleError("manifest_unavailable", `no manifest: ${error.message}`, { cause: error });
  }
  if (manifest.format !== FORMAT) {
    throw new BundleError(
      "unknown_format",
      `the manifest has format ${manifest.format}; this client reads format ${FORMAT}: load a newer one`,
    );
  }
  return manifest;
}

/**
 * Fetch and verify every file of a bundle.
 *
 * @param {import("./index.d.ts").Manifest} manifest
 * @param {string} filesUrl what file names are put behind
 * @param {RequestInit & {fetch: typeof fetch}} options
 * @returns {Promise<Record<string, Uint8Array>>} by part
 * @throws {BundleError}
 */
export async function fetchFiles(manifest, filesUrl, { fetch, ...init }) {
  const load = async (part) => {
    const { name } = manifest[part];
    let content;
    try {
      const response = await fetch(filesUrl + name, init);
      if (!response.ok) throw new Error(`status ${response.status}`);
      content = new Uint8Array(await response.arrayBuffer());
    } catch (error) {
      throw new BundleError("incomplete", `${name} did not come whole: ${error.message}`, { cause: error });
    }
    await verify(manifest[part], content);
    return [part, content];
  };
  return Object.fromEntries(await Promise.all(FILES.map(load)));
}

/** @param {import("./index.d.ts").ManifestFile} file @param {Uint8Array} content @throws {BundleError} */
async function verify(file, content) {
  if (!globalThis.crypto?.subtle) {
    throw new BundleError("insecure_context", "a page without HTTPS cannot verify files; serve it over HTTPS");
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== file.sha256) {
    throw new BundleError(
      "tampered",
      `${file.name} is not what the manifest names: SHA-256 ${found.slice(0, 12)}..., not ${file.sha256.slice(0, 12)}...`,
    );
  }
}

/** Bundles in Cache Storage. Methods throw what the storage throws: a full or forbidden one is no reason not to answer. */
export class BundleStore {
  #api;

  /** @param {string} api whose bundle it is: pages of one origin may use several */
  constructor(api) {
    this.#api = api;
  }

  /**
   * What was kept, verified again; null when there is nothing.
   *
   * @returns {Promise<{manifest: import("./index.d.ts").Manifest, confirmed: import("./index.d.ts").Confirmation, contents: Record<string, Uint8Array>} | null>}
   * @throws {BundleError} it is not whole, or not what it was
   */
  async load() {
    const entry = await this.#read();
    if (!entry) return null;
    const cache = await caches.open(cacheName(entry.manifest.version));
    const contents = {};
    for (const part of FILES) {
      const file = entry.manifest[part];
      const kept = await cache.match(this.#fileUrl(file));
      if (!kept) throw new BundleError("incomplete", `${file.name} is missing in the cache`);
      contents[part] = new Uint8Array(await kept.arrayBuffer());
      await verify(file, contents[part]);
    }
    return { ...entry, confirmed: { ...entry.confirmed, monotonic_s: null }, contents };
  }

  /** Keep a verified bundle, and then nothing of the one before. */
  async save(manifest, confirmed, contents) {
    const name = cacheName(manifest.version);
    try {
      const cache = await caches.open(name);
      for (const part of FILES) await cache.put(this.#fileUrl(manifest[part]), new Response(contents[part]));
    } catch (error) {
      await caches.delete(name).catch(() => {});
      throw error;
    }
    await this.confirm(manifest, confirmed);
    await this.#deleteOthers();
  }

  /** Note when the service last said that this is its bundle. */
  async confirm(manifest, confirmed) {
    const index = await caches.open(INDEX);
    const { wall_s, service_s } = confirmed;
    await index.put(this.#entryUrl(), Response.json({ manifest, confirmed: { wall_s, service_s } }));
  }

  async #read() {
    const index = await caches.open(INDEX);
    const kept = await index.match(this.#entryUrl());
    return kept ? kept.json() : null;
  }

  async #deleteOthers() {
    const index = await caches.open(INDEX);
    const entries = await Promise.all(
      (await index.keys()).map(async (key) => (await (await index.match(key)).json()).manifest.version),
    );
    const wanted = new Set([INDEX, ...entries.map(cacheName)]);
    const ours = (await caches.keys()).filter((name) => name.startsWith(INDEX));
    await Promise.all(ours.filter((name) => !wanted.has(name)).map((name) => caches.delete(name)));
  }

  #entryUrl() {
    return `${this.#api}/edge/manifest`;
  }

  #fileUrl(file) {
    return `${this.#api}/edge/files/${file.name}`;
  }
}

/** @param {string} version of a bundle */
function cacheName(version) {
  return `${INDEX}-${version}`;
}
