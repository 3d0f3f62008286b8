// @ts-check
/** Where the gateway's doors are, from the one address that a page knows. */

/** The gateway that served this module: `…/console/client/addresses.js` is two folders below it. */
const HERE = new URL("../../", import.meta.url).href;

/** @param {string} [url] */
function base(url) {
  const address = new URL(url ?? HERE, globalThis.location?.href);
  if (!address.pathname.endsWith("/")) address.pathname += "/";
  address.search = address.hash = "";
  return address;
}

/**
 * The WebSocket of a call.
 * @param {string | undefined} url
 * @param {string} sessionId
 */
export function voiceAddress(url, sessionId) {
  const address = new URL(`voice/${sessionId}`, base(url));
  address.protocol = { "https:": "wss:", "http:": "ws:" }[address.protocol] ?? address.protocol;
  return address.href;
}

/**
 * An HTTP address of the gateway.
 * @param {string | undefined} url
 * @param {string} path
 */
export function httpAddress(url, path) {
  const address = new URL(path, base(url));
  address.protocol = { "wss:": "https:", "ws:": "http:" }[address.protocol] ?? address.protocol;
  return address.href;
}
