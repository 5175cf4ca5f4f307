/** Identifiers of events and reports. */

/** 128 random bits; a page without HTTPS has no `crypto.randomUUID`. @returns {string} */
export function randomId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
