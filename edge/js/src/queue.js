/**
 * What users did, kept until the service has it, in IndexedDB; and the items of each user, kept for recommending.
 *
 * Where the browser gives no storage (private windows, a full disk) all of it lives in memory instead: nothing fails,
 * and what waits is lost when the page is.
 *
 * @typedef {import("./index.d.ts").WaitingEvent} WaitingEvent
 */

const EVENTS = "events";
const HISTORIES = "histories";
/** Newest items of a user that are kept. */
const MOST_ITEMS = 500;

export class EventQueue {
  /** @type {IDBDatabase | null} */
  #db = null;
  /** All that waits, as far as this page knows: a page that is being closed cannot wait for IndexedDB. @type {Map<string, WaitingEvent>} */
  #waiting = new Map();
  /** @type {Map<string, (number | string)[]>} */
  #histories = new Map();

  /** @param {string} name of the database; pages of one origin may use several services */
  static async open(name) {
    const queue = new EventQueue();
    try {
      queue.#db = await openDatabase(name);
      await queue.#load();
    } catch {
      queue.#db = null;
    }
    return queue;
  }

  get isDurable() {
    return this.#db !== null;
  }

  get size() {
    return this.#waiting.size;
  }

  /** The oldest that wait, at most n. @param {number} n @returns {WaitingEvent[]} */
  oldest(n) {
    return [...this.#waiting.values()].slice(0, n);
  }

  /** Items of a user, oldest first. @param {string} userId */
  history(userId) {
    return this.#histories.get(userId) ?? [];
  }

  /** Items of a user's events that wait, oldest first. @param {string} userId */
  waitingItems(userId) {
    return [...this.#waiting.values()].filter((event) => event.user_id === userId).map((event) => event.item_id);
  }

  /** Keep an event; resolves when it is as durable as it gets. @param {WaitingEvent} event */
  async add(event) {
    this.#waiting.set(event.event_id, event);
    const history = [...this.history(event.user_id), event.item_id].slice(-MOST_ITEMS);
    this.#histories.set(event.user_id, history);
    await this.#write((events, histories) => {
      events.put(event);
      const kept = histories.get(event.user_id); // another page may have added to it
      kept.onsuccess = () => histories.put([...(kept.result ?? []), event.item_id].slice(-MOST_ITEMS), event.user_id);
    });
  }

  /** Forget events that the service has. @param {string[]} eventIds */
  async remove(eventIds) {
    for (const id of eventIds) this.#waiting.delete(id);
    await this.#write((events) => eventIds.forEach((id) => events.delete(id)));
  }

  /** Forget all of a user. @param {string} userId */
  async forget(userId) {
    this.#histories.delete(userId);
    const ids = [...this.#waiting.values()].filter((event) => event.user_id === userId).map((event) => event.event_id);
    await this.remove(ids);
    await this.#write((_, histories) => histories.delete(userId));
  }

  /** Take in what other pages of this origin have added or sent meanwhile. */
  async refresh() {
    if (this.#db) await this.#load().catch(() => {});
  }

  close() {
    this.#db?.close();
    this.#db = null;
  }

  async #load() {
    const before = new Set(this.#waiting.keys());
    const transaction = this.#db.transaction([EVENTS, HISTORIES]);
    const [events, users, histories] = await Promise.all([
      settle(transaction.objectStore(EVENTS).index("order").getAll()),
      settle(transaction.objectStore(HISTORIES).getAllKeys()),
      settle(transaction.objectStore(HISTORIES).getAll()),
    ]);
    const added = [...this.#waiting.values()].filter((event) => !before.has(event.event_id));
    this.#waiting = new Map([...events, ...added].map((event) => [event.event_id, event]));
    this.#histories = new Map(users.map((user, place) => [user, histories[place]]));
    for (const event of added) this.#histories.set(event.user_id, [...this.history(event.user_id), event.item_id]);
  }

  /** @param {(events: IDBObjectStore, histories: IDBObjectStore) => void} change */
  async #write(change) {
    if (!this.#db) return;
    try {
      const transaction = this.#db.transaction([EVENTS, HISTORIES], "readwrite");
      const done = new Promise((resolve, reject) => {
        transaction.oncomplete = resolve;
        transaction.onabort = () => reject(transaction.error);
      });
      change(transaction.objectStore(EVENTS), transaction.objectStore(HISTORIES));
      await done;
    } catch {
      this.close(); // full or gone: what this page knows is kept in memory from here on
    }
  }
}

/** @param {string} name @returns {Promise<IDBDatabase>} */
function openDatabase(name) {
  const opening = indexedDB.open(name, 1);
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore(EVENTS, { keyPath: "event_id" }).createIndex("order", "order");
    opening.result.createObjectStore(HISTORIES);
  };
  return settle(opening);
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function settle(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
