import { randomBytes } from 'node:crypto'

/** Random: no other store has it. */
export function newName(): string {
  return randomBytes(8).toString('hex')
}
