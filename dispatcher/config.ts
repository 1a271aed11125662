import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import { MAX_CONTENT } from '../protocol/comment.js'
import { peerConflicts, peerVariables } from '../registry/peer-clusters.js'
import { zookeeperVariables } from '../registry/variables.js'
import { configure, parsedBy } from '../runtime/config.js'
import { count, nodeVariables, tokenConflicts } from '../runtime/variables.js'
import { parseSecrets, type HookSecret } from './hooks/signature.js'
import { isCassandra, parseCassandraUrl } from './store/cassandra/address.js'
import { readWords } from './words-file.js'

const SQLITE = 'sqlite:'
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g
const LENGTH_RULE = `must be a whole number from 1 to ${MAX_CONTENT}`
/** A dispatcher that passes a post on waits for 1.5 s, in which it is to be stored, too. */
const [MIN_REVIEW_MS, MAX_REVIEW_MS] = [50, 1_000]
const REVIEW_TIMEOUT_RULE = `must be a whole number from ${MIN_REVIEW_MS} to ${MAX_REVIEW_MS}`
const MAX_DUPLICATE_SECONDS = 86_400
const SQLITE_FORM = /^sqlite:(?!\/\/)[^?#\0]*[^/?#\0]$/

/** Which store, and who we are to it. The dispatchers and the operators' commands read them. */
export const storeVariables = {
  STORE_URL: parsedBy(parseStoreUrl)
    .default('sqlite:./data/comments.db')
    .describe('comment store: sqlite:PATH, relative to the working directory, or cassandra://HOST[,HOST...]/KEYSPACE?dc=DATA_CENTRE'),
  STORE_PASSWORD: z.string().optional().describe('password of the user that a cassandra: STORE_URL names'),
  STORE_PASSWORD_FILE: parsedBy(readPassword).optional().describe('file that holds that password instead'),
  STORE_CA_FILE: parsedBy(certificates).optional().describe('PEM file of the CA certificates to trust for Cassandra, with tls=on; unset: the system\'s'),
}

export const dispatcherVariables = {
  ...nodeVariables('dispatcher', 9082),
  ...zookeeperVariables,
  ...peerVariables,
  ...storeVariables,
  CONTENT_MAX_LENGTH: z
    .string()
    .regex(/^[0-9]{1,4}$/, LENGTH_RULE)
    .transform(Number)
    .refine(length => length >= 1 && length <= MAX_CONTENT, LENGTH_RULE)
    .default(MAX_CONTENT)
    .describe('longest comment, in characters'),
  CONTENT_LINKS: z.enum(['allow', 'refuse'], 'must be allow or refuse').default('allow').describe('links and e-mail addresses in comments: allow or refuse'),
  CONTENT_WORDS_FILE: parsedBy(path => {
    readWords(path)
    return path
  })
    .optional()
    .describe('file of words that no comment may contain, one per line, reread when it changes'),
  CONTENT_DUPLICATE_SECONDS: count(0)
    .refine(seconds => seconds <= MAX_DUPLICATE_SECONDS, `must be at most ${MAX_DUPLICATE_SECONDS}`)
    .describe('time in which an author may not repeat a comment on the same video, s; 0: no limit'),
  REVIEW_URL: parsedBy(parseServiceUrl).optional().describe('http or https URL of the service that reviews every comment before it is published; unset: no review'),
  REVIEW_TIMEOUT_MS: z
    .string()
    .regex(/^[0-9]{1,4}$/, REVIEW_TIMEOUT_RULE)
    .transform(Number)
    .refine(ms => ms >= MIN_REVIEW_MS && ms <= MAX_REVIEW_MS, REVIEW_TIMEOUT_RULE)
    .default(500)
    .describe('longest wait for a verdict of REVIEW_URL, ms'),
  REVIEW_FAILURE: z.enum(['publish', 'hold', 'refuse'], 'must be publish, hold or refuse').default('hold').describe('what happens to a comment that gets no verdict in time: publish, hold or refuse'),
  HOOK_URL: parsedBy(parseServiceUrl).optional().describe('http or https URL to which all comments, acts and held comments are sent once they are stored; unset: no web hook'),
  HOOK_SECRET: parsedBy(parseSecrets).optional().describe('secret that signs the calls to HOOK_URL: whsec_ and 24 to 64 random bytes in base64'),
  HOOK_SECRET_FILE: parsedBy(readSecrets).optional().describe('file that holds that secret instead'),
}

export type DispatcherConfig = ReturnType<typeof dispatcherConfig>

export function dispatcherConfig(argv: readonly string[], env: NodeJS.ProcessEnv) {
  return configure('dispatcher', dispatcherVariables, argv, env, (given, isSound) => [...storeConflicts(given), ...hookConflicts(given), ...peerConflicts(given), ...tokenConflicts(env, isSound)])
}

/** Which of the store's variables do not fit together, one line each. */
export function storeConflicts(given: Readonly<Record<string, unknown>>): string[] {
  const has = (name: string) => given[name] !== undefined
  if (has('STORE_PASSWORD') && has('STORE_PASSWORD_FILE')) return ['STORE_PASSWORD: must not be set together with STORE_PASSWORD_FILE']
  const url = typeof given['STORE_URL'] === 'string' ? given['STORE_URL'] : ''
  const user = /^cassandra:\/\/[^/]*@/.test(url)
  return [
    ...['STORE_PASSWORD', 'STORE_PASSWORD_FILE'].filter(name => has(name) && !user).map(name => `${name}: needs a STORE_URL that names a user, cassandra://USER@HOST/...`),
    ...(has('STORE_CA_FILE') && !/[?&]tls=on(&|$)/.test(url) ? ['STORE_CA_FILE: needs a STORE_URL with tls=on'] : []),
  ]
}

/** Which of the hook's variables do not fit together, one line each. */
export function hookConflicts(given: Readonly<Record<string, unknown>>): string[] {
  const has = (name: string) => given[name] !== undefined
  if (has('HOOK_SECRET') && has('HOOK_SECRET_FILE')) return ['HOOK_SECRET: must not be set together with HOOK_SECRET_FILE']
  if (has('HOOK_URL')) return has('HOOK_SECRET') || has('HOOK_SECRET_FILE') ? [] : ['HOOK_URL: needs HOOK_SECRET or HOOK_SECRET_FILE']
  return ['HOOK_SECRET', 'HOOK_SECRET_FILE'].filter(has).map(name => `${name}: needs a HOOK_URL`)
}

/** @throws Error with the rule that it breaks */
function parseStoreUrl(text: string): string {
  if (isCassandra(text)) parseCassandraUrl(text)
  else if (!SQLITE_FORM.test(text)) throw new Error('must be sqlite:PATH, the path of a file, or cassandra://HOST[,HOST...]/KEYSPACE?dc=DATA_CENTRE')
  return text
}

/** @throws Error with the rule that it breaks */
function parseServiceUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol)) throw new Error('must be an http or https URL')
  if (url.username !== '' || url.password !== '') throw new Error('must not hold a user or a password')
  return url.href
}

/** @throws Error that says why it cannot be read, and nothing of what is in it */
function readPassword(path: string): string {
  const password = read(path).trim()
  if (password === '') throw new Error('the file is empty')
  return password
}

/** @throws Error that says what is wrong, and nothing of what is in it */
function readSecrets(path: string): HookSecret[] {
  return parseSecrets(read(path).trim())
}

/** Node takes a file without certificates for none at all, and then trusts no Cassandra without saying why.
 * @throws Error that says what is wrong */
function certificates(path: string): string {
  const blocks = read(path).match(CERTIFICATE) ?? []
  if (blocks.length === 0) throw new Error('must hold a certificate in PEM form')
  for (const [i, block] of blocks.entries()) if (!isCertificate(block)) throw new Error(`has an unreadable certificate, number ${i + 1}`)
  return path
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new Error(`cannot be read: ${(cause as NodeJS.ErrnoException).code}`, { cause })
  }
}

/** @param storeUrl a checked STORE_URL */
export function sqlitePath(storeUrl: string): string {
  return resolve(storeUrl.slice(SQLITE.length))
}
