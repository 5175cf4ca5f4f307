/** Recserve at the edge: recommendations from beside the user, or from the cloud where that is better. */

export { EdgeClient, VERSION } from "./client.js";
export { InvalidRequest, Unavailable } from "./errors.js";
