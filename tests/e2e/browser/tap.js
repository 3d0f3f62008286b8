// Runs before a page's own scripts: records everything that the page plays, whichever way it plays it.
(() => {
  const chunks = [];
  let recorder = null;
  let context = null;
  let mix = null;

  const mixed = () => {
    if (mix === null) {
      context = new AudioContext();
      mix = context.createMediaStreamDestination();
      recorder = new MediaRecorder(mix.stream, { mimeType: "audio/webm;codecs=opus" });
      recorder.ondataavailable = (event) => chunks.push(event.data);
      recorder.start(100);
    }
    return mix;
  };
  const record = (stream) => {
    const mixer = mixed();
    const add = () => stream.getAudioTracks().length > 0 && context.createMediaStreamSource(stream).connect(mixer);
    if (!add()) stream.addEventListener("addtrack", add, { once: true });
  };

  const connect = AudioNode.prototype.connect;
  const taps = new Map();
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode && this.context !== context) {
      if (!taps.has(this.context)) {
        const tap = this.context.createMediaStreamDestination();
        taps.set(this.context, tap);
        record(tap.stream);
      }
      connect.call(this, taps.get(this.context));
    }
    return connect.call(this, target, ...rest);
  };

  const source = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "srcObject");
  Object.defineProperty(HTMLMediaElement.prototype, "srcObject", {
    ...source,
    set(stream) {
      if (stream instanceof MediaStream) record(stream);
      source.set.call(this, stream);
    },
  });

  window.voicegateTap = {
    async recorded() {
      if (recorder === null) return "";
      await new Promise((resolve) => {
        recorder.addEventListener("dataavailable", resolve, { once: true });
        recorder.requestData();
      });
      const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer());
      let text = "";
      for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
      return btoa(text);
    },
  };
})();
