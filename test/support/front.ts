import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import type { Test } from 'tap'
import { Ports } from '../../cluster/ports.js'
import { projectRoot } from '../../runtime/root.js'
import { tempFolder } from './folder.js'
import { until } from './until.js'

export const NAME = 'live.example.com'

/** A proxy in front of gateways. */
export interface Front {
  readonly url: string
  /** Where it speaks plain HTTP, to send viewers to TLS. */
  readonly plainUrl: string
  /** Of the certificate, for a client to trust. */
  readonly ca: Buffer
  /** What its access log holds. */
  readonly accessLog: () => string
}

/** A program that setup.sh has unpacked, or that the system has. */
export interface Program {
  readonly path: string
  /** The folder that it was unpacked into, with the libraries that this system lacks; undefined if the system has it. */
  readonly unpacked: string | undefined
}

export function find(name: string): Program | undefined {
  const unpacked = join(projectRoot, '.cache', name)
  const inCache = ['sbin', 'bin'].map(folder => join(unpacked, 'usr', folder, name)).find(path => existsSync(path))
  if (inCache !== undefined) return { path: inCache, unpacked }
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/opt/homebrew/bin', '/usr/local/bin']
  const path = folders.map(folder => join(folder, name)).find(path => existsSync(path))
  return path === undefined ? undefined : { path, unpacked: undefined }
}

/** The folder of an unpacked or installed package with shared libraries, such as `/usr/lib/x86_64-linux-gnu`. */
export function libraries({ unpacked }: Program): string {
  const lib = join(unpacked ?? '/', 'usr', 'lib')
  const triplet = existsSync(lib) && readdirSync(lib).find(name => name.includes('-linux-gnu'))
  return triplet ? join(lib, triplet) : lib
}

/** A folder with a certificate, and ports that are free. */
export async function prepare(t: Test) {
  const folder = tempFolder(t)
  const key = join(folder, 'privkey.pem')
  const certificate = join(folder, 'fullchain.pem')
  const both = join(folder, 'fullchain-and-key.pem')
  const subject = ['-subj', `/CN=${NAME}`, '-addext', `subjectAltName=DNS:${NAME}`]
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-keyout', key, '-out', certificate, ...subject], { stdio: 'ignore' })
  writeFileSync(both, readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'))
  chmodSync(folder, 0o755) // started by root, some do their work as another user
  mkdirSync(join(folder, 'logs')) // where nginx looks before it has read where its log is
  const ports = new Ports()
  const take = () => ports.take('127.0.0.1')
  return { folder, key, certificate, both, take, port: await take(), plainPort: await take() }
}

/** @throws Error when something to replace is not there: the shipped file has moved away from what is tested */
export function substitute(text: string, replacements: readonly (readonly [string | RegExp, string])[]): string {
  return replacements.reduce((text, [from, to]) => {
    const replaced = text.replace(from, to)
    if (replaced === text) throw new Error(`the configuration has no ${String(from)}`)
    return replaced
  }, text)
}

/** Runs a proxy until `t` ends, once it listens. @param stop the signal that ends it at once @returns what it has printed */
export async function run(t: Test, program: Program, args: readonly string[], { port, stop = 'SIGTERM', env = {} }: { port: number; stop?: NodeJS.Signals; env?: NodeJS.ProcessEnv }): Promise<() => string> {
  const { path, unpacked } = program
  const own = unpacked === undefined ? {} : { LD_LIBRARY_PATH: libraries(program) }
  const child = spawn(path, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...own, ...env } })
  let printed = ''
  for (const output of [child.stdout, child.stderr]) output.on('data', chunk => (printed += String(chunk)))
  const exited = new Promise(resolve => child.once('exit', resolve))
  t.after(async () => {
    child.kill(stop)
    await exited
  })
  await until(() => {
    if (child.exitCode !== null) throw new Error(`${path} ended:\n${printed}`)
    return answers(port)
  }, { timeoutMs: 30_000, what: `${path} listens` })
  return () => printed
}

function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => resolve(true))
    socket.on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}
