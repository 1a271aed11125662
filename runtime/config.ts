import { z } from 'zod'
import { isLimit } from './limits/limit.js'

/** Bad configuration. Its message has one line for each bad variable or flag. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** A variable that `parse` reads; the message of the error it throws becomes the variable's. */
export function parsedBy<T>(parse: (text: string) => T) {
  return z.string().transform((text, context) => {
    try {
      return parse(text)
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message })
      return z.NEVER
    }
  })
}

/** Conflicts between the given variables, one line each, beginning with a variable's name. @param isSound whether each
 * variable is right by itself */
export type Conflicts = (given: Readonly<Record<string, unknown>>, isSound: boolean) => string[]

/** Reads the variables of `shape`; an empty one counts as unset. @throws ConfigError naming every bad variable */
export function readConfig<S extends z.ZodRawShape>(env: NodeJS.ProcessEnv, shape: S, conflicts: Conflicts = () => []): z.infer<z.ZodObject<S>> {
  const given = Object.fromEntries(Object.keys(shape).filter(name => env[name] !== undefined && env[name] !== '').map(name => [name, env[name]]))
  const result = z.object(shape).safeParse(given)
  const wrong = [...(result.error?.issues ?? []).map(issue => `${issue.path.join('.')}: ${issue.message}`), ...conflicts(given, result.success)]
  if (result.success && wrong.length === 0) return result.data
  throw new ConfigError(wrong.join('\n'))
}

/** A part's configuration. Ends the process otherwise: `--help` prints the variables and exits with 0; any other
 * argument, or a bad variable, is reported on stderr and exits with 2. */
export function configure<S extends z.ZodRawShape>(part: string, shape: S, argv: readonly string[], env: NodeJS.ProcessEnv, conflicts?: Conflicts): z.infer<z.ZodObject<S>> {
  if (argv.includes('--help')) {
    process.stdout.write(`Usage: live-comments ${part}\n\nConfigured by environment:\n\n${describeVariables(shape)}`)
    process.exit(0)
  }
  try {
    if (argv.length > 0) throw new ConfigError(`${argv.join(' ')}: it takes no arguments; --help lists its variables`)
    return readConfig(env, shape, conflicts)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${part}: bad configuration\n${error.message}\n`)
    process.exit(2)
  }
}

/** One line per variable: name, meaning, default. */
export function describeVariables(shape: z.ZodRawShape): string {
  const width = Math.max(...Object.keys(shape).map(name => name.length)) + 2
  return Object.entries(shape)
    .map(([name, variable]) => {
      const fallback = (variable as z.ZodType).safeParse(undefined).data
      return `  ${name.padEnd(width)}${(variable as z.ZodType).description ?? ''}${inBrackets(fallback)}\n`
    })
    .join('')
}

function inBrackets(fallback: unknown): string {
  if (isLimit(fallback)) return ` (${fallback.most}; unless set, no limit for clients on this machine)`
  return typeof fallback === 'string' || typeof fallback === 'number' ? ` (${fallback})` : ''
}
