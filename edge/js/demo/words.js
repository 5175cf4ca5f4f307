/** What codes and numbers are to a reader. */

const REASONS = {
  default: "The bundle is fresh and knows enough.",
  no_bundle: "There is no bundle on this device.",
  rules: "The request has rules that only the cloud can follow.",
  stale_bundle: "The bundle is older than the service allows.",
  clock: "This device's clock cannot be right, so the bundle's age is unknown.",
  no_local_history: "Only the cloud may know this user.",
  cloud_is_near: "The cloud is so near that its better model costs no time.",
  offline: "There is no network.",
  cloud_timeout: "The cloud took too long.",
  cloud_error: "The cloud failed.",
  cloud_busy: "The cloud is too busy.",
};

const ERRORS = {
  not_loaded: "It is being loaded.",
  no_simd: "This browser has no WebAssembly SIMD.",
  insecure_context: "The page is not served over HTTPS.",
  manifest_unavailable: "The service offers none.",
  unknown_format: "The service offers a newer format.",
  incomplete: "A file did not come whole.",
  tampered: "A file is not what it should be.",
  unreadable: "A file cannot be read.",
};

/** Why an answer came from where it came. @param {import("../src/index.d.ts").Answer} answer */
export function sentenceOf({ reason, bundle_error: error }) {
  const why = REASONS[reason] ?? reason;
  return error ? `${why} ${ERRORS[error] ?? ""}` : why;
}

/** Milliseconds in as many digits as one reads at a glance. @param {number} ms */
export function shortTime(ms) {
  return ms < 10 ? ms.toFixed(1) : Math.round(ms).toLocaleString();
}
