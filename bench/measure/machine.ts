import { cpus, loadavg, release, totalmem } from 'node:os'
import { VERSION } from '../../runtime/version.js'

/** Where and when a run was made. */
export interface Machine {
  readonly date: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGb: number
  readonly system: string
  readonly node: string
  readonly version: string
  /** Load average of the minute before the run: above ~0.5 something else ran too. */
  readonly loadBefore: number
}

export function machine(): Machine {
  const cores = cpus()
  return {
    date: new Date().toISOString(),
    cpu: cores[0]?.model.trim() ?? 'unknown',
    cores: cores.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release()} ${process.arch}`,
    node: process.version,
    version: VERSION,
    loadBefore: Math.round(loadavg()[0]! * 100) / 100,
  }
}
