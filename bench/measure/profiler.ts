import { mkdirSync, writeFileSync } from 'node:fs'
import { Session, type Profiler } from 'node:inspector'
import { join } from 'node:path'
import { isMainThread, threadId } from 'node:worker_threads'

/** Loaded into a part before its own code (`--import`): profiles its processor until it stops.
 * Node's own
 * `--cpu-prof` may not stand in NODE_OPTIONS, which is how a cluster's parts are reached. */

const folder = process.env['BENCH_PROFILE']
const part = process.argv[2] ?? ''

if (folder && ['gateway', 'dispatcher', 'edge'].includes(part)) {
  const session = new Session()
  session.connect()
  session.post('Profiler.enable')
  session.post('Profiler.setSamplingInterval', { interval: 1000 })
  session.post('Profiler.start')
  process.once('exit', () => {
    session.post('Profiler.stop', (error: Error | null, result: { profile: Profiler.Profile } | undefined) => {
      if (error || !result) return
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, `${process.env['NODE_ID'] ?? part}${isMainThread ? '' : `-worker-${threadId}`}.cpuprofile`), JSON.stringify(result.profile))
    })
  })
}
