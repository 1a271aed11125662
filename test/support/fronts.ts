import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { projectRoot } from '../../runtime/root.js'
import { find, libraries, NAME, prepare, run, substitute, type Front, type Program } from './front.js'

/** Starts a proxy, by the configuration that we ship, in front of the gateways at `upstreams`. It listens on every address
 * of loopback. */
export type StartFront = (t: Test, upstreams: readonly string[]) => Promise<Front>

const linux = process.platform === 'linux'
/** HAProxy's configuration uses a socket that only Linux has; Varnish compiles its own. */
const programs = { nginx: find('nginx'), caddy: find('caddy'), haproxy: linux ? find('haproxy') : undefined, apache: find('apache2'), varnish: find('cc') && find('varnishd'), hitch: find('hitch'), envoy: find('envoy') }

const shippedFor: Readonly<Record<string, StartFront | undefined>> = {
  nginx: programs.nginx && startNginx.bind(undefined, programs.nginx),
  Caddy: programs.caddy && startCaddy.bind(undefined, programs.caddy),
  HAProxy: programs.haproxy && startHaproxy.bind(undefined, programs.haproxy),
  Apache: programs.apache && startApache.bind(undefined, programs.apache),
  Varnish: programs.varnish && programs.hitch && startVarnish.bind(undefined, programs.varnish, programs.hitch),
  Envoy: programs.envoy && startEnvoy.bind(undefined, programs.envoy),
}

/** All that have a configuration in `deploy/` and whose program is here. */
export const fronts = Object.fromEntries(Object.entries(shippedFor).flatMap(([name, start]) => (start ? [[name, start]] : []))) as Readonly<Record<string, StartFront>>

/** Those whose program is not here. */
export const absent = Object.keys(shippedFor).filter(name => !shippedFor[name])

/** Whether clients may have addresses of their own: only Linux has all of 127.0.0.0/8. */
export const manyAddresses = linux

const root = process.getuid?.() === 0

function shipped(...path: readonly string[]): string {
  return readFileSync(join(projectRoot, 'deploy', ...path), 'utf8')
}

function hosts(upstreams: readonly string[]): string[] {
  return upstreams.map(url => new URL(url).host)
}

async function startNginx(nginx: Program, t: Test, upstreams: readonly string[]): Promise<Front> {
  const { folder, port, plainPort, key, certificate } = await prepare(t)
  const accessLog = join(folder, 'live-comments.access.log')
  const conf = substitute(shipped('nginx', 'live-comments.conf'), [
    [/^( +)server 127\.0\.0\.1:8080 (.*)\n +server 127\.0\.0\.1:8090 .*$/m, hosts(upstreams).map(host => `    server ${host} $2`).join('\n')],
    [/^ +listen \[::\].*\n/gm, ''],
    ['listen 80;', `listen 127.0.0.1:${plainPort};`],
    ['listen 443 ssl', `listen ${port} ssl`],
    ['/etc/ssl/live-comments/fullchain.pem', certificate],
    ['/etc/ssl/live-comments/privkey.pem', key],
    [/\/var\/log\/nginx/g, folder],
  ])
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${join(folder, name)};`).join(' ')
  const main = `daemon off; pid ${join(folder, 'pid')}; error_log stderr crit; events { worker_connections 4096; } http { ${temp} access_log off;\n${conf}\n}\n`
  writeFileSync(join(folder, 'nginx.conf'), main)
  const args = ['-p', folder, '-e', join(folder, 'error.log'), '-c', join(folder, 'nginx.conf')]
  const checked = spawnSync(nginx.path, [...args, '-t'], { encoding: 'utf8' })
  if (checked.status !== 0) throw new Error(`nginx refuses the configuration:\n${checked.stderr}`)
  await run(t, nginx, args, { port }) // killed, it would leave its workers
  return { ...urls(port, plainPort), ca: readFileSync(certificate), accessLog: () => readFileSync(accessLog, 'utf8') }
}

async function startCaddy(caddy: Program, t: Test, upstreams: readonly string[]): Promise<Front> {
  const { folder, port, plainPort, key, certificate } = await prepare(t)
  const conf = substitute(shipped('caddy', 'Caddyfile'), [
    [/^\{\n/m, `{\nadmin off\nhttp_port ${plainPort}\nhttps_port ${port}\n`],
    [/^live\.example\.com \{\n/m, `${NAME} {\ntls ${certificate} ${key}\n`],
    ['reverse_proxy 127.0.0.1:8080 127.0.0.1:8090 {', `reverse_proxy ${hosts(upstreams).join(' ')} {`],
  ])
  writeFileSync(join(folder, 'Caddyfile'), conf)
  const env = { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
  await run(t, caddy, ['run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'], { port, stop: 'SIGKILL', env }) // asked to, it would wait for streams to end
  return { ...urls(port, plainPort), ca: readFileSync(certificate), accessLog: () => '' }
}

async function startHaproxy(haproxy: Program, t: Test, upstreams: readonly string[]): Promise<Front> {
  const { folder, port, plainPort, both, certificate } = await prepare(t)
  const conf = substitute(shipped('haproxy', 'haproxy.cfg'), [
    [/^ +server gateway-1 .*\n +server gateway-2 .*$/m, hosts(upstreams).map((host, index) => `    server gateway-${index + 1} ${host}`).join('\n')],
    ['bind :80', `bind 127.0.0.1:${plainPort}`],
    ['bind :443', `bind :${port}`],
    ['/etc/ssl/live-comments/fullchain-and-key.pem', both],
    [/abns@live-comments-posts/g, `abns@live-comments-posts-${port}`],
    [/^ +user .*\n +group .*\n/m, ''],
    ['log /dev/log local0', 'log stdout format raw local0'],
    ['maxconn 100000', 'maxconn 4000'],
  ])
  writeFileSync(join(folder, 'haproxy.cfg'), conf)
  const printed = await run(t, haproxy, ['-db', '-f', join(folder, 'haproxy.cfg')], { port })
  return { ...urls(port, plainPort), ca: readFileSync(certificate), accessLog: printed }
}

const APACHE_MODULES = 'mpm_event authz_core ssl http2 headers lua proxy proxy_http proxy_balancer proxy_hcheck lbmethod_byrequests lbmethod_bybusyness slotmem_shm reqtimeout unique_id alias'

async function startApache(apache: Program, t: Test, upstreams: readonly string[]): Promise<Front> {
  const { folder, port, plainPort, key, certificate } = await prepare(t)
  const accessLog = join(folder, 'live-comments.access.log')
  const conf = substitute(shipped('apache', 'live-comments.conf'), [
    [/^ +BalancerMember http:\/\/127\.0\.0\.1:8080 (.*)\n +BalancerMember http:\/\/127\.0\.0\.1:8090 .*$/m, upstreams.map(url => `BalancerMember ${url} $1`).join('\n')],
    ['<VirtualHost *:80>', `<VirtualHost *:${plainPort}>`],
    ['<VirtualHost *:443>', `<VirtualHost *:${port}>`],
    ['/etc/ssl/live-comments/fullchain.pem', certificate],
    ['/etc/ssl/live-comments/privkey.pem', key],
    ['/etc/apache2/live-comments.lua', join(projectRoot, 'deploy', 'apache', 'live-comments.lua')],
    [/\/var\/log\/apache2/g, folder],
  ])
  const main = apacheMain(apache, folder, APACHE_MODULES, [`Listen ${port}`, `Listen 127.0.0.1:${plainPort}`])
  writeFileSync(join(folder, 'apache2.conf'), `${main}\n${conf}`)
  await run(t, apache, ['-DFOREGROUND', '-f', join(folder, 'apache2.conf')], { port })
  return { ...urls(port, plainPort), ca: readFileSync(certificate), accessLog: () => readFileSync(accessLog, 'utf8') }
}

/** What Debian's own files set before a site's. */
export function apacheMain({ unpacked }: Program, folder: string, modules: string, lines: readonly string[]): string {
  const files = join(unpacked ?? '/', 'usr', 'lib', 'apache2', 'modules')
  return [
    ...modules.split(' ').map(name => `LoadModule ${name}_module ${join(files, `mod_${name}.so`)}`),
    `ServerRoot ${folder}`,
    `ServerName ${NAME}`,
    `DefaultRuntimeDir ${folder}`,
    `PidFile ${join(folder, 'pid')}`,
    `ErrorLog ${join(folder, 'error.log')}`,
    'StartServers 1',
    'ServerLimit 1',
    'ThreadsPerChild 64',
    'MaxRequestWorkers 64',
    ...(root ? ['User nobody', 'Group nogroup'] : []),
    ...lines,
  ].join('\n')
}

async function startVarnish(varnish: Program, hitch: Program, t: Test, upstreams: readonly string[]): Promise<Front> {
  const { folder, port, plainPort, both, certificate, take } = await prepare(t)
  const between = await take()
  const backend = /^backend gateway_1 \{\n.*\n.*\n([^}]*)\}\nbackend gateway_2 \{[^}]*\}\n/m
  const vcl = substitute(shipped('varnish', 'live-comments.vcl'), [
    [backend, upstreams.map((url, index) => `backend gateway_${index + 1} {\n.host = "127.0.0.1";\n.port = "${new URL(url).port}";\n$1}\n`).join('')],
    [/( +gateways\.add_backend\(.*\);\n)+/, upstreams.map((_, index) => `gateways.add_backend(gateway_${index + 1});\n`).join('')],
    ['std.port(local.ip) == 80', `std.port(local.ip) == ${plainPort}`],
  ])
  writeFileSync(join(folder, 'live-comments.vcl'), vcl)
  const [, parameters = ''] = /^# +(-p .*)$/m.exec(vcl)! // as the file says it must be started
  const args = [...varnishArgs(varnish, folder), '-f', join(folder, 'live-comments.vcl'), '-a', `127.0.0.1:${between},PROXY`, '-a', `127.0.0.1:${plainPort}`, ...parameters.split(' ')]
  await run(t, varnish, args, { port: between })
  const conf = substitute(shipped('varnish', 'hitch.conf'), [
    ['[*]:443', `[*]:${port}`],
    ['[127.0.0.1]:6086', `[127.0.0.1]:${between}`],
    ['/etc/ssl/live-comments/fullchain-and-key.pem', both],
    [/^user = .*$/m, root ? 'user = "nobody"' : ''],
  ])
  writeFileSync(join(folder, 'hitch.conf'), conf)
  await run(t, hitch, ['--config', join(folder, 'hitch.conf')], { port })
  return { ...urls(port, plainPort), ca: readFileSync(certificate), accessLog: () => '' }
}

/** Where it works, and where its modules are. */
export function varnishArgs(varnish: Program, folder: string): string[] {
  return ['-F', '-n', join(folder, 'varnish'), '-j', 'none', '-p', 'cc_command=exec cc -O0 -pthread -fpic -shared -o %o %s', '-p', `vmod_path=${join(libraries(varnish), 'varnish', 'vmods')}`]
}

async function startEnvoy(envoy: Program, t: Test, upstreams: readonly string[]): Promise<Front> {
  const { folder, port, plainPort, key, certificate } = await prepare(t)
  const conf = substitute(shipped('envoy', 'envoy.yaml'), [
    [/^( +- endpoint: .* port_value: )8080(.*)\n.* 8090 .*$/m, upstreams.map(url => `$1${new URL(url).port}$2`).join('\n')],
    ['address: 0.0.0.0, port_value: 80 ', `address: 127.0.0.1, port_value: ${plainPort} `],
    ['port_value: 443 ', `port_value: ${port} `],
    ['/etc/ssl/live-comments/fullchain.pem', certificate],
    ['/etc/ssl/live-comments/privkey.pem', key],
  ])
  writeFileSync(join(folder, 'envoy.yaml'), conf)
  const printed = await run(t, envoy, ['-c', join(folder, 'envoy.yaml'), '--concurrency', '1', '--disable-hot-restart', '-l', 'error'], { port, stop: 'SIGKILL' })
  return { ...urls(port, plainPort), ca: readFileSync(certificate), accessLog: printed }
}

function urls(port: number, plainPort: number) {
  return { url: `https://127.0.0.1:${port}`, plainUrl: `http://127.0.0.1:${plainPort}` }
}
