import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Progress } from '../../bench/report/progress.js'
import { fanOut, type Work } from '../../bench/run.js'
import { GOIM_DEFAULT, startGoim } from '../../bench/systems/goim.js'
import { NotInstalledError } from '../../bench/systems/installed.js'
import { startMercure } from '../../bench/systems/mercure.js'
import { FAKE_COMET, FAKE_MERCURE } from './fake-peers.js'

const work: Work = { viewers: 4, videos: 1, rate: 50, seconds: 1, warmSeconds: 0.2, eventBytes: 140, checked: 2, threads: 1, patienceMs: 3_000 }

/** A program that stands for a peer which cannot be had everywhere. */
function program(t: Test, source: string): string {
  const file = join(t.testdir(), 'peer.mjs')
  writeFileSync(file, `#!/usr/bin/env -S env -u NODE_OPTIONS ${process.execPath}\n${source}`)
  chmodSync(file, 0o755)
  return file
}

t.test('Mercure is configured as its newest version wants it, and as the ones before took it', async t => {
  for (const compatibility of ['8', '']) {
    await using system = await startMercure({ MERCURE_BIN: program(t, FAKE_MERCURE.replace('COMPATIBILITY', compatibility)) })
    t.match(await fanOut(system, work, new Progress()), { correct: true, posted: 60, failed: false }, compatibility)
  }
  await t.rejects(startMercure({}), NotInstalledError)
})

t.test('goim\'s comet is given its discovery, its logic and its job, and its viewers read what it broadcasts', async t => {
  await using system = await startGoim({ GOIM_BIN: program(t, FAKE_COMET) })
  const outcome = await fanOut(system, work, new Progress())
  t.match(outcome, { correct: true, posted: 60, deliveredShare: 1, failed: false, firstError: undefined })
  await using batching = await startGoim({ GOIM_BIN: program(t, FAKE_COMET) }, GOIM_DEFAULT)
  const batched = await fanOut(batching, work, new Progress())
  t.match(batched, { system: 'goim, its default gathering', correct: true, posted: 60 })
  t.ok(batched.latencyMs!.max > 200, `20 posts at a time: ${batched.latencyMs!.max} ms`)
  await t.rejects(startGoim({ GOIM_BIN: join(t.testdirName, 'absent') }), NotInstalledError)
})
