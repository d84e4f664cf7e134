import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { LineSink, openLog } from '../../../../src/proxy/server/recording/line-sink.js';
import { Random } from '../engine/support/random.js';

const again = () => Object.assign(new Error('busy'), { code: 'EAGAIN' });
const full = () => Object.assign(new Error('full'), { code: 'ENOSPC' });

/** A descriptor that takes as much as it is told to, or fails. */
function sinkTo(take: (length: number) => number, bytesMax = 1000) {
  const written: Buffer[] = [];
  const failures: string[] = [];
  const sink = new LineSink(-1, {
    bytesMax,
    onFailure: (reason) => failures.push(reason),
    write: (_fd, bytes) => {
      const taken = take(bytes.length);
      written.push(Buffer.from(bytes.subarray(0, taken)));
      return taken;
    },
  });
  return { sink, failures, text: () => Buffer.concat(written).toString() };
}

describe('a sink of lines', () => {
  it('writes each line whole and in order, however little is taken at once', () => {
    const random = new Random(3);
    const { sink, text } = sinkTo((length) => {
      if (random.next() < 0.3) throw again();
      return random.int(1, length);
    }, 1e6);
    let expected = '';
    for (let i = 0; i < 500; i++) {
      const line = `${'x'.repeat(random.int(0, 50))}${i}\n`;
      expected += line;
      sink.write(line);
    }
    for (let i = 0; i < 5000 && text() !== expected; i++) sink.flush();
    expect(text()).toBe(expected);
    expect([sink.written, sink.dropped]).toEqual([500, 0]);
    sink.close();
  });

  it('drops what exceeds its bound, and nothing of it waits for ever', () => {
    let open = false;
    const { sink, text } = sinkTo((length) => {
      if (!open) throw again();
      return length;
    }, 100);
    for (let i = 0; i < 50; i++) sink.write(`line ${i}\n`);
    expect(sink.written).toBe(0);
    open = true;
    sink.flush();
    const lines = text().trim().split('\n');
    expect(lines).toEqual(Array.from({ length: lines.length }, (_, i) => `line ${i}`));
    expect(lines.length + sink.dropped).toBe(50);
    expect(text().length).toBeLessThanOrEqual(100);
    sink.write('after\n');
    expect(text()).toContain('after\n');
    sink.close();
  });

  it('says that it fails once, until it has gone well again', () => {
    let broken = true;
    const { sink, failures } = sinkTo((length) => {
      if (broken) throw full();
      return length;
    });
    sink.write('a\nb\n', 2);
    sink.write('c\n');
    expect([failures, sink.dropped]).toEqual([['ENOSPC'], 3]);
    broken = false;
    sink.write('d\n');
    broken = true;
    sink.write('e\n');
    expect([failures, sink.dropped, sink.written]).toEqual([['ENOSPC', 'ENOSPC'], 4, 1]);
  });

  it('goes on in another file without half a line', () => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'forge-sink-'));
    const [first, second] = [path.join(dir, 'a'), path.join(dir, 'b')] as [string, string];
    const sink = new LineSink(openSync(first, 'a'), { bytesMax: 1000, onFailure: () => {} });
    sink.write('one\n');
    closeSync(sink.replace(openLog(second)));
    sink.write('two\n');
    closeSync(sink.replace(-1));
    expect([readFileSync(first, 'utf8'), readFileSync(second, 'utf8')]).toEqual(['one\n', 'two\n']);
    rmSync(dir, { recursive: true });
  });
});
