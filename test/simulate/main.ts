import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { MIXES, isMix, type Mix } from './mixes.js'
import { mutate } from './mutate.js'
import { simulate, type Result } from './simulation.js'
import { storyOf } from './story.js'
import { tableOf } from './table.js'

interface Options {
  readonly seeds: number
  readonly seed?: number
  readonly mix: readonly Mix[]
  readonly trace?: boolean
  readonly json?: boolean
  readonly mutants?: boolean
  readonly rule?: string
}

const whole = (text: string): number => {
  if (!/^[0-9]{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

const mixes = (text: string): Mix[] => {
  const named = text === 'each' ? [...MIXES] : text.split(',')
  if (!named.every(isMix)) throw new InvalidArgumentError(`It must be each, or a comma-separated list of ${MIXES.join(', ')}.`)
  return named
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)

const program = new Command('npm run simulate --')
  .description('Runs whole clusters of the real delivery code in virtual time, with faults, and checks what every viewer, poster and reader of history sees.')
  .option('--seeds <count>', 'number of seeds, divided among the mixes', whole, 300)
  .option('--seed <seed>', 'first seed; without --seeds, only this one', whole)
  .addOption(new Option('--mix <mixes>', `what goes wrong, comma-separated: ${MIXES.join(', ')}, or each`).argParser(mixes).default(mixes('each'), 'each'))
  .option('--trace', 'with --seed: print everything that happens')
  .option('--json', 'print only a line of JSON for each run')
  .option('--rule <number>', 'with --mutants: only this rule: 1 to 11, acts, answers or hook')
  .option('--mutants', 'remove each rule of delivery and of acts from the code in turn, and show which checks fail')
  .exitOverride()

try {
  program.parse()
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  process.exit(error.exitCode === 0 ? 0 : 2)
}
const options = program.opts<Options>()
const first = options.seed ?? 1
const count = options.seed !== undefined && program.getOptionValueSource('seeds') === 'default' ? options.mix.length : options.seeds

if (options.mutants) process.exitCode = (await mutate(options.seeds, options.rule, say)) ? 0 : 1
else await runs()

async function runs(): Promise<void> {
  const results: Result[] = []
  const startedAt = performance.now()
  for (let i = 0; i < count; i++) {
    const seed = first + Math.floor(i / options.mix.length)
    const mix = options.mix[i % options.mix.length]!
    const result = await simulate(seed, mix, options.trace ? { tell: say } : {})
    results.push(result)
    if (options.json) say(JSON.stringify(result))
    else if (result.violations.length > 0 && !options.trace) say(await storyOf(result))
  }
  if (results.some(({ violations }) => violations.length > 0)) process.exitCode = 1
  if (options.json) return
  const seconds = (performance.now() - startedAt) / 1000
  say(tableOf(results))
  say(`${count} runs in ${seconds.toFixed(1)} s: ${(count / seconds).toFixed(1)} a second`)
}
