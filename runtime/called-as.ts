import { basename } from 'node:path'
import { isCheckout } from './root.js'

/** The parts that a script of our package.json runs. */
const SCRIPTS: Readonly<Record<string, string>> = { cluster: 'npm start --', registry: 'npm run registry --', bench: 'npm run bench --' }

/** How whoever runs this process calls a part of the program, up to that part's arguments, so that a hint can be copied
 * unchanged: by a script of a checkout, its start.js, `npx`, or the installed command.
 * @param env the process's environment, in which npm names the script that it runs
 * @param script the file that Node was given */
export function calledAs(part: string, env: NodeJS.ProcessEnv, script = process.argv[1] ?? '', inCheckout = isCheckout): string {
  const event = env['npm_lifecycle_event']
  if (event === undefined) return basename(script) === 'start.js' ? `node start.js ${part}` : `live-comments ${part}`
  const own = inCheckout && event !== 'npx' ? SCRIPTS[part] : undefined
  return own ?? `npx live-comments ${part}`
}

/** The command that starts a cluster on this machine, for messages. */
export const startCommand = calledAs('cluster', process.env).replace(/ --$/, '')
