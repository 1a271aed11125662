#!/usr/bin/env node
/** The program: its first argument names the part to run, the others are passed to the part. Only that part's code is
 * loaded. */
import { existsSync } from 'node:fs'
import { writePrivately } from './runtime/private-files.js'
import { isCheckout } from './runtime/root.js'
import { VERSION } from './runtime/version.js'

type Main = (argv: string[], env: NodeJS.ProcessEnv) => Promise<void>

const parts: Record<string, () => Promise<{ main: Main }>> = {
  cluster: () => import('./cluster.js'),
  gateway: () => import('./gateway/main.js'),
  dispatcher: () => import('./dispatcher/main.js'),
  edge: () => import('./edge/main.js'),
  registry: () => import('./cli/main.js'),
  token: () => import('./cli/token.js'),
}

/** Computed, so that what runs is compiled without it. */
const BENCH = new URL('./bench/main.js', import.meta.url)
const hasBench = existsSync(BENCH)
if (hasBench) parts['bench'] = () => import(BENCH.href) as Promise<{ main: Main }>

const usage = `Usage: live-comments <part> [arguments]

  cluster      a whole cluster on this machine
  gateway      the public API and the page
  dispatcher   stores comments and sends them to the edges
  edge         delivers comments to viewers
  registry     the operators' commands: nodes, videos, doctor
  token        makes an author's token, for tests
${hasBench ? '  bench        benchmarks, also of other systems\n' : ''}  watchdog     put before gateway, dispatcher or edge: kills that part when it stops answering

live-comments <part> --help lists a part's arguments; gateway, dispatcher and edge are configured by environment, and
so is their watchdog: it kills a part that is silent for WATCHDOG_SECONDS (default 5; 0: no watchdog).
`

const words = process.argv.slice(2)
/** Before anything else that can be run the word changes nothing, so that an image can begin with it. */
const isWatched = words[0] === 'watchdog'
const [name = '', ...argv] = isWatched ? words.slice(1) : words
const load = Object.hasOwn(parts, name) ? parts[name] : undefined

writePrivately()
if (load) {
  if (isWatched && argv.length === 0) {
    const { watchPart } = await import('./cluster/watchdog.js')
    await watchPart(name, process.env)
  }
  const { main } = await load().catch(explain)
  await main(argv, process.env)
} else if (name === 'bench') {
  process.stderr.write(isCheckout ? 'The benchmarks are not built: run ./setup.sh --for-tests first\n' : 'An installed package has no benchmarks: they are in a checkout of the sources\n')
  process.exitCode = 2
} else if (name === '--help' || name === '-h') {
  process.stdout.write(usage)
} else if (name === '--version') {
  process.stdout.write(`${VERSION}\n`)
} else {
  const { meant } = await import('./runtime/did-you-mean.js')
  process.stderr.write(name ? `live-comments has no part ${JSON.stringify(name)}${meant(name, [...Object.keys(parts), 'watchdog'])}\n\n${usage}` : usage)
  process.exitCode = 2
}

/** What cannot run on this machine says why in one line. */
async function explain(error: unknown): Promise<never> {
  const { NoBinaryError } = await import('./runtime/http/no-binary.js')
  if (!(error instanceof NoBinaryError)) throw error
  process.stderr.write(`${name}: ${error.message}\n`)
  process.exit(1)
}
