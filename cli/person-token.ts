import { readFileSync } from 'node:fs'
import { Misuse, Problem } from './output.js'

/** The flags that say as whom a command posts or watches. */
export interface PersonFlags {
  readonly token?: string
  readonly tokenFile?: string
}

/** RFC 6750, section 2.1: what may follow `Bearer`. */
const BEARER = /^[A-Za-z0-9._~+/-]+=*$/

/** A person's token, by --token, --token-file or LIVE_COMMENTS_TOKEN, in that order; undefined where none is given.
 * @throws Misuse for two flags, or what is no token; Problem for a file that cannot be read */
export function personToken({ token, tokenFile }: PersonFlags, env: NodeJS.ProcessEnv): string | undefined {
  if (token !== undefined && tokenFile !== undefined) throw new Misuse('--token and --token-file cannot be given together')
  if (token !== undefined) return checked(token, '--token')
  if (tokenFile !== undefined) return checked(textOf(tokenFile), `--token-file: ${tokenFile}`)
  const inherited = env['LIVE_COMMENTS_TOKEN']
  return inherited ? checked(inherited, 'LIVE_COMMENTS_TOKEN') : undefined
}

/** The text is not quoted: it may be another secret, in the wrong place. */
function checked(text: string, from: string): string {
  if (!BEARER.test(text)) throw new Misuse(`${from} is not a token`)
  return text
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (cause) {
    throw new Problem('FILE_UNREADABLE', `--token-file: ${path} cannot be read: ${(cause as NodeJS.ErrnoException).code}`, { cause })
  }
}
