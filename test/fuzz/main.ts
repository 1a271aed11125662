import { Command, InvalidArgumentError } from 'commander'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from '../../runtime/root.js'
import { keep } from './corpus.js'
import { run } from './run.js'
import type { Target } from './target.js'
import { TARGETS } from './targets.js'

/** Memory that is still held at the end beyond what was held in the middle, by which something counts as a leak. */
const LEAK_BYTES = 8 << 20
const FIRST_SEED = 1_000_000

const whole = (text: string): number => {
  if (!/^[0-9]{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}
const minutesOf = (text: string): number => {
  if (!(Number(text) > 0)) throw new InvalidArgumentError('It must be a number of minutes above 0.')
  return Number(text)
}
const named = (text: string): Target[] => {
  const target = TARGETS.find(({ name }) => name === text)
  if (!target) throw new InvalidArgumentError(`It must be one of ${TARGETS.map(({ name }) => name).join(', ')}.`)
  return [target]
}

const program = new Command('npm run fuzz --')
  .description('Sends malformed input to everything that parses outside input. A failing case is reduced and kept in test/fuzz/corpus, from which npm test replays it.')
  .option('--minutes <minutes>', 'total time, divided among the targets', minutesOf, 10)
  .option('--target <name>', `only this target, one of ${TARGETS.map(({ name }) => name).join(', ')}`, named)
  .option('--seed <seed>', 'first case; the same seed gives the same cases', whole, FIRST_SEED)
  .allowExcessArguments(false)
program.parse()
const { minutes, target: targets = TARGETS, seed } = program.opts<{ minutes: number; target?: readonly Target[]; seed: number }>()

const say = (line: string): void => void process.stdout.write(`${line}\n`)

/** Bytes in use, once nothing is left to be collected. */
async function held(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await new Promise(resolve => setTimeout(resolve, 20)) // finalizers
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

// What is tried stands in a file while it is, so that an end of the process shows what did it.
const folder = join(projectRoot, '.cache', 'fuzz')
mkdirSync(folder, { recursive: true })
const stray: unknown[] = []
process.on('unhandledRejection', error => stray.push(error))
process.on('uncaughtException', error => stray.push(error))

say('| target | cases | a second | failures | memory held, MB: middle, end |\n|---|---|---|---|---|')
let failed = false
for (const target of targets) {
  const underWay = join(folder, `${target.name}.json`)
  const started = performance.now()
  const limitMs = (minutes * 60_000) / targets.length
  let middle: number | undefined
  const { cases, failures } = await run(target, {
    seed,
    before: block => writeFileSync(underWay, JSON.stringify(block.map(input => input.toString('base64')))),
    goOn: async () => {
      const spent = performance.now() - started
      if (middle === undefined && spent > limitMs / 2) middle = await held()
      return spent < limitMs && stray.length === 0
    },
  })
  const seconds = (performance.now() - started) / 1000
  const end = await held()
  const leaks = middle !== undefined && end - middle > LEAK_BYTES
  const mb = (bytes: number | undefined) => (bytes === undefined ? '-' : (bytes / 1e6).toFixed(1))
  say(`| ${target.name} | ${cases.toLocaleString('en-US')} | ${Math.round(cases / seconds)} | ${failures.length + stray.length}${leaks ? ', memory grows' : ''} | ${mb(middle)}, ${mb(end)} |`)
  for (const { input, error } of failures) say(`${String(error)}\n  kept: ${keep(target.name, input)}\n  ${JSON.stringify(input.toString('latin1')).slice(0, 400)}`)
  failed ||= failures.length > 0 || stray.length > 0 || leaks
  for (const error of stray.splice(0)) say(`nobody took care of: ${error instanceof Error ? error.stack : String(error)}\n  one of ${underWay}`)
  if (!failed) rmSync(underWay, { force: true })
}
process.exit(failed ? 1 : 0)
