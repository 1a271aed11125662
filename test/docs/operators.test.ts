import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { projectRoot } from '../../runtime/root.js'
import { codeOf, projectFiles, readDocument } from './documents.js'

const page = readDocument('docs/operators.md')
/** Alarm → its section. */
const sections = new Map(Array.from(page.text.matchAll(/^### (LiveComments[A-Za-z]+)\n(.*?)(?=^##)/gms), ([, name, text]) => [name!, text!]))
const files = [...projectFiles()]
const rules = files.filter(path => /^deploy\/.*\.ya?ml$/.test(path)).map(path => readFileSync(join(projectRoot, path), 'utf8')).filter(text => /^\s*- alert:/m.test(text)).join('\n')
/** Alarm → its rule, to the next one. */
const alerts = new Map(Array.from(rules.matchAll(/^\s*- alert: *(\S+)\n(.*?)(?=^\s*- alert:|$(?![\s\S]))/gms), ([, name, rule]) => [name!, rule!]))

t.test('every alarm has a section that says what to do, and every section an alarm', async t => {
  t.same([...sections.keys()].sort(), [...alerts.keys()].sort())
  t.ok(sections.size >= 15)
  for (const [name, text] of sections) t.match(text, /^1\. \S/m, `${name} says what to do first`)
})

t.test('a section names what its alarm looks at', async t => {
  for (const [name, rule] of alerts) {
    const metrics = new Set(Array.from(rule.matchAll(/\b((?:live|process|nodejs)_[a-z0-9_]+)\b/g), ([, metric]) => metric!.replace(/_bucket$/, '')))
    const section = sections.get(name) ?? ''
    t.ok(metrics.size === 0 || [...metrics].some(metric => section.includes(metric)), `${name}: one of ${[...metrics].join(', ')}`)
  }
})

t.test('every code that an operators\' command fails with stands in their README, and no other', async t => {
  const code = files.filter(path => /^cli\/.*\.ts$/.test(path)).map(path => readFileSync(join(projectRoot, path), 'utf8')).join('\n')
  const thrown = Array.from(code.matchAll(/(?:new (?:Problem|GatewayAway)\(\s*|\.failed\()'([A-Z_]+)'/g), ([, name]) => name!)
  const { prose } = readDocument('cli/README.md')
  const named = [...prose.matchAll(/^\| (`[A-Z_]+`.*?) \|/gm)].flatMap(([, cell]) => codeOf(cell!))
  t.same([...new Set(thrown)].filter(name => !['BAD_USAGE', 'BAD_CONFIGURATION'].includes(name)).sort(), named.sort())
  t.ok(named.length > 15)
})

t.test('every event of the log table is one that the code logs', async t => {
  const code = files.filter(path => /^(gateway|dispatcher|edge|registry|runtime|cluster)\/.*\.ts$/.test(path)).map(path => readFileSync(join(projectRoot, path), 'utf8')).join('\n')
  const table = page.prose.slice(page.prose.indexOf('\n## What the logs say'))
  const events = [...table.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell]) => codeOf(cell!))
  t.ok(events.length > 15)
  for (const event of events) t.match(code, new RegExp(`'${event}'[,)]`), event)
})
