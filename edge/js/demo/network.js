/** A network that the page can lose, or move farther away: what a switch in a page cannot do to the real one. */

export class LostNetwork {
  isOff = false;
  /** Added to every answer. */
  extraMs = 0;

  /** Like the global one. @type {typeof fetch} */
  fetch = async (request, init) => {
    this.#requireNetwork();
    const response = await fetch(request, init);
    if (this.extraMs) await pause(this.extraMs, init?.signal);
    this.#requireNetwork();
    return response;
  };

  #requireNetwork() {
    if (this.isOff) throw new TypeError("the network is switched off");
  }
}

/** @param {number} ms @param {AbortSignal | undefined} signal */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
