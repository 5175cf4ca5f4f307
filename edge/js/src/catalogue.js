/** The catalogue: which items exist, and what a person calls them. */

import { BundleError } from "./errors.js";

export class Catalogue {
  /** @type {Map<string, number>} item number, from 1, by the text of the item id: callers may send 260 or "260" */
  #numbers;

  /** @param {{ids: (number | string)[], titles: string[], years: (number | null)[], genres: string[][]}} columns parallel; item number i at index i - 1 */
  constructor({ ids, titles, years, genres }) {
    this.ids = ids;
    this.titles = titles;
    this.years = years;
    this.genres = genres;
    this.#numbers = new Map(ids.map((id, column) => [String(id), column + 1]));
  }

  /**
   * @param {Uint8Array} content
   * @param {number} nItems what the manifest says
   * @throws {BundleError}
   */
  static decode(content, nItems) {
    let columns;
    try {
      columns = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content));
    } catch (error) {
      throw new BundleError("unreadable", `the catalogue is not JSON: ${error.message}`, { cause: error });
    }
    for (const name of ["ids", "titles", "years", "genres"]) {
      if (columns[name]?.length !== nItems) {
        throw new BundleError(
          "unreadable",
          `the catalogue has ${columns[name]?.length ?? "no"} ${name}; the manifest says ${nItems} items`,
        );
      }
    }
    return new Catalogue(columns);
  }

  get nItems() {
    return this.ids.length;
  }

  /** Numbers of those items that are known, in the order given. @param {(number | string)[]} itemIds */
  knownNumbers(itemIds) {
    return itemIds.map((id) => this.#numbers.get(String(id))).filter((number) => number !== undefined);
  }
}
