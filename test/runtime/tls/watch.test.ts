import { copyFileSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { readPair, type TlsFiles } from '../../../runtime/tls/pair.js'
import { TlsWatch } from '../../../runtime/tls/watch.js'
import { filesIn, makeCertificate } from '../../support/certificate.js'
import { tempFolder } from '../../support/folder.js'
import { FakeClock } from '../../support/fake-clock.js'
import { until } from '../../support/until.js'

const DAY_MS = 86_400_000

function open(t: Test, files: TlsFiles, refuse: () => void = () => {}) {
  const clock = new FakeClock(Date.now())
  const lines: string[] = []
  const log = { info: (first: object | string, event?: string) => void lines.push(typeof first === 'string' ? first : event!), error: ({ reason }: { reason: string }, event: string) => void lines.push(`${event}: ${reason}`) }
  /** The fingerprints that the server was to use. */
  const renewed: string[] = []
  const metrics = new Registry()
  const renew = () => {
    refuse()
    renewed.push(readPair(files).fingerprint)
  }
  const watch = new TlsWatch({ files, clock, log: log as never, metrics, renew })
  t.after(() => watch.close())
  /** Lets time pass until it is so. */
  const passes = (what: () => boolean) => until(async () => {
    await clock.advance(1_000)
    return what()
  })
  /** Lets the files be looked at some times. */
  const looks = async (times = 6) => {
    for (let i = 0; i < times; i++) {
      const seen = clock.pending
      await clock.advance(1_000)
      await until(() => clock.pending >= seen) // it reads the files in real time
    }
  }
  const metric = async (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(await metrics.metrics())?.[1])
  return { watch, clock, lines, renewed, passes, looks, metric }
}

t.test('a certificate that is replaced is used within seconds, once', async t => {
  const folder = tempFolder(t)
  const files = makeCertificate(folder, { days: 5 })
  const { lines, renewed, passes, looks, metric } = open(t, files)
  t.ok(Math.abs((await metric('live_tls_certificate_expires_timestamp_seconds')) * 1_000 - Date.now() - 5 * DAY_MS) < 60_000)
  await looks()
  t.same(renewed, [], 'nothing has changed')
  makeCertificate(folder, { days: 9 })
  await passes(() => renewed.length > 0)
  await looks()
  t.same(renewed, [readPair(files).fingerprint])
  t.same(lines, ['tls_files_read'])
  t.ok(Math.abs((await metric('live_tls_certificate_expires_timestamp_seconds')) * 1_000 - Date.now() - 9 * DAY_MS) < 60_000)
  t.equal(await metric('live_tls_files_usable'), 1)
})

t.test('files that are replaced one after the other are no error', async t => {
  const folder = tempFolder(t)
  const files = makeCertificate(folder)
  const next = makeCertificate(tempFolder(t))
  const { lines, renewed, looks, passes } = open(t, files)
  copyFileSync(next.certificate, files.certificate)
  await looks(1)
  copyFileSync(next.key, files.key)
  await passes(() => renewed.length > 0)
  t.same(lines, ['tls_files_read'])
})

t.test('a folder that is replaced as Kubernetes does, by a link to it', async t => {
  const root = tempFolder(t)
  const publish = (version: string) => {
    mkdirSync(join(root, version))
    makeCertificate(join(root, version))
    symlinkSync(version, join(root, '..data_tmp'))
    renameSync(join(root, '..data_tmp'), join(root, '..data'))
  }
  publish('..v1')
  const { certificate, key } = filesIn(root)
  for (const path of [certificate, key]) symlinkSync(join('..data', path.slice(root.length + 1)), path)
  const { renewed, passes } = open(t, { certificate, key })
  publish('..v2')
  rmSync(join(root, '..v1'), { recursive: true })
  await passes(() => renewed.length > 0)
})

t.test('a pair that is broken, does not match, is gone or is refused by the server leaves the last one in use, is told once, and is got over', async t => {
  const folder = tempFolder(t)
  const files = makeCertificate(folder)
  const first = makeCertificate(tempFolder(t))
  copyFileSync(files.certificate, first.certificate)
  copyFileSync(files.key, first.key)
  const other = makeCertificate(tempFolder(t))
  let refuses = false
  const { lines, renewed, passes, looks, metric } = open(t, files, () => {
    if (refuses) throw new Error('TLS_CERT_FILE: the HTTP server cannot use it')
  })
  const trouble: [what: string, does: () => void, said: RegExp][] = [
    ['half a certificate', () => writeFileSync(files.certificate, '-----BEGIN CERTIFICATE-----\nMIIB'), /^tls_files_unusable: TLS_CERT_FILE: .* must hold a certificate in PEM form$/],
    ['another\'s key', () => copyFileSync(other.key, files.key), /^tls_files_unusable: TLS_KEY_FILE: .* is not the key of the first certificate/],
    ['no file', () => rmSync(files.key), /^tls_files_unusable: TLS_KEY_FILE: .* cannot be read: ENOENT$/],
    ['a pair that the server refuses', () => {
      refuses = true
      copyFileSync(other.certificate, files.certificate)
      copyFileSync(other.key, files.key)
    }, /^tls_files_unusable: TLS_CERT_FILE: the HTTP server cannot use it$/],
  ]
  for (const [what, does, said] of trouble) {
    lines.length = 0
    does()
    await passes(() => lines.length > 0)
    await looks()
    t.equal(lines.length, 1, what)
    t.match(lines[0], said)
    t.same(renewed, [])
    t.equal(await metric('live_tls_files_usable'), 0, what)
    copyFileSync(first.certificate, files.certificate)
    copyFileSync(first.key, files.key)
    await passes(() => lines.length > 1)
    t.equal(lines[1], 'tls_files_restored')
    t.equal(await metric('live_tls_files_usable'), 1, what)
  }
  refuses = false
  copyFileSync(other.certificate, files.certificate)
  copyFileSync(other.key, files.key)
  await passes(() => renewed.length > 0)
  t.same(renewed, [readPair(other).fingerprint])
})

t.test('an expired certificate does not replace one that is valid, and is better than another that has expired', async t => {
  const folder = tempFolder(t)
  const files = makeCertificate(folder, { days: 9 })
  const { clock, lines, renewed, passes, metric } = open(t, files)
  clock.step(5 * DAY_MS)
  makeCertificate(folder, { days: 2 })
  await passes(() => lines.length > 0)
  t.match(lines[0], /^tls_files_unusable: TLS_CERT_FILE: .* has expired, and the certificate in use has not$/)
  clock.step(5 * DAY_MS)
  makeCertificate(folder, { days: 3 })
  await passes(() => renewed.length > 0)
  t.equal(await metric('live_tls_files_usable'), 1)
})

t.test('once closed it looks at the files no more, even if it was reading them', async t => {
  const files = makeCertificate(tempFolder(t))
  const [idle, reading, other] = [open(t, files), open(t, files), open(t, files)]
  idle.watch.close()
  t.equal(idle.clock.pending, 0)
  await reading.clock.advance(1_000)
  reading.watch.close()
  await other.looks() // by then the files have been read
  t.equal(reading.clock.pending, 0)
})

t.test('at the start the files must be usable', async t => {
  const files = filesIn(tempFolder(t))
  t.throws(() => open(t, files), { message: `TLS_CERT_FILE: ${files.certificate} cannot be read: ENOENT\nTLS_KEY_FILE: ${files.key} cannot be read: ENOENT` })
})
