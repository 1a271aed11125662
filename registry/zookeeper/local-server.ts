import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask } from './four-letter-word.js'
import { findJars } from './jars.js'

export interface LocalServerOptions {
  /** Folder of this server alone: its configuration, its log and its data. Made if missing. */
  readonly folder: string
  /** 0, the default: any free port. */
  readonly port?: number
  /** Most memory for its heap, MB; 256 by default. It keeps the last 500 writes in memory: 64 MB + 1,000 × the size of a
   * typical write is enough. */
  readonly heapMb?: number
  /** Most time from start to service, ms; 30 s by default. */
  readonly startTimeoutMs?: number
  /** Told the JVM's pid as soon as there is one, long before it serves. */
  readonly onSpawn?: (pid: number) => void
}

export interface LocalServer {
  /** Of the JVM, which leads a process group of its own. */
  readonly pid: number
  readonly port: number
  /** `host:port`, without a chroot. */
  readonly connect: string
  /** Resolves when the process has ended, for whatever reason. */
  readonly exited: Promise<ServerExit>
  /** Ends it, by force after 3 s. What it acknowledged is on disk in any case. */
  stop(): Promise<void>
}

export interface ServerExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const host = '127.0.0.1'
const stopTimeoutMs = 3_000

/** Starts a standalone ZooKeeper on this machine, on loopback, and waits until it serves. A server that a crash of ours
 * left running on the same folder is ended first.
 * @throws Error naming setup.sh when Java or ZooKeeper is missing; otherwise with the end of the server's log. */
export async function startLocalServer(options: LocalServerOptions): Promise<LocalServer> {
  const classPath = findJars()
  for (let triesLeft = 3; ; triesLeft--) {
    try {
      return await launch(options, classPath)
    } catch (error) {
      // Somebody took the free port before the server could.
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
  writeFileSync(files.config, configuration(files.data, port))

  const log = openSync(files.log, 'w')
  const java = spawn(
    javaCommand(),
    [
      `-Xmx${options.heapMb ?? 256}m`,
      '-XX:+UseSerialGC',
      // For a server this small the optimising compiler costs more than it saves: without it 8,000 writes and reads took 40% less CPU.
      '-XX:TieredStopAtLevel=1',
      '-XX:+ExitOnOutOfMemoryError',
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
    await serving(java, port, files.data, options.startTimeoutMs ?? 30_000)
  } catch (error) {
    await end(pid, exited)
    const tail = readFileSync(files.log, 'utf8').trim().split('\n').slice(-5).join('\n')
    throw new Error(`${(error as Error).message}; its log, ${files.log}, ends:\n${tail}`)
  }
  return { pid, port, connect: `${host}:${port}`, exited, stop: () => end(pid, exited) }
}

/** tickTime bounds the session timeouts (2 to 20 ticks) and how late a dead session is noticed. `maxClientCnxns` would shut
 * out the 61st process of this machine without a word. */
function configuration(dataFolder: string, port: number): string {
  return [
    'tickTime=500',
    `dataDir=${dataFolder}`,
    `clientPortAddress=${host}`,
    `clientPort=${port}`,
    'maxClientCnxns=0',
    'admin.enableServer=false',
    '4lw.commands.whitelist=ruok,srvr,mntr,conf',
    'autopurge.snapRetainCount=3',
    'autopurge.purgeInterval=1',
    '',
  ].join('\n')
}

/** JAVA_HOME's; else Homebrew's, which it keeps out of the PATH; else the PATH's. */
function javaCommand(): string {
  const brewed = ['/opt/homebrew/opt/openjdk@17', '/usr/local/opt/openjdk@17']
  const home = process.env.JAVA_HOME || brewed.find(each => existsSync(join(each, 'bin', 'java')))
  return home ? join(home, 'bin', 'java') : 'java'
}

async function pidOf(java: ChildProcess): Promise<number> {
  try {
    await once(java, 'spawn')
    return java.pid!
  } catch (cause) {
    throw new Error(`ZooKeeper needs Java, and '${javaCommand()}' cannot be run: run ./setup.sh`, { cause })
  }
}

/** @throws Error when the port is taken. */
async function freePort(port: number): Promise<number> {
  const probe = createServer()
  try {
    probe.listen(port, host)
    await once(probe, 'listening')
    return (probe.address() as { port: number }).port
  } catch (cause) {
    throw new Error(`ZooKeeper cannot listen on port ${port}: ${(cause as NodeJS.ErrnoException).code}`, { cause })
  } finally {
    probe.close()
  }
}

/** Resolves when the server on `port` serves, and is the one with our data: two that start at the same moment may both
 * find the port free, and the loser must not take the winner's answer for its own. */
async function serving(java: ChildProcess, port: number, dataFolder: string, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs
  const serves = async () => (await ask(host, port, 'srvr')).includes('Mode: standalone') && (await ask(host, port, 'conf')).includes(`dataDir=${dataFolder}`)
  while (!(await serves())) {
    if (java.exitCode !== null || java.signalCode !== null) throw new Error('ZooKeeper ended while starting')
    if (performance.now() > deadline) throw new Error(`ZooKeeper did not serve within ${timeoutMs} ms`)
    await sleep(30)
  }
}

async function end(pid: number, exited: Promise<ServerExit>): Promise<void> {
  signal(pid, 'SIGTERM')
  const force = setTimeout(() => signal(pid, 'SIGKILL'), stopTimeoutMs)
  await exited
  clearTimeout(force)
}

/** Ends the server that still runs on this folder; a process that merely got its number is left alone. */
async function endLeftOver(pidFile: string, config: string): Promise<void> {
  let pid: number
  try {
    pid = Number(readFileSync(pidFile, 'utf8'))
  } catch {
    return
  }
  const isOurs = () => Number.isSafeInteger(pid) && pid > 1 && commandLine(pid).includes(config)
  const deadline = performance.now() + stopTimeoutMs
  for (let sent: NodeJS.Signals | undefined; isOurs(); await sleep(30)) {
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
    // No /proc on macOS.
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
