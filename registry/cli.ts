import { CommanderError } from 'commander'
import { Output } from './cli/output.js'
import { Problem } from './cli/problem.js'
import { program } from './cli/program.js'
import { ConfigError } from './node/config.js'

/** The operators' commands. Sets the exit status: 0, 1 for a problem found, 2 for wrong usage.
 * @param argv what follows the word `registry` */
export async function main(argv: string[], env: NodeJS.ProcessEnv): Promise<void> {
  try {
    await program(env, process.cwd(), new Output(env)).parseAsync(argv, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
    else if (error instanceof ConfigError) fail(2, `bad configuration\n${error.message}`)
    else if (error instanceof Problem) fail(1, error.message)
    else throw error
  }
}

function fail(status: number, message: string): void {
  process.stderr.write(`registry: ${message}\n`)
  process.exitCode = status
}
