import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ports } from '../../cluster/ports.js'
import type { TlsFiles } from '../../runtime/tls/pair.js'
import { makeCertificate } from '../../test/support/certificate.js'
import { find } from '../../test/support/front.js'
import { withChildren } from '../measure/process-usage.js'
import { Child, temporaryFolder } from './child.js'
import { versionOf } from './installed.js'
import { LiveSystem, type LiveOptions } from './live.js'
import { nginxConfiguration } from './nginx.js'
import type { RunningSystem } from './system.js'

/** TLS ends at nginx, which passes streams on as deploy/nginx does: unbuffered, over HTTP/1.1. */
function configuration(folder: string, port: number, upstream: string, { certificate, key }: TlsFiles): string {
  return nginxConfiguration(folder, `  server {
    listen 127.0.0.1:${port} ssl backlog=4096;
    ssl_certificate ${certificate};
    ssl_certificate_key ${key};
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {
      proxy_pass ${upstream};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      gzip off;
      proxy_read_timeout 60s;
    }
  }`)
}

/** Ours without TLS, and nginx in front of it with. Posts go past nginx. */
export async function startBehindNginx(options: LiveOptions): Promise<RunningSystem> {
  const nginx = find('nginx')?.path ?? 'nginx'
  const version = versionOf(nginx, ['-v'], /nginx\/(\S+)/, 'run ./setup.sh')
  const live = await LiveSystem.start(options)
  const { host, port: upstreamPort } = live.streams[0]!
  const folder = temporaryFolder()
  const port = await new Ports().take('127.0.0.1')
  const file = join(folder.path, 'nginx.conf')
  writeFileSync(file, configuration(folder.path, port, `http://${host}:${upstreamPort}`, makeCertificate(folder.path)))
  const server = new Child(nginx, ['-c', file, '-p', folder.path, '-e', join(folder.path, 'error.log')])
  const remove = async () => {
    folder.remove()
    await live[Symbol.asyncDispose]()
  }
  await server.listening(port, remove)
  return {
    name: `${live.name}, TLS by nginx`,
    about: `${live.about}; nginx ${version}, one worker`,
    streams: live.streams.map(target => ({ ...target, port, secure: true })),
    posts: live.posts,
    stampsAccepted: live.stampsAccepted,
    promisesDelivery: live.promisesDelivery,
    processes: () => [...live.processes(), ...withChildren(server.pid).map(pid => ({ name: pid === server.pid ? 'nginx' : 'nginx worker', pid, delivers: true }))],
    edgeState: () => live.edgeState(),
    async [Symbol.asyncDispose]() {
      await server.stop()
      await remove()
    },
  }
}
