/**
 * Which items may be shown: the service's filters, done here. An item must meet every condition of `allow` and none
 * of `deny`; `min_year` and `max_year` together are one condition, which an item without a year does not meet.
 *
 * @typedef {import("./index.d.ts").Filters} Filters
 * @typedef {import("./index.d.ts").Conditions} Conditions
 * @typedef {import("./catalogue.js").Catalogue} Catalogue
 */

import { InvalidRequest } from "./errors.js";

const CONDITIONS = ["genres", "min_year", "max_year", "item_ids"];

/**
 * Which item numbers a filter leaves: 1 or 0 by number, (n_items + 1); number 0, which is no item, never is.
 *
 * @param {Filters} filters
 * @param {Catalogue} catalogue
 * @returns {Uint8Array}
 * @throws {InvalidRequest} a condition is not one that the contract has
 */
export function admitted(filters, catalogue) {
  checkFilters(filters);
  const mask = new Uint8Array(catalogue.nItems + 1).fill(1, 1);
  const allow = filters.allow ? testsOf(filters.allow, catalogue) : [];
  const deny = filters.deny ? testsOf(filters.deny, catalogue) : [];
  for (let number = 1; number < mask.length; number++) {
    if (!allow.every((meets) => meets(number)) || deny.some((meets) => meets(number))) mask[number] = 0;
  }
  return mask;
}

/** For each condition that was sent, whether an item number meets it. @param {Conditions} conditions @param {Catalogue} catalogue */
function testsOf(conditions, catalogue) {
  /** @type {((number: number) => boolean)[]} */
  const tests = [];
  if (conditions.genres) {
    const wanted = new Set(conditions.genres);
    tests.push((number) => catalogue.genres[number - 1].some((genre) => wanted.has(genre)));
  }
  if (conditions.min_year !== undefined || conditions.max_year !== undefined) {
    const oldest = conditions.min_year ?? -Infinity;
    const newest = conditions.max_year ?? Infinity;
    tests.push((number) => {
      const year = catalogue.years[number - 1];
      return year !== null && year >= oldest && year <= newest;
    });
  }
  if (conditions.item_ids) {
    const listed = new Set(catalogue.knownNumbers(conditions.item_ids));
    tests.push((number) => listed.has(number));
  }
  return tests;
}

/** @param {Filters} filters @throws {InvalidRequest} */
function checkFilters(filters) {
  for (const [side, conditions] of Object.entries(filters)) {
    if (side !== "allow" && side !== "deny") {
      throw new InvalidRequest(`filters.${side} is not known; send allow, deny or both`);
    }
    if (conditions === undefined) continue;
    const unknown = Object.keys(conditions).find((name) => !CONDITIONS.includes(name));
    if (unknown) {
      throw new InvalidRequest(`filters.${side}.${unknown} is not known; send ${CONDITIONS.join(", ")}`);
    }
    if (CONDITIONS.every((name) => conditions[name] === undefined)) {
      throw new InvalidRequest(`filters.${side} has no condition; send ${CONDITIONS.join(", ")}`);
    }
    for (const list of ["genres", "item_ids"]) {
      if (conditions[list] !== undefined && !(Array.isArray(conditions[list]) && conditions[list].length)) {
        throw new InvalidRequest(`filters.${side}.${list} must be a list with at least one entry`);
      }
    }
    if (conditions.min_year > conditions.max_year) {
      throw new InvalidRequest(
        `filters.${side}: min_year ${conditions.min_year} is after max_year ${conditions.max_year}; swap them`,
      );
    }
  }
}
