import { CommanderError } from 'commander'
import { ConfigError } from '../runtime/config.js'
import { Misuse, Output, Problem, type Surroundings } from './output.js'
import { program } from './program.js'

/** Runs an operators' command and sets the exit status that {@link run} returns.
 * @param argv the arguments after `registry` */
export async function main(argv: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const { stdin, stdout, stderr } = process
  process.exitCode = await run(argv, { env, folder: process.cwd(), stdin, stdout, stderr, signals: process })
}

/** Runs a command to its end. @returns the exit status: 0; 1 if it found a problem; 2 for wrong usage */
export async function run(argv: readonly string[], surroundings: Surroundings): Promise<number> {
  const out = new Output(surroundings, { json: isJson(argv) })
  try {
    await program(surroundings, out).parseAsync(argv, { from: 'user' })
    return out.status
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0 // help was asked for
    return report(error, out)
  }
}

/** @returns the exit status. @throws the error if it is a bug and nobody wants JSON: Node prints it with its stack */
function report(error: unknown, out: Output): number {
  if (error instanceof CommanderError) out.misused(error)
  else if (error instanceof Misuse) out.failed('BAD_USAGE', error.message)
  else if (error instanceof ConfigError) out.failed('BAD_CONFIGURATION', `bad configuration\n${error.message}`)
  else {
    if (!(error instanceof Problem) && !out.json) throw error
    if (error instanceof Problem) out.failed(error.code, error.message)
    else out.failed('INTERNAL', error instanceof Error ? (error.stack ?? error.message) : String(error))
    return 1
  }
  return 2
}

/** Read before anything is parsed: arguments that cannot be parsed are an error too. */
function isJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return argv.slice(0, end < 0 ? undefined : end).includes('--json')
}
