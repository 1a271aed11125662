import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ports } from '../../cluster/ports.js'
import { withChildren } from '../measure/process-usage.js'
import { Child, temporaryFolder } from './child.js'
import { NotInstalledError, versionOf } from './installed.js'
import { nginxConfiguration } from './nginx.js'
import { publishTarget, sseTarget } from './publish.js'
import type { RunningSystem } from './system.js'

const GET_IT = 'apt-get install nginx libnginx-mod-nchan (its service need not run)'
const MODULE = '/usr/lib/nginx/modules/ngx_nchan_module.so'

/** Nchan, nginx's pub/sub module. A short message buffer, for our viewers ask for what comes from now on; more shared memory than its default, which
 * 10,000 subscribers with a backlog exhaust. */
function configuration(folder: string, port: number): string {
  return nginxConfiguration(folder, `  keepalive_requests 1000000;
  nchan_shared_memory_size 512M;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /stream {
      nchan_subscriber eventsource;
      nchan_channel_id comments;
      nchan_subscriber_first_message newest;
    }
    location = /publish {
      nchan_publisher;
      nchan_channel_id comments;
      nchan_message_buffer_length 200;
      nchan_message_timeout 30s;
    }
  }`, `load_module ${MODULE};
`)
}

export async function startNchan(): Promise<RunningSystem> {
  const version = versionOf('nginx', ['-v'], /nginx\/(\S+)/, GET_IT)
  if (!existsSync(MODULE)) throw new NotInstalledError(GET_IT)
  const port = await new Ports().take('127.0.0.1')
  const folder = temporaryFolder()
  const file = join(folder.path, 'nginx.conf')
  writeFileSync(file, configuration(folder.path, port))
  const server = new Child('nginx', ['-c', file, '-p', folder.path, '-e', join(folder.path, 'error.log')])
  await server.listening(port, folder.remove)
  return {
    name: 'Nchan',
    about: `nginx ${version} with Debian's nchan module, one worker, eventsource`,
    streams: [sseTarget(port, '/stream')],
    posts: [publishTarget(port)],
    stampsAccepted: false,
    processes: () => withChildren(server.pid).map(pid => ({ name: pid === server.pid ? 'nginx' : 'nginx worker', pid, delivers: pid !== server.pid })),
    async [Symbol.asyncDispose]() {
      await server.stop()
      folder.remove()
    },
  }
}
