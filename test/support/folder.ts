import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** A folder that goes when `t` ends, in memory where that can be had: for files that need not last, many one after the
 * other, each of whose fsyncs would take a disk its time. */
export function memoryFolder(t: Test): string {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'live-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
