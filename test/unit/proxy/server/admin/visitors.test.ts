import { describe, expect, it } from 'vitest';
import { refusedVisitor } from '../../../../../src/proxy/server/admin/visitors.js';

const refused = (headers: Record<string, string>, { bound = '127.0.0.1', method = 'GET' } = {}) =>
  refusedVisitor(method, new Headers(headers), bound) !== null;

describe('who asks the admin pages', () => {
  it('is a program, or somebody who typed the address', () => {
    expect(refused({})).toBe(false);
    for (const host of ['127.0.0.1:9901', 'localhost:9901', 'LOCALHOST', '[::1]:9901', 'proxy.localhost', '10.0.0.1:1'])
      expect([host, refused({ host }, { method: 'POST' })]).toEqual([host, false]);
    expect(refused({ host: '127.0.0.1', 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' })).toBe(false);
    expect(refused({ host: '127.0.0.1', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' })).toBe(false);
  });

  it('is no page of a web site', () => {
    const page = { host: '127.0.0.1:9901', origin: 'http://evil.example' };
    expect(refused(page, { method: 'POST' })).toBe(true);
    expect(refused(page)).toBe(true);
    expect(refused({ ...page, origin: 'null' }, { method: 'POST', bound: '0.0.0.0' })).toBe(true);
    const image = { host: 'localhost:9901', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' };
    expect(refused(image)).toBe(true);
    expect(refused({ ...image, 'sec-fetch-mode': 'navigate' }, { method: 'POST' })).toBe(true);
  });

  it('does not come by a name that anybody may give to this machine', () => {
    for (const host of ['evil.example:9901', 'localhost.evil.example', '127.0.0.1.evil.example', '[evil]', ''])
      expect([host, refused({ host })]).toEqual([host, true]);
    // Who serves others has a name there that the proxy cannot know.
    expect(refused({ host: 'proxy.internal:9901' }, { bound: '0.0.0.0' })).toBe(false);
    expect(refused({ host: 'metrics.example' }, { bound: 'metrics.example' })).toBe(false);
  });
});
