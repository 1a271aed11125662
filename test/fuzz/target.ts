import type { Buffer } from 'node:buffer'
import type fc from 'fast-check'

/** Something that parses what comes from outside, under fire. Every input is bytes, so that what was found can be
 * kept as a file and made smaller byte by byte. */
export interface Target {
  readonly name: string
  /** What is fed, in the words of the table. */
  readonly what: string
  /** In `npm test`. */
  readonly cases: number
  /** Cases at a time, where each waits for a socket. */
  readonly lanes?: number
  readonly inputs: fc.Arbitrary<Buffer>
  open(): Promise<Probe> | Probe
}

export interface Probe {
  /** Throws, or rejects, when what must hold does not. Being refused in the way that was agreed is no failure. */
  check(input: Buffer): void | Promise<void>
  close?(): Promise<void>
}

/** An invariant that did not hold. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

export function must(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Violation(otherwise)
}

/** Runs a parser that may refuse. @returns what it read, or undefined where it threw one of `refusals`, by name */
export function readOrRefuse<T>(read: () => T, ...refusals: readonly string[]): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof Error && refusals.includes(error.name)) return undefined
    throw error
  }
}
