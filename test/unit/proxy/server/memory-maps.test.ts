import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { codeOf } from '../../../../src/proxy/server/memory-maps.js';

const MAPS = `00200000-02a00000 r--p 00000000 08:01 1234                               /opt/my forge/forge-proxy
02a00000-06000000 r-xp 02800000 08:01 1234                               /opt/my forge/forge-proxy
06000000-06100000 rw-p 05e00000 08:01 1234                               /opt/my forge/forge-proxy
7f0000000000-7f0000001000 r-xp 00000000 08:01 77                         /usr/lib/libc.so.6
7f1000000000-7f1000001000 r-xp 00000000 00:00 0                          [vdso]
7f2000000000-7f2000001000 rwxp 00000000 00:00 0
7f3000000000-7f3000001000 r-xp 00000000 08:01 1235                       /opt/my forge/forge-proxy (deleted)
`;

it('is what is read and run of the program, and nothing that something may have been written to', () => {
  expect(codeOf('/opt/my forge/forge-proxy', MAPS)).toEqual([{ start: 0x02a00000, bytes: 0x03600000 }]);
  expect(codeOf('/opt/other', MAPS)).toEqual([]);
});

it('is found in a real process', () => {
  const own = codeOf(process.execPath, readFileSync('/proc/self/maps', 'latin1'));
  expect(own.length).toBeGreaterThan(0);
  expect(own.every(({ bytes }) => bytes > 0 && bytes % 4096 === 0)).toBe(true);
});
