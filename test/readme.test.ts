import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { z } from 'zod'
import { dispatcherVariables } from '../dispatcher/config.js'
import { edgeVariables } from '../edge/config.js'
import { gatewayVariables } from '../gateway/config.js'
import { isLimit } from '../runtime/limits/limit.js'
import { projectRoot } from '../runtime/root.js'

const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8')
const parts: Record<string, z.ZodRawShape> = { gateway: gatewayVariables, edge: edgeVariables, dispatcher: dispatcherVariables }

t.test('the configuration table names every variable, who reads it and its default, and nothing else', async t => {
  const rows = new Map(Array.from(readme.matchAll(/^\| `([A-Z_]+)` \| ([a-z, ]+) \| (.+?) \|/gm), ([, name, readers, fallback]) => [name!, { readers: readers!, fallback: fallback! }]))
  const names = new Set(Object.values(parts).flatMap(shape => Object.keys(shape)))
  t.same([...rows.keys()].sort(), [...names].sort())
  for (const name of names) {
    const readers = Object.keys(parts).filter(part => name in parts[part]!)
    t.equal(rows.get(name)?.readers, readers.length === 3 ? 'all' : readers.join(', '), `who reads ${name}`)
    for (const part of readers) {
      const value = (parts[part]![name] as z.ZodType).safeParse(undefined).data
      if (isLimit(value)) t.equal(rows.get(name)?.fallback, `\`${value.most}\``, `default of ${name} in ${part}`)
      if ((typeof value === 'string' || typeof value === 'number') && name !== 'NODE_ID') t.match(rows.get(name)?.fallback, `\`${value}\``, `default of ${name} in ${part}`)
    }
  }
})

t.test('the two commands stand in the README as they are run', async t => {
  t.match(readme, './setup.sh && npm start')
  t.match(readme, './setup.sh && npm test')
})
