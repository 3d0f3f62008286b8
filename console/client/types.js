// @ts-check
/**
 * The words of the client, as types only; nothing here runs. The wire is described in docs/protocols.md.
 *
 * @typedef {"auto" | "webrtc" | "websocket"} TransportChoice
 *   `auto`: WebRTC (WHIP) first, WebSocket where WebRTC does not come up.
 *
 * @typedef {"connecting" | "live" | "reconnecting" | "ended"} CallState
 *
 * @typedef {string | (() => string | Promise<string>)} Token
 *   A function is asked again for every connection, as single-use tokens need it.
 *
 * @typedef {object} ConnectOptions
 * @property {string} [url] Address of the gateway, `https://voice.example.com` or with a path; default: where this
 *   module was loaded from.
 * @property {string} [sessionId] Name of the call, 1 to 64 of `A-Z a-z 0-9 _ -`; default: a random UUID.
 * @property {string} [agent] Name of the agent; default: the gateway's.
 * @property {Token} [token] Bearer token; not needed on loopback.
 * @property {TransportChoice} [transport] Default `auto`.
 * @property {boolean | string | MediaStream} [microphone] `true` (default): the system's; a device id; a stream of
 *   your own, which is not stopped at the end; `false`: the caller only types.
 * @property {boolean} [greeting] Whether the agent speaks first; default `true`.
 * @property {Record<string, string>} [context] Facts of the call for the agent; they go by WebSocket only, so `auto`
 *   does not try WebRTC with them.
 * @property {number} [whipTimeoutMs] How long WebRTC may take to come up; default 4000, then the WebSocket is used, or
 *   15000 with `webrtc`.
 * @property {number} [resumeMs] How long a lost connection is tried again; default 60000, the gateway's window.
 * @property {AudioContext} [audioContext] Default: one of our own, closed at the end.
 * @property {AbortSignal} [signal] Gives up connecting.
 *
 * @typedef {object} GatewayEvent An event of the call (docs/protocols.md, "Events"); other fields by `type`.
 * @property {string} type
 * @property {string} sessionId
 * @property {number} seq
 * @property {string} at
 * @property {number} [turn]
 *
 * @typedef {Record<string, any> & {type: string}} WireMessage One JSON message, in either direction.
 *
 * @typedef {object} StateDetail Detail of the `state` event.
 * @property {CallState} state
 * @property {"webrtc" | "websocket" | ""} transport
 * @property {string} reason Why, where it is not obvious: `client`, `agent`, `disconnected`, a refusal in words.
 *
 * @typedef {object} NoticeDetail Detail of a `notice`: the gateway's, or with `local` the client's own.
 * @property {string} code
 * @property {string} message
 * @property {boolean} [local]
 *
 * @typedef {object} Level
 * @property {number} rmsDb dBFS, -100 for silence.
 * @property {number} peakDb dBFS.
 *
 * @typedef {object} Claim To a call that lost its connection.
 * @property {string} secret Of its `session.welcome`.
 * @property {number} lastSeq Of the last event that was seen.
 *
 * @typedef {object} PlaybackReport What waits to be played.
 * @property {number} bufferedMs
 * @property {number} targetMs The reserve that the buffer aims at.
 * @property {number} gaps Times that audio came too late and was missing.
 * @property {boolean} playing
 *
 * @typedef {object} LinkEnd How a connection was lost.
 * @property {boolean} final No new connection will bring the call back.
 * @property {string} reason
 *
 * @typedef {object} LinkHandlers
 * @property {(message: WireMessage) => void} message
 * @property {(end: LinkEnd) => void} lost Called once, and never after `close`.
 *
 * @typedef {object} Link One connection of a call: a WebSocket, or a peer connection.
 * @property {"webrtc" | "websocket"} kind
 * @property {(message: WireMessage) => boolean} send False: there is no connection any more.
 * @property {(stream: MediaStream | null) => Promise<void>} useMicrophone
 * @property {() => void} flush Drop what came of the agent's audio and was not played.
 * @property {() => void} close Leave; the gateway is told that it was meant.
 * @property {() => void} leave Leave without a word: the gateway keeps the call.
 * @property {() => void} drop Leave as if the network had gone: the gateway keeps the call, and `lost` is called.
 * @property {() => MediaStream} agentStream The agent's voice.
 * @property {PlaybackReport} playback
 */

export {};
