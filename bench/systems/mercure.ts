import { spawnSync } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ports } from '../../cluster/ports.js'
import { Child, temporaryFolder } from './child.js'
import { NotInstalledError, versionOf } from './installed.js'
import { publishTarget, sseTarget } from './publish.js'
import type { RunningSystem } from './system.js'

const GET_IT = 'set MERCURE_BIN to the binary of Mercure\'s Caddy build: https://github.com/dunglas/mercure/releases'
const KEY = 'a key that is used on this machine for a minute alone'
const TOPIC = 'https://example.com/comments'

/** Mercure's protocol as it has long been: tokens and topics in their plain forms. */
const COMPATIBILITY = 'protocol_version_compatibility 8'

/** Mercure with its transport in memory: the default one writes each update to a file. */
function configuration(folder: string, port: number, compatibility: string): string {
  return `
{
  admin off
  auto_https off
  storage file_system ${folder}
  log {
    level ERROR
  }
}
http://127.0.0.1:${port} {
  route {
    mercure {
      ${compatibility}
      transport local
      publisher_jwt "${KEY}" HS256
      subscriber_jwt "${KEY}" HS256
      anonymous
    }
  }
}
`
}

export async function startMercure(env: NodeJS.ProcessEnv): Promise<RunningSystem> {
  const binary = env['MERCURE_BIN']
  if (!binary) throw new NotInstalledError(GET_IT)
  const version = versionOf(binary, ['version'], /v?(\d+\.\d+\.\d+)/, GET_IT)
  const port = await new Ports().take('127.0.0.1')
  const folder = temporaryFolder()
  const file = join(folder.path, 'Caddyfile')
  writeFileSync(file, configuration(folder.path, port, COMPATIBILITY))
  // Newer versions want to be asked for it, older ones know nothing else and refuse the word.
  if (!accepts(binary, file)) writeFileSync(file, configuration(folder.path, port, ''))
  const server = new Child(binary, ['run', '--config', file, '--adapter', 'caddyfile'])
  await server.listening(port, folder.remove)
  const topic = encodeURIComponent(TOPIC)
  return {
    name: 'Mercure',
    about: `Caddy ${version} with Mercure, transport in memory`,
    streams: [sseTarget(port, `/.well-known/mercure?topic=${topic}`)],
    posts: [publishTarget(port, { line: 'POST /.well-known/mercure', headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: `Bearer ${token()}` }, prefix: `topic=${topic}&data=`, form: true })],
    stampsAccepted: false,
    processes: () => [{ name: 'mercure', pid: server.pid, delivers: true }],
    async [Symbol.asyncDispose]() {
      await server.stop()
      folder.remove()
    },
  }
}

function accepts(binary: string, file: string): boolean {
  return spawnSync(binary, ['validate', '--config', file, '--adapter', 'caddyfile'], { timeout: 10_000 }).status === 0
}

/** A JWT that may publish everything. */
function token(): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ mercure: { publish: ['*'] } })}`
  return `${text}.${createHmac('sha256', KEY).update(text).digest('base64url')}`
}
