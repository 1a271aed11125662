import { CommanderError } from 'commander'
import { ConfigError } from '../runtime/config.js'
import { Misuse, Output, Problem, type Surroundings } from './output.js'
import { program } from './program.js'

/** Runs an operators' command and sets the exit status that {@link run} returns.
 * @param argv the arguments after `registry` */
export async function main(argv: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const { stdout, stderr } = process
  process.exitCode = await run(argv, { env, folder: process.cwd(), stdout, stderr, signals: process })
}

/** Runs a command to its end. @returns the exit status: 0; 1 if it found a problem; 2 for wrong usage */
export async function run(argv: readonly string[], surroundings: Surroundings): Promise<number> {
  const out = new Output(surroundings)
  try {
    await program(surroundings, out).parseAsync(argv, { from: 'user' })
    return out.status
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    if (!(error instanceof ConfigError || error instanceof Misuse || error instanceof Problem)) throw error
    out.note(`registry: ${error instanceof ConfigError ? 'bad configuration\n' : ''}${error.message}`)
    return error instanceof Problem ? 1 : 2
  }
}
