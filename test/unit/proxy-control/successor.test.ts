import { describe, expect, it } from 'vitest';
import { replacedSocket, startedLater } from '../../../src/proxy/control/successor.js';

describe('a process that was started to replace a proxy', () => {
  it('is known by its environment', () => {
    expect(replacedSocket('PATH=/bin\0FORGE_PROXY_TAKE_OVER=/run/proxy.sock\0FORGE_PROXY_TAKE_OVER_TIMES=1,2\0')).toBe(
      '/run/proxy.sock',
    );
  });

  it('is no other one', () => {
    expect(replacedSocket('')).toBeUndefined();
    expect(replacedSocket('FORGE_PROXY_TAKE_OVER=\0')).toBeUndefined();
    expect(
      replacedSocket('FORGE_PROXY_TAKE_OVER_TIMES=1,2\0X=FORGE_PROXY_TAKE_OVER=/run/proxy.sock\0'),
    ).toBeUndefined();
  });

  it('has started later than the one that serves, by the numbers of the ticks and not by their digits', () => {
    const at = (ticks: number) => ({ pid: 1, start: `0b7c9a2e:${ticks}` });
    expect(startedLater(at(1000), at(999))).toBe(true);
    expect(startedLater(at(999), at(1000))).toBe(false);
    // A supervisor that has started both in the same hundredth of a second.
    expect(startedLater(at(999), at(999))).toBe(false);
  });
});
