import type { Surroundings } from '../integration/runtime/conformance.js';
export async function sshSurroundings(): Promise<Surroundings | null> {
  return null;
}
