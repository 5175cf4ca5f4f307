/** What can go wrong, in words that a developer can act on. */

/** The request is outside the contract; nothing else would answer it either. */
export class InvalidRequest extends Error {
  /** @param {string} message @param {object} [problem] the service's RFC 9457 problem, where it said so */
  constructor(message, problem) {
    super(message);
    this.name = "InvalidRequest";
    this.problem = problem;
  }
}

/** Neither edge nor cloud can answer. */
export class Unavailable extends Error {
  /** @param {string} bundleError why the edge does not answer @param {string} failure why the cloud does not */
  constructor(bundleError, failure) {
    super(`no answer; edge: ${bundleError}; cloud: ${failure}; connect once, so that a bundle can be loaded`);
    this.name = "Unavailable";
    this.bundleError = bundleError;
    this.failure = failure;
  }
}

/** A bundle that must not be used. */
export class BundleError extends Error {
  /** @param {import("./index.d.ts").BundleErrorCode} code @param {string} message @param {{cause?: unknown}} [options] */
  constructor(code, message, options) {
    super(message, options);
    this.name = "BundleError";
    this.code = code;
  }
}

/** The cloud did not answer; `failure` is the reason that the answer from the edge carries. */
export class CloudFailure extends Error {
  /** @param {import("./index.d.ts").Failure} failure @param {string} message */
  constructor(failure, message) {
    super(message);
    this.name = "CloudFailure";
    this.failure = failure;
    /** When the service wants to be asked again, ms. @type {number | undefined} */
    this.retryAfterMs = undefined;
  }
}
