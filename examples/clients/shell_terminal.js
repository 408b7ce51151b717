// A session's terminal in xterm.js, over /ws/shell/{session_id}.
//
//   const terminal = new Terminal({ scrollback: 1000 });
//   terminal.open(document.getElementById('terminal'));
//   new ShellTerminal('ws://127.0.0.1:8007/ws/shell/SESSION_ID', terminal);
//
// What comes first after a connection makes the terminal the same as the session's, so one that was lost is simply made again.
'use strict';

class ShellTerminal {
  /** `terminal`: one of xterm.js. `key`: an API key, where the server wants one. */
  constructor(url, terminal, key = undefined) {
    this.url = url;
    this.terminal = terminal;
    this.key = key;
    /** Bytes that the terminal has still to show. */
    this.behind = 0;
    this.paused = false;
    /** Whether what is typed here goes to the session. */
    this.writer = false;
    /** Told who types, how many look and how large the terminal is: `{ writer, viewers, cols, rows }`. */
    this.onstanding = () => {};
    /** Told a sentence: what was refused, or that the session has ended. */
    this.onerror = () => {};
    const encoder = new TextEncoder();
    terminal.onData((text) => {
      if (this.writer) {
        this.send(encoder.encode(text));
      } else if (!text.startsWith('\x1b')) {
        // Who only looks on is not asked: what begins with an escape may be the terminal's own answer to a program.
        this.onerror('somebody else types here');
      }
    });
    terminal.onBinary((text) => this.send(Uint8Array.from(text, (character) => character.charCodeAt(0))));
    terminal.onResize(({ cols, rows }) => this.say({ type: 'resize', cols, rows }));
    this.connect();
  }

  connect() {
    this.socket = new WebSocket(this.url, this.key ? [`bearer.${this.key}`] : []);
    this.socket.binaryType = 'arraybuffer';
    this.behind = 0;
    this.paused = false;
    let opened = false;
    this.socket.onopen = () => {
      opened = true;
      this.say({ type: 'resize', cols: this.terminal.cols, rows: this.terminal.rows });
    };
    this.socket.onmessage = ({ data }) => (typeof data === 'string' ? this.heard(JSON.parse(data)) : this.print(new Uint8Array(data)));
    this.socket.onclose = ({ code, reason }) => {
      this.writer = false;
      if (code === 1000) {
        this.onerror(reason || 'the session has ended');
        return;
      }
      this.onerror(opened ? 'the connection was lost' : 'the server does not open this session');
      setTimeout(() => this.connect(), 1000);
    };
  }

  /** Prints, and asks for a pause while the terminal is far behind: what it cannot show yet waits at the server, in its bounded memory. */
  print(bytes) {
    this.behind += bytes.length;
    if (!this.paused && this.behind > 1 << 20) {
      this.paused = true;
      this.say({ type: 'pause' });
    }
    const socket = this.socket;
    this.terminal.write(bytes, () => {
      if (socket !== this.socket) {
        return;
      }
      this.behind -= bytes.length;
      if (this.paused && this.behind < 1 << 16) {
        this.paused = false;
        this.say({ type: 'resume' });
      }
    });
  }

  heard(said) {
    if (said.type === 'standing') {
      this.writer = said.writer;
      this.onstanding(said);
      // Who looks on sees the terminal in the size of who types.
      if (!said.writer && (said.cols !== this.terminal.cols || said.rows !== this.terminal.rows)) {
        this.terminal.resize(said.cols, said.rows);
      }
    } else if (said.error) {
      this.onerror(said.error);
    }
  }

  /** Types from now on, instead of whoever did. */
  take() {
    this.say({ type: 'take' });
  }

  say(message) {
    this.send(JSON.stringify(message));
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) {
      this.socket.send(message);
    }
  }
}
