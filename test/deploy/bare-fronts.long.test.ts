import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { systemClock } from '../../runtime/clock.js'
import { json } from '../../runtime/http/reply.js'
import { HttpServer } from '../../runtime/http/server.js'
import { UnreadConnections } from '../../runtime/http/unread.js'
import type { Log } from '../../runtime/log.js'
import { find, prepare, run, type Program } from '../support/front.js'
import { apacheMain, varnishArgs } from '../support/fronts.js'
import { startOneProcess } from '../support/one-process.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

/** HAProxy as it comes holds what it passes on for 200 ms. */
const AT_ONCE_MS = 100

/** A proxy by the shortest configuration that looks right, as people write it first. */
interface Bare {
  readonly program: Program | undefined
  /** @returns its arguments */
  readonly start: (program: Program, given: Given) => readonly string[]
}

interface Given {
  readonly folder: string
  readonly port: number
  /** Host and port. */
  readonly gateway: string
  /** What is written besides. */
  readonly lines: string
}

const bare = {
  nginx: {
    program: find('nginx'),
    start: (_program: Program, { folder, port, gateway, lines }: Given) => {
      const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${join(folder, name)};`).join(' ')
      const file = write(folder, 'nginx.conf', `daemon off; pid ${join(folder, 'pid')}; error_log stderr crit; events {} http { ${temp} access_log off; server { listen 127.0.0.1:${port}; location / { proxy_pass http://${gateway}; ${lines} } } }`)
      return ['-p', folder, '-e', join(folder, 'error.log'), '-c', file]
    },
  },
  HAProxy: {
    program: find('haproxy'),
    start: (_program: Program, { folder, port, gateway, lines }: Given) => {
      const file = write(folder, 'haproxy.cfg', `defaults\n mode http\n timeout connect 2s\n timeout client 60s\n timeout server 60s\nlisten all\n bind 127.0.0.1:${port}\n server gateway ${gateway} check inter 100ms fall 1 rise 1\n${lines}\n`)
      return ['-db', '-f', file]
    },
  },
  Apache: {
    program: find('apache2'),
    start: (program: Program, { folder, port, gateway, lines }: Given) => {
      const file = write(folder, 'apache2.conf', apacheMain(program, folder, 'mpm_event authz_core proxy proxy_http', [`Listen 127.0.0.1:${port}`, `ProxyPass / http://${gateway}/`, lines]))
      return ['-DFOREGROUND', '-f', file]
    },
  },
  Varnish: {
    program: find('cc') && find('varnishd'),
    start: (program: Program, { folder, port, gateway, lines }: Given) => {
      const [host, at] = gateway.split(':')
      const file = write(folder, 'default.vcl', `vcl 4.1;\nbackend default { .host = "${host}"; .port = "${at}"; }\n${lines}\n`)
      return [...varnishArgs(program, folder), '-f', file, '-a', `127.0.0.1:${port}`]
    },
  },
  lighttpd: {
    program: find('lighttpd'),
    start: (program: Program, { folder, port, gateway, lines }: Given) => {
      const [host, at] = gateway.split(':')
      const file = write(folder, 'lighttpd.conf', `server.document-root = "${folder}"\nserver.bind = "127.0.0.1"\nserver.port = ${port}\nserver.modules = ( "mod_proxy" )\nproxy.server = ( "" => ( ( "host" => "${host}", "port" => ${at} ) ) )\n${lines}\n`)
      return ['-D', '-f', file, '-m', join(program.unpacked ?? '/', 'usr', 'lib', 'lighttpd')]
    },
  },
} satisfies Record<string, Bare>

function write(folder: string, name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

/** @returns the proxy's URL */
async function start(t: Test, { program, start }: Bare, gateway: string, lines: string): Promise<string> {
  const { folder, port } = await prepare(t)
  await run(t, program!, start(program!, { folder, port, gateway: new URL(gateway).host, lines }), { port })
  return `http://127.0.0.1:${port}`
}

const skip = (name: keyof typeof bare) => ({ skip: !bare[name].program && `this system has no package of ${name}` })

const WRITTEN: readonly (readonly [name: keyof typeof bare, lines: string])[] = [
  ['nginx', 'proxy_http_version 1.1;'],
  ['HAProxy', '  option http-no-delay'],
  ['Apache', ''],
  ['Varnish', 'sub vcl_recv { return (pass); }'],
  ['lighttpd', 'server.stream-response-body = 1'],
]

for (const [name, lines] of WRITTEN) {
  t.test(`through ${name} with ${lines === '' ? 'nothing more' : lines.trim()}, each comment is there at once`, skip(name), async t => {
    const behind = startOneProcess(t)
    const url = await start(t, bare[name], behind.url, lines)
    const direct = await watchReady(t, behind.stream('demo'))
    const viewers = [await watchReady(t, `${url}/comments/demo`), await watchReady(t, `${url}/comments/demo`)]
    const heldMs: number[] = []
    for (let comments = 1; comments <= 5; comments++) {
      await behind.say('demo', `number ${comments}`)
      await until(() => direct.ids.length === comments)
      const there = performance.now()
      await until(() => viewers.every(({ ids }) => ids.length === comments), { timeoutMs: 3_000, what: `number ${comments} has come before anything follows it` })
      heldMs.push(performance.now() - there)
    }
    t.ok(heldMs.toSorted((one, other) => one - other)[2]! < AT_ONCE_MS, `held for ${heldMs.map(Math.round).join(', ')} ms`)
  })
}

t.test('nginx with proxy_pass alone works, or fails for what it is: before 1.29.7 it speaks HTTP/1.0', skip('nginx'), async t => {
  const { port, told } = listen(t)
  const url = await start(t, bare.nginx, `http://127.0.0.1:${port}`, '')
  const { status } = await fetch(`${url}/healthz`)
  if (status === 200) return
  t.equal(status, 505)
  for (let more = 0; more < 5; more++) await fetch(`${url}/healthz`)
  t.match(told, [{ from: 'this machine', reason: /HTTP\/1\.0/ }])
})

t.test('HAProxy with option httpchk alone speaks HTTP/1.0 and finds the gateway dead, and the log tells; with a check of HTTP/1.1 it is up', skip('HAProxy'), async t => {
  const { port, told, checks } = listen(t)
  const gateway = `http://127.0.0.1:${port}`
  const alone = await start(t, bare.HAProxy, gateway, '  option httpchk GET /healthz')
  await until(async () => (await fetch(`${alone}/healthz`)).status === 503, { what: 'it finds the gateway dead' })
  await until(() => told.length > 0)
  t.match(told, [{ from: 'this machine', times: 3, reason: /HTTP\/1\.0/ }])
  t.equal(checks(), 0)

  const url = await start(t, bare.HAProxy, gateway, '  option httpchk\n  http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host live.example.com')
  await until(() => checks() >= 3)
  t.equal((await fetch(`${url}/healthz`)).status, 200)
})

/** A server of the parts' kind, with what it has logged and how often it was asked for its health. */
function listen(t: Test) {
  const told: object[] = []
  let asked = 0
  const unread = new UnreadConnections({ clock: systemClock, log: { warn: (fields: unknown) => told.push(fields as object) } as Pick<Log, 'warn'>, metrics: new Registry() })
  const server = new HttpServer({ unread, onBug: error => t.fail('a bug', { error }) }).route('GET', '/healthz', exchange => {
    if (exchange.header('user-agent') === '') asked++
    return json({ status: 'ok' })
  })
  t.after(() => server.close())
  return { port: server.listen('127.0.0.1', 0), told, checks: () => asked }
}
