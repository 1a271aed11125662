import { execFileSync } from 'node:child_process'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readPair, TlsPairError } from '../../../runtime/tls/pair.js'
import { EC, filesIn, makeCertificate } from '../../support/certificate.js'
import { tempFolder } from '../../support/folder.js'

const DAY_MS = 86_400_000
const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' })

t.test('a certificate and its key are a pair, of RSA or of the curves that browsers know', async t => {
  const folder = tempFolder(t)
  const kinds = { rsa: ['-newkey', 'rsa:2048'], p256: EC, p384: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp384r1'] }
  const prints = new Set<string>()
  for (const [kind, key] of Object.entries(kinds)) {
    const files = makeCertificate(folder, { key, days: 3 }, { certificate: join(folder, `${kind}.pem`), key: join(folder, `${kind}.key`) })
    const { fingerprint, expiresAt } = readPair(files)
    prints.add(fingerprint)
    t.ok(Math.abs(expiresAt - Date.now() - 3 * DAY_MS) < 60_000, kind)
  }
  t.equal(prints.size, 3)
})

t.test('one file may hold both, with parameters before the key and other text between, and the first of a chain to expire counts', async t => {
  const folder = tempFolder(t)
  const leaf = makeCertificate(folder, { days: 9 })
  const intermediate = makeCertificate(folder, { days: 4 }, { certificate: join(folder, 'ca.pem'), key: join(folder, 'ca.key') })
  const parameters = join(folder, 'parameters.pem')
  openssl('ecparam', '-name', 'prime256v1', '-out', parameters)
  const all = join(folder, 'all.pem')
  writeFileSync(all, [leaf.certificate, intermediate.certificate, parameters, leaf.key].map(path => `subject=CN = any words\r\n${readFileSync(path, 'utf8')}`).join('\n'))
  const { expiresAt } = readPair({ certificate: all, key: all })
  t.ok(Math.abs(expiresAt - Date.now() - 4 * DAY_MS) < 60_000)
})

t.test('whatever is wrong with a file is said with its variable, its path and the rule, and never with what is in it', async t => {
  const folder = tempFolder(t)
  const good = makeCertificate(folder)
  const other = makeCertificate(folder, {}, { certificate: join(folder, 'other.pem'), key: join(folder, 'other.key') })
  const rsa = (bits: number) => makeCertificate(folder, { key: ['-newkey', `rsa:${bits}`] }, { certificate: join(folder, `${bits}.pem`), key: join(folder, `${bits}.key`) })
  const ed = makeCertificate(folder, { key: ['-newkey', 'ed25519'] }, { certificate: join(folder, 'ed.pem'), key: join(folder, 'ed.key') })
  const koblitz = makeCertificate(folder, { key: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1'] }, { certificate: join(folder, 'koblitz.pem'), key: join(folder, 'koblitz.key') })
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const [pem, key] = [readFileSync(good.certificate, 'utf8'), readFileSync(good.key, 'utf8')]
  const cut = (text: string) => text.slice(0, text.length / 2)
  const damaged = (text: string) => text.replace(/\n[A-Za-z0-9+/]{64}/, '\nAAAA')
  const chain = write('chain.pem', pem + damaged(pem))
  const encrypted = join(folder, 'encrypted.pem')
  openssl('pkcs8', '-topk8', '-in', good.key, '-out', encrypted, '-passout', 'pass:secret')
  const legacy = join(folder, 'legacy.pem')
  openssl('ec', '-in', good.key, '-aes256', '-out', legacy, '-passout', 'pass:secret')
  const none = join(folder, 'none')
  const cases: [certificate: string, key: string, ...said: string[]][] = [
    [none, good.key, `TLS_CERT_FILE: ${none} cannot be read: ENOENT`],
    [good.certificate, none, `TLS_KEY_FILE: ${none} cannot be read: ENOENT`],
    [none, none, `TLS_CERT_FILE: ${none} cannot be read: ENOENT`, `TLS_KEY_FILE: ${none} cannot be read: ENOENT`],
    [folder, good.key, `TLS_CERT_FILE: ${folder} cannot be read: EISDIR`],
    [write('empty', ''), good.key, `TLS_CERT_FILE: ${join(folder, 'empty')} must hold a certificate in PEM form`],
    [good.key, good.certificate, `TLS_CERT_FILE: ${good.key} must hold a certificate in PEM form`, `TLS_KEY_FILE: ${good.certificate} must hold a private key in PEM form`],
    [write('cut.pem', cut(pem)), good.key, `TLS_CERT_FILE: ${join(folder, 'cut.pem')} must hold a certificate in PEM form`],
    [write('damaged.pem', damaged(pem)), good.key, `TLS_CERT_FILE: ${join(folder, 'damaged.pem')} has an unreadable certificate, number 1`],
    [chain, good.key, `TLS_CERT_FILE: ${chain} has an unreadable certificate, number 2`],
    [good.certificate, write('cut.key', cut(key)), `TLS_KEY_FILE: ${join(folder, 'cut.key')} has an unreadable private key`],
    [good.certificate, encrypted, `TLS_KEY_FILE: ${encrypted} is encrypted: it must have no passphrase`],
    [good.certificate, legacy, `TLS_KEY_FILE: ${legacy} is encrypted: it must have no passphrase`],
    [good.certificate, other.key, `TLS_KEY_FILE: ${other.key} is not the key of the first certificate in ${good.certificate}`],
    [rsa(1024).certificate, rsa(1024).key, `TLS_KEY_FILE: ${join(folder, '1024.key')} must hold an RSA key of at least 2048 bits, or an EC key on P-256, P-384 or P-521`],
    [ed.certificate, ed.key, `TLS_KEY_FILE: ${ed.key} must hold an RSA key of at least 2048 bits, or an EC key on P-256, P-384 or P-521`],
    [koblitz.certificate, koblitz.key, `TLS_KEY_FILE: ${koblitz.key} must hold an RSA key of at least 2048 bits, or an EC key on P-256, P-384 or P-521`],
  ]
  for (const [certificate, key, ...said] of cases) {
    try {
      readPair({ certificate, key })
      t.fail(`it was taken: ${said.join()}`)
    } catch (error) {
      t.ok(error instanceof TlsPairError)
      t.equal((error as Error).message, said.join('\n'))
    }
  }
})

t.test('a fingerprint tells which bytes belong to which file', async t => {
  const folder = tempFolder(t)
  const files = makeCertificate(folder)
  const before = readPair(files).fingerprint
  t.equal(readPair(files).fingerprint, before)
  copyFileSync(files.key, join(folder, 'copy'))
  t.equal(readPair({ ...files, key: join(folder, 'copy') }).fingerprint, before, 'the path does not count')
  writeFileSync(files.certificate, `${readFileSync(files.certificate, 'utf8')}\n`)
  t.not(readPair(files).fingerprint, before)
  t.same(filesIn(folder), files)
})
