/** Keeps the page itself for a reload without a network; the bundle is the client's own affair. */

const SHELL = "recserve-demo";
const IS_SHELL = /\/edge\/(demo|files\/[a-z.-]+\.(m?js|css|svg|wasm))$/;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  if (event.request.method === "GET" && IS_SHELL.test(new URL(event.request.url).pathname)) {
    event.respondWith(fetchOrKept(event.request));
  }
});

/** The page says what it was loaded from: on a first visit that was before this worker. */
self.addEventListener("message", (event) => {
  event.waitUntil(keep(event.data).then(() => event.source.postMessage("kept")));
});

/** The network's answer, kept for later; what was kept where there is no network. @param {Request} request */
async function fetchOrKept(request) {
  const shell = await caches.open(SHELL);
  try {
    const response = await fetch(request);
    if (response.ok) await shell.put(request.url, response.clone()).catch(() => {});
    return response;
  } catch (error) {
    const kept = await shell.match(request.url, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}

/** @param {string[]} urls */
async function keep(urls) {
  const shell = await caches.open(SHELL);
  const wanted = urls.filter((url) => IS_SHELL.test(new URL(url).pathname));
  await Promise.allSettled(wanted.map(async (url) => (await shell.match(url)) ?? shell.add(url)));
}
