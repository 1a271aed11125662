import { z } from 'zod'
import { isLimit } from './limits/limit.js'

/** Configuration comes from the environment, is parsed once, and every bad variable is named in one error. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** The text made something else by `parse`, whose error's message becomes the variable's. */
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

/** What is wrong with the given variables together, a line each that begins with a variable's name. */
export type Conflicts = (given: Readonly<Record<string, unknown>>) => string[]

/** @throws ConfigError naming every variable that breaks its rule; an empty variable counts as unset */
export function readConfig<S extends z.ZodRawShape>(env: NodeJS.ProcessEnv, shape: S, conflicts: Conflicts = () => []): z.infer<z.ZodObject<S>> {
  const given = Object.fromEntries(Object.keys(shape).filter(name => env[name] !== undefined && env[name] !== '').map(name => [name, env[name]]))
  const result = z.object(shape).safeParse(given)
  const wrong = [...(result.error?.issues ?? []).map(issue => `${issue.path.join('.')}: ${issue.message}`), ...conflicts(given)]
  if (result.success && wrong.length === 0) return result.data
  throw new ConfigError(wrong.join('\n'))
}

/** A part's configuration, or the end of the process: `--help` tells every variable and exits with 0; any other
 * argument, or a bad variable, is told on stderr and exits with 2. */
export function configure<S extends z.ZodRawShape>(part: string, shape: S, argv: readonly string[], env: NodeJS.ProcessEnv, conflicts?: Conflicts): z.infer<z.ZodObject<S>> {
  if (argv.includes('--help')) {
    process.stdout.write(`Usage: live-comments ${part}\n\nConfigured by environment:\n\n${describeVariables(shape)}`)
    process.exit(0)
  }
  try {
    if (argv.length > 0) throw new ConfigError(`${argv.join(' ')}: it takes no arguments; --help tells its variables`)
    return readConfig(env, shape, conflicts)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${part}: bad configuration\n${error.message}\n`)
    process.exit(2)
  }
}

/** A line a variable: name, meaning, default. */
export function describeVariables(shape: z.ZodRawShape): string {
  const width = Math.max(...Object.keys(shape).map(name => name.length)) + 2
  return Object.entries(shape)
    .map(([name, variable]) => {
      const fallback = (variable as z.ZodType).safeParse(undefined).data
      return `  ${name.padEnd(width)}${(variable as z.ZodType).description ?? ''}${told(fallback)}\n`
    })
    .join('')
}

function told(fallback: unknown): string {
  if (isLimit(fallback)) return ` (${fallback.most}; none for clients on this machine unless set)`
  return typeof fallback === 'string' || typeof fallback === 'number' ? ` (${fallback})` : ''
}
