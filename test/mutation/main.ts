import { spawn } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import ts from 'typescript'
import { projectRoot } from '../../runtime/root.js'
import { plainNode } from '../support/program.js'
import { mutate, mutationsOf, type Mutation } from './mutations.js'

/** The compiled project that this file belongs to. */
const built = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
/** A mutation may make the tests wait for ever. They are ended after a few times what they take unchanged, and at the latest
 * after this. */
const MOST_MS = 60_000
const mostMs = (unchangedMs: number) => Math.min(MOST_MS, 5_000 + 3 * unchangedMs)

type Outcome = 'passed' | 'failed' | 'timed out'

const share = (text: string) => {
  const value = Number(text)
  if (!(value > 0 && value <= 1)) throw new InvalidArgumentError('It must be more than 0 and at most 1.')
  return value
}

const command = new Command('npm run mutation --')
  .description("Makes one small change to the sources after another, and shows those that a folder's tests do not notice.")
  .argument('<source...>', 'sources to change, such as dispatcher/accept.ts')
  .requiredOption('--tests <files...>', 'tests that should notice, such as test/dispatcher/accept.test.ts')
  .option('--then <files...>', 'tests to run on the changes that those do not notice, such as all of a folder')
  .option('--share <part>', 'share of the changes to try, spread evenly: above 0, at most 1', share, 1)
  .allowExcessArguments(false)
  .parse()
const { tests, then = [], share: part } = command.opts<{ tests: string[]; then?: string[]; share: number }>()

const folder = join(projectRoot, '.build', `mutation-${process.pid}`)

/** Tests that run together, in one process. */
interface Suite {
  /** A file, since what a test forks would be given `node -e` with its code too. */
  readonly runner: string
  /** After this the tests are ended. */
  mostMs: number
}

let survived = 0
let timedOut = 0
let tried = 0
try {
  for (const name of readdirSync(built)) if (!name.startsWith('.')) cpSync(join(built, name), join(folder, name), { recursive: true })
  const suites: Suite[] = []
  for (const files of [tests, then]) if (files.length > 0) suites.push(await suiteOf(files, suites.length))
  for (const source of command.args) {
    const text = readFileSync(join(projectRoot, source), 'utf8')
    const compiled = join(folder, source.replace(/\.ts$/, '.js'))
    const original = readFileSync(compiled)
    for (const mutation of chosen(mutationsOf(text))) {
      writeFileSync(compiled, ts.transpileModule(mutate(text, mutation), { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 } }).outputText)
      tried++
      const outcome = await runAll(suites)
      if (outcome === 'failed') continue
      if (outcome === 'passed') survived++
      else timedOut++
      process.stdout.write(`${source}:${mutation.line}  ${mutation.what}${outcome === 'passed' ? '' : '  (noticed by time)'}\n`)
    }
    writeFileSync(compiled, original)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.stdout.write(`${survived} of ${tried} mutations went unnoticed; of ${timedOut} the tests did not end\n`)
process.exitCode = survived > 0 ? 1 : 0

function chosen(mutations: readonly Mutation[]): Mutation[] {
  return mutations.filter((_, i) => Math.floor((i + 1) * part) > Math.floor(i * part))
}

async function suiteOf(tests: readonly string[], n: number): Promise<Suite> {
  const files = tests.map(file => join(folder, file.replace(/\.ts$/, '.js')))
  const missing = files.find(file => !existsSync(file))
  if (missing) throw new Error(`${missing} is not there: build first`)
  const suite = { runner: join(folder, `run-${n}.mjs`), mostMs: MOST_MS }
  writeFileSync(suite.runner, files.map(file => `await import(${JSON.stringify(file)})\n`).join(''))
  const since = performance.now()
  if ((await run(suite)) !== 'passed') throw new Error('the tests fail before anything is changed')
  suite.mostMs = mostMs(performance.now() - since)
  return suite
}

/** One suite after the other, until one notices. */
async function runAll(suites: readonly Suite[]): Promise<Outcome> {
  for (const suite of suites) {
    const outcome = await run(suite)
    if (outcome !== 'passed') return outcome
  }
  return 'passed'
}

/** Runs all tests of a suite in one process that ends at the first failure. */
function run({ runner, mostMs }: Suite): Promise<Outcome> {
  const [environment, node] = plainNode()
  const child = spawn('env', [environment!, 'TAP_BAIL=1', 'TAP_TIMEOUT=60', node!, runner], { stdio: 'ignore', detached: true })
  let late = false
  const timer = setTimeout(() => {
    late = true
    process.kill(-child.pid!, 'SIGKILL')
  }, mostMs)
  return new Promise(resolve => child.once('exit', status => {
    clearTimeout(timer)
    resolve(late ? 'timed out' : status === 0 ? 'passed' : 'failed')
  }))
}
