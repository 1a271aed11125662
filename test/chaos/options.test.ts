import t from 'tap'
import { readOptions, UsageError } from './options.js'

t.test('two clusters have the line\'s faults besides those of their parts, without the proxies between these', t => {
  t.equal(readOptions([])!.clusters, 1)
  t.notOk(readOptions([])!.faults.includes('line'))
  const { faults } = readOptions(['--clusters', '2'])!
  t.ok(faults.includes('line') && faults.includes('kill'))
  t.notOk(faults.includes('net') || faults.includes('rolling'))
  t.end()
})

t.test('what two clusters cannot have is refused, and what they alone have', t => {
  for (const argv of [['--data', 'data'], ['--cassandras', '1'], ['--other-build', 'dist']]) t.throws(() => readOptions(['--clusters', '2', ...argv]), new UsageError('--clusters 2 goes with none of --data, --cassandras and --other-build'), argv.join(' '))
  t.throws(() => readOptions(['--faults', 'line']), new UsageError('the fault line takes --clusters 2'))
  t.throws(() => readOptions(['--clusters', '3']), /must be one of 1, 2/)
  t.end()
})
