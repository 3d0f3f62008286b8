// @ts-check
/** Texts of WHIP, pure: `Link` headers in, fragments of SDP out. */

/**
 * The ICE servers of `Link` headers (RFC 9725 section 4.6, RFC 8288).
 * @param {string} header All values, joined by commas.
 * @returns {RTCIceServer[]}
 */
export function iceServers(header) {
  return header
    .split(/,\s*(?=<)/)
    .map(iceServer)
    .filter((server) => server !== null);
}

/**
 * @param {string} link
 * @returns {RTCIceServer | null}
 */
function iceServer(link) {
  const url = /^\s*<([^>]+)>/.exec(link)?.[1];
  const fields = new Map([...link.matchAll(/;\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))/g)].map(field));
  if (!url || fields.get("rel") !== "ice-server") return null;
  const username = fields.get("username");
  return username === undefined ? { urls: url } : { urls: url, username, credential: fields.get("credential") ?? "" };
}

/**
 * @param {RegExpMatchArray} match
 * @returns {[string, string]}
 */
function field([, name, quoted, bare]) {
  return [name.toLowerCase(), quoted === undefined ? bare : quoted.replaceAll(/\\(.)/g, "$1")];
}

/**
 * A fragment for `PATCH` (RFC 8840 section 9).
 * @param {string} local The local description, for its ICE user name and password.
 * @param {RTCIceCandidate[]} candidates Of the bundled transport.
 * @param {boolean} last No more will come.
 */
export function describeCandidates(local, candidates, last) {
  const first = (/** @type {RegExp} */ pattern) => pattern.exec(local)?.[0].trim() ?? "";
  const lines = [first(/^a=ice-ufrag:.*$/m), first(/^a=ice-pwd:.*$/m), "m=audio 9 UDP/TLS/RTP/SAVPF 0"];
  lines.push(first(/^a=mid:.*$/m), ...candidates.map(({ candidate }) => `a=${candidate}`));
  if (last) lines.push("a=end-of-candidates");
  return lines.map((line) => `${line}\r\n`).join("");
}
