// What the example client makes of a browser's keyboard events: texts as texts, everything else by the place of its key.
'use strict';

const assert = require('node:assert');
const { Keyboard } = require('../../../examples/clients/desktop_stream.js');

const listeners = {};
const field = {
  value: '',
  style: '',
  setAttribute() {},
  focus() {},
  addEventListener(kind, listener) {
    listeners[kind] = listener;
  },
};
global.document = { createElement: () => field };

const said = [];
new Keyboard({ after() {}, addEventListener() {} }, (message) => said.push(message));

function event(key, code, more = {}) {
  return { key, code, preventDefault() {}, getModifierState: (name) => name === 'AltGraph' && more.altGraph === true, ...more };
}

/** What is said of these events. */
function of(...events) {
  said.length = 0;
  for (const [kind, what] of events) {
    listeners[kind](what);
  }
  return said.map((message) => message.text ?? `${message.code} ${message.action}`);
}

function typed(text, more = {}) {
  return ['input', { get isComposing() { field.value = text; return more.isComposing === true; } }];
}

const down = (...about) => ['keydown', event(...about)];
const up = (...about) => ['keyup', event(...about)];

assert.deepEqual(of(down('Shift', 'ShiftLeft'), down('A', 'KeyA'), typed('A'), up('Shift', 'ShiftLeft')), ['ShiftLeft down', 'A', 'ShiftLeft up']);
// A dead key says nothing until its letter is there; an input method until it has composed.
assert.deepEqual(of(down('Dead', 'Equal'), typed('é')), ['é']);
assert.deepEqual(of(down('Process', 'KeyK'), typed('か', { isComposing: true }), ['compositionend', {}]), ['か']);
// Windows says Ctrl before AltGr: neither goes to the desktop.
const altGraph = { ctrlKey: true, altKey: true, altGraph: true };
assert.deepEqual(
  of(down('Control', 'ControlLeft', { ctrlKey: true }), down('AltGraph', 'AltRight', altGraph), down('@', 'KeyQ', altGraph), typed('@'), up('AltGraph', 'AltRight')),
  ['ControlLeft down', 'ControlLeft up', '@'],
);
// A shortcut goes by its keys, a held key once, and nothing stays down when the page is left.
assert.deepEqual(
  of(down('Control', 'ControlLeft', { ctrlKey: true }), down('c', 'KeyC', { ctrlKey: true }), down('c', 'KeyC', { ctrlKey: true, repeat: true }), ['blur', {}]),
  ['ControlLeft down', 'KeyC down', 'ControlLeft up', 'KeyC up'],
);
assert.deepEqual(
  of(down('v', 'KeyV', { ctrlKey: true }), ['paste', { preventDefault() {}, clipboardData: { getData: () => 'copied' } }]),
  ['copied', 'KeyV press'],
);
console.log('ok');
