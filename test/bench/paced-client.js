// A process of its own: sends commands at a constant rate, whatever comes back, and measures each latency from the
// moment when the command was due. A server that falls behind is therefore charged for the time that commands wait to be
// sent (no coordinated omission). Between commands it sleeps for at most SLEEP_MS: that blurs a latency by as much, the
// same for everyone, and leaves the cores to what is measured. A generator that spins takes a core for itself, and on a
// small machine the p99 is then the scheduler's time slice.
//
//   node paced-client.js '{"port":…,"ratePerSecond":…,"seconds":…,"warmUpSeconds":…,"connections":…}'
//
// Prints one JSON document: { sent, answered, errors, p50Ms, p99Ms, p999Ms, maxMs, sendLagP99Ms }.
import net from 'node:net';
import { percentile } from './statistics.js';

const KEYS = 100_000;
const VALUE = 'x'.repeat(64);
const DRAIN_MS = 5_000;
const CR = 13;
const SLEEP_MS = 0.1;

const options = JSON.parse(process.argv[2]);
const { port, ratePerSecond, seconds, warmUpSeconds, connections: count } = options;
const total = Math.round(ratePerSecond * (seconds + warmUpSeconds));
const firstMeasured = Math.round(ratePerSecond * warmUpSeconds);
const latencies = new Float64Array(total).fill(Number.NaN);
const sendLags = new Float64Array(total);
let answered = 0;
let errors = 0;

/** One connection: replies come in the order of the commands. */
class Connection {
  #socket;
  #waiting = [];
  #head = 0;
  #rest = Buffer.alloc(0);

  constructor(socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#read(chunk, performance.now()));
    socket.on('error', (error) => fail(`connection lost: ${error.message}`));
    socket.on('close', () => fail('the server closed a connection'));
  }

  /** Counts the reply of command number `index`, which was due at `dueMs`. */
  send(text, index, dueMs) {
    this.#waiting.push(index, dueMs);
    this.#socket.write(text);
  }

  end() {
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }

  #read(chunk, nowMs) {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    for (;;) {
      const end = replyEnd(data, at);
      if (end < 0) break;
      if (data[at] === 45) errors++; // '-'
      this.#answer(nowMs);
      at = end;
    }
    this.#rest = data.subarray(at);
  }

  #answer(nowMs) {
    const index = this.#waiting[this.#head];
    latencies[index] = nowMs - this.#waiting[this.#head + 1];
    this.#head += 2;
    answered++;
    if (this.#head > 4_096) {
      this.#waiting.splice(0, this.#head);
      this.#head = 0;
    }
  }
}

/** Where the reply at `at` ends; -1 while it is incomplete. Simple strings, errors, integers and bulk strings. */
function replyEnd(data, at) {
  const lineEnd = data.indexOf(CR, at);
  if (lineEnd < 0 || lineEnd + 2 > data.length) return -1;
  if (data[at] !== 36) return lineEnd + 2; // '$'
  const length = Number(data.latin1Slice(at + 1, lineEnd));
  if (length < 0) return lineEnd + 2;
  const end = lineEnd + 2 + length + 2;
  return end <= data.length ? end : -1;
}

function fail(message) {
  console.error(`paced-client: ${message}`);
  process.exit(1);
}

function command(index) {
  const key = `key:${String((index * 7_919) % KEYS).padStart(12, '0')}`;
  if (index % 2 === 0) return `*2\r\n$3\r\nGET\r\n$16\r\n${key}\r\n`;
  return `*3\r\n$3\r\nSET\r\n$16\r\n${key}\r\n$64\r\n${VALUE}\r\n`;
}

const open = () =>
  new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => resolve(new Connection(socket)));
    socket.once('error', reject);
  });

const connections = await Promise.all(Array.from({ length: count }, open));
// Commands are made before the clock starts: making them must not delay them.
const commands = Array.from({ length: KEYS }, (_, index) => command(index));
const startMs = performance.now() + 50;
const everyMs = 1_000 / ratePerSecond;
const sleeper = new Int32Array(new SharedArrayBuffer(4));
let sent = 0;

await new Promise((resolve) => {
  const turn = () => {
    const nowMs = performance.now();
    while (sent < total) {
      const dueMs = startMs + sent * everyMs;
      if (dueMs > nowMs) break;
      sendLags[sent] = performance.now() - dueMs;
      connections[sent % count].send(commands[sent % KEYS], sent, dueMs);
      sent++;
    }
    if (answered === total || nowMs > startMs + total * everyMs + DRAIN_MS) resolve();
    else {
      Atomics.wait(sleeper, 0, 0, SLEEP_MS);
      setImmediate(turn);
    }
  };
  turn();
});
for (const connection of connections) connection.end();

const measured = latencies
  .subarray(firstMeasured)
  .filter((ms) => !Number.isNaN(ms))
  .sort();
const lags = sendLags.subarray(firstMeasured).sort();
const round = (ms) => Math.round(ms * 1_000) / 1_000;
console.log(
  JSON.stringify({
    sent,
    answered,
    errors,
    p50Ms: round(percentile(measured, 0.5)),
    p99Ms: round(percentile(measured, 0.99)),
    p999Ms: round(percentile(measured, 0.999)),
    maxMs: round(percentile(measured, 1)),
    sendLagP99Ms: round(percentile(lags, 0.99)),
  }),
);
process.exit(0);
