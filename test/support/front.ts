import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import type { Test } from 'tap'
import { Ports } from '../../cluster/ports.js'
import { projectRoot } from '../../runtime/root.js'
import { tempFolder } from './cluster.js'
import { until } from './until.js'

export const NAME = 'live.example.com'

/** A proxy in front of gateways, by the configuration that we ship. */
export interface Front {
  readonly url: string
  /** Without TLS: it redirects. */
  readonly plainUrl: string
  /** Of the certificate, for a client to trust. */
  readonly ca: Buffer
  /** What its access log holds. */
  readonly accessLog: () => string
}

/** Where setup.sh puts the program, or the system has it. */
function find(name: string): string | undefined {
  const folders = [join(projectRoot, '.cache', name, 'usr', 'sbin'), join(projectRoot, '.cache', name, 'usr', 'bin'), ...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/opt/homebrew/bin', '/usr/local/bin']
  return folders.map(folder => join(folder, name)).find(path => existsSync(path))
}

const nginx = find('nginx')
const caddy = find('caddy')

/** How each is started in front of the gateways at `upstreams`; Caddy, where this machine has it. */
export const fronts: Readonly<Record<string, (t: Test, upstreams: readonly string[]) => Promise<Front>>> = { nginx: startNginx, ...(caddy ? { Caddy: startCaddy } : {}) }

/** Whether clients may have addresses of their own: only Linux has all of 127.0.0.0/8. */
export const manyAddresses = process.platform === 'linux'

/** Listens on every address of loopback. */
async function startNginx(t: Test, upstreams: readonly string[]): Promise<Front> {
  if (!nginx) throw new Error('there is no nginx here: run ./setup.sh')
  const { folder, ports, port, key, certificate } = await prepare(t)
  const accessLog = join(folder, 'live-comments.access.log')
  const plainPort = await ports.take('127.0.0.1')
  const shipped = substitute(readFileSync(join(projectRoot, 'deploy', 'nginx', 'live-comments.conf'), 'utf8'), [
    [/^( +)server 127\.0\.0\.1:8080 (.*)\n +server 127\.0\.0\.1:8090 .*$/m, upstreams.map(url => `    server ${new URL(url).host} $2`).join('\n')],
    [/^ +listen \[::\].*\n/gm, ''],
    ['listen 80;', `listen 127.0.0.1:${plainPort};`],
    ['listen 443 ssl', `listen ${port} ssl`],
    ['/etc/ssl/live-comments/fullchain.pem', certificate],
    ['/etc/ssl/live-comments/privkey.pem', key],
    [/\/var\/log\/nginx/g, folder],
  ])
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${join(folder, name)};`).join(' ')
  const main = `daemon off; pid ${join(folder, 'pid')}; error_log stderr crit; events { worker_connections 4096; } http { ${temp} access_log off;\n${shipped}\n}\n`
  writeFileSync(join(folder, 'nginx.conf'), main)
  const args = ['-p', folder, '-e', join(folder, 'error.log'), '-c', join(folder, 'nginx.conf')]
  const checked = spawnSync(nginx, [...args, '-t'], { encoding: 'utf8' })
  if (checked.status !== 0) throw new Error(`nginx refuses the configuration:\n${checked.stderr}`)
  await run(t, nginx, args, port, 'SIGTERM', {})
  return { url: `https://127.0.0.1:${port}`, plainUrl: `http://127.0.0.1:${plainPort}`, ca: readFileSync(certificate), accessLog: () => readFileSync(accessLog, 'utf8') }
}

/** Listens on every address of loopback. */
async function startCaddy(t: Test, upstreams: readonly string[]): Promise<Front> {
  const { folder, ports, port, key, certificate } = await prepare(t)
  const plainPort = await ports.take('127.0.0.1')
  const shipped = substitute(readFileSync(join(projectRoot, 'deploy', 'caddy', 'Caddyfile'), 'utf8'), [
    [/^\{\n/m, '{\nadmin off\n'],
    [/^http:\/\/live\.example\.com \{\n/m, `http://${NAME}:${plainPort} {\n`],
    [/^live\.example\.com \{\n/m, `https://${NAME}:${port} {\ntls ${certificate} ${key}\n`],
    ['reverse_proxy 127.0.0.1:8080 127.0.0.1:8090 {', `reverse_proxy ${upstreams.map(url => new URL(url).host).join(' ')} {`],
  ])
  writeFileSync(join(folder, 'Caddyfile'), shipped)
  await run(t, caddy!, ['run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'], port, 'SIGKILL', { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder })
  return { url: `https://127.0.0.1:${port}`, plainUrl: `http://127.0.0.1:${plainPort}`, ca: readFileSync(certificate), accessLog: () => '' }
}

async function prepare(t: Test) {
  const folder = tempFolder(t)
  const key = join(folder, 'privkey.pem')
  const certificate = join(folder, 'fullchain.pem')
  const subject = ['-subj', `/CN=${NAME}`, '-addext', `subjectAltName=DNS:${NAME}`]
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-keyout', key, '-out', certificate, ...subject], { stdio: 'ignore' })
  chmodSync(folder, 0o755) // started by root, nginx does its work as another user
  mkdirSync(join(folder, 'logs')) // where nginx looks before it has read where its log is
  const ports = new Ports()
  return { folder, key, certificate, ports, port: await ports.take('127.0.0.1') }
}

/** @throws Error when something to replace is not there: the shipped file has moved away from what is tested */
function substitute(text: string, replacements: readonly (readonly [string | RegExp, string])[]): string {
  return replacements.reduce((text, [from, to]) => {
    const replaced = text.replace(from, to)
    if (replaced === text) throw new Error(`the configuration has no ${String(from)}`)
    return replaced
  }, text)
}

/** @param stop the signal that ends it at once: asked to, Caddy would wait for streams to end; nginx would leave its workers */
async function run(t: Test, program: string, args: readonly string[], port: number, stop: NodeJS.Signals, env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env } })
  let errors = ''
  child.stderr.on('data', chunk => (errors += String(chunk)))
  const exited = new Promise(resolve => child.once('exit', resolve))
  t.after(async () => {
    child.kill(stop)
    await exited
  })
  await until(() => {
    if (child.exitCode !== null) throw new Error(`${program} ended:\n${errors}`)
    return answers(port)
  }, { timeoutMs: 30_000, what: `${program} listens` })
}

function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => resolve(true))
    socket.on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}
