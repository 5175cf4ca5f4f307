import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { decide, fallBack, serviceTimeS } from "../src/decide.js";

const { defaults, cases } = JSON.parse(
  readFileSync(new URL("../../vectors/decisions.json", import.meta.url), "utf-8"),
);

for (const { name, expected, ...given } of cases) {
  test(name, () => {
    const situation = { ...defaults.situation, ...given.situation };
    const request = given.request ?? defaults.request;

    const decided = given.failure ? fallBack(situation, request, given.failure) : decide(situation, request);

    assert.deepEqual(decided, expected);
  });
}

const told = { wall_s: 1_000_000, monotonic_s: 50, service_s: 1_000_001 };

test("a clock that the service agrees with tells the time", () => {
  assert.equal(serviceTimeS(told, { wall_s: 1_000_300, monotonic_s: 350 }), 1_000_300);
  assert.equal(serviceTimeS(null, { wall_s: 5, monotonic_s: 0 }), 5);
});

test("a clock that is wrong or was set back leaves the service's time and what has passed since", () => {
  const wrong = { ...told, service_s: 1_000_000 + 400 * 86_400 };

  assert.equal(serviceTimeS(wrong, { wall_s: 1_000_300, monotonic_s: 350 }), wrong.service_s + 300);
  assert.equal(serviceTimeS(told, { wall_s: 900_000, monotonic_s: 60 }), told.service_s + 10);
});

test("a wrong clock after a restart tells no time", () => {
  assert.equal(serviceTimeS({ ...told, monotonic_s: null }, { wall_s: 900_000, monotonic_s: 60 }), null);
});
