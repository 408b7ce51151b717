// What a frontend does with TRAE: streams the desktop, clicks, reads text, runs a workflow and follows it.
//
//   node --experimental-websocket examples/clients/frontend.cjs [http://127.0.0.1:8007]
//
// Node 22 and later need no flag; Node 18 takes the package `ws`. A key, where the server wants one, is read from TRAE_KEY.
'use strict';

const base = process.argv[2] ?? 'http://127.0.0.1:8007';
const key = process.env.TRAE_KEY;
const Socket = globalThis.WebSocket ?? require('ws');

/** Calls the API; an answer that is not a success becomes an error that says what to do. */
async function call(method, path, body) {
  const response = await fetch(base + path, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...(key ? { Authorization: `Bearer ${key}` } : {}),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) {
    throw new Error(`${method} ${path}: ${response.status} ${answer.error_code}: ${answer.error}`);
  }
  return answer;
}

/** Opens a socket, says `first`, and resolves with what `done` makes of a message once it makes something of one. */
function converse(path, first, done) {
  return new Promise((resolve, reject) => {
    // Browsers cannot send headers with a WebSocket: a key travels as a subprotocol.
    const socket = new Socket(base.replace(/^http/, 'ws') + path, key ? [`bearer.${key}`] : []);
    socket.onopen = () => socket.send(JSON.stringify(first));
    socket.onerror = (event) => reject(new Error(`${path}: ${event.message ?? 'the socket failed'}`));
    socket.onclose = (event) => reject(new Error(`${path}: closed with ${event.code} ${event.reason}`));
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.type === 'error') {
        reject(new Error(`${path}: ${message.error_code}: ${message.error}`));
      }
      const result = done(message);
      if (result !== undefined) {
        resolve(result);
        socket.onclose = null;
        socket.close();
      }
    };
  });
}

async function main() {
  const health = await call('GET', '/api/health/');
  console.log(`health: ${health.status}, version ${health.version}`);

  // Desktop streaming
  const frame = await converse(
    '/ws/desktop-stream',
    { type: 'start_stream', config: { fps: 5, quality: 80, scale_factor: 1.0 } },
    (message) => (message.type === 'frame' ? message : undefined),
  );
  const jpeg = Buffer.from(frame.image_data, 'base64');
  if (jpeg[0] !== 0xff || jpeg[1] !== 0xd8) throw new Error('the frame is not a JPEG');
  console.log(`stream: frame ${frame.frame} of ${frame.width} × ${frame.height}, ${jpeg.length} bytes`);

  // Automation control
  const click = await call('POST', '/api/automation/mouse/click', { x: 100, y: 200, button: 'left', clicks: 1 });
  const at = await call('GET', '/api/automation/mouse/position');
  if (!click.success || at.x !== 100 || at.y !== 200) throw new Error(`the pointer is at ${JSON.stringify(at)}`);
  console.log(`click: ${click.message}`);

  // OCR processing
  const snapshot = await call('POST', '/api/snapshots/create', { monitor: 0, quality: 85 });
  const read = await call('POST', '/api/snapshots/ocr/execute', {
    snapshot_id: snapshot.snapshot_id,
    zones: [{ id: 'title_zone', name: 'Title', x: 100, y: 50, width: 200, height: 30, language: 'eng' }],
  });
  console.log(`ocr: ${JSON.stringify(read.results[0].text)}`);
  await call('DELETE', `/api/snapshots/${snapshot.snapshot_id}`);

  // Workflow automation
  const workflow = await call('POST', '/api/workflows/', {
    name: 'A greeting',
    nodes: [
      { id: 'start', type: 'manual_trigger', position: { x: 0, y: 0 }, data: {} },
      { id: 'greet', type: 'transform', position: { x: 200, y: 0 }, data: { expression: '"Hello " + params.input_data' } },
    ],
    edges: [{ id: 'e', source: 'start', target: 'greet' }],
  });
  const run = await converse(
    '/ws/workflow-automation',
    { type: 'execute_workflow', workflow_id: workflow.id, parameters: { input_data: 'test' } },
    (message) => (message.type === 'run_finished' ? message : undefined),
  );
  if (run.status !== 'succeeded') throw new Error(JSON.stringify(run.error));
  console.log(`workflow: ${run.status}, result ${JSON.stringify(run.result)}`);
  await call('DELETE', `/api/workflows/${workflow.id}`);

  // Error handling
  const refused = await call('GET', '/api/workflows/no-such-workflow').then(
    () => 'nothing',
    (error) => error.message,
  );
  console.log(`error: ${refused}`);
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
