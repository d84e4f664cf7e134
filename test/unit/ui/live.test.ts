import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { canDraw, drawing, fitLines, type LiveInput, type LiveOutput, showLive } from '../../../src/ui/live.js';
import { poll } from '../../support/redis.js';

const SEEN_MS = 5000;
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l';

/** A terminal that keeps what is written to it, and on which keys can be pressed. */
class Terminal extends EventEmitter {
  text = '';
  raw: boolean[] = [];
  rows = 5;
  columns = 80;
  readonly isTTY = true;

  write(text: string): boolean {
    this.text += text;
    return true;
  }

  setRawMode(on: boolean): void {
    this.raw.push(on);
  }

  resume(): void {}
  pause(): void {}

  press(key: string): void {
    this.emit('data', Buffer.from(key));
  }
}

const start = (terminal: Terminal, page: (signal: AbortSignal) => Promise<string[]>, signal?: AbortSignal) =>
  showLive({
    page,
    intervalMs: 5,
    signal: signal ?? new AbortController().signal,
    input: terminal as unknown as LiveInput,
    output: terminal as unknown as LiveOutput,
  });

describe('what fits on a page', () => {
  it('is all of it, or as much as leaves room to say how much more there is', () => {
    expect(fitLines(['a', 'b'], 2)).toEqual(['a', 'b']);
    expect(fitLines(['a', 'b', 'c', 'd'], 3)).toEqual(['a', 'b', '… 2 more lines']);
    expect(fitLines(['a', 'b'], 1)).toEqual(['… 2 more lines']);
  });

  it('is drawn over the page before it, without an end of line that would scroll', () => {
    expect(drawing(['a', 'b'], 5)).toBe('\u001b[Ha\u001b[K\r\nb\u001b[K\u001b[J');
    expect(drawing(['a', 'b', 'c'], 2).split('\r\n')).toHaveLength(2);
  });
});

describe('a live page', () => {
  it('needs a terminal that obeys', () => {
    expect(canDraw({ isTTY: true, write: () => true }, { TERM: 'xterm' })).toBe(true);
    expect(canDraw({ write: () => true }, { TERM: 'xterm' })).toBe(false);
    expect(canDraw({ isTTY: true, columns: 0, write: () => true }, {})).toBe(false);
    expect(canDraw({ isTTY: true, write: () => true }, { TERM: 'dumb' })).toBe(false);
  });

  it.each([
    ['q', 'q'],
    ['Ctrl-C', '\u0003'],
    ['Escape', '\u001b'],
  ])('is drawn again and again until %s, and leaves the terminal as it was', async (_, key) => {
    const terminal = new Terminal();
    let pages = 0;
    const exits = process.listenerCount('exit');
    const done = start(terminal, async () => [`page ${++pages}`]);
    await poll('three pages', SEEN_MS, () => pages >= 3);
    terminal.press('x');
    terminal.press('\u001b[A');
    const before = pages;
    await poll('other keys change nothing', SEEN_MS, () => pages > before);
    terminal.press(key);
    await done;
    expect(terminal.text).toContain('page 1');
    expect(terminal.text).toContain('page 3');
    expect(terminal.text.endsWith(LEAVE)).toBe(true);
    expect(terminal.raw).toEqual([true, false]);
    expect(terminal.listenerCount('data') + terminal.listenerCount('resize')).toBe(0);
    expect(process.listenerCount('exit')).toBe(exits);
  });

  it('is left in the middle of making the next one, too', async () => {
    const terminal = new Terminal();
    let asked = false;
    const done = start(terminal, (signal) => {
      asked = true;
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    });
    await poll('a page is asked for', SEEN_MS, () => asked);
    terminal.press('q');
    await done;
    expect(terminal.text.endsWith(LEAVE)).toBe(true);
  });

  it('ends with what a page throws, and with the reason of the signal, the terminal as it was', async () => {
    const broken = new Terminal();
    await expect(start(broken, () => Promise.reject(new Error('no page')))).rejects.toThrow('no page');
    expect(broken.text.endsWith(LEAVE)).toBe(true);
    const stopped = new Terminal();
    const controller = new AbortController();
    const done = start(stopped, async () => ['page'], controller.signal);
    await poll('a page', SEEN_MS, () => stopped.text.includes('page'));
    controller.abort(new Error('terminated'));
    await expect(done).rejects.toThrow();
    expect(stopped.text.endsWith(LEAVE)).toBe(true);
  });

  it('is drawn at once when the terminal changes its size', async () => {
    const terminal = new Terminal();
    const done = showLive({
      page: async () => ['a', 'b', 'c', 'd', 'e', 'f'],
      intervalMs: 60_000,
      signal: new AbortController().signal,
      input: terminal as unknown as LiveInput,
      output: terminal as unknown as LiveOutput,
    });
    await poll('a page', SEEN_MS, () => terminal.text.includes('… 2 more lines'));
    terminal.rows = 10;
    terminal.emit('resize');
    expect(terminal.text.slice(terminal.text.lastIndexOf('\u001b[H'))).toContain('f\u001b[K');
    terminal.press('q');
    await done;
  });
});
