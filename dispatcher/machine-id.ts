import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'

/** This machine, as it runs now: the same in all of its containers, another one after the next boot. Device and inode of
 * a file mean something only together with it. */
export function machineId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() // random(4)
  } catch {
    return hostname() // macOS
  }
}
