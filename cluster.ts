import { signToken } from './cli/token.js'
import { DataFolder, FolderInUseError } from './cluster/folder.js'
import { readOptions, type Options } from './cluster/options.js'
import { StartError } from './cluster/part.js'
import { Supervisor } from './cluster/supervisor.js'
import { isCassandra } from './dispatcher/store/cassandra/address.js'
import { calledAs } from './runtime/called-as.js'
import { ConfigError } from './runtime/config.js'
import './runtime/http/uws.js' // what no part can run without is missed here, before any is started
import { SharedFolderError } from './runtime/private-files.js'
import { isCheckout } from './runtime/root.js'
import { fromHere, shellWord } from './runtime/shell-word.js'

/** One Ctrl-C may arrive twice: from the terminal, and again through npm. */
const SAME_SIGNAL_MS = 500
/** Whom the token of a first try names. */
const AUTHOR = 'ann'
const TOKEN_SECONDS = 86_400
const OPEN_FOLDER_CODES = ['EACCES', 'EROFS', 'ENOTDIR', 'EEXIST', 'ENOSPC', 'EPERM', 'SQLITE_CANTOPEN', 'SQLITE_READONLY']

const BUILD_SQLITE = isCheckout ? 'run ./setup.sh' : 'npm rebuild better-sqlite3 fetches or compiles it (with python3, make and g++)'

/** Runs a whole cluster on this machine until a signal, then ends the process: status 0 after a signal, 2 if the flags or
 * a part's configuration are bad, 1 if it cannot run for another reason. */
export async function main(argv: string[], env: NodeJS.ProcessEnv): Promise<void> {
  process.stdout.on('error', () => {}) // its reader went away; the cluster goes on
  process.exit(await run(argv, env))
}

async function run(argv: string[], env: NodeJS.ProcessEnv): Promise<number> {
  let options: Options | undefined
  let folder: DataFolder
  try {
    options = readOptions(argv)
    if (!options) return 0
    checkStore(options, env)
    folder = new DataFolder(options.data)
  } catch (error) {
    if (error instanceof ConfigError) return fail(`cluster: bad configuration\n${error.message}`, 2)
    if (error instanceof FolderInUseError) return fail(error.message, 1)
    if (error instanceof SharedFolderError) return fail(`--data: ${error.message}`, 1)
    if (isNotBuilt(error)) return fail(`better-sqlite3, the comment store, is not installed for Node ${process.versions.node}: ${BUILD_SQLITE}`, 1)
    if (OPEN_FOLDER_CODES.includes((error as NodeJS.ErrnoException).code ?? '')) return fail(`--data: ${options?.data} cannot be used: ${(error as Error).message}`, 1)
    throw error
  }
  const supervisor = new Supervisor(options, env, folder, say)
  const stopped = stopOnSignal(supervisor)
  if (folder.wasOpen) say(`data         ${options.data} could be read by other users of this machine; it is closed now`)
  say(identity(env))
  try {
    const url = await Promise.race([supervisor.start(), stopped])
    if (url !== undefined) welcome(url, options, await credentials(env, folder))
    await stopped
    return 0
  } catch (error) {
    if (!(error instanceof StartError)) {
      supervisor.kill()
      throw error
    }
    await supervisor.stop()
    return fail(error.message, error.exitStatus)
  } finally {
    folder.unlock()
  }
}

/** @throws ConfigError where --store and STORE_URL mean different stores */
function checkStore({ store }: Options, env: NodeJS.ProcessEnv): void {
  const url = env['STORE_URL']
  if (!url) return
  if (store === 'sqlite' && isCassandra(url)) throw new ConfigError('--store: is sqlite, and STORE_URL names a Cassandra, which would not be used: say --store cassandra, or unset STORE_URL')
  if (store === 'cassandra' && !isCassandra(url)) throw new ConfigError('--store: is cassandra, and STORE_URL names something else: unset it, and a Cassandra is started, or name one there')
}

/** Resolves when a signal has stopped everything. A second signal kills everything at once. */
function stopOnSignal(supervisor: Supervisor): Promise<undefined> {
  return new Promise(resolve => {
    let first: number | undefined
    const onSignal = () => {
      const now = performance.now()
      if (first === undefined) {
        first = now
        say('stopping')
        void supervisor.stop().then(() => resolve(undefined))
      } else if (now - first > SAME_SIGNAL_MS) {
        supervisor.kill()
        process.exit(1)
      }
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  })
}

/** npm has not run better-sqlite3's install script, or has run it for another Node. */
function isNotBuilt(error: unknown): boolean {
  return error instanceof Error && (error.message.startsWith('Could not locate the bindings file') || (error as NodeJS.ErrnoException).code === 'ERR_DLOPEN_FAILED')
}

/** Whether identity is on, which is printed before the port opens. */
function identity(env: NodeJS.ProcessEnv): string {
  const on = Boolean(env['AUTH_JWT_SECRET'] || env['AUTH_JWKS_FILE'])
  if (!on) return 'identity     off: anyone may post, under any name (AUTH_JWT_SECRET or AUTH_JWKS_FILE turns it on)'
  return `identity     on: a token is needed to post${env['AUTH_REQUIRE_TO_WATCH'] === 'true' ? ', to read and to watch' : ''}`
}

/** How a command of a shell shows who posts or watches. */
interface Credentials {
  /** What to know, or to do, before. */
  readonly note: string
  /** curl's flag. */
  readonly flag: string
  readonly toWatch: boolean
}

/** With a secret, a token of ours in the data folder; keys are the site's own, and so are their tokens. Undefined with
 * identity off. */
async function credentials(env: NodeJS.ProcessEnv, folder: DataFolder): Promise<Credentials | undefined> {
  const toWatch = env['AUTH_REQUIRE_TO_WATCH'] === 'true'
  const { AUTH_JWT_SECRET: secret, AUTH_AUDIENCE: audience, AUTH_ISSUER: issuer } = env
  if (secret) {
    const token = await signToken(secret, { sub: AUTHOR, seconds: TOKEN_SECONDS, audience: audience || undefined, issuer: issuer || undefined })
    const path = shellWord(fromHere(folder.writeAuthorToken(token)))
    return { note: `a token        ${path} has one of "${AUTHOR}", valid for a day (${calledAs('token', env)} makes others)`, flag: `-H "Authorization: Bearer $(cat ${path})" `, toWatch }
  }
  if (!env['AUTH_JWKS_FILE']) return undefined
  return { note: 'a token        export LIVE_COMMENTS_TOKEN=...    one that your site has issued (docs/identity.md)', flag: '-H "Authorization: Bearer $LIVE_COMMENTS_TOKEN" ', toWatch }
}

function welcome(url: string, { data }: Options, credentials: Credentials | undefined): void {
  const where = fromHere(data) === 'data' ? '' : ` --data ${shellWord(data)}`
  const video = `${url}comments/demo`
  say(
    [
      '',
      'Try next:',
      `  open a page    ${url}`,
      ...(credentials ? [`  ${credentials.note}`] : []),
      `  watch          curl -N ${credentials?.toWatch ? credentials.flag : ''}-H 'Accept: text/event-stream' ${video}`,
      `  post           curl ${credentials?.flag ?? ''}-d '{"content":"hello"}' -H 'content-type: application/json' ${video}`,
      `  who has what   ${calledAs('registry', process.env)} videos${where}`,
      '',
      `Live comments is ready: ${url}`,
    ].join('\n'),
  )
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

function fail(message: string, status: number): number {
  process.stderr.write(`${message}\n`)
  return status
}
