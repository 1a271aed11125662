import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { z } from 'zod'
import { isNodeId } from '../contract/nodes.js'
import { parseConnectString } from '../zookeeper/connect-string.js'
import { parseCredentials, readCredentials, type Credentials } from '../zookeeper/credentials.js'
import { networks } from './address.js'
import type { AllowedOrigins } from './cors.js'
import { isLimit, limit } from './limit.js'

/** Configuration comes from the environment, is parsed once, and every bad variable is named in one error. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

const port = (fallback: number) => z.string().regex(/^[0-9]{1,9}$/, 'must be a port (0 to 65535)').transform(Number).refine(value => value <= 65535, 'must be a port (0 to 65535)').default(fallback)
const url = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).transform(text => text.replace(/\/+$/, ''))

export const count = (fallback: number) => z.string().regex(/^[0-9]{1,15}$/, 'must be a whole number, 0 or more').transform(Number).default(fallback)

/** HOST:PORT[,HOST:PORT…][/CHROOT] */
export const zookeeperConnect = z.string().refine(isConnectString, 'must be HOST:PORT[,HOST:PORT...][/CHROOT]').default('127.0.0.1:2181/live-comments')

function isConnectString(text: string): boolean {
  try {
    parseConnectString(text)
    return true
  } catch {
    return false
  }
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

/** Who a process is to ZooKeeper: for the parts and for the operators' commands. */
export const zookeeperAuthVariables = {
  ZOOKEEPER_AUTH: parsedBy(parseCredentials).optional().describe('who the parts are to ZooKeeper, USER:PASSWORD; none: what they write there is open to all'),
  ZOOKEEPER_AUTH_FILE: parsedBy(readCredentials).optional().describe('a file that holds it instead'),
}

/** Undefined where none are configured. */
export function zookeeperAuth({ ZOOKEEPER_AUTH, ZOOKEEPER_AUTH_FILE }: { readonly ZOOKEEPER_AUTH?: Credentials | undefined; readonly ZOOKEEPER_AUTH_FILE?: Credentials | undefined }): Credentials | undefined {
  return ZOOKEEPER_AUTH ?? ZOOKEEPER_AUTH_FILE
}

// A comma parts tokens; a header carries no more than visible ASCII for certain.
const TOKENS = /^[\x21-\x2b\x2d-\x7e]{16,}(,[\x21-\x2b\x2d-\x7e]{16,})*$/

/** What every node reads. @param role names the node where NODE_ID does not */
export function nodeVariables(role: string, internalPort: number) {
  return {
    NODE_ID: z.string().refine(isNodeId, 'must be 1 to 64 of A-Z a-z 0-9 _ - (no dot, no slash)').default(`${hostname().replace(/[^A-Za-z0-9_-]/g, '-')}-${role}`.slice(-64)).describe('this node\'s name in the registry'),
    INTERNAL_HOST: z.string().min(1).default('127.0.0.1').describe('address the internal port listens on'),
    INTERNAL_PORT: port(internalPort).describe('port for the other parts, metrics and health; 0: any free one'),
    INTERNAL_URL: url.optional().describe('how the other parts reach the internal port; from host and port'),
    INTERNAL_TOKEN: z.string().regex(TOKENS, 'must be at least 16 visible ASCII characters, several tokens parted by commas').optional().describe('secret that the parts share, several parted by commas: the first is sent, any is taken; none: not asked for'),
    ZOOKEEPER_CONNECT: zookeeperConnect.describe('HOST:PORT[,HOST:PORT...][/CHROOT]'),
    ...zookeeperAuthVariables,
    LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'must be one of trace, debug, info, warn, error, fatal, silent').default('info').describe('least severe log lines to write'),
  }
}

/** `*`, or origins as browsers send them, parted by commas. */
const origins = z
  .string()
  .transform(text => text.split(',').map(part => part.trim()))
  .refine(list => list.length === 1 && list[0] === '*' ? true : list.every(isOrigin), 'must be * or origins such as https://example.com, parted by commas')
  .transform((list): AllowedOrigins => (list[0] === '*' ? '*' : new Set(list)))
  .default('*')

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text
}

/** What a node with a public port reads besides. */
export function publicVariables(publicPort: number) {
  return {
    HOST: z.string().min(1).default('127.0.0.1').describe('address the public port listens on'),
    PORT: port(publicPort).describe('public port; 0: any free one'),
    PUBLIC_URL: url.optional().describe('how the public reaches it; from host and port'),
    TRUSTED_PROXIES: networks.describe('addresses and networks, parted by commas, whose X-Forwarded-For or Forwarded names the client; none'),
    CONNECTIONS_PER_ADDRESS: limit(4_000).describe('connections that one address may open, or keep open by asking again, in 12 s; 0: any number'),
    STREAMS_PER_ADDRESS: limit(2_000).describe('streams that one address may have open; 0: any number'),
    ALLOWED_ORIGINS: origins.describe('web origins whose pages may read answers: * or a list parted by commas'),
  }
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

/** Random at each start: tells this process from a former one of the same id. */
export function newInstance(): string {
  return randomBytes(8).toString('hex')
}

/** The URL others reach a listener at, where none is configured. A wildcard host is reached by this machine's name. */
export function urlOf(host: string, port: number): string {
  const name = host === '0.0.0.0' || host === '::' ? hostname() : host
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`
}
