import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameError, RdbFrame } from '../../../src/backup/source/rdb-frame.js';

const ID = 'a'.repeat(40);
/** No end of it is its beginning: data that ends like the mark begins would else be taken for it. */
const MARK = `g${'f'.repeat(39)}`;

function read(all: Buffer, cuts: readonly number[] = []) {
  const frame = new RdbFrame();
  const found: Buffer[] = [];
  const ends = [...new Set(cuts.map((cut) => cut % (all.length + 1)))].sort((one, other) => one - other);
  let from = 0;
  for (const end of [...ends, all.length]) {
    found.push(...frame.push(all.subarray(from, end)));
    from = end;
  }
  return { frame, data: Buffer.concat(found) };
}
const before = `+OK\r\n+OK\r\n\n\n+FULLRESYNC ${ID} 1234\r\n\n\n`;

describe('the snapshot in a synchronisation', () => {
  it('is found whole, however its bytes arrive', () => {
    const bytes = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(bytes, fc.array(fc.nat(), { maxLength: 12 }), fc.boolean(), bytes, (array, cuts, marked, after) => {
        const data = Buffer.from(array);
        const head = marked ? `$EOF:${MARK}\r\n` : `$${data.length}\r\n`;
        const all = Buffer.concat([
          Buffer.from(before + head),
          data,
          Buffer.from(marked ? MARK : ''),
          Buffer.from(after),
        ]);
        const { frame, data: found } = read(all, cuts);
        expect(found).toEqual(data);
        expect(frame.ended).toBe(true);
        const start = { replicationId: ID, offset: 1234 };
        expect(frame.start).toEqual(marked ? start : { ...start, bytes: data.length });
      }),
    );
  });

  it('is not whole before its last byte', () => {
    const whole = Buffer.from(`${before}$EOF:${MARK}\r\nREDIS data${MARK}`);
    for (let length = 0; length < whole.length; length++)
      expect(read(whole.subarray(0, length)).frame.ended).toBe(false);
    const counted = Buffer.from(`${before}$10\r\nREDIS data`);
    for (let length = 0; length < counted.length; length++) {
      expect(read(counted.subarray(0, length)).frame.ended).toBe(false);
    }
  });

  it('gives no byte of a mark that has only begun', () => {
    expect(read(Buffer.from(`${before}$EOF:${MARK}\r\nabc${MARK.slice(0, 30)}`)).data.toString()).not.toContain('fff');
  });

  it('is refused with the words of the server, or of what is wrong', () => {
    const words = (text: string) => {
      try {
        read(Buffer.from(text));
        return undefined;
      } catch (error) {
        expect(error).toBeInstanceOf(FrameError);
        return (error as FrameError).message;
      }
    };
    expect(words("-NOMASTERLINK Can't SYNC while not connected with my master\r\n")).toMatch(/^NOMASTERLINK/);
    expect(words(`+OK\r\n-NOPERM User x has no permissions\r\n`)).toMatch(/^NOPERM/);
    expect(words('+CONTINUE\r\n')).toMatch(/unexpected/);
    expect(words(`${before}:12\r\n`)).toMatch(/unexpected/);
    expect(words(`${before}$-1\r\n`)).toMatch(/unexpected/);
    expect(words('x'.repeat(10_000))).toMatch(/endless/);
  });
});
