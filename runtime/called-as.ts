import { basename, delimiter, dirname } from 'node:path'
import { isCheckout } from './root.js'
import { fromHere, shellWord } from './shell-word.js'

/** The parts that a script of our package.json runs. */
const SCRIPTS: Readonly<Record<string, string>> = { cluster: 'npm start --', registry: 'npm run registry --', bench: 'npm run bench --' }
/** The command that an installed package has. */
const COMMAND = 'live-comments'

/** How whoever runs this process calls a part of the program, up to that part's arguments, so that a hint can be copied
 * unchanged: by a script of a checkout, its start.js, `npx`, or the installed command.
 * @param env the process's environment, in which npm names the script that it runs
 * @param script the file that Node was given */
export function calledAs(part: string, env: NodeJS.ProcessEnv, script = process.argv[1] ?? '', inCheckout = isCheckout): string {
  const event = env['npm_lifecycle_event']
  if (event === undefined) return `${program(script, env)} ${part}`
  if (inCheckout && event !== 'npx') return SCRIPTS[part] ?? `node start.js ${part}`
  return `npx ${COMMAND} ${part}`
}

/** What a shell in this folder starts the program with. */
function program(script: string, { PATH = '' }: NodeJS.ProcessEnv): string {
  if (basename(script) === 'start.js') return `node ${shellWord(fromHere(script))}`
  const isFound = PATH.split(delimiter).includes(dirname(script))
  return basename(script) === COMMAND && !isFound ? shellWord(fromHere(script)) : COMMAND
}

/** The command that starts a cluster on this machine, for messages. */
export const startCommand = calledAs('cluster', process.env).replace(/ --$/, '')
