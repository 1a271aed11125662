import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { DataFolder } from './folder.js'

/** Kills parts that a former supervisor of this folder left running, which happens only if its guard died too. A part is
 * identified by the token in its environment, so that a process that merely reuses its pid is left alone.
 * @returns the number of parts killed */
export function endLeftOver(folder: DataFolder): number {
  const token = folder.readToken()
  const record = folder.readRecord()
  if (!token || !record) return 0
  let ended = 0
  for (const { pid } of [...record.gateways, ...record.edges, ...record.dispatchers]) {
    if (pid === null || !environment(pid).includes(`INTERNAL_TOKEN=${token}`)) continue
    try {
      process.kill(-pid, 'SIGKILL')
      ended++
    } catch {
      // It ended by itself meanwhile.
    }
  }
  return ended
}

function environment(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8')
  } catch {
    // No /proc on macOS.
    return spawnSync('ps', ['eww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? ''
  }
}
