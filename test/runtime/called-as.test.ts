import { join } from 'node:path'
import t from 'tap'
import { calledAs } from '../../runtime/called-as.js'

t.test('a hint names the command by which the program was called', async t => {
  const bin = '/usr/local/bin/live-comments'
  const cases: [event: string | undefined, script: string, inCheckout: boolean, part: string, called: string][] = [
    ['start', '/src/start.js', true, 'registry', 'npm run registry --'],
    ['registry', '/src/start.js', true, 'cluster', 'npm start --'],
    ['test', '/src/dist/live-comments.js', true, 'bench', 'npm run bench --'],
    ['start', '/src/start.js', true, 'token', 'node start.js token'],
    [undefined, join(process.cwd(), 'start.js'), true, 'registry', 'node start.js registry'],
    [undefined, join(process.cwd(), 'our app', 'start.js'), true, 'registry', "node 'our app/start.js' registry"],
    [undefined, '/app/start.js', false, 'registry', 'node /app/start.js registry'],
    ['npx', '/tmp/node_modules/.bin/live-comments', false, 'registry', 'npx live-comments registry'],
    ['npx', '/src/node_modules/.bin/live-comments', true, 'registry', 'npx live-comments registry'],
    ['start', '/site/node_modules/.bin/live-comments', false, 'registry', 'npx live-comments registry'],
    [undefined, bin, false, 'registry', 'live-comments registry'],
    [undefined, bin, false, 'cluster', 'live-comments cluster'],
    ['npx', '/tmp/node_modules/.bin/live-comments', false, 'token', 'npx live-comments token'],
    [undefined, join(process.cwd(), 'node_modules/.bin/live-comments'), false, 'registry', 'node_modules/.bin/live-comments registry'],
    [undefined, '/site/node_modules/.bin/live-comments', false, 'registry', '/site/node_modules/.bin/live-comments registry'],
  ]
  for (const [event, script, inCheckout, part, called] of cases) t.equal(calledAs(part, { npm_lifecycle_event: event, PATH: '/usr/bin:/usr/local/bin' }, script, inCheckout), called, `${event} ${script}`)
})
