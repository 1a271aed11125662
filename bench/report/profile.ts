import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { number, table } from '../../cli/table.js'

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly children?: readonly number[]
}

interface Profile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

const SHOWN = 15
/** A part's start is all loading of modules. It is left out here and not in the profile, where V8 would not know the
 * native functions that were met before it began. */
const START_US = 3_000_000

/** Where each part spent its time, by the profiles in a folder: the functions in which it was most often found, and
 * theirs as a share of the time in which it was not idle. The profiles themselves open in Chrome's developer tools. */
export function profileTables(folder: string): string {
  return readdirSync(folder)
    .filter(file => file.endsWith('.cpuprofile'))
    .map(file => summary(JSON.parse(readFileSync(join(folder, file), 'utf8')) as Profile, file))
    .join('')
}

function summary({ nodes, samples, timeDeltas }: Profile, file: string): string {
  const names = new Map(nodes.map(node => [node.id, nameOf(node)]))
  const self = new Map<string, number>()
  let busy = 0
  let at = 0
  samples.forEach((id, i) => {
    const name = names.get(id)!
    at += timeDeltas[i]!
    if (name === '(idle)' || at < START_US) return
    busy += timeDeltas[i]!
    self.set(name, (self.get(name) ?? 0) + timeDeltas[i]!)
  })
  const top = [...self].sort((a, b) => b[1] - a[1]).slice(0, SHOWN)
  return `\n${basename(file, '.cpuprofile')}: busy for ${(busy / 1e6).toFixed(2)} s\n${table(
    [{ head: 'share', align: 'right' }, { head: 'ms', align: 'right' }, { head: 'function' }],
    top.map(([name, us]) => [`${((100 * us) / busy).toFixed(1)}%`, number(Math.round(us / 1000)), name]),
    false,
  )}`
}

function nameOf({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string {
  if (url === '') return functionName
  const path = url.startsWith('file:') ? fileURLToPath(url).split('/').slice(-2).join('/') : url
  return `${functionName || 'anonymous'} ${path}:${lineNumber + 1}`
}
