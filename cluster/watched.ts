// What `npm start` puts between itself and each part: `node watched.js HOST PORT LIMIT_MS ARGS` runs `node ARGS` under a
// watchdog that asks the internal port there.
import { watch } from './watchdog.js'

const [host = '', port, limitMs, ...args] = process.argv.slice(2)
await watch({ host, port: Number(port), limitMs: Number(limitMs), args, env: process.env })
