/** `Core.attention`: why commands are looked at before they are served. 0 nearly always. A bit set. */
export const Attention = {
  /** Somebody wants to see them (MONITOR). */
  monitor: 1,
  /** CLIENT PAUSE. */
  pause: 2,
  /** Slots are half moved (health/half-moved.ts). */
  halfMoved: 4,
  /** There is too much already (admission/shedding.ts). */
  overload: 8,
  /** Some are to fail or to wait (faults/faults.ts). */
  faults: 16,
} as const;
