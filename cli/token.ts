import { readFileSync } from 'node:fs'
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { checkAuthor, checkVideoId } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import { identityVariables } from '../runtime/auth/config.js'
import { calledAs } from '../runtime/called-as.js'
import { ConfigError, readConfig } from '../runtime/config.js'

/** What a token says. */
export interface Claims {
  /** The author's id. */
  readonly sub: string
  /** The author's display name. */
  readonly name?: string | undefined
  /** The videos that it is for; undefined: all. */
  readonly videos?: readonly string[] | undefined
  /** The videos that the author moderates, or `true` for all; undefined: none. */
  readonly mod?: true | readonly string[] | undefined
  /** For how long it is valid from now on, s. */
  readonly seconds: number
  /** As AUTH_AUDIENCE and AUTH_ISSUER require them. */
  readonly audience?: string | undefined
  readonly issuer?: string | undefined
}

const { AUTH_JWT_SECRET, AUTH_AUDIENCE, AUTH_ISSUER } = identityVariables
const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 }
const MAX_SECONDS = 365 * 86_400
const SELF = calledAs('token', process.env)
const EXAMPLES = `
Examples:
  ${SELF} --secret-file ./jwt-secret --sub ann
  ${SELF} --secret-file ./jwt-secret --sub ann --name 'Ann Example' --videos demo,finals --for 8h
  ${SELF} --secret-file ./jwt-secret --sub mo --mod
`

/** A token that gateways and edges with this AUTH_JWT_SECRET accept. */
export async function signToken(secret: string, { sub, name, videos, mod, seconds, audience, issuer }: Claims): Promise<string> {
  const { SignJWT } = await import('jose') // the operators' other commands need none of it
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    sub,
    ...(name === undefined ? {} : { name }),
    ...(videos === undefined ? {} : { videos }),
    ...(mod === undefined ? {} : { mod }),
    ...(audience === undefined ? {} : { aud: audience }),
    ...(issuer === undefined ? {} : { iss: issuer }),
    iat: now,
    exp: now + seconds,
  }
  return new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(Buffer.from(secret))
}

interface Flags extends Pick<Claims, 'sub' | 'name' | 'videos' | 'mod' | 'audience' | 'issuer'> {
  readonly secretFile?: string
  readonly for: number
}

/** Prints a token for tests, and ends the process: status 2 for wrong usage. In production the site issues its own. */
export async function main(argv: string[], env: NodeJS.ProcessEnv): Promise<void> {
  try {
    const { secretFile, for: seconds, ...claims } = flagsOf(argv)
    const { AUTH_AUDIENCE: audience, AUTH_ISSUER: issuer } = readConfig(env, { AUTH_AUDIENCE, AUTH_ISSUER })
    const secret = secretFile === undefined ? readConfig(env, { AUTH_JWT_SECRET }).AUTH_JWT_SECRET : secretIn(secretFile)
    if (secret === undefined) throw new ConfigError('--secret-file: is needed where AUTH_JWT_SECRET is not set')
    const token = await signToken(secret, { audience, issuer, ...claims, seconds })
    process.stdout.write(`${token}\n`)
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : 2
      return
    }
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`token: bad configuration\n${error.message}\n`)
    process.exitCode = 2
  }
}

/** @throws CommanderError for wrong usage, which it has told */
function flagsOf(argv: readonly string[]): Flags {
  return new Command(SELF)
    .description('Prints a token (a JWT) of the kind that a site issues to its signed-in users: for tests.')
    .option('--secret-file <FILE>', 'file with the secret (else AUTH_JWT_SECRET)')
    .requiredOption('--sub <ID>', 'the author\'s id', author)
    .option('--name <NAME>', 'the author\'s display name', author)
    .option('--videos <IDS>', 'ids of the videos that it is for, comma-separated (else all)', videos)
    .option('--mod [IDS]', 'for a moderator: ids of the videos that the author moderates, comma-separated (without ids: all)', moderated)
    .option('--for <TIME>', 'how long it is valid: 90s, 30m, 1h, 7d', duration, 3_600)
    .option('--audience <TEXT>', 'its aud (else AUTH_AUDIENCE)')
    .option('--issuer <TEXT>', 'its iss (else AUTH_ISSUER)')
    .addHelpText('after', EXAMPLES)
    .allowExcessArguments(false)
    .showHelpAfterError('(--help lists the options)')
    .exitOverride()
    .parse(argv, { from: 'user' })
    .opts<Flags>()
}

/** The secret without the line's end after it, as a shell's `$(cat FILE)` has it. @throws ConfigError */
function secretIn(path: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new ConfigError(`--secret-file: ${path} cannot be read: ${(cause as NodeJS.ErrnoException).code}`, { cause })
  }
  const { data, error } = AUTH_JWT_SECRET.safeParse(text.replace(/[\r\n]+$/, ''))
  if (data === undefined) throw new ConfigError(`--secret-file: the secret in ${path} ${error?.issues[0]?.message ?? 'is none'}`)
  return data
}

function author(text: string): string {
  return checkedBy(() => checkAuthor(text, 'It'))
}

function videos(text: string): string[] {
  return text.split(',').map(id => (id === '*' ? id : checkedBy(() => checkVideoId(id))))
}

/** Unlike `videos`, a list that names each: the claim's word for all is `true`. */
function moderated(text: string): string[] {
  return text.split(',').map(id => checkedBy(() => checkVideoId(id)))
}

function checkedBy<T>(check: () => T): T {
  try {
    return check()
  } catch (error) {
    throw error instanceof LiveError ? new InvalidArgumentError(error.message) : error
  }
}

/** @returns seconds. @throws InvalidArgumentError */
export function duration(text: string): number {
  const [, count, unit] = /^([1-9][0-9]{0,7})([smhd])$/.exec(text) ?? []
  const seconds = Number(count) * (UNITS[unit ?? ''] ?? NaN)
  if (!(seconds <= MAX_SECONDS)) throw new InvalidArgumentError('It must be a number with a unit, such as 90s, 30m, 1h or 7d, and at most a year.')
  return seconds
}
