import { expect, it } from 'vitest';
import {
  DEATHS_MAX,
  DEATHS_WINDOW_MS,
  Deaths,
  RESTART_DELAY_MAX_MS,
  RESTART_DELAY_MS,
} from '../../../../src/proxy/server/deaths.js';

it('replaces workers at growing intervals, and gives up after too many deaths in a short time', () => {
  const deaths = new Deaths();
  const delays = Array.from({ length: DEATHS_MAX + 1 }, (_, i) => deaths.note(i));
  expect(delays[0]).toBe(RESTART_DELAY_MS);
  expect(delays[1]).toBe(RESTART_DELAY_MS * 2);
  expect(delays.at(-1)).toBeNull();
  expect(deaths.total).toBe(DEATHS_MAX + 1);
  for (const delay of delays.slice(0, -1)) expect(delay).toBeLessThanOrEqual(RESTART_DELAY_MAX_MS);
});

it('forgets what is long ago', () => {
  const deaths = new Deaths();
  for (let i = 0; i < 100; i++) expect(deaths.note(i * DEATHS_WINDOW_MS)).toBe(RESTART_DELAY_MS);
  expect(deaths.total).toBe(100);
});
