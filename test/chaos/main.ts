import { readOptions, UsageError, type ChaosOptions } from './options.js'
import { isGood, report } from './report.js'
import { run } from './run.js'

/** `npm run chaos -- --seconds 60 --seed 7`. Exit status 0, 1 on a violation, 2 for wrong usage. */
async function main(argv: string[]): Promise<void> {
  let options: ChaosOptions | undefined
  try {
    options = readOptions(argv)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`chaos: ${error.message}\n`)
    process.exitCode = 2
    return
  }
  if (!options) return
  const say = (line: string) => process.stdout.write(`${line}\n`)
  const outcome = await run(options, say)
  say(report(outcome))
  process.exitCode = isGood(outcome) ? 0 : 1
}

await main(process.argv.slice(2))
