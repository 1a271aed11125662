import t from 'tap'
import { noBinary } from '../../../runtime/http/no-binary.js'

const debian12 = { node: '22.1.0', platform: 'linux', arch: 'x64', glibc: '2.36' }

t.test('where the HTTP server has no binary, one line says what to do', async t => {
  const cases: [Partial<typeof debian12> & { glibc?: string | undefined }, RegExp][] = [
    [{ node: '24.11.0' }, /needs glibc 2\.38 for Node 24 \(Debian 13, Ubuntu 24\.04\), and this system has 2\.36: use Node 22$/],
    [{ node: '26.0.0', glibc: '2.9' }, /needs glibc 2\.38 for Node 26 .* has 2\.9: use Node 22$/],
    [{ node: '24.11.0', glibc: '2.38' }, /is not installed for Node 24\.11\.0 on linux x64: /],
    [{ node: '24.11.0', glibc: '3.0' }, /is not installed/],
    [{ node: '21.7.3' }, /^Node 21\.7\.3 has no build of .*: use Node 20, 22, 23, 24 or 26$/],
    [{ node: '18.20.0' }, /: use Node 20/],
    [{ glibc: undefined }, /needs glibc, and this system has musl/],
    [{ node: '24.11.0', platform: 'darwin', glibc: undefined }, /is not installed for Node 24\.11\.0 on darwin/],
  ]
  for (const [differs, said] of cases) {
    const message = noBinary({ ...debian12, ...differs })
    t.match(message, said)
    t.notMatch(message, '\n')
  }
  t.match(noBinary(debian12, true), /run \.\/setup\.sh/)
  t.match(noBinary(debian12, false), /install live-comments again/)
})
