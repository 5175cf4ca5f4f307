/**
 * What answers a request, edge or cloud, and why. Pure; `edge/vectors/decisions.json` holds it to the Python client.
 *
 * @typedef {import("./index.d.ts").Situation} Situation
 * @typedef {import("./index.d.ts").Request} Request
 */

/** A cloud at this distance answers as fast as anybody notices, ms. */
export const NEAR_MS = 15;
/** Newest round trips that tell how near the cloud is. */
export const N_ROUND_TRIPS = 20;
const LEAST_ROUND_TRIPS = 3;
/** A wall clock that differs by more from the service's says nothing about age, s. */
const MOST_SKEW_S = 86_400;

/**
 * The first rule that applies wins.
 *
 * @param {Situation} situation
 * @param {Request} request
 * @returns {import("./index.d.ts").Decision}
 */
export function decide(situation, request) {
  if (situation.bundle === null) return { by: "cloud", reason: "no_bundle" };
  if (needsCloudRules(request.rules)) return { by: "cloud", reason: "rules" };
  const age = judgeAge(situation);
  if (age !== "fresh") return { by: "cloud", reason: age };
  if (lacksHistory(situation, request)) return { by: "cloud", reason: "no_local_history" };
  if (isCloudNear(situation)) return { by: "cloud", reason: "cloud_is_near" };
  return { by: "edge", reason: "default" };
}

/**
 * What happens when the cloud was chosen and did not answer.
 *
 * @param {Situation} situation
 * @param {Request} request
 * @param {import("./index.d.ts").Failure} failure
 * @returns {import("./index.d.ts").FallBack}
 */
export function fallBack(situation, request, failure) {
  if (situation.bundle === null) return { by: "none", reason: "no_bundle", failure };
  const degraded = [];
  if (needsCloudRules(request.rules)) degraded.push("rules");
  if (judgeAge(situation) !== "fresh") degraded.push("stale_bundle");
  if (lacksHistory(situation, request)) degraded.push("history");
  return { by: "edge", reason: failure, degraded };
}

/** Whether rules ask for more than filters. @param {Request["rules"]} rules */
function needsCloudRules(rules) {
  if (!rules) return false;
  return Boolean(
    rules.pins?.length ||
      rules.boosts?.length ||
      rules.diversity ||
      rules.exploration ||
      rules.freshness_half_life_years ||
      rules.explain,
  );
}

/**
 * How old the bundle is, by the larger difference of two clocks: a monotonic one may stand still while a machine
 * sleeps, and a wall clock may be set. A wall clock that cannot be right does not count, and alone leaves age unknown.
 *
 * @param {Situation} situation
 * @returns {"fresh" | "stale_bundle" | "clock"}
 */
function judgeAge({ bundle, confirmed, now }) {
  const isRight = isWallRight(confirmed, now);
  const monotonicAgeS = confirmed.monotonic_s === null ? null : now.monotonic_s - confirmed.monotonic_s;
  if (!isRight && monotonicAgeS === null) return "clock";
  const ageS = isRight ? Math.max(now.wall_s - confirmed.wall_s, monotonicAgeS ?? 0) : monotonicAgeS;
  return ageS > bundle.max_age_s ? "stale_bundle" : "fresh";
}

/**
 * What time it is, Unix time in s: by the device where its clock can be right, else by the service's and the time since.
 *
 * @param {Situation["confirmed"] | null} confirmed
 * @param {Situation["now"]} now
 * @returns {number | null} null where the device's clock is wrong, and an earlier visit was told the right time
 */
export function serviceTimeS(confirmed, now) {
  if (!confirmed || isWallRight(confirmed, now)) return now.wall_s;
  return confirmed.monotonic_s === null ? null : confirmed.service_s + now.monotonic_s - confirmed.monotonic_s;
}

/** Whether the device's wall clock may be believed. @param {Situation["confirmed"]} confirmed @param {Situation["now"]} now */
function isWallRight(confirmed, now) {
  return now.wall_s >= confirmed.wall_s && Math.abs(confirmed.wall_s - confirmed.service_s) <= MOST_SKEW_S;
}

/** Whether only the cloud may know what the user did. @param {Situation} situation @param {Request} request */
function lacksHistory(situation, request) {
  return request.user_id !== undefined && !request.history?.length && situation.n_known_events === 0;
}

/** Whether the better model costs no time worth naming. @param {Situation} situation */
function isCloudNear({ bundle, round_trips_ms: roundTripsMs }) {
  const newest = roundTripsMs.slice(-N_ROUND_TRIPS);
  const isBetter = bundle.served_ndcg_10 !== null && bundle.ndcg_10 < bundle.served_ndcg_10;
  return isBetter && newest.length >= LEAST_ROUND_TRIPS && median(newest) <= NEAR_MS;
}

/** The mean of the middle two of an even number. @param {number[]} values at least one */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
