import assert from "node:assert/strict";
import { test } from "node:test";

import { Catalogue } from "../src/catalogue.js";
import { InvalidRequest } from "../src/errors.js";
import { admitted } from "../src/filters.js";

const CATALOGUE = new Catalogue({
  ids: [10, "b", 30, 40],
  titles: ["Heat", "Alien", "Up", "Unknown"],
  years: [1995, 1979, 2009, null],
  genres: [["Action", "Crime"], ["Horror", "Sci-Fi"], ["Animation"], []],
});

function numbers(filters) {
  return Array.from(admitted(filters, CATALOGUE)).flatMap((isAdmitted, number) => (isAdmitted ? [number] : []));
}

test("no filters leave every item, and no padding", () => assert.deepEqual(numbers({}), [1, 2, 3, 4]));

test("an item meets every condition of allow", () =>
  assert.deepEqual(numbers({ allow: { genres: ["Action", "Animation"], min_year: 2000 } }), [3]));

test("an item that meets any condition of deny is gone", () =>
  assert.deepEqual(numbers({ deny: { genres: ["Horror"], item_ids: [30] } }), [1, 4]));

test("both years are one condition, which an item without a year does not meet", () => {
  assert.deepEqual(numbers({ allow: { min_year: 1979, max_year: 1995 } }), [1, 2]);
  assert.deepEqual(numbers({ deny: { min_year: 1900, max_year: 1995 } }), [3, 4]);
});

test("ids are known as numbers and as text, and unknown ones are no error", () =>
  assert.deepEqual(numbers({ allow: { item_ids: ["10", "b", 99] } }), [1, 2]));

test("a genre that no item has leaves nothing", () => assert.deepEqual(numbers({ allow: { genres: ["Jazz"] } }), []));

for (const [name, filters] of Object.entries({
  "an unknown side": { only: { genres: ["Crime"] } },
  "an unknown condition": { allow: { genre: ["Crime"] } },
  "no condition": { deny: {} },
  "an empty list": { allow: { genres: [] } },
  "years the wrong way round": { allow: { min_year: 2000, max_year: 1990 } },
})) {
  test(`${name} is refused`, () => assert.throws(() => admitted(filters, CATALOGUE), InvalidRequest));
}
