import type { Buffer } from 'node:buffer'
import type { Announcer } from './announcer.js'

/** What a node says of itself in the registry: present for as long as the node lives, through every session. */
export interface Entry<T> {
  /** It stands, as last known; what was set last may still be on its way. */
  readonly up: boolean
  /** @returns the size of what will be written, bytes */
  set(value: T): number
  /** Takes it out of the registry. */
  close(): Promise<void>
}

/** An entry that an announcer keeps, printed by `print`. */
export function entry<T>(value: T, print: (value: T) => Buffer, announce: (data: Buffer) => Announcer): Entry<T> {
  const announcer = announce(print(value))
  return {
    get up() {
      return announcer.up
    },
    set(value) {
      const data = print(value)
      announcer.set(data)
      return data.length
    },
    close: () => announcer.close(),
  }
}
