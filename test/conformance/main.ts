import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from '../../runtime/root.js'
import { cases } from './cases.js'
import { isExempt, titleOf, tried } from './conform.js'

/** Runs all cases on all transports, and writes what came of it into docs/transports.md. */
const DOCUMENT = join(projectRoot, 'docs', 'transports.md')
const TABLE = /(<!-- conformance -->\n)[\s\S]*?(\n<!-- end -->)/

const output = ['conformance.test.js', 'conformance.long.test.js'].map(file => outputOf(join(projectRoot, 'dist', 'test', 'conformance', file))).join('\n')
const passed = new Set([...output.matchAll(/^ *ok \d+ - (.+?)(?: # time=.*)?(?: \{)?$/gm)].map(([, title]) => title!))
const rows = cases.map(each => {
  const marks = tried.map(({ part, transport }) => (isExempt(each, part, transport) ? '–' : passed.has(titleOf(part, transport, each)) ? '✓' : '✗'))
  return `| ${each.name} | ${marks.join(' | ')} |`
})
const exempt = cases.flatMap(({ name, exempt = {}, notAtEdges }) => [...Object.entries(exempt), ...(notAtEdges === undefined ? [] : [['edges', notAtEdges]])].map(([where, why]) => `– ${name}: ${where}, since ${why}.`))
const table = [`| | ${tried.map(({ part, transport }) => `${part}: ${transport.name}`).join(' | ')} |`, `|---|${tried.map(() => ':-:').join('|')}|`, ...rows, '', exempt.join('\n')].join('\n')
writeFileSync(DOCUMENT, readFileSync(DOCUMENT, 'utf8').replace(TABLE, (_, begin: string, end: string) => `${begin}${table}${end}`))
process.stdout.write(`${table}\n`)
if (table.includes('✗')) process.exitCode = 1

/** What a file of tests printed, whether all passed or not. */
function outputOf(file: string): string {
  try {
    return execFileSync(process.execPath, [file], { encoding: 'utf8', env: { ...process.env, TAP_TIMEOUT: '240' }, maxBuffer: 64 << 20 })
  } catch (error) {
    return (error as { stdout?: string }).stdout ?? ''
  }
}
