// A client of /ws/desktop-stream in the format `binary`, without dependencies: shows the desktop on a canvas and sends input back.
//
//   <canvas id="desktop" tabindex="0"></canvas>
//   <script src="desktop_stream.js"></script>
//   <script>new DesktopStream('ws://127.0.0.1:8007/ws/desktop-stream', document.getElementById('desktop'), { fps: 30 });</script>
//
// `DesktopPicture` is the decoder by itself; it also runs in Node. The bytes are described at /docs, under /ws/desktop-stream.
'use strict';

/** The desktop's picture, kept up to date by the messages of a stream. */
class DesktopPicture {
  /** `decodeJpeg(bytes, width, height)` resolves with RGBA bytes; without it the browser decodes. */
  constructor(decodeJpeg = decodeJpegInBrowser) {
    this.decodeJpeg = decodeJpeg;
    this.width = 0;
    this.height = 0;
    /** Red, green, blue and 255, row by row. */
    this.pixels = new Uint8ClampedArray(0);
  }

  /** Applies one message (an ArrayBuffer). Resolves with what it was; `changed` lists the rectangles that are to be drawn again. */
  async apply(message) {
    const view = new DataView(message);
    if (view.byteLength < 24 || view.getUint8(0) !== 1) {
      return null;
    }
    const update = {
      whole: (view.getUint8(1) & 1) !== 0,
      exact: (view.getUint8(1) & 2) !== 0,
      sequence: view.getUint32(4, true),
      timestamp: view.getFloat64(8, true),
      changed: [],
    };
    if (update.whole) {
      this.width = view.getUint16(16, true);
      this.height = view.getUint16(18, true);
      this.pixels = new Uint8ClampedArray(this.width * this.height * 4);
    }
    const moves = [];
    const paints = [];
    let at = 24;
    for (let count = view.getUint16(2, true); count > 0; count -= 1) {
      const area = {
        x: view.getUint16(at + 2, true),
        y: view.getUint16(at + 4, true),
        width: view.getUint16(at + 6, true),
        height: view.getUint16(at + 8, true),
      };
      const bytes = new Uint8Array(message, at + 16, view.getUint32(at + 12, true));
      const kind = view.getUint8(at);
      at += 16 + bytes.length;
      update.changed.push(area);
      if (kind === 0) {
        moves.push({ area, x: bytes[0] | (bytes[1] << 8), y: bytes[2] | (bytes[3] << 8) });
      } else {
        // Unpacked side by side; painted one after the other.
        paints.push(this.unpack(kind, bytes, area).then((pixels) => ({ area, pixels })));
      }
    }
    // Before anything is painted: what is moved is of the picture as it was.
    moves.forEach((move) => this.move(move));
    (await Promise.all(paints)).forEach(({ area, pixels }) => this.paint(area, pixels));
    return update;
  }

  move({ area, x, y }) {
    const row = this.width * 4;
    const length = area.width * 4;
    for (let line = 0; line < area.height; line += 1) {
      // Downwards from below, so that what is still to be moved is not covered.
      const index = area.y > y ? area.height - 1 - line : line;
      const from = (y + index) * row + x * 4;
      this.pixels.copyWithin((area.y + index) * row + area.x * 4, from, from + length);
    }
  }

  paint(area, pixels) {
    const length = area.width * 4;
    for (let line = 0; line < area.height; line += 1) {
      this.pixels.set(pixels.subarray(line * length, (line + 1) * length), ((area.y + line) * this.width + area.x) * 4);
    }
  }

  /** The RGBA bytes of a rectangle. */
  async unpack(kind, bytes, { width, height }) {
    const pixels = new Uint8ClampedArray(width * height * 4).fill(255);
    if (kind === 1) {
      return this.decodeJpeg(bytes, width, height);
    }
    if (kind === 2) {
      const count = bytes[0] + 1;
      const bits = count <= 2 ? 1 : count <= 4 ? 2 : count <= 16 ? 4 : 8;
      const raw = await inflate(bytes.subarray(1 + count * 3));
      const stride = Math.ceil((width * bits) / 8);
      const mask = (1 << bits) - 1;
      for (let y = 0, to = 0; y < height; y += 1) {
        for (let x = 0; x < width; x += 1, to += 4) {
          const place = x * bits;
          const number = (raw[y * stride + (place >> 3)] >> (8 - bits - (place & 7))) & mask;
          pixels[to] = bytes[1 + number * 3];
          pixels[to + 1] = bytes[2 + number * 3];
          pixels[to + 2] = bytes[3 + number * 3];
        }
      }
      return pixels;
    }
    if (kind === 3) {
      const raw = await inflate(bytes);
      for (let index = 0, from = 0, to = 0; index < width * height; index += 1, from += 3, to += 4) {
        const before = index % width !== 0 ? to - 4 : to - width * 4;
        for (let part = 0; part < 3; part += 1) {
          pixels[to + part] = (raw[from + part] + (before < 0 ? 0 : pixels[before + part])) & 255;
        }
      }
      return pixels;
    }
    if (kind === 4) {
      for (let to = 0; to < pixels.length; to += 4) {
        pixels.set(bytes, to);
      }
      return pixels;
    }
    throw new Error(`a rectangle is written down in a way (${kind}) that this client does not know`);
  }
}

/** The bytes of a zlib stream. */
async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function decodeJpegInBrowser(bytes, width, height) {
  const picture = await createImageBitmap(new Blob([bytes], { type: 'image/jpeg' }));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  picture.close();
  return context.getImageData(0, 0, width, height).data;
}

/** Shows a desktop on a canvas, and sends the mouse, the keyboard and the clipboard that are used on it. */
class DesktopStream {
  /** `config`: fps, quality, scale_factor, monitor. `key`: an API key, where the server wants one. */
  constructor(url, canvas, config = {}, key = undefined) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    this.picture = new DesktopPicture();
    this.working = Promise.resolve();
    /** Who is at the controls, as the server told it last; `oncontrol` is called with it. */
    this.control = { holder: null, requests: [], waiting: [], emergency: null, you: null };
    this.oncontrol = () => {};
    /** Called with each error's sentence. */
    this.onerror = (sentence) => console.warn(sentence);
    this.connect(url, config, key);
    this.listen();
    new Keyboard(canvas, (message) => this.say(message));
  }

  /** Opens the socket, and again a second after it was lost. */
  connect(url, config, key) {
    this.socket = new WebSocket(url, key ? [`bearer.${key}`] : []);
    this.socket.binaryType = 'arraybuffer';
    this.socket.onopen = () => {
      this.say({ type: 'start_stream', config: { ...config, format: 'binary' } });
      this.say({ type: 'clipboard_follow' });
    };
    this.socket.onmessage = (event) => this.hear(event.data);
    this.socket.onclose = () => setTimeout(() => this.connect(url, config, key), 1000);
  }

  say(message) {
    if (this.socket.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify(message));
    }
  }

  configure(config) {
    this.say({ type: 'configure', config });
  }

  requestControl(name) {
    this.say({ type: 'request_control', name });
  }

  takeControl(name) {
    this.say({ type: 'take_control', name });
  }

  /** `to`: the id of one of `control.requests` or `control.waiting`. */
  giveControl(to) {
    this.say({ type: 'give_control', to });
  }

  releaseControl() {
    this.say({ type: 'release_control' });
  }

  emergencyStop() {
    this.say({ type: 'emergency_stop' });
  }

  hear(data) {
    if (typeof data === 'string') {
      this.told(JSON.parse(data));
      return;
    }
    // One after the other: each is about what the one before has left.
    this.working = this.working
      .then(() => this.picture.apply(data))
      .then((update) => update && this.show(update))
      .catch((error) => {
        console.warn(error);
        this.say({ type: 'keyframe' });
      });
  }

  told(message) {
    if (message.type === 'cursor') {
      this.point(message);
    } else if (message.type === 'control') {
      this.control = message;
      this.oncontrol(message);
    } else if (message.type === 'clipboard' && message.text !== null) {
      // Browsers allow it only to a page that is looked at.
      navigator.clipboard?.writeText(message.text).catch(() => {});
    } else if (message.type === 'error') {
      this.onerror(message.error);
    }
  }

  show(update) {
    const { width, height, pixels } = this.picture;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    if (width > 0 && height > 0) {
      const image = new ImageData(pixels, width, height);
      update.changed.forEach(({ x, y, width: w, height: h }) => this.context.putImageData(image, 0, 0, x, y, w, h));
    }
    this.say({ type: 'ack', sequence: update.sequence });
  }

  /** The browser's own pointer takes the shape of the desktop's. */
  point({ shape }) {
    if (shape !== undefined) {
      const { hotspot_x: x, hotspot_y: y, image_data: image } = shape ?? {};
      this.canvas.style.cursor = shape ? `url(data:image/png;base64,${image}) ${x} ${y}, default` : 'none';
    }
  }

  listen() {
    const buttons = ['left', 'middle', 'right'];
    const at = (event) => {
      const box = this.canvas.getBoundingClientRect();
      const scaled = (value, shown, size) => Math.min(size - 1, Math.max(0, Math.floor((value * size) / shown)));
      return {
        x: scaled(event.clientX - box.left, box.width, this.canvas.width),
        y: scaled(event.clientY - box.top, box.height, this.canvas.height),
      };
    };
    const on = (kind, handle) =>
      this.canvas.addEventListener(kind, (event) => {
        event.preventDefault();
        handle(event);
      });
    // One movement for each picture that the browser shows is enough.
    let moved = null;
    const move = () => {
      if (moved) {
        this.say({ type: 'mouse_move', ...moved });
        moved = null;
      }
    };
    on('mousemove', (event) => {
      if (!moved) {
        requestAnimationFrame(move);
      }
      moved = at(event);
    });
    on('mousedown', (event) => {
      // A page that scrolls meanwhile would have the click land elsewhere.
      const place = at(event);
      this.canvas.focus({ preventScroll: true });
      move();
      this.say({ type: 'mouse_down', ...place, button: buttons[event.button] ?? 'left' });
    });
    on('mouseup', (event) => {
      move();
      this.say({ type: 'mouse_up', ...at(event), button: buttons[event.button] ?? 'left' });
    });
    on('contextmenu', () => {});
    on('wheel', (event) => this.say({ type: 'scroll', ...at(event), dx: Math.sign(event.deltaX), dy: Math.sign(event.deltaY) }));
  }
}

/**
 * The keyboard. What types a text goes as the text, however the browser came by it (layout, AltGr, dead keys, input methods); everything
 * else goes by the place of its key. A field that nobody sees takes the text in, since only there browsers compose one.
 */
class Keyboard {
  constructor(canvas, say) {
    this.say = say;
    this.down = new Set();
    const field = document.createElement('textarea');
    field.setAttribute('aria-label', 'keyboard of the desktop');
    field.autocapitalize = 'off';
    field.spellcheck = false;
    field.style = 'position: fixed; left: 0; top: 0; width: 1px; height: 1px; opacity: 0; resize: none; border: 0';
    canvas.after(field);
    canvas.addEventListener('focus', () => field.focus({ preventScroll: true }));
    field.addEventListener('keydown', (event) => this.press(event));
    field.addEventListener('keyup', (event) => this.release(event));
    field.addEventListener('input', (event) => event.isComposing || this.type(field));
    field.addEventListener('compositionend', () => this.type(field));
    field.addEventListener('paste', (event) => this.paste(event));
    field.addEventListener('blur', () => this.releaseAll());
  }

  press(event) {
    const altGraph = event.key === 'AltGraph' || event.getModifierState('AltGraph');
    const types = [...event.key].length === 1 && (altGraph || !(event.ctrlKey || event.altKey || event.metaKey));
    const pastes = event.code === 'KeyV' && (event.ctrlKey || event.metaKey) && !event.altKey;
    if (event.isComposing || event.key === 'Process' || event.key === 'Dead' || types || pastes) {
      // The browser makes a text of it.
      return;
    }
    event.preventDefault();
    if (event.key === 'AltGraph') {
      // It only chooses what is typed. Windows says that the left Ctrl is down with it.
      this.up('ControlLeft');
    } else if (event.code && !event.repeat) {
      // A key that is held down repeats at the desktop by itself.
      this.down.add(event.code);
      this.say({ type: 'key', code: event.code, action: 'down' });
    }
  }

  release(event) {
    event.preventDefault();
    this.up(event.code);
  }

  up(code) {
    if (this.down.delete(code)) {
      this.say({ type: 'key', code, action: 'up' });
    }
  }

  releaseAll() {
    [...this.down].forEach((code) => this.up(code));
  }

  type(field) {
    if (field.value !== '') {
      this.say({ type: 'type', text: field.value });
      field.value = '';
    }
  }

  /** What was copied here is pasted there. */
  paste(event) {
    event.preventDefault();
    this.say({ type: 'clipboard_set', text: event.clipboardData.getData('text/plain') });
    this.say({ type: 'key', code: 'KeyV', action: 'press' });
  }
}

if (typeof module !== 'undefined') {
  module.exports = { DesktopPicture, DesktopStream, Keyboard };
}
