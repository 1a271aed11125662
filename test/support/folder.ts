import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** A folder that goes when `t` ends. */
export function tempFolder(t: Test): string {
  return folderIn(tmpdir(), t)
}

/** One in memory where that can be had: for files that need not last, many one after the other, each of whose fsyncs would take a disk
 * its time. */
export function memoryFolder(t: Test): string {
  return folderIn(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), t)
}

function folderIn(parent: string, t: Test): string {
  const folder = mkdtempSync(join(parent, 'live-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
