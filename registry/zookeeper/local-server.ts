import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask, modeOf } from './four-letter-word.js'
import { findJars, howToGet } from './jars.js'

/** The ports on which one server of an ensemble hears the others: its followers, and elections. */
export interface PeerPorts {
  readonly peers: number
  readonly election: number
}

export interface LocalServerOptions {
  /** Its configuration, its log and its data; for this server alone. Made if missing. */
  readonly folder: string
  /** 0, the default, takes any free port. */
  readonly port?: number
  /** Its place in an ensemble, whose first server is number 1; without, it stands alone. */
  readonly ensemble?: { readonly number: number; readonly servers: readonly PeerPorts[] }
  /** Largest heap, MB; 256 by default. The server keeps its last 500 writes in memory: 64 MB + 1,000 × the size of a typical
   * write is enough. */
  readonly heapMb?: number
  /** Further flags of the JVM, such as `-Djute.maxbuffer=4096`. */
  readonly jvmFlags?: readonly string[]
  /** Most time until it serves, or as one of an ensemble answers, ms; 30 s by default. */
  readonly startTimeoutMs?: number
  /** The JVM runs; it serves much later. */
  readonly onSpawn?: (pid: number) => void
}

export interface LocalServer {
  /** Of the JVM, which leads a process group of its own. */
  readonly pid: number
  readonly port: number
  /** `host:port`, without a chroot. */
  readonly connect: string
  /** Resolves when the process has ended. */
  readonly exited: Promise<ServerExit>
  /** Ends it, after 3 s by force. What it has acknowledged is on disk in either case. */
  stop(): Promise<void>
}

export interface ServerExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const HOST = '127.0.0.1'
const HEAP_MB = 256
const START_TIMEOUT_MS = 30_000
const STOP_TIMEOUT_MS = 3_000
/** Between two looks at whether the server serves, or has ended. */
const POLL_MS = 30
/** Free ports that are tried: another process may take one before the server does. */
const PORT_TRIES = 3

/** Starts a ZooKeeper on this machine, on loopback, and resolves once it serves. One of an ensemble serves only while most of
 * them run: there it resolves once it answers, and {@link modeOf} says whether it serves. First it ends a server that a crash of
 * ours has left running on the same folder.
 * @throws Error that says what to do when Java or ZooKeeper is missing; when the server does not start, one with the end of
 * its log */
export async function startLocalServer(options: LocalServerOptions): Promise<LocalServer> {
  const classPath = findJars()
  for (let triesLeft = PORT_TRIES; ; triesLeft--) {
    try {
      return await launch(options, classPath)
    } catch (error) {
      const lostRace = !options.port && (error as Error).message.includes('BindException')
      if (!lostRace || triesLeft === 1) throw error
    }
  }
}

async function launch(options: LocalServerOptions, classPath: string): Promise<LocalServer> {
  const folder = resolve(options.folder)
  mkdirSync(folder, { recursive: true })
  const files = {
    config: join(folder, 'zoo.cfg'),
    data: join(folder, 'data'),
    log: join(folder, 'zookeeper.log'),
    pid: join(folder, 'zookeeper.pid'),
  }
  await endLeftOver(files.pid, files.config)
  const port = await freePort(options.port ?? 0)
  writeFileSync(files.config, configuration(files.data, port, options.ensemble?.servers))
  if (options.ensemble) {
    mkdirSync(files.data, { recursive: true })
    writeFileSync(join(files.data, 'myid'), String(options.ensemble.number))
  }

  const log = openSync(files.log, 'w')
  const java = spawn(
    javaCommand(),
    [
      `-Xmx${options.heapMb ?? HEAP_MB}m`,
      '-XX:+UseSerialGC',
      // For a server this small the optimising compiler costs more than it saves: without it, 8,000 writes and reads took
      // 40% less processor time.
      '-XX:TieredStopAtLevel=1',
      '-XX:+ExitOnOutOfMemoryError',
      ...(options.jvmFlags ?? []),
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
      '-Dorg.slf4j.simpleLogger.showDateTime=true',
      '-cp',
      classPath,
      'org.apache.zookeeper.server.quorum.QuorumPeerMain',
      files.config,
    ],
    { detached: true, stdio: ['ignore', log, log], cwd: folder },
  )
  closeSync(log)
  const pid = await pidOf(java)
  options.onSpawn?.(pid)
  writeFileSync(files.pid, `${pid}\n`)
  const exited = new Promise<ServerExit>(done => {
    java.once('exit', (code, signal) => {
      rmSync(files.pid, { force: true })
      done({ code, signal })
    })
  })

  try {
    const isUp = options.ensemble ? answers(port) : serves(port, files.data)
    await started(java, isUp, options.startTimeoutMs ?? START_TIMEOUT_MS)
  } catch (error) {
    await end(pid, exited)
    const tail = readFileSync(files.log, 'utf8').trim().split('\n').slice(-5).join('\n')
    throw new Error(`${(error as Error).message}; its log, ${files.log}, ends:\n${tail}`)
  }
  return { pid, port, connect: `${HOST}:${port}`, exited, stop: () => end(pid, exited) }
}

/** `tickTime` bounds the session timeouts (2 to 20 ticks) and how late a dead session is noticed; with `syncLimit`, in ticks,
 * how late a frozen leader is replaced: within 5 s. By default, `maxClientCnxns` shuts out the 61st connection from this machine
 * without a word. */
function configuration(dataFolder: string, port: number, servers: readonly PeerPorts[] = []): string {
  return [
    'tickTime=500',
    `dataDir=${dataFolder}`,
    `clientPortAddress=${HOST}`,
    `clientPort=${port}`,
    'maxClientCnxns=0',
    'admin.enableServer=false',
    '4lw.commands.whitelist=ruok,srvr,mntr,conf',
    'autopurge.snapRetainCount=3',
    'autopurge.purgeInterval=1',
    'initLimit=10',
    'syncLimit=5',
    ...servers.map(({ peers, election }, i) => `server.${i + 1}=${HOST}:${peers}:${election}`),
    '',
  ].join('\n')
}

/** The `java` of JAVA_HOME, or else of Homebrew, which is not in the PATH, or else the one in the PATH. */
export function javaCommand(): string {
  const brewed = ['/opt/homebrew/opt/openjdk@17', '/usr/local/opt/openjdk@17']
  const home = process.env.JAVA_HOME || brewed.find(each => existsSync(join(each, 'bin', 'java')))
  return home ? join(home, 'bin', 'java') : 'java'
}

/** For people, where {@link javaCommand} cannot be run. */
export function noJava(): string {
  return `ZooKeeper needs Java, and '${javaCommand()}' cannot be run: ${howToGet('Java')}`
}

async function pidOf(java: ChildProcess): Promise<number> {
  try {
    await once(java, 'spawn')
    return java.pid!
  } catch (cause) {
    throw new Error(noJava(), { cause })
  }
}

/** @returns `port`, or any free one for 0 @throws Error when the port is taken */
async function freePort(port: number): Promise<number> {
  const probe = createServer()
  try {
    probe.listen(port, HOST)
    await once(probe, 'listening')
    return (probe.address() as { port: number }).port
  } catch (cause) {
    throw new Error(`ZooKeeper cannot listen on port ${port}: ${(cause as NodeJS.ErrnoException).code}`, { cause })
  } finally {
    probe.close()
  }
}

/** When two servers start at the same moment, both may find the port free; the one that loses must not take the other's answer
 * for its own. */
function serves(port: number, dataFolder: string): () => Promise<boolean> {
  return async () => (await modeOf(HOST, port)) === 'standalone' && (await ask(HOST, port, 'conf')).includes(`dataDir=${dataFolder}`)
}

function answers(port: number): () => Promise<boolean> {
  return async () => (await ask(HOST, port, 'srvr')) !== ''
}

/** Resolves when the server is up. @throws Error when it ends before, or that takes longer than `timeoutMs` */
async function started(java: ChildProcess, isUp: () => Promise<boolean>, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await isUp())) {
    if (java.exitCode !== null || java.signalCode !== null) throw new Error('ZooKeeper ended while starting')
    if (performance.now() > deadline) throw new Error(`ZooKeeper did not serve within ${timeoutMs} ms`)
    await sleep(POLL_MS)
  }
}

export async function end(pid: number, exited: Promise<ServerExit>): Promise<void> {
  signal(pid, 'SIGTERM')
  const force = setTimeout(() => signal(pid, 'SIGKILL'), STOP_TIMEOUT_MS)
  await exited
  clearTimeout(force)
}

/** Ends the server that still runs on this folder. Another process that now has its pid is left alone.
 * @param config a part of its command line that no other server has */
export async function endLeftOver(pidFile: string, config: string): Promise<void> {
  let pid: number
  try {
    pid = Number(readFileSync(pidFile, 'utf8'))
  } catch {
    return
  }
  const isOurs = () => Number.isSafeInteger(pid) && pid > 1 && commandLine(pid).includes(config)
  const deadline = performance.now() + STOP_TIMEOUT_MS
  for (let sent: NodeJS.Signals | undefined; isOurs(); await sleep(POLL_MS)) {
    const wanted = performance.now() < deadline ? 'SIGTERM' : 'SIGKILL'
    if (sent !== wanted) signal(pid, wanted)
    sent = wanted
  }
  rmSync(pidFile, { force: true })
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    // macOS has no /proc.
    return spawnSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? ''
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
