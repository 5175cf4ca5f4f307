/** Recserve at the edge: recommendations from beside the user, or from the cloud where that is better. */

export const VERSION: string;

export type ItemId = number | string;

export interface Options {
  /** Address of the service's API, `https://app.azurewebsites.net/api`; relative to the page. */
  api: string;
  /** Function key, where the service wants one. A key in a page is public: prefer a service of your own in front. */
  key?: string;
  /** ONNX Runtime Web, where your build already has it. */
  ort?: typeof import("onnxruntime-web");
  /** Where `ort.wasm.min.mjs` lies, with its WASM beside it; beside this module if left out. */
  runtimeUrl?: string;
  /** One of so many local answers is compared with the cloud's, in the background; 0: none. 50 if left out. */
  compareEvery?: number;
  /** Instead of the global one. */
  fetch?: typeof fetch;
  /** Instead of the device's clocks; both in seconds, the wall clock since 1970. */
  clock?: { wall(): number; monotonic(): number };
}

/** What can be asked of an item; at least one condition. `min_year` and `max_year` together are one. */
export interface Conditions {
  genres?: string[];
  min_year?: number;
  max_year?: number;
  item_ids?: ItemId[];
}

/** Which items may be shown at all: those that meet every condition of `allow` and none of `deny`. */
export interface Filters {
  allow?: Conditions;
  deny?: Conditions;
}

/** What else the list must obey; all of it but `filters` is for the cloud. */
export interface RankingRules {
  filters?: Filters;
  pins?: { item_id: ItemId; position: number }[];
  boosts?: (Conditions & { weight: number })[];
  freshness_half_life_years?: number;
  diversity?: number;
  exploration?: number;
  seed?: number;
  explain?: boolean;
}

export interface Request {
  /** Your own id of the user. */
  user_id?: string;
  /** Items that the user took, oldest first; newer than what was recorded. */
  history?: ItemId[];
  /** How many items, 1 to 100; 10 if left out. */
  k?: number;
  filters?: Filters;
  rules?: RankingRules;
  /** Leave out what the user took before; as the data was learned if left out. */
  exclude_seen?: boolean;
  /** Longest that the cloud is waited for, ms; 2,000 if left out. */
  deadline_ms?: number;
}

export interface ScoredItem {
  id: ItemId;
  title: string;
  /** Higher is better; comparable within one answer only. */
  score: number | null;
  /** From the cloud, where `rules.explain` asked for it. */
  because?: ItemId;
  /** From the cloud, with exploration. */
  propensity?: number;
}

/** Why the cloud was asked. */
export type CloudReason = "no_bundle" | "rules" | "stale_bundle" | "clock" | "no_local_history" | "cloud_is_near";
/** Why the cloud did not answer. */
export type Failure = "offline" | "cloud_timeout" | "cloud_error" | "cloud_busy";

export interface Answer {
  items: ScoredItem[];
  by: "edge" | "cloud";
  reason: "default" | CloudReason | Failure;
  /** From the question to this answer. */
  latency_ms: number;
  /** Of the bundle, or of the models of the cloud. */
  version: string;
  /** What the answer had to do without: `rules`, `stale_bundle`, `history`, and what the service names. */
  degraded: string[];
  /** `history`, or why these are popular items. */
  basis: string;
  /** Why there was no bundle. */
  bundle_error?: BundleErrorCode;
  /** From the cloud: quote it in events. */
  recommendation_id?: string;
  /** From the cloud: why the list is not as it was asked for. */
  note?: string;
}

export type EventKind = "view" | "click" | "add" | "purchase";

/** Something that a user did. */
export interface Happening {
  user_id: string;
  item_id: ItemId;
  /** `click` if left out. */
  kind?: EventKind;
  recommendation_id?: string;
}

export type BundleErrorCode =
  | "not_loaded"
  | "no_simd"
  | "insecure_context"
  | "manifest_unavailable"
  | "unknown_format"
  | "incomplete"
  | "tampered"
  | "unreadable";

export interface Status {
  /** Empty without a bundle. */
  bundle_version: string;
  /** Of the models that the cloud answered with when the bundle was last confirmed. */
  served_version: string;
  /** What the bundle's files weigh on the wire. */
  wire_bytes: number;
  /** When the service last said that this is its bundle, by this device's clock. */
  confirmed_at: Date | null;
  /** Whether the bundle outlives the page. */
  is_kept: boolean;
  /** Why there is no bundle; empty with one. */
  bundle_error: BundleErrorCode | "";
  bundle_error_detail: string;
  /** Why the last update failed, while the bundle before goes on. */
  update_error: string;
  /** Median of the newest answers of the cloud; null before the first. */
  round_trip_ms: number | null;
  /** Events that the service has not confirmed. */
  n_waiting: number;
  /** Whether those outlive the page. */
  is_durable: boolean;
}

/**
 * Tells `answer` (an `Answer`), `dropped` (`{event, problem}`: an event that the service will never take) and `change`
 * (`status()` may say something else), as `CustomEvent`s.
 */
export class EdgeClient extends EventTarget {
  private constructor();
  /** A client that answers from the cloud at once, and from here as soon as it can. */
  static open(options: Options): Promise<EdgeClient>;
  /** Resolves when a bundle answers, or none can: `status()` says which. */
  ready(): Promise<void>;
  /**
   * @throws {InvalidRequest} the request is outside the contract
   * @throws {Unavailable} neither edge nor cloud can answer
   */
  recommend(request?: Request): Promise<Answer>;
  /**
   * Ask one side, whatever would be decided: for comparing them.
   *
   * @throws {InvalidRequest} the request is outside the contract
   * @throws {Unavailable} that side does not answer
   */
  ask(by: "edge" | "cloud", request?: Request): Promise<Answer>;
  /** Note what a user did; resolves with the event's id once it is kept. */
  record(happening: Happening): Promise<string>;
  /** Send all that waits; resolves when it is sent, or when it cannot be. */
  flush(): Promise<void>;
  /** Look for another bundle; resolves when it answers, or the one before goes on. */
  update(): Promise<void>;
  /** Forget all that this device knows of a user; the service is not told. */
  forget(userId: string): Promise<void>;
  /** What this device knows that a user took, oldest first. */
  history(userId: string): ItemId[];
  status(): Status;
  /** The bundle's catalogue, as parallel columns; null without a bundle. */
  readonly catalogue: { ids: ItemId[]; titles: string[]; years: (number | null)[]; genres: string[][] } | null;
  close(): Promise<void>;
}

/** The request is outside the contract; nothing else would answer it either. */
export class InvalidRequest extends Error {
  /** The service's RFC 9457 problem, where it said so. */
  problem?: object;
}

/** Neither edge nor cloud can answer. */
export class Unavailable extends Error {
  bundleError: string;
  failure: string;
}

/* What the modules say among themselves. */

export interface ManifestFile {
  name: string;
  sha256: string;
  bytes: number;
  wire_bytes: number;
}

export interface Manifest {
  format: number;
  version: string;
  served_version: string;
  served_ndcg_10: number | null;
  max_age_s: number;
  max_history: number;
  allow_repeats: boolean;
  n_items: number;
  /** The service's clock, ISO 8601. */
  at: string;
  model: ManifestFile & { variant: string; ndcg_10: number };
  popular: ManifestFile & { variant: string; ndcg_10: number };
  catalogue: ManifestFile;
}

/** When the service last said that a bundle is its own, by three clocks. */
export interface Confirmation {
  wall_s: number;
  /** Null where it was another page's. */
  monotonic_s: number | null;
  service_s: number;
}

/** All that a decision rests on. */
export interface Situation {
  /** Null without a verified bundle. */
  bundle: { ndcg_10: number; served_ndcg_10: number | null; max_age_s: number } | null;
  confirmed: Confirmation;
  now: { wall_s: number; monotonic_s: number };
  /** Of the cloud's answers, oldest first. */
  round_trips_ms: number[];
  /** What this client knows of the request's user. */
  n_known_events: number;
}

export type Decision = { by: "edge"; reason: "default" } | { by: "cloud"; reason: CloudReason };
export type FallBack =
  | { by: "edge"; reason: Failure; degraded: string[] }
  | { by: "none"; reason: "no_bundle"; failure: Failure };

export interface CloudRecommendations {
  recommendation_id: string;
  items: ScoredItem[];
  model: { variant: string; version: string; reason: string };
  basis: string;
  degraded: string[];
  note?: string;
}

export interface WaitingEvent {
  event_id: string;
  user_id: string;
  item_id: ItemId;
  kind: EventKind;
  at: string;
  recommendation_id?: string;
  /** What they are sent in order of; the service does not see it. */
  order: number;
}
