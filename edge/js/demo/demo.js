/** The demo page: both sides are asked the same, and the client's own choice is what a user would be shown. */

import { EdgeClient } from "./recserve-edge.js";
import { LostNetwork } from "./network.js";
import { sentenceOf, shortTime } from "./words.js";

const API = new URL("../", location.href).href.replace(/\/$/, "");
const N_FOUND = 7;
const N_LOGGED = 40;
const LAST = "recserve-demo-user";

const $ = (id) => document.getElementById(id);
const network = new LostNetwork();
/** @type {EdgeClient} */
let client;
let user = userOf();
/** @type {{id: number | string, title: string}[]} popular films, to start with */
let popular = [];
const timesMs = { edge: [], cloud: [] };
let asking = 0;

async function open() {
  client = await EdgeClient.open({ api: API, compareEvery: 10, fetch: network.fetch });
  client.addEventListener("change", showFacts);
  client.addEventListener("answer", ({ detail }) => logAnswer(detail));
  await client.ready();
}

/** Ask both sides; the client's own way first, so that its time is not shared with the other. */
async function ask() {
  const turn = ++asking;
  const request = client.history(user).length ? { user_id: user } : { history: [] };
  let chosen = null;
  let other = null;
  try {
    chosen = await client.recommend(request);
    other = await client.ask(chosen.by === "edge" ? "cloud" : "edge", request).catch(() => null);
  } catch (error) {
    if (turn === asking) showNothing(error);
    return;
  }
  if (turn !== asking) return; // a later question is under way
  const answers = { [chosen.by]: chosen, [chosen.by === "edge" ? "cloud" : "edge"]: other };
  for (const side of ["edge", "cloud"]) showSide(side, answers[side], { chosen, other: answers[side === "edge" ? "cloud" : "edge"] });
  showVerdict(chosen, other);
  showFacts();
}

function showSide(side, answer, { chosen, other }) {
  const panel = $(side);
  const isShown = chosen.by === side;
  panel.classList.toggle("shown", isShown);
  panel.classList.toggle("silent", !answer);
  panel.querySelector(".badge").hidden = !isShown;
  panel.querySelector(".why").textContent = isShown
    ? sentenceOf(chosen)
    : answer
      ? "Asked as well, to compare."
      : side === "cloud"
        ? `It cannot be reached.${timesMs.cloud.length ? " This was its last answer." : ""}`
        : sentenceOf({ ...chosen, reason: "no_bundle" });
  if (!answer) {
    panel.querySelector(".figure").textContent = "-";
    return;
  }
  timesMs[side].push(answer.latency_ms);
  panel.querySelector(".figure").textContent = shortTime(answer.latency_ms);
  panel.querySelector(".typical").textContent = typical(timesMs[side]);
  const places = new Map(other?.items.map(({ id }, place) => [id, place]));
  panel.querySelector(".ranked").replaceChildren(
    ...answer.items.map(({ id, title }, place) => ranked(title, other ? compared(place, places.get(id)) : null)),
  );
}

/** How an item's place compares with that on the other list. */
function compared(place, otherPlace) {
  if (otherPlace === undefined) return { text: "only here", differs: true };
  return otherPlace === place ? null : { text: `#${otherPlace + 1} there`, differs: false };
}

function ranked(title, mark) {
  const row = document.createElement("li");
  const name = element("span", "title", title);
  row.append(name);
  if (mark) row.append(element("span", `mark-note${mark.differs ? " differs" : ""}`, mark.text));
  return row;
}

function showVerdict(chosen, other) {
  const verdict = $("verdict");
  verdict.classList.toggle("warn", !other);
  if (!other) {
    verdict.textContent =
      chosen.by === "edge"
        ? `This device answers alone${chosen.degraded.includes("history") ? ", with popular films" : ""}. What you pick waits until the network is back.`
        : "The cloud answers alone: this device has no bundle yet.";
    return;
  }
  const ids = new Set(other.items.map(({ id }) => id));
  const nShared = chosen.items.filter(({ id }) => ids.has(id)).length;
  const [edge, cloud] = chosen.by === "edge" ? [chosen, other] : [other, chosen];
  const ratio = cloud.latency_ms / edge.latency_ms;
  const pace = ratio >= 1.5 ? ` This device was ${ratio >= 10 ? Math.round(ratio) : ratio.toFixed(1)} times as fast.` : "";
  verdict.textContent = `${nShared} of ${chosen.items.length} films are on both lists.${pace}`;
}

function showNothing(error) {
  $("verdict").classList.add("warn");
  $("verdict").textContent = error.message;
  for (const side of ["edge", "cloud"]) {
    $(side).classList.remove("shown");
    $(side).querySelector(".badge").hidden = true;
  }
}

/** @param {number[]} values */
function typical(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return `typically ${shortTime(sorted[(sorted.length - 1) >> 1])} ms, of ${values.length} answer${values.length > 1 ? "s" : ""}`;
}

function logAnswer(answer) {
  const log = $("log");
  if (log.querySelector("[colspan]")) log.replaceChildren();
  const row = document.createElement("tr");
  row.append(
    element("td", "", new Date().toLocaleTimeString()),
    element("td", "", answer.by === "edge" ? "this device" : "the cloud"),
    element("td", "", sentenceOf(answer)),
    element("td", "number", `${shortTime(answer.latency_ms)} ms`),
  );
  log.prepend(row);
  while (log.children.length > N_LOGGED) log.lastElementChild.remove();
}

function showFacts() {
  const status = client.status();
  $("fact-version").textContent = status.bundle_version || status.bundle_error_detail;
  $("fact-size").textContent = status.wire_bytes ? `${Math.round(status.wire_bytes / 1e3).toLocaleString()} kB` : "-";
  $("fact-confirmed").textContent = status.confirmed_at?.toLocaleTimeString() ?? "-";
  $("fact-kept").textContent = status.bundle_version ? (status.is_kept ? "yes" : "no: this browser's storage is full or off") : "-";
  $("fact-trip").textContent = status.round_trip_ms === null ? "-" : `${shortTime(status.round_trip_ms)} ms`;
  $("fact-waiting").textContent = String(status.n_waiting);
  $("send").disabled = !status.n_waiting || !isOnline();
}

function isOnline() {
  return navigator.onLine && !network.isOff;
}

function showNetwork() {
  const isOn = isOnline();
  $("network").className = `chip ${isOn ? "on" : "off"}`;
  $("network").querySelector(".text").textContent = isOn ? "Online" : network.isOff ? "Network switched off" : "Offline";
  if (client) showFacts();
}

/** Titles of films that hold every word; from the bundle, so that it works without a network. */
async function find(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return popular;
  const { catalogue } = client;
  if (!catalogue) {
    const response = await network.fetch(`${API}/items?limit=${N_FOUND}&query=${encodeURIComponent(query)}`);
    return (await response.json()).items;
  }
  const found = [];
  for (let column = 0; column < catalogue.ids.length && found.length < N_FOUND; column++) {
    const title = catalogue.titles[column].toLowerCase();
    if (words.every((word) => title.includes(word))) found.push({ id: catalogue.ids[column], title: catalogue.titles[column] });
  }
  return found;
}

async function showFound() {
  const query = $("search").value;
  const films = await find(query).catch(() => []);
  if (query !== $("search").value) return;
  const picked = new Set(client.history(user).map(String));
  const rows = films.filter(({ id }) => !picked.has(String(id))).slice(0, N_FOUND).map((film) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(element("span", "title", film.title), element("span", "act", "Pick"));
    button.addEventListener("click", () => pick(film));
    return row(button);
  });
  $("found").replaceChildren(...(rows.length ? rows : [row(element("span", "muted", "No film has these words in its title."))]));
}

async function pick(film) {
  rememberTitle(film);
  await client.record({ user_id: user, item_id: film.id, kind: "add" });
  $("search").value = "";
  showPicked();
  await Promise.all([showFound(), ask()]);
  $("search").focus();
}

function showPicked() {
  const titles = knownTitles();
  const ids = client.history(user).reverse();
  $("picked").replaceChildren(...ids.slice(0, 12).map((id) => row(document.createTextNode(titles[id] ?? String(id)))));
  $("nothing").hidden = ids.length > 0;
  $("clear").hidden = !ids.length;
}

async function startOver() {
  await client.forget(user);
  localStorage.removeItem(LAST);
  user = userOf();
  showPicked();
  await Promise.all([showFound(), ask()]);
}

function userOf() {
  const kept = localStorage.getItem(LAST);
  const id = kept ?? `demo-${Math.random().toString(36).slice(2, 10)}`;
  localStorage.setItem(LAST, id);
  return id;
}

function knownTitles() {
  return JSON.parse(localStorage.getItem(`${LAST}-titles`) ?? "{}");
}

function rememberTitle({ id, title }) {
  localStorage.setItem(`${LAST}-titles`, JSON.stringify({ ...knownTitles(), [id]: title }));
}

function row(content) {
  const item = document.createElement("li");
  item.append(content);
  return item;
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

/** A changed distance is measured anew. */
async function moveAway() {
  network.extraMs = Number($("distance").value);
  await client.close();
  timesMs.edge = [];
  timesMs.cloud = [];
  await open();
  await ask();
}

async function toggleNetwork() {
  network.isOff = !network.isOff;
  $("switch").setAttribute("aria-checked", String(network.isOff));
  showNetwork();
  if (!network.isOff) void client.update().then(() => client.flush());
  await ask();
}

$("search").addEventListener("input", () => void showFound());
$("clear").addEventListener("click", () => void startOver());
$("send").addEventListener("click", () => void client.flush());
$("distance").addEventListener("change", () => void moveAway());
$("switch").addEventListener("click", () => void toggleNetwork());
for (const type of ["online", "offline"]) {
  addEventListener(type, () => {
    showNetwork();
    void ask();
  });
}

await open();
showNetwork();
popular = await client
  .ask(client.catalogue ? "edge" : "cloud", { history: [], k: 12 })
  .then(({ items }) => items, () => []);
showPicked();
await Promise.all([showFound(), ask()]);
document.body.dataset.ready = "true";

if (navigator.serviceWorker) {
  const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
  navigator.serviceWorker
    .register("files/sw.js", { scope: "./" })
    .then(() => navigator.serviceWorker.ready)
    .then(({ active }) => active.postMessage([location.href, ...loaded]))
    .catch(() => {}); // the page then needs a network to be loaded again
  navigator.serviceWorker.addEventListener("message", ({ data }) => (document.body.dataset.shell = data));
}
