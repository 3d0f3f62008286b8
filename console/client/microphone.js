// @ts-check
/** The caller's microphone, and why it cannot be had. */

import { MicrophoneError } from "./errors.js";

const CONSTRAINTS = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };

/**
 * Ask for a microphone; the browser may ask the user.
 * @param {string} [deviceId] Default: the system's.
 * @returns {Promise<MediaStream>}
 * @throws {MicrophoneError}
 */
export async function openMicrophone(deviceId) {
  if (!navigator.mediaDevices?.getUserMedia) throw withoutDevices();
  const chosen = deviceId ? { deviceId: { exact: deviceId } } : {};
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { ...CONSTRAINTS, ...chosen } });
  } catch (error) {
    throw explained(/** @type {Error} */ (error));
  }
}

/**
 * The microphones of this machine. Names are empty until one was allowed.
 * @returns {Promise<MediaDeviceInfo[]>}
 */
export async function listMicrophones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return devices.filter((device) => device.kind === "audioinput");
}

function withoutDevices() {
  return globalThis.isSecureContext
    ? new MicrophoneError("unsupported", "This browser gives pages no microphone.")
    : new MicrophoneError(
        "insecure",
        "Browsers give a microphone only to pages opened by https:// or from localhost. Open this page that way.",
      );
}

/** @param {Error} error */
function explained(error) {
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return new MicrophoneError(
        "refused",
        "The microphone was refused. Allow it in the browser's address bar, or in the system's privacy settings.",
        error,
      );
    case "NotFoundError":
    case "OverconstrainedError":
      return new MicrophoneError("absent", "No microphone was found. Plug one in, or choose another one.", error);
    default:
      return new MicrophoneError("busy", "The microphone cannot be opened; another program may be using it.", error);
  }
}
