import t from 'tap'
import { parseConnectString } from '../../../registry/zookeeper/connect-string.js'

t.test('servers and chroot are taken apart', t => {
  const cases: [text: string, servers: string, chroot: string][] = [
    ['127.0.0.1:2181/live-comments', '127.0.0.1:2181', '/live-comments'],
    ['a:1,b:2,c/x/y', 'a:1,b:2,c', '/x/y'],
    ['localhost', 'localhost', ''],
    ['localhost:2181/', 'localhost:2181', ''],
  ]
  for (const [text, servers, chroot] of cases) t.same(parseConnectString(text), { servers, chroot }, text)
  t.end()
})

t.test('what is neither is refused', t => {
  for (const text of ['', 'a,', '/chroot', 'a:0', 'a:65536', 'a:b', '[::1]:2181', 'a b', 'a//x', 'a/x/../y', 'a/x y']) {
    t.throws(() => parseConnectString(text), { message: /takes host:port/ }, text)
  }
  t.end()
})
